"""The durations of reading from the API, in seconds, in one place, so that tests can be quick."""

from msgspec import Struct


class Pace(Struct, frozen=True):
    """``silence``: a stream that says nothing for so long is cut; the server sends a bookmark a
    minute, so half of three minutes means that it has gone.
    ``watch``: a watch is asked to end between this and twice this, so that not all end together.
    ``absent``: between two looks for a kind that is not installed, up to twice this.
    ``slowest``: the longest pause between attempts; ``forbidden``: that pause where RBAC says no.
    ``grace``: how long the first batch waits for a kind that is forbidden.
    ``gather``: what comes so soon after a batch is one batch.
    ``verify``: between two looks whether deleted objects went with their definition.
    ``page``: objects in one answer to a list (a count).
    """

    silence: float = 150.0
    watch: float = 300.0
    absent: float = 5.0
    first: float = 0.2
    slowest: float = 10.0
    forbidden: float = 15.0
    grace: float = 5.0
    gather: float = 0.003
    verify: float = 0.1
    page: int = 500
