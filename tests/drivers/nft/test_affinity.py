"""Session affinity by client address, with its time-out, while backends come and go."""

import time

import pytest

from fairlead.drivers.nft.driver import NftDriver
from fairlead.model.desired import L4Key
from fairlead.model.names import Protocol
from tests.drivers.nft.net import FAMILIES, PODS, Net, User, address, row, serve

pytestmark = pytest.mark.root
families = pytest.mark.parametrize("family", FAMILIES)
protocols = pytest.mark.parametrize("protocol", ["TCP", "UDP"])


@families
@protocols
def test_a_client_stays_while_other_backends_come_and_go(
    driver: NftDriver, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    key = L4Key(vip, protocol, 80)
    # The shapes are made one after the other, as they are in a running table.
    serve(driver, {key: row(family, "pod1")})
    serve(driver, {key: row(family, *PODS, affinity=600)})
    (mine,) = user.who(protocol, vip, 80)
    others = [name for name in PODS if name != mine]
    for names in ((mine, others[0]), (others[1], mine), (mine,), (*others, mine)):
        serve(driver, {key: row(family, *names, affinity=600)})
        assert user.who(protocol, vip, 80, times=12) == {mine}


@families
@protocols
def test_a_client_whose_backend_left_stays_on_its_next_one(
    driver: NftDriver, user: User, family: int, protocol: Protocol
) -> None:
    vip = address(family, "vip 1")
    key = L4Key(vip, protocol, 80)
    serve(driver, {key: row(family, *PODS, affinity=600)})
    (first,) = user.who(protocol, vip, 80)
    rest = [name for name in PODS if name != first]
    serve(driver, {key: row(family, *rest, affinity=600)})
    (second,) = user.who(protocol, vip, 80)
    assert second in rest
    serve(driver, {key: row(family, *PODS, affinity=600)})
    assert user.who(protocol, vip, 80) == {second}


@families
def test_clients_are_spread(driver: NftDriver, net: Net, user: User, family: int) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "UDP", 80): row(family, *PODS, affinity=600)})
    clients = [address(family, f"lan {number}") for number in range(100, 116)]
    for client in clients:
        net.also_client(client)
    first = [user.udp(vip, 80, source=str(client))[0] for client in clients]
    again = [user.udp(vip, 80, source=str(client))[0] for client in clients]
    assert first == again
    assert len(set(first)) > 1


@families
def test_listeners_of_one_vip_have_their_own_affinity(
    driver: NftDriver, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    one, two = L4Key(vip, "UDP", 80), L4Key(vip, "UDP", 81)
    serve(driver, {one: row(family, "pod1", affinity=600), two: row(family, "pod2", affinity=600)})
    for _ in range(5):
        assert user.udp(vip, 80)[0] == "pod1"
        assert user.udp(vip, 81)[0] == "pod2"


@families
def test_an_entry_lives_from_its_last_new_flow(
    driver: NftDriver, net: Net, user: User, family: int
) -> None:
    vip = address(family, "vip 1")
    serve(driver, {L4Key(vip, "UDP", 80): row(family, *PODS, affinity=1)})
    first = user.udp(vip, 80)[0]
    for _ in range(4):  # longer than one time-out, never without a new flow for that long
        time.sleep(0.4)
        assert user.udp(vip, 80)[0] == first
    time.sleep(1.3)
    assert "expires" not in net.inside(
        "engine", "nft", "list", "map", "inet", "fairlead", f"affinity{family}"
    )
