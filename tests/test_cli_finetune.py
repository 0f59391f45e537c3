"""secateur finetune: a folder of images and a matrix in, a folder of results out, whole or absent."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="torch is not installed")

import secateur as sc  # noqa: E402
from dictionaries import check_dictionary  # noqa: E402
from secateur import networks  # noqa: E402
from secateur.cli import app  # noqa: E402
from secateur.finetuning import trainer  # noqa: E402
from secateur.report import finetuning  # noqa: E402
from secateur.report.contents import REPORT  # noqa: E402

NAMES = [f"picture{i}" for i in range(18)]
QUICK = ["--network", "squeezenet1_1", "--weights", "random", "--size", "48", "--freeze", "up to features.11"]
QUICK += ["--epochs", "2", "--cv", "2", "--validation", "3"]


def run(*arguments):
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for name in NAMES:
        pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
    rdms = rng.random((3, 18, 18))
    rdms = (rdms + rdms.transpose(0, 2, 1)) * (1 - np.eye(18))
    np.save(folder / "subjects.npy", rdms)
    np.savez(folder / "named.npz", rdm=rdms[0][::-1, ::-1], labels=NAMES[::-1])
    return folder


def test_subjects(inputs, tmp_path):
    out = tmp_path / "out"
    done = run(inputs / "images", inputs / "subjects.npy", *QUICK, "--out", out, "--checkpoint", tmp_path / "t.pt")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {*finetuning.CONTENTS, *REPORT}
    check_dictionary(out)
    for words in ("| tuned + pruned |", "| fine-tuned |", "% of explainable variance", "mean of all 3 subjects'"):
        assert words in done.stdout
        assert words in (out / "summary.md").read_text(encoding="utf-8")
    assert "subjects.npy names no stimuli" in done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("Fine-tuning ")
    assert " pruning " in first
    assert (out / "summary.md").read_text(encoding="utf-8").splitlines()[0] == first
    settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    assert settings["training"]["freeze"] == "up to features.11"
    assert settings["training"]["held_out_images"] == 6
    assert len((out / "history.csv").read_text().splitlines()) == 4  # a heading, untouched, two epochs
    net = networks.load("squeezenet1_1", out / "network.pt")
    assert net.module.features[0].weight.shape == (64, 3, 3, 3)
    again = run(inputs / "images", inputs / "subjects.npy", *QUICK, "--out", out)
    assert again.exit_code == 2
    assert "unless overwrite is given" in again.stderr
    assert run(inputs / "images", inputs / "subjects.npy", *QUICK, "--out", out, "--overwrite").exit_code == 0


def test_one_matrix_matched_by_name(inputs, tmp_path):
    done = run(inputs / "images", f"{inputs / 'named.npz'}:rdm", *QUICK, "--out", tmp_path / "out", "--every-layer")
    assert done.exit_code == 0, done.stderr
    assert "the stimuli of named.npz were reordered by name to the order of images" in done.stderr
    assert not (tmp_path / "out" / "explained.png").exists()
    assert "classifier" not in done.stdout
    assert (tmp_path / "out" / "history.csv").read_text().splitlines()[0] == "epoch,loss,last_conv,penultimate"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x"], "--network NAME or --preset NAME must be given, got both or neither"),
        (["--out", "x", "--preset", "eeg_late"], "--preset must be one of meg_early, meg_late, fmri_early, fmri_late"),
        ([*QUICK, "--out", "x", "--layer", "features.99"], "layer must be a step of squeezenet1_1, got 'features.99'"),
        ([*QUICK, "--out", "x", "--freeze", "from featurs.3"], "must be a step of squeezenet1_1, got 'featurs.3'"),
        ([*QUICK, "--out", "x", "--loss", "l1"], "loss must be 'mse' or 'correlation', got 'l1'"),
        ([*QUICK, "--out", "x", "--validation", "4"], "validation must be from 2 to 3 folds of 9 images"),
        (["--net", "alexnet", "--weights", "no.pt", "--out", "x"], "weights must be 'default', None or the path"),
    ],
)
def test_refusals(arguments, words, inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(inputs / "images", inputs / "subjects.npy", *arguments)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("secateur: ")
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["none", "None", "random"])
def test_random_weights_have_one_word_in_all_commands(word, inputs, tmp_path, monkeypatch):
    """With weights at random each command goes on to what it refuses next, and says that they are."""
    monkeypatch.chdir(tmp_path)
    net = ["--network", "squeezenet1_1", "--weights", word, "--out", "x"]
    done = run(inputs / "images", inputs / "subjects.npy", *net, "--layer", "features.99")
    assert "layer must be a step of squeezenet1_1" in done.stderr
    assert "squeezenet1_1 has random weights: what it sees means nothing" in done.stderr
    done = CliRunner().invoke(app, ["embed", str(inputs / "images"), *net, "--layer", "fc9"])
    assert "layer must be a module of squeezenet1_1" in done.stderr


def test_images_that_do_not_fit(inputs, tmp_path):
    np.save(tmp_path / "small.npy", np.random.default_rng(0).random((2, 36)))
    done = run(inputs / "images", tmp_path / "small.npy", *QUICK, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "RDM must cover the 18 images of images, got shape 2 × 36" in done.stderr


def test_nothing_is_left_of_a_training_that_fails(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "pair_loss", lambda kind, r, *_: r.sum() * np.nan)
    done = run(inputs / "images", inputs / "subjects.npy", *QUICK, "--out", tmp_path / "out")
    assert done.exit_code == 2
    words = "secateur: loss must stay a number, got nan: lower lr (0.005); the network of epoch 0 is kept.\n"
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_says_that_it_holds_similarities(inputs, tmp_path):
    xarray = pytest.importorskip("xarray")
    held = xarray.DataArray(np.eye(18), dims=("a", "b"), name="s", attrs={"kind": "similarity"})
    held.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    done = run(inputs / "images", tmp_path / "s.nc", *QUICK, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "s.nc:s says that it holds similarities: " in done.stderr


def compared(full, tuned):
    """A comparison without relabellings, its held-out alignments as they are given."""
    rng = np.random.default_rng(0)
    X, rdm = rng.normal(size=(18, 6)), rng.random(153)
    result = sc.compare(X, rdm, {"full": "full", "pruned": "pruned", "fine-tuned": "full"}, cv=2, kind="dissimilarity")
    result = result.copy(deep=True)
    result["test_alignment"].loc[{"approach": "full"}] = full
    result["test_alignment"].loc[{"approach": "pruned"}] = 0.25
    result["test_alignment"].loc[{"approach": "fine-tuned"}] = tuned
    return result


@pytest.mark.parametrize(
    ("tuned", "epoch", "first", "last"),
    [
        (
            0.4,
            2,
            "Fine-tuning helped: it raised the held-out alignment from",
            "So fine-tuning served better, by 0.150,",
        ),
        (0.1, 2, "Fine-tuning did not help: it lowered the held-out alignment", "So pruning served better, by 0.150,"),
        (0.2, 2, "Fine-tuning did not help: it left the held-out", "So pruning served better, by 0.050,"),
        (
            0.4,
            0,
            "Fine-tuning did not help: trained on all images, the network was best before it (epoch 0).",
            "So fine",
        ),
    ],
)
def test_the_verdict(tuned, epoch, first, last):
    said = finetuning.outcome(compared(0.2, tuned), {"best_epoch": epoch})
    assert said[0].startswith(first)
    assert said[1].startswith(last)


def test_a_gain_that_chance_gives_too():
    rng = np.random.default_rng(0)
    X, rdm = rng.normal(size=(18, 6)), rng.random(153)
    methods = {"full": "full", "pruned": "pruned", "fine-tuned": "pruned"}
    how = {"cv": 2, "kind": "dissimilarity", "permutations": 19, "predictions": True}
    result = sc.compare(X, rdm, methods, **how).copy(deep=True)
    result["test_alignment"].loc[{"approach": "full"}] = 0.2
    result["test_alignment"].loc[{"approach": "fine-tuned"}] = 0.201
    first, _ = finetuning.outcome(result, {"best_epoch": 1})
    assert first.startswith("Fine-tuning may have helped, but chance can do as much: it raised the held-out alignment")
    assert "(+0.001, p = 1)" in first
