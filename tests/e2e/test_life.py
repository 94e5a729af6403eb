"""Starting, dying, stopping and being meddled with: what is served does not notice."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fairlead.lab import Hosts

from .asking import Steady, User
from .manifests import Folder, Manifest, pod, pool, port, service
from .serving import TABLE, Up, becomes

pytestmark = pytest.mark.root

POOL = pool("vips", "192.0.2.10-192.0.2.99", "fd00:2::10-fd00:2::99")
KEPT = ("s0", "s1", "s2", "s3")
KILLS = (0.02, 0.15, 0.4)
"""Seconds between the start's first word, or an edit, and the kill."""


def app(name: str, number: int = 80, **spec: Any) -> Manifest:
    return service(name, port(number), app="a", ipFamilyPolicy="RequireDualStack", **spec)


@pytest.fixture
def serving(up: Up, lab: Hosts, user: User) -> Up:
    """Four Services, dual-stack, answering. The last has the first address, because it came first:
    only the ledger knows that."""
    up.folder.put("base", POOL, pod(lab["pod-a"], "a"))
    up.folder.put("kept", app(KEPT[-1]))
    up.start()
    becomes("Served", up.verdict, KEPT[-1])
    up.folder.put("kept", *map(app, KEPT))
    for name in KEPT:
        becomes("Served", up.verdict, name)
        for vip in up.addresses(name):
            becomes("pod-a", user.tcp, vip)
    return up


def addresses(up: Up) -> dict[str, list[str]]:
    """What the Services that nobody touches have."""
    return {name: up.addresses(name) for name in KEPT}


@contextmanager
def editing(folder: Folder) -> Iterator[None]:
    """Somebody makes, changes and removes Services all the time, and stops with one that stays."""
    stop = threading.Event()

    def edit() -> None:
        turn = 0
        while not stop.wait(0.03):
            turn += 1
            folder.put("moving", *(app(f"m{n}", 8000 + turn) for n in range(turn % 5)))

    thread = threading.Thread(target=edit, name="editor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        folder.put("moving", app("last", 8080))


def test_kill_9_in_the_middle_of_edits(serving: Up, user: User) -> None:
    before = addresses(serving)
    targets = [(vip, 80) for name in ("s0", "s3") for vip in before[name]]
    with Steady(user, *targets):
        with editing(serving.folder):
            for pause in KILLS:
                time.sleep(pause)
                serving.kill()
                serving.start()
        becomes("Served", serving.verdict, "last")
        (last4, last6) = serving.addresses("last")
        for vip in (last4, last6):
            becomes("pod-a", user.tcp, vip, 8080)
        assert addresses(serving) == before
        wanted = sorted([vip for name in KEPT for vip in before[name]] + [last4, last6])
        becomes(wanted, serving.held)
        own = {f"tcp {before[name][0]}:80" for name in KEPT} | {f"tcp {last4}:8080"}
        becomes(own, serving.listeners)


def test_a_second_up_on_one_state_is_refused(serving: Up, user: User) -> None:
    assert serving.process is not None
    (vip, _) = serving.addresses("s0")
    with Steady(user, (vip, 80)):
        second = serving.spawn()
        assert second.wait(timeout=20) == 2
        assert f"in use by process {serving.process.pid}" in serving.said()
        shown = json.loads(serving.command("get", "services", "-o", "json"))
        assert vip in json.dumps(shown)
        assert vip in serving.command("explain", "Service/default/s0")


def test_stopping_withdraws_unless_kept(serving: Up, user: User) -> None:
    before = addresses(serving)
    vips = [vip for name in KEPT for vip in before[name]]
    assert serving.stop() == 0
    assert serving.held() == serving.tables() == []
    assert [user.macs(vip) for vip in vips[:2]] == [[], []]
    serving.start("--keep")
    for vip in vips:
        becomes("pod-a", user.tcp, vip)
    with Steady(user, *((vip, 80) for vip in vips)):
        assert serving.stop() == 0
        assert sorted(vips) == serving.held()
        time.sleep(0.3)  # nobody is there, and the traffic goes on
        serving.start()
        becomes("Served", serving.verdict, "s0")
        assert addresses(serving) == before
    assert serving.stop() == 0
    assert serving.held() == serving.tables() == []


def test_what_somebody_removed_by_hand_comes_back(serving: Up, user: User) -> None:
    engine = serving.host
    v4, v6 = serving.addresses("s0")
    others = serving.addresses("s1")
    kept = user.open(v4)
    engine.run(["nft", "delete", "table", "inet", TABLE], check=True)
    for vip in (v4, v6, *others):
        becomes("pod-a", user.tcp, vip)
    with Steady(user, *((vip, 80) for vip in others)):
        element = f"{{ {v4} . tcp . 80 }}"
        argv = ["nft", "delete", "element", "inet", TABLE, "listeners4", element]
        engine.run(argv, check=True)
        engine.ip("address", "delete", f"{v4}/32", "dev", "lan")
        engine.ip("address", "delete", f"{v6}/128", "dev", "lan")
        assert v4 not in serving.held()
        for vip in (v4, v6):
            becomes("pod-a", user.tcp, vip)
    becomes("pod-a", lambda: kept.ask().name)  # type: ignore[union-attr]
    kept.close()
