"""kube-vip's document: Services on one address, and one of them asks to be left alone."""

from typing import Any

import pytest

from fairlead.lab import Hosts

from .asking import RESET, Steady, User
from .manifests import IGNORE, Manifest, pod, port, service
from .serving import Up, becomes

pytestmark = pytest.mark.root

VIP = "192.168.0.220"


def http(name: str, number: int, app: str, **more: Any) -> Manifest:
    return service(name, port(number), app=app, loadBalancerIP=VIP, **more)


def test_services_share_an_address_until_the_last_goes(up: Up, lab: Hosts, user: User) -> None:
    folder = up.folder
    folder.put("pods", pod(lab["pod-a"], "a"), pod(lab["pod-b"], "b"))
    folder.put("http1", http("http1", 80, "a"))
    folder.put("http2", http("http2", 81, "b"))
    up.start()
    becomes("pod-a", user.tcp, VIP, 80)
    becomes("pod-b", user.tcp, VIP, 81)
    with Steady(user, (VIP, 80)):
        folder.put("http3", http("http3", 80, "b"))
        becomes("Rejected PortConflict", up.verdict, "http3")
        entry = up.entry("http3")
        assert entry is not None
        assert "http1" in entry.message
        folder.put("http2", http("http2", 81, "b", annotations={IGNORE: "true"}))
        becomes(RESET, user.tcp, VIP, 81)
        becomes("Ignored", lambda: up.verdict("http2").split()[0])
        folder.put("http2", http("http2", 81, "b"))
        becomes("pod-b", user.tcp, VIP, 81)
        assert up.held() == [VIP]
    folder.drop("http1")
    becomes("pod-b", user.tcp, VIP, 80)  # the one that was put out takes its place
    folder.put("http3", http("http3", 80, "b", annotations={IGNORE: "true"}))
    becomes(RESET, user.tcp, VIP, 80)
    assert up.held() == [VIP]
    assert up.listeners() == {f"tcp {VIP}:81"}
    folder.put("http2", http("http2", 81, "b", annotations={IGNORE: "true"}))
    becomes([], up.held)
    becomes(set(), up.listeners)
    assert user.macs(VIP) == []
