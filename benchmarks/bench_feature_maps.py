"""Feature maps masked one by one: against running the head again for every map, and what selecting them gains.

python benchmarks/bench_feature_maps.py                       # times at VGG-16's size; needs 3 GB
python benchmarks/bench_feature_maps.py images [SQUEEZENET]   # the 92 images; SECATEUR_DATA names their folder

SQUEEZENET is a file of SqueezeNet 1.1's weights that secateur.networks.load takes.
"""

from __future__ import annotations

import os

THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)))))
os.environ.setdefault("OPENBLAS_NUM_THREADS", str(THREADS))

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import secateur as sc
from secateur.networks import Network, necks

MAPS, SIDE, UNITS = 512, 14, 4096


def peak() -> float:
    """The most memory that this process has held, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


class Stored(torch.nn.Module):
    """A trunk whose maps are at hand: an image is its number."""

    def __init__(self, maps: torch.Tensor) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps[x.long()]


def head(maps: torch.Tensor, active: float) -> Network:
    """VGG-16 behind its last convolution, with random weights; this share of the first layer's units is active."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        layers = [torch.nn.Linear(MAPS * 49, UNITS), torch.nn.Linear(UNITS, UNITS)]
    for layer in layers:
        layer.to_empty(device="cpu").requires_grad_(False)
        layer.weight.normal_(0, 0.01, generator=generator)
        layer.bias.zero_()
    first, second = layers
    pool = torch.nn.Sequential(torch.nn.MaxPool2d(2), torch.nn.AdaptiveAvgPool2d(7), torch.nn.Flatten(1))
    units = first(pool(maps))
    first.bias.fill_(-float(units.flatten()[::7].quantile(1 - active)))
    relu, drop = torch.nn.ReLU(), torch.nn.Dropout()
    neck = torch.nn.Sequential(*pool, first, relu, drop, second, relu)
    trunk = Stored(maps)

    def number(image: Any) -> torch.Tensor:
        return torch.tensor(image.getpixel((0, 0))[0])

    return Network("vgg16's head", torch.nn.Sequential(trunk, neck), preprocessing=number, trunk=trunk, neck=neck)


def best(run: Callable[[], Any], repeats: int) -> float:
    """Least seconds of a few runs."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


def times(n: int = 120) -> None:
    """All n x 512 masked embeddings and both kinds of AIS."""
    torch.set_num_threads(THREADS)
    rng = np.random.default_rng(0)
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 2, 3))
    target = rng.normal(size=n * (n - 1) // 2)
    maps = torch.from_numpy(np.maximum(rng.standard_normal((n, MAPS, SIDE, SIDE), dtype=np.float32) - 1, 0))
    print(f"{n} images, {MAPS} maps of {SIDE} x {SIDE}, {MAPS * 49} -> {UNITS} -> {UNITS}, {THREADS} threads\n")
    print("| active units | head again, s | masked embeddings, s | with both kinds of AIS, s | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    grown = []
    for active in (0.5, 0.2):
        net = head(maps, active)

        def again(net: Network = net) -> None:
            with torch.inference_mode():
                masked = maps.clone()
                masked[:, 3] = 0
                net.neck(masked)

        naive = MAPS * best(again, 6)  # a few maps, scaled
        held = peak()

        def ours(net: Network = net) -> None:
            sc.feature_maps.alignment_importance(net, images, target, per_image=True, progress=False)

        both = best(ours, 2)
        grown.append(peak() - held)
        layers = necks.rectified_layers(net.neck)
        neck = necks.RectifiedNeck(net, maps, 32, sc.feature_maps.MEMORY, layers, THREADS)

        def embed(neck: necks.Neck = neck) -> None:
            for start in range(0, MAPS, neck.block):
                neck.without_each(np.arange(start, min(start + neck.block, MAPS)))

        print(
            f"| {float((neck.units > 0).float().mean()):.0%} | {naive:.1f} | {best(embed, 2):.2f} | {both:.2f} | "
            f"{naive / both:.1f} |"
        )
    print("\nThe head again: 6 maps timed, all images in one batch, the quickest times 512; no AIS in it.")
    print(f"Peak memory beyond what the process held for the head run once, weights and maps: {grown[0]:.2f} GB.")


def images_of_92(squeezenet: str | None) -> None:
    """Held-out gain of selected maps for people's judgments and human IT."""
    folder = Path(os.environ.get("SECATEUR_DATA", ""))
    if not (folder / "kriegeskorte92.npz").is_file():
        print("The 92 images are skipped: SECATEUR_DATA names no folder with kriegeskorte92.npz.")
        return
    data = sc.datasets.fetch_kriegeskorte92(folder)
    targets = np.stack([data.behaviour.mean(axis=0), data.human_it_mean])
    nets = [sc.networks.load("efficientnet-lite0")]
    if squeezenet:
        nets.append(sc.networks.load("squeezenet1_1", squeezenet))
    print("The 92 images, maps selected by AIS: cosine, Spearman, five folds, eight times; means of 40 test sets\n")
    print("| network | target | maps | kept | full | selected | gain | t(39) | p of the gain |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for net in nets:
        start = time.perf_counter()
        result = sc.feature_maps.select(net, np.asarray(data.images), targets, kind="dissimilarity", progress=False)
        took = time.perf_counter() - start
        for name, row in zip(("behaviour", "human IT"), sc.summary(result).itertuples(), strict=True):
            print(
                f"| {net.name} | {name} | {row.n_features} | {row.n_kept:.0f} | {row.full_test:.3f} | "
                f"{row.pruned_test:.3f} | {row.gain:+.3f} | {row.t:.1f} | {row.p_gain:.1g} |"
            )
        print(f"| ({took:.0f} s) |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["images"]:
        images_of_92(sys.argv[2] if len(sys.argv) > 2 else None)
    else:
        times()
