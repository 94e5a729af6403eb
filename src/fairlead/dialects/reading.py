"""What reading one object yields, and how an object is refused.

A message says field, value and what to do; the object it is about is the verdict's ``ref``. Values
are clipped: an annotation may hold megabytes, a condition may not.
"""

from typing import NamedTuple

from fairlead.model.claim import Claim
from fairlead.model.names import GroupKey, Ref
from fairlead.model.verdict import Code, Reason, State, Verdict

Hint = tuple[str, ...]
"""What else a reading depends on, as a key of the index: ``("setting", name)``, ``("nodes",)`` or
``("pod", namespace, label, value)``."""

NODES: Hint = ("nodes",)
LONGEST_NAME = 253
"""The longest name of a Kubernetes object, and the longest key or host name taken from an
annotation."""


class Reading(NamedTuple):
    """The claims of one object, or the verdict that stands in their place.

    ``held``: the object is there but cannot be used, so what it holds stays reserved.
    """

    claims: tuple[Claim, ...] = ()
    verdict: Verdict | None = None
    hints: tuple[Hint, ...] = ()
    held: bool = False


NOTHING = Reading()


def shown(value: object, most: int = 64) -> str:
    """A value as a message shows it: quoted, escaped, clipped."""
    text = value if isinstance(value, str) else str(value)
    return repr(text) if len(text) <= most else f"{text[:most]!r}…"


def invalid(field: str, value: object, why: str) -> Reason:
    """The reason that a field cannot be read: ``why`` completes the sentence."""
    return Reason(Code.INVALID_OBJECT, f"{field} {shown(value)} {why}.")


def rejected(
    ref: Ref, reason: Reason, *, dialect: str = "", group: GroupKey | None = None
) -> Reading:
    """Somebody must edit the object; until then what it holds stays reserved."""
    verdict = Verdict(ref, State.REJECTED, reason, dialect=dialect, group=group)
    return Reading(verdict=verdict, held=True)


def pending(ref: Ref, reason: Reason, *, dialect: str, held: bool) -> Reading:
    """The object waits for something that can come without an edit of it."""
    return Reading(verdict=Verdict(ref, State.PENDING, reason, dialect=dialect), held=held)


def ignored(ref: Ref, code: Code, message: str, *, dialect: str = "") -> Reading:
    """The object is not ours to serve."""
    verdict = Verdict(ref, State.IGNORED, Reason(code, message), dialect=dialect)
    return Reading(verdict=verdict)


def accepted(ref: Ref, warnings: tuple[Reason, ...]) -> Verdict:
    """An object that is in use, with something to say about it."""
    return Verdict(ref, State.SERVED, warnings=warnings)


def name_in(field: str, text: str | None) -> str | Reason:
    """A name or key from an annotation, empty where there is none; refused when nothing can bear
    it."""
    if not text:
        return ""
    if len(text) > LONGEST_NAME:
        return invalid(field, text, f"is longer than {LONGEST_NAME} characters; shorten it")
    return text
