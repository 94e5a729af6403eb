"""What a container may do, as `setpriv` arguments, from the security contexts of pod and container.

Without any, it is root with the capabilities that containerd and Docker leave by default; so a pod
that works here does not rely on more than it asks for. (Linux capabilities are named without CAP_.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["confined", "runs_as"]

_DEFAULT: Final = frozenset(
    {
        "audit_write",
        "chown",
        "dac_override",
        "fowner",
        "fsetid",
        "kill",
        "mknod",
        "net_bind_service",
        "net_raw",
        "setfcap",
        "setgid",
        "setpcap",
        "setuid",
        "sys_chroot",
    }
)


def confined(
    argv: tuple[str, ...], *, pod: Mapping[str, Any], container: Mapping[str, Any]
) -> tuple[str, ...]:
    """The command line that runs `argv` as its security context says."""
    context = _context(pod, container)
    prefix = ["setpriv"]
    if (user := context.get("runAsUser")) is not None:
        group = context.get("runAsGroup", 0)
        prefix += [f"--reuid={user}", f"--regid={group}"]
        extra = context.get("supplementalGroups") or []
        prefix.append(f"--groups={','.join(map(str, extra))}" if extra else "--clear-groups")
    if not context.get("privileged"):
        kept = _kept(context.get("capabilities") or {})
        allowed = ",".join(["-all", *(f"+{name}" for name in sorted(kept))])
        prefix += [f"--inh-caps={allowed}", f"--bounding-set={allowed}"]
    if context.get("allowPrivilegeEscalation") is False:
        prefix.append("--no-new-privs")
    return (*prefix, "--", *argv)


def runs_as(pod: Mapping[str, Any], container: Mapping[str, Any]) -> int:
    """The user id of a container."""
    return int(_context(pod, container).get("runAsUser", 0))


def _context(pod: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, Any]:
    return {**(pod.get("securityContext") or {}), **(container.get("securityContext") or {})}


def _kept(capabilities: Mapping[str, Any]) -> set[str]:
    def names(field: str) -> set[str]:
        return {str(name).lower().removeprefix("cap_") for name in capabilities.get(field) or ()}

    kept = set() if "all" in names("drop") else set(_DEFAULT) - names("drop")
    return kept | names("add")
