"""Backends gathered from slices, pods or nodes: each once, in order of address.

The order is part of the value: a claim must not differ because a slice listed its endpoints in
another order.
"""

from collections.abc import Iterable
from typing import NamedTuple

from fairlead.dialects.reading import Hint, invalid, shown
from fairlead.dialects.statics import special
from fairlead.model.addresses import IPAddress, parse_address
from fairlead.model.claim import Backend, ListenerClaim, Via
from fairlead.model.verdict import Code, Reason

MOST_WARNINGS = 3
"""Warnings of one kind on one Service; a thousand bad endpoints need not fill its status."""
Doubts = list[Reason]
"""Warnings while backends are gathered."""
Found = dict[tuple[int, int, int], Backend]
"""Backends by family, number of the address, and port."""


class Traffic(NamedTuple):
    """Where a Service's listeners lead, what that depends on, and what could not be used."""

    listeners: tuple[ListenerClaim, ...]
    hints: tuple[Hint, ...] = ()
    warnings: tuple[Reason, ...] = ()
    via: Via = "Pods"


def note(doubts: Doubts, reason: Reason) -> None:
    """Add a warning: each sentence once, and not too many."""
    if len(doubts) < MOST_WARNINGS and reason not in doubts:
        doubts.append(reason)


def in_order(found: Found) -> tuple[Backend, ...]:
    """Each backend once, in order."""
    if len(found) < 2:
        return tuple(found.values())
    return tuple([found[mark] for mark in sorted(found)])


def put(into: Found, text: str, port: int, node: str) -> str:
    """Add a backend; returns why the address cannot be one, empty when it can.

    The API server refuses endpoints on loopback, link-local and multicast addresses, because they
    would reach the engine itself.
    """
    try:
        address: IPAddress = parse_address(text)
    except ValueError:
        return "is not an IP address"
    family, number = address.version, int(address)
    why = special(family, number)
    if why:
        return f"is {why}"
    mark = (family, number, port)
    if mark not in into:
        into[mark] = Backend(address, port, node)
    return ""


def unusable(where: str, text: str, why: str) -> Reason:
    """The warning for an address that was passed over."""
    return invalid(f"{where} address", text, f"{why}; no traffic goes there")


def no_node_port(ports: Iterable[str]) -> Reason:
    """The warning for ports that nodes do not open."""
    return Reason(
        Code.NO_READY_BACKEND,
        f"port {', '.join(ports)} has no nodePort, so no traffic goes there; set nodePort, or let "
        "the cluster allocate it (spec.allocateLoadBalancerNodePorts).",
    )


def by_port(listener: ListenerClaim) -> tuple[int, str]:
    """The order of a claim's listeners."""
    return listener.port, listener.protocol


def pod_annotation(pod: str, field: str, text: str, why: str) -> Reason:
    """The warning for a pod's annotation that cannot be read."""
    return Reason(
        Code.INVALID_OBJECT,
        f"Pod {pod}: {field} {shown(text)} {why}; the pod gets no traffic.",
    )
