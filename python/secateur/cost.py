"""What a run will take, said before it starts: memory by a formula, time by a rate that is measured on the spot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .execution import Execution, multiply_adds
from .features import Features
from .measures import comparator_row
from .pairs import pair_count
from .problem import Problem, similarities_of
from .progress import duration, say
from .targets import Targets

__all__ = ["Cost", "announce_measured", "announce_together", "memory", "rate"]

# Seconds from which on a run is announced.
LONG = 60.0
# Multiply-adds a second and thread that no processor reaches: less work than a minute's is not measured. Where
# similarities are sorted, a multiply-add stands for many more operations, the most where pairs are many.
FASTEST, FASTEST_OF_RANKS = 1e11, 3e8
# What a rate of ranks is measured on: stimuli, at most; pairs times features times targets, about.
MOST_RANKED, SAMPLED = 1500, 4e6
# The core's, in bytes a pair.
LISTED = 20  # leave-one-out of one target: pair sum, target, partner
PANELS = 24 << 20  # leave-one-out of many targets: targets at a time, in bytes, or where that is more 12 targets
RUNNING = 16  # insertion: sums and target, a run
PACKED = 64 << 20  # insertion: X once more, where it is no larger
REBUILDING = 16  # prefixes whose moments lost their digits: sums and similarities, a thread
SORTING = 88  # ranks: similarities, ranks, keys and order, a thread


def memory(
    stimuli: int,
    features: int,
    targets: int,
    train: int,
    *,
    patterns: int = 0,
    moments: bool = True,
    threads: int = 1,
    width: int = 8,
) -> int:
    """Bytes that a search by ranking takes at most, X and targets included: O(n d + P T), whatever the number of runs.

    With N pairs among all n stimuli, P among the m training stimuli, T targets, U weight patterns and t threads::

        8 n d + 8 N (T + U)                     X (4 n d as float32) and targets
        8 m d + 8 P (2 T + U + 2)               of a fold: X, targets as they are and standardised, pair sums, positions
        P 20, or P (8 + 12 * 8) or 24 MiB       leave-one-out of one target, or of many
        P 16, or P 16 t, and 64 MiB at most     instead, insertion of fewer targets than threads, or of more, and X once
                                                more; 24 for 16 where pairs have weights; then P 16 t
        P 88 t                                  instead of these, for comparators that see the similarities
        8 t (3 * 128 m + 64 m)                  factors

    Parameters
    ----------
    stimuli, features, targets : int
        n, d and T.
    train : int
        Stimuli of the largest training set, or all.
    patterns : int
        Distinct patterns of weights, or of missing pairs; 0 where every pair counts once.
    moments : bool
        Whether the comparator needs sums over pairs alone; else it sees the similarities (ranks, whitened comparators).
    threads : int
        t.
    width : int
        Bytes of a value of X: 4 or 8.

    Returns
    -------
    int

    Examples
    --------
    >>> memory(20_000, 768, 1, 16_000) < 17 * 2**30
    True
    """
    all_pairs, pairs = pair_count(stimuli), pair_count(train)
    total = width * stimuli * features + 8 * all_pairs * (targets + patterns)
    total += 8 * train * features + 8 * pairs * (2 * targets + patterns + 2)
    if moments:
        many = min(8 * pairs * targets, max(PANELS, 12 * 8 * pairs)) + 8 * pairs
        leaving = LISTED * pairs if targets == 1 else many
        runs = 1 if targets < threads else threads
        inserting = (RUNNING + (8 if patterns else 0)) * pairs * runs + min(8 * train * features, PACKED)
        total += max(leaving, inserting, REBUILDING * pairs * threads)
    else:
        total += SORTING * pairs * threads
    return int(total + 8 * threads * (3 * 128 + 64) * train)


def rate(problem: Problem, targets: int, stimuli: int) -> float:
    """Multiply-adds a second of this metric, comparator and execution, as :func:`multiply_adds` counts them.

    From a search by ranking among random stimuli, with targets that some of the features know, which takes a tenth of
    a second or so. Sums over pairs are as fast for any number of them; ranks take more where there are many pairs, and
    shorter ways where there are few: as many stimuli are ranked as are asked about, up to :data:`MOST_RANKED`, with
    fewer features.
    """
    if by_moments(problem):
        n, d, count = 512, 1024 if targets < 4 else 256, min(targets, 24)
    else:
        n, count = min(stimuli, MOST_RANKED), min(targets, 8)
        d = int(np.clip(SAMPLED / (pair_count(n) * count), 16, 1024))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    known = similarities_of(X, problem.metric, np.arange(0, d, 2))
    noise = rng.normal(size=(count, pair_count(n)))
    sample = replace(
        problem, features=Features(X), targets=Targets(known + np.nanstd(known) * noise, None, None, n), loaded_X=None,
        loaded_targets=None, execution=Execution(threads=problem.execution.threads),
    )  # fmt: skip
    fastest = np.inf
    for _ in range(2):  # the first one warms up
        start = time.perf_counter()
        sample.ranking(None, 1, d, 0.0, "support")
        fastest = min(fastest, time.perf_counter() - start)
        if fastest > 1:
            break
    return multiply_adds(n, d, count) / fastest


@dataclass(frozen=True)
class Cost:
    """A run: so many searches of each fold, on the processor.

    Attributes
    ----------
    problem : what is aligned with what, and where.
    training : stimuli of each fold's training set; one entry, of all stimuli, where there are no folds.
    runs : how often all of that is done, and ``together``, of them in one call of the core.
    effort : multiply-adds in those of a ranking and an insertion of the whole.
    bound : whether ``effort`` is the most that there may be.
    folds : whether there are folds.
    """

    problem: Problem
    training: Sequence[int]
    runs: int = 1
    together: int = 1
    effort: float = 1.0
    bound: bool = False
    folds: bool = True

    @property
    def multiply_adds(self) -> float:
        d, targets = self.problem.features.d, len(self.problem.targets)
        return self.effort * sum(multiply_adds(m, d, targets * self.runs) for m in self.training)

    @property
    def bytes(self) -> int:
        """By :func:`memory`."""
        features, targets, moments = self.problem.features, self.problem.targets, by_moments(self.problem)
        patterns = len(targets.weights) if isinstance(targets, Targets) and targets.weights is not None else 0
        return memory(
            features.n, features.d, (len(targets) + targets.control_rows) * self.together, max(self.training),
            patterns=patterns * self.together, moments=moments, threads=self.problem.execution.threads,
            width=features.values.itemsize if isinstance(features, Features) else 8,
        )  # fmt: skip

    @property
    def least_seconds(self) -> float:
        """What no processor goes below."""
        fastest = FASTEST if by_moments(self.problem) else FASTEST_OF_RANKS
        return self.multiply_adds / (self.problem.execution.threads * fastest)

    def seconds(self) -> float:
        """By a rate measured now, where there may be :data:`LONG` of them; else 0."""
        if self.least_seconds < LONG:
            return 0.0
        return self.multiply_adds / rate(self.problem, len(self.problem.targets) * self.together, max(self.training))

    def announce(self, shown: bool) -> None:
        """One line on stderr where the run takes over a minute on the processor, and may say so."""
        if not shown or self.problem.execution.device != "cpu":
            return
        seconds = self.seconds()
        if seconds > LONG:
            say(self.line(seconds))

    def line(self, seconds: float) -> str:
        features, targets = self.problem.features, len(self.problem.targets)
        runs = f"{self.runs} runs of " if self.runs > 1 else ""
        folds = f"{_number(len(self.training), 'fold')} of " if self.folds else ""
        return (
            f"{'at most ' if self.bound else ''}about {duration(seconds)}, {_size(self.bytes)}: {runs}{folds}"
            f"{features.n} stimuli x {features.d} features, {_number(targets, 'target')}"
        )


def announce_together(costs: Sequence[Cost], what: str, shown: bool) -> None:
    """One line on stderr where several runs, one after another, take over a minute on the processor, and may say so.

    Those of the same metric and comparator are taken to be as fast as each other.
    """
    costs = [one for one in costs if one.problem.execution.device == "cpu"]
    if not shown or sum(one.least_seconds for one in costs) < LONG:
        return
    rates: dict[tuple[str, str], float] = {}
    seconds = 0.0
    for one in costs:
        key = one.problem.metric, str(one.problem.comparator)
        if key not in rates:
            rates[key] = rate(one.problem, len(one.problem.targets) * one.together, max(one.training))
        seconds += one.multiply_adds / rates[key]
    if seconds > LONG:
        bound = "at most " if any(one.bound for one in costs) else ""
        n, d = costs[0].problem.features.n, max(one.problem.features.d for one in costs)
        targets = _number(len(costs[0].problem.targets), "target")
        size = _size(max(one.bytes for one in costs))
        say(f"{bound}about {duration(seconds)}, {size}: {what}, {n} stimuli x {d} features, {targets}")


def announce_measured(seconds: float, what: str, shown: bool) -> None:
    """One line on stderr where what is about to be repeated takes over a minute, by what its first time took."""
    if shown and seconds > LONG:
        say(f"about {duration(seconds)}: {what}")


def by_moments(problem: Problem) -> bool:
    """Whether the comparator needs sums over pairs alone, not the similarities themselves."""
    row = comparator_row(problem.comparator)
    return not (row.rank or row.whitened)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, count >> 20)} MiB"
