"""Where sessions live: a thread with a loop, in the network namespace of whoever made it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from threading import Thread
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fairlead.drivers.base import DriverError
from fairlead.drivers.dhcp.client4 import Client4
from fairlead.drivers.dhcp.client6 import Client6
from fairlead.drivers.dhcp.exchange import FOREVER, Exchange, Parent, Terms
from fairlead.drivers.dhcp.links import Links, macvlan_name
from fairlead.drivers.dhcp.port4 import Port4
from fairlead.drivers.dhcp.port6 import Port6
from fairlead.drivers.dhcp.session import Client, Session
from fairlead.model.desired import DhcpChanges, DhcpRow
from fairlead.model.dhcp import Leased, LeaseKey

if TYPE_CHECKING:
    from concurrent.futures import Future

Result = TypeVar("Result")
Tell = Callable[[LeaseKey, Leased], None]
LEAVING = 2.0
"""Seconds for which a lease may take to be given back."""


class Held(NamedTuple):
    """A session and all that it stands on."""

    row: DhcpRow
    parent: Parent
    session: Session
    task: asyncio.Task[None]


class House:
    """All sessions of an engine."""

    def __init__(self, interfaces: tuple[str, ...], tell: Tell) -> None:
        self._links = Links(interfaces)
        self._tell = tell
        self._held: dict[LeaseKey, Held] = {}
        self._known: dict[LeaseKey, Leased] = {}
        self._quiet = False
        self._resting: dict[LeaseKey, tuple[DhcpRow, Leased | None]] = {}
        self._ports: dict[tuple[str, int], Port4 | Port6] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="fairlead-dhcp", daemon=True)
        self._thread.start()

    def rows(self) -> dict[LeaseKey, DhcpRow]:
        """The leases whose session runs and whose macvlan, if it has one, is there."""
        if self._quiet:
            return {key: row for key, (row, _) in self._resting.items()}
        there = {(one.name, one.mac, one.parent) for one in self._links.ours()}
        return {
            key: held.row
            for key, held in [*self._held.items()]
            if not held.task.done() and self._stands(key, held, there)
        }

    def _stands(self, key: LeaseKey, held: Held, there: set[tuple[str, str, int]]) -> bool:
        port = self._ports.get((held.parent.name, key.family))
        if port is None or port.error is not None:
            return False
        name = (macvlan_name(key), held.row.mac, held.parent.number)
        return key.family == 6 or not held.parent.macvlan or name in there

    def known(self) -> Mapping[LeaseKey, Leased]:
        """What is known of each lease."""
        return dict(self._known)

    def apply(self, changes: DhcpChanges) -> None:
        """Start and end sessions. One that cannot be started keeps no other waiting.

        Raises DriverError."""
        failures = []
        with self._links.at_once():
            for key, row in changes.rows.items():
                try:
                    if row is None:
                        self._end(key, give_back=key in changes.ended)
                    else:
                        self._start(key, row, changes.known.get(key))
                except (DriverError, OSError) as error:
                    failures.append(f"{key.name}: {error}")
        if failures:
            raise DriverError("; ".join(failures[:5]))

    def hush(self, quiet: bool) -> None:
        """Say nothing to anybody while ``quiet``; then go on with what was held.

        Raises DriverError."""
        if quiet == self._quiet:
            return
        if quiet:
            held = {key: (one.row, self._known.get(key)) for key, one in self._held.items()}
            self.apply(DhcpChanges(dict.fromkeys(held)))
            self._quiet, self._resting = True, held
        else:
            self._quiet, held, self._resting = False, self._resting, {}
            rows = {key: row for key, (row, _) in held.items()}
            known = {key: leased for key, (_, leased) in held.items() if leased is not None}
            self.apply(DhcpChanges(rows, known))

    def prune(self, wanted: Mapping[LeaseKey, DhcpRow]) -> None:
        """Remove macvlans that no lease has."""
        names = {macvlan_name(key) for key in wanted}
        self._links.remove([one.name for one in self._links.ours() if one.name not in names])

    def close(self) -> None:
        """End the sessions without a word to anybody."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- in the thread of the caller -------------------------------------------------------------

    def _start(self, key: LeaseKey, row: DhcpRow, known: Leased | None) -> None:
        if self._quiet:
            self._resting[key] = (row, known)
            return
        before = self._known.get(key)
        self._end(key, give_back=False)
        if before is not None and before.state == "Bound" and before.client_id == row.client_id:
            known = before  # what was heard here is newer than what was published
        address = known.address if known is not None else None
        parent = self._links.parent(row.interface, address or row.requested)
        if key.family == 4:
            parent = parent._replace(macvlan=self._links.add(key, parent, row.mac))
        elif not parent.link_local:
            raise DriverError(f"dhcp: {parent.name} has no IPv6 link-local address to ask from")
        self._call(self._begin(key, row, parent, known))

    def _end(self, key: LeaseKey, *, give_back: bool) -> None:
        self._resting.pop(key, None)
        held = self._held.pop(key, None)
        if held is not None:
            self._call(self._finish(held, give_back=give_back))
        self._known.pop(key, None)
        if key.family == 4:
            self._links.remove([macvlan_name(key)])

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        future: Future[Result] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    # -- in the thread of the sessions -----------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _begin(
        self, key: LeaseKey, row: DhcpRow, parent: Parent, known: Leased | None
    ) -> None:
        exchange = await self._exchange(key, row, parent)
        client = Client(key.family, row.client_id, parent.name)
        session = Session(
            client, exchange, wish=row.requested, tell=lambda leased: self._heard(key, leased)
        )
        task = asyncio.create_task(session.run(_terms(known)))
        task.add_done_callback(_noticed)
        self._held[key] = Held(row, parent, session, task)

    async def _exchange(self, key: LeaseKey, row: DhcpRow, parent: Parent) -> Exchange:
        place = (parent.name, key.family)
        port = self._ports.get(place)
        if port is None or port.error is not None:
            if port is not None:
                await port.close()
            port = Port4(parent.name) if key.family == 4 else Port6(parent)
            await port.open()
            self._ports[place] = port
        return Client4(port, row, parent) if isinstance(port, Port4) else Client6(port, row)

    def _heard(self, key: LeaseKey, leased: Leased) -> None:
        self._known[key] = leased
        self._tell(key, leased)

    async def _finish(self, held: Held, *, give_back: bool) -> None:
        held.task.cancel()
        await asyncio.wait([held.task])
        if give_back:
            with suppress(OSError, TimeoutError):  # it lapses by itself where it cannot be given
                async with asyncio.timeout(LEAVING):
                    await held.session.release()

    async def _close(self) -> None:
        for held in self._held.values():
            await self._finish(held, give_back=False)
        for port in self._ports.values():
            await port.close()


def _noticed(task: asyncio.Task[None]) -> None:
    """A session ends by a fault alone (its interface went away); the next full round finds that it
    does not run, and starts it anew."""
    if not task.cancelled():
        task.exception()


def _terms(known: Leased | None) -> Terms | None:
    """What is known of a lease that may still be good, to go on with."""
    if known is None or known.state != "Bound" or known.address is None:
        return None
    if known.expires is not None and known.expires <= time():
        return None
    times = (known.renew, known.rebind, known.expires)
    renew, rebind, expires = (FOREVER if one is None else one for one in times)
    return Terms(known.address, known.server, known.bound or time(), renew, rebind, expires)
