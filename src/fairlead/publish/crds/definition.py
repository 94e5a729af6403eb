"""CustomResourceDefinition objects (apiextensions.k8s.io/v1): a kind around its schema."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fairlead.model.kube import KubeObject
from fairlead.publish.crds.convert import Extras, Schema, openapi

Definition = dict[str, Any]
"""A CustomResourceDefinition, ready to be written as YAML or JSON."""

API_VERSION = (
    "The version of this object's schema, as group/version. Servers convert known schemas to the "
    "latest."
)
KIND = "The kind of the object, in CamelCase. Cannot be updated."


class Column(NamedTuple):
    """A column of `kubectl get`. ``wide``: only with `-o wide`. ``kind``: an OpenAPI type."""

    name: str
    path: str
    kind: str = "string"
    wide: bool = False
    about: str = ""


AGE = Column("Age", ".metadata.creationTimestamp", "date")


class Names(NamedTuple):
    """What the kind is called beside its name; ``short`` is for `kubectl get`."""

    plural: str
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class Shape(NamedTuple):
    """All that a version has. ``status``: the schema of a status, which makes it a subresource."""

    kind: type[KubeObject]
    extras: Extras
    columns: Sequence[Column]
    status: Schema | None = None


def definition(names: Names, shape: Shape, versions: Sequence[str]) -> Definition:
    """The definition of a cluster-scoped kind; of its versions the last is the one that is
    stored."""
    kind = shape.kind
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{kind.GROUP}"},
        "spec": {
            "group": kind.GROUP,
            "names": _names(kind.KIND, names),
            "scope": "Cluster",
            "versions": [_version(name, shape, stored=name == versions[-1]) for name in versions],
        },
    }


def _names(kind: str, names: Names) -> dict[str, Any]:
    said: dict[str, Any] = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": names.plural,
        "singular": kind.lower(),
    }
    if names.short:
        said["shortNames"] = list(names.short)
    if names.categories:
        said["categories"] = list(names.categories)
    return said


def _version(name: str, shape: Shape, *, stored: bool) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": name,
        "served": True,
        "storage": stored,
        "additionalPrinterColumns": [_column(column) for column in shape.columns],
        "schema": {"openAPIV3Schema": _root(shape)},
    }
    if shape.status is not None:
        version["subresources"] = {"status": {}}
    return version


def _column(column: Column) -> dict[str, Any]:
    said: dict[str, Any] = {"name": column.name, "type": column.kind, "jsonPath": column.path}
    if column.wide:
        said["priority"] = 1
    if column.about:
        said["description"] = column.about
    return said


def _root(shape: Shape) -> Schema:
    """The schema of the whole object; of its metadata the API server knows all itself."""
    schema = openapi(shape.kind, shape.extras)
    properties = schema["properties"]
    schema["properties"] = {
        "apiVersion": {"description": API_VERSION, "type": "string"},
        "kind": {"description": KIND, "type": "string"},
        "metadata": {"type": "object"},
        **{name: part for name, part in properties.items() if name != "metadata"},
    }
    schema["required"] = [name for name in schema["required"] if name != "metadata"]
    if shape.status is not None:
        schema["properties"]["status"] = shape.status
    return schema
