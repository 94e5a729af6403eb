"""`kubectl logs`: the one question of a kubelet's own API that a runner answers.

The API server asks `GET /containerLogs/NAMESPACE/POD/CONTAINER` on port 10250 with its client
certificate; nobody else gets an answer.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final

from aiohttp import web

from fairlead.lab.kubernetes.podrunner.logs import LogOptions, read_log, shown
from fairlead.lab.kubernetes.podrunner.names import KUBELET_CLIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead.lab.kubernetes.podrunner.config import Config
    from fairlead.lab.kubernetes.podrunner.container import Container

__all__ = ["serve_logs"]

_PORT: Final = 10250
_PAUSE: Final = 0.1


async def serve_logs(config: Config, find: Callable[[str, str, str], Container | None]) -> None:
    """Serve for ever. `find(namespace, pod, container)` is the container, None when there is
    none."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if _asker(request) != KUBELET_CLIENT:
            raise web.HTTPForbidden
        where = request.match_info
        container = find(where["namespace"], where["pod"], where["container"])
        if container is None:
            raise web.HTTPNotFound(text=f"no container {where['container']} here")
        return await _answer(request, container, LogOptions.of(request.query))

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, port=_PORT, ssl_context=_context(config))
    await site.start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _answer(
    request: web.Request, container: Container, options: LogOptions
) -> web.StreamResponse:
    path = container.previous_log if options.previous else container.log
    data, end = read_log(path, options)
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    await response.prepare(request)
    await response.write(data)
    while options.follow and not options.previous and container.log == path:
        if not container.state.running:
            break
        await asyncio.sleep(_PAUSE)
        with path.open("rb") as file:
            file.seek(end)
            lines = file.read().splitlines(keepends=True)
        end += sum(map(len, lines))
        await response.write(b"".join(shown(line, options) for line in lines))
    await response.write_eof()
    return response


def _asker(request: web.Request) -> str:
    """The common name of the client's certificate."""
    certificate = request.get_extra_info("peercert") or {}
    names = (entry for part in certificate.get("subject", ()) for entry in part)
    return next((value for key, value in names if key == "commonName"), "")


def _context(config: Config) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=config.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(config.serving_certificate, config.serving_key)
    return context
