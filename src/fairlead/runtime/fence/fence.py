"""The fence wired: what is known of the others, the rule, and what this host holds by it.

::

    bfdd ──> Sessions ─┐                         ┌─> Switch (nft, dead man's)
    peers <─ Voice ────┼─> sight ─> stand ─> Holder ─> L2 driver (addresses, gratuitous ARP)
    agent ──> Host ────┘                         └─> Voice, Host: what is held

A tick is at most :data:`TICK` seconds after the last, and at once when something changed. Between
two ticks that are further apart than the switch lasts (the process was stopped, or starved),
nothing that was known before counts: others have taken over by then.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime

import msgspec
from immutables import Map

from fairlead.drivers.l2.links import Links
from fairlead.model.addresses import IPAddress, canonical
from fairlead.model.berth import Table
from fairlead.model.cell import Roster, Row, Sight
from fairlead.planner import tenure
from fairlead.planner.berth import NONE, Stand, Word, stand
from fairlead.runtime.fence import alive, texts
from fairlead.runtime.fence.bfd import Sessions
from fairlead.runtime.fence.ground import Ground, Watched
from fairlead.runtime.fence.holder import Holder
from fairlead.runtime.fence.link import Claim, Host, State
from fairlead.runtime.fence.voice import Message, Voice, row_of, said_of

TICK = 0.1
AGENT_GONE = 30.0
"""Seconds without a word of an agent after which the berths are handed over in order."""
SETTLING = 1.0
"""Seconds in which a fence that finds VIPs speaking, its predecessor's or its own from before it
stood still, hears from the others before it lets go of anything: one that is back at once moves
nothing."""
PATIENCE = 2 * TICK
"""Seconds in which one that may hold VIPs again takes none from those who may have taken them just
now, and have not said so yet."""
TABLE = "fence.table"


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceOptions:
    """``directory``: sockets, bfdd's files and the last table. ``key``: what fences authenticate
    their messages with. ``interval`` and ``multiplier``: of BFD, milliseconds. ``bfdd``: the socket
    of one that somebody else runs."""

    directory: Path
    key: bytes = b""
    interval: int = 100
    multiplier: int = 3
    bfdd: Path | None = None


class Fence:
    """One engine's fence. ``log`` is told what changes, in words and values."""

    def __init__(
        self,
        options: FenceOptions,
        holder: Holder,
        log: Callable[[str, dict[str, object]], None],
        *,
        links: Callable[[], Watched] = Links,
    ) -> None:
        self._options, self._holder, self._log = options, holder, log
        self._ground = Ground(links)
        self._wake = asyncio.Event()
        self._table: Table | None = None
        self._rows: dict[str, Row] = {}
        self._words: dict[str, Word] = {}
        self._heard_at: dict[str, float] = {}
        self._blind: set[str] = set()
        self._word = Word()
        self._roster = self._agreed = Roster(0, frozenset())
        self._life, self._number = int(_now() * 1000), 0
        self._agent_heard_at = self._since = _now()
        self._draining = False
        self._left = frozenset[IPAddress]()
        self._settles_at = self._patient_until = 0.0
        self._rules = False
        self._ticked = self._rounded = _now()
        self._sessions: Sessions | None = None
        self._voice = Voice(key=options.key, heard=self._hear)
        self._host = Host(
            options.directory, table=self._take, recorded=self._record, heard=self._agent_heard
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._said: tuple[bool, frozenset[str]] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; then everything is handed over, or let go."""
        self._options.directory.mkdir(parents=True, exist_ok=True)
        servers = [
            await self._host.open(),
            await alive.answer(self._options.directory, lambda: _now() - self._rounded),
        ]
        await self._inherit()
        self._resume()
        self._ground.follow(self._wake.set)
        ticking = asyncio.create_task(self._tick_on())
        try:
            await asyncio.wait(
                {ticking, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
            if ticking.done():
                ticking.result()
            await self._hand_over()
        finally:
            ticking.cancel()
            for task in self._tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
            await self._holder.withdraw()
            self._ground.close()
            self._voice.close()
            for server in servers:
                server.close()

    async def _hand_over(self) -> None:
        """Leave in order: others take first, if there are others."""
        self._draining = True
        deadline = _now() + 2.0
        while self._word.holds and _now() < deadline and self._others():
            self._wake.set()
            await asyncio.sleep(TICK / 4)

    def _others(self) -> bool:
        return self._table is not None and len(tenure.serving(self._sight(self._table))) > 1

    # -- what comes ------------------------------------------------------------------------------

    def _resume(self) -> None:
        with suppress(OSError, msgspec.MsgspecError):
            self._take(texts.table_of((self._options.directory / TABLE).read_bytes()))

    def _take(self, table: Table) -> None:
        before, self._table = self._table, table
        if before is None or before.cell != table.cell or before.address != table.address:
            self._join(table, before)
        assert self._sessions is not None
        self._sessions.want(table.peers.values())
        part = self._options.directory / f"{TABLE}.part"
        part.write_bytes(texts.written(table))
        part.replace(self._options.directory / TABLE)
        self._wake.set()

    def _join(self, table: Table, before: Table | None) -> None:
        """The cell is another one: its roster starts anew, and outranks what was."""
        generation = self._roster.generation + 1 if before is not None else 0
        self._roster = self._agreed = Roster(generation, table.cell)
        self._rows = {name: row for name, row in self._rows.items() if name in table.cell}
        if before is not None and before.address == table.address:
            return
        for task in self._tasks:
            task.cancel()
        self._sessions = Sessions(
            self._options.directory,
            own=table.address,
            changed=lambda _: self._wake.set(),
            interval=self._options.interval,
            multiplier=self._options.multiplier,
            bfdd=self._options.bfdd,
        )
        self._tasks = [
            asyncio.create_task(self._sessions.run()),
            asyncio.create_task(self._voice.open(table.address)),
        ]

    def _record(self, roster: Roster) -> None:
        """What the API has: our claim, which is then in force, or one that was first."""
        if roster.generation > self._roster.generation:
            self._log("recorded", {"generation": roster.generation, "members": [*roster.members]})
            self._roster = roster
            self._wake.set()

    def _claim(self, sight: Sight) -> Claim | None:
        """What must be recorded so that this half may go on."""
        base = tenure.base(sight)
        wanted = tenure.claim(sight, base)
        return Claim(base.generation, wanted) if wanted is not None else None

    def _agent_heard(self) -> None:
        self._agent_heard_at = _now()

    def _hear(self, message: Message) -> None:
        table = self._table
        if table is None or message.sender not in table.peers:
            return
        now = _now()
        for name, said in message.rows.items():
            row, known = row_of(said, now), self._rows.get(name)
            if name != table.me and (known is None or row.heard > known.heard):
                self._rows[name] = row
                if name in message.words:
                    self._believe(name, message.words[name])
        self._believe(message.sender, message.word)
        self._heard_at[message.sender] = now
        (self._blind.add if message.blind else self._blind.discard)(message.sender)

    def _believe(self, name: str, word: Word) -> None:
        if self._words.get(name) != word:
            self._words[name] = word
            self._wake.set()

    # -- what follows ----------------------------------------------------------------------------

    async def _tick_on(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._wake.wait()
            self._wake.clear()
            self._rounded = _now()
            for task in self._tasks:
                if task.done():
                    task.result()  # a fence that cannot see or speak must not look alive
            if self._table is not None:
                await self._tick(self._table)

    async def _tick(self, table: Table) -> None:
        if self._ground.is_news(table):
            self._ground.look(table, await self._holder.astray(table), _now())
        now = _now()
        if now - self._ticked > tenure.FRESH:
            await self._after_a_gap()
        self._ticked = now
        self._agree(table)
        decided = self._decide(table)
        if self._settles_at and self._settling(decided, left := self._inheritance(table)):
            if self._sight(table).links:  # before bfdd has said anything, we would deny all links
                self._speak(table, left, serving=True)
            return
        if decided.word != self._word:
            going = self._word.holds - decided.word.holds
            if not going:
                self._word = decided.word
            await self._holder.hold(decided.addresses, rightful=decided.rightful, table=table)
            self._word = decided.word
            self._speak(table, self._word, serving=self._holder.rightful)
            self._wake.set()
        else:
            await self._holder.hold(decided.addresses, rightful=decided.rightful, table=table)
            self._speak(table, self._word, serving=self._holder.rightful)
        self._tell(table, decided)

    def _settling(self, decided: Stand, left: Word) -> bool:
        """Whether what was left is to stay as it is, because not all others have been heard yet,
        and none of them has said that it has it. The switch is not refreshed meanwhile, so this
        makes no holder of a fence that hears nobody."""
        taken = any(not said.holds.isdisjoint(left.holds) for said in self._words.values())
        if taken or decided.word.holds >= left.holds or _now() >= self._settles_at:
            self._settles_at = 0.0
        return self._settles_at > 0

    def _inheritance(self, table: Table) -> Word:
        return Word(holds=frozenset(b.mark for b in table.berths if b.addresses & self._left))

    async def _inherit(self) -> None:
        self._left = await self._holder.inherited()
        self._settles_at = _now() + SETTLING if self._left else 0.0

    async def _after_a_gap(self) -> None:
        """We were not running for a while: what we know is old, and what our agent said unread."""
        missed = _now() - self._ticked
        self._log("gap", {"seconds": round(missed, 2)})
        self._agent_heard_at += missed
        await self._inherit()
        self._since = _now()
        self._rows.clear()  # last: while it waited it has read what others sent long ago
        self._words.clear()

    def _agree(self, table: Table) -> None:
        self._roster = tenure.taken(self._sight(table))
        self._agreed = tenure.agreed(self._sight(table))
        offer = tenure.proposal(self._sight(table))
        if offer is not None:
            self._roster = offer
            self._agreed = tenure.agreed(self._sight(table))

    def _decide(self, table: Table) -> Stand:
        sight = self._sight(table)
        gone = sight.now - self._agent_heard_at > AGENT_GONE
        left = self._inheritance(table).holds if self._settles_at else NONE
        return stand(
            table,
            sight,
            holds=self._word.holds | left,
            words=Map(self._words),
            leaving=self._draining or gone,
            aground=self._ground.aground(table, sight.now),
            patient=self._patient(table, sight),
        )

    def _patient(self, table: Table, sight: Sight) -> bool:
        """Whether it rules for so short a time that others may have taken what it wants."""
        rules = tenure.may_hold(sight, partition=table.partition)
        if rules and not self._rules:
            self._patient_until = sight.now + PATIENCE
        self._rules = rules
        return sight.now < self._patient_until

    def _sight(self, table: Table) -> Sight:
        now = _now()
        return Sight(
            me=table.me,
            now=now,
            links=frozenset(name for name in table.peers if self._linked(table, name, now)),
            roster=self._roster,
            agreed=self._agreed,
            rows=self._rows,
            since=self._since,
        )

    def _linked(self, table: Table, name: str, now: float) -> bool:
        """By bfdd; by messages where bfdd has ended at one of the two. Who falls silent then counts
        until its switch has lapsed, because it may be its fence alone that ended too."""
        if self._sessions is None or table.peers[name] in self._sessions.up:
            return self._sessions is not None
        blind = self._sessions.blind or name in self._blind
        return blind and now - self._heard_at.get(name, 0.0) <= tenure.MUTE

    def _speak(self, table: Table, word: Word, *, serving: bool) -> None:
        now = _now()
        sight = self._sight(table)
        mine = Row(now, sight.links, self._roster, self._agreed, serving)
        rows = {table.me: said_of(mine, now)}
        # old ones too: who began a moment ago learns from them who is silent, and since when
        rows |= {name: said_of(row, now) for name, row in self._rows.items()}
        self._number += 1
        deaf = tenure.cut_off(sight)
        words = {name: said for name, said in self._words.items() if name in rows and name in deaf}
        blind = self._sessions is not None and self._sessions.blind
        message = Message(table.me, self._life, self._number, rows, word, words, blind)
        self._voice.say(message, table.peers)

    def _tell(self, table: Table, decided: Stand) -> None:
        sight = self._sight(table)
        side = tenure.side(sight)
        if self._said != (decided.rightful, side):
            self._said = decided.rightful, side
            self._log("side", {"rightful": decided.rightful, "side": sorted(side)})
        self._host.tell(
            State(
                held=tuple(sorted(map(canonical, self._holder.held))),
                rightful=decided.rightful,
                able=tuple(sorted(tenure.serving(sight))),
                side=tuple(sorted(side)),
                problems=self._problems(table),
                claim=self._claim(sight),
                disputes=tuple(
                    (canonical(address), mac, name)
                    for address, mac, name in self._holder.disputes()
                ),
            )
        )

    def _problems(self, table: Table) -> dict[str, str]:
        """What keeps it from its work; without bfdd everybody else looks dead."""
        found: dict[str, str] = {}
        if self._sessions is not None and not self._sessions.reached and table.peers:
            found[""] = f"no bfdd answers at {self._sessions.socket}"
        astray = {canonical(one): why for one, why in self._ground.problems.items()}
        return found | astray | self._holder.problems


def _now() -> float:
    """Seconds since boot, suspension included."""
    return clock_gettime(CLOCK_BOOTTIME)
