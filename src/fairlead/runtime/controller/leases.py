"""AddressLeases as the controller writes them: what is to be leased. Their status is the engines'.

They are written before the VirtualIPs of their group, and deleted after them: when a lease goes,
its holder gives it back, and nobody may serve the address by then.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from fairlead.model.addresslease import (
    AddressLease,
    AddressLeaseSpec,
    AddressLeaseStatus,
    spec_of,
)
from fairlead.model.names import GroupKey
from fairlead.model.plan import Plan
from fairlead.publish.kube.status import MANAGER
from fairlead.runtime.controller.api import ApiError
from fairlead.runtime.controller.writing import Later, Writer, version_in

PATH = "/apis/fairlead.dev/v1alpha1/addressleases"
QUERY = f"?fieldManager={MANAGER}"


class SeenLease(NamedTuple):
    """An AddressLease as it is in the API."""

    version: str
    digest: bytes
    group: GroupKey
    said: AddressLeaseStatus | None = None


class Leases:
    """What the API server has, and how it is made to have what the plan wants."""

    def __init__(self) -> None:
        self._seen: dict[str, SeenLease] = {}
        self._names: dict[GroupKey, set[str]] = {}
        self._news: dict[GroupKey, list[tuple[str, str]]] = {}

    def groups(self) -> Iterator[GroupKey]:
        """The groups that have a lease."""
        yield from [*self._names]

    def take(self, one: AddressLease) -> bool:
        """Take one from the watch; whether its spec is another than was known, or something is to
        be told of it."""
        digest, group = digest_of(one.spec), one.key.group
        before = self._seen.get(one.name)
        self._put(one.name, SeenLease(one.metadata.resource_version, digest, group, one.status))
        if before is None:
            return False
        event = event_between(before.said, one.status)
        if event is not None:
            self._news.setdefault(group, []).append(event)
        return before.digest != digest or event is not None

    def news(self, key: GroupKey) -> list[tuple[str, str]]:
        """What happened to the leases of a group and was not told yet: reasons and messages."""
        return self._news.pop(key, [])

    def forget_news(self) -> None:
        """Somebody else leads, and tells."""
        self._news.clear()

    def drop(self, name: str) -> GroupKey | None:
        """One is gone; whose it was."""
        before = self._seen.pop(name, None)
        if before is None:
            return None
        names = self._names.get(before.group, set())
        names.discard(name)
        if not names:
            self._names.pop(before.group, None)
        return before.group

    async def ensure(self, key: GroupKey, plan: Plan, writer: Writer) -> None:
        """Write what a group is to lease.

        Raises :class:`Later`, and what :class:`Api` raises.
        """
        outcome = plan.outcomes.get(key)
        for order in outcome.leases if outcome else ():
            name, spec = order.key.name, spec_of(order)
            seen = self._seen.get(name)
            if seen is None:
                await self._create(name, spec, writer)
            elif seen.digest != digest_of(spec):
                await self._update(name, spec, seen, writer)

    async def drop_others(self, key: GroupKey, plan: Plan, writer: Writer) -> None:
        """Delete what a group leases no more. While its address is kept for somebody's return, so
        is its lease.

        Raises what :class:`Api` raises.
        """
        outcome = plan.outcomes.get(key)
        if outcome is not None and outcome.holding is not None and not outcome.claims:
            return
        wanted = {order.key.name for order in outcome.leases} if outcome else set()
        for name in self._names.get(key, set()) - wanted:
            try:
                await writer.send("DELETE", f"{PATH}/{name}", b"{}")
            except ApiError as error:
                if error.status != 404:
                    raise
            self.drop(name)

    def _put(self, name: str, seen: SeenLease) -> None:
        self._seen[name] = seen
        self._names.setdefault(seen.group, set()).add(name)

    def _wrote(self, name: str, spec: AddressLeaseSpec, version: str) -> None:
        """A write was answered; the watch may have been faster, and then knows more."""
        before = self._seen.get(name)
        said = before.said if before is not None else None
        self._put(name, SeenLease(version, digest_of(spec), spec.group.key, said))

    async def _create(self, name: str, spec: AddressLeaseSpec, writer: Writer) -> None:
        try:
            answer = await writer.send("POST", PATH + QUERY, _body(name, spec))
        except ApiError as error:
            if error.status != 409:
                raise
            raise Later from None  # it is there, and the watch tells how
        self._wrote(name, spec, version_in(answer))

    async def _update(
        self, name: str, spec: AddressLeaseSpec, seen: SeenLease, writer: Writer
    ) -> None:
        body = _body(name, spec, seen.version)
        try:
            answer = await writer.send("PUT", f"{PATH}/{name}{QUERY}", body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            raise Later from None
        self._wrote(name, spec, version_in(answer))


def event_between(
    before: AddressLeaseStatus | None, now: AddressLeaseStatus | None
) -> tuple[str, str] | None:
    """What happened to a lease, if that is worth an Event. Why there is none is a Warning that
    comes with the status of the Service; that it was renewed is no news."""
    if now is None or now.state != "Bound":
        return None
    until = f", until {now.expires_at}" if now.expires_at else ""
    what = f"{now.address} from DHCP server {now.server}"
    if before is None or (before.state, before.address) != (now.state, now.address):
        return "AddressLeased", f"{now.engine} leased {what}{until}"
    if before.engine != now.engine:
        return "AddressLeaseTaken", f"{now.engine} holds the lease of {what} now{until}"
    if before.server != now.server:
        return "AddressLeased", f"{now.engine} holds the lease of {what} now{until}"
    return None


def digest_of(spec: AddressLeaseSpec) -> bytes:
    """Sixteen bytes that tell whether two specs are the same."""
    return blake2b(msgspec.json.encode(spec), digest_size=16).digest()


def _body(name: str, spec: AddressLeaseSpec, version: str = "") -> bytes:
    meta = {"name": name, **({"resourceVersion": version} if version else {})}
    return msgspec.json.encode(
        {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": AddressLease.KIND,
            "metadata": meta,
            "spec": spec,
        }
    )
