"""The definitions say what the Structs say, in the form that the API server takes."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest
import yaml
from msgspec import Meta, Struct
from typer.testing import CliRunner

from fairlead.cli.main import app
from fairlead.model.kube import AviInfraSetting, KubeObject
from fairlead.model.objects import AddressPool, BGPPeer, EngineGroup
from fairlead.model.virtualip import VirtualIP
from fairlead.publish.crds import Definition, ako_definitions, definitions
from fairlead.publish.crds.convert import Schema, openapi
from fairlead.publish.crds.docs import doc_of

KINDS: list[type[KubeObject]] = [AddressPool, BGPPeer, EngineGroup, VirtualIP, AviInfraSetting]
ALL = (*definitions(), *ako_definitions())


def _definition(kind: type[KubeObject]) -> Definition:
    return next(one for one in ALL if one["spec"]["names"]["kind"] == kind.KIND)


def _schema(kind: type[KubeObject]) -> Schema:
    schema: Schema = _definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _walk(value: Any) -> Iterator[Schema]:
    """Every part of a schema that describes a value."""
    if isinstance(value, dict):
        if "type" in value and isinstance(value["type"], str):
            yield value
        for part in value.values():
            yield from _walk(part)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part)


def test_there_is_one_definition_of_every_kind_by_name() -> None:
    names = [one["metadata"]["name"] for one in definitions()]
    assert names == sorted(names)
    assert names == [
        "addressleases.fairlead.dev",
        "addresspools.fairlead.dev",
        "bgppeers.fairlead.dev",
        "enginegroups.fairlead.dev",
        "engines.fairlead.dev",
        "virtualips.fairlead.dev",
    ]
    assert [one["metadata"]["name"] for one in ako_definitions()] == [
        "aviinfrasettings.ako.vmware.com"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_has_the_fields_of_the_struct(kind: type[KubeObject]) -> None:
    spec = next(f for f in msgspec.structs.fields(kind) if f.name == "spec").type
    schema = _schema(kind)["properties"]["spec"]
    fields = msgspec.structs.fields(spec)
    assert list(schema["properties"]) == [field.encode_name for field in fields]
    required = [field.encode_name for field in fields if field.required]
    assert schema.get("required", []) == required
    assert _schema(kind)["required"] == ["spec"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_structural(kind: type[KubeObject]) -> None:
    text = json.dumps(_definition(kind))
    assert "$ref" not in text
    assert '"default"' not in text
    parts = list(_walk(_schema(kind)))
    assert len(parts) > 10
    for part in parts:
        if part["type"] == "array":
            assert part["x-kubernetes-list-type"] in {"atomic", "map"}
            assert "type" in part["items"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_conditions_are_merged_by_key(kind: type[KubeObject]) -> None:
    spec = _schema(kind)["properties"]["spec"]
    lists = [part for part in _walk(spec) if part["type"] == "array"]
    assert {part["x-kubernetes-list-type"] for part in lists} == {"atomic"}


def test_what_the_controller_reports_is_a_subresource() -> None:
    for kind in (AddressPool, BGPPeer, EngineGroup, AviInfraSetting):
        for version in _definition(kind)["spec"]["versions"]:
            assert version["subresources"] == {"status": {}}
            assert "status" in version["schema"]["openAPIV3Schema"]["properties"]
    (version,) = _definition(VirtualIP)["spec"]["versions"]
    assert "subresources" not in version
    assert "status" not in version["schema"]["openAPIV3Schema"]["properties"]


def test_conditions_are_those_of_the_api() -> None:
    conditions = _schema(AddressPool)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    needed = {"type", "status", "lastTransitionTime", "reason", "message"}
    assert set(conditions["items"]["required"]) == needed
    assert set(conditions["items"]["properties"]) == needed | {"observedGeneration"}


def test_every_field_of_our_own_specs_is_described() -> None:
    for kind in (AddressPool, BGPPeer, EngineGroup, VirtualIP):
        properties = _schema(kind)["properties"]["spec"]["properties"]
        silent = [name for name, part in properties.items() if "description" not in part]
        assert silent == [], kind.KIND


def test_both_generations_of_ako_are_served_and_the_newer_is_stored() -> None:
    versions = _definition(AviInfraSetting)["spec"]["versions"]
    assert [(v["name"], v["served"], v["storage"]) for v in versions] == [
        ("v1alpha1", True, False),
        ("v1beta1", True, True),
    ]
    assert versions[0]["schema"] == versions[1]["schema"]
    spec = _schema(AviInfraSetting)["properties"]["spec"]
    assert spec["x-kubernetes-preserve-unknown-fields"] is True
    assert spec["properties"]["network"]["x-kubernetes-preserve-unknown-fields"] is True
    assert {"names", "vipNetworks"} <= set(spec["properties"]["network"]["properties"])


class Inner(Struct, rename="camel"):
    """Inside. ``deep_one``: how deep,
    in metres; ``other``: the rest."""

    deep_one: Annotated[int, Meta(ge=0, le=10)]
    other: Annotated[str, Meta(min_length=1, max_length=5, pattern="^a")] = "a"


class Outer(Struct, rename="camel"):
    wide: int
    mode: Literal["b", "a"] = "a"
    inner: Inner | None = None
    many: Annotated[tuple[Inner, ...], Meta(min_length=1, max_length=9)] | None = None
    words: dict[str, str] | None = None
    port_id: int = msgspec.field(name="portID", default=0)
    on: bool = True


def test_a_struct_becomes_a_schema() -> None:
    inner = {
        "description": "Inside.",
        "type": "object",
        "required": ["deepOne"],
        "properties": {
            "deepOne": {
                "description": "How deep, in metres.",
                "type": "integer",
                "format": "int32",
                "minimum": 0,
                "maximum": 10,
            },
            "other": {
                "description": "The rest.",
                "type": "string",
                "minLength": 1,
                "maxLength": 5,
                "pattern": "^a",
            },
        },
    }
    assert openapi(Outer, {}) == {
        "type": "object",
        "required": ["wide"],
        "properties": {
            "wide": {"type": "integer", "format": "int64"},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "inner": inner,
            "many": {
                "type": "array",
                "items": inner,
                "x-kubernetes-list-type": "atomic",
                "minItems": 1,
                "maxItems": 9,
            },
            "words": {"type": "object", "additionalProperties": {"type": "string"}},
            "portID": {"type": "integer", "format": "int64"},
            "on": {"type": "boolean"},
        },
    }


def test_extras_are_put_in_their_places() -> None:
    schema = openapi(
        Outer,
        {
            (Outer, ""): {"x": 1},
            (Outer, "wide"): {"x": 2},
            (Outer, "many[]"): {"x": 3},
            (Inner, "deep_one"): {"description": "Other words.", "x": 4},
        },
    )
    many = schema["properties"]["many"]
    assert (schema["x"], schema["properties"]["wide"]["x"], many["items"]["x"]) == (1, 2, 3)
    assert "x" not in schema["properties"]["inner"]
    deep = schema["properties"]["inner"]["properties"]["deepOne"]
    assert (deep["x"], deep["description"]) == (4, "Other words.")


def test_a_rule_of_a_field_that_is_no_more_is_an_error() -> None:
    with pytest.raises(KeyError, match="Outer has no field gone"):
        openapi(Outer, {(Outer, "gone[]"): {}})


class Choice(Struct):
    both: int | str


class Odd(Struct):
    any: Any


class Open(Struct):
    number: Annotated[int, Meta(gt=3)]


@pytest.mark.parametrize("kind", [Choice, Odd, Open])
def test_what_has_no_schema_is_an_error(kind: type[Struct]) -> None:
    with pytest.raises(TypeError):
        openapi(kind, {})


def test_docstrings_tell_of_fields() -> None:
    class Told:
        """What it is (DESIGN §5), and :class:`~a.b.C`. ``one`` matters. ``two``: the second."""

    assert doc_of(Told) == ("What it is, and C. `one` matters.", {"two": "The second."})
    assert doc_of(Outer) == ("", {})


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["crds", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_what_kubectl_applies() -> None:
    assert list(yaml.safe_load_all(_run())) == list(definitions())
    assert json.loads(_run("-o", "json")) == {
        "apiVersion": "v1",
        "kind": "List",
        "items": list(definitions()),
    }


def test_the_definition_of_ako_is_printed_only_when_asked_for() -> None:
    assert list(yaml.safe_load_all(_run("--ako"))) == list(ALL)
    assert "ako.vmware.com" not in _run()
