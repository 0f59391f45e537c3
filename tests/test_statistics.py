"""The small statistics against scipy's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from secateur.statistics import PairedTest, fisher_z, paired_t, permutation_p

ALTERNATIVES = ["two-sided", "greater", "less"]


def pairs(m, seed=0):
    rng = np.random.default_rng([m, seed])
    return rng.normal(0.3, 1, m), rng.normal(size=m)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("m", [2, 3, 10, 40])
def test_paired_t(m, alternative):
    a, b = pairs(m)
    ours, theirs = paired_t(a, b, alternative), stats.ttest_rel(a, b, alternative=alternative)
    assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-10)
    assert ours.df == theirs.df == m - 1
    assert ours.difference == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert ours.d == pytest.approx((a - b).mean() / (a - b).std(ddof=1), rel=1e-12)
    assert ours.t == pytest.approx(ours.d * np.sqrt(m), rel=1e-12)
    assert {type(value) for value in (ours.t, ours.p, ours.d, ours.difference)} == {float}
    assert type(ours.df) is int


def test_paired_t_has_a_direction():
    a, b = pairs(20)
    assert paired_t(a + 1, b, "greater").p < 0.05 < paired_t(a + 1, b, "less").p
    ours, turned = paired_t(a, b), paired_t(b, a)
    assert (ours.t, ours.p, ours.d) == pytest.approx((-turned.t, turned.p, -turned.d))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_pairs_with_nan_are_left_out(alternative):
    a, b = pairs(12)
    a[3] = b[7] = np.nan
    ours = paired_t(a, b, alternative)
    theirs = stats.ttest_rel(a, b, alternative=alternative, nan_policy="omit")
    assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-10)
    assert ours.df == 9


def test_too_few_or_equal_differences():
    nan = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for a, b, df, difference in (
            ([], [], 0, nan),
            ([1.0], [0.5], 0, 0.5),
            ([1.0, nan], [0.5, 0.5], 0, 0.5),
            ([nan, nan], [0.5, 0.5], 0, nan),
            ([1.0, 2.0, 3.0], [0.0, 1.0, 2.0], 2, 1.0),
            ([0.2, 0.4], [0.2, 0.4], 1, 0.0),
        ):
            test = paired_t(a, b)
            assert np.isnan([test.t, test.p, test.d]).all()
            assert test.df == df
            assert test.difference == pytest.approx(difference, nan_ok=True)


def test_paired_test_is_a_value():
    assert PairedTest(1.0, 2, 0.3, 0.4, 0.5) == PairedTest(1.0, 2, 0.3, 0.4, 0.5)
    with pytest.raises(AttributeError):
        PairedTest(1.0, 2, 0.3, 0.4, 0.5).t = 2.0


def test_fisher_z():
    r = np.linspace(-0.999, 0.999, 41)
    np.testing.assert_allclose(fisher_z(r), 0.5 * np.log((1 + r) / (1 - r)), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(np.tanh(fisher_z(r)), r, atol=1e-12)
    assert fisher_z(r.reshape(1, 41)).shape == (1, 41)
    assert fisher_z(0.3).shape == ()
    # the interval that scipy builds on it
    x, y = pairs(30)
    found = stats.pearsonr(x, y)
    half = stats.norm.ppf(0.975) / np.sqrt(30 - 3)
    low, high = np.tanh([fisher_z(found.statistic) - half, fisher_z(found.statistic) + half])
    assert (low, high) == pytest.approx(tuple(found.confidence_interval(0.95)), rel=1e-10)


def test_fisher_z_at_its_ends():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(fisher_z([-1, 0, 1, np.nan]), [-np.inf, 0, np.inf, np.nan])
        # an alignment of 1 may be 1 + 2e-16
        np.testing.assert_array_equal(fisher_z([1 + 2.3e-16, -1 - 1e-14]), [np.inf, -np.inf])
    with pytest.raises(ValueError, match=r"r must lie between -1 and 1, got -1\.5"):
        fisher_z([0.2, -1.5])


def test_permutation_p():
    rng = np.random.default_rng(0)
    null = rng.normal(size=(5, 99))
    observed = rng.normal(size=5)
    expected = [(1 + sum(value >= o for value in row)) / 100 for o, row in zip(observed, null, strict=True)]
    np.testing.assert_allclose(permutation_p(observed, null), expected, rtol=1e-15)
    assert float(permutation_p(observed[0], null[0])) == expected[0]
    assert float(permutation_p(99, null[0])) == 0.01  # never zero
    assert float(permutation_p(-99, null[0])) == 1


def test_permutation_p_agrees_with_scipy():
    """With all permutations listed, scipy's p is ours without the one added on both sides."""
    x, y = pairs(6)

    def statistic(x, axis):
        return np.sum(x * y, axis=axis)

    how = {"permutation_type": "pairings", "alternative": "greater", "vectorized": True}
    theirs = stats.permutation_test((x,), statistic, **how)
    m = len(theirs.null_distribution)
    ours = float(permutation_p(theirs.statistic, theirs.null_distribution))
    assert ours == pytest.approx((1 + theirs.pvalue * m) / (1 + m), rel=1e-12)


def test_ties_and_nan_in_the_null():
    # equal but for rounding counts as reached
    assert float(permutation_p(0.3, [0.1 + 0.2, 0.3 - 1e-15, 0.2])) == 0.75
    # a null value that is undefined speaks against the observed one
    assert float(permutation_p(0.3, [np.nan, 0.1, 0.2])) == 0.5
    assert np.isnan(permutation_p(np.nan, [0.1, 0.2]))
    np.testing.assert_array_equal(permutation_p([np.nan, 1.0], [[0.0], [0.0]]), [np.nan, 0.5])
