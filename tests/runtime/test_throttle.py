"""What repeats is said seldom, and nothing is lost without a count."""

from fairlead.runtime.throttle import AGAIN, BURST, EVERY, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_same_is_said_again_only_after_a_while_and_with_a_count() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert throttle.passes("write", "no answer") == 0
    for _ in range(5):
        assert throttle.passes("write", "no answer") is None
    clock.now += AGAIN
    assert throttle.passes("write", "no answer") == 5
    assert throttle.passes("write", "no answer") is None


def test_many_different_failures_of_one_kind_are_a_burst_and_then_a_trickle() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    said = [throttle.passes("write", f"web-{n} is forbidden") for n in range(100)]
    assert said[:BURST] == [0] * BURST
    assert said[BURST:] == [None] * (100 - BURST)
    assert throttle.passes("lease", "something else") == 0
    clock.now += EVERY
    assert throttle.passes("write", "web-100 is forbidden") == 100 - BURST
    assert throttle.passes("write", "web-101 is forbidden") is None


def test_what_is_over_is_news_when_it_comes_back() -> None:
    throttle = Throttle(Clock())
    throttle.passes("lease", "gone")
    throttle.forget("lease")
    assert throttle.passes("lease", "gone") == 0


def test_memory_is_bounded() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for n in range(5000):
        clock.now += EVERY
        assert throttle.passes("write", f"web-{n}") == 0
    assert len(throttle._said) <= 256
