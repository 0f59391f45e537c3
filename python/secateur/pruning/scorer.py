"""What a search asks: alignments of sets of features with targets, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..controls import check_other, target_words
from ..features import Features, Indices, Matrix
from ..measures import ComparatorOrAlias, Joint, comparator_row, metric_row
from ..pairs import unpack
from ..problem import Problem
from ..targets import Targets
from .groups import Groups
from .result import TIE, Mask, Pruned

__all__ = ["Scorer", "best_of", "best_prefix", "explained_baseline"]


@dataclass(frozen=True)
class Scorer:
    """Alignments of sets of features: R rows, one for each of T targets, or one for all where a set is theirs jointly.

    Attributes
    ----------
    problem, groups : what is aligned with what, and which features come and go together
    stepped : the problem as steps see it: where the mean of all targets' alignments counts, and that is an alignment
        with one target times a factor, with that one
    loaded : the same with X and targets on the device, where single steps run on one
    factor : that factor
    joint : "each", or what of all targets' alignments counts: their "mean" or "min"
    fixed : (G,) bool; groups of features that always stay
    """

    problem: Problem
    groups: Groups
    stepped: Problem
    loaded: Problem
    factor: float | None
    joint: Joint
    fixed: Mask

    @classmethod
    def of(cls, problem: Problem, groups: Groups, joint: Joint = "each", fixed: Mask | None = None) -> Scorer:
        fixed = np.zeros(len(groups), dtype=bool) if fixed is None else fixed
        host = problem.over(*problem.host)
        pooled = _pooled(host.host[1], problem.comparator) if joint == "mean" else None
        if pooled is None:
            return cls(host, groups, host, problem.load(), None, joint, fixed)
        alone, factor = pooled
        return cls(host, groups, host.against(alone), problem.against(alone).load(), factor, joint, fixed)

    def among(self, stimuli: Indices) -> Scorer:
        """The same over some stimuli."""
        part = self.problem.among(stimuli) if self.factor is not None else self.loaded.among(stimuli, loaded=True)
        return Scorer.of(part, self.groups, self.joint, self.fixed)

    @property
    def features(self) -> Features:
        return self.problem.host[0]

    @property
    def targets(self) -> Targets:
        return self.problem.host[1]

    @property
    def threads(self) -> int:
        return self.problem.execution.threads

    def one(self, r: int) -> Scorer:
        """Of one row alone."""
        if self.joint != "each":
            return self
        chosen = self.targets.select(slice(r, r + 1))
        alone = self.problem.against(chosen)
        return replace(self, problem=alone, stepped=alone, loaded=self.loaded.against(chosen))

    def joined(self, alignments: Matrix) -> Matrix:
        """Rows (R, ...) of alignments (T, ...); NaN where that of any of the targets is."""
        if self.joint == "each":
            return alignments
        return np.asarray((np.mean if self.joint == "mean" else np.min)(alignments, axis=0, keepdims=True))

    def _of_steps(self, alignments: Matrix) -> Matrix:
        """Rows (R, ...) of what a step finds."""
        return self.joined(alignments) if self.factor is None else alignments * self.factor

    def for_each_target(self, found: Pruned, baseline: Matrix) -> Pruned:
        """What was found jointly, as a row for each target, with its own alignments (T,) of all and of the kept."""
        T = len(baseline)
        own = self.problem.compare(self.problem.similarities(np.flatnonzero(found.support[0])))
        rows: dict[str, Any] = {
            name: np.repeat(getattr(found, name), T, axis=0) for name in ("importance", "order", "curve", "support")
        }
        bound = None if found.false_bound is None else np.repeat(found.false_bound, T)
        walked = None if found.walked is None else found.walked * T
        return replace(found, baseline=baseline, **rows, alignment=own, walked=walked, false_bound=bound)

    def fixed_first(self, order: Indices) -> Indices:
        """An order (R, G) with the groups that always stay at its beginning."""
        behind = np.argsort(~self.fixed[order], axis=1, kind="stable")
        return np.asarray(np.take_along_axis(order, behind, axis=1))

    def compare(self, inside: Mask) -> Matrix:
        """Alignment (R,) of the features of some groups."""
        return self._of_steps(self.stepped.compare(self.similarities(inside)))

    def after_each(self, inside: Mask, *, adding: bool) -> Matrix:
        """Alignment (R, G) with each group added to, or removed from, those inside; elsewhere nothing is promised."""
        if self.groups.single:
            step = self.loaded.add_one if adding else self.loaded.leave_one_out
            return self._of_steps(step(self.groups.columns(inside)))
        out = np.full((len(self.stepped.targets), len(self.groups)), np.nan)
        for g in np.flatnonzero(inside != adding):
            moved = inside.copy()
            moved[g] = adding
            out[:, g] = self.stepped.compare(self.similarities(moved), threads=1)
        return self._of_steps(out)

    def similarities(self, inside: Mask) -> Matrix:
        """Similarities (P,) over the features of some groups."""
        columns = self.groups.columns(inside)
        # Below a millisecond or so, starting threads costs more than they save.
        threads = self.threads if len(columns) * self.targets.values.shape[1] > 1 << 24 else 1
        return self.problem.similarities(columns, threads)

    def curve(self, order: Indices) -> Matrix:
        """Alignment (R, G) of the first 1, 2, ... groups of each row's order (R, G)."""
        curve = self._of_steps(self.loaded.insertion_curve(self.groups.laid_out(order)))
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
        """How many pairs of the targets would stay undefined (G,) with each group added."""
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
        targets, n = self.targets, self.features.n
        counted = np.sum([unpack(targets.has_weight(t), n) for t in range(len(targets))], axis=0)
        defined = np.einsum("ig,ig->g", directed, counted @ directed)
        return np.asarray(np.rint((counted.sum() - defined) / 2), dtype=np.int64)


def _pooled(targets: Targets, comparator: ComparatorOrAlias) -> tuple[Targets, float] | None:
    """One target g and a factor f with f r(s, g) the mean of r(s, h) over targets h, for every space s.

    A correlation is a product of s and h, each brought to length 1, so their mean is one with the mean of such h. None
    where ranks or whitening come between, pairs don't have the same weights in all targets, or controls are given.
    """
    row = comparator_row(comparator)
    patterns = 1 if targets.weight_of is None else len(np.unique(targets.weight_of))
    if row.rank or row.whitened or patterns > 1 or targets.controls is not None:
        return None
    weights = targets.weight(0)
    if not weights.any():
        return None
    values = targets.values
    if row.centred:
        values = values - (values @ weights / weights.sum())[:, None]
    lengths = np.sqrt(values**2 @ weights)
    if (lengths <= 1e-12 * np.sqrt(targets.values**2 @ weights)).any():
        return None
    mean = (values / lengths[:, None]).mean(axis=0)
    factor = float(np.sqrt(mean**2 @ weights))
    if factor < 1e-6:  # they cancel out but for rounding
        return None
    one = targets.select(slice(0, 1))
    return replace(one, values=np.where(weights > 0, mean / factor, 0.0)[None]), factor


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
            raise ValueError(f"target must have a pair of weight above zero, got none ({target_words(targets, t)})")
        if not comparator_row(problem.comparator).takes_constants and np.ptp(targets.values[t, counts]) == 0:
            raise ValueError(f"target must vary over the pairs, got a constant one ({target_words(targets, t)})")
        if np.isnan(baseline[t]) and targets.controls is not None:
            check_other(targets, targets.controls)
            raise ValueError(
                "control must leave something of the target, got an undefined partial alignment of all features "
                f"with {target_words(targets, t)}: the controls together may say all of it, or of the features' "
                "similarities"
            )
        if np.isnan(baseline[t]):
            raise ValueError(
                f"X and target must both vary over the pairs, got an undefined alignment of all features with "
                f"{target_words(targets, t)}"
            )
    return baseline
