"""Dissimilarities in long format: a line per pair of stimuli, and per subject where there are several."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from ..arguments import quoted
from ..pairs import pack
from .entries import FileError, Loaded
from .matching import TARGETS, check_names

__all__ = ["Columns", "find_columns", "read_long"]

Numbers = Sequence[Sequence[float | None]]
SUBJECTS = ("sub", "subj")
KINDS = {
    **dict.fromkeys(("dissimilarity", "dissimilarities", "distance", "distances", "rdm"), "dissimilarity"),
    **dict.fromkeys(("similarity", "similarities", "rsm"), "similarity"),
}  # what a heading says of its column


@dataclass(frozen=True)
class Columns:
    """Where a table in long format has what.

    Attributes
    ----------
    pair : the two columns of stimuli
    value : int
    other : int, or None
        The column of subjects or the like, where there is one.
    """

    pair: tuple[int, int]
    value: int
    other: int | None


def _word(heading: str) -> str:
    """A heading as it is looked up: subject for Subject_ID."""
    return re.sub(r"(?<=.)[ _-]?(id|nr|no|number)$", "", heading.strip().lower())


def _of_targets(heading: str) -> bool:
    return _word(heading) in TARGETS or _word(heading) in SUBJECTS


def find_columns(head: Sequence[str], body: Sequence[Sequence[str]], numbers: Numbers) -> Columns | None:
    """What the columns are: by their headings, by which two share their words; None where this is no long format."""
    width = len(head)
    words = [c for c in range(width) if all(row[c] is None for row in numbers)]
    numeric = [c for c in range(width) if all(row[c] is not None for row in numbers)]
    if width not in (3, 4):
        return None
    named = [c for c in range(width) if _of_targets(head[c])] if width == 4 else []
    other = named[0] if len(named) == 1 else None
    stimuli, values = ([c for c in which if c != other] for which in (words, numeric))
    if len(stimuli) < 2 or not values:
        return None
    cells = {c: {row[c] for row in body} for c in stimuli}
    pair = max(combinations(stimuli, 2), key=lambda two: len(cells[two[0]] & cells[two[1]]))
    said = [c for c in values if _word(head[c]) in KINDS]
    value = said[-1] if said else values[-1]
    if not said and len(values) == 2 and _whole(numbers, values[1]) and not _whole(numbers, values[0]):
        value = values[0]  # whole numbers behind fractions count subjects
    rest = [c for c in range(width) if c not in (*pair, value)]
    return Columns(pair, value, rest[0] if rest else None)


def _whole(numbers: Numbers, column: int) -> bool:
    return all(value is not None and value.is_integer() for value in (row[column] for row in numbers))


def read_long(path: Path, head: list[str], body: list[list[str]], numbers: Numbers, at: Columns) -> Loaded:
    """Matrices of a table with two columns of stimuli, one of values, and one of subjects or the like."""
    cells = [[row[c] for c in at.pair] for row in body]
    names = list(dict.fromkeys(cell for row in cells for cell in row))
    check_names(names, path)
    place = {name: i for i, name in enumerate(names)}
    other = at.other
    whose = None if other is None else "subjects" if _word(head[other]) in SUBJECTS else TARGETS.get(_word(head[other]))
    targets = [""] if other is None else list(dict.fromkeys(row[other] for row in body))
    square = np.full((len(targets), len(names), len(names)), math.nan)
    seen: dict[tuple[int, int, int], float] = {}
    for row, two, values in zip(body, cells, numbers, strict=True):
        t = 0 if other is None else targets.index(row[other])
        i, j = sorted(place[name] for name in two)
        value = values[at.value]
        assert value is not None
        before = seen.setdefault((t, i, j), value)
        if not (before == value or (math.isnan(before) and math.isnan(value))):
            pair = quoted(two) + (f" of {row[other]!r}" if other is not None else "")
            raise FileError(f"{path.name} must give each pair one value, got {before:g} and {value:g} for {pair}")
        square[t, i, j] = square[t, j, i] = value
    count = int(np.isnan(pack(square)).sum())
    of = f" of {len(targets)} {whose or 'targets'}" if other is not None else ""
    note = f"{path.name} was read as pairs of {len(names)} stimuli in long format{of}, its column {head[at.value]!r}"
    kind = KINDS.get(_word(head[at.value]))
    notes = [note, *([f"{count} pairs have no line in {path.name} and are missing"] if count else [])]
    if kind is not None:
        held = {"similarity": "similarities", "dissimilarity": "dissimilarities"}[kind]
        notes.append(f"its heading {head[at.value]!r} was taken to say that {path.name} holds {held}")
    own = np.diagonal(square, axis1=1, axis2=2)
    values_read = pack(square) if np.isnan(own).any() else square
    alone = other is None
    return Loaded(
        values_read[0] if alone else values_read, tuple(names), None, path, "", tuple(notes), kind,
        targets=None if alone else tuple(targets), whose=whose,
    )  # fmt: skip
