"""Averages of matrices and the score of the Algonauts challenge, against definitions written out with scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr, spearmanr, zscore

import secateur as sc
from secateur.comparison import explained_variance
from secateur.targets import average


def test_average_is_matlabs_zscore_over_pairs():
    rdms = np.random.default_rng(0).gamma(2, size=(4, 20, 28))  # subjects, time points
    expected = np.mean([zscore(one, ddof=1) for subject in rdms for one in subject], axis=0)
    np.testing.assert_allclose(average(rdms, rescale=None), expected, atol=1e-12)
    np.testing.assert_allclose(average(rdms), (expected + 2) / 5, atol=1e-12)
    np.testing.assert_allclose(average(rdms, zscore=False, rescale=(1, 4)), (rdms.mean((0, 1)) + 1) / 4, atol=1e-12)
    squares = np.array([[squareform(one) for one in subject] for subject in rdms])
    np.testing.assert_allclose(average(squares), average(rdms), atol=1e-15)
    np.testing.assert_allclose(average(rdms[0, 0], rescale=None), zscore(rdms[0, 0], ddof=1), atol=1e-12)


def test_average_with_missing_pairs():
    rdms = np.random.default_rng(0).random((3, 15))
    rdms[0, 2] = rdms[1, 2] = rdms[2, 2] = rdms[1, 7] = np.nan
    scaled = [(one - np.nanmean(one)) / np.nanstd(one, ddof=1) for one in rdms]
    found = average(rdms, rescale=None)
    assert np.isnan(found[2])
    assert found[7] == pytest.approx((scaled[0][7] + scaled[2][7]) / 2)
    assert found[3] == pytest.approx(np.mean([one[3] for one in scaled]))


def test_average_takes_rsatoolbox():
    rsatoolbox = pytest.importorskip("rsatoolbox")
    values = np.random.default_rng(0).random((3, 15))
    np.testing.assert_array_equal(average(rsatoolbox.rdm.RDMs(values)), average(values))


@pytest.mark.parametrize(
    ("rdms", "words"),
    [
        (np.ones((2, 15)), "rdms must vary over pairs to be z-scored, got a constant matrix at 0"),
        (np.ones((2, 14)), r"rdms must have shape \(..., n, n\) or \(..., n\(n-1\)/2\), got \(2, 14\)"),
        (np.zeros((0, 15)), "rdms must have shape"),
        (3.0, "rdms must have shape"),
        (np.arange(9.0).reshape(1, 3, 3), "rdms must be symmetric"),
        (np.array([[1.0, 2.0, np.inf]]), "rdms must not be infinite, got matrix 0"),
    ],
)
def test_average_refuses(rdms, words):
    with pytest.raises(ValueError, match=words):
        average(rdms)


def by_hand(model, rdms, correlate):
    r2 = [correlate(model, subject)[0] ** 2 for subject in rdms]
    upper = [correlate(rdms.mean(axis=0), subject)[0] ** 2 for subject in rdms]
    lower = [correlate(np.delete(rdms, s, 0).mean(axis=0), subject)[0] ** 2 for s, subject in enumerate(rdms)]
    return r2, upper, lower


@pytest.mark.parametrize(("comparator", "correlate"), [("spearman", spearmanr), ("pearson", pearsonr)])
def test_score_is_its_definition(comparator, correlate):
    rng = np.random.default_rng(1)
    truth = rng.random(66)
    rdms = truth + 0.5 * rng.random((5, 66))
    models = {"good": truth + 0.2 * rng.random(66), "wrong way round": 1 - truth, "square": squareform(truth)}
    scores = sc.noise_normalised_r2(models, rdms, comparator)
    assert scores.r2.dims == ("model", "subject")
    for name, model in models.items():
        r2, upper, lower = by_hand(squareform(model) if model.ndim == 2 else model, rdms, correlate)
        one = scores.sel(model=name)
        np.testing.assert_allclose(one.r2, r2, atol=1e-12)
        np.testing.assert_allclose(scores.upper_by_subject, upper, atol=1e-12)
        np.testing.assert_allclose(scores.lower_by_subject, lower, atol=1e-12)
        possible = np.mean(upper) - float(scores.upper_chance)
        assert float(one.explained) == pytest.approx(100 * (np.mean(r2) - float(one.chance.mean())) / possible)
        np.testing.assert_allclose(one.explained_by_subject.mean(), one.explained)
    assert float(scores.explained_lower) < 100
    assert float(scores.lower) < float(scores.upper)
    assert (scores.correlation.sel(model="wrong way round") < 0).all()
    alone = sc.noise_normalised_r2(rdms.mean(axis=0), np.array([squareform(rdm) for rdm in rdms]), comparator)
    assert float(alone.explained[0]) == pytest.approx(100)


def test_chance_is_the_mean_square_over_all_relabellings():
    """Of five stimuli there are 120 orders: the mean square over all of them, which the drawn ones come near."""
    rng = np.random.default_rng(3)
    model, rdms = rng.random(10), rng.random((3, 10))
    squares = np.array([squareform(one) for one in rdms])
    rows, columns = np.triu_indices(5, 1)
    exact = np.mean(
        [
            [pearsonr(model, one[np.ix_(order, order)][rows, columns])[0] ** 2 for one in squares]
            for order in map(list, itertools.permutations(range(5)))
        ],
        axis=0,
    )
    scores = sc.noise_normalised_r2(model, rdms, "pearson", n=4000)
    # a square lies in 0 to 1, so that its SD is 0.5 at most: four standard errors
    np.testing.assert_allclose(scores.chance[0], exact, atol=4 * 0.5 / np.sqrt(4000))
    again = sc.noise_normalised_r2(model, rdms, "pearson", n=4000)
    np.testing.assert_array_equal(scores.explained, again.explained)


def test_a_model_that_knows_nothing_explains_nothing():
    """On average over data sets 0 percent, in folds and as a whole, where the plain squares say 5 to 20."""
    found, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng([5, seed])
        X, own = rng.normal(size=(27, 15)), rng.normal(size=(27, 4))
        shared = 1 - np.corrcoef(own)[np.triu_indices(27, 1)]
        rdms = shared + rng.normal(size=(4, len(shared)))
        terms = {"kind": "dissimilarity", "predictions": True, "progress": False}
        result = sc.compare(X, rdms.mean(axis=0), ["full", "pruned"], 3, seed=seed, **terms)
        scores = explained_variance(result, rdms, n=50)
        whole = sc.noise_normalised_r2(1 - np.corrcoef(X)[np.triu_indices(27, 1)], rdms, n=50)
        found.append([*scores.explained.values, *whole.explained.values])
        plain.append(100 * (scores.mean_r2 / scores.upper).values)
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(60)
    assert (np.abs(mean) < 4 * error).all()
    assert (np.mean(plain, axis=0) > 5).all()  # what was printed before
    assert (error < 1).all()


def test_squares_of_tables_are_zero_on_average_where_nothing_is_known():
    found, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng([6, seed])
        X, target = rng.normal(size=(27, 15)), np.corrcoef(rng.normal(size=(27, 4)))
        result = sc.cross_validate(X, target, cv=3, seed=seed, curves=False, progress=False)
        found.append(sc.summary(result)[["full_test_r2", "pruned_test_r2"]].values[0])
        plain.append([float((result[name] ** 2).mean()) for name in ("full_test", "pruned_test")])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(60)
    assert (np.abs(mean) < 4 * error).all()
    assert (np.mean(plain, axis=0) > 0.02).all()
    assert (error < 0.005).all()


def test_missing_pairs_are_left_out():
    rng = np.random.default_rng(2)
    rdms, model = rng.random((3, 28)), rng.random(28)
    model[[2, 9]] = np.nan
    rdms[1, 4] = np.nan
    scores = sc.noise_normalised_r2(model, rdms)
    there = ~np.isnan(model)
    for s, rdm in enumerate(rdms):
        both = there & ~np.isnan(rdm)
        assert float(scores.correlation[0, s]) == pytest.approx(spearmanr(model[both], rdm[both])[0])
        mean = np.nanmean(rdms, axis=0)
        assert float(scores.upper_by_subject[s]) == pytest.approx(spearmanr(mean[both], rdm[both])[0] ** 2)


def test_folds():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 20))
    truth = 1 - np.corrcoef(X[:, :6])[np.triu_indices(24, 1)]
    rdms = truth + 0.3 * rng.normal(size=(3, 276))
    pruner = sc.Pruner("correlation", kind="dissimilarity")
    result = sc.compare(X, rdms.mean(axis=0), ["full", "pruned", "lasso"], 3, pruner=pruner, predictions=True)
    rows, columns = np.triu_indices(24, 1)
    found = {"r2": [], "upper": [], "chance": [], "possible": []}
    for f in range(3):
        test = result.test.values[f]
        among = test[rows] & test[columns]
        given = result.predicted.isel(target=0, fold=f)
        assert (np.isfinite(given.values) == among).all()
        # what is predicted is what was scored
        for name in result.approach.values:
            r = np.corrcoef(given.sel(approach=name)[among], -rdms.mean(axis=0)[among])[0, 1]
            assert r == pytest.approx(float(result.test_alignment.sel(approach=name)[0, f]), abs=1e-10)
        r2, upper, _ = by_hand(-given.sel(approach="pruned").values[among], rdms[:, among], spearmanr)
        found["r2"].append(np.mean(r2))
        found["upper"].append(np.mean(upper))
        predicted = {"pruned": -given.sel(approach="pruned").values[among]}
        one = sc.noise_normalised_r2(predicted, rdms[:, among], n=30, seed=7 + f)
        found["chance"].append(float(one.chance.mean()))
        found["possible"].append(float(one.upper - one.upper_chance))
    scores = explained_variance(result, rdms, n=30, seed=7)
    expected = 100 * (np.mean(found["r2"]) - np.mean(found["chance"])) / np.mean(found["possible"])
    assert float(scores.explained.sel(model="pruned")) == pytest.approx(expected)


def test_refusals():
    rng = np.random.default_rng(0)
    rdms = rng.random((3, 28))
    with pytest.raises(ValueError, match="rdms must be of at least 2 subjects, got 1"):
        sc.noise_normalised_r2(rdms[0], rdms[:1])
    with pytest.raises(ValueError, match=r"models must be one matrix of 8 stimuli each, got shape \(3, 28\) for 'all'"):
        sc.noise_normalised_r2({"all": rdms}, rdms)
    with pytest.raises(ValueError, match="models must hold at least one model"):
        sc.noise_normalised_r2({}, rdms)
    with pytest.raises(ValueError, match=r"models must be one matrix of 8 stimuli each, got shape \(27,\)"):
        sc.noise_normalised_r2(np.zeros(27), rdms)
    result = sc.compare(rng.normal(size=(8, 5)), rdms[0], ["full"], 2, kind="dissimilarity")
    with pytest.raises(ValueError, match=r"predictions=True\) and one target, got 1 targets and no predictions"):
        explained_variance(result, rdms)


def test_a_fold_without_a_score_is_left_out():
    rng = np.random.default_rng(0)
    rdms = rng.random((3, 276))
    terms = {"kind": "dissimilarity", "predictions": True, "progress": False}
    result = sc.compare(rng.normal(size=(24, 8)), rdms.mean(axis=0), ["full", "pruned"], 3, **terms)
    holed = result.copy(deep=True)
    given = holed["predicted"].values[1, 0, 2]
    given[np.isfinite(given)] = 0.5  # similarities that don't vary
    found, whole = (explained_variance(one, rdms, n=20) for one in (holed, result))
    assert np.isfinite(found.explained).all()
    assert float(found.explained[0]) == float(whole.explained[0])
    assert float(found.explained[1]) != float(whole.explained[1])
