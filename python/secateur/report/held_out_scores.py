"""Pictures of held-out alignment: full against pruned, and several methods on the same folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from ..features import Matrix
from . import drawing
from .drawing import Axes, Figure
from .results import checked_target, target_name, things_of, title_end, what_targets_are

__all__ = ["comparison", "draw_held_out", "draw_many", "held_out"]


def _ceiling(result: xarray.Dataset) -> tuple[Matrix, Matrix] | None:
    """Lower and upper noise ceiling of each target, means over folds, where the result has them."""
    if "ceiling_lower" not in result:
        return None
    lower, upper = (result[f"ceiling_{which}"].mean("fold").values for which in ("lower", "upper"))
    return lower, upper


def draw_held_out(axes: Axes, result: xarray.Dataset, t: int) -> None:
    full, pruned = result["full_test"].values[t], result["pruned_test"].values[t]
    folds = len(full)
    for f in range(folds):
        axes.plot(
            [0, 1], [full[f], pruned[f]], "-o", color=drawing.FAINT, linewidth=0.8, markersize=2.5,
            alpha=max(0.3, min(1, 6 / folds)), label="one fold" if f == 0 else None,
        )  # fmt: skip
    for x, scores, colour in ((-0.16, full, drawing.FULL), (1.16, pruned, drawing.PRUNED)):
        mean, sd = drawing.mean_sd(scores)
        error = None if np.isnan(sd) else sd
        axes.errorbar(x, mean, yerr=error, fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.4)
    spread = any(not np.isnan(drawing.mean_sd(scores)[1]) for scores in (full, pruned))
    label = "mean ± SD" if spread else "mean"
    axes.errorbar([], [], yerr=[], fmt="o", color="black", markersize=4, capsize=2, linewidth=1, label=label)
    bounds = _ceiling(result)
    reached = drawing.whiskers(np.stack([full, pruned]))
    if bounds is not None:
        axes.axhspan(bounds[0][t], bounds[1][t], color=drawing.FAINT, alpha=0.35, linewidth=0, label="noise ceiling")
        reached = np.append(reached, [bounds[0][t], bounds[1][t]])
    drawing.from_zero(axes, reached)
    axes.set_xlim(-0.5, 1.5)
    of_full = f"full\n{result.sizes['feature']} {things_of(result)}\n{drawing.plus_minus(full, 3)}"
    kept = drawing.plus_minus(result["n_kept"].values[t], 0)
    axes.set_xticks([0, 1], [of_full, f"pruned\n{kept} kept\n{drawing.plus_minus(pruned, 3)}"])
    drawing.dress(axes, "", f"held-out alignment ({drawing.unit_of(result)})")
    drawing.legend_above(axes, 3, columnspacing=0.8)


def draw_many(axes: Axes, result: xarray.Dataset) -> None:
    names = [target_name(result, t) or str(t) for t in range(result.sizes["target"])]
    at, few = np.arange(len(names)), len(names) <= 20
    for label, colour, shift in (("full", drawing.FULL, -0.12), ("pruned", drawing.PRUNED, 0.12)):
        mean, sd = np.array([drawing.mean_sd(row) for row in result[f"{label}_test"].values]).T
        sd = np.nan_to_num(sd)
        if few:
            axes.errorbar(
                at + shift, mean, sd, fmt="o", color=colour, markersize=4, capsize=2, linewidth=1, label=label
            )
        else:
            axes.plot(at, mean, color=colour, linewidth=1.2, label=label)
            axes.fill_between(at, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
    reached = drawing.whiskers(np.concatenate([result["full_test"].values, result["pruned_test"].values]))
    bounds = _ceiling(result)
    if bounds is not None:
        lower, upper = bounds
        wide = 0.8 if few else 1.0
        axes.bar(at, upper - lower, wide, lower, color=drawing.FAINT, alpha=0.35, label="noise ceiling", zorder=0)
        reached = np.concatenate([reached, lower, upper])
    drawing.from_zero(axes, reached)
    if few:
        turned: dict[str, Any] = {"rotation": 35, "ha": "right"} if max(map(len, names)) > 4 else {}
        axes.set_xticks(at, [drawing.drawn_name(name, 18) for name in names], **turned)
    one = what_targets_are(result).removesuffix("s")
    drawing.dress(axes, one if few else f"{one} (position)", f"held-out alignment ({drawing.unit_of(result)})")
    drawing.legend_above(axes, 3)


def held_out(result: xarray.Dataset, target: int | None = None) -> Figure:
    """Full against pruned on test stimuli: paired points of folds, means with SD.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    target : int, optional
        Position of the target. By default the only one, or all of them side by side as means with SD over folds.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, Table 1.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> held_out(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3)).axes[0].get_ylabel()
    'held-out alignment (Pearson r)'
    """
    if target is None and result.sizes["target"] > 1:
        figure = drawing.blank_figure(max(4.0, min(9.0, 1.6 + 0.4 * result.sizes["target"])), 3.8)
        axes = drawing.axes_at(figure, 0.7, 0.95, figure.get_size_inches()[0] - 0.9, 2.3)
        draw_many(axes, result)
        drawing.heading(axes, "On test stimuli, mean ± SD over folds", 20)
        return figure
    t = checked_target(result, target or 0)
    figure = drawing.blank_figure(3.6, 3.6)
    axes = drawing.axes_at(figure, 0.7, 0.7, 2.7, 2.3)
    draw_held_out(axes, result, t)
    drawing.heading(axes, "On test stimuli" + title_end(result, t), 20)
    return figure


def comparison(result: xarray.Dataset) -> Figure:
    """Held-out alignment of methods on the same folds: bars of means with SD, a point per fold, a panel per target.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.compare`.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 1.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> comparison(sc.compare(X, X[:, :4] @ X[:, :4].T, ["full", "pruned"], cv=3)).axes[0].get_ylabel()
    'held-out alignment (Pearson r)'
    """
    names, panels = [str(name) for name in result["approach"].values], result.sizes["target"]
    across = min(panels, 3)
    down = -(-panels // across)
    wide = max(2.2, (0.72 if max(map(len, names)) < 12 else 0.86) * len(names))
    figure = drawing.blank_figure(0.4 + across * (wide + 0.55), 0.3 + 3.1 * down)
    scores = result["test_alignment"].values
    colours = {"full": drawing.FULL, "pruned": drawing.PRUNED}
    for t in range(panels):
        row, column = divmod(t, across)
        axes = drawing.axes_at(figure, 0.6 + column * (wide + 0.55), 1.05 + 3.1 * (down - 1 - row), wide, 2.0)
        for m, name in enumerate(names):
            folds = scores[m, t]
            mean, sd = drawing.mean_sd(folds)
            colour = colours.get(name, drawing.OTHER)
            if np.isnan(mean):
                drawing.say_none(axes, m)
            axes.bar(m, mean, width=0.66, color=colour, alpha=0.85)
            drawing.draw_points(axes, m, folds, 0.2)
            if not np.isnan(sd):
                axes.errorbar(m, mean, yerr=sd, color="black", capsize=3, linewidth=1.1)
        drawing.from_zero(axes, drawing.whiskers(scores.reshape(-1, scores.shape[-1])))  # one axis for all targets
        nodes = result["nodes"].values[:, t]
        counts = [drawing.plus_minus(row, 0).removesuffix(" ± 0") if np.isfinite(row).any() else "–" for row in nodes]
        called, means = (drawing.drawn_name(n, 14) for n in names), (drawing.plus_minus(s, 2) for s in scores[:, t])
        drawing.name_bars(axes, list(map("\n".join, zip(called, counts, means, strict=True))))
        label = "" if column else f"held-out alignment ({drawing.unit_of(result)})"
        drawing.dress(axes, "method, nodes used, held-out alignment", label)
        drawing.heading(axes, "On test stimuli" + title_end(result, t), 8)
    words = f"Bars: mean ± SD over {result.sizes['fold']} folds of stimuli,\nthe same for all methods; points: folds."
    drawing.write_note(figure, 0.1, 0.1, words)
    return figure
