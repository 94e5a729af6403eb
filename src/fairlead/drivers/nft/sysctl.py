"""What the kernel must be told once so that VIP traffic can pass: forwarding, per family.

The one place where the driver touches settings of the host. Forwarding IPv6 makes a host deaf to
router advertisements unless ``accept_ra`` is 2, so interfaces that listen to them keep listening.
Nothing is set back on withdrawal: meanwhile others may have come to need it.
"""

from pathlib import Path

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.namespace import entered

_NET = Path("/proc/sys/net")
_FORWARD = {4: _NET / "ipv4/ip_forward", 6: _NET / "ipv6/conf/all/forwarding"}
_V6 = _NET / "ipv6/conf"


def ensure_forwarding(family: int, *, netns: str | None) -> None:
    """Make the kernel forward a family (4 or 6). Raises :class:`DriverError`."""
    with entered(netns):
        switch = _FORWARD[family]
        if _read(switch) == "1":
            return
        if family == 6:
            _keep_router_advertisements()
        _write(switch, "1")


def _keep_router_advertisements() -> None:
    for interface in sorted(_V6.iterdir()):
        if _read(interface / "accept_ra") == "1":
            _write(interface / "accept_ra", "2")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise DriverError(f"cannot read {_name(path)}: {error.strerror}") from error


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except OSError as error:
        raise DriverError(
            f"cannot set {_name(path)}={value} ({error.strerror}); set it with sysctl -w"
        ) from error


def _name(path: Path) -> str:
    return ".".join(path.relative_to(_NET.parent).parts)
