"""A loop that hangs is seen to have been late."""

import asyncio
import time

from fairlead.runtime.lag import EVERY, Lag


def test_a_blocked_loop_is_late_by_the_time_it_was_blocked() -> None:
    async def block() -> float:
        lag = Lag()
        measuring = asyncio.create_task(lag.measure())
        await asyncio.sleep(0)
        time.sleep(EVERY + 0.3)  # noqa: ASYNC251  (the block that is to be seen)
        await asyncio.sleep(0.05)
        measuring.cancel()
        return lag.worst

    assert asyncio.run(block()) >= 0.25
