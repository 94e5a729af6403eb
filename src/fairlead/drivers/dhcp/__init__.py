"""Leases from DHCP servers, as the client that a VIP is to them."""

from fairlead.drivers.dhcp.driver import DhcpDriver
from fairlead.drivers.dhcp.fake import FakeDhcp

__all__ = ["DhcpDriver", "FakeDhcp"]
