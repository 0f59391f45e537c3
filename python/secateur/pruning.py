"""Pruning: which features to keep so that the similarity space fits a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _core
from .device import resolve, thread_count
from .features import Features, Indices, Matrix, read_features
from .similarity import check_comparator, check_metric, compare, held_out_alignment, warn_of_undefined_pairs
from .targets import Targets, read_target

SEARCHES = ("ranking",)

# Two alignments closer than this are one: the shorter prefix wins.
TIE = 1e-12


@dataclass(frozen=True)
class Pruned:
    """What pruning to T targets gives.

    Attributes
    ----------
    baseline : (T,) alignment of all features
    importance : (T, d) baseline - alignment without the feature
    order : (T, d) features, most important first
    curve : (T, d) alignment of each prefix of the order
    support : (T, d) bool, the shortest prefix that reaches the maximum
    alignment : (T,) alignment of the support
    """

    baseline: Matrix
    importance: Matrix
    order: Indices
    curve: Matrix
    support: npt.NDArray[np.bool_]
    alignment: Matrix


def rank(importance: Matrix) -> Indices:
    """Features in order of importance (..., d), most important first, ties by index.

    NaN (a feature without which a stimulus has no direction) comes first: nothing works without it.
    """
    first = np.where(np.isnan(importance), np.inf, importance)
    return np.asarray(np.argsort(-first, axis=-1, kind="stable"), dtype=np.int64)


def best_prefix(curve: Matrix) -> Indices:
    """Length (...) of the shortest prefix that reaches the curve's maximum; NaN can't win."""
    finite = np.where(np.isnan(curve), -np.inf, curve)
    reached = finite >= finite.max(axis=-1, keepdims=True) - TIE
    return np.asarray(np.argmax(reached, axis=-1) + 1, dtype=np.int64)


def _name(targets: Targets, t: int) -> str:
    return f"target {targets.labels[t] if targets.labels else t}"


def _check_baseline(
    features: Features, targets: Targets, similarities: Matrix, baseline: Matrix, comparator: str
) -> None:
    """Say why nothing can be learnt from a target: without a baseline there is no importance."""
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
        if comparator != "cosine" and np.ptp(targets.values[t, counts]) == 0:
            raise ValueError(f"target must vary over the pairs, got a constant one ({_name(targets, t)})")
        if np.isnan(baseline[t]):
            raise ValueError(
                f"X and target must both vary over the pairs, got an undefined alignment of all features with "
                f"{_name(targets, t)}"
            )


def prune_by_ranking(features: Features, targets: Targets, metric: str, comparator: str, threads: int) -> Pruned:
    """Rank features by leaving each out, insert them in that order, keep the best prefix (each target for itself).

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2.
    """
    X, everything = features.values, np.arange(features.d, dtype=np.int64)
    terms = (targets.values, targets.weights, targets.weight_of, metric, comparator)
    similarities = _core.similarity(X, metric, everything, threads)
    baseline = compare(similarities, targets, comparator, threads)
    _check_baseline(features, targets, similarities, baseline, comparator)
    importance = baseline[:, None] - _core.leave_one_out(X, *terms, everything, threads)
    order = rank(importance)
    curve = _core.insertion_curve(X, *terms, order, threads)
    kept = best_prefix(curve)
    support = np.zeros(curve.shape, dtype=bool)
    np.put_along_axis(support, order, np.arange(features.d) < kept[:, None], axis=1)
    best = np.take_along_axis(curve, kept[:, None] - 1, axis=1)[:, 0]
    return Pruned(baseline, importance, order, curve, support, best)


class Pruner(SelectorMixin, BaseEstimator):  # type: ignore[misc]
    """Select the features whose similarity space fits a target: a scikit-learn selector.

    Parameters
    ----------
    metric : {"cosine", "correlation", "dot", "sqeuclidean", "euclidean"}
        Similarity of two stimuli; distances enter negated.
    comparator : {"pearson" (or "corr"), "cosine", "spearman", "rho-a", "tau-a"}
        Alignment of two similarity spaces.
    kind : {"similarity", "dissimilarity"}
        What targets hold. rsatoolbox RDMs carry their own.
    search : {"ranking"}
        ``"ranking"``: features ranked by leaving each out, inserted in that order, the shortest prefix that
        reaches the maximum kept (the papers' method).
    device : {"auto", "cpu", "cuda"}
    threads : int, optional
        All available processors by default; results don't depend on it.

    Attributes
    ----------
    support_ : (d,) bool
        The kept features.
    importance_ : (d,) float64
        Alignment of all features minus the alignment without each; NaN where a stimulus has no direction
        without the feature.
    order_ : (d,) int64
        Features, most important first; ties by index, NaN importances first.
    curve_ : (d,) float64
        Training alignment of each prefix of ``order_``.
    baseline_, alignment_ : float
        Training alignment of all and of the kept features. Both are in-sample: for an honest number use
        :func:`secateur.cross_validate`.
    n_features_ : int
        Number of kept features.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    A target is pairwise, so scikit-learn's ``cross_val_score`` and ``GridSearchCV``, which split rows only,
    would pair training rows with a target of another size. :func:`secateur.cross_validate` splits stimuli on
    both sides.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20, 30))
    >>> target = X[:, :5] @ X[:, :5].T
    >>> pruner = Pruner().fit(X, target)
    >>> pruner.alignment_ > pruner.baseline_
    True
    >>> pruner.transform(X).shape == (20, pruner.n_features_)
    True
    """

    def __init__(
        self,
        metric: str = "cosine",
        comparator: str = "pearson",
        kind: str = "similarity",
        search: str = "ranking",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.metric = metric
        self.comparator = comparator
        self.kind = kind
        self.search = search
        self.device = device
        self.threads = threads

    def _terms(self) -> tuple[str, str, int]:
        """Checked metric, comparator and threads; refuses a search or device that can't be had."""
        if self.search not in SEARCHES:
            raise ValueError(f"search must be one of {', '.join(map(repr, SEARCHES))}; got {self.search!r}")
        resolve(self.device)
        return check_metric(self.metric), check_comparator(self.comparator), thread_count(self.threads)

    def prune(self, features: Features, targets: Targets) -> Pruned:
        """Prune to each of T targets. The estimator itself is not changed."""
        metric, comparator, threads = self._terms()
        return prune_by_ranking(features, targets, metric, comparator, threads)

    def fit(self, X: Any, target: Any, *, weights: Any = None) -> Pruner:
        """Learn which features to keep.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            Finite; converted to float64.
        target : array, rsatoolbox RDMs, or xarray DataArray
            One target, in any form that :func:`secateur.alignment` takes.
        weights : array shaped like a target, optional
            Weight of each pair; 0 or 1 for rank comparators.

        Returns
        -------
        Pruner
            Itself, fitted.

        Raises
        ------
        TypeError, ValueError
            Where an argument is not as said; where several targets are given (use
            :func:`secateur.cross_validate`, or fit one Pruner each); where a stimulus has no direction.
        """
        self._terms()
        features = read_features(X)
        validate_data(self, X, None if target is None else "no_validation", dtype=None, ensure_min_samples=3)
        targets = self._read_one(target, features, weights)
        pruned = self.prune(features, targets)
        self.support_ = pruned.support[0]
        self.importance_ = pruned.importance[0]
        self.order_ = pruned.order[0]
        self.curve_ = pruned.curve[0]
        self.baseline_ = float(pruned.baseline[0])
        self.alignment_ = float(pruned.alignment[0])
        self.n_features_ = int(self.support_.sum())
        return self

    def score(self, X: Any, target: Any, *, weights: Any = None) -> float:
        """Alignment of the kept features with a target over the same or other stimuli.

        Pairs that are undefined in the kept features are left out, with one warning.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            The features that were there in the fit, kept or not.
        target : array, rsatoolbox RDMs, or xarray DataArray
            One target over these stimuli.
        weights : array shaped like a target, optional
            Weight of each pair; 0 or 1 for rank comparators.

        Returns
        -------
        float
            NaN where similarities or target are constant.

        Warns
        -----
        UndefinedPairsWarning
            Once, where pairs were left out.
        """
        check_is_fitted(self)
        metric, comparator, threads = self._terms()
        features = read_features(X)
        validate_data(self, X, dtype=None, reset=False)
        targets, kept = self._read_one(target, features, weights), np.flatnonzero(self.support_)
        scores, undefined = held_out_alignment(features, targets, kept, metric, comparator, threads)
        warn_of_undefined_pairs(int(undefined[0]))
        return float(scores[0])

    def _read_one(self, target: Any, features: Features, weights: Any) -> Targets:
        targets = read_target(target, features.n, self.kind, weights, features.stimuli)
        if len(targets) != 1:
            raise ValueError(f"target must be one target, got {len(targets)}: fit a Pruner for each")
        return targets

    def _get_support_mask(self) -> npt.NDArray[np.bool_]:
        check_is_fitted(self)
        support: npt.NDArray[np.bool_] = self.support_
        return support

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
