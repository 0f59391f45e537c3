"""What pruning to some targets gives, and the steps of a search."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..display import as_table
from ..features import Indices, Matrix

__all__ = ["STEP", "TIE", "Detail", "Mask", "Path", "Pruned", "SearchInterrupted", "path_along"]

Mask = npt.NDArray[np.bool_]
Path = npt.NDArray[np.void]

Detail = Literal["support", "importance", "path"]

# Two alignments closer than this are one: the lower index, or the smaller set, wins.
TIE = 1e-12

# One step of a search. `feature`: the one that came or went (of a group: its first column), -1 for none. `action`:
# "start" from all features, "add", "remove", or "return" to the best set of this size seen before. `alignment` and
# `count`: of the set after the step.
STEP = np.dtype([("feature", np.int64), ("action", "U6"), ("alignment", np.float64), ("count", np.int64)])


class SearchInterrupted(UserWarning):
    """A search was stopped by Ctrl-C: what was kept is the best set seen until then."""


@dataclass(frozen=True, repr=False)
class Pruned:
    """What pruning to T targets gives.

    Attributes
    ----------
    baseline : (T,) alignment of all features
    importance : (T, d) baseline - alignment without the feature; forward searches: the gain at its last entry
    order : (T, d) features, the kept ones first
    curve : (T, d) alignment of the best set of 1, 2, ..., d features that the search saw; NaN where it saw none
    support : (T, d) bool, the smallest set seen that reaches the maximum (``"parsimonious"`` has its own rule)
    alignment : (T,) alignment of the support
    paths : one array of STEPs a target
    interrupted : whether Ctrl-C ended the search
    false_bound : (T,) of ``"stable"``: the most features without merit that are expected among the stable ones

    Where targets share a set of features, they share importance, order, curve (of their joint alignment), support and
    paths. Sets that lack a feature which is to stay are none that a search sees.

    What was not asked for has no rows: ``order``, ``curve`` and ``paths``, or ``importance`` too.
    """

    baseline: Matrix
    importance: Matrix
    order: Indices
    curve: Matrix
    support: Mask
    alignment: Matrix
    walked: tuple[Path, ...] | None = None  # None: the steps are those of an insertion
    interrupted: bool = False
    false_bound: Matrix | None = None

    def _facts(self) -> dict[str, object]:
        """What a person wants to know of it first."""
        targets, d = self.support.shape
        kept = self.support.sum(axis=1)
        count = f"{kept.min()}" if kept.min() == kept.max() else f"{kept.min()} to {kept.max()}"
        before, after = float(np.mean(self.baseline)), float(np.mean(self.alignment))
        return {
            "targets": targets, "features kept": f"{count} of {d}",
            "training alignment": f"{before:.3f} of all features, {after:.3f} of the kept ones"
            + (" (means over targets)" if targets > 1 else ""),
            "interrupted": "by Ctrl-C" if self.interrupted else None,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"Pruned({', '.join(f'{name}: {fact}' for name, fact in self._facts().items() if fact is not None)})"

    def _repr_html_(self) -> str:
        return as_table("Pruned", self._facts())

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The steps to each target's set, made when they are first asked for."""
        if self.walked is not None:
            return self.walked
        count = np.arange(1, self.order.shape[1] + 1)
        return tuple(path_along(order, curve, count) for order, curve in zip(self.order, self.curve))


def path_along(feature: Indices, alignment: Matrix, count: Indices) -> Path:
    """The steps of an insertion."""
    path = np.zeros(len(feature), dtype=STEP)
    path["feature"], path["action"], path["alignment"], path["count"] = feature, "add", alignment, count
    return path
