"""Objects that went with their CustomResourceDefinition, although nobody deleted them.

Whoever installs definitions anew has no pools for a moment, and must not lose the addresses in them
(few of them are nothing that the guard minds). So what was read of such objects stands until they
are there again.
"""

from collections.abc import Callable, Iterable, Iterator

from fairlead.model.kube import AviInfraSetting
from fairlead.model.names import Ref
from fairlead.model.objects import AddressPool, BGPPeer, EngineGroup
from fairlead.model.world import Change

DEFINED = frozenset({AddressPool.KIND, EngineGroup.KIND, BGPPeer.KIND, AviInfraSetting.KIND})
"""The kinds that decide, and that a definition can take away."""
WHAT = "definition"


class Orphans:
    """Those that are kept. ``told`` hears of each, as (what, why), and of the end of it."""

    def __init__(self, told: Callable[[str, str], None]) -> None:
        self._told = told
        self._kept: set[Ref] = set()

    def spared(self, changes: Iterable[Change], explicit: frozenset[Ref]) -> Iterator[Change]:
        """The changes without objects that only went with their definition."""
        for change in changes:
            ref = change.ref
            gone = change.object is None and change.problem is None
            if gone and ref.kind in DEFINED and ref not in explicit:
                self._kept.add(ref)
                self._told(WHAT, f"{ref} went with its definition, and is kept")
                continue
            if ref in self._kept:
                self._kept.discard(ref)
                if not self._kept:
                    self._told(WHAT, "")
            yield change
