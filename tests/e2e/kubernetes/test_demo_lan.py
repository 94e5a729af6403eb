"""`fairlead demo --lan` shows what it says, and leaves nothing."""

import pytest

from ..showing import Spawn, assert_gone

pytestmark = [pytest.mark.root, pytest.mark.slow]
FACTS = [
    "--name=nginx-dhcp\n    --load-balancer-ip=0.0.0.0",
    "<pending>     80:",
    "the server's lease file: 192.168.0.15",
    "leased from DHCP",
    "is cut off from the LAN",
    "answers again ",
    ", as before",
    "the server's lease file is empty, and no node has the address",
    " steps as expected, in ",
]


@pytest.mark.timeout(280)
def test_it_shows_everything_and_leaves_nothing(spawn: Spawn) -> None:
    process = spawn("demo", "--lan")
    out, err = process.communicate(timeout=270)
    assert process.returncode == 0, out + err
    plain = " ".join(out.split())
    assert [fact for fact in FACTS if " ".join(fact.split()) not in plain] == []
    assert err == ""
    assert_gone(process)
