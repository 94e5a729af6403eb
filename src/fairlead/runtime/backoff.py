"""How long to wait before the next attempt: the same for sources and for everything above them."""

from fairlead.sources.backoff import Backoff

__all__ = ["Backoff"]
