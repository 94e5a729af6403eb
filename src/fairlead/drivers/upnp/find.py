"""The gateways of this host's networks: searched, described, and the best of them."""

import asyncio
from collections.abc import Collection, Iterable

from pyroute2 import IPRoute

from fairlead.drivers.base import DriverError
from fairlead.drivers.upnp.gateway import GatewayFault, GatewayGone, IgdGateway, described
from fairlead.drivers.upnp.requester import Requester
from fairlead.drivers.upnp.search import Answer, Port, search
from fairlead.model.addresses import parse_address

SECONDS = 2.5
"""For a search; by the standard an answer to MX 1 is there within one."""
MORE = 0.3
"""Seconds to wait for others once somebody answered."""
PATIENCE = 6.0
"""Seconds for all who answered to describe themselves; two such searches fit in one call of the
driver."""
UP, LOOPBACK, MULTICAST = 0x1, 0x8, 0x1000
"""IFF_ flags (linux/if.h)."""


async def lan_gateways(
    version: int, interfaces: Collection[str] | None
) -> tuple[list[IgdGateway], list[str]]:
    """The gateways for a family (4: of port mappings, 6: of pinholes), best first, and what was
    wrong with others that answered."""
    gateways, wrong = await _sought(version, interfaces, MORE)
    if gateways or not wrong:
        return gateways, wrong
    # who answers first may be no gateway: hear everybody
    return await _sought(version, interfaces, SECONDS)


async def _sought(
    version: int, interfaces: Collection[str] | None, more: float
) -> tuple[list[IgdGateway], list[str]]:
    answers = await asyncio.to_thread(_answers, version, interfaces, more)
    tasks = [asyncio.create_task(_asked(answer, version)) for answer in answers]
    if not tasks:
        return [], []
    await asyncio.wait(tasks, timeout=PATIENCE)
    found, wrong = [], []
    for answer, task in zip(answers, tasks, strict=True):
        if not task.done():
            task.cancel()
            wrong.append(f"{answer.host}: it does not answer in time")
            continue
        match task.result():
            case str(why):
                wrong.append(f"{answer.host}: {why}")
            case (rank, gateway):
                found.append((rank, gateway))
    found.sort(key=lambda item: (item[0], item[1].name))
    return [gateway for _, gateway in found], wrong


async def _asked(answer: Answer, version: int) -> tuple[int, IgdGateway] | str:
    """A gateway with its rank, or what is wrong with it."""
    try:
        gateway = await described(answer.location, Requester(answer.host))
        if version == 6:
            return (0, gateway) if gateway.has_firewall else "it makes no pinholes"
        if not gateway.maps:
            return "it maps no ports"
        outside = await gateway.external()
    except (GatewayGone, GatewayFault) as error:
        return str(error)
    return (2 if outside is None else 0 if outside.is_global else 1), gateway


def _answers(version: int, interfaces: Collection[str] | None, more: float) -> list[Answer]:
    """Who answers, one description for each host."""
    ports = [port for port in ports_of(interfaces) if port.address.version == version]
    return search(ports, seconds=SECONDS, more=more)


def ports_of(interfaces: Collection[str] | None) -> list[Port]:
    """The host's own addresses on its LANs; ``interfaces``: only these. Raises DriverError."""
    try:
        with IPRoute() as kernel:
            links = [*kernel.get_links()]
            rows = [*kernel.get_addr()]
    except OSError as error:
        raise DriverError(f"the interfaces cannot be read: {error}") from error
    names = {
        link["index"]: link.get("ifname")
        for link in links
        if link["flags"] & UP and link["flags"] & MULTICAST and not link["flags"] & LOOPBACK
    }
    return [*_ports(rows, names, interfaces)]


def _ports(
    rows: Iterable[dict[str, int]], names: dict[int, str], interfaces: Collection[str] | None
) -> Iterable[Port]:
    taken: set[tuple[int, int]] = set()
    for row in rows:
        name = names.get(row["index"])
        text = row.get("local") or row.get("address")
        address = parse_address(str(text))
        place = (row["index"], address.version)
        own = row["prefixlen"] < address.max_prefixlen and not address.is_link_local
        if name and own and place not in taken and (interfaces is None or name in interfaces):
            taken.add(place)
            yield Port(name, row["index"], address)
