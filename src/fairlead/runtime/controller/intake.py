"""What the controller reads, and from when on it goes by it.

A decision without its pools, its ledger or its nodes would take addresses away because of missing
information. So nothing is passed on before everything that decides addresses was read once; a kind
that is missing, or that RBAC hides, is told and waited for. Later on what was read before stands.
"""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, NamedTuple

from fairlead.dialects.vcd import CONFIG_MAP
from fairlead.model.config import Config
from fairlead.model.kube import AviInfraSetting, EndpointSlice, Pod
from fairlead.model.objects import AddressPool, BGPPeer, Engine, EngineGroup
from fairlead.model.virtualip import VirtualIP
from fairlead.runtime.controller.arrivals import Arrivals
from fairlead.runtime.controller.keep import Keep
from fairlead.sources.collection import settle
from fairlead.sources.kube import Health, KubeBatch, KubeSource, Watch
from fairlead.sources.kube.resources import (
    ADDRESS_LEASES,
    ADDRESS_POOLS,
    AVI_INFRA_SETTINGS,
    BGP_PEERS,
    CONFIG_MAPS,
    ENDPOINT_SLICES,
    ENGINE_GROUPS,
    ENGINES,
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    VIRTUAL_IPS,
    watch,
)

if TYPE_CHECKING:
    from fairlead.model.names import Ref
    from fairlead.model.world import Change

OWN = frozenset({kind.KIND for kind in (VirtualIP, AddressPool, EngineGroup)})
"""The kinds without which there is nothing to do."""
SPARE = frozenset({kind.KIND for kind in (EndpointSlice, Pod, BGPPeer, Engine)})
"""The kinds that no address depends on: the rest works without them."""
FOREIGN = frozenset({AviInfraSetting.KIND})
"""The kinds that a cluster may well be without."""
UNREAD = "not read yet"
HOW = "install the CustomResourceDefinitions: fairlead crds | kubectl apply --server-side -f -"


def watches(config: Config) -> tuple[Watch, ...]:
    """What to read of a cluster to decide by this configuration, and nothing more."""
    keep = Keep()
    found = (
        watch(SERVICES, transform=keep),
        watch(ENDPOINT_SLICES, transform=keep),
        watch(NODES),
        watch(NAMESPACES),
        watch(CONFIG_MAPS, fields=f"metadata.name={CONFIG_MAP}"),
        watch(*AVI_INFRA_SETTINGS),
        watch(ADDRESS_POOLS),
        watch(ENGINE_GROUPS),
        watch(VIRTUAL_IPS, transform=keep),
        watch(BGP_PEERS),
        watch(ADDRESS_LEASES),
        watch(ENGINES),
    )
    return (*found, watch(PODS)) if config.service_type == "NodePortLocal" else found


class Lack(NamedTuple):
    """A kind that is not read, why, and whether nothing is decided until it is."""

    kind: str
    why: str
    needed: bool


def lacks(health: tuple[Health, ...]) -> Iterator[Lack]:
    """What is missing, or cannot be read just now."""
    for one in health:
        if one.absent:
            if one.kind not in FOREIGN:
                yield Lack(one.kind, f"the API server does not have it: {HOW}", one.kind in OWN)
        elif one.error or not one.synced:
            needed = not one.synced and one.kind not in SPARE
            yield Lack(one.kind, one.error or UNREAD, needed)


class Intake:
    """The batches of a source, from when on they can be relied upon."""

    def __init__(self, source: KubeSource, arrivals: Arrivals) -> None:
        self._source, self._arrivals = source, arrivals

    def lacks(self) -> tuple[Lack, ...]:
        """What is missing, or cannot be read just now."""
        return tuple(lacks(self._source.health))

    async def batches(self) -> AsyncIterator[KubeBatch]:
        """Batches for ever; the first has everything."""
        waiting: dict[Ref, Change] = {}
        explicit: set[Ref] = set()
        live = False
        async for batch in self._source.batches():
            if live:
                self._arrivals.note(batch.changes, batch.received_at)
                yield batch
            else:
                waiting.update((change.ref, change) for change in batch.changes)
                explicit |= batch.explicit
                if live := not any(lack.needed for lack in self.lacks()):
                    all_there_is = tuple(waiting.values())
                    waiting.clear()
                    yield batch._replace(changes=all_there_is, explicit=frozenset(explicit))
                    del all_there_is
                    settle()
            del batch  # nobody needs the objects any more
