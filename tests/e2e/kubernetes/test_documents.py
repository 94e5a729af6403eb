"""The users' documents through kubectl, word for word, on a real cluster."""

import http.client
import json
import re
from collections.abc import Iterator
from functools import partial

import pytest

from fairlead.lab.kubernetes import KubernetesLab

from ..asking import RESET, UNREACHABLE, Steady, User
from ..serving import becomes, until
from .agents import holders
from .system import EXAMPLES, NOTHING, Person, Running, run

pytestmark = pytest.mark.root
LB1, LB2 = "sharedvip-avisvc-lb1", "sharedvip-avisvc-lb2"
FIRST, PREFERRED, OTHER = "100.64.196.61", "100.64.196.75", "100.64.196.76"
STATIC = "192.168.0.220"
EXTERNAL = "80.81.82.81"
INGRESS = "ingress-nginx-controller"
SPACE = "ingress-nginx"


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesLab]:
    """Two nodes, whose LAN has the subnets of all documents."""
    lan = ["192.168.8.0/24", "100.64.196.0/24", "192.168.0.0/24", "80.81.82.80/28"]
    with KubernetesLab(nodes=2, lan=lan, ipv6=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def running(cluster: KubernetesLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Fairlead on it, and the pods that the documents speak of."""
    cluster.kubectl("create", "namespace", SPACE)
    cluster.apply(
        [
            _deployment("avi-server", {"TCP": 8080, "UDP": 8080}),
            _deployment("nginx", {"TCP": 80}, replicas=1),
            _deployment("ingress-nginx", {"http": 8080, "https": 8443}, namespace=SPACE),
        ]
    )
    cluster.kubectl("create", "deployment", "test-deploy", "--image=echo", "--port=80")
    yield from run(cluster, tmp_path_factory.mktemp("fairlead"), handleUnclassed=True)


@pytest.fixture
def kubectl(cluster: KubernetesLab, running: Running) -> Iterator[Person]:
    """Somebody with kubectl; what he made is gone after the test."""
    person = Person(cluster)
    yield person
    person.clean()


def _deployment(
    name: str, ports: dict[str, int], *, namespace: str = "default", replicas: int = 2
) -> dict[str, object]:
    """Echo servers labelled as the documents' selectors ask."""
    labels = {"app": name, "app.kubernetes.io/name": name}
    listed = [
        {"name": key.lower(), "containerPort": port, "protocol": key if key == "UDP" else "TCP"}
        for key, port in ports.items()
    ]
    containers = [{"name": "server", "image": "echo", "ports": listed}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }


def pods(kubectl: Person, app: str, namespace: str = "default") -> set[str]:
    """The names of an app's pods."""
    found = kubectl.read("pods", "-n", namespace, "-l", f"app={app}")["items"]
    return {one["metadata"]["name"] for one in found}


def reaches(user: User, vip: str, port: int, app: str, protocol: str = "TCP") -> None:
    """Wait until a pod of the app answers."""
    ask = user.udp if protocol == "UDP" else user.tcp
    until(f"{vip}:{port} of {app}", lambda: ask(vip, port), lambda who: who.startswith(f"{app}-"))


def edit(kubectl: Person, name: str, **spec: object) -> None:
    """Change fields of a Service's spec."""
    kubectl("patch", "service", name, "--type=merge", "-p", json.dumps({"spec": spec}))


def _is_warned(kubectl: Person, name: str, reason: str, message: str) -> bool:
    """Whether an Event says that of a Service."""
    return (reason, message) in kubectl.warnings(name)


def share(kubectl: Person, name: str, key: str) -> None:
    """Give a Service another key, or none."""
    note = f"ako.vmware.com/enable-shared-vip{f'={key}' if key else '-'}"
    kubectl("annotate", "service", name, note, "--overwrite")


# -- AKO: Shared VIP -----------------------------------------------------------------------------


def test_ako_two_services_share_a_vip_and_then_the_preferred_one(
    kubectl: Person, user: User, running: Running
) -> None:
    kubectl.apply("ako-shared-vip/services.yaml")
    becomes("NoPool", kubectl.reason, LB1)
    assert kubectl.shown() == {LB1: "<pending>", LB2: "<pending>"}
    kubectl.apply("ako-shared-vip/pool.yaml")
    kubectl.serves(**{LB1: FIRST, LB2: FIRST})
    reaches(user, FIRST, 80, "avi-server")
    reaches(user, FIRST, 80, "avi-server", "UDP")
    assert user.crowd(FIRST) == pods(kubectl, "avi-server")
    kubectl.apply("ako-static-address/services.yaml")
    kubectl.serves(**{LB1: PREFERRED, LB2: PREFERRED})
    reaches(user, PREFERRED, 80, "avi-server")
    reaches(user, PREFERRED, 80, "avi-server", "UDP")
    assert list(kubectl.ledger()) == [PREFERRED]
    becomes(set(), holders, running.agents, FIRST)


def test_ako_a_group_that_disagrees_is_not_served_and_every_member_hears_why(
    kubectl: Person, user: User
) -> None:
    """The pool comes last: kubectl makes one Service after the other, and the first one alone would
    be served at once."""
    kubectl.apply("ako-mismatch/services.yaml")
    for name in (LB1, LB2):
        becomes("StaticAddressMismatch", kubectl.reason, name)
    kubectl.apply("ako-mismatch/pool.yaml")
    for name, other in ((LB1, LB2), (LB2, LB1)):
        message = kubectl.condition(name).message
        assert other in message
        becomes(True, _is_warned, kubectl, name, "StaticAddressMismatch", message)
    assert kubectl.shown() == {LB1: "<pending>", LB2: "<pending>"}
    assert kubectl.ledger() == {}
    edit(kubectl, LB2, loadBalancerIP=PREFERRED)
    kubectl.serves(**{LB1: PREFERRED, LB2: PREFERRED})
    reaches(user, PREFERRED, 80, "avi-server", "UDP")


def test_ako_members_come_and_go_and_change_their_type(kubectl: Person, user: User) -> None:
    kubectl.apply("ako-shared-vip/pool.yaml", "ako-shared-vip/services.yaml")
    kubectl.serves(**{LB1: FIRST, LB2: FIRST})
    reaches(user, FIRST, 80, "avi-server")
    reaches(user, FIRST, 80, "avi-server", "UDP")
    with Steady(user, (FIRST, 80)):
        edit(kubectl, LB2, type="ClusterIP")
        kubectl.serves(**{LB1: FIRST})
        becomes(UNREACHABLE, user.udp, FIRST, 80)
        becomes(NOTHING, kubectl.condition, LB2)
        assert kubectl.read("service", LB2)["status"] == {"loadBalancer": {}}
        edit(kubectl, LB2, type="LoadBalancer")
        kubectl.serves(**{LB1: FIRST, LB2: FIRST})
        reaches(user, FIRST, 80, "avi-server", "UDP")
        share(kubectl, LB2, "")
        kubectl.serves(**{LB1: FIRST, LB2: "100.64.196.62"})
        share(kubectl, LB2, "shared-vip-key-1")
        kubectl.serves(**{LB1: FIRST, LB2: FIRST})
        edit(kubectl, LB2, ports=[{"port": 80, "targetPort": 8080}])
        becomes("PortConflict", kubectl.reason, LB2)
        assert kubectl.condition(LB1).status == "True"
    kubectl("delete", "service", LB1)
    kubectl.serves(**{LB2: FIRST})


# -- AKO: AviInfraSetting ------------------------------------------------------------------------


def _pool(name: str, *addresses: str, networks: tuple[str, ...] = ()) -> str:
    return json.dumps(
        {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "AddressPool",
            "metadata": {"name": name},
            "spec": {"addresses": list(addresses), "networks": list(networks)},
        }
    )


def _setting(name: str, network: str, version: str = "v1beta1", **spec: object) -> str:
    listed = (
        {"names": [network]} if version == "old" else {"vipNetworks": [{"networkName": network}]}
    )
    return json.dumps(
        {
            "apiVersion": f"ako.vmware.com/{'v1alpha1' if version == 'old' else version}",
            "kind": "AviInfraSetting",
            "metadata": {"name": name},
            "spec": {"network": listed, **spec},
        }
    )


def _status(kubectl: Person, name: str) -> str:
    """The column STATUS of `kubectl get aviinfrasettings`."""
    return kubectl("get", "aviinfrasettings", name, "--no-headers").split()[1]


@pytest.fixture
def pools(kubectl: Person) -> Person:
    """Somebody with two networks."""
    _make_pools(kubectl)
    return kubectl


def _make_pools(kubectl: Person) -> None:
    kubectl("apply", "-f", "-", input=_pool("blue", "100.64.196.100-100.64.196.109"))
    red = _pool("red", "100.64.196.110-100.64.196.119", networks=("avi-red",))
    kubectl("apply", "-f", "-", input=red)


@pytest.mark.parametrize("version", ["v1beta1", "v1alpha1", "old"])
def test_a_setting_that_changes_moves_all_its_users_at_once(
    pools: Person, user: User, version: str
) -> None:
    kubectl = pools
    kubectl("apply", "-f", "-", input=_setting("gold", "avi-red", version))
    kubectl.apply("ako-shared-vip/services.yaml")
    kubectl("annotate", "service", LB1, LB2, "aviinfrasetting.ako.vmware.com/name=gold")
    kubectl.serves(**{LB1: "100.64.196.110", LB2: "100.64.196.110"})
    becomes("Accepted", _status, kubectl, "gold")
    kubectl("apply", "-f", "-", input=_setting("gold", "blue", version))
    kubectl.serves(**{LB1: "100.64.196.100", LB2: "100.64.196.100"})
    reaches(user, "100.64.196.100", 80, "avi-server", "UDP")
    assert list(kubectl.ledger()) == ["100.64.196.100"]


def test_a_setting_says_what_is_wrong_with_it_and_heals(pools: Person) -> None:
    kubectl = pools
    kubectl("apply", "-f", "-", input=_setting("gold", "green", seGroup={"name": "nobody"}))
    becomes("Rejected", _status, kubectl, "gold")
    error = kubectl.read("aviinfrasetting", "gold")["status"]["error"]
    assert "'green'" in error
    assert "'nobody'" in error
    kubectl("apply", "-f", "-", input=_setting("gold", "green"))
    kubectl("apply", "-f", "-", input=_pool("green", "100.64.196.120"))
    becomes("Accepted", _status, kubectl, "gold")
    assert kubectl.read("aviinfrasetting", "gold")["status"]["error"] == ""


def test_members_with_different_settings_are_not_served(kubectl: Person) -> None:
    kubectl("apply", "-f", "-", input=_setting("gold", "avi-red"))
    kubectl("apply", "-f", "-", input=_setting("iron", "blue"))
    text = (EXAMPLES / "ako-shared-vip" / "services.yaml").read_text()
    for name in ("gold", "iron"):
        note = f"  annotations:\n    aviinfrasetting.ako.vmware.com/name: {name}\n"
        text = text.replace("  annotations:\n    ako", f"{note}    ako", 1)
    kubectl("apply", "-f", "-", input=text)
    for name in (LB1, LB2):
        becomes("InfraSettingMismatch", kubectl.reason, name)
        message = kubectl.condition(name).message
        becomes(True, _is_warned, kubectl, name, "InfraSettingMismatch", message)
    _make_pools(kubectl)
    assert kubectl.ledger() == {}
    kubectl("annotate", "service", LB2, "aviinfrasetting.ako.vmware.com/name=gold", "--overwrite")
    kubectl.serves(**{LB1: "100.64.196.110", LB2: "100.64.196.110"})


def test_a_namespace_has_a_setting_for_all_in_it(pools: Person) -> None:
    kubectl = pools
    kubectl("apply", "-f", "-", input=_setting("gold", "avi-red"))
    kubectl("create", "namespace", "team")
    kubectl("label", "namespace", "team", "fairlead-test=yes")
    text = (EXAMPLES / "ako-shared-vip" / "services.yaml").read_text()
    kubectl("apply", "-f", "-", input=text.replace("namespace: default", "namespace: team"))
    kubectl.serves("team", **{LB1: "100.64.196.100", LB2: "100.64.196.100"})
    kubectl("annotate", "namespace", "team", "aviinfrasetting.ako.vmware.com/name=gold")
    kubectl.serves("team", **{LB1: "100.64.196.110", LB2: "100.64.196.110"})


# -- kube-vip ------------------------------------------------------------------------------------


def _expose(kubectl: Person, name: str, port: int) -> None:
    kubectl(
        *("expose", "deployment", "test-deploy", f"--port={port}", "--target-port=80"),
        *("--type=LoadBalancer", "--name", name, f"--load-balancer-ip={STATIC}"),
    )


def test_kube_vip_services_on_one_address(kubectl: Person, user: User) -> None:
    _expose(kubectl, "http1", 80)
    _expose(kubectl, "http2", 81)
    kubectl.serves(http1=STATIC, http2=STATIC)
    reaches(user, STATIC, 81, "test-deploy")
    reaches(user, STATIC, 80, "test-deploy")
    with Steady(user, (STATIC, 80)):
        _expose(kubectl, "http3", 80)
        becomes("PortConflict", kubectl.reason, "http3")
        assert "default/http1" in kubectl.condition("http3").message
        kubectl("annotate", "service", "http2", "kube-vip.io/ignore=true")
        kubectl.serves(http1=STATIC, http2="<pending>", http3="<pending>")
        becomes(RESET, user.tcp, STATIC, 81)
        kubectl("annotate", "service", "http2", "kube-vip.io/ignore-")
        kubectl.serves(http1=STATIC, http2=STATIC, http3="<pending>")
    kubectl("delete", "service", "http1")
    kubectl.serves(http2=STATIC, http3=STATIC)


def test_kube_vip_class_local_policy_dhcp_and_upnp(
    kubectl: Person, user: User, running: Running, cluster: KubernetesLab
) -> None:
    folder = "kube-vip-shared-ip"
    kubectl.apply(*(f"{folder}/{name}.yaml" for name in ("pool", "class", "local", "dhcp")))
    shown = {
        "http-class": "192.168.0.221",
        "http-other-class": "<pending>",
        "nginx-service": "192.168.0.230",
        "nginx-dhcp": "<pending>",
    }
    kubectl.serves(**shown)
    becomes("DHCPRefused", kubectl.reason, "nginx-dhcp")
    assert kubectl.condition("http-other-class") == NOTHING
    (pod,) = kubectl.read("pods", "-l", "app=nginx")["items"]
    becomes({pod["spec"]["nodeName"]}, holders, running.agents, "192.168.0.230")
    reaches(user, "192.168.0.230", 80, "nginx")
    assert user.seen_as("192.168.0.230") == str(
        next(one.ip for one in cluster["client"].spec.lan if str(one.ip).startswith("192.168.0."))
    )
    kubectl(
        *("expose", "deployment", "test-deploy", "--port=32380", "--target-port=80"),
        *("--type=LoadBalancer", "--name=plunder-nginx"),
    )
    kubectl("annotate", "service", "plunder-nginx", "kube-vip.io/forwardUPNP=true")
    becomes("kube-vip", lambda: _dialects(kubectl).get("plunder-nginx", ""))
    (vip,) = [one for one in kubectl.ledger() if one not in shown.values()]
    kubectl.serves(**shown, plunder_nginx=vip)
    reaches(user, vip, 32380, "test-deploy")


def _dialects(kubectl: Person) -> dict[str, str]:
    """By which language Services of the ledger are read."""
    return {spec["group"]["name"]: spec["group"]["dialect"] for spec in kubectl.ledger().values()}


# -- VMware Cloud Director -----------------------------------------------------------------------

OUTCOMES = (
    ("vcd-shared-external-ip", 0),
    ("vcd-shared-internal-ip", 1),
    ("vcd-internal-ip-per-port", 2),
    ("vcd-shared-external-ip", 0),
)
"""The examples, and how many internal addresses each has."""


def _page(address: str, port: int) -> str:
    """Who answers over HTTP."""
    connection = http.client.HTTPConnection(address, port, timeout=0.9)
    try:
        connection.request("GET", "/")
        return str(json.loads(connection.getresponse().read())["name"])
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


@pytest.mark.parametrize("dataplane", ["cluster", "nft"])
def test_vcd_an_edit_of_the_config_map_takes_effect_at_once(
    kubectl: Person, user: User, running: Running, dataplane: str
) -> None:
    """With nft there is an edge, which translates; what it translates to is on the other node."""
    if dataplane == "nft":
        kubectl("label", "node", "node-1", "fairlead.dev/role=edge")
        running.restart("nft")
    kubectl.apply("vcd-shared-external-ip/configmap.yaml", "vcd-shared-external-ip/service.yaml")
    servers = pods(kubectl, "ingress-nginx", SPACE)
    for folder, internal in OUTCOMES:
        kubectl.apply(f"{folder}/configmap.yaml")
        becomes(internal, lambda: len(kubectl.ledger()) - 1)
        kubectl.serves(SPACE, **{INGRESS: EXTERNAL})
        ledger = kubectl.ledger()
        translations = ledger[EXTERNAL].get("translations", ())
        assert len(translations) == (2 if internal else 0)
        assert {step["internal"] for step in translations} == ledger.keys() - {EXTERNAL}
        if dataplane == "nft":
            outer = "node-1" if internal else "node-2"
            for vip in ledger:
                becomes({outer if vip == EXTERNAL else "node-2"}, holders, running.agents, vip)
        for port in (80, 443):
            answer = partial(user.host.call, _page, EXTERNAL, port)
            until("an answer", answer, lambda who: who in servers)
    if dataplane == "nft":
        kubectl("label", "node", "node-1", "fairlead.dev/role-")
        running.restart("cluster")


# -- Fairlead's own page --------------------------------------------------------------------------


def test_the_reservation_of_the_page_keeps_an_address_free(kubectl: Person) -> None:
    page = (EXAMPLES.parent / "docs" / "kubernetes.md").read_text()
    block = re.search(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    kubectl("apply", "-f", "-", input=_pool("lan", "192.0.2.20-192.0.2.21"))
    kubectl("apply", "-f", "-", input=block[1])
    for name in ("first", "second"):
        kubectl("expose", "deployment", "test-deploy", "--type=LoadBalancer", f"--name={name}")
    becomes("PoolExhausted", kubectl.reason, "second")
    kubectl.serves(first="192.0.2.21", second="<pending>")
    kubectl("delete", "-f", "-", input=block[1])
    kubectl.serves(first="192.0.2.21", second="192.0.2.20")


# -- without a class -----------------------------------------------------------------------------


def test_services_without_a_class_are_somebody_elses_unless_told(
    kubectl: Person, running: Running
) -> None:
    """Last: the controller goes by another configuration then."""
    kubectl.apply("ako-shared-vip/pool.yaml")
    running.controller.stop()
    running.controller.start()
    kubectl.apply("ako-shared-vip/services.yaml")
    _expose(kubectl, "http1", 80)
    kubectl.apply("kube-vip-shared-ip/class.yaml")
    kubectl.serves(
        **{
            LB1: "<pending>",
            LB2: "<pending>",
            "http1": "<pending>",
            "http-class": "192.168.0.221",
            "http-other-class": "<pending>",
        }
    )
    for name in (LB1, LB2, "http1"):
        assert kubectl.condition(name) == NOTHING
        assert kubectl.warnings(name) == []
    assert list(kubectl.ledger()) == ["192.168.0.221"]
