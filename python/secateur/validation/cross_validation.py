"""Out of sample: cross-validation over stimuli."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..progress import with_parts
from ..pruning import Pruner
from ..pruning.result import Detail
from ..similarity import warn_of_opposition, warn_of_undefined_pairs

if TYPE_CHECKING:
    import xarray

    from .._typing import ControlLike, EmbeddingLike, LabelsLike, Splits, TargetLike, WeightsLike
    from ..targets import Kind
from .folds import split, warn_of_small_folds
from .scores import attributes, collect, names_or_numbers, score_fold

__all__ = ["cross_validate", "pruner_of"]


def pruner_of(pruner: Pruner | None, kind: Kind | None) -> Pruner:
    pruner = Pruner() if pruner is None else pruner
    if not isinstance(pruner, Pruner):
        raise TypeError(f"pruner must be a secateur.Pruner, got {type(pruner).__name__}")
    if kind is not None:
        from sklearn.base import clone

        pruner = clone(pruner).set_params(kind=kind)
    return pruner


def cross_validate(
    X: EmbeddingLike,
    target: TargetLike,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    curves: bool = True,
    progress: bool = True,
) -> xarray.Dataset:
    """Prune on some stimuli, score on others.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Finite; computed with in float64. A numpy array of float32 (C-contiguous) is not copied as a whole by searches
        by ranking: each fold's stimuli become float64, with the same results. Others are converted once.
    target : array, rsatoolbox RDMs, or xarray DataArray
        One or T targets, in any form that :func:`secateur.alignment` takes.
    pruner : Pruner, optional
        ``Pruner()`` by default. It is not fitted or changed.
    cv : int, scikit-learn splitter, or iterable of (train, test) indices or masks
        Splits are over stimuli: training sees the pairs among training stimuli, the score is the alignment
        among the test stimuli. Each side needs at least 3.
    repeats : int
        Redraws of an integer ``cv``; repeat r uses ``seed + r``.
    seed : int
        Of the shuffles of an integer ``cv``.
    groups : array (n,), optional
        Stimuli of one group stay on one side, in the inner folds of ``search="parsimonious"`` too.
    kind : {"similarity", "dissimilarity"}, optional
        What the target holds, where neither it nor the pruner says so; overrides the pruner's.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.
    control : matrices, optional
        What neither the pruning nor a score may rest on, as in :func:`secateur.alignment`: all alignments are partial.
    curves : bool
        Whether the insertion curves (target, fold, step) are returned.
    progress : bool
        Whether a progress bar may show, once two seconds have passed, on stderr, and before a run of more than a
        minute a line with the time and memory that it will take (:mod:`secateur.cost`).

    Returns
    -------
    xarray.Dataset, dims (target, fold[, feature])
        ``full_train``, ``full_test``, ``pruned_train``, ``pruned_test``: alignments, correlation units.
        ``n_kept``, ``kept`` (feature), ``importance`` (feature), ``curve`` (step), ``undefined_pairs``: held-out
        pairs that the kept features leave undefined (not scored), and ``test`` (fold, stimulus). It can be
        saved with ``to_netcdf`` and read back whole.

    Raises
    ------
    TypeError
        Where X, target or weights hold no real numbers, pruner is no Pruner, or cv gives no folds.
    ValueError
        As :func:`secateur.search.find`, in any fold; where a side of a fold has fewer than 3 stimuli, or sides share a
        stimulus or a group.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Where the mean held-out alignment of all features is below zero: the target may be of the other kind.
    SmallFoldsWarning
        Once, where test folds have fewer than 30 pairs.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, "Out-of-sample generalization".

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 40))
    >>> result = cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3)
    >>> dict(result.sizes)["fold"]
    3
    """
    pruner = pruner_of(pruner, kind)
    settings = pruner.settings()
    features, targets = settings.read(X, target, weights, control)
    folds, repeat = split(features.n, cv, repeats, seed, groups)
    warn_of_small_folds(folds)
    problem = settings.problem(features, targets, folds, runs=1)
    settings.cost(problem, folds).announce(progress)
    shown = with_parts(folds, len(folds), "folds", progress)
    detail: Detail = "path" if curves else "importance"
    scores = (
        score_fold(problem, fold, settings.search, detail=detail, groups=groups, report=report)
        for fold, report in shown
    )
    names = (
        names_or_numbers(features.names, features.d),
        names_or_numbers(features.stimuli or targets.stimuli, features.n),
    )
    attrs = attributes(pruner, targets.kind, cv, repeats, seed, targets.controls)
    result = collect(scores, folds, repeat, targets, names, attrs, curves=curves)
    warn_of_undefined_pairs(int(result["undefined_pairs"].sum()))
    warn_of_opposition(result["full_test"].mean("fold"), targets.kind)
    return result
