"""The fake and the kernel, given the same changes, come to the same state."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.drivers.base import Driver, DriverError
from fairlead.drivers.nft.driver import NftDriver
from fairlead.drivers.nft.fake import FakeNft
from fairlead.drivers.nft.render import dump
from fairlead.model.addresses import IPAddress, parse_address, parse_network
from fairlead.model.desired import PASSED, L4Backend, L4Changes, L4Desired, L4Key, L4Listener
from tests.drivers.nft.net import PREFIX, difference, remove_leftovers, run

VIPS = {4: ["10.1.0.1", "10.1.0.2"], 6: ["fd01::1", "::ffff:10.1.0.1"]}
PODS = {4: ["10.2.0.1", "10.2.0.2", "10.2.0.3"], 6: ["fd02::1", "fd02::2", "::ffff:1.2.3.4"]}
RANGES = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.3.0.0/16",
    "10.4.4.4/32",
    "::/0",
    "fd00::/9",
    "fd03::7/128",
]


def listeners(family: int) -> st.SearchStrategy[L4Listener]:
    """Any listener of a family."""
    backend = st.builds(
        L4Backend,
        st.sampled_from(PODS[family]).map(parse_address),
        st.sampled_from([80, 8080]),
        st.booleans(),
    )
    # One address and port is direct or not; both at once says nothing.
    backends = st.lists(backend, max_size=5).map(
        lambda many: tuple(one._replace(direct=one.port == 80) for one in many)
    )
    return st.just(PASSED) | st.builds(
        L4Listener,
        backends=backends,
        affinity_seconds=st.sampled_from([0, 0, 30, 10_800]),
        source_ranges=st.lists(st.sampled_from(RANGES).map(parse_network), max_size=4).map(tuple),
        masquerade=st.sampled_from(["auto", "always", "never"]),
    )


def rows(family: int) -> st.SearchStrategy[tuple[L4Key, L4Listener | None]]:
    """A listener, or its removal."""
    key = st.builds(
        L4Key,
        st.sampled_from(VIPS[family]).map(parse_address),
        st.sampled_from(["TCP", "UDP", "SCTP"]),
        st.sampled_from([1, 443, 65_535]),
    )
    return st.tuples(key, st.none() | listeners(family))


addresses: st.SearchStrategy[frozenset[IPAddress]] = st.frozensets(
    st.sampled_from([*VIPS[4], *VIPS[6]]).map(parse_address)
)


@st.composite
def changes(draw: st.DrawFn) -> L4Changes:
    """One change of a few listeners and VIPs."""
    listed = draw(st.lists(rows(4) | rows(6), max_size=5))
    added = draw(addresses)
    return L4Changes(listeners=dict(listed), vips_added=added, vips_removed=draw(addresses) - added)


@pytest.fixture(scope="module")
def real() -> Iterator[NftDriver]:
    """A driver in a namespace of its own, where nothing listens."""
    remove_leftovers()
    name = f"{PREFIX}{os.getpid()}-alone"
    run("ip", "netns", "add", name)
    made = NftDriver(netns=name)
    yield made
    made.close()
    run("ip", "netns", "del", name)


@pytest.mark.root
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sequence=st.lists(changes(), min_size=1, max_size=6), kept=changes())
def test_the_fake_and_the_kernel_agree(
    real: NftDriver, sequence: list[L4Changes], kept: L4Changes
) -> None:
    real.withdraw()
    fake = FakeNft()
    for change in sequence:
        real.apply(change)
        fake.apply(change)
    # `observe` forgets what the driver believes, so this compares the kernel itself.
    assert dump(real.observe()) == fake.dump()
    assert real.observe() == fake.observe()
    assert real.intact()
    wanted = L4Desired(
        listeners={key: row for key, row in kept.listeners.items() if row},
        vips=kept.vips_added,
    )
    both: tuple[Driver[L4Desired, L4Changes], ...] = (real, fake)
    for driver in both:
        driver.prune(wanted)
        driver.apply(difference(wanted, driver.observe()))
        assert driver.observe() == wanted


def test_the_fake_fails_when_told_and_keeps_what_it_had() -> None:
    fake = FakeNft()
    vip = parse_address("10.1.0.1")
    change = L4Changes(listeners={}, vips_added=frozenset({vip}))
    fake.fail_next(DriverError("no"))
    with pytest.raises(DriverError, match="no"):
        fake.apply(change)
    assert fake.dump() == ""
    fake.apply(change)
    assert fake.dump() == "vip 10.1.0.1\n"
    assert fake.applied == [change]
    fake.break_table()
    assert fake.observe() == L4Desired(listeners={}, vips=frozenset())


def test_both_refuse_the_same_rows() -> None:
    vip = parse_address("10.1.0.1")
    strange = L4Listener(backends=(L4Backend(parse_address("fd02::1"), 80),))
    with pytest.raises(DriverError, match=r"TCP 10\.1\.0\.1 port 80: backend fd02::1"):
        FakeNft().apply(L4Changes(listeners={L4Key(vip, "TCP", 80): strange}))
