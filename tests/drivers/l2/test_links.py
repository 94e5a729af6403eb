"""The kernel tells of interfaces as they change, and of nothing else that matters here."""

from collections.abc import Iterator

import pytest

from fairlead.drivers.l2.links import Links

from .conftest import Host, Net, wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def links(a: Host) -> Iterator[Links]:
    opened = a.call(Links)
    yield opened
    opened.close()


def heard(links: Links) -> bool:
    return wait_for(links.changed)


def test_an_interface_that_goes_down_and_comes_up_is_heard_of(a: Host, links: Links) -> None:
    assert not links.changed()
    a.ip("link set eth0 down")
    assert heard(links)
    a.ip("link set eth0 up")
    assert heard(links)


def test_interfaces_that_come_and_go_are_heard_of(net: Net, a: Host, links: Links) -> None:
    net.join(a, "second", "other", "10.78.0.1/24")
    assert heard(links)
    while links.changed():
        pass
    a.ip("link delete other")
    assert heard(links)


def test_a_cable_that_is_pulled_from_what_an_interface_lies_on_is_heard_of(
    a: Host, links: Links
) -> None:
    a.ip("link add upper link eth0 type macvlan")
    a.ip("link set upper up")
    while heard(links):
        pass
    a.ip("link set eth0 down")
    assert heard(links)
    shown = a.ip("-o link show upper")
    assert "LOWER_UP" not in shown


def test_what_is_of_no_matter_is_not_news(a: Host, links: Links) -> None:
    a.ip("addr add 10.77.0.77/32 dev eth0")
    a.ip("link set eth0 alias whatever")
    a.ip("link set eth0 txqueuelen 77")
    assert not wait_for(links.changed, seconds=0.3)
