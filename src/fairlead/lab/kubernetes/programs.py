"""The command lines of the control plane's programs, as pure functions of where things are.

etcd listens on UNIX sockets in its directory, so that nobody else on the machine reaches it; sync
to disk is off, because what it holds dies with the lab. Secrets are in files, never in arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.lab.kubernetes.pki import KeyPair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "CLUSTER_CIDRS",
    "DEFAULT_CONTROLLERS",
    "PROXY_HEALTH_PORT",
    "SERVICE_CIDRS",
    "Files",
    "apiserver",
    "controller_manager",
    "etcd",
    "proxy",
    "proxy_config",
    "scheduler",
]

SERVICE_CIDRS: Final = ("10.96.0.0/12", "fd00:96::/108")
"""Where ClusterIPs come from: a million of each family."""

CLUSTER_CIDRS: Final = ("10.244.0.0/16", "fd00:244::/48")
"""Where pods live, all nodes together."""

DEFAULT_CONTROLLERS: Final = (
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "validatingadmissionpolicy-status-controller",
)

_CLIENT_SOCKET: Final = "unix://localhost:1"  # the file `localhost:1` in the working directory
_PEER_SOCKET: Final = "unix://localhost:2"


PROXY_HEALTH_PORT: Final = 10256


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the programs read."""

    programs: Path
    data: Path
    tokens: Path
    ca: Path
    serving: KeyPair
    service_accounts: KeyPair
    to_nodes: KeyPair


def etcd(files: Files) -> list[str]:
    """The command line of etcd; its working directory holds the sockets."""
    flags = {
        "data-dir": str(files.data),
        "listen-client-urls": _CLIENT_SOCKET,
        "advertise-client-urls": _CLIENT_SOCKET,
        "listen-peer-urls": _PEER_SOCKET,
        "initial-advertise-peer-urls": _PEER_SOCKET,
        "initial-cluster": f"default={_PEER_SOCKET}",
        "unsafe-no-fsync": "true",
        "quota-backend-bytes": str(4 * 2**30),
        "log-level": "warn",
    }
    return [str(files.programs / "etcd"), *_flags(flags)]


def apiserver(
    files: Files, *, address: str, port: int, service_cidrs: Sequence[str] = SERVICE_CIDRS
) -> list[str]:
    """The command line of kube-apiserver, in the working directory of etcd."""
    flags = {
        "etcd-servers": _CLIENT_SOCKET,
        "bind-address": address,
        "advertise-address": address,
        "secure-port": str(port),
        "tls-cert-file": str(files.serving.certificate),
        "tls-private-key-file": str(files.serving.key),
        "client-ca-file": str(files.ca),
        "kubelet-certificate-authority": str(files.ca),
        "kubelet-client-certificate": str(files.to_nodes.certificate),
        "kubelet-client-key": str(files.to_nodes.key),
        "kubelet-preferred-address-types": "InternalIP",
        "token-auth-file": str(files.tokens),
        "service-account-key-file": str(files.service_accounts.certificate),
        "service-account-signing-key-file": str(files.service_accounts.key),
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "authorization-mode": "RBAC",
        "allow-privileged": "true",
        "service-cluster-ip-range": ",".join(service_cidrs),
        "event-ttl": "1h",
        "profiling": "false",
    }
    return [str(files.programs / "kube-apiserver"), *_flags(flags)]


def controller_manager(files: Files, *, kubeconfig: Path, controllers: Sequence[str]) -> list[str]:
    """The command line of kube-controller-manager. A node that is silent for 5 s is not ready."""
    flags = {
        "kubeconfig": str(kubeconfig),
        "controllers": ",".join(controllers),
        "leader-elect": "false",
        "use-service-account-credentials": "true",
        "root-ca-file": str(files.ca),
        "secure-port": "0",
        "node-monitor-period": "1s",
        "node-monitor-grace-period": "5s",
        "kube-api-qps": "200",
        "kube-api-burst": "400",
        "profiling": "false",
    }
    return [str(files.programs / "kube-controller-manager"), *_flags(flags)]


def scheduler(files: Files, *, kubeconfig: Path) -> list[str]:
    """The command line of kube-scheduler."""
    flags = {
        "kubeconfig": str(kubeconfig),
        "leader-elect": "false",
        "secure-port": "0",
        "profiling": "false",
    }
    return [str(files.programs / "kube-scheduler"), *_flags(flags)]


def proxy_config(*, kubeconfig: Path, node: str, cluster_cidrs: Sequence[str]) -> Mapping[str, Any]:
    """The configuration of kube-proxy: nftables mode, at the pace of tests.

    The limits of connection tracking belong to the machine and cannot be set in a namespace.
    """
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": node,
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 50, "burst": 100},
        "clusterCIDR": ",".join(cluster_cidrs),
        "conntrack": {"maxPerCore": 0, "min": 0},
        "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        "healthzBindAddress": f"0.0.0.0:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def proxy(programs: Path, *, config: Path) -> list[str]:
    """The command line of kube-proxy; everything is in its configuration file."""
    return [str(programs / "kube-proxy"), f"--config={config}"]


def _flags(flags: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]
