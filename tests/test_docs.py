"""Promises of the documentation: it is complete where it says so, and what it shows works.

Completeness is checked against the code (reason codes, configuration keys, annotations), so that
whoever adds one is told to write it down.
"""

import ast
import gc
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from fairlead.cli.main import app
from fairlead.dialects.select import CLASSES, SELECTING
from fairlead.model.config import Config
from fairlead.model.verdict import Code
from fairlead.runtime.config import variables

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
ANNOTATION = re.compile(
    r"(?:development\.)?kube-vip\.io/[\w-]+|(?:aviinfrasetting\.|skipnodeport\.)?ako\.vmware\.com/[\w-]+"
    r"|fairlead\.dev/[a-z-]+|service\.beta\.kubernetes\.io/[\w-]+|nodeportlocal\.antrea\.io"
)
SOURCES = ("dialects", "runtime", "planner")


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    """One-shot commands switch the collector off for their process; here it is the tests' own."""
    yield
    gc.enable()


def _text(page: str) -> str:
    return (DOCS / page).read_text()


def _cells(page: str) -> set[str]:
    """The first cells of all tables of a page."""
    rows = (line for line in _text(page).splitlines() if line.startswith("| "))
    return {row.split("|")[1].strip() for row in rows}


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_every_reason_code_has_a_row_in_operations(code: Code) -> None:
    assert f"`{code.value}`" in _cells("operations.md")


@pytest.mark.parametrize("field", msgspec.structs.fields(Config), ids=lambda f: f.encode_name)
def test_every_configuration_key_has_a_row_with_its_default_and_variables(
    field: msgspec.structs.FieldInfo,
) -> None:
    rows = _text("configuration.md").splitlines()
    row = next((row for row in rows if row.startswith(f"| `{field.encode_name}` |")), "")
    cells = [cell.strip() for cell in row.replace(r"\|", "/").split("|")]
    assert len(cells) > 5, f"{field.encode_name} has no row"
    default = field.default
    shown = msgspec.json.encode(default).decode().strip('"')
    assert cells[3] == f"`{shown}`"
    for variable, key in variables().items():
        if key == field.encode_name:
            assert f"`{variable}`" in cells[4]


def _literals(path: Path) -> Iterator[str]:
    """The text constants of a module, docstrings aside."""
    tree = ast.parse(path.read_text())
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def _annotations() -> set[str]:
    """Every annotation, label and class that the code reads."""
    found = {*SELECTING, *CLASSES}
    for folder in SOURCES:
        for path in (ROOT / "src" / "fairlead" / folder).rglob("*.py"):
            found.update(text for text in _literals(path) if ANNOTATION.fullmatch(text))
    return found


def test_the_annotations_of_every_language_are_found() -> None:
    """Else the next test would prove nothing."""
    expected = {
        "ako.vmware.com/enable-shared-vip",
        "aviinfrasetting.ako.vmware.com/name",
        "kube-vip.io/loadbalancerIPs",
        "kube-vip.io/ignore",
        "fairlead.dev/share",
        "fairlead.dev/confirm",
        "fairlead.dev/role",
        "nodeportlocal.antrea.io",
    }
    assert expected <= _annotations()


@pytest.mark.parametrize("annotation", sorted(_annotations()))
def test_every_annotation_is_documented(annotation: str) -> None:
    said = "\n".join(page.read_text() for page in DOCS.rglob("*.md"))
    assert re.search(rf"{re.escape(annotation)}(?![\w-])", said)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        inside = path.is_relative_to(ROOT) and path.exists()
        if not inside or (anchor and anchor not in _anchors(path)):
            lost.append(target)
    assert lost == []


def test_every_decision_is_listed_and_numbered_without_gaps() -> None:
    files = sorted(path.name for path in (DOCS / "adr").glob("0*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    listed = LINK.findall((DOCS / "adr" / "README.md").read_text())
    assert listed == files


def _commands(page: Path) -> Iterator[str]:
    """The lines of a page's code blocks that run `fairlead plan`: in the README all of them,
    elsewhere those on the examples."""
    for block in FENCE.findall(page.read_text()):
        for line in block.splitlines():
            command = line.removeprefix("$ ").partition("  #")[0].strip()
            runnable = page.name == "README.md" or "examples/" in command
            if command.startswith("fairlead plan") and runnable:
                yield command


SHOWN = sorted({command for page in PAGES for command in _commands(page)})


def test_the_readme_shows_plans() -> None:
    assert list(_commands(ROOT / "README.md"))


@pytest.mark.parametrize("command", SHOWN)
def test_the_plans_that_are_shown_work(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == (1 if "mismatch" in command else 0), result.output


def test_the_excerpt_of_the_contract_is_what_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"^```json\n(.*?)^```$", _text("contract.md"), re.MULTILINE | re.DOTALL)
    assert block is not None
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, ["plan", "-f", "examples/ako-mismatch", "-o", "json"])
    document = msgspec.json.decode(result.stdout)
    assert msgspec.json.decode(block[1]) in document["rejections"]
