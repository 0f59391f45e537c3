"""The command ``secateur timecourse``: recordings in, a whole folder out, or one sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import xarray

from secateur import timecourse
from secateur.report import courses, folder
from test_cli import refused, run

N, D = 20, 12
NAMES = [f"item {i}" for i in range(N)]
TIMES = np.round(np.arange(-2, 9) * 0.05, 2)
SUBJECTS = ("01", "02", "03")
PATTERNS = "study/sub-01/meg/sub-01_patterns.npz"


@pytest.fixture(scope="module")
def planted():
    X = np.random.default_rng(0).normal(size=(N, D))
    patterns, _ = timecourse.simulate(N, X=X, subjects=3, sensors=30, times=TIMES, noise=0.5, seed=1)
    return X, patterns


@pytest.fixture
def here(tmp_path, planted, monkeypatch):
    """A working folder: x.csv with names, x.npy without, one .npz a subject in another order; quick pictures."""
    from matplotlib.figure import Figure

    X, patterns = planted
    monkeypatch.chdir(tmp_path)
    for name in ("course_page", "alignment_over_time", "kept_over_time", "selection_over_time", "generalisation"):
        monkeypatch.setattr(courses, name, lambda *_, **__: Figure())
    np.save("x.npy", X)
    rows = [",".join([name, *map(repr, row.tolist())]) for name, row in zip(NAMES, X, strict=True)]
    Path("x.csv").write_text("\n".join([",".join(["item", *(f"f{k}" for k in range(D))]), *rows]))
    rng = np.random.default_rng(1)
    for s, subject in enumerate(SUBJECTS):
        order = rng.permutation(N)
        place = Path(f"study/sub-{subject}/meg")
        place.mkdir(parents=True)
        named = [NAMES[i] for i in order]
        np.savez(place / f"sub-{subject}_patterns.npz", patterns=patterns.values[s][order], times=TIMES, stimuli=named)
    return tmp_path


def result(out):
    with xarray.open_dataset(Path(out) / "course.nc", engine="h5netcdf") as course:
        return course.load()


def of(planted, **how):
    X, patterns = planted
    return X, timecourse.rdm_movies(dict(zip(SUBJECTS, patterns.drop_vars("stimulus"), strict=True)), **how)


def test_a_folder_is_what_the_library_computes(here, planted):
    outcome = run(
        "timecourse", "x.csv", "study", "--pattern", "sub-*/meg/*_patterns.npz", "--out", "out", "--cv", "4",
        "--repeats", "2", "--seed", "3", "--generalise", "--flips", "7", "--comparator", "spearman",
        "--permutations", "9",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    assert outcome.exception is None
    import secateur as sc

    X, movies = of(planted)
    pruner = sc.Pruner(comparator="spearman")
    expected = timecourse.prune(X, movies, pruner, cv=4, repeats=2, seed=3, generalise=True, progress=False)
    course = result("out")
    assert course.subject.values.tolist() == list(SUBJECTS)
    assert course.stimulus.values.tolist() == NAMES
    assert course.feature.values.tolist() == [f"f{k}" for k in range(D)]
    for name in ("full_test", "pruned_test", "selection", "generalisation_pruned"):
        np.testing.assert_allclose(course[name].values, expected[name].values, atol=1e-12)
    with xarray.open_dataset(here / "out" / "group.nc", engine="h5netcdf") as group:
        test = timecourse.group_test(expected, n=7, seed=3)
        np.testing.assert_allclose(group.p, test.p, rtol=1e-9)
        assert group.attrs["exact"] == 1
        null = timecourse.permutation_test(X, movies, 9, pruner, cv=4, repeats=2, seed=3, progress=False)
        np.testing.assert_allclose(group.permutation_gain, null.gain, atol=1e-9)
        np.testing.assert_allclose(group.permutation_p_max_pruned, null.p_max_pruned, atol=1e-12)
        bounds = timecourse.noise_ceiling(movies, "spearman", cv=4, repeats=2, seed=3)
        np.testing.assert_allclose(group.ceiling_lower, bounds.lower, atol=1e-12)
    settings = json.loads((here / "out" / "settings.json").read_text())
    files = ["x.csv", *(f"study/sub-{s}/meg/sub-{s}_patterns.npz" for s in SUBJECTS)]
    assert [i["file"] for i in settings["inputs"]] == files
    digests = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    assert [i["sha256"] for i in settings["inputs"]] == digests
    assert "synthetic" not in settings
    for name in folder.COURSE_CONTENTS:
        assert name in outcome.stdout
    assert "3 subjects · 11 time points" in outcome.stdout
    assert "Stimuli relabelled alike for all subjects, 9 times" in outcome.stdout
    assert "Pruning again for each of 9 relabellings of the stimuli." in outcome.stderr
    assert settings["permutations"] == 9
    assert max(len(line) for line in outcome.stdout.split("Written to")[0].splitlines()) <= 80
    assert "unless overwrite is given" in refused("timecourse", "x.csv", "study", "--out", "out")
    again = run("timecourse", "x.csv", *files[1:], "--out", "out", "--overwrite", "--cv", "4")
    assert again.exit_code == 0, again.output
    assert "generalisation.png" not in {p.name for p in (here / "out").iterdir()}


def test_controls_fixed_features_and_subjects_left_out(here, planted):
    """The control names its stimuli in an order of its own."""
    import secateur as sc

    X, movies = of(planted, windows=[(0.2, 0.3)])
    control = np.corrcoef(np.random.default_rng(9).normal(size=(N, 6)))
    order = np.random.default_rng(10).permutation(N)
    np.savez("pixels.npz", rdm=control[np.ix_(order, order)], stimuli=np.array(NAMES)[order])
    files = [f"study/sub-{s}/meg/sub-{s}_patterns.npz" for s in SUBJECTS]
    words = ["timecourse", "x.csv", *files, "--windows", ".2-.3", "--control", "pixels.npz", "--cv", "4"]
    words += ["--fixed-features", "f3"]
    outcome = run(*words, "--permutations", "3", "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    how = {"cv": 4, "control": control, "progress": False}
    expected = timecourse.prune(X, movies, sc.Pruner(fixed_features=[3]), **how)
    np.testing.assert_allclose(result("out").pruned_test.values, expected.pruned_test.values, atol=1e-12)
    assert (result("out").selection.sel(feature="f3") == 1).all()
    assert "partial Pearson r" in outcome.stdout
    with xarray.open_dataset("out/group.nc", engine="h5netcdf") as group:
        bounds = timecourse.noise_ceiling(movies, cv=4, control=control)
        np.testing.assert_allclose(group.ceiling_lower, bounds.lower, atol=1e-12)
        null = timecourse.permutation_test(X, movies, 3, sc.Pruner(fixed_features=[3]), **how)
        np.testing.assert_allclose(group.permutation_gain, null.gain, atol=1e-9)
    settings = json.loads(Path("out/settings.json").read_text(encoding="utf-8"))
    assert [one["role"] for one in settings["inputs"]].count("control") == 1
    assert "pixels.npz were reordered by name" in " ".join(settings["notes"])
    outcome = run(*words, "--over", "both", "--joint", "min", "--out", "both")
    assert outcome.exit_code == 0, outcome.output
    pruner = sc.Pruner(fixed_features=[3], joint="min")
    expected = timecourse.prune(X, movies, pruner, over="both", **how)
    np.testing.assert_allclose(result("both").pruned_test.values, expected.pruned_test.values, atol=1e-12)
    assert "on all subjects but one at a time, in 4 folds of 20 stimuli." in outcome.stderr
    assert json.loads(Path("both/settings.json").read_text(encoding="utf-8"))["over"] == "both"


def test_subjects_alone_are_left_out(here):
    files = [f"study/sub-{s}/meg/sub-{s}_patterns.npz" for s in SUBJECTS]
    words = [
        "timecourse",
        "x.csv",
        *files,
        "--over",
        "subjects",
        "--joint",
        "mean",
        "--cv",
        "19",
    ]  # folds of 1 stimulus
    outcome = run(*words, "--windows", "0-50ms,.2-.3", "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    assert result("out").sizes["fold"] == 1
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert "each subject left out in turn" in page
    assert "19 folds" not in page
    assert "chosen and scored on the same stimuli (of other subjects)" in page
    said = Path("out/methods.md").read_text(encoding="utf-8")
    assert "All stimuli took part in both: none were held out" in said
    assert "gain of pruning in the subject left out is largest at" in said


def test_what_was_matched_by_position_and_what_by_name(here):
    for name, of in (("named", {"stimuli": NAMES[::-1]}), ("silent", {})):
        np.savez(f"{name}.npz", patterns=np.random.default_rng(0).normal(size=(N, 5, 3)), times=[0, 0.1, 0.2], **of)
        outcome = run("timecourse", "x.csv", f"{name}.npz", "--windows", "0-.1", "--cv", "3", "--out", name)
        assert outcome.exit_code == 0, outcome.output
    (named,), (silent,) = (json.loads(Path(f"{of}/settings.json").read_text())["notes"] for of in ("named", "silent"))
    assert named == "the stimuli of named.npz were looked for by name, in the order of x.csv"
    assert silent.startswith("silent.npz names no stimuli: its order is taken to be that of x.csv: item 0, item 1")
    page = Path("silent/report.html").read_text(encoding="utf-8")
    assert "Stimuli were matched by position, not by name" in page
    assert "name them in the same order" not in page + Path("named/report.html").read_text(encoding="utf-8")


def test_a_pattern_that_matches_nothing_is_told_what_there_is(here):
    said = refused("timecourse", "x.csv", "study", "--out", "out")
    assert "--pattern must match a file in 'study', got 'sub-*/**/*_epo.fif'" in said
    assert f"it holds '{PATTERNS.removeprefix('study/')}'" in said


def test_settings_and_methods_say_how_patterns_became_matrices(here):
    run("timecourse", "x.csv", PATTERNS, "--smoothing", "100ms", "--rdm", "euclidean", "--cv", "3", "--out", "out")
    settings = json.loads(Path("out/settings.json").read_text(encoding="utf-8"))
    assert settings["recording"] == {
        "dissimilarity": "euclidean", "picks": None, "smoothing": 0.1, "windows": None, "first_time": -0.1,
        "last_time": 0.4, "times": 11,
    }  # fmt: skip
    recording = settings["inputs"][1]
    assert (recording["shape"], recording["sensors"], recording["bad_channels"]) == ([N, 30, len(TIMES)], 30, [])
    assert recording["first_stimuli"] is None  # they were asked for by name
    said = Path("out/methods.md").read_text(encoding="utf-8")
    assert (
        "was the squared Euclidean distance, divided by the number of sensors, of their patterns over 30 sensors, at "
        "each time point from -100 to 400 ms; the matrices were smoothed with a running mean 100 ms wide." in said
    )


def test_methods_name_the_sensors_picked_and_the_bad_channels(here):
    mne = pytest.importorskip("mne")
    info = mne.create_info(["m0", "m1", "m2", "m3", "e0"], 20.0, ["mag"] * 4 + ["eeg"])
    info["bads"] = ["m1", "e0"]
    values = np.random.default_rng(0).normal(size=(N, 5, 3))
    mne.write_evokeds(
        "sub-01-ave.fif", [mne.EvokedArray(one, info, 0.1, name) for one, name in zip(values, NAMES, strict=True)],
        verbose="error",
    )  # fmt: skip
    outcome = run("timecourse", "x.csv", "sub-01-ave.fif", "--picks", "mag", "--windows", "100-150ms", "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    recording = json.loads(Path("out/settings.json").read_text(encoding="utf-8"))["inputs"][1]
    assert (recording["sensors"], recording["bad_channels"]) == (3, ["m1"])
    said = Path("out/methods.md").read_text(encoding="utf-8")
    assert "over 3 magnetometers, without the channels marked as bad (sub-01-ave: m1), at each time point" in said
    assert "averaged within windows (100 to 150 ms)" in said


def test_windows_and_names(here, planted):
    files = [f"study/sub-{s}/meg/sub-{s}_patterns.npz" for s in SUBJECTS]
    outcome = run("timecourse", "x.csv", *files, "--out", "out", "--windows", "50-100ms, .25-.3", "--rdm", "euclidean")
    assert outcome.exit_code == 0, outcome.output
    X, movies = of(planted, metric="euclidean", windows=[(0.05, 0.1), (0.25, 0.3)])
    expected = timecourse.prune(X, movies, progress=False)
    np.testing.assert_allclose(result("out").pruned_test.values, expected.pruned_test.values, atol=1e-12)
    assert "50–100" in outcome.stdout
    assert "250–300" in outcome.stdout
    unnamed = run("timecourse", "x.npy", *files, "--out", "b")
    note = "x.npy names no stimuli: its order is taken to be that of sub-01_patterns.npz: "
    assert f"note: {note}" in unnamed.stderr
    assert f"- {note}" in Path("b/summary.md").read_text(encoding="utf-8")
    (kept,) = json.loads(Path("b/settings.json").read_text(encoding="utf-8"))["notes"]
    assert kept.startswith(note)


def test_movies(here, planted):
    X, movies = of(planted)
    array = xarray.concat(list(movies.values()), xarray.Variable("subject", list(SUBJECTS)))
    array.attrs.pop("stimuli", None)
    array.to_netcdf("rdms.nc", engine="h5netcdf")
    outcome = run("timecourse", "x.npy", "rdms.nc", "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    expected = timecourse.prune(X, movies, progress=False)
    np.testing.assert_array_equal(result("out").pruned_test.values, expected.pruned_test.values)
    assert "must be left out for RDM movies" in refused(
        "timecourse", "x.npy", "rdms.nc", "--out", "b", "--windows", "0.1-0.2"
    )


def test_all_subjects_in_one_file(here, planted):
    X, patterns = planted
    patterns.assign_coords(stimulus=NAMES).isel(stimulus=slice(None, None, -1)).to_netcdf("all.nc", engine="h5netcdf")
    outcome = run("timecourse", "x.csv", "all.nc", "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    expected = timecourse.prune(X, of(planted)[1], progress=False)
    np.testing.assert_allclose(result("out").pruned_test.values, expected.pruned_test.values, atol=1e-12)
    files = ["all.nc", "study/sub-01/meg/sub-01_patterns.npz"]
    assert "must be one file where it holds several subjects" in refused("timecourse", "x.csv", *files, "--out", "b")


def test_the_subject_is_the_last_in_the_path(here, planted):
    files = [f"sub-study/sub-{subject}.npz" for subject in SUBJECTS[:2]]
    Path("sub-study").mkdir()
    for file, patterns in zip(files, planted[1].values, strict=False):
        np.savez(file, patterns=patterns, times=TIMES, stimuli=NAMES)
    outcome = run("timecourse", "x.csv", *files, "--windows", "0.1-0.2", "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    assert result("out").subject.values.tolist() == list(SUBJECTS[:2])


def test_one_subject(here):
    file = "study/sub-02/meg/sub-02_patterns.npz"
    outcome = run("timecourse", "x.csv", file, "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    assert "looked for, so it is no estimate" in " ".join(outcome.stdout.split())
    assert not (here / "out" / "group.nc").exists()
    outcome = run("timecourse", "x.csv", file, "--out", "tested", "--permutations", "9")
    assert outcome.exit_code == 0, outcome.output
    with xarray.open_dataset(here / "tested" / "group.nc", engine="h5netcdf") as group:
        assert group.sizes["permutation"] == group.attrs["permutation_n"] == 9


def test_epochs_of_mne(here, planted):
    mne = pytest.importorskip("mne")
    X, patterns = planted
    info = mne.create_info(30, 20.0, ["mag"] * 15 + ["grad"] * 15)
    for s, subject in enumerate(SUBJECTS):
        order = np.random.default_rng(s).permutation(N)
        table = np.column_stack([np.arange(N) * 30, np.zeros(N, int), order])
        epochs = mne.EpochsArray(
            patterns.values[s][order], info, table, tmin=-0.1, baseline=None, verbose="error",
            event_id={NAMES[i]: i for i in order},
        )  # fmt: skip
        epochs.save(f"study/sub-{subject}/meg/sub-{subject}_task-view_epo.fif", fmt="double", verbose="error")
    outcome = run("timecourse", "x.csv", "study", "--out", "out", "--picks", "grad")
    assert outcome.exit_code == 0, outcome.output
    movies = {s: timecourse.rdm_movie(patterns.values[k][:, 15:], times=TIMES) for k, s in enumerate(SUBJECTS)}
    expected = timecourse.prune(X, movies, progress=False)
    np.testing.assert_allclose(result("out").pruned_test.values, expected.pruned_test.values, atol=1e-12)
    assert "units differ: picks='grad' or picks='mag'" in refused("timecourse", "x.csv", "study", "--out", "b")


def test_a_store_is_taken_up(here, monkeypatch):
    pytest.importorskip("zarr")
    words = ("timecourse", "x.csv", "study", "--pattern", "sub-*/meg/*.npz", "--store", "course.zarr", "--out", "out")
    real = timecourse.pruning.prune_chunk
    calls = []

    def stops(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(timecourse.pruning, "prune_chunk", stops)
    stopped = run(*words)
    assert stopped.exit_code == 130
    assert stopped.stderr.endswith("secateur: interrupted, what was done is in course.zarr.\n")
    assert not Path("out").exists()
    assert run(*words).exit_code == 0
    assert len(calls) == 4  # two were kept


def test_demo(tmp_path, monkeypatch):
    """With its pictures: what is made up says so everywhere, and the signal is found where it was put."""
    monkeypatch.chdir(tmp_path)
    outcome = run("timecourse", "--demo", "--out", "d", "--flips", "99")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.startswith("Synthetic recording: ")
    assert (tmp_path / "d" / "summary.md").read_text(encoding="utf-8").startswith("# Synthetic recording: ")
    assert json.loads((tmp_path / "d" / "settings.json").read_text())["synthetic"] == "true"
    with xarray.open_dataset(tmp_path / "d" / "group.nc", engine="h5netcdf") as group:
        found = group.time.values[group.cluster_p.values <= 0.05]
    assert 0.2 < found.min() < 0.26
    assert 0.29 < found.max() < 0.35


def test_times_that_look_like_milliseconds_are_noted(here, planted):
    long = np.r_[np.arange(-2, 8) * 0.05, 400]  # milliseconds at a step of 1 or less can't be told from seconds alone
    for name, times in (("ms", long), ("s", TIMES)):
        np.savez(f"{name}.npz", patterns=planted[1].values[0], times=times, stimuli=NAMES)
    noted = "note: the times of ms.npz run from -0.1 to 400 s: if they are milliseconds, divide them by 1000."
    assert noted in run("timecourse", "x.csv", "ms.npz", "--out", "a").stderr
    assert "note: the times" not in run("timecourse", "x.csv", "s.npz", "--out", "b").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "must be given FEATURES and RECORDINGS, or --demo"),
        (["x.csv"], "RECORDINGS must be given after FEATURES, got none"),
        (["--demo", "--control", "x.npy"], "--control and --fixed must come with FEATURES, got one with --demo"),
        (["x.csv", "study", "--control", "gone.npy"], "TARGET must be a file, got 'gone.npy', which does not exist"),
        (["x.csv", "study", "--control", "x.npy"], "control must have shape 20 × 20, 190 values, T × 190"),
        (["x.csv", "study", "--over", "all"], "--over must be stimuli, subjects or both, got 'all'"),
        (["x.csv", "study", "--over", "both"], "--joint must be mean or min where --over is both, got each"),
        (["x.csv", "study", "--joint", "min"], "--joint must be each where --over is stimuli, got min"),
        (
            ["x.csv", "study", "--joint", "mean", "--over", "both", "--permutations", "9"],
            "must be left out where --over",
        ),
        (["x.csv", "study", "--demo"], "or --demo, got both or neither"),
        (["x.csv", "nothing"], "RECORDINGS must be files or a folder, got 'nothing', which does not exist"),
        (["x.csv", "study"], "pattern must match a file in 'study', got 'sub-*/**/*_epo.fif', which matches none"),
        (["x.csv", "study", "x.npy"], "RECORDINGS must be one folder or files, got the folder 'study' among others"),
        (["nope.csv", "study"], "FEATURES must be a file, got 'nope.csv', which does not exist"),
        (["x.csv", "other.npz"], "other.npz: stimuli must be names in the file, got 'item 0'"),
        (["x.csv", "strange", "--pattern", "*/p.npz"], "strange/sub-02/p.npz: stimuli must be names in the file, got"),
        (["x.npy", "other.npz"], "for the 20 stimuli of X"),
        (["x.csv", "x.csv"], "path must end in .fif"),
        (["x.npy", "untimed.npy"], "recordings must hold their times in seconds, got none"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--windows", "soon"], "--windows must be START-STOP"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--windows", "0.3-0.2"], "START-STOP, the earlier first"),
        (["x.npy", PATTERNS, "--smoothing", "20"], "at most half of the recording, 0.25 s"),
        (["x.npy", PATTERNS, "--smoothing", "wide"], "--smoothing must be in seconds, or"),
        (["x.npy", "ms.npz"], "times must be in seconds, got steps of 50: divide milliseconds by 1000"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--windows", "7-8"], "windows must each hold a time point"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--rdm", "cosine"], "metric must be one of 'correlation'"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--picks", "mag"], "picks must be left out for a .npz"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--metric", "cos"], "metric must be one of 'cosine'"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--cv", "9"], "cv must leave at least 3 test stimuli"),
        (["x.npy", "study/sub-01/meg/sub-01_patterns.npz", "--alpha", "2"], "--alpha must be above 0 and below 1"),
    ],
)
def test_bad_input_is_one_sentence(here, words, said):
    np.savez("other.npz", patterns=np.ones((3, 4, 5)), times=np.arange(5) * 0.1, stimuli=["a", "b", "c"])
    np.save("untimed.npy", np.ones((N, 4, 5)))
    ms = np.random.default_rng(0).normal(size=(N, 4, 5))
    np.savez("ms.npz", patterns=ms, times=np.arange(5) * 50.0, stimuli=NAMES)
    for subject, names in (("01", NAMES), ("02", [*NAMES[1:], "other"])):
        place = Path("strange", f"sub-{subject}")
        place.mkdir(parents=True)
        patterns = np.random.default_rng(0).normal(size=(N, 4, 5))
        np.savez(place / "p.npz", patterns=patterns, times=np.arange(5) * 0.1, stimuli=names)
    assert said in refused("timecourse", *words, "--out", "out")
