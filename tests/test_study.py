"""Studies from a file: every key checked; the fMRI study end to end, the same bytes twice, whole or absent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas
import pytest
import scipy.io
import xarray

import secateur as sc
from dictionaries import check_dictionary
from secateur.files import FileError
from secateur.report.contents import REPORT
from secateur.study import ConfigError, Place, fmri, read_config

N, D = (15, 18), 12
REGIONS = ("vTC", "FFA")


@dataclass(frozen=True)
class Inner:
    cv: int = 5
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    file: Place
    many: dict[str, Place] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    metric: Literal["cosine", "dot"] = "cosine"
    most: int | None = None
    flag: bool = False
    inner: Inner = field(default_factory=Inner)


class TestConfig:
    def read(self, tmp_path, text):
        (tmp_path / "a.toml").write_text(text, encoding="utf-8")
        return read_config(tmp_path / "a.toml", Outer)

    def test_values_defaults_and_places(self, tmp_path):
        assert self.read(tmp_path, 'file = "x.npy:K"') == Outer(Place(str(tmp_path / "x.npy:K")))
        text = (
            'file = "/x.npy"\nwords = ["é"]\nmetric = "dot"\nmost = 3\nflag = true\n[many]\na = "sub/b"\n'
            "[inner]\nshare = 1\n"
        )
        read = self.read(tmp_path, text)
        assert (read.file, read.words, read.metric, read.most, read.flag) == ("/x.npy", ["é"], "dot", 3, True)
        assert read.many == {"a": str(tmp_path / "sub" / "b")}
        assert read.inner == Inner(5, 1.0)
        assert isinstance(read.inner.share, float)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "a.toml must have the key file, got none"),
            ('file = "x"\nmetrik = "dot"', "a.toml: metrik is no key here, the nearest is metric"),
            ('file = "x"\nqqq = 1', "a.toml: qqq is no key here, the keys are file, many, words"),
            ('file = "x"\n[inner]\ncvs = 1', "a.toml: inner.cvs is no key here, the nearest is cv"),
            ('file = "x"\nmetric = "cos"', "a.toml: metric must be one of 'cosine', 'dot'; got 'cos'"),
            ("file = 3", "a.toml: file must be a path, got 3"),
            ('file = "x"\nmost = true', "a.toml: most must be a whole number, got True"),
            ('file = "x"\nmost = 1.5', "a.toml: most must be a whole number, got 1.5"),
            ('file = "x"\nflag = 1', "a.toml: flag must be true or false, got 1"),
            ('file = "x"\nwords = [1]', "a.toml: words[0] must be text, got 1"),
            ('file = "x"\nwords = "a"', "a.toml: words must be a list, got 'a'"),
            ('file = "x"\nmany = "a"', "a.toml: many must be a table, got 'a'"),
            ('file = "x"\ninner = 2', "a.toml: inner must be a table, got 2"),
            ('file = "x"\n[many]\na = 1', "a.toml: many.a must be a path, got 1"),
            ('file = "x" y', "a.toml must be TOML, got a file that is not: Expected newline"),
        ],
    )
    def test_refusals(self, tmp_path, text, words):
        with pytest.raises(ConfigError, match="^" + re.escape(words)):
            self.read(tmp_path, text)

    def test_no_file(self, tmp_path):
        with pytest.raises(ConfigError, match=r"CONFIG must be a file, got '.*gone.toml', which does not exist"):
            read_config(tmp_path / "gone.toml", Outer)


STUDY = """
title = "Two regions"
kind = "dissimilarity"
{more}
[layers.penultimate]
1 = "data/x1.npy"
2 = "data/x2.csv"

[layers.final]
1 = "data/f.npz:one"
2 = "data/f.npz:two"

[regions.vTC]
1 = "data/FMRI.mat:FMRI/vTC/set1/pairwisedistances"
2 = "data/FMRI.mat:FMRI/vTC/set2/pairwisedistances"

[regions.FFA]
1 = "data/FMRI.mat:FMRI/FFA/set1/pairwisedistances"
2 = "data/FMRI.mat:FMRI/FFA/set2/pairwisedistances"

[behaviour]
1 = "data/BEHAVIOR.mat:BEHAVIOR/set1/pairwisedistances"
2 = "data/BEHAVIOR.mat:BEHAVIOR/set2/pairwisedistances"

[folds]
cv = 3
seed = 4
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with data/ and study.toml; X, regions and behaviour as arrays."""
    home = tmp_path_factory.mktemp("study")
    (home / "data").mkdir()
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, D)) for n in N]
    F = [np.logaddexp(0, x[:, :9]) for x in X]
    regions = [
        {name: rng.normal(size=(4, n * (n - 1) // 2)) - 3 * sc.similarity(x[:, k : k + 5]) for k, name in
         enumerate(REGIONS)} for n, x in zip(N, X)
    ]  # fmt: skip
    behaviour = [rng.uniform(size=(3, n * (n - 1) // 2)) for n in N]
    np.save(home / "data" / "x1.npy", X[0])
    pandas.DataFrame(X[1], [f"b{i}" for i in range(N[1])], [f"f{k}" for k in range(D)]).to_csv(home / "data" / "x2.csv")
    np.savez(home / "data" / "f.npz", one=F[0], two=F[1])
    tree = {name: {f"set{a + 1}": {"pairwisedistances": regions[a][name]} for a in (0, 1)} for name in REGIONS}
    scipy.io.savemat(home / "data" / "FMRI.mat", {"FMRI": tree})
    tree = {f"set{a + 1}": {"pairwisedistances": behaviour[a]} for a in (0, 1)}
    scipy.io.savemat(home / "data" / "BEHAVIOR.mat", {"BEHAVIOR": tree})
    (home / "study.toml").write_text(STUDY.format(more=""))
    return home, {"penultimate": X, "final": F}, regions, behaviour


@pytest.fixture(scope="module")
def written(inputs):
    home = inputs[0]
    return fmri.run(home / "study.toml", home / "out", progress=False)


class TestFmri:
    def test_the_result_is_that_of_the_arrays(self, inputs, written):
        home, X, regions, behaviour = inputs
        mine = sc.regions.four_tests(X, regions, behaviour, kind="dissimilarity", cv=3, seed=4, progress=False)
        with xarray.open_dataset(home / "out" / "result.nc", engine="h5netcdf") as held:
            for name in ("full", "pruned", "n_kept", "pruned_fold"):
                np.testing.assert_array_equal(held[name], mine[name])
            assert held.layer.values.tolist() == ["penultimate", "final"]
            assert held.region.values.tolist() == list(REGIONS)

    def test_every_file_is_there_and_says_what_it_should(self, inputs, written):
        out = inputs[0] / "out"
        assert [path.name for path in written] == [*fmri.CONTENTS, *REPORT]
        check_dictionary(out)
        assert all(path.stat().st_size > 100 for path in written)
        scores = pandas.read_csv(out / "scores.csv")
        assert len(scores) == 4 * 2 * 4
        with xarray.open_dataset(out / "result.nc", engine="h5netcdf") as held:
            one = held.pruned.sel(test="across", layer="final", set="2", region="FFA").mean().item()
            row = scores.query("test == 'across' and layer == 'final' and space == 'Set 2 pruned'")
            assert row.FFA.item() == pytest.approx(one)
            nodes = pandas.read_csv(out / "nodes.csv").query("layer == 'final' and set == 'Set 1'")
            assert nodes.vTC.item() == pytest.approx(
                held.n_kept.sel(test="upper_bound", layer="final", set="1", region="vTC").mean().item()
            )
        assert len(pandas.read_csv(out / "tests_over_regions.csv")) == 8
        assert len(pandas.read_csv(out / "tests_over_subjects.csv")) == 24
        page = (out / "summary.md").read_text(encoding="utf-8")
        assert page.startswith("# Two regions\n")
        assert page.count("| Set 1 pruned |") == 8
        for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
            assert len({line.count("|") for line in table.splitlines()}) == 1
        settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
        assert settings["program"] == "secateur"
        assert settings["settings"]["folds"] == {"cv": 3, "repeats": 1, "seed": 4}
        assert {record["file"] for record in settings["inputs"]} == {
            "x1.npy", "x2.csv", "f.npz", "FMRI.mat", "BEHAVIOR.mat"
        }  # fmt: skip
        assert all(len(record["sha256"]) == 64 for record in settings["inputs"])
        assert (out / "study.toml").read_bytes() == (inputs[0] / "study.toml").read_bytes()

    def test_the_same_bytes_again_from_another_folder(self, inputs, written, tmp_path):
        import shutil

        shutil.copytree(inputs[0] / "data", tmp_path / "moved" / "data")
        shutil.copy(inputs[0] / "study.toml", tmp_path / "moved")
        fmri.run(tmp_path / "moved" / "study.toml", tmp_path / "again", progress=False)
        for path in written:
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name

    def test_overwriting(self, inputs, written, tmp_path):
        home = inputs[0]
        with pytest.raises(FileExistsError, match="unless overwrite is given"):
            fmri.run(home / "study.toml", home / "out", progress=False)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("x")
        with pytest.raises(FileExistsError, match=r"has no settings\.json"):
            fmri.run(home / "study.toml", tmp_path / "mine", overwrite=True, progress=False)
        before = (home / "out" / "result.nc").read_bytes()
        fmri.run(home / "study.toml", home / "out", overwrite=True, progress=False)
        assert (home / "out" / "result.nc").read_bytes() == before

    def test_whole_or_absent(self, inputs, tmp_path, monkeypatch):
        monkeypatch.setattr(fmri, "markdown", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fmri.run(inputs[0] / "study.toml", tmp_path / "deep" / "out", progress=False)
        assert list(tmp_path.iterdir()) == []

    def test_a_dry_run_says_what_would_run(self, inputs):
        study = read_config(inputs[0] / "study.toml", fmri.FmriStudy)
        told = fmri.describe(study, fmri.load(study))
        assert "layer penultimate: 12 features; stimuli: 15 in set 1, 18 in set 2" in told
        assert "set 2: 8 matrices (region × subject), pruned to 2" in told
        assert "prunings: 36" in told  # 2 layers × 2 sets × (2 regions' means × (3 folds + all) + behaviour)
        assert "x2.csv was read as 18 × 12 numbers with a heading and a first column of names" in told

    def test_king2019_stands_for_regions_and_behaviour(self, inputs, written, tmp_path):
        home = inputs[0]
        text = re.sub(r"\[regions.*(?=\[folds\])", "", STUDY.format(more='king2019 = "data"\nsupervise = "mean"'),
                      flags=re.DOTALL)  # fmt: skip
        (home / "king.toml").write_text(text)
        fmri.run(home / "king.toml", tmp_path / "king", progress=False)
        with (
            xarray.open_dataset(tmp_path / "king" / "result.nc", engine="h5netcdf") as king,
            xarray.open_dataset(home / "out" / "result.nc", engine="h5netcdf") as held,
        ):
            assert king.sizes["subject"] == 8  # four in each set, not the same people
            own = king.full.sel(set="1", test="upper_bound", region="FFA", layer="final").dropna("subject")
            np.testing.assert_array_equal(own, held.full.sel(set="1", test="upper_bound", region="FFA", layer="final"))

    def test_group_means_and_no_behaviour(self, inputs, tmp_path):
        home, _, regions, _ = inputs
        lines = re.sub(r"\[behaviour\].*(?=\[folds\])", "", STUDY.format(more=""), flags=re.DOTALL)
        for a in (0, 1):
            np.savez(home / "data" / f"means{a + 1}.npz", **{k: v.mean(axis=0) for k, v in regions[a].items()})
        lines = re.sub(r"FMRI.mat:FMRI/(\w+)/set(\d)/pairwisedistances", r"means\2.npz:\1", lines)
        (home / "means.toml").write_text(lines)
        files = fmri.run(home / "means.toml", tmp_path / "means", progress=False)
        assert "behaviour.png" not in [path.name for path in files]
        page = (tmp_path / "means" / "summary.md").read_text(encoding="utf-8")
        assert "there are no subjects to test over" in page
        assert "Pruned to behaviour" not in page

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            (
                "[behaviour]\n1",
                "[behaviour]\none",
                "behaviour must have a file for each of two image sets, named alike",
            ),
            ("x1.npy", "gone.npy", "FEATURES must be a file, got '.*gone.npy', which does not exist"),
            ("{more}", 'king2019 = "data"', "regions must be given either as .* or by king2019, got both or neither"),
            ("x1.npy", "x2.csv", "X must hold the same stimuli in every layer, got 18 in layer 'penultimate' and 15"),
            (
                "{more}",
                'supervise = "all"',
                "supervise must be one of 'subject', 'mean'; got 'all'",
            ),
            ("vTC/set1", "vTC/set2", r"regions of set '1', 'vTC': target must have shape \(15, 15\)"),
            (
                'kind = "dissimilarity"',
                'kind = "distance"',
                "kind must be one of 'similarity', 'dissimilarity'; got 'distance'",
            ),
            ("cv = 3", "cv = 9", "cv must leave at least 3 test stimuli, got 2 in fold 0"),
        ],
    )
    def test_refusals(self, inputs, tmp_path, old, new, words):
        text = STUDY.replace(old, new) if "{more}" not in old else STUDY.replace("{more}", new)
        (inputs[0] / "bad.toml").write_text(text.replace("{more}", ""))
        with pytest.raises((ConfigError, FileError, ValueError), match=words):
            fmri.run(inputs[0] / "bad.toml", tmp_path / "out", progress=False)
        assert list(tmp_path.iterdir()) == []


def test_the_page_shows_a_study_that_reads(tmp_path):
    """The example in the module's own words is read as it says."""
    example = re.findall(r"^    (.*)$|^$", fmri.__doc__, re.MULTILINE)
    (tmp_path / "a.toml").write_text("\n".join(example), encoding="utf-8")
    study = read_config(tmp_path / "a.toml", fmri.FmriStudy)
    assert set(study.layers) == {"penultimate", "final"}
    assert study.supervise == "mean"
    assert study.layers["final"]["1"] == str(tmp_path / "fc3_set1.npy")
    assert study.regions["vTC"]["1"] == f"{tmp_path}/FMRI.mat:FMRI/vTC/set1/pairwisedistances"
