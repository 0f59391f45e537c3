"""Fine-tuned beside pruned on the 92 images: behaviour and human IT, the same folds; what a batch of images saves.

    SECATEUR_DATA=… python benchmarks/show_finetune.py [OUT] [--epochs 6] [--cv 5]

EfficientNet-lite0 with its ImageNet weights, the first fourteen blocks frozen. OUT is a folder for the pictures; they
show the data and are no part of this project. Minutes on two cores.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import secateur as sc
from secateur import datasets, networks, report, targets
from secateur.comparison import explained_variance
from secateur.finetuning import DissimilarityTrainer, FineTuned

TERMS = {"freeze": "up to _blocks.13", "lr": 0.02, "momentum": 0.9, "batch": 200, "layers": ["penultimate"]}


def beside(net, data, rdms, epochs: int, cv: int, title: str, out: Path | None) -> None:
    """Four methods in folds, their share of what any model could explain, and the null of relabelled images."""
    mean = targets.average(rdms)
    pruner = sc.Pruner("correlation", kind="dissimilarity")
    tuned = FineTuned(DissimilarityTrainer(net, epochs=epochs, **TERMS), data.images)
    methods = {"full": "full", "pruned": "pruned", "fine-tuned": tuned, "tuned + pruned": tuned.then(pruner)}
    X = networks.embed(net, data.images)
    start = time.perf_counter()
    result = sc.compare(X, mean, methods, cv, pruner=pruner, predictions=True, permutations=1000)
    took = time.perf_counter() - start
    history = tuned.trainer_.history_  # of the last fold
    print(report.comparison_markdown(result, title=title))
    scores = explained_variance(result, rdms)
    print(report.explained_markdown(scores))
    square = np.zeros((92, 92))
    square[np.triu_indices(92, 1)] = mean
    square += square.T
    order = np.random.default_rng(0).permutation(92)
    only = {name: methods[name] for name in ("pruned", "fine-tuned")}
    null = sc.compare(X, square[np.ix_(order, order)], only, cv, pruner=pruner).test_alignment.mean(("target", "fold"))
    print(f"Images relabelled at random: pruned {null[0]:+.3f}, fine-tuned {null[1]:+.3f}.")
    print(f"{took:.0f} s for {cv} folds of the table above.\n")
    if out is not None:
        stem = title.split()[0].lower()
        report.comparison(result).savefig(out / f"{stem}_comparison.png")
        report.explained_variance(scores).savefig(out / f"{stem}_explained.png")
        report.training(history).savefig(out / f"{stem}_training.png")


def speed(net, data) -> None:
    """Seconds an epoch, the same number of steps and of pairs in a step, by both forms."""
    mean = targets.average(data.behaviour)
    print("| pairs in a step | form | forward passes an epoch | s an epoch | loss after it |")
    print("|---:|---|---:|---:|---:|")
    for batch in (32, 200):
        for form in ("images", "pairs"):
            trainer = DissimilarityTrainer(
                net, **TERMS | {"batch": batch}, epochs=1, form=form, validation=None, seed=1
            )
            seconds, passes = [], []
            own = DissimilarityTrainer._epoch

            def timed(self, line, *rest, seconds=seconds, passes=passes, own=own):
                handle = line.steps.modules[line.cut].register_forward_pre_hook(lambda _, x: passes.append(len(x[0])))
                start = time.perf_counter()
                found = own(self, line, *rest)
                seconds.append(time.perf_counter() - start)
                handle.remove()
                return found

            DissimilarityTrainer._epoch = timed
            try:
                loss = float(trainer.fit(data.images, mean).history_.loss[-1])
            finally:
                DissimilarityTrainer._epoch = own
            print(f"| {batch} | {form} | {sum(passes)} | {seconds[0]:.1f} | {loss:.4f} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--cv", type=int, default=5)
    given = parser.parse_args()
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
    data = datasets.fetch_kriegeskorte92()
    net = networks.load("efficientnet-lite0")
    beside(net, data, data.behaviour, given.epochs, given.cv, "Behaviour (16 people)", given.out)
    beside(net, data, data.human_it.mean(axis=1), given.epochs, given.cv, "IT (4 people)", given.out)
    speed(net, data)


if __name__ == "__main__":
    main()
