"""What comes from the network: messages, and everything that is none."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pyroute2.dhcp.dhcp4msg import dhcp4msg
from pyroute2.dhcp.enums.dhcp import MessageType
from pyroute2.dhcp.messages import ReceivedDHCPMessage

from fairlead.drivers.dhcp import client4, wire6
from fairlead.drivers.dhcp.client4 import Client4, Heard
from fairlead.drivers.dhcp.exchange import Parent
from fairlead.drivers.dhcp.wire6 import Lease6, association, fqdn, message, option, read
from fairlead.model.desired import DhcpRow

ADDRESS = IPv6Address("fd00:2::150")
DUID, OURS = b"\x00\x04" + bytes(16), b"\x00\x04" + bytes(range(16))


def reply(*inside: bytes, kind: int = wire6.REPLY, number: int = 1) -> bytes:
    """A message from a server about one association."""
    head = number.to_bytes(4, "big") + (60).to_bytes(4, "big") + (90).to_bytes(4, "big")
    who = option(wire6.SERVER_ID, DUID), option(wire6.CLIENT_ID, OURS)
    return message(kind, 7, *who, option(wire6.IA_NA, head + b"".join(inside)))


def address(valid: int = 120, *, what: IPv6Address = ADDRESS) -> bytes:
    """An address with its lifetimes."""
    lifetimes = (60).to_bytes(4, "big") + valid.to_bytes(4, "big")
    return option(wire6.IA_ADDRESS, what.packed + lifetimes)


def test_an_address_is_read_with_its_times() -> None:
    found = read(reply(address()), 1)
    assert found is not None
    assert (found.kind, found.xid, found.client, found.server) == (wire6.REPLY, 7, OURS, DUID)
    assert found.lease == Lease6(ADDRESS, 60, 90, 120)
    assert found.status == wire6.SUCCESS


def test_a_refusal_is_read_with_its_words() -> None:
    status = option(wire6.STATUS, b"\x00\x02no addresses\x1b[31m available")
    found = read(reply(status), 1)
    assert found is not None
    assert (found.lease, found.status) == (None, wire6.NO_ADDRESSES)
    assert found.text == "no addresses[31m available"  # nothing that a terminal would obey


@pytest.mark.parametrize(
    "inside",
    [
        address(what=IPv6Address("ff02::1")),
        address(what=IPv6Address("fe80::1")),
        address(what=IPv6Address("::")),
        option(wire6.IA_ADDRESS, ADDRESS.packed),
        b"\x00\x05\xff\xff" + ADDRESS.packed,
    ],
)
def test_an_address_that_no_vip_can_have_is_none(inside: bytes) -> None:
    found = read(reply(inside), 1)
    assert found is not None
    assert found.lease is None


def test_another_association_is_not_ours() -> None:
    found = read(reply(address(), number=2), 1)
    assert found is not None
    assert found.lease is None


@given(some.binary(max_size=300))
def test_whatever_comes_is_read_or_is_nothing(data: bytes) -> None:
    read(data, 1)
    whole = reply(address())
    read(whole[: len(data) % len(whole)] + data, 1)


def test_what_we_say_can_be_read() -> None:
    data = message(wire6.REQUEST, 9, option(wire6.SERVER_ID, DUID), association(1, ADDRESS))
    found = read(data, 1)
    assert found is not None
    assert (found.kind, found.xid) == (wire6.REQUEST, 9)
    assert found.lease == Lease6(ADDRESS, 0, 0, 0)
    assert fqdn("web.lan") == b"\x00\x27\x00\x09\x01\x03web\x03lan"


# -- DHCPv4: what pyroute2 decoded, before it is believed ------------------------------------------


def heard(address: str = "10.0.0.150", **options: object) -> Heard:
    """An ACK."""
    content = {"message_type": MessageType.ACK, "server_id": "10.0.0.1", **options}
    made = dhcp4msg({"yiaddr": address, "options": content})
    return Heard(ReceivedDHCPMessage(dhcp=made, eth_src="02:00:00:00:00:01"), 1000.0)


def test_a_lease_runs_from_when_it_was_asked_for() -> None:
    terms = client4._terms(heard(lease_time=100, renewal_time=30, rebinding_time=60))
    assert terms is not None
    assert (terms.bound, terms.renew, terms.rebind, terms.expires) == (1000, 1030, 1060, 1100)
    assert (terms.server, terms.mac) == ("10.0.0.1", "02:00:00:00:00:01")


@pytest.mark.parametrize(
    ("address", "lease"),
    [
        ("0.0.0.0", 100),
        ("127.0.0.1", 100),
        ("224.0.0.1", 100),
        ("255.255.255.255", 100),
        ("169.254.1.1", 100),
        ("10.0.0.150", 0),
        ("10.0.0.150", -7),
        ("10.0.0.150", "long"),
    ],
)
def test_an_answer_that_makes_no_sense_is_none(address: str, lease: object) -> None:
    assert client4._terms(heard(address, lease_time=lease)) is None


def test_a_lease_without_end_is_one() -> None:
    terms = client4._terms(heard(lease_time=-1))
    assert terms is not None
    assert terms.expires == float("inf")


def test_what_a_server_says_is_kept_short_and_plain() -> None:
    said = client4._denied(heard(message="no\x1b[2J" + "o" * 400).message)
    assert said.message == "no[2J" + "o" * 195


# -- DHCPv4: what we say ---------------------------------------------------------------------------


def said(row: DhcpRow, *, macvlan: bool = True) -> dhcp4msg:
    """A DISCOVER as it is on the wire, read again."""
    parent = Parent("eth0", 2, "02:00:00:00:00:09", macvlan=macvlan)
    client = Client4(None, row, parent)  # type: ignore[arg-type]  # nothing is sent
    made = client._message(MessageType.DISCOVER, {})
    made.dhcp["xid"] = 7
    assert made.eth_src == row.mac
    return dhcp4msg(buf=made.dhcp.encode().buf).decode()


@pytest.mark.parametrize(
    ("asked", "macvlan", "broadcast"),
    [(False, True, False), (True, True, True), (False, False, True)],
)
def test_servers_answer_by_broadcast_where_that_is_asked_for_or_needed(
    asked: bool, macvlan: bool, broadcast: bool
) -> None:
    row = DhcpRow("02:00:00:00:00:01", broadcast=asked)
    assert bool(said(row, macvlan=macvlan)["flags"] & 0x8000) == broadcast


def test_the_client_is_its_mac_or_its_name() -> None:
    plain = said(DhcpRow("02:00:00:00:00:01"))
    assert plain["chaddr"] == "02:00:00:00:00:01"
    assert plain["options"].keys() == {"message_type", "parameter_list"}
    named = said(DhcpRow("02:00:00:00:00:01", client_id="web", hostname="web"))["options"]
    assert named["host_name"] == "web"
    assert named["client_id"] == {"type": 0, "key": b"web"}
