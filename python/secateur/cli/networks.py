"""``secateur embed``, ``secateur maps``, ``secateur heatmap``: photographs through a network."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from .app import app, checked_destination, exit_with_message, log, print_files, print_text, refuse_bad_input
from .options import Folds, Overwrite, Pruning, argument, option, run_settings, with_pruning

if TYPE_CHECKING:
    from ..networks import Images, Network
    from ..targets import Targets

__all__ = [
    "DEFAULTS", "MEASURES", "Batch", "Kind", "Name", "Out", "OwnBatch", "Photographs", "Target", "Weights", "Where",
    "embed", "heatmap", "maps",
]  # fmt: skip

Photographs = Annotated[Path, argument("IMAGES", "A folder of images, or of a sub-folder for each category.")]
Target = Annotated[str, argument("TARGET", "A matrix over the same images, or its pairs: FILE or FILE:KEY.")]
Out = Annotated[Path, option("DIR", "Folder for the results.")]
Name = Annotated[str, option("NAME", "The network: efficientnet-lite0, vgg16, …, or timm:NAME.")]
Weights = Annotated[str, option("FILE", "A file of its weights; by default those that it is known for, or none.")]
Kind = Annotated[
    str | None,
    option(
        "KIND",
        "What TARGET holds: similarity or dissimilarity (RDMs). Needed unless a matrix shows it by its diagonal.",
    ),
]
Batch = Annotated[int, option("N", "Images at a time.", min=1)]
OwnBatch = Annotated[int | None, option("N", "Images at a time; 1 by default, on a GPU what fits.", min=1)]
MEASURES = ("metric", "comparator", "threads")
DEFAULTS = Pruning(comparator="spearman")
Where = Annotated[str, option("DEVICE", "auto, cpu, cuda, cuda:1, …")]


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
        net = load(network, None if weights == "none" else weights, seed=seed, device=device)
    for note in images.notes:
        log(f"note: {note}.")
    if weights == "none":
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


def _write(out: Path, content: dict[str, Any], settings: dict[str, Any], overwrite: bool) -> None:
    from ..report import folder

    files = folder.write_network(out, content, settings=settings, overwrite=overwrite)
    print_files(out, files, folder.NETWORK_CONTENTS)


@app.command()
def embed(
    photographs: Photographs,
    out: Out,
    network: Name = "efficientnet-lite0",
    weights: Weights = "default",
    layer: Annotated[
        str, option("NAME", "penultimate, final, last_conv, or any module of the network.")
    ] = "penultimate",
    pool: Annotated[str, option("HOW", "What becomes of maps: flatten or mean.")] = "flatten",
    batch: OwnBatch = None,
    device: Where = "auto",
    seed: Annotated[int, option("N", "Of random weights.", min=0)] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Embed photographs: what a layer of a network answers to each.

    The folder's embedding.nc is FEATURES for secateur prune and secateur timecourse.
    """
    with exit_with_message():
        from ..networks import embed as embedded
        from ..networks import heatmaps
        from ..report import contact_sheet
        from ..report.drivers import best_images

        checked_destination(out, overwrite)
        seen = _open(photographs, network, weights, device, seed)
        log(f"Embedding {len(seen.images)} images with {seen.net.name}, layer {layer}.")
        with refuse_bad_input(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # its notes on the images were said already
            X = embedded(seen.net, seen.images, layer, pool=pool, batch=batch, progress=sys.stderr.isatty())
            pictures = heatmaps.seen(seen.net, seen.images)
        print_text(f"{X.sizes['stimulus']} images × {X.sizes['feature']} features\n")
        content = {
            "embedding.nc": X.rename("embedding"),
            "images.png": contact_sheet(pictures, columns=10, title=f"What {seen.net.name} saw"),
            "best_images.png": best_images(
                pictures,
                X.values,
                (-X.values.std(axis=0)).argsort(kind="stable"),
                [f"feature {name}" for name in X["feature"].values],
                title="Images where a feature is largest",
            ),
        }
        _write(out, content, seen.settings(layer=layer, pool=pool), overwrite)


@app.command()
@with_pruning(*MEASURES)
def maps(
    photographs: Photographs,
    target: Target,
    out: Out,
    kind: Kind = None,
    network: Name = "efficientnet-lite0",
    weights: Weights = "default",
    pruning: Pruning = DEFAULTS,
    cv: Folds = 5,
    repeats: Annotated[int, option("N", "How often the folds are drawn anew.", min=1)] = 8,
    seed: Annotated[int, option("N", "Of folds and random weights.", min=0)] = 0,
    batch: Batch = 16,
    device: Where = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Score the feature maps of a network's last convolution (AIS), and select among them in folds of images."""
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
        how["progress"] = sys.stderr.isatty()
        log(f"Scoring the feature maps of {seen.net.name}, and selecting in {cv * repeats} folds.")
        with refuse_bad_input():
            scores = alignment_importance(seen.net, seen.images, targets, **how)
            result = select(seen.net, seen.images, targets, cv=cv, repeats=repeats, seed=seed, **how)
        with refuse_bad_input(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # its notes on the images were said already
            means = embedded(seen.net, seen.images, "last_conv", pool="mean", batch=batch, progress=how["progress"])
            pictures = heatmaps.seen(seen.net, seen.images)
        best = (-scores["importance"].values).argsort(kind="stable")
        title = f"Feature maps of {seen.net.name}, selected by {targets.labels[0] if targets.labels else 'target'}"
        print_text(f"{title}\n\n{tables.text(result)}")
        content = {
            "importance.nc": scores,
            "selection.nc": result,
            "kept_features.csv": kept_features(result),
            "summary.csv": summary(result),
            "summary.md": tables.markdown(result, title=title),
            "curves.png": insertion_curves(result),
            "held_out.png": held_out(result),
            "best_images.png": best_images(
                pictures,
                means.values,
                best,
                [f"map {name}" for name in scores["map"].values],
                title="Images where a map's mean activation is largest",
            ),
        }
        _write(out, content, seen.settings(seed=seed), overwrite)


@app.command()
@with_pruning(*MEASURES)
def heatmap(
    photographs: Photographs,
    target: Target,
    out: Out,
    kind: Kind = None,
    network: Name = "efficientnet-lite0",
    weights: Weights = "default",
    pruning: Pruning = DEFAULTS,
    saliency: Annotated[
        str | None, option("MAPS", "Compare with saliency: a folder of maps named as the images, .npy, or spectral.")
    ] = None,
    seed: Annotated[int, option("N", "Of random weights.", min=0)] = 0,
    batch: Batch = 16,
    device: Where = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Show which parts of each image matter when it is compared with the others: heatmaps by alignment importance."""
    with exit_with_message():
        from ..networks import heatmaps
        from ..networks import saliency as of
        from ..networks.feature_maps import alignment_importance
        from ..report import contact_sheet, contours, precision_recall
        from ..report.drivers import best_images

        checked_destination(out, overwrite)
        seen = _open(photographs, network, weights, device, seed)
        targets, seen = _aim(target, kind, seen)
        bar = sys.stderr.isatty()
        how: dict[str, Any] = {"batch": batch, **{name: getattr(pruning, name) for name in MEASURES}}
        with refuse_bad_input():
            pictures = heatmaps.seen(seen.net, seen.images)
        salient = None
        if saliency is not None:
            with refuse_bad_input("--saliency"):
                view = pictures.isel(channel=0, drop=True)
                salient = of.spectral_residual(pictures) if saliency == "spectral" else of.read(saliency, view)
        log(f"Scoring the feature maps of {seen.net.name} for each of {len(seen.images)} images.")
        with refuse_bad_input():
            scores = alignment_importance(seen.net, seen.images, targets, per_image=True, progress=bar, **how)
            heat = heatmaps.heatmap(seen.net, seen.images, scores, batch=batch, progress=bar)
        empty = [str(name) for name in heat["image"].values[heat["empty"].values]]
        if empty:
            few = ", ".join(empty[:3]) + (", …" if len(empty) > 3 else "")
            log(f"note: heatmaps without a map of positive score are empty, {len(empty)} of {len(heat)}: {few}.")
        title = f"Alignment importance: {seen.net.name}, {targets.labels[0] if targets.labels else 'target'}"
        own = scores["image_importance"].transpose("stimulus", "map")
        content: dict[str, Any] = {
            "heatmaps.nc": heat.rename("heatmap"),
            "importance.nc": scores,
            "heatmaps.png": contact_sheet(pictures, heat, title=title),
            "best_images.png": best_images(
                pictures,
                own.values,
                (-own.fillna(0).mean("stimulus").values).argsort(kind="stable"),
                [f"map {name}" for name in scores["map"].values],
                title="Images that a map matters most for",
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
