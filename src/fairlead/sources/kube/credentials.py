"""From a kubeconfig or a service account to an :class:`Access`.

lightkube reads kubeconfigs and the files that a pod finds; what it does not model (``proxy-url``,
``tls-server-name``, several files in ``KUBECONFIG``) is taken from the same document. The order of
looking is kubectl's, but for a pod's service account, which comes before ``~/.kube/config``.
"""

import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import Cluster, User, UserExec
from lightkube.core.exceptions import ConfigError as Unusable

from fairlead.sources.kube.access import Access, Endpoint
from fairlead.sources.kube.certificates import CertificateFiles
from fairlead.sources.kube.errors import ConfigError
from fairlead.sources.kube.tls import decoded, load_pem, make_context
from fairlead.sources.kube.tokens import (
    PLUGIN_GROUP,
    PLUGIN_VERSIONS,
    Fixed,
    Plugin,
    Source,
    TokenFile,
    basic,
    bearer,
)

DEFAULT_FILE: Final = Path("~/.kube/config")
IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"
PATHS: Final = (
    ("clusters", "cluster", ("certificate-authority",)),
    ("users", "user", ("client-certificate", "client-key", "tokenFile")),
)
"""Fields that name files, which are relative to the kubeconfig that they are in."""


def find_access(path: str | Path | None = None, *, context: str | None = None) -> Access:
    """The API server that this process is meant to speak to.

    ``path``, else ``KUBECONFIG``, else the service account of the pod this runs in, else
    ``~/.kube/config``. Raises :class:`ConfigError`.
    """
    if path is not None:
        return kubeconfig_access([path], context=context)
    if listed := [entry for entry in os.environ.get("KUBECONFIG", "").split(os.pathsep) if entry]:
        return kubeconfig_access(listed, context=context)
    if context is None and IN_CLUSTER in os.environ:
        return in_cluster()
    return kubeconfig_access([DEFAULT_FILE], context=context)


def in_cluster(account: str | Path = SERVICE_ACCOUNT) -> Access:
    """The API server of the cluster this pod runs in, as its service account."""
    try:
        config = KubeConfig.from_service_account(account).get()
    except Unusable as error:
        raise ConfigError(f"no service account here: {error}") from None
    except KeyError as error:
        raise ConfigError(f"the environment has no {error.args[0]}: is this a pod?") from None
    if config is None:  # lightkube always sets a current context here
        raise ConfigError(f"the service account in {account} cannot be used")
    return _access(config, {}, {})


def kubeconfig_access(paths: Sequence[str | Path], *, context: str | None = None) -> Access:
    """The API server of a context (the current one) of some kubeconfig files, merged as kubectl
    does: the first that names something wins."""
    documents = [_document(Path(path).expanduser()) for path in paths]
    merged = _merged([document for document in documents if document is not None])
    named = ", ".join(map(str, paths))
    if merged is None:
        raise ConfigError(f"there is no kubeconfig: {named}")
    try:
        config = KubeConfig.from_dict(merged, fname=Path(paths[0]).expanduser()).get(context)
    except (Unusable, msgspec.ValidationError) as error:
        raise ConfigError(f"kubeconfig {named}: {error}") from None
    except KeyError as error:
        raise ConfigError(f"kubeconfig {named}: there is no {error.args[0]!r}") from None
    except (TypeError, AttributeError):
        raise ConfigError(f"kubeconfig {named} is not built as one") from None
    if config is None:  # get() without a default raises instead
        raise ConfigError(f"kubeconfig {named} names no context")
    return _access(
        config,
        _entry(merged, "clusters", "cluster", config.context.cluster),
        _entry(merged, "users", "user", config.context.user or ""),
    )


def _document(path: Path) -> dict[str, Any] | None:
    """A kubeconfig with absolute paths in it; None where there is no file."""
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"kubeconfig {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:  # its own words would show the lines around
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"kubeconfig {path}{line}: this is not YAML") from None
    if not isinstance(data, dict):
        raise ConfigError(f"kubeconfig {path} is not built as one")
    for section, part, fields in PATHS:
        for entry in _dicts(data.get(section)):
            _make_absolute(entry.get(part), fields, path.parent)
    for entry in _dicts(data.get("users")):
        _make_absolute_command(entry.get("user"), path.parent)
    return data


def _dicts(entries: object) -> list[dict[str, Any]]:
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _make_absolute(part: object, fields: Sequence[str], folder: Path) -> None:
    if isinstance(part, dict):
        for field in fields:
            if isinstance(value := part.get(field), str) and value:
                part[field] = str(folder / value)


def _make_absolute_command(user: object, folder: Path) -> None:
    """A plugin with a slash in its name is relative to the kubeconfig; others are looked up."""
    run = user.get("exec") if isinstance(user, dict) else None
    if isinstance(run, dict) and isinstance(name := run.get("command"), str) and "/" in name:
        run["command"] = str(folder / name)


def _merged(documents: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not documents:
        return None
    merged: dict[str, Any] = {"clusters": [], "users": [], "contexts": []}
    for document in documents:
        merged["current-context"] = merged.get("current-context") or document.get("current-context")
        for section in ("clusters", "users", "contexts"):
            known = {entry.get("name") for entry in merged[section]}
            fresh = [e for e in _dicts(document.get(section)) if e.get("name") not in known]
            merged[section] += fresh
    return merged


def _entry(merged: Mapping[str, Any], section: str, part: str, name: str) -> Mapping[str, Any]:
    found = next((e.get(part) for e in merged[section] if e.get("name") == name), None)
    return found if isinstance(found, dict) else {}


def _access(config: SingleConfig, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Access:
    """``cluster`` and ``user``: the entries as written, for what lightkube does not know."""
    known = config.user or User()
    url = config.cluster.server.rstrip("/")
    tls = _tls(config.cluster) if url.startswith("https://") else None
    source = _source(known, user, cluster)
    endpoint = Endpoint(
        url=url,
        tls=tls,
        server_name=str(cluster.get("tls-server-name") or ""),
        proxy=_proxy(cluster),
        namespace=config.namespace.strip(),
    )
    return Access(endpoint, _with_certificate(tls, known, source) if tls else source)


def _tls(cluster: Cluster) -> ssl.SSLContext:
    return make_context(
        ca_file=Path(cluster.certificate_auth) if cluster.certificate_auth else None,
        ca_data=cluster.certificate_auth_data or "",
        insecure=cluster.insecure,
    )


def _with_certificate(tls: ssl.SSLContext, user: User, source: Source) -> Source:
    """Show the user's certificate, and keep showing the newest where it is in files."""
    data, file = user.client_cert_data, user.client_cert
    if not (data or file):
        return source
    if not (user.client_key_data or user.client_key):
        raise ConfigError("a client certificate without its key")
    if file and user.client_key and not (data or user.client_key_data):
        return CertificateFiles(tls, Path(file), Path(user.client_key), token=source)
    certificate = _pem(data, file, "client-certificate")
    load_pem(tls, certificate + b"\n" + _pem(user.client_key_data, user.client_key, "client-key"))
    return source


def _pem(data: str | None, file: str | None, field: str) -> bytes:
    if data:
        return decoded(data, f"{field}-data")
    try:
        return Path(file or "").read_bytes()
    except OSError as error:
        raise ConfigError(f"{field} {file}: {error.strerror}") from None


def _proxy(cluster: Mapping[str, Any]) -> str:
    proxy = str(cluster.get("proxy-url") or "")
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ConfigError("proxy-url: only HTTP proxies are supported")
    return proxy


def _source(user: User, entry: Mapping[str, Any], cluster: Mapping[str, Any]) -> Source:
    if user.token_file:
        return TokenFile(Path(user.token_file))
    if user.token:
        return Fixed(bearer(user.token.strip()))
    if user.exec is not None:
        return _plugin(user.exec, entry.get("exec") or {}, cluster)
    if user.username:
        return Fixed(basic(user.username, user.password or ""))
    if user.auth_provider:
        raise ConfigError("auth-provider is gone from Kubernetes; use an exec plugin")
    return Fixed()


def _plugin(run: UserExec, entry: Mapping[str, Any], cluster: Mapping[str, Any]) -> Plugin:
    if run.apiVersion not in {PLUGIN_GROUP + version for version in PLUGIN_VERSIONS}:
        raise ConfigError(
            f"exec plugin {run.command}: apiVersion {run.apiVersion} is not supported"
        )
    if entry.get("interactiveMode") == "Always":
        raise ConfigError(f"exec plugin {run.command} needs a terminal")
    told = cluster if entry.get("provideClusterInfo") else None
    return Plugin(
        [run.command, *(run.args or ())],
        version=run.apiVersion,
        env={pair.name: pair.value for pair in run.env or ()},
        cluster=told,
        hint=run.installHint or "",
    )
