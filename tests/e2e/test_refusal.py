"""A VIP is its listeners and nothing else of the machine that holds it."""

from collections.abc import Iterator

import pytest

from fairlead.lab import Hosts

from .asking import RESET, UNREACHABLE, User
from .manifests import pod, pool, port, service
from .serving import Up, becomes

pytestmark = pytest.mark.root

V4, V6 = "192.0.2.10", "fd00:2::10"
DAEMON = 2222


@pytest.fixture
def daemon(lab: Hosts) -> Iterator[None]:
    """Something on the engine that listens on all addresses, as sshd does."""
    process = lab["engine-1"].echo(name="daemon", tcp=[DAEMON], udp=[DAEMON])
    yield
    process.kill()
    process.wait()


@pytest.mark.usefixtures("daemon")
def test_only_listeners_answer(up: Up, lab: Hosts, user: User) -> None:
    engine = lab["engine-1"]
    up.folder.put(
        "all",
        pool("vips", V4, V6),
        service("web", port(80), app="a", ipFamilyPolicy="RequireDualStack"),
        pod(lab["pod-a"], "a"),
    )
    up.start()
    for vip, own in ((V4, engine.v4), (V6, engine.v6)):
        becomes("pod-a", user.tcp, vip)
        assert user.tcp(own, DAEMON) == user.udp(own, DAEMON) == "daemon"
        for number in (81, 8080, DAEMON):
            assert user.tcp(vip, number) == RESET, number
        for number in (80, DAEMON):
            assert user.udp(vip, number) == UNREACHABLE, number
        assert user.pings(vip)
        assert user.macs(vip) == [engine.mac()]
