"""What the shell is offered, for `fairlead` and for `kubectl fairlead`."""

import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.cli.options import contexts

ASK = "from fairlead.cli.completion import main; main()"


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["ge"], ["get"]),
        (["get", ""], ["services", "vips", "pools", "engines", "rejections"]),
        (["get", "svc", "--kube"], ["--kubeconfig"]),
        (["explain", ""], ["svc/", "pool/"]),
    ],
)
def test_kubectl_is_told_the_candidates(words: list[str], some: list[str]) -> None:
    *found, directive = _asked(*words)
    assert set(some) <= set(found)
    assert directive == ":4"


def test_without_a_candidate_the_shell_completes_files() -> None:
    assert _asked("get", "svc", "-f", "") == [":0"]


def _asked(*words: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", ASK, *words], capture_output=True, text=True, timeout=60, check=True
    )
    return result.stdout.split()


def test_contexts_of_the_kubeconfigs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("contexts: [{name: one}, {name: two}]\n")
    (tmp_path / "b").write_text("contexts: [{name: three}]\n")
    (tmp_path / "broken").write_text("contexts: [")
    monkeypatch.setenv(
        "KUBECONFIG", ":".join(str(tmp_path / n) for n in ("a", "broken", "no", "b"))
    )
    assert contexts() == ["one", "two", "three"]
