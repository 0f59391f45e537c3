"""One set of features for several targets, and features that stay: against brute force, in every search."""

from __future__ import annotations

import numpy as np
import pytest

import cases
import reference
import secateur as sc
from secateur.search import SEARCHES, subset_at
from test_search import FORWARD, SEQUENTIAL, BruteForce, same_path

JOINTS = {"mean": np.mean, "min": np.min}
N, D, T = 9, 8, 3


class Joint(BruteForce):
    """Every set scored by the mean, or the smallest, of the targets' alignments."""

    def __init__(self, X, targets, metric, comparator, joint, labels=None):
        super().__init__(X, targets[0], metric, comparator, labels)
        self.targets, self.joint = targets, JOINTS[joint]

    def score(self, groups):
        groups = frozenset(groups)
        if groups not in self.scores:
            s = self.similarities(groups)
            own = [reference.compare(s, h, None, self.comparator) for h in self.targets]
            self.scores[groups] = self.joint(own) if groups else np.nan
        return self.scores[groups]


def fit(X, h, metric="cosine", comparator="pearson", search="ranking", **parameters):
    how = {"threads": 1, "progress": False, "kind": "similarity", "half_samples": 6, "inner_cv": 3}
    return sc.Pruner(metric, comparator, search=search, **{**how, **parameters}).fit(X, h)


def insertion(slow, order):
    """Alignments of the prefixes of an order of groups."""
    return np.array([slow.score(order[: k + 1]) for k in range(len(order))])


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize(
    ("metric", "comparator"), [("cosine", "pearson"), ("sqeuclidean", "spearman"), ("correlation", "cosine")]
)
def test_every_search_is_the_slow_one(joint, metric, comparator):
    X, targets = cases.embedding(N, D), cases.target(N, T)
    slow = Joint(X, targets, metric, comparator, joint)
    for search in SEQUENTIAL:
        pruner = fit(X, targets, metric, comparator, search, joint=joint)
        same_path(pruner.path_, slow.path(search))
    pruner = fit(X, targets, metric, comparator, joint=joint)
    assert pruner.order_.tolist() == slow.ranking()
    np.testing.assert_allclose(pruner.curve_, insertion(slow, slow.ranking()), atol=1e-10)
    assert pruner.alignment_ == pruner.curve_[pruner.n_features_ - 1] == np.nanmax(pruner.curve_)
    lost = [slow.score(slow.all) - slow.score(slow.all - {g}) for g in range(D)]
    np.testing.assert_allclose(pruner.importance_, lost, atol=1e-10)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("joint", JOINTS)
def test_the_alignments_of_each_target_go_with_the_joint_one(search, joint):
    X, targets = cases.embedding(18, 10), cases.target(18, T)
    pruner = fit(X, targets, search=search, joint=joint)
    kept = sc.alignment(X, targets, subset=pruner.support_, kind="similarity")
    np.testing.assert_allclose(pruner.alignments_, kept, atol=1e-12)
    np.testing.assert_allclose(pruner.baselines_, sc.alignment(X, targets, kind="similarity"), atol=1e-12)
    assert pruner.alignment_ == pytest.approx(JOINTS[joint](kept), abs=1e-12)
    assert pruner.baseline_ == pytest.approx(JOINTS[joint](pruner.baselines_), abs=1e-12)
    assert pruner.score(X, targets) == pytest.approx(pruner.alignment_, abs=1e-12)


@pytest.mark.parametrize("search", SEARCHES)
def test_one_target_jointly_is_that_target(search):
    X, h = cases.embedding(18, 10), cases.target(18)
    plain, joint = fit(X, h, search=search), fit(X, h, search=search, joint="min")
    np.testing.assert_array_equal(plain.support_, joint.support_)
    np.testing.assert_array_equal(plain.order_, joint.order_)
    np.testing.assert_allclose(plain.curve_, joint.curve_, atol=1e-12)


def test_with_controls_and_groups_of_features():
    X, targets = cases.embedding(12, 9), cases.target(12, T)
    control, labels = cases.target(12, seed=5), [0, 0, 1, 1, 2, 2, 3, 3, 4]
    pruner = fit_controlled = sc.Pruner(kind="similarity", joint="mean", feature_groups=labels, search="forward")
    fit_controlled.fit(X, targets, control=control)
    inside = np.zeros(9, dtype=bool)
    for step in pruner.path_:
        scores = {}
        for g in set(labels) - set(np.array(labels)[inside]):
            mask = inside | (np.array(labels) == g)
            scores[g] = sc.alignment(X, targets, subset=mask, kind="similarity", control=control).mean()
        best = max(scores, key=scores.get)
        assert labels[step["feature"]] == best
        assert step["alignment"] == pytest.approx(scores[best], abs=1e-10)
        inside |= np.array(labels) == best


def test_a_forward_search_begins_with_what_leaves_fewest_pairs_of_all_targets_undefined():
    X, targets = np.zeros((6, 3)), cases.target(6, 2)
    X[:4, 0], X[3:, 1], X[:, 2] = [1, 2, 1, 3], [2, 1, 4], [0, 0, 0, 1, 2, 3]
    X[:, 2] += X[:, 0] * 0.5 * (np.arange(6) == 0)
    targets[1, :9] = np.nan  # of the second target only the pairs of the last stimuli count
    counted = ~np.isnan(targets)
    i, j = np.triu_indices(6, 1)
    left = [sum((counted & ((X[i, k] == 0) | (X[j, k] == 0))).sum(axis=1)) for k in range(3)]
    pruner = fit(X, targets, search="forward", joint="mean")
    assert left[pruner.path_["feature"][0]] == min(left)


@pytest.mark.parametrize("comparator", ["pearson", "cosine", "corr_cov"])
@pytest.mark.parametrize("given", ["none", "shared", "own", "missing"])
def test_the_mean_is_that_of_the_alignments_whatever_the_weights(comparator, given):
    """Also where it is taken as the alignment with one target."""
    if comparator == "corr_cov" and given != "none":
        pytest.skip("whitened comparators take no weights")
    X, targets, rng = (
        cases.embedding(14, 8),
        cases.target(14, T) * np.array([[1], [50], [0.01]]),
        np.random.default_rng(0),
    )
    weights = {"none": None, "missing": None, "shared": rng.uniform(0.2, 2, 91), "own": rng.uniform(0.2, 2, (T, 91))}
    if given == "missing":
        targets[1, 4] = np.nan
    if given == "shared":
        weights["shared"] = np.tile(weights["shared"], (T, 1))
    how = {"comparator": comparator, "kind": "similarity", "weights": weights[given]}
    pruner = sc.Pruner(comparator=comparator, kind="similarity", joint="mean", threads=1)
    pruner.fit(X, targets, weights=weights[given])
    curve = sc.insertion_curve(X, targets, pruner.order_, **how).mean(axis=0)
    np.testing.assert_allclose(pruner.curve_, curve, atol=1e-12)
    lost = sc.alignment(X, targets, **how).mean() - sc.leave_one_out(X, targets, **how).mean(axis=0)
    np.testing.assert_allclose(pruner.importance_, lost, atol=1e-12)


def test_targets_that_cancel_out_have_a_mean_of_zero():
    X, h = cases.embedding(14, 8), cases.target(14)
    pruner = fit(X, np.stack([h, -h]), joint="mean")
    np.testing.assert_allclose(pruner.curve_, 0, atol=1e-12)


def test_several_targets_need_a_word_of_how():
    X, targets = cases.embedding(N, D), cases.target(N, T)
    with pytest.raises(ValueError, match=r"target must be one target, got 3: fit a Pruner for each, or with joint="):
        fit(X, targets)
    with pytest.raises(ValueError, match="joint must be one of 'each', 'mean', 'min'; got 'median'"):
        fit(X, targets, joint="median")
    pruner = sc.Pruner(joint="mean", kind="similarity")
    with pytest.raises(ValueError, match="joint must be 'each' in a bootstrap, got 'mean'"):
        sc.bootstrap(X, targets, n=5, pruner=pruner, cv=3)
    with pytest.raises(ValueError, match="joint must be 'each' in a time course"):
        sc.timecourse.prune(X, targets, pruner, cv=3, progress=False)


def test_folds_and_relabellings_share_the_set_among_the_targets():
    X, targets = cases.embedding(24, 12), cases.target(24, T)
    pruner = sc.Pruner(joint="min", kind="similarity", threads=1)
    result = sc.cross_validate(X, targets, pruner, cv=3, progress=False)
    assert (result.kept.values == result.kept.values[:1]).all()
    train = ~result.test.values[1]
    pairs = train[np.triu_indices(24, 1)[0]] & train[np.triu_indices(24, 1)[1]]
    alone = sc.Pruner(joint="min", kind="similarity", threads=1).fit(X[train], targets[:, pairs])
    np.testing.assert_array_equal(result.kept.values[0, 1], alone.support_)
    np.testing.assert_allclose(result.pruned_train.values[:, 1], alone.alignments_, atol=1e-12)
    null = sc.permutation_test(X, targets, 4, pruner, cv=3, progress=False)
    np.testing.assert_allclose(null.observed_pruned_test, result.pruned_test.mean("fold"), atol=1e-12)
    order = sc.relabelling.relabellings(24, 4, 0)[2]
    moved = sc.relabelling.relabelled(sc.targets.read_target(targets, 24, "similarity"), order[None]).values
    again = sc.cross_validate(X, moved, pruner, cv=3, progress=False).pruned_test.mean("fold")
    np.testing.assert_allclose(null.pruned_test.values[:, 2], again, atol=1e-12)
    joint = null.pruned_test.values.mean(axis=0)
    assert null.p_mean_pruned_test == (1 + (joint >= again.mean().item() * 0 + float(
        null.observed_pruned_test.mean())).sum()) / 5  # fmt: skip


# Features that stay


@pytest.mark.parametrize("search", SEARCHES)
def test_fixed_features_are_in_every_set_that_is_seen(search):
    X, h = cases.embedding(18, 10), cases.target(18)
    pruner = fit(X, h, search=search, fixed_features=[7, 2])
    assert pruner.support_[[2, 7]].all()
    for step, row in enumerate(pruner.path_):
        if not np.isnan(row["alignment"]):
            assert subset_at(pruner.path_, 10, step)[[2, 7]].all()
    assert np.isnan(pruner.curve_[0])
    np.testing.assert_array_equal(np.sort(pruner.order_), np.arange(10))
    np.testing.assert_array_equal(np.sort(pruner.order_[: pruner.n_features_]), np.flatnonzero(pruner.support_))
    kept = sc.alignment(X, h, subset=pruner.support_, kind="similarity")
    assert pruner.alignment_ == pytest.approx(kept, abs=1e-12)
    again = fit(X, h, search=search, fixed_features=np.isin(np.arange(10), [2, 7]))
    np.testing.assert_array_equal(pruner.order_, again.order_)


def test_fixed_features_steps_are_the_best_of_those_left():
    X, h = cases.embedding(N, D), cases.target(N)
    slow = BruteForce(X, h, "cosine", "pearson")
    for search in ("forward", "backward"):
        pruner = fit(X, h, search=search, fixed_features=[5, 1])
        inside = frozenset({1, 5}) if search in FORWARD else slow.all
        for row in pruner.path_[2 if search in FORWARD else 1 :]:
            sets = [inside | {g} for g in slow.all - inside] if search in FORWARD else [
                inside - {g} for g in inside - {1, 5}]  # fmt: skip
            inside = max(sets, key=slow.score)
            assert row["alignment"] == pytest.approx(slow.score(inside), abs=1e-10)
            assert row["count"] == len(inside)
        assert len(inside) == (D if search in FORWARD else 2)
    pruner = fit(X, h, fixed_features=[5, 1])
    order = sorted([1, 5], key=slow.ranking().index) + [g for g in slow.ranking() if g not in (1, 5)]
    assert pruner.order_.tolist() == order
    np.testing.assert_allclose(pruner.curve_[1:], insertion(slow, order)[1:], atol=1e-10)


@pytest.mark.parametrize("search", ["floating", "floating-backward"])
def test_floating_never_takes_fixed_features_away(search):
    for seed in range(4):
        X, h = cases.embedding(7, 12, seed=seed), cases.target(7, seed=seed)
        pruner = fit(X, h, search=search, fixed_features=[3, 8])
        removed = pruner.path_["feature"][pruner.path_["action"] == "remove"]
        assert not set(removed) & {3, 8}
        assert pruner.path_["count"].min() == (1 if search in FORWARD else 2)


def test_fixed_features_by_name_and_by_group():
    pandas = pytest.importorskip("pandas")
    X, h = cases.embedding(18, 6), cases.target(18)
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    named = fit(frame, h, fixed_features=["e", "b"])
    np.testing.assert_array_equal(named.order_, fit(X, h, fixed_features=[4, 1]).order_)
    grouped = fit(X, h, fixed_features=[4], feature_groups=[0, 0, 1, 1, 2, 2], search="forward")
    assert grouped.path_["count"][0] == 2
    assert grouped.support_[4:].all()
    result = sc.cross_validate(frame, h, sc.Pruner(kind="similarity", fixed_features=["e"]), cv=3, progress=False)
    assert result.kept.sel(feature="e").all()
    assert result.attrs["fixed_features"] == "e"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fixed_features": ["z"]}, "fixed_features must name features of X, got 'z'"),
        ({"fixed_features": [9]}, "fixed_features must hold feature indices from 0 to 7, got 9"),
        ({"fixed_features": [1, 2, 3], "max_features": 2}, "max_features must be at least the 3 fixed features, got 2"),
        ({"search": "stable", "threshold": 0.5}, "threshold must be above 0.5 and at most 1, got 0.5"),
        ({"search": "stable", "max_false": 0}, "max_false must be a finite number above 0, got 0"),
        ({"search": "stable", "half_samples": 1}, "half_samples must be an integer of at least 2, got 1"),
    ],
)
def test_refusals(parameters, message):
    X, h = cases.embedding(N, D), cases.target(N)
    with pytest.raises(ValueError, match=message):
        fit(X, h, **parameters)


# Stability selection


def slow_shares(X, h, halves, each_time):
    """How often a feature is among the most important ones of a half, from the definitions."""
    n, d = X.shape
    square = np.zeros((n, n))
    square[np.triu_indices(n, 1)] = h
    square += square.T
    times = np.zeros(d)
    for half in halves:
        part = square[np.ix_(half, half)][np.triu_indices(len(half), 1)]
        times[BruteForce(X[half], part, "cosine", "pearson").ranking()[:each_time]] += 1
    return times / len(halves)


def test_stable_is_its_definition():
    X, h = cases.embedding(16, 12), cases.target(16)
    pruner = fit(X, h, search="stable", half_samples=8, threshold=0.75, max_false=2, seed=3)
    halves = list(pruner.settings().search._halves(16, None))
    assert [len(half) for half in halves] == [8] * 8
    for one, other in zip(halves[::2], halves[1::2]):
        assert not set(one) & set(other)
    each_time = 3  # 9 <= 2 * 0.5 * 12 < 16
    share = slow_shares(X, h, halves, each_time)
    np.testing.assert_allclose(pruner.importance_, share)
    ranking = BruteForce(X, h, "cosine", "pearson").ranking()
    order = sorted(range(12), key=lambda k: (-share[k], ranking.index(k)))
    assert pruner.order_.tolist() == order
    assert pruner.n_features_ == max(1, (share >= 0.75).sum())
    assert pruner.false_bound_ == 9 / (0.5 * 12)


def test_stable_keeps_groups_of_stimuli_in_one_half():
    groups = np.repeat(list("abcdef"), 3)
    search = sc.Pruner(search="stable", half_samples=4).settings().search
    for half in search._halves(18, groups):
        assert len(half) == 9
        assert len(set(groups[half])) == 3
    X, h = cases.embedding(5, 4), cases.target(5)
    with pytest.raises(ValueError, match="search 'stable' must have at least 3 stimuli in each half, got 2 of 5"):
        fit(X, h, search="stable")


def test_stable_finds_what_was_planted_and_little_else():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 60))
    h = sc.similarity(X[:, :5])
    pruner = fit(X, h + 0.3 * h.std() * rng.normal(size=h.shape), search="stable", half_samples=30, max_false=1)
    assert set(np.flatnonzero(pruner.support_)) <= set(range(5))
    assert pruner.n_features_ >= 4
    assert pruner.false_bound_ <= 1
