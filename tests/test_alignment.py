"""alignment(): every call against the slow definition, scipy and rsatoolbox; missing and undefined pairs."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist

import cases
import reference
import secateur as sc

EVERY = list(itertools.product(reference.METRICS, reference.COMPARATORS))
RSATOOLBOX_NAMES = {
    "pearson": "corr",
    "cosine": "cosine",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "kendall",
}


@pytest.mark.parametrize("missing", cases.MISSING)
@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_every_call(metric, comparator, missing):
    n, d = 9, 24
    for kind, (targets, subset, weights) in itertools.product(("normal", "sparse"), cases.CALLS):
        X = cases.embedding(n, d, kind)
        h = cases.target(n, targets, missing)
        chosen, w = cases.subset(d, subset), cases.weights(h.shape, weights, comparator)
        actual = sc.alignment(X, h, metric, comparator, subset=chosen, weights=w, kind="similarity")
        cases.close(actual, reference.alignment(X, h, metric, comparator, chosen, weights=w))


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_many_targets(metric, comparator):
    X = cases.embedding(8, 25)
    for missing in ("none", "different"):
        h = cases.target(8, 40, missing, ties=True)
        cases.close(
            sc.alignment(X, h, metric, comparator, kind="similarity"), reference.alignment(X, h, metric, comparator)
        )


@pytest.mark.parametrize("comparator", ["pearson", "cosine"])
def test_device(comparator, device, device_tolerance):
    X = cases.embedding(17, 33)
    for metric, missing in itertools.product(reference.METRICS, ("none", "different")):
        h = cases.target(17, 3, missing)
        actual = sc.alignment(X, h, metric, comparator, device=device, kind="similarity")
        cases.close(actual, reference.alignment(X, h, metric, comparator), device_tolerance)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_all_sizes(metric, comparator):
    for n, d in itertools.product(cases.STIMULI, (4, 8, 25, 130)):
        X, h = cases.embedding(n, d), cases.target(n, ties=n > 5)
        cases.close(
            sc.alignment(X, h, metric, comparator, kind="similarity"), reference.alignment(X, h, metric, comparator)
        )


def test_one_target_is_a_float():
    X, h = cases.embedding(7, 9), cases.target(7)
    assert type(sc.alignment(X, h, kind="similarity")) is float
    assert sc.alignment(X, h[None], kind="similarity").shape == (1,)
    assert sc.alignment(X, h, kind="similarity") == sc.alignment(X, h[None], kind="similarity")[0]
    for alias, name in (("corr", "pearson"), ("kendall", "tau-b")):
        value = sc.alignment(X, h, comparator=alias, kind="similarity")
        assert value == sc.alignment(X, h, comparator=name, kind="similarity")


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_a_dissimilarity_enters_negated(comparator):
    X, h = cases.embedding(9, 24), cases.target(9, 3)
    as_dissimilarity = sc.alignment(X, h, comparator=comparator, kind="dissimilarity")
    cases.close(as_dissimilarity, sc.alignment(X, -h, comparator=comparator, kind="similarity"), 1e-15)
    off = 2 * 36 * np.finfo(float).eps  # of 36 pairs
    cases.close(as_dissimilarity, -sc.alignment(X, h, comparator=comparator, kind="similarity"), off)
    cases.close(as_dissimilarity, reference.alignment(X, h, comparator=comparator, kind="dissimilarity"))


def test_every_form_of_a_target():
    n = 8
    X, h = cases.embedding(n, 9), cases.target(n, 3)
    squares = np.stack([reference.square(row, n) for row in h])
    for diagonal in (1.0, np.nan):
        squares[:, np.arange(n), np.arange(n)] = diagonal
        cases.close(sc.alignment(X, squares, kind="similarity"), reference.alignment(X, h), 1e-10)
        cases.close(sc.alignment(X, squares[1], kind="similarity"), reference.alignment(X, h[1]), 1e-10)
    squares[:, np.arange(n), np.arange(n)] = 0
    cases.close(sc.alignment(X, squares, kind="dissimilarity"), -reference.alignment(X, h), 1e-10)
    squares[:, 2, 5] = squares[:, 5, 2] = np.nan
    h_missing = np.where((np.triu_indices(n, 1)[0] == 2) & (np.triu_indices(n, 1)[1] == 5), np.nan, h)
    cases.close(sc.alignment(X, squares, kind="dissimilarity"), -reference.alignment(X, h_missing), 1e-10)


def test_target_as_xarray():
    xarray = pytest.importorskip("xarray")
    n = 8
    X, h = cases.embedding(n, 9), cases.target(n, 3)
    expected = reference.alignment(X, h)
    squares = np.stack([reference.square(row, n) for row in h])
    cases.close(sc.alignment(X, xarray.DataArray(h, dims=("time", "pair")), kind="similarity"), expected)
    cases.close(sc.alignment(X, xarray.DataArray(h[0], dims=("pair",)), kind="similarity"), expected[0])
    cases.close(
        sc.alignment(X, xarray.DataArray(squares, dims=("time", "stimulus", "stimulus2")), kind="similarity"), expected
    )
    cases.close(
        sc.alignment(X, xarray.DataArray(squares[2], dims=("stimulus", "stimulus2")), kind="similarity"), expected[2]
    )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("ties", [False, True])
def test_rsatoolbox(comparator, ties):
    rdm = pytest.importorskip("rsatoolbox.rdm", exc_type=ImportError)
    X, h = cases.embedding(9, 24), cases.target(9, 3, ties=ties)
    s = reference.similarity(X)
    method = RSATOOLBOX_NAMES[comparator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = rdm.compare(rdm.RDMs(s[None]), rdm.RDMs(h), method=method)[0]
    np.testing.assert_allclose([reference.compare(s, row, None, comparator) for row in h], expected, rtol=0, atol=1e-12)
    cases.close(sc.alignment(X, h, comparator=comparator, kind="similarity"), expected)
    # its RDMs are dissimilarities and say so: the orientation is ours to take
    cases.close(sc.alignment(X, rdm.RDMs(-h), comparator=comparator), expected)


@pytest.mark.parametrize("ties", [False, True])
def test_scipy(ties):
    X, h = cases.embedding(16, 24), cases.target(16, ties=ties)
    s = reference.similarity(X, "euclidean")
    assert sc.alignment(X, h, "euclidean", "pearson", kind="similarity") == pytest.approx(
        stats.pearsonr(s, h)[0], abs=1e-12
    )
    assert sc.alignment(X, h, "euclidean", "spearman", kind="similarity") == pytest.approx(
        stats.spearmanr(s, h)[0], abs=1e-12
    )
    if not ties:
        assert sc.alignment(X, h, "euclidean", "tau-a", kind="similarity") == pytest.approx(
            stats.kendalltau(s, h)[0], abs=1e-12
        )
        assert sc.alignment(X, h, "euclidean", "rho-a", kind="similarity") == pytest.approx(
            stats.spearmanr(s, h)[0], abs=1e-12
        )
    assert sc.alignment(X, h, "euclidean", "tau-b", kind="similarity") == pytest.approx(
        stats.kendalltau(s, h)[0], abs=1e-12
    )
    assert reference.compare(s, h, None, "spearman") == pytest.approx(stats.spearmanr(s, h)[0], abs=1e-12)
    assert reference.compare(s, h, None, "tau-b") == pytest.approx(stats.kendalltau(s, h)[0], abs=1e-12)


def test_tau_b_of_tied_integers_is_scipys():
    rng = np.random.default_rng(7)
    for n, values in itertools.product((3, 5, 12, 30), (2, 3, 10)):
        X = rng.integers(0, values, (n, 3)).astype(float)
        h = rng.integers(0, values, (4, n * (n - 1) // 2)).astype(float)
        h[1, ::3] = np.nan
        w = rng.integers(0, 2, h.shape).astype(float)
        s = -pdist(X, "sqeuclidean")
        expected = []
        for row, used in zip(h, w * ~np.isnan(h) > 0):
            varies = used.sum() > 1 and np.ptp(s[used]) > 0 and np.ptp(row[used]) > 0
            expected.append(stats.kendalltau(s[used], row[used])[0] if varies else np.nan)
        cases.close(sc.alignment(X, h, "sqeuclidean", "tau-b", weights=w, kind="similarity"), expected, 1e-14)


@pytest.mark.parametrize("metric", ["dot", "sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_tied_similarities(metric, comparator):
    """Integers give these metrics without rounding, so that ties are ties for everyone."""
    for n, d in ((5, 2), (9, 3), (17, 7), (17, 24)):
        X, h = cases.embedding(n, d, "integers"), cases.target(n, 3, "different", ties=True)
        cases.close(
            sc.alignment(X, h, metric, comparator, kind="similarity"), reference.alignment(X, h, metric, comparator)
        )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_missing_everywhere(comparator):
    X, h = cases.embedding(7, 9), cases.target(7, 3)
    h[1] = np.nan
    values = sc.alignment(X, h, comparator=comparator, kind="similarity")
    assert np.isnan(values[1])
    cases.close(values, reference.alignment(X, h, comparator=comparator))


@pytest.mark.parametrize("comparator", ["pearson", "cosine"])
def test_weights(comparator):
    """A whole weight is a pair counted that many times; a common factor is nothing."""
    X, h = cases.embedding(9, 24), cases.target(9)
    s = reference.similarity(X)
    w = np.random.default_rng(0).integers(0, 4, 36).astype(float)
    repeated = np.repeat(np.arange(36), w.astype(int))
    expected = reference.compare(s[repeated], h[repeated], None, comparator)
    assert sc.alignment(X, h, comparator=comparator, weights=w, kind="similarity") == pytest.approx(expected, abs=1e-12)
    assert sc.alignment(X, h, comparator=comparator, weights=w * 1e-3, kind="similarity") == pytest.approx(
        expected, abs=1e-12
    )
    # The similarities are the same; two sums over 36 pairs are off by 36 eps of their size before the mean goes.
    off = 2 * 36 * np.finfo(float).eps * np.linalg.norm(s) / np.linalg.norm(s - s.mean())
    assert sc.alignment(X, h, comparator=comparator, weights=np.ones(36), kind="similarity") == pytest.approx(
        sc.alignment(X, h, comparator=comparator, kind="similarity"), abs=off
    )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_a_missing_pair_is_a_pair_of_weight_zero(comparator):
    X, h = cases.embedding(9, 24), cases.target(9, 3, "different")
    w = (~np.isnan(h)).astype(float)
    filled = np.where(np.isnan(h), 1e6, h)
    cases.close(
        sc.alignment(X, h, comparator=comparator, kind="similarity"),
        sc.alignment(X, filled, comparator=comparator, weights=w, kind="similarity"),
        1e-12,
    )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_an_undefined_pair_counts_only_where_it_is_used(comparator):
    n = 8
    X, h = cases.embedding(n, 9), cases.target(n, 3)
    X[3] = 0
    i, j = np.triu_indices(n, 1)
    of_three = (i == 3) | (j == 3)
    assert np.isnan(sc.alignment(X, h, comparator=comparator, kind="similarity")).all()
    h[1, of_three] = np.nan
    values = sc.alignment(X, h, comparator=comparator, kind="similarity")
    np.testing.assert_array_equal(np.isnan(values), [True, False, True])
    cases.close(values, reference.alignment(X, h, comparator=comparator))
    w = (~of_three).astype(float)
    values = sc.alignment(X, h, comparator=comparator, weights=w, kind="similarity")
    assert not np.isnan(values).any()
    cases.close(values, reference.alignment(X, h, comparator=comparator, weights=w))


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_constant_similarities(metric, comparator):
    """Every stimulus in one direction: no correlation, and nothing concordant."""
    row = np.random.default_rng(5).normal(size=13)
    X = np.outer([1, 2, 3, 0.1, 5, 1 / 3], row)
    value = sc.alignment(X, cases.target(6), metric, comparator, kind="similarity")
    if comparator in ("pearson", "spearman", "tau-b"):
        assert np.isnan(value)
    elif comparator == "cosine":
        cases.close(value, reference.alignment(X, cases.target(6), metric, comparator))
    else:
        assert value == 0


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_constant_target(comparator):
    X, h = cases.embedding(7, 9), cases.target(7, 4)
    h[1], h[2], h[3] = 0.1, 0, 1e6 + 0.1
    values = sc.alignment(X, h, comparator=comparator, kind="similarity")
    cases.close(values, reference.alignment(X, h, comparator=comparator))
    expected = {"cosine": [0, 1, 0], "rho-a": [0, 0, 0], "tau-a": [0, 0, 0]}.get(comparator, [1, 1, 1])
    np.testing.assert_array_equal(np.isnan(values[1:]), np.array(expected, bool))
    if comparator in ("rho-a", "tau-a"):
        np.testing.assert_array_equal(values[1:], 0)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_similarities_all_zero(comparator):
    X = np.eye(6, 8)
    value = sc.alignment(X, cases.target(6), "dot", comparator, kind="similarity")
    assert value == 0 if comparator in ("rho-a", "tau-a") else np.isnan(value)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_few_pairs_left(comparator):
    """Three, two, one and no pairs with a target value."""
    X = cases.embedding(4, 9)
    for left in (3, 2, 1, 0):
        h = cases.target(4)
        h[left:] = np.nan
        cases.close(
            sc.alignment(X, h, comparator=comparator, kind="similarity"),
            reference.alignment(X, h, comparator=comparator),
        )


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_large_means(metric, comparator, offset):
    X, h = cases.embedding(9, 25) + offset, cases.target(9, 3)
    cases.close(
        sc.alignment(X, h, metric, comparator, kind="similarity"), reference.alignment(X, h, metric, comparator)
    )


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_a_target_far_from_zero(comparator):
    X, h = cases.embedding(9, 25), np.round(cases.target(9, 3) * 2**10) / 2**10
    cases.close(
        sc.alignment(X, h + 2.0**20, comparator=comparator, kind="similarity"),
        reference.alignment(X, h, comparator=comparator),
    )
    cases.close(
        sc.alignment(X, h * 1e-12, comparator=comparator, kind="similarity"),
        reference.alignment(X, h, comparator=comparator),
    )
