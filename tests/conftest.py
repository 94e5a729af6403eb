"""What every test shares: the switch that rewrites golden files, and the marker `root`.

A test marked `root` makes network namespaces and nftables tables. Without root it is skipped with
the reason in pytest's summary, and `make test` then fails with a line saying so: nothing is left
out silently.
"""

import os

import pytest

NEEDS_ROOT = pytest.mark.skip(reason="needs root: run 'sudo make test'")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`, which makes golden tests write what they would compare."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `root`, with the reason, when this is not root."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(NEEDS_ROOT)
