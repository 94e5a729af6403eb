"""The nft driver at 10 000 listeners with 20 000 backends, beside bare ``nft -f`` in the same run.

In a network namespace of its own. The bare figures load the very same text and make the very same
kind of change with a fresh ``nft`` process each, which is what a driver without a helper would do.
"""

import os
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from bench.figure import percentile
from fairlead.drivers.nft.driver import NftDriver
from fairlead.drivers.nft.elements import Element, elements, vip_element
from fairlead.drivers.nft.render import exchange, rebuild
from fairlead.drivers.nft.schema import Shape
from fairlead.model.addresses import parse_network
from fairlead.model.desired import L4Backend, L4Changes, L4Desired, L4Key, L4Listener

Row = tuple[str, float, str, float | None, str]

LISTENERS = 10_000
CHANGES = 400
BARE_CHANGES = 60
_FIRST_VIP = int(IPv4Address("10.64.0.1"))
_FIRST_POD = int(IPv4Address("10.128.0.1"))


def run() -> list[Row]:
    """Every figure: (name, value, unit, goal, whether the value is to be below or above it)."""
    state = _state()
    with _namespace("bench") as netns:
        return [
            *_driver(netns, state),
            *_variant(netns, "direct", _state(direct=True)),
            *_variant(netns, "ranges", _state(ranges=True)),
            *_bare(netns, state),
        ]


def _driver(netns: str, state: L4Desired) -> list[Row]:
    with _driving(netns) as driver:
        load = _load(driver, state)
        took = _change_times(driver, state)
        return [
            ("nft_apply_10k", load, "s", 0.6, "<"),
            ("nft_change_p50", 1e3 * statistics.median(took), "ms", None, "<"),
            ("nft_change_p99", 1e3 * percentile(took, 99), "ms", 15.0, "<"),
            ("nft_observe_10k", _timed(driver.observe), "s", None, "<"),
            ("nft_disturbed_idle", 1e3 * _timed(driver.disturbed), "ms", None, "<"),
        ]


def _variant(netns: str, name: str, state: L4Desired) -> list[Row]:
    """The same size with more elements: every backend direct, or every listener restricted."""
    with _driving(netns) as driver:
        load = _load(driver, state)
        took = _change_times(driver, state)
        return [
            (f"nft_apply_10k_{name}", load, "s", None, "<"),
            (f"nft_change_p99_{name}", 1e3 * percentile(took, 99), "ms", None, "<"),
        ]


def _load(driver: NftDriver, state: L4Desired) -> float:
    driver.apply(L4Changes(listeners={}))  # the helper is running, as it is in an agent
    return _timed(lambda: driver.apply(L4Changes(listeners=state.listeners, vips_added=state.vips)))


def _change_times(driver: NftDriver, state: L4Desired) -> list[float]:
    times = []
    for change in _changes(state):
        start = time.perf_counter()
        driver.apply(change)
        times.append(time.perf_counter() - start)
    return times


def _bare(netns: str, state: L4Desired) -> list[Row]:
    into = [vip_element(address) for address in state.vips]
    for key, listener in state.listeners.items():
        into += elements(key, listener)
    text = rebuild("fairlead", [Shape(1), Shape(2), Shape(3)], into)
    load = _timed(lambda: _nft(netns, text))
    took = []
    for change in _changes(state)[:BARE_CHANGES]:
        out, add = _difference(state, change)
        start = time.perf_counter()
        _nft(netns, exchange("fairlead", out=out, into=add))
        took.append(time.perf_counter() - start)
    _nft(netns, "delete table inet fairlead\n")
    return [
        ("nft_bare_load_10k", load, "s", None, "<"),
        ("nft_bare_change_p50", 1e3 * statistics.median(took), "ms", None, "<"),
        ("nft_bare_change_max", 1e3 * max(took), "ms", None, "<"),
    ]


def _state(*, direct: bool = False, ranges: bool = False) -> L4Desired:
    """Two listeners on each VIP, two backends behind each."""
    allowed = (parse_network("10.0.0.0/8"), parse_network("192.168.0.0/16")) if ranges else ()
    listeners = {
        _key(number): L4Listener(
            backends=tuple(_backend(2 * number + slot, direct=direct) for slot in range(2)),
            source_ranges=allowed,
        )
        for number in range(LISTENERS)
    }
    return L4Desired(listeners=listeners, vips=frozenset(key.address for key in listeners))


def _key(number: int) -> L4Key:
    return L4Key(IPv4Address(_FIRST_VIP + number // 2), "TCP", 80 + number % 2)


def _backend(number: int, *, direct: bool) -> L4Backend:
    return L4Backend(IPv4Address(_FIRST_POD + number), 8080, direct)


def _changes(state: L4Desired) -> list[L4Changes]:
    """A mix: a backend replaced, one more, one less, a listener removed, one added with its VIP.
    Each touches listeners of its own, so every change can be judged against the state at the start.
    """
    chosen = random.Random(7).sample(sorted(state.listeners), CHANGES)
    return [_change(state, key, number) for number, key in enumerate(chosen)]


def _change(state: L4Desired, key: L4Key, number: int) -> L4Changes:
    row = state.listeners[key]
    first, second = row.backends
    fresh = _backend(3 * LISTENERS + number, direct=first.direct)
    backends: tuple[L4Backend, ...]
    match number % 5:
        case 0:
            backends = (first, fresh)
        case 1:
            backends = (first, second, fresh)
        case 2:
            backends = (second,)
        case 3:
            return L4Changes(listeners={key: None})
        case _:
            new = L4Key(IPv4Address(_FIRST_VIP + LISTENERS + number), "UDP", 53)
            return L4Changes(listeners={new: row}, vips_added=frozenset({new.address}))
    changed = L4Listener(backends=backends, source_ranges=row.source_ranges)
    return L4Changes(listeners={key: changed})


def _difference(state: L4Desired, change: L4Changes) -> tuple[list[Element], list[Element]]:
    out: list[Element] = []
    into = [vip_element(address) for address in change.vips_added]
    for key, row in change.listeners.items():
        old = elements(key, state.listeners[key]) if key in state.listeners else frozenset()
        new = elements(key, row) if row else frozenset()
        out += old - new
        into += new - old
    return out, into


def _timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _nft(netns: str, text: str) -> None:
    command = ["nsenter", f"--net=/run/netns/{netns}", "nft", "-f", "-"]
    subprocess.run(command, input=text, text=True, check=True)


@contextmanager
def _driving(netns: str) -> Iterator[NftDriver]:
    driver = NftDriver(netns=netns)
    try:
        yield driver
        driver.withdraw()
    finally:
        driver.close()


@contextmanager
def _namespace(name: str) -> Iterator[str]:
    netns = f"flnft-{os.getpid()}-{name}"
    subprocess.run(["ip", "netns", "add", netns], check=True)
    try:
        yield netns
    finally:
        subprocess.run(["ip", "netns", "del", netns], check=True)
