"""The volumes of a pod as directories of the machine, ready to be mounted into its containers.

Volumes hold what their sources held when the pod started; only tokens are renewed. A `hostPath`
that asks to be created is one directory for each node, so that two nodes of the lab do not share
what two machines would not; any other `hostPath` is the machine's.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.lab.kubernetes.podrunner.api import ApiError
from fairlead.lab.kubernetes.podrunner.environment import Missing, decoded, field_value
from fairlead.lab.kubernetes.podrunner.images import is_echo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.lab.kubernetes.podrunner.api import Api

__all__ = ["Volumes"]

_GONE: Final = 404
_FILE: Final = 0o644


class Volumes:
    """The volumes of one pod, below `home`; `shared` is the node's directory for hostPath."""

    def __init__(self, api: Api, pod: Mapping[str, Any], *, home: Path, shared: Path) -> None:
        self._api = api
        self._pod = pod
        self._home = home
        self._shared = shared
        self._paths: dict[str, Path] = {}
        self._tokens: list[tuple[Path, Mapping[str, Any], float]] = []

    async def prepare(self) -> None:
        """Make them all. Raises Missing, ApiError, and what an unreachable API server raises."""
        spec = self._pod["spec"]
        unread = all(map(is_echo, [*spec["containers"], *spec.get("initContainers", ())]))
        for volume in spec.get("volumes") or ():
            if not (unread and "projected" in volume):  # every pod has one, with a token
                self._paths[volume["name"]] = await self._make(volume)

    def mounts(self, container: Mapping[str, Any]) -> tuple[tuple[str, str, bool], ...]:
        """The mounts of a container: source, target, read-only."""
        return tuple(
            (
                str(self._paths[mount["name"]] / mount.get("subPath", "")),
                mount["mountPath"],
                bool(mount.get("readOnly")),
            )
            for mount in container.get("volumeMounts") or ()
        )

    async def renew_tokens(self) -> None:
        """Renew the tokens for ever, each when four fifths of its life are over."""
        while self._tokens:
            await asyncio.sleep(min(life for _, _, life in self._tokens) * 0.8)
            for path, source, _ in list(self._tokens):
                try:
                    await self._write_token(path, source)
                except (ApiError, OSError):
                    await asyncio.sleep(1)  # the API server is away; the old one is good for long

    async def read(self, kind: str, name: str) -> dict[str, bytes] | None:
        """The data of a ConfigMap or Secret of the pod's namespace, None when it is not there."""
        namespace = self._pod["metadata"]["namespace"]
        try:
            return decoded(await self._api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}"))
        except ApiError as error:
            if error.status != _GONE:
                raise
            return None

    def remove(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self._home, ignore_errors=True)

    async def _make(self, volume: Mapping[str, Any]) -> Path:
        if "hostPath" in volume:
            return self._host_path(volume["hostPath"])
        path = self._directory(volume["name"], mode=0o777 if "emptyDir" in volume else 0o755)
        match volume:
            case {"emptyDir": _}:
                return path
            case {"projected": {"sources": sources}}:
                for source in sources:
                    await self._project(path, source)
            case {"configMap": source}:
                await self._project(path, {"configMap": source})
            case {"secret": source}:
                await self._project(path, {"secret": {"name": source["secretName"], **source}})
            case {"downwardAPI": source}:
                await self._project(path, {"downwardAPI": source})
            case _:
                kinds = ", ".join(key for key in volume if key != "name")
                raise Missing(f"the lab has no volumes of kind {kinds}")
        return path

    def _directory(self, name: str, *, mode: int) -> Path:
        path: Path = self._home / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        return path

    def _host_path(self, source: Mapping[str, Any]) -> Path:
        path: Path = Path(source["path"])
        match source.get("type"):
            case "DirectoryOrCreate":
                path = self._shared / path.relative_to("/")
                path.mkdir(parents=True, exist_ok=True)
            case "FileOrCreate":
                path = self._shared / path.relative_to("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            case _ if not path.exists():
                raise Missing(f"hostPath {path} is not there")
        return path

    async def _project(self, path: Path, source: Mapping[str, Any]) -> None:
        match source:
            case {"serviceAccountToken": token}:
                life = await self._write_token(path / token["path"], token)
                self._tokens.append((path / token["path"], token, life))
            case {"configMap": reference}:
                await self._write_data(path, "configmaps", reference)
            case {"secret": reference}:
                await self._write_data(path, "secrets", reference)
            case {"downwardAPI": {"items": items}}:
                for item in items:
                    value = field_value(self._pod, item["fieldRef"]["fieldPath"])
                    _write(path / item["path"], value.encode(), _FILE)
            case _:
                raise Missing(f"the lab cannot project {', '.join(source)}")

    async def _write_data(self, path: Path, kind: str, source: Mapping[str, Any]) -> None:
        data = await self.read(kind, source["name"])
        if data is None and not source.get("optional"):
            raise Missing(f"{kind} {source['name']} is not there")
        items = source.get("items") or [{"key": key, "path": key} for key in data or {}]
        for item in items:
            if item["key"] not in (data or {}):
                if source.get("optional"):
                    continue
                raise Missing(f"{kind} {source['name']} has no key {item['key']}")
            mode = item.get("mode") or source.get("defaultMode") or _FILE
            _write(path / item["path"], (data or {})[item["key"]], mode)

    async def _write_token(self, path: Path, source: Mapping[str, Any]) -> float:
        """Get a token and write it; return how long it is good for, in seconds."""
        pod = self._pod["metadata"]
        account = self._pod["spec"].get("serviceAccountName", "default")
        reference = {"kind": "Pod", "apiVersion": "v1", "name": pod["name"], "uid": pod["uid"]}
        life = source.get("expirationSeconds", 3600)
        spec = {"expirationSeconds": life, "boundObjectRef": reference}
        if audience := source.get("audience"):
            spec["audiences"] = [audience]
        answer = await self._api.post(
            f"/api/v1/namespaces/{pod['namespace']}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        _write(path, answer["status"]["token"].encode(), _FILE)
        return float(life)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file so that a reader sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(data)
    draft.chmod(mode)
    draft.rename(path)
