"""similarity(): every metric against the slow definition, scipy, and the rows that have no direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

import cases
import reference
import secateur as sc

FROM_PDIST = {
    "cosine": lambda X: 1 - pdist(X, "cosine"),
    "correlation": lambda X: 1 - pdist(X, "correlation"),
    "dot": lambda X: (X @ X.T)[np.triu_indices(len(X), 1)],
    "sqeuclidean": lambda X: -pdist(X, "sqeuclidean"),
    "euclidean": lambda X: -pdist(X, "euclidean"),
    "cityblock": lambda X: -pdist(X, "cityblock"),
}


@pytest.mark.parametrize("metric", reference.METRICS)
def test_reference_is_scipys(metric):
    X = cases.embedding(9, 24)
    np.testing.assert_allclose(reference.similarity(X, metric), FROM_PDIST[metric](X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["normal", "sparse", "integers"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_all_sizes(metric, kind):
    for n in cases.STIMULI:
        for d in cases.FEATURES:
            X = cases.embedding(n, d, kind)
            cases.close(sc.similarity(X, metric), reference.similarity(X, metric))


@pytest.mark.parametrize("form", ["mask", "indices"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_subset(metric, form):
    X = cases.embedding(9, 33)
    chosen = cases.subset(33, form)
    cases.close(sc.similarity(X, metric, subset=chosen), reference.similarity(X, metric, chosen))
    cases.close(
        sc.similarity(X, metric, subset=chosen),
        sc.similarity(X[:, reference.columns(chosen, 33)], metric),
        1e-13,
    )


def test_subset_as_a_list_and_in_any_order():
    X = cases.embedding(7, 9)
    expected = sc.similarity(X, subset=np.array([1, 4, 8]))
    off = 2 * (3 + 4) * np.finfo(float).eps  # each a cosine over 3 features: products, two norms, a quotient
    for chosen in ([8, 1, 4], (4, 8, 1), np.array([8, 4, 1], np.int32), np.array([1, 8, 4], np.uint16)):
        np.testing.assert_allclose(sc.similarity(X, subset=chosen), expected, rtol=0, atol=off)


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean", "euclidean", "cityblock"])
def test_large_means(metric, offset):
    X = cases.embedding(17, 65) + offset
    cases.close(sc.similarity(X, metric), reference.similarity(X, metric))


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("scale", [1e-45, 1e-9, 1e9, 1e45])
def test_a_direction_has_no_scale(metric, scale):
    X = cases.embedding(9, 24)
    cases.close(sc.similarity(X * scale, metric), reference.similarity(X, metric))
    rows = X * scale ** np.linspace(-1, 1, 9)[:, None]
    cases.close(sc.similarity(rows, metric), reference.similarity(X, metric))


def test_a_stimulus_without_features_has_no_cosine():
    X = cases.embedding(8, 9)
    X[3] = 0
    s = sc.similarity(X, "cosine")
    i, j = np.triu_indices(8, 1)
    np.testing.assert_array_equal(np.isnan(s), (i == 3) | (j == 3))
    for metric in reference.METRICS:
        cases.close(sc.similarity(X, metric), reference.similarity(X, metric))
    X[3, 2] = -0.0
    assert np.isnan(sc.similarity(X, "cosine")).sum() == 7
    X[3, 2] = 7.0
    assert np.isnan(sc.similarity(X, "cosine", subset=[0, 1, 3, 4])).sum() == 7
    assert not np.isnan(sc.similarity(X, "cosine", subset=[0, 1, 2])).any()


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 0.1, 1e-3 / 3, 1e6 + 0.1])
@pytest.mark.parametrize("d", [2, 3, 7, 10, 24, 33])
def test_a_constant_stimulus_has_no_correlation(value, d):
    X = cases.embedding(8, d)
    X[3] = value
    s = sc.similarity(X, "correlation")
    i, j = np.triu_indices(8, 1)
    np.testing.assert_array_equal(np.isnan(s), (i == 3) | (j == 3))


def test_one_feature():
    X = cases.embedding(5, 4)
    assert np.isnan(sc.similarity(X, "correlation", subset=[2])).all()
    assert np.isnan(sc.similarity(X[:, :1], "correlation")).all()
    cases.close(
        sc.similarity(X, "cosine", subset=[2]),
        np.sign(np.outer(X[:, 2], X[:, 2])[np.triu_indices(5, 1)]),
        5 * np.finfo(float).eps,  # a product, two norms, a quotient
    )
    # Distances are of centred features: three roundings, of what is no larger than twice the largest value, squared.
    off = 3 * np.finfo(float).eps * (2 * np.abs(X[:, 2]).max()) ** 2
    for metric in ("dot", "sqeuclidean"):
        cases.close(sc.similarity(X, metric, subset=[2]), reference.similarity(X, metric, [2]), off)
    once = 3 * np.finfo(float).eps * 2 * np.abs(X[:, 2]).max()  # the same roundings, not squared
    cases.close(sc.similarity(X, "cityblock", subset=[2]), reference.similarity(X, "cityblock", [2]), once)
    squares = reference.similarity(X, "sqeuclidean", [2])
    cases.close(-(sc.similarity(X, "euclidean", subset=[2]) ** 2), squares, 2 * off)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_alike_to_itself(metric):
    X = cases.embedding(6, 24)
    X[4] = X[1]
    s = reference.square(sc.similarity(X, metric), 6)
    most = {"cosine": 1.0, "correlation": 1.0, "dot": (X[1] ** 2).sum()}.get(metric, 0.0)  # a distance's
    assert s[1, 4] == pytest.approx(most, abs=1e-12)
    np.testing.assert_allclose(s[1, [0, 2, 3, 5]], s[4, [0, 2, 3, 5]], rtol=0, atol=1e-13)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_any_layout_and_number_type(metric):
    X = cases.embedding(7, 9, "integers")
    expected = sc.similarity(X, metric)
    wide = np.zeros((14, 27))
    wide[::2, ::3] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    layouts = [np.asfortranarray(X), wide[::2, ::3], X[::-1][::-1], frozen, X.astype(">f8"), X.tolist()]
    numbers = [X.astype(t) for t in (np.float32, np.int8, np.int64)]
    for same in layouts + numbers:
        np.testing.assert_array_equal(sc.similarity(same, metric), expected)


def test_input_is_left_alone():
    X = cases.embedding(7, 9)
    before = X.copy()
    for metric in reference.METRICS:
        sc.similarity(X, metric)
    np.testing.assert_array_equal(X, before)


@given(
    metric=st.sampled_from(reference.METRICS),
    rows=st.integers(3, 8).flatmap(
        lambda n: st.integers(1, 12).flatmap(
            lambda d: st.lists(st.lists(st.integers(-8, 8), min_size=d, max_size=d), min_size=n, max_size=n)
        )
    ),
    scale=st.sampled_from([1.0, 0.25, 1 / 3, 0.1, 1e-5, 1e5]),
)
def test_any_small_embedding(metric, rows, scale):
    X = np.array(rows) * scale
    expected = reference.similarity(X, metric)
    cases.close(sc.similarity(X, metric), expected, 1e-10 * max(1.0, scale**2))
