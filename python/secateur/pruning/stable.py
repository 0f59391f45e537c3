"""Stability selection: the features that rankings of many halves of the stimuli agree about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..features import Indices, Matrix
from ..problem import order_by_importance
from .ranking import SMALLEST_FOLD, Ranking
from .result import Mask, Pruned
from .scorer import Scorer

if TYPE_CHECKING:
    from .._typing import LabelsLike

__all__ = ["Stable"]


class Stable(Ranking):
    """Keep the features that are among the most important ones in most of many halves of the stimuli.

    References
    ----------
    Meinshausen & Buehlmann (2010), J. R. Stat. Soc. B 72, 417-473; halves in complementary pairs: Shah & Samworth
    (2013), J. R. Stat. Soc. B 75, 55-80.
    """

    def choose(
        self, scorer: Scorer, baseline: Matrix, importance: Matrix, most: int, stimulus_groups: LabelsLike | None,
        *, progress: bool, keep_interrupted: bool,
    ) -> Pruned:  # fmt: skip
        """Order by how often each group of features was selected, ties by importance; keep the stable ones."""
        free = int((~scorer.fixed).sum())
        each_time = min(max(1, int(np.sqrt(self.max_false * (2 * self.threshold - 1) * free) + 1e-9)), max(1, free))
        share = self._shares(scorer, len(baseline), each_time, stimulus_groups)
        share[:, scorer.fixed] = 1
        by_importance = order_by_importance(importance, scorer.threads)
        position = np.argsort(by_importance, axis=1)
        order = scorer.fixed_first(np.lexsort((position, -share), axis=1).astype(np.int64))
        stable = (share >= self.threshold - 1e-9).sum(axis=1)

        def lengths(scorer: Scorer, curve: Matrix, allowed: Mask) -> Indices:
            """All stable groups and no others; where that is not allowed, the next longer order, or the longest."""
            length = np.arange(1, curve.shape[1] + 1)
            onward = allowed & (length >= stable[:, None])
            longest = curve.shape[1] - np.argmax(allowed[:, ::-1], axis=1)
            chosen = np.where(onward.any(axis=1), np.argmax(onward, axis=1) + 1, longest)
            return np.asarray(chosen, dtype=np.int64)

        found = self.cut(scorer, baseline, share, order, most, lengths)
        bound = each_time**2 / ((2 * self.threshold - 1) * free) if free else 0.0
        return Pruned(
            found.baseline, found.importance, found.order, found.curve, found.support, found.alignment, found.walked,
            false_bound=np.full(len(baseline), bound),
        )  # fmt: skip

    def _shares(self, scorer: Scorer, rows: int, each_time: int, stimulus_groups: LabelsLike | None) -> Matrix:
        """Of the halves that can be ranked, the share (R, G) in which a group is among the most important ones."""
        everything = np.ones(len(scorer.groups), dtype=bool)
        times, ranked = np.zeros((rows, len(scorer.groups))), np.zeros(rows)
        for half in self._halves(scorer.features.n, stimulus_groups):
            part = scorer.among(half)
            baseline = part.compare(everything)
            importance = baseline[:, None] - part.after_each(everything, adding=False)
            order = scorer.fixed_first(order_by_importance(importance, scorer.threads))
            first = int(scorer.fixed.sum())
            selected = np.zeros(importance.shape, dtype=bool)
            np.put_along_axis(selected, order[:, first : first + each_time], True, axis=1)
            able = ~np.isnan(baseline)
            times[able] += selected[able]
            ranked += able
        if (ranked < 2).any():
            raise ValueError(
                f"half_samples must give at least 2 halves of the stimuli with an alignment, got {int(ranked.min())} "
                f"of {self.half_samples}"
            )
        return np.asarray(times / ranked[:, None])

    def check_sizes(self, n: int, groups: LabelsLike | None) -> None:
        for _ in self._halves(n, groups):
            pass

    def _halves(self, n: int, stimulus_groups: LabelsLike | None) -> Iterator[Indices]:
        """Random halves of the stimuli, or of their groups: each division gives two, which have none in common."""
        of = np.arange(n) if stimulus_groups is None else np.unique(stimulus_groups, return_inverse=True)[1].reshape(-1)
        count, rng = int(of.max()) + 1, np.random.default_rng(self.seed)
        for draw in range(self.half_samples):
            if draw % 2 == 0:
                shuffled = rng.permutation(count)
            mine = shuffled[: count // 2] if draw % 2 == 0 else shuffled[count // 2 : count // 2 * 2]
            half = np.flatnonzero(np.isin(of, mine)).astype(np.int64)
            if len(half) < SMALLEST_FOLD:
                raise ValueError(
                    f"search 'stable' must have at least {SMALLEST_FOLD} stimuli in each half, got {len(half)} of {n}"
                )
            yield half
