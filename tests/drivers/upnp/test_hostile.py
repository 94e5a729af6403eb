"""Gateways that do what no gateway should: the driver says what is wrong, in bounded time.

The server is a few lines of asyncio on loopback; what it answers is each test's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import pytest
from async_upnp_client.const import HttpRequest

from fairlead.drivers.base import DriverError
from fairlead.drivers.upnp.driver import UpnpDriver
from fairlead.drivers.upnp.fake import FakeGateway, FakeUpnpDriver
from fairlead.drivers.upnp.gateway import (
    Entry,
    Gateway,
    GatewayFault,
    GatewayGone,
    IgdGateway,
    described,
    plain,
)
from fairlead.drivers.upnp.requester import LARGEST, Refusal, Requester
from fairlead.drivers.upnp.search import LONGEST, TARGETS, Port, leads_to, read
from fairlead.model.forward import Forwarding, ForwardKey, UpnpChanges, UpnpDesired
from fairlead.model.names import Ref
from fairlead.model.verdict import Code
from fairlead.planner import diff_upnp

HOST = ip_address("127.0.0.1")
KEY = ForwardKey(ip_address("192.0.2.20"), "TCP", 80)
ROW = Forwarding(Ref("Service", "default", "web"))
WAN = "urn:schemas-upnp-org:service:WANIPConnection:1"
Handler = Callable[[str, bytes], tuple[int, dict[str, str], bytes] | Awaitable[None]]
"""Path and body -> status, headers, body; or something to wait for."""

DESCRIPTION = """<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>
<friendlyName>x</friendlyName><manufacturer>x</manufacturer><modelName>x</modelName>
<UDN>uuid:1</UDN>
<serviceList>%s</serviceList></device></root>"""
SERVICE = f"""<service><serviceType>{WAN}</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<SCPDURL>/scpd.xml</SCPDURL><controlURL>%s</controlURL><eventSubURL>/evt</eventSubURL></service>"""
SCPD = """<?xml version="1.0"?><scpd xmlns="urn:schemas-upnp-org:service-1-0">
<specVersion><major>1</major><minor>0</minor></specVersion><actionList>
<action><name>GetExternalIPAddress</name><argumentList><argument><name>NewExternalIPAddress</name>
<direction>out</direction><relatedStateVariable>ExternalIPAddress</relatedStateVariable>
</argument></argumentList></action></actionList><serviceStateTable>
<stateVariable sendEvents="no"><name>ExternalIPAddress</name><dataType>string</dataType>
</stateVariable></serviceStateTable></scpd>"""


def usual(path: str, control: str = "/ctl") -> tuple[int, dict[str, str], bytes]:
    if path == "/desc.xml":
        return 200, {}, (DESCRIPTION % (SERVICE % control)).encode()
    if path == "/scpd.xml":
        return 200, {}, SCPD.encode()
    return 404, {}, b""


def answer(address: str) -> bytes:
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<u:GetExternalIPAddressResponse xmlns:u="{WAN}"><NewExternalIPAddress>{address}'
        "</NewExternalIPAddress></u:GetExternalIPAddressResponse></s:Body></s:Envelope>"
    ).encode()


async def _serve(
    handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (
                int(line.split(":")[1])
                for line in head.lower().split("\r\n")
                if line.startswith("content-length")
            ),
            0,
        )
        said = handler(head.split()[1], await reader.readexactly(length))
        if not isinstance(said, tuple):
            await said
            return
        status, headers, body = said
        headers = {"Content-Length": str(len(body)), "Connection": "close", **headers}
        lines = [f"HTTP/1.1 {status} X", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the driver has had enough
    finally:
        writer.close()


def ask(handler: Handler, *, seconds: float = 2.0) -> str:
    """What a client makes of a gateway that answers so: its outer address, or what is wrong."""

    async def scenario() -> str:
        server = await asyncio.start_server(lambda r, w: _serve(handler, r, w), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            requester = Requester(HOST, seconds=seconds)
            gateway = await described(f"http://127.0.0.1:{port}/desc.xml", requester)
            return str(await gateway.external()) if gateway.maps else "no gateway"
        except (GatewayGone, GatewayFault) as error:
            return f"{type(error).__name__} {error}"
        finally:
            server.close()

    return asyncio.run(scenario())


def test_one_that_behaves() -> None:
    assert (
        ask(lambda path, _: (200, {}, answer("80.81.90.2")) if path == "/ctl" else usual(path))
        == "80.81.90.2"
    )


@pytest.mark.parametrize(
    "control",
    [
        "http://192.0.2.1/ctl",
        "http://127.0.0.2/ctl",
        "http://198.51.100.1/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
def test_nobody_is_led_to_another_host(control: str) -> None:
    said = ask(lambda path, _: usual(path, control))
    assert said.startswith(("GatewayGone", "no gateway"))  # the library leaves such a service out

    async def asked() -> None:
        await Requester(HOST).async_http_request(HttpRequest("GET", control, {}, None))

    with pytest.raises(Refusal):  # and if it did not, nothing would be sent
        asyncio.run(asked())


@pytest.mark.parametrize("place", ["/desc.xml", "/scpd.xml", "/ctl"])
def test_redirects_are_not_followed(place: str) -> None:
    asked: list[str] = []

    def handler(path: str, _: bytes) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return (302, {"Location": "/other"}, b"") if path == place else usual(path)

    assert "redirects" in ask(handler)
    assert "/other" not in asked


@pytest.mark.parametrize("place", ["/desc.xml", "/scpd.xml", "/ctl"])
def test_answers_have_a_limit(place: str) -> None:
    huge = b"<a>" + b"x" * (LARGEST + 1)
    said = ask(lambda path, _: (200, {}, huge) if path == place else usual(path))
    assert "longer than 256 KiB" in said


@pytest.mark.parametrize("place", ["/desc.xml", "/scpd.xml", "/ctl"])
def test_slow_answers_have_an_end(place: str) -> None:
    began = time.monotonic()
    said = ask(lambda path, _: asyncio.sleep(30) if path == place else usual(path), seconds=0.4)
    assert "in time" in said
    assert time.monotonic() - began < 15


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, (b"&%c;" % (97 + n)) * 10) for n in range(9))
    + b"]><r>&j;</r>"
)
OUTWARD = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'
DEEP = b"<device>" * 20_000
NESTED = (
    b'<root xmlns="urn:schemas-upnp-org:device-1-0">'
    + b"<device><deviceList>" * 2_000
    + b"</deviceList></device>" * 2_000
    + b"</root>"
)


@pytest.mark.parametrize("place", ["/desc.xml", "/scpd.xml", "/ctl"])
@pytest.mark.parametrize(
    "body",
    [BOMB, OUTWARD, DEEP, NESTED, b"", b"\x00\xff\xfe", b"<html>a printer</html>", b"<" * 1000],
    ids=["bomb", "outward", "deep", "nested", "empty", "binary", "html", "broken"],
)
def test_no_text_does_harm(place: str, body: bytes) -> None:
    said = ask(lambda path, _: (200, {}, body) if path == place else usual(path))
    assert said.startswith(("GatewayGone", "GatewayFault", "no gateway", "None"))
    assert "root:" not in said


def test_a_description_of_many_parts_is_not_read_to_its_end() -> None:
    asked: list[str] = []

    def handler(path: str, _: bytes) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        if path != "/desc.xml":
            return usual("/scpd.xml")
        parts = (
            SERVICE.replace("/scpd.xml", f"/{n}.xml").replace("Connection:1", f"X:{n}")
            for n in range(300)
        )
        return 200, {}, (DESCRIPTION % "".join(part % "/ctl" for part in parts)).encode()

    assert "more than 32 parts" in ask(handler)
    assert len(asked) <= 32


@pytest.mark.parametrize("address", ["", "0.0.0.0", "nonsense", "80.81.90.2<script>", "1" * 5000])
def test_an_outer_address_that_is_none(address: str) -> None:
    text = address.replace("<", "&lt;")
    assert ask(lambda path, _: (200, {}, answer(text)) if path == "/ctl" else usual(path)) == "None"


def test_a_fault_of_many_words_is_clipped() -> None:
    fault = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><detail>'
        '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>501</errorCode>'
        "<errorDescription>"
        + "no\n" * 5000
        + "</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>"
    ).encode()
    said = ask(lambda path, _: (500, {}, fault) if path == "/ctl" else usual(path))
    assert said.startswith("GatewayFault error 501 no no")
    assert len(said) < 120
    assert plain("\x1b[31mred\n\x00") == "[31mred"


# -- the search -----------------------------------------------------------------------------------

ROUTER = ip_address("192.0.2.1")
LAN = Port("lan", 2, ip_address("192.0.2.252"))


def said(location: str, st: str = TARGETS[0]) -> bytes:
    return f"HTTP/1.1 200 OK\r\nST: {st}\r\nLOCATION: {location}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("data", "counts"),
    [
        (said("http://192.0.2.1:5000/desc.xml"), True),
        (said("HTTP://192.0.2.1/desc.xml"), True),
        (said("http://192.0.2.99:5000/desc.xml"), False),
        (said("https://192.0.2.1/desc.xml"), False),
        (said("http://user@192.0.2.1/desc.xml"), False),
        (said("http://192.0.2.1.example.com/desc.xml"), False),
        (said("http://192.0.2.1:99999/"), False),
        (said("file:///etc/passwd"), False),
        (said("http://[::1"), False),
        (said(""), False),
        (said("http://192.0.2.1/desc.xml", "upnp:rootdevice"), False),
        (b"NOTIFY * HTTP/1.1\r\nST: x\r\n\r\n", False),
        (said("http://192.0.2.1/" + "x" * LONGEST), False),
        (b"\xff" * 500, False),
        (b"", False),
    ],
)
def test_only_an_answer_that_leads_back_counts(data: bytes, counts: bool) -> None:
    found = read(data, ROUTER, LAN)
    assert (found is not None) == counts


def test_ipv6_answers_lead_back_too() -> None:
    router = ip_address("fd00:2::254")
    assert leads_to("http://[fd00:2::254]:5000/desc.xml", router)
    assert not leads_to("http://[fd00:2::99]:5000/desc.xml", router)


# -- the driver -----------------------------------------------------------------------------------


class Slow(IgdGateway):
    """A gateway that takes its time for everything."""

    def __init__(self) -> None:
        self.name = "192.0.2.1"

    async def external(self) -> None:
        await asyncio.sleep(60)


def test_a_slow_gateway_costs_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.drivers.upnp.driver.BUDGET", 0.3)

    async def search(version: int) -> tuple[list[Gateway], list[str]]:
        return [Slow()], []

    driver = UpnpDriver("engine-1", search=search)
    began = time.monotonic()
    with pytest.raises(DriverError, match="slow"):
        driver.apply(UpnpChanges({KEY: ROW}))
    assert time.monotonic() - began < 10


class Sluggish(FakeGateway):
    """A gateway that does what it is told, and takes ages to say what it has."""

    async def entries(self) -> list[Entry]:
        await asyncio.sleep(60)
        return []


def test_a_gateway_that_cannot_be_looked_through_is_still_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fairlead.drivers.upnp.driver.BUDGET", 0.3)
    driver = FakeUpnpDriver("engine-1", Sluggish())
    wanted = UpnpDesired({KEY: ROW})
    driver.apply(diff_upnp(wanted, driver.observe()))
    driver.prune(wanted)
    assert len(driver.fake.table) == 1
    assert driver.observe().forwards == {KEY: ROW}
    driver.now = 2000.0
    assert driver.observe().forwards == {}  # it has to be renewed
    driver.apply(diff_upnp(wanted, driver.observe()))
    driver.apply(diff_upnp(UpnpDesired({}), driver.observe()))
    assert driver.fake.table == {}


def test_what_is_wrong_with_those_that_answer_is_told() -> None:
    async def search(version: int) -> tuple[list[Gateway], list[str]]:
        return [], ["192.0.2.66: it redirects to somewhere else"]

    driver = UpnpDriver("engine-1", search=search)
    with pytest.raises(DriverError, match=r"192\.0\.2\.66: it redirects"):
        driver.apply(UpnpChanges({KEY: ROW}))
    (found,) = driver.forwards()
    assert found.code is Code.NO_GATEWAY
    assert "192.0.2.66" in found.message
