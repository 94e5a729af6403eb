"""How a process is told to stop: SIGTERM or SIGINT set an event, and the loops end in order."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Have the signals set ``stop``, in the running loop, until the block ends."""
    loop = asyncio.get_running_loop()
    for number in STOPS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in STOPS:
            loop.remove_signal_handler(number)
