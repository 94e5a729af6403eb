"""What an agent publishes of an engine whose addresses its fence holds."""

from pathlib import Path

from fairlead.runtime.agent.fencing import Fencing
from fairlead.runtime.fence.link import State

A, B = "192.0.2.1", "192.0.2.2"


def told(tmp_path: Path, state: State | None, *held: str) -> tuple[str, ...]:
    fencing = Fencing(tmp_path, "n1", partition="consistent")
    fencing._told(state)
    return fencing.holding(held).holds


def test_what_the_fence_holds_is_said_whatever_the_agent_expects(tmp_path: Path) -> None:
    """Another engine has no working interface for it, which agents do not place by."""
    assert told(tmp_path, State(held=(A,), rightful=True), A) == (A,)
    assert told(tmp_path, State(held=(A, B), rightful=True), A) == (A, B)
    assert told(tmp_path, State(held=(), rightful=True), A) == (A,)
    assert told(tmp_path, None, A) == (A,)
