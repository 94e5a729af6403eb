"""``fairlead.dev/engines`` on a Service of whatever language: how many engines are to hold its VIP.

It is an annotation, so that it lies with the manifests and outlives the VIP; `fairlead scale`
writes it. It selects no language, and one that cannot be read has no effect but a warning.
"""

from fairlead.dialects.reading import invalid
from fairlead.model.kube import Service
from fairlead.model.verdict import Reason

ANNOTATION = "fairlead.dev/engines"
MOST = 64
"""What an Avi SE group allows (max_scaleout_per_vs)."""


def scale_in(service: Service) -> tuple[int, tuple[Reason, ...]]:
    """The number, 0 where none is asked for, and what is wrong with the text."""
    notes = service.metadata.annotation_map
    text = notes.get(ANNOTATION) if notes else None
    if text is None:
        return 0, ()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if 1 <= number <= MOST:
        return number, ()
    return 0, (invalid(ANNOTATION, text, f"is no number from 1 to {MOST}; it has no effect"),)
