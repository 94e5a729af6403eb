"""One kind of object, followed for ever: a list, then a watch, then whatever it takes to go on.

A list is always a consistent one, never one from an old cache (``resourceVersion=0``): what is
missing from it counts as deleted, so it must not be older than what is known. It comes as a stream
where the API server can (WatchList), else in pages. Then events follow; whatever ends them, they
are taken up again where they stopped. Only when the server has forgotten that place (410) is there
a new list, and what it says that is known already is not said again. While nothing can be read,
what is known stays known.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.model.names import Ref
from fairlead.model.world import Change
from fairlead.sources.backoff import Backoff
from fairlead.sources.kube.client import ApiClient
from fairlead.sources.kube.decoding import Bookmark, Decoding, Event, Item, Removed
from fairlead.sources.kube.errors import ApiError, Unreachable
from fairlead.sources.kube.health import Health
from fairlead.sources.kube.history import History, is_same
from fairlead.sources.kube.known import Known, Seen, Version, is_behind, version_of
from fairlead.sources.kube.lines import Lines
from fairlead.sources.kube.pace import Pace
from fairlead.sources.kube.pending import Pending
from fairlead.sources.kube.resources import Resource, Watch

SHORT = 1.0
"""Seconds. A watch that ends sooner, and said nothing, is answered with a pause."""
CALM = 60.0
"""Seconds after a list for which another one has to wait, longer each time."""


class Absent(Exception):
    """The API server does not have this kind, or is about to lose it."""


class Restart(Exception):
    """The place to go on from is lost: a new list is needed."""


class NoStreaming(Exception):
    """This API server does not stream lists."""


class _ListMeta(Struct, rename="camel", gc=False):
    resource_version: str = ""
    next: str = msgspec.field(name="continue", default="")


class _Page(Struct, gc=False):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class Informer:
    """Follows one :class:`Watch`. ``stirred`` is called when there is something to take from
    ``pending``, or ``health`` is another."""

    def __init__(
        self,
        client: ApiClient,
        watch: Watch,
        history: History,
        *,
        stirred: Callable[[], None],
        pace: Pace,
    ) -> None:
        self.watch = watch
        self.pending = Pending()
        self.known = Known()
        self._client, self._history, self._stirred, self._pace = client, history, stirred, pace
        self._state = Health(watch.kind)
        self._backoff = Backoff(pace.first, pace.slowest)
        self._denials = Backoff(min(1.0, pace.forbidden), pace.forbidden)
        self._relists = Backoff(pace.first, pace.slowest)
        self._listed = 0.0
        self._resource: Resource | None = None
        self._decoding = Decoding(watch.type, "", watch.transform)
        self._version: Version | None = None
        self._newest: Version = 0
        self._cluster = ""
        self._removed = False
        self._streams, self._page = True, pace.page
        self._verified = 0.0
        self._progress = False

    @property
    def health(self) -> Health:
        """How it is doing."""
        return replace(self._state, objects=len(self.known))

    async def run(self) -> None:
        """Follow it until cancelled."""
        while True:
            pause = 0.0
            try:
                pause = await self._round()
            except Absent:
                self._gone()
                pause = self._pace.absent * random.uniform(1, 2)
            except Restart:
                self._version = None
                pause = self._relists.next()
            except NoStreaming:
                self._streams = False
            except ApiError as error:
                pause = self._failed(error)
            except Unreachable as error:
                self._say(error=str(error))
                pause = self._backoff.next()
            await asyncio.sleep(pause)

    async def _round(self) -> float:
        """List if need be, and watch until that ends. The pause before the next round."""
        resource = await self._resolve()
        start = time.monotonic()
        self._progress = False
        if start - self._listed > CALM:
            self._relists.reset()
        if self._version is not None:
            await self._continues(resource)
        if self._version is None and not self._streams:
            await self._read_pages(resource)
        await self._follow(resource, initial=self._version is None)
        calm = self._progress or time.monotonic() - start > SHORT
        return 0.0 if calm else self._backoff.next()

    async def _resolve(self) -> Resource:
        """The version to read. A kind that was removed is read again only once its definition is
        back for good."""
        if self._resource is None and len(self.watch.resources) == 1:
            return self._chosen(self.watch.resources[0])
        if self._resource is None or self._state.absent:
            return self._chosen(await self._served())
        return self._resource

    def _chosen(self, resource: Resource) -> Resource:
        self._resource = resource
        self._decoding = Decoding(self.watch.type, resource.api_version, self.watch.transform)
        return resource

    async def _served(self) -> Resource:
        for resource in self.watch.resources:
            try:
                await self._client.send("GET", self.watch.url(resource, limit="1"))
            except ApiError as error:
                if error.not_found:
                    continue
                raise
            if self._removed and not await self._history.defines(resource):
                continue
            return resource
        raise Absent

    async def _continues(self, resource: Resource) -> None:
        """Make sure that the server's history is the one this follows: a watch from a version that
        is still to come would be silent, not an error."""
        answer = await self._get_page(resource, limit="1")
        now = version_of(answer.metadata.resource_version)
        before = self._version if self._version is not None else 0
        if is_behind(now, before) or not is_same(await self._history.cluster(), self._cluster):
            self.known.age()
            raise Restart

    # Lists

    async def _read_pages(self, resource: Resource) -> None:
        seen = Seen()
        query = {"limit": str(self._page)} if self._page else {}
        while True:
            try:
                page = await self._get_page(resource, **query)
            except Restart:
                self._page = 0  # the pages got too old on the way: all at once then
                raise
            for data in page.items or ():
                self._take_item(self._decoding.item(data), seen)
            self._stirred()
            if not page.metadata.next:
                break
            query["continue"] = page.metadata.next
        await self._complete(seen, version_of(page.metadata.resource_version))

    async def _get_page(self, resource: Resource, **query: str) -> _Page:
        try:
            return await self._client.fetch(_Page, self.watch.url(resource, **query))
        except ApiError as error:
            raise self._sorted(error) from None

    async def _complete(self, seen: Seen, version: Version) -> None:
        """A list was read to its end: what it does not name has gone."""
        cluster = await self._history.cluster()
        same = is_same(cluster, self._cluster) and not is_behind(version, self._newest)
        explicit = same and not self._removed
        for namespace, name in seen.missing(self.known):
            self.known.drop(namespace, name)
            ref = Ref(self.watch.kind, namespace, name)
            self.pending.put(Change(ref, None), explicit=explicit)
        self._version = self._newest = version
        self._cluster, self._removed, self._listed = cluster, False, time.monotonic()
        self._progressed()
        self._say(synced=True)
        self._denials.reset()

    # Watches

    async def _follow(self, resource: Resource, *, initial: bool) -> None:
        seen = Seen() if initial else None
        try:
            async with self._client.stream(
                self._watch_url(resource, initial), silence=self._pace.silence
            ) as content:
                if not initial:
                    self._say(synced=True)
                feed = Lines().feed
                while piece := await content.readany():
                    if batch := feed(piece):
                        seen = await self._take(resource, batch, seen)
        except ApiError as error:
            if initial and error.status in (400, 422):
                raise NoStreaming from None
            raise self._sorted(error) from None

    def _watch_url(self, resource: Resource, initial: bool) -> str:
        seconds = int(self._pace.watch * random.uniform(1, 2)) or 1
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        if initial:
            query["sendInitialEvents"] = "true"
            query["resourceVersionMatch"] = "NotOlderThan"
        else:
            query["resourceVersion"] = str(self._version)
        return self.watch.url(resource, **query)

    async def _take(
        self, resource: Resource, batch: Sequence[bytes], seen: Seen | None
    ) -> Seen | None:
        """What some lines say. Returns what was seen of a list that goes on."""
        failure: ApiError | None = None
        events: list[Event] = []
        for line in batch:
            try:
                events.append(self._decoding.event(line))
            except ApiError as error:  # what came before it holds
                failure = error
                break
        if resource.custom and any(isinstance(event, Removed) for event in events):
            await self._verify(resource)
        for event in events:
            match event:
                case Item():
                    self._take_item(event, seen)
                case Removed():
                    self._take_removed(event)
                case Bookmark() if seen is not None:
                    if not event.complete:
                        raise NoStreaming
                    await self._complete(seen, event.version)
                    seen = None
            if seen is None and event.version:
                self._version = self._newest = event.version
        self._progressed()
        self._stirred()
        if failure is not None:
            raise failure
        return seen

    def _take_item(self, item: Item, seen: Seen | None) -> None:
        _, namespace, name = item.ref
        if seen is not None:
            seen.add(namespace, name)
        if self.known.has(namespace, name, item.version):
            return
        if item.object is None and item.problem is None:
            if self.known.drop(namespace, name):  # an edit took it out of what is kept
                self.pending.put(Change(item.ref, None), explicit=True)
            return
        self.known.put(namespace, name, item.version)
        self.pending.put(Change(item.ref, item.object, item.problem))

    def _take_removed(self, event: Removed) -> None:
        if self.known.drop(event.ref.namespace, event.ref.name):
            self.pending.put(Change(event.ref, None), explicit=True)

    async def _verify(self, resource: Resource) -> None:
        """Some custom objects were deleted: raises :class:`Absent` if that was because their
        definition goes. Asked after the events came, so the answer holds for them."""
        await asyncio.sleep(self._verified + self._pace.verify - time.monotonic())
        defined = await self._history.defines(resource)
        self._verified = time.monotonic()
        if not defined:
            raise Absent

    # What happens otherwise

    def _progressed(self) -> None:
        self._progress = True
        self._backoff.reset()

    def _sorted(self, error: ApiError) -> Exception:
        """An error of this kind's list or watch, as what it means."""
        if error.not_found:
            return Absent()
        if error.gone or "Too large resource version" in error.message:
            return Restart()
        return error

    def _gone(self) -> None:
        self._removed = self._removed or self._state.synced
        self._version = None
        self._say(absent=True)

    def _failed(self, error: ApiError) -> float:
        """Remember why, and for how long to wait."""
        self._say(error=error.message or str(error), forbidden=error.forbidden)
        pause = (self._denials if error.forbidden else self._backoff).next()
        return max(pause, error.retry_after * random.uniform(1, 1.5))

    def _say(
        self,
        *,
        synced: bool = False,
        absent: bool = False,
        error: str = "",
        forbidden: bool = False,
    ) -> None:
        before = self._state
        now = Health(
            kind=before.kind,
            synced=before.synced or synced,
            absent=absent or (before.absent and not synced),
            error=error,
            forbidden=forbidden,
            since=before.since,
        )
        if now != before:
            changed = (now.error, now.absent) != (before.error, before.absent) or not before.since
            self._state = replace(now, since=time.time()) if changed else now
        self._stirred()
