"""What the core lists is what the library offers; each metric with each comparator in each verb is the definition.

The lists are the core's own: a metric or comparator that is added there, and not to ``reference.py``, fails here.
"""

from __future__ import annotations

import inspect
import itertools
import re
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from scipy.spatial.distance import squareform

import cases
import reference
import secateur as sc
from secateur import _core
from secateur.execution import Execution
from secateur.features import Features
from secateur.measures import COMPARATOR_TABLE, CUDA_COMPARATORS, METRIC_TABLE, SEARCH_TABLE, SEARCHES
from secateur.measures import COMPARATORS as OFFERED_COMPARATORS
from secateur.measures import METRICS as OFFERED_METRICS
from secateur.problem import Problem, compare
from secateur.targets import read_target

METRICS, COMPARATORS = _core.metrics(), _core.comparators()
ON_CUDA = CUDA_COMPARATORS
PACKAGE = Path(sc.__file__).parent
N, D, T = 9, 11, 2
SUBSET, ORDER = [1, 2, 5, 9, 10], np.random.default_rng(3).permutation(D)


def aligned(X, h, metric, comparator, device, close):
    expected = reference.alignment(X, h, metric, comparator, SUBSET)
    close(sc.alignment(X, h, metric, comparator, subset=SUBSET, device=device, kind="similarity"), expected)


def compared(X, h, metric, comparator, device, close):
    s = reference.similarity(X, metric)
    expected = reference.against_targets(s, h, None, comparator)
    close(compare(s, read_target(h, N, "similarity", None), comparator, 1), expected)


def left_out(X, h, metric, comparator, device, close):
    expected = reference.leave_one_out(X, h, metric, comparator)
    close(sc.leave_one_out(X, h, metric, comparator, device=device, kind="similarity"), expected)


def added(X, h, metric, comparator, device, close):
    expected = reference.add_one(X, h, SUBSET, metric, comparator)
    close(sc.add_one(X, h, SUBSET, metric, comparator, device=device, kind="similarity"), expected)


def inserted(X, h, metric, comparator, device, close):
    curve = sc.insertion_curve(X, h, ORDER, metric, comparator, device=device, kind="similarity")
    # one or two features make similarities that tie on paper
    cases.agree(curve, cases.prefixes(X, metric, ORDER), h, None, comparator, close.keywords["atol"])


def ranked(X, h, metric, comparator, device, close):
    found = sc.search.ranking(X, h, metric=metric, comparator=comparator, device=device, kind="similarity")
    for t in range(T):
        slow = reference.prune(X, h[t], metric, comparator)
        close(found.baseline[t], slow.baseline)
        close(found.importance[t], slow.importance)
        np.testing.assert_array_equal(found.order[t], reference.rank_features(found.importance[t]))
        prefixes = cases.prefixes(X, metric, found.order[t])
        cases.agree(found.curve[t], prefixes, h[t], None, comparator, close.keywords["atol"])
        length = reference.best_prefix(found.curve[t])
        np.testing.assert_array_equal(np.flatnonzero(found.support[t]), np.sort(found.order[t][:length]))


def held_out(X, h, metric, comparator, device, close):
    stimuli, kept = np.array([7, 1, 2, 8, 4, 0]), np.arange(T * D).reshape(T, D) % 3 > 0
    execution = Execution.resolved(device, 1)
    problem = Problem(Features(X), read_target(h, N, "similarity", None), metric, comparator, execution).load()
    scores, undefined = problem.held_out_alignment(stimuli, kept)
    for t in range(T):
        values = reference.among(h[t], stimuli, N)
        expected = reference.held_out_alignment(X[stimuli], values, metric, comparator, kept[t], np.ones(len(values)))
        close(scores[t], expected[0])
        assert undefined[t] == expected[1] == 0


# By the core's own functions that take a metric or a comparator; those without a comparator have tests of their own.
VERBS = {
    "compare": compared,
    "leave_one_out": left_out,
    "add_one": added,
    "insertion_curve": inserted,
    "ranking": ranked,
    "held_out_alignment": held_out,
}


def test_every_verb_of_the_core_is_here():
    found = {
        name
        for name, value in vars(_core).items()
        if callable(value)
        and not inspect.isclass(value)
        and "target: secateur._core.Targets" in value.__doc__.splitlines()[0]
    }
    assert found == set(VERBS)


@pytest.mark.parametrize(("metric", "comparator"), list(itertools.product(METRICS, COMPARATORS)))
def test_every_metric_with_every_comparator_in_every_verb(metric, comparator, device, device_tolerance):
    if device == "cuda" and comparator not in ON_CUDA:
        X, h = cases.embedding(N, D), cases.target(N, T)
        with pytest.raises(ValueError, match="on a CUDA device"):
            sc.leave_one_out(X, h, metric, comparator, device=device, kind="similarity")
        return

    close = partial(cases.close, atol=device_tolerance)
    X, h = cases.embedding(N, D), cases.target(N, T)
    for verb in (aligned, *VERBS.values()):
        verb(X, h, metric, comparator, device, close)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_similarities(metric, device, device_tolerance):
    X = cases.embedding(N, D)
    cases.close(sc.similarity(X, metric, subset=SUBSET), reference.similarity(X, metric, SUBSET))
    targets = read_target(cases.target(N), N, "similarity", None)
    whole = Problem(Features(X), targets, metric, "pearson", Execution.resolved(device, 1)).load().similarities()
    cases.close(whole, reference.similarity(X, metric), device_tolerance)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("comparator", COMPARATORS)
def test_every_metric_and_comparator_goes_through_folds(metric, comparator, device, device_tolerance):
    if device == "cuda" and comparator not in ON_CUDA:
        return  # refused, as above
    X, h = cases.embedding(12, 6), cases.target(12)
    halves = [(np.arange(6), np.arange(6, 12)), (np.arange(6, 12), np.arange(6))]
    pruner = sc.Pruner(metric, comparator, device=device, kind="similarity")
    found = sc.cross_validate(X, h, pruner, cv=halves, progress=False)
    slow = reference.cross_validate(X, h, halves, metric, comparator)
    for name in ("full_train", "full_test", "importance"):
        cases.close(np.asarray(found[name]).squeeze(), slow[name].squeeze(), device_tolerance)
    if device == "cuda":
        return  # a null is more of the same folds
    null = sc.permutation_test(X, h, n=1, pruner=pruner, cv=halves, progress=False)
    assert null.observed_pruned_test.item() == pytest.approx(found.pruned_test.mean().item(), abs=1e-12)


# What Python offers


def test_python_offers_what_the_core_lists():
    assert tuple(METRICS) == OFFERED_METRICS
    assert tuple(COMPARATORS) == OFFERED_COMPARATORS
    assert set(METRICS) == set(reference.METRICS)
    assert tuple(METRIC_TABLE) == tuple(METRICS)
    assert tuple(COMPARATOR_TABLE) == tuple(COMPARATORS)
    assert tuple(SEARCH_TABLE) == SEARCHES
    named = {
        "pearson",
        "cosine",
        "corr_cov",
        "cosine_cov",
        "spearman",
        "rho-a",
        "tau-a",
        "tau-b",
    }  # an added one may be
    assert named <= set(CUDA_COMPARATORS) <= set(COMPARATORS)


def test_study_files_take_every_metric():
    from secateur.study.config import Pruning

    assert set(get_args(get_type_hints(Pruning)["metric"])) == set(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_single_images_have_similarities_by_every_metric(metric):
    """Those of feature maps are Python's own, of one row with many."""
    feature_maps = pytest.importorskip("secateur.networks.feature_maps")
    X, Y = cases.embedding(N, D), cases.embedding(7, D)
    found = feature_maps._similarities_between(*(feature_maps._directed(one, metric) for one in (X, Y)), metric)
    whole = squareform(reference.similarity(np.concatenate([X, Y]), metric))
    cases.close(found, whole[:N, N:])


def test_a_metric_that_single_images_lack_is_refused(monkeypatch):
    from secateur import measures
    from secateur.networks import feature_maps

    row = measures.MetricRow("− Chebyshev distance", "distance", "largest")
    monkeypatch.setitem(measures.METRIC_TABLE, "dot", row)
    with pytest.raises(NotImplementedError, match="metric 'dot' adds 'largest'"):
        feature_maps._similarities_between(np.eye(3), np.eye(3), "dot")


@pytest.mark.parametrize("metric", METRICS)
def test_python_knows_which_metrics_need_a_direction(metric):
    """Searches, linkage, maps, feature maps and RDMs handed to rsatoolbox take 1 - s of these alone."""
    X = cases.embedding(N, D)
    X[3], X[4] = 0, 0.5
    assert np.isnan(sc.similarity(X, metric)).any() == METRIC_TABLE[metric].angular


def test_the_command_line_names_every_metric():
    from secateur.parameters import Pruning

    (option,) = (one.metadata for one in fields(Pruning) if one.name == "metric")
    assert set(re.findall(r"[a-z]+", option["help"].split(":")[1])) - {"or"} == set(METRICS)


@pytest.mark.parametrize(("argument", "names"), [("metric", METRICS), ("comparator", COMPARATORS)])
def test_the_core_refuses_what_it_does_not_list(argument, names):
    X, h = cases.embedding(N, D), np.atleast_2d(cases.target(N))
    terms = {"metric": "cosine", "comparator": "pearson", argument: "l3"}
    with pytest.raises(ValueError, match=f"{argument} must be one of '{names[0]}'.*'{names[-1]}'; got 'l3'"):
        _core.leave_one_out(X, _core.Targets(h), _core.Measures(**terms), np.arange(D), 1)


# A sum of absolute differences


@pytest.mark.parametrize("targets", [None, 13])
@pytest.mark.parametrize("comparator", ["pearson", "cosine", "spearman"])
@pytest.mark.parametrize("share", [10.0, 1e3, 1e5, 1e9])
def test_a_feature_that_is_nearly_all_of_a_cityblock_distance(share, comparator, targets, device, device_tolerance):
    """Without it, sums `share` times as large leave a rounding behind; past removal_guard they are made anew."""
    X, h = cases.embedding(16, 20), cases.target(16, targets)
    X[:, 7] *= share
    where = device if comparator in ON_CUDA else "cpu"
    actual = sc.leave_one_out(X, h, "cityblock", comparator, device=where, kind="similarity")
    exact = reference.leave_one_out(X, h, "cityblock", comparator, dtype=np.longdouble)
    cases.close(actual, exact.astype(float), device_tolerance)


def test_what_stimuli_have_in_common_is_no_cityblock_distance():
    X, h = np.round(cases.embedding(9, 25) * 2**20) / 2**20, cases.target(9, 3)
    shift = np.random.default_rng(1).integers(-(2**20), 2**20, 25).astype(float)  # exact in binary
    for verb in (sc.alignment, sc.leave_one_out):
        moved, own = (verb(x, h, "cityblock", kind="similarity") for x in (X + shift, X))
        np.testing.assert_array_equal(moved, own)
