"""The language of the VMware Cloud Director provider: one ConfigMap that shapes every Service.

``config`` reads the ConfigMap into pools and tiers, ``services`` reads a Service by them.
"""

from fairlead.dialects.vcd.config import CONFIG_MAP, Provider, read_config
from fairlead.dialects.vcd.services import read

__all__ = ["CONFIG_MAP", "Provider", "read", "read_config"]
