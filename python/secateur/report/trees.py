"""Trees of the stimuli in the full and the pruned space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..features import read_features
from ..measures import metric_row
from . import drawing
from .drawing import Figure

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, LabelsLike, SubsetLike
    from ..measures import Metric

__all__ = ["dendrograms"]


def dendrograms(
    X: HostEmbeddingLike,
    support: SubsetLike,
    groups: LabelsLike | None = None,
    *,
    metric: Metric = "cosine",
    clusters: int | None = None,
) -> Figure:
    """The full and the pruned similarity space as trees (complete linkage), one above the other.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    support : bool mask (d,) or indices
        The kept features.
    groups : array (n,), optional
        Colours of the strip below each tree: a stroke a stimulus. Beyond eight groups the smaller ones share one grey.
    metric : Metric
        Similarity of two stimuli, as in :func:`secateur.similarity`.
    clusters : int, optional
        Where to cut: at a dashed line, the branches below it coloured.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), section 2.4.1. The leaves of each branch are sorted by distance, ascending.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(12, 6))
    >>> len(dendrograms(X, [0, 1, 4], clusters=3).axes)
    2
    """
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import dendrogram

    from ..features import read_subset
    from ..taxonomy import linkage

    values = read_features(X).values
    n, d = values.shape
    if clusters is not None and not 2 <= clusters <= n:
        raise ValueError(f"clusters must be from 2 to {n}, got {clusters!r}")
    coloured = drawing.read_groups(groups, n)
    legend = drawing.legend_height(coloured, 8.0)
    figure = drawing.blank_figure(8.0, 5.2 + legend)
    unit = metric_row(metric).unit if metric_row(metric).angular else "similarity below the largest"
    spaces = [
        (name, subset, linkage(values, metric, subset=subset)) for name, subset in (("full", None), ("pruned", support))
    ]
    height = max(float(tree[:, 2].max()) for _, _, tree in spaces)
    for row, (name, subset, tree) in enumerate(spaces):
        drawn = dendrogram(tree, no_plot=True, distance_sort="ascending")
        axes = drawing.axes_at(figure, 0.75, 0.35 + legend + 2.45 * (1 - row), 7.0, 1.8)
        lines = [np.column_stack(sides) for sides in zip(drawn["icoord"], drawn["dcoord"], strict=True)]
        cut = None if clusters is None else float(tree[-clusters : n - clusters + 1, 2].mean())
        colour = (drawing.FULL, drawing.PRUNED)[row]
        colours = ["#404040" if cut is None or line[1, 1] > cut else colour for line in lines]
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.6))
        if cut is not None:
            axes.axhline(cut, color="black", linestyle="--", linewidth=0.8)
            words = f"dashed: cut into {clusters} clusters"
            axes.text(1, 1.02, words, fontsize=drawing.SMALL, va="bottom", ha="right", transform=axes.transAxes)
        axes.set_xlim(0, 10 * n)
        axes.set_ylim(0, 1.04 * height)  # one scale for both
        axes.set_xticks([])
        drawing.dress(axes, "", f"distance ({unit})")
        axes.spines["bottom"].set_visible(False)
        kept = len(read_subset(subset, d))
        axes.set_title(f"{name}: {kept} features", fontsize=drawing.NORMAL, loc="left", pad=4)
        if coloured is not None:
            drawing.draw_strip(axes, (0.0, -0.09, 1.0, 0.07), coloured.of[drawn["leaves"]][None], coloured)
    drawing.write_title(figure, 0.75, 4.95 + legend, f"Trees of {n} stimuli (complete linkage)")
    drawing.draw_groups(figure, coloured, legend + 0.02)
    return figure
