"""Who holds what, as agents report it in Engine objects.

An engine that died cannot take back what it said last. So where several say that they hold an
address, the one that wrote last counts, with those on its side.
"""

from typing import NamedTuple

from fairlead.model.objects import Engine


class Report(NamedTuple):
    """What one engine said. ``version``: of its object, which counts up from write to write."""

    version: str
    holds: frozenset[str]
    side: frozenset[str]
    rightful: bool
    rivals: frozenset[str] = frozenset()


class Rival(NamedTuple):
    """Another host that uses a VIP, as an engine heard it."""

    engine: str
    address: str
    mac: str
    interface: str


NOTHING = Report("", frozenset(), frozenset(), False)


class Holders:
    """All reports, by engine and by address (canonical text)."""

    def __init__(self) -> None:
        self._reports: dict[str, Report] = {}
        self._saying: dict[str, tuple[str, ...]] = {}
        self._news: set[str] = set()
        self._disputed: set[Rival] = set()

    def __len__(self) -> int:
        return len(self._saying)

    def take(self, name: str, engine: Engine | None) -> None:
        """An engine's newest report; None: there is no such engine any more."""
        before = self._reports.pop(name, NOTHING)
        now = NOTHING if engine is None else _report(engine)
        if engine is not None:
            self._reports[name] = now
        for address in now.holds - before.holds:
            self._saying[address] = (*self._saying.get(address, ()), name)
        for address in before.holds - now.holds:
            rest = tuple(one for one in self._saying[address] if one != name)
            if rest:
                self._saying[address] = rest
            else:
                del self._saying[address]
        same = (before.side, before.rightful) == (now.side, now.rightful)
        self._news |= before.holds ^ now.holds if same else before.holds | now.holds
        for text in sorted(now.rivals - before.rivals):
            match text.split():
                case [address, mac, interface]:
                    self._disputed.add(Rival(name, address, mac, interface))

    def of(self, address: str) -> tuple[str, ...]:
        """Who holds an address now, by name; empty when nobody says so."""
        found = [name for name in self._saying.get(address, ()) if self._reports[name].rightful]
        if len(found) < 2:
            return tuple(found)
        last = max(found, key=lambda name: _count(self._reports[name].version))
        return tuple(sorted(name for name in found if not self._is_cut_off(name, last)))

    def _is_cut_off(self, name: str, last: str) -> bool:
        """Whether an engine was on the side of the one that wrote last, and is no more."""
        there, here = self._reports[name].side, self._reports[last].side
        return name != last and bool(here) and last in there and name not in here

    def all(self) -> set[str]:
        """Every address that somebody holds."""
        return set(self._saying)

    def disputed(self) -> set[Rival]:
        """Other hosts that use a VIP, by what was reported since this was asked before."""
        found, self._disputed = self._disputed, set()
        return found

    def news(self) -> set[str]:
        """The addresses whose holders may be others than when this was asked before."""
        found, self._news = self._news, set()
        return found


def _report(engine: Engine) -> Report:
    spec = engine.spec
    version = engine.metadata.resource_version
    holds, side = frozenset(spec.holds), frozenset(spec.side)
    return Report(version, holds, side, spec.rightful, frozenset(spec.rivals))


def _count(version: str) -> int:
    return int(version) if version.isdigit() else 0
