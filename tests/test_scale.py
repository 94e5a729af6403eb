"""More Services than anybody has: every one gets its verdict."""

from collections import Counter

import pytest

from fairlead.dialects.translate import translate
from fairlead.model.kube import Metadata, Service, ServicePort, ServiceSpec
from fairlead.model.ledger import Ledger
from fairlead.model.objects import AddressPool, AddressPoolSpec
from fairlead.model.verdict import Code, State
from fairlead.model.world import Change, World
from fairlead.planner import every_verdict, plan

SERVICES = 100_000
ROOM = 1_000


@pytest.mark.slow
def test_a_hundred_thousand_services_in_a_small_pool() -> None:
    spec = ServiceSpec(type="LoadBalancer", ports=(ServicePort(port=80),))
    items = [
        Service(metadata=Metadata(name=f"s{n}", namespace=f"team-{n % 100}"), spec=spec)
        for n in range(SERVICES)
    ]
    pool = AddressPool(
        metadata=Metadata(name="small"), spec=AddressPoolSpec(addresses=("10.0.0.1-10.0.3.232",))
    )
    world = World(host="here").evolve([Change(item.ref, item) for item in [*items, pool]])
    decided = plan(translate(world), Ledger())
    states = Counter((v.state, v.code) for v in every_verdict(decided))
    assert states == {
        (State.SERVED, Code.NO_READY_BACKEND): ROOM,
        (State.PENDING, Code.POOL_EXHAUSTED): SERVICES - ROOM,
    }
