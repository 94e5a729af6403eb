"""Where the credentials of requests come from: a fixed text, a file that rotates, a plugin.

A kubelet rewrites a service account's token long before it expires, so its file is read again every
half minute and whenever the API server refuses the token. Exec plugins follow client-go's protocol
(``client.authentication.k8s.io``): what they print is kept until it expires. Nothing here is ever
shown: errors name files and commands, never what they hold.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from fairlead.sources.kube.errors import CredentialError

REREAD: Final = 30.0
"""Seconds after which a token file is read again."""
EARLY: Final = 10.0
"""Seconds before its expiry that a plugin's credential is replaced."""
SLOWEST: Final = 60.0
"""Seconds that a plugin may take."""
FOREVER: Final = float("inf")
PLUGIN_GROUP: Final = "client.authentication.k8s.io/"
PLUGIN_VERSIONS: Final = ("v1", "v1beta1", "v1alpha1")


class Credential(Struct, frozen=True):
    """What a request proves itself with. ``until``: when to ask again, by the monotonic clock.

    ``certificate``: PEM of a client certificate and its key, where a plugin gives one.
    """

    authorization: str = ""
    until: float = FOREVER
    certificate: bytes = b""

    def __repr__(self) -> str:
        return f"Credential(until={self.until})"  # the rest is secret


class Source(Protocol):
    """Gives the credential to use from now on. Raises :class:`CredentialError`."""

    renewable: bool
    """Whether asking again may give another one."""

    async def get(self) -> Credential:
        """The credential as it is now."""
        ...


class Fixed:
    """A credential that never changes."""

    renewable = False

    def __init__(self, authorization: str = "") -> None:
        self._credential = Credential(authorization)

    async def get(self) -> Credential:
        """Always the same."""
        return self._credential


def bearer(token: str) -> str:
    """The header of a bearer token (RFC 6750 §2.1)."""
    return f"Bearer {token}"


def basic(user: str, password: str) -> str:
    """The header of a user name and password (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class TokenFile:
    """A bearer token in a file that may be replaced at any time."""

    renewable = True

    def __init__(self, path: Path) -> None:
        self._path = path

    async def get(self) -> Credential:
        """What the file says now."""
        try:
            token = self._path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CredentialError(f"token file {self._path} cannot be read: {why}") from None
        if not token:
            raise CredentialError(f"token file {self._path} is empty")
        return Credential(bearer(token), monotonic() + REREAD)


class _ExecStatus(Struct, rename="camel"):
    token: str | None = None
    expiration_timestamp: datetime | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _ExecCredential(Struct, rename="camel"):
    api_version: str
    status: _ExecStatus | None = None


class Plugin:
    """A command that prints an ExecCredential. ``hint`` is added when it cannot be run."""

    renewable = True

    def __init__(
        self,
        command: Sequence[str],
        *,
        version: str,
        env: Mapping[str, str],
        cluster: Mapping[str, Any] | None = None,
        hint: str = "",
    ) -> None:
        spec: dict[str, Any] = {"interactive": False}
        if cluster is not None:
            spec["cluster"] = dict(cluster)
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
        self._command, self._version, self._hint = tuple(command), version, hint
        self._env = {**env, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}

    async def get(self) -> Credential:
        """Run the command."""
        output = await self._run()
        try:
            answer = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.MsgspecError as error:
            # msgspec says where and of which type, never what is there
            raise self._failed(f"printed no ExecCredential: {error}") from None
        status = answer.status
        if status is None or not (status.token or status.client_certificate_data):
            raise self._failed("printed neither a token nor a certificate")
        certificate = f"{status.client_certificate_data or ''}\n{status.client_key_data or ''}"
        return Credential(
            bearer(status.token) if status.token else "",
            _until(status.expiration_timestamp),
            certificate.encode() if status.client_certificate_data else b"",
        )

    async def _run(self) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, **self._env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise self._failed(f"cannot be run: {error.strerror}. {self._hint}".rstrip()) from None
        try:
            async with asyncio.timeout(SLOWEST):
                output, words = await process.communicate()
        except TimeoutError:
            raise self._failed(f"said nothing for {SLOWEST:.0f} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            said = words[-300:].decode(errors="replace").strip()
            raise self._failed(f"ended with {process.returncode}: {said}")
        return output

    def _failed(self, why: str) -> CredentialError:
        return CredentialError(f"credential plugin {self._command[0]} {why}")


def _until(expires: datetime | None) -> float:
    """When to run a plugin again. One that gives what has nearly expired is not run for every
    request."""
    if expires is None:
        return FOREVER
    if expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    left = (expires - datetime.now(UTC)).total_seconds()
    return monotonic() + max(left - EARLY, left / 2, 1.0)
