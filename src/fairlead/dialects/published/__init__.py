"""The published ledger, read by agents: VirtualIP objects in, VIPs with backends out."""

from fairlead.dialects.published.serving import serving

__all__ = ["serving"]
