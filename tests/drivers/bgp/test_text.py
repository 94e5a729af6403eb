"""The fake beside FRR: the same steps, the same configuration, the same text."""

import pytest
from msgspec.structs import replace

from fairlead.drivers.bgp.config import Running, parse
from fairlead.drivers.bgp.fake import FakeBgpDriver
from fairlead.drivers.bgp.render import dump

from .site import Site
from .steps import BROKEN, STATES, A, converge, secrets

pytestmark = pytest.mark.root


def test_the_fake_and_frr_live_the_same_life(site: Site) -> None:
    engine = site.engine(2, secrets=secrets)
    fake = FakeBgpDriver(secrets=secrets)
    for state in STATES:
        engine.call(converge, engine.driver, state)
        converge(fake, state)
        assert dump(engine.observe()) == fake.dump() == dump(state)
        assert engine.observe() == state
        for daemon, kept in (("bgpd", fake.host.bgpd), ("bfdd", fake.host.bfdd)):
            assert _same(parse(engine.running(daemon))) == _same(parse(kept.text()))


def test_what_somebody_does_by_hand_is_undone_in_both(site: Site) -> None:
    engine = site.engine(2, secrets=secrets)
    fake = FakeBgpDriver(secrets=secrets)
    state = replace(STATES[2])
    for what, commands in BROKEN.items():
        engine.call(converge, engine.driver, state)
        converge(fake, state)
        typed = [command.format(A=A) for command in commands]
        engine.by_hand(*typed)
        fake.host.bgpd.configure(typed)
        assert _same(parse(engine.running("bgpd"))) == _same(parse(fake.host.bgpd.text())), what
        engine.call(converge, engine.driver, state)
        converge(fake, state)
        assert engine.observe() == fake.observe() == state, what
        assert _same(parse(engine.running("bgpd"))) == _same(parse(fake.host.bgpd.text())), what


def _same(running: Running) -> tuple[object, object]:
    """Sections without order; headers with nothing in them only where that means something."""
    sections = {
        path: frozenset(lines)
        for path, lines in running.sections.items()
        if lines or (path and path[0].startswith("route-map "))
    }
    return sections, running.networks
