"""All pictures of one target on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import xarray

from ..features import read_features
from ..statistics import paired_t
from . import drawing
from .curves import curves_title, draw_curves
from .drawing import Figure
from .held_out_scores import draw_held_out
from .nulls import draw_null
from .results import check_null, checked_target, consensus, result_facts, result_first, targets_of
from .spaces import RANK_LABEL, draw_matrix, sorted_words, spaces_of
from .stimulus_maps import draw_places, place_both, read_pictures

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike
    from ..measures import Metric

__all__ = ["page"]


@result_first
def page(
    result: xarray.Dataset,
    X: HostEmbeddingLike,
    target: HostTargetLike,
    permutations: xarray.Dataset | None = None,
    groups: LabelsLike | None = None,
    *,
    which: int = 0,
    title: str | None = None,
    seed: int = 0,
    final: xarray.Dataset | None = None,
    pictures: npt.ArrayLike | None = None,
) -> Figure:
    """All pictures of one target on one A4 page in landscape.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    X : array (n stimuli, d features)
        The embedding.
    target : any form that :func:`secateur.alignment` takes
        What the result was made with.
    permutations : xarray.Dataset, optional
        From :func:`secateur.permutation_test`.
    groups : array (n,), optional
        Order of the matrices and colours of the maps.
    which : int
        Position of the target.
    title : str, optional
        The page's heading.
    seed : int
        Of the maps.
    final : xarray.Dataset, optional
        From :func:`secateur.final_set`: the set that matrices and maps show; else the features that at least half of
        the folds keep.
    pictures : array (n, y, x, channel) of uint8, optional
        Photographs of the stimuli, drawn in their places on the maps.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> target = X[:, :4] @ X[:, :4].T
    >>> figure = page(sc.cross_validate(X, target, cv=3), X, target)
    >>> figure.get_size_inches().tolist()
    [11.69, 8.27]
    """
    features = read_features(X)
    values = features.values
    n, d = values.shape
    t, targets = checked_target(result, which), targets_of(target, features, result)
    coloured = drawing.read_groups(groups, n)
    check_null(result, permutations)
    shown = read_pictures(pictures, n)
    figure, head = drawing.page_of(title or "Pruning to a similarity space", 90, result_facts(result, n, d, t))
    left, bottom, height = 0.45, 4.6, 2.3
    spare = 0.0 if permutations is not None else 1.6
    top = bottom + height + 0.27
    curves = drawing.axes_at(figure, 1.0, bottom, 4.05 + spare, height)
    draw_curves(curves, result, t, "auto")
    head(left, top, curves_title(result))
    scores = drawing.axes_at(figure, 5.9 + spare, bottom, 2.0 + spare, height)
    draw_held_out(scores, result, t)
    gain = paired_t(result["pruned_test"].values[t], result["full_test"].values[t]).difference
    head(5.35 + spare, top, "On test stimuli" + ("" if np.isnan(gain) else f": gain {drawing.signed(gain)}"))
    if permutations is not None:
        upper = drawing.axes_at(figure, 8.7, bottom + 1.42, 2.65, 0.88)
        lower = drawing.axes_at(figure, 8.7, bottom, 2.65, 0.85)
        draw_null(upper, lower, permutations, t)
        head(8.2, top, f"{permutations.sizes['permutation']} relabellings of the stimuli")

    side, low = 1.93, 1.2
    above = low + side + 0.42
    support = consensus(result, t) if final is None else final["kept"].values[t]
    head(left, above, f"Similarity matrices{sorted_words(coloured)}")
    for column, space in enumerate(spaces_of(values, result, targets, t, support)):
        axes = drawing.axes_at(figure, 0.55 + (side + 0.17) * column, low, side, side)
        image = draw_matrix(axes, space, coloured, n, "rank")
    drawing.draw_bar(figure, drawing.axes_at(figure, 2.1, low - 0.14, 3.0, 0.07), image, RANK_LABEL)
    panels, reach, unit = place_both(values, support, cast("Metric", str(result.attrs["metric"])), seed)
    head(6.95, above, "Maps of the stimuli (MDS, one scale)")
    for column, (places, words) in enumerate(panels):
        axes = drawing.axes_at(figure, 7.35 + (side + 0.17) * column, low, side, side)
        draw_places(axes, places, coloured, reach, words, unit, shown)
        if column:
            axes.set_ylabel("")
            axes.set_yticklabels([])
    drawing.write_note(figure, left, 0.12, _footnote(result, "DE" if permutations is not None else "CD", final, t))
    drawing.draw_groups(figure, coloured, 0.64, shapes=shown is None)
    return figure


def _footnote(result: xarray.Dataset, letters: str, final: xarray.Dataset | None, t: int) -> str:
    held_out = f"Held out: the pairs among the test stimuli of {result.sizes['fold']} folds. "
    where = f"“Pruned” in {letters[0]} and {letters[1]}: "
    if final is None:
        return f"{held_out}{where}the features kept in at least half of the folds, shown for all stimuli."
    count = int(final["kept"].values[t].sum())
    return (
        f"{held_out}{where}the final set, {count} features chosen on all stimuli (the result: kept_features.csv). "
        "Each fold chose its own, only to be scored."
    )
