"""`python -m fairlead.lab.kubernetes.podrunner CONFIG`; prints `ready` when the node is there."""

from __future__ import annotations

import sys
from pathlib import Path

from fairlead.lab.kubernetes.podrunner.forkserver import launch


def main() -> None:
    """Fork the fork server off while this process is small, then run."""
    line = launch()
    import asyncio

    from fairlead.lab.kubernetes.podrunner.config import Config
    from fairlead.lab.kubernetes.podrunner.runner import run

    asyncio.run(run(Config.read(Path(sys.argv[1])), line))


if __name__ == "__main__":
    main()
