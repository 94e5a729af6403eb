"""Identities: the objects people wrote and the groups that the planner makes of them.

Both are typed tuples. A joined string such as ``cluster--namespace-key`` lets (``a``, ``b-c``) and
(``a-b``, ``c``) collide; a tuple cannot.
"""

from typing import Literal, NamedTuple

Protocol = Literal["TCP", "UDP", "SCTP"]


class Ref(NamedTuple):
    """One object, as ``kubectl`` names it. ``namespace`` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Kind/namespace/name, or Kind/name where the kind is cluster-scoped."""
        return "/".join(part for part in self if part)


class GroupKey(NamedTuple):
    """The claims that must live on one VIP (DESIGN, "Group").

    ``scope`` says what ``name`` counts in, for instance ``shared-vip`` or ``service``; the
    namespace is empty where a group may span namespaces.
    """

    dialect: str
    scope: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """A readable form that is unambiguous: only ``name``, the last part, may hold a slash."""
        return "/".join((self.dialect, self.scope, self.namespace or "-", self.name))


def ref_of(text: str) -> Ref:
    """The inverse of ``str(ref)``; raises ValueError for text that is not Kind[/namespace]/name."""
    match text.split("/"):
        case [kind, namespace, name]:
            return Ref(kind, namespace, name)
        case [kind, name]:
            return Ref(kind, "", name)
    raise ValueError(f"{text!r} is not KIND/NAMESPACE/NAME or KIND/NAME")
