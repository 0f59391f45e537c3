"""Pairs of stimuli: P = n (n - 1) / 2 of them, packed in ``numpy.triu_indices(n, 1)`` order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .features import Indices, Matrix

__all__ = [
    "pack",
    "pair_blocks",
    "pair_count",
    "pair_places",
    "pair_positions",
    "pair_table",
    "stimulus_count",
    "unpack",
]

PAIRS_AT_ONCE = 1 << 20  # whose indices are held: those of all pairs take twice as much memory as a target


def pair_count(n: int) -> int:
    """P = n (n - 1) / 2."""
    return n * (n - 1) // 2


def stimulus_count(pairs: int) -> int | None:
    """n, of so many pairs; None where no number of stimuli has so many.

    Examples
    --------
    >>> stimulus_count(6), stimulus_count(7)
    (4, None)
    """
    n = (1 + math.isqrt(1 + 8 * pairs)) // 2
    return n if pair_count(n) == pairs else None


def pair_blocks(n: int, at_once: int = PAIRS_AT_ONCE) -> Iterator[tuple[slice, Indices, Indices]]:
    """Where some pairs lie in the packed order, and their stimuli (i, j), i < j: whole rows of i, about so many pairs.

    Examples
    --------
    >>> [(i.tolist(), j.tolist()) for _, i, j in pair_blocks(4, 3)]
    [([0, 0, 0], [1, 2, 3]), ([1, 1, 2], [2, 3, 3])]
    """
    ends = np.cumsum(np.arange(n - 1, 0, -1, dtype=np.int64))  # of each row
    first = 0
    while first < n - 1:
        start = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, start + at_once, side="right")))
        rows = np.arange(first, last, dtype=np.int64)
        counts = n - 1 - rows
        i = np.repeat(rows, counts)
        stop = int(ends[last - 1])
        yield slice(start, stop), i, np.arange(start, stop) - np.repeat(ends[first:last] - n, counts)
        first = last


def pair_places(i: Indices, j: Indices, n: int) -> Indices:
    """Where the pairs (i, j), whichever comes first, lie in the packed order of n stimuli.

    Examples
    --------
    >>> pair_places(np.array([0, 3]), np.array([2, 2]), 4)
    array([1, 5])
    """
    low, high = np.minimum(i, j), np.maximum(i, j)
    return np.asarray(low * (2 * n - low - 1) // 2 + high - low - 1)


def pair_positions(stimuli: Indices, n: int) -> Indices:
    """Where the pairs among ``stimuli`` (..., m indices, in this order) lie in the packed order of n stimuli.

    Returns
    -------
    ndarray of int64, shape (..., m(m-1)/2)
        In ``numpy.triu_indices(m, 1)`` order; 0 for a pair of a stimulus with a copy of itself, which lies nowhere.

    Examples
    --------
    >>> pair_positions(np.array([0, 2, 3]), 4)
    array([1, 2, 5])
    """
    stimuli, m = np.asarray(stimuli), np.shape(stimuli)[-1]
    positions = np.empty((*stimuli.shape[:-1], pair_count(m)), dtype=np.int64)
    for at, a, b in pair_blocks(m):
        i, j = stimuli[..., a], stimuli[..., b]
        positions[..., at] = np.where(i == j, 0, pair_places(i, j, n))
    return positions


def pair_table(n: int) -> Indices:
    """Where the pair (i, j) lies in the packed order, as an (n, n) table; 0 on the diagonal, where there is none."""
    table = np.zeros((n, n), dtype=np.int64)
    rows, columns = np.triu_indices(n, 1)
    table[rows, columns] = table[columns, rows] = np.arange(len(rows))
    return table


def pack(square: Matrix) -> Matrix:
    """(..., n, n) -> (..., P), upper triangle, row-major."""
    n, start = square.shape[-1], 0
    packed = np.empty((*square.shape[:-2], pair_count(n)), dtype=square.dtype)
    for i in range(n - 1):  # row by row: indices of all pairs would take more memory than they
        stop = start + n - 1 - i
        packed[..., start:stop] = square[..., i, i + 1 :]
        start = stop
    return packed


def unpack(packed: npt.NDArray[Any], n: int, diagonal: float = 0.0) -> Matrix:
    """(P,) -> (n, n), symmetric, with this on its diagonal."""
    square, start = np.full((n, n), diagonal), 0
    for i in range(n - 1):
        stop = start + n - 1 - i
        square[i, i + 1 :] = square[i + 1 :, i] = packed[start:stop]
        start = stop
    return square
