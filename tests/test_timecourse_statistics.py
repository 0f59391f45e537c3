"""Tests over time: clusters against MNE's and against every set of signs; the group test on a planted recording."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

import secateur as sc
from secateur import timecourse
from secateur.statistics import cluster_test, cohens_d, paired_t


def gains(seed=0, subjects=8, times=40):
    """Noise with a rise and a fall."""
    values = np.random.default_rng(seed).normal(size=(subjects, times))
    values[:, 10:16] += 0.8
    values[:, 25:28] -= 0.9
    return values


def masses_of(t, threshold, tail):
    """Clusters and masses of one course, by walking along it."""
    found, run, sign = [], [], 0
    for k, value in enumerate([*t, 0.0]):
        now = 1 if value > threshold and tail >= 0 else -1 if value < -threshold and tail <= 0 else 0
        if run and now != sign:
            found.append((run, sum(t[i] for i in run)))
            run = []
        if now:
            run = [*run, k]
        sign = now
    return found


def every_sign(values, threshold, tail):
    """Masses and p from every set of signs, one after another."""
    null = []
    for signs in product([1, -1], repeat=len(values)):
        t = stats.ttest_1samp(values * np.array(signs)[:, None], 0).statistic
        null.append(max([abs(mass) for _, mass in masses_of(t, threshold, tail)], default=0.0))
    found = masses_of(stats.ttest_1samp(values, 0).statistic, threshold, tail)
    return found, [np.mean(np.array(null) >= abs(mass) - 1e-9) for _, mass in found]


# Cohen's d


def test_cohens_d():
    a, b = np.random.default_rng(0).normal(size=(2, 9, 4))
    np.testing.assert_allclose(cohens_d(a, b), [paired_t(x, y).d for x, y in zip(a.T, b.T, strict=True)], rtol=1e-12)
    a[2, 1] = np.nan
    assert float(cohens_d(a, b)[1]) == pytest.approx(paired_t(a[:, 1], b[:, 1]).d, rel=1e-12)
    np.testing.assert_allclose(cohens_d(a - b), cohens_d(a, b), rtol=1e-12)
    assert np.isnan(cohens_d([[1.0, 0.3], [1.0, np.nan]])).all()


# Clusters


@pytest.mark.parametrize("tail", [1, 0, -1])
@pytest.mark.parametrize("seed", range(3))
def test_clusters_against_every_sign(tail, seed):
    values = gains(seed, subjects=6, times=32)
    test = cluster_test(values, tail=tail)
    found, p = every_sign(values, test.threshold, tail)
    assert test.exact
    assert len(test.masses) == len(found) >= 1
    for k, (members, mass) in enumerate(found):
        assert np.flatnonzero(test.labels == k + 1).tolist() == members
        assert test.masses[k] == pytest.approx(mass, rel=1e-12)
    np.testing.assert_allclose(test.p, p, rtol=1e-12)
    assert test.threshold == pytest.approx(stats.t.isf(0.05 / (2 if tail == 0 else 1), 5))


@pytest.mark.parametrize("tail", [1, 0, -1])
def test_clusters_against_mne(tail):
    mne_stats = pytest.importorskip("mne").stats
    values = gains(4)
    test = cluster_test(values, tail=tail, n=255)
    t, clusters, p, _ = mne_stats.permutation_cluster_1samp_test(
        values, tail=tail, n_permutations=1000, out_type="mask", verbose="error"
    )
    np.testing.assert_allclose(test.t, t, rtol=1e-10)
    at = [int(test.labels[mask[0]][0]) - 1 for mask in clusters]
    assert sorted(at) == list(range(len(test.masses)))
    for k, mask in zip(at, clusters, strict=True):
        np.testing.assert_array_equal(test.labels == k + 1, np.isin(np.arange(40), np.arange(40)[mask[0]]))
        assert test.masses[k] == pytest.approx(t[mask[0]].sum(), rel=1e-10)
    # one-sided, MNE's list holds the data twice and lacks their mirror image
    np.testing.assert_allclose(test.p[at], p, atol=1e-12 if tail == 0 else 1 / 256 + 1e-12)


@pytest.mark.parametrize("tail", [1, 0])
def test_times_that_are_apart(tail):
    """As if times that nobody has lay between them."""
    values = gains(2, subjects=6, times=20)
    apart = np.zeros(20, dtype=bool)
    apart[[3, 4, 11, 12]] = True
    test = cluster_test(values, tail=tail, threshold=0.5, apart=apart)
    spread = np.insert(values, np.flatnonzero(apart), np.nan, axis=1)
    expected = cluster_test(spread, tail=tail, threshold=0.5)
    np.testing.assert_allclose(test.masses, expected.masses, rtol=1e-12)
    np.testing.assert_array_equal(test.p, expected.p)
    assert len(test.masses) > len(cluster_test(values, tail=tail, threshold=0.5).masses)
    alone = cluster_test(values, tail=tail, threshold=0.5, apart=np.ones(20, dtype=bool))
    np.testing.assert_allclose(alone.masses, alone.t[alone.labels > 0], rtol=1e-12)
    with pytest.raises(ValueError, match="apart must be booleans, one for each of 20 times"):
        cluster_test(values, apart=[True])


def test_random_signs_approach_the_exact_test():
    values = gains(2, subjects=11)
    exact, drawn = cluster_test(values, n=5000), cluster_test(values, n=2000, seed=3)
    assert exact.exact
    assert len(exact.null) == 2**11 - 1
    assert not drawn.exact
    assert len(drawn.null) == 2000
    np.testing.assert_allclose(drawn.p, exact.p, atol=4 * np.sqrt(0.25 / 2000))
    np.testing.assert_array_equal(drawn.null, cluster_test(values, n=2000, seed=3).null)
    assert (drawn.null != cluster_test(values, n=2000, seed=4).null).any()


def test_clusters_hold_their_error_rate():
    rng = np.random.default_rng(0)
    found = sum((cluster_test(rng.normal(size=(7, 25)), n=127).p <= 0.05).any() for _ in range(300))
    assert 4 <= found <= 28  # 15 expected; binomial 99.9 %


def test_missing_subjects_and_times():
    values = gains(1)
    values[2] = np.nan  # a subject without any course is no subject
    whole = cluster_test(np.delete(values, 2, axis=0), threshold=2.0)
    test = cluster_test(values, threshold=2.0)
    np.testing.assert_allclose(test.t, whole.t, rtol=1e-12)
    np.testing.assert_allclose(test.masses, whole.masses, rtol=1e-12)
    np.testing.assert_allclose(test.p, whole.p, rtol=1e-12)
    values[:, 12] = np.nan  # a time that nobody has parts a cluster
    parted = cluster_test(values, threshold=0.2)
    assert np.isnan(parted.t[12])
    assert parted.labels[12] == 0
    assert parted.labels[11] > 0 < parted.labels[13]
    assert parted.labels[11] != parted.labels[13]


def test_nothing_to_find():
    test = cluster_test(np.zeros((5, 10)))
    assert np.isnan(test.t).all()
    assert len(test.masses) == len(test.p) == 0
    assert not test.labels.any()
    assert not test.null.any()


@pytest.mark.parametrize(
    ("values", "how", "said"),
    [
        (np.zeros(5), {}, r"values must have shape \(subjects, times\)"),
        (np.zeros((1, 5)), {}, r"with 2 subjects or more, got \(1, 5\)"),
        (np.full((3, 5), np.inf), {}, "finite or NaN, got inf"),
        (np.zeros((3, 5)), {"tail": 2}, "tail must be 1, 0 or -1, got 2"),
        (np.zeros((3, 5)), {"n": 0}, "n must be an integer of at least 1, got 0"),
        (np.zeros((3, 5)), {"threshold": -2.0}, r"threshold must be positive, got -2\.0"),
    ],
)
def test_refusals(values, how, said):
    with pytest.raises(ValueError, match=said):
        cluster_test(values, **how)


# Over subjects


TIMES = np.round(np.arange(-10, 60, 2) * 0.01, 2)


@pytest.fixture(scope="module")
def planted():
    patterns, truth = timecourse.simulate(40, subjects=10, sensors=60, times=TIMES, seed=1)
    movies = timecourse.rdm_movies(patterns)
    return patterns, truth, movies, timecourse.prune(truth.X, movies, progress=False)


def test_the_planted_recording_rises_there_and_only_there(planted):
    _, truth, _, course = planted
    test = timecourse.group_test(course, against_zero=True)
    for cluster_p in (test.cluster_p, test.full_cluster_p, test.pruned_cluster_p):
        found = TIMES[cluster_p.values <= 0.05]
        assert len(found) >= 3
        assert found.min() >= 0.2
        assert found.max() <= 0.35
        assert (np.diff(found) < 0.021).all()
    assert test.gain.values[np.isclose(TIMES, 0.28)][0] > 0.2
    assert np.abs(test.gain.values[~truth.inside]).max() < 0.1
    assert np.abs(test.full.values[~truth.inside]).max() < 0.1
    assert not test.significant.values[TIMES < 0].any()


def test_group_test_by_hand(planted):
    _, _, _, course = planted
    test = timecourse.group_test(course, n=200, seed=3, alpha=0.01, against_zero=True)
    full, pruned = course.full_test.values.mean(axis=-1), course.pruned_test.values.mean(axis=-1)
    for t in range(len(TIMES)):
        for name, one, other in (
            ("", np.arctanh(pruned[:, t]), np.arctanh(full[:, t])),
            ("full_", np.arctanh(full[:, t]), np.zeros(10)),
            ("pruned_", np.arctanh(pruned[:, t]), np.zeros(10)),
        ):
            theirs = stats.ttest_rel(one, other, alternative="greater")
            found = [float(test[f"{name}{what}"][t]) for what in ("t", "p", "df", "d")]
            gap = one - other
            assert found == pytest.approx([theirs.statistic, theirs.pvalue, 9, gap.mean() / gap.std(ddof=1)], rel=1e-9)
    np.testing.assert_allclose(test.gain, (pruned - full).mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(test.full_sem, stats.sem(full, axis=0), rtol=1e-12)
    np.testing.assert_allclose(test.n_kept_sem, stats.sem(course.n_kept.values.mean(axis=-1), axis=0), rtol=1e-12)
    np.testing.assert_allclose(test.q, stats.false_discovery_control(test.p.values), rtol=1e-12)
    np.testing.assert_array_equal(test.significant, test.q.values <= 0.01)
    clusters = cluster_test(np.arctanh(pruned) - np.arctanh(full), n=200, seed=3)
    np.testing.assert_array_equal(test.cluster, clusters.labels)
    for k, (mass, p) in enumerate(zip(clusters.masses, clusters.p, strict=True), start=1):
        assert (test.cluster_mass.values[clusters.labels == k] == mass).all()
        assert (test.cluster_p.values[clusters.labels == k] == p).all()
    assert np.isnan(test.cluster_p.values[clusters.labels == 0]).all()
    assert (test.attrs["flips"], test.attrs["exact"], test.attrs["subjects"]) == (200, 0, 10)
    assert test.time.attrs["units"] == "s"


def test_the_other_directions(planted):
    course = planted[3]
    less, both = (timecourse.group_test(course, alternative=a) for a in ("less", "two-sided"))
    greater = timecourse.group_test(course)
    np.testing.assert_allclose(less.p, 1 - greater.p, atol=1e-12)
    np.testing.assert_allclose(both.p, 2 * np.minimum(greater.p, less.p), rtol=1e-9)
    assert both.attrs["exact"] == 1  # 2**9 - 1 flips


def test_undefined_folds_and_subjects(planted):
    course = planted[3].isel(time=slice(18, 21)).copy(deep=True)
    course.pruned_test.values[2, 0, 1] = np.nan  # that fold counts for neither
    course.full_test.values[4, 1] = np.nan  # that subject is left out at that time
    test = timecourse.group_test(course)
    np.testing.assert_array_equal(test.subjects, [10, 9, 10])
    np.testing.assert_array_equal(test.df, [9, 8, 9])
    rest = [0, 2, 3, 4]
    assert float(test.full[0]) == pytest.approx(
        np.mean([course.full_test.values[s, 0, rest if s == 2 else slice(None)].mean() for s in range(10)]), rel=1e-12
    )
    others = np.delete(course.pruned_test.values[:, 1].mean(axis=-1), 4)
    assert float(test.pruned[1]) == pytest.approx(others.mean(), rel=1e-12)
    assert float(test.n_kept[1]) == pytest.approx(
        np.delete(course.n_kept.values[:, 1].mean(axis=-1), 4).mean(), rel=1e-12
    )


def test_a_perfect_alignment_has_a_z(planted):
    course = planted[3].isel(time=slice(18, 21)).copy(deep=True)
    course.full_test.values[:, 0] = course.pruned_test.values[:, 0] = 1.0  # X's own similarities as the target
    course.pruned_test.values[3, 1] = 1.0
    test = timecourse.group_test(course)
    assert np.isnan(test.p[0])
    assert float(test.gain[0]) == 0
    assert np.isfinite(test.t.values[1:]).all()
    assert float(test.pruned[1]) > float(timecourse.group_test(planted[3]).pruned[19])


def test_group_test_can_be_saved(planted, tmp_path):
    import xarray

    test = timecourse.group_test(planted[3])
    test.to_netcdf(tmp_path / "group.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "group.nc", engine="h5netcdf") as back:
        xarray.testing.assert_identical(back.load(), test)


def test_group_test_refuses(planted):
    course = planted[3]
    with pytest.raises(ValueError, match="course must have at least 2 subjects, got 1"):
        timecourse.group_test(course.isel(subject=[0]))
    with pytest.raises(ValueError, match=r"alternative must be one of .*; got 'more'"):
        timecourse.group_test(course, alternative="more")
    with pytest.raises(ValueError, match=r"alpha must be above 0 and below 1, got 5"):
        timecourse.group_test(course, alpha=5)
    with pytest.raises(ValueError, match=r"course must be what secateur\.timecourse\.prune returns"):
        timecourse.group_test(course.drop_vars("full_test"))


def test_noise_ceiling_is_the_library_s_at_each_time(planted):
    movies = planted[2]
    bounds = timecourse.noise_ceiling(movies, "spearman", cv=5, seed=2)
    for t in (0, 12, 19):
        one = sc.noise_ceiling(np.stack([movie.values[t] for movie in movies.values()]), "spearman", cv=5, seed=2)
        assert float(bounds.lower[t]) == float(one.lower)
        np.testing.assert_array_equal(bounds.upper_by_subject[:, t], one.upper_by_subject)
    assert bounds.time.attrs["units"] == "s"
    assert bounds.lower.values[19] > 0.4 > 0.1 > bounds.lower.values[0]
    squares = {s: to_squares(movie) for s, movie in movies.items()}
    np.testing.assert_array_equal(timecourse.noise_ceiling(squares).lower, timecourse.noise_ceiling(movies).lower)
    with pytest.raises(ValueError, match="movies must be of at least 2 subjects, got 1"):
        timecourse.noise_ceiling({0: movies[0]})
    flat = {s: movie.values.copy() for s, movie in movies.items()}
    flat[1][3] = 1.0
    with pytest.raises(ValueError, match=r"movies at 3 sample: rdms must vary"):
        timecourse.noise_ceiling(flat)


def to_squares(movie):
    from scipy.spatial.distance import squareform

    return np.stack([squareform(row) for row in movie.values])


def test_windows_with_time_between_them_are_clusters_of_their_own(planted):
    patterns, truth, _, _ = planted
    touching, parted = [(0.25, 0.27), (0.27, 0.29)], [(0.255, 0.265), (0.275, 0.285)]
    for windows, count in ((touching, 1), (parted, 2)):
        course = timecourse.prune(truth.X, timecourse.rdm_movies(patterns, windows=windows), cv=3, progress=False)
        test = timecourse.group_test(course)
        assert (test.t > test.attrs["cluster_threshold"]).all(), "the case is no case"
        assert len(np.unique(test.cluster)) == count


def test_the_paper_s_windows(planted):
    """Step by step, as the paper has it: matrices, their mean in a window, five folds, z, a paired one-sided t."""
    patterns, truth, _, _ = planted
    windows = [(0.175, 0.185), (0.255, 0.285)]
    table = timecourse.paper_windows(truth.X, patterns, windows, seed=4)
    assert table.index.tolist() == ["175-185 ms", "255-285 ms"]
    for w, (start, stop) in enumerate(windows):
        at = np.flatnonzero((start <= TIMES) & (stop >= TIMES))
        assert len(at) == (1, 2)[w]
        scores = []
        for subject in range(10):
            matrices = [1 - np.corrcoef(patterns.values[subject, :, :, t])[np.triu_indices(40, 1)] for t in at]
            result = sc.cross_validate(
                truth.X, np.mean(matrices, axis=0), kind="dissimilarity", cv=5, seed=4, progress=False
            )
            scores.append([result.full_test.values.mean(), result.pruned_test.values.mean()])
        full, pruned = np.array(scores).T
        theirs = stats.ttest_rel(np.arctanh(pruned), np.arctanh(full), alternative="greater")
        row = table.iloc[w]
        assert (row.full, row.pruned) == pytest.approx((full.mean(), pruned.mean()), abs=1e-10)
        assert (row.t, row.df, row.p) == pytest.approx((theirs.statistic, 9, theirs.pvalue), rel=1e-7)
        assert row.d == pytest.approx(row.t / np.sqrt(10), rel=1e-12)
    assert table.p.iloc[1] < 0.001 < table.p.iloc[0]
    with pytest.raises(ValueError, match="recordings must be of at least 2 participants, got 1"):
        timecourse.paper_windows(truth.X, patterns[:1], windows)
