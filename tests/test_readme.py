"""The README does what it says."""

from __future__ import annotations

import ast
import inspect
import operator
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def named(node: ast.AST) -> str:
    """sc.a.b of an attribute's node, or nothing."""
    if isinstance(node, ast.Attribute):
        above = named(node.value)
        return f"{above}.{node.attr}" if above else ""
    return "sc" if isinstance(node, ast.Name) and node.id == "sc" else ""


def test_the_ten_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(EXAMPLES[0], str(README), "exec"), {})  # the project's own page
    said = capsys.readouterr().out
    assert "permutation p of the gain: 0.05" in said
    assert re.search(r"\d+ features kept; \(398, \d+\)", said)


def test_each_of_the_two_commands_is_alone_enough() -> None:
    commands = [
        line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("python3 -m venv .venv && ")
    ]
    assert len(commands) == 2
    assert any("secateur demo" in command for command in commands)
    assert any("'.[test]'" in command and command.endswith("-m pytest") for command in commands)


def test_what_it_shows_and_names_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (README.parent / path).is_file(), path
    import secateur as sc

    words = set(re.findall(r"`(sc(?:\.\w+)+)", text))
    for example in EXAMPLES:  # those that need a researcher's files are not run: what they call is there, and takes it
        for node in ast.walk(ast.parse(example)):
            words.add(named(node))
            if isinstance(node, ast.Call) and named(node.func).startswith("sc."):
                called = operator.attrgetter(named(node.func)[3:])(sc)
                known = inspect.signature(called).parameters
                if not any(one.kind is one.VAR_KEYWORD for one in known.values()):
                    assert {keyword.arg for keyword in node.keywords} <= set(known), named(node.func)
                assert len(node.args) <= len(known)
    for name in words - {"", "sc"}:
        operator.attrgetter(name[3:])(sc)
    assert "sc.timecourse.prune" in words
