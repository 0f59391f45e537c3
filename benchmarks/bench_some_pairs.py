"""Targets of few pairs and choices of odd ones out at THINGS' size. ``python bench_some_pairs.py [n] [features]``

Processor seconds on one thread, the least of some runs: leave-one-out, a fit and a cross-validation of targets that
have all pairs, some, and some with weights; choice accuracy, its leave-one-out and its insertion curve for 100 000
triplets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

import secateur as sc


def seconds(call: Callable[[], object], runs: int = 3) -> float:
    """Of the processor: a busy machine's clock says little."""
    found = []
    for _ in range(runs):
        before = time.process_time()
        call()
        found.append(time.process_time() - before)
    return min(found)


def main(n: int = 1854, d: int = 768, m: int = 100_000) -> None:
    rng = np.random.default_rng(0)
    X = np.maximum(rng.normal(size=(n, d)), 0)
    pruner = sc.Pruner(kind="similarity", threads=1, progress=False)
    pairs = n * (n - 1) // 2
    space = sc.similarity(X, subset=range(d // 10), threads=1)
    print(f"{n} stimuli, {d} features, {pairs} pairs")
    for share in (1.0, 0.16, 0.01):
        target = np.where(rng.random(pairs) < share, space + 0.02 * rng.normal(size=pairs), np.nan)
        weights = rng.integers(1, 5, size=pairs).astype(float)
        for name, given in (("", None), (", weighted", weights)):

            def leave_one_out(target: object = target, given: object = given) -> object:
                return sc.leave_one_out(X, target, kind="similarity", weights=given, threads=1)

            def fit(target: object = target, given: object = given) -> object:
                return pruner.fit(X, target, weights=given)

            def folds(target: object = target, given: object = given) -> object:
                return sc.cross_validate(X, target, pruner, weights=given, progress=False)

            def null(target: object = target, given: object = given) -> object:
                return sc.permutation_test(X, target, 4, pruner, weights=given, progress=False)

            times = [seconds(leave_one_out), seconds(fit), seconds(folds, 1), seconds(null, 1)]
            print(
                f"{share:5.0%} of the pairs{name}: leave-one-out {times[0]:.2f}, fit {times[1]:.2f}, 5 folds "
                f"{times[2]:.2f}, 4 permutations and the observed {times[3]:.2f} s"
            )
    if not hasattr(sc, "odd_one_out"):
        return
    triplets = sc.odd_one_out.simulate(space, m, temperature=0.05)
    order = np.arange(d)
    print(
        f"{m} triplets: accuracy {seconds(lambda: sc.choice_accuracy(X, triplets, threads=1)):.2f}, leave-one-out "
        f"{seconds(lambda: sc.odd_one_out.leave_one_out(X, triplets, threads=1)):.2f}, insertion "
        f"{seconds(lambda: sc.odd_one_out.insertion_curve(X, triplets, order, threads=1)):.2f}, 5 folds "
        f"{seconds(lambda: sc.odd_one_out.cross_validate(X, triplets, pruner, progress=False), 1):.2f} s"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
