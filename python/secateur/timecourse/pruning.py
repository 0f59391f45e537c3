"""Pruning at every time point of every subject: out of sample, and from one time to another."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import check_integer
from ..features import Features, Indices, Matrix, read_features, read_labels
from ..measures import comparator_row, search_row
from ..pairs import pair_count
from ..problem import Problem
from ..progress import with_progress
from ..provenance import digest_of
from ..pruning import Pruner
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..targets import Targets, read_controls, read_target
from ..validation import (
    Fold,
    Over,
    attributes,
    digests_of_features,
    digests_of_folds,
    left_out,
    names_or_numbers,
    pruner_of,
    score_fold,
    split,
    warn_of_small_folds,
)
from .cluster import check_client, results
from .store import Laid, opened, place_of
from .subjects import Movies, digests, read_movies

if TYPE_CHECKING:
    import os

    import distributed
    from numpy.typing import ArrayLike

    from .._typing import ControlLike, HostEmbeddingLike, LabelsLike, MoviesLike, NamesLike, Splits
    from ..targets import Kind

__all__ = [
    "BUDGET", "MOST", "SCORES", "Chunk", "Study", "announce", "blank", "check_stimuli", "divided", "from_one_to_all",
    "input_digests", "laid_out", "planned", "prune", "prune_chunk", "settings_of", "values_of",
]  # fmt: skip

SCORES = ("full_train", "full_test", "pruned_train", "pruned_test")
BUDGET = 1 << 26  # bytes of a chunk's orders, curves and paths
MOST = 64  # time points in a chunk: a second or so of work, which is what a killed run loses


@dataclass(frozen=True)
class Study:
    """What all chunks share."""

    features: Features
    folds: list[Fold]
    pruner: Pruner
    kind: Kind
    generalise: bool
    alone: bool  # the subjects have one time point each
    groups: Any = None  # of stimuli, for a search with inner folds
    controls: Matrix | None = None
    over: Over = "stimuli"

    @property
    def ranked(self) -> bool:
        return search_row(self.pruner.search).ranks

    def targets(self, values: Any, names: tuple[str, ...]) -> Targets:
        """Movie rows as targets, called by their names in messages."""
        try:
            targets = read_target(np.asarray(values), self.features.n, self.kind, control=self.controls)
        except ValueError as error:
            raise ValueError(f"movies from {names[0]} to {names[-1]}: {error}") from error
        return replace(targets, labels=names)


@dataclass(frozen=True)
class Chunk:
    """Some neighbouring time points of one subject, and what they are called."""

    subject: int
    span: slice
    names: tuple[str, ...]


def prune_chunk(
    study: Study, names: tuple[str, ...], values: Any, scored: Any = None, others: Any = None
) -> dict[str, npt.NDArray[Any]]:
    """Every fold of some time points: values (t, ...), and with ``scored`` (T, ...) also from each to all of those.

    ``others`` (subjects, t, ...): whose features are scored on these values, where subjects are left out.

    Returns
    -------
    dict of arrays, time first
    """
    if others is not None:
        return _on_others(study, names, values, others)
    features, count = study.features, len(names)
    targets = study.targets(values, names)
    # One target takes another route through the core than several: its last bits would depend on how chunks fall.
    if count == 1 and study.ranked and not study.alone:
        targets = targets.select(np.zeros(2, dtype=np.int64))
    shape = (count, len(study.folds))
    made: dict[str, npt.NDArray[Any]] = {name: np.empty(shape) for name in SCORES}
    made |= {name: np.zeros(shape, dtype=np.int64) for name in ("n_kept", "undefined_pairs")}
    kept = np.zeros((count, features.d), dtype=np.int64)
    scored_targets = None if scored is None else study.targets(scored, (names[0],) * len(scored))
    if scored_targets is not None:
        made |= {f"generalisation_{name}": np.empty((*shape, len(scored_targets))) for name in ("full", "pruned")}
    settings = study.pruner.settings()
    problem = settings.problem(features, targets, study.folds)
    jobs = (partial(score_fold, problem, fold, settings.search, groups=study.groups) for fold in study.folds)
    scores = problem.execution.in_turns(jobs, short=settings.search.runs_on_device)
    for f, (fold, found) in enumerate(zip(study.folds, scores, strict=True)):
        support = found.pruned.support[:count]
        for name in SCORES:
            made[name][:, f] = getattr(found, name)[:count]
        made["undefined_pairs"][:, f] = found.undefined[:count]
        made["n_kept"][:, f] = support.sum(axis=1)
        kept += support
        if scored_targets is not None:
            from_one_to_all(settings.scoring(features, scored_targets).among(fold[1]), support, made, f)
    made["selection"] = (kept / len(study.folds)).astype(np.float32)
    return made


def _on_others(study: Study, names: tuple[str, ...], values: Any, others: Any) -> dict[str, npt.NDArray[Any]]:
    """Every fold of some time points of one subject, with features that all other subjects share at that time."""
    features, others = study.features, np.asarray(others)
    shape = (len(names), len(study.folds))
    made: dict[str, npt.NDArray[Any]] = {name: np.empty(shape) for name in SCORES}
    made |= {name: np.zeros(shape, dtype=np.int64) for name in ("n_kept", "undefined_pairs")}
    kept = np.zeros((len(names), features.d), dtype=np.int64)
    settings, own = study.pruner.settings(), study.targets(values, names)
    together = np.mean if settings.search.joint == "mean" else np.min
    all_features = np.ones(features.d, dtype=bool)
    for t, name in enumerate(names):
        theirs = study.targets(others[:, t], (name,) * len(others))
        problem = settings.problem(features, theirs, study.folds)
        scoring = settings.scoring(features, own.select(slice(t, t + 1)))
        for f, (train, test) in enumerate(study.folds):
            found, tested = settings.search.run(problem, stimuli=train, groups=study.groups), scoring.among(test)
            made["full_train"][t, f], made["pruned_train"][t, f] = together(found.baseline), together(found.alignment)
            made["full_test"][t, f] = tested.held_out_alignment(None, all_features)[0][0]
            scores, undefined = tested.held_out_alignment(None, found.support[0])
            made["pruned_test"][t, f], made["undefined_pairs"][t, f] = scores[0], undefined[0]
            made["n_kept"][t, f] = found.support[0].sum()
            kept[t] += found.support[0]
    made["selection"] = (kept / len(study.folds)).astype(np.float32)
    return made


def from_one_to_all(tested: Problem, support: npt.NDArray[np.bool_], made: dict[str, Any], f: int) -> None:
    """The held-out space of each time's kept features against all times: one space of similarities a time."""
    all_features = np.ones(tested.features.d, dtype=bool)
    made["generalisation_full"][:, f], _ = tested.held_out_alignment(None, all_features)
    for t, mask in enumerate(support):
        made["generalisation_pruned"][t, f], _ = tested.held_out_alignment(None, mask)


def prune(
    X: HostEmbeddingLike,
    movies: MoviesLike,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    subjects: NamesLike | None = None,
    times: ArrayLike | None = None,
    control: ControlLike | None = None,
    over: Over = "stimuli",
    generalise: bool = False,
    store: str | os.PathLike[str] | None = None,
    chunk: int | None = None,
    client: distributed.Client | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Prune at every time point of every subject, out of sample.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Finite; converted to float64.
    movies : DataArray with dims ([subject,] time, pair), array ([subjects,] times, pairs), list or dict
        Dissimilarities as :func:`secateur.timecourse.rdm_movie` makes them, or similarities. A list or a dict has one
        movie a subject. Matrices (..., stimulus, stimulus2) will do for pairs. NaN: that pair has no weight there.
        All subjects have the same times and stimuli. An array of dask, or a DataArray of one (a Zarr store opened by
        xarray), is read in chunks as they are pruned, and never held as a whole.
    pruner : Pruner, optional
        ``Pruner()`` by default. It is not fitted or changed.
    cv, repeats, seed, groups
        Folds over stimuli, as in :func:`secateur.cross_validate`; the same for all subjects and times.
    kind : {"similarity", "dissimilarity"}, optional
        What movies hold that don't say it in their ``attrs``; overrides the pruner's.
    subjects : sequence (S,), optional
        Names, in place of the movies' own.
    times : array (T,), optional
        Seconds, in place of the movies' own.
    control : matrices, optional
        What no alignment may rest on, at any time, as in :func:`secateur.alignment`: all are partial.
    over : {"stimuli", "subjects", "both"}
        What is left out of the pruning and scored, as in :func:`secateur.cross_validate`. Where subjects are, features
        are chosen at each time on all other subjects together, by the pruner's ``joint`` (``Pruner(joint="mean")`` by
        default), and scored on the one left out: among the same stimuli, in one fold (``"subjects"``), or among the
        test stimuli of each fold (``"both"``). Training alignments are then those of the others. Not with
        ``generalise``.
    generalise : bool
        Whether the features kept at each time are also scored at all others, on the same held-out stimuli.
    store : path, optional
        A Zarr store that takes the results chunk by chunk. A run that was killed goes on where it was, when it is
        called again with the same arguments, and ends with the same bits (within 1e-9 where one part ran on a CUDA
        device and the other did not); other settings or inputs are refused.
        :func:`open_store` opens it, and so does ``xarray.open_zarr``. Needs the extra ``cluster``.
    chunk : int, optional
        How many time points are pruned at once: by memory, and 64 at most, by default; 1 for searches that go
        step by step. For searches by ranking the result is the same, bit for bit, for any number.
    client : dask.distributed.Client, optional
        A cluster whose workers prune the chunks (see Notes); this process by default. Needs the extra ``cluster``.
    threads : int, optional
        Overrides the pruner's. On a cluster each chunk takes one thread by default, and a worker prunes as many at
        once as it has threads.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (subject, time, fold[, feature])
        ``full_train``, ``full_test``, ``pruned_train``, ``pruned_test``: alignments, correlation units. ``n_kept``;
        ``undefined_pairs``: held-out pairs that the kept features leave undefined (not scored); ``selection``
        (subject, time, feature): share of the folds that kept the feature; ``test`` (fold, stimulus). With
        ``generalise``: ``generalisation_full`` and ``generalisation_pruned`` (subject, fold, time, time_scored), where
        features kept at ``time`` are scored at ``time_scored``. Coordinates ``time`` (seconds), for windows also
        ``window_start`` and ``window_stop``. Attributes as of :func:`secateur.cross_validate`, with ``inputs_sha256``
        and ``settings`` (JSON).

    Raises
    ------
    TypeError, ValueError
        As :func:`secateur.cross_validate`; where movies don't fit X or differ in times or stimuli between subjects,
        hold an infinite value, or at a time no pair or no variation; where a store is of other settings or inputs.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Once, where the mean of ``full_test`` over subjects, times and folds is below zero: the movies may be of the
        other kind.
    SmallFoldsWarning
        Once, where test folds have fewer than 30 pairs.

    Notes
    -----
    Ctrl-C ends a run with a KeyboardInterrupt; a store keeps the chunks that were done. A store has one writer.

    On a SLURM cluster, with dask-jobqueue::

        from dask.distributed import Client
        from dask_jobqueue import SLURMCluster

        if __name__ == "__main__":
            cluster = SLURMCluster(cores=8, processes=2, memory="16GB", walltime="01:00:00")
            cluster.scale(jobs=10)
            movies = xarray.open_zarr("movies.zarr")["dissimilarity"]  # (subject, time, pair), on a shared disk
            with Client(cluster) as client:
                course = sc.timecourse.prune(X, movies, store="course.zarr", client=client)

    X is sent to the workers once, and movies of dask are read by the workers. A worker that is lost costs its chunks,
    which others prune; without workers the run waits for them. Bits are the same as without a cluster where all
    machines have the same kind of processor.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), §3.2, which took two windows. From one time to another:
    King & Dehaene (2014), Trends in Cognitive Sciences 18, 203-210.

    Examples
    --------
    >>> from secateur.timecourse import rdm_movie, simulate
    >>> patterns, truth = simulate(18, subjects=2, sensors=20, times=np.arange(6) * 0.05, seed=1)
    >>> movies = {s: rdm_movie(patterns.sel(subject=s)) for s in (0, 1)}
    >>> course = prune(truth.X, movies, cv=3)
    >>> course.pruned_test.dims, course.pruned_test.shape
    (('subject', 'time', 'fold'), (2, 6, 3))
    """
    study, read, repeat = planned(
        X,
        movies,
        pruner,
        (cv, repeats, seed, groups),
        kind,
        subjects,
        times,
        client,
        threads,
        control,
        generalise=generalise,
        over=over,
    )
    chunks = divided(study, read, chunk)
    inputs = input_digests(study, read, chunks, client, progress)
    attrs = settings_of(study, cv, repeats, seed) | left_out(over)
    settings = {**attrs, "generalise": study.generalise, **inputs}
    attrs |= {"inputs_sha256": digest_of(inputs), "settings": json.dumps(settings)}
    course = blank(study, read, repeat, attrs, filled=store is None)

    def run(keys: list[int]) -> Generator[tuple[int, Laid], None, None]:
        calls = ((key, (chunks[key].names, *values_of(study, read, chunks[key]))) for key in keys)
        with closing(results(prune_chunk, (study,), calls, client)) as made:
            for key, part in with_progress(made, len(keys), "chunks", progress):
                yield key, laid_out(part)

    if store is None:
        if progress and client is None:
            announce(study, read, chunks, len(chunks))
        with closing(run(list(range(len(chunks))))) as parts:
            for key, made in parts:
                for name, (dims, values) in made.items():
                    course[name].values[place_of(dims, chunks[key].subject, chunks[key].span)] = values
    else:
        with opened(store, course, settings, [(part.subject, part.span) for part in chunks]) as kept:
            left = [key for key in range(len(chunks)) if key not in kept.done]
            if progress and client is None:
                announce(study, read, chunks, len(left))
            with closing(run(left)) as parts:
                for key, made in parts:
                    kept.put(key, made)
            course = kept.finish()
    warn_of_undefined_pairs(int(course["undefined_pairs"].sum()))
    warn_of_opposition(float(course["full_test"].mean()), study.kind)
    return course


# What goes in


def planned(
    X: HostEmbeddingLike, movies: MoviesLike, pruner: Pruner | None, how: tuple[Any, int, int, Any], kind: Kind | None,
    subjects: NamesLike | None, times: ArrayLike | None, client: distributed.Client | None, threads: int | None,
    control: ControlLike | None = None, *, generalise: bool = False, over: Over = "stimuli",
) -> tuple[Study, Movies, Indices]:  # fmt: skip
    """Everything that a run along time is given, read and checked: also to which repeat each fold belongs."""
    from sklearn.base import clone

    features = read_features(X)
    pruner = pruner_of(pruner, kind, over)
    check_client(client)
    if threads is not None:
        pruner = clone(pruner).set_params(threads=threads)
    if client is not None and pruner.threads is None:  # dask runs as many chunks at once as a worker has threads
        pruner = clone(pruner).set_params(threads=1)
    if over not in get_args(Over):
        raise ValueError(f"over must be 'stimuli', 'subjects' or 'both', got {over!r}")
    if over == "stimuli":
        pruner.settings().search.refuse_joint("a time course, whose every time and subject has features of its own")
    elif pruner.settings().search.joint == "each":
        raise ValueError("joint must be 'mean' or 'min' where features are chosen on other subjects, got 'each'")
    read = read_movies(movies, features.n, subjects, times)
    if over != "stimuli" and (len(read.subjects) < 2 or generalise):
        if generalise:
            raise ValueError(f"generalise must be False where over is {over!r}, got True")
        raise ValueError(f"movies must be of at least 2 subjects where over is {over!r}, got 1")
    named = read.kind or pruner.kind or read_target(np.asarray(read.at(0, slice(0, 1))), features.n).kind
    check_stimuli(read, features)
    cv, repeats, seed, groups = how
    if over == "subjects":  # which needs no folds of stimuli, whatever cv is
        everyone = np.arange(features.n, dtype=np.int64)
        folds, repeat = [(everyone, everyone)], np.zeros(1, dtype=np.int64)
        groups = None if groups is None else read_labels(groups, features.n, "groups", "stimuli")
    else:
        folds, repeat = split(features.n, cv, repeats, seed, groups)
    warn_of_small_folds(folds)
    inner = np.asarray(groups) if groups is not None and search_row(pruner.search).draws_stimuli else None
    controls = None if control is None else read_controls(control, features.n, features.stimuli)
    study = Study(features, folds, pruner, named, bool(generalise), len(read.times) == 1, inner, controls, over)
    return study, read, repeat


def settings_of(study: Study, cv: Splits, repeats: int, seed: int) -> dict[str, Any]:
    """What a result records of how it was made."""
    return attributes(study.pruner, study.kind, cv, repeats, seed, study.controls)


def check_stimuli(movies: Movies, features: Features) -> None:
    """Refuse movies of other stimuli than X's, or in another order."""
    own, stimuli = movies.stimuli, features.stimuli
    if own is not None and len(own) != features.n:
        raise ValueError(f"movies' attribute stimuli must name the {features.n} stimuli of X, got {len(own)} names")
    if own and stimuli and own != stimuli:
        i = next(i for i in range(features.n) if own[i] != stimuli[i])
        raise ValueError(
            f"movies must name the stimuli of X in the same order, got {own[i]!r} where X has {stimuli[i]!r} "
            f"(stimulus {i})"
        )


def divided(study: Study, movies: Movies, size: int | None) -> list[Chunk]:
    """Neighbouring time points of one subject at a time, in order."""
    count = len(movies.times)
    check_integer("chunk", size, 1, optional=True)
    if size is None:
        bytes_each = 160 * study.features.d + 32 * pair_count(study.features.n)
        size = max(1, min(MOST, BUDGET // bytes_each)) if study.ranked else 1
        size = -(-count // -(-count // size))  # as even as they can be
    names = [f"{time:g} {movies.units}" for time in movies.times]
    return [
        Chunk(s, slice(t, min(t + size, count)), tuple(f"{name} of subject {subject}" for name in names[t : t + size]))
        for s, subject in enumerate(movies.subjects)
        for t in range(0, count, size)
    ]


def announce(study: Study, movies: Movies, chunks: list[Chunk], left: int, orders: int = 1) -> None:
    """One line on stderr where the chunks that are left, in so many orders of the stimuli, take over a minute."""
    if not left:
        return
    settings, names = study.pruner.settings(), chunks[0].names[:1]
    one = settings.problem(study.features, study.targets(movies.at(0, slice(0, 1)), names), study.folds, runs=1)
    subjects = len(movies.subjects)
    runs = subjects * len(movies.times) * orders * (1 if study.over == "stimuli" else subjects - 1)
    span = chunks[0].span
    settings.cost(one, study.folds, -(-runs * left // len(chunks)), span.stop - span.start).announce(True)


def values_of(study: Study, movies: Movies, part: Chunk) -> tuple[Any, ...]:
    """What a chunk is pruned to, and where it is scored on all times also these; not computed if they are dask's."""
    values = movies.at(part.subject, part.span)
    if study.over != "stimuli":
        return (
            values,
            None,
            np.stack([movies.at(s, part.span) for s in range(len(movies.subjects)) if s != part.subject]),
        )
    return (values, movies.at(part.subject, slice(None))) if study.generalise else (values,)


def input_digests(
    study: Study, movies: Movies, chunks: list[Chunk], client: distributed.Client | None, progress: bool
) -> dict[str, str]:
    """SHA-256 of everything that a result depends on, by name."""
    features = study.features
    calls = ((key, (part.names, movies.at(part.subject, part.span))) for key, part in enumerate(chunks))
    shared = (comparator_row(study.pruner.comparator).takes_constants,)
    read = results(digests, shared, calls, client if movies.arrays[0].chunks is not None else None)
    rows = dict(with_progress(read, len(chunks), "chunks read", progress))
    return {
        **digests_of_features(features, study.pruner, movies.stimuli),
        "subjects": digest_of(movies.subjects.tolist()),
        "times": digest_of(
            [movies.units, movies.times.tolist(), {name: at.tolist() for name, at in movies.windows.items()}]
        ),
        **digests_of_folds(study.folds, study.controls, study.groups),
        "movies": digest_of(np.concatenate([rows[key] for key in range(len(chunks))])),
    }


# What comes out


def laid_out(made: dict[str, npt.NDArray[Any]]) -> Laid:
    """Dims and values of what a chunk made, as they lie in the result."""
    out: Laid = {}
    for name, values in made.items():
        if name.startswith("generalisation"):
            out[name] = ("subject", "fold", "time", "time_scored"), np.moveaxis(values, 0, 1)
        else:
            out[name] = ("subject", "time", "feature" if name == "selection" else "fold"), values
    return out


def blank(
    study: Study, movies: Movies, repeat: Indices, attrs: dict[str, Any], *, filled: bool = True
) -> xarray.Dataset:
    """The result before anything has been pruned: NaN, and no features. A store's needs no memory to be filled."""
    features, folds, times = study.features, study.folds, len(movies.times)
    scores = ("subject", "time", "fold")
    sizes = {"subject": len(movies.subjects), "time": times, "fold": len(folds), "feature": features.d}
    sizes["time_scored"] = times

    def empty(dims: tuple[str, ...], fill: Any, dtype: Any = np.float64) -> Any:
        shape = [sizes[dim] for dim in dims]
        return dims, np.full(shape, fill, dtype) if filled else np.broadcast_to(np.array(fill, dtype), shape)

    variables: dict[str, Any] = {name: empty(scores, np.nan) for name in SCORES}
    variables |= {name: empty(scores, 0, np.int64) for name in ("n_kept", "undefined_pairs")}
    variables["selection"] = empty(("subject", "time", "feature"), np.nan, np.float32)
    if study.generalise:
        for name in ("generalisation_full", "generalisation_pruned"):
            variables[name] = empty(("subject", "fold", "time", "time_scored"), np.nan)
    test = np.zeros((len(folds), features.n), dtype=bool)
    for f, fold in enumerate(folds):
        test[f, fold[1]] = True
    variables["test"] = ("fold", "stimulus"), test
    units = {"units": movies.units}
    coords: dict[str, Any] = {
        "subject": movies.subjects,
        "time": ("time", movies.times, units),
        "fold": np.arange(len(folds)),
        "repeat": ("fold", repeat),
        "feature": names_or_numbers(features.names, features.d),
        "stimulus": names_or_numbers(features.stimuli or movies.stimuli, features.n),
    }
    coords |= {name: ("time", values, units) for name, values in movies.windows.items()}
    if study.generalise:
        coords["time_scored"] = ("time_scored", movies.times, units)
    return xarray.Dataset(variables, coords, attrs)
