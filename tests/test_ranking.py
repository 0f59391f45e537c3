"""Pruner(search="ranking"): importance, order, curve and prefix against the slow definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import cases
import reference
import secateur as sc

EVERY = list(itertools.product(reference.METRICS, reference.COMPARATORS))


def check(X, h, metric, comparator, kind="similarity", device="cpu", tolerance=1e-10):
    """Values as in the reference; order and prefix exactly as the rules make them from the values found."""
    pruner = sc.Pruner(metric=metric, comparator=comparator, kind=kind, device=device).fit(X, h)
    slow = reference.prune(X, h, metric, comparator, kind)
    assert pruner.baseline_ == pytest.approx(slow.baseline, abs=tolerance)
    cases.close(pruner.importance_, slow.importance, tolerance)
    np.testing.assert_array_equal(pruner.order_, reference.rank_features(pruner.importance_))
    in_our_order = slow.importance[pruner.order_]
    drops = np.diff(in_our_order[~np.isnan(in_our_order)])
    assert (drops <= 2 * tolerance).all(), "the order is not that of the importances"
    values = reference.oriented(h, kind)
    cases.agree(pruner.curve_, cases.prefixes(X, metric, pruner.order_), values, None, comparator)
    length = reference.best_prefix(pruner.curve_)
    assert pruner.n_features_ == length == pruner.support_.sum()
    np.testing.assert_array_equal(np.flatnonzero(pruner.support_), np.sort(pruner.order_[:length]))
    assert pruner.alignment_ == pruner.curve_[length - 1] == np.nanmax(pruner.curve_)
    assert pruner.alignment_ == pytest.approx(slow.alignment, abs=1e-9)
    return pruner, slow


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_every_rule(metric, comparator):
    for n, d, missing in ((8, 24, "none"), (9, 13, "different")):
        X, h = cases.embedding(n, d), cases.target(n, None, missing)
        pruner, slow = check(X, h, metric, comparator)
        gaps = np.abs(np.diff(np.sort(slow.importance)))
        if gaps.min() > 1e-9:
            np.testing.assert_array_equal(pruner.order_, slow.order)
            np.testing.assert_array_equal(pruner.support_, slow.support)


@pytest.mark.parametrize("comparator", ["pearson", "cosine"])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_device(metric, comparator, device, device_tolerance):
    where = device, device_tolerance
    for n, d, missing in ((8, 24, "none"), (9, 13, "different"), (20, 300, "same")):
        check(cases.embedding(n, d), cases.target(n, None, missing), metric, comparator, "similarity", *where)
    X = cases.embedding(12, 40, "sparse")
    X[3] = 0
    X[3, 7] = X[3, 9] = 0.2  # without one of them, little is left
    check(X, cases.target(12), metric, comparator, "dissimilarity", *where)
    check(cases.embedding(9, 2), cases.target(9), metric, comparator, "similarity", *where)


@pytest.mark.parametrize("least", [1, 7])
@pytest.mark.parametrize("most", [7, 12, 30])
def test_lengths_that_are_allowed(least, most, device):
    X, h = cases.embedding(14, 30), cases.target(14, 6)
    found = sc.search.find(X, h, min_features=least, max_features=most, device=device, kind="similarity")
    assert (found.support.sum(axis=1) >= least).all()
    for t in range(6):
        allowed = found.curve[t, least - 1 : most]
        length = least + int(np.argmax(allowed >= allowed.max() - 1e-12))
        assert found.alignment[t] == found.curve[t, length - 1]
        np.testing.assert_array_equal(np.flatnonzero(found.support[t]), np.sort(found.order[t, :length]))
        assert found.paths[t]["feature"].tolist() == found.order[t].tolist()


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_a_constant_target_is_not_pruned_to(comparator):
    """The core says so before it has done the work."""
    X, h = cases.embedding(9, 6), cases.target(9, 3)
    h[1] = 2.5
    core = sc._core
    rule, measures = core.PrefixRule(1, 6, 1e-12), core.Measures("cosine", comparator)
    found = core.ranking(X, core.Targets(h), measures, None, rule, "path", 1)
    assert (found is None) == (comparator not in ("cosine", "cosine_cov"))


def test_what_is_asked_for_again_is_the_same_object():
    found = sc.search.find(cases.embedding(9, 6), cases.target(9, 3), kind="similarity")
    assert found.paths is found.paths


def test_some_stimuli_are_as_if_there_were_no_others(device):
    """In any order; and without the path, all else stays."""
    X, h = cases.embedding(20, 25), cases.target(20, 4, "different")
    features, targets = sc.features.Features(X), sc.targets.read_target(h, 20, "similarity")
    chosen = np.random.default_rng(3).permutation(20)[:13]
    pruner = sc.Pruner(device=device)
    part = pruner.prune(features, targets, stimuli=chosen)
    whole = pruner.prune(features.among(chosen), targets.among(chosen))
    brief, briefest = (
        pruner.prune(features, targets, stimuli=chosen, detail=detail) for detail in ("importance", "support")
    )
    for name in ("baseline", "importance", "order", "curve", "support", "alignment"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
        for less, without in ((brief, ("order", "curve")), (briefest, ("order", "curve", "importance"))):
            if name in without:
                assert getattr(less, name).shape == (0, 25)
            else:
                np.testing.assert_array_equal(getattr(part, name), getattr(less, name))
    assert len(brief.paths) == 0


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_ties_and_missing_directions_on_any_device(metric, device):
    """Equal features go by index, indispensable ones before all; many more features than threads sort them."""
    X, h = cases.embedding(9, 700), cases.target(9, 3)
    twins = [1, 350, 699]
    X[:, twins] = X[:, [1]]
    useless = [2, 11, 600]
    X[:, useless] = 0
    if metric == "cosine":
        X[4] = 0
        X[4, 650] = 0.1
    found = sc.search.find(X, h, metric=metric, device=device, kind="similarity")
    for order in found.order:
        assert sorted(order) == list(range(700))
        assert [k for k in order if k in twins] == twins
        assert [k for k in order if k in useless] == useless
        assert metric == "dot" or order[0] == 650


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_a_dissimilarity(comparator):
    X, h = cases.embedding(8, 24), cases.target(8)
    check(X, h, "cosine", comparator, "dissimilarity")
    turned = sc.Pruner(comparator=comparator, kind="similarity").fit(X, -h)
    np.testing.assert_array_equal(
        sc.Pruner(comparator=comparator, kind="dissimilarity").fit(X, h).order_, turned.order_
    )


@pytest.mark.parametrize(("metric", "comparator"), EVERY)
def test_equal_features_go_by_index(metric, comparator):
    for d in (9, 24, 33, 65):
        X, h = cases.embedding(9, d), cases.target(9)
        twins = [1, d // 2, d - 1]
        X[:, twins] = X[:, [1]]
        pruner = sc.Pruner(metric=metric, comparator=comparator, kind="similarity").fit(X, h)
        assert [k for k in pruner.order_ if k in twins] == twins
        assert len(set(pruner.importance_[twins])) == 1


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_useless_features_go_by_index(metric):
    X, h = cases.embedding(9, 33), cases.target(9)
    useless = [2, 11, 12, 23, 32]
    X[:, useless] = 0
    order = sc.Pruner(metric=metric, kind="similarity").fit(X, h).order_
    assert [k for k in order if k in useless] == useless


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_an_indispensable_feature_comes_first(comparator):
    X, h = cases.embedding(8, 24, "sparse"), cases.target(8)
    X[:, :4] += 0.5
    X[3] = 0
    X[3, 21] = 1 / 3
    X[6] = 0
    X[6, 8] = 0.1
    pruner, _ = check(X, h, "cosine", comparator)
    assert pruner.order_[:2].tolist() == [8, 21]
    assert np.isnan(pruner.importance_[[8, 21]]).all()
    assert pruner.support_[[8, 21]].all()


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_real_judgments(comparator, data_folder):
    """Photographs as coarse grey images against people's judgments of their similarity."""
    with np.load(data_folder / "kriegeskorte92.npz") as data:
        images, judgments = (
            data["images"][:40].astype(float),
            data["behaviour"][:, :40, :40].mean(axis=0, dtype=float),
        )
    X = images.mean(axis=3).reshape(40, 7, 25, 7, 25).mean(axis=(2, 4)).reshape(40, 49)
    for metric in ("cosine", "correlation"):
        pruner, slow = check(X, judgments[np.triu_indices(40, 1)], metric, comparator, "dissimilarity")
        np.testing.assert_array_equal(pruner.order_, slow.order)
        np.testing.assert_array_equal(pruner.support_, slow.support)


SCREENED = {
    "normal": lambda rng, n, d: rng.normal(size=(n, d)),
    "rectified": lambda rng, n, d: np.maximum(rng.normal(-0.5, 1, (n, d)), 0),
    "few values": lambda rng, n, d: np.maximum(rng.integers(-6, 4, (n, d)), 0.0),
    "two values": lambda rng, n, d: (rng.random((n, d)) < 0.3).astype(float),
    "far from zero": lambda rng, n, d: rng.normal(1e6, 1, (n, d)),
    "twins": lambda rng, n, d: np.repeat(rng.normal(size=(n, (d + 1) // 2)), 2, axis=1)[:, :d],
    "two dimensions": lambda rng, n, d: rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)),
    "tiny": lambda rng, n, d: 1e-150 * rng.normal(size=(n, d)),
    "squares overflow": lambda rng, n, d: 1e154 * rng.normal(size=(n, d)),
}


@pytest.mark.parametrize(
    ("metric", "comparator"),
    [*itertools.product(reference.METRICS, ("spearman", "rho-a")), ("cosine", "tau-a"), ("cosine", "tau-b")],
)
def test_the_best_prefix_alone_is_that_of_the_whole_curve(metric, comparator):
    """Without the path most prefixes are not ranked; nothing that is returned shows it, on any number of threads."""
    rng = np.random.default_rng([len(metric), len(comparator)])
    for kind, make in SCREENED.items():
        n, d = int(rng.choice([24, 33, 41])), int(rng.choice([17, 60]))
        X, P = np.ascontiguousarray(make(rng, n, d)), n * (n - 1) // 2
        part = X[:, : d // 4] / np.abs(X).max()
        h = np.stack([rng.normal(size=P), np.round(rng.normal(size=P)), (part @ part.T)[np.triu_indices(n, 1)]])
        missing = (rng.random((3, P)) < 0.8).astype(float)
        few = rng.permutation(n)[: n - 2]
        for weights, weight_of, stimuli, least, most, tie in (
            (None, None, None, 1, d, 1e-12),
            (missing, np.arange(3), None, 1, d - 3, 0.0),
            (missing[:1], np.zeros(3, np.int64), few, 5, d, 0.01),
        ):
            call = (
                X, sc._core.Targets(h, weights, weight_of), sc._core.Measures(metric, comparator), stimuli,
                sc._core.PrefixRule(least, most, tie),
            )  # fmt: skip
            whole = sc._core.ranking(*call, "path", 1)
            for detail, threads in (("support", 1), ("importance", 2), ("support", 4)):
                brief = sc._core.ranking(*call, detail, threads)
                assert (brief is None) == (whole is None)
                if whole is not None and brief is not None:
                    names = ["baseline", "length", "alignment", "support"]
                    for name in names if detail == "support" else ["importance", *names]:
                        np.testing.assert_array_equal(
                            getattr(whole, name), getattr(brief, name), err_msg=f"{kind}, {name}, {detail}, {threads}"
                        )
