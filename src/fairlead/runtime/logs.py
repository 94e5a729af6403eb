"""The log of a process: a line of JSON for each event, with one key for each object; or text.

What the libraries say through :mod:`logging` goes the same way, so that a reader of JSON lines
meets nothing else.
"""

import logging
import sys
import traceback
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

Form = Literal["text", "json"]


def make_log(stream: TextIO, form: Form) -> FilteringBoundLogger:
    """A log that writes to a stream. Times are UTC."""
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty()),
    ]
    made: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return made


class _Forward(logging.Handler):
    """Takes records of the standard library's log."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Say it in our log, with the last line of a traceback."""
        said = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            said["error"] = repr(record.exc_info[1])
        self._log.log(record.levelno, record.getMessage(), **said)


def capture(log: FilteringBoundLogger) -> None:
    """Have this process write to this log alone: warnings and errors of libraries, and the
    traceback of a defect that ends it."""
    logging.basicConfig(handlers=[_Forward(log)], level=logging.WARNING, force=True)

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        lines = traceback.format_exception(kind, error, trace)
        log.critical("defect", error=repr(error), traceback="".join(lines))

    sys.excepthook = tell
