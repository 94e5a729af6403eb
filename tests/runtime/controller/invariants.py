"""What must hold of a cluster at rest, whatever happened: no address lost, doubled or stale."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from fairlead.model.ledger import Spot
from fairlead.model.virtualip import object_name

SERVED = "fairlead.dev/Served"
NO_ADDRESS = frozenset({"False"})


def faults_of(services: Iterable[Any], virtual_ips: Iterable[Any]) -> list[str]:
    """Everything that does not fit together, in words."""
    by_name = {_name(one): one for one in services}
    ledger = {one["metadata"]["name"]: one["spec"] for one in virtual_ips}
    return [
        *_of_ledger(ledger),
        *_of_members(ledger, by_name),
        *_of_services(ledger, by_name),
    ]


def _of_ledger(ledger: dict[str, Any]) -> Iterator[str]:
    """Each object is named by its address, and each group has one address per slot and family."""
    taken: dict[tuple[Any, ...], str] = {}
    for name, spec in ledger.items():
        address = ip_address(spec["address"])
        if name != object_name(Spot(spec.get("space", "default"), address)):
            yield f"VirtualIP {name} has the address {address}"
        if spec.get("reserve"):
            continue
        place = (*sorted(spec["group"].items()), spec.get("slot", ""), address.version)
        if place in taken:
            yield f"VirtualIPs {name} and {taken[place]} are of one group: {spec['group']}"
        taken[place] = name
        if not spec.get("members") and not spec.get("suspended"):
            yield f"VirtualIP {name} serves nobody"


def _of_members(ledger: dict[str, Any], services: dict[str, Any]) -> Iterator[str]:
    """Who is a member exists, is served, and shows the address."""
    for name, spec in ledger.items():
        for member in () if spec.get("reserve") else spec.get("members", ()):
            one = services.get(member.removeprefix("Service/"))
            if one is None:
                yield f"VirtualIP {name}: {member} does not exist"
            elif spec["address"] not in _shown(one):
                yield f"VirtualIP {name}: {member} shows {_shown(one)}"


def _of_services(ledger: dict[str, Any], services: dict[str, Any]) -> Iterator[str]:
    """Who shows an address is a member of it, and says so; who is not served shows none."""
    for name, one in services.items():
        said, shown = _condition(one), _shown(one)
        balanced = one["spec"]["type"] == "LoadBalancer"
        if said and not balanced:
            yield f"Service {name} is {one['spec']['type']} and has our condition"
        if not balanced and shown:
            yield f"Service {name} is {one['spec']['type']} and shows {shown}"
        if said is None:
            continue
        if said["status"] in NO_ADDRESS and shown:
            yield f"Service {name} is {said['reason']} and shows {shown}"
        if said["status"] == "True" and not shown:
            yield f"Service {name} is served and shows nothing"
        for address in shown:
            holders = [n for n, spec in ledger.items() if spec["address"] == address]
            if not any(f"Service/{name}" in ledger[n].get("members", ()) for n in holders):
                yield f"Service {name} shows {address}, which is none of its own: {holders}"


def _name(one: Any) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


def _shown(one: Any) -> list[str]:
    entries = one.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return [entry["ip"] for entry in entries if "ip" in entry]


def _condition(one: Any) -> Any:
    conditions = one.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == SERVED), None)
