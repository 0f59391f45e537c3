"""``secateur demo`` and ``secateur prune``: a network's features to one target or several."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from .app import app, checked_destination, exit_with_message, log, print_files, print_text, refuse_bad_input
from .options import (
    DEFAULTS,
    Control,
    Fixed,
    Folds,
    Joint,
    LeftOut,
    Overwrite,
    Pruning,
    Repeats,
    argument,
    check_left_out,
    fixed_features,
    flag,
    option,
    run_settings,
    with_pruning,
)

if TYPE_CHECKING:
    import xarray

    from ..features import Features
    from ..pruning import Pruner
    from ..targets import Kind, Targets
    from ..validation import Over

__all__ = ["demo", "prune"]


@app.command()
@with_pruning("threads")
def demo(
    out: Annotated[Path, option("DIR", "Folder for the results.")] = Path("secateur-demo"),
    permutations: Annotated[int, option("N", "Relabellings for the null; 0 for none.", min=0)] = 100,
    seed: Annotated[int, option("N", "Seed of folds, relabellings and maps.", min=0)] = 0,
    pruning: Pruning = DEFAULTS,
    overwrite: Overwrite = False,
) -> None:
    """Prune a network's 398 animals to WordNet: the bundled example.

    Class prototypes of EfficientNet-lite0 (1280 features) for the 398 animals of ImageNet, pruned in five folds to
    WordNet's Wu-Palmer similarity. It needs no network and takes less than a minute.
    """
    with exit_with_message():
        import numpy as np

        from ..datasets import imagenet_animals
        from ..features import Features
        from ..provenance import file_digest
        from ..targets import read_target

        checked_destination(out, overwrite)
        log("Loading 398 animals × 1280 features (EfficientNet-lite0) and their similarities in WordNet.")
        animals = imagenet_animals.load_imagenet_animals()
        features = Features(animals.X, tuple(map(str, animals.synsets)), None)
        target = replace(read_target(animals.target, features.n), labels=("WordNet (Wu-Palmer)",))
        folder = Path(imagenet_animals.__file__).parent
        inputs = [
            {"role": role, "file": name, "sha256": file_digest(folder / name)}
            for role, name in (("features", imagenet_animals.ARRAY_FILE), ("target", imagenet_animals.TAXONOMY_FILE))
        ]
        job = _Job(features, target, pruning.pruner(None), "The animals of ImageNet, pruned to WordNet", inputs)
        job = replace(job, permutations=permutations, seed=seed, groups=np.asarray(animals.groups))
        _run(job, out, overwrite)


@app.command()
@with_pruning()
def prune(
    features: Annotated[str, argument("FEATURES", "Embedding, stimuli × features: FILE or FILE:KEY.")],
    target: Annotated[
        str,
        argument(
            "TARGET",
            "Matrix over the same stimuli, its pairs, or several; or choices (--kind triplets): FILE or FILE:KEY.",
        ),
    ],
    out: Annotated[Path, option("DIR", "Folder for the results.")],
    kind: Annotated[
        str | None,
        option(
            "KIND",
            "What TARGET holds: similarity or dissimilarity (RDMs). Needed unless a matrix shows it: its diagonal "
            "is its top or its bottom. Or triplets: choices of odd ones out, three rows of FEATURES (from 0) a line.",
        ),
    ] = None,
    odd: Annotated[int, option("COLUMN", "Of triplets: the column of the odd one out, from 0.", min=0)] = 2,
    control: Control = None,
    pruning: Pruning = DEFAULTS,
    joint: Joint = "each",
    over: LeftOut = "stimuli",
    fixed: Fixed = None,
    cv: Folds = 5,
    repeats: Repeats = 1,
    permutations: Annotated[int, option("N", "Relabellings of the stimuli for the null; 0 for none.", min=0)] = 0,
    seed: Annotated[int, option("N", "Seed of folds, relabellings and maps.", min=0)] = 0,
    groups: Annotated[str | None, option("FILE", "A group for each stimulus: sorts and colours the pictures.")] = None,
    group_folds: Annotated[bool, flag("--group-folds", "Keep the stimuli of one group in one fold.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Prune the features of a network to a target, in folds, and write a results folder.

    Files: .npy, .npz, .csv, .tsv, .mat, .h5, .hdf5, .nc. A KEY names one array of a file that holds several. Where both
    files name their stimuli, these are matched by name.
    """
    with exit_with_message():
        from ..files import (
            match,
            read_features_file,
            read_groups_file,
            read_target_file,
            read_triplets_file,
            stated_kind,
        )
        from ..measures import comparator_row
        from ..targets import from_triplets, read_target, read_triplets

        of_choices = kind == "triplets"
        with refuse_bad_input():
            if kind not in (None, "similarity", "dissimilarity", "triplets"):
                raise ValueError(f"--kind must be similarity, dissimilarity or triplets, got {kind!r}")
            if odd != 2 and not of_choices:
                raise ValueError(f"--odd must come with --kind triplets, got {odd} with {kind or 'none'}")
            pruner = pruning.pruner("similarity" if of_choices else cast("Kind | None", kind))
            pruner.set_params(joint=joint).settings()
            check_left_out(over, joint)
        checked_destination(out, overwrite)
        with refuse_bad_input():
            if group_folds and groups is None:
                raise ValueError("--group-folds must come with --groups FILE, got none")
            embedding = read_features_file(features)
            loaded_target = read_triplets_file(target) if of_choices else read_target_file(target)
            loaded_controls = [read_target_file(path) for path in control or ()]
            said = None if of_choices else stated_kind(loaded_target, kind)
        with refuse_bad_input(embedding.path.name):
            X = replace(_read(embedding.values), stimuli=embedding.stimuli, names=embedding.names)
        with refuse_bad_input():
            if fixed:
                fixed_features(fixed, X, pruner)
            values, note = (loaded_target.values, None) if of_choices else match(loaded_target, embedding)
            controls = [match(one, embedding) for one in loaded_controls]
            grouping = None if groups is None else read_groups_file(groups, X.n, embedding.stimuli)
        with refuse_bad_input(loaded_target.path.name):
            choices, given_target = read_triplets(values, X.n, odd) if of_choices else None, cast("Any", values)
            if choices is not None:
                given_target = from_triplets(choices, X.n, weighted=not comparator_row(pruner.comparator).rank)
            targets = read_target(given_target, X.n, said, control=[of for of, _ in controls] or None)
            if len(targets) == 1:
                targets = replace(targets, labels=(loaded_target.path.stem,))
        given = [*embedding.notes, *loaded_target.notes, note, *(grouping.notes if grouping else ())]
        given += [words for one, (_, matched) in zip(loaded_controls, controls) for words in (*one.notes, matched)]
        notes = tuple(sentence for sentence in given if sentence)
        for sentence in notes:
            log(f"note: {sentence}.")
        inputs = [
            {"role": role, **loaded.record()}
            for role, loaded in (
                ("features", embedding),
                ("target", loaded_target),
                ("groups", grouping),
                *(("control", one) for one in loaded_controls),
            )
            if loaded is not None
        ]
        job = _Job(X, targets, pruner, f"{embedding.path.stem} pruned to {loaded_target.path.stem}", inputs)
        job = replace(job, cv=cv, repeats=repeats, permutations=permutations, seed=seed, notes=notes, over=over)
        job = replace(job, choices=choices)
        _run(
            replace(job, groups=None if grouping is None else grouping.values, group_folds=group_folds), out, overwrite
        )


def _read(values: Any) -> Any:
    from ..features import read_features

    return read_features(values)


@dataclass(frozen=True)
class _Job:
    """What to compute."""

    features: Features
    targets: Targets
    pruner: Pruner
    title: str
    inputs: list[dict[str, Any]]
    cv: int = 5
    repeats: int = 1
    permutations: int = 0
    seed: int = 0
    groups: Any = None
    group_folds: bool = False
    notes: tuple[str, ...] = ()
    over: str = "stimuli"
    choices: Any = None  # (m, 3): the kept pair, the odd one out


def _run(job: _Job, out: Path, overwrite: bool) -> None:
    """Prune, test, print the table, write the folder, name its files."""
    from ..inference import permutation_test
    from ..relabelling import equal_groups
    from ..report import folder, tables
    from ..similarity import OpposedWarning
    from ..validation import cross_validate

    features, targets = job.features, job.targets
    bar = sys.stderr.isatty()
    terms = (job.pruner, job.cv, job.repeats, job.seed, job.groups if job.group_folds else None)
    if job.permutations and job.group_folds:
        with refuse_bad_input("relabellings"):
            equal_groups(job.groups, features.n)
    over = cast("Over", job.over)
    folds = f"in {job.cv * job.repeats} folds of {features.n} stimuli"
    if over != "stimuli":
        folds = f"on all targets but one at a time{'' if over == 'subjects' else ', ' + folds}"
    log(f"Pruning {features.d} features {folds}.")
    with refuse_bad_input():
        result = cross_validate(features, targets, *terms, over=over, progress=bar)
    null: xarray.Dataset | None = None
    if job.permutations:
        log(f"Pruning again for each of {job.permutations} relabellings of the stimuli.")
        with refuse_bad_input("relabellings"), warnings.catch_warnings():
            warnings.simplefilter("ignore", OpposedWarning)  # it was said of the same folds
            null = permutation_test(features, targets, job.permutations, *terms, over=over, progress=bar)
    print_text(f"{job.title}\n\n{tables.text(result, null)}")
    if len(targets) > folder.MOST_PAGES:
        print_text(f"figures.pdf shows the first {folder.MOST_PAGES} of {len(targets)} targets.\n")
    scores = {} if job.choices is None else _choices(job, result)
    log("Drawing and writing.")
    how = {"permutations": job.permutations, "device": job.pruner.device, "group_folds": job.group_folds}
    settings = run_settings(
        job.inputs, job.notes, **how, **scores, **({"over": job.over} if job.over != "stimuli" else {})
    )
    files = folder.write(
        out, features, targets, result, null, job.groups, title=job.title, settings=settings, overwrite=overwrite,
        seed=job.seed,
    )  # fmt: skip
    print_files(out, files, folder.CONTENTS)


def _choices(job: _Job, result: xarray.Dataset) -> dict[str, Any]:
    """Print, and give for the settings, how many held-out choices the features make as people did."""
    from ..odd_one_out import held_out, noise_ceiling

    scored = held_out(job.features, job.choices, result)
    count = int(scored["test_triplets"].sum())
    found: dict[str, Any] = {"choices": len(job.choices), "test_choices": count}
    if not count:
        print_text("No choice lies wholly within the test stimuli of a fold: fewer folds leave some.\n")
        return {"odd_one_out": found}
    found |= {name: scored.attrs[name] for name in ("full_test", "pruned_test")}
    words = (
        f"Held-out choices made as people did (chance 0.333): full {found['full_test']:.3f}, pruned "
        f"{found['pruned_test']:.3f}, of {count} choices wholly within the test stimuli of a fold"
    )
    try:
        ceiling = noise_ceiling(job.choices)
    except ValueError:  # no set was shown again
        ceiling = None
    if ceiling is not None:
        found |= {"ceiling_lower": ceiling.lower, "ceiling_upper": ceiling.upper}
        words += f"; ceiling {ceiling.lower:.3f} to {ceiling.upper:.3f}, of {ceiling.choices} repeated choices"
    print_text(f"{words}.\n")
    return {"odd_one_out": found}
