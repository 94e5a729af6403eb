"""Names that both sides have to agree on."""

from __future__ import annotations

from typing import Final

__all__ = ["KUBELET_CLIENT"]

KUBELET_CLIENT: Final = "kube-apiserver-kubelet-client"
"""The user of the certificate that the API server shows to nodes."""
