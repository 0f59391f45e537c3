"""The field's small statistics: paired tests, Fisher's z, permutation p-values, false discoveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .features import Matrix


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test: ``t``, degrees of freedom, ``p``, Cohen's d of the differences, and their mean."""

    t: float
    df: int
    p: float
    d: float
    difference: float


def fisher_z(r: Any) -> Matrix:
    """Fisher's z = artanh(r); infinite at r = +-1, which rounding may overstep by 1e-12.

    Parameters
    ----------
    r : float or array of any shape
        Correlations; NaN stays NaN.

    Returns
    -------
    ndarray of float64, shaped like ``r``

    Raises
    ------
    ValueError
        Where a value lies outside -1 to 1.

    Examples
    --------
    >>> float(fisher_z(0.5).round(4))
    0.5493
    """
    values = np.asarray(r, dtype=float)
    outside = values[np.abs(values) > 1 + 1e-12]
    if outside.size:
        raise ValueError(f"r must lie between -1 and 1, got {outside[0]}")
    with np.errstate(divide="ignore"):
        return np.asarray(np.arctanh(np.clip(values, -1, 1)))


def paired_t(a: Any, b: Any, alternative: Literal["two-sided", "greater", "less"] = "two-sided") -> PairedTest:
    """Paired t-test of ``a`` against ``b`` over folds, stimuli or participants; pairs with NaN are left out.

    Parameters
    ----------
    a, b : array (m,)
        What is compared, in pairs.
    alternative : {"two-sided", "greater", "less"}
        ``"greater"``: a > b.

    Returns
    -------
    PairedTest
        NaN throughout where fewer than two pairs are left or all differences are equal.

    Notes
    -----
    Scores of cross-validation folds share training stimuli: their t-test is descriptive, the permutation test
    of :func:`secateur.permutation_test` is the inference.

    Examples
    --------
    >>> paired_t([1.0, 2.0, 3.0], [0.0, 0.5, 2.5]).df
    2
    """
    gap = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    gap = gap[~np.isnan(gap)]
    nan = float("nan")
    if len(gap) < 2 or np.ptp(gap) == 0:
        return PairedTest(nan, max(len(gap) - 1, 0), nan, nan, float(gap.mean()) if len(gap) else nan)
    from scipy.stats import ttest_1samp

    test = ttest_1samp(gap, 0.0, alternative=alternative)
    mean = float(gap.mean())
    return PairedTest(float(test.statistic), len(gap) - 1, float(test.pvalue), mean / float(gap.std(ddof=1)), mean)


def permutation_p(observed: Any, null: Any) -> Matrix:
    """p = (1 + number of null values at or above the observed) / (1 + n), over the last axis of ``null``.

    Where the observed value is NaN, so is p; NaN null values count as reaching it.

    Parameters
    ----------
    observed : array (...)
        The statistic as it was found.
    null : array (..., n)
        The statistic under the null.

    Returns
    -------
    ndarray of float64, shape (...)

    Examples
    --------
    >>> float(permutation_p(2.0, [0.0, 1.0, 3.0]))
    0.5
    """
    observed, null = np.asarray(observed, dtype=float), np.asarray(null, dtype=float)
    reached = ~(null < observed[..., None] - 1e-12)
    p = (1 + reached.sum(axis=-1)) / (1 + null.shape[-1])
    return np.asarray(np.where(np.isnan(observed), np.nan, p))


def holm(p: Any) -> Matrix:
    """p-values corrected for their number, so that the chance of any false find stays below alpha (Holm 1979).

    Parameters
    ----------
    p : array (m,)
        p-values of one family. NaN stays NaN and does not count.

    Returns
    -------
    ndarray of float64, shape (m,)
        Compare with alpha. Never above Bonferroni's.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    corrected = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    scaled = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected


@dataclass(frozen=True)
class FalseDiscovery:
    """p-values adjusted for their number, and which of them are discoveries at the rate ``alpha``."""

    adjusted: Matrix
    rejected: npt.NDArray[np.bool_]
    alpha: float


def benjamini_hochberg(p: Any, alpha: float = 0.05) -> FalseDiscovery:
    """Control of the false discovery rate over targets, regions or time points (Benjamini-Hochberg).

    Parameters
    ----------
    p : array of any shape
        p-values, all of one family. NaN stays NaN, is not rejected, and does not count.
    alpha : float
        The expected share of false ones among the rejected, between 0 and 1.

    Returns
    -------
    FalseDiscovery
        ``adjusted`` float64 and ``rejected`` bool, shaped like ``p``: rejected where adjusted <= alpha.

    Raises
    ------
    ValueError
        Where a p-value lies outside 0 to 1, or alpha is not between 0 and 1.

    Notes
    -----
    It holds for independent p-values and for those that depend positively. After n permutations no p is below
    1 / (1 + n): with m of them, a lone find can be had only where n + 1 >= m / alpha.

    References
    ----------
    Benjamini & Hochberg (1995), Journal of the Royal Statistical Society B 57.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).adjusted.round(3).tolist()
    [0.04, 0.053, 0.053, 0.5]
    """
    values = np.asarray(p, dtype=float)
    outside = values[(values < 0) | (values > 1)]
    if outside.size:
        raise ValueError(f"p must lie between 0 and 1, got {outside.flat[0]}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha!r}")
    adjusted = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    family = values[known]
    order = np.argsort(family, kind="stable")
    scaled = family[order] * len(family) / np.arange(1, len(family) + 1)
    smallest = np.minimum.accumulate(scaled[::-1])[::-1]
    back = np.empty_like(smallest)
    back[order] = np.minimum(smallest, 1)
    adjusted[known] = back
    return FalseDiscovery(adjusted, np.nan_to_num(adjusted, nan=2.0) <= alpha, float(alpha))
