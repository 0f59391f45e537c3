"""Partial alignment, against a regression in numpy; planted confounds; what the null says of partial gains."""

import json

import numpy as np
import pytest
from scipy.stats import rankdata
from typer.testing import CliRunner

import secateur as sc
from secateur.cli import app

N, D = 16, 12
PAIRS = N * (N - 1) // 2
RANKED = {"pearson": False, "spearman": True}


def partial(s, h, controls, ranked, weights=None):
    """Correlation of what an (intercept and) least squares on the controls leaves of both; slow, and only of numpy."""
    w = np.ones(len(s)) if weights is None else np.array(weights, dtype=float)
    w = np.where(np.isnan(h) | np.isnan(controls).any(axis=0), 0, w)
    s, h, controls, w = s[w > 0], h[w > 0], controls[:, w > 0], w[w > 0]
    if ranked:
        s, h, controls = rankdata(s), rankdata(h), np.array([rankdata(c) for c in controls])
    design = np.vstack([np.ones(len(s)), controls]).T * np.sqrt(w)[:, None]
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (s * np.sqrt(w), h * np.sqrt(w))]
    return left[0] @ left[1] / np.sqrt((left[0] ** 2).sum() * (left[1] ** 2).sum())


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    X = np.abs(rng.normal(size=(N, D)))
    targets, controls = rng.normal(size=(3, PAIRS)), rng.normal(size=(2, PAIRS))
    targets[1, 5], controls[0, 9] = np.nan, np.nan
    controls[1] += sc.similarity(X)
    return X, targets, controls


@pytest.mark.parametrize("comparator", RANKED)
@pytest.mark.parametrize("metric", ["cosine", "correlation", "sqeuclidean"])
def test_every_verb_is_the_regression_in_numpy(data, comparator, metric):
    X, targets, controls = data
    how = {"metric": metric, "comparator": comparator, "kind": "similarity", "control": controls}

    def expected(features, t):
        return partial(sc.similarity(X[:, features], metric), targets[t], controls, RANKED[comparator])

    everything = np.arange(D)
    order = np.array([np.random.default_rng(t).permutation(D) for t in range(3)])
    found = {
        "alignment": (sc.alignment(X, targets, **how), lambda t: [expected(everything, t)]),
        "leave_one_out": (
            sc.leave_one_out(X, targets, **how),
            lambda t: [expected(np.delete(everything, k), t) for k in range(D)],
        ),
        "add_one": (
            sc.add_one(X, targets, [0, 1, 2, 3], **how)[:, 4:],
            lambda t: [expected([0, 1, 2, 3, k], t) for k in range(4, D)],
        ),
        "insertion_curve": (
            sc.insertion_curve(X, targets, order, **how)[:, 3:],
            lambda t: [expected(order[t, :m], t) for m in range(4, D + 1)],
        ),
        "insertion of one order": (
            sc.insertion_curve(X, targets, order[0], **how)[:, 3:],
            lambda t: [expected(order[0, :m], t) for m in range(4, D + 1)],
        ),
    }
    for verb, (values, slow) in found.items():
        for t, row in enumerate(np.atleast_2d(values.T).T if values.ndim == 1 else values):
            np.testing.assert_allclose(row, slow(t), rtol=0, atol=1e-10, err_msg=f"{verb}, target {t}")


def of_one_target(metric, weighted, count, near=None):
    """(found, slow) of each verb, for one target; the controls near the space of all features, or not."""
    rng = np.random.default_rng(count)
    X = np.abs(rng.normal(size=(N, D)))
    target, controls = rng.normal(size=PAIRS), rng.normal(size=(count, PAIRS))
    if near is not None:  # nor do single features change much
        X[:, [1, 5]] /= 100
        controls[0] = sc.similarity(X[:, :5], metric) + near * rng.normal(size=PAIRS)
    controls[-1] = sc.similarity(X, metric) + (near or 0.3) * rng.normal(size=PAIRS)
    weights = rng.uniform(0.2, 2, size=PAIRS) if weighted == "weights" else None
    if weighted != "none":
        target[[4, 60]], controls[0, 9] = np.nan, np.nan
    how = {"metric": metric, "kind": "similarity", "weights": weights, "control": controls}

    def slow(features):
        return partial(sc.similarity(X[:, features], metric), target, controls, False, weights)

    every, order = np.arange(D), rng.permutation(D)
    yield sc.leave_one_out(X, target, **how), [slow(np.delete(every, k)) for k in every]
    yield sc.add_one(X, target, [0, 1, 2, 3, 4], **how)[5:], [slow([0, 1, 2, 3, 4, k]) for k in range(5, D)]
    yield sc.insertion_curve(X, target, order, **how)[3:], [slow(order[:m]) for m in range(4, D + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])  # one pass over the pairs, and more
@pytest.mark.parametrize("weighted", ["none", "missing", "weights"])
@pytest.mark.parametrize("metric", sc.measures.METRICS)
def test_one_target_is_freed_of_any_number_of_controls(metric, weighted, count):
    for found, slow in of_one_target(metric, weighted, count):
        np.testing.assert_allclose(found, slow, rtol=0, atol=1e-10)


@pytest.mark.parametrize("weighted", ["none", "missing", "weights"])
@pytest.mark.parametrize(("metric", "near"), [("cosine", 1e-5), ("euclidean", 1e-4)])
def test_little_that_controls_leave_keeps_its_digits(metric, near, weighted):
    """Controls that are almost the spaces themselves: what is left, taken from moments, would have lost them."""
    for found, slow in of_one_target(metric, weighted, 2, near):
        np.testing.assert_allclose(found, slow, rtol=0, atol=1e-10)


def test_folds_choose_and_score_by_the_regression_in_numpy():
    rng = np.random.default_rng(11)
    n, pairs = 26, 325
    X, target = np.abs(rng.normal(size=(n, 9))), rng.normal(size=pairs)
    controls = rng.normal(size=(2, pairs)) + sc.similarity(X)
    target[17] = np.nan
    found = sc.cross_validate(X, target, cv=2, kind="similarity", control=controls, progress=False)
    place = np.zeros((n, n), dtype=int)
    place[np.triu_indices(n, 1)] = np.arange(pairs)
    place += place.T
    for f in range(2):
        train, test = (np.flatnonzero(found.test.values[f] == held) for held in (False, True))

        def score(stimuli, features):
            at = place[np.ix_(stimuli, stimuli)][np.triu_indices(len(stimuli), 1)]
            return partial(sc.similarity(X[np.ix_(stimuli, features)]), target[at], controls[:, at], False)

        without = [score(train, np.delete(np.arange(9), k)) for k in range(9)]
        order = np.argsort(without, kind="stable")
        curve = [score(train, order[:m]) for m in range(2, 10)]  # of one feature all cosines are 1
        kept = np.sort(order[: int(np.argmax(curve)) + 2])
        np.testing.assert_array_equal(np.flatnonzero(found.kept.values[0, f]), kept)
        assert found.pruned_test.values[0, f] == pytest.approx(score(test, kept), abs=1e-10)
        assert found.full_test.values[0, f] == pytest.approx(score(test, np.arange(9)), abs=1e-10)


def test_weights_are_those_of_a_weighted_regression(data):
    X, targets, controls = data
    weights = np.random.default_rng(2).uniform(0.2, 2, size=PAIRS)
    found = sc.leave_one_out(X, targets, kind="similarity", weights=weights, control=controls)
    for t in range(3):
        for k in range(0, D, 5):
            without = sc.similarity(np.delete(X, k, axis=1))
            assert found[t, k] == pytest.approx(partial(without, targets[t], controls, False, weights), abs=1e-10)


def test_controls_may_say_the_same_or_nothing(data):
    X, targets, controls = data
    own = controls[1]
    plain = sc.alignment(X, targets[0], kind="similarity", control=own)
    twice = [own, 3 - 2 * own, np.full(PAIRS, 7.0)]  # itself, of the other kind, and a constant
    assert sc.alignment(X, targets[0], kind="similarity", control=twice) == pytest.approx(plain, abs=1e-12)
    constant = sc.alignment(X, targets[0], kind="similarity", control=np.full(PAIRS, 7.0))
    assert constant == pytest.approx(sc.alignment(X, targets[0], kind="similarity"), abs=1e-14)


def test_what_the_controls_say_whole_has_no_partial_alignment(data):
    X, targets, controls = data
    assert np.isnan(sc.alignment(X, controls[1], kind="similarity", control=controls))
    assert np.isnan(sc.alignment(X, targets[0], kind="similarity", control=sc.similarity(X)))
    same = "other than the target, got control 1, which is target 0 over again but for scale: nothing is left to fit"
    with pytest.raises(ValueError, match=same):
        sc.Pruner(kind="similarity").fit(X, 2 - 3 * controls[1], control=controls)
    with pytest.raises(ValueError, match=r"undefined partial alignment .* the controls together may say all"):
        sc.Pruner(kind="similarity").fit(X, controls[0] + controls[1], control=controls)


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (np.zeros(7), r"control must have shape \(16, 16\), \(120,\), \(T, 120\)"),
        (np.full(PAIRS, np.inf), "control must not be infinite, got inf at control 0, pair 0"),
        ([np.zeros(PAIRS), np.arange(N * N, dtype=float).reshape(N, N)], "control must be symmetric"),
        ("pixels", "control must hold real numbers"),
    ],
)
def test_refusals_name_the_control(data, control, words):
    X, targets, _ = data
    with pytest.raises((TypeError, ValueError), match=words):
        sc.alignment(X, targets, kind="similarity", control=control)


def test_comparators_that_are_no_correlation_are_refused(data):
    X, targets, controls = data
    for comparator in set(sc.measures.COMPARATORS) - set(RANKED):
        with pytest.raises(ValueError, match="comparator must be 'pearson' or 'spearman' where control is given"):
            sc.leave_one_out(X, targets, comparator=comparator, kind="similarity", control=controls)


def test_a_control_of_any_form(data):
    X, targets, controls = data
    xarray = pytest.importorskip("xarray")
    own = controls[1]
    square = np.zeros((N, N))
    square[np.triu_indices(N, 1)] = own
    square += square.T
    expected = sc.alignment(X, targets, kind="similarity", control=own)
    frame = xarray.DataArray(square, dims=("stimulus", "stimulus2"))
    for control in (square, square[None], [own], (square,), frame):
        np.testing.assert_array_equal(sc.alignment(X, targets, kind="similarity", control=control), expected)


# A confound


def confounded(seed, n=40):
    """X whose first 20 features carry a confound that the target holds too, and whose other 20 what is wanted."""
    rng = np.random.default_rng(seed)
    confound, wanted = rng.normal(size=(2, n, 4))
    X = np.hstack([space @ rng.normal(size=(4, 20)) + rng.normal(size=(n, 20)) for space in (confound, wanted)])
    control = sc.similarity(confound, "correlation")
    return X, control + sc.similarity(wanted, "correlation") / 2, control


@pytest.mark.parametrize("comparator", RANKED)
def test_a_planted_confound_is_kept_without_a_control_and_dropped_with_it(comparator):
    X, target, control = confounded(0)
    pruner = sc.Pruner(metric="correlation", comparator=comparator, kind="similarity")
    plain = pruner.fit(X, target).support_.copy()
    controlled = pruner.fit(X, target, control=control).support_
    assert plain[:20].sum() >= 10  # 13 to 18 over five seeds
    assert controlled[:20].sum() <= 4  # 0 to 2
    assert controlled[20:].sum() >= 5  # 7 to 17
    held = sc.cross_validate(X, target, pruner, cv=4, control=control, progress=False)
    assert held.pruned_test.mean() > held.full_test.mean()
    kept = held.kept.mean("fold").values[0]
    assert kept[20:].sum() > 4 * kept[:20].sum()


def test_selection_goes_by_the_same_rule_with_a_control_that_says_nothing():
    X, target, _ = confounded(1)
    constant = np.full(len(target), 3.0)
    plain, controlled = (sc.Pruner(kind="similarity").fit(X, target, **given) for given in ({}, {"control": constant}))
    np.testing.assert_array_equal(plain.support_, controlled.support_)
    np.testing.assert_allclose(plain.curve_, controlled.curve_, atol=1e-12)
    results = [
        sc.cross_validate(X, np.stack([target, target**2]), cv=4, kind="similarity", progress=False, **given)
        for given in ({}, {"control": constant})
    ]
    for name in ("full_test", "pruned_test"):
        np.testing.assert_allclose(results[0][name], results[1][name], atol=1e-12)


def test_undefined_held_out_pairs_are_left_out_and_counted():
    rng = np.random.default_rng(3)
    X = np.maximum(rng.normal(size=(20, 6)), 0)
    X[4] = [1, 0, 0, 0, 0, 0]
    target, control = rng.normal(size=(2, 190))
    support = np.array([False, True, True, True, True, True])
    problem = sc.Pruner(kind="similarity").settings().scoring(
        sc.features.read_features(X), sc.targets.read_target(target, 20, "similarity", control=control)
    )  # fmt: skip
    scores, undefined = problem.held_out_alignment(None, support[None])
    s = sc.similarity(X[:, support])
    there = ~np.isnan(s)
    assert undefined.tolist() == [(~there).sum()]
    assert scores[0] == pytest.approx(partial(s[there], target[there], control[None, there], False), abs=1e-12)


def test_relabelled_targets_keep_the_controls_with_the_features():
    rng = np.random.default_rng(4)
    target, control = rng.normal(size=(2, PAIRS))
    control[3], target[7] = np.nan, np.nan
    targets = sc.targets.read_target(target, N, "similarity", control=control)
    order = rng.permutation(N)
    moved = sc.relabelling.relabelled(targets, order[None])
    np.testing.assert_array_equal(moved.controls, targets.controls)
    square = np.full((N, N), False)
    square[np.triu_indices(N, 1)] = np.isnan(target) | np.isnan(control)  # a pair without weight takes that with it
    lost = (square | square.T)[np.ix_(order, order)][np.triu_indices(N, 1)] | np.isnan(control)
    np.testing.assert_array_equal(moved.has_weight(0), ~lost)


def test_the_null_moves_what_controls_do_not_say():
    rng = np.random.default_rng(8)
    target, control = rng.normal(size=(2, PAIRS))
    targets = sc.targets.read_target(target, N, "similarity", control=control)
    orders = np.array([np.arange(N), rng.permutation(N)])
    moved = sc.relabelling.relabelled(targets, orders)
    np.testing.assert_allclose(moved.values[0], target, atol=1e-14)
    design = np.vstack([np.ones(PAIRS), control]).T
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    rest = np.zeros((N, N))
    rest[np.triu_indices(N, 1)] = target - fitted
    rest = (rest + rest.T)[np.ix_(orders[1], orders[1])][np.triu_indices(N, 1)]
    np.testing.assert_allclose(moved.values[1], fitted + rest, atol=1e-14)


def test_a_time_course_is_the_same_as_its_time_points(tmp_path):
    X, target, control = confounded(2, n=24)
    movie = np.stack([target, target[::-1]])
    how = {"cv": 3, "kind": "similarity", "control": control, "progress": False}
    course = sc.timecourse.prune(X, movie, **how)
    for t in range(2):
        alone = sc.cross_validate(X, movie[t], **how)
        for name in ("full_test", "pruned_test"):
            np.testing.assert_allclose(course[name].values[0, t], alone[name].values[0], atol=1e-12)
    assert course.attrs["controls"] == 1
    pytest.importorskip("zarr")
    sc.timecourse.prune(X, movie, store=tmp_path / "course.zarr", **how)
    with pytest.raises(ValueError, match="control"):
        sc.timecourse.prune(X, movie, store=tmp_path / "course.zarr", **{**how, "control": -(control**2)})


def test_the_command_takes_controls(tmp_path):
    X, target, control = confounded(3, n=24)
    for name, values in {"X": X, "target": target, "control": control}.items():
        np.save(tmp_path / f"{name}.npy", values)
    X_file, target_file, control_file = (str(tmp_path / f"{name}.npy") for name in ("X", "target", "control"))
    words = [X_file, target_file, "--kind", "similarity", "--cv", "3", "--control", control_file]
    done = CliRunner().invoke(app, ["prune", *words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert [one["role"] for one in written["inputs"]] == ["features", "target", "control"]
    np.save(tmp_path / "short.npy", control[:9])
    for name, said in (
        ("short", "--control short.npy: control must have shape 24 × 24, 276 values, T × 276"),
        ("target", "got target.npy, which is target target over again but for scale: nothing is left to fit."),
    ):
        done = CliRunner().invoke(app, ["prune", *words, "--control", str(tmp_path / f"{name}.npy"), "--out", "none"])
        assert done.exit_code == 2
        assert said in " ".join(done.stderr.split())


def test_a_comparison_beside_a_control_is_cross_validation(data):
    X, targets, controls = data
    how = {"cv": 3, "kind": "similarity", "control": controls, "progress": False}
    result = sc.compare(X, targets, ["full", "pruned", "random"], permutations=5, **how)
    own = sc.cross_validate(X, targets, **how)
    np.testing.assert_allclose(result.test_alignment.sel(approach="pruned"), own.pruned_test, atol=1e-12)
    np.testing.assert_allclose(result.test_alignment.sel(approach="full"), own.full_test, atol=1e-12)
    np.testing.assert_array_equal(result.nodes.sel(approach="random"), own.n_kept)
    assert result.attrs["controls"] == 2
    assert np.isfinite(result.chance).all()
    words = "methods must be full, pruned, variance, zeros, random or reversed, or Pruners, where control is given, got"
    with pytest.raises(ValueError, match=f"{words} 'ridge'"):
        sc.compare(X, targets, ["full", "ridge"], **how)
