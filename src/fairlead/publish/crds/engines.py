"""EngineGroup: which engines serve, and how many of them."""

from fairlead.model.objects import EngineGroup, EngineGroupSpec
from fairlead.publish.crds.conditions import IN_USE, WHY_NOT, status
from fairlead.publish.crds.convert import Extras
from fairlead.publish.crds.definition import AGE, Column, Definition, Names, Shape, definition
from fairlead.publish.crds.rules import SELECTORS, rule, rules, value

_LEAST = value(EngineGroupSpec, "min_scale")
_MOST = value(EngineGroupSpec, "max_scale")

_EXTRAS: Extras = {
    **SELECTORS,
    (EngineGroupSpec, ""): rules(
        rule(f"{_MOST} == 0 || {_MOST} >= {_LEAST}", "maxScale must be 0 or at least minScale"),
    ),
    (EngineGroupSpec, "node_selector"): {
        "description": "Which Nodes are engines; all by default.",
    },
    (EngineGroupSpec, "se_groups"): {
        "description": "Other names of the group, for instance an Avi SE group.",
    },
    (EngineGroupSpec, "mode"): {
        "description": "ActiveStandby (the default): one engine holds a VIP. ActiveActive: "
        "minScale of them do, of VIPs that are not on a LAN. NPlusM: one, and bufferEngines are "
        "kept in reserve.",
    },
    (EngineGroupSpec, "min_scale"): {
        "description": "How many engines hold a VIP at once in mode ActiveActive. 1 by default.",
    },
    (EngineGroupSpec, "max_scale"): {
        "description": "How many engines may hold a VIP at once, whatever its Services ask for; 0 "
        "(the default) is no limit.",
    },
    (EngineGroupSpec, "buffer_engines"): {
        "description": "How many engines, the last by name, hold nothing in mode NPlusM while the "
        "others are able, and take over first.",
    },
    (EngineGroupSpec, "max_vips_per_engine"): {
        "description": "No engine is the home of more; 0 (the default) is no limit. A take-over "
        "comes before it.",
    },
    (EngineGroupSpec, "failback"): {
        "description": "True by default: VIPs return to an engine that is able again. False: they "
        "stay where they were taken over.",
    },
}

_COLUMNS = (
    Column("Mode", ".spec.mode", about="Empty: ActiveStandby."),
    Column("Min", ".spec.minScale", "integer", about="Empty: 1."),
    Column("Max-VIPs", ".spec.maxVipsPerEngine", "integer", about="Empty: no limit."),
    IN_USE,
    Column("SE-Groups", ".spec.seGroups", wide=True),
    WHY_NOT,
    AGE,
)


def engine_groups(versions: tuple[str, ...]) -> Definition:
    """The definition of EngineGroup."""
    names = Names("enginegroups", short=("eng",), categories=("fairlead",))
    return definition(names, Shape(EngineGroup, _EXTRAS, _COLUMNS, status()), versions)
