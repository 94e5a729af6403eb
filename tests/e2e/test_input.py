"""Files that are broken, contradictory or gone: what was served stays, and the file is named."""

import re
from functools import partial

import pytest

from fairlead.lab import Hosts

from .asking import Steady, User
from .manifests import Manifest, pod, pool, port, service, text
from .serving import Up, becomes, until

pytestmark = pytest.mark.root

POOL = pool("vips", "192.0.2.10-192.0.2.99")
FIRST = "192.0.2.10"
MANY = [f"s{number:02}" for number in range(12)]
VIPS = [f"192.0.2.{10 + number}" for number in range(12)]


def app(name: str, number: int = 80) -> Manifest:
    return service(name, port(number), app="a")


@pytest.fixture
def serving(up: Up, lab: Hosts, user: User) -> Up:
    """One Service at the first address, in a file of its own."""
    up.folder.put("pool", POOL)
    up.folder.put("pods", pod(lab["pod-a"], "a"))
    up.folder.put("web", app("web"))
    up.start()
    becomes("pod-a", user.tcp, FIRST)
    return up


def says(up: Up, *words: str) -> str:
    """Wait for a line with all the words; the line."""

    def found() -> str:
        lines = up.said().splitlines()
        return next((line for line in lines if all(word in line for word in words)), "")

    return until(f"a line with {words}", found, bool)


def test_half_a_file_keeps_serving_and_is_named_with_its_line(serving: Up, user: User) -> None:
    whole = text(app("web"), app("more", 81))
    with Steady(user, (FIRST, 80)):
        file = serving.folder.scribble("web", whole[: whole.rindex("spec:")] + "spec: {type: [")
        line = says(serving, str(file))
        assert re.search(rf"{re.escape(str(file))}:\d+", line), line
        serving.folder.scribble("web", whole)
        becomes("Served", serving.verdict, "more")
        assert serving.verdict("web") == "Served"
        says(serving, str(file), "no longer")


def test_two_different_objects_of_one_name_change_nothing(serving: Up, user: User) -> None:
    with Steady(user, (FIRST, 80)):
        serving.folder.put("copy", app("web", 81))
        first, second = (str(serving.folder.path / f"{name}.yaml") for name in ("web", "copy"))
        says(serving, first, second)
        becomes("Rejected InvalidObject", serving.verdict, "web")
        assert serving.listeners() == {f"tcp {FIRST}:80"}
        serving.folder.put("copy", app("other", 80))
        becomes("Served", serving.verdict, "other")
        becomes("Served", serving.verdict, "web")


BROKEN: list[object] = [
    ["192.0.2.10-192.0.2.999"],
    ["127.0.0.1"],
    [],
    "192.0.2.10-192.0.2.99",
    [10],
]
"""What an AddressPool's `addresses` cannot be, by content and by type."""


def test_a_pool_that_cannot_be_read_keeps_its_addresses(serving: Up, user: User) -> None:
    with Steady(user, (FIRST, 80)):
        for number, addresses in enumerate(BROKEN, start=1):
            serving.folder.put("pool", {**POOL, "spec": {"addresses": addresses}})
            becomes(number, lambda: serving.said().count("Rejected AddressPool/vips"))
            name = f"more{number}"
            serving.folder.put(name, app(name, 81))
            until("a verdict", partial(serving.verdict, name), lambda said: said != "unknown")
            assert serving.verdict("web") == "Served", addresses
            serving.folder.put("pool", POOL)
            becomes("Served", serving.verdict, name)
            assert serving.addresses("web") == [FIRST], addresses


@pytest.fixture
def many(up: Up, lab: Hosts, user: User) -> Up:
    """Twelve Services with an address each: enough for the guard."""
    up.folder.put("pool", POOL)
    up.folder.put("pods", pod(lab["pod-a"], "a"))
    up.folder.put("apps", *map(app, MANY))
    up.start()
    becomes(VIPS, up.held)
    for vip in VIPS:
        becomes("pod-a", user.tcp, vip)
    return up


def test_an_emptied_folder_withdraws_nothing_until_confirmed(many: Up, user: User) -> None:
    with Steady(user, (VIPS[0], 80), (VIPS[11], 80)):
        many.folder.empty()
        says(many, "held back", "12 of 12 addresses")
        many.folder.put("stray", app("stray"))  # what else happens does not confirm it
        becomes(True, lambda: "Service/default/stray" in many.said())
        many.kill()
        many.start()
        until("held back again", lambda: many.said().count("held back"), lambda seen: seen >= 2)
        assert [vip for vip in VIPS if vip not in many.held()] == []
        assert {user.tcp(vip) for vip in VIPS} == {"pod-a"}
    many.folder.put("pool", POOL)
    says(many, "held back", "12 of 13 addresses")
    token = many.said().rpartition("fairlead.dev/confirm: ")[2][:12]
    confirmed = pool("vips", "192.0.2.10-192.0.2.99", annotations={"fairlead.dev/confirm": token})
    many.folder.put("pool", confirmed)
    becomes(["192.0.2.22"], many.held)
    assert user.macs(VIPS[0]) == []


def test_yes_at_the_start_confirms(many: Up, user: User) -> None:
    many.kill()
    many.folder.empty()
    many.start()
    says(many, "held back")
    assert user.tcp(VIPS[5]) == "pod-a"
    many.kill()
    many.start("--yes")
    becomes([], many.held)
    becomes(set(), many.listeners)
