"""Several targets in one picture: every one, their mean, the test over them, the noise ceiling."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from ..statistics import mean_of_defined
from ..validation import over_targets
from . import drawing
from .drawing import Axes, Figure
from .held_out_scores import draw_many
from .results import what_targets_are

__all__ = ["over_targets_words", "overview"]


def _rows(result: xarray.Dataset) -> dict[str, dict[str, float]]:
    """Of full, pruned and gain: mean, interval, test."""
    return over_targets(result).to_dict("index")  # type: ignore[return-value]


def over_targets_words(result: xarray.Dataset) -> str:
    """The mean over targets and, where these are subjects, the test over them, in a sentence or two."""
    table, what = _rows(result), what_targets_are(result)
    full, pruned, gain = (table[name] for name in ("full", "pruned", "gain"))
    words = f"Mean over {int(gain['n'])} {what}: full {full['mean']:.3f}, pruned {pruned['mean']:.3f}, "
    words += f"gain {drawing.signed(gain['mean'])}"
    if what != "subjects":
        return f"{words}; {what} are no sample of others, so no test over them is made."
    words += f" (95 % interval {drawing.signed(gain['lower'])} to {drawing.signed(gain['upper'])})"
    if np.isnan(gain["t"]):
        return f"{words}."
    test = f"t({int(gain['df'])}) = {gain['t']:.2f}, p = {gain['p']:.2g}, d = {gain['d']:.2f}"
    words += (
        f"; {test}: paired over subjects, Fisher's z, one-sided (pruned > full). It asks whether other people would "
    )
    return words + "show the gain. Whether these features fit better than any others is asked by the permutation test."


def overview(result: xarray.Dataset, *, title: str | None = None) -> Figure:
    """Every target full against pruned, their mean with its interval, and every target by itself.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`, of at least 2 targets. Where its attribute ``targets`` is ``"subjects"``,
        the words below tell the test over them (:func:`secateur.over_targets`).
    title : str, optional
        A heading.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        Where there are fewer than 2 targets.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> targets = np.stack([X[:, :4] @ X[:, :4].T, X[:, 2:6] @ X[:, 2:6].T])
    >>> len(overview(sc.cross_validate(X, targets, cv=3)).axes)
    2
    """
    from textwrap import wrap

    words = over_targets_words(result)
    wide = max(3.2, min(6.2, 0.6 + 0.36 * result.sizes["target"]))
    figure = drawing.blank_figure(0.75 + 2.1 + 0.85 + wide + 0.2, 4.6)
    left = drawing.axes_at(figure, 0.75, 1.25, 2.1, 2.35)
    right = drawing.axes_at(figure, 3.7, 1.25, wide, 2.35)
    _draw_means(left, result)
    draw_many(right, result)
    low, high = (pick(*ends) for pick, ends in zip((min, max), zip(left.get_ylim(), right.get_ylim())))
    for axes in (left, right):
        axes.set_ylim(low, high)
    right.set_ylabel("")
    drawing.write_title(figure, 0.2, 4.35, title or f"Held out, {result.sizes['target']} {what_targets_are(result)}")
    drawing.heading(left, "A   Each, and their mean", 20)
    drawing.heading(right, "B   Each, mean ± SD over folds", 20)
    most = int(17 * (figure.get_size_inches()[0] - 0.4))
    lines = wrap(words, most)
    for below, line in enumerate(reversed(lines)):
        drawing.write_note(figure, 0.2, 0.09 + 0.145 * below, line)
    return figure


def _draw_means(axes: Axes, result: xarray.Dataset) -> None:
    """A line for each target, and at the sides the means with their intervals over targets."""
    table, what = _rows(result), what_targets_are(result)
    full, pruned = (mean_of_defined(result[name].values.T) for name in ("full_test", "pruned_test"))
    faint = max(0.25, min(0.9, 8 / len(full)))
    ink: dict[str, Any] = {"color": drawing.FAINT, "linewidth": 0.8, "markersize": 2.5, "alpha": faint}
    for t, pair in enumerate(zip(full, pruned, strict=True)):
        axes.plot([0, 1], pair, "-o", **ink, label=f"one {what.removesuffix('s')}" if t == 0 else None)
    for x, name, colour in ((-0.18, "full", drawing.FULL), (1.18, "pruned", drawing.PRUNED)):
        row = table[name]
        error = None if np.isnan(row["lower"]) else row["upper"] - row["mean"]
        axes.errorbar(x, row["mean"], yerr=error, fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.4)
    axes.errorbar([], [], yerr=[], fmt="o", color="black", markersize=4, capsize=2, linewidth=1, label="mean, 95 %")
    ends = [table[name][end] for name in ("full", "pruned") for end in ("lower", "upper")]
    reached = np.concatenate([full, pruned, ends])
    if "ceiling_lower" in result:
        span = [float(np.nanmean(result[f"ceiling_{which}"].values)) for which in ("lower", "upper")]
        axes.axhspan(*span, color=drawing.FAINT, alpha=0.35, linewidth=0)
        reached = np.append(reached, span)
    drawing.from_zero(axes, reached)
    axes.set_xlim(-0.5, 1.5)
    axes.set_xticks([0, 1], [f"{name}\n{table[name]['mean']:.3f}" for name in ("full", "pruned")])
    drawing.dress(axes, "", f"held-out alignment ({drawing.unit_of(result)})")
    drawing.legend_above(axes, 2, columnspacing=0.8)
