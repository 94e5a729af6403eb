"""One world as the languages read it during one translation.

Look-ups that many Services repeat are kept for the time of the translation and dropped with it.
"""

from collections.abc import Iterable

from msgspec import Struct

from fairlead.dialects.facts import Cluster, Space
from fairlead.model.kube import EndpointSlice, Pod
from fairlead.model.names import Ref
from fairlead.model.world import World

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that the API server puts on every Namespace."""


class Surrounding(Struct, frozen=True, gc=False):
    """A Service's namespace: its labels and annotations, with or without a Namespace object."""

    labels: dict[str, str]
    annotations: dict[str, str]


class View:
    """``bulk``: all Services are read, so indexes pay off that one Service would not be worth."""

    def __init__(self, world: World, *, cluster: Cluster, space: Space, bulk: bool) -> None:
        self.world = world
        self.config = world.config
        self.cluster = cluster
        self.space = space
        self.bulk = bulk
        self._surroundings: dict[str, Surrounding] = {}
        self._pods: dict[str, dict[tuple[str, str], list[Pod]]] = {}

    def around(self, namespace: str) -> Surrounding:
        """What the Services of a namespace inherit."""
        known = self._surroundings.get(namespace)
        if known is None:
            item = self.world.namespace(namespace)
            labels = item.metadata.labels if item else {}
            known = self._surroundings[namespace] = Surrounding(
                {NAMESPACE_NAME: namespace, **labels}, item.metadata.annotations if item else {}
            )
        return known

    def slices(self, ref: Ref) -> tuple[EndpointSlice, ...]:
        """The EndpointSlices of a Service, by name."""
        return self.world.slices.get((ref.namespace, ref.name), ())

    def pods(self, namespace: str, selector: dict[str, str]) -> list[Pod]:
        """The pods that a selector matches, by name; none for an empty selector (core/v1)."""
        if not selector:
            return []
        terms = selector.items()
        found = self._candidates(namespace, selector)
        return sorted(
            (pod for pod in found if terms <= pod.metadata.labels.items()),
            key=lambda pod: pod.name,
        )

    def _candidates(self, namespace: str, selector: dict[str, str]) -> Iterable[Pod]:
        if not self.bulk:
            return self.world.pods(namespace)
        index = self._pods.get(namespace)
        if index is None:
            index = self._pods[namespace] = {}
            for pod in self.world.pods(namespace):
                for term in pod.metadata.labels.items():
                    index.setdefault(term, []).append(pod)
        return min((index.get(term, []) for term in selector.items()), key=len)
