"""add_one(): every call against the slow definition; from an empty subset on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given

import cases
import reference
import secateur as sc

EVERY = list(itertools.product(reference.METRICS, reference.COMPARATORS))


@pytest.mark.parametrize("missing", cases.MISSING)
@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_every_call(metric, comparator, missing):
    n, d = 8, 11
    for kind, (targets, subset, weights) in zip(itertools.cycle(("normal", "sparse", "normal")), cases.CALLS):
        X = cases.embedding(n, d, kind)
        h = cases.target(n, targets, missing)
        chosen = cases.subset(d, subset or "indices")
        w = cases.weights(h.shape, weights, comparator)
        actual = sc.add_one(X, h, chosen, metric, comparator, weights=w, kind="similarity")
        cases.agree(actual, cases.with_each(X, metric, chosen), h, w, comparator)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_all_sizes(metric):
    for n, d in itertools.product(cases.STIMULI, cases.FEATURES[2:]):
        X, h = cases.embedding(n, d), cases.target(n)
        chosen = cases.subset(d, "mask")
        cases.close(sc.add_one(X, h, chosen, metric, kind="similarity"), reference.add_one(X, h, chosen, metric))


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean"])
def test_sizes_of_every_comparator(metric, comparator):
    for n, d in ((3, 24), (4, 9), (5, 65), (9, 24), (16, 25), (17, 33), (33, 9)):
        X, h = cases.embedding(n, d), cases.target(n, ties=n > 5)
        chosen = cases.subset(d, "indices")
        cases.close(
            sc.add_one(X, h, chosen, metric, comparator, kind="similarity"),
            reference.add_one(X, h, chosen, metric, comparator),
        )


@pytest.mark.parametrize("missing", ["none", "different"])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_more_targets_than_a_block(comparator, missing):
    X, h = cases.embedding(9, 8), cases.target(9, 40, missing)
    chosen = [6, 1, 2, 7]
    for metric in ("cosine", "correlation"):
        cases.close(
            sc.add_one(X, h, chosen, metric, comparator, kind="similarity"),
            reference.add_one(X, h, chosen, metric, comparator),
        )


@pytest.mark.parametrize("comparator", ["pearson", "cosine"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_device(metric, comparator, device, device_tolerance):
    for missing, (targets, subset, weights) in itertools.product(("none", "different"), cases.CALLS):
        X, h = cases.embedding(17, 33), cases.target(17, targets, missing)
        chosen, w = cases.subset(33, subset or "mask"), cases.weights(h.shape, weights, comparator)
        actual = sc.add_one(X, h, chosen, metric, comparator, weights=w, device=device, kind="similarity")
        cases.close(actual, reference.add_one(X, h, chosen, metric, comparator, weights=w), device_tolerance)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_a_feature_inside_the_subset_changes_nothing(metric, comparator):
    X, h = cases.embedding(9, 24), cases.target(9, 2)
    inside = np.array([3, 5, 6, 11, 20])
    values = sc.add_one(X, h, inside, metric, comparator, kind="similarity")
    baseline = sc.alignment(X, h, metric, comparator, subset=inside, kind="similarity")
    cases.close(values[:, inside], np.repeat(baseline[:, None], 5, 1), 1e-12)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_an_empty_subset(metric, comparator):
    """The first step of a forward search: each feature alone."""
    X, h = cases.embedding(9, 24), cases.target(9, 2)
    X[4, 7] = 0
    alone = cases.with_each(X, metric, [])
    for empty in (np.zeros(24, bool), np.array([], int), []):
        values = sc.add_one(X, h, empty, metric, comparator, kind="similarity")
        cases.agree(values, alone, h, None, comparator)
    assert np.isnan(values).all() == (metric == "correlation")
    assert np.isnan(values[:, 7]).all() == (metric in ("cosine", "correlation"))


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_one_feature_more_than_one(metric, comparator):
    X, h = cases.embedding(9, 24), cases.target(9, 2)
    cases.agree(
        sc.add_one(X, h, [5], metric, comparator, kind="similarity"),
        cases.with_each(X, metric, [5]),
        h,
        None,
        comparator,
    )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_the_feature_that_an_empty_stimulus_needs(comparator):
    X, h = cases.embedding(8, 11), cases.target(8, 2)
    X[3] = 0
    X[3, [5, 9]] = 1 / 3
    subset = [0, 1, 2, 4]
    values = sc.add_one(X, h, subset, "cosine", comparator, kind="similarity")
    np.testing.assert_array_equal(np.isnan(values[0]), ~np.isin(np.arange(11), [5, 9]))
    cases.agree(values, cases.with_each(X, "cosine", subset), h, None, comparator)
    X[3] = 0.1
    X[3, [5, 9]] = 1 / 3
    values = sc.add_one(X, h, subset, "correlation", comparator, kind="similarity")
    np.testing.assert_array_equal(np.isnan(values[0]), ~np.isin(np.arange(11), [5, 9]))
    cases.agree(values, cases.with_each(X, "correlation", subset), h, None, comparator)


@pytest.mark.parametrize("size", [1e6, 1e8])
@pytest.mark.parametrize("where", ["column", "positive column", "one entry"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_a_dominating_feature(metric, where, size):
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    if where == "one entry":
        X[4, 7] = size / 3
    else:
        X[:, 7] = (np.abs(X[:, 7]) if where == "positive column" else X[:, 7]) * size / 3
    for subset in (np.arange(0, 7), np.arange(5, 25)):
        similarities = cases.with_each(X, metric, subset)
        for comparator in reference.COMPARATORS:
            cases.agree(
                sc.add_one(X, h, subset, metric, comparator, kind="similarity"), similarities, h, None, comparator
            )


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_the_other_features_are_not_read(metric, comparator):
    X, h = cases.embedding(9, 11), cases.target(9, 2)
    X[:, 10] *= 1e12
    X[3, 9] = -1e12
    values = sc.add_one(X, h, [1, 4, 5], metric, comparator, kind="similarity")[:, :9]
    cases.agree(values, cases.with_each(X[:, :9], metric, [1, 4, 5]), h, None, comparator)


@pytest.mark.parametrize("offset", [1e1, 1e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean", "euclidean", "cityblock"])
def test_large_means(metric, offset):
    X, h = cases.embedding(9, 25) + offset, cases.target(9, 2)
    subset = np.arange(0, 25, 2)
    for comparator in reference.COMPARATORS:
        actual = sc.add_one(X, h, subset, metric, comparator, kind="similarity")
        cases.close(actual, reference.add_one(X, h, subset, metric, comparator))


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="long double is double here")
@pytest.mark.parametrize("offset", [1e1, 1e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_large_means_where_the_definition_rounds(metric, offset):
    """As in test_leave_one_out: at most 20 times the error of the double definition, by long double."""
    X, h = 10 * cases.embedding(9, 25) + offset, cases.target(9, 2)
    subset = np.arange(0, 25, 2)
    for comparator in ("pearson", "cosine"):
        exact = reference.add_one(X, h, subset, metric, comparator, dtype=np.longdouble)
        allowed = 20 * np.abs(reference.add_one(X, h, subset, metric, comparator) - exact).max() + 1e-10
        cases.close(sc.add_one(X, h, subset, metric, comparator, kind="similarity"), exact, float(allowed))


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("scale", [1e-45, 1e45])
def test_a_direction_has_no_scale(metric, scale):
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    subset = np.arange(0, 25, 2)
    expected = reference.add_one(X, h, subset, metric)
    cases.close(sc.add_one(X * scale, h, subset, metric, kind="similarity"), expected)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_equal_features_and_stimuli(metric, comparator):
    for d, targets, seed in itertools.product((9, 24, 33, 65), (None, 2, 13), range(3)):
        X, h = cases.embedding(9, d, seed=seed), cases.target(9, targets, seed=seed)
        twins = [1, d // 2, d - 1]
        X[:, twins] = X[:, [1]]
        X[6] = X[2]
        values = sc.add_one(X, h, [2, 3, d - 2], metric, comparator, kind="similarity")
        np.testing.assert_array_equal(values[..., twins], values[..., [1, 1, 1]])
    cases.agree(values, cases.with_each(X, metric, [2, 3, d - 2]), h, None, comparator)


@pytest.mark.parametrize("targets", [None, 2, 13])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_every_stimulus_in_one_direction(metric, comparator, targets):
    """As in test_leave_one_out."""
    h = cases.target(7, targets)
    for row in (np.random.default_rng(5).normal(size=13), np.tile([0.1, 0.7], 7)[:13]):
        X = np.outer([1, 2, 3, 0.1, 313.67, 1 / 3, 1e-3], row)
        subset = [0, 3, 6, 7, 9]
        actual = sc.add_one(X, h, subset, metric, comparator, kind="similarity")
        cases.agree(actual, cases.with_each(X, metric, subset), h, None, comparator)


@pytest.mark.parametrize("metric", ["dot", "sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_tied_similarities(metric, comparator):
    for n, d in ((5, 3), (9, 7), (17, 24)):
        X, h = cases.embedding(n, d, "integers"), cases.target(n, 3, "different", ties=True)
        actual = sc.add_one(X, h, [0, 2], metric, comparator, kind="similarity")
        cases.close(actual, reference.add_one(X, h, [0, 2], metric, comparator))


@given(cases.problems())
def test_any_small_problem(p):
    actual = sc.add_one(p.X, p.target, p.subset, p.metric, p.comparator, weights=p.weights, kind="similarity")
    cases.agree(actual, cases.with_each(p.X, p.metric, p.subset), p.target, p.weights, p.comparator, unit=p.unit)
