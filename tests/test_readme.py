"""The README does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_ten_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example, str(README), "exec"), {})  # the project's own page
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

    for name in re.findall(r"`sc\.(\w+)", text):
        assert hasattr(sc, name), name
