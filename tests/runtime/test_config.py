"""The configuration: what counts, in which order, and how errors read."""

import re
from pathlib import Path

import pytest

from fairlead.model.config import Config
from fairlead.runtime.config import ConfigError, load_config, variables


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fairlead.yaml"
    path.write_text(text)
    return path


def test_without_file_and_environment_the_defaults_hold(tmp_path: Path) -> None:
    assert load_config(None, {"PATH": "/bin"}) == Config()
    assert load_config(written(tmp_path, ""), {}) == Config()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "serviceType: NodePort\nstrict: true\ninterfaces: [eth0]\n")
    found = load_config(
        path, {"FAIRLEAD_SERVICE_TYPE": "NodePortLocal", "FAIRLEAD_TOMBSTONES": "7"}
    )
    assert found == Config(
        service_type="NodePortLocal", strict=True, tombstones=7, interfaces=("eth0",)
    )


def test_every_key_is_a_variable() -> None:
    assert {key for name, key in variables().items() if name.startswith("FAIRLEAD_")} == set(
        Config.__struct_encode_fields__
    )


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("YES", True), ("1", True), ("false", False), ("0", False)]
)
def test_truth_in_variables(text: str, value: bool) -> None:
    assert load_config(None, {"FAIRLEAD_STRICT": text}).strict is value


def test_lists_in_variables() -> None:
    assert load_config(None, {"FAIRLEAD_INTERFACES": "eth0, eth1,"}).interfaces == ("eth0", "eth1")


def test_the_names_of_kube_vip_are_understood_and_ours_win() -> None:
    theirs = {
        "lb_class_name": "example.com/theirs",
        "lb_class_only": "true",
        "lb_class_legacy_handling": "false",
    }
    found = load_config(None, theirs)
    assert found.load_balancer_class_name == "example.com/theirs"
    assert found.load_balancer_class_only
    assert not found.load_balancer_class_legacy_handling
    ours = theirs | {"FAIRLEAD_LOAD_BALANCER_CLASS_NAME": "example.com/ours"}
    assert load_config(None, ours).load_balancer_class_name == "example.com/ours"


def test_a_text_key_takes_digits_as_text() -> None:
    assert load_config(None, {"lb_class_name": "42"}).load_balancer_class_name == "42"


def test_variables_that_kubernetes_makes_for_a_service_of_our_name_do_no_harm() -> None:
    theirs = {"FAIRLEAD_PORT": "tcp://10.0.0.1:80", "FAIRLEAD_SERVICE_HOST": "10.0.0.1"}
    assert load_config(None, theirs) == Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("servicetype: NodePort", "there is no key `servicetype`"),
        ("serviceType: Nodeport", "'Nodeport' - at `serviceType`"),
        ("strict: yes", "Expected `bool`, got `str` - at `strict`"),
        ("tombstones: -1", "Expected `int` >= 0 - at `tombstones`"),
        ("- strict", "must hold keys and values, not a list"),
        ("strict: [", "is not YAML"),
        ("strict: true\nstrict: false\n", "duplicate"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_name(
    tmp_path: Path, text: str, says: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(says)) as refused:
        load_config(path, {})
    assert str(path) in str(refused.value)


def test_a_missing_or_binary_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml", {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "binary", {})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FAIRLEAD_STRICT", "perhaps"),
        ("FAIRLEAD_TOMBSTONES", "many"),
        ("FAIRLEAD_TOMBSTONES", "9" * 30),
        ("FAIRLEAD_SERVICE_TYPE", "nodeport"),
        ("lb_class_only", "2"),
    ],
)
def test_what_is_wrong_in_a_variable_is_said_with_its_name(variable: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"environment variable {variable}"):
        load_config(None, {variable: text})
