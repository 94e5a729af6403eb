"""Client certificates in files, which kubelets and cert-manager replace while we run.

They are looked at as often as a token file is; a new one is shown from the next connection on. One
that cannot be read while it is being replaced leaves the one before in use.
"""

import os
import ssl
from pathlib import Path
from time import monotonic

from msgspec.structs import replace

from fairlead.sources.kube.errors import ConfigError
from fairlead.sources.kube.tls import load_files
from fairlead.sources.kube.tokens import REREAD, Credential, Source


class CertificateFiles:
    """A certificate and its key in two files, beside the token of another source.

    Raises :class:`ConfigError` when they cannot be used at the start.
    """

    renewable = True

    def __init__(
        self, context: ssl.SSLContext, certificate: Path, key: Path, *, token: Source
    ) -> None:
        self._context, self._certificate, self._key = context, certificate, key
        self._token = token
        load_files(context, certificate, key)
        self._seen = self._signature()

    async def get(self) -> Credential:
        """The token of the other source, with the files looked at again."""
        found = await self._token.get()
        seen = self._signature()
        if seen and seen != self._seen:
            try:
                load_files(self._context, self._certificate, self._key)
            except ConfigError:
                seen = self._seen  # half replaced: the next look finds the rest
            self._seen = seen
        return replace(found, until=min(found.until, monotonic() + REREAD))

    def _signature(self) -> tuple[int, ...]:
        try:
            looks = [os.stat(path) for path in (self._certificate, self._key)]
        except OSError:
            return ()
        return tuple(value for look in looks for value in (look.st_ino, look.st_mtime_ns))
