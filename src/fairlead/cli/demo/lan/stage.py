"""What the steps share."""

from typing import NamedTuple

from fairlead.cli.demo.kubernetes.site import Site
from fairlead.lab.dhcp import DhcpServer


class Stage(NamedTuple):
    """The cluster, and the DHCP server of its LAN."""

    site: Site
    server: DhcpServer
