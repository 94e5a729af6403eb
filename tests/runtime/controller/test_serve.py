"""`fairlead controller` as a process, against a real API server: from its start to its end."""

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from fairlead.lab.kubernetes import ControlPlane

from ...cluster import (
    COMMAND,
    SYSTEM,
    address_of,
    install,
    installed,
    pool,
    reading,
    role,
    service,
    start_controller,
)
from ...kube import eventually

ROOT = Path(__file__).parents[3]


class Replica:
    """A running controller, its log and its probes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        assert eventually(lambda: self.said("started")), process.poll()
        self.url = f"http://127.0.0.1:{self.said('started')[0]['port']}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"event": "no JSON", "text": line})

    def said(self, event: str, **also: object) -> list[dict[str, Any]]:
        """The lines about an event."""
        wanted = {"event": event, **also}
        return [line for line in [*self.lines] if wanted.items() <= line.items()]

    def get(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        """The status and body of an answer."""
        request = urllib.request.Request(self.url + path, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    @property
    def ready(self) -> bool:
        """Whether /readyz says so."""
        return self.get("/readyz")[0] == 200

    def metric(self, name: str) -> float:
        """The value of a series, 0 where it is not there."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        return 0.0

    @property
    def leads(self) -> bool:
        """Whether this replica leads."""
        return self.metric("fairlead_leader") == 1

    def stop(self) -> float:
        """SIGTERM, and the seconds until it is gone, with exit code 0."""
        at = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0
        return time.monotonic() - at

    def end(self) -> None:
        """Be gone, and have written nothing but JSON."""
        self.process.terminate()
        self.process.wait(20)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        assert not "".join(line["text"] for line in self.said("no JSON"))


Start = Callable[..., Replica]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with installed(crds=False) as control:
        yield control


@pytest.fixture(scope="module")
def defined(cluster: ControlPlane) -> ControlPlane:
    """The cluster with Fairlead's definitions, from the first test on that asks for them."""
    install(cluster)
    return cluster


@pytest.fixture
def start(launch: Start, defined: ControlPlane) -> Start:
    """`start("one")`: a replica on a cluster with the definitions, gone at the end of the test."""
    return launch


@pytest.fixture
def launch(cluster: ControlPlane) -> Iterator[Start]:
    """`launch("one")`: a replica, gone at the end of the test."""
    started: list[Replica] = []

    def run(identity: str, *options: str, lease: float = 10.0) -> Replica:
        replica = Replica(start_controller(cluster, identity, *options, lease=lease))
        started.append(replica)
        return replica

    yield run
    for replica in started:
        replica.end()


def _lease(control: ControlPlane) -> dict[str, Any]:
    text = control.kubectl("get", "lease", "fairlead-controller", "-n", SYSTEM, "-o", "json").stdout
    spec: dict[str, Any] = json.loads(text)["spec"]
    return spec


def test_it_waits_for_its_definitions_and_says_how_to_install_them(
    cluster: ControlPlane, launch: Start
) -> None:
    """First of all, because the definitions stay."""
    replica = launch("early")
    assert eventually(
        lambda: replica.said(
            "cannot read",
            kinds=["AddressLease", "AddressPool", "BGPPeer", "Engine", "EngineGroup", "VirtualIP"],
        )
    )
    status, text = replica.get("/readyz")
    assert status == 503
    assert "[-] VirtualIP: the API server does not have it" in text
    assert "fairlead crds" in text
    assert replica.get("/healthz")[0] == 200
    install(cluster)
    assert eventually(lambda: replica.ready, timeout=40)
    assert eventually(lambda: replica.leads)
    assert not replica.said("fails")


def test_a_service_gets_its_address_and_the_metrics_show_it(
    cluster: ControlPlane, start: Start
) -> None:
    replica = start("only")
    assert eventually(lambda: replica.leads)
    cluster.apply(
        [pool("lan", "192.0.2.0/24"), service("web"), service("odd", loadBalancerIP="10.9.9.9")]
    )
    assert eventually(lambda: address_of(cluster, "web")) == "192.0.2.1"
    assert eventually(lambda: replica.metric("fairlead_time_to_address_seconds_count")) == 1
    assert replica.metric("fairlead_time_to_address_seconds_sum") < 20
    assert eventually(lambda: replica.metric("fairlead_vips")) == 1
    assert replica.metric("fairlead_services_per_vip") == 1
    assert replica.metric('fairlead_pool_assigned{family="IPv4",pool="lan"}') == 1
    assert replica.metric('fairlead_pool_size{family="IPv4",pool="lan"}') == 254
    writes = 'fairlead_api_requests_total{resource="virtualips",status="201",verb="create"}'
    assert replica.metric(writes) == 1
    rejected = 'fairlead_verdicts{reason="AddressNotInPool",state="Rejected"}'
    assert eventually(lambda: replica.metric(rejected)) == 1
    (line,) = eventually(lambda: replica.said("Rejected", object="Service/default/odd"))
    assert line["reason"] == "AddressNotInPool"
    assert not replica.said("Served")
    cluster.kubectl("delete", "service", "web", "odd")
    assert eventually(lambda: replica.metric("fairlead_vips") == 0)
    assert eventually(lambda: replica.metric(rejected) == 0)


def test_probes_speak_text_and_json(start: Start) -> None:
    replica = start("speaker")
    assert eventually(lambda: replica.ready)
    status, text = replica.get("/readyz", "application/json")
    assert (status, json.loads(text)["ok"]) == (200, True)
    assert replica.get("/healthz")[1].startswith("ok\n[+] loop")
    assert "# EOF" in replica.get("/metrics", "application/openmetrics-text")[1]
    assert replica.get("/")[0] == 404


def test_sigterm_gives_the_lease_up_and_another_replica_takes_over(
    cluster: ControlPlane, start: Start
) -> None:
    first = start("first")
    assert eventually(lambda: first.leads)
    second = start("second")
    assert eventually(lambda: second.ready)
    assert not second.leads
    assert eventually(lambda: "stands by; first leads" in second.get("/readyz")[1])
    assert first.stop() < 2
    assert first.said("stopped")
    assert eventually(lambda: second.leads, timeout=8)  # the lease is 10 s
    assert _lease(cluster)["holderIdentity"] == "second"
    cluster.apply([pool(), service("later")])
    assert eventually(lambda: address_of(cluster, "later"))
    cluster.kubectl("delete", "service", "later")
    assert second.stop() < 2
    assert not _lease(cluster).get("holderIdentity")


def test_a_killed_leader_is_replaced_when_its_lease_ends(start: Start) -> None:
    first = start("victim", lease=3)
    assert eventually(lambda: first.leads)
    second = start("heir", lease=3)
    assert eventually(lambda: second.ready)
    first.process.kill()
    assert eventually(lambda: second.leads, timeout=15)


def test_it_stops_while_it_waits_for_the_api_server(
    cluster: ControlPlane, start: Start, tmp_path: Path
) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    replica = start("lost", "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert eventually(lambda: replica.said("cannot read"))
    assert replica.get("/readyz")[0] == 503
    assert replica.stop() < 2


def test_a_missing_right_is_named_and_the_rest_goes_on(cluster: ControlPlane, start: Start) -> None:
    """Without EndpointSlices nobody knows backends; addresses are given all the same."""
    rules = [
        reading("", "services", "nodes", "namespaces", "configmaps", verbs=["list", "watch"]),
        reading("ako.vmware.com", "aviinfrasettings", verbs=["list", "watch"]),
        reading("fairlead.dev", "*", verbs=["*"]),
        reading("", "services/status", "events", "services", verbs=["patch", "create", "get"]),
        reading("coordination.k8s.io", "leases", verbs=["get", "create", "update"]),
    ]
    cluster.apply([pool(), *role("blind", "blind-ones", rules)])
    jane = cluster.kubeconfig_for("jane", ["blind-ones"])
    replica = start("blind", "--kubeconfig", str(jane))
    (line,) = eventually(lambda: replica.said("cannot read", kinds=["EndpointSlice"]))
    assert 'User "jane" cannot watch resource "endpointslices"' in line["why"]
    assert eventually(lambda: replica.leads)
    cluster.apply(service("blind"))
    assert eventually(lambda: address_of(cluster, "blind"))
    assert "[+] EndpointSlice: " in replica.get("/readyz")[1]
    cluster.kubectl("delete", "service", "blind")
    assert replica.stop() < 2


def test_nothing_is_decided_without_what_decides_addresses(
    cluster: ControlPlane, start: Start
) -> None:
    """A cluster whose pools cannot be read looks like one without any: every address would go."""
    watched = ["list", "watch"]
    rules = [
        reading("", "services", "nodes", "namespaces", "configmaps", verbs=watched),
        reading("discovery.k8s.io", "endpointslices", verbs=watched),
        reading("ako.vmware.com", "*", verbs=watched),
        reading("fairlead.dev", "virtualips", "enginegroups", "bgppeers", verbs=["*"]),
        reading("", "services/status", "events", "services", verbs=["patch", "create", "get"]),
        reading("coordination.k8s.io", "leases", verbs=["get", "create", "update"]),
    ]
    cluster.apply(role("poolless", "poolless-ones", rules))
    joe = cluster.kubeconfig_for("joe", ["poolless-ones"])
    replica = start("poolless", "--kubeconfig", str(joe))
    assert eventually(lambda: replica.said("cannot read", kinds=["AddressPool"]))
    status, text = replica.get("/readyz")
    assert status == 503
    assert '[-] AddressPool: addresspools.fairlead.dev is forbidden: User "joe" cannot ' in text
    assert not replica.leads
    cluster.apply(
        role("poolless", "poolless-ones", [*rules, reading("fairlead.dev", "*", verbs=["*"])])
    )
    assert eventually(lambda: replica.leads, timeout=30)
    assert eventually(lambda: replica.ready)


def test_the_rights_of_the_installation_are_enough(cluster: ControlPlane, start: Start) -> None:
    """As the service account of `deploy/install.yaml`: no request is refused."""
    kinds = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    manifests = yaml.safe_load_all((ROOT / "deploy" / "install.yaml").read_text())
    rights = [one for one in manifests if one and one["kind"] in kinds]
    cluster.apply([one for one in rights if one["kind"] == "ServiceAccount"])
    cluster.apply(rights)
    account = cluster.service_account_kubeconfig(SYSTEM, "fairlead-controller")
    replica = start("account", "--kubeconfig", str(account))
    assert eventually(lambda: replica.leads)
    cluster.apply([pool(), service("right"), service("wrong", loadBalancerIP="10.9.9.9")])
    assert eventually(lambda: address_of(cluster, "right"))
    assert eventually(lambda: "AddressNotInPool" in cluster.kubectl("get", "events").stdout)
    cluster.kubectl("delete", "service", "right", "wrong")
    assert eventually(lambda: replica.metric("fairlead_vips") == 0)
    assert eventually(lambda: replica.metric("fairlead_queue_depth") == 0)
    assert 'status="403"' not in replica.get("/metrics")[1]
    assert not replica.said("fails")
    assert not replica.said("cannot read")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--listen", "nonsense"], "--listen"),
        (["--kubeconfig", "/nonexistent/kubeconfig"], "there is no kubeconfig"),
        (["--config", "/nonexistent/fairlead.yaml"], "cannot be read"),
        (["--listen", "192.0.2.1:9440"], "cannot listen at 192.0.2.1"),
    ],
)
def test_bad_usage_is_2_and_one_line(cluster: ControlPlane, options: list[str], words: str) -> None:
    given = ["--kubeconfig", str(cluster.kubeconfig), *options]
    result = subprocess.run(
        [*COMMAND, "controller", *given], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
