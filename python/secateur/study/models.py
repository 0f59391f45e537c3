"""The models study: networks and layers side by side, full, pruned and reweighted, from one file to a results folder.

The file (paths are relative to it; FILE or FILE:KEY as on the command line)::

    title = "Two layers beside each other"
    # groups = "groups.csv"       # stimuli of one group stay in one fold
    spaces = ["full", "pruned", "reweighted"]
    n = 20                        # divisions of the stimuli for intervals and p
    # over = "both"               # what these generalise to: stimuli, subjects or both, by default all that can be

    [models]                      # stimuli × features, the same stimuli in one order: at least one
    fc6 = "fc6.npy"
    fc7 = "fc7.npy"

    [target]                      # a matrix over the stimuli, or one per subject
    file = "rdms.npy"
    kind = "dissimilarity"        # or "similarity"; not needed where the format says it
    # format = "rsatoolbox"       # or algonauts2019, meadows, peterson2018; plain matrices by default
    # mean = true                 # of several matrices in the file their mean; by default each is a subject

    # [recovery]                  # simulate: would the model that made a target be found?
    # n = 20                      # targets of each model and noise
    # noise = [0.5, 1.0, 2.0]     # SD of a subject's noise, by that of the similarities
    # subjects = 8
    # share = 0.1                 # of a model's features, which make the target

    [pruning]                     # optional: metric, comparator, search, max_features, device, threads
    metric = "cosine"

    [folds]                       # optional: the folds of all models and spaces
    cv = 5
    repeats = 1
    seed = 0

Spaces are those of :func:`secateur.compare_models`: full, pruned, reweighted (frrsa), ridge, lasso, sim-dr,
pruned+frrsa, and pruning's baselines, variance, zeros, random and reversed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray

from ..models import SPACES, check_recovery, compare_models, differences_table, model_recovery, plan_models
from ..report.dictionary import DICTIONARY
from ..report.drawing import unit_of
from ..report.formats import SETTINGS, save_figure, write_netcdf
from ..report.model_scores import models as draw_models
from ..report.model_scores import recovery as draw_recovery
from ..report.tables import Rows, number_words
from ..validation import split, warn_of_small_folds
from .config import ConfigError, Folds, Place, Pruning
from .inputs import Layers, Matrices, read_layers
from .steps import COPY, Steps, described, folds_line, folds_words, pipes, pruning_line, write_tables

__all__ = [
    "CONTENTS", "RESULT", "STEPS", "ModelsStudy", "Recovery", "Result", "compute", "describe", "load", "markdown", "run"
]  # fmt: skip

RESULT = "result.nc"
CONTENTS = {
    RESULT: "scores of every model, space, target and fold, their differences; the group recovery (netCDF)",
    "scores.csv": "every model and space: score, interval, nodes",
    "differences.csv": "every tested pair: difference, interval, p",
    "recovery.csv": "simulated targets: how often each model wins",
    "summary.md": "all tables to read",
    "models.png": "bars with intervals, the noise ceiling, lines over pairs that differ",
    "models.svg": "the same for print",
    "recovery.png": "how often the model that made a target wins",
    "recovery.svg": "the same for print",
    DICTIONARY: "what every file and column holds",
    COPY: "the study file, as it was read",
    SETTINGS: "settings, versions, hashes of the input",
}


@dataclass(frozen=True)
class Recovery:
    """``[recovery]``: as in :func:`secateur.model_recovery`, with the spaces of the study."""

    n: int = 20
    noise: list[float] = field(default_factory=lambda: [0.5, 1.0, 2.0])
    subjects: int = 8
    share: float = 0.1


@dataclass(frozen=True)
class ModelsStudy:
    """The keys of the file, as the module's page explains them."""

    target: Matrices
    models: dict[str, Place] = field(default_factory=dict)
    groups: Place | None = None
    title: str = "Models side by side"
    spaces: list[
        Literal["full", "pruned", "reweighted", "ridge", "frrsa", "lasso", "sim-dr", "pruned+frrsa", "variance",
                "zeros", "random", "reversed"]
    ] = field(default_factory=lambda: list(SPACES))  # type: ignore[arg-type]  # fmt: skip
    n: int = 20
    over: Literal["both", "stimuli", "subjects"] | None = None
    recovery: Recovery | None = None
    pruning: Pruning = field(default_factory=Pruning)
    folds: Folds = field(default_factory=Folds)


@dataclass(frozen=True)
class Result:
    """What a study finds.

    Attributes
    ----------
    compared : from :func:`secateur.compare_models`
    recovered : from :func:`secateur.model_recovery`, or None
    """

    compared: xarray.Dataset
    recovered: xarray.Dataset | None


def load(study: ModelsStudy, *, dry: bool = False) -> Layers:
    """Read and check every input; nothing is pruned."""
    if not study.spaces or len(set(study.spaces)) < len(study.spaces):
        raise ValueError(f"spaces must name at least one space, each once, got {study.spaces!r}")
    study.pruning.pruner("similarity")
    if study.recovery is not None and len(study.models) < 2:
        raise ConfigError(f"models must be at least two for [recovery], got {len(study.models)}")
    inputs = read_layers("models", study.models, study.target, study.groups, study.folds)
    subjects = inputs.targets.sizes["target"]
    if study.over in ("both", "subjects") and subjects < 2:
        raise ConfigError(f"over must be 'stimuli' where target is one matrix, got {study.over!r}")
    pruner, groups, folds = study.pruning.pruner("similarity"), inputs.space.groups, asdict(study.folds)
    plan = plan_models(
        inputs.features, inputs.targets, study.spaces, **folds, groups=groups, pruner=pruner, over=study.over, n=study.n
    )
    for entry in plan.entries:
        entry.check_sizes(plan.folds, groups)
    if dry:
        warn_of_small_folds(plan.folds)
    if study.recovery is not None:
        try:
            check_recovery(**asdict(study.recovery))
        except ValueError as error:
            raise ConfigError(f"recovery.{error}") from error
    return inputs


def describe(study: ModelsStudy, inputs: Layers) -> str:
    """What would run, for ``--dry-run``, in a few lines."""
    n, subjects = inputs.space.n, inputs.targets.sizes["target"]
    lines = [f"model {name}: {one.d} features" for name, one in inputs.features.items()]
    lines += [f"stimuli: {n}; matrices of the target: {subjects}", f"spaces: {', '.join(study.spaces)}"]
    lines += [pruning_line(study), folds_line(study)]
    folds = len(split(n, study.folds.cv, study.folds.repeats, study.folds.seed)[0])
    each = len(inputs.features) * len(study.spaces) * folds
    divisions = 0 if study.over == "subjects" else 3 * study.n
    lines.append(f"models × spaces × folds: {each}, learnt {1 + divisions} times for each matrix")
    if study.recovery is not None:
        made = study.recovery.n * len(study.recovery.noise) * len(inputs.features)
        lines.append(f"simulated targets: {made}, of {study.recovery.subjects} subjects")
    return described(study, lines, inputs.notes)


def compute(study: ModelsStudy, inputs: Layers, *, progress: bool = True) -> Result:
    """All models in all spaces, and the simulation; see :func:`secateur.compare_models` and ``model_recovery``."""
    pruner, groups = study.pruning.pruner("similarity"), inputs.space.groups
    terms: dict[str, Any] = {"groups": groups, "pruner": pruner, "progress": progress}
    folds = asdict(study.folds)
    compared = compare_models(
        inputs.features, inputs.targets, study.spaces, **folds, **terms, over=study.over, n=study.n
    )
    recovered = None
    if study.recovery is not None:
        how = asdict(study.recovery)
        recovered = model_recovery(
            inputs.features, spaces=study.spaces, cv=study.folds.cv, seed=study.folds.seed, **how, **terms
        )
    return Result(compared, recovered)


def _fill(draft: Path, study: ModelsStudy, inputs: Layers, result: Result) -> None:
    whole, simulated = result.compared, result.recovered
    write_netcdf(draft / RESULT, whole, {} if simulated is None else {"recovery": simulated})
    scores = whole[["score", "error_score"]].to_dataframe()
    for bound in ("lower", "upper"):
        scores[bound] = whole["interval_score"].sel(bound=bound, drop=True).to_series()
    scores["nodes"] = whole["nodes"].mean(["target", "fold"]).to_series()
    tables = {"scores.csv": scores.reset_index(), "differences.csv": differences_table(whole).reset_index()}
    if simulated is not None:
        tables["recovery.csv"] = simulated[["chosen", "score"]].to_dataframe().reset_index()
        save_figure(draw_recovery(simulated), draft / "recovery")
    write_tables(draft, tables, markdown(study, inputs, result))
    save_figure(draw_models(whole), draft / "models")


def markdown(study: ModelsStudy, inputs: Layers, result: Result) -> str:
    """All tables of a result as a Markdown page.

    Parameters
    ----------
    study : ModelsStudy
        The settings.
    inputs : Layers
        From :func:`load`.
    result : Result
        From :func:`compute`.

    Returns
    -------
    str
        Scores with their intervals, a column per space; differences of every tested pair; the simulation.
    """
    whole = result.compared
    spaces = [str(name) for name in whole["space"].values]
    rows: Rows = [[f"held-out {unit_of(whole)}", "features", *spaces]]
    for name in map(str, whole["model"].values):
        cells = []
        for space in spaces:
            one = whole.sel(model=name, space=space)
            low, high = one["interval_score"].values
            nodes = float(one["nodes"].mean())
            used = "" if np.isnan(nodes) or space == "full" else f", {nodes:.0f}"
            words = f"{number_words(float(one['score']), '.3f')} ({number_words(low, '.3f')} to "
            cells.append(f"{words}{number_words(high, '.3f')}{used})")
        rows.append([name, str(inputs.features[name].d), *cells])
    parts = [f"# {study.title}", pipes(rows)]
    over = {"both": "stimuli and subjects"}.get(str(whole.attrs["over"]), str(whole.attrs["over"]))
    subjects = whole.sizes["target"]
    share = 100 * float(whole.attrs["confidence"])
    words = f"- Mean over {folds_words(study.folds.cv, study.folds.repeats)} folds of {inputs.space.n} stimuli"
    words += f" and {subjects} subjects" if subjects > 1 else ""
    words += f", the same folds for all; in brackets the {share:g} % interval over {over}, and features used."
    if "ceiling" in whole:
        low, high = whole["ceiling"].values
        words += f"\n- Noise ceiling on the same test stimuli: {low:.3f} to {high:.3f}."
    parts += [words, "## Differences"]
    rows = [["pair", "difference", "interval", "t", "df", "p", "p (Holm)", "q"]]
    for pair, row in differences_table(whole).iterrows():
        interval = f"{number_words(row.lower, '+.3f')} to {number_words(row.upper, '+.3f')}"
        cells = [number_words(row[name], ".2g") for name in ("p", "p_holm", "q")]
        sizes = [number_words(row.t, ".2f"), number_words(row.df, ".0f")]
        rows.append([str(pair), number_words(row.difference, "+.3f"), interval, *sizes, *cells])
    if len(rows) > 1:
        words = "- p two-sided; Holm and q (false discovery rate) over all pairs of models in a space, or "
        words += "of spaces of a model."
        parts += [pipes(rows), words]
    else:
        parts.append("One model in one space: there is nothing to compare.")
    if result.recovered is not None:
        parts += ["## Would the model that made a target be found?", *_recovery(result.recovered)]
    return "\n\n".join(parts) + "\n"


def _recovery(result: xarray.Dataset) -> list[str]:
    """How often the model that made a simulated target wins, and what is to be known of it."""
    rows: Rows = [["noise", "noise ceiling", *map(str, result["space"].values)]]
    for level in result["noise"].values:
        one = result.sel(noise=level)
        low, high = one["ceiling"].values
        shares = [
            f"{100 * float(share):.0f} ± {100 * float(error):.0f} %"
            for share, error in zip(one["accuracy"].values, one["accuracy_error"].values, strict=True)
        ]
        rows.append([f"{level:g}", f"{low:.2f} to {high:.2f}", *shares])
    models, n = result.sizes["model"], int(result.attrs["n"])
    words = f"- Share (± standard error) of {n} simulated targets of each of {models} models, with "
    words += f"{result.attrs['subjects']} subjects each, that the model which made them wins; chance is "
    words += f"{100 / models:.0f} %. The row whose ceiling is like that of the target is the one to read."
    return [pipes(rows), words]


STEPS = Steps("models", ModelsStudy, CONTENTS, load, describe, compute, _fill, markdown, __doc__ or "")
run = STEPS.run
