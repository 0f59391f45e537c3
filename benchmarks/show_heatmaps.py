"""Heatmaps of the 92 images, their match between two networks, and their tables against saliency.

    SECATEUR_DATA=… python benchmarks/show_heatmaps.py OUT [SQUEEZENET_WEIGHTS] [--occlude N]

OUT is a folder for the pictures; they show the data and are no part of this project. The second network is SqueezeNet
1.1, where its weights are given.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from secateur import datasets, heatmaps, networks, occlusion, saliency
from secateur.networks import feature_maps
from secateur.report import heatmaps as pictures_of


def markdown(table) -> str:
    head = "| images of | top | relative risk, mean ± SD | median | above 1 | images | infinite | undefined |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in table.itertuples():
        lines.append(
            f"| {row.group} | {row.top:g} % | {row.mean:.2f} ± {row.sd:.2f} | {row.median:.2f} | {row.above_one:.0%} | "
            f"{row.images} | {row.infinite} | {row.undefined} |"
        )
    return "\n".join(lines)


def on_objects(data, heat, pictures) -> str:
    """How much of the warmest tenth lies on the object, which stands on an even grey, and how large the object is."""
    ground = np.median(data.images[:, :8, :8], axis=(0, 1, 2))
    away = np.abs(pictures.values.astype(float) - ground).max(axis=-1) > 12
    shares = [away[i][saliency.top_of(heat.values[i], 90)].mean() for i in range(len(away))]
    areas = away.mean(axis=(1, 2))
    return f"{np.mean(shares):.0%} of the warmest tenth on the object, which covers {areas.mean():.0%} of the view"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("squeezenet", nargs="?", help="weights of SqueezeNet 1.1")
    parser.add_argument("--occlude", type=int, default=0, metavar="N", help="cover the first N images of each category")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    data = datasets.fetch_kriegeskorte92()
    target = data.behaviour.mean(axis=0)
    names = [str(label) for label in data.labels]
    nets = {"EfficientNet-lite0": networks.load("efficientnet-lite0")}
    if given.squeezenet:
        nets["SqueezeNet 1.1"] = networks.load("squeezenet1_1", given.squeezenet)
    heats, entropies = [], []
    for title, net in nets.items():
        start = time.perf_counter()
        scores = feature_maps.alignment_importance(net, data.images, target, kind="dissimilarity", per_image=True)
        took = time.perf_counter() - start
        start = time.perf_counter()
        heat = heatmaps.heatmap(net, data.images, scores).assign_coords(image=names)
        print(f"{title}: importance of {scores.sizes['map']} maps in {took:.1f} s, heatmaps in ", end="")
        print(f"{time.perf_counter() - start:.1f} s; {int(heat.empty.sum())} empty\n")
        pictures = heatmaps.seen(net, data.images).assign_coords(image=names)
        salient = saliency.spectral_residual(pictures)
        risk = saliency.relative_risk(heat, salient)
        print(f"{title} and behaviour, against the spectral residual:\n")
        print(markdown(saliency.table(risk, data.categories)), "\n")
        even = heatmaps.heatmap(net, data.images, np.ones(scores.sizes["map"])).assign_coords(image=names)
        print(f"{title}: {on_objects(data, heat, pictures)}; of the plain mean, {on_objects(data, even, pictures)}")
        print(f"Match with the plain mean: median {heatmaps.agreement(heat, even).attrs['median']:.2f}\n")
        stem = net.name.replace("/", "-")
        drawn = {
            "sheet": pictures_of.contact_sheet(pictures, heat, title=f"Alignment importance: {title}, judgments"),
            "saliency": pictures_of.contact_sheet(pictures, salient, title="Saliency: spectral residual"),
            "contours": pictures_of.contours(pictures, heat, salient, images=range(0, 92, 8)),
            "curves": pictures_of.precision_recall(saliency.precision_recall(heat, salient), data.categories),
        }
        for name, figure in drawn.items():
            figure.savefig(given.out / f"{stem}_{name}.png")
        heats.append(heat)
        entropies.append(heatmaps.entropy(net, data.images))
        if given.occlude:
            each = [np.flatnonzero(data.categories == c)[: given.occlude] for c in dict.fromkeys(data.categories)]
            only = np.concatenate(each).tolist()
            start = time.perf_counter()
            fall = occlusion.occlude(net, data.images, target, only=only, stride=(16, 32), kind="dissimilarity")
            took = (time.perf_counter() - start) / len(only)
            print(f"{title}: occlusion, {took:.1f} s an image\n")
            drop = fall["drop"].assign_coords(image=[names[i] for i in only])
            figure = pictures_of.contact_sheet(pictures.isel(image=only), drop, title=f"Occlusion: {title}, judgments")
            figure.savefig(given.out / f"{stem}_occlusion.png")
    if len(heats) == 2:
        match = heatmaps.agreement(*heats, entropies)
        print(
            f"Match of both networks: median {match.attrs['median']:.2f}, SD {match.attrs['sd']:.2f}, "
            f"{match.images} images; with the larger entropy r = {match.r:.2f}, p = {match.p:.2g}"
        )
        pictures_of.agreement(match).savefig(given.out / "match.png")


if __name__ == "__main__":
    main()
