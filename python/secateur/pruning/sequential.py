"""The searches: how the features to keep are found, from one ranking to floating sequential selection."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..arguments import check_integer, check_seed, is_number
from ..execution import Execution, check_device, multiply_adds, thread_count
from ..features import DeviceFeatures, Features, Indices, Matrix, read_features, read_labels
from ..measures import (
    SEARCHES,
    SearchRow,
    check_comparator,
    check_metric,
    check_search,
    comparator_row,
    metric_row,
    search_row,
)
from ..pairs import unpack
from ..problem import Problem, device_array, rank
from ..progress import bar
from ..targets import DeviceTargets, Targets, read_target

__all__ = [
    "SEARCHES",
    "STEP",
    "Pruned",
    "SearchInterrupted",
    "backward",
    "find",
    "floating",
    "forward",
    "parsimonious",
    "ranking",
    "subset_at",
]

Mask = npt.NDArray[np.bool_]
Path = npt.NDArray[np.void]

Wanted = Literal["support", "importance", "path"]

# Two alignments closer than this are one: the lower index, or the smaller set, wins.
TIE = 1e-12

# One step of a search. `feature`: the one that came or went (of a group: its first column), -1 for none. `action`:
# "start" from all features, "add", "remove", or "return" to the best set of this size seen before. `alignment` and
# `count`: of the set after the step.
STEP = np.dtype([("feature", np.int64), ("action", "U6"), ("alignment", np.float64), ("count", np.int64)])

SMALLEST_FOLD = 3


class SearchInterrupted(UserWarning):
    """A search was stopped by Ctrl-C: what was kept is the best set seen until then."""


@dataclass(frozen=True)
class Pruned:
    """What pruning to T targets gives.

    Attributes
    ----------
    baseline : (T,) alignment of all features
    importance : (T, d) baseline - alignment without the feature; forward searches: the gain at its last entry
    order : (T, d) features, the kept ones first
    curve : (T, d) alignment of the best set of 1, 2, ..., d features that the search saw; NaN where it saw none
    support : (T, d) bool, the smallest set seen that reaches the maximum (``"parsimonious"`` has its own rule)
    alignment : (T,) alignment of the support
    paths : one array of STEPs a target
    interrupted : whether Ctrl-C ended the search

    What was not ``wanted`` has no rows: ``order``, ``curve`` and ``paths``, or ``importance`` too.
    """

    baseline: Matrix
    importance: Matrix
    order: Indices
    curve: Matrix
    support: Mask
    alignment: Matrix
    walked: tuple[Path, ...] | None = None  # None: the steps are those of an insertion
    interrupted: bool = False

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The steps to each target's set, made when they are first asked for."""
        if self.walked is not None:
            return self.walked
        count = np.arange(1, self.order.shape[1] + 1)
        return tuple(_path_along(order, curve, count) for order, curve in zip(self.order, self.curve))


@dataclass(frozen=True)
class Search:
    """A search and its parameters, as :class:`secateur.Pruner` takes them; :meth:`check` refuses what can't be."""

    name: str = "ranking"
    max_features: int | None = None
    min_features: int = 1
    tol: float | None = None
    patience: int | None = None
    feature_groups: Any = None
    inner_cv: int = 5
    seed: int = 0

    def check(self) -> Search:
        check_search(self.name)
        check_integer("max_features", self.max_features, 1, optional=True)
        check_integer("min_features", self.min_features, 1)
        check_integer("patience", self.patience, 1, optional=True)
        check_integer("inner_cv", self.inner_cv, 2)
        check_seed(self.seed)
        if self.tol is not None and not (is_number(self.tol) and np.isfinite(self.tol)):
            raise ValueError(f"tol must be a finite number or None, got {self.tol!r}")
        if self.max_features is not None and self.max_features < self.min_features:
            raise ValueError(
                f"max_features must not be below min_features ({self.min_features}), got {self.max_features}"
            )
        return self

    @property
    def row(self) -> SearchRow:
        return search_row(self.name)

    @property
    def runs_on_device(self) -> bool:
        """Whether all of it runs where X lies, on a device say; other searches come back to the host at each step."""
        return self.row.on_device and self.feature_groups is None

    def cost(self, stimuli: int, features: int, targets: int, runs: int = 1) -> float:
        """About how many multiply-adds so many searches take."""
        return multiply_adds(stimuli, features, targets, runs) * (1 if self.row.ranks else features)

    def most(self, d: int) -> int:
        """The largest number of features that may be kept, of d."""
        for name in ("max_features", "min_features"):
            value = getattr(self, name)
            if value is not None and value > d:
                raise ValueError(f"{name} must be at most the {d} features of X, got {value}")
        return d if self.max_features is None else int(self.max_features)


@dataclass(frozen=True)
class Settings:
    """What a :class:`secateur.Pruner` was told, checked once a call; what it makes of X and target is a Problem."""

    metric: str = "cosine"
    comparator: str = "pearson"
    kind: str | None = None
    search: Search = Search()
    device: str = "auto"
    threads: int | None = None
    precision: str = "double"

    def checked(self) -> Settings:
        """With the names that stand for others resolved; refused is what can't be, or a device that can't be had."""
        self.search.check()
        check_device(self.device)
        terms = check_metric(self.metric), check_comparator(self.comparator)
        return replace(self, metric=terms[0], comparator=terms[1], threads=thread_count(self.threads))

    def read(
        self, X: Any, target: Any, weights: Any = None
    ) -> tuple[Features | DeviceFeatures, Targets | DeviceTargets]:
        """X and target in any form; arrays on a device where the search runs there."""
        features = read_features(X, device_arrays=self.search.runs_on_device)
        return features, read_target(
            target, features.n, self.kind, weights, features.stimuli, device_arrays=self.search.runs_on_device
        )

    def problem(
        self, features: Features | DeviceFeatures, targets: Targets | DeviceTargets,
        folds: Sequence[tuple[Indices, Indices]] | None = None, runs: int | None = None,
    ) -> Problem:  # fmt: skip
        """Loaded where the searches of all folds run, ``runs`` times (None: more often than can be said).

        A search that comes back to the host at each step brings its part of X to a device by itself.
        """
        stimuli = features.n if folds is None else max(len(train) for train, _ in folds)
        work = math.inf
        if runs is not None:
            count = 1 if folds is None else len(folds)
            work = self.search.cost(stimuli, features.d, len(targets) * runs, count)
        execution = Execution.resolved(
            self.device, self.threads, self.precision, comparator=self.comparator, stimuli=stimuli,
            device_array=device_array(features, targets), work=work,
        )  # fmt: skip
        problem = Problem(features, targets, self.metric, self.comparator, execution)
        return problem.load() if self.search.runs_on_device else problem

    def scoring(self, features: Features, targets: Targets) -> Problem:
        """For single spaces, which are scored on the processor."""
        assert self.threads is not None
        return Problem(features, targets, self.metric, self.comparator, Execution(threads=self.threads))


# Groups of features


@dataclass(frozen=True)
class Groups:
    """Features that come and go together; groups are numbered by their first feature.

    Attributes
    ----------
    of : (d,) the group of each feature
    members : by group, its features
    sizes, first : (G,) how many they are, and the first
    """

    of: Indices
    members: tuple[Indices, ...]
    sizes: Indices
    first: Indices

    def __len__(self) -> int:
        return len(self.members)

    @property
    def single(self) -> bool:
        """Whether every feature is its own group."""
        return len(self.members) == len(self.of)

    def columns(self, inside: Mask) -> Indices:
        """The features of some groups, in order of index."""
        return np.asarray(np.flatnonzero(inside[self.of]), dtype=np.int64)

    def laid_out(self, order: Indices) -> Indices:
        """Features (..., d) of an order of groups (..., G)."""
        if self.single:
            return order
        rows = [np.concatenate([self.members[g] for g in row]) for row in order.reshape(-1, len(self))]
        return np.stack(rows).reshape(*order.shape[:-1], len(self.of))


def read_groups(labels: Any, d: int) -> Groups:
    """Groups from one label a feature (d,); None: every feature is its own."""
    of = np.arange(d, dtype=np.int64)
    if labels is not None:
        given = read_labels(labels, d, "feature_groups", "features")
        if given.dtype.kind not in "iubUS":
            raise TypeError(f"feature_groups must hold integers or strings, got dtype {given.dtype}")
        _, first, inverse = np.unique(given, return_index=True, return_inverse=True)
        position = np.argsort(np.argsort(first))
        of = np.asarray(position[inverse.reshape(-1)], dtype=np.int64)
    count = int(of.max()) + 1
    by_group = np.argsort(of, kind="stable")
    sizes = np.bincount(of, minlength=count).astype(np.int64)
    members = tuple(np.split(by_group.astype(np.int64), np.cumsum(sizes)[:-1]))
    return Groups(of, members, sizes, np.array([group[0] for group in members], dtype=np.int64))


# What a search asks


@dataclass(frozen=True)
class Scorer:
    """Alignments of sets of features with T targets."""

    problem: Problem
    groups: Groups
    loaded: Problem  # the same with X on the device, where single steps run on one

    @classmethod
    def of(cls, problem: Problem, groups: Groups) -> Scorer:
        return cls(problem, groups, problem.load(targets=False))

    @property
    def features(self) -> Features:
        return self.problem.host[0]

    @property
    def targets(self) -> Targets:
        return self.problem.host[1]

    @property
    def threads(self) -> int:
        return self.problem.execution.threads

    def one(self, t: int) -> Scorer:
        """Of one target alone."""
        chosen = self.targets.only(slice(t, t + 1))
        return Scorer(self.problem.against(chosen), self.groups, self.loaded.against(chosen))

    def after_each(self, inside: Mask, *, adding: bool) -> Matrix:
        """Alignment (T, G) with each group added to, or removed from, those inside; elsewhere nothing is promised."""
        if self.groups.single:
            step = self.loaded.add_one if adding else self.loaded.leave_one_out
            return step(self.groups.columns(inside))
        out = np.full((len(self.targets), len(self.groups)), np.nan)
        for g in np.flatnonzero(inside != adding):
            moved = inside.copy()
            moved[g] = adding
            out[:, g] = self.problem.compare(self.similarities(moved), threads=1)
        return out

    def similarities(self, inside: Mask) -> Matrix:
        """Similarities (P,) over the features of some groups."""
        columns = self.groups.columns(inside)
        # Below a millisecond or so, starting threads costs more than they save.
        threads = self.threads if len(columns) * self.targets.values.shape[1] > 1 << 24 else 1
        return self.problem.similarities(columns, threads)

    def curve(self, order: Indices) -> Matrix:
        """Alignment (T, G) of the first 1, 2, ... groups of each target's order (T, G)."""
        curve = self.loaded.insertion_curve(self.groups.laid_out(order))
        if self.groups.single:
            return curve
        return np.take_along_axis(curve, np.cumsum(self.groups.sizes[order], axis=1) - 1, axis=1)

    @cached_property
    def _extremes(self) -> tuple[Matrix, Matrix]:
        """Lowest and highest value (n, G) of each stimulus in each group."""
        X = self.features.values
        if self.groups.single:
            return X, X
        members = self.groups.members
        return np.stack([X[:, g].min(1) for g in members], 1), np.stack([X[:, g].max(1) for g in members], 1)

    def undefined_pairs(self, inside: Mask) -> Indices:
        """How many pairs of the first target would stay undefined (G,) with each group added."""
        metric = metric_row(self.problem.metric)
        if not metric.angular:
            return np.zeros(len(self.groups), dtype=np.int64)
        low, high = self._extremes
        columns = self.features.values[:, self.groups.columns(inside)]
        # A cosine has a direction unless all is zero, a correlation unless all is equal.
        bounds = (np.inf, -np.inf) if metric.centred else (0.0, 0.0)
        directed = np.maximum(high, columns.max(axis=1, initial=bounds[1])[:, None]) > np.minimum(
            low, columns.min(axis=1, initial=bounds[0])[:, None]
        )
        counted = unpack(self.targets.counts(0), self.features.n)
        defined = np.einsum("ig,ig->g", directed, counted @ directed)
        return np.asarray(np.rint((counted.sum() - defined) / 2), dtype=np.int64)


def best_prefix(curve: Matrix) -> Indices:
    """Length (...) of the shortest prefix that reaches the curve's maximum; NaN can't win."""
    finite = np.where(np.isnan(curve), -np.inf, curve)
    reached = finite >= finite.max(axis=-1, keepdims=True) - TIE
    return np.asarray(np.argmax(reached, axis=-1) + 1, dtype=np.int64)


def best_of(values: Matrix, allowed: Mask) -> int:
    """The allowed candidate of the highest value, ties by index; -1 where all are NaN."""
    finite = np.where(allowed & ~np.isnan(values), values, -np.inf)
    top = finite.max()
    return -1 if top == -np.inf else int(np.argmax(finite >= top - TIE))


def _name(targets: Targets, t: int) -> str:
    return f"target {targets.labels[t] if targets.labels else t}"


def explained_baseline(problem: Problem) -> Matrix:
    """Alignment (T,) of all features with each target; refused with its reason where nothing can be learnt from one.

    Without a baseline there is no importance.
    """
    features, targets = problem.host
    similarities = problem.similarities()
    baseline = problem.compare(similarities)
    for t in map(int, np.flatnonzero(np.isnan(baseline) | (baseline == 0))):
        counts = targets.counts(t)
        undefined = np.flatnonzero(counts & np.isnan(similarities))
        if undefined.size:
            stimuli, times = np.unique(np.stack(np.triu_indices(features.n, 1))[:, undefined], return_counts=True)
            name = features.stimulus(int(stimuli[np.argmax(times)]))
            raise ValueError(
                f"X must give every stimulus a direction, got stimulus {name} with features all zero or all equal"
            )
        if not counts.any():
            raise ValueError(f"target must have a pair of weight above zero, got none ({_name(targets, t)})")
        if not comparator_row(problem.comparator).takes_constants and np.ptp(targets.values[t, counts]) == 0:
            raise ValueError(f"target must vary over the pairs, got a constant one ({_name(targets, t)})")
        if np.isnan(baseline[t]):
            raise ValueError(
                f"X and target must both vary over the pairs, got an undefined alignment of all features with "
                f"{_name(targets, t)}"
            )
    return baseline


def _refuse_limits(search: Search) -> ValueError:
    return ValueError(
        f"max_features and min_features must allow a set of features in which the alignment is defined, got "
        f"{search.max_features!r} and {search.min_features!r}, which allow none that the search has seen"
    )


def prune(
    problem: Problem, search: Search, *, stimuli: Indices | None = None, wanted: Wanted = "path",
    stimulus_groups: Any = None, progress: bool = False, keep_interrupted: bool = False,
) -> Pruned:  # fmt: skip
    """Find the features to keep, for each target by itself.

    Parameters
    ----------
    problem : Problem
        What is aligned with what, and where.
    search : Search
        How.
    stimuli : (m,) int64, optional
        Those to learn from; all by default.
    wanted : {"support", "importance", "path"}
        How much of what is found is to be brought along; each holds what stands before it.
    stimulus_groups : array (n,), optional
        Stimuli of one group stay on one side of inner folds.
    progress : bool
        Whether a bar may show, on stderr, once a sequential search has taken two seconds.
    keep_interrupted : bool
        Whether Ctrl-C in a sequential search ends it with the best set seen (``Pruned.interrupted``); else, or where
        no set with a defined alignment has been seen, the KeyboardInterrupt goes on. One target only.

    Returns
    -------
    Pruned
    """
    n, d = problem.features.n, problem.features.d
    most = search.check().most(d)
    if stimulus_groups is not None and np.shape(stimulus_groups) != (n,):
        raise ValueError(f"groups must have one entry for each of {n} stimuli, got shape {np.shape(stimulus_groups)}")
    if search.runs_on_device:
        return _ranking(problem, search, most, stimuli, wanted)
    if stimulus_groups is not None and stimuli is not None:
        stimulus_groups = np.asarray(stimulus_groups)[stimuli]
    problem = problem.among(stimuli)
    scorer = Scorer.of(problem, read_groups(search.feature_groups, d))
    baseline = explained_baseline(problem)
    importance = baseline[:, None] - scorer.after_each(np.ones(len(scorer.groups), dtype=bool), adding=False)
    if search.row.ranks:
        return _by_ranking(scorer, baseline, importance, search, most, stimulus_groups)
    rows = []
    for t in range(len(problem.targets)):
        walk = Walk(scorer.one(t), search, most, float(baseline[t]), importance[t])
        rows.append(walk.run(progress=progress, keep_interrupted=keep_interrupted))
    return Pruned(
        baseline,
        importance=np.concatenate([row.importance for row in rows]),
        order=np.concatenate([row.order for row in rows]),
        curve=np.concatenate([row.curve for row in rows]),
        support=np.concatenate([row.support for row in rows]),
        alignment=np.concatenate([row.alignment for row in rows]),
        walked=tuple(row.paths[0] for row in rows),
        interrupted=any(row.interrupted for row in rows),
    )


# The searches as functions


def find(
    X: Any,
    target: Any,
    search: str = "ranking",
    metric: str = "cosine",
    comparator: str = "pearson",
    *,
    kind: str | None = None,
    weights: Any = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "double",
    groups: Any = None,
    progress: bool = True,
    **limits: Any,
) -> Pruned:
    """Find the features to keep, for each of T targets: what :class:`secateur.Pruner` does for one.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Finite; converted to float64.
    target, metric, comparator, kind, weights, device, threads, precision
        As in :func:`secateur.leave_one_out`; one target or T of them.
    search : {"ranking", "parsimonious", "forward", "backward", "floating", "floating-backward"}
        As :class:`secateur.Pruner` describes them.
    groups : array (n,), optional
        Stimuli of one group stay on one side of the inner folds of ``"parsimonious"``.
    progress : bool
        Whether a sequential search's bar may show, on stderr, once two seconds have passed.
    **limits
        ``max_features``, ``min_features``, ``tol``, ``patience``, ``feature_groups``, ``inner_cv``, ``seed``, as
        :class:`secateur.Pruner` has them.

    Returns
    -------
    Pruned
        One row a target, also where there is one. In-sample: for an honest number use
        :func:`secateur.cross_validate`.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said; the message names it.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> found = find(X, X[:, :3] @ X[:, :3].T, "forward", metric="dot")
    >>> np.flatnonzero(found.support[0]).tolist()
    [0, 1, 2]
    """
    settings = Settings(metric, comparator, kind, Search(search, **limits), device, threads, precision).checked()
    problem = settings.problem(*settings.read(X, target, weights), runs=1)
    return prune(problem, settings.search, stimulus_groups=groups, progress=progress)


def ranking(X: Any, target: Any, **how: Any) -> Pruned:
    """Rank features by leaving each out, insert them in that order, keep the best prefix.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> ranking(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "ranking", **how)


def parsimonious(X: Any, target: Any, **how: Any) -> Pruned:
    """Of the ranking's order, the shortest prefix within one standard error, over inner folds, of the best.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Breiman, Friedman, Olshen & Stone (1984), §3.4.3.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> parsimonious(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "parsimonious", **how)


def forward(X: Any, target: Any, **how: Any) -> Pruned:
    """From none, add the best feature again and again; the best set on the way is kept.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Whitney (1971), IEEE Trans. Comput. C-20, 1100-1103.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> forward(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "forward", **how)


def backward(X: Any, target: Any, **how: Any) -> Pruned:
    """From all, remove the least needed feature again and again; the best set on the way is kept.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Marill & Green (1963), IEEE Trans. Inf. Theory 9, 11-17.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> backward(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "backward", **how)


def floating(X: Any, target: Any, backward: bool = False, **how: Any) -> Pruned:
    """Forward, and after each addition backward while that beats every set seen of its size; or the mirror image.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.
    backward : bool
        Whether to begin with all features.

    Returns
    -------
    Pruned

    References
    ----------
    Pudil, Novovičová & Kittler (1994), Pattern Recognition Letters 15, 1119-1125.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> floating(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "floating-backward" if backward else "floating", **how)


# By one ranking


def _ranking(problem: Problem, search: Search, most: int, stimuli: Indices | None, wanted: Wanted) -> Pruned:
    """Rank by leaving each out, insert in that order, keep the best prefix: all in the compiled core.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2.
    """
    problem = problem.load()
    found = problem.ranking(stimuli, search.min_features, most, TIE, wanted)
    if found is None or (found.baseline == 0).any():
        explained_baseline(problem.among(stimuli))
    if found is None:
        raise ValueError("X and target must both vary over the pairs, got variation that is rounding alone")
    if not found.length.all():
        raise _refuse_limits(search)
    return Pruned(found.baseline, found.importance, found.order, found.curve, found.support, found.alignment)


def _by_ranking(
    scorer: Scorer, baseline: Matrix, importance: Matrix, search: Search, most: int, stimulus_groups: Any
) -> Pruned:
    """As :func:`_ranking`, of groups of features; or keep the shortest prefix that is as good (``"parsimonious"``)."""
    groups = scorer.groups
    order = rank(importance, scorer.threads)
    curve = scorer.curve(order)
    count = np.cumsum(groups.sizes[order], axis=1)
    allowed = (count >= search.min_features) & (count <= most) & ~np.isnan(curve)
    if not allowed.any(axis=1).all():
        raise _refuse_limits(search)
    held_out = _inner_curves(scorer, search, stimulus_groups) if search.row.inner_folds else curve
    judged = np.where(allowed, held_out, np.nan)
    length = _as_good_prefix(judged) if search.row.inner_folds else best_prefix(judged)
    support = np.zeros(curve.shape, dtype=bool)
    np.put_along_axis(support, order, np.arange(len(groups)) < length[:, None], axis=1)
    best = np.take_along_axis(curve, length[:, None] - 1, axis=1)[:, 0]
    if groups.single:
        return Pruned(baseline, importance, order, curve, support, best)
    paths = tuple(_path_along(*rows) for rows in zip(groups.first[order], curve, count))
    by_count = np.full((len(curve), len(groups.of)), np.nan)
    np.put_along_axis(by_count, count - 1, curve, axis=1)
    spread = importance[:, groups.of], groups.laid_out(order), by_count, support[:, groups.of]
    return Pruned(baseline, *spread, best, paths)


def _path_along(feature: Indices, alignment: Matrix, count: Indices) -> Path:
    """The steps of an insertion."""
    path = np.zeros(len(feature), dtype=STEP)
    path["feature"], path["action"], path["alignment"], path["count"] = feature, "add", alignment, count
    return path


def shuffled_folds(n: int, count: int, seed: int, groups: Any = None) -> Iterator[tuple[Indices, Indices]]:
    """So many (train, test) folds of n shuffled stimuli; those of one group (n,) stay on one side."""
    from sklearn.model_selection import GroupKFold, KFold

    kind = KFold if groups is None else GroupKFold
    folds: Iterator[tuple[Indices, Indices]] = kind(int(count), shuffle=True, random_state=int(seed)).split(
        np.zeros(n), groups=groups
    )
    return folds


def _inner_curves(scorer: Scorer, search: Search, stimulus_groups: Any) -> Matrix:
    """Held-out curves (inner folds, T, G): ranked on some of the stimuli, scored on the others.

    NaN throughout where a fold can't be ranked or scored.
    """
    n = scorer.features.n
    if n < SMALLEST_FOLD * search.inner_cv:
        raise ValueError(
            f"inner_cv must leave at least {SMALLEST_FOLD} of the {n} training stimuli in each fold, "
            f"got {search.inner_cv} folds"
        )
    known = n if stimulus_groups is None else len(np.unique(stimulus_groups))
    if known < search.inner_cv:
        raise ValueError(
            f"inner_cv must be at most the number of groups of the training stimuli, {known}, got {search.inner_cv}"
        )
    everything = np.ones(len(scorer.groups), dtype=bool)
    curves = []
    for sides in shuffled_folds(n, search.inner_cv, search.seed, stimulus_groups):
        if min(map(len, sides)) < SMALLEST_FOLD:
            raise ValueError(
                f"inner_cv must leave at least {SMALLEST_FOLD} of the {n} training stimuli in each fold, got "
                f"{min(map(len, sides))} with {search.inner_cv} folds of whole groups"
            )
        train, test = (Scorer.of(scorer.problem.among(side), scorer.groups) for side in sides)
        baseline = train.problem.compare(train.similarities(everything))
        curve = test.curve(rank(baseline[:, None] - train.after_each(everything, adding=False)))
        curves.append(np.where(np.isnan(baseline)[:, None], np.nan, curve))
    return np.stack(curves)


def _as_good_prefix(curves: Matrix) -> Indices:
    """Length (T,) of the shortest prefix whose mean is within one standard error of the best prefix's.

    ``curves`` (folds, T, G). Folds that are NaN throughout are left out; a length that is NaN in another can't win.

    References
    ----------
    The one-standard-error rule: Breiman, Friedman, Olshen & Stone (1984), Classification and Regression Trees, §3.4.3.
    """
    lengths = np.empty(curves.shape[1], dtype=np.int64)
    for t in range(curves.shape[1]):
        scored = curves[:, t][~np.isnan(curves[:, t]).all(axis=1)]
        mean = scored.mean(axis=0) if len(scored) > 1 else np.full(curves.shape[2], np.nan)
        if np.isnan(mean).all():
            raise ValueError(
                f"inner_cv must leave at least 2 inner folds with a score for one length in common, got "
                f"{len(scored)} scored of {len(curves)}"
            )
        best = int(np.nanargmax(mean))
        error = float(scored[:, best].std(ddof=1)) / np.sqrt(len(scored))
        lengths[t] = int(np.argmax(np.where(np.isnan(mean), -np.inf, mean) >= mean[best] - max(error, TIE))) + 1
    return lengths


# Step by step


class State:
    """The groups inside after some steps, and (for floating walks) the best set seen of every number of groups."""

    def __init__(self, groups: int, *, floating: bool) -> None:
        self.inside: Mask = np.zeros(groups, dtype=bool)
        self.floating = floating
        self.known: dict[int, tuple[float, Mask]] = {}

    @property
    def number(self) -> int:
        return int(self.inside.sum())

    def best(self, number: int) -> float:
        """The best alignment seen with a number of groups; -inf where none was defined."""
        return self.known[number][0] if number in self.known else -np.inf

    def apply(self, group: int, action: str, alignment: float) -> None:
        if action == "return":
            self.inside = self.known[self.number][1].copy()
        elif action == "start":
            self.inside[:] = True
        else:
            self.inside[group] = action == "add"
        if not self.floating:
            return
        number, value = self.number, -np.inf if np.isnan(alignment) else alignment
        if number not in self.known or value > self.known[number][0] + TIE:
            self.known[number] = value, self.inside.copy()


def subset_at(path: Path, d: int, step: int = -1, feature_groups: Any = None) -> Mask:
    """The features present after a step of a search.

    Parameters
    ----------
    path : structured array (steps,)
        A fitted Pruner's ``path_``.
    d : int
        Number of features.
    step : int
        Which step; from the end where negative.
    feature_groups : array (d,), optional
        As the Pruner was given them.

    Returns
    -------
    (d,) bool

    Raises
    ------
    ValueError
        Where the path has no such step.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> pruner = sc.Pruner(search="floating").fit(X, X[:, :3] @ X[:, :3].T)
    >>> pruner.path_["action"][:2].tolist()
    ['add', 'add']
    >>> int(subset_at(pruner.path_, 6, step=1).sum())
    2
    """
    if not -len(path) <= step < len(path):
        raise ValueError(f"step must be one of the path's {len(path)}, got {step}")
    groups = read_groups(feature_groups, d)
    state = State(len(groups), floating=bool((path["action"] == "return").any()))
    for row in path[: len(path) + step + 1 if step < 0 else step + 1]:
        state.apply(int(groups.of[row["feature"]]), str(row["action"]), float(row["alignment"]))
    return np.asarray(state.inside[groups.of])


class Walk:
    """One sequential search for one target.

    A forward walk begins with nothing and adds, a backward walk begins with everything and removes: each onward
    step is the best of all. A floating walk follows every onward step by steps back, while one leads to a set
    strictly better than all seen of its size; where an onward step leads to no better set than one seen of its
    size, it goes on from that one. Each step back raises the best of a size, so the walk ends.

    References
    ----------
    Whitney (1971), A direct method of nonparametric measurement selection, IEEE Trans. Comput. C-20 (forward); Marill &
    Green (1963), On the effectiveness of receptors in recognition systems, IEEE Trans. Inf. Theory 9 (backward);
    Pudil, Novovičová & Kittler (1994), Floating search methods in feature selection, Pattern Recogn. Lett. 15;
    Somol et al. (1999), Adaptive floating search methods, Pattern Recogn. Lett. 20 (going on from the best of a size).
    """

    def __init__(self, scorer: Scorer, search: Search, most: int, baseline: float, importance: Matrix) -> None:
        self.scorer, self.search, self.most = scorer, search, most
        self.baseline, self.importance = baseline, importance
        self.groups = scorer.groups
        self.forward = not search.row.backward
        self.floating = search.row.floating
        self.ranking = rank(importance)
        self.state = State(len(self.groups), floating=self.floating)
        self.steps: list[tuple[int, str, float, int]] = []
        self.value, self.count = np.nan, 0
        self.best, self.best_count, self.idle, self.furthest = -np.inf, 0, 0, 0
        if not self.forward:
            self._take(-1, "start", baseline)

    def _take(self, group: int, action: str, alignment: float) -> None:
        self.state.apply(group, action, alignment)
        self.value, self.count = alignment, int(self.groups.sizes[self.state.inside].sum())
        self.steps.append((group, action, alignment, self.count))
        if self.search.min_features <= self.count <= self.most and not np.isnan(alignment):
            gain = alignment - self.best
            if gain > TIE or (gain >= -TIE and self.count < self.best_count):
                self.best, self.best_count, self.idle = alignment, self.count, 0

    def _candidates(self, *, adding: bool) -> Mask:
        """Groups that may come, or go, within the limits."""
        inside, sizes = self.state.inside, self.groups.sizes
        if adding:
            return np.asarray(~inside & (self.count + sizes <= (self.most if self.forward else len(self.groups.of))))
        least = 1 if self.forward else self.search.min_features
        return np.asarray(inside & (self.count - sizes >= least))

    def _onward(self) -> bool:
        """One step onward; False where the walk ends."""
        allowed = self._candidates(adding=self.forward)
        if not allowed.any():
            return False
        # Where no set within the limits has been reached, the walk goes on whatever it costs.
        may_stop = self.count >= self.search.min_features if self.forward else self.count <= self.most
        if may_stop and self.search.patience is not None and self.idle >= self.search.patience:
            return False
        values = self.scorer.after_each(self.state.inside, adding=self.forward)[0]
        g = best_of(values, allowed)
        if g < 0:
            if not self.forward:
                return False
            left = np.where(allowed, self.scorer.undefined_pairs(self.state.inside), np.iinfo(np.int64).max)
            g = int(self.ranking[np.argmin(left[self.ranking])])
        if may_stop and self.search.tol is not None and values[g] - self.value < self.search.tol:
            return False
        furthest = self.state.number if self.forward else len(self.groups) - self.state.number
        if furthest == self.furthest:  # patience is measured in new sizes: floating walks go over old ones again
            self.furthest += 1
            self.idle += bool(self.best > -np.inf)
        self._take(g, "add" if self.forward else "remove", float(values[g]))
        return True

    def _return(self) -> bool:
        """Go on from the best set of this size, where that is another one."""
        alignment, best = self.state.known[self.state.number]
        if alignment == -np.inf or np.array_equal(best, self.state.inside):
            return False
        self._take(-1, "return", alignment)
        return True

    def _back(self) -> None:
        """Steps back, while each leads to the best set of its size."""
        while True:
            allowed = self._candidates(adding=not self.forward)
            if not allowed.any() or self.state.number + (-1 if self.forward else 1) < 1:
                return
            values = self.scorer.after_each(self.state.inside, adding=not self.forward)[0]
            g = best_of(values, allowed)
            known = self.state.best(self.state.number + (-1 if self.forward else 1))
            if g < 0 or not values[g] > known + TIE:
                return
            self._take(g, "remove" if self.forward else "add", float(values[g]))

    def run(self, *, progress: bool, keep_interrupted: bool) -> Pruned:
        d, interrupted = len(self.groups.of), False
        total = self.most if self.forward else d - self.search.min_features
        try:
            with bar(total, "features", progress) as shown:
                while self._onward():
                    if self.floating and not self._return():
                        self._back()
                    shown.set_postfix_str(f"alignment {self.value:.4f}", refresh=False)
                    shown.update(max(0, (self.count if self.forward else d - self.count) - shown.n))
        except KeyboardInterrupt:
            if not keep_interrupted or self.best == -np.inf:
                raise
            interrupted = True
        return self._pruned(interrupted)

    def _pruned(self, interrupted: bool) -> Pruned:
        """What the steps that were taken add up to; nothing but them is used, so that it holds after Ctrl-C too."""
        groups = self.groups
        steps = list(self.steps)
        path = np.array([(groups.first[g] if g >= 0 else -1, *step) for g, *step in steps], dtype=STEP)
        within = (path["count"] >= self.search.min_features) & (path["count"] <= self.most)
        judged = np.where(within, path["alignment"], np.nan)
        if not len(path) or np.isnan(judged).all():
            raise _refuse_limits(self.search)
        as_good = np.flatnonzero(judged >= np.nanmax(judged) - TIE)
        chosen = int(as_good[np.argmin(path["count"][as_good])])
        support = subset_at(path, len(groups.of), chosen, groups.of)
        order = groups.laid_out(self._order(steps, chosen, support[groups.first]))
        curve = np.full(len(groups.of), -np.inf)
        np.maximum.at(curve, path["count"] - 1, np.where(np.isnan(path["alignment"]), -np.inf, path["alignment"]))
        importance = self._gains(steps) if self.forward else self.importance
        return Pruned(
            baseline=np.array([self.baseline]),
            importance=importance[groups.of][None],
            order=order[None],
            curve=np.where(curve == -np.inf, np.nan, curve)[None],
            support=support[None],
            alignment=path["alignment"][[chosen]],
            walked=(path,),
            interrupted=interrupted,
        )

    def _order(self, steps: list[tuple[int, str, float, int]], chosen: int, kept: Mask) -> Indices:
        """Groups: the kept ones first, then as they came in, or in reverse as they went; the rest by the ranking."""
        late, never = len(steps), 2 * len(steps)
        place = np.full(len(self.groups), never)
        for s, (g, action, _, _) in enumerate(steps):
            if action != ("add" if self.forward else "remove"):
                continue
            if self.forward:  # kept: the last entry up to the choice; others: the first
                if (kept[g] and s <= chosen) or place[g] == never:
                    place[g] = s
            elif kept[g]:  # the first exit after the choice
                if s > chosen and place[g] == never:
                    place[g] = late - s
            elif s <= chosen:  # the last exit before it
                place[g] = late - s
        if not self.forward:
            place[kept & (place == never)] = -1
        position = np.empty(len(self.groups), dtype=np.int64)
        position[self.ranking] = np.arange(len(self.groups))
        return np.asarray(np.lexsort((position, place, ~kept)), dtype=np.int64)

    def _gains(self, steps: list[tuple[int, str, float, int]]) -> Matrix:
        """What each group's last entry added to the alignment; 0 for a group that never came in."""
        gains, before = np.zeros(len(self.groups)), 0.0
        for g, action, alignment, _ in steps:
            if action == "add":
                gains[g] = alignment - before
            before = alignment
        return gains
