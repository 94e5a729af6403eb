"""`fairlead demo --kubernetes` is believed only if it fails when it should."""

import signal
import subprocess
from pathlib import Path

import pytest

from ..showing import Process, Spawn, assert_gone, lab_of, read_to

pytestmark = pytest.mark.root
FACTS = [
    "node-2   Ready ",
    "deploy/install.yaml | kubectl apply",
    "sharedvip-avisvc-lb1   LoadBalancer   ",
    "<pending>     80:",
    "100.64.196.61   vip-network   default/sharedvip-avisvc-lb1",
    "Members:    Service/default/sharedvip-avisvc-lb1, Service/default/sharedvip-avisvc-lb2",
    "--load-balancer-ip=192.168.0.220",
    "192.0.2.10,fd00:2::10",
    "Warning PortConflict (fairlead-controller): TCP port 80 of the shared VIP",
    "100.64.196.61:80/UDP     10.244.",
    "; the Lease is 10 s",
    "was refused - did you specify the right host or port?",
    "4 VirtualIPs: none was written, none has moved",
    "no node has an address or a table of Fairlead's: node-1, node-2",
    "All 9 steps as expected",
]
WIDEST = 112
"""Columns: kubectl's tables are as wide as they are."""


def _kubectl(process: Process, *words: str) -> str:
    """kubectl in the cluster of a demo."""
    lab = lab_of(process)
    home = Path("/run/fairlead-lab", lab, "kubernetes")
    kubeconfig = f"--kubeconfig={home / 'admin.kubeconfig'}"
    argv = ["ip", "netns", "exec", f"fl-{lab}-control", _program("kubectl"), kubeconfig, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _program(name: str) -> str:
    from fairlead.lab.kubernetes import binaries

    return str(binaries() / name)


@pytest.mark.timeout(200)
def test_it_shows_everything_and_leaves_nothing(spawn: Spawn) -> None:
    process = spawn("demo", "--kubernetes")
    out, err = process.communicate(timeout=190)
    assert process.returncode == 0, out + err
    assert [fact for fact in FACTS if fact not in out] == []
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= WIDEST
    assert len(out.splitlines()) <= 200
    assert err == ""
    assert_gone(process)


@pytest.mark.slow
def test_a_cluster_without_controllers_ends_it_loudly(spawn: Spawn) -> None:
    process = spawn("demo", "--kubernetes")
    read_to(process, "get lease")
    _kubectl(process, "-n", "fairlead-system", "delete", "deployment", "--all", "--wait=false")
    out, err = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "All 9 steps" not in out
    assert "the demo went wrong in step 2:\n  expected: within " in err
    assert "\n  seen:     " in err
    assert "fairlead-agent" in err, "what the pods said last"
    assert "Traceback" not in err
    assert_gone(process)


@pytest.mark.slow
def test_a_signal_ends_it_and_takes_everything_down(spawn: Spawn) -> None:
    process = spawn("demo", "--kubernetes")
    read_to(process, "in place after")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
    assert_gone(process)
