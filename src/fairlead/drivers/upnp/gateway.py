"""One gateway, as the driver needs it: port mappings for IPv4, pinholes for IPv6.

Facts from the standards (Open Connectivity Foundation, gateway device DCPs)::

    AddPortMapping       the same mapping again renews it; of somebody else: error 718
    NewLeaseDuration     seconds that are left; 0 = for ever, and some know nothing else (error 725)
    AddPinhole           the same pinhole again renews it and gives its UniqueID; there is no list
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import islice
from typing import Any, NamedTuple, Protocol
from xml.etree.ElementTree import Element

from aiohttp import ClientConnectorError, ClientError
from async_upnp_client.client import UpnpDevice, UpnpService
from async_upnp_client.client_factory import UpnpFactory
from async_upnp_client.exceptions import UpnpActionError
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # it has no types

from fairlead.drivers.upnp.requester import Refusal, Requester
from fairlead.model.addresses import IPAddress
from fairlead.model.forward import ForwardKey

MAPPING = (
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
FIREWALL = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"
NUMBERS = {"TCP": 6, "UDP": 17}
"""IANA protocol numbers, by which pinholes are named."""
MOST = 2048
"""Mappings that are read of one gateway."""
LONGEST_PINHOLE = 86400
"""Seconds; no pinhole is for ever (WANIPv6FirewallControl:1, 2.5.3)."""
NO_SUCH_INDEX, NO_SUCH_ENTRY, NO_SUCH_LIST, NO_SUCH_PINHOLE = 713, 714, 730, 704
CONFLICT, PERMANENT_ONLY, NOT_AUTHORISED = 718, 725, 606
UNSUPPORTED = (401, 402, 501, 602)
logging.getLogger("async_upnp_client").setLevel(logging.CRITICAL)
# what it warns of is refused there, and told by us; its warnings hold what strangers wrote
SHOWN = 80
"""Characters of a stranger's text that are shown."""


class GatewayFault(Exception):
    """The gateway says no. ``code``: of UPnP."""

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(f"error {code} {text}".strip())


class GatewayGone(Exception):
    """The gateway does not answer, or not as a gateway would."""


class GatewaySilent(GatewayGone):
    """The gateway was reached, and does not answer in time."""


class Entry(NamedTuple):
    """A port mapping as the gateway has it. ``client``: None when it is no address. ``lease``:
    seconds that are left, 0 for ever."""

    protocol: str
    port: int
    client: IPAddress | None
    client_port: int
    description: str
    lease: int


class Gateway(Protocol):
    """What a driver asks of a gateway. Raises :class:`GatewayFault` and :class:`GatewayGone`."""

    name: str

    async def external(self) -> IPAddress | None:
        """Its address on the outside, None while it has none."""
        ...

    async def entries(self) -> list[Entry]:
        """Every mapping, whoever made it."""
        ...

    async def entry(self, protocol: str, port: int) -> Entry | None:
        """The mapping of a port."""
        ...

    async def add(self, key: ForwardKey, *, description: str, lease: int) -> None:
        """Map a port, or renew the mapping."""
        ...

    async def remove(self, key: ForwardKey) -> None:
        """Take a mapping away; one that is not there is success."""
        ...

    async def open(self, key: ForwardKey, *, lease: int) -> int:
        """Make a pinhole, or renew it; its number."""
        ...

    async def has(self, key: ForwardKey, pinhole: int) -> bool:
        """Whether a pinhole is there."""
        ...

    async def close(self, key: ForwardKey) -> None:
        """Take a pinhole away."""
        ...


class IgdGateway:
    """A gateway over UPnP. ``requester`` is bound to its host."""

    def __init__(self, device: UpnpDevice, requester: Requester) -> None:
        self.name = str(requester.host)
        self._requester = requester
        services = {one.service_type: one for one in _services(device)}
        self._mappings = [services[kind] for kind in MAPPING if kind in services]
        self._firewall = services.get(FIREWALL)

    @property
    def maps(self) -> bool:
        """Whether it can map ports."""
        return bool(self._mappings)

    @property
    def has_firewall(self) -> bool:
        """Whether it can make pinholes."""
        return self._firewall is not None

    async def external(self) -> IPAddress | None:
        found = None
        for service in [*self._mappings]:
            said = await self._call(service, "GetExternalIPAddress")
            found = _address(said.get("NewExternalIPAddress"))
            if found is not None and int(found):
                # of several connections, the one that is up is the one to use
                self._mappings = [service, *(one for one in self._mappings if one is not service)]
                return found
        return None

    async def entries(self) -> list[Entry]:
        try:
            return [entry for protocol in NUMBERS for entry in await self._listed(protocol)]
        except GatewaySilent:
            raise
        except (GatewayFault, GatewayGone):  # version 1, or it tells only some of them
            return await self._one_by_one()

    async def _listed(self, protocol: str) -> list[Entry]:
        """All mappings of a protocol in one answer (WANIPConnection:2, 2.5.21)."""
        try:
            said = await self._map(
                "GetListOfPortMappings",
                NewStartPort=1,
                NewEndPort=65535,
                NewProtocol=protocol,
                NewManage=True,
                NewNumberOfPorts=0,
            )
        except GatewayFault as fault:
            if fault.code == NO_SUCH_LIST:
                return []
            raise
        with _told():
            return [*_entries(fromstring(str(said.get("NewPortListing", ""))))]

    async def _one_by_one(self) -> list[Entry]:
        found: list[Entry] = []
        for index in range(MOST):
            try:
                said = await self._map("GetGenericPortMappingEntry", NewPortMappingIndex=index)
            except GatewayFault as fault:
                if fault.code == NO_SUCH_INDEX or (index and fault.code in UNSUPPORTED):
                    break
                raise
            found.append(_entry(said))
        return found

    async def entry(self, protocol: str, port: int) -> Entry | None:
        try:
            said = await self._map("GetSpecificPortMappingEntry", **_place(protocol, port))
        except GatewayFault as fault:
            if fault.code == NO_SUCH_ENTRY:
                return None
            raise
        return _entry({**said, "NewProtocol": protocol, "NewExternalPort": port})

    async def add(self, key: ForwardKey, *, description: str, lease: int) -> None:
        await self._map(
            "AddPortMapping",
            source=key.client,
            **_place(key.protocol, key.port),
            NewInternalPort=key.port,
            NewInternalClient=str(key.client),
            NewEnabled=True,
            NewPortMappingDescription=description,
            NewLeaseDuration=lease,
        )

    async def remove(self, key: ForwardKey) -> None:
        try:
            where = _place(key.protocol, key.port)
            await self._map("DeletePortMapping", source=key.client, **where)
        except GatewayFault as fault:
            if fault.code != NO_SUCH_ENTRY:
                raise

    async def open(self, key: ForwardKey, *, lease: int) -> int:
        said = await self._guard(
            "AddPinhole",
            source=key.client,
            RemoteHost="",
            RemotePort=0,
            InternalClient=str(key.client),
            InternalPort=key.port,
            Protocol=NUMBERS[key.protocol],
            LeaseTime=lease or LONGEST_PINHOLE,
        )
        try:
            return int(said["UniqueID"])
        except (KeyError, ValueError):
            raise GatewayGone("it made a pinhole and does not say which") from None

    async def has(self, key: ForwardKey, pinhole: int) -> bool:
        try:
            await self._guard("GetPinholePackets", source=key.client, UniqueID=pinhole)
        except GatewayFault as fault:
            # a gateway that cannot tell is believed until the renewal
            return fault.code != NO_SUCH_PINHOLE
        return True

    async def close(self, key: ForwardKey) -> None:
        # its number is what making it once more tells
        pinhole = await self.open(key, lease=LONGEST_PINHOLE)
        try:
            await self._guard("DeletePinhole", source=key.client, UniqueID=pinhole)
        except GatewayFault as fault:
            if fault.code != NO_SUCH_PINHOLE:
                raise

    async def _map(
        self, action: str, *, source: IPAddress | None = None, **arguments: Any
    ) -> dict[str, Any]:
        if not self._mappings:
            raise GatewayFault(UNSUPPORTED[0], "it maps no ports")
        return await self._call(self._mappings[0], action, source=source, **arguments)

    async def _guard(self, action: str, *, source: IPAddress, **arguments: Any) -> dict[str, Any]:
        if self._firewall is None:
            raise GatewayFault(UNSUPPORTED[0], "it makes no pinholes")
        return await self._call(self._firewall, action, source=source, **arguments)

    async def _call(
        self,
        service: UpnpService,
        action: str,
        *,
        source: IPAddress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Call an action from the VIP, which gateways in secure mode demand, if it is here."""
        if not service.has_action(action):
            raise GatewayFault(UNSUPPORTED[0], f"it does not know {action}")
        self._requester.source = source
        try:
            return await _spoken(service, action, arguments)
        except AddressMissing:
            self._requester.source = None
            return await _spoken(service, action, arguments)
        finally:
            self._requester.source = None


class AddressMissing(Exception):
    """The address that a request was to come from is not on this host (any more)."""


async def described(location: str, requester: Requester) -> IgdGateway:
    """The gateway whose description is there. Raises :class:`GatewayGone`."""
    with _told():
        device = await UpnpFactory(requester, non_strict=True).async_create_device(location)
    return IgdGateway(device, requester)


async def _spoken(service: UpnpService, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    with _told():
        return dict(await service.action(action).async_call(**arguments))


@contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong, as one of ours: what a stranger sends can make the library raise
    anything (AttributeError, RecursionError), and none of it may end a loop."""
    try:
        yield
    except UpnpActionError as error:
        raise GatewayFault(error.error_code or 0, plain(error.error_desc or "")) from None
    except Refusal as error:
        raise GatewayGone(str(error)) from None
    except TimeoutError:
        raise GatewaySilent("it does not answer in time") from None
    except ClientConnectorError as error:
        if error.os_error.errno == errno.EADDRNOTAVAIL:
            raise AddressMissing from None
        raise GatewayGone(f"it cannot be reached: {error.os_error.strerror}") from None
    except ClientError as error:
        raise GatewayGone(f"it does not speak HTTP: {plain(str(error))}") from None
    except Exception as error:
        raise GatewayGone(f"what it sends cannot be read: {plain(str(error))}") from None


def plain(text: str) -> str:
    """A stranger's text, fit to be shown: one short line of printable characters."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * SHOWN])
    return " ".join(shown.split())[:SHOWN]


def _services(device: UpnpDevice) -> Iterator[UpnpService]:
    for one in device.all_devices:
        yield from one.services.values()


def _place(protocol: str, port: int) -> dict[str, Any]:
    return {"NewRemoteHost": "", "NewExternalPort": port, "NewProtocol": protocol}


def _entry(said: dict[str, Any]) -> Entry:
    return Entry(
        protocol=str(said.get("NewProtocol", "")).upper(),
        port=_number(said.get("NewExternalPort")),
        client=_address(said.get("NewInternalClient")),
        client_port=_number(said.get("NewInternalPort")),
        description=plain(str(said.get("NewPortMappingDescription") or "")),
        lease=_number(said.get("NewLeaseDuration")),
    )


def _entries(listing: Element) -> Iterator[Entry]:
    """The mappings of a PortMappingList, whatever its namespace."""
    for one in islice(listing, MOST):
        said = {field.tag.rpartition("}")[2]: field.text or "" for field in one}
        # other names than those of the same fields elsewhere
        said["NewPortMappingDescription"] = said.get("NewDescription", "")
        said["NewLeaseDuration"] = said.get("NewLeaseTime", "")
        yield _entry(said)


def _number(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else 0


def _address(value: object) -> IPAddress | None:
    try:
        return ip_address(str(value).strip())
    except ValueError:
        return None
