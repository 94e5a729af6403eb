"""Short ways to write claims, pools and engines for the planner's tests."""

from collections.abc import Iterable
from ipaddress import ip_address

from immutables import Map

from fairlead.model.addresses import parse_range, usable
from fairlead.model.claim import (
    Backend,
    Claim,
    Claims,
    Engine,
    EngineRule,
    InternalTier,
    ListenerClaim,
    Pool,
)
from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.model.names import GroupKey, Ref
from fairlead.model.plan import Plan
from fairlead.model.verdict import Verdict
from fairlead.planner import plan, verdict

HERE = Engine("here")
RULES = Map({"default": EngineRule(name="default", engines=(HERE,))})


def ref(name: str, namespace: str = "default") -> Ref:
    return Ref("Service", namespace, name)


def pool(name: str = "blue", *ranges: str, **options: object) -> Pool:
    spans = tuple(
        usable(parse_range(text), avoid_first_last=True)
        for text in (ranges or ("192.0.2.10-192.0.2.19",))
    )
    return Pool(name=name, ranges=spans, **options)  # type: ignore[arg-type]


def backends(*addresses: str, node: str = "") -> tuple[Backend, ...]:
    return tuple(Backend(ip_address(a), 8080, node) for a in addresses or ("10.244.0.1",))


def claim(
    name: str,
    *ports: str | ListenerClaim,
    namespace: str = "default",
    share: str = "",
    static: Iterable[str] = (),
    by_address: bool = False,
    created: str = "",
    internal: InternalTier | None = None,
    **options: object,
) -> Claim:
    """A claim; ports are ``80/TCP``, ``share`` a sharing key; ``by_address`` groups as kube-vip."""
    addresses = tuple(ip_address(a) for a in static)
    group: GroupKey | None = GroupKey("ako", "service", namespace, name)
    if share:
        group = GroupKey("ako", "shared-vip", namespace, share)
    if by_address and addresses:
        group = None
    listeners = tuple(
        port
        if isinstance(port, ListenerClaim)
        else ListenerClaim(port.split("/")[1], int(port.split("/")[0]), backends())  # type: ignore[arg-type]
        for port in ports or ("80/TCP",)
    )
    options.setdefault("families", tuple(sorted({a.version for a in addresses})))
    return Claim(
        ref=ref(name, namespace),
        dialect="kube-vip" if by_address else "ako",
        group=group,
        created=created,
        addresses=addresses,
        listeners=listeners,
        internal=internal,
        outside_pools=by_address,
        **options,  # type: ignore[arg-type]
    )


def world(*claims: Claim, pools: Iterable[Pool] = (), **options: object) -> Claims:
    """Claims as the dialects would hand them over."""
    options.setdefault("engine_rules", RULES)
    options.setdefault("config", Config())
    by_ref: dict[Ref, tuple[Claim, ...]] = {}
    for item in claims:
        by_ref[item.ref] = (*by_ref.get(item.ref, ()), item)
    ordered = tuple(sorted(pools, key=lambda p: (-p.priority, p.name)))
    return Claims(by_ref=Map(by_ref), pools=ordered, **options)  # type: ignore[arg-type]


def planned(*claims: Claim, pools: Iterable[Pool] | None = None, **options: object) -> Plan:
    """A first plan, from one pool unless said otherwise."""
    return plan(world(*claims, pools=(pool(),) if pools is None else pools, **options), Ledger())


def then(
    before: Plan, *claims: Claim, pools: Iterable[Pool] | None = None, **options: object
) -> Plan:
    """The plan after these claims replaced all those before, planned in full on the same ledger."""
    kept = before.claims.pools if pools is None else pools
    options.setdefault("config", before.claims.config)
    return plan(world(*claims, pools=kept, **options), before.ledger)


def said(decided: Plan, name: str, namespace: str = "default") -> Verdict:
    found = verdict(decided, ref(name, namespace))
    assert found is not None
    return found


def addresses(decided: Plan, name: str, namespace: str = "default") -> list[str]:
    return [a.compressed for a in said(decided, name, namespace).addresses]
