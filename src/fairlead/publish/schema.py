"""The JSON Schema of ``plan -o json``, printed: ``python -m fairlead.publish.schema >
docs/plan.schema.json``.
"""

import sys

import msgspec

from fairlead.publish.contract import PlanDocument


def schema() -> str:
    """The schema as text, ready to be a file."""
    definition = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fairlead plan -o json",
        **msgspec.json.schema(PlanDocument),
    }
    return msgspec.json.format(msgspec.json.encode(definition), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
