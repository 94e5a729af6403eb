"""The Kubernetes API as a source: credentials, a thin client, and watches that lose nothing.

What is read comes as the same :class:`~fairlead.model.world.Change` that files yield. Failures are
values too (:class:`Health`): a kind that cannot be read says why, and the others go on.
"""

from fairlead.sources.kube.access import Access
from fairlead.sources.kube.client import APPLY, JSON, MERGE, ApiClient
from fairlead.sources.kube.credentials import find_access, in_cluster, kubeconfig_access
from fairlead.sources.kube.errors import ApiError, ConfigError, CredentialError, Unreachable
from fairlead.sources.kube.health import Health
from fairlead.sources.kube.pace import Pace
from fairlead.sources.kube.resources import Resource, Watch
from fairlead.sources.kube.source import KubeBatch, KubeSource

__all__ = [
    "APPLY",
    "JSON",
    "MERGE",
    "Access",
    "ApiClient",
    "ApiError",
    "ConfigError",
    "CredentialError",
    "Health",
    "KubeBatch",
    "KubeSource",
    "Pace",
    "Resource",
    "Unreachable",
    "Watch",
    "find_access",
    "in_cluster",
    "kubeconfig_access",
]
