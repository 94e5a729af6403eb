"""What Fairlead says about an object, and why.

A reason is a value: the planner returns it, the edges print it. Its text may name things that are
known only when somebody asks (who holds a full pool), so that one Service more does not rewrite the
verdict of every waiting one; see :func:`fairlead.planner.explain.message`.
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from fairlead.model.addresses import IPAddress
from fairlead.model.forward import ForwardKey
from fairlead.model.names import GroupKey, Ref


class State(StrEnum):
    """Served holds an address; Pending waits for something that can come by itself; Rejected needs
    an edit; Ignored is not ours."""

    SERVED = "Served"
    PENDING = "Pending"
    REJECTED = "Rejected"
    IGNORED = "Ignored"


class Code(StrEnum):
    """Reason codes, as published in conditions and in ``plan -o json``."""

    NONE = ""
    STATIC_ADDRESS_MISMATCH = "StaticAddressMismatch"
    PORT_CONFLICT = "PortConflict"
    INFRA_SETTING_MISMATCH = "InfraSettingMismatch"
    CLASS_MISMATCH = "ClassMismatch"
    NOT_LOAD_BALANCER = "NotLoadBalancer"
    NO_POOL = "NoPool"
    POOL_EXHAUSTED = "PoolExhausted"
    ADDRESS_NOT_IN_POOL = "AddressNotInPool"
    ADDRESS_IN_USE = "AddressInUse"
    ADDRESS_DISPUTED = "AddressDisputed"
    TRAFFIC_POLICY_CONFLICT = "TrafficPolicyConflict"
    NO_READY_ENGINE = "NoReadyEngine"
    NO_READY_BACKEND = "NoReadyBackend"
    UNKNOWN_INFRA_SETTING = "UnknownInfraSetting"
    INVALID_OBJECT = "InvalidObject"
    AMBIGUOUS_DIALECT = "AmbiguousDialect"
    WAITING_FOR_DHCP = "WaitingForDHCP"
    DHCP_REFUSED = "DHCPRefused"
    DHCP_LEASE_LOST = "DHCPLeaseLost"
    HOSTNAME_TAKEN = "HostnameTaken"
    IGNORED_ON_REQUEST = "IgnoredOnRequest"
    FAMILY_UNAVAILABLE = "FamilyUnavailable"
    UNKNOWN_ENGINE_GROUP = "UnknownEngineGroup"
    NOT_ANNOUNCED = "NotAnnounced"
    NOT_FORWARDED = "NotForwarded"
    NO_GATEWAY = "NoGateway"
    GATEWAY_NOT_PUBLIC = "GatewayNotPublic"
    PORT_FORWARD_CONFLICT = "PortForwardConflict"
    PORT_FORWARD_REFUSED = "PortForwardRefused"


class Reason(Struct, frozen=True, gc=False):
    """Why: a code, a sentence for people, and the other objects it is about.

    ``pools`` names full pools; who holds them is added when the message is shown.
    """

    code: Code
    message: str = ""
    conflicts: tuple[Ref, ...] = ()
    pools: tuple[str, ...] = ()


class Forward(NamedTuple):
    """What became of a port that is to be open on a gateway. ``external``: the address where it is
    reached from outside; None: nowhere. ``code`` and ``message``: what there is to say about it."""

    service: Ref
    key: ForwardKey
    external: IPAddress | None = None
    code: Code = Code.NONE
    message: str = ""


class Verdict(Struct, frozen=True, gc=False):
    """The answer for one object. ``warnings`` do not change the state; they are published beside
    it. ``forwards``: its ports on a gateway, as far as its engine knows."""

    ref: Ref
    state: State
    reason: Reason | None = None
    dialect: str = ""
    group: GroupKey | None = None
    addresses: tuple[IPAddress, ...] = ()
    hostname: str = ""
    warnings: tuple[Reason, ...] = ()
    forwards: tuple[Forward, ...] = ()

    @property
    def external(self) -> tuple[IPAddress, ...]:
        """The addresses of gateways where some of its ports are reached."""
        found = (one.external for one in self.forwards)
        return tuple(dict.fromkeys(a for a in found if a is not None and a not in self.addresses))

    @property
    def code(self) -> Code:
        """The reason's code, or :attr:`Code.NONE` when there is nothing to say."""
        return self.reason.code if self.reason else Code.NONE
