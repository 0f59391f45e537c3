"""Features chosen on other subjects, scored on the one that is left out; the ceiling beside it; its null."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import cases
import reference
import secateur as sc
from secateur.cli import app

N, D, T = 18, 9, 4
JOINTS = {"mean": np.mean, "min": np.min}


def among(h, stimuli):
    square = np.zeros((N, N))
    square[np.triu_indices(N, 1)] = h
    return (square + square.T)[np.ix_(stimuli, stimuli)][np.triu_indices(len(stimuli), 1)]


def slow(X, targets, others, train, joint):
    """The features that the others' targets share, from the definitions."""

    def score(chosen):
        s = reference.similarity(X[train], "cosine", np.array(chosen))
        return JOINTS[joint]([reference.compare(s, among(targets[o], train), None, "pearson") for o in others])

    everything = list(range(X.shape[1]))
    lost = [score(everything) - score(everything[:k] + everything[k + 1 :]) for k in everything]
    order = sorted(everything, key=lambda k: (-lost[k], k))
    curve = [score(order[: m + 1]) for m in everything]
    return sorted(order[: int(np.nanargmax(curve)) + 1]), np.nanmax(curve)


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize("over", ["subjects", "both"])
def test_what_is_left_out_chooses_nothing(over, joint):
    X, targets = np.abs(cases.embedding(N, D)), cases.target(N, T)
    subjects = ["a", "b", "b", "c"]
    pruner = sc.Pruner(joint=joint, kind="similarity", threads=1)
    result = sc.cross_validate(X, targets, pruner, cv=2, over=over, subjects=subjects, progress=False)
    assert result.sizes["fold"] == (1 if over == "subjects" else 2)
    assert result.attrs["over"] == over
    assert result.attrs["joint"] == joint
    for f in range(result.sizes["fold"]):
        test = np.flatnonzero(result.test.values[f])
        train = np.arange(N) if over == "subjects" else np.setdiff1d(np.arange(N), test)
        for t in range(T):
            others = [o for o in range(T) if subjects[o] != subjects[t]]
            kept, value = slow(X, targets, others, train, joint)
            assert np.flatnonzero(result.kept.values[t, f]).tolist() == kept
            assert result.pruned_train.values[t, f] == pytest.approx(value, abs=1e-10)
            s = reference.similarity(X[test], "cosine", np.array(kept))
            held = reference.compare(s, among(targets[t], test), None, "pearson")
            assert result.pruned_test.values[t, f] == pytest.approx(held, abs=1e-10)
            s = reference.similarity(X[test], "cosine", np.arange(D))
            held = reference.compare(s, among(targets[t], test), None, "pearson")
            assert result.full_test.values[t, f] == pytest.approx(held, abs=1e-10)


def test_a_subject_s_own_target_changes_nothing_that_is_chosen_for_it():
    X, targets = cases.embedding(N, D), cases.target(N, T)
    pruner, changed = sc.Pruner(joint="mean", search="forward", kind="similarity", threads=1), targets.copy()
    changed[2] = cases.target(N, seed=9)
    one, other = (sc.cross_validate(X, h, pruner, cv=2, over="both", progress=False) for h in (targets, changed))
    np.testing.assert_array_equal(one.kept.values[2], other.kept.values[2])
    assert (one.kept.values[[0, 1, 3]] != other.kept.values[[0, 1, 3]]).any()


def test_the_ceiling_is_that_of_the_same_folds():
    X, targets = cases.embedding(N, D), cases.target(N, T) + cases.target(N, seed=4)
    result = sc.cross_validate(X, targets, cv=2, seed=3, kind="similarity", over="both", progress=False)
    expected = sc.noise_ceiling(targets, cv=2, seed=3, kind="similarity")
    for which in ("lower", "upper"):
        by_subject = result[f"ceiling_{which}"].mean("fold")
        np.testing.assert_allclose(by_subject, expected[f"{which}_by_subject"], atol=1e-12)
    table = sc.summary(result)
    np.testing.assert_allclose(table.ceiling_lower, expected.lower_by_subject, atol=1e-12)
    assert "ceiling_lower" not in sc.summary(sc.cross_validate(X, targets, cv=2, kind="similarity", progress=False))


@pytest.mark.parametrize("search", ["parsimonious", "stable", "floating"])
def test_with_controls_weights_fixed_features_and_other_searches(search):
    X, targets = cases.embedding(N, D), cases.target(N, T)
    control = cases.target(N, seed=5)
    pruner = sc.Pruner(
        joint="mean", search=search, kind="similarity", inner_cv=2, half_samples=4, fixed_features=[4], threads=1
    )
    result = sc.cross_validate(X, targets, pruner, over="subjects", control=control, progress=False)
    weights = np.random.default_rng(0).uniform(0.5, 2, size=targets.shape)
    sc.cross_validate(X, targets, pruner, over="both", cv=2, weights=weights, progress=False)
    assert result.kept.values[:, :, 4].all()
    alone = pruner.fit(X, targets[1:], control=control)
    np.testing.assert_array_equal(result.kept.values[0, 0], alone.support_)
    assert result.pruned_train.values[0, 0] == pytest.approx(alone.alignment_, abs=1e-12)
    held = alone.score(X, targets[:1], control=control)
    assert result.pruned_test.values[0, 0] == pytest.approx(held, abs=1e-12)


def test_relabellings_run_the_whole_procedure():
    X, targets = cases.embedding(N, D), cases.target(N, T)
    how = {"kind": "similarity", "over": "both", "cv": 2, "progress": False, "pruner": sc.Pruner(joint="mean")}
    null = sc.permutation_test(X, targets, 5, **how)
    orders = sc.relabelling.relabellings(N, 5, 0)
    read = sc.targets.read_target(targets, N, "similarity")
    scores = [sc.cross_validate(X, targets, **how)]
    scores += [sc.cross_validate(X, sc.relabelling.relabelled(read, order[None]).values, **how) for order in orders]
    values = np.array([one.pruned_test.mean("fold").values for one in scores])
    np.testing.assert_allclose(null.pruned_test, values[1:].T, atol=1e-12)
    mean = values.mean(axis=1)
    assert null.observed_mean_pruned_test == pytest.approx(mean[0])
    assert null.p_mean_pruned_test == (1 + (mean[1:] >= mean[0] - 1e-12).sum()) / 6
    assert null.attrs["over"] == "both"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"over": "people"}, "over must be 'stimuli', 'subjects' or 'both', got 'people'"),
        ({"over": "both", "pruner": sc.Pruner()}, "joint must be 'mean' or 'min' where features are chosen on other"),
        ({"over": "subjects", "subjects": ["a"] * T}, "target must be of at least 2 subjects, got 1"),
        ({"over": "subjects", "subjects": ["a"]}, r"subjects must name the subject of each of 4 matrices"),
        ({"subjects": list("abcd")}, "subjects must be None where over is 'stimuli', got some"),
    ],
)
def test_refusals(how, message):
    X, targets = cases.embedding(N, D), cases.target(N, T)
    with pytest.raises(ValueError, match=message):
        sc.cross_validate(X, targets, kind="similarity", cv=2, progress=False, **how)


def test_features_that_subjects_share_are_found_where_each_alone_is_noise():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(40, 60))
    truth = sc.similarity(X[:, :6])
    subjects = truth + 3 * truth.std() * rng.normal(size=(8, truth.size))
    together = sc.cross_validate(X, subjects, cv=4, kind="similarity", over="both", progress=False)
    alone = sc.cross_validate(X, subjects, cv=4, kind="similarity", progress=False)
    assert together.pruned_test.mean() > alone.pruned_test.mean() + 0.03
    assert together.pruned_test.mean() > together.full_test.mean()
    assert together.pruned_test.mean() < together.ceiling_upper.mean()


def test_the_ceiling_is_drawn():
    X, targets = cases.embedding(N, D), cases.target(N, T) + cases.target(N, seed=4)
    result = sc.cross_validate(X, targets, cv=2, kind="similarity", over="both", progress=False)
    for t in (None, 1):
        (axes,) = sc.report.figures.held_out(result, t).axes
        assert "noise ceiling" in axes.get_legend_handles_labels()[1]
        assert axes.get_ylim()[1] >= float(result.ceiling_upper.mean("fold")[t or 0])
        drawn = axes.patches if t is None else axes.patches[-1:]
        lower = [patch.get_y() for patch in drawn]
        expected = result.ceiling_lower.mean("fold").values
        np.testing.assert_allclose(lower, expected if t is None else expected[1:2])


def test_the_command_leaves_subjects_out(tmp_path):
    X, targets = cases.embedding(N, D), cases.target(N, T) + cases.target(N, seed=4)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "subjects.npy", targets)
    words = ["prune", str(tmp_path / "X.npy"), str(tmp_path / "subjects.npy"), "--kind", "similarity", "--cv", "2"]

    def run(*more):
        return CliRunner().invoke(app, [*words, *more, "--out", str(tmp_path / "out")])

    for more, message in {
        ("--over", "both"): "--joint must be mean or min where --over is both, got each",
        ("--joint", "median"): "joint must be one of 'each', 'mean', 'min'; got 'median'",
        ("--over", "people"): "--over must be stimuli, subjects or both, got 'people'",
        ("--fixed", "99"): "--fixed must hold feature indices from 0 to 8, got 99",
        ("--fixed", "nose"): "--fixed must name features of X, got 'nose'",
    }.items():
        done = run(*more)
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()
    done = run("--joint", "mean", "--over", "both", "--fixed", "3", "--permutations", "3")
    assert done.exit_code == 0, done.output
    assert "ceiling" in done.output
    written = xr.open_dataset(tmp_path / "out" / "result.nc")
    assert written.kept.values[:, :, 3].all()
    assert (written.attrs["over"], written.attrs["joint"]) == ("both", "mean")
