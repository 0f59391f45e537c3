"""What a results folder says of itself: every file, column and variable in its data dictionary."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5netcdf


def check_dictionary(folder: Path) -> dict[str, Any]:
    """The dictionary's files, once all that lies in the folder was looked for in it."""
    told: dict[str, Any] = json.loads((folder / "data_dictionary.json").read_text(encoding="utf-8"))["files"]
    assert set(told) == {file.name for file in folder.iterdir()}
    for name, about in told.items():
        assert about["holds"], name
        if name.endswith(".csv"):
            with (folder / name).open(encoding="utf-8", newline="") as stream:
                heads = next(csv.reader(stream))
            assert set(about["columns"]) in (set(heads), {heads[0], "*"}), name
            assert all(about["columns"].values()), (name, about["columns"])
        if name.endswith(".nc"):
            with h5netcdf.File(folder / name) as group:
                _check_group(group, about, name)
    return told


def _check_group(group: Any, about: dict[str, Any], name: str) -> None:
    assert set(about["variables"]) == set(group.variables), name
    silent = [variable for variable, one in about["variables"].items() if not one["holds"]]
    assert not silent, (name, silent)
    assert set(about.get("groups", {})) == set(group.groups), name
    for inner, one in group.groups.items():
        _check_group(one, about["groups"][inner], f"{name}/{inner}")
