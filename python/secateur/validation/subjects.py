"""Subjects: whose each target is, features that others' targets choose, and what single subjects allow for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..features import Indices, Matrix
from ..measures import ComparatorOrAlias, comparator_row
from ..pairs import pair_positions
from ..problem import compare
from ..targets import Targets
from .scores import names_or_numbers

if TYPE_CHECKING:
    import xarray

    from .._typing import NamesLike

__all__ = ["bounds", "subjects_of", "with_ceiling"]


def subjects_of(targets: Targets, subjects: NamesLike | None, name: str = "target") -> tuple[npt.NDArray[Any], Indices]:
    """The subjects, as they come, and the one of each target (T,); each target is a subject's by default."""
    names = names_or_numbers(targets.labels, len(targets)) if subjects is None else np.asarray(subjects)
    if names.shape != (len(targets),):
        raise ValueError(f"subjects must name the subject of each of {len(targets)} matrices, got shape {names.shape}")
    own, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    order = np.argsort(first)
    if len(own) < 2:
        raise ValueError(f"{name} must be of at least 2 subjects, got {len(own)}")
    return own[order], np.argsort(order)[inverse.reshape(-1)].astype(np.int64)


def bounds(
    targets: Targets, comparator: ComparatorOrAlias, whose: Indices, tests: list[Indices]
) -> tuple[Matrix, Matrix]:
    """Lower and upper noise ceiling (F, T), among test stimuli: :func:`secateur.noise_ceiling` says more.

    Alignments of each target with the mean of the other subjects' targets, and with that of all.
    """
    present, scaled = _on_one_scale(targets, comparator)
    upper, lower = np.full((2, len(tests), len(targets)), np.nan)
    for s in range(int(whose.max()) + 1):
        mine, others = np.flatnonzero(whose == s), np.flatnonzero(whose != s)
        for scores, pooled in ((upper, np.arange(len(targets))), (lower, others)):
            count = present[pooled].sum(axis=0)
            mean = np.where(count > 0, scaled[pooled].sum(axis=0) / np.maximum(count, 1), np.nan)
            for f, test in enumerate(tests):
                own_targets, at = targets.select(mine).among(test), pair_positions(test, targets.n)
                if np.isnan(mean[at]).any():
                    own_targets = own_targets.mask_pairs(np.isnan(mean[at]))
                scores[f, mine] = compare(mean[at], own_targets, comparator, 1)
    return lower, upper


def with_ceiling(result: xarray.Dataset, targets: Targets, comparator: ComparatorOrAlias) -> xarray.Dataset:
    """A result over stimuli with ``ceiling_lower``, ``ceiling_upper`` (target, fold); targets of one name are one's."""
    _, whose = subjects_of(targets, None)
    tests = [np.flatnonzero(test) for test in result["test"].values]
    lower, upper = bounds(targets, comparator, whose, tests)
    return result.assign(ceiling_lower=(("target", "fold"), lower.T), ceiling_upper=(("target", "fold"), upper.T))


def _on_one_scale(targets: Targets, comparator: ComparatorOrAlias) -> tuple[npt.NDArray[np.bool_], Matrix]:
    """Which pairs each subject has (T, P), and the values that a mean may be taken of (0 where there is none)."""
    from scipy.stats import rankdata

    row = comparator_row(comparator)
    weights = np.array([targets.weight(t) for t in range(len(targets))])
    present, scaled = weights > 0, np.zeros_like(targets.values)
    for t in range(len(targets)):
        has, w = present[t], weights[t, present[t]]
        values = targets.values[t, has]
        if not has.any() or (not values.any() if row.takes_constants else np.ptp(values) == 0):
            name = targets.labels[t] if targets.labels else t
            raise ValueError(f"rdms must vary over the pairs, got a constant or empty one (subject {name})")
        if row.rank:
            # About 0, so that order and reverse order give one mean; as wide as ranks of the most pairs.
            scaled[t, has] = (rankdata(values) - (len(values) + 1) / 2) * (present.sum(axis=1).max() / len(values))
            continue
        values = values - (np.average(values, weights=w) if row.centred else 0)
        square = np.average(values**2, weights=w)
        if row.whitened:
            square = _whitened_square(values, targets.n)
        scaled[t, has] = values / np.sqrt(square)
    return present, scaled


def _whitened_square(values: Matrix, n: int) -> float:
    """v' V^-1 v of a matrix (P,), up to a factor; pairs that share a stimulus covary by a quarter of their variance.

    So V is B B' + 2 I, with B the stimuli of each pair, and V^-1 has this closed form (Woodbury).
    """
    rows, columns = np.triu_indices(n, 1)
    sums = np.bincount(rows, values, n) + np.bincount(columns, values, n)
    return float((values**2).sum() - ((sums**2).sum() - values.sum() ** 2 * 2 / n) / n)
