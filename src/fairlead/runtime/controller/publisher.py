"""Writes what was decided: VirtualIPs first, then the status of those who are served, and what is
no longer held last.

The unit is a group. What to write is worked out when its turn comes, from the newest plan and what
the API server has by then, so changes that come faster than they can be written coalesce by
themselves, and nothing is written that is there already. Where an address goes from one group to
another, the first lets go of it before the second shows it.
"""

from collections.abc import Collection, Iterable, Mapping
from time import monotonic

import msgspec
from msgspec.structs import replace

from fairlead.model.addresses import parse_address
from fairlead.model.kube import Service
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import Code
from fairlead.model.virtualip import VirtualIP, VirtualIPSpec
from fairlead.publish.kube import virtualips
from fairlead.publish.kube.status import MANAGER, addresses_shown
from fairlead.runtime.controller.api import ApiError
from fairlead.runtime.controller.holders import Rival
from fairlead.runtime.controller.hosts import Hosts
from fairlead.runtime.controller.ledger import VIPS, virtual_ip_of
from fairlead.runtime.controller.objects import Objects
from fairlead.runtime.controller.seen import Seen, SeenVip, digest_of, seen_vip
from fairlead.runtime.controller.services import ATTEMPTS, Services
from fairlead.runtime.controller.writing import Later, Writer, version_in

BLOCKED = 1.0
"""Seconds for which a group waits for another to let go of an address. Two groups that exchange
theirs wait for each other."""


class Publisher:
    """One leader's writes, by its newest ``plan``; ``released``: since when addresses are kept for
    Services that have gone; ``homes``: VirtualIPs whose home is to be another one, by name;
    ``rivals``: other hosts that use a VIP of a group, to be told of."""

    def __init__(self, writer: Writer, seen: Seen, *, services: Services, hosts: Hosts) -> None:
        self.plan = Plan()
        self.released: Mapping[Ref, str] = {}
        self.homes: Mapping[str, tuple[str, ...]] = {}
        self.rivals: dict[GroupKey, set[Rival]] = {}
        self.objects = Objects(writer, seen)
        self._writer, self._seen, self._services, self._hosts = writer, seen, services, hosts
        self._blocked: dict[GroupKey, float] = {}

    async def publish(self, key: GroupKey | Ref) -> None:
        """Write all that is to be written about a group, or about one object.

        Raises :class:`NotLeader`, :class:`Later`, and what :class:`Api` raises.
        """
        if isinstance(key, GroupKey):
            await self._group(key)
            self._blocked.pop(key, None)
        elif key.kind == Service.KIND:
            await self._say(key)
        else:
            await self.objects.write(key, self.plan)

    # -- a group ---------------------------------------------------------------------------------

    async def _group(self, key: GroupKey) -> None:
        wanted = virtualips.specs_of(self.plan, key, self.released)
        if wanted is None:
            return
        leases = self._seen.leases
        await leases.ensure(key, self.plan, self._writer)
        before = [*self._seen.vips_of(key)]
        for name, spec in wanted.items():
            await self._ensure(key, name, spec)
        await self._say_all(key, before)
        for name, seen in before:
            if name not in wanted:
                await self._drop(key, name, seen)
        await leases.drop_others(key, self.plan, self._writer)
        for reason, message in leases.news(key):
            for ref in self._members(key):
                await self._services.note(ref, reason, message)

        await self._warn_of_rivals(key)

    async def _warn_of_rivals(self, key: GroupKey) -> None:
        for rival in self.rivals.get(key, ()):
            for ref in self._members(key):
                if ref.kind == Service.KIND:
                    reason, message = Code.ADDRESS_DISPUTED.value, disputed(rival)
                    await self._services.note(ref, reason, message, warning=True, once=True)
        self.rivals.pop(key, None)

    async def _say_all(self, key: GroupKey, before: Iterable[tuple[str, SeenVip]]) -> None:
        """The status of who is in the group, and of who was and is in no other. One that cannot be
        written keeps no other waiting."""
        now = self._members(key)
        was = {ref for _, seen in before for ref in seen.members}
        left = sorted(ref for ref in was - now.keys() if not self.plan.groups_of.get(ref))
        failure: ApiError | None = None
        for ref in (*now, *left):
            if ref.kind != Service.KIND:
                continue
            try:
                await self._say(ref)
            except ApiError as error:
                if error.passing:
                    raise
                failure = error
        if failure is not None:
            raise failure

    async def _say(self, ref: Ref) -> None:
        await self._services.write(ref, self.plan)
        await self._hosts.write(ref, self.plan)

    def _members(self, key: GroupKey) -> dict[Ref, None]:
        outcome = self.plan.outcomes.get(key)
        return dict.fromkeys(claim.ref for claim in outcome.claims) if outcome else {}

    async def _ensure(self, key: GroupKey, name: str, spec: VirtualIPSpec) -> None:
        for _ in range(ATTEMPTS):
            seen = self._seen.vips.get(name)
            if seen is None:
                if await self._create(name, spec):
                    return
                continue
            if seen.group != key and self._shown_by_others(seen, self._members(key)):
                self._wait(key)
            if seen.engine_group == spec.engine_group and seen.home:
                # what has a home is served there, however full it is
                full = spec.suspended and not spec.members
                home = self.homes.get(name) or seen.home
                spec = replace(spec, home=home, suspended=full)
            if seen.labelled and digest_of(spec) == seen.digest:
                return
            if await self._update(name, spec, seen):
                return
        raise Later

    def _shown_by_others(self, seen: SeenVip, ours: Collection[Ref]) -> bool:
        """Whether a Service that is none of ours still shows the address."""
        address = parse_address(seen.address) if seen.address else None
        for ref in seen.members:
            service = self._seen.services.get(ref)
            there = service is not None and ref not in ours and not service.deleting
            if service and there and address in addresses_shown(service.said):
                return True
        return False

    def _wait(self, key: GroupKey) -> None:
        """Wait for another group, but not for ever."""
        if monotonic() - self._blocked.setdefault(key, monotonic()) < BLOCKED:
            raise Later

    async def _create(self, name: str, spec: VirtualIPSpec) -> bool:
        body = virtualips.body_of(name, spec)
        return await self._put("POST", f"{VIPS}?fieldManager={MANAGER}", body, (name, spec))

    async def _update(self, name: str, spec: VirtualIPSpec, seen: SeenVip) -> bool:
        body = virtualips.body_of(name, spec, seen.version)
        return await self._put("PUT", f"{VIPS}/{name}?fieldManager={MANAGER}", body, (name, spec))

    async def _put(
        self, method: str, path: str, body: bytes, what: tuple[str, VirtualIPSpec]
    ) -> bool:
        """Whether it was written; if not, what is there was looked at."""
        name, spec = what
        seen: SeenVip | None = None
        digest = digest_of(spec)
        self._seen.writing(name, digest)
        try:
            answer = await self._writer.send(method, path, body)
            seen = _written(spec, version_in(answer), digest)
        except ApiError as error:
            if error.status != 409 and (error.status != 404 or method == "POST"):
                raise
        finally:
            sure = self._seen.wrote(name, seen)
        if seen is None or not sure:
            await self._look(name)
            return False
        return True

    async def _drop(self, key: GroupKey, name: str, seen: SeenVip) -> None:
        now = self._seen.vips.get(name)
        if now is None or now.group != key:
            return  # somebody else has the address by now
        if self._shown_by_others(seen, ()):
            self._wait(key)  # for the group that has it now, which writes its status
        body = msgspec.json.encode({"preconditions": {"resourceVersion": now.version}})
        try:
            await self._writer.send("DELETE", f"{VIPS}/{name}", body)
        except ApiError as error:
            if error.status == 409:
                await self._look(name)
                raise Later from None
            if error.status != 404:
                raise
        self._seen.drop_vip(name)

    async def _look(self, name: str) -> None:
        """What is there under that name: the watch may be behind."""
        try:
            answer = await self._writer.send("GET", f"{VIPS}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            self._seen.drop_vip(name)
            return
        self._seen.drop_vip(name)
        one = virtual_ip_of(answer)
        if not isinstance(one, VirtualIP):
            self._seen.put_vip(name, one)
        elif one.spec.reserve:
            raise Later  # nobody may have it: the watch tells the planner
        else:
            self._seen.put_vip(name, seen_vip(one))


def disputed(rival: Rival) -> str:
    """What is to be said of a rival."""
    return (
        f"{rival.address} is used by another host, {rival.mac} on {rival.interface} of "
        f"{rival.engine}: clients may reach either. Free it there, or ask for another."
    )


def _written(spec: VirtualIPSpec, version: str, digest: bytes) -> SeenVip:
    group, engines = spec.group.key, spec.engine_group
    return SeenVip(version, digest, group, engines, spec.home, spec.members, spec.address)
