"""coordination.k8s.io/v1 Lease, as far as it is read and written here."""

from msgspec import Struct, field


class LeaseSpec(Struct, rename="camel", omit_defaults=True):
    """coordination.k8s.io/v1 LeaseSpec; times are RFC 3339 with microseconds."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class LeaseMeta(Struct, rename="camel", omit_defaults=True):
    """ObjectMeta of a Lease."""

    name: str
    namespace: str
    resource_version: str = ""


class Lease(Struct, rename="camel"):
    """coordination.k8s.io/v1 Lease."""

    metadata: LeaseMeta
    spec: LeaseSpec = field(default_factory=LeaseSpec)
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"
