"""Baselines of pruning: as many features as it keeps, chosen without the target, or by its ranking upside down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..features import Indices, Matrix
from ..problem import Problem, order_by_importance
from .settings import Search

if TYPE_CHECKING:
    from .._typing import LabelsLike
    from .result import Mask

__all__ = ["BASELINES", "of_equal_size", "order_without_target"]

BASELINES = ("variance", "zeros", "random", "reversed")


def order_without_target(rule: str, X: Matrix, seed: int = 0) -> Indices:
    """Features (d,) in the order in which a rule keeps them; ties by index.

    ``"variance"``: largest over the stimuli first. ``"zeros"``: zero for the fewest stimuli first. ``"random"``: any.

    Examples
    --------
    >>> X = np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 9.0], [1.0, 3.0, 0.0]])
    >>> order_without_target("variance", X).tolist(), order_without_target("zeros", X).tolist()
    ([2, 1, 0], [1, 2, 0])
    """
    if rule == "random":
        return np.random.default_rng(seed).permutation(X.shape[1]).astype(np.int64)
    score = -X.var(axis=0) if rule == "variance" else (X == 0).mean(axis=0)
    return np.argsort(score, kind="stable").astype(np.int64)


def of_equal_size(
    rule: str, problem: Problem, stimuli: Indices, search: Search, groups: LabelsLike | None = None, seed: int = 0
) -> Mask:
    """(T, d): of each target as many features as the search keeps among these stimuli, by one of BASELINES."""
    found = search.run(problem, stimuli=stimuli, detail="importance", groups=groups)
    sizes = found.support.sum(axis=1)
    if rule == "reversed":
        orders = order_by_importance(found.importance)[:, ::-1]
    else:
        one = order_without_target(rule, problem.among(stimuli).host[0].values, seed)
        orders = np.broadcast_to(one, found.support.shape)
    support = np.zeros(found.support.shape, dtype=bool)
    np.put_along_axis(support, orders, np.arange(problem.features.d) < sizes[:, None], axis=1)
    return support
