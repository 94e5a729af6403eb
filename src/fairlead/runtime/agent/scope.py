"""An agent reads the VirtualIPs of its own engine groups, and no others.

Which groups those are follows from Nodes and EngineGroups, so these are read first. What is left
out are groups that others are in and this engine is not: a VIP of a group that does not exist or
that nobody is in, or without a label, is anybody's. When the engine comes into a group or leaves
one, its VIPs are read anew; nothing is withdrawn meanwhile, because what vanishes although nobody
deleted it is kept (:mod:`fairlead.runtime.agent.intake`).
"""

from collections.abc import AsyncIterator, Iterable

from fairlead.dialects.engines import read_rules
from fairlead.model.config import Config
from fairlead.model.kube import Node
from fairlead.model.objects import EngineGroup
from fairlead.model.virtualip import GROUP_LABEL, VirtualIP
from fairlead.model.world import Change, World
from fairlead.runtime.agent.watches import virtual_ips
from fairlead.sources.kube import Health, KubeBatch, KubeSource, Watch

MOST = 100
"""Groups that are left out by name; with more, all VIPs are read: the request would be too long."""
PARTS = frozenset({Node.KIND, EngineGroup.KIND})


class Scoped:
    """A source whose VirtualIPs are those that may concern ``engine``. ``foreign``: the groups that
    are left out."""

    def __init__(self, source: KubeSource, config: Config, engine: str) -> None:
        self.foreign: frozenset[str] = frozenset()
        self._source, self._config, self._engine = source, config, engine
        self._world = World(config=config)
        self._watch: Watch | None = None

    @property
    def health(self) -> tuple[Health, ...]:
        """How each kind is read; VirtualIPs are waited for from the start."""
        waits = () if self._watch is not None else (Health(VirtualIP.KIND),)
        return (*self._source.health, *waits)

    async def batches(self) -> AsyncIterator[KubeBatch]:
        """The batches of the source."""
        async for batch in self._source.batches():
            parts = [change for change in batch.changes if change.ref.kind in PARTS]
            if parts or self._watch is None:
                self._look(parts)
            yield batch

    def _look(self, changes: Iterable[Change]) -> None:
        self._world = self._world.evolve(changes)
        foreign = foreign_to(self._engine, self._world)
        if self._watch is not None and foreign == self.foreign:
            return
        if self._watch is not None:
            self._source.drop(self._watch)
        self.foreign = foreign
        self._watch = virtual_ips(self._config, labels=selector(foreign))
        self._source.want(self._watch)


def foreign_to(engine: str, world: World) -> frozenset[str]:
    """The engine groups that others are in, and an engine is not. The VIPs of a group that nobody
    is in stay with whom they are at home with."""
    groups = [*world.every(EngineGroup)]
    nodes = sorted(world.every(Node), key=lambda node: node.name)
    rules = read_rules(groups, nodes, host="", leave=False)
    return frozenset(
        group.name
        for group in groups
        if (engines := rules[group.name].engines) and all(one.name != engine for one in engines)
    )


def selector(foreign: frozenset[str]) -> str:
    """The label selector that leaves these groups out."""
    if not foreign or len(foreign) > MOST:
        return ""
    return f"{GROUP_LABEL} notin ({','.join(sorted(foreign))})"
