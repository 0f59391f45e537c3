"""Pictures of what feature maps matter for."""

from __future__ import annotations

import numpy as np
import xarray

from ..arguments import check_integer
from ..measures import label_of
from ..networks.feature_maps import compare_networks, spread
from . import drawing
from .drawing import FULL, NORMAL, PRUNED, SMALL, Figure, as_written, axes_at, blank_figure, dress, write_words

__all__ = ["PANELS", "importance_histograms"]

PANELS = {
    "mean": ("Mean over images", "mean AIS of a map", "feature maps"),
    "deviation_of_maps": ("Deviation over images", "mean absolute deviation of a map's AIS", "feature maps"),
    "deviation_of_images": ("Deviation over maps", "mean absolute deviation of an image's AIS", "images"),
}


def importance_histograms(
    first: xarray.Dataset, second: xarray.Dataset, names: tuple[str, str] | None = None, *, bins: int = 30
) -> Figure:
    """How two networks' alignment importance is spread over maps and images, with Kolmogorov-Smirnov tests.

    Parameters
    ----------
    first, second : xarray.Dataset
        From :func:`secateur.feature_maps.alignment_importance` with ``per_image=True``, for one target.
    names : two str, optional
        Of the networks; by default as the results call them.
    bins : int
        Of each histogram, from the 1st to the 99th percentile of both networks' values; the outermost hold what lies
        beyond.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Truong, Pesenti & Hasson (2024), Figure 3.

    Examples
    --------
    >>> import xarray
    >>> rng = np.random.default_rng(0)
    >>> one, other = (
    ...     xarray.Dataset({"image_importance": (("stimulus", "map"), 1e-3 * rng.normal(size=(30, 50)))})
    ...     for _ in range(2)
    ... )
    >>> len(importance_histograms(one, other, ("one", "other")).axes)
    3
    """
    check_integer("bins", bins, 2)
    tests = compare_networks(first, second)
    words = names or (str(first.attrs.get("network", "first")), str(second.attrs.get("network", "second")))
    spreads = [spread(result) for result in (first, second)]
    unit = label_of(str(first.attrs.get("comparator", "spearman")))
    figure = blank_figure(9.6, 3.5)
    drawing.write_title(figure, 0.15, 3.2, "Alignment importance scores (AIS) of two networks")
    note = "outermost bars hold what lies beyond; * p < 0.05, two-sided Kolmogorov-Smirnov test"
    write_words(figure, 9.5, 3.2, note, SMALL, ha="right")
    for p, (name, (title, x, things)) in enumerate(PANELS.items()):
        axes = axes_at(figure, 0.65 + 3.1 * p, 0.65, 2.5, 1.85)
        values = [one[name].values.ravel() for one in spreads]
        values = [one[~np.isnan(one)] for one in values]
        edges = np.histogram_bin_edges(np.percentile(np.concatenate(values), [1, 99]), bins=int(bins))
        scale = 10.0 ** np.floor(np.log10(max(np.abs(edges).max(), 1e-300)))
        for one, colour, fill, label in zip(values, (FULL, PRUNED), (True, False), words):
            share = 100 * np.histogram(np.clip(one, edges[0], edges[-1]), edges)[0] / len(one)
            axes.stairs(
                share, edges / scale, color=colour, fill=fill, alpha=0.45 if fill else 1, linewidth=1.3,
                label=as_written(f"{label}, median {np.median(one):.1e}"),
            )  # fmt: skip
        if edges[0] < 0 < edges[-1]:
            axes.axvline(0, color="black", linewidth=0.5)
        test = tests.loc[name]
        said = ("p < 0.001" if test.p < 0.001 else f"p = {test.p:.1g}") + (" *" if test.p < 0.05 else "")
        axes.set_title(f"{title}: D = {test.ks:.2f}, {said}", fontsize=NORMAL, loc="left", pad=28)
        dress(axes, f"{x}\n(Δ{unit}, units of {scale:.0e})", f"{things} (%)")
        axes.locator_params(axis="x", nbins=6)
        drawing.legend_above(axes, 1, handlelength=1.4, labelspacing=0.3)
    return figure
