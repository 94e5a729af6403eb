"""Ports on the gateway beside the other data planes: they wait for addresses, and nothing waits for
them but an address that is given up, for a moment."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from fairlead.model.addresses import IPAddress
from fairlead.model.desired import L2Changes
from fairlead.model.forward import Forwarding, ForwardKey, UpnpChanges, UpnpDesired
from fairlead.model.names import GroupKey, Ref
from fairlead.model.objects import EngineForward
from fairlead.model.plan import Outcome, Plan, Vip
from fairlead.model.verdict import Code, Forward, State, Verdict
from fairlead.planner import diff_upnp
from fairlead.publish.forwards import read, shown, with_forwards, written
from fairlead.runtime.closing import Closing
from fairlead.runtime.lanes import L2Lane, UpnpLane

WEB = Ref("Service", "default", "web")
A, B = ip_address("192.0.2.1"), ip_address("192.0.2.2")
OUTSIDE = ip_address("80.81.90.2")
LANE = UpnpLane("here")
KEYS = [ForwardKey(vip, "TCP", port) for vip in (A, B) for port in (80, 81)]


@st.composite
def states(draw: st.DrawFn) -> UpnpDesired:
    rows = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from([0, 3600])))
    others = draw(st.frozensets(st.sampled_from(KEYS)))
    return UpnpDesired({k: Forwarding(WEB, n) for k, n in rows.items()}, others - rows.keys())


Rows = dict[ForwardKey, Forwarding]


def applied(there: Rows, changes: UpnpChanges) -> Rows:
    rows = {**there, **changes.forwards}
    return {k: r for k, r in rows.items() if r is not None and k not in changes.handed}


@given(states(), states(), states())
def test_combined_changes_do_what_both_do_one_after_the_other(
    a: UpnpDesired, b: UpnpDesired, c: UpnpDesired
) -> None:
    both = LANE.combine(diff_upnp(b, a), diff_upnp(c, b))
    assert applied(dict(a.forwards), both) == c.forwards


@given(
    states(),
    states(),
    st.none() | st.frozensets(st.sampled_from([A, B])),
    st.frozensets(st.sampled_from([A, B])),
)
def test_a_port_is_opened_once_its_address_is_there_and_closed_unless_it_is_spared(
    a: UpnpDesired, b: UpnpDesired, here: frozenset[IPAddress] | None, spared: frozenset[IPAddress]
) -> None:
    now, later = LANE.split(diff_upnp(b, a), other=here, spared=spared)
    for key, row in now.forwards.items():
        assert key.client in (here or ()) if row is not None else key.client not in spared
    end = applied(applied(dict(a.forwards), now), later or UpnpChanges({}))
    kept = {k: r for k, r in a.forwards.items() if k.client in spared and k not in b.elsewhere}
    assert end == {**kept, **b.forwards}


def plan_of(*vips: IPAddress, changed: bool = False) -> Plan:
    keys = {vip: GroupKey("kube-vip", "address", "", str(vip)) for vip in (A, B)}
    outcomes = Map(
        {
            keys[vip]: Outcome(
                group=keys[vip],
                claims=(),
                verdicts=(),
                vips=(Vip(group=keys[vip], addresses=(vip,), pools=(), members=()),),
                holding=None,
            )
            for vip in vips
        }
    )
    return Plan(outcomes=outcomes, changed=frozenset(keys.values()) if changed else None)


def test_an_address_that_goes_waits_while_its_ports_are_closed() -> None:
    ports, now = {A: 2}, 0.0
    closing = Closing(lambda: ports, lambda: now)
    lane = L2Lane("here", known=(), contested=frozenset, closing=closing.waiting)
    assert not closing.follow(plan_of(A, B))
    assert closing.follow(plan_of(B, changed=True))
    both = L2Changes(frozenset(), frozenset({A, B}))
    split = lane.split(both, other=None, spared=frozenset())
    assert split.now.removed == {B}
    assert split.later is not None
    assert split.later.removed == {A}
    now, ports = 1.9, {A: 1}  # the gateway is slow, but it works
    assert closing.waiting() == {A}
    now = 3.8
    assert closing.waiting() == {A}
    ports = {}
    last = lane.split(split.later, other=None, spared=frozenset())
    assert last.now.removed == {A}
    assert last.later is None


def test_a_gateway_that_does_nothing_is_not_waited_for() -> None:
    now = 0.0
    closing = Closing(lambda: {A: 2}, lambda: now)
    closing.follow(plan_of(A))
    assert closing.follow(plan_of(changed=True))
    now = 1.9
    assert closing.waiting() == {A}
    now = 2.1
    assert closing.waiting() == frozenset()


def test_an_address_without_open_ports_and_one_that_moves_do_not_wait() -> None:
    closing = Closing(dict)
    closing.follow(plan_of(A))
    assert not closing.follow(plan_of())
    moving = Closing(lambda: {A: 1})
    moving.follow(plan_of(A, B))
    assert not moving.follow(plan_of(A, changed=True))  # another engine has it from now on
    assert moving.waiting() == frozenset()


PORTS = [
    Forward(WEB, KEYS[0], OUTSIDE),
    Forward(WEB, KEYS[0], None, Code.PORT_FORWARD_CONFLICT, "somebody has it"),
    Forward(WEB, ForwardKey(ip_address("fd00::1"), "UDP", 53), ip_address("fd00::1")),
]


def test_what_is_written_of_a_port_is_read_back() -> None:
    assert [read(written(one)) for one in PORTS] == PORTS
    for wrong in (
        EngineForward("web", "TCP", 80, "nonsense"),
        EngineForward("a/b", "TCP", 80, "192.0.2.1", external="nowhere"),
        EngineForward("a/b", "TCP", 80, "192.0.2.1", reason="NoSuchCode"),
    ):
        assert read(wrong) is None


def test_a_verdict_shows_where_ports_are_reached_and_what_is_in_the_way() -> None:
    said = with_forwards(Verdict(WEB, State.SERVED, addresses=(A,)), tuple(PORTS[:2]))
    assert said.external == (OUTSIDE,)
    assert [warning.code for warning in said.warnings] == [Code.PORT_FORWARD_CONFLICT]
    assert [shown(one) for one in PORTS] == [
        "TCP 80.81.90.2:80 → 192.0.2.1:80",
        "TCP 192.0.2.1:80 is not open (PortForwardConflict)",
        "UDP [fd00::1]:53 (pinhole)",
    ]
    waits = Verdict(WEB, State.PENDING)
    assert with_forwards(waits, tuple(PORTS)) == waits
