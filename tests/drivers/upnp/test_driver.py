"""The driver's own rules, on a gateway in memory."""

from ipaddress import ip_address

import pytest

from fairlead.drivers.base import DriverError
from fairlead.drivers.upnp.fake import FakeUpnpDriver
from fairlead.model.forward import Forwarding, ForwardKey, UpnpChanges, UpnpDesired
from fairlead.model.names import Protocol, Ref
from fairlead.model.verdict import Code, Forward
from fairlead.planner.diff import diff_upnp

VIP = "192.0.2.20"
VIP6 = "fd00:2::20"
WEB = Ref("Service", "default", "web")


def key(port: int = 80, client: str = VIP, protocol: Protocol = "TCP") -> ForwardKey:
    return ForwardKey(ip_address(client), protocol, port)


def wanted(*keys: ForwardKey, lease: int = 3600, service: Ref = WEB) -> UpnpDesired:
    return UpnpDesired({one: Forwarding(service, lease) for one in keys})


def round_of(driver: FakeUpnpDriver, desired: UpnpDesired) -> UpnpChanges:
    """A full round, as the loop makes it."""
    changes = diff_upnp(desired, driver.observe())
    if changes:
        driver.apply(changes)
    driver.prune(desired)
    return changes


def only(driver: FakeUpnpDriver) -> Forward:
    (found,) = driver.forwards()
    return found


@pytest.fixture
def driver() -> FakeUpnpDriver:
    return FakeUpnpDriver("engine-1")


def test_opens_ports_and_says_where_they_are_reached(driver: FakeUpnpDriver) -> None:
    round_of(driver, wanted(key(), key(53, protocol="UDP"), key(80, VIP6)))
    assert driver.fake.dump() == (
        "TCP 80 -> 192.0.2.20 80 3600 s 'Fairlead engine-1 default/web'\n"
        "TCP [fd00:2::20]:80 open\n"
        "UDP 53 -> 192.0.2.20 53 3600 s 'Fairlead engine-1 default/web'"
    )
    assert [(one.external, one.code) for one in driver.forwards()] == [
        (ip_address("80.81.90.2"), Code.NONE),
        (ip_address("80.81.90.2"), Code.NONE),
        (ip_address(VIP6), Code.NONE),
    ]


def test_at_rest_nothing_is_written_until_half_of_the_lease_is_over(driver: FakeUpnpDriver) -> None:
    desired = wanted(key(), key(80, VIP6))
    round_of(driver, desired)
    driver.now = 1799.0
    assert not round_of(driver, desired)
    driver.now = 1801.0
    driver.fake.calls.clear()
    assert set(round_of(driver, desired).forwards) == {key(), key(80, VIP6)}
    assert {"add TCP 80", "open TCP 80"} <= set(driver.fake.calls)
    assert not round_of(driver, desired)


def test_a_gateway_that_shortens_leases_is_renewed_in_time(driver: FakeUpnpDriver) -> None:
    round_of(driver, wanted(key()))
    driver.fake.put(key(), "Fairlead engine-1 default/web", 200)
    assert round_of(driver, wanted(key()))


def test_closes_what_nobody_wants_and_nothing_else(driver: FakeUpnpDriver) -> None:
    driver.fake.put(key(22, "192.0.2.99"), "somebody's", 0)
    round_of(driver, wanted(key(), key(81), key(80, VIP6)))
    round_of(driver, wanted(key(81)))
    assert driver.fake.dump() == (
        'TCP 22 -> 192.0.2.99 22 0 s "somebody\'s"\n'
        "TCP 81 -> 192.0.2.20 81 3600 s 'Fairlead engine-1 default/web'"
    )
    driver.withdraw()
    assert driver.fake.dump() == 'TCP 22 -> 192.0.2.99 22 0 s "somebody\'s"'


def test_finds_what_a_killed_agent_left_by_its_mark(driver: FakeUpnpDriver) -> None:
    driver.fake.put(key(80), "Fairlead engine-1 default/gone", 600)
    driver.fake.put(key(81), "Fairlead engine-10 default/other", 600)
    round_of(driver, wanted())
    assert driver.fake.dump() == "TCP 81 -> 192.0.2.20 81 600 s 'Fairlead engine-10 default/other'"


def test_what_another_engine_keeps_up_is_left_alone(driver: FakeUpnpDriver) -> None:
    round_of(driver, wanted(key()))
    moved = UpnpDesired({}, elsewhere=frozenset({key()}))
    round_of(driver, moved)
    assert "TCP 80" in driver.fake.dump()
    other = FakeUpnpDriver("engine-2", driver.fake)
    round_of(other, wanted(key()))
    assert driver.fake.dump() == "TCP 80 -> 192.0.2.20 80 3600 s 'Fairlead engine-2 default/web'"
    round_of(driver, UpnpDesired({}))
    assert "engine-2" in driver.fake.dump()


def test_a_port_of_somebody_else_is_never_taken(driver: FakeUpnpDriver) -> None:
    driver.fake.put(key(80, "192.0.2.99"), "camera", 0)
    before = driver.fake.dump()
    round_of(driver, wanted(key()))
    assert driver.fake.dump() == before
    found = only(driver)
    assert found.code is Code.PORT_FORWARD_CONFLICT
    assert found.external is None
    assert "192.0.2.99" in found.message
    assert "camera" in found.message
    driver.fake.table.clear()
    round_of(driver, wanted(key()))
    assert only(driver).external == ip_address("80.81.90.2")


def test_a_mapping_that_is_taken_away_from_us_is_told(driver: FakeUpnpDriver) -> None:
    round_of(driver, wanted(key()))
    driver.fake.put(key(80, "192.0.2.99"), "camera", 0)
    round_of(driver, wanted(key()))
    assert only(driver).code is Code.PORT_FORWARD_CONFLICT
    round_of(driver, wanted())
    assert "192.0.2.99" in driver.fake.dump()


def test_a_gateway_that_knows_permanent_leases_only(driver: FakeUpnpDriver) -> None:
    driver.fake.permanent_only = True
    round_of(driver, wanted(key(), key(81)))
    assert driver.fake.dump().count(" 0 s ") == 2
    driver.now = 10_000.0
    assert not round_of(driver, wanted(key(), key(81)))
    round_of(driver, wanted())
    assert driver.fake.dump() == ""


def test_a_lease_for_ever_is_renewed_where_the_gateway_limits_it(driver: FakeUpnpDriver) -> None:
    desired = wanted(key(), lease=0)
    round_of(driver, desired)
    driver.now = 10.0**6
    assert not round_of(driver, desired)
    driver.fake.put(key(), "Fairlead engine-1 default/web", 3000)
    assert round_of(driver, desired)


def test_a_refusal_is_told_and_tried_again(driver: FakeUpnpDriver) -> None:
    driver.fake.refuses = True
    round_of(driver, wanted(key(), key(80, VIP6)))
    assert {one.code for one in driver.forwards()} == {Code.PORT_FORWARD_REFUSED}
    driver.fake.refuses = False
    round_of(driver, wanted(key(), key(80, VIP6)))
    assert {one.code for one in driver.forwards()} == {Code.NONE}


def test_a_gateway_that_forgot_everything_gets_it_again(driver: FakeUpnpDriver) -> None:
    desired = wanted(key(), key(80, VIP6))
    round_of(driver, desired)
    before = driver.fake.dump()
    driver.fake.restart()
    round_of(driver, desired)
    assert driver.fake.dump() == before


def test_no_gateway_is_an_error_that_goes_when_one_comes(driver: FakeUpnpDriver) -> None:
    driver.fake.present = False
    assert driver.observe() == UpnpDesired({})
    with pytest.raises(DriverError, match="no UPnP gateway"):
        round_of(driver, wanted(key()))
    assert only(driver).code is Code.NO_GATEWAY
    driver.fake.present = True
    round_of(driver, wanted(key()))
    assert only(driver).code is Code.NONE


def test_what_went_while_the_gateway_was_away_is_closed_when_it_is_back(
    driver: FakeUpnpDriver,
) -> None:
    round_of(driver, wanted(key()))
    driver.fake.put(key(), "a router that writes its own text", 600)
    driver.fake.present = False
    with pytest.raises(DriverError):
        driver.apply(UpnpChanges({key(): None}))
    driver.fake.present = True
    round_of(driver, wanted())
    assert driver.fake.dump() == ""


def test_a_gateway_that_cannot_list_is_asked_for_each(driver: FakeUpnpDriver) -> None:
    driver.fake.lists = False
    round_of(driver, wanted(key()))
    assert not round_of(driver, wanted(key()))
    driver.fake.restart()
    assert round_of(driver, wanted(key()))
    round_of(driver, wanted())
    assert driver.fake.dump() == ""


def test_a_port_that_goes_from_one_vip_to_another(driver: FakeUpnpDriver) -> None:
    round_of(driver, wanted(key(client="192.0.2.21")))
    round_of(driver, wanted(key()))
    assert driver.fake.dump() == "TCP 80 -> 192.0.2.20 80 3600 s 'Fairlead engine-1 default/web'"
    assert only(driver).code is Code.NONE


@pytest.mark.parametrize("outside", ["192.168.1.2", "100.64.0.9"])
def test_an_outside_that_is_not_public_is_shown_with_a_warning(
    driver: FakeUpnpDriver, outside: str
) -> None:
    driver.fake.outside = ip_address(outside)
    round_of(driver, wanted(key()))
    assert only(driver).external == ip_address(outside)
    assert only(driver).code is Code.GATEWAY_NOT_PUBLIC


def test_an_outside_that_changes_is_followed(driver: FakeUpnpDriver) -> None:
    round_of(driver, wanted(key()))
    driver.fake.outside = ip_address("81.2.3.4")
    round_of(driver, wanted(key()))
    assert only(driver).external == ip_address("81.2.3.4")
