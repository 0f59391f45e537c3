"""Occlusion: how the alignment of one image falls as parts of it are covered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray

from ..arguments import check_integer
from ..features import Indices, Matrix, read_features, read_subset
from ..measures import check_comparator, check_metric, comparator_row
from ..problem import compare_rows, similarities_in_each
from ..progress import with_progress
from ..targets import read_target
from .extraction import _flat, _reader, embed
from .feature_maps import _directed, _rows_of, _similarities_between
from .heatmaps import View, check_sizes, coordinates_of, view_of
from .images import read_images
from .necks import as_given
from .network import execution_on, placed, running

if TYPE_CHECKING:
    import torch

    from .._typing import HostTargetLike, ImagesLike, SubsetLike, WeightsLike
    from ..execution import Execution
    from ..measures import ComparatorOrAlias, Metric
    from ..targets import Kind
    from .network import Network, Preprocessing

__all__ = ["occlude"]

Place = tuple[int, int, int, int]  # which mask, its side, its upper and left edge


def _starts(length: int, size: int, stride: int) -> list[int]:
    """Where a mask stands along a side: every stride, and flush with the end."""
    return sorted({*range(0, length - size + 1, stride), length - size})


def occlude(
    net: Network,
    images: ImagesLike,
    target: HostTargetLike,
    *,
    support: SubsetLike | None = None,
    layer: str = "penultimate",
    only: Sequence[int] | None = None,
    sizes: Sequence[int] = (32, 64),
    stride: int | Sequence[int] = 16,
    fill: Literal["mean", "grey"] | float = "mean",
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "pearson",
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    batch: int = 32,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """How the alignment of an image's row with the target's row falls where the image is covered.

    A square mask slides over the image as the network sees it; the covered image is embedded anew and compared with
    the other images, uncovered. A pixel's value is the mean fall over the masks that cover it, first within each mask
    size, then over sizes.

    Parameters
    ----------
    net : Network
        From :func:`secateur.networks.load` or :func:`secateur.networks.wrap`.
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes.
    target : any one target that :func:`secateur.alignment` takes
        Over all images.
    support : bool mask (d,) or indices, optional
        The features of the pruned space of a brain area, as from a Pruner's ``support_``; all by default.
    layer : str
        Which layer embeds; see the network's ``layers``.
    only : sequence of positions, optional
        The images to cover; all by default. The others are always the whole set.
    sizes : sequence of int
        Sides of the masks, in pixels of the network's input.
    stride : int or sequence of int, one a size
        Steps of the mask, in the same pixels. A last mask stands flush with the edge, so that every pixel is covered.
    fill : {"mean", "grey"} or float
        Colour of the mask: the image's mean, mid-grey, or a level from 0 (black) to 1 (white).
    metric, comparator, kind, weights
        As in :func:`secateur.alignment`; comparators that need every pair of the target (``_cov``) don't serve.
    batch : int
        Covered images at a time.
    device : str, optional
        Where to compute: as in :func:`secateur.networks.embed`. On a CUDA device images are covered there, and of each
        batch its similarities come back.
    progress : bool
        A bar on stderr for runs of more than two seconds.

    Returns
    -------
    xarray.Dataset (image, y, x)
        ``drop`` (float32): alignment of the image's row, uncovered, minus covered; positive where covering hurts. NaN
        where no mask over the pixel left an alignment defined. ``baseline`` (image): the row's alignment, uncovered.
        ``undefined_masks`` (image): masks without a defined alignment. Coordinates as in
        :func:`secateur.heatmaps.heatmap`; attrs: the settings.

    Raises
    ------
    TypeError, ValueError
        Where images, target and network do not fit one another; where a mask size, stride, fill or
        position is out of its range; where torch does not see the device, or the compiled core works on another.
    RuntimeError
        Where a CUDA device is asked for and the compiled core has none.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), abstract: image sections whose features load on
    dimensions coded by a brain area; Truong, Pesenti & Hasson (2024), §1.2–1.3.

    Examples
    --------
    >>> from secateur import networks, occlusion
    >>> net = networks.load("squeezenet1_1", weights=None)                               # doctest: +SKIP
    >>> fall = occlusion.occlude(net, "photographs/", rdm, kind="dissimilarity")         # doctest: +SKIP
    """
    metric, comparator = check_metric(metric), check_comparator(comparator)
    if comparator_row(comparator).whitened:
        raise ValueError(f"comparator must be one that a row of the target serves, got {comparator!r}, which needs all")
    check_integer("batch", batch, 1)
    masks, level = _masks(sizes, stride), _fill(fill, net.preprocessing)
    pictures = read_images(images)
    names = tuple(map(str, pictures.names))
    covered = _positions(only, len(names))
    targets = read_target(target, len(names), kind, weights, names if pictures.named else None)
    if len(targets) != 1:
        raise ValueError(f"target must be one target, got {len(targets)}: cover the images for each in turn")
    views: list[View] = []
    drops, baseline, undefined = [], [], []
    with placed(net, device) as place:
        execution = execution_on(place, device, None)
        values = embed(net, pictures, layer, batch=batch, progress=progress)
        embedding = read_features(values)
        chosen = read_subset(support, embedding.d)
        others, rows = _Others(values.values[:, chosen], metric, execution), _rows_of(targets)
        read, columns = _reader(net, layer), _columns(chosen, embedding.d)

        def aligned(i: int, inputs: Any) -> Matrix:
            """(B,) alignments of inputs (B, 3, H, W) made of image i with the other images, uncovered."""
            with running():
                embedded = _flat(read(inputs), layer, "flatten")[:, columns]
            similarities = others.similarities(embedded, i)
            return compare_rows(similarities, rows[i], comparator, execution.threads, metric)[:, 0]

        for i in with_progress(covered, len(covered), "covering", progress):
            pixels, view = view_of(net, pictures[i])
            views.append(view)
            check_sizes(views, [names[c] for c in covered[: len(views)]])
            places = _places(masks, view.size)
            found = [aligned(i, inputs) for inputs in _covered(pixels.to(net.device), places, level, int(batch))]
            # The uncovered image came first, through the same batches: rounding in the network is the same for all.
            alone, *rest = np.concatenate(found)
            mean, lost = _averaged(alone - np.array(rest), places, view.size)
            drops.append(mean.astype(np.float32))
            baseline.append(alone)
            undefined.append(lost)
    words = {"long_name": f"fall of the row's alignment ({comparator}) where the image is covered"}
    attrs = {
        "network": net.name, "layer": layer, "features": len(chosen), "sizes": [side for side, _ in masks],
        "strides": [step for _, step in masks], "fill": str(fill), "metric": metric, "comparator": comparator,
        "kind": targets.kind, "averaged": "over the masks on a pixel within a size, then over sizes",
    }  # fmt: skip
    return xarray.Dataset(
        {
            "drop": (("image", "y", "x"), np.stack(drops), words),
            "baseline": ("image", baseline),
            "undefined_masks": ("image", undefined),
        },
        coordinates_of([names[i] for i in covered], views),
        attrs,
    )


def _columns(chosen: Indices, d: int) -> slice | Any:
    """Some of d columns, as torch takes them; all of them as they lie."""
    import torch

    return slice(None) if len(chosen) == d else torch.from_numpy(chosen)


class _Others:
    """The uncovered images (n, d), and similarities with them, taken where the execution says."""

    def __init__(self, embedding: Any, metric: Metric, execution: Execution) -> None:
        self.embedding, self.metric, self.execution = embedding, metric, execution
        self.directed = _directed(embedding, metric)

    def similarities(self, embedded: torch.Tensor, i: int) -> Matrix:
        """(B, n - 1) of some embeddings (B, d) with all images but i."""
        if self.execution.memory is not None:
            given, beside = as_given(embedded.float()[None].contiguous()), np.ascontiguousarray(self.embedding)
            return np.delete(similarities_in_each(given, self.metric, self.execution, beside)[0], i, axis=1)
        rows = _directed(embedded.double().cpu().numpy(), self.metric)
        return _similarities_between(rows, np.delete(self.directed, i, axis=0), self.metric)


def _places(masks: list[tuple[int, int]], size: tuple[int, int]) -> list[Place]:
    """Where masks stand on an input of this height and width."""
    for side, _ in masks:
        if side > min(size):
            raise ValueError(f"sizes must fit the network's input of {size[1]} × {size[0]} pixels, got {side}")
    return [
        (m, side, y, x)
        for m, (side, step) in enumerate(masks)
        for y, x in product(_starts(size[0], side, step), _starts(size[1], side, step))
    ]


def _covered(pixels: Any, places: list[Place], level: Any, batch: int) -> Iterator[Any]:
    """Batches of an image (3, H, W): first as it is, then covered in each place."""
    colour = pixels.mean(dim=(1, 2), keepdim=True) if level is None else level.to(pixels.device)
    each: list[Place | None] = [None, *places]
    for start in range(0, len(each), batch):
        block = each[start : start + batch]
        inputs = pixels.repeat(len(block), 1, 1, 1)
        for one, place in zip(inputs, block, strict=True):
            if place is not None:
                _, side, y, x = place
                one[:, y : y + side, x : x + side] = colour
        yield inputs


def _masks(sizes: Sequence[int], stride: int | Sequence[int]) -> list[tuple[int, int]]:
    """Side and step of every mask."""
    sides = list(sizes)
    steps = [stride] * len(sides) if isinstance(stride, (int, np.integer)) else list(stride)
    if not sides or len(steps) != len(sides):
        raise ValueError(f"stride must be one integer or one for each of {len(sides)} sizes, got {stride!r}")
    for name, values in (("sizes", sides), ("stride", steps)):
        for value in values:
            check_integer(f"each of {name}", value, 1)
    for side, step in zip(sides, steps, strict=True):
        if step > side:
            raise ValueError(f"stride must not exceed the mask's size, {side}, or pixels go uncovered; got {step}")
    return [(int(side), int(step)) for side, step in zip(sides, steps, strict=True)]


def _positions(only: Sequence[int] | None, n: int) -> list[int]:
    if only is None:
        return list(range(n))
    found = [check_integer("each of only", i, 0, n - 1) for i in only]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"only must hold at least one image and each once, got {found}")
    return found


def _fill(fill: Any, preprocessing: Preprocessing) -> Any:
    """The mask's colour after normalisation, (3, 1, 1); None for the image's own mean."""
    import torch

    if isinstance(fill, str) and fill == "mean":
        return None
    level = 0.5 if isinstance(fill, str) and fill == "grey" else fill
    if isinstance(level, (bool, str)) or not isinstance(level, (int, float, np.number)) or not 0 <= level <= 1:
        raise ValueError(f"fill must be 'mean', 'grey' or a level from 0 to 1, got {fill!r}")
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (float(level) - mean) / std


def _averaged(falls: Matrix, places: list[Place], size: tuple[int, int]) -> tuple[Matrix, int]:
    """Mean fall on each pixel, over the masks of a size that cover it, then over sizes; masks without a fall."""
    total, count = np.zeros((2, 1 + max(m for m, *_ in places), *size))
    for fall, (m, side, y, x) in zip(falls, places, strict=True):
        if not np.isnan(fall):
            part = (m, slice(y, y + side), slice(x, x + side))
            total[part] += fall
            count[part] += 1
    means = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    sizes = (count > 0).sum(axis=0)
    mean = np.divide(means.sum(axis=0), sizes, out=np.full(size, np.nan), where=sizes > 0)
    return mean, int(np.isnan(falls).sum())
