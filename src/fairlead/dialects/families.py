"""Which address families a Service wants, from ``ipFamilies``, ``ipFamilyPolicy`` and its static
addresses.

The API server fills these fields in by the same rules (two families without a policy mean
RequireDualStack), so a manifest and the object it becomes on a cluster ask for the same.
"""

from typing import NamedTuple

from fairlead.dialects.reading import invalid
from fairlead.dialects.statics import FAMILY_NAMES
from fairlead.model.addresses import Family, IPAddress
from fairlead.model.claim import FamilyPolicy
from fairlead.model.kube import ServiceSpec
from fairlead.model.verdict import Reason

NUMBERS: dict[str, Family] = {"IPv4": 4, "IPv6": 6}
POLICIES: dict[str, FamilyPolicy] = {
    "SingleStack": "SingleStack",
    "PreferDualStack": "PreferDualStack",
    "RequireDualStack": "RequireDualStack",
}


class Families(NamedTuple):
    """The families in order of preference (none = any) and whether a second one is wanted."""

    order: tuple[Family, ...] = ()
    policy: FamilyPolicy = "SingleStack"


ANY = Families()


def read_families(spec: ServiceSpec, addresses: tuple[IPAddress, ...]) -> Families | Reason:
    """The families of a Service; a Reason when the fields contradict each other or the addresses.

    Without ``ipFamilies`` they are those of the static addresses.
    """
    if not (spec.ip_families or spec.ip_family_policy or addresses):
        return ANY
    asked = _families(spec.ip_families or ())
    if isinstance(asked, Reason):
        return asked
    policy = _policy(spec, asked or tuple(a.version for a in addresses))
    if isinstance(policy, Reason):
        return policy
    return _mismatch(spec, addresses, asked) or Families(_order(asked, addresses, policy), policy)


def _families(names: tuple[str, ...]) -> tuple[Family, ...] | Reason:
    for name in names:
        if name not in NUMBERS:
            return invalid("spec.ipFamilies", name, "is no IP family; write IPv4 or IPv6")
    if len(set(names)) != len(names):
        return invalid("spec.ipFamilies", ",".join(names), "names a family twice; name each once")
    return tuple(NUMBERS[name] for name in names)


def _policy(spec: ServiceSpec, wanted: tuple[Family, ...]) -> FamilyPolicy | Reason:
    text = spec.ip_family_policy
    if not text:
        return "RequireDualStack" if len(wanted) > 1 else "SingleStack"
    policy = POLICIES.get(text)
    if policy is None:
        why = f"is no policy; write one of {', '.join(POLICIES)}"
        return invalid("spec.ipFamilyPolicy", text, why)
    if policy == "SingleStack" and len(wanted) > 1:
        why = "allows one family, but two are asked for; use PreferDualStack or name one"
        return invalid("spec.ipFamilyPolicy", text, why)
    return policy


def _mismatch(
    spec: ServiceSpec, addresses: tuple[IPAddress, ...], asked: tuple[Family, ...]
) -> Reason | None:
    for address in addresses:
        if (
            asked
            and address.version not in asked
            and spec.ip_family_policy in (None, "", "SingleStack")
        ):
            field = f"static address {address.compressed} is {FAMILY_NAMES[address.version]}, but"
            why = "does not list that family; add the family or change the address"
            return invalid(f"{field} spec.ipFamilies", ",".join(spec.ip_families or ()), why)
    return None


def _order(
    asked: tuple[Family, ...], addresses: tuple[IPAddress, ...], policy: FamilyPolicy
) -> tuple[Family, ...]:
    order = asked or tuple(address.version for address in addresses)
    if policy == "SingleStack":
        return order
    return (order or (4,)) + tuple(f for f in (4, 6) if f not in (order or (4,)))
