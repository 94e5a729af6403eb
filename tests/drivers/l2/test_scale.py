"""500 addresses at once: all of them come, and the time is printed, not judged."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from fairlead.drivers.l2 import L2Driver
from fairlead.model.desired import L2Changes, L2Desired

if TYPE_CHECKING:
    from tests.drivers.l2.conftest import Host

pytestmark = pytest.mark.root

COUNT = 500


@pytest.mark.parametrize("base", ["10.77.4.0", "fd77::1:0"])
def test_five_hundred_addresses(
    a: Host, client: Host, capsys: pytest.CaptureFixture[str], base: str
) -> None:
    a.ip("addr add 10.77.0.3/16 dev eth0")
    many = frozenset(ip_address(base) + n for n in range(COUNT))
    driver = L2Driver()
    took: dict[str, float] = {}

    def timed(name: str, change: L2Changes) -> None:
        start = time.perf_counter()
        a.call(driver.apply, change)
        took[name] = time.perf_counter() - start

    timed("take", L2Changes(added=many, removed=frozenset()))
    start = time.perf_counter()
    assert a.call(driver.observe) == L2Desired(owned=many)
    took["observe"] = time.perf_counter() - start
    one = ip_address("10.77.0.50")
    timed("one more", L2Changes(added=frozenset({one}), removed=frozenset()))
    timed("release", L2Changes(added=frozenset(), removed=many))
    assert a.call(driver.observe) == L2Desired(owned=frozenset({one}))
    timed("take probed", L2Changes(added=many, removed=frozenset(), probe=many))
    assert a.call(driver.observe) == L2Desired(owned=many | {one})
    assert took["take probed"] < COUNT * 0.5 / 10, "the addresses are probed together"
    a.call(driver.withdraw)
    with capsys.disabled():
        figures = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in took.items())
        print(f"\n{COUNT} addresses from {base}: {figures}")
