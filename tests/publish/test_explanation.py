"""Explanations name every candidate, and what is wrong."""

from collections.abc import Callable
from typing import Any

from fairlead.model.addresses import parse_address
from fairlead.model.names import Ref
from fairlead.publish.explanation import (
    address_explanation,
    explanation,
    pool_explanation,
    text_of,
)

Example = Callable[[str], Any]


def test_a_served_service_has_its_pool_address_and_engine(example: Example) -> None:
    plan = example("ako-shared-vip").plan
    found = explanation(plan, Ref("Service", "default", "sharedvip-avisvc-lb2"))
    assert found is not None
    assert (found.state, found.addresses) == ("Served", ["100.64.196.61"])
    assert found.members == [
        "Service/default/sharedvip-avisvc-lb1",
        "Service/default/sharedvip-avisvc-lb2",
    ]
    taken = {(c.kind, c.name) for c in found.candidates if c.chosen}
    assert taken == {("pool", "vip-network"), ("address", "100.64.196.61"), ("engine", "here")}
    assert all(candidate.why for candidate in found.candidates)


def test_a_rejected_one_names_whom_it_conflicts_with(example: Example) -> None:
    plan = example("ako-mismatch").plan
    found = explanation(plan, Ref("Service", "default", "sharedvip-avisvc-lb1"))
    assert found is not None
    assert found.conflicts == ["Service/default/sharedvip-avisvc-lb2"]
    text = text_of(found)
    assert "StaticAddressMismatch" in text
    assert "With:" in text


def test_what_asks_for_nothing_has_no_explanation(example: Example) -> None:
    plan = example("ako-shared-vip").plan
    assert explanation(plan, Ref("Pod", "default", "avi-server-a")) is None


def test_addresses_say_whose_they_are(example: Example) -> None:
    plan = example("vcd-shared-internal-ip").plan
    held = address_explanation(plan, parse_address("192.168.8.2"))
    assert held.members == ["Service/ingress-nginx/ingress-nginx-controller"]
    free = address_explanation(plan, parse_address("192.168.8.3"))
    assert (free.state, free.message) == ("", "free (in pool vcd-one-arm)")
    alien = address_explanation(plan, parse_address("203.0.113.1"))
    assert alien.message == "free (in no pool)"
    node = address_explanation(plan, parse_address("192.168.8.251"))
    assert "Node/node-1" in node.message


def test_a_pool_lists_its_holders(example: Example) -> None:
    plan = example("kube-vip-shared-ip").plan
    (pool,) = plan.claims.pools
    found = pool_explanation(plan, pool)
    assert found.object == "AddressPool/cloud-provider"
    assert found.message == "1 of 10 addresses are held."
    (held,) = found.candidates
    assert (held.name, held.why) == ("192.168.0.230", "held for default/nginx-service")
    assert "default/nginx-service" in text_of(found)
