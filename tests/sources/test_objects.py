"""An object that cannot be used: which field, what to do, and on which line."""

import pytest

from fairlead.model.names import Ref
from fairlead.model.verdict import Code
from fairlead.sources.decode import Foreign, Invalid, decode

from .make import Folder, service

LABEL = "must be 1 to 63 small letters, digits and '-', with a letter or digit at both ends."


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (service("a", '"80"'), 9,
         "spec.ports[0].port must be a whole number, not text: remove the quotes."),
        (service("a", "http"), 9, "spec.ports[0].port must be a whole number, not text ('http')."),
        (service("a", 0), 9, "spec.ports[0].port must be at least 1, not 0."),
        (service("a", 65536), 9, "spec.ports[0].port must be at most 65535, not 65536."),
        (service("a", 80.5), 9, "spec.ports[0].port must be a whole number, not 80.5."),
        (service("a", "9" * 30), 9, "spec.ports[0].port must be a whole number, not 1e+30."),
        (service("a", ".nan"), 9, "spec.ports[0].port must be a whole number, not nan."),
        (service("a", "1e999"), 9,
         "spec.ports[0].port must be a whole number, not text ('1e999')."),
        (service("a", "null"), 9, "spec.ports[0].port must be a whole number, not null."),
        (service("a", "[80]"), 9, "spec.ports[0].port must be a whole number, not a list."),
        (service("a", more="protocol: tcp"), 10,
         "spec.ports[0].protocol must be one of TCP, UDP, SCTP, not 'tcp'."),
        (service("a", more='targetPort: "80"'), 10,
         "spec.ports[0].targetPort must be a whole number, not text: remove the quotes."),
        (service("a", more="targetPort: 70000"), 10,
         "spec.ports[0].targetPort must be from 1 to 65535, not 70000."),
        (service("a", more="targetPort: no_name"), 10,
         "spec.ports[0].targetPort 'no_name' must be a port name: 1 to 15 small letters, "
         "digits and '-', with a letter."),
        (service("a", more="name: A"), 10, f"spec.ports[0].name 'A' {LABEL}"),
        (service("a", more="port: 81"), 10, "spec.ports[0].port is there twice; keep one."),
        (service("a", spec="typ: x\ntype: ClusterIP"), 9, "spec.type is there twice; keep one."),
        (service("a", spec="sessionAffinity: IP"), 8,
         "spec.sessionAffinity must be one of None, ClientIP, not 'IP'."),
        (service("a", spec="externalTrafficPolicy: local"), 8,
         "spec.externalTrafficPolicy must be one of Cluster, Local, not 'local'."),
        (service("a", spec="ipFamilies: [IPv5]"), 8,
         "spec.ipFamilies must be one of IPv4, IPv6, not 'IPv5'."),
        (service("a", spec="loadBalancerIP: 5"), 8,
         "spec.loadBalancerIP must be text, not 5: quote it."),
        (service("a", spec="publishNotReadyAddresses: 1"), 8,
         "spec.publishNotReadyAddresses must be true or false, not 1."),
        (service("a").replace("LoadBalancer", "Balancer"), 7,
         "spec.type must be one of ClusterIP, NodePort, LoadBalancer, ExternalName, not "
         "'Balancer'."),
        (service("a", meta="labels: {x: 1}"), 6, "label x must be text, not 1: quote it."),
        (service("a", meta="labels: [x]"), 6, "metadata.labels must be a mapping, not a list."),
        (service("a", meta="annotations:\n  a.io/x: b\n  a.io/y: true"), 8,
         "annotation a.io/y must be text, not true: quote it."),
        (service("a", meta="annotations:\n  a.io/y: on"), 7,
         "annotation a.io/y must be text, not true: quote it."),
        (service("a", meta="annotations:\n  a.io/y: 80"), 7,
         "annotation a.io/y must be text, not 80: quote it."),
        (service("a", meta="annotations:\n  a.io/y:"), 7,
         "annotation a.io/y must be text, not null."),
        (service("a", meta="annotations:\n  a.io/y: 0644"), 7,
         "annotation a.io/y must be text, not 420: quote it."),
        (service("a", meta="annotations:\n  a.io/y: &n [x]\n  a.io/z: *n"), 7,
         "annotation a.io/y must be text, not a list."),
        (service("a", meta="annotations: {a b: c}"), 6,
         "annotation a b: the key must be a name of at most 63 letters, digits, '-', '_' "
         "and '.', after 'domain/' if any."),
        (service("a", meta="labels: {x: 'a b'}"), 6,
         "label x: the value 'a b' must be at most 63 letters, digits, '-', '_' and '.', "
         "with a letter or digit at both ends."),
        (service("a", meta="namespace: Team"), 6, f"metadata.namespace 'Team' {LABEL}"),
        ("apiVersion: v2\nkind: Service\nmetadata: {name: a}", 1,
         "apiVersion 'v2' of Service is not read; use v1."),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}", 1, "spec is missing."),
    ],
)  # fmt: skip
def test_a_service_that_cannot_be_used(folder: Folder, text: str, line: int, message: str) -> None:
    folder.write(text)
    folder.load()
    (problem,) = folder.batch.problems
    (change,) = folder.batch.changes
    assert (problem.line, problem.message) == (line, f"{change.ref}: {message}")
    assert problem.ref == change.ref
    assert change.object is None
    assert change.problem is not None
    assert (change.problem.code, change.problem.message) == (Code.INVALID_OBJECT, message)


@pytest.mark.parametrize(
    ("spec", "line", "message"),
    [
        ("adresses: [192.0.2.0/24]", 5,
         "spec.adresses is not a field of AddressPool; did you mean addresses?"),
        ("addresses: [192.0.2.0/24]\n  zzz: 1", 6,
         "spec.zzz is not a field of AddressPool; remove it."),
        ("addresses: []", 5, "spec.addresses must not be empty."),
        ("addresses: 192.0.2.0/24", 5, "spec.addresses must be a list, not text ('192.0.2.0/24')."),
        ("addresses: [a]\n  announce: arp", 6,
         "spec.announce must be one of l2, bgp, none, not 'arp'."),
        ("priority: 1", 4, "spec.addresses is missing."),
        ("addresses: [a]\n  serviceSelector: {matchLabels: {a: 1}}", 6,
         "spec.serviceSelector.matchLabels.a must be text, not 1: quote it."),
    ],
)  # fmt: skip
def test_a_pool_that_cannot_be_used(folder: Folder, spec: str, line: int, message: str) -> None:
    head = "apiVersion: fairlead.dev/v1alpha1\nkind: AddressPool\nmetadata: {name: p}\nspec:\n  "
    folder.write(f"{head}{spec}\n")
    folder.load()
    assert folder.lines == [f"all.yaml:{line}: AddressPool/p: {message}"]


def test_several_ports_need_names_that_differ(folder: Folder) -> None:
    folder.write(service("a", more="name: x") + "  - port: 81\n")
    folder.write(service("b", more="name: x") + "  - port: 81\n    name: x\n", "b.yaml")
    folder.write(service("c", more="name: x") + "  - port: 80\n    name: z\n", "c.yaml")
    folder.write(service("d", spec="") + "  - port: 80\n    protocol: UDP\n", "d.yaml")
    folder.load()
    assert folder.why("Service/default/a").startswith("spec.ports[1].name is missing")
    assert folder.why("Service/default/b") == (
        "spec.ports[1].name x is also that of spec.ports[0]; rename one."
    )
    assert folder.why("Service/default/c") == (
        "spec.ports[1] repeats TCP 80 of spec.ports[0]; remove it."
    )
    assert folder.why("Service/default/d").startswith("spec.ports[0].name is missing")


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("Web", "Web"), ("a_b", "a_b"), ("a/b", "a%2Fb"), ("'a b'", "a%20b"), ("'50%'", "50%25"),
        ("naïve", "naïve"), ("'\u202e'", "%E2%80%AE"), ('"\\0"', "%00"), ("123", "123"),
        ("1.5", "1.5"), ("true", "true"), ("-a", "-a"), ("x" * 64, "x" * 64),
        ("x" * 999, "x" * 253),
    ],
)  # fmt: skip
def test_a_name_with_odd_characters_is_refused_under_a_name_that_can_be_shown(
    folder: Folder, name: str, ref: str
) -> None:
    folder.write(service(name) + service("good"))
    folder.load()
    assert folder.why(f"Service/default/{ref}").startswith("metadata.name ")
    assert [problem.line for problem in folder.batch.problems] == [5]
    assert folder.port("good") == 80


@pytest.mark.parametrize("name", ["", "null", "[a]", "{a: b}"])
def test_an_object_without_a_name_is_a_problem_of_its_line(folder: Folder, name: str) -> None:
    folder.write(service(name or "''") + service("good"))
    folder.load()
    (problem,) = folder.batch.problems
    assert (problem.line, problem.ref) == (5, None)
    assert folder.port("good") == 80


def test_annotations_of_ten_megabytes_are_refused_quickly(folder: Folder) -> None:
    folder.write(service("a", meta=f"annotations:\n  a.io/x: {'x' * 10_000_000}") + service("b"))
    folder.load()
    assert folder.lines == [
        "all.yaml:6: Service/default/a: metadata.annotations hold 10000006 bytes; "
        "at most 262144 are allowed."
    ]
    assert folder.port("b") == 80


def test_annotations_are_counted_in_bytes_and_up_to_the_limit_of_the_api(folder: Folder) -> None:
    folder.write(service("a", meta=f"annotations: {{x: {'é' * 131071}z}}"))
    folder.write(service("b", meta=f"annotations: {{x: {'é' * 131072}}}"), "b.yaml")
    folder.load()
    assert folder.port("a") == 80
    assert "262145 bytes" in folder.why("Service/default/b")


def test_plain_data_is_decoded_to_one_of_three() -> None:
    meta = {"name": "a", "namespace": "n"}
    assert decode({"apiVersion": "apps/v1", "kind": "Deployment"}) == Foreign("apps/v1 Deployment")
    assert decode({"apiVersion": "serving.knative.dev/v1", "kind": "Service"}) == Foreign(
        "serving.knative.dev/v1 Service"
    )
    broken = decode({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": 5})
    assert isinstance(broken, Invalid)
    assert broken.ref == Ref("Service", "n", "a")
    assert broken.fault.path == ("spec",)
    nothing = decode({"kind": "Service"})
    assert isinstance(nothing, Invalid)
    assert nothing.fault.message == "apiVersion is missing: this is no Kubernetes object."
