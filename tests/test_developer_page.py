"""docs/developer.md names what is there, and draws the ways that calls go."""

from __future__ import annotations

import importlib
import re
import sys
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import secateur as sc
import test_house
from secateur.features import Features
from secateur.problem import Problem
from secateur.targets import Targets

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "developer.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the docs are not beside these tests")
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
PRESENT, RENAMED = (*PROSE.split("### Renamed"), "")[:2]
PACKAGE = Path(sc.__file__).parent
FOLDERS = (ROOT, ROOT / "python" / "secateur", ROOT / "cpp")
SUFFIXES = (".py", ".pyi", ".hpp", ".cpp", ".cu", ".md", ".txt", ".toml")


def sources():
    return [path for path in ROOT.glob("*/**/*") if path.suffix in SUFFIXES and ".venv" not in path.parts]


def test_files_that_are_named_are_there():
    names, checked = {path.name for path in sources()}, 0
    for word in re.findall(r"`([\w./-]+)`", PRESENT):
        if "/" in word:
            assert any((folder / word).exists() for folder in FOLDERS), word
        elif word.endswith(SUFFIXES):
            assert word in names or (ROOT / word).is_file(), word
        else:
            continue
        checked += 1
    assert checked >= 30


def test_tests_that_are_named_are_there():
    defined = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("*.py"))
    found = set(re.findall(r"`(test_\w+|Test\w+)`", PRESENT))
    assert len(found) >= 10
    for name in found:
        assert re.search(rf"(def|class) {name}\b", defined), name


def test_names_that_replaced_others_are_there():
    code = " ".join(
        path.read_text(encoding="utf-8")
        for folder in ("python", "cpp")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES
    )
    rows = re.findall(r"^\| .*? \| (.*?) \|$", RENAMED.split("## ")[0], re.MULTILINE)[2:]
    assert len(rows) >= 15
    for row in rows:
        for word in re.findall(r"`([\w.]+)`", row):
            known = word.split(".")[-1] if not word.endswith(SUFFIXES) else word
            assert re.search(rf"\b{known}\b", code) or any(path.name == known for path in sources()), word


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for path, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", PROSE):
        if path:
            assert (PAGE.parent / path).resolve().is_file(), path
        elif anchor:
            assert anchor in anchors, anchor
    assert "docs/developer.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_rooms_are_drawn_as_they_stand():
    drawn = {}
    for level, rooms in re.findall(r"^ ?(\d+)  ((?:\w+  ?)+)\s", TEXT, re.MULTILINE):
        drawn |= dict.fromkeys(rooms.split(), int(level))
    assert drawn == {room: level for room, level in test_house.LEVELS.items() if room not in ("device", "fmri")}
    optional = re.search(r"^\| room \| what it is for \|\n(.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert optional is not None
    assert set(re.findall(r"`(\w+)`", optional.group(1))) == set(test_house.OPTIONAL) - {"baselines"}


# The ways of target and X

RNG = np.random.default_rng(0)
X, H, MOVIES = RNG.normal(size=(16, 9)), RNG.normal(size=(2, 120)), RNG.normal(size=(1, 3, 120))
FOLDS = [(np.arange(8), np.arange(8, 16))]
PRUNER = sc.Pruner(kind="similarity", device="cpu")
CALLS = {
    "cross_validate": lambda: sc.cross_validate(X, H, PRUNER, FOLDS, progress=False),
    "permutation_test": lambda: sc.permutation_test(X, H, 2, PRUNER, FOLDS, progress=False),
    "timecourse.prune": lambda: sc.timecourse.prune(X, MOVIES, PRUNER, FOLDS, kind="similarity", progress=False),
}
WAYS = re.findall(r"^`(\w+)` through `([\w.]+)`: (\d) climbs\n\n```\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)


def calls_handed(data, kinds, call):
    """(module, name) of the package's functions that a call hands the data to, as it is or within one of some types."""
    seen = []

    def is_data(value):
        return isinstance(value, kinds) or (isinstance(value, np.ndarray) and np.may_share_memory(value, data))

    def note(frame, event, _arg):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)) or code.co_name.startswith("<"):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        owner = getattr(type(frame.f_locals.get("self")), code.co_name, None)
        if isinstance(owner, property) or code.co_name.startswith("__"):
            return  # a look at what is at hand
        if any(is_data(frame.f_locals.get(name)) for name in names):
            module = Path(code.co_filename).relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
            seen.append((module, code.co_name))

    call()  # once before, so that nothing is imported on the way
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return seen


@pytest.mark.parametrize(("what", "through", "climbs", "body"), WAYS, ids=[" in ".join(way[:2]) for way in WAYS])
def test_ways_are_drawn_as_they_go(what, through, climbs, body):
    from secateur.pruning.scorer import Scorer
    from secateur.timecourse.pruning import Study
    from secateur.timecourse.subjects import Movies

    data = {"X": X, "target": H, "movies": MOVIES}[what]
    along_time = {"X": (Study,), "movies": (Movies,)} if through == "timecourse.prune" else {}
    kinds = (Features if what == "X" else Targets, Problem, Scorer, *along_time.get(what, ()))
    seen = calls_handed(data, kinds, CALLS[through])
    drawn = [line[2:].strip() for line in body.splitlines() if "(the core" not in line]
    for name in drawn:
        parts = name.split(".")
        depth = 2 if (PACKAGE / parts[0]).is_dir() else 1
        module = ".".join(parts[:depth])
        reduce(getattr, parts[depth:], importlib.import_module(f"secateur.{module}"))
        assert (module, parts[-1]) in seen, name
    marked = sum(line.startswith("^") for line in body.splitlines())
    assert marked == int(climbs) <= 3
    # what reads sizes alone takes nothing further
    levels = [test_house.LEVELS[module.split(".")[0]] for module, name in seen if name != "cost"]
    assert sum(now > last for last, now in pairwise(levels)) <= 3


def test_all_ways_are_drawn():
    assert {way[:2] for way in WAYS} == {
        *(("target", "cross_validate"), ("X", "cross_validate"), ("target", "permutation_test")),
        *(("X", "permutation_test"), ("movies", "timecourse.prune"), ("X", "timecourse.prune")),
    }
