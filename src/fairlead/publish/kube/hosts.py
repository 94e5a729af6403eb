"""``kube-vip.io/vipHost``: which engine has a Service's address, as kube-vip writes it.

kube-vip and whoever reads the annotation know one writer. So that it is taken away exactly where it
is ours, what we wrote is said a second time, under a name that is ours alone. Pure.
"""

from typing import Any, NamedTuple

import msgspec

from fairlead.model.kube import Metadata

HOST = "kube-vip.io/vipHost"
OURS = "fairlead.dev/vip-host"


class Host(NamedTuple):
    """What a Service says of its engine. ``ours``: what we wrote last, empty when nothing."""

    shown: str = ""
    ours: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether what is shown is what we wrote."""
        return bool(self.ours) and self.shown == self.ours


def host_shown(meta: Metadata) -> Host:
    """What a Service says now."""
    notes = meta.annotation_map
    if not notes or not (HOST in notes or OURS in notes):
        return NOTHING
    return Host(notes.get(HOST, ""), notes.get(OURS, ""))


NOTHING = Host()


def host_body(name: str, before: Host, *, uid: str, version: str) -> bytes:
    """The merge patch that has a Service say ``name``, or, where that is empty, nothing of ours any
    more; conditional on the uid, and on the resourceVersion unless that is empty."""
    notes: dict[str, str | None] = {HOST: name, OURS: name}
    if not name:
        notes = {OURS: None, HOST: None} if before.is_ours else {OURS: None}
    meta: dict[str, Any] = {"uid": uid, "annotations": notes}
    if version:
        meta["resourceVersion"] = version
    return msgspec.json.encode({"metadata": meta})


def without_host(notes: dict[str, str] | None) -> dict[str, str] | None:
    """Annotations without these."""
    if not notes or not (HOST in notes or OURS in notes):
        return notes
    return {key: text for key, text in notes.items() if key not in (HOST, OURS)} or None
