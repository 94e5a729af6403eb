"""Desired against observed, as tables: what to create, to change and to delete."""

from fairlead.model.desired import L2Changes, L2Desired, L4Changes, L4Desired, L4Key, L4Listener
from fairlead.model.forward import Forwarding, ForwardKey, UpnpChanges, UpnpDesired


def diff_l4(desired: L4Desired, observed: L4Desired) -> L4Changes:
    """The changes that turn what is observed into what is desired; empty when they are equal."""
    rows: dict[L4Key, L4Listener | None] = {
        key: row for key, row in desired.listeners.items() if observed.listeners.get(key) != row
    }
    rows.update({key: None for key in observed.listeners if key not in desired.listeners})
    return L4Changes(
        listeners=rows,
        vips_added=desired.vips - observed.vips,
        vips_removed=observed.vips - desired.vips,
    )


def diff_l2(desired: L2Desired, observed: L2Desired) -> L2Changes:
    """The addresses to take, or to move to another interface, and those to let go."""
    added = desired.owned - observed.owned
    places, before = desired.places, observed.places
    if places or before:
        both = {*places, *before} & desired.owned
        added |= {one for one in both if places.get(one) != before.get(one)}
    return L2Changes(
        added=added,
        removed=observed.owned - desired.owned,
        probe=added & desired.fresh,
        places={address: name for address, name in places.items() if address in added},
    )


def diff_upnp(desired: UpnpDesired, observed: UpnpDesired) -> UpnpChanges:
    """The ports to open, or to renew, and those to close; what other engines keep up stays."""
    rows: dict[ForwardKey, Forwarding | None] = {
        key: row for key, row in desired.forwards.items() if observed.forwards.get(key) != row
    }
    over = observed.forwards.keys() - desired.forwards.keys()
    handed = over & desired.elsewhere
    rows.update(dict.fromkeys(over - handed))
    return UpnpChanges(rows, frozenset(handed))
