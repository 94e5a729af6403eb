"""kube-vip: address lists, DHCP, ignoring on request, classes in both kinds of handling."""

from ipaddress import ip_address

import pytest

from fairlead.dialects.kubevip import INTERFACE
from fairlead.model.config import Config
from fairlead.model.names import GroupKey
from fairlead.model.verdict import Code, State
from tests.dialects.make import claim_in, claims_of, reason_in, service, verdict_in

LIST = "kube-vip.io/loadbalancerIPs"
CLASS = "kube-vip.io/kube-vip-class"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("192.168.0.220", ["192.168.0.220"]),
        (" 192.168.0.220 , fd00::220 ", ["192.168.0.220", "fd00::220"]),
        ("fd00::220,192.168.0.220", ["192.168.0.220", "fd00::220"]),
        ("192.168.0.220,192.168.0.220", ["192.168.0.220"]),
        ("192.168.0.220,", ["192.168.0.220"]),
    ],
)
def test_address_lists(text: str, wanted: list[str]) -> None:
    claim = claim_in(claims_of(service(notes={LIST: text})))
    assert list(claim.addresses) == [ip_address(entry) for entry in wanted]
    assert claim.group is None
    assert claim.outside_pools


def test_the_annotation_comes_before_the_field_even_when_empty() -> None:
    claims = claims_of(
        service("full", {LIST: "10.0.0.1"}, loadBalancerIP="10.0.0.2"),
        service("empty", {LIST: ""}, loadBalancerIP="10.0.0.2"),
    )
    assert claim_in(claims, "full").addresses == (ip_address("10.0.0.1"),)
    assert claim_in(claims, "empty").addresses == ()
    assert claim_in(claims, "empty").group == GroupKey("kube-vip", "service", "default", "empty")


def test_two_addresses_of_both_families_are_both_wanted() -> None:
    claim = claim_in(claims_of(service(notes={LIST: "10.0.0.1,fd00::1"})))
    assert (claim.families, claim.family_policy) == ((4, 6), "RequireDualStack")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.0.0.1,10.0.0.2", "are both IPv4"),
        ("fd00::1,fd00::2", "are both IPv6"),
        ("vip.example.org", "'vip.example.org' is not an IP address"),
        ("10.0.0.1,vip.example.org", "'vip.example.org' is not an IP address"),
        ("127.0.0.1", "is a loopback address"),
        ("224.0.0.9", "is a multicast address"),
        ("fe80::1%eth0", "is not an IP address"),
        ("::ffff:10.0.0.1", "IPv4 address in IPv6 clothes"),
        ("10.0.0.1," * 1000, "is longer than 4096 characters"),
    ],
)
def test_lists_that_cannot_be_read(text: str, told: str) -> None:
    claims = claims_of(service(notes={LIST: text}))
    assert verdict_in(claims).state is State.REJECTED
    assert reason_in(claims).code is Code.INVALID_OBJECT
    assert told in reason_in(claims).message
    assert LIST in reason_in(claims).message


@pytest.mark.parametrize(
    ("text", "families", "static"),
    [
        ("0.0.0.0", (4,), ()),
        ("::", (6,), ()),
        ("0.0.0.0,::", (4, 6), ()),
        ("192.168.0.220,::", (6,), ("192.168.0.220",)),
        ("0.0.0.0, 192.168.0.220", None, ("192.168.0.220",)),
    ],
)
def test_dhcp_is_asked_for_what_is_not_written(
    text: str, families: tuple[int, ...] | None, static: tuple[str, ...]
) -> None:
    claim = claim_in(claims_of(service(notes={LIST: text})))
    assert (claim.dhcp.families if claim.dhcp else None) == families
    assert claim.addresses == tuple(map(ip_address, static))


def test_dhcp_wishes_are_read() -> None:
    notes = {
        LIST: "0.0.0.0",
        "kube-vip.io/hwaddr": "00-00-6C-0A-0B-0C",
        "kube-vip.io/requestedIP": "10.0.0.50",
        "kube-vip.io/dhcp-broadcast": "true",
        "kube-vip.io/loadbalancerHostname": "web",
    }
    claim = claim_in(claims_of(service(notes=notes)))
    assert claim.dhcp is not None
    assert claim.dhcp.mac == "00:00:6c:0a:0b:0c"
    assert claim.dhcp.requested == (ip_address("10.0.0.50"),)
    assert claim.dhcp.broadcast
    assert claim.dhcp.hostname == "web"
    assert claim.warnings == ()


@pytest.mark.parametrize(
    ("note", "text"),
    [
        ("hwaddr", "01:00:5e:00:00:01"),
        ("hwaddr", "00:00:00:00:00:00"),
        ("hwaddr", "02:00:00:00:00"),
        ("requestedIP", "somewhere"),
        ("loadbalancerHostname", "two words"),
    ],
)
def test_a_wish_of_a_lease_that_cannot_be_read_has_no_effect(note: str, text: str) -> None:
    notes = {LIST: "0.0.0.0", f"kube-vip.io/{note}": text}
    claim = claim_in(claims_of(service(notes=notes)))
    assert claim.dhcp is not None
    assert (claim.dhcp.mac, claim.dhcp.requested, claim.dhcp.hostname) == ("", (), "")
    assert [one.code for one in claim.warnings] == [Code.INVALID_OBJECT]


def test_a_macvlan_name_is_the_group_and_else_the_service_is() -> None:
    shared = {LIST: "0.0.0.0", "kube-vip.io/macvlanName": "lan7"}
    assert claim_in(claims_of(service(notes=shared))).group == (
        "kube-vip", "macvlan", "", "lan7",
    )  # fmt: skip
    alone = claim_in(claims_of(service(notes={LIST: "0.0.0.0"}))).group
    assert alone is not None
    assert alone.scope == "dhcp"


@pytest.mark.parametrize("notes", [{}, {LIST: "10.0.0.1"}])
@pytest.mark.parametrize("spec", [{}, {"loadBalancerClass": CLASS}, {"loadBalancerIP": "10.0.0.1"}])
def test_ignored_on_request(notes: dict[str, str], spec: dict[str, str]) -> None:
    claims = claims_of(service(notes={**notes, "kube-vip.io/ignore": "true"}, **spec))
    assert verdict_in(claims).state is State.IGNORED
    assert reason_in(claims).code is Code.IGNORED_ON_REQUEST


@pytest.mark.parametrize("text", ["True", "TRUE", "1", "yes", "true ", ""])
def test_only_the_exact_text_ignores(text: str) -> None:
    claims = claims_of(service(notes={LIST: "10.0.0.1", "kube-vip.io/ignore": text}))
    assert claim_in(claims).dialect == "kube-vip"


LEGACY = Config()
ONLY = Config(load_balancer_class_only=True)
EXACT = Config(load_balancer_class_legacy_handling=False)
NAMELESS = Config(load_balancer_class_legacy_handling=False, load_balancer_class_name="")
RENAMED = Config(load_balancer_class_name="example.org/lb")


@pytest.mark.parametrize(
    ("config", "unset", "default", "renamed"),
    [
        (LEGACY, True, True, False),
        (ONLY, False, True, False),
        (EXACT, False, True, False),
        (NAMELESS, True, False, False),
        (RENAMED, True, False, True),
    ],
)
def test_class_handling(config: Config, unset: bool, default: bool, renamed: bool) -> None:
    notes = {LIST: "10.0.0.1"}
    classes = {"unset": None, "default": CLASS, "renamed": "example.org/lb"}
    items = [service(name, notes, loadBalancerClass=value) for name, value in classes.items()]
    claims = claims_of(*items, config=config)
    for name, served in zip(classes, (unset, default, renamed), strict=True):
        if served:
            assert claim_in(claims, name).dialect == "kube-vip"
        else:
            assert verdict_in(claims, name).state is State.IGNORED
            assert reason_in(claims, name).code is Code.CLASS_MISMATCH


def test_the_hostname_for_dhcp() -> None:
    notes = {LIST: "10.0.0.1", "kube-vip.io/loadbalancerHostname": "web-1"}
    assert claim_in(claims_of(service(notes=notes))).hostname == "web-1"


@pytest.mark.parametrize(("text", "wanted"), [("eth1", "eth1"), (" br0.5 ", "br0.5"), ("auto", "")])
def test_the_interface(text: str, wanted: str) -> None:
    one = service(notes={INTERFACE: text})
    assert claim_in(claims_of(one)).interface == wanted


@pytest.mark.parametrize("text", ["a/b", "sixteen-letters-", "two words", "eth0:1"])
def test_what_is_no_interface_is_a_warning(text: str) -> None:
    one = service(notes={INTERFACE: text})
    claim = claim_in(claims_of(one))
    assert claim.interface == ""
    (warning,) = claim.warnings
    assert "is no name of an interface" in warning.message


FORWARD, LEASE = "kube-vip.io/forwardUPNP", "kube-vip.io/upnp-lease-duration"
UPNP = Config(enable_upnp=True)


@pytest.mark.parametrize(
    ("text", "seconds", "told"),
    [
        (None, 3600, ""),
        ("1h", 3600, ""),
        ("1h30m", 5400, ""),
        ("90m0.5s", 5400, ""),
        ("0", 0, ""),
        ("0s", 0, ""),
        ("30s", 120, "the shortest"),
        ("1ns", 120, "the shortest"),
        ("87600h", 604800, "the longest"),
        ("", 3600, "is no duration"),
        ("-5m", 3600, "is no duration"),
        ("1", 3600, "is no duration"),
        ("1d", 3600, "is no duration"),
        ("1h x", 3600, "is no duration"),
        ("9" * 4000 + "h", 3600, "is no duration"),
    ],
)
def test_the_lease_of_a_port_on_the_gateway(text: str | None, seconds: int, told: str) -> None:
    notes = {FORWARD: "true"} | ({} if text is None else {LEASE: text})
    claim = claim_in(claims_of(service(notes=notes), config=UPNP))
    assert claim.forward == seconds
    assert told in " ".join(warning.message for warning in claim.warnings)
    assert bool(claim.warnings) == bool(told)


@pytest.mark.parametrize(
    ("text", "config", "code"),
    [
        ("false", UPNP, None),
        ("true", Config(), Code.NOT_FORWARDED),
        ("True", UPNP, Code.INVALID_OBJECT),
        ("", UPNP, Code.INVALID_OBJECT),
    ],
)
def test_without_a_wish_or_a_setting_no_port_is_opened(
    text: str, config: Config, code: Code | None
) -> None:
    claim = claim_in(claims_of(service(notes={FORWARD: text}), config=config))
    assert claim.forward is None
    assert [warning.code for warning in claim.warnings] == ([code] if code else [])
