"""The paper's MEG analysis on real data: AlexNet, the 92 images, 15 subjects' MEG matrices, early and late.

    SECATEUR_DATA=… python benchmarks/show_meg.py [--permutations N] [--methods NAME …] [--layers NAME …]

SECATEUR_DATA has to hold ``algonauts92_meg.npz`` (dissimilarities, a matrix per subject: the Algonauts 2019
challenge's means over 70-90 and 140-160 ms) and ``alexnet92.npz`` (an ImageNet AlexNet's activations of the same
images, in the same order). The statistics are those of ``secateur.timecourse.paper_windows``: a pruning per subject and
fold, means over folds in Fisher's z, a paired one-sided t over subjects. Beside it what that test doesn't ask: whether
features dealt to other stimuli would have the gain too (stimuli relabelled alike for all subjects, pruned anew).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import secateur as sc
from secateur.networks.network import Preprocessing
from secateur.statistics import benjamini_hochberg, fisher_z, paired_t, permutation_p

WINDOWS = ("early", "late")
METHODS = [
    "full",
    "pruned",
    "frrsa",
    "pruned+frrsa",
    "fine-tuned",
    "readout",
    "variance",
    "zeros",
    "random",
    "reversed",
]
LAYERS = ["conv5", "fc6", "fc7", "fc8"]
FROM = {"fc7": "fc6", "fc8": "fc7"}  # what a layer is computed of, where that is saved too
RECTIFIED = ("fc7",)
LEARNING = {"lr": 3.0, "momentum": 0.9, "batch": 200, "epochs": 15, "validation": 5}


def read(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Layers (92, d) by name, and matrices (subject, pair) by window."""
    rows, columns = np.triu_indices(92, 1)
    with np.load(folder / "alexnet92.npz") as layers, np.load(folder / "algonauts92_meg.npz") as meg:
        X = {name: layers[name].astype(np.float64) for name in LAYERS}
        return X, {name: meg[f"meg_{name}"][:, rows, columns].astype(np.float64) for name in WINDOWS}


def fine_tuned(before: np.ndarray, after: np.ndarray, rectified: bool) -> object:
    """A layer fine-tuned from its saved inputs (n, d) and outputs (n, e): a method of ``compare``.

    What gradient descent adds to the layer's weights is all that has to be known: they are W + dW, the saved outputs
    hold W x, and dW begins at zero. For a linear layer (fc8) this is fine-tuning itself, step by step; of a rectified
    one (fc7) the answers below zero are not saved, and count as zero. dW lies in the span of the inputs, so that n of
    its dimensions serve for d. A photograph is here one pixel with the stimulus' number.
    """
    import torch

    from secateur.finetuning import DissimilarityTrainer, FineTuned

    left, sizes, _ = np.linalg.svd(before, full_matrices=False)
    inputs = left * sizes
    inputs *= np.sqrt((after**2).sum() / (inputs**2).sum())  # which sets the unit of the learning rate
    n, rank = inputs.shape

    class Saved(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("held", torch.from_numpy(np.hstack([inputs, after])).float())

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            number = (images[:, 0, 0, 0] * 255).round().long().clamp(0, n - 1)
            return self.held[number, :, None, None]

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.added = torch.nn.Linear(rank, after.shape[1])
            torch.nn.init.zeros_(self.added.weight)
            torch.nn.init.zeros_(self.added.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.flatten(1)
            out = x[:, rank:] + self.added(x[:, :rank])
            return out.relu() if rectified else out

    torch.set_num_threads(1)
    pixels = np.zeros((n, 1, 1, 3), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(n)
    as_it_is = Preprocessing(None, None, mean=(0, 0, 0), std=(1, 1, 1))
    module = torch.nn.Sequential(Saved(), Layer())
    net = sc.networks.wrap(module, trunk=["0"], neck=["1"], preprocessing=as_it_is, name="saved activations", size=1)
    return FineTuned(DissimilarityTrainer(net, **LEARNING), pixels, progress=False)


def tested(values: np.ndarray, full: np.ndarray) -> tuple[float, float]:
    """t and p of the gain over subjects, in Fisher's z, one-sided: as ``paper_windows`` has them."""
    test = paired_t(fisher_z(values), fisher_z(full), "greater")
    return test.t, test.p


def side_by_side(X: dict, matrices: dict, pruner: sc.Pruner, n: int) -> None:
    """Which layers differ, over stimuli and subjects; and what full, pruned and pixels say alone and together."""
    images = sc.datasets.fetch_kriegeskorte92(os.environ["SECATEUR_DATA"]).images
    pixels = -sc.similarity(np.asarray(images, dtype=np.float64).reshape(92, -1), "correlation")
    print(f"\nlayers: differences with 95 % intervals over stimuli and subjects ({n} divisions), Holm over pairs\n")
    print("| window | pair | difference | interval | p (Holm) |\n| --- | --- | ---: | ---: | ---: |")
    for window, one in matrices.items():
        result = sc.compare_models(X, one, ["full", "pruned"], pruner=pruner, n=n, progress=False)
        for pair, row in sc.models.differences_table(result).iterrows():
            bounds = f"{row.lower:+.3f} to {row.upper:+.3f}"
            print(f"| {window} | {pair} | {row.difference:+.3f} | {bounds} | {row.p_holm:.2g} |", flush=True)
    print("\nexplained variance beyond chance, mean over subjects; p of what a space says alone\n")
    head = None
    for window, one in matrices.items():
        for layer, features in X.items():
            terms = {"pruner": pruner, "n": 199, "progress": False}
            found = sc.unique_variance(features, one, {"pixels": pixels}, **terms)
            if head is None:
                head = ["window", "layer", "all", *(str(name) for name in found.part.values)]
                print(f"| {' | '.join(head)} | p: full, pruned, pixels |\n|{' --- |' * (len(head) + 1)}")
            parts = found.variance.mean("target").values
            cells = [f"{value:.3f}" for value in (parts.sum(), *parts)]
            p = ", ".join(f"{value:.3f}" for value in found.p_unique_mean.values)
            print(f"| {window} | {layer} | {' | '.join(cells)} | {p} |", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--permutations", type=int, default=200, help="relabellings of the stimuli; 0 for none")
    options.add_argument("--relabellings", type=int, default=999, help="of the stimuli, what was learnt kept; above 0")
    options.add_argument("--divisions", type=int, default=8, help="of the stimuli, to compare layers; 0 for none")
    options.add_argument("--methods", nargs="+", default=METHODS)
    options.add_argument("--layers", nargs="+", default=LAYERS)
    options.add_argument("--metric", default="cosine")
    options = options.parse_args()
    if "SECATEUR_DATA" not in os.environ:
        raise SystemExit("SECATEUR_DATA must name the folder of algonauts92_meg.npz and alexnet92.npz, got none")
    X, matrices = read(Path(os.environ["SECATEUR_DATA"]))
    saved, X = X, {name: X[name] for name in options.layers}
    pruner = sc.Pruner(options.metric, kind="dissimilarity", threads=1)
    warnings.simplefilter("ignore", sc.OpposedWarning)  # of single subjects, early: the tables say it
    warnings.simplefilter("ignore", sc.UndefinedPairsWarning)
    print(f"{options.metric}, Pearson, 5 folds, {len(matrices['early'])} subjects\n")
    for name, one in matrices.items():
        held, whole = (sc.noise_ceiling(one, cv=cv) for cv in (5, None))
        print(
            f"{name}: noise ceiling on test images {float(held.lower):.3f} to {float(held.upper):.3f}, of all pairs "
            f"{float(whole.lower):.3f} to {float(whole.upper):.3f}"
        )
    print(f"\np of r: stimuli relabelled alike for all subjects, {options.relabellings} times, what was learnt kept\n")
    print("| layer | window | method | features | r | p of r | − full | t(14) | p | q | s |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    for layer, features in X.items():
        for window, one in matrices.items():
            full = None
            for method in options.methods:
                if method == "fine-tuned" and layer not in FROM:
                    continue  # conv5 is saved pooled over the image, and what is computed of it is not; nor is conv4
                start, learns = time.perf_counter(), method
                if method == "fine-tuned":
                    learns = fine_tuned(saved[FROM[layer]], features, layer in RECTIFIED)
                elif method == "readout":  # a linear layer on this one, the identity at first
                    learns = fine_tuned(features, features, False)
                terms = {"pruner": pruner, "permutations": options.relabellings, "progress": False}
                result = sc.compare(features, one, {method: learns}, **terms).isel(approach=0)
                took = time.perf_counter() - start
                score = result.test_alignment.mean("fold").values
                chance = result.chance.values.mean(axis=0)
                p_score = float(permutation_p(np.array([score.mean()]), chance[None])[0])
                full = score if method == "full" else full
                nodes = result.nodes.mean().item()
                t, p = (np.nan, np.nan) if method == "full" or full is None else tested(score, full)
                gain = np.nan if full is None else float((score - full).mean())
                seen = f"r {score.mean():.3f}, p {p_score:.3f}, t {t:.1f}, {took:.0f} s"
                print(layer, window, method, seen, file=sys.stderr, flush=True)
                rows.append([layer, window, method, nodes, score.mean(), p_score, gain, t, p, took])
    q = benjamini_hochberg([row[8] for row in rows]).adjusted
    for row, corrected in zip(rows, q, strict=True):
        layer, window, method, nodes, score, p_score, gain, t, p, took = row
        words = f"| {layer} | {window} | {method} | {nodes:.0f} | {score:.3f} | {p_score:.3f} |"
        rest = " | | | |" if np.isnan(p) else f" {gain:+.3f} | {t:.1f} | {p:.2g} | {corrected:.2g} |"
        print(f"{words}{rest} {took:.1f} |")
    if options.divisions:
        side_by_side(X, matrices, pruner, options.divisions)
    if options.permutations:
        print(f"\nstimuli relabelled alike for all subjects, {options.permutations} times, pruned anew; p one-sided\n")
        print("| layer | window | full | pruned | gain | p of pruned | p of gain | largest over windows: p of gain |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for layer, features in X.items():
            means = {}
            for window, one in matrices.items():
                null = sc.permutation_test(features, one, options.permutations, pruner, progress=False)
                means[window] = [
                    (null[f"observed_{name}"].values.mean(), null[name].values.mean(axis=0))
                    for name in ("pruned_test", "gain")
                ]
            largest = np.max([gain for _, (_, gain) in means.values()], axis=0)
            for window, ((pruned, scores), (gain, gains)) in means.items():
                nulls = (pruned, scores), (gain, gains), (gain, largest)
                p = [float(permutation_p(seen, null)) for seen, null in nulls]
                print(
                    f"| {layer} | {window} | {pruned - gain:.3f} | {pruned:.3f} | {gain:+.3f} | "
                    + " | ".join(f"{one:.3f}" for one in p)
                    + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
