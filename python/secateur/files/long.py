"""Dissimilarities in long format: a line per pair of stimuli, and per subject where there are several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arguments import quoted
from ..pairs import pack
from .entries import FileError, Loaded
from .matching import TARGETS, check_names

__all__ = ["read_long", "value_column"]


def value_column(numbers: Sequence[Sequence[float | None]], width: int) -> int | None:
    """The one column of numbers, in a table whose first two columns are words; None where it is no long format."""
    if width not in (3, 4) or any(row[0] is not None or row[1] is not None for row in numbers):
        return None
    numeric = [c for c in range(2, width) if all(row[c] is not None for row in numbers)]
    return numeric[-1] if numeric else None


def read_long(path: Path, head: list[str], body: list[list[str]], numbers: list[list[float | None]], at: int) -> Loaded:
    """Matrices of a table with the columns stimulus, stimulus, value, and one of subjects or the like."""
    names = list(dict.fromkeys(cell for row in body for cell in row[:2]))
    check_names(names, path)
    place = {name: i for i, name in enumerate(names)}
    other = next((c for c in range(2, len(head)) if c != at), None)
    whose = None if other is None else TARGETS.get(head[other].lower())
    targets = [""] if other is None else list(dict.fromkeys(row[other] for row in body))
    square = np.full((len(targets), len(names), len(names)), math.nan)
    seen: dict[tuple[int, int, int], float] = {}
    for row, values in zip(body, numbers, strict=True):
        t = 0 if other is None else targets.index(row[other])
        i, j = sorted((place[row[0]], place[row[1]]))
        value = values[at]
        assert value is not None
        before = seen.setdefault((t, i, j), value)
        if not (before == value or (math.isnan(before) and math.isnan(value))):
            pair = quoted([row[0], row[1]]) + (f" of {row[other]!r}" if other is not None else "")
            raise FileError(f"{path.name} must give each pair one value, got {before:g} and {value:g} for {pair}")
        square[t, i, j] = square[t, j, i] = value
    count = int(np.isnan(pack(square)).sum())
    of = f" of {len(targets)} {whose or 'targets'}" if other is not None else ""
    note = f"{path.name} was read as pairs of {len(names)} stimuli in long format{of}, its column {head[at]!r}"
    notes = [note, *([f"{count} pairs have no line in {path.name} and are missing"] if count else [])]
    own = np.diagonal(square, axis1=1, axis2=2)
    values_read = pack(square) if np.isnan(own).any() else square
    alone = other is None
    return Loaded(
        values_read[0] if alone else values_read, tuple(names), None, path, "", tuple(notes),
        targets=None if alone else tuple(targets), whose=whose,
    )  # fmt: skip
