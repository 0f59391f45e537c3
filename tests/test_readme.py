"""The README and the pages under docs/ do what they say: Python, commands and links."""

from __future__ import annotations

import ast
import importlib
import inspect
import operator
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

import secateur as sc
from secateur.cli import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
GUIDE = sorted((DOCS / "guide").glob("*.md"))
PAGES = [
    README,
    *sorted({*DOCS.glob("*.md")} - {DOCS / "developer.md"}),
    *GUIDE,
]  # the developer's has tests of its own
RUN = {README, DOCS / "start.md", *GUIDE}  # those whose complete code is run
BUILT = ("auto_gallery", "api")  # folders of docs/ that hold what is made when the site is
FENCE = re.compile(r"^(```+)([^\n]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
PROSE = {page: FENCE.sub("", text) for page, text in TEXT.items()}
BLOCKS = {page: [(kind.strip(), code) for _, kind, code in FENCE.findall(text)] for page, text in TEXT.items()}
PYTHON = [(page, code) for page, blocks in BLOCKS.items() for kind, code in blocks if kind == "python"]
NAME = re.compile(r"(?<![\w./-])(sc|secateur)((?:\.[A-Za-z_]\w*)+)")
NO_NAMES = {".toml", ".json", ".csv", ".html"}  # endings of files called secateur


def called(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def complete(code: str) -> bool:
    """Whether a block of Python needs nothing from outside it: then it is run."""
    return "import secateur as sc\n" in code


def runs() -> Iterator[Any]:
    """Each block that is complete, once, with what is shown under it as its output (None: nothing is)."""
    seen = set()
    for page in (page for page in PAGES if page in RUN):
        blocks = BLOCKS[page]
        for i, (kind, code) in enumerate(blocks):
            if kind == "python" and complete(code) and code not in seen:
                seen.add(code)
                below = blocks[i + 1 : i + 2]
                shown = below[0][1] if below and below[0][0] == "text" else None
                yield pytest.param(code, shown, id=f"{called(page)}-{i}")


@pytest.mark.parametrize(("code", "shown"), list(runs()))
def test_python_that_is_complete_runs_and_prints_what_is_shown(
    code: str, shown: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "sc.networks" in code:
        pytest.importorskip("torch")
    if "timm:" in code:
        pytest.importorskip("timm")
    if "store=" in code:
        pytest.importorskip("zarr")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "page", "exec"), {})  # the project's own page
    said = capsys.readouterr().out
    if shown is not None:
        assert said == shown
    if code == PYTHON[0][1]:  # the ten lines
        assert "permutation p of the gain: 0.05" in said
        assert re.search(r"\d+ features kept; \(398, \d+\)", said)


def test_each_guide_page_has_python_that_runs_or_a_command() -> None:
    assert PYTHON[0][0] == README
    assert complete(PYTHON[0][1])
    for page in GUIDE:
        if page.name != "index.md":
            kinds = [kind for kind, code in BLOCKS[page] if kind == "sh" or (kind == "python" and complete(code))]
            assert kinds, called(page)


def test_each_of_the_two_commands_is_alone_enough() -> None:
    commands = [line for line in TEXT[README].splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert len(commands) == 2
    assert any("secateur demo" in command for command in commands)
    assert any("'.[test]'" in command and command.endswith("-m pytest") for command in commands)


# Names


def dotted(node: ast.AST) -> str:
    """sc.a.b of an attribute's node, or nothing."""
    if isinstance(node, ast.Attribute):
        above = dotted(node.value)
        return f"{above}.{node.attr}" if above else ""
    return "sc" if isinstance(node, ast.Name) and node.id == "sc" else ""


def look_up(path: str) -> object:
    """What secateur's ``.a.b`` is; modules are imported on the way."""
    try:
        return operator.attrgetter(path[1:])(sc)
    except AttributeError:
        return importlib.import_module(f"secateur{path}")


@cache
def parameters_of(path: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(look_up(path)).parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_names_are_there(page: Path) -> None:
    for _, path in NAME.findall(TEXT[page]):
        if path not in NO_NAMES:
            look_up(path)


def test_the_pages_name_much_of_what_there_is() -> None:
    named = {path for page in PAGES for _, path in NAME.findall(TEXT[page])}
    assert {".timecourse.prune", ".Pruner", ".cross_validate", ".regions.four_tests"} <= named


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[f"{called(p)}-{i}" for i, (p, _) in enumerate(PYTHON)])
def test_calls_take_what_they_are_given(page: Path, code: str) -> None:
    """Of code that needs a researcher's files too, which is not run."""
    tree = ast.parse(code)
    names = {"sc": ""}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "secateur":
            for one in node.names:
                path = f"{(node.module or '').removeprefix('secateur')}.{one.name}"
                look_up(path)
                names[one.asname or one.name] = path
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            path = dotted(node.func).removeprefix("sc")
            if isinstance(node.func, ast.Name):
                path = names.get(node.func.id, "")
            if path:
                known = parameters_of(path)
                if not any(one.kind is one.VAR_KEYWORD for one in known.values()):
                    assert {keyword.arg for keyword in node.keywords} <= {*known, None}, path
                if not any(one.kind is one.VAR_POSITIONAL for one in known.values()):
                    given = [one for one in node.args if not isinstance(one, ast.Starred)]
                    places = [one for one in known.values() if one.kind is not one.KEYWORD_ONLY]
                    assert len(given) <= len(places), path


# Commands


def still(command: Any) -> Any:
    """A command, or a group of them, that takes its arguments as ever and then does nothing."""
    command.callback = lambda **_: None
    for below in getattr(command, "commands", {}).values():
        still(below)
    return command


PROGRAM = still(typer.main.get_command(app))


def taken(line: str) -> bool:
    """Whether a command line is one: command, options, their numbers, how many arguments. No file is read."""
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words
    with pytest.raises(SystemExit) as ended:
        PROGRAM.main(args=words, prog_name="secateur")
    return ended.value.code == 0


def command_lines(page: Path) -> list[str]:
    """Of blocks, and within sentences where they are whole."""
    shells = [code.replace("\\\n", " ") for kind, code in BLOCKS[page] if kind == "sh"]
    lines = [line for code in shells for line in code.splitlines() if line.startswith("secateur ")]
    said = re.findall(r"`(secateur -*\w[^`]*)`", PROSE[page])
    return [*lines, *(line for line in said if "…" not in line and not re.search("[A-Z]{4}", line))]


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_command_lines_are_taken(page: Path) -> None:
    for line in command_lines(page):
        assert taken(line), line


def test_commands_are_all_shown_on_their_page() -> None:
    page = DOCS / "guide" / "command_line.md"
    assert re.findall(r"^### (\w+)$", TEXT[page], re.MULTILINE) == PROGRAM.list_commands(None)
    assert {line.split()[1] for line in command_lines(page)} >= set(PROGRAM.list_commands(None))


@pytest.mark.parametrize(
    "line",
    [
        "secateur prune X.npy rdm.npy --out o --permutation 9",
        "secateur prune X.npy rdm.npy --out o --cv five",
        "secateur prune X.npy rdm.npy more.npy --out o",
        "secateur prune X.npy --out o",
        "secateur graft X.npy",
        "secateur study parity study.toml",
    ],
)
def test_command_lines_that_would_fail_are_found(line: str) -> None:
    assert not taken(line)


def options(command: Any) -> set[str]:
    own = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return own.union(*(options(below) for below in getattr(command, "commands", {}).values()))


OTHERS = {"--config-settings"}  # of pip


@pytest.mark.parametrize("page", sorted(RUN), ids=called)  # others name options of other programs, too
def test_options_are_there(page: Path) -> None:
    assert set(re.findall(r"`(--[a-z][a-z-]*)", PROSE[page])) <= options(PROGRAM) | OTHERS


# Links


@cache
def anchors(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    for included in re.findall(r"^```\{include\} (.*)$", text, re.MULTILINE):
        text += (page.parent / included).read_text(encoding="utf-8")
    text = FENCE.sub("", text)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    headings = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    named = re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings} | set(named)


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(<?([^)>\s]+)>?\)", PROSE[page]):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        to = (page.parent / path).resolve() if path else page
        if any(to.is_relative_to(DOCS / folder) for folder in BUILT):
            continue
        assert to.exists(), link
        if anchor and to.suffix == ".md":
            assert anchor in anchors(to), link


def test_every_page_of_the_guide_is_in_its_table_of_contents() -> None:
    (listed,) = (code for kind, code in BLOCKS[DOCS / "guide" / "index.md"] if kind == "{toctree}")
    assert sorted(listed.split("\n\n", 1)[1].split()) == sorted(page.stem for page in GUIDE if page.stem != "index")
