"""Helm, built once from a pinned Go module and kept in a cache: it renders and proves the chart.

`go.mod` asks for the Kubernetes libraries of the control plane's version, so that the two builds
share what they compile. Run it ahead of time with `python -m fairlead.lab.helm`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.lab.gomodule import GoModule

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["helm"]

_DIRECTORY: Final = Path(__file__).parent
_PROGRAMS: Final = {"helm": "helm.sh/helm/v3/cmd/helm"}


def helm(progress: Callable[[str], None] | None = None) -> Path:
    """The program; built first if that was never done. LabError when it cannot be."""
    return _module().binaries(progress) / "helm"


def _module() -> GoModule:
    module = GoModule(
        directory=_DIRECTORY, cache="helm", title="Helm", programs=_PROGRAMS, flags=()
    )
    helm_version = module.version("helm.sh/helm/v3")
    minor = module.version("k8s.io/client-go").split(".")[1]
    stamps = {"internal/version.version": helm_version}
    for package in ("pkg/chartutil", "pkg/lint/rules"):  # else it takes Kubernetes to be 1.20
        stamps |= {f"{package}.k8sVersionMajor": "1", f"{package}.k8sVersionMinor": minor}
    words = ["-s -w", *(f"-X helm.sh/helm/v3/{name}={text}" for name, text in stamps.items())]
    return replace(module, flags=("-trimpath", "-ldflags", " ".join(words)))
