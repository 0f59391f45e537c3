"""The nested study: layer, metric, comparator, search and size chosen without leaks, from one file to a results folder.

The file (paths are relative to it; FILE or FILE:KEY as on the command line)::

    title = "Which layer, how pruned"
    # groups = "groups.csv"       # stimuli of one group stay in one fold
    # control = ["pixels.npy"]    # matrices that no alignment may rest on: all are partial
    permutations = 1000           # relabellings for p; 0: never
    inner_cv = 4                  # folds of the training stimuli, on which the choice is made

    [layers]                      # stimuli × features, the same stimuli in one order: at least one
    fc6 = "fc6.npy"
    fc7 = "fc7.npy"

    [target]                      # a matrix over the stimuli, or several, each with a choice of its own
    file = "rdm.npy"
    kind = "dissimilarity"        # or "similarity"; not needed where the format says it
    # format = "rsatoolbox"       # or algonauts2019, meadows, peterson2018; plain matrices by default
    # mean = true                 # of several matrices in the file their mean

    [choose]                      # what to choose among beside layers; what is left out is that of [pruning]
    metrics = ["cosine", "correlation"]
    # comparators = ["pearson", "spearman"]   # features are found by them; scores are by that of [pruning]
    # searches = ["ranking", "stable"]
    sizes = [0, 100]              # the most features; 0: no limit

    [pruning]                     # optional: metric, comparator, search, max_features, device, threads
    comparator = "pearson"

    [folds]                       # optional: the outer folds
    cv = 5
    repeats = 1
    seed = 0

See :func:`secateur.nested`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import xarray

from ..arguments import check_integer
from ..measures import ComparatorOrAlias, Metric, Search
from ..report.choices import nested as draw
from ..report.dictionary import DICTIONARY
from ..report.drawing import unit_of
from ..report.folder import MOST_PAGES
from ..report.formats import SETTINGS, save_figure, write_netcdf
from ..report.tables import Rows, number_words
from ..statistics import mean_of_defined
from ..validation import nested, nested_table, split, warn_of_small_folds
from ..validation.choices import plan_nested
from .config import ConfigError, Folds, Place, Pruning
from .inputs import Layers, Matrices, read_layers
from .steps import COPY, Steps, described, folds_line, folds_words, pipes, pruning_line, write_tables

__all__ = [
    "CONTENTS", "RESULT", "STEPS", "Choose", "NestedStudy", "choices_table", "compute", "describe", "load", "markdown",
    "run",
]  # fmt: skip

RESULT = "result.nc"
CONTENTS = {
    RESULT: "inner and held-out scores of every candidate, target and fold; what was chosen (netCDF)",
    "choices.csv": "what each outer fold chose, and what that scored",
    "candidates.csv": "every candidate: means over outer folds, how often it was chosen",
    "summary.md": "both as tables to read",
    **{
        f"choices_{i + 1}.{kind}": f"candidates, choices and held-out scores of target {i + 1}"
        for i in range(MOST_PAGES)
        for kind in ("png", "svg")
    },
    DICTIONARY: "what every file and column holds",
    COPY: "the study file, as it was read",
    SETTINGS: "settings, versions, hashes of the input",
}
NAMES = ("layer", "metric", "prunes_by", "search", "max_features")


@dataclass(frozen=True)
class Choose:
    """``[choose]``: the lists of :func:`secateur.nested`; an empty one is the parameter of ``[pruning]`` alone."""

    metrics: list[Metric] = field(default_factory=list)
    comparators: list[ComparatorOrAlias] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class NestedStudy:
    """The keys of the file, as the module's page explains them."""

    target: Matrices
    layers: dict[str, Place] = field(default_factory=dict)
    groups: Place | None = None
    control: list[Place] = field(default_factory=list)
    title: str = "Chosen inside"
    permutations: int = 1000
    inner_cv: int = 4
    choose: Choose = field(default_factory=Choose)
    pruning: Pruning = field(default_factory=Pruning)
    folds: Folds = field(default_factory=Folds)


def _lists(study: NestedStudy) -> dict[str, Any]:
    """The lists to choose from, as :func:`secateur.nested` takes them; None where there is none."""
    chosen = study.choose
    sizes = [None if size == 0 else size for size in chosen.sizes]
    return {
        "metrics": chosen.metrics or None, "comparators": chosen.comparators or None,
        "searches": chosen.searches or None, "sizes": sizes or None,
    }  # fmt: skip


def load(study: NestedStudy, *, dry: bool = False) -> Layers:
    """Read and check every input; nothing is pruned."""
    study.pruning.pruner("similarity")
    check_integer("permutations", study.permutations, 0)
    for size in study.choose.sizes:
        if size < 0:
            raise ConfigError(f"choose.sizes must be numbers of features, or 0 for no limit, got {size}")
    for name, given in asdict(study.choose).items():
        if len(set(given)) < len(given):
            raise ConfigError(f"choose.{name} must name each once, got {given!r}")
    inputs = read_layers("layers", study.layers, study.target, study.groups, study.folds, study.control)
    least = min(len(train) for train, _ in _outer(study, inputs))
    if not 2 <= study.inner_cv <= least // 3:
        raise ConfigError(
            f"inner_cv must be from 2 to {least // 3} folds of {least} training stimuli, so that each has 3, got "
            f"{study.inner_cv}"
        )
    names = {"metrics": "metric", "comparators": "comparator", "searches": "search", "sizes": "max_features"}
    plan = plan_nested(
        inputs.features, inputs.targets, {names[name]: given for name, given in _lists(study).items()},
        **asdict(study.folds), groups=inputs.space.groups, pruner=study.pruning.pruner("similarity"),
        inner_cv=study.inner_cv, control=inputs.controls, permutations=study.permutations,
    )  # fmt: skip
    if dry:
        warn_of_small_folds(plan.folds)
    return inputs


def _outer(study: NestedStudy, inputs: Layers) -> list[Any]:
    folds = study.folds
    return split(inputs.space.n, folds.cv, folds.repeats, folds.seed, inputs.space.groups)[0]


def describe(study: NestedStudy, inputs: Layers) -> str:
    """What would run, for ``--dry-run``, in a few lines."""
    lines = [f"layer {name}: {one.d} features" for name, one in inputs.features.items()]
    count = len(inputs.targets["target"])
    lines += [f"stimuli: {inputs.space.n}; matrices of the target: {count}"]
    lines += [f"controls: {len(inputs.controls)} files"] if inputs.controls else []
    each = len(inputs.features)
    for name, given in _lists(study).items():
        if given:
            each *= len(given)
            words = ["no limit" if one is None else str(one) for one in given]
            lines.append(f"{name}: {', '.join(words)}")
    lines += [pruning_line(study), f"{folds_line(study)}; inner folds: {study.inner_cv}"]
    folds = len(_outer(study, inputs))
    lines.append(f"candidates: {each} at most; searches: {each * folds * (1 + study.inner_cv)} for each matrix")
    lines.append(f"relabellings for p: {study.permutations}")
    return described(study, lines, inputs.notes)


def compute(study: NestedStudy, inputs: Layers, *, progress: bool = True) -> xarray.Dataset:
    """The choice of every outer fold; see :func:`secateur.nested`."""
    return nested(
        inputs.features, inputs.targets, **_lists(study), pruner=study.pruning.pruner("similarity"),
        **asdict(study.folds), inner_cv=study.inner_cv, groups=inputs.space.groups, control=inputs.controls,
        permutations=study.permutations, progress=progress,
    )  # fmt: skip


def choices_table(result: xarray.Dataset) -> pandas.DataFrame:
    """What each outer fold chose, one row a target and fold.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.nested`.

    Returns
    -------
    pandas.DataFrame
        Columns ``target``, ``repeat``, ``fold``, ``layer``, ``metric``, ``prunes_by``, ``search``, ``max_features``
        (NaN: no limit), ``n_kept``, ``inner_score``, ``full_test``, ``pruned_test``.
    """
    rows = []
    for t, name in enumerate(result["target"].values):
        for f in range(result.sizes["fold"]):
            one, c = result.isel(target=t, fold=f), int(result["chosen"].values[t, f])
            known = {what: result[what].values[c] for what in NAMES}
            scores = {what: float(one[what]) for what in ("full_test", "pruned_test")}
            inner = float(one["inner_score"].values[c])
            at = {"target": name, "repeat": int(one["repeat"]), "fold": f}
            rows.append({**at, **known, "n_kept": int(one["n_kept"]), "inner_score": inner, **scores})
    return pandas.DataFrame(rows)


def _fill(draft: Path, study: NestedStudy, inputs: Layers, result: xarray.Dataset) -> None:
    write_netcdf(draft / RESULT, result)
    tables = {"choices.csv": choices_table(result), "candidates.csv": nested_table(result)}
    write_tables(draft, tables, markdown(study, inputs, result))
    for t in range(min(result.sizes["target"], MOST_PAGES)):
        save_figure(draw(result, t), draft / f"choices_{t + 1}")


def _size(value: float) -> str:
    return "no limit" if np.isnan(value) else f"{value:.0f}"


def markdown(study: NestedStudy, inputs: Layers, result: xarray.Dataset) -> str:
    """All tables of a result as a Markdown page.

    Parameters
    ----------
    study : NestedStudy
        The settings.
    inputs : Layers
        From :func:`load`.
    result : xarray.Dataset
        From :func:`compute`.

    Returns
    -------
    str
        For each target the choice of every outer fold, and every candidate.
    """
    unit, parts = unit_of(result), [f"# {study.title}"]
    chosen, candidates = choices_table(result), nested_table(result)
    for t, name in enumerate(result["target"].values):
        one = result.isel(target=t)
        mean = float(mean_of_defined(one["pruned_test"].values[:, None])[0])
        full = float(mean_of_defined(one["full_test"].values[:, None])[0])
        words = f"chosen inside, held-out {unit}: {number_words(mean, '.3f')}; all features of the chosen layer: "
        words += number_words(full, ".3f")
        if "p_pruned_test" in result:
            words += f"; p = {float(one['p_pruned_test']):.2g} ({result.sizes['permutation']} relabellings)"
        parts.append(f"## {name}\n\n**{words}**")
        rows: Rows = [["fold", "layer", "metric", "prunes by", "search", "most features", "kept", "inner", "held out"]]
        for row in chosen[chosen.target == name].itertuples():
            scores = number_words(row.inner_score, ".3f"), number_words(row.pruned_test, ".3f")
            how = str(row.layer), str(row.metric), str(row.prunes_by), str(row.search), _size(row.max_features)
            rows.append([str(row.fold), *how, str(row.n_kept), *scores])
        parts.append(pipes(rows, 5))
        rows = [["candidate: layer", "metric", "prunes by", "search", "most features", "inner", "held out", "folds"]]
        for row in candidates[candidates.target == name].itertuples():
            scores = number_words(row.inner_score, ".3f"), number_words(row.test, ".3f")
            last = row.layer == "chosen inside" and isinstance(row.metric, float)
            named = [str(row.metric), str(row.prunes_by), str(row.search), _size(row.max_features)]
            cells = [str(row.layer), *([""] * 4 if last else named), *scores, f"{row.folds_chosen} of {row.folds}"]
            rows.append([f"**{cell}**" if last and cell else cell for cell in cells])
        parts.append(pipes(rows, 4))
    folds = folds_words(study.folds.cv, study.folds.repeats)
    notes = [
        f"{folds} outer folds of {inputs.space.n} stimuli; the choice is made on {study.inner_cv} folds of the "
        "training stimuli of each (inner: means over these).",
        "The best candidate's held-out score is too high, since it was picked by looking at it; the score of what was "
        "chosen inside is not.",
    ]
    if inputs.controls:
        notes.append("All alignments are partial, given the controls.")
    parts.append("\n".join(f"- {one}" for one in notes))
    return "\n\n".join(parts) + "\n"


STEPS = Steps("nested", NestedStudy, CONTENTS, load, describe, compute, _fill, markdown, __doc__ or "")
run = STEPS.run
