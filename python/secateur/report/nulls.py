"""Pictures of permutation nulls."""

from __future__ import annotations

import numpy as np
import xarray

from . import drawing
from .drawing import Axes, Figure
from .results import checked_target

__all__ = ["draw_null", "null"]


def draw_null(upper: Axes, lower: Axes, permutations: xarray.Dataset, t: int) -> None:
    unit, n = drawing.unit_of(permutations), int(permutations.sizes["permutation"])
    for axes, name, what, colour in (
        (upper, "pruned_test", "pruned, held out", drawing.PRUNED),
        (lower, "gain", "gain: pruned − full, held out", drawing.GAIN),
    ):
        drawn = permutations[name].values[t]
        seen, p = float(permutations[f"observed_{name}"].values[t]), float(permutations[f"p_{name}"].values[t])
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size:
            axes.hist(drawn, bins=int(np.clip(drawn.size // 5, 8, 30)), color="#BDBDBD", label="relabelled")
        axes.axvline(seen, color=colour, linewidth=1.8, label="observed")
        axes.margins(x=0.06)
        words = "undefined" if np.isnan(seen) else f"{seen:.3f}".replace("-", "−")
        words = f"observed {words}, {drawing.p_words(p, n)}"
        axes.text(1.0, 1.04, words, transform=axes.transAxes, ha="right", fontsize=drawing.SMALL, color=colour)
        drawing.dress(axes, f"{what} ({unit})", "relabellings")
        axes.yaxis.label.set_fontsize(drawing.SMALL)
        axes.locator_params(axis="y", nbins=4, integer=True)


def null(permutations: xarray.Dataset, target: int = 0) -> Figure:
    """The permutation null of the held-out alignment and of the gain, with the observed values and p.

    Parameters
    ----------
    permutations : xarray.Dataset
        From :func:`secateur.permutation_test`.
    target : int
        Position of the target.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(20, 10))
    >>> figure = null(sc.permutation_test(X, X[:, :3] @ X[:, :3].T, n=9, cv=3))
    >>> figure.axes[0].get_xlabel()
    'pruned, held out (Pearson r)'
    """
    t = checked_target(permutations, target)
    figure = drawing.blank_figure(4.2, 3.8)
    upper, lower = drawing.axes_at(figure, 0.6, 2.2, 3.4, 0.95), drawing.axes_at(figure, 0.6, 0.5, 3.4, 0.95)
    draw_null(upper, lower, permutations, t)
    drawing.heading(upper, f"{permutations.sizes['permutation']} relabellings of the stimuli", 20)
    return figure
