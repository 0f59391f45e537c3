"""Similarities that tie on paper are ties to rank comparators, however their sums were rounded."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import cases
import reference
import secateur as sc
from secateur import _core

N, D = 13, 18
EVERY = [(m, c) for m in reference.METRICS for c in reference.RANK_COMPARATORS]
UNIT = 0.1  # of the features: in doubles their products and differences round


def sparse():
    """Small integers, most of them zero; every stimulus has the first feature, many only that one and one more."""
    rng = np.random.default_rng(3)
    X = np.where(rng.random((N, D)) < 0.7, 0, rng.integers(1, 4, (N, D)))
    X[:, 0] = rng.integers(1, 4, N)
    X[3] = 2 * X[5]
    return X


def on_paper(X, metric):
    """Similarities (P,) of integer features as fractions, or others in the same order; None where undefined."""
    rows = [[Fraction(int(x)) for x in row] for row in X]
    if metric == "correlation":
        rows = [[x - sum(row) / len(row) for x in row] for row in rows]
    found = []
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            if metric not in ("cosine", "correlation", "dot"):
                found.append(-sum(abs(a - b) ** reference.POWERS[metric] for a, b in zip(rows[i], rows[j])))
                continue
            product = sum(a * b for a, b in zip(rows[i], rows[j]))
            if metric != "dot":
                norms = sum(a * a for a in rows[i]) * sum(b * b for b in rows[j])
                product = product * abs(product) / norms if norms else None
            found.append(product)
    return found


def exactly(X, h, metric, comparator):
    """The alignment by exact ranks of the similarities: integers from 0, which have no rounding to be tied by."""
    found = on_paper(X, metric)
    if None in found:
        return np.nan
    place = {value: at for at, value in enumerate(sorted(set(found)))}
    return reference.compare(np.array([float(place[value]) for value in found]), h, None, comparator)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_every_step_is_that_of_exact_arithmetic(metric, comparator):
    X, h = sparse(), cases.target(N, ties=True)
    order = np.array([0, *np.random.default_rng(1).permutation(np.arange(1, D))])
    steps = [order[: m + 1] for m in range(D)]
    expected = np.array([exactly(X[:, step], h, metric, comparator) for step in steps])
    assert (~np.isnan(expected)).sum() > D // 2
    curve = sc.insertion_curve(UNIT * X, h, order, metric, comparator, kind="similarity")
    cases.close(curve, expected)
    # from scratch, in another order of summation
    again = [reference.alignment(UNIT * X[:, step[::-1]], h, metric, comparator) for step in steps]
    cases.close(curve, again)
    terms = (UNIT * X, h, metric, comparator)
    cases.close([sc.alignment(*terms, subset=step, kind="similarity") for step in steps], expected)


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_one_feature_more_or_less_is_that_of_exact_arithmetic(metric, comparator):
    X, h = sparse(), cases.target(N, 2, "different", ties=True)
    chosen = np.arange(D // 2)
    for t in range(2):
        without = [exactly(X[:, np.delete(chosen, k)], h[t], metric, comparator) for k in chosen]
        removed = sc.leave_one_out(UNIT * X, h, metric, comparator, subset=chosen, kind="similarity")
        cases.close(removed[t, chosen], without)
        with_each = [exactly(X[:, [*chosen, k]], h[t], metric, comparator) for k in range(D // 2, D)]
        cases.close(sc.add_one(UNIT * X, h, chosen, metric, comparator, kind="similarity")[t, D // 2 :], with_each)


def given(s, h, comparator, metric=None):
    s, h = np.asarray(s, float), np.asarray(h, float)
    found = _core.compare(s[None], 0, _core.Targets(h[None]), comparator, 1, metric)[0, 0]
    assert found == pytest.approx(reference.compare(s, h, None, comparator, metric), abs=1e-14, nan_ok=True)
    return float(found)


@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_what_is_tied_and_by_which_scale(comparator):
    h = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0]

    def same(s, ties, metric=None):
        return given(s, h, comparator, metric) == given(ties, h, comparator)

    far, near = [0, 1, 2, 3, 4, 5], [0, 0, 2, 3, 4, 5]
    for size in (1e-150, 1.0, 1e150):  # of the largest there is, where nothing is known of the values
        s = np.array([0, 3e-12, 2, 3, 4, 5]) * size
        assert same(s, near)
        assert same(-s[::-1], np.negative(near)[::-1])
        s[1] = 7e-12 * size
        assert same(s, far)
    small = np.array([0, 0.5, 2, 2.9, 3.8, 4.7]) * 1e-12
    assert same(small, far)
    assert same(small, far, "dot")
    for metric in ("cosine", "correlation"):  # neighbour by neighbour: a chain is one tie, however long
        assert same(small, [0, 0, 1, 1, 1, 1], metric)
    distances = -np.array([0, 2e-6, 2, 3, 4, 5])
    assert same(distances, -np.array(far), "sqeuclidean")
    assert same(distances, -np.array(near), "euclidean")  # 4e-12 of 25, squared


@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_a_targets_values_tie_where_they_are_equal(comparator):
    s = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0]
    apart, equal = ([0, step, 2, 3, 4, 5] for step in (1e-15, 0))
    assert given(s, apart, comparator) == given(s, range(6), comparator)
    assert given(s, equal, comparator) != given(s, range(6), comparator)


@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_one_tie_is_a_constant(comparator):
    h = np.arange(6.0)
    for s in (1 + 1e-13 * np.arange(6), np.zeros(6), -1e6 + 1e-7 * np.arange(6)):
        value = given(s, h, comparator)
        assert value == 0 if comparator in ("rho-a", "tau-a") else np.isnan(value)
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]  # cosines that are zero but for rounding
    value = sc.alignment(directions, cases.target(8), "cosine", comparator, kind="similarity")
    assert value == 0 if comparator in ("rho-a", "tau-a") else np.isnan(value)


@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_no_ties_is_scipys(comparator):
    rng = np.random.default_rng(5)
    s, h = rng.normal(size=(2, 300))
    expected = {"spearman": stats.spearmanr, "rho-a": stats.spearmanr}.get(comparator, stats.kendalltau)(s, h)[0]
    for metric in (None, *reference.METRICS):
        assert given(s, h, comparator, metric) == pytest.approx(expected, abs=1e-14)
