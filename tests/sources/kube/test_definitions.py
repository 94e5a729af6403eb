"""Kinds that are not installed, come, go and come back, and objects that are not what they should
be."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.kube import AviInfraSetting
from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool
from fairlead.model.virtualip import VirtualIP
from fairlead.sources.kube import ApiClient, kubeconfig_access
from fairlead.sources.kube.resources import (
    ADDRESS_POOLS,
    AVI_INFRA_SETTINGS,
    CONFIG_MAPS,
    SERVICES,
    VIRTUAL_IPS,
    Resource,
    watch,
)
from tests.kube import eventually

from .follow import (
    Follower,
    Writer,
    access,
    apply_definition,
    encoded,
    following,
    remove_definition,
    run,
)

V1BETA1, V1ALPHA1 = AVI_INFRA_SETTINGS


@pytest.fixture
def bare(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with no definition of ours, before and after."""
    for resource in (ADDRESS_POOLS, VIRTUAL_IPS, V1BETA1):
        remove_definition(plane, resource)
    yield plane
    for resource in (ADDRESS_POOLS, VIRTUAL_IPS, V1BETA1):
        remove_definition(plane, resource)


def custom(resource: Resource, name: str, spec: object) -> bytes:
    return encoded(
        {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "spec": spec,
        }
    )


async def add(client: ApiClient, *names: str, resource: Resource = ADDRESS_POOLS) -> None:
    for name in names:
        await client.create(resource, custom(resource, name, {"addresses": ["192.0.2.0/24"]}))


def pools(seen: Follower) -> list[str]:
    return sorted(pool.name for pool in seen.world.every(AddressPool))


def test_a_kind_that_is_not_installed_keeps_nobody_waiting(bare: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(bare)) as client:
            await Writer(client, space).create("a")
            wanted = watch(SERVICES, namespace=space), watch(ADDRESS_POOLS)
            async with following(client, *wanted) as seen:
                await seen.synced()
                (first,) = seen.batches
                assert first.absent == {"AddressPool"}
                assert seen.ports(space) == {"a": 80}
                await asyncio.to_thread(apply_definition, bare, ADDRESS_POOLS)
                await add(client, "one", "two")
                await seen.until(lambda: pools(seen) == ["one", "two"])
                assert seen.batches[-1].absent == frozenset()
                await client.delete(ADDRESS_POOLS, "one")
                await seen.until(lambda: pools(seen) == ["two"])
                assert seen.explicit == {Ref("AddressPool", "", "one")}

    run(scenario())


@pytest.mark.parametrize("may_look", [True, False], ids=["definitions-readable", "discovery-only"])
def test_a_definition_that_is_removed_takes_nothing_with_it(
    bare: ControlPlane, may_look: bool
) -> None:
    """The API server first deletes each object, with events like any other."""
    user = f"pools-{may_look}"
    rules = [{"apiGroups": ["fairlead.dev"], "resources": ["addresspools"], "verbs": ["*"]}]
    if may_look:
        crds = ["customresourcedefinitions"]
        rules.append({"apiGroups": ["apiextensions.k8s.io"], "resources": crds, "verbs": ["get"]})
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rules}
    bare.apply({**role, "metadata": {"name": user}})
    bare.kubectl("create", "clusterrolebinding", user, f"--clusterrole={user}", f"--user={user}")
    apply_definition(bare, ADDRESS_POOLS)
    kubeconfig = bare.kubeconfig_for(user)
    asked = ["auth", "can-i", "list", "addresspools.fairlead.dev"]
    assert eventually(
        lambda: bare.kubectl(*asked, kubeconfig=kubeconfig, check=False).returncode == 0
    )

    async def scenario() -> None:
        way = kubeconfig_access([kubeconfig])
        async with ApiClient(access(bare)) as admin, ApiClient(way) as client:
            await add(admin, *(f"p{n}" for n in range(12)))
            async with following(client, watch(ADDRESS_POOLS)) as seen:
                await seen.synced()
                everything = pools(seen)
                assert len(everything) == 12
                await asyncio.to_thread(remove_definition, bare, ADDRESS_POOLS)
                await seen.until(lambda: seen.batches[-1].absent == {"AddressPool"})
                assert pools(seen) == everything
                assert not seen.explicit
                await asyncio.to_thread(apply_definition, bare, ADDRESS_POOLS)
                await add(admin, "p1", "fresh")
                await seen.until(lambda: "fresh" in pools(seen) and "p0" not in pools(seen))
                await seen.until(lambda: pools(seen) == ["fresh", "p1"])
                assert not seen.batches[-1].absent
                assert not seen.explicit
                await admin.delete(ADDRESS_POOLS, "fresh")
                await seen.until(lambda: seen.explicit == {Ref("AddressPool", "", "fresh")})

    run(scenario())


def test_the_version_that_is_served_is_read(bare: ControlPlane) -> None:
    def settings(seen: Follower) -> list[str]:
        return sorted(setting.name for setting in seen.world.every(AviInfraSetting))

    async def scenario() -> None:
        apply_definition(bare, V1ALPHA1, versions=["v1alpha1"])
        async with ApiClient(access(bare)) as client:
            await client.create(V1ALPHA1, custom(V1ALPHA1, "old", {"seGroup": {"name": "x"}}))
            async with following(client, watch(*AVI_INFRA_SETTINGS)) as seen:
                await seen.until(lambda: settings(seen) == ["old"])
                await asyncio.to_thread(
                    apply_definition, bare, V1BETA1, versions=["v1alpha1", "v1beta1"]
                )
                there = "--for=jsonpath={.spec.versions[1].name}=v1beta1"
                await asyncio.to_thread(bare.kubectl, "wait", "crd", V1BETA1.definition, there)
                await client.create(V1ALPHA1, custom(V1ALPHA1, "both", {}))
                await seen.until(lambda: settings(seen) == ["both", "old"])
            async with following(client, watch(*AVI_INFRA_SETTINGS)) as seen:
                await seen.until(lambda: settings(seen) == ["both", "old"])

    run(scenario())


def test_objects_that_the_api_server_lets_through(bare: ControlPlane, space: str) -> None:
    """A definition without a schema, and a ConfigMap whose content is ours to understand."""
    key = "vcloud-ccm-config.yaml"

    def config(text: str) -> bytes:
        meta = {"name": "vcloud-ccm-configmap"}
        return encoded(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {key: text}}
        )

    async def scenario() -> None:
        apply_definition(bare, ADDRESS_POOLS)
        async with ApiClient(access(bare)) as client:
            await client.create(ADDRESS_POOLS, custom(ADDRESS_POOLS, "typo", {"adresses": []}))
            await client.create(ADDRESS_POOLS, custom(ADDRESS_POOLS, "none", None))
            await add(client, "good")
            await client.create(CONFIG_MAPS, config("loadbalancer: [1"), space)
            wanted = watch(ADDRESS_POOLS), watch(CONFIG_MAPS, namespace=space)
            async with following(client, *wanted) as seen:
                await seen.synced()
                assert pools(seen) == ["good"]
                why = {str(ref): reason.message for ref, reason in seen.world.problems.items()}
                assert why["AddressPool/typo"] == (
                    "spec.adresses is not a field of AddressPool; did you mean addresses?"
                )
                assert why["AddressPool/none"] == "spec must be a mapping, not null."
                # an object that was good stays in use when it is edited into a bad one
                bad = encoded({"spec": {"addresses": "192.0.2.0/24"}})
                await client.patch(ADDRESS_POOLS, "good", bad)
                ref = Ref("AddressPool", "", "good")
                await seen.until(lambda: ref in seen.world.problems)
                assert pools(seen) == ["good"]
                good = encoded({"spec": {"addresses": ["198.51.100.0/24"]}})
                await client.patch(ADDRESS_POOLS, "good", good)
                await seen.until(lambda: ref not in seen.world.problems)
                await client.delete(ADDRESS_POOLS, "typo")
                await seen.until(lambda: "AddressPool/typo" not in map(str, seen.world.problems))

    run(scenario())


def test_virtual_ips_are_read_and_written(bare: ControlPlane) -> None:
    spec = {
        "address": "192.0.2.1",
        "group": {"dialect": "native", "scope": "service", "name": "web", "namespace": "default"},
        "members": ["Service/default/web"],
    }

    async def scenario() -> None:
        apply_definition(bare, VIRTUAL_IPS)
        async with ApiClient(access(bare)) as client:
            body = custom(VIRTUAL_IPS, "192.0.2.1", spec)
            await client.create(VIRTUAL_IPS, body)
            read = await client.read(VirtualIP, VIRTUAL_IPS, "192.0.2.1")
            assert read.spec.group.name == "web"
            answer = json.loads(await client.list(VIRTUAL_IPS, query="limit=1"))
            assert len(answer["items"]) == 1
            async with following(client, watch(VIRTUAL_IPS)) as seen:
                await seen.synced()
                (found,) = seen.world.every(VirtualIP)
                assert found.spec.members == ("Service/default/web",)

    run(scenario())
