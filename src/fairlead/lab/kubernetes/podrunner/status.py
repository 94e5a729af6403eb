"""The status of a pod, computed from what its containers do: pure functions of plain data.

Phase and conditions follow the Pod life cycle of the Kubernetes documentation. Conditions of other
writers are kept, and a condition that stays as it was keeps its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ContainerState", "pod_status", "says_the_same"]

Object = dict[str, Any]
_CREATING: Final = {"waiting": {"reason": "ContainerCreating"}}


@dataclass(slots=True, kw_only=True)
class ContainerState:
    """What is known of a container; `state` and `last` are as in the API's ContainerStatus."""

    name: str
    image: str
    state: Object = field(default_factory=lambda: dict(_CREATING))
    last: Object = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    identity: str = ""

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """The exit code of a container that has ended for good or waits for its next start."""
        ended: Object = self.state.get("terminated") or self.last.get("terminated") or {}
        return None if self.running else ended.get("exitCode")

    def reported(self) -> Object:
        """The API's ContainerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image if self.identity else "",
            "containerID": f"fairlead-lab://{self.identity}" if self.identity else "",
            "state": self.state,
            "lastState": self.last,
            "restartCount": self.restarts,
            "ready": self.ready,
            "started": self.started,
        }


def pod_status(
    pod: Mapping[str, Any],
    *,
    setup: Sequence[ContainerState],
    main: Sequence[ContainerState],
    addresses: Sequence[str],
    node_ips: Sequence[str],
    started: str,
    moment: str,
) -> Object:
    """The status to be written. `setup` are the init containers."""
    phase = _phase(pod, setup, main)
    conditions = _conditions(pod, setup, main, phase=phase, networked=bool(addresses))
    status = {
        "phase": phase,
        "startTime": started,
        "hostIP": node_ips[0],
        "hostIPs": [{"ip": ip} for ip in node_ips],
        "containerStatuses": [state.reported() for state in main],
        "conditions": _dated(pod, conditions, moment),
    }
    if setup:
        status["initContainerStatuses"] = [state.reported() for state in setup]
    if addresses:
        status["podIP"] = addresses[0]
        status["podIPs"] = [{"ip": ip} for ip in addresses]
    return status


def says_the_same(pod: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether the pod's conditions are those of the status, times apart."""
    before = {entry["type"]: entry["status"] for entry in _present(pod)}
    return all(before.get(entry["type"]) == entry["status"] for entry in status["conditions"])


def _phase(
    pod: Mapping[str, Any], setup: Sequence[ContainerState], main: Sequence[ContainerState]
) -> str:
    policy = pod["spec"].get("restartPolicy", "Always")
    if policy == "Never" and any(_failed(state) for state in setup):
        return "Failed"
    if all("terminated" in state.state for state in main):
        failed = any(_failed(state) for state in main)
        if policy == "Never" or (policy == "OnFailure" and not failed):
            return "Failed" if failed else "Succeeded"
    begun = any(state.running or state.exit_code is not None for state in main)
    return "Running" if begun else "Pending"


def _failed(state: ContainerState) -> bool:
    return state.exit_code not in (None, 0)


def _conditions(
    pod: Mapping[str, Any],
    setup: Sequence[ContainerState],
    main: Sequence[ContainerState],
    *,
    phase: str,
    networked: bool,
) -> dict[str, tuple[bool, str]]:
    """By type: whether it is true, and the reason when not."""
    ended = phase in ("Succeeded", "Failed")
    initialized = all(state.exit_code == 0 for state in setup)
    unready = [state.name for state in main if not state.ready]
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    present = {entry["type"]: entry["status"] for entry in _present(pod)}
    open_gates = all(present.get(gate) == "True" for gate in gates)
    why = "PodCompleted" if ended else "ContainersNotReady"
    all_ready = not unready and not ended
    return {
        "PodReadyToStartContainers": (networked and not ended, ""),
        "Initialized": (initialized, "" if initialized else "ContainersNotInitialized"),
        "ContainersReady": (all_ready, "" if all_ready else why),
        "Ready": (
            all_ready and open_gates,
            "" if all_ready and open_gates else "ReadinessGatesNotReady" if all_ready else why,
        ),
        "PodScheduled": (True, ""),
    }


def _dated(
    pod: Mapping[str, Any], wanted: Mapping[str, tuple[bool, str]], moment: str
) -> list[Object]:
    before = {entry["type"]: entry for entry in _present(pod)}
    others = [entry for kind, entry in before.items() if kind not in wanted]
    ours = []
    for kind, (true, reason) in wanted.items():
        status = "True" if true else "False"
        same = before.get(kind, {}).get("status") == status
        since = before[kind].get("lastTransitionTime", moment) if same else moment
        entry = {"type": kind, "status": status, "lastTransitionTime": since}
        ours.append({**entry, "reason": reason} if reason else entry)
    return others + ours


def _present(pod: Mapping[str, Any]) -> list[Object]:
    found: list[Object] = (pod.get("status") or {}).get("conditions") or []
    return found
