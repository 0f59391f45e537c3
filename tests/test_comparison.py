"""Methods side by side: the same folds, nothing of the test stimuli, the table by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import reference
import secateur as sc
from secateur.relabelling import relabellings
from secateur.report import comparison, comparison_markdown
from secateur.reweighting import Ridge, SimDR
from secateur.statistics import holm

FAST = {
    "full": "full",
    "pruned": "pruned",
    "ridge": "ridge",
    "lasso": "lasso",
    "sim-dr": SimDR(dimensions=(2, 4), penalties=[1e-3]),
}
VARIABLES = ("train_alignment", "test_alignment", "nodes", "penalty", "dimensions")


def stimuli(n=36, d=20, targets=None, seed=0):
    rng = np.random.default_rng([n, d, seed])
    X = np.maximum(rng.normal(0.3, 1, (n, d)), 0)
    one = reference.similarity(X[:, : d // 2])
    shape = (targets, len(one)) if targets else one.shape
    return X, one + 0.2 * rng.normal(size=shape)


@pytest.fixture(scope="module")
def result():
    X, h = stimuli(targets=2)
    return sc.compare(X, h, FAST, cv=4, progress=False, kind="similarity")


# Folds


@pytest.mark.parametrize(
    ("terms", "how"),
    [
        ({}, {"cv": 4, "seed": 3}),
        ({"metric": "correlation", "comparator": "spearman"}, {"cv": 3, "repeats": 2}),
        ({"kind": "dissimilarity", "search": "forward", "max_features": 4}, {"cv": 3, "groups": np.arange(36) // 3}),
    ],
)
def test_full_and_pruned_are_cross_validates(terms, how):
    X, h = stimuli(targets=2)
    h = -h if "kind" in terms else h
    h[0, 5] = np.nan
    pruner = sc.Pruner(**{"kind": "similarity", **terms})
    ours = sc.compare(X, h, ["pruned", "full"], pruner=pruner, progress=False, **how)
    theirs = sc.cross_validate(X, h, pruner, progress=False, **how)
    for name in ("full", "pruned"):
        one = ours.sel(approach=name)
        np.testing.assert_array_equal(one.train_alignment, theirs[f"{name}_train"])
        np.testing.assert_array_equal(one.test_alignment, theirs[f"{name}_test"])
    np.testing.assert_array_equal(ours.nodes.sel(approach="pruned"), theirs.n_kept)
    assert (ours.nodes.sel(approach="full") == 20).all()
    np.testing.assert_array_equal(ours.test, theirs.test)
    np.testing.assert_array_equal(ours.repeat, theirs.repeat)
    for name in ("metric", "comparator", "kind", "search", "cv", "repeats", "seed"):
        assert ours.attrs[name] == theirs.attrs[name]


def test_a_reweighting_is_fitted_fold_by_fold():
    X, h = stimuli()
    square = reference.square(h, 36)
    result = sc.compare(X, h, ["ridge", "lasso"], cv=4, seed=1, progress=False, kind="similarity")
    for f, name in [(f, name) for f in range(4) for name in ("ridge", "lasso")]:
        test = result.test.values[f]
        method = {"ridge": Ridge, "lasso": sc.reweighting.Lasso}[name](kind="similarity")
        fitted = method.fit(X[~test], square[np.ix_(~test, ~test)])
        one = result.sel(approach=name).isel(target=0, fold=f)
        assert one.test_alignment == pytest.approx(fitted.score(X[test], square[np.ix_(test, test)]), abs=1e-12)
        assert one.train_alignment == pytest.approx(fitted.score(X[~test], square[np.ix_(~test, ~test)]), abs=1e-12)
        assert one.penalty == fitted.penalty_
        assert one.nodes == fitted.n_features_ == (fitted.coef_ != 0).sum()
    groups = np.arange(36) // 2
    result = sc.compare(X, h, ["ridge"], cv=3, groups=groups, progress=False, kind="similarity")
    train = np.flatnonzero(~result.test.values[0])
    fitted = Ridge(kind="similarity").fit(X[train], square[np.ix_(train, train)], groups=groups[train])
    assert result.penalty.values[0, 0, 0] == fitted.penalty_
    test = result.test.values[0]
    expected = fitted.score(X[test], square[np.ix_(test, test)])
    assert result.test_alignment.values[0, 0, 0] == pytest.approx(expected, abs=1e-12)


def test_nothing_of_the_test_stimuli_is_learnt_from():
    """With a fold's test stimuli replaced, their pairs and features, training scores and choices are the same."""
    X, h = stimuli()
    square = reference.square(h, 36)
    folds = [(np.arange(12, 36), np.arange(12))]
    rng = np.random.default_rng(0)
    other, others = square.copy(), X.copy()
    other[:12] = rng.random((12, 36))
    other[:, :12] = other[:12].T
    other[:12, :12] = (other[:12, :12] + other[:12, :12].T) / 2
    others[:12] = rng.random((12, 20))
    one, two = (
        sc.compare(features, goal, FAST, cv=folds, progress=False, kind="similarity")
        for features, goal in ((X, square), (others, other))
    )
    for name in ("train_alignment", "nodes", "penalty", "dimensions"):
        np.testing.assert_array_equal(one[name], two[name])
    assert (one.test_alignment != two.test_alignment).all()


# Other methods


class Whole:
    """All features by their inner products; keeps what it was given."""

    def __init__(self):
        self.given = []

    def fit(self, X, target, **extra):
        self.given.append((X, target, extra))
        self.n_features_ = X.shape[1]

    def predict(self, X):
        return (X @ X.T)[np.triu_indices(len(X), 1)]


class ByPosition:
    """The same, but it finds the features itself."""

    def __init__(self, X):
        self.X, self.given = X, []

    def fit_stimuli(self, stimuli, target, **extra):
        self.given.append((stimuli, target, extra))

    def predict_stimuli(self, stimuli):
        return (self.X[stimuli] @ self.X[stimuli].T)[np.triu_indices(len(stimuli), 1)]


def test_other_methods_get_the_training_stimuli_of_each_fold():
    X, h = stimuli(targets=2)
    h[1, :7] = np.nan
    features, positions = Whole(), ByPosition(X)
    methods = {"full": "full", "features": features, "positions": positions}
    result = sc.compare(X, -h, methods, cv=3, pruner=sc.Pruner("dot", kind="dissimilarity"), progress=False)
    for name in methods:
        one = result.sel(approach=name)
        np.testing.assert_allclose(one.test_alignment, result.test_alignment.sel(approach="full"), atol=1e-12)
        np.testing.assert_allclose(one.train_alignment, result.train_alignment.sel(approach="full"), atol=1e-12)
    assert (result.nodes.sel(approach="features") == 20).all()
    assert np.isnan(result.nodes.sel(approach="positions")).all()
    assert len(features.given) == len(positions.given) == 6
    for f in range(3):
        train = np.flatnonzero(~result.test.values[f])
        for t in range(2):
            rows, target, extra = features.given[2 * f + t]
            np.testing.assert_array_equal(rows, X[train])
            np.testing.assert_array_equal(target, reference.among(h[t], train, 36))
            np.testing.assert_array_equal(positions.given[2 * f + t][0], train)
            np.testing.assert_array_equal(positions.given[2 * f + t][1], target)
            assert extra == positions.given[2 * f + t][2] == {}


def test_other_methods_get_weights_where_they_are_more_than_a_choice_of_pairs():
    X, h = stimuli()
    method = Whole()
    sc.compare(X, h, {"a": method}, cv=2, weights=np.r_[0.0, np.ones(len(h) - 1)], progress=False, kind="similarity")
    assert [extra for _, _, extra in method.given] == [{}, {}]
    w = np.random.default_rng(0).random(len(h))
    result = sc.compare(X, h, {"a": method, "b": "ridge"}, cv=2, weights=w, progress=False, kind="similarity")
    train = np.flatnonzero(~result.test.values[0])
    np.testing.assert_array_equal(method.given[2][2]["weights"], reference.among(w, train, 36))


def test_pairs_without_a_direction_are_left_out_and_told_once():
    X, h = stimuli()
    result = sc.compare(
        X, h, ["full", "ridge"], cv=[(np.arange(20), np.arange(20, 36))], progress=False, kind="similarity"
    )
    assert (result.undefined_pairs == 0).all()
    X[30] = 0
    with pytest.warns(sc.UndefinedPairsWarning, match="^30 pairs") as told:
        result = sc.compare(
            X, h, ["full", "frrsa", "ridge"], cv=[(np.arange(20), np.arange(20, 36))], progress=False, kind="similarity"
        )
    assert len(told) == 1
    assert result.undefined_pairs.values.ravel().tolist() == [15, 15, 0]
    assert np.isfinite(result.test_alignment).all()


# What comes out


def test_the_result(result, tmp_path):
    import xarray

    assert result.sizes == {"approach": 5, "target": 2, "fold": 4, "stimulus": 36}
    for name in VARIABLES:
        assert result[name].dims == ("approach", "target", "fold")
    assert np.isfinite(result.penalty.sel(approach=["ridge", "lasso", "sim-dr"])).all()
    assert np.isnan(result.penalty.sel(approach=["full", "pruned"])).all()
    assert np.isin(result.dimensions.sel(approach="sim-dr"), (2, 4)).all()
    result.to_netcdf(tmp_path / "comparison.nc")
    with xarray.open_dataset(tmp_path / "comparison.nc") as back:
        xarray.testing.assert_equal(back.load(), result)


def test_the_table(result):
    table = sc.comparison_table(result)
    assert list(table.index.names) == ["target", "approach"]
    for target in (0, 1):
        scores = {name: result.test_alignment.sel(approach=name, target=target).values for name in FAST}
        for name, values in scores.items():
            row = table.loc[(target, name)]
            assert row.test == pytest.approx(values.mean())
            assert row.test_sd == pytest.approx(values.std(ddof=1))
            assert row.test_r2 == pytest.approx(np.sign(values.mean()) * values.mean() ** 2)
            if name != "full":
                expected = stats.ttest_rel(values, scores["full"])
                assert row.t_full == pytest.approx(expected.statistic, rel=1e-9)
                assert row.gain_full == pytest.approx((values - scores["full"]).mean())
    assert not [name for name in table if name.startswith("p_")]
    assert not [name for name in sc.comparison_table(result, against="lasso") if name.endswith("_full")]
    assert "gain_pruned" not in sc.comparison_table(result.sel(approach=["full", "ridge"]))


@pytest.fixture(scope="module")
def relabelled():
    X, h = stimuli(targets=2)
    h[1, 3] = np.nan
    how = {"cv": 4, "repeats": 2, "seed": 1, "permutations": 19, "predictions": True, "progress": False}
    return sc.compare(X, h, FAST, kind="similarity", **how), h


@pytest.mark.parametrize("groups", [None, np.arange(36) // 3])
def test_chance_is_the_held_out_score_of_relabelled_targets(groups):
    """By a slow way: each relabelled matrix held against each fold's predictions, which stay."""
    X, h = stimuli(n=36, targets=2)
    h[1, 3] = np.nan
    how = {"cv": 3, "repeats": 2, "seed": 5, "groups": groups, "progress": False, "kind": "similarity"}
    result = sc.compare(X, h, ["full", "pruned"], permutations=4, predictions=True, **how)
    rows, columns = np.triu_indices(36, 1)
    orders = relabellings(36, 4, 5, groups)
    for t in range(2):
        square = reference.square(h[t], 36)
        for b, order in enumerate(orders):
            assert sorted(order) == list(range(36))
            if groups is not None:  # a group's stimuli come from one group
                assert all(len(set(groups[order[groups == g]])) == 1 for g in range(12))
            moved = square[np.ix_(order, order)][rows, columns]
            for m in (0, 1):
                scores = []
                for f in range(6):
                    given = result.predicted.values[m, t, f]
                    there = np.isfinite(given) & np.isfinite(moved)
                    scores.append(np.corrcoef(given[there], moved[there])[0, 1])
                assert result.chance.values[m, t, b] == pytest.approx(np.mean(scores), abs=1e-10)
    bare = sc.compare(X, h, ["full", "pruned"], **how)
    assert "chance" not in bare
    np.testing.assert_array_equal(bare.test_alignment, result.test_alignment)


def test_the_tables_p_is_of_chance(relabelled):
    result, _ = relabelled
    table = sc.comparison_table(result)
    for target in (0, 1):
        score = result.test_alignment.sel(target=target).mean("fold")
        null = result.chance.sel(target=target)
        p = {}
        for name in FAST:
            row = table.loc[(target, name)]
            reached = (null.sel(approach=name) >= score.sel(approach=name)).sum()
            assert row.p_test == pytest.approx((1 + int(reached)) / 20)
            if name != "full":
                gap = abs(null.sel(approach=name) - null.sel(approach="full"))
                gain = abs(score.sel(approach=name) - score.sel(approach="full"))
                p[name] = (1 + int((gap >= gain).sum())) / 20
                assert row.p_full == pytest.approx(p[name])
        order = sorted(p, key=p.get)
        for rank, name in enumerate(order):
            earlier = [p[other] * (4 - k) for k, other in enumerate(order[: rank + 1])]
            assert table.loc[(target, name), "p_holm_full"] == pytest.approx(min(1, max(earlier)))
    assert np.isnan(table.loc[(0, "full"), "p_full"])
    assert np.isnan(table.loc[(0, "pruned"), "p_pruned"])


def test_groups_of_unequal_size_are_not_relabelled():
    X, h = stimuli()
    groups = np.r_[np.zeros(4), np.arange(32) // 2 + 1]
    message = "groups must all be of one size where whole groups change places, got 2 in group 1.0 and 4 in group 0.0: "
    with pytest.raises(ValueError, match=message):
        sc.compare(X, h, ["full"], cv=3, groups=groups, permutations=9, kind="similarity")
    sc.compare(X, h, ["full"], cv=3, groups=groups, progress=False, kind="similarity")
    for wrong in (-1, 2.5, True):
        with pytest.raises(ValueError, match="permutations must be an integer of at least 0, got"):
            sc.compare(X, h, ["full"], permutations=wrong, kind="similarity")


def test_repeated_folds_do_not_make_a_null_target_significant():
    """Of targets that have nothing to do with X: 5 % by relabelling, where t over 5 x 4 folds calls far more."""
    found, by_t = [], []
    for seed in range(60):
        rng = np.random.default_rng([3, seed])
        X, h = rng.normal(size=(30, 20)), reference.similarity(rng.normal(size=(30, 5)))
        how = {"repeats": 4, "seed": seed, "permutations": 99, "progress": False, "kind": "similarity"}
        result = sc.compare(X, h, ["full", "pruned"], **how)
        row = sc.comparison_table(result).loc[(0, "pruned")]
        found.append([row.p_test, row.p_full])
        by_t.append(abs(row.t_full) > stats.t.isf(0.025, 19))
    # expected 3 of 60; 10 or more come by chance once in a thousand
    assert (np.array(found) <= 0.05).sum(axis=0).max() <= 9
    assert np.abs(np.mean(found, axis=0) - 0.5).max() < 0.15  # four standard errors of a mean of 60


def test_markdown_and_figure(result, relabelled):
    words = comparison_markdown(result, title="Table 1")
    lines = words.splitlines()
    assert lines[0] == "# Table 1"
    rows = [line for line in lines if line.startswith("| pruned")]
    assert len(rows) == 2
    score = result.test_alignment.sel(approach="pruned", target=0)
    assert f"{float(score.mean()):.3f} ± {float(score.std(ddof=1)):.3f}" in rows[0]
    assert "(p)" not in words
    assert "no p: folds share stimuli" in words
    tested = comparison_markdown(relabelled[0])
    assert "corrected (Holm)" in tested
    assert "from 19 relabellings" in tested
    table = sc.comparison_table(relabelled[0])
    row = table.loc[(0, "pruned")]
    cells = [cell.strip() for cell in next(x for x in tested.splitlines() if x.startswith("| pruned")).split("|")]
    assert cells[3:5] == [f"{row.p_test:.2g}", f"{row.test_r2:.3f}"]
    assert cells[7] == f"{row.gain_full:+.3f} ({row.p_holm_full:.2g})"
    figure = comparison(result)
    assert len(figure.axes) == 2
    assert [tick.get_text().split("\n")[0] for tick in figure.axes[0].get_xticklabels()] == list(FAST)
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(heights, result.test_alignment.isel(target=1).mean("fold"))


def test_nothing_to_tell_from_a_fold_without_a_score(result):
    one = result.isel(target=[0], fold=[0]).copy(deep=True)
    one["test_alignment"][0] = np.nan
    assert "| full | – |" in comparison_markdown(one)
    comparison(one).savefig("/dev/null", format="png")


def test_holm_is_sharper_than_bonferroni_and_as_safe():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 6))
    corrected = np.array([holm(row) for row in p])
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(6 * p, 1)).all()
    assert (corrected < np.minimum(6 * p, 1)).any()
    assert 0.04 < (corrected.min(axis=1) <= 0.05).mean() < 0.06
    np.testing.assert_array_equal(holm([np.nan, 0.02]), [np.nan, 0.02])


# Refusals


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ("full", TypeError, "methods must be names or a mapping of names to methods, got 'full'"),
        ([], ValueError, "methods must hold at least one method, got none"),
        (["full", "lda"], ValueError, "methods must be among 'full', 'pruned', .* or objects; got 'lda'"),
        ({"a": 3}, TypeError, "methods must be names, Pruners, or objects with .*, got 3 for 'a'"),
        ({"a": Ridge}, TypeError, "methods must be names, Pruners, or objects with .*, got <class .* for 'a'"),
        ({1: "full"}, TypeError, "methods must be named by text, got 1"),
        ({"a": sc.Pruner(comparator="spearman")}, ValueError, "one comparator, 'pearson', got 'spearman' for 'a'"),
    ],
)
def test_refusals(methods, error, message):
    X, h = stimuli()
    with pytest.raises(error, match=message):
        sc.compare(X, h, methods)


def test_predictions_of_another_length_are_refused():
    from sklearn.linear_model import LinearRegression

    class Rows(LinearRegression):
        def fit(self, X, target):
            return super().fit(X, X[:, 0])

    X, h = stimuli()
    message = r"methods must predict 276 similarities of the pairs of 24 stimuli, got shape \(24,\) from 'rows'"
    with pytest.raises(ValueError, match=message):
        sc.compare(X, h, {"rows": Rows()}, cv=3, kind="similarity")
