"""The gate that every write passes: only who leads, and by the decision that is in force."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from fairlead.runtime.controller.api import JSON, Api


class NotLeader(Exception):
    """Another replica may write by now, so this one must not."""


class Later(Exception):
    """Something else has to be written first."""


class _Meta(Struct, rename="camel"):
    resource_version: str


class _Answer(Struct):
    metadata: _Meta


_ANSWER = msgspec.json.Decoder(_Answer)


def version_in(answer: bytes) -> str:
    """The resourceVersion of an answer."""
    return _ANSWER.decode(answer).metadata.resource_version


class Writer:
    """Sends requests for as long as ``may_write`` says so, which is asked before each. ``sent``:
    how many so far."""

    def __init__(self, api: Api, may_write: Callable[[], bool]) -> None:
        self.sent = 0
        self._api, self._may_write = api, may_write

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, content_type: str = JSON
    ) -> bytes:
        """One request. Raises :class:`NotLeader`, and what :class:`Api` raises."""
        if not self._may_write():
            raise NotLeader
        self.sent += 1
        return await self._api.send(method, path, body, content_type=content_type)
