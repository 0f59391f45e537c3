"""How often tests find what is not there, and intervals hold the truth: data sets made for it, one table a simulation.

python benchmarks/simulate_inference.py groups             # one by name, or several
python benchmarks/simulate_inference.py                    # all: many minutes each on one core
python benchmarks/simulate_inference.py --quick            # a tenth of the data sets
python benchmarks/simulate_inference.py groups --sets 100  # so many of them a row
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import secateur as sc

ALONE = sc.Pruner(kind="similarity", threads=1)
SIMULATIONS: dict[str, tuple[Callable[[int], None], int]] = {}


def simulation(sets: int) -> Callable[[Callable[[int], None]], Callable[[int], None]]:
    """A simulation by its name, and how many data sets it has a row."""

    def keep(function: Callable[[int], None]) -> Callable[[int], None]:
        SIMULATIONS[function.__name__.replace("_", "-")] = function, sets
        return function

    return keep


def error(share: float, count: int) -> float:
    """Monte Carlo standard error of a share."""
    return float(np.sqrt(share * (1 - share) / count))


def row(*cells: Any) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def heading(*cells: str) -> None:
    row(*cells)
    row(*("---" for _ in cells))


# The permutation null


def categories(seed: int, count: int, each: int, own: float, d: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exemplars alike within their categories in X and target both; between categories the two have nothing in common.

    ``own``: how much an exemplar has of its own, in SD of the categories' centres.
    """
    rng = np.random.default_rng([11, seed])
    groups = np.repeat(np.arange(count), each)
    shape = (count * each, d)
    X, Y = (rng.normal(size=(count, d))[groups] + own * rng.normal(size=shape) for _ in range(2))
    return X, sc.similarity(Y[:, :12], threads=1), groups


@simulation(400)
def groups(sets: int) -> None:
    """False positives at 5 % of the permutation test, exemplars nested in categories."""
    n = 99
    print(f"{sets} data sets a row, {n} relabellings, 4 folds of whole categories, d = 40; share of p <= 0.05\n")
    heading("categories x exemplars", "own SD", "relabelled", "score", "gain", "Monte Carlo SE at 5 %")
    for count, each, own in ((12, 3, 2.0), (12, 3, 1.0), (16, 2, 1.0), (8, 5, 2.0)):
        found: dict[str, list[list[float]]] = {"single stimuli": [], "whole categories": []}
        for seed in range(sets):
            X, target, of = categories(seed, count, each, own)
            folds, _ = sc.validation.split(len(X), 4, 1, seed, of)
            for how, given in (("single stimuli", None), ("whole categories", of)):
                null = sc.permutation_test(X, target, n, ALONE, folds, seed=seed, groups=given, progress=False)
                found[how].append([float(null.p_pruned_test[0]), float(null.p_gain[0])])
        for how, p in found.items():
            score, gain = (np.array(p) <= 0.05).mean(axis=0)
            row(f"{count} x {each}", own, how, f"{score:.1%}", f"{gain:.1%}", f"{error(0.05, sets):.1%}")
    print()


# Intervals


def world(
    seed: int, n: int, d: int, q: int, noise: float = 0.0, rank: int = 0, people: int = 0, *, same_stimuli: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Features X, and a target that q of them share with q features of its own, or one target a subject.

    ``noise``: of single pairs, in SD of the target. ``rank``: dimensions that all features share.
    """
    stimuli = np.random.default_rng([5, 0 if same_stimuli else seed])
    X = stimuli.normal(size=(n, d)) + 0.3
    if rank:
        X += stimuli.normal(size=(n, rank)) @ np.random.default_rng(99).normal(size=(rank, d))
    shared = sc.similarity(np.c_[X[:, :q], stimuli.normal(size=(n, q)) + 0.3], threads=1)
    rng = np.random.default_rng([6, seed])
    if not people:
        return X, shared + noise * shared.std() * rng.normal(size=shared.shape)
    own = [0.5 * sc.similarity(rng.normal(size=(n, 5)), threads=1) for _ in range(people)]
    return X, shared + np.stack(own) + noise * shared.std() * rng.normal(size=(people, len(shared)))


def held(
    sets: int, over: str, settings: list[tuple[dict[str, Any], dict[str, Any]]], ways: dict[str, dict[str, Any]]
) -> None:
    """A table: how often intervals of each way hold the mean score of other data sets, and how wide they are."""
    truths = max(100, 4 * sets)
    print(
        f"{sets} data sets a row, 5 folds; coverage of 95 % intervals, and their mean width by\n"
        f"that of mean +- 1.96 SD of the scores of {truths} other data sets, whose mean is the truth. Monte Carlo SE "
        f"at 95 %: {error(0.95, sets):.1%}\n"
    )
    heading("data sets", "intervals", *(f"{score}: coverage, width" for score in ("full", "pruned", "gain")))
    names = ("full_test", "pruned_test", "gain")
    for made, how in settings:
        terms = {"pruner": ALONE, **how, "progress": False}
        same = {"same_stimuli": over == "subjects"}
        others = []
        for seed in range(10_000, 10_000 + truths):
            X, target = world(seed, **made, **same)
            one = sc.cross_validate(X, np.atleast_2d(target).mean(axis=0), **terms, curves=False)
            others.append([float(x.mean()) for x in (one.full_test, one.pruned_test, one.pruned_test - one.full_test)])
        truth, spread = np.mean(others, axis=0), np.std(others, axis=0)
        found: dict[str, list[list[tuple[bool, float]]]] = {way: [] for way in ways}
        for seed in range(sets):
            X, target = world(seed, **made, **same)
            for way, asked in ways.items():
                drawn = sc.bootstrap(X, target, over=over, **terms, **asked)
                bounds = [drawn[f"interval_{name}"].values[0] for name in names]
                found[way].append([(bool(a <= truth[s] <= b), float(b - a)) for s, (a, b) in enumerate(bounds)])
        words = ", ".join(f"{name} = {value}" for name, value in {**made, **how}.items())
        told = ", ".join(f"{mean:.2f}" for mean in truth)
        for way, rows in found.items():
            share, width = np.moveaxis(np.array(rows, dtype=float), -1, 0).mean(axis=1)
            cells = (f"{a:.3f}, {b / (3.92 * sd):.2f}" for a, b, sd in zip(share, width, spread, strict=True))
            row(f"{words} (scores {told})", way, *cells)
    print()


T, BEFORE = "t", "percentiles (before)"
PERCENTILES: dict[str, Any] = {"method": "percentile", "n": 40}


@simulation(150)
def intervals_over_stimuli(sets: int) -> None:
    """Coverage of intervals over stimuli."""
    settings: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"n": 24, "d": 20, "q": 6}, {}),
        ({"n": 36, "d": 60, "q": 10}, {}),
        ({"n": 36, "d": 60, "q": 10, "noise": 1.0}, {}),
        ({"n": 36, "d": 60, "q": 10, "rank": 6}, {}),
        ({"n": 36, "d": 400, "q": 10, "noise": 0.5}, {}),
        ({"n": 48, "d": 60, "q": 10, "noise": 2.0}, {}),
        ({"n": 48, "d": 20, "q": 20}, {}),
        ({"n": 60, "d": 60, "q": 8, "noise": 0.5}, {}),
        ({"n": 24, "d": 20, "q": 6}, {"repeats": 4}),
        ({"n": 36, "d": 60, "q": 10, "noise": 1.0}, {"repeats": 4}),
    ]
    held(sets, "stimuli", settings, {T: {"n": 8}, BEFORE: PERCENTILES})


@simulation(150)
def intervals_over_subjects(sets: int) -> None:
    """Coverage of intervals over subjects."""
    settings: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"n": 36, "d": 40, "q": 10, "noise": 1.0, "people": 16}, {}),
        ({"n": 36, "d": 200, "q": 10, "noise": 1.0, "people": 16}, {}),
        ({"n": 36, "d": 60, "q": 10, "noise": 3.0, "people": 16}, {}),
        ({"n": 36, "d": 60, "q": 10, "noise": 1.0, "people": 8}, {}),
    ]
    held(sets, "subjects", settings, {T: {"n": 40}, BEFORE: PERCENTILES})


@simulation(150)
def intervals_over_both(sets: int) -> None:
    """Coverage of intervals over stimuli and subjects."""
    settings: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"n": 24, "d": 40, "q": 10, "noise": 1.0, "people": 16}, {}),
        ({"n": 36, "d": 60, "q": 10, "noise": 3.0, "people": 8}, {}),
        ({"n": 36, "d": 60, "q": 10, "rank": 6, "people": 16}, {}),
    ]
    held(sets, "both", settings, {T: {"n": 20}, BEFORE: PERCENTILES})


# Subjects left out, choices made inside, stable features


def uniform(values: list[float], n: int) -> str:
    """p of the Kolmogorov-Smirnov test that p values of n relabellings are uniform; each stands for all below it."""
    from scipy.stats import kstest

    spread = np.array(values) - np.random.default_rng(0).uniform(size=len(values)) / (n + 1)
    return f"{kstest(spread, 'uniform').pvalue:.2f}"


@simulation(200)
def subjects(sets: int) -> None:
    """False positives at 5 %, and power, of the mean over subjects that were left out; what subjects share is noise."""
    n, stimuli, d, people = 39, 24, 30, 6
    print(f"{sets} data sets a row, {people} subjects, {stimuli} stimuli, d = {d}, {n} relabellings\n")
    heading("left out", "in X", "pruned: p <= 0.05", "KS p", "gain: p <= 0.05", "KS p ", "mean held-out alignment")
    for over in ("subjects", "both"):
        for planted in (False, True):
            found: dict[str, list[float]] = {"pruned_test": [], "gain": [], "score": []}
            for seed in range(sets):
                rng = np.random.default_rng([17, seed])
                X = rng.normal(size=(stimuli, d))
                shared = sc.similarity(X[:, :4] if planted else rng.normal(size=(stimuli, 4)), threads=1)
                people_rdms = shared + 1.5 * shared.std() * rng.normal(size=(people, len(shared)))
                pruner = sc.Pruner(kind="similarity", threads=1, joint="mean")
                null = sc.permutation_test(X, people_rdms, n, pruner, 3, seed=seed, over=over, progress=False)
                for name in ("pruned_test", "gain"):
                    found[name].append(float(null[f"p_mean_{name}"]))
                found["score"].append(float(null.observed_mean_pruned_test))
            cells = []
            for name in ("pruned_test", "gain"):
                share = float(np.mean(np.array(found[name]) <= 0.05))
                cells += [f"{share:.3f} ± {error(share, sets):.3f}", uniform(found[name], n)]
            row(over, "four features" if planted else "nothing", *cells, f"{np.mean(found['score']):.3f}")


@simulation(200)
def nested(sets: int) -> None:
    """What a choice among eight ways to prune is worth where nothing is to be found, made inside and by the scores."""
    n, stimuli, d = 99, 30, 20
    print(
        f"{sets} data sets, {stimuli} stimuli, two layers of {d} features, two metrics, two sizes, {n} relabellings\n"
    )
    heading("in X", "p <= 0.05", "KS p", "chosen inside: mean held-out alignment", "best of the scores")
    for planted, label in (
        (False, "nothing"), (True, "five features of one layer"), (None, "a control, five features of one layer")
    ):  # fmt: skip
        p, inside, best = [], [], []
        for seed in range(sets):
            rng = np.random.default_rng([18, seed])
            layers = {name: rng.normal(size=(stimuli, d)) for name in ("early", "late")}
            truth = sc.similarity(layers["late"][:, :5] if planted else rng.normal(size=(stimuli, 5)), threads=1)
            target = truth + truth.std() * rng.normal(size=truth.shape)
            how = {"metrics": ("cosine", "sqeuclidean"), "sizes": (None, 5), "cv": 4, "inner_cv": 3, "seed": seed}
            if planted is None:
                control = sc.similarity(layers["late"][:, :5], threads=1)
                target += target.std() * control / control.std()
                how["control"] = control
            result = sc.nested(layers, target, pruner=ALONE, permutations=n, progress=False, **how)
            p.append(float(result.p_pruned_test[0]))
            inside.append(float(result.pruned_test.mean()))
            best.append(float(result.candidate_test.mean("fold").max()))
        share = float(np.mean(np.array(p) <= 0.05))
        means = [f"{np.mean(v):.4f} ± {np.std(v) / np.sqrt(sets):.4f}" for v in (inside, best)]
        cells = f"{share:.3f} ± {error(share, sets):.3f}", uniform(p, n)
        row(label, *cells, *means)


@simulation(400)
def controls(sets: int) -> None:
    """Partial alignment where the target holds what a control says and noise, and nothing else that X has."""
    n, stimuli, d = 39, 24, 20
    print(f"{sets} data sets a row, {stimuli} stimuli, {d} features of which five are the control, {n} relabellings\n")
    heading("comparator", "control", "pruned: p <= 0.05", "KS p", "gain: p <= 0.05", "KS p ", "mean held-out alignment")
    for comparator in ("pearson", "spearman"):
        for given in (False, True):
            found: dict[str, list[float]] = {"pruned_test": [], "gain": [], "score": []}
            for seed in range(sets):
                rng = np.random.default_rng([41, seed])
                X = rng.normal(size=(stimuli, d))
                control = sc.similarity(X[:, :5], threads=1)
                target = control / control.std() + rng.normal(size=control.shape)
                pruner = sc.Pruner(comparator=comparator, kind="similarity", threads=1)
                how = {"control": control if given else None, "seed": seed, "progress": False}
                null = sc.permutation_test(X, target, n, pruner, 3, **how)
                for name in ("pruned_test", "gain"):
                    found[name].append(float(null[f"p_{name}"][0]))
                found["score"].append(float(null.observed_pruned_test[0]))
            cells = []
            for name in ("pruned_test", "gain"):
                share = float(np.mean(np.array(found[name]) <= 0.05))
                cells += [f"{share:.3f} ± {error(share, sets):.3f}", uniform(found[name], n)]
            score = np.array(found["score"])
            mean = f"{score.mean():.3f} ± {score.std() / np.sqrt(sets):.3f}"
            row(comparator, "the five features" if given else "none", *cells, mean)


@simulation(200)
def others(sets: int) -> None:
    """False positives at 5 % of the test over subjects along time, features chosen on each or on all others."""
    print(f"{sets} data sets, 8 subjects who share nothing, 20 stimuli, 15 features, 4 folds\n")
    heading("left out", "features chosen on", "p <= 0.05")
    for over, joint in (("both", "mean"), ("stimuli", "each")):
        hits = []
        for seed in range(sets):
            rng = np.random.default_rng([31, seed])
            X = rng.normal(size=(20, 15))
            movies = np.stack([sc.similarity(rng.normal(size=(20, 6)), threads=1) for _ in range(8)])[:, None]
            pruner = sc.Pruner(joint=joint, kind="similarity", threads=1)
            course = sc.timecourse.prune(X, movies, pruner, cv=4, seed=seed, over=over, progress=False)
            hits.append(float(sc.timecourse.group_test(course, n=1).p[0]) <= 0.05)
        share = float(np.mean(hits))
        row(over, "all others" if over == "both" else "the same", f"{share:.3f} ± {error(share, sets):.3f}")


@simulation(200)
def stable(sets: int) -> None:
    """Features without merit above the threshold of stability selection, beside the bound on their expected number."""
    print(f"{sets} data sets a row, 100 halves, threshold 0.75\n")
    heading("stimuli", "features", "with merit", "max_false", "bound", "false", "found", "ranking: false", "found ")
    for stimuli, d, merit in ((40, 60, 0), (40, 60, 5), (40, 200, 5), (80, 200, 5)):
        for most in (1.0, 3.0):
            counts = []
            for seed in range(sets):
                rng = np.random.default_rng([19, seed])
                X = rng.normal(size=(stimuli, d))
                truth = sc.similarity(X[:, :merit] if merit else rng.normal(size=(stimuli, 5)), threads=1)
                target = truth + truth.std() * rng.normal(size=truth.shape)
                how = {"kind": "similarity", "threads": 1, "progress": False}
                pruner = sc.Pruner(search="stable", max_false=most, **how).fit(X, target)
                above = pruner.importance_ >= 0.75
                ranked = sc.Pruner(**how).fit(X, target).support_
                counts.append([above[merit:].sum(), above[:merit].sum(), ranked[merit:].sum(), ranked[:merit].sum()])
            means = [f"{value:.2f}" for value in np.mean(counts, axis=0)]
            row(stimuli, d, merit, most, f"{pruner.false_bound_:.2f}", *means)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SIMULATIONS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the data sets")
    parser.add_argument("--sets", type=int, help="data sets a row")
    given = parser.parse_args()
    for expected in (sc.SmallFoldsWarning, sc.OpposedWarning):
        warnings.simplefilter("ignore", expected)
    for name in given.names or SIMULATIONS:
        if name not in SIMULATIONS:
            parser.error(f"NAME must be among {', '.join(SIMULATIONS)}, got {name!r}")
        function, sets = SIMULATIONS[name]
        print(f"## {name}\n\n{function.__doc__}\n", flush=True)
        function(given.sets or (max(20, sets // 10) if given.quick else sets))


if __name__ == "__main__":
    main()
