"""The images that drive features or feature maps: a row of pictures for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray

from ..features import Matrix
from . import drawing
from .drawing import Figure
from .heatmaps import _draw_picture, _names

__all__ = ["best_images"]


def best_images(
    pictures: xarray.DataArray, values: Matrix, order: npt.ArrayLike, labels: Sequence[str], *, title: str
) -> Figure:
    """The five images with the largest values above zero of each of six features, a row each.

    Parameters
    ----------
    pictures : xarray.DataArray (image, y, x, channel)
        From :func:`secateur.heatmaps.seen`.
    values : array (image, feature)
        Activations, or scores of images.
    order : array of int
        Positions of features, best first; the first six are shown.
    labels : sequence of str
        What each feature is called.
    title : str
        Heading.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from secateur import heatmaps
    >>> rng = np.random.default_rng(0)
    >>> pictures = heatmaps.as_pictures(rng.integers(0, 255, (7, 8, 8, 3)).astype(np.uint8))
    >>> len(best_images(pictures, rng.random((7, 3)), [2, 0], ["a", "b", "c"], title="Best").axes)
    10
    """
    shown = np.asarray(order, dtype=int)[:6]
    count, names = min(5, pictures.sizes["image"]), _names(pictures)
    side, gap, top, left = 0.95, 0.2, 0.45, 1.1
    tall = side * pictures.sizes["y"] / pictures.sizes["x"]
    height = len(shown) * (tall + gap)
    figure = drawing.blank_figure(max(left + count * (side + 0.16) + 0.2, 4.4), top + height)
    for r, k in enumerate(shown):
        low = (len(shown) - 1 - r) * (tall + gap) + 0.05
        drawing.write_words(figure, 0.2, low + tall / 2, drawing.drawn_name(labels[k], 12), drawing.SMALL)
        best = np.argsort(-np.nan_to_num(values[:, k], nan=-np.inf), kind="stable")[:count]
        for c, i in enumerate(best[values[best, k] > 0]):
            axes = drawing.axes_at(figure, left + c * (side + 0.16), low, side, tall)
            _draw_picture(axes, pictures.values[i])
            words = f"{drawing.drawn_name(names[i], 10)} {values[i, k]:.2g}"
            axes.set_title(words, fontsize=drawing.SMALL, loc="left", pad=2)
    drawing.write_title(figure, 0.2, height + 0.14, title)
    return figure
