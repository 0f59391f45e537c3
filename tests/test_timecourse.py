"""RDM movies against rsatoolbox and the plain definitions; a planted recording is found where it was planted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray

import secateur as sc
from secateur import timecourse
from secateur.timecourse import movies

RNG = np.random.default_rng(0)
PATTERNS = RNG.normal(size=(7, 11, 13)) + 3
RUNS = RNG.normal(size=(4, 7, 11, 13)) + PATTERNS
TIMES = np.round(0.15 + 0.005 * np.arange(13), 6)
ROOT = RNG.normal(size=(11, 11))
PRECISION = ROOT @ ROOT.T + np.eye(11)
NAMES = tuple("gfedcba")
FIRST, SECOND = np.triu_indices(7, 1)


def pearson(a, b):
    return np.corrcoef(a, b)[0, 1]


# Values


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("metric", ["correlation", "euclidean", "mahalanobis", "crossnobis"])
def test_equals_rsatoolbox(metric):
    pytest.importorskip("rsatoolbox")
    from rsatoolbox.data import TemporalDataset
    from rsatoolbox.rdm import calc_rdm_movie

    crossed = metric == "crossnobis"
    noise = PRECISION if metric in ("mahalanobis", "crossnobis") else None
    data = RUNS if crossed else PATTERNS
    labels = {
        "stimulus": np.tile(np.arange(7), 4 if crossed else 1),
        "run": np.repeat(np.arange(4 if crossed else 1), 7),
    }
    dataset = TemporalDataset(data.reshape(-1, 11, 13).copy(), obs_descriptors=labels, time_descriptors={"time": TIMES})
    asked = {"descriptor": "stimulus", "cv_descriptor": "run"} if crossed else {}
    theirs = calc_rdm_movie(dataset, method=metric, noise=noise, **asked)
    ours = timecourse.rdm_movie(data, metric, times=TIMES, noise=noise)
    np.testing.assert_allclose(ours.values, theirs.dissimilarities, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(ours["time"], theirs.rdm_descriptors["time"])


def test_correlation_by_definition():
    movie = timecourse.rdm_movie(PATTERNS)
    expected = [[1 - pearson(PATTERNS[i, :, t], PATTERNS[j, :, t]) for i, j in zip(FIRST, SECOND)] for t in range(13)]
    np.testing.assert_allclose(movie, expected, rtol=0, atol=1e-12)
    assert movie.dims == ("time", "pair")
    assert movie.attrs["kind"] == "dissimilarity"
    assert movie.attrs["metric"] == "correlation"
    assert "how" in movie.attrs
    assert "stimuli" not in movie.attrs


def slow_movie(patterns, metric, precision=None):
    """The definitions, one pair at a time. patterns (splits, n, sensors, times)."""
    splits, n, sensors, times = patterns.shape
    first, second = np.triu_indices(n, 1)
    out = np.empty((times, len(first)))
    omega = np.eye(sensors) if precision is None else precision
    sides = [(a, b) for a in range(splits) for b in range(splits) if a != b] if splits > 1 else [(0, 0)]
    for t in range(times):
        for p, (i, j) in enumerate(zip(first, second)):
            x = patterns[..., t]
            if metric in ("correlation", "split-half"):
                out[t, p] = np.mean([1 - pearson(x[a, i], x[b, j]) for a, b in sides])
            else:
                out[t, p] = np.mean([(x[a, i] - x[a, j]) @ omega @ (x[b, i] - x[b, j]) for a, b in sides]) / sensors
    return out


@pytest.mark.parametrize("metric", movies.METRICS)
@pytest.mark.parametrize(("n", "sensors", "times"), [(2, 3, 1), (3, 4, 8), (9, 30, 9), (25, 5, 17), (49, 13, 3)])
@pytest.mark.parametrize("layout", ["float64", "float32", "int16", "fortran", "reversed", "windows"])
def test_any_shape_and_layout_by_definition(metric, n, sensors, times, layout):
    rng = np.random.default_rng(n * sensors + times)
    splits = 3 if metric in movies.CROSS_VALIDATED else 1
    patterns = rng.normal(size=(splits, n, sensors, times)) * 50 + 3
    dtype = layout if layout in ("float32", "int16") else "float64"
    patterns = np.round(patterns).astype(dtype) if dtype == "int16" else patterns.astype(dtype)
    patterns = np.asfortranarray(patterns) if layout == "fortran" else patterns
    patterns = patterns[:, ::-1, :, ::-1] if layout == "reversed" else patterns
    root = rng.normal(size=(sensors, sensors))
    precision = root @ root.T + np.eye(sensors) if metric in ("mahalanobis", "crossnobis") else None
    expected = slow_movie(patterns.astype(np.float64), metric, precision)
    windows = None
    if layout == "windows":
        windows = [(0, times // 2), (times - 1, times - 1)]
        expected = np.array([expected[: times // 2 + 1].mean(axis=0), expected[-1]])
    given = patterns if splits > 1 else patterns[0]
    got = timecourse.rdm_movie(given, metric, times=np.arange(times), windows=windows, noise=precision, threads=2)
    if metric in ("correlation", "split-half"):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 6, 10, 12), (0, 3, 4, 7), (1, 2, 0, 8)])
def test_what_is_not_finite_is_found_in_its_place(dtype, place):
    for bad in (np.nan, np.inf):
        patterns = RUNS[:2].astype(dtype)
        patterns[place] = bad
        words = f"{bad} at split {place[0]}, stimulus {place[1]}, sensor {place[2]}, time point {place[3]}"
        with pytest.raises(ValueError, match=words):
            timecourse.rdm_movie(patterns, "crossnobis")


def test_split_half_by_definition():
    movie = timecourse.rdm_movie(RUNS, "split-half")
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    expected = [
        [1 - np.mean([pearson(RUNS[a, i, :, t], RUNS[b, j, :, t]) for a, b in pairs]) for i, j in zip(FIRST, SECOND)]
        for t in range(13)
    ]
    np.testing.assert_allclose(movie, expected, rtol=0, atol=1e-12)


def test_noise_has_no_bias_across_splits():
    """Noise alone, shared by the stimuli of a split as slow drifts are: only cross-validated measures see none."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 10, 40, 300)) + rng.normal(size=(2, 1, 40, 300))
    for metric, empty in (("crossnobis", 0.0), ("split-half", 1.0)):
        values = timecourse.rdm_movie(noise, metric).mean("pair").values
        assert abs(values.mean() - empty) < 4 * values.std() / np.sqrt(300)
    assert timecourse.rdm_movie(noise.mean(axis=0), "euclidean").mean() > 0.5
    assert timecourse.rdm_movie(noise.mean(axis=0)).mean() < 0.8


@pytest.mark.parametrize("metric", ["correlation", "euclidean", "mahalanobis"])
def test_large_means(metric):
    noise = PRECISION if metric == "mahalanobis" else None
    np.testing.assert_allclose(
        timecourse.rdm_movie(PATTERNS + 1e6, metric, noise=noise),
        timecourse.rdm_movie(PATTERNS, metric, noise=noise),
        rtol=1e-7,
        atol=1e-8,
    )


def test_femtotesla_and_single_precision():
    np.testing.assert_allclose(timecourse.rdm_movie(PATTERNS * 1e-15), timecourse.rdm_movie(PATTERNS), atol=1e-10)
    small = PATTERNS.astype(np.float32)
    np.testing.assert_array_equal(timecourse.rdm_movie(small), timecourse.rdm_movie(small.astype(np.float64)))


def test_a_singular_precision_is_a_projection():
    precision = np.diag([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    expected = timecourse.rdm_movie(PATTERNS[:, :3], "euclidean") * 3 / 11
    np.testing.assert_allclose(timecourse.rdm_movie(PATTERNS, "mahalanobis", noise=precision), expected, atol=1e-12)


def test_a_constant_pattern_has_no_direction():
    patterns = PATTERNS.copy()
    patterns[2, :, 5] = 4.2
    movie = timecourse.rdm_movie(patterns, times=TIMES, smoothing=0.011)
    undefined = np.isnan(movie.values)
    np.testing.assert_array_equal(undefined.any(axis=1), np.isin(np.arange(13), (4, 5, 6)))
    np.testing.assert_array_equal(undefined[5], (FIRST == 2) | (SECOND == 2))


@pytest.mark.parametrize("metric", movies.METRICS)
def test_same_bits_for_any_number_of_threads(metric, monkeypatch):
    monkeypatch.setattr(movies, "BLOCK", 1)
    data = RUNS if metric in movies.CROSS_VALIDATED else PATTERNS
    for options in ({}, {"smoothing": 0.02, "windows": [(0.15, 0.18), (0.17, 0.2)]}):
        one = timecourse.rdm_movie(data, metric, times=TIMES, threads=1, **options)
        three = timecourse.rdm_movie(data, metric, times=TIMES, threads=3, **options)
        np.testing.assert_array_equal(one, three)
    whole = timecourse.rdm_movie(data, metric)
    monkeypatch.setattr(movies, "BLOCK", 1 << 30)
    np.testing.assert_allclose(timecourse.rdm_movie(data, metric), whole, rtol=0, atol=1e-12)


# Time


def test_windows_are_closed_and_average_matrices():
    movie = timecourse.rdm_movie(PATTERNS, times=TIMES).values
    got = timecourse.rdm_movie(PATTERNS, times=TIMES, windows=[(0.175, 0.185), (0.15, 0.15)])
    np.testing.assert_allclose(got, [movie[5:8].mean(axis=0), movie[0]], rtol=0, atol=1e-14)
    np.testing.assert_allclose(got["time"], [0.18, 0.15])
    np.testing.assert_array_equal(got["window_stop"], [0.185, 0.15])


def test_windows_of_times_in_single_precision():
    single = TIMES.astype(np.float32)
    for i, start in enumerate(TIMES):
        for stop in TIMES[i:]:
            asked = [(float(start), float(stop))]
            got = timecourse.rdm_movie(PATTERNS, times=single, windows=asked)
            np.testing.assert_array_equal(got, timecourse.rdm_movie(PATTERNS, times=TIMES, windows=asked))


def test_smoothing_is_a_centred_boxcar():
    movie = timecourse.rdm_movie(PATTERNS, times=TIMES).values
    got = timecourse.rdm_movie(PATTERNS, times=TIMES, smoothing=0.02).values
    expected = [movie[max(0, t - 2) : t + 3].mean(axis=0) for t in range(13)]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)
    both = timecourse.rdm_movie(PATTERNS, times=TIMES, smoothing=0.02, windows=[(0.175, 0.185)]).values
    np.testing.assert_allclose(both[0], np.mean(expected[5:8], axis=0), rtol=0, atol=1e-14)


# What may come in


def test_dataarray_in_any_order():
    array = xarray.DataArray(
        PATTERNS, dims=("stimulus", "channel", "time"), coords={"stimulus": list(NAMES), "time": TIMES}
    )
    expected = timecourse.rdm_movie(PATTERNS, times=TIMES, stimuli=NAMES)
    xarray.testing.assert_identical(timecourse.rdm_movie(array.transpose("time", "stimulus", "channel")), expected)
    assert expected.attrs["stimuli"] == list(NAMES)
    some = timecourse.rdm_movie(array, stimuli=["a", "c", "g"])
    np.testing.assert_allclose(some, timecourse.rdm_movie(PATTERNS[[6, 4, 0]]), rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match=r"got subject, stimulus, channel, time: choose one entry"):
        timecourse.rdm_movie(array.expand_dims("subject"))


class Evoked(SimpleNamespace):
    def get_data(self):
        return self.values


class Epochs(SimpleNamespace):
    def get_data(self):
        return self.values

    def get_channel_types(self):
        return self.types


def test_evoked():
    evoked = {name: Evoked(values=PATTERNS[i], times=TIMES, comment=name) for i, name in enumerate(NAMES)}
    expected = timecourse.rdm_movie(PATTERNS, times=TIMES, stimuli=NAMES)
    xarray.testing.assert_identical(timecourse.rdm_movie(evoked), expected)
    xarray.testing.assert_identical(timecourse.rdm_movie(list(evoked.values())), expected)
    ordered = timecourse.rdm_movie(evoked, stimuli=sorted(NAMES))
    np.testing.assert_allclose(ordered, timecourse.rdm_movie(PATTERNS[::-1]), rtol=0, atol=1e-14)
    evoked["c"].times = TIMES + 0.001
    with pytest.raises(ValueError, match=r"same times, got others for stimulus 'c'"):
        timecourse.rdm_movie(evoked)


def test_epochs_are_averaged_by_condition_and_split():
    codes = np.tile(np.arange(7), 4) + 10
    events = np.column_stack([np.arange(28), np.zeros(28, int), codes])
    epochs = Epochs(
        values=RUNS.reshape(28, 11, 13),
        events=events,
        event_id={name: 10 + i for i, name in enumerate(NAMES)},
        times=TIMES,
        types=["mag"] * 11,
    )
    movie = timecourse.rdm_movie(epochs)
    np.testing.assert_allclose(movie, timecourse.rdm_movie(RUNS.mean(axis=0)), rtol=0, atol=1e-13)
    assert movie.attrs["stimuli"] == list(NAMES)
    expected = timecourse.rdm_movie(RUNS, "crossnobis").values
    for splits in (4, np.repeat(["w", "x", "y", "z"], 7)):
        got = timecourse.rdm_movie(epochs, "crossnobis", splits=splits)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match=r"got none of 'g' in split 4"):
        timecourse.rdm_movie(epochs, "crossnobis", splits=5)
    epochs.types = ["mag"] * 10 + ["eog"]
    with pytest.raises(ValueError, match=r"got channels of type 'eog'"):
        timecourse.rdm_movie(epochs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "cosine"}, "metric must be one of 'correlation'"),
        ({"metric": "crossnobis"}, "at least 2 splits for metric 'crossnobis', got 1"),
        ({"windows": [(0.1, 0.2)]}, "times must be given in seconds"),
        ({"times": TIMES, "windows": [(0.16, 0.17), (0.5, 0.6)]}, r"got none in \(0.5, 0.6\) s"),
        ({"times": TIMES, "windows": [(0.17, 0.16)]}, r"pairs \(start, stop\)"),
        ({"times": TIMES, "windows": []}, "at least one window"),
        ({"times": TIMES, "smoothing": 0}, "smoothing must be a positive width"),
        ({"times": TIMES, "smoothing": 0.009}, "smoothing must reach a neighbouring time point, .*, got 0.009"),
        ({"times": 1000 * TIMES, "smoothing": 0.05}, "times must be in seconds, got steps of 5: divide milliseconds"),
        ({"times": 150 * TIMES, "smoothing": 0.05}, "smoothing must reach a neighbouring time point"),
        ({"times": TIMES, "smoothing": 20}, r"at most half of the recording, 0.03 s, got 20 s: .*, as in '20ms'"),
        ({"times": TIMES, "smoothing": 0.034}, r"smoothing must be at most half of the recording, 0.03 s"),
        ({"times": TIMES, "smoothing": "20 m"}, "smoothing must be in seconds, or have a unit, as in '20ms'"),
        ({"times": TIMES, "windows": ["150-160ms", "soon"]}, "windows must be START-STOP, .* 150-300ms, got 'soon'"),
        ({"times": TIMES, "windows": "160-150ms"}, "the earlier first, got '160-150ms'"),
        ({"times": TIMES, "windows": "150-160"}, r"got none in \(150.0, 160.0\) s: .*, as in '150-300ms'"),
        ({"times": TIMES, "windows": [(0.15, 0.16, 0.17)]}, r"windows must be pairs \(start, stop\)"),
        ({"picks": "mag"}, "picks must be left out unless patterns are MNE objects, got 'mag' for ndarray"),
        ({"times": TIMES[::-1]}, "finite and increasing"),
        ({"times": TIMES[1:]}, r"shape \(13,\)"),
        ({"stimuli": ["a"]}, "name each of 7 stimuli, got 1"),
        ({"stimuli": ["a"] * 7}, "distinct"),
        ({"splits": 2}, "unless patterns are epochs, got ndarray"),
        ({"noise": PRECISION}, "noise must be left out"),
        ({"metric": "mahalanobis", "noise": PRECISION[1:]}, r"shape \(11, 11\)"),
        ({"metric": "mahalanobis", "noise": -PRECISION}, "positive semidefinite"),
        ({"metric": "mahalanobis", "noise": ROOT}, "symmetric"),
        ({"threads": 0}, "threads must be"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        timecourse.rdm_movie(PATTERNS, **options)


@pytest.mark.parametrize(
    ("windows", "seconds"),
    [
        ("150-160ms, 0.17-.18", [(0.15, 0.16), (0.17, 0.18)]),
        (["150ms-160ms", "150-160 ms", "1.5e-1 - 0.16", "150ms-0.16s"], [(0.15, 0.16)] * 4),
        ([("150ms", "160 ms"), ("0.15s", 0.16), np.array([0.15, 0.16])], [(0.15, 0.16)] * 3),
        ("-10-0ms,-0.1--0.05,-100–-50ms", [(-0.01, 0), (-0.1, -0.05), (-0.1, -0.05)]),
        ("150-160ms,150ms-160", [(0.15, 0.16)] * 2),
    ],
)
def test_units_that_are_written(windows, seconds):
    assert movies.read_windows(windows) == seconds


def test_smoothing_and_windows_with_units_are_those_in_seconds():
    expected = timecourse.rdm_movie(PATTERNS, times=TIMES, smoothing=0.02, windows=[(0.15, 0.17)])
    for width in ("20ms", "20 ms", "0.02s", "0.02", ".02 s", np.float32(0.02)):
        got = timecourse.rdm_movie(PATTERNS, times=TIMES, smoothing=width, windows="150-170ms")
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    with pytest.raises(TypeError, match="smoothing must be a number of seconds"):
        timecourse.rdm_movie(PATTERNS, times=TIMES, smoothing=True)


def test_masked_values_are_refused_and_missing_in_movies():
    masked = np.ma.array(PATTERNS)
    np.testing.assert_array_equal(timecourse.rdm_movie(masked), timecourse.rdm_movie(PATTERNS))
    masked[1, 2, 3] = masked[2, 2, 3] = np.ma.masked
    said = r"patterns must hold no masked values, got 2: .* fill them with \.filled\(\)"
    for given in (masked, list(masked), tuple(list(one) for one in masked), {k: v for k, v in enumerate(masked)}):
        with pytest.raises(ValueError, match=said if not isinstance(given, dict) else "no masked values, got 1"):
            timecourse.rdm_movie(given)
    movie = np.ma.array(timecourse.rdm_movie(PATTERNS).values[:2])
    movie[0, 4] = movie[1, 7] = np.ma.masked
    X = np.random.default_rng(0).normal(size=(len(PATTERNS), 5))
    how = {"cv": 2, "progress": False, "kind": "dissimilarity"}
    scores = timecourse.prune(X, np.ma.stack([movie, movie]), **how)
    missing = movie.filled(np.nan)
    assert np.isnan(missing).sum() == 2
    xarray.testing.assert_identical(timecourse.prune(X, np.stack([missing] * 2), **how), scores)
    xarray.testing.assert_identical(timecourse.prune(X, [movie, movie], **how), scores)


def test_sensors_of_mne_objects_follow_the_rules_of_files():
    mne = pytest.importorskip("mne")
    rng = np.random.default_rng(0)
    info = mne.create_info([f"c{c}" for c in range(9)], 100.0, ["mag"] * 3 + ["eeg"] * 4 + ["eog", "stim"])
    data = rng.normal(size=(6, 9, 5)) * np.r_[np.full(3, 1e-13), np.full(4, 1e-6), 1, 1][:, None]
    events = np.column_stack([np.arange(6), np.zeros(6, int), np.repeat([1, 2, 3], 2)])
    names = {"a": 1, "b": 2, "c": 3}
    epochs = mne.EpochsArray(data, info, events, event_id=names, verbose="error")
    epochs.info["bads"] = ["c4"]
    means = data.reshape(3, 2, 9, 5).mean(axis=1)
    evoked = [epochs[name].average(picks="all") for name in names]
    for one, name in zip(evoked, names, strict=True):
        one.comment = name
    good = {"mag": [0, 1, 2], "eeg": [3, 5, 6], ("c3", "c0"): [3, 0]}
    for picks, rows in good.items():
        asked = list(picks) if isinstance(picks, tuple) else picks
        expected = timecourse.rdm_movie(means[:, sorted(rows)], times=epochs.times)
        for given in (epochs, evoked, dict(zip(names, evoked, strict=True))):
            np.testing.assert_allclose(timecourse.rdm_movie(given, picks=asked), expected, rtol=1e-9)
        movie = timecourse.rdm_movies({"s": epochs}, picks=asked)["s"]
        np.testing.assert_allclose(movie, expected, rtol=1e-9)
    for given in (epochs, evoked):
        with pytest.raises(ValueError, match="units differ: picks='eeg' or picks='mag', got none"):
            timecourse.rdm_movie(given)
        with pytest.raises(ValueError, match="picks must name sensors of the patterns, got 'nirs'"):
            timecourse.rdm_movie(given, picks="nirs")
    alone = epochs.copy().pick(["mag", "eog"])
    np.testing.assert_allclose(timecourse.rdm_movie(alone), timecourse.rdm_movie(means[:, :3]), rtol=1e-9)
    with pytest.raises(ValueError, match="patterns must hold sensors alone, got channels of type 'eog'"):
        timecourse.rdm_movie(epochs, picks=["c0", "c7"])
    with pytest.raises(ValueError, match="patterns must hold sensors, got channels of type 'eog' in the patterns"):
        timecourse.rdm_movie(epochs.copy().pick("eog"))
    assert epochs.info["bads"] == ["c4"]  # nothing is changed


def test_values_that_are_refused():
    broken = PATTERNS.copy()
    broken[3, 4, 12] = np.nan
    with pytest.raises(ValueError, match="got nan at stimulus 3, sensor 4, time point 12"):
        timecourse.rdm_movie(broken)
    broken[3, 4, 12], broken[5, 4, 12] = np.inf, -np.inf
    with pytest.raises(ValueError, match="got inf at stimulus 3, sensor 4, time point 12"):
        timecourse.rdm_movie(broken)
    with pytest.raises(ValueError, match="got 4: average them first"):
        timecourse.rdm_movie(RUNS)
    with pytest.raises(ValueError, match="shape"):
        timecourse.rdm_movie(PATTERNS[0])
    with pytest.raises(TypeError, match="complex128"):
        timecourse.rdm_movie(PATTERNS + 0j)


# The planted recording


def test_the_planted_features_align_inside_the_window_and_only_there():
    patterns, truth = timecourse.simulate(40, subjects=6, noise=1.0, seed=3)
    movies = [timecourse.rdm_movie(patterns.sel(subject=s), threads=1) for s in patterns["subject"]]
    curves = np.array(
        [
            sc.alignment(truth.X, m, "correlation", subset=truth.features, kind="dissimilarity", threads=1)
            for m in movies
        ]
    )
    others = np.setdiff1d(np.arange(truth.X.shape[1]), truth.features)
    rest = np.array(
        [sc.alignment(truth.X, m, "correlation", subset=others, kind="dissimilarity", threads=1) for m in movies]
    )
    t = curves.mean(axis=0) / (curves.std(axis=0, ddof=1) / np.sqrt(6))
    peak = (truth.times >= 0.24) & (truth.times <= 0.31)
    assert curves.mean(axis=0)[peak].min() > 0.3
    assert t[peak].min() > 10
    outside = curves.mean(axis=0)[~truth.inside]
    assert np.abs(outside).max() < 0.1
    assert np.abs(rest.mean(axis=0)).max() < 0.15
    assert truth.times[curves.mean(axis=0).argmax()] == pytest.approx(0.275, abs=0.03)


def test_simulation_is_the_same_by_seed():
    one, truth = timecourse.simulate(8, sensors=16, subjects=2, seed=5)
    two, _ = timecourse.simulate(8, sensors=16, subjects=2, seed=5)
    other, _ = timecourse.simulate(8, sensors=16, subjects=2, seed=6)
    xarray.testing.assert_identical(one, two)
    assert not np.allclose(one, other)
    assert one.dims == ("subject", "stimulus", "sensor", "time")
    assert one.attrs["synthetic"] == "true"
    np.testing.assert_array_equal(truth.inside, (truth.times > 0.2) & (truth.times < 0.35))


def test_simulated_noise_is_correlated_in_time_and_space():
    patterns, truth = timecourse.simulate(200, sensors=20, seed=0)
    before = patterns.values[0][..., truth.times < 0.2]
    assert before.std() == pytest.approx(1, abs=0.15)
    assert pearson(before[..., :-1].ravel(), before[..., 1:].ravel()) == pytest.approx(np.exp(-0.5), abs=0.05)
    between = np.corrcoef(before[..., 0].T)[np.triu_indices(20, 1)]
    assert np.abs(between).mean() > 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"X": np.eye(9)}, "X must have 8 stimuli"),
        ({"window": (2.0, 3.0)}, "window must have a time point inside"),
        ({"noise": -1}, "noise must be finite"),
        ({"subjects": 0}, "subjects must be"),
        ({"X": np.ones((8, 3)), "features": [1]}, "got a constant one at 1"),
    ],
)
def test_simulation_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        timecourse.simulate(8, **options)
