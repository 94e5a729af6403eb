"""Passwords of BGP routers, as files: where the kubelet mounts Secrets, or an operator puts them.

So no part of Fairlead may read Secrets from the API, and none is in its memory longer than FRR
needs to be told, in its cache or in its output.
"""

import re
from collections.abc import Callable
from pathlib import Path

from fairlead.model.objects import SecretKey

_PLAIN = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{0,252}")


def mounted(directory: Path) -> Callable[[SecretKey], str]:
    """Looks up ``DIRECTORY/NAME/KEY``, without the line break at its end. The function raises
    LookupError, with what to do."""

    def look_up(key: SecretKey) -> str:
        if not (_PLAIN.fullmatch(key.name) and _PLAIN.fullmatch(key.key)):
            raise LookupError(f"{key.name!r} and {key.key!r} cannot be a Secret and a key of it")
        path = directory / key.name / key.key
        try:
            return path.read_text(encoding="utf-8").removesuffix("\n")
        except FileNotFoundError:
            raise LookupError(
                f"there is no {path}: mount Secret {key.namespace}/{key.name} there"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise LookupError(f"{path} cannot be read: {error}") from None

    return look_up
