"""Reweighting beside pruning: what it takes, and what it predicts on the same folds.

    python benchmarks/bench_baselines.py

Times at n = 96, d = 4096; with SECATEUR_DATA set, the 92 images (EfficientNet-lite0's pooled maps) against mean
judgments and mean human IT: held-out alignment of every method, as the paper's Table 1. Prints Markdown.
"""

from __future__ import annotations

import os
from functools import partial

import cases
import machine
import secateur as sc
from secateur.reweighting import Lasso, Ridge, SimDR
from secateur.reweighting.design import Design
from secateur.report import comparison_markdown


def times() -> None:
    """The paper's fold: single paths on all of it, and whole fits with their inner five-fold choice."""
    case = cases.PAPER
    X, targets = case.make()
    design = Design(X, squared=False, weights=None, standardize=False)
    centred = targets - targets.mean(axis=1, keepdims=True)
    runs = {}
    for name, method, words in (
        ("ridge", Ridge(kind="similarity"), "20 penalties"),
        ("LASSO, w ≥ 0", Lasso(kind="similarity"), "30 penalties"),
    ):
        penalties = method._grid(design, centred)
        runs[f"{name}: {words}"] = lambda m=method, p=penalties: m._path(design, centred, p)
        runs[f"{name}: fit, five inner folds"] = lambda m=method: m.fit(X, targets[0])
    runs["Sim-DR: fit, five inner folds, 6 sizes x 6 penalties"] = lambda: SimDR(kind="similarity").fit(X, targets[0])
    runs["pruning (ranking)"] = lambda: sc.Pruner(kind="similarity").fit(X, targets[0])
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    print(f"{case.name}: n = {case.n}, d = {case.d}, {threads} threads\n\n| | s |\n| --- | ---: |")
    for name, run in runs.items():
        print(f"| {name} | {machine.timed(run)[0]:.2f} |", flush=True)


def images() -> None:
    """The 92 images: judgments and human IT."""
    photographs = cases.images_of_92()
    if photographs is None:
        return
    data, X = photographs
    methods = {
        "full": "full", "pruned": "pruned", "parsimonious": sc.Pruner(kind="dissimilarity", search="parsimonious"),
        "ridge (PAG18)": "ridge", "ridge (frrsa)": "frrsa", "pruned, then frrsa": "pruned+frrsa", "LASSO": "lasso",
        "Sim-DR": "sim-dr", "ridge, squared differences": Ridge("sqeuclidean", standardize=True),
        **{f"as many by {rule}": rule for rule in ("variance", "zeros", "random", "reversed")},
    }  # fmt: skip
    for name, target in (("behaviour", data.behaviour.mean(axis=0)), ("human IT", data.human_it_mean)):
        terms = {"pruner": sc.Pruner(kind="dissimilarity"), "permutations": 1000, "progress": False}
        took, result = machine.timed(partial(sc.compare, X, target, methods, cv=5, repeats=4, **terms))
        print(f"\n**92 images, {name}** ({took:.0f} s)\n")
        print(comparison_markdown(result), flush=True)


def animals() -> None:
    """The 398 animals: clusters against WordNet, full and pruned to WordNet's similarities, as the paper's Table 2."""
    data = sc.datasets.load_imagenet_animals()
    leaves = [str(synset) for synset in data.synsets]
    result = sc.cross_validate(data.X, data.target, cv=5, curves=False, progress=False)
    given = data.X, result, leaves, data.hypernyms
    full, pruned = (sc.taxonomy.held_out_jaccard(*given, space=space) for space in ("full", "pruned"))
    table = sc.taxonomy.concordance_table(full, pruned)
    print(
        f"\n**398 animals, clusters against WordNet**: {full.scored} categories scored ({full.too_few} have fewer than "
        f"10 neighbours in WordNet, {full.alone} of them none; {full.too_many} more than 160); the test categories of "
        f"each fold by themselves, in features that it kept without them ({float(result.n_kept.mean()):.0f} of "
        f"{data.X.shape[1]})\n"
    )
    print("| clusters | full | pruned | difference beyond chance | 95 % interval, groups |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for cut, row in table.iterrows():
        interval = f"{row.lower:.3f} to {row.upper:.3f}, {row.groups:.0f}"
        print(f"| {cut} | {row.full:.3f} | {row.pruned:.3f} | {row.beyond:+.3f} | {interval} |")


if __name__ == "__main__":
    times()
    animals()
    images()
