"""Which members of a group are served together.

Two kinds of inconsistency. About the VIP itself (static addresses or infra settings differ): a
group that was never served gets no VIP and every member says why; a group that is served keeps
serving, and the member that differs from what is served is refused. About one member (a port that
is taken, a foreign class, nodes that do not meet): that member alone is refused and the others
serve.
"""

from collections.abc import Sequence

from msgspec import Struct

from fairlead.model.addresses import Family, IPAddress
from fairlead.model.claim import Claim, ClaimKey, Pool
from fairlead.model.ledger import EXTERNAL, Holding, Owner
from fairlead.model.names import GroupKey
from fairlead.model.verdict import Reason, State
from fairlead.planner import reasons


class Refusal(Struct, frozen=True, gc=False):
    """Why a member is not served."""

    state: State
    reason: Reason


class Admission(Struct, frozen=True, gc=False):
    """The members that are served together, in order of precedence, and the others with the reason.

    ``wish``: the static address all of them agree on, by family. ``keep``: the held address stays
    although nobody asks for it, because the members disagree.
    """

    group: GroupKey
    claims: tuple[Claim, ...]
    members: tuple[Claim, ...]
    refused: dict[ClaimKey, Refusal]
    wish: dict[Family, IPAddress]
    keep: bool = False
    nodes: frozenset[str] | None = None


def admit(
    group: GroupKey,
    claims: Sequence[Claim],
    holding: Holding | None,
    *,
    strict: bool,
    pools: Sequence[Pool],
) -> Admission:
    """Decide who of a group is served. ``claims`` are sorted by age.

    A group counts as served while one of those it was served for is still there.
    """
    if len(claims) == 1 and not claims[0].foreign_class:
        claim = claims[0]
        wish = wishes(claims)
        return Admission(group, tuple(claims), (claim,), {}, wish, nodes=_nodes(claim))
    served = holding if holding and holding.members & {c.ref for c in claims} else None
    sitting = _Sitting(claims, served, strict=strict)
    sitting.refuse_foreign()
    sitting.refuse_static()
    sitting.refuse_settings()
    sitting.refuse_namespaces(pools)
    sitting.refuse_ports()
    nodes = sitting.refuse_policies()
    members = tuple(sitting.members)
    return Admission(
        group,
        tuple(claims),
        members,
        sitting.refused,
        wishes(members),
        keep=sitting.keep,
        nodes=nodes,
    )


def wishes(members: Sequence[Claim]) -> dict[Family, IPAddress]:
    """The static address that agreeing members ask for, by family."""
    return {int(a.version): a for c in members for a in c.addresses}


def _nodes(claim: Claim) -> frozenset[str] | None:
    """The nodes a Local claim is confined to; None = any, also while no endpoint is ready."""
    if not claim.local:
        return None
    nodes = frozenset(b.node for listener in claim.listeners for b in listener.backends)
    return None if not nodes or "" in nodes else nodes


class _Sitting:
    """The members still in question, and those refused so far."""

    def __init__(self, claims: Sequence[Claim], holding: Holding | None, *, strict: bool) -> None:
        self.holding = holding
        self.strict = strict
        self.keep = False
        self.refused: dict[ClaimKey, Refusal] = {}
        self.members = sorted(claims, key=lambda claim: (self._rank(claim), claim.order))

    def _rank(self, claim: Claim) -> int:
        """0: served, and asks for nothing it has not got; 1: served, but changed; 2: new."""
        owners = self.holding.owners if self.holding else ()
        if not any(owner.ref == claim.ref for owner in owners):
            return 2
        return int(not all(Owner(p.protocol, p.port, claim.ref) in owners for p in claim.listeners))

    def _refuse(self, claim: Claim, reason: Reason, state: State = State.REJECTED) -> None:
        self.refused[claim.key] = Refusal(state, reason)
        self.members = [c for c in self.members if c is not claim]

    def _by_age(self) -> list[Claim]:
        """The members still in question, for sentences that must not depend on precedence."""
        return sorted(self.members, key=lambda claim: claim.order)

    def refuse_foreign(self) -> None:
        """A member of somebody else's class."""
        others = [c for c in self._by_age() if not c.foreign_class]
        state = State.REJECTED if others else State.IGNORED
        for claim in [c for c in self.members if c.foreign_class]:
            self._refuse(claim, reasons.class_mismatch(claim, others), state)

    def refuse_static(self) -> None:
        """Static addresses that differ, within one family."""
        for family in (4, 6):
            asked = {c.key: a for c in self.members for a in c.addresses if a.version == family}
            if len(set(asked.values())) < 2:
                continue
            held = self._held(family)
            self.keep = bool(held)
            served = self.holding is not None and not self.strict
            everybody = self._by_age()
            for claim in everybody:
                mine = asked.get(claim.key)
                if self.holding and not self.strict and mine in (None, *held):
                    continue
                against = [c for c in everybody if asked.get(c.key) not in (None, mine)]
                self._refuse(claim, reasons.static_mismatch(claim, against, served=served))

    def _held(self, family: Family) -> tuple[IPAddress, ...]:
        if self.holding is None:
            return ()
        spots = [a.spot.address for a in self.holding.in_slot(EXTERNAL)]
        return tuple(a for a in spots if a.version == family)

    def refuse_settings(self) -> None:
        """Infra settings that differ; to have none differs from having one."""
        if len({c.setting for c in self.members}) < 2:
            return
        everybody = self._by_age()
        for claim in everybody:
            if self.holding and not self.strict and claim.setting == self.holding.setting:
                continue
            against = [c for c in everybody if c.setting != claim.setting]
            self._refuse(claim, reasons.setting_mismatch(claim, against))

    def refuse_namespaces(self, pools: Sequence[Pool]) -> None:
        """Members of other namespaces, where the address's pool is not shared between them."""
        if len({c.ref.namespace for c in self.members}) < 2:
            return
        first = self.members[0]
        addresses = {a for c in self.members for a in c.addresses}
        closed = [p for p in pools if not p.cross_namespace and any(a in p for a in addresses)]
        for claim in list(self.members) if closed else []:
            if claim.ref.namespace != first.ref.namespace:
                self._refuse(claim, reasons.namespace_closed(closed[0], first.ref))

    def refuse_ports(self) -> None:
        """A (protocol, port) that a member of higher precedence has."""
        taken: dict[tuple[str, int], Claim] = {}
        late: list[Claim] = []
        for claim in self.members:
            ports = [(p.protocol, p.port) for p in claim.listeners]
            if any(port in taken for port in ports):
                late.append(claim)
            else:
                taken.update(dict.fromkeys(ports, claim))
        for claim in late:
            clash = next(p for p in claim.listeners if (p.protocol, p.port) in taken)
            holder = taken[clash.protocol, clash.port].ref
            self._refuse(claim, reasons.port_conflict(clash.protocol, clash.port, holder))

    def refuse_policies(self) -> frozenset[str] | None:
        """Local members whose nodes do not meet; returns the nodes where the rest do."""
        meeting: frozenset[str] | None = None
        holders: list[Claim] = []
        apart: list[Claim] = []
        for claim in self.members:
            nodes = _nodes(claim)
            if nodes is None:
                continue
            together = nodes if meeting is None else meeting & nodes
            if together:
                meeting = together
                holders.append(claim)
            else:
                apart.append(claim)
        reason = reasons.policy_conflict(sorted(claim.ref for claim in holders))
        for claim in apart:
            self._refuse(claim, reason, State.PENDING)
        return meeting
