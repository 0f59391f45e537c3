"""Models side by side: against the bootstrap and scipy; recovery of planted models; commonality against numpy."""

import numpy as np
import pandas
import pytest
from scipy import stats

import secateur as sc
from secateur.models import differences_table
from secateur.report import models as draw
from secateur.reweighting import Ridge
from secateur.statistics import benjamini_hochberg, holm
from secateur.validation import split

N = 36
PRUNER = sc.Pruner(kind="similarity", threads=1)
HOW = {"pruner": PRUNER, "cv": 3, "progress": False}


def data(subjects=5, noise=1.0, seed=0, n=N):
    """Three models; six of a's features make the target, as four of b's do in a smaller part; c has nothing to do."""
    rng = np.random.default_rng([n, seed])
    models = {name: rng.normal(size=(n, 20)) for name in "abc"}
    truth = sc.similarity(models["a"][:, :6]) + 0.5 * sc.similarity(models["b"][:, :4])
    rows = truth + noise * truth.std() * rng.normal(size=(subjects, len(truth)))
    return models, rows if subjects > 1 else rows[0]


@pytest.fixture(scope="module")
def result():
    models, rows = data()
    return sc.compare_models(models, rows, ["full", "pruned"], n=4, **HOW)


# Scores, intervals, p


def test_scores_are_those_of_each_model_by_itself(result):
    models, rows = data()
    for name, X in models.items():
        alone = sc.compare(X, rows, ["full", "pruned"], **HOW)
        one = result.sel(model=name)
        np.testing.assert_array_equal(one.test_alignment, alone.test_alignment)
        np.testing.assert_array_equal(one.nodes, alone.nodes)
        np.testing.assert_allclose(one.score, alone.test_alignment.mean(["fold", "target"]), atol=1e-12)
    ceiling = sc.noise_ceiling(rows, cv=3, kind="similarity")
    np.testing.assert_allclose(result.ceiling, [ceiling.lower, ceiling.upper], atol=1e-12)


def test_over_stimuli_the_error_is_the_bootstraps():
    """Whose interval of the gain is one of full and pruned, of one model and one target, with the same draws."""
    models, row = data(subjects=1)
    result = sc.compare_models({"a": models["a"]}, row, ["pruned", "full"], n=6, seed=3, **HOW)
    expected = sc.bootstrap(models["a"], row, n=6, seed=3, **HOW)
    assert result.sizes["pair"] == 1
    np.testing.assert_allclose(result.difference, expected.observed_gain, atol=1e-12)
    np.testing.assert_allclose(result.error_difference, expected.error_gain, rtol=1e-9)
    np.testing.assert_allclose(result.interval_difference, expected.interval_gain, rtol=1e-9)
    scores = result.interval_score.sel(model="a", space="pruned")
    np.testing.assert_allclose(scores, expected.interval_pruned_test[0], rtol=1e-9)
    assert "ceiling" not in result


def test_over_subjects_it_is_a_paired_t_over_subjects():
    models, rows = data()
    result = sc.compare_models(models, rows, ["full", "pruned"], over="subjects", **HOW)
    by_subject = result.test_alignment.mean("fold")
    assert result.sizes["pair"] == 9
    for k in range(9):
        one = result.isel(pair=k)
        a, b = (
            by_subject.sel(model=str(one[f"model_{side}"].values), space=str(one[f"space_{side}"].values)).values
            for side in "ab"
        )
        expected = stats.ttest_rel(a, b)
        assert one.t == pytest.approx(expected.statistic, rel=1e-9)
        assert one.p == pytest.approx(expected.pvalue, rel=1e-9)
        np.testing.assert_allclose(one.interval_difference, expected.confidence_interval(), rtol=1e-9)


def test_over_both_the_variances_are_added():
    models, rows = data(n=30)
    models = {name: models[name] for name in "ab"}
    found = {
        over: sc.compare_models(models, rows, ["full"], over=over, n=3, **HOW)
        for over in ("both", "stimuli", "subjects")
    }
    squares = [found[over].error_difference.values ** 2 for over in ("both", "stimuli", "subjects")]
    np.testing.assert_allclose(squares[0], squares[1] + squares[2], rtol=1e-9)
    df = squares[0] ** 2 / (squares[1] ** 2 / 29 + squares[2] ** 2 / 4)
    np.testing.assert_allclose(found["both"].df, df, rtol=1e-9)


def test_p_is_corrected_over_the_pairs_of_a_family(result):
    table = differences_table(result)
    assert table.family.value_counts().to_dict() == {
        **{f"models, {space}": 3 for space in ("full", "pruned")},
        **{f"spaces, {name}": 1 for name in "abc"},
    }
    for _, rows in table.groupby("family"):
        np.testing.assert_allclose(rows.p_holm, holm(rows.p))
        np.testing.assert_allclose(rows.q, benjamini_hochberg(rows.p).adjusted)
    np.testing.assert_allclose(table.p, 2 * stats.t.sf(np.abs(table.t), table.df))
    np.testing.assert_allclose(table.difference, table.a - table.b)


def test_the_model_that_makes_the_target_wins(result):
    table = differences_table(result)
    assert table.loc[["a - b, pruned", "a - c, pruned"], "p_holm"].max() < 0.05
    assert (result.score.idxmax("model") == "a").all()


def test_groups_are_drawn_whole_and_held_in_every_space():
    models, row = data(subjects=1, n=48)
    groups = np.arange(48) // 2
    spaces = {"full": "full", "reweighted": Ridge(inner_cv=2, kind="similarity")}
    found = sc.compare_models({"a": models["a"]}, row, spaces, groups=groups, n=2, **HOW)
    expected = sc.compare(models["a"], row, spaces, groups=groups, **HOW)
    np.testing.assert_array_equal(found.test_alignment.values[0], expected.test_alignment)
    assert float(found.df[0]) == pytest.approx(23)  # of 24 groups


def test_reweighted_is_frrsa():
    models, row = data(subjects=1, n=60)
    found = sc.compare_models({"a": models["a"]}, row, ("full", "reweighted"), n=1, **{**HOW, "cv": 5})
    expected = sc.compare(models["a"], row, ["frrsa"], **{**HOW, "cv": 5})
    np.testing.assert_array_equal(found.test_alignment.values[0, 1], expected.test_alignment[0])


def test_equal_models_are_not_told_apart_more_often_than_alpha():
    """Each holds half of what makes the target: of 40 data sets 2 are expected, more than 6 once in two hundred."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng([17, seed])
        own = rng.normal(size=(30, 12))
        models = {str(k): np.hstack([own[:, 6 * k : 6 * k + 6], rng.normal(size=(30, 12))]) for k in (0, 1)}
        truth = sc.similarity(own)
        row = truth + 0.5 * truth.std() * rng.normal(size=len(truth))
        result = sc.compare_models(models, row, ["full"], n=3, seed=seed, **HOW)
        found.append(float(result.p[0]) <= 0.05)
    assert np.sum(found) <= 6


@pytest.mark.parametrize("by", ["space", "model"])
def test_the_picture_has_a_line_for_each_pair_that_differs(result, by):
    figure = draw(result, by)
    table = differences_table(result)
    panels = [str(name) for name in result[by].values]
    assert [axes.get_title(loc="left") for axes in figure.axes] == panels
    for axes, panel in zip(figure.axes, panels, strict=True):
        family = f"{'models' if by == 'space' else 'spaces'}, {panel}"
        differing = (table[table.family == family].p_holm <= 0.05).sum()
        assert sum(line.get_marker() == "|" and len(line.get_xdata()) == 2 for line in axes.lines) == differing
        heights = [bar.get_height() for bar in axes.patches if bar.get_width() == pytest.approx(0.66)]
        np.testing.assert_allclose(heights, result.score.sel({by: panel}))


@pytest.mark.parametrize(
    ("models", "how", "error", "words"),
    [
        ([np.ones((5, 2))], {}, TypeError, "models must be a mapping of names to features, got list"),
        ({}, {}, ValueError, "models must hold at least one model, got none"),
        ({1: np.ones((5, 2))}, {}, TypeError, "models must be named by text, got 1"),
        (
            {name: pandas.DataFrame(np.ones((36, 2)), [f"{of}{i}" for i in range(36)]) for name, of in zip("xy", "st")},
            {},
            ValueError,
            "models must name the same stimuli in one order, got 's0' in 'x' and 't0' in 'y' at 0",
        ),
        ({"x": np.ones((5, 2))}, {}, ValueError, "models must be of the same stimuli, got 36 in 'a' and 5 in 'x'"),
        (
            None,
            {"over": "both"},
            ValueError,
            "target must be a stack of at least 2 subjects where over is 'both', got 1",
        ),
        (None, {"over": "time"}, ValueError, "over must be one of 'both', 'stimuli', 'subjects'; got 'time'"),
        (None, {"n": 0}, ValueError, "n must be an integer of at least 1, got 0"),
        (None, {"spaces": ["full", "lda"]}, ValueError, "methods must be among 'full', .* got 'lda'"),
        (
            None,
            {"spaces": ["reweighted"]},
            ValueError,
            r"'reweighted' makes 5 inner folds \(inner_cv\) .* hold as few as 6: .* leave 'reweighted' out$",
        ),
    ],
)
def test_refusals(models, how, error, words):
    own, row = data(subjects=1)
    given = own if models is None else models if isinstance(models, list) or not models else {"a": own["a"], **models}
    with pytest.raises(error, match=words):
        sc.compare_models(given, row, **HOW, **how)


# Recovery


def test_recovery_falls_with_noise_and_says_who_was_chosen():
    rng = np.random.default_rng(0)
    models = {name: rng.normal(size=(30, 24)) for name in "ab"}
    found = sc.model_recovery(models, n=3, noise=[0.1, 50.0], subjects=2, share=0.25, **HOW)
    np.testing.assert_array_equal(found.accuracy.sel(noise=0.1), 1)
    np.testing.assert_allclose(found.chosen.sum("model"), 1)
    by_hand = [[one.sel(made_by=name, model=name).item() for name in "ab"] for one in found.chosen.sel(space="pruned")]
    np.testing.assert_allclose(found.accuracy.sel(space="pruned"), np.mean(by_hand, axis=1))
    assert (found.ceiling.sel(noise=0.1) > found.ceiling.sel(noise=50.0)).all()
    again = sc.model_recovery(models, n=3, noise=[0.1, 50.0], subjects=2, share=0.25, **HOW)
    np.testing.assert_array_equal(found.score, again.score)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"noise": 0}, "noise must be positive numbers, got 0"),
        ({"share": 2}, "share must be above 0 and at most 1, got 2"),
        ({"subjects": 1}, "subjects must be an integer of at least 2, got 1"),
    ],
)
def test_recovery_refuses(how, words):
    models, _ = data()
    with pytest.raises(ValueError, match=words):
        sc.model_recovery(models, n=1, **HOW, **how)
    with pytest.raises(ValueError, match="models must hold at least two models, got 1"):
        sc.model_recovery({"a": models["a"]}, n=1, **HOW)


# Commonality


def r2(y, columns):
    design = np.vstack([np.ones(len(y)), *columns]).T
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return 1 - left @ left / ((y - y.mean()) ** 2).sum()


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_commonality_is_the_regressions_in_numpy(comparator):
    models, row = data(subjects=1, n=30)
    X, control = models["a"], sc.similarity(models["b"])
    pruner = sc.Pruner(comparator=comparator, kind="similarity", threads=1)
    how = {"pruner": pruner, "cv": 3, "progress": False}
    found = sc.unique_variance(X, row, {"pixels": control}, n=20, seed=2, **how)
    predicted = sc.compare(X, row, ["full", "pruned"], predictions=True, seed=2, **how).predicted.values[:, 0]
    names = ["full", "pruned", "pixels"]
    sets = {"full": [0], "pruned": [1], "pixels": [2], "full+pruned": [0, 1], "full+pixels": [0, 2]}
    sets |= {"pruned+pixels": [1, 2], "full+pruned+pixels": [0, 1, 2]}
    total = dict.fromkeys(sets, 0.0)
    gains = np.zeros((3, 21))
    for f, (_, test) in enumerate(split(30, 3, 1, 2)[0]):
        i, j = np.triu_indices(len(test), 1)
        square = np.zeros((30, 30))
        square[np.triu_indices(30, 1)] = np.arange(435)
        at = (square + square.T)[np.ix_(test, test)][i, j].astype(int)
        values = [predicted[0, f, at], predicted[1, f, at], control[at], row[at]]
        if comparator == "spearman":
            values = [stats.rankdata(one) for one in values]
        *columns, y = values
        orders = sc.relabelling.relabellings(len(test), 20, 2 + f)

        def moved(v, order, i=i, j=j):
            whole = np.zeros((len(order), len(order)))
            whole[i, j] = v
            return (whole + whole.T)[np.ix_(order, order)][i, j]

        for name, which in sets.items():
            own = [columns[k] for k in which]
            chance = np.mean([r2(moved(y, order), own) for order in orders])
            total[name] += (r2(y, own) - chance) / (1 - chance) / 3
        for k in range(3):
            others = [columns[m] for m in range(3) if m != k]
            design = np.vstack([np.ones(len(y)), *others]).T
            stays = design @ np.linalg.lstsq(design, y, rcond=None)[0]
            for b, order in enumerate([np.arange(len(test)), *orders]):
                drawn = stays + moved(y - stays, order)
                gains[k, b] += (r2(drawn, columns) - r2(drawn, others)) / 3
    for name, value in total.items():
        assert found.r2.sel(subset=name).item() == pytest.approx(value, abs=1e-10)
    p = (1 + (gains[:, 1:] >= gains[:, :1] - 1e-12).sum(axis=1)) / 21
    np.testing.assert_allclose(found.p_unique.sel(regressor=names)[0], p)
    part = {str(name): found.variance.sel(part=name).item() for name in found.part.values}
    unique = total["full+pruned+pixels"] - total["full+pixels"]
    assert part["pruned"] == pytest.approx(unique, abs=1e-10)
    shared = total["full+pixels"] + total["pruned+pixels"] - total["pixels"] - total["full+pruned+pixels"]
    assert part["full+pruned"] == pytest.approx(shared, abs=1e-10)
    assert sum(part.values()) == pytest.approx(total["full+pruned+pixels"], abs=1e-10)


def test_what_a_control_says_alone_and_what_pruning_adds_are_found_where_they_are_planted():
    rng = np.random.default_rng(1)
    X, confound = rng.normal(size=(60, 30)), rng.normal(size=(60, 5))
    wanted, pixels = sc.similarity(X[:, :5]), sc.similarity(confound)
    found = sc.unique_variance(X, wanted + pixels, pixels, ["pruned"], n=99, cv=3, kind="similarity", progress=False)
    part = {str(name): found.variance.sel(part=name).item() for name in found.part.values}
    assert set(part) == {"pruned", "control", "pruned+control"}
    assert part["control"] == pytest.approx(0.5, abs=0.1)  # as much variance as the rest of the target
    assert 0.2 < part["pruned"] < 0.5
    assert abs(part["pruned+control"]) < 0.1
    assert (found.p_unique == 0.01).all()


def test_nothing_is_explained_of_what_has_nothing_to_do_with_any_space():
    """Means over 40 targets within four standard errors of zero, and p that are uniform enough."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(30, 10))
    rows = np.stack([sc.similarity(rng.normal(size=(30, 4))) for _ in range(40)])
    control = sc.similarity(rng.normal(size=(30, 4)))
    found = sc.unique_variance(X, rows, control, n=49, cv=3, kind="similarity", progress=False)
    mean, error = found.r2.mean("target"), found.r2.std("target") / np.sqrt(40)
    assert (np.abs(mean) < 4 * error).all()
    assert (found.p_unique <= 0.1).mean() < 0.25
    assert found.p_unique_mean.dims == ("regressor",)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"spaces": ["full"]}, "spaces and controls must be 2 to 4 in all, got 1"),
        (
            {"controls": {"full": np.arange(630.0)}},
            "spaces and controls must have names of their own, got full, pruned",
        ),
        ({"controls": np.arange(9.0)}, "control must have shape"),
        ({"pruner": sc.Pruner(comparator="cosine", kind="similarity")}, "comparator must be 'pearson' or 'spearman'"),
    ],
)
def test_commonality_refuses(how, words):
    models, row = data(subjects=1)
    with pytest.raises(ValueError, match=words):
        sc.unique_variance(models["a"], row, **{**HOW, **how})


def test_whiskers_below_zero_are_drawn_whole(result):
    lower = result.copy(deep=True)
    lower["score"] -= 0.8
    lower["interval_score"] -= 0.8
    least = float(lower["interval_score"].min())
    for axes in sc.report.models(lower).axes:
        low, high = axes.get_ylim()
        assert low < least - 0.03 * (high - low)  # and its cap
