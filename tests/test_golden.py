"""Golden cases: what people write, step by step, and everything that Fairlead makes of it.

``tests/golden/<case>/`` holds ``1.yaml``, ``2.yaml``, … Each is the whole folder at that step, with
``base.yaml`` beside it where there is one and ``config.yaml`` for the configuration; the ledger of
one step is the state of the next. Beside each stands what must come of it: ``N.plan.json`` (the
contract of ``plan -o json``), ``N.nft.txt``, ``N.l2.txt`` and, where there is a router,
``N.bgp.txt``, and where ports are opened on a gateway ``N.upnp.txt`` (what this engine's drivers
get),
``N.says.txt`` (one line an object) and ``N.kube.json`` (what a controller would write: VirtualIPs
and the status of Services). ``make golden`` writes them anew; reviewing the difference is a
duty.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fairlead.dialects.translate import translate
from fairlead.drivers.bgp.render import dump as dump_bgp
from fairlead.drivers.l2.render import dump as dump_l2
from fairlead.drivers.nft.render import dump as dump_l4
from fairlead.drivers.upnp.render import dump as dump_upnp
from fairlead.model.claim import Claims
from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.virtualip import VirtualIP, VirtualIPSpec
from fairlead.model.world import Change, World
from fairlead.planner import (
    compile_bgp,
    compile_l2,
    compile_l4,
    compile_upnp,
    diff_l4,
    differences,
    every_verdict,
    message,
    plan,
    verdict,
)
from fairlead.publish.document import document
from fairlead.publish.kube import status, virtualips
from fairlead.runtime.config import load_config
from fairlead.sources.files import FileSource

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path for path in GOLDEN.iterdir() if path.is_dir())
HOST = "here"


def steps(case: Path) -> list[Path]:
    found = sorted(case.glob("[0-9]*.yaml"), key=lambda path: int(path.stem))
    assert found, f"{case} has no 1.yaml"
    return found


def read(case: Path, step: Path, before: World) -> World:
    """The world of a step, reached from the one before as edited files would reach it."""
    base = case / "base.yaml"
    batch = FileSource([str(path) for path in (base, step) if path.exists()]).load()
    assert not [p for p in batch.problems if p.line == 0], batch.problems
    now = {change.ref: change for change in batch.changes}
    gone = {ref for ref in present(before) if ref not in now}
    return before.evolve([*now.values(), *(Change(ref, None) for ref in sorted(gone))])


def present(world: World) -> Iterator[Ref]:
    for spaces in world.tables.values():
        for rows in spaces.values():
            yield from (found.ref for found in rows.values())
    yield from world.problems


def says(decided: Plan) -> str:
    """One line an object: state, reason, addresses, sentence."""
    lines = []
    for said in sorted(every_verdict(decided), key=lambda v: v.ref):
        addresses = ",".join(a.compressed for a in said.addresses) or "-"
        text = message(decided, said.reason) if said.reason else ""
        head = f"{said.ref} {said.state} {said.code or '-'} {addresses}"
        lines.append(f"{head} {text}".rstrip())
        lines += [f"  warning {w.code}: {message(decided, w)}" for w in said.warnings]
    return "\n".join(lines) + "\n"


def outputs(decided: Plan, world: World, ledger: Ledger) -> dict[str, str]:
    shown = document(decided, world, differences(ledger, decided))
    text = msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
    routers = dump_bgp(compile_bgp(decided, HOST))
    ports = dump_upnp(compile_upnp(decided, HOST))
    return {
        **({"bgp.txt": routers} if routers else {}),
        **({"upnp.txt": ports} if ports else {}),
        "plan.json": text + "\n",
        "nft.txt": dump_l4(compile_l4(decided, HOST)),
        "l2.txt": dump_l2(compile_l2(decided, HOST)),
        "says.txt": says(decided),
        "kube.json": published(decided),
    }


def published(decided: Plan) -> str:
    """The objects that a controller would write; what it reads back is the same ledger."""
    specs: dict[str, VirtualIPSpec] = {}
    for key in decided.outcomes:
        specs |= virtualips.specs_of(decided, key, {}) or {}
    bodies = [virtualips.body_of(name, spec) for name, spec in sorted(specs.items())]
    read_back = [msgspec.json.decode(body, type=VirtualIP) for body in bodies]
    ledgered = virtualips.holdings_of(reversed(read_back))
    assert not ledgered.strays
    kept = {k: h for k, h in decided.ledger.holdings.items() if decided.outcomes[k].claims}
    assert ledgered.holdings == kept
    shown = {
        str(ref): status.said_of(decided, verdict(decided, ref))._asdict()
        for ref in sorted({*decided.groups_of, *decided.claims.verdicts})
        if ref.kind == "Service"
    }
    whole = {"services": shown, "virtualips": [msgspec.Raw(body) for body in bodies]}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_golden(case: Path, *, update_golden: bool) -> None:
    settings = case / "config.yaml"
    config = load_config(settings, {}) if settings.exists() else Config()
    world, ledger = World(config=config, host=HOST), Ledger()
    claims: Claims | None = None
    previous: Plan | None = None
    for step in steps(case):
        world = read(case, step, world)
        claims = translate(world, claims)
        decided = plan(claims, ledger, previous)
        fresh = plan(translate(world), ledger)
        assert not diff_l4(compile_l4(decided, HOST), compile_l4(fresh, HOST))
        assert says(decided) == says(fresh), "a step at a time must come to the same"
        for name, text in outputs(decided, world, ledger).items():
            path = case / f"{step.stem}.{name}"
            if update_golden:
                path.write_text(text)
            assert path.exists(), f"no {path.name}: run 'make golden' and review it"
            assert path.read_text() == text
        ledger, previous = decided.ledger, decided
