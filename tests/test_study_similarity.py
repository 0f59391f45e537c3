"""The study of similarity: the numbers of the arrays, the same bytes twice, whole or absent, refusals."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec

import numpy as np
import pandas
import pytest
import scipy.io
import xarray
from typer.testing import CliRunner

import secateur as sc
from dictionaries import check_dictionary
from secateur.cli import app
from secateur.files import FileError
from secateur.report.contents import REPORT
from secateur.study import ConfigError, inputs, read_config, similarity

N, D = 26, 12
STUDY = """
title = "Two minds"
features = "data/x.csv"
groups = "data/groups.csv"
methods = ["full", "pruned", "ridge"]

[targets.behaviour]
file = "data/minds.npz:behaviour"
kind = "dissimilarity"
mean = true

[targets.subjects]
file = "data/minds.npz:subjects"
kind = "similarity"

[targets.other]
file = "data/other.mat"
format = "peterson2018"
features = "data/y.npy"

[folds]
cv = 3
seed = 4
"""


def square(pairs, n, diagonal):
    made = np.full((n, n), float(diagonal))
    made[np.triu_indices(n, 1)] = pairs
    return np.where(np.tri(n, k=-1, dtype=bool), made.T, made)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder with data/ and study.toml, and its arrays."""
    home = tmp_path_factory.mktemp("similarity")
    (home / "data").mkdir()
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(N, D)), rng.normal(size=(24, 7))
    names = [f"stimulus {i}" for i in range(N)]
    pandas.DataFrame(X, names, [f"f{k}" for k in range(D)]).to_csv(home / "data" / "x.csv")
    np.save(home / "data" / "y.npy", Y)
    (home / "data" / "groups.csv").write_text("\n".join(f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)))
    near = sc.similarity(X[:, :4])
    behaviour = 2 - near + rng.normal(size=(3, len(near))) / 3  # three people's dissimilarities
    behaviour[1, 5] = np.nan
    order = rng.permutation(N)  # the file's own order
    stacked = np.stack([square(one, N, 0)[np.ix_(order, order)] for one in behaviour])
    subjects = np.stack([square(near + rng.normal(size=len(near)), N, 1)[np.ix_(order, order)] for _ in range(2)])
    np.savez(home / "data" / "minds.npz", behaviour=stacked, subjects=subjects, stimuli=np.array(names)[order])
    other = square(sc.similarity(Y[:, :3]), 24, 1)
    scipy.io.savemat(home / "data" / "other.mat", {"similarity": other})
    (home / "study.toml").write_text(STUDY)
    back = np.argsort(order)
    return home, X, Y, behaviour, subjects[:, back][:, :, back], other


@pytest.fixture(scope="module")
def written(planted):
    return similarity.run(planted[0] / "study.toml", planted[0] / "out", progress=False)


def opened(path, group=None):
    return xarray.open_dataset(path, engine="h5netcdf", group=group)


def test_the_result_is_that_of_the_arrays(planted, written):
    home, X, Y, behaviour, subjects, other = planted
    targets = {
        "behaviour": (X, -np.nanmean(behaviour, axis=0)),
        "subjects 0": (X, subjects[0]),
        "subjects 1": (X, subjects[1]),
        "other": (Y, other),
    }
    check_dictionary(home / "out")
    with opened(home / "out" / "result.nc") as held:
        assert held["target"].values.tolist() == list(targets)
        assert held["approach"].values.tolist() == ["full", "pruned", "ridge"]
        for name, (features, target) in targets.items():
            mine = sc.compare(
                features, target, ["full", "pruned", "ridge"], 3, seed=4, kind="similarity", progress=False
            )
            for what in ("test_alignment", "train_alignment", "nodes"):
                np.testing.assert_allclose(
                    held[what].sel(target=name).values, mine[what].values[:, 0], atol=1e-12, err_msg=f"{name} {what}"
                )
            own = sc.cross_validate(features, target, cv=3, seed=4, kind="similarity", progress=False)
            with opened(home / "out" / "result.nc", name) as pruned:
                np.testing.assert_array_equal(pruned["kept"], own["kept"])
                assert pruned["target"].values.tolist() == [name]


def test_full_is_numpy_s_correlation(planted, written):
    """Held-out alignment of the full space from numpy alone, on the folds that the result tells."""
    home, X, _, behaviour, _, _ = planted
    h = -np.nanmean(behaviour, axis=0)
    H = square(h, N, np.nan)
    Z = X / np.linalg.norm(X, axis=1, keepdims=True)
    with opened(home / "out" / "result.nc") as held, opened(home / "out" / "result.nc", "behaviour") as pruned:
        for f, test in enumerate(pruned["test"].values.astype(bool)):
            at = np.flatnonzero(test)
            i, j = np.triu_indices(len(at), 1)
            r = np.corrcoef((Z @ Z.T)[at[i], at[j]], H[at[i], at[j]])[0, 1]
            found = held["test_alignment"].sel(approach="full", target="behaviour").values[f]
            assert found == pytest.approx(r, abs=1e-12)


def test_tables_say_what_the_result_does(planted, written):
    home = planted[0]
    assert [path.name for path in written] == [
        *(name for name in similarity.CONTENTS if not re.match(r"maps_([5-9]|1\d)", name)),
        *REPORT,
    ]
    assert all(path.stat().st_size > 50 for path in written)
    page = (home / "out" / "summary.md").read_text(encoding="utf-8")
    (head, _rule, *rows) = re.search(r"(?:^\|.*\n)+", page, re.MULTILINE).group().splitlines()
    assert head == "| held-out r² | behaviour | subjects 0 | subjects 1 | other |"
    with opened(home / "out" / "result.nc") as held:
        means = held["test_alignment"].mean("fold").transpose("approach", "target").values
        squares = np.sign(means) * means**2
        for row, method in zip(rows, squares, strict=False):
            cells = [cell.strip().strip("*") for cell in row.split("|")[2:-1]]
            assert cells == [f"{one:.2f}" for one in method]
        for t in range(4):
            bold = [row.split("|")[2 + t].strip().startswith("**") for row in rows[:3]]
            assert bold.index(True) == int(np.argmax(squares[:, t]))
            assert sum(bold) == 1
    table = pandas.read_csv(home / "out" / "comparison.csv")
    assert table["approach"].tolist() == ["full", "pruned", "ridge"] * 4
    assert table["p_test"].between(1 / 1001 - 1e-15, 1).all()
    assert "from 1000 relabellings" in page
    assert len(pandas.read_csv(home / "out" / "kept_features.csv")) == 3 * D + 7


def test_the_same_bytes_again_from_another_folder(planted, written, tmp_path):
    shutil.copytree(planted[0] / "data", tmp_path / "moved" / "data")
    shutil.copy(planted[0] / "study.toml", tmp_path / "moved")
    similarity.run(tmp_path / "moved" / "study.toml", tmp_path / "again", progress=False)
    for path in written:
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_whole_or_absent(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(similarity, "markdown", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        similarity.run(planted[0] / "study.toml", tmp_path / "deep" / "out", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_writes_nothing(planted):
    before = sorted(planted[0].rglob("*"))
    done = CliRunner().invoke(
        app, ["study", "similarity", str(planted[0] / "study.toml"), "--dry-run", "--out", str(planted[0] / "new")]
    )
    assert done.exit_code == 0, done.stderr
    assert "behaviour, subjects 0, subjects 1: 26 stimuli, 12 features, 2 groups" in done.stdout
    assert "other: 24 stimuli, 7 features\n" in done.stdout
    assert "targets × folds: 12" in done.stdout
    assert "minds.npz were reordered by name to the order of x.csv" in done.stdout
    assert sorted(planted[0].rglob("*")) == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("x.csv", "gone.csv", r"FEATURES must be a file, got '.*gone.csv', which does not exist$"),
        ("minds.npz:behaviour", "gone.npz", r"TARGET must be a file, got '.*gone.npz', which does not exist$"),
        ("groups.csv", "gone.csv", r"--groups must be a file, got '.*gone.csv', which does not exist$"),
        (
            "mean = true",
            "maen = true",
            "bad.toml: targets.behaviour.maen is no key here, the nearest is mean or images$",
        ),
        ("methods", "method", "bad.toml: method is no key here, the nearest is methods$"),
        ('"ridge"]', '"rigde"]', r"methods\[2\] must be one of 'full', .*; got 'rigde'$"),
        ('"ridge"]', '"full"]', "methods must name at least one method, each once, got"),
        ("data/x.csv", "data/y.npy", "groups.csv must have one line for each of 24 stimuli, got 26"),
        ('features = "data/y.npy"', "", r"targets.other: other.mat could not be used: .*got .*"),
        (
            'kind = "dissimilarity"',
            'kind = "similarity"',
            r"targets.behaviour: minds.npz could not be used: .*dissimilarity",
        ),
        ('format = "peterson2018"', 'format = "peterson2018"\nkind = "similarity"', "kind must be left out where"),
        ('features = "data/x.csv"', "", "the study must have either features or images, got none$"),
        ("groups", 'images = "data"\ngroups', "either features or images, got both$"),
        ('features = "data/x.csv"', 'images = "data"', r"network must be given where there are images, \[network\]"),
        ("cv = 3", "cv = 12", "cv must leave at least 3 test stimuli, got 2 in fold 2"),
        ("cv = 3", "cv = 2", "methods must be full and pruned alone with fewer than 15 .* got 13 for behaviour$"),
        ("[targets.other]", '[targets."o/r"]', "targets must have names without a slash, got 'o/r'$"),
    ],
)
def test_refusals(planted, tmp_path, old, new, words):
    home = planted[0]
    (home / "bad.toml").write_text(STUDY.replace(old, new, 1))
    try:
        with pytest.raises((ConfigError, FileError, ValueError), match=words) as caught:
            similarity.run(home / "bad.toml", tmp_path / "out", progress=False)
    finally:
        (home / "bad.toml").unlink()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_controls_are_those_of_the_arrays(planted, tmp_path):
    """In an order of their own: they are matched by name as the target is."""
    home, X, _, behaviour, _, _ = planted
    control = square(np.random.default_rng(6).normal(size=N * (N - 1) // 2), N, 0)
    order = np.random.default_rng(7).permutation(N)
    names = np.array([f"stimulus {i}" for i in range(N)])
    np.savez(home / "data" / "pixels.npz", rdm=control[np.ix_(order, order)], stimuli=names[order])
    text = STUDY[: STUDY.index("[targets.subjects]")] + STUDY[STUDY.index("[folds]") :]
    text = text.replace('"ridge"]', '"random"]\ncontrol = ["data/pixels.npz"]')
    cases = {
        "controlled": text,
        "fitted": text.replace('"random"]', '"ridge"]'),
        "two": STUDY.replace(', "ridge"]', ']\ncontrol = ["data/pixels.npz"]'),
    }
    for name, one in cases.items():
        (home / f"{name}.toml").write_text(one)
    similarity.run(home / "controlled.toml", tmp_path / "out", progress=False)
    how = {"cv": 3, "seed": 4, "kind": "similarity", "control": control, "progress": False}
    target = -np.nanmean(behaviour, axis=0)
    mine = sc.compare(X, target, ["full", "pruned", "random"], permutations=1000, **how)
    with opened(tmp_path / "out" / "result.nc") as held:
        for what in ("test_alignment", "nodes", "chance"):
            np.testing.assert_allclose(held[what], mine[what], atol=1e-12, err_msg=what)
    assert "in partial Pearson r" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="methods must only choose features where control is given, got 'ridge'"):
        similarity.run(home / "fitted.toml", tmp_path / "bad", progress=False)
    with pytest.raises(ConfigError, match="targets must be over the same stimuli where control is given, got 2 sets"):
        similarity.run(home / "two.toml", tmp_path / "bad", progress=False)
    assert not (tmp_path / "bad").exists()


def test_no_target(tmp_path):
    (tmp_path / "a.toml").write_text('features = "x.npy"')
    with pytest.raises(ConfigError, match=r"targets must have a table for each target, \[targets.NAME\], got none"):
        similarity.run(tmp_path / "a.toml", tmp_path / "out", progress=False)


@pytest.mark.parametrize("name", ["similarity", "taxonomy", "retention", "fmri", "models", "nested"])
def test_examples_read(name, tmp_path):
    """Each example is a file of its study, and every key that it shows in a comment is one."""
    from importlib import import_module

    steps = import_module(f"secateur.study.{name}").STEPS
    done = CliRunner().invoke(app, ["study", "example", name])
    assert done.exit_code == 0
    (tmp_path / "a.toml").write_text(done.stdout, encoding="utf-8")
    read_config(tmp_path / "a.toml", steps.schema)
    uncommented = re.sub(r"^# (?=\[|\w+ = )", "", done.stdout, flags=re.MULTILINE)
    assert "#" in done.stdout
    (tmp_path / "b.toml").write_text(uncommented, encoding="utf-8")
    read_config(tmp_path / "b.toml", steps.schema)


class TestPhotographs:
    """Photographs through a network give what their features in a file give."""

    @pytest.fixture
    def home(self, tmp_path):
        pytest.importorskip("torch", reason="torch is not installed")
        if find_spec("timm") is None:
            pytest.skip("timm is not installed")
        from PIL import Image

        rng = np.random.default_rng(3)
        for i in range(12):
            (tmp_path / "photographs" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photographs" / "ab"[i % 2] / f"{i}.png")
        np.save(tmp_path / "t.npy", rng.uniform(size=66))
        text = 'methods = ["full", "pruned"]\nimages = "photographs"\n[network]\nname = "timm:test_resnet"\n'
        text += 'weights = "none"\nseed = 3\n[targets.mind]\nfile = "t.npy"\nkind = "similarity"\n[folds]\ncv = 3\n'
        (tmp_path / "study.toml").write_text(text)
        return tmp_path

    def test_they_are_embedded(self, home):
        from secateur import networks

        similarity.run(home / "study.toml", home / "out", progress=False)
        X = networks.embed(networks.load("timm:test_resnet", None, seed=3), home / "photographs", progress=False)
        mine = sc.compare(X, np.load(home / "t.npy"), ["full", "pruned"], 3, kind="similarity", progress=False)
        with opened(home / "out" / "result.nc") as held:
            np.testing.assert_array_equal(held["test_alignment"].values, mine["test_alignment"].values)
        told = (home / "out" / "settings.json").read_text()
        assert '"weights_sha256": "' in told
        assert str(home) not in told

    def test_a_dry_run_embeds_one(self, home, monkeypatch):
        from secateur import networks

        embed, counts = networks.embed, []
        monkeypatch.setattr(networks, "embed", lambda net, images, *a, **k: counts.append(len(images)) or embed(
            net, images, *a, **k))  # fmt: skip
        study = read_config(home / "study.toml", similarity.SimilarityStudy)
        told = similarity.describe(study, similarity.load(study))
        assert counts == [1]
        assert "mind: 12 stimuli, " in told
        assert "(layer penultimate of " in told
        assert ", 2 groups" in told

    @pytest.mark.parametrize("name", ["squeezenet1_1", "timm:test_resnet"])
    def test_a_dry_run_downloads_nothing(self, home, monkeypatch, name):
        """Where a network's own weights are not on this machine, that is said; a run would fetch them."""
        import socket

        import torch

        def refuse(*_, **__):
            raise AssertionError("a download was begun")

        monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
        monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        text = (home / "study.toml").read_text().replace("timm:test_resnet", name).replace('weights = "none"\n', "")
        (home / "own.toml").write_text(text)
        before = sorted(home.rglob("*"))
        done = CliRunner().invoke(app, ["study", "similarity", str(home / "own.toml"), "--dry-run"])
        assert done.exit_code == 0, done.output
        assert f"note: the weights of {name} are not on this machine: a run downloads them" in done.stdout
        assert "mind: 12 stimuli, " in done.stdout
        assert sorted(home.rglob("*")) == before
        with pytest.raises((AssertionError, ConnectionError)):
            similarity.run(home / "own.toml", home / "out", progress=False)

    def test_refusals(self, home, tmp_path):
        text = (home / "study.toml").read_text()
        for old, new, words in (
            ("timm:test_resnet", "vgg61", "name must be one of"),
            ("seed = 3", 'layer = "layre4"', "layer must be a module of"),
            ('"photographs"', '"gone"', "gone"),
        ):
            (home / "bad.toml").write_text(text.replace(old, new))
            with pytest.raises((ValueError, FileNotFoundError), match=words):
                similarity.run(home / "bad.toml", home / "out", progress=False)
        assert not (home / "out").exists()


def test_means_leave_missing_pairs_out(tmp_path):
    rows = np.array([[1.0, np.nan, 3.0], [3.0, np.nan, np.nan]])
    np.save(tmp_path / "t.npy", rows)
    np.save(tmp_path / "x.npy", np.eye(3))
    space, *_ = inputs.read_space(str(tmp_path / "x.npy"), None, None, None, "the study")
    goals, told, _ = inputs.read_goals(
        "mind", inputs.Target(str(tmp_path / "t.npy"), kind="similarity", mean=True), space
    )
    np.testing.assert_array_equal(goals.values, [[2.0, np.nan, 3.0]])
    assert told["matrices"] == 2


def test_rdms_bring_their_names_and_kind(tmp_path):
    rsatoolbox = pytest.importorskip("rsatoolbox", reason="rsatoolbox is not installed")
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(2, 6))
    names = ["d", "b", "a", "c"]
    rdms = rsatoolbox.rdm.RDMs(values, rdm_descriptors={"who": ["Ann", "Bob"]}, pattern_descriptors={"image": names})
    rdms.save(str(tmp_path / "r.hdf5"), file_type="hdf5", overwrite=True)
    pandas.DataFrame(rng.normal(size=(4, 5)), sorted(names)).to_csv(tmp_path / "x.csv")
    space, *_ = inputs.read_space(str(tmp_path / "x.csv"), None, None, None, "the study")
    target = inputs.Target(str(tmp_path / "r.hdf5"), format="rsatoolbox")
    goals, told, notes = inputs.read_goals("brain", target, space)
    assert goals["target"].values.tolist() == ["brain Ann", "brain Bob"]
    order = [names.index(name) for name in "abcd"]
    np.testing.assert_array_equal(
        goals.values, [-square(row, 4, 0)[np.ix_(order, order)][np.triu_indices(4, 1)] for row in values]
    )
    assert told["kind"] == "dissimilarity"
    assert any("reordered by name" in note for note in notes)


def test_prune_then_reweight_and_baselines_of_equal_size_can_be_asked_for(planted, tmp_path):
    home, *_ = planted
    text = STUDY.replace('"ridge"]', '"pruned+frrsa", "random", "reversed"]').replace('"data/', f'"{home}/data/')
    text = text[: text.index("[targets.subjects]")] + text[text.index("[folds]") :]
    (tmp_path / "study.toml").write_text(text)
    study = read_config(tmp_path / "study.toml", similarity.SimilarityStudy)
    result = similarity.compute(study, similarity.load(study), progress=False)
    (compared,) = result.compared
    assert compared.approach.values.tolist() == ["full", "pruned", "pruned+frrsa", "random", "reversed"]
    for rule in ("random", "reversed"):
        np.testing.assert_array_equal(compared.nodes.sel(approach=rule), compared.nodes.sel(approach="pruned"))
