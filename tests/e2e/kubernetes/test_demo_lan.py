"""`fairlead demo --lan`: what somebody who watches it sees of DHCP and UPnP."""

import pytest

from ..showing import Spawn, assert_gone

pytestmark = pytest.mark.root
FACTS = [
    "--name=nginx-dhcp --load-balancer-ip=0.0.0.0",
    "<pending> 80:",
    "the server's lease file: 192.168.0.15",
    "leased from DHCP",
    "is cut off from the LAN",
    "answers again ",
    ", as before",
    "the server's lease file is empty, and no node has the address",
    "192.0.2.20,80.81.90.2 32380:",
    "80.81.90.2:32380/TCP from the internet: answered by plunder-nginx",
    "Forwarded: TCP 80.81.90.2:32380 → 192.0.2.20:32380",
    "the router has no mapping",
    "All 6 steps as expected",
]


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_it_shows_both_and_leaves_nothing(spawn: Spawn) -> None:
    process = spawn("demo", "--lan")
    out, err = process.communicate(timeout=270)
    assert process.returncode == 0, out + err
    plain = " ".join(out.split())
    assert [fact for fact in FACTS if fact not in plain] == []
    assert err == ""
    assert_gone(process)
