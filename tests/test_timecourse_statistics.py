"""Tests over time: clusters against MNE's and against every set of signs; the group test on a planted recording."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from secateur.statistics import cluster_test, cohens_d, paired_t


def gains(seed=0, subjects=8, times=40):
    """Noise with a rise and a fall."""
    values = np.random.default_rng(seed).normal(size=(subjects, times))
    values[:, 10:16] += 0.8
    values[:, 25:28] -= 0.9
    return values


def masses_of(t, threshold, tail):
    """Clusters and masses of one course, by walking along it."""
    found, run, sign = [], [], 0
    for k, value in enumerate([*t, 0.0]):
        now = 1 if value > threshold and tail >= 0 else -1 if value < -threshold and tail <= 0 else 0
        if run and now != sign:
            found.append((run, sum(t[i] for i in run)))
            run = []
        if now:
            run = [*run, k]
        sign = now
    return found


def every_sign(values, threshold, tail):
    """Masses and p from every set of signs, one after another."""
    null = []
    for signs in product([1, -1], repeat=len(values)):
        t = stats.ttest_1samp(values * np.array(signs)[:, None], 0).statistic
        null.append(max([abs(mass) for _, mass in masses_of(t, threshold, tail)], default=0.0))
    found = masses_of(stats.ttest_1samp(values, 0).statistic, threshold, tail)
    return found, [np.mean(np.array(null) >= abs(mass) - 1e-9) for _, mass in found]


# Cohen's d


def test_cohens_d():
    a, b = np.random.default_rng(0).normal(size=(2, 9, 4))
    np.testing.assert_allclose(cohens_d(a, b), [paired_t(x, y).d for x, y in zip(a.T, b.T, strict=True)], rtol=1e-12)
    a[2, 1] = np.nan
    assert float(cohens_d(a, b)[1]) == pytest.approx(paired_t(a[:, 1], b[:, 1]).d, rel=1e-12)
    np.testing.assert_allclose(cohens_d(a - b), cohens_d(a, b), rtol=1e-12)
    assert np.isnan(cohens_d([[1.0, 0.3], [1.0, np.nan]])).all()


# Clusters


@pytest.mark.parametrize("tail", [1, 0, -1])
@pytest.mark.parametrize("seed", range(3))
def test_clusters_against_every_sign(tail, seed):
    values = gains(seed, subjects=6, times=32)
    test = cluster_test(values, tail=tail)
    found, p = every_sign(values, test.threshold, tail)
    assert test.exact
    assert len(test.masses) == len(found) >= 1
    for k, (members, mass) in enumerate(found):
        assert np.flatnonzero(test.labels == k + 1).tolist() == members
        assert test.masses[k] == pytest.approx(mass, rel=1e-12)
    np.testing.assert_allclose(test.p, p, rtol=1e-12)
    assert test.threshold == pytest.approx(stats.t.isf(0.05 / (2 if tail == 0 else 1), 5))


@pytest.mark.parametrize("tail", [1, 0, -1])
def test_clusters_against_mne(tail):
    mne_stats = pytest.importorskip("mne").stats
    values = gains(4)
    test = cluster_test(values, tail=tail, n=255)
    t, clusters, p, _ = mne_stats.permutation_cluster_1samp_test(
        values, tail=tail, n_permutations=1000, out_type="mask", verbose="error"
    )
    np.testing.assert_allclose(test.t, t, rtol=1e-10)
    at = [int(test.labels[mask[0]][0]) - 1 for mask in clusters]
    assert sorted(at) == list(range(len(test.masses)))
    for k, mask in zip(at, clusters, strict=True):
        np.testing.assert_array_equal(test.labels == k + 1, np.isin(np.arange(40), np.arange(40)[mask[0]]))
        assert test.masses[k] == pytest.approx(t[mask[0]].sum(), rel=1e-10)
    # one-sided, MNE's list holds the data twice and lacks their mirror image
    np.testing.assert_allclose(test.p[at], p, atol=1e-12 if tail == 0 else 1 / 256 + 1e-12)


def test_random_signs_approach_the_exact_test():
    values = gains(2, subjects=11)
    exact, drawn = cluster_test(values, n=5000), cluster_test(values, n=2000, seed=3)
    assert exact.exact
    assert len(exact.null) == 2**11 - 1
    assert not drawn.exact
    assert len(drawn.null) == 2000
    np.testing.assert_allclose(drawn.p, exact.p, atol=4 * np.sqrt(0.25 / 2000))
    np.testing.assert_array_equal(drawn.null, cluster_test(values, n=2000, seed=3).null)
    assert (drawn.null != cluster_test(values, n=2000, seed=4).null).any()


def test_clusters_hold_their_error_rate():
    rng = np.random.default_rng(0)
    found = sum((cluster_test(rng.normal(size=(7, 25)), n=127).p <= 0.05).any() for _ in range(300))
    assert 4 <= found <= 28  # 15 expected; binomial 99.9 %


def test_missing_subjects_and_times():
    values = gains(1)
    values[2] = np.nan  # a subject without any course is no subject
    whole = cluster_test(np.delete(values, 2, axis=0), threshold=2.0)
    test = cluster_test(values, threshold=2.0)
    np.testing.assert_allclose(test.t, whole.t, rtol=1e-12)
    np.testing.assert_allclose(test.masses, whole.masses, rtol=1e-12)
    np.testing.assert_allclose(test.p, whole.p, rtol=1e-12)
    values[:, 12] = np.nan  # a time that nobody has parts a cluster
    parted = cluster_test(values, threshold=0.2)
    assert np.isnan(parted.t[12])
    assert parted.labels[12] == 0
    assert parted.labels[11] > 0 < parted.labels[13]
    assert parted.labels[11] != parted.labels[13]


def test_nothing_to_find():
    test = cluster_test(np.zeros((5, 10)))
    assert np.isnan(test.t).all()
    assert len(test.masses) == len(test.p) == 0
    assert not test.labels.any()
    assert not test.null.any()


@pytest.mark.parametrize(
    ("values", "how", "said"),
    [
        (np.zeros(5), {}, r"values must have shape \(subjects, times\)"),
        (np.zeros((1, 5)), {}, r"with 2 subjects or more, got \(1, 5\)"),
        (np.full((3, 5), np.inf), {}, "finite or NaN, got inf"),
        (np.zeros((3, 5)), {"tail": 2}, "tail must be 1, 0 or -1, got 2"),
        (np.zeros((3, 5)), {"n": 0}, "n must be a positive integer, got 0"),
        (np.zeros((3, 5)), {"threshold": -2.0}, r"threshold must be positive, got -2\.0"),
    ],
)
def test_refusals(values, how, said):
    with pytest.raises(ValueError, match=said):
        cluster_test(values, **how)
