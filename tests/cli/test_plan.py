"""`fairlead plan`: the contract of its output, its exit codes and what it says beside it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import Result

from fairlead.model.ledger import Ledger
from fairlead.runtime.store import LedgerStore

Run = Callable[..., Result]
SCHEMA = Path(__file__).parents[2] / "docs" / "plan.schema.json"
POOL = """\
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: vips}
spec: {addresses: [192.0.2.0/24]}
"""


def service(name: str, spec: str = "") -> str:
    return f"""\
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{type: LoadBalancer, ports: [{{port: 80}}]{spec}}}
"""


def test_the_shared_vip_of_the_document(run: Run, examples: Path) -> None:
    result = run("plan", "-f", examples / "ako-shared-vip", "-o", "json", "--engine", "e1")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    (vip,) = data["vips"]
    assert vip["addresses"] == ["100.64.196.61"]
    assert vip["members"] == ["default/sharedvip-avisvc-lb1", "default/sharedvip-avisvc-lb2"]
    assert vip["engines"] == {"active": ["e1"], "standby": []}
    assert [entry["addresses"] for entry in data["services"]] == [["100.64.196.61"]] * 2
    assert "compared with nothing" in result.stderr


@pytest.mark.parametrize(
    "folder", ["ako-mismatch", "kube-vip-shared-ip", "vcd-internal-ip-per-port"]
)
def test_what_is_printed_keeps_the_schema(run: Run, examples: Path, folder: str) -> None:
    result = run("plan", "-f", examples / folder, "-o", "json")
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(
        json.loads(result.stdout)
    )


def test_yaml_and_json_say_the_same(run: Run, examples: Path) -> None:
    printed = [
        run("plan", "-f", examples / "vcd-shared-internal-ip", "-o", form).stdout
        for form in ("json", "yaml")
    ]
    assert json.loads(printed[0]) == yaml.safe_load(printed[1])


def test_the_table_is_plain_text_in_a_pipe(run: Run, examples: Path) -> None:
    result = run("plan", "-f", examples / "ako-shared-vip")
    assert "\x1b" not in result.stdout
    assert result.stdout.startswith("NAMESPACE   NAME ")
    assert "+ VirtualIP/100.64.196.61: " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("2 services, 1 VIP, 1 address, 0 rejected")


def test_a_rejection_is_exit_code_1(run: Run, examples: Path) -> None:
    result = run("plan", "-f", examples / "ako-mismatch")
    assert result.exit_code == 1
    assert "StaticAddressMismatch" in result.stdout


def test_pending_and_ignored_are_exit_code_0(run: Run, examples: Path) -> None:
    result = run("plan", "-f", examples / "kube-vip-shared-ip", "-o", "json")
    states = {entry["state"] for entry in json.loads(result.stdout)["services"]}
    assert states == {"Served", "Pending", "Ignored"}
    assert result.exit_code == 0


def test_an_unparsable_file_is_exit_code_2_and_the_rest_is_planned(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "good.yaml").write_text(POOL + service("good"))
    (tmp_path / "torn.yaml").write_text("apiVersion: v1\nkind: [Service\n")
    result = run("plan", "-f", tmp_path, "-o", "json")
    assert result.exit_code == 2
    assert f"{tmp_path / 'torn.yaml'}:" in result.stderr
    (entry,) = json.loads(result.stdout)["services"]
    assert (entry["name"], entry["state"]) == ("good", "Served")


def test_a_missing_file_is_exit_code_2(run: Run, tmp_path: Path) -> None:
    result = run("plan", "-f", tmp_path / "nowhere.yaml", "-o", "json")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr
    assert json.loads(result.stdout)["services"] == []


def test_an_invalid_object_is_rejected_with_its_place(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(POOL + service("good") + service("bad").replace("port: 80", "port: eighty"))
    result = run("plan", "-f", file, "-o", "json")
    assert result.exit_code == 1
    assert f"{file}:" in result.stderr
    data = json.loads(result.stdout)
    (rejection,) = data["rejections"]
    assert (rejection["object"], rejection["code"]) == ("Service/default/bad", "InvalidObject")
    assert "ports" in rejection["message"]
    assert str(file) not in result.stdout
    assert {entry["name"]: entry["state"] for entry in data["services"]}["good"] == "Served"


def test_duplicates_are_rejected_with_both_places(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(POOL + service("twin"))
    (tmp_path / "b.yaml").write_text(service("twin").replace("80", "81"))
    result = run("plan", "-f", tmp_path, "-o", "json")
    assert result.exit_code == 1
    assert f"{tmp_path / 'a.yaml'}:" in result.stderr
    assert f"{tmp_path / 'b.yaml'}:" in result.stderr
    (rejection,) = json.loads(result.stdout)["rejections"]
    assert (rejection["object"], rejection["code"]) == ("Service/default/twin", "InvalidObject")


def test_kinds_that_are_not_read_are_counted_in_one_line(run: Run, tmp_path: Path) -> None:
    others = "".join(
        f"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{n}}}\n" for n in range(3)
    )
    (tmp_path / "all.yaml").write_text(POOL + others)
    result = run("plan", "-f", tmp_path)
    assert "3 objects of kinds that Fairlead does not read: 3 apps/v1 Deployment" in result.stderr
    assert result.exit_code == 0


def test_standard_input_and_several_paths(run: Run, tmp_path: Path) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text(POOL)
    result = run("plan", "-f", pool, "-f", "-", "-o", "json", stdin=service("piped"))
    (entry,) = json.loads(result.stdout)["services"]
    assert (entry["name"], entry["state"]) == ("piped", "Served")


def test_usage_errors_are_exit_code_2(run: Run) -> None:
    assert run("plan").exit_code == 2
    assert run("plan", "-f", "x", "-o", "xml").exit_code == 2
    assert run("nonsense").exit_code == 2


@pytest.fixture
def state(run: Run, tmp_path: Path) -> Path:
    """A state directory in which twenty Services hold an address each."""
    folder = tmp_path / "state"
    many = "".join(service(f"s{n:02}") for n in range(20))
    with LedgerStore.open(folder) as store:
        store.commit(Ledger(), _ledger(POOL + many), datetime.now(UTC))
    return folder


def _ledger(text: str) -> Ledger:
    from fairlead.dialects.translate import translate
    from fairlead.model.kube import KubeObject
    from fairlead.model.world import Change, World
    from fairlead.planner import plan
    from fairlead.sources.decode import decode

    items: list[Any] = [decode(data) for data in yaml.safe_load_all(text)]
    assert all(isinstance(item, KubeObject) for item in items)
    world = World(host="e1").evolve(Change(item.ref, item) for item in items)
    return plan(translate(world), Ledger()).ledger


def test_changes_are_against_the_state(run: Run, tmp_path: Path, state: Path) -> None:
    manifests = tmp_path / "all.yaml"
    manifests.write_text(POOL + "".join(service(f"s{n:02}") for n in range(21)))
    files = sorted(path.name for path in state.iterdir())
    result = run("plan", "-f", manifests, "--state", state, "-o", "json")
    (change,) = json.loads(result.stdout)["changes"]
    assert (change["action"], change["object"]) == ("create", "VirtualIP/192.0.2.21")
    assert "compared with nothing" not in result.stderr
    assert sorted(path.name for path in state.iterdir()) == files


def test_a_state_that_holds_nothing_is_told(run: Run, tmp_path: Path, examples: Path) -> None:
    result = run("plan", "-f", examples / "ako-shared-vip", "--state", tmp_path / "none")
    assert f"no address is held in {tmp_path / 'none'}" in result.stderr
    assert not (tmp_path / "none").exists()


def test_the_guard_is_shown_and_can_be_confirmed(run: Run, tmp_path: Path, state: Path) -> None:
    manifests = tmp_path / "all.yaml"
    manifests.write_text(POOL + service("s00"))
    careful = run("plan", "-f", manifests, "--state", state, "-o", "json")
    assert "would hold this back" in careful.stderr
    assert "19 of 20 addresses" in careful.stderr
    assert json.loads(careful.stdout)["changes"] == []
    bold = run("plan", "-f", manifests, "--state", state, "-o", "json", "--yes")
    assert "hold this back" not in bold.stderr
    changes = json.loads(bold.stdout)["changes"]
    assert [change["action"] for change in changes] == ["delete"] * 19


def test_a_state_that_is_no_ledger_is_one_line(run: Run, tmp_path: Path, examples: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database, but long enough to be taken for one")
    result = run("plan", "-f", examples / "ako-shared-vip", "--state", tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "ledger.db" in result.stderr


def test_a_misspelt_configuration_key_is_named(run: Run, tmp_path: Path, examples: Path) -> None:
    config = tmp_path / "fairlead.yaml"
    config.write_text("serviceTyp: NodePort\n")
    result = run("plan", "-f", examples / "ako-shared-vip", "--config", config)
    assert result.exit_code == 2
    assert "serviceTyp" in result.stderr
    assert str(config) in result.stderr
