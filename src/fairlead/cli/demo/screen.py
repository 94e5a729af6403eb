"""How the demo prints: at most 100 columns, colours on a terminal only."""

import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import typer

from fairlead.cli.demo.engine import Scene
from fairlead.cli.demo.traffic import Target
from fairlead.cli.output import coloured, show
from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.world import World
from fairlead.publish import tables
from fairlead.publish.contract import ServiceEntry

WIDTH = 100
INDENT = "  "


def heading(text: str) -> None:
    """Begin a step."""
    show("\n")
    typer.echo(typer.style(text, bold=True) if coloured() else text)
    sys.stdout.flush()


def note(text: str, indent: str = INDENT) -> None:
    """Say one thing; long texts are wrapped."""
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + INDENT,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    show("\n".join(lines) + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as kubectl prints them."""
    show(textwrap.indent(tables.table(columns, rows), INDENT * 2))
    sys.stdout.flush()


def command(text: str) -> None:
    """What a user types."""
    note(f"$ {text}")


def output(text: str) -> None:
    """What that prints, as it is."""
    show(textwrap.indent(text if text.endswith("\n") else f"{text}\n", INDENT * 2))
    sys.stdout.flush()


def services(scene: Scene) -> None:
    """`kubectl get services`, without what manifests do not have (cluster IP and age); with reasons
    when there are any."""
    columns = ["NAME", "TYPE", "EXTERNAL-IP", "PORT(S)", "STATE", "REASON"]
    rows = [_row(scene.world, entry) for entry in scene.said.services]
    width = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    table(columns[:width], [row[:width] for row in rows])


def _row(world: World, entry: ServiceEntry) -> list[str]:
    service = world.service(Ref(Service.KIND, entry.namespace, entry.name))
    assert service is not None
    address = ",".join(entry.addresses) or "<pending>"
    return [
        entry.name,
        service.spec.type,
        address,
        tables.ports(service),
        entry.state,
        entry.reason,
    ]


def messages(scene: Scene) -> None:
    """The reason of each service that has one."""
    for entry in scene.said.services:
        if entry.message:
            note(f"{entry.name}: {entry.message}", INDENT * 2)


def listeners(scenes: Mapping[str, Scene]) -> None:
    """Who holds what, and where that leads to."""
    given = {
        address for one in scenes.values() for e in one.said.services for address in e.addresses
    }
    holds = (
        f"{host} holds {', '.join(sorted(scene.kernel.addresses)) or 'no VIP'}"
        for host, scene in scenes.items()
    )
    note("; ".join((f"EXTERNAL-IP {', '.join(sorted(given))}", *holds)), INDENT * 2)
    rows = (
        [host, key, ", ".join(to)]
        for host, scene in scenes.items()
        for key, to in scene.kernel.rows.items()
    )
    table(["HOST", "LISTENER", "LEADS TO"], rows)


def answers(target: Target, tally: Counter[str]) -> None:
    """Who answered."""
    by = ", ".join(f"{name} {count}" for name, count in sorted(tally.items()))
    request(target, f"{tally.total()} requests, answered by {by}")


def request(target: Target, became: str) -> None:
    """What became of requests."""
    note(f"client → {target!s:<21} {became}")
