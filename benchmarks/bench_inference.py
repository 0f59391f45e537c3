"""How sure the held-out scores are: times, real data, and how often intervals hold the truth.

python benchmarks/bench_inference.py             # times, and the 92 images where SECATEUR_DATA names their folder
python benchmarks/bench_inference.py coverage    # simulated data sets; some minutes
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

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
        start = time.perf_counter()
        run()
        took = time.perf_counter() - start
        share = {"p": draws + 1, "b": draws}.get(name[0])
        share = share // 10 if share and "/ 10" in name else share
        print(f"{name:42}{took:8.2f}" + (f"{took / share * 1000:16.1f}" if share else ""))


def images(draws: int = 500, repeats: int = 4) -> None:
    """The 92 images: people's judgments and human IT against a network's pooled maps."""
    folder = Path(os.environ.get("SECATEUR_DATA", ""))
    if not (folder / "kriegeskorte92.npz").is_file():
        print("\nThe 92 images are skipped: SECATEUR_DATA names no folder with kriegeskorte92.npz.")
        return
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    import lite0

    data = sc.datasets.fetch_kriegeskorte92(folder)
    X = lite0.pooled_maps(np.asarray(data.images))
    rows = np.triu_indices(92, 1)
    terms = {"pruner": DISSIMILAR, "cv": 5, "repeats": repeats, "progress": False}
    print(
        f"\nThe 92 images, EfficientNet-lite0's pooled maps ({X.shape[1]}), cosine, pearson; held out, five folds, "
        f"{repeats} times;\n{draws} relabellings and draws; 95 % intervals\n"
    )
    for name, stack in (("behaviour", data.behaviour), ("human IT", data.human_it.mean(axis=1))):
        start = time.perf_counter()
        subjects = np.stack([one[rows] for one in stack])
        mean = subjects.mean(axis=0)
        result = sc.cross_validate(X, mean, **terms)
        null = sc.permutation_test(X, mean, draws, **terms)
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
            for resample in ("procedure", "scores"):
                drawn = sc.bootstrap(X, target, draws, over, resample=resample, **terms)
                told = [f"{score} {drawn[f'interval_{score}'].values[0].round(3)}" for score in ("pruned_test", "gain")]
                print(f"  95 % over {over:9} ({resample}): {'   '.join(told)}")
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


def coverage(sets: int = 60, draws: int = 100) -> None:
    """How often 95 % intervals hold the expected score, over simulated data sets."""
    alone = sc.Pruner(kind="similarity", threads=1)

    def data(seed: int, n: int, d: int, q: int, people: int, over: str) -> tuple[np.ndarray, np.ndarray]:
        # over subjects alone the stimuli stay what they are
        world = np.random.default_rng([1, 0 if over == "subjects" else seed])
        X = world.normal(size=(n, d)) + 0.3
        shared = sc.similarity(np.c_[X[:, :q], world.normal(size=(n, q)) + 0.3], threads=1)
        if over == "stimuli":
            return X, shared
        rng = np.random.default_rng([2, seed])
        own = [0.5 * sc.similarity(rng.normal(size=(n, 5)), threads=1) for _ in range(people)]
        return X, shared + np.stack(own) + 0.3 * rng.normal(size=(people, len(shared)))

    print(f"{sets} data sets, {draws} draws each; 95 % intervals; truth: the mean over 300 other data sets\n")
    cases = [
        ("stimuli", 96, 60, 10),
        ("stimuli", 60, 400, 40),
        ("subjects", 40, 40, 10),
        ("subjects", 40, 400, 10),
        ("both", 40, 40, 10),
    ]
    for over, n, d, q in cases:
        found = []
        for seed in range(10_000, 10_300):
            X, target = data(seed, n, d, q, 16, over)
            one = sc.cross_validate(X, np.atleast_2d(target).mean(axis=0), alone, curves=False, progress=False)
            found.append([float(one.pruned_test.mean()), float((one.pruned_test - one.full_test).mean())])
        truth, spread = np.mean(found, axis=0), np.std(found, axis=0)
        words = [f"{score} {truth[s]:.3f} (SD {spread[s]:.3f})" for s, score in enumerate(("pruned", "gain"))]
        print(f"over {over}, n = {n}, d = {d}: {', '.join(words)}")
        held: dict[tuple[str, str], list[list[float]]] = {}
        for seed in range(sets):
            X, target = data(seed, n, d, q, 16, over)
            for resample, method in (("procedure", "percentile"), ("scores", "percentile"), ("scores", "bca")):
                drawn = sc.bootstrap(X, target, draws, over, alone, method=method, resample=resample, progress=False)
                row: list[float] = []
                plain: list[float] = []
                for s, score in enumerate(("pruned_test", "gain")):
                    lower, upper = drawn[f"interval_{score}"].values[0]
                    row += [lower <= truth[s] <= upper, upper - lower, float(drawn[score].std())]
                    lower, upper = np.nanquantile(drawn[score].values[0], [0.025, 0.975])
                    plain += [lower <= truth[s] <= upper, upper - lower, float(drawn[score].std())]
                held.setdefault((resample, method), []).append(row)
                if resample == "procedure":
                    held.setdefault((resample, "not moved"), []).append(plain)
        for (resample, method), rows in held.items():
            mean = np.mean(rows, axis=0).reshape(2, 3)
            words = [
                f"{score}: held {share:4.0%}, width {width:.3f}, SD of draws {sd:.3f}"
                for score, (share, width, sd) in zip(("pruned", "gain"), mean, strict=True)
            ]
            print(f"  {resample:10}{method:11} {'   '.join(words)}")
        print()


if __name__ == "__main__":
    if sys.argv[1:] == ["coverage"]:
        coverage()
    else:
        times()
        images()
