"""AddressPools: order, restrictions, entries that cannot be read, overlaps."""

from ipaddress import ip_address
from typing import Any

import pytest

from fairlead.model.kube import KubeObject
from fairlead.model.names import Ref
from fairlead.model.verdict import Code, State
from tests.dialects.make import claims_of, decoded


def pool(name: str, *addresses: str, created: str = "", **spec: Any) -> KubeObject:
    return decoded(
        {
            "kind": "AddressPool",
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"addresses": list(addresses), **spec},
        }
    )


def ref(name: str) -> Ref:
    return Ref("AddressPool", "", name)


def test_every_field() -> None:
    selector = {"matchLabels": {"a": "b"}}
    (made,) = claims_of(
        pool(
            "blue",
            "10.0.0.0/29",
            "10.0.1.5-10.0.1.9",
            "fd00::/126",
            networks=["net-a"],
            namespaces=["shop"],
            namespaceSelector=selector,
            serviceSelector=selector,
            priority=7,
            autoAssign=False,
            sharing={"crossNamespace": False},
            announce="bgp",
        )
    ).pools
    assert [f"{span.first}-{span.last}" for span in made.ranges] == [
        "10.0.0.1-10.0.0.6",
        "10.0.1.5-10.0.1.9",
        "fd00::-fd00::3",
    ]
    assert (made.size(4), made.size(6)) == (6 + 5, 4)
    assert (made.networks, made.namespaces) == (("net-a",), frozenset({"shop"}))
    assert made.namespace_selector is not None
    assert made.service_selector is not None
    assert made.service_selector.matches({"a": "b"})
    assert (made.priority, made.auto_assign, made.cross_namespace) == (7, False, False)
    assert made.announce == "bgp"


@pytest.mark.parametrize(
    ("entry", "avoid", "size"),
    [
        ("10.0.0.0/29", True, 6),
        ("10.0.0.0/29", False, 8),
        ("10.0.0.0/30", True, 2),
        ("10.0.0.0/31", True, 2),
        ("10.0.0.0/32", True, 1),
        ("10.0.0.0-10.0.0.7", True, 8),
        ("10.0.0.3", True, 1),
    ],
)
def test_network_and_broadcast_addresses(entry: str, avoid: bool, size: int) -> None:
    (made,) = claims_of(pool("blue", entry, avoidFirstLast=avoid)).pools
    assert made.size(4) == size


def test_pools_are_tried_by_priority_and_then_by_name() -> None:
    names = [("b", 0), ("a", 0), ("z", 9), ("y", -1)]
    items = [pool(name, f"10.0.{n}.0/24", priority=p) for n, (name, p) in enumerate(names)]
    assert [made.name for made in claims_of(*items).pools] == ["z", "a", "b", "y"]


BAD = [
    "nonsense",
    "10.0.0.0/33",
    "10.0.0.9-10.0.0.1",
    "10.0.0.1-fd00::1",
    "0.0.0.0/0",
    "127.0.0.0/24",
    "224.0.0.0/24",
    "255.255.255.255",
    "169.254.1.0/24",
    "::/0",
    "ff02::/112",
    "",
]


@pytest.mark.parametrize("entry", BAD)
def test_a_bad_entry_is_named_and_the_others_stay_in_use(entry: str) -> None:
    claims = claims_of(pool("blue", "10.0.0.0/24", entry))
    verdict = claims.verdicts[ref("blue")]
    assert verdict.state is State.REJECTED
    assert verdict.code is Code.INVALID_OBJECT
    assert verdict.reason is not None
    assert f"spec.addresses {entry!r}" in verdict.reason.message
    assert [made.size(4) for made in claims.pools] == [254]


def test_a_pool_without_one_good_entry_is_none() -> None:
    claims = claims_of(pool("blue", "nonsense", "more"))
    assert claims.pools == ()
    reason = claims.verdicts[ref("blue")].reason
    assert reason is not None
    assert "1 more cannot be read" in reason.message


def test_an_address_that_is_listed_twice_counts_once() -> None:
    (made,) = claims_of(
        pool("blue", "10.0.0.4-10.0.0.6", "10.0.0.0-10.0.0.9", "10.0.0.8", "fd00::/127")
    ).pools
    assert made.size(4) == 10
    assert [str(span) for span in made.ranges] == [
        "10.0.0.4-10.0.0.6",
        "10.0.0.0-10.0.0.3",
        "10.0.0.7-10.0.0.9",
        "fd00::/127",
    ]


def test_tens_of_thousands_of_entries_take_no_time() -> None:
    base = int(ip_address("10.0.0.0"))
    entries = [str(ip_address(base + 2 * n)) for n in range(20_000)]
    (made,) = claims_of(pool("blue", *entries, *entries)).pools
    assert made.size(4) == 20_000


def test_the_newer_of_two_overlapping_pools_is_warned() -> None:
    claims = claims_of(
        pool("a", "10.0.0.0/24", created="2024-02-01T00:00:00Z"),
        pool("b", "10.0.0.128/25", created="2024-01-01T00:00:00Z"),
        pool("c", "10.0.1.0/24", "fd00::/120", created="2024-03-01T00:00:00Z"),
    )
    assert set(claims.verdicts) == {ref("a")}
    (warning,) = claims.verdicts[ref("a")].warnings
    assert claims.verdicts[ref("a")].state is State.SERVED
    assert "10.0.0.128 also belongs to AddressPool b" in warning.message
    assert warning.conflicts == (ref("b"),)
    assert len(claims.pools) == 3
