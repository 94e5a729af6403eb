"""Which local program an image name stands for.

There are no images here. A container with a `command` runs that, with the machine's own programs.
Without one, the last part of the image's name decides: `fairlead` is this program, `kubectl` is
kubectl, `pause` waits, `busybox` and its like are a shell; everything else is an echo server on the
container's ports. The image `echo` answers TCP as the lab's hosts do (one JSON line at once), on
ports whose name begins with `http` over HTTP; any other image is a web server on its TCP ports,
except on those whose name begins with `tcp`. A registry below `.invalid` has nothing (RFC 2606).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from fairlead.lab.kubernetes.podrunner.task import EchoTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["DRAIN", "NoSuchImage", "base_name", "is_echo", "program"]

DRAIN: Final = "DRAIN_SECONDS"
"""The environment variable that says how long an echo server goes on after SIGTERM."""

_DEFAULT_DRAIN: Final = "0.5"
_SHELLS: Final = frozenset({"alpine", "bash", "busybox", "debian", "python", "ubuntu"})
_PROGRAMS: Final = _SHELLS | {"fairlead", "kubectl", "pause"}
_ECHO: Final = "echo"


class NoSuchImage(Exception):
    """The registry has no such image, as far as this lab goes."""


def base_name(image: str) -> str:
    """`registry:5000/team/echo:1.2@sha256:…` is `echo`."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def is_echo(container: Mapping[str, Any]) -> bool:
    """Whether a container is an echo server, which reads no files."""
    return not container.get("command") and base_name(container["image"]) not in _PROGRAMS


def program(
    container: Mapping[str, Any], *, name: str, env: Mapping[str, str], args: Sequence[str]
) -> tuple[str, ...] | EchoTask:
    """The command line of a container, or the echo server that it is. `args` are expanded.

    `name` is what an echo server answers as. Raises NoSuchImage.
    """
    image = container["image"]
    registry = image.partition("/")[0].partition(":")[0]
    if registry.endswith(".invalid"):
        raise NoSuchImage(f"{registry} has no {image}")
    if container.get("command"):
        return tuple(args)
    match base_name(image):
        case "fairlead":
            return (sys.executable, "-m", "fairlead", *args)
        case "kubectl":
            return ("kubectl", *args)
        case "pause":
            return ("sleep", "infinity")
        case shell if shell in _SHELLS:
            return tuple(args) or ("sh",)
        case other:
            return _echo(container, name, env, plain=other == _ECHO)


def _echo(
    container: Mapping[str, Any], name: str, env: Mapping[str, str], *, plain: bool
) -> EchoTask:
    ports: dict[str, list[int]] = {"TCP": [], "UDP": [], "SCTP": [], "HTTP": []}
    for port in container.get("ports") or _default_ports(plain=plain):
        ports[_spoken(port, plain=plain)].append(port["containerPort"])
    return EchoTask(
        name=name,
        tcp=tuple(ports["TCP"]),
        udp=tuple(ports["UDP"]),
        sctp=tuple(ports["SCTP"]),
        http=tuple(ports["HTTP"]),
        drain=float(env.get(DRAIN, _DEFAULT_DRAIN)),
    )


def _spoken(port: Mapping[str, Any], *, plain: bool) -> str:
    protocol: str = port.get("protocol", "TCP")
    label = port.get("name", "")
    speaks_http = label.startswith("http") if plain else not label.startswith("tcp")
    return "HTTP" if protocol == "TCP" and speaks_http else protocol


def _default_ports(*, plain: bool) -> list[dict[str, Any]]:
    if not plain:
        return [{"containerPort": 80}]
    return [{"containerPort": 8080}, {"containerPort": 8080, "protocol": "UDP"}]
