"""ConfigMap ``vcloud-ccm-configmap`` of the cloud provider for VMware Cloud Director.

The provider decodes it strictly, so an unknown key is an error here too, and names the key.
``oneArm`` is on when its block is present; the block may also say ``enabled``, as the provider's
documentation puts it. ``vipSubnet`` follows DESIGN's rule for pools, not the provider's: network
and broadcast address of a CIDR of /30 and larger are left out, where the provider hands out all.
"""

from typing import Any, NamedTuple

import msgspec
import ryaml
from immutables import Map
from msgspec import Struct

from fairlead.dialects.facts import Broken, Tiers
from fairlead.dialects.pools import read_span
from fairlead.dialects.reading import shown
from fairlead.model.addresses import AddressRange, usable
from fairlead.model.claim import InternalTier, Pool
from fairlead.model.kube import ConfigMap
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, Reason, State, Verdict
from fairlead.model.world import World

CONFIG_MAP = "vcloud-ccm-configmap"
HOME = "kube-system"
KEY = "vcloud-ccm-config.yaml"
LONGEST = 65536
"""Characters of the configuration that are read."""
EXTERNAL = "vcd-external"
ONE_ARM = "vcd-one-arm"
FIRST, LAST = "192.168.8.2", "192.168.8.100"
Scalar = str | int | float | bool | None
"""A value that is not used here; the provider's decoder takes any scalar for text."""


class Cloud(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """``vcd``: where the cloud is. Read to be checked only."""

    host: Scalar = None
    org: Scalar = None
    vdc: Scalar = None
    is_zone_enabled_cluster: bool | None = None


class OneArm(Struct, frozen=True, forbid_unknown_fields=True):
    """``loadbalancer.oneArm``: the range of internal addresses, first to last inclusive."""

    start: str | None = msgspec.field(name="startIP", default=None)
    end: str | None = msgspec.field(name="endIP", default=None)
    enabled: bool = True

    @property
    def text(self) -> str:
        """The range as text, with the defaults of the provider's manifest."""
        return f"{self.start or FIRST}-{self.end or LAST}"


class Ports(Struct, frozen=True, forbid_unknown_fields=True):
    """``loadbalancer.ports``: a leftover that the provider does not use either."""

    http: int | None = None
    https: int | None = None


class LoadBalancer(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """``loadbalancer``."""

    one_arm: OneArm | None = None
    ports: Ports | None = None
    network: Scalar = None
    vip_subnet: str | None = None
    cert_alias: Scalar = None
    shared: bool | None = msgspec.field(name="enableVirtualServiceSharedIP", default=None)


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

    vcd: Cloud | None = None
    loadbalancer: LoadBalancer | None = None
    clusterid: Scalar = None
    v_app_name: Scalar = msgspec.field(name="vAppName", default=None)


class Provider(NamedTuple):
    """What the ConfigMap comes to: pools of its own, tiers (None: there is no ConfigMap), and what
    there is to say about it."""

    pools: tuple[Pool, ...] = ()
    tiers: Tiers | Broken | None = None
    verdicts: Map[Ref, Verdict] = Map()


def read_config(world: World) -> Provider:
    """The configuration of a world. Of several ConfigMaps the one in ``kube-system`` counts, else
    the first by namespace; the others get a verdict that says so."""
    found = {item.ref: item for item in world.every(ConfigMap) if item.name == CONFIG_MAP}
    lost = {r for r in world.problems if r.kind == ConfigMap.KIND and r.name == CONFIG_MAP}
    order = sorted(found.keys() | lost, key=lambda ref: (ref.namespace != HOME, ref))
    if not order:
        return Provider()
    first, *others = order
    unused = {ref: _unused(ref, first) for ref in others}
    item = found.get(first)
    if item is None:
        return Provider(tiers=Broken(first), verdicts=Map(unused))
    provider = _read(item)
    return provider._replace(verdicts=provider.verdicts.update(unused))


def problem_of(item: ConfigMap) -> Reason | None:
    """Why a provider's ConfigMap cannot be used; None when it can, or is somebody else's. A source
    asks before it replaces a version that could be read."""
    if item.name != CONFIG_MAP:
        return None
    provider = _read(item)
    broken = isinstance(provider.tiers, Broken)
    return provider.verdicts[item.ref].reason if broken else None


def _unused(ref: Ref, used: Ref) -> Verdict:
    message = f"{used} is used instead; keep one ConfigMap of this name."
    return Verdict(ref, State.IGNORED, Reason(Code.INVALID_OBJECT, message))


def _read(item: ConfigMap) -> Provider:
    document = _document(item)
    made = document if isinstance(document, Reason) else _provider(item.ref, document)
    if isinstance(made, Reason):
        verdict = Verdict(item.ref, State.REJECTED, made, dialect="vcd")
        return Provider(tiers=Broken(item.ref), verdicts=Map({item.ref: verdict}))
    return made


def _document(item: ConfigMap) -> Document | Reason:
    text = (item.data or {}).get(KEY)
    if text is None:
        return _wrong(f"has no key {KEY} in data; add it")
    if len(text) > LONGEST:
        return _wrong(f"{KEY} is longer than {LONGEST} characters; shorten it")
    try:
        return msgspec.convert(_parsed(text), Document)
    except ValueError as error:
        return _wrong(f"{KEY} cannot be read: {_plain(error)}; correct it")


def _parsed(text: str) -> Any:
    return ryaml.loads(text) or {}  # type: ignore[attr-defined]  # it is not in __all__


def _plain(error: Exception) -> str:
    return shown(str(error), most=200).strip("'\"")


def _wrong(message: str) -> Reason:
    return Reason(Code.INVALID_OBJECT, f"{message}.")


def _provider(ref: Ref, document: Document) -> Provider | Reason:
    settings = document.loadbalancer or LoadBalancer()
    outside = _external(settings.vip_subnet or "")
    if isinstance(outside, Reason):
        return outside
    inside = _one_arm(settings)
    if isinstance(inside, Reason):
        return inside
    return Provider(
        pools=(*outside, *inside),
        tiers=Tiers(ref, tuple(pool.name for pool in outside), _tier(settings)),
    )


def _external(subnet: str) -> tuple[Pool, ...] | Reason:
    if not subnet.strip():
        return ()
    span = read_span("loadbalancer.vipSubnet", subnet)
    if isinstance(span, Reason):
        return span
    return (_pool(EXTERNAL, usable(span, avoid_first_last=True)),)


def _one_arm(settings: LoadBalancer) -> tuple[Pool, ...] | Reason:
    if _tier(settings) is None:
        return ()
    block = settings.one_arm or OneArm()
    span = read_span("loadbalancer.oneArm startIP-endIP", block.text)
    return span if isinstance(span, Reason) else (_pool(ONE_ARM, span),)


def _tier(settings: LoadBalancer) -> InternalTier | None:
    """Shared without one-arm needs no second tier; not shared means an internal address per
    listener, with or without one-arm, as the provider's documentation lists it."""
    one_arm = settings.one_arm is not None and settings.one_arm.enabled
    if settings.shared and not one_arm:
        return None
    return InternalTier(ONE_ARM, per_listener=not settings.shared)


def _pool(name: str, span: AddressRange) -> Pool:
    return Pool(name=name, ranges=(span,), auto_assign=False)
