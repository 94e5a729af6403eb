"""Echo servers as a program: `python -m fairlead.lab.echo --name pod-a --tcp 8080 --udp 8080`.

Runs in the namespace it is started in and prints `ready` once every port is open. With `--many` it
reads a JSON list of servers, each with the path of its namespace, from standard input and makes one
process for each by forking, which starts a hundred pods in the time of one interpreter; then
it prints `{"NAME": pid, ...}`. A server that cannot start ends the whole start with its error.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fairlead.lab import netns
from fairlead.lab.echo_server import EchoSpec, listen, serve
from fairlead.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_PR_SET_PDEATHSIG: Final = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns only when told to serve many in the background, or on an error."""
    options = _options(argv)
    if options.many:
        return _serve_many(json.load(sys.stdin), detach=options.detach)
    spec = EchoSpec(
        name=options.name,
        tcp=options.tcp,
        udp=options.udp,
        sctp=options.sctp,
        http=options.http,
        bind=options.bind,
    )
    try:
        sockets = listen(spec)
    except OSError as error:
        print(f"echo {spec.name}: {error}", file=sys.stderr)
        return 1
    print("ready", flush=True)
    with suppress(KeyboardInterrupt):
        serve(spec, sockets)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fairlead.lab.echo", description=__doc__)
    parser.add_argument("--name", default=os.uname().nodename, help="who answers")
    for protocol in ("tcp", "udp", "sctp", "http"):
        parser.add_argument(
            f"--{protocol}", type=int, nargs="*", action="extend", default=[], metavar="PORT"
        )
    parser.add_argument("--bind", metavar="ADDRESS", help="listen on this address alone")
    parser.add_argument("--many", action="store_true", help="read servers from standard input")
    parser.add_argument("--detach", action="store_true", help="with --many: leave them running")
    return parser.parse_args(argv)


def _serve_many(entries: list[dict[str, Any]], *, detach: bool) -> int:
    parent = os.getpid()
    started: dict[str, int] = {}
    for entry in entries:
        path = Path(entry.pop("netns"))
        spec = EchoSpec(**entry)
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(readable)
            _child(spec, path, writable, parent=None if detach else parent)
        os.close(writable)
        with os.fdopen(readable) as pipe:
            verdict = pipe.read()
        if verdict != "ready":
            print(f"echo {spec.name}: {verdict or 'died while starting'}", file=sys.stderr)
            for other in started.values():
                os.kill(other, signal.SIGKILL)
            return 1
        started[spec.name] = pid
    print(json.dumps(started), flush=True)
    if not detach:
        _outlive_children()
    return 0


def _child(spec: EchoSpec, path: Path, writable: int, *, parent: int | None) -> NoReturn:
    """Become one server; never returns. Without a parent it is a session of its own."""
    if parent is None:
        os.setsid()
    else:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    _close_standard_streams()
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        netns.enter(handle)
        sockets = listen(spec)
    except (OSError, LabError) as error:
        os.write(writable, str(error).encode())
        os._exit(1)
    os.write(writable, b"ready")
    os.close(writable)
    with suppress(KeyboardInterrupt):
        serve(spec, sockets)
    os._exit(0)


def _close_standard_streams() -> None:
    """So that whoever reads the launcher's output sees its end; errors still go to its stderr."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    os.close(null)


def _outlive_children() -> None:
    """Collect the servers as they end; the launcher's own end is what ends the rest."""
    with suppress(ChildProcessError, KeyboardInterrupt):
        while True:
            os.wait()


if __name__ == "__main__":
    sys.exit(main())
