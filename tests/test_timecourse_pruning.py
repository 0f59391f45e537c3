"""Pruning along time courses against cross_validate; a planted course is found; a killed run ends as if it was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import xarray

import secateur as sc
from secateur import timecourse
from secateur.timecourse import pruning

SCORES = ("full_train", "full_test", "pruned_train", "pruned_test", "n_kept", "undefined_pairs")
TIMES = np.round(0.05 * np.arange(7), 2)
PATTERNS, TRUTH = timecourse.simulate(18, subjects=2, sensors=20, times=TIMES, window=(0.05, 0.25), seed=1)
MOVIES = {f"s{s}": timecourse.rdm_movie(PATTERNS.sel(subject=s), threads=1) for s in (0, 1)}
X = xarray.DataArray(TRUTH.X, dims=("stimulus", "feature"), coords={"stimulus": PATTERNS["stimulus"].values})
ASKED = {"cv": 3, "seed": 4, "generalise": True, "chunk": 2}


def stacked(movies=MOVIES):
    whole = xarray.concat([movie.expand_dims(subject=[name]) for name, movie in movies.items()], "subject")
    return whole.transpose("subject", "time", "pair")


def in_units(movie, units):
    return movie.assign_coords(time=("time", movie["time"].values, {"units": units}))


def matrices(packed):
    """(..., pairs) -> (..., 18, 18)"""
    rows, columns = np.triu_indices(18, 1)
    square = np.zeros((*packed.shape[:-1], 18, 18))
    square[..., rows, columns] = square[..., columns, rows] = packed
    return square


@pytest.fixture(scope="module")
def expected():
    return timecourse.prune(X, MOVIES, **ASKED)


@pytest.fixture
def pruned_chunks(monkeypatch):
    """The names of the time points of every chunk that is pruned from now on."""
    seen = []
    original = pruning.prune_chunk

    def noted(study, names, *rest):
        seen.append(names)
        return original(study, names, *rest)

    monkeypatch.setattr(pruning, "prune_chunk", noted)
    return seen


# Values


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
@pytest.mark.parametrize("missing", [False, True])
def test_equals_cross_validate(comparator, missing):
    movies = {name: movie.copy() for name, movie in MOVIES.items()}
    if missing:
        movies["s0"][:, [3, 40]] = np.nan
        movies["s1"][2:4, 7:30] = np.nan
    pruner = sc.Pruner(metric="correlation", comparator=comparator)
    course = timecourse.prune(X, movies, pruner, cv=3, repeats=2, seed=4, chunk=3)
    for name, movie in movies.items():
        whole = sc.cross_validate(X, movie, pruner, cv=3, repeats=2, seed=4)
        kept = whole.kept.values.mean(axis=1).astype(np.float32)
        np.testing.assert_array_equal(course.selection.sel(subject=name), kept)
        for t, one in [(slice(None), whole), (5, sc.cross_validate(X, movie[5], pruner, cv=3, repeats=2, seed=4))]:
            for score in SCORES:
                theirs = one[score].values if t == slice(None) else one[score].values[0]
                np.testing.assert_array_equal(course[score].sel(subject=name).values[t], theirs, err_msg=score)
    np.testing.assert_array_equal(course["test"], whole["test"])
    np.testing.assert_array_equal(course["repeat"], whole["repeat"])
    assert {name: course.attrs[name] for name in whole.attrs} == whole.attrs


def test_a_search_step_by_step_equals_cross_validate():
    pruner = sc.Pruner(metric="correlation", search="forward", max_features=5)
    course = timecourse.prune(X, {"s1": MOVIES["s1"][:3]}, pruner, cv=3)
    for t in range(3):
        one = sc.cross_validate(X, MOVIES["s1"][t], pruner, cv=3)
        for score in SCORES:
            np.testing.assert_array_equal(course[score][0, t], one[score][0], err_msg=score)
    assert course.n_kept.max() <= 5


def test_generalisation_by_definition(expected):
    folds = [np.flatnonzero(mask) for mask in expected["test"].values]
    for s, movie in enumerate(MOVIES.values()):
        kept = sc.cross_validate(X, movie, cv=3, seed=4).kept.values
        square = matrices(movie.values)
        for f, held in enumerate(folds):
            goal = np.stack([matrix[np.ix_(held, held)][np.triu_indices(len(held), 1)] for matrix in square])
            full = sc.alignment(TRUTH.X[held], goal, kind="dissimilarity")
            for t in range(7):
                scores = sc.alignment(TRUTH.X[held], goal, subset=kept[t, f], kind="dissimilarity")
                np.testing.assert_allclose(expected.generalisation_pruned[s, f, t], scores, rtol=0, atol=1e-13)
                np.testing.assert_allclose(expected.generalisation_full[s, f, t], full, rtol=0, atol=1e-13)
            diagonal = np.diagonal(expected.generalisation_pruned[s, f])
            np.testing.assert_array_equal(diagonal, expected.pruned_test[s, :, f])


def test_the_same_bits_for_any_chunk_and_any_number_of_threads(expected):
    asked = {name: value for name, value in ASKED.items() if name != "chunk"}
    for chunk in (1, 3, 7, None):
        course = timecourse.prune(X, MOVIES, **asked, chunk=chunk, threads=2)
        xarray.testing.assert_identical(course, expected)


def test_a_planted_course_is_found_where_it_was_planted():
    """Held-out alignment rises inside the window alone, through the planted features."""
    times, window = np.round(0.02 * np.arange(20), 2), (0.12, 0.28)
    patterns, truth = timecourse.simulate(60, subjects=6, sensors=40, times=times, window=window, noise=0.7, seed=3)
    movies = {s: timecourse.rdm_movie(patterns[s], threads=1) for s in range(6)}
    course = timecourse.prune(truth.X, movies, sc.Pruner(metric="correlation"), generalise=True)
    mean = course.pruned_test.mean("fold")
    t = (mean.mean("subject") / (mean.std("subject", ddof=1) / np.sqrt(6))).values
    peak = (times >= 0.16) & (times <= 0.24)
    assert t[peak].min() > 10
    assert np.abs(mean.mean("subject").values[~truth.inside]).max() < 0.1
    assert (course.pruned_test - course.full_test).mean(["subject", "fold"]).values[peak].min() > 0.1
    planted = np.isin(course["feature"], truth.features)
    often = course.selection.mean("subject").values
    assert often[peak][:, planted].mean() > 0.9
    assert often[peak][:, ~planted].mean() < 0.1
    outside = often[~truth.inside]
    assert abs(outside[:, planted].mean() - outside[:, ~planted].mean()) < 0.1
    across = course.generalisation_pruned.mean(["subject", "fold"]).values
    assert across[np.ix_(peak, peak)].min() > 0.3
    assert np.abs(across[np.ix_(peak, ~truth.inside)]).max() < 0.15


def test_windows_are_carried():
    windows = ((0.1, 0.15), (0.2, 0.3))
    movies = [timecourse.rdm_movie(PATTERNS[s], windows=windows, threads=1) for s in (0, 1)]
    course = timecourse.prune(X, movies, cv=3)
    np.testing.assert_array_equal(course["window_start"], [0.1, 0.2])
    np.testing.assert_array_equal(course["window_stop"], [0.15, 0.3])
    assert course["time"].attrs["units"] == "s"
    assert course["subject"].values.tolist() == [0, 1]


# What may come in


def forms():
    whole = stacked()
    square = matrices(whole.values)
    axes = {"subject": ["s0", "s1"], "time": TIMES, "stimulus": X["stimulus"].values, "stimulus2": X["stimulus"].values}
    named = {"kind": "dissimilarity", "subjects": ["s0", "s1"], "times": TIMES}
    return {
        "stacked": (whole, {}),
        "turned": (whole.transpose("pair", "time", "subject"), {}),
        "chunked": (whole.chunk(time=3), {}),
        "numpy": (whole.values, named),
        "list": ([movie.values for movie in MOVIES.values()], named),
        "square": (square, named),
        "named": (xarray.DataArray(square, axes), {"kind": "dissimilarity"}),
    }


@pytest.mark.parametrize("form", list(forms()))
def test_forms(form, expected):
    movies, said = forms()[form]
    xarray.testing.assert_identical(timecourse.prune(X, movies, **said, **ASKED), expected)


def test_one_subject_alone(expected):
    course = timecourse.prune(X, MOVIES["s1"], **ASKED)
    assert course.sizes["subject"] == 1
    np.testing.assert_array_equal(course.pruned_test[0], expected.pruned_test[1])


class Counted:
    """An array that notes how much is read of it."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim
        self.read = []

    def __getitem__(self, key):
        self.read.append(self.values[key].size)
        return self.values[key]


@pytest.mark.parametrize("generalise", [False, True])
def test_arrays_of_dask_are_read_by_chunks(generalise, expected):
    import dask.array

    counted = Counted(stacked().values)
    lazy = xarray.DataArray(
        dask.array.from_array(counted, chunks=(1, 2, 153), asarray=False, meta=np.empty((0, 0, 0))),
        dims=("subject", "time", "pair"),
        coords=stacked().coords,
        attrs=stacked().attrs,
    )
    asked = ASKED | {"generalise": generalise}
    course = timecourse.prune(X, lazy, **asked)
    np.testing.assert_array_equal(course.pruned_test, expected.pruned_test)
    assert max(counted.read) == 2 * 153
    # For the digest, to prune, and to be scored; and one block from which the time that it takes is foreseen.
    assert sum(counted.read) == stacked().size * (2 + 4 * generalise) + 2 * 153


@pytest.mark.parametrize(
    ("movies", "options", "message"),
    [
        ([], {}, "at least one subject"),
        (np.zeros((2, 7, 152)), {}, "must have 153 pairs"),
        (np.zeros(153), {}, r"shape \(\[subjects,\] times, 153\), got \(153,\)"),
        (stacked().rename(time="epoch"), {}, "got subject, epoch, pair"),
        (MOVIES, {"subjects": ["a"]}, "name each of 2 subjects, got 1"),
        (MOVIES, {"subjects": ["a", "a"]}, "distinct"),
        (MOVIES, {"times": TIMES[1:]}, r"shape \(7,\)"),
        (MOVIES, {"chunk": 0}, "chunk must be an integer of at least 1 or None, got 0"),
        ([MOVIES["s0"], MOVIES["s1"][1:]], {}, "same times for every subject, got others for subject 1"),
        ([MOVIES["s0"], MOVIES["s1"].assign_attrs(kind="similarity")], {}, "same kind for every subject"),
        ([MOVIES["s0"], MOVIES["s1"].assign_attrs(stimuli=None)], {}, "same stimuli for every subject"),
        (MOVIES["s0"].assign_attrs(stimuli=list("abcdefghijklmnopqr")), {}, "got 'a' where X has 'stimulus 0'"),
        (MOVIES["s0"].assign_attrs(kind="distance"), {}, "attribute kind must be"),
        (MOVIES["s0"].where(MOVIES["s0"]["time"] != 0.3, np.inf), {}, "got inf at 0.3 s of subject 0"),
        (MOVIES["s0"].where(MOVIES["s0"]["time"] != 0.3, 1.0), {}, r"must vary over the pairs, .*0.3 s of subject 0"),
        (MOVIES["s0"].where(MOVIES["s0"]["time"] != 0.3), {}, r"hold a pair that is not NaN, .*0.3 s of subject 0"),
        (MOVIES, {"times": TIMES[::-1]}, "times must be increasing"),
        (MOVIES, {"times": np.round(TIMES)}, "times must be increasing"),
    ],
)
def test_refusals(movies, options, message, pruned_chunks):
    with pytest.raises(ValueError, match=message):
        timecourse.prune(X, movies, cv=3, **{"chunk": 1, **options})
    assert not pruned_chunks  # found before anything was computed


def test_types_that_are_refused():
    with pytest.raises(TypeError, match="complex128"):
        timecourse.prune(X, stacked().astype(complex), cv=3)
    with pytest.raises(TypeError, match="got str"):
        timecourse.prune(X, MOVIES, cv=3, client="auto")


# The store


def test_a_finished_store_is_the_result(tmp_path, expected, pruned_chunks):
    place = tmp_path / "made" / "course.zarr"
    course = timecourse.prune(X, MOVIES, **ASKED, store=place)
    xarray.testing.assert_identical(course, expected)
    for consolidated in (True, False):
        xarray.testing.assert_identical(xarray.open_zarr(place, consolidated=consolidated).load(), expected)
    xarray.testing.assert_identical(timecourse.open_store(place).load(), expected)
    assert len(pruned_chunks) == 8
    xarray.testing.assert_identical(timecourse.prune(X, MOVIES, **ASKED, store=place), expected)
    assert len(pruned_chunks) == 8  # there was nothing left to do
    assert sorted(path.name for path in tmp_path.glob("made/*")) == ["course.zarr"]


CHILD = """
import os, signal, sys
import numpy as np
import zarr
import test_timecourse_pruning as here
from secateur import timecourse
from secateur.timecourse import store

moment, count, place = sys.argv[1], int(sys.argv[2]), sys.argv[3]
owner, name = {
    "value": (zarr.Array, "__setitem__"), "mark": (store, "write_json"), "begin": (store.Path, "rename"),
    "attributes": (type(zarr.open_group(store={}).attrs), "put"),
}[moment]
original = getattr(owner, name)
left = [count]

def until(*arguments, **named):
    left[0] -= moment == "begin" or os.path.isdir(place)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **named)

setattr(owner, name, until)
timecourse.prune(here.X, here.MOVIES, **here.ASKED, store=place)
"""


def killed(tmp_path, moment, count):
    """A run that kills itself before it does something for the nth time, in the store once there is one."""
    place = tmp_path / "course.zarr"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, moment, str(count), str(place)],
        cwd=os.path.dirname(__file__), capture_output=True, text=True,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    return place


@pytest.mark.parametrize(
    ("moment", "count", "done"),
    [("begin", 1, None), ("value", 1, 0), ("value", 5, 0), ("value", 31, 3), ("mark", 4, 3), ("mark", 8, 7),
     ("attributes", 1, 8)],
)  # fmt: skip
def test_a_killed_run_goes_on_where_it_was(moment, count, done, tmp_path, expected, pruned_chunks):
    place = killed(tmp_path, moment, count)
    if done is None:
        with pytest.raises(FileNotFoundError, match="must be a store"):
            timecourse.open_store(place)
    else:
        with pytest.warns(UserWarning, match=f"unfinished, {done} of 8 chunks are done"):
            course = timecourse.open_store(place).load()
        assert "unfinished" in xarray.open_zarr(place).attrs
        assert int((~np.isnan(course.pruned_test)).all("fold").sum()) >= min(14, 2 * done - 1)
    xarray.testing.assert_identical(timecourse.prune(X, MOVIES, **ASKED, store=place), expected)
    assert len(pruned_chunks) == 8 - (done or 0)
    xarray.testing.assert_identical(xarray.open_zarr(place).load(), expected)


@pytest.mark.parametrize("length", [0, 1, 20, None])
def test_what_is_torn_is_found_and_redone(length, tmp_path, expected, pruned_chunks):
    place = tmp_path / "course.zarr"
    timecourse.prune(X, MOVIES, **ASKED, store=place)
    marks = place / "test" / ".secateur" / "done"
    torn = {0: place / "pruned_test" / "0.0.0", 3: place / "selection" / "0.3.0", 6: marks / "6.json"}
    for path in torn.values():
        path.write_bytes(path.read_bytes()[:length]) if length is not None else path.unlink()
    (place / "n_kept" / "0.0.0.1f.partial").write_bytes(b"torn")
    assert len(pruned_chunks) == 8
    xarray.testing.assert_identical(timecourse.prune(X, MOVIES, **ASKED, store=place), expected)
    assert len(pruned_chunks) == 8 + len(torn)
    assert not list(place.glob("**/*.partial"))
    xarray.testing.assert_identical(xarray.open_zarr(place).load(), expected)


def test_other_values_under_a_mark_are_redone(tmp_path, expected):
    place = tmp_path / "course.zarr"
    timecourse.prune(X, MOVIES, **ASKED, store=place)
    other = (place / "full_test" / "0.1.0").read_bytes()
    (place / "full_test" / "1.1.0").write_bytes(other)
    xarray.testing.assert_identical(timecourse.prune(X, MOVIES, **ASKED, store=place), expected)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seed": 5}, "seed"),
        ({"cv": 4}, "cv"),
        ({"groups": np.arange(18) // 2}, "folds"),
        ({"chunk": 3}, "chunk"),
        ({"generalise": False}, "generalise"),
        ({"pruner": sc.Pruner("correlation")}, "metric"),
        ({"pruner": sc.Pruner(feature_groups=np.arange(40) // 2)}, "feature_groups"),
        ({"pruner": sc.Pruner(precision="single")}, "precision"),
        ({"subjects": ["a", "b"]}, "subjects"),
        ({"times": TIMES + 0.1}, "times"),
        ({"movies": {name: in_units(movie, "ms") for name, movie in MOVIES.items()}}, "times"),
        ({"X": X.copy(data=X.values + 1e-13)}, "X"),
        ({"movies": stacked().copy(data=stacked().values + 1e-13)}, "movies"),
        ({"movies": stacked().copy(data=stacked().values + 1e-13).chunk(time=2)}, "movies"),
        ({"movies": {"s0": MOVIES["s0"]}}, "subjects"),
        ({"movies": {name: movie.assign_attrs(kind="similarity") for name, movie in MOVIES.items()}}, "kind"),
    ],
)
def test_a_store_of_another_run_is_refused(options, name, tmp_path, monkeypatch, pruned_chunks):
    place = tmp_path / "course.zarr"
    interrupt(monkeypatch, after=1)
    with pytest.raises(KeyboardInterrupt):
        timecourse.prune(X, MOVIES, **ASKED, store=place)
    before = {path: path.read_bytes() for path in place.glob("**/*") if path.is_file() and path.name != "lock"}
    asked = {"X": X, "movies": MOVIES} | ASKED | options
    with pytest.raises(ValueError, match=f"store must be of a run with the same {name}, got"):
        timecourse.prune(asked.pop("X"), asked.pop("movies"), **asked, store=place)
    assert before == {path: path.read_bytes() for path in before}


class Thirds:
    """A splitter that scikit-learn did not make: its repr is its address."""

    def split(self, X, y=None, groups=None):
        for k in range(3):
            yield np.flatnonzero(np.arange(len(X)) % 3 != k), np.arange(k, len(X), 3)


def test_a_splitter_of_one_s_own_goes_on(tmp_path, monkeypatch, pruned_chunks):
    place, splitters = tmp_path / "course.zarr", [Thirds(), Thirds()]
    assert str(splitters[0]) != str(splitters[1])
    interrupt(monkeypatch, after=1)
    with pytest.raises(KeyboardInterrupt):
        timecourse.prune(X, MOVIES, cv=splitters[0], chunk=4, store=place)
    course = timecourse.prune(X, MOVIES, cv=splitters[1], chunk=4, store=place)
    xarray.testing.assert_identical(course, timecourse.prune(X, MOVIES, cv=splitters[0], chunk=4))


def interrupt(monkeypatch, after):
    """Ctrl-C while a chunk is pruned."""
    original, left = pruning.prune_chunk, [after]

    def once(*arguments):
        left[0] -= 1
        if left[0] == -1:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(pruning, "prune_chunk", once)


def test_ctrl_c_keeps_what_is_done(tmp_path, monkeypatch, expected, pruned_chunks):
    place = tmp_path / "course.zarr"
    interrupt(monkeypatch, after=3)
    with pytest.raises(KeyboardInterrupt):
        timecourse.prune(X, MOVIES, **ASKED, store=place)
    with pytest.warns(UserWarning, match="3 of 8"):
        half = timecourse.open_store(place).load()
    np.testing.assert_array_equal(half.pruned_test[0, :6], expected.pruned_test[0, :6])
    assert np.isnan(half.pruned_test[0, 6:]).all()
    xarray.testing.assert_identical(timecourse.prune(X, MOVIES, **ASKED, store=place), expected)
    assert len(pruned_chunks) == 8
    interrupt(monkeypatch, after=2)
    with pytest.raises(KeyboardInterrupt):
        timecourse.prune(X, MOVIES, **ASKED)


def test_a_store_has_one_writer(tmp_path, monkeypatch, expected):
    place = tmp_path / "course.zarr"
    refused = []
    original = pruning.prune_chunk

    def meanwhile(*arguments):
        if not refused:
            child = [sys.executable, "-c", CHILD, "value", "1", str(place)]
            refused.append(subprocess.run(child, cwd=os.path.dirname(__file__), capture_output=True, text=True))
        return original(*arguments)

    monkeypatch.setattr(pruning, "prune_chunk", meanwhile)
    xarray.testing.assert_identical(timecourse.prune(X, MOVIES, **ASKED, store=place), expected)
    assert refused[0].returncode == 1
    assert f"is being written by process {os.getpid()}: let it end first" in refused[0].stderr


def test_what_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(FileExistsError, match="which is neither"):
            timecourse.prune(X, MOVIES, **ASKED, store=place)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# A cluster


@contextmanager
def two_workers():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


@pytest.mark.parametrize("lazy", [False, True])
def test_a_cluster_gives_the_same_bits(lazy, client, tmp_path, expected):
    movies = stacked().chunk(time=3) if lazy else MOVIES
    for store in (None, tmp_path / "course.zarr"):
        course = timecourse.prune(X, movies, **ASKED, client=client, store=store)
        xarray.testing.assert_identical(course, expected)


def test_relabellings_on_a_cluster(client):
    asked = {"cv": 3, "progress": False, "pruner": None}
    here = timecourse.permutation_test(X, MOVIES, 9, threads=1, **asked)
    xarray.testing.assert_identical(timecourse.permutation_test(X, MOVIES, 9, client=client, **asked), here)
    lazy = timecourse.permutation_test(X, stacked().chunk(time=3), 9, client=client, **asked)
    xarray.testing.assert_identical(lazy, here)


@pytest.mark.parametrize(("lazy", "workers"), [(True, 1), (False, 2)])
def test_a_lost_worker_costs_its_chunks(lazy, workers, tmp_path, monkeypatch):
    """A worker, or all of them, with the features that were sent to it, killed when two chunks are in the store."""
    movies = stacked().chunk(time=3) if lazy else MOVIES
    asked = ASKED | {"chunk": 1, "repeats": 20}
    whole = timecourse.prune(X, MOVIES, **asked)
    kept, pids = [], []
    original = timecourse.store.Store.put

    def put(self, key, made):
        original(self, key, made)
        kept.append(key)
        if len(kept) == 2:
            for pid in pids[:workers]:
                os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(timecourse.store.Store, "put", put)
    with two_workers() as client:
        pids += client.run(os.getpid).values()
        course = timecourse.prune(X, movies, **asked, client=client, store=tmp_path / "course.zarr")
    xarray.testing.assert_identical(course, whole)
    assert sorted(kept) == list(range(14))


def test_ctrl_c_leaves_no_work_on_a_cluster(client, tmp_path, monkeypatch, expected):
    def interrupted(self, key, made):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(timecourse.store.Store, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            timecourse.prune(X, MOVIES, **ASKED, client=client, store=tmp_path / "course.zarr")
    assert not [key for key, future in client.futures.items() if future.status == "pending"]
    course = timecourse.prune(X, MOVIES, **ASKED, client=client, store=tmp_path / "course.zarr")
    xarray.testing.assert_identical(course, expected)


def test_a_refusal_comes_back_from_a_worker(client):
    movies = MOVIES | {"s0": MOVIES["s0"].where(MOVIES["s0"]["time"] != 0.3, 1.0)}
    with pytest.raises(ValueError, match=r"must vary over the pairs, .*0.3 s of subject s0"):
        timecourse.prune(X, movies, **ASKED, client=client)


@pytest.mark.parametrize(("over", "joint"), [("both", "mean"), ("both", "min"), ("subjects", "mean")])
def test_subjects_left_out_are_those_of_cross_validations_at_each_time(over, joint):
    rng = np.random.default_rng(4)
    X, movies = rng.normal(size=(18, 7)), rng.normal(size=(3, 2, 153))
    pruner = sc.Pruner(joint=joint, kind="similarity", threads=1)
    how = {"cv": 3, "seed": 2, "over": over, "control": rng.normal(size=153), "progress": False}
    course = timecourse.prune(X, movies, pruner, **how)
    assert course.attrs["over"] == over
    for t in range(2):
        one = sc.cross_validate(X, movies[:, t], pruner, **how)
        for name in ("full_train", "full_test", "pruned_train", "pruned_test", "n_kept", "undefined_pairs"):
            np.testing.assert_allclose(course[name][:, t], one[name], atol=1e-10, err_msg=name)
        np.testing.assert_allclose(course.selection[:, t], one.kept.mean("fold"), atol=1e-6)
    np.testing.assert_array_equal(course.test, one.test)


def test_subjects_alone_left_out_need_no_folds_of_stimuli():
    rng = np.random.default_rng(4)
    X, movies = rng.normal(size=(8, 5)), rng.normal(size=(3, 1, 28))
    how = {"over": "subjects", "kind": "similarity", "progress": False}
    few, many = (timecourse.prune(X, movies, cv=cv, **how) for cv in (2, 100))
    np.testing.assert_array_equal(few.pruned_test, many.pruned_test)
    with pytest.raises(ValueError, match="groups must"):
        timecourse.prune(X, movies, groups=["a"], **how)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"over": "people"}, "over must be 'stimuli', 'subjects' or 'both', got 'people'"),
        ({"over": "both", "pruner": sc.Pruner()}, "joint must be 'mean' or 'min' where features are chosen on other"),
        ({"pruner": sc.Pruner(joint="mean")}, "joint must be 'each' in a time course"),
        ({"over": "both", "generalise": True}, "generalise must be False where over is 'both', got True"),
        ({"over": "both", "subjects": 1}, "movies must be of at least 2 subjects where over is 'both', got 1"),
    ],
)
def test_what_subjects_left_out_refuse(how, words):
    rng = np.random.default_rng(4)
    movies = rng.normal(size=(how.pop("subjects", 3), 2, 153))
    with pytest.raises(ValueError, match=words):
        timecourse.prune(rng.normal(size=(18, 7)), movies, cv=3, kind="similarity", **how)
