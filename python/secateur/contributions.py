"""What single features contribute: checked wrappers over the compiled core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .execution import Execution, multiply_adds
from .features import as_array, read_features, read_order, read_subset, refuse_mask
from .measures import check_comparator, check_metric
from .problem import Problem, device_array
from .targets import read_target

if TYPE_CHECKING:
    from ._typing import ControlLike, EmbeddingLike, SubsetLike, TargetLike, WeightsLike
    from .execution import Device, Precision
    from .features import Matrix
    from .measures import ComparatorOrAlias, Metric
    from .targets import Kind

__all__ = ["add_one", "insertion_curve", "leave_one_out"]


def _read(
    X: EmbeddingLike, target: TargetLike, metric: Metric, comparator: ComparatorOrAlias, kind: Kind | None, weights:
    WeightsLike | None, control: ControlLike | None, device: Device, threads: int | None, precision: Precision,
) -> Problem:  # fmt: skip
    """What the three verbs share of their arguments, read, checked and loaded."""
    features = read_features(X, device_arrays=True)
    targets = read_target(target, features.n, kind, weights, features.stimuli, control=control, device_arrays=True)
    metric, comparator = check_metric(metric), check_comparator(comparator)
    execution = Execution.resolved(
        device, threads, precision, comparator=comparator, stimuli=features.n,
        device_array=device_array(features, targets), work=multiply_adds(features.n, features.d, len(targets)),
    )  # fmt: skip
    return Problem(features, targets, metric, comparator, execution).load()


def leave_one_out(
    X: EmbeddingLike,
    target: TargetLike,
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "pearson",
    *,
    subset: SubsetLike | None = None,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    device: Device = "auto",
    threads: int | None = None,
    precision: Precision = "double",
) -> Matrix:
    """Alignment with each feature removed.

    Removal means that the feature is absent from the similarity: the norms (cosine) or mean and norm
    (correlation) are those of the rest.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64, float32 too: all stimuli are in use. A float64 array on a CUDA device
        (``__cuda_array_interface__`` or DLPack) stays there, as does a target of any shape without missing pairs that
        count; weights may lie beside it.
    target, metric, comparator, kind, weights, control, device, threads
        As in :func:`secateur.alignment`.
    subset : bool mask (d,) or integer indices, optional
        The features present before the removal; all by default.
    precision : {"double", "single"}
        ``"single"``, on a CUDA device alone: the changes that features make are summed in single precision and added
        to a double baseline, which keeps the order of the features but for near ties. Similarities that hardly
        vary stay in double, as do all comparators but ``pearson`` and ``cosine``.

    Returns
    -------
    ndarray (d,), or (T, d) for several targets; float64
        For a feature that is not in the subset: the alignment of the subset itself. NaN where the removal
        leaves a stimulus without direction.

    Raises
    ------
    TypeError
        Where X, target or weights hold no real numbers, or subset neither booleans nor integers.
    ValueError
        As :func:`secateur.alignment`; where subset names a feature twice or one that isn't there; where a CUDA device
        does not take the comparator or so many stimuli, or the processor single precision.
    RuntimeError
        Where a CUDA device is asked for and none can be used.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, "Determining contribution".

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(8, 5))
    >>> leave_one_out(X, X @ X.T).shape
    (5,)
    """
    problem = _read(X, target, metric, comparator, kind, weights, control, device, threads, precision)
    chosen = read_subset(subset, problem.features.d)
    result: Matrix = problem.targets.squeeze(problem.leave_one_out(chosen))
    return result


def add_one(
    X: EmbeddingLike,
    target: TargetLike,
    subset: SubsetLike,
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "pearson",
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    device: Device = "auto",
    threads: int | None = None,
    precision: Precision = "double",
) -> Matrix:
    """Alignment with each feature added to a subset.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64, float32 too: all stimuli are in use. A float64 array on a CUDA device
        (``__cuda_array_interface__`` or DLPack) stays there, as does a target of any shape without missing pairs that
        count; weights may lie beside it.
    subset : bool mask (d,) or integer indices
        The features present before the addition; may be empty.
    target, metric, comparator, kind, weights, control, device, threads
        As in :func:`secateur.alignment`.
    precision : {"double", "single"}
        As in :func:`secateur.leave_one_out`.

    Returns
    -------
    ndarray (d,), or (T, d) for several targets; float64
        For a feature of the subset: the alignment of the subset itself (NaN where that is empty). NaN where
        a stimulus has no direction.

    Raises
    ------
    TypeError
        Where X, target or weights hold no real numbers, or subset neither booleans nor integers.
    ValueError
        As :func:`secateur.alignment`; where subset names a feature twice or one that isn't there; where a CUDA device
        does not take the comparator or so many stimuli, or the processor single precision.
    RuntimeError
        Where a CUDA device is asked for and none can be used.

    References
    ----------
    The step of greedy forward selection, which Tarigopula, Fairhall & Hasson (2023), §2.2, replace by a ranking.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(8, 5))
    >>> add_one(X, X @ X.T, subset=[0, 3]).shape
    (5,)
    """
    problem = _read(X, target, metric, comparator, kind, weights, control, device, threads, precision)
    chosen = read_subset(subset, problem.features.d, empty=True)
    result: Matrix = problem.targets.squeeze(problem.add_one(chosen))
    return result


def insertion_curve(
    X: EmbeddingLike,
    target: TargetLike,
    order: SubsetLike,
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "pearson",
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    device: Device = "auto",
    threads: int | None = None,
    precision: Precision = "double",
) -> Matrix:
    """Alignment of each prefix of an order of features.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64, float32 too: all stimuli are in use. A float64 array on a CUDA device
        (``__cuda_array_interface__`` or DLPack) stays there, as does a target of any shape without missing pairs that
        count; weights may lie beside it.
    order : integer array (m,) or (T, m)
        Distinct feature indices, first to be inserted first; one order for all targets, or one each.
    target, metric, comparator, kind, weights, control, device, threads
        As in :func:`secateur.alignment`.
    precision : {"double", "single"}
        As in :func:`secateur.leave_one_out`; the sums of an insertion run in double either way.

    Returns
    -------
    ndarray (m,), or (T, m) for several targets; float64
        Entry s is the alignment of the first s + 1 features. NaN while a stimulus has no direction.

    Raises
    ------
    TypeError
        Where X, target or weights hold no real numbers, or order no integers.
    ValueError
        As :func:`secateur.alignment`; where order names a feature twice or one that isn't there; where a CUDA device
        does not take the comparator or so many stimuli, or the processor single precision.
    RuntimeError
        Where a CUDA device is asked for and none can be used.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, "Selection-to-criterion".

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(8, 5))
    >>> insertion_curve(X, X @ X.T, order=[4, 2, 0]).shape
    (3,)
    """
    problem = _read(X, target, metric, comparator, kind, weights, control, device, threads, precision)
    rows = np.atleast_2d(refuse_mask(as_array(order, "order"), "order"))
    if rows.ndim != 2 or len(rows) not in (1, len(problem.targets)):
        raise ValueError(f"order must have shape (m,) or ({len(problem.targets)}, m), got shape {np.shape(order)}")
    if rows.dtype == np.bool_:
        raise TypeError("order must hold feature indices, got booleans")
    orders = np.stack([read_order(row, problem.features.d) for row in rows])
    result: Matrix = problem.targets.squeeze(problem.insertion_curve(orders))
    return result
