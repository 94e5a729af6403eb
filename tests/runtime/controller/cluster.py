"""A cluster as the tests of the controller see it: its objects, its replicas, and what was written.

What was written is counted by the API server itself (``apiserver_request_total``), and
:meth:`Cluster.faults` compares the ledger with what Services show, from outside.
"""

import asyncio
import itertools
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from fairlead.lab.kubernetes import ControlPlane
from fairlead.publish.crds import ako_definitions, definitions
from fairlead.sources.kube import MERGE, ApiClient, ApiError, kubeconfig_access

from .invariants import faults_of
from .manifests import Object, pool
from .replica import Replica, ReplicaOptions

VIRTUAL_IPS = "/apis/fairlead.dev/v1alpha1/virtualips"
POOLS = "/apis/fairlead.dev/v1alpha1/addresspools"
ADDRESS_LEASES = "/apis/fairlead.dev/v1alpha1/addressleases"
SETTINGS = "/apis/ako.vmware.com/v1beta1/aviinfrasettings"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
WRITING = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
OWN_AFFAIRS = frozenset(
    {
        "leases",
        "endpoints",
        "endpointslices",
        "namespaces",
        "events",
        "ipaddresses",
        "servicecidrs",
        "clusterroles",
    }
)
"""Resources that the API server and these tests write, and Leases, renewed at rest. Events are
seen in :meth:`Cluster.events`."""
PATHS = {
    "Service": "/api/v1/namespaces/{}/services",
    "AddressPool": POOLS,
    "EngineGroup": "/apis/fairlead.dev/v1alpha1/enginegroups",
    "VirtualIP": VIRTUAL_IPS,
    "AddressLease": ADDRESS_LEASES,
    "AviInfraSetting": SETTINGS,
}
PATIENCE = 30.0
Writes = Counter[tuple[str, str]]
"""(verb, resource[/subresource]) -> how often the API server was asked to."""
_numbers = itertools.count(1)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def install(control: ControlPlane) -> None:
    """Install the definitions, and wait for them."""
    made = [*definitions(), *ako_definitions()]
    control.apply(made)
    names = [f"crd/{one['metadata']['name']}" for one in made]
    control.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")


def run(scenario: Awaitable[None], timeout: float = 100.0) -> None:
    """Run a test that awaits."""

    async def bounded() -> None:
        async with asyncio.timeout(timeout):
            await scenario

    asyncio.run(bounded())


@asynccontextmanager
async def cluster(plane: ControlPlane, *addresses: str, **options: Any) -> AsyncIterator["Cluster"]:
    """A namespace of its own and a pool with these addresses; everything goes at the end.
    ``options`` are those of every replica."""
    async with ApiClient(kubeconfig_access([plane.kubeconfig]), timeout=180.0) as client:
        one = Cluster(plane, client, ReplicaOptions(**options))
        await one.open()
        try:
            if addresses:
                await one.create(pool("pool", *addresses))
            yield one
        finally:
            await one.close()


class Cluster:
    """Made by :func:`cluster`."""

    def __init__(self, plane: ControlPlane, client: ApiClient, options: ReplicaOptions) -> None:
        self.plane, self.client, self.options = plane, client, options
        self.namespace = f"controller-{next(_numbers)}"
        self.replicas: dict[str, Replica] = {}

    async def open(self) -> None:
        """Make the namespace."""
        meta = {"metadata": {"name": self.namespace}}
        await self.send("POST", "/api/v1/namespaces", meta)

    async def close(self) -> None:
        """Stop the replicas and remove everything."""
        for replica in [*self.replicas.values()]:
            await replica.crash()
        services = PATHS["Service"].format(self.namespace)
        for one in await self.objects("Service"):
            if one["metadata"].get("finalizers"):
                where = f"{services}/{one['metadata']['name']}"
                await self.patch(where, {"metadata": {"finalizers": None}})
        for path in (
            services,
            VIRTUAL_IPS,
            ADDRESS_LEASES,
            POOLS,
            SETTINGS,
            LEASES.format(self.namespace),
        ):
            await self.clear(path)

    async def clear(self, path: str) -> None:
        """Delete all of a kind. The API server does it one by one, and gives up after a minute."""
        while True:
            try:
                await self.send("DELETE", path)
            except ApiError as error:
                if error.status != 504:
                    raise
            else:
                return

    # -- replicas --------------------------------------------------------------------------------

    async def start(self, name: str = "a", **options: Any) -> Replica:
        """A replica in this process; returns at once."""
        replica = Replica(name, self.plane, self.namespace, self.options.but(**options))
        self.replicas[name] = replica
        replica.start()
        return replica

    @property
    def leaders(self) -> list[Replica]:
        """Who leads, in their own opinion."""
        return [one for one in self.replicas.values() if one.leads]

    async def leader(self, within: float = PATIENCE) -> Replica:
        """Wait until somebody leads."""
        await self.until(lambda: self.leaders, "somebody leads", within)
        return self.leaders[0]

    async def idle(self, within: float = PATIENCE) -> Replica:
        """Wait until somebody leads and has nothing left to write, twice in a row."""
        calm = 0

        def so() -> bool:
            nonlocal calm
            calm = calm + 1 if [r for r in self.leaders if not len(r.controller.work)] else 0
            return calm > 2

        await self.until(so, "somebody leads and is done", within, every=0.03)
        return self.leaders[0]

    async def settled(self, served: int | None = None, within: float = PATIENCE) -> None:
        """Wait until the leader has nothing to write and the ledger and all Services agree, with so
        many of them ``served``."""
        deadline = monotonic() + within
        while True:
            await self.idle(within)
            faults = await self.faults()
            services = (await self.send("GET", "/api/v1/services"))["items"]
            count = sum(is_served(one) for one in services)
            if not faults and served in (None, count):
                return
            said = [(r.name, r.failures[-5:]) for r in self.replicas.values()]
            assert monotonic() < deadline, f"{count} are served; {faults[:20]}; {said}"
            await asyncio.sleep(0.05)

    async def until(
        self,
        condition: Callable[[], Any],
        what: str,
        within: float = PATIENCE,
        every: float = 0.01,
    ) -> None:
        """Wait until something is so."""
        deadline = monotonic() + within
        while not condition():
            for replica in self.replicas.values():
                replica.check()
            said = [(r.name, r.leads, r.failures[-5:]) for r in self.replicas.values()]
            assert monotonic() < deadline, f"not in time: {what}; {said}"
            await asyncio.sleep(every)

    async def eventually(
        self, condition: Callable[[], Awaitable[Any]], what: str, within: float = PATIENCE
    ) -> None:
        """Wait until the API says that something is so."""
        deadline = monotonic() + within
        while not await condition():
            for replica in self.replicas.values():
                replica.check()
            said = [(r.name, r.leads, r.failures[-5:]) for r in self.replicas.values()]
            assert monotonic() < deadline, f"not in time: {what}; {said}"
            await asyncio.sleep(0.05)

    # -- objects ---------------------------------------------------------------------------------

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """One request as the admin; 404 is None. While the API server asks for patience (it does
        so for a moment after a definition was made), it is sent again."""
        data = None if body is None else json.dumps(body).encode()
        while True:
            try:
                answer = await self.client.send(method, path, data, **options)
            except ApiError as error:
                if error.status == 404:
                    return None
                if not error.too_many:
                    raise
                await asyncio.sleep(0.1)
            else:
                return json.loads(answer)

    def path(self, kind: str, name: str = "") -> str:
        """The path of a kind, or of one object."""
        path = PATHS[kind].format(self.namespace)
        return f"{path}/{name}" if name else path

    async def create(self, *objects: Object) -> None:
        """New objects, several at a time."""
        limit = asyncio.Semaphore(16)

        async def one(item: Object) -> None:
            async with limit:
                await self.send("POST", f"{self.path(item['kind'])}?fieldManager=kubectl", item)

        await asyncio.gather(*map(one, objects))

    async def patch(self, path: str, body: Any, *, content_type: str = MERGE) -> Any:
        """A merge patch, by somebody else."""
        manager = "" if "?" in path else "?fieldManager=kubectl"
        return await self.send("PATCH", path + manager, body, content_type=content_type)

    async def edit(self, name: str, **spec: Any) -> None:
        """Change a Service's spec."""
        await self.patch(self.path("Service", name), {"spec": spec})

    async def annotate(self, name: str, **notes: str | None) -> None:
        """Change a Service's annotations."""
        await self.patch(self.path("Service", name), {"metadata": {"annotations": notes}})

    async def delete(self, kind: str, *names: str) -> None:
        """Delete objects, several at a time."""
        limit = asyncio.Semaphore(16)

        async def one(name: str) -> None:
            async with limit:
                await self.send("DELETE", self.path(kind, name))

        await asyncio.gather(*map(one, names))

    async def get(self, kind: str, name: str) -> Any:
        """An object, or None."""
        return await self.send("GET", self.path(kind, name))

    async def objects(self, kind: str) -> list[Any]:
        """All objects of a kind, of this namespace."""
        answer = await self.send("GET", self.path(kind))
        return list(answer["items"]) if answer else []

    async def virtual_ips(self) -> dict[str, Any]:
        """All VirtualIPs: name -> spec."""
        return {one["metadata"]["name"]: one["spec"] for one in await self.objects("VirtualIP")}

    async def shown(self) -> dict[str, tuple[str, ...]]:
        """The addresses in the status of every Service that has some."""
        found = {
            one["metadata"]["name"]: addresses_of(one) for one in await self.objects("Service")
        }
        return {name: addresses for name, addresses in found.items() if addresses}

    async def address(self, name: str, within: float = PATIENCE) -> str:
        """The first address of a Service, when it has one."""
        found: dict[str, tuple[str, ...]] = {}

        async def served() -> bool:
            found.update(await self.shown())
            return name in found

        await self.eventually(served, f"{name} is served", within)
        return found[name][0]

    async def condition(self, name: str) -> Any:
        """Our condition of a Service, or None."""
        return condition_of(await self.get("Service", name))

    async def reason(self, name: str, reason: str) -> Any:
        """Wait until our condition gives that reason; returns the condition."""

        async def so() -> bool:
            found = await self.condition(name)
            return bool(found) and found["reason"] == reason

        await self.eventually(so, f"{name} is {reason}")
        return await self.condition(name)

    async def events(self) -> list[Any]:
        """Our Events in this namespace."""
        path = f"/api/v1/namespaces/{self.namespace}/events"
        found = (await self.send("GET", path))["items"]
        return [e for e in found if e["source"].get("component") == "fairlead-controller"]

    async def faults(self) -> list[str]:
        """What does not fit together; see :mod:`.invariants`."""
        services = (await self.send("GET", "/api/v1/services"))["items"]
        return faults_of(services, await self.objects("VirtualIP"))

    # -- what was written ------------------------------------------------------------------------

    async def writes(self) -> Writes:
        """Every write so far, by the API server's own count, but for Leases."""
        text = (await self.client.send("GET", "/metrics")).decode()
        found: Writes = Counter()
        for line in text.splitlines():
            if not line.startswith("apiserver_request_total{"):
                continue
            labels = dict(_LABEL.findall(line))
            if labels["verb"] in WRITING and labels["resource"] not in OWN_AFFAIRS:
                part = f"/{labels['subresource']}" if labels["subresource"] else ""
                found[labels["verb"], labels["resource"] + part] += int(float(line.split()[-1]))
        return found

    async def written(self, since: Writes) -> Writes:
        """The writes since then."""
        return Counter({key: n for key, n in (await self.writes() - since).items() if n})


def addresses_of(one: Any) -> tuple[str, ...]:
    """The addresses in a Service's status."""
    entries = one.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return tuple(entry["ip"] for entry in entries if "ip" in entry)


def is_served(one: Any) -> bool:
    """Whether a Service says that it is served."""
    found = condition_of(one)
    return found is not None and found["status"] == "True"


def condition_of(one: Any) -> Any:
    """Our condition in a Service's status."""
    conditions: Iterable[Any] = (one or {}).get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == "fairlead.dev/Served"), None)
