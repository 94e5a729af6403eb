"""What things of ours are called in FRR. Every name starts with :data:`OURS`, so that whatever else
is there is told apart.

Route-maps are named by their content: what a name says never changes, a change is a new name, and
a neighbour goes from one to the other in one command.
"""

import re
from collections.abc import Iterable
from hashlib import blake2s

import msgspec

from fairlead.model.peers import WELL_KNOWN, BfdTimes, BgpPeer, BgpRoute, Community

OURS = "fairlead-"
REFUSE = f"{OURS}none"
"""The route-map that lets nothing pass."""
HOSTS = f"{OURS}hosts"
"""The prefix-lists, one of each family, of host routes."""

LONGEST_PASSWORD = 80
"""TCP_MD5SIG_MAXKEYLEN of the kernel."""

_NAMES = {numbers: name for name, numbers in WELL_KNOWN.items()}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


def tag_of(route: BgpRoute) -> int:
    """The tag by which the export filter knows the VIPs of which that is said. It never leaves this
    host."""
    return int.from_bytes(_digest(_text(route))) | 1


def map_of(route: BgpRoute) -> str:
    """The route-map of the ``network`` statements of such VIPs."""
    return f"{OURS}vip-{tag_of(route):08x}"


def map_of_lines(lines: Iterable[str]) -> str:
    """The export filter of exactly these lines."""
    return f"{OURS}out-{_digest('|'.join(lines)).hex()}"


def description(route: BgpRoute) -> str:
    """What is said of a VIP as one word: FRR cuts at ``|`` and joins spaces."""
    return _text(route).replace("|", "\\u007c").replace(" ", "\\u0020")


def described(text: str) -> BgpRoute | None:
    """The inverse; None when somebody else wrote it."""
    try:
        return msgspec.json.decode(text, type=BgpRoute)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def neighbour(name: str, peer: BgpPeer) -> str:
    """How the router is addressed: by its address, or by the name of the group for a range."""
    return f"{OURS}{plain(name)}" if hasattr(peer.remote, "prefixlen") else str(peer.remote)


def plain(name: str) -> str:
    """The name of an object, or a digest of one that is no word of FRR's."""
    return name if _PLAIN.fullmatch(name) else _digest(name).hex()


def unfit_password(value: str) -> str:
    """Why FRR cannot take a password; empty when it can."""
    if not value or len(value) > LONGEST_PASSWORD:
        return f"the password must have 1 to {LONGEST_PASSWORD} characters"
    if not value.isprintable() or " " in value:
        return "the password holds a space or a control character, which FRR cannot take"
    return ""


def profile(times: BfdTimes) -> str:
    """The BFD profile of such times."""
    return f"{OURS}{times.transmit}-{times.receive}-{times.multiplier}"


def community(numbers: Community) -> str:
    """A community as FRR prints it."""
    return _NAMES.get(numbers) or ":".join(map(str, numbers))


def _text(route: BgpRoute) -> str:
    text = msgspec.json.encode(route).decode()
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode()


def _digest(text: str) -> bytes:
    return blake2s(text.encode(), digest_size=4).digest()
