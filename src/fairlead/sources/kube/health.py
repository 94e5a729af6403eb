"""What a watch says of itself, for /readyz and for people."""

from msgspec import Struct


class Health(Struct, frozen=True):
    """One watched kind. ``synced``: it was read as a whole at least once. ``absent``: the API
    server has no such kind. ``error``: why it is not followed just now, empty while it is;
    ``forbidden``: because RBAC says no. ``since``: when that began, seconds since the epoch.
    ``objects``: how many are known."""

    kind: str
    synced: bool = False
    absent: bool = False
    error: str = ""
    forbidden: bool = False
    since: float = 0.0
    objects: int = 0

    @property
    def settled(self) -> bool:
        """Whether nobody has to wait for it."""
        return self.synced or self.absent
