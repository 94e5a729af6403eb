"""A fence and the bfdd that it starts go before other work of their host: one that is busy is not a
dead one, and what they need of it is little.

Where the kernel groups processes by session (autogroup, sched(7)), a nice value counts only within
a session, and a daemon is in one of its own: so its session gets the same value.
"""

import os
from contextlib import suppress
from pathlib import Path

NICE = -10


def go_first() -> None:
    """This process, those that it starts, and its session if it leads one. Without CAP_SYS_NICE it
    is as urgent as anything else."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    if os.getsid(0) == os.getpid():
        lift_session(os.getpid())


def lift_session(pid: int) -> None:
    """The session of a process."""
    with suppress(OSError):  # not permitted, or this kernel groups nothing
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE))
