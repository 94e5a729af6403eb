"""Plan -> the ports that one engine keeps open on the gateway of its network.

They lead to the VIP itself, so a VIP that moves needs nothing changed there: the engine that holds
it now renews what is open, and the one before forgets it. Of several that hold a VIP, the first
does.
"""

from collections.abc import Iterable

from fairlead.model.forward import Forwarding, ForwardKey, UpnpChanges, UpnpDesired
from fairlead.model.ledger import EXTERNAL
from fairlead.model.names import GroupKey
from fairlead.model.plan import Plan
from fairlead.planner.diff import diff_upnp


def compile_upnp(plan: Plan, engine: str) -> UpnpDesired:
    """Everything that is to be open, by this engine and by others."""
    return _desired(plan, plan.outcomes, engine)


def delta_upnp(before: Plan, after: Plan, engine: str) -> UpnpChanges:
    """What changes for this engine; its cost follows the change."""
    if after.changed is None:
        return diff_upnp(compile_upnp(after, engine), compile_upnp(before, engine))
    there = _desired(before, after.changed, engine)
    return diff_upnp(_desired(after, after.changed, engine), there)


def _desired(plan: Plan, keys: Iterable[GroupKey], engine: str) -> UpnpDesired:
    mine: dict[ForwardKey, Forwarding] = {}
    elsewhere: set[ForwardKey] = set()
    for group in keys:
        outcome = plan.outcomes.get(group)
        for vip in outcome.vips if outcome is not None else ():
            if vip.slot != EXTERNAL:
                continue
            is_here = plan.placement.active.get(vip.key, ())[:1] == (engine,)
            for listener in vip.listeners:
                if listener.forward is None:
                    continue
                row = Forwarding(listener.service, listener.forward)
                for address in vip.addresses:
                    key = ForwardKey(address, listener.protocol, listener.port)
                    if is_here:
                        mine[key] = row
                    else:
                        elsewhere.add(key)
    return UpnpDesired(mine, frozenset(elsewhere))
