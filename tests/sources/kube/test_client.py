"""Requests, and the errors they end in, as the API server really says them."""

import asyncio
import json

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.kube import Service
from fairlead.sources.kube import (
    Access,
    ApiClient,
    ApiError,
    Unreachable,
    kubeconfig_access,
)
from fairlead.sources.kube.access import Endpoint
from fairlead.sources.kube.errors import error_of, seconds_of
from fairlead.sources.kube.resources import (
    SERVICES,
    VIRTUAL_IPS,
    Resource,
    asked_for,
    watch,
)
from fairlead.sources.kube.tokens import Fixed

from .follow import access, encoded, run, service, through_proxy
from .proxy import answer


def test_an_object_from_birth_to_death(plane: ControlPlane, space: str) -> None:
    asked: list[tuple[str, str, int]] = []

    async def scenario() -> None:
        async with ApiClient(
            access(plane), on_request=lambda *request: asked.append(request[:3])
        ) as client:
            made = json.loads(await client.create(SERVICES, encoded(service("a")), space))
            read = await client.read(Service, SERVICES, "a", space)
            assert read.metadata.uid == made["metadata"]["uid"]
            made["metadata"]["labels"] = {"x": "y"}
            kept = json.loads(await client.update(SERVICES, "a", encoded(made), space))
            assert kept["metadata"]["labels"] == {"x": "y"}
            with pytest.raises(ApiError) as stale:
                await client.update(SERVICES, "a", encoded(made), space)
            assert stale.value.conflict
            assert not stale.value.exists
            with pytest.raises(ApiError) as twice:
                await client.create(SERVICES, encoded(service("a")), space)
            assert twice.value.exists
            status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
            body = encoded({"apiVersion": "v1", "kind": "Service", "status": status})
            body = encoded({"spec": {"ports": [{"port": 82, "protocol": "TCP"}]}})
            patched = json.loads(await client.patch(SERVICES, "a", body, space, manager="me"))
            assert patched["spec"]["ports"][0]["port"] == 82
            labels = {"apiVersion": "v1", "kind": "Service", "metadata": {"labels": {"own": "1"}}}
            whole = await client.apply(SERVICES, "a", encoded(labels), space, manager="fairlead")
            managers = [f["manager"] for f in json.loads(whole)["metadata"]["managedFields"]]
            assert {"fairlead", "me"} <= set(managers)
            condition = {"type": "x/Y", "status": "True", "reason": "R", "message": "",
                         "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
            labels = {"apiVersion": "v1", "kind": "Service", "status": {"conditions": [condition]}}
            await client.apply(
                SERVICES, "a", encoded(labels), space, manager="fairlead", subresource="status"
            )
            read = await client.read(Service, SERVICES, "a", space)
            assert read.status is not None
            assert read.status.conditions is not None
            assert len(json.loads(await client.list(SERVICES, space))["items"]) == 1
            wrong = encoded({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}})
            with pytest.raises(ApiError) as other:
                await client.delete(SERVICES, "a", space, body=wrong)
            assert other.value.conflict
            await client.delete(SERVICES, "a", space)
            with pytest.raises(ApiError) as gone:
                await client.get(SERVICES, "a", space)
            assert gone.value.not_found
            assert gone.value.message == 'services "a" not found'

    run(scenario())
    assert asked[:5] == [
        ("create", "services", 201),
        ("get", "services", 200),
        ("update", "services", 200),
        ("update", "services", 409),
        ("create", "services", 409),
    ]
    assert ("patch", "services/status", 200) in asked
    assert ("list", "services", 200) in asked
    assert asked[-2:] == [("delete", "services", 200), ("get", "services", 404)]


def test_forbidden_names_verb_resource_and_user(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(kubeconfig_access([plane.kubeconfig_for("nobody")])) as client:
            with pytest.raises(ApiError) as error:
                await client.create(SERVICES, encoded(service("a")), space)
            assert error.value.forbidden
            assert error.value.reason == "Forbidden"
            assert 'User "nobody" cannot create resource "services"' in error.value.message

    run(scenario())


def test_invalid_says_what(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane)) as client:
            with pytest.raises(ApiError) as error:
                await client.create(SERVICES, encoded(service("a", port=0)), space)
            assert error.value.status == 422
            assert "spec.ports[0].port" in error.value.message
            with pytest.raises(ApiError) as broken:
                await client.create(SERVICES, b"{", space)
            assert broken.value.status == 400

    run(scenario())


def test_no_answer_is_unreachable(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with through_proxy(plane, timeout=0.3) as (proxy, client):
            await client.list(SERVICES)
            proxy.hold()
            with pytest.raises(Unreachable, match="no answer in time"):
                await client.list(SERVICES)
            proxy.release()
            proxy.refuse()
            with pytest.raises(Unreachable, match=proxy.url):
                await client.create(SERVICES, encoded(service("a")), "default")
            proxy.refuse(False)
            await client.list(SERVICES)
        gone = Access(Endpoint("http://127.0.0.1:1"), Fixed())
        async with ApiClient(gone) as client:
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
                await client.list(SERVICES)

    run(scenario())


def test_patience_that_is_asked_for(plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with through_proxy(plane) as (proxy, client):
            proxy.answers = lambda *_: answer(429, b"slow down", Retry_After="7")
            with pytest.raises(ApiError) as error:
                await client.list(SERVICES)
            assert error.value.too_many
            assert error.value.passing
            assert (error.value.retry_after, error.value.message) == (7.0, "slow down")

    run(scenario())


def test_a_redirect_is_not_followed(plane: ControlPlane) -> None:
    """It would carry the credential to somebody else."""

    async def scenario() -> None:
        async with through_proxy(plane) as (proxy, client):
            proxy.answers = lambda *_: answer(302, Location="/elsewhere")
            with pytest.raises(ApiError) as error:
                await client.list(SERVICES)
            assert error.value.status == 302
            assert len(proxy.requests) == 1

    run(scenario())


def test_watches_do_not_keep_writes_waiting(plane: ControlPlane, space: str) -> None:
    async def scenario() -> None:
        async with ApiClient(access(plane), connections=1) as client, asyncio.timeout(20):
            path = watch(SERVICES).url(SERVICES, watch="true")
            async with (
                client.stream(path, silence=10) as one,
                client.stream(path, silence=10) as two,
            ):
                await client.create(SERVICES, encoded(service("a")), space)
                assert await one.readany()
                assert await two.readany()

    run(scenario())


def test_names_cannot_lead_elsewhere() -> None:
    path = SERVICES.item("a/../../secrets?x#y", "space", "status")
    assert path == "/api/v1/namespaces/space/services/a%2F..%2F..%2Fsecrets%3Fx%23y/status"


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("GET", "/api/v1/services?limit=1", ("list", "services")),
        ("GET", "/api/v1/namespaces/a/services", ("list", "services")),
        ("GET", "/api/v1/namespaces/a/services/b", ("get", "services")),
        ("GET", "/api/v1/namespaces", ("list", "namespaces")),
        ("GET", "/api/v1/namespaces/kube-system", ("get", "namespaces")),
        ("PATCH", "/api/v1/namespaces/a/services/b/status?x=y", ("patch", "services/status")),
        ("POST", VIRTUAL_IPS.collection(), ("create", "virtualips")),
        ("PUT", VIRTUAL_IPS.item("192.0.2.1"), ("update", "virtualips")),
        ("WATCH", Resource("g", "v1", "xs", "X", True).collection("n"), ("watch", "xs")),
    ],
)
def test_what_a_request_is_about(method: str, path: str, what: tuple[str, str]) -> None:
    assert asked_for(method, path) == what


@pytest.mark.parametrize(
    ("body", "header", "message", "pause"),
    [
        (b"", None, "HTTP status 503", 0.0),
        (b"<html>", "3", "<html>", 3.0),
        (b'{"message": "m", "details": {"retryAfterSeconds": 4}}', None, "m", 4.0),
        (b'{"message": "m", "details": {"retryAfterSeconds": 4}}', "2", "m", 2.0),
        (b'{"message": 5}', "999999999999", '{"message": 5}', 60.0),
        (b"\xff" * 9999, "soon", "\ufffd" * 500, 0.0),
    ],
)
def test_errors_of_all_sorts(body: bytes, header: str | None, message: str, pause: float) -> None:
    error = error_of(503, body, header)
    assert (str(error), error.retry_after, error.status) == (message, pause, 503)


def test_a_pause_until_a_date() -> None:
    assert seconds_of("Thu, 01 Jan 1970 00:00:00 GMT") == 0.0
    assert seconds_of("Fri, 01 Jan 2100 00:00:00 GMT") > 1e8
