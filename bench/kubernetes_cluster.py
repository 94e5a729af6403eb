"""A control plane that holds as many Services as a benchmark wants, within seconds.

Each object is made once through the API; then etcd gets it as often as wanted, with name, uid and
addresses exchanged for others of the same length. So every copy is byte for byte what the API
server would have stored, and etcd, API server and clients cost what they would. Making 10 000
Services through the API takes a minute instead, and tells nothing about their controller.

Every Service has its IPAddress and an EndpointSlice with two endpoints. In a settled cluster it
also has its VirtualIP and its status, from what a controller wrote about the first one.
"""

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from bench.etcd import Entry, Etcd
from bench.kubernetes_process import Process, controller
from bench.machine import cpu_seconds
from fairlead.lab import Host
from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes import ControlPlane
from fairlead.lab.kubernetes.place import Machine, Place
from fairlead.publish.crds import ako_definitions, definitions

API_SERVER = "kube-apiserver"
SERVICES = "/registry/services/specs/default/"
ADDRESSES = "/registry/ipaddresses/"
SLICES = "/registry/endpointslices/default/"
VIPS = "/registry/fairlead.dev/virtualips/"
POOL = "172.20.100.100-172.23.255.255"
NODES = ("node-1", "node-2", "node-3")
CLUSTER_IPS, VIP_IPS, POD_IPS = (10, 100), (172, 20), (10, 112)
FIRST = "svc-000000"
UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
STAMP = re.compile(rb"B\x08\x08.{5}\x10\x00|\"creationTimestamp\":\"[^\"]*\"", re.DOTALL)
"""creationTimestamp, as protobuf (field 8: seconds) or JSON."""
QUIET, WINDOW = 0.15, 1.0
"""An API server that uses no more than this share of a core for so many seconds is idle."""


class Cluster(NamedTuple):
    """A control plane with Services named ``svc-000000`` and on; the first one's VIP is a copy."""

    control: ControlPlane
    etcd: Etcd
    services: int
    place: Place

    def controller(self) -> Process:
        """A controller for it."""
        return controller(self.control, self.place)


@contextmanager
def cluster(services: int, *, settled: bool = False, host: Host | None = None) -> Iterator[Cluster]:
    """A cluster with so many Services that wait, or that are served already; on this machine, or on
    a host of a lab."""
    machine = Machine()
    place = host or machine
    with closing(machine), ControlPlane(controllers=(), host=host) as control:
        etcd = Etcd(control)
        _prepare(control)
        if settled:
            with controller(control, place) as process:
                process.wait_led()
                _wait_served(control)
        _fill(control, etcd, services)
        yield Cluster(control, etcd, services, place)
        etcd.close()


def _fill(control: ControlPlane, etcd: Etcd, services: int) -> None:
    """Copy everything of the first Service. No API server watches meanwhile: one that begins to
    watch within a transaction would miss the rest of it."""
    templates = _templates(etcd)
    control.kill(API_SERVER)
    for one in templates:
        etcd.put(_copies(one, services))
    control.start(API_SERVER)
    control.wait_ready()
    _wait_stored(control)
    wait_idle(control)


def _wait_stored(control: ControlPlane, timeout: float = 120.0) -> None:
    """Wait until the API server serves the kinds of Fairlead; it is ready before that."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            for kind in ("virtualips", "addresspools", "enginegroups", "bgppeers"):
                control.get(f"/apis/fairlead.dev/v1alpha1/{kind}?limit=1")
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def wait_idle(control: ControlPlane, timeout: float = 120.0) -> None:
    """Wait until the API server has digested what came."""
    deadline, calm = time.monotonic() + timeout, 0
    server = control.pid(API_SERVER)
    before = cpu_seconds(server)
    while calm < 2 and time.monotonic() < deadline:
        time.sleep(WINDOW)
        now = cpu_seconds(server)
        calm = calm + 1 if now - before < QUIET * WINDOW else 0
        before = now


def service(name: str) -> dict[str, Any]:
    """A Service that takes no NodePort; the range of those ends at 2 768."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "fairlead.dev/vip",
            "allocateLoadBalancerNodePorts": False,
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


def _prepare(control: ControlPlane) -> None:
    made = msgspec.to_builtins((*definitions(), *ako_definitions()))
    control.apply(made)
    kinds = "crd/virtualips.fairlead.dev", "crd/addresspools.fairlead.dev"
    control.kubectl("wait", "--for=condition=Established", *kinds)
    control.apply(map(_node, NODES))
    for name in NODES:
        ready = msgspec.json.encode({"status": _node(name)["status"]}).decode()
        control.kubectl("patch", "node", name, "--subresource=status", "-p", ready)
    pool = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "AddressPool"}
    control.apply([{**pool, "metadata": {"name": "pool"}, "spec": {"addresses": [POOL]}}])
    first = service(FIRST)
    first["spec"]["clusterIP"] = _address(CLUSTER_IPS, 0).decode()
    control.apply([first, _slice(FIRST)])


def _node(name: str) -> dict[str, Any]:
    number = NODES.index(name) + 1
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": f"192.168.64.{number}"}],
        },
    }


def _slice(name: str) -> dict[str, Any]:
    pods = [_address(POD_IPS, number).decode() for number in range(2)]
    nodes = zip(pods, NODES, strict=False)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-abcde",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [pod],
                "nodeName": node,
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {"kind": "Pod", "namespace": "default", "name": f"{name}-{node}"},
            }
            for pod, node in nodes
        ],
    }


def _wait_served(control: ControlPlane) -> None:
    deadline = time.monotonic() + 30
    path = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    while not control.kubectl("get", "service", FIRST, "-o", path).stdout:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{FIRST} gets no address")
        time.sleep(0.1)


def _templates(etcd: Etcd) -> list[Entry]:
    """All objects of the first Service."""
    address = _address(CLUSTER_IPS, 0).decode()
    prefixes = (ADDRESSES + address, SERVICES + FIRST, SLICES + FIRST, VIPS)
    return [entry for prefix in prefixes for entry in etcd.get(prefix)]


def _copies(template: Entry, services: int) -> Iterator[Entry]:
    """The same object of all other Services."""
    key, value = template
    home = _home(value)
    uids, stamps = sorted(set(UID.findall(value))), STAMP.findall(value)
    for number in range(1, services):
        exchange = [
            (FIRST.encode(), b"svc-%06d" % number),
            *((_address(ips, 0), _address(ips, number)) for ips in (CLUSTER_IPS, VIP_IPS)),
            (home, b'"home":["%s"]' % NODES[number % 3].encode()),
            *((_address(POD_IPS, i), _address(POD_IPS, 2 * number + i)) for i in range(2)),
            *((uid, b"%08x" % number + uid[8:]) for uid in uids),
            *((stamp, _earlier(stamp, number // 10)) for stamp in stamps),
        ]
        yield _exchanged(key, exchange), _exchanged(value, exchange)


def _exchanged(data: bytes, exchange: list[Entry]) -> bytes:
    for old, new in exchange:
        data = data.replace(old, new)
    return data


def _home(virtual_ip: bytes) -> bytes:
    found = re.search(rb'"home":\["node-\d"\]', virtual_ip)
    return found[0] if found else b'"home":[]'


def _earlier(stamp: bytes, seconds: int) -> bytes:
    """A creationTimestamp some seconds earlier, as nobody creates everything at once."""
    if stamp.startswith(b'"'):
        before = datetime.fromisoformat(stamp[21:-1].decode()) - timedelta(seconds=seconds)
        return b'"creationTimestamp":"%sZ"' % before.isoformat()[:19].encode()
    digits = stamp[3:-2]
    number = sum((digit & 127) << (7 * place) for place, digit in enumerate(digits)) - seconds
    low = bytes(number >> (7 * place) & 127 | 128 for place in range(4))
    return stamp[:3] + low + bytes([number >> 28]) + stamp[-2:]


def _address(first: tuple[int, int], number: int) -> bytes:
    """One whose octets have three digits."""
    rest, last = divmod(number, 155)
    second, third = divmod(rest, 155)
    return b"%d.%d.%d.%d" % (first[0], first[1] + second, third + 100, last + 100)
