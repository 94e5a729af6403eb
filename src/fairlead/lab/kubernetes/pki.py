"""The certificates and keys of one control plane, made with OpenSSL and thrown away with it.

One authority signs the serving certificate and the client certificates; a Kubernetes user is the
common name of a client certificate and its groups are the organisations (X.509 authentication in
the Kubernetes documentation). Private keys are readable by their owner alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab.errors import LabError, LabUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Authority", "KeyPair"]

_EC_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_FOR: Final = ("-days", "365")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The files of a certificate (or public key) and of its private key, in PEM."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority in a directory; what is already there is used again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.pair: Final = self._files("ca")
        if not self.pair.certificate.exists():
            usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
            argv = ["req", "-x509", *_EC_KEY, *_FOR, "-subj", "/CN=fairlead-lab", "-addext", usage]
            _openssl(*argv, "-keyout", str(self.pair.key), "-out", str(self.pair.certificate))

    def serving(self, name: str, *, hosts: Sequence[str], addresses: Sequence[str]) -> KeyPair:
        """A certificate of a server that is reached under these host names and addresses."""
        names = [f"DNS:{host}" for host in hosts] + [f"IP:{address}" for address in addresses]
        return self._signed(
            name,
            f"/CN={_escaped(name)}",
            "extendedKeyUsage=serverAuth",
            f"subjectAltName={','.join(names)}",
        )

    def client(self, name: str, *, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A certificate that tells the API server that its holder is this user."""
        subject = "".join(f"/O={_escaped(group)}" for group in groups) + f"/CN={_escaped(user)}"
        return self._signed(name, subject, "extendedKeyUsage=clientAuth")

    def token_keys(self, name: str) -> KeyPair:
        """A key pair that signs and checks the tokens of service accounts; no certificate."""
        pair = self._files(name)
        if not pair.certificate.exists():
            curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
            _openssl("genpkey", *curve, "-out", str(pair.key))
            _openssl("pkey", "-in", str(pair.key), "-pubout", "-out", str(pair.certificate))
        return pair

    def _signed(self, name: str, subject: str, *extensions: str) -> KeyPair:
        pair = self._files(name)
        if not pair.certificate.exists():
            argv = ["req", "-x509", *_EC_KEY, *_FOR, "-subj", subject]
            argv += ["-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key)]
            for extension in ("basicConstraints=critical,CA:FALSE", *extensions):
                argv += ["-addext", extension]
            _openssl(*argv, "-keyout", str(pair.key), "-out", str(pair.certificate))
        return pair

    def _files(self, name: str) -> KeyPair:
        return KeyPair(self._directory / f"{name}.crt", self._directory / f"{name}.key")


def _escaped(value: str) -> str:
    """The value as OpenSSL's `-subj` takes it, where `/` separates and `\\` escapes."""
    return value.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


def _openssl(*arguments: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise LabUnavailable("the Kubernetes lab makes its certificates with openssl: install it")
    before = os.umask(0o077)
    try:
        done = subprocess.run([openssl, *arguments], capture_output=True, text=True, check=False)
    finally:
        os.umask(before)
    if done.returncode != 0:
        raise LabError(f"openssl {arguments[0]} failed: {' '.join(done.stderr.split())}")
