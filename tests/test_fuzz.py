"""Hostile objects through the whole of the pure core: translate, plan, compile, explain, document.

Nothing above them catches exceptions, so one here would be one for people. Step by step must come
to the same as at once, and the rules hold whatever people write.
"""

import msgspec
from hypothesis import HealthCheck, Phase, given, settings

from fairlead.dialects.translate import translate
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.ledger import Ledger
from fairlead.model.plan import Plan
from fairlead.model.world import Change, World
from fairlead.planner import (
    compile_l2,
    compile_l4,
    delta_l4,
    differences,
    every_verdict,
    explain,
    guard,
    message,
    plan,
)
from fairlead.publish.document import document
from tests.dialects.test_fuzz import CONFIGS, STEPS


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(config=CONFIGS, steps=STEPS)
def test_no_object_ends_in_an_exception(config: Config, steps: list[list[KubeObject]]) -> None:
    world = World(config=config, host="a")
    claims = translate(world)
    current = plan(claims, Ledger())
    for items in steps:
        world = world.evolve([Change(item.ref, item) for item in items])
        claims = translate(world, claims)
        before, current = current, plan(claims, current.ledger, current)
        fresh = plan(translate(world), before.ledger)
        assert current.outcomes == fresh.outcomes
        assert current.ledger == fresh.ledger
        delta_l4(before, current, "a")
        guard(before.ledger, current)
        told(before, current, world)


def told(before: Plan, decided: Plan, world: World) -> None:
    """Everything that is said and compiled, and the one rule that must never break."""
    served = set()
    for vip in decided.vips():
        ports = [(a, p.protocol, p.port) for p in vip.listeners for a in vip.addresses]
        ports += [(t.external, t.protocol, t.port) for t in vip.translations]
        for port in ports:
            assert port not in served, "one (address, protocol, port) served twice"
            served.add(port)
    compile_l4(decided, "a")
    compile_l2(decided, "a", before.ledger)
    for verdict in every_verdict(decided):
        explain(decided, verdict.ref)
        assert not verdict.reason or len(message(decided, verdict.reason)) < 2000
    shown = document(decided, world, differences(before.ledger, decided))
    msgspec.json.encode(shown)
