"""A planted target over the 92 images and a vision transformer: do its heads and channels come back, in what time?

    SECATEUR_DATA=… python benchmarks/show_parts.py OUT [--network timm:NAME] [--weights FILE]

By default a small one (4 blocks of 6 heads, 96 channels, 49 patches) with random weights, its linear layers four times
as large as they are drawn, so that attention is not even. OUT is a folder for the pictures; they show the data and are
no part of this project. The target is the similarity space of the same network with only some of its last block's
parts: those are to be found.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import secateur as sc
from secateur import datasets, feature_maps, heatmaps, networks
from secateur.networks import attributions, pruned
from secateur.networks.images import read_images
from secateur.networks.parts import PartsNeck
from secateur.execution import Execution
from secateur.report import contact_sheet


def planted(net, images, part: str, count: int, fill: str):
    """Similarities of the images with all other parts of the last block masked, and which parts those are."""
    neck = PartsNeck(net, read_images(images), part, -1, fill, None, None, Execution())
    kept = np.zeros(neck.count, dtype=bool)
    kept[np.random.default_rng(7).choice(neck.count, count, replace=False)] = True
    return sc.similarity(neck.keeping(np.arange(neck.n), kept).astype(float), "cosine"), kept


def small():
    """A vision transformer with random weights that takes seconds."""
    networks.network.import_torchvision()
    import timm
    import torch

    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=112, depth=4, embed_dim=96, num_heads=6)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.weight.mul_(4)
    return networks.wrap(module, name="small ViT, random weights")


def area(scores, kept) -> float:
    """Of all pairs of a planted part and another, the share in which the planted one scores higher."""
    a, b = scores[kept][:, None], scores[~kept]
    return float(((a > b) + 0.5 * (a == b)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--network")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--permutations", type=int, default=199)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data = datasets.fetch_kriegeskorte92()
    net = networks.load(given.network, given.weights) if given.network else small()
    start = time.perf_counter()
    own = networks.embed(net, data.images, progress=False)
    print(f"{net.name}: {own.shape[1]} features of 92 images in {time.perf_counter() - start:.1f} s\n")
    head = (
        "parts",
        "masked by",
        "how many",
        "planted",
        "area",
        "importance",
        "n kept",
        "full",
        "selected",
        "p",
        "took",
    )
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|", flush=True)
    for part, count, fill, cv in (
        ("channels", 12, "mean", 2),
        ("channels", 12, "zero", 2),
        ("heads", 2, "zero", 2),
        ("heads", 2, "mean", 2),
    ):
        target, kept = planted(net, data.images, part, count, fill)
        ask = {"parts": part, "blocks": -1, "fill": fill, "kind": "similarity", "progress": False}
        start = time.perf_counter()
        scores = feature_maps.alignment_importance(net, data.images, target, **ask)
        took = time.perf_counter() - start
        start = time.perf_counter()
        chosen = feature_maps.select(net, data.images, target, repeats=cv, permutations=given.permutations, **ask)
        found = chosen.isel(target=0)
        print(
            f"| {part} | {fill} | {len(kept)} | {count} | {area(scores.importance.values, kept):.3f} | {took:.1f} s | "
            f"{float(found.n_kept.mean()):.1f} | {float(found.full_test.mean()):.3f} | "
            f"{float(found.pruned_test.mean()):.3f} | {float(found.p_gain):.3f} | "
            f"{time.perf_counter() - start:.1f} s |",
            flush=True,
        )
    target = data.behaviour.mean(axis=0)
    judged = {"kind": "dissimilarity", "progress": False}
    for part in ("heads", "blocks"):
        start = time.perf_counter()
        scores = feature_maps.alignment_importance(net, data.images, target, parts=part, **judged)
        print(f"\n{part} of all blocks, judgments: {scores.sizes['part']} in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    scores = feature_maps.alignment_importance(net, data.images, target, parts="channels", per_image=True, **judged)
    print(f"channels for each image: {time.perf_counter() - start:.1f} s")
    names = [str(label) for label in data.labels]
    pictures = heatmaps.seen(net, data.images).assign_coords(image=names)
    drawn = {}
    for name, draw in (
        ("channels", lambda: heatmaps.heatmap(net, data.images, scores, progress=False)),
        ("rollout", lambda: attributions.rollout(net, data.images, progress=False)),
        ("grad-cam", lambda: attributions.grad_cam(net, data.images, target, **judged)),
    ):
        start = time.perf_counter()
        drawn[name] = draw().assign_coords(image=names)
        print(f"{name}: {time.perf_counter() - start:.1f} s, {int(drawn[name].empty.sum())} empty")
        contact_sheet(pictures, drawn[name], title=f"{name}: {net.name}").savefig(given.out / f"{name}.png")
    for name in ("rollout", "grad-cam"):
        match = heatmaps.agreement(drawn["channels"], drawn[name])
        print(
            f"channels beside {name}: median r {match.attrs['median']:.2f} over pixels, {match.attrs['images']} images"
        )
    for layer in ("heads", "neurons"):
        everything = feature_maps.alignment_importance(
            net, data.images, target, parts=layer, blocks=None if layer == "heads" else -1, **judged
        )
        keep = everything.importance.values >= np.median(everything.importance.values)
        count, ask = int(keep.sum()), {"blocks": sorted(set(everything.block.values.tolist()))}
        nets = {how: pruned.apply(net, keep, layer, how, blocks=ask.get("blocks")) for how in ("zero", "remove")}
        X, took = {}, {}
        for how, one in nets.items():
            start = time.perf_counter()
            X[how] = networks.embed(one, data.images, progress=False).values
            took[how] = time.perf_counter() - start
        most = float(np.abs(X["zero"] - X["remove"]).max() / np.abs(X["zero"]).max())
        sizes = [sum(p.numel() for p in one.module.parameters()) for one in (net, nets["remove"])]
        print(
            f"{layer}: {count} kept, masked {took['zero']:.1f} s, smaller {took['remove']:.1f} s, "
            f"{sizes[1] / sizes[0]:.0%} of the weights, largest difference {most:.1e} of the largest value",
            flush=True,
        )


if __name__ == "__main__":
    main()
