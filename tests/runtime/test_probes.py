"""/healthz, /readyz and /metrics over real HTTP on the loopback address."""

import asyncio
import json
import socket
from collections.abc import Sequence

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from fairlead.runtime.probes import Check, Listen, ListenError, listen_of, probes

HERE = Listen("127.0.0.1", 0)


async def _ask(path: str, checks: Sequence[Check], accept: str = "*/*") -> tuple[int, str, str]:
    registry = CollectorRegistry()
    Gauge("fairlead_test", "A number", registry=registry).set(7)
    async with (
        probes(HERE, registry, live=lambda: checks, ready=lambda: checks) as bound,
        aiohttp.ClientSession() as session,
        session.get(
            f"http://{bound.address}:{bound.port}{path}", headers={"Accept": accept}
        ) as answer,
    ):
        return answer.status, answer.content_type, await answer.text()


GOOD = [Check("api", True, "it answered"), Check("read", True)]
BAD = [Check("api", True), Check("read", False, "Service: forbidden")]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_text_names_every_check(path: str) -> None:
    status, kind, text = asyncio.run(_ask(path, GOOD))
    assert (status, kind) == (200, "text/plain")
    assert text == "ok\n[+] api: it answered\n[+] read\n"
    status, _, text = asyncio.run(_ask(path, BAD))
    assert status == 503
    assert text == "not ready\n[+] api\n[-] read: Service: forbidden\n"


def test_json_for_whoever_asks_for_it() -> None:
    status, kind, text = asyncio.run(_ask("/readyz", BAD, accept="application/json"))
    assert (status, kind) == (503, "application/json")
    assert json.loads(text) == {
        "ok": False,
        "checks": [
            {"name": "api", "ok": True, "why": ""},
            {"name": "read", "ok": False, "why": "Service: forbidden"},
        ],
    }


def test_metrics_in_the_format_that_is_asked_for() -> None:
    status, kind, text = asyncio.run(_ask("/metrics", GOOD))
    assert (status, kind) == (200, "text/plain")
    assert "fairlead_test 7.0\n" in text
    _, kind, text = asyncio.run(_ask("/metrics", GOOD, accept="application/openmetrics-text"))
    assert kind == "application/openmetrics-text"
    assert text.endswith("# EOF\n")


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def listen() -> None:
            async with probes(
                Listen("127.0.0.1", port), CollectorRegistry(), live=tuple, ready=tuple
            ):
                raise AssertionError("it listens where somebody else does")

        with pytest.raises(ListenError, match=rf"cannot listen at 127\.0\.0\.1, port {port}: "):
            asyncio.run(listen())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (":9440", Listen("", 9440)),
        ("127.0.0.1:0", Listen("127.0.0.1", 0)),
        ("[::1]:9440", Listen("::1", 9440)),
        ("localhost:1", Listen("localhost", 1)),
    ],
)
def test_where_to_listen(text: str, meant: Listen) -> None:
    assert listen_of(text) == meant


@pytest.mark.parametrize("text", ["", "9440", "::1:9440", "host:", "host:x", ":65536", ":-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="ADDRESS:PORT"):
        listen_of(text)
