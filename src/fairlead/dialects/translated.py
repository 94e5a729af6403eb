"""A translation with what the next one starts from."""

from fairlead.dialects.facts import Facts
from fairlead.dialects.index import Index
from fairlead.model.claim import Claims
from fairlead.model.names import Ref
from fairlead.model.world import World


class Translated(Claims, frozen=True, kw_only=True):
    """Claims with what the next translation starts from."""

    world: World = World()
    facts: Facts = Facts()
    index: Index[Ref] = Index()
