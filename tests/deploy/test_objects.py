"""The schemas take what people write in the examples, and what the controller makes of it."""

import pytest
import yaml

from fairlead.dialects.translate import translate
from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject
from fairlead.model.ledger import Ledger
from fairlead.model.world import Change, World
from fairlead.planner import plan
from fairlead.publish.kube.virtualips import body_of, specs_of
from fairlead.sources.decode import Foreign, decode

from .rendered import ROOT

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
DRY = ("create", "--dry-run=server", "--validate=strict", "-f", "-")


@pytest.fixture(scope="module")
def namespaced(installed: ControlPlane) -> ControlPlane:
    """That API server with the namespaces that the examples speak of."""
    found = {item.get("metadata", {}).get("namespace") for name in FOLDERS for item in _raw(name)}
    for name in found - {None, "default", "kube-system"}:
        installed.kubectl("create", "namespace", str(name))
    return installed


def _raw(folder: str) -> list[dict[str, dict[str, str]]]:
    text = "\n---\n".join(f.read_text() for f in sorted((EXAMPLES / folder).glob("*.yaml")))
    return [item for item in yaml.safe_load_all(text) if item]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_examples_are_taken(namespaced: ControlPlane, folder: str) -> None:
    done = namespaced.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict"),
        *("-f", str(EXAMPLES / folder)),
    )
    assert done.stderr == ""


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name != "ako-mismatch"])
def test_the_ledger_of_the_examples_is_taken(installed: ControlPlane, folder: str) -> None:
    changes = []
    for data in _raw(folder):
        item = decode(data)
        if item == Foreign("apps/v1 Deployment"):
            continue  # pods; the ledger does not ask for them
        assert isinstance(item, KubeObject), item
        changes.append(Change(item.ref, item))
    world = World(host="here", config=Config()).evolve(changes)
    made = plan(translate(world), Ledger())
    specs = [specs_of(made, key, {}) or {} for key in made.outcomes]
    bodies = [body_of(name, spec).decode() for part in specs for name, spec in part.items()]
    vips = [vip for outcome in made.outcomes.values() for vip in outcome.vips]
    assert len(bodies) == sum(len(vip.addresses) for vip in vips) > 0
    done = installed.kubectl(*DRY, input="\n---\n".join(bodies))
    assert done.stdout.count("created (server dry run)") == len(bodies)
