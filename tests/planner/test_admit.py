"""Who of a group is served, and what the others are told."""

import itertools

import pytest

from fairlead.model.claim import Claim, ListenerClaim
from fairlead.model.config import Config
from fairlead.model.verdict import Code, State

from .make import addresses, backends, claim, planned, pool, ref, said, then

STATIC = pool("blue", "192.0.2.10-192.0.2.19")


def test_one_vip_for_one_key() -> None:
    decided = planned(claim("a", "80/TCP", share="k"), claim("b", "80/UDP", share="k"))
    assert addresses(decided, "a") == addresses(decided, "b") == ["192.0.2.10"]
    (vip,) = decided.vips()
    assert vip.members == (ref("a"), ref("b"))


def test_one_key_in_two_namespaces_is_two_vips() -> None:
    decided = planned(claim("a", share="k"), claim("a", share="k", namespace="other"))
    assert addresses(decided, "a") != addresses(decided, "a", "other")


def test_names_that_a_joined_string_would_confuse_stay_apart() -> None:
    decided = planned(
        claim("x", share="b-c", namespace="a"),
        claim("x", share="c", namespace="a-b"),
        claim("x", namespace="a"),
        claim("y", share="x", namespace="a"),
        claim("z", share="x/y", namespace="a"),
    )  # fmt: skip
    assert len({vip.name for vip in decided.vips()}) == len({v.key for v in decided.vips()})
    assert len(decided.ledger.holders) == len(list(decided.vips()))


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_never_served_group_with_different_addresses_has_no_vip(order: tuple[str, ...]) -> None:
    static = {"a": ["192.0.2.11"], "b": ["192.0.2.12"], "c": []}
    ports = {"a": "80/TCP", "b": "81/TCP", "c": "82/TCP"}
    decided = planned(*(claim(n, ports[n], share="k", static=static[n]) for n in order))
    assert not list(decided.vips())
    assert not decided.ledger.holders
    for name in "abc":
        verdict = said(decided, name)
        assert (verdict.state, verdict.code) == (State.REJECTED, Code.STATIC_ADDRESS_MISMATCH)
    assert said(decided, "a").reason.conflicts == (ref("b"),)  # type: ignore[union-attr]
    assert "192.0.2.12" in said(decided, "a").reason.message  # type: ignore[union-attr]


def test_no_address_takes_the_groups_whoever_comes_first() -> None:
    for first, second in (("a", "b"), ("b", "a")):
        decided = planned(
            claim(first, "80/TCP", share="k", static=["192.0.2.15"]),
            claim(second, "81/TCP", share="k"),
        )
        assert addresses(decided, "a") == addresses(decided, "b") == ["192.0.2.15"]


def test_served_group_keeps_serving_and_only_the_newcomer_is_refused() -> None:
    before = planned(claim("b", "80/TCP", share="k", static=["192.0.2.15"]))
    decided = then(
        before,
        claim("a", "81/TCP", share="k", static=["192.0.2.16"], created="2020-01-01"),
        claim("b", "80/TCP", share="k", static=["192.0.2.15"]),
    )
    assert addresses(decided, "b") == ["192.0.2.15"]
    assert said(decided, "a").code is Code.STATIC_ADDRESS_MISMATCH
    assert "stays where it is" in said(decided, "a").reason.message  # type: ignore[union-attr]


def test_strict_withdraws_all_of_them_and_heals_to_the_same_address() -> None:
    good = claim("a", "80/TCP", share="k", static=["192.0.2.15"])
    bad = claim("b", "81/TCP", share="k", static=["192.0.2.16"])
    before = planned(good, config=Config(strict=True))
    broken = then(before, good, bad)
    assert not list(broken.vips())
    assert {said(broken, n).code for n in "ab"} == {Code.STATIC_ADDRESS_MISMATCH}
    healed = then(broken, good)
    assert addresses(healed, "a") == ["192.0.2.15"]


def test_member_that_changes_its_address_alone_is_the_newcomer() -> None:
    def pair(a: str, b: str) -> list[Claim]:
        return [
            claim("a", "80/TCP", share="k", static=[a]),
            claim("b", "81/TCP", share="k", static=[b]),
        ]

    before = planned(*pair("192.0.2.15", "192.0.2.15"))
    half = then(before, *pair("192.0.2.16", "192.0.2.15"))
    assert said(half, "a").code is Code.STATIC_ADDRESS_MISMATCH
    assert addresses(half, "b") == ["192.0.2.15"]
    both = then(half, *pair("192.0.2.16", "192.0.2.16"))
    assert addresses(both, "a") == addresses(both, "b") == ["192.0.2.16"]
    assert len(both.ledger.holders) == 1


def test_settings_that_differ() -> None:
    decided = planned(
        claim("a", "80/TCP", share="k", setting="gold"), claim("b", "81/TCP", share="k")
    )
    assert {said(decided, n).code for n in "ab"} == {Code.INFRA_SETTING_MISMATCH}
    assert not list(decided.vips())


def test_settings_that_differ_in_a_served_group() -> None:
    before = planned(claim("b", "80/TCP", share="k", setting="gold"))
    decided = then(
        before,
        claim("a", "81/TCP", share="k"),
        claim("b", "80/TCP", share="k", setting="gold"),
    )
    assert said(decided, "b").state is State.SERVED
    assert said(decided, "a").code is Code.INFRA_SETTING_MISMATCH


def test_port_conflict_names_the_older() -> None:
    decided = planned(
        claim("a", "80/TCP", share="k", created="2026-01-02"),
        claim("b", "80/TCP", "443/TCP", share="k", created="2026-01-01"),
    )
    assert said(decided, "b").state is State.SERVED
    verdict = said(decided, "a")
    assert (verdict.state, verdict.code) == (State.REJECTED, Code.PORT_CONFLICT)
    assert verdict.reason.conflicts == (ref("b"),)  # type: ignore[union-attr]


def test_same_port_of_two_protocols_is_no_conflict() -> None:
    decided = planned(*(claim(p.lower(), f"80/{p}", share="k") for p in ("TCP", "UDP", "SCTP")))
    (vip,) = decided.vips()
    assert [(e.protocol, e.port) for e in vip.listeners] == [
        ("SCTP", 80), ("TCP", 80), ("UDP", 80)
    ]  # fmt: skip


def test_port_that_is_served_is_not_taken_over_by_an_older_object() -> None:
    before = planned(claim("b", "80/TCP", share="k", created="2026-01-02"))
    decided = then(
        before,
        claim("a", "80/TCP", share="k", created="2026-01-01"),
        claim("b", "80/TCP", share="k", created="2026-01-02"),
    )
    assert said(decided, "b").state is State.SERVED
    assert said(decided, "a").code is Code.PORT_CONFLICT


def test_port_edited_onto_another_members_port() -> None:
    before = planned(claim("a", "80/TCP", share="k"), claim("b", "81/TCP", share="k"))
    decided = then(before, claim("a", "81/TCP", share="k"), claim("b", "81/TCP", share="k"))
    assert said(decided, "b").state is State.SERVED
    assert said(decided, "a").code is Code.PORT_CONFLICT
    healed = then(decided, claim("a", "81/TCP", share="k"))
    assert said(healed, "a").state is State.SERVED
    assert addresses(healed, "a") == addresses(before, "a")


def test_foreign_class_alone_and_in_a_group() -> None:
    alone = planned(claim("a", share="k", foreign_class="other.io/lb"))
    assert said(alone, "a").state is State.IGNORED
    beside = planned(
        claim("a", "80/TCP", share="k", foreign_class="other.io/lb"),
        claim("b", "81/TCP", share="k"),
    )
    assert (said(beside, "a").state, said(beside, "a").code) == (
        State.REJECTED,
        Code.CLASS_MISMATCH,
    )
    assert said(beside, "b").state is State.SERVED


def local(name: str, port: str, node: str) -> Claim:
    number, protocol = port.split("/")
    listener = ListenerClaim(protocol, int(number), backends("10.244.0.1", node=node))  # type: ignore[arg-type]
    return claim(name, listener, share="k", local=True)


def test_local_members_whose_nodes_do_not_meet() -> None:
    decided = planned(local("a", "80/TCP", "n1"), local("b", "81/TCP", "n2"))
    assert said(decided, "a").state is State.SERVED
    verdict = said(decided, "b")
    assert (verdict.state, verdict.code) == (State.PENDING, Code.TRAFFIC_POLICY_CONFLICT)
    (vip,) = decided.vips()
    assert vip.nodes == frozenset({"n1"})


def test_present_holder_keeps_the_vip_when_local_nodes_part() -> None:
    before = planned(local("b", "81/TCP", "n2"))
    decided = then(before, local("a", "80/TCP", "n1"), local("b", "81/TCP", "n2"))
    assert said(decided, "b").state is State.SERVED
    assert said(decided, "a").code is Code.TRAFFIC_POLICY_CONFLICT


def test_kubevip_same_address_is_one_group_across_lists_and_families() -> None:
    decided = planned(
        claim("a", "80/TCP", by_address=True, static=["192.0.2.11", "2001:db8::1"]),
        claim("b", "81/TCP", by_address=True, static=["192.0.2.11"], namespace="other"),
        claim("c", "82/TCP", by_address=True, static=["2001:db8::1"]),
        pools=[],
    )
    (vip,) = decided.vips()
    assert len(vip.members) == 3
    assert addresses(decided, "c") == ["2001:db8::1"]
    assert addresses(decided, "b", "other") == ["192.0.2.11"]


def test_pool_may_forbid_sharing_across_namespaces() -> None:
    closed = pool("blue", "192.0.2.10-192.0.2.19", cross_namespace=False)
    decided = planned(
        claim("a", "80/TCP", by_address=True, static=["192.0.2.11"]),
        claim("b", "81/TCP", by_address=True, static=["192.0.2.11"], namespace="other"),
        pools=[closed],
    )
    assert said(decided, "a").state is State.SERVED
    assert said(decided, "b", "other").code is Code.ADDRESS_IN_USE


def test_removing_the_bad_member_heals_the_group() -> None:
    good = claim("a", "80/TCP", share="k", static=["192.0.2.11"])
    bad = claim("b", "81/TCP", share="k", static=["192.0.2.12"])
    broken = planned(good, bad)
    assert not list(broken.vips())
    assert addresses(then(broken, good), "a") == ["192.0.2.11"]
