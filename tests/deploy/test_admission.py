"""What the API server takes and refuses, and how that looks with kubectl."""

import json
from typing import Any

import pytest

from fairlead.dialects.pools import FORBIDDEN
from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.addresses import parse_range

from .rendered import ROOT

Spec = dict[str, Any]
PEER: Spec = {"peerAsn": 64512, "localAsn": 64513, "address": "192.0.2.1"}
GROUP: Spec = {"dialect": "fairlead", "scope": "Service", "name": "web"}
GOOD = [
    "10.0.0.0/24",
    "10.0.0.7/24",
    "10.0.0.7",
    "10.0.0.1-10.0.0.9",
    " 10.0.0.1 - 10.0.0.9 ",
    "fd00::/64",
    "fd00::1",
    "fd00::1-fd00::ffff",
    "FD00:0::1",
]
UNREADABLE = [
    "",
    "x",
    "10.0.0.300",
    "10.0.0.0/33",
    "10.0.0.0/",
    "010.0.0.1",
    "10.0.0.1-",
    "10.0.0.1-9",
    "10.0.0.1-10.0.0.5-10.0.0.9",
    "10.0.0.0/24-10.0.1.0/24",
    "fd00::g",
    "fd00::1%eth0",
    "::ffff:10.0.0.1",
]


def _object(kind: str, spec: Spec, name: str = "tried") -> str:
    api = "ako.vmware.com/v1beta1" if kind == "AviInfraSetting" else "fairlead.dev/v1alpha1"
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})


def _refusal(control: ControlPlane, kind: str, spec: Spec, name: str = "tried") -> str:
    """What the API server has against an object; nothing when it takes it."""
    done = control.kubectl(
        *("create", "--dry-run=server", "--validate=strict", "-f", "-"),
        input=_object(kind, spec, name),
        check=False,
    )
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


def _pool(*entries: str, **more: Any) -> Spec:
    return {"addresses": entries, **more}


def test_every_form_of_an_entry_is_taken(installed: ControlPlane) -> None:
    for entry in GOOD:
        parse_range(entry)
    assert _refusal(installed, "AddressPool", _pool(*GOOD)) == ""


@pytest.mark.parametrize("entry", UNREADABLE)
def test_an_entry_that_cannot_be_read_is_refused(installed: ControlPlane, entry: str) -> None:
    said = _refusal(installed, "AddressPool", _pool("10.0.0.0/24", entry))
    assert f"spec.addresses[1]: Invalid value: \"string\": '{entry}' is no CIDR, address or" in said


def test_all_unreadable_entries_are_told_at_once(installed: ControlPlane) -> None:
    said = _refusal(installed, "AddressPool", _pool(*UNREADABLE))
    assert all(f"spec.addresses[{index}]" in said for index in range(len(UNREADABLE)))


def test_a_range_of_two_families_is_refused(installed: ControlPlane) -> None:
    said = _refusal(installed, "AddressPool", _pool("10.0.0.1-fd00::1", "10.0.0.1"))
    assert "spec.addresses: '10.0.0.1-fd00::1' mixes IPv4 and IPv6" in said


@pytest.mark.parametrize(
    "span", [span for span, _ in FORBIDDEN], ids=[str(span) for span, _ in FORBIDDEN]
)
def test_what_no_pool_may_hold_is_refused_when_it_is_applied(
    installed: ControlPlane, span: Any
) -> None:
    """The same addresses that the planner refuses, however they are written."""
    (cidr,) = span.networks()
    around = cidr.supernet(1)
    for entry in (str(cidr), str(span.first), str(span.last), f"{span.first}-{span.last}"):
        said = _refusal(installed, "AddressPool", _pool("10.9.9.9", entry))
        assert f"'{entry}' " in said
        assert "10.9.9.9" not in said
    if cidr.version == 6 and cidr[0].ipv4_mapped is not None:
        return  # CEL has no word for these addresses, so a CIDR around them is left to the status
    assert f"'{around}' " in _refusal(installed, "AddressPool", _pool(str(around)))


def test_the_largest_pool_is_within_what_the_rules_may_cost(installed: ControlPlane) -> None:
    host = "fd00:aaaa:bbbb:cccc:dddd:eeee:ffff"
    ranges = [f"{host}:{index:x} - {host}:{index + 1:x}" for index in range(0x1000, 0x1000 + 1023)]
    assert _refusal(installed, "AddressPool", _pool(*ranges, "10.0.0.0/24")) == ""
    assert "Too many" in _refusal(installed, "AddressPool", _pool(*ranges, "10.0.0.1", "10.0.0.2"))
    assert "'ff02::1' holds" in _refusal(installed, "AddressPool", _pool(*ranges, "ff02::1"))


REFUSED: dict[str, tuple[str, Spec, str]] = {
    "no addresses": ("AddressPool", {}, "spec.addresses: Required value"),
    "empty": ("AddressPool", _pool(), "spec.addresses in body should have at least 1 items"),
    "misspelt": ("AddressPool", _pool("10.0.0.1", autoasign=False), 'field "spec.autoasign"'),
    "choice": ("AddressPool", _pool("10.0.0.1", announce="arp"), "spec.announce: Unsupported"),
    "namespace": ("AddressPool", _pool("10.0.0.1", namespaces=["A/b"]), "spec.namespaces[0]"),
    "label": (
        "AddressPool",
        _pool("10.0.0.1", serviceSelector={"matchLabels": {"a": "b c"}}),
        "spec.serviceSelector.matchLabels.a",
    ),
    "selector": (
        "AddressPool",
        _pool("10.0.0.1", serviceSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "In and NotIn need values",
    ),
    "neither": ("BGPPeer", PEER | {"address": ""}, "give either address or listenRange"),
    "both": ("BGPPeer", PEER | {"listenRange": "10.0.0.0/8"}, "give either address or listenRange"),
    "no router": ("BGPPeer", PEER | {"address": "192.0.2"}, "spec.address: Invalid"),
    "no range": ("BGPPeer", PEER | {"listenRange": "192.0.2.1"}, "'192.0.2.1' is no CIDR"),
    "multicast": ("BGPPeer", PEER | {"address": "224.0.0.5"}, "'224.0.0.5' is not the address of"),
    "unspecified": ("BGPPeer", PEER | {"address": "0.0.0.0"}, "is not the address of a router"),
    "link-local": ("BGPPeer", PEER | {"address": "fe80::1"}, "is not the address of a router"),
    "asn": ("BGPPeer", PEER | {"peerAsn": 4294967296}, "spec.peerAsn"),
    "hold": ("BGPPeer", PEER | {"keepaliveSeconds": 4}, "at least three times keepaliveSeconds"),
    "hops": ("BGPPeer", PEER | {"localAsn": 64512, "ebgpMultihop": 2}, "ebgpMultihop is for eBGP"),
    "community": (
        "BGPPeer",
        PEER | {"communities": ["65000:1", "65000:65536", "loud"]},
        "spec.communities: '65000:65536', 'loud' is neither",
    ),
    "scale": ("EngineGroup", {"minScale": 3, "maxScale": 2}, "0 or at least minScale"),
    "mode": ("EngineGroup", {"mode": "Active"}, "spec.mode: Unsupported value"),
    "not canonical": ("VirtualIP", {"address": "FD00::1", "group": GROUP}, "canonical text"),
    "other name": ("VirtualIP", {"address": "10.0.0.1", "group": GROUP}, "must be the address"),
    "two names": (
        "AviInfraSetting",
        {"network": {"vipNetworks": [{"networkName": "a", "networkUUID": "b"}]}},
        "spec.network.vipNetworks[0]",
    ),
    "shard": ("AviInfraSetting", {"l7Settings": {"shardSize": "HUGE"}}, "l7Settings.shardSize"),
}
TAKEN: dict[str, tuple[str, Spec]] = {
    "peer": ("BGPPeer", PEER | {"communities": ["65000:1", "65000:1:2", "no-export"]}),
    "own machine": ("BGPPeer", PEER | {"address": "127.0.0.1", "port": 1790}),
    "link-local of a cloud": ("BGPPeer", PEER | {"address": "169.254.0.1", "ebgpMultihop": 2}),
    "listens": ("BGPPeer", {"peerAsn": 1, "localAsn": 1, "listenRange": "fd00::/64"}),
    "slow": ("BGPPeer", PEER | {"keepaliveSeconds": 4, "holdSeconds": 12}),
    "engines": ("EngineGroup", {"mode": "ActiveActive", "minScale": 3, "maxScale": 3}),
    "unlimited": ("EngineGroup", {"minScale": 3, "maxScale": 0}),
    "old ako": ("AviInfraSetting", {"network": {"names": ["vip"]}, "nsxSettings": {"t1lr": "x"}}),
    "new ako": (
        "AviInfraSetting",
        {
            "seGroup": {"name": "critical"},
            "l7Settings": {"shardSize": "MEDIUM"},
            "network": {
                "vipNetworks": [{"networkName": "vip", "cidr": "10.0.0.0/8"}],
                "nodeNetworks": [{"networkName": "node", "cidrs": ["10.0.0.0/8"]}],
                "enableRhi": True,
                "listeners": [{"port": 8443, "enableSSL": True}],
            },
        },
    ),
}


@pytest.fixture(scope="module")
def with_ako(installed: ControlPlane) -> ControlPlane:
    """AKO's kind beside ours."""
    installed.kubectl("apply", "--server-side", "-f", str(ROOT / "deploy" / "crds" / "ako"))
    installed.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    return installed


@pytest.mark.parametrize(("kind", "spec", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused(
    with_ako: ControlPlane, kind: str, spec: Spec, message: str
) -> None:
    name = "fd00-0-0-0-0-0-0-1" if spec.get("address") == "FD00::1" else "tried"
    assert message in _refusal(with_ako, kind, spec, name)


@pytest.mark.parametrize(("kind", "spec"), TAKEN.values(), ids=TAKEN)
def test_what_can_be_meant_is_taken(with_ako: ControlPlane, kind: str, spec: Spec) -> None:
    assert _refusal(with_ako, kind, spec) == ""


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1"])
def test_both_generations_of_ako_have_a_status(with_ako: ControlPlane, version: str) -> None:
    name = f"status-{version}"
    text = _object("AviInfraSetting", {"network": {"names": ["vip"]}}, name)
    with_ako.apply(text.replace("v1beta1", version))
    said = json.dumps({"status": {"status": "Rejected", "error": "no network vip"}})
    which = f"aviinfrasettings.{version}.ako.vmware.com/{name}"
    with_ako.kubectl("patch", which, "--subresource=status", "--type=merge", "-p", said)
    shown = with_ako.kubectl("get", which, "-o", "wide", "--no-headers").stdout
    assert shown.split()[:5] == [name, "Rejected", "no", "network", "vip"]


def test_kubectl_lists_by_short_names_and_columns(installed: ControlPlane) -> None:
    installed.apply(_object("AddressPool", _pool("192.0.2.0/28", autoAssign=False), "lan"))
    installed.apply(_object("BGPPeer", PEER, "tor"))
    installed.apply(_object("EngineGroup", {"mode": "ActiveActive", "minScale": 2}, "edge"))
    vip = {
        "address": "192.0.2.1",
        "group": GROUP,
        "pool": "lan",
        "engineGroup": "edge",
        "announce": "bgp",
        "members": ["Service/default/web"],
        "listeners": [{"protocol": "TCP", "port": 80, "service": "default/web"}],
    }
    installed.apply(_object("VirtualIP", vip, "192.0.2.1"))
    condition = {
        "type": "Accepted",
        "status": "False",
        "reason": "InvalidObject",
        "message": "ends before it begins",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    figures = {"status": {"assigned": 3, "size": "14", "conditions": [condition]}}
    arguments = ("--subresource=status", "--type=merge", "-p", json.dumps(figures))
    installed.kubectl("patch", "pool", "lan", *arguments)
    expected = {
        "pool": "lan ['192.0.2.0/28'] false 3 14 False".replace("'", '"'),
        "fbgp": "tor 192.0.2.1 64512 64513",
        "eng": "edge ActiveActive 2",
        "fvip": "192.0.2.1 192.0.2.1 lan default/web edge bgp",
    }
    for short, line in expected.items():
        shown = installed.kubectl("get", short, "--no-headers").stdout.split()
        assert shown[:-1] == line.split(), short
    together = installed.kubectl("get", "fairlead", "-o", "name").stdout.split()
    kinds = ("addresspool", "bgppeer", "enginegroup", "virtualip")
    assert [name.partition(".")[0] for name in together] == list(kinds)
    wide = installed.kubectl("get", "fvip", "-o", "wide", "--no-headers").stdout
    assert '["Service/default/web"]' in wide
    installed.kubectl("delete", "fairlead", "--all")


def test_kubectl_explains_the_fields(installed: ControlPlane) -> None:
    said = installed.kubectl("explain", "addresspool.spec.avoidFirstLast").stdout
    assert "<boolean>" in said
    assert "broadcast" in said


def test_an_address_never_changes(installed: ControlPlane) -> None:
    installed.apply(_object("VirtualIP", {"address": "10.0.0.1", "group": GROUP}, "10.0.0.1"))
    change = json.dumps({"spec": {"address": "10.0.0.2"}})
    arguments = ("patch", "fvip", "10.0.0.1", "--type=merge", "-p", change)
    done = installed.kubectl(*arguments, check=False)
    assert "an address never changes" in done.stderr
    installed.kubectl("delete", "fvip", "10.0.0.1")


def test_a_pool_that_is_refused_leaves_the_old_one(installed: ControlPlane) -> None:
    installed.apply(_object("AddressPool", _pool("192.0.2.0/28"), "kept"))
    for bad in ("192.0.2", "224.0.0.1"):
        done = installed.kubectl(
            *("apply", "--server-side", "-f", "-"),
            input=_object("AddressPool", _pool(bad), "kept"),
            check=False,
        )
        assert done.returncode == 1
    shown = installed.kubectl("get", "pool", "kept", "-o", "jsonpath={.spec.addresses}").stdout
    assert shown == '["192.0.2.0/28"]'
    installed.kubectl("delete", "pool", "kept")


def test_the_policies_are_well_typed(installed: ControlPlane) -> None:
    """The API server checks the expressions against the schemas, and would list warnings."""
    items = json.loads(installed.kubectl("get", "validatingadmissionpolicies", "-o", "json").stdout)
    ours = [one for one in items["items"] if one["metadata"]["name"].startswith("fairlead-")]
    assert len(ours) == 4
    for one in ours:
        name = one["metadata"]["name"]
        path = "jsonpath={.status.observedGeneration} {.status.typeChecking}"
        which = ("wait", "--for=jsonpath={.status.observedGeneration}=1", "--timeout=30s")
        installed.kubectl(*which, "validatingadmissionpolicy", name)
        said = installed.kubectl("get", "validatingadmissionpolicy", name, "-o", path).stdout
        assert said.split() == ["1", "{}"]
