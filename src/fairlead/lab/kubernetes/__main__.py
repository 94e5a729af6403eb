"""`python -m fairlead.lab.kubernetes`: build the programs of the lab ahead of their first use."""

from __future__ import annotations

import sys

from fairlead.lab.errors import LabError
from fairlead.lab.kubernetes.build import binaries

__all__ = ["main"]


def main() -> int:
    """Build what is not there yet, and say where it is."""
    try:
        where = binaries(lambda line: print(line, file=sys.stderr, flush=True))
    except LabError as error:
        print(f"fairlead: {error}", file=sys.stderr)
        return 1
    print(where)
    return 0


if __name__ == "__main__":
    sys.exit(main())
