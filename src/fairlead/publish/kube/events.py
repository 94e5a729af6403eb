"""What happens to an object as core/v1 Events, on the object that they are about."""

from typing import Literal

import msgspec

from fairlead.model.names import Ref
from fairlead.publish.kube.status import Said

COMPONENT = "fairlead-controller"
Kind = Literal["Normal", "Warning"]


def event_of(ref: Ref, uid: str, said: Said, *, name: str, now: str) -> bytes:
    """A Warning as JSON. ``name`` names exactly this warning, so that it exists once; ``now`` is
    RFC 3339."""
    return event(ref, uid, (said.reason, said.message), kind="Warning", name=name, now=now)


def event(
    ref: Ref,
    uid: str,
    told: tuple[str, str],
    *,
    kind: Kind,
    name: str,
    now: str,
) -> bytes:
    """An Event as JSON, with a reason and a message."""
    reason, message = told
    about = {
        "apiVersion": "v1",
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "uid": uid,
    }
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": ref.namespace},
            "involvedObject": about,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
    )
