"""Engine: what an engine holds, as its agent reports it."""

from fairlead.model.objects import Engine, EngineSpec
from fairlead.publish.crds.convert import Extras
from fairlead.publish.crds.definition import AGE, Column, Definition, Names, Shape, definition

_EXTRAS: Extras = {
    (EngineSpec, "holds"): {"description": "The addresses that it holds.", "maxItems": 65536},
    (EngineSpec, "problems"): {
        "description": "What keeps it from holding what it should.",
        "maxItems": 100,
    },
}
_COLUMNS = (
    Column("Holds", ".spec.count", "integer", about="How many addresses."),
    Column("Rightful", ".spec.rightful", "boolean", about="Empty: true."),
    Column("Side", ".spec.side", wide=True),
    Column("Problems", ".spec.problems", wide=True),
    AGE,
)


def engines(versions: tuple[str, ...]) -> Definition:
    """The definition of Engine."""
    names = Names("engines", short=("fengine",), categories=("fairlead",))
    return definition(names, Shape(Engine, _EXTRAS, _COLUMNS), versions)
