"""DHCPv4 as one client of it (RFC 2131), with the messages and the wire of pyroute2.

Its own client keeps a state machine that starts over whenever something fails, takes a lease that
nobody confirms for lost after ten seconds, and says nothing of what a server refused. What is asked
here must survive all of that, so the conversations are separate and ``session`` decides.
"""

from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from time import time
from typing import Any, NamedTuple

from pyroute2.dhcp.dhcp4msg import dhcp4msg
from pyroute2.dhcp.enums import bootp
from pyroute2.dhcp.enums.dhcp import MessageType, Option
from pyroute2.dhcp.messages import ReceivedDHCPMessage, SentDHCPMessage

from fairlead.drivers.dhcp.exchange import FOREVER, Answer, Denied, Parent, Terms, timed
from fairlead.drivers.dhcp.port4 import Inbox, Port4, answers
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import DhcpRow

ASKED = [
    Option.SUBNET_MASK,
    Option.ROUTER,
    Option.LEASE_TIME,
    Option.RENEWAL_TIME,
    Option.REBINDING_TIME,
]
AGAIN = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a message is sent again (RFC 2131, 4.1, from 1 s on: a VIP is waited for)."""
GRACE = 1.0
"""Seconds for which a refusal by a server that the lease is not from waits for its own server."""
Options = dict[str, Any]


class Heard(NamedTuple):
    """An answer, and when what it answers was sent."""

    message: ReceivedDHCPMessage
    sent: float


class Client4:
    """One lease's conversations over a port."""

    def __init__(self, port: Port4, row: DhcpRow, parent: Parent) -> None:
        self._port, self._row, self._parent = port, row, parent

    async def acquire(self, wish: IPAddress | None, *, only: bool, wait: float) -> Answer:
        """DISCOVER, OFFER, REQUEST, ACK."""
        offer = await self._offer(wish, only=only, wait=wait)
        if offer is None:
            return None
        options = {
            "requested_ip": offer.dhcp["yiaddr"],
            "server_id": offer.dhcp["options"]["server_id"],
        }
        return await self._ask(self._message(MessageType.REQUEST, options), wait=wait, server="")

    async def confirm(self, terms: Terms, *, wait: float) -> Answer:
        """REQUEST by broadcast, with the address and without a server (4.3.2, INIT-REBOOT)."""
        message = self._message(MessageType.REQUEST, {"requested_ip": str(terms.address)})
        return await self._ask(message, wait=wait, server=terms.server)

    async def renew(self, terms: Terms, *, wait: float) -> Answer:
        """REQUEST to the server (4.3.2, RENEWING)."""
        if not terms.mac:
            return await self.rebind(terms, wait=wait)
        message = self._message(MessageType.REQUEST, {}, ciaddr=terms)
        _unicast(message, terms)
        return await self._ask(message, wait=wait, server=terms.server)

    async def rebind(self, terms: Terms, *, wait: float) -> Answer:
        """REQUEST to all (4.3.2, REBINDING)."""
        message = self._message(MessageType.REQUEST, {}, ciaddr=terms)
        return await self._ask(message, wait=wait, server=terms.server)

    async def release(self, terms: Terms) -> None:
        """RELEASE to the server (4.4.6); while its MAC is not known, by broadcast."""
        message = self._message(MessageType.RELEASE, {"server_id": terms.server}, ciaddr=terms)
        message.dhcp["options"].pop("parameter_list", None)
        if terms.mac:
            _unicast(message, terms)
        with self._port.conversation(self._row.mac) as (xid, _):
            message.dhcp["xid"] = xid
            await self._port.send(message)

    async def who(self, *, wait: float) -> str:
        """INFORM from the engine's own address (3.4): a server that has none left to give still
        answers that, and says who it is."""
        parent = self._parent
        if not parent.address:
            return ""
        message = self._message(MessageType.INFORM, {})
        message.dhcp["ciaddr"] = message.ip_src = parent.address
        message.dhcp["chaddr"] = message.eth_src = parent.mac
        for option in ("client_id", "host_name"):
            message.dhcp["options"].pop(option, None)
        with self._port.conversation(parent.mac) as (xid, inbox):
            async for heard in self._exchange(message, xid, inbox, wait):
                if _kind(heard.message) is MessageType.ACK:
                    return _server(heard.message)
        return ""

    # -- conversations ---------------------------------------------------------------------------

    async def _offer(
        self, wish: IPAddress | None, *, only: bool, wait: float
    ) -> ReceivedDHCPMessage | None:
        options: Options = {"requested_ip": str(wish)} if wish is not None else {}
        message = self._message(MessageType.DISCOVER, options)
        with self._port.conversation(self._row.mac) as (xid, inbox):
            async for heard in self._exchange(message, xid, inbox, wait):
                given = _address(heard.message)
                if _kind(heard.message) is not MessageType.OFFER or given is None:
                    continue
                if _server(heard.message) and (given == wish or not only):
                    return heard.message
        return None

    async def _ask(self, message: SentDHCPMessage, *, wait: float, server: str) -> Answer:
        """What is answered to a REQUEST. A refusal by another server than ours is believed only
        when ours does not speak up: in a LAN with two, one knows nothing of the other's leases."""
        refusal: Denied | None = None
        with self._port.conversation(self._row.mac) as (xid, inbox):
            async for heard in self._exchange(message, xid, inbox, wait):
                match _kind(heard.message):
                    case MessageType.ACK:
                        terms = _terms(heard)
                        if terms is not None:
                            return terms
                    case MessageType.NAK:
                        refusal = _denied(heard.message)
                        if server in ("", refusal.server):
                            return refusal
                        break
            if refusal is not None:
                async for late in answers(inbox, GRACE):
                    terms = _terms(Heard(late, time())) if _kind(late) is MessageType.ACK else None
                    if terms is not None:
                        return terms
        return refusal

    async def _exchange(
        self, message: SentDHCPMessage, xid: int, inbox: Inbox, wait: float
    ) -> AsyncIterator[Heard]:
        """Send, again and again, and hear what is answered, until the patience is at an end."""
        message.dhcp["xid"] = xid
        started = time()
        for pause in AGAIN:
            left = started + wait - time()
            if left <= 0:
                return
            sent = time()
            message.dhcp["secs"] = min(int(sent - started), 0xFFFF)
            await self._port.send(message)
            async for answer in answers(inbox, min(pause, left)):
                yield Heard(answer, sent)

    def _message(
        self, kind: MessageType, options: Options, *, ciaddr: Terms | None = None
    ) -> SentDHCPMessage:
        row = self._row
        broadcast = row.broadcast or not self._parent.macvlan
        content: Options = {
            "op": bootp.MessageType.BOOTREQUEST,
            "flags": bootp.Flag.BROADCAST if broadcast else bootp.Flag.UNICAST,
            "chaddr": row.mac,
            "options": {"message_type": kind, **options, "parameter_list": ASKED},
        }
        if row.client_id:  # of type 0: something else than a hardware address (RFC 2132, 9.14)
            content["options"]["client_id"] = {"type": 0, "key": row.client_id.encode()}
        if row.hostname:
            content["options"]["host_name"] = row.hostname
        message = SentDHCPMessage(dhcp=dhcp4msg(content), eth_src=row.mac)
        if ciaddr is not None:
            message.dhcp["ciaddr"] = message.ip_src = str(ciaddr.address)
        return message


def _unicast(message: SentDHCPMessage, terms: Terms) -> None:
    message.eth_dst, message.ip_dst = terms.mac, terms.server


# -- what strangers say ----------------------------------------------------------------------------


def _kind(message: ReceivedDHCPMessage) -> MessageType | None:
    found = message.dhcp["options"].get("message_type")
    return found if isinstance(found, MessageType) else None


def _server(message: ReceivedDHCPMessage) -> str:
    return str(message.dhcp["options"].get("server_id") or "")


def _address(message: ReceivedDHCPMessage) -> IPv4Address | None:
    """The address that is given, if anybody can have it."""
    try:
        address = IPv4Address(message.dhcp["yiaddr"])
    except ValueError:
        return None
    odd = address.is_multicast or address.is_loopback or address.is_unspecified
    return None if odd or address.is_reserved or address.is_link_local else address


def _denied(message: ReceivedDHCPMessage) -> Denied:
    said = message.dhcp["options"].get("message")
    text = said if isinstance(said, str) else ""
    return Denied(_server(message), "".join(filter(str.isprintable, text))[:200])


def _terms(heard: Heard) -> Terms | None:
    """The lease of an ACK; it runs from when it was asked for (4.4.1)."""
    options = heard.message.dhcp["options"]
    address, lease = _address(heard.message), options.get("lease_time")
    if address is None or not isinstance(lease, int) or lease == 0 or lease < -1:
        return None
    seconds = FOREVER if lease == -1 else float(lease)
    renew, rebind = (_seconds(options.get(key)) for key in ("renewal_time", "rebinding_time"))
    times = timed(now=heard.sent, lease=seconds, renew=renew, rebind=rebind)
    server = _server(heard.message) or str(heard.message.ip_src)
    return Terms(address, server, heard.sent, *times, mac=str(heard.message.eth_src))


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int) and value > 0 else None
