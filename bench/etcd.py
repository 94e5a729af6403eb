"""The etcd of a lab's control plane, spoken to directly: large clusters in seconds, and a count of
writes that costs nobody anything.

Through its JSON gateway on the UNIX socket, so no client library is needed. Its revision counts
every write to the cluster.
"""

import http.client
import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairlead.lab.kubernetes import ControlPlane

PUTS = 100
"""Keys in one transaction; etcd takes 128 by default."""
Entry = tuple[bytes, bytes]


class Etcd:
    """A connection. Raises :class:`OSError` and :class:`http.client.HTTPException`."""

    def __init__(self, control: ControlPlane) -> None:
        self._connection = _UnixConnection(control.directory / "localhost:1")

    def revision(self) -> int:
        """How many writes there were."""
        return int(self._call("range", {"key": _text(b"/none")})["header"]["revision"])

    def count(self, prefix: str) -> int:
        """How many keys begin so."""
        return int(self._call("range", {**_range(prefix), "count_only": True}).get("count", 0))

    def get(self, prefix: str) -> list[Entry]:
        """All keys that begin so, with their values as the API server stores them."""
        found = self._call("range", _range(prefix)).get("kvs", ())
        return [(b64decode(one["key"]), b64decode(one["value"])) for one in found]

    def put(self, entries: Iterable[Entry]) -> None:
        """Write these."""
        batch: list[dict[str, Any]] = []
        for key, value in entries:
            batch.append({"requestPut": {"key": _text(key), "value": _text(value)}})
            if len(batch) == PUTS:
                self._call("txn", {"success": batch})
                batch = []
        if batch:
            self._call("txn", {"success": batch})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        self._connection.request("POST", f"/v3/kv/{what}", json.dumps(body))
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"etcd: {response.status} {answer[:200]!r}")
        result: dict[str, Any] = json.loads(answer)
        return result


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _range(prefix: str) -> dict[str, str]:
    first = prefix.encode()
    return {"key": _text(first), "range_end": _text(first[:-1] + bytes([first[-1] + 1]))}
