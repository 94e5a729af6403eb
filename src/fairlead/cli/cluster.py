"""The live cluster behind ``get`` and ``explain``: as ``kubectl fairlead``, or when asked for."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fairlead.cli.access import SYSTEM_NAMESPACE, access_of
from fairlead.cli.failure import Failure
from fairlead.cli.inputs import Decision, configuration
from fairlead.cli.output import note
from fairlead.cli.progress import progress
from fairlead.runtime.config import ConfigError
from fairlead.runtime.controller.serve import CONFIG_DEFAULTS
from fairlead.runtime.live import Gap, Live, Settings, Sight, leader_of, read_settings
from fairlead.sources.kube import ApiClient, ApiError, Unreachable

if TYPE_CHECKING:
    from datetime import datetime

NAMED = 5
"""Objects that are named."""
T = TypeVar("T")


class Where(NamedTuple):
    """Which cluster, where Fairlead is installed in it, and the configuration where that is given
    rather than read there."""

    kubeconfig: Path | None = None
    context: str = ""
    system: str = SYSTEM_NAMESPACE
    config: Path | None = None


class View(NamedTuple):
    """What a cluster comes to, for the commands. ``namespace``: that of the kubeconfig's
    context."""

    decision: Decision
    since: "dict[str, datetime]"
    namespace: str


def look(where: Where) -> View:
    """Read a cluster once. Raises :class:`Failure` when it cannot be read at all."""
    gc.disable()  # one short run over values without cycles
    with progress("reading the cluster"):
        return asyncio.run(_guarded(_look(where)))


def follow(where: Where, tell: Callable[[View], None]) -> None:
    """Tell everything, and again after each change, until Ctrl-C."""
    asyncio.run(_guarded(_follow(where, tell)))


async def _look(where: Where) -> View:
    async with _client(where) as client:
        live = await _live(client, where)
        gaps = await live.read(client)
        sight = live.sight()
        _tell_gaps(gaps)
        await _tell_unpublished(client, where, sight)
        return _view(sight, client)


async def _follow(where: Where, tell: Callable[[View], None]) -> None:
    async with _client(where) as client:
        live = await _live(client, where)
        told: Sequence[Gap] = ()
        async for gaps in live.follow(client):
            if gaps != told:
                _tell_gaps([gap for gap in gaps if gap not in told])
                told = gaps
            tell(_view(await asyncio.to_thread(live.sight), client))


@asynccontextmanager
async def _client(where: Where) -> AsyncIterator[ApiClient]:
    async with ApiClient(access_of(where.kubeconfig, where.context), timeout=60.0) as client:
        yield client


async def _live(client: ApiClient, where: Where) -> Live:
    await _greet(client)
    if where.config is not None:
        return Live(configuration(where.config, defaults=CONFIG_DEFAULTS))
    found = await read_settings(client, where.system)
    _tell_default(found)
    return Live(found.config)


async def _greet(client: ApiClient) -> None:
    """Fail at once where nobody answers, or does not know us: watches would try for ever."""
    try:
        await client.send("GET", "/version")
    except ApiError as error:
        if not error.forbidden:
            raise


def _tell_default(found: Settings) -> None:
    if found.gap is not None:
        note(
            f"{found.gap.what} cannot be read, so defaults stand in for the controller's "
            f"configuration (--config FILE gives another): {found.gap.why}"
        )


def _tell_gaps(gaps: Sequence[Gap]) -> None:
    for what, why in gaps:
        note(f"{what} objects are left out: {why}")


async def _tell_unpublished(client: ApiClient, where: Where, sight: Sight) -> None:
    """What is shown is what the controller would decide: say so where it did not yet."""
    if sight.refused is not None:
        note(f"the controller holds this back: {sight.refused.message}")
    if not sight.unpublished:
        return
    refs = sorted(map(str, sight.unpublished))
    more = f" and {len(refs) - NAMED} more" if len(refs) > NAMED else ""
    leader = await leader_of(client, where.system)
    who = {None: "", "": "; no controller leads"}.get(leader, f"; {leader} leads")
    note(f"not published yet: {', '.join(refs[:NAMED])}{more}{who}")


def _view(sight: Sight, client: ApiClient) -> View:
    decision = Decision(
        sight.world,
        sight.ledger,
        sight.plan,
        False,
        sight.refused,
        sight.reports,
        sight.holders,
    )
    return View(decision, sight.since, client.namespace)


async def _guarded(work: Awaitable[T]) -> T:
    """What can go wrong with a cluster, as a line."""
    try:
        return await work
    except (ApiError, Unreachable, ConfigError) as error:
        raise Failure(str(error)) from None
