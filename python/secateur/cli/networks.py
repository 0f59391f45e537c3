"""``secateur embed``, ``secateur maps``, ``secateur heatmap``: photographs through a network."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from .app import app, checked_destination, exit_with_message, log, print_files, print_text, refuse_bad_input
from .options import (
    Folds,
    Kind,
    Overwrite,
    Pruning,
    Weights,
    argument,
    named_weights,
    option,
    run_settings,
    with_pruning,
)  # fmt: skip

if TYPE_CHECKING:
    import xarray

    from ..networks import Images, Network
    from ..targets import Targets

__all__ = [
    "DEFAULTS", "MEASURES", "Batch", "Blocks", "Fill", "Kind", "Name", "Out", "OwnBatch", "Parts", "Photographs",
    "Target", "Weights", "Where", "embed", "heatmap", "maps",
]  # fmt: skip

Photographs = Annotated[Path, argument("IMAGES", "A folder of images, or of a sub-folder for each category.")]
Target = Annotated[
    str, argument("TARGET", "RDM or RSM over the same images, as a matrix or its pairs: FILE or FILE:KEY.")
]
Out = Annotated[Path, option("DIR", "Folder for the results.")]
Name = Annotated[
    str,
    option(
        "NAME", "The network: efficientnet-lite0, vgg16, …, timm:NAME, or a file of one that is pruned or fine-tuned."
    ),
]
Batch = Annotated[int, option("N", "Images per pass through the network: more is faster and takes more memory.", min=1)]
OwnBatch = Annotated[
    int | None,
    option(
        "N",
        "Images per pass through the network; 1 by default, on a GPU what fits. More is faster and takes more memory.",
        min=1,
    ),
]
MEASURES = ("metric", "comparator", "threads")
DEFAULTS = Pruning(comparator="spearman")
Parts = Annotated[
    str,
    option(
        "PARTS", "What is masked: maps of the last convolution, or a transformer's channels, neurons, heads or blocks."
    ),
]
Blocks = Annotated[
    str | None,
    option(
        "B,B,…",
        "Blocks of a transformer whose parts are masked, from 0, or from the end by negative numbers; by default the "
        "last, or all.",
    ),
]
Fill = Annotated[
    str | None, option("HOW", "What masks a part: mean (over images) or zero; by default mean of channels, else zero.")
]
FORMATS = ("nc", "npy", "csv", "mat")
Where = Annotated[
    str, option("DEVICE", "Where the network runs: auto (a GPU where there is one), cpu, cuda, or cuda:1 and so on.")
]


@dataclass(frozen=True)
class _Set:
    """Photographs and the network that sees them."""

    net: Network
    images: Images
    inputs: list[dict[str, Any]]
    notes: tuple[str, ...] = ()

    def settings(self, **more: Any) -> dict[str, Any]:
        """What ``settings.json`` holds."""
        return run_settings(self.inputs, self.notes, network=self.net.name, **self.net.provenance, **more)


def _open(photographs: Path, network: str, weights: str, device: str, seed: int = 0) -> _Set:
    from ..networks import load, read_images

    with refuse_bad_input():
        images = read_images(photographs)
        net = load(network, named_weights(weights), seed=seed, device=device)
    for note in images.notes:
        log(f"note: {note}.")
    if named_weights(weights) is None:
        log(f"note: {network} has random weights: what it sees means nothing.")
    return _Set(net, images, [{"role": "images", "folder": str(photographs), "images": len(images)}])


def _aim(target: str, kind: str | None, seen: _Set) -> tuple[Targets, _Set]:
    """The one target, in the order of the images."""
    from ..files import Loaded, match, read_target_file, stated_kind
    from ..targets import read_target

    with refuse_bad_input():
        loaded_target = read_target_file(target)
        said = stated_kind(loaded_target, kind)
        place = Path(seen.inputs[0]["folder"])
        names = seen.images.names if seen.images.named else None
        values, note = match(loaded_target, Loaded(loaded_target.values, names, None, place))
    with refuse_bad_input(loaded_target.path.name):
        targets = read_target(values, len(seen.images), said)
        if len(targets) > 1:
            raise ValueError(f"TARGET must be one target, got {len(targets)}")
        targets = replace(targets, single=True, labels=(loaded_target.path.stem,))
    notes = (*loaded_target.notes, *([note] if note else []))
    for sentence in notes:
        log(f"note: {sentence}.")
    inputs = [*seen.inputs, {"role": "target", **loaded_target.record()}]
    return targets, replace(seen, inputs=inputs, notes=(*seen.notes, *notes))


def _which(parts: str, blocks: str | None, fill: str | None) -> dict[str, Any]:
    """What is masked, as the library takes it."""
    with refuse_bad_input("--blocks"):
        if blocks is not None and not re.fullmatch(r"-?\d+(,-?\d+)*", blocks):
            raise ValueError(f"blocks must be numbers with commas between them, got {blocks!r}")
    return {"parts": parts, "blocks": None if blocks is None else [int(b) for b in blocks.split(",")], "fill": fill}


def _write(out: Path, content: dict[str, Any], settings: dict[str, Any], overwrite: bool) -> None:
    from ..report import folder
    from ..report.contents import of_parts

    files = folder.write_network(out, content, settings=settings, overwrite=overwrite)
    print_files(out, files, of_parts(folder.NETWORK_CONTENTS, str(settings.get("parts", "maps"))))


@app.command()
def embed(
    photographs: Photographs,
    out: Out,
    network: Name = "efficientnet-lite0",
    weights: Weights = "default",
    layer: Annotated[
        str,
        option(
            "NAME",
            "Layer whose answers are the features: penultimate, final, last_conv, any module of the network, or a "
            "block by its number.",
        ),
    ] = "penultimate",
    pool: Annotated[
        str, option("HOW", "How feature maps become features: flatten (each position) or mean (one per map).")
    ] = "flatten",
    tokens: Annotated[
        str | None, option("HOW", "How a transformer's tokens become features: cls, mean, cls+mean or all.")
    ] = None,
    format: Annotated[
        str,
        option(
            "FORMAT", "A second file of the embedding: npy, csv or mat; nc: embedding.nc alone, which has all names."
        ),
    ] = "nc",
    batch: OwnBatch = None,
    device: Where = "auto",
    seed: Annotated[int, option("N", "Random seed of --weights none.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Embed photographs: what a layer of a network answers to each.

    The folder's embedding.nc is FEATURES for secateur prune and secateur timecourse.
    """
    with exit_with_message():
        from ..measures import enumerated
        from ..networks import embed as embedded
        from ..networks import heatmaps
        from ..report import contact_sheet
        from ..report.drivers import best_images

        with refuse_bad_input():
            if format not in FORMATS:
                raise ValueError(f"--format must be {enumerated(FORMATS)}, got {format!r}")
        checked_destination(out, overwrite)
        seen = _open(photographs, network, weights, device, seed)
        log(f"Embedding {len(seen.images)} images with {seen.net.name}, layer {layer}.")
        own: str | int = int(layer) if re.fullmatch(r"-?\d+", layer) else layer
        with refuse_bad_input(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # its notes on the images were said already
            how: dict[str, Any] = {"pool": pool, "tokens": tokens, "batch": batch}
            X = embedded(seen.net, seen.images, own, **how)
            pictures = heatmaps.seen(seen.net, seen.images)
        print_text(f"{X.sizes['stimulus']} images × {X.sizes['feature']} features\n")
        content = {
            "embedding.nc": X.rename("embedding"),
            **({} if format == "nc" else {f"embedding.{format}": _in_format(X, format)}),
            "images.png": contact_sheet(pictures, columns=10, title=f"What {seen.net.name} saw"),
            "best_images.png": best_images(
                pictures,
                X.values,
                (-X.values.std(axis=0)).argsort(kind="stable"),
                [f"feature {name}" for name in X["feature"].values],
                title="Images where a feature is largest",
            ),
        }
        _write(out, content, seen.settings(layer=layer, pool=pool, tokens=tokens, format=format), overwrite)


def _in_format(X: xarray.DataArray, format: str) -> Any:
    """An embedding as what a file of this format holds."""
    import numpy as np

    values = X.values
    stimuli, names = (
        (X[dim] if dim in X.coords else np.arange(X.sizes[dim])).astype(str) for dim in ("stimulus", "feature")
    )
    if format == "npy":
        return values
    if format == "mat":
        return {"X": values, "stimuli": np.asarray(stimuli, object), "feature": np.asarray(names, object)}
    import pandas

    table = pandas.DataFrame(values, columns=np.asarray(names))
    table.insert(0, "stimulus", np.asarray(stimuli))
    return table


@app.command()
@with_pruning(*MEASURES)
def maps(
    photographs: Photographs,
    target: Target,
    out: Out,
    kind: Kind = None,
    network: Name = "efficientnet-lite0",
    weights: Weights = "default",
    parts: Parts = "maps",
    blocks: Blocks = None,
    fill: Fill = None,
    pruning: Pruning = DEFAULTS,
    cv: Folds = 5,
    repeats: Annotated[int, option("N", "How often the cross-validation is repeated, on folds drawn anew.", min=1)] = 8,
    seed: Annotated[
        int, option("N", "Random seed of folds and of --weights none: the same seed gives the same result.", min=0)
    ] = 0,
    batch: Batch = 16,
    device: Where = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Score the feature maps of a network's last convolution (AIS), and select among them in folds of images.

    Or the parts of a transformer: --parts heads --network timm:vit_small_patch14_dinov2. Heads of all blocks are
    selected by running the network again for each head and fold: name --blocks, or few --repeats, where that is long.
    """
    with exit_with_message():
        from ..networks import embed as embedded
        from ..networks import heatmaps
        from ..networks.feature_maps import alignment_importance, select
        from ..report import held_out, insertion_curves, tables
        from ..report.drivers import best_images
        from ..validation import kept_features, summary

        checked_destination(out, overwrite)
        seen = _open(photographs, network, weights, device, seed)
        targets, seen = _aim(target, kind, seen)
        how: dict[str, Any] = {"batch": batch, **{name: getattr(pruning, name) for name in MEASURES}}
        how |= _which(parts, blocks, fill)
        what = "feature maps" if parts == "maps" else parts
        log(f"Scoring the {what} of {seen.net.name}, and selecting in {cv * repeats} folds.")
        with refuse_bad_input():
            scores = alignment_importance(seen.net, seen.images, targets, **how)
            result = select(seen.net, seen.images, targets, cv=cv, repeats=repeats, seed=seed, **how)
        title = (
            f"{what.capitalize()} of {seen.net.name}, selected by {targets.labels[0] if targets.labels else 'target'}"
        )
        print_text(f"{title}\n\n{tables.text(result)}")
        content: dict[str, Any] = {
            "importance.nc": scores,
            "selection.nc": result,
            "kept_features.csv": kept_features(result),
            "summary.csv": summary(result),
            "summary.md": tables.markdown(result, title=title),
            "curves.png": insertion_curves(result),
            "held_out.png": held_out(result),
        }
        if parts == "maps":
            with refuse_bad_input(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # its notes on the images were said already
                means = embedded(seen.net, seen.images, "last_conv", pool="mean", batch=batch)
                pictures = heatmaps.seen(seen.net, seen.images)
            content["best_images.png"] = best_images(
                pictures,
                means.values,
                (-scores["importance"].values).argsort(kind="stable"),
                [f"map {name}" for name in scores["map"].values],
                title="Images where a map's mean activation is largest",
            )
        _write(out, content, seen.settings(seed=seed, parts=parts, blocks=blocks, fill=scores.attrs["fill"]), overwrite)


@app.command()
@with_pruning(*MEASURES)
def heatmap(
    photographs: Photographs,
    target: Target,
    out: Out,
    kind: Kind = None,
    network: Name = "efficientnet-lite0",
    weights: Weights = "default",
    parts: Annotated[str, option("PARTS", "What is drawn: maps, or channels of a transformer.")] = "maps",
    pruning: Pruning = DEFAULTS,
    saliency: Annotated[
        str | None, option("MAPS", "Compare with saliency: a folder of maps named as the images, .npy, or spectral.")
    ] = None,
    seed: Annotated[int, option("N", "Random seed of --weights none.", min=0)] = 0,
    batch: Batch = 16,
    device: Where = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Show which parts of each image matter when it is compared with the others: heatmaps by alignment importance."""
    with exit_with_message():
        import numpy as np

        from ..networks import heatmaps
        from ..networks import saliency as of
        from ..networks.feature_maps import alignment_importance
        from ..report import contact_sheet, contours, precision_recall
        from ..report.drivers import best_images

        checked_destination(out, overwrite)
        seen = _open(photographs, network, weights, device, seed)
        targets, seen = _aim(target, kind, seen)
        how: dict[str, Any] = {"batch": batch, **{name: getattr(pruning, name) for name in MEASURES}}
        with refuse_bad_input():
            pictures = heatmaps.seen(seen.net, seen.images)
        salient = None
        if saliency is not None:
            with refuse_bad_input("--saliency"):
                view = pictures.isel(channel=0, drop=True)
                salient = of.spectral_residual(pictures) if saliency == "spectral" else of.read(saliency, view)
        with refuse_bad_input("--parts"):
            if parts not in ("maps", "channels"):
                raise ValueError(f"parts must be maps or channels to be drawn, got {parts!r}")
        how["parts"] = parts
        what = "feature maps" if parts == "maps" else parts
        log(f"Scoring the {what} of {seen.net.name} for each of {len(seen.images)} images.")
        with refuse_bad_input():
            scores = alignment_importance(seen.net, seen.images, targets, per_image=True, **how)
            heat = heatmaps.heatmap(seen.net, seen.images, scores, batch=batch)
            one, drawn = "map" if parts == "maps" else "part", cast("Any", parts)
            same = np.ones(scores.sizes[one])
            plain = heatmaps.heatmap(seen.net, seen.images, same, parts=drawn, batch=batch)
        empty = [str(name) for name in heat["image"].values[heat["empty"].values]]
        if empty:
            few = ", ".join(empty[:3]) + (", …" if len(empty) > 3 else "")
            log(f"note: heatmaps without a map of positive score are empty, {len(empty)} of {len(heat)}: {few}.")
        title = f"Alignment importance: {seen.net.name}, {targets.labels[0] if targets.labels else 'target'}"
        own, word = scores["image_importance"].transpose("stimulus", one), parts.removesuffix("s")
        content: dict[str, Any] = {
            "heatmaps.nc": heat.rename("heatmap"),
            "importance.nc": scores,
            "heatmaps.png": contact_sheet(
                pictures, heat, title=title, plain=plain, alignment=scores["image_baseline"].values
            ),
            "best_images.png": best_images(
                pictures,
                own.values,
                (-own.fillna(0).mean("stimulus").values).argsort(kind="stable"),
                [f"{word} {name}" for name in scores[one].values],
                title=f"Images that a {word} matters most for",
            ),
        }
        if salient is not None:
            with refuse_bad_input():
                risk = of.relative_risk(heat, salient)
                curves = of.precision_recall(heat, salient)
            table = of.table(risk, seen.images.categories)
            print_text(f"Relative risk of heat where it is salient\n\n{table.round(2).to_string(index=False)}\n")
            content |= {
                "saliency.nc": risk.merge(curves, combine_attrs="drop"),
                "saliency.csv": table,
                "precision_recall.png": precision_recall(curves, seen.images.categories),
            }
        content["contours.png"] = contours(pictures, heat, salient, columns=6)
        _write(out, content, seen.settings(saliency=saliency), overwrite)
