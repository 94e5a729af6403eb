"""Fairlead's own language."""

from ipaddress import ip_address

import pytest

from fairlead.model.names import GroupKey
from fairlead.model.verdict import Code
from tests.dialects.make import claim_in, claims_of, reason_in, service

ADDRESSES = "fairlead.dev/addresses"


def test_a_service_that_says_nothing_gets_an_address_from_the_pools() -> None:
    claim = claim_in(claims_of(service("shop/web")), "shop/web")
    assert claim.group == GroupKey("fairlead", "service", "shop", "web")
    assert (claim.addresses, claim.families, claim.pools) == ((), (), ())
    assert not claim.outside_pools
    assert claim.namespace_labels == {"kubernetes.io/metadata.name": "shop"}


def test_services_of_a_namespace_share_by_key() -> None:
    notes = {"fairlead.dev/share": "k"}
    claims = claims_of(service("a/one", notes), service("a/two", notes), service("b/one", notes))
    groups = [claim_in(claims, name).group for name in ("a/one", "a/two", "b/one")]
    assert groups[0] == groups[1] == GroupKey("fairlead", "share", "a", "k")
    assert groups[2] == GroupKey("fairlead", "share", "b", "k")


def test_the_annotation_comes_before_the_field() -> None:
    claim = claim_in(
        claims_of(service(notes={ADDRESSES: "fd00::1, 10.0.0.1"}, loadBalancerIP="10.0.0.2"))
    )
    assert claim.addresses == (ip_address("10.0.0.1"), ip_address("fd00::1"))


def test_pool_and_engine_group() -> None:
    group = "kind: EngineGroup\nmetadata: {name: fast}\nspec: {}\n"
    notes = {"fairlead.dev/pool": "blue", "fairlead.dev/engine-group": "fast"}
    claim = claim_in(claims_of(service(notes=notes), group))
    assert (claim.pools, claim.engine_group, claim.warnings) == (("blue",), "fast", ())


def test_an_unknown_engine_group_is_told() -> None:
    claim = claim_in(claims_of(service(notes={"fairlead.dev/engine-group": "gone"})))
    assert claim.engine_group == "default"
    assert [w.code for w in claim.warnings] == [Code.UNKNOWN_ENGINE_GROUP]


@pytest.mark.parametrize("text", ["0.0.0.0", "10.0.0.1,10.0.0.2", "nonsense", "::1"])
def test_addresses_that_cannot_be(text: str) -> None:
    reason = reason_in(claims_of(service(notes={ADDRESSES: text})))
    assert reason.code is Code.INVALID_OBJECT
    assert ADDRESSES in reason.message


@pytest.mark.parametrize("name", ["pool", "share", "engine-group"])
def test_endless_names_are_refused(name: str) -> None:
    reason = reason_in(claims_of(service(notes={f"fairlead.dev/{name}": "x" * 254})))
    assert f"fairlead.dev/{name}" in reason.message
