"""ClusterIP mode: from EndpointSlices by kube-proxy's rules, from Pods where there are none."""

from typing import Any

import pytest

from fairlead.model.kube import KubeObject
from tests.dialects.make import backends_in, claim_in, claims_of, decoded, service


def piece(*endpoints: dict[str, Any], name: str = "web-1", **more: Any) -> KubeObject:
    return decoded(
        {
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": list(endpoints),
            "ports": [{"port": 8080}],
            **more,
        }
    )


def end(address: str = "10.244.0.1", node: str = "n1", **conditions: Any) -> dict[str, Any]:
    return {"addresses": [address], "nodeName": node, "conditions": conditions or None}


def pod(name: str = "p1", **more: Any) -> KubeObject:
    status = {"podIP": "10.244.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    return decoded(
        {
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "web", "x": "y"}, **more.pop("meta", {})},
            "spec": {"nodeName": "n1", **more.pop("spec", {})},
            "status": {**status, **more},
        }
    )


def found(*items: KubeObject, port: int = 80, **spec: Any) -> list[str]:
    return backends_in(claim_in(claims_of(service(**spec), *items)), port)


@pytest.mark.parametrize(
    ("conditions", "counts"),
    [
        ({}, True),
        ({"ready": True}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True}, False),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, False),
        ({"ready": False, "terminating": True}, True),
    ],
)
def test_conditions_of_the_only_endpoint(conditions: dict[str, Any], counts: bool) -> None:
    assert found(piece(end(**conditions))) == (["10.244.0.1:8080@n1"] if counts else [])


def test_draining_endpoints_count_only_while_nobody_is_ready() -> None:
    draining = end("10.244.0.1", ready=False, serving=True, terminating=True)
    assert found(piece(draining, end("10.244.0.2"))) == ["10.244.0.2:8080@n1"]


def test_publish_not_ready_addresses() -> None:
    slices = piece(end(ready=False))
    assert found(slices, publishNotReadyAddresses=True) == ["10.244.0.1:8080@n1"]


def test_slices_add_up_once_each_in_order_of_address() -> None:
    six = piece(end("fd00::1"), name="web-6", addressType="IPv6")
    one = piece(end("10.244.0.9"), end("10.244.0.10"), name="web-1")
    two = piece(end("10.244.0.9"), end("10.244.0.1", node=""), name="web-2")
    wanted = ["10.244.0.1:8080@", "10.244.0.9:8080@n1", "10.244.0.10:8080@n1", "fd00::1:8080@n1"]
    assert found(one, two, six) == wanted


def test_names_that_are_no_addresses_are_passed_over() -> None:
    named = piece(end("example.org"), addressType="FQDN")
    claim = claim_in(claims_of(service(), named))
    assert (backends_in(claim), claim.warnings) == ([], ())


@pytest.mark.parametrize(
    "text", ["nonsense", "", "127.0.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0", "ff02::1"]
)
def test_addresses_that_would_reach_the_engine_itself_are_told(text: str) -> None:
    claim = claim_in(claims_of(service(), piece(end(text), end("10.244.0.2"))))
    assert backends_in(claim) == ["10.244.0.2:8080@n1"]
    (warning,) = claim.warnings
    assert f"EndpointSlice web-1 address {text!r}" in warning.message


def test_a_thousand_bad_endpoints_are_three_warnings() -> None:
    bad = [end(f"bad-{n}") for n in range(1000)]
    assert len(claim_in(claims_of(service(), piece(*bad))).warnings) == 3


PORTS = [
    {"name": "http", "port": 80, "targetPort": 8080},
    {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
]
SLICE_PORTS = [
    {"name": "dns", "port": 5353, "protocol": "UDP"},
    {"name": "http", "port": 8080},
]


def test_ports_of_a_slice_are_matched_by_name() -> None:
    slices = piece(end(), ports=SLICE_PORTS)
    assert found(slices, port=80, ports=PORTS) == ["10.244.0.1:8080@n1"]
    assert found(slices, port=53, ports=PORTS) == ["10.244.0.1:5353@n1"]


@pytest.mark.parametrize(
    ("ports", "slice_ports", "wanted"),
    [
        ([{"port": 80, "name": "http"}], [{"port": 8080}], ["10.244.0.1:8080@n1"]),
        ([{"port": 80}], [{"port": 8080, "name": "http"}], []),
        ([{"port": 80, "name": "a"}], [{"port": 8080, "name": "b"}], []),
        ([{"port": 80, "protocol": "UDP"}], [{"port": 8080}], []),
        (PORTS, [{"port": 8080}], []),
        ([{"port": 80}], [{"name": ""}], []),
        ([{"port": 80}], None, []),
    ],
)
def test_ports_that_do_not_say_the_same(
    ports: list[dict[str, Any]], slice_ports: list[dict[str, Any]], wanted: list[str]
) -> None:
    assert found(piece(end(), ports=slice_ports), ports=ports) == wanted


def test_the_slices_of_another_namespace_are_another_services() -> None:
    other = decoded(
        {
            "kind": "EndpointSlice",
            "metadata": {
                "name": "x",
                "namespace": "other",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "endpoints": [end()],
            "ports": [{"port": 8080}],
        }
    )
    assert found(other) == []


WEB: dict[str, Any] = {"selector": {"app": "web"}}
TERMINATED = {"deletionTimestamp": "2024-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        ([pod()], ["10.244.0.1:80@n1"]),
        ([pod(conditions=None)], []),
        ([pod(conditions=[{"type": "Ready", "status": "False"}])], []),
        ([pod(podIP="")], []),
        ([pod(phase="Succeeded")], []),
        ([pod(phase="Running")], ["10.244.0.1:80@n1"]),
        ([pod(meta={"labels": {"app": "other"}})], []),
        ([pod(meta=TERMINATED)], ["10.244.0.1:80@n1"]),
        ([pod(meta=TERMINATED), pod("p2", podIP="10.244.0.2")], ["10.244.0.2:80@n1"]),
        (
            [pod(podIPs=[{"ip": "10.244.0.1"}, {"ip": "fd00::1"}])],
            ["10.244.0.1:80@n1", "fd00::1:80@n1"],
        ),
    ],
)
def test_pods(pods: list[KubeObject], wanted: list[str]) -> None:
    assert found(*pods, **WEB) == wanted


def test_slices_come_before_pods() -> None:
    assert found(piece(end("10.244.0.7")), pod(), **WEB) == ["10.244.0.7:8080@n1"]


def test_every_term_of_the_selector_counts() -> None:
    assert found(pod(), selector={"app": "web", "x": "y"}) == ["10.244.0.1:80@n1"]
    assert found(pod(), selector={"app": "web", "x": "z"}) == []
    assert found(pod(), selector={}) == []


CONTAINERS = [
    {"name": "side", "ports": [{"containerPort": 9000, "name": "admin"}]},
    {
        "name": "main",
        "ports": [
            {"containerPort": 5353, "name": "web", "protocol": "UDP"},
            {"containerPort": 8080, "name": "web"},
        ],
    },
]


@pytest.mark.parametrize(
    ("target", "protocol", "wanted"),
    [
        (None, "TCP", ["10.244.0.1:80@n1"]),
        (8443, "TCP", ["10.244.0.1:8443@n1"]),
        ("web", "TCP", ["10.244.0.1:8080@n1"]),
        ("web", "UDP", ["10.244.0.1:5353@n1"]),
        ("admin", "TCP", ["10.244.0.1:9000@n1"]),
        ("gone", "TCP", []),
    ],
)
def test_target_ports(target: int | str | None, protocol: str, wanted: list[str]) -> None:
    ports = [{"port": 80, "targetPort": target, "protocol": protocol}]
    assert found(pod(spec={"containers": CONTAINERS}), ports=ports, **WEB) == wanted


def test_publish_not_ready_addresses_of_pods() -> None:
    waiting = pod(conditions=[])
    assert found(waiting, publishNotReadyAddresses=True, **WEB) == ["10.244.0.1:80@n1"]
