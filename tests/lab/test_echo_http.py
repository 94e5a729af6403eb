"""The echo server over HTTP, asked by the standard library's client on the loopback address."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from fairlead.lab.echo_http import endpoint


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    argv = [sys.executable, "-m", "fairlead.lab.echo", "--name", "me", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        [*argv, "--http", str(free)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield free
        server.kill()


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    yield made
    made.close()


def test_it_says_who_it_is_and_what_was_asked(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/a?b=c", headers={"Host": "web.example", "X-One": "1"})
    response = connection.getresponse()
    said = json.loads(response.read())
    assert response.status == 200
    assert (said["name"], said["protocol"]) == ("me", "http")
    assert (said["method"], said["path"], said["host"]) == ("GET", "/a?b=c", "web.example")
    assert said["headers"]["x-one"] == "1"
    assert said["client"] == endpoint(connection.sock.getsockname())


def test_a_connection_is_used_again_bodies_included(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/", body=b"x" * 200_000)
    first = json.loads(connection.getresponse().read())
    connection.request("HEAD", "/")
    head = connection.getresponse()
    assert head.read() == b""
    connection.request("GET", "/")
    assert json.loads(connection.getresponse().read())["client"] == first["client"]


def test_it_hangs_up_when_asked_to(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert b'"path": "/2"' in said


def test_a_head_without_end_is_not_waited_for(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 12_000)
        with suppress(ConnectionResetError):  # it hung up with some of it unread
            assert sock.recv(1) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"


def test_it_can_be_made_unready(connection: http.client.HTTPConnection) -> None:
    def ask(method: str, path: str) -> int:
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
        return response.status

    assert ask("GET", "/readyz") == 200
    assert ask("POST", "/unready") == 200
    assert (ask("GET", "/readyz"), ask("GET", "/")) == (503, 200)
    assert ask("POST", "/ready") == 200
    assert ask("GET", "/readyz") == 200
