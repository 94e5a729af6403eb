"""The Kubernetes programs of the lab, built once from pinned Go modules and kept in a cache.

Run it ahead of time with `python -m fairlead.lab.kubernetes`; the first build takes some minutes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab.gomodule import GoModule

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROGRAMS", "binaries", "cached", "version"]


PROGRAMS: Final = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
)
_MODULE: Final = GoModule(
    directory=Path(__file__).parent / "controlplane",
    cache="controlplane",
    title="the control plane",
    programs={name: f"k8s.io/kubernetes/cmd/{name}" for name in PROGRAMS if name != "etcd"}
    | {"etcd": "go.etcd.io/etcd/server/v3"},
    flags=(),
)
_STAMP: Final = "k8s.io/component-base/version"


def binaries(progress: Callable[[str], None] | None = None) -> Path:
    """The directory that holds the programs; see :meth:`GoModule.binaries`."""
    return _module().binaries(progress)


def cached() -> Path | None:
    """The directory that holds the programs, or None when they have not been built."""
    return _module().cached()


def version() -> str:
    """The version of Kubernetes that the module names, as `v1.34.4`."""
    return _MODULE.version("k8s.io/kubernetes")


def _module() -> GoModule:
    full = version()
    major, minor, _ = full.removeprefix("v").split(".", 2)
    stamps = {"gitVersion": full, "gitMajor": major, "gitMinor": minor}
    words = ["-s -w", *(f"-X {_STAMP}.{name}={text}" for name, text in stamps.items())]
    return replace(_MODULE, flags=("-trimpath", "-ldflags", " ".join(words)))
