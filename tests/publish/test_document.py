"""The plan document: every list sorted and present, every object told, nothing invented."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

Settle = Callable[..., Any]

POOL = """
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: vips}
spec: {addresses: ["192.0.2.10-192.0.2.11", "fd00::10-fd00::1f"]}
"""


def service(name: str, spec: str = "", *, namespace: str = "default", notes: str = "{}") -> str:
    """A Service with one port unless the spec says otherwise."""
    ports = "" if "ports:" in spec else "ports: [{port: 80}], "
    kind = "" if "type:" in spec else "type: LoadBalancer, "
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}, annotations: {notes}}}
spec: {{{kind}{ports}selector: {{app: a}}{", " if spec else ""}{spec}}}
"""


def pod(name: str, address: str) -> str:
    return f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, labels: {{app: a}}}}
status: {{phase: Running, podIP: "{address}", conditions: [{{type: Ready, status: "True"}}]}}
"""


def test_two_services_of_one_key_are_one_vip(example: Callable[[str], Any]) -> None:
    found = example("ako-shared-vip").document
    first, second = found.services
    assert (first.name, second.name) == ("sharedvip-avisvc-lb1", "sharedvip-avisvc-lb2")
    assert first.addresses == second.addresses == ["100.64.196.61"]
    assert {first.state, second.state} == {"Served"}
    assert {first.reason, first.message} == {""}
    (vip,) = found.vips
    assert vip.addresses == ["100.64.196.61"]
    assert vip.members == ["default/sharedvip-avisvc-lb1", "default/sharedvip-avisvc-lb2"]
    assert vip.pools == ["vip-network"]
    assert vip.announce == "l2"
    assert vip.engines.active == ["here"]
    tcp, udp = vip.listeners
    assert (tcp.protocol, tcp.port, tcp.kind, tcp.match) == ("TCP", 80, "l4", "")
    assert tcp.service == "default/sharedvip-avisvc-lb1"
    assert tcp.backends == ["10.244.0.100:8080", "10.244.0.101:8080"]
    assert (udp.protocol, udp.service) == ("UDP", "default/sharedvip-avisvc-lb2")
    assert msgspec.to_builtins(found.summary) == {
        "services": 2,
        "vips": 1,
        "addresses": 1,
        "rejected": 0,
        "pending": 0,
    }
    (change,) = found.changes
    assert (change.action, change.object) == ("create", "VirtualIP/100.64.196.61")


def test_empty_worlds_have_all_lists(settle: Settle) -> None:
    found = json.loads(msgspec.json.encode(settle("").document))
    summary = found.pop("summary")
    assert all(value == [] for value in found.values())
    assert set(summary.values()) == {0}


def test_members_that_disagree_are_told_with_whom(example: Callable[[str], Any]) -> None:
    found = example("ako-mismatch").document
    assert found.vips == []
    assert {entry.reason for entry in found.services} == {"StaticAddressMismatch"}
    first, second = found.rejections
    assert first.object == "Service/default/sharedvip-avisvc-lb1"
    assert first.conflicts == [second.object]
    assert second.conflicts == [first.object]
    assert "100.64.196.76" in first.message
    assert found.summary.rejected == 2


def test_translations_lead_to_internal_vips(example: Callable[[str], Any]) -> None:
    found = example("vcd-internal-ip-per-port").document
    outer = next(vip for vip in found.vips if vip.translations)
    assert outer.listeners == []
    inner = {vip.addresses[0]: vip for vip in found.vips if vip is not outer}
    for translation in outer.translations:
        address, _, port = translation.internal.rpartition(":")
        assert translation.external == f"{outer.addresses[0]}:{port}"
        (listener,) = inner[address].listeners
        assert listener.port == int(port)
        assert listener.backends == [f"192.168.8.250:30{port:0>3}", f"192.168.8.251:30{port:0>3}"]
    (entry,) = found.services
    assert entry.addresses == outer.addresses
    assert len(inner) == len(outer.translations) == 2


def test_ipv6_backends_are_in_brackets(settle: Settle) -> None:
    text = POOL + service("six", "ipFamilies: [IPv6]") + pod("a", "fd00:244::7")
    (vip,) = settle(text).document.vips
    assert vip.addresses == ["fd00::10"]
    assert vip.listeners[0].backends == ["[fd00:244::7]:80"]


def test_every_service_of_type_load_balancer_is_listed(settle: Settle) -> None:
    text = (
        POOL
        + service("served", namespace="zoo")
        + service("ignored", notes='{kube-vip.io/ignore: "true"}')
        + service("foreign", "loadBalancerClass: example.com/other")
        + service("inner", "type: ClusterIP")
        + service("odd", "type: ClusterIP", notes="{ako.vmware.com/enable-shared-vip: k}")
    )
    found = {entry.name: entry for entry in settle(text).document.services}
    assert list(found) == ["foreign", "ignored", "odd", "served"]
    assert found["served"].state == "Served"
    assert found["served"].reason == "NoReadyBackend"
    assert found["ignored"].state == "Ignored"
    assert found["foreign"].state == "Ignored"
    assert (found["odd"].state, found["odd"].reason) == ("Ignored", "NotLoadBalancer")


def test_a_full_pool_is_told_with_who_holds_it(settle: Settle) -> None:
    text = POOL + "".join(service(f"s{n}", "ipFamilies: [IPv4]") for n in range(3))
    found = settle(text).document
    waiting = next(entry for entry in found.services if entry.state == "Pending")
    assert waiting.reason == "PoolExhausted"
    assert "vips" in waiting.message
    assert "default/s0" in waiting.message
    assert (found.summary.pending, found.summary.rejected) == (1, 0)
    assert found.rejections == []


def test_objects_that_are_no_services_are_rejected_too(settle: Settle) -> None:
    text = POOL.replace("192.0.2.10-192.0.2.11", "192.0.2.999")
    (rejection,) = settle(text).document.rejections
    assert rejection.object == "AddressPool/vips"
    assert rejection.code == "InvalidObject"
    assert "192.0.2.999" in rejection.message


def test_changes_are_against_the_ledger(settle: Settle) -> None:
    first = settle(POOL + service("a") + service("b"))
    again = settle(POOL + service("a") + service("b"), before=first.plan.ledger)
    assert again.document.changes == []
    less = settle(POOL + service("b"), before=first.plan.ledger)
    (change,) = less.document.changes
    assert change.action == "delete"
    assert change.object == "VirtualIP/192.0.2.10"


@pytest.mark.parametrize("folder", ["kube-vip-shared-ip", "vcd-internal-ip-per-port"])
def test_every_list_is_sorted(folder: str, example: Callable[[str], Any]) -> None:
    data = json.loads(msgspec.json.encode(example(folder).document))
    for path, values in _lists(data):
        if all(isinstance(value, str) for value in values):
            assert values == sorted(values), path
    keys = {
        "services": ("namespace", "name"),
        "vips": ("name",),
        "rejections": ("object",),
        "changes": ("object", "action"),
    }
    for section, names in keys.items():
        found = [[entry[name] for name in names] for entry in data[section]]
        assert found == sorted(found), section
    for vip in data["vips"]:
        found = [[entry["protocol"], entry["port"]] for entry in vip["listeners"]]
        assert found == sorted(found)


def _lists(value: Any, path: str = "") -> list[tuple[str, list[Any]]]:
    match value:
        case dict():
            return [found for key, one in value.items() for found in _lists(one, f"{path}.{key}")]
        case list():
            inner = [found for one in value for found in _lists(one, path)]
            return [(path, value), *inner]
    return []
