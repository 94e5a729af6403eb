"""Pods as tests write them, and questions about them."""

import http.client
import json
from typing import Any

from fairlead.lab.kubernetes import KubernetesLab
from tests.kube import eventually

Object = dict[str, Any]


def pod(
    name: str, *containers: Object, labels: dict[str, str] | None = None, **spec: Any
) -> Object:
    """A pod; without containers it has one of the image `echo`. It may be ended fast."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": {
            "containers": list(containers) or [echo()],
            "terminationGracePeriodSeconds": 5,
            **spec,
        },
    }


def echo(*ports: Object, **container: Any) -> Object:
    """A container that answers on TCP and UDP port 8080, or on these ports."""
    return {"name": "main", "image": "echo", "ports": list(ports) or both(8080), **container}


def both(port: int) -> list[Object]:
    """TCP and UDP."""
    return [{"containerPort": port}, {"containerPort": port, "protocol": "UDP"}]


def shell(script: str, **container: Any) -> Object:
    """A container that runs a script of the test's."""
    return {"name": "main", "image": "busybox", "command": ["sh", "-c", script], **container}


def service(name: str, port: int = 8080, **spec: Any) -> Object:
    """A Service of both families on the pods whose label `app` is its name."""
    ports = [
        {"name": protocol.lower(), "port": port, "targetPort": 8080, "protocol": protocol}
        for protocol in ("TCP", "UDP")
    ]
    metadata = {"name": name}
    base = {"selector": {"app": name}, "ports": ports, "ipFamilyPolicy": "RequireDualStack"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {**base, **spec}}


def ask_http(address: str, port: int, path: str, method: str = "GET") -> tuple[int, Object]:
    """The status and the answer of an echo server over HTTP; to be called in a namespace."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


class Namespace:
    """One namespace of a cluster."""

    def __init__(self, lab: KubernetesLab, name: str) -> None:
        self.lab = lab
        self.name = name

    def apply(self, *objects: Object) -> None:
        for one in objects:
            one["metadata"]["namespace"] = self.name
        self.lab.apply(list(objects))

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.lab.kubectl("-n", self.name, *arguments, check=check).stdout

    def get(self, kind: str, name: str) -> Object:
        """The object, or an empty one when it is not there."""
        said = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        found: Object = json.loads(said) if said else {}
        return found

    def pods(self) -> list[Object]:
        items: list[Object] = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        return items

    def ready(self, name: str, *, within: float = 20.0) -> Object:
        """The pod once it is ready."""
        condition = f"pod/{name}", "--for=condition=Ready", f"--timeout={within}s"
        self.kubectl("wait", *condition)
        return self.get("pod", name)

    def state(self, name: str) -> Object:
        """The state of the first container."""
        statuses = self.get("pod", name).get("status", {}).get("containerStatuses") or [{}]
        found: Object = statuses[0].get("state", {})
        return found

    def ended(self, name: str) -> Object:
        """How the first container ended."""
        found = eventually(lambda: self.state(name).get("terminated"))
        assert found, self.get("pod", name).get("status")
        ended: Object = found
        return ended

    def said(self, name: str, *arguments: str) -> str:
        """What a pod said, by `kubectl logs`."""
        return self.kubectl("logs", name, *arguments)

    def endpoints(self, service: str, version: int = 4) -> list[Object]:
        """The endpoints that the controller made, of one family."""
        selector = f"kubernetes.io/service-name={service}"
        said = self.kubectl("get", "endpointslices", "-l", selector, "-o", "json")
        slices = [s for s in json.loads(said)["items"] if s["addressType"] == f"IPv{version}"]
        return [endpoint for one in slices for endpoint in one.get("endpoints") or []]
