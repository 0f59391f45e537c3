"""Choices made on inner folds: against the same by hand, what never chooses, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import cases
import secateur as sc

N = 24
CHOICES = {"metrics": ("cosine", "sqeuclidean"), "searches": ("ranking", "forward"), "sizes": (None, 3)}


@pytest.fixture(scope="module")
def layers():
    return {"early": cases.embedding(N, 6), "late": cases.embedding(N, 9)}


def pruner(**how):
    return sc.Pruner(kind="similarity", threads=1, **how)


def test_the_choice_is_that_of_cross_validations_of_the_training_stimuli(layers):
    targets = cases.target(N, 2)
    result = sc.nested(layers, targets, **CHOICES, pruner=pruner(), cv=3, inner_cv=2, seed=5, progress=False)
    every = list(itertools.product(layers, *CHOICES.values()))
    assert result.sizes["candidate"] == len(every) == 16
    square = np.zeros((2, N, N))
    rows, columns = np.triu_indices(N, 1)
    square[:, rows, columns] = targets
    square += np.swapaxes(square, 1, 2)
    folds, _ = sc.validation.split(N, 3, 1, 5)
    for f, (train, test) in enumerate(folds):
        inner, outer = [], []
        for layer, metric, search, size in every:
            one = pruner(metric=metric, search=search, max_features=size)
            among = np.array([one[np.ix_(train, train)][np.triu_indices(len(train), 1)] for one in square])
            held = sc.cross_validate(layers[layer][train], among, one, cv=2, seed=5, progress=False)
            inner.append(held.pruned_test.mean("fold").values)
            held = sc.cross_validate(layers[layer], targets, one, cv=[(train, test)], progress=False)
            outer.append(held.isel(fold=0))
        np.testing.assert_allclose(result.inner_score.values[:, f], np.transpose(inner), atol=1e-12)
        best = np.argmax(inner, axis=0)
        np.testing.assert_array_equal(result.chosen.values[:, f], best)
        for t in range(2):
            chosen = outer[best[t]]
            for name in ("pruned_test", "full_test", "n_kept"):
                assert result[name].values[t, f] == pytest.approx(float(chosen[name][t]), abs=1e-12)
            every_test = [float(one.pruned_test[t]) for one in outer]
            np.testing.assert_allclose(result.candidate_test.values[t, f], every_test, atol=1e-12)
            assert (result.layer.values[best[t]], result.search.values[best[t]]) == every[best[t]][::2]


def test_stimuli_of_a_test_fold_choose_nothing(layers):
    target, folds = cases.target(N), [(np.arange(16), np.arange(16, N))]
    square = np.zeros((N, N))
    square[np.triu_indices(N, 1)] = target
    square += square.T
    square[16:, :] = square[:, 16:] = 0
    other = target.copy()
    touched = np.triu_indices(N, 1)[1] >= 16
    other[touched] = cases.target(N, seed=8)[touched]
    changed = {name: np.where(np.arange(N)[:, None] < 16, X, X[::-1] * 2) for name, X in layers.items()}
    how = {**CHOICES, "pruner": pruner(), "cv": folds, "inner_cv": 3, "progress": False}
    one, two = sc.nested(layers, target, **how), sc.nested(changed, other, **how)
    np.testing.assert_array_equal(one.inner_score, two.inner_score)
    np.testing.assert_array_equal(one.n_kept, two.n_kept)
    assert (one.pruned_test != two.pruned_test).all()


def test_comparators_that_prune_are_scored_by_one(layers):
    result = sc.nested(
        layers["late"], cases.target(N), comparators=("spearman", "pearson"), pruner=pruner(), cv=3, inner_cv=2,
        progress=False,
    )  # fmt: skip
    assert result.attrs["comparator"] == "pearson"
    assert result.prunes_by.values.tolist() == ["spearman", "pearson"]
    train, test = sc.validation.split(N, 3)[0][0]
    pairs = np.isin(np.triu_indices(N, 1), train).all(axis=0)
    kept = pruner(comparator="spearman").fit(layers["late"][train], cases.target(N)[pairs]).support_
    pairs = np.isin(np.triu_indices(N, 1), test).all(axis=0)
    scored = sc.alignment(layers["late"][test], cases.target(N)[pairs], subset=kept, kind="similarity")
    assert result.candidate_test.values[0, 0, 0] == pytest.approx(scored, abs=1e-12)


def test_targets_that_share_features_share_the_choice(layers):
    targets = cases.target(N, 3)
    result = sc.nested(
        layers, targets, sizes=(None, 2, 4), pruner=pruner(joint="mean"), cv=3, inner_cv=2, progress=False
    )
    assert (result.chosen.values == result.chosen.values[0]).all()
    np.testing.assert_array_equal(result.chosen.values[0], result.inner_score.mean("target").argmax("candidate"))


def test_groups_stay_whole_and_results_can_be_saved(layers, tmp_path):
    groups = np.repeat(np.arange(12), 2)
    result = sc.nested(
        layers, cases.target(N), sizes=(None, 8), pruner=pruner(), cv=3, inner_cv=2, groups=groups, permutations=9,
        progress=False,
    )  # fmt: skip
    assert (result.test.values[:, ::2] == result.test.values[:, 1::2]).all()
    assert result.layer.values.tolist() == ["early", "late", "late"]  # eight of early's six are no candidate
    null, observed = result.null_pruned_test.values[0], float(result.pruned_test.mean())
    assert result.p_pruned_test.item() == (1 + (null >= observed).sum()) / 10
    result.to_netcdf(tmp_path / "nested.nc")
    table = sc.nested_table(result)
    assert table.layer.tolist() == ["early", "late", "late", "chosen inside"]
    assert table.test.values[-1] == pytest.approx(observed)
    assert table.folds_chosen[:3].sum() == 3


def test_the_planted_layer_metric_and_size_are_chosen():
    rng = np.random.default_rng(0)
    layers = {name: rng.normal(size=(48, 20)) for name in ("early", "late")}
    target = sc.similarity(layers["late"][:, :4], "sqeuclidean")
    result = sc.nested(
        layers, target, metrics=("cosine", "sqeuclidean"), sizes=(None, 4, 1), pruner=pruner(), cv=3, progress=False
    )
    for number in result.chosen.values[0]:
        named = [result[name].values[number] for name in ("layer", "metric")]
        assert named == ["late", "sqeuclidean"]
        assert result.max_features.values[number] != 1
    assert result.pruned_test.mean() > 0.9


def test_beside_a_control_only_what_it_leaves_is_relabelled(layers):
    """Freedman and Lane's null by hand, of partial correlations among the test stimuli of each fold."""
    control = cases.target(N, seed=3)
    target = cases.target(N) + 2 * control
    how = {"pruner": pruner(), "cv": 3, "inner_cv": 2, "seed": 4, "control": control, "progress": False}
    result = sc.nested(layers, target, sizes=(None, 4), permutations=7, **how)
    design = np.stack([np.ones_like(control), control], axis=1)
    stays = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    rows, columns = np.triu_indices(N, 1)
    rest = np.zeros((N, N))
    rest[rows, columns] = rest[columns, rows] = target - stays
    orders, null = sc.relabelling.relabellings(N, 7, 4), np.empty((7, 3))
    for f, (train, test) in enumerate(sc.validation.split(N, 3, 1, 4)[0]):
        best = int(result.chosen.values[0, f])
        X = layers[str(result.layer.values[best])]
        size = result.max_features.values[best]
        one = pruner(max_features=None if np.isnan(size) else int(size))
        pairs = np.isin(rows, train) & np.isin(columns, train)
        kept = one.fit(X[train], target[pairs], control=control[pairs]).support_
        held = np.isin(rows, test) & np.isin(columns, test)
        for b, order in enumerate(orders):
            moved = stays + rest[order][:, order][rows, columns]
            terms = {"kind": "similarity", "control": control[held]}
            null[b, f] = sc.alignment(X[test], moved[held], subset=kept, **terms)
    np.testing.assert_allclose(result.null_pruned_test.values[0], null.mean(axis=1), atol=1e-12)


def test_a_long_choice_says_first_what_it_takes(layers, monkeypatch, capsys):
    monkeypatch.setattr(sc.cost, "FASTEST", 1.0)  # so that it may be long
    monkeypatch.setattr(sc.cost, "rate", lambda *_: 100.0)
    how = {"pruner": pruner(), "cv": 3, "inner_cv": 2}
    sc.nested(layers, cases.target(N), sizes=(None, 3), **how)
    words = capsys.readouterr().err
    assert "MiB: 4 candidates, 3 folds with 2 inner ones each, 24 stimuli x 9 features, 1 target" in words
    sc.nested(layers, cases.target(N), sizes=(None, 3), **how, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"metrics": "cosine"}, "metrics must be a sequence of at least one value, got 'cosine'"),
        ({"sizes": ()}, r"sizes must be a sequence of at least one value, got \(\)"),
        ({"sizes": (99,)}, r"sizes must leave a candidate in one of the layers, got \[99\]"),
        ({"searches": ("best",)}, "search must be one of 'ranking'"),
        ({"inner_cv": 1}, "inner_cv must be an integer of at least 2, got 1"),
        ({"X": {}}, "X must hold at least one embedding, got none"),
        ({"X": {"a": cases.embedding(N, 3), "b": cases.embedding(9, 3)}}, "got 24 in 'a' and 9 in 'b'"),
    ],
)
def test_refusals(layers, how, message):
    given = {"X": layers, "pruner": pruner(), "cv": 3, "progress": False, **how}
    with pytest.raises((TypeError, ValueError), match=message):
        sc.nested(given.pop("X"), cases.target(N), **given)
