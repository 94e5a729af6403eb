"""What the two service accounts may do: all they need, and nothing more.

The whole list is asked of the API server, so a permission that slips in is seen, whatever grants
it.
"""

import json
import re

import pytest

from fairlead.lab.kubernetes import ControlPlane

from .rendered import NAMESPACE, ROOT, find, template

Right = tuple[str, str, str]
"""Verb, resource (with its group), and the one name it is for."""
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
SHARED = f"""
    list watch: nodes endpointslices.discovery.k8s.io
    list watch: virtualips.fairlead.dev enginegroups.fairlead.dev bgppeers.fairlead.dev
    list watch: addressleases.fairlead.dev
    get: namespaces/kube-system
    get: {DEFINITIONS}/virtualips.fairlead.dev {DEFINITIONS}/enginegroups.fairlead.dev
    get: {DEFINITIONS}/bgppeers.fairlead.dev {DEFINITIONS}/addressleases.fairlead.dev
"""
AGENT = f"""
    {SHARED}
    create patch: engines.fairlead.dev
    patch: addressleases.fairlead.dev:status
"""
CELLS = "get create update: leases.coordination.k8s.io"
CONTROLLER = f"""
    {SHARED}
    list watch: services namespaces configmaps/vcloud-ccm-configmap
    list watch: addresspools.fairlead.dev aviinfrasettings.ako.vmware.com engines.fairlead.dev
    get: {DEFINITIONS}/engines.fairlead.dev
    get: {DEFINITIONS}/addresspools.fairlead.dev {DEFINITIONS}/aviinfrasettings.ako.vmware.com
    get create update delete: virtualips.fairlead.dev
    create update delete: addressleases.fairlead.dev
    get patch: services
    patch: services:status addresspools.fairlead.dev:status enginegroups.fairlead.dev:status
    patch: bgppeers.fairlead.dev:status aviinfrasettings.ako.vmware.com:status
    patch: aviinfrasettings.ako.vmware.com
    create: events
"""
LEASE = """
    create: leases.coordination.k8s.io
    get update: leases.coordination.k8s.io/fairlead-controller
"""
ACCOUNTS = ("fairlead-controller", "fairlead-agent")


def _table(text: str) -> set[Right]:
    found = set()
    for line in text.split("\n"):
        verbs, _, resources = line.partition(":")
        for resource in resources.split():
            where, _, name = resource.partition("/")
            found |= {(verb, where, name) for verb in verbs.split()}
    return found


def _granted(control: ControlPlane, account: str, namespace: str) -> set[Right]:
    """What the API server says that an account may do in a namespace, and cluster-wide."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    user = f"--as=system:serviceaccount:{NAMESPACE}:{account}"
    said = control.kubectl(
        *("create", "-f", "-", "-o", "json", "--validate=false", user),
        *("--as-group=system:serviceaccounts", "--as-group=system:authenticated"),
        input=json.dumps(review),
    )
    found = set()
    for rule in json.loads(said.stdout)["status"]["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                plural, _, part = resource.partition("/")
                where = ".".join(filter(None, (plural, group))) + (f":{part}" if part else "")
                names = rule.get("resourceNames") or [""]
                found |= {(verb, where, name) for verb in rule["verbs"] for name in names}
    return found


def _own(control: ControlPlane, account: str, namespace: str) -> set[Right]:
    """What an account may do that everybody may not."""
    return _granted(control, account, namespace) - _granted(control, "default", namespace)


def test_the_controller_may_do_this(installed: ControlPlane) -> None:
    assert _own(installed, "fairlead-controller", "default") == _table(CONTROLLER)


def test_the_controller_leads_in_its_own_namespace(installed: ControlPlane) -> None:
    assert _own(installed, "fairlead-controller", NAMESPACE) == _table(CONTROLLER + LEASE)


def test_the_agent_reads_and_writes_its_engine(installed: ControlPlane) -> None:
    assert _own(installed, "fairlead-agent", "default") == _table(AGENT)


def test_the_agent_settles_which_half_goes_on_in_its_own_namespace(installed: ControlPlane) -> None:
    assert _own(installed, "fairlead-agent", NAMESPACE) == _table(f"{AGENT}\n{CELLS}")


NFT = "--set=config.dataplane=nft"
PODS = "--set=config.serviceType=NodePortLocal"


@pytest.mark.parametrize(
    ("account", "arguments", "reads"),
    [
        ("agent", ["--set=config.dataplane=none"], ""),
        ("agent", [], "endpointslices"),
        ("agent", [PODS], "endpointslices"),
        ("agent", [NFT], "endpointslices services"),
        ("agent", [NFT, PODS], "endpointslices services pods"),
        ("controller", [], "services endpointslices"),
        ("controller", [PODS], "services endpointslices pods"),
    ],
)
def test_what_is_read_of_the_workload_depends_on_who_carries_the_traffic(
    account: str, arguments: list[str], reads: str
) -> None:
    role = find(template(*arguments), "ClusterRole", f"fairlead-{account}")
    listed = {
        name for rule in role["rules"] for name in rule["resources"] if "list" in rule["verbs"]
    }
    assert listed & {"services", "endpointslices", "pods"} == set(reads.split())


def test_tokens_of_the_accounts_work(installed: ControlPlane) -> None:
    """One ConfigMap by its name in all namespaces, as the controller watches it, and no other."""
    config = installed.service_account_kubeconfig(NAMESPACE, "fairlead-controller")
    everywhere = ("get", "configmaps", "-A")
    only = "--field-selector=metadata.name=vcloud-ccm-configmap"
    done = installed.kubectl(*everywhere, only, kubeconfig=config)
    assert "No resources found" in done.stderr
    refused = installed.kubectl(*everywhere, kubeconfig=config, check=False)
    assert "cannot list resource" in refused.stderr
    for resource in ("secrets", "serviceaccounts", "deployments"):
        refused = installed.kubectl("get", resource, "-A", kubeconfig=config, check=False)
        assert "Forbidden" in refused.stderr


def _resources(cell: str) -> str:
    """A cell of the page as a line of a table here: `services/status`, `leases[name, name]`."""
    plain = cell.replace("`", "").replace("/", ":")
    named = re.sub(
        r"(\S+?)\[([^\]]*)\]",
        lambda found: " ".join(f"{found[1]}/{name}" for name in found[2].split(", ")),
        plain,
    )
    return named.replace(",", " ")


def test_the_page_tells_of_every_right() -> None:
    """The table in docs/install.md: | account | verbs | resources | why |."""
    page = (ROOT / "docs" / "install.md").read_text()
    section = page.partition("## What it may do")[2].partition("| container |")[0]
    told: dict[str, set[Right]] = {"controller": set(), "agent": set()}
    for row in re.findall(r"^\| ([a-z, ]+) \| ([a-z, ]+) \| (`[^|]*) \|", section, re.MULTILINE):
        accounts, verbs, resources = row
        for account in accounts.split(", "):
            told[account] |= _table(f"{verbs.replace(',', ' ')}: {_resources(resources)}")
    pods = _table("list watch: pods")
    assert told["controller"] == _table(CONTROLLER + LEASE) | pods
    assert told["agent"] == _table(f"{AGENT}\n{CELLS}\nlist watch: services") | pods
