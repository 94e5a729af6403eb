"""What a process says of itself over HTTP: /healthz, /readyz and /metrics.

/healthz answers while the event loop turns; a loop that hangs answers nobody, and the kubelet
restarts the pod. /readyz says 503 with every reason there is. Both speak plain text to people and
JSON to whoever asks for it. Nothing here takes input but the path.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

CLOSING = 0.2
"""Seconds that a request under way gets when the process stops."""
JSON = "application/json"


class Check(NamedTuple):
    """One thing that was looked at. ``why`` says more, also when all is well."""

    name: str
    ok: bool
    why: str = ""


Checks = Callable[[], Sequence[Check]]


class Listen(NamedTuple):
    """Where to listen; an empty address is every one of this host, of both families."""

    address: str
    port: int


def listen_of(text: str) -> Listen:
    """``ADDRESS:PORT``, ``[ADDRESS]:PORT`` or ``:PORT``. Raises ValueError."""
    address, colon, port = text.rpartition(":")
    bracketed = address.startswith("[") and address.endswith("]")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in address and not bracketed):
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    return Listen(address.strip("[]"), int(port))


class ListenError(Exception):
    """The address cannot be listened at; the message says which and why."""


class _Answer(msgspec.Struct):
    ok: bool
    checks: list[dict[str, str | bool]]


@asynccontextmanager
async def probes(
    listen: Listen, registry: CollectorRegistry, *, live: Checks, ready: Checks
) -> AsyncIterator[Listen]:
    """Answer during the block; gives the address and port that are bound. Raises
    :class:`ListenError`."""

    async def healthz(request: web.Request) -> web.Response:
        return _told(request, live())

    async def readyz(request: web.Request) -> web.Response:
        return _told(request, ready())

    async def metrics(request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": kind})

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/livez", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSING)
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.address or None, listen.port)
        try:
            await site.start()
        except OSError as error:
            where = f"{listen.address or 'every address'}, port {listen.port}"
            raise ListenError(f"cannot listen at {where}: {error.strerror or error}") from None
        yield Listen(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


def _told(request: web.Request, checks: Sequence[Check]) -> web.Response:
    ok = all(check.ok for check in checks)
    status = 200 if ok else 503
    if JSON in request.headers.get("Accept", ""):
        body = msgspec.json.encode(_Answer(ok, [check._asdict() for check in checks]))
        return web.Response(body=body, status=status, content_type=JSON)
    lines = [f"[{'+' if c.ok else '-'}] {c.name}{f': {c.why}' if c.why else ''}" for c in checks]
    return web.Response(text="\n".join(["ok" if ok else "not ready", *lines]) + "\n", status=status)
