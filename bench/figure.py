"""One measured number beside its goal."""

from typing import NamedTuple


class Figure(NamedTuple):
    """``op`` is ``<`` or ``>``; a goal of None makes it a floor or a peer to compare with."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    op: str = "<"

    @property
    def missed(self) -> bool:
        """Whether the goal is not met."""
        if self.goal is None:
            return False
        return not (self.value < self.goal if self.op == "<" else self.value > self.goal)

    @property
    def verdict(self) -> str:
        """``ok``, ``MISSED``, or nothing for a floor."""
        return "" if self.goal is None else "MISSED" if self.missed else "ok"

    def line(self) -> str:
        """``name value unit goal <|> number ok|MISSED``."""
        goal = "floor" if self.goal is None else f"goal {self.op} {self.goal:g} {self.verdict}"
        return f"{self.name} {self.value:.3g} {self.unit} {goal}"

    def row(self) -> str:
        """A row of the table in the docs."""
        goal = "" if self.goal is None else f"{self.op} {self.goal:g} {self.unit}"
        return f"| {self.name} | {self.value:.3g} {self.unit} | {goal} | {self.verdict} |"


def percentile(samples: list[float], percent: float) -> float:
    """The nearest-rank percentile of some samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
