"""The command line and its file readers: what comes in, what goes out, and how bad input ends."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
import scipy.io
import typer.main
import xarray
from scipy.spatial.distance import pdist
from typer.testing import CliRunner

import secateur as sc
from dictionaries import check_dictionary
from secateur import cli, files
from secateur._command import is_command
from secateur.atomic import host_name
from secateur.report import folder
from secateur.report.contents import REPORT
from secateur.report.document.run import Run

N, D = 24, 12
NAMES = [f"item {i}" for i in range(N)]
SQUARE = np.triu_indices(N, 1)


@pytest.fixture(scope="module")
def X() -> Any:
    return np.random.default_rng(0).normal(size=(N, D))


@pytest.fixture(scope="module")
def S(X: Any) -> Any:
    return X[:, :4] @ X[:, :4].T


@pytest.fixture
def here(tmp_path: Path, X: Any, S: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with x.npy and s.npy, and quick pictures."""
    from matplotlib.figure import Figure

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "page", lambda *_, **__: Figure())
    monkeypatch.setattr(Run, "drawn", lambda *_, **__: [])
    np.save("x.npy", X)
    np.save("s.npy", S)
    return tmp_path


def run(*words: str) -> Any:
    return CliRunner().invoke(cli.app, list(words))


def refused(*words: str) -> str:
    """One sentence on stderr, exit code 2, nothing written."""
    before = sorted(p.name for p in Path.cwd().iterdir())
    outcome = run(*words)
    assert outcome.exit_code == 2, outcome.output
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("secateur: ")
    assert last.endswith(".")
    assert outcome.stderr.count("secateur: ") == 1
    assert "Traceback" not in outcome.output
    assert sorted(p.name for p in Path.cwd().iterdir()) == before
    return last


# A run ----------------------------------------------------------------------------------------------------------


def test_a_reader_who_goes_ends_no_run(tmp_path):
    """As behind `| head`: the results are written all the same."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(15, 6)))
    np.save(tmp_path / "h.npy", np.random.default_rng(1).normal(size=105))
    words = ("x.npy", "h.npy", "--kind", "similarity", "--cv", "3", "--permutations", "0", "--out", "results")
    with process("prune", *words, cwd=tmp_path) as run:
        run.stdout.close()
        said = run.stderr.read()
        assert run.wait(120) == 0, said
    assert (tmp_path / "results" / "summary.csv").is_file()


def test_prune_writes_what_the_library_computes(here: Path, X: Any, S: Any) -> None:
    outcome = run(
        "prune", "x.npy", "s.npy", "--out", "out", "--cv", "4", "--repeats", "2", "--permutations", "3", "--seed", "5"
    )
    assert outcome.exit_code == 0, outcome.output
    assert outcome.exception is None
    expected = sc.cross_validate(X, S, cv=4, repeats=2, seed=5, progress=False)
    with xarray.open_dataset(here / "out" / "result.nc", engine="h5netcdf") as result:
        np.testing.assert_array_equal(result.pruned_test.values, expected.pruned_test.values)
        np.testing.assert_array_equal(result.kept.values, expected.kept.values)
        assert result.attrs["seed"] == 5
    with xarray.open_dataset(here / "out" / "permutations.nc", engine="h5netcdf") as null:
        assert null.sizes["permutation"] == 3
    for name in folder.FILES:
        assert name in outcome.stdout
    assert f"{expected.pruned_test.values.mean():.3f} ± " in outcome.stdout
    assert "target: s" in outcome.stdout
    assert "Pruning 12 features in 8 folds of 24 stimuli." in outcome.stderr
    settings = json.loads((here / "out" / "settings.json").read_text())
    assert [i["sha256"] for i in settings["inputs"]] == [
        hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in ("x.npy", "s.npy")
    ]
    assert settings["permutations"] == 3
    assert settings["seed"] == 5
    assert max(map(len, outcome.stdout.splitlines())) <= 80


def test_search(here: Path, X: Any, S: Any) -> None:
    outcome = run("prune", "x.npy", "s.npy", "--out", "out", "--search", "forward", "--max-features", "5")
    assert outcome.exit_code == 0, outcome.output
    expected = sc.cross_validate(X, S, sc.Pruner(search="forward", max_features=5), progress=False)
    with xarray.open_dataset(here / "out" / "result.nc", engine="h5netcdf") as result:
        np.testing.assert_array_equal(result.kept.values, expected.kept.values)
        assert (result.attrs["search"], result.attrs["max_features"]) == ("forward", 5)
    assert "search must be one of" in refused("prune", "x.npy", "s.npy", "--out", "b", "--search", "sideways")


def test_overwrite(here: Path) -> None:
    assert run("prune", "x.npy", "s.npy", "--out", "out").exit_code == 0
    assert "unless overwrite is given" in refused("prune", "x.npy", "s.npy", "--out", "out")
    assert run("prune", "x.npy", "s.npy", "--out", "out", "--overwrite", "--seed", "1").exit_code == 0
    assert json.loads((here / "out" / "settings.json").read_text())["seed"] == 1
    (here / "mine").mkdir()
    (here / "mine" / "thesis.txt").write_text("precious")
    assert "only an earlier Secateur result" in refused("prune", "x.npy", "s.npy", "--out", "mine", "--overwrite")
    assert (here / "mine" / "thesis.txt").read_text() == "precious"


def test_groups(here: Path) -> None:
    Path("groups.csv").write_text("\n".join("abc"[i % 3] for i in range(N)))
    plain = run("prune", "x.npy", "s.npy", "--out", "a", "--groups", "groups.csv", "--cv", "3")
    grouped = run("prune", "x.npy", "s.npy", "--out", "b", "--groups", "groups.csv", "--cv", "3", "--group-folds")
    assert plain.exit_code == grouped.exit_code == 0
    for name, together in (("a", False), ("b", True)):
        with xarray.open_dataset(here / name / "result.nc", engine="h5netcdf") as result:
            sides = [{i % 3 for i in np.flatnonzero(row)} for row in result.test.values]
            assert all(len(s) == 1 for s in sides) == together
    assert "--group-folds must come with" in refused("prune", "x.npy", "s.npy", "--out", "c", "--group-folds")
    Path("unequal.csv").write_text("\n".join("abc"[i % 3] for i in range(N - 1)) + "\na")
    unequal = ["--groups", "unequal.csv", "--cv", "2", "--group-folds", "--permutations", "2"]
    assert "groups must all be of one size" in refused("prune", "x.npy", "s.npy", "--out", "d", *unequal)
    assert not (here / "d").exists()


def test_photographs_of_the_stimuli(here: Path, X: Any, S: Any) -> None:
    """Named as the stimuli, with or without endings and folders; more of them than there are stimuli."""
    from PIL import Image

    colours = {f"item {i}": (10 * i, 0, 255 - 10 * i) for i in range(N)}
    (here / "photos").mkdir()
    for name, colour in {**colours, "another": (0, 255, 0)}.items():
        Image.new("RGB", (60, 40), colour).save(here / "photos" / f"{name}.png")
    pandas.DataFrame(X, index=[f"set/{name}.jpg" for name in NAMES[::-1]]).to_csv("x.csv")
    words = ("prune", "x.csv", "s.npy", "--cv", "3", "--photographs", "photos")
    outcome = run(*words, "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    assert "were matched to the stimuli of x.csv without the folders and extensions of files" in outcome.stderr
    assert {"images.png", "maps.png"} < {file.name for file in (here / "out").iterdir()}
    told = check_dictionary(here / "out")
    assert told["images.png"]["holds"] == "photographs of the stimuli"
    settings = json.loads((here / "out" / "settings.json").read_text())
    assert {"role": "images", "folder": "photos", "images": N} in settings["inputs"]
    assert 'alt="Photographs of the stimuli"' in (here / "out" / "report.html").read_text()

    from secateur.cli.prune import _photographs
    from secateur.features import Features

    shown, _ = _photographs(here / "photos", Features(X, tuple(NAMES[::-1]), None), "x.csv")
    np.testing.assert_array_equal(shown[:, 48, 48], [colours[name] for name in NAMES[::-1]])
    os.remove(here / "photos" / "item 3.png")
    said = "photos must hold a photograph for each stimulus of x.csv, but it lacks 'set/item 3.jpg'"
    assert said in refused(*words, "--out", "b")
    os.remove(here / "photos" / "another.png")
    said = "photos must hold a photograph for each of the 24 stimuli, which x.npy does not name, got 23"
    assert said in refused("prune", "x.npy", *words[2:], "--out", "b")


def test_dissimilarities(here: Path, S: Any) -> None:
    rdm = S.max() - S
    np.fill_diagonal(rdm, 0)
    np.save("rdm.npy", rdm)
    words = refused("prune", "x.npy", "rdm.npy", "--out", "out", "--kind", "similarity")
    assert words.startswith("secateur: rdm.npy: target must not have an all-zero diagonal")
    assert words.endswith("pass --kind dissimilarity.")
    told = run("prune", "x.npy", "rdm.npy", "--out", "told", "--comparator", "spearman")  # by its diagonal
    assert json.loads(Path("told/settings.json").read_text())["kind"] == "dissimilarity"
    assert told.exit_code == 0
    given = run("prune", "x.npy", "rdm.npy", "--out", "out", "--kind", "dissimilarity", "--comparator", "spearman")
    assert given.exit_code == 0
    assert "Spearman ρ" in given.stdout


def test_undefined_pairs_are_one_plain_line(here: Path, X: Any) -> None:
    X = X.copy()
    X[7, :4] = 0  # once the first four features alone are kept, stimulus 7 has no feature
    np.save("x.npy", X)
    np.save("s.npy", X[:, :4] @ X[:, :4].T)
    outcome = run("prune", "x.npy", "s.npy", "--out", "out")
    assert outcome.exit_code == 0, outcome.output
    told = [line for line in outcome.stderr.splitlines() if line.startswith("warning: ")]
    few = [line for line in told if line.startswith("warning: test folds should have 30 pairs of stimuli or more")]
    (said,) = set(told) - set(few)
    assert len(few) == 1
    with xarray.open_dataset(here / "out" / "result.nc", engine="h5netcdf") as result:
        assert said.startswith(f"warning: {int(result.undefined_pairs.sum())} ")
    assert "Warning" not in outcome.stderr
    assert "have no similarity in the kept features (all zero," in " ".join(outcome.stdout.split())


def test_many_targets(here: Path, S: Any) -> None:
    np.save("many.npy", np.stack([S, S + np.eye(N), np.roll(np.roll(S, 3, 0), 3, 1)]))
    outcome = run("prune", "x.npy", "many.npy", "--out", "out")
    assert outcome.exit_code == 0
    assert "3 targets" in outcome.stdout


# Bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope.npy", "s.npy"], "FEATURES must be a file, got 'nope.npy', which does not exist."),
        (["x.npy", "."], "TARGET must be a file, got '.', which is a folder."),
        (["x.npy", "x.npy"], "x.npy: target must have shape 24 × 24"),
        (["x.npy:X", "s.npy"], "without a key"),
        (["nan.npy", "s.npy"], "got nan at stimulus 3, feature 7"),
        (["flat.npy", "s.npy"], "must hold an array for FEATURES, with 2 dimensions"),
        (["object.npy", "s.npy"], "it holds Python objects (a pickle)"),
        (["pickle.npy", "s.npy"], "only numbers and text are loaded"),
        (["empty.npy", "s.npy"], "empty.npy could not be read as a .npy file"),
        (["broken.npz", "s.npy"], "broken.npz could not be read as a .npz file"),
        (["broken.mat", "s.npy"], "broken.mat could not be read as a .mat file"),
        (["broken.h5", "s.npy"], "broken.h5 must be an HDF5 file"),
        (["broken.nc", "s.npy"], "broken.nc must be netCDF 4"),
        (["words.csv", "s.npy"], "words.csv must hold numbers below its heading, got 'three' in line 2, column 3"),
        (["ragged.csv", "s.npy"], "ragged.csv must have 3 cells in every line, got 2 in line 2"),
        (["empty.csv", "s.npy"], "got an empty file"),
        (["x.txt", "s.npy"], "FEATURES must end in .npy, .npz"),
        (["complex.npy", "s.npy"], "must hold real numbers"),
        (["x.npy", "constant.npy", "--kind", "similarity"], "target must vary"),
        (["x.npy", "s.npy", "--cv", "10"], "cv must leave at least 3 test stimuli"),
        (["x.npy", "s.npy", "--metric", "cos"], "metric must be one of 'cosine'"),
        (["x.npy", "s.npy", "--comparator", "r"], "comparator must be one of"),
        (["x.npy", "s.npy", "--kind", "matrix"], "--kind must be similarity, dissimilarity or triplets, got 'matrix'"),
        (["x.npy", "s.npy", "--device", "gpu"], "device must be"),
        (["x.npy", "s.npy", "--groups", "x.npy"], "one group for each of 24 stimuli, got 288"),
        (["x.npy", "rdms.hdf5:dissimilarities", "--kind", "similarity"], "pass --kind dissimilarity"),
        (["pair.npz", "s.npy"], "with a key, such as pair.npz:A, got several arrays: A 24 × 12, B 24 × 3"),
        (["pair.npz:C", "s.npy"], "pair.npz must hold the array 'C', got A 24 × 12, B 24 × 3"),
        (["short.npz", "s.npy"], "short.npz:labels must name each of 24 stimuli, got 23 names"),
        (["objects.npz", "s.npy"], "it holds Python objects"),
        (["text.npz:labels", "s.npy"], "text.npz:labels must hold numbers, got text"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(here: Path, X: Any, words: list[str], said: str) -> None:
    import pickle

    wrong = X.copy()
    wrong[3, 7] = np.nan
    np.save("nan.npy", wrong)
    np.save("flat.npy", X[0])
    np.save("complex.npy", X + 1j)
    np.save("constant.npy", np.ones((N, N)))
    np.save("object.npy", np.array([{}], dtype=object), allow_pickle=True)
    Path("pickle.npy").write_bytes(pickle.dumps(X))
    np.savez("pair.npz", A=X, B=X[:, :3])
    np.savez("short.npz", A=X, labels=np.array(NAMES[1:]))
    np.savez("text.npz", A=X, labels=np.array(NAMES))
    np.savez("objects.npz", A=X, labels=np.array(NAMES, dtype=object))
    for name in ("broken.npz", "broken.mat", "broken.h5", "broken.nc"):
        Path(name).write_bytes(b"PK\x03\x04 not what its name says" * 9)
    for name in ("empty.npy", "empty.csv", "x.txt"):
        Path(name).write_bytes(b"")
    Path("words.csv").write_text("a,b,c\n1,2,three\n")
    Path("ragged.csv").write_text("1,2,3\n4,5\n")
    with h5py.File("rdms.hdf5", "w") as file:
        file["dissimilarities"] = np.ones((1, N * (N - 1) // 2))
    assert said in refused("prune", *words, "--out", "out")


def test_usage_errors_exit_2(here: Path) -> None:
    for words in (["prune", "x.npy", "s.npy"], ["prune", "x.npy", "s.npy", "--out", "o", "--cv", "1"], ["prun"]):
        assert run(*words).exit_code == 2


def test_a_full_disk_is_one_sentence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "markdown", full)
    outcome = run("prune", "x.npy", "s.npy", "--out", "out")
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1] == "secateur: No space left on device; nothing was written."
    assert sorted(p.name for p in here.iterdir()) == ["s.npy", "x.npy"]


def test_a_mistake_of_ours_is_not_hidden(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "markdown", lambda *_, **__: 1 / 0)
    outcome = run("prune", "x.npy", "s.npy", "--out", "out")
    assert isinstance(outcome.exception, ZeroDivisionError)
    assert sorted(p.name for p in here.iterdir()) == ["s.npy", "x.npy"]


# A process ------------------------------------------------------------------------------------------------------


def process(*words: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "secateur.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "80"}, **options,
    )  # fmt: skip


def test_version_and_refusal_of_a_process(tmp_path: Path) -> None:
    assert run("--version").stdout == f"secateur {sc.__version__}\n"
    refusal = process("prune", "x.npy", "s.npy", "--out", "out", cwd=tmp_path)
    assert refusal.communicate() == ("", "secateur: FEATURES must be a file, got 'x.npy', which does not exist.\n")
    assert refusal.returncode == 2


def test_python_m_secateur_is_the_command_line() -> None:
    words = [sys.executable, "-W", "error", "-m", "secateur", "prunner"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Usage: secateur [OPTIONS] COMMAND [ARGS]...\n")


@pytest.mark.parametrize(
    ("python", "program", "arguments", "expected"),
    [
        (["python"], "/bin/secateur", ["demo"], True),
        (["python", "-W", "error", "-m", "secateur"], "-m", ["demo"], True),
        (["python", "-msecateur"], "-m", [], True),
        (["python", "-m", "secateur.cli"], "-m", ["demo", "--out", "d"], True),
        (["python", "-m", "pytest"], "-m", ["secateur"], False),
        (["python", "-m", "timeit"], "-m", ["import", "secateur.cli"], False),
        (["python", "-c", "import secateur"], "-c", [], False),
        (["python"], "", [], False),
    ],
)
def test_only_the_command_line_takes_signals(
    python: list[str], program: str, arguments: list[str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``import secateur`` leaves the handlers of other programs alone, whatever their arguments are."""
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    monkeypatch.setattr(sys, "orig_argv", [*python, *arguments])
    assert is_command() is expected


def _interrupt(running: subprocess.Popen[str], after: str, number: signal.Signals = signal.SIGINT) -> str:
    """Send a signal, Ctrl-C by default, soon after a line is seen; return the last line of stderr."""
    assert running.stderr is not None
    for line in running.stderr:
        if after in line:
            break
    time.sleep(0.3)
    running.send_signal(number)
    _, told = running.communicate(timeout=20)
    return told


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
def test_interrupted_while_computing(tmp_path: Path) -> None:
    running = process("demo", "--permutations", "100000", "--threads", "1", cwd=tmp_path)
    assert _interrupt(running, "Pruning again") == "secateur: interrupted, nothing was written.\n"
    assert running.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (getattr(signal, "SIGHUP", None), 129)])
def test_ended_while_computing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """As by a scheduler, or with the terminal."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored where these tests run (nohup), and so by what they start")
    running = process("demo", "--permutations", "100000", "--threads", "1", cwd=tmp_path)
    assert _interrupt(running, "Pruning again", number) == f"secateur: ended by {number.name}, nothing was written.\n"
    assert running.returncode == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("typer", ["demo"]),
        ("secateur.reading", ["--any-size", "demo"]),  # loads before the command begins
        ("sklearn", ["demo"]),
        ("sklearn", ["study", "example", "fmri"]),
    ],
)
def test_interrupted_while_modules_load(module: str, words: list[str]) -> None:
    script = f"""
import os, signal, sys, time
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
sys.meta_path.insert(0, Finder())
sys.argv[0] = "secateur"
from secateur.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "secateur: interrupted, nothing was written.\n")
    assert done.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="streams are closed as POSIX does")
@pytest.mark.parametrize(
    ("streams", "unbuffered"),
    [(">&- 2>&- <&-", ""), ("2>&1 | true", ""), ("2>&1 | true", "1"), (">/dev/full 2>&1", "")],
)
def test_streams_that_are_closed_or_go(here: Path, streams: str, unbuffered: str) -> None:
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = f'"{sys.executable}" -W error -m secateur.cli prune x.npy s.npy --out out --cv 3'
    bash = f"{{ {command}; echo $? > code; }} {streams}" if "|" in streams else f"{command} {streams}; echo $? > code"
    subprocess.run(["sh", "-c", bash], check=True, timeout=120, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert (here / "code").read_text() == "0\n"
    assert sorted(p.name for p in (here / "out").iterdir()) == sorted({*folder.FILES, *REPORT} - {"permutations.nc"})
    with xarray.open_dataset(here / "out" / "result.nc", engine="h5netcdf") as result:
        assert result.sizes["fold"] == 3


@pytest.mark.skipif(os.name == "nt", reason="a process is killed as POSIX does")
def test_what_a_killed_run_left_is_removed_by_the_next(here: Path) -> None:
    script = "import os, signal; from secateur import cli; from secateur.report import folder\n"
    script += "folder.markdown = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\ncli.main()"
    words = ["prune", "x.npy", "s.npy", "--out", "out", "--cv", "3"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    (left,) = here.glob(".out-*.partial")
    mine = here / re.sub(r"-\d+-", f"-{os.getpid()}-", left.name)
    others = here / left.name.replace(host_name(), "another.machine")
    unlike = here / left.name.replace(".out-", ".outer-")
    for place in (mine, others, unlike):
        shutil.copytree(left, place)
    assert run(*words).exit_code == 0
    assert sorted(here.glob(".*")) == sorted([mine, others, unlike])


@pytest.mark.skipif(os.name == "nt", reason="a process is killed as POSIX does")
def test_a_result_that_a_killed_run_had_moved_aside_comes_back(here: Path) -> None:
    words = ["prune", "x.npy", "s.npy", "--out", "out", "--cv", "3"]
    assert run(*words).exit_code == 0
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (here / "out").rename(here / f".out-{host_name()}-{gone.pid}-0123abcd.old")
    assert "unless overwrite is given" in run(*words).stderr
    assert sorted(p.name for p in (here / "out").iterdir()) == sorted({*folder.FILES, *REPORT} - {"permutations.nc"})


@pytest.mark.skipif(sys.platform != "linux", reason="files are limited as Linux does")
def test_a_disk_that_fills_while_results_are_written(here: Path) -> None:
    """Files above 10 KiB can't be written: HDF5 itself would crash."""
    script = "import resource; from secateur import cli\n"
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (10240, 10240)); cli.main()"
    words = ["prune", "x.npy", "s.npy", "--out", "deep/out", "--cv", "3"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("secateur: File too large")
    assert done.stderr.endswith("nothing was written.\n")
    assert sorted(p.name for p in here.iterdir()) == ["s.npy", "x.npy"]


def test_names_are_drawn_as_they_are(tmp_path: Path, X: Any, S: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dollars are no mathematics, here wrong mathematics; the whole run ends well."""
    monkeypatch.chdir(tmp_path)
    odd = r"$\bad{$"
    np.savez("x$_{$.npz", X=X, labels=[f"{odd} {i}" for i in range(N)], feature=[f"={odd}{k}" for k in range(D)])
    np.save("s$^{$.npy", S)
    Path("g.csv").write_text("\n".join(f"{odd} {'abc'[i % 3]}" for i in range(N)))
    outcome = run("prune", "x$_{$.npz", "s$^{$.npy", "--groups", "g.csv", "--out", "$out$", "--cv", "3")
    assert outcome.exit_code == 0, outcome.output
    kept = pandas.read_csv("$out$/kept_features.csv")
    assert set(kept.feature) == {f"'={odd}{k}" for k in range(D)}
    with xarray.open_dataset("$out$/result.nc", engine="h5netcdf") as result:
        assert list(result.feature.values) == [f"={odd}{k}" for k in range(D)]


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
def test_interrupted_while_writing(here: Path) -> None:
    script = "import time; from secateur import cli; from secateur.report import folder\n"
    script += "folder.markdown = lambda *_, **__: time.sleep(60)\ncli.main()"
    running = subprocess.Popen(
        [sys.executable, "-c", script, "prune", "x.npy", "s.npy", "--out", "deep/out"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not list(here.glob("deep/.out-*.partial/summary.csv")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=20)
    assert told.splitlines()[-1] == "secateur: interrupted, nothing was written."
    assert running.returncode == 130
    assert sorted(p.name for p in here.iterdir()) == ["s.npy", "x.npy"]


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("demo", "--permutations", "1", "--out", "d")
    assert outcome.exit_code == 0, outcome.output
    shown = outcome.stdout
    assert "0.447 ± 0.029" in shown
    assert "WordNet (Wu-Palmer)" in shown
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == sorted([*folder.FILES, *REPORT])
    assert max(map(len, shown.splitlines())) <= 80
    features, target = json.loads((tmp_path / "d" / "settings.json").read_text(encoding="utf-8"))["inputs"]
    assert (features["shape"], target["shape"]) == ([398, 1280], [398, 398])
    assert len(features["first_stimuli"]) == 3


def test_the_library_does_without_typer() -> None:
    script = "import sys, secateur; assert not {'typer', 'matplotlib', 'xarray', 'h5py', 'scipy.io'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


# Readers --------------------------------------------------------------------------------------------------------


def test_npy_and_npz(tmp_path: Path, X: Any, S: Any) -> None:
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    read = files.read_features_file(str(tmp_path / "x.npy"))
    assert read.values.dtype == np.float32
    assert read.stimuli is None
    np.savez_compressed(tmp_path / "x.npz", X=X, labels=np.array(NAMES), feature=np.array(list("abcdefghijkl")))
    read = files.read_features_file(str(tmp_path / "x.npz"))
    np.testing.assert_array_equal(read.values, X)
    assert read.stimuli == tuple(NAMES)
    assert read.names == tuple("abcdefghijkl")
    assert read.key == "X"
    np.savez(tmp_path / "s.npz", rdm=S[SQUARE], stimuli=np.char.encode(np.array(NAMES)))
    target = files.read_target_file(str(tmp_path / "s.npz:rdm"))
    np.testing.assert_array_equal(target.values, S[SQUARE])
    assert target.stimuli == tuple(NAMES)


def test_a_colon_in_a_name_is_part_of_it(tmp_path: Path, X: Any) -> None:
    np.savez(tmp_path / "a:b.npz", X=X, Y=X)
    assert files.read_features_file(str(tmp_path / "a:b.npz:Y")).key == "Y"


def test_csv_of_a_data_frame(tmp_path: Path, X: Any, S: Any) -> None:
    place = str(tmp_path / "x.csv")
    for frame, stimuli, names in (
        (pandas.DataFrame(X), None, None),
        (pandas.DataFrame(X, index=NAMES), tuple(NAMES), None),
        (pandas.DataFrame(X, columns=list("abcdefghijkl")), None, tuple("abcdefghijkl")),
        (pandas.DataFrame(X, NAMES, list("abcdefghijkl")), tuple(NAMES), tuple("abcdefghijkl")),
        (pandas.DataFrame(X, pandas.Index(np.arange(100, 124), name="id")), tuple(map(str, range(100, 124))), None),
        (pandas.DataFrame(X, pandas.Index(NAMES, name="stimulus")), tuple(NAMES), None),
    ):
        frame.to_csv(place)
        read = files.read_features_file(place)
        np.testing.assert_array_equal(read.values, X)
        assert read.stimuli == stimuli
        assert read.names == names
        assert len(read.notes) == 1
    pandas.DataFrame(S, NAMES, NAMES).to_csv(place)
    target = files.read_target_file(place)
    np.testing.assert_array_equal(target.values, S)
    assert target.stimuli == tuple(NAMES)


def test_csv_without_headings(tmp_path: Path, X: Any) -> None:
    place = tmp_path / "x.csv"
    np.savetxt(place, X, delimiter=",", header="a comment")
    read = files.read_features_file(str(place))
    np.testing.assert_allclose(read.values, X)
    assert read.stimuli is None
    assert "neither heading nor names" in read.notes[0]
    place.write_text("dog;1;2\ncat;3;\nant;5;NA\n")
    read = files.read_features_file(str(place))
    np.testing.assert_array_equal(read.values, [[1, 2], [3, np.nan], [5, np.nan]])
    assert read.stimuli == ("dog", "cat", "ant")
    tabs = tmp_path / "x.tsv"
    tabs.write_text("a\tb\n1\t2\n3\t4\n5\t6\n")
    read = files.read_features_file(str(tabs))
    np.testing.assert_array_equal(read.values, [[1, 2], [3, 4], [5, 6]])
    assert read.names == ("a", "b")
    place.write_text("0,5,6\n1,7,9\n2,3,3\n")
    read = files.read_features_file(str(place))
    assert read.values.shape == (3, 3)
    assert "counts the rows and was read as a feature" in read.notes[1]
    place.write_text("r\n0.5\n0.25\n0.125\n")
    np.testing.assert_array_equal(files.read_target_file(str(place)).values, [0.5, 0.25, 0.125])
    place.write_text(",a,b\na,1,2\nb,2,1\n".replace("b,2", "c,2"))
    with pytest.raises(files.FileError, match="name its rows and columns alike"):
        files.read_target_file(str(place))


def test_mat(tmp_path: Path, X: Any, S: Any) -> None:
    place = tmp_path / "x.mat"
    stack = np.stack([S, 2 * S], axis=-1)
    held = {"X": X, "S": S, "stack": stack, "pairs": S[SQUARE], "labels": np.array(NAMES, dtype=object)}
    scipy.io.savemat(place, {**held, "n": 3.0, "struct": {"a": 1}})
    read = files.read_features_file(f"{place}:X")
    np.testing.assert_array_equal(read.values, X)
    assert read.stimuli == tuple(NAMES)
    target = files.read_target_file(f"{place}:stack")
    np.testing.assert_array_equal(target.values, np.stack([S, 2 * S]))
    assert "along its last dimension" in target.notes[0]
    np.testing.assert_array_equal(files.read_target_file(f"{place}:pairs").values, S[SQUARE])
    with pytest.raises(files.FileError, match=r"several arrays: X \(24, 12\), S \(24, 24\)"):
        files.read_features_file(str(place))
    scipy.io.savemat(place, {"X": X, "items": np.array(["ab ", "cde"] * 12)})
    assert files.read_features_file(str(place)).stimuli == ("ab", "cde") * 12


def test_mat_version_7_3(tmp_path: Path, X: Any, S: Any) -> None:
    """As MATLAB writes it: dimensions reversed, cells as references to arrays of character codes."""
    place = tmp_path / "x.mat"
    with h5py.File(place, "w") as file:
        for name, values in (("X", X), ("S", S + np.arange(N)), ("stack", np.stack([S, 2 * S, S], axis=-1))):
            file[name] = values.T
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
        references = []
        for i, name in enumerate(NAMES):
            file[f"#refs#/{i}"] = np.array([[ord(c)] for c in name], dtype=np.uint16)
            file[f"#refs#/{i}"].attrs["MATLAB_class"] = np.bytes_("char")
            references.append(file[f"#refs#/{i}"].ref)
        file.create_dataset("labels", data=np.array([references], dtype=h5py.ref_dtype))
        file["labels"].attrs["MATLAB_class"] = np.bytes_("cell")
    read = files.read_features_file(f"{place}:X")
    np.testing.assert_array_equal(read.values, X)
    assert read.stimuli == tuple(NAMES)
    np.testing.assert_array_equal(files.read_target_file(f"{place}:S").values, S + np.arange(N))
    assert files.read_target_file(f"{place}:stack").values.shape == (3, N, N)
    taken = files.read_features_file(str(place))
    np.testing.assert_array_equal(taken.values, X)
    assert "x.mat:X was taken as FEATURES" in taken.notes[-1]
    with pytest.raises(files.FileError, match=r"several arrays: S \(24, 24\), X \(24, 12\), stack"):
        files.read_target_file(str(place))


def test_hdf5_and_netcdf(tmp_path: Path, X: Any, S: Any) -> None:
    place = tmp_path / "x.h5"
    with h5py.File(place, "w") as file:
        file["layers/pool"] = X
        file["layers/fc"] = X[:, :3]
        file["stimuli"] = NAMES
        file["empty"] = h5py.Empty("f4")
    read = files.read_features_file(f"{place}:layers/fc")
    np.testing.assert_array_equal(read.values, X[:, :3])
    assert read.stimuli == tuple(NAMES)
    with pytest.raises(files.FileError, match=r"layers/fc \(24, 3\), layers/pool \(24, 12\)"):
        files.read_features_file(str(place))
    data = xarray.DataArray(X, dims=("stimulus", "feature"), coords={"stimulus": NAMES}, name="X")
    data.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    read = files.read_features_file(str(tmp_path / "x.nc"))
    np.testing.assert_array_equal(read.values, X)
    assert read.stimuli == tuple(NAMES)
    numbered = data.assign_coords(stimulus=np.arange(N))
    numbered.to_netcdf(tmp_path / "x.nc", engine="h5netcdf", mode="w")
    assert files.read_features_file(str(tmp_path / "x.nc")).key == "X"


def test_rsatoolbox_rdms(tmp_path: Path, S: Any) -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rdms = rsatoolbox.rdm.RDMs(S[SQUARE][None], pattern_descriptors={"conds": NAMES})
    rdms.save(str(tmp_path / "r.hdf5"), file_type="hdf5")
    read = files.read_target_file(f"{tmp_path / 'r.hdf5'}:dissimilarities")
    np.testing.assert_array_equal(read.values, S[SQUARE])
    assert read.stimuli == tuple(NAMES)


# Matching -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["square", "packed", "stack", "rows"])
def test_stimuli_are_matched_by_name(form: str, S: Any) -> None:
    order = np.random.default_rng(1).permutation(N)
    mixed = S[np.ix_(order, order)]
    forms = {
        "square": (mixed, S),
        "packed": (mixed[SQUARE], S[SQUARE]),
        "stack": (np.stack([mixed, 2 * mixed]), np.stack([S, 2 * S])),
        "rows": (np.stack([mixed[SQUARE], -mixed[SQUARE]]), np.stack([S[SQUARE], -S[SQUARE]])),
    }
    values, expected = forms[form]
    features = files.Loaded(np.zeros((N, D)), tuple(NAMES), None, Path("x.csv"))
    target = files.Loaded(values, tuple(NAMES[i] for i in order), None, Path("s.csv"))
    matched, note = files.match(target, features)
    np.testing.assert_array_equal(matched, expected)
    first, before = (", ".join(names[:3]) for names in (NAMES, [NAMES[i] for i in order]))
    said = "the stimuli of s.csv were reordered by name to the order of x.csv"
    assert note == f"{said}: {first}, … where they were {before}, …"


def test_names_that_differ_are_named() -> None:
    features = files.Loaded(np.zeros((3, 2)), ("ant", "bee", "cow"), None, Path("x.csv"))

    def target(*names: str) -> files.Loaded:
        return files.Loaded(np.eye(3), names or None, None, Path("s.csv"))

    assert files.match(target("ant", "bee", "cow"), features)[1] is None
    taken = "s.csv names no stimuli: its order is taken to be that of x.csv: ant, bee, cow"
    assert files.match(target(), features)[1] == taken
    silent = files.Loaded(np.zeros((3, 2)), None, None, Path("x.csv"))
    taken = "neither x.csv nor s.csv names stimuli: their order is taken to be the same"
    assert files.match(target(), silent)[1] == taken
    with pytest.raises(files.FileError, match=r"lacks 'bee', 'cow' and has 'dog', 'Bee' beside them"):
        files.match(target("ant", "dog", "Bee"), features)
    with pytest.raises(files.FileError, match=r"s\.csv must name each stimulus once .* got 'ant' twice"):
        files.match(target("ant", "ant", "bee"), features)


def test_reordering_is_said_and_right(here: Path, X: Any, S: Any) -> None:
    order = np.random.default_rng(2).permutation(N)
    names = [NAMES[i] for i in order]
    pandas.DataFrame(X, NAMES).to_csv("x.csv")
    pandas.DataFrame(S[np.ix_(order, order)], names, names).to_csv("s.csv")
    pandas.DataFrame({"name": names, "group": ["a", "b"] * (N // 2)}).to_csv("g.csv", index=False)
    outcome = run("prune", "x.csv", "s.csv", "--out", "out", "--groups", "g.csv")
    assert outcome.exit_code == 0, outcome.output
    assert "note: the stimuli of s.csv were reordered by name to the order of x.csv: " in outcome.stderr
    with xarray.open_dataset("out/result.nc", engine="h5netcdf") as result:
        expected = sc.cross_validate(X, S, progress=False)
        np.testing.assert_allclose(result.pruned_test.values, expected.pruned_test.values, atol=1e-12)
        assert result.stimulus.values.tolist() == NAMES
    settings = json.loads(Path("out/settings.json").read_text(encoding="utf-8"))
    first = {told["role"]: told["first_stimuli"] for told in settings["inputs"]}
    assert (first["features"], first["target"]) == (NAMES[:3], names[:3])
    assert "lacks 'item 0'" in refused("prune", "x.csv", _renamed("s.csv"), "--out", "o")


def test_what_is_taken_for_granted_is_kept(here: Path, X: Any) -> None:
    """Where names are missing nothing can notice another order: summary and settings say what was taken for it."""
    pandas.DataFrame(X, NAMES).to_csv("x.csv")
    for place, note in (
        ("x.csv", f"s.npy names no stimuli: its order is taken to be that of x.csv: {', '.join(NAMES[:3])}, …"),
        ("x.npy", "neither x.npy nor s.npy names stimuli: their order is taken to be the same"),
    ):
        outcome = run("prune", place, "s.npy", "--out", "out", "--cv", "3", "--overwrite")
        assert outcome.exit_code == 0, outcome.output
        assert f"note: {note}." in outcome.stderr
        inputs = Path("out/summary.md").read_text(encoding="utf-8").partition("\n## Inputs\n")[2]
        assert inputs.endswith(f"- {note}.\n")
        settings = json.loads(Path("out/settings.json").read_text(encoding="utf-8"))
        assert settings["notes"][-1] == note
        assert settings["inputs"][0]["first_stimuli"] == (NAMES[:3] if place == "x.csv" else None)
        assert settings["inputs"][1]["first_stimuli"] is None


def test_packed_pairs_need_a_kind(here: Path, X: Any) -> None:
    """Dissimilarities that passed as similarities gave a "gain" from below zero to nearer zero."""
    rng = np.random.default_rng(3)
    rdm = pdist(X[:, :6], "cosine") + 0.3 * rng.normal(size=N * (N - 1) // 2)
    np.save("rdm.npy", rdm)
    words = refused("prune", "x.npy", "rdm.npy", "--out", "out")
    assert words.startswith("secateur: rdm.npy: --kind must be said for packed pairs, which don't tell whether larger")
    assert words.endswith("pass --kind similarity or --kind dissimilarity.")
    wrong = run("prune", "x.npy", "rdm.npy", "--out", "wrong", "--kind", "similarity", "--permutations", "2")
    assert wrong.exit_code == 0, wrong.output
    said = re.findall("warning: the mean full alignment is below zero.*", wrong.stderr)
    assert len(said) == 1
    assert "read as similarities, holds dissimilarities (pass --kind dissimilarity), or the features'" in said[0]
    assert "no evidence of a fit" in said[0]
    page = Path("wrong/summary.md").read_text(encoding="utf-8")
    assert "- The mean full alignment is below zero" in page
    table = pandas.read_csv("wrong/summary.csv").iloc[0]
    assert table.full_test < 0
    assert table.below_zero == (table.pruned_test < 0)
    assert ("†: the pruned alignment is below zero too" in page) == (table.gain > 0 and table.pruned_test < 0)
    right = run("prune", "x.npy", "rdm.npy", "--out", "right", "--kind", "dissimilarity")
    assert "below zero" not in right.output
    assert not pandas.read_csv("right/summary.csv").below_zero[0]


def _renamed(name: str) -> str:
    Path("renamed.csv").write_text(Path(name).read_text().replace("item 0,", "item zero,"))
    text = Path("renamed.csv").read_text().replace("item 0\n", "item zero\n")
    Path("renamed.csv").write_text(text)
    return "renamed.csv"


def test_groups_by_name_and_by_order(tmp_path: Path) -> None:
    stimuli = ("ant", "bee", "cow")
    place = tmp_path / "g.csv"
    place.write_text("stimulus,group\ncow,mammal\nant,insect\nbee,insect\n")
    read = files.read_groups_file(str(place), 3, stimuli)
    assert read.values.tolist() == ["insect", "insect", "mammal"]
    read = files.read_groups_file(str(place), 3, None)
    assert read.values.tolist() == ["mammal", "insect", "insect"]
    assert "its own order" in read.notes[0]
    with pytest.raises(files.FileError, match="lacks 'dog'"):
        files.read_groups_file(str(place), 3, ("ant", "bee", "dog"))
    np.savez(tmp_path / "g.npz", groups=np.array([1, 1, 2]), other=np.zeros((3, 3)))
    assert files.read_groups_file(str(tmp_path / "g.npz"), 3, stimuli).values.tolist() == ["1", "1", "2"]
    place.write_text("a,b,c\n")
    with pytest.raises(files.FileError, match="one column"):
        files.read_groups_file(str(place), 3, stimuli)


def test_a_target_in_a_netcdf_file_says_its_kind_and_its_stimuli(here: Path, X: Any, S: Any) -> None:
    pandas.DataFrame(X, NAMES).to_csv("x.csv")
    order = np.roll(np.arange(N), 5)
    pairs = -S[np.ix_(order, order)][SQUARE]
    attrs = {"kind": "dissimilarity", "stimuli": [NAMES[i] for i in order]}
    xarray.DataArray(pairs, dims="pair", name="rdm", attrs=attrs).to_netcdf("r.nc", engine="h5netcdf")
    assert run("prune", "x.csv", "r.nc", "--out", "out").exit_code == 0
    expected = sc.cross_validate(X, -S[SQUARE], sc.Pruner(kind="dissimilarity"), progress=False)
    with xarray.open_dataset(here / "out" / "result.nc", engine="h5netcdf") as result:
        np.testing.assert_array_equal(result.pruned_test.values, expected.pruned_test.values)
        assert result.attrs["kind"] == "dissimilarity"
    told = refused("prune", "x.csv", "r.nc", "--kind", "similarity", "--out", "b")
    assert "r.nc:rdm says that it holds dissimilarities: pass --kind dissimilarity, got 'similarity'" in told
    # An attribute of another word, and a file that has none, say nothing.
    xarray.DataArray(pairs, dims="pair", name="rdm", attrs={"kind": "rdm"}).to_netcdf("q.nc", engine="h5netcdf")
    assert "kind must be said for packed pairs" in refused("prune", "x.npy", "q.nc", "--out", "b")
    few = xarray.DataArray(pairs, dims="pair", name="rdm", attrs={**attrs, "stimuli": NAMES[:-1]})
    few.to_netcdf("few.nc", engine="h5netcdf")
    told = refused("prune", "x.csv", "few.nc", "--out", "b")
    assert "few.nc:rdm must name each of 24 stimuli, got 23 names in its attribute stimuli" in told


# Help -----------------------------------------------------------------------------------------------------------


def commands_of(command: Any, *names: str) -> Any:
    yield names, command
    for name, own in getattr(command, "commands", {}).items():
        yield from commands_of(own, *names, name)


@pytest.mark.parametrize("words", [words for words, _ in commands_of(typer.main.get_command(cli.app))], ids=" ".join)
def test_every_command_has_short_help(words: tuple[str, ...]) -> None:
    short, long = (run(*words, option) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output
    assert "Usage: secateur" in short.output


@pytest.mark.parametrize("words", [(), ("study",)])
def test_commands_are_in_the_order_of_use_with_whole_summaries(words: tuple[str, ...]) -> None:
    shown = run(*words, "--help").output
    assert "..." not in shown.replace("[ARGS]...", "")
    if not words:
        listed = re.findall(r"^  (\w+)  ", shown.partition("Commands:")[2], re.MULTILINE)
        assert listed == ["demo", "prune", "timecourse", "embed", "maps", "heatmap", "finetune", "study", "report"]


def test_shells_complete_commands_and_options() -> None:
    for line, found in (("secateur ti", "timecourse"), ("secateur prune --max", "--max-features")):
        asked = {"_SECATEUR_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        outcome = CliRunner().invoke(cli.app, [], prog_name="secateur", env=asked)
        assert outcome.output.split() == [found]
    assert "--install-completion" in run("--help").output


def test_every_option_says_what_its_value_does() -> None:
    for words, command in commands_of(typer.main.get_command(cli.app)):
        for option in command.params:
            said = option.help or ""
            assert len(said.split()) >= 3, (words, option.name)
            assert said.endswith("."), (words, option.name)
            assert not re.match("Of |By ", said), (words, option.name)
