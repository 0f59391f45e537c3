"""Feature maps masked one by one: against running the head again for every map, and what selecting them gains.

python benchmarks/bench_feature_maps.py                       # times at VGG-16's size; needs 3 GB
python benchmarks/bench_feature_maps.py images [SQUEEZENET]   # the 92 images; SECATEUR_DATA names their folder

SQUEEZENET is a file of SqueezeNet 1.1's weights that secateur.networks.load takes.
"""

from __future__ import annotations

import os

THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)))))
os.environ.setdefault("OPENBLAS_NUM_THREADS", str(THREADS))

import sys
from functools import partial

import numpy as np
import torch

import cases
import machine
import secateur as sc
from secateur.execution import Execution

MAPS, SIDE, UNITS = 512, 14, 4096


def times(n: int = 120) -> None:
    """All n x 512 masked embeddings and both kinds of AIS."""
    torch.set_num_threads(THREADS)
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 2, 3))
    target = np.random.default_rng(0).normal(size=n * (n - 1) // 2)
    print(f"{n} images, {MAPS} maps of {SIDE} x {SIDE}, {MAPS * 49} -> {UNITS} -> {UNITS}, {THREADS} threads\n")
    print("| active units | head again, s | masked embeddings, s | with both kinds of AIS, s | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    grown = []
    for active in (0.5, 0.2):
        head = cases.head(n, MAPS, SIDE, UNITS, active)
        naive = MAPS * machine.best(lambda head=head: head.masked(3), 6)  # a few maps, scaled
        held = machine.forget_peak()

        def ours(net=head.net) -> None:
            terms = {"kind": "dissimilarity", "threads": THREADS, "progress": False}
            sc.feature_maps.alignment_importance(net, images, target, per_image=True, **terms)

        both = machine.best(ours, 2)
        grown.append((machine.peak_memory() - held) / 1e9)
        neck = head.rectified(Execution(threads=THREADS))

        def embed(neck=neck) -> None:
            for _ in cases.without_each(neck):
                pass

        print(
            f"| {float((neck.units > 0).float().mean()):.0%} | {naive:.1f} | {machine.best(embed, 2):.2f} | "
            f"{both:.2f} | {naive / both:.1f} |"
        )
    print("\nThe head again: 6 maps timed, all images in one batch, the quickest times 512; no AIS in it.")
    print(f"Peak memory beyond what the process held for the head run once, weights and maps: {grown[0]:.2f} GB.")


def images_of_92(squeezenet: str | None) -> None:
    """Held-out gain of selected maps for people's judgments and human IT."""
    folder = cases.photographs()
    if folder is None:
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
        given = net, np.asarray(data.images), targets
        took, result = machine.timed(partial(sc.feature_maps.select, *given, kind="dissimilarity", progress=False))
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
