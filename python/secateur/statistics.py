"""The field's small statistics: paired tests, Fisher's z, permutation p-values, false discoveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from .arguments import check_integer, check_share
from .features import Matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "SIDES", "ClusterTest", "FalseDiscovery", "PairedTest", "benjamini_hochberg", "cluster_test", "clusters_along",
    "cohens_d", "fisher_z", "holm", "largest_masses", "mean_of_defined", "paired_t", "permutation_p", "signed_square",
]  # fmt: skip

SIDES = {1: (1,), -1: (-1,), 0: (1, -1)}  # what a test of each tail looks for: above, below


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test: ``t``, degrees of freedom, ``p``, Cohen's d of the differences, and their mean."""

    t: float
    df: int
    p: float
    d: float
    difference: float


def fisher_z(r: ArrayLike) -> Matrix:
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


def paired_t(
    a: ArrayLike, b: ArrayLike, alternative: Literal["two-sided", "greater", "less"] = "two-sided"
) -> PairedTest:
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
    Scores of cross-validation folds share training stimuli, and those of repeats their test stimuli too: t describes
    them, and p is too small (``benchmarks/README.md``). :func:`secateur.permutation_test` is the inference.

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


def signed_square(scores: ArrayLike) -> float:
    """Square of the mean of correlations over folds, with the mean's sign.

    The mean of squares would not do: by chance alone a correlation of few pairs has a square well above zero.

    Parameters
    ----------
    scores : array (folds,)
        Correlations; NaN is left out.

    Returns
    -------
    float
        Between -1 and 1; about 0 on average where the correlations are about 0 on average. NaN of none.

    Examples
    --------
    >>> signed_square([0.75, 0.25]), signed_square([-0.25, -0.75])
    (0.25, -0.25)
    """
    values = np.asarray(scores, dtype=float)
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else float("nan")
    return abs(mean) * mean


def permutation_p(observed: ArrayLike, null: ArrayLike) -> Matrix:
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


def mean_of_defined(folds: Matrix) -> Matrix:
    """Mean over folds of the scores that are defined.

    Parameters
    ----------
    folds : (F, T) array
        Scores of each fold; NaN where a fold has none.

    Returns
    -------
    ndarray, shape (T,)
        NaN where no fold has a score.

    Examples
    --------
    >>> mean_of_defined(np.array([[0.5, np.nan], [0.25, np.nan]]))
    array([0.375,   nan])
    """
    count = (~np.isnan(folds)).sum(axis=0)
    return np.where(count > 0, np.nansum(folds, axis=0) / np.maximum(count, 1), np.nan)


def holm(p: ArrayLike) -> Matrix:
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


def benjamini_hochberg(p: ArrayLike, alpha: float = 0.05) -> FalseDiscovery:
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
    check_share("alpha", alpha)
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


def cohens_d(a: ArrayLike, b: ArrayLike = 0.0) -> Matrix:
    """Cohen's d of paired differences, over the first axis: their mean by their SD.

    Parameters
    ----------
    a, b : array (m, ...), or a number for ``b``
        What is compared, in pairs along the first axis (participants, say); pairs with NaN are left out.

    Returns
    -------
    ndarray of float64, shape (...)
        NaN where fewer than two pairs are left or all differences are equal.

    Examples
    --------
    >>> cohens_d([[1.0, 2.0], [2.0, 2.5], [3.0, 4.5]], [[0.0, 1.0], [0.5, 2.0], [2.5, 1.0]]).round(3).tolist()
    [2.0, 1.037]
    """
    values = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    t, count = _one_sample_t(values)
    return np.asarray(t / np.sqrt(np.maximum(count, 1)))


def _one_sample_t(values: Matrix) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """t of the mean over the first axis against 0, and how many values are not NaN; NaN where all are equal."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    mean = np.where(there, values, 0).sum(axis=0) / np.maximum(count, 1)
    square = np.where(there, values - mean, 0) ** 2
    spread = np.sqrt(square.sum(axis=0) / np.maximum(count - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean * np.sqrt(count) / spread
    return np.where((count > 1) & (spread > 1e-13 * np.abs(mean)), t, np.nan), count


@dataclass(frozen=True)
class ClusterTest:
    """Runs of neighbouring time points where t passes a threshold, and how rare their masses are under the null.

    Attributes
    ----------
    t : (times,) float64
        NaN where fewer than two subjects are defined or all agree to the last digit.
    threshold : float
        What t had to pass (in absolute terms).
    labels : (times,) int64
        0 outside of clusters, else the cluster's number: 1, 2, … in the order of time.
    masses : (clusters,) float64
        Sum of t over each cluster.
    p : (clusters,) float64
        Share of the null, the data as they are counted in, whose largest mass reaches the cluster's.
    null : (flips,) float64
        The largest absolute mass under each set of signs; 0 where there was no cluster.
    exact : bool
        Whether the null holds every set of signs there is.
    """

    t: Matrix
    threshold: float
    labels: npt.NDArray[np.int64]
    masses: Matrix
    p: Matrix
    null: Matrix
    exact: bool


def cluster_test(
    values: ArrayLike,
    *,
    threshold: float | None = None,
    tail: int = 1,
    n: int = 1000,
    seed: int = 0,
    apart: ArrayLike | None = None,
) -> ClusterTest:
    """Cluster-based permutation test over time: is the mean over subjects different from zero somewhere?

    A cluster is a run of neighbouring time points where the t over subjects passes a threshold; its mass is the sum of
    its t. Under the null the sign of each subject's whole course is arbitrary: signs are flipped at random, and the
    largest mass of each flip makes the null, which controls the family-wise error over time.

    Parameters
    ----------
    values : array (subjects, times)
        Differences, such as pruned - full in Fisher's z. NaN leaves that subject out at that time.
    threshold : float, optional
        Positive; by default the t of subjects - 1 degrees of freedom whose p is 0.05 (two-sided for tail 0).
    tail : {1, 0, -1}
        Mean above, different from, or below zero.
    n : int
        Random flips; where there are no more sets of signs than that, each is taken once (an exact test).
    seed : int
        Of the flips.
    apart : bool array (times,), optional
        Times that are no neighbours of the one before, such as windows with time between them; a cluster ends there.

    Returns
    -------
    ClusterTest

    Raises
    ------
    ValueError
        Where there are fewer than two subjects, or an argument is not as said above.

    Notes
    -----
    p belongs to the cluster, not to its edges: a small p does not say when an effect begins or ends (Sassenhagen &
    Draschkow 2019). Clusters and masses are those of ``mne.stats.permutation_cluster_1samp_test``, which also has
    sensors × times and threshold-free enhancement; so is the exact two-sided p (one-sided, MNE lists the data twice
    and leaves out their mirror image).

    References
    ----------
    Maris & Oostenveld (2007), Journal of Neuroscience Methods 164.

    Examples
    --------
    >>> gain = np.random.default_rng(0).normal(size=(12, 30))
    >>> gain[:, 10:16] += 2
    >>> test = cluster_test(gain)
    >>> np.flatnonzero(test.labels == 1).tolist(), bool(test.p[0] < 0.01)
    ([10, 11, 12, 13, 14, 15], True)
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
        raise ValueError(f"values must have shape (subjects, times), with 2 subjects or more, got {x.shape}")
    if np.isinf(x).any():
        raise ValueError(f"values must be finite or NaN, got {x[np.isinf(x)][0]}")
    if tail not in (1, 0, -1):
        raise ValueError(f"tail must be 1, 0 or -1, got {tail!r}")
    check_integer("n", n, 1)
    new = np.zeros(x.shape[1], dtype=bool) if apart is None else np.asarray(apart)
    if new.shape != (x.shape[1],) or new.dtype != np.bool_:
        raise ValueError(f"apart must be booleans, one for each of {x.shape[1]} times, got {apart!r}")
    if threshold is None:
        from scipy.stats import t as student

        threshold = float(student.isf(0.05 / (2 if tail == 0 else 1), len(x) - 1))
    if not np.isfinite(threshold) or threshold <= 0:
        raise ValueError(f"threshold must be positive, got {threshold!r}")

    t, count = _one_sample_t(x)
    labels, masses = clusters_along(t, threshold, tail, new)

    signs, exact = _signs(len(x), int(n), tail, seed)
    filled, usable = np.nan_to_num(x), np.isfinite(t)
    square = (filled**2).sum(axis=0)  # which no flip changes
    null = np.zeros(len(signs))
    size = max(1, (1 << 22) // x.shape[1])
    for first in range(0, len(signs), size):
        total = signs[first : first + size] @ filled
        rest = (square - total**2 / np.maximum(count, 1)) * count / np.maximum(count - 1, 1)
        fine = usable & (rest > 1e-12 * square)
        drawn = np.where(fine, total / np.sqrt(np.where(fine, rest, 1)), 0)
        null[first : first + size] = largest_masses(drawn, threshold, tail, new)
    reached = null >= np.abs(masses)[:, None] * (1 - 1e-9)
    p = (1 + reached.sum(axis=1)) / (1 + len(null))
    return ClusterTest(t, float(threshold), labels, masses, p, null, exact)


def clusters_along(
    course: Matrix, threshold: float, tail: int, new: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], Matrix]:
    """Runs of neighbouring times at which a course passes a threshold.

    Parameters
    ----------
    course : array (times,)
        Such as t. NaN is in no cluster.
    threshold : float
        Positive.
    tail : {1, 0, -1}
        Above the threshold, beyond it on either side (each of its own), or below its negative.
    new : bool array (times,)
        Times that are no neighbours of the one before.

    Returns
    -------
    labels : (times,) int64
        0 outside of clusters, else the cluster's number.
    masses : (clusters,) float64
        Sum of the course over each.

    Examples
    --------
    >>> labels, masses = clusters_along(np.array([3.0, 2.5, 0.0, -4.0]), 2.0, 0, np.zeros(4, dtype=bool))
    >>> labels.tolist(), masses.tolist()
    ([1, 1, 0, 2], [5.5, -4.0])
    """
    above = [side * np.nan_to_num(course) > threshold for side in SIDES[tail]]
    starts = sum((side & (new | ~np.r_[False, side[:-1]])).astype(np.int64) for side in above)
    labels = np.asarray(np.where(np.any(above, axis=0), np.cumsum(starts), 0), dtype=np.int64)
    return labels, np.array([course[labels == k].sum() for k in range(1, int(labels.max()) + 1)])


def largest_masses(courses: Matrix, threshold: float, tail: int, new: npt.NDArray[np.bool_]) -> Matrix:
    """The largest absolute mass of the clusters of each course.

    Parameters
    ----------
    courses : array (courses, times)
        Without NaN.
    threshold, tail, new
        As in :func:`clusters_along`.

    Returns
    -------
    ndarray of float64, shape (courses,)
        0 where there is no cluster.

    Examples
    --------
    >>> largest_masses(np.array([[3.0, 2.5, 0.0, -4.0], [0.0] * 4]), 2.0, 1, np.zeros(4, dtype=bool)).tolist()
    [5.5, 0.0]
    """
    largest = np.zeros(len(courses))
    for side in SIDES[tail]:
        run = np.zeros(len(courses))
        for begins, column in zip(new, (side * courses).T, strict=True):
            run = np.where(column > threshold, column + (0 if begins else run), 0)
            np.maximum(largest, run, out=largest)
    return largest


def _signs(subjects: int, n: int, tail: int, seed: int) -> tuple[Matrix, bool]:
    """Sets of signs (flips, subjects), the identity left out: all there are, or n distinct ones at random.

    Two-sided, a set and its opposite are one: the first subject keeps its sign.
    """
    free = subjects - (tail == 0)
    rng, fixed = np.random.default_rng(seed), subjects - free
    if free > 62:
        flipped = rng.integers(0, 2, (n, free))
    else:
        exact = 2**free - 1 <= n
        drawn = np.arange(1, 2**free) if exact else 1 + rng.choice(2**free - 1, n, replace=False)
        flipped = drawn[:, None] >> np.arange(free) & 1
    signs = np.ones((len(flipped), subjects))
    signs[:, fixed:] -= 2 * flipped
    return signs, bool(free <= 62 and exact)
