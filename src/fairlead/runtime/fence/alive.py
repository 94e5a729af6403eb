"""Whether a fence lives, for whoever restarts the ones that do not.

``python3 -m fairlead.runtime.fence.alive DIRECTORY`` ends with 0 when the fence of that directory
has gone round within the last :data:`PATIENCE` seconds, else with 1 and a line that says why. It
asks at a socket of its own, since a connection to the other one is what an agent is known by, and
imports next to nothing, because it is run every few seconds.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

SOCKET = "alive.sock"
PATIENCE = 5.0
"""Seconds that a round may take: netlink and nft are slow on a machine that is busy."""
ASKING = 3.0
"""Seconds to wait for the answer."""
YES = b"yes\n"


async def answer(directory: Path, rested: Callable[[], float]) -> asyncio.Server:
    """Answer whoever asks. ``rested``: seconds since the last round."""
    import asyncio

    async def said(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late = rested()
        writer.write(YES if late < PATIENCE else f"no round for {late:.1f} s\n".encode())
        writer.close()

    path = directory / SOCKET
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(said, str(path))
    path.chmod(0o600)
    return server


def ask(directory: Path) -> str:
    """What is wrong with the fence of a directory; empty when it lives."""
    path = directory / SOCKET
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(ASKING)
        try:
            asking.connect(str(path))
            said = asking.recv(100)
        except OSError as error:
            return f"nobody answers at {path}: {error}"
    return "" if said == YES else said.decode().strip() or "it hangs up"


if __name__ == "__main__":
    sys.exit(ask(Path(sys.argv[1])) or 0)
