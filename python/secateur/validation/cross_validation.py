"""Out of sample: cross-validation over stimuli."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..features import DeviceFeatures, Features, Indices, read_features
from ..problem import Problem
from ..progress import Report, with_parts
from ..provenance import digest_of
from ..pruning import Pruner
from ..pruning.result import Detail
from ..resuming import Arrays, kept_parts
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..targets import DeviceTargets, Targets

if TYPE_CHECKING:
    import xarray
    from sklearn.pipeline import Pipeline

    from .._typing import (
        ControlLike,
        EmbeddingLike,
        LabelsLike,
        NamesLike,
        PathOrPaths,
        Splits,
        TargetLike,
        WeightsLike,
    )
    from ..targets import Kind
from .fingerprints import settings_of_run
from .folds import Fold, held_out_pairs, split, warn_of_small_folds
from .pipelines import ends_in_pruner, transformed
from .scores import FoldScores, attributes, collect, names_or_numbers, score_fold
from .subjects import bounds, subjects_of

__all__ = ["Over", "cross_validate", "left_out", "left_out_folds", "pruner_of"]


Over = Literal["stimuli", "subjects", "both"]


def left_out_folds(
    over: Over, targets: Targets | DeviceTargets, subjects: NamesLike | None, n: int, cv: Splits, repeats: int, seed:
    int, groups: LabelsLike | None,
) -> tuple[list[Fold], Indices, Indices | None]:  # fmt: skip
    """Folds, their repeats, and the subject of each target (T,) where subjects are left out, else None."""
    if over not in get_args(Over):
        raise ValueError(f"over must be 'stimuli', 'subjects' or 'both', got {over!r}")
    if over == "stimuli":
        if subjects is not None:
            raise ValueError("subjects must be None where over is 'stimuli', got some")
        return *split(n, cv, repeats, seed, groups), None
    assert isinstance(targets, Targets)
    _, whose = subjects_of(targets, subjects)
    if over == "both":
        return *split(n, cv, repeats, seed, groups), whose
    everyone = np.arange(n, dtype=np.int64)
    return [(everyone, everyone)], np.zeros(1, dtype=np.int64), whose


def left_out(over: Over) -> dict[str, str]:
    """What a result records of what was left out, where that is not stimuli alone."""
    return {} if over == "stimuli" else {"over": over}


def pruner_of(pruner: Pruner | None, kind: Kind | None, over: str = "stimuli") -> Pruner:
    pruner = Pruner(joint="each" if over == "stimuli" else "mean") if pruner is None else pruner
    if ends_in_pruner(pruner):
        raise TypeError(
            "pruner must be a secateur.Pruner here, got a Pipeline, which cross_validate and final_set take"
        )
    if not isinstance(pruner, Pruner):
        last: Any = getattr(pruner, "steps", None)
        ends = f" that ends in {type(last[-1][1]).__name__}, not in a Pruner" if last else ""
        raise TypeError(f"pruner must be a secateur.Pruner, got {type(pruner).__name__}{ends}")
    if kind is not None:
        from sklearn.base import clone

        pruner = clone(pruner).set_params(kind=kind)
    return pruner


def _spaces(pipeline: Pipeline, features: Features | DeviceFeatures, folds: list[Fold]) -> list[Features]:
    """What the steps of a pipeline before its Pruner give in each fold."""
    assert isinstance(features, Features)
    spaces = [transformed(pipeline, features, train) for train, _ in folds]
    counts = {one.d for one in spaces}
    if len(counts) > 1:
        raise ValueError(
            f"pipeline must give as many features in each fold, got {', '.join(map(str, sorted(counts)))}: set their "
            "number, as in PCA(n_components=10)"
        )
    return spaces


def cross_validate(
    X: EmbeddingLike,
    target: TargetLike,
    pruner: Pruner | Pipeline | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    over: Over = "stimuli",
    subjects: NamesLike | None = None,
    curves: bool = True,
    store: PathOrPaths | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Prune on some stimuli, or subjects, score on others.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Finite; computed with in float64. A numpy array of float32 (C-contiguous) is not copied as a whole by searches
        by ranking: each fold's stimuli become float64, with the same results. Others are converted once.
    target : array, rsatoolbox RDMs, or xarray DataArray
        One or T targets, in any form that :func:`secateur.alignment` takes.
    pruner : Pruner, or scikit-learn Pipeline that ends in one; optional
        ``Pruner()`` by default, and ``Pruner(joint="mean")`` where subjects are left out. It is not fitted or changed.
        The steps of a pipeline before it (scaling, PCA) are fitted to the training stimuli of each fold alone; "full"
        is then all that they give, and they have to give as many features in each fold.
    cv : int, scikit-learn splitter, or iterable of (train, test) indices or masks
        Splits are over stimuli: training sees the pairs among training stimuli, the score is the alignment
        among the test stimuli. Each side needs at least 3.
    repeats : int
        Redraws of an integer ``cv``; repeat r uses ``seed + r``.
    seed : int
        Of the shuffles of an integer ``cv``.
    groups : array (n,), optional
        Stimuli of one group stay on one side, in the inner folds of ``search="parsimonious"`` too.
    kind : {"similarity", "dissimilarity"}, optional
        What the target holds, where neither it nor the pruner says so; overrides the pruner's.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.
    control : matrices, optional
        What neither the pruning nor a score may rest on, as in :func:`secateur.alignment`: all alignments are partial.
    over : {"stimuli", "subjects", "both"}
        What is left out of the pruning and scored. ``"subjects"``: targets are subjects, and features chosen on all
        others together, by the pruner's ``joint``, are scored on each of them, among the same stimuli, in one fold
        (``cv`` is not used). ``"both"``: among the test stimuli of each fold.
    subjects : array (T,), optional
        Whose each target is, where a subject has several (sessions, regions): these are left out together. Each
        target is a subject's by default.
    curves : bool
        Whether the insertion curves (target, fold, step) are returned.
    store : path, optional
        A folder that takes the results fold by fold. A run that was killed goes on where it was, when it is called
        again with the same arguments, and ends with the same bits (within 1e-9 where one part ran on a CUDA device and
        the other did not); other settings or inputs are refused. :func:`secateur.final_set`,
        :func:`secateur.permutation_test` and :func:`secateur.bootstrap` may be given the same folder.
    progress : bool
        Whether a progress bar may show, once two seconds have passed, on stderr, and before a run of more than a
        minute a line with the time and memory that it will take (``secateur.cost``).

    Returns
    -------
    xarray.Dataset, dims (target, fold[, feature])
        ``full_train``, ``full_test``, ``pruned_train``, ``pruned_test``: alignments, correlation units.
        ``n_kept``, ``kept`` (feature), ``importance`` (feature), ``curve`` (step), ``undefined_pairs``: held-out
        pairs that the kept features leave undefined (not scored), and ``test`` (fold, stimulus). Where pairs are
        missing or weighted, ``test_pairs`` (target, fold): how many with weight a score is of. Where subjects are
        left out: ``kept``, ``importance`` and the training alignments are those of the others; ``ceiling_lower`` and
        ``ceiling_upper`` are the alignments, among the same test stimuli, of the mean of the others' targets and of
        that of all (:func:`secateur.noise_ceiling`). It can be saved with ``to_netcdf`` and read back whole.

    Raises
    ------
    TypeError
        Where X, target or weights hold no real numbers, pruner is no Pruner, or cv gives no folds.
    ValueError
        As :func:`secateur.search.find`, in any fold; where a side of a fold has fewer than 3 stimuli, or sides share a
        stimulus or a group; where no target has 3 pairs among the test stimuli of a fold; where subjects are fewer than
        two, or are left out while the pruner's ``joint`` is ``"each"``; where the store is of a run with other settings
        or inputs, or damaged.
    FileExistsError, RuntimeError
        Where something else is at the store's path, or another process writes it.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Where the mean held-out alignment of all features is below zero: the target may be of the other kind.
    SmallFoldsWarning
        Once, where test folds have fewer than 30 pairs.

    Notes
    -----
    With ``over="subjects"`` the stimuli that choose are those that are scored: what subjects share of these stimuli is
    fitted also where X has nothing to do with it, and held-out subjects then score above zero. With ``"both"`` they do
    not; :func:`secateur.permutation_test` holds its level with either (``benchmarks/simulate_inference.py
    subjects``).

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, "Out-of-sample generalization". Nili et al. (2014), "Noise ceiling".

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 40))
    >>> result = cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3)
    >>> dict(result.sizes)["fold"]
    3
    >>> from secateur import similarity
    >>> subjects = similarity(X[:, :8]) + 0.1 * rng.normal(size=(4, 435))
    >>> result = cross_validate(X, subjects, cv=3, kind="similarity", over="both")
    >>> bool((result.pruned_test.mean("fold") > result.full_test.mean("fold")).all())
    True
    """
    pipeline = pruner if ends_in_pruner(pruner) else None
    pruner = pruner_of(pruner if pipeline is None else pipeline.steps[-1][1], kind, over)
    settings = pruner.settings()
    if pipeline is not None:
        X = read_features(X)
    features, targets = settings.read(X, target, weights, control)
    folds, repeat, whose = left_out_folds(over, targets, subjects, features.n, cv, repeats, seed, groups)
    test_pairs = held_out_pairs(folds, targets)
    warn_of_small_folds(folds, test_pairs)
    spaces = [features] * len(folds)
    if pipeline is not None:
        spaces = [*_spaces(pipeline, features, folds)]
        features = spaces[0]
    problem = settings.problem(features, targets, folds, runs=1)
    problems = [problem if one is features else settings.problem(one, targets, folds, runs=1) for one in spaces]
    ceiling = None
    if whose is not None and isinstance(targets, Targets):
        ceiling = bounds(targets, settings.comparator, whose, [test for _, test in folds])
    detail: Detail = "path" if curves else "importance"
    names = (
        names_or_numbers(features.names, features.d),
        names_or_numbers(features.stimuli or targets.stimuli, features.n),
    )
    attrs = attributes(pruner, targets.kind, cv, repeats, seed, targets.controls) | left_out(over)
    attrs |= {"target_holds": targets.held} if targets.held == "choices" else {}

    def depends() -> dict[str, Any]:
        more = {} if pipeline is None else {"pipeline": digest_of([digest_of(one.host[0].values) for one in problems])}
        return settings_of_run(attrs, problem, pruner, folds, groups, whose, curves=curves, **more)

    def run(own: Problem, fold: Fold, report: Report) -> Arrays:
        how: dict[str, Any] = {"detail": detail, "groups": groups, "report": report, "whose": whose}
        return score_fold(own, fold, settings.search, **how).arrays()

    with kept_parts(store, "cross_validate", depends) as kept:
        done = kept.first("fold")
        apart = 1 if whose is None else int(whose.max()) + 1
        settings.cost(problem, folds[done:] or folds, 0 if done == len(folds) else apart).announce(progress)
        shown = with_parts(enumerate(zip(problems, folds)), len(folds), "folds", progress, done=done)
        jobs = (partial(kept.part, "fold", f, partial(run, own, fold, report)) for (f, (own, fold)), report in shown)
        made = problem.execution.in_turns(jobs, short=settings.search.runs_on_device)
        scores = map(FoldScores.of, made)
        result = collect(scores, folds, repeat, targets, names, attrs, curves=curves, ceiling=ceiling)
    if targets.weights is not None:
        result["test_pairs"] = (("target", "fold"), test_pairs)
    warn_of_undefined_pairs(int(result["undefined_pairs"].sum()))
    warn_of_opposition(result["full_test"].mean("fold"), targets.held)
    return result
