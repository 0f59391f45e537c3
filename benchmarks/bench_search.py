"""What the searches find on held-out stimuli, and what they take.

    python benchmarks/bench_search.py [--threads N] [--long]

The bundled 398 animals; with SECATEUR_DATA set, also the 92 images (EfficientNet-lite0's pooled maps) against
mean judgments and mean human IT. Every search sees the same folds. Then the time of one search at n = 96, d = 4096.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

import numpy as np

import cases
import machine
import secateur as sc

MOST = 400  # cap of the sequential searches that begin with nothing
PATIENCE = 100

SEARCHES = {
    "ranking": {"search": "ranking"},
    "parsimonious": {"search": "parsimonious"},
    f"forward, at most {MOST}": {"search": "forward", "max_features": MOST, "patience": PATIENCE},
    "forward, at most 50": {"search": "forward", "max_features": 50},
    "backward": {"search": "backward"},
    f"floating, at most {MOST}": {"search": "floating", "max_features": MOST, "patience": PATIENCE},
    "floating, at most 50": {"search": "floating", "max_features": 50},
}


def compare(title: str, X: np.ndarray, target: np.ndarray, kind: str, cv: int, repeats: int, threads: int) -> None:
    """One table: means ± SD over folds; "beyond ranking" is the paired difference of the held-out scores."""
    print(f"\n{title}: n = {X.shape[0]}, d = {X.shape[1]}, cosine, pearson, {repeats} x {cv} folds, {threads} threads")
    heads = ("held-out r: full", "pruned", "beyond ranking", "training r", "kept", "seconds")
    print(f"{'search':24}" + "".join(f"{head:>18}" for head in heads))
    ranking = None
    for name, parameters in SEARCHES.items():
        pruner = sc.Pruner(kind=kind, threads=threads, **parameters)
        terms = {"cv": cv, "repeats": repeats, "curves": False, "progress": False}
        seconds, result = machine.timed(partial(sc.cross_validate, X, target, pruner, **terms))
        scores = result.pruned_test.values[0]
        ranking = scores if ranking is None else ranking
        columns = (
            f"{_spread(result.full_test.values[0])}",
            f"{_spread(scores)}",
            f"{_spread(scores - ranking)}" if name != "ranking" else "",
            f"{result.pruned_train.values[0].mean():.3f}",
            f"{_spread(result.n_kept.values[0], 0)}",
            f"{seconds:.1f}",
        )
        print(f"{name:24}" + "".join(f"{column:>18}" for column in columns), flush=True)


def _spread(values: np.ndarray, digits: int = 3) -> str:
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def times(threads: int, long: bool) -> None:
    case = cases.PAPER
    X, targets = case.make()
    print(f"\n{case.name}: n = {case.n}, d = {case.d}, one target, {threads} threads")
    print(f"{'search':34}{'seconds':>10}{'steps':>8}{'kept':>8}{'training r':>12}")
    searches = {
        "ranking": {"search": "ranking"},
        "forward, the whole path": {"search": "forward"},
        "backward, the whole path": {"search": "backward"},
        "floating, at most 200": {"search": "floating", "max_features": 200},
    }
    if long:
        searches[f"floating-backward, patience {PATIENCE}"] = {"search": "floating-backward", "patience": PATIENCE}
    for name, parameters in searches.items():
        pruner = sc.Pruner(kind="similarity", threads=threads, progress=False, **parameters)
        seconds, _ = machine.timed(partial(pruner.fit, X, targets[0]))
        print(
            f"{name:34}{seconds:10.2f}{len(pruner.path_):8d}{pruner.n_features_:8d}{pruner.alignment_:12.4f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--long", action="store_true", help="also floating-backward at d = 4096, minutes")
    arguments = parser.parse_args()
    threads = arguments.threads
    print(
        f"Sequential searches from nothing: at most {MOST} (or 50) features; with {MOST}, they end after {PATIENCE} "
        "additions to a new size without a new best. Backward: the whole path."
    )
    animals = sc.datasets.load_imagenet_animals()
    compare("398 animals, WordNet similarity", animals.X, animals.target, "similarity", 5, 1, threads)
    photographs = cases.images_of_92()
    if photographs:
        data, X = photographs
        compare("92 images, mean judgments", X, data.behaviour.mean(axis=0), "dissimilarity", 10, 3, threads)
        compare("92 images, mean human IT", X, data.human_it_mean, "dissimilarity", 10, 3, threads)
    times(threads, arguments.long)


if __name__ == "__main__":
    main()
