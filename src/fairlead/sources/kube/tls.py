"""The TLS side of a kubeconfig: whom to believe, and what to show.

Verification is off only where the kubeconfig says so. Python 3.13 began to refuse certificates that
Go, and so every Kubernetes tool, accepts (an authority without a key identifier): that strictness
is turned off, the verification is not. Keys that come as text never touch a disk.
"""

import os
import ssl
from base64 import b64decode
from binascii import Error as NotBase64
from pathlib import Path

from fairlead.sources.kube.errors import ConfigError


def make_context(*, ca_file: Path | None, ca_data: str, insecure: bool) -> ssl.SSLContext:
    """A context that believes this authority, or those of the system where there is none.

    ``ca_data``: base64 of PEM, as in a kubeconfig; it wins over a file, as in client-go.
    """
    if insecure:
        if ca_file or ca_data:
            raise ConfigError("insecure-skip-tls-verify and a certificate authority: choose one")
        return _unverified()
    try:
        if ca_data:
            text = decoded(ca_data, "certificate-authority-data").decode()
            context = ssl.create_default_context(cadata=text)
        else:
            context = ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError, ValueError) as error:
        where = "certificate-authority-data" if ca_data else ca_file
        raise ConfigError(f"{where} cannot be used: {_why(error)}") from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def load_files(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Show this certificate to the server, from the next connection on."""
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(f"client certificate {certificate}: {_why(error)}") from None


def load_pem(context: ssl.SSLContext, pem: bytes) -> None:
    """The same for a certificate and its key as text, by way of a file that has no name."""
    descriptor = os.memfd_create("client-certificate")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(f"client certificate cannot be used: {_why(error)}") from None
    finally:
        os.close(descriptor)


def decoded(data: str, field: str) -> bytes:
    """The bytes behind base64 text of a kubeconfig."""
    try:
        return b64decode(data, validate=False)
    except (NotBase64, ValueError):
        raise ConfigError(f"{field} is not base64") from None


def _no_password() -> str:
    raise ValueError("its key is encrypted")


def _why(error: Exception) -> str:
    match error:
        case ssl.SSLError(reason=str(reason)):
            return reason.replace("_", " ").lower()
        case OSError(strerror=str(text)):
            return text
    return str(error)
