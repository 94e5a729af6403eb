"""Structs as structural schemas (OpenAPI v3, as CustomResourceDefinitions take them).

A converter of our own, because what msgspec makes is JSON Schema with ``$ref`` and ``default``:
the API server takes no reference, and a default would be written into every stored object. Lists
are atomic, so that managed fields stay small.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from fairlead.publish.crds.docs import doc_of

Schema = dict[str, Any]
Place = tuple[type[msgspec.Struct], str]
"""A Struct and one of its fields; ``field[]`` is what its list holds, and an empty name the Struct
itself."""
Extras = Mapping[Place, Schema]
"""What a Struct cannot say, to be added at a place: rules, bounds and words."""

INT32 = 1 << 31


def openapi(kind: type[msgspec.Struct], extras: Extras) -> Schema:
    """The structural schema of a Struct.

    TypeError for a type that the API has no schema for, KeyError for an extra whose field is no
    more: a rule must not go unnoticed because a field was renamed.
    """
    for owner, name in extras:
        if name and name.removesuffix("[]") not in owner.__struct_fields__:
            raise KeyError(f"{owner.__name__} has no field {name}")
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return _struct(found, extras)


def _struct(found: inspect.StructType, extras: Extras) -> Schema:
    doc = doc_of(found.cls)
    schema: Schema = {"description": doc.text} if doc.text else {}
    schema["type"] = "object"
    required = [field.encode_name for field in found.fields if field.required]
    if required:
        schema["required"] = required
    schema["properties"] = {
        field.encode_name: _property(found.cls, field, doc.fields, extras) for field in found.fields
    }
    return schema | extras.get((found.cls, ""), {})


def _property(owner: type, field: inspect.Field, docs: Mapping[str, str], extras: Extras) -> Schema:
    schema = _schema(field.type, extras)
    if "items" in schema:
        schema["items"] |= extras.get((owner, f"{field.name}[]"), {})
    if field.name in docs:
        schema["description"] = docs[field.name]
    schema |= extras.get((owner, field.name), {})
    if "description" not in schema:
        return schema
    return {"description": schema.pop("description"), **schema}


def _schema(kind: inspect.Type, extras: Extras) -> Schema:
    match kind:
        case inspect.StructType():
            return _struct(kind, extras)
        case inspect.UnionType(types=types):
            return _optional(types, extras)
        case inspect.VarTupleType() | inspect.ListType():
            return _list(kind, extras)
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _schema(value, extras)}
        case inspect.LiteralType(values=values):
            return {"type": "string", "enum": list(values)}
        case inspect.StrType():
            return _text(kind)
        case inspect.IntType():
            return _number(kind)
        case inspect.BoolType():
            return {"type": "boolean"}
        case _:
            raise TypeError(f"no schema for {kind}")


def _optional(types: tuple[inspect.Type, ...], extras: Extras) -> Schema:
    """A field that may be absent, which for the API is nothing special."""
    given = [one for one in types if not isinstance(one, inspect.NoneType)]
    if len(given) != 1:
        raise TypeError(f"no schema for a choice of {len(given)} types")
    return _schema(given[0], extras)


def _list(kind: inspect.VarTupleType | inspect.ListType, extras: Extras) -> Schema:
    bounds = _present(minItems=kind.min_length, maxItems=kind.max_length)
    items = _schema(kind.item_type, extras)
    return {"type": "array", "items": items, "x-kubernetes-list-type": "atomic"} | bounds


def _text(kind: inspect.StrType) -> Schema:
    bounds = _present(minLength=kind.min_length, maxLength=kind.max_length, pattern=kind.pattern)
    return {"type": "string"} | bounds


def _number(kind: inspect.IntType) -> Schema:
    if kind.gt is not None or kind.lt is not None or kind.multiple_of is not None:
        raise TypeError(f"say {kind} with ge and le")
    small = kind.ge is not None and kind.le is not None and -INT32 <= kind.ge <= kind.le < INT32
    schema: Schema = {"type": "integer", "format": "int32" if small else "int64"}
    return schema | _present(minimum=kind.ge, maximum=kind.le)


def _present(**bounds: int | str | None) -> Schema:
    return {name: value for name, value in bounds.items() if value is not None}
