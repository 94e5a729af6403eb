"""A real Kubernetes control plane as child processes: etcd, kube-apiserver and the controllers.

    with ControlPlane() as control:
        control.kubectl("get", "namespaces")

It runs on the loopback address of this machine, or on the LAN address of a lab host. RBAC is on,
all is TLS, service accounts get real tokens, and Services of both families have room. Each program
can be killed, paused and started again, and finds its data, ports and certificates as they were.
Whatever ends the owner ends the programs; a directory that a killed owner left goes with the next
start.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import socket
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes import programs
from fairlead.lab.kubernetes.access import Access
from fairlead.lab.kubernetes.breakable import Breakable
from fairlead.lab.kubernetes.build import binaries
from fairlead.lab.kubernetes.component import Component
from fairlead.lab.kubernetes.directory import make_directory, remove_leftovers
from fairlead.lab.kubernetes.pki import Authority
from fairlead.lab.kubernetes.place import Machine, Place
from fairlead.lab.kubernetes.podrunner.names import KUBELET_CLIENT
from fairlead.lab.kubernetes.programs import DEFAULT_CONTROLLERS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from fairlead.lab.host import Host
    from fairlead.lab.kubernetes.pki import KeyPair

__all__ = ["ControlPlane"]

_ETCD: Final = "etcd"
_API: Final = "kube-apiserver"
_CONTROLLERS: Final = "kube-controller-manager"
_SCHEDULER: Final = "kube-scheduler"
_LAB_PORT: Final = 6443
_PORTS: Final = range(20000, 32000)  # below the ephemeral ones, which anybody may get meanwhile
_SERVICE: Final = "kubernetes.default.svc.cluster.local"
_OWN: Final = ("127.0.0.1", "::1", "10.96.0.1", "fd00:96::1")
_NONE: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})
_READY: Final = "/readyz"
_DEFAULT_ACCOUNT: Final = "/api/v1/namespaces/default/serviceaccounts/default"


class ControlPlane(Breakable):
    """The context manager; entering it returns when the API server is ready.

    `controllers` are the names that kube-controller-manager is given; with none it is not started.
    `flags` are further arguments by program (`{"kube-apiserver": ["--v=4"]}`); a later one wins.
    Without a directory it gets one of its own, which goes with it. Raises LabUnavailable when the
    programs cannot be had here and LabError when they do not come up.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        host: Host | None = None,
        controllers: Sequence[str] = DEFAULT_CONTROLLERS,
        scheduler: bool = False,
        service_cidrs: Sequence[str] = programs.SERVICE_CIDRS,
        flags: Mapping[str, Sequence[str]] = _NONE,
    ) -> None:
        super().__init__()
        self._own_directory = directory is None
        self._machine = Machine() if host is None else None
        self._place: Place = host or self._machine or Machine()
        self._address = host.v4 if host else "127.0.0.1"
        self._also = [str(entry.ip) for entry in host.spec.lan] if host else []
        self._port = _LAB_PORT if host else _free_port()
        self._controllers = tuple(controllers)
        self._scheduler = scheduler
        self._service_cidrs = tuple(service_cidrs)
        self._flags = flags
        self._given = directory
        self.url: Final = f"https://{self._address}:{self._port}"

    def __enter__(self) -> Self:
        self.programs = binaries()
        if self._given is None:
            remove_leftovers()
        self.directory: Path = self._given or make_directory()
        try:
            self._prepare()
            for name in (_ETCD, _API):
                self._components[name].start()
            self._wait(_READY, self._deadline(60))
            for name in (_CONTROLLERS, _SCHEDULER):
                if name in self._components:
                    self._components[name].start()
            self.wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def endpoint(self) -> tuple[str, int]:
        """The address and port of the API server."""
        return self._address, self._port

    @property
    def path(self) -> str:
        """A PATH with the programs of this cluster and with this Python's first."""
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return f"{self.programs}:{Path(sys.executable).parent}:{system}"

    @property
    def ca(self) -> Path:
        """The certificate of the authority that signed the API server's."""
        return self._access.ca

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the admin, who may do everything."""
        return self._access.admin

    def certificate_for(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A client certificate of this user."""
        return self._access.certificate_for(user, groups)

    def serving_certificate(self, name: str, addresses: Sequence[str]) -> KeyPair:
        """A certificate of a server at these addresses that the API server believes."""
        return self._authority.serving(name, hosts=[name], addresses=addresses)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a client certificate of this user, who may do what RBAC says."""
        return self._access.for_user(user, groups)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of this service account, by TokenRequest; it is there a day.

        LabError when there is no such account.
        """
        done = self.kubectl("-n", namespace, "create", "token", name, "--duration=24h", check=False)
        if done.returncode != 0:
            raise LabError(f"no token for {namespace}/{name}: {done.stderr.strip()}")
        return self._access.for_service_account(namespace, name, token=done.stdout.strip())

    def kubectl(
        self,
        *args: str,
        input: str | None = None,
        check: bool = True,
        timeout: float = 60.0,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as the admin unless another kubeconfig is given.

        With `check`, LabError says what kubectl said.
        """
        env = {**os.environ, **self.environment, "KUBECONFIG": str(kubeconfig or self.kubeconfig)}
        argv = [str(self.programs / "kubectl"), *args]
        done = self._place.run(argv, input=input, env=env, timeout=timeout)
        if check and done.returncode != 0:
            raise LabError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done

    @property
    def environment(self) -> dict[str, str]:
        """What makes a `kubectl` in another process speak to this cluster, `PATH` apart."""
        cache = str(self.directory / "kubectl-cache")
        return {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": cache}

    def apply(self, objects: str | Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
        """Apply YAML text, one object or several, server-side, as `kubectl apply` does."""
        match objects:
            case str():
                text = objects
            case {"kind": _}:
                text = json.dumps(objects)
            case _:
                text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "--server-side", "-f", "-", input=text)

    def get(self, path: str) -> bytes:
        """What the API server answers the admin to this path (`/metrics`); LabError unless 200."""
        status, body = self._place.call(self._access.get, path)
        if status != http.client.OK:
            raise LabError(f"{path}: {status} {body.decode(errors='replace')[:200]}")
        return body

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until the API server is ready and, with the controllers, until pods can be made.

        LabError when it does not get there.
        """
        deadline = self._deadline(timeout)
        self._wait(_READY, deadline)
        manager = self._components.get(_CONTROLLERS)
        if manager and manager.running and "serviceaccount-controller" in self._controllers:
            self._wait(_DEFAULT_ACCOUNT, deadline)

    def _wait(self, path: str, deadline: float) -> None:
        while True:
            answer = self._place.call(self._ask, path)
            if answer == "":
                return
            if time.monotonic() > deadline:
                raise LabError(f"the API server does not get ready: {answer}")
            self._components[_API].pid  # noqa: B018 - raises with its last words when it has ended
            time.sleep(0.05)

    def _ask(self, path: str) -> str:
        """Nothing when the API server answers 200, else what stands in the way."""
        try:
            status, body = self._access.get(path)
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        return "" if status == http.client.OK else f"{path}: {status} {body.decode()[:500]}"

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        logs = self.directory / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._authority = authority = Authority(self.directory / "pki")
        self._access = Access(self.directory, url=self.url, authority=authority)
        files = programs.Files(
            programs=self.programs,
            data=self.directory / "etcd",
            tokens=self._access.tokens,
            ca=self._access.ca,
            serving=authority.serving(_API, hosts=_names(_SERVICE), addresses=[*_OWN, *self._also]),
            service_accounts=authority.token_keys("service-accounts"),
            to_nodes=authority.client("to-nodes", user=KUBELET_CLIENT),
        )
        for name, argv in self._command_lines(files).items():
            self._components[name] = Component(
                name=name,
                argv=[*argv, *self._flags.get(name, ())],
                place=self._place,
                directory=self.directory,
                log=logs / f"{name}.log",
            )

    def _command_lines(self, files: programs.Files) -> dict[str, list[str]]:
        lines = {
            _ETCD: programs.etcd(files),
            _API: programs.apiserver(
                files,
                address=self._address,
                port=self._port,
                service_cidrs=self._service_cidrs,
            ),
        }
        if self._controllers:
            user = self._access.for_user(f"system:{_CONTROLLERS}")
            lines[_CONTROLLERS] = programs.controller_manager(
                files, kubeconfig=user, controllers=self._controllers
            )
        if self._scheduler:
            user = self._access.for_user(f"system:{_SCHEDULER}")
            lines[_SCHEDULER] = programs.scheduler(files, kubeconfig=user)
        return lines

    def _end(self) -> None:
        for component in reversed(self._components.values()):
            component.end()
        if self._machine is not None:
            self._machine.close()
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _deadline(timeout: float) -> float:
        return time.monotonic() + timeout


def _names(full: str) -> list[str]:
    """`localhost`, and all that pods may call the API server."""
    parts = full.split(".")
    return ["localhost", *(".".join(parts[:count]) for count in range(1, len(parts) + 1))]


def _free_port() -> int:
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LabError("no free port for the API server")
