"""Who may speak to an API server as whom: the admin's token, certificates, service accounts."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import secrets
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fairlead.lab.kubernetes.kubeconfig import (
    certificate_user,
    token_user,
    write_kubeconfig,
    write_private,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fairlead.lab.kubernetes.pki import Authority, KeyPair

__all__ = ["Access"]


class Access:
    """The kubeconfigs of one cluster, in one directory. `tokens` is for the API server alone."""

    def __init__(self, directory: Path, *, url: str, authority: Authority) -> None:
        self._directory = directory
        self._authority = authority
        self._url = url
        self.ca: Final = authority.pair.certificate
        self.tokens: Final = directory / "tokens.csv"
        self._token = self._admin_token()
        self.admin: Final = self._write("admin", token_user(self._token))

    def for_user(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a client certificate of this user."""
        user_entry = certificate_user(self.certificate_for(user, groups))
        return self._write(_file_name(user, groups), user_entry)

    def certificate_for(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A client certificate of this user."""
        return self._authority.client(_file_name(user, groups), user=user, groups=groups)

    def for_service_account(self, namespace: str, name: str, *, token: str) -> Path:
        """A kubeconfig with a token of this service account."""
        return self._write(f"account-{namespace}-{name}", token_user(token), namespace=namespace)

    def get(self, path: str, *, timeout: float = 5.0) -> tuple[int, bytes]:
        """Ask the API server as the admin, on the namespace of the calling thread.

        Returns the status and the body. Raises OSError or http.client.HTTPException while nobody
        answers.
        """
        where = urlsplit(self._url)
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, timeout=timeout, context=context
        )
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _admin_token(self) -> str:
        if self.tokens.exists():
            return self.tokens.read_text().partition(",")[0]
        token = secrets.token_hex(20)
        write_private(self.tokens, f"{token},admin,admin,system:masters\n")
        return token

    def _write(self, name: str, user: dict[str, str], *, namespace: str = "default") -> Path:
        path = self._directory / f"{name}.kubeconfig"
        return write_kubeconfig(path, url=self._url, ca=self.ca, user=user, namespace=namespace)


def _file_name(user: str, groups: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps([user, *groups]).encode()).hexdigest()[:8]
    return f"user-{re.sub(r'[^a-zA-Z0-9.-]', '-', user)}-{digest}"
