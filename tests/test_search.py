"""The searches: every step against brute force, the bookkeeping of floating, limits, groups, Ctrl-C."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import threading
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, KFold

import cases
import reference
import secateur as sc
from secateur.search import SEARCHES, STEP, TIE, subset_at

SEQUENTIAL = ("forward", "backward", "floating", "floating-backward")
FORWARD = ("forward", "floating")
COMPARATORS = ("pearson", "cosine", "spearman")
EVERY = list(itertools.product(reference.METRICS, COMPARATORS))


def fit(X, h, metric="cosine", comparator="pearson", search="forward", **parameters):
    return sc.Pruner(metric, comparator, search=search, threads=1, progress=False, **parameters, kind="similarity").fit(
        X, h
    )


def floor(value):
    return -np.inf if np.isnan(value) else value


def first_best(values):
    """(key, value) of the highest, the first of equals; None where all are NaN. ``values``: in order of index."""
    top = max(floor(v) for v in values.values())
    return None if top == -np.inf else next((k, v) for k, v in values.items() if floor(v) >= top - 1e-11)


class BruteForce:
    """The searches from the definitions: sets of groups, every set scored anew."""

    def __init__(self, X, h, metric, comparator, labels=None):
        self.X, self.h, self.metric, self.comparator = X, h, metric, comparator
        labels = np.arange(X.shape[1]) if labels is None else np.asarray(labels)
        names = list(dict.fromkeys(labels.tolist()))
        self.members = [np.flatnonzero(labels == name) for name in names]
        self.scores = {}

    def columns(self, groups):
        return np.concatenate([np.zeros(0, int), *(self.members[g] for g in sorted(groups))])

    def size(self, groups):
        return sum(len(self.members[g]) for g in groups)

    def similarities(self, groups):
        return reference.similarity(self.X, self.metric, self.columns(groups))

    def score(self, groups):
        groups = frozenset(groups)
        if groups not in self.scores:
            s = self.similarities(groups)
            self.scores[groups] = reference.compare(s, self.h, None, self.comparator) if groups else np.nan
        return self.scores[groups]

    @property
    def all(self):
        return frozenset(range(len(self.members)))

    def ranking(self):
        """Groups by what is lost without them, NaN first, ties by index."""
        lost = {g: self.score(self.all) - self.score(self.all - {g}) for g in sorted(self.all)}
        return sorted(lost, key=lambda g: (0, 0, g) if np.isnan(lost[g]) else (1, -np.round(lost[g], 11), g))

    def undefined(self, groups):
        return int(np.isnan(self.similarities(groups)[~np.isnan(self.h)]).sum())

    def added(self, inside):
        return {g: self.score(inside | {g}) for g in sorted(self.all - inside)}

    def removed(self, inside):
        return {g: self.score(inside - {g}) for g in sorted(inside)}

    def row(self, g, action, inside):
        return (self.members[g][0] if g is not None else -1, action, self.score(inside), self.size(inside))

    def onward(self, inside, forward):
        """The set after one more step, and its row; None where there is none."""
        if len(inside) == (len(self.all) if forward else 1):
            return None
        best = first_best(self.added(inside) if forward else self.removed(inside))
        if best is None and not forward:
            return None
        if best is None:
            left = {g: self.undefined(inside | {g}) for g in self.all - inside}
            g = next(g for g in self.ranking() if left.get(g) == min(left.values()))
        else:
            g = best[0]
        inside = inside | {g} if forward else inside - {g}
        return inside, self.row(g, "add" if forward else "remove", inside)

    def greedy(self, forward):
        inside = frozenset() if forward else self.all
        path = [] if forward else [self.row(None, "start", inside)]
        while step := self.onward(inside, forward):
            inside, row = step
            path.append(row)
        return path

    def floating(self, forward):
        """Pudil et al.'s algorithm with the correction of Somol et al."""
        inside = frozenset() if forward else self.all
        path = [] if forward else [self.row(None, "start", inside)]
        best = {} if forward else {len(inside): inside}

        def better(groups):
            return len(groups) not in best or floor(self.score(groups)) > floor(self.score(best[len(groups)])) + TIE

        while step := self.onward(inside, forward):
            inside, row = step
            path.append(row)
            if not better(inside) and best[len(inside)] != inside:
                inside = best[len(inside)]
                path.append(self.row(None, "return", inside))
                continue
            best[len(inside)] = inside
            while len(inside) != (1 if forward else len(self.all)):
                back = first_best(self.removed(inside) if forward else self.added(inside))
                if back is None:
                    break
                other = inside - {back[0]} if forward else inside | {back[0]}
                if not better(other):
                    break
                inside = best[len(other)] = other
                path.append(self.row(back[0], "remove" if forward else "add", inside))
        return path

    def path(self, search):
        forward = search in FORWARD
        return self.floating(forward) if search.startswith("floating") else self.greedy(forward)


def same_path(path, expected, atol=1e-10):
    expected = np.array(expected, dtype=STEP)
    for name in ("action", "feature", "count"):
        np.testing.assert_array_equal(path[name], expected[name], err_msg=name)
    np.testing.assert_allclose(path["alignment"], expected["alignment"], atol=atol, rtol=0)


def same(one, other):
    for name in ("support_", "importance_", "order_", "curve_", "path_", "alignment_", "baseline_", "interrupted_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def consistent(pruner, search, d, labels=None, low=1, high=None):
    """What holds of the attributes, whatever the search found."""
    path, high = pruner.path_, d if high is None else high
    assert path.dtype == STEP
    np.testing.assert_array_equal(np.sort(pruner.order_), np.arange(d))
    k = pruner.n_features_
    assert low <= k <= high
    np.testing.assert_array_equal(np.sort(pruner.order_[:k]), np.flatnonzero(pruner.support_))
    curve = np.full(d, np.nan)
    for step, row in enumerate(path):
        present = subset_at(path, d, step, labels)
        assert present.sum() == row["count"]
        if step < len(path) - 1:
            np.testing.assert_array_equal(present, subset_at(path, d, step - len(path), labels))
        curve[row["count"] - 1] = np.fmax(curve[row["count"] - 1], row["alignment"])
    np.testing.assert_array_equal(pruner.curve_, curve)
    if search not in ("parsimonious", "stable"):  # which have rules of their own
        allowed = curve[low - 1 : high]
        assert pruner.alignment_ == pytest.approx(np.nanmax(allowed), abs=2 * TIE)
        assert k == low + int(np.flatnonzero(np.nan_to_num(allowed, nan=-np.inf) >= np.nanmax(allowed) - TIE)[0])
    chosen = [s for s, row in enumerate(path) if row["count"] == k and row["alignment"] == pruner.alignment_]
    assert any(np.array_equal(subset_at(path, d, s, labels), pruner.support_) for s in chosen)
    assert pruner.interrupted_ is False


# Every step


@pytest.mark.parametrize("search", SEQUENTIAL)
@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_each_step_is_the_best_of_all(metric, comparator, search):
    n, d = 8, 11
    X, h = cases.embedding(n, d), cases.target(n, None, "same")
    pruner = fit(X, h, metric, comparator, search)
    consistent(pruner, search, d)
    everything = np.ones(d, bool)
    inside = np.zeros(d, bool) if search in FORWARD else everything
    seen = {}
    for step, row in enumerate(pruner.path_):
        after = subset_at(pruner.path_, d, step)
        value, action = row["alignment"], row["action"]
        if action in ("add", "remove"):
            values = (
                sc.add_one(X, h, inside, metric, comparator, threads=1, kind="similarity")
                if action == "add"
                else sc.leave_one_out(X, h, metric, comparator, subset=inside, threads=1, kind="similarity")
            )
            values = np.where(inside != (action == "add"), values, np.nan)
            if not np.isnan(values).all():
                assert row["feature"] == np.flatnonzero(values >= np.nanmax(values) - TIE)[0]
                assert values[row["feature"]] == value
            assert (inside ^ after).sum() == 1
            assert after[row["feature"]] == (action == "add")
        problem = cases.disagreement(value, reference.similarity(X, metric, after), h, None, comparator, metric=metric)
        assert problem is None, f"step {step}: {problem}"
        onward = action == ("add" if search in FORWARD else "remove")
        if action in ("add", "remove") and not onward:
            assert value > seen.get(row["count"], -np.inf) + TIE  # a step back has its reason
        if action == "return":
            assert value == seen[row["count"]]
            assert not np.array_equal(inside, after)
        seen[row["count"]] = max(seen.get(row["count"], -np.inf), floor(value))
        inside = after
    assert pruner.path_["count"][-1] == (d if search in FORWARD else 1) or metric == "correlation"


@pytest.mark.parametrize("search", SEQUENTIAL)
@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_the_path_of_brute_force(metric, comparator, search):
    X, h = cases.embedding(8, 7, seed=1), cases.target(8, None, "none", seed=1)
    same_path(fit(X, h, metric, comparator, search).path_, BruteForce(X, h, metric, comparator).path(search))


@pytest.mark.parametrize(
    ("search", "metric", "seeds"),
    [
        ("floating", "correlation", (0, 20, 24, 59)),
        ("floating", "cosine", (83, 1, 2)),
        ("floating-backward", "correlation", (2, 7, 25)),
        ("floating-backward", "cosine", (1, 2, 83)),
    ],
)
def test_the_bookkeeping_of_floating(search, metric, seeds):
    """Paths that go back and that return to the best of a size, as the plain algorithm takes them."""
    actions = set()
    for seed in seeds:
        X, h = cases.embedding(7, 14, seed=seed), cases.target(7, seed=seed)
        pruner = fit(X, h, metric, search=search)
        same_path(pruner.path_, BruteForce(X, h, metric, "pearson").path(search))
        consistent(pruner, search, 14)
        actions |= set(pruner.path_["action"].tolist())
    assert {"add", "remove", "return"} <= actions


@pytest.mark.parametrize("search", SEQUENTIAL)
def test_no_search_beats_all_subsets(search):
    X, h = cases.embedding(7, 8, seed=3), cases.target(7, seed=3)
    brute = BruteForce(X, h, "cosine", "pearson")
    best = max(floor(brute.score(s)) for k in range(1, 9) for s in itertools.combinations(range(8), k))
    pruner = fit(X, h, search=search)
    assert pruner.alignment_ <= best + 1e-10
    assert pruner.alignment_ > pruner.baseline_
    assert pruner.alignment_ == pytest.approx(brute.score(np.flatnonzero(pruner.support_)), abs=1e-10)


@pytest.mark.parametrize("search", SEQUENTIAL)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_equal_features_go_by_index(metric, search):
    X, h = cases.embedding(9, 24), cases.target(9)
    twins = [1, 12, 23]
    X[:, twins] = X[:, [1]]
    path = fit(X, h, metric, search=search).path_
    inside = set(range(24)) if search not in FORWARD else set()
    for step, row in enumerate(path):
        if row["feature"] in twins:
            free = set(twins) - inside if row["action"] == "add" else set(twins) & inside
            assert row["feature"] == min(free)
        inside = set(np.flatnonzero(subset_at(path, 24, step)))


@pytest.mark.parametrize("search", SEQUENTIAL)
def test_a_planted_subset_is_found(search):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 60))
    planted = [3, 17, 18, 42, 59]
    h = reference.similarity(X, "cosine", planted) + 0.01 * rng.normal(size=435)
    pruner = fit(X, h, search=search)
    assert np.flatnonzero(pruner.support_).tolist() == planted
    assert pruner.alignment_ > 0.99
    assert sorted(pruner.order_[:5]) == planted
    small = fit(X, h, search=search, max_features=3)
    assert set(np.flatnonzero(small.support_)) <= set(planted)


# Nothing is defined yet


def sparse(seed=0):
    """Features that say something of a few stimuli each: no direction until they are covered."""
    rng = np.random.default_rng(seed)
    X = np.maximum(rng.normal(-1.2, 1, (10, 14)), 0)
    X[np.arange(10), rng.integers(14, size=10)] += 0.5
    return X


@pytest.mark.parametrize("missing", ["none", "same", "stimulus"])
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_while_nothing_is_defined_the_fewest_undefined_pairs_win(metric, missing):
    waits = 0
    for seed in range(6):
        X, h = sparse(seed), cases.target(10, None, missing, seed)
        path = fit(X, h, metric).path_
        same_path(path, BruteForce(X, h, metric, "pearson").greedy(True))
        waits += np.isnan(path["alignment"]).sum()
    assert waits > 12


def test_a_single_feature_has_no_correlation():
    X, h = cases.embedding(9, 12), cases.target(9)
    pruner = fit(X, h, "correlation")
    ranking = sc.Pruner("correlation", threads=1, kind="similarity").fit(X, h)
    assert pruner.order_[0] == ranking.order_[0]
    assert np.isnan(pruner.curve_[0])
    assert np.isnan(pruner.importance_[pruner.order_[:2]]).tolist() == [True, True]  # nothing before, nothing after
    assert not np.isnan(pruner.importance_[pruner.order_[2:]]).any()
    with pytest.raises(ValueError, match=r"max_features and min_features must allow a set .* got 1 and 1"):
        fit(X, h, "correlation", max_features=1)
    with pytest.raises(ValueError, match="max_features and min_features must allow a set"):
        sc.Pruner("correlation", max_features=1, kind="similarity").fit(X, h)


def test_equal_cosines_are_no_alignment():
    """One positive feature makes all cosines 1: defined pairs, no alignment; the ranking decides."""
    X, h = np.abs(cases.embedding(9, 12)) + 0.1, cases.target(9)
    pruner = fit(X, h)
    assert np.isnan(pruner.curve_[0])
    assert pruner.order_[0] == sc.Pruner(threads=1, kind="similarity").fit(X, h).order_[0]


def test_backward_ends_where_every_removal_is_undefined():
    h, X = cases.target(8), np.zeros((8, 11))
    X[:, :8] = np.eye(8)
    X[:3, 8:] = cases.embedding(3, 3)
    for search in ("backward", "floating-backward"):
        pruner = fit(X, h, search=search)
        assert {3, 4, 5, 6, 7} <= set(np.flatnonzero(pruner.support_))
        assert not np.isnan(pruner.path_["alignment"]).any()
        assert pruner.path_["count"].min() >= 6
        assert set(pruner.order_[:5]) == {3, 4, 5, 6, 7}  # never removed: by the ranking, indispensable first
        consistent(pruner, search, 11)


# Limits


@pytest.mark.parametrize("search", SEARCHES)
def test_max_and_min_features(search):
    X, h = cases.embedding(16, 20), cases.target(16)
    for low, high in ((1, 4), (6, None), (5, 5), (20, 20), (12, 15)):
        pruner = fit(X, h, search=search, min_features=low, max_features=high)
        consistent(pruner, search, 20, None, low, high)
        full = fit(X, h, search=search).path_
        if search in SEQUENTIAL:  # a limit cuts the path, it doesn't bend it
            cut = pruner.path_ if search in ("forward", "backward") else pruner.path_[:1]
            np.testing.assert_array_equal(cut, full[: len(cut)])
            assert pruner.path_["count"][-1] == (20 if high is None else high) or search not in FORWARD
            assert pruner.path_["count"][-1] == low or search in FORWARD


def test_tol():
    X, h = cases.embedding(16, 20), cases.target(16)
    path = fit(X, h).path_
    gains = np.diff(path["alignment"])
    for tol in (0.05, 0.01, 0.0, -0.02):
        stop = int(np.flatnonzero(gains < tol)[0]) + 1
        np.testing.assert_array_equal(fit(X, h, tol=tol).path_, path[:stop])
        later = next((s + 1 for s in np.flatnonzero(gains < tol) if s + 1 >= 15), 20)
        np.testing.assert_array_equal(fit(X, h, tol=tol, min_features=15).path_, path[:later])
    path = fit(X, h, search="backward").path_
    gains = np.diff(path["alignment"])
    for tol in (0.005, 0.0, -0.02):
        stop = int(np.flatnonzero(gains < tol)[0]) + 1
        np.testing.assert_array_equal(fit(X, h, search="backward", tol=tol).path_, path[:stop])
        later = next(s + 1 for s in np.flatnonzero(gains < tol) if path["count"][s] <= 4)
        np.testing.assert_array_equal(fit(X, h, search="backward", tol=tol, max_features=4).path_, path[:later])


@pytest.mark.parametrize("search", ["forward", "backward"])
def test_patience(search):
    X, h = cases.embedding(16, 40), cases.target(16)
    path = fit(X, h, search=search).path_
    for patience in (1, 2, 5, 100):
        best, idle, end = -np.inf, 0, len(path)
        for s, value in enumerate(path["alignment"]):
            better = floor(value) > best + TIE
            idle = 0 if better else idle + (best > -np.inf)
            best = max(best, floor(value))
            if idle == patience:
                end = s + 1
                break
        assert end < len(path) or patience >= 5
        pruner = fit(X, h, search=search, patience=patience)
        np.testing.assert_array_equal(pruner.path_, path[:end])
        assert pruner.path_["alignment"].max() == pruner.alignment_


def test_patience_waits_for_the_limits():
    X, h = cases.embedding(16, 40), cases.target(16)
    assert len(fit(X, h, patience=1, min_features=30).path_) >= 30
    backward = fit(X, h, search="backward", patience=1, max_features=3)
    assert backward.n_features_ <= 3
    np.testing.assert_array_equal(backward.path_, fit(X, h, search="backward").path_[: len(backward.path_)])


@pytest.mark.parametrize("search", ["floating", "floating-backward"])
def test_floating_with_tol_and_patience(search):
    X, h = cases.embedding(10, 30, seed=2), cases.target(10, seed=2)
    path = fit(X, h, search=search).path_
    best, furthest, idle = -np.inf, 0 if search == "floating" else 30, 0
    for end, row in enumerate(path):  # noqa: B007
        further = row["count"] > furthest if search == "floating" else row["count"] < furthest
        furthest = row["count"] if further else furthest
        idle = 0 if floor(row["alignment"]) > best + TIE else idle + bool(further and best > -np.inf)
        best = max(best, floor(row["alignment"]))
        if idle == 2:
            break
    patient = fit(X, h, search=search, patience=2).path_
    assert patient["action"][end] in ("add", "remove")
    assert end + 1 <= len(patient) < len(path)
    assert set(patient["action"][end + 1 :]) <= {"return", "remove" if search == "floating" else "add"}
    for parameters in ({"patience": 2}, {"tol": 0.0}):
        short = fit(X, h, search=search, **parameters)
        assert 1 < len(short.path_) < len(path)
        np.testing.assert_array_equal(short.path_, path[: len(short.path_)])
        consistent(short, search, 30)


@pytest.mark.parametrize("search", SEARCHES)
def test_what_a_search_does_not_use_changes_nothing(search):
    X, h = cases.embedding(16, 20), cases.target(16)
    by_ranking = {"tol": 0.5, "patience": 1}
    unused = {"half_samples": 7, "threshold": 0.9, "max_false": 3.0}
    unused |= by_ranking if search in ("ranking", "parsimonious") else {"inner_cv": 3, "seed": 9}
    unused = {**by_ranking, "inner_cv": 3} if search == "stable" else unused
    same(fit(X, h, search=search), fit(X, h, search=search, **unused))


# Groups


@pytest.mark.parametrize("search", SEQUENTIAL)
@pytest.mark.parametrize(
    ("metric", "comparator"), [("dot", "pearson"), ("sqeuclidean", "cosine"), ("euclidean", "spearman")]
)
def test_groups_as_brute_force(metric, comparator, search):
    labels = np.array(["b", "a", "b", "c", "d", "a", "e", "b", "f", "g", "g"])
    X, h = cases.embedding(8, 11), cases.target(8, None, "same")
    pruner = fit(X, h, metric, comparator, search, feature_groups=labels)
    same_path(pruner.path_, BruteForce(X, h, metric, comparator, labels).path(search))
    consistent(pruner, search, 11, labels)
    for label in "abcdefg":
        assert len(set(pruner.support_[labels == label])) == 1
        assert len(set(pruner.importance_[labels == label])) == 1


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_groups_without_direction(metric):
    labels = np.arange(14) // 2
    for seed in range(4):
        X, h = sparse(seed), cases.target(10, seed=seed)
        for search in ("forward", "backward"):
            pruner = fit(X, h, metric, search=search, feature_groups=labels)
            same_path(pruner.path_, BruteForce(X, h, metric, "pearson", labels).path(search))


@pytest.mark.parametrize("search", SEARCHES)
def test_groups_of_one_are_no_groups(search):
    X, h = cases.embedding(16, 20), cases.target(16)
    labels = [f"node {k}" for k in np.random.default_rng(0).permutation(20)]
    same(fit(X, h, search=search), fit(X, h, search=search, feature_groups=labels))
    same(fit(X, h, search=search), fit(X, h, search=search, feature_groups=np.array(labels, dtype=object)))


@pytest.mark.parametrize("search", SEARCHES)
def test_limits_of_groups_count_features(search):
    X, h = cases.embedding(16, 20), cases.target(16)
    labels = np.repeat([0, 1, 2, 3, 4, 5], [5, 1, 2, 7, 2, 3])
    pruner = fit(X, h, search=search, feature_groups=labels, min_features=3, max_features=9)
    consistent(pruner, search, 20, labels, 3, 9)
    with pytest.raises(ValueError, match="max_features and min_features must allow a set"):
        fit(X, h, search=search, feature_groups=np.repeat([0, 1], 10), max_features=9)


def test_ranking_of_groups():
    labels = np.array([2, 0, 2, 1, 3, 0, 4, 2, 5, 6, 6])
    X, h = cases.embedding(8, 11), cases.target(8)
    brute = BruteForce(X, h, "cosine", "pearson", labels)
    pruner = fit(X, h, search="ranking", feature_groups=labels)
    order = brute.ranking()
    np.testing.assert_array_equal(pruner.order_, np.concatenate([brute.members[g] for g in order]))
    curve = [brute.score(order[: k + 1]) for k in range(len(order))]
    np.testing.assert_allclose(pruner.path_["alignment"], curve, atol=1e-10)
    np.testing.assert_array_equal(pruner.path_["feature"], [brute.members[g][0] for g in order])
    best = order[: int(np.nanargmax(curve)) + 1]
    np.testing.assert_array_equal(np.flatnonzero(pruner.support_), np.sort(brute.columns(best)))
    lost = np.array([brute.score(brute.all) - brute.score(brute.all - {g}) for g in sorted(brute.all)])
    of = np.array([next(g for g, m in enumerate(brute.members) if k in m) for k in range(11)])
    np.testing.assert_allclose(pruner.importance_, lost[of], atol=1e-10)
    consistent(pruner, "ranking", 11, labels)


# Importance and order


def test_importance_of_a_forward_search_is_what_an_entry_added():
    X, h = cases.embedding(16, 20), cases.target(16)
    pruner = fit(X, h, "dot", max_features=6)
    path = pruner.path_
    np.testing.assert_array_equal(pruner.order_[:6], path["feature"])
    np.testing.assert_allclose(pruner.importance_[path["feature"]], np.diff(path["alignment"], prepend=0))
    left = np.setdiff1d(np.arange(20), path["feature"])
    assert (pruner.importance_[left] == 0).all()
    ranking = sc.Pruner("dot", threads=1, kind="similarity").fit(X, h).order_
    np.testing.assert_array_equal(pruner.order_[6:], [k for k in ranking if k in left])


def test_importance_and_order_of_a_backward_search():
    X, h = cases.embedding(16, 20), cases.target(16)
    ranking = sc.Pruner(threads=1, kind="similarity").fit(X, h)
    for search in ("backward", "floating-backward"):
        np.testing.assert_array_equal(fit(X, h, search=search).importance_, ranking.importance_)
    pruner = fit(X, h, search="backward", min_features=5)
    removed = pruner.path_["feature"][1:]
    np.testing.assert_array_equal(pruner.order_[5:], removed[::-1])
    never = np.setdiff1d(np.arange(20), removed)
    np.testing.assert_array_equal(pruner.order_[:5], [k for k in ranking.order_ if k in never])


# Parsimonious


KINDS = np.random.default_rng(3).permutation(np.arange(20) % 7)  # of stimuli


@pytest.mark.parametrize(
    ("inner_cv", "seed", "labels", "kinds"),
    [(5, 0, None, None), (3, 4, None, None), (4, 1, np.arange(20) // 3, None), (3, 1, None, KINDS)],
)
def test_parsimonious_as_defined(inner_cv, seed, labels, kinds):
    X, h = cases.embedding(20, 20), cases.target(20)
    square = np.zeros((20, 20))
    square[np.triu_indices(20, 1)] = h
    square += square.T
    brute = BruteForce(X, h, "cosine", "pearson", labels)
    curves = []
    kind = KFold if kinds is None else GroupKFold
    for train, test in kind(inner_cv, shuffle=True, random_state=seed).split(X, groups=kinds):
        sides = [BruteForce(X[s], square[np.ix_(s, s)][np.triu_indices(len(s), 1)], "cosine", "pearson", labels)
                 for s in (train, test)]  # fmt: skip
        order = sides[0].ranking()
        curves.append([sides[1].score(order[: k + 1]) for k in range(len(order))])
    mean, error = np.mean(curves, axis=0), np.std(curves, axis=0, ddof=1) / np.sqrt(inner_cv)
    best = int(np.nanargmax(mean))
    length = int(np.flatnonzero(mean >= mean[best] - error[best])[0]) + 1
    pruner = sc.Pruner(search="parsimonious", inner_cv=inner_cv, seed=seed, feature_groups=labels, kind="similarity")
    pruner.fit(X, h, groups=kinds)
    np.testing.assert_array_equal(np.flatnonzero(pruner.support_), np.sort(brute.columns(brute.ranking()[:length])))
    ranking = fit(X, h, search="ranking", feature_groups=labels)
    np.testing.assert_array_equal(pruner.curve_, ranking.curve_)
    np.testing.assert_array_equal(pruner.order_, ranking.order_)
    assert pruner.alignment_ == pruner.curve_[pruner.n_features_ - 1]


def test_parsimonious_keeps_no_more_for_noise():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(40, 60))
    h = reference.similarity(X, "cosine", np.arange(6)) + 0.3 * rng.normal(size=780)
    small, full = fit(X, h, search="parsimonious"), fit(X, h, search="ranking")
    assert small.n_features_ <= full.n_features_
    assert set(np.flatnonzero(small.support_)) <= set(np.flatnonzero(full.support_))


def test_parsimonious_leaves_out_inner_folds_without_a_score():
    X, h = cases.embedding(15, 12), cases.target(15)
    square = np.full((15, 15), np.nan)
    square[np.triu_indices(15, 1)] = h
    first = next(iter(KFold(5, shuffle=True, random_state=0).split(X)))[1]
    square[np.ix_(first, first)] = np.nan
    fit(X, square[np.triu_indices(15, 1)], search="parsimonious")
    for _, test in KFold(5, shuffle=True, random_state=0).split(X):
        square[np.ix_(test, test)] = np.nan
    with pytest.raises(
        ValueError, match=r"inner_cv must leave at least 2 inner folds with a score .* got 0 scored of 5"
    ):
        fit(X, square[np.triu_indices(15, 1)], search="parsimonious")


def test_inner_folds_keep_groups_whole(monkeypatch):
    """In every fold of a cross-validation, its relabellings and a transfer, the groups are those of its stimuli."""
    X, h = cases.embedding(20, 12), cases.target(20)
    seen = []
    real = sc.pruning.ranking.shuffled_folds

    def watched(n, count, seed, groups=None):
        seen.append(groups)
        return real(n, count, seed, groups)

    monkeypatch.setattr(sc.pruning.ranking, "shuffled_folds", watched)
    of, folds = np.arange(20) // 2, [(np.arange(4, 20), np.arange(4)), (np.arange(16), np.arange(16, 20))]
    pruner = sc.Pruner(search="parsimonious", inner_cv=3)
    how = {"pruner": pruner, "cv": folds, "groups": of, "progress": False, "kind": "similarity"}
    for call in (sc.cross_validate, lambda *a, **k: sc.permutation_test(*a, n=1, **k), sc.transfer):
        seen.clear()
        call(X, h, **how)
        assert len(seen) == 2
        for (train, _), given in zip(folds, seen, strict=True):
            np.testing.assert_array_equal(given, of[train])
    seen.clear()
    sc.timecourse.prune(X, h[None, None], **how)
    np.testing.assert_array_equal(seen[0], of[folds[0][0]])
    np.testing.assert_array_equal(seen[1], of[folds[1][0]])
    seen.clear()
    sc.search.parsimonious(X, h, groups=of, inner_cv=4, kind="similarity")
    np.testing.assert_array_equal(seen[0], of)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(19), r"groups must have one entry for each of 20 stimuli, got shape \(19,\)"),
        (np.arange(20) // 5, "inner_cv must be at most the number of groups of the training stimuli, 4, got 5"),
        (np.minimum(np.arange(20), 4), r"inner_cv must leave at least 3 of the 20 .*, got 1 with 5 folds of whole"),
    ],
)
def test_groups_that_inner_folds_cannot_keep(groups, message):
    pruner = sc.Pruner(search="parsimonious", kind="similarity")
    with pytest.raises(ValueError, match=message):
        pruner.fit(cases.embedding(20, 12), cases.target(20), groups=groups)


# Ctrl-C


def interrupt_after(monkeypatch, calls, name="add_one"):
    """Make the core raise SIGINT in a call of ours."""
    real, count = getattr(sc.problem._core, name), itertools.count(1)

    def step(*arguments):
        if next(count) > calls:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(sc.problem._core, name, step)


@pytest.mark.parametrize(
    ("search", "name"), [("forward", "add_one"), ("floating", "add_one"), ("backward", "leave_one_out")]
)
def test_an_interrupted_fit_keeps_the_best_until_then(monkeypatch, search, name):
    X, h = cases.embedding(16, 30), cases.target(16)
    full = fit(X, h, search=search)
    interrupt_after(monkeypatch, 8, name)
    with pytest.warns(
        sc.SearchInterrupted, match=rf"the {search} search was interrupted after \d+ steps: the best set"
    ):
        pruner = fit(X, h, search=search)
    assert pruner.interrupted_ is True
    steps = len(pruner.path_)
    assert 5 <= steps < len(full.path_)
    np.testing.assert_array_equal(pruner.path_, full.path_[:steps])
    assert pruner.alignment_ == np.nanmax(pruner.path_["alignment"])
    best = int(np.nanargmax(pruner.path_["alignment"]))
    np.testing.assert_array_equal(pruner.support_, subset_at(full.path_, 30, best))
    np.testing.assert_array_equal(np.sort(pruner.order_[: pruner.n_features_]), np.flatnonzero(pruner.support_))
    assert pruner.transform(X).shape == (16, pruner.n_features_)


def test_an_interrupt_before_anything_is_known_goes_on(monkeypatch):
    X, h = cases.embedding(16, 30), cases.target(16)
    interrupt_after(monkeypatch, 0)
    pruner = sc.Pruner(search="forward", threads=1, kind="similarity")
    with pytest.raises(KeyboardInterrupt):
        pruner.fit(X, h)
    with pytest.raises(NotFittedError):
        pruner.get_support()


@pytest.mark.parametrize("search", ["forward", "ranking"])
def test_whole_procedures_do_not_mix_whole_and_half_searches(monkeypatch, search):
    X, h = cases.embedding(16, 30), cases.target(16)
    verb = {"forward": "add_one", "ranking": "ranking"}.get(search, "insertion_curve")
    interrupt_after(monkeypatch, 8 if search == "forward" else 0, verb)
    pruner = sc.Pruner(search=search, threads=1)
    with pytest.raises(KeyboardInterrupt):
        sc.cross_validate(X, h, pruner, cv=3, progress=False, kind="similarity")
    with pytest.raises(KeyboardInterrupt):
        sc.permutation_test(X, h, 3, pruner, cv=3, progress=False, kind="similarity")


def test_a_real_interrupt():
    """A signal from outside, most likely while the core computes."""
    X, h = cases.embedding(48, 3000), cases.target(48)
    fit(X[:, :50], h)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.warns(sc.SearchInterrupted):
        pruner = fit(X, h)
    timer.join()
    assert 1 < len(pruner.path_) < 3000


# Beside the rest of the house


@pytest.mark.parametrize("search", SEARCHES)
def test_many_targets_are_one_at_a_time(search):
    X, h = cases.embedding(16, 20), cases.target(16, 3, "different")
    weights = cases.weights(h.shape, "own", "pearson")
    features, targets = sc.features.Features(X), sc.targets.read_target(h, 16, "similarity", weights)
    pruner = sc.Pruner(kind="similarity", search=search, inner_cv=3, threads=1, progress=False)
    pruned = pruner.prune(features, targets)
    for t in range(3):
        alone = clone(pruner).fit(X, h[t], weights=weights[t])
        np.testing.assert_array_equal(pruned.support[t], alone.support_)
        np.testing.assert_array_equal(pruned.order[t], alone.order_)
        np.testing.assert_allclose(pruned.importance[t], alone.importance_, atol=1e-12)
        np.testing.assert_allclose(pruned.curve[t], alone.curve_, atol=1e-12)
        np.testing.assert_array_equal(pruned.paths[t]["feature"], alone.path_["feature"])
        assert pruned.alignment[t] == pytest.approx(alone.alignment_, abs=1e-12)
        assert pruned.baseline[t] == pytest.approx(alone.baseline_, abs=1e-12)


@pytest.mark.parametrize("labels", [None, np.arange(20) // 2])
@pytest.mark.parametrize("search", SEARCHES)
def test_cross_validation_and_its_null(search, labels):
    X, h = cases.embedding(24, 20), cases.target(24, 2)
    pruner = sc.Pruner(kind="similarity", search=search, max_features=6, inner_cv=3, feature_groups=labels, threads=1)
    result = sc.cross_validate(X, h, pruner, cv=3, progress=False)
    assert dict(result.sizes)["target"] == 2
    assert (result.n_kept <= 6).all()
    assert result.attrs["search"] == search
    for t, f in itertools.product(range(2), range(3)):
        train = np.flatnonzero(~result.test.values[f])
        square = np.zeros((24, 24))
        square[np.triu_indices(24, 1)] = h[t]
        square += square.T
        alone = clone(pruner).fit(X[train], square[np.ix_(train, train)][np.triu_indices(len(train), 1)])
        np.testing.assert_array_equal(result.kept.values[t, f], alone.support_)
        np.testing.assert_allclose(result.curve.values[t, f], alone.curve_, atol=1e-12)
        assert result.pruned_train.values[t, f] == pytest.approx(alone.alignment_, abs=1e-12)
    null = sc.permutation_test(X, h, 2, pruner, cv=3, progress=False)
    np.testing.assert_allclose(null.observed_pruned_test, result.pruned_test.mean("fold"), atol=1e-12)


@pytest.mark.parametrize("search", SEARCHES)
def test_the_same_for_any_number_of_threads(search):
    X, h = cases.embedding(33, 65), cases.target(33)
    for labels in (None, np.arange(65) // 8):
        pruner = sc.Pruner(kind="similarity", search=search, feature_groups=labels, max_features=20, progress=False)
        one, two = (clone(pruner).set_params(threads=threads).fit(X, h) for threads in (1, 2))
        same(one, two)


def test_clone_and_pickle():
    X, h = cases.embedding(16, 20), cases.target(16)
    pruner = fit(X, h, search="floating", feature_groups=np.arange(20) // 2, max_features=8, patience=3, tol=-0.1)
    same(pruner, clone(pruner).fit(X, h))
    same(pruner, pickle.loads(pickle.dumps(pruner)))
    parameters = sc.Pruner().get_params()
    defaults = {"max_features": None, "min_features": 1, "tol": None, "patience": None, "feature_groups": None}
    defaults |= {"inner_cv": 5, "seed": 0, "progress": True}
    assert {name: parameters[name] for name in defaults} == defaults


@pytest.mark.parametrize("shown", [True, False])
def test_the_bar(monkeypatch, shown):
    import tqdm.auto

    bars, real = [], tqdm.auto.tqdm

    def bar(*arguments, **keywords):
        bars.append(keywords)
        return real(*arguments, **keywords)

    monkeypatch.setattr(tqdm.auto, "tqdm", bar)
    monkeypatch.setattr("secateur.progress.in_log", lambda: False)
    X, h = cases.embedding(16, 20), cases.target(16)
    sc.Pruner(search="floating", threads=1, progress=shown, kind="similarity").fit(X, h)
    sc.Pruner(search="floating", threads=1, progress=True).prune(
        sc.features.Features(X), sc.targets.read_target(h, 16, kind="similarity")
    )  # of many: no bar of its own
    assert [(b["total"], b["delay"], b["disable"]) for b in bars] == [(20, 2, not shown), (20, 2, True)]


# Refusals


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"search": "sideways"}, "search must be one of 'ranking', 'parsimonious', .*got 'sideways'"),
        ({"max_features": 0}, "max_features must be an integer of at least 1 or None, got 0"),
        ({"max_features": 2.0}, "max_features must be an integer of at least 1 or None, got 2.0"),
        ({"max_features": 21}, "max_features must be at most the 20 features of X, got 21"),
        ({"min_features": 0}, "min_features must be an integer of at least 1, got 0"),
        ({"min_features": None}, "min_features must be an integer of at least 1, got None"),
        ({"min_features": 21}, "min_features must be at most the 20 features of X, got 21"),
        ({"min_features": 5, "max_features": 4}, r"max_features must not be below min_features \(5\), got 4"),
        ({"patience": 0}, "patience must be an integer of at least 1 or None, got 0"),
        ({"patience": True}, "patience must be an integer of at least 1 or None, got True"),
        ({"tol": np.nan}, "tol must be a finite number or None, got nan"),
        ({"tol": "small"}, "tol must be a finite number or None, got 'small'"),
        ({"inner_cv": 1}, "inner_cv must be an integer of at least 2, got 1"),
        ({"seed": -1}, "seed must be an integer from 0 to 4294967295, got -1"),
        (
            {"search": "parsimonious", "inner_cv": 6},
            "inner_cv must leave at least 3 of the 16 training stimuli .*got 6",
        ),
        (
            {"feature_groups": np.zeros(19, int)},
            r"feature_groups must have one entry for each of 20 .*got shape \(19,\)",
        ),
        ({"feature_groups": np.zeros((20, 1), int)}, r"feature_groups must have one entry .*got shape \(20, 1\)"),
    ],
)
def test_refusals(parameters, message):
    X, h = cases.embedding(16, 20), cases.target(16)
    pruner = sc.Pruner(**{"search": "forward", **parameters}, kind="similarity")
    with pytest.raises(ValueError, match=message):
        pruner.fit(X, h)


@pytest.mark.parametrize("labels", [np.linspace(0, 1, 20), np.array([None] * 20), np.arange(20) + 1j])
def test_labels_of_groups_are_integers_or_strings(labels):
    X, h = cases.embedding(16, 20), cases.target(16)
    with pytest.raises(TypeError, match=r"feature_groups must hold (integers or strings|labels of one type), "):
        fit(X, h, feature_groups=labels)


def test_what_the_ranking_refuses_the_others_refuse():
    X, h = cases.embedding(16, 20), cases.target(16)
    for search in SEARCHES:
        with pytest.raises(ValueError, match="target must vary over the pairs"):
            fit(X, np.ones(120), search=search)
        with pytest.raises(ValueError, match="got stimulus 7 with features all zero or all equal"):
            fit(X * (np.arange(16) != 7)[:, None], h, search=search)


def test_steps_that_are_not_there():
    X, h = cases.embedding(16, 20), cases.target(16)
    path = fit(X, h).path_
    for step in (20, -21):
        with pytest.raises(ValueError, match=f"step must be one of the path's 20, got {step}"):
            subset_at(path, 20, step)


@pytest.mark.parametrize("name", sc.search.SEARCHES)
def test_searches_as_functions(name):
    """``sc.search.forward(X, target)`` and its like find what a Pruner does, for one target or several."""
    assert {"find", "ranking", "parsimonious", "forward", "backward", "floating"} <= set(sc.search.__all__)
    rng = np.random.default_rng(4)
    X = rng.normal(size=(18, 12))
    targets = np.stack([X[:, :4] @ X[:, :4].T, X[:, 4:7] @ X[:, 4:7].T])
    limits = {"max_features": 6, "inner_cv": 3}
    function = getattr(sc.search, name.split("-")[0], partial(sc.search.find, search=name))  # for all, find
    how = {"backward": True} if name == "floating-backward" else {}
    found = function(X, targets, metric="dot", **how, **limits)
    assert found.support.shape == (2, 12)
    for t, target in enumerate(targets):
        pruner = sc.Pruner(metric="dot", search=name, **limits).fit(X, target)
        np.testing.assert_array_equal(found.support[t], pruner.support_)
        np.testing.assert_array_equal(found.paths[t], pruner.path_)
    with pytest.raises(ValueError, match="max_features must be"):
        function(X, targets, max_features=0, **how)
    with pytest.raises(ValueError, match="kind must be"):
        function(X, targets, kind="distance", **how)
