"""The permutation null: the target's stimuli relabelled, the whole procedure rerun."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_integer
from ..features import Indices, Matrix
from ..pairs import pair_count
from ..problem import Problem
from ..progress import Report, with_parts
from ..pruning import Pruner
from ..relabelling import relabelled, relabellings
from ..resuming import Arrays, kept_parts
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import mean_of_defined, permutation_p
from ..targets import read_target
from ..validation import (
    Fold,
    Over,
    attributes,
    held_out_pairs,
    left_out,
    left_out_folds,
    names_or_numbers,
    pruner_of,
    score_fold,
    settings_of_run,
)

if TYPE_CHECKING:
    import xarray

    from .._typing import (
        ControlLike,
        HostEmbeddingLike,
        HostTargetLike,
        LabelsLike,
        NamesLike,
        PathOrPaths,
        Splits,
        WeightsLike,
    )
    from ..targets import Kind

__all__ = ["at_once_of", "family_wise_p", "permutation_test"]


def at_once_of(d: int, targets: int, pairs: int = 0) -> int:
    """How many variants of all targets, over so many pairs, go through the core in one call."""
    most = min((32 << 20) // (8 * d * max(1, targets)), (1 << 30) // (8 * max(1, pairs * targets)))
    return max(1, min(64, most))


def permutation_test(
    X: HostEmbeddingLike,
    target: HostTargetLike,
    n: int = 1000,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    over: Over = "stimuli",
    subjects: NamesLike | None = None,
    store: PathOrPaths | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """The null of the whole procedure: the target's stimuli relabelled, the cross-validated pruning rerun.

    Parameters
    ----------
    X, target, pruner, cv, repeats, kind, weights, control, over, subjects, progress
        As in :func:`secateur.cross_validate`.
    n : int
        Number of relabellings; each permutes the stimuli of every target (and its missing pairs and weights)
        in one way. Folds stay as they are.
    groups : array (n,), optional
        As in :func:`secateur.cross_validate`; all of one size. A relabelling moves whole groups to the places of
        others, and is free within each.
    seed : int
        Of the folds, and of the relabellings.
    store : path, optional
        As in :func:`secateur.cross_validate`: a folder that takes the null in blocks, of up to 64 relabellings in one
        fold. A run that was killed goes on where it was, and ends with the same bits.

    Returns
    -------
    xarray.Dataset, dims (target[, permutation])
        ``pruned_test`` and ``gain`` (target, permutation): means, over the folds that have a score, of the held-out
        pruned alignment and of its excess over the full one, under the null; ``observed_pruned_test``,
        ``observed_gain``, ``p_pruned_test``, ``p_gain`` (target), with p = (1 + #{null >= observed}) / (1 + n).
        For more than one target also ``p_max_pruned_test`` and ``p_max_gain`` (target): the same against the largest
        null value of all targets in each relabelling, which bounds the chance of one false find among them
        (family-wise error); targets without an observed score are not of the family. Where targets share a set of
        features (the pruner's ``joint``), also ``observed_mean_pruned_test``, ``p_mean_pruned_test`` and the same of
        ``gain``: of the mean over targets, as of subjects.

    Notes
    -----
    A relabelling is exact where stimuli are exchangeable. Exemplars of categories are not: they are alike within their
    category in X and target both, whether or not categories relate, so that relabelling them one by one finds too
    much (12 categories of 3: 25 % false positives at 5 %; ``benchmarks/simulate_inference.py groups``). Give the
    categories as ``groups``. G groups have G! places: with 4 of them no p is far below 1/24.

    ``gain`` under the null is the gain of pruning to a target
    that has nothing to do with X; a target that fits X and gains nothing is not of this null. The largest value is
    taken in correlation units: a target whose null is wide rules the family's. For many targets and a laxer rule,
    see :func:`secateur.benjamini_hochberg`.

    References
    ----------
    The relabelling of stimuli is Mantel's (1967, Cancer Research 27); Kriegeskorte, Mur & Bandettini (2008) for
    similarity spaces. The largest value: Nichols & Holmes (2002, Human Brain Mapping 15), "Single threshold test".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20, 10))
    >>> null = permutation_test(X, X[:, :3] @ X[:, :3].T, n=9, cv=3)
    >>> null.sizes["permutation"]
    9
    """
    import xarray

    n = check_integer("n", n, 1)
    pruner = pruner_of(pruner, kind, over)
    settings = pruner.settings()
    features = settings.read_features(X)
    targets = read_target(target, features.n, pruner.kind, weights, features.stimuli, control=control)
    folds, _, whose = left_out_folds(over, targets, subjects, features.n, cv, repeats, seed, groups)
    held_out_pairs(folds, targets)
    orders = np.vstack([np.arange(features.n), relabellings(features.n, n, seed, groups)])
    joint = settings.search.joint != "each"
    at_once = 1 if joint else at_once_of(features.d, len(targets), pair_count(features.n))
    batches = [orders[b : b + at_once] for b in range(0, len(orders), at_once)]
    found: dict[str, list[Matrix]] = {"pruned_test": [], "gain": []}
    undefined = 0
    full: list[Matrix] = []
    pruned: list[Matrix] = []
    problem = settings.problem(features, targets, folds, runs=n + 1)
    apart = 1 if whose is None else int(whose.max()) + 1
    steps = [batch for batch in batches for _ in folds]
    attrs = attributes(pruner, targets.kind, cv, repeats, seed, targets.controls) | left_out(over)
    moved: Problem | None = None

    def run(batch: Indices, fold: Fold, report: Report) -> Arrays:
        nonlocal moved
        if moved is None:
            moved = problem.against(relabelled(targets, batch))
        scores = score_fold(moved, fold, settings.search, groups=groups, report=report, whose=whose)
        return {"full": scores.full_test, "pruned": scores.pruned_test, "undefined": scores.undefined}

    depends = partial(settings_of_run, attrs, problem, pruner, folds, groups, whose, permutations=n)
    with kept_parts(store, "permutation_test", depends) as kept:
        done, sizes = kept.first("block"), [*map(len, steps)]
        left = sum(sizes[done:]) // len(folds)
        settings.cost(problem, folds, left * apart, at_once).announce(progress)
        for step, (batch, report) in enumerate(with_parts(steps, n, "relabellings", progress, sizes, done)):
            made = kept.part("block", step, partial(run, batch, folds[step % len(folds)], report))
            undefined += int(made["undefined"].sum())
            full.append(made["full"])
            pruned.append(made["pruned"])
            if len(full) == len(folds):
                after, shape = np.stack(pruned), (len(batch), len(targets))
                found["pruned_test"].append(mean_of_defined(after).reshape(shape))
                found["gain"].append(mean_of_defined(after - np.stack(full)).reshape(shape))
                full, pruned, moved = [], [], None
    warn_of_undefined_pairs(undefined)
    variables: dict[str, Any] = {}
    for name, parts in found.items():
        values = np.concatenate(parts).T
        observed, null = values[:, 0], values[:, 1:]
        variables[name] = (("target", "permutation"), null)
        variables[f"observed_{name}"] = (("target",), observed)
        variables[f"p_{name}"] = (("target",), permutation_p(observed, null))
        if len(targets) > 1:
            variables[f"p_max_{name}"] = (("target",), family_wise_p(observed, null))
        if joint:
            mean = mean_of_defined(values)[None]
            variables[f"observed_mean_{name}"] = ((), float(mean[0, 0]))
            variables[f"p_mean_{name}"] = ((), float(permutation_p(mean[:, 0], mean[:, 1:])[0]))
    full_test = variables["observed_pruned_test"][1] - variables["observed_gain"][1]
    warn_of_opposition(full_test, targets.held)
    coords = {"target": names_or_numbers(targets.labels, len(targets)), "permutation": np.arange(n)}
    return xarray.Dataset(variables, coords, {**attrs, "n": n})


def family_wise_p(observed: Matrix, null: Matrix) -> Matrix:
    """p (T,) against the largest of the targets' null values (T, n); an undefined one counts as the largest."""
    family = ~np.isnan(observed)
    if not family.any():
        return np.full(len(observed), np.nan)
    largest = np.where(np.isnan(null[family]), np.inf, null[family]).max(axis=0)
    return permutation_p(observed, np.broadcast_to(largest, null.shape))
