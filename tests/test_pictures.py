"""What pictures may not do: cut off whiskers, leave something out, mislead by their scales or legends."""

from __future__ import annotations

import copy
import pickle
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import xarray
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend

import secateur as sc
from secateur import heatmaps, report
from secateur.regions import four_tests
from secateur.report import drawing
from secateur.study import fmri
from secateur.timecourse import group_test, prune, rdm_movies, simulate

VERSIONS = ["full", "pruned", "ridge", "lasso"]


def words_of(figure: Figure) -> str:
    """All that is written, axes by axes."""
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return "\n".join(text.get_text() for text in texts)


def whiskers_cut_off(figure: Figure) -> list[tuple[float, float]]:
    """Ends of error bars that lie outside of their axes."""
    found = []
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for bars in axes.collections:
            if isinstance(bars, LineCollection):
                ends = [end[1] for segment in bars.get_segments() for end in segment]
                found += [(end, low if end < low else high) for end in ends if not low - 1e-9 <= end <= high + 1e-9]
    return found


@pytest.fixture(scope="module")
def compared() -> xarray.Dataset:
    """Methods of two targets: one varies widely over folds, one has no score."""
    scores = np.array(
        [
            [[0.30, 0.05, 0.55], [0.10, 0.12, 0.14]],
            [[0.75, 0.05, 0.40], [0.20, 0.10, 0.15]],
            [[0.05, -0.10, 0.90], [0.05, 0.06, 0.10]],
            [[np.nan] * 3, [0.10, 0.20, 0.10]],
        ]
    )
    dims = ("approach", "target", "fold")
    values = {"test_alignment": (dims, scores), "nodes": (dims, np.where(np.isnan(scores), np.nan, 50.0))}
    names = ["full", "pruned", "fine-tuned", "tuned + pruned"]
    return xarray.Dataset(values, {"approach": names, "target": ["behaviour", "V1"]}, {"comparator": "pearson"})


@pytest.fixture(scope="module")
def retained() -> xarray.Dataset:
    """Shares near 0 and 100 whose whiskers leave these, a version without values in one target."""
    share = np.full((2, 4, 5, 2), 0.1)
    share[0, 1, :, 0], share[0, 2, :, 1] = [0, 0, 0, 0.6, 0], [1, 1, 1, 0.3, 1]
    share[1, 2] = np.nan
    top = np.clip(share[..., 0] + 0.3, 0, 1)
    dims = ("target", "version", "fold")
    values = {"top1": (dims, top), "top5": (dims, top), "share": ((*dims, "place"), share)}
    values["correspondence_mean"] = (("target", "pair"), np.full((2, 10), 0.8))
    return xarray.Dataset(values, {"target": ["animals", "fruits"], "version": VERSIONS, "place": ["in", "out"]})


def test_whiskers_are_not_cut_off(compared: xarray.Dataset, retained: xarray.Dataset) -> None:
    for figure in (report.comparison(compared), report.classification(retained), report.consistency(retained)):
        assert any(isinstance(bars, LineCollection) for axes in figure.axes for bars in axes.collections)
        assert whiskers_cut_off(figure) == []


def test_held_out_whiskers_are_not_cut_off() -> None:
    X = np.random.default_rng(0).normal(size=(18, 5))
    result = sc.cross_validate(X, np.stack([X[:, :2] @ X[:, :2].T] * 2), cv=3, progress=False)
    result["pruned_test"][:] = [[0.9, 0.9, -0.8]] * 2
    for figure in (report.held_out(result, 0), report.held_out(result), report.overview(result)):
        assert whiskers_cut_off(figure) == []


def test_notebooks_show_what_the_last_line_draws(compared: xarray.Dataset) -> None:
    formatters = pytest.importorskip("IPython.core.formatters")
    figure = report.comparison(compared)
    for drawn in (figure, pickle.loads(pickle.dumps(figure)), copy.deepcopy(figure)):
        drawn.axes[0].set_title("changed afterwards")
        drawn.savefig(content := BytesIO(), dpi=100)
        assert formatters.PNGFormatter()(drawn) == content.getvalue()
    assert formatters.PNGFormatter()(Figure()) is None  # words alone


def test_bars_that_are_missing_say_so(compared: xarray.Dataset, retained: xarray.Dataset) -> None:
    assert words_of(report.comparison(compared)).count("none") == 1
    assert words_of(report.classification(retained)).count("none") == 2  # ridge of one target, in both panels
    labels = [label.get_text() for label in report.comparison(compared).axes[0].get_xticklabels()]
    assert not any("nan" in label for label in labels)


def test_targets_side_by_side_share_a_scale(compared: xarray.Dataset, retained: xarray.Dataset) -> None:
    left, right = report.comparison(compared).axes
    assert left.get_ylim() == right.get_ylim()
    _, inside, outside = report.consistency(retained).axes
    assert inside.get_ylim() == outside.get_ylim()


def test_trees_share_a_scale() -> None:
    X = np.random.default_rng(0).normal(size=(14, 9))
    full, pruned = (axes for axes in report.dendrograms(X, [0, 1]).axes)
    assert full.get_ylim() == pruned.get_ylim()


def test_matrices_by_value_share_a_scale() -> None:
    X = np.random.default_rng(0).normal(size=(18, 9))
    target = X[:, :2] @ X[:, :2].T
    figure = report.matrices(sc.cross_validate(X, target, cv=3), X, target, scale="value")
    full, pruned, of_target = [axes.images[0].get_clim() for axes in figure.axes if axes.images]
    assert full == pruned != of_target


def test_training_starts_at_zero() -> None:
    values = {"loss": ("epoch", [np.nan, 0.2]), "alignment": (("epoch", "layer"), [[0.6], [0.62]])}
    attrs = {"best_layer": "fc7", "best_epoch": 1, "comparator": "pearson", "loss": "mse", "layer": "fc7"}
    figure = report.training(xarray.Dataset(values, {"epoch": [0, 1], "layer": ["fc7"]}, attrs))
    assert figure.axes[1].get_ylim()[0] == 0


@pytest.fixture(scope="module")
def four() -> xarray.Dataset:
    """Two layers, two regions, four subjects: both tests have three degrees of freedom."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 20, 8)), rng.normal(size=(2, 20, 6))
    noise = rng.normal(size=(2, 2, 4, 20, 20))
    noise = noise + noise.swapaxes(-1, -2)
    regions = [{"V1": x @ x.T + 9 * noise[s, 0], "IT": x @ x.T + 9 * noise[s, 1]} for s, x in enumerate(X)]
    return four_tests({"penultimate": list(X), "final": list(Y)}, regions, kind="similarity")


def test_every_layer_has_its_nodes(four: xarray.Dataset) -> None:
    figure = report.kept_by_region(four)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "features kept, of 8 (mean over subjects)", "features kept, of 6 (mean over subjects)",
    ]  # fmt: skip
    assert "penultimate" in words_of(figure)
    assert len(report.kept_by_region(four, "final").axes) == 1


def test_tests_with_the_same_df_say_over_what(four: xarray.Dataset) -> None:
    words = words_of(report.regions(four))
    assert "t(3) = " in words
    assert "(paired over subjects)" in words
    page = fmri.markdown(four, "T")
    assert "paired over regions × sets: t(3) = " in page
    assert "## Tests over subjects" in page


# Legends --------------------------------------------------------------------------------------------------------


def legends_of(figure: Figure) -> list[Legend]:
    return [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()) is not None)]


@pytest.mark.parametrize(("count", "columns"), [(8, 5), (7, 3), (3, 4), (1, 2), (6, 2)])
def test_legends_read_by_rows(count: int, columns: int) -> None:
    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    for k in range(count):
        axes.plot([0, 1], label=f"entry {k}")
    drawing.legend_above(axes, columns)
    FigureCanvasAgg(figure).draw()
    (legend,) = legends_of(figure)
    places = [(-round(text.get_window_extent().y0), text.get_window_extent().x0) for text in legend.get_texts()]
    read = [legend.get_texts()[k].get_text() for k in sorted(range(count), key=lambda k: places[k])]
    assert read == [f"entry {k}" for k in range(count)]


def test_groups_read_by_rows_with_their_own_colours() -> None:
    X = np.random.default_rng(0).normal(size=(16, 5))
    groups = [f"a rather long name of group {i % 8}" for i in range(16)]
    figure = report.embedding(X, [0, 1], groups)
    FigureCanvasAgg(figure).draw()
    (legend,) = legends_of(figure)
    order = {text.get_text()[:29]: handle for text, handle in zip(legend.get_texts(), legend.legend_handles)}
    for g in range(8):
        handle = order[f"a rather long name of group {g}"[:29]]
        assert handle.get_color() == drawing.OKABE_ITO[g]
        assert handle.get_marker() == drawing.MARKERS[g]


def test_legends_have_no_entry_without_ink(retained: xarray.Dataset) -> None:
    gone = retained.copy(deep=True)
    gone["top1"][:, 3] = gone["top5"][:, 3] = np.nan
    (legend,) = legends_of(report.classification(gone))
    assert [text.get_text() for text in legend.get_texts()] == ["pruned", "ridge"]
    X = np.random.default_rng(0).normal(size=(18, 5))
    one = sc.cross_validate(X, X[:, :2] @ X[:, :2].T, cv=[(np.arange(12), np.arange(12, 18))], progress=False)
    (legend,) = legends_of(report.held_out(one))
    assert "mean ± SD" not in [text.get_text() for text in legend.get_texts()]  # of one fold there is no SD


# Maps of stimuli, heatmaps, courses, curves ---------------------------------------------------------------------


def test_maps_have_a_shape_for_each_group() -> None:
    X = np.random.default_rng(0).normal(size=(12, 5))
    figure = report.embedding(X, [0, 1], ["ab"[i % 2] for i in range(12)])
    for axes in figure.axes:
        shapes = {len(dots.get_paths()[0].vertices): len(dots.get_offsets()) for dots in axes.collections}
        assert len(shapes) == 2  # a disc and a square
        assert sum(len(dots.get_offsets()) for dots in axes.collections) == 12


def test_maps_show_photographs_where_there_are_some() -> None:
    from matplotlib.offsetbox import AnnotationBbox

    X = np.random.default_rng(0).normal(size=(6, 5))
    pictures = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    figure = report.embedding(X, [0, 1], pictures=pictures)
    for axes in figure.axes:
        boxes = [artist for artist in axes.artists if isinstance(artist, AnnotationBbox)]
        assert len(boxes) == 6
        FigureCanvasAgg(figure).draw()
        room = axes.get_window_extent()
        for box in boxes:
            extent = box.get_window_extent()
            assert room.x0 <= extent.x0 <= extent.x1 <= room.x1
            assert room.y0 <= extent.y0 <= extent.y1 <= room.y1
    with pytest.raises(ValueError, match=r"pictures must have shape \(6, y, x, 3\), got \(5, 8, 8, 3\)"):
        report.embedding(X, [0, 1], pictures=pictures[:5])


def test_a_page_shows_photographs_on_its_maps() -> None:
    from matplotlib.offsetbox import AnnotationBbox

    X = np.random.default_rng(0).normal(size=(30, 8))
    target = X[:, :4] @ X[:, :4].T
    pictures = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    figure = report.page(sc.cross_validate(X, target, cv=3), X, target, pictures=pictures)
    counts = [sum(isinstance(one, AnnotationBbox) for one in axes.artists) for axes in figure.axes]
    assert [count for count in counts if count] == [30, 30]
    assert not [axes for axes, count in zip(figure.axes, counts) if count and axes.collections]  # no markers below


@pytest.fixture(scope="module")
def heated() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    maps = rng.random((3, 4, 4, 4))
    pictures = heatmaps.as_pictures(rng.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8))
    return pictures, *(heatmaps.of_maps(maps, w, (8, 8)) for w in (rng.random((3, 4)), np.ones((3, 4))))


def test_heatmaps_stand_beside_the_plain_mean(heated: tuple[Any, Any, Any]) -> None:
    pictures, heat, plain = heated
    for draw in (report.contact_sheet, report.overlays):
        figure = draw(pictures, heat, plain=plain, alignment=[0.25, -0.5, np.nan])
        pictured = [axes for axes in figure.axes if axes.images]
        assert len(pictured) == 9
        titles = [axes.get_title(loc="left") for axes in pictured]
        assert [title for title in titles if title] == ["0: 0.25", "1: −0.50", "2: undefined"]
        assert "right: plain mean of the maps" in words_of(figure)
        shown = pictured[2].images[-1].get_array()
        values = plain.values[0]
        np.testing.assert_allclose(shown, (values - values.min()) / np.ptp(values))
        with pytest.raises(ValueError, match="alignment must have one value for each of 3 images"):
            draw(pictures, heat, alignment=[1.0])
        with pytest.raises(ValueError, match="plain must be of the pictures"):
            draw(pictures, heat, plain=plain[:2])


def test_contours_have_a_halo(heated: tuple[Any, Any, Any]) -> None:
    pictures, heat, _ = heated
    for axes in report.contours(pictures, heat).axes:
        (lines,) = axes.collections
        (halo,) = lines.get_path_effects()
        assert halo._gc["linewidth"] > max(lines.get_linewidths())


def test_the_course_page_shows_single_subjects_and_q() -> None:
    patterns, truth = simulate(18, subjects=3, sensors=20, times=np.arange(6) * 0.08, seed=1)
    course = prune(truth.X, rdm_movies(patterns), cv=3, progress=False)
    test = group_test(course)
    thin = {1: 0, 3: 2 * 3}
    for count, lines in thin.items():
        some = course.isel(subject=slice(count))
        upper = report.course_page(some).axes[0]
        assert sum(line.get_linewidth() == 0.5 for line in upper.lines) == lines
    words = words_of(report.course_page(course, test))
    assert "No time with q ≤ 0.05" in words
    test["significant"][2] = True
    figure = report.course_page(course, test)
    assert "Squares: q ≤ 0.05 at that time" in words_of(figure)
    (squares,) = [line for line in figure.axes[1].lines if line.get_marker() == "s"]
    np.testing.assert_allclose(squares.get_xdata(), 1000 * course["time"].values[[2]])


def test_curves_start_where_they_are_defined() -> None:
    X = np.random.default_rng(0).normal(size=(18, 8))
    result = sc.cross_validate(X, X[:, :2] @ X[:, :2].T, sc.Pruner("correlation"), cv=3, progress=False)
    figure = report.insertion_curves(result)
    assert "curves start from 2 features: with fewer, all those of a stimulus are zero or alike" in words_of(figure)
    figure.canvas.draw()
    (note,) = figure.axes[0].texts
    low = figure.axes[0].transData.inverted().transform(note.get_window_extent())[0, 1]
    assert low > float(result["curve"].max())  # the words lie on no curve
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 3]
    assert {int(line.get_xdata()[0]) for line in curves} == {2}
    assert "curves start" not in words_of(report.insertion_curves(sc.cross_validate(X, X[:, :2] @ X[:, :2].T, cv=3)))
