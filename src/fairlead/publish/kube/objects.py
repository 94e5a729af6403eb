"""What became of an object that is not served itself: a pool, an engine group, a peer, a setting.

Objects of ours get the condition ``Accepted``; an AviInfraSetting gets ``status.status`` Accepted
or Rejected, as AKO writes it. How many addresses of a pool are assigned is counted now and then
only, so that an assignment does not cost one more write.
"""

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from fairlead.model.kube import AviInfraSetting, KubeObject
from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool, BGPPeer, EngineGroup
from fairlead.model.plan import Plan
from fairlead.model.verdict import State, Verdict

ACCEPTED = "Accepted"
KINDS = frozenset({AddressPool.KIND, EngineGroup.KIND, BGPPeer.KIND, AviInfraSetting.KIND})
"""The kinds whose status is written."""
LONGEST = 1024
_OWN = {
    AddressPool.KIND: "addresspools",
    EngineGroup.KIND: "enginegroups",
    BGPPeer.KIND: "bgppeers",
}


class Use(NamedTuple):
    """How full a pool is."""

    assigned: int
    size: int


class Told(NamedTuple):
    """What an object's status says: whether it is in use as written, and what is wrong with it."""

    ok: bool
    reason: str = "Accepted"
    message: str = ""
    use: Use | None = None
    since: str = ""

    def same(self, shown: "Told | None") -> bool:
        """Whether that is shown already."""
        return shown is not None and self[:4] == shown[:4]


def use_of(plan: Plan) -> dict[str, Use]:
    """How full each pool is, by name. Walks over the whole ledger."""
    held = Counter(a.pool for h in plan.ledger.holdings.values() for a in h.assignments)
    return {
        pool.name: Use(held[pool.name], sum(span.size for span in pool.ranges))
        for pool in plan.claims.pools
    }


def told_of(ref: Ref, verdict: Verdict | None, use: Use | None) -> Told:
    """What to say of an object. A setting is rejected for anything that is wrong with it, as in
    AKO; an object of ours is in use unless its verdict is a rejection."""
    if verdict is None:
        return Told(True, use=use)
    doubts = [*([verdict.reason] if verdict.reason else []), *verdict.warnings]
    text = " ".join(doubt.message for doubt in doubts)[:LONGEST]
    whole = ref.kind == AviInfraSetting.KIND or verdict.state is State.REJECTED
    if doubts and whole:
        return Told(False, str(doubts[0].code), text, use)
    return Told(True, "Accepted", text, use)


def shown_by(one: KubeObject) -> Told | None:
    """What an object's status says now; None when nothing."""
    match one:
        case AviInfraSetting(status=status) if status is not None and status.status:
            return _setting(status.status == "Accepted", status.error)
        case AddressPool(status=found) | EngineGroup(status=found) | BGPPeer(status=found):
            conditions = (found.conditions if found else None) or ()
            own = next((c for c in conditions if c.type == ACCEPTED), None)
            if own is not None:
                since = own.last_transition_time
                return Told(own.status == "True", own.reason, own.message, _use(one), since)
    return None


def _use(one: KubeObject) -> Use | None:
    status = one.status if isinstance(one, AddressPool) else None
    if status is None or not status.size.isdecimal():
        return None
    return Use(status.assigned, int(status.size))


def _setting(ok: bool, error: str) -> Told:
    code, _, text = error.partition(": ")
    return Told(True) if ok else Told(False, code, text)


def paths_of(ref: Ref) -> tuple[str, ...]:
    """Where the status is written; a setting of an older cluster has no status of its own."""
    if ref.kind == AviInfraSetting.KIND:
        root = "/apis/ako.vmware.com/{}/aviinfrasettings/" + ref.name
        return root.format("v1beta1") + "/status", root.format("v1alpha1")
    return (f"/apis/fairlead.dev/v1alpha1/{_OWN[ref.kind]}/{ref.name}/status",)


def body_of(ref: Ref, told: Told, *, version: str, now: str) -> bytes:
    """The merge patch as JSON, conditional on the resourceVersion."""
    status: dict[str, Any]
    if ref.kind == AviInfraSetting.KIND:
        error = "" if told.ok else f"{told.reason}: {told.message}"
        status = {"status": "Accepted" if told.ok else "Rejected", "error": error}
    else:
        condition = {
            "type": ACCEPTED,
            "status": "True" if told.ok else "False",
            "reason": told.reason,
            "message": told.message,  # required, also when there is nothing to say
            "lastTransitionTime": told.since or now,
        }
        status = {"conditions": [condition]}
        if told.use is not None:
            status |= {"assigned": told.use.assigned, "size": str(told.use.size)}
    return msgspec.json.encode({"metadata": {"resourceVersion": version}, "status": status})
