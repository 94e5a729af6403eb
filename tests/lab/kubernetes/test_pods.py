"""Pods are what Kubernetes says they are, as far as a load balancer and its own pods can tell."""

import base64
import http.client
import json
import os
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import fairlead
from fairlead.lab.kubernetes import KubernetesLab
from fairlead.lab.probe import Answer, tcp_ask, udp_ask
from tests.kube import eventually

from .pods import Namespace, Object, ask_http, echo, pod, service, shell

pytestmark = pytest.mark.root


@pytest.fixture
def here(cluster: KubernetesLab, place: str) -> Namespace:
    return Namespace(cluster, place)


def read_without_certificate(address: str, container: str) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, 10250, timeout=5, context=context)
    try:
        connection.request("GET", f"/containerLogs/{container}")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_pod_serves_in_both_families_and_says_who_it_is(here: Namespace) -> None:
    here.apply(pod("one"))
    status = here.ready("one")["status"]
    addresses = [entry["ip"] for entry in status["podIPs"]]
    assert [":" in address for address in addresses] == [False, True]
    client = here.lab["node-1"]
    for address in addresses:
        for ask in (tcp_ask, udp_ask):
            answer = client.call(ask, address, 8080)
            assert isinstance(answer, Answer)
            assert answer.name == "one"
    assert "one serves tcp:8080" in here.said("one")


def test_readiness_follows_the_probe_and_reaches_the_endpoint_slices(here: Namespace) -> None:
    ports = {"name": "http", "containerPort": 8080}
    probe = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1}
    here.apply(pod("web", echo(ports, readinessProbe={**probe, "failureThreshold": 1})))
    here.apply(service("web"))
    address = here.ready("web")["status"]["podIP"]

    def ready() -> list[bool]:
        return [endpoint["conditions"]["ready"] for endpoint in here.endpoints("web")]

    assert eventually(lambda: ready() == [True])
    assert here.lab["control"].call(ask_http, address, 8080, "/unready", "POST")[0] == 200
    assert eventually(lambda: ready() == [False])
    assert here.lab["control"].call(ask_http, address, 8080, "/ready", "POST")[0] == 200
    assert eventually(lambda: ready() == [True])


@pytest.mark.parametrize(
    ("probe", "good"),
    [
        ({"tcpSocket": {"port": 8080}}, True),
        ({"tcpSocket": {"port": 8081}}, False),
        ({"exec": {"command": ["test", "-d", "/proc/net"]}}, True),
        ({"exec": {"command": ["false"]}}, False),
        ({"httpGet": {"port": 8000}}, False),
    ],
)
def test_probes_of_all_kinds(here: Namespace, probe: Object, good: bool) -> None:
    here.apply(pod("probed", echo(readinessProbe={**probe, "periodSeconds": 1})))
    if good:
        here.ready("probed")
    else:
        assert eventually(lambda: "running" in here.state("probed"))
        assert here.get("pod", "probed")["status"]["containerStatuses"][0]["ready"] is False


def test_a_container_that_is_not_alive_is_started_anew(here: Namespace) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    here.apply(pod("sick", echo(livenessProbe=probe), terminationGracePeriodSeconds=1))
    assert eventually(
        lambda: here.get("pod", "sick")["status"]["containerStatuses"][0]["restartCount"] > 0
    )
    assert "sick serves" in here.said("sick", "--previous")


def test_a_startup_probe_holds_the_others_back(here: Namespace) -> None:
    startup = {"exec": {"command": ["test", "-e", "/state/up"]}, "failureThreshold": 100}
    never = {"exec": {"command": ["test", "-e", "/state/up"]}, "failureThreshold": 1}
    container = shell(
        "sleep 2; touch /state/up; sleep 60",
        startupProbe={**startup, "periodSeconds": 1},
        livenessProbe=never,
        volumeMounts=[{"name": "state", "mountPath": "/state"}],
    )
    volumes = [{"name": "state", "emptyDir": {}}]
    here.apply(pod("slow", container, volumes=volumes, terminationGracePeriodSeconds=0))
    status = here.ready("slow")["status"]["containerStatuses"][0]
    assert (status["started"], status["restartCount"]) == (True, 0)


def test_the_environment_is_as_asked_for(here: Namespace) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}}
    data = {"word": base64.b64encode(b"hush").decode()}
    here.apply({**config, "data": {"COLOUR": "blue"}}, {**secret, "data": data})
    env: list[Object] = [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "word"}}},
        {"name": "JOINED", "value": "$(POD)-$(WORD)-$$(POD)-$(NOTHING)"},
    ]
    source = [{"prefix": "C_", "configMapRef": {"name": "config"}}]
    here.apply(pod("env", shell("env", env=env, envFrom=source), restartPolicy="Never"))
    here.ended("env")
    found = dict(line.split("=", 1) for line in here.said("env").splitlines())
    status = here.get("pod", "env")
    assert found["POD"] == found["HOSTNAME"] == found["LABEL"] == "env"
    assert found["NODE"] == status["spec"]["nodeName"]
    assert found["ADDRESS"] == status["status"]["podIP"]
    assert found["C_COLOUR"] == "blue"
    assert found["JOINED"] == "env-hush-$(POD)-$(NOTHING)"
    assert set(found) == {entry["name"] for entry in env} | {
        "C_COLOUR",
        "HOME",
        "HOSTNAME",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
        "PATH",
        "PWD",
    }


def test_volumes_are_seen_by_the_pod_and_by_nobody_else(here: Namespace) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}}
    here.apply({**config, "data": {"a.yaml": "a: 1"}})
    mounts = [
        {"name": "config", "mountPath": "/etc/fairlead-try", "readOnly": True},
        {"name": "state", "mountPath": "/var/lib/fairlead-try"},
    ]
    script = (
        "cat /etc/fairlead-try/*; touch /etc/fairlead-try/x; "
        "echo kept >> /var/lib/fairlead-try/f; cat /var/lib/fairlead-try/f"
    )
    path = {"path": "/var/lib/fairlead-try", "type": "DirectoryOrCreate"}
    config_volume = {"name": "config", "configMap": {"name": "config"}}
    volumes = [config_volume, {"name": "state", "hostPath": path}]
    for name, node in (("first", "node-1"), ("second", "node-1"), ("other", "node-2")):
        container = shell(script, volumeMounts=mounts)
        here.apply(pod(name, container, volumes=volumes, nodeName=node, restartPolicy="Never"))
        here.ended(name)
    assert "Read-only file system" in here.said("first")
    kept = {name: here.said(name).count("kept") for name in ("first", "second", "other")}
    assert kept == {"first": 1, "second": 2, "other": 1}
    assert "a: 1" in here.said("other")
    assert not Path("/etc/fairlead-try").exists()
    assert not Path("/var/lib/fairlead-try").exists()


def test_a_volume_hides_what_the_machine_has_there(here: Namespace) -> None:
    """Also beside the pod's token, whose place is in the same directory of the machine."""
    with TemporaryDirectory(dir="/run", prefix="fairlead-try-") as name:
        Path(name).chmod(0o755)
        script = f"touch {name}/made; head -c 3 /var/run/secrets/kubernetes.io/serviceaccount/token"
        container = shell(script, volumeMounts=[{"name": "own", "mountPath": name}])
        volumes = [{"name": "own", "emptyDir": {}}]
        here.apply(pod("hides", container, volumes=volumes, restartPolicy="Never"))
        assert here.ended("hides")["exitCode"] == 0, here.said("hides")
        assert here.said("hides").startswith("eyJ")
        assert not list(Path(name).iterdir())


def test_a_pod_speaks_to_the_api_server_with_its_own_token(here: Namespace) -> None:
    container = {"name": "main", "image": "kubectl", "args": ["auth", "whoami", "-o", "json"]}
    context = {"runAsUser": 65532, "runAsGroup": 65532, "runAsNonRoot": True}
    here.apply(pod("who", container, securityContext=context, restartPolicy="Never"))
    assert here.ended("who")["exitCode"] == 0, here.said("who")
    user = json.loads(here.said("who"))["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{here.name}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["who"]


def test_the_image_fairlead_is_this_program(here: Namespace) -> None:
    container = {"name": "main", "image": "registry.example/team/fairlead:1", "args": ["version"]}
    context = {"runAsUser": 65532, "runAsNonRoot": True}
    here.apply(pod("own", container, securityContext=context, restartPolicy="Never"))
    assert here.ended("own")["exitCode"] == 0, here.said("own")
    assert fairlead.__version__ in here.said("own")


def test_a_container_may_do_what_its_security_context_says(here: Namespace) -> None:
    script = "id -u; id -G; grep -E 'CapBnd|CapEff|NoNewPrivs' /proc/self/status"
    confined = {
        "runAsUser": 1234,
        "runAsGroup": 5678,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    one = {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    contexts = {"none": confined, "one": {"capabilities": one}, "usual": {}}
    for name, context in contexts.items():
        here.apply(pod(name, shell(script, securityContext=context), restartPolicy="Never"))
    facts = {}
    for name in contexts:
        here.ended(name)
        facts[name] = here.said(name).split()
    none = "0" * 16
    assert facts["none"] == ["1234", "5678", "CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "1"]
    net_admin = f"{1 << 12:016x}"
    assert facts["one"][:6] == ["0", "0", "CapEff:", net_admin, "CapBnd:", net_admin]
    assert not int(facts["usual"][3], 16) & 1 << 12


def test_what_is_missing_is_said_and_waited_for(here: Namespace) -> None:
    volumes = [{"name": "config", "configMap": {"name": "later"}}]
    here.apply(
        pod("waits", volumes=volumes),
        pod("unknown", {"name": "main", "image": "registry.invalid/none:1"}),
    )
    assert eventually(
        lambda: "later is not there" in here.state("waits").get("waiting", {}).get("message", "")
    )
    assert eventually(
        lambda: here.state("unknown").get("waiting", {}).get("reason") == "ErrImagePull"
    )
    here.kubectl("create", "configmap", "later", "--from-literal=a=b")
    here.ready("waits")


def test_init_containers_come_first_and_jobs_come_to_an_end(here: Namespace) -> None:
    volumes = [{"name": "state", "emptyDir": {}}]
    mounts = [{"name": "state", "mountPath": "/state"}]
    first = shell("sleep 0.3; echo made > /state/f", volumeMounts=mounts)
    spec = pod(
        "job",
        shell("cat /state/f", volumeMounts=mounts),
        initContainers=[{**first, "name": "first"}],
        volumes=volumes,
        restartPolicy="Never",
    )["spec"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}}
    here.apply({**job, "spec": {"template": {"spec": spec}}})
    here.kubectl("wait", "job/job", "--for=condition=Complete", "--timeout=20s")
    assert here.said("job/job") == "made\n"


def test_a_program_that_fails_is_started_again_with_backoff(here: Namespace) -> None:
    here.apply(pod("fails", shell("echo try; exit 3")))
    assert eventually(
        lambda: here.state("fails").get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )
    status = here.get("pod", "fails")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 3


def test_a_terminating_pod_serves_until_it_is_gone(here: Namespace) -> None:
    stopping = {"lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}
    here.apply(pod("leaves", echo(**stopping), terminationGracePeriodSeconds=20))
    here.apply(service("leaves"))
    status = here.ready("leaves")
    address, node = status["status"]["podIP"], here.lab[status["spec"]["nodeName"]]
    here.kubectl("delete", "pod", "leaves", "--wait=false")
    leaving = {"ready": False, "serving": True, "terminating": True}
    assert eventually(
        lambda: [end["conditions"] for end in here.endpoints("leaves")] == [leaving], timeout=3
    )
    assert isinstance(node.call(tcp_ask, address, 8080), Answer)
    assert eventually(lambda: not here.get("pod", "leaves"))
    assert eventually(lambda: here.endpoints("leaves") == [])
    assert not list(Path("/run/netns").glob(f"fl-{here.lab.name}-*.{here.name}.leaves"))


def test_a_pod_that_ignores_sigterm_is_killed_when_its_time_is_up(here: Namespace) -> None:
    script = "trap '' TERM; echo $$$$; while true; do sleep 0.1; done"
    here.apply(pod("stays", shell(script), terminationGracePeriodSeconds=1))
    here.ready("stays")
    pid = int(eventually(lambda: here.said("stays").strip()))
    assert Path(f"/proc/{pid}").exists()
    here.kubectl("delete", "pod", "stays", "--timeout=15s")
    assert not Path(f"/proc/{pid}").exists()


def test_a_forced_deletion_is_at_once(here: Namespace) -> None:
    script = "trap '' TERM; while true; do sleep 0.1; done"
    here.apply(pod("gone", shell(script), terminationGracePeriodSeconds=600))
    here.ready("gone")
    here.kubectl("delete", "pod", "gone", "--force", "--grace-period=0")
    pattern = f"fl-{here.lab.name}-*.{here.name}.gone"
    assert eventually(lambda: not list(Path("/run/netns").glob(pattern)))


def test_daemons_are_on_every_node_and_may_have_the_nodes_network(here: Namespace) -> None:
    spec = pod("daemon", echo(*[{"containerPort": 9999}]), hostNetwork=True)["spec"]
    labels = {"app": "daemon"}
    daemons = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "daemon"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    here.apply(daemons)
    here.kubectl("rollout", "status", "daemonset/daemon", "--timeout=20s")
    found = {one["spec"]["nodeName"]: one["status"]["podIP"] for one in here.pods()}
    assert found == {name: here.lab[name].v4 for name in ("node-1", "node-2")}
    for address in found.values():
        assert isinstance(here.lab["client"].call(tcp_ask, address, 9999), Answer)


def test_pods_of_a_stateful_set_keep_their_names(here: Namespace) -> None:
    labels = {"app": "state"}
    stateful = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "state"},
        "spec": {
            "serviceName": "state",
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod("state")["spec"]},
        },
    }
    here.apply(stateful)
    here.kubectl("rollout", "status", "statefulset/state", "--timeout=20s")
    before = here.get("pod", "state-0")["metadata"]["uid"]
    here.kubectl("delete", "pod", "state-0")
    assert eventually(lambda: here.get("pod", "state-0").get("metadata", {}).get("uid") != before)
    here.ready("state-0")


def test_logs_are_read_as_kubectl_reads_them(here: Namespace) -> None:
    here.apply(pod("talks", shell("for n in 1 2 3; do echo line $n; done; sleep 60")))
    here.ready("talks")
    assert eventually(lambda: here.said("talks").count("line") == 3)
    assert here.said("talks", "--tail=1") == "line 3\n"
    (stamped,) = here.said("talks", "--tail=1", "--timestamps").splitlines()
    moment, _, rest = stamped.partition(" ")
    assert rest == "line 3"
    assert moment.endswith("Z")
    assert here.said("talks", f"--since-time={moment.replace('2', '3', 1)}") == ""
    node = here.lab[here.get("pod", "talks")["spec"]["nodeName"]]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        here.lab["client"].call(read_without_certificate, node.v4, f"{here.name}/talks/main")


def test_the_runner_comes_back_and_so_do_its_pods(here: Namespace) -> None:
    here.apply(pod("again", nodeName="node-2"))
    here.ready("again")
    runner = here.lab.nodes["node-2"].components["podrunner"]
    address = here.get("pod", "again")["status"]["podIP"]
    runner.end()
    assert eventually(
        lambda: not isinstance(here.lab["node-2"].call(tcp_ask, address, 8080), Answer)
    )
    runner.start()

    def answers() -> bool:
        address = here.get("pod", "again")["status"]["podIP"]
        return isinstance(here.lab["node-2"].call(tcp_ask, address, 8080), Answer)

    assert eventually(answers)
    here.ready("again")


def test_pods_live_on_without_the_api_server(here: Namespace) -> None:
    here.apply(pod("lives"))
    address = here.ready("lives")["status"]["podIP"]
    here.lab.control.kill("kube-apiserver")
    try:
        assert isinstance(here.lab["node-1"].call(tcp_ask, address, 8080), Answer)
    finally:
        here.lab.control.start("kube-apiserver")
        here.lab.control.wait_ready()
    assert here.ready("lives")["status"]["podIP"] == address
    here.apply(pod("next"))
    here.ready("next", within=40)


def test_no_process_is_left_in_a_pod_that_is_gone(here: Namespace) -> None:
    here.apply(pod("forks", shell("setsid sleep 600 & echo $!; sleep 600")))
    here.ready("forks")
    pid = int(eventually(lambda: here.said("forks").strip()))
    assert os.path.exists(f"/proc/{pid}")
    here.kubectl("delete", "pod", "forks", "--timeout=20s")
    assert eventually(lambda: not os.path.exists(f"/proc/{pid}"))
