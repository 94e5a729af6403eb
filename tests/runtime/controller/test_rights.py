"""The controller with the rights that it is installed with, and without one of them.

The missing one is named, everything else goes on, and when it is granted what was left undone is
done, without a restart.
"""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from fairlead.lab.kubernetes import ControlPlane
from fairlead.sources.kube import kubeconfig_access

from .cluster import Cluster, cluster, run
from .manifests import pool, service
from .replica import QUICK

MANIFESTS = Path(__file__).parents[3] / "deploy" / "install.yaml"
USER = "controller"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
RANGE = "10.30.0.0/24"


def rules_of(kind: str) -> list[Any]:
    """What the manifests let the controller do in the cluster, or in its own namespace."""
    found = yaml.safe_load_all(MANIFESTS.read_text())
    (role,) = [
        o
        for o in found
        if o and o["kind"] == kind and o["metadata"]["name"] == "fairlead-controller"
    ]
    return list(role["rules"])


def without(rules: list[Any], verb: str, resource: str) -> list[Any]:
    """The rules but for one verb on one resource."""
    left = []
    for rule in copy.deepcopy(rules):
        if resource in rule["resources"] and verb in rule["verbs"]:
            others = [one for one in rule["resources"] if one != resource]
            if others:
                left.append({**rule, "resources": others})
            verbs = [one for one in rule["verbs"] if one != verb]
            if verbs:
                left.append({**rule, "resources": [resource], "verbs": verbs})
        else:
            left.append(rule)
    assert left != rules, f"nobody may {verb} {resource} anyway"
    return left


class Rights:
    """The rights of the controller in one cluster."""

    def __init__(self, one: Cluster) -> None:
        self._one = one
        self._name = f"controller-of-{one.namespace}"
        self._path = f"{RBAC}/clusterroles/{self._name}"

    async def set(self, rules: list[Any]) -> None:
        """Have these and no others in the cluster."""
        await self._one.patch(self._path, {"rules": rules})

    async def make(self) -> None:
        """Have all of them."""
        space = f"{RBAC}/namespaces/{self._one.namespace}"
        name = {"name": self._name}
        user = {"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}
        send = self._one.send
        for kind, path in (("ClusterRole", RBAC), ("Role", space)):
            rules = rules_of(kind)
            await send("POST", f"{path}/{kind.lower()}s", {"metadata": name, "rules": rules})
            role = {"kind": kind, "name": self._name, "apiGroup": "rbac.authorization.k8s.io"}
            binding = {"metadata": name, "roleRef": role, "subjects": [user]}
            await send("POST", f"{path}/{kind.lower()}bindings", binding)

    async def remove(self) -> None:
        """Leave nothing behind."""
        await self._one.send("DELETE", self._path)
        await self._one.send("DELETE", f"{RBAC}/clusterrolebindings/{self._name}")


@asynccontextmanager
async def limited(plane: ControlPlane) -> AsyncIterator[tuple[Cluster, Rights]]:
    """A cluster whose replicas have the rights of the manifests."""
    kubeconfig = plane.kubeconfig_for(USER)
    access = lambda: kubeconfig_access([kubeconfig])  # noqa: E731
    async with cluster(plane, RANGE, access=access) as one:
        rights = Rights(one)
        await rights.make()
        try:
            yield one, rights
        finally:
            await rights.remove()


def names(one: Cluster, verb: str, resource: str) -> bool:
    """Whether the leader said which right is missing."""
    wanted = f'User "{USER}" cannot {verb} resource "{resource}"'
    return any(wanted in why for replica in one.leaders for _, why in replica.failures)


def test_the_manifests_grant_everything_that_is_needed(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with limited(plane) as (one, _):
            await one.create(service("web"), service("wrong", wanted="203.0.113.1"))
            setting = {
                "apiVersion": "ako.vmware.com/v1beta1",
                "kind": "AviInfraSetting",
                "metadata": {"name": "setting"},
                "spec": {"network": {"vipNetworks": [{"networkName": "nowhere"}]}},
            }
            await one.create(setting)
            leader = await one.start("a")
            await one.settled(1)
            await one.edit("web", loadBalancerIP="10.30.0.77")
            await one.eventually(lambda: shows(one, "web", "10.30.0.77"), "it moved")
            await one.delete("VirtualIP", "10.30.0.77")
            await one.settled(1)
            path = one.path("Service", "web")
            left = ["service.kubernetes.io/load-balancer-cleanup"]
            await one.patch(path, {"metadata": {"finalizers": left}})
            await one.delete("Service", "web")
            await one.settled(0)
            assert not await one.virtual_ips()
            assert len(await one.events()) == 1
            found = await one.get("AviInfraSetting", "setting")
            assert found["status"]["status"] == "Rejected"
            await leader.stop()
            assert leader.failures == []

    run(scenario())


CASES = [
    ("patch", "services/status"),
    ("create", "virtualips"),
    ("update", "virtualips"),
    ("delete", "virtualips"),
    ("create", "events"),
    ("patch", "addresspools/status"),
]


@pytest.mark.parametrize(("verb", "resource"), CASES, ids=lambda part: part.replace("/", "-"))
def test_a_right_is_missing(plane: ControlPlane, verb: str, resource: str) -> None:
    async def scenario() -> None:
        async with limited(plane) as (one, rights):
            await one.create(service("before"), service("edited"))
            await one.start("a")
            await one.settled(2)
            rules = rules_of("ClusterRole")
            await rights.set(without(rules, verb, resource))
            await one.create(service("comes"), service("wrong", wanted="203.0.113.1"))
            await one.create(pool("more", "10.30.1.0/24"))
            await one.edit("edited", ports=[{"port": 81, "protocol": "TCP"}])
            await one.delete("Service", "before")
            await one.until(lambda: names(one, verb, resource), f"{verb} {resource} is named")
            await the_rest_goes_on(one, verb, resource)
            before = await one.writes()
            await rights.set(rules)
            await one.settled(2)
            await one.eventually(lambda: told_of_both(one), "both pools say that they are in use")
            made = await one.written(before)
            assert sum(made.values()) < 20, made
            if resource == "events":
                # the warning was not worth waiting for; the next one is told
                await one.edit("wrong", loadBalancerIP="203.0.113.2")
            await one.eventually(one.events, "there is an event")

    run(scenario())


async def the_rest_goes_on(one: Cluster, verb: str, resource: str) -> None:
    """What does not need the missing right."""
    if resource != "services/status":
        await one.reason("wrong", "AddressNotInPool")
    if resource != "services/status" and (verb, resource) != ("create", "virtualips"):
        await one.address("comes")
    if (verb, resource) not in (("create", "virtualips"), ("update", "virtualips")):

        async def listed() -> bool:
            listeners = [s.get("listeners", []) for s in (await one.virtual_ips()).values()]
            return any(entry["service"].endswith("/comes") for by in listeners for entry in by)

        await one.eventually(listed, "the ledger has it")
    if resource != "addresspools/status":
        await one.eventually(lambda: told_of_both(one), "both pools say that they are in use")


async def told_of_both(one: Cluster) -> bool:
    found = await one.objects("AddressPool")
    return sum(bool(p.get("status", {}).get("conditions")) for p in found) == 2


async def shows(one: Cluster, name: str, address: str) -> bool:
    return (await one.shown()).get(name) == (address,)


NEEDED = [("watch", "services"), ("watch", "nodes"), ("watch", "addresspools")]


@pytest.mark.parametrize(("verb", "resource"), [*NEEDED, ("list", "virtualips")])
def test_nothing_is_decided_without_what_decides(
    plane: ControlPlane, verb: str, resource: str
) -> None:
    """A controller that cannot see the pools, or who is there, would take addresses away."""

    async def scenario() -> None:
        async with limited(plane) as (one, rights):
            await one.create(*(service(f"s{i}") for i in range(3)))
            first = await one.start("first")
            await one.settled(3)
            await first.stop()
            shown = await one.shown()
            rules = rules_of("ClusterRole")
            await rights.set(without(rules, verb, resource))
            before = await one.writes()
            second = await one.start("second")
            words = f'cannot {verb} resource "{resource}"'
            await one.until(lambda: words in second.complaints, "it says what it lacks")
            assert not second.leads
            assert not await one.written(before)
            await rights.set(rules)
            await one.settled(3)
            assert await one.shown() == shown
            assert not await one.written(before)

    run(scenario())


def test_a_right_to_read_is_taken_away_while_it_leads(plane: ControlPlane) -> None:
    """What was read stands: nothing is withdrawn, and the rest is served."""

    async def scenario() -> None:
        async with limited(plane) as (one, rights):
            await one.create(*(service(f"s{i}") for i in range(3)))
            # a watch that was let in goes on until it ends: here within two seconds
            leader = await one.start("a", pace=replace(QUICK, watch=1.0))
            await one.settled(3)
            shown = await one.shown()
            rules = rules_of("ClusterRole")
            await rights.set(without(rules, "watch", "addresspools"))
            await one.until(leader.lacks, "it lacks something")
            await one.create(service("new"))
            await one.address("new")
            now = await one.shown()
            assert {n: now[n] for n in shown} == shown
            await rights.set(rules)
            await one.until(lambda: not leader.lacks(), "it lacks nothing")
            await one.settled(4)

    run(scenario())
