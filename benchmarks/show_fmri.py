"""The four tests over regions with real data: EfficientNet-lite0, the 92 images, human IT.

    SECATEUR_DATA=… python benchmarks/show_fmri.py [--figures DIR]

There is one set of 92 images and one region here, so the two image sets are halves of it, drawn by a seed, and
subjects (4, each the mean of 2 sessions) are the repeated measure. Layers: pooled maps (1280) and class scores
(1000). Behaviour: the mean of 16 people's judgments.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas
import xarray

import secateur as sc
from secateur.study.fmri import markdown


def half(matrices, stimuli):
    """(..., P) of some stimuli of (..., n, n)."""
    rows, columns = np.triu_indices(len(stimuli), 1)
    return matrices[..., stimuli[rows], stimuli[columns]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=5, help="halves drawn; the first is shown in full")
    options.add_argument("--figures", type=Path, help="where to save the pictures")
    options = options.parse_args()
    data = sc.datasets.fetch_kriegeskorte92(os.environ.get("SECATEUR_DATA"))
    net = sc.networks.load("efficientnet-lite0")
    pooled, scores = (sc.networks.embed(net, data.images, layer).values for layer in ("penultimate", "final"))
    people = data.human_it.mean(axis=1)
    tests = []
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(92)
        halves = [np.sort(order[:46]), np.sort(order[46:])]
        X = {"pooled maps": [pooled[h] for h in halves], "class scores": [scores[h] for h in halves]}
        regions = [
            xarray.DataArray(
                half(people, h)[None], {"region": ["human IT"], "subject": list("1234")}, ("region", "subject", "pair"),
                attrs={"kind": "dissimilarity"},
            )
            for h in halves
        ]  # fmt: skip
        behaviour = [half(data.behaviour, h) for h in halves]
        result = sc.regions.four_tests(X, regions, behaviour, kind="dissimilarity", seed=seed, supervise="subject")
        table = sc.regions.paired_tests(result, "subjects").query("region == 'human IT'")
        tests.append(table.assign(halves=seed))
        if seed == 0:
            print(markdown(result, "Human IT, two halves of the 92 images (seed 0)"))
            if options.figures:
                from secateur.report import kept_by_region, regions as draw

                options.figures.mkdir(parents=True, exist_ok=True)
                for test in result.test.values:
                    draw(result, str(test)).savefig(options.figures / f"{test}.png", dpi=150)
                kept_by_region(result, "pooled maps").savefig(options.figures / "nodes.png", dpi=150)
    print(f"\n{options.seeds} draws of the halves: mean over draws; t over the 4 subjects is of each draw\n")
    print("| test | layer | full | pruned | gain | draws with a gain | t(3), least to most |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    every = pandas.concat(tests)
    for (test, layer), rows in every.groupby(["test", "layer"], sort=False):
        gain = rows.pruned - rows.full
        print(
            f"| {test} | {layer} | {rows.full.mean():.3f} | {rows.pruned.mean():.3f} | {gain.mean():+.3f} | "
            f"{(gain > 0).sum()} of {len(rows)} | {rows.t.min():.1f} to {rows.t.max():.1f} |"
        )


if __name__ == "__main__":
    main()
