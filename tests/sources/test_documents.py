"""Whole documents: as users published them, as the API dumps them, as a generator writes them."""

import json
from pathlib import Path

import yaml

from bench.worldgen import manifests, write
from fairlead.model.kube import ConfigMap, Service
from fairlead.model.names import Ref
from fairlead.model.world import World
from fairlead.sources.files import FileSource

from .make import Folder, names, only, service

INDENTED = """

 apiVersion: v1
 kind: Service
 metadata:
   annotations:
     ako.vmware.com/enable-shared-vip: "shared-vip-key-1"
   name: sharedvip-avisvc-lb1
   namespace: default
 spec:
   type: LoadBalancer
   loadBalancerIP: 100.64.196.75
   ports:
   - port: 80
     targetPort: 8080
   selector:
     app: avi-server
 ---
 apiVersion: v1
 kind: Service
 metadata:
   annotations:
     ako.vmware.com/enable-shared-vip: "shared-vip-key-1"
   name: sharedvip-avisvc-lb2
   namespace: default
 spec:
   type: LoadBalancer
   loadBalancerIP: 100.64.196.75
   ports:
   - port: 80
     protocol: UDP
     targetPort: 8080
   selector:
     app: avi-server
 \n"""
FOLDED = r"""apiVersion: v1
data:
  vcloud-ccm-config.yaml: "vcd:\n  host: https://my-vcd-endpoint\n  org: my-org\n
    \ vdc: my-vdc\nloadbalancer:\n  network: my-network\n
    \ vipSubnet: 80.81.82.80/28\n  enableVirtualServiceSharedIP: true\n  ports:\n
    \   http: 80\n    https: 443\n  certAlias: NO_RDE_de59e3aa-cert\nclusterid:
    NO_RDE_de59e3aa \nvAppName: my-cluster\n"
kind: ConfigMap
metadata:
  name: vcloud-ccm-configmap
  namespace: kube-system
"""


def test_a_listing_indented_as_a_whole_is_read_as_it_stands(folder: Folder) -> None:
    folder.write(INDENTED)
    folder.load()
    assert folder.lines == []
    first, second = (
        folder.world.service(Ref("Service", "default", f"sharedvip-avisvc-lb{n}")) for n in (1, 2)
    )
    assert first is not None
    assert second is not None
    assert first.metadata.annotations == second.metadata.annotations
    assert (first.ports[0].protocol, second.ports[0].protocol) == ("TCP", "UDP")
    assert first.spec.load_balancer_ip == "100.64.196.75"


def test_a_config_map_in_folded_quotes_holds_yaml_again(folder: Folder) -> None:
    folder.write(FOLDED)
    found = only(folder.load())
    assert isinstance(found, ConfigMap)
    assert found.data is not None
    inner = yaml.safe_load(found.data["vcloud-ccm-config.yaml"])
    assert inner["loadbalancer"]["vipSubnet"] == "80.81.82.80/28"
    assert inner["loadbalancer"]["ports"] == {"http": 80, "https": 443}
    assert inner["clusterid"] == "NO_RDE_de59e3aa"


def dump(count: int) -> str:
    """What ``kubectl get services -o json`` writes."""
    items = [yaml.safe_load(service(f"s{number}")) for number in range(count)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2)


def test_a_json_dump_names_the_line_of_a_field_in_one_item(folder: Folder) -> None:
    text = (
        dump(40).replace('"port": 80', '"port": "80"', 23).replace('"port": "80"', '"port": 80', 22)
    )
    folder.write(text, "dump.json")
    folder.load()
    line = 1 + text[: text.index('"port": "80"')].count("\n")
    assert [problem.line for problem in folder.batch.problems] == [line]
    assert folder.why("Service/default/s22")
    assert len(folder.batch.changes) == 40


def test_broken_json_is_named_with_its_line_and_flow_mappings_are_yaml(folder: Folder) -> None:
    text = dump(3)
    folder.write(text[: text.rindex('"port"')], "half.json")
    folder.write("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {}}", "flow.yaml")
    folder.load()
    assert names(folder.batch) == ["Service/default/a"]
    (problem,) = folder.batch.problems
    assert problem.line == 1 + text[: text.rindex('"port"')].count("\n")


def test_yaml_lists_name_the_line_of_each_item(folder: Folder) -> None:
    item = (
        "- apiVersion: v1\n  kind: Service\n  metadata: {name: %s}\n  spec: {ports: [{port: %d}]}\n"
    )
    folder.write("apiVersion: v1\nkind: List\nitems:\n" + item % ("a", 80) + item % ("a", 81))
    folder.load()
    assert [problem.line for problem in folder.batch.problems] == [4, 8]
    folder.write("kind: List\nitems: 5\napiVersion: v1\n", "wrong.yaml")
    folder.refresh()
    assert "wrong.yaml:2: items of List must be a list." in folder.lines


def test_generated_manifests_are_valid_complete_and_the_same_every_time(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    assert write(file, 300) == file.stat().st_size
    batch = FileSource([file]).load()
    assert (batch.problems, batch.unknown) == ((), {})
    world = World().evolve(batch.changes)
    services = list(world.every(Service))
    assert len(services) == 300
    assert all(len(world.slices_of(item)[0].endpoints or ()) == 2 for item in services)
    assert len(world.nodes()) == 30
    assert list(manifests(300)) == list(manifests(300))
    groups: dict[tuple[str, str], list[int]] = {}
    for item in services:
        if key := item.metadata.annotations.get("ako.vmware.com/enable-shared-vip"):
            groups.setdefault((item.namespace, key), []).append(item.ports[0].port)
    assert sum(map(len, groups.values())) in (59, 60)
    assert {len(ports) for ports in groups.values()} == {2, 3, 4}
    assert all(len(set(ports)) == len(ports) for ports in groups.values())
