"""Rules of the schema in CEL (Kubernetes' validation rules), and pieces that several kinds share.

A rule's cost is estimated from the bounds of what it walks, so every list and text under one is
bounded (``maxItems``, ``maxLength``).
"""

from typing import Any

import msgspec

from fairlead.model.objects import Requirement, Selector
from fairlead.publish.crds.convert import Extras, Schema

LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
ADDRESS = 45
"""Characters of the longest address."""


def rule(expression: str, message: str) -> dict[str, str]:
    """A rule and what it says when it does not hold."""
    return {"rule": expression, "message": message}


def value_rule(expression: str, message: str) -> dict[str, str]:
    """A rule on a text, and what it says behind that text when it does not hold."""
    return {"rule": expression, "messageExpression": f'"\'" + self + "\' {message}"'}


def rules(*entries: dict[str, str]) -> Schema:
    """Rules as a part of a schema."""
    return {"x-kubernetes-validations": list(entries)}


def value(kind: type[msgspec.Struct], name: str) -> str:
    """A field of the object as CEL: its default, as the Struct has it, where it is absent."""
    field: Any = next(f for f in msgspec.structs.fields(kind) if f.name == name)
    default = msgspec.json.encode(field.default).decode()
    key = field.encode_name
    return f"(has(self.{key}) ? self.{key} : {default})"


SELECTORS: Extras = {
    (Selector, "match_labels"): {
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE}
    },
    (Selector, "match_expressions"): {"maxItems": 64},
    (Requirement, ""): rules(
        rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "In and NotIn need values, Exists and DoesNotExist must not have any",
        )
    ),
    (Requirement, "key"): {"maxLength": 317, "pattern": LABEL_KEY},
    (Requirement, "values"): {"maxItems": 64},
    (Requirement, "values[]"): {"maxLength": 63, "pattern": LABEL_VALUE},
}
"""Label selectors, as the API server itself reads them elsewhere."""
