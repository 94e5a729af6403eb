"""The pure parts: shapes, elements, steps, and the text of golden files."""

import pytest

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.elements import Element, backend_ids, elements
from fairlead.drivers.nft.fake import FakeNft
from fairlead.drivers.nft.render import dump, exchange, rebuild
from fairlead.drivers.nft.schema import MAX_BACKENDS, Shape, new_chains, shape_of, skeleton
from fairlead.drivers.nft.state import BATCH, Known, stale_flows, steps
from fairlead.model.addresses import parse_address, parse_network
from fairlead.model.desired import L4Backend, L4Changes, L4Desired, L4Key, L4Listener

VIP, VIP6 = parse_address("10.0.0.1"), parse_address("fd00::1")
POD, POD2 = parse_address("10.1.0.1"), parse_address("10.1.0.2")
KEY = L4Key(VIP, "TCP", 80)


@pytest.mark.parametrize(
    "shape", [Shape(0), Shape(3), Shape(3, 60), Shape(0, 5, True), Shape(9, 0, True)]
)
def test_a_chains_name_tells_its_shape(shape: Shape) -> None:
    assert shape_of(shape.chain) == shape


@pytest.mark.parametrize("name", ["vip4", "pick-", "pick-03", "pick-3-0", "guard-1-2-3", "pick-x"])
def test_other_names_tell_none(name: str) -> None:
    assert shape_of(name) is None


def test_the_skeleton_depends_on_the_set_of_shapes_alone() -> None:
    one, two = Shape(3, 60, True), Shape(2)
    assert skeleton("t", [one, two]) == skeleton("t", [two, one, one])
    assert skeleton("t", []) != skeleton("t", [two])


def test_every_hash_has_a_seed() -> None:
    text = skeleton("t", [Shape(2), Shape(3, 60)])
    assert text.count("jhash") == text.count("seed 0x")


def test_a_guard_is_made_after_what_it_jumps_to() -> None:
    text = new_chains("t", [Shape(2, 0, True), Shape(2)])
    assert text.index("add chain inet t pick-2") < text.index("add chain inet t guard-2")


def test_ids_stay_while_other_backends_come_and_go() -> None:
    one, two = L4Backend(POD, 80), L4Backend(POD2, 80)
    assert backend_ids((one, two))[str(POD), 80] == backend_ids((one,))[str(POD), 80]
    assert len(set(backend_ids((one, two, one)).values())) == 2


def test_a_change_of_one_backend_touches_its_elements_alone() -> None:
    before = elements(KEY, L4Listener((L4Backend(POD, 80), L4Backend(POD2, 80))))
    after = elements(KEY, L4Listener((L4Backend(POD, 80), L4Backend(POD2, 81))))
    base = "10.0.0.1 . 6 . 80"
    assert before - after == {Element("backends4", f"{base} . 0x1", "10.1.0.2 . 80")}
    assert exchange("t", out=before - after, into=after - before) == (
        f"delete element inet t backends4 {{ {base} . 0x1 }}\n"
        f"add element inet t backends4 {{ {base} . 0x1 : 10.1.0.2 . 81 }}\n"
    )


def test_a_rebuild_replaces_in_one_input() -> None:
    text = rebuild("t", [Shape(1)], elements(KEY, L4Listener((L4Backend(POD, 80),))))
    assert text.startswith("add table inet t\ndelete table inet t\ntable inet t {\n")
    assert text.endswith("add element inet t listeners4 { 10.0.0.1 . 6 . 80 : goto pick-1 }\n")


def test_the_dump_is_for_people() -> None:
    state = L4Desired(
        listeners={
            L4Key(VIP6, "UDP", 53): L4Listener((L4Backend(parse_address("fd01::1"), 5353),)),
            KEY: L4Listener(
                (L4Backend(POD, 8080), L4Backend(POD2, 8080, direct=True)),
                affinity_seconds=60,
                source_ranges=(parse_network("10.9.0.0/16"), parse_network("10.8.0.1/32")),
                masquerade="never",
            ),
            L4Key(parse_address("10.0.0.9"), "SCTP", 7): L4Listener(()),
        },
        vips=frozenset({VIP, VIP6, POD}),
    )
    assert dump(state) == (
        "vip 10.0.0.1\n"
        "  TCP 80 -> 10.1.0.1:8080 10.1.0.2:8080* affinity=60s from=10.8.0.1,10.9.0.0/16"
        " masquerade=never\n"
        "no vip 10.0.0.9\n"
        "  SCTP 7 -> refuse\n"
        "vip 10.1.0.1\n"
        "vip fd00::1\n"
        "  UDP 53 -> [fd01::1]:5353\n"
    )


def test_source_ranges_have_one_form() -> None:
    texts = ("10.1.0.0/16", "10.0.0.0/8", "fd00::/16", "9.0.0.0/9", "9.128.0.0/9")
    many = L4Listener((), source_ranges=tuple(map(parse_network, texts)))
    assert list(map(str, many.source_ranges)) == ["9.0.0.0/8", "10.0.0.0/8", "fd00::/16"]


def test_a_large_change_adds_first_and_never_splits_a_listener() -> None:
    row = L4Listener((L4Backend(POD, 80), L4Backend(POD2, 80)))
    known = Known(rows={L4Key(VIP6, "TCP", 80): L4Listener(())}, vips={VIP6})
    change = L4Changes(
        listeners={
            L4Key(VIP6, "TCP", 80): None,
            **{L4Key(VIP, "TCP", 1 + port): row for port in range(2 * BATCH + 1)},
        },
        vips_added=frozenset({VIP}),
        vips_removed=frozenset({VIP6}),
    )
    made = list(steps(known, change))
    assert [len(step.changes.listeners) for step in made] == [BATCH, BATCH, 1, 0, 1, 0]
    assert made[3].changes.vips_added == {VIP}
    assert made[5].changes.vips_removed == {VIP6}
    assert all(not step.out for step in made[:4])


def test_only_what_must_end_is_looked_for() -> None:
    tcp, udp = KEY, L4Key(VIP, "UDP", 80)
    row, fewer = (
        L4Listener((L4Backend(POD, 80), L4Backend(POD2, 80))),
        L4Listener((L4Backend(POD, 80),)),
    )
    known = Known(rows={tcp: row, udp: fewer}, vips={VIP})
    assert not stale_flows(known, L4Changes(listeners={tcp: fewer, udp: row}))
    known.record(L4Changes(listeners={udp: row}))
    assert stale_flows(known, L4Changes(listeners={udp: fewer})) == {udp: {(POD, 80)}}
    assert stale_flows(known, L4Changes(listeners={tcp: None})) == {tcp: frozenset()}


def test_an_impossible_listener_is_refused_by_name_and_the_others_are_served() -> None:
    row = L4Listener((L4Backend(POD, 80),))
    huge = L4Listener((L4Backend(POD, 80),) * (MAX_BACKENDS + 1))
    other = L4Key(VIP, "UDP", 80)
    fake = FakeNft()
    with pytest.raises(DriverError, match=r"TCP 10\.0\.0\.1 port 80: more than 65535 backends"):
        fake.apply(L4Changes(listeners={KEY: huge, other: row}, vips_added=frozenset({VIP})))
    assert fake.observe().listeners == {other: row}
