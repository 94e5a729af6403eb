"""The status of Fairlead's own kinds: meta/v1 Conditions, and figures where they help.

The condition `Accepted` is the one that Fairlead publishes on them: True when the object is used as
written, False with the reason otherwise.
"""

from fairlead.publish.crds.convert import Schema
from fairlead.publish.crds.definition import Column
from fairlead.publish.kube.objects import ACCEPTED

_PATH = f".status.conditions[?(@.type=='{ACCEPTED}')]"
IN_USE = Column(ACCEPTED, f"{_PATH}.status")
"""Whether the object is used as it is written."""
WHY_NOT = Column("Reason", f"{_PATH}.reason", wide=True)

_CONDITION: Schema = {
    "type": "object",
    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
    "properties": {
        "type": {"type": "string", "maxLength": 316},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "observedGeneration": {
            "description": "The generation of the object that this speaks of.",
            "type": "integer",
            "format": "int64",
            "minimum": 0,
        },
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "reason": {
            "description": "A word for programs.",
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        "message": {
            "description": "A sentence for people.",
            "type": "string",
            "maxLength": 32768,
        },
    },
}

_CONDITIONS: Schema = {
    "description": f"{ACCEPTED}: whether the object is used as it is written, and why not.",
    "type": "array",
    "items": _CONDITION,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}


def status(**figures: Schema) -> Schema:
    """A status with conditions and the given figures; written by the controller alone."""
    return {
        "description": "What the controller says about it.",
        "type": "object",
        "properties": {"conditions": _CONDITIONS, **figures},
    }
