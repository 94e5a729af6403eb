"""What tests on a real API server share: names of namespaces nobody else uses, and patience."""

import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from fairlead.lab.kubernetes import ControlPlane

T = TypeVar("T")
_numbers = count(1)


def make_namespace(control: ControlPlane, prefix: str = "t") -> str:
    """A new, empty namespace."""
    name = f"{prefix}-{next(_numbers)}-{time.monotonic_ns() % 10**6}"
    control.kubectl("create", "namespace", name)
    return name


def drop_namespace(control: ControlPlane, name: str) -> None:
    """Have a namespace and all that is in it deleted; does not wait for it."""
    control.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def eventually(condition: Callable[[], T], timeout: float = 20.0, every: float = 0.05) -> T:
    """The first answer of `condition` that is true; the last one there was when time is up."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return answer
