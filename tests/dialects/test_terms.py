"""Ports, policies, affinity, source ranges and families: alike in every language."""

from ipaddress import ip_network
from typing import Any

import pytest

from fairlead.model.verdict import Code, State
from tests.dialects.make import claim_in, claims_of, reason_in, service, verdict_in

RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"ports": []}, "spec.ports"),
        ({"ports": None}, "spec.ports"),
        ({"ports": [{"port": 80}, {"port": 80, "name": "b"}]}, "'TCP 80' is listed twice"),
        ({"ports": [{"port": 80, "targetPort": 0}]}, "targetPort '0'"),
        ({"ports": [{"port": 80, "targetPort": 70000}]}, "targetPort '70000'"),
        ({"ports": [{"port": 80, "targetPort": "8080"}]}, "without quotes"),
        ({"externalTrafficPolicy": "local"}, "spec.externalTrafficPolicy 'local'"),
        ({"sessionAffinity": "Cookie"}, "spec.sessionAffinity 'Cookie'"),
        ({"ipFamilies": ["IPv5"]}, "spec.ipFamilies 'IPv5'"),
        ({"ipFamilies": ["IPv4", "IPv4"]}, "names a family twice"),
        ({"ipFamilyPolicy": "Both"}, "spec.ipFamilyPolicy 'Both'"),
        ({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4", "IPv6"]}, "allows one family"),
        ({"ipFamilies": ["IPv6"], "loadBalancerIP": "10.0.0.1"}, "10.0.0.1 is IPv4"),
        ({"ipFamilies": ["IPv4"], "loadBalancerIP": "fd00::1"}, "fd00::1 is IPv6"),
        ({"loadBalancerSourceRanges": ["10.0.0.0/8", "all"]}, "loadBalancerSourceRanges 'all'"),
        ({"loadBalancerSourceRanges": [""]}, "loadBalancerSourceRanges ''"),
    ],
)
@pytest.mark.parametrize("name", ["fairlead.dev/vip", "ako.vmware.com/avi-lb"])
def test_what_the_api_server_would_refuse(spec: dict[str, Any], told: str, name: str) -> None:
    claims = claims_of(service(**spec, loadBalancerClass=name))
    assert verdict_in(claims).state is State.REJECTED
    assert reason_in(claims).code is Code.INVALID_OBJECT
    assert told in reason_in(claims).message


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, (), "SingleStack"),
        ({"ipFamilies": ["IPv6"]}, (6,), "SingleStack"),
        ({"ipFamilies": ["IPv6", "IPv4"]}, (6, 4), "RequireDualStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, (4, 6), "PreferDualStack"),
        ({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, (6, 4), "PreferDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack"}, (4, 6), "RequireDualStack"),
        ({"ipFamilyPolicy": "SingleStack"}, (), "SingleStack"),
        ({"loadBalancerIP": "fd00::1"}, (6,), "SingleStack"),
        ({"loadBalancerIP": "10.0.0.1", "ipFamilies": ["IPv4"]}, (4,), "SingleStack"),
        (
            {"loadBalancerIP": "fd00::1", "ipFamilyPolicy": "PreferDualStack"},
            (6, 4),
            "PreferDualStack",
        ),
        (
            {
                "loadBalancerIP": "fd00::1",
                "ipFamilyPolicy": "PreferDualStack",
                "ipFamilies": ["IPv4"],
            },
            (4, 6),
            "PreferDualStack",
        ),
    ],
)
def test_families(spec: dict[str, Any], families: tuple[int, ...], policy: str) -> None:
    claim = claim_in(claims_of(service(**spec)))
    assert (claim.families, claim.family_policy) == (families, policy)


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 0),
        ({"sessionAffinity": "None"}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {}}, 10800),
        (
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            },
            60,
        ),
        ({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}, 0),
    ],
)
def test_session_affinity(spec: dict[str, Any], seconds: int) -> None:
    assert claim_in(claims_of(service(**spec))).affinity_seconds == seconds


@pytest.mark.parametrize(
    ("spec", "note", "wanted"),
    [
        (["10.0.0.0/8"], None, ["10.0.0.0/8"]),
        (["fd00::/8", "10.0.0.0/8", " 10.0.0.0/8"], None, ["10.0.0.0/8", "fd00::/8"]),
        (None, "10.1.0.0/16, 10.0.0.0/16", ["10.0.0.0/16", "10.1.0.0/16"]),
        (["10.0.0.0/8"], "10.1.0.0/16", ["10.0.0.0/8"]),
        ([], " ", []),
        (["10.0.0.7/8"], None, ["10.0.0.0/8"]),
    ],
)
def test_source_ranges(spec: list[str] | None, note: str | None, wanted: list[str]) -> None:
    notes = {RANGES: note} if note is not None else {}
    claim = claim_in(claims_of(service(notes=notes, loadBalancerSourceRanges=spec)))
    assert list(claim.source_ranges) == [ip_network(text) for text in wanted]


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.0/8,x", "10.0.0.0/8," * 10000])
def test_bad_source_ranges_in_the_annotation(text: str) -> None:
    assert RANGES in reason_in(claims_of(service(notes={RANGES: text}))).message


def test_listeners_come_in_order_of_port_whatever_the_manifest_says() -> None:
    ports = [{"port": 81}, {"port": 80, "protocol": "UDP"}, {"port": 80}]
    one = claim_in(claims_of(service(ports=ports)))
    other = claim_in(claims_of(service(ports=ports[::-1])))
    assert [(p.port, p.protocol) for p in one.listeners] == [(80, "TCP"), (80, "UDP"), (81, "TCP")]
    assert one.listeners == other.listeners
