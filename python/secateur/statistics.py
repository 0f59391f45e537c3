"""The field's small statistics: paired tests, Fisher's z, permutation p-values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

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
