"""Who we are to the API server: tokens, plugins, certificates, and what is never said."""

import asyncio
import base64
import json
import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.sources.kube import (
    ApiClient,
    ApiError,
    ConfigError,
    CredentialError,
    Unreachable,
    find_access,
    in_cluster,
    kubeconfig_access,
)
from fairlead.sources.kube.resources import NAMESPACES, SERVICES, watch
from fairlead.sources.kube.tokens import Credential

from .follow import Writer, access, following, run, token_of

Config = dict[str, Any]


@pytest.fixture
def config(plane: ControlPlane) -> Config:
    """The admin's kubeconfig, to be changed."""
    found: Config = json.loads(plane.kubeconfig.read_text())
    return found


def cluster(config: Config) -> Config:
    found: Config = config["clusters"][0]["cluster"]
    return found


def become(config: Config, **user: Any) -> Config:
    config["users"][0]["user"] = user
    return config


def written(config: Config, folder: Path, name: str = "config") -> Path:
    path = folder / name
    path.write_text(json.dumps(config))
    return path


async def ask(client: ApiClient) -> bytes:
    return await client.get(NAMESPACES, "default")


def asks(*paths: Path, context: str | None = None) -> None:
    """Ask the API server once as a kubeconfig says; raises what that raises."""

    async def scenario() -> None:
        async with ApiClient(kubeconfig_access(paths, context=context)) as client:
            await ask(client)

    run(scenario())


def refused(path: Path) -> ApiError:
    with pytest.raises(ApiError) as error:
        asks(path)
    return error.value


def test_a_token(config: Config, tmp_path: Path) -> None:
    asks(written(config, tmp_path))
    assert refused(written(become(config, token="wrong"), tmp_path)).status == 401
    assert refused(written(become(config), tmp_path)).status == 403  # system:anonymous


def test_a_token_file_that_rotates(plane: ControlPlane, config: Config, tmp_path: Path) -> None:
    """The kubelet replaces the file; a refusal makes us look at once."""
    good = token_of(plane.kubeconfig)
    (tmp_path / "token").write_text("outdated")
    path = written(become(config, tokenFile="token"), tmp_path)

    async def scenario() -> None:
        async with ApiClient(kubeconfig_access([path])) as client:
            with pytest.raises(ApiError) as error:
                await ask(client)
            assert error.value.status == 401
            (tmp_path / "token").write_text(f"{good}\n")
            await ask(client)
            (tmp_path / "token").unlink()
            await ask(client)  # what was read is still good

    run(scenario())
    with pytest.raises(CredentialError, match="token cannot be read: No such file"):
        asks(path)


def test_a_watch_outlives_its_token(
    plane: ControlPlane, space: str, config: Config, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(token_of(plane.kubeconfig))
    path = written(become(config, tokenFile="token"), tmp_path)

    async def scenario() -> None:
        way = kubeconfig_access([path])
        async with ApiClient(access(plane)) as admin, ApiClient(way) as client:
            writer = Writer(admin, space)
            await writer.create("a")
            async with following(client, watch(SERVICES, namespace=space)) as seen:
                await seen.synced()
                file.write_text("revoked")
                way._credential = Credential(until=0.0)  # time passes
                await asyncio.to_thread(plane.kill, "kube-apiserver")
                await asyncio.to_thread(plane.start, "kube-apiserver")
                await asyncio.to_thread(plane.wait_ready)
                await writer.create("b")
                await seen.until(lambda: "Unauthorized" in seen.health("Service").error)
                file.write_text(token_of(plane.kubeconfig))
                await seen.until(lambda: seen.ports(space) == {"a": 80, "b": 80})

    run(scenario())


def test_the_service_account_of_a_pod(
    plane: ControlPlane, space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane.kubectl("-n", space, "create", "serviceaccount", "robot")
    role = ["create", "role", "robot", "--verb=list", "--resource=services"]
    plane.kubectl("-n", space, *role)
    who = f"--serviceaccount={space}:robot"
    plane.kubectl("-n", space, "create", "rolebinding", "robot", "--role=robot", who)
    made = plane.kubectl("-n", space, "create", "token", "robot").stdout.strip()
    (tmp_path / "token").write_text(made)
    (tmp_path / "namespace").write_text(space)
    (tmp_path / "ca.crt").write_bytes(plane.ca.read_bytes())
    host, port = plane.url.removeprefix("https://").split(":")
    with pytest.raises(ConfigError, match="KUBERNETES_SERVICE_HOST"):
        in_cluster(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)

    async def scenario() -> None:
        async with ApiClient(in_cluster(tmp_path)) as client:
            assert client.namespace == space
            deadline = time.monotonic() + 20  # until RBAC has heard of the binding
            while time.monotonic() < deadline:
                with suppress(ApiError):
                    await client.list(SERVICES, space)
                    break
                await asyncio.sleep(0.05)
            await client.list(SERVICES, space)
            with pytest.raises(ApiError, match=f"system:serviceaccount:{space}:robot"):
                await client.list(SERVICES)

    run(scenario())
    with pytest.raises(ConfigError, match="no service account here"):
        in_cluster(tmp_path / "nothing")


PLUGIN = """#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >> "$LOG"
cat "$ANSWER"
"""


class Plugin:
    """An exec plugin that prints what it is told to, and remembers that it ran."""

    def __init__(self, folder: Path, config: Config, **more: Any) -> None:
        self.folder, self.log, self.answer = folder, folder / "log", folder / "answer"
        script = folder / "plugin"
        script.write_text(PLUGIN)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.run = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin",
            "env": [
                {"name": "LOG", "value": str(self.log)},
                {"name": "ANSWER", "value": str(self.answer)},
            ],
            "interactiveMode": "Never",
            **more,
        }
        self.path = written(become(config, exec=self.run), folder)

    def says(self, **status: str) -> None:
        kind = {"apiVersion": self.run["apiVersion"], "kind": "ExecCredential"}
        self.answer.write_text(json.dumps({**kind, "status": status}))

    @property
    def runs(self) -> list[Config]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_a_plugin_runs_once_until_it_expires(
    plane: ControlPlane, config: Config, tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path, config, provideClusterInfo=True)
    good = token_of(plane.kubeconfig)

    async def scenario() -> None:
        async with ApiClient(kubeconfig_access([plugin.path])) as client:
            plugin.says(token=good, expirationTimestamp=stamp(3600))
            await asyncio.gather(*(ask(client) for _ in range(10)))
            (told,) = plugin.runs
            assert told["spec"]["interactive"] is False
            assert told["spec"]["cluster"]["server"] == plane.url
        async with ApiClient(kubeconfig_access([plugin.path])) as client:
            plugin.says(token=good, expirationTimestamp=stamp(2))
            await ask(client)
            while len(plugin.runs) < 3:
                await asyncio.sleep(0.1)
                await ask(client)

    run(scenario())


def test_a_plugin_runs_again_when_its_token_is_refused(
    plane: ControlPlane, config: Config, tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path, config)

    async def scenario() -> None:
        async with ApiClient(kubeconfig_access([plugin.path])) as client:
            plugin.says(token="revoked")
            with pytest.raises(ApiError) as error:
                await ask(client)
            assert error.value.status == 401
            assert len(plugin.runs) == 2
            plugin.says(token=token_of(plane.kubeconfig))
            await ask(client)

    run(scenario())


def test_a_plugin_may_give_a_certificate(
    plane: ControlPlane, config: Config, tmp_path: Path
) -> None:
    pair = json.loads(plane.kubeconfig_for("jane").read_text())["users"][0]["user"]
    plugin = Plugin(tmp_path, config)
    plugin.says(
        clientCertificateData=base64.b64decode(pair["client-certificate-data"]).decode(),
        clientKeyData=base64.b64decode(pair["client-key-data"]).decode(),
    )
    assert 'User "jane"' in refused(plugin.path).message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('{"status": {"token": 12345678}}', "printed no ExecCredential"),
        ('{"apiVersion": "v", "status": {"token": 12345678}}', "Expected `str"),
        ("secret-12345678", "printed no ExecCredential"),
        ('{"apiVersion": "v", "status": {}}', "neither a token nor a certificate"),
    ],
)
def test_a_plugin_that_prints_nonsense(
    config: Config, tmp_path: Path, answer: str, message: str
) -> None:
    plugin = Plugin(tmp_path, config)
    plugin.answer.write_text(answer)
    with pytest.raises(CredentialError) as error:
        asks(plugin.path)
    assert message in str(error.value)
    assert "12345678" not in str(error.value)


def test_a_plugin_that_fails(config: Config, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, config)
    with pytest.raises(CredentialError, match=r"ended with 1: cat: .*answer: No such file"):
        asks(plugin.path)
    missing = Plugin(tmp_path, config, command="no-such-plugin", installHint="Get it.")
    with pytest.raises(CredentialError, match=r"no-such-plugin cannot be run: .*\. Get it\."):
        asks(missing.path)


def certificate_of(plane: ControlPlane, user: str, folder: Path) -> Config:
    """A user who shows a certificate that is in files."""
    pair = json.loads(plane.kubeconfig_for(user).read_text())["users"][0]["user"]
    for field, name in (("client-certificate", "crt"), ("client-key", "key")):
        draft = folder / f"{name}.new"
        draft.write_bytes(base64.b64decode(pair[f"{field}-data"]))
        draft.rename(folder / name)
    return {"client-certificate": "crt", "client-key": "key"}


def test_a_client_certificate(plane: ControlPlane, config: Config, tmp_path: Path) -> None:
    assert 'User "jane"' in refused(plane.kubeconfig_for("jane")).message
    files = certificate_of(plane, "joe", tmp_path)
    assert 'User "joe"' in refused(written(become(config, **files), tmp_path)).message
    mixed = {"client-certificate": "crt"}
    key = base64.b64encode((tmp_path / "key").read_bytes()).decode()
    mixed["client-key-data"] = key
    assert 'User "joe"' in refused(written(become(config, **mixed), tmp_path)).message


def test_client_certificates_in_files_are_replaced(
    plane: ControlPlane, config: Config, tmp_path: Path
) -> None:
    path = written(become(config, **certificate_of(plane, "before", tmp_path)), tmp_path)

    async def user(client: ApiClient) -> str:
        with pytest.raises(ApiError) as error:
            await ask(client)
        return error.value.message

    async def scenario() -> None:
        way = kubeconfig_access([path])
        client = ApiClient(way)
        async with client:
            assert 'User "before"' in await user(client)
            certificate_of(plane, "after", tmp_path)
            (tmp_path / "crt").write_bytes(b"half written")
            way._credential = Credential(until=0.0)  # time passes
            assert 'User "before"' in await user(client)
            certificate_of(plane, "after", tmp_path)
            way._credential = Credential(until=0.0)
            await client.close()  # new connections show the new one
            async with client:
                assert 'User "after"' in await user(client)

    run(scenario())


def test_whom_we_believe(plane: ControlPlane, config: Config, tmp_path: Path) -> None:
    place = cluster(config)
    data = place.pop("certificate-authority-data")
    (tmp_path / "ca.pem").write_bytes(base64.b64decode(data))
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        asks(written(config, tmp_path))
    place["certificate-authority"] = "ca.pem"
    asks(written(config, tmp_path))
    place["tls-server-name"] = "kubernetes.default.svc"
    asks(written(config, tmp_path))
    place["tls-server-name"] = "somebody.else"
    with pytest.raises(Unreachable, match=r"somebody\.else"):
        asks(written(config, tmp_path))
    place["insecure-skip-tls-verify"] = True
    with pytest.raises(ConfigError, match="choose one"):
        asks(written(config, tmp_path))
    del place["certificate-authority"]
    asks(written(config, tmp_path))


def test_through_an_http_proxy(plane: ControlPlane, config: Config, tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0])
        host, port = head.split()[1].decode().split(":")
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pipe(reader, up_writer), _pipe(up_reader, writer))

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        cluster(config)["proxy-url"] = f"http://127.0.0.1:{port}"
        async with ApiClient(kubeconfig_access([written(config, tmp_path)])) as client:
            await ask(client)
        server.close()

    run(scenario())
    assert asked == [f"CONNECT {plane.url.removeprefix('https://')} HTTP/1.1".encode()]


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def test_several_files_and_contexts(
    plane: ControlPlane, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kubectl merges them: the first that names something wins."""
    users = {"users": config.pop("users")}
    config["contexts"].append({"name": "broken", "context": {"cluster": "gone", "user": "lab"}})
    one, two = written(config, tmp_path, "one"), written(users, tmp_path, "two")
    asks(tmp_path / "missing", one, two)
    asks(one, two, context="lab")
    with pytest.raises(ConfigError, match="there is no 'gone'"):
        asks(one, two, context="broken")
    with pytest.raises(ConfigError, match="Context 'nowhere' not found"):
        asks(one, two, context="nowhere")
    with pytest.raises(ConfigError, match="there is no 'lab'"):
        asks(one)
    monkeypatch.setenv("KUBECONFIG", f"{one}{os.pathsep}{two}")
    assert find_access().endpoint.url == plane.url
    assert find_access(plane.kubeconfig).endpoint.namespace == "default"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no kubeconfig"):
        find_access()
    (tmp_path / ".kube").mkdir()
    written({**config, **users}, tmp_path / ".kube")
    assert find_access().endpoint.url == plane.url


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: become(c, **{"client-certificate-data": "eA=="}), "without its key"),
        (lambda c: become(c, **{"client-certificate": "x", "client-key": "y"}), "No such file"),
        (lambda c: become(c, **{"client-certificate-data": "eA==", "client-key-data": "eA=="}),
         "client certificate cannot be used"),
        (lambda c: become(c, **{"auth-provider": {"name": "gcp"}}), "use an exec plugin"),
        (lambda c: become(c, exec={"apiVersion": "v9", "command": "x"}), "v9 is not supported"),
        (lambda c: become(c, exec={"apiVersion": "client.authentication.k8s.io/v1",
                                   "command": "x", "interactiveMode": "Always"}), "a terminal"),
        (lambda c: become(c, token=["s3cret"]), "Expected `str"),
        (lambda c: cluster(c).update({"certificate-authority-data": "eA=="}), "cannot be used"),
        (lambda c: cluster(c).update({"proxy-url": "socks5://x"}), "only HTTP proxies"),
        (lambda c: c.update(clusters="s3cret"), "there is no 'lab'"),
        (lambda c: c.update({"current-context": None}), "No current context"),
    ],
)  # fmt: skip
def test_a_kubeconfig_that_cannot_be_used(
    config: Config, tmp_path: Path, change: Callable[[Config], object], message: str
) -> None:
    change(config)
    with pytest.raises(ConfigError) as error:
        asks(written(config, tmp_path))
    assert message in str(error.value)
    assert "s3cret" not in str(error.value)


def test_text_that_is_no_kubeconfig(tmp_path: Path) -> None:
    path = tmp_path / "config"
    for text in ("token: [s3cret", "s3cret", "- s3cret", "", "\0"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="config") as error:
            kubeconfig_access([path])
        assert "s3cret" not in str(error.value)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        kubeconfig_access([path])


def test_no_secret_is_ever_shown(
    plane: ControlPlane, config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = token_of(plane.kubeconfig)
    way = kubeconfig_access([written(config, tmp_path)])

    async def scenario() -> None:
        async with ApiClient(way) as client:
            await ask(client)
        plane.kill("kube-apiserver")
        try:
            async with ApiClient(way) as client:
                with pytest.raises(Unreachable) as error:
                    await ask(client)
                assert secret not in f"{error.value!r} {error.value.__cause__!r}"
        finally:
            plane.start("kube-apiserver")
            plane.wait_ready()

    run(scenario())
    assert secret not in caplog.text
    assert secret not in f"{way!r} {way._credential!r} {way.endpoint!r}"
