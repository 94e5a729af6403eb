"""From bytes to objects: as the file way reads them, and small."""

import json
import sys
from typing import Any

import msgspec
import pytest

from fairlead.model.kube import EndpointSlice, KubeObject, Node, Pod, Service
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, Reason
from fairlead.model.world import Change
from fairlead.sources.decode import decode
from fairlead.sources.kube import ApiError, Unreachable
from fairlead.sources.kube.decoding import Bookmark, Decoding, Item, Removed
from fairlead.sources.kube.known import Known, Seen, is_behind, version_of
from fairlead.sources.kube.lines import Lines
from fairlead.sources.kube.pending import Pending

META = {
    "name": "web",
    "namespace": "team-a",
    "uid": "u",
    "resourceVersion": "7",
    "labels": {"app": "web", "a.very/long-key-that-is-longer-than-usual": "x"},
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a/b": "c"},
    "managedFields": [{"manager": "kubectl"}],
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": META,
    "spec": {
        "type": "LoadBalancer",
        "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}],
        "selector": {"app": "web"},
        "ipFamilies": ["IPv4"],
        "externalTrafficPolicy": "Local",
    },
    "status": {"conditions": [{"type": "a", "status": "True", "lastTransitionTime": "t"}]},
}
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": META,
    "addressType": "IPv4",
    "endpoints": [
        {
            "addresses": ["10.0.0.1"],
            "conditions": {"ready": True, "serving": True},
            "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "name": "p", "namespace": "team-a"},
        }
    ],
    "ports": [{"port": 80, "name": "http"}],
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": META,
    "spec": {
        "nodeName": "node-1",
        "containers": [{"name": "c", "ports": [{"containerPort": 80}]}],
    },
    "status": {"conditions": [{"type": "Ready", "status": "True"}], "hostIP": "192.0.2.1"},
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {k: v for k, v in META.items() if k != "namespace"},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
KINDS: list[tuple[type[KubeObject], dict[str, Any]]] = [
    (Service, SERVICE),
    (EndpointSlice, SLICE),
    (Pod, POD),
    (Node, NODE),
]


def event(kind: str, item: object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode()


def reader(kind: type[KubeObject] = Service) -> Decoding:
    return Decoding(kind, "v1")


@pytest.mark.parametrize(("kind", "data"), KINDS, ids=lambda value: getattr(value, "KIND", ""))
def test_both_ways_read_the_same(kind: type[KubeObject], data: dict[str, Any]) -> None:
    found = reader(kind).event(event("ADDED", data))
    assert isinstance(found, Item)
    assert found.version == 7
    plain = json.loads(json.dumps(data))
    del plain["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert found.object == decode(plain)
    assert found.ref == found.object.ref
    listed = {key: value for key, value in data.items() if key not in ("apiVersion", "kind")}
    assert reader(kind).item(msgspec.Raw(json.dumps(listed).encode())) == found


def test_what_repeats_is_one_text() -> None:
    decoding = reader()
    one, two = (decoding.event(event("ADDED", SERVICE)) for _ in range(2))
    assert isinstance(one, Item)
    assert isinstance(two, Item)
    first, second = one.object, two.object
    assert isinstance(first, Service)
    assert isinstance(second, Service)
    assert first.metadata is not second.metadata
    assert first.metadata.namespace is second.metadata.namespace
    assert first.spec.type is second.spec.type
    assert first.spec.ip_families is second.spec.ip_families
    assert first.ports[0].target_port is second.ports[0].target_port
    for key, twin in zip(first.metadata.labels, second.metadata.labels, strict=True):
        assert key is twin
        assert first.metadata.labels[key] is second.metadata.labels[key]


def test_events_of_all_sorts() -> None:
    decoding = reader()
    assert decoding.event(event("DELETED", SERVICE)) == Removed(Ref("Service", "team-a", "web"), 7)
    broken = {**SERVICE, "spec": None}
    assert decoding.event(event("DELETED", broken)) == Removed(Ref("Service", "team-a", "web"), 7)
    mark: dict[str, Any] = {"metadata": {"resourceVersion": "9"}}
    assert decoding.event(event("BOOKMARK", mark)) == Bookmark(9, complete=False)
    mark["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
    assert decoding.event(event("BOOKMARK", mark)) == Bookmark(9, complete=True)
    with pytest.raises(ApiError) as error:
        decoding.event(event("ERROR", {"code": 410, "reason": "Expired", "message": "too old"}))
    assert error.value.gone


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"<html>", b'{"type":"ADDED"}', b'{"type":"NEW","object":{}}', b"\xff",
     b'{"type":"ADDED","object":{"metadata":{},"x":' + b"[" * 9999 + b"]" * 9999 + b"}}",
     b'{"type":"BOOKMARK","object":5}', b'{"type":"ADDED","object":{"metadata":5}}'],
)  # fmt: skip
def test_lines_that_are_no_events(line: bytes) -> None:
    with pytest.raises(Unreachable, match="no event"):
        reader().event(line)


@pytest.mark.parametrize("item", [b"5", b'{"metadata":{},"x":' + b"[" * 9999 + b"]" * 9999 + b"}"])
def test_items_that_are_no_objects(item: bytes) -> None:
    with pytest.raises(Unreachable, match="no object"):
        reader().item(msgspec.Raw(item))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"ports": [{"port": "80"}]}},
         "spec.ports[0].port must be a whole number, not text: remove the quotes."),
        ({"spec": None}, "spec must be a mapping, not null."),
        ({"spec": {"type": "Other"}},
         "spec.type must be one of ClusterIP, NodePort, LoadBalancer, ExternalName, not 'Other'."),
    ],
)  # fmt: skip
def test_an_object_that_is_not_valid_says_why(change: dict[str, Any], message: str) -> None:
    found = reader().event(event("MODIFIED", {**SERVICE, **change}))
    ref = Ref("Service", "team-a", "web")
    assert found == Item(ref, 7, None, Reason(Code.INVALID_OBJECT, message))
    listed = {"metadata": META, "spec": SERVICE["spec"], **change}
    assert reader().item(msgspec.Raw(json.dumps(listed).encode())) == found


def test_lines_out_of_pieces() -> None:
    text = b"one\ntwo\n\nthree\nrest"
    for size in range(1, len(text) + 1):
        lines = Lines()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert [line for piece in pieces for line in lines.feed(piece)] == [
            b"one",
            b"two",
            b"three",
        ]
    lines = Lines()
    assert lines.feed(b"a" * 10) == lines.feed(b"b" * 10) == []
    assert lines.feed(b"\nc\nd") == [b"a" * 10 + b"b" * 10, b"c"]
    assert lines.feed(b"\n") == [b"d"]


def test_what_is_known() -> None:
    known = Known()
    for name in ("a", "b", "c"):
        known.put("one", name, version_of("5"))
    known.put("two", "a", version_of("opaque"))
    assert len(known) == 4
    assert known.has("one", "a", 5)
    assert not known.has("one", "a", 6)
    assert not known.has("three", "a", 5)
    seen = Seen()
    seen.add("one", "b")
    assert sorted(seen.missing(known)) == [("one", "a"), ("one", "c"), ("two", "a")]
    assert known.drop("two", "a")
    assert not known.drop("two", "a")
    assert not known.drop("three", "a")
    assert sorted(known.names()) == [("one", "a"), ("one", "b"), ("one", "c")]
    known.age()
    assert not known.has("one", "a", 5)
    assert len(known) == 3
    assert is_behind(4, 5)
    assert not is_behind(5, 5)
    assert not is_behind("4", 5)


def test_what_waits_is_the_newest_of_each() -> None:
    item = decode(SERVICE)
    assert isinstance(item, Service)
    ref, reason = item.ref, Reason(Code.INVALID_OBJECT, "x")
    good, bad, gone = Change(ref, item), Change(ref, None, reason), Change(ref, None)
    for puts, expected, explicit in (
        ([good, good], [good], False),
        ([good, bad], [good, bad], False),
        ([bad, good], [good], False),
        ([good, gone], [gone], True),
        ([bad, gone], [gone], True),
        ([gone, good], [good], False),
        ([gone, bad], [gone, bad], True),
        ([good, bad, gone, bad], [gone, bad], True),
    ):
        pending = Pending()
        assert not pending
        for change in puts:
            pending.put(change, explicit=change is gone)
        assert pending
        assert pending.take() == (expected, {ref} if explicit else set())
        assert not pending


def test_interned_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.sources.kube.trim.MOST", 100)
    decoding = reader()
    for number in range(500):
        meta = {**META, "labels": {"number": f"{number}"}}
        decoding.event(event("ADDED", {**SERVICE, "metadata": meta}))
        assert len(decoding._trimmer._texts) < 120
    assert sys.getsizeof(decoding._trimmer._texts) < 10_000
