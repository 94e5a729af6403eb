"""Which claims must live on one VIP.

Most claims carry their group. Those that do not (kube-vip) are grouped by the addresses they ask
for: claims whose lists overlap, directly or through others, are one group, named by its lowest
address.
"""

from collections.abc import Iterable

from immutables import Map

from fairlead.model.claim import Claim
from fairlead.model.ledger import Spot
from fairlead.model.names import GroupKey, Ref

Asked = Map[Spot, frozenset[Ref]]


def spots_of(claim: Claim) -> tuple[Spot, ...]:
    """The addresses that group a claim; none when it carries its group or asks for none."""
    if claim.group is not None:
        return ()
    return tuple(Spot(claim.space, address) for address in claim.addresses)


def key_of(claims: Iterable[Claim]) -> GroupKey:
    """The key of claims that are grouped by address."""
    lowest = min(
        (spot.address.version, int(spot.address), spot, claim.dialect)
        for claim in claims
        for spot in spots_of(claim)
    )
    return GroupKey(lowest[3], f"address:{lowest[2].space}", "", lowest[2].address.compressed)


def own_key(claim: Claim) -> GroupKey:
    """The group of a claim that carries none and asks for no address: a group of one."""
    return GroupKey(claim.dialect, claim.ref.kind.lower(), claim.ref.namespace, claim.ref.name)


def reindex(asked: Asked, old: Iterable[Claim], new: Iterable[Claim]) -> Asked:
    """Who asks for which address, after ``old`` claims became ``new``."""
    index = asked.mutate()
    for claim in old:
        for spot in spots_of(claim):
            rest = index.get(spot, frozenset()) - {claim.ref}
            if rest:
                index[spot] = rest
            elif spot in index:
                del index[spot]
    for claim in new:
        for spot in spots_of(claim):
            index[spot] = index.get(spot, frozenset()) | {claim.ref}
    return index.finish()


def components(
    seeds: Iterable[Ref], asked: Asked, by_ref: Map[Ref, tuple[Claim, ...]]
) -> dict[GroupKey, list[Claim]]:
    """The address groups that the seeds belong to, each whole."""
    found: dict[GroupKey, list[Claim]] = {}
    seen: set[Ref] = set()
    for seed in seeds:
        if seed in seen:
            continue
        members: list[Claim] = []
        todo = [seed]
        seen.add(seed)
        while todo:
            for claim in by_ref.get(todo.pop(), ()):
                spots = spots_of(claim)
                if not spots:
                    continue
                members.append(claim)
                near = {ref for spot in spots for ref in asked.get(spot, ())} - seen
                seen |= near
                todo.extend(near)
        if members:
            found[key_of(members)] = members
    return found
