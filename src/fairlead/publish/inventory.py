"""What there is to hand out and who serves it: pools with the room they have left, engines with
their load.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from fairlead.model.addresses import Family
from fairlead.model.claim import Engine, Pool, Role
from fairlead.model.objects import Announce, EngineSpec
from fairlead.model.plan import Plan
from fairlead.publish.contract import VipEntry

FamilyName = Literal["IPv4", "IPv6"]
FAMILIES: dict[FamilyName, Family] = {"IPv4": 4, "IPv6": 6}
NO_REPORTS: Mapping[str, EngineSpec] = {}
EXACT = 1 << 53
"""Integers above this are not exact in every reader of JSON; sizes of IPv6 pools are rounded there.
"""


class FamilyRoom(Struct, frozen=True, gc=False):
    """How many addresses of a family a pool can hand out, has handed out, and has left. Addresses
    that are a node's own are never handed out.
    """

    family: FamilyName
    size: float | int
    used: int
    free: float | int


class PoolEntry(Struct, frozen=True, gc=False):
    """A pool, whether written as AddressPool or brought along by a dialect."""

    name: str
    space: str
    addresses: list[str]
    networks: list[str]
    namespaces: list[str]
    priority: int
    announce: Announce
    families: list[FamilyRoom]


class EngineEntry(Struct, frozen=True, gc=False):
    """An engine: how many VIPs it is to hold (``active``), and how many it would be next for.
    ``leaving``: its Node is cordoned. ``holds``: how many addresses it holds, as its agent reports;
    null where that is not known. ``problems``: what keeps it from more, in its words."""

    name: str
    ready: bool
    role: Role
    groups: list[str]
    active: int
    standby: int
    leaving: bool = False
    holds: int | None = None
    problems: list[str] = []


def pools(plan: Plan) -> list[PoolEntry]:
    """Every pool, by name."""
    return [_pool(pool, plan) for pool in sorted(plan.claims.pools, key=lambda p: p.name)]


def _pool(pool: Pool, plan: Plan) -> PoolEntry:
    return PoolEntry(
        name=pool.name,
        space=pool.space,
        addresses=sorted(map(str, pool.ranges)),
        networks=sorted(pool.networks),
        namespaces=sorted(pool.namespaces),
        priority=pool.priority,
        announce=pool.announce,
        families=_rooms(pool, plan),
    )


def _rooms(pool: Pool, plan: Plan) -> list[FamilyRoom]:
    """The room of each family that the pool has addresses of."""
    spots = (spot for spot in plan.ledger.holders if spot.space == pool.space)
    used: Counter[Family] = Counter(spot.address.version for spot in spots if spot.address in pool)
    own: Counter[Family] = Counter(a.version for a in plan.claims.node_addresses if a in pool)
    return [
        FamilyRoom(
            name,
            _number(pool.size(family)),
            used[family],
            _number(max(0, pool.size(family) - used[family] - own[family])),
        )
        for name, family in FAMILIES.items()
        if pool.size(family)
    ]


def _number(count: int) -> float | int:
    return count if count <= EXACT else float(count)


def engines(
    plan: Plan, vips: Iterable[VipEntry], reports: Mapping[str, EngineSpec] = NO_REPORTS
) -> list[EngineEntry]:
    """Every engine of every group, by name. ``reports``: what agents say, by engine."""
    rules = sorted(plan.claims.engine_rules.values(), key=lambda rule: rule.name)
    groups: dict[str, list[str]] = {}
    known: dict[str, Engine] = {}
    for rule in rules:
        for engine in rule.engines:
            known[engine.name] = engine
            groups.setdefault(engine.name, []).append(rule.name)
    active: Counter[str] = Counter()
    standby: Counter[str] = Counter()
    for vip in vips:
        active.update(vip.engines.active)
        standby.update(vip.engines.standby)
    return [
        EngineEntry(
            name=name,
            ready=engine.ready,
            role=engine.role,
            groups=groups[name],
            active=active[name],
            standby=standby[name],
            leaving=engine.leaving,
            holds=reports[name].count if name in reports else None,
            problems=_problems(reports[name]) if name in reports else [],
        )
        for name, engine in sorted(known.items())
    ]


def _problems(report: EngineSpec) -> list[str]:
    """What keeps an engine from its work, and who else uses what it holds."""
    rivals = (text.split() for text in report.rivals)
    told = (
        f"{words[0]}: also used by {words[1]} on {words[2]}" for words in rivals if len(words) == 3
    )
    return [*report.problems, *told]
