"""What is published, from a world; after a change, only what it concerns is read again.

The result is the same as from nothing, which a property test checks, and what did not change is the
identical object.
"""

from fairlead.dialects.published.draft import Draft, Published
from fairlead.dialects.surroundings import facts_of, renewed
from fairlead.model.served import Served
from fairlead.model.world import World


def serving(world: World, previous: Served | None = None) -> Served:
    """Everything that the VirtualIPs of a world say is to be served.

    With ``previous``, the result of an earlier call, ``moved`` says which groups differ from it.
    Never raises: an object that makes no sense gets a verdict.
    """
    if not isinstance(previous, Published):
        return Draft(world, facts_of(world), Published(revision=-1)).whole(fresh=True)
    same_terms = world.config == previous.config
    touched = world.touched_since(previous.revision) if same_terms else None
    if touched is None:
        return Draft(world, facts_of(world), previous).whole()
    facts = renewed(previous.facts, previous.world, world, touched)
    draft = Draft(world, facts, previous)
    if facts.cluster.engine_names is not previous.facts.cluster.engine_names:
        return draft.whole()
    return draft.revised(touched)
