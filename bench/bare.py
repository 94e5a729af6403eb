"""The floor: the writes of a starting controller and nothing else, by plain aiohttp.

``python -m bench.bare KUBECONFIG CONCURRENCY FIRST COUNT``: makes one VirtualIP and applies one
status for each of so many Services. The bodies are ready before the clock starts, and are byte for
byte those of the controller but for the address; nothing is watched, decoded or decided.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import NamedTuple

import aiohttp
import msgspec
from yarl import URL

from fairlead.model.names import GroupKey, Ref
from fairlead.model.virtualip import VirtualIPGroup, VirtualIPListener, VirtualIPSpec
from fairlead.publish.kube import status, virtualips
from fairlead.sources.kube import APPLY, JSON, Access, find_access

SERVICES = "/api/v1/namespaces/default/services"
VIPS = "/apis/fairlead.dev/v1alpha1/virtualips"
FIRST_VIP = IPv4Address("172.20.100.100")
STAMP = "2026-01-01T00:00:00Z"


class Pair(NamedTuple):
    """The two writes about one Service: (URL, body) each."""

    vip: tuple[URL, bytes]
    status: tuple[URL, bytes]


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    uid: str
    resource_version: str


class _Item(msgspec.Struct):
    metadata: _Meta


class _List(msgspec.Struct):
    items: list[_Item]


async def main(kubeconfig: str, concurrency: int, first: int, count: int) -> float:
    """The seconds that it took."""
    access = find_access(kubeconfig)
    connector = aiohttp.TCPConnector(ssl=access.endpoint.tls or True, limit=concurrency)
    headers = {**await access.headers(), "Accept": JSON, "Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        pairs = iter(await _pairs(session, access, range(first, first + count)))
        start = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(_work(session, pairs))
        return time.perf_counter() - start


async def _work(session: aiohttp.ClientSession, pairs: Iterator[Pair]) -> None:
    for pair in pairs:
        await _send(session, "POST", pair.vip, JSON)
        await _send(session, "PATCH", pair.status, APPLY)


async def _send(
    session: aiohttp.ClientSession, method: str, write: tuple[URL, bytes], kind: str
) -> None:
    url, body = write
    async with session.request(method, url, data=body, headers={"Content-Type": kind}) as response:
        answer = await response.read()
    if response.status >= 300:
        raise RuntimeError(f"{response.status} {answer.decode()[:300]}")


async def _pairs(session: aiohttp.ClientSession, access: Access, numbers: range) -> list[Pair]:
    base = access.endpoint.url
    async with session.get(URL(f"{base}{SERVICES}")) as response:
        items = msgspec.json.decode(await response.read(), type=_List).items
    there = {item.metadata.name: item.metadata for item in items}
    return [_pair(base, there[f"svc-{number:06}"], number) for number in numbers]


def _pair(base: str, meta: _Meta, number: int) -> Pair:
    ref, address = Ref("Service", "default", meta.name), FIRST_VIP + number
    said = status.Said((status.Ingress(str(address)),), "True", "Served", f"served at {address}")
    body = status.body_of(ref, said, uid=meta.uid, version=meta.resource_version, now=STAMP)
    query = f"fieldManager={status.MANAGER}"
    return Pair(
        (
            URL(f"{base}{VIPS}?{query}", encoded=True),
            virtualips.body_of(str(address), spec_of(str(address), meta.name)),
        ),
        (URL(f"{base}{SERVICES}/{meta.name}/status?{query}&force=true", encoded=True), body),
    )


def spec_of(address: str, name: str, home: str = "node-1") -> VirtualIPSpec:
    """The VirtualIP of a Service, as a controller writes it."""
    group = GroupKey("fairlead", "service", "default", name)
    return VirtualIPSpec(
        address=address,
        group=VirtualIPGroup(group.dialect, group.scope, group.name, group.namespace),
        pool="pool",
        members=(f"Service/default/{name}",),
        listeners=(VirtualIPListener("TCP", 80, f"default/{name}"),),
        home=(home,),
    )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))))
