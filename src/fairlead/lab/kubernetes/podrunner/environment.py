"""The environment of a container and the expansion of `$(NAME)` in its command line.

As the Pod API defines it (`EnvVar`, `EnvVarSource`, `Container.command`); resources are not limited
here, so `resourceFieldRef` is refused, like a reference to something that is not there.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["Missing", "container_env", "decoded", "expand", "field_value"]

_REFERENCE: Final = re.compile(r"\$(?:\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_KEYED: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class Missing(Exception):
    """Something a container needs is not there (yet)."""


async def container_env(
    container: Mapping[str, Any],
    pod: Mapping[str, Any],
    *,
    base: Mapping[str, str],
    read: Callable[[str, str], Awaitable[Mapping[str, bytes] | None]],
) -> dict[str, str]:
    """The variables of a container, over `base`. `read(kind, name)` gives the data of a ConfigMap
    or Secret of the pod's namespace, or None. Raises Missing."""
    env = dict(base)
    for source in container.get("envFrom") or ():
        for kind, reference in _sources(source):
            data = await _data(read, kind, reference)
            prefix = source.get("prefix", "")
            env.update({prefix + key: value.decode() for key, value in data.items()})
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            env[entry["name"]] = expand(entry.get("value", ""), env)
            continue
        value = await _value_from(entry["valueFrom"], pod, read)
        if value is not None:
            env[entry["name"]] = value
    return env


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` that is set; `$$` is one `$`."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else env.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def field_value(pod: Mapping[str, Any], path: str) -> str:
    """A field of the pod as the downward API gives it. Raises Missing for one it does not have."""
    if found := _KEYED.fullmatch(path):
        return str((pod["metadata"].get(found[1]) or {}).get(found[2], ""))
    status, metadata = pod.get("status", {}), pod["metadata"]
    match path:
        case "metadata.name" | "metadata.namespace" | "metadata.uid":
            return str(metadata[path.removeprefix("metadata.")])
        case "metadata.labels" | "metadata.annotations":
            pairs = metadata.get(path.removeprefix("metadata.")) or {}
            return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
        case "spec.nodeName" | "spec.serviceAccountName":
            return str(pod["spec"].get(path.removeprefix("spec."), ""))
        case "status.podIP" | "status.hostIP":
            return str(status.get(path.removeprefix("status."), ""))
        case "status.podIPs" | "status.hostIPs":
            return ",".join(entry["ip"] for entry in status.get(path.removeprefix("status."), ()))
    raise Missing(f"the lab has no field {path}")


def decoded(source: Mapping[str, Any]) -> dict[str, bytes]:
    """The data of a ConfigMap or Secret."""
    encoded = {**(source.get("binaryData") or {})}
    plain = source.get("data") or {}
    if source.get("kind") == "Secret":
        encoded, plain = plain, {}
    return {
        **{key: text.encode() for key, text in plain.items()},
        **{key: b64decode(text) for key, text in encoded.items()},
    }


def _sources(source: Mapping[str, Any]) -> Sequence[tuple[str, Mapping[str, Any]]]:
    kinds = {"configMapRef": "configmaps", "secretRef": "secrets"}
    return [(kind, source[field]) for field, kind in kinds.items() if field in source]


async def _value_from(
    source: Mapping[str, Any],
    pod: Mapping[str, Any],
    read: Callable[[str, str], Awaitable[Mapping[str, bytes] | None]],
) -> str | None:
    match source:
        case {"fieldRef": {"fieldPath": path}}:
            return field_value(pod, path)
        case {"configMapKeyRef": reference}:
            kind = "configmaps"
        case {"secretKeyRef": reference}:
            kind = "secrets"
        case _:
            raise Missing(f"the lab cannot give a value from {', '.join(source)}")
    data = await _data(read, kind, reference)
    if reference["key"] in data:
        return data[reference["key"]].decode()
    if reference.get("optional"):
        return None
    raise Missing(f"{kind} {reference['name']} has no key {reference['key']}")


async def _data(
    read: Callable[[str, str], Awaitable[Mapping[str, bytes] | None]],
    kind: str,
    reference: Mapping[str, Any],
) -> Mapping[str, bytes]:
    data = await read(kind, reference["name"])
    if data is None and not reference.get("optional"):
        raise Missing(f"{kind} {reference['name']} is not there")
    return data or {}
