"""What may happen to a host, in short."""

import time
from collections import Counter

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import PATIENCE, Deviation
from fairlead.cli.demo.engine import Engine
from fairlead.cli.demo.kernel import TABLE
from fairlead.cli.demo.site import Site
from fairlead.cli.demo.traffic import Target, answered, ask, silent, tell
from fairlead.cli.demo.vcd import EXTERNAL, SERVICE, WORKERS
from fairlead.lab.probe import Answer

TARGET = Target(EXTERNAL, 80)


def faults(site: Site) -> None:
    """A deleted table is repaired; a stop leaves nothing."""
    _table_deleted(site)
    for engine in (site.edge, site.engine):
        _stopped(engine)
    outcome = silent(site.client, TARGET)
    screen.request(TARGET, tell(outcome))


def _table_deleted(site: Site) -> None:
    before = site.engine.kernel.look()
    command = ["nft", "delete", "table", "inet", TABLE]
    done = site.engine.host.run(command)
    if done.returncode:
        raise Deviation(expected=f"there is a table {TABLE} to delete", seen=done.stderr.strip())
    gone = time.monotonic()
    screen.note(f"engine-1: {' '.join(command)}")
    failed: Counter[str] = Counter()
    while not isinstance(outcome := ask(site.client, TARGET), Answer):
        failed[tell(outcome)] += 1
        if time.monotonic() > gone + PATIENCE:
            raise Deviation(expected=f"{TARGET} is answered again", seen=dict(failed))
        time.sleep(0.05)
    taken = time.monotonic() - gone
    site.engine.until({SERVICE: f"Served {EXTERNAL}"}, before.rows)
    told = ", ".join(f"{count} {what}" for what, count in failed.items()) or "none failed"
    screen.note(f"answered again after {taken:.1f} s (meanwhile: {told}); the table is as before")
    screen.answers(TARGET, answered(site.client, TARGET, WORKERS))


def _stopped(engine: Engine) -> None:
    taken = engine.stop()
    kernel, tables = engine.kernel.look(), engine.kernel.tables()
    if kernel.table or kernel.addresses or tables:
        expected = f"{engine.host.name} keeps neither a table nor a VIP"
        raise Deviation(expected=expected, seen=f"{kernel}; tables: {tables or 'none'}")
    screen.note(
        f"{engine.host.name}: fairlead up stopped by SIGTERM in {taken:.1f} s, exit code 0; "
        f"kernel: {kernel}"
    )
