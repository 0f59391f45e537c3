"""Stimuli relabelled: single ones or whole groups, targets in the new orders, and what chance gives to predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .controls import explained
from .features import Indices, Matrix
from .pairs import PAIRS_AT_ONCE, pair_count, pair_positions
from .problem import compare_where_defined
from .statistics import mean_of_defined
from .targets import Targets

if TYPE_CHECKING:
    from ._typing import LabelsLike
    from .measures import ComparatorOrAlias

__all__ = ["BYTES", "chance_scores", "equal_groups", "relabelled", "relabelling", "relabellings"]

BYTES = 1 << 25  # of relabelled targets at a time


def equal_groups(groups: LabelsLike | None, n: int) -> Indices:
    """The stimuli of each group (G, size), groups in order of their labels; each stimulus by itself without groups.

    Raises
    ------
    ValueError
        Where groups differ in size: a group can take the place of one of its own size alone.
    """
    if groups is None:
        return np.arange(n, dtype=np.int64)[:, None]
    labels, of, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if np.ptp(sizes):
        few, many = int(np.argmin(sizes)), int(np.argmax(sizes))
        raise ValueError(
            f"groups must all be of one size where whole groups change places, got {sizes[few]} in group {labels[few]} "
            f"and {sizes[many]} in group {labels[many]}: leave stimuli out until all groups are as large, or average "
            f"each group to one stimulus"
        )
    return np.argsort(of, kind="stable").reshape(len(labels), -1).astype(np.int64)


def relabelling(rng: np.random.Generator, members: Indices) -> Indices:
    """An order of the stimuli (n,) in which whole groups (:func:`equal_groups`) change places, each freely within."""
    if members.shape[1] == 1:
        return np.asarray(rng.permutation(members.size), dtype=np.int64)
    order = np.empty(members.size, dtype=np.int64)
    order[members] = rng.permuted(members[rng.permutation(len(members))], axis=1)
    return order


def relabellings(n: int, count: int, seed: int, groups: LabelsLike | None = None) -> Indices:
    """Random orders (count, n) of n stimuli; where groups are given whole groups change places, freely within."""
    rng, members = np.random.default_rng(seed), equal_groups(groups, n)
    return np.array([relabelling(rng, members) for _ in range(count)], dtype=np.int64).reshape(count, n)


def relabelled(targets: Targets, orders: Indices) -> Targets:
    """All targets with their stimuli in each order (B, m), or copies of them: order after order, B * T in all.

    Controls stay with the stimuli of X (all of them, n = m), and so does what they say of a target: what is moved is
    the rest (Freedman & Lane 1983, Journal of Business & Economic Statistics 1).
    """
    n = orders.shape[1]
    if targets.controls is None:
        values = _in_orders(targets.values, orders, targets.n)
    else:
        stays = explained(targets)
        values = _in_orders(targets.values - stays, orders, targets.n) + np.tile(stays, (len(orders), 1))
    labels = None if targets.labels is None else targets.labels * len(orders)
    if targets.weights is None or targets.weight_of is None:
        return Targets(values, None, None, n, labels=labels, controls=targets.controls)
    weights = _in_orders(targets.weights, orders, targets.n)
    weight_of = np.concatenate([targets.weight_of + b * len(targets.weights) for b in range(len(orders))])
    moved = Targets(values, weights, weight_of, n, labels=labels, controls=targets.controls)
    return moved if targets.controls is None else moved.mask_pairs(np.asarray(np.isnan(targets.controls).any(axis=0)))


def _in_orders(rows: Matrix, orders: Indices, n: int) -> Matrix:
    """Rows (R, P) over the pairs of n stimuli with these in each order (B, m): order after order, (B * R, P')."""
    pairs = pair_count(orders.shape[1])
    moved = np.empty((len(orders), len(rows), pairs))
    some = max(1, PAIRS_AT_ONCE // max(1, pairs))
    for first in range(0, len(orders), some):
        at = pair_positions(orders[first : first + some], n)
        for r, row in enumerate(rows):
            moved[first : first + some, r] = row[at]
    return moved.reshape(-1, pairs)


def chance_scores(
    predicted: Sequence[Matrix], targets: Targets, tests: Sequence[Indices], orders: Indices, comparator:
    ComparatorOrAlias, threads: int,
) -> Matrix:  # fmt: skip
    """Mean held-out alignments (M, T, B) of M methods with T targets whose stimuli are in each of B orders.

    ``predicted``: for each fold similarities (M, T, P) of the pairs among its test stimuli, learnt from the target as
    it is. One order goes for all folds and methods, so that what folds share is shared under the null too. Controls,
    and what they say of a target, stay with the stimuli of X, as :func:`relabelled` has it.
    """
    count, T, F = len(orders), len(targets), len(tests)
    partial = targets.controls is not None
    pairs = pair_count(targets.n) if partial else max(one.shape[-1] for one in predicted)
    at_once = max(1, BYTES // (8 * T * pairs))
    found = np.empty((F, predicted[0].shape[0], T, count))
    for first in range(0, count, at_once):
        batch = orders[first : first + at_once]
        whole = relabelled(targets, batch) if partial else None
        for f, test in enumerate(tests):
            moved = relabelled(targets, batch[:, test]) if whole is None else whole.among(test)  # order after order
            for m, similarities in enumerate(predicted[f]):
                for t, values in enumerate(similarities):
                    own = moved.select(np.arange(t, len(moved), T)) if T > 1 else moved
                    scores, _ = compare_where_defined(np.ascontiguousarray(values), own, comparator, threads)
                    found[f, m, t, first : first + at_once] = scores
    return mean_of_defined(found.reshape(F, -1)).reshape(found.shape[1:])
