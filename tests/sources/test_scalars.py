"""Unquoted words mean what they mean to kubectl, and both readers of YAML agree on the rest."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ryaml._ryaml import loads

from fairlead.sources.files.nodes import compose, line_of
from fairlead.sources.files.plain import Plain
from fairlead.sources.files.scalars import plain_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80), ("-5", -5), ("+12", 12), ("0", 0), ("0x1F", 31), ("0b101", 5), ("0o17", 15),
        ("017", 15), ("-017", -15), ("1_000", 1000), ("08", 8), ("80.0", 80), ("1e3", 1000),
        ("80.5", 80.5), (".5", 0.5), ("18446744073709551615", 18446744073709551615),
        ("yes", True), ("Y", True), ("on", True), ("TRUE", True), ("no", False), ("n", False),
        ("OFF", False), ("False", False), ("", None), ("~", None), ("Null", None),
        ("yEs", "yEs"), ("1e999", "1e999"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"),
        ("NaN", "NaN"), ("1.2.3.4", "1.2.3.4"), ("0x", "0x"),
        ("١٢", "١٢"), ("9" * 5000, "9" * 5000),
        (".inf", math.inf), ("-.Inf", -math.inf),
    ],
)  # fmt: skip
def test_a_plain_word(text: str, value: object) -> None:
    found = plain_value(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_and_numbers_past_64_bits() -> None:
    assert math.isnan(float(str(plain_value(".nan"))))
    assert plain_value("9" * 30) == pytest.approx(1e30)


def careful(text: str) -> Any:
    return Plain(compose(text)).data


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.booleans())
def test_both_readers_agree_with_what_was_written(value: Any, flow: bool, wide: bool) -> None:
    text = yaml.safe_dump(
        value, default_flow_style=flow, allow_unicode=wide, default_style='"', width=40
    )
    assert careful(text) == loads(text) == value


def test_merge_keys_anchors_and_tags() -> None:
    text = "x: &x {a: 1, b: 2}\nw:\n  <<: *x\n  b: 3\nz:\n  <<: [{c: 1}, *x]\nt: !!str 80\nu: !v w"
    assert careful(text) == {
        "x": {"a": 1, "b": 2},
        "w": {"a": 1, "b": 3},
        "z": {"a": 1, "b": 2, "c": 1},
        "t": "80",
        "u": "w",
    }


def test_lines_of_fields_and_of_what_is_nearest_to_a_missing_one() -> None:
    root = compose("a:\n  b:\n  - c: 1\n  -\n    c: 2\n    d: 3\n")
    assert line_of(root, ("a", "b", 1, "d")) == 5
    assert line_of(root, ("a", "b", 0)) == 2
    assert line_of(root, ("a", "b", 1, "missing", "deeper")) == 4
    assert line_of(root, ("x",)) == 0
    assert line_of(None, ("x",)) == 0
