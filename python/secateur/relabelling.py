"""What chance gives to predictions that stay as they are: targets relabelled, held-out pairs scored anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .features import Indices, Matrix
from .inference import _mean_of_defined, _positions, _relabelled
from .similarity import compare_where_defined
from .targets import Targets

BYTES = 1 << 25  # of relabelled targets at a time


def check_relabellings(n: Any) -> int:
    """A number of relabellings; 0 for none."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"permutations must be a number of relabellings, 0 for none, got {n!r}")
    return int(n)


def relabellings(n: int, count: int, seed: int, groups: Any = None) -> Indices:
    """Random orders (count, n) of n stimuli; where groups are given whole groups change places, freely within."""
    rng = np.random.default_rng(seed)
    if groups is None:
        return np.stack([rng.permutation(n) for _ in range(count)])
    _, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    sizes = [len(one) for one in members]
    if min(sizes) < max(sizes):
        raise ValueError(
            f"groups must be of equal size to be relabelled, got {min(sizes)} to {max(sizes)} stimuli: leave stimuli "
            "out, or pass permutations=0"
        )
    orders = np.empty((count, n), dtype=np.int64)
    for order in orders:
        for place, g in zip(members, rng.permutation(len(members)), strict=True):
            order[place] = rng.permutation(members[g])
    return orders


def chance_scores(
    predicted: Sequence[Matrix], targets: Targets, tests: Sequence[Indices], orders: Indices, comparator: str,
    threads: int,
) -> Matrix:  # fmt: skip
    """Mean held-out alignments (M, T, B) of M methods with T targets whose stimuli are in each of B orders.

    ``predicted``: for each fold similarities (M, T, P) of the pairs among its test stimuli, learnt from the target as
    it is. One order goes for all folds and methods, so that what folds share is shared under the null too.
    """
    count, T, F = len(orders), len(targets), len(tests)
    positions = _positions(targets.n)
    pairs = max(one.shape[-1] for one in predicted)
    at_once = max(1, BYTES // (8 * T * pairs))
    found = np.empty((F, predicted[0].shape[0], T, count))
    for first in range(0, count, at_once):
        batch = orders[first : first + at_once]
        for f, test in enumerate(tests):
            goal = _relabelled(targets, batch[:, test], positions)  # order after order
            for m, similarities in enumerate(predicted[f]):
                for t, values in enumerate(similarities):
                    own = goal.only(np.arange(t, len(goal), T)) if T > 1 else goal
                    scores, _ = compare_where_defined(np.ascontiguousarray(values), own, comparator, threads)
                    found[f, m, t, first : first + at_once] = scores
    return _mean_of_defined(found.reshape(F, -1)).reshape(found.shape[1:])
