"""Everything there is to say about one object, as a document and as text: ``fairlead explain``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.claim import Pool
from fairlead.model.ledger import Spot
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan, Vip
from fairlead.model.verdict import State
from fairlead.planner import Candidate, explain
from fairlead.planner.explain import why_address
from fairlead.planner.verdicts import verdict
from fairlead.publish.document import sentence
from fairlead.publish.forwards import shown
from fairlead.publish.leases import LeaseEntry, lease_entries, leases_table
from fairlead.publish.tables import table

NOBODY = GroupKey("", "", "", "")
Holders = Mapping[str, tuple[str, ...]]
"""Address -> the engines that have it."""
NO_HOLDERS: Holders = {}
MOST_HELD = 64
"""Addresses of a pool that are listed one by one."""


class CandidateEntry(Struct, frozen=True, gc=False):
    """A pool, address or engine that was considered, and why it was or was not taken."""

    kind: Literal["pool", "address", "engine"]
    name: str
    chosen: bool
    why: str


class ExplanationEntry(Struct, frozen=True, gc=False, rename={"conflicts": "with"}):
    """One object. ``members``: the objects that share its VIP, itself included. ``warnings`` do not
    change the state. ``state`` is empty for what asks for nothing, such as a pool or a free
    address. ``holders``: the engines that have its address, as their agents report. ``forwards``:
    its ports on the network's gateway. ``leases``: what DHCP servers gave.
    """

    object: str
    state: str
    reason: str = ""
    message: str = ""
    dialect: str = ""
    group: str = ""
    addresses: list[str] = []
    hostname: str = ""
    conflicts: list[str] = []
    members: list[str] = []
    holders: list[str] = []
    forwards: list[str] = []
    candidates: list[CandidateEntry] = []
    leases: list[LeaseEntry] = []


def explanation(plan: Plan, ref: Ref, holders: Holders = NO_HOLDERS) -> ExplanationEntry | None:
    """The explanation of an object that asks for a VIP, or that is refused; None for any other.
    ``holders``: by address, as far as that is known."""
    found = explain(plan, ref)
    if found is None:
        return None
    spoken = found.verdict
    code, text = sentence(plan, spoken)
    return ExplanationEntry(
        object=str(ref),
        state=spoken.state.value,
        reason=code,
        message=text,
        dialect=spoken.dialect,
        group=str(spoken.group) if spoken.group else "",
        addresses=[canonical(address) for address in spoken.addresses],
        hostname=spoken.hostname,
        conflicts=sorted(map(str, spoken.reason.conflicts)) if spoken.reason else [],
        members=sorted(map(str, found.members)),
        holders=_holding(spoken.addresses, holders),
        forwards=[shown(one) for one in spoken.forwards],
        candidates=[_candidate(candidate) for candidate in found.candidates],
        leases=_leases(plan, ref),
    )


def _leases(plan: Plan, ref: Ref) -> list[LeaseEntry]:
    outcomes = (plan.outcomes.get(key) for key in plan.groups_of.get(ref, ()))
    orders = (order for outcome in outcomes if outcome for order in outcome.leases)
    return lease_entries(plan, orders)


def _holding(addresses: Iterable[IPAddress], holders: Holders) -> list[str]:
    return sorted({name for one in addresses for name in holders.get(canonical(one), ())})


def _candidate(candidate: Candidate) -> CandidateEntry:
    return CandidateEntry(candidate.kind, candidate.name, candidate.chosen, candidate.why)


def address_explanation(
    plan: Plan, address: IPAddress, holders: Holders = NO_HOLDERS
) -> ExplanationEntry:
    """Who has an address, or why nobody has."""
    name = f"VirtualIP/{canonical(address)}"
    for vip in plan.vips():
        if address in vip.addresses:
            return _vip(plan, vip, name, holders)
    pools = [pool for pool in plan.claims.pools if address in pool]
    where = f"in pool {', '.join(p.name for p in pools)}" if pools else "in no pool"
    spaces = {pool.space for pool in pools} or {"default"}
    told = {_told(plan, Spot(space, address)) for space in sorted(spaces)}
    return ExplanationEntry(object=name, state="", message=f"{'; '.join(sorted(told))} ({where})")


def _told(plan: Plan, spot: Spot) -> str:
    holder = plan.ledger.holders.get(spot)
    if holder is not None:
        return f"held for {holder}, which is not served now"
    return why_address(plan, spot, NOBODY, "")


def _vip(plan: Plan, vip: Vip, name: str, holders: Holders) -> ExplanationEntry:
    """A VIP that is there, explained by its oldest member."""
    first = explanation(plan, vip.members[0])
    return ExplanationEntry(
        object=name,
        state=first.state if first else State.SERVED.value,
        reason=first.reason if first else "",
        message=first.message if first else "",
        dialect=vip.group.dialect,
        group=str(vip.group),
        addresses=[canonical(each) for each in vip.addresses],
        members=sorted(map(str, vip.members)),
        holders=_holding(vip.addresses, holders),
        candidates=first.candidates if first else [],
        leases=first.leases if first else [],
    )


def pool_explanation(plan: Plan, pool: Pool) -> ExplanationEntry:
    """How full a pool is, and who holds its lowest addresses."""
    spots = sorted(
        (spot for spot in plan.ledger.holders if spot.space == pool.space and spot.address in pool),
        key=lambda spot: (spot.address.version, int(spot.address)),
    )
    size = sum(span.size for span in pool.ranges)
    ref = Ref("AddressPool", "", pool.name)
    spoken = verdict(plan, ref)
    code, text = sentence(plan, spoken) if spoken else ("", "")
    return ExplanationEntry(
        object=str(ref),
        state=spoken.state.value if spoken else "",
        reason=code,
        message=f"{len(spots)} of {size} addresses are held. {text}".rstrip(),
        addresses=[str(span) for span in pool.ranges],
        candidates=[
            CandidateEntry(
                "address", canonical(spot.address), True, why_address(plan, spot, NOBODY, "")
            )
            for spot in spots[:MOST_HELD]
        ],
    )


def text_of(entry: ExplanationEntry) -> str:
    """The explanation for people."""
    lines = [entry.object, *(f"  {name + ':':<12}{value}" for name, value in _facts(entry))]
    if entry.leases:
        lines += ["", leases_table(entry.leases).rstrip("\n")]
    if not entry.candidates:
        return "\n".join(lines) + "\n"
    rows = ([c.kind, c.name, "yes" if c.chosen else "no", c.why or " "] for c in entry.candidates)
    return "\n".join(lines) + "\n\n" + table(["CANDIDATE", "NAME", "TAKEN", "WHY"], rows)


def _facts(entry: ExplanationEntry) -> Iterator[tuple[str, str]]:
    """What is known, in the order in which people ask."""
    facts = {
        "State": entry.state,
        "Reason": entry.reason,
        "Message": entry.message,
        "With": ", ".join(entry.conflicts),
        "Addresses": ", ".join(entry.addresses),
        "Hostname": entry.hostname,
        "Dialect": entry.dialect,
        "Group": entry.group,
        "Members": ", ".join(entry.members),
        "Held by": ", ".join(entry.holders),
        "Forwarded": ", ".join(entry.forwards),
    }
    return ((name, value) for name, value in facts.items() if value)
