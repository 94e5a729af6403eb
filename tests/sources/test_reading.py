"""What people write, well or badly, and what becomes of it."""

import io
from pathlib import Path

import pytest

from fairlead.model.kube import Service
from fairlead.model.names import Ref
from fairlead.model.world import World
from fairlead.sources.files import Batch, FileSource

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  type: LoadBalancer
  ports:
  - port: {port}
"""
WEB = Ref("Service", "default", "web")


def service(name: str = "web", port: object = 80) -> str:
    return SERVICE.format(name=name, port=port)


def read(folder: Path, **files: str | bytes) -> Batch:
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return FileSource([str(folder)]).load()


def refs(batch: Batch) -> list[str]:
    return sorted(str(c.ref) for c in batch.changes if c.object is not None)


def problems(batch: Batch, folder: Path) -> list[str]:
    return [str(p).replace(f"{folder}/", "") for p in batch.problems]


def test_documents_lists_json_and_folders(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.yml").write_text(service("b"))
    batch = read(
        tmp_path,
        a_yaml=f"---\n{service('a')}---\n# nothing\n---\n{service('a2')}...\n",
        c_json='{"apiVersion":"v1","kind":"Service","metadata":{"name":"c"},"spec":{}}',
        d_yaml="apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: d}, spec: {}}\n"
        "- {apiVersion: v1, kind: List, items: "
        "[{apiVersion: v1, kind: Node, metadata: {name: n1}}]}\n",
        e_yaml="apiVersion: v1\nkind: ServiceList\nitems:\n- {metadata: {name: e}, spec: {}}\n",
    )
    assert refs(batch) == ["Node/n1"] + [
        f"Service/default/{n}" for n in ("a", "a2", "b", "c", "d", "e")
    ]
    assert not batch.problems


def test_several_paths_and_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("a"))
    stdin = io.StringIO(service("b"))
    batch = FileSource([str(path), "-"], stdin).load()
    assert refs(batch) == ["Service/default/a", "Service/default/b"]


def test_hidden_and_temporary_files_are_not_read(tmp_path: Path) -> None:
    for name in (".hidden.yaml", "a.yaml~", "#a.yaml#", "a.yaml.swp", "notes.txt"):
        (tmp_path / name).write_text("{")
    assert not FileSource([str(tmp_path)]).load().problems


def test_unknown_kinds_are_counted_once(tmp_path: Path) -> None:
    deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n"
    batch = read(tmp_path, a_yaml=deployment * 3)
    assert batch.unknown == {"apps/v1 Deployment": 3}
    assert not batch.problems


def test_path_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(service())
    batch = FileSource([str(tmp_path / "a.yaml"), str(tmp_path / "nowhere")]).load()
    assert refs(batch) == [str(WEB)]
    (problem,) = batch.problems
    assert problem.path.endswith("nowhere")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("kind: Service\nmetadata: {name: [\n", 3, ""),
        ("apiVersion: v1\n\tkind: Service\n", 2, ""),
        (b"apiVersion: v1\nname: \xff\xfe\n", 2, "UTF-8"),
        ("a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n", 0, "object"),
        ("just text", 1, "must be a mapping"),
    ],
)
def test_text_that_is_no_manifest(tmp_path: Path, text: str | bytes, line: int, words: str) -> None:
    batch = read(tmp_path, bad_yaml=text, good_yaml=service())
    assert refs(batch) == [str(WEB)], "the other file is used"
    (problem,) = batch.problems
    assert problem.path.endswith("bad.yaml")
    assert words in problem.message or not words
    assert not line or problem.line == line


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "# only comments\n", "---\n", "---\n---\n...\n", "null\n", "\ufeff", "{}\n"],
)
def test_empty_files_say_at_most_that_they_are_no_object(tmp_path: Path, text: str) -> None:
    batch = read(tmp_path, empty_yaml=text)
    assert not batch.changes
    assert len(batch.problems) == (1 if text == "{}\n" else 0)


def test_alias_bombs_and_deep_nesting_end(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for i in range(1, 12):
        bomb += f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n"
    batch = read(tmp_path, bomb_yaml=bomb, deep_yaml="[" * 100_000, deep_json="[" * 100_000)
    assert len(batch.problems) == 3
    assert "expand" in " ".join(problems(batch, tmp_path))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("port: eighty", "port"),
        ("port: 0", "port"),
        ("port: 70000", "port"),
        ("port: 99999999999999999999999", "port"),
        ("port: .nan", "port"),
        ("port: 1e999", "port"),
        ("port: 80\n    protocol: ICMP", "protocol"),
    ],
)
def test_wrong_values_name_file_line_and_field(tmp_path: Path, field: str, said: str) -> None:
    text = service().replace("port: 80", field)
    batch = read(tmp_path, bad_yaml=text, good_yaml=service("good"))
    (bad,) = [c for c in batch.changes if c.problem]
    assert bad.ref == WEB
    assert bad.object is None
    assert said in bad.problem.message  # type: ignore[union-attr]
    assert "bad.yaml" not in bad.problem.message, "positions are for stderr"  # type: ignore[union-attr]
    (problem,) = batch.problems
    assert problem.line in (8, 9)
    assert refs(batch) == ["Service/default/good"]


def test_annotation_that_is_not_text_is_told_to_be_quoted(tmp_path: Path) -> None:
    text = service().replace(
        "  name: web\n", "  name: web\n  annotations: {kube-vip.io/ignore: true}\n"
    )
    batch = read(tmp_path, a_yaml=text)
    (change,) = batch.changes
    assert "quote" in change.problem.message  # type: ignore[union-attr]
    assert "kube-vip.io/ignore" in change.problem.message  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["Web", "web_1", "-web", "we b", "x" * 254, "ümlaut", "../etc"])
def test_odd_names_get_one_verdict(tmp_path: Path, name: str) -> None:
    batch = read(tmp_path, a_yaml=service(f'"{name}"'), b_yaml=service("good"))
    assert refs(batch) == ["Service/default/good"]
    assert len(batch.problems) == 1


def test_ten_megabytes_of_annotation(tmp_path: Path) -> None:
    big = f'  name: web\n  annotations: {{big: "{"x" * 10_000_000}"}}\n'
    batch = read(tmp_path, a_yaml=service().replace("  name: web\n", big), b_yaml=service("good"))
    (bad,) = [c for c in batch.changes if c.problem]
    assert "262144" in bad.problem.message  # type: ignore[union-attr]
    assert len(bad.problem.message) < 500  # type: ignore[union-attr]
    assert refs(batch) == ["Service/default/good"]


def test_unknown_field_of_our_own_kinds_is_an_error(tmp_path: Path) -> None:
    pool = "apiVersion: fairlead.dev/v1alpha1\nkind: AddressPool\nmetadata: {name: p}\n"
    batch = read(tmp_path, p_yaml=f"{pool}spec:\n  addresses: [10.0.0.0/24]\n  autoAsign: false\n")
    (change,) = batch.changes
    assert "autoAsign" in change.problem.message  # type: ignore[union-attr]
    assert batch.problems[0].line == 6


def test_two_different_objects_of_one_name(tmp_path: Path) -> None:
    batch = read(tmp_path, a_yaml=service(port=80), b_yaml=f"---\n{service(port=81)}")
    (change,) = batch.changes
    assert change.object is None
    assert change.problem is not None
    told = " ".join(problems(batch, tmp_path))
    assert "a.yaml:1" in told
    assert "b.yaml:2" in told


def test_identical_copies_are_one_object(tmp_path: Path) -> None:
    batch = read(tmp_path, a_yaml=service(), b_yaml=f"# a copy\n{service()}")
    assert refs(batch) == [str(WEB)]
    assert not batch.problems


def test_yaml_as_kubernetes_users_know_it(tmp_path: Path) -> None:
    labels = '  name: web\n  labels: {a: "1", b: "yes", c: ""}\n'
    text = service().replace("  name: web\n", labels)
    batch = read(tmp_path, a_yaml=text.replace("port: 80", "{port: 0x50, name: ''}"))
    (change,) = batch.changes
    assert isinstance(change.object, Service)
    assert change.object.ports[0].port == 80
    assert change.object.metadata.labels == {"a": "1", "b": "yes", "c": ""}


def test_words_that_yaml_1_1_takes_for_booleans(tmp_path: Path) -> None:
    batch = read(tmp_path, a_yaml=service("y"))
    (problem,) = batch.problems
    assert "quote" in problem.message


def test_crlf_bom_and_utf16(tmp_path: Path) -> None:
    windows = service("crlf").replace("\n", "\r\n")
    batch = read(
        tmp_path,
        a_yaml=windows,
        b_yaml=b"\xef\xbb\xbf" + service("bom").encode(),
        c_yaml=service("wide").encode("utf-16"),
    )
    assert refs(batch) == [f"Service/default/{n}" for n in ("bom", "crlf", "wide")]


def test_empty_directory(tmp_path: Path) -> None:
    batch = FileSource([str(tmp_path)]).load()
    assert not batch.changes
    assert not batch.problems


def test_world_keeps_what_was_good(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service(port=80))
    source = FileSource([str(tmp_path)])
    world = World().evolve(source.load().changes)
    path.write_text(service(port=0))
    world = world.evolve(source.refresh([path]).changes)
    kept = world.service(WEB)
    assert kept is not None
    assert kept.ports[0].port == 80
    assert WEB in world.problems
    path.write_text(service(port=90))
    world = world.evolve(source.refresh([path]).changes)
    assert WEB not in world.problems
    assert world.service(WEB).ports[0].port == 90  # type: ignore[union-attr]
