"""Pictures of heatmaps: what they show, what they say of empty maps, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from secateur import heatmaps, report, saliency

RNG = np.random.default_rng(1)
NAMES = ["one", "two", "three"]


@pytest.fixture(scope="module")
def views():
    heat = heatmaps.of_maps(RNG.random((3, 2, 4, 4)), [[1.0, 0.2], [-1.0, -2.0], [0.5, 0.0]], (16, 20), names=NAMES)
    pixels = RNG.integers(0, 256, (3, 16, 20, 3)).astype(np.uint8)
    return heatmaps.as_pictures(pixels, names=NAMES), heat


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def test_overlays_stand_beside_their_originals(views):
    pictures, heat = views
    figure = report.overlays(pictures, heat, images=["three", 0])
    assert titles(figure) == ["three", "one"]
    left, right = figure.axes[:2]
    np.testing.assert_array_equal(left.images[0].get_array(), pictures.values[2])
    drawn = np.asarray(right.images[1].get_array())
    assert drawn.argmax() == heat.values[2].argmax()
    assert (drawn.min(), drawn.max()) == (0, 1)


def test_an_empty_heatmap_says_so(views):
    pictures, heat = views
    for figure in (report.overlays(pictures, heat), report.contact_sheet(pictures, heat)):
        assert titles(figure) == ["one", "two: empty", "three"]
        assert not np.asarray(figure.axes[3].images[1].get_array()).any()
    assert titles(report.contact_sheet(pictures)) == NAMES


def test_contours_lie_at_the_percentiles(views):
    pictures, heat = views
    salient = heat.copy(data=RNG.random(heat.shape))
    figure = report.contours(pictures, heat, salient, top=[10, 5])
    first, empty, _ = figure.axes
    levels = [list(one.levels) for one in first.collections]
    assert levels[0] == pytest.approx(list(np.percentile(heat.values[0].astype(float), [90, 95])))
    assert levels[1] == pytest.approx(list(np.percentile(salient.values[0], [90, 95])))
    assert len(empty.collections) == 1  # saliency alone
    risk = saliency.relative_risk(heat, salient, top=[5, 10])["relative_risk"].values
    assert titles(figure)[0] == f"one\nrelative risk {risk[0, 0]:.1f}, {risk[0, 1]:.1f}"
    assert titles(figure)[1] == "two: empty\nrelative risk undefined"


def test_curves_are_means_over_images(views):
    _, heat = views
    curves = saliency.precision_recall(heat, RNG.random(heat.shape))
    figure = report.precision_recall(curves)
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), curves["precision"].sel(heat_percentile=60)[[0, 2]].mean("image"))
    assert figure.axes[0].lines[1].get_ydata()[0] == pytest.approx(0.4)  # chance
    grouped = report.precision_recall(curves, ["a", "b", "a"])  # b has no curve
    assert [text.get_text() for text in grouped.legends[0].texts] == ["a (2)", "chance"]


def test_refusals(views):
    pictures, heat = views
    with pytest.raises(TypeError, match="pictures must be a DataArray"):
        report.contact_sheet(pictures.values, heat)
    with pytest.raises(ValueError, match="heat must be of the pictures"):
        report.overlays(pictures, heat[:2])
    with pytest.raises(ValueError, match="with other names"):
        report.overlays(pictures, heat.assign_coords(image=["a", "b", "c"]))
    with pytest.raises(ValueError, match="images must name images of heat, got 'four'"):
        report.overlays(pictures, heat, images=["four"])
    with pytest.raises(ValueError, match="columns must be an integer of at least 1, got 0"):
        report.contact_sheet(pictures, heat, columns=0)


def test_a_rise_is_no_heat(views):
    """Where covering helps, and hurts hardly, there is next to nothing to see."""
    pictures, heat = views
    drop = heat.copy(data=np.full(heat.shape, -0.03)).drop_vars("empty")
    drop[0, 3, 3], drop[1, 0, 0], drop[2, 5, 5] = 0.0003, 0.06, np.nan
    figure = report.overlays(pictures, drop)
    drawn = [np.asarray(axes.images[1].get_array()) for axes in figure.axes[1:6:2]]
    assert drawn[0].max() == pytest.approx(0.01)
    assert (drawn[1].max(), drawn[1].argmax()) == (1, 0)
    assert drawn[2].max() == 0
    drop[2] = 0.01 * (1 + np.arange(320).reshape(16, 20) / 319)  # covering hurts everywhere: one zero for the sheet
    drawn = np.asarray(report.overlays(pictures, drop).axes[5].images[1].get_array())
    assert (drawn.min(), drawn.max()) == pytest.approx((0.5, 1))
    assert "a rise" in figure.axes[-1].get_xlabel()
