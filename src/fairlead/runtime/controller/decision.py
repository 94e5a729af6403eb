"""What the leader decides: the pipeline over the cluster's world, and what has to be written.

It starts from the published ledger (VirtualIPs), completed from what Services show, so a restart,
another leader, or another implementation's cluster changes no address.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from immutables import Map
from msgspec import Struct

from fairlead.dialects.translate import translate
from fairlead.model.addresses import IPAddress
from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Placement, Plan, VipKey
from fairlead.model.world import Change, World
from fairlead.planner.adopt import adopted, families_of
from fairlead.runtime.pipeline import Pipeline, Step
from fairlead.runtime.verdicts import touched

Keys = list[GroupKey | Ref]


class Decided(NamedTuple):
    """A step, and what may have to be written because of it."""

    step: Step
    keys: Keys


class Start(Struct, frozen=True):
    """What a new leader starts from. ``shown``: the addresses in the status of Services;
    ``homes``: where VIPs are at home, as it was published."""

    world: World
    ledger: Ledger
    shown: Iterable[tuple[Ref, tuple[IPAddress, ...]]]
    homes: Mapping[VipKey, tuple[str, ...]] = {}


class Decision:
    """One leader's decisions, from its start on."""

    def __init__(self, start: Start) -> None:
        ledger = _completed(start)
        homes = Placement(homes=Map(start.homes))
        self._pipeline = Pipeline.over(start.world, ledger, homes)
        self._plan: Plan | None = None

    def feed(self, changes: Iterable[Change], explicit: frozenset[Ref]) -> Decided:
        """Take changes and decide."""
        return self._decided(self._pipeline.feed(changes, explicit))

    def everything(self) -> World:
        """The world with all that was read."""
        return self._pipeline.everything()

    def _decided(self, step: Step) -> Decided:
        before, self._plan = self._plan, step.plan
        refs = touched(before, step.plan)
        groups = step.plan.changed
        if before is None or groups is None or refs is None:
            # all that is now, and what was and is no more
            found: dict[GroupKey | Ref, None] = {}
            for plan in (step.plan, before or step.plan):
                found |= dict.fromkeys(plan.outcomes)
                found |= dict.fromkeys(plan.claims.verdicts)
            return Decided(step, [*found])
        return Decided(step, [*groups, *units_of(step.plan, refs)])


def _completed(start: Start) -> Ledger:
    """The ledger with what is shown and not in it."""
    known: dict[Ref, frozenset[int]] = {}
    for holding in start.ledger.holdings.values():
        families = families_of(holding)
        for ref in holding.members:
            known[ref] = known.get(ref, frozenset()) | families
    shown = {
        ref: found
        for ref, found in start.shown
        if any(address.version not in known.get(ref, ()) for address in found)
    }
    if not shown:
        return start.ledger
    return adopted(translate(start.world), start.ledger, shown)


def units_of(plan: Plan, keys: Iterable[GroupKey | Ref]) -> Iterator[GroupKey | Ref]:
    """What to write for these: an object is written with its groups, else by itself. So nobody
    writes about one object from two sides at once."""
    for key in keys:
        groups = plan.groups_of.get(key, ()) if isinstance(key, Ref) else ()
        yield from groups or (key,)
