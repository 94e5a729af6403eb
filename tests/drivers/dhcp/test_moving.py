"""A lease that moves between engines, with a real server: one client, wherever it is."""

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from fairlead.drivers.dhcp import DhcpDriver
from fairlead.drivers.dhcp.links import macvlan_name
from fairlead.lab import Host, Hosts, Lab, cluster
from fairlead.lab.dhcp import DhcpServer
from fairlead.model.desired import DhcpChanges, DhcpDesired, DhcpRow
from fairlead.model.dhcp import Leased, LeaseKey, mac_of
from fairlead.model.names import GroupKey
from tests.e2e.serving import becomes, until

pytestmark = pytest.mark.root
KEY = LeaseKey(GroupKey("kube-vip", "dhcp", "default", "web"), 4)
ROW = DhcpRow(mac_of(KEY.group), client_id="web", hostname="web")


class Engine:
    """A driver in the namespace of a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.told: list[Leased] = []
        self.driver = DhcpDriver(interfaces=("lan",))
        self.driver.listen(lambda _, leased: self.told.append(leased))

    def hold(self, known: Leased | None = None) -> None:
        self._apply(DhcpChanges({KEY: ROW}, {KEY: known} if known else {}))

    def drop(self, *, ended: bool) -> None:
        self._apply(DhcpChanges({KEY: None}, ended=frozenset({KEY}) if ended else frozenset()))

    def _apply(self, changes: DhcpChanges) -> None:
        self.host.call(self.driver.apply, changes)

    def bound(self) -> Leased:
        return until("a lease", lambda: self.told[-1:], lambda s: bool(s) and s[0].address)[0]  # type: ignore[arg-type, return-value]  # true or not is enough

    def links(self) -> list[str]:
        words = self.host.ip("-o", "link", "show", "type", "macvlan").split()
        return [word.partition("@")[0] for word in words if word.startswith("fldh")]

    def address(self, *words: str) -> None:
        self.host.ip("address", *words, "dev", "lan")

    def end(self) -> None:
        self.host.call(self.driver.withdraw)
        self.driver.close()


class Ears:
    """Counts the frames that a host sends with the MAC of the lease."""

    def __init__(self, host: Host) -> None:
        self.count = 0
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=host.call, args=(self._listen,))

    def __enter__(self) -> "Ears":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _listen(self) -> None:
        mac = bytes.fromhex(ROW.mac.replace(":", ""))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
            wire.bind(("lan", 3))
            wire.settimeout(0.1)
            self._ready.set()
            while not self._stop.is_set():
                try:
                    frame, place = wire.recvfrom(2048)
                except TimeoutError:
                    continue
                self.count += place[2] == socket.PACKET_OUTGOING and frame[6:12] == mac


@pytest.fixture(scope="module")
def lab() -> Iterator[Hosts]:
    """Two engines and the host of the server."""
    with Lab(cluster(lan=["192.168.0.0/24"], engines=2, pods=1)) as hosts:
        yield hosts


@pytest.fixture
def server(lab: Hosts) -> Iterator[DhcpServer]:
    """It is asked again every three seconds."""
    pool = ("192.168.0.150", "192.168.0.159")
    with DhcpServer(lab["client"], pool=pool, renew=3, rebind=8) as made:
        yield made
        print(made.said()[-4000:])


@pytest.fixture
def engines(lab: Hosts) -> Iterator[tuple[Engine, Engine]]:
    """Both of them."""
    made = Engine(lab["engine-1"]), Engine(lab["engine-2"])
    yield made
    for one in made:
        one.end()
        assert one.links() == []


def given(server: DhcpServer) -> list[str]:
    return [one.address for one in server.leases()]


def test_a_lease_that_moves_is_the_same_and_its_former_holder_is_silent(
    server: DhcpServer, engines: tuple[Engine, Engine]
) -> None:
    first, second = engines
    first.hold()
    lease = first.bound()
    assert first.links() == [macvlan_name(KEY)]
    asked = server.said().count("DHCPDISCOVER")
    first.drop(ended=False)
    assert first.links() == []
    with Ears(first.host) as former:
        second.address("add", f"{lease.address}/32")
        second.hold(lease)
        assert second.bound().address == lease.address
        renewed = server.said().count("DHCPACK")
        until("a renewal", server.said, lambda said: said.count("DHCPACK") > renewed, 20)
    second.address("delete", f"{lease.address}/32")
    assert former.count == 0
    assert server.said().count("DHCPDISCOVER") == asked
    assert "DHCPRELEASE" not in server.said()
    assert given(server) == [str(lease.address)]
    second.drop(ended=True)
    becomes([], given, server)


def test_two_that_hold_it_for_a_moment_are_one_client(
    server: DhcpServer, engines: tuple[Engine, Engine]
) -> None:
    """The same MAC at two ports of the switch, as when two engines do not agree yet."""
    first, second = engines
    first.hold()
    lease = first.bound()
    second.hold(lease)
    assert second.bound().address == lease.address
    first.drop(ended=False)
    first.hold(lease)
    until("both", lambda: len(first.told), lambda seen: seen >= 2)
    assert {one.address for one in [*first.told, *second.told]} == {lease.address}
    assert given(server) == [str(lease.address)]


def test_who_may_not_hold_vips_is_silent_and_goes_on_later(
    server: DhcpServer, engines: tuple[Engine, Engine]
) -> None:
    """Cut off from the majority: whoever holds the VIP now is the client."""
    first, second = engines
    first.hold()
    lease = first.bound()
    first.host.call(first.driver.hush, True)
    assert first.links() == []
    assert first.host.call(first.driver.observe) == DhcpDesired({KEY: ROW})  # nothing to repair
    with Ears(first.host) as former:
        second.hold(lease)
        second.bound()
        second.drop(ended=False)
    assert former.count == 0
    told = len(first.told)
    first.host.call(first.driver.hush, False)
    until("its return", lambda: first.told[told:], bool)
    assert first.bound().address == lease.address
    assert given(server) == [str(lease.address)]
    assert "DHCPRELEASE" not in server.said()
    first.drop(ended=True)
    becomes([], given, server)


def test_a_crash_in_the_middle_of_an_exchange_leaves_one_lease(
    server: DhcpServer, engines: tuple[Engine, Engine]
) -> None:
    """The first engine has an offer, and is no more; the second asks from the start."""
    first, second = engines
    first.hold()
    until("an offer", server.said, lambda said: "DHCPOFFER" in said)
    first.drop(ended=False)
    second.hold()
    lease = second.bound()
    assert given(server) == [str(lease.address)]


def test_a_macvlan_that_somebody_removes_is_made_again(engines: tuple[Engine, Engine]) -> None:
    first, _ = engines
    first.hold()
    wanted = DhcpDesired({KEY: ROW})
    assert first.host.call(first.driver.observe) == wanted
    first.host.ip("link", "delete", macvlan_name(KEY))
    assert first.host.call(first.driver.observe) == DhcpDesired()
    first.hold()
    assert first.links() == [macvlan_name(KEY)]
    # one that nobody wants is removed
    first.host.call(first.driver.prune, DhcpDesired())
    assert first.links() == []


def test_the_macvlan_speaks_to_nobody(engines: tuple[Engine, Engine]) -> None:
    first, _ = engines
    first.hold()
    (name,) = first.links()
    assert "inet" not in first.host.ip("address", "show", "dev", name)
    first.host.ip("link", "set", name, "down")
    first.host.ip("link", "set", name, "up")
    assert "inet6" not in first.host.ip("address", "show", "dev", name)


def test_a_wished_address_and_an_interface_that_is_not_there(
    server: DhcpServer, engines: tuple[Engine, Engine]
) -> None:
    from fairlead.drivers.base import DriverError

    first, _ = engines
    with pytest.raises(DriverError, match="no interface nowhere"):
        first.host.call(
            first.driver.apply, DhcpChanges({KEY: DhcpRow(ROW.mac, interface="nowhere")})
        )
    wish = DhcpRow(ROW.mac, requested=ip_address("192.168.0.157"))
    first.host.call(first.driver.apply, DhcpChanges({KEY: wish}))
    assert first.bound().address == ip_address("192.168.0.157")
    first.drop(ended=True)
