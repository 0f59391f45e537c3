"""Maps of the stimuli in the full and the pruned space (MDS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..features import Matrix, read_features
from ..measures import metric_row
from ..scaling import mds, turned_onto
from . import drawing
from .drawing import Axes, Figure

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, LabelsLike, SubsetLike
    from ..measures import Metric

__all__ = ["draw_places", "embedding", "place_both", "read_pictures"]


def read_pictures(pictures: npt.ArrayLike | None, n: int) -> npt.NDArray[Any] | None:
    """Photographs of n stimuli (n, y, x, channel), checked."""
    shown = None if pictures is None else np.asarray(pictures)
    if shown is not None and (shown.ndim != 4 or len(shown) != n or shown.shape[-1] not in (3, 4)):
        raise ValueError(f"pictures must have shape ({n}, y, x, 3), got {shown.shape}")
    return shown


def draw_places(
    axes: Axes, places: Matrix, groups: drawing.Groups | None, reach: float, title: str, unit: str, pictures: Any = None
) -> None:
    """One map: markers whose colours and shapes are groups', or photographs (n, y, x, channel), framed in colours."""
    n = len(places)
    size = float(np.clip(2500 / n, 5, 30))
    colours = [drawing.FULL] * n if groups is None else [groups.colours[g] for g in groups.of]
    # One by one in a mixed order, so that no group lies on top of all others; alike ones in a row at once.
    mixed = np.random.default_rng(0).permutation(n)
    of = np.zeros(n, dtype=int) if groups is None else groups.of
    if pictures is not None:
        reach /= 1 - 1.2 * _share(n)  # with room for those at the edge
        _draw_pictures(axes, places, mixed, pictures, colours if groups is not None else None)
    else:
        for row in np.split(mixed, np.flatnonzero(np.diff(of[mixed])) + 1):
            x, y = places[row].T
            ink, shape = colours[row[0]], drawing.MARKERS[of[row[0]] % len(drawing.MARKERS)]
            axes.scatter(x, y, s=size, color=ink, marker=shape, linewidths=0.3, edgecolors="white", alpha=0.9)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=drawing.NORMAL, loc="left", pad=4)
    drawing.dress(axes, f"MDS 1 ({unit})", f"MDS 2 ({unit})")
    axes.locator_params(nbins=4)
    axes.xaxis.labelpad = 1
    axes.yaxis.labelpad = 0


def _share(n: int) -> float:
    """How much of a map's side a photograph takes."""
    return float(min(0.2, 0.65 / np.sqrt(n)))


def _draw_pictures(axes: Axes, places: Matrix, order: Any, pictures: Any, colours: list[str] | None) -> None:
    """Photographs in the places of their stimuli, small enough that most are seen."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    side = 72 * min(axes.get_window_extent().width / axes.figure.dpi, 3.3) * _share(len(places))
    for i in order:
        if not np.isfinite(places[i]).all():
            continue
        image = np.asarray(pictures[i])
        image = image[:: max(1, image.shape[0] // 100), :: max(1, image.shape[1] // 100)]
        frame = {"edgecolor": "#FFFFFF" if colours is None else colours[i], "linewidth": 1.2}
        box = OffsetImage(image, zoom=side / max(image.shape[:2]))
        axes.add_artist(AnnotationBbox(box, places[i], pad=0.05, bboxprops=frame))


def place_both(
    X: Matrix, support: SubsetLike, metric: Metric, seed: int
) -> tuple[list[tuple[Matrix, str]], float, str]:
    """Places and titles of the full and the pruned space, the reach of shared axes, and their unit."""
    from ..features import read_subset

    full, full_stress = mds(X, None, metric, seed=seed)
    pruned, pruned_stress = mds(X, support, metric, seed=seed)
    pruned, full = turned_onto(pruned, full)
    panels = []
    for name, places, stress, kept in (
        ("full", full, full_stress, X.shape[1]),
        ("pruned", pruned, pruned_stress, len(read_subset(support, X.shape[1]))),
    ):
        lost = int(np.isnan(places[:, 0]).sum())
        note = f"\nstress-1 {stress:.2f}" + (f", {lost} without a direction left out" if lost else "")
        panels.append((places, f"{name}: {kept} features{note}"))
    far = max((float(np.nanmax(np.abs(p))) for p, _ in panels if np.isfinite(p).any()), default=1.0)
    unit = metric_row(metric).unit
    return panels, 1.06 * far or 1.0, unit


def embedding(
    X: HostEmbeddingLike,
    support: SubsetLike,
    groups: LabelsLike | None = None,
    *,
    metric: Metric = "cosine",
    seed: int = 0,
    title: str | None = None,
    pictures: npt.ArrayLike | None = None,
) -> Figure:
    """The full and the pruned similarity space as two maps of the stimuli (MDS), side by side.

    The pruned map is turned or mirrored, not scaled, so that it fits the full one best (Procrustes); both share
    their axes.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    support : bool mask (d,) or indices
        The kept features, as from :func:`consensus` or a Pruner's ``support_``.
    groups : array (n,), optional
        Colours and shapes. Beyond eight groups the smaller ones share one grey.
    metric : Metric
        Similarity of two stimuli, as in :func:`secateur.similarity`.
    seed : int
        Of the initialisations; see :func:`mds` for their number and the number of steps.
    title : str, optional
        A heading.
    pictures : array (n, y, x, channel) of uint8, optional
        Photographs of the stimuli, drawn in their places.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Figure 1.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(12, 6))
    >>> len(embedding(X, [0, 1, 4]).axes)
    2
    """
    values = read_features(X).values
    coloured = drawing.read_groups(groups, len(values))
    shown = read_pictures(pictures, len(values))
    panels, reach, unit = place_both(values, support, metric, seed)
    legend = drawing.legend_height(coloured, 8.0)
    figure = drawing.blank_figure(8.0, 4.5 + legend)
    for column, (places, words) in enumerate(panels):
        axes = drawing.axes_at(figure, 0.7 + 3.8 * column, 0.55 + legend, 3.3, 3.3)
        draw_places(axes, places, coloured, reach, words, unit, shown)
    drawing.write_title(figure, 0.7, 4.28 + legend, title or "Maps of the stimuli (MDS)")
    drawing.draw_groups(figure, coloured, legend + 0.02, shapes=shown is None)
    return figure
