"""What an unquoted word means to the tools that Kubernetes users know.

``kubectl`` reads YAML 1.1 with the rules of its own parser (sigs.k8s.io/yaml: ``yes`` is true,
``017`` is fifteen, ``1_000`` a thousand, a date stays text), which differ from YAML 1.2. A manifest
must not mean one thing to the cluster and another to Fairlead.
"""

import math
import re
from typing import Final

Scalar = str | int | float | bool | None

CONSTANTS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
INTEGER: Final = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)"
    r"|(?P<dec>0|[1-9][0-9]*))"
)
FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
BASES: Final = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
LONGEST_NUMBER: Final = 512
WORDS_OF_OLD: Final = frozenset(
    word
    for word, value in CONSTANTS.items()
    if isinstance(value, bool) and word.lower() not in ("true", "false")
)
OLD_NUMBER: Final = re.compile(r"[-+]?(?:0[0-9_]+|[0-9][0-9_]*_[0-9_.]*|0[bBxXoO][0-9a-fA-F_]+)")
OLD_STARTS: Final = frozenset("yYnNoO0123456789+-")
OLD_PLAIN: Final = re.compile(
    rb"(?:^|[ \t:,\[{?-])(?:"
    + b"|".join(sorted(word.encode() for word in WORDS_OF_OLD))
    + rb"|[-+]?0[bBxXoO]?[0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_.]*)[ \t\r]*(?:$|[#,\]}:])",
    re.MULTILINE,
)


def plain_value(text: str) -> Scalar:
    """The value of an unquoted scalar without a tag."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if not text or text[0] not in "0123456789+-." or len(text) > LONGEST_NUMBER:
        return text
    digits = text.replace("_", "") if text[0] != "." else text
    if match := INTEGER.fullmatch(digits):
        number = _integer(match)
        if -(1 << 63) <= number < 1 << 64:
            return number
    if FLOAT.fullmatch(digits) and math.isfinite(real := float(digits)):
        return int(real) if real.is_integer() and abs(real) < 1 << 53 else real
    return text


def _integer(match: re.Match[str]) -> int:
    base = next(name for name in BASES if match[name] is not None)
    number = int(match[base], BASES[base])
    return -number if match["sign"] == "-" else number


def is_old(text: str) -> bool:
    """Whether text, were it written without quotes, would be no text to YAML 1.1 but text to YAML
    1.2."""
    return text in WORDS_OF_OLD or (text[:1] in "0123456789+-" and bool(OLD_NUMBER.fullmatch(text)))
