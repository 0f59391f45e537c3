"""How often tests of scores, squares and clusters find what isn't there: named simulations, printed as Markdown.

    python benchmarks/simulate_comparison.py [NAME ...] [--quick] [--sets N] [--first N]

Names: folds, squares, explained, equal, clusters, models, recovery, commonality. All by default. Seeds are fixed: the
same tables again. With another number of the first data set (``--first 1000``) come other data sets.
"""

from __future__ import annotations

import argparse
import os
import warnings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
from scipy.stats import ttest_1samp, wilcoxon

import secateur as sc
from secateur.comparison import explained_variance
from secateur.statistics import permutation_p, signed_square

PRUNER = sc.Pruner(kind="similarity", threads=1)


def share(hits: object) -> str:
    """A share in percent, with its Monte Carlo standard error."""
    values = np.asarray(hits, dtype=float)
    p = values.mean()
    return f"{100 * p:.1f} ± {100 * np.sqrt(p * (1 - p) / len(values)):.1f} %"


def mean(values: object, digits: int = 4) -> str:
    """A mean, with its standard error."""
    x = np.asarray(values, dtype=float)
    return f"{x.mean():.{digits}f} ± {x.std(ddof=1) / np.sqrt(len(x)):.{digits}f}"


def table(head: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print(flush=True)


def unrelated(seed: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Features, and a target that is the similarities of other features: structured, and nothing to do with X."""
    rng = np.random.default_rng([7, seed])
    return rng.normal(size=(n, d)) + 0.3, sc.similarity(rng.normal(size=(n, 6)), threads=1)


def significant(gap: np.ndarray) -> bool:
    return np.ptp(gap) > 0 and bool(ttest_1samp(gap, 0).pvalue <= 0.05)


def folds(sets: range, n: int = 30, d: int = 40) -> None:
    """Pruned against full where the target has nothing to do with X: t over folds, and the two permutation tests."""
    print(
        f"**folds**: {len(sets)} data sets, n = {n}, d = {d}; significant at 5 %, t two-sided, permutations one-sided\n"
    )
    rows = []
    for repeats in (1, 4, 8):
        t, held, score, whole = [], [], [], []
        for seed in sets:
            X, h = unrelated(seed, n, d)
            terms = {"repeats": repeats, "seed": seed, "progress": False}
            result = sc.compare(X, h, ["full", "pruned"], pruner=PRUNER, permutations=199, **terms)
            full, pruned = result.test_alignment.values[:, 0]
            t.append(significant(pruned - full))
            null = result.chance.values[:, 0]
            held.append(float(permutation_p((pruned - full).mean(), null[1] - null[0])) <= 0.05)
            score.append(float(permutation_p(pruned.mean(), null[1])) <= 0.05)
            if repeats < 8:
                again = sc.permutation_test(X, h, 99, PRUNER, **terms)
                whole.append(float(again.p_gain[0]) <= 0.05)
        rows.append([f"5 × {repeats}", share(t), share(held), share(score), share(whole) if whole else "–"])
    head = ["folds", "paired t (before)", "p of the gain", "p of the score", "`permutation_test`, p of the gain"]
    table(head, rows)


def equal(sets: range, n: int = 36) -> None:
    """Two noisy views of what the target is of, equally good: neither should win more often than by chance."""
    print(f"**equal**: {len(sets)} data sets, n = {n}: two spaces that fit the target equally well on average\n")

    class Other:
        def __init__(self, X: np.ndarray) -> None:
            self.X = X

        def fit_stimuli(self, stimuli: np.ndarray, target: np.ndarray) -> None: ...

        def predict_stimuli(self, stimuli: np.ndarray) -> np.ndarray:
            return np.asarray(sc.similarity(self.X[stimuli], threads=1))

    rows = []
    for repeats in (1, 4):
        t, p = [], []
        for seed in sets:
            rng = np.random.default_rng([11, seed])
            Z = rng.normal(size=(n, 8))
            one, two = (np.c_[Z, rng.normal(size=(n, 8))] for _ in range(2))
            h = sc.similarity(np.c_[Z, rng.normal(size=(n, 8))], threads=1)
            terms = {"repeats": repeats, "seed": seed, "progress": False, "permutations": 199}
            result = sc.compare(one, h, {"full": "full", "other": Other(two)}, pruner=PRUNER, **terms)
            row = sc.comparison_table(result).loc[(0, "other")]
            full, other = result.test_alignment.values[:, 0]
            t.append(significant(other - full))
            p.append(row.p_full <= 0.05)
        rows.append([f"5 × {repeats}", share(t), share(p)])
    table(["folds", "paired t (before)", "permutation p"], rows)


def squares(sets: range, d: int = 40) -> None:
    """r² of tables where the target has nothing to do with X."""
    print(f"**squares**: {len(sets)} data sets, d = {d}, five folds; r² of the full and of the pruned space, truth 0\n")
    rows = []
    for n in (24, 36, 48):
        found: dict[str, list[float]] = {key: [] for key in "abcd"}
        for seed in sets:
            X, h = unrelated(seed, n, d)
            result = sc.cross_validate(X, h, PRUNER, curves=False, progress=False, seed=seed)
            for keys, name in (("ab", "full_test"), ("cd", "pruned_test")):
                r = result[name].values[0]
                found[keys[0]].append(float(np.nanmean(r**2)))
                found[keys[1]].append(signed_square(r))
        rows.append([str(n), *(mean(found[key]) for key in "abcd")])
    table(["n", "full, mean of r² (before)", "full, now", "pruned, mean of r² (before)", "pruned, now"], rows)


def explained(sets: range, n: int = 40, d: int = 40, people: int = 6) -> None:
    """Percent of explainable variance of subjects who share a structure that X has nothing or something to do with."""
    print(f"**explained**: {len(sets)} data sets, n = {n}, d = {d}, {people} subjects, five folds; percent\n")
    rows = []
    cases = [("unrelated, noisy", 0.0, 3.0), ("unrelated, clear", 0.0, 0.5), ("related", 1.0, 1.0)]
    for label, truth, noise in cases:
        before: list[list[float]] = [[], []]
        now: list[list[float]] = [[], []]
        for seed in sets:
            rng = np.random.default_rng([13, seed])
            X, own = rng.normal(size=(n, d)), rng.normal(size=(n, 6))
            shared = sc.similarity(np.c_[own, 2 * truth * X[:, :6]], threads=1)
            private = np.stack([sc.similarity(rng.normal(size=(n, 6)), threads=1) for _ in range(people)])
            rdms = -(shared + noise * private)
            terms = {"kind": "dissimilarity", "predictions": True, "progress": False}
            result = sc.compare(X, rdms.mean(axis=0), ["full", "pruned"], pruner=PRUNER, **terms)
            scores = explained_variance(result, rdms, n=100)
            for m in (0, 1):
                before[m].append(100 * float(scores.mean_r2[m] / scores.upper))
                now[m].append(float(scores.explained[m]))
        rows.append([label, *(mean(one, 2) for pair in zip(before, now, strict=True) for one in pair)])
    table(["subjects", "full (before)", "full, now", "pruned (before)", "pruned, now"], rows)


def clusters(sets: range, parents: int = 16, each: int = 5, d: int = 40) -> None:
    """Clusters against a taxonomy, full and pruned to it: the Wilcoxon test of old, and the interval over groups."""
    n = parents * each
    leaves = [f"l{i}" for i in range(n)]
    tree: dict[str, list[str]] = {"top": [], **{f"h{g}": ["top"] for g in range(4)}}
    tree |= {f"g{g}": [f"h{g % 4}"] for g in range(parents)} | {f"l{i}": [f"g{i // each}"] for i in range(n)}
    target = sc.taxonomy.wu_palmer(leaves, tree)
    rules = {"cuts": [8], "levels": 1, "sizes": (1, n)}
    print(f"**clusters**: {len(sets)} data sets, {n} categories in {parents} groups, d = {d}, four folds, 8 clusters\n")
    rows = []
    for label, strength in (("X unrelated to the taxonomy", 0.0), ("X related, all features alike", 0.5)):
        p, beyond, bounds, before = [], [], [], []
        for seed in sets:
            rng = np.random.default_rng([17, seed])
            X = rng.normal(size=(n, d)) + strength * np.repeat(rng.normal(size=(parents, d)), each, axis=0)
            result = sc.cross_validate(X, target, PRUNER, cv=4, seed=seed, curves=False, progress=False)
            full = sc.taxonomy.jaccard(X, leaves, tree, **rules).jaccard.values[0]
            pruned = np.empty(n)
            for kept, test in zip(result.kept.values[0], result.test.values, strict=True):
                pruned[test] = sc.taxonomy.jaccard(X, leaves, tree, subset=kept, **rules).jaccard.values[0][test]
            p.append(wilcoxon(pruned, full).pvalue <= 0.05)
            before.append(pruned.mean() - full.mean())
            pair = [sc.taxonomy.held_out_jaccard(X, result, leaves, tree, space=s, **rules) for s in ("full", "pruned")]
            row = sc.taxonomy.concordance_table(*pair).loc[8]
            beyond.append(row.beyond)
            bounds.append((row.lower, row.upper))
        lower, upper = np.array(bounds).T
        covered = (lower <= np.mean(beyond)) & (np.mean(beyond) <= upper)
        rows.append([label, share(p), mean(before), share((lower > 0) | (upper < 0)), share(covered), mean(beyond)])
    head = ["", "Wilcoxon (before)", "difference (before)", "interval without 0", "interval with the mean of all sets"]
    table([*head, "difference beyond chance"], rows)


def equal_models(rng: np.random.Generator, n: int, own: int = 8, others: int = 32) -> tuple[dict, np.ndarray]:
    """Two models, each of which holds half of the features that make the true similarities."""
    shared = rng.normal(size=(n, 2 * own))
    halves = {name: shared[:, k * own : (k + 1) * own] for k, name in enumerate("ab")}
    return {name: np.hstack([X, rng.normal(size=(n, others))]) for name, X in halves.items()}, sc.similarity(shared)


def models(sets: range, n: int = 40) -> None:
    """Two models that fit alike on average: how often one is called better, and intervals of the difference.

    Over subjects the stimuli are fixed, and so is the true difference: there it is coverage of that which counts.
    """
    print(f"**models**: {len(sets)} data sets, n = {n}, d = 40, five folds, 8 divisions; p <= 0.05, two-sided\n")
    rows = []
    terms = {"spaces": ["full", "pruned"], "pruner": PRUNER, "progress": False}
    for over, subjects, noise in (("stimuli", 1, 0.5), ("both", 8, 2.0)):
        found, gaps, widths = [], [], []
        for seed in sets:
            rng = np.random.default_rng([17, seed])
            two, truth = equal_models(rng, n)
            target = truth + noise * truth.std() * rng.normal(size=(subjects, len(truth)))
            result = sc.compare_models(two, target[0] if subjects == 1 else target, over=over, n=8, seed=seed, **terms)
            found.append(result.p.values[:2] <= 0.05)
            gaps.append(result.difference.values[:2])
            widths.append(np.ptp(result.interval_difference.values[:2], axis=1) / 2)
        ratio = np.mean(widths, axis=0) / (1.96 * np.std(gaps, axis=0))
        cells = [f"{share(hits)}; {wide:.2f}" for hits, wide in zip(np.transpose(found), ratio, strict=True)]
        rows.append([f"{over}, {subjects} subject{'s' * (subjects > 1)}, noise {noise:g}", *cells])
    two, truth = equal_models(np.random.default_rng(5), n)
    bounds, gaps = [], []
    for seed in (*sets, *(10000 + one for one in sets)):
        target = truth + 2 * truth.std() * np.random.default_rng([3, seed]).normal(size=(8, len(truth)))
        result = sc.compare_models(two, target, over="subjects", **terms)
        gaps.append(result.difference.values[:2])
        bounds.append(result.interval_difference.values[:2])
    true, drawn = np.mean(gaps[len(sets) :], axis=0), np.array(bounds[: len(sets)])
    missed = (true < drawn[..., 0]) | (drawn[..., 1] < true)
    ratio = (np.diff(drawn, axis=-1)[..., 0] / 2).mean(axis=0) / (1.96 * np.std(gaps, axis=0))
    cells = [f"{share(hits)}; {wide:.2f}" for hits, wide in zip(missed.T, ratio, strict=True)]
    rows.append(["subjects, 8 of them, noise 2 (true difference outside of its interval)", *cells])
    head = ["over", "full: false finds; width by that of ± 1.96 SD", "pruned"]
    table(head, rows)


def recovery(sets: range, n: int = 24, d: int = 30) -> None:
    """Three models that share a part of their features: is the one that made a target found, once all are fitted?"""
    print(f"**recovery**: {len(sets)} targets of each of 3 models, n = {n}, d = {d}, 2 subjects, a fifth makes them\n")
    spaces = ("full", "pruned", "reweighted")
    print(f"| correlation of features | noise | lower ceiling | {' | '.join(spaces)} |\n| --- |{' ---: |' * 5}")
    for common in (0.5, 0.9):
        rng = np.random.default_rng(19)
        both = rng.normal(size=(n, d))
        three = {name: np.sqrt(common) * both + np.sqrt(1 - common) * rng.normal(size=(n, d)) for name in "abc"}
        terms = {"noise": [0.5, 2], "subjects": 2, "share": 0.2, "cv": 4, "pruner": PRUNER, "progress": False}
        result = sc.model_recovery(three, len(sets), spaces=spaces, seed=sets.start, **terms)
        for noise in result.noise.values:
            one = result.sel(noise=noise)
            cells = [
                f"{100 * a:.0f} ± {100 * e:.0f} %"
                for a, e in zip(one.accuracy.values, one.accuracy_error.values, strict=True)
            ]
            print(f"| {common:g} | {noise:g} | {float(one.ceiling[0]):.2f} | {' | '.join(cells)} |", flush=True)


def commonality(sets: range, n: int = 40) -> None:
    """What full, pruned and a control explain of a target that has nothing to do with any, or with the last alone."""
    print(f"**commonality**: {len(sets)} data sets, n = {n}, d = 40, five folds, 99 relabellings; p <= 0.05\n")
    rows = []
    for label, part in (("unrelated", 0.0), ("the control alone", 1.0)):
        p, whole, alone = [], [], []
        for seed in sets:
            X, target = unrelated(seed, n, 40)
            control = sc.similarity(np.random.default_rng([23, seed]).normal(size=(n, 6)), threads=1)
            terms = {"pruner": PRUNER, "n": 99, "seed": seed, "progress": False}
            result = sc.unique_variance(X, target + part * control, control, **terms)
            p.append(result.p_unique.values[0] <= 0.05)
            whole.append(result.r2.values[0, -1])
            alone.append(result.variance.sel(part=["full", "pruned", "control"]).values[0])
        shares, means = map(np.transpose, (p, alone))
        cells = [f"{share(hits)}; {mean(values)}" for hits, values in zip(shares, means, strict=True)]
        rows.append([label, mean(whole), *cells])
    table(["target", "all: r² beyond chance", "full alone: p; part", "pruned alone", "control alone"], rows)


SIMULATIONS = {"folds": (folds, 400), "squares": (squares, 400), "explained": (explained, 200), "equal": (equal, 400)}
SIMULATIONS |= {"clusters": (clusters, 400), "models": (models, 100)}
SIMULATIONS |= {"recovery": (recovery, 20), "commonality": (commonality, 200)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SIMULATIONS))
    parser.add_argument("--quick", action="store_true", help="a twentieth of the data sets")
    parser.add_argument("--sets", type=int, help="data sets of each simulation")
    parser.add_argument("--first", type=int, default=0, help="number of the first data set, 0 by default")
    given = parser.parse_args()
    for expected in (sc.SmallFoldsWarning, sc.OpposedWarning):
        warnings.simplefilter("ignore", expected)
    for name in given.names or SIMULATIONS:
        if name not in SIMULATIONS:
            parser.error(f"NAME must be among {', '.join(SIMULATIONS)}, got {name!r}")
        simulation, sets = SIMULATIONS[name]
        count = given.sets or (max(sets // 20, 10) if given.quick else sets)
        simulation(range(given.first, given.first + count))


if __name__ == "__main__":
    main()
