"""Heatmaps against gaze or saliency: precision and recall, and relative risk of being warm where it is salient."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas
import xarray

from ..features import Matrix, as_float64
from ..reading import load_npy
from .heatmaps import check_heatmaps, crops, onto

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from .._typing import LabelsLike

__all__ = ["precision_recall", "read", "relative_risk", "spectral_residual", "table", "top_of"]

Mask = npt.NDArray[np.bool_]
PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


# Maps in ----------------------------------------------------------------------------------------------------------


def read(
    source: str
    | os.PathLike[str]
    | Sequence[str | os.PathLike[str]]
    | Mapping[str, str | os.PathLike[str]]
    | ArrayLike
    | xarray.DataArray,
    heat: xarray.DataArray,
) -> xarray.DataArray:
    """Saliency maps of whole images, brought to what the network saw of them.

    Parameters
    ----------
    source : path or array
        A folder with one file per image, named as the image is, ``.npy`` or a grey picture (``dogs/3`` is sought as
        ``dogs/3.npy``, ``dogs/3.png``, …, then as ``3.npy``, …); a ``.npy`` file; an array (n, height, width); or
        a sequence of n arrays (height, width). Maps span the original images, in any resolution.
    heat : xarray.DataArray (image, y, x)
        From :func:`secateur.heatmaps.heatmap`: its names, and the part of each image that the network saw.

    Returns
    -------
    xarray.DataArray (image, y, x), float64
        Cropped as the network's input was, bilinear, smoothed where made smaller.

    Raises
    ------
    FileNotFoundError
        Where there is no file for an image; the message names the first.
    TypeError, ValueError
        Where a map is coloured, not two-dimensional, not finite, or of another shape than its image; or where the
        number of maps is not that of the images.

    Examples
    --------
    >>> from secateur import heatmaps, saliency
    >>> heat = heatmaps.of_maps(np.random.default_rng(0).random((2, 3, 4, 4)), [[1.0, 0, 0], [0, 1, 0]], (8, 8))
    >>> saliency.read(np.ones((2, 16, 16)), heat).shape
    (2, 8, 8)
    """
    check_heatmaps(heat, "heat")
    names = [str(name) for name in heat["image"].values]
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            given: Any = [_read_file(_find(path, name)) for name in names]
        elif path.is_file():
            given = _read_npy(path)
        else:
            raise FileNotFoundError(f"source must be a folder or a .npy file, got {str(path)!r}, which does not exist")
    else:
        given = source
    if len(given) != len(names):
        raise ValueError(f"source must hold a map for each of {len(names)} images, got {len(given)}")
    size = (heat.sizes["y"], heat.sizes["x"])
    maps, edges = np.empty(heat.shape), crops(heat)
    for i, name in enumerate(names):
        one = as_float64(given[i], "source")
        if one.ndim != 2:
            raise ValueError(f"source must hold maps of shape (height, width), got {one.shape} for image {name!r}")
        if not np.isfinite(one).all():
            raise ValueError(f"source must hold finite maps, got {one[~np.isfinite(one)][0]} in that of image {name!r}")
        width, height = float(heat["width"].values[i]), float(heat["height"].values[i])
        # A pixel of rounding in the smaller map's longer side is allowed.
        if abs(one.shape[1] * height - one.shape[0] * width) > max(width, height):
            raise ValueError(
                f"source must hold maps of the images' own shape, got {one.shape[1]} × {one.shape[0]} for image "
                f"{name!r} of {width:g} × {height:g}"
            )
        scale = np.array([one.shape[1] / width, one.shape[0] / height] * 2)
        maps[i] = onto(one, edges[i] * scale, size)
    return _like(heat, maps, "saliency", {"source": str(source) if isinstance(source, (str, os.PathLike)) else "array"})


def _find(folder: Path, name: str) -> Path:
    """The file of an image's map."""
    stems = [Path(name), Path(name).with_suffix(""), Path(Path(name).name), Path(Path(name).stem)]
    for stem in dict.fromkeys(stems):
        for suffix in (".npy", *PICTURES):
            file = folder / stem.parent / (stem.name + suffix)
            if file.is_file():
                return file
    raise FileNotFoundError(
        f"source must hold a map for every image, got no file for {name!r} in {str(folder)!r} "
        f"(sought {stems[0]}.npy, {stems[0]}.png, …)"
    )


def _read_npy(file: Path) -> Any:
    try:
        return load_npy(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"source must hold .npy files of numbers, got {file.name}: {error}") from error


def _read_file(file: Path) -> Any:
    if file.suffix == ".npy":
        return _read_npy(file)
    from PIL import Image

    with Image.open(file) as picture:
        if picture.mode in ("L", "I", "F", "I;16", "1"):
            return np.asarray(picture, dtype=np.float64)
        values = np.asarray(picture.convert("RGB"), dtype=np.float64)
    if (values != values[..., :1]).any():
        raise ValueError(f"source must hold grey maps, got colours in {str(file)!r}: the map's values can't be read")
    return values[..., 0]


def spectral_residual(pictures: xarray.DataArray) -> xarray.DataArray:
    """Saliency by the spectral residual: what stands out of the image's own spectrum, with no training.

    It marks edges and small things in front of even grounds; it is no model of gaze. For gaze, read a trained model's
    maps with :func:`read`.

    Parameters
    ----------
    pictures : xarray.DataArray (image, y, x, channel), uint8
        From :func:`secateur.heatmaps.seen`.

    Returns
    -------
    xarray.DataArray (image, y, x), float64
        From 0 to 1.

    Raises
    ------
    ImportError
        Where OpenCV's contributed modules are not installed: ``pip install 'secateur[saliency]'``.
    ValueError
        Where ``pictures`` is something else.

    References
    ----------
    Hou & Zhang (2007), Saliency detection: a spectral residual approach; OpenCV's ``StaticSaliencySpectralResidual``.

    Examples
    --------
    >>> from secateur import heatmaps, saliency
    >>> pictures = heatmaps.as_pictures(np.zeros((1, 32, 32, 3), np.uint8))
    >>> pictures[0, 10:16, 20:26] = 255
    >>> salient = saliency.spectral_residual(pictures)       # doctest: +SKIP
    >>> salient.dims                                         # doctest: +SKIP
    ('image', 'y', 'x')
    """
    if getattr(pictures, "dims", None) != ("image", "y", "x", "channel") or pictures.dtype != np.uint8:
        raise ValueError(
            "pictures must be the uint8 DataArray (image, y, x, channel) of heatmaps.seen, got "
            f"{type(pictures).__name__} of shape {np.shape(pictures)}"
        )
    try:
        import cv2

        made: Any = getattr(cv2.saliency, "StaticSaliencySpectralResidual_create")  # noqa: B009, absent from its types
    except (ImportError, AttributeError) as error:
        raise ImportError(
            "spectral_residual needs OpenCV with its contributed modules: pip install 'secateur[saliency]'"
        ) from error
    maps = np.empty(pictures.shape[:3])
    for i, picture in enumerate(pictures.values):
        found, one = made().computeSaliency(np.ascontiguousarray(picture[..., ::-1]))  # OpenCV's order is blue first
        if not found:
            raise ValueError(f"pictures must be such as OpenCV can read, got none from image {i}")
        maps[i] = one
    return _like(pictures.isel(channel=0, drop=True), maps, "saliency", {"source": "spectral residual (OpenCV)"})


def _like(heat: xarray.DataArray, values: Matrix, name: str, attrs: dict[str, Any]) -> xarray.DataArray:
    """Values with the coordinates of other maps, without what is said of those maps alone."""
    made = heat.copy(data=values).drop_vars(["empty", "undefined_maps"], errors="ignore")
    made.name, made.attrs = name, attrs
    return made


# Comparisons ------------------------------------------------------------------------------------------------------


def top_of(values: ArrayLike, percentile: float) -> Mask:
    """The pixels of a map above its percentile.

    Where no pixel lies above it, because the map's greatest value is a plateau, the plateau is taken. A flat map has
    no top: nothing is.

    Parameters
    ----------
    values : array of any shape
        One map, finite.
    percentile : float
        From 0 to 100, by linear interpolation (``numpy.percentile``).

    Returns
    -------
    ndarray of bool, shaped like ``values``

    Raises
    ------
    ValueError
        Where the percentile lies outside 0 to 100.

    Examples
    --------
    >>> top_of([0.0, 0.0, 0.0, 1.0, 2.0], 60)
    array([False, False, False,  True,  True])
    """
    array = np.asarray(values)
    return np.asarray(_tops(array.ravel(), (percentile,), "percentile")[0].reshape(array.shape))


def _tops(flat: NDArray[Any], percentiles: Sequence[float], name: str) -> Mask:
    """(percentiles, pixels): above each percentile."""
    levels = np.asarray(percentiles, dtype=float)
    outside = levels[~((levels >= 0) & (levels <= 100))]
    if outside.size:
        raise ValueError(f"{name} must lie between 0 and 100, got {outside[0]:g}")
    limits = np.percentile(flat, levels)
    top = flat.max()
    if flat.min() == top:
        return np.zeros((len(levels), len(flat)), dtype=bool)
    masks: Mask = flat > limits[:, None]
    masks[limits >= top] = flat == top
    return masks


def _pairs_of(heat: xarray.DataArray, salient: xarray.DataArray) -> tuple[Matrix, Matrix]:
    """Heatmaps and saliency maps (image, pixels), checked against each other."""
    check_heatmaps(heat, "heat")
    values = as_float64(salient, "salient")
    if values.shape != heat.shape:
        raise ValueError(
            f"salient must have the heatmaps' shape {heat.shape}, got {values.shape}: bring maps of whole images to "
            "the network's view with saliency.read"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"salient must be finite, got {values[~np.isfinite(values)][0]}")
    if hasattr(salient, "dims") and "image" in salient.coords and "image" in heat.coords:
        own, theirs = list(map(str, heat["image"].values)), list(map(str, salient["image"].values))
        if own != theirs:
            i = next(i for i in range(len(own)) if own[i] != theirs[i])
            raise ValueError(
                "salient must name the heatmaps' images in the same order, "
                f"got {theirs[i]!r} for {own[i]!r} (image {i})"
            )
    count = len(values)
    return np.asarray(heat.values, dtype=np.float64).reshape(count, -1), values.reshape(count, -1)


def precision_recall(
    heat: xarray.DataArray,
    salient: xarray.DataArray,
    *,
    heat_percentiles: Iterable[float] = (60, 70, 80, 90),
    saliency_percentiles: Iterable[float] = tuple(range(1, 100, 2)),
) -> xarray.Dataset:
    """How well a pixel's saliency predicts that it is warm in the heatmap.

    The binarised heatmap is the truth, the binarised saliency map the prediction: precision = ``|Sal ∩ AIS| / |Sal|``,
    recall = ``|Sal ∩ AIS| / |AIS|``, percentiles taken within each image, by :func:`top_of`.

    Parameters
    ----------
    heat : xarray.DataArray (image, y, x)
        From :func:`secateur.heatmaps.heatmap`.
    salient : array (image, y, x)
        From :func:`read` or :func:`spectral_residual`.
    heat_percentiles : iterable of float
        Where heatmaps are cut.
    saliency_percentiles : iterable of float
        Where saliency maps are cut; each is a point of the curve.

    Returns
    -------
    xarray.Dataset (image, heat_percentile, saliency_percentile)
        Variables ``precision`` and ``recall``; NaN for an image whose heatmap is empty or whose saliency map is flat.

    Raises
    ------
    TypeError, ValueError
        Where shapes or names differ, or percentiles are not between 0 and 100.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.4.1, Figure 4.

    Examples
    --------
    >>> from secateur import heatmaps, saliency
    >>> heat = heatmaps.of_maps(np.random.default_rng(0).random((2, 3, 4, 4)), np.ones((2, 3)), (8, 8))
    >>> curves = saliency.precision_recall(heat, heat.values)
    >>> float(curves.precision.sel(heat_percentile=90, saliency_percentile=99).min())
    1.0
    """
    warm, seen = _pairs_of(heat, salient)
    cuts, sweep = tuple(heat_percentiles), tuple(saliency_percentiles)
    precision = np.full((len(warm), len(cuts), len(sweep)), np.nan)
    recall = precision.copy()
    for i in range(len(warm)):
        truth, predicted = _tops(warm[i], cuts, "heat_percentiles"), _tops(seen[i], sweep, "saliency_percentiles")
        if truth.any() and predicted.any():  # else one of them is flat
            both = truth.astype(np.float32) @ predicted.astype(np.float32).T
            precision[i] = both / predicted.sum(axis=1)
            recall[i] = both / truth.sum(axis=1)[:, None]
    dims = ("image", "heat_percentile", "saliency_percentile")
    return xarray.Dataset(
        {"precision": (dims, precision), "recall": (dims, recall)},
        {"image": heat["image"].values, dims[1]: list(cuts), dims[2]: list(sweep)},
        {"left_out": int(np.isnan(precision).all(axis=(1, 2)).sum())},
    )


def relative_risk(
    heat: xarray.DataArray, salient: xarray.DataArray, *, top: Iterable[float] = (5, 10, 15)
) -> xarray.Dataset:
    """How much likelier a pixel is relevant to the comparison (CR) where it is salient than where it is not.

    RR = P(CR | Sal) ÷ P(CR | ¬Sal), where CR and Sal are the top percents of an image's heatmap and saliency map, by
    :func:`top_of`; 1 is chance.

    Parameters
    ----------
    heat : xarray.DataArray (image, y, x)
        From :func:`secateur.heatmaps.heatmap`.
    salient : array (image, y, x)
        From :func:`read` or :func:`spectral_residual`.
    top : iterable of float
        Percents of pixels, the same for both maps.

    Returns
    -------
    xarray.Dataset (image, top)
        Variables ``relative_risk``, ``given_salient`` and ``given_not`` (the two probabilities). The risk is infinite
        where every relevant pixel is salient; all are NaN where the heatmap is empty or the saliency map flat.

    Raises
    ------
    TypeError, ValueError
        Where shapes or names differ, or percents are not between 0 and 100.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.4.2, equation 2, Table 1.

    Examples
    --------
    >>> from secateur import heatmaps, saliency
    >>> heat = heatmaps.of_maps(np.random.default_rng(0).random((2, 3, 4, 4)), np.ones((2, 3)), (8, 8))
    >>> saliency.relative_risk(heat, heat.values).given_salient.values[0].tolist()
    [1.0, 1.0, 1.0]
    """
    warm, seen = _pairs_of(heat, salient)
    tops = tuple(float(value) for value in top)
    for value in tops:
        if not 0 < value < 100:
            raise ValueError(f"top must hold percents above 0 and below 100, got {value:g}")
    given, without = np.full((2, len(warm), len(tops)), np.nan)
    levels = [100 - value for value in tops]
    for i in range(len(warm)):
        relevant, salience = _tops(warm[i], levels, "top"), _tops(seen[i], levels, "top")
        if relevant.any() and salience.any():
            both, count = (relevant & salience).sum(axis=1), salience.sum(axis=1)
            given[i] = both / count
            without[i] = (relevant.sum(axis=1) - both) / (salience.shape[1] - count)
    with np.errstate(divide="ignore", invalid="ignore"):
        risk = given / without
    dims = ("image", "top")
    return xarray.Dataset(
        {"relative_risk": (dims, risk), "given_salient": (dims, given), "given_not": (dims, without)},
        {"image": heat["image"].values, "top": list(tops)},
    )


def table(risk: xarray.Dataset, groups: LabelsLike | None = None) -> pandas.DataFrame:
    """Relative risk as mean ± SD over images, one row for each group and top.

    Parameters
    ----------
    risk : xarray.Dataset
        From :func:`relative_risk`.
    groups : array (n,), optional
        A group for each image: a row each, and one for all images.

    Returns
    -------
    pandas.DataFrame
        Columns ``group``, ``top``, ``mean``, ``sd`` (over the images with a finite risk), ``median`` (over those with
        any), ``above_one`` (their share with a risk above 1), ``images``, ``infinite``, ``undefined``.

    Raises
    ------
    ValueError
        Where ``groups`` has another length.

    References
    ----------
    Truong, Pesenti & Hasson (2024), Table 1.

    Examples
    --------
    >>> from secateur import heatmaps, saliency
    >>> heat = heatmaps.of_maps(np.random.default_rng(0).random((4, 3, 4, 4)), np.ones((4, 3)), (8, 8))
    >>> risk = saliency.relative_risk(heat, np.random.default_rng(1).random((4, 8, 8)))
    >>> saliency.table(risk, ["a", "a", "b", "b"]).group.unique().tolist()
    ['a', 'b', 'all']
    """
    values = risk["relative_risk"].values
    named = None if groups is None else np.asarray([str(g) for g in np.asarray(groups).ravel()])
    if named is not None and len(named) != len(values):
        raise ValueError(f"groups must have one entry for each of {len(values)} images, got {len(named)}")
    parts = [] if named is None else [(name, values[named == name]) for name in dict.fromkeys(named.tolist())]
    rows = []
    for name, part in [*parts, ("all", values)]:
        for column, value in enumerate(risk["top"].values):
            there = part[~np.isnan(part[:, column]), column]
            finite = there[np.isfinite(there)]
            rows.append(
                {
                    "group": name,
                    "top": float(value),
                    "mean": finite.mean() if finite.size else np.nan,
                    "sd": finite.std(ddof=1) if finite.size > 1 else np.nan,
                    "median": np.median(there) if there.size else np.nan,
                    "above_one": (there > 1).mean() if there.size else np.nan,
                    "images": len(part),
                    "infinite": len(there) - len(finite),
                    "undefined": len(part) - len(there),
                }
            )
    return pandas.DataFrame(rows)
