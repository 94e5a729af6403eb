"""What ``fairlead get`` can list, and the short words for it."""

from enum import StrEnum


class What(StrEnum):
    """What can be listed."""

    SERVICES = "services"
    VIPS = "vips"
    POOLS = "pools"
    ENGINES = "engines"
    REJECTIONS = "rejections"


SHORT = {
    "svc": What.SERVICES,
    "service": What.SERVICES,
    "vip": What.VIPS,
    "pool": What.POOLS,
    "engine": What.ENGINES,
    "rejection": What.REJECTIONS,
}
