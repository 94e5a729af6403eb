"""AviInfraSetting as AKO has it, for clusters where AKO never was.

Both generations are served; what Fairlead does not read is kept as it is. The status is a
subresource in both, because Fairlead reports to whichever the user wrote.
"""

from fairlead.model.kube import (
    AviInfraSetting,
    AviInfraSettingSpec,
    AviNetwork,
    L7Settings,
    VipNetwork,
)
from fairlead.publish.crds.convert import Extras, Schema
from fairlead.publish.crds.definition import AGE, Column, Definition, Names, Shape, definition

_VERSIONS = ("v1alpha1", "v1beta1")
_KEPT: Schema = {"x-kubernetes-preserve-unknown-fields": True}

_EXTRAS: Extras = {
    (AviInfraSettingSpec, ""): _KEPT,
    (AviNetwork, ""): _KEPT,
    (AviNetwork, "names"): {"description": "Networks by name, as before AKO 1.5.1."},
    (VipNetwork, ""): {
        "oneOf": [{"required": ["networkName"]}, {"required": ["networkUUID"]}],
    },
    (L7Settings, ""): {"required": ["shardSize"]},
    (L7Settings, "shard_size"): {"enum": ["SMALL", "MEDIUM", "LARGE", "DEDICATED"]},
}

_STATUS: Schema = {
    "type": "object",
    "properties": {
        "status": {"description": "Accepted or Rejected.", "type": "string"},
        "error": {"description": "Why it was rejected.", "type": "string"},
    },
}

_COLUMNS = (Column("Status", ".status.status"), Column("Error", ".status.error", wide=True), AGE)


def ako_definitions() -> tuple[Definition, ...]:
    """AKO's kinds that Fairlead reads."""
    names = Names("aviinfrasettings")
    shape = Shape(AviInfraSetting, _EXTRAS, _COLUMNS, _STATUS)
    return (definition(names, shape, _VERSIONS),)
