"""The taxonomy study: clusters held against WordNet, before and after pruning, from one file to a results folder.

The file (paths are relative to it; FILE or FILE:KEY as on the command line)::

    title = "Clusters of 398 animals"
    # features = "animals.csv"    # categories × features, the rows named by WordNet 3.0 ids (n02084071) or by the words
                                  # of secateur.datasets.load_imagenet_animals().labels; by default its 398 animals
    # images = "FOLDER"           # or a sub-folder of photographs for each category, called so, and [network]
    # represent = "exemplar"      # of a category's images the one that the network is surest of, as in the paper, or
                                  # their "mean" (the default)
    similarity = "wu-palmer"      # what the pruning fits, or "path"
    cuts = [6, 7, 8, 9, 10, 11, 12]    # numbers of clusters
    levels = 2                    # neighbours in WordNet: the leaves under the grandparent
    sizes = [10, 160]             # categories with fewer or more neighbours are left out
    itself = false                # whether a category is its own neighbour

    # [network]                   # what embeds images
    # name = "vgg19"              # as for secateur.networks.load; weights, weights_file, device, seed, cache

    [pruning]                     # optional: metric, comparator, search, max_features, device, threads
    [folds]                       # optional: folds of the categories, each scored where it was held out
    cv = 5
    repeats = 1
    seed = 0
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas
import xarray

from .. import taxonomy
from ..datasets import load_imagenet_animals
from ..features import Features, Indices, Matrix
from ..report.dictionary import DICTIONARY
from ..report.formats import SETTINGS, save_figure, write_netcdf
from ..report.results import consensus
from ..report.stimulus_maps import embedding
from ..report.tables import markdown as table_of
from ..report.tables import number_words
from ..report.trees import dendrograms
from ..validation import cross_validate, kept_features
from .config import ConfigError, Folds, Place, Pruning
from .inputs import Net, Records, Space, check_folds, network_record, open_network, read_space
from .steps import COPY, Steps, described, folds_line, pipes, pruning_line, write_tables

__all__ = [
    "CONTENTS", "RESULT", "STEPS", "Inputs", "Result", "TaxonomyStudy", "compute", "describe", "load", "markdown",
    "run",
]  # fmt: skip

RESULT = "result.nc"
CONTENTS = {
    RESULT: "Jaccard indices of every category and cut, held out and of all; a group with the pruning (netCDF)",
    "concordance.csv": "full against pruned at every cut (Table 2)",
    "categories.csv": "every category: its neighbours in WordNet, and its mean Jaccard indices",
    "kept_features.csv": "how often pruning kept each feature",
    "summary.md": "all tables to read",
    "dendrograms.png": "the full and the pruned space as trees",
    "dendrograms.svg": "the same for print",
    "maps.png": "the categories before and after pruning (Figure 1)",
    "maps.svg": "the same for print",
    DICTIONARY: "what every file and column holds",
    COPY: "the study file, as it was read",
    SETTINGS: "settings, versions, hashes of the input",
}


@dataclass(frozen=True)
class TaxonomyStudy:
    """The keys of the file, as the module's page explains them."""

    title: str = "Clusters and WordNet"
    features: Place | None = None
    images: Place | None = None
    network: Net | None = None
    represent: Literal["mean", "exemplar"] = "mean"
    similarity: Literal["wu-palmer", "path"] = "wu-palmer"
    cuts: list[int] = field(default_factory=lambda: list(range(6, 13)))
    levels: int = 2
    sizes: list[int] = field(default_factory=lambda: [10, 160])
    itself: bool = False
    pruning: Pruning = field(default_factory=Pruning)
    folds: Folds = field(default_factory=Folds)


@dataclass(frozen=True)
class Inputs:
    """What the study file names, read and checked.

    Attributes
    ----------
    space : rows of categories, or photographs of them; None: the bundled animals.
    chosen : positions of the categories among the 398 animals.
    records : name, key, shape and SHA-256 of every file.
    notes : what the readers decided that a user should know, each a sentence.
    """

    space: Space | None
    chosen: Indices
    records: Records
    notes: list[str]


@dataclass(frozen=True)
class Result:
    """What a study finds.

    Attributes
    ----------
    X : the embedding of the categories.
    whole : the full space, all categories in one tree, from :func:`secateur.taxonomy.jaccard`.
    full, pruned : the test categories of each fold, from :func:`secateur.taxonomy.held_out_jaccard`.
    validated : from :func:`secateur.cross_validate`.
    """

    X: Matrix = field(repr=False)
    whole: xarray.Dataset
    full: xarray.Dataset
    pruned: xarray.Dataset
    validated: xarray.Dataset


def load(study: TaxonomyStudy, *, dry: bool = False) -> Inputs:
    """Read and check every input; nothing is pruned, and at most one photograph of a folder is embedded."""
    if study.features and study.images:
        raise ConfigError("the study must have features or images or neither, got both")
    animals = load_imagenet_animals()
    space: Space | None = None
    records: Records = []
    notes: list[str] = []
    if study.features or study.images:
        network, said = open_network(study.network, dry=dry) if study.images else (None, [])
        with_net = None if network is None or study.network is None else (study.network, network)
        space, records, notes = read_space(study.features, study.images, None, with_net, "the categories")
        notes = [*said, *notes]
        chosen = _find(_categories(study, space))
        if with_net is not None:
            records.append(network_record(*with_net))
            if study.represent == "exemplar" and (with_net[1].classes is None or len(with_net[1].classes) != 1000):
                raise ConfigError("represent must be 'mean' where the network has not ImageNet's 1000 classes")
            if study.represent == "exemplar" and with_net[0].layer != "penultimate":
                raise ConfigError(
                    f"network.layer must be 'penultimate' for exemplars, which the classifier chooses, got "
                    f"{with_net[0].layer!r}"
                )
    else:
        chosen = np.arange(len(animals.synsets))
        records.append({"role": "the categories", "dataset": "imagenet_animals", "shape": list(animals.X.shape)})
    if len(study.sizes) != 2:
        raise ConfigError(f"sizes must be two numbers, the least and the most neighbours, got {study.sizes!r}")
    if not study.cuts:
        raise ConfigError("cuts must hold at least one number of clusters, got none")
    check_folds(len(chosen), study.folds)
    fewest = len(chosen) // study.folds.cv  # of test categories
    for cut in study.cuts:
        if not 2 <= cut <= fewest:
            raise ConfigError(
                f"cuts must be numbers of clusters from 2 to {fewest}, the test categories of a fold, got {cut}"
            )
    near = taxonomy.neighbourhoods(
        animals.synsets[chosen].tolist(), animals.hypernyms, levels=study.levels, itself=study.itself
    ).sum(axis=1)
    if not ((near >= study.sizes[0]) & (near <= study.sizes[1])).any():
        raise ConfigError(
            f"sizes must leave categories to score, got {study.sizes!r} where they have {near.min()} to {near.max()} "
            "neighbours"
        )
    study.pruning.pruner("similarity")
    return Inputs(space, chosen, records, notes)


def _categories(study: TaxonomyStudy, space: Space) -> tuple[str, ...]:
    """What the rows, or the sub-folders, are called."""
    if space.seen is not None:
        if space.groups is None:
            raise ConfigError(f"images must be in a sub-folder for each category, got none in {study.images!r}")
        return tuple(dict.fromkeys(space.groups))
    if space.stimuli.stimuli is None:
        raise ConfigError(
            f"features must name the category of each row, got no names in {space.stimuli.path.name}: a first column "
            "of names in a .csv, an array 'labels' in other files"
        )
    return space.stimuli.stimuli


def _find(names: tuple[str, ...]) -> Indices:
    """Where categories are among the bundled animals, by id or label."""
    animals = load_imagenet_animals()
    where = {_plain(label): i for i, label in enumerate(animals.labels)}
    where |= {str(synset): i for i, synset in enumerate(animals.synsets)}
    found = [where.get(name.strip(), where.get(_plain(name), -1)) for name in names]
    for name, i in zip(names, found, strict=True):
        if i < 0:
            near = _nearest(name, where)
            raise ConfigError(f"categories must be among ImageNet's 398 animals, got {name!r}{near}")
    twice = next((name for k, name in enumerate(names) if found.index(found[k]) < k), None)
    if twice is not None:
        raise ConfigError(f"categories must come once each, got {twice!r} again")
    return np.array(found, dtype=np.int64)


def _nearest(name: str, known: dict[str, int]) -> str:
    """The nearest names, for a message."""
    import difflib

    near = difflib.get_close_matches(_plain(name), list(known), n=2)
    return f"; the nearest is {' or '.join(near)}" if near else ""


def _plain(name: Any) -> str:
    return str(name).lower().replace("_", " ").replace("-", " ").strip()


def describe(study: TaxonomyStudy, inputs: Inputs) -> str:
    """What would run, for ``--dry-run``, in a few lines."""
    what = "the bundled animals, 1280 features" if inputs.space is None else inputs.space.words()
    lines = [f"categories: {len(inputs.chosen)}, of {what}", f"clusters: {', '.join(map(str, study.cuts))}"]
    least, most = study.sizes
    lines.append(f"neighbours: under the first hypernym, {study.levels} up; {least} to {most} of them")
    lines.append(pruning_line(study).replace("pruning: ", f"pruning: to {study.similarity} similarity, ", 1))
    lines.append(f"{folds_line(study)}; prunings: {check_folds(len(inputs.chosen), study.folds)}")
    return described(study, lines, inputs.notes)


def compute(study: TaxonomyStudy, inputs: Inputs, *, progress: bool = True) -> Result:
    """Clusters of the full and of the pruned space; see :func:`secateur.taxonomy.held_out_jaccard`."""
    animals = load_imagenet_animals()
    X = animals.X if inputs.space is None else _represented(study, inputs, progress)
    leaves = animals.synsets[inputs.chosen].tolist()
    similarity = {"wu-palmer": taxonomy.wu_palmer, "path": taxonomy.path_similarity}[study.similarity](
        leaves, animals.hypernyms
    )
    space = Features(np.ascontiguousarray(X, dtype=np.float64), tuple(leaves), None)
    named = xarray.DataArray(similarity[None], {"target": [study.similarity]}, ("target", "stimulus", "stimulus2"))
    result = cross_validate(space, named, study.pruning.pruner("similarity"), **asdict(study.folds), progress=progress)
    rules: dict[str, Any] = {"cuts": study.cuts, "levels": study.levels, "sizes": tuple(study.sizes)}
    rules["itself"] = study.itself
    whole = taxonomy.jaccard(space.values, leaves, animals.hypernyms, metric=study.pruning.metric, **rules)
    terms = (space.values, result, leaves, animals.hypernyms)
    full = taxonomy.held_out_jaccard(*terms, space="full", **rules)
    pruned = taxonomy.held_out_jaccard(*terms, **rules)
    return Result(space.values, whole, full, pruned, result)


def _represented(study: TaxonomyStudy, inputs: Inputs, progress: bool) -> Matrix:
    """(categories, features): the rows of a file; of photographs the mean of each category, or its exemplar."""
    space = inputs.space
    assert space is not None  # the caller's
    values = space.embedding(progress).values
    if space.seen is None or space.groups is None:
        return values
    groups = np.array(space.groups)
    names = list(dict.fromkeys(space.groups))
    if study.represent == "mean":
        return np.stack([values[groups == name].mean(axis=0) for name in names])
    from ..networks.retention import confidence

    rows = []
    for name, i in zip(names, inputs.chosen, strict=True):
        own = np.flatnonzero(groups == name)
        sure = confidence(space.seen.network, values[own], int(i))  # ImageNet's classes begin with the animals
        rows.append(values[own[int(np.argmax(sure))]])
    return np.stack(rows)


def _fill(draft: Path, study: TaxonomyStudy, inputs: Inputs, result: Result) -> None:
    animals = load_imagenet_animals()
    groups = animals.groups[inputs.chosen]
    whole = xarray.Dataset(
        {
            "jaccard": xarray.concat([result.full["jaccard"], result.pruned["jaccard"]], "space"),
            "chance": xarray.concat([result.full["chance"], result.pruned["chance"]], "space"),
            "jaccard_of_all": result.whole["jaccard"],
            "cluster": result.whole["cluster"],
            "neighbours": result.full["neighbours"],
        },
        {
            "space": ["full", "pruned"],
            "label": ("category", animals.labels[inputs.chosen].astype(str)),
            "group": ("category", groups.astype(str)),
        },
        result.whole.attrs,
    )
    write_netcdf(draft / RESULT, whole, {"pruning": result.validated})
    tables = {
        "concordance.csv": taxonomy.concordance_table(result.full, result.pruned).reset_index(),
        "categories.csv": _table(whole, study),
        "kept_features.csv": kept_features(result.validated),
    }
    write_tables(draft, tables, markdown(study, result))
    kept = consensus(result.validated)
    how: dict[str, Any] = {"metric": study.pruning.metric}
    save_figure(dendrograms(result.X, kept, groups, clusters=study.cuts[-1], **how), draft / "dendrograms")
    title = f"{len(groups)} categories (MDS), before and after pruning to WordNet"
    save_figure(embedding(result.X, kept, groups, seed=study.folds.seed, title=title, **how), draft / "maps")


def _table(whole: xarray.Dataset, study: TaxonomyStudy) -> pandas.DataFrame:
    """One row a category."""
    count = whole["neighbours"].values
    why = np.where(count < study.sizes[0], "too few neighbours", "scored")
    why = np.where(count > study.sizes[1], "too many neighbours", why)
    scored = whole["jaccard"].values
    means = np.full((2, len(count)), np.nan)
    there = np.isfinite(scored).all(axis=1)  # (space, category)
    why = np.where((why == "scored") & ~there.all(axis=0), "no neighbour among the test categories", why)
    for s in range(2):
        means[s, there[s]] = scored[s][:, there[s]].mean(axis=0)
    known = ("category", "label", "group", "neighbours")
    table = pandas.DataFrame({name: whole[name].values for name in known})
    return table.assign(scored=why, full=means[0], pruned=means[1])


def markdown(study: TaxonomyStudy, result: Result) -> str:
    """All tables of a result as a Markdown page.

    Parameters
    ----------
    study : TaxonomyStudy
        The settings.
    result : Result
        From :func:`compute`.

    Returns
    -------
    str
        First the paper's Table 2, a column per cut.
    """
    table = taxonomy.concordance_table(result.full, result.pruned)
    rows = [["Jaccard index", *(f"N = {cut}" for cut in table.index)]]
    words = {"full": "full", "pruned": "pruned", "difference": "difference", "beyond": "difference beyond chance"}
    for name, label in words.items():
        rows.append([label, *(number_words(float(value), ".3f") for value in table[name])])
    bounds = zip(table["lower"], table["upper"], strict=True)
    rows.append(["95 % interval", *(f"{number_words(a, '.3f')} to {number_words(b, '.3f')}" for a, b in bounds)])
    of_all = [float(np.nanmean(values)) for values in result.whole["jaccard"].values]
    rows.append(["full, all categories in one tree", *(number_words(value, ".3f") for value in of_all)])
    attrs, n, (least, most) = result.full.attrs, result.full.sizes["category"], study.sizes
    without = n - attrs["scored"] - attrs["too_few"] - attrs["too_many"]
    notes = [
        f"{attrs['scored']} of {n} categories are scored; {attrs['too_few']} have fewer than {least} neighbours in "
        f"WordNet ({attrs['alone']} of them none), {attrs['too_many']} more than {most}"
        + (f"; {without} have none among the test categories of their folds." if without else "."),
        f"Neighbours: in WordNet the leaves under the first hypernym, {study.levels} up; in the net the members of the "
        "cluster (complete linkage).",
        "full, pruned: the test categories of each fold, clustered by themselves, in all features and in those that "
        "the fold kept without them; means over repeats.",
        "beyond chance: without the difference that the sizes of the clusters make. Its interval takes the categories "
        f"under one ancestor as one observation, {int(table['groups'].iloc[0])} in all, and is not corrected for the "
        "number of cuts.",
        "The figures show the features kept in at least half of the folds, for all categories.",
    ]
    parts = [f"# {study.title}", pipes(rows), "\n".join(f"- {note}" for note in notes)]
    parts += ["## The pruning", table_of(result.validated).rstrip("\n")]
    return "\n\n".join(parts) + "\n"


STEPS = Steps(
    "taxonomy", TaxonomyStudy, CONTENTS, load, describe, compute, _fill,
    lambda study, _, result: markdown(study, result), __doc__ or "",
)  # fmt: skip
run = STEPS.run
