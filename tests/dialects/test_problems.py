"""Objects that cannot be used: told once, and nothing else changes."""

from fairlead.dialects.translate import translate
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, Reason, State
from fairlead.model.world import Change, World
from tests.dialects.make import claim_in, claims_of, service, service_ref, world_of

BROKEN = Reason(Code.INVALID_OBJECT, "spec.ports[0].port: expected int. Correct it.")
CCM = Ref("ConfigMap", "kube-system", "vcloud-ccm-configmap")


def test_a_service_with_a_last_good_version_keeps_its_claim() -> None:
    world = world_of(service(notes={"fairlead.dev/share": "k"}))
    before = translate(world)
    after = translate(world.evolve([Change(service_ref("web"), None, BROKEN)]), before)
    assert after.by_ref == before.by_ref
    verdict = after.verdicts[service_ref("web")]
    assert (verdict.state, verdict.reason) == (State.REJECTED, BROKEN)
    assert after.held == frozenset()
    assert after.touched == frozenset({service_ref("web")})


def test_a_service_that_was_never_good_is_held() -> None:
    claims = translate(World().evolve([Change(service_ref("web"), None, BROKEN)]))
    assert claims.verdicts[service_ref("web")].state is State.REJECTED
    assert claims.held == {service_ref("web")}
    assert not claims.by_ref


def test_any_other_kind_is_told_too() -> None:
    ref = Ref("Node", "", "n1")
    claims = translate(World().evolve([Change(ref, None, BROKEN)]))
    assert claims.verdicts[ref].reason == BROKEN


def test_a_problem_that_goes_away_is_forgotten() -> None:
    world = World().evolve([Change(service_ref("web"), None, BROKEN)])
    first = translate(world)
    second = translate(world.evolve([Change(service_ref("web"), service())]), first)
    assert claim_in(second).dialect == "fairlead"
    assert second.held == frozenset()
    third = translate(world.evolve([Change(service_ref("web"), None)]), first)
    assert not third.verdicts
    assert third.touched == frozenset({service_ref("web")})


def test_an_unreadable_vcd_config_map_holds_what_its_services_have() -> None:
    world = world_of(service()).evolve([Change(CCM, None, BROKEN)])
    claims = translate(world)
    assert claims.verdicts[CCM].reason == BROKEN
    assert claims.verdicts[service_ref("web")].state is State.PENDING
    assert claims.held == {CCM, service_ref("web")}


def test_odd_names_and_megabytes_do_no_harm() -> None:
    odd = "a/b\n\x00\u202e☃"
    claims = claims_of(
        service(notes={"fairlead.dev/share": odd}),
        service("big", {"unknown/annotation": "x" * 10_000_000}),
        service("note", {"kube-vip.io/loadbalancerIPs": "9" * 10_000_000}),
    )
    assert claim_in(claims).group is not None
    assert claim_in(claims, "big").dialect == "fairlead"
    reason = claims.verdicts[service_ref("note")].reason
    assert reason is not None
    assert len(reason.message) < 300
