"""The retention study: what a network still classifies when it is pruned to a target, or reweighted by it.

The file (paths are relative to it; FILE or FILE:KEY as on the command line)::

    title = "What VGG-19 still classifies"
    test_images = "imagenet/val"  # photographs to classify, a sub-folder a class
    mapping = "classes.csv"       # optional: sub-folder, class (its name in the network, or its index); WordNet ids of
                                  # ImageNet's animals are known without
    category = ["0-397"]          # optional: the classes that errors may shift to; indices, ranges, or names
    images = "animals"            # photographs that the targets are over, embedded by the same network;
                                  # or features = "fc2.npy", its penultimate layer

    [network]
    name = "vgg19"                # as for secateur.networks.load; weights, weights_file, device, seed
    # cache = "cache"             # a folder where features are kept

    [targets.animals]             # what pruning and reweighting fit, one table each
    file = "animals.mat:simMatrix"
    kind = "similarity"           # or "dissimilarity"; format, mean, features and images as in the study of similarity

    [pruning]                     # optional: metric, comparator, search, max_features, device, threads
    [folds]                       # optional: each fold's training stimuli make a network of their own
    cv = 5
    repeats = 1
    seed = 0

``methods = ["pruned"]`` above the tables leaves ridge (PAG18) and lasso out. A reweighting s_ij = Σ w_k x_ik x_jk is
that of a network whose activations are multiplied by √w_k; of a negative weight, which ridge may have, no
multiplication is, and -√|w_k| is taken. ``scaling = "weight"`` takes w_k itself, as a multiplier of activations.
Multipliers are then scaled so that the embedding keeps its mean square over the stimuli, since similarities say nothing
of it and the classifier's biases do.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas
import xarray
from sklearn.base import clone

from ..comparison import REWEIGHTING
from ..datasets import load_imagenet_animals
from ..features import Indices, Matrix
from ..progress import with_progress
from ..provenance import own_version
from ..report.dictionary import DICTIONARY
from ..report.formats import SETTINGS, save_figure, write_netcdf
from ..report.retention import classification, consistency
from ..report.tables import Rows, number_words, plus_minus_words
from ..targets import read_target
from ..validation import cross_validate, split
from .config import ConfigError, Folds, Place, Pruning
from .inputs import (
    Net,
    Records,
    Seen,
    Target,
    Task,
    check_folds,
    check_reweighting,
    network_record,
    open_network,
    read_tasks,
    see,
)
from .similarity import task_lines
from .steps import COPY, Steps, described, folds_line, folds_words, pipes, pruning_line, write_tables

__all__ = ["CONTENTS", "RESULT", "STEPS", "Inputs", "RetentionStudy", "compute", "describe", "load", "markdown", "run"]

RESULT = "result.nc"
CONTENTS = {
    RESULT: "ranks, accuracies, correspondence, errors, multipliers of every target and fold (netCDF)",
    "accuracy.csv": "top-1 and top-5 of every target, version and fold (Figure 2)",
    "correspondence.csv": "how alike every two folds' class probabilities are",
    "errors.csv": "where substantial errors land",
    "summary.md": "all tables to read",
    "classification.png": "top-1 and top-5 (Figure 2)",
    "classification.svg": "the same for print",
    "consistency.png": "agreement of folds, and the shift of errors",
    "consistency.svg": "the same for print",
    DICTIONARY: "what every file and column holds",
    COPY: "the study file, as it was read",
    SETTINGS: "settings, versions, hashes of the input",
}


@dataclass(frozen=True)
class RetentionStudy:
    """The keys of the file, as the module's page explains them."""

    test_images: Place
    network: Net
    targets: dict[str, Target] = field(default_factory=dict)
    features: Place | None = None
    images: Place | None = None
    mapping: Place | None = None
    category: list[str] = field(default_factory=list)
    title: str = "What a pruned network still classifies"
    methods: list[Literal["pruned", "ridge", "lasso"]] = field(default_factory=lambda: ["pruned", "ridge", "lasso"])
    scaling: Literal["root", "weight"] = "root"
    pruning: Pruning = field(default_factory=Pruning)
    folds: Folds = field(default_factory=Folds)


@dataclass(frozen=True)
class Inputs:
    """What the study file names, read and checked.

    Attributes
    ----------
    tasks : targets by the stimuli that they are over.
    seen : the photographs to classify.
    truth : (n,) their classes.
    category : classes that errors may shift to, or None.
    records : name, key, shape and SHA-256 of every file.
    notes : what the readers decided that a user should know, each a sentence.
    """

    tasks: list[Task]
    seen: Seen
    truth: Indices
    category: Indices | None
    records: Records
    notes: list[str]


def load(study: RetentionStudy, *, dry: bool = False) -> Inputs:
    """Read and check every input; nothing is pruned, and at most one photograph of a folder is embedded."""
    if study.network.layer != "penultimate":
        raise ConfigError(f"network.layer must be 'penultimate', which is what is pruned, got {study.network.layer!r}")
    if "pruned" not in study.methods or len(set(study.methods)) < len(study.methods):
        raise ConfigError(f"methods must hold 'pruned', and each once, got {study.methods!r}")
    study.pruning.pruner("similarity")
    network, said = open_network(study.network, dry=dry)
    network.part("classifier")
    tasks, records, notes = read_tasks(study, network)
    notes = [*said, *notes]
    check_reweighting(study, tasks)
    seen, entry = see(study.test_images, study.network, network)
    records.append({**entry, "role": "test_images"})
    for task in tasks:
        if task.space.d != seen.d:
            raise ConfigError(
                f"features must be the penultimate layer of {network.name}, {seen.d} features, got {task.space.d}"
            )
    if seen.images.categories is None:
        raise ConfigError("test_images must be in a sub-folder for each class, got photographs alone")
    classes = _classes(seen)
    truth = _truth(study, seen, classes)
    if not any(one["role"] == "network" for one in records):
        records.append(network_record(study.network, network))
    category = _category(study.category, classes) if study.category else None
    return Inputs(tasks, seen, truth, category, records, list(dict.fromkeys([*notes, *seen.images.notes])))


def _classes(seen: Seen) -> tuple[str, ...]:
    """What the network's logits stand for; their indices where it doesn't say."""
    if seen.network.classes is not None:
        return seen.network.classes
    from ..networks.retention import logits_of

    return tuple(map(str, range(logits_of(seen.network, np.zeros((1, seen.d))).shape[1])))


def _truth(study: RetentionStudy, seen: Seen, classes: tuple[str, ...]) -> Indices:
    """The class of each photograph, by its sub-folder."""
    from ..networks.retention import class_indices

    known: dict[str, Any] = {}
    if len(classes) == 1000:  # ImageNet's, which begin with its animals
        known = {str(synset): i for i, synset in enumerate(load_imagenet_animals().synsets)}
    known |= _mapping(study.mapping) if study.mapping else {}
    return class_indices(cast("tuple[str, ...]", seen.images.categories), classes, known)


def _mapping(place: Place) -> dict[str, Any]:
    """Sub-folder -> class, by name or index."""
    path = Path(place)
    if not path.is_file():
        raise ConfigError(f"mapping must be a .csv file, got {path.name!r}, which does not exist")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
    wrong = next((i for i, row in enumerate(rows) if len(row) != 2), None)
    if wrong is not None:
        raise ConfigError(f"{path.name} must have two columns, sub-folder and class, got {len(rows[wrong])} in a line")
    return {name: int(one) if one.isdigit() else one for name, one in rows}


def _category(given: list[str], classes: tuple[str, ...]) -> Indices:
    """Indices of classes, from indices, ranges and names."""
    from ..networks.retention import class_indices

    found: list[int] = []
    for one in given:
        first, dash, last = one.partition("-")
        if one.isdigit():
            found.append(int(one))
        elif dash and first.isdigit() and last.isdigit():
            found += range(int(first), int(last) + 1)
        else:
            found += class_indices([one], classes).tolist()
    wrong = [i for i in found if i >= len(classes)]
    if wrong or not found:
        got = wrong[0] if wrong else given
        raise ConfigError(f"category must hold classes from 0 to {len(classes) - 1}, got {got}")
    return np.unique(np.array(found, dtype=np.int64))


def describe(study: RetentionStudy, inputs: Inputs) -> str:
    """What would run, for ``--dry-run``, in a few lines."""
    seen = inputs.seen
    lines = [f"network: {seen.network.name}, {seen.d} features in the penultimate layer"]
    lines.append(f"test images: {len(seen.images)} of {len(np.unique(inputs.truth))} classes")
    if inputs.category is not None:
        inside = int(np.isin(inputs.truth, inputs.category).sum())
        lines.append(f"category: {len(inputs.category)} classes, {inside} of the test images")
    lines += [f"target {line}" for line in task_lines(inputs.tasks)]
    lines += [f"methods: {', '.join(study.methods)}", pruning_line(study), folds_line(study)]
    folds = sum(len(task.targets) * check_folds(task.space.n, study.folds) for task in inputs.tasks)
    lines.append(f"networks to classify with: {1 + folds * len(study.methods)}")
    return described(study, lines, inputs.notes)


def compute(study: RetentionStudy, inputs: Inputs, *, progress: bool = True) -> xarray.Dataset:
    """Multipliers of every target, version and fold, and what the networks with them classify.

    Parameters
    ----------
    study, inputs
        From :func:`secateur.study.read_config` and :func:`load`.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (target, version, fold[, stimulus | place | feature]) and (target, pair)
        What :func:`secateur.networks.retention.accuracy`, ``correspondence`` (``correspondence_mean``, ``_min``,
        ``_max`` over images) and ``error_shift`` give; ``multiplier``; ``full_test``, ``pruned_test``, ``n_kept``.
    """
    from ..networks.retention import accuracy, correspondence, error_shift

    net = inputs.seen.network
    embedding = inputs.seen.embed(progress)
    parts = []
    for task in inputs.tasks:
        for name, versions, scores in _multipliers(study, task, progress):
            one = accuracy(net, embedding, inputs.truth, versions)
            one = one.assign(rank=one["rank"].astype(np.int32), predicted=one["predicted"].astype(np.int32))
            agreed = correspondence(net, embedding, versions["pruned"])
            for what in ("mean", "min", "max"):
                one[f"correspondence_{what}"] = getattr(agreed["correlation"], what)("stimulus")
            one = one.assign_coords(fold_a=agreed["fold_a"], fold_b=agreed["fold_b"])
            if inputs.category is not None:
                shift = error_shift(net, embedding, inputs.category, inputs.truth, versions)
                one = one.merge(shift, combine_attrs="drop_conflicts")
            full = np.ones((1, inputs.seen.d))
            made = [np.broadcast_to(v, (one.sizes["fold"], inputs.seen.d)) for v in (full, *versions.values())]
            one["multiplier"] = (("version", "fold", "feature"), np.stack(made).astype(np.float64))
            one = one.merge(scores).assign_coords(target=name)
            parts.append(one)
    whole = xarray.concat(parts, "target", data_vars="all", combine_attrs="drop_conflicts")
    for shared in ("truth", "images"):  # the same for all targets
        if shared in whole:
            whole[shared] = whole[shared].isel(target=0, drop=True)
    attrs = {"network": net.name, "scaling": study.scaling, **asdict(study.folds)}
    return whole.assign_attrs({**_settings(study), **attrs})


def _settings(study: RetentionStudy) -> dict[str, Any]:
    how = {name: value for name, value in asdict(study.pruning).items() if value is not None}
    return {**how, "secateur_version": own_version()}


def _multipliers(study: RetentionStudy, task: Task, progress: bool) -> list[tuple[str, dict[str, Any], xarray.Dataset]]:
    """For each target its name, what each version multiplies features by, (fold, d), and the pruning's scores."""
    pruner, how = study.pruning.pruner("similarity"), asdict(study.folds)
    X = task.space.embedding(progress)
    targets = read_target(task.targets, X.n)
    validated = cross_validate(X, task.targets, pruner, **how, progress=progress)
    folds, _ = split(X.n, **how)
    weights: dict[str, Any] = {name: [] for name in study.methods if name != "pruned"}
    steps = [(fold, name) for fold in folds for name in weights]
    for (train, _), name in with_progress(steps, len(steps), "reweightings", progress):
        learner = clone(REWEIGHTING[name]).set_params(comparator=pruner.comparator)
        weights[name].append(learner.fit(X.among(train).values, targets.among(train)).coef_)  # (T, d)
    made = []
    for t, name in enumerate(map(str, validated["target"].values)):
        versions: dict[str, Any] = {}
        for method in study.methods:
            if method == "pruned":
                versions[method] = validated["kept"].values[t]
            else:
                learnt = np.stack(weights[method])[:, t]
                versions[method] = np.stack([_scaled(one, X.values, study.scaling) for one in learnt])
        made.append((name, versions, validated[["full_test", "pruned_test", "n_kept"]].isel(target=t, drop=True)))
    return made


def _scaled(weights: Matrix, X: Matrix, scaling: str) -> Matrix:
    """Multipliers of features, which leave the embedding of X as large as it was."""
    factor = np.sign(weights) * np.sqrt(np.abs(weights)) if scaling == "root" else weights
    size = float(((X * factor) ** 2).sum())
    return factor * np.sqrt(float((X**2).sum()) / size) if size > 0 else factor


def _fill(draft: Path, study: RetentionStudy, inputs: Inputs, result: xarray.Dataset) -> None:
    write_netcdf(draft / RESULT, result)
    tables = {"accuracy.csv": _table(result, ["top1", "top5"]), "correspondence.csv": _pairs(result)}
    if "share" in result:
        tables["errors.csv"] = _table(result, ["errors", "landed", "share"])
    write_tables(draft, tables, markdown(result, study.title))
    save_figure(classification(result), draft / "classification")
    save_figure(consistency(result), draft / "consistency")


def _table(result: xarray.Dataset, names: list[str]) -> pandas.DataFrame:
    flat = result[names].drop_vars(["repeat"], errors="ignore").to_dataframe().reset_index()
    return flat[[name for name in flat.columns if name in {*result[names].dims, *names}]]


def _pairs(result: xarray.Dataset) -> pandas.DataFrame:
    names = [f"correspondence_{what}" for what in ("mean", "min", "max")]
    return result[names].to_dataframe().reset_index()[["target", "fold_a", "fold_b", *names]]


def markdown(result: xarray.Dataset, title: str) -> str:
    """All tables of a result as a Markdown page.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`compute`.
    title : str
        The heading.

    Returns
    -------
    str
    """
    attrs, names = result.attrs, [str(name) for name in result["target"].values]
    versions = [str(name) for name in result["version"].values]
    folds = result.sizes["fold"]
    facts = (
        f"{attrs['network']} · {result.sizes['stimulus']} test images of {len(np.unique(result['truth']))} classes "
        f"· {attrs['metric']} similarity · search {attrs['search']} · "
        f"{folds_words(attrs['cv'], attrs['repeats'])} folds, seed {attrs['seed']} · "
        f"Secateur {attrs['secateur_version']}"
    )
    parts = [f"# {title}", facts, "## Classification, in percent"]
    rows: Rows = [["version", "", *names]]
    for v, version in enumerate(versions):
        for top, words in (("top1", "top-1"), ("top5", "top-5")):
            values = 100 * result[top].values[:, v]
            rows.append([version, words, *_percent_words(values, version)])
    rows.append(["nodes of pruned", "", *(plus_minus_words(one, 0) for one in result["n_kept"].values.astype(float))])
    for name, words in (("full_test", "full"), ("pruned_test", "pruned")):
        rows.append([f"held-out alignment, {words}", "", *(plus_minus_words(one, 3) for one in result[name].values)])
    parts.append(pipes(rows, 2))
    parts.append("## Agreement of the folds' pruned networks")
    rows = [["correlation of class probabilities", *names]]
    each = result["correspondence_mean"].values  # (target, pair)
    rows.append(["mean", *(number_words(float(one.mean()), ".3f") for one in each)])
    rows.append(["least pair of folds", *(number_words(float(one.min()), ".3f") for one in each)])
    rows.append(["greatest pair of folds", *(number_words(float(one.max()), ".3f") for one in each)])
    least = result["correspondence_min"].values.min(axis=1)
    rows.append(["least of any image and pair", *(number_words(float(one), ".3f") for one in least)])
    parts.append(pipes(rows))
    if "share" in result:
        parts.append("## Substantial errors that land in the category, in percent")
        rows = [["true class", "version", *names]]
        for p, place in enumerate(("in the category", "out of it")):
            for v, version in enumerate(versions):
                rows.append([place, version, *_percent_words(100 * result["share"].values[:, v, :, p], version)])
        parts.append(pipes(rows, 2))
    notes = [f"Mean ± SD over {folds} folds, each a network of its own, without training; full: the network as it is."]
    if set(versions) & {"ridge", "lasso"}:
        what = {"root": "the root of its weight (of a negative one with its sign)", "weight": "its weight"}
        notes.append(
            f"ridge, lasso: every feature multiplied by {what[str(attrs['scaling'])]}, scaled so that the embedding "
            "keeps its mean square. No multiplication has the similarities of a negative weight."
        )
    notes.append("Agreement: Pearson between two folds' softmax vectors of an image; mean over images.")
    if "share" in result:
        inside, outside = (int(count) for count in result["images"].values)
        notes.append(
            f"A substantial error: the true class is not among the first five. {inside} images are in the category, "
            f"{outside} are not."
        )
    return "\n\n".join([*parts, "## Notes", "\n".join(f"- {note}" for note in notes)]) + "\n"


def _percent_words(folds: Matrix, version: str) -> list[str]:
    """Percents (target, fold) of a version; the full network is one, the same in every fold."""
    return [number_words(one[0], ".1f") if version == "full" else plus_minus_words(one, 1) for one in folds]


STEPS = Steps(
    "retention", RetentionStudy, CONTENTS, load, describe, compute, _fill,
    lambda study, _, result: markdown(result, study.title), __doc__ or "",
)  # fmt: skip
run = STEPS.run
