"""Pictures of the four tests over regions: alignment by region, and how many features each region keeps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray

from ..features import Matrix
from ..regions import nodes, paired_tests
from ..regions.tables import check_selection
from . import drawing
from .drawing import Axes, Figure

__all__ = ["kept_by_region", "regions"]

TITLES = {
    "behaviour": "Pruned to behaviour, scored on regions",
    "within": "Pruned and scored within an image set, in folds",
    "across": "Pruned on one image set, scored on the other",
    "upper_bound": "Pruned and scored on the same images: no validation",
}
MARKS = ("o", "s")


def regions(result: xarray.Dataset, test: str = "within") -> Figure:
    """Alignment of the full and the pruned space with every region, a panel per layer, both image sets.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.regions.four_tests`.
    test : {"behaviour", "within", "across", "upper_bound"}
        Which of the four.

    Returns
    -------
    matplotlib.figure.Figure
        A dot for the mean over subjects, a bar for its standard error, a faint line for each subject; above, the test
        of :func:`secateur.regions.paired_tests` over subjects, of the mean of all regions. Where there is one matrix a
        region (a group mean), dots alone, and the test over regions and sets.

    Raises
    ------
    ValueError
        Where the result has no such test.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Figures 3 (within), 4 (across) and 5 (upper bound).

    Examples
    --------
    >>> from secateur.regions import four_tests
    >>> X = np.random.default_rng(0).normal(size=(2, 30, 20))
    >>> result = four_tests(list(X), [{"A": x[:, :5] @ x[:, :5].T} for x in X])
    >>> len(regions(result).axes)
    1
    """
    check_selection(result, test)
    one = result.sel(test=test)
    layers, names = [str(v) for v in one["layer"].values], [str(v) for v in one["region"].values]
    wide = 0.75 + max(2.6, 0.78 * len(names)) + 0.2
    figure = drawing.blank_figure(max(wide, 5.4), 0.75 + 2.75 * len(layers) + 0.2)
    across, up = figure.get_size_inches()
    drawing.write_words(figure, 0.3, up - 0.3, TITLES[test], 10, fontweight="bold")
    low, high = _reach(one)
    over: Literal["regions", "subjects"] = "subjects" if result.sizes["subject"] > 1 else "regions"
    tested = paired_tests(result, over)  # of subjects the last row of a layer is of the mean of all regions
    rows = {str(row["layer"]): row for row in tested[tested["test"] == test].to_dict("records")}
    for i, layer in enumerate(layers):
        axes = drawing.axes_at(figure, 0.75, 0.95 + 2.75 * (len(layers) - 1 - i), across - 0.95, 1.95)
        _draw_layer(axes, one.sel(layer=layer), names)
        axes.set_ylim(low, high)
        if low < 0:
            axes.axhline(0, color="black", linewidth=0.5)
        drawing.dress(axes, "", f"alignment ({drawing.unit_of(result)})")
        row = rows[layer]
        drawing.heading(axes, f"{chr(97 + i)}   {drawing.drawn_name(layer, 24)}", 15)
        message = f"{row['improved']} of {row['n']} {'subjects' if over == 'subjects' else 'regions × sets'} improved"
        message += _tested_words(test, row, "subjects" if over == "subjects" else "regions × sets")
        ink: dict[str, Any] = {"fontsize": drawing.SMALL, "color": "#404040"}
        axes.text(0, 1.03, message, transform=axes.transAxes, ha="left", va="bottom", **ink)
    _legend(figure, one)
    return figure


def _tested_words(test: str, row: dict[Any, Any], over: str) -> str:
    """The paired test; none where a gain is no evidence, or there is little to test."""
    if np.isnan(row["t"]) or test == "upper_bound" or row["n"] < 3:
        return ""
    p = "p < 0.001" if row["p"] < 0.001 else f"p = {row['p']:.2g}"
    words = f", t({row['df']}) = {row['t']:.2f}, {p}, d = {row['d']:.2f}".replace("-", "−")
    return f"{words} (paired over {over})"


def _reach(one: xarray.Dataset) -> tuple[float, float]:
    """One vertical axis for all layers, with zero in it."""
    values = np.concatenate([one["full"].values.ravel(), one["pruned"].values.ravel()])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    room = 0.06 * (max(high, 0) - min(low, 0) or 1)
    return min(low - room, 0.0) if low < 0 else 0.0, max(high + room, 0.0)


def _draw_layer(axes: Axes, one: xarray.Dataset, names: list[str]) -> None:
    for a in range(one.sizes["set"]):
        full, pruned = one["full"].values[a], one["pruned"].values[a]  # (region, subject)
        for r in range(len(names)):
            left, right = r - 0.3 + 0.4 * a, r - 0.3 + 0.4 * a + 0.2
            there = np.isfinite(full[r]) & np.isfinite(pruned[r])
            if there.sum() > 1:
                axes.plot(
                    [left, right], np.stack([full[r, there], pruned[r, there]]), color=drawing.FAINT, linewidth=0.6,
                    alpha=max(0.25, min(0.8, 6 / there.sum())),
                )  # fmt: skip
            ends = []
            for x, values, colour in ((left, full[r, there], drawing.FULL), (right, pruned[r, there], drawing.PRUNED)):
                if not values.size:
                    continue
                ends.append((x, float(values.mean())))
                error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
                axes.errorbar(
                    x, values.mean(), yerr=error, fmt=MARKS[a], color=colour, markersize=5, capsize=2, linewidth=1.2,
                    markerfacecolor=colour if a == 0 else "white", zorder=3,
                )  # fmt: skip
            if len(ends) == 2 and there.sum() == 1:
                axes.plot(*zip(*ends), color=drawing.FAINT, linewidth=0.9, zorder=1)
    axes.set_xlim(-0.55, len(names) - 0.45)
    axes.set_xticks(range(len(names)), [drawing.drawn_name(name, 14) for name in names])
    for edge in range(len(names) - 1):
        axes.axvline(edge + 0.5, color="#E5E5E5", linewidth=0.6, zorder=0)


def _legend(figure: Figure, one: xarray.Dataset) -> None:
    from matplotlib.lines import Line2D

    handles, labels = [], []
    for a, name in enumerate(one["set"].values):
        for space, colour in (("full", drawing.FULL), ("pruned", drawing.PRUNED)):
            if not one[space].isel(set=a).notnull().any():
                continue
            face = colour if a == 0 else "white"
            handles.append(Line2D([], [], marker=MARKS[a], linestyle="", color=colour, markerfacecolor=face))
            labels.append(drawing.as_written(f"set {name}, {space}"))
    subjects = int((one["full"].notnull().sum("subject")).max())
    if subjects > 1:
        handles += [Line2D([], [], color=drawing.FAINT, linewidth=0.8)]
        labels += [f"one subject (at most {subjects}); bars: SE"]
    columns = len(handles) if figure.get_size_inches()[0] > 6.4 else 2
    figure.legend(
        drawing.by_rows(handles, columns), drawing.by_rows(labels, columns), loc="lower left",
        bbox_to_anchor=(0.3 / figure.get_size_inches()[0], 0.0), ncols=columns, frameon=False, fontsize=drawing.SMALL,
        columnspacing=1.2, handletextpad=0.4,
    )  # fmt: skip


def kept_by_region(result: xarray.Dataset, layer: str | None = None) -> Figure:
    """How many features pruning to each region keeps, set 1 against set 2 (all images, no folds).

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.regions.four_tests`.
    layer : str, optional
        All by default, a panel each.

    Returns
    -------
    matplotlib.figure.Figure
        A row per region: the means over subjects in both sets.

    Raises
    ------
    ValueError
        Where the result has no such layer.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 4.

    Examples
    --------
    >>> from secateur.regions import four_tests
    >>> X = np.random.default_rng(0).normal(size=(2, 30, 20))
    >>> result = four_tests(list(X), [{"A": x[:, :5] @ x[:, :5].T} for x in X])
    >>> kept_by_region(result).axes[0].get_xlabel()
    'features kept, of 20'
    """
    layers = [str(name) for name in result["layer"].values] if layer is None else [layer]
    tables = [nodes(result, one) for one in layers]
    names = list(tables[0].columns)
    tall, left = 0.28 * len(names), 0.35 + 0.085 * max(min(len(name), 18) for name in names)
    figure = drawing.blank_figure(5.2, (1.15 + tall) * len(layers))
    for i, (one, table) in enumerate(zip(layers, tables, strict=True)):
        low = 0.55 + (1.15 + tall) * (len(layers) - 1 - i)
        axes = drawing.axes_at(figure, left, low, 5.0 - left, tall)
        whose = " (mean over subjects)" if result.sizes["subject"] > 1 else ""
        _draw_kept(axes, table, names, f"features kept, of {result.sizes[f'feature_{one}']}{whose}")
        drawing.write_title(figure, left, low + tall + 0.3, f"Features kept: {drawing.drawn_name(one, 24)}")
    return figure


def _draw_kept(axes: Axes, table: Any, names: list[str], label: str) -> None:
    """The counts of one layer, a row per region."""
    counts: Matrix = table.to_numpy()
    for r in range(len(names)):
        axes.plot(counts[:, r], [r - 0.12, r + 0.12], color=drawing.FAINT, linewidth=0.9, zorder=1)
    for a, name in enumerate(table.index):
        axes.plot(
            counts[a], np.arange(len(names)) - 0.12 + 0.24 * a, MARKS[a], color=drawing.PRUNED, markersize=5,
            linestyle="", markerfacecolor=drawing.PRUNED if a == 0 else "white", label=drawing.as_written(str(name)),
        )  # fmt: skip
    axes.set_xlim(0, 1.06 * float(np.nanmax(counts)))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)))
    drawing.dress(axes, label, "")
    axes.set_yticklabels([drawing.drawn_name(name, 18) for name in names], fontsize=drawing.NORMAL)
    drawing.legend_above(axes, 2, handlelength=2, columnspacing=2, handletextpad=0.2)
