"""Runs that were killed go on where they were, and end with the same bits as ones that were not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray
from typer.testing import CliRunner

import secateur as sc
from secateur import cli, resuming
from secateur.inference import permutation, resampling
from secateur.progress import with_parts
from secateur.report import folder
from secateur.report.document.run import Run
from secateur.timecourse import permutation as along_time
from secateur.validation import cross_validation, final

RNG = np.random.default_rng(0)
X = RNG.normal(size=(26, 7))
TARGETS = sc.similarity(X[:, :3]) + 0.2 * RNG.normal(size=(2, 325))
GROUPS = np.arange(26) // 2
VERBS = {
    "cross_validate": sc.cross_validate, "permutation_test": sc.permutation_test, "bootstrap": sc.bootstrap,
    "final_set": sc.final_set,
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::secateur.validation.SmallFoldsWarning")


def asked(verb, **options):
    how = {"kind": "similarity", "progress": False}
    if verb != "final_set":
        how |= {"cv": 3, "seed": 4}
    if verb in ("permutation_test", "bootstrap"):
        how["n"] = 5
    return VERBS[verb](options.pop("X", X), options.pop("target", TARGETS), **{**how, **options})


@pytest.fixture
def worked(monkeypatch):
    """How often something was pruned or scored, and after how many times the run ends."""
    counts = {"work": 0, "most": np.inf}

    def counted(original):
        def call(*given, **named):
            counts["work"] += 1
            if counts["work"] > counts["most"]:
                raise KeyboardInterrupt
            return original(*given, **named)

        return call

    for room in (cross_validation, permutation):
        monkeypatch.setattr(room, "score_fold", counted(room.score_fold))
    monkeypatch.setattr(resampling._Resampler, "by_fold", counted(resampling._Resampler.by_fold))
    monkeypatch.setattr(resampling._Resampler, "_scored", counted(resampling._Resampler._scored))
    monkeypatch.setattr(final, "arrays_of", counted(final.arrays_of))
    return counts


CASES = [  # what is asked, how much work that is, and how much is left of it after a half
    ("cross_validate", {}, 3, 2),
    ("cross_validate", {"curves": False, "over": "both"}, 3, 2),
    ("cross_validate", {"pruner": sc.Pruner(search="forward")}, 3, 2),
    ("final_set", {}, 1, 1),
    ("permutation_test", {"n": 70}, 6, 3),  # two blocks of three folds
    ("permutation_test", {"pruner": sc.Pruner(joint="mean")}, 18, 9),
    ("permutation_test", {"control": sc.similarity(X[:, 5:])}, 3, 2),
    ("bootstrap", {}, 15, 9),  # three prunings a draw
    ("bootstrap", {"over": "both"}, 16, 10),
    ("bootstrap", {"method": "percentile", "groups": GROUPS}, 1, 1),
    ("bootstrap", {"resample": "scores", "method": "bca"}, 1, 1),
]


@pytest.mark.parametrize(("verb", "options", "work", "left"), CASES)
def test_an_interrupted_run_goes_on(verb, options, work, left, tmp_path, worked):
    expected = asked(verb, **options)
    assert worked["work"] == work
    worked |= {"work": 0, "most": work // 2}
    with pytest.raises(KeyboardInterrupt):
        asked(verb, **options, store=tmp_path)
    for still in (left, 0):
        worked |= {"work": 0, "most": np.inf}
        xarray.testing.assert_identical(asked(verb, **options, store=tmp_path), expected)
        assert worked["work"] == still


def test_one_store_serves_all_verbs(tmp_path):
    for _ in range(2):
        for verb in VERBS:
            xarray.testing.assert_identical(asked(verb, store=tmp_path / "store"), asked(verb))
    names = {one.name for one in (tmp_path / "store").iterdir()}
    assert names == set(VERBS) == set(resuming.VERBS) - {"timecourse.permutation_test"}


def test_scaling_inside_folds_is_part_of_a_run(tmp_path):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import RobustScaler, StandardScaler

    pipelines = [make_pipeline(scaler(), sc.Pruner()) for scaler in (StandardScaler, RobustScaler)]
    expected = asked("cross_validate", pruner=pipelines[0])
    for _ in range(2):
        found = asked("cross_validate", pruner=pipelines[0], store=tmp_path / "store")
        xarray.testing.assert_identical(found, expected)
    with pytest.raises(ValueError, match="with the same pipeline"):
        asked("cross_validate", pruner=pipelines[1], store=tmp_path / "store")


CHILD = """
import os, signal, sys
import test_resuming as here
from secateur import resuming

append = resuming.Parts._append

def until(self, file, name, made):
    before = file.stat().st_size
    append(self, file, name, made)
    if name == "block 3":
        os.truncate(file, (before + file.stat().st_size) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

resuming.Parts._append = until
here.asked("permutation_test", n=70, store=sys.argv[1])
"""


@pytest.mark.skipif(os.name == "nt", reason="processes are killed as POSIX does")
def test_a_killed_run_goes_on(tmp_path, worked):
    """SIGKILL in the midst of writing a part."""
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(tmp_path)],
        cwd=os.path.dirname(__file__), capture_output=True, text=True,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    found = asked("permutation_test", n=70, store=tmp_path)
    assert worked["work"] == 3
    xarray.testing.assert_identical(found, asked("permutation_test", n=70))


@pytest.mark.parametrize("at", [0.0, 0.02, 0.4, 0.99])
@pytest.mark.parametrize("byte", [b"\x00", b"\n", None])
def test_what_is_damaged_is_made_again(at, byte, tmp_path, worked):
    place = tmp_path / "store"
    expected = asked("permutation_test", store=place)
    file = place / "permutation_test" / resuming.FILE
    held = file.read_bytes()
    k = int(at * len(held))
    file.write_bytes(held[:k] + (b"" if byte is None else byte + held[k + 1 :]))
    worked["work"] = 0
    xarray.testing.assert_identical(asked("permutation_test", store=place), expected)
    assert worked["work"] >= 1
    assert file.read_bytes()[:k] == held[:k]


PERMUTED = {
    "X": {"X": X + 1e-13}, "target": {"target": TARGETS + 1e-13}, "permutations": {"n": 6},
    "seed": {"seed": 5}, "cv": {"cv": 4},
    "metric": {"pruner": sc.Pruner("correlation")}, "comparator": {"pruner": sc.Pruner(comparator="spearman")},
    "search": {"pruner": sc.Pruner(search="forward")}, "kind": {"kind": "dissimilarity"},
    "weights": {"weights": np.arange(325) % 2}, "controls": {"control": TARGETS[1]}, "folds": {"groups": GROUPS},
    "feature_groups": {"pruner": sc.Pruner(feature_groups=[0, 0, 1, 1, 2, 2, 3])},
    "fixed_features": {"pruner": sc.Pruner(fixed_features=[1])}, "joint": {"over": "both"},
}  # fmt: skip


@pytest.mark.parametrize("name", PERMUTED)
def test_a_store_of_another_run_is_refused(name, tmp_path):
    place = tmp_path / "store"
    asked("permutation_test", store=place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(ValueError, match=f"^store must be of a run with the same {name}, got .*, begun with .* where "):
        asked("permutation_test", **PERMUTED[name], store=place)
    assert before == {path: path.read_bytes() for path in before}


def test_what_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(FileExistsError, match="store must be new, or one that cross_validate has begun, got"):
            asked("cross_validate", store=place)
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("lost", [resuming.FILE, ".secateur/settings.json"])
def test_a_store_that_has_lost_a_file_is_refused(lost, tmp_path):
    asked("final_set", store=tmp_path)
    (tmp_path / "final_set" / lost).unlink()
    with pytest.raises(ValueError, match=r"^store must be as final_set wrote it, got "):
        asked("final_set", store=tmp_path)


def test_a_store_has_one_writer(tmp_path):
    with resuming.kept_parts(tmp_path, "bootstrap", dict):
        with pytest.raises(RuntimeError, match=f"is being written by process {os.getpid()}: let it end first"):
            asked("bootstrap", store=tmp_path)
        asked("final_set", store=tmp_path)  # another verb's part of it is free


def test_a_null_along_time_goes_on(tmp_path, monkeypatch):
    rng, counts = np.random.default_rng(3), {"work": 0, "most": np.inf}
    movies = rng.normal(size=(2, 3, 325))
    real, more = along_time.relabelled_chunk, {"cv": 3, "kind": "similarity", "progress": False}

    def counted(*given):
        counts["work"] += 1
        if counts["work"] > counts["most"]:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(along_time, "relabelled_chunk", counted)
    monkeypatch.setattr(along_time, "_at_once", lambda study, times: 4)
    expected = sc.timecourse.permutation_test(X, movies, 9, **more)
    assert counts["work"] == 6  # three blocks for each subject
    counts |= {"work": 0, "most": 4}
    with pytest.raises(KeyboardInterrupt):
        sc.timecourse.permutation_test(X, movies, 9, store=tmp_path, **more)
    counts |= {"work": 0, "most": np.inf}
    found = sc.timecourse.permutation_test(X, movies, 9, store=tmp_path, **more)
    xarray.testing.assert_identical(found, expected)
    assert counts["work"] == 2
    two_sided = sc.timecourse.permutation_test(X, movies, 9, store=tmp_path, alternative="two-sided", **more)
    assert counts["work"] == 2  # the null is the same
    assert two_sided.attrs["alternative"] == "two-sided"
    for name, options in (("seed", {"seed": 1}), ("movies", {}), ("groups", {"groups": GROUPS})):
        given = movies + 1e-13 if name == "movies" else movies
        with pytest.raises(ValueError, match=f"store must be of a run with the same ({name}|folds), got"):
            sc.timecourse.permutation_test(X, given, 9, store=tmp_path, **more, **options)


def test_progress_counts_on():
    """A bar, or a log, begins with what was done before."""
    seen = []

    def steps():
        for k in range(4):
            seen.append(k)
            yield k

    for sizes in (None, [2, 2, 1, 1]):
        assert [step for step, _ in with_parts(steps(), 4, "steps", True, sizes, done=2)] == [0, 1, 2, 3]
        assert [step for step, _ in with_parts(steps(), 4, "steps", True, sizes, done=4)] == [0, 1, 2, 3]
    assert seen == [0, 1, 2, 3] * 4


# The command line


@pytest.fixture
def here(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "page", lambda *_, **__: Figure())
    monkeypatch.setattr(Run, "drawn", lambda *_, **__: [])
    np.save("x.npy", X)
    np.save("s.npy", X[:, :3] @ X[:, :3].T)
    return tmp_path


WORDS = ("prune", "x.npy", "s.npy", "--cv", "3", "--bootstrap", "3", "--permutations", "5")


def run(*words):
    return CliRunner().invoke(cli.app, list(words))


def test_prune_goes_on(here, worked):
    assert run(*WORDS, "--out", "plain").exit_code == 0
    assert worked["work"] == 3 + 1 + 9 + 3
    for most in (2, 4, 8):
        worked |= {"work": 0, "most": most}
        stopped = run(*WORDS, "--store", "run.store", "--out", "out")
        assert stopped.exit_code == 130, stopped.output
        assert stopped.stderr.endswith("secateur: interrupted, what was done is in run.store.\n")
        assert not (here / "out").exists()
    worked |= {"work": 0, "most": np.inf}
    assert run(*WORDS, "--store", "run.store", "--out", "out").exit_code == 0
    assert worked["work"] == 3 + 3  # of the third draw, and the null
    for name in ("result.nc", "final_set.nc", "bootstrap.nc", "permutations.nc"):
        read = [xarray.load_dataset(here / place / name, engine="h5netcdf") for place in ("out", "plain")]
        xarray.testing.assert_identical(*read)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--store", "run.store", "--out", "other", "--seed", "1"), "--store must be of a run with the same seed, got"),
        (("--store", "out", "--out", "out"), "--store must be outside the results folder --out, got 'out' with 'out'"),
        (("--store", "out/run", "--out", "out"), "--store must be outside the results folder --out, got"),
        (("--store", "x.npy", "--out", "out"), "--store must be new, or one that cross_validate has begun, got"),
    ],
)
def test_prune_refuses(more, said, here):
    assert run(*WORDS[:5], "--store", "run.store", "--out", "first").exit_code == 0
    refused = run(*WORDS[:5], *more)
    assert refused.exit_code == 2
    assert refused.stderr.strip().splitlines()[-1].startswith(f"secateur: {said}")
