"""LASSO with weights that are not negative, on the pairs' products: an active set."""

from __future__ import annotations

import numpy as np

from ..features import Indices, Matrix
from .design import Design, predict_pairs
from .estimators import Weights

__all__ = ["Lasso", "lasso_path"]


def lasso_path(design: Design, centred: Matrix, penalties: Matrix) -> Matrix:
    """(T, L) penalties, descending -> non-negative weights (T, L, d), each from the one before."""
    coef = np.empty((*penalties.shape, design.d))
    for t, covariances in enumerate(design.against(centred)):
        current = np.zeros(design.d)
        for step, penalty in enumerate(penalties[t]):
            current = _nonnegative(design, covariances, float(penalty), current)
            coef[t, step] = current
    return coef / design.unit


def _nonnegative(design: Design, covariances: Matrix, penalty: float, start: Matrix) -> Matrix:
    """Minimise w'Gw / 2 - w'(covariances - penalty) over w >= 0: an active set (Lawson & Hanson), several at a time.

    Every step solves the features that are in exactly, walks towards that solution until a weight reaches zero,
    and lets in those whose gradient asks for it. It ends at the optimum but for rounding.
    """
    weights = start.copy()
    least = 1e-11 * max(float(np.abs(covariances).max()), penalty)
    inside = _solve_inside(design, covariances, penalty, weights, np.flatnonzero(weights > 0))
    for _ in range(10 * design.d):  # far beyond need: no circle by rounding is endless
        predicted = predict_pairs(design.rows, (weights / design.unit)[None], squared=design.squared)
        slope = covariances - penalty - design.against(predicted)[0]
        slope[inside] = -np.inf
        asking = np.flatnonzero(slope > least)
        steepest = asking[np.argsort(-slope[asking], kind="stable")[: max(8, len(inside) // 2)]]
        before, inside = inside, np.sort(np.concatenate([inside, steepest]))
        if steepest.size:
            inside = _solve_inside(design, covariances, penalty, weights, inside)
        if np.array_equal(inside, before):  # none asks, or by rounding alone
            break
    return weights


def _solve_inside(design: Design, covariances: Matrix, penalty: float, weights: Matrix, inside: Indices) -> Indices:
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
        solved = cho_solve(factor, covariances[inside[here]] - penalty, check_finite=False)
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


class Lasso(Weights):
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

    def _grid(self, design: Design, centred: Matrix) -> Matrix:
        least = design.against(centred).max(axis=1)
        least = np.where(least > 0, least, 1.0)  # no feature makes likeness: all weights are zero at any penalty
        return np.asarray(0.9 * least[:, None] * np.logspace(0, -3, self._candidates))

    def _path(self, design: Design, centred: Matrix, penalties: Matrix) -> Matrix:
        return lasso_path(design, centred, penalties)
