"""Pruner as an estimator: what it learns, what it refuses, and its life inside scikit-learn."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import cases
import reference
import secateur as sc
from secateur.measures import METRICS

N, D = 12, 20
ATTRIBUTES = ("support_", "importance_", "order_", "curve_", "baseline_", "alignment_", "n_features_")


def planted(n=N, d=D, signal=5, seed=0):
    """(n, d) features and the (n, n) similarities of the first few of them, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    noise = rng.normal(size=(n, n)) / 2
    return X, X[:, :signal] @ X[:, :signal].T + noise + noise.T


def same(a, b):
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


# What it learns


@pytest.mark.parametrize("comparator", ["pearson", "cosine", "spearman"])
@pytest.mark.parametrize("weighted", [False, True])
def test_missing_and_weighted_pairs(comparator, weighted):
    X, h = cases.embedding(9, 14), cases.target(9, None, "different")
    w = cases.weights(h.shape, "own", comparator) if weighted else None
    pruner = sc.Pruner("dot", comparator, kind="similarity").fit(
        X, h, weights=w
    )  # dot: no ties of 1 and -1 in the first steps
    slow = reference.prune(X, h, "dot", comparator, weights=w)
    cases.close(pruner.importance_, slow.importance)
    cases.close(pruner.curve_, slow.curve, atol=1e-9)
    np.testing.assert_array_equal(pruner.order_, slow.order)
    np.testing.assert_array_equal(pruner.support_, slow.support)
    assert pruner.baseline_ == pytest.approx(slow.baseline, abs=1e-10)
    assert pruner.alignment_ == pytest.approx(slow.alignment, abs=1e-10)


def test_attributes():
    X, target = planted()
    pruner = sc.Pruner(kind="similarity").fit(X, target)
    assert pruner.support_.shape == pruner.importance_.shape == pruner.order_.shape == pruner.curve_.shape == (D,)
    assert [a.dtype for a in (pruner.support_, pruner.importance_, pruner.order_, pruner.curve_)] == [
        bool,
        np.float64,
        np.int64,
        np.float64,
    ]
    assert type(pruner.baseline_) is type(pruner.alignment_) is float
    assert type(pruner.n_features_) is int
    assert pruner.n_features_ == pruner.support_.sum()
    assert pruner.n_features_in_ == D
    assert not hasattr(pruner, "feature_names_in_")
    assert sorted(pruner.order_) == list(range(D))
    assert pruner.baseline_ == pytest.approx(sc.alignment(X, target, kind="similarity"), abs=1e-12)
    assert pruner.curve_[-1] == pytest.approx(pruner.baseline_, abs=1e-12)
    assert pruner.alignment_ == pytest.approx(
        sc.alignment(X, target, subset=pruner.support_, kind="similarity"), abs=1e-12
    )
    assert pruner.alignment_ > pruner.baseline_
    assert pruner.importance_[:5].mean() > 0 > pruner.importance_[~pruner.support_].mean()


def test_fit_is_repeatable_and_leaves_its_arguments_alone():
    X, target = planted()
    X_before, target_before = X.copy(), target.copy()
    X.setflags(write=False)
    target.setflags(write=False)
    pruner = sc.Pruner(kind="similarity")
    assert pruner.fit(X, target) is pruner
    same(pruner, sc.Pruner(kind="similarity").fit(X, target))
    same(pruner, copy.deepcopy(pruner).fit(X, target))
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(target, target_before)


def test_every_form_of_the_embedding():
    X, target = planted()
    pruner = sc.Pruner(kind="similarity").fit(X, target)
    frame = pd.DataFrame(X)
    for form in (np.asfortranarray(X), X[:, ::-1][:, ::-1], X.tolist(), frame, frame.astype("Float64")):
        same(pruner, sc.Pruner(kind="similarity").fit(form, target))
    same(
        sc.Pruner(kind="similarity").fit(X.astype(np.float32).astype(float), target),
        sc.Pruner(kind="similarity").fit(X.astype(np.float32), target),
    )


@pytest.mark.parametrize("metric", ["cosine", "dot", "sqeuclidean", "euclidean", "cityblock"])
def test_features_of_zeros_never_lengthen_the_prefix(metric):
    X, target = planted()
    kept = sc.Pruner(metric, kind="similarity").fit(X, target)
    at = [0, 3, 3, 10, D]
    wider = sc.Pruner(metric, kind="similarity").fit(np.insert(X, at, 0.0, axis=1), target)
    assert wider.n_features_ == kept.n_features_
    original = np.insert(np.arange(D), at, -1)
    np.testing.assert_array_equal(original[wider.support_], np.flatnonzero(kept.support_))
    assert not wider.support_[original == -1].any()
    assert wider.alignment_ == pytest.approx(kept.alignment_, abs=1e-12)
    np.testing.assert_allclose(wider.importance_[original == -1], 0, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_go_by_index(metric):
    X, target = planted()
    twins = [2, 9, 17]
    X[:, twins] = X[:, [2]]
    pruner = sc.Pruner(metric, kind="similarity").fit(X, target)
    assert [k for k in pruner.order_ if k in twins] == twins
    # any other order of the columns: again the lowest index first
    shuffled = np.random.default_rng(1).permutation(D)
    again = sc.Pruner(metric, kind="similarity").fit(X[:, shuffled], target)
    places = np.flatnonzero(np.isin(shuffled, twins)).tolist()
    assert [k for k in again.order_ if k in places] == places


def test_indispensable_features_come_first_and_are_kept():
    X, target = planted()
    X[4] = 0
    X[4, 13] = 1.0  # without feature 13, stimulus 4 has no direction
    X[7] = 0
    X[7, 6] = -2.0
    pruner = sc.Pruner(kind="similarity").fit(X, target)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(pruner.importance_)), [6, 13])
    assert pruner.order_[:2].tolist() == [6, 13]
    assert pruner.support_[[6, 13]].all()
    assert np.isnan(pruner.curve_[0])
    assert not np.isnan(pruner.curve_[2:]).any()
    assert pruner.n_features_ >= 2
    assert np.isfinite(pruner.alignment_)


def test_kind():
    X, target = planted()
    np.fill_diagonal(target, 0)
    same(sc.Pruner().fit(X, -target + np.diag(np.full(N, 99.0))), sc.Pruner(kind="dissimilarity").fit(X, target))


def test_rsatoolbox_rdms_carry_their_kind():
    from rsatoolbox.rdm import RDMs

    X, target = planted()
    packed = target[np.triu_indices(N, 1)]
    same(sc.Pruner(kind="similarity").fit(X, packed), sc.Pruner().fit(X, RDMs(-packed[None])))


# The score


def test_score_on_other_stimuli():
    X, target = planted(30)
    pruner = sc.Pruner(kind="similarity").fit(X[:18], target[:18, :18])
    other = target[18:, 18:]
    expected = reference.alignment(X[18:], other[np.triu_indices(12, 1)], subset=pruner.support_)
    assert pruner.score(X[18:], other) == pytest.approx(expected, abs=1e-10)
    assert type(pruner.score(X[18:], other)) is float
    assert pruner.score(X[:18], target[:18, :18]) == pytest.approx(pruner.alignment_, abs=1e-12)


def test_score_takes_weights_and_missing_pairs():
    X, target = planted(30)
    pruner = sc.Pruner(kind="similarity").fit(X[:18], target[:18, :18])
    w = np.random.default_rng(0).uniform(size=66)
    h = target[18:, 18:][np.triu_indices(12, 1)]
    expected = reference.alignment(X[18:], h, subset=pruner.support_, weights=w)
    assert pruner.score(X[18:], h, weights=w) == pytest.approx(expected, abs=1e-10)
    h[5:9] = np.nan
    w[5:9] = 0
    expected = reference.alignment(X[18:], h, subset=pruner.support_, weights=w)
    assert pruner.score(X[18:], h, weights=w) == pytest.approx(expected, abs=1e-10)


def test_score_leaves_undefined_pairs_out_and_warns_once():
    X, target = planted(30)
    pruner = sc.Pruner(kind="similarity").fit(X[:18], target[:18, :18])
    rest, other = X[18:].copy(), target[18:, 18:]
    rest[[2, 5]] = 0
    with pytest.warns(sc.UndefinedPairsWarning, match=r"^21 pairs") as caught:
        score = pruner.score(rest, other)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    defined = np.delete(np.arange(12), [2, 5])
    assert score == pytest.approx(pruner.score(rest[defined], other[np.ix_(defined, defined)]), abs=1e-12)


def test_score_counts_only_pairs_with_weight():
    X, target = planted(30)
    pruner = sc.Pruner(kind="similarity").fit(X[:18], target[:18, :18])
    rest, other = X[18:].copy(), target[18:, 18:].copy()
    rest[2] = 0
    other[2, 3:] = other[3:, 2] = np.nan  # two pairs of stimulus 2 are left
    with pytest.warns(sc.UndefinedPairsWarning, match=r"^2 pairs"):
        pruner.score(rest, other)
    other[2] = other[:, 2] = np.nan
    assert np.isfinite(pruner.score(rest, other))


# Refusals


def test_a_constant_target_is_refused():
    X, _ = planted()
    pairs = N * (N - 1) // 2
    constant = np.full(pairs, 0.1)
    with_missing = constant.copy()
    with_missing[3] = np.nan
    for comparator in ("pearson", "spearman", "rho-a", "tau-a", "tau-b"):
        for target in (constant, with_missing):
            with pytest.raises(ValueError, match=r"^target must vary over the pairs, got a constant one \(target 0\)$"):
                sc.Pruner(comparator=comparator, kind="similarity").fit(X, target)
    assert sc.Pruner(comparator="cosine", kind="similarity").fit(X, constant).n_features_ >= 1
    with pytest.raises(ValueError, match="target must have a pair of weight above zero"):
        sc.Pruner(kind="similarity").fit(X, np.full(pairs, np.nan))
    with pytest.raises(ValueError, match="target must have a pair of weight above zero"):
        sc.Pruner(kind="similarity").fit(X, np.arange(pairs), weights=np.zeros(pairs))


def test_constant_similarities_are_refused():
    _, target = planted()
    with pytest.raises(ValueError, match="must both vary over the pairs, got an undefined alignment"):
        sc.Pruner(kind="similarity").fit(np.ones((N, D)), target)


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_a_stimulus_without_direction_is_named(metric):
    X, target = planted()
    X[7] = 0.0 if metric == "cosine" else 0.3
    with pytest.raises(ValueError, match=r"^X must give every stimulus a direction, got stimulus 7 with features"):
        sc.Pruner(metric, kind="similarity").fit(X, target)
    with pytest.raises(ValueError, match="got stimulus owl with features"):
        sc.Pruner(metric, kind="similarity").fit(pd.DataFrame(X, index=["cat"] * 7 + ["owl"] + ["dog"] * 4), target)
    sc.Pruner("euclidean", kind="similarity").fit(X, target)
    target[7] = target[:, 7] = np.nan  # no pair of it counts
    sc.Pruner(metric).fit(X, target)
    X[3] = X[7]
    with pytest.raises(ValueError, match="got stimulus 3 with features"):
        sc.Pruner(metric).fit(X, target)


def test_targets_that_are_not_one_target():
    X, target = planted()
    packed = target[np.triu_indices(N, 1)]
    for several in (np.stack([packed] * 3), np.stack([target] * 3)):
        with pytest.raises(ValueError, match="target must be one target, got 3: fit a Pruner for each, or with"):
            sc.Pruner(kind="similarity").fit(X, several)
        with pytest.raises(ValueError, match="target must be one target, got 3"):
            sc.Pruner(kind="similarity").fit(X, target).score(X, several)
    same(sc.Pruner(kind="similarity").fit(X, target), sc.Pruner(kind="similarity").fit(X, packed[None]))


def test_one_value_a_stimulus_is_no_target():
    X, target = planted()
    y = np.arange(float(N))
    with pytest.raises(ValueError, match=r"target must have shape \(12, 12\), \(66,\).*got \(12,\)"):
        sc.Pruner().fit(X, y)
    with pytest.raises(ValueError, match=r"target must have shape"):
        sc.Pruner(kind="similarity").fit(X, target).score(X, y)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        sc.Pruner().fit(X, None)
    with pytest.raises(TypeError, match="target"):
        sc.Pruner().fit(X)


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("metric", "manhattan", "metric must be one of .*got 'manhattan'"),
        ("comparator", "gamma", "comparator must be one of .*got 'gamma'"),
        ("kind", "distance", "kind must be .*got 'distance'"),
        ("device", "gpu", "device must be .*got 'gpu'"),
        ("threads", 0, "threads must be an integer of at least 1 or None, got 0"),
        ("threads", 2.0, "threads must be an integer of at least 1 or None, got 2.0"),
    ],
)
def test_parameters_are_checked_in_fit_not_before(parameter, value, message):
    X, target = planted()
    pruner = sc.Pruner(**{parameter: value})
    assert getattr(pruner, parameter) is value
    with pytest.raises(ValueError, match=message):
        pruner.fit(X, target)


def test_threads_may_be_a_numpy_integer():
    X, target = planted()
    same(sc.Pruner(threads=np.int64(1), kind="similarity").fit(X, target), sc.Pruner(kind="similarity").fit(X, target))


def test_sparse_embeddings_are_refused():
    from scipy.sparse import csr_array

    X, target = planted()
    with pytest.raises(TypeError, match="X must be dense, got a sparse csr_array: pass its toarray"):
        sc.Pruner().fit(csr_array(X), target)


def test_not_fitted():
    X, target = planted()
    for call in (lambda p: p.transform(X), lambda p: p.get_support(), lambda p: p.score(X, target)):
        with pytest.raises(NotFittedError, match="Pruner"):
            call(sc.Pruner())
    with pytest.raises(NotFittedError):
        sc.Pruner().get_feature_names_out()


def test_other_features_than_in_the_fit():
    X, target = planted()
    pruner = sc.Pruner(kind="similarity").fit(X, target)
    for call in (lambda: pruner.transform(X[:, 1:]), lambda: pruner.score(X[:, 1:], target)):
        with pytest.raises(ValueError, match="X has 19 features, but Pruner is expecting 20"):
            call()


# Inside scikit-learn


class PrunerOfStimulusValues(sc.Pruner):
    """Pruner whose target is made of one value a stimulus, the only ``y`` that scikit-learn's checks know."""

    @staticmethod
    def alike(y):
        """-|y_i - y_j| off the diagonal; there a 1, so that it isn't taken for a dissimilarity."""
        y = np.real(np.asarray(y)).astype(float).ravel()
        return np.eye(len(y)) - np.abs(y[:, None] - y)

    def fit(self, X, y):
        return super().fit(X, None if y is None else self.alike(y))

    def score(self, X, y):
        return super().score(X, self.alike(y))


def expected_failed_checks(estimator):
    """Every check that is not passed, and why it need not be."""
    reasons = {
        "check_complex_data": "complex numbers are refused by a TypeError; scikit-learn wants a ValueError",
        "check_dtype_object": "arrays of objects are refused, even of numbers: conversion is left to the caller",
        "check_estimators_empty_data_messages": "no features: refused in other words, which name stimuli and features",
        "check_fit2d_1sample": "one stimulus: refused in other words; three are the least that have a varying target",
    }
    if estimator.metric == "cosine":
        reasons["check_estimators_dtypes"] = "its integer data have a stimulus of zeros, which has no direction"
        reasons["check_fit2d_1feature"] = "all cosines of one positive feature are 1: refused in other words"
    return reasons


@parametrize_with_checks(
    [PrunerOfStimulusValues(threads=1), PrunerOfStimulusValues("sqeuclidean", threads=1)],
    expected_failed_checks=expected_failed_checks,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_clone_and_parameters():
    parameters = {
        "metric": "dot",
        "comparator": "spearman",
        "kind": "dissimilarity",
        "search": "ranking",
        "device": "cpu",
        "threads": 1,
        "max_features": 9,
        "min_features": 2,
        "tol": 0.0,
        "patience": 3,
        "feature_groups": None,
        "inner_cv": 3,
        "seed": 1,
        "progress": False,
        "precision": "double",
        "joint": "mean",
        "fixed_features": [1],
        "half_samples": 10,
        "threshold": 0.8,
        "max_false": 2.0,
    }
    pruner = sc.Pruner(**parameters)
    assert pruner.get_params() == parameters
    assert sc.Pruner().get_params() == {
        "metric": "cosine",
        "comparator": "pearson",
        "kind": None,
        "search": "ranking",
        "device": "auto",
        "threads": None,
        "max_features": None,
        "min_features": 1,
        "tol": None,
        "patience": None,
        "feature_groups": None,
        "inner_cv": 5,
        "seed": 0,
        "progress": True,
        "precision": "double",
        "joint": "each",
        "fixed_features": None,
        "half_samples": 100,
        "threshold": 0.75,
        "max_false": 1.0,
    }
    X, target = planted()
    twin = clone(pruner.fit(X, target[np.triu_indices(N, 1)]))
    assert twin.get_params() == parameters
    assert not hasattr(twin, "support_")
    assert twin.set_params(metric="cosine", comparator="corr") is twin
    assert (twin.metric, twin.comparator) == ("cosine", "corr")
    with pytest.raises(ValueError, match="Invalid parameter 'nodes'"):
        twin.set_params(nodes=3)
    assert "metric='dot'" in repr(pruner)


def test_corr_is_pearson():
    X, target = planted()
    same(
        sc.Pruner(comparator="corr", kind="similarity").fit(X, target),
        sc.Pruner(comparator="pearson", kind="similarity").fit(X, target),
    )


def test_pickle():
    X, target = planted()
    pruner = sc.Pruner(kind="similarity").fit(X, target)
    again = pickle.loads(pickle.dumps(pruner))
    same(pruner, again)
    np.testing.assert_array_equal(again.transform(X), X[:, pruner.support_])


def test_selector():
    X, target = planted()
    pruner = sc.Pruner(kind="similarity")
    np.testing.assert_array_equal(pruner.fit_transform(X, target), X[:, pruner.support_])
    np.testing.assert_array_equal(pruner.transform(X[:5]), X[:5, pruner.support_])
    np.testing.assert_array_equal(pruner.get_support(), pruner.support_)
    np.testing.assert_array_equal(pruner.get_support(indices=True), np.flatnonzero(pruner.support_))
    np.testing.assert_array_equal(pruner.inverse_transform(pruner.transform(X)), X * pruner.support_)
    assert pruner.get_feature_names_out().tolist() == [f"x{k}" for k in np.flatnonzero(pruner.support_)]


def test_data_frames():
    X, target = planted()
    frame = pd.DataFrame(X, columns=[f"node {k}" for k in range(D)], index=[f"image {i}" for i in range(N)])
    pruner = sc.Pruner(kind="similarity").fit(frame, target)
    same(pruner, sc.Pruner(kind="similarity").fit(X, target))
    assert pruner.feature_names_in_.tolist() == frame.columns.tolist()
    names = [f"node {k}" for k in np.flatnonzero(pruner.support_)]
    assert pruner.get_feature_names_out().tolist() == names
    assert isinstance(pruner.transform(frame), np.ndarray)
    table = pruner.set_output(transform="pandas").transform(frame)
    pd.testing.assert_frame_equal(table, frame[names])
    assert pruner.score(frame, target) == pytest.approx(pruner.alignment_, abs=1e-12)
    with pytest.raises(ValueError, match="feature names should match"):
        pruner.transform(frame.rename(columns={"node 0": "node zero"}))
    with pytest.raises(ValueError, match="feature names should match"):
        pruner.score(frame[frame.columns[::-1]], target)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        pruner.transform(X)


def test_pipelines():
    X, target = planted()
    pipeline = make_pipeline(StandardScaler(), sc.Pruner(kind="similarity"), PCA(n_components=2, random_state=0))
    mapped = pipeline.fit_transform(X, target)
    assert mapped.shape == (N, 2)
    scaled = StandardScaler().fit_transform(X)
    same(pipeline["pruner"], sc.Pruner(kind="similarity").fit(scaled, target))
    np.testing.assert_array_equal(pipeline.transform(X), pipeline.fit(X, target).transform(X))

    pipeline = make_pipeline(StandardScaler(), sc.Pruner(kind="dissimilarity"))
    away = np.abs(X[:, [0]] - X[:, 0])
    pipeline.fit(X, away)
    assert pipeline.score(X, away) == pytest.approx(pipeline["pruner"].alignment_, abs=1e-12)
    kept = np.flatnonzero(pipeline["pruner"].support_)
    assert pipeline.get_feature_names_out().tolist() == [f"x{k}" for k in kept]
    pipeline.set_params(pruner__metric="euclidean").fit(X, away)
    assert pipeline["pruner"].metric == "euclidean"

    w = np.random.default_rng(0).uniform(size=66)
    pipeline.fit(X, away, pruner__weights=w)
    scaled = StandardScaler().fit_transform(X)
    same(pipeline["pruner"], sc.Pruner("euclidean", kind="dissimilarity").fit(scaled, away, weights=w))


def test_pipelines_of_data_frames():
    X, target = planted()
    frame = pd.DataFrame(X, columns=[f"node {k}" for k in range(D)])
    pipeline = make_pipeline(StandardScaler(), sc.Pruner(kind="similarity")).set_output(transform="pandas")
    table = pipeline.fit_transform(frame, target)
    assert table.columns.tolist() == pipeline.get_feature_names_out().tolist()
    assert set(table.columns) <= set(frame.columns)


def test_no_warnings_where_there_is_nothing_to_warn_of():
    X, target = planted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in reference.METRICS:
            for comparator in reference.COMPARATORS:
                sc.Pruner(metric, comparator, kind="similarity").fit(X, target).score(X, target)
