"""The driver's rules, on a host in memory."""

from collections.abc import Iterable
from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from msgspec.structs import replace

from fairlead.drivers.bgp import BgpError
from fairlead.drivers.bgp.fake import FakeBgpDriver
from fairlead.model.desired import BgpChanges, BgpDesired, BgpSpeaker
from fairlead.model.objects import SecretKey
from fairlead.model.peers import BgpPeer
from fairlead.planner.compile_bgp import diff_bgp

from .steps import (
    BROKEN,
    DRESSED,
    PASSWORD,
    PLAIN,
    ROUTER,
    ROUTER6,
    SPEAKER,
    STATES,
    A,
    B,
    converge,
    secrets,
    vips,
)

FULL = STATES[2]


@pytest.fixture
def driver() -> FakeBgpDriver:
    return FakeBgpDriver(secrets=secrets)


def test_says_what_it_does(driver: FakeBgpDriver) -> None:
    converge(driver, FULL)
    assert driver.dump() == (
        "as 5000 id 10.10.16.193\n"
        "peer a.range 10.77.0.0/24 as 7000 from 5001 port 1790 hops 3 timers 10/30 "
        "bfd 300/200x5 restart labels blue communities 7:7:7,blackhole prepend 2\n"
        "peer six fd00:16::250 as 5000 from 5000 password timers 3/9 communities 1:2 "
        "preference 200\n"
        "peer tor 10.10.16.250 as 6000 from 5000 timers 3/9 bfd 100/100x3 restart\n"
        "announce 10.10.16.224\n"
        "announce 10.40.0.1 to blue,dark | blue\n"
        "announce fd00:40::1 to blue communities 65001:7,65001:2:3,no-export "
        "preference 70 prepend 1\n"
    )


def test_each_state_becomes_the_next_and_then_nothing_is_left_to_do(driver: FakeBgpDriver) -> None:
    for state in STATES:
        converge(driver, state)
        assert driver.observe() == state
        assert not diff_bgp(state, driver.observe())
        assert driver.host.locals == set(state.routes)
        before = driver.host.bgpd.text(), driver.host.bfdd.text()
        driver.prune(state)
        assert (driver.host.bgpd.text(), driver.host.bfdd.text()) == before


def test_deltas_lead_where_full_rounds_lead(driver: FakeBgpDriver) -> None:
    converge(driver, STATES[0])
    for before, after in pairwise(STATES):
        driver.apply(diff_bgp(after, before))
        assert driver.observe() == after


@pytest.mark.parametrize("what", BROKEN)
def test_what_somebody_does_by_hand_is_undone(driver: FakeBgpDriver, what: str) -> None:
    converge(driver, FULL)
    right = driver.host.bgpd.text()
    broken = [command.format(A=A) for command in BROKEN[what]]
    assert driver.host.bgpd.configure(broken) == []
    assert driver.host.bgpd.text() != right
    converge(driver, FULL)
    assert driver.observe() == FULL
    assert _lines(driver.host.bgpd.text()) == _lines(right)


def test_one_vip_more_costs_one_line_and_reads_nothing(
    driver: FakeBgpDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    converge(driver, FULL)
    told: list[str] = []

    def tell(daemon: object, commands: Iterable[str]) -> list[str]:
        told.extend(commands)
        return []

    monkeypatch.setattr(driver.host, "read", lambda daemon: pytest.fail("it read"))
    monkeypatch.setattr(driver.host, "tell", tell)
    new = IPv4Address("10.40.0.7")
    driver.apply(BgpChanges(routes={new: PLAIN}))
    assert [line for line in told if line.startswith("network")] == [
        f"network {new}/32 route-map fairlead-vip-3128a867"
    ]
    assert len(told) == 5


def test_a_vip_is_local_before_and_after_it_is_announced(
    driver: FakeBgpDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    converge(driver, STATES[0])
    tell = driver.host.tell
    seen: list[bool] = []

    def watched(daemon: str, commands: list[str]) -> list[str]:
        seen.append(B in driver.host.locals)
        return tell(daemon, commands)  # type: ignore[arg-type]

    monkeypatch.setattr(driver.host, "tell", watched)
    driver.apply(BgpChanges(routes={B: PLAIN}))
    driver.apply(BgpChanges(routes={B: None}))
    assert seen == [True, True]
    assert B not in driver.host.locals


def test_routers_get_time_to_turn_away_before_a_vip_is_not_local_any_more(
    driver: FakeBgpDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    converge(driver, FULL)
    seen: list[bool] = []

    def settle() -> None:
        assert A not in driver.observe().routes
        seen.append(A in driver.host.locals)

    monkeypatch.setattr(driver.host, "settle", settle)
    driver.apply(BgpChanges(routes={A: None}))
    assert seen == [True]
    assert A not in driver.host.locals


def test_what_is_not_there_can_be_withdrawn(driver: FakeBgpDriver) -> None:
    converge(driver, STATES[0])
    driver.apply(BgpChanges(routes={B: None}, peers={"nobody": None}))
    assert driver.observe() == STATES[0]


def test_killed_daemons_get_everything_again(driver: FakeBgpDriver) -> None:
    converge(driver, FULL)
    assert not driver.disturbed()
    for daemon in ("bgpd", "bfdd"):
        driver.host.kill(daemon)
        assert driver.disturbed()
        converge(driver, FULL)
        assert driver.observe() == FULL
    driver.host.leave()
    assert driver.disturbed()
    assert driver.observe() == BgpDesired()
    converge(driver, FULL)
    assert driver.observe() == FULL


def test_a_new_agent_finds_the_vips_and_changes_nothing(driver: FakeBgpDriver) -> None:
    converge(driver, FULL)
    before = driver.host.bgpd.text()
    new = FakeBgpDriver(secrets=secrets)
    new.host.__dict__ = driver.host.__dict__
    assert new.observe().routes == FULL.routes
    converge(new, FULL)
    assert driver.host.bgpd.text() == before
    assert new.observe() == FULL


def test_a_new_agent_removes_what_nobody_wants_any_more(driver: FakeBgpDriver) -> None:
    converge(driver, FULL)
    new = FakeBgpDriver(secrets=secrets)
    new.host.__dict__ = driver.host.__dict__
    converge(new, STATES[4])
    assert new.observe() == STATES[4]
    assert "10.10.16.250" not in driver.host.bgpd.text()
    assert driver.host.bfdd.text().count("profile") == 1


def test_the_hosts_own_address_is_refused_and_the_rest_is_done(driver: FakeBgpDriver) -> None:
    driver.host.own = {A}
    desired = replace(STATES[0], routes={A: PLAIN, B: PLAIN})
    with pytest.raises(BgpError, match=r"the host itself has this address \(10\.10\.16\.224\)"):
        converge(driver, desired)
    assert driver.observe().routes == {B: PLAIN}
    driver.host.own = set()
    converge(driver, desired)
    assert driver.observe() == desired


def test_a_router_whose_password_is_missing_is_left_out_and_named() -> None:
    def missing(key: SecretKey) -> str:
        raise LookupError(f"Secret {key.namespace}/{key.name} does not exist: create it")

    driver = FakeBgpDriver(secrets=missing)
    desired = BgpDesired(SPEAKER, {"tor": ROUTER, "six": ROUTER6}, {A: PLAIN})
    with pytest.raises(BgpError, match="BGPPeer six: Secret fairlead-system/routers") as caught:
        converge(driver, desired)
    assert [one.peer for one in caught.value.failures] == ["six"]
    assert driver.observe().peers == {"tor": ROUTER}
    assert "fd00:16::250" not in driver.host.bgpd.text()


@pytest.mark.parametrize("value", ["", "two words", "tab\tbed", "x" * 81])
def test_a_password_that_frr_cannot_take_is_named_and_never_shown(value: str) -> None:
    driver = FakeBgpDriver(secrets=lambda key: value)
    with pytest.raises(BgpError, match="BGPPeer six: the password") as caught:
        converge(driver, BgpDesired(SPEAKER, {"six": ROUTER6}, {}))
    assert not value or value not in str(caught.value)


def test_a_password_that_changes_is_changed(driver: FakeBgpDriver) -> None:
    values = [PASSWORD]
    driver = FakeBgpDriver(secrets=lambda key: values[-1])
    desired = BgpDesired(SPEAKER, {"six": ROUTER6}, {A: PLAIN})
    converge(driver, desired)
    values.append("another")
    assert driver.observe().peers == {}
    converge(driver, desired)
    assert "neighbor fd00:16::250 password another\n" in driver.host.bgpd.text()
    assert PASSWORD not in driver.host.bgpd.text()


def test_a_router_that_moves_is_spoken_to_at_its_new_address(driver: FakeBgpDriver) -> None:
    converge(driver, STATES[0])
    moved: BgpPeer = replace(ROUTER, remote=IPv4Address("10.10.16.251"))
    driver.apply(BgpChanges(peers={"tor": moved}))
    assert "10.10.16.250" not in driver.host.bgpd.text()
    assert driver.observe().peers == {"tor": moved}


def _running(driver: FakeBgpDriver) -> bool:
    return bool(driver.host.running)


def test_without_routers_nothing_runs(driver: FakeBgpDriver) -> None:
    converge(driver, BgpDesired())
    assert not _running(driver)
    converge(driver, STATES[0])
    assert _running(driver)
    driver.apply(BgpChanges(peers={"tor": None}, routes={A: None}))
    assert not _running(driver)
    assert driver.host.locals == set()


def test_withdrawing_leaves_nothing_and_can_be_done_twice(driver: FakeBgpDriver) -> None:
    converge(driver, FULL)
    driver.withdraw()
    driver.withdraw()
    assert not driver.host.running
    assert not driver.host.locals
    assert not driver.host.hushed
    assert driver.observe() == BgpDesired()


def test_routers_without_an_as_number_are_an_error(driver: FakeBgpDriver) -> None:
    with pytest.raises(Exception, match="no AS number"):
        driver.apply(BgpChanges(peers={"tor": ROUTER}))


def test_another_as_number_takes_the_place_of_the_instance(driver: FakeBgpDriver) -> None:
    converge(driver, FULL)
    other = replace(FULL, speaker=BgpSpeaker(64999, IPv4Address("10.0.0.1")))
    converge(driver, other)
    assert driver.observe() == other
    assert "router bgp 5000" not in driver.host.bgpd.text()


def test_thousands_of_vips(driver: FakeBgpDriver) -> None:
    desired = replace(FULL, routes=dict.fromkeys(vips(3000), DRESSED))
    converge(driver, desired)
    assert driver.observe() == desired


def _lines(text: str) -> list[str]:
    return sorted(text.splitlines())
