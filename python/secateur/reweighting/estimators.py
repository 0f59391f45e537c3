"""Reweighting baselines: ridge, non-negative LASSO and Sim-DR, which weigh features where pruning drops them.

A pair of stimuli is predicted from its features' products, s_ij = sum_k w_k x_ik x_jk + b, or from their squared
differences. Ridge and LASSO learn w, Sim-DR a map to few dimensions. All choose their penalty on inner folds of the
training stimuli: pairs of an inner test fold share no stimulus with the pairs that are learnt from.

The design (P pairs x d features) is never laid out whole. Its sums are those of the features: over all pairs,
sum z_a z_b = ((X'X)_ab^2 - ((X*X)'(X*X))_ab) / 2, and sum_ij r_ij z_ij,a = (X'RX)_aa / 2 for R symmetric with an empty
diagonal. Pair weights go through blocks of pairs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..arguments import check_seed
from ..features import Features, Indices, Matrix, read_features
from ..measures import METRIC_TABLE, check_comparator, check_metric
from ..pairs import pack, pair_count, unpack
from ..problem import compare_where_defined
from ..similarity import warn_of_undefined_pairs
from ..targets import Targets, read_target
from ..validation import Fold, split

__all__ = ["Lasso", "Ridge", "SimDR"]

PRODUCTS = tuple(name for name, row in METRIC_TABLE.items() if row.adds == "product")
SQUARES = tuple(name for name, row in METRIC_TABLE.items() if row.adds == "square" and not row.rooted)
BLOCK = 1 << 22  # entries of a block of the design: 32 MB


def _rows(features: Features, metric: str, allowed: tuple[str, ...]) -> Matrix:
    """The features whose products are the metric's terms; NaN for a stimulus without a direction."""
    row = METRIC_TABLE[check_metric(metric, allowed)]
    values = features.values
    if not row.angular:
        return values
    if row.centred:
        flat = (values == values[:, :1]).all(axis=1)
        values = np.where(flat[:, None], 0.0, values - values.mean(axis=1, keepdims=True))
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.where(norms > 0, values / np.where(norms > 0, norms, 1), np.nan))


def _predict(rows: Matrix, coef: Matrix, *, squared: bool) -> Matrix:
    """(..., d) weights -> (..., P) weighted sums of the pairs' predictors; NaN for a stimulus without a direction."""
    lost = np.isnan(rows).any(axis=1)
    if squared:
        rows = rows - rows.mean(axis=0)
    out = np.empty((*coef.shape[:-1], pair_count(len(rows))))
    for at in np.ndindex(coef.shape[:-1]):
        here = np.flatnonzero(coef[at])
        x = rows[:, here]
        inner = (x * coef[at][here]) @ x.T
        if squared:
            inner = 2 * inner - np.add.outer(np.diag(inner), np.diag(inner))
        inner[lost] = inner[:, lost] = np.nan
        out[at] = pack(inner)
    return out


class _Design:
    """The pairs' predictors: products z_a = x_ia x_ja, or negated squared differences; centred, with pair weights.

    Attributes
    ----------
    mean, variance : (d,) float64
        Weighted, over pairs.
    unit : (d,) float64
        What the predictors are divided by.
    share : (P,) float64
        Weight of each pair, with sum 1.
    """

    def __init__(self, rows: Matrix, *, squared: bool, weights: Matrix | None, standardize: bool) -> None:
        self.squared, self.weights = squared, weights
        self.rows = rows - rows.mean(axis=0) if squared else rows
        self.n, self.d = rows.shape
        self.pairs = np.triu_indices(self.n, 1)
        self.share = np.full(pair_count(self.n), 1 / pair_count(self.n)) if weights is None else weights / weights.sum()
        self.mean = self.adjoint(self.share[None])[0]
        self.variance = self._variance()
        varies = self.variance > 1e-13 * self.mean**2  # else it is rounding
        self.unit = np.sqrt(self.variance, out=np.ones(self.d), where=varies & standardize)

    def _variance(self) -> Matrix:
        if self.weights is not None:
            squares = sum((s[:, None] * z * z).sum(axis=0) for z, s in self._blocks(np.arange(self.d)))
            return np.asarray(squares, dtype=np.float64)
        x2 = self.rows**2
        raw = self.n * (x2 * x2).sum(axis=0) + 3 * x2.sum(axis=0) ** 2
        if not self.squared:
            raw = (x2.sum(axis=0) ** 2 - (x2 * x2).sum(axis=0)) / 2
        return np.asarray(np.maximum(raw / len(self.share) - self.mean**2, 0))

    def _pairs_of(self, features: Indices, at: slice) -> Matrix:
        """Rows ``at`` of the design, centred, for these features."""
        i, j = self.pairs[0][at], self.pairs[1][at]
        x = self.rows[:, features]
        z = -((x[i] - x[j]) ** 2) if self.squared else x[i] * x[j]
        return np.asarray(z - self.mean[features])

    def _blocks(self, features: Indices) -> Iterator[tuple[Matrix, Matrix]]:
        """Blocks of pairs: the centred design, and the pairs' shares."""
        step = max(1, BLOCK // max(1, len(features)))
        for start in range(0, len(self.share), step):
            at = slice(start, start + step)
            yield self._pairs_of(features, at), self.share[at]

    def gram(self, features: Indices) -> Matrix:
        """Covariance of these predictors over pairs, in their units."""
        if self.weights is not None:
            found = np.zeros((len(features), len(features)))
            for z, share in self._blocks(features):
                found += (z * share[:, None]).T @ z
        else:
            x = self.rows[:, features]
            x2, inner = x * x, x.T @ x
            if self.squared:
                found = self.n * (x2.T @ x2) + np.outer(x2.sum(axis=0), x2.sum(axis=0)) + 2 * inner * inner
            else:
                found = (inner * inner - x2.T @ x2) / 2
            found /= len(self.share)
            found -= np.outer(self.mean[features], self.mean[features])
        unit = self.unit[features]
        found /= unit[:, None]
        found /= unit
        return np.asarray(found)

    def kernel(self, used: npt.NDArray[np.bool_]) -> Matrix:
        """Inner products (pairs x pairs) of the rows of the used pairs, each times the root of its share."""
        root = np.sqrt(self.share[used])[:, None]
        found = np.zeros((len(root), len(root)))
        step = max(1, BLOCK // len(self.share))
        for start in range(0, self.d, step):
            block = np.arange(start, min(start + step, self.d))
            z = self._pairs_of(block, slice(None))[used] * root / self.unit[block]
            found += z @ z.T
        return found

    def adjoint(self, values: Matrix) -> Matrix:
        """(m, P) -> (m, d): sums over pairs of value times predictor, neither centred nor in units."""
        out = np.empty((len(values), self.d))
        for row, packed in zip(out, values, strict=True):
            square = unpack(packed, self.n)
            row[:] = np.einsum("ia,ia->a", self.rows, square @ self.rows) / (1 if self.squared else 2)
            if self.squared:
                row -= square.sum(axis=1) @ (self.rows * self.rows)
        return out

    def against(self, centred: Matrix) -> Matrix:
        """(T, P) centred targets -> (T, d): their covariance with the predictors, in units."""
        found = self.adjoint(centred * self.share) - self.mean * (centred @ self.share)[:, None]
        return np.asarray(found / self.unit)


def _ridge(design: _Design, centred: Matrix, penalties: Matrix) -> Matrix:
    """(T, L) penalties -> weights (T, L, d): one reduction serves every penalty and every target.

    Of the features' covariance (d x d), or, where pairs are fewer, of the pairs' kernel (P x P).
    """
    used = design.share > 0
    if used.sum() >= design.d:
        solved = _shrunk(design.gram(np.arange(design.d)), design.against(centred), penalties)
        return np.asarray(solved / design.unit)
    root = np.sqrt(design.share[used])
    dual = np.zeros((*penalties.shape, len(used)))
    dual[..., used] = _shrunk(design.kernel(used), centred[:, used] * root, penalties) * root
    flat = dual.reshape(-1, len(used))
    coef = (design.adjoint(flat) - design.mean * flat.sum(axis=1)[:, None]) / design.unit**2
    return np.asarray(coef.reshape(*penalties.shape, design.d))


def _shrunk(square: Matrix, goal: Matrix, penalties: Matrix) -> Matrix:
    """(square + penalty)^-1 goal, for each of (T, m) goals at each of its (T, L) penalties: (T, L, m)."""
    from scipy.linalg import LinAlgError, lapack, solve

    out = np.empty((*penalties.shape, len(square)))
    if penalties.shape[1] == 1:  # one Cholesky factor
        for penalty in map(float, np.unique(penalties)):
            here = penalties[:, 0] == penalty
            shifted = square + penalty * np.eye(len(square))
            try:
                out[here, 0] = solve(shifted, goal[here].T, assume_a="pos", overwrite_a=True, check_finite=False).T
            except LinAlgError as error:
                raise _too_small(penalty) from error
        return out
    # square = Q B Q' with B tridiagonal, and so is B + penalty: no eigenvectors are needed.
    size, _ = lapack.dsytrd_lwork(len(square), lower=1)
    packed, diagonal, beside, tau, _ = lapack.dsytrd(square.T, lower=1, lwork=int(size), overwrite_a=1)

    def turned(columns: Matrix, side: str) -> Matrix:
        """Q' (side "T") or Q (side "N") times columns; Q leaves the first row alone."""
        columns = np.asfortranarray(columns)
        work = int(lapack.dormqr("L", side, packed[1:, :-1], tau, columns[1:], -1)[1][0])
        columns[1:] = lapack.dormqr("L", side, packed[1:, :-1], tau, columns[1:], work)[0]
        return columns

    along = turned(goal.T.copy(), "T")
    for t, step in np.ndindex(penalties.shape):
        *_, found, failed = lapack.dptsv(diagonal + penalties[t, step], beside, along[:, t : t + 1])
        if failed:
            raise _too_small(float(penalties[t, step]))
        out[t, step] = found[:, 0]
    return np.asarray(turned(out.reshape(-1, len(square)).T.copy(), "N").T.reshape(out.shape))


def _too_small(penalty: float) -> ValueError:
    return ValueError(f"penalties must be above the rounding of the products' covariance, got {penalty:.2g}")


def _lasso(design: _Design, centred: Matrix, penalties: Matrix) -> Matrix:
    """(T, L) penalties, descending -> non-negative weights (T, L, d), each from the one before."""
    coef = np.empty((*penalties.shape, design.d))
    for t, goal in enumerate(design.against(centred)):
        current = np.zeros(design.d)
        for step, penalty in enumerate(penalties[t]):
            current = _nonnegative(design, goal, float(penalty), current)
            coef[t, step] = current
    return coef / design.unit


def _nonnegative(design: _Design, goal: Matrix, penalty: float, start: Matrix) -> Matrix:
    """Minimise w'Gw / 2 - w'(goal - penalty) over w >= 0: an active set, as Lawson & Hanson's, several at a time.

    Every step solves the features that are in exactly, walks towards that solution until a weight reaches zero,
    and lets in those whose gradient asks for it. It ends at the optimum but for rounding.
    """
    weights = start.copy()
    least = 1e-11 * max(float(np.abs(goal).max()), penalty)
    inside = _solve_inside(design, goal, penalty, weights, np.flatnonzero(weights > 0))
    for _ in range(10 * design.d):  # far beyond need: no circle by rounding is endless
        predicted = _predict(design.rows, (weights / design.unit)[None], squared=design.squared)
        slope = goal - penalty - design.against(predicted)[0]
        slope[inside] = -np.inf
        asking = np.flatnonzero(slope > least)
        steepest = asking[np.argsort(-slope[asking], kind="stable")[: max(8, len(inside) // 2)]]
        before, inside = inside, np.sort(np.concatenate([inside, steepest]))
        if steepest.size:
            inside = _solve_inside(design, goal, penalty, weights, inside)
        if np.array_equal(inside, before):  # none asks, or by rounding alone
            break
    return weights


def _solve_inside(design: _Design, goal: Matrix, penalty: float, weights: Matrix, inside: Indices) -> Indices:
    """The optimum among these features alone: ``weights`` is changed in place, the ones above zero are returned."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    gram = design.gram(inside)
    here = np.arange(len(inside))
    while here.size:
        part = gram[np.ix_(here, here)]
        try:
            factor = cho_factor(part, lower=True, check_finite=False)
        except LinAlgError:  # features that repeat each other
            part[np.diag_indices_from(part)] += 1e-10 * max(float(np.trace(part)) / len(part), 1e-300)
            factor = cho_factor(part, lower=True, check_finite=False)
        solved = cho_solve(factor, goal[inside[here]] - penalty, check_finite=False)
        current = weights[inside[here]]
        falling = solved <= 0
        if not falling.any():
            weights[inside[here]] = solved
            break
        reach = current[falling] / (current[falling] - solved[falling]).clip(1e-300)
        current += float(reach.min()) * (solved - current)
        current[np.flatnonzero(falling)[reach == reach.min()]] = 0.0
        current[falling & (current < 0)] = 0.0
        weights[inside[here]] = current
        here = here[~falling | (current > 0)]
    return inside[here]


# Estimators


Candidates = Callable[[Matrix], Matrix]  # rows of other stimuli -> predictions (T, candidates, P)


class _Reweighting(ABC, BaseEstimator):  # type: ignore[misc]
    """What the baselines share: reading, the inner choice, predicting, scoring."""

    _metrics: tuple[str, ...] = PRODUCTS
    metric: str
    comparator: str
    kind: str | None
    penalties: Any
    inner_cv: int
    seed: int

    def _read(self, X: Any, target: Any, weights: Any) -> tuple[Features, Matrix, Targets]:
        """Features, rows and targets, checked; a stimulus without a direction may be in no pair that counts."""
        from sklearn.utils.validation import validate_data

        check_comparator(self.comparator)
        features = read_features(X)
        validate_data(self, X, None if target is None else "no_validation", dtype=None, ensure_min_samples=3)
        targets = read_target(target, features.n, self.kind, weights, features.stimuli)
        rows = _rows(features, self.metric, self._metrics)
        lost = np.asarray(np.isnan(rows).any(axis=1))
        first, second = np.triu_indices(features.n, 1)
        touched = lost[first] | lost[second]
        for t in range(len(targets)):
            counts = targets.counts(t)
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

    def _inner_folds(self, n: int, groups: Any) -> list[Fold]:
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
        groups: Any,
    ) -> Matrix:
        """(T, candidates): alignment among the inner test stimuli, mean over inner folds.

        A candidate whose predictions have no alignment (all alike) has 0.
        """
        folds = self._inner_folds(len(rows), groups)
        scores = np.zeros((len(targets), candidates))
        for train, test in folds:
            goal, predictions = targets.among(test), learn(rows[train], targets.among(train))(rows[test])
            for t, candidate in np.ndindex(scores.shape):
                one = goal.only(slice(t, t + 1))
                score, _ = compare_where_defined(predictions[t, candidate], one, self.comparator, 1)
                scores[t, candidate] += np.nan_to_num(score[0]) / len(folds)
        return scores

    def _rows_to_predict(self, X: Any) -> Matrix:
        from sklearn.utils.validation import validate_data

        check_is_fitted(self, "penalty_")
        features = read_features(X)
        validate_data(self, X, dtype=None, reset=False)
        return _rows(features, self.metric, self._metrics)

    @abstractmethod
    def predict(self, X: Any) -> Matrix:
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

    def score(self, X: Any, target: Any, *, weights: Any = None) -> Any:
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
            one = targets.only(slice(t, t + 1))
            scores[t : t + 1], left_out = compare_where_defined(predictions[t], one, self.comparator, 1)
            lost += int(left_out[0])
        warn_of_undefined_pairs(lost)
        return targets.shaped(scores)


class _Weights(_Reweighting):
    """A weight a feature, learnt at each of several penalties: what ridge and LASSO share."""

    _metrics: tuple[str, ...] = (*PRODUCTS, *SQUARES)
    _candidates: int

    def __init__(
        self,
        metric: str = "dot",
        comparator: str = "pearson",
        kind: str | None = None,
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
    def _path(self, design: _Design, centred: Matrix, penalties: Matrix) -> Matrix:
        """(T, L) penalties, strongest first -> weights (T, L, d)."""

    @abstractmethod
    def _grid(self, design: _Design, centred: Matrix) -> Matrix:
        """Default penalties (T, candidates), strongest first."""

    def _by_pattern(self, rows: Matrix, targets: Targets) -> Iterable[tuple[_Design, Indices, Matrix, Matrix]]:
        """Targets that share their pair weights share a design: it, which targets, their means, and they centred."""
        patterns = np.zeros(len(targets), dtype=np.int64) if targets.weight_of is None else targets.weight_of
        for u in np.unique(patterns):
            which = np.flatnonzero(patterns == u)
            weights = None if targets.weights is None else targets.weights[u]
            if weights is not None and not weights.any():
                raise ValueError("target must have a pair of weight above zero in every inner fold, got none in one")
            if weights is not None and np.ptp(weights) == 0:
                weights = None
            design = _Design(rows, squared=self.metric in SQUARES, weights=weights, standardize=bool(self.standardize))
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

    def fit(self, X: Any, target: Any, *, weights: Any = None, groups: Any = None) -> Any:
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
            Where an argument is not as said; where a stimulus has no direction; where a target is constant.
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
                return lambda held: _predict(held, coef, squared=squared) + intercept[..., None]

            scores = self._inner_scores(rows, targets, learn, penalties.shape[1], groups)
            best = scores.argmax(axis=1)  # of equals the strongest penalty
        chosen = penalties[np.arange(len(targets)), best]
        coef, intercept = self._learn(rows, targets, chosen[:, None])

        self.coef_ = targets.shaped(coef[:, 0])
        self.intercept_ = targets.shaped(intercept[:, 0])
        self.penalty_ = targets.shaped(chosen)
        self.penalties_ = targets.shaped(penalties.copy())
        self.inner_scores_ = targets.shaped(scores)
        counts = (coef[:, 0] != 0).sum(axis=1)
        self.n_features_ = int(counts[0]) if targets.single else counts
        return self

    def predict(self, X: Any) -> Matrix:
        rows = self._rows_to_predict(X)
        predicted = _predict(rows, self.coef_, squared=self.metric in SQUARES)
        return cast(Matrix, predicted + np.asarray(self.intercept_)[..., None])

    predict.__doc__ = _Reweighting.predict.__doc__


class Ridge(_Weights):
    """Ridge regression on the pairs' products: PAG18, and feature-reweighted RSA.

    s_ij = sum_k w_k x_ik x_jk + b, with w minimising sum_ij g_ij (h_ij - s_ij)^2 / 2 + penalty |w|^2 / 2 over the pairs
    of the training stimuli, where h is the target and g are the pair weights with sum 1 (scikit-learn's
    ``Ridge(alpha=penalty * P)`` on the P x d design). Weights may be negative: more of a feature in common may make
    two stimuli less alike.

    Parameters
    ----------
    metric : {"dot", "cosine", "correlation", "sqeuclidean"}
        ``"dot"``: products of the features as they are (PAG18). ``"cosine"``, ``"correlation"``: of rows scaled to unit
        length, or centred and scaled. ``"sqeuclidean"``: negated squared differences instead of products, so that a
        positive weight again makes likeness.
    comparator : {"pearson", "cosine", "corr_cov", "cosine_cov", "spearman", "rho-a", "tau-a", "tau-b"}
        Alignment that the inner folds choose by, and :meth:`score` gives.
    kind : {"similarity", "dissimilarity"}, optional
        What targets hold, where they don't say so themselves: as in :func:`secateur.alignment`.
    penalties : array (L,), optional
        Candidates. By default 20, from the variance of all products together down to a millionth of it.
    inner_cv, seed : int
        Inner folds of the training stimuli, each of at least 3, and the seed of their shuffle. Not used where there is
        one penalty.
    standardize : bool
        Whether each feature's products are divided by their standard deviation over training pairs, as
        frrsa does. ``coef_`` is for the products as they are in any case.

    Attributes
    ----------
    coef_ : (d,) float64, or (T, d) after a fit to T targets; likewise what follows
        Weights w.
    intercept_ : float
        b, the similarity of two stimuli with nothing in common.
    penalty_ : float
        The chosen one.
    penalties_, inner_scores_ : (L,) float64
        Candidates, strongest first, and their alignment among inner test stimuli, mean over inner folds (a
        candidate that predicts the same for all pairs has 0 there).
    n_features_ : int
        Features of weight other than zero.

    Notes
    -----
    One tridiagonal form, of the features' covariance over pairs (d x d) or of the pairs' kernel (P x P), whichever is
    smaller, serves all penalties and all targets that share their pair weights.

    With negative weights no scaling of the features has these inner products: s_ij is the product of x_i with w * x_j,
    not of a scaled x_i with an equally scaled x_j. Where no weight is negative (:class:`Lasso`), sqrt(w) is that
    scaling.

    References
    ----------
    Peterson, Abbott & Griffiths (2018), Cognitive Science 42; as PAG18 in Tarigopula, Fairhall & Hasson (2023), §2.3
    and Table 1. Kaniuth & Hebart (2022), NeuroImage 257 (feature-reweighted RSA).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 6))
    >>> target = 2 + X @ np.diag([3.0, 2, 1, 0, 0, -1]) @ X.T
    >>> ridge = Ridge(kind="similarity").fit(X[:30], target[:30, :30])
    >>> ridge.coef_.round(2).tolist()
    [3.0, 2.0, 1.0, 0.0, 0.0, -1.0]
    >>> round(ridge.score(X[30:], target[30:, 30:]), 6)
    1.0
    """

    _candidates = 20

    def _grid(self, design: _Design, centred: Matrix) -> Matrix:
        whole = float((design.variance / design.unit**2).sum())
        return np.broadcast_to(whole * np.logspace(0, -6, self._candidates), (len(centred), self._candidates))

    def _path(self, design: _Design, centred: Matrix, penalties: Matrix) -> Matrix:
        return _ridge(design, centred, penalties)


class Lasso(_Weights):
    """LASSO with weights that are not negative, on the pairs' products.

    s_ij = sum_k w_k x_ik x_jk + b, with w >= 0 minimising sum_ij g_ij (h_ij - s_ij)^2 / 2 + penalty sum_k w_k over the
    pairs of the training stimuli, where h is the target and g are the pair weights with sum 1 (scikit-learn's
    ``Lasso(alpha=penalty, positive=True)`` on the P x d design). sqrt(w) scales the features so that their inner
    products are the predicted similarities, but for b.

    Parameters
    ----------
    metric, comparator, kind, inner_cv, seed, standardize
        As in :class:`Ridge`.
    penalties : array (L,), optional
        Candidates. By default 30, from 0.9 of the least penalty that leaves no feature down to a thousandth of it.

    Attributes
    ----------
    coef_, intercept_, penalty_, penalties_, inner_scores_, n_features_
        As in :class:`Ridge`.

    Notes
    -----
    An active-set method (Lawson & Hanson 1974, several features at a time), each penalty begun at the stronger one's
    solution; it ends at the optimum but for rounding.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.3 and Table 1 (LASSO).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 50))
    >>> target = X[:, :3] @ X[:, :3].T + 0.5 * rng.normal(size=(40, 1)) @ rng.normal(size=(1, 40))
    >>> lasso = Lasso(kind="similarity").fit(X, (target + target.T) / 2)
    >>> sorted(np.argsort(-lasso.coef_)[:3].tolist()), bool((lasso.coef_ >= 0).all())
    ([0, 1, 2], True)
    """

    _candidates = 30

    def _grid(self, design: _Design, centred: Matrix) -> Matrix:
        least = design.against(centred).max(axis=1)
        least = np.where(least > 0, least, 1.0)  # no feature makes likeness: all weights are zero at any penalty
        return np.asarray(0.9 * least[:, None] * np.logspace(0, -3, self._candidates))

    def _path(self, design: _Design, centred: Matrix, penalties: Matrix) -> Matrix:
        return _lasso(design, centred, penalties)


class SimDR(_Reweighting):
    """Sim-DR: a linear map to few dimensions, without a bias, whose inner products are the similarities.

    s_ij = (W'x_i) . (W'x_j), with W (d, k) minimising sum_ij g_ij (h_ij - s_ij)^2 + penalty |W|^2 over the pairs of the
    training stimuli, where h is the target and g are the pair weights with sum 1.

    Parameters
    ----------
    dimensions : int or sequence of int
        Candidates for k.
    metric : {"dot", "cosine", "correlation"}
        Features as they are, or rows scaled to unit length, or centred and scaled.
    comparator, kind, inner_cv, seed
        As in :class:`Ridge`.
    penalties : array (L,), optional
        Candidates. By default 6, from a tenth of the least penalty that leaves nothing down to 1e-5 of it.
    max_iter : int
        Steps of each descent.

    Attributes
    ----------
    projection_ : (d, k) float64, or a list of them after a fit to T targets; likewise what follows
        W.
    intercept_ : float
        Added to the inner products: for dissimilarities minus the largest of the training pairs, so that the least
        alike have inner product 0; for similarities 0.
    n_dimensions_ : int
        The chosen k.
    penalty_ : float
        The chosen one.
    penalties_ : (L,) float64
        Candidates, strongest first.
    inner_scores_ : (K, L) float64
        Alignment among inner test stimuli, mean over inner folds, by dimensions and penalty.
    n_features_ : int
        d: the map takes all.

    Notes
    -----
    The best W lies in the space that the training stimuli span, so that the descent (L-BFGS) has n x k unknowns,
    whatever d is. It begins at the leading eigenvectors of X'HX, and each penalty at the weaker one's solution: no
    chance is involved. Of candidates that score alike, the one of fewer dimensions, then of the stronger penalty is
    kept.

    References
    ----------
    Jha, Peterson & Griffiths (2020), arXiv:2005.14363; (2023), Cognitive Science 47. As Sim-DR in Tarigopula,
    Fairhall & Hasson (2023), Table 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, W = rng.normal(size=(30, 8)), rng.normal(size=(8, 2))
    >>> target = X @ W @ W.T @ X.T
    >>> simdr = SimDR(dimensions=(1, 2, 4)).fit(X[:20], target[:20, :20])
    >>> simdr.n_dimensions_ > 1, bool(simdr.score(X[20:], target[20:, 20:]) > 0.99)
    (True, True)
    """

    def __init__(
        self,
        dimensions: Any = (2, 4, 8, 16, 32, 64),
        metric: str = "dot",
        comparator: str = "pearson",
        kind: str | None = None,
        penalties: Any = None,
        inner_cv: int = 5,
        seed: int = 0,
        max_iter: int = 300,
    ) -> None:
        self.dimensions = dimensions
        self.metric = metric
        self.comparator = comparator
        self.kind = kind
        self.penalties = penalties
        self.inner_cv = inner_cv
        self.seed = seed
        self.max_iter = max_iter

    def _dimensions(self) -> list[int]:
        given = np.unique(np.atleast_1d(np.asarray(self.dimensions)))
        if given.ndim != 1 or not given.size or given.dtype.kind not in "iu" or given[0] < 1:
            raise ValueError(f"dimensions must be positive integers, got {self.dimensions!r}")
        return [int(k) for k in given]

    def fit(self, X: Any, target: Any, *, weights: Any = None, groups: Any = None) -> SimDR:
        """Choose dimensions and penalty on inner folds of the stimuli, then learn the map on all of them.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            Finite; converted to float64.
        target : any form that :func:`secateur.alignment` takes
            One target or T of them.
        weights : array shaped like a target, optional
            Weight of each pair, in the squared error and in the scores.
        groups : array (n,), optional
            Stimuli of one group stay on one side of the inner folds.

        Returns
        -------
        SimDR
            Itself, fitted.

        Raises
        ------
        TypeError, ValueError
            Where an argument is not as said; where a stimulus has no direction; where a target is constant.
        """
        features, rows, targets = self._read(X, target, weights)
        sizes, given = self._dimensions(), self._given_penalties()
        problems = [_Descent.of(rows, targets, t, int(self.max_iter)) for t in range(len(targets))]
        if given is None:
            penalties = np.array([one.greatest for one in problems])[:, None] * np.logspace(-1, -5, 6)
        else:
            penalties = np.broadcast_to(given, (len(targets), len(given)))
        shape = (len(targets), len(sizes), penalties.shape[1])
        scores = np.full(shape, np.nan)
        best = np.zeros((len(targets), 2), dtype=np.int64)
        if len(sizes) * penalties.shape[1] > 1:

            def learn(rows: Matrix, targets: Targets) -> Candidates:
                inner = [_Descent.of(rows, targets, t, int(self.max_iter)) for t in range(len(targets))]
                maps = [[w for k in sizes for w in one.path(k, penalties[t])] for t, one in enumerate(inner)]
                shifts = np.array([one.shift for one in inner])[:, None, None]
                return lambda held: np.stack([[pack(held @ w @ w.T @ held.T) for w in of] for of in maps]) + shifts

            scores = self._inner_scores(rows, targets, learn, shape[1] * shape[2], groups).reshape(shape)
            best = np.stack(np.unravel_index(scores.reshape(len(scores), -1).argmax(axis=1), shape[1:]), axis=1)
        maps = [
            one.path(sizes[k], penalties[t, step:])[0]
            for t, (one, (k, step)) in enumerate(zip(problems, best, strict=True))
        ]
        chosen = [sizes[k] for k, _ in best]
        self.projection_ = maps[0] if targets.single else maps
        self.intercept_ = targets.shaped(np.array([one.shift for one in problems]))
        self.n_dimensions_ = chosen[0] if targets.single else np.array(chosen)
        self.penalty_ = targets.shaped(penalties[np.arange(len(targets)), best[:, 1]])
        self.penalties_ = targets.shaped(penalties.copy())
        self.inner_scores_ = targets.shaped(scores)
        self.n_features_ = features.d if targets.single else np.full(len(targets), features.d)
        return self

    def predict(self, X: Any) -> Matrix:
        rows = self._rows_to_predict(X)
        maps = self.projection_ if isinstance(self.projection_, list) else [self.projection_]
        found = np.stack([pack(rows @ w @ w.T @ rows.T) for w in maps])
        found += np.atleast_1d(self.intercept_)[:, None]
        return found if isinstance(self.projection_, list) else np.asarray(found[0])

    predict.__doc__ = _Reweighting.predict.__doc__


class _Descent:
    """Sim-DR's problem for one target, in the space that the stimuli span.

    Attributes
    ----------
    greatest : float
        The least penalty at which W = 0 is best near 0.
    shift : float
        What was taken from the target.
    """

    def __init__(self, rows: Matrix, share: Matrix, values: Matrix, shift: float, max_iter: int) -> None:
        n = len(rows)
        u, s, self.basis = np.linalg.svd(rows, full_matrices=False)
        self.span = u * s
        self.share, self.goal = unpack(share, n), unpack(values - shift, n)
        self.shift, self.max_iter = shift, max_iter
        self.roots, self.vectors = np.linalg.eigh(self.span.T @ (self.share * self.goal) @ self.span)
        self.greatest = max(float(self.roots[-1]), 1e-12 * float(np.abs(self.roots).max()), 1e-300)
        self.curvature = self.greatest * (s / s[0]) ** 2
        self.size = float((share * (values - shift) ** 2).sum())

    @classmethod
    def of(cls, rows: Matrix, targets: Targets, t: int, max_iter: int) -> _Descent:
        values = targets.values[t]
        weights = np.ones_like(values)
        if targets.weights is not None and targets.weight_of is not None:
            weights = targets.weights[targets.weight_of[t]]
        if not weights.any():
            raise ValueError("target must have a pair of weight above zero in every inner fold, got none in one")
        shift = float(values[weights > 0].min()) if targets.kind == "dissimilarity" else 0.0
        return cls(rows, weights / weights.sum(), values, shift, max_iter)

    def _start(self, k: int) -> Matrix:
        """Leading eigenvectors of X'HX, of a length that fits the target best."""
        k = min(k, len(self.roots))
        lengths = np.sqrt(np.maximum(self.roots[::-1][:k], 1e-3 * self.greatest))
        start = self.vectors[:, ::-1][:, :k] * lengths
        found = self.span @ start
        found = found @ found.T
        fit = float((self.share * found * self.goal).sum()) / max(float((self.share * found * found).sum()), 1e-300)
        return np.asarray(start * np.sqrt(max(fit, 1e-3 * self.size / max(self.greatest, 1e-300))))

    def path(self, k: int, penalties: Matrix) -> list[Matrix]:
        """Maps (d, k) at these penalties, strongest first as they are; found from the weakest on."""
        from scipy.optimize import minimize

        found = []
        current = self._start(k)
        for penalty in penalties[::-1]:
            scale = 1 / np.sqrt(self.curvature + penalty)[:, None]  # so that all directions bend alike

            outcome = minimize(
                self._loss, (current / scale).ravel(), (scale, float(penalty)), jac=True, method="L-BFGS-B",
                options={"maxiter": self.max_iter, "ftol": 1e-10, "gtol": 1e-8},
            )  # fmt: skip
            current = scale * outcome.x.reshape(current.shape)
            found.append(self.basis.T @ current)
        return found[::-1]

    def _loss(self, flat: Matrix, scale: Matrix, penalty: float) -> tuple[float, Matrix]:
        """Squared error with penalty, over the target's own size, and its slope."""
        b = scale * flat.reshape(len(scale), -1)
        f = self.span @ b
        error = f @ f.T - self.goal
        pull = self.share * error
        value = float((pull * error).sum()) / 2 + penalty * float((b * b).sum())
        slope = 2 * (self.span.T @ (pull @ f) + penalty * b)
        return value / self.size, (scale * slope).ravel() / self.size
