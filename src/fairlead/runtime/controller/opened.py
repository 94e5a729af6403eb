"""Which Events there are when the ports of a Service on a gateway change."""

from collections.abc import Iterator
from typing import NamedTuple

from fairlead.model.names import Ref
from fairlead.model.verdict import Code, Forward
from fairlead.publish.forwards import shown

OPENED, CLOSED = "PortForwarded", "PortForwardEnded"


class Happened(NamedTuple):
    """An Event to write. ``once``: an earlier process may have written the same."""

    reason: str
    message: str
    warning: bool = False
    once: bool = False


class Opened:
    """Remembers what was told of each Service that has ports on a gateway."""

    def __init__(self) -> None:
        self._told: dict[Ref, tuple[frozenset[str], frozenset[tuple[Code, str]]]] = {}

    def news(self, ref: Ref, forwards: tuple[Forward, ...], *, known: bool) -> list[Happened]:
        """What is to be told. ``known``: its status says all this already, so that what is open
        when it is looked at for the first time is no news."""
        open_ = frozenset(shown(one) for one in forwards if one.external is not None)
        troubles = frozenset((one.code, one.message) for one in forwards if one.code)
        before = self._told.get(ref)
        if forwards:
            self._told[ref] = open_, troubles
        else:
            self._told.pop(ref, None)
        was, doubted = before or (open_ if known else frozenset(), frozenset())
        worried = _worried(troubles - doubted, once=before is None)
        return [*_happened(open_, was), *worried]

    def forget(self, ref: Ref) -> None:
        """The Service is gone."""
        self._told.pop(ref, None)


def _happened(now: frozenset[str], was: frozenset[str]) -> Iterator[Happened]:
    for text in sorted(was - now):
        yield Happened(CLOSED, f"{text} is closed on the gateway")
    for text in sorted(now - was):
        yield Happened(OPENED, f"{text} is open on the gateway")


def _worried(troubles: frozenset[tuple[Code, str]], *, once: bool) -> Iterator[Happened]:
    for code, message in sorted(troubles):
        yield Happened(code.value, message, warning=True, once=once)
