"""The cluster of the demo: its kubectl, its client, and what its nodes hold."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fairlead.cli.demo import screen
from fairlead.cli.demo.deviation import Deviation, until
from fairlead.cli.demo.kernel import KernelView
from fairlead.lab import Host
from fairlead.lab.kubernetes import KubernetesLab

LAN = ("192.0.2.0/24", "fd00:2::/64", "100.64.196.0/24", "192.168.0.0/24")
"""The subnets of the nodes and the client: those of the examples."""
SYSTEM = "fairlead-system"
LEASE = "fairlead-controller"
CONDITION = "fairlead.dev/Served"
LINES = 3
"""Of what each of Fairlead's pods said, that are shown when something is wrong."""
LONG = 60.0
"""Seconds for what starts processes."""
Seen = TypeVar("Seen")


class Site:
    """The cluster while it stands. ``top``: the source tree, from which manifests are applied."""

    def __init__(self, lab: KubernetesLab, top: Path) -> None:
        self.lab = lab
        self.client: Host = lab["client"]
        self.top = top
        self.nodes = {name: lab[name] for name in lab.nodes}
        self.kernels = {name: KernelView(host) for name, host in self.nodes.items()}

    # -- kubectl ---------------------------------------------------------------------------------

    def kubectl(self, *words: str, input: str | None = None) -> str:
        """What kubectl prints. Raises :class:`Deviation` when it fails."""
        done = self._run(["kubectl", *words], input)
        if done.returncode:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise Deviation(expected=f"that 'kubectl {shlex.join(words)}' works", seen=said)
        return done.stdout

    def show(self, *words: str, input: str | None = None, shown: str = "") -> str:
        """Run kubectl, and print what was typed (or ``shown``) and what it prints."""
        screen.command(shown or f"kubectl {shlex.join(words)}".replace(f"{self.top}/", ""))
        said = self.kubectl(*words, input=input)
        screen.output(said)
        return said

    def refusal(self, *words: str) -> str:
        """What kubectl has to say when it fails, as it must. Raises :class:`Deviation`."""
        done = self._run(["kubectl", *words], None)
        if not done.returncode:
            raise Deviation(expected=f"that 'kubectl {shlex.join(words)}' fails", seen=done.stdout)
        return done.stderr.strip().splitlines()[-1]

    def apply(self, example: str, *options: str) -> None:
        """Apply a file of the examples, and show that."""
        self.show("apply", *options, "-f", str(self.top / "examples" / example))

    def read(self, *words: str) -> Any:
        """An object, or a list of them."""
        return msgspec.json.decode(self.kubectl("get", *words, "-o", "json"))

    def _run(self, argv: list[str], input: str | None = None) -> "subprocess.CompletedProcess[str]":
        control = self.lab.control
        env = {**os.environ, **control.environment, "PATH": control.path, "COLUMNS": "94"}
        try:
            return self.lab["control"].run(argv, input=input, env=env, timeout=LONG)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 1, "", f"no answer in {LONG:.0f} s")

    # -- what is so ------------------------------------------------------------------------------

    def addresses(self, *services: str) -> dict[str, tuple[str, ...]]:
        """The addresses in the status of Services of namespace `default`."""
        found = self.read("services")["items"]
        shown = {one["metadata"]["name"]: _ingress(one) for one in found}
        return {name: shown.get(name, ()) for name in services or shown}

    def reasons(self, *services: str) -> dict[str, str]:
        """Why Services of namespace `default` are as they are, by Fairlead's condition."""
        found = {one["metadata"]["name"]: one for one in self.read("services")["items"]}
        return {name: _reason(found[name]) for name in services if name in found}

    def ledger(self) -> dict[str, str]:
        """The VirtualIPs: address -> resourceVersion, so that a write is seen."""
        found = self.read("virtualips")["items"]
        return {one["spec"]["address"]: one["metadata"]["resourceVersion"] for one in found}

    def leader(self) -> str:
        """Which pod leads; empty when none does."""
        found = self.read("lease", LEASE, "-n", SYSTEM)
        return str(found["spec"].get("holderIdentity") or "")

    def pods(self, app: str) -> set[str]:
        """The pods of an app that are not ending."""
        found = self.read("pods", "-l", f"app={app}")["items"]
        return {
            one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]
        }

    def holders(self) -> dict[str, set[str]]:
        """Address -> the nodes that have it on the LAN, besides their own."""
        held: dict[str, set[str]] = {}
        for name, host in self.nodes.items():
            for address in _held(host):
                held.setdefault(address, set()).add(name)
        return held

    # -- waiting ---------------------------------------------------------------------------------

    def until(
        self,
        look: Callable[[], Seen],
        right: Callable[[Seen], bool],
        *,
        expected: str,
        patience: float | None = None,
    ) -> Seen:
        """Look until it is right; a failure says what Fairlead's pods said last."""
        return until(look, right, expected=expected, hints=self._hints, patience=patience)

    def served(self, **wanted: tuple[str, ...]) -> None:
        """Wait until these Services have these addresses, and exactly one node has each."""
        wishes = {name.replace("_", "-"): addresses for name, addresses in wanted.items()}
        told = ", ".join(f"{name} with {' '.join(said)}" for name, said in wishes.items())
        self.until(lambda: self.addresses(*wishes), lambda seen: seen == wishes, expected=told)
        every = {address for addresses in wishes.values() for address in addresses}
        self.held(every)

    def held(self, addresses: set[str]) -> None:
        """Wait until exactly one node has each of these."""
        self.until(
            self.holders,
            lambda seen: all(len(seen.get(one, ())) == 1 for one in addresses),
            expected=f"one node holds {', '.join(sorted(addresses))}",
        )

    def _hints(self) -> str:
        listed = self._run(["kubectl", "-n", SYSTEM, "get", "pods", "-o", "name"]).stdout.split()
        said = []
        for pod in listed:
            log = self._run(["kubectl", "-n", SYSTEM, "logs", pod, f"--tail={LINES}"])
            said += [f"  {pod} said: {line}" for line in log.stdout.splitlines()]
        return "\n".join(said)


@contextmanager
def standing(top: Path, *, clients: int = 1) -> Iterator[Site]:
    """Build the cluster; it goes with the block, whatever ends that."""
    with ExitStack() as stack:
        site = Site(stack.enter_context(KubernetesLab(nodes=2, clients=clients, lan=LAN)), top)
        for kernel in site.kernels.values():
            stack.callback(kernel.close)
        yield site


def _ingress(service: Any) -> tuple[str, ...]:
    entries = service["status"].get("loadBalancer", {}).get("ingress") or ()
    return tuple(entry["ip"] for entry in entries)


def _reason(service: Any) -> str:
    conditions = service["status"].get("conditions") or ()
    return next((str(one["reason"]) for one in conditions if one["type"] == CONDITION), "")


def _held(host: Host) -> Iterator[str]:
    (link,) = msgspec.json.decode(host.ip("-json", "address", "show", "dev", "lan"))
    for entry in link["addr_info"]:
        if entry["prefixlen"] == (32 if entry["family"] == "inet" else 128):
            yield entry["local"]
