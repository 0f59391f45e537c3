"""Folds over stimuli, read and checked."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_integer, check_seed, is_integer
from ..features import Indices, read_labels
from ..pairs import pair_count, pair_positions
from ..pruning.ranking import SMALLEST_FOLD, shuffled_folds

if TYPE_CHECKING:
    from .._typing import LabelsLike, Splits
    from ..targets import DeviceTargets, Targets

__all__ = ["FEWEST_PAIRS", "FEW_PAIRS", "Fold", "SmallFoldsWarning", "held_out_pairs", "split", "warn_of_small_folds"]


Fold = tuple[Indices, Indices]
FEW_PAIRS, FEWEST_PAIRS = 30, 3


class SmallFoldsWarning(UserWarning):
    """Test folds have so few pairs of stimuli that their scores say little singly."""


def held_out_pairs(folds: Iterable[Fold], targets: Targets | DeviceTargets) -> Indices:
    """How many pairs with weight each target has among the test stimuli of each fold (T, F).

    Raises
    ------
    ValueError
        Where all targets have fewer than 3 in a fold: of two pairs a correlation is 1 or -1 whatever they are.
    """
    weights, n = targets.weights, targets.n
    counts = [
        np.full(len(targets), pair_count(len(test)))
        if weights is None or targets.weight_of is None
        else (weights[:, pair_positions(test, n)] > 0).sum(axis=1)[targets.weight_of]
        for _, test in folds
    ]
    found = np.stack(counts, axis=1).astype(np.int64)
    few = np.flatnonzero(found.max(axis=0) < FEWEST_PAIRS)
    if few.size:
        raise ValueError(
            f"cv must leave at least {FEWEST_PAIRS} pairs of the target among the test stimuli, got "
            f"{found[:, few[0]].max()} in fold {few[0]}, as most are missing: fewer folds leave more"
        )
    return found


def warn_of_small_folds(folds: Iterable[Fold], pairs: Indices | None = None) -> None:
    """Say once per call that test folds have fewer than 30 pairs; ``pairs`` (T, F): of each target, where some miss."""
    counts = [pair_count(len(test)) for _, test in folds] if pairs is None else pairs.min(axis=0).tolist()
    few = [count for count in counts if count < FEW_PAIRS]
    if few:
        warnings.warn(
            f"test folds should have {FEW_PAIRS} pairs of stimuli or more, as scores of fewer are mostly noise: got "
            f"{min(few)} in {'the smallest of ' if len(few) > 1 else ''}{len(few)} of {len(counts)} folds",
            SmallFoldsWarning,
            stacklevel=3,
        )


def split(
    n: int, cv: Splits = 5, repeats: int = 1, seed: int = 0, groups: LabelsLike | None = None
) -> tuple[list[Fold], Indices]:
    """Folds over n stimuli.

    Parameters
    ----------
    n : int
        Number of stimuli.
    cv : int, scikit-learn splitter, or iterable of (train, test) indices or masks
        An integer shuffles: ``KFold``, or ``GroupKFold`` where groups are given.
    repeats : int
        How often an integer ``cv`` is drawn anew; repeat r uses ``seed + r``.
    seed : int
        Of the shuffles.
    groups : array (n,), optional
        Stimuli of one group are never on both sides.

    Returns
    -------
    folds : list of (train, test) int64 indices
    repeat : (folds,) int64

    Raises
    ------
    TypeError
        Where ``cv`` is none of these, or a fold no pair of indices or masks.
    ValueError
        Where there are more folds than stimuli or groups, a side of a fold has fewer than 3 stimuli, sides share a
        stimulus or a group, labels of groups are of mixed types or missing, or an index is out of range.

    Examples
    --------
    >>> folds, repeat = split(12, cv=3, repeats=2)
    >>> len(folds), repeat.tolist()
    (6, [0, 0, 0, 1, 1, 1])
    """
    check_integer("repeats", repeats, 1)
    seed = check_seed(seed, repeats)
    if groups is not None:
        groups = read_labels(groups, n, "groups", "stimuli")
    given: Any = cv
    whole = is_integer(cv)
    if not whole and (isinstance(cv, (str, type)) or not (hasattr(cv, "split") or isinstance(cv, Iterable))):
        raise TypeError(f"cv must be an integer, a scikit-learn splitter, or (train, test) folds, got {cv!r}")
    if not whole and repeats > 1:
        raise ValueError(f"repeats must be 1 unless cv is an integer, got {repeats}")
    if whole and given < 2:
        raise ValueError(f"cv must be at least 2, got {cv}")
    most = n if groups is None else len(np.unique(groups))
    if whole and given > most:
        raise ValueError(f"cv must be at most the {most} {'stimuli' if groups is None else 'groups'}, got {cv}")
    folds: list[Fold] = []
    repeat: list[int] = []
    for r in range(repeats):
        if whole:
            drawn = shuffled_folds(n, int(given), int(seed) + r, groups)
        elif hasattr(cv, "split"):
            drawn = cv.split(np.zeros(n), groups if groups is None else np.asarray(groups), groups)
        else:
            drawn = iter(given)
        for fold in drawn:
            folds.append(_read_fold(fold, n, len(folds), groups))
            repeat.append(r)
    if not folds:
        raise ValueError("cv must give at least one fold, got none")
    return folds, np.array(repeat, dtype=np.int64)


def _read_fold(fold: Any, n: int, f: int, groups: LabelsLike | None) -> Fold:
    """Training and test stimuli of fold f, checked."""
    if not isinstance(fold, (tuple, list)) or len(fold) != 2:
        raise TypeError(f"cv must hold (train, test) pairs, got {fold!r} for fold {f}")
    train, test = _read_side(fold[0], n, f, "training"), _read_side(fold[1], n, f, "test")
    shared = np.intersect1d(train, test)
    if shared.size:
        raise ValueError(
            f"cv must keep training and test stimuli apart, got stimulus {shared[0]} on both sides of fold {f}"
        )
    if groups is not None:
        straddling = np.intersect1d(np.asarray(groups)[train], np.asarray(groups)[test])
        if straddling.size:
            raise ValueError(f"cv must keep groups apart, got group {straddling[0]} on both sides of fold {f}")
    return train, test


def _read_side(side: Any, n: int, f: int, name: str) -> Indices:
    """Distinct stimuli from indices or from a mask (n,)."""
    values = np.asarray(side)
    if values.ndim != 1:
        raise ValueError(f"cv must hold one-dimensional {name} indices or masks, got shape {values.shape} in fold {f}")
    if values.dtype == np.bool_:
        if len(values) != n:
            raise ValueError(f"cv must hold masks of {n} entries, one a stimulus, got {len(values)} in fold {f}")
        values = np.flatnonzero(values)
    if values.size and values.dtype.kind not in "iu":
        raise TypeError(f"cv must hold {name} indices or masks, got dtype {values.dtype} in fold {f}")
    if len(values) < SMALLEST_FOLD:
        raise ValueError(f"cv must leave at least {SMALLEST_FOLD} {name} stimuli, got {len(values)} in fold {f}")
    outside = values[(values < 0) | (values >= n)]
    if outside.size:
        raise ValueError(f"cv must hold stimuli from 0 to {n - 1}, got {outside[0]} in fold {f}")
    if len(np.unique(values)) < len(values):
        raise ValueError(f"cv must name each {name} stimulus once in a fold, got repeats in fold {f}")
    return values.astype(np.int64)
