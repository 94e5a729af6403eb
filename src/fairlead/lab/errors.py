"""What can go wrong with a lab, each with one line that says what to do."""

from __future__ import annotations

__all__ = ["LabError", "LabUnavailable"]


class LabError(RuntimeError):
    """A lab could not be built, found or used; the message is one line for people."""


class LabUnavailable(LabError):
    """This machine or this user cannot have labs at all (no root, no namespaces, no iproute2)."""
