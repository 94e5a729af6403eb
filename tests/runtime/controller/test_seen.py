"""What is known of the API server, and a batch taken apart: without an API server."""

from msgspec.structs import replace

from fairlead.model.kube import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Metadata,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    StatusCondition,
)
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import AddressPool, AddressPoolSpec
from fairlead.model.verdict import Code, Reason
from fairlead.model.virtualip import GROUP_LABEL, VirtualIP, VirtualIPGroup, VirtualIPSpec
from fairlead.model.world import Change
from fairlead.publish.kube.status import CONDITION, Ingress, Said
from fairlead.runtime.controller.seen import Seen, is_newer, seen_service, seen_vip
from fairlead.runtime.controller.split import Parts, split

WEB = Ref("Service", "default", "web")
GROUP = GroupKey("fairlead", "service", "default", "web")
OTHER = GroupKey("fairlead", "service", "default", "other")
SAID = Said((Ingress("192.0.2.1"),), "True", "Served", "served", "2026-01-01T00:00:00Z")


def web(version: int, *, port: int = 80, said: Said | None = None, **meta: object) -> Service:
    status = None
    if said is not None:
        own = StatusCondition(
            type=CONDITION,
            status=said.status,
            reason=said.reason,
            message=said.message,
            last_transition_time=said.since,
        )
        entries = tuple(LoadBalancerIngress(ip=entry.ip) for entry in said.ingress)
        status = ServiceStatus(load_balancer=LoadBalancerStatus(entries), conditions=(own,))
    options = {"uid": "u1", **meta}
    return Service(
        Metadata("web", namespace="default", resource_version=str(version), **options),  # type: ignore[arg-type]
        ServiceSpec(type="LoadBalancer", ports=(ServicePort(port),)),
        status,
    )


def vip(
    version: int, group: GroupKey = GROUP, *, name: str = "192.0.2.1", **spec: object
) -> VirtualIP:
    parts = VirtualIPGroup(group.dialect, group.scope, group.name, group.namespace)
    meta = Metadata(name, resource_version=str(version), label_map={GROUP_LABEL: "default"})
    return VirtualIP(meta, VirtualIPSpec(address=name, group=parts, **spec))  # type: ignore[arg-type]


def took(seen: Seen, *objects: Service | VirtualIP | AddressPool) -> Parts:
    return split([Change(one.ref, one) for one in objects], frozenset(), seen)


def test_the_planner_gets_a_service_without_what_writing_changes() -> None:
    seen = Seen()
    parts = took(seen, web(1, said=SAID))
    (change,) = parts.changes
    assert isinstance(change.object, Service)
    assert change.object.status is None
    assert change.object.metadata.resource_version == ""
    assert parts.keys == [WEB]  # somebody wrote a status: is it right?
    assert seen.services[WEB].said == SAID
    assert seen.services[WEB].ours


def test_the_echo_of_a_write_is_no_news() -> None:
    seen = Seen()
    took(seen, web(1))
    seen.told(WEB, "u1", "2", SAID, known="1")
    parts = took(seen, web(2, said=SAID))
    assert parts == Parts([], set(), [])
    assert seen.services[WEB].said == SAID


def test_the_echo_before_the_answer_is_no_news_either() -> None:
    seen = Seen()
    took(seen, web(1))
    seen.saying(WEB, SAID)
    assert took(seen, web(2, said=SAID)).keys == []
    seen.saying(WEB, None)
    seen.told(WEB, "u1", "2", SAID, known="1")
    other = SAID._replace(ingress=(Ingress("203.0.113.1"),))
    assert took(seen, web(3, said=other)).keys == [WEB]


def test_an_answer_faster_than_the_watch_hides_no_edit() -> None:
    """The write was not conditional on what the planner has, or a look came between."""
    seen = Seen()
    took(seen, web(1))
    seen.told(WEB, "u1", "3", SAID, known="")  # on top of an edit that is still on its way
    parts = took(seen, web(2, port=81))
    (change,) = parts.changes
    assert isinstance(change.object, Service)
    assert change.object.spec.ports == (ServicePort(81),)
    assert seen.services[WEB].version == "3"
    assert seen.services[WEB].said == SAID
    assert parts.keys == []
    assert len(took(seen, web(3, port=81, said=SAID)).changes) == 1  # once more, harmless
    assert took(seen, web(3, port=81, said=SAID)).changes == []


def test_an_answer_about_what_has_gone_brings_nothing_back() -> None:
    seen = Seen()
    took(seen, web(1))
    split([Change(WEB, None)], frozenset({WEB}), seen)
    seen.told(WEB, "u1", "2", SAID, known="1")
    assert not seen.services
    took(seen, web(5, uid="u2"))
    seen.told(WEB, "u1", "9", SAID, known="1")
    assert not seen.services[WEB].ours


def test_a_service_that_ends_is_explicitly_gone() -> None:
    seen = Seen()
    took(seen, web(1))
    parts = took(seen, web(2, deletion_timestamp="2026-01-01T00:00:00Z", finalizers=("x",)))
    assert parts.changes == [Change(WEB, None)]
    assert parts.explicit == {WEB}
    assert parts.keys == [WEB]
    assert seen.services[WEB].deleting


def test_a_type_change_is_explicit() -> None:
    seen = Seen()
    one = web(1)
    one = replace(one, spec=replace(one.spec, type="ClusterIP"))
    assert took(seen, one).explicit == {WEB}
    assert took(seen, web(2)).explicit == set()


def test_one_that_is_made_anew_has_no_past() -> None:
    seen = Seen()
    took(seen, web(1, said=SAID))
    parts = took(seen, web(2, uid="u2"))
    assert len(parts.changes) == 1
    assert not seen.services[WEB].ours


def test_an_unusable_version_keeps_what_is_known() -> None:
    seen = Seen()
    took(seen, web(1, said=SAID))
    problem = Reason(Code.INVALID_OBJECT, "no")
    parts = split([Change(WEB, None, problem)], frozenset(), seen)
    assert parts.changes == [Change(WEB, None, problem)]
    assert seen.services[WEB].said == SAID


def test_an_entry_is_no_news_to_the_planner() -> None:
    seen = Seen()
    parts = took(seen, vip(1))
    assert parts.changes == []
    assert parts.keys == [GROUP]
    assert [name for name, _ in seen.vips_of(GROUP)] == ["192.0.2.1"]


def test_an_entry_that_changes_hands_concerns_both() -> None:
    seen = Seen()
    took(seen, vip(1))
    parts = took(seen, vip(2, OTHER))
    assert set(parts.keys) == {GROUP, OTHER}
    assert not [*seen.vips_of(GROUP)]
    assert GROUP not in seen.names
    assert took(seen, vip(1)).keys == []  # an old one
    assert [*seen.vips_of(OTHER)]


def test_the_echo_of_an_entry_is_no_news() -> None:
    seen = Seen()
    took(seen, vip(1))
    written = seen_vip(vip(2, pool="blue"))
    seen.writing("192.0.2.1", written.digest)
    assert took(seen, vip(2, pool="blue")).keys == []
    assert seen.wrote("192.0.2.1", written)
    assert took(seen, vip(3, pool="red")).keys == [GROUP]


def test_an_entry_that_went_while_it_was_written_is_not_taken_for_there() -> None:
    seen = Seen()
    written = seen_vip(vip(2))
    seen.writing("192.0.2.1", written.digest)
    took(seen, vip(2))
    split([Change(vip(2).ref, None)], frozenset(), seen)
    assert not seen.wrote("192.0.2.1", written)
    assert not seen.vips
    assert not seen.names
    assert not seen._writing


def test_a_reservation_is_the_planners_and_nobodys_entry() -> None:
    seen = Seen()
    took(seen, vip(1))
    parts = took(seen, vip(2, reserve=True))
    assert parts.keys == [GROUP]
    (change,) = parts.changes
    assert isinstance(change.object, VirtualIP)
    assert not seen.vips
    parts = took(seen, vip(3))
    assert parts.changes == [Change(change.ref, None)]
    assert parts.keys == [GROUP]
    took(seen, vip(4, reserve=True))
    parts = split([Change(change.ref, None)], frozenset({change.ref}), seen)
    assert parts.changes == [Change(change.ref, None)]
    assert not seen.apart


def test_an_entry_that_cannot_be_read_is_put_right() -> None:
    seen = Seen()
    took(seen, vip(1))
    problem = Reason(Code.INVALID_OBJECT, "no")
    parts = split([Change(vip(1).ref, None, problem)], frozenset(), seen)
    assert parts.keys == [GROUP]
    assert parts.changes == [Change(vip(1).ref, None, problem)]
    parts = took(seen, vip(3))
    assert parts.changes == [Change(vip(1).ref, None)]  # the complaint is over


def test_other_objects_are_written_when_their_status_is_not_ours() -> None:
    seen = Seen()
    meta = Metadata("blue", resource_version="1")
    blue = AddressPool(meta, AddressPoolSpec(("192.0.2.0/24",)))
    parts = took(seen, blue)
    assert parts.keys == [blue.ref]
    relabelled = replace(blue, metadata=Metadata("blue", resource_version="2"))
    assert took(seen, relabelled).keys == []
    split([Change(blue.ref, None)], frozenset({blue.ref}), seen)
    assert not seen.objects


def test_versions_are_counted_not_compared_as_text() -> None:
    assert is_newer("10", "9")
    assert not is_newer("9", "10")
    assert not is_newer("9", "9")
    assert is_newer("a", "b")


def test_what_is_remembered_of_a_service() -> None:
    born = "2026-01-01T00:00:00Z"
    seen = seen_service(web(7, said=SAID, creation_timestamp=born, finalizers=("x",)))
    assert (seen.version, seen.taken, seen.uid) == ("7", "7", "u1")
    assert (seen.created, seen.finalizers, seen.deleting) == (born, ("x",), False)
