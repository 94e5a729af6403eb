"""Documents as tables for people, laid out as ``kubectl get`` does: aligned text without lines.

Pure text in and out; colour is the terminal's business. Columns that kubectl has keep its names and
its order, ours follow, so that a script which reads columns of one can read the other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.publish.age import UNKNOWN, age, duration
from fairlead.publish.contract import (
    ChangeEntry,
    RejectionEntry,
    ServiceEntry,
    VipEntry,
)
from fairlead.publish.inventory import EngineEntry, PoolEntry

GAP = 3
SIGNS = {"create": "+", "update": "~", "delete": "-"}
Find = Callable[[Ref], Service | None]
Since = Mapping[str, datetime]
"""Canonical address -> since when it is held."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns, without blanks at the end of a line; empty cells but the last one are
    ``<none>``."""
    filled = ([*(cell or "<none>" for cell in row[:-1]), row[-1]] for row in rows)
    cells = [list(columns), *filled]
    widths = [max(map(len, column)) + GAP for column in zip(*cells, strict=True)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in cells
    )


def services(
    entries: Sequence[ServiceEntry], find: Find, *, now: datetime, namespaced: bool = True
) -> str:
    """``kubectl get services``, with state and reason. ``namespaced``: with the first column."""
    columns = ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "STATE", "REASON"]
    rows = (_service(entry, find(_ref(entry)), now) for entry in entries)
    if not namespaced:
        return table(columns, rows)
    pairs = zip(entries, rows, strict=True)
    return table(["NAMESPACE", *columns], ([e.namespace, *row] for e, row in pairs))


def _ref(entry: ServiceEntry) -> Ref:
    return Ref(Service.KIND, entry.namespace, entry.name)


def _service(entry: ServiceEntry, service: Service | None, now: datetime) -> list[str]:
    """A row; an object that cannot be read has no type, ports or age."""
    waits = entry.state in ("Pending", "Rejected")
    return [
        entry.name,
        service.spec.type if service else UNKNOWN,
        (service.spec.cluster_ip if service else None) or "<none>",
        ",".join(entry.addresses) or ("<pending>" if waits else ""),
        ports(service) if service else UNKNOWN,
        age(service.metadata.creation_timestamp if service else None, now),
        entry.state,
        entry.reason,
    ]


def ports(service: Service) -> str:
    """80:31658/TCP, as kubectl writes it; without a nodePort 80/TCP."""
    return ",".join(
        f"{port.port}{f':{port.node_port}' if port.node_port else ''}/{port.protocol}"
        for port in service.ports
    )


def vips(entries: Sequence[VipEntry], since: Since, *, now: datetime) -> str:
    """One VIP a line. A listener shows in brackets how many backends are ready. Ages are left out
    where none is known.
    """
    columns = ["ADDRESS", "POOL", "ANNOUNCE", "ACTIVE", "STANDBY", "LISTENERS", "MEMBERS"]
    rows = map(_vip, entries)
    if not since:
        return table(columns, rows)
    pairs = zip(entries, rows, strict=True)
    return table([*columns, "AGE"], ([*row, _held_for(e, since, now)] for e, row in pairs))


def _vip(entry: VipEntry) -> list[str]:
    return [
        ",".join(entry.addresses),
        ",".join(entry.pools),
        entry.announce,
        ",".join(entry.engines.active),
        ",".join(entry.engines.standby),
        ",".join(_listeners(entry)),
        ",".join(entry.members),
    ]


def _held_for(entry: VipEntry, since: Since, now: datetime) -> str:
    held = [since[address] for address in entry.addresses if address in since]
    return duration(now - min(held)) if held else UNKNOWN


def _listeners(entry: VipEntry) -> Iterator[str]:
    """port/protocol with the number of backends; a DNAT with where it leads."""
    for listener in entry.listeners:
        yield f"{listener.port}/{listener.protocol}({len(listener.backends)})"
    for translation in entry.translations:
        port = translation.external.rpartition(":")[2]
        yield f"{port}/{translation.protocol}→{translation.internal}"


def rejections(entries: Iterable[RejectionEntry]) -> str:
    """Who must edit what."""
    columns = ["OBJECT", "REASON", "WITH", "MESSAGE"]
    return table(columns, ([e.object, e.code, ",".join(e.conflicts), e.message] for e in entries))


def pools(entries: Iterable[PoolEntry]) -> str:
    """One line for each family of a pool, because each has its own room."""
    columns = ["NAME", "FAMILY", "SIZE", "USED", "FREE", "ANNOUNCE", "PRIORITY", "ADDRESSES"]
    return table(
        columns,
        (
            [
                pool.name,
                room.family,
                _count(room.size),
                _count(room.used),
                _count(room.free),
                pool.announce,
                str(pool.priority),
                ",".join(pool.addresses),
            ]
            for pool in entries
            for room in pool.families
        ),
    )


def _count(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.3g}"


def engines(entries: Iterable[EngineEntry]) -> str:
    """One engine a line, with how many VIPs it is to hold and how many it would take over; and how
    many addresses it holds, where that is known of any."""
    entries = [*entries]
    columns = ["NAME", "READY", "ROLE", "ACTIVE", "STANDBY"]
    rows = [[e.name, _readiness(e), e.role, str(e.active), str(e.standby)] for e in entries]
    if any(e.holds is not None for e in entries):
        columns.append("HOLDS")
        for row, e in zip(rows, entries, strict=True):
            row.append(UNKNOWN if e.holds is None else str(e.holds))
    columns.append("GROUPS")
    return table(
        columns, ([*row, ",".join(e.groups)] for row, e in zip(rows, entries, strict=True))
    )


def _readiness(entry: EngineEntry) -> str:
    return f"{entry.ready},Leaving" if entry.leaving else str(entry.ready)


def changes(entries: Iterable[ChangeEntry]) -> str:
    """What differs, one line each: + to create, ~ to update, - to delete."""
    return "".join(f"{SIGNS[e.action]} {e.object}: {e.because}\n" for e in entries)
