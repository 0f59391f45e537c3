"""What a search asks: alignments of sets of features with targets, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..features import Features, Indices, Matrix
from ..measures import comparator_row, metric_row
from ..pairs import unpack
from ..problem import Problem
from ..targets import Targets
from .groups import Groups
from .result import TIE, Mask

__all__ = ["Scorer", "best_of", "best_prefix", "explained_baseline"]


@dataclass(frozen=True)
class Scorer:
    """Alignments of sets of features with T targets."""

    problem: Problem
    groups: Groups
    loaded: Problem  # the same with X on the device, where single steps run on one

    @classmethod
    def of(cls, problem: Problem, groups: Groups) -> Scorer:
        return cls(problem, groups, problem.load(targets=False))

    @property
    def features(self) -> Features:
        return self.problem.host[0]

    @property
    def targets(self) -> Targets:
        return self.problem.host[1]

    @property
    def threads(self) -> int:
        return self.problem.execution.threads

    def one(self, t: int) -> Scorer:
        """Of one target alone."""
        chosen = self.targets.select(slice(t, t + 1))
        return Scorer(self.problem.against(chosen), self.groups, self.loaded.against(chosen))

    def after_each(self, inside: Mask, *, adding: bool) -> Matrix:
        """Alignment (T, G) with each group added to, or removed from, those inside; elsewhere nothing is promised."""
        if self.groups.single:
            step = self.loaded.add_one if adding else self.loaded.leave_one_out
            return step(self.groups.columns(inside))
        out = np.full((len(self.targets), len(self.groups)), np.nan)
        for g in np.flatnonzero(inside != adding):
            moved = inside.copy()
            moved[g] = adding
            out[:, g] = self.problem.compare(self.similarities(moved), threads=1)
        return out

    def similarities(self, inside: Mask) -> Matrix:
        """Similarities (P,) over the features of some groups."""
        columns = self.groups.columns(inside)
        # Below a millisecond or so, starting threads costs more than they save.
        threads = self.threads if len(columns) * self.targets.values.shape[1] > 1 << 24 else 1
        return self.problem.similarities(columns, threads)

    def curve(self, order: Indices) -> Matrix:
        """Alignment (T, G) of the first 1, 2, ... groups of each target's order (T, G)."""
        curve = self.loaded.insertion_curve(self.groups.laid_out(order))
        if self.groups.single:
            return curve
        return np.take_along_axis(curve, np.cumsum(self.groups.sizes[order], axis=1) - 1, axis=1)

    @cached_property
    def _extremes(self) -> tuple[Matrix, Matrix]:
        """Lowest and highest value (n, G) of each stimulus in each group."""
        X = self.features.values
        if self.groups.single:
            return X, X
        members = self.groups.members
        return np.stack([X[:, g].min(1) for g in members], 1), np.stack([X[:, g].max(1) for g in members], 1)

    def undefined_pairs(self, inside: Mask) -> Indices:
        """How many pairs of the first target would stay undefined (G,) with each group added."""
        metric = metric_row(self.problem.metric)
        if not metric.angular:
            return np.zeros(len(self.groups), dtype=np.int64)
        low, high = self._extremes
        columns = self.features.values[:, self.groups.columns(inside)]
        # A cosine has a direction unless all is zero, a correlation unless all is equal.
        bounds = (np.inf, -np.inf) if metric.centred else (0.0, 0.0)
        directed = np.maximum(high, columns.max(axis=1, initial=bounds[1])[:, None]) > np.minimum(
            low, columns.min(axis=1, initial=bounds[0])[:, None]
        )
        counted = unpack(self.targets.has_weight(0), self.features.n)
        defined = np.einsum("ig,ig->g", directed, counted @ directed)
        return np.asarray(np.rint((counted.sum() - defined) / 2), dtype=np.int64)


def best_prefix(curve: Matrix) -> Indices:
    """Length (...) of the shortest prefix that reaches the curve's maximum; NaN can't win."""
    finite = np.where(np.isnan(curve), -np.inf, curve)
    reached = finite >= finite.max(axis=-1, keepdims=True) - TIE
    return np.asarray(np.argmax(reached, axis=-1) + 1, dtype=np.int64)


def best_of(values: Matrix, allowed: Mask) -> int:
    """The allowed candidate of the highest value, ties by index; -1 where all are NaN."""
    finite = np.where(allowed & ~np.isnan(values), values, -np.inf)
    top = finite.max()
    return -1 if top == -np.inf else int(np.argmax(finite >= top - TIE))


def _name(targets: Targets, t: int) -> str:
    return f"target {targets.labels[t] if targets.labels else t}"


def explained_baseline(problem: Problem) -> Matrix:
    """Alignment (T,) of all features with each target; refused with its reason where nothing can be learnt from one.

    Without a baseline there is no importance.
    """
    features, targets = problem.host
    similarities = problem.similarities()
    baseline = problem.compare(similarities)
    for t in map(int, np.flatnonzero(np.isnan(baseline) | (baseline == 0))):
        counts = targets.has_weight(t)
        undefined = np.flatnonzero(counts & np.isnan(similarities))
        if undefined.size:
            stimuli, times = np.unique(np.stack(np.triu_indices(features.n, 1))[:, undefined], return_counts=True)
            name = features.stimulus(int(stimuli[np.argmax(times)]))
            raise ValueError(
                f"X must give every stimulus a direction, got stimulus {name} with features all zero or all equal"
            )
        if not counts.any():
            raise ValueError(f"target must have a pair of weight above zero, got none ({_name(targets, t)})")
        if not comparator_row(problem.comparator).takes_constants and np.ptp(targets.values[t, counts]) == 0:
            raise ValueError(f"target must vary over the pairs, got a constant one ({_name(targets, t)})")
        if np.isnan(baseline[t]):
            raise ValueError(
                f"X and target must both vary over the pairs, got an undefined alignment of all features with "
                f"{_name(targets, t)}"
            )
    return baseline
