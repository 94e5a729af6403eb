"""Which Services the change of an object concerns.

Both the object as it was and as it is count: a pod that lost its label leaves a Service, a slice
may move from one to another.
"""

from collections.abc import Iterable, Iterator

from fairlead.dialects.avi import hint as setting_hint
from fairlead.dialects.index import Index, User
from fairlead.dialects.leasing import groups_of_lease, lease_hint
from fairlead.model.addresslease import AddressLease
from fairlead.model.kube import AviInfraSetting, EndpointSlice, Namespace, Pod, Service
from fairlead.model.names import Ref
from fairlead.model.world import World


def concerned(touched: Iterable[Ref], before: World, world: World, index: Index[Ref]) -> set[Ref]:
    """The Services to read again; some may turn out to be gone or as they were."""
    found: set[Ref] = set()
    for ref in touched:
        match ref.kind:
            case Service.KIND:
                found.add(ref)
            case EndpointSlice.KIND:
                found.update(services_of_slice(ref, before, world))
            case Pod.KIND:
                found.update(users_of_pod(ref, before, world, index))
            case Namespace.KIND:
                found.update(_of_namespace(ref.name, before, world))
            case AviInfraSetting.KIND:
                found.update(index.users_of(setting_hint(ref.name)))
            case AddressLease.KIND:
                for group in groups_of_lease(ref.name, before, world):
                    found.update(index.users_of(lease_hint(group)))
    return found


def services_of_slice(ref: Ref, before: World, world: World) -> Iterator[Ref]:
    """The Services that an EndpointSlice belonged, or belongs, to."""
    for snapshot in (before, world):
        piece = snapshot.find(EndpointSlice, ref.name, ref.namespace)
        if piece is not None and piece.service:
            yield Ref(Service.KIND, ref.namespace, piece.service)


def users_of_pod(ref: Ref, before: World, world: World, index: Index[User]) -> Iterator[User]:
    """The users that a pod was, or is, found by."""
    for snapshot in (before, world):
        pod = snapshot.find(Pod, ref.name, ref.namespace)
        labels = pod.metadata.labels.items() if pod else ()
        for key, value in labels:
            yield from index.users_of(("pod", ref.namespace, key, value))


def _of_namespace(name: str, before: World, world: World) -> Iterator[Ref]:
    old, new = before.namespace(name), world.namespace(name)
    if old is not None and new is not None:
        mine, yours = old.metadata, new.metadata
        if (mine.labels, mine.annotations) == (yours.labels, yours.annotations):
            return
    for service in world.every(Service, name):
        yield Ref(Service.KIND, name, service.name)
