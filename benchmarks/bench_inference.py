"""How sure the held-out scores are: times, and the 92 images where SECATEUR_DATA names their folder.

python benchmarks/bench_inference.py          # both
python benchmarks/bench_inference.py images   # the images alone
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np

import cases
import machine
import secateur as sc

DISSIMILAR = sc.Pruner(kind="dissimilarity")


def times(n: int = 96, d: int = 1280, draws: int = 200) -> None:
    """Seconds of a thousand relabellings and draws, scaled from ``draws``."""
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(n, d)))
    pairs = n * (n - 1) // 2
    stack = sc.similarity(X[:, :100]) + 0.05 * rng.normal(size=(16, pairs))
    runs: dict[str, Callable[[], object]] = {
        "permutation_test": lambda: sc.permutation_test(X, stack[0], draws, kind="similarity", progress=False),
        "permutation_test, spearman, n / 10": lambda: sc.permutation_test(
            X, stack[0], draws // 10, sc.Pruner(comparator="spearman", kind="similarity"), progress=False
        ),
        "bootstrap over stimuli": lambda: sc.bootstrap(X, stack[0], draws, kind="similarity", progress=False),
        "bootstrap over 16 subjects": lambda: sc.bootstrap(
            X, stack, draws, "subjects", kind="similarity", progress=False
        ),
        "bootstrap over both": lambda: sc.bootstrap(X, stack, draws, "both", kind="similarity", progress=False),
        "bootstrap over stimuli, of scores, BCa": lambda: sc.bootstrap(
            X, stack[0], draws, kind="similarity", resample="scores", method="bca", progress=False
        ),
        "transfer between 16 targets": lambda: sc.transfer(X, stack, kind="similarity", progress=False),
        "noise_ceiling of 16 subjects": lambda: sc.noise_ceiling(stack),
    }
    sc.permutation_test(X, stack[0], 1, kind="similarity", progress=False)
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    print(f"n = {n}, d = {d}, five folds, cosine, pearson, {threads} threads\n")
    print(f"{'':42}{'s':>8}{'s for n = 1000':>16}")
    for name, run in runs.items():
        took, _ = machine.timed(run)
        share = {"p": draws + 1, "b": draws}.get(name[0])
        share = share // 10 if share and "/ 10" in name else share
        print(f"{name:42}{took:8.2f}" + (f"{took / share * 1000:16.1f}" if share else ""))


def images(relabellings: int = 500, draws: int = 100, repeats: int = 4) -> None:
    """The 92 images: people's judgments and human IT against a network's pooled maps."""
    photographs = cases.images_of_92()
    if photographs is None:
        return
    data, X = photographs
    rows = np.triu_indices(92, 1)
    terms = {"pruner": DISSIMILAR, "cv": 5, "repeats": repeats, "progress": False}
    print(
        f"\nThe 92 images, EfficientNet-lite0's pooled maps ({X.shape[1]}), cosine, pearson; held out, five folds, "
        f"{repeats} times;\n{relabellings} relabellings, {draws} draws; 95 % intervals\n"
    )
    for name, stack in (("behaviour", data.behaviour), ("human IT", data.human_it.mean(axis=1))):
        start = time.perf_counter()
        subjects = np.stack([one[rows] for one in stack])
        mean = subjects.mean(axis=0)
        result = sc.cross_validate(X, mean, **terms)
        null = sc.permutation_test(X, mean, relabellings, **terms)
        row = sc.summary(result).iloc[0]
        print(f"{name}: the mean of {len(stack)} subjects")
        print(
            f"  full {row.full_test:.3f}   pruned {row.pruned_test:.3f}   gain {row.gain:+.3f}   "
            f"kept {row.n_kept:.0f}   p(pruned) {float(null.p_pruned_test[0]):.4f}   "
            f"p(gain) {float(null.p_gain[0]):.4f}   "
            f"null gain {float(null.gain.mean()):+.3f} ± {float(null.gain.std()):.3f}"
        )
        for over in ("stimuli", "subjects", "both"):
            target = mean if over == "stimuli" else subjects
            drawn = sc.bootstrap(X, target, draws, over, **terms)
            told = [f"{score} {drawn[f'interval_{score}'].values[0].round(3)}" for score in ("pruned_test", "gain")]
            print(f"  95 % over {over:9}: {'   '.join(told)}")
        core = sc.stability(result)
        print(
            f"  features kept: Jaccard {float(core.jaccard[0]):.3f} (chance {float(core.jaccard_chance[0]):.3f})   "
            f"stability {float(core.stability[0]):.3f}   core {int(core.n_core[0])} of {X.shape[1]} in 80 % of folds"
        )
        # the ceiling is of single subjects: so are the scores that are set against it
        moved = sc.transfer(X, np.vstack([mean, subjects]), **terms)
        whole = sc.noise_ceiling(stack)
        folds = sc.noise_ceiling(stack, cv=5, repeats=repeats)
        print(
            f"  single subjects: full {float(moved.full_test[1:].mean()):.3f}   pruned to the mean "
            f"{float(moved.transfer[0, 1:].mean()):.3f}   pruned to themselves "
            f"{float(np.diag(moved.transfer)[1:].mean()):.3f}"
        )
        print(
            f"  noise ceiling: among test stimuli {float(folds.lower):.3f} to {float(folds.upper):.3f}   "
            f"among all {float(whole.lower):.3f} to {float(whole.upper):.3f}"
        )
        print(f"  ({time.perf_counter() - start:.0f} s)\n")


if __name__ == "__main__":
    if "images" not in sys.argv[1:]:
        times()
    images()
