"""The others on the LAN and on the engine: their addresses and tables are theirs."""

from collections.abc import Iterator

import pytest

from fairlead.lab import Host, Hosts

from .asking import Steady, User
from .manifests import pod, pool, port, service
from .serving import TABLE, Up, becomes

pytestmark = pytest.mark.root

V4, V6 = "192.0.2.10", "fd00:2::10"
BOTH = (V4, V6)
OTHER = "192.0.2.50"
RULES = """
table inet others {
    set admins { type ipv4_addr; elements = { 192.0.2.254 } }
    chain incoming {
        type filter hook input priority filter; policy accept;
        ip saddr @admins tcp dport 22 accept
    }
}
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        tcp dport 9999 redirect to :22
    }
}
"""


@pytest.fixture
def foreign(lab: Hosts) -> Iterator[Host]:
    """Another host, which has the first addresses of the pool already."""
    host = lab["client-2"]
    host.ip("address", "add", f"{V4}/32", "dev", "lan")
    host.ip("address", "add", f"{V6}/128", "dev", "lan", "nodad")
    yield host
    for vip in BOTH:
        host.run(["ip", "address", "delete", vip, "dev", "lan"])


def test_an_address_that_somebody_uses_is_not_taken(
    up: Up, lab: Hosts, user: User, foreign: Host
) -> None:
    up.folder.put(
        "all",
        pool("vips", V4, V6),
        pool("more", OTHER),
        pod(lab["pod-a"], "a"),
        service("web", port(80), app="a", ipFamilyPolicy="RequireDualStack"),
        service("free", port(80), app="a", loadBalancerIP=OTHER),
    )
    up.start()
    becomes("pod-a", user.tcp, OTHER)
    becomes("Pending AddressInUse", up.verdict, "web")
    entry = up.entry("web")
    assert entry is not None
    assert foreign.mac() in entry.message
    with Steady(user, (OTHER, 80)):
        assert up.held() == [OTHER]
        assert [user.macs(vip) for vip in BOTH] == [[foreign.mac()]] * 2
        for vip in BOTH:
            foreign.ip("address", "delete", vip, "dev", "lan")
        for vip in BOTH:
            becomes("pod-a", user.tcp, vip)
            assert user.macs(vip) == [up.host.mac()]
        becomes("Served", up.verdict, "web")


def test_nothing_else_on_the_engine_changes(up: Up, lab: Hosts, user: User) -> None:
    engine = up.host
    engine.run(["nft", "-f", "-"], input=RULES, check=True)
    engine.ip("address", "add", "192.0.2.200/32", "dev", "lan")
    engine.ip("address", "add", "203.0.113.1/32", "dev", "lo")
    engine.ip("route", "add", "198.51.100.0/24", "via", lab["node-1"].v4)
    before = everything(engine)
    others = ruleset(engine)
    up.folder.put(
        "all",
        pool("vips", V4, V6, "198.18.0.1"),
        pod(lab["pod-a"], "a"),
        service("web", port(80), app="a", ipFamilyPolicy="RequireDualStack"),
        service("routed", port(80), app="a", loadBalancerIP="198.18.0.1"),
    )
    up.start()
    for vip in BOTH:
        becomes("pod-a", user.tcp, vip)
    becomes(["192.0.2.10", "192.0.2.200", "198.18.0.1", "203.0.113.1", V6], up.held)
    assert TABLE in ruleset(engine)
    up.folder.empty()
    becomes(["192.0.2.200", "203.0.113.1"], up.held)
    assert ruleset(engine, without=TABLE) == others
    assert up.stop() == 0
    assert everything(engine) == before


def ruleset(host: Host, *, without: str = "") -> str:
    """All tables but one, as nft prints them."""
    names = host.run(["nft", "list", "tables"], check=True).stdout.splitlines()
    tables = [name.split()[1:] for name in names if not (without and name.endswith(f" {without}"))]
    listed = [host.run(["nft", "list", "table", *table], check=True).stdout for table in tables]
    return "".join(listed)


def everything(host: Host) -> str:
    """The host's rules, addresses, routes and ARP settings."""
    settings = host.run(["sysctl", "-a", "-r", r"^net\.ipv4\.(conf\..*\.arp_|ip_forward)"]).stdout
    parts = [ruleset(host), settings]
    asked = ("address", "route show table all", "-6 route show table all", "rule")
    parts += [host.ip(*words.split()) for words in asked]
    return "\n".join(parts)
