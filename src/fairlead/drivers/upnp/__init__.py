"""Ports on the network's gateway, by UPnP (Internet Gateway Device 1 and 2).

``search`` finds gateways, ``requests`` bounds what they may send, ``gateway`` speaks to one, and
``driver`` keeps what is wanted in place. A gateway is a stranger: whoever is on the LAN can claim
to be one, so nothing that it says is believed further than needed, and everything has a limit.
"""

from fairlead.drivers.upnp.driver import UpnpDriver
from fairlead.drivers.upnp.find import lan_gateways

__all__ = ["UpnpDriver", "lan_gateways"]
