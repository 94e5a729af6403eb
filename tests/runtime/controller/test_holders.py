"""Who holds what by the reports of agents, and which homes follow: without an API server."""

from collections.abc import Iterable

from immutables import Map

from fairlead.model.claim import Claims, Engine, EngineRule
from fairlead.model.kube import Metadata
from fairlead.model.names import GroupKey
from fairlead.model.objects import Engine as EngineObject
from fairlead.model.objects import EngineSpec
from fairlead.model.plan import Plan
from fairlead.runtime.controller.holders import Holders
from fairlead.runtime.controller.homes import Homes
from fairlead.runtime.controller.seen import Seen, SeenVip

A, B = "192.0.2.1", "192.0.2.2"
ENGINES = ("n1", "n2", "n3")


def report(
    version: int, *holds: str, side: Iterable[str] = ENGINES, rightful: bool = True
) -> EngineObject:
    meta = Metadata("any", resource_version=str(version))
    return EngineObject(
        metadata=meta, spec=EngineSpec(holds=holds, side=tuple(side), rightful=rightful)
    )


def test_whoever_says_so_holds_it() -> None:
    holders = Holders()
    holders.take("n1", report(1, A, B))
    holders.take("n2", report(2, B))
    assert (holders.of(A), holders.of(B)) == (("n1",), ("n1", "n2"))
    assert holders.news() == {A, B}
    holders.take("n1", report(3, A))
    assert holders.of(B) == ("n2",)
    assert holders.news() == {B}
    holders.take("n1", report(4, A, rightful=False))
    assert holders.of(A) == ()
    holders.take("n1", None)
    holders.take("n2", None)
    assert holders.all() == set()
    assert len(holders) == 0


def test_one_that_died_does_not_hold_what_it_said_last() -> None:
    holders = Holders()
    holders.take("n1", report(5, A))
    holders.take("n2", report(4))
    holders.take("n2", report(6, A, side=("n2", "n3")))
    assert holders.of(A) == ("n2",)
    holders.take("n3", report(7, side=("n2", "n3")))
    holders.take("n1", report(8))  # it is back, and has nothing
    assert holders.of(A) == ("n2",)
    holders.take("n1", report(9, A))
    holders.take("n2", report(10))
    assert holders.of(A) == ("n1",)


def test_engines_of_other_cells_and_without_a_fence_hold_it_too() -> None:
    holders = Holders()
    holders.take("n1", report(1, A, side=("n1", "n2")))
    holders.take("n8", report(2, A, side=("n8", "n9")))
    assert holders.of(A) == ("n1", "n8")
    holders.take("n8", report(3, A, side=()))
    assert holders.of(A) == ("n1", "n8")


class Site:
    """VIPs of one engine group."""

    def __init__(self, *, failback: bool = False, home: tuple[str, ...] = ("n1",)) -> None:
        self.seen = Seen()
        for address in (A, B):
            group = GroupKey("fairlead", "service", "default", address)
            vip = SeenVip("1", b"", group, "default", home, (), address)
            self.seen.put_vip(address, vip)
        self.homes = Homes(self.seen, lasts=5.0)
        self.group(failback=failback)

    def group(self, *, failback: bool, engines: Iterable[str] = ENGINES) -> None:
        rule = EngineRule(
            name="default", engines=tuple(Engine(name) for name in engines), failback=failback
        )
        self.plan = Plan(claims=Claims(engine_rules=Map({"default": rule})))

    def say(self, now: float, name: str, engine: EngineObject) -> None:
        self.seen.holders.take(name, engine)
        self.homes.look(self.seen.holders.news(), self.plan, now)

    def due(self, now: float) -> set[str]:
        return {key.name for key in self.homes.due(self.plan, now)}

    def written(self) -> None:
        for name, home in [*self.homes.wanted.items()]:
            before = self.seen.vips[name]
            self.seen.put_vip(name, before._replace(version="2", home=home))


def test_a_take_over_that_lasts_moves_the_home_once() -> None:
    site = Site()
    site.say(0, "n1", report(1, A, B))
    assert not site.due(100)
    site.say(100, "n2", report(2, A, B, side=("n2", "n3")))
    assert not site.due(104)
    site.say(104, "n2", report(3, A, B, side=("n2", "n3")))  # anything else of it is no news
    assert site.due(105) == {A, B}
    assert not site.due(106)
    site.written()
    assert not site.due(200)
    assert not site.homes.wanted
    site.say(300, "n1", report(9, side=ENGINES))
    assert not site.due(400)


def test_one_that_is_back_soon_keeps_its_vips() -> None:
    site = Site()
    site.say(0, "n1", report(1, A))
    site.say(100, "n2", report(2, A, side=("n2",)))
    site.say(103, "n1", report(3, A))
    site.say(103, "n2", report(4))
    assert not site.due(200)


def test_with_failback_no_home_moves_until_there_is_none() -> None:
    site = Site(failback=True)
    site.say(0, "n2", report(2, A))
    assert not site.due(100)
    site.group(failback=False)
    site.homes.look(site.seen.holders.all(), site.plan, 200)
    assert not site.due(204)
    assert site.due(205) == {A}
    other = Site()
    other.say(0, "n2", report(2, A))
    other.group(failback=True)
    assert not other.due(100)


def test_an_engine_that_is_none_is_no_home() -> None:
    site = Site()
    site.group(failback=False, engines=("n1", "n3"))
    site.say(0, "n2", report(2, A))
    site.say(0, "n3", report(3, "nonsense", "198.51.100.9"))
    assert not site.due(100)


def test_of_several_at_home_only_the_lost_one_is_replaced() -> None:
    site = Site(home=("n2", "n1"))
    site.say(0, "n1", report(1, A))
    assert not site.due(100)  # one that is missing is replaced when somebody has it
    site.say(100, "n3", report(2, A))
    assert site.due(105) == {A}
    assert site.homes.wanted == {A: ("n1", "n3")}
