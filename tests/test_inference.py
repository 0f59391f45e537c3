"""Inference against independent references: rsatoolbox, scipy, numpy, and loops of the definition."""

from __future__ import annotations

import inspect
import itertools
import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import reference
import secateur as sc
from secateur import inference
from secateur.relabelling import relabelling
from secateur.targets import read_target
from secateur.validation import split

N, D = 18, 7
P = N * (N - 1) // 2
ROWS, COLUMNS = np.triu_indices(N, 1)
COMPARATORS = reference.COMPARATORS
RANKS = reference.RANK_COMPARATORS
SCORES = ("full_test", "pruned_test", "gain")
RSATOOLBOX = {"pearson": "corr"}


def embedding(n=N, d=D, seed=0):
    return np.random.default_rng([n, d, seed]).normal(size=(n, d)) + 0.3


def stack(count=3, seed=0, missing=False):
    """Targets (T, P) that share something with the first features of the embedding."""
    rng = np.random.default_rng([count, seed])
    values = reference.similarity(embedding()[:, :3]) + 0.3 * rng.normal(size=(count, P))
    if missing:
        values[rng.random(values.shape) < 0.1] = np.nan
    return values


def quiet(function, *args, **kwargs):
    return function(*args, progress=False, **{"kind": "similarity", **kwargs})


# The permutation null (test_validation.py holds it to relabelled cross-validations)


def test_family_wise_p_is_the_share_of_largest_null_values():
    X, h = embedding(), stack(4)
    null = sc.permutation_test(X, h, n=39, cv=3, seed=2, kind="similarity")
    for name in ("pruned_test", "gain"):
        assert null[f"p_max_{name}"].dims == ("target",)
        largest = null[name].max("target").values
        for t in range(4):
            reached = sum(value >= float(null[f"observed_{name}"][t]) for value in largest)
            assert float(null[f"p_max_{name}"][t]) == pytest.approx((1 + reached) / 40, rel=1e-12)
        assert (null[f"p_max_{name}"] >= null[f"p_{name}"]).all()


def test_one_target_is_no_family():
    null = sc.permutation_test(embedding(), stack(1), n=5, cv=3, kind="similarity")
    assert not [name for name in null.data_vars if name.startswith("p_max")]


def test_targets_without_a_score_are_not_of_the_family():
    observed = np.array([0.5, np.nan, 0.1])
    null = np.array([[0.2, 0.6, np.nan], [np.nan] * 3, [0.3, 0.0, 0.1]])
    # largest: 0.3, 0.6, undefined; an undefined one speaks against the observed
    np.testing.assert_array_equal(inference.family_wise_p(observed, null), [0.75, np.nan, 1.0])
    assert np.isnan(inference.family_wise_p(np.array([np.nan]), np.array([[0.1]]))).all()


def test_p_of_noise_is_uniform():
    """200 data sets of their own, embedding and target: p is uniform on 1/20 ... 1 (Kolmogorov-Smirnov)."""
    p = {"pruned_test": [], "gain": []}
    for draw in range(200):
        rng = np.random.default_rng([3, draw])
        X, h = rng.normal(size=(12, 5)), rng.normal(size=66)
        null = quiet(sc.permutation_test, X, h, 19, sc.Pruner(threads=1), cv=3, seed=draw)
        for name, values in p.items():
            values.append(float(null[f"p_{name}"][0]))
    for name, values in p.items():
        # p - u/20 with u uniform is uniform on (0, 1) where ranks of the observed value are
        spread = np.array(values) - np.random.default_rng(0).random(200) / 20
        assert stats.kstest(spread, "uniform").pvalue > 0.01, name
        assert np.mean(np.array(values) <= 0.05) < 0.12


def test_family_wise_error_of_noise():
    """5 targets of noise: the least family-wise p is at or below 0.1 in a tenth of data sets, the least p in more."""
    least, lone = [], []
    for draw in range(120):
        rng = np.random.default_rng([4, draw])
        X, h = rng.normal(size=(12, 5)), rng.normal(size=(5, 66))
        null = quiet(sc.permutation_test, X, h, 19, sc.Pruner(threads=1), cv=3)
        least.append(float(null.p_max_pruned_test.min()))
        lone.append(float(null.p_pruned_test.min()))
    # expected 12 of 120 (sd 3.3); without the correction about 49
    assert 3 <= np.sum(np.array(least) <= 0.1) <= 22
    assert np.sum(np.array(lone) <= 0.1) > 30


@pytest.mark.parametrize("shape", [(1,), (7,), (40,), (4, 5)])
def test_false_discoveries_are_scipys(shape):
    rng = np.random.default_rng(shape)
    for p in (rng.random(shape), rng.random(shape).round(1), rng.random(shape) ** 4):
        found = sc.benjamini_hochberg(p, alpha=0.1)
        theirs = stats.false_discovery_control(p.ravel()).reshape(shape)
        np.testing.assert_allclose(found.adjusted, theirs, rtol=1e-14)
        np.testing.assert_array_equal(found.rejected, theirs <= 0.1)
        # the definition: the largest k with p_(k) <= k alpha / m, and all below
        ordered = np.sort(p.ravel())
        reached = [k for k, value in enumerate(ordered, 1) if value <= k * 0.1 / p.size]
        assert found.rejected.sum() == np.sum(p <= ordered[max(reached) - 1] if reached else False)


def test_false_discoveries_at_their_ends():
    found = sc.benjamini_hochberg([0.01, np.nan, 0.04])
    np.testing.assert_allclose(found.adjusted, [0.02, np.nan, 0.04])
    assert found.rejected.tolist() == [True, False, True]
    assert sc.benjamini_hochberg([]).rejected.shape == (0,)
    assert sc.benjamini_hochberg(0.03).rejected
    with pytest.raises(ValueError, match=r"p must lie between 0 and 1, got 1\.2"):
        sc.benjamini_hochberg([0.5, 1.2])
    with pytest.raises(ValueError, match="alpha must be above 0 and below 1, got 5"):
        sc.benjamini_hochberg([0.5], alpha=5)


# The bootstrap


def mean_of(h, people):
    """The mean over these subjects of the pairs that any of them has."""
    has = ~np.isnan(h[people])
    count = has.sum(axis=0)
    return np.where(count > 0, np.where(has, h[people], 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def drawn(seed, n, size, subjects=None, over="stimuli"):
    """The draws as the docstring says: with replacement, stimuli before subjects."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        stimuli = rng.integers(size, size=size) if over != "subjects" else np.arange(size)
        yield np.sort(stimuli), np.sort(rng.integers(subjects, size=subjects)) if over != "stimuli" else None


def scores_of_draw(X, square, stimuli, folds, comparator, metric="cosine", masks=None, weights=None):
    """Full, pruned, gain of one draw, by fitting and scoring copies written out one by one."""
    full, pruned = [], []
    for f, fold in enumerate(folds):
        sides = [stimuli[np.isin(stimuli, side)] for side in fold]
        if min(len(np.unique(side)) for side in sides[masks is not None :]) < 3:
            continue
        parts = []
        for side in sides:
            target = square[np.ix_(side, side)].copy()
            target[side[:, None] == side] = np.nan  # copies make no pairs
            w = None if weights is None else weights[np.ix_(side, side)][np.triu_indices(len(side), 1)]
            parts.append((X[side], target[np.triu_indices(len(side), 1)], w))
        terms = {"metric": metric, "comparator": comparator}
        if masks is None:
            kept = sc.Pruner(threads=1, **terms, kind="similarity").fit(*parts[0][:2], weights=parts[0][2]).support_
        else:
            kept = masks[f]
        full.append(reference_alignment(*parts[1], None, **terms))
        pruned.append(reference_alignment(*parts[1], kept, **terms))
    full, pruned = np.array(full), np.array(pruned)
    return full.mean(), pruned.mean(), (pruned - full).mean()


def reference_alignment(X, target, weights, subset, metric, comparator):
    return reference.alignment(X, target, metric, comparator, subset=subset, weights=weights)


@pytest.mark.parametrize("resample", ["procedure", "scores"])
@pytest.mark.parametrize("comparator", ["pearson", "cosine", "spearman", "tau-a"])
def test_stimuli_drawn_are_copies_that_make_no_pairs(comparator, resample):
    X, h = embedding(), stack(2)
    pruner = sc.Pruner(comparator=comparator)
    result = quiet(sc.bootstrap, X, h, 6, "stimuli", pruner, cv=3, seed=4, resample=resample, method="percentile")
    folds, _ = split(N, 3, seed=4)
    masks = quiet(sc.cross_validate, X, h, pruner, cv=3, seed=4).kept.values
    for draw, (stimuli, _) in enumerate(drawn(4, 6, N)):
        for t in range(2):
            fixed = masks[t] if resample == "scores" else None
            expected = scores_of_draw(X, reference.square(h[t], N), stimuli, folds, comparator, masks=fixed)
            np.testing.assert_allclose([result[s][t, draw] for s in SCORES], expected, atol=1e-10, rtol=0)


def test_missing_pairs_and_weights_are_drawn_along():
    X, h = embedding(), stack(2, missing=True)
    w = np.random.default_rng(0).choice([0.5, 1.0, 2.0], P)
    result = quiet(sc.bootstrap, X, h, 5, cv=3, seed=4, weights=w, method="percentile")
    folds, _ = split(N, 3, seed=4)
    for draw, (stimuli, _) in enumerate(drawn(4, 5, N)):
        for t in range(2):
            squares = reference.square(h[t], N), np.nan_to_num(reference.square(w, N))
            expected = scores_of_draw(X, squares[0], stimuli, folds, "pearson", weights=squares[1])
            np.testing.assert_allclose([result[s][t, draw] for s in SCORES], expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("comparator", ["pearson", "rho-a"])
@pytest.mark.parametrize("over", ["subjects", "both"])
@pytest.mark.parametrize("missing", [False, True])
def test_subjects_drawn_are_averaged(comparator, over, missing):
    X, h = embedding(), stack(5, missing=missing)
    pruner = sc.Pruner(comparator=comparator)
    result = quiet(sc.bootstrap, X, h, 5, over, pruner, cv=3, seed=4, method="percentile")
    folds, _ = split(N, 3, seed=4)
    assert result.target.values.tolist() == ["mean"]
    for draw, (stimuli, people) in enumerate(drawn(4, 5, N, 5, over)):
        mean = reference.square(mean_of(h, people), N)
        expected = scores_of_draw(X, mean, stimuli, folds, comparator)
        np.testing.assert_allclose([result[s][0, draw] for s in SCORES], expected, atol=1e-10, rtol=0)
    observed = quiet(sc.cross_validate, X, np.nanmean(h, axis=0), sc.Pruner(comparator=comparator), cv=3, seed=4)
    assert float(result.observed_pruned_test[0]) == pytest.approx(float(observed.pruned_test.mean()), abs=1e-10)


def test_observed_scores_are_those_of_cross_validation():
    X, h = embedding(), stack(2)
    for pruner in (sc.Pruner(), sc.Pruner(metric="correlation", comparator="spearman")):
        result = quiet(sc.bootstrap, X, h, 2, "stimuli", pruner, cv=3, repeats=2, seed=1)
        found = quiet(sc.cross_validate, X, h, pruner, cv=3, repeats=2, seed=1)
        for name in ("full_test", "pruned_test"):
            np.testing.assert_allclose(result[f"observed_{name}"], found[name].mean("fold"), atol=1e-12, rtol=0)
        gain = (found.pruned_test - found.full_test).mean("fold")
        np.testing.assert_allclose(result.observed_gain, gain, atol=1e-12, rtol=0)
        names = ("metric", "comparator", "kind", "search", "cv", "repeats", "seed", "secateur_version")
        assert all(result.attrs[name] == found.attrs[name] for name in names)


def test_intervals_are_quantiles_of_the_draws():
    X, h = embedding(), stack(2)
    fixed = quiet(sc.bootstrap, X, h, 40, cv=3, confidence=0.8, resample="scores")
    anew = quiet(sc.bootstrap, X, h, 40, cv=3, confidence=0.8, method="percentile")
    for name in SCORES:
        plain = np.quantile(fixed[name], [0.1, 0.9], axis=1).T
        np.testing.assert_allclose(fixed[f"interval_{name}"], plain, atol=1e-14, rtol=0)
        moved = np.quantile(anew[name], [0.1, 0.9], axis=1).T
        moved += (anew[f"observed_{name}"] - anew[name].mean("resample")).values[:, None]
        np.testing.assert_allclose(anew[f"interval_{name}"], moved, atol=1e-14, rtol=0)
        np.testing.assert_allclose(anew[f"error_{name}"], anew[name].std("resample", ddof=1), atol=1e-14, rtol=0)
    assert anew.bound.values.tolist() == ["lower", "upper"]
    expected = {"n": 40, "over": "stimuli", "confidence": 0.8, "method": "percentile", "resample": "procedure"}
    assert {name: anew.attrs[name] for name in expected} == expected


RNG = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"  # SciPy before 1.15


@pytest.mark.parametrize("size", [12, 30])
@pytest.mark.parametrize("statistic", [np.mean, np.var, stats.skew])
def test_bca_is_scipys(statistic, size):
    sample = np.random.default_rng(size).gamma(1.5, size=size)
    terms = {"n_resamples": 999, "method": "BCa", "confidence_level": 0.9, RNG: np.random.default_rng(1)}
    theirs = stats.bootstrap((sample,), statistic, **terms)
    left_out = np.array([statistic(np.delete(sample, i)) for i in range(size)])
    ours = inference.interval_of(theirs.bootstrap_distribution, float(statistic(sample)), 0.9, [left_out])
    np.testing.assert_allclose(ours, theirs.confidence_interval, rtol=1e-10)


def test_bca_of_two_samples_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.gamma(1.5, size=20), rng.gamma(2.5, size=14)

    def statistic(a, b, axis=-1):
        return np.var(a, axis=axis) / np.mean(b, axis=axis)

    theirs = stats.bootstrap((a, b), statistic, n_resamples=999, method="BCa", **{RNG: np.random.default_rng(1)})
    parts = [
        np.array([statistic(np.delete(a, i), b) for i in range(20)]),
        np.array([statistic(a, np.delete(b, i)) for i in range(14)]),
    ]
    ours = inference.interval_of(theirs.bootstrap_distribution, float(statistic(a, b)), 0.95, parts)
    np.testing.assert_allclose(ours, theirs.confidence_interval, rtol=1e-10)


@pytest.mark.parametrize("groups", [None, np.arange(N) // 2])
def test_bca_leaves_out_what_is_drawn(groups):
    X, h = embedding(), stack(2)
    pruner = sc.Pruner(comparator="spearman")
    folds, _ = split(N, 3, seed=4, groups=groups)
    result = quiet(sc.bootstrap, X, h, 40, "stimuli", pruner, folds, 1, 4, groups, method="bca", resample="scores")
    masks = quiet(sc.cross_validate, X, h, pruner, cv=folds).kept.values
    units = np.arange(N) if groups is None else groups
    for t in range(2):
        left_out = [np.flatnonzero(units != unit) for unit in np.unique(units)]
        square = reference.square(h[t], N)
        part = np.array([scores_of_draw(X, square, some, folds, "spearman", masks=masks[t]) for some in left_out])
        for s, name in enumerate(SCORES):
            observed = float(result[f"observed_{name}"][t])
            expected = inference.interval_of(result[name].values[t], observed, 0.95, [part[:, s]])
            np.testing.assert_allclose(result[f"interval_{name}"][t], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_whole_groups_are_drawn(comparator):
    """Copies of a group are groups of their own: they keep their pairs, and make none with each other."""
    X, h = embedding(), stack(1)
    groups = np.random.default_rng(1).permutation(np.arange(N) // 3)
    folds, _ = split(N, 2, seed=4, groups=groups)
    pruner = sc.Pruner(comparator=comparator)
    result = quiet(sc.bootstrap, X, h, 6, "stimuli", pruner, folds, 1, 4, groups, method="percentile")
    rng, square = np.random.default_rng(4), reference.square(h[0], N)
    correlate = stats.spearmanr if comparator == "spearman" else stats.pearsonr

    def correlation(X, target, subset):
        there = ~np.isnan(target)
        similarities = reference.similarity(X, "cosine", subset).round(12)  # copies tie, to the last bit
        return float(correlate(similarities[there], target[there]).statistic)

    for draw in range(6):
        copies = [np.flatnonzero(groups == g) for g in np.sort(rng.integers(6, size=6))]
        stimuli, copy = np.concatenate(copies), np.repeat(np.arange(6), 3)
        scores = []
        for fold in folds:
            sides = []
            for side in fold:
                mine = np.isin(stimuli, side)
                at, of = stimuli[mine], copy[mine]
                target = square[np.ix_(at, at)].copy()
                target[(groups[at][:, None] == groups[at]) & (of[:, None] != of)] = np.nan
                sides.append((X[at], target[np.triu_indices(len(at), 1)]))
            if not all(len(target) for _, target in sides):
                continue
            kept = sc.Pruner(threads=1, comparator=comparator, kind="similarity").fit(*sides[0]).support_
            scores.append([correlation(*sides[1], k) for k in (None, kept)])
        expected = np.mean(scores, axis=0) if scores else np.full(2, np.nan)
        # ranks of a few distinct pairs tie features, which rounding then orders: only what needs no choice is compared
        found = [float(result[name][0, draw]) for name in SCORES[: 1 if comparator == "spearman" else 2]]
        np.testing.assert_allclose(found, expected[: len(found)], atol=1e-10, rtol=0)
    assert np.isfinite(result.gain).sum() > 2


def naive_variance(X, h, folds, orders, parts, pruner):
    """Of the mean over folds, for other stimuli: full, pruned, gain; by loops, one cross-validation a division."""
    between, among, learnt = [], [], []

    def scores(sides):
        scores = np.full((2, len(sides)), np.nan)
        for f, side in enumerate(sides):
            if len(side[0]) >= 3:
                found = quiet(sc.cross_validate, X, h, pruner, cv=[side])
                scores[:, f] = float(found.full_test[0, 0]), float(found.pruned_test[0, 0])
        return np.stack([*scores, scores[1] - scores[0]])

    for order, halves in zip(orders, parts, strict=True):
        there = [(order[train], order[test]) for train, test in folds]
        whole = scores(there)
        pairs = [(f, g) for f in range(len(folds)) for g in range(len(folds))]
        square = {(f, g): (whole[:, f] - whole[:, g]) ** 2 / 2 for f, g in pairs}
        between.append(np.mean([square[f, g] for f, g in pairs if not set(folds[f][1]) & set(folds[g][1])], axis=0))
        among.append(np.mean([square[pair] for pair in pairs], axis=0))
        first, second = (scores([(np.intersect1d(a, part), b) for a, b in there]) for part in halves)
        learnt.append(np.nanmean(first - second, axis=1) ** 2 / 4)
    between, among, learnt = (np.mean(part, axis=0) for part in (between, among, learnt))
    return np.maximum(between - among, between / len(folds)) + learnt


@pytest.mark.parametrize(("repeats", "groups"), [(1, None), (2, None), (1, np.arange(N) % 9)])
def test_standard_errors_over_stimuli_are_those_of_the_definition(repeats, groups):
    X, h = embedding(), stack(2)
    pruner = sc.Pruner(threads=1)
    result = quiet(sc.bootstrap, X, h, 4, pruner=pruner, cv=3, repeats=repeats, seed=5, groups=groups, confidence=0.9)
    folds, _ = split(N, 3, repeats, 5, groups)
    rng, orders, parts = np.random.default_rng(5), [], []
    members = np.arange(N)[:, None] if groups is None else np.stack([np.flatnonzero(groups == g) for g in range(9)])
    for _ in range(4):
        orders.append(relabelling(rng, members))
        places = rng.permutation(len(members))
        half = len(members) // 2
        parts.append([members[places[:half]].ravel(), members[places[half : 2 * half]].ravel()])
    for t in range(2):
        error = np.sqrt(naive_variance(X, h[t], folds, orders, parts, pruner))
        reach = stats.t.ppf(0.95, len(members) - 1) * error
        for s, name in enumerate(SCORES):
            assert float(result[f"error_{name}"][t]) == pytest.approx(error[s], rel=1e-9)
            observed = float(result[f"observed_{name}"][t])
            expected = [observed - reach[s], observed + reach[s]]
            np.testing.assert_allclose(result[f"interval_{name}"][t], expected, atol=1e-10, rtol=0)
    for draw, order in enumerate(orders):
        found = quiet(sc.cross_validate, X, h, pruner, cv=[(order[a], order[b]) for a, b in folds])
        np.testing.assert_allclose(result.pruned_test[:, draw], found.pruned_test.mean("fold"), atol=1e-10, rtol=0)


def test_standard_errors_over_subjects_and_both():
    """Over both, variances are added, with Satterthwaite's degrees of freedom."""
    X, h = embedding(), stack(5)
    result = {over: quiet(sc.bootstrap, X, h, 12, over, cv=3, seed=3, confidence=0.9) for over in ("subjects", "both")}
    alone = quiet(sc.bootstrap, X, h.mean(axis=0), 12, cv=3, seed=3)
    drawn = quiet(sc.bootstrap, X, h, 12, "subjects", cv=3, seed=3, method="percentile")
    for name in SCORES:
        of_subjects = float(drawn[name].var("resample", ddof=1)[0]) * 5 / 4
        np.testing.assert_allclose(result["subjects"][name], drawn[name], atol=1e-12, rtol=0)
        of_stimuli = float(alone[f"error_{name}"][0]) ** 2
        again = float(result["both"][name].var("resample", ddof=1)[0]) * 5 / 4  # its subjects come after its folds
        for over, parts in (("subjects", [(of_subjects, 4)]), ("both", [(of_stimuli, N - 1), (again, 4)])):
            variance = sum(value for value, _ in parts)
            freedom = variance**2 / sum(value**2 / df for value, df in parts)
            reach = stats.t.ppf(0.95, freedom) * np.sqrt(variance)
            assert float(result[over][f"error_{name}"][0]) == pytest.approx(np.sqrt(variance), rel=1e-8)
            observed = float(result[over][f"observed_{name}"][0])
            expected = [observed - reach, observed + reach]
            np.testing.assert_allclose(result[over][f"interval_{name}"][0], expected, atol=1e-8, rtol=0)


def test_intervals_at_their_ends():
    nan = np.full(2, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(inference.interval_of(np.array([np.nan, 1, 3]), 2.0, 0.5, []), [1.5, 2.5])
        np.testing.assert_array_equal(inference.interval_of(np.array([np.nan]), 2.0, 0.5, []), nan)
        np.testing.assert_array_equal(inference.interval_of(np.array([1.0, 2]), np.nan, 0.5, []), nan)
        # all draws on one side: no bias can be told
        np.testing.assert_array_equal(inference.interval_of(np.array([1.0, 2]), 3.0, 0.5, [np.arange(4.0)]), nan)
        # nothing varies
        np.testing.assert_array_equal(inference.interval_of(np.ones(9), 1.0, 0.5, [np.ones(4)]), [1, 1])


def test_draws_without_a_score_are_counted():
    """Two categories, six stimuli: some draws leave too few stimuli, or one category, on a side of a fold."""
    X = embedding(9, 4)
    category = np.arange(9) % 2
    target = (category[:, None] == category).astype(float)
    folds = [(np.arange(5), np.arange(5, 9))]
    for resample, comparator in itertools.product(("procedure", "scores"), ("pearson", "spearman", "tau-a")):
        pruner = sc.Pruner(comparator=comparator)
        result = quiet(sc.bootstrap, X, target, 60, "stimuli", pruner, folds, resample=resample, method="percentile")
        undefined = int(result.undefined_resamples[0])
        assert undefined == int(np.isnan(result.gain).sum())
        assert 5 < undefined < 60
        assert np.isfinite(result.interval_gain).all()


def test_draws_are_deterministic():
    X, h = embedding(), stack(2)
    a, b, c = (quiet(sc.bootstrap, X, h, 5, cv=3, seed=seed) for seed in (0, 0, 1))
    xr.testing.assert_identical(a, b)
    assert not np.isin(a.gain, c.gain).any()
    longer = quiet(sc.bootstrap, X, h, 70, cv=3)  # more than one batch
    np.testing.assert_allclose(longer.gain[:, :5], a.gain, atol=1e-12, rtol=0)
    one = quiet(sc.bootstrap, X, h, 5, pruner=sc.Pruner(threads=1), cv=3)
    xr.testing.assert_identical(a, one)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    quiet(sc.bootstrap, X, h, 2, "both", cv=3)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_intervals_over_stimuli_hold_the_expected_scores():
    """Coverage over data sets of their own, and widths: intervals as wide as scores vary, within a factor."""
    n, d, q = 25, 30, 6
    pruner = sc.Pruner(threads=1)

    def data(seed):
        rng = np.random.default_rng([5, seed])
        X = rng.normal(size=(n, d)) + 0.3
        return X, sc.similarity(np.c_[X[:, :q], rng.normal(size=(n, q)) + 0.3], threads=1)

    others = []
    for seed in range(1000, 1200):
        found = quiet(sc.cross_validate, *data(seed), pruner, curves=False)
        others.append([float(x.mean()) for x in (found.full_test, found.pruned_test)])
    others = np.column_stack([others, np.diff(others)])
    truth, spread = others.mean(axis=0), others.std(axis=0)
    held, width, plain = [], [], []
    for seed in range(60):
        result = quiet(sc.bootstrap, *data(seed), 8, pruner=pruner)
        bounds = np.array([result[f"interval_{name}"].values[0] for name in SCORES])
        held.append((bounds[:, 0] <= truth) & (truth <= bounds[:, 1]))
        width.append(np.diff(bounds)[:, 0])
        drawn = quiet(sc.bootstrap, *data(seed), 8, pruner=pruner, method="percentile")
        plain.append([float(drawn[f"error_{name}"][0]) for name in SCORES])
    # of 60, at a true coverage of 0.92 fewer than 48 hold once in 5000 times
    assert (np.sum(held, axis=0) >= 48).all()
    ratio = np.mean(width, axis=0) / (2 * stats.t.ppf(0.975, n - 1) * spread)
    assert (ratio > 0.8).all()
    assert (ratio < 1.45).all()
    assert (np.mean(plain, axis=0) > 1.45 * spread).all()  # draws with replacement: as the docstring says


# The noise ceiling


def rdms_of(h, labels=None):
    from rsatoolbox.rdm import RDMs

    descriptors = None if labels is None else {"subject": list(labels)}
    return RDMs(h, rdm_descriptors=descriptors)


def rsatoolbox_ceiling(rdms, comparator, **more):
    from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return boot_noise_ceiling(rdms, method=RSATOOLBOX.get(comparator, comparator), **more)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_ceiling_is_rsatoolboxes(comparator):
    h = 2 + np.random.default_rng(0).normal(size=45) + np.random.default_rng(1).normal(size=(6, 45)).round(1)
    ours, theirs = sc.noise_ceiling(h, comparator), rsatoolbox_ceiling(rdms_of(h), comparator)
    np.testing.assert_allclose([ours.lower, ours.upper], theirs, atol=1e-12, rtol=0)
    assert ours.lower < ours.upper
    assert ours.lower_by_subject.dims == ("subject",)
    assert float(ours.lower_by_subject.mean()) == pytest.approx(float(ours.lower), abs=1e-14)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_ceiling_leaves_out_all_sessions_of_a_subject(comparator):
    h = 2 + np.random.default_rng(0).normal(size=45) + np.random.default_rng(1).normal(size=(7, 45))
    whose = ["c", "a", "a", "b", "c", "b", "c"]
    ours = sc.noise_ceiling(h, comparator, subjects=whose)
    theirs = rsatoolbox_ceiling(rdms_of(h, whose), comparator, rdm_descriptor="subject")
    np.testing.assert_allclose([ours.lower, ours.upper], theirs, atol=1e-12, rtol=0)
    assert ours.subject.values.tolist() == ["c", "a", "b"]


@pytest.mark.parametrize("comparator", ["pearson", "cosine", "spearman"])
def test_ceiling_among_test_stimuli_is_rsatoolboxes(comparator):
    from rsatoolbox.inference.crossvalsets import sets_leave_one_out_rdm
    from rsatoolbox.inference.noise_ceiling import cv_noise_ceiling

    n = 12
    h = 2 + np.random.default_rng(0).normal(size=66) + np.random.default_rng(1).normal(size=(5, 66))
    rdms = rdms_of(h)
    folds, _ = split(n, 3, seed=2)
    bounds = []
    for _, test in folds:
        _, tests, ceilings = sets_leave_one_out_rdm(rdms)
        tests = [(one.subsample_pattern("index", test), test) for one, _ in tests]
        bounds.append(cv_noise_ceiling(rdms, ceilings, tests, method=RSATOOLBOX.get(comparator, comparator)))
    ours = sc.noise_ceiling(h, comparator, cv=3, seed=2)
    np.testing.assert_allclose([ours.lower, ours.upper], np.mean(bounds, axis=0), atol=1e-12, rtol=0)
    assert ours.attrs["cv"] == "3"
    assert ours.attrs["seed"] == 2


def test_ceiling_beside_a_control_is_of_what_it_leaves():
    """Both bounds by numpy: correlations of the residuals of a subject and of a mean of z-scored subjects."""
    h = 2 + np.random.default_rng(0).normal(size=45) + np.random.default_rng(1).normal(size=(4, 45))
    control = np.random.default_rng(2).normal(size=45)
    ours = sc.noise_ceiling(h, control=control)
    z = stats.zscore(h, axis=1)
    for bound, pooled in (("lower", lambda t: np.arange(4) != t), ("upper", lambda t: np.full(4, True))):
        for t in range(4):
            expected = stats.pearsonr(*(
                one - np.polyval(np.polyfit(control, one, 1), control) for one in (h[t], z[pooled(t)].mean(axis=0))
            ))[0]  # fmt: skip
            assert float(ours[f"{bound}_by_subject"][t]) == pytest.approx(expected, abs=1e-12)
    assert ours.attrs["controls"] == 1


def test_ceiling_of_the_92_images(data_folder):
    data = np.load(data_folder / "kriegeskorte92.npz")
    behaviour = data["behaviour"].astype(float)
    packed = np.stack([one[np.triu_indices(92, 1)] for one in behaviour])
    for comparator in COMPARATORS:
        ours = sc.noise_ceiling(behaviour, comparator)
        theirs = rsatoolbox_ceiling(rdms_of(packed), comparator)
        np.testing.assert_allclose([ours.lower, ours.upper], theirs, atol=1e-10, rtol=0)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_missing_pairs_in_a_ceiling(comparator):
    rng = np.random.default_rng(0)
    h = 2 + rng.normal(size=45) + rng.normal(size=(4, 45))
    # the same pairs missing in all: as though they had never been
    h[:, :9] = np.nan
    bounds, theirs = sc.noise_ceiling(h, comparator), rsatoolbox_ceiling(rdms_of(h), comparator)
    np.testing.assert_allclose([bounds.lower, bounds.upper], theirs, atol=1e-12, rtol=0)
    # others: by the definition, a loop
    h[rng.random(h.shape) < 0.2] = np.nan
    h[1:, 20] = np.nan  # no one else has this pair
    h[0, 20] = 2.5
    scaled = np.full(h.shape, np.nan)
    for t, row in enumerate(h):
        has = ~np.isnan(row)
        if comparator == "pearson":
            scaled[t, has] = stats.zscore(row[has])
        elif comparator == "cosine":
            scaled[t, has] = row[has] / np.sqrt((row[has] ** 2).mean())
        else:
            scaled[t, has] = (stats.rankdata(row[has]) - (has.sum() + 1) / 2) / has.sum()
    ours = sc.noise_ceiling(h, comparator)
    for t in range(4):
        for name, others in (("upper", np.arange(4)), ("lower", np.delete(np.arange(4), t))):
            has = ~np.isnan(h[t]) & ~np.isnan(scaled[others]).all(axis=0)
            mean = np.nanmean(scaled[others][:, has], axis=0)
            expected = reference.compare(mean, h[t, has], None, comparator)
            assert float(ours[f"{name}_by_subject"][t]) == pytest.approx(expected, abs=1e-12)


def test_forms_of_matrices():
    from rsatoolbox.rdm import RDMs

    h = np.random.default_rng(0).random((4, 45))
    squares = np.stack([reference.square(row, 10) for row in h])
    expected = sc.noise_ceiling(h)
    named = xr.DataArray(h, dims=("subject", "pair"), coords={"subject": list("abcd")})
    square = xr.DataArray(squares, dims=("subject", "stimulus", "stimulus2"))
    for form in (squares, RDMs(h), named, square):
        found = sc.noise_ceiling(form)
        np.testing.assert_allclose(found.lower, expected.lower, atol=1e-15)
        np.testing.assert_allclose(found.upper_by_subject, expected.upper_by_subject, atol=1e-15)
    assert sc.noise_ceiling(named).subject.values.tolist() == list("abcd")
    alike = 1 - squares + np.eye(10) * 0
    for one in alike:
        np.fill_diagonal(one, 1)
    found = sc.noise_ceiling(alike, kind="similarity")
    assert float(found.lower) == pytest.approx(float(expected.lower), abs=1e-12)
    weighted = sc.noise_ceiling(h, weights=np.r_[np.zeros(9), np.ones(36)])
    assert float(weighted.upper) == pytest.approx(float(sc.noise_ceiling(np.where(np.arange(45) < 9, np.nan, h)).upper))


# Stability


def result_of(kept):
    """A result of cross-validation with these sets (T, F, d)."""
    kept = np.asarray(kept, dtype=bool)
    coords = {"target": np.arange(kept.shape[0]), "fold": np.arange(kept.shape[1]), "feature": np.arange(kept.shape[2])}
    return xr.Dataset({"kept": (("target", "fold", "feature"), kept)}, coords)


def random_sets(m, d, seed=0, sizes=(3, 9)):
    rng = np.random.default_rng([m, d, seed])
    kept = np.zeros((m, d), dtype=bool)
    for row in kept:
        row[rng.permutation(d)[: rng.integers(*sizes)]] = True
    return kept


def test_stability_of_given_sets():
    kept = np.stack([random_sets(5, 20), random_sets(5, 20, 1)])
    found = sc.stability(result_of(kept), share=0.4)
    for t in range(2):
        frequency = kept[t].mean(axis=0)
        np.testing.assert_array_equal(found.frequency[t], frequency)
        np.testing.assert_array_equal(found.core[t], [sum(column) >= 2 for column in kept[t].T])
        assert int(found.n_core[t]) == int(found.core[t].sum())
        sets = [set(np.flatnonzero(row)) for row in kept[t]]
        indices = [len(a & b) / len(a | b) for a, b in itertools.combinations(sets, 2)]
        assert float(found.jaccard[t]) == pytest.approx(np.mean(indices), rel=1e-12)
        # Nogueira's index with unbiased variances of the columns
        k = kept[t].sum(axis=1).mean() / 20
        expected = 1 - kept[t].var(axis=0, ddof=1).mean() / (k * (1 - k))
        assert float(found.stability[t]) == pytest.approx(expected, rel=1e-12)


def test_chance_is_that_of_random_sets():
    sizes = np.array([2, 3, 3])
    kept = np.zeros((3, 6), dtype=bool)
    for row, size in zip(kept, sizes, strict=True):
        row[:size] = True
    expected = []
    for a, b in itertools.combinations(sizes, 2):
        every = [
            len(set(x) & set(y)) / len(set(x) | set(y))
            for x in itertools.combinations(range(6), a)
            for y in itertools.combinations(range(6), b)
        ]
        expected.append(np.mean(every))
    found = sc.stability(result_of(kept[None]))
    assert float(found.jaccard_chance[0]) == pytest.approx(np.mean(expected), rel=1e-12)


def test_stability_interval_is_the_delta_methods():
    """The variance from numerical derivatives of the index by the weight of each fold."""
    kept, m, d = random_sets(60, 25).astype(float), 60, 25

    def index(weights):
        p, k = weights @ kept, float(weights @ kept.sum(axis=1)) / d
        return 1 - m / (m - 1) * (p * (1 - p)).mean() / (k * (1 - k))

    flat, step = np.full(m, 1 / m), 1e-6
    pulls = []
    for i in range(m):
        away = np.eye(m)[i] - flat
        pulls.append((index(flat + step * away) - index(flat - step * away)) / (2 * step))
    half = 1.959963984540054 * np.sqrt(np.sum(np.square(pulls))) / m
    found = sc.stability(result_of(kept[None]))
    # the factor m / (m - 1) belongs to the index alone: derivatives agree but for terms of 1 / m
    np.testing.assert_allclose(np.diff(found.interval_stability[0])[0] / 2, half, rtol=0.02)
    assert float(found.interval_stability[0].mean()) == pytest.approx(float(found.stability[0]), abs=1e-12)


def test_stability_at_its_ends():
    same = np.tile(random_sets(1, 12), (4, 1))
    found = sc.stability(result_of(same[None]))
    assert float(found.jaccard[0]) == float(found.stability[0]) == 1
    np.testing.assert_allclose(found.interval_stability[0], 1, atol=1e-12)
    np.testing.assert_array_equal(found.core[0], same[0])
    everything = sc.stability(result_of(np.ones((1, 3, 4))))
    assert float(everything.jaccard[0]) == float(everything.jaccard_chance[0]) == pytest.approx(1)
    assert np.isnan(everything.stability[0])
    single = sc.stability(result_of(random_sets(1, 8)[None]))
    assert np.isnan([single.jaccard[0], single.jaccard_chance[0], single.stability[0]]).all()
    rng = np.random.default_rng(0)
    chance = sc.stability(result_of([[rng.permutation(60) < 12 for _ in range(30)]]))
    assert abs(float(chance.stability[0])) < 0.03
    assert float(chance.jaccard[0]) == pytest.approx(float(chance.jaccard_chance[0]), abs=0.02)


def test_stability_over_targets():
    X, h = embedding(), stack(4)
    result = quiet(sc.cross_validate, X, h, cv=3)
    found = sc.stability(result.rename(target="fold", fold="target"))
    assert dict(found.sizes) == {"target": 3, "feature": D, "bound": 2}
    np.testing.assert_array_equal(found.frequency, result.kept.mean("target"))
    assert sc.stability(result).attrs["seed"] == result.attrs["seed"]


def test_planted_features_are_found():
    """10 of 60 features make the target, with noise: the stable core is made of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 60))
    planted = np.sort(rng.permutation(60)[:10])
    own = reference.similarity(X[:, planted])
    target = own + 0.5 * own.std() * rng.normal(size=own.shape)
    result = quiet(sc.cross_validate, X, target, cv=5, repeats=2)
    found = sc.stability(result, share=0.9)
    core = np.flatnonzero(found.core[0])
    assert np.isin(planted, core).mean() >= 0.9  # recall
    assert np.isin(core, planted).mean() >= 0.8  # precision
    assert float(found.jaccard[0]) > 2 * float(found.jaccard_chance[0])
    noise = sc.stability(quiet(sc.cross_validate, X, rng.normal(size=own.shape), cv=5, repeats=2), share=0.9)
    assert float(noise.stability[0]) < float(found.stability[0])


# Transfer


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_transfer_is_a_loop_of_fits(comparator):
    X, h = embedding(), stack(3, missing=True)
    pruner = sc.Pruner(comparator=comparator)
    found = quiet(sc.transfer, X, h, pruner, cv=3, repeats=2, seed=5)
    folds, repeat = split(N, 3, 2, 5)
    squares = [reference.square(row, N) for row in h]
    for f, (train, test) in enumerate(folds):
        for source in range(3):
            fitted = sc.Pruner(comparator=comparator, kind="similarity").fit(
                X[train], squares[source][np.ix_(train, train)]
            )
            assert int(found.n_kept[source, f]) == fitted.n_features_
            for target in range(3):
                score = fitted.score(X[test], squares[target][np.ix_(test, test)])
                assert float(found.pruned_test[source, target, f]) == pytest.approx(score, abs=1e-12)
    np.testing.assert_allclose(found.transfer, found.pruned_test.mean("fold"), atol=1e-14, rtol=0)
    gain = (found.pruned_test - found.full_test).mean("fold").transpose("source", "target")
    np.testing.assert_allclose(found.gain, gain, atol=1e-14, rtol=0)
    np.testing.assert_array_equal(found.repeat, repeat)


def test_diagonal_of_transfer_is_cross_validation():
    X, h = embedding(), stack(3)
    found, result = (quiet(function, X, h, cv=3) for function in (sc.transfer, sc.cross_validate))
    for t in range(3):
        np.testing.assert_array_equal(found.pruned_test[t, t], result.pruned_test[t])
    np.testing.assert_array_equal(found.full_test, result.full_test)
    assert found.attrs == result.attrs


def test_undefined_pairs_in_transfer():
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(15, 6)))
    X[12:, :3] = 0
    h = np.stack([reference.similarity(X[:, :3] + 1e-9), reference.similarity(X[:, 3:])])
    folds = [(np.arange(10), np.arange(10, 15))]
    with pytest.warns(sc.UndefinedPairsWarning) as told:
        found = quiet(sc.transfer, X, h, cv=folds)
    assert len(told) == 1
    kept = np.flatnonzero(sc.Pruner(kind="similarity").fit(X[:10], reference.square(h[0], 15)[:10, :10]).support_)
    assert set(kept) <= {0, 1, 2}
    assert found.undefined_pairs[0, :, 0].values.tolist() == [9, 9]  # of 10, only the pair of the first two is left
    assert found.undefined_pairs[1].sum() == 0


# All


def test_results_are_labelled_and_saved(tmp_path):
    X, h = embedding(), xr.DataArray(stack(3), dims=("subject", "pair"), coords={"subject": ["anna", "ben", "cleo"]})
    result = quiet(sc.cross_validate, X, h, cv=3)
    made = {
        "permutation_test": quiet(sc.permutation_test, X, h, 3, cv=3),
        "bootstrap": quiet(sc.bootstrap, X, h, 3, cv=3),
        "both": quiet(sc.bootstrap, X, h, 3, "both", cv=3),
        "noise_ceiling": sc.noise_ceiling(h, cv=3),
        "stability": sc.stability(result),
        "transfer": quiet(sc.transfer, X, h, cv=3),
    }
    for name, dataset in made.items():
        dataset.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / f"{name}.nc", engine="h5netcdf") as again:
            xr.testing.assert_equal(again.load(), dataset)
            assert again.attrs == dataset.attrs
        assert "secateur_version" in dataset.attrs
    assert made["bootstrap"].target.values.tolist() == ["anna", "ben", "cleo"]
    assert made["transfer"].sel(source="anna", target="ben").transfer.shape == ()
    assert made["noise_ceiling"].subject.values.tolist() == ["anna", "ben", "cleo"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n": 0}, "n must be an integer of at least 1, got 0"),
        ({"n": True}, "n must be an integer of at least 1, got True"),
        ({"over": "people"}, "over must be one of 'stimuli', 'subjects', 'both'; got 'people'"),
        ({"method": "basic"}, "method must be one of 't', 'percentile', 'bca'; got 'basic'"),
        ({"resample": "all"}, "resample must be one of 'procedure', 'scores'; got 'all'"),
        ({"confidence": 1.0}, "confidence must be above 0 and below 1, got 1.0"),
        ({"confidence": 95}, "confidence must be above 0 and below 1, got 95"),
        ({"method": "bca"}, "method must be 't' or 'percentile' where resample is 'procedure', got 'bca'"),
        (
            {"resample": "scores", "method": "t"},
            "method must be 'percentile' or 'bca' where resample is 'scores', got 't'",
        ),
        (
            {"resample": "scores", "over": "subjects"},
            "resample must be 'procedure' where over is 'subjects', got 'scores'",
        ),
        ({"resample": "scores", "over": "both"}, "resample must be 'procedure' where over is 'both', got 'scores'"),
        (
            {"cv": [(np.arange(9), np.arange(9, 18))]},
            "cv must have two folds without a common test stimulus where method is 't', got none",
        ),
        (
            {"groups": np.minimum(np.arange(18) // 2, 6)},
            "groups must all be of one size where whole groups change places, got 2 in group 0 and 6 in group 6: leave "
            "stimuli out until all groups are as large, or average each group to one stimulus",
        ),
        (
            {"pruner": sc.Pruner(search="parsimonious", inner_cv=2)},
            "inner_cv must leave at least 3 stimuli in each inner fold of half the training stimuli where method is "
            "'t', got 2 folds of as few as 3 stimuli: lower it, or pass method='percentile'",
        ),
        (
            {"target": stack(1), "over": "both"},
            "target must be a stack of at least 2 subjects where over is 'both', got 1",
        ),
        (
            {"over": "subjects", "weights": np.stack([np.ones(P), np.full(P, 2.0), np.ones(P)])},
            "weights must be one pattern for all subjects where over is 'subjects', got several for pair 0",
        ),
    ],
)
def test_bootstrap_refusals(more, message):
    terms = {"target": stack(3), "n": 3, "cv": 3, **more}
    with pytest.raises(ValueError) as error:  # noqa: PT011
        sc.bootstrap(embedding(), **terms, kind="similarity")
    assert str(error.value) == message


VARIED = np.arange(45.0)
FLAT = "rdms must vary over the pairs, got a constant or empty one (subject 1)"


@pytest.mark.parametrize(
    ("rdms", "more", "message"),
    [
        (np.ones(45), {}, "rdms must be a stack of matrices, of shape (T, P) or (T, n, n), got shape (45,)"),
        (np.ones((2, 44)), {}, "rdms must hold n(n-1)/2 pairs a row, got 44"),
        (VARIED[None], {}, "rdms must be of at least 2 subjects, got 1"),
        ([VARIED, VARIED], {"subjects": ["a", "a"]}, "rdms must be of at least 2 subjects, got 1"),
        (
            [VARIED, VARIED],
            {"subjects": ["a"]},
            "subjects must name the subject of each of 2 matrices, got shape (1,)",
        ),
        ([VARIED, np.ones(45)], {}, FLAT),
        ([VARIED, np.full(45, np.nan)], {}, FLAT),
        ([VARIED, np.zeros(45)], {"comparator": "cosine"}, FLAT),
    ],
)
def test_ceiling_refusals(rdms, more, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        sc.noise_ceiling(rdms, **more)
    assert str(error.value) == message


def test_stability_refusals():
    null = quiet(sc.permutation_test, embedding(), stack(1), 2, cv=3)
    for wrong, what in ((null, "one without 'kept'"), (3, "int")):
        with pytest.raises(ValueError, match=f"result must be a Dataset of secateur.cross_validate, got {what}"):
            sc.stability(wrong)
    for share in (0, 1.1, True, "all"):
        with pytest.raises(ValueError, match="share must be above 0 and at most 1, got"):
            sc.stability(result_of(random_sets(3, 8)[None]), share=share)


def test_quiet_and_targets_are_read_once(capsys):
    targets = read_target(stack(2), N, kind="similarity")
    quiet(sc.bootstrap, embedding(), targets, 2, cv=3)
    quiet(sc.transfer, embedding(), targets, cv=3)
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
