"""An agent that stops leaves its listeners to a fence that goes on, and waits for one that ends."""

from threading import Timer

from fairlead.runtime.agent.fenced import FencedAnnouncer
from fairlead.runtime.fence.link import State

HOLDS = State(held=("192.0.2.10",), rightful=True)


def test_a_fence_that_goes_on_has_released_nothing() -> None:
    announcer = FencedAnnouncer(patience=0.05)
    announcer.tell(HOLDS)
    assert not announcer.released()


def test_one_that_hands_over_meanwhile_has() -> None:
    announcer = FencedAnnouncer(patience=30)
    announcer.tell(HOLDS)
    Timer(0.1, announcer.tell, [State(rightful=True)]).start()
    assert announcer.released()


def test_no_fence_holds_nothing() -> None:
    announcer = FencedAnnouncer(patience=30)
    announcer.tell(HOLDS)
    Timer(0.1, announcer.tell, [None]).start()
    assert announcer.released()
