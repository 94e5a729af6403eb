"""``up`` on a real kernel: run in a network namespace of its own, ``python -m
tests.runtime.kernel_scene DIR``.

Prints what it saw, one line for each step, and leaves nothing: the namespace goes with the process.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fairlead.runtime.lock import writer_of

POOL = """\
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: pool}
spec: {addresses: [192.0.2.10-192.0.2.99, "2001:db8::10-2001:db8::99"]}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {type: LoadBalancer, ipFamilyPolicy: RequireDualStack, ports: [{port: 80}]}
"""
CHILD = """
import asyncio, sys
from pathlib import Path
import structlog
from fairlead.runtime.report import LogReporter
from fairlead.runtime.up import UpOptions, up
folder, state, *flags = sys.argv[1:]
log = structlog.wrap_logger(structlog.WriteLogger(sys.stderr),
    processors=[structlog.processors.JSONRenderer()])
options = UpOptions(paths=[Path(folder)], state=Path(state), host="here", every=0.2,
    keep="keep" in flags)
sys.exit(asyncio.run(up(options, report=LogReporter(log))))
"""
SERVED = ["192.0.2.10", "2001:db8::10"]


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def addresses() -> list[str]:
    """The host addresses (/32, /128) on the LAN, without the kernel's own."""
    (link,) = json.loads(command("ip", "-j", "addr", "show", "dev", "lan0"))
    return sorted(a["local"] for a in link["addr_info"] if a["prefixlen"] in (32, 128))


def tables() -> list[str]:
    found = json.loads(command("nft", "-j", "list", "tables"))["nftables"]
    return sorted(one["table"]["name"] for one in found if "table" in one)


def until(what: str, condition: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"never came: {what}; addresses {addresses()}, tables {tables()}")
        time.sleep(0.02)
    print(what, flush=True)


def start(directory: Path, *flags: str) -> subprocess.Popen[bytes]:
    manifests, state = str(directory / "manifests"), str(directory / "state")
    # setpriv: the child does not outlive this process, however that ends
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", CHILD, manifests, state, *flags]
    )


def main(directory: Path) -> None:
    for words in (
        "link set lo up",
        "link add lan0 type veth peer name lan1",
        "address add 192.0.2.254/24 dev lan0",
        "address add 2001:db8::fe/64 dev lan0 nodad",
        "link set lan0 up",
        "link set lan1 up",
    ):
        command("ip", *words.split())
    (directory / "manifests").mkdir()
    (directory / "manifests" / "all.yaml").write_text(POOL)
    child = start(directory)
    until("served", lambda: addresses() == SERVED and tables() == ["fairlead"])
    child.kill()
    child.wait()
    until("kept after kill -9", lambda: addresses() == SERVED and tables() == ["fairlead"], 0)
    child = start(directory)
    until("running again", lambda: writer_of(directory / "state") == child.pid)
    second = start(directory)
    print(f"second ends with {second.wait()}", flush=True)
    command("nft", "delete", "table", "inet", "fairlead")
    until("table put back", lambda: tables() == ["fairlead"])
    command("ip", "address", "del", "192.0.2.10/32", "dev", "lan0")
    until("address put back", lambda: addresses() == SERVED)
    child.send_signal(signal.SIGTERM)
    print(f"ends with {child.wait()}", flush=True)
    until("withdrawn", lambda: addresses() == tables() == [], 0)
    child = start(directory, "keep")
    until("served again", lambda: addresses() == SERVED and tables() == ["fairlead"])
    child.send_signal(signal.SIGINT)
    print(f"ends with {child.wait()}", flush=True)
    until("kept", lambda: addresses() == SERVED and tables() == ["fairlead"], 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
