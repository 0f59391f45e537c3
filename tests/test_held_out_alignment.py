"""Alignment among some stimuli with each target's own features, undefined pairs left out, against the definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import cases
import reference
from secateur import _core
from secateur.execution import Execution
from secateur.features import Features
from secateur.problem import Problem
from secateur.targets import read_target

MOMENTS = ("pearson", "cosine")


def check(X, h, stimuli, kept, metric, comparator, weights=None, device="cpu", tolerance=1e-10):
    n, among = len(X), np.arange(len(X)) if stimuli is None else stimuli
    targets = read_target(h, n, "similarity", weights)
    problem = Problem(Features(X), targets, metric, comparator, Execution.resolved(device, 1)).load()
    scores, undefined = problem.held_out_alignment(stimuli, kept)
    w = np.broadcast_to(1.0 if weights is None else weights, np.shape(np.atleast_2d(h)))
    for t, values in enumerate(np.atleast_2d(h)):
        expected = reference.held_out_alignment(
            X[among], reference.among(values, among, n), metric, comparator,
            None if kept is None else kept[t], reference.among(w[t], among, n),
        )  # fmt: skip
        cases.close(scores[t], expected[0], tolerance)
        assert undefined[t] == expected[1]
    return scores, undefined


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_every_rule(metric, comparator):
    rng = np.random.default_rng(0)
    for missing, (count, form) in itertools.product(("none", "different"), ((1, None), (5, "own"), (9, "shared"))):
        X, h = cases.embedding(14, 21), cases.target(14, count, missing)
        w = cases.weights(h.shape, form, comparator)
        kept = rng.random((count, 21)) < 0.4
        kept[:, :2] = True
        for stimuli in (None, rng.permutation(14)[:9]):
            check(X, h, stimuli, kept, metric, comparator, w)
            check(X, h, stimuli, None, metric, comparator, w)


@pytest.mark.parametrize("comparator", MOMENTS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_device(metric, comparator, device, device_tolerance):
    rng = np.random.default_rng(1)
    for missing, (count, form), n in itertools.product(
        ("none", "different"), ((1, None), (5, "own"), (9, "shared")), (14, 40)
    ):
        X, h = cases.embedding(n, 70), cases.target(n, count, missing)
        w = cases.weights(h.shape, form, comparator)
        kept = rng.random((count, 70)) < 0.6
        stimuli = rng.permutation(n)[: n - 3]
        check(X, h, stimuli, kept, metric, comparator, w, device, device_tolerance)
        check(X, h, None, None, metric, comparator, w, device, device_tolerance)


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_pairs_of_stimuli_without_direction_are_left_out_and_counted(metric, device, device_tolerance):
    X, h = cases.embedding(16, 12, "sparse"), cases.target(16, 4, "different")
    X[3, :6] = X[7, :6] = 0
    kept = np.zeros((4, 12), dtype=bool)
    kept[0, :6] = kept[1, 6:] = kept[2, 4:9] = kept[3] = True
    w = np.ones_like(h)
    w[:, :10] = 0
    for weights in (None, w):
        _, undefined = check(X, h, None, kept, metric, "pearson", weights, device, device_tolerance)
        assert undefined[0] > 0
        assert undefined[3] == 0
    none = np.zeros_like(kept)
    scores, undefined = check(X, h, None, none, metric, "pearson", None, device, device_tolerance)
    assert np.isnan(scores).all()
    assert (undefined == (~np.isnan(h)).sum(axis=1)).all()


def test_constant_similarities_have_no_alignment(device):
    X, h = np.ones((9, 5)), cases.target(9, 2)
    scores, undefined = check(X, h, None, None, "cosine", "pearson", None, device)
    assert np.isnan(scores).all()
    assert not undefined.any()
    check(cases.embedding(9, 5), np.ones((2, 36)), None, None, "cosine", "pearson", None, device)


def test_threads_do_not_change_a_bit():
    X, h = cases.embedding(60, 400), cases.target(60, 30, "different")
    kept = np.random.default_rng(2).random((30, 400)) < 0.5
    targets = _core.Targets(*read_target(h, 60, "similarity").rows)
    rows = (X, targets, _core.Measures("cosine", "pearson"), None, kept)
    one, three = (_core.held_out_alignment(*rows, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one[0], three[0])


def test_a_whitened_comparator_needs_every_pair():
    X, h = cases.embedding(8, 4), cases.target(8)[None]
    X[2, :2] = 0
    kept = np.array([[True, True, False, False]])
    with pytest.raises(ValueError, match="X must give every stimulus a direction for a whitened comparator"):
        _core.held_out_alignment(X, _core.Targets(h), _core.Measures("cosine", "corr_cov"), None, kept, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept": np.ones((2, 5), dtype=bool)}, r"kept must have 1 rows, one a target, got shape \(2, 5\)"),
        ({"kept": np.ones((1, 4), dtype=bool)}, r"kept must have 5 columns, one a feature, got shape \(1, 4\)"),
        ({"kept": np.ones((1, 5))}, "kept must have dtype bool, got float64"),
        ({"stimuli": np.array([0, 1])}, "stimuli must name at least 3, got 2"),
        ({"stimuli": np.array([0, 1, 8])}, "stimuli must hold stimulus indices from 0 to 7, got 8"),
        ({"stimuli": np.array([0, 1, 1])}, "stimuli must name each stimulus once, got 1 twice"),
    ],
)
def test_refusals(change, message):
    options = {"stimuli": None, "kept": None} | change
    with pytest.raises((TypeError, ValueError), match=message):
        _core.held_out_alignment(
            cases.embedding(8, 5),
            _core.Targets(cases.target(8)[None]),
            _core.Measures("cosine", "pearson"),
            **options,
            threads=1,
        )
