"""Searches by one ranking: a prefix of the order of importance is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..features import Indices, Matrix
from ..problem import Problem, order_by_importance
from ..progress import Report
from .result import TIE, Detail, Mask, Pruned, path_along
from .scorer import Scorer, best_prefix, explained_baseline
from .settings import Search

if TYPE_CHECKING:
    from .._typing import LabelsLike

__all__ = ["SMALLEST_FOLD", "Parsimonious", "Ranking", "shuffled_folds"]

SMALLEST_FOLD = 3
Lengths = Callable[[Scorer, Matrix, Mask], Indices]


class Ranking(Search):
    """Rank by leaving each out, insert in that order, keep the shortest prefix that reaches the maximum."""

    def run_whole(
        self, problem: Problem, most: int, stimuli: Indices | None, detail: Detail, report: Report | None
    ) -> Pruned:
        """Rank by leaving each out, insert in that order, keep the best prefix: all in the compiled core.

        References
        ----------
        Tarigopula, Fairhall & Hasson (2023), §2.2.
        """
        problem = problem.load()
        found = problem.ranking(stimuli, self.min_features, most, TIE, detail, report)
        if found is None or (found.baseline == 0).any():
            explained_baseline(problem.among(stimuli))
        if found is None:
            raise ValueError("X and target must both vary over the pairs, got variation that is rounding alone")
        if not found.length.all():
            raise self.refuse_limits()
        return Pruned(found.baseline, found.importance, found.order, found.curve, found.support, found.alignment)

    def choose(
        self, scorer: Scorer, baseline: Matrix, importance: Matrix, most: int, stimulus_groups: LabelsLike | None,
        *, progress: bool, keep_interrupted: bool,
    ) -> Pruned:  # fmt: skip
        """The same of groups of features, of targets together, or with features that stay, step by step."""
        order = scorer.fixed_first(order_by_importance(importance, scorer.threads))

        def lengths(scorer: Scorer, curve: Matrix, allowed: Mask) -> Indices:
            return self.lengths(scorer, curve, allowed, stimulus_groups)

        return self.cut(scorer, baseline, importance, order, most, lengths)

    def cut(
        self, scorer: Scorer, baseline: Matrix, importance: Matrix, order: Indices, most: int, lengths: Lengths
    ) -> Pruned:
        """Insert in an order, and keep so much of it as ``lengths`` says."""
        groups = scorer.groups
        curve = scorer.curve(order)
        curve[:, : max(0, scorer.fixed.sum() - 1)] = np.nan
        count = np.cumsum(groups.sizes[order], axis=1)
        allowed = (count >= self.min_features) & (count <= most) & ~np.isnan(curve)
        if not allowed.any(axis=1).all():
            raise self.refuse_limits()
        length = lengths(scorer, curve, allowed)
        support = np.zeros(curve.shape, dtype=bool)
        np.put_along_axis(support, order, np.arange(len(groups)) < length[:, None], axis=1)
        best = np.take_along_axis(curve, length[:, None] - 1, axis=1)[:, 0]
        if groups.single:
            return Pruned(baseline, importance, order, curve, support, best)
        paths = tuple(path_along(*rows) for rows in zip(groups.first[order], curve, count))
        by_count = np.full((len(curve), len(groups.of)), np.nan)
        np.put_along_axis(by_count, count - 1, curve, axis=1)
        spread = importance[:, groups.of], groups.laid_out(order), by_count, support[:, groups.of]
        return Pruned(baseline, *spread, best, paths)

    def lengths(self, scorer: Scorer, curve: Matrix, allowed: Mask, stimulus_groups: LabelsLike | None) -> Indices:
        """How many groups of each target's order to keep (T,), of those lengths that are allowed (T, G)."""
        return best_prefix(np.where(allowed, curve, np.nan))


class Parsimonious(Ranking):
    """Keep the shortest prefix that is as good, over inner folds of the stimuli."""

    def lengths(self, scorer: Scorer, curve: Matrix, allowed: Mask, stimulus_groups: LabelsLike | None) -> Indices:
        """The shortest prefix whose mean held-out alignment is within one standard error of the best one's."""
        return _as_good_prefix(np.where(allowed, self._inner_curves(scorer, stimulus_groups), np.nan))

    def check_sizes(self, n: int, groups: LabelsLike | None) -> None:
        self._inner_folds(n, groups)

    def _inner_folds(self, n: int, groups: LabelsLike | None) -> list[tuple[Indices, Indices]]:
        if n < SMALLEST_FOLD * self.inner_cv:
            raise ValueError(
                f"inner_cv must leave at least {SMALLEST_FOLD} of the {n} training stimuli in each fold, "
                f"got {self.inner_cv} folds"
            )
        known = n if groups is None else len(np.unique(np.asarray(groups)))
        if known < self.inner_cv:
            raise ValueError(
                f"inner_cv must be at most the number of groups of the training stimuli, {known}, got {self.inner_cv}"
            )
        folds = list(shuffled_folds(n, self.inner_cv, self.seed, groups))
        least = min(len(side) for sides in folds for side in sides)
        if least < SMALLEST_FOLD:
            raise ValueError(
                f"inner_cv must leave at least {SMALLEST_FOLD} of the {n} training stimuli in each fold, got "
                f"{least} with {self.inner_cv} folds of whole groups"
            )
        return folds

    def _inner_curves(self, scorer: Scorer, stimulus_groups: LabelsLike | None) -> Matrix:
        """Held-out curves (inner folds, T, G): ranked on some of the stimuli, scored on the others.

        NaN throughout where a fold can't be ranked or scored.
        """
        all_features = np.ones(len(scorer.groups), dtype=bool)
        curves = []
        for sides in self._inner_folds(scorer.features.n, stimulus_groups):
            train, test = map(scorer.among, sides)
            baseline = train.compare(all_features)
            importance = baseline[:, None] - train.after_each(all_features, adding=False)
            curve = test.curve(scorer.fixed_first(order_by_importance(importance)))
            curves.append(np.where(np.isnan(baseline)[:, None], np.nan, curve))
        return np.stack(curves)


def shuffled_folds(
    n: int, count: int, seed: int, groups: LabelsLike | None = None
) -> Iterator[tuple[Indices, Indices]]:
    """So many (train, test) folds of n shuffled stimuli; those of one group (n,) stay on one side."""
    from sklearn.model_selection import GroupKFold, KFold

    kind = KFold if groups is None else GroupKFold
    folds: Iterator[tuple[Indices, Indices]] = kind(int(count), shuffle=True, random_state=int(seed)).split(
        np.zeros(n), groups=groups
    )
    return folds


def _as_good_prefix(curves: Matrix) -> Indices:
    """Length (T,) of the shortest prefix whose mean is within one standard error of the best prefix's.

    ``curves`` (folds, T, G). Folds that are NaN throughout are left out; a length that is NaN in another can't win.

    References
    ----------
    The one-standard-error rule: Breiman, Friedman, Olshen & Stone (1984), Classification and Regression Trees, §3.4.3.
    """
    lengths = np.empty(curves.shape[1], dtype=np.int64)
    for t in range(curves.shape[1]):
        scored = curves[:, t][~np.isnan(curves[:, t]).all(axis=1)]
        mean = scored.mean(axis=0) if len(scored) > 1 else np.full(curves.shape[2], np.nan)
        if np.isnan(mean).all():
            raise ValueError(
                f"inner_cv must leave at least 2 inner folds with a score for one length in common, got "
                f"{len(scored)} scored of {len(curves)}"
            )
        best = int(np.nanargmax(mean))
        error = float(scored[:, best].std(ddof=1)) / np.sqrt(len(scored))
        lengths[t] = int(np.argmax(np.where(np.isnan(mean), -np.inf, mean) >= mean[best] - max(error, TIE))) + 1
    return lengths
