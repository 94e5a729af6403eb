"""Probes of a container, as the Pod API defines them: httpGet, tcpSocket, exec.

They ask from the node, as a kubelet does. The first question comes as soon as the container runs
(after `initialDelaySeconds`), the next every `periodSeconds`; a verdict changes after
`failureThreshold` or `successThreshold` answers of a kind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Target", "follow"]

_OK: Final = range(200, 400)


class Target:
    """What probes need to know of a container. `run` runs a command in it: its exit code."""

    def __init__(
        self,
        container: Mapping[str, Any],
        *,
        address: str,
        run: Callable[[tuple[str, ...]], Awaitable[int]],
    ) -> None:
        self._ports = {port.get("name"): port["containerPort"] for port in _ports(container)}
        self._address = address
        self._run = run

    async def ask(self, probe: Mapping[str, Any]) -> str:
        """Nothing when the answer is good, else what is wrong with it."""
        try:
            async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
                return await self._ask(probe)
        except TimeoutError:
            return "no answer in time"
        except (OSError, aiohttp.ClientError) as error:
            return str(error) or type(error).__name__

    async def _ask(self, probe: Mapping[str, Any]) -> str:
        match probe:
            case {"httpGet": action}:
                return await self._get(action)
            case {"tcpSocket": action}:
                host = action.get("host") or self._address
                _, writer = await asyncio.open_connection(host, self._port(action["port"]))
                writer.close()
                return ""
            case {"exec": {"command": command}}:
                code = await self._run(tuple(command))
                return "" if code == 0 else f"exit code {code}"
        return "the lab has only httpGet, tcpSocket and exec probes"

    async def _get(self, action: Mapping[str, Any]) -> str:
        host = action.get("host") or self._address
        where = f"[{host}]" if ":" in host else host
        scheme = action.get("scheme", "HTTP").lower()
        url = f"{scheme}://{where}:{self._port(action['port'])}{action.get('path', '/')}"
        headers = {entry["name"]: entry["value"] for entry in action.get("httpHeaders") or ()}
        async with (
            aiohttp.ClientSession(headers={"User-Agent": "kube-probe/lab", **headers}) as session,
            session.get(url, ssl=False, allow_redirects=False) as response,
        ):
            return "" if response.status in _OK else f"status {response.status}"

    def _port(self, port: int | str) -> int:
        if isinstance(port, int) or port.isdigit():
            return int(port)
        if port not in self._ports:
            raise OSError(f"the container has no port named {port}")
        return int(self._ports[port])


async def follow(
    target: Target, probe: Mapping[str, Any], verdict: Callable[[bool, str], None]
) -> None:
    """Ask for ever; `verdict` is called when a threshold is reached, and whenever it changes."""
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    last, row, told = None, 0, None
    while True:
        wrong = await target.ask(probe)
        good = not wrong
        row = row + 1 if good == last else 1
        last = good
        if row >= needed[good] and told != good:
            told = good
            verdict(good, wrong)
        await asyncio.sleep(probe.get("periodSeconds", 10))


def _ports(container: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return container.get("ports") or []
