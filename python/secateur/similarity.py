"""The similarity space of an embedding, and how well it aligns with a target's."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, overload

import numpy as np

from .execution import Execution, check_device, thread_count
from .features import DeviceFeatures, Matrix, read_features, read_subset
from .measures import check_comparator, check_metric
from .problem import Problem, similarities_of
from .targets import read_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ._typing import ControlLike, EmbeddingLike, HostEmbeddingLike, HostTargetLike, RDMs, SubsetLike, WeightsLike
    from .execution import Device
    from .measures import ComparatorOrAlias, Metric
    from .targets import Kind

__all__ = [
    "NO_SIMILARITY", "OpposedWarning", "UndefinedPairsWarning", "alignment", "mark", "mark_words", "opposition",
    "similarity", "warn_of_opposition", "warn_of_undefined_pairs",
]  # fmt: skip

NO_SIMILARITY = "have no similarity in the kept features (all zero, or for correlation all alike, in one of the two)"


class UndefinedPairsWarning(UserWarning):
    """Pairs of held-out stimuli without a direction in the kept features were left out of a score."""


class OpposedWarning(UserWarning):
    """All features together align with a target below zero: it is of the other kind, or they don't fit it at all."""


def similarity(
    X: HostEmbeddingLike, metric: Metric = "cosine", *, subset: SubsetLike | None = None, threads: int | None = None
) -> Matrix:
    """Similarity of every pair of stimuli.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64.
    metric : {"cosine", "correlation", "dot", "sqeuclidean", "euclidean", "cityblock"}
        ``correlation`` is Pearson's over features, ``cityblock`` the sum of absolute differences. Distances enter
        negated: larger always means more alike.
    subset : bool mask (d,) or integer indices, optional
        The features that are present; all by default. An absent feature is absent from norms and means too.
    threads : int, optional
        All available processors by default. The result is the same, bit for bit, for any number.

    Returns
    -------
    ndarray, shape (n(n-1)/2,), float64
        In ``numpy.triu_indices(n, 1)`` order. NaN for pairs of a stimulus whose features are all zero
        (cosine) or constant (correlation): it has no direction.

    Raises
    ------
    TypeError
        Where X holds no real numbers, or subset neither booleans nor integers.
    ValueError
        Where X is not two-dimensional or not finite, subset names no feature, one twice or one that isn't there, or
        metric or threads is none of these.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2: cosine similarity of penultimate-layer activations.

    Examples
    --------
    >>> similarity([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]).round(3)
    array([0.   , 0.707, 0.707])
    """
    features = read_features(X)
    chosen = read_subset(subset, features.d)
    return similarities_of(features.values, check_metric(metric), chosen, thread_count(threads))


def warn_of_undefined_pairs(count: int) -> None:
    """Say once per call how many pairs a score had to leave out."""
    if count:
        warnings.warn(
            f"{count} pairs of held-out stimuli {NO_SIMILARITY} and were left out of the scores",
            UndefinedPairsWarning,
            stacklevel=3,
        )


def opposition(full: ArrayLike, kind: str) -> str:
    """What is to be said where mean alignments (T,) of all features are below zero; empty where none is."""
    means = np.atleast_1d(np.asarray(full, dtype=np.float64))
    below = means < 0
    if not below.any():
        return ""
    of = f" for {int(below.sum())} of {len(means)} targets" if len(means) > 1 else ""
    value = f"{np.nanmin(means):.3f}" + (" at the least" if of else "")
    if kind == "choices":
        return (
            f"the mean full alignment is below zero{of} ({value}): either the odd one out stands in another column of "
            "the choices than was said, or the features' similarities run against them, and then a gain that ends "
            "below zero is no evidence of a fit"
        )
    other = "dissimilarity" if kind == "similarity" else "similarity"
    read, held = (name.replace("ity", "ities") for name in (kind, other))
    return (
        f"the mean full alignment is below zero{of} ({value}): either the target, read as {read}, holds {held} (pass "
        f"kind='{other}'), or the features' similarities run against it, and then a gain that ends below zero is no "
        "evidence of a fit"
    )


def mark(gain: float, score: float) -> str:
    """What a table has behind a gain that leads to a score below zero: †, which :func:`mark_words` explains."""
    return "†" if gain > 0 and score < 0 else ""


def mark_words(of: str = "pruned") -> str:
    """What † of :func:`mark` means: ``of`` is what has the score."""
    return f"†: the {of} alignment is below zero too: the gain is no evidence of a fit."


def warn_of_opposition(full: ArrayLike, kind: str) -> None:
    """Say so once per call, of mean alignments (T,) of all features."""
    words = opposition(full, kind)
    if words:
        warnings.warn(words, OpposedWarning, stacklevel=3)


# One target's is a float, those of T an array; which of the two an array holds, its type does not say.
@overload
def alignment(
    X: EmbeddingLike, target: RDMs, metric: Metric = ..., comparator: ComparatorOrAlias = ..., *,
    subset: SubsetLike | None = ..., kind: Kind | None = ..., weights: WeightsLike | None = ..., control: ControlLike |
    None = ..., device: Device = ..., threads: int | None = ...,
) -> Matrix: ...  # fmt: skip
@overload
def alignment(
    X: EmbeddingLike, target: Sequence[float], metric: Metric = ..., comparator: ComparatorOrAlias = ..., *,
    subset: SubsetLike | None = ..., kind: Kind | None = ..., weights: WeightsLike | None = ..., control: ControlLike |
    None = ..., device: Device = ..., threads: int | None = ...,
) -> float: ...  # fmt: skip
@overload
def alignment(
    X: EmbeddingLike, target: HostTargetLike, metric: Metric = ..., comparator: ComparatorOrAlias = ..., *,
    subset: SubsetLike | None = ..., kind: Kind | None = ..., weights: WeightsLike | None = ..., control: ControlLike |
    None = ..., device: Device = ..., threads: int | None = ...,
) -> float | Matrix: ...  # fmt: skip
def alignment(
    X: EmbeddingLike,
    target: HostTargetLike,
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "pearson",
    *,
    subset: SubsetLike | None = None,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    device: Device = "auto",
    threads: int | None = None,
) -> float | Matrix:
    """Alignment of an embedding's similarities with a target's (second-order isomorphism).

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64.
    target : (n, n) | (P,) | (T, P) | (T, n, n) array, rsatoolbox RDMs, or xarray DataArray
        Pairs in ``numpy.triu_indices(n, 1)`` order; NaN leaves a pair out of that target.
    metric : Metric
        As in :func:`secateur.similarity`.
    comparator : {"pearson", "cosine", "corr_cov", "cosine_cov", "spearman", "rho-a", "tau-a", "tau-b"}
        rsatoolbox's comparators, taken over pairs; its ``"corr"`` is ``"pearson"``, its ``"kendall"`` is ``"tau-b"``.
        The whitened ones (``_cov``) take the noise of pairs that share a stimulus for independent patterns, and need
        every pair. Kendall's tau-a is of all pairs of pairs, tau-b of those tied on neither side. To rank comparators
        similarities within 1e-12 of each other, neighbour by neighbour along their sorted order, are tied: in units of
        the largest absolute one, of 1 for cosine and correlation, and for euclidean distances in their squares. A
        target's values tie where they are equal.
    subset : bool mask (d,) or integer indices, optional
        The features that are present; all by default.
    kind : {"similarity", "dissimilarity"}, optional
        What the target holds. Dissimilarities enter negated, so that larger always means better aligned. By default as
        the target says itself: rsatoolbox RDMs hold dissimilarities, a DataArray may have ``kind`` among its ``attrs``,
        and a square matrix has a diagonal (its top where it holds similarities, its bottom where dissimilarities).
        Packed pairs say nothing, so that it has to be said here.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.
    control : matrices, optional
        One or more matrices over the same stimuli, of any form that a target has: what similarities and target share
        with them is taken from both, so that alignments are partial correlations. For comparators ``"pearson"`` and
        ``"spearman"``. A pair that a control lacks (NaN) has no weight.
    device : {"auto", "cpu", "cuda"}
        ``"cuda"`` never falls back to the processor; ``"auto"`` does, where no CUDA device can be used, where the call
        is not one for it, or where there is little to do.
    threads : int, optional
        All available processors by default. The result is the same, bit for bit, for any number.

    Returns
    -------
    float, or ndarray (T,) for several targets
        NaN where a pair that counts is undefined, or where similarities or target are constant (rho-a and tau-a: 0).

    Raises
    ------
    TypeError
        Where X, target or weights hold no real numbers, or subset neither booleans nor integers.
    ValueError
        Where X is not two-dimensional or not finite, target or weights don't fit its stimuli, the kind is neither given
        nor told by the target, or a name, subset or threads is none of these.
    RuntimeError
        Where a CUDA device is asked for and none can be used.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §1.1 (second-order isomorphism); Kriegeskorte et al. (2008). Whitened
    comparators: Diedrichsen, Berlot, Mur, Schütt, Shahbazi & Kriegeskorte (2021).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(6, 4))
    >>> round(alignment(X, similarity(X), kind="similarity"), 12)
    1.0
    """
    features = read_features(X, device_arrays=True)
    targets = read_target(target, features.n, kind, weights, features.stimuli, control=control)
    chosen = read_subset(subset, features.d)
    check_device(device)
    lies = "X" if isinstance(features, DeviceFeatures) else ""
    # One space is too little to bring X to a device for; the comparison is the processor's.
    asked = "cpu" if device == "auto" and not lies else device
    execution = Execution.resolved(asked, threads, stimuli=features.n, device_array=lies)
    problem = Problem(features, targets, check_metric(metric), check_comparator(comparator), execution)
    result: float | Matrix = targets.squeeze(problem.compare(problem.load(targets=False).similarities(chosen)))
    return result
