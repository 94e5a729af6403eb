"""`fairlead up` as people run it, in a network namespace of its own; and what it says."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from fairlead.cli.reporter import MANY, TerminalReporter
from fairlead.model.addresses import parse_address
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code, Reason, State, Verdict
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Refused
from fairlead.runtime.report import Started, Stopped
from fairlead.runtime.verdicts import VerdictChange
from fairlead.sources.files import Problem

Spawn = Callable[..., "subprocess.Popen[str]"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace with one interface in the pool's subnet."""
    name = f"flcli{os.getpid()}"
    commands = (
        ["ip", "netns", "add", name],
        ["ip", "-n", name, "link", "set", "lo", "up"],
        ["ip", "-n", name, "link", "add", "lan0", "type", "veth", "peer", "name", "far0"],
        ["ip", "-n", name, "link", "set", "far0", "up"],
        ["ip", "-n", name, "address", "add", "100.64.196.1/24", "dev", "lan0"],
        ["ip", "-n", name, "link", "set", "lan0", "up"],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _addresses(namespace: str) -> set[str]:
    done = subprocess.run(
        ["ip", "-n", namespace, "-json", "address", "show", "dev", "lan0"],
        capture_output=True,
        check=True,
    )
    return {info["local"] for link in json.loads(done.stdout) for info in link["addr_info"]}


def _until(stream: IO[str] | None, text: str) -> list[str]:
    """Lines up to the one that holds a text."""
    assert stream is not None
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was never said, but {lines}")


@pytest.mark.root
def test_up_serves_says_so_and_withdraws(spawn: Spawn, examples: Path, namespace: str) -> None:
    process = spawn(
        "up", "-f", examples / "ako-shared-vip", "--ephemeral", "--engine", "e1",
        prefix=["ip", "netns", "exec", namespace],
    )  # fmt: skip
    (first,) = _until(process.stdout, "temporary state in ")
    assert "engine e1" in first
    state = Path(first.split()[-1])
    said = "".join(_until(process.stdout, "sharedvip-avisvc-lb2"))
    assert "Served   Service/default/sharedvip-avisvc-lb1 100.64.196.61\n" in said
    _wait(lambda: "100.64.196.61" in _addresses(namespace))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.endswith("everything is withdrawn\n")
    assert "100.64.196.61" not in _addresses(namespace)
    assert not state.exists()


@pytest.mark.root
def test_a_second_up_on_one_state_is_refused_with_the_pid(
    spawn: Spawn, examples: Path, namespace: str, tmp_path: Path
) -> None:
    arguments = ("up", "-f", examples / "ako-shared-vip", "--state", tmp_path, "--log")
    inside = ["ip", "netns", "exec", namespace]
    first = spawn(*arguments, prefix=inside)
    line = json.loads(_until(first.stderr, "started")[-1])
    assert line["event"] == "started"
    second = spawn(*arguments, prefix=inside)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2
    (told,) = err.splitlines()
    assert f"process {first.pid}" in told
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 0


def _wait(condition: Callable[[], bool]) -> None:
    import time

    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true within 10 s")


def _verdict(name: str, state: State, reason: Reason | None = None) -> Verdict:
    address = (parse_address("192.0.2.1"),) if state is State.SERVED else ()
    return Verdict(Ref("Service", "a", name), state, reason, addresses=address)


def _change(verdict: Verdict) -> VerdictChange:
    return VerdictChange(verdict.ref, None, verdict)


def test_verdicts_are_told_one_a_line(capsys: Capture) -> None:
    reason = Reason(Code.PORT_CONFLICT, "taken.")
    rejected = _verdict("y", State.REJECTED, reason)
    gone = VerdictChange(Ref("Service", "a", "z"), rejected, None)
    changes = [_change(_verdict("x", State.SERVED)), _change(rejected), gone]
    TerminalReporter().verdicts(Plan(), changes)
    assert capsys.readouterr().out == (
        "Served   Service/a/x 192.0.2.1\n"
        "Rejected Service/a/y: PortConflict: taken.\n"
        "Gone     Service/a/z\n"
    )


def test_very_many_are_counted(capsys: Capture) -> None:
    served = [_change(_verdict(f"s{n}", State.SERVED)) for n in range(MANY)]
    pending = _change(_verdict("p", State.PENDING, Reason(Code.NO_POOL, "none.")))
    TerminalReporter().verdicts(Plan(), [*served, pending])
    assert capsys.readouterr().out == (
        f"Pending  Service/a/p: NoPool: none.\n{MANY + 1} objects: 1 Pending, {MANY} Served\n"
    )


def test_problems_are_told_once_and_when_they_are_over(capsys: Capture) -> None:
    reporter = TerminalReporter()
    problem = Problem("a.yaml", 3, "torn")
    reporter.read([problem], {"apps/v1 Deployment": 2})
    reporter.read([problem], {"apps/v1 Deployment": 2})
    reporter.read([], {})
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:3: torn",
        "2 objects of kinds that Fairlead does not read: 2 apps/v1 Deployment",
        "a.yaml: no longer: torn",
    ]


def test_everything_else_is_told(capsys: Capture) -> None:
    reporter = TerminalReporter()
    reporter.started(Started("e1", Path("/tmp/x"), False, 3))
    reporter.refused(Refused((), (), "abc", "too much."))
    reporter.refused(None)
    reporter.health(DriverHealth("nft", False, "no nft", datetime.now(UTC)))
    reporter.health(DriverHealth("nft", True, "", datetime.now(UTC)))
    reporter.stopped(Stopped(kept=True, clean=True))
    reporter.stopped(Stopped(kept=False, clean=False))
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "fairlead serves as engine e1, state in /tmp/x, which holds 3 addresses",
        "stopped; everything is left as it is (--keep)",
    ]
    assert said.err.splitlines() == [
        "held back: too much.",
        "nothing is held back any more",
        "nft: fails: no nft",
        "nft: works",
        "stopped, but not everything could be withdrawn; see above",
    ]
