"""How long Services wait for an address, by this replica's own clock.

creationTimestamp has whole seconds, and is another machine's time: good enough for what was there
before this process, not for goals of 50 ms. So the clock starts when a Service without an address
is seen.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from time import monotonic

from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.world import Change

Clock = Callable[[], float]


class Arrivals:
    """Services that came while this process ran, and have no address yet."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._since: dict[Ref, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def note(self, changes: Iterable[Change], received: float) -> None:
        """Take a batch; ``received`` is when its oldest change came, by the clock."""
        for change in changes:
            if change.ref.kind == Service.KIND:
                if isinstance(change.object, Service) and _waits(change.object):
                    self._since.setdefault(change.ref, received)
                else:
                    self._since.pop(change.ref, None)

    def served(self, ref: Ref, created: str) -> float:
        """It has an address now: the seconds it took; of one that was there before this process,
        since its creation."""
        since = self._since.pop(ref, None)
        if since is not None:
            return self._clock() - since
        try:
            return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
        except (ValueError, TypeError):
            return 0.0


def _waits(service: Service) -> bool:
    balancer = service.status.load_balancer if service.status else None
    shown = balancer is not None and balancer.ingress
    return service.spec.type == "LoadBalancer" and not shown
