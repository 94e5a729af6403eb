"""What one runner is told: which node it is, where the API server is, which addresses it has."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

__all__ = ["Config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`directory` is the node's own, for volumes and logs; `path` is where pods find programs, and
    `programs` are the directories that these need.

    `service_host` and `service_port` are what pods are told of the API server. `heartbeat` is the
    time between two renewals of the node's Lease, in seconds.
    """

    lab: str
    node: str
    url: str
    ca: str
    certificate: str
    key: str
    serving_certificate: str
    serving_key: str
    directory: str
    node_ips: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    service_host: str
    service_port: int
    path: str
    programs: tuple[str, ...]
    version: str
    heartbeat: float = 1.0

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read what `write` wrote."""
        raw = json.loads(path.read_text())
        for field in ("node_ips", "pod_cidrs", "programs"):
            raw[field] = tuple(raw[field])
        return cls(**raw)

    def write(self, path: Path) -> None:
        """Write it for a runner to read; it names files with secrets and holds none."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The pod networks of this node, one of each family that the cluster has."""
        return tuple(ipaddress.ip_network(text) for text in self.pod_cidrs)

    @property
    def home(self) -> Path:
        """The node's directory."""
        return Path(self.directory)

    def namespace_prefix(self) -> str:
        """What the names of this node's pod namespaces begin with; they go with the lab's."""
        return f"fl-{self.lab}-{self.node}."
