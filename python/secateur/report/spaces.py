"""Pictures of similarity matrices before and after pruning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import xarray

from ..features import Matrix, read_features
from ..measures import metric_row
from ..pairs import unpack
from ..similarity import similarity
from ..targets import Targets
from . import drawing
from .drawing import Axes, Figure
from .results import checked_target, consensus, result_first, target_name, targets_of

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike
    from ..measures import Comparator, Metric

__all__ = ["RANK_LABEL", "draw_matrix", "matrices", "sorted_words", "spaces_of"]


def _ranked(packed: Matrix) -> Matrix:
    """Ranks from 0 to 1 of what is not NaN."""
    from scipy.stats import rankdata

    ranks = np.full(packed.shape, np.nan)
    seen = ~np.isnan(packed)
    if seen.any():
        ranks[seen] = (rankdata(packed[seen]) - 1) / max(int(seen.sum()) - 1, 1)
    return ranks


@dataclass(frozen=True)
class _Space:
    """One similarity space to draw."""

    title: str
    packed: Matrix


def spaces_of(
    X: Matrix, result: xarray.Dataset, targets: Targets, t: int, support: npt.NDArray[np.bool_]
) -> list[_Space]:
    """The full, the pruned and the target's space, pairs oriented as similarities."""
    from ..similarity import alignment

    metric = cast("Metric", str(result.attrs["metric"]))
    comparator = cast("Comparator", str(result.attrs["comparator"]))
    one = targets.select(slice(t, t + 1))
    values = one.values[0].copy()
    if one.weights is not None and one.weight_of is not None:
        values[one.weights[one.weight_of[0]] == 0] = np.nan
    spaces = []
    for name, subset, note in (("full", None, ""), ("pruned", support, ", in-sample")):
        kept = X.shape[1] if subset is None else int(subset.sum())
        score = float(np.ravel(alignment(X, one, metric, comparator, subset=subset))[0])
        score_words = "undefined" if np.isnan(score) else f"{score:.2f}"
        title = f"{name}: {kept} features\n{drawing.unit_of(result)} {score_words}{note}"
        spaces.append(_Space(title, similarity(X, metric, subset=subset)))
    negated = "(dissimilarities, negated)" if result.attrs["kind"] == "dissimilarity" else "(similarities)"
    name = target_name(result, t)
    spaces.append(_Space(f"target{': ' if name else ''}{drawing.drawn_name(name, 22)}\n{negated}", values))
    return spaces


def draw_matrix(
    axes: Axes, space: _Space, groups: drawing.Groups | None, n: int, scale: str,
    ends: tuple[float, float] | None = None,
) -> Any:  # fmt: skip
    """One matrix, with a strip of group colours on its left; returns what a colour bar needs.

    ``ends``: least and greatest value of the colours; the matrix's own by default.
    """
    import matplotlib

    square = unpack(_ranked(space.packed) if scale == "rank" else space.packed, n, np.nan)
    if groups is not None:
        square = square[np.ix_(groups.order, groups.order)]
    finite = square[np.isfinite(square)]
    low, high = (0.0, 1.0) if scale == "rank" or not finite.size else (float(finite.min()), float(finite.max()))
    if ends is not None:
        low, high = ends
    image = axes.imshow(
        square, cmap=matplotlib.colormaps["viridis"].with_extremes(bad="#D9D9D9"), vmin=low, vmax=high,
        interpolation="antialiased", rasterized=True,
    )  # fmt: skip
    axes.set_title(space.title, fontsize=drawing.NORMAL, loc="left", pad=4)
    drawing.bare(axes)
    if groups is not None:
        drawing.draw_strip(axes, (-0.045, 0.0, 0.03, 1.0), groups.of[groups.order][:, None], groups)
        for edge in np.flatnonzero(np.diff(groups.of[groups.order])) + 0.5:
            axes.axhline(edge, color="white", linewidth=0.6)
            axes.axvline(edge, color="white", linewidth=0.6)
    return image


RANK_LABEL = "rank of the pair within its matrix (0 least, 1 most alike)"


@result_first
def matrices(
    result: xarray.Dataset,
    X: HostEmbeddingLike,
    target: HostTargetLike,
    *,
    groups: LabelsLike | None = None,
    which: int = 0,
    scale: Literal["rank", "value"] = "rank",
) -> Figure:
    """Similarity matrices before and after pruning, and the target's, stimuli in one order.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate` of ``X`` and ``target``. The pruned matrix is that of
        :func:`consensus`, the features kept in at least half of the folds.
    X : array (n stimuli, d features)
        The embedding.
    target : any form that :func:`secateur.alignment` takes
        What the result was made with.
    groups : array (n,), optional
        Stimuli are sorted by group, groups in order of appearance.
    which : int
        Position of the target.
    scale : {"rank", "value"}
        ``"rank"``: every matrix in ranks of its own pairs, from 0 (least alike) to 1 (most alike), so that one
        colour bar serves all. ``"value"``: in values; the full and the pruned space share
        a scale, the target has its own.
        Undefined and missing pairs, and the diagonal, are grey.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Ranked and scaled to [0, 1] as in Kriegeskorte, Mur & Bandettini (2008), Figure 10.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> target = X[:, :4] @ X[:, :4].T
    >>> len(matrices(sc.cross_validate(X, target, cv=3), X, target).axes)
    4
    """
    if scale not in ("rank", "value"):
        raise ValueError(f"scale must be 'rank' or 'value', got {scale!r}")
    features = read_features(X)
    values = features.values
    t, targets = checked_target(result, which), targets_of(target, features, result)
    coloured = drawing.read_groups(groups, len(values))
    width, legend = 9.6, drawing.legend_height(coloured, 9.6)
    figure = drawing.blank_figure(width, 4.3 + legend)
    spaces = spaces_of(values, result, targets, t, consensus(result, t))
    drawn = np.concatenate([space.packed for space in spaces[:2]])
    drawn = drawn[np.isfinite(drawn)]
    shared = (float(drawn.min()), float(drawn.max())) if scale == "value" and drawn.size else None
    for column, space in enumerate(spaces):
        axes = drawing.axes_at(figure, 0.35 + 3.1 * column, 0.75 + legend, 2.85, 2.85)
        image = draw_matrix(axes, space, coloured, len(values), scale, shared if column < 2 else None)
        if scale == "value":
            bar = drawing.axes_at(figure, 0.35 + 3.1 * column + 0.4, 0.55 + legend, 2.05, 0.08)
            drawing.draw_bar(figure, bar, image, "target, as similarity" if column == 2 else _value_label(result))
    if scale == "rank":
        drawing.draw_bar(figure, drawing.axes_at(figure, 3.3, 0.55 + legend, 3.0, 0.08), image, RANK_LABEL)
    drawing.write_title(figure, 0.35, 4.05 + legend, "Similarity matrices" + sorted_words(coloured))
    drawing.draw_groups(figure, coloured, legend + 0.02)
    return figure


def _value_label(result: xarray.Dataset) -> str:
    return metric_row(str(result.attrs["metric"])).label


def sorted_words(groups: drawing.Groups | None) -> str:
    return "" if groups is None else ", stimuli sorted by group"
