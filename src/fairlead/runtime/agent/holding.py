"""Who holds what, published: one object for each engine, by its own agent.

Never a write for each VIP: a take-over of five hundred is one write by the engine that took over,
and at rest there is none.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from fairlead.model.objects import Engine, EngineForward, EngineSpec
from fairlead.sources.kube import ApiClient, ApiError, Unreachable
from fairlead.sources.kube.resources import ENGINES

EVERY = 1.0
"""Seconds between two writes, at least."""
AGAIN = 30.0
"""Seconds after which a write that was refused is tried again."""
MANAGER = "fairlead-agent"
MOST = 4096
"""Addresses that are listed; the count is right in any case."""


MOST_FORWARDS = 1024
"""Ports on the gateway that are listed; no gateway for homes has room for so many."""
MOST_RIVALS = 100
"""Rivals that are listed."""


class Holding(NamedTuple):
    """What an engine has to say. Addresses are text, sorted."""

    holds: tuple[str, ...]
    side: tuple[str, ...] = ()
    rightful: bool = True
    problems: tuple[str, ...] = ()
    forwards: tuple[EngineForward, ...] = ()
    rivals: tuple[str, ...] = ()


async def publish(
    client: ApiClient,
    engine: str,
    holding: Callable[[], Holding],
    said: Callable[[str], None],
) -> None:
    """Until cancelled: write what is new. ``said`` gets what went wrong, "" when all is well."""
    written: Holding | None = None
    while True:
        now = holding()
        pause = EVERY
        if now != written:
            try:
                await client.apply(ENGINES, engine, body_of(engine, now), manager=MANAGER)
            except (ApiError, Unreachable) as error:
                said(str(error))
                pause = AGAIN if isinstance(error, ApiError) and not error.passing else EVERY
            else:
                written = now
                said("")
        await asyncio.sleep(pause)


def once_each(said: Callable[[str], None]) -> Callable[[str], None]:
    """The same, told only what differs from what was told before; good news only after bad."""
    last = ""

    def tell(error: str) -> None:
        nonlocal last
        if error != last:
            last = error
            said(error)

    return tell


def body_of(engine: str, holding: Holding) -> bytes:
    """The object, to be applied."""
    spec = EngineSpec(
        count=len(holding.holds),
        holds=holding.holds[:MOST],
        side=holding.side,
        rightful=holding.rightful,
        problems=holding.problems,
        forwards=holding.forwards[:MOST_FORWARDS],
        rivals=holding.rivals[:MOST_RIVALS],
    )
    whole = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": Engine.KIND,
        "metadata": {"name": engine},
        # said also when it is 0: a spec that nobody says anything in any more is no object
        "spec": {"count": 0, **msgspec.to_builtins(spec)},
    }
    return msgspec.json.encode(whole)
