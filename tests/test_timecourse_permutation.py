"""Stimuli relabelled alike for all subjects and times: against pruning by hand, and by what it must not see."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
from scipy import stats
from scipy.spatial.distance import squareform

import secateur as sc
from secateur import timecourse
from secateur.relabelling import relabellings
from secateur.timecourse import permutation
from test_timecourse_statistics import masses_of

TIMES = np.round(np.arange(7) * 0.06, 2)
ASKED = {"cv": 3, "seed": 5, "progress": False}


@pytest.fixture(scope="module")
def planted():
    patterns, truth = timecourse.simulate(24, subjects=4, sensors=40, times=TIMES, noise=0.4, seed=2)
    return truth.X, timecourse.rdm_movies(patterns), truth


def by_hand(X, movies, n, seed):
    """Full, pruned and gain (1 + n, times): matrices relabelled one by one, pruned by prune, means in Fisher's z."""
    rng = np.random.default_rng(seed)
    rows = []
    for order in [np.arange(len(X)), *(rng.permutation(len(X)) for _ in range(n))]:
        moved = {s: np.stack([squareform(row)[np.ix_(order, order)] for row in m.values]) for s, m in movies.items()}
        course = timecourse.prune(X, moved, kind="dissimilarity", **ASKED)
        full, pruned = (np.arctanh(course[name].mean("fold").values) for name in ("full_test", "pruned_test"))
        rows.append([full.mean(axis=0), pruned.mean(axis=0), (pruned - full).mean(axis=0)])
    return np.moveaxis(np.array(rows), 1, 0)


@pytest.fixture(scope="module")
def hand(planted):
    X, movies, _ = planted
    return by_hand(X, movies, 19, ASKED["seed"])


@pytest.mark.parametrize(("alternative", "tail"), [("greater", 1), ("less", -1), ("two-sided", 0)])
def test_equals_every_relabelling_by_hand(alternative, tail, planted, hand):
    X, movies, _ = planted
    test = timecourse.permutation_test(X, movies, 19, alternative=alternative, **ASKED)
    for name, course in zip(("full", "pruned", "gain"), hand, strict=True):
        np.testing.assert_allclose(test[f"observed_{name}"], course[0], atol=1e-9)
        np.testing.assert_allclose(test[name], course[1:], atol=1e-9)
        z = (course - course.mean(axis=0)) / course.std(axis=0)
        side = np.abs(z) if tail == 0 else tail * z
        p = [(1 + np.sum(side[1:, t] >= side[0, t] - 1e-9)) / 20 for t in range(7)]
        np.testing.assert_allclose(test[f"p_{name}"], p, atol=1e-12)
        p_max = [(1 + np.sum(side[1:].max(axis=1) >= side[0, t] - 1e-9)) / 20 for t in range(7)]
        np.testing.assert_allclose(test[f"p_max_{name}"], p_max, atol=1e-12)
        threshold = stats.norm.isf(0.05 if tail else 0.025)
        null = [max([abs(mass) for _, mass in masses_of(row, threshold, tail)], default=0.0) for row in z[1:]]
        expected = np.full(7, np.nan)
        for k, (members, mass) in enumerate(masses_of(z[0], threshold, tail), start=1):
            assert np.flatnonzero(test[f"cluster_{name}"] == k).tolist() == members
            np.testing.assert_allclose(test[f"cluster_mass_{name}"][members], mass, rtol=1e-7)
            expected[members] = (1 + np.sum(np.array(null) >= abs(mass) - 1e-9)) / 20
        np.testing.assert_allclose(test[f"cluster_p_{name}"], expected, atol=1e-12)
    found = [test[f"cluster_{name}"].any() for name in ("full", "pruned", "gain")]
    assert tail < 0 or any(found), "the case has no cluster"


def test_one_subject_and_time_is_the_library_s(planted):
    X, movies, _ = planted
    null = sc.permutation_test(X, movies[1].values[4], 29, kind="dissimilarity", **ASKED)
    test = timecourse.permutation_test(X, movies[1][4:5], 29, **ASKED)
    np.testing.assert_allclose(test.pruned[:, 0], np.arctanh(null.pruned_test.values[0]), atol=1e-12)
    for p in (test.p_pruned, test.p_max_pruned):
        assert float(p[0]) == float(null.p_pruned_test[0])


def test_what_subjects_share_counts_once(planted):
    """The same movie in every subject is no better a reason to believe in X's features than one of them."""
    X, movies, _ = planted
    one = timecourse.permutation_test(X, movies[0], 19, **ASKED)
    five = timecourse.permutation_test(X, [movies[0]] * 5, 19, **ASKED)
    for name in one.data_vars:
        np.testing.assert_allclose(five[name], one[name], atol=1e-12)


def test_the_planted_features_are_found_in_their_window_alone(planted):
    X, movies, truth = planted
    test = timecourse.permutation_test(X, movies, 99, **ASKED)
    for p in (test.p_max_pruned, test.cluster_p_pruned):
        found = p.values <= 0.05
        assert found.any()
        assert not found[~truth.inside].any()


def test_the_same_for_any_batch_and_seed(planted, monkeypatch):
    X, movies, _ = planted
    whole = timecourse.permutation_test(X, movies, 19, **ASKED)
    again = timecourse.permutation_test(X, movies, 19, **ASKED)
    xarray.testing.assert_identical(whole, again)
    other = timecourse.permutation_test(X, movies, 19, **(ASKED | {"seed": 6}))
    assert (other.pruned != whole.pruned).any()
    monkeypatch.setattr(permutation, "BUDGET", 1 << 17)
    calls = []
    real = permutation.relabelled_chunk
    monkeypatch.setattr(permutation, "relabelled_chunk", lambda *given: calls.append(given) or real(*given))
    xarray.testing.assert_allclose(timecourse.permutation_test(X, movies, 19, **ASKED), whole, rtol=1e-10)
    assert len(calls) > 8, "it was no smaller batch"


def test_ctrl_c_ends_it(planted, monkeypatch):
    X, movies, _ = planted

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(permutation, "relabelled_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        timecourse.permutation_test(X, movies, 19, **ASKED)


def test_groups_are_relabelled_as_a_whole(planted):
    groups = np.array(list("bacd") * 6)
    orders = np.vstack([np.arange(24), relabellings(24, 200, 0, groups)])
    np.testing.assert_array_equal(orders[0], np.arange(24))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(24), (201, 1)))
    moved, inside = set(), set()
    for order in orders[1:]:
        for name in "abcd":
            came = set(groups[order[groups == name]])
            assert len(came) == 1
            moved.add((name, *came))
        inside.add(tuple(order[groups == "a"]))
    assert len(moved) == 16  # every group has been in every place
    assert len(inside) > 100  # and in many orders
    X, movies, _ = planted
    test = timecourse.permutation_test(X, movies, 9, groups=groups, **ASKED)
    assert test.attrs["groups"] == "relabelled as a whole"
    with pytest.raises(ValueError, match=r"groups must all be of one size .*, got 5 in group 0 and 7 in group 1"):
        timecourse.permutation_test(X, movies, 9, groups=np.repeat([0, 1, 2, 3], [5, 7, 6, 6]), **ASKED)


def test_windows_with_time_between_them_are_apart():
    rng = np.random.default_rng(0)
    course = rng.normal(size=(40, 4))
    course[0] = 9.0
    joined = permutation.against_relabellings(course, 1, np.zeros(4, dtype=bool))
    parted = permutation.against_relabellings(course, 1, np.array([False, False, True, False]))
    assert joined["cluster"].tolist() == [1, 1, 1, 1]
    assert parted["cluster"].tolist() == [1, 1, 2, 2]
    np.testing.assert_allclose(parted["cluster_mass"].sum(), 2 * joined["cluster_mass"][0], rtol=1e-12)


def test_undefined_relabellings_count_as_the_largest():
    course = np.random.default_rng(0).normal(size=(10, 3))
    course[0, :2] = 9.0, np.nan
    found = permutation.against_relabellings(course, 1, np.zeros(3, dtype=bool))
    assert found["p"][0] == found["p_max"][0] == found["cluster_p"][0] == 0.1
    assert np.isnan([found[name][1] for name in ("p", "p_max", "cluster_p", "cluster_mass")]).all()
    course[3, 0] = np.nan
    found = permutation.against_relabellings(course, 1, np.zeros(3, dtype=bool))
    assert found["p"][0] == found["p_max"][0] == found["cluster_p"][0] == 0.2
    course[4, 1] = np.nan  # where nothing is observed, nothing is tested
    assert permutation.against_relabellings(course, 1, np.zeros(3, dtype=bool))["p_max"][0] == 0.2
    constant = permutation.against_relabellings(np.ones((5, 2)), 1, np.zeros(2, dtype=bool))
    assert np.isnan(constant["p"]).all()
    assert not constant["cluster"].any()


def test_the_test_holds_its_error_rate():
    """Rows that are exchangeable, correlated over time as a course is: any cluster, and any largest value."""
    rng = np.random.default_rng(0)
    finds = np.zeros(2)
    for _ in range(300):
        course = np.cumsum(rng.normal(size=(20, 15)), axis=1)
        found = permutation.against_relabellings(course, 1, np.zeros(15, dtype=bool))
        finds += [(found["p_max"] <= 0.05).any(), (found["cluster_p"] <= 0.05).any()]
    assert (finds >= 4).all()  # 15 expected; binomial 99.9 %
    assert (finds <= 28).all()


def test_it_can_be_saved(planted, tmp_path):
    X, movies, _ = planted
    test = timecourse.permutation_test(X, movies, 5, **ASKED)
    test.to_netcdf(tmp_path / "null.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "null.nc", engine="h5netcdf") as back:
        xarray.testing.assert_identical(back.load(), test)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"n": 0}, "n must be an integer of at least 1, got 0"),
        ({"alpha": 1}, "alpha must be above 0 and below 1, got 1"),
        ({"alternative": "more"}, "alternative must be one of .*; got 'more'"),
    ],
)
def test_refusals(how, said, planted):
    with pytest.raises(ValueError, match=said):
        timecourse.permutation_test(planted[0], planted[1], **(ASKED | how))


def test_beside_a_control_what_it_says_of_the_movies_stays(planted):
    """Against prune, of movies whose rest alone is relabelled (Freedman & Lane)."""
    X, movies, _ = planted
    few = {name: movie[:2] for name, movie in list(movies.items())[:2]}
    control = sc.similarity(np.random.default_rng(8).normal(size=(24, 5)))
    test = timecourse.permutation_test(X, few, 3, control=control, **ASKED)
    design = np.stack([np.ones_like(control), control], axis=1)
    for b, order in enumerate([np.arange(24), *relabellings(24, 3, ASKED["seed"])]):
        moved = {}
        for name, movie in few.items():
            stays = (design @ np.linalg.lstsq(design, movie.values.T, rcond=None)[0]).T
            rest = np.stack([squareform(row, checks=False)[np.ix_(order, order)] for row in movie.values - stays])
            moved[name] = stays + np.stack([squareform(row, checks=False) for row in rest])
        course = timecourse.prune(X, moved, kind="dissimilarity", control=control, **ASKED)
        means = np.arctanh(course.pruned_test.mean("fold")).mean("subject")
        found = test.pruned[b - 1] if b else test.observed_pruned
        np.testing.assert_allclose(found, means, atol=1e-9)
    assert test.attrs["controls"] == 1
