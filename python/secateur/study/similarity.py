"""The similarity study: pruning beside the full space and the reweightings, from one file to a results folder.

The file (paths are relative to it; FILE or FILE:KEY as on the command line)::

    title = "VGG-19 pruned to similarity judgments"
    features = "fc2.npy"          # stimuli × features; or images = "FOLDER", and [network]
    # control = ["pixels.npy"]    # matrices that no alignment may rest on; for methods that choose features alone
    groups = "groups.csv"         # optional: colours of the maps; sub-folders of images are groups too

    [targets.animals]             # one table a target: a matrix over the stimuli, its pairs, or several matrices
    file = "animals.mat:simMatrix"
    kind = "similarity"           # or "dissimilarity"; not needed where the format says it
    # format = "peterson2018"     # or algonauts2019, meadows, rsatoolbox; a plain matrix by default
    # mean = true                 # of several matrices in the file their mean; by default each is a target

    [targets.fruits]              # a target may have stimuli of its own
    file = "fruits.mat:simMatrix"
    features = "fc2_fruits.npy"   # or images = "FOLDER"; and its groups

    # [network]                   # what embeds images
    # name = "vgg19"              # as for secateur.networks.load; weights, weights_file, device, seed, cache
    # layer = "penultimate"       # or final, last_conv, any module; pool = "flatten" or "mean"

    [pruning]                     # optional: metric, comparator, search, max_features, device, threads
    metric = "cosine"

    [folds]                       # optional: the folds of all methods
    cv = 5
    repeats = 1
    seed = 0

``methods = ["full", "pruned"]`` above the tables leaves some out; all are full, pruned, ridge (PAG18), frrsa, lasso and
sim-dr; to be named beside them: pruned+frrsa, and baselines of pruning's size, variance, zeros, random and reversed
(:func:`secateur.compare`). ``permutations = 1000``, the default, is how often the stimuli are relabelled for p;
0: never.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas
import xarray

from ..arguments import check_integer
from ..comparison import METHODS, REWEIGHTING, compare, comparison_table
from ..features import Features
from ..measures import comparator_row
from ..report.dictionary import DICTIONARY
from ..report.drawing import mean_sd, unit_of
from ..report.formats import SETTINGS, save_figure, write_netcdf
from ..report.held_out_scores import comparison
from ..report.results import consensus
from ..report.stimulus_maps import embedding
from ..report.tables import Rows, comparison_markdown
from ..similarity import UndefinedPairsWarning
from ..statistics import signed_square
from ..validation import SmallFoldsWarning, cross_validate, kept_features
from .config import ConfigError, Folds, Place, Pruning
from .inputs import Net, Records, Target, Task, check_folds, check_reweighting, read_controls, read_tasks
from .steps import COPY, Steps, described, folds_line, pipes, pruning_line, write_tables

__all__ = [
    "CONTENTS", "RESULT", "STEPS", "Inputs", "Result", "SimilarityStudy", "compute", "describe", "load", "markdown",
    "run", "task_lines",
]  # fmt: skip

RESULT = "result.nc"
MOST_MAPS = 12
CONTENTS = {
    RESULT: "scores of every method, target and fold; a group a target: its pruning (netCDF)",
    "comparison.csv": "every method: means, SD, nodes, paired tests",
    "kept_features.csv": "how often pruning kept each feature",
    "summary.md": "all tables to read (Table 1)",
    "comparison.png": "held-out alignment of all methods",
    "comparison.svg": "the same for print",
    **{
        f"maps_{i + 1}.{kind}": f"the stimuli of target {i + 1} before and after pruning (Figure 1)"
        for i in range(MOST_MAPS)
        for kind in ("png", "svg")
    },
    DICTIONARY: "what every file and column holds",
    COPY: "the study file, as it was read",
    SETTINGS: "settings, versions, hashes of the input",
}


@dataclass(frozen=True)
class SimilarityStudy:
    """The keys of the file, as the module's page explains them."""

    targets: dict[str, Target] = field(default_factory=dict)
    features: Place | None = None
    images: Place | None = None
    groups: Place | None = None
    control: list[Place] = field(default_factory=list)
    network: Net | None = None
    title: str = "Pruned to similarity"
    permutations: int = 1000
    methods: list[
        Literal["full", "pruned", "ridge", "frrsa", "lasso", "sim-dr", "pruned+frrsa", "variance", "zeros", "random",
                "reversed"]
    ] = field(default_factory=lambda: list(METHODS))  # type: ignore[arg-type]  # fmt: skip
    pruning: Pruning = field(default_factory=Pruning)
    folds: Folds = field(default_factory=Folds)


@dataclass(frozen=True)
class Inputs:
    """What the study file names, read and checked.

    Attributes
    ----------
    tasks : targets by the stimuli that they are over.
    records : name, key, shape and SHA-256 of every file.
    notes : what the readers decided that a user should know, each a sentence.
    controls : matrices over the stimuli of the one task, or None
    """

    tasks: list[Task]
    records: Records
    notes: list[str]
    controls: list[Any] | None = None


@dataclass(frozen=True)
class Result:
    """What a study finds, one entry a space.

    Attributes
    ----------
    compared : from :func:`secateur.compare`
    pruned : from :func:`secateur.cross_validate`, on the same folds
    spaces : the embeddings
    """

    compared: list[xarray.Dataset]
    pruned: list[xarray.Dataset]
    spaces: list[Features] = field(repr=False)

    def table(self) -> xarray.Dataset:
        """All targets in one, without their stimuli."""
        parts = [one.drop_vars(["test", "stimulus"]) for one in self.compared]
        return xarray.concat(parts, "target", combine_attrs="drop_conflicts")


def load(study: SimilarityStudy, *, dry: bool = False) -> Inputs:
    """Read and check every input; nothing is pruned, and at most one photograph of a folder is embedded."""
    if not study.methods or len(set(study.methods)) < len(study.methods):
        raise ValueError(f"methods must name at least one method, each once, got {study.methods!r}")
    study.pruning.pruner("similarity")
    tasks, records, notes = read_tasks(study, dry=dry)
    check_reweighting(study, tasks)
    check_integer("permutations", study.permutations, 0)
    controls = None
    if study.control:
        fitted = [name for name in study.methods if name in REWEIGHTING]
        if fitted:
            raise ConfigError(f"methods must only choose features where control is given, got {fitted[0]!r}")
        if len(tasks) > 1:
            raise ConfigError(f"targets must be over the same stimuli where control is given, got {len(tasks)} sets")
        controls, entries, noted = read_controls(study.control, tasks[0].space)
        records, notes = [*records, *entries], list(dict.fromkeys([*notes, *noted]))
    return Inputs(tasks, records, notes, controls)


def describe(study: SimilarityStudy, inputs: Inputs) -> str:
    """What would run, for ``--dry-run``, in a few lines."""
    folds = sum(len(task.targets) * check_folds(task.space.n, study.folds) for task in inputs.tasks)
    lines = [*task_lines(inputs.tasks), f"methods: {', '.join(study.methods)}", pruning_line(study), folds_line(study)]
    lines += [f"controls: {len(inputs.controls)} files"] if inputs.controls else []
    lines += [f"targets × folds: {folds}", f"relabellings for p: {study.permutations}"]
    return described(study, lines, inputs.notes)


def task_lines(tasks: list[Task]) -> list[str]:
    """A line a space: its targets and its size."""
    lines = []
    for task in tasks:
        names = [str(name) for name in task.targets["target"].values]
        few = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        groups = "" if task.space.groups is None else f", {len(set(task.space.groups))} groups"
        lines.append(f"{few}: {task.space.words()}{groups}")
    return lines


def compute(study: SimilarityStudy, inputs: Inputs, *, progress: bool = True) -> Result:
    """Every method on every target, and the pruning itself; see :func:`secateur.compare`."""
    pruner, folds = study.pruning.pruner("similarity"), asdict(study.folds)
    compared, pruned, spaces = [], [], []
    for task in inputs.tasks:
        X = task.space.embedding(progress)
        terms: dict[str, Any] = {**folds, "permutations": study.permutations, "progress": progress}
        compared.append(compare(X, task.targets, study.methods, **terms, pruner=pruner, control=inputs.controls))
        with warnings.catch_warnings():  # the comparison has warned
            for category in (UndefinedPairsWarning, SmallFoldsWarning):
                warnings.simplefilter("ignore", category)
            terms = {**folds, "progress": progress, "control": inputs.controls}
            pruned.append(cross_validate(X, task.targets, pruner, **terms))
        spaces.append(X)
    return Result(compared, pruned, spaces)


def _fill(draft: Path, study: SimilarityStudy, inputs: Inputs, result: Result) -> None:
    whole = result.table()
    write_netcdf(draft / RESULT, whole, {str(name): one for name, one in _each(result)})
    tables = {
        "comparison.csv": comparison_table(whole).reset_index(),
        "kept_features.csv": pandas.concat([kept_features(one) for one in result.pruned], ignore_index=True),
    }
    write_tables(draft, tables, markdown(study, result))
    save_figure(comparison(whole), draft / "comparison")
    drawn = 0
    for task, X, pruned in zip(inputs.tasks, result.spaces, result.pruned, strict=True):
        for t, name in enumerate(pruned["target"].values):
            if (drawn := drawn + 1) > MOST_MAPS:
                return
            figure = embedding(
                X, consensus(pruned, t), task.space.groups, metric=study.pruning.metric, seed=study.folds.seed,
                title=f"Maps of the stimuli (MDS), pruned to {name}", pictures=task.space.thumbnails(),
            )  # fmt: skip
            save_figure(figure, draft / f"maps_{drawn}")


def _each(result: Result) -> list[tuple[Any, xarray.Dataset]]:
    """The pruning of each target."""
    return [(name, one.isel(target=[t])) for one in result.pruned for t, name in enumerate(one["target"].values)]


def markdown(study: SimilarityStudy, result: Result) -> str:
    """All tables of a result as a Markdown page.

    Parameters
    ----------
    study : SimilarityStudy
        The settings.
    result : Result
        From :func:`compute`.

    Returns
    -------
    str
        First the papers' layout, a column per target; then each space with its tests.
    """
    whole = result.table()
    squared = comparator_row(str(whole.attrs["comparator"])).is_r
    short = unit_of(whole).split()[-1] + ("²" if squared else "")
    scores = whole["test_alignment"].values  # (approach, target, fold)
    names = [str(name) for name in whole["target"].values]
    partial = "partial " if whole.attrs.get("controls") else ""
    rows: Rows = [[f"held-out {partial}{short}", *names]]
    means = [[signed_square(one) if squared else mean_sd(one)[0] for one in method] for method in scores]
    for m, method in enumerate(map(str, whole["approach"].values)):
        cells = []
        for t in range(len(names)):
            mean, sd = means[m][t], np.nan if squared else mean_sd(scores[m, t])[1]
            words = "–" if np.isnan(mean) else f"{mean:.2f}" + ("" if np.isnan(sd) else f" ({sd:.2f})")
            best = mean == np.nanmax([one[t] for one in means]) if not np.isnan(mean) else False
            cells.append(f"**{words}**" if best and len(means) > 1 else words)
        rows.append([method, *cells])
    if "pruned" in whole["approach"].values:
        kept = whole["nodes"].sel(approach="pruned").values
        spread = [(*mean_sd(one), one) for one in kept]
        rows.append(["nodes of pruned", *(f"{m:.0f}" + ("" if np.isnan(s) else f" ({s:.0f})") for m, s, _ in spread)])
    parts = [f"# {study.title}", pipes(rows)]
    message = f"Square of the mean {short[0]}, with its sign," if squared else "Mean (SD)"
    parts.append(f"- {message} over {whole.sizes['fold']} folds of stimuli, the same for all methods of a target.")
    parts += ["## Tests", *(comparison_markdown(one).rstrip("\n") for one in result.compared)]
    if len(names) > MOST_MAPS:
        parts.append(f"- Maps are drawn of the first {MOST_MAPS} of {len(names)} targets.")
    parts.append("- The maps show the features kept in at least half of the folds, for all stimuli.")
    return "\n\n".join(parts) + "\n"


STEPS = Steps(
    "similarity", SimilarityStudy, CONTENTS, load, describe, compute, _fill,
    lambda study, _, result: markdown(study, result), __doc__ or "",
)  # fmt: skip
run = STEPS.run
