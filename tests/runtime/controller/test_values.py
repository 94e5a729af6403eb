"""What is written, as values: status, Events, VirtualIPs, and which of it a step makes due."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.config import Config
from fairlead.model.kube import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Metadata,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
)
from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import AddressPool, AddressPoolSpec
from fairlead.model.plan import Plan
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change, World
from fairlead.planner import verdict
from fairlead.publish.kube.events import event_of
from fairlead.publish.kube.status import (
    NOTHING,
    Ingress,
    Said,
    addresses_shown,
    body_of,
    said_of,
    shown_by,
)
from fairlead.publish.kube.virtualips import body_of as entry_of
from fairlead.publish.kube.virtualips import holdings_of, released_of, specs_of
from fairlead.runtime.controller.decision import Decision, Start
from tests.planner.make import claim, planned, pool, ref, then

NOW = "2026-01-02T03:04:05Z"
OLD = "2026-01-01T00:00:00Z"
WEB = Ref("Service", "default", "web")
IN_FULL = Said((Ingress("192.0.2.1"),), "True", "Served", "served at 192.0.2.1", OLD)


def body(said: Said, *, version: str = "7") -> Any:
    return json.loads(body_of(WEB, said, uid="u1", version=version, now=NOW))


def test_a_status_says_the_address_and_why() -> None:
    whole = body(IN_FULL)
    assert whole["metadata"] == {
        "name": "web",
        "namespace": "default",
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert whole["status"]["loadBalancer"] == {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}
    (condition,) = whole["status"]["conditions"]
    assert condition["lastTransitionTime"] == OLD
    assert "resourceVersion" not in body(IN_FULL, version="")["metadata"]


def test_what_is_not_said_is_left_out_so_that_it_is_let_go_of() -> None:
    pending = Said((), "False", "PoolExhausted", "full")
    assert set(body(pending)["status"]) == {"conditions"}
    assert body(pending)["status"]["conditions"][0]["lastTransitionTime"] == NOW
    assert "status" not in body(NOTHING)


def test_the_same_is_not_said_again() -> None:
    assert IN_FULL.same(IN_FULL)
    assert IN_FULL.same(IN_FULL._replace(since=NOW))
    assert not IN_FULL.same(IN_FULL._replace(message="other"))
    assert not IN_FULL.same(IN_FULL._replace(ingress=(Ingress("192.0.2.2"),)))
    assert not IN_FULL.same(NOTHING)
    # others are named in it, and come and go: that alone is not worth a write
    loose = Said((), "False", "PoolExhausted", "held by a, b", loose=True)
    assert loose.same(loose._replace(message="held by a, c"))
    assert not loose.same(loose._replace(reason="NoPool"))
    # what another manager shows on a Service that is not ours stays
    assert NOTHING.same(Said((Ingress("203.0.113.1"),)))


def test_verdicts_become_status() -> None:
    decided = planned(
        claim("served"),
        claim("refused", static=["203.0.113.1"]),
        claim("waits"),
        pools=[pool("tiny", "192.0.2.10")],
    )
    served = said_of(decided, verdict(decided, ref("served")))
    assert (served.status, served.ingress) == ("True", (Ingress("192.0.2.10"),))
    assert served.message == "served at 192.0.2.10"
    refused = said_of(decided, verdict(decided, ref("refused")))
    assert (refused.status, refused.reason, refused.ingress) == ("False", "AddressNotInPool", ())
    waits = said_of(decided, verdict(decided, ref("waits")))
    assert (waits.status, waits.reason, waits.loose) == ("False", "PoolExhausted", True)
    assert said_of(decided, verdict(decided, ref("nobody"))) == NOTHING


def test_a_message_is_no_longer_than_a_condition_may_be() -> None:
    decided = planned(
        *(claim(f"{'long' * 15}{i}") for i in range(40)), pools=[pool("p", "192.0.2.10")]
    )
    said = said_of(decided, verdict(decided, ref(f"{'long' * 15}9")))
    assert len(said.message) <= 1024


def test_what_a_status_shows_is_read_leniently() -> None:
    entries = (
        LoadBalancerIngress(ip="192.0.2.1"),
        LoadBalancerIngress(hostname="lb.example.com"),
        LoadBalancerIngress(ip="nonsense"),
        LoadBalancerIngress(ip="fd00::1"),
        LoadBalancerIngress(ip="80.81.90.2", ip_mode="Proxy"),  # a gateway's
    )
    one = Service(Metadata("web"), ServiceSpec(), ServiceStatus(LoadBalancerStatus(entries)))
    said = shown_by(one)
    assert said.status == ""
    assert [str(a) for a in addresses_shown(said)] == ["192.0.2.1", "fd00::1"]
    assert shown_by(Service(Metadata("web"), ServiceSpec())) == NOTHING


def test_an_event_is_about_this_very_object() -> None:
    said = Said((), "False", "PortConflict", "80/TCP is taken")
    event = json.loads(event_of(WEB, "u1", said, name="web.1", now=NOW))
    assert event["involvedObject"]["uid"] == "u1"
    assert event["metadata"] == {"name": "web.1", "namespace": "default"}
    assert (event["type"], event["reason"]) == ("Warning", "PortConflict")


def objects_of(decided: Plan, released: dict[Ref, str] | None = None) -> list[VirtualIP]:
    """The ledger as it would be in the cluster, made there one after another."""
    found = []
    for key in decided.ledger.holdings:
        for name, spec in (specs_of(decided, key, released or {}) or {}).items():
            made = msgspec.json.decode(entry_of(name, spec), type=VirtualIP)
            meta = msgspec.structs.replace(made.metadata, creation_timestamp=OLD)
            found.append(msgspec.structs.replace(made, metadata=meta))
    return found


Claim = st.tuples(
    st.sampled_from(["", "", "key"]),
    st.sampled_from([(4,), (4, 6)]),
    st.sampled_from(["", "192.0.2.15", "203.0.113.1"]),
)


@given(shapes=st.lists(Claim, max_size=6))
def test_the_ledger_is_read_as_it_was_written(
    shapes: list[tuple[str, tuple[int, ...], str]],
) -> None:
    claims = [
        claim(
            f"s{number}",
            f"{80 + number}/TCP",
            share=key,
            families=families,
            static=[static] if static and families == (4,) else [],
        )
        for number, (key, families, static) in enumerate(shapes)
    ]
    decided = planned(*claims, pools=[pool(), pool("six", "fd00::10-fd00::1f")])
    objects = objects_of(decided)
    holdings, strays = holdings_of(objects)
    assert holdings == dict(decided.ledger.holdings)
    assert not strays
    assert {one.name for one in objects} == {one.name for one in reversed(objects)}


def test_entries_that_contradict_an_older_one_are_nobodys() -> None:
    decided = planned(claim("web"))
    (one,) = objects_of(decided)
    later = msgspec.structs.replace(
        one,
        metadata=Metadata("192.0.2.77", creation_timestamp=NOW),
        spec=msgspec.structs.replace(one.spec, address="192.0.2.77"),
    )
    misnamed = msgspec.structs.replace(one, metadata=Metadata("printer"))
    for order in ([one, later, misnamed], [misnamed, later, one]):
        holdings, strays = holdings_of(order)
        assert holdings == dict(decided.ledger.holdings)
        assert set(strays) == {"192.0.2.77", "printer"}


def test_an_address_that_is_kept_says_since_when_and_for_whom() -> None:
    before = planned(claim("web"), claim("other"))
    kept = then(before, claim("other"), held=frozenset({ref("web")}))
    objects = objects_of(kept, {ref("web"): NOW})
    assert released_of(objects) == {ref("web"): NOW}
    (one,) = [o for o in objects if o.spec.released]
    assert one.spec.suspended
    assert not one.spec.members
    assert holdings_of(objects).holdings == dict(before.ledger.holdings)
    # of an object that cannot be read nothing is written at all
    assert specs_of(kept, GroupKey("ako", "service", "default", "web"), {}) is None


def lb(name: str) -> Service:
    spec = ServiceSpec(
        type="LoadBalancer", ports=(ServicePort(80),), load_balancer_class="fairlead.dev/vip"
    )
    return Service(Metadata(name, namespace="default", uid=name), spec)


def blue(name: str, *addresses: str) -> AddressPool:
    return AddressPool(Metadata(name), AddressPoolSpec(addresses))


def test_a_step_that_plans_everything_still_names_who_went() -> None:
    """A pool comes in the same batch as a Service goes."""
    world = World(config=Config()).evolve(
        Change(one.ref, one) for one in (lb("web"), lb("other"), blue("blue", "192.0.2.0/24"))
    )
    decision = Decision(Start(world, Ledger(), {}))
    first = decision.feed((), frozenset())
    key = first.step.plan.groups_of[WEB][0]
    assert key in first.keys
    more = blue("more", "198.51.100.0/24")
    second = decision.feed([Change(more.ref, more), Change(WEB, None)], frozenset({WEB}))
    assert second.step.plan.changed is None  # in full
    assert key not in second.step.plan.outcomes
    assert key in second.keys


def test_a_small_step_names_only_what_it_changes() -> None:
    names = [f"s{i}" for i in range(20)]
    world = World(config=Config()).evolve(
        Change(one.ref, one) for one in (*map(lb, names), blue("blue", "192.0.2.0/24"))
    )
    decision = Decision(Start(world, Ledger(), {}))
    decision.feed((), frozenset())
    one = lb("web")
    step = decision.feed([Change(one.ref, one)], frozenset())
    assert {*step.keys} == {step.step.plan.groups_of[one.ref][0]}
