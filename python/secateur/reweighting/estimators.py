"""What the reweightings share: reading, the choice of the penalty on inner folds, predicting, scoring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..arguments import check_seed
from ..features import Features, Indices, Matrix, read_features
from ..measures import check_comparator
from ..problem import compare_where_defined
from ..similarity import warn_of_undefined_pairs
from ..targets import Targets, read_target
from ..validation import Fold, split
from .design import PRODUCTS, SQUARES, Design, predict_pairs, rows_of

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike, WeightsLike
    from ..measures import ComparatorOrAlias, Metric
    from ..targets import Kind

__all__ = ["Candidates", "Reweighting", "Weights"]


Candidates = Callable[[Matrix], Matrix]  # rows of other stimuli -> predictions (T, candidates, P)


class Reweighting(ABC, BaseEstimator):  # type: ignore[misc]
    """What the baselines share: reading, the inner choice, predicting, scoring."""

    _metrics: tuple[str, ...] = PRODUCTS
    metric: Metric
    comparator: ComparatorOrAlias
    kind: Kind | None
    penalties: Any
    inner_cv: int
    seed: int

    def _read(
        self, X: HostEmbeddingLike, target: HostTargetLike, weights: WeightsLike | None
    ) -> tuple[Features, Matrix, Targets]:
        """Features, rows and targets, checked; a stimulus without a direction may be in no pair that counts."""
        from sklearn.utils.validation import validate_data

        check_comparator(self.comparator)
        features = read_features(X)
        validate_data(self, X, None if target is None else "no_validation", dtype=None, ensure_min_samples=3)
        targets = read_target(target, features.n, self.kind, weights, features.stimuli)
        rows = rows_of(features, self.metric, self._metrics)
        lost = np.asarray(np.isnan(rows).any(axis=1))
        first, second = np.triu_indices(features.n, 1)
        touched = lost[first] | lost[second]
        for t in range(len(targets)):
            counts = targets.has_weight(t)
            name = f"target {targets.labels[t] if targets.labels else t}"
            if not counts.any():
                raise ValueError(f"target must have a pair of weight above zero, got none ({name})")
            if np.ptp(targets.values[t, counts]) == 0:
                raise ValueError(f"target must vary over the pairs, got a constant one ({name})")
            if (touched & counts).any():
                raise ValueError(
                    "X must give every stimulus a direction, got stimulus "
                    f"{features.stimulus(int(np.flatnonzero(lost)[0]))} with features all zero or all equal"
                )
        return features, np.where(lost[:, None], 0.0, rows), targets

    def _given_penalties(self) -> Matrix | None:
        """The penalties as they were given, strongest first."""
        if self.penalties is None:
            return None
        given = np.atleast_1d(np.asarray(self.penalties, dtype=np.float64))
        if given.ndim != 1 or not given.size or not (np.isfinite(given) & (given > 0)).all():
            raise ValueError(f"penalties must be positive numbers, got {self.penalties!r}")
        return np.unique(given)[::-1]

    def check_sizes(self, n: int, groups: LabelsLike | None) -> None:
        """Refuse to choose a penalty on inner folds of too few stimuli; nothing is learnt.

        Parameters
        ----------
        n : int
            Number of stimuli to learn from.
        groups : array (n,), optional
            As in ``fit``.

        Raises
        ------
        ValueError
            Where ``inner_cv`` folds of them would have fewer than 3 stimuli, or there are fewer groups.
        """
        self._inner_folds(n, groups)

    def _inner_folds(self, n: int, groups: LabelsLike | None) -> list[Fold]:
        check_seed(self.seed)
        try:
            return split(n, self.inner_cv, 1, self.seed, groups)[0]
        except ValueError as error:
            raise ValueError(
                f"inner_cv must split the {n} training stimuli into 2 or more folds of at least 3, got "
                f"{self.inner_cv!r}"
            ) from error

    def _inner_scores(
        self,
        rows: Matrix,
        targets: Targets,
        learn: Callable[[Matrix, Targets], Candidates],
        candidates: int,
        groups: LabelsLike | None,
    ) -> Matrix:
        """(T, candidates): alignment among the inner test stimuli, mean over inner folds.

        A candidate whose predictions have no alignment (all alike) has 0.
        """
        folds = self._inner_folds(len(rows), groups)
        scores = np.zeros((len(targets), candidates))
        for train, test in folds:
            test_targets, predictions = targets.among(test), learn(rows[train], targets.among(train))(rows[test])
            for t, candidate in np.ndindex(scores.shape):
                one = test_targets.select(slice(t, t + 1))
                score, _ = compare_where_defined(predictions[t, candidate], one, self.comparator, 1)
                scores[t, candidate] += np.nan_to_num(score[0]) / len(folds)
        return scores

    def _rows_to_predict(self, X: HostEmbeddingLike) -> Matrix:
        from sklearn.utils.validation import validate_data

        check_is_fitted(self, "penalty_")
        features = read_features(X)
        validate_data(self, X, dtype=None, reset=False)
        return rows_of(features, self.metric, self._metrics)

    @abstractmethod
    def predict(self, X: HostEmbeddingLike) -> Matrix:
        """Predicted similarities of every pair of these stimuli.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            The features of the fit, of the same or other stimuli.

        Returns
        -------
        ndarray (P,), or (T, P) after a fit to several targets
            In ``numpy.triu_indices(n, 1)`` order, oriented as similarities; NaN for a stimulus without a direction.
        """

    def score(
        self, X: HostEmbeddingLike, target: HostTargetLike, *, weights: WeightsLike | None = None
    ) -> float | Matrix:
        """Alignment of the predicted similarities with a target over the same or other stimuli.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            The features of the fit.
        target : any form that :func:`secateur.alignment` takes
            As many targets as in the fit.
        weights : array shaped like a target, optional
            Weight of each pair; 0 or 1 for rank comparators.

        Returns
        -------
        float, or ndarray (T,)
            NaN where predictions or target are constant.

        Warns
        -----
        UndefinedPairsWarning
            Once, where pairs were left out.
        """
        features = read_features(X)
        predictions = np.atleast_2d(self.predict(X))
        targets = read_target(target, features.n, self.kind, weights, features.stimuli)
        if len(targets) != len(predictions):
            raise ValueError(f"target must hold the {len(predictions)} targets of the fit, got {len(targets)}")
        scores, lost = np.empty(len(targets)), 0
        for t in range(len(targets)):
            one = targets.select(slice(t, t + 1))
            scores[t : t + 1], left_out = compare_where_defined(predictions[t], one, self.comparator, 1)
            lost += int(left_out[0])
        warn_of_undefined_pairs(lost)
        alignment: float | Matrix = targets.squeeze(scores)
        return alignment


Model = TypeVar("Model", bound="Weights")


class Weights(Reweighting):
    """A weight a feature, learnt at each of several penalties: what ridge and LASSO share."""

    _metrics: tuple[str, ...] = (*PRODUCTS, *SQUARES)
    _candidates: int

    def __init__(
        self,
        metric: Metric = "dot",
        comparator: ComparatorOrAlias = "pearson",
        kind: Kind | None = None,
        penalties: Any = None,
        inner_cv: int = 5,
        seed: int = 0,
        standardize: bool = False,
    ) -> None:
        self.metric = metric
        self.comparator = comparator
        self.kind = kind
        self.penalties = penalties
        self.inner_cv = inner_cv
        self.seed = seed
        self.standardize = standardize

    @abstractmethod
    def _path(self, design: Design, centred: Matrix, penalties: Matrix) -> Matrix:
        """(T, L) penalties, strongest first -> weights (T, L, d)."""

    @abstractmethod
    def _grid(self, design: Design, centred: Matrix) -> Matrix:
        """Default penalties (T, candidates), strongest first."""

    def _by_pattern(self, rows: Matrix, targets: Targets) -> Iterable[tuple[Design, Indices, Matrix, Matrix]]:
        """Targets that share their pair weights share a design: it, which targets, their means, and they centred."""
        patterns = np.zeros(len(targets), dtype=np.int64) if targets.weight_of is None else targets.weight_of
        for u in np.unique(patterns):
            which = np.flatnonzero(patterns == u)
            weights = None if targets.weights is None else targets.weights[u]
            if weights is not None and not weights.any():
                raise ValueError("target must have a pair of weight above zero in every inner fold, got none in one")
            if weights is not None and np.ptp(weights) == 0:
                weights = None
            design = Design(rows, squared=self.metric in SQUARES, weights=weights, standardize=bool(self.standardize))
            means = targets.values[which] @ design.share
            yield design, which, means, targets.values[which] - means[:, None]

    def _learn(self, rows: Matrix, targets: Targets, penalties: Matrix) -> tuple[Matrix, Matrix]:
        """(T, L) penalties -> weights (T, L, d) and intercepts (T, L)."""
        coef = np.empty((*penalties.shape, rows.shape[1]))
        intercept = np.empty(penalties.shape)
        for design, which, means, centred in self._by_pattern(rows, targets):
            coef[which] = self._path(design, centred, penalties[which])
            intercept[which] = means[:, None] - coef[which] @ design.mean
        return coef, intercept

    def fit(
        self: Model,
        X: HostEmbeddingLike,
        target: HostTargetLike,
        *,
        weights: WeightsLike | None = None,
        groups: LabelsLike | None = None,
    ) -> Model:
        """Choose the penalty on inner folds of the stimuli, then learn the weights on all of them.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            Finite; converted to float64.
        target : any form that :func:`secateur.alignment` takes
            One target or T of them; those that share their pair weights (and missing pairs) share the work.
        weights : array shaped like a target, optional
            Weight of each pair, in the regression and in the scores.
        groups : array (n,), optional
            Stimuli of one group stay on one side of the inner folds.

        Returns
        -------
        The estimator itself, fitted.

        Raises
        ------
        TypeError, ValueError
            Where X, target or weights are not finite or do not fit one another; where penalties are not
            positive; where a stimulus has no direction; where a target is constant.
        """
        _, rows, targets = self._read(X, target, weights)
        given = self._given_penalties()
        if given is None:
            penalties = np.empty((len(targets), self._candidates))
            for design, which, _, centred in self._by_pattern(rows, targets):
                penalties[which] = self._grid(design, centred)
        else:
            penalties = np.broadcast_to(given, (len(targets), len(given)))
        scores = np.full(penalties.shape, np.nan)
        best = np.zeros(len(targets), dtype=np.int64)
        if penalties.shape[1] > 1:

            def learn(rows: Matrix, targets: Targets) -> Candidates:
                coef, intercept = self._learn(rows, targets, penalties)
                squared = self.metric in SQUARES
                return lambda held: predict_pairs(held, coef, squared=squared) + intercept[..., None]

            scores = self._inner_scores(rows, targets, learn, penalties.shape[1], groups)
            best = scores.argmax(axis=1)  # of equals the strongest penalty
        chosen = penalties[np.arange(len(targets)), best]
        coef, intercept = self._learn(rows, targets, chosen[:, None])

        self.coef_ = targets.squeeze(coef[:, 0])
        self.intercept_ = targets.squeeze(intercept[:, 0])
        self.penalty_ = targets.squeeze(chosen)
        self.penalties_ = targets.squeeze(penalties.copy())
        self.inner_scores_ = targets.squeeze(scores)
        counts = (coef[:, 0] != 0).sum(axis=1)
        self.n_features_ = int(counts[0]) if targets.single else counts
        return self

    def predict(self, X: HostEmbeddingLike) -> Matrix:
        rows = self._rows_to_predict(X)
        predicted = predict_pairs(rows, self.coef_, squared=self.metric in SQUARES)
        return cast(Matrix, predicted + np.asarray(self.intercept_)[..., None])

    predict.__doc__ = Reweighting.predict.__doc__
