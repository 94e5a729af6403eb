"""``fairlead fence`` as a process: its drivers, its signals, its log."""

import asyncio
import signal
import sys

import structlog

from fairlead.drivers.l2 import L2Driver
from fairlead.drivers.nft.client import NftClient
from fairlead.runtime.fence.fence import Fence, FenceOptions
from fairlead.runtime.fence.holder import Holder
from fairlead.runtime.fence.switch import Switch
from fairlead.runtime.fence.urgency import go_first
from fairlead.sources.collection import settle


async def serve(options: FenceOptions, *, interfaces: tuple[str, ...] = ()) -> None:
    """Run until SIGTERM or SIGINT."""
    go_first()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )
    nft = NftClient()
    holder = Holder(L2Driver(interfaces=interfaces or None), Switch(nft))
    fence = Fence(options, holder, lambda event, values: log.msg(event, **values))
    settle()
    try:
        await fence.run(stop)
    finally:
        nft.close()
