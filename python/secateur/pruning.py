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
    return np.argsort(-np.where(np.isnan(importance), np.inf, importance), axis=-1, kind="stable").astype(np.int64)


def best_prefix(curve: Matrix) -> Indices:
    """Length (...) of the shortest prefix that reaches the curve's maximum; NaN can't win."""
    finite = np.where(np.isnan(curve), -np.inf, curve)
    return np.argmax(finite >= finite.max(axis=-1, keepdims=True) - TIE, axis=-1) + 1


def _name(targets: Targets, t: int) -> str:
    return f"target {targets.labels[t] if targets.labels else t}"


def _check_baseline(features: Features, targets: Targets, similarities: Matrix, baseline: Matrix) -> None:
    """Say why a baseline is undefined: without one there is no importance."""
    bad = np.flatnonzero(np.isnan(baseline))
    if not bad.size:
        return
    t = int(bad[0])
    if not len(targets) > t or np.ptp(targets.values[t]) == 0:
        raise ValueError(f"target must vary over the pairs, got a constant one ({_name(targets, t)})")
    undefined = np.flatnonzero(np.isnan(similarities))
    if undefined.size:
        rows, columns = np.triu_indices(features.n, 1)
        stimuli, counts = np.unique(np.concatenate([rows[undefined], columns[undefined]]), return_counts=True)
        i = int(stimuli[np.argmax(counts)])
        name = f" ({features.stimuli[i]})" if features.stimuli else ""
        raise ValueError(
            f"X must give every stimulus a direction, got stimulus {i}{name} with features all zero or all equal"
        )
    raise ValueError(f"the alignment of all features with {_name(targets, t)} is undefined: similarities or target are constant")


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
    _check_baseline(features, targets, similarities, baseline)
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
        X : array (n stimuli, d features)
        target : one target, in any form that :func:`secateur.alignment` takes
        weights : pair weights, optional

        Raises
        ------
        TypeError, ValueError
            Where an argument is not as said; where several targets are given (use
            :func:`secateur.cross_validate`, or fit one Pruner each); where a stimulus has no direction.
        """
        self._terms()
        features = read_features(X)
        validate_data(self, X, dtype=None, ensure_min_samples=3)
        targets = read_target(target, features.n, self.kind, weights)
        if len(targets) != 1:
            raise ValueError(f"target must be one target, got {len(targets)}: fit a Pruner for each")
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
        """
        check_is_fitted(self)
        metric, comparator, threads = self._terms()
        features = read_features(X)
        validate_data(self, X, dtype=None, reset=False)
        targets = read_target(target, features.n, self.kind, weights)
        scores, undefined = held_out_alignment(features, targets, np.flatnonzero(self.support_), metric, comparator, threads)
        warn_of_undefined_pairs(undefined)
        return float(scores[0])

    def _get_support_mask(self) -> npt.NDArray[np.bool_]:
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
