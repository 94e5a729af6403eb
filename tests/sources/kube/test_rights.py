"""What RBAC refuses: said in words, tried again, and nobody else's problem."""

import asyncio

from msgspec.structs import replace

from fairlead.lab.kubernetes import ControlPlane
from fairlead.sources.kube import ApiClient, kubeconfig_access
from fairlead.sources.kube.resources import CONFIG_MAPS, SERVICES, watch

from .follow import QUICK, Writer, access, following, run


def grant(plane: ControlPlane, space: str, name: str, verbs: str, resource: str) -> None:
    """Let user ``limited-SPACE`` do this in the namespace."""
    user = f"limited-{space}"
    role = ["create", "role", name, f"--resource={resource}"]
    plane.kubectl("-n", space, *role, *(f"--verb={verb}" for verb in verbs.split()))
    binding = ["create", "rolebinding", name, f"--role={name}", f"--user={user}"]
    plane.kubectl("-n", space, *binding)


def test_a_missing_verb_is_named_and_the_rest_goes_on(plane: ControlPlane, space: str) -> None:
    kubeconfig = plane.kubeconfig_for(f"limited-{space}")
    grant(plane, space, "services", "list watch", "services")

    async def scenario() -> None:
        async with (
            ApiClient(access(plane)) as admin,
            ApiClient(kubeconfig_access([kubeconfig])) as client,
        ):
            writer = Writer(admin, space)
            await writer.create("a")
            wanted = watch(SERVICES, namespace=space), watch(CONFIG_MAPS, namespace=space)
            async with following(client, *wanted) as seen:
                await seen.until(lambda: seen.batches)
                assert not seen.batches[0].synced
                assert seen.ports(space) == {"a": 80}
                health = seen.health("ConfigMap")
                assert health.forbidden
                assert health.since > 0
                assert f'User "limited-{space}" cannot watch resource "configmaps"' in health.error
                await writer.create("b")
                await seen.until(lambda: "b" in seen.ports(space))
                await asyncio.to_thread(grant, plane, space, "maps", "list watch", "configmaps")
                await seen.until(lambda: seen.batches[-1].synced)
                assert not seen.health("ConfigMap").error

    run(scenario())


def test_a_verb_that_is_taken_away_withdraws_nothing(plane: ControlPlane, space: str) -> None:
    kubeconfig = plane.kubeconfig_for(f"limited-{space}")
    grant(plane, space, "services", "list watch", "services")

    async def scenario() -> None:
        async with (
            ApiClient(access(plane)) as admin,
            ApiClient(kubeconfig_access([kubeconfig])) as client,
        ):
            writer = Writer(admin, space)
            await writer.create("a")
            pace = replace(QUICK, watch=1.0)  # a right is asked for when a watch begins
            wanted = watch(SERVICES, namespace=space)
            async with following(client, wanted, pace=pace) as seen:
                await seen.synced()
                binding = ["-n", space, "delete", "rolebinding", "services"]
                await asyncio.to_thread(plane.kubectl, *binding)
                await seen.until(lambda: seen.health("Service").forbidden)
                await writer.create("b")
                assert seen.ports(space) == {"a": 80}
                assert seen.batches[-1].synced
                binding[2:3] = ["create"]
                who = ["--role=services", f"--user=limited-{space}"]
                await asyncio.to_thread(plane.kubectl, *binding, *who)
                await seen.until(lambda: seen.ports(space) == {"a": 80, "b": 80})
                assert not seen.gone

    run(scenario())
