"""The writes that an API server did, by its own metrics."""

import re
from collections import Counter
from typing import NamedTuple

from fairlead.lab.kubernetes import ControlPlane

LINE = re.compile(r"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
OWN_GROUPS = frozenset({"fairlead.dev", "ako.vmware.com"})
OF_CORE = frozenset({"services", "events"})


class Written(NamedTuple):
    """A kind of write: ``resource`` is ``services/status`` for a subresource."""

    verb: str
    resource: str


def writes(control: ControlPlane) -> Counter[Written]:
    """Those about the objects that a controller of Fairlead may write, so far; failed ones too. Not
    the Lease: its renewals go on at rest."""
    found: Counter[Written] = Counter()
    for labels, value in LINE.findall(control.get("/metrics").decode()):
        told = dict(LABEL.findall(labels))
        group, resource = told["group"], told["resource"]
        ours = group in OWN_GROUPS or (not group and resource in OF_CORE)
        if told["verb"] in WRITES and ours:
            name = f"{resource}/{told['subresource']}" if told["subresource"] else resource
            found[Written(told["verb"], name)] += int(float(value))
    return found
