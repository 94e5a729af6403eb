"""Kubeconfig files of one cluster. They are JSON, which every reader of YAML reads too.

A file may hold a token or a key, so only its owner may read it.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.lab.kubernetes.pki import KeyPair

__all__ = ["certificate_user", "token_user", "write_kubeconfig", "write_private"]


def token_user(token: str) -> dict[str, Any]:
    """The `user` of a kubeconfig who shows a bearer token."""
    return {"token": token}


def certificate_user(pair: KeyPair) -> dict[str, Any]:
    """The `user` of a kubeconfig who shows a client certificate."""
    return {
        "client-certificate-data": b64encode(pair.certificate.read_bytes()).decode(),
        "client-key-data": b64encode(pair.key.read_bytes()).decode(),
    }


def write_kubeconfig(
    path: Path, *, url: str, ca: Path, user: dict[str, Any], namespace: str = "default"
) -> Path:
    """Write a kubeconfig with one cluster, one user and one context, all called `lab`."""
    cluster = {
        "server": url,
        "certificate-authority-data": b64encode(ca.read_bytes()).decode(),
    }
    context = {"cluster": "lab", "user": "lab", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "lab", "user": user}],
        "contexts": [{"name": "lab", "context": context}],
        "current-context": "lab",
    }
    write_private(path, json.dumps(config, indent=1))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that was never readable by anybody else, not even for an instant."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    draft.rename(path)
