"""Pictures, tables and the results folder: what they show, and that a folder is whole or not there."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import xarray
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

import secateur as sc
from secateur import report
from secateur.measures import METRICS
from secateur.report import folder as folder_module
from secateur.report.contents import REPORT
from secateur.report.dictionary import one_of_many

N, D = 24, 12


class Case:
    """One embedding, T targets, and what came of them."""

    def __init__(self, count: int, kind: str = "similarity", comparator: str = "pearson", **names: Any) -> None:
        rng = np.random.default_rng(count)
        self.X = rng.normal(size=(N, D))
        squares = []
        for t in range(count):
            chosen = self.X[:, t : t + 4] + 0.3 * rng.normal(size=(N, 4))
            squares.append(squareform(pdist(chosen)) if kind == "dissimilarity" else chosen @ chosen.T)
        self.target: Any = squares[0] if count == 1 else np.stack(squares)
        if names:
            self.target = xarray.DataArray(self.target, dims=("subject", "stimulus", "stimulus2"), coords=names)
        self.pruner = sc.Pruner(kind=kind, comparator=comparator, threads=1)
        self.result = sc.cross_validate(self.X, self.target, self.pruner, cv=4, progress=False)
        self.null = sc.permutation_test(self.X, self.target, 9, self.pruner, cv=4, progress=False)
        self.groups = np.array(["plant", "animal", "tool"])[np.arange(N) % 3]


@pytest.fixture(scope="module")
def one() -> Case:
    return Case(1)


@pytest.fixture(scope="module")
def three() -> Case:
    return Case(3, "dissimilarity", "spearman", subject=["s1", "a subject of some more words", "s3"])


def words(figure: Figure) -> list[Text]:
    """All words that are drawn: ticks beyond the limits of an axis are not."""
    unseen = set()
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-9 * (high - low)
            for minor in (False, True):
                for tick, at in zip(axis.get_ticklabels(minor=minor), axis.get_ticklocs(minor=minor)):
                    if not low - margin <= at <= high + margin:
                        unseen.add(id(tick))
    texts = figure.findobj(lambda a: isinstance(a, Text) and a.get_visible() and bool(a.get_text().strip()))
    return [t for t in texts if isinstance(t, Text) and id(t) not in unseen]


def check_layout(figure: Figure) -> None:
    """No words outside the figure, none upon others."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in words(figure)]
    assert len(shown) > 5
    for label, box in shown:
        assert box.x0 >= 0, label
        assert box.y0 >= 0, label
        assert box.x1 <= figure.bbox.x1, label
        assert box.y1 <= figure.bbox.y1, label
    for (a, box), (b, other) in combinations(shown, 2):
        across = min(box.x1, other.x1) - max(box.x0, other.x0)
        up = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert across <= 1 or up <= 1, f"{a!r} lies upon {b!r}"


# Pictures -------------------------------------------------------------------------------------------------------


def test_insertion_curves_show_the_curves_and_their_maxima(one: Case) -> None:
    axes = report.insertion_curves(one.result).axes[0]
    assert axes.get_ylabel() == "training alignment (Pearson r)"
    assert axes.get_xscale() == "linear"
    curves = [line for line in axes.lines if len(line.get_xdata()) == D and line.get_linestyle() == "-"]
    assert len(curves) == 4
    for f, line in enumerate(curves):
        np.testing.assert_array_equal(line.get_ydata(), one.result.curve.values[0, f])
        at = int(one.result.n_kept.values[0, f])
        assert np.nanmax(one.result.curve.values[0, f]) == pytest.approx(line.get_ydata()[at - 1])
    (marks,) = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(marks.get_xdata(), one.result.n_kept.values[0])
    np.testing.assert_array_equal(marks.get_ydata(), one.result.pruned_train.values[0])
    assert report.insertion_curves(one.result, x="log").axes[0].get_xscale() == "log"
    check_layout(report.insertion_curves(one.result, x="log"))


def test_curves_that_were_not_kept_are_said_so(one: Case) -> None:
    result = sc.cross_validate(one.X, one.target, cv=4, curves=False, progress=False)
    assert any("not kept" in t.get_text() for t in words(report.insertion_curves(result)))


def test_held_out_pairs_folds(one: Case) -> None:
    figure = report.held_out(one.result)
    pairs = [line.get_ydata() for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1]]
    expected = np.column_stack([one.result.full_test.values[0], one.result.pruned_test.values[0]])
    np.testing.assert_array_equal(pairs, expected)
    assert figure.axes[0].get_ylabel() == "held-out alignment (Pearson r)"
    check_layout(figure)


def test_held_out_of_many_targets(three: Case) -> None:
    figure = report.held_out(three.result)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()][::2] == ["s1", "s3"]
    check_layout(figure)
    check_layout(report.held_out(three.result, 1))


def test_held_out_of_a_time_course_is_a_line(one: Case) -> None:
    many = xarray.concat([one.result] * 30, "target", data_vars="minimal")
    figure = report.held_out(many.assign_coords(target=np.arange(30)))
    assert any(len(line.get_xdata()) == 30 for line in figure.axes[0].lines)


def test_the_result_comes_first_and_may_still_come_later(one):
    """As in every function of reports; the earlier orders say that they go."""
    new = report.matrices(one.result, one.X, one.target)
    with pytest.warns(DeprecationWarning, match=r"^report\.matrices takes the result as its first argument; .* 0\.4$"):
        old = report.matrices(one.X, one.result, one.target)
    with pytest.warns(DeprecationWarning, match="matrices takes the result"):
        named = report.matrices(one.X, result=one.result, target=one.target)
    for figure in (old, named):
        for axes, other in zip(new.axes[:3], figure.axes[:3], strict=True):
            np.testing.assert_array_equal(axes.images[0].get_array(), other.images[0].get_array())
    report.matrices(X=one.X, target=one.target, result=one.result)  # by name any order is as good
    with pytest.warns(DeprecationWarning, match="page takes the result"):
        page = report.page(one.X, one.target, one.result, one.null)
    assert len(page.axes) == len(report.page(one.result, one.X, one.target, one.null).axes)


def test_matrices_are_sorted_by_group_and_ranked(one: Case) -> None:
    figure = report.matrices(one.result, one.X, one.target, groups=one.groups)
    order = np.argsort(np.arange(N) % 3, kind="stable")
    support = report.consensus(one.result)
    for axes, packed in zip(
        figure.axes, (sc.similarity(one.X), sc.similarity(one.X, subset=support), one.target[np.triu_indices(N, 1)])
    ):
        expected = squareform((rankdata(packed) - 1) / (len(packed) - 1))[np.ix_(order, order)]
        np.fill_diagonal(expected, np.nan)
        np.testing.assert_allclose(np.ma.filled(axes.images[0].get_array(), np.nan), expected)
    assert "sorted by group" in " ".join(t.get_text() for t in words(figure))
    check_layout(figure)


def test_matrices_in_their_own_values(three: Case) -> None:
    figure = report.matrices(three.result, three.X, three.target, which=2, scale="value")
    image = np.ma.filled(figure.axes[4].images[0].get_array(), np.nan)
    np.testing.assert_allclose(image[0, 1:], -np.asarray(three.target)[2, 0, 1:])
    assert any("negated" in t.get_text() for t in words(figure))
    check_layout(figure)


def test_a_target_in_another_order_is_drawn_in_the_order_of_the_features(one: Case) -> None:
    pandas = pytest.importorskip("pandas")
    names, order = [f"s{i}" for i in range(N)], np.random.default_rng(2).permutation(N)
    X, turned = pandas.DataFrame(one.X, index=names), [names[i] for i in order]
    target = pandas.DataFrame(one.target[np.ix_(order, order)], index=turned, columns=turned)

    def drawn(figure: Figure) -> list[object]:
        return [axes.images[0].get_array() for axes in figure.axes if axes.images]

    for figure in (report.matrices, report.page):
        with pytest.warns(UserWarning, match="reordered by name to the order of X"):
            named = drawn(figure(one.result, X, target))
        for mine, plain in zip(named, drawn(figure(one.result, one.X, one.target)), strict=True):
            np.testing.assert_array_equal(np.ma.filled(mine, np.nan), np.ma.filled(plain, np.nan))


def test_missing_pairs_are_left_blank(one: Case) -> None:
    target = one.target.copy()
    target[2, 5] = target[5, 2] = np.nan
    result = sc.cross_validate(one.X, target, cv=4, progress=False)
    image = np.ma.filled(report.matrices(result, one.X, target).axes[2].images[0].get_array(), np.nan)
    assert np.isnan(image[2, 5])
    assert np.isnan(image).sum() == N + 2


def test_mds_recovers_a_plane() -> None:
    X = np.random.default_rng(1).normal(size=(30, 2))
    places, stress = report.mds(X, metric="euclidean", max_iter=1000)
    assert stress < 0.01
    np.testing.assert_allclose(pdist(places), pdist(X), atol=0.05)
    np.testing.assert_array_equal(places, report.mds(X, metric="euclidean", max_iter=1000)[0])


@pytest.mark.parametrize("metric", METRICS)
def test_maps_of_every_metric_areturned_onto(metric: str) -> None:
    X = np.random.default_rng(2).normal(size=(15, 6))
    figure = report.embedding(X, np.ones(6, dtype=bool), metric=metric, groups=np.arange(15) % 2)
    full, pruned = (np.asarray(axes.collections[0].get_offsets()) for axes in figure.axes)
    np.testing.assert_allclose(full, pruned, atol=1e-8)
    check_layout(figure)


def test_alignment_of_maps_undoes_a_turn_and_a_mirror() -> None:
    from secateur.scaling import turned_onto

    fixed = np.random.default_rng(3).normal(size=(10, 2))
    turn = np.array([[0.0, 1.0], [1.0, 0.0]]) @ np.array([[0.6, -0.8], [0.8, 0.6]])
    moved, onto = turned_onto(fixed @ turn + 5, fixed)
    np.testing.assert_allclose(moved, onto)
    np.testing.assert_allclose(pdist(onto), pdist(fixed))


def test_a_stimulus_without_a_direction_is_left_out_of_the_map() -> None:
    X = np.random.default_rng(4).normal(size=(10, 5))
    X[3, :2] = 0
    figure = report.embedding(X, [0, 1])
    assert "1 without a direction left out" in figure.axes[1].get_title(loc="left")
    assert np.isnan(report.mds(X, [0, 1])[0]).any(axis=1).tolist() == [i == 3 for i in range(10)]


def test_mds_of_stimuli_that_are_all_alike() -> None:
    places, stress = report.mds(np.ones((5, 3)))
    assert not places.any()
    assert stress == 0


def test_null_shows_the_observed_value_and_p(one: Case) -> None:
    figure = report.null(one.null)
    upper, lower = figure.axes
    for axes, name in ((upper, "pruned_test"), (lower, "gain")):
        assert sum(p.get_height() for p in axes.patches) == 9
        assert axes.lines[0].get_xdata()[0] == one.null[f"observed_{name}"].values[0]
        assert f"p = {one.null[f'p_{name}'].values[0]:.2g}" in axes.texts[0].get_text()
    check_layout(figure)


@pytest.mark.parametrize("groups", [None, "three", "many"])
@pytest.mark.parametrize("permuted", [True, False])
def test_page(one: Case, groups: str | None, permuted: bool) -> None:
    given = {None: None, "three": one.groups, "many": [f"a category of some length {i % 11}" for i in range(N)]}[groups]
    figure = report.page(one.result, one.X, one.target, one.null if permuted else None, given, title="A title")
    told = " ".join(t.get_text() for t in words(figure))
    for label in (
        "A title",
        "24 stimuli",
        "12 features",
        "training alignment (Pearson r)",
        "MDS 1 (1 − cosine)",
        "rank of the",
    ):
        assert label in told
    assert ("relabellings of the stimuli" in told) == permuted
    if groups == "many":
        assert "4 other groups (8)" in told
        assert "a category of s…me length 0 (3)" in told or "length 0 (3)" in told
    check_layout(figure)


def test_page_of_one_of_three_targets(three: Case) -> None:
    figure = report.page(three.result, three.X, three.target, three.null, three.groups, which=1)
    told = " ".join(t.get_text() for t in words(figure))
    assert "target 2 of 3: a subject of some more words" in told
    assert "training alignment (Spearman ρ)" in told
    check_layout(figure)


@pytest.mark.parametrize("n", [6, 9])
def test_page_of_very_little(n: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(n)
    X = rng.uniform(0.1, 1, size=(n, 2))
    target = X @ X.T
    result = sc.cross_validate(X, target, cv=n // 3, progress=False)
    null = sc.permutation_test(X, target, 1, cv=n // 3, progress=False)
    report.page(result, X, target, null).savefig(tmp_path / "page.png")


def test_bundled_page_is_laid_out() -> None:
    animals = sc.datasets.load_imagenet_animals()
    X = animals.X[:, ::10]
    result = sc.cross_validate(X, animals.target, cv=3, progress=False)
    null = sc.permutation_test(X, animals.target, 2, cv=3, progress=False)
    check_layout(report.page(result, X, animals.target, null, animals.groups))


def test_consensus(one: Case) -> None:
    kept = np.zeros((1, 4, D), dtype=bool)
    kept[0, :2, 3] = kept[0, 0, 4] = True
    result = one.result.assign(kept=(("target", "fold", "feature"), kept))
    assert np.flatnonzero(report.consensus(result)).tolist() == [3]
    kept[0, 1, 3] = False
    assert np.flatnonzero(report.consensus(result)).tolist() == [3, 4]


def test_pictures_refuse_what_does_not_fit(one: Case, three: Case) -> None:
    with pytest.raises(ValueError, match="target must be an integer from 0 to 0, got 1"):
        report.insertion_curves(one.result, 1)
    with pytest.raises(ValueError, match="x must be"):
        report.insertion_curves(one.result, x="cubic")
    with pytest.raises(ValueError, match="scale must be"):
        report.matrices(one.result, one.X, one.target, scale="z")
    with pytest.raises(ValueError, match="groups must have one entry for each of 24"):
        report.page(one.result, one.X, one.target, groups=["a"])
    with pytest.raises(ValueError, match="permutations must be of the result's 1 targets, got 3"):
        report.page(one.result, one.X, one.target, three.null)
    other = sc.permutation_test(one.X, one.target, 1, one.pruner, cv=3, progress=False)  # of other folds
    for draw in (lambda: report.page(one.result, one.X, one.target, other), lambda: report.html(one.result, other)):
        with pytest.raises(ValueError, match=r"permutations must be of the result.s run .* where the result has"):
            draw()
    with pytest.raises(ValueError, match="target must hold the 3 targets"):
        report.matrices(three.result, one.X, three.target[0].values)


def test_pyplot_and_settings_are_left_alone(tmp_path: Path) -> None:
    script = """
import sys, numpy as np, secateur as sc
assert "matplotlib" not in sys.modules
import secateur.report as report
assert "matplotlib" not in sys.modules
import matplotlib
before = matplotlib.rcParams.copy()
X = np.random.default_rng(0).normal(size=(27, 6))
result = sc.cross_validate(X, X @ X.T, cv=3, progress=False)
report.write(sys.argv[1], X, X @ X.T, result)
assert "matplotlib.pyplot" not in sys.modules
assert before == matplotlib.rcParams.copy()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script, str(tmp_path / "out")], check=True)


# Tables ---------------------------------------------------------------------------------------------------------


def test_text_holds_the_summary(one: Case) -> None:
    told = report.text(one.result, one.null)
    row = sc.summary(one.result).iloc[0]
    for name in ("full_train", "full_test", "pruned_train", "pruned_test"):
        assert f"{row[name]:.3f} ± {row[f'{name}_sd']:.3f}" in told
    assert f"{row['n_kept']:.1f} ± {row['n_kept_sd']:.1f}" in told
    assert f"{row['pruned_test_r2']:.3f}" in told
    assert f"{row['t']:.2f}" in told
    assert f"{one.null.p_gain.item():.2g}" in told
    assert "descriptive" in told
    assert "9 relabellings" in told
    assert max(map(len, told.splitlines())) <= 80


def test_text_of_three_targets_fits_a_hundred_columns(three: Case) -> None:
    told = report.text(three.result, three.null)
    assert max(map(len, told.splitlines())) <= 100
    assert "s1" in told
    assert "test ρ²" in told
    short = report.text(three.result, most=1)
    assert "… and 2 more targets." in short
    assert "s3" not in short
    assert "No permutation null" in short


def test_squares_are_of_correlations_only(one: Case) -> None:
    assert "²" not in report.text(one.result.assign_attrs(comparator="tau-a"))


def test_markdown_is_two_tables(three: Case) -> None:
    told = report.markdown(three.result, three.null, title="T | U")
    assert told.startswith("# T | U\n")
    for block in told.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1
    assert told.count("| ---") >= 2


def test_undefined_pairs_and_scores_are_said(one: Case) -> None:
    result = one.result.copy(deep=True)
    result["undefined_pairs"][0, 0] = 3
    result["pruned_test"][:] = np.nan
    told = report.text(result)
    assert "3 pairs of held-out stimuli" in told
    assert "–" in told


# The folder -----------------------------------------------------------------------------------------------------


def test_folder_is_written_and_read_back(three: Case, tmp_path: Path) -> None:
    place = tmp_path / "new" / "out"
    files = report.write(
        place, three.X, three.target, three.result, three.null, three.groups, title="T", settings={"command": ["x"]},
        final=sc.final_set(three.X, three.target),
    )  # fmt: skip
    assert sorted(p.name for p in place.iterdir()) == sorted(p.name for p in files)
    several = {"overview.png", "overview.svg"}
    assert {one_of_many(p.name) for p in files} == several | {*folder_module.FILES, *REPORT}
    assert [p.name for p in place.parent.iterdir()] == ["out"]
    for name, data in (("result.nc", three.result), ("permutations.nc", three.null)):
        with xarray.open_dataset(place / name, engine="h5netcdf") as read:
            xarray.testing.assert_equal(read.load(), data)
            assert read.attrs == data.attrs
    assert (place / "figures.png").read_bytes()[:4] == b"\x89PNG"
    assert (place / "figures.pdf").read_bytes().count(b"/Type /Page ") == 4  # the first is the overview
    kept = pandas.read_csv(place / "kept_features.csv")
    assert len(kept) == 3 * D
    table = pandas.read_csv(place / "summary.csv", index_col="target")
    np.testing.assert_allclose(table["p_permutation_gain"], three.null.p_gain)
    np.testing.assert_allclose(table["gain"], sc.summary(three.result)["gain"])
    settings = json.loads((place / "settings.json").read_text())
    assert settings["command"] == ["x"]
    assert settings["versions"]["secateur"] == sc.__version__
    assert settings["seed"] == 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty pictures: these tests look at the folder."""
    monkeypatch.setattr(folder_module, "page", lambda *_, **__: Figure())


def _break(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(folder_module, "markdown", broken)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    one: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    _break(monkeypatch, error)
    with pytest.raises(type(error)):
        report.write(tmp_path / "deep" / "out", one.X, one.target, one.result)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(
    one: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    place = tmp_path / "out"
    report.write(place, one.X, one.target, one.result, one.null)
    before = {p.name: p.read_bytes() for p in place.iterdir()}
    with monkeypatch.context() as patched:
        _break(patched, error)
        with pytest.raises(type(error)):
            report.write(place, one.X, one.target, one.result, overwrite=True)
    with monkeypatch.context() as patched:
        real = Path.rename
        patched.setattr(
            Path, "rename", lambda a, b: _raise(error) if b == place and a.suffix == ".partial" else real(a, b)
        )
        with pytest.raises(type(error)):
            report.write(place, one.X, one.target, one.result, overwrite=True)
    assert {p.name: p.read_bytes() for p in place.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    report.write(place, one.X, one.target, one.result, overwrite=True)
    assert not (place / "permutations.nc").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def _raise(error: BaseException) -> None:
    raise error


def test_what_is_not_a_result_is_never_deleted(one: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "settings.json").write_text('{"editor": "dark"}')
    for overwrite, words in ((False, "new or empty folder"), (True, "only an earlier Secateur result")):
        with pytest.raises(FileExistsError, match=words):
            report.write(place, one.X, one.target, one.result, overwrite=overwrite)
    (place / "settings.json").write_text('{"program": "secateur"}')
    (place / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"also holds 'notes.txt'"):
        report.write(place, one.X, one.target, one.result, overwrite=True)
    assert (place / "notes.txt").read_text() == "mine"
    with pytest.raises(FileExistsError, match="which is a file"):
        report.write(place / "notes.txt", one.X, one.target, one.result, overwrite=True)
    with pytest.raises(FileExistsError, match=r"'notes.txt' is a file"):
        report.write(place / "notes.txt" / "under", one.X, one.target, one.result)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileExistsError, match="the command runs in"):
        report.write(".", one.X, one.target, one.result, overwrite=True)


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_and_a_link_are_filled(one: Case, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    report.write(link, one.X, one.target, one.result)
    assert link.is_symlink()
    assert (real / "settings.json").exists()


# Names ----------------------------------------------------------------------------------------------------------

ODD = r"$\bad{$"  # between dollars, and no mathematics that matplotlib knows


def drawn_words(figure: Figure) -> list[str]:
    """Draw a figure; all its words as the reader sees them."""
    FigureCanvasAgg(figure).draw()
    told = [text.get_text() for text in figure.findobj(Text)]
    assert not [one for one in told if is_math_text(one)]
    return [one.replace(r"\$", "$") for one in told]


def test_dollars_in_names_are_letters() -> None:
    case = Case(2, subject=[ODD, f"_{ODD}2"])
    groups = [f"_{ODD}{i % 3}" for i in range(N)]
    whole = report.page(case.result, case.X, case.target, case.null, groups, title=f"{ODD} of {ODD}")
    words = drawn_words(whole)
    assert f"{ODD} of {ODD}" in words
    assert f"_{ODD}0 (8)" in words
    assert any(ODD in one and "target 1 of 2" in one for one in words)
    for figure in (
        report.held_out(case.result),
        report.insertion_curves(case.result, 1),
        report.matrices(case.result, case.X, case.target, groups=groups),
    ):
        assert any(ODD in one for one in drawn_words(figure))


def test_a_dollar_is_drawn_once() -> None:
    from secateur.report.drawing import as_written

    for name in ("$", "a$b", "$a$", r"\alpha", "cost: 5$ and 6$"):
        words = as_written(as_written(name))
        assert not is_math_text(words)
        assert words.replace(r"\$", "$") == name


def test_spreadsheets_read_names_as_text(tmp_path: Path) -> None:
    names = ["=1+1", "+a", "-a", "@a", "\ta", "a=1", ""]
    table = pandas.DataFrame({"=head": names, "value": -np.arange(7.0), "flag": [True] * 7}, index=names)
    folder_module.write_table(tmp_path / "a.csv", table, index=True)
    read = pandas.read_csv(tmp_path / "a.csv", index_col=0, keep_default_na=False)
    quoted = ["'=1+1", "'+a", "'-a", "'@a", "'\ta", "a=1", ""]
    assert list(read.columns) == ["'=head", "value", "flag"]
    assert read["'=head"].tolist() == read.index.tolist() == quoted
    assert read["value"].tolist() == (-np.arange(7.0)).tolist()
    assert table["=head"].tolist() == names
