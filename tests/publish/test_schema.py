"""The JSON Schema is the contract: it is what the code says, and documents keep it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from fairlead.publish.contract import PlanDocument
from fairlead.publish.schema import schema

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "plan.schema.json"
FOLDERS = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
FIELDS = {
    "services": "namespace name dialect group state reason message addresses hostname",
    "ingresses": "namespace name state reason message hosts",
    "gateways": "namespace name state reason message addresses",
    "reservations": "kind namespace name subnet addresses mac state reason message",
    "vips": "name group addresses pools members announce engines listeners translations",
    "rejections": "object code message with",
    "changes": "action object because",
}
SUMMARY = "services vips addresses rejected pending"


def test_the_schema_in_the_docs_is_the_one_of_the_code() -> None:
    assert FILE.read_text() == schema(), (
        "stale: run 'python -m fairlead.publish.schema > docs/plan.schema.json'"
    )


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema()))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_document_of_every_example_keeps_the_schema(
    folder: str, example: Callable[[str], Any]
) -> None:
    data = json.loads(msgspec.json.encode(example(folder).document))
    jsonschema.Draft202012Validator(json.loads(schema())).validate(data)
    assert data["summary"]["services"] == len(data["services"]) > 0


def test_the_schema_refuses_what_is_no_plan() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    data = json.loads(msgspec.json.encode(EMPTY))
    validator.validate(data)
    assert not validator.is_valid({**data, "summary": {}})
    assert not validator.is_valid({key: value for key, value in data.items() if key != "vips"})
    change = {"action": "explode", "object": "VirtualIP/192.0.2.1", "because": ""}
    assert not validator.is_valid({**data, "changes": [change]})


@pytest.mark.parametrize(("section", "names"), FIELDS.items())
def test_the_entries_have_exactly_the_fields_of_the_contract(section: str, names: str) -> None:
    definitions = json.loads(schema())["$defs"]
    kind = definitions["PlanDocument"]["properties"][section]["items"]["$ref"].rpartition("/")[2]
    assert list(definitions[kind]["properties"]) == names.split()
    assert definitions[kind]["required"] == names.split()


def test_the_document_and_its_summary_have_exactly_the_fields_of_the_contract() -> None:
    definitions = json.loads(schema())["$defs"]
    assert list(definitions["PlanDocument"]["properties"]) == [*FIELDS, "summary"]
    assert list(definitions["Summary"]["properties"]) == SUMMARY.split()


EMPTY = msgspec.convert(
    {**{section: [] for section in FIELDS}, "summary": dict.fromkeys(SUMMARY.split(), 0)},
    PlanDocument,
)
