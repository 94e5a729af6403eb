"""`python -m fairlead.lab.helm`: build Helm ahead of its first use, and say where it is."""

from __future__ import annotations

import sys

from fairlead.lab.errors import LabError
from fairlead.lab.helm import helm


def main() -> int:
    """Build what is not there yet, and say where it is."""
    try:
        where = helm(lambda line: print(line, file=sys.stderr, flush=True))
    except LabError as error:
        print(f"fairlead: {error}", file=sys.stderr)
        return 1
    print(where)
    return 0


if __name__ == "__main__":
    sys.exit(main())
