"""`fairlead get` and `fairlead explain`: from manifests, and from what `up` serves."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.runtime import snapshot
from fairlead.runtime.pipeline import Pipeline
from fairlead.runtime.store import LedgerStore
from fairlead.sources.files import FileSource

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("what", "header", "cells"),
    [
        ("services", "NAMESPACE", ["ingress-nginx", "80.81.82.81", "Served"]),
        ("svc", "NAMESPACE", ["ingress-nginx-controller"]),
        ("vips", "ADDRESS", ["80.81.82.81", "192.168.8.3", "443/TCP→192.168.8.3:443"]),
        ("pools", "NAME", ["vcd-external", "vcd-one-arm", "192.168.8.2-192.168.8.100"]),
        ("engines", "NAME", ["e1", "True"]),
    ],
)
def test_lists(run: Run, examples: Path, what: str, header: str, cells: list[str]) -> None:
    folder = examples / "vcd-internal-ip-per-port"
    result = run("get", what, "-f", folder, "--engine", "e1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split()[0] == header
    for cell in cells:
        assert cell in result.stdout


def test_rejections(run: Run, examples: Path) -> None:
    result = run("get", "rejections", "-f", examples / "ako-mismatch", "-o", "json")
    first, second = json.loads(result.stdout)
    assert first["with"] == [second["object"]]


def test_one_namespace_is_shown_without_its_column(run: Run, examples: Path) -> None:
    folder = examples / "ako-shared-vip"
    result = run("get", "services", "-f", folder, "-n", "default")
    assert result.stdout.split()[0] == "NAME"
    assert len(result.stdout.splitlines()) == 3
    assert len(run("get", "services", "-f", folder, "-n", "other").stdout.splitlines()) == 1


def test_pools_as_json_have_their_room(run: Run, examples: Path) -> None:
    result = run("get", "pools", "-f", examples / "ako-shared-vip", "-o", "json")
    (pool,) = json.loads(result.stdout)
    assert pool["families"] == [{"family": "IPv4", "size": 20, "used": 1, "free": 19}]


def test_what_cannot_be_listed_is_usage(run: Run) -> None:
    result = run("get", "cakes", "-f", "x")
    assert result.exit_code == 2
    assert "cakes" in result.stderr


def test_without_manifests_and_state_there_is_a_hint(run: Run, tmp_path: Path) -> None:
    result = run("get", "services", "--state", tmp_path)
    assert result.exit_code == 2
    assert "no 'fairlead up' has run" in result.stderr
    assert "-f" in result.stderr


@pytest.fixture
def served(tmp_path: Path, examples: Path) -> Path:
    """A state directory as `up` leaves it."""
    step = Pipeline(Config(), "e1", Ledger()).feed(
        FileSource([examples / "ako-shared-vip"]).load().changes
    )
    now = datetime.now(UTC)
    with LedgerStore.open(tmp_path) as store:
        store.commit(Ledger(), step.plan.ledger, now)
        snapshot.save(
            tmp_path,
            snapshot.new(
                host="e1",
                started=now,
                written=now,
                config=Config(),
                objects=snapshot.objects_of(step.world),
            ),
        )
    return tmp_path


def test_what_up_serves_is_read_from_its_state(run: Run, served: Path) -> None:
    services = run("get", "services", "--state", served, "-o", "json")
    assert [entry["addresses"] for entry in json.loads(services.stdout)] == [["100.64.196.61"]] * 2
    assert "served last" in services.stderr
    vips = run("get", "vips", "--state", served)
    assert vips.stdout.split()[7] == "AGE"
    assert vips.stdout.rstrip().endswith("s")
    explained = run("explain", "svc/sharedvip-avisvc-lb1", "--state", served, "-o", "json")
    assert json.loads(explained.stdout)["addresses"] == ["100.64.196.61"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["svc/default/sharedvip-avisvc-lb1"], ["State:", "Served", "vip-network", "engine"]),
        (["Service/default/sharedvip-avisvc-lb1"], ["100.64.196.61"]),
        (["svc/sharedvip-avisvc-lb2"], ["100.64.196.61"]),
        (["svc/sharedvip-avisvc-lb2", "-n", "default"], ["100.64.196.61"]),
        (["pool/vip-network"], ["1 of 20 addresses are held"]),
        (["vip/100.64.196.61"], ["sharedvip-avisvc-lb2"]),
        (["vip/100.64.196.70"], ["free (in pool vip-network)"]),
    ],
)
def test_explanations(run: Run, examples: Path, words: list[str], told: list[str]) -> None:
    result = run("explain", *words, "-f", examples / "ako-shared-vip")
    assert result.exit_code == 0, result.stderr
    for text in told:
        assert text in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cake/default/x"], "no kind"),
        (["svc"], "svc/NAMESPACE/NAME"),
        (["svc/a/b/c"], "svc/NAMESPACE/NAME"),
        (["pool/default/x"], "pool/NAME"),
        (["vip/nonsense"], "not an IP address"),
        (["svc/default/absent"], "not among the objects"),
        (["pod/default/avi-server-a"], "asks for no virtual IP"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    run: Run, examples: Path, words: list[str], told: str
) -> None:
    result = run("explain", *words, "-f", examples / "ako-shared-vip")
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_rejected_pool_is_explained(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pool.yaml").write_text(
        "apiVersion: fairlead.dev/v1alpha1\nkind: AddressPool\nmetadata: {name: p}\n"
        "spec: {addresses: [192.0.2.300]}\n"
    )
    result = run("explain", "pool/p", "-f", tmp_path, "-o", "json")
    assert json.loads(result.stdout)["reason"] == "InvalidObject"
