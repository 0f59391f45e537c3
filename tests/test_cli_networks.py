"""secateur embed, maps and heatmap: from photographs to a folder, whole or absent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image
from typer.testing import CliRunner

from dictionaries import check_dictionary
from secateur import networks
from secateur.cli import app
from secateur.report.contents import REPORT
from secateur.report.dictionary import DICTIONARY

RANDOM = ("--network", "squeezenet1_1", "--weights", "none")
RNG = np.random.default_rng(11)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Six photographs in two categories, and a target over them."""
    folder = tmp_path_factory.mktemp("set")
    for i in range(6):
        (folder / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = (RNG.random((230, 260, 3)) * RNG.uniform(0.1, 1, 3) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / "ab"[i % 2] / f"{i}.png")
    np.save(folder / "rdm.npy", 1 - np.corrcoef(RNG.normal(size=(6, 4))).round(12))
    return folder


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def files(folder: Path):
    return {file.name for file in folder.iterdir()}


def test_embed_then_prune(place, tmp_path):
    done = call("embed", place / "photos", "--out", tmp_path / "out", *RANDOM)
    assert done.exit_code == 0, done.output
    assert "6 images × 512 features" in done.output
    assert "random weights" in done.output
    assert files(tmp_path / "out") == {
        "embedding.nc",
        "images.png",
        "best_images.png",
        "settings.json",
        DICTIONARY,
        *REPORT,
    }
    check_dictionary(tmp_path / "out")
    with xarray.open_dataarray(tmp_path / "out" / "embedding.nc", engine="h5netcdf") as X:
        assert X.dims == ("stimulus", "feature")
        assert X["stimulus"].values.tolist() == ["a/0", "a/2", "a/4", "b/1", "b/3", "b/5"]
        own = networks.embed(networks.load("squeezenet1_1", weights=None), place / "photos", progress=False)
        np.testing.assert_array_equal(X.values, own.values)  # to the bit
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["program"] == "secateur"
    assert settings["network"] == "squeezenet1_1"
    pruned = call(
        "prune", tmp_path / "out" / "embedding.nc", place / "rdm.npy", "--kind", "dissimilarity", "--cv", 2,
        "--out", tmp_path / "pruned",
    )  # fmt: skip
    assert pruned.exit_code == 0, pruned.output


def test_maps(place, tmp_path):
    done = call(
        "maps", place / "photos", place / "rdm.npy", "--kind", "dissimilarity", "--cv", 2, "--repeats", 1,
        "--out", tmp_path / "out", *RANDOM,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {"importance.nc", "selection.nc", "summary.md", "curves.png", "held_out.png", "best_images.png"} < files(
        tmp_path / "out"
    )
    check_dictionary(tmp_path / "out")
    with xarray.open_dataset(tmp_path / "out" / "importance.nc", engine="h5netcdf") as scores:
        assert scores["importance"].dims == ("map",)


@pytest.fixture
def small_transformer(monkeypatch):
    """``--network`` loads a small one, whatever its name."""
    import vision_models

    monkeypatch.setattr(networks, "load", lambda name, *args, **options: vision_models.make("vit"))


@pytest.mark.usefixtures("small_transformer")
def test_parts_of_a_transformer(place, tmp_path):
    ask = ("--kind", "dissimilarity", "--weights", "none", "--network", "timm:any")
    few = ("--cv", 2, "--repeats", 1)
    done = call(
        "maps", place / "photos", place / "rdm.npy", "--parts", "heads", *few, *ask, "--out", tmp_path / "heads"
    )
    assert done.exit_code == 0, done.output
    assert "Scoring the heads of vit" in done.output
    assert "Heads of vit, selected by rdm" in done.output
    with xarray.open_dataset(tmp_path / "heads" / "importance.nc", engine="h5netcdf") as scores:
        assert scores["importance"].dims == ("part",)
        assert scores["block"].values.tolist() == [0] * 4 + [1] * 4
        assert (scores.attrs["parts"], scores.attrs["fill"]) == ("heads", "zero")
    assert "block 1 head 3" in (tmp_path / "heads" / "kept_features.csv").read_text()
    for words in (done.output, (tmp_path / "heads" / "report.html").read_text(encoding="utf-8")):
        assert "alignment importance of the heads (netCDF)" in words
        assert "feature maps" not in words
    done = call(
        "maps", place / "photos", place / "rdm.npy", "--parts", "neurons", "--blocks", "-2,-1", "--fill", "mean", *few,
        *ask, "--out", tmp_path / "neurons",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "neurons" / "settings.json").read_text())["blocks"] == "-2,-1"
    drawn = call(
        "heatmap", place / "photos", place / "rdm.npy", "--parts", "channels", *ask, "--out", tmp_path / "heat"
    )
    assert drawn.exit_code == 0, drawn.output
    done = call("embed", place / "photos", "--layer", "-1", "--tokens", "cls+mean", *ask[2:], "--out", tmp_path / "X")
    assert "6 images × 64 features" in done.output
    for words, told in (
        (("maps", "--parts", "tokens"), "parts must be one of"),
        (("maps", "--parts", "heads", "--blocks", "one"), "--blocks: blocks must be numbers with commas"),
        (("heatmap", "--parts", "heads"), "--parts: parts must be maps or channels"),
        (("maps",), "pass parts='channels'"),
    ):
        command, *more = words
        done = call(command, place / "photos", place / "rdm.npy", *more, *ask, "--out", tmp_path / "no")
        assert done.exit_code == 2
        assert told in " ".join(done.output.split())
        assert not (tmp_path / "no").exists()


def test_heatmap_with_saliency_from_files(place, tmp_path):
    for i in range(6):
        grey = np.zeros((115, 130), np.uint8)
        grey[10 * i : 10 * i + 30] = 200
        Image.fromarray(grey).save(tmp_path / f"{i}.png")
    out = tmp_path / "out"
    done = call(
        "heatmap", place / "photos", place / "rdm.npy", "--kind", "dissimilarity", "--saliency", tmp_path, "--out", out,
        *RANDOM,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert files(out) == {
        "heatmaps.nc", "importance.nc", "saliency.nc", "saliency.csv", "heatmaps.png", "contours.png",
        "best_images.png", "precision_recall.png", "settings.json", DICTIONARY, *REPORT,
    }  # fmt: skip
    check_dictionary(out)
    with xarray.open_dataarray(out / "heatmaps.nc", engine="h5netcdf") as heat:
        assert heat.shape == (6, 224, 224)
    again = call("heatmap", place / "photos", place / "rdm.npy", "--out", out, *RANDOM)
    assert again.exit_code == 2
    assert "unless overwrite is given" in again.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("embed", "nowhere"), "images must be a folder or files that exist"),
        (("embed", "photos", "--layer", "fc9"), "layer must be a module of squeezenet1_1"),
        (("maps", "photos", "nothing.npy"), "TARGET must be a file"),
        (("heatmap", "photos", "rdm.npy", "--kind", "similarity"), "pass --kind dissimilarity"),
        (("heatmap", "photos", "two.npy", "--kind", "dissimilarity"), "TARGET must be one target, got 2"),
        (("heatmap", "photos", "rdm.npy", "--kind", "dissimilarity", "--saliency", "no"), "--saliency: source must be"),
    ],
)
def test_bad_input_ends_in_a_sentence(place, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(place)
    np.save(place / "two.npy", RNG.random((2, 15)))
    done = call(*words, "--out", tmp_path / "out", *RANDOM)
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
    assert "Scoring" not in done.output  # said at once, not after the work
    assert not (tmp_path / "out").exists()
    assert not [file for file in tmp_path.iterdir() if file.name.endswith(".partial")]
