"""The life of a lease, over a server that does as it is told; times are fractions of seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from time import time

import pytest

from fairlead.drivers.dhcp import session as module
from fairlead.drivers.dhcp.exchange import FOREVER, Answer, Denied, Terms, timed
from fairlead.drivers.dhcp.session import Client, Session
from fairlead.model.addresses import IPAddress
from fairlead.model.dhcp import Leased

A, B = ip_address("10.0.0.150"), ip_address("10.0.0.151")
SERVER = "10.0.0.1"
Act = Callable[[], Answer]


def granted(address: IPAddress = A, *, ends: float = 30.0, server: str = SERVER) -> Terms:
    """A lease that is renewed after a tenth of its time and rebound after a half."""
    now = time()
    return Terms(address, server, now, now + ends / 10, now + ends / 2, now + ends)


class Server:
    """Answers by what is set for each question, silence by default; notes what was asked."""

    def __init__(self, **answers: Act) -> None:
        self.asked: list[str] = []
        self.released: list[Terms] = []
        self.wishes: list[tuple[IPAddress | None, bool]] = []
        self.answers = answers

    async def _answer(self, what: str) -> Answer:
        self.asked.append(what)
        await asyncio.sleep(0.005)
        return self.answers.get(what, lambda: None)()

    async def acquire(self, wish: IPAddress | None, *, only: bool, wait: float) -> Answer:
        self.wishes.append((wish, only))
        return await self._answer("acquire")

    async def confirm(self, terms: Terms, *, wait: float) -> Answer:
        return await self._answer("confirm")

    async def renew(self, terms: Terms, *, wait: float) -> Answer:
        return await self._answer("renew")

    async def rebind(self, terms: Terms, *, wait: float) -> Answer:
        return await self._answer("rebind")

    async def release(self, terms: Terms) -> None:
        self.released.append(terms)

    async def who(self, *, wait: float) -> str:
        return SERVER if "who" in self.answers else ""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as short as the leases are."""
    monkeypatch.setattr(module, "SHORTEST", 0.02)
    monkeypatch.setattr(module, "_pauses", lambda *_, **__: iter([0.01] * 1000))


def lived(
    server: Server,
    until: Callable[[list[Leased]], bool],
    *,
    known: Terms | None = None,
    then: Callable[[Session], Awaitable[None]] | None = None,
) -> list[Leased]:
    """What was told until it was enough."""
    told: list[Leased] = []

    async def live() -> None:
        lease = Session(Client(4, "web", "eth0"), server, wish=None, tell=told.append)
        task = asyncio.create_task(lease.run(known))
        async with asyncio.timeout(20):
            while not until(told):  # noqa: ASYNC110  # what is waited for is told in a callback
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait([task])
        if then is not None:
            await then(lease)

    asyncio.run(live())
    return told


def states(told: list[Leased]) -> list[str]:
    return [one.state for one in told]


def test_a_lease_is_renewed_by_its_server_as_long_as_that_answers() -> None:
    server = Server(acquire=lambda: granted(ends=0.3), renew=lambda: granted(ends=0.3))
    told = lived(server, lambda told: len(told) >= 4)
    assert states(told) == ["Bound"] * len(told)
    assert set(server.asked) == {"acquire", "renew"}
    assert {one.server for one in told} == {SERVER}


def test_a_server_that_is_gone_is_asked_until_rebinding_and_then_any() -> None:
    other = "10.0.0.2"
    server = Server(
        acquire=lambda: granted(ends=0.8), rebind=lambda: granted(ends=30.0, server=other)
    )
    told = lived(server, lambda told: len(told) == 2)
    assert server.asked.count("renew") >= 2
    assert server.asked[-1] == "rebind"
    assert [one.server for one in told] == [SERVER, other]
    assert states(told) == ["Bound", "Bound"]


def test_silence_ends_a_lease_at_its_end_and_not_before() -> None:
    begun = time()
    given = iter([granted(ends=0.5), granted(B)])
    server = Server(acquire=lambda: next(given))
    told = lived(server, lambda told: len(told) == 3)
    assert states(told) == ["Bound", "Lost", "Bound"]
    assert told[1].address is None
    assert "without being renewed" in told[1].message
    assert time() - begun >= 0.5
    assert told[2].address == B
    assert server.wishes[-1] == (A, False)  # what it had is what it would like


@pytest.mark.parametrize("when", ["renew", "rebind", "confirm"])
def test_a_refusal_ends_a_lease_at_once(when: str) -> None:
    refused = Denied(SERVER, "wrong network")
    answers: dict[str, Act] = {"acquire": lambda: granted(B), when: lambda: refused}
    server = Server(**answers)
    known = granted(ends=30.0)
    if when != "confirm":
        server.answers["confirm"] = lambda: granted(ends=0.4)
    told = lived(server, lambda told: "Lost" in states(told) and told[-1].address == B, known=known)
    lost = next(one for one in told if one.state == "Lost")
    assert lost.server == SERVER
    assert "wrong network" in lost.message


def test_what_is_known_is_confirmed_and_nothing_new_is_asked_for() -> None:
    server = Server(confirm=lambda: granted())
    told = lived(server, bool, known=granted())
    assert server.asked == ["confirm"]
    assert told[0].address == A


def test_silence_after_a_take_over_takes_nothing_away() -> None:
    """No server answers: the address is neither lost nor told of until its lease ends."""
    server = Server()
    told = lived(server, bool, known=granted(ends=0.4))
    assert states(told)[0] == "Lost"
    assert server.asked.count("confirm") >= 2
    assert {wish for wish in server.wishes if wish[1]} == {(A, True)}


def test_a_server_that_forgot_everything_gives_the_same_address_again() -> None:
    server = Server(acquire=granted)
    told = lived(server, bool, known=granted())
    assert states(told) == ["Bound"]
    assert told[0].address == A
    assert server.wishes == [(A, True)]


def test_a_refusal_of_what_was_asked_for_by_address_is_no_loss() -> None:
    """Another server says no to a discovery while our lease is good."""
    server = Server(acquire=lambda: Denied("10.0.0.2", "no"))
    told = lived(server, bool, known=granted(ends=0.4))
    assert "ended" in told[0].message


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ({}, "no DHCP server answers on eth0"),
        ({"who": lambda: None}, f"DHCP server {SERVER} on eth0 offers no address"),
        ({"acquire": lambda: Denied(SERVER, "no")}, f"DHCP server {SERVER} on eth0 refused: no"),
    ],
)
def test_a_refusal_says_who_and_where_and_is_told_once(answers: dict[str, Act], text: str) -> None:
    server = Server(**answers)
    told = lived(server, lambda _: server.asked.count("acquire") >= 4)
    assert states(told) == ["Refused"]
    assert text in told[0].message


def test_a_lease_is_given_back_once_and_only_while_there_is_one() -> None:
    async def twice(lease: Session) -> None:
        await lease.release()
        await lease.release()

    server = Server(acquire=granted)
    lived(server, bool, then=twice)
    assert [terms.address for terms in server.released] == [A]
    empty = Server()
    lived(empty, bool, then=twice)
    assert empty.released == []


def test_times_that_make_no_sense_are_replaced() -> None:
    assert timed(now=0, lease=80, renew=None, rebind=None) == (40, 70, 80)
    assert timed(now=0, lease=80, renew=90, rebind=100) == (40, 70, 80)
    assert timed(now=0, lease=80, renew=60, rebind=20) == (20, 20, 80)
    assert timed(now=0, lease=FOREVER, renew=1, rebind=2) == (FOREVER, FOREVER, FOREVER)
