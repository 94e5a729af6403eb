"""The working copy of a ledger during one plan: who holds which address now, and which is free
next.

A pool hands out addresses ascending, those released last. A cursor for each range remembers how far
it got: everything below is held, remembered as released, or listed as skipped; so the next free
address costs the same in an empty pool and in one with 50 000 holders.
"""

from bisect import bisect_left
from ipaddress import IPv4Address, IPv6Address

from immutables import Map

from fairlead.model.addresses import Family
from fairlead.model.claim import Claims, Pool
from fairlead.model.ledger import Holding, Ledger, Spot
from fairlead.model.names import GroupKey
from fairlead.model.plan import Cursor

Cursors = Map[tuple[str, int], Cursor]


class _Mark:
    """A thawed :class:`Cursor`."""

    def __init__(self, cursor: Cursor) -> None:
        self.next = cursor.next
        self.skipped = list(cursor.skipped)

    def frozen(self) -> Cursor:
        return Cursor(self.next, tuple(self.skipped))


class Book:
    """Addresses held, released and free while one plan is made."""

    def __init__(self, claims: Claims, ledger: Ledger, cursors: Cursors) -> None:
        self.claims = claims
        self.ledger = ledger
        self.holdings = ledger.holdings.mutate()
        self.holders = ledger.holders.mutate()
        self.released = ledger.released.mutate()
        self.freed: set[Spot] = set()
        self._ranks: dict[Spot, int] = {}
        self._written = False
        self._cursors = cursors
        self._marks: dict[tuple[str, int], _Mark] = {}
        self._full: set[tuple[str, Family]] = set()
        self._pools: dict[tuple[str, tuple[str, ...]], tuple[Pool, ...]] = {}
        self.restricted = any(
            p.namespaces or p.namespace_selector or p.service_selector for p in claims.pools
        )

    def pools(self, space: str, names: tuple[str, ...]) -> tuple[Pool, ...]:
        """The pools of a space, or those that some names mean; restrictions are not looked at."""
        key = (space, names)
        found = self._pools.get(key)
        if found is None:
            found = self._pools[key] = tuple(
                pool
                for pool in self.claims.pools
                if pool.space == space and (not names or any(map(pool.answers_to, names)))
            )
        return found

    def take(self, spot: Spot, group: GroupKey) -> None:
        """Hold a free address for a group."""
        self._written = True
        self.holders[spot] = group
        rank = self.released.pop(spot, None)
        if rank is not None:
            self._ranks[spot] = rank

    def free(self, spot: Spot, group: GroupKey) -> None:
        """Give up an address; it will be the last to be handed out again. Releases of one plan have
        one rank until :meth:`close`, so that the order of planning does not show."""
        if self.holders.get(spot) != group:
            return
        self._written = True
        del self.holders[spot]
        self.released[spot] = self.ledger.releases
        self.freed.add(spot)
        self._full.clear()

    def give_back(self, spot: Spot, group: GroupKey) -> None:
        """Undo a :meth:`take` of this same plan, for an address that nobody saw used."""
        if self.holders.get(spot) == group:
            del self.holders[spot]
            if spot in self._ranks:
                self.released[spot] = self._ranks.pop(spot)
            else:
                self._forget(spot)
            self._full.clear()

    def settle(self, holding: Holding) -> None:
        """What a group holds from now on; nothing when it holds no address."""
        if holding.assignments:
            if self.holdings.get(holding.group) != holding:
                self.holdings[holding.group] = holding
                self._written = True
        else:
            self.drop(holding.group)

    def drop(self, group: GroupKey) -> None:
        """A group holds nothing any more."""
        if self.holdings.pop(group, None) is not None:
            self._written = True

    def next_free(self, pool: Pool, family: Family) -> Spot | None:
        """The address a pool hands out next: the lowest never released, else the first released."""
        if (pool.name, family) in self._full:
            return None
        for index, span in enumerate(pool.ranges):
            if span.family == family:
                spot = self._fresh(pool, index)
                if spot is not None:
                    return spot
        oldest = self._oldest(pool, family)
        if oldest is None:
            self._full.add((pool.name, family))
        return oldest

    def _spot(self, pool: Pool, family: Family, number: int) -> Spot:
        return Spot(pool.space, IPv4Address(number) if family == 4 else IPv6Address(number))

    def _usable(self, spot: Spot) -> bool:
        return spot not in self.holders and spot.address not in self.claims.node_addresses

    def _fresh(self, pool: Pool, index: int) -> Spot | None:
        """The lowest address of a range that is free and not remembered as released. It stays first
        until somebody takes it."""
        span, mark = pool.ranges[index], self._mark(pool, index)
        while mark.skipped:
            spot = self._spot(pool, span.family, mark.skipped[0])
            if self._usable(spot) and spot not in self.released:
                return spot
            del mark.skipped[0]
        last = int(span.last)
        while mark.next <= last:
            spot = self._spot(pool, span.family, mark.next)
            if self._usable(spot) and spot not in self.released:
                return spot
            mark.next += 1
        return None

    def _oldest(self, pool: Pool, family: Family) -> Spot | None:
        mine = (
            (order, spot)
            for spot, order in self._releases()
            if spot.space == pool.space
            and spot.address.version == family
            and spot.address in pool
            and self._usable(spot)
        )
        return min(mine, default=(0, None))[1]

    def _releases(self) -> list[tuple[Spot, int]]:
        frozen = self.released.finish()
        self.released = frozen.mutate()
        return list(frozen.items())

    def _mark(self, pool: Pool, index: int) -> _Mark:
        key = (pool.name, index)
        mark = self._marks.get(key)
        if mark is None:
            start = Cursor(int(pool.ranges[index].first))
            mark = self._marks[key] = _Mark(self._cursors.get(key, start))
        return mark

    def _forget(self, spot: Spot) -> None:
        """An address that is neither held nor remembered is handed out again in its order."""
        for pool in self.claims.pools:
            if pool.space != spot.space:
                continue
            for index, span in enumerate(pool.ranges):
                if spot.address in span:
                    self._skip(self._mark(pool, index), int(spot.address))

    def _skip(self, mark: _Mark, number: int) -> None:
        if number < mark.next:
            at = bisect_left(mark.skipped, number)
            if at == len(mark.skipped) or mark.skipped[at] != number:
                mark.skipped.insert(at, number)

    def _bury(self, keep: int) -> None:
        """Remember only the ``keep`` newest releases."""
        excess = len(self.released) - keep
        if excess <= 0:
            return
        by_age = sorted(self._releases(), key=lambda item: item[1])
        for spot, _ in by_age[:excess]:
            del self.released[spot]
            self._forget(spot)

    def close(self) -> tuple[Ledger, Cursors]:
        """The next ledger (the same one when nothing changed), and the cursors that go with it."""
        releases = self._number()
        self._bury(self.claims.config.tombstones)
        cursors = self._cursors.mutate()
        for key, mark in self._marks.items():
            cursors[key] = mark.frozen()
        if not self._written:
            return self.ledger, cursors.finish()
        ledger = Ledger(
            holdings=self.holdings.finish(),
            holders=self.holders.finish(),
            released=self.released.finish(),
            releases=releases,
        )
        return ledger, cursors.finish()

    def _number(self) -> int:
        """Give this plan's releases their places, by address; returns how many there ever were."""
        new = [spot for spot in self.freed if spot in self.released]
        new.sort(key=lambda spot: (spot.space, spot.address.version, int(spot.address)))
        for place, spot in enumerate(new, start=self.ledger.releases):
            self.released[spot] = place
        return self.ledger.releases + len(new)
