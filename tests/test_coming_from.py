"""The page for people who come from other packages: its lines run beside these, and its table names what is there."""

from __future__ import annotations

import operator
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "coming_from.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The Python lines of a section, behind those that all share."""
    found = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    shared, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    return "".join([str(shared), *re.findall(r"```python\n(.*?)```", found, re.DOTALL)])


@pytest.mark.parametrize(
    ("title", "package"),
    [
        ("rsatoolbox", "rsatoolbox"),
        ("scikit-learn", "sklearn"),
        ("frrsa", "numpy"),
        ("MNE and mne-rsa", "mne"),
        ("MATLAB: plain, and CoSMoMVPA", "numpy"),
    ],
)
def test_its_lines_run(title: str, package: str) -> None:
    pytest.importorskip(package)
    exec(compile(section(title), "coming_from.md", "exec"), {})  # the project's own page, with assertions of its own


def test_what_it_names_is_there() -> None:
    import secateur as sc

    for name in set(re.findall(r"\bsc((?:\.\w+)+)", PAGE)):
        operator.attrgetter(name[1:])(sc)
