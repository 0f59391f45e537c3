"""Stability: whether folds keep the same features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import check_share

if TYPE_CHECKING:
    import xarray

__all__ = ["stability"]


def stability(result: xarray.Dataset, share: float = 0.8, confidence: float = 0.95) -> xarray.Dataset:
    """Whether folds keep the same features.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    share : float
        A feature is of the stable core where at least this share of folds keeps it; above 0, at most 1.
    confidence : float
        Coverage of the interval of the stability index.

    Returns
    -------
    xarray.Dataset, dims (target[, feature or bound])
        ``frequency`` (target, feature): share of folds that keep the feature. ``core`` (target, feature), ``n_core``.
        ``jaccard``: mean over pairs of folds of the shared part of what either keeps; ``jaccard_chance``: the same
        expected of random sets of these sizes. ``stability``: Nogueira's index, 1 where all folds keep the same
        set, 0 where they agree no more than chance; ``interval_stability`` (bound), asymptotic. NaN with a single
        fold, and the index where every fold keeps all features.

    Raises
    ------
    ValueError
        Where the result is another, or a share is out of range.

    Notes
    -----
    Folds share training stimuli (three quarters between any two of five folds), so they agree more than independent
    samples would: the interval, which takes them as independent, describes these folds and infers nothing.
    Agreement over subjects or time points, fold by fold, is had by exchanging the two names first:
    ``stability(result.rename(target="fold", fold="target"))``.

    References
    ----------
    Nogueira, Sechidis & Brown (2018, JMLR 18, 174): the index and its asymptotic variance.

    Examples
    --------
    >>> from secateur import cross_validate
    >>> X = np.random.default_rng(0).normal(size=(30, 40))
    >>> found = stability(cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3))
    >>> bool(found.jaccard[0] > found.jaccard_chance[0])
    True
    """
    import xarray

    if not isinstance(result, xarray.Dataset) or "kept" not in result:
        raise ValueError(f"result must be a Dataset of secateur.cross_validate, got {_what(result)}")
    share, confidence = check_share("share", share, one=True), check_share("confidence", confidence)
    kept = result["kept"].transpose("target", "fold", "feature").values.astype(bool)
    frequency = kept.mean(axis=1)
    core = frequency >= share - 1e-12
    overlap = np.array([_jaccard(one) for one in kept])
    index = np.array([_nogueira(one, confidence) for one in kept])
    variables = {
        "frequency": (("target", "feature"), frequency),
        "core": (("target", "feature"), core),
        "n_core": (("target",), core.sum(axis=1)),
        "jaccard": (("target",), overlap[:, 0]),
        "jaccard_chance": (("target",), overlap[:, 1]),
        "stability": (("target",), index[:, 0]),
        "interval_stability": (("target", "bound"), index[:, 1:]),
    }
    coords = {"target": result.target.values, "feature": result.feature.values, "bound": ["lower", "upper"]}
    attrs = {**result.attrs, "folds": kept.shape[1], "share": share, "confidence": confidence}
    return xarray.Dataset(variables, coords, attrs)


def _what(result: Any) -> str:
    return "one without 'kept'" if hasattr(result, "data_vars") else type(result).__name__


def _jaccard(kept: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean Jaccard index over pairs of sets (M, d), and that of random sets of the same sizes."""
    from scipy.stats import hypergeom

    m, d = kept.shape
    if m < 2:
        return np.nan, np.nan
    a, b = np.triu_indices(m, 1)
    sizes, both = kept.sum(axis=1), kept.astype(np.int64) @ kept.T.astype(np.int64)
    found = both[a, b] / (sizes[a] + sizes[b] - both[a, b])
    pairs, count = np.unique(np.sort(np.stack([sizes[a], sizes[b]]), axis=0), axis=1, return_counts=True)
    chance = 0.0
    for small, large, times in zip(*pairs, count):
        shared = np.arange(max(0, small + large - d), small + 1)
        chance += times * float(hypergeom.pmf(shared, d, small, large) @ (shared / (small + large - shared)))
    return float(found.mean()), chance / len(a)


def _nogueira(kept: npt.NDArray[np.bool_], confidence: float) -> tuple[float, float, float]:
    """The stability index of M sets (M, d), and its asymptotic interval."""
    from scipy.stats import norm

    m, d = kept.shape
    p, size = kept.mean(axis=0), kept.sum(axis=1) / d
    spread = size.mean() * (1 - size.mean())
    if m < 2 or spread == 0:
        return np.nan, np.nan, np.nan
    index = 1 - m / (m - 1) * float((p * (1 - p)).mean()) / spread
    each = (kept @ p / d - size * size.mean() + index / 2 * (2 * size * size.mean() - size - size.mean() + 1)) / spread
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(4 / m**2 * ((each - each.mean()) ** 2).sum())
    return index, index - half, index + half
