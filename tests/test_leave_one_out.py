"""leave_one_out(): every call against the slow definition, and the removals that are hard to get right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given

import cases
import reference
import secateur as sc
from secateur import _core

EVERY = list(itertools.product(reference.METRICS, reference.COMPARATORS))


@pytest.mark.parametrize("missing", cases.MISSING)
@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_every_call(metric, comparator, missing):
    n, d = 8, 11
    for kind, (targets, subset, weights) in zip(itertools.cycle(("normal", "sparse", "normal")), cases.CALLS):
        X = cases.embedding(n, d, kind)
        h = cases.target(n, targets, missing)
        chosen, w = cases.subset(d, subset), cases.weights(h.shape, weights, comparator)
        actual = sc.leave_one_out(X, h, metric, comparator, subset=chosen, weights=w, kind="similarity")
        cases.close(actual, reference.leave_one_out(X, h, metric, comparator, chosen, weights=w))


@pytest.mark.parametrize("metric", reference.METRICS)
def test_all_sizes(metric):
    for n, d in itertools.product(cases.STIMULI, cases.FEATURES):
        X, h = cases.embedding(n, d), cases.target(n)
        cases.close(sc.leave_one_out(X, h, metric, kind="similarity"), reference.leave_one_out(X, h, metric))


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean"])
def test_sizes_of_every_comparator(metric, comparator):
    for n, d in ((3, 24), (4, 7), (5, 65), (9, 24), (16, 25), (17, 33), (33, 9)):
        X, h = cases.embedding(n, d), cases.target(n, ties=n > 5)
        cases.close(
            sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
            reference.leave_one_out(X, h, metric, comparator),
        )


@pytest.mark.parametrize("missing", ["none", "different"])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_more_targets_than_a_block(comparator, missing):
    X, h = cases.embedding(9, 8), cases.target(9, 40, missing)
    for metric in ("cosine", "correlation"):
        cases.close(
            sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
            reference.leave_one_out(X, h, metric, comparator),
        )


@pytest.mark.parametrize("comparator", ["pearson", "cosine"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_device(metric, comparator, device, device_tolerance):
    for missing, (targets, subset, weights) in itertools.product(("none", "different"), cases.CALLS):
        X, h = cases.embedding(17, 33), cases.target(17, targets, missing)
        chosen, w = cases.subset(33, subset), cases.weights(h.shape, weights, comparator)
        actual = sc.leave_one_out(X, h, metric, comparator, subset=chosen, weights=w, device=device, kind="similarity")
        cases.close(actual, reference.leave_one_out(X, h, metric, comparator, chosen, weights=w), device_tolerance)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_a_feature_outside_the_subset_changes_nothing(metric, comparator):
    X, h = cases.embedding(9, 24), cases.target(9, 2)
    inside = np.array([3, 5, 6, 11, 20])
    values = sc.leave_one_out(X, h, metric, comparator, subset=inside, kind="similarity")
    outside = np.setdiff1d(np.arange(24), inside)
    baseline = sc.alignment(X, h, metric, comparator, subset=inside, kind="similarity")
    cases.close(values[:, outside], np.repeat(baseline[:, None], len(outside), 1), 1e-12)
    X[:, outside] = -1e12  # not read
    X[3, outside] = 1e12
    cases.close(sc.leave_one_out(X, h, metric, comparator, subset=inside, kind="similarity"), values, 1e-12)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_the_last_feature(metric, comparator):
    """Without its only feature a subset says nothing: no cosine, no correlation, every other similarity 0."""
    X, h = cases.embedding(7, 5), cases.target(7)
    actual = sc.leave_one_out(X, h, metric, comparator, subset=[2], kind="similarity")
    cases.agree(actual, cases.without_each(X, metric, [2]), h, None, comparator)
    one = sc.leave_one_out(X[:, :1], h, metric, comparator, kind="similarity")
    cases.close(one, reference.leave_one_out(X[:, :1], h, metric, comparator))


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("value", [1.0, 1 / 3, 0.1, 7.3e5, 1e-9 / 7])
def test_the_only_feature_of_a_stimulus(comparator, value):
    X, h = cases.embedding(8, 11, "sparse"), cases.target(8, 3)
    X[:, :4] += 0.5  # so that the others keep something
    X[3] = 0
    X[3, 5] = value
    values = sc.leave_one_out(X, h, "cosine", comparator, kind="similarity")
    np.testing.assert_array_equal(np.isnan(values), np.broadcast_to(np.arange(11) == 5, (3, 11)))
    cases.agree(values, cases.without_each(X, "cosine"), h, None, comparator)
    i, j = np.triu_indices(8, 1)
    h[1, (i == 3) | (j == 3)] = np.nan  # the second target does not ask for it
    values = sc.leave_one_out(X, h, "cosine", comparator, kind="similarity")
    np.testing.assert_array_equal(np.isnan(values[:, 5]), [True, False, True])
    cases.agree(values, cases.without_each(X, "cosine"), h, None, comparator)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("value", [0.0, 1.0, 1 / 3, 0.1, 1e6 + 0.1])
def test_the_only_different_feature_of_a_stimulus(comparator, value):
    for d in (3, 4, 11, 26):
        X, h = cases.embedding(8, d), cases.target(8, 2)
        X[3] = value
        X[3, 2] = 5.5
        values = sc.leave_one_out(X, h, "correlation", comparator, kind="similarity")
        np.testing.assert_array_equal(np.isnan(values), np.broadcast_to(np.arange(d) == 2, (2, d)))
        cases.agree(values, cases.without_each(X, "correlation"), h, None, comparator)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_two_features_leave_no_correlation(comparator):
    X, h = cases.embedding(7, 2), cases.target(7, 3)
    assert np.isnan(sc.leave_one_out(X, h, "correlation", comparator, kind="similarity")).all()


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_an_empty_stimulus(metric, comparator):
    X, h = cases.embedding(8, 11), cases.target(8, 3)
    X[3] = 0
    i, j = np.triu_indices(8, 1)
    h[1, (i == 3) | (j == 3)] = np.nan
    cases.agree(
        sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
        cases.without_each(X, metric),
        h,
        None,
        comparator,
    )


@pytest.mark.parametrize("size", [1e6, 1e7, 1e8])
@pytest.mark.parametrize("where", ["column", "positive column", "one entry"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_a_dominating_feature(metric, where, size):
    """Taking 1e16 out of a sum leaves no digit of the rest: what is left must come from the rest itself."""
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    if where == "one entry":
        X[4, 7] = size / 3
    else:
        X[:, 7] = (np.abs(X[:, 7]) if where == "positive column" else X[:, 7]) * size / 3
    expected = reference.leave_one_out(X, h, metric)[:, 7]
    cases.close(sc.leave_one_out(X, h, metric, kind="similarity")[:, 7], expected)
    for comparator in reference.COMPARATORS:
        cases.agree(
            sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
            cases.without_each(X, metric),
            h,
            None,
            comparator,
        )
    outside = np.delete(np.arange(25), 7)
    cases.close(sc.leave_one_out(X, h, metric, subset=outside, kind="similarity")[:, 7], expected)


@pytest.mark.parametrize("missing", ["none", "different"])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_a_dominating_feature_among_features_of_all_sizes(metric, comparator, missing):
    """What is left of the pairs in use is what counts, not what is left of all pairs."""
    for size, targets, seed in itertools.product((1e2, 1e4, 1e6), (None, 2), range(6)):
        X, h = cases.embedding(7, 6, seed=seed), cases.target(7, targets, missing, seed=seed)
        X *= 10 ** np.random.default_rng(seed).uniform(-2, 2, 6)
        X[:, 2] *= size
        if missing == "different":
            h[..., np.random.default_rng(seed).permutation(21)[:8]] = np.nan
        actual = sc.leave_one_out(X, h, metric, comparator, kind="similarity")
        cases.agree(actual, cases.without_each(X, metric), h, None, comparator)


@pytest.mark.parametrize("missing", [False, True])
def test_two_stimuli_alike_but_for_a_dominating_feature(missing):
    X = np.array([[-0.6, 1.6e6], [-0.6, -4e5], [-2.3, 4e5], [-0.5, 1e5]])
    h = np.array([0.0, np.nan, 0.5, np.nan, -1.1, np.nan]) if missing else cases.target(4)
    for metric, comparator in EVERY:
        actual = sc.leave_one_out(X, h, metric, comparator, kind="similarity")
        cases.agree(actual, cases.without_each(X, metric), h, None, comparator)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_a_ladder_of_magnitudes(metric):
    """Each feature dominates all that follow."""
    X, h = cases.embedding(9, 25), cases.target(9)
    X *= 10.0 ** np.linspace(4, -4, 25)
    for comparator in reference.COMPARATORS:
        cases.agree(
            sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
            cases.without_each(X, metric),
            h,
            None,
            comparator,
        )


@pytest.mark.parametrize("offset", [1e1, 1e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean", "euclidean", "cityblock"])
def test_large_means(metric, offset):
    X, h = cases.embedding(9, 25) + offset, cases.target(9, 2)
    for comparator in reference.COMPARATORS:
        actual = sc.leave_one_out(X, h, metric, comparator, kind="similarity")
        cases.close(actual, reference.leave_one_out(X, h, metric, comparator))


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="long double is double here")
@pytest.mark.parametrize("offset", [1e1, 1e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_large_means_where_the_definition_rounds(metric, offset):
    """Here all similarities are nearly equal and the double definition itself loses digits:
    both are compared with the definition in long double, and ours may be off by 20 times as much."""
    X, h = 10 * cases.embedding(9, 25) + offset, cases.target(9, 2)
    for comparator in ("pearson", "cosine"):
        exact = reference.leave_one_out(X, h, metric, comparator, dtype=np.longdouble)
        allowed = 20 * np.abs(reference.leave_one_out(X, h, metric, comparator) - exact).max() + 1e-10
        cases.close(sc.leave_one_out(X, h, metric, comparator, kind="similarity"), exact, float(allowed))


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("scale", [1e-45, 1e-9, 1e9, 1e45])
def test_a_direction_has_no_scale(metric, scale):
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    expected = reference.leave_one_out(X, h, metric)
    cases.close(sc.leave_one_out(X * scale, h, metric, kind="similarity"), expected)
    cases.close(sc.leave_one_out(X * scale ** np.linspace(-1, 1, 9)[:, None], h, metric, kind="similarity"), expected)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_equal_features_have_equal_values(metric, comparator):
    """To the last bit, wherever in a row of vectors they lie: else ties would not go by index."""
    for d, targets, seed in itertools.product((9, 24, 33, 65), (None, 2, 13), range(3)):
        X, h = cases.embedding(9, d, seed=seed), cases.target(9, targets, seed=seed)
        twins = [1, d // 2, d - 1]
        X[:, twins] = X[:, [1]]
        values = sc.leave_one_out(X, h, metric, comparator, kind="similarity")
        np.testing.assert_array_equal(values[..., twins], values[..., [1, 1, 1]])


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_equal_stimuli(metric, comparator):
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    X[6] = X[2]
    X[7] = 3 * X[1]
    X[:, 20] = X[:, 4]
    cases.agree(
        sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
        cases.without_each(X, metric),
        h,
        None,
        comparator,
    )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "dot", "sqeuclidean", "cityblock"])
def test_a_feature_of_zeros_changes_nothing(metric, comparator):
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    X[:, [0, 13, 24]] = 0
    values = sc.leave_one_out(X, h, metric, comparator, kind="similarity")
    baseline = reference.alignment(X, h, metric, comparator)
    cases.close(values[:, [0, 13, 24]], np.repeat(baseline[:, None], 3, 1))


@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_no_feature_in_common_is_a_tie_at_zero(metric, comparator):
    """After a ReLU many pairs share one feature only: without it they are exactly 0, and tied."""
    rng = np.random.default_rng(2)
    for n, d in ((9, 9), (17, 24)):
        X = np.zeros((n, d))
        for row in X:
            row[rng.permutation(d)[:3]] = rng.uniform(0.1, 2, 3)
        h = cases.target(n, 2, ties=True)
        cases.close(
            sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
            reference.leave_one_out(X, h, metric, comparator),
        )


@pytest.mark.parametrize("metric", ["dot", "sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_tied_similarities(metric, comparator):
    """Integers give these metrics without rounding, so that ties are ties for everyone."""
    for n, d in ((5, 3), (9, 7), (17, 24)):
        X, h = cases.embedding(n, d, "integers"), cases.target(n, 3, "different", ties=True)
        cases.close(
            sc.leave_one_out(X, h, metric, comparator, kind="similarity"),
            reference.leave_one_out(X, h, metric, comparator),
        )


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("value", [1.0, 0.1, 1 / 3])
def test_all_similarities_vanish_with_one_feature(comparator, value):
    X, h = np.eye(7, 12), cases.target(7)
    X[:, 9] = value * np.arange(1, 8)
    for metric in ("dot", "cosine"):
        if metric == "cosine":
            X[np.arange(7), np.arange(7)] = 1 / np.arange(1, 8)
        actual = sc.leave_one_out(X, h, metric, comparator, kind="similarity")
        cases.agree(actual, cases.without_each(X, metric), h, None, comparator)
        assert actual[9] == 0 if comparator in ("rho-a", "tau-a") else np.isnan(actual[9])


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock"])
def test_all_distances_vanish_with_one_feature(metric, comparator):
    rng = np.random.default_rng(3)
    X, h = np.repeat(rng.normal(size=(1, 12)), 7, axis=0), cases.target(7, 2)
    X[:, 9] = rng.normal(size=7)
    actual = sc.leave_one_out(X, h, metric, comparator, kind="similarity")
    cases.agree(actual, cases.without_each(X, metric), h, None, comparator)
    none = actual[:, 9]
    assert (none == 0).all() if comparator in ("rho-a", "tau-a") else np.isnan(none).all()


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_two_features_of_two_sizes(metric, comparator):
    X, h = cases.embedding(9, 2) * [1e-4, 30], cases.target(9, 2)
    X = np.concatenate([X, cases.embedding(9, 2, seed=1) * 1e6], axis=1)
    for subset in ([0, 1], [0, 3], [0, 1, 2], [1, 3], [0, 1, 2, 3]):
        actual = sc.leave_one_out(X, h, metric, comparator, subset=subset, kind="similarity")
        cases.agree(actual, cases.without_each(X, metric, subset), h, None, comparator)


@pytest.mark.parametrize("targets", [None, 2, 13])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_every_stimulus_in_one_direction(metric, comparator, targets):
    """Similarities of 1 but for rounding are constant, however long the stimuli are."""
    rows = [np.random.default_rng(5).normal(size=13), np.tile([0.1, 0.7], 7)[:13]]
    if metric == "cosine":
        rows.append(np.full(13, 0.1))
    h = cases.target(7, targets)
    for row in rows:
        X = np.outer([1, 2, 3, 0.1, 313.67, 1 / 3, 1e-3], row)
        for subset in (None, [0, 3, 6, 7, 9]):
            actual = sc.leave_one_out(X, h, metric, comparator, subset=subset, kind="similarity")
            cases.agree(actual, cases.without_each(X, metric, subset), h, None, comparator)


@given(cases.problems())
@example(cases.Problem(np.eye(3, 2), np.arange(3.0), None, "cosine", "spearman", np.array([0, 1])))
def test_any_small_problem(p):
    actual = sc.leave_one_out(
        p.X, p.target, p.metric, p.comparator, subset=p.subset, weights=p.weights, kind="similarity"
    )
    cases.agree(actual, cases.without_each(p.X, p.metric, p.subset), p.target, p.weights, p.comparator, unit=p.unit)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_real_judgments(comparator, data_folder):
    """Photographs as coarse grey images against people's judgments of their similarity."""
    with np.load(data_folder / "kriegeskorte92.npz") as data:
        images, judgments = data["images"][:40].astype(float), data["behaviour"][:3, :40, :40].astype(float)
    X = images.mean(axis=3).reshape(40, 7, 25, 7, 25).mean(axis=(2, 4)).reshape(40, 49)[:, ::3]
    h = judgments[(slice(None), *np.triu_indices(40, 1))]
    for metric in ("cosine", "correlation"):
        actual = sc.leave_one_out(X, judgments, metric, comparator, kind="dissimilarity")
        cases.agree(actual, cases.without_each(X, metric), -h, None, comparator)


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("missing", ["none", "same"])
def test_blocks_of_pairs_and_strips_of_features(metric, missing):
    """Stimuli around a block of partners (96) and of rows (256), features around a strip and a tile."""
    for n, d in ((95, 40), (97, 7), (98, 65), (193, 5), (258, 3)):
        X, h = cases.embedding(n, d), cases.target(n, None, missing)
        expected = reference.leave_one_out(X, h, metric)
        for threads in (1, 3):
            cases.close(sc.leave_one_out(X, h, metric, kind="similarity", threads=threads), expected)


@pytest.mark.parametrize("size", [1e-150, 1e-70, 1.0, 1e152])
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_norms_of_any_size(metric, size):
    """One stimulus in another unit: the compiled verbs take roots in another way where sums are very small or large."""
    X, h = cases.embedding(12, 9), cases.target(12)
    order, added = np.arange(9), np.arange(4)
    expected = reference.leave_one_out(X, h, metric)
    expected_added = reference.add_one(X, h, added, metric)
    curve = reference.insertion_curve(X, h, order, metric)
    X[4] *= size
    terms = (X, _core.Targets(h[None]), _core.Measures(metric, "pearson"))
    cases.close(_core.leave_one_out(*terms, order, 1)[0], expected)
    cases.close(_core.add_one(*terms, added, 1)[0], expected_added)
    cases.close(_core.insertion_curve(*terms, order[None], 1)[0], curve)
