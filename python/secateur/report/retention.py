"""Pictures of what pruned networks still classify: accuracies, agreement of folds, where errors land."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from ..features import Matrix
from . import drawing
from .drawing import Axes, Figure

__all__ = ["classification", "consistency"]

COLOURS = {"full": drawing.FULL, "pruned": drawing.PRUNED, "ridge": "#6E6E6E", "lasso": drawing.OTHER}
TINT = "#009E73"


def classification(result: xarray.Dataset) -> Figure:
    """Top-1 and top-5 of the full, the pruned and the reweighted networks: a group of bars a target.

    Parameters
    ----------
    result : xarray.Dataset
        ``top1`` and ``top5`` (target, version, fold), as ``secateur.study.retention`` makes it.

    Returns
    -------
    matplotlib.figure.Figure
        Bars: means over folds; points: folds; a dashed line: the network as it is.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Figure 2.

    Examples
    --------
    >>> import xarray
    >>> scores = (("target", "version", "fold"), np.array([[[0.8, 0.8], [0.6, 0.7]]]))
    >>> result = xarray.Dataset({"top1": scores, "top5": scores}, {"target": ["A"], "version": ["full", "pruned"]})
    >>> [axes.get_ylabel() for axes in classification(result).axes]
    ['top-1 accuracy (%)', 'top-5 accuracy (%)']
    """
    names = [str(name) for name in result["target"].values]
    versions = [str(name) for name in result["version"].values if str(name) != "full"]
    wide = max(2.6, (0.22 * len(versions) + 0.28) * len(names))
    figure = drawing.blank_figure(1.5 + 2 * wide + 0.5, 3.4)
    for column, (top, words) in enumerate((("top1", "top-1"), ("top5", "top-5"))):
        axes = drawing.axes_at(figure, 0.65 + column * (wide + 0.95), 0.8, wide, 2.1)
        values = 100 * result[top].sel(version=versions).values
        _bars(axes, values, names, versions)
        if "full" in result["version"].values:
            whole = 100 * float(result[top].sel(version="full").values.ravel()[0])
            axes.axhline(whole, color=drawing.FULL, linestyle="--", linewidth=1.2)
            ink: dict[str, Any] = {"color": drawing.FULL, "fontsize": drawing.SMALL}
            at = axes.get_yaxis_transform()
            axes.text(1.005, whole, f"full\n{whole:.1f}", ha="left", va="center", transform=at, **ink)
        drawing.dress(axes, "target that the network was fitted to", f"{words} accuracy (%)")
        drawing.heading(axes, f"{'ab'[column]}   {words.capitalize()}", 8)
    _legend(figure, [one for one in versions if result["top1"].sel(version=one).notnull().any()])
    folds = result.sizes["fold"]
    words = f"Bars: mean ± SD over {folds} folds, each a network; points: folds. No training."
    drawing.write_note(figure, 0.1, 0.1, words)
    return figure


def _bars(axes: Axes, values: Matrix, names: list[str], versions: list[str]) -> None:
    """(target, version, fold) values: groups of bars."""
    step, ends = min(0.25, 0.78 / len(versions)), [0.0]
    for v, version in enumerate(versions):
        for t in range(len(names)):
            x, folds = t + (v - (len(versions) - 1) / 2) * step, values[t, v]
            folds = folds[:1] if version == "full" else folds  # one network
            mean, sd = drawing.mean_sd(folds)
            if np.isnan(mean):
                drawing.say_none(axes, x)
                continue
            ends.extend([mean, *([] if np.isnan(sd) else [mean - sd, mean + sd])])
            axes.bar(x, mean, width=0.88 * step, color=COLOURS.get(version, drawing.OTHER), alpha=0.85)
            drawing.draw_points(axes, x, folds, 0.28 * step, 2.6, clip_on=False, zorder=3)
            if not np.isnan(sd):
                axes.errorbar(x, mean, yerr=sd, color="black", capsize=2, linewidth=1.0)
    drawing.name_bars(axes, [drawing.drawn_name(name, 14) for name in names])
    axes.set_ylim(min(ends) - 3 if min(ends) < 0 else 0.0, max(108.0, 3 + max(ends)))  # whiskers may leave 0 to 100
    axes.set_yticks(range(0, 101, 20))
    if min(ends) < 0:
        axes.axhline(0, color="black", linewidth=0.5)


def _legend(figure: Figure, versions: list[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=COLOURS.get(version, drawing.OTHER), alpha=0.85) for version in versions]
    figure.legend(
        handles, versions, loc="upper right", bbox_to_anchor=(0.99, 1.0), ncols=len(versions), frameon=False,
        fontsize=drawing.SMALL, handlelength=1.0, handletextpad=0.4, columnspacing=1.0,
    )  # fmt: skip


def consistency(result: xarray.Dataset) -> Figure:
    """How far the folds' pruned networks agree, and how many substantial errors land in the supervised category.

    Parameters
    ----------
    result : xarray.Dataset
        ``correspondence_mean`` (target, pair) and, optionally, ``share`` (target, version, fold, place), as
        ``secateur.study.retention`` makes it.

    Returns
    -------
    matplotlib.figure.Figure
        Left: a point a pair of folds, a bar for their mean. Right, where there is a category: full against the others,
        for images of the category and for the rest.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), sections 2.6 and 2.7.

    Examples
    --------
    >>> import xarray
    >>> pairs = (("target", "pair"), np.array([[0.9, 0.8, 0.95]]))
    >>> result = xarray.Dataset({"correspondence_mean": pairs}, {"target": ["A"]})
    >>> consistency(result).axes[0].get_ylabel()
    'correlation of class probabilities'
    """
    names = [str(name) for name in result["target"].values]
    wide = max(2.2, 0.62 * len(names))
    shifted = "share" in result
    versions = [str(name) for name in result["version"].values] if shifted else []
    wider = max(2.6, (0.22 * len(versions) + 0.28) * len(names))
    figure = drawing.blank_figure(0.85 + wide + (2 * (wider + 0.75) if shifted else 0) + 0.2, 3.4)
    axes = drawing.axes_at(figure, 0.65, 0.8, wide, 2.1)
    pairs = result["correspondence_mean"].values
    for t, values in enumerate(pairs):
        axes.bar(t, values.mean(), width=0.55, color=TINT, alpha=0.8)
        drawing.draw_points(axes, t, values, 0.2)
    axes.set_ylim(min(0.0, float(np.nanmin(pairs)) * 1.1), 1.02)
    drawing.name_bars(axes, [drawing.drawn_name(name, 14) for name in names])
    drawing.dress(axes, "target", "correlation of class probabilities")
    drawing.heading(axes, "a   Agreement of folds", 8)
    words = "a: points: pairs of folds, each the mean over images; bars: their mean."
    if shifted:
        for p, place in enumerate(("of the category", "of other classes")):
            axes = drawing.axes_at(figure, 0.65 + wide + 0.75 + p * (wider + 0.75), 0.8, wider, 2.1)
            _bars(axes, 100 * result["share"].values[..., p], names, versions)
            drawing.dress(axes, "target", "errors landing in the category (%)")
            drawing.heading(axes, f"{'bc'[p]}   Images {place}", 8)
        beside = figure.axes[-2:]
        low, high = (pick(*ends) for pick, ends in zip((min, max), zip(*(one.get_ylim() for one in beside))))
        for one in beside:
            one.set_ylim(low, high)
        _legend(figure, [one for one in versions if result["share"].sel(version=one).notnull().any()])
        words += "  b, c: of errors beyond the first five; points: folds, bars: mean ± SD."
    drawing.write_note(figure, 0.1, 0.1, words)
    return figure
