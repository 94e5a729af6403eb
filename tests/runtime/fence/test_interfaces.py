"""VIPs on the interface that is asked for, and interfaces that fail under a fence that is well."""

import socket
from collections.abc import Iterator

import pytest

from fairlead.drivers.l2.packets import announcement
from fairlead.model.addresses import IPAddress

from .cell import Cell, cell, wait_for

pytestmark = pytest.mark.root

UPPER = "pods.7"
"""An interface on another one. This kernel has neither VLANs nor bonds; for a macvlan the same
holds: what it lies on goes down, and so does it."""


@pytest.fixture(scope="module")
def three() -> Iterator[Cell]:
    with cell(vips=6) as found:
        for name in found.engines:
            found.hosts[name].ip("link", "add", UPPER, "link", "pods", "type", "macvlan")
            found.hosts[name].ip("link", "set", UPPER, "up")
        yield found


def placed(three: Cell, interface: str) -> set[IPAddress]:
    """Have half of the VIPs on that interface, and wait until they are."""
    chosen = set(three.vips[:3])
    three.places = dict.fromkeys(chosen, interface) if interface != "lan" else {}
    for name in three.engines:
        three.give(three.table(name))
    wait_for(lambda: there(three, interface) == chosen, why=lambda: said(three))
    return chosen


def there(three: Cell, interface: str) -> set[IPAddress]:
    """Which of them are at home on that interface."""
    own = {
        vip
        for name in three.engines
        for vip in three.held(name, interface)
        if home(three, vip) == name
    }
    return own & set(three.vips[:3])


def home(three: Cell, vip: IPAddress) -> str:
    return three.order(vip)[0]


def said(three: Cell) -> str:
    shown = [three.hosts[name].ip("-br", "address") for name in three.engines]
    return "\n".join([*shown, str(three.states)])


def test_a_vip_goes_to_the_interface_that_is_asked_for_and_back(three: Cell) -> None:
    chosen = placed(three, "pods")
    assert not any(three.held(name) & chosen for name in three.engines)
    assert all(three.held(home(three, vip)) >= {vip} for vip in three.vips[3:])
    placed(three, "lan")
    assert not any(three.held(name, "pods") for name in three.engines)
    assert three.at_home()


@pytest.mark.parametrize(("interface", "below"), [("pods", "pods"), (UPPER, "pods")])
def test_an_interface_that_fails_is_left_and_gets_back_what_it_had(
    three: Cell, interface: str, below: str
) -> None:
    chosen = placed(three, interface)
    victim = three.engines[0]
    lost = {vip for vip in chosen if home(three, vip) == victim}
    others = three.engines[1:]
    three.hosts[victim].cut(below)
    try:
        wait_for(
            lambda: lost <= set().union(*(three.held(name, interface) for name in others)),
            why=lambda: said(three),
        )
        wait_for(lambda: not three.held(victim, interface), why=lambda: said(three))
        stayed = {vip for vip in three.vips[3:] if home(three, vip) == victim}
        assert three.held(victim) == stayed, "the other interface is well"
        state = three.states[victim]
        assert state is not None
        assert all(interface in state.problems[str(vip)] for vip in lost)
    finally:
        three.hosts[victim].mend(below)
    wait_for(lambda: there(three, interface) == chosen, why=lambda: said(three))
    assert not any(three.held(name, interface) & lost for name in others)


def test_an_interface_that_is_nowhere_moves_nothing_else(three: Cell) -> None:
    placed(three, "lan")
    three.places = {three.vips[0]: "eth9"}
    for name in three.engines:
        three.give(three.table(name))
    wait_for(
        lambda: not any(three.held(name) & {three.vips[0]} for name in three.engines),
        why=lambda: said(three),
    )
    rest = three.vips[1:]
    wait_for(lambda: all(vip in three.held(home(three, vip)) for vip in rest))
    wait_for(
        lambda: any(
            state is not None and "eth9" in state.problems.get(str(three.vips[0]), "")
            for state in three.states.values()
        ),
        why=lambda: said(three),
    )
    placed(three, "lan")


def test_a_foreign_host_that_uses_a_held_vip_is_told_of(three: Cell) -> None:
    placed(three, "lan")
    vip, client = three.vips[5], three.hosts["client"]
    holder = home(three, vip)

    def told() -> bool:
        client.call(claim, vip, client.mac())
        state = three.states[holder]
        return state is not None and state.disputes == ((str(vip), client.mac(), "lan"),)

    wait_for(told, why=lambda: said(three))
    assert three.held(holder) >= {vip}, "it is kept"


def claim(address: IPAddress, mac: str) -> None:
    """Say on the LAN that an address is here."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind(("lan", 0))
        for frame in announcement(address, bytes.fromhex(mac.replace(":", ""))):
            out.send(frame)
