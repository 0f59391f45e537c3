"""Pictures of heatmaps: overlays beside the originals, contours, contact sheets; curves against saliency, agreement.

Pictures and maps come as DataArrays in the network's view, from :mod:`secateur.heatmaps`, :mod:`secateur.occlusion`
and :mod:`secateur.saliency`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from ..arguments import check_integer, is_integer
from ..features import Matrix
from . import drawing
from .drawing import Axes, Figure

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap
    from numpy.typing import ArrayLike

    from .._typing import LabelsLike

__all__ = ["agreement", "contact_sheet", "contours", "overlays", "precision_recall"]

HEAT, SALIENT = "#0072B2", "#E69F00"
BAR_LABEL = "heat within the image (0 its coolest pixel, 1 its warmest)"
SIGNED_LABEL = "fall within the image (0 none, or a rise; 1 its largest change of either sign)"
GROUND = 0.78  # the grey that a colour bar lies on: heat is drawn half transparent on the grey picture


# Ink ------------------------------------------------------------------------------------------------------------


def _warmth() -> ListedColormap:
    """Inferno, the more opaque the warmer, so that the picture shows where it is cool."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    colours = matplotlib.colormaps["inferno"](np.linspace(0, 1, 256))
    colours[:, 3] = 0.85 * np.linspace(0, 1, 256) ** 1.5
    return ListedColormap(colours)


def _is_signed(heat: xarray.DataArray) -> bool:
    """Whether these are falls, of which some are rises."""
    return bool((heat < 0).any())


def _stretched(values: Matrix, signed: bool) -> Matrix:
    """From 0 to 1; what is flat is 0. Signed values keep their zero, and the largest of either sign is 1."""
    values = np.nan_to_num(values)
    low, high = float(values.min()), float(values.max())
    if signed:
        return np.maximum(values, 0) / (max(high, -low) or 1)
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _grey(picture: Any) -> Matrix:
    """Luminance of an RGB picture, from 0 to 1, brought nearer to white so that heat stands out."""
    return np.asarray(0.25 + 0.75 * (np.asarray(picture, dtype=float) @ (0.299, 0.587, 0.114)) / 255)


def _draw_picture(axes: Axes, picture: Any) -> None:
    axes.imshow(picture, interpolation="antialiased")
    drawing.bare(axes)


def _draw_overlay(axes: Axes, picture: Any, heat: xarray.DataArray, i: int) -> Any:
    """Heat over the picture in grey; returns what a colour bar needs."""
    axes.imshow(_grey(picture), cmap="gray", vmin=0, vmax=1, interpolation="antialiased")
    warmth = _stretched(heat.values[i].astype(float), _is_signed(heat))
    image = axes.imshow(warmth, cmap=_warmth(), vmin=0, vmax=1, interpolation="bilinear")
    drawing.bare(axes)
    return image


def _draw_heat_bar(figure: Figure, axes: Axes, image: Any, heat: xarray.DataArray) -> None:
    drawing.draw_bar(figure, axes, image, SIGNED_LABEL if _is_signed(heat) else BAR_LABEL)
    axes.set_facecolor((GROUND,) * 3)


def _draw_tops(axes: Axes, values: Matrix, top: Sequence[float], colour: str) -> None:
    """Outlines of the warmest percents; the smaller the share, the fuller the colour."""
    from matplotlib.colors import to_rgb

    if values.min() == values.max():
        return
    levels = sorted({float(np.percentile(values, 100 - share)) for share in top})
    strengths = np.linspace(1, 0.4, max(len(top), 2))[: len(levels)][::-1]
    shades = [tuple(1 - strength * (1 - np.array(to_rgb(colour)))) for strength in strengths]
    from matplotlib.patheffects import withStroke

    lines = axes.contour(values, levels=levels, colors=shades, linewidths=0.4 + strengths)
    lines.set_path_effects([withStroke(linewidth=2.4, foreground="#202020", alpha=0.7)])  # seen on any picture


def _names(heat: xarray.DataArray) -> list[str]:
    return [str(name) for name in heat["image"].values]


def _is_empty(heat: xarray.DataArray, i: int) -> bool:
    return bool(heat["empty"].values[i]) if "empty" in heat.coords else not heat.values[i].any()


def _checked_views(pictures: Any, heat: xarray.DataArray, name: str = "heat") -> None:
    """Refuse maps that are not of these pictures."""
    if getattr(pictures, "dims", None) != ("image", "y", "x", "channel"):
        raise TypeError(f"pictures must be a DataArray (image, y, x, channel), got {type(pictures).__name__}")
    if getattr(heat, "dims", None) != ("image", "y", "x"):
        raise TypeError(f"{name} must be a DataArray (image, y, x), got {type(heat).__name__}")
    if heat.shape != pictures.shape[:3] or _names(heat) != _names(pictures):
        raise ValueError(
            f"{name} must be of the pictures, in their order and size {pictures.shape[:3]}, got {heat.shape}"
            + ("" if heat.shape != pictures.shape[:3] else " with other names")
        )


def _chosen(images: Any, names: list[str]) -> list[int]:
    """Positions of the images to draw, given as positions or names."""
    if images is None:
        return list(range(len(names)))
    found = []
    for image in images:
        if isinstance(image, str):
            if image not in names:
                raise ValueError(f"images must name images of heat, got {image!r}")
            found.append(names.index(image))
        elif is_integer(image) and 0 <= image < len(names):
            found.append(int(image))
        else:
            raise ValueError(f"images must be names or positions from 0 to {len(names) - 1}, got {image!r}")
    if not found:
        raise ValueError("images must hold at least one image, got none")
    return found


def _label(heat: xarray.DataArray, i: int, most: int, alignment: Matrix | None = None) -> str:
    """An image's name, its alignment where that is given, and whether its heatmap is empty."""
    name, empty = _names(heat)[i], _is_empty(heat, i)
    end = ": empty" if empty else ""
    if alignment is not None:
        score = "undefined" if np.isnan(alignment[i]) else f"{alignment[i]:.2f}".replace("-", "−")
        end = f": {score}{', empty' if empty else ''}"
    return drawing.drawn_name(name, max(most - len(end), 8)) + end


def _read_beside(
    pictures: xarray.DataArray, plain: xarray.DataArray | None, alignment: ArrayLike | None
) -> Matrix | None:
    """The images' alignments; maps that are not of these pictures are refused."""
    if plain is not None:
        _checked_views(pictures, plain, "plain")
    if alignment is None:
        return None
    scores = np.asarray(alignment, dtype=float)
    if scores.shape != (len(pictures),):
        raise ValueError(f"alignment must have one value for each of {len(pictures)} images, got shape {scores.shape}")
    return scores


PLAIN = "right: plain mean of the maps"
ALIGNED = "number: alignment of the image's own similarities with its row of the target"


def _beside_words(plain: xarray.DataArray | None, alignment: Matrix | None) -> str:
    said = [*([f"Left: picture, middle: heatmap, {PLAIN}"] if plain is not None else [])]
    said += [] if alignment is None else [ALIGNED]
    words = "; ".join(said)
    return f"{words[:1].upper()}{words[1:]}." if words else ""


# The face -------------------------------------------------------------------------------------------------------


def overlays(
    pictures: xarray.DataArray,
    heat: xarray.DataArray,
    *,
    images: Sequence[int | str] | None = None,
    title: str = "Alignment importance",
    plain: xarray.DataArray | None = None,
    alignment: ArrayLike | None = None,
) -> Figure:
    """Originals with their heatmaps beside, a row per image.

    Parameters
    ----------
    pictures : xarray.DataArray (image, y, x, channel)
        From :func:`secateur.heatmaps.seen`.
    heat : xarray.DataArray (image, y, x)
        From :func:`secateur.heatmaps.heatmap`, or the ``drop`` of :func:`secateur.occlusion.occlude`.
    images : sequence of positions or names, optional
        Which to draw; all by default.
    title : str
        Heading.
    plain : xarray.DataArray (image, y, x), optional
        The plain mean of the maps (``secateur.heatmaps.heatmap`` with the same weight for all), in a third column: what
        a heatmap shows beyond where the network answers at all.
    alignment : array (image,), optional
        Of each image, as in the ``image_baseline`` of :func:`secateur.feature_maps.alignment_importance`: told in its
        label.

    Returns
    -------
    matplotlib.figure.Figure
        Heat is stretched within each image; an image without any says "empty". Of a fall that is below zero somewhere,
        zero and less are cool, and the largest change of either sign is 1.

    Raises
    ------
    TypeError, ValueError
        Where heatmaps are not of these pictures, or an image is not among them.

    References
    ----------
    Truong, Pesenti & Hasson (2024), Figure 2.

    Examples
    --------
    >>> from secateur import heatmaps
    >>> rng = np.random.default_rng(0)
    >>> heat = heatmaps.of_maps(rng.random((2, 3, 4, 4)), np.ones((2, 3)), (8, 8))
    >>> pictures = heatmaps.as_pictures(rng.integers(0, 255, (2, 8, 8, 3)).astype(np.uint8))
    >>> len(overlays(pictures, heat).axes)
    5
    """
    _checked_views(pictures, heat)
    scores = _read_beside(pictures, plain, alignment)
    chosen = _chosen(images, _names(heat))
    side, gap, top, bottom = 2.2, 0.3, 0.5, 0.6 + (0.15 if plain is not None or scores is not None else 0.0)
    tall = side * heat.sizes["y"] / heat.sizes["x"]
    columns = 2 if plain is None else 3
    figure = drawing.blank_figure(0.7 + columns * (side + 0.1), top + bottom + len(chosen) * (tall + gap))
    for row, i in enumerate(chosen):
        low = bottom + (len(chosen) - 1 - row) * (tall + gap)
        cells = [drawing.axes_at(figure, 0.4 + (side + 0.1) * k, low, side, tall) for k in range(columns)]
        _draw_picture(cells[0], pictures.values[i])
        image = _draw_overlay(cells[1], pictures.values[i], heat, i)
        if plain is not None:
            _draw_overlay(cells[2], pictures.values[i], plain, i)
        cells[0].set_title(_label(heat, i, 40, scores), fontsize=drawing.NORMAL, loc="left", pad=3)
    drawing.write_title(figure, 0.4, bottom + len(chosen) * (tall + gap) + 0.15, title)
    lift = bottom - 0.18
    _draw_heat_bar(figure, drawing.axes_at(figure, 0.4, lift, 2 * side + 0.1, 0.08), image, heat)
    if plain is not None or scores is not None:
        drawing.write_note(figure, 0.4, 0.07, _beside_words(plain, scores))
    return figure


def contact_sheet(
    pictures: xarray.DataArray,
    heat: xarray.DataArray | None = None,
    *,
    columns: int = 6,
    title: str = "Alignment importance",
    plain: xarray.DataArray | None = None,
    alignment: ArrayLike | None = None,
) -> Figure:
    """All images on one sheet: each in its colours, its heatmap beside it, its name above.

    Parameters
    ----------
    pictures : xarray.DataArray (image, y, x, channel)
        From :func:`secateur.heatmaps.seen`.
    heat : xarray.DataArray (image, y, x), optional
        From :func:`secateur.heatmaps.heatmap`, or the ``drop`` of :func:`secateur.occlusion.occlude`. Without, the
        sheet shows the pictures alone.
    columns : int
        Images in a row.
    title : str
        Heading.
    plain : xarray.DataArray (image, y, x), optional
        The plain mean of the maps (``secateur.heatmaps.heatmap`` with the same weight for all), in a third column: what
        a heatmap shows beyond where the network answers at all.
    alignment : array (image,), optional
        Of each image, as in the ``image_baseline`` of :func:`secateur.feature_maps.alignment_importance`: told in its
        label.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        Where heatmaps are not of these pictures, or ``columns`` is not positive.

    Examples
    --------
    >>> from secateur import heatmaps
    >>> rng = np.random.default_rng(0)
    >>> heat = heatmaps.of_maps(rng.random((5, 3, 4, 4)), np.ones((5, 3)), (8, 8))
    >>> pictures = heatmaps.as_pictures(rng.integers(0, 255, (5, 8, 8, 3)).astype(np.uint8))
    >>> len(contact_sheet(pictures, heat, columns=2).axes)
    11
    """
    _checked_views(pictures, pictures[..., 0] if heat is None else heat)
    check_integer("columns", columns, 1)
    count = pictures.sizes["image"]
    columns = min(int(columns), count)
    rows = -(-count // columns)
    scores = _read_beside(pictures, plain, alignment)
    words = _beside_words(plain, scores) if heat is not None else ""
    side, gap, top, bottom = 0.95, 0.2, 0.45, 0.2 if heat is None else 0.55 + (0.15 if words else 0.0)
    tall = side * pictures.sizes["y"] / pictures.sizes["x"]
    maps = [one for one in (heat, plain) if one is not None and heat is not None]
    wide = side + len(maps) * (side + 0.03)
    width = max(0.5 + columns * wide + (columns - 1) * 0.16, 4.4, 0.5 + 0.058 * len(words))
    figure = drawing.blank_figure(width, top + bottom + rows * (tall + gap))
    for i in range(count):
        row, column = divmod(i, columns)
        at, low = 0.25 + column * (wide + 0.16), bottom + (rows - 1 - row) * (tall + gap)
        left = drawing.axes_at(figure, at, low, side, tall)
        _draw_picture(left, pictures.values[i])
        label = drawing.drawn_name(_names(pictures)[i], 16) if heat is None else _label(heat, i, 32, scores)
        left.set_title(label, fontsize=drawing.SMALL, loc="left", pad=2)
        for k, one in enumerate(maps, 1):
            cell = drawing.axes_at(figure, at + k * (side + 0.03), low, side, tall)
            image = _draw_overlay(cell, pictures.values[i], one, i)
    drawing.write_title(figure, 0.25, bottom + rows * (tall + gap) + 0.14, title)
    if heat is None:
        return figure
    _draw_heat_bar(figure, drawing.axes_at(figure, 0.25, bottom - 0.17, min(4.0, width - 0.5), 0.08), image, heat)
    if words:
        drawing.write_note(figure, 0.25, 0.07, words)
    return figure


def contours(
    pictures: xarray.DataArray,
    heat: xarray.DataArray,
    salient: xarray.DataArray | None = None,
    *,
    images: Sequence[int | str] | None = None,
    top: Sequence[float] = (5, 10, 15),
    columns: int = 4,
    title: str = "Where the warmest pixels lie",
) -> Figure:
    """The warmest percents of pixels outlined on the originals, and the most salient ones beside them.

    Parameters
    ----------
    pictures : xarray.DataArray (image, y, x, channel)
        From :func:`secateur.heatmaps.seen`.
    heat : xarray.DataArray (image, y, x)
        From :func:`secateur.heatmaps.heatmap`.
    salient : xarray.DataArray (image, y, x), optional
        From :mod:`secateur.saliency`: outlined too, and the relative risk for each share is told above the image.
    images : sequence of positions or names, optional
        Which to draw; all by default.
    top : sequence of float
        Percents of pixels; the smaller the share, the fuller the colour.
    columns : int
        Images in a row.
    title : str
        Heading.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        Where maps are not of these pictures, or an image is not among them.

    References
    ----------
    Truong, Pesenti & Hasson (2024), Figure 5.

    Examples
    --------
    >>> from secateur import heatmaps
    >>> rng = np.random.default_rng(0)
    >>> heat = heatmaps.of_maps(rng.random((3, 3, 4, 4)), np.ones((3, 3)), (8, 8))
    >>> pictures = heatmaps.as_pictures(rng.integers(0, 255, (3, 8, 8, 3)).astype(np.uint8))
    >>> len(contours(pictures, heat).axes)
    3
    """
    from matplotlib.lines import Line2D

    from ..networks.saliency import relative_risk

    _checked_views(pictures, heat)
    if salient is not None:
        _checked_views(pictures, salient, "salient")
    chosen = _chosen(images, _names(heat))
    shares = sorted(top)
    risk = None if salient is None else relative_risk(heat, salient, top=shares)["relative_risk"].values
    columns = min(int(columns), len(chosen))
    rows = -(-len(chosen) // columns)
    side, gap, above, bottom = 1.9, 0.22 if salient is None else 0.36, 0.72, 0.15
    tall = side * heat.sizes["y"] / heat.sizes["x"]
    width = max(0.5 + columns * side + (columns - 1) * 0.15, 4.4)
    figure = drawing.blank_figure(width, above + bottom + rows * (tall + gap))
    for place, i in enumerate(chosen):
        row, column = divmod(place, columns)
        at, low = 0.25 + column * (side + 0.15), bottom + (rows - 1 - row) * (tall + gap)
        axes = drawing.axes_at(figure, at, low, side, tall)
        _draw_picture(axes, pictures.values[i])
        for values, colour in ((heat, HEAT), *(() if salient is None else ((salient, SALIENT),))):
            _draw_tops(axes, values.values[i].astype(float), shares, colour)
        words = _label(heat, i, 34)
        if risk is not None:
            message = ", ".join("∞" if np.isinf(r) else f"{r:.1f}" for r in risk[i])
            words += "\nrelative risk " + ("undefined" if np.isnan(risk[i]).any() else message)
        axes.set_title(words, fontsize=drawing.SMALL, loc="left", pad=2)
    ceiling = bottom + rows * (tall + gap)
    drawing.write_title(figure, 0.25, ceiling + 0.42, title)
    lines = [Line2D([], [], color=HEAT, linewidth=1.6, label="heatmap")]
    if salient is not None:
        lines.append(Line2D([], [], color=SALIENT, linewidth=1.6, label="saliency"))
    across, up = figure.get_size_inches()
    percents = ", ".join(f"{share:g}" for share in shares)
    figure.legend(
        handles=lines, loc="lower left", bbox_to_anchor=(0.25 / across, (ceiling + 0.12) / up), ncols=2, frameon=False,
        fontsize=drawing.SMALL, borderaxespad=0, borderpad=0, columnspacing=1.2, handlelength=1.4,
        title=f"top {percents} % of pixels, fullest colour first", title_fontsize=drawing.SMALL, alignment="left",
    )  # fmt: skip
    return figure


def precision_recall(curves: xarray.Dataset, groups: LabelsLike | None = None) -> Figure:
    """Precision against recall of saliency as a predictor of heat, a panel for each cut of the heatmaps.

    Parameters
    ----------
    curves : xarray.Dataset
        From :func:`secateur.saliency.precision_recall`.
    groups : array (n,), optional
        A line for the mean of each group of images; without, one for the mean of all, with the SD over images.

    Returns
    -------
    matplotlib.figure.Figure
        The dashed line is chance: the share of pixels above the cut.

    References
    ----------
    Truong, Pesenti & Hasson (2024), Figure 4.

    Examples
    --------
    >>> from secateur import heatmaps, saliency
    >>> heat = heatmaps.of_maps(np.random.default_rng(0).random((2, 3, 4, 4)), np.ones((2, 3)), (8, 8))
    >>> len(precision_recall(saliency.precision_recall(heat, heat.values)).axes)
    4
    """
    import warnings

    cuts, count = curves["heat_percentile"].values, curves.sizes["image"]
    grouped = drawing.read_groups(groups, count)
    left_out = int(curves.attrs.get("left_out", 0))
    width = max(0.65 + 2.15 * len(cuts), 4.4)
    figure = drawing.blank_figure(width, 3.4)
    for column, cut in enumerate(cuts):
        axes = drawing.axes_at(figure, 0.55 + 2.15 * column, 0.55, 1.85, 1.85)
        precision, recall = (curves[name].sel(heat_percentile=cut).values for name in ("precision", "recall"))
        parts = [("mean of images", drawing.FULL, np.arange(count))]
        if grouped is not None:
            members_of = [np.flatnonzero(grouped.of == g) for g in range(len(grouped.names))]
            parts = list(zip(grouped.labels, grouped.colours, members_of, strict=True))
        for name, colour, members in parts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a group may have no image with a curve
                x, y = np.nanmean(recall[members], axis=0), np.nanmean(precision[members], axis=0)
                spread = np.nanstd(precision[members], axis=0)
            if not np.isfinite(y).any():
                continue  # a group without a curve has no entry in the legend
            axes.plot(x, y, color=colour, linewidth=1.3, label=name)
            if grouped is None:
                axes.fill_between(x, y - spread, y + spread, color=colour, alpha=0.15, linewidth=0, label="± SD")
        axes.axhline(1 - float(cut) / 100, color="black", linestyle="--", linewidth=0.8, label="chance")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_title(f"heat above its {cut:g}th percentile", fontsize=drawing.NORMAL, loc="left", pad=4)
        drawing.dress(axes, "recall", "precision" if column == 0 else "")
        if column:
            axes.set_yticklabels([])
    handles, labels = axes.get_legend_handles_labels()
    per_row = max(1, int((width - 0.6) / 1.6))
    figure.legend(
        drawing.by_rows(handles, per_row), drawing.by_rows(labels, per_row), loc="lower left",
        bbox_to_anchor=(0.53 / width, 2.78 / 3.4), frameon=False, fontsize=drawing.SMALL, borderaxespad=0,
        borderpad=0, ncols=per_row,
        columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip
    message = f"{count - left_out} images" + (f", {left_out} without a curve left out" if left_out else "")
    drawing.write_title(figure, 0.25, 3.2, f"Heat predicted from saliency ({message})")
    return figure


def agreement(result: xarray.Dataset, *, title: str = "Match of two networks' heatmaps") -> Figure:
    """Matches of two networks' heatmaps, and where entropies are known, against the larger of the two.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.heatmaps.agreement`.
    title : str
        Heading.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Truong, Pesenti & Hasson (2024), §3.2, Figure A.1.

    Examples
    --------
    >>> from secateur import heatmaps
    >>> maps = np.random.default_rng(0).random((4, 3, 4, 4))
    >>> a, b = (heatmaps.of_maps(maps, w, (8, 8)) for w in ([1.0, 0, 0], [1.0, 0.1, 0]))
    >>> agreement(heatmaps.agreement(a, b)).axes[0].get_ylabel()
    'images'
    """
    match = result["match"].values
    found = match[~np.isnan(match)]
    both = "max_entropy" in result
    figure = drawing.blank_figure(6.4 if both else 3.6, 3.2)
    axes = drawing.axes_at(figure, 0.6, 0.55, 2.6, 1.95)
    axes.hist(found, bins=np.linspace(min(0.0, float(found.min(initial=0.0))), 1, 21).tolist(), color=drawing.FAINT)
    if found.size:
        axes.axvline(float(np.median(found)), color=drawing.FULL, linewidth=1.6)
        words = f"median {np.median(found):.2f} of {len(found)} images"
        axes.set_title(words, fontsize=drawing.NORMAL, color=drawing.FULL, loc="left")
    drawing.dress(axes, "match (Pearson r over pixels)", "images")
    axes.locator_params(axis="y", integer=True)
    axes.locator_params(axis="x", nbins=5)
    if both:
        axes = drawing.axes_at(figure, 3.75, 0.55, 2.45, 1.95)
        axes.scatter(result["max_entropy"].values, match, s=10, color=drawing.OKABE_ITO[0], alpha=0.7, linewidths=0)
        r, p = float(result.attrs["r"]), float(result.attrs["p"])
        if not np.isnan(r):
            words = f"r = {r:.2f}, p = {p:.2g}".replace("-", "−", 1)
            axes.set_title(words, fontsize=drawing.NORMAL, loc="left")
        drawing.dress(axes, "larger entropy of class probabilities (nats)", "match (Pearson r)")
        axes.locator_params(axis="x", nbins=5)
    drawing.write_title(figure, 0.25, 2.95, title)
    return figure
