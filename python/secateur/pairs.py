"""Pairs of stimuli: P = n (n - 1) / 2 of them, packed in ``numpy.triu_indices(n, 1)`` order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .features import Indices, Matrix

__all__ = ["pack", "pair_count", "pair_positions", "pair_table", "stimulus_count", "unpack"]


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


def pair_positions(stimuli: Indices, n: int) -> Indices:
    """Where the pairs among ``stimuli`` (m distinct indices, in this order) lie in the packed order of n stimuli.

    Returns
    -------
    ndarray of int64, shape (m(m-1)/2,)
        In ``numpy.triu_indices(m, 1)`` order.

    Examples
    --------
    >>> pair_positions(np.array([0, 2, 3]), 4)
    array([1, 2, 5])
    """
    a, b = np.triu_indices(len(stimuli), 1)
    i, j = np.minimum(stimuli[a], stimuli[b]), np.maximum(stimuli[a], stimuli[b])
    return np.asarray(i * (2 * n - i - 1) // 2 + j - i - 1, dtype=np.int64)


def pair_table(n: int) -> Indices:
    """Where the pair (i, j) lies in the packed order, as an (n, n) table; 0 on the diagonal, where there is none."""
    table = np.zeros((n, n), dtype=np.int64)
    rows, columns = np.triu_indices(n, 1)
    table[rows, columns] = table[columns, rows] = np.arange(len(rows))
    return table


def pack(square: Matrix) -> Matrix:
    """(..., n, n) -> (..., P), upper triangle, row-major."""
    rows, columns = np.triu_indices(square.shape[-1], 1)
    return np.ascontiguousarray(square[..., rows, columns])


def unpack(packed: npt.NDArray[Any], n: int, diagonal: float = 0.0) -> Matrix:
    """(P,) -> (n, n), symmetric, with this on its diagonal."""
    square = np.full((n, n), diagonal)
    rows, columns = np.triu_indices(n, 1)
    square[rows, columns] = square[columns, rows] = packed
    return square
