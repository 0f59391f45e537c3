"""The whitened comparators, against their definition by the covariance of pairs and against rsatoolbox."""

from __future__ import annotations

import numpy as np
import pytest

import reference
import secateur as sc

COMPARATORS = reference.WHITENED


def data(n: int = 9, d: int = 14) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, d)), rng.normal(size=(2, n * (n - 1) // 2))


@pytest.mark.parametrize("comparator", COMPARATORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_every_verb_equals_the_definition(metric: str, comparator: str) -> None:
    X, h = data()
    d = X.shape[1]

    def of(subset: list[int]) -> list[float]:
        return [reference.whitened(reference.similarity(X, metric, np.array(subset)), row, comparator) for row in h]

    everything = list(range(d))
    np.testing.assert_allclose(sc.alignment(X, h, metric, comparator, kind="similarity"), of(everything), atol=1e-10)
    left = np.array([of([c for c in everything if c != k]) for k in range(d)]).T
    np.testing.assert_allclose(sc.leave_one_out(X, h, metric, comparator, kind="similarity"), left, atol=1e-10)
    base = [0, 3, 5, 7]
    added = np.array([of(sorted({*base, k})) for k in range(d)]).T
    np.testing.assert_allclose(sc.add_one(X, h, base, metric, comparator, kind="similarity"), added, atol=1e-10)
    order = np.random.default_rng(1).permutation(d)
    curve = np.array([of(list(order[: s + 1])) for s in range(2, d)]).T
    np.testing.assert_allclose(
        sc.insertion_curve(X, h, order, metric, comparator, kind="similarity")[:, 2:], curve, atol=1e-10
    )


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_equal_to_rsatoolbox(comparator: str) -> None:
    rdm = pytest.importorskip("rsatoolbox.rdm")
    X, h = data(12)
    rdms = rdm.RDMs(np.exp(h[:, : 12 * 11 // 2]))
    theirs = rdm.compare(rdm.RDMs(-sc.similarity(X, "sqeuclidean")[None]), rdms, method=comparator)[0]
    np.testing.assert_allclose(sc.alignment(X, rdms, "sqeuclidean", comparator), theirs, atol=1e-10)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_a_missing_pair_is_refused(comparator: str) -> None:
    X, h = data()
    h[1, 4] = np.nan
    with pytest.raises(ValueError, match=r"weights must be 1, and no pair missing, .* got 0\.0+ at pair 4"):
        sc.leave_one_out(X, h, "cosine", comparator, kind="similarity")


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_constant_similarities_have_no_alignment(comparator: str) -> None:
    X, h = np.eye(5, 7) * 2, data(5)[1]
    assert np.isnan(sc.alignment(X, h, "dot", comparator, kind="similarity")).all()
    assert np.isnan(sc.alignment(data(5)[0], np.ones(10), "dot", comparator, kind="similarity")) == (
        comparator == "corr_cov"
    )


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_pruning_and_threads(comparator: str) -> None:
    X, _ = data(15, 30)
    target = X[:, :6] @ X[:, :6].T
    result = sc.cross_validate(X, target, sc.Pruner(metric="dot", comparator=comparator), cv=3)
    assert (result.pruned_train >= result.full_train).all()
    one, two = (sc.leave_one_out(X, target, "dot", comparator, threads=t) for t in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_no_model_passes_the_upper_noise_ceiling(comparator):
    """The mean of matrices of whitened length 1 is the best there is; what rsatoolbox averages falls short of it."""
    n = 8
    pairs = n * (n - 1) // 2
    rng = np.random.default_rng(3)
    rdms = rng.normal(size=pairs) + rng.gamma(2.0, size=(5, 1)) * rng.normal(size=(5, pairs)) + 1
    bound = float(sc.noise_ceiling(rdms, comparator, kind="similarity").upper)

    def score(model):
        return np.mean([reference.whitened(model, rdm, comparator) for rdm in rdms])

    rows, columns = np.triu_indices(n, 1)
    contrasts = np.zeros((pairs, n))
    contrasts[np.arange(pairs), rows], contrasts[np.arange(pairs), columns] = 1, -1
    inverse = np.linalg.inv((contrasts @ contrasts.T) ** 2)
    centred = rdms - rdms.mean(axis=1, keepdims=True) if comparator == "corr_cov" else rdms
    best = np.mean([one / np.sqrt(one @ inverse @ one) for one in centred], axis=0)
    assert bound == pytest.approx(score(best), abs=1e-12)
    for _ in range(50):
        assert score(best + 0.1 * best.std() * rng.normal(size=pairs)) < bound
    plain = np.mean([one / np.sqrt((one**2).mean()) for one in centred], axis=0)
    assert score(plain) < bound - 1e-6
