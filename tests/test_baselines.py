"""Reweighting against scikit-learn on the whole design, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from sklearn import linear_model
from sklearn.base import clone

import reference
import secateur as sc
from secateur.reweighting import Lasso, Ridge, SimDR
from secateur.reweighting.design import Design
from secateur.reweighting.simdr import Descent
from secateur.targets import read_target
from secateur.validation import split

METRICS = ("dot", "cosine", "correlation", "sqeuclidean")
SHAPES = ((13, 20), (11, 120))  # more pairs than features, and fewer


def stimuli(n, d, seed=0):
    """As after a ReLU."""
    rng = np.random.default_rng([n, d, seed])
    X = np.maximum(rng.normal(0.2, 1, (n, d)), 0)
    return X, reference.similarity(X[:, : max(8, d // 4)]) + 0.05 * rng.normal(size=n * (n - 1) // 2)


def design(X, metric):
    """(P, d), laid out whole, pair by pair."""
    if metric == "correlation":
        X = X - X.mean(axis=1, keepdims=True)
    if metric in ("correlation", "cosine"):
        X = X / np.sqrt((X * X).sum(axis=1, keepdims=True))
    pairs = [(i, j) for i in range(len(X)) for j in range(i + 1, len(X))]
    if metric == "sqeuclidean":
        return np.array([-((X[i] - X[j]) ** 2) for i, j in pairs])
    return np.array([X[i] * X[j] for i, j in pairs])


def pair_weights(kind, pairs):
    rng = np.random.default_rng(1)
    if kind == "none":
        return None
    w = rng.random(pairs) if kind == "weights" else np.ones(pairs)
    w[rng.permutation(pairs)[: pairs // 4]] = 0
    return w


def scaled(Z, w, standardize):
    """The design as scikit-learn should see it, and what its weights are to be divided by."""
    share = np.ones(len(Z)) / len(Z) if w is None else w / w.sum()
    sd = np.sqrt(share @ (Z - share @ Z) ** 2) if standardize else np.ones(Z.shape[1])
    sd = np.where(sd > 0, sd, 1)
    return Z / sd, share, sd


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("kind", ["none", "weights", "missing"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
class TestAgainstScikitLearn:
    def given(self, n, d, kind, metric, standardize):
        X, h = stimuli(n, d)
        w = pair_weights(kind, len(h))
        Z, share, sd = scaled(design(X, metric), w, standardize)
        if kind == "missing":
            return X, np.where(w > 0, h, np.nan), None, np.where(w > 0, h, 0), Z, share, sd
        return X, h, w, h, Z, share, sd

    def test_ridge(self, n, d, kind, metric, standardize):
        X, target, w, h, Z, share, sd = self.given(n, d, kind, metric, standardize)
        for penalty in (1e-3, 0.1):
            expected = linear_model.Ridge(alpha=penalty).fit(Z, h, sample_weight=share)
            # one penalty, and the same among several
            coefs = [
                Ridge(metric, penalties=[penalty], standardize=standardize, kind="similarity").fit(X, target, weights=w)
            ]
            several = Ridge(metric, standardize=standardize)
            matrix = Design(
                _rows_of(X, metric), squared=metric == "sqeuclidean", weights=w_of(w, target), standardize=standardize
            )
            centred = (h - share @ h)[None]
            path = several._path(matrix, centred, np.array([[1.0, penalty, 1e-4]]))[0]
            for coef in (coefs[0].coef_, path[1]):
                np.testing.assert_allclose(coef, expected.coef_ / sd, rtol=0, atol=1e-10 * np.abs(expected.coef_).max())
            np.testing.assert_allclose(coefs[0].intercept_, expected.intercept_, rtol=0, atol=1e-10)
            np.testing.assert_allclose(coefs[0].predict(X), expected.predict(Z), rtol=0, atol=1e-10)

    def test_lasso(self, n, d, kind, metric, standardize):
        X, target, w, h, Z, share, sd = self.given(n, d, kind, metric, standardize)
        greatest = (Z - share @ Z).T @ (share * (h - share @ h))
        for penalty in (0.3 * greatest.max(), 0.01 * greatest.max()):
            found = Lasso(metric, penalties=[penalty], standardize=standardize, kind="similarity").fit(
                X, target, weights=w
            )
            model = linear_model.Lasso(alpha=penalty, positive=True, tol=1e-10, max_iter=200_000)
            expected = model.fit(Z, h, sample_weight=share * len(h))
            np.testing.assert_allclose(found.predict(X), expected.predict(Z), rtol=0, atol=2e-5)
            # the optimum's own conditions, to the last digits: no slope where weights are, none upwards elsewhere
            coef = found.coef_ * sd
            left = h - share @ h - (Z - share @ Z) @ coef
            slope = (Z - share @ Z).T @ (share * left) - penalty
            inside = coef > 0
            assert (coef >= 0).all()
            assert 0 < inside.sum() == found.n_features_ < d
            assert np.abs(slope[inside]).max() < 1e-10 * greatest.max()
            assert slope[~inside].max() < 1e-10 * greatest.max()


def w_of(w, target):
    return w if w is not None else (~np.isnan(target)).astype(float) if np.isnan(target).any() else None


def _rows_of(X, metric):
    if metric == "correlation":
        X = X - X.mean(axis=1, keepdims=True)
    if metric in ("correlation", "cosine"):
        X = X / np.sqrt((X * X).sum(axis=1, keepdims=True))
    return X


# The inner choice


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
@pytest.mark.parametrize(
    ("method", "model"),
    [
        (Ridge, lambda penalty, pairs: linear_model.Ridge(alpha=penalty * pairs)),
        (Lasso, lambda penalty, _: linear_model.Lasso(alpha=penalty, positive=True, tol=1e-9, max_iter=100_000)),
    ],
)
def test_the_penalty_is_chosen_on_inner_stimuli(method, model, comparator):
    """All by hand: scikit-learn on the pairs of an inner fold's stimuli, scored on those of the others."""
    n, d = 24, 30
    X, h = stimuli(n, d, 2)
    penalties = [1e-3, 1e-2, 1e-1] if method is Ridge else [1e-4, 1e-3, 5e-3]
    found = method(penalties=penalties, inner_cv=4, seed=3, comparator=comparator, kind="similarity").fit(X, h)
    scores = np.zeros((4, 3))
    for f, (train, test) in enumerate(split(n, 4, 1, 3)[0]):
        goal = reference.among(h, train, n)
        for p, penalty in enumerate(sorted(penalties, reverse=True)):
            fitted = model(penalty, len(goal)).fit(design(X[train], "dot"), goal)
            predicted = fitted.predict(design(X[test], "dot"))
            scores[f, p] = reference.compare(predicted, reference.among(h, test, n), None, comparator)
    np.testing.assert_allclose(found.inner_scores_, scores.mean(axis=0), atol=1e-5 if comparator == "pearson" else 1e-2)
    best = scores.mean(axis=0).argmax()
    assert found.penalty_ == sorted(penalties, reverse=True)[best]
    assert found.penalties_.tolist() == sorted(penalties, reverse=True)
    whole = model(found.penalty_, len(h)).fit(design(X, "dot"), h)
    np.testing.assert_allclose(found.coef_, whole.coef_, atol=1e-4 * np.abs(whole.coef_).max())


def test_pairs_of_one_stimulus_do_not_leak():
    """A target of stimulus effects alone can be told from other pairs of the same stimuli, never of other stimuli."""
    rng = np.random.default_rng(2)
    n, d = 40, 300
    X, effect = np.abs(rng.normal(size=(n, d))), rng.normal(size=n)
    i, j = np.triu_indices(n, 1)
    h, Z = effect[i] + effect[j], X[i] * X[j]
    order = rng.permutation(len(h))
    learn, rest = order[: len(h) * 4 // 5], order[len(h) * 4 // 5 :]
    leaking = linear_model.Ridge(alpha=10).fit(Z[learn], h[learn]).predict(Z[rest])
    assert np.corrcoef(leaking, h[rest])[0, 1] > 0.9
    for method in (Ridge(kind="similarity"), Lasso(kind="similarity"), SimDR(kind="similarity")):
        assert method.fit(X, h).inner_scores_.max() < 0.4


def test_groups_hold_in_the_inner_folds():
    """Every stimulus twice: what the other copy tells is no evidence."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(24, 200)), 2, axis=0)
    X += 0.01 * rng.normal(size=X.shape)
    h = np.repeat(np.repeat(reference.square(rng.normal(size=276), 24), 2, axis=0), 2, axis=1)
    twins = np.arange(48) // 2
    for method in (Ridge(kind="similarity"), SimDR((8,), kind="similarity")):
        loose, tight = (clone(method).fit(X, h, groups=groups).inner_scores_.max() for groups in (None, twins))
        assert tight < 0.3 < 0.5 < loose
    with pytest.raises(ValueError, match="inner_cv must split the 48 training stimuli into 2 or more folds"):
        Ridge(kind="similarity").fit(X, h, groups=np.arange(48) // 16)


def test_other_stimuli_change_nothing():
    X, h = stimuli(30, 40)
    train = np.arange(20)
    square = reference.square(h, 30)
    scrambled = square.copy()
    scrambled[20:] = np.random.default_rng(0).normal(size=(10, 30))
    scrambled[:, 20:] = scrambled[20:].T
    for method in (Ridge(kind="similarity"), Lasso(kind="similarity"), SimDR((2, 4), kind="similarity")):
        one, two = (clone(method).fit(X[train], s[np.ix_(train, train)]) for s in (square, scrambled))
        np.testing.assert_array_equal(one.predict(X), two.predict(X))


# Several targets, planted weights, broken input


@pytest.mark.parametrize(
    "method",
    [Ridge(kind="similarity"), Lasso(kind="similarity"), SimDR((2, 3), kind="similarity", penalties=[1e-4, 1e-3])],
    ids=repr,
)
@pytest.mark.parametrize("missing", [False, True])
def test_many_targets_are_each_alone(method, missing):
    X, _ = stimuli(18, 25)
    rng = np.random.default_rng(4)
    targets = np.stack([stimuli(18, 25)[1] + 0.2 * rng.normal(size=153) for _ in range(3)])
    if missing:
        targets[0, :9] = targets[1, :9] = targets[2, 30:44] = np.nan
    together = clone(method).fit(X, targets)
    predicted, scores = together.predict(X), together.score(X, targets)
    assert predicted.shape == (3, 153)
    for t in range(3):
        alone = clone(method).fit(X, targets[t])
        np.testing.assert_allclose(predicted[t], alone.predict(X), rtol=0, atol=1e-10)
        assert scores[t] == pytest.approx(alone.score(X, targets[t]), abs=1e-12)
        np.testing.assert_allclose(together.penalties_[t], alone.penalties_, rtol=1e-12)
        assert together.penalty_[t] == pytest.approx(alone.penalty_)
    with pytest.raises(ValueError, match="target must hold the 3 targets of the fit, got 2"):
        together.score(X, targets[:2])


def test_planted_weights_are_found():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 40))
    weights = np.zeros(40)
    weights[:6] = [3, 2, 1, 1, 0.5, 0.5]
    target = 4 + (X * weights) @ X.T + 0.3 * reference.square(rng.normal(size=1770), 60)
    for method in (Ridge(kind="similarity"), Lasso(kind="similarity")):
        fitted = method.fit(X[:40], target[:40, :40])
        np.testing.assert_allclose(fitted.coef_, weights, atol=0.1)
        assert fitted.intercept_ == pytest.approx(4, abs=0.1)
        assert fitted.score(X[40:], target[40:, 40:]) > 0.99
    assert fitted.n_features_ < 30  # the LASSO's
    # a scaling of the features: what a reweighted network runs with
    scaled = X * np.sqrt(fitted.coef_)
    np.testing.assert_allclose((scaled @ scaled.T)[np.triu_indices(60, 1)] + fitted.intercept_, fitted.predict(X))


def test_dissimilarities_are_negated():
    X, h = stimuli(20, 15)
    for method in (Ridge(kind="similarity"), Lasso(kind="similarity")):
        same, turned = clone(method).fit(X, h), clone(method).set_params(kind="dissimilarity").fit(X, -h)
        np.testing.assert_array_equal(same.coef_, turned.coef_)
        assert same.score(X, h) == turned.score(X, -h)


def test_features_that_repeat_or_are_empty():
    X, h = stimuli(16, 20)
    X = np.c_[X, X[:, :7], np.zeros((16, 3)), np.full((16, 1), 2.0)]
    for standardize in (False, True):
        lasso = Lasso(standardize=standardize, kind="similarity").fit(X, h)
        ridge = Ridge(standardize=standardize, kind="similarity").fit(X, h)
        assert (lasso.coef_[27:] == 0).all()
        np.testing.assert_allclose(ridge.coef_[:7], ridge.coef_[20:27], rtol=1e-6, atol=1e-12)
        assert np.abs(ridge.coef_[27:]).max() < 1e-10
        alone = Lasso(standardize=standardize, penalties=[lasso.penalty_], kind="similarity").fit(X[:, :20], h)
        np.testing.assert_allclose(alone.predict(X[:, :20]), lasso.predict(X), atol=1e-8)


def test_a_lasso_that_finds_nothing_says_so():
    X, h = stimuli(20, 10)
    lasso = Lasso(penalties=[1e3, 1e4], kind="similarity").fit(X, h)
    assert lasso.n_features_ == 0
    assert lasso.inner_scores_.tolist() == [0, 0]
    assert np.isnan(lasso.score(X, h))
    steps = np.arange(15.0)
    turned = Lasso(kind="similarity").fit(steps[:, None] * np.ones(3), 99 - np.outer(steps, steps))
    assert turned.n_features_ == 0


def test_stimuli_without_a_direction():
    X, h = stimuli(20, 15)
    X[3] = 0
    terms = {"kind": "similarity"}
    for method in (Ridge("cosine", **terms), Lasso("correlation", **terms), SimDR(2, "cosine", **terms)):
        with pytest.raises(ValueError, match="X must give every stimulus a direction, got stimulus 3"):
            clone(method).fit(X, h)
        square = reference.square(h, 20)
        square[3] = square[:, 3] = np.nan
        fitted = clone(method).fit(X, square)  # its pairs are missing: it has no say
        touched = (np.stack(np.triu_indices(20, 1)) == 3).any(axis=0)
        np.testing.assert_array_equal(np.isnan(fitted.predict(X)), touched)
        with pytest.warns(sc.UndefinedPairsWarning, match="19 pairs"):
            fitted.score(X, h)
    assert np.isfinite(Ridge("dot", kind="similarity").fit(X, h).predict(X)).all()  # its products are zero


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "euclidean"}, "metric must be one of 'cosine', .*'dot'.*; got 'euclidean'"),
        ({"comparator": "gamma"}, "comparator must be one of"),
        ({"penalties": [0.1, 0]}, r"penalties must be positive numbers, got \[0.1, 0\]"),
        ({"penalties": []}, r"penalties must be positive numbers, got \[\]"),
        ({"inner_cv": 7}, "inner_cv must split the 20 training stimuli into 2 or more folds of at least 3, got 7"),
        ({"inner_cv": 1}, "inner_cv must split the 20 training stimuli into .*, got 1"),
    ],
)
@pytest.mark.parametrize("method", [Ridge, Lasso, SimDR])
def test_refusals(method, change, message):
    X, h = stimuli(20, 10)
    with pytest.raises(ValueError, match=message):
        method(kind="similarity", **change).fit(X, h)


def test_more_refusals():
    X, h = stimuli(20, 10)
    for method in (Ridge(kind="similarity"), Lasso(kind="similarity"), SimDR(kind="similarity")):
        with pytest.raises(ValueError, match="target must vary over the pairs, got a constant one"):
            clone(method).fit(X, np.ones(190))
        with pytest.raises(ValueError, match="target must have a pair of weight above zero, got none"):
            clone(method).fit(X, np.full(190, np.nan))
        fitted = clone(method).fit(X, h)
        with pytest.raises(ValueError, match=r"X has 9 features, but .* is expecting 10"):
            fitted.predict(X[:, :9])
    with pytest.raises(ValueError, match=r"dimensions must be positive integers, got \(0, 2\)"):
        SimDR((0, 2), kind="similarity").fit(X, h)
    for penalties in ([1e-30], [1e-30, 1e-29]):  # features twice: no inverse but for the penalty
        with pytest.raises(ValueError, match=r"penalties must be above the rounding of .*, got 1e-(30|29)"):
            Ridge(penalties=penalties, kind="similarity").fit(np.c_[X, X], h)
    only = np.full((20, 20), np.nan)
    only[:4, :4] = reference.square(h, 20)[:4, :4]
    with pytest.raises(ValueError, match="pair of weight above zero in every inner fold"):
        Ridge(inner_cv=split(20, [(np.arange(4, 20), np.arange(4))])[0], kind="similarity").fit(X, only)


# Sim-DR


def descent(n=12, d=30, missing=False):
    X, h = stimuli(n, d)
    if missing:
        h[::5] = np.nan
    return X, h, Descent.of(X, read_target(h, n, kind="similarity"), 0, 2000)


@pytest.mark.parametrize("missing", [False, True])
def test_simdr_slope(missing):
    _, _, one = descent(missing=missing)
    rng = np.random.default_rng(0)
    scale, flat = rng.random((12, 1)) + 0.5, rng.normal(size=36)
    value, slope = one._loss(flat, scale, 0.01)
    numeric = approx_fprime(flat, lambda b: one._loss(b, scale, 0.01)[0], 1e-7)
    np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-5 * np.abs(slope).max())
    assert value > 0


@pytest.mark.parametrize("missing", [False, True])
def test_simdr_is_the_least_squares_map(missing):
    """No worse than descents from random maps of all d features, with the loss as it is written."""
    X, h, one = descent(missing=missing)
    i, j = np.triu_indices(12, 1)
    seen = ~np.isnan(h)

    def loss(flat, penalty):
        F = X @ flat.reshape(30, 2)
        return np.mean((h - (F[i] * F[j]).sum(axis=1))[seen] ** 2) + penalty * (flat**2).sum()

    for penalty in (1e-2, 1e-4):
        ours = loss(one.path(2, np.array([penalty]))[0].ravel(), penalty)
        starts = np.random.default_rng(1).normal(size=(3, 60)) / 5
        theirs = min(minimize(loss, start, (penalty,), options={"maxiter": 500}).fun for start in starts)
        assert ours <= theirs * (1 + 1e-4)


def test_simdr_finds_a_planted_map():
    rng = np.random.default_rng(2)
    X, W = rng.normal(size=(60, 20)), rng.normal(size=(20, 3))
    target = X @ W @ W.T @ X.T
    fitted = SimDR(dimensions=(1, 2, 3)).fit(X[:40], target[:40, :40])
    assert fitted.n_dimensions_ == 3
    assert fitted.projection_.shape == (20, 3)
    assert fitted.inner_scores_.shape == (3, 6)
    assert fitted.score(X[40:], target[40:, 40:]) > 0.999
    np.testing.assert_allclose(fitted.projection_ @ fitted.projection_.T, W @ W.T, atol=0.05 * np.abs(W @ W.T).max())
    # beyond the target's own dimensions and the stimuli's number
    assert SimDR(dimensions=64, penalties=[1e-3]).fit(X[:10], target[:10, :10]).projection_.shape[0] == 20


def test_simdr_is_chosen_on_inner_stimuli():
    X, h = stimuli(24, 30, 2)
    terms = {"kind": "dissimilarity", "comparator": "cosine"}
    penalties = [1e-2, 1e-3]
    found = SimDR((1, 3), penalties=penalties, inner_cv=4, seed=3, **terms).fit(X, 2 - h)
    scores = np.zeros((2, 2))
    for train, test in split(24, 4, 1, 3)[0]:
        for k, p in np.ndindex(2, 2):
            one = SimDR((1, 3)[k], penalties=penalties[p], **terms).fit(X[train], reference.among(2 - h, train, 24))
            scores[k, p] += one.score(X[test], reference.among(2 - h, test, 24)) / 4
    np.testing.assert_allclose(found.inner_scores_, scores, atol=1e-4)
    best = np.unravel_index(scores.argmax(), (2, 2))
    assert (found.n_dimensions_, found.penalty_) == ((1, 3)[best[0]], penalties[best[1]])


def test_simdr_of_dissimilarities():
    rng = np.random.default_rng(3)
    F = np.abs(rng.normal(size=(30, 3)))
    X = F @ rng.normal(size=(3, 12)) + 0.01 * rng.normal(size=(30, 12))
    apart = 5 - F @ F.T
    np.fill_diagonal(apart, 0)
    apart = apart - apart.min()
    np.fill_diagonal(apart, 0)
    fitted = SimDR(kind="dissimilarity").fit(X[:20], apart[:20, :20])
    held = apart[:20, :20][np.triu_indices(20, 1)]
    assert fitted.intercept_ == -held.max()
    assert fitted.score(X[20:], apart[20:, 20:]) > 0.9
