"""What the files of a results folder hold, file by file and column by column."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .columns import COLUMNS, column_words, course_words, words_of
from .contents import FILES as DESCRIPTIONS
from .contents import REPORT, described

__all__ = [
    "COLUMNS",
    "DICTIONARY",
    "FILES",
    "MANY",
    "NUMBERING",
    "WHICH_SET",
    "column_words",
    "course_words",
    "one_of_many",
    "write_dictionary",
]

DICTIONARY = "data_dictionary.json"

WHICH_SET = (
    "Which set is the result? The one that the procedure chooses from all stimuli: the rows of kept_features.csv that "
    "say final, whose values are features_pruned and whose dissimilarities are rdm_pruned. Each fold of the "
    "cross-validation chooses a set of its own, only to be scored on stimuli that it never saw; none of these is the "
    "result. How well the procedure does is the held-out alignment (summary.csv, folds.csv); the final set's own "
    "alignment was fitted to these stimuli and is no evidence. How sure a single feature is, frequency says: the share "
    "of folds that kept it."
)
NUMBERING = (
    "Features are numbered twice: index_from_0 as Python counts the columns of FEATURES, index_from_1 as MATLAB, R and "
    "Julia do. rank counts from 1, folds and repeats count from 0."
)

# Files that say which features are the result, and how it came about; what they are called where there are several
# targets with a set each is numbered by target, from 1: features_pruned_01.csv.
WIDE = ("features_pruned.csv", "rdm_pruned.csv", "embedding.csv")  # a column a feature, or a stimulus
MANY = ("features_pruned.csv", "features_pruned.npy", "rdm_pruned.csv", "rdm_pruned.npy")
ANSWER = (
    "kept_features.csv", *MANY, "folds.csv", "test_folds.csv", "curve.csv", "final_set.nc", DICTIONARY,
)  # fmt: skip
FILES = {name: DESCRIPTIONS[name] for name in ANSWER} | {
    "kept_features.csv": "the final set, and how often each feature was kept",
}


def one_of_many(name: str) -> str:
    """The name without the number of a target, where it is a file that each target has: its description's."""
    plain = re.sub(r"_\d+(?=\.\w+$)", "", name)
    return plain if plain in MANY else name


def write_dictionary(
    draft: Path,
    contents: Mapping[str, str],
    context: str,
    targets: Sequence[str] = (),
    said: Mapping[str, str] | None = None,
) -> None:
    """Write what all files in a folder hold, with the columns of their tables and the variables of their arrays.

    Parameters
    ----------
    draft : Path
        The folder; the files are there, but for those of the report.
    contents : mapping of file names to descriptions
        Those of the command, where they are not those of all.
    context : str
        Whose folder: a key of :data:`secateur.report.columns.OWN`.
    targets : sequence of str
        Names, for files that each target has.
    said : mapping of str to str, optional
        What stands above the files: which set is the result, say, and how features are numbered.
    """
    files: dict[str, Any] = {}
    for file in sorted(draft.iterdir()):
        plain = one_of_many(file.name)
        files[file.name] = {"holds": described(plain, contents)}
        if plain != file.name:
            files[file.name]["target"] = targets[int(file.stem.rpartition("_")[2]) - 1]
        if file.suffix == ".csv":
            files[file.name]["columns"] = _columns(file, plain, context)
        elif file.suffix == ".nc":
            import h5netcdf

            with h5netcdf.File(file, "r") as group:
                files[file.name] |= _variables(group, plain, context)
        elif file.suffix == ".mat":
            from scipy.io import whosmat

            arrays = [name for name, *_ in whosmat(file)]
            files[file.name]["variables"] = {name: {"holds": words_of(context, plain, name)} for name in arrays}
    files |= {name: {"holds": DESCRIPTIONS[name]} for name in (DICTIONARY, *REPORT)}  # written last
    text = json.dumps({**(said or {}), "files": files}, indent=2, ensure_ascii=False) + "\n"
    (draft / DICTIONARY).write_text(text, encoding="utf-8", newline="\n")


def _columns(file: Path, plain: str, context: str) -> dict[str, str | None]:
    """What each column of a table holds; a column a feature or stimulus is said once, under ``*``."""
    with file.open(encoding="utf-8", newline="") as stream:
        heads = next(csv.reader(stream))
    if plain in WIDE and len(heads) > 1:
        return {heads[0]: words_of(context, plain, heads[0]), "*": words_of(context, plain, "*")}
    return {head: words_of(context, plain, head) for head in heads}


def _variables(group: Any, plain: str, context: str) -> dict[str, Any]:
    """What each variable of a netCDF file, or of a group in it, holds, and along which dimensions."""
    found: dict[str, Any] = {
        "variables": {
            name: {"holds": words_of(context, plain, name), "dims": list(variable.dimensions)}
            for name, variable in group.variables.items()
        }
    }
    if group.groups:
        found["groups"] = {name: _variables(one, plain, context) for name, one in group.groups.items()}
    return found
