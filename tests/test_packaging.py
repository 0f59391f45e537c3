"""What is said twice, for installers of two kinds, says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

try:
    import tomllib
except ImportError:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RECIPE = yaml.safe_load((ROOT / "conda/recipe.yaml").read_text())

CONDA_NAMES = {"matplotlib": "matplotlib-base"}  # the same without a Qt window


def parts(requirement: str) -> tuple[str, str]:
    """A requirement's name in conda, and its lower bound."""
    name, _, version = requirement.split(";")[0].replace(" ", "").partition(">=")
    return CONDA_NAMES.get(name, name), version


@pytest.mark.parametrize(
    ("section", "here", "besides"),
    [
        ("run", PROJECT["project"]["dependencies"], {"python": PROJECT["project"]["requires-python"][2:]}),
        ("host", PROJECT["build-system"]["requires"], {"python": "", "pip": ""}),
    ],
)
def test_the_conda_recipe_asks_for_what_pip_asks_for(section: str, here: list[str], besides: dict[str, str]) -> None:
    recipe = dict(parts(line) for line in RECIPE["requirements"][section] if isinstance(line, str))
    assert recipe == {**dict(map(parts, here)), **besides}


def test_the_conda_recipe_has_the_same_command_and_licences() -> None:
    project = PROJECT["project"]
    assert RECIPE["build"]["python"]["entry_points"] == [f"{k} = {v}" for k, v in project["scripts"].items()]
    assert RECIPE["about"]["license"] == project["license"]
    assert RECIPE["about"]["license_file"] == project["license-files"]
    assert RECIPE["about"]["summary"] == project["description"]
