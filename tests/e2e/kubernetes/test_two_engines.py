"""Two engines, one dies: the API's compare-and-swap says who goes on; without it nobody guesses."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fairlead.lab.kubernetes import KubernetesLab
from fairlead.lab.probe import Holders
from tests.kube import eventually

from .agents import install

pytestmark = pytest.mark.root
SLACK = 1.0
"""Seconds that a busy machine may add."""
VIPS = [IPv4Address("192.0.2.60") + n for n in range(4)]


class Pair:
    """Two nodes with a fence and an agent each, and four VIPs, two at home on each."""

    def __init__(self, lab: KubernetesLab, directory: Path) -> None:
        self.lab = lab
        self._directory = directory
        kubeconfig = install(lab)
        config = directory / "fairlead.yaml"
        config.write_text("dataplane: cluster\nprobeSeconds: 0.05\n")
        lab.apply([self._vip(number, vip) for number, vip in enumerate(VIPS)])
        for name in lab.nodes:
            where = directory / name
            where.mkdir(mode=0o755)
            self._run(name, "fence", "--directory", str(where))
            own = ["--state", str(where / "state"), "--fence", str(where), "--listen", ":0"]
            files = ["--config", str(config), "--kubeconfig", str(kubeconfig)]
            self._run(name, "agent", "--engine", name, *own, *files)

    def held(self, name: str) -> set[IPv4Address]:
        words = self.lab[name].ip("-4", "-o", "address", "show", "dev", "lan").split()
        return {IPv4Address(w[:-3]) for w in words if w.endswith("/32")} & set(VIPS)

    def spread(self) -> bool:
        return [len(self.held(name)) for name in self.lab.nodes] == [2, 2]

    def log(self) -> str:
        return "\n".join(p.read_text()[-3000:] for p in sorted(self._directory.glob("*.log")))

    def _run(self, name: str, *argv: str) -> None:
        with (self._directory / f"{name}-{argv[0]}.log").open("a") as log:
            self.lab[name].popen(
                [sys.executable, "-m", "fairlead", *argv],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "POD_NAMESPACE": "fairlead-system"},
            )

    def _vip(self, number: int, vip: IPv4Address) -> dict[str, object]:
        return {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "VirtualIP",
            "metadata": {"name": str(vip), "labels": {"fairlead.dev/engine-group": "default"}},
            "spec": {
                "address": str(vip),
                "group": {"dialect": "fairlead", "scope": "service", "name": f"v{number}"},
                "members": ["Service/default/kubernetes"],
                "listeners": [{"protocol": "TCP", "port": 80, "service": "default/kubernetes"}],
                "home": [f"node-{number % 2 + 1}"],
            },
        }


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with (
        TemporaryDirectory(prefix="pair-") as name,
        KubernetesLab(nodes=2, kube_proxy=False) as lab,
    ):
        Path(name).chmod(0o755)
        made = Pair(lab, Path(name))
        assert eventually(made.spread, timeout=40), made.log()
        yield made


def test_who_holds_what_is_one_object_for_each_engine(pair: Pair) -> None:
    def counts() -> str:
        columns = "custom-columns=N:.metadata.name,C:.spec.count"
        return pair.lab.kubectl("get", "engines", "--no-headers", "-o", columns).stdout

    wanted = ["node-1", "2", "node-2", "2"]
    assert eventually(lambda: counts().split() == wanted), counts() + pair.log()


def test_a_cordoned_node_hands_over_without_a_gap_and_gets_back_what_it_had(pair: Pair) -> None:
    mine = sorted(pair.held("node-1"))
    with Holders(pair.lab["client"], mine) as seen:
        assert eventually(lambda: all(seen.holder(vip) for vip in mine))
        cordoned = seen.now()
        pair.lab.kubectl("cordon", "node-1")
        assert eventually(lambda: pair.held("node-2") == set(VIPS), timeout=15), pair.log()
        assert eventually(lambda: not pair.held("node-1"), timeout=5), pair.log()
        time.sleep(0.3)
        gap = max(seen.outage(vip, since=cordoned) for vip in mine)
    assert gap < 0.1 + SLACK
    pair.lab.kubectl("cordon", "node-2")  # now there is nobody who could do better
    assert eventually(pair.spread, timeout=20), pair.log()
    pair.lab.kubectl("uncordon", "node-1", "node-2")
    time.sleep(1.0)
    assert pair.spread()


def test_a_node_that_load_balancers_leave_out_holds_nothing(pair: Pair) -> None:
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    pair.lab.kubectl("label", "node", "node-1", f"{label}=true")
    try:
        assert eventually(lambda: pair.held("node-2") == set(VIPS), timeout=15), pair.log()
        assert eventually(lambda: not pair.held("node-1"), timeout=5), pair.log()
    finally:
        pair.lab.kubectl("label", "node", "node-1", f"{label}-")
    assert eventually(pair.spread, timeout=30), pair.log()


def test_the_one_that_is_left_takes_over_by_evidence_from_the_api(pair: Pair) -> None:
    for segment in ("lan", "pods"):
        pair.lab["node-1"].cut(segment)
    assert eventually(lambda: pair.held("node-2") == set(VIPS), timeout=15), pair.log()
    assert eventually(lambda: not pair.held("node-1"), timeout=5), "the other one went on"
    leases = pair.lab.kubectl("-n", "fairlead-system", "get", "leases", "-o", "name").stdout
    assert "fairlead-cell-" in leases
    for segment in ("lan", "pods"):
        pair.lab["node-1"].mend(segment)
    assert eventually(pair.spread, timeout=30), pair.log()


def test_while_the_api_is_away_neither_half_guesses(pair: Pair) -> None:
    pair.lab.control.pause("kube-apiserver")
    try:
        for segment in ("lan", "pods"):
            pair.lab["node-1"].cut(segment)
        assert eventually(lambda: not (pair.held("node-1") | pair.held("node-2")), timeout=10)
    finally:
        for segment in ("lan", "pods"):
            pair.lab["node-1"].mend(segment)
        pair.lab.control.resume("kube-apiserver")
    assert eventually(pair.spread, timeout=40), pair.log()
