"""Worlds from YAML, planned for real: what is published is tested on what the planner says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from fairlead.dialects.translate import translate
from fairlead.model.kube import KubeObject
from fairlead.model.ledger import Ledger
from fairlead.model.plan import Plan
from fairlead.model.world import Change, World
from fairlead.planner import differences, plan
from fairlead.publish.contract import PlanDocument
from fairlead.publish.document import document
from fairlead.sources.decode import Foreign, decode

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, slots=True)
class Planned:
    """A world with its plan against a ledger."""

    world: World
    before: Ledger
    plan: Plan

    @property
    def document(self) -> PlanDocument:
        return document(self.plan, self.world, differences(self.before, self.plan))


Settle = Callable[..., Planned]


def settled(text: str, *, before: Ledger | None = None) -> Planned:
    """Plan the objects of some YAML on the engine `here`."""
    changes = []
    for data in yaml.safe_load_all(text):
        item = decode(data)
        if isinstance(item, Foreign):
            continue  # a Deployment beside its Service
        assert isinstance(item, KubeObject), item
        changes.append(Change(item.ref, item))
    world = World(host="here").evolve(changes)
    ledger = before or Ledger()
    return Planned(world, ledger, plan(translate(world), ledger))


@pytest.fixture
def settle() -> Settle:
    """`settle(yaml, before=ledger)`: the objects planned."""
    return settled


@pytest.fixture
def example() -> Callable[[str], Planned]:
    """`example("ako-shared-vip")`: a folder of `examples/` planned."""

    def planned(name: str) -> Planned:
        files = sorted((EXAMPLES / name).glob("*.yaml"))
        assert files
        return settled("\n---\n".join(file.read_text() for file in files))

    return planned
