"""The published ledger, read anew by a new leader, and checked for what it is about.

What a replica has watched may be older than the ledger: then a Service that the leader before gave
an address to would look as if it had gone. So who is missing is asked for, one by one, before
anything is released; and who has really gone was deleted through the API, which is explicit.
"""

import asyncio
from collections.abc import Collection, Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.virtualip import VirtualIP
from fairlead.runtime.controller.api import Api, ApiError
from fairlead.runtime.controller.keep import Keep
from fairlead.runtime.controller.seen import NOBODY, SeenVip
from fairlead.runtime.reconcile import undisturbed
from fairlead.sources.kube.resources import SERVICES, VIRTUAL_IPS

VIPS = VIRTUAL_IPS.collection()
PAGE = 1000
"""VirtualIPs in one page of the ledger."""
ASKING = 16
"""Requests for missing Services under way at once."""


class Behind(Exception):
    """The watch has yet to tell of objects that exist: what was read is too old to decide."""


class Entries(NamedTuple):
    """All VirtualIPs. ``unreadable``: by name, those that say nothing that can be used."""

    objects: list[VirtualIP]
    unreadable: dict[str, SeenVip]


class _Meta(Struct, rename="camel"):
    name: str
    resource_version: str = ""


class _Bare(Struct):
    metadata: _Meta


class _PageMeta(Struct, rename="camel"):
    continue_: str = msgspec.field(name="continue", default="")


class _Page(Struct, rename="camel"):
    items: list[msgspec.Raw]
    metadata: _PageMeta


_PAGES = msgspec.json.Decoder(_Page)
_VIRTUAL_IP = msgspec.json.Decoder(VirtualIP)
_BARE = msgspec.json.Decoder(_Bare)


async def read_ledger(api: Api) -> Entries:
    """All VirtualIPs as they are now. Raises what :class:`Api` raises."""
    found = Entries([], {})
    more = ""
    while True:
        answer = await api.send("GET", f"{VIPS}?limit={PAGE}{more}")
        more = await undisturbed(_take_page, answer, found)
        if not more:
            return found
        more = f"&continue={more}"


def _take_page(answer: bytes, found: Entries) -> str:
    page, keep = _PAGES.decode(answer), Keep()
    for item in page.items:
        one = virtual_ip_of(item)
        if isinstance(one, VirtualIP):
            keep(one)
            found.objects.append(one)
        else:
            found.unreadable[_BARE.decode(item).metadata.name] = one
    return page.metadata.continue_


def virtual_ip_of(data: bytes | msgspec.Raw) -> VirtualIP | SeenVip:
    """A VirtualIP from JSON; one that cannot be read is nobody's, and no more than its version."""
    try:
        return _VIRTUAL_IP.decode(data)
    except msgspec.ValidationError:
        version = _BARE.decode(data).metadata.resource_version
        return SeenVip(version, b"", NOBODY, "", (), ())


async def gone_of(api: Api, refs: Collection[Ref]) -> frozenset[Ref]:
    """Which of these objects do not exist. Raises :class:`Behind` when one does, and what
    :class:`Api` raises."""
    asked = iter(sorted(refs))
    asking = [asyncio.create_task(_ask(api, asked)) for _ in range(min(ASKING, len(refs)))]
    try:
        if any(await asyncio.gather(*asking)):
            raise Behind
    finally:
        for task in asking:
            task.cancel()
    return frozenset(refs)


async def _ask(api: Api, refs: Iterator[Ref]) -> bool:
    """Whether any of these, as far as nobody else asked for them, is a Service that exists."""
    for ref in refs:
        if ref.kind != Service.KIND:
            continue
        try:
            await api.send("GET", SERVICES.item(ref.name, ref.namespace))
        except ApiError as error:
            if error.status != 404:
                raise
        else:
            return True
    return False
