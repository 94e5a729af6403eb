"""The kinds of ``fairlead.dev/v1alpha1``, cluster-scoped.

Unknown fields are errors here: a misspelt key in an object that is ours must not be silently
without effect.
"""

from typing import Annotated, Literal

from msgspec import Meta as Check
from msgspec import Struct

from fairlead.model.kube import KubeObject

Announce = Literal["l2", "bgp", "none"]
Mode = Literal["ActiveStandby", "ActiveActive", "NPlusM"]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


class Requirement(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """meta/v1 LabelSelectorRequirement."""

    key: str
    operator: Operator
    values: tuple[str, ...] | None = None

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether the labels satisfy it, by the API's rules (NotIn holds for an absent key)."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in (self.values or ())
            case "NotIn":
                return value is None or value not in (self.values or ())
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None


class Selector(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """meta/v1 LabelSelector; an empty one selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether all its terms hold for the labels."""
        wanted = self.match_labels or {}
        return all(labels.get(k) == v for k, v in wanted.items()) and all(
            term.matches(labels) for term in self.match_expressions or ()
        )


class Sharing(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """AddressPool spec.sharing."""

    cross_namespace: bool = True


class AddressPoolSpec(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """AddressPool spec (DESIGN §5). ``addresses``: CIDRs, ``a-b`` ranges or single addresses."""

    addresses: Annotated[tuple[str, ...], Check(min_length=1)]
    networks: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None
    namespace_selector: Selector | None = None
    service_selector: Selector | None = None
    priority: int = 0
    auto_assign: bool = True
    avoid_first_last: bool = True
    sharing: Sharing | None = None
    announce: Announce = "l2"


class AddressPool(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Address ranges that VIPs are allocated from."""

    KIND = "AddressPool"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: AddressPoolSpec


class EngineGroupSpec(
    Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """EngineGroup spec (DESIGN §5). Zero for a maximum means no limit."""

    node_selector: Selector | None = None
    se_groups: tuple[str, ...] | None = None
    mode: Mode = "ActiveStandby"
    min_scale: Annotated[int, Check(ge=1)] = 1
    max_scale: Annotated[int, Check(ge=0)] = 0
    buffer_engines: Annotated[int, Check(ge=0)] = 0
    max_vips_per_engine: Annotated[int, Check(ge=0)] = 0
    failback: bool = True


class EngineGroup(KubeObject, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Which engines serve, and how many of them hold a VIP."""

    KIND = "EngineGroup"
    GROUP = "fairlead.dev"
    CLUSTER = True

    spec: EngineGroupSpec
