"""Ridge regression on the pairs' products: one reduction to a tridiagonal form serves all penalties and targets."""

from __future__ import annotations

import numpy as np

from ..features import Matrix
from .design import Design
from .estimators import Weights

__all__ = ["Ridge", "ridge_path"]


def ridge_path(design: Design, centred: Matrix, penalties: Matrix) -> Matrix:
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


def _shrunk(square: Matrix, right_sides: Matrix, penalties: Matrix) -> Matrix:
    """(square + penalty)^-1 right side, for each of (T, m) sides at each of its (T, L) penalties: (T, L, m)."""
    from scipy.linalg import LinAlgError, lapack, solve

    out = np.empty((*penalties.shape, len(square)))
    if penalties.shape[1] == 1:  # one Cholesky factor
        for penalty in map(float, np.unique(penalties)):
            here = penalties[:, 0] == penalty
            shifted = square + penalty * np.eye(len(square))
            try:
                out[here, 0] = solve(
                    shifted, right_sides[here].T, assume_a="pos", overwrite_a=True, check_finite=False
                ).T
            except LinAlgError as error:
                raise _too_small(penalty) from error
        return out
    # square = Q B Q' with B tridiagonal, and so is B + penalty: no eigenvectors are needed.
    size, _ = lapack.dsytrd_lwork(len(square), lower=1)
    packed, diagonal, beside, tau, _ = lapack.dsytrd(square.T, lower=1, lwork=int(size), overwrite_a=1)

    def rotated(columns: Matrix, side: str) -> Matrix:
        """Q' (side "T") or Q (side "N") times columns; Q leaves the first row alone."""
        columns = np.asfortranarray(columns)
        work = int(lapack.dormqr("L", side, packed[1:, :-1], tau, columns[1:], -1)[1][0])
        columns[1:] = lapack.dormqr("L", side, packed[1:, :-1], tau, columns[1:], work)[0]
        return columns

    along = rotated(right_sides.T.copy(), "T")
    for t, step in np.ndindex(penalties.shape):
        *_, found, failed = lapack.dptsv(diagonal + penalties[t, step], beside, along[:, t : t + 1])
        if failed:
            raise _too_small(float(penalties[t, step]))
        out[t, step] = found[:, 0]
    return np.asarray(rotated(out.reshape(-1, len(square)).T.copy(), "N").T.reshape(out.shape))


def _too_small(penalty: float) -> ValueError:
    return ValueError(f"penalties must be above the rounding of the products' covariance, got {penalty:.2g}")


class Ridge(Weights):
    """Ridge regression on the pairs' products: PAG18, and feature-reweighted RSA.

    s_ij = sum_k w_k x_ik x_jk + b, with w minimising sum_ij g_ij (h_ij - s_ij)^2 / 2 + penalty ``|w|^2`` / 2 over the
    pairs of the training stimuli, where h is the target and g are the pair weights with sum 1 (scikit-learn's
    ``Ridge(alpha=penalty * P)`` on the P x d design). Weights may be negative: more of a feature in common may make
    two stimuli less alike.

    Parameters
    ----------
    metric : {"dot", "cosine", "correlation", "sqeuclidean"}
        ``"dot"``: products of the features as they are (PAG18). ``"cosine"``, ``"correlation"``: of rows scaled to unit
        length, or centred and scaled. ``"sqeuclidean"``: negated squared differences instead of products, so that a
        positive weight again makes likeness.
    comparator : Comparator
        Alignment that the inner folds choose by, and :meth:`score` gives, as in :func:`secateur.alignment`.
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

    def _grid(self, design: Design, centred: Matrix) -> Matrix:
        whole = float((design.variance / design.unit**2).sum())
        return np.broadcast_to(whole * np.logspace(0, -6, self._candidates), (len(centred), self._candidates))

    def _path(self, design: Design, centred: Matrix, penalties: Matrix) -> Matrix:
        return ridge_path(design, centred, penalties)
