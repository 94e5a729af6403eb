"""What the steps share."""

from typing import NamedTuple

from fairlead.cli.demo.kubernetes.site import Site
from fairlead.lab.dhcp import DhcpServer
from fairlead.lab.gateway import Gateway


class Stage(NamedTuple):
    """The cluster, the DHCP server of its LAN, and the gateway, which is not switched on yet."""

    site: Site
    server: DhcpServer
    gateway: Gateway
