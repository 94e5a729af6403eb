"""The one way in which the controller writes."""

from typing import Protocol

from fairlead.sources.kube.client import APPLY, JSON, MERGE
from fairlead.sources.kube.errors import ApiError, Unreachable

__all__ = ["APPLY", "JSON", "MERGE", "Api", "ApiError", "Unreachable"]


class Api(Protocol):
    """Sends one request and returns the body of the answer.

    Raises :class:`ApiError` and :class:`Unreachable`.
    """

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, content_type: str = JSON
    ) -> bytes:
        """``path`` with its query; ``body`` is JSON already."""
        ...
