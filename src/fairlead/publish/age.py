"""Ages as kubectl shortens them. The moment of asking is given: these are pure functions."""

from datetime import UTC, datetime, timedelta

UNKNOWN = "<unknown>"
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400
Unit = tuple[int, str]
STEPS: tuple[tuple[int, Unit, Unit | None], ...] = (
    # below this, in these two units; the second is left out where kubectl leaves it out
    (2 * MINUTE, (1, "s"), None),
    (10 * MINUTE, (MINUTE, "m"), (1, "s")),
    (3 * HOUR, (MINUTE, "m"), None),
    (8 * HOUR, (HOUR, "h"), (MINUTE, "m")),
    (2 * DAY, (HOUR, "h"), None),
    (8 * DAY, (DAY, "d"), (HOUR, "h")),
    (2 * YEAR, (DAY, "d"), None),
    (8 * YEAR, (YEAR, "y"), (DAY, "d")),
)


def age(created: str | None, now: datetime) -> str:
    """The age of an object from its creationTimestamp; ``<unknown>`` when it has none."""
    try:
        born = datetime.fromisoformat(created or "")
    except ValueError:
        return UNKNOWN
    return duration(now - (born if born.tzinfo else born.replace(tzinfo=UTC)))


def duration(span: timedelta) -> str:
    """At most two units: 45s, 5m10s, 17m, 6d23h, 3y40d. A time to come counts as 0s."""
    seconds = max(0, int(span.total_seconds()))
    big, small = next(
        ((big, small) for limit, big, small in STEPS if seconds < limit), ((YEAR, "y"), None)
    )
    rest = seconds % big[0] // small[0] if small else 0
    return f"{seconds // big[0]}{big[1]}" + (f"{rest}{small[1]}" if small and rest else "")
