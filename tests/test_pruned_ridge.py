"""Prune, then reweight, against scikit-learn fold by fold; and what is kept without labels, beside pruning."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as LinearRidge

import secateur as sc
from secateur.pruning.label_free import BASELINES, of_equal_size, order_without_target
from secateur.reweighting import PrunedRidge, Ridge
from secateur.validation import split


def data(n=30, d=24, q=6, noise=0.3, seed=0):
    """The first q of d features make the target, with weights; and noise of single pairs."""
    rng = np.random.default_rng([n, d, seed])
    X = rng.normal(size=(n, d)) + 0.2
    rows = X - X.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    target = (rows[:, :q] * np.linspace(1, 4, q) @ rows[:, :q].T)[np.triu_indices(n, 1)]
    return X, target + noise * target.std() * rng.normal(size=len(target))


def square(packed, n):
    whole = np.zeros((n, n))
    whole[np.triu_indices(n, 1)] = packed
    return whole + whole.T


def products(X):
    """Products (P, d) of rows that are centred and scaled, as frrsa takes them."""
    rows = X - X.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    i, j = np.triu_indices(len(X), 1)
    return rows[i] * rows[j]


def slow_fit(X, h, penalty):
    """Predicts by scikit-learn's ridge of standardised products; ``penalty`` as ours, a pair."""
    z = products(X)
    mean, sd = z.mean(axis=0), z.std(axis=0)
    model = LinearRidge(alpha=penalty * len(z)).fit((z - mean) / sd, h)
    return lambda other: model.predict((products(other) - mean) / sd)


def slow_order(X, h):
    """By leaving each out, of the definition."""
    i, j = np.triu_indices(len(X), 1)

    def alignment(columns):
        rows = X[:, columns] / np.linalg.norm(X[:, columns], axis=1, keepdims=True)
        return np.corrcoef((rows @ rows.T)[i, j], h)[0, 1]

    whole = np.arange(X.shape[1])
    return np.argsort([alignment(np.delete(whole, k)) for k in whole], kind="stable")


def test_it_is_scikit_learn_on_the_ranked_features_of_each_inner_fold():
    X, h = data()
    target, sizes, penalties = square(h, 30), [4, 8, 24], [0.5, 0.02]
    ours = PrunedRidge(kind="similarity", sizes=sizes, penalties=penalties, inner_cv=3).fit(X, h)
    expected = np.zeros((3, 2))
    for train, test in split(30, 3, 1, 0)[0]:
        known, held = (target[np.ix_(side, side)][np.triu_indices(len(side), 1)] for side in (train, test))
        order = slow_order(X[train], known)
        for s, m in enumerate(sizes):
            kept = order[:m]
            for p, penalty in enumerate(penalties):
                predicted = slow_fit(X[np.ix_(train, kept)], known, penalty)(X[np.ix_(test, kept)])
                expected[s, p] += np.corrcoef(predicted, held)[0, 1] / 3
    np.testing.assert_allclose(ours.inner_scores_, expected, atol=1e-10)
    s, p = np.unravel_index(expected.argmax(), expected.shape)
    kept = slow_order(X, h)[: sizes[s]]
    np.testing.assert_array_equal(np.flatnonzero(ours.support_), np.sort(kept))
    assert (ours.penalty_, ours.n_features_) == (penalties[p], sizes[s])
    other = np.random.default_rng(1).normal(size=(9, 24))
    expected = slow_fit(X[:, kept], h, penalties[p])(other[:, kept])
    np.testing.assert_allclose(ours.predict(other), expected, atol=1e-10)


def test_with_all_features_it_is_frrsa():
    X, h = data()
    how = {"kind": "similarity", "penalties": [1.0, 0.1]}
    all_of_them = PrunedRidge(sizes=[24], **how).fit(X, h)
    frrsa = Ridge("correlation", standardize=True, **how).fit(X, h)
    np.testing.assert_allclose(all_of_them.coef_, frrsa.coef_, atol=1e-10)
    np.testing.assert_allclose(all_of_them.inner_scores_[0], frrsa.inner_scores_, atol=1e-10)


def test_several_targets_are_fitted_one_by_one():
    X, h = data()
    targets = np.stack([h, -(h**2), h])
    targets[2, 4] = np.nan
    both = PrunedRidge(kind="similarity").fit(X, targets)
    assert both.coef_.shape == both.support_.shape == (3, 24)
    for t in range(3):
        alone = PrunedRidge(kind="similarity").fit(X, targets[t])
        np.testing.assert_allclose(both.coef_[t], alone.coef_, atol=1e-10)
        np.testing.assert_allclose(both.predict(X)[t], alone.predict(X), atol=1e-10)
        assert both.n_features_[t] == alone.n_features_


def mean_scores(methods, n, d):
    """Held out, of two data sets whose first 6 features, dealt to any places, make the target."""
    scores = []
    for seed in range(2):
        X, h = data(n, d, seed=seed, noise=0.5)
        X = X[:, np.random.default_rng(seed).permutation(d)]
        result = sc.compare(X, h, methods, cv=3, kind="similarity", progress=False)
        scores.append(result.test_alignment.mean("fold").values[:, 0])
    return np.mean(scores, axis=0)


def test_planted_weights_on_few_of_many_features_are_found_better_than_by_either_alone():
    """Of 400 features pruning can't weigh the planted ones, and frrsa can't leave the others out."""
    full, pruned, frrsa, both = mean_scores(["full", "pruned", "frrsa", "pruned+frrsa"], 30, 400)
    assert both > max(full, pruned, frrsa) + 0.1  # 0.65 beside 0.34


def test_what_the_labels_buy_is_not_had_without_them():
    full, pruned, *baselines = mean_scores(["full", "pruned", *BASELINES], 36, 200)
    assert pruned > max(full, *baselines) + 0.2  # 0.65 beside 0.16


def test_baselines_keep_as_many_features_as_pruning_in_every_fold():
    X, h = data(n=36)
    X = np.maximum(X, 0)
    methods = ["pruned", *BASELINES]
    how = {"cv": 3, "kind": "similarity", "progress": False, "pruner": sc.Pruner(min_features=10)}
    result = sc.compare(X, np.stack([h, h**2]), methods, **how)
    for rule in BASELINES:
        np.testing.assert_array_equal(result.nodes.sel(approach=rule), result.nodes.sel(approach="pruned"))
    train = np.flatnonzero(~result.test.values[0])
    test = np.flatnonzero(result.test.values[0])
    size = int(result.nodes.sel(approach="pruned", target=0, fold=0))
    at = np.triu_indices(len(test), 1)
    held = square(h, 36)[np.ix_(test, test)][at]
    by_hand = {
        "variance": np.argsort(-X[train].var(axis=0)),
        "zeros": np.argsort((X[train] == 0).sum(axis=0), kind="stable"),
    }
    for rule, order in by_hand.items():
        s = sc.similarity(X[np.ix_(test, order[:size])])
        there = np.isfinite(s)
        expected = np.corrcoef(s[there], held[there])[0, 1]
        assert result.test_alignment.sel(approach=rule, target=0, fold=0) == pytest.approx(expected, abs=1e-12)
    again = sc.compare(X, h, ["random"], **how).test_alignment
    np.testing.assert_array_equal(again, sc.compare(X, h, ["random"], **how).test_alignment)
    assert (again != sc.compare(X, h, ["random"], seed=1, **how).test_alignment).any()


def test_reversed_keeps_what_the_ranking_puts_last():
    X, h = data()
    problem = sc.Pruner(kind="similarity").settings().problem(
        sc.features.read_features(X), sc.targets.read_target(h, 30, "similarity")
    )  # fmt: skip
    search = sc.Pruner(kind="similarity").settings().search
    support = of_equal_size("reversed", problem, np.arange(30), search)[0]
    order = slow_order(X, h)
    np.testing.assert_array_equal(np.flatnonzero(support), np.sort(order[::-1][: support.sum()]))


def test_labels_have_no_part_in_the_order_of_a_baseline():
    X = np.maximum(data()[0], 0)
    for rule in ("variance", "zeros", "random"):
        assert sorted(order_without_target(rule, X, 3)) == list(range(24))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"sizes": [0]}, "sizes must be an integer from 1 to 24, got 0"),
        ({"sizes": [25]}, "sizes must be an integer from 1 to 24, got 25"),
        ({"sizes": [2.5]}, "sizes must be an integer from 1 to 24, got 2.5"),
        ({"sizes": []}, "sizes must be integers from 1 to 24, got"),
        ({"sizes": [1]}, "sizes must hold one in which every stimulus has a direction, got 1"),
        ({"space": "manhattan"}, "metric must be"),
        ({"inner_cv": 15}, "inner_cv must split the 30 training stimuli"),
    ],
)
def test_refusals(how, words):
    X, h = data()
    with pytest.raises(ValueError, match=words):
        PrunedRidge(**{"kind": "similarity", **how}).fit(X, h)
