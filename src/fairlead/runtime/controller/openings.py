"""Ports on gateways, as agents report them in Engine objects.

The engine that holds a VIP is believed. While it says nothing of a port yet, what another said last
goes on: the mapping leads to the VIP, so it is as open as it was.
"""

from collections.abc import Collection, Iterator

from fairlead.model.addresses import canonical
from fairlead.model.forward import ForwardKey
from fairlead.model.names import Ref
from fairlead.model.objects import Engine
from fairlead.model.plan import Plan
from fairlead.model.verdict import Forward, Verdict
from fairlead.publish.forwards import Forwards, by_service, read
from fairlead.runtime.controller.holders import Holders

NONE: Forwards = {}


class Openings:
    """All reports, by engine and Service. ``holders``: who holds which address."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders
        self._reports: dict[str, tuple[int, Forwards]] = {}
        self._news: set[Ref] = set()

    def take(self, name: str, engine: Engine | None) -> None:
        """An engine's newest report; None: there is no such engine any more."""
        _, before = self._reports.pop(name, (0, NONE))
        now = NONE
        if engine is not None and engine.spec.forwards:
            rows = (read(one) for one in engine.spec.forwards)
            now = by_service(one for one in rows if one is not None)
            version = engine.metadata.resource_version
            self._reports[name] = int(version) if version.isdigit() else 0, now
        refs = before.keys() | now.keys()
        self._news |= {ref for ref in refs if before.get(ref) != now.get(ref)}

    def news(self, moved: Collection[str]) -> set[Ref]:
        """The Services of whose ports something else may be known than when this was asked before.
        ``moved``: addresses with other holders."""
        found, self._news = self._news, set()
        if moved:
            found |= {ref for ref, one in self._every() if canonical(one.key.client) in moved}
        return found

    def of(self, plan: Plan, said: Verdict) -> tuple[Forward, ...]:
        """The ports of a Service that are to be open by the plan, and what became of them."""
        wanted = {*_wanted(plan, said)} if self._reports else ()
        if not wanted:
            return ()
        found: dict[ForwardKey, tuple[tuple[bool, int], Forward]] = {}
        for engine, (version, ports) in self._reports.items():
            for one in ports.get(said.ref, ()):
                holds = engine in self._holders.of(canonical(one.key.client))
                rank = holds, version
                if one.key in wanted and (one.key not in found or found[one.key][0] < rank):
                    found[one.key] = rank, one
        return tuple(one for _, (_, one) in sorted(found.items(), key=lambda item: _place(item[0])))

    def _every(self) -> Iterator[tuple[Ref, Forward]]:
        for _, ports in self._reports.values():
            for ref, rows in ports.items():
                for one in rows:
                    yield ref, one


def _wanted(plan: Plan, said: Verdict) -> Iterator[ForwardKey]:
    for claim in plan.claims.by_ref.get(said.ref, ()):
        for port in claim.listeners if claim.forward is not None else ():
            for address in said.addresses:
                yield ForwardKey(address, port.protocol, port.port)


def _place(key: ForwardKey) -> tuple[int, int, str, int]:
    return key.client.version, int(key.client), key.protocol, key.port
