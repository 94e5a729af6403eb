"""What an agent has to say: of its own addresses, and of VirtualIPs that cannot be served.

The verdicts are on VirtualIPs. On Services there is the controller's word.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from fairlead.model.addresses import IPAddress
from fairlead.model.claim import DEFAULT_SPACE
from fairlead.model.ledger import Spot
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code, Reason, State, Verdict
from fairlead.model.virtualip import VirtualIP, object_name
from fairlead.runtime.report import Reporter
from fairlead.runtime.verdicts import Impediment, VerdictChange


class Telling:
    """Remembers what was told, so that only changes are."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._held: frozenset[IPAddress] = frozenset()
        self._impeded: dict[IPAddress, Impediment] = {}
        self._standing: dict[Ref, Verdict] = {}
        self._written: dict[Ref, Verdict] = {}
        self._said: dict[Ref, Verdict] = {}

    def of_data_plane(
        self, plan: Plan, *, in_place: set[IPAddress], impediments: Iterable[Impediment]
    ) -> None:
        """What this engine has now, and what keeps it from the rest."""
        held, impeded = frozenset(in_place), {one.address: one for one in impediments}
        moved = (held ^ self._held) | impeded.keys() | self._impeded.keys()
        self._held, self._impeded = held, impeded
        found = {_ref(address): self._stand(address) for address in moved}
        _update(self._standing, found)
        self._tell(plan, found)

    def of_objects(self, plan: Plan, refs: Iterable[Ref]) -> None:
        """What is said of some VirtualIPs as they were written."""
        found = {ref: plan.claims.verdicts.get(ref) for ref in refs}
        _update(self._written, found)
        self._tell(plan, found)

    def _stand(self, address: IPAddress) -> Verdict | None:
        ref, impediment = _ref(address), self._impeded.get(address)
        reason = Reason(impediment.code, impediment.message) if impediment is not None else None
        if address in self._held:
            disputed = reason if reason and reason.code is Code.ADDRESS_DISPUTED else None
            return Verdict(ref, State.SERVED, disputed, addresses=(address,))
        return Verdict(ref, State.PENDING, reason) if reason is not None else None

    def _combined(self, ref: Ref) -> Verdict | None:
        """An object that cannot be used is told by all; a warning by who has the address."""
        written, standing = self._written.get(ref), self._standing.get(ref)
        if written is None or (standing is None and written.state is not State.REJECTED):
            return standing
        return written if standing is None else replace(standing, warnings=written.warnings)

    def _tell(self, plan: Plan, refs: Iterable[Ref]) -> None:
        changes = sorted(self._changes(refs))
        if changes:
            self._report.verdicts(plan, changes)

    def _changes(self, refs: Iterable[Ref]) -> Iterator[VerdictChange]:
        for ref in refs:
            before, now = self._said.get(ref), self._combined(ref)
            if before != now:
                _update(self._said, {ref: now})
                yield VerdictChange(ref, before, now)


def _update(table: dict[Ref, Verdict], found: dict[Ref, Verdict | None]) -> None:
    for ref, verdict in found.items():
        if verdict is None:
            table.pop(ref, None)
        else:
            table[ref] = verdict


def _ref(address: IPAddress) -> Ref:
    return Ref(VirtualIP.KIND, "", object_name(Spot(DEFAULT_SPACE, address)))
