"""`fairlead up` opens ports on a real gateway, and somebody on the internet comes in by them."""

import json
from collections.abc import Callable, Iterator

import pytest

from fairlead.lab import Hosts, Topology, cluster
from fairlead.lab.gateway import ADDRESS, Gateway
from fairlead.lab.layout import DEFAULT_LAN

from .asking import User
from .manifests import IGNORE, Manifest, pod, port, service
from .serving import P, Up, Value, until

pytestmark = pytest.mark.root

VIP, VIP6, OTHER = "192.0.2.20", "fd00:2::20", "192.0.2.21"
FORWARD = "kube-vip.io/forwardUPNP"
LEASE = "kube-vip.io/upnp-lease-duration"


def becomes(expected: Value, look: Callable[P, Value], *args: P.args, **kwargs: P.kwargs) -> None:
    """Look until it is as expected: a gateway that is gone is looked for ever more seldom."""
    until(repr(expected), lambda: look(*args, **kwargs), lambda seen: seen == expected, 60)


@pytest.fixture(scope="module")
def topology() -> Topology:
    """A router with somebody behind it, and an engine with two pods, whose way out it is."""
    return cluster(lan=[*DEFAULT_LAN], clients=3, engines=1, pods=2, engines_via="client-3")


@pytest.fixture
def gateway(lab: Hosts) -> Iterator[Gateway]:
    with Gateway(lab["client-3"], lab["client-2"], secure=True) as gateway:
        yield gateway


@pytest.fixture
def outside(gateway: Gateway) -> User:
    return User(gateway.outside)


@pytest.fixture
def config(up: Up) -> str:
    path = up.folder.path.parent / "fairlead.yaml"
    path.write_text("enableUPNP: true\nupnpRefreshSeconds: 1\n")
    return f"--config={path}"


def web(
    number: int = 32380, app: str = "a", vip: str = VIP, notes: dict[str, str] | None = None
) -> Manifest:
    notes = {FORWARD: "true", **(notes or {})}
    ports = port(number, name="tcp"), port(number, protocol="UDP", name="udp")
    return service(f"web-{number}", *ports, app=app, loadBalancerIP=vip, annotations=notes)


def test_a_port_is_open_as_long_as_its_service_wants_it(
    up: Up, lab: Hosts, gateway: Gateway, outside: User, config: str
) -> None:
    folder = up.folder
    folder.put("pods", pod(lab["pod-a"], "a"), pod(lab["pod-b"], "b"))
    folder.put("web", web())
    folder.put("quiet", service("quiet", port(8081), app="b", loadBalancerIP=VIP))
    up.start(config)
    becomes("pod-a", outside.tcp, ADDRESS, 32380)
    becomes("pod-a", outside.udp, ADDRESS, 32380)
    becomes([VIP, ADDRESS], up.addresses, "web-32380")
    assert up.addresses("quiet") == [VIP]
    row = up.command("get", "services", "-n", "default")
    assert f"{VIP},{ADDRESS}" in row
    told = json.loads(up.command("explain", "Service/default/web-32380", "-o", "json"))
    assert told["forwards"] == [
        f"TCP {ADDRESS}:32380 → {VIP}:32380",
        f"UDP {ADDRESS}:32380 → {VIP}:32380",
    ]
    folder.put("web", web(notes={IGNORE: "true"}))
    becomes([], gateway.rules)
    folder.put("web", web(app="b"))
    becomes("pod-b", outside.tcp, ADDRESS, 32380)
    folder.put("web", web(notes={FORWARD: "false"}))
    becomes([], gateway.rules)
    becomes([VIP], up.addresses, "web-32380")
    folder.put("web", web())
    becomes(2, lambda: len(gateway.rules()))
    folder.drop("web")
    becomes([], gateway.rules)


def test_the_last_service_of_a_vip_takes_its_port_with_it(
    up: Up, lab: Hosts, gateway: Gateway, config: str
) -> None:
    up.folder.put("web", web(), pod(lab["pod-a"], "a"))
    up.start(config)
    becomes(2, lambda: len(gateway.rules()))
    up.folder.drop("web")
    becomes([], gateway.rules)  # in secure mode only the VIP itself may close it
    becomes([], up.held)


def test_a_stop_closes_and_a_kill_does_not(
    up: Up, lab: Hosts, gateway: Gateway, outside: User, config: str
) -> None:
    up.folder.put("pods", pod(lab["pod-a"], "a"))
    up.folder.put("web", web(), web(32381))
    up.start(config)
    becomes(4, lambda: len(gateway.rules()))
    up.kill()
    assert outside.tcp(ADDRESS, 32380) == "pod-a"
    up.folder.put("web", web())
    up.start(config)  # what it left there before is found by its mark
    becomes(2, lambda: len(gateway.rules()))
    assert outside.tcp(ADDRESS, 32380) == "pod-a"
    assert up.stop() == 0
    assert gateway.rules() == []


def test_a_gateway_that_restarts_gets_its_mappings_back(
    up: Up, lab: Hosts, gateway: Gateway, outside: User, config: str
) -> None:
    up.folder.put("web", web(notes={LEASE: "0"}), pod(lab["pod-a"], "a"))
    up.start(config)
    becomes("pod-a", outside.tcp, ADDRESS, 32380)
    gateway.kill()
    gateway.forget()
    until("news", up.said, lambda said: "upnp: fails" in said, 60)
    gateway.start()
    becomes("pod-a", outside.tcp, ADDRESS, 32380)
    becomes([VIP, ADDRESS], up.addresses, "web-32380")


def test_without_a_gateway_vips_are_served_and_say_what_is_missing(
    up: Up, lab: Hosts, user: User, config: str
) -> None:
    up.folder.put("web", web(), pod(lab["pod-a"], "a"))
    up.start(config)
    becomes("pod-a", user.tcp, VIP, 32380)
    until(
        "the reason",
        lambda: up.entry("web-32380"),
        lambda e: e is not None and e.reason == "NoGateway",
    )
    with Gateway(lab["client-3"], lab["client-2"]) as late:
        becomes([VIP, ADDRESS], up.addresses, "web-32380")
        becomes("Served", up.verdict, "web-32380")
        assert len(late.rules()) == 2


def test_a_port_that_somebody_else_has(
    up: Up, lab: Hosts, gateway: Gateway, outside: User, config: str
) -> None:
    up.folder.put("pods", pod(lab["pod-a"], "a"), pod(lab["pod-b"], "b"))
    up.folder.put("first", web())
    up.start(config)
    becomes("pod-a", outside.tcp, ADDRESS, 32380)
    second = {**web(app="b", vip=OTHER)}
    second["metadata"] = {**second["metadata"], "name": "second"}
    up.folder.put("second", second)
    becomes("Served PortForwardConflict", up.verdict, "second")
    entry = up.entry("second")
    assert entry is not None
    assert VIP in entry.message
    assert "default/web-32380" in entry.message
    assert outside.tcp(ADDRESS, 32380) == "pod-a"
    up.folder.drop("first")
    becomes("pod-b", outside.tcp, ADDRESS, 32380)
    becomes("Served", up.verdict, "second")


def test_ipv6_comes_in_by_a_pinhole(
    up: Up, lab: Hosts, gateway: Gateway, outside: User, config: str
) -> None:
    up.folder.put("web", web(vip=VIP6), pod(lab["pod-a"], "a"))
    up.start(config)
    becomes("pod-a", outside.tcp, VIP6, 32380)
    becomes("pod-a", outside.udp, VIP6, 32380)
    assert up.addresses("web-32380") == [VIP6]
    up.folder.drop("web")
    becomes([], gateway.pinholes)
