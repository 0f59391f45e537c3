"""Choices of odd ones out: how many of them a similarity space makes as people did, feature by feature and held out.

A triplet of stimuli is shown, one is chosen as the odd one out, and the other two are kept together. A space makes the
same choice where that pair is the most similar of the three. :func:`secateur.targets.from_triplets` makes a target of
the same choices, for all that takes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .arguments import check_integer, check_seed, is_integer, is_number
from .execution import thread_count
from .features import Features, Indices, Matrix, read_features, read_order, read_subset
from .measures import check_metric, comparator_row, metric_row, search_row
from .pairs import pair_places
from .problem import choices_by_prefix, choices_without, order_by_importance, similarities_of
from .progress import with_progress
from .provenance import own_version
from .pruning import Pruner
from .pruning.ranking import shuffled_folds
from .pruning.scorer import best_prefix
from .relabelling import relabellings
from .statistics import permutation_p
from .targets import from_triplets, read_triplets
from .validation import Fold, cv_name, names_or_numbers, split

if TYPE_CHECKING:
    import xarray

    from ._typing import HostEmbeddingLike, LabelsLike, Splits, SubsetLike, TripletsLike
    from .measures import Metric

__all__ = [
    "ChoiceCeiling", "ChoicePruned", "choice_accuracy", "cross_validate", "held_out", "insertion_curve",
    "leave_one_out", "noise_ceiling", "permutation_test", "prune", "simulate",
]  # fmt: skip

By = Literal["choices", "alignment"]
OverChoices = Literal["stimuli", "triplets"]
TIED = 1e-12  # the core's tie_share
CHANCE = 1 / 3


def _scores(similarities: Matrix, triplets: Indices, n: int, metric: Metric) -> Matrix:
    """What each choice (m,) counts by similarities (P,): 1, 1/2, 1/3 or 0; NaN where one of its pairs is undefined."""
    row = metric_row(metric)
    a, b, c = triplets.T
    pairs = np.stack([similarities[pair_places(*ends, n)] for ends in ((a, b), (a, c), (b, c))])
    if row.rooted:
        pairs = pairs * np.abs(pairs)
    tolerance = TIED if row.angular else TIED * np.abs(pairs).max(axis=0)
    ahead = pairs[0] - pairs[1:]
    best, ties = (ahead >= -tolerance).all(axis=0), (ahead <= tolerance).sum(axis=0)
    return np.asarray(np.where(np.isnan(pairs).any(axis=0), np.nan, best / (1 + ties)))


def _read(X: HostEmbeddingLike, triplets: TripletsLike, odd: int) -> tuple[Features, Indices]:
    features = read_features(X)
    return features, read_triplets(triplets, features.n, odd)


def choice_accuracy(
    X: HostEmbeddingLike,
    triplets: TripletsLike,
    metric: Metric = "cosine",
    *,
    subset: SubsetLike | None = None,
    odd: int = 2,
    threads: int | None = None,
) -> float:
    """Share of choices of odd ones out that an embedding makes too: the pair that was kept is the most similar.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64.
    triplets : (m, 3) integers
        The three stimuli of each choice, from 0: rows of X. A choice that was made again is a row again.
    metric : Metric
        As in :func:`secateur.similarity`.
    subset : bool mask (d,) or integer indices, optional
        The features that are present; all by default.
    odd : {2, 0, 1}
        The column that holds the odd one out; the last by default, as in the files of THINGS and thingsvision.
    threads : int, optional
        All available processors by default. The result is the same, bit for bit, for any number.

    Returns
    -------
    float
        From 0 to 1; chance is 1/3. A choice whose kept pair ties with one other pair counts 1/2, with both 1/3. Ties
        are similarities within 1e-12 of each other: of 1 for cosine and correlation, else of the largest absolute one
        of the three (euclidean distances by their squares). NaN where a stimulus of a triplet has no direction.

    Raises
    ------
    TypeError
        Where X holds no real numbers, or triplets no whole ones.
    ValueError
        Where X is not two-dimensional or not finite; triplets are not (m, 3), name a stimulus that isn't there, or one
        twice in a row; subset, metric, odd or threads is none of these.

    References
    ----------
    Hebart, Zheng, Pereira & Baker (2020), Nature Human Behaviour 4, 1173-1185; Muttenthaler & Hebart (2021), Frontiers
    in Neuroinformatics 15 (thingsvision).

    Examples
    --------
    >>> X = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]
    >>> choice_accuracy(X, [(0, 1, 2), (2, 3, 0), (0, 2, 1)])  # the last was not made so
    0.6666666666666666
    """
    features, chosen = _read(X, triplets, odd)
    columns, metric = read_subset(subset, features.d), check_metric(metric)
    return _accuracy(features.values, chosen, metric, columns, thread_count(threads))


def _accuracy(values: Matrix, triplets: Indices, metric: Metric, columns: Indices, threads: int) -> float:
    similarities = similarities_of(values, metric, columns, threads)
    return _share(_scores(similarities, triplets, len(values), metric))


def _share(scores: Matrix) -> float:
    """Their mean: of whole numbers of sixths, as the core has it."""
    return float(np.rint(6 * scores).sum() / (6 * len(scores)))


def leave_one_out(
    X: HostEmbeddingLike,
    triplets: TripletsLike,
    metric: Metric = "cosine",
    *,
    subset: SubsetLike | None = None,
    odd: int = 2,
    threads: int | None = None,
) -> Matrix:
    """Choice accuracy with each feature removed, exactly.

    Parameters
    ----------
    X, triplets, metric, subset, odd, threads
        As in :func:`~secateur.choice_accuracy`.

    Returns
    -------
    ndarray (d,) float64
        For a feature that is not in the subset: the accuracy of the subset itself. NaN where the removal leaves a
        stimulus of a triplet without direction.

    Raises
    ------
    TypeError, ValueError
        As :func:`~secateur.choice_accuracy`.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> triplets = sc.odd_one_out.simulate(sc.similarity(X, subset=[0, 1]), 500)
    >>> lost = sc.choice_accuracy(X, triplets) - sc.odd_one_out.leave_one_out(X, triplets)
    >>> sorted(np.argsort(-lost)[:2].tolist())
    [0, 1]
    """
    features, chosen = _read(X, triplets, odd)
    columns = read_subset(subset, features.d)
    return choices_without(features.values, chosen, check_metric(metric), columns, thread_count(threads))


def insertion_curve(
    X: HostEmbeddingLike,
    triplets: TripletsLike,
    order: SubsetLike,
    metric: Metric = "cosine",
    *,
    odd: int = 2,
    threads: int | None = None,
) -> Matrix:
    """Choice accuracy of the first 1, 2, ... features of an order.

    Parameters
    ----------
    order : integer indices
        Distinct features; not all have to be there.
    X, triplets, metric, odd, threads
        As in :func:`~secateur.choice_accuracy`.

    Returns
    -------
    ndarray (len(order),) float64
        NaN where a stimulus of a triplet has no direction yet.

    Raises
    ------
    TypeError, ValueError
        As :func:`~secateur.choice_accuracy`; where order names a feature twice or one that isn't there.

    Examples
    --------
    >>> X = [[1.0, 0.0], [0.9, 0.5], [0.1, 1.0]]
    >>> insertion_curve(X, [(0, 1, 2)], [0, 1])
    array([0.33333333, 1.        ])
    """
    features, chosen = _read(X, triplets, odd)
    listed = read_order(order, features.d)
    return choices_by_prefix(features.values, chosen, check_metric(metric), listed, thread_count(threads))


@dataclass(frozen=True)
class ChoiceCeiling:
    """How well choices can be predicted, given that people differ; of the sets of three that were shown again.

    Attributes
    ----------
    lower : share of choices that the majority of the others' choices of the same set predicts (ties shared)
    upper : the same where the choice itself is of the majority: no prediction by set does better on these choices
    sets, choices : how many sets were shown more than once, and how many choices were made of them
    """

    lower: float
    upper: float
    sets: int
    choices: int


def noise_ceiling(triplets: TripletsLike, *, odd: int = 2) -> ChoiceCeiling:
    """How often any model could choose as people did: bounds from triplets that were shown more than once.

    Parameters
    ----------
    triplets, odd
        As in :func:`~secateur.choice_accuracy`; rows that show the same three stimuli are repeats of one set.

    Returns
    -------
    ChoiceCeiling
        With few repeats the two bounds lie far apart: two choices that differ give an upper bound of 1/2.

    Raises
    ------
    TypeError
        Where triplets hold no whole numbers.
    ValueError
        Where their shape is not (m, 3), or no set was shown more than once.

    Examples
    --------
    >>> noise_ceiling([(0, 1, 2), (1, 0, 2), (0, 2, 1), (0, 1, 3)])
    ChoiceCeiling(lower=0.3333333333333333, upper=0.6666666666666666, sets=1, choices=3)
    """
    chosen = read_triplets(triplets, np.iinfo(np.int32).max, odd)  # of whatever stimuli there are
    of, ordered = _sets(chosen)
    which = (ordered == chosen[:, 2:]).argmax(axis=1)
    counts = np.zeros((of.max() + 1, 3), dtype=np.int64)
    np.add.at(counts, (of, which), 1)
    counts = counts[counts.sum(axis=1) > 1]
    if not len(counts):
        raise ValueError("triplets must show some set of three stimuli more than once for a noise ceiling, got none")
    upper = lower = 0.0
    for k in range(3):
        others = counts.copy()
        others[:, k] -= 1
        top = others == others.max(axis=1, keepdims=True)
        lower += float((counts[:, k] * top[:, k] / top.sum(axis=1)).sum())
    upper = float(counts.max(axis=1).sum())
    total = int(counts.sum())
    return ChoiceCeiling(lower / total, upper / total, len(counts), total)


def _sets(triplets: Indices) -> tuple[Indices, Indices]:
    """Which set of three each triplet shows (m,), numbers from 0, and its stimuli in ascending order (m, 3)."""
    ordered = np.sort(triplets, axis=1)
    _, of = np.unique(ordered, axis=0, return_inverse=True)
    return np.asarray(of.reshape(-1), dtype=np.int64), ordered


def simulate(similarities: Matrix, m: int, *, temperature: float | None = None, seed: int = 0) -> Indices:
    """Choices of odd ones out by similarities: for power, and to see that a planted subset is found again.

    Parameters
    ----------
    similarities : (P,) array
        Of every pair, in ``numpy.triu_indices(n, 1)`` order.
    m : int
        How many choices; sets of three are drawn at random, with replacement.
    temperature : float, optional
        Above 0: the pair (i, j) is kept with a probability in proportion to exp(s_ij / temperature), as SPoSE has it.
        None: the most similar pair is kept, ties by the order of the set.
    seed : int
        Of the draws.

    Returns
    -------
    (m, 3) int64
        The kept pair, then the odd one out.

    Raises
    ------
    ValueError
        Where similarities are not of all pairs of 3 stimuli or more, or m, temperature or seed is none of these.

    References
    ----------
    Zheng, Pereira, Baker & Hebart (2019), ICLR, "Revealing interpretable object representations from human behavior".

    Examples
    --------
    >>> simulate(np.array([0.9, 0.1, 0.2]), 1).shape
    (1, 3)
    """
    from .pairs import stimulus_count

    values = np.asarray(similarities, dtype=np.float64)
    n = stimulus_count(len(values)) if values.ndim == 1 else None
    if n is None or n < 3:
        raise ValueError(f"similarities must be of all pairs of 3 stimuli or more, got shape {values.shape}")
    m = check_integer("m", m, 1)
    if temperature is not None and not (is_number(temperature) and temperature > 0):
        raise ValueError(f"temperature must be above 0 or None, got {temperature!r}")
    rng = np.random.default_rng(check_seed(seed))
    first, second, third = rng.integers(n, size=m), rng.integers(n - 1, size=m), rng.integers(n - 2, size=m)
    second += second >= first  # of the others
    low, high = np.minimum(first, second), np.maximum(first, second)
    third += third >= low
    third += third >= high
    shown = np.stack([first, second, third], axis=1)
    ends = ((0, 1), (0, 2), (1, 2))
    of_pairs = np.stack([values[pair_places(shown[:, i], shown[:, j], n)] for i, j in ends])
    if temperature is not None:
        of_pairs = of_pairs / temperature + rng.gumbel(size=of_pairs.shape)
    columns = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[of_pairs.argmax(axis=0)]
    return np.take_along_axis(shown, columns, axis=1)


@dataclass(frozen=True)
class ChoicePruned:
    """What :func:`prune` found.

    Attributes
    ----------
    support : (d,) bool; the kept features
    order, importance : (d,) int64 and float64; most important first, and what is lost without each
    curve : (d,) float64; of each prefix of the order: choice accuracy, or alignment
    by : what the two are of
    baseline, accuracy : choice accuracy of all and of the kept features, on the choices that they were chosen by
    """

    support: npt.NDArray[np.bool_]
    order: Indices
    importance: Matrix
    curve: Matrix
    by: By
    baseline: float
    accuracy: float


def prune(
    X: HostEmbeddingLike,
    triplets: TripletsLike,
    pruner: Pruner | None = None,
    *,
    by: By = "choices",
    odd: int = 2,
) -> ChoicePruned:
    """Choose features by choices of odd ones out.

    Parameters
    ----------
    X, triplets, odd
        As in :func:`~secateur.choice_accuracy`.
    pruner : Pruner, optional
        Its metric, limits and threads; with ``by="alignment"`` its comparator and search, too.
    by : {"choices", "alignment"}
        ``"choices"``: features ranked by the choice accuracy that is lost without each, ties by index, inserted in that
        order, the shortest prefix of the highest choice accuracy kept. ``"alignment"``: the pruner on the target that
        :func:`secateur.targets.from_triplets` makes of the choices.

    Returns
    -------
    ChoicePruned
        Its accuracies are in-sample: for an honest number use :func:`cross_validate`.

    Raises
    ------
    TypeError
        As :func:`~secateur.choice_accuracy`; where pruner is no Pruner.
    ValueError
        As :func:`~secateur.choice_accuracy`; where a stimulus of a triplet has no direction, no set of features within
        the limits has an accuracy, or the pruner asks for what choices alone do not give.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 12))
    >>> triplets = sc.odd_one_out.simulate(sc.similarity(X, subset=[2, 5, 7]), 2000)
    >>> np.flatnonzero(sc.odd_one_out.prune(X, triplets).support)
    array([2, 5, 7])
    """
    features, chosen = _read(X, triplets, odd)
    return _prune(features, chosen, _checked(pruner, by), by)


def _checked(pruner: Pruner | None, by: By) -> Pruner:
    pruner = Pruner() if pruner is None else pruner
    if not isinstance(pruner, Pruner):
        raise TypeError(f"pruner must be a secateur.Pruner, got {type(pruner).__name__}")
    if by not in get_args(By):
        raise ValueError(f"by must be 'choices' or 'alignment', got {by!r}")
    pruner.settings()
    if pruner.joint != "each":
        raise ValueError(f"pruner's joint must be 'each' for choices, which are one target, got {pruner.joint!r}")
    alone = pruner.feature_groups is None and pruner.fixed_features is None
    if by == "choices" and not (search_row(pruner.search).whole_on_device and alone):
        raise ValueError(
            "pruner must search by 'ranking', without feature_groups and fixed_features, where by is 'choices', got "
            f"search {pruner.search!r}: pass by='alignment'"
        )
    return pruner


def _prune(
    features: Features, triplets: Indices, pruner: Pruner, by: By, stimuli: Indices | None = None
) -> ChoicePruned:
    """Among some stimuli, which hold all that the triplets do."""
    values, metric, threads = features.values, check_metric(pruner.metric), thread_count(pruner.threads)
    everything = np.arange(features.d, dtype=np.int64)
    baseline = _accuracy(values, triplets, metric, everything, threads)
    if np.isnan(baseline):
        raise ValueError("X must give every stimulus of the triplets a direction, got one with none")
    if by == "alignment":
        target = from_triplets(triplets, features.n, weighted=not comparator_row(pruner.comparator).rank)
        found = pruner.prune(features, target, stimuli=stimuli)
        support, order, importance, curve = (
            getattr(found, name)[0] for name in ("support", "order", "importance", "curve")
        )
    else:
        most = pruner.settings().search.most(features.d)
        importance = baseline - choices_without(values, triplets, metric, everything, threads)
        order = order_by_importance(importance[None])[0]
        curve = choices_by_prefix(values, triplets, metric, order, threads)
        length = everything + 1
        allowed = (length >= pruner.min_features) & (length <= most) & ~np.isnan(curve)
        if not allowed.any():
            raise pruner.settings().search.refuse_limits()
        support = np.zeros(features.d, dtype=bool)
        support[order[: int(best_prefix(np.where(allowed, curve, np.nan)))]] = True
    accuracy = _accuracy(values, triplets, metric, np.flatnonzero(support), threads)
    return ChoicePruned(support, order, importance, curve, by, baseline, accuracy)


@dataclass(frozen=True)
class _Part:
    """One fold: its choices to learn from and to score, and the training stimuli where stimuli are left out."""

    train: Indices
    test: Indices
    stimuli: Indices | None = None


def _parts(
    triplets: Indices, n: int, over: OverChoices, cv: Splits, repeats: int, seed: int, groups: LabelsLike | None
) -> tuple[list[_Part], Indices]:
    """Folds of the choices, and the repeat of each."""
    if over not in get_args(OverChoices):
        raise ValueError(f"over must be 'stimuli' or 'triplets', got {over!r}")
    if over == "stimuli":
        folds, repeat = split(n, cv, repeats, seed, groups)
        parts = [
            _Part(triplets[_within(triplets, train, n)], triplets[_within(triplets, test, n)], train)
            for train, test in folds
        ]
    else:
        if not is_integer(cv):
            raise TypeError(f"cv must be an integer where over is 'triplets', got {cv!r}")
        of, _ = _sets(triplets)
        cv, repeats = check_integer("cv", cv, 2, int(of.max()) + 1), check_integer("repeats", repeats, 1)
        seed = check_seed(seed, repeats)
        drawn: list[Fold] = [fold for r in range(repeats) for fold in shuffled_folds(int(of.max()) + 1, cv, seed + r)]
        parts = [_Part(triplets[np.isin(of, train)], triplets[np.isin(of, test)]) for train, test in drawn]
        repeat = np.repeat(np.arange(repeats, dtype=np.int64), cv)
    for f, part in enumerate(parts):
        for side, name in ((part.train, "training"), (part.test, "test")):
            if not len(side):
                raise ValueError(
                    f"cv must leave triplets wholly within the {name} stimuli, got none of {len(triplets)} in fold "
                    f"{f}: fewer folds, or over='triplets', leave more"
                )
    return parts, repeat


def _within(triplets: Indices, stimuli: Indices, n: int) -> npt.NDArray[np.bool_]:
    inside = np.zeros(n, dtype=bool)
    inside[stimuli] = True
    return np.asarray(inside[triplets].all(axis=1))


def cross_validate(
    X: HostEmbeddingLike,
    triplets: TripletsLike,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    by: By = "choices",
    over: OverChoices = "stimuli",
    odd: int = 2,
    progress: bool = True,
) -> xarray.Dataset:
    """Choose features by some choices, score them by others that had no part in it.

    Parameters
    ----------
    X, triplets, odd
        As in :func:`~secateur.choice_accuracy`.
    pruner, by
        As in :func:`prune`.
    cv, repeats, seed
        As in :func:`secateur.cross_validate`; ``over="triplets"`` takes an integer ``cv`` alone.
    groups : array (n,), optional
        Stimuli of one group are never on both sides, where stimuli are left out.
    over : {"stimuli", "triplets"}
        What is left out. ``"stimuli"``: features are chosen by triplets wholly within the training stimuli, and scored
        on those wholly within the test stimuli; triplets of both are not used (of k folds about 1 / k² are scored, all
        folds together). ``"triplets"``, as THINGS' test set is: other choices among the same stimuli; choices of one
        set of three stay on one side.
    progress : bool
        Whether a bar may show.

    Returns
    -------
    xarray.Dataset, dims (fold[, feature])
        Choice accuracies ``full_train``, ``full_test``, ``pruned_train``, ``pruned_test``; ``train_triplets``,
        ``test_triplets``: how many choices they are of; ``undefined``: test choices that the kept features leave
        undefined (not scored), ``n_kept``, ``kept``, ``importance`` (of what ``by`` says). ``attrs``: how it was made,
        and ``full_test``, ``pruned_test``: the shares of all scored choices of all folds.

    Raises
    ------
    TypeError
        As :func:`prune`; where cv gives no folds.
    ValueError
        As :func:`prune`, in any fold; where a side of a fold holds no triplet.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 12))
    >>> triplets = sc.odd_one_out.simulate(sc.similarity(X, subset=[2, 5, 7]), 3000, temperature=0.1)
    >>> result = sc.odd_one_out.cross_validate(X, triplets, cv=3)
    >>> result.attrs["pruned_test"] > result.attrs["full_test"] > 1 / 3
    True
    """
    import xarray

    features, chosen = _read(X, triplets, odd)
    pruner = _checked(pruner, by)
    parts, repeat = _parts(chosen, features.n, over, cv, repeats, seed, groups)
    found = [_score(features, part, pruner, by) for part in with_progress(parts, len(parts), "folds", progress)]
    columns = {name: np.array([getattr(one, name) for one in found]) for name in _Scored.__dataclass_fields__}
    counts = {
        "train_triplets": np.array([len(part.train) for part in parts]),
        "test_triplets": np.array([len(part.test) for part in parts]),
        "n_kept": columns["kept"].sum(axis=1),
    }
    variables = {
        name: (("fold", "feature") if values.ndim == 2 else ("fold",), values)
        for name, values in (columns | counts).items()
    }
    coords = {
        "fold": np.arange(len(parts)), "repeat": ("fold", repeat),
        "feature": names_or_numbers(features.names, features.d),
    }  # fmt: skip
    attrs = {
        "metric": pruner.metric, "by": by, "over": over, "cv": cv_name(cv), "repeats": int(repeats), "seed": int(seed),
        **({"comparator": pruner.comparator, "search": pruner.search} if by == "alignment" else {}),
        "full_test": _pooled(found, "full_test"), "pruned_test": _pooled(found, "pruned_test"),
        "secateur_version": own_version(),
    }  # fmt: skip
    return xarray.Dataset(variables, coords, attrs)


@dataclass(frozen=True)
class _Scored:
    """One fold's result; ``scored`` and ``full_scored`` are the test choices that have a score."""

    full_train: float
    full_test: float
    pruned_train: float
    pruned_test: float
    undefined: int
    scored: int
    full_scored: int
    kept: npt.NDArray[np.bool_]
    importance: Matrix


def _score(features: Features, part: _Part, pruner: Pruner, by: By) -> _Scored:
    """Prune by the training choices, score the test choices. Nothing else crosses."""
    pruned = _prune(features, part.train, pruner, by, part.stimuli)
    metric, threads = check_metric(pruner.metric), thread_count(pruner.threads)
    everything = np.arange(features.d, dtype=np.int64)
    scores = []
    for columns in (everything, np.flatnonzero(pruned.support)):
        similarities = similarities_of(features.values, metric, columns, threads)
        each = _scores(similarities, part.test, features.n, metric)
        scores.append(each[~np.isnan(each)])
    full, kept = (_share(each) if len(each) else np.nan for each in scores)
    return _Scored(
        pruned.baseline, full, pruned.accuracy, kept, len(part.test) - len(scores[1]), len(scores[1]), len(scores[0]),
        pruned.support, pruned.importance,
    )  # fmt: skip


def held_out(
    X: HostEmbeddingLike,
    triplets: TripletsLike,
    result: xarray.Dataset,
    *,
    odd: int = 2,
    threads: int | None = None,
) -> xarray.Dataset:
    """Choice accuracy in each fold of a :func:`secateur.cross_validate` of one target, on its test stimuli.

    Parameters
    ----------
    X, triplets, odd, threads
        As in :func:`~secateur.choice_accuracy`; the rows of X as they were in the folds.
    result : xarray.Dataset
        From :func:`secateur.cross_validate` to the target that :func:`secateur.targets.from_triplets` made of these
        choices, or to any other.

    Returns
    -------
    xarray.Dataset, dims (fold)
        ``full_test``, ``pruned_test``: shares of the ``test_triplets`` choices that lie wholly within the fold's test
        stimuli (NaN where there are none); ``undefined``: those that the kept features leave undefined, not scored.
        ``attrs``: the shares of all scored choices of all folds.

    Raises
    ------
    TypeError
        As :func:`~secateur.choice_accuracy`.
    ValueError
        As :func:`~secateur.choice_accuracy`; where the result is of several targets or of other stimuli or features.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 12))
    >>> triplets = sc.odd_one_out.simulate(sc.similarity(X, subset=[2, 5, 7]), 3000)
    >>> result = sc.cross_validate(X, sc.targets.from_triplets(triplets, 30), cv=3)
    >>> scores = sc.odd_one_out.held_out(X, triplets, result)
    >>> scores.attrs["pruned_test"] > scores.attrs["full_test"]
    True
    """
    import xarray

    features, chosen = _read(X, triplets, odd)
    shape = (1, len(result["fold"]), features.d)
    if result["kept"].shape != shape or result["test"].shape != (shape[1], features.n):
        raise ValueError(
            f"result must be of one target, the {features.n} stimuli and {features.d} features of X, got kept of shape "
            f"{result['kept'].shape} and test of shape {result['test'].shape}"
        )
    metric, count = check_metric(result.attrs["metric"]), thread_count(threads)
    everything = np.ones(features.d, dtype=bool)
    rows: list[tuple[float, float, int, int]] = []
    scored = np.zeros((2, shape[1]), dtype=np.int64)
    for f in range(shape[1]):
        part = chosen[_within(chosen, np.flatnonzero(result["test"].values[f]), features.n)]
        shares = []
        for k, mask in enumerate((everything, result["kept"].values[0, f])):
            each = _scores(
                similarities_of(features.values, metric, np.flatnonzero(mask), count), part, features.n, metric
            )
            each = each[~np.isnan(each)]
            scored[k, f] = len(each)
            shares.append(_share(each) if len(each) else float("nan"))
        rows.append((shares[0], shares[1], len(part), len(part) - int(scored[1, f])))
    names = ("full_test", "pruned_test", "test_triplets", "undefined")
    variables = {name: (("fold",), np.array(values)) for name, values in zip(names, zip(*rows))}
    attrs = {
        name: float(np.nansum(variables[name][1] * scored[k]) / scored[k].sum()) if scored[k].any() else float("nan")
        for k, name in enumerate(names[:2])
    }
    return xarray.Dataset(variables, {"fold": result["fold"].values}, attrs)


def _pooled(found: list[_Scored], name: str) -> float:
    """The share of all scored choices of all folds; NaN where none was scored."""
    weights = np.array([one.full_scored if name == "full_test" else one.scored for one in found])
    values = np.array([getattr(one, name) for one in found])
    return float(np.sum(np.where(weights > 0, values, 0) * weights) / weights.sum()) if weights.any() else float("nan")


def permutation_test(
    X: HostEmbeddingLike,
    triplets: TripletsLike,
    n: int = 1000,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    by: By = "choices",
    over: OverChoices = "stimuli",
    odd: int = 2,
    progress: bool = True,
) -> xarray.Dataset:
    """The null of the whole procedure: features dealt to other stimuli, the cross-validated pruning rerun.

    Parameters
    ----------
    X, triplets, pruner, cv, repeats, by, over, odd, progress
        As in :func:`cross_validate`.
    n : int
        Number of relabellings; each permutes the rows of X. Choices and folds stay as they are.
    groups : array (n,), optional
        As in :func:`cross_validate`; all of one size. A relabelling moves whole groups to the places of others, and is
        free within each.
    seed : int
        Of the folds, and of the relabellings.

    Returns
    -------
    xarray.Dataset, dims (permutation)
        ``full_test``, ``pruned_test`` and ``gain`` (permutation): shares of all scored choices under the null, and
        their difference; ``observed_full_test``, ``observed_pruned_test``, ``observed_gain``, and ``p_full_test``,
        ``p_pruned_test``, ``p_gain``, with p = (1 + #{null >= observed}) / (1 + n).

    Raises
    ------
    TypeError, ValueError
        As :func:`cross_validate`; where groups differ in size.

    Notes
    -----
    Exact where stimuli are exchangeable: see :func:`secateur.permutation_test`.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(20, 8))
    >>> triplets = sc.odd_one_out.simulate(sc.similarity(X, subset=[2, 5]), 1000)
    >>> float(sc.odd_one_out.permutation_test(X, triplets, n=9, cv=3).p_pruned_test)
    0.1
    """
    import xarray

    n = check_integer("n", n, 1)
    features, chosen = _read(X, triplets, odd)
    pruner = _checked(pruner, by)
    parts, _ = _parts(chosen, features.n, over, cv, repeats, seed, groups)
    orders = np.vstack([np.arange(features.n), relabellings(features.n, n, seed, groups)])
    names = ("full_test", "pruned_test")
    found = np.array([*_relabelled_scores(features, orders, parts, pruner, by, progress)])
    values: dict[str, Any] = {name: found[:, k] for k, name in enumerate(names)}
    values["gain"] = values["pruned_test"] - values["full_test"]
    variables: dict[str, Any] = {}
    for name, each in values.items():
        variables[name] = (("permutation",), each[1:])
        variables[f"observed_{name}"] = ((), each[0])
        variables[f"p_{name}"] = ((), float(permutation_p(each[:1], each[None, 1:])[0]))
    attrs = {
        "metric": pruner.metric, "by": by, "over": over, "cv": cv_name(cv), "repeats": int(repeats), "seed": int(seed),
        "n": n, "secateur_version": own_version(),
    }  # fmt: skip
    return xarray.Dataset(variables, {"permutation": np.arange(n)}, attrs)


def _relabelled_scores(
    features: Features, orders: Indices, parts: list[_Part], pruner: Pruner, by: By, progress: bool
) -> Iterator[tuple[float, float]]:
    """Full and pruned share of the scored choices with the rows of X in each order."""
    for order in with_progress(orders, len(orders), "relabellings", progress):
        moved = replace(features, values=np.ascontiguousarray(features.values[order]))
        found = [_score(moved, part, pruner, by) for part in parts]
        yield _pooled(found, "full_test"), _pooled(found, "pruned_test")
