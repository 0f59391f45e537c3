"""``secateur demo`` and ``secateur prune``: a network's features to one target or several."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..measures import enumerated
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
    check_other_controls,
    check_store,
    fixed_features,
    flag,
    kind_option,
    matched_controls,
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

WHOSE = ("subjects", "regions")
MOST_PHOTOGRAPHS = 200  # more would hide one another


@app.command()
@with_pruning("threads")
def demo(
    out: Annotated[Path, option("DIR", "Folder for the results.")] = Path("secateur-demo"),
    permutations: Annotated[
        int, option("N", "Permutations of the stimuli for the null distribution and p; 0 for none.", min=0)
    ] = 100,
    seed: Annotated[
        int, option("N", "Random seed of folds, permutations and MDS: the same seed gives the same result.", min=0)
    ] = 0,
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
        first = [str(name) for name in animals.labels[:3]]
        inputs = [
            {"role": role, "file": name, "sha256": file_digest(folder / name), "shape": shape, "first_stimuli": first}
            for role, name, shape in (
                ("features", imagenet_animals.ARRAY_FILE, [features.n, features.d]),
                ("target", imagenet_animals.TAXONOMY_FILE, [features.n, features.n]),
            )
        ]
        job = _Job(features, target, pruning.pruner(None), "The animals of ImageNet, pruned to WordNet", inputs)
        job = replace(job, permutations=permutations, seed=seed, groups=np.asarray(animals.groups))
        _run(job, out, overwrite)


@app.command()
@with_pruning()
def prune(
    features: Annotated[str, argument("FEATURES", "Features of a network, stimuli × features: FILE or FILE:KEY.")],
    target: Annotated[
        str,
        argument(
            "TARGET",
            "RDM or RSM over the same stimuli, as a matrix or its pairs, or several; or choices (--kind triplets): "
            "FILE or FILE:KEY.",
        ),
    ],
    out: Annotated[Path, option("DIR", "Folder for the results.")],
    kind: Annotated[
        str | None,
        kind_option("Or triplets: choices of odd ones out, three stimuli of FEATURES a line, by name or row (from 0)."),
    ] = None,
    odd: Annotated[
        int, option("COLUMN", "With --kind triplets: the column that holds the odd one out, from 0.", min=0)
    ] = 2,
    control: Control = None,
    pruning: Pruning = DEFAULTS,
    joint: Joint = "each",
    over: LeftOut = "stimuli",
    fixed: Fixed = None,
    cv: Folds = 5,
    repeats: Repeats = 1,
    permutations: Annotated[
        int, option("N", "Permutations of the stimuli for the null distribution and p; 0 for none.", min=0)
    ] = 0,
    seed: Annotated[
        int, option("N", "Random seed of folds, permutations and MDS: the same seed gives the same result.", min=0)
    ] = 0,
    groups: Annotated[
        str | None,
        option(
            "FILE", "A group per stimulus: sorts and colours the pictures, and keeps groups whole in --group-folds."
        ),
    ] = None,
    targets_are: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="WHAT",
            help="What several targets are: subjects (a sample of people: a test over them, the noise ceiling) or "
            "regions (p corrected for their number); as the file calls them by default.",
        ),
    ] = None,
    average: Annotated[
        bool, flag("--average", "Prune to the mean of several targets, each z-scored, in place of each.")
    ] = False,
    bootstrap: Annotated[
        int,
        option(
            "N", "Bootstrap samples of stimuli for 95 % confidence intervals; 0 for none, 200 for a first look.", min=0
        ),
    ] = 0,
    exclude: Annotated[
        list[str] | None,
        option(
            "STIMULUS",
            "A stimulus to leave out, by name, or by position from 0 where there are none. "
            "Give the option once per stimulus.",
        ),
    ] = None,
    drop_missing: Annotated[
        bool,
        flag(
            "--drop-missing",
            "Leave out stimuli that FEATURES or TARGET lacks, or that have no pair in some target; they are counted.",
        ),
    ] = False,
    group_folds: Annotated[
        bool,
        flag(
            "--group-folds",
            "Keep all stimuli of a group in the same fold: needs groups, by --groups or a column of FEATURES.",
        ),
    ] = False,
    photographs: Annotated[
        Path | None,
        option(
            "IMAGES",
            "A folder with a photograph of each stimulus, named as the stimuli of FEATURES are: drawn in the maps of "
            "the stimuli, and shown in the report.",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        option("DIR", "Keep what is done in this folder: a killed run, given again, goes on from there."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Prune the features of a network to a target, in folds, and write a results folder.

    Files: .npy, .npz, .csv, .tsv, .mat, .h5, .hdf5, .nc. A KEY names one array of a file that holds several. Where both
    files name their stimuli, these are matched by name.
    """
    with exit_with_message(f"what was done is in {store}" if store else "nothing was written"):
        import numpy as np

        from ..files import (
            left_out,
            match,
            match_triplets,
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
            check_store(store, out)
            _check_targets(targets_are, over, joint, bootstrap=bool(bootstrap), average=average)
            if of_choices and (exclude or drop_missing):
                raise ValueError("--exclude and --drop-missing must come with matrices, got triplets")
        checked_destination(out, overwrite)
        with refuse_bad_input():
            embedding = read_features_file(features)
            with hint_at_choices(target, of_choices):
                loaded = (read_triplets_file if of_choices else read_target_file)(target)
            loaded_target = match_triplets(loaded, embedding)
            if group_folds and groups is None and embedding.groups is None:
                raise ValueError("--group-folds must come with --groups FILE, got none")
            loaded_controls = [read_target_file(path) for path in control or ()]
            said, whole, keep, dropped = None, embedding, None, list[str]()
            if not of_choices:
                said = stated_kind(loaded_target, kind)
                loaded_target, keep, dropped = left_out(loaded_target, embedding, exclude or (), drop_missing)
            if keep is not None:
                names = None if embedding.stimuli is None else tuple(embedding.stimuli[i] for i in keep)
                embedding = replace(embedding, values=embedding.values[keep], stimuli=names)
        with refuse_bad_input(embedding.path.name):
            X = replace(_read(embedding.values), stimuli=embedding.stimuli, names=embedding.names)
        with refuse_bad_input():
            if fixed:
                fixed_features(fixed, X, pruner)
            values, note = (loaded_target.values, None) if of_choices else match(loaded_target, embedding)
            controls = matched_controls(loaded_controls, whole)
            grouping = None if groups is None else read_groups_file(groups, len(whole.values), whole.stimuli)
            if keep is not None:
                controls = [(_among(of, keep, len(whole.values)), words) for of, words in controls]
                grouping = None if grouping is None else replace(grouping, values=grouping.values[keep])
            grouped = None if grouping is None else grouping.values
            if grouping is None and embedding.groups is not None:
                grouped = np.asarray(embedding.groups)[slice(None) if keep is None else keep]
        with refuse_bad_input(loaded_target.path.name):
            choices, given_target = read_triplets(values, X.n, odd) if of_choices else None, cast("Any", values)
            if choices is not None:
                given_target = from_triplets(choices, X.n, weighted=not comparator_row(pruner.comparator).rank)
            with hint_at_choices(target, of_choices, values, X):
                targets = read_target(given_target, X.n, said, control=[of for of, _ in controls] or None)
            if len(targets) == 1:
                targets = replace(targets, labels=(loaded_target.path.stem,))
            elif loaded_target.targets is not None:
                targets = replace(targets, labels=loaded_target.targets)
            count = len(targets)
            if average:
                targets = _averaged(targets)
        with refuse_bad_input():
            check_other_controls(controls, loaded_controls, targets)
            pictures, seen = _photographs(photographs, X, embedding.path.name)
        given = [*dropped, *seen, *embedding.notes, *loaded_target.notes, note, *(grouping.notes if grouping else ())]
        given += [words for one, (_, matched) in zip(loaded_controls, controls) for words in (*one.notes, matched)]
        whose = None if len(targets) == 1 else "subjects" if over != "stimuli" else targets_are or loaded_target.whose
        if count > 1:
            given.append(_targets_words(count, average, whose, targets_are, joint))
        notes = tuple(sentence for sentence in given if sentence)
        for sentence in notes:
            log(f"note: {sentence}.")
        inputs = [] if photographs is None else [{"role": "images", "folder": str(photographs), "images": X.n}]
        inputs += [
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
        job = replace(job, choices=choices, whose=whose, bootstrap=bootstrap, store=store, pictures=pictures)
        _run(replace(job, groups=grouped, group_folds=group_folds), out, overwrite)


def _check_targets(targets_are: str | None, over: str, joint: str, *, bootstrap: bool, average: bool) -> None:
    """Refuse what can't be asked of several targets together."""
    apart = over == "stimuli" and joint == "each"
    if targets_are not in (None, *WHOSE):
        raise ValueError(f"--targets must be {enumerated(WHOSE)}, got {targets_are!r}")
    if bootstrap and not apart:
        raise ValueError(f"--bootstrap must come without --over and --joint, got --over {over} and --joint {joint}")
    if average and not apart:
        raise ValueError("--average must come without --over and --joint: it leaves one target, got both")


@contextmanager
def hint_at_choices(place: str, known: bool, values: Any = None, X: Features | None = None) -> Iterator[None]:
    """Refusals of a file that looks as if it held choices, or features, say so; ``known``: it is read as choices."""
    from ..files import choices_words, swapped_words

    try:
        yield
    except (TypeError, ValueError) as error:
        words = "" if known else choices_words(place, values) or (swapped_words(X.values, values) if X else "")
        raise (ValueError(f"{error}; {words}") if words else error) from error


def _photographs(folder: Path | None, X: Features, file: str) -> tuple[Any, list[str]]:
    """Small photographs of the stimuli (n, y, x, 3), or None, and what is to be known of them."""
    if folder is None:
        return None, []
    from ..files.matching import places_among
    from ..networks import read_images

    images = read_images(folder)
    chosen, note = places_among(X.stimuli, images.names, str(folder), file, X.n)
    notes = [*images.notes, *([note] if note else [])]
    if X.n > MOST_PHOTOGRAPHS:
        return None, [*notes, f"photographs are drawn of at most {MOST_PHOTOGRAPHS} stimuli, and these are {X.n}"]
    return images.thumbnails(chosen), notes


def _among(values: Any, keep: Any, n: int) -> Any:
    """Matrices, or their pairs, among some of n stimuli."""
    from ..pairs import pair_positions

    if values.ndim >= 2 and values.shape[-2:] == (n, n):
        return values[..., keep[:, None], keep]
    return values[..., pair_positions(keep, n)]


def _averaged(targets: Targets) -> Targets:
    """The mean of several targets, each z-scored over the pairs that it has."""
    import numpy as np

    from ..targets import average

    if len(targets) < 2:
        raise ValueError("--average must come with several targets, got one")
    has = np.stack([targets.has_weight(t) for t in range(len(targets))])
    mean = average(np.where(has, targets.values, np.nan), rescale=None)
    missing = np.isnan(mean)
    weights, weight_of = (
        (np.where(missing, 0.0, 1.0)[None], np.zeros(1, dtype=np.int64)) if missing.any() else (None,) * 2
    )
    values = np.where(missing, 0.0, mean)[None]
    labels = (f"mean of {len(targets)}",)
    return replace(targets, values=values, weights=weights, weight_of=weight_of, single=True, labels=labels)


def _targets_words(count: int, average: bool, whose: str | None, said: str | None, joint: str) -> str:
    """What is taken for granted of several targets."""
    if average:
        return f"the {count} targets were each z-scored over their pairs, and averaged to one"
    if whose is None:
        return (
            f"each of the {count} targets is pruned to by itself: say --targets subjects for a test over them and the "
            "noise ceiling, --targets regions for p corrected for their number, or --average for their mean"
        )
    how = f"each of the {count} targets is pruned to by itself"
    if joint != "each":
        how = f"one set of features serves several of the {count} targets: the {joint} of their alignments counts"
    return how + ("" if said else f"; they are taken to be {whose}")


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
    whose: str | None = None
    bootstrap: int = 0
    store: Path | None = None
    pictures: Any = None  # (n, y, x, 3)


def _run(job: _Job, out: Path, overwrite: bool) -> None:
    """Prune, test, print the table, write the folder, name its files."""
    from ..inference import bootstrap, permutation_test
    from ..relabelling import equal_groups
    from ..report import folder, tables
    from ..similarity import OpposedWarning
    from ..validation import cross_validate, final_set, with_ceiling

    features, targets = job.features, job.targets
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
        result = cross_validate(features, targets, *terms, over=over, store=job.store)
        if job.whose is not None:
            result.attrs["targets"] = job.whose
        if job.whose == "subjects" and "ceiling_lower" not in result:
            result = with_ceiling(result, targets, job.pruner.comparator)
        final = final_set(features, targets, job.pruner, terms[-1], store=job.store)
    intervals: xarray.Dataset | None = None
    if job.bootstrap:
        log(f"Drawing stimuli {job.bootstrap} times for intervals.")
        with refuse_bad_input("bootstrap"), warnings.catch_warnings():
            warnings.simplefilter("ignore", OpposedWarning)
            intervals = bootstrap(features, targets, job.bootstrap, "stimuli", *terms, store=job.store)
    null: xarray.Dataset | None = None
    if job.permutations:
        log(f"Pruning again for each of {job.permutations} relabellings of the stimuli.")
        with refuse_bad_input("relabellings"), warnings.catch_warnings():
            warnings.simplefilter("ignore", OpposedWarning)  # it was said of the same folds
            null = permutation_test(features, targets, job.permutations, *terms, over=over, store=job.store)
    print_text(f"{job.title}\n\n{tables.text(result, null, intervals=intervals)}\n{tables.final_text(final)}")
    if len(targets) > folder.MOST_PAGES:
        print_text(f"figures.pdf shows the first {folder.MOST_PAGES} of {len(targets)} targets.\n")
    scores = {} if job.choices is None else _choices(job, result)
    log("Drawing and writing.")
    how = {
        "permutations": job.permutations,
        "bootstrap": job.bootstrap,
        "device": job.pruner.device,
        "group_folds": job.group_folds,
    }
    settings = run_settings(
        job.inputs, job.notes, **how, **scores, **({"over": job.over} if job.over != "stimuli" else {})
    )
    files = folder.write(
        out, features, targets, result, null, job.groups, title=job.title, settings=settings, overwrite=overwrite,
        seed=job.seed, final=final, bootstrap=intervals, pictures=job.pictures,
    )  # fmt: skip
    print_files(out, files, {**folder.CONTENTS, **folder.SOMETIMES})


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
