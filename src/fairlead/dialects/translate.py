"""Objects in, claims out.

From nothing, every Service is read. After a change only the Services that it concerns are, found
through the objects themselves and an index; the result is the same either way, which a property
test checks. What did not change is the identical object, so that the planner can tell by looking.
"""

from fairlead.dialects.draft import Draft
from fairlead.dialects.facts import Facts
from fairlead.dialects.surroundings import facts_of, renewed
from fairlead.dialects.translated import Translated
from fairlead.model.claim import Claims
from fairlead.model.names import Ref
from fairlead.model.world import World


def translate(world: World, previous: Claims | None = None) -> Claims:
    """All claims of a world. With ``previous``, the result of an earlier translation, ``touched``
    says whose claims or verdict differ from it, and only what changed since is read.

    Never raises: whatever cannot be read gets a verdict.
    """
    if not isinstance(previous, Translated):
        return Draft(world, facts_of(world), Translated(revision=-1)).whole(fresh=True)
    touched = _touched(world, previous)
    if touched is None:
        return Draft(world, facts_of(world), previous).whole()
    facts = renewed(previous.facts, previous.world, world, touched)
    draft = Draft(world, facts, previous)
    if _reshaped(previous.facts, facts):
        return draft.whole()
    return draft.revised(touched)


def _touched(world: World, previous: Translated) -> frozenset[Ref] | None:
    """What changed since; None when everything must be read anew."""
    if world.config != previous.config:
        return None
    return world.touched_since(previous.revision)


def _reshaped(old: Facts, new: Facts) -> bool:
    """Whether a change of shared objects may concern any Service."""
    return (
        old.cluster.engine_names is not new.cluster.engine_names
        or old.space.declared != new.space.declared
        or old.space.tiers != new.space.tiers
    )
