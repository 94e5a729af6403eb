"""What the controller writes, and what it leaves alone, on a real API server."""

import asyncio
from typing import Any

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.config import Config

from .cluster import Cluster, addresses_of, cluster, run
from .manifests import AKO, OURS, pool, reservation, service, shared

BOTH = ("IPv4", "IPv6")
SETTING = "aviinfrasetting.ako.vmware.com/name"


def test_an_address_with_its_ledger_entry_status_and_condition(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.20") as one:
            await one.create(service("web"))
            await one.start()
            await one.settled(1)
            found = await one.get("Service", "web")
            assert found["status"]["loadBalancer"] == {
                "ingress": [{"ip": "192.0.2.10", "ipMode": "VIP"}]
            }
            (said,) = found["status"]["conditions"]
            assert said["type"] == "fairlead.dev/Served"
            assert said["status"] == "True"
            assert said["reason"] == "NoReadyEngine"  # a cluster without nodes
            assert said["lastTransitionTime"] >= found["metadata"]["creationTimestamp"]
            (spec,) = (await one.virtual_ips()).values()
            assert spec["address"] == "192.0.2.10"
            assert spec["members"] == [f"Service/{one.namespace}/web"]
            assert spec["listeners"][0]["service"] == f"{one.namespace}/web"
            # a lease, a VirtualIP, a status: nothing else, and no event about good news
            assert not await one.events()

    run(scenario())


def test_fairlead_owns_its_fields_and_no_others(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(service("web"))
            await one.start()
            await one.settled(1)
            managed = (await one.get("Service", "web"))["metadata"]["managedFields"]
            (ours,) = [entry for entry in managed if entry["manager"] == "fairlead"]
            assert ours["operation"] == "Apply"
            assert ours["subresource"] == "status"
            assert set(ours["fieldsV1"]) == {"f:status"}
            fields = ours["fieldsV1"]["f:status"]
            assert fields["f:loadBalancer"] == {"f:ingress": {}}
            assert set(fields["f:conditions"]) == {'k:{"type":"fairlead.dev/Served"}'}
            assert set(fields) == {"f:loadBalancer", "f:conditions"}

    run(scenario())


def test_at_rest_nothing_is_written(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.14") as one:
            await one.create(*(service(f"s{i}") for i in range(8)))  # three too many
            await one.start("a")
            await one.start("b")
            await one.settled(5)
            before = await one.writes()
            await asyncio.sleep(4)
            assert not await one.written(before)

    run(scenario())


def test_a_thing_that_is_wrong_is_an_event_once(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.12") as one:
            await one.create(service("web", wanted="198.51.100.1"))
            await one.start()
            said = await one.reason("web", "AddressNotInPool")
            (event,) = await one.events()
            assert event["type"] == "Warning"
            assert event["reason"] == "AddressNotInPool"
            assert event["message"] == said["message"]
            assert "198.51.100.1" in event["message"]
            assert event["involvedObject"]["name"] == "web"
            # it heals, and comes back: the same warning is the same event
            await one.edit("web", loadBalancerIP="192.0.2.11")
            await one.settled(1)
            await one.edit("web", loadBalancerIP="198.51.100.1")
            await one.reason("web", "AddressNotInPool")
            # so it is for the next leader
            replica = await one.idle()
            await replica.stop()
            await one.start("b")
            await one.settled(0)
            assert len(await one.events()) == 1
            await one.edit("web", loadBalancerIP="198.51.100.2")
            await one.idle()

            async def two() -> bool:
                return len(await one.events()) == 2

            await one.eventually(two, "another address is another event")

    run(scenario())


def test_every_member_of_a_rejected_group_hears_of_it(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.20") as one:
            await one.create(
                shared("lb1", "key", wanted="192.0.2.11"),
                shared("lb2", "key", protocol="UDP", wanted="192.0.2.12"),
            )
            await one.start()
            for name in ("lb1", "lb2"):
                await one.reason(name, "StaticAddressMismatch")
            await one.settled(0)
            about = {e["involvedObject"]["name"]: e["reason"] for e in await one.events()}
            assert about == dict.fromkeys(("lb1", "lb2"), "StaticAddressMismatch")
            assert not await one.virtual_ips()
            await one.edit("lb2", loadBalancerIP="192.0.2.11")
            await one.settled(2)
            assert set((await one.shown()).values()) == {("192.0.2.11",)}

    run(scenario())


def test_a_type_change_takes_everything_away_and_gives_it_back(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(service("web"), service("other"))
            await one.start()
            await one.settled(2)
            before = await one.address("web")
            await to_cluster_ip(one, "web")
            await one.settled(1)
            found = await one.get("Service", "web")
            assert not found["status"].get("conditions")
            assert not addresses_of(found)
            managers = [m["manager"] for m in found["metadata"].get("managedFields", ())]
            assert "fairlead" not in managers
            assert before not in await one.virtual_ips()
            await one.edit("web", type="LoadBalancer", loadBalancerClass=OURS)
            await one.settled(2)
            assert await one.address("web")

    run(scenario())


def test_what_another_controller_wrote_stays(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(
                service("mine"), service("theirs", cls="example.com/lb"), service("plain", cls="")
            )
            theirs = {
                "loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]},
                "conditions": [condition("example.com/Ready")],
            }
            for name in ("theirs", "plain"):
                await set_status(one, name, theirs)
            await set_status(one, "mine", {"conditions": [condition("example.com/Ready")]})
            await one.start(config=Config(handle_unclassed=False))
            await one.settled(1)
            found = await one.get("Service", "mine")
            types = [c["type"] for c in found["status"]["conditions"]]
            assert sorted(types) == ["example.com/Ready", "fairlead.dev/Served"]
            await to_cluster_ip(one, "mine")
            await one.settled(0)
            found = await one.get("Service", "mine")
            assert [c["type"] for c in found["status"]["conditions"]] == ["example.com/Ready"]
            for name in ("theirs", "plain"):
                found = await one.get("Service", name)
                assert addresses_of(found) == ("203.0.113.7",)
                assert [c["type"] for c in found["status"]["conditions"]] == ["example.com/Ready"]
            assert not await one.virtual_ips()

    run(scenario())


@pytest.mark.parametrize("handled", [True, False])
def test_services_without_a_class(plane: ControlPlane, handled: bool) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(service("plain", cls=""), service("named"))
            await one.start(config=Config(handle_unclassed=handled))
            await one.settled(1 + handled)
            assert set(await one.shown()) == ({"plain", "named"} if handled else {"named"})
            if not handled:
                assert "status" not in str((await one.condition("plain")) or "")

    run(scenario())


def test_a_class_changes_by_making_the_service_anew(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(service("web"), service("ako", cls=AKO))
            await one.start()
            await one.settled(2)
            await one.delete("Service", "web", "ako")
            await one.create(service("web", cls="example.com/lb"), service("ako"))
            await one.settled(1)
            assert set(await one.shown()) == {"ako"}
            assert len(await one.virtual_ips()) == 1
            await one.delete("Service", "web")
            await one.create(service("web"))
            await one.settled(2)

    run(scenario())


def test_a_deleted_service_frees_its_address(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10") as one:
            await one.create(service("first"))
            await one.start()
            await one.settled(1)
            await one.create(service("second"))
            said = await one.reason("second", "PoolExhausted")
            assert said["status"] == "False"
            assert f"{one.namespace}/first" in said["message"]
            await one.delete("Service", "first")
            await one.settled(1)
            assert await one.shown() == {"second": ("192.0.2.10",)}

    run(scenario())


def test_both_families_or_neither(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.19", "fd00::10-fd00::19") as one:
            await one.create(service("both", families=BOTH), service("six", families=("IPv6",)))
            await one.start()
            await one.settled(2)
            shown = await one.shown()
            assert len(shown["both"]) == 2
            assert len(await one.virtual_ips()) == 3
            names = {n for n, spec in (await one.virtual_ips()).items() if ":" in spec["address"]}
            assert names == {"fd00-0-0-0-0-0-0-10", "fd00-0-0-0-0-0-0-11"}
            # a lost half is the same half again
            lost = next(a for a in shown["both"] if ":" in a)
            name = next(n for n, s in (await one.virtual_ips()).items() if s["address"] == lost)
            await one.delete("VirtualIP", name)
            await one.settled(2)
            assert await one.shown() == shown
            await one.delete("Service", "both")
            await one.settled(1)
            assert len(await one.virtual_ips()) == 1

    run(scenario())


def test_what_is_edited_by_hand_is_repaired(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(service("web"), service("other"))
            await one.start()
            await one.settled(2)
            shown, ledger = await one.shown(), await one.virtual_ips()
            (name,) = shown["web"]
            path = one.path("VirtualIP", name)
            await one.delete("VirtualIP", name)
            await same_again(one, ledger)
            stranger = {"dialect": "x", "scope": "y", "name": "z", "namespace": one.namespace}
            await one.patch(path, {"spec": {"group": stranger, "members": []}})
            await same_again(one, ledger)
            labels = {"fairlead.dev/engine-group": "elsewhere"}
            await one.patch(path, {"metadata": {"labels": labels}})

            async def labelled() -> bool:
                found = (await one.get("VirtualIP", name))["metadata"]["labels"]
                return bool(found["fairlead.dev/engine-group"] == "default")

            await one.eventually(labelled, "the label is right again")
            await set_status(one, "web", {"loadBalancer": {"ingress": [{"ip": "192.0.2.99"}]}})
            await one.settled(2)
            assert await one.shown() == shown
            # an entry that nobody asked for goes
            spare = {**ledger[name], "address": "192.0.2.77", "members": []}
            await one.send(
                "POST",
                one.path("VirtualIP"),
                {
                    "apiVersion": "fairlead.dev/v1alpha1",
                    "kind": "VirtualIP",
                    "metadata": {"name": "192.0.2.77"},
                    "spec": spare,
                },
            )
            await same_again(one, ledger)

    run(scenario())


def test_a_reserved_address_stays_free(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.12") as one:
            await one.create(reservation("192.0.2.10"), service("web"))
            await one.start()
            await one.settled(1)
            assert await one.shown() == {"web": ("192.0.2.11",)}
            await one.create(service("exact", wanted="192.0.2.10"))
            said = await one.reason("exact", "AddressInUse")
            assert "192.0.2.10" in said["message"]
            assert (await one.virtual_ips())["192.0.2.10"]["reserve"] is True
            await one.delete("VirtualIP", "192.0.2.10")
            await one.settled(2)
            assert (await one.shown())["exact"] == ("192.0.2.10",)

    run(scenario())


def test_an_address_in_use_can_be_turned_into_a_reservation(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.12") as one:
            await one.create(service("web"))
            await one.start()
            await one.settled(1)
            path = one.path("VirtualIP", "192.0.2.10")
            await one.patch(path, {"spec": {"reserve": True}})

            async def moved() -> bool:
                return await one.shown() == {"web": ("192.0.2.11",)}

            await one.eventually(moved, "it moved")
            await one.settled(1)
            assert (await one.virtual_ips())["192.0.2.10"]["reserve"] is True
            # and back: nobody's entry goes, and the address can be had again
            await one.patch(path, {"spec": {"reserve": None}})

            async def gone() -> bool:
                return list(await one.virtual_ips()) == ["192.0.2.11"]

            await one.eventually(gone, "the entry is nobody's")
            await one.create(service("exact", wanted="192.0.2.10"))
            await one.settled(2)

    run(scenario())


def test_an_address_goes_from_one_group_to_another(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.19") as one:
            await one.create(service("a", wanted="192.0.2.10"), service("b", wanted="192.0.2.10"))
            await one.start()
            await one.settled(1)
            first = "a" if (await one.shown()).get("a") else "b"
            second = "b" if first == "a" else "a"
            await one.edit(first, loadBalancerIP="192.0.2.11")
            await one.settled(2)
            assert await one.shown() == {first: ("192.0.2.11",), second: ("192.0.2.10",)}
            group = (await one.virtual_ips())["192.0.2.10"]["group"]
            assert group["name"] == second

    run(scenario())


def test_who_asks_for_each_others_address_is_told_so(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.19") as one:
            await one.create(service("a", wanted="192.0.2.10"), service("b", wanted="192.0.2.11"))
            await one.start()
            await one.settled(2)
            await one.edit("a", loadBalancerIP="192.0.2.11")
            await one.reason("a", "AddressInUse")
            await one.edit("b", loadBalancerIP="192.0.2.10")
            said = await one.reason("b", "AddressInUse")
            assert f"{one.namespace}/a" in said["message"]
            await one.settled(0)
            await one.edit("b", loadBalancerIP="192.0.2.12")
            await one.settled(2)
            assert await one.shown() == {"a": ("192.0.2.11",), "b": ("192.0.2.12",)}

    run(scenario())


def test_members_of_a_shared_address_come_change_and_go(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.19") as one:
            await one.create(shared("lb1", "key-1"))
            await one.start()
            await one.settled(1)
            await one.create(shared("lb2", "key-1", protocol="UDP"))
            await one.settled(2)
            assert set((await one.shown()).values()) == {("192.0.2.10",)}
            # a port that is taken is the newcomer's fault alone
            await one.create(shared("lb3", "key-1"))
            await one.reason("lb3", "PortConflict")
            await one.settled(2)
            await one.edit("lb3", ports=[{"port": 443, "protocol": "TCP"}])
            await one.settled(3)
            # another key: another address, and the first keeps its own
            await one.annotate("lb2", **{"ako.vmware.com/enable-shared-vip": "key-2"})
            await one.settled(3)
            shown = await one.shown()
            assert shown["lb1"] == shown["lb3"] == ("192.0.2.10",)
            assert shown["lb2"] != shown["lb1"]
            # no key: an address of its own
            await one.annotate("lb3", **{"ako.vmware.com/enable-shared-vip": None})

            async def apart() -> bool:
                return len(set((await one.shown()).values())) == 3

            await one.eventually(apart, "lb3 has an address of its own")
            await one.settled(3)
            # away and back: the group that is left keeps its address
            await one.annotate("lb3", **{"ako.vmware.com/enable-shared-vip": "key-1"})
            await one.settled(3)
            await to_cluster_ip(one, "lb1")
            await one.settled(2)
            assert (await one.shown())["lb3"] == ("192.0.2.10",)
            await one.edit("lb1", type="LoadBalancer", loadBalancerClass=AKO)
            await one.settled(3)
            assert (await one.shown())["lb1"] == ("192.0.2.10",)
            await one.delete("Service", "lb1", "lb3")
            await one.settled(1)
            assert "192.0.2.10" not in await one.virtual_ips()

    run(scenario())


def test_the_same_key_in_another_namespace_is_another_address(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.10-192.0.2.19") as one, cluster(plane) as two:
            await one.create(shared("lb", "key"))
            await two.create(shared("lb", "key", protocol="UDP"))
            await one.start()
            await one.settled(2)
            assert await one.address("lb") != await two.address("lb")

    run(scenario())


def test_a_pool_says_what_is_wrong_with_it(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(pool("twice", "192.0.2.128/25"))
            await one.start()

            async def told() -> bool:
                found = await one.objects("AddressPool")
                said = [p.get("status", {}).get("conditions", [{}])[0] for p in found]
                return all(said) and any("192.0.2.128" in c["message"] for c in said)

            await one.eventually(told, "one of two pools that overlap says so")
            before = await one.writes()
            await asyncio.sleep(1)
            assert not await one.written(before)

    run(scenario())


def test_a_setting_that_changes_moves_all_its_users_at_once(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with cluster(plane) as one:
            await one.create(
                pool("first", "192.0.2.0/24", networks=["net-1"], autoAssign=False),
                pool("second", "198.51.100.0/24", networks=["net-2"], autoAssign=False),
                setting("net-1"),
            )
            await one.create(
                service("a", cls=AKO, annotations={SETTING: "setting"}),
                service("b", cls=AKO, annotations={SETTING: "setting"}),
                shared("c", "key"),
            )
            await one.annotate("c", **{SETTING: "setting"})
            await one.start()
            await one.settled(3)
            assert all(a.startswith("192.0.2.") for (a,) in (await one.shown()).values())
            path = one.path("AviInfraSetting", "setting")
            await one.patch(path, {"spec": setting("net-2")["spec"]})

            async def moved() -> bool:
                shown = await one.shown()
                return len(shown) == 3 and all(a[0].startswith("198.") for a in shown.values())

            await one.eventually(moved, "all moved, and show it")
            await one.settled(3)
            assert not [name for name in await one.virtual_ips() if name.startswith("192.")]
            assert (await one.get("AviInfraSetting", "setting"))["status"]["status"] == "Accepted"
            await one.patch(path, {"spec": setting("nowhere")["spec"]})

            async def rejected() -> bool:
                status = (await one.get("AviInfraSetting", "setting"))["status"]
                return status["status"] == "Rejected" and "nowhere" in status["error"]

            await one.eventually(rejected, "it says what is wrong with it")
            await one.settled()

    run(scenario())


def test_a_namespace_that_is_ending_is_no_failure(plane: ControlPlane) -> None:
    """It takes no Events any more. Its Services are still there, and are served until they go."""

    async def scenario() -> None:
        async with cluster(plane, "192.0.2.0/24") as one:
            await one.create(service("web"), service("other"))
            replica = await one.start()
            await one.settled(2)
            await one.send("DELETE", f"/api/v1/namespaces/{one.namespace}")
            await one.edit("web", loadBalancerIP="203.0.113.1")
            await one.reason("web", "AddressNotInPool")
            await one.settled(1)
            assert replica.failures == []
            await one.delete("Service", "web", "other")
            await one.settled(0)
            assert not await one.virtual_ips()

    run(scenario())


def setting(network: str) -> dict[str, Any]:
    return {
        "apiVersion": "ako.vmware.com/v1beta1",
        "kind": "AviInfraSetting",
        "metadata": {"name": "setting"},
        "spec": {"network": {"vipNetworks": [{"networkName": network}]}},
    }


async def to_cluster_ip(one: Cluster, name: str) -> None:
    await one.edit(
        name, type="ClusterIP", loadBalancerClass=None, allocateLoadBalancerNodePorts=None
    )


async def set_status(one: Cluster, name: str, status: dict[str, Any]) -> None:
    """As another controller would: an update, under its own name."""
    path = one.path("Service", name) + "/status?fieldManager=cloud-controller-manager"
    await one.patch(path, {"status": status})


def condition(kind: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "reason": "Fine",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


async def same_again(one: Cluster, ledger: dict[str, Any]) -> None:
    async def same() -> bool:
        return await one.virtual_ips() == ledger

    await one.eventually(same, "the ledger is as it was")
    await one.settled(len(ledger))
