"""The studies of models and of nested choices: the numbers of the arrays, whole or absent, dry runs, refusals."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas
import pytest
import xarray
from typer.testing import CliRunner

import secateur as sc
from dictionaries import check_dictionary
from secateur.cli import app
from secateur.files import FileError
from secateur.report.contents import REPORT
from secateur.study import ConfigError, models, nested
from secateur.validation import nested_table

N = 24
MODELS = """
title = "Early | late"
spaces = ["full", "pruned"]
n = 2
[models]
early = "data/early.npy"
late = "data/late.csv"
[target]
file = "data/rdms.npz:subjects"
kind = "dissimilarity"
[recovery]
n = 1
noise = [0.5, 2]
subjects = 2
share = 0.4
[folds]
cv = 3
seed = 4
"""
NESTED = """
title = "Which"
control = ["data/pixels.npy"]
groups = "data/groups.csv"
permutations = 9
inner_cv = 2
[layers]
early = "data/early.npy"
late = "data/late.csv"
[target]
file = "data/rdms.npz:subjects"
kind = "dissimilarity"
[choose]
metrics = ["cosine", "sqeuclidean"]
sizes = [0, 4]
[folds]
cv = 3
seed = 4
"""
STUDIES = {"models": (models, MODELS), "nested": (nested, NESTED)}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with data/ and two study files. ``late.csv`` and the target name their stimuli, in other orders."""
    home = tmp_path_factory.mktemp("models")
    (home / "data").mkdir()
    X, target, control = arrays()
    names = np.array([f"stimulus {i}" for i in range(N)])
    np.save(home / "data" / "early.npy", X["early"])
    pandas.DataFrame(X["late"], names, [f"f{k}" for k in range(9)]).to_csv(home / "data" / "late.csv")
    square = np.zeros((2, N, N))
    rows, columns = np.triu_indices(N, 1)
    square[:, rows, columns] = target
    square += np.swapaxes(square, 1, 2)
    order = np.random.default_rng(5).permutation(N)
    np.savez(home / "data" / "rdms.npz", subjects=square[:, order][:, :, order], stimuli=names[order])
    np.save(home / "data" / "pixels.npy", control)
    (home / "data" / "groups.csv").write_text("\n".join(f"{name},{i // 2}" for i, name in enumerate(names)))
    for name, (_, text) in STUDIES.items():
        (home / f"{name}.toml").write_text(text)
    return home


def arrays():
    rng = np.random.default_rng(1)
    X = {"early": rng.normal(size=(N, 6)), "late": rng.normal(size=(N, 9))}
    near = sc.similarity(X["late"][:, :4])
    control = sc.similarity(rng.normal(size=(N, 5)))
    return X, 2 - near - 0.4 * control + rng.normal(size=(2, len(near))) / 4, control


@pytest.fixture(scope="module")
def written(home):
    return {name: study.run(home / f"{name}.toml", home / name, progress=False) for name, (study, _) in STUDIES.items()}


def opened(path, group=None):
    return xarray.load_dataset(path, engine="h5netcdf", group=group)


PRUNER = sc.Pruner(kind="dissimilarity")


def test_the_models_are_those_of_the_arrays(home, written):
    X, target, _ = arrays()
    held = opened(home / "models" / "result.nc")
    mine = sc.compare_models(X, target, ["full", "pruned"], 3, seed=4, n=2, pruner=PRUNER, progress=False)
    for name in ("score", "interval_score", "difference", "p_holm", "ceiling", "nodes"):
        np.testing.assert_allclose(held[name], mine[name], rtol=1e-9, atol=1e-12, err_msg=name)
    simulated = opened(home / "models" / "result.nc", "recovery")
    how = {"n": 1, "noise": [0.5, 2.0], "subjects": 2, "share": 0.4, "cv": 3, "seed": 4}
    again = sc.model_recovery(X, **how, pruner=sc.Pruner(kind="similarity"), progress=False)
    np.testing.assert_allclose(simulated["score"], again["score"], atol=1e-12)
    scores = pandas.read_csv(home / "models" / "scores.csv").set_index(["model", "space"])
    assert scores.loc[("late", "pruned"), "upper"] == pytest.approx(float(mine.interval_score[1, 1, 1]))
    assert len(pandas.read_csv(home / "models" / "differences.csv")) == 4
    page = (home / "models" / "summary.md").read_text(encoding="utf-8")
    low, high = mine.interval_score.values[1, 1]
    nodes = float(mine.nodes[1, 1].mean())
    row = f"| late | 9 | .* | {float(mine.score[1, 1]):.3f} ({low:.3f} to {high:.3f}, {nodes:.0f}) |"
    assert re.search(re.escape(row).replace(r"\.\*", ".*"), page)
    assert "Noise ceiling on the same test stimuli" in page
    assert "chance is 50 %" in page


def test_the_nested_choice_is_that_of_the_arrays(home, written):
    X, target, control = arrays()
    held = opened(home / "nested" / "result.nc")
    mine = sc.nested(
        X, target, metrics=("cosine", "sqeuclidean"), sizes=(None, 4), pruner=PRUNER, cv=3, inner_cv=2, seed=4,
        groups=[str(i // 2) for i in range(N)], control=control, permutations=9, progress=False,
    )  # fmt: skip
    for name in ("inner_score", "chosen", "pruned_test", "full_test", "null_pruned_test", "p_pruned_test"):
        np.testing.assert_allclose(held[name], mine[name], atol=1e-12, err_msg=name)
    assert held["layer"].values.tolist() == ["early"] * 4 + ["late"] * 4
    table = pandas.read_csv(home / "nested" / "choices.csv")
    assert len(table) == 6
    for row in table.itertuples():
        t = row.Index // 3
        best = int(mine.chosen.values[t, row.fold])
        assert (row.layer, row.metric) == (mine.layer.values[best], mine.metric.values[best])
        assert row.pruned_test == pytest.approx(float(mine.pruned_test[t, row.fold]))
        assert row.inner_score == pytest.approx(float(mine.inner_score[t, row.fold, best]))
    candidates = pandas.read_csv(home / "nested" / "candidates.csv")
    pandas.testing.assert_series_equal(candidates.test, nested_table(mine).test)
    page = (home / "nested" / "summary.md").read_text(encoding="utf-8")
    assert f"held-out partial Pearson r: {float(mine.pruned_test[1].mean()):.3f};" in page
    assert page.count("**chosen inside**") == 2
    assert "All alignments are partial, given the controls." in page


@pytest.mark.parametrize("name", STUDIES)
def test_a_folder_holds_what_was_said(home, written, name):
    study, _ = STUDIES[name]
    assert [path.name for path in written[name]] == [
        one for one in (*study.CONTENTS, *REPORT) if not re.match(r"choices_([3-9]|[1-9]\d)", one)
    ]
    check_dictionary(home / name)
    settings = json.loads((home / name / "settings.json").read_text(encoding="utf-8"))
    assert settings["study"] == name
    roles = [one["role"] for one in settings["inputs"]]
    table = "models" if name == "models" else "layers"
    assert roles[:2] == [f"features of {table}.early", f"features of {table}.late" if name == "models" else
                         "groups of layers.early"]  # fmt: skip
    assert ("control" in roles) == (name == "nested")
    assert any("rdms.npz were reordered by name" in note for note in settings["notes"])
    page = (home / name / "report.html").read_text(encoding="utf-8")
    assert "Targets were read as dissimilarities (RDMs)." in page
    assert "Target dissimilarities (RDMs) entered negated" in page


@pytest.mark.parametrize("name", STUDIES)
def test_a_dry_run_writes_nothing(home, name):
    before = sorted(home.rglob("*"))
    done = CliRunner().invoke(app, ["study", name, str(home / f"{name}.toml"), "--dry-run", "--out", str(home / "new")])
    assert done.exit_code == 0, done.stderr
    words = {
        "models": "models × spaces × folds: 12, learnt 7 times for each matrix\nsimulated targets: 4, of 2 subjects",
        "nested": "candidates: 8 at most; searches: 72 for each matrix\nrelabellings for p: 9",
    }
    assert words[name] in done.stdout
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("name", STUDIES)
def test_whole_or_absent(home, tmp_path, monkeypatch, name):
    study, _ = STUDIES[name]
    monkeypatch.setattr(study, "write_tables", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        study.run(home / f"{name}.toml", tmp_path / "deep" / "out", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("models", "early.npy", "gone.npy", "FEATURES must be a file, got '.*gone.npy', which does not exist"),
        ("models", "data/early.npy", "data/short.npy", "the same stimuli, got 9 in 'early' and 24 in 'late'"),
        ("models", '"pruned"]', '"full"]', "spaces must name at least one space, each once, got"),
        ("models", 'late = "data/late.csv"', "", r"models must be at least two for \[recovery\], got 1"),
        ("models", "n = 2", 'n = 2\nover = "people"', "over must be one of .*; got 'people'"),
        ("models", 'kind = "dis', 'mean = true\nfeatures = "x"\nkind = "dis', "target.features is no key here"),
        ("models", "[folds]", "[folds]\nrepeat = 2", "folds.repeat is no key here, the nearest is repeats"),
        ("models", 'kind = "dissimilarity"', 'kind = "similarity"', "target: rdms.npz could not be used"),
        ("nested", "pixels.npy", "short.npy", "control: short.npy could not be used: control must"),
        ("nested", "inner_cv = 2", "inner_cv = 9", "inner_cv must be from 2 to 5 folds of 16 .* got 9"),
        ("models", '"pruned"]', '"reweighted"]', r"makes 5 inner folds \(inner_cv\) .* or pass over='subjects'"),
        ("models", '"pruned"]', '"ridge"]\nover = "subjects"\ngroups = "data/pairs.csv"', "has too few in fold 0: "),
        ("models", "[0.5, 2]", "[0.5, -2.0]", r"recovery.noise must be positive numbers, got \[0.5, -2.0\]"),
        ("nested", "inner_cv = 2", "inner_cv = 5", "inner_cv must divide the 16 training stimuli in 8 groups into"),
        ("nested", "sizes = [", 'searches = ["parsimonious"]\nsizes = [', "'parsimonious' divides these further"),
        ("nested", "groups.csv", "uneven.csv", "groups must all be of one size where whole groups change places"),
        ("nested", "[0, 4]", "[40]", r"sizes must leave a candidate in one of the layers, got \[40\]"),
        ("nested", "[0, 4]", "[0, -4]", "choose.sizes must be numbers of features, or 0 for no limit, got -4"),
        ("nested", "[0, 4]", "[4, 4]", r"choose.sizes must name each once, got \[4, 4\]"),
        ("nested", '"sqeuclidean"', '"square"', r"choose.metrics\[1\] must be one of 'cosine'.*; got 'square'"),
        ("nested", "[layers]", "[layer]", "layer is no key here, the nearest is layers"),
    ],
)  # fmt: skip
def test_refusals(home, tmp_path, name, old, new, words):
    study, text = STUDIES[name]
    np.save(home / "data" / "short.npy", np.random.default_rng(0).normal(size=(9, 4)))
    for file, of in (("pairs", np.arange(N) // 8), ("uneven", np.maximum(np.arange(N), 3))):
        (home / "data" / f"{file}.csv").write_text("\n".join(map(str, of)))
    (home / "bad.toml").write_text(text.replace(old, new, 1))
    try:
        with pytest.raises((ConfigError, FileError, ValueError), match=words) as caught:
            study.run(home / "bad.toml", tmp_path / "out", progress=False)
        done, dry = (
            CliRunner().invoke(app, ["study", name, str(home / "bad.toml"), *more])
            for more in (["--out", str(tmp_path / "out")], ["--dry-run"])
        )
    finally:
        (home / "bad.toml").unlink()
        for file in ("short.npy", "pairs.csv", "uneven.csv"):
            (home / "data" / file).unlink()
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert (dry.exit_code, dry.stderr) == (2, done.stderr)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_page_and_names_the_files(home, tmp_path):
    (home / "small.toml").write_text(NESTED.replace("permutations = 9", "permutations = 0").replace("[0, 4]", "[4]"))
    done = CliRunner().invoke(app, ["study", "nested", str(home / "small.toml"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("# Which\n")
    assert "  choices_2.png " in done.stdout
    assert "reordered by name" in done.stderr
