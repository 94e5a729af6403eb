"""The fake against the kernel: the same random steps, the same results after each."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.drivers.base import DriverError
from fairlead.drivers.l2 import FakeL2Driver, L2Driver, L2Error, ProbeTiming
from fairlead.drivers.l2.render import dump
from fairlead.model.desired import L2Changes, L2Desired

if TYPE_CHECKING:
    from tests.drivers.l2.conftest import Host, Net

pytestmark = pytest.mark.root

LANS = {"eth0": ("10.77.0.1/24", "fd77::1/64"), "eth1": ("10.78.0.1/24", "fd78::1/64")}
HELD = {"10.77.0.50": "eth0", "fd77::50": "eth0", "10.78.0.50": "eth1", "fd78::50": "eth1"}
WORLD = (*HELD, "10.77.0.51", "fd78::51", "203.0.113.1", "2001:db8::1", "10.77.0.1")

some = st.frozensets(st.sampled_from(WORLD).map(ip_address), max_size=4)
steps = st.one_of(
    st.tuples(st.just("apply"), st.builds(L2Changes, added=some, removed=some, probe=some)),
    st.tuples(st.just("prune"), st.builds(L2Desired, owned=some)),
    st.tuples(st.just("withdraw"), st.none()),
    st.tuples(st.just("hold"), st.sampled_from(sorted(HELD))),
    st.tuples(st.just("leave"), st.sampled_from(sorted(HELD))),
    st.tuples(st.just("lose"), st.sampled_from(WORLD[:-1])),
)
Step = tuple[str, Any]


class Pair:
    """The kernel and the fake, side by side."""

    def __init__(self, engine: Host, other: Host) -> None:
        self.engine = engine
        self.other = other
        self.real = L2Driver(probe=ProbeTiming(times=2, interval=0.01, wait=0.05), repeats=())
        self.fake = FakeL2Driver(LANS)

    def step(self, name: str, argument: Any) -> None:
        """Do one step on both, and compare what can be seen."""
        match name:
            case "hold":
                interface = HELD[argument]
                self.other.ip(f"addr replace {bits(argument)} dev {interface}{nodad(argument)}")
                self.fake.hold(ip_address(argument), self.other.mac(interface))
            case "leave":
                self._clear(self.other, argument)
                self.fake.leave(ip_address(argument))
            case "lose":
                self._clear(self.engine, argument)
                self.fake.lose(ip_address(argument))
            case _:
                arguments = () if argument is None else (argument,)
                real = outcome(lambda: self.engine.call(getattr(self.real, name), *arguments))
                assert real == outcome(lambda: getattr(self.fake, name)(*arguments))
        self.compare()

    def compare(self) -> None:
        """Everything a caller can see."""
        real = self.engine.call(self.real.observe)
        assert dump(real) == dump(self.fake.observe())
        assert self.real.placements() == self.fake.placements()
        assert self.real.conflicts() == self.fake.conflicts()

    def clean(self) -> None:
        """Back to the start."""
        self.engine.call(self.real.withdraw)
        for address in HELD:
            self._clear(self.other, address)

    def _clear(self, host: Host, address: str) -> None:
        host.run("ip", f"-{ip_address(address).version}", "addr", "flush", "to", bits(address))


def bits(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"


def nodad(address: str) -> str:
    return " nodad" if ":" in address else ""


def outcome(call: Callable[[], None]) -> object:
    try:
        call()
    except L2Error as error:
        return sorted(map(str, error.failures))
    except DriverError as error:
        return str(error)
    return None


@pytest.fixture
def hosts(net: Net) -> tuple[Host, Host]:
    """An engine and another host on two LANs."""
    engine, other = net.host("engine"), net.host("other")
    for number, (interface, own) in enumerate(LANS.items()):
        net.join(engine, f"br{number}", interface, *own)
        net.join(other, f"br{number}", interface, f"10.7{7 + number}.0.2/24")
    return engine, other


@settings(
    max_examples=70,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=st.lists(steps, min_size=2, max_size=12))
def test_the_fake_does_what_the_kernel_does(hosts: tuple[Host, Host], script: list[Step]) -> None:
    pair = Pair(*hosts)
    try:
        for step in script:
            pair.step(*step)
    finally:
        pair.clean()


def test_interfaces_that_go_down_and_away(hosts: tuple[Host, Host]) -> None:
    engine, _ = hosts
    pair = Pair(*hosts)
    every = frozenset(map(ip_address, WORLD))
    take = L2Changes(added=every, removed=frozenset())
    pair.step("apply", take)
    engine.ip("link set eth1 down")
    pair.fake.switch("eth1", up=False)
    pair.step("apply", take)
    engine.ip("link set eth1 up")
    pair.fake.switch("eth1", up=True)
    pair.step("apply", take)
    engine.ip("link del eth1")
    pair.fake.unplug("eth1")
    pair.step("apply", take)
    pair.step("prune", L2Desired(owned=frozenset()))
    assert pair.fake.dump() == ""
    pair.clean()


def test_addresses_that_the_host_takes_itself(hosts: tuple[Host, Host]) -> None:
    engine, _ = hosts
    pair = Pair(*hosts)
    engine.ip("addr add 10.77.0.51/32 dev eth1")
    pair.fake.own("eth1", "10.77.0.51/32")
    wanted = frozenset(map(ip_address, ("10.77.0.51", "203.0.113.1")))
    pair.step("apply", L2Changes(added=wanted, removed=frozenset()))
    pair.step("prune", L2Desired(owned=frozenset()))
    pair.clean()
    assert "10.77.0.51/32" in engine.addresses("eth1")
