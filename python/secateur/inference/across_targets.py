"""Transfer: features chosen for one target, scored on every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..features import read_features
from ..progress import with_progress
from ..pruning import Pruner
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import mean_of_defined
from ..targets import read_target
from ..validation import (
    attributes,
    names_or_numbers,
    pruner_of,
    split,
)

if TYPE_CHECKING:
    import xarray

    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike, Splits, WeightsLike
    from ..targets import Kind

__all__ = ["transfer"]


def transfer(
    X: HostEmbeddingLike,
    target: HostTargetLike,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """How features chosen for one target do on every other: learnt on training stimuli, scored on test stimuli.

    Parameters
    ----------
    X, target, pruner, cv, repeats, seed, groups, kind, weights, progress
        As in :func:`secateur.cross_validate`, with T targets: regions, subjects, time points, behaviour.

    Returns
    -------
    xarray.Dataset, dims (source, target[, fold])
        ``pruned_test`` (source, target, fold): the held-out alignment with the target of the features chosen for the
        source; ``full_test`` (target, fold) that of all features; ``transfer`` and ``gain`` (source, target): means
        over the folds that have a score of ``pruned_test``, and of its excess over ``full_test``. ``n_kept``
        (source, fold); ``undefined_pairs`` (source, target, fold): pairs that were not scored.

    Raises
    ------
    TypeError, ValueError
        As :func:`secateur.cross_validate`.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Once, where the mean of ``full_test`` is below zero for a target: it may be of the other kind.

    Notes
    -----
    The diagonal of ``transfer`` is what :func:`secateur.cross_validate` finds. Target b's test pairs are new to target
    a's features, also where the two share noise (sessions of a subject, neighbouring time points).

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023) prune by behaviour and score on regions of the brain: here every two targets.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> targets = np.stack([X[:, :5] @ X[:, :5].T, X[:, 5:10] @ X[:, 5:10].T])
    >>> (transfer(X, targets, cv=3).gain > 0).values
    array([[ True, False],
           [False,  True]])
    """
    import xarray

    features = read_features(X)
    pruner = pruner_of(pruner, kind)
    settings = pruner.settings()
    targets = read_target(target, features.n, pruner.kind, weights, features.stimuli)
    folds, repeat = split(features.n, cv, repeats, seed, groups)
    all_features = np.ones(features.d, dtype=bool)
    pruned_test = np.empty((len(targets), len(targets), len(folds)))
    undefined = np.empty(pruned_test.shape, dtype=np.int64)
    full_test = np.empty((len(targets), len(folds)))
    n_kept = np.empty(full_test.shape, dtype=np.int64)
    problem = settings.problem(features, targets, folds, runs=1)
    for f, (train, test) in enumerate(with_progress(folds, len(folds), "folds", progress)):
        support = settings.search.run(problem, stimuli=train, detail="support", groups=groups).support
        tested = problem.among(test)
        full_test[:, f], _ = tested.held_out_alignment(None, all_features)
        for source, mask in enumerate(support):
            pruned_test[source, :, f], undefined[source, :, f] = tested.held_out_alignment(None, mask)
        n_kept[:, f] = support.sum(axis=1)
    warn_of_undefined_pairs(int(undefined.sum()))
    warn_of_opposition(mean_of_defined(full_test.T), targets.kind)
    by_fold = np.moveaxis(pruned_test, -1, 0)
    variables = {
        "transfer": (("source", "target"), mean_of_defined(by_fold)),
        "gain": (("source", "target"), mean_of_defined(by_fold - full_test.T[:, None])),
        "pruned_test": (("source", "target", "fold"), pruned_test),
        "full_test": (("target", "fold"), full_test),
        "n_kept": (("source", "fold"), n_kept),
        "undefined_pairs": (("source", "target", "fold"), undefined),
    }
    names = names_or_numbers(targets.labels, len(targets))
    coords = {"source": names, "target": names, "fold": np.arange(len(folds)), "repeat": ("fold", repeat)}
    return xarray.Dataset(variables, coords, attributes(pruner, targets.kind, cv, repeats, seed))
