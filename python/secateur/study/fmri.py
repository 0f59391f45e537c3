"""The fMRI study: the four tests over regions of the brain, from one file to a results folder.

The file (paths are relative to it; FILE or FILE:KEY as on the command line)::

    title = "VGG-19 pruned to eight regions"
    kind = "dissimilarity"        # what regions and behaviour hold; not needed where a matrix's diagonal shows it
    supervise = "mean"            # prune to the subjects' "mean" (the default, the paper's) or to each "subject"

    [layers.penultimate]          # for each layer an embedding of each of the two image sets, here called 1 and 2
    1 = "fc2_set1.npy"
    2 = "fc2_set2.npy"

    [layers.final]
    1 = "fc3_set1.npy"
    2 = "fc3_set2.npy"

    [regions.vTC]                 # for each region the matrices of each set: one, or one per subject
    1 = "FMRI.mat:FMRI/vTC/set1/pairwisedistances"
    2 = "FMRI.mat:FMRI/vTC/set2/pairwisedistances"

    [behaviour]                   # optional: the first of the four tests
    1 = "BEHAVIOR.mat:BEHAVIOR/set1/pairwisedistances"
    2 = "BEHAVIOR.mat:BEHAVIOR/set2/pairwisedistances"

    [pruning]                     # optional: metric, comparator, search, max_features, device, threads
    [folds]                       # optional: cv, repeats, seed

``king2019 = "FOLDER"`` stands for all regions and the behaviour, read from ``BEHAVIOR.mat`` and ``FMRI.mat`` there; the
image sets are then called 1 and 2.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas
import xarray

from ..datasets import load_king2019
from ..features import Features, read_features
from ..files import FileError, Loaded, match, read_features_file, read_target_file, stated_kind
from ..provenance import file_digest
from ..regions import four_tests, nodes, paired_tests, scores
from ..regions.plan import Plan, prepare
from ..report.dictionary import DICTIONARY
from ..report.formats import SETTINGS, save_figure, write_netcdf
from ..report.tables import number_words
from ..similarity import NO_SIMILARITY, mark, mark_words
from ..targets import Kind, read_target
from .config import ConfigError, Folds, Place, Pruning
from .inputs import as_toml, read_as, record
from .steps import COPY, Steps, described, folds_line, folds_words, pipes, pruning_line, write_tables

__all__ = [
    "CONTENTS", "FIGURES", "HEADINGS", "RESULT", "STEPS", "TABLES", "FmriStudy", "Inputs", "compute", "describe",
    "load", "markdown", "run",
]  # fmt: skip

RESULT = "result.nc"
TABLES = {
    "scores.csv": "alignment by test, layer, set and region (Table 3)",
    "nodes.csv": "features kept by layer, set and region (Table 4)",
    "tests_over_regions.csv": "pruned against full, paired over regions and sets",
    "tests_over_subjects.csv": "the same, paired over subjects, by region",
    "summary.md": "all tables to read",
}
FIGURES = {
    "behaviour": "pruned to behaviour, scored on regions",
    "within": "within image sets, in folds (Figure 3)",
    "across": "across image sets (Figure 4)",
    "upper_bound": "no validation (Figure 5)",
    "nodes": "features kept by region (Table 4)",
}
CONTENTS = {
    RESULT: "scores and kept features of all tests (netCDF)",
    **TABLES,
    **{f"{name}.{ending}": words for name, words in FIGURES.items() for ending in ("png", "svg")},
    DICTIONARY: "what every file and column holds",
    COPY: "the study file, as it was read",
    SETTINGS: "settings, versions, hashes of the input",
}


@dataclass(frozen=True)
class FmriStudy:
    """The keys of the file, as the module's page explains them."""

    layers: dict[str, dict[str, Place]]
    regions: dict[str, dict[str, Place]] = field(default_factory=dict)
    behaviour: dict[str, Place] = field(default_factory=dict)
    king2019: Place | None = None
    title: str = "Pruned to regions of the brain"
    kind: Kind | None = None
    supervise: Literal["subject", "mean"] = "mean"
    pruning: Pruning = field(default_factory=Pruning)
    folds: Folds = field(default_factory=Folds)


@dataclass(frozen=True)
class Inputs:
    """What the study file names, read and checked.

    Attributes
    ----------
    X, regions, behaviour : as :func:`secateur.regions.four_tests` takes them, by name of the set.
    plan : the same, as the tests will use it.
    records : name, key, shape and SHA-256 of every file.
    notes : what the readers decided that a user should know, each a sentence.
    """

    X: dict[str, dict[str, Features]]
    regions: dict[str, Any]
    behaviour: dict[str, Any] | None
    plan: Plan
    records: list[dict[str, Any]]
    notes: list[str]


def load(study: FmriStudy, *, dry: bool = False) -> Inputs:
    """Read and check every input; nothing is pruned.

    Parameters
    ----------
    study : FmriStudy
        From :func:`secateur.study.read_config`.
    dry : bool
        Whether this is a dry run; what such a study reads is never downloaded.

    Returns
    -------
    Inputs

    Raises
    ------
    ConfigError
        Where the file names no layers or regions, or names them in two ways, or its sets don't agree.
    FileError, TypeError, ValueError
        Where an input is missing or is not what it should be; the message names the file.
    """
    sets = _sets(study)
    X: dict[str, dict[str, Features]] = {}
    loaded: dict[str, Loaded] = {}  # of the first layer, by set: what stimuli are called
    records: list[dict[str, Any]] = []
    notes: list[str] = []
    for layer, places in study.layers.items():
        X[layer] = {}
        for name in sets:
            held = read_features_file(places[name])
            loaded.setdefault(name, held)
            X[layer][name] = replace(read_as(held, read_features), stimuli=held.stimuli, names=held.names)
            records.append({"role": f"layer {layer}, set {name}", **record(held)})
            notes += held.notes
    targets = {f"regions.{region}": places for region, places in study.regions.items()}
    targets |= {"behaviour": study.behaviour} if study.behaviour else {}
    values: dict[str, dict[str, Any]] = {}
    for role, places in targets.items():
        values[role] = {}
        for name in sets:
            held = read_target_file(places[name])
            values[role][name], note = match(held, loaded[name])
            try:
                kind = stated_kind(held, study.kind)
            except FileError as error:
                raise as_toml(error) from error
            if kind != study.kind:  # its file says it
                values[role][name] = read_target(values[role][name], len(loaded[name].values), kind)
            records.append({"role": f"{role}, set {name}", **record(held)})
            notes += [*held.notes, *([note] if note else [])]
    behaviour: dict[str, Any] | None = values.pop("behaviour", None)
    regions: dict[str, Any] = {
        name: {role.removeprefix("regions."): each[name] for role, each in values.items()} for name in sets
    }
    if study.king2019 is not None:
        king = load_king2019(study.king2019)
        regions = {name: king.regions[int(name) - 1] for name in sets}
        behaviour = {name: king.behaviour[int(name) - 1] for name in sets}
        for name in ("BEHAVIOR.mat", "FMRI.mat"):
            records.append({"role": "king2019", "file": name, "sha256": file_digest(Path(study.king2019) / name)})
    try:
        plan = prepare(X, regions, behaviour, **_terms(study))
    except ValueError as error:
        raise as_toml(error) from error
    return Inputs(X, regions, behaviour, plan, records, list(dict.fromkeys(notes)))


def _terms(study: FmriStudy) -> dict[str, Any]:
    """How the four tests are called."""
    return {"pruner": study.pruning.pruner(study.kind), **asdict(study.folds), "supervise": study.supervise}


def _sets(study: FmriStudy) -> tuple[str, ...]:
    """Names of the two image sets, which every table must have."""
    if not study.layers:
        raise ConfigError("layers must have a table for each layer, [layers.NAME], got none")
    if bool(study.regions) == (study.king2019 is not None) or (study.behaviour and study.king2019 is not None):
        raise ConfigError("regions must be given either as [regions.NAME] or by king2019, got both or neither")
    first = next(iter(study.layers.values()))
    tables = {f"layers.{name}": table for name, table in study.layers.items()}
    tables |= {f"regions.{name}": table for name, table in study.regions.items()}
    tables |= {"behaviour": study.behaviour} if study.behaviour else {}
    for where, table in tables.items():
        if len(first) != 2 or set(table) != set(first):
            raise ConfigError(
                f"{where} must have a file for each of two image sets, named alike everywhere, got "
                f"{', '.join(table) or 'none'}"
            )
    if study.king2019 is not None and set(first) != {"1", "2"}:
        raise ConfigError(f"the image sets must be called 1 and 2 with king2019, got {' and '.join(first)}")
    return tuple(first)


def describe(study: FmriStudy, inputs: Inputs) -> str:
    """What would run, for ``--dry-run``.

    Parameters
    ----------
    study, inputs
        From :func:`secateur.study.read_config` and :func:`load`.

    Returns
    -------
    str
        A few lines: inputs and their sizes, settings, and how many prunings there will be.
    """
    plan = inputs.plan
    lines = []
    for layer, spaces in plan.layers.items():
        stimuli = ", ".join(f"{space.n} in set {name}" for name, space in zip(plan.sets, spaces))
        lines.append(f"layer {layer}: {spaces[0].d} features; stimuli: {stimuli}")
    lines.append(f"regions: {', '.join(plan.names)}")
    for name, regional in zip(plan.sets, plan.region_targets):
        count = f"{len(regional.targets)} matrices (region × subject), pruned to {len(regional.sources)}"
        lines.append(f"set {name}: {count}")
    lines.append("behaviour: " + ("given for both sets" if plan.behaviours else "none, so the first test is left out"))
    whose = {"subject": "subject's own matrix", "mean": "set's mean over subjects"}[study.supervise]
    lines += [f"{pruning_line(study)}, to each {whose}", folds_line(study)]
    folds = len(plan.folds[0])
    once = sum(len(regional.sources) * (folds + 1) + bool(plan.behaviours) for regional in plan.region_targets)
    lines.append(f"prunings: {once * len(plan.layers)}")
    return described(study, lines, inputs.notes)


def compute(study: FmriStudy, inputs: Inputs, *, progress: bool = True) -> xarray.Dataset:
    """The four tests of a study; see :func:`secateur.regions.four_tests`."""
    return four_tests(inputs.X, inputs.regions, inputs.behaviour, **_terms(study), progress=progress)


def _fill(draft: Path, study: FmriStudy, inputs: Inputs, result: xarray.Dataset) -> None:
    from ..report.regions import kept_by_region, regions

    write_netcdf(draft / RESULT, result)
    tables = {"scores.csv": _scores(result), "nodes.csv": _nodes(result)}
    for over in ("regions", "subjects"):
        tables[f"tests_over_{over}.csv"] = paired_tests(result, over)
    write_tables(draft, tables, markdown(result, study.title))
    for test in map(str, result["test"].values):
        save_figure(regions(result, test), draft / test)
    save_figure(kept_by_region(result), draft / "nodes")


def _scores(result: xarray.Dataset) -> pandas.DataFrame:
    """Table 3's rows of every test and layer."""
    of = product(map(str, result["test"].values), map(str, result["layer"].values))
    tables = {(test, layer): scores(result, test, layer) for test, layer in of}
    return pandas.concat(tables, names=["test", "layer", "space"]).reset_index()


def _nodes(result: xarray.Dataset) -> pandas.DataFrame:
    """Table 4's rows of every layer."""
    tables = {layer: nodes(result, layer) for layer in map(str, result["layer"].values)}
    return pandas.concat(tables, names=["layer", "set"]).reset_index()


HEADINGS = {
    "behaviour": "Pruned to behaviour, scored on regions",
    "within": "Within image sets, in folds",
    "across": "Across image sets: pruned on the other set",
    "upper_bound": "Upper bound: pruned and scored on the same images, no validation",
}


def markdown(result: xarray.Dataset, title: str) -> str:
    """All tables of a result as a Markdown page.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.regions.four_tests`.
    title : str
        The heading.

    Returns
    -------
    str
    """
    attrs, names = result.attrs, [str(name) for name in result["region"].values]
    subjects = result.sizes["subject"]
    whose = "subject" if attrs["supervise"] == "subject" else "mean over subjects"
    facts = (
        f"{attrs['metric']} similarity · alignment in {attrs['comparator']} · search {attrs['search']} · "
        f"{folds_words(attrs['cv'], attrs['repeats'])} folds, seed {attrs['seed']} · {subjects} "
        f"subject{'s' if subjects > 1 else ''}, pruned to each {whose} · Secateur {attrs['secateur_version']}"
    )
    parts = [f"# {title}", facts]
    tested = paired_tests(result).to_dict("records")
    for test in map(str, result["test"].values):
        parts.append(f"## {HEADINGS[test]}")
        for layer in map(str, result["layer"].values):
            rows = [[layer, *names]]
            for space, row in scores(result, test, layer).iterrows():
                rows.append([str(space), *(number_words(float(v), ".3f") for v in row)])
            parts.append(pipes(rows))
            (one,) = (row for row in tested if row["test"] == test and row["layer"] == layer)
            parts.append("- " + _sentence(one))
    parts.append("## Tests over subjects")
    if subjects > 1:
        rows = [["test", "layer", "region", "full", "pruned", "improved", "t", "df", "p", "p (FDR)", "d"]]
        for one in paired_tests(result, "subjects").to_dict("records"):
            forms = {"full": ".3f", "pruned": ".3f", "t": ".2f", "df": "d", "p": ".2g", "p_fdr": ".2g", "d": ".2f"}
            cells = {name: number_words(one[name], form) for name, form in forms.items()}
            cells["pruned"] += mark(one["pruned"] - one["full"], one["pruned"])
            cells["improved"] = f"{one['improved']} of {one['n']}"
            order = ("full", "pruned", "improved", "t", "df", "p", "p_fdr", "d")
            rows.append([str(one[name]) for name in ("test", "layer", "region")] + [cells[name] for name in order])
        parts.append(pipes(rows, 3))
    else:
        parts.append("One matrix a region: there are no subjects to test over.")
    parts.append("## Features kept, all images of a set")
    for layer in map(str, result["layer"].values):
        table = nodes(result, layer)
        rows = [[f"{layer} (of {result.sizes[f'feature_{layer}']})", *names]]
        rows += [[str(name), *(number_words(float(v), ".4g") for v in row)] for name, row in table.iterrows()]
        parts.append(pipes(rows))
        parts.append("- " + _agreement(table))
    notes = [
        "Scores are means over subjects" + (" and folds." if subjects > 1 else "; within sets, over folds."),
        "t: paired, one-sided (pruned > full), of Fisher's z; d: Cohen's, of the paired differences. Regions and sets "
        "are not independent: the test over them is descriptive.",
        "The upper bound is in-sample: a best prefix gains on noise too.",
    ]
    if any("†" in part for part in parts):
        notes.append(mark_words())
    undefined = int(result["undefined_pairs"].sum())
    if undefined:
        notes.append(f"{undefined} scored pairs {NO_SIMILARITY} and were left out.")
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _sentence(one: dict[Any, Any]) -> str:
    vain = mark(one["pruned"] - one["full"], one["pruned"])
    means = f"M pruned {one['pruned']:.3f}{vain} vs. full {one['full']:.3f}"
    if one["n"] < 3:
        return means
    t, p, d = number_words(one["t"], ".2f"), number_words(one["p"], ".2g"), number_words(one["d"], ".2f")
    improved = f"{one['improved']} of {one['n']} region × set values improved"
    return f"{improved}; {means}; paired over regions × sets: t({one['df']}) = {t}, p = {p}, d = {d}"


def _agreement(table: pandas.DataFrame) -> str:
    """Whether regions that keep many features on one set keep many on the other."""
    first, second = table.to_numpy()
    there = np.isfinite(first) & np.isfinite(second)
    if there.sum() < 3 or np.ptp(first[there]) == 0 or np.ptp(second[there]) == 0:
        return "too few regions to correlate the two sets' counts"
    r = float(np.corrcoef(first[there], second[there])[0, 1])
    return f"the two sets' counts correlate over {int(there.sum())} regions with Pearson r = {r:.2f}"


STEPS = Steps(
    "fmri", FmriStudy, CONTENTS, load, describe, compute, _fill, lambda study, _, result: markdown(result, study.title),
    __doc__ or "",
)  # fmt: skip
run = STEPS.run
