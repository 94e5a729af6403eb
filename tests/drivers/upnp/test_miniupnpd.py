"""The driver with real gateways: miniupnpd of both versions, open and in secure mode."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from threading import Event
from typing import TypeVar

import pytest

from fairlead.drivers.base import DriverError
from fairlead.drivers.upnp import UpnpDriver, lan_gateways
from fairlead.drivers.upnp.search import TARGETS
from fairlead.lab import Host, Hosts, Lab, cluster
from fairlead.lab.gateway import ADDRESS, Gateway
from fairlead.lab.probe import Answer, tcp_ask, udp_ask
from fairlead.model.forward import Forwarding, ForwardKey, UpnpChanges, UpnpDesired
from fairlead.model.names import Protocol, Ref
from fairlead.model.verdict import Code
from fairlead.planner.diff import diff_upnp

pytestmark = pytest.mark.root

VIP, VIP6 = "192.0.2.20", "fd00:2::20"
OTHER = "192.0.2.251"
"""The own address of the engine, from which gateways in secure mode take it too."""
WEB = Ref("Service", "default", "web")
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def lab() -> Iterator[Hosts]:
    """A router, somebody outside, and an engine that has a VIP of each family and answers there."""
    with Lab(cluster(clients=3, engines=1, pods=0)) as hosts:
        engine = hosts["engine-1"]
        engine.ip("address", "add", f"{VIP}/32", "dev", "lan")
        engine.ip("address", "add", f"{VIP6}/128", "dev", "lan", "nodad")
        engine.ip("route", "add", "80.81.90.0/24", "via", hosts["client"].v4)
        engine.ip("-6", "route", "add", "2a02:90::/64", "via", hosts["client"].v6)
        engine.echo(tcp=(32380,), udp=(32380,), name="web")
        yield hosts


KINDS = [
    pytest.param((1, False), id="version 1"),
    pytest.param((2, True), id="version 2 in secure mode"),
    pytest.param((2, False), id="version 2", marks=pytest.mark.slow),
    pytest.param((1, True), id="version 1 in secure mode", marks=pytest.mark.slow),
]


@pytest.fixture(params=KINDS)
def gateway(lab: Hosts, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    version, secure = request.param
    with Gateway(lab["client"], lab["client-2"], version=version, secure=secure) as gateway:
        yield gateway


def key(port: int = 32380, client: str = VIP, protocol: Protocol = "TCP") -> ForwardKey:
    return ForwardKey(ip_address(client), protocol, port)


def wanted(*keys: ForwardKey, lease: int = 3600) -> UpnpDesired:
    return UpnpDesired({one: Forwarding(WEB, lease) for one in keys})


class Engine:
    """The driver in the namespace of a host."""

    def __init__(self, host: Host, name: str = "engine-1") -> None:
        self.host = host
        self.driver = UpnpDriver(name, search=partial(lan_gateways, interfaces=None))

    def inside(self, function: Callable[[], Result]) -> Result:
        with self.host.entered():
            return function()

    def round(self, desired: UpnpDesired) -> UpnpChanges:
        """A full round, as the loop makes it."""
        changes = diff_upnp(desired, self.inside(self.driver.observe))
        if changes:
            self.inside(partial(self.driver.apply, changes))
        self.driver.prune(desired)
        return changes

    def codes(self) -> set[Code]:
        return {one.code for one in self.driver.forwards()}


@pytest.fixture
def engine(lab: Hosts) -> Engine:
    return Engine(lab["engine-1"])


def name_of(outcome: object) -> str:
    return outcome.name if isinstance(outcome, Answer) else repr(outcome)


def test_a_port_is_open_from_outside_as_long_as_it_is_wanted(
    gateway: Gateway, engine: Engine
) -> None:
    outside = gateway.outside
    assert not isinstance(outside.call(tcp_ask, ADDRESS, 32380, 0.3), Answer)
    engine.round(wanted(key(), key(protocol="UDP")))
    assert engine.codes() == {Code.NONE}
    assert {one.external for one in engine.driver.forwards()} == {ip_address(ADDRESS)}
    assert name_of(outside.call(tcp_ask, ADDRESS, 32380, 3.0)) == "web"
    assert name_of(outside.call(udp_ask, ADDRESS, 32380, 3.0)) == "web"
    assert not engine.round(wanted(key(), key(protocol="UDP")))
    engine.round(wanted(key()))
    assert len(gateway.rules()) == 1
    engine.inside(engine.driver.withdraw)
    assert gateway.rules() == []
    assert not isinstance(outside.call(tcp_ask, ADDRESS, 32380, 0.3), Answer)


def test_mappings_come_back_after_a_restart_of_the_gateway(
    gateway: Gateway, engine: Engine
) -> None:
    desired = wanted(key(), key(32381))
    engine.round(desired)
    gateway.restart()  # on another port, too
    assert gateway.rules() == []
    engine.round(desired)
    assert len(gateway.rules()) == 2
    assert engine.codes() == {Code.NONE}
    gateway.forget()
    engine.round(desired)
    assert len(gateway.rules()) == 2
    engine.inside(engine.driver.withdraw)


def test_what_a_killed_agent_left_is_closed(gateway: Gateway, engine: Engine, lab: Hosts) -> None:
    engine.round(wanted(key(), key(32381)))
    again = Engine(lab["engine-1"])
    again.round(wanted(key(32381)))
    assert [rule.split()[-1] for rule in gateway.rules()] == [f"{VIP}:32381"]
    again.inside(again.driver.withdraw)
    assert gateway.rules() == []


def test_a_mapping_of_somebody_else_stays(gateway: Gateway, engine: Engine, lab: Hosts) -> None:
    stranger = Engine(lab["engine-1"], name="stranger")
    stranger.round(wanted(key(client=OTHER)))
    before = gateway.rules()
    engine.round(wanted(key()))
    assert gateway.rules() == before
    assert engine.codes() == {Code.PORT_FORWARD_CONFLICT}
    (found,) = engine.driver.forwards()
    assert OTHER in found.message
    stranger.inside(stranger.driver.withdraw)
    engine.round(wanted(key()))
    assert engine.codes() == {Code.NONE}
    engine.inside(engine.driver.withdraw)


def test_pinholes_let_ipv6_in_where_the_gateway_makes_them(
    gateway: Gateway, engine: Engine, lab: Hosts
) -> None:
    outside, first = gateway.outside, key(client=VIP6)
    assert not isinstance(outside.call(tcp_ask, VIP6, 32380, 0.3), Answer)
    if gateway.version == 1:
        with pytest.raises(DriverError, match="pinhole"):
            engine.round(wanted(first))
        assert engine.codes() == {Code.NO_GATEWAY}
        return
    engine.round(wanted(first))
    assert engine.codes() == {Code.NONE}
    assert name_of(outside.call(tcp_ask, VIP6, 32380, 3.0)) == "web"
    assert not engine.round(wanted(first))
    gateway.restart()
    engine.round(wanted(first))
    assert name_of(outside.call(tcp_ask, VIP6, 32380, 3.0)) == "web"
    engine.round(wanted())
    assert gateway.pinholes() == []
    assert not isinstance(outside.call(tcp_ask, VIP6, 32380, 0.3), Answer)


@pytest.mark.slow
def test_a_gateway_that_comes_later_is_found(lab: Hosts, engine: Engine) -> None:
    with pytest.raises(DriverError, match="no UPnP gateway"):
        engine.round(wanted(key()))
    with Gateway(lab["client"], lab["client-2"]) as gateway:
        engine.round(wanted(key()))
        assert len(gateway.rules()) == 1
        assert engine.codes() == {Code.NONE}
    with pytest.raises(DriverError, match="gateway"):
        engine.round(wanted(key()))
    assert engine.codes() == {Code.NO_GATEWAY}


@contextmanager
def liar(host: Host, *answers: bytes) -> Iterator[None]:
    """Somebody who answers every search at once, and with more than asked for."""
    stop = Event()

    def lie() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            mouth.bind(("", 1900))
            group = socket.inet_aton("239.255.255.250") + socket.inet_aton(host.v4)
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            mouth.settimeout(0.1)
            while not stop.is_set():
                with suppress(TimeoutError):
                    _, asker = mouth.recvfrom(2048)
                    for answer in answers:
                        mouth.sendto(answer, asker)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(host.call, lie)
        try:
            yield
        finally:
            stop.set()
            running.result()


def test_liars_on_the_lan_do_not_hide_the_gateway(lab: Hosts, engine: Engine) -> None:
    false = lab["client-3"]
    said = f"HTTP/1.1 200 OK\r\nST: {TARGETS[0]}\r\nLOCATION: {{}}\r\n\r\n"
    lies = [
        said.format(f"http://{false.v4}:9/desc.xml").encode(),  # where nobody is
        said.format(f"http://{lab['engine-1'].v4}:80/desc.xml").encode(),  # another host
        said.format("http://example.com/desc.xml").encode(),
        *(b"\xff" * 1400 for _ in range(100)),
        b"",
    ]
    with liar(false, *lies):
        with pytest.raises(DriverError, match=f"{false.v4}: it cannot be reached"):
            engine.round(wanted(key()))
        with Gateway(lab["client"], lab["client-2"]) as gateway:
            engine.round(wanted(key()))
            assert engine.codes() == {Code.NONE}
            assert len(gateway.rules()) == 1
            engine.inside(engine.driver.withdraw)
