"""Prune, then reweight: ridge regression on the features that a ranking puts first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..arguments import check_integer
from ..features import Features, Indices, Matrix, read_features
from ..problem import compare_where_defined, order_by_importance
from ..pruning.settings import Search, Settings
from ..targets import Targets
from .design import SQUARES, predict_pairs, rows_of
from .ridge import Ridge

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike, WeightsLike
    from ..measures import ComparatorOrAlias, Metric
    from ..targets import Kind

__all__ = ["PrunedRidge"]

LARGEST, SMALLEST = 512, 8  # of the sizes that are tried by default


class PrunedRidge(Ridge):
    """Ridge regression on the features that pruning ranks first: how many, and the penalty, chosen on inner folds.

    In each inner fold features are ranked by leaving each out, among its training stimuli alone; the first m of them
    are reweighted at each penalty; and the pair (m, penalty) whose mean alignment among the inner test stimuli is
    highest is learnt on all stimuli.

    Parameters
    ----------
    metric, comparator, kind, penalties, inner_cv, seed, standardize
        As :class:`Ridge` has them. By default rows are centred and scaled and products standardised, as frrsa does.
        Penalties that are not given are a share of the variance of the kept features' products.
    sizes : array (m,) of int, optional
        How many features may be kept. By default their number halved again and again, from 512 at the most down to 8.
    space : Metric
        The similarity by which features are ranked, as in :class:`secateur.Pruner`.

    Attributes
    ----------
    coef_ : (d,) float64, or (T, d) after a fit to T targets; likewise what follows
        Weights w; zero for features that were not kept.
    support_ : (d,) bool
        The kept features.
    intercept_, penalty_ : float
        As :class:`Ridge` has them.
    sizes_ : (S,) int64
        Sizes that were tried, the same for all targets.
    inner_scores_ : (S, L) float64
        Alignment among inner test stimuli of each size and penalty, mean over inner folds; NaN where there was nothing
        to choose from, or a stimulus has no direction in so few features.
    n_features_ : int
        Features of weight other than zero.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2 (the ranking); Kaniuth & Hebart (2022), NeuroImage 257 (the regression).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 60))
    >>> both = PrunedRidge(kind="similarity", sizes=[6]).fit(X[:30], (X @ np.diag(np.arange(60) < 6) @ X.T)[:30, :30])
    >>> both.n_features_, bool(both.support_[:6].sum() >= 5)
    (6, True)
    """

    def __init__(
        self,
        metric: Metric = "correlation",
        comparator: ComparatorOrAlias = "pearson",
        kind: Kind | None = None,
        penalties: Any = None,
        inner_cv: int = 5,
        seed: int = 0,
        standardize: bool = True,
        sizes: Any = None,
        space: Metric = "cosine",
    ) -> None:
        super().__init__(metric, comparator, kind, penalties, inner_cv, seed, standardize)
        self.sizes = sizes
        self.space = space

    def _given_sizes(self, d: int) -> Indices:
        """Sizes in ascending order."""
        if self.sizes is None:
            halved = [round(d / 2**k) for k in range(d.bit_length())]
            return np.unique([m for m in halved if SMALLEST <= m <= LARGEST] or [d]).astype(np.int64)
        given = np.atleast_1d(np.asarray(self.sizes))
        if given.ndim != 1 or not given.size:
            raise ValueError(f"sizes must be integers from 1 to {d}, got {self.sizes!r}")
        return np.unique([check_integer("sizes", one, 1, d) for one in given.tolist()]).astype(np.int64)

    def _orders(self, features: Features, targets: Targets, stimuli: Indices | None = None) -> Indices:
        """Features by importance (T, d), among some stimuli."""
        settings = Settings(self.space, self.comparator, None, Search.named("ranking"), "cpu", 1).checked()
        problem = settings.problem(features, targets)
        return order_by_importance(settings.search.run(problem, stimuli=stimuli, detail="importance").importance)

    def _rows(self, features: Features, kept: Indices) -> tuple[Matrix, Matrix]:
        """Rows of some features, and which stimuli (n,) have no direction in them."""
        rows = rows_of(Features(np.ascontiguousarray(features.values[:, kept])), self.metric, self._metrics)
        return rows, np.asarray(np.isnan(rows).any(axis=1))

    def _inner_scores_by_size(
        self, features: Features, targets: Targets, sizes: Indices, penalties: Matrix, groups: LabelsLike | None
    ) -> Matrix:
        """(T, S, L): alignment among the inner test stimuli, mean over inner folds.

        A candidate that predicts the same for all pairs, or can't be learnt as a stimulus has no direction, has 0.
        """
        folds = self._inner_folds(features.n, groups)
        scores = np.zeros(penalties.shape)
        for train, test in folds:
            orders = self._orders(features, targets, train)
            sides = targets.among(train), targets.among(test)
            for t, s in np.ndindex(scores.shape[:2]):
                rows, lost = self._rows(features, orders[t, : sizes[s]])
                if lost[train].any():
                    continue
                learnt, tested = (side.select(slice(t, t + 1)) for side in sides)
                coef, intercept = self._learn(rows[train], learnt, penalties[t : t + 1, s])
                predicted = predict_pairs(rows[test], coef[0], squared=self.metric in SQUARES) + intercept[0][:, None]
                for p, one in enumerate(predicted):
                    score, _ = compare_where_defined(one, tested, self.comparator, 1)
                    scores[t, s, p] += np.nan_to_num(score[0]) / len(folds)
        return scores

    def fit(
        self,
        X: HostEmbeddingLike,
        target: HostTargetLike,
        *,
        weights: WeightsLike | None = None,
        groups: LabelsLike | None = None,
    ) -> PrunedRidge:
        """Choose size and penalty on inner folds of the stimuli, then rank and reweight on all of them.

        Parameters
        ----------
        X, target, weights, groups
            As :meth:`Ridge.fit` has them.

        Returns
        -------
        The estimator itself, fitted.

        Raises
        ------
        TypeError, ValueError
            As :meth:`Ridge.fit`; where sizes are no integers from 1 to d, or there is none in which every stimulus has
            a direction.
        """
        features, _, targets = self._read(X, target, weights)
        sizes, given = self._given_sizes(features.d), self._given_penalties()
        orders = self._orders(features, targets)
        T, S = len(targets), len(sizes)
        penalties = np.empty((T, S, self._candidates if given is None else len(given)))
        able = np.ones((T, S), dtype=bool)
        for t, s in np.ndindex(T, S):
            rows, lost = self._rows(features, orders[t, : sizes[s]])
            able[t, s] = not lost.any()
            if given is not None:
                penalties[t, s] = given
            elif able[t, s]:
                for design, _, _, centred in self._by_pattern(rows, targets.select(slice(t, t + 1))):
                    penalties[t, s] = self._grid(design, centred)[0]
            else:
                penalties[t, s] = 1.0  # not learnt at
        if not able.any(axis=1).all():
            raise ValueError(
                f"sizes must hold one in which every stimulus has a direction, got {', '.join(map(str, sizes))}"
            )
        scores = np.full(penalties.shape, np.nan)
        if scores[0].size > 1:
            scores = self._inner_scores_by_size(features, targets, sizes, penalties, groups)
            scores[~able] = np.nan
        found = np.where(able[..., None], np.nan_to_num(scores), -np.inf)
        coef, intercept = np.zeros((T, features.d)), np.empty(T)
        chosen, support = np.empty(T), np.zeros((T, features.d), dtype=bool)
        for t in range(T):
            s, p = np.unravel_index(int(found[t].argmax()), found[t].shape)  # of equals the fewest, strongest penalty
            kept = orders[t, : sizes[s]]
            chosen[t] = penalties[t, s, p]
            learnt = self._learn(self._rows(features, kept)[0], targets.select(slice(t, t + 1)), chosen[t, None, None])
            coef[t, kept], intercept[t] = learnt[0][0, 0], learnt[1][0, 0]
            support[t, kept] = True
        self.coef_, self.intercept_ = targets.squeeze(coef), targets.squeeze(intercept)
        self.support_, self.penalty_ = targets.squeeze(support), targets.squeeze(chosen)
        self.penalties_, self.inner_scores_ = targets.squeeze(penalties), targets.squeeze(scores)
        self.sizes_ = sizes
        counts = (coef != 0).sum(axis=1)
        self.n_features_ = int(counts[0]) if targets.single else counts
        return self

    def predict(self, X: HostEmbeddingLike) -> Matrix:
        self._rows_to_predict(X)  # refuses what isn't like the X of the fit
        features, squared = read_features(X), self.metric in SQUARES
        coef, support = np.atleast_2d(self.coef_), np.atleast_2d(self.support_)
        predicted = []
        for w, mask in zip(coef, support, strict=True):
            kept = np.flatnonzero(mask)
            predicted.append(predict_pairs(self._rows(features, kept)[0], w[kept], squared=squared))
        whole = np.stack(predicted) + np.atleast_1d(self.intercept_)[:, None]
        return cast(Matrix, whole if np.ndim(self.coef_) > 1 else whole[0])

    predict.__doc__ = Ridge.predict.__doc__
