"""``python -m bench [NAME ...]``: run the benchmarks, one line a figure.

``name value unit goal <|> number ok|MISSED``; a figure without a goal is a floor or a peer that the
others are read against. With ``--write``, the result replaces the table of docs/benchmarks.md.
"""

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.figure import Figure

BENCHES = (
    "yaml_world",
    "planner",
    "cli_start",
    "nft_driver",
    "ledger",
    "l2_driver",
    "bgp",
    "dhcp",
    "upnp",
    "failover",
    "kubernetes_start",
    "kubernetes_one",
)
LONG = ("failover_long", "kubernetes_restart", "kubernetes_agent")
"""Those of 50 000 Services or many repetitions: run when they are named, or with ``--full``."""
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def run(names: list[str]) -> Iterator[Figure]:
    """Run the named benchmarks."""
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        for row in module.run():
            figure = Figure(*row)
            print(figure.line(), flush=True)
            yield figure


def main() -> int:
    """Exit status 0 also when a goal is missed: a figure is a report, not a test."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES + LONG))
    parser.add_argument("--full", action="store_true", help=f"also {', '.join(LONG)}")
    parser.add_argument(
        "--write", action="store_true", help="keep the result in docs/benchmarks.md"
    )
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in BENCHES + LONG]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES + LONG)}")
    figures = list(run(args.names or [*BENCHES, *(LONG if args.full else ())]))
    missed = [figure.name for figure in figures if figure.missed]
    print(
        f"{len(figures)} figures, {len(missed)} missed{': ' if missed else ''}{', '.join(missed)}"
    )
    if args.write:
        _write(figures)
    return 0


def _write(figures: list[Figure]) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    stamp = f"{datetime.now(UTC):%Y-%m-%d}"
    kernel = ".".join(platform.release().split(".")[:2])
    python = platform.python_version()
    machine = f"{os.cpu_count()} cores, Linux {kernel}, Python {python}"
    table = ["| figure | value | goal | |", "| --- | --- | --- | --- |"]
    table += [figure.row() for figure in figures]
    text = "\n".join([BEGIN, f"Measured {stamp} on {machine}.", "", *table, END])
    PAGE.write_text(before + text + after)


if __name__ == "__main__":
    sys.exit(main())
