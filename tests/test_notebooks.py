"""Notebooks and gallery: what they call is there. `pytest --nbmake docs/notebooks` and the docs' build run them."""

from __future__ import annotations

import ast
import json
import operator
import re
from pathlib import Path
from typing import Any

import pytest

import secateur as sc

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
SCRIPTS = sorted((DOCS / "gallery").glob("plot_*.py"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    found = json.loads(notebook.read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert found["metadata"]["kernelspec"]["name"] == "python3"
    return list(found["cells"])


def names(source: str) -> set[str]:
    """Whatever is asked of the package, as words after `sc.`"""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            words = ast.unparse(node)
            if words.startswith("sc.") and words.replace(".", "").isidentifier():
                found.add(words[3:])
    return found


def test_there_are_notebooks_and_scripts() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["heatmaps", "meg_course", "prune_your_rdm"]
    text = (DOCS / "gallery_figures.py").read_text(encoding="utf-8")
    listed = [
        word for line in re.findall(r"^    \*\((.*)\),$", text, re.MULTILINE) for word in re.findall(r'"(\w+)"', line)
    ]
    assert sorted(f"plot_{name}" for name in listed) == [path.stem for path in SCRIPTS]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_output_and_calls_what_is_there(notebook: Path) -> None:
    called = set()
    for cell in cells(notebook):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            called |= names("".join(cell["source"]))
    assert called
    for name in called:
        operator.attrgetter(name)(sc)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_calls_what_is_there(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    assert source.count("\n") < 60
    for name in names(source):
        operator.attrgetter(name)(sc)


def test_every_picture_is_in_the_gallery() -> None:
    words = {"embedding", "html", "mds", "text", "consensus", "figures"}  # figures are asked for below
    written = {name for name in sc.report.__all__ if name.startswith("write") or name.endswith(("markdown", "text"))}
    shown = set().union(*(names(script.read_text(encoding="utf-8")) for script in SCRIPTS))
    for name in {*sc.report.__all__} - words - written:
        assert f"report.{name}" in shown or f"report.finetuning.{name}" in shown, name
    assert "report.embedding" in shown
