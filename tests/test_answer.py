"""The answer as files: the final set, its values and dissimilarities, the folds, and what every column holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import scipy.stats
import xarray
from matplotlib.figure import Figure
from scipy.spatial.distance import pdist, squareform
from typer.testing import CliRunner

import secateur as sc
from dictionaries import check_dictionary
from secateur import cli, files, report
from secateur.report import answer, folder
from secateur.statistics import holm
from secateur.targets import read_target

N, D = 24, 10
NAMES = [f"item {i}" for i in range(N)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with features that name stimuli and features, one target and three, and quick pictures."""
    monkeypatch.chdir(tmp_path)
    for draw in ("page", "overview"):
        monkeypatch.setattr(folder, draw, lambda *_, **__: Figure())
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, D))
    one = X[:, 2:5] @ X[:, 2:5].T
    noise = rng.normal(size=(3, N, N)) * 2
    np.savez("x.npz", X=X, labels=NAMES, feature=[f"unit {k}" for k in range(D)])
    np.savez("one.npz", S=one, labels=NAMES)
    np.savez("three.npz", S=one + noise + noise.transpose(0, 2, 1), labels=NAMES)
    return tmp_path


def run(*words: str) -> Any:
    outcome = CliRunner().invoke(cli.app, ["prune", "x.npz", *words, "--cv", "3", "--kind", "similarity"])
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_the_final_set_is_that_of_a_fit_on_all_stimuli() -> None:
    """Many targets share sums, so values agree as the numerics contract says."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 12))
    targets = np.stack([X[:, :3] @ X[:, :3].T, X[:, 5:9] @ X[:, 5:9].T])
    for search in ("ranking", "forward", "parsimonious"):
        pruner = sc.Pruner(search=search)
        final = sc.final_set(X, targets, pruner)
        for t, target in enumerate(targets):
            fitted = sc.Pruner(search=search).fit(X, target)
            np.testing.assert_array_equal(final["kept"].values[t], fitted.support_)
            np.testing.assert_allclose(final["importance"].values[t], fitted.importance_, atol=1e-10)
            np.testing.assert_array_equal(np.argsort(final["rank"].values[t]), fitted.order_)
            np.testing.assert_allclose(final["curve"].values[t], fitted.curve_, atol=1e-10)
            assert final["pruned_train"].values[t] == pytest.approx(fitted.alignment_, abs=1e-10)
    shared = sc.final_set(X, targets, sc.Pruner(joint="mean"))["kept"].values
    assert (shared[0] == shared[1]).all()


def test_kept_features_with_the_final_set() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 8))
    target = X[:, 4:7] @ X[:, 4:7].T
    result, final = sc.cross_validate(X, target, cv=3), sc.final_set(X, target)
    table = sc.kept_features(result, final)
    chosen = table[table["final"]]
    assert set(chosen["index_from_0"]) == set(np.flatnonzero(final["kept"].values[0]))
    assert (table["rank"].to_numpy() == np.arange(1, 9)).all()
    assert (table["index_from_1"] == table["index_from_0"] + 1).all()
    assert (table["majority"] == (table["frequency"] >= 0.5)).all()
    with pytest.raises(ValueError, match="final must be of the result's 1 targets and 8 features, got"):
        sc.kept_features(result, sc.final_set(X[:, :7], target))


def test_files_of_one_target(here: Path) -> None:
    shown = run("one.npz", "--out", "out").stdout
    assert "The final set, chosen on all stimuli: " in shown
    X = np.load("x.npz")["X"]
    final = sc.final_set(X, np.load("one.npz")["S"], kind="similarity")
    kept = final["kept"].values[0]
    table = pandas.read_csv("out/features_pruned.csv", index_col="stimulus")
    assert list(table.index) == NAMES
    assert list(table.columns) == [f"unit {k}" for k in np.flatnonzero(kept)]
    np.testing.assert_allclose(table.to_numpy(), X[:, kept], rtol=1e-14)
    np.testing.assert_array_equal(np.load("out/features_pruned.npy"), X[:, kept])
    rdm = pandas.read_csv("out/rdm_pruned.csv", index_col="stimulus")
    assert list(rdm.index) == list(rdm.columns) == NAMES
    np.testing.assert_allclose(rdm.to_numpy(), squareform(pdist(X[:, kept], "cosine")), atol=1e-12)
    folds = pandas.read_csv("out/folds.csv")
    with xarray.open_dataset("out/result.nc", engine="h5netcdf") as result:
        np.testing.assert_allclose(folds["pruned_test"], result["pruned_test"].values.ravel())
        tested = pandas.read_csv("out/test_folds.csv")
        for f in range(3):
            np.testing.assert_array_equal(tested["fold_of_repeat_0"] == f, result["test"].values[f])
    assert (folds["n_test"] == 8).all()
    assert (folds["n_train"] == 16).all()
    curve = pandas.read_csv("out/curve.csv")
    np.testing.assert_allclose(curve["all_stimuli"], final["curve"].values[0])


def test_files_of_several_targets_are_numbered(here: Path) -> None:
    run("three.npz", "--out", "out")
    X, targets = np.load("x.npz")["X"], np.load("three.npz")["S"]
    kept = sc.final_set(X, targets, kind="similarity")["kept"].values
    assert len({row.tobytes() for row in kept}) > 1
    for t in range(3):
        np.testing.assert_array_equal(np.load(f"out/features_pruned_{t + 1}.npy"), X[:, kept[t]])
    words = json.loads(Path("out/data_dictionary.json").read_text())
    assert words["files"]["features_pruned_2.csv"]["target"] == "1"
    run("three.npz", "--out", "out", "--overwrite", "--joint", "mean")  # what was there is ours, and is replaced
    assert not list(here.glob("out/features_pruned_*"))
    assert Path("out/features_pruned.csv").exists()


@pytest.mark.parametrize(
    "more",
    [
        ("--permutations", "2", "--bootstrap", "2", "--targets", "regions"),
        ("--joint", "mean", "--over", "both", "--repeats", "2"),
    ],
)
def test_every_file_and_column_is_described(here: Path, more: tuple[str, ...]) -> None:
    run("three.npz", "--out", "out", *more)
    words = json.loads(Path("out/data_dictionary.json").read_text())
    assert words["which_set"].startswith("Which set is the result?")
    check_dictionary(here / "out")
    if "regions" in more:
        table = pandas.read_csv("out/summary.csv")
        np.testing.assert_allclose(table["p_permutation_gain_holm"], holm(table["p_permutation_gain"]))
    assert "Which set is the result?" in Path("out/summary.md").read_text()


@pytest.mark.parametrize("metric", ["cosine", "correlation", "dot", "euclidean"])
def test_dissimilarities_are_read_back_as_such(metric: Any) -> None:
    X = np.random.default_rng(0).normal(size=(9, 5))
    rdm = answer.dissimilarities(X, np.isin(np.arange(5), [0, 2, 3]), metric)
    packed = rdm[np.triu_indices(9, 1)]
    np.testing.assert_allclose(np.diff(packed), -np.diff(sc.similarity(X, metric, subset=[0, 2, 3])), atol=1e-12)
    assert sc.alignment(X, rdm, metric, subset=[0, 2, 3]) == pytest.approx(1)  # its diagonal shows its kind


def test_large_tables_are_arrays_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "MOST_CELLS", 100)
    run("one.npz", "--out", "out")
    assert np.load("out/rdm_pruned.npy").shape == (N, N)
    assert not Path("out/rdm_pruned.csv").exists()


# Several targets ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subjects() -> Any:
    """A result of five subjects, one of whom has no score in a fold."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(24, 8))
    rows = sc.similarity(X[:, :3]) + 0.3 * rng.normal(size=(5, 276))
    result = sc.cross_validate(X, rows, cv=3, kind="similarity", progress=False)
    result["pruned_test"][2, 1] = np.nan
    return result.assign_attrs(targets="subjects")


def test_over_targets_is_the_paired_test_of_fishers_z(subjects: Any) -> None:
    table = sc.over_targets(subjects)
    full, pruned = (np.nanmean(subjects[name].values, axis=1) for name in ("full_test", "pruned_test"))
    expected = scipy.stats.ttest_rel(np.arctanh(pruned), np.arctanh(full), alternative="greater")
    assert table.loc["gain", "t"] == pytest.approx(expected.statistic)
    assert table.loc["gain", "p"] == pytest.approx(expected.pvalue)
    assert table.loc["gain", "df"] == 4
    low, high = scipy.stats.t.interval(0.95, 4, pruned.mean(), pruned.std(ddof=1) / np.sqrt(5))
    assert table.loc["pruned", ["lower", "upper"]].tolist() == pytest.approx([low, high])
    with pytest.raises(ValueError, match="result must be of at least 2 targets, got 1"):
        sc.over_targets(subjects.isel(target=[0]))


def test_sessions_of_one_subject_are_no_people(subjects: Any) -> None:
    """Two sessions each of two people, and one: three people, two degrees of freedom."""
    named = subjects.assign_coords(target=["a", "b", "a", "b", "c"])
    table = sc.over_targets(named)
    assert table.loc["gain", ["n", "df"]].tolist() == [3, 2]
    full, pruned = (np.nanmean(named[name].values, axis=1) for name in ("full_test", "pruned_test"))
    means = [[values[[0, 2]].mean(), values[[1, 3]].mean(), values[4]] for values in (pruned, full)]
    expected = scipy.stats.ttest_rel(*np.arctanh(means), alternative="greater")
    assert table.loc["gain", "t"] == pytest.approx(expected.statistic)
    assert sc.over_targets(named.assign_attrs(targets="regions")).loc["gain", "n"] == 5


def test_the_overview_tests_subjects_alone(subjects: Any) -> None:
    told = report.text(subjects)
    assert "Mean over 5 subjects: full" in told
    assert "t(4) = " in told
    regions = report.text(subjects.assign_attrs(targets="regions"))
    assert "t(4) = " not in regions
    assert "no test over them is made" in regions
    figure = report.overview(subjects)
    left, right = figure.axes
    assert left.get_ylim() == right.get_ylim()
    words = " ".join(text.get_text() for text in figure.texts)
    assert "t(4) = " in words
    assert right.get_xlabel() == "subject"
    unsaid = subjects.copy()
    del unsaid.attrs["targets"]
    assert report.overview(unsaid).axes[1].get_xlabel() == "target"
    assert "Mean over" not in report.text(unsaid)


def test_subjects_are_read_from_the_file(here: Path) -> None:
    arrays = dict(np.load("three.npz"))
    np.savez("people.npz", **arrays, subjects=["Ada", "Bo", "Cy"])
    outcome = run("people.npz", "--out", "out", "--bootstrap", "3")
    assert "they are taken to be subjects" in outcome.stderr
    assert "t(2) = " in outcome.stdout
    assert "Noise ceiling: " in outcome.stdout
    table = pandas.read_csv("out/summary.csv", index_col="target")
    assert list(table.index) == ["Ada", "Bo", "Cy"]
    with xarray.open_dataset("out/bootstrap.nc", engine="h5netcdf") as drawn:
        np.testing.assert_allclose(table[["gain_lower", "gain_upper"]], drawn["interval_gain"])
    ceiling = sc.noise_ceiling(arrays["S"], kind="similarity", cv=3)
    assert table["ceiling_lower"].mean() == pytest.approx(float(ceiling["lower"]))
    pages = Path("out/figures.pdf").read_bytes().count(b"/Type /Page ")
    assert pages == 4  # the overview, and a page each
    assert max(map(len, outcome.stdout.split("Written to")[0].splitlines())) <= 80


def test_average(here: Path) -> None:
    outcome = run("three.npz", "--out", "out", "--average")
    assert "the 3 targets were each z-scored over their pairs, and averaged to one" in outcome.stderr
    X, targets = np.load("x.npz")["X"], np.load("three.npz")["S"]
    i, j = np.triu_indices(N, 1)
    rows = targets[:, i, j]
    mean = ((rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, ddof=1, keepdims=True)).mean(axis=0)
    expected = sc.cross_validate(X, mean, cv=3, kind="similarity")
    folds = pandas.read_csv("out/folds.csv")
    np.testing.assert_allclose(folds["pruned_test"], expected["pruned_test"].values[0], atol=1e-10)
    assert folds["target"][0] == "mean of 3"


def test_average_leaves_out_what_a_subject_lacks(here: Path) -> None:
    arrays = dict(np.load("three.npz"))
    arrays["S"][0, 1, 4] = arrays["S"][0, 4, 1] = np.nan
    arrays["S"][:, 2, 3] = arrays["S"][:, 3, 2] = np.nan
    np.savez("three.npz", **arrays)
    run("three.npz", "--out", "out", "--average")
    assert len(pandas.read_csv("out/folds.csv")) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("one.npz", "--targets", "people"), "--targets must be subjects or regions, got 'people'"),
        (("one.npz", "--average"), "--average must come with several targets, got one"),
        (("three.npz", "--bootstrap", "3", "--joint", "mean"), "--bootstrap must come without --over and --joint"),
        (("three.npz", "--average", "--joint", "mean"), "--average must come without --over and --joint"),
    ],
)
def test_what_does_not_go_together_is_refused(here: Path, words: tuple[str, ...], said: str) -> None:
    line = ["prune", "x.npz", *words, "--kind", "similarity", "--out", "out"]
    outcome = CliRunner().invoke(cli.app, line)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
    assert not Path("out").exists()


def test_names_of_targets_in_files_and_rsatoolbox(tmp_path: Path) -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rdms = rsatoolbox.rdm.RDMs(
        np.random.default_rng(0).random((3, 15)), rdm_descriptors={"subject": ["a", "b", "c"], "run": [1, 2, 3]},
        pattern_descriptors={"conds": list("uvwxyz")},
    )  # fmt: skip
    rdms.save(str(tmp_path / "r.hdf5"), file_type="hdf5")
    loaded = files.read_target_file(str(tmp_path / "r.hdf5"))  # without a key: its descriptors are no targets
    assert (loaded.targets, loaded.whose, loaded.kind) == (("a", "b", "c"), "subjects", "dissimilarity")
    assert loaded.stimuli == tuple("uvwxyz")
    X = np.random.default_rng(0).normal(size=(6, 4))
    assert read_target(rdms, 6).labels == ("a", "b", "c")
    assert list(sc.cross_validate(X, rdms, cv=2)["target"].values) == ["a", "b", "c"]
    rows = pandas.DataFrame(rdms.dissimilarities, ["V1", "V2", "IT"])
    rows.to_csv(tmp_path / "rows.csv")
    assert files.read_target_file(str(tmp_path / "rows.csv")).targets == ("V1", "V2", "IT")
    movie = xarray.DataArray(rdms.dissimilarities, {"region": ["V1", "V2", "IT"]}, ("region", "pair"), "rdm")
    movie.to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
    loaded = files.read_target_file(str(tmp_path / "r.nc:rdm"))
    assert (loaded.targets, loaded.whose) == (("V1", "V2", "IT"), "regions")
