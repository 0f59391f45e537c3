"""Pictures of the four tests show the numbers of the result, and say what they show."""

from __future__ import annotations

import numpy as np
import pytest

import secateur as sc
from secateur.regions import four_tests, nodes, paired_tests
from secateur.report import kept_by_region, regions

NAMES = ("vTC", "FFA", "a region with a long name")


def measured(people):
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(n, 20)) for n in (24, 26)]
    sets = [
        {
            name: -3 * sc.similarity(x[:, k : k + 6]) + rng.normal(size=(people, len(x) * (len(x) - 1) // 2))
            for k, name in enumerate(NAMES)
        }
        for x in X
    ]
    layers = {"penultimate": X, "final": [x[:, :15] for x in X]}
    return four_tests(layers, sets, kind="dissimilarity", progress=False)


@pytest.fixture(scope="module")
def result():
    return measured(5)


@pytest.fixture(scope="module")
def means():
    return measured(1)


def dots(axes):
    """Heights of all single dots."""
    return sorted(float(line.get_ydata()[0]) for line in axes.lines if line.get_marker() in ("o", "s"))


def words(figure):
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, *axes.get_xticklabels(), axes.title]] + [
        axes.get_title(loc="left") for axes in figure.axes
    ]


@pytest.mark.parametrize("test", ["within", "across", "upper_bound"])
def test_dots_are_the_means(result, test):
    figure = regions(result, test)
    assert len(figure.axes) == 2
    for axes, layer in zip(figure.axes, result.layer.values):
        one = result.sel(test=test, layer=layer)
        wanted = np.concatenate([one[space].mean("subject").values.ravel() for space in ("full", "pruned")])
        np.testing.assert_allclose(dots(axes), np.sort(wanted), atol=1e-12)
        low, high = axes.get_ylim()
        assert low <= 0 < one.pruned.max() < high
        assert axes.get_ylabel() == "alignment (Pearson r)"
        people = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_color() == "#9A9A9A"]
        assert len(people) == 3 * 2 * 5
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_the_test_that_is_told(result, means):
    row = paired_tests(result, "subjects").query("test == 'across' and layer == 'final'").iloc[-1]
    told = next(text for text in words(regions(result, "across")) if f"t(4) = {row.t:.2f}" in text)
    assert f"{row.improved} of 5 subjects improved" in told
    assert f"d = {row.d:.2f}" in told
    assert not any("t(" in text for text in words(regions(result, "upper_bound")))
    row = paired_tests(means).query("test == 'across' and layer == 'final'").iloc[0]
    told = next(text for text in words(regions(means, "across")) if f"t(5) = {row.t:.2f}".replace("-", "−") in text)
    assert "of 6 regions × sets improved" in told


def test_group_means_have_no_error_bars(result, means):
    assert [len(axes.collections) for axes in regions(means, "within").axes] == [0, 0]
    assert all(axes.collections for axes in regions(result, "within").axes)
    assert len(dots(regions(means, "within").axes[0])) == 12


def test_kept(result):
    figure = kept_by_region(result)
    assert len(figure.axes) == 2
    for axes, layer, d in zip(figure.axes, ("penultimate", "final"), (20, 15)):
        counts = nodes(result, layer)
        for line, name in zip((line for line in axes.lines if line.get_label().startswith("Set")), counts.index):
            np.testing.assert_allclose(line.get_xdata(), counts.loc[name])
        assert axes.get_xlabel() == f"features kept, of {d} (mean over subjects)"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:2] == ["vTC", "FFA"]
    assert kept_by_region(result, "penultimate").axes[0].get_xlabel().startswith("features kept, of 20")


def test_refusals(result):
    with pytest.raises(ValueError, match="test must be one of 'within', 'across', 'upper_bound'; got 'behaviour'"):
        regions(result, "behaviour")
    with pytest.raises(ValueError, match="layer must be one of 'penultimate', 'final'; got 'x'"):
        kept_by_region(result, "x")


def test_nothing_is_cut_off(result):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for figure in (regions(result, "within"), kept_by_region(result)):
        FigureCanvasAgg(figure).draw()
        inside = figure.bbox
        for axes in figure.axes:
            box = axes.get_tightbbox()
            assert box.x0 >= 0
            assert box.x1 <= inside.x1
            assert box.y0 >= 0
            assert box.y1 <= inside.y1
        for legend in figure.legends:
            assert legend.get_tightbbox().x1 <= inside.x1
