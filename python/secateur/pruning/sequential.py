"""Searches step by step: forward, backward, floating."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..features import Indices, Matrix
from ..problem import order_by_importance
from ..progress import bar
from .groups import read_groups
from .result import STEP, TIE, Mask, Path, Pruned
from .scorer import Scorer, best_of
from .settings import Search

if TYPE_CHECKING:
    from .._typing import LabelsLike

__all__ = ["Sequential", "SequentialSearch", "State", "subset_at"]


class Sequential(Search):
    """From none or from all features, one at a time; its row says from where, and whether it goes back on its steps."""

    def choose(
        self, scorer: Scorer, baseline: Matrix, importance: Matrix, most: int, stimulus_groups: LabelsLike | None,
        *, progress: bool, keep_interrupted: bool,
    ) -> Pruned:  # fmt: skip
        """One search a target, or one for all of them."""
        rows = []
        for r in range(len(baseline)):
            one = SequentialSearch(scorer.one(r), self, most, float(baseline[r]), importance[r])
            rows.append(one.run(progress=progress, keep_interrupted=keep_interrupted))
        names = ("importance", "order", "curve", "support", "alignment")
        joined = {name: np.concatenate([getattr(row, name) for row in rows]) for name in names}
        paths = tuple(row.paths[0] for row in rows)
        return Pruned(baseline, **joined, walked=paths, interrupted=any(row.interrupted for row in rows))


class State:
    """The groups inside after some steps, and (for floating searches) the best set seen of every number of groups."""

    def __init__(self, groups: int, *, floating: bool) -> None:
        self.inside: Mask = np.zeros(groups, dtype=bool)
        self.floating = floating
        self.known: dict[int, tuple[float, Mask]] = {}

    @property
    def number(self) -> int:
        return int(self.inside.sum())

    def best(self, number: int) -> float:
        """The best alignment seen with a number of groups; -inf where none was defined."""
        return self.known[number][0] if number in self.known else -np.inf

    def apply(self, group: int, action: str, alignment: float) -> None:
        if action == "return":
            self.inside = self.known[self.number][1].copy()
        elif action == "start":
            self.inside[:] = True
        else:
            self.inside[group] = action == "add"
        if not self.floating:
            return
        number, value = self.number, -np.inf if np.isnan(alignment) else alignment
        if number not in self.known or value > self.known[number][0] + TIE:
            self.known[number] = value, self.inside.copy()


def subset_at(path: Path, d: int, step: int = -1, feature_groups: LabelsLike | None = None) -> Mask:
    """The features present after a step of a search.

    Parameters
    ----------
    path : structured array (steps,)
        A fitted Pruner's ``path_``.
    d : int
        Number of features.
    step : int
        Which step; from the end where negative.
    feature_groups : array (d,), optional
        As the Pruner was given them.

    Returns
    -------
    (d,) bool

    Raises
    ------
    ValueError
        Where the path has no such step.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> pruner = sc.Pruner(search="floating").fit(X, X[:, :3] @ X[:, :3].T)
    >>> pruner.path_["action"][:2].tolist()
    ['add', 'add']
    >>> int(subset_at(pruner.path_, 6, step=1).sum())
    2
    """
    if not -len(path) <= step < len(path):
        raise ValueError(f"step must be one of the path's {len(path)}, got {step}")
    groups = read_groups(feature_groups, d)
    state = State(len(groups), floating=bool((path["action"] == "return").any()))
    for row in path[: len(path) + step + 1 if step < 0 else step + 1]:
        state.apply(int(groups.of[row["feature"]]), str(row["action"]), float(row["alignment"]))
    return np.asarray(state.inside[groups.of])


class SequentialSearch:
    """One sequential search for one target.

    A forward search begins with nothing and adds, a backward search begins with all features and removes: each onward
    step is the best of all. A floating search follows every onward step by steps back, while one leads to a set
    strictly better than all seen of its size; where an onward step leads to no better set than one seen of its
    size, it goes on from that one. Each step back raises the best of a size, so the search ends.

    References
    ----------
    Whitney (1971), A direct method of nonparametric measurement selection, IEEE Trans. Comput. C-20 (forward); Marill &
    Green (1963), On the effectiveness of receptors in recognition systems, IEEE Trans. Inf. Theory 9 (backward);
    Pudil, Novovičová & Kittler (1994), Floating search methods in feature selection, Pattern Recogn. Lett. 15;
    Somol et al. (1999), Adaptive floating search methods, Pattern Recogn. Lett. 20 (going on from the best of a size).
    """

    def __init__(self, scorer: Scorer, search: Search, most: int, baseline: float, importance: Matrix) -> None:
        self.scorer, self.search, self.most = scorer, search, most
        self.baseline, self.importance = baseline, importance
        self.groups = scorer.groups
        self.forward = not search.row.backward
        self.floating = search.row.floating
        self.ranking = order_by_importance(importance)
        self.state = State(len(self.groups), floating=self.floating)
        self.steps: list[tuple[int, str, float, int]] = []
        self.value, self.count = np.nan, 0
        self.best, self.best_count, self.steps_without_gain, self.largest_size = -np.inf, 0, 0, 0
        if not self.forward:
            self._take(-1, "start", baseline)
            return
        fixed = np.flatnonzero(scorer.fixed)  # they come in first, and the last of them makes a set that counts
        for g in fixed:
            value = float(scorer.compare(scorer.fixed)[0]) if g == fixed[-1] else np.nan
            self._take(int(g), "add", value)
        self.largest_size = len(fixed)

    def _take(self, group: int, action: str, alignment: float) -> None:
        self.state.apply(group, action, alignment)
        self.value, self.count = alignment, int(self.groups.sizes[self.state.inside].sum())
        self.steps.append((group, action, alignment, self.count))
        if self.search.min_features <= self.count <= self.most and not np.isnan(alignment):
            gain = alignment - self.best
            if gain > TIE or (gain >= -TIE and self.count < self.best_count):
                self.best, self.best_count, self.steps_without_gain = alignment, self.count, 0

    def _candidates(self, *, adding: bool) -> Mask:
        """Groups that may come, or go, within the limits."""
        inside, sizes = self.state.inside, self.groups.sizes
        if adding:
            return np.asarray(~inside & (self.count + sizes <= (self.most if self.forward else len(self.groups.of))))
        least = 1 if self.forward else self.search.min_features
        return np.asarray(inside & ~self.scorer.fixed & (self.count - sizes >= least))

    def _forward_step(self) -> bool:
        """One step onward; False where the search ends."""
        allowed = self._candidates(adding=self.forward)
        if not allowed.any():
            return False
        # Where no set within the limits has been reached, the search goes on whatever it costs.
        may_stop = self.count >= self.search.min_features if self.forward else self.count <= self.most
        if may_stop and self.search.patience is not None and self.steps_without_gain >= self.search.patience:
            return False
        values = self.scorer.after_each(self.state.inside, adding=self.forward)[0]
        g = best_of(values, allowed)
        if g < 0:
            if not self.forward:
                return False
            left = np.where(allowed, self.scorer.undefined_pairs(self.state.inside), np.iinfo(np.int64).max)
            g = int(self.ranking[np.argmin(left[self.ranking])])
        if may_stop and self.search.tol is not None and values[g] - self.value < self.search.tol:
            return False
        size = self.state.number if self.forward else len(self.groups) - self.state.number
        if size == self.largest_size:  # patience is measured in new sizes: floating searches go over old ones again
            self.largest_size += 1
            self.steps_without_gain += bool(self.best > -np.inf)
        self._take(g, "add" if self.forward else "remove", float(values[g]))
        return True

    def _return(self) -> bool:
        """Go on from the best set of this size, where that is another one."""
        alignment, best = self.state.known[self.state.number]
        if alignment == -np.inf or np.array_equal(best, self.state.inside):
            return False
        self._take(-1, "return", alignment)
        return True

    def _back(self) -> None:
        """Steps back, while each leads to the best set of its size."""
        while True:
            allowed = self._candidates(adding=not self.forward)
            if not allowed.any() or self.state.number + (-1 if self.forward else 1) < 1:
                return
            values = self.scorer.after_each(self.state.inside, adding=not self.forward)[0]
            g = best_of(values, allowed)
            known = self.state.best(self.state.number + (-1 if self.forward else 1))
            if g < 0 or not values[g] > known + TIE:
                return
            self._take(g, "remove" if self.forward else "add", float(values[g]))

    def run(self, *, progress: bool, keep_interrupted: bool) -> Pruned:
        d, interrupted = len(self.groups.of), False
        total = self.most if self.forward else d - self.search.min_features
        try:
            with bar(total, "features", progress) as shown:
                while self._forward_step():
                    if self.floating and not self._return():
                        self._back()
                    shown.set_postfix_str(f"alignment {self.value:.4f}", refresh=False)
                    shown.update(max(0, (self.count if self.forward else d - self.count) - shown.n))
        except KeyboardInterrupt:
            if not keep_interrupted or self.best == -np.inf:
                raise
            interrupted = True
        return self._pruned(interrupted)

    def _pruned(self, interrupted: bool) -> Pruned:
        """What the steps that were taken add up to; nothing but them is used, so that it holds after Ctrl-C too."""
        groups = self.groups
        steps = list(self.steps)
        path = np.array([(groups.first[g] if g >= 0 else -1, *step) for g, *step in steps], dtype=STEP)
        within = (path["count"] >= self.search.min_features) & (path["count"] <= self.most)
        judged = np.where(within, path["alignment"], np.nan)
        if not len(path) or np.isnan(judged).all():
            raise self.search.refuse_limits()
        as_good = np.flatnonzero(judged >= np.nanmax(judged) - TIE)
        chosen = int(as_good[np.argmin(path["count"][as_good])])
        support = subset_at(path, len(groups.of), chosen, groups.of)
        order = groups.laid_out(self._order(steps, chosen, support[groups.first]))
        curve = np.full(len(groups.of), -np.inf)
        np.maximum.at(curve, path["count"] - 1, np.where(np.isnan(path["alignment"]), -np.inf, path["alignment"]))
        importance = self._gains(steps) if self.forward else self.importance
        return Pruned(
            baseline=np.array([self.baseline]),
            importance=importance[groups.of][None],
            order=order[None],
            curve=np.where(curve == -np.inf, np.nan, curve)[None],
            support=support[None],
            alignment=path["alignment"][[chosen]],
            walked=(path,),
            interrupted=interrupted,
        )

    def _order(self, steps: list[tuple[int, str, float, int]], chosen: int, kept: Mask) -> Indices:
        """Groups: the kept ones first, then as they came in, or in reverse as they went; the rest by the ranking."""
        late, never = len(steps), 2 * len(steps)
        place = np.full(len(self.groups), never)
        for s, (g, action, _, _) in enumerate(steps):
            if action != ("add" if self.forward else "remove"):
                continue
            if self.forward:  # kept: the last entry up to the choice; others: the first
                if (kept[g] and s <= chosen) or place[g] == never:
                    place[g] = s
            elif kept[g]:  # the first exit after the choice
                if s > chosen and place[g] == never:
                    place[g] = late - s
            elif s <= chosen:  # the last exit before it
                place[g] = late - s
        if not self.forward:
            place[kept & (place == never)] = -1
        position = np.empty(len(self.groups), dtype=np.int64)
        position[self.ranking] = np.arange(len(self.groups))
        return np.asarray(np.lexsort((position, place, ~kept)), dtype=np.int64)

    def _gains(self, steps: list[tuple[int, str, float, int]]) -> Matrix:
        """What each group's last entry added to the alignment; 0 for a group that never came in."""
        gains, before = np.zeros(len(self.groups)), 0.0
        for g, action, alignment, _ in steps:
            if action == "add":
                gains[g] = alignment - before
            before = alignment
        return gains
