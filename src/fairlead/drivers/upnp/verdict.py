"""What is said of a port that is not open, or not to the internet: one sentence, the same for as
long as things are the same."""

from collections.abc import Iterable
from typing import NamedTuple

from fairlead.drivers.upnp.gateway import CONFLICT, NOT_AUTHORISED, Entry, GatewayFault
from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.forward import ForwardKey
from fairlead.model.verdict import Code

SECURE = "it may let a host open ports only to its own address (secure mode, docs/upnp.md)"


class Trouble(NamedTuple):
    """What is in the way of one port."""

    code: Code
    message: str


def shown(key: ForwardKey) -> str:
    """A port as people write it."""
    return f"{key.protocol} port {key.port} of {canonical(key.client)}"


def no_gateway(key: ForwardKey, wrong: Iterable[str]) -> Trouble:
    """Nobody on the LAN is a gateway that can be used. ``wrong``: what is with those who say they
    are."""
    what = "pinhole" if key.client.version == 6 else "port mapping"
    text = f"no UPnP gateway on the LAN of this engine offers a {what}"
    reasons = "; ".join(sorted(wrong))
    return Trouble(
        Code.NO_GATEWAY, f"{text} ({reasons})" if reasons else f"{text}; it is looked for again"
    )


def taken(key: ForwardKey, gateway: str, holder: Entry) -> Trouble:
    """Somebody else has the port, and keeps it."""
    about = f", described as {holder.description!r}" if holder.description else ""
    who = canonical(holder.client) if holder.client is not None else "another host"
    return Trouble(
        Code.PORT_FORWARD_CONFLICT,
        f"{key.protocol} port {key.port} of gateway {gateway} leads to {who} port "
        f"{holder.client_port}{about}: it is not taken from there, and tried again.",
    )


def refused(key: ForwardKey, gateway: str, fault: GatewayFault, holder: Entry | None) -> Trouble:
    """The gateway says no."""
    if fault.code == CONFLICT and holder is not None and holder.client != key.client:
        return taken(key, gateway, holder)
    if fault.code == CONFLICT:
        text = (
            f"gateway {gateway} calls {shown(key)} a conflict and names no other: {SECURE}, or "
            "uses the port itself."
        )
        return Trouble(Code.PORT_FORWARD_CONFLICT, text)
    why = f"; {SECURE}" if fault.code == NOT_AUTHORISED else ""
    return Trouble(
        Code.PORT_FORWARD_REFUSED, f"gateway {gateway} does not open {shown(key)}: {fault}{why}."
    )


def not_public(gateway: str, external: IPAddress | None) -> Trouble | None:
    """The gateway has no address that the internet could reach; None: it has."""
    if external is None:
        return Trouble(Code.NO_GATEWAY, f"gateway {gateway} has no address on its outside yet.")
    if external.is_global:
        return None
    return Trouble(
        Code.GATEWAY_NOT_PUBLIC,
        f"the outside of gateway {gateway} is {canonical(external)}, which the internet does not "
        "reach: there is another gateway behind it, which must let the port through as well.",
    )
