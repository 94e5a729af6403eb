"""The scale-out of the demo, as a user would watch it."""

import pytest

from fairlead.cli.demo.failover import routed

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_a_scale_out_is_shown_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    routed.perform()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row and row[0].isdigit()] == ["1", "2", "3", "2"]
    third = next(row for row in rows if row and row[0] == "3")
    assert third[1:4] == ["10.10.16.192", "10.10.16.193", "10.10.16.194"]
    assert third[-1] == "(100%)"
