"""Heatmaps: which part of an image matters when it is compared with the others of its set.

Maps, pictures and saliency all lie in the network's view, the image after resizing and cropping. Coordinates of every
result say where that view lies in the original: ``left``, ``upper``, ``right`` and ``lower`` edge for each image, and
the original's ``width`` and ``height``, all in its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import check_integer
from ..features import Matrix, as_float64
from ..progress import with_progress
from .images import read_images
from .network import import_torch, maps_of, placed, running
from .parts import patch_maps

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from numpy.typing import ArrayLike, NDArray

    from .._typing import ImagesLike, NamesLike
    from .network import Network

__all__ = ["agreement", "as_pictures", "entropy", "heatmap", "of_maps", "seen"]

EDGES = ("left", "upper", "right", "lower")


# Geometry ---------------------------------------------------------------------------------------------------------


def _spread(count: int, low: float, high: float, out: int) -> Matrix:
    """(out, count) weights that read ``out`` pixels from the stretch low..high of a row of ``count`` pixels.

    Linear between pixel centres, the row's end pixels going on outside; where pixels get larger, the triangle widens
    with them, so that none is skipped.
    """
    step = (high - low) / out
    at = np.clip(low + (np.arange(out) + 0.5) * step - 0.5, 0, count - 1)
    weights = np.maximum(0.0, 1 - np.abs(at[:, None] - np.arange(count)) / max(1.0, step))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def onto(values: Matrix, crop: Iterable[float], size: tuple[int, int]) -> Matrix:
    """A part of maps (..., height, width), the crop (left, upper, right, lower) in their pixels, in a size (y, x).

    Bilinear, as ``torch.nn.functional.interpolate(mode="bilinear", antialias=True)`` does it.
    """
    array = np.asarray(values, dtype=np.float64)
    left, upper, right, lower = (float(edge) for edge in crop)
    rows = _spread(array.shape[-2], upper, lower, size[0])
    columns = _spread(array.shape[-1], left, right, size[1])
    return np.asarray(rows @ array @ columns.T)


def _whole(array: Any) -> tuple[float, float, float, float]:
    return (0.0, 0.0, float(array.shape[-1]), float(array.shape[-2]))


def _coordinates(
    names: NamesLike, size: tuple[int, int], crop: ArrayLike | None, original: ArrayLike | None
) -> dict[str, Any]:
    """Coordinates of maps in the network's view; without a crop, the view is the original."""
    height, width = size
    count = len(names)
    if crop is None:
        crop, original = [(0, 0, width, height)] * count, [(width, height)] * count
    edges, sizes = np.asarray(crop, dtype=np.float64), np.asarray(original, dtype=np.float64)
    if edges.shape != (count, 4) or sizes.shape != (count, 2):
        raise ValueError(
            f"crop and original must have shapes ({count}, 4) and ({count}, 2), got {edges.shape} and {sizes.shape}"
        )
    return {
        "image": np.asarray([str(name) for name in names], dtype=object).astype(str),
        "y": np.arange(height) + 0.5,
        "x": np.arange(width) + 0.5,
        **{edge: ("image", column) for edge, column in zip(EDGES, edges.T, strict=True)},
        "width": ("image", sizes[:, 0]),
        "height": ("image", sizes[:, 1]),
    }


def crops(heat: xarray.DataArray) -> Matrix:
    """(n, 4): what part of each original the network saw (left, upper, right, lower)."""
    return np.stack([heat[edge].values.astype(np.float64) for edge in EDGES], axis=-1)


def check_heatmaps(heat: Any, name: str) -> None:
    """Refuse what is no DataArray (image, y, x) of finite values."""
    if getattr(heat, "dims", None) != ("image", "y", "x") or not set(EDGES) <= set(heat.coords):
        raise TypeError(
            f"{name} must be a DataArray (image, y, x) as heatmaps.heatmap makes it, got {type(heat).__name__}"
            + (f" with dims {tuple(heat.dims)}" if hasattr(heat, "dims") else "")
        )
    if not np.isfinite(heat.values).all():
        raise ValueError(f"{name} must be finite, got {heat.values[~np.isfinite(heat.values)][0]}")


# Heatmaps ---------------------------------------------------------------------------------------------------------


def _weights(importance: Any, count: int, maps: int) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Weights (images, maps) of sum one, or all zero; and how many importances of each image were undefined."""
    if hasattr(importance, "data_vars"):
        importance = importance["image_importance" if "image_importance" in importance else "importance"]
    values = as_float64(importance, "importance")
    if values.ndim == 1:
        values = np.broadcast_to(values, (count, *values.shape))
    if values.shape != (count, maps):
        raise ValueError(
            f"importance must have shape ({count}, {maps}), images × maps, or ({maps},), got {np.shape(importance)}"
        )
    if np.isinf(values).any():
        i, k = np.argwhere(np.isinf(values))[0]
        raise ValueError(f"importance must not be infinite, got {values[i, k]} at image {i}, map {k}")
    undefined = np.isnan(values)
    positive = np.where(undefined | (values < 0), 0.0, values)
    # By the largest first: the sum of very small importances may be no normal number.
    top = positive.max(axis=1, keepdims=True, initial=0.0)
    scaled = np.divide(positive, top, out=np.zeros_like(positive), where=top > 0)
    total = scaled.sum(axis=1, keepdims=True)
    return np.divide(scaled, total, out=np.zeros_like(scaled), where=total > 0), undefined.sum(axis=1)


def of_maps(
    maps: ArrayLike | xarray.DataArray,
    importance: ArrayLike | xarray.DataArray,
    size: tuple[int, int],
    *,
    names: NamesLike | None = None,
    crop: ArrayLike | None = None,
    original: ArrayLike | None = None,
) -> xarray.DataArray:
    """Heatmaps of images whose feature maps are at hand.

    Negative importances are set to zero, the rest normalised to sum 1 within each image; the heatmap is the mean of
    the image's maps with these weights, brought to the size of the network's input.

    Parameters
    ----------
    maps : array (n images, M maps, h, w)
        Feature maps, after their ReLU.
    importance : array (n, M) or (M,), or Dataset from :func:`secateur.feature_maps.alignment_importance`
        Alignment importance scores (AIS) of each image (of a Dataset, ``image_importance`` where it is there), or of
        the set. An undefined one (NaN) weighs nothing.
    size : (int, int)
        Height and width of the network's input, in pixels.
    names : sequence of str, optional
        What the images are called.
    crop, original : array (n, 4) and (n, 2), optional
        What part of the original images the network saw (left, upper, right, lower), and their widths and heights.

    Returns
    -------
    xarray.DataArray (image, y, x), float32
        In the maps' units. Coordinate ``empty`` (image): no map of that image has a positive importance, and the
        heatmap is zero throughout. ``undefined_maps`` (image): how many importances were NaN.

    Raises
    ------
    TypeError, ValueError
        Where shapes don't fit, or a value is infinite.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.3. The paper does not name its interpolation.

    Examples
    --------
    >>> from secateur import heatmaps
    >>> maps = np.zeros((1, 2, 4, 4))
    >>> maps[0, 1, 0, 3] = 1.0
    >>> heat = heatmaps.of_maps(maps, [[-0.2, 0.1]], (8, 8))
    >>> heat[0].argmax(...)["y"].item(), heat[0].argmax(...)["x"].item()
    (0, 7)
    """
    values = as_float64(maps, "maps")
    if values.ndim != 4:
        raise ValueError(f"maps must have shape (images, maps, height, width), got {values.shape}")
    weights, undefined = _weights(importance, values.shape[0], values.shape[1])
    coordinates = _coordinates(range(len(values)) if names is None else names, size, crop, original)
    return _heatmaps(_mean(values, weights), weights, undefined, size, coordinates)


def _mean_there(maps: torch.Tensor, weights: Matrix) -> Matrix:
    """As :func:`_mean`, where the maps lie: the means alone come to host memory."""
    import torch

    there = torch.from_numpy(weights).to(maps.device)
    values = maps.double()
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"maps must be finite, got {values[~torch.isfinite(values)][0].item()}")
    return np.asarray(torch.einsum("nk,nkyx->nyx", there, values).cpu().numpy())


def _mean(maps: Matrix, weights: Matrix) -> Matrix:
    """(images, h, w): the mean of maps (images, M, h, w) by weights (images, M)."""
    if not np.isfinite(maps).all():
        raise ValueError(f"maps must be finite, got {maps[~np.isfinite(maps)][0]}")
    return np.asarray(np.einsum("nk,nkyx->nyx", weights, maps))


def _heatmaps(
    small: Matrix, weights: Matrix, undefined: Any, size: tuple[int, int], coordinates: dict[str, Any], what: str =
    "feature maps",
) -> xarray.DataArray:  # fmt: skip
    """Means of maps in the size of the network's input, with what is to be said of them."""
    coordinates["empty"] = ("image", ~weights.any(axis=1))
    coordinates["undefined_maps"] = ("image", undefined)
    attrs = {
        "long_name": f"mean of {what} weighted by alignment importance",
        "upsampling": "bilinear",
        "maps": f"{weights.shape[1]} maps of {small.shape[1]} × {small.shape[2]}",
    }
    large = onto(small, _whole(small), size).astype(np.float32)
    return xarray.DataArray(large, coordinates, ("image", "y", "x"), "heatmap", attrs)


def heatmap(
    net: Network,
    images: ImagesLike,
    importance: ArrayLike | xarray.DataArray,
    *,
    parts: Literal["maps", "channels"] | None = None,
    batch: int = 16,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> xarray.DataArray:
    """Heatmaps of images: which parts hold what a network's important feature maps respond to.

    Of a transformer the maps are residual channels on the patches' grid, weighted in the same way. A channel has no
    sign, and is never near zero: the map is how far it is, at each patch, from what masks it, which is its mean over
    these images or zero, as the importance says.

    Parameters
    ----------
    net : Network
        From :func:`secateur.networks.load` or :func:`secateur.networks.wrap`, with a trunk.
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes: n images.
    importance : array (n, M) or (M,), or Dataset from :func:`secateur.feature_maps.alignment_importance`
        Alignment importance scores (AIS) of each image, as from ``alignment_importance(net, images, target,
        per_image=True)``, for one target. Of M maps alone, the same for all images.
    parts : {"maps", "channels"}, optional
        What the importance is of: what the Dataset says, by default; maps where it doesn't. Channels are masked by
        their mean then, behind the last block.
    batch : int
        Images at a time.
    device : str, optional
        Where to compute: as in :func:`secateur.networks.embed`.
    progress : bool
        A bar on stderr for runs of more than two seconds.

    Returns
    -------
    xarray.DataArray (image, y, x), float32
        As :func:`of_maps` gives it: weights positive and of sum 1 within each image, ``empty`` for images without any,
        and where the view lies in the original.

    Raises
    ------
    TypeError, ValueError
        Where importance is not of as many images and maps, is NaN or infinite, or is of several targets; where the
        network has no trunk; where importance is of heads, neurons or blocks, which lie on no grid; where ``batch`` is
        not positive; where torch does not see the device.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.3.

    Examples
    --------
    >>> from secateur import heatmaps, networks
    >>> net = networks.load("squeezenet1_1", weights=None)
    >>> pixels = np.random.default_rng(0).integers(0, 255, (2, 230, 230, 3)).astype(np.uint8)
    >>> heatmaps.heatmap(net, pixels, np.ones(512)).shape
    (2, 224, 224)
    """
    pictures = read_images(images)
    coords = _coords(importance)
    scored = [str(name) for name in coords["stimulus"].values] if "stimulus" in coords else None
    names = list(pictures.names)
    if scored is not None and not pictures.named and len(scored) == len(names) and set(scored) != set(names):
        names = scored  # the target's, for images that have none
    if scored is not None and scored != names:
        raise ValueError(f"importance must be of these {len(pictures)} images, in their order, got others")
    kept, of_channels, block, by_mean = [], *_drawn(importance, parts)
    views: list[View] = []
    with placed(net, device):
        for run in batches_of(net, pictures, batch, "heatmaps", progress):
            maps = patch_maps(net, run.pixels, block) if of_channels else maps_of(net, run.pixels)
            if not views:
                weights, undefined = _weights(importance, len(pictures), maps.shape[1])
            own = weights[len(views) : len(views) + len(maps)]
            kept.append(maps if of_channels else _weighted(maps, own))
            views += run.views
        if of_channels:
            with running():
                maps = import_torch().cat(kept)
                maps = (maps - maps.mean(0) if by_mean else maps).abs()
            kept = [_weighted(maps[i : i + batch], weights[i : i + batch]) for i in range(0, len(views), batch)]
    what = "residual channels" if of_channels else "feature maps"
    coordinates = coordinates_of(names, views)
    heat = _heatmaps(np.concatenate(kept), weights, undefined, views[0].size, coordinates, what)
    heat.attrs["network"] = net.name
    return heat


def _weighted(maps: torch.Tensor, weights: Matrix) -> Matrix:
    """(images, h, w): the mean of maps by weights, taken where the maps lie."""
    return _mean_there(maps, weights) if maps.is_cuda else _mean(_numbers(maps), weights)


def _drawn(importance: Any, parts: str | None) -> tuple[bool, int, bool]:
    """Whether channels are drawn, behind which block, and whether they were masked by their mean."""
    said = getattr(importance, "attrs", {})
    parts = parts or said.get("parts", "maps")
    if parts not in ("maps", "channels"):
        raise ValueError(f"importance must be of maps or channels to be drawn, got {parts!r}, which lie on no grid")
    coords = _coords(importance)
    block = int(coords["block"].values[0]) if "block" in coords else -1
    return parts == "channels", block, said.get("fill", "mean") == "mean"


def _coords(values: Any) -> Any:
    return values.coords if hasattr(values, "coords") else ()


def entropy(
    net: Network,
    images: ImagesLike,
    *,
    batch: int = 16,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> xarray.DataArray:
    """Entropy of a network's class probabilities: how much in doubt it is about each image.

    Parameters
    ----------
    net : Network
        One that classifies: with a classifier, or with names for what it gives.
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes.
    batch : int
        Images at a time.
    device : str, optional
        Where to compute: as in :func:`secateur.networks.embed`.
    progress : bool
        A bar on stderr for runs of more than two seconds.

    Returns
    -------
    xarray.DataArray (image,), float64
        In nats, from 0 (sure) to ln(classes).

    Raises
    ------
    ValueError
        Where the network has neither, or torch does not see the device.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.3 (post-softmax entropy).

    Examples
    --------
    >>> from secateur import heatmaps, networks
    >>> net = networks.load("squeezenet1_1", weights=None)
    >>> pixels = np.random.default_rng(0).integers(0, 255, (1, 230, 230, 3)).astype(np.uint8)
    >>> bool(0 < heatmaps.entropy(net, pixels).item() <= np.log(1000))
    True
    """
    from scipy.special import log_softmax

    if net.classes is None:  # a network may classify before it pools, and have no classifier of its own
        net.part("classifier")
    pictures = read_images(images)
    found = []
    with placed(net, device):
        for run in batches_of(net, pictures, batch, "entropy", progress):
            logs = log_softmax(_numbers(net.module(run.pixels)).reshape(len(run.views), -1), axis=1)
            found.append(-(np.exp(logs) * logs).sum(axis=1))
    attrs = {"units": "nat", "classes": logs.shape[1], "network": net.name}
    return xarray.DataArray(np.concatenate(found), {"image": list(pictures.names)}, ("image",), "entropy", attrs)


# What the network saw ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """Height and width of an image as the network's input, and which part of the original it shows."""

    size: tuple[int, int]
    crop: tuple[float, float, float, float]
    original: tuple[int, int]


@dataclass(frozen=True)
class Batch:
    """Some images as one tensor (B, 3, H, W) on the network's device, without gradients."""

    pixels: Any
    views: Sequence[View]


def view_of(net: Network, picture: Any) -> tuple[Any, View]:
    """The network's input (3, H, W) of a PIL image, and what of the image it is."""
    (width, height), (left, upper) = net.preprocessing.placed(picture.size)
    pixels = net.preprocessing(picture)
    size = int(pixels.shape[1]), int(pixels.shape[2])
    across, down = picture.size[0] / width, picture.size[1] / height
    crop = (left * across, upper * down, (left + size[1]) * across, (upper + size[0]) * down)
    return pixels, View(size, crop, picture.size)


def check_sizes(views: Sequence[View], names: NamesLike) -> None:
    """Refuse inputs of several sizes."""
    for view, name in zip(views, names, strict=True):
        if view.size != views[0].size:
            raise ValueError(
                f"images must come to the network in one size, got {views[0].size} and {view.size} "
                f"(image {str(name)!r}): give its preprocessing a crop"
            )


def coordinates_of(names: NamesLike, views: Sequence[View]) -> dict[str, Any]:
    """Coordinates of maps in these views."""
    check_sizes(views, names)
    return _coordinates(names, views[0].size, [view.crop for view in views], [view.original for view in views])


def batches_of(
    net: Network, pictures: Any, batch: int, what: str, progress: bool, gradients: bool = False
) -> Iterator[Batch]:
    """Images some at a time, beside what part of the originals they show."""
    import torch

    check_integer("batch", batch, 1)
    starts = range(0, len(pictures), batch)
    for start in with_progress(starts, len(starts), what, progress):
        block = range(start, min(start + batch, len(pictures)))
        inputs, views = zip(*(view_of(net, pictures[i]) for i in block), strict=True)
        check_sizes(views, [pictures.names[i] for i in block])
        with running(gradients):
            yield Batch(torch.stack(inputs).to(net.device), views)


def _numbers(tensor: Any) -> Matrix:
    return np.asarray(tensor.detach().double().cpu().numpy())


def seen(net: Network, images: ImagesLike) -> xarray.DataArray:
    """Pictures of what the network saw: the images resized and cropped, before they are normalised.

    Parameters
    ----------
    net : Network
        From :func:`secateur.networks.load` or :func:`secateur.networks.wrap`.
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes.

    Returns
    -------
    xarray.DataArray (image, y, x, channel), uint8

    Raises
    ------
    ValueError
        Where the images come to the network in several sizes.

    Examples
    --------
    >>> from secateur import heatmaps, networks
    >>> net = networks.load("squeezenet1_1", weights=None)
    >>> pixels = np.random.default_rng(0).integers(0, 255, (2, 256, 512, 3)).astype(np.uint8)
    >>> pictures = heatmaps.seen(net, pixels)
    >>> bool((pictures.values == pixels[:, 16:240, 144:368]).all())
    True
    """
    pictures = read_images(images)
    mean, std = (np.asarray(v)[:, None, None] for v in (net.preprocessing.mean, net.preprocessing.std))
    pixels, views = [], []
    for i in range(len(pictures)):
        values, view = view_of(net, pictures[i])
        picture = np.clip(np.round((_numbers(values) * std + mean) * 255), 0, 255)
        pixels.append(picture.astype(np.uint8).transpose(1, 2, 0))
        views.append(view)
    check_sizes(views, pictures.names)
    return as_pictures(
        np.stack(pixels), names=pictures.names, crop=[v.crop for v in views], original=[v.original for v in views]
    )


def as_pictures(
    pixels: ArrayLike,
    *,
    names: NamesLike | None = None,
    crop: ArrayLike | None = None,
    original: ArrayLike | None = None,
) -> xarray.DataArray:
    """Pictures as the report draws them, from pixels.

    Parameters
    ----------
    pixels : array (n, y, x, 3) of uint8
        RGB.
    names : sequence of str, optional
        What the images are called.
    crop, original : array (n, 4) and (n, 2), optional
        As in :func:`of_maps`.

    Returns
    -------
    xarray.DataArray (image, y, x, channel), uint8

    Raises
    ------
    TypeError, ValueError
        Where the pixels are not of that type or shape.

    Examples
    --------
    >>> as_pictures(np.zeros((2, 8, 8, 3), np.uint8)).dims
    ('image', 'y', 'x', 'channel')
    """
    values = np.asarray(pixels)
    if values.dtype != np.uint8:
        raise TypeError(f"pixels must be uint8, got dtype {values.dtype}")
    if values.ndim != 4 or values.shape[3] != 3:
        raise ValueError(f"pixels must have shape (images, height, width, 3), got {values.shape}")
    coordinates = _coordinates(range(len(values)) if names is None else names, values.shape[1:3], crop, original)
    coordinates["channel"] = ["red", "green", "blue"]
    return xarray.DataArray(values, coordinates, ("image", "y", "x", "channel"), "picture")


# Agreement --------------------------------------------------------------------------------------------------------


def agreement(
    first: xarray.DataArray, second: xarray.DataArray, entropies: Sequence[ArrayLike] | NDArray[Any] | None = None
) -> xarray.Dataset:
    """Match of two networks' heatmaps, image by image, and whether doubt about the class goes with mismatch.

    Where the two networks saw other parts of an image, or saw it in other sizes, both heatmaps are brought to the
    part that both saw, in the coarser of both resolutions.

    Parameters
    ----------
    first, second : xarray.DataArray (image, y, x)
        Heatmaps of the same images, in the same order.
    entropies : pair of arrays (n,), optional
        Entropy of each network's class probabilities, from :func:`entropy`.

    Returns
    -------
    xarray.Dataset (image)
        ``match``: Pearson's r over pixels, NaN where a heatmap is flat or empty; with entropies, also
        ``max_entropy``, the larger of the two. attrs: ``median``, ``sd`` and ``images`` (with a match), and with
        entropies ``r`` and ``p`` of the correlation of match and max_entropy (Pearson, two-sided; NaN for fewer than
        3 images).

    Raises
    ------
    TypeError, ValueError
        Where images differ, nothing of an image was seen by both, or there is not one entropy for each image.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.3, §3.2 (Match, maxEntropy).

    Examples
    --------
    >>> from secateur import heatmaps
    >>> maps = np.random.default_rng(0).random((4, 3, 4, 4))
    >>> a, b = (heatmaps.of_maps(maps, w, (8, 8)) for w in ([1.0, 0, 0], [1.0, 0.1, 0]))
    >>> bool((heatmaps.agreement(a, b).match > 0.9).all())
    True
    """
    from scipy.stats import pearsonr

    check_heatmaps(first, "first")
    check_heatmaps(second, "second")
    names = first["image"].values
    if list(names) != list(second["image"].values):
        raise ValueError("second must hold the images of first, in the same order, got others")
    match = np.array([_match(first.isel(image=i), second.isel(image=i)) for i in range(len(names))])
    found = match[~np.isnan(match)]
    result = xarray.Dataset({"match": ("image", match)}, {"image": names})
    result.attrs = {
        "median": float(np.median(found)) if found.size else np.nan,
        "sd": float(found.std(ddof=1)) if found.size > 1 else np.nan,
        "images": int(found.size),
    }
    if entropies is None:
        return result
    if len(entropies) != 2:
        raise ValueError(f"entropies must be a pair, one array a network, got {len(entropies)}")
    pair = [as_float64(one, "entropies") for one in entropies]
    for one in pair:
        if one.shape != match.shape or not np.isfinite(one).all():
            raise ValueError(f"entropies must hold a finite value for each of {len(match)} images, got {one.shape}")
    larger = np.maximum(*pair)
    result["max_entropy"] = ("image", larger)
    there = ~np.isnan(match)
    r = p = np.nan
    if there.sum() > 2 and np.ptp(larger[there]) > 0 and np.ptp(match[there]) > 0:
        r, p = pearsonr(match[there], larger[there])
    result.attrs |= {"r": float(r), "p": float(p)}
    return result


def _match(one: xarray.DataArray, other: xarray.DataArray) -> float:
    """Pearson's r of two heatmaps over what both networks saw."""
    views = [crops(heat) for heat in (one, other)]
    sizes = np.array([(heat["width"], heat["height"]) for heat in (one, other)], dtype=float)
    if (sizes[0] != sizes[1]).any():
        raise ValueError(
            f"second must hold the images of first, got image {str(one['image'].values)!r} of "
            f"{sizes[1, 0]:g} × {sizes[1, 1]:g} pixels, in first of {sizes[0, 0]:g} × {sizes[0, 1]:g}"
        )
    a, b = one.values.astype(float), other.values.astype(float)
    if (views[0] != views[1]).any() or a.shape != b.shape:
        low, high = np.maximum(views[0][:2], views[1][:2]), np.minimum(views[0][2:], views[1][2:])
        if (high <= low).any():
            raise ValueError(f"second must show a part of what first shows of image {str(one['image'].values)!r}")
        # Pixels of the original that a pixel of the view covers, in the coarser view.
        coarse = np.max([(c[2:] - c[:2]) / v.shape[::-1] for c, v in zip(views, (a, b), strict=True)], axis=0)
        across, down = np.maximum(np.round((high - low) / coarse).astype(int), 1)
        box = np.concatenate([low, high])
        a, b = (_part(v, c, box, (down, across)) for v, c in zip((a, b), views, strict=True))
    level = np.sqrt((a**2).sum() * (b**2).sum())
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 1e-12 * level else float("nan")


def _part(values: Matrix, crop: Matrix, box: Matrix, size: tuple[int, int]) -> Matrix:
    """What a view of ``crop`` shows of the original's ``box``."""
    scale = np.array(values.shape[::-1]) / (crop[2:] - crop[:2])
    return onto(values, (box - np.tile(crop[:2], 2)) * np.tile(scale, 2), size)
