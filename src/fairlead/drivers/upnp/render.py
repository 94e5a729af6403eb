"""The ports that an engine keeps open on the gateway, as text for people and golden files."""

from fairlead.model.addresses import canonical
from fairlead.model.forward import Forwarding, ForwardKey, UpnpDesired


def order(key: ForwardKey) -> tuple[int, int, str, int]:
    """IPv4 first, ascending."""
    return key.client.version, int(key.client), key.protocol, key.port


def dump(desired: UpnpDesired) -> str:
    """One line for each port; empty where there is none."""
    rows = sorted(desired.forwards.items(), key=lambda item: order(item[0]))
    return "".join(f"{_line(key, row)}\n" for key, row in rows)


def _line(key: ForwardKey, row: Forwarding) -> str:
    lease = f"{row.lease} s" if row.lease else "for ever"
    return f"{key.protocol} {canonical(key.client)} {key.port} {lease} {row.service}"
