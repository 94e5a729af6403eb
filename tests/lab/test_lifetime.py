"""Labs end with whatever ends their owner, and a later start removes what a killed one left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fairlead.lab import (
    Lab,
    LabError,
    LabUnavailable,
    attach,
    cluster,
    down,
    exec_,
    list_labs,
    up,
)
from fairlead.lab.probe import Answer, tcp_ask
from fairlead.lab.state import STATE_DIR

pytestmark = pytest.mark.root

OWNER = """
import sys, time
from fairlead.lab import Lab, cluster
with Lab(cluster(pods=1), name=sys.argv[1]) as lab:
    lab["client"].popen(["sleep", "600"])
    print("up", flush=True)
    time.sleep(60)
"""


def namespaces(name: str) -> list[str]:
    return sorted(path.name for path in Path("/run/netns").glob(f"fl-{name}-*"))


def processes(name: str) -> list[int]:
    """The processes inside the namespaces of a lab that is up."""
    said = [
        subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True, check=True)
        for ns in namespaces(name)
    ]
    return [int(pid) for done in said for pid in done.stdout.split()]


def running(pids: list[int]) -> list[int]:
    """Those that run; a zombie has ended, and waits for a parent that is none of ours."""
    found = []
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        with suppress(FileNotFoundError, ProcessLookupError):
            if stat.read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def eventually(condition: Callable[[], bool], timeout: float = 3.0) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def unused(suffix: str) -> str:
    return f"t{os.getpid()}{suffix}"


@contextmanager
def owner(name: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", OWNER, name]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "up\n"
            assert len(namespaces(name)) == 4
            assert len(processes(name)) == 3  # the echo server, its launcher and the sleep
            yield child
        finally:
            child.kill()


def assert_gone(name: str) -> None:
    assert namespaces(name) == []
    assert not (STATE_DIR / name).exists()


def test_nothing_is_left_after_the_block_or_an_exception() -> None:
    name = unused("x")
    inside: list[int] = []

    def fail() -> None:
        with Lab(cluster(pods=1), name=name) as lab:
            sleeper = lab["pod-a"].popen(["sleep", "600"])
            inside.extend(processes(name))
            assert sleeper.pid in inside
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert_gone(name)
    assert running(inside) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_after_a_signal(number: signal.Signals) -> None:
    name = unused("s")
    with owner(name) as child:
        inside = processes(name)
        child.send_signal(number)
        child.communicate(timeout=5)
        assert child.returncode in (128 + number, -number, 1)
    assert_gone(name)
    assert running(inside) == []


def test_after_kill_minus_nine_the_next_start_cleans_up_and_touches_nothing_else() -> None:
    dead, alive = unused("d"), unused("a")
    with owner(alive) as living, Lab(cluster(pods=1)) as mine:
        with owner(dead) as child:
            inside = processes(dead)
            child.kill()
            child.wait()
            # Even before any other start: the processes die with their owner.
            assert eventually(lambda: not running(inside))
        with Lab(cluster(pods=0, pods_via=None)):
            assert_gone(dead)
            assert living.poll() is None
            assert len(namespaces(alive)) == 4
            assert isinstance(mine["engine-1"].call(tcp_ask, mine["pod-a"].v4, 8080), Answer)


def test_a_daemon_that_left_its_parent_ends_with_the_lab() -> None:
    name = unused("f")
    with Lab(cluster(pods=0, pods_via=None), name=name) as lab:
        lab["client"].run(["sh", "-c", "setsid --fork sleep 600 >/dev/null 2>&1"])
        daemons = processes(name)
        assert len(daemons) == 1
    assert running(daemons) == []


def test_a_namespace_without_a_record_does_not_block_its_name() -> None:
    name = unused("o")
    subprocess.run(["ip", "netns", "add", f"fl-{name}-client"], check=True)
    with Lab(cluster(pods=0, pods_via=None), name=name) as lab:
        assert "192.0.2.254" in lab["client"].ip("addr")
    assert_gone(name)


def test_a_name_in_use_is_refused_and_its_lab_stays() -> None:
    name = unused("n")
    topology = cluster(pods=0, pods_via=None)
    with Lab(topology, name=name):
        with pytest.raises(LabError, match=f"already used by pid {os.getpid()}"), Lab(name=name):
            pass
        assert len(namespaces(name)) == 3


def test_a_lab_that_cannot_be_built_leaves_nothing() -> None:
    name = unused("b")
    topology = cluster(pods=1, tcp=(8080, 8080))
    with pytest.raises(LabError, match=r"echo pod-a: .*in use"), Lab(topology, name=name):
        pass
    assert_gone(name)
    with pytest.raises(LabError, match=r"echo pod-a: .*in use"):
        up(name, topology)
    assert_gone(name)


def test_without_root_one_line_says_what_to_do() -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(LabUnavailable) as caught, Lab():
            pass
    finally:
        os.seteuid(0)
    assert str(caught.value) == ("the lab needs root to make network namespaces: run it with sudo")


def test_root_that_may_not_make_namespaces_is_told_so() -> None:
    code = (
        "from fairlead.lab import Lab, LabUnavailable\n"
        "try:\n with Lab(): pass\n"
        "except LabUnavailable as error: print(error)"
    )
    argv = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "--"]
    done = subprocess.run([*argv, sys.executable, "-c", code], capture_output=True, text=True)
    assert "CAP_SYS_ADMIN is needed" in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1


def test_a_lab_that_stays_serves_after_its_maker_is_gone() -> None:
    name = unused("p")
    make = f"from fairlead.lab import *; up({name!r}, cluster(pods=1, clients_via='engine-1'))"
    subprocess.run([sys.executable, "-c", make], check=True, timeout=10)
    try:
        [info] = [info for info in list_labs() if info.name == name]
        assert info.persistent
        assert info.alive
        with Lab(cluster(pods=0, pods_via=None)):  # a start that cleans up leaves it alone
            pass
        with attach(name) as lab:
            answer = lab["client"].call(tcp_ask, lab["pod-a"].v4, 8080)
            assert isinstance(answer, Answer)
            sleeper = lab["client"].popen(["sleep", "600"])
        assert sleeper.returncode == -signal.SIGKILL
        assert len(processes(name)) == 1
    finally:
        down(name)
    assert_gone(name)
    with pytest.raises(LabError, match=f"there is no lab '{name}'"):
        down(name)


def test_exec_becomes_the_program_inside_the_host() -> None:
    name = unused("e")
    with Lab(cluster(pods=0, pods_via=None), name=name):
        code = f"from fairlead.lab import exec_; exec_({name!r}, 'client', ['ip', '-br', 'addr'])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "192.0.2.254/24" in done.stdout
        failing = code.replace("['ip', '-br', 'addr']", "['sh', '-c', 'exit 7']")
        assert subprocess.run([sys.executable, "-c", failing]).returncode == 7
        with pytest.raises(LabError, match="no host 'pod-x', only switch, client, engine-1"):
            exec_(name, "pod-x", ["true"])
    with pytest.raises(LabError, match="there is no lab"):
        exec_(name, "client", ["true"])


def test_up_in_the_foreground_ends_with_ctrl_c() -> None:
    name = unused("g")
    code = (
        "from fairlead.lab import up, cluster\n"
        f"up({name!r}, cluster(pods=1), detach=False,"
        " ready=lambda info: print(info.owner, flush=True))\nprint('down')"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == f"{child.pid}\n"
        assert len(namespaces(name)) == 4
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=5)[0] == "down\n"
        assert child.returncode == 0
    assert_gone(name)


@pytest.mark.parametrize("name", ["a-b", "A", "", "../x", "a" * 25])
def test_lab_names_are_plain(name: str) -> None:
    with pytest.raises(LabError, match="use 1 to 24 of a-z and 0-9"):
        up(name, cluster())
