"""The page on how it computes: its numpy lines agree with the library, and what it quotes is in the code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how_it_computes.md").read_text(encoding="utf-8")


def test_the_lines_of_numpy_agree_with_the_library() -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert "sc.leave_one_out" in lines
    exec(compile(lines, "how_it_computes.md", "exec"), {})  # the project's own page; it ends with its own assertion


def test_the_files_that_it_names_are_there() -> None:
    for path in set(re.findall(r"`((?:cpp|python|benchmarks)/[\w/]+\.\w+)`", PAGE)):
        assert (ROOT / path).is_file(), path


def test_the_constants_that_it_states_are_the_code_s() -> None:
    maths = (ROOT / "cpp" / "include" / "secateur" / "maths.hpp").read_text(encoding="utf-8")
    stated = {
        "removal_guard": ("1.0 / 1024", "1/1024"),
        "root_guard": ("1.0 / 16384", "1/16384"),
        "variance_guard": ("1e-4", "1e-4"),
        "scale_guard": ("1e-22", "1e-22"),
        "constant_share": ("1e-13", "1e-13"),
        "tie_share": ("1e-12", "1e-12"),
    }
    for name, (value, words) in stated.items():
        assert f"{name} = {value};" in maths, name
        assert words in PAGE, words
    assert "least_square = 1e-290, most_square = 1e300;" in maths
    assert "1e-290 to 1e300" in PAGE
