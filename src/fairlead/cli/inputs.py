"""From what was typed to a plan: read the manifests, the ledger and the configuration, and decide.

The heavy imports are here and this module is imported by the commands that need it, so that
``fairlead --help`` and completion stay instant.
"""

import gc
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from fairlead.cli.failure import Failure
from fairlead.cli.output import note
from fairlead.cli.progress import progress
from fairlead.model.addresses import canonical
from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.model.objects import EngineSpec
from fairlead.model.plan import Plan
from fairlead.model.world import World
from fairlead.runtime.config import ConfigError, load_config
from fairlead.runtime.pipeline import Pipeline, Refused
from fairlead.sources.files import Batch, FileSource, follow

NAMED = 5
"""Unknown kinds that are named."""


class Decision(NamedTuple):
    """A plan with what it was made from. ``before``: the ledger that it was made against.
    ``unreadable``: something in the files could not even be named. ``refused``: what ``up`` would
    not do before somebody confirms it; the plan is then the one that it would follow.
    ``reports``: what the agents of a cluster say of their engines; ``holders``: who has an address.
    """

    world: World
    before: Ledger
    plan: Plan
    unreadable: bool
    refused: Refused | None
    reports: Mapping[str, EngineSpec] = {}
    holders: Mapping[str, tuple[str, ...]] = {}


def decide(
    files: Sequence[Path],
    *,
    state: Path | None,
    config: Path | None,
    engine: str,
    yes: bool = False,
) -> Decision:
    """Read everything and plan as ``up`` would. What is wrong with the files is said on standard
    error.

    Raises :class:`Failure` for an unusable configuration or state.
    """
    gc.disable()  # one short run over values without cycles: collecting would double its time
    reading = Reading(files, state=state, config=config, engine=engine)
    with progress("reading and planning"):
        found = reading.first(yes=yes)
    reading.tell()
    return found


class Reading:
    """Manifests being read, and the plan that they come to so far."""

    def __init__(
        self, files: Sequence[Path], *, state: Path | None, config: Path | None, engine: str
    ) -> None:
        self._before = ledger(state) if state else Ledger()
        self._pipeline = Pipeline(configuration(config), engine, self._before)
        self._source = FileSource(files, sys.stdin.buffer)
        self._batch = Batch((), (), {})
        self._told: tuple[object, ...] = ()

    def first(self, *, yes: bool = False) -> Decision:
        """Everything that is there now. ``yes`` confirms what the guard would hold back."""
        return self._decided(self._source.load(), yes=yes)

    async def later(self) -> AsyncIterator[Decision]:
        """After each edit, until cancelled."""
        async for batch in follow(self._source):
            yield self._decided(batch)

    def tell(self) -> None:
        """Say what is wrong with the files, when that is new."""
        said = (self._batch.problems, self._batch.unknown)
        if said == self._told:
            return
        self._told = said
        for problem in self._batch.problems:
            note(str(problem))
        if self._batch.unknown:
            note(unknown_kinds(self._batch.unknown))

    def _decided(self, batch: Batch, *, yes: bool = False) -> Decision:
        self._batch = batch
        step = self._pipeline.feed(batch.changes)
        if yes and step.refused is not None:
            step = self._pipeline.confirm()
        return Decision(step.world, self._before, step.plan, _unreadable(batch), step.refused)


def running(state: Path) -> Decision:
    """What the ``up`` of a state directory serves, or served last.

    Raises :class:`Failure` when none ever ran there, or when that cannot be read.
    """
    from fairlead.runtime import snapshot
    from fairlead.runtime.store import StateError

    gc.disable()
    try:
        found = snapshot.read(state)
    except StateError as error:
        raise Failure(str(error)) from None
    if found is None:
        hint = "give the manifests with -f, or the state directory of an 'up' with --state"
        raise Failure(f"no 'fairlead up' has run on {state}: {hint}")
    if found.pid is None:
        note(f"no 'fairlead up' runs on {state} now; this is what it served last")
    for driver in found.snapshot.drivers:
        if not driver.ok:
            note(f"{driver.name} fails since {driver.since:%F %T} UTC: {driver.error}")
    return Decision(found.world, found.plan.ledger, found.plan, False, None)


def configuration(path: Path | None, *, defaults: Mapping[str, Any] | None = None) -> Config:
    """The configuration from a file and the environment. ``defaults``: those of a role."""
    try:
        return load_config(path, os.environ, defaults=defaults)
    except ConfigError as error:
        raise Failure(str(error)) from None


def ledger(state: Path) -> Ledger:
    """The ledger of a state directory."""
    from fairlead.runtime.store import LedgerStore, StateError

    try:
        return LedgerStore.read(state)
    except StateError as error:
        raise Failure(str(error)) from None


def _unreadable(batch: Batch) -> bool:
    """Whether a problem is about more than one object that has a name and is rejected by it."""
    return any(problem.ref is None for problem in batch.problems)


def held_since(state: Path) -> dict[str, datetime]:
    """Since when each address of a state directory is held, by its text."""
    from fairlead.runtime.store import LedgerStore, StateError

    try:
        times = LedgerStore.times(state)
    except StateError as error:
        raise Failure(str(error)) from None
    return {canonical(spot.address): moment for spot, moment in times.since.items()}


def unknown_kinds(counts: Mapping[str, int]) -> str:
    """One line for all objects that are of no kind that Fairlead reads."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{count} {kind}" for kind, count in most[:NAMED])
    more = f" and {len(most) - NAMED} more kinds" if len(most) > NAMED else ""
    return f"{sum(counts.values())} objects of kinds that Fairlead does not read: {named}{more}"
