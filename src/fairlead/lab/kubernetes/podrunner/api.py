"""The little of the Kubernetes API that a runner speaks: objects, patches, one watch."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fairlead.lab.kubernetes.podrunner.config import Config

__all__ = ["UNREACHABLE", "Api", "ApiError", "Object"]

Object = dict[str, Any]

UNREACHABLE: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What a request raises when the API server does not answer."""

_MERGE: Final = "application/merge-patch+json"
_PATIENCE: Final = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=5)


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """A client with the certificate of its node. To be used as an async context manager."""

    def __init__(self, config: Config) -> None:
        context = ssl.create_default_context(cafile=config.ca)
        context.load_cert_chain(config.certificate, config.key)
        self._context = context
        self._url = config.url
        self._agent = f"fairlead-podrunner/{config.node}"

    async def __aenter__(self) -> Api:
        self._session = aiohttp.ClientSession(
            self._url,
            connector=aiohttp.TCPConnector(ssl=self._context, limit=32),
            headers={"User-Agent": self._agent},
            timeout=_PATIENCE,
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> Object:
        """Read an object or a list."""
        return await self._ask("GET", path, query=query)

    async def post(self, path: str, body: Mapping[str, Any]) -> Object:
        """Create an object."""
        return await self._ask("POST", path, body=body)

    async def merge(self, path: str, body: Mapping[str, Any]) -> Object:
        """Change an object by a JSON merge patch."""
        return await self._ask("PATCH", path, body=body, kind=_MERGE)

    async def delete(self, path: str, body: Mapping[str, Any]) -> Object:
        """Delete an object, with these options."""
        return await self._ask("DELETE", path, body=body)

    async def watch(self, path: str, *, seconds: int, **query: str) -> AsyncIterator[Object]:
        """The events of a list, until the server ends it after so many seconds."""
        query = {**query, "watch": "true", "timeoutSeconds": str(seconds)}
        patience = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=seconds + 5)
        async with self._session.get(path, params=query, timeout=patience) as response:
            await _check(response)
            buffer = b""
            async for chunk in response.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = "application/json",
    ) -> Object:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if data else None
        async with self._session.request(
            method, path, params=query, data=data, headers=headers
        ) as response:
            await _check(response)
            answer: Object = await response.json()
            return answer


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        text = await response.text()
        try:
            message = json.loads(text).get("message", text)
        except ValueError:
            message = text
        raise ApiError(response.status, message)
