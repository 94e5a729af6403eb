"""How requests to the Kubernetes API fail, as types.

The API server answers an error with a ``Status`` object; its words are kept, because they name the
verb, the resource and the user that RBAC refuses.
"""

import time
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

LONGEST: Final = 500
"""Characters of an answer that is no Status which are shown."""
PATIENCE: Final = 60.0
"""Seconds that a server may ask to wait; more is not believed."""


class ConfigError(Exception):
    """A kubeconfig or a service account that cannot be used. Names the file, never a secret."""


class Unreachable(Exception):
    """No answer came: a write may or may not have happened."""


class CredentialError(Unreachable):
    """A token or certificate could not be had just now, so no request was sent."""


class ApiError(Exception):
    """The API server answered with an error. ``retry_after``: seconds that it asks to wait, 0 when
    it does not."""

    def __init__(
        self, status: int, reason: str = "", message: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message or f"HTTP status {status}")
        self.status, self.reason, self.message = status, reason, message
        self.retry_after = retry_after

    @property
    def conflict(self) -> bool:
        """The object has changed since it was read, or exists already."""
        return self.status == 409

    @property
    def exists(self) -> bool:
        """What was to be created is there already."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def not_found(self) -> bool:
        """There is no such object, or no such kind."""
        return self.status == 404

    @property
    def gone(self) -> bool:
        """A resourceVersion is older than what the server remembers."""
        return self.status == 410 or self.reason in ("Expired", "Gone")

    @property
    def forbidden(self) -> bool:
        """RBAC says no; the message names verb, resource and user."""
        return self.status == 403

    @property
    def too_many(self) -> bool:
        """The server asks for patience."""
        return self.status == 429

    @property
    def passing(self) -> bool:
        """Whether it says nothing about this request: too many of them, or a server in trouble."""
        return self.status == 429 or self.status >= 500


class _Details(msgspec.Struct, rename="camel", gc=False):
    retry_after_seconds: float | None = None


class Status(msgspec.Struct, rename="camel", gc=False):
    """meta/v1 Status, as far as it matters here."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None
    details: _Details | None = None

    def error(self, code: int = 0, retry_after: float = 0.0) -> ApiError:
        """As an exception; ``code`` and ``retry_after`` as the HTTP answer had them."""
        asked = (self.details.retry_after_seconds if self.details else None) or 0.0
        pause = min(retry_after or asked, PATIENCE)
        return ApiError(code or self.code or 500, self.reason or "", self.message or "", pause)


_STATUS: Final = msgspec.json.Decoder(Status)


def error_of(code: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """The error in an HTTP answer. ``retry_after``: the header of that name."""
    pause = seconds_of(retry_after) if retry_after else 0.0
    try:
        return _STATUS.decode(body).error(code, pause)
    except msgspec.MsgspecError:  # no Status: a proxy or a handler outside the API speaks
        text = body[:LONGEST].decode(errors="replace").strip()
        return ApiError(code, "", text, min(pause, PATIENCE))


def seconds_of(retry_after: str) -> float:
    """A ``Retry-After`` in seconds (RFC 9110 §10.2.3: a number or a date); 0 for nonsense."""
    if retry_after.isdecimal():
        return float(retry_after[:6])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0
