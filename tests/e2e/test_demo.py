"""`fairlead demo` is believed only if it fails when it should."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.cli.demo import command
from fairlead.cli.demo.deviation import Deviation, until
from fairlead.cli.demo.traffic import Target, answered, silent
from fairlead.cli.main import app
from fairlead.lab import Lab, cluster

from .showing import Spawn, assert_gone, lab_of, mentions, read_to

FACTS = [
    "sharedvip-avisvc-lb1   LoadBalancer   100.64.196.61   80/TCP    Served",
    "sharedvip-avisvc-lb2   LoadBalancer   100.64.196.61   80/UDP    Served",
    "sharedvip-avisvc-lb2   LoadBalancer   100.64.196.75   80/UDP    Served",
    "LoadBalancer   <pending>     80/UDP    Rejected   StaticAddressMismatch",
    "sharedvip-avisvc-lb2   LoadBalancer   <pending>       80/TCP    Rejected   PortConflict",
    "http2   LoadBalancer   192.168.0.220   81/TCP    Served",
    "engine-1   80.81.82.81:443/TCP   192.168.8.250:30443, 192.168.8.251:30443",
    "edge       80.81.82.81:443/TCP   192.168.8.2:443",
    "edge       80.81.82.81:80/TCP    192.168.8.3:80",
    "edge       80.81.82.81:443/TCP   192.168.8.4:443",
    "All 7 steps as expected",
]


@pytest.mark.root
def test_it_shows_everything_in_time_and_leaves_nothing(spawn: Spawn) -> None:
    started = time.monotonic()
    process = spawn("demo")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, out + err
    assert time.monotonic() - started < 60
    assert [fact for fact in FACTS if fact not in out] == []
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 100
    assert len(out.splitlines()) <= 100
    assert err == ""
    assert_gone(process)


@pytest.mark.root
def test_a_table_that_does_not_stay_ends_it_loudly(spawn: Spawn) -> None:
    process = spawn("demo")
    read_to(process, "3. ")
    inside = ["ip", "netns", "exec", f"fl-{lab_of(process)}-engine-1"]
    deleted = 0
    while process.poll() is None:
        done = subprocess.run(
            [*inside, "nft", "delete", "table", "inet", "fairlead"],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        deleted += done.returncode == 0
    out, err = process.communicate()
    assert deleted > 0
    assert process.returncode == 1
    assert "All 7 steps" not in out
    assert "the demo went wrong in step 3:\n  expected: " in err
    assert "\n  seen:     " in err
    assert "Traceback" not in err
    assert_gone(process)


@pytest.mark.root
def test_an_engine_that_dies_ends_it_loudly(spawn: Spawn) -> None:
    process = spawn("demo")
    read_to(process, "2. ")
    (engine,) = [
        int(one.parent.name)
        for one in Path("/proc").glob("[0-9]*/cmdline")
        if mentions(one, process) and b"--engine\0engine-1" in one.read_bytes()
    ]
    os.kill(engine, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "expected: on engine-1 fairlead up goes on" in err
    assert "ended with code -9" in err
    assert_gone(process)


@pytest.mark.root
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_signal_ends_it_and_takes_everything_down(spawn: Spawn, number: int, code: int) -> None:
    process = spawn("demo")
    read_to(process, "2. ")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert_gone(process)


@pytest.mark.root
def test_answers_of_too_few_or_of_nobody_are_deviations() -> None:
    with Lab(cluster(pods=1, clients_via="engine-1")) as lab:
        pod = Target(lab["pod-a"].v4, 8080)
        assert set(answered(lab["client"], pod, {"pod-a"})) == {"pod-a"}
        with pytest.raises(Deviation, match="pod-a and pod-b"):
            answered(lab["client"], pod, {"pod-a", "pod-b"})
        with pytest.raises(Deviation, match="no answer from"):
            silent(lab["client"], pod)
        with pytest.raises(Deviation, match="refused"):
            answered(lab["client"], pod._replace(port=8081), {"pod-a"})


def test_what_does_not_come_in_time_is_a_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.cli.demo.deviation.PATIENCE", 0.2)
    with pytest.raises(Deviation) as caught:
        until(lambda: 1, lambda seen: seen == 2, expected="two", hints=lambda: "  it said: no")
    assert str(caught.value) == (":\n  expected: within 0 s two\n  seen:     1\n  it said: no")


def test_without_root_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 2
    assert result.stderr == "fairlead: the demo needs root: run 'sudo fairlead demo'\n"


def test_without_the_examples_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    result = CliRunner().invoke(app, ["demo", "--examples", str(tmp_path)])
    assert result.exit_code == 2
    assert "--examples" in result.stderr
    assert command.EXAMPLES.is_dir()
