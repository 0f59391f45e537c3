"""What the files of a results folder hold, file by file and column by column."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .contents import FILES as DESCRIPTIONS
from .contents import REPORT

__all__ = [
    "COLUMNS",
    "DICTIONARY",
    "FILES",
    "MANY",
    "NUMBERING",
    "WHICH_SET",
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
MANY = ("features_pruned.csv", "features_pruned.npy", "rdm_pruned.csv", "rdm_pruned.npy")
ANSWER = (
    "kept_features.csv", *MANY, "folds.csv", "test_folds.csv", "curve.csv", "final_set.nc", DICTIONARY,
)  # fmt: skip
FILES = {name: DESCRIPTIONS[name] for name in ANSWER} | {
    "kept_features.csv": "the final set, and how often each feature was kept",
}

_ALIGNMENT = "in units of the comparator (settings.json), as correlations are: 1 at most"
COLUMNS = {
    "target": "name of the target, or its position, counted from 0",
    "feature": "name of the feature, or its index, counted from 0",
    "index_from_0": "column of the feature in FEATURES, counted from 0 (Python)",
    "index_from_1": "column of the feature in FEATURES, counted from 1 (MATLAB, R, Julia)",
    "final": "whether the feature is in the final set, chosen on all stimuli: the result",
    "rank": "place in the order of the fit on all stimuli, from 1; the final set comes first",
    "importance": (
        "in the fit on all stimuli: alignment of all features minus the alignment without this one (searches step by "
        "step: what its entry added; stable: the share of halves that chose it)"
    ),
    "majority": "whether at least half of the folds kept the feature",
    "frequency": "share of folds that kept the feature, 0 to 1",
    "folds_kept": "number of folds that kept the feature",
    "folds": "number of folds",
    "mean_importance": "mean over folds of the importance in their training stimuli; empty where it was indispensable",
    "fold": "fold, counted from 0",
    "repeat": "round of folds, counted from 0",
    "n_train": "stimuli that the fold learnt from",
    "n_test": "stimuli that the fold held out",
    "full_train": f"alignment of all features among the training stimuli (in-sample), {_ALIGNMENT}",
    "full_test": f"alignment of all features among the test stimuli (held out), {_ALIGNMENT}",
    "pruned_train": f"alignment of the kept features among the training stimuli (in-sample), {_ALIGNMENT}",
    "pruned_test": f"alignment of the kept features among the test stimuli (held out), {_ALIGNMENT}",
    "gain": "pruned_test minus full_test; the mean over folds in summary.csv",
    "n_kept": "features kept",
    "n_features": "features that there are; in curve.csv, of the set that the row scores",
    "undefined_pairs": "pairs of test stimuli that the kept features leave without a similarity: not scored",
    "ceiling_lower": "lower noise ceiling: alignment with the mean of the other targets, among the test stimuli",
    "ceiling_upper": "upper noise ceiling: alignment with the mean of all targets, among the test stimuli",
    "stimulus": "name of the stimulus, or its position, counted from 0",
    "group": "group of the stimulus",
    "fold_mean": f"training alignment of the folds' sets of this size, mean, {_ALIGNMENT}",
    "fold_sd": "its standard deviation over folds",
    "all_stimuli": f"alignment of the set of this size in the fit on all stimuli (in-sample), {_ALIGNMENT}",
    "t": "paired t of pruned against full over folds: it describes them",
    "df": "degrees of freedom of t",
    "p": "two-sided p of t; descriptive, since folds share stimuli; empty where folds share test stimuli",
    "p_gain": "p of the gain, from relabellings of the stimuli",
    "below_zero": "whether the pruned alignment ends below zero, so that no gain is evidence of a fit",
    "p_permutation_pruned_test": "one-sided p of pruned_test, from relabellings of the stimuli",
    "p_permutation_gain": "one-sided p of the gain, from relabellings of the stimuli",
    "p_permutation_gain_holm": "the same, corrected for the number of regions (Holm)",
    "permutations": "number of relabellings",
}
# What the same words mean in other folders: of a time course (subjects, times), of a network's maps.
_TIME = "in units of the comparator (settings.json); mean over subjects, or over the folds of one subject"
COURSE_COLUMNS = {
    "full": f"held-out alignment of all features at this time, {_TIME}",
    "pruned": f"held-out alignment of the kept features at this time, {_TIME}",
    "gain": f"pruned minus full at this time, {_TIME}",
    "n_kept": "features kept at this time, mean over subjects or folds",
    "subjects": "subjects whose scores are defined at this time",
    "t": "paired t over subjects of the gain in Fisher's z",
    "df": "degrees of freedom of t",
    "p": "p of t, not corrected over times (settings.json says which side)",
    "d": "Cohen's d, paired",
    "q": "p corrected over times by the false discovery rate (Benjamini-Hochberg)",
    "significant": "whether q is at most the level of the test",
    "cluster": "number of the cluster of times that the time belongs to, 0: none",
    "cluster_mass": "sum of t over the cluster",
    "cluster_p": "p of the cluster by sign flips over subjects, corrected over times",
    "ceiling_lower": "lower noise ceiling: alignment of a subject with the mean of the others, among the test stimuli",
    "ceiling_upper": "upper noise ceiling: alignment of a subject with the mean of all, among the test stimuli",
    "mean_share": "share of folds that kept the feature, mean over subjects and times, 0 to 1",
    "share_then": "share of folds that kept the feature at the time when most did, mean over subjects",
}
_COURSE_STARTS = {
    "permutation_": "of the null over features, from relabellings of the stimuli: ",
    "time_": "time, in the unit that the name ends in; of a window its middle",
    "window_start_": "first time of the window, in the unit that the name ends in",
    "window_stop_": "last time of the window, in the unit that the name ends in",
    "most_at_": "time at which most folds kept the feature, in the unit that the name ends in",
}
_ENDS = {
    "_sd": "its standard deviation over folds",
    "_r2": "the square of its mean over folds, with its sign",
    "_lower": "lower end of its bootstrap interval",
    "_upper": "upper end of its bootstrap interval",
}


def one_of_many(name: str) -> str:
    """The name without the number of a target, where it is a file that each target has: its description's."""
    plain = re.sub(r"_\d+(?=\.\w+$)", "", name)
    return plain if plain in MANY else name


def column_words(column: str) -> str | None:
    """What a column holds; None where nothing is known of it."""
    if column in COLUMNS:
        return COLUMNS[column]
    for end, words in _ENDS.items():
        if column.endswith(end) and column.removesuffix(end) in COLUMNS:
            return f"{column.removesuffix(end)}: {words}"
    if re.fullmatch(r"fold_of_repeat_\d+", column):
        return "the fold in which the stimulus was held out, counted from 0; empty where in none"
    return None


def course_words(column: str) -> str | None:
    """What a column of a time course's tables holds."""
    if column in COURSE_COLUMNS:
        return COURSE_COLUMNS[column]
    if column.endswith("_sem") and column.removesuffix("_sem") in COURSE_COLUMNS:
        return f"{column.removesuffix('_sem')}: standard error over subjects"
    for start, words in _COURSE_STARTS.items():
        if column.startswith(start):
            own = column.removeprefix(start).replace("_", " ")
            return words + (own if words.endswith(": ") else "")
    return column_words(column)


def write_dictionary(
    draft: Path,
    contents: Mapping[str, str],
    targets: Sequence[str] = (),
    words: Callable[[str], str | None] = column_words,
    said: Mapping[str, str] | None = None,
) -> None:
    """Write what the files in a folder hold, with the columns of their tables.

    Parameters
    ----------
    draft : Path
        The folder; the files are there.
    contents : mapping of file names to descriptions
        Others are left out.
    targets : sequence of str
        Names, for files that each target has.
    words : function of str to str or None
        What a column holds.
    said : mapping of str to str, optional
        What stands above the files; which set is the result, and how features are numbered, by default.
    """
    files: dict[str, Any] = {}
    for file in sorted(draft.iterdir()):
        plain = one_of_many(file.name)
        if plain not in contents:
            continue
        files[file.name] = {"holds": contents[plain]}
        if plain != file.name:
            files[file.name]["target"] = targets[int(file.stem.rpartition("_")[2]) - 1]
        if file.suffix == ".csv" and plain not in MANY:
            with file.open(encoding="utf-8", newline="") as stream:
                heads = next(csv.reader(stream))
            files[file.name]["columns"] = {head: words(head) for head in heads}
    files[DICTIONARY] = {"holds": contents[DICTIONARY]}
    files |= {name: {"holds": line} for name, line in REPORT.items()}  # written last
    text = {**({"which_set": WHICH_SET, "numbering": NUMBERING} if said is None else said), "files": files}
    (draft / DICTIONARY).write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
