"""Pictures of a pruning: the alignment against the number of features kept."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray

from ..measures import search_row
from . import drawing
from .drawing import Axes, Figure
from .results import by_importance, checked_target, search_of, things_of, title_end

__all__ = ["curves_title", "draw_curves", "insertion_curves"]


def curves_title(result: xarray.Dataset) -> str:
    if by_importance(result):
        return f"Inserting {things_of(result)} by importance"
    return f"Best sets of the {search_of(result)} search"


def draw_curves(axes: Axes, result: xarray.Dataset, t: int, x: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    unit, d = drawing.unit_of(result), result.sizes["feature"]
    logarithmic = d >= 100 if x == "auto" else x == "log"
    full, best, kept = (result[name].values[t] for name in ("full_train", "pruned_train", "n_kept"))
    folds = result.sizes["fold"]
    if "curve" in result:
        steps = np.arange(1, result.sizes["step"] + 1)
        defined = np.isfinite(result["curve"].values[t])
        starts = [int(steps[row.argmax()]) for row in defined if row.any()]
        if starts and max(starts) > 1:
            least, most = min(starts), max(starts)
            words = f"from {least}" if least == most else f"from {least} to {most}"
            words = f"curves start {words} features: with fewer, all those of a stimulus are zero or alike"
            axes.text(0.99, 0.99, words, transform=axes.transAxes, ha="right", va="top", fontsize=drawing.SMALL)
        for f in range(folds):
            there = defined[f]
            axes.plot(
                steps[there], result["curve"].values[t, f][there], color=drawing.FULL, linewidth=0.9,
                alpha=max(0.15, min(0.7, 4 / folds)), label="one fold" if f == 0 else None,
            )  # fmt: skip
    else:
        words = "the curves were not kept (curves=False)"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", fontsize=drawing.SMALL)
    axes.plot(
        kept, best, "o", color=drawing.PRUNED, markersize=4, markeredgecolor="white", markeredgewidth=0.5,
        label="the kept set" if search_row(search_of(result)).draws_stimuli else "maximum: the kept set",
    )  # fmt: skip
    every = f"all {things_of(result)} (mean)"
    axes.axhline(float(np.nanmean(full)), color="black", linestyle="--", linewidth=0.8, label=every)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(axis="x", integer=True)
    if axes.texts:  # room above the curves for what is said of them
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.1 * (high - low))
    axes.set_xlim(0.9 if logarithmic else 0, d * (1.1 if logarithmic else 1.02))
    scale = ", log scale" if logarithmic else ""
    order = ", most important first" if by_importance(result) else ""
    drawing.dress(axes, f"{things_of(result)} kept{order} (of {d}{scale})", f"training alignment ({unit})")
    drawing.legend_above(axes, 3)


def insertion_curves(
    result: xarray.Dataset, target: int = 0, *, x: Literal["auto", "linear", "log"] = "auto"
) -> Figure:
    """Training alignment against the number of features kept, one line per fold, its maximum marked.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`, with its curves.
    target : int
        Position of the target.
    x : {"auto", "linear", "log"}
        Scale of the number of features; ``"auto"`` is log from 100 features on.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2 (selection to criterion). The alignment shown is in-sample: its
    maximum is chosen on the pairs that it is measured on.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> figure = insertion_curves(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3))
    >>> figure.axes[0].get_ylabel()
    'training alignment (Pearson r)'
    """
    if x not in ("auto", "linear", "log"):
        raise ValueError(f"x must be 'auto', 'linear' or 'log', got {x!r}")
    figure = drawing.blank_figure(5.2, 3.5)
    axes = drawing.axes_at(figure, 0.65, 0.5, 4.35, 2.4)
    draw_curves(axes, result, checked_target(result, target), x)
    drawing.heading(axes, curves_title(result) + title_end(result, target), 20)
    return figure
