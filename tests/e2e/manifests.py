"""Objects as the tests write them, and the folder they are written to.

Builders return plain dictionaries in the words of the API and fill in nothing that a person would
not write; `Folder.put` turns them into a YAML file.
"""

from pathlib import Path
from typing import Any

import yaml

from fairlead.lab import Host

Manifest = dict[str, Any]
SHARED = "ako.vmware.com/enable-shared-vip"
IGNORE = "kube-vip.io/ignore"


def pool(name: str, *addresses: str, annotations: dict[str, str] | None = None) -> Manifest:
    """An AddressPool."""
    meta: Manifest = {"name": name}
    if annotations:
        meta["annotations"] = annotations
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "AddressPool",
        "metadata": meta,
        "spec": {"addresses": list(addresses)},
    }


def port(number: int, protocol: str = "TCP", target: int = 8080, **more: Any) -> Manifest:
    """A Service port; with `name="http"` or `nodePort=30080` besides."""
    return {"port": number, "protocol": protocol, "targetPort": target, **more}


def service(
    name: str,
    *ports: Manifest,
    app: str = "",
    namespace: str = "default",
    annotations: dict[str, str] | None = None,
    key: str = "",
    **spec: Any,
) -> Manifest:
    """A Service of type LoadBalancer. `app`: the pods it selects; `key`: AKO's sharing key."""
    meta: Manifest = {"name": name, "namespace": namespace}
    notes = {**(annotations or {}), **({SHARED: key} if key else {})}
    if notes:
        meta["annotations"] = notes
    selector = {"selector": {"app": app}} if app else {}
    fields = {"type": "LoadBalancer", "ports": list(ports), **selector, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": fields}


def pod(
    host: Host, app: str, *, node: str = "", annotations: dict[str, str] | None = None
) -> Manifest:
    """A Ready pod with the addresses of a host of the lab, labelled `app`."""
    addresses = [{"ip": str(one.ip)} for one in host.spec.pods]
    meta: Manifest = {"name": host.name, "namespace": "default", "labels": {"app": app}}
    if annotations:
        meta["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"nodeName": node, "containers": [{"name": "server"}]},
        "status": {
            "phase": "Running",
            "podIP": addresses[0]["ip"],
            "podIPs": addresses,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def node(name: str, *addresses: str, labels: dict[str, str] | None = None) -> Manifest:
    """A Ready Node with InternalIPs."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": one} for one in addresses],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def endpoints(of: str, *pods: Host, target: int = 8080, version: int = 4) -> Manifest:
    """An EndpointSlice of a Service, one family, with the pods all ready."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{of}-{version}",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": f"IPv{version}",
        "endpoints": [
            {"addresses": [one.v4 if version == 4 else one.v6], "conditions": {"ready": True}}
            for one in pods
        ],
        "ports": [
            {"name": name, "port": target, "protocol": protocol}
            for name, protocol in (("web", "TCP"), ("dns", "UDP"))
        ],
    }


def text(*objects: Manifest) -> str:
    """Objects as a stream of YAML documents."""
    return yaml.safe_dump_all(objects, sort_keys=False)


class Folder:
    """A folder of manifests that is being edited."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def put(self, name: str, *objects: Manifest) -> None:
        """Replace or make `NAME.yaml` in one step, as careful editors do."""
        part = self.path / f".{name}.part"
        part.write_text(text(*objects))
        part.replace(self._file(name))

    def scribble(self, name: str, content: str) -> Path:
        """Write `NAME.yaml` in place, so that a reader may see any part of it."""
        file = self._file(name)
        file.write_text(content)
        return file

    def drop(self, name: str) -> None:
        """Remove `NAME.yaml`."""
        self._file(name).unlink()

    def empty(self) -> None:
        """Remove every file."""
        for file in self.path.iterdir():
            file.unlink()

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.yaml"
