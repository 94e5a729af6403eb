"""What an agent leaves out of objects, and what it keeps on disk: neither may change what it
does."""

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.dialects.published import serving
from fairlead.model.config import Config
from fairlead.model.kube import KubeObject, Metadata
from fairlead.model.virtualip import VirtualIP
from fairlead.model.world import Change, World
from fairlead.planner import compile_l2, compile_l4, serve
from fairlead.planner.fencing import table_of
from fairlead.runtime.agent import cache
from fairlead.runtime.agent.cache import UnusableCache
from fairlead.runtime.agent.scope import foreign_to
from fairlead.runtime.agent.watches import Trim, needed, slices, watches
from tests.dialects.make import decoded
from tests.dialects.published import engine_group
from tests.dialects.test_published import OBJECT

CONFIGS = [Config(), Config(dataplane="cluster"), Config(service_type="NodePortLocal")]
OBJECTS = st.lists(OBJECT, max_size=12)


def world(config: Config, items: list[KubeObject]) -> World:
    unique = {item.ref: Change(item.ref, item) for item in items}
    return World(config=config).evolve(unique.values())


@settings(max_examples=200, deadline=None)
@given(config=st.sampled_from(CONFIGS), items=OBJECTS)
def test_trimmed_objects_serve_alike(config: Config, items: list[KubeObject]) -> None:
    trim = Trim(config)
    kinds = {VirtualIP.KIND, *(w.kind for w in watches(config))}
    more = slices(config)
    kinds |= {more.kind} if more is not None else set()
    whole = [item for item in items if item.KIND in kinds]
    small = [trim(item) for item in whole]
    assert [trim(item) for item in small] == small
    one, other = (serve(serving(world(config, some))) for some in (whole, small))
    assert one.placement == other.placement
    for engine in ("n1", "n2"):
        assert compile_l2(one, engine) == compile_l2(other, engine)
        assert compile_l4(one, engine) == compile_l4(other, engine)


def test_what_many_say_alike_is_one_value() -> None:
    trim = Trim(Config(dataplane="cluster"))

    def made(number: int) -> VirtualIP:
        text = f"192.0.2.{number}"
        ports = [{"protocol": "TCP", "port": 80, "service": f"default/s{number}"}]
        group = {"dialect": "fairlead", "scope": "service", "namespace": "default", "name": text}
        spec = {"address": text, "group": group, "listeners": ports, "home": ["n1"]}
        meta = {"name": text, "uid": text, "resourceVersion": text, "labels": {"a": text}}
        item = trim(decoded({"kind": "VirtualIP", "metadata": meta, "spec": spec}))
        assert isinstance(item, VirtualIP)
        return item

    one, other = made(10).spec, made(11).spec
    assert one.listeners is other.listeners
    assert one.home is other.home
    assert one.group.namespace is other.group.namespace
    assert made(10).metadata == Metadata(name="192.0.2.10")


@pytest.mark.parametrize("config", CONFIGS)
def test_nothing_is_needed_that_is_not_read(config: Config) -> None:
    assert needed(config) <= {VirtualIP.KIND, *(w.kind for w in watches(config))}


@settings(max_examples=300, deadline=None)
@given(config=st.sampled_from(CONFIGS), items=OBJECTS, engine=st.sampled_from(["n1", "n2"]))
def test_vips_of_other_engine_groups_concern_an_engine_in_nothing(
    config: Config, items: list[KubeObject], engine: str
) -> None:
    unique = [*{item.ref: item for item in items}.values()]
    whole = world(config, unique)
    foreign = foreign_to(engine, whole)
    own = [
        item
        for item in unique
        if not (isinstance(item, VirtualIP) and item.spec.engine_group in foreign)
    ]
    one, other = (serve(serving(some)) for some in (whole, world(config, own)))
    assert compile_l2(one, engine) == compile_l2(other, engine)
    assert compile_l4(one, engine) == compile_l4(other, engine)
    where = {name: ip_address(f"198.51.100.{n}") for n, name in enumerate(("n1", "n2", "n3"), 1)}
    tables = [table_of(plan, engine, addresses=where) for plan in (one, other)]
    assert tables[0] == tables[1]


def test_vips_of_a_group_that_nobody_is_in_stay_where_they_are_at_home() -> None:
    assert foreign_to("n1", world(Config(), [engine_group("g")])) == frozenset()


# -- the cache ------------------------------------------------------------------------------------


def saved(directory: Path, items: list[KubeObject], config: Config) -> World:
    made = world(config, items)
    head = cache.header(engine="n1", dataplane=config.dataplane, in_place=("192.0.2.10",))
    cache.save(directory, head, made)
    return made


@settings(max_examples=50, deadline=None)
@given(items=OBJECTS)
def test_the_cache_gives_back_what_it_got(
    tmp_path_factory: pytest.TempPathFactory, items: list[KubeObject]
) -> None:
    directory = tmp_path_factory.mktemp("cache")
    made = saved(directory, items, Config())
    found = cache.load(directory, engine="n1", dataplane="nft")
    assert found is not None
    again = World().evolve(found.changes)
    assert again.tables == made.tables
    assert again.slices == made.slices
    assert [str(a) for a in found.known] == ["192.0.2.10"]


def test_addresses_of_another_boot_are_not_known(tmp_path: Path) -> None:
    saved(tmp_path, [], Config())
    found = cache.load(tmp_path, engine="n1", dataplane="nft")
    assert found is not None
    before = found._replace(header=replace(found.header, boot="another"))
    assert before.known == frozenset()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text[:-20], "cannot be used"),
        (lambda text: text.replace(b'"format":1', b'"format":2'), "its format is 2"),
        (lambda text: text.replace(b'["VirtualIP"', b'["Teapot"'), "Teapot"),
        (lambda text: b"", "cannot be used"),
        (lambda text: b"\n".join(text.splitlines()[:1]), "cannot be used"),
    ],
)
def test_a_cache_that_cannot_be_used_says_why(tmp_path: Path, spoil: object, why: str) -> None:
    from tests.runtime.agents import vip

    saved(tmp_path, [vip(10)], Config())
    path = tmp_path / cache.FILE
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(UnusableCache, match=why):
        cache.load(tmp_path, engine="n1", dataplane="nft")


def test_a_cache_of_another_engine_or_data_plane_is_not_used(tmp_path: Path) -> None:
    saved(tmp_path, [], Config())
    for engine, dataplane in (("n2", "nft"), ("n1", "cluster")):
        with pytest.raises(UnusableCache, match="it is of engine n1, dataplane nft"):
            cache.load(tmp_path, engine=engine, dataplane=dataplane)
    assert cache.load(tmp_path / "elsewhere", engine="n1", dataplane="nft") is None
