"""``kube-vip.io/forwardUPNP``: have the ports of a Service open on the network's gateway too.

As with kube-vip only the exact text ``true`` counts, and it takes the configuration's
``enableUPNP``. ``kube-vip.io/upnp-lease-duration`` is a Go duration; 0 is for ever, and what cannot
be read is the default, as there, but with a warning.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from fairlead.dialects.reading import invalid, shown
from fairlead.model.config import Config
from fairlead.model.forward import (
    DEFAULT_LEASE,
    FORWARDED,
    LONGEST_LEASE,
    PERMANENT,
    SHORTEST_LEASE,
)
from fairlead.model.kube import Service
from fairlead.model.verdict import Code, Reason

FORWARD = "kube-vip.io/forwardUPNP"
LEASE = "kube-vip.io/upnp-lease-duration"
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
"""Of time.ParseDuration of Go, in seconds."""
LONGEST_TEXT = 64
_PART = re.compile(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


class Wanted(NamedTuple):
    """The lease in seconds, None where nothing is to be open; and what there is to say about it."""

    lease: int | None = None
    warnings: tuple[Reason, ...] = ()


def forward_in(service: Service, config: Config) -> Wanted:
    """What a Service asks of the gateway."""
    notes = service.metadata.annotation_map
    if not notes or notes.get(FORWARD, "false") == "false":
        return Wanted()
    if notes[FORWARD] != "true":
        why = "is neither 'true' nor 'false'; no port is opened"
        return Wanted(None, (invalid(FORWARD, notes[FORWARD], why),))
    if not config.enable_upnp:
        text = f"{FORWARD} has no effect: UPnP is off; set enableUPNP: true in the configuration."
        return Wanted(None, (Reason(Code.NOT_FORWARDED, text),))
    lease, doubts = _lease(notes.get(LEASE))
    return Wanted(lease, (*doubts, *_unfit(service)))


def _unfit(service: Service) -> Iterator[Reason]:
    ports = [str(port.port) for port in service.ports if port.protocol not in FORWARDED]
    if ports:
        text = f"port {', '.join(ports)} is not opened on the gateway: UPnP knows TCP and UDP only."
        yield Reason(Code.NOT_FORWARDED, text)


def _lease(text: str | None) -> tuple[int, tuple[Reason, ...]]:
    if text is None:
        return DEFAULT_LEASE, ()
    seconds = duration(text)
    if seconds is None or seconds < 0:
        why = f"is no duration such as 30m or 1h; {DEFAULT_LEASE} s are used"
        return DEFAULT_LEASE, (invalid(LEASE, text, why),)
    if seconds == PERMANENT:
        return PERMANENT, ()
    fitting = int(min(max(seconds, SHORTEST_LEASE), LONGEST_LEASE))
    if fitting == int(seconds):
        return fitting, ()
    limit = "shortest" if fitting == SHORTEST_LEASE else "longest"
    doubt = f"{LEASE} {shown(text)}: {fitting} s are used, the {limit} lease there is."
    return fitting, (Reason(Code.NOT_FORWARDED, doubt),)


def duration(text: str) -> float | None:
    """Seconds of a Go duration (``1h30m``, ``0``), None for what is none."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    parts = _PART.findall(rest[:LONGEST_TEXT])
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        return None
    return sign * sum(float(number) * UNITS[unit] for number, unit in parts)
