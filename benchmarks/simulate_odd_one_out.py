"""Choices of odd ones out: accuracy and p under a null, planted features, real judgments.

``python simulate_odd_one_out.py [runs]``, or ``images`` (with SECATEUR_DATA) for the last. Null: choices at random
(each of the three with 1/3); held-out accuracy has to be 1/3 on average, and p uniform. Planted: by the
softmax of a few features' similarities. Images: choices that 16 subjects' judgments of the 92 images give.
"""

from __future__ import annotations

import os
import sys
from itertools import product
from pathlib import Path

import numpy as np

import secateur as sc


def null(runs: int, permutations: int = 19) -> None:
    """Mean held-out accuracy, and how often p is at most 0.05, 0.1, ..., for each way to choose and to hold out."""
    from scipy.stats import kstest

    pruner = sc.Pruner(threads=1, progress=False)
    for by, over in product(("choices", "alignment"), ("stimuli", "triplets")):
        rng, accuracies, p, gains = np.random.default_rng(0), [], [], []
        for seed in range(runs):
            X = rng.normal(size=(24, 16))
            triplets = sc.odd_one_out.simulate(np.zeros(276), 2000, temperature=1.0, seed=seed)
            found = sc.odd_one_out.permutation_test(
                X, triplets, permutations, pruner, cv=3, seed=seed, by=by, over=over, progress=False
            )
            accuracies.append(float(found.observed_pruned_test))
            p.append(float(found.p_pruned_test))
            gains.append(float(found.p_gain))
        smooth = [np.array(one) - rng.random(runs) / (permutations + 1) for one in (p, gains)]  # p has 20 steps
        rates = ", ".join(
            f"{level:.2f}: {np.mean(np.array(p) <= level + 1e-9):.3f}" for level in (0.05, 0.1, 0.25, 0.5)
        )
        error = np.std(accuracies, ddof=1) / np.sqrt(runs)
        print(
            f"{by:9s} over {over:8s}: accuracy {np.mean(accuracies):.4f} ± {error:.4f}; p <= {rates}; "
            f"KS p {kstest(smooth[0], 'uniform').pvalue:.2f} (gain {kstest(smooth[1], 'uniform').pvalue:.2f})"
        )


def planted(runs: int) -> None:
    """How many of 5 planted features (of 50) are kept, how many others, and held-out accuracy."""
    pruner = sc.Pruner(threads=1, progress=False)
    for m, by in product((1000, 10000, 50000), ("choices", "alignment")):
        rows = []
        for seed in range(runs):
            X = np.random.default_rng(seed).normal(size=(60, 50))
            space = sc.similarity(X, subset=range(5))
            triplets = sc.odd_one_out.simulate(space, m, temperature=0.2, seed=seed)
            kept = sc.odd_one_out.prune(X, triplets, pruner, by=by).support
            scores = sc.odd_one_out.cross_validate(X, triplets, pruner, cv=3, by=by, progress=False).attrs
            best = sc.choice_accuracy(X, triplets, subset=range(5))
            rows.append((kept[:5].sum(), kept[5:].sum(), scores["full_test"], scores["pruned_test"], best))
        mean = np.mean(rows, axis=0)
        print(
            f"{m:6d} choices, by {by:9s}: {mean[0]:.1f} of 5 planted kept, {mean[1]:.1f} of 45 others; held-out "
            f"accuracy full {mean[2]:.3f}, pruned {mean[3]:.3f}; the planted features' {mean[4]:.3f}"
        )


def images(sets: int = 600, permutations: int = 19) -> None:
    """AlexNet's fc7 and the judgments of the 92 images: each set of three is chosen from by every subject."""
    folder = Path(os.environ["SECATEUR_DATA"])
    X = np.load(folder / "alexnet92.npz")["fc7"].astype(float)
    first, second = np.triu_indices(92, 1)
    rdms = np.load(folder / "kriegeskorte92.npz")["behaviour"][:, first, second]
    # one seed: the same sets for all; a subject's ties fall by the order of the set, which is random
    triplets = np.vstack([sc.odd_one_out.simulate(-rdm, sets) for rdm in rdms])
    print(sc.odd_one_out.noise_ceiling(triplets))
    pruner = sc.Pruner("correlation", threads=1, progress=False)
    for by, over in product(("choices", "alignment"), ("stimuli", "triplets")):
        found = sc.odd_one_out.cross_validate(X, triplets, pruner, 3, by=by, over=over, progress=False)
        null = sc.odd_one_out.permutation_test(X, triplets, permutations, pruner, 3, by=by, over=over, progress=False)
        print(
            f"by {by:9s} over {over:8s}: full {found.attrs['full_test']:.3f}, pruned "
            f"{found.attrs['pruned_test']:.3f} of {int(found.test_triplets.sum())}, {float(found.n_kept.mean()):.0f} "
            f"kept; null {float(null.pruned_test.mean()):.3f}, p {float(null.p_pruned_test):.2f}, of the gain "
            f"{float(null.p_gain):.2f}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["images"]:
        images()
        sys.exit()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    null(count)
    planted(max(1, count // 20))
