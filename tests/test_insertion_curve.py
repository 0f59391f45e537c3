"""insertion_curve(): every step against the slow definition; own orders, short orders, empty starts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given

import cases
import reference
import secateur as sc

EVERY = list(itertools.product(reference.METRICS, reference.COMPARATORS))


def order_of(d, targets=None, seed=0):
    rng = np.random.default_rng([d, seed])
    return rng.permutation(d) if targets is None else np.stack([rng.permutation(d) for _ in range(targets)])


def agree(actual, X, h, order, w, metric, comparator, atol=1e-10, unit=0.0):
    """Against the slow definition, for an order in common (m,) or one for each target (T, m)."""
    if order.ndim == 1:
        cases.agree(actual, cases.prefixes(X, metric, order), h, w, comparator, atol, unit)
        return
    assert actual.shape == order.shape
    own = [None] * len(h) if w is None else np.broadcast_to(w, h.shape)
    for t in range(len(h)):
        cases.agree(actual[t], cases.prefixes(X, metric, order[t]), h[t], own[t], comparator, atol, unit)


@pytest.mark.parametrize("missing", cases.MISSING)
@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_every_call(metric, comparator, missing):
    n, d = 8, 11
    for kind, (targets, _, weights) in zip(itertools.cycle(("normal", "sparse", "normal")), cases.CALLS):
        X = cases.embedding(n, d, kind)
        h = cases.target(n, targets, missing)
        w = cases.weights(h.shape, weights, comparator)
        orders = [order_of(d)] if targets is None else [order_of(d), order_of(d, targets)[:, :6]]
        for order in orders:
            agree(
                sc.insertion_curve(X, h, order, metric, comparator, weights=w, kind="similarity"),
                X,
                h,
                order,
                w,
                metric,
                comparator,
            )


@pytest.mark.parametrize("metric", reference.METRICS)
def test_all_sizes(metric):
    for n, d in itertools.product(cases.STIMULI, cases.FEATURES):
        X, h, order = cases.embedding(n, d), cases.target(n), order_of(d)
        agree(sc.insertion_curve(X, h, order, metric, kind="similarity"), X, h, order, None, metric, "pearson")


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean"])
def test_sizes_of_every_comparator(metric, comparator):
    for n, d in ((3, 24), (4, 7), (5, 65), (9, 24), (16, 25), (17, 33), (33, 9)):
        X, h, order = cases.embedding(n, d), cases.target(n, ties=n > 5), order_of(d)
        agree(
            sc.insertion_curve(X, h, order, metric, comparator, kind="similarity"),
            X,
            h,
            order,
            None,
            metric,
            comparator,
        )


@pytest.mark.parametrize("missing", ["none", "different"])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_more_targets_than_a_block(comparator, missing):
    X, h = cases.embedding(9, 8), cases.target(9, 40, missing)
    for metric, order in itertools.product(("cosine", "correlation"), (order_of(8), order_of(8, 40))):
        agree(
            sc.insertion_curve(X, h, order, metric, comparator, kind="similarity"),
            X,
            h,
            order,
            None,
            metric,
            comparator,
        )


@pytest.mark.parametrize("comparator", ["pearson", "cosine"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_device(metric, comparator, device, device_tolerance):
    X = cases.embedding(17, 33)
    for missing, (targets, _, weights) in itertools.product(("none", "different"), cases.CALLS):
        h = cases.target(17, targets, missing)
        w = cases.weights(h.shape, weights, comparator)
        order = order_of(33, targets)
        actual = sc.insertion_curve(X, h, order, metric, comparator, weights=w, device=device, kind="similarity")
        agree(actual, X, h, order, w, metric, comparator, device_tolerance)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_steps_are_alignments(metric, comparator):
    X, h, order = cases.embedding(9, 24), cases.target(9, 2), order_of(24)
    curve = sc.insertion_curve(X, h, order, metric, comparator, kind="similarity")
    for m in (3, 4, 9, 17, 24):
        cases.close(sc.alignment(X, h, metric, comparator, subset=order[:m], kind="similarity"), curve[:, m - 1], 1e-11)
    short = sc.insertion_curve(X, h, order[:5], metric, comparator, kind="similarity")
    assert short.shape == (2, 5)
    cases.close(short, curve[:, :5], 1e-11)


@pytest.mark.parametrize("targets", [None, 1, 3])
def test_orders_as_lists_and_integers_of_any_size(targets):
    X, h = cases.embedding(9, 11), cases.target(9, targets)
    order = order_of(11)
    expected = sc.insertion_curve(X, h, order, kind="similarity")
    for same in (order.tolist(), order.astype(np.int32), order.astype(np.uint8), order[::-1][::-1]):
        np.testing.assert_array_equal(sc.insertion_curve(X, h, same, kind="similarity"), expected)
    if targets:
        repeated = np.stack([order] * targets)
        cases.close(sc.insertion_curve(X, h, repeated, kind="similarity"), expected, 1e-13)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_one_feature_has_no_correlation(comparator):
    X, h, order = cases.embedding(9, 11), cases.target(9, 2), order_of(11)
    curve = sc.insertion_curve(X, h, order, "correlation", comparator, kind="similarity")
    np.testing.assert_array_equal(np.isnan(curve), np.broadcast_to(np.arange(11) == 0, (2, 11)))


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_undefined_until_every_stimulus_has_a_direction(metric, comparator):
    X, h = cases.embedding(8, 24), cases.target(8, 3)
    X[3] = 0 if metric == "cosine" else 0.1
    order = order_of(24)
    X[3, order[13]] = 1 / 3
    X[6, order[:5]] = X[3, order[0]]  # the seventh stimulus has a direction from the sixth step on
    i, j = np.triu_indices(8, 1)
    h[1, (i == 3) | (j == 3)] = np.nan
    curve = sc.insertion_curve(X, h, order, metric, comparator, kind="similarity")
    np.testing.assert_array_equal(np.isnan(curve[0]), np.arange(24) < 13)
    np.testing.assert_array_equal(np.isnan(curve[1]), np.arange(24) < 5)
    agree(curve, X, h, order, None, metric, comparator)


@pytest.mark.parametrize("place", [0, 12, 24])
@pytest.mark.parametrize("where", ["column", "positive column", "one entry"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_a_dominating_feature(metric, where, place):
    h, order = cases.target(9, 2), order_of(25)
    k = order[place]
    for size in (1e6, 1e8):
        X = cases.embedding(9, 25)
        if where == "one entry":
            X[4, k] = size / 3
        else:
            X[:, k] = (np.abs(X[:, k]) if where == "positive column" else X[:, k]) * size / 3
        for comparator in reference.COMPARATORS:
            actual = sc.insertion_curve(X, h, order, metric, comparator, kind="similarity")
            agree(actual, X, h, order, None, metric, comparator)


@pytest.mark.parametrize("offset", [1e1, 1e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean", "euclidean", "cityblock"])
def test_large_means(metric, offset):
    X, h, order = cases.embedding(9, 25) + offset, cases.target(9, 2), order_of(25)
    for comparator in reference.COMPARATORS:
        actual = sc.insertion_curve(X, h, order, metric, comparator, kind="similarity")
        agree(actual, X, h, order, None, metric, comparator)


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_large_means_of_many_features(metric):
    """A mean that is kept while features come in must not gather error."""
    X, h, order = cases.embedding(9, 300) + 1e6, cases.target(9), order_of(300)
    agree(sc.insertion_curve(X, h, order, metric, kind="similarity"), X, h, order, None, metric, "pearson")


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="long double is double here")
@pytest.mark.parametrize("offset", [1e1, 1e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_large_means_where_the_definition_rounds(metric, offset):
    """As in test_leave_one_out: at most 20 times the error of the double definition, by long double."""
    X, h, order = 10 * cases.embedding(9, 25) + offset, cases.target(9, 2), order_of(25)
    for comparator in ("pearson", "cosine"):
        exact = reference.insertion_curve(X, h, order, metric, comparator, dtype=np.longdouble)[:, 1:]
        double = reference.insertion_curve(X, h, order, metric, comparator)[:, 1:]
        allowed = 20 * np.abs(double - exact).max() + 1e-10
        cases.close(
            sc.insertion_curve(X, h, order, metric, comparator, kind="similarity")[:, 1:], exact, float(allowed)
        )


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("scale", [1e-45, 1e45])
def test_a_direction_has_no_scale(metric, scale):
    X, h, order = cases.embedding(9, 25), cases.target(9, 2), order_of(25)
    agree(sc.insertion_curve(X * scale, h, order, metric, kind="similarity"), X, h, order, None, metric, "pearson")


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_equal_features_and_stimuli(metric, comparator):
    X, h, order = cases.embedding(9, 25), cases.target(9, 2), order_of(25)
    X[:, [3, 9]] = X[:, [1]]
    X[6] = X[2]
    X[:, 17] = 0
    agree(sc.insertion_curve(X, h, order, metric, comparator, kind="similarity"), X, h, order, None, metric, comparator)


@pytest.mark.parametrize("targets", [None, 2, 13])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_every_stimulus_in_one_direction(metric, comparator, targets):
    """As in test_leave_one_out."""
    h, order = cases.target(7, targets), order_of(13)
    for row in (np.random.default_rng(5).normal(size=13), np.tile([0.1, 0.7], 7)[:13]):
        X = np.outer([1, 2, 3, 0.1, 313.67, 1 / 3, 1e-3], row)
        agree(
            sc.insertion_curve(X, h, order, metric, comparator, kind="similarity"),
            X,
            h,
            order,
            None,
            metric,
            comparator,
        )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_what_is_not_yet_inserted_is_not_read(metric, comparator):
    X, h = cases.embedding(9, 11), cases.target(9, 2)
    X[:, 10] *= 1e12
    X[3, 9] = -1e12
    curve = sc.insertion_curve(X, h, np.arange(11), metric, comparator, kind="similarity")[:, :9]
    agree(curve, X, h, np.arange(9), None, metric, comparator)
    curve = sc.insertion_curve(X, h, np.arange(9), metric, comparator, kind="similarity")
    agree(curve, X, h, np.arange(9), None, metric, comparator)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_a_feature_of_another_size(metric, comparator):
    """Similarities that are nearly all alike, or of two kinds, at the start of the curve."""
    h, order = cases.target(9, 2), np.arange(11)
    for large in ([0], [10], [4, 5]):
        X = np.abs(cases.embedding(9, 11))
        X[:, large] *= 300
        agree(
            sc.insertion_curve(X, h, order, metric, comparator, kind="similarity"),
            X,
            h,
            order,
            None,
            metric,
            comparator,
        )
        X = cases.embedding(9, 11)
        X[4, large] *= 3000
        agree(
            sc.insertion_curve(X, h, order, metric, comparator, kind="similarity"),
            X,
            h,
            order,
            None,
            metric,
            comparator,
        )


@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_no_feature_in_common_is_a_tie_at_zero(comparator):
    rng = np.random.default_rng(2)
    X = np.zeros((17, 24))
    X[:, :2] = rng.uniform(0.1, 2, (17, 2)) * (np.arange(17)[:, None] % 2 == [0, 1])
    for row in X:
        row[2 + rng.permutation(22)[:2]] = rng.uniform(0.1, 2, 2)
    h = cases.target(17, 2, ties=True)
    order = np.arange(24)[::-1]
    actual = sc.insertion_curve(X, h, order, "dot", comparator, kind="similarity")
    cases.close(actual, reference.insertion_curve(X, h, order, "dot", comparator))


@pytest.mark.parametrize("metric", ["dot", "sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_tied_similarities(metric, comparator):
    for n, d in ((5, 3), (9, 7), (17, 24)):
        X, h = cases.embedding(n, d, "integers"), cases.target(n, 3, "different", ties=True)
        order = order_of(d, 3)
        actual = sc.insertion_curve(X, h, order, metric, comparator, kind="similarity")
        cases.close(actual, reference.insertion_curve(X, h, order, metric, comparator))


@given(cases.problems())
def test_any_small_problem(p):
    actual = sc.insertion_curve(p.X, p.target, p.subset, p.metric, p.comparator, weights=p.weights, kind="similarity")
    agree(actual, p.X, p.target, p.subset, p.weights, p.metric, p.comparator, unit=p.unit)


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_real_judgments(comparator, data_folder):
    """Photographs as coarse grey images against people's judgments of their similarity."""
    with np.load(data_folder / "kriegeskorte92.npz") as data:
        images, judgments = data["images"][:40].astype(float), data["behaviour"][:2, :40, :40].astype(float)
    X = images.mean(axis=3).reshape(40, 7, 25, 7, 25).mean(axis=(2, 4)).reshape(40, 49)
    h = -judgments[(slice(None), *np.triu_indices(40, 1))]
    order = order_of(49, 2)
    for metric in ("cosine", "correlation"):
        actual = sc.insertion_curve(X, judgments, order, metric, comparator, kind="dissimilarity")
        agree(actual, X, h, order, None, metric, comparator)


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("missing", ["none", "same"])
def test_blocks_of_rows_and_partners(metric, missing):
    """Stimuli around a block of partners (8) and of rows (192), steps around a tile (4) and a chunk (128)."""
    for n, d in ((3, 5), (8, 9), (9, 131), (17, 6), (191, 3), (194, 5)):
        X, h = cases.embedding(n, d), cases.target(n, None, missing)
        order = order_of(d)
        expected = reference.insertion_curve(X, h, order, metric)
        for threads in (1, 3):
            cases.close(sc.insertion_curve(X, h, order, metric, kind="similarity", threads=threads), expected)


@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean"])
def test_an_embedding_that_is_too_large_to_be_packed(metric):
    """The few features of an order, among so many that X is not packed, come to the same bits as alone."""
    n, order = 4, np.array([7, 1_100_000, 3, 500_000, 8])
    X, h = np.ones((n, 1_100_001)), cases.target(n)
    X[:, order] = cases.embedding(n, len(order))
    alone = np.ascontiguousarray(X[:, order])
    np.testing.assert_array_equal(
        sc.insertion_curve(X, h, order, metric, kind="similarity"),
        sc.insertion_curve(alone, h, np.arange(len(order)), metric, kind="similarity"),
    )
