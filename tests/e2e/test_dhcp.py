"""`fairlead up` and a real DHCP server: leases, and everything that becomes of them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fairlead.lab import Hosts
from fairlead.lab.dhcp import DhcpServer

from .asking import User
from .manifests import Manifest, pod, port, service
from .serving import Up, becomes, until

pytestmark = pytest.mark.root
FIRST, LAST = "192.168.0.150", "192.168.0.159"
Servers = Callable[..., DhcpServer]


@pytest.fixture
def serve(lab: Hosts) -> Iterator[Servers]:
    """`serve(pool=(first, last))`: a DHCP server on the second client, until the test ends."""
    with ExitStack() as stack:

        def start(**how: Any) -> DhcpServer:
            where = lab[how.pop("on", "client-2")]
            server = DhcpServer(where, **{"pool": (FIRST, LAST), **how})
            stack.enter_context(server)
            stack.callback(lambda: print(server.said()[-4000:]))
            return server

        yield start


def leased(name: str, number: int = 80, app: str = "", **notes: str) -> Manifest:
    """A Service on 0.0.0.0; annotations by their last part."""
    named = {f"kube-vip.io/{key}": text for key, text in notes.items()}
    return service(name, port(number), app=app, annotations=named, loadBalancerIP="0.0.0.0")


def address_of(up: Up, name: str) -> str:
    """The address of a Service, once it has one."""
    (address,) = until(f"an address of {name}", lambda: up.addresses(name), bool)
    return address


def lease_of(up: Up, name: str) -> dict[str, str]:
    """What `explain` says of the lease of a Service."""
    told = json.loads(up.command("explain", f"svc/default/{name}", "-o", "json"))
    (lease,) = told["leases"]
    return dict(lease)


def _another(up: Up, address: str) -> list[str]:
    return until("another", lambda: up.addresses("web"), lambda s: s not in ([], [address]), 40)


def macvlans(up: Up) -> list[dict[str, Any]]:
    """The interfaces of leases."""
    return list(json.loads(up.host.ip("-j", "-d", "link", "show", "type", "macvlan")))


def renewals(server: DhcpServer) -> int:
    """How often it acknowledged something."""
    return server.said().count("DHCPACK")


def test_an_address_is_leased_renewed_and_given_back(
    up: Up, lab: Hosts, user: User, serve: Servers
) -> None:
    server = serve(renew=3, rebind=8)
    up.folder.put("pods", pod(lab["pod-a"], "a"))
    up.folder.put("web", leased("web", app="a", loadbalancerHostname="mydhcp-test"))
    up.start()
    address = address_of(up, "web")
    becomes("pod-a", user.tcp, address, 80)
    (given,) = server.leases()
    assert (given.address, given.name) == (address, "mydhcp-test")
    assert given.client_id.replace(":", "") == "00" + b"mydhcp-test".hex()
    lease = lease_of(up, "web")
    assert (lease["state"], lease["mac"]) == ("Bound", given.mac)
    assert given.mac not in {up.host.mac(), "00:00:00:00:00:00"}
    # the macvlan carries the lease and nothing else; the VIP is on the LAN's interface
    (link,) = macvlans(up)
    assert link["address"] == given.mac
    assert "NOARP" in link["flags"]
    assert (
        json.loads(up.host.ip("-j", "address", "show", "dev", link["ifname"]))[0]["addr_info"] == []
    )
    assert up.held("lan") == [address]
    assert user.macs(address) == [up.host.mac()]
    # it is renewed with its server, by what is said to the VIP itself
    before = renewals(server)
    until("two renewals", lambda: renewals(server), lambda seen: seen >= before + 2)
    assert address_of(up, "web") == address
    up.folder.drop("web")
    becomes([], server.leases)
    becomes([], macvlans, up)
    becomes([], up.held)


def test_a_killed_process_goes_on_with_the_same_lease(
    up: Up, lab: Hosts, user: User, serve: Servers
) -> None:
    server = serve()
    up.folder.put("pods", pod(lab["pod-a"], "a"))
    up.folder.put("web", leased("web", app="a"))
    up.start()
    address = address_of(up, "web")
    becomes("pod-a", user.tcp, address, 80)
    asked = server.said().count("DHCPDISCOVER")
    confirmed = renewals(server)
    until("status", up.state.joinpath("status.json").read_text, lambda text: "expiresAt" in text)
    up.kill()
    assert up.held() == [address]
    up.start()
    until("the confirmation", lambda: renewals(server), lambda seen: seen > confirmed)
    becomes("pod-a", user.tcp, address, 80)
    assert server.said().count("DHCPDISCOVER") == asked
    assert [one.address for one in server.leases()] == [address]
    assert len(macvlans(up)) == 1


def test_what_a_killed_process_left_is_removed(up: Up, serve: Servers) -> None:
    serve()
    up.folder.put("web", leased("web"))
    up.start()
    address_of(up, "web")
    up.kill()
    assert len(macvlans(up)) == 1
    up.folder.drop("web")
    up.start("--yes")
    becomes([], macvlans, up)
    becomes([], up.held)


@pytest.mark.parametrize("forgets", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_server_that_was_away_finds_the_lease_as_it_was(
    up: Up, serve: Servers, forgets: bool
) -> None:
    """With its lease file lost too, as long as it may give the address."""
    server = serve(renew=2, rebind=5, options=["--dhcp-authoritative"])
    up.folder.put("web", leased("web"))
    up.start()
    address = address_of(up, "web")
    server.stop()
    if forgets:
        server.forget()
    server.start()
    before = renewals(server)
    until("a renewal", lambda: renewals(server), lambda seen: seen > before, 30)
    becomes([address], lambda: [one.address for one in server.leases()])
    assert up.addresses("web") == [address]
    assert up.held("lan") == [address]


def test_a_full_pool_is_told_with_the_server_and_ends_by_itself(up: Up, serve: Servers) -> None:
    server = serve(pool=(FIRST, FIRST))
    up.folder.put("first", leased("first"))
    up.start()
    assert address_of(up, "first") == FIRST
    up.folder.put("second", leased("second"))
    becomes("Pending DHCPRefused", up.verdict, "second")
    entry = up.entry("second")
    assert entry is not None
    assert any(f"DHCP server {one.ip} on lan" in entry.message for one in server.host.spec.lan)
    up.folder.drop("first")
    until("its turn", lambda: up.addresses("second"), lambda seen: seen == [FIRST], 30)


def test_no_server_is_told_with_the_interface(up: Up) -> None:
    up.folder.put("web", leased("web"))
    up.start()
    becomes("Pending DHCPRefused", up.verdict, "web")
    entry = up.entry("web")
    assert entry is not None
    assert "no DHCP server answers on lan" in entry.message


def test_two_vips_with_one_hostname_get_two_addresses(up: Up, serve: Servers) -> None:
    server = serve()
    up.folder.put("one", leased("one", loadbalancerHostname="same"))
    up.start()
    first = address_of(up, "one")
    up.folder.put("two", leased("two", loadbalancerHostname="same"))
    second = address_of(up, "two")
    assert first != second
    entry = up.entry("two")
    assert entry is not None
    assert "hostname same is the DHCP client identifier of default/one" in entry.message
    ids = {bytes.fromhex(one.client_id.replace(":", "")[2:]).decode() for one in server.leases()}
    assert "same" in ids
    assert len(ids) == 2


def test_services_with_one_macvlan_name_share_a_lease(up: Up, serve: Servers) -> None:
    server = serve()
    up.folder.put("one", leased("one", 80, macvlanName="lan7"))
    up.folder.put("two", leased("two", 81, macvlanName="lan7"))
    up.start()
    assert address_of(up, "one") == address_of(up, "two")
    assert len(server.leases()) == 1
    up.folder.drop("one")
    until("one of them", lambda: up.addresses("one"), lambda seen: seen == [])
    assert len(server.leases()) == 1
    up.folder.drop("two")
    becomes([], server.leases)


def test_a_reservation_by_mac_and_a_wished_address_are_kept(up: Up, serve: Servers) -> None:
    mac = "02:00:5e:10:00:07"
    server = serve(options=[f"--dhcp-host={mac},192.168.0.190"])
    up.folder.put("fixed", leased("fixed", hwaddr=mac))
    up.folder.put("wished", leased("wished", requestedIP="192.168.0.157"))
    up.start()
    assert address_of(up, "fixed") == "192.168.0.190"
    assert address_of(up, "wished") == "192.168.0.157"
    assert {one.mac for one in server.leases()} >= {mac}


def test_a_refused_renewal_moves_the_vip_to_another_address(up: Up, serve: Servers) -> None:
    """The server comes back with another pool, and says no to what it knows nothing of."""
    server = serve(renew=3, rebind=8)
    up.folder.put("web", leased("web"))
    up.start()
    address = address_of(up, "web")
    server.stop()
    server.forget()
    server.pool = ("192.168.0.170", "192.168.0.171")
    server.start()
    now = until(
        "another", lambda: up.addresses("web"), lambda seen: seen not in ([], [address]), 30
    )
    assert now[0] in server.pool
    becomes(now, up.held, "lan")
    assert [one.address for one in server.leases()] == now
    assert "NAK" in server.said()


def test_another_server_takes_over_the_lease_when_the_first_is_gone(
    up: Up, lab: Hosts, serve: Servers
) -> None:
    """At rebinding any server may renew it."""
    first = serve(renew=2, rebind=5)
    up.folder.put("web", leased("web"))
    up.start()
    address = address_of(up, "web")
    first.stop()
    second = serve(on="client", options=["--dhcp-authoritative"])
    until("the other", second.leases, bool, 30)
    assert [one.address for one in second.leases()] == [address]
    assert up.addresses("web") == [address]


@pytest.mark.slow
def test_a_server_with_other_addresses_gives_one_of_them_when_it_refuses(
    up: Up, serve: Servers
) -> None:
    first = serve(renew=2, rebind=5)
    up.folder.put("web", leased("web"))
    up.start()
    address = address_of(up, "web")
    first.stop()
    pool = ("192.168.0.180", "192.168.0.181")
    second = serve(on="client", pool=pool, options=["--dhcp-authoritative"])
    now = until(
        "another", lambda: up.addresses("web"), lambda seen: seen not in ([], [address]), 40
    )
    assert now[0] in pool
    assert [one.address for one in second.leases()] == now


V6 = ("fd00:2::1:100", "fd00:2::1:1ff")


def leased6(name: str, address: str = "::", **notes: str) -> Manifest:
    """The same with IPv6."""
    return leased(name, 80, loadbalancerIPs=address, **notes)


def test_ipv6_addresses_are_leased_by_clients_of_their_own(up: Up, serve: Servers) -> None:
    server = serve(pool=V6)
    up.folder.put("one", leased6("one", loadbalancerHostname="six"))
    up.folder.put("two", leased6("two"))
    up.start()
    addresses = {address_of(up, "one"), address_of(up, "two")}
    assert {one.address for one in server.leases()} == addresses
    assert len({one.client_id for one in server.leases()}) == 2
    assert "six" in {one.name for one in server.leases()}
    lease = lease_of(up, "one")
    assert (lease["family"], lease["state"]) == ("IPv6", "Bound")
    until("the address", lambda: set(up.held("lan")), lambda seen: seen == addresses)
    asked = server.said().count("DHCPSOLICIT")
    until("status", up.state.joinpath("status.json").read_text, lambda text: "expiresAt" in text)
    up.kill()
    up.start()
    until("both confirmed", server.said, lambda said: said.count("DHCPREBIND") >= 2)
    assert {address_of(up, "one"), address_of(up, "two")} == addresses
    assert server.said().count("DHCPSOLICIT") == asked
    up.folder.drop("one")
    until("it given back", server.leases, lambda seen: len(seen) == 1)
    up.folder.drop("two")
    becomes([], server.leases)


def test_both_families_come_from_two_servers_together(up: Up, serve: Servers) -> None:
    four, six = serve(), serve(on="client", pool=V6)
    up.folder.put("web", leased6("web", "0.0.0.0,::"))
    up.start()
    found = until("both", lambda: up.addresses("web"), lambda seen: len(seen) == 2)
    assert {one.address for one in [*four.leases(), *six.leases()]} == set(found)


def test_a_full_ipv6_pool_is_told_with_the_server(up: Up, serve: Servers) -> None:
    serve(pool=(V6[0], V6[0]))
    up.folder.put("one", leased6("one"))
    up.start()
    address_of(up, "one")
    up.folder.put("two", leased6("two"))
    becomes("Pending DHCPRefused", up.verdict, "two")
    entry = up.entry("two")
    assert entry is not None
    assert "DHCP server fe80::" in entry.message


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_an_ipv6_lease_is_renewed(up: Up, serve: Servers) -> None:
    """A minute is the soonest that this server is asked again."""
    server = serve(pool=V6, lease="2m")
    up.folder.put("web", leased6("web"))
    up.start()
    address = address_of(up, "web")
    until("a renewal", server.said, lambda said: "DHCPRENEW" in said, 90)
    assert up.addresses("web") == [address]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_expired_lease_is_withdrawn_and_another_one_is_got(up: Up, serve: Servers) -> None:
    """Two minutes are the shortest lease that the server gives."""
    server = serve(lease="2m", renew=20, rebind=40)
    up.folder.put("web", leased("web"))
    up.start()
    address = address_of(up, "web")
    server.stop()
    time.sleep(100)
    assert up.held() == [address]  # silence takes nothing away before its time
    until("its end", lambda: up.verdict("web"), lambda seen: seen.startswith("Pending"), 60)
    becomes([], up.held)
    server.start()
    until("a new one", lambda: up.addresses("web"), bool, 90)
    assert address
