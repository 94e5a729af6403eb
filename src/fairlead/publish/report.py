"""A plan document as one page for people: what would be, what is wrong, what would change."""

from collections.abc import Iterator
from datetime import datetime

from fairlead.model.world import World
from fairlead.publish import tables
from fairlead.publish.contract import PlanDocument, ServiceEntry, Summary


def report(document: PlanDocument, world: World, *, now: datetime) -> str:
    """The page. Sections without content are left out."""
    return "\n".join(_sections(document, world, now))


def _sections(document: PlanDocument, world: World, now: datetime) -> Iterator[str]:
    if document.services:
        yield tables.services(document.services, world.service, now=now)
    if document.vips:
        yield tables.vips(document.vips, {}, now=now)
    told = "".join(_told(document))
    if told:
        yield told
    if document.changes:
        yield tables.changes(document.changes)
    yield _summary(document.summary, len(document.changes))


def _told(document: PlanDocument) -> Iterator[str]:
    """One line for each object that there is something to say about."""
    for entry in document.services:
        if entry.message:
            yield f"{_name(entry)}: {entry.reason}: {entry.message}\n"
    for rejection in document.rejections:
        if not rejection.object.startswith("Service/"):
            yield f"{rejection.object}: {rejection.code}: {rejection.message}\n"


def _name(entry: ServiceEntry) -> str:
    return f"Service/{entry.namespace}/{entry.name}"


def _summary(summary: Summary, changes: int) -> str:
    counts = (
        _some(summary.services, "service"),
        _some(summary.vips, "VIP"),
        _some(summary.addresses, "address", "addresses"),
        f"{summary.rejected} rejected",
        f"{summary.pending} pending",
        _some(changes, "change"),
    )
    return ", ".join(counts) + "\n"


def _some(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
