"""Out of sample: folds, scores and the null against naive loops; no leakage; results that can be kept."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeavePGroupsOut,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
)

import cases
import reference
import secateur as sc
from secateur.relabelling import equal_groups, relabelling
from secateur.validation import split

N, D, P = 15, 11, 105
SCORES = ("full_train", "full_test", "pruned_train", "pruned_test")


def embedding():
    return cases.embedding(N, D)


def targets(count=3, missing="none"):
    """(count, P): mostly noise, with a part of the embedding's own similarities."""
    X = embedding()
    own = np.stack([reference.similarity(X[:, t : t + 4], "dot") for t in range(count)])
    return own + 2 * cases.target(N, count, missing)


def kfold(cv=5, seed=0, n=N):
    return [(train, test) for train, test in KFold(cv, shuffle=True, random_state=seed).split(np.zeros(n))]


def check(result, folds, target, metric="cosine", comparator="pearson", kind="similarity", weights=None):
    """Everything in the result is what the slow loop finds on these folds."""
    slow = reference.cross_validate(embedding(), target, folds, metric, comparator, kind, weights)
    for name in SCORES:
        cases.close(result[name].values, slow[name], 1e-9)
    cases.close(result.importance.values, slow["importance"])
    np.testing.assert_array_equal(result.kept.values, slow["kept"])
    np.testing.assert_array_equal(result.n_kept.values, slow["n_kept"])
    np.testing.assert_array_equal(result.undefined_pairs.values, slow["undefined_pruned"])
    if "curve" in result:
        cases.close(result.curve.values, slow["curve"], 1e-9)
    for f, (_, test) in enumerate(folds):
        np.testing.assert_array_equal(np.flatnonzero(result.test.values[f]), np.sort(test))
    return slow


# Against the naive loop


@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean"])
@pytest.mark.parametrize("comparator", ["pearson", "cosine"])
def test_integer_cv(metric, comparator):
    pruner = sc.Pruner(metric, comparator)
    for cv in (3, 5):
        result = sc.cross_validate(embedding(), targets(), pruner, cv=cv, seed=4, kind="similarity")
        check(result, kfold(cv, 4), targets(), metric, comparator)


@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_ranks(comparator):
    for metric in ("dot", "correlation"):  # of two features correlations are 1 and -1
        result = sc.cross_validate(embedding(), targets(1), sc.Pruner(metric, comparator), cv=3, kind="similarity")
        check(result, kfold(3), targets(1), metric, comparator)


def test_missing_pairs_and_weights():
    h = targets(3, "different")
    check(sc.cross_validate(embedding(), h, cv=3, kind="similarity"), kfold(3), h)
    w = np.random.default_rng(0).choice([0.0, 0.5, 2.0], h.shape)
    check(sc.cross_validate(embedding(), h, cv=3, weights=w, kind="similarity"), kfold(3), h, weights=w)
    check(sc.cross_validate(embedding(), h, cv=3, weights=w[0], kind="similarity"), kfold(3), h, weights=w[:1])


def test_repeats_draw_with_the_next_seeds():
    result = sc.cross_validate(embedding(), targets(1), cv=3, repeats=3, seed=7, kind="similarity")
    check(result, [*kfold(3, 7), *kfold(3, 8), *kfold(3, 9)], targets(1))
    assert result.repeat.values.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    last = sc.cross_validate(embedding(), targets(1), cv=3, seed=9, kind="similarity")
    xr.testing.assert_equal(
        result.isel(fold=slice(6, 9)).drop_vars(["fold", "repeat"]), last.drop_vars(["fold", "repeat"])
    )
    assert not result.test[0].equals(result.test[3])


GROUPS = np.repeat(list("vwxyz"), 3)[np.random.default_rng(2).permutation(N)]


@pytest.mark.parametrize(
    ("cv", "groups"),
    [
        (KFold(3), None),
        (KFold(4, shuffle=True, random_state=1), None),
        (ShuffleSplit(3, test_size=0.3, random_state=0), None),
        (GroupKFold(3), GROUPS),
        (LeavePGroupsOut(2), GROUPS),
        (PredefinedSplit(np.arange(N) % 3 - 1), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_splitters(cv, groups):
    result = sc.cross_validate(embedding(), targets(2), cv=cv, groups=groups, kind="similarity")
    folds = list(cv.split(np.zeros(N), groups=groups) if groups is not None else cv.split(np.zeros(N)))
    check(result, folds, targets(2))
    assert result.sizes["fold"] == len(folds)
    if groups is not None:
        for test in result.test.values:
            assert not set(GROUPS[test]) & set(GROUPS[~test])


def test_integer_cv_with_groups():
    result = sc.cross_validate(embedding(), targets(1), cv=3, groups=GROUPS, seed=5, repeats=2, kind="similarity")
    folds = []
    for seed in (5, 6):
        folds += list(GroupKFold(3, shuffle=True, random_state=seed).split(np.zeros(N), groups=GROUPS))
    check(result, folds, targets(1))
    listed = sc.cross_validate(embedding(), targets(1), cv=3, groups=list(GROUPS), seed=5, repeats=2, kind="similarity")
    xr.testing.assert_identical(result, listed)


def test_given_folds():
    train, test = np.array([9, 2, 0, 14, 7, 5, 11]), np.array([3, 12, 1, 8])  # in no order; the rest in neither
    masks = np.isin(np.arange(N), train), np.isin(np.arange(N), test)
    result = sc.cross_validate(embedding(), targets(), cv=[(train, test)], kind="similarity")
    check(result, [(train, test)], targets())
    for folds in ([masks], iter([masks]), [[masks[0].tolist(), test.tolist()]], ((train.astype(np.uint8), masks[1]),)):
        again = sc.cross_validate(embedding(), targets(), cv=folds, kind="similarity")
        for name in result.data_vars:
            np.testing.assert_allclose(again[name], result[name], atol=1e-12, rtol=0)
    assert result.attrs["cv"] == "given folds"


def test_several_targets_equal_one_at_a_time():
    h = targets(4, "different")
    together = sc.cross_validate(embedding(), h, cv=3, kind="similarity")
    for t in range(4):
        alone = sc.cross_validate(embedding(), h[t], cv=3, kind="similarity")
        for name in together.data_vars:
            if name == "test":
                continue
            np.testing.assert_allclose(together[name][t], alone[name][0], atol=1e-12, rtol=0)


def test_threads_do_not_change_a_bit():
    one = sc.cross_validate(embedding(), targets(), sc.Pruner(threads=1), cv=3, kind="similarity")
    xr.testing.assert_identical(
        one, sc.cross_validate(embedding(), targets(), sc.Pruner(threads=2), cv=3, kind="similarity")
    )


def test_kind():
    h = targets(2)
    plain = sc.cross_validate(embedding(), h, cv=3, kind="similarity")
    negated = sc.cross_validate(embedding(), -h, cv=3, kind="dissimilarity")
    xr.testing.assert_equal(plain, negated)
    assert (plain.attrs["kind"], negated.attrs["kind"]) == ("similarity", "dissimilarity")
    pruner = sc.Pruner(kind="dissimilarity")
    xr.testing.assert_identical(negated, sc.cross_validate(embedding(), -h, pruner, cv=3))
    xr.testing.assert_identical(plain, sc.cross_validate(embedding(), h, pruner, cv=3, kind="similarity"))
    assert pruner.get_params() == sc.Pruner(kind="dissimilarity").get_params()
    assert not hasattr(pruner, "support_")


def test_rsatoolbox_rdms_carry_their_kind():
    from rsatoolbox.rdm import RDMs

    h = targets(2)
    result = sc.cross_validate(embedding(), RDMs(-h), cv=3)
    xr.testing.assert_equal(result, sc.cross_validate(embedding(), h, cv=3, kind="similarity"))
    assert result.attrs["kind"] == "dissimilarity"


# No leakage


@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean"])
def test_nothing_of_the_test_stimuli_reaches_what_is_kept(metric):
    X, rng = embedding(), np.random.default_rng(0)
    matrix = reference.square(targets(1)[0], N)
    np.fill_diagonal(matrix, 1)
    folds = kfold(3)
    pruner = sc.Pruner(metric)
    before = sc.cross_validate(X, matrix, pruner, cv=folds, kind="similarity")
    for f, (train, test) in enumerate(folds):
        elsewhere = matrix.copy()
        noise = rng.normal(size=(N, N)) * 10
        elsewhere += noise + noise.T
        elsewhere[np.ix_(train, train)] = matrix[np.ix_(train, train)]
        elsewhere[test[0], train[:2]] = elsewhere[train[:2], test[0]] = np.nan
        other = X.copy()
        other[test] = rng.normal(size=(len(test), D)) * 100
        for after in (
            sc.cross_validate(X, elsewhere, pruner, cv=folds, kind="similarity"),
            sc.cross_validate(other, matrix, pruner, cv=folds, kind="similarity"),
        ):
            for name in ("kept", "importance", "n_kept", "curve", "full_train", "pruned_train"):
                xr.testing.assert_identical(before[name].isel(fold=f), after[name].isel(fold=f))
            assert before.pruned_test[0, f] != after.pruned_test[0, f]


def test_nothing_of_the_training_stimuli_reaches_the_score():
    """Only through what is kept: with all features kept, test scores are the test stimuli's own."""
    X, rng = embedding(), np.random.default_rng(0)
    folds = kfold(3)
    h = targets(1)
    before = sc.cross_validate(X, h, cv=folds, kind="similarity")
    for f, (train, test) in enumerate(folds):
        other = X.copy()
        other[train] = rng.normal(size=(len(train), D))
        after = sc.cross_validate(other, h, cv=folds, kind="similarity")
        assert before.full_test[0, f] == after.full_test[0, f]
        kept = after.kept.values[0, f]
        expected = reference.alignment(X[test], reference.among(h[0], test, N), subset=kept)
        assert float(after.pruned_test[0, f]) == pytest.approx(expected, abs=1e-10)


# The result


def labelled():
    frame = pd.DataFrame(embedding(), index=[f"image {i}" for i in range(N)], columns=[f"node {k}" for k in range(D)])
    matrices = np.stack([reference.square(h, N) for h in targets(2)])
    matrices[:, np.arange(N), np.arange(N)] = 1
    target = xr.DataArray(matrices, dims=("subject", "stimulus", "stimulus2"), coords={"subject": ["anna", "ben"]})
    return frame, target


def test_dims_coords_and_attrs():
    result = sc.cross_validate(embedding(), targets(2), cv=3, repeats=2, seed=5, kind="similarity")
    assert dict(result.sizes) == {"target": 2, "fold": 6, "feature": D, "step": D, "stimulus": N}
    dims = {name: result[name].dims for name in result.data_vars}
    scalars = (*SCORES, "n_kept", "undefined_pairs")
    assert dims == dict.fromkeys(scalars, ("target", "fold")) | {
        "kept": ("target", "fold", "feature"),
        "importance": ("target", "fold", "feature"),
        "curve": ("target", "fold", "step"),
        "test": ("fold", "stimulus"),
    }
    assert all(result[name].dtype == np.float64 for name in (*SCORES, "importance", "curve"))
    assert all(result[name].dtype == np.int64 for name in ("n_kept", "undefined_pairs", "repeat"))
    assert all(result[name].dtype == bool for name in ("kept", "test"))
    assert set(result.coords) == {"target", "fold", "repeat", "feature", "stimulus", "step"}
    for name, count in (("target", 2), ("fold", 6), ("feature", D), ("stimulus", N)):
        np.testing.assert_array_equal(result[name], np.arange(count))
    np.testing.assert_array_equal(result.step, np.arange(1, D + 1))
    assert result.attrs == {
        "metric": "cosine",
        "comparator": "pearson",
        "kind": "similarity",
        "search": "ranking",
        "cv": "3",
        "repeats": 2,
        "seed": 5,
        "secateur_version": sc.__version__,
    }
    bare = sc.cross_validate(embedding(), targets(2), cv=3, repeats=2, seed=5, curves=False, kind="similarity")
    xr.testing.assert_identical(bare, result.drop_vars(["curve", "step"]))
    assert (
        sc.cross_validate(embedding(), targets(1), cv=KFold(3), kind="similarity")
        .attrs["cv"]
        .startswith("KFold(n_splits=3")
    )


def test_an_alias_is_recorded_by_its_name():
    X, h = cases.embedding(12, 6), cases.target(12)
    given = ("corr", "pearson", "kendall", "tau-b")
    names = [sc.cross_validate(X, h, sc.Pruner(comparator=c), cv=3, kind="similarity").comparator for c in given]
    assert names == ["pearson", "pearson", "tau-b", "tau-b"]


def test_one_target_has_a_target_dim_too():
    result = sc.cross_validate(embedding(), targets(1)[0], cv=3, kind="similarity")
    xr.testing.assert_identical(result, sc.cross_validate(embedding(), targets(1), cv=3, kind="similarity"))


def test_labels():
    frame, target = labelled()
    result = sc.cross_validate(frame, target, cv=3, kind="similarity")
    assert result.stimulus.values.tolist() == frame.index.tolist()
    assert result.feature.values.tolist() == frame.columns.tolist()
    assert result.target.values.tolist() == ["anna", "ben"]
    plain = sc.cross_validate(embedding(), targets(2), cv=3, kind="similarity")
    np.testing.assert_array_equal(result.kept.values, plain.kept.values)
    array = xr.DataArray(frame.values, dims=("image", "node"), coords={"image": frame.index, "node": frame.columns})
    xr.testing.assert_identical(result, sc.cross_validate(array, target, cv=3, kind="similarity"))
    # stimuli are called as the target calls them where the embedding says nothing
    target = target.assign_coords(stimulus2=list("abcdefghijklmno"))
    assert sc.cross_validate(embedding(), target, cv=3, kind="similarity").stimulus.values.tolist() == list(
        "abcdefghijklmno"
    )
    assert result.sel(target="ben", feature="node 3").kept.shape == (3,)


@pytest.mark.parametrize("engine", [None, "h5netcdf"])
def test_saved_and_read_back(tmp_path, engine):
    frame, target = labelled()
    for number, result in enumerate(
        (
            sc.cross_validate(frame, target, cv=3, repeats=2, kind="similarity"),
            sc.cross_validate(embedding(), targets(2), cv=KFold(3), kind="similarity"),
            sc.permutation_test(frame, target, n=3, cv=3, kind="similarity"),
        )
    ):
        result.to_netcdf(tmp_path / f"{number}.nc", engine=engine)
        with xr.open_dataset(tmp_path / f"{number}.nc", engine=engine) as stored:
            again = stored.load()
        xr.testing.assert_identical(again, result)
        assert {name: again[name].dtype.kind for name in again.data_vars} == {
            name: result[name].dtype.kind for name in result.data_vars
        }


def test_deterministic_and_quiet(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", sc.SmallFoldsWarning)
        a, b = (sc.cross_validate(embedding(), targets(2), seed=3, kind="similarity") for _ in range(2))
    xr.testing.assert_identical(a, b)
    assert not a.test.equals(sc.cross_validate(embedding(), targets(2), seed=4, kind="similarity").test)
    assert capsys.readouterr() == ("", "")


def test_the_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    sc.cross_validate(embedding(), targets(1), cv=3, kind="similarity")
    sc.permutation_test(embedding(), targets(1), n=2, cv=3, kind="similarity")
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Undefined pairs


def half_empty():
    """An embedding whose test stimuli 12, 13 and 14 have nothing in the feature that training keeps; its folds."""
    X = np.abs(embedding())
    X[[12, 13]] = 0
    X[[12, 13], 5] = 1.0
    X[14] = 0
    train, test = np.arange(8), np.arange(8, N)
    target = reference.similarity(X[:, :3])
    target[np.isnan(target)] = 0.1
    return X, target, [(train, test)]


def test_undefined_pairs_are_counted_and_warned_of_once():
    X, h, folds = half_empty()
    slow = reference.cross_validate(X, h, folds)
    assert not slow["kept"][0, 0, 5]
    assert slow["undefined_pruned"][0, 0] == 15  # 7 test stimuli, 4 of them with a direction: 21 - 6
    with pytest.warns(sc.UndefinedPairsWarning, match="^30 pairs of held-out stimuli") as caught:
        result = sc.cross_validate(X, h, cv=folds * 2, kind="similarity")
    told = [one for one in caught if one.category is sc.UndefinedPairsWarning]
    assert len(told) == 1
    assert {one.filename for one in caught} == {__file__}
    np.testing.assert_array_equal(result.undefined_pairs, [[15, 15]])
    cases.close(result.pruned_test.values[:, 0], slow["pruned_test"][:, 0])
    cases.close(result.full_test.values[:, 0], slow["full_test"][:, 0])
    with pytest.warns(sc.UndefinedPairsWarning) as caught:
        sc.permutation_test(X, h, n=5, cv=folds, kind="similarity")
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_pairs_without_weight_are_not_counted():
    X, h, folds = half_empty()
    i, j = np.triu_indices(N, 1)
    holed = np.where((j == 14) | (i == 14), np.nan, h)
    both = np.stack([h, holed])
    with pytest.warns(sc.UndefinedPairsWarning, match="^24 pairs"):
        result = sc.cross_validate(X, both, cv=folds, kind="similarity")
    np.testing.assert_array_equal(result.undefined_pairs, [[15], [9]])
    with pytest.warns(sc.UndefinedPairsWarning, match="^9 pairs"):
        result = sc.cross_validate(X, h, cv=folds, weights=np.where(np.isnan(holed), 0.0, 1.0), kind="similarity")
    np.testing.assert_array_equal(result.undefined_pairs, [[9]])
    # none is left where no pair of the three stimuli counts
    sc.cross_validate(X, np.where((j >= 12) | (i >= 12), np.nan, h), cv=folds, kind="similarity")


@pytest.mark.parametrize(
    ("comparator", "given"), [("corr_cov", "missing"), ("spearman", "half"), ("tau-a", "half"), ("corr_cov", "unused")]
)
def test_what_a_comparator_asks_of_weights_it_asks_of_the_pairs_it_sees(comparator, given):
    """Pairs across training and test stimuli, and those of stimuli in no fold, are nobody's."""
    X, h = cases.embedding(17, 12), cases.target(17)
    folds = [(np.arange(8), np.arange(8, 16)), (np.arange(8, 16), np.arange(8))]
    i, j = np.triu_indices(17, 1)
    outside = (j == 16) if given == "unused" else (i < 8) & (j >= 8)
    changed, weights = h.copy(), None
    if given == "half":
        weights = np.where(outside, 0.5, 1.0)
    else:
        changed[outside] = np.nan
    pruner = sc.Pruner(comparator=comparator)
    expected = sc.cross_validate(X, h, pruner, folds, progress=False, kind="similarity")
    found = sc.cross_validate(X, changed, pruner, folds, weights=weights, progress=False, kind="similarity")
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name], expected[name])
    changed, message = h.copy(), r"weights must be (1|0 or 1).* at pair 3"
    changed[3] = np.nan if comparator == "corr_cov" else changed[3]
    more = np.where(np.arange(136) == 3, 0.5, 1.0) if comparator != "corr_cov" else None
    with pytest.raises(ValueError, match=message):
        sc.cross_validate(X, changed, pruner, folds, weights=more, progress=False, kind="similarity")


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_undefined_pairs_have_no_whitened_alignment(comparator):
    X, h = cases.embedding(18, 12), cases.target(18)
    X[10] = 0
    folds = [(np.arange(8), np.arange(8, 18))]
    pruner = sc.Pruner(comparator=comparator)
    if "cov" not in comparator:
        with pytest.warns(sc.UndefinedPairsWarning):
            sc.cross_validate(X, h, pruner, folds, progress=False, kind="similarity")
        return
    message = "X must give every stimulus a direction for a whitened comparator, got .* undefined pairs"
    for verb in (sc.cross_validate, sc.transfer):
        with pytest.raises(ValueError, match=message):
            verb(X, h[None], pruner, folds, progress=False)


def test_a_training_stimulus_without_direction_is_named():
    X = embedding()
    X[9] = 0
    for call in (sc.cross_validate, lambda *a, **k: sc.permutation_test(*a, n=2, **k)):
        with pytest.raises(ValueError, match="X must give every stimulus a direction, got stimulus 9 with features"):
            call(X, targets(1), cv=3, kind="similarity")
        with pytest.raises(ValueError, match="got stimulus owl with features"):
            call(pd.DataFrame(X, index=["cat"] * 9 + ["owl"] + ["dog"] * 5), targets(1), cv=3, kind="similarity")


def test_a_constant_target_is_named():
    h = targets(3)
    h[1] = 0.3
    with pytest.raises(ValueError, match=r"target must vary over the pairs, got a constant one \(target 1\)"):
        sc.cross_validate(embedding(), h, cv=3, kind="similarity")
    frame, target = labelled()
    target[1] = 0.3
    for call in (sc.cross_validate, lambda *a, **k: sc.permutation_test(*a, n=2, **k)):
        with pytest.raises(ValueError, match=r"got a constant one \(target ben\)"):
            call(frame, target, cv=3, kind="similarity")


# Refusals


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"cv": 1}, ValueError, "cv must be at least 2, got 1"),
        ({"cv": 16}, ValueError, "16"),
        ({"cv": 6}, ValueError, "cv must leave at least 3 test stimuli, got 2 in fold 3"),
        ({"cv": 5.0}, TypeError, "cv must be an integer, a scikit-learn splitter, or .* folds, got 5.0"),
        ({"cv": True}, TypeError, "cv must be an integer, .* got True"),
        ({"cv": None}, TypeError, "cv must be an integer, .* got None"),
        ({"cv": "5"}, TypeError, "cv must be an integer, .* got '5'"),
        ({"cv": KFold}, TypeError, "cv must be an integer, .* got <class"),
        ({"cv": []}, ValueError, "cv must give at least one fold, got none"),
        ({"cv": [[0, 1, 2]]}, TypeError, r"cv must hold \(train, test\) pairs, got \[0, 1, 2\] for fold 0"),
        ({"cv": [([0, 1, 2], [3, 4, 5], [6])]}, TypeError, r"cv must hold \(train, test\) pairs"),
        ({"cv": [([0, 1], [3, 4, 5])]}, ValueError, "cv must leave at least 3 training stimuli, got 2 in fold 0"),
        ({"cv": [([0, 1, 2], [])]}, ValueError, "cv must leave at least 3 test stimuli, got 0 in fold 0"),
        ({"cv": [([0, 1, 2], [3, 4, 15])]}, ValueError, "cv must hold stimuli from 0 to 14, got 15 in fold 0"),
        ({"cv": [([0, -1, 2], [3, 4, 5])]}, ValueError, "cv must hold stimuli from 0 to 14, got -1 in fold 0"),
        ({"cv": [([0, 1, 2, 2], [3, 4, 5])]}, ValueError, "cv must name each training stimulus once"),
        ({"cv": [([0, 1, 2], [3, 4, 2])]}, ValueError, "must keep training and test .* apart, got stimulus 2 on both"),
        ({"cv": [([0.0, 1.0, 2.5], [3, 4, 5])]}, TypeError, "training indices or masks, got dtype float64 in fold 0"),
        ({"cv": [([0, 1, 2], [[3], [4], [5]])]}, ValueError, r"one-dimensional test .* got shape \(3, 1\) in fold 0"),
        ({"cv": [([True] * 7 + [False] * 7, [8, 9, 10])]}, ValueError, "masks of 15 entries, one a stimulus, got 14"),
        ({"repeats": 0}, ValueError, "repeats must be an integer of at least 1, got 0"),
        ({"repeats": 1.5}, ValueError, "repeats must be an integer of at least 1, got 1.5"),
        ({"repeats": 2, "cv": KFold(3)}, ValueError, "repeats must be 1 unless cv is an integer, got 2"),
        ({"seed": None}, ValueError, "seed must be an integer from 0 to 4294967295, got None"),
        ({"seed": -1}, ValueError, "seed must be an integer from 0 to 4294967295, got -1"),
        ({"seed": 0.5}, ValueError, "seed must be an integer from 0 to 4294967295, got 0.5"),
        ({"groups": GROUPS[1:]}, ValueError, r"groups must have one entry for each of 15 stimuli, got shape \(14,\)"),
        ({"groups": 3}, ValueError, r"groups must have one entry for each of 15 stimuli, got shape \(\)"),
        ({"groups": GROUPS, "cv": kfold(3)}, ValueError, "cv must keep groups apart, got group . on both sides"),
        ({"pruner": "ranking"}, TypeError, "pruner must be a secateur.Pruner, got str"),
        ({"pruner": sc.Pruner}, TypeError, "pruner must be a secateur.Pruner"),
        ({"pruner": sc.Pruner("manhattan")}, ValueError, "metric must be one of"),
        ({"kind": "distance"}, ValueError, "kind must be 'similarity' or 'dissimilarity', got 'distance'"),
        ({"weights": -np.ones(P)}, ValueError, "weights must be finite and not negative"),
    ],
)
def test_refusals(more, error, message):
    for call in (sc.cross_validate, lambda *a, **k: sc.permutation_test(*a, n=2, **k)):
        with pytest.raises(error, match=message) as caught:
            call(embedding(), targets(1), **{"kind": "similarity", **more})
        assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored:UserWarning")
@pytest.mark.parametrize("cv", [KFold(3), StratifiedKFold(3)])
def test_a_splitter_that_ignores_groups_is_refused(cv):
    with pytest.raises(ValueError, match="cv must keep groups apart"):
        sc.cross_validate(embedding(), targets(1), cv=cv, groups=GROUPS, kind="similarity")


def test_other_arguments():
    with pytest.raises(ValueError, match="target must have shape"):
        sc.cross_validate(embedding(), np.ones(N))
    broken = embedding()
    broken[2, 1] = np.nan
    with pytest.raises(ValueError, match="X must hold no NaN or infinity, got nan at stimulus 2, feature 1"):
        sc.cross_validate(broken, targets(1))
    for n in (0, -1, 2.0, True, None):
        with pytest.raises(ValueError, match=f"n must be an integer of at least 1, got {n}"):
            sc.permutation_test(embedding(), targets(1), n=n)


def test_split():
    folds, repeat = split(N, 3, repeats=2, seed=1)
    assert repeat.tolist() == [0, 0, 0, 1, 1, 1]
    assert repeat.dtype == np.int64
    for (train, test), (theirs, other) in zip(folds, [*kfold(3, 1), *kfold(3, 2)], strict=True):
        assert train.dtype == test.dtype == np.int64
        np.testing.assert_array_equal(train, theirs)
        np.testing.assert_array_equal(test, other)


# The null


def test_null_values_are_real_relabellings():
    """Each null value is what cross_validate finds where stimuli of the target change their names."""
    X, h = embedding(), targets(2)
    null = sc.permutation_test(X, h, n=4, cv=3, seed=6, kind="similarity")
    rng = np.random.default_rng(6)
    matrices = np.stack([reference.square(values, N) for values in h])
    for draw in range(4):
        order = rng.permutation(N)
        assert not (order == np.arange(N)).all()
        relabelled = matrices[:, order][:, :, order]
        result = sc.cross_validate(X, relabelled, cv=3, seed=6, kind="similarity")
        np.testing.assert_allclose(null.pruned_test[:, draw], result.pruned_test.mean("fold"), atol=1e-12, rtol=0)
        gain = (result.pruned_test - result.full_test).mean("fold")
        np.testing.assert_allclose(null.gain[:, draw], gain, atol=1e-12, rtol=0)


def test_whole_groups_change_places():
    """With groups a relabelling keeps their pairs together and is free within; each null value is real."""
    rng, members = np.random.default_rng(0), equal_groups(GROUPS, N)
    assert [set(GROUPS[row]) for row in members] == [{label} for label in "vwxyz"]
    alike = GROUPS[:, None] == GROUPS
    orders = np.stack([relabelling(rng, members) for _ in range(600)])
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(N))
        np.testing.assert_array_equal(alike[order][:, order], alike)
    # every stimulus comes to every place as often: 40 times of 600, binomial, 6 standard deviations at most
    times = np.stack([np.bincount(place, minlength=N) for place in orders.T])
    assert np.abs(times - 600 / N).max() < 6 * np.sqrt(600 / N * (1 - 1 / N))
    X, h = embedding(), targets(2)
    null = sc.permutation_test(X, h, n=4, cv=2, seed=6, groups=GROUPS, kind="similarity")
    rng, matrices = np.random.default_rng(6), np.stack([reference.square(values, N) for values in h])
    for draw in range(4):
        order = relabelling(rng, members)
        result = sc.cross_validate(X, matrices[:, order][:, :, order], cv=2, seed=6, groups=GROUPS, kind="similarity")
        np.testing.assert_allclose(null.pruned_test[:, draw], result.pruned_test.mean("fold"), atol=1e-12, rtol=0)


def test_groups_of_one_are_relabelled_as_stimuli():
    X, h = embedding(), targets(1)
    how = {"n": 3, "cv": kfold(3), "kind": "similarity"}
    alone = sc.permutation_test(X, h, groups=np.arange(N), **how)
    np.testing.assert_array_equal(alone.pruned_test, sc.permutation_test(X, h, **how).pruned_test)


def test_unequal_groups_are_refused():
    groups = np.repeat(["a", "b", "c"], [4, 5, 6])
    message = (
        "groups must all be of one size where whole groups change places, got 4 in group a and 6 in group c: leave "
        "stimuli out until all groups are as large, or average each group to one stimulus"
    )
    with pytest.raises(ValueError, match=message):
        sc.permutation_test(embedding(), targets(1), n=2, cv=2, groups=groups, kind="similarity")
    sc.cross_validate(embedding(), targets(1), cv=2, groups=groups, kind="similarity")


def test_exemplars_of_unrelated_categories_are_no_find():
    """Alike within categories in X and target, unrelated between them: p of whole categories is not small too often."""
    p = []
    for seed in range(30):
        rng = np.random.default_rng([4, seed])
        groups = np.repeat(np.arange(8), 2)
        X, Y = (rng.normal(size=(8, 12))[groups] + 0.5 * rng.normal(size=(16, 12)) for _ in range(2))
        folds, _ = split(16, 2, seed=seed, groups=groups)
        target, how = sc.similarity(Y), {"n": 9, "pruner": sc.Pruner(threads=1, kind="similarity"), "cv": folds}
        p.append([float(sc.permutation_test(X, target, groups=g, **how).p_pruned_test[0]) for g in (groups, None)])
    whole, single = (np.array(p) <= 0.1).sum(axis=0)
    assert whole <= stats.binom.isf(1e-4, 30, 0.1)
    assert single > 15


def test_missing_pairs_and_weights_travel_with_the_relabelling():
    X, h = embedding(), targets(2, "different")
    w = np.random.default_rng(3).choice([0.0, 1.0, 2.0], h.shape)
    null = sc.permutation_test(X, h, n=3, cv=3, seed=6, weights=w, kind="similarity")
    rng = np.random.default_rng(6)
    for draw in range(3):
        order = rng.permutation(N)
        relabelled, own = (np.stack([reference.among(values, order, N) for values in array]) for array in (h, w))
        assert np.isnan(relabelled).sum() == np.isnan(h).sum()
        result = sc.cross_validate(X, relabelled, cv=3, seed=6, weights=own, kind="similarity")
        np.testing.assert_allclose(null.pruned_test[:, draw], result.pruned_test.mean("fold"), atol=1e-12, rtol=0)


def test_observed_values_and_p():
    X, h = embedding(), targets(3)
    null = sc.permutation_test(X, h, n=11, cv=3, repeats=2, seed=6, kind="similarity")
    result = sc.cross_validate(X, h, cv=3, repeats=2, seed=6, kind="similarity")
    assert dict(null.sizes) == {"target": 3, "permutation": 11}
    assert {name: null[name].dims for name in null.data_vars} == {
        "pruned_test": ("target", "permutation"),
        "gain": ("target", "permutation"),
        **{f"{what}_{name}": ("target",) for what in ("observed", "p", "p_max") for name in ("pruned_test", "gain")},
    }
    means = {"pruned_test": result.pruned_test.mean("fold")}
    means["gain"] = means["pruned_test"] - result.full_test.mean("fold")
    for name, observed in means.items():
        np.testing.assert_allclose(null[f"observed_{name}"], observed, atol=1e-12, rtol=0)
        reached = (null[name] >= null[f"observed_{name}"]).sum("permutation")
        np.testing.assert_allclose(null[f"p_{name}"], (1 + reached) / 12, rtol=1e-15)
    assert null.attrs == {**result.attrs, "n": 11}


def test_null_is_deterministic():
    X, h = embedding(), targets(1)
    a, b, c = (sc.permutation_test(X, h, n=5, cv=3, seed=seed, kind="similarity") for seed in (0, 0, 1))
    xr.testing.assert_identical(a, b)
    assert not np.isin(a.pruned_test, c.pruned_test).any()
    longer = sc.permutation_test(X, h, n=70, cv=3, seed=0, kind="similarity")  # more than one batch
    np.testing.assert_allclose(longer.pruned_test[:, :5], a.pruned_test, atol=1e-12, rtol=0)
    one = sc.permutation_test(X, h, n=5, pruner=sc.Pruner(threads=1), cv=3, seed=0, kind="similarity")
    xr.testing.assert_identical(a, one)


def test_folds_without_a_score_are_left_out_of_means():
    """A target of few categories is constant among some test stimuli: its fold has no score, its mean has one."""
    X = embedding()
    category = np.arange(N) % 2
    category[[0, 1, 2]] = 0
    target = (category[:, None] == category).astype(float)
    folds = [(np.arange(3, N), np.arange(3)), (np.arange(8), np.arange(8, N))]
    result = sc.cross_validate(X, target, cv=folds)
    assert np.isnan(result.pruned_test.values[0]).tolist() == [True, False]
    null = sc.permutation_test(X, target, n=9, cv=folds)
    assert float(null.observed_pruned_test[0]) == pytest.approx(float(result.pruned_test[0, 1]), abs=1e-12)
    assert 0 < float(null.p_pruned_test[0]) <= 1
    table = sc.summary(result)
    assert table.loc[0, "pruned_test"] == pytest.approx(float(result.pruned_test[0, 1]), abs=1e-12)
    hopeless = sc.permutation_test(X, target, n=3, cv=folds[:1])
    assert np.isnan(hopeless.observed_pruned_test).all()
    assert np.isnan(hopeless.p_pruned_test).all()


def test_planted_targets_have_small_p():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 12))
    null = sc.permutation_test(X, reference.similarity(X[:, :4]), n=49, cv=4, kind="similarity")
    assert float(null.p_pruned_test[0]) == 0.02  # none of the 49 reaches it
    assert float(null.p_gain[0]) == 0.02


def test_p_of_noise_is_uniform():
    """Targets of noise: p lies anywhere in 0.05, 0.1, ..., 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(15, 8))
    noise = rng.normal(size=(60, P))
    null = sc.permutation_test(X, noise, n=19, cv=3, kind="similarity")
    for p in (null.p_pruned_test.values, null.p_gain.values):
        # expected: 3 of 60 at or below 0.05 (10 or more: one chance in a thousand), a mean of 0.525 (sd 0.037),
        # 30 at or below 0.5 (sd 3.9)
        assert (p <= 0.05).sum() <= 9
        assert 0.38 < p.mean() < 0.67
        assert 15 <= (p <= 0.5).sum() <= 45
    # in sample, noise looks like signal
    assert np.mean([sc.Pruner(kind="similarity").fit(X, h).alignment_ for h in noise]) > 0.1


# Tables


def test_summary():
    result = sc.cross_validate(*labelled(), cv=5, kind="similarity")
    table = sc.summary(result)
    assert table.index.tolist() == ["anna", "ben"]
    assert table.index.name == "target"
    for t, (_, row) in enumerate(table.iterrows()):
        for name in SCORES:
            values = result[name].values[t]
            assert row[name] == pytest.approx(values.mean(), abs=1e-12)
            assert row[f"{name}_sd"] == pytest.approx(values.std(ddof=1), abs=1e-12)
        for name in ("full_test", "pruned_test"):
            mean = result[name].values[t].mean()
            assert row[f"{name}_r2"] == pytest.approx(np.sign(mean) * mean**2, abs=1e-12)
        assert row["n_kept"] == pytest.approx(result.kept.values[t].sum(axis=1).mean())
        assert row["n_kept_sd"] == pytest.approx(result.kept.values[t].sum(axis=1).std(ddof=1))
        assert row["n_features"] == D
        theirs = stats.ttest_rel(result.pruned_test.values[t], result.full_test.values[t])
        assert (row["t"], row["p"]) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-12)
        assert row["df"] == 4
        assert row["gain"] == pytest.approx(row["pruned_test"] - row["full_test"], abs=1e-12)
        assert row["undefined_pairs"] == 0


def test_summary_has_no_p_of_folds_that_share_test_stimuli(tmp_path):
    import xarray

    X, h = embedding(), targets(2)
    for how in ({"cv": 5, "repeats": 2}, {"cv": sklearn_folds(2)}):
        result = sc.cross_validate(X, h, kind="similarity", **how)
        table = sc.summary(result)
        assert table.p.isna().all()
        assert np.isfinite(table[["t", "df", "gain"]].to_numpy()).all()
        told = " ".join(sc.report.text(result).split())
        assert "p (t)" not in told
        assert "no p of it holds" in told
        result.to_netcdf(tmp_path / "result.nc")
        with xarray.open_dataset(tmp_path / "result.nc") as back:
            assert sc.summary(back).p.isna().all()
    once = sc.cross_validate(X, h, cv=5, kind="similarity")
    assert sc.summary(once).p.notna().all()
    assert "p (t)" in sc.report.text(once)


def sklearn_folds(repeats):
    from sklearn.model_selection import RepeatedKFold

    return RepeatedKFold(n_splits=4, n_repeats=repeats, random_state=0)


def test_small_test_folds_are_warned_of_once():
    X, h = np.random.default_rng(0).normal(size=(36, 5)), np.random.default_rng(1).normal(size=630)
    message = "^test folds should have 30 pairs of stimuli or more, as scores of fewer are mostly noise: got 28 in "
    for call in (
        lambda: sc.cross_validate(X[:24], h[:276], cv=3, progress=False, kind="similarity"),
        lambda: sc.compare(X[:24], h[:276], ["full"], cv=3, progress=False, kind="similarity"),
    ):
        with pytest.warns(sc.SmallFoldsWarning, match=message + "the smallest of 3 of 3 folds$") as told:
            call()
        assert sum(one.category is sc.SmallFoldsWarning for one in told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", sc.SmallFoldsWarning)
        sc.cross_validate(X, h, cv=4, progress=False, kind="similarity")  # nine stimuli have 36


def test_summary_of_one_fold():
    table = sc.summary(sc.cross_validate(embedding(), targets(2), cv=kfold(3)[:1], kind="similarity"))
    assert np.isnan(table[["full_test_sd", "pruned_test_sd", "n_kept_sd", "t", "p"]].to_numpy()).all()
    assert np.isfinite(table[["full_test", "pruned_test", "n_kept", "gain"]].to_numpy()).all()


def test_kept_features():
    frame, target = labelled()
    result = sc.cross_validate(frame, target, cv=5, kind="similarity")
    table = sc.kept_features(result)
    assert table.columns.tolist() == ["target", "feature", "folds_kept", "folds", "frequency", "mean_importance"]
    assert len(table) == 2 * D
    assert table.target.tolist() == ["anna"] * D + ["ben"] * D
    assert (table.folds == 5).all()
    for row in table.itertuples():
        one = result.sel(target=row.target, feature=row.feature)
        assert row.folds_kept == one.kept.values.sum()
        assert row.frequency == row.folds_kept / 5
        assert row.mean_importance == pytest.approx(one.importance.values.mean(), abs=1e-15)
    for _, rows in table.groupby("target"):
        assert sorted(rows.feature) == sorted(frame.columns)
        keys = list(zip(-rows.folds_kept, -rows.mean_importance, strict=True))
        assert keys == sorted(keys)


def test_kept_features_puts_indispensable_ones_first():
    X = np.abs(embedding())
    X[4] = 0
    X[4, 6] = 1
    folds = [(np.arange(9), np.arange(9, N))]
    result = sc.cross_validate(X, targets(1), cv=folds, kind="similarity")
    assert np.isnan(result.importance.values[0, 0, 6])
    table = sc.kept_features(result)
    assert table.feature[0] == 6
    assert np.isnan(table.mean_importance[0])


def test_tables_of_a_result_read_back(tmp_path):
    result = sc.cross_validate(*labelled(), cv=3, kind="similarity")
    result.to_netcdf(tmp_path / "result.nc")
    with xr.open_dataset(tmp_path / "result.nc") as stored:
        again = stored.load()
    pd.testing.assert_frame_equal(sc.summary(again), sc.summary(result), check_index_type=False, check_names=True)
    pd.testing.assert_frame_equal(sc.kept_features(again), sc.kept_features(result), check_dtype=False)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_to_rsatoolbox(metric):
    X = embedding()
    masks = np.stack([np.arange(D) < 4, np.arange(D) % 2 == 0])
    offset = 1 if metric in ("cosine", "correlation") else 0
    rdms = sc.to_rsatoolbox(X, masks, metric, name="mine")
    expected = np.stack([offset - reference.similarity(X, metric, mask) for mask in masks])
    np.testing.assert_allclose(rdms.dissimilarities, expected, atol=1e-12)
    assert (rdms.n_rdm, rdms.n_cond, rdms.dissimilarity_measure) == (2, N, metric)
    assert rdms.descriptors == {"name": "mine"}
    np.testing.assert_array_equal(rdms.get_matrices()[0][np.triu_indices(N, 1)], rdms.dissimilarities[0])
    for support in (masks[0], np.flatnonzero(masks[0]), [3, 1, 0, 2]):
        one = sc.to_rsatoolbox(X, support, metric)
        np.testing.assert_allclose(one.dissimilarities, rdms.dissimilarities[:1], atol=1e-12)
    everything = sc.to_rsatoolbox(X, metric=metric)
    np.testing.assert_allclose(everything.dissimilarities[0], offset - reference.similarity(X, metric), atol=1e-12)
    assert everything.pattern_descriptors["conds"] == [str(i) for i in range(N)]
    # and back: the alignment with its own RDM is 1
    assert sc.alignment(X, rdms, metric, subset=masks[0])[0] == pytest.approx(1, abs=1e-12)


def test_to_rsatoolbox_keeps_labels_and_takes_a_fitted_support():
    frame, _ = labelled()
    pruner = sc.Pruner(kind="similarity").fit(frame, targets(1)[0])
    rdms = sc.to_rsatoolbox(frame, pruner.support_)
    assert rdms.pattern_descriptors["conds"] == frame.index.tolist()
    kept = pruner.transform(frame)
    np.testing.assert_allclose(1 - rdms.dissimilarities[0], sc.similarity(kept), atol=1e-12)
    with pytest.raises(ValueError, match="metric must be one of"):
        sc.to_rsatoolbox(frame, metric="manhattan")
    with pytest.raises(ValueError, match="subset must hold feature indices from 0 to 10, got 11"):
        sc.to_rsatoolbox(frame, [11])


class TestOpposition:
    """A target read as the other kind: every alignment has the other sign, and a best prefix comes nearer to zero."""

    def planted(self):
        rng = np.random.default_rng(12)
        X = rng.normal(size=(30, 20))
        return X, sc.similarity(X) + 0.3 * rng.normal(size=435)

    def test_both_readings_are_named(self):
        X, h = self.planted()
        verbs = (
            lambda kind: sc.cross_validate(X, h, cv=3, kind=kind, progress=False),
            lambda kind: sc.permutation_test(X, h, 2, cv=3, kind=kind, progress=False),
            lambda kind: sc.compare(X, h, ["full", "pruned"], cv=3, kind=kind, progress=False),
            lambda kind: sc.bootstrap(X, h, 2, cv=3, kind=kind, progress=False),
            lambda kind: sc.transfer(X, h[None], cv=3, kind=kind, progress=False),
            lambda kind: sc.timecourse.prune(X, h[None], cv=3, kind=kind, progress=False),
            lambda kind: sc.regions.four_tests([X, X], [{"A": h}, {"A": h}], cv=3, kind=kind, progress=False),
        )
        for verb in verbs:
            words = r"^the mean full alignment is below zero \(-0\.\d+\): either the target, read as dissimilarities, "
            words += r"holds similarities \(pass kind='similarity'\), or .* no evidence of a fit$"
            with pytest.warns(sc.OpposedWarning, match=words):
                verb("dissimilarity")
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                verb("similarity")
        with pytest.warns(sc.OpposedWarning, match=r"below zero for 1 of 2 targets \(-0\.\d+ at the least\)"):
            sc.cross_validate(X, np.stack([h, -h]), cv=3, kind="similarity", progress=False)

    def test_a_gain_that_ends_below_zero_is_marked(self):
        X, h = self.planted()
        right, wrong = (sc.cross_validate(X, h, cv=3, kind=k, progress=False) for k in ("similarity", "dissimilarity"))
        wrong["pruned_test"] = wrong["full_test"] / 2  # a gain, all of it below zero
        assert sc.summary(wrong).below_zero.tolist() == [True]
        assert sc.summary(wrong).gain[0] > 0
        assert sc.summary(right).below_zero.tolist() == [False]
        for page in (sc.report.tables.text(wrong), sc.report.tables.markdown(wrong)):
            assert re.search(r"\+0\.\d+†", page)
            page = " ".join(page.split())
            assert "†: the pruned alignment is below zero too: the gain is no evidence of a fit." in page
            assert "The mean full alignment is below zero (-0." in page
        assert "†" not in sc.report.tables.text(right)
        assert "below zero" not in sc.report.tables.text(right)

    def test_so_are_gains_of_comparisons_regions_and_courses(self):
        from secateur.study.fmri import markdown as fmri_page

        X, h = self.planted()
        result = sc.compare(X, h, ["full", "pruned"], cv=3, kind="dissimilarity", progress=False)
        result["test_alignment"][1] = result["test_alignment"].values[0] / 2
        assert sc.comparison_table(result).below_zero.tolist() == [True, True]
        page = sc.report.comparison_markdown(result)
        assert len(re.findall(r"\+0\.\d+†", page)) == 1
        assert "†: the method's alignment is below zero too: the gain is no evidence of a fit." in page
        assert "The mean full alignment is below zero (-0." in page

        course = sc.timecourse.prune(X, np.stack([h, h]), cv=3, kind="dissimilarity", progress=False)
        course["pruned_test"] = course["full_test"] / 2
        page = " ".join(sc.report.course_text(course).split())
        assert re.search(r"\+0\.\d+†", page)
        assert "†: the pruned alignment is below zero too" in page
        assert "The mean full alignment is below zero (-0." in page

        tests = sc.regions.four_tests([X, X], [{"A": h}] * 2, cv=3, kind="dissimilarity", progress=False)
        tests["pruned"] = tests["full"] / 2
        assert sc.regions.paired_tests(tests).below_zero.all()
        page = fmri_page(tests, "A")
        assert len(re.findall(r"M pruned -0\.\d+† vs\. full -0\.\d+", page)) == 3
        assert "- †: the pruned alignment is below zero too: the gain is no evidence of a fit." in page

        for verb, page in ((sc.compare, sc.report.comparison_markdown), (sc.timecourse.prune, sc.report.course_text)):
            terms = {"cv": 3, "kind": "similarity", "progress": False}
            right = verb(X, h[None], **terms)
            assert "†" not in page(right)
            assert "below zero" not in page(right)


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_single_precision_features_give_the_results_of_their_doubles(comparator):
    """They are not converted as a whole; the numbers are the same, and so are the bits."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(40, 30)).astype(np.float32)
    h = rng.normal(size=(2, 40 * 39 // 2))
    pruner = sc.Pruner(comparator=comparator, kind="similarity")
    for call, more in ((sc.cross_validate, {}), (sc.permutation_test, {"n": 3})):
        of_single, of_double = (call(x, h, pruner=pruner, cv=3, progress=False, **more) for x in (X, X.astype(float)))
        assert of_single.identical(of_double)
    for search in ("parsimonious", "forward"):
        pruner = sc.Pruner(comparator=comparator, kind="similarity", search=search, max_features=3, inner_cv=2)
        of_single, of_double = (sc.cross_validate(x, h, pruner, 3, progress=False) for x in (X, X.astype(float)))
        assert of_single.identical(of_double)
    X[3, 4] = np.inf
    with pytest.raises(ValueError, match="X must hold no NaN or infinity, got inf at stimulus 3, feature 4"):
        sc.cross_validate(X, h, pruner=sc.Pruner(kind="similarity"), cv=3)
