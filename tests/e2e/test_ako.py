"""AKO's shared VIP with traffic: members come, go and change, and the others never notice."""

from typing import Any

import pytest

from fairlead.lab import Hosts

from .asking import RESET, UNREACHABLE, Steady, User, answer_on
from .manifests import Manifest, pod, pool, port, service
from .serving import Up, becomes, until

pytestmark = pytest.mark.root

V4, V6 = "192.0.2.10", "fd00:2::10"
BOTH = (V4, V6)
POOL = pool("vips", "192.0.2.10-192.0.2.99", "fd00:2::10-fd00:2::99")


def web(**spec: Any) -> Manifest:
    fields = {"key": "k1", "ipFamilyPolicy": "RequireDualStack", **spec}
    return service("web", port(80), app="a", **fields)


def dns(**spec: Any) -> Manifest:
    fields = {"key": "k1", "ipFamilyPolicy": "RequireDualStack", **spec}
    return service("dns", port(80, "UDP"), app="b", **fields)


@pytest.fixture
def serving(up: Up, lab: Hosts, user: User) -> Up:
    """Both members share a VIP and answer."""
    up.folder.put("base", POOL, pod(lab["pod-a"], "a"), pod(lab["pod-b"], "b"))
    up.folder.put("web", web())
    up.folder.put("dns", dns())
    up.start()
    for vip in BOTH:
        becomes("pod-a", user.tcp, vip)
        becomes("pod-b", user.udp, vip)
    assert up.held() == [*BOTH]
    return up


def test_edits_of_one_member_leave_the_other_alone(serving: Up, user: User) -> None:
    folder = serving.folder
    with Steady(user, (V4, 80), (V6, 80)):
        for change, reason in (({"key": ""}, "key removed"), ({"key": "k2"}, "key changed")):
            folder.put("dns", dns(**change))
            own = until(reason, lambda: {*serving.addresses("dns")}, lambda own: not own & {*BOTH})
            assert len(own) == 2
            for vip in own:
                becomes("pod-b", user.udp, vip)
                assert user.tcp(vip) == RESET
            for vip in BOTH:
                becomes(UNREACHABLE, user.udp, vip)
            folder.put("dns", dns())
            for vip in BOTH:
                becomes("pod-b", user.udp, vip)
            becomes([*BOTH], serving.held)
        folder.put("dns", dns(type="ClusterIP"))
        for vip in BOTH:
            becomes(UNREACHABLE, user.udp, vip)
        becomes("Ignored NotLoadBalancer", serving.verdict, "dns")
        folder.put("dns", dns())
        for vip in BOTH:
            becomes("pod-b", user.udp, vip)
        folder.drop("dns")
        for vip in BOTH:
            becomes(UNREACHABLE, user.udp, vip)
        assert serving.held() == [*BOTH]


def test_the_older_member_goes_and_the_address_stays(serving: Up, user: User) -> None:
    kept = [user.open(vip) for vip in BOTH]
    serving.folder.drop("web")
    for vip, connection in zip(BOTH, kept, strict=True):
        becomes(RESET, user.tcp, vip)
        becomes(RESET, answer_on, connection)
        connection.close()
        assert user.udp(vip) == "pod-b"
    assert serving.held() == [*BOTH]
    serving.folder.drop("dns")
    becomes([], serving.held)
    assert [user.macs(vip) for vip in BOTH] == [[], []]
    assert serving.listeners() == set()


def test_a_mismatch_serves_nobody_and_heals(up: Up, lab: Hosts, user: User) -> None:
    def members(second: str) -> list[Manifest]:
        return [
            web(loadBalancerIP="192.0.2.75", ipFamilyPolicy="SingleStack"),
            dns(loadBalancerIP=second, ipFamilyPolicy="SingleStack"),
        ]

    up.folder.put("base", POOL, pod(lab["pod-a"], "a"), pod(lab["pod-b"], "b"))
    up.folder.put("services", *members("192.0.2.76"))
    up.start()
    for name in ("web", "dns"):
        becomes("Rejected StaticAddressMismatch", up.verdict, name)
    entry = up.entry("dns")
    assert entry is not None
    assert "192.0.2.75" in entry.message
    assert "192.0.2.76" in entry.message
    assert up.held() == []
    assert user.macs("192.0.2.75") == user.macs("192.0.2.76") == []
    up.folder.put("services", *members("192.0.2.75"))
    becomes("pod-a", user.tcp, "192.0.2.75")
    becomes("pod-b", user.udp, "192.0.2.75")
    # Now that the group is served, only the member that leaves the agreement is put out.
    with Steady(user, ("192.0.2.75", 80)):
        up.folder.put("services", *members("192.0.2.76"))
        becomes("Rejected StaticAddressMismatch", up.verdict, "dns")
        becomes(UNREACHABLE, user.udp, "192.0.2.75")
        assert up.verdict("web") == "Served"
        assert up.held() == ["192.0.2.75"]
