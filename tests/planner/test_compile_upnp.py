"""Which ports an engine keeps open on the gateway, and which it leaves to others."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects.translate import translate
from fairlead.model.claim import Claims
from fairlead.model.config import Config
from fairlead.model.forward import Forwarding, ForwardKey, UpnpDesired
from fairlead.model.kube import Service
from fairlead.model.ledger import Ledger
from fairlead.model.names import Ref
from fairlead.model.plan import Plan
from fairlead.model.world import Change, World
from fairlead.planner import compile_upnp, delta_upnp, diff_upnp, plan
from tests.dialects.make import decoded

CONFIG = Config(enable_upnp=True)
FORWARD = "kube-vip.io/forwardUPNP"


def service(name: str, port: int, vip: str, *, forward: bool = True, sctp: bool = False) -> Service:
    ports = [{"name": "a", "port": port, "protocol": "TCP"}]
    if sctp:
        ports.append({"name": "b", "port": port, "protocol": "SCTP"})
    found = decoded(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "annotations": {FORWARD: "true"} if forward else {}},
            "spec": {"type": "LoadBalancer", "loadBalancerIP": vip, "ports": ports},
        }
    )
    assert isinstance(found, Service)
    return found


class Site:
    """A world that is edited, and the plans of it."""

    def __init__(self, host: str = "here") -> None:
        self.world, self.plan = World(config=CONFIG, host=host), Plan()
        self.claims: Claims | None = None
        self.ledger = Ledger()
        self.before = self.plan

    def edit(self, name: str, one: Service | None) -> None:
        self.world = self.world.evolve([Change(Ref("Service", "default", name), one)])
        claims = self.claims = translate(self.world, self.claims)
        self.before = self.plan
        previous = None if self.before.claims.revision == 0 else self.before
        self.plan = plan(claims, self.ledger, previous)
        self.ledger = self.plan.ledger


def key(port: int, vip: str) -> ForwardKey:
    return ForwardKey(ip_address(vip), "TCP", port)


def test_the_holder_opens_the_ports_that_are_asked_for() -> None:
    site = Site()
    site.edit("web", service("web", 80, "192.0.2.1", sctp=True))
    site.edit("quiet", service("quiet", 81, "192.0.2.1", forward=False))
    desired = compile_upnp(site.plan, "here")
    assert dict(desired.forwards) == {
        key(80, "192.0.2.1"): Forwarding(Ref("Service", "default", "web"), 3600)
    }
    assert compile_upnp(site.plan, "elsewhere") == UpnpDesired(
        {}, frozenset({key(80, "192.0.2.1")})
    )


def test_what_goes_is_closed_and_what_moves_is_handed_over() -> None:
    site = Site()
    site.edit("web", service("web", 80, "192.0.2.1"))
    site.edit("web", service("web", 80, "192.0.2.2"))
    changes = delta_upnp(site.before, site.plan, "here")
    assert changes.forwards[key(80, "192.0.2.1")] is None
    assert changes.forwards[key(80, "192.0.2.2")] is not None
    site.edit("web", None)
    assert dict(delta_upnp(site.before, site.plan, "here").forwards) == {key(80, "192.0.2.2"): None}
    there = compile_upnp(site.before, "here")
    moved = UpnpDesired({}, frozenset(there.forwards))
    assert diff_upnp(moved, there).handed == frozenset(there.forwards)


Edit = tuple[str, int, str, bool, bool]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([80, 81]),
        st.sampled_from(["192.0.2.1", "192.0.2.2"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


@given(EDITS)
def test_deltas_come_to_what_is_compiled_anew(
    edits: list[Edit],
) -> None:
    site = Site()
    rows: dict[ForwardKey, Forwarding] = {}
    for name, port, vip, forward, gone in edits:
        site.edit(name, None if gone else service(name, port, vip, forward=forward))
        for where, row in delta_upnp(site.before, site.plan, "here").forwards.items():
            if row is None:
                rows.pop(where, None)
            else:
                rows[where] = row
        assert rows == dict(compile_upnp(site.plan, "here").forwards)
