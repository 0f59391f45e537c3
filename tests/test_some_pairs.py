"""Targets of some pairs alone: from lists, sparse matrices and choices; held against the same target written out."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import reference
import secateur as sc

N = 12
SQUARE = np.triu_indices(N, 1)


@pytest.fixture(scope="module")
def listed():
    """X, rows (i, j, value, weight) of a third of the pairs in a random order and direction, and the same packed."""
    rng = np.random.default_rng(0)
    X, values = rng.normal(size=(N, 9)), rng.normal(size=66)
    weights, there = rng.integers(1, 5, size=66).astype(float), rng.permutation(66)[:24]
    rows = np.column_stack([SQUARE[0][there], SQUARE[1][there], values[there], weights[there]])
    turned = rng.random(24) < 0.5
    rows[turned, :2] = rows[turned, 1::-1]
    packed = np.full(66, np.nan)
    packed[there] = values[there]
    return X, rows, packed, np.where(np.isnan(packed), 0, weights)


@pytest.mark.parametrize("kind", ["similarity", "dissimilarity"])
def test_a_list_of_pairs_is_the_target_written_out(listed, kind):
    X, rows, packed, weights = listed
    target = sc.targets.from_pairs(rows, N, kind=kind)
    for verb in (sc.alignment, sc.leave_one_out, lambda *a, **k: sc.insertion_curve(*a, np.arange(9), **k)):
        assert np.array_equal(verb(X, target), verb(X, packed, kind=kind, weights=weights))
    unweighted = sc.targets.from_pairs(rows[:, :3], N, kind=kind)
    assert sc.alignment(X, unweighted, "dot", "spearman") == sc.alignment(X, packed, "dot", "spearman", kind=kind)
    fitted, plain = sc.Pruner().fit(X, target), sc.Pruner(kind=kind).fit(X, packed, weights=weights)
    assert np.array_equal(fitted.order_, plain.order_)
    missing = np.vstack([rows, [0, 0, np.nan, 1]])  # no value, no pair
    missing[-1, :2] = np.argwhere(np.isnan(reference.square(packed, N)) & ~np.eye(N, dtype=bool))[0]
    assert np.array_equal(sc.targets.from_pairs(missing, N, kind=kind).weights, target.weights)


@pytest.mark.parametrize("side", ["both", "upper", "lower"])
def test_a_sparse_matrix_stores_the_pairs_that_there_are(listed, side):
    X, _, packed, _ = listed
    i, j = SQUARE
    there = ~np.isnan(packed)
    values = packed.copy()
    values[np.flatnonzero(there)[0]] = 0  # stored, and a pair
    upper = scipy.sparse.coo_array((values[there], (i[there], j[there])), shape=(N, N))
    matrix = {"both": (upper + upper.T), "upper": upper, "lower": upper.T}[side]
    if side == "both":  # a sum drops no stored zero, but says so itself
        matrix = scipy.sparse.coo_array(
            (np.r_[values[there], values[there]], (np.r_[i[there], j[there]], np.r_[j[there], i[there]])), shape=(N, N)
        )
    target = sc.targets.from_pairs(matrix.tocsr(), kind="similarity")
    assert target.n == N
    expected = sc.leave_one_out(X, values, kind="similarity")
    np.testing.assert_array_equal(sc.leave_one_out(X, target), expected)
    with pytest.raises(
        TypeError, match=r"^target must be dense, got a sparse csr_array: secateur\.targets\.from_pairs"
    ):
        sc.alignment(X, matrix.tocsr(), kind="similarity")


@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean", "sqeuclidean"])
@pytest.mark.parametrize("targets", [1, 3])
def test_few_weighted_pairs_go_one_by_one_to_the_same_numbers(metric, targets):
    """Three targets of a fifth of the pairs each, with weights of their own; and one."""
    rng = np.random.default_rng(1)
    X = np.maximum(rng.normal(size=(N, 21)), 0)
    X[:, 0] += 0.1
    values = rng.normal(size=(targets, 66))
    values[rng.random((targets, 66)) > 0.2] = np.nan
    weights = rng.uniform(0.5, 3, size=(targets, 66))
    found = sc.leave_one_out(X, values, metric, kind="similarity", weights=weights, threads=1)
    assert np.array_equal(found, sc.leave_one_out(X, values, metric, kind="similarity", weights=weights, threads=2))
    order = rng.permutation(21)
    curve = sc.insertion_curve(X, values, order, metric, kind="similarity", weights=weights, threads=1)
    again = sc.insertion_curve(X, values, order, metric, kind="similarity", weights=weights, threads=2)
    assert np.array_equal(curve, again, equal_nan=True)
    for t in range(targets):
        w = np.where(np.isnan(values[t]), 0, weights[t])
        for k in range(21):
            space = reference.similarity(X[:, order[: k + 1]], metric)
            expected = reference.compare(space, np.nan_to_num(values[t]), w, "pearson", metric)
            assert curve[t, k] == pytest.approx(expected, abs=1e-10, nan_ok=True)
        for k in range(21):
            space = reference.similarity(np.delete(X, k, axis=1), metric)
            expected = reference.compare(space, np.nan_to_num(values[t]), w, "pearson", metric)
            assert found[t, k] == pytest.approx(expected, abs=1e-10)


def test_folds_say_how_many_pairs_they_score(listed):
    X, rows, packed, weights = listed
    target = sc.targets.from_pairs(rows, N, kind="similarity")
    with pytest.warns(sc.SmallFoldsWarning, match=r"got \d in the smallest of 2 of 2 folds"):
        result = sc.cross_validate(X, target, cv=2, progress=False)
    for f in range(2):
        test = np.flatnonzero(result.test[f])
        inside = reference.among(weights, test, N)
        assert result.test_pairs[0, f] == np.count_nonzero(inside)
    with pytest.warns(sc.SmallFoldsWarning):
        assert "test_pairs" not in sc.cross_validate(X, np.nan_to_num(packed), cv=2, kind="similarity", progress=False)
    few = sc.targets.from_pairs(rows[:4], N, kind="similarity")
    words = (
        r"^cv must leave at least 3 pairs of the target among the test stimuli, got \d in fold \d, as most are missing"
    )
    for call in (sc.cross_validate, lambda X, h, cv: sc.permutation_test(X, h, 2, cv=cv)):
        with pytest.raises(ValueError, match=words):
            call(X, few, cv=4)


def test_controls_go_with_a_target_that_was_read():
    rng = np.random.default_rng(2)
    X, values, control = rng.normal(size=(N, 5)), rng.normal(size=66), rng.normal(size=66)
    control[3] = np.nan
    rows = np.column_stack([*SQUARE, values])
    target = sc.targets.from_pairs(rows, N, kind="similarity")
    plain = sc.alignment(X, values, kind="similarity", control=control)
    assert sc.alignment(X, target, control=control) == pytest.approx(plain, abs=1e-12)
    with pytest.raises(ValueError, match="weights must be None for a target that was read before"):
        sc.alignment(X, target, weights=np.ones(66))


@pytest.mark.parametrize(
    ("pairs", "error", "words"),
    [
        ([(0, 1)], ValueError, r"^pairs must have shape \(pairs, 3\) or \(pairs, 4\), got \(1, 2\)$"),
        ([(0, 1, 0.5), (1, 0, 0.5)], ValueError, "^pairs must hold each pair once, got 0, 1 in rows 0 and 1$"),
        ([(0, 0, 0.5)], ValueError, "^pairs must have different stimuli in a pair, got 0, 0 in row 0$"),
        ([(0, 4, 0.5)], ValueError, "^pairs must hold stimuli from 0 to 3, got 4 in row 0$"),
        ([(0, 1.5, 0.5)], TypeError, "^pairs must hold whole numbers of stimuli, got 1.5 in row 0$"),
        ([(0, 1, np.inf)], ValueError, "^pairs must not have infinite values, got one in row 0$"),
        ([(0, 1, 0.5, 0)], ValueError, "^pairs must have finite weights above 0, got 0 in row 0$"),
        ([("a", "b", "c")], TypeError, "^pairs must hold real numbers"),
        (
            scipy.sparse.csr_array(np.eye(2)),
            ValueError,
            "^pairs must be square where they are sparse, of 4 stimuli, got shape",
        ),
    ],
)
def test_bad_pairs_are_refused(pairs, error, words):
    with pytest.raises(error, match=words):
        sc.targets.from_pairs(pairs, 4, kind="similarity")


def test_other_refusals():
    with pytest.raises(ValueError, match="kind must be 'similarity' or 'dissimilarity', got 'rdm'"):
        sc.targets.from_pairs([(0, 1, 0.5)], 3, kind="rdm")
    with pytest.raises(ValueError, match="n must be an integer of at least 3, got None"):
        sc.targets.from_pairs([(0, 1, 0.5)], kind="similarity")
    lopsided = scipy.sparse.coo_array(([0.5, 0.6], ([0, 1], [1, 0])), shape=(3, 3))
    with pytest.raises(ValueError, match=r"pairs must be symmetric .*, got 0.5 at \(0, 1\) and 0.6 at \(1, 0\)"):
        sc.targets.from_pairs(lopsided, kind="similarity")
