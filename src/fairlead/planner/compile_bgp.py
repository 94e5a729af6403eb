"""Plan -> what one engine's BGP speaker must make true.

A VIP is announced by each engine that holds it *and* has a backend for it (route health injection):
routers spread the load over those (ECMP), and an engine that could only refuse draws no traffic.
"""

from collections.abc import Mapping
from typing import TypeVar

from fairlead.model.desired import BgpChanges, BgpDesired

Key = TypeVar("Key")
Row = TypeVar("Row")


def diff_bgp(desired: BgpDesired, observed: BgpDesired) -> BgpChanges:
    """The routers to set or remove, and the addresses to announce or withdraw."""
    return BgpChanges(
        speaker=desired.speaker if desired.speaker != observed.speaker else None,
        peers=_rows(desired.peers, observed.peers),
        routes=_rows(desired.routes, observed.routes),
    )


def _rows(desired: Mapping[Key, Row], observed: Mapping[Key, Row]) -> dict[Key, Row | None]:
    rows: dict[Key, Row | None] = {
        key: row for key, row in desired.items() if observed.get(key) != row
    }
    rows.update({key: None for key in observed if key not in desired})
    return rows
