"""The logs of containers: one line for each line that was said, with the time it was said at.

The format is that of the Container Runtime Interface (`TIME STREAM TAG LINE`), the options are
those of the API's PodLogOptions. Both streams go into one.
"""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["LogOptions", "LogWriter", "read_log", "shown"]


class LogWriter:
    """A log that is written to, as bytes come."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._partial = b""

    def write(self, data: bytes) -> None:
        """Take what was said."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        moment = _stamp(time.time_ns())
        os.write(self._file, b"".join(b"%s stdout F %s\n" % (moment, line) for line in whole))

    def close(self) -> None:
        """Nothing more will be said."""
        if self._partial:
            self.write(b"\n")
        os.close(self._file)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Which lines are wanted, and how. `since` is a time as in the log, `limit` counts bytes."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: str = ""
    tail: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> LogOptions:
        """Read the query of a request for a log."""
        since = ""
        if text := query.get("sinceTime"):
            since = _stamp(int(datetime.fromisoformat(text).timestamp() * 10**9)).decode()
        elif text := query.get("sinceSeconds"):
            since = _stamp(time.time_ns() - int(text) * 10**9).decode()
        tail = query.get("tailLines")
        return cls(
            follow=query.get("follow") == "true",
            previous=query.get("previous") == "true",
            timestamps=query.get("timestamps") == "true",
            since=since,
            tail=int(tail) if tail is not None else None,
        )


def read_log(path: Path, options: LogOptions) -> tuple[bytes, int]:
    """What there is of a log now, and where it ended; a log that is not there is empty."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b"", 0
    lines: Iterator[bytes] = (line for line in data.splitlines(keepends=True))
    if options.tail is not None:
        lines = iter(deque(lines, maxlen=options.tail))
    return b"".join(shown(line, options) for line in lines), len(data)


def shown(line: bytes, options: LogOptions) -> bytes:
    """A line of the log as it is shown; nothing when it is too old."""
    moment, _, rest = line.partition(b" ")
    if moment.decode() < options.since:
        return b""
    said = rest.removeprefix(b"stdout F ")
    return moment + b" " + said if options.timestamps else said


def _stamp(nanoseconds: int) -> bytes:
    seconds, fraction = divmod(nanoseconds, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z".encode()
