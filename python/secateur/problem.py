"""Features, targets, what compares them, and where: loaded once, and asked by the verbs of the compiled core.

No other room asks the core for a similarity or an alignment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _core
from .execution import Execution
from .features import DeviceFeatures, Features, Indices, Matrix
from .measures import check_comparator, comparator_row
from .targets import DeviceTargets, Targets

__all__ = [
    "Problem", "Ranked", "compare", "compare_rows", "compare_where_defined", "device_array", "order_by_importance",
    "similarities_of",
]  # fmt: skip


def device_array(features: Features | DeviceFeatures, targets: Targets | DeviceTargets) -> str:
    """What of the two came as an array on a CUDA device; empty where neither did."""
    return "X" if isinstance(features, DeviceFeatures) else "target" if isinstance(targets, DeviceTargets) else ""


def similarities_of(values: Matrix, metric: str, subset: Indices | None = None, threads: int = 1) -> Matrix:
    """Similarities (P,) of the rows of an array over all columns, or some."""
    columns = np.arange(values.shape[1], dtype=np.int64) if subset is None else subset
    return _core.similarity(values, metric, columns, threads)


def compare_rows(
    similarities: Matrix, targets: Targets, comparator: str, threads: int, metric: str | None = None
) -> Matrix:
    """Alignments (R, T) of given similarities (R, P) with every target; NaN where a pair that counts is undefined.

    ``metric``: what the similarities are, where that is known; ties among them go by its scale.
    """
    terms = (targets.n, targets.values, targets.weights, targets.weight_of, check_comparator(comparator))
    return _core.compare(np.ascontiguousarray(similarities), *terms, threads, metric)


def compare(similarities: Matrix, targets: Targets, comparator: str, threads: int, metric: str | None = None) -> Matrix:
    """As :func:`compare_rows`, of one space: (P,) -> (T,)."""
    return np.asarray(compare_rows(similarities[None], targets, comparator, threads, metric)[0])


def compare_where_defined(
    similarities: Matrix, targets: Targets, comparator: str, threads: int, metric: str | None = None
) -> tuple[Matrix, Indices]:
    """Alignment (T,) of given similarities (P,) over the defined pairs, and how many with weight were not (T,)."""
    undefined = np.isnan(similarities)
    left_out = np.zeros(len(targets), dtype=np.int64)
    if undefined.any():
        if comparator_row(comparator).whitened:
            raise ValueError(
                "X must give every stimulus a direction for a whitened comparator, got "
                f"{int(undefined.sum())} undefined pairs"
            )
        left_out[:] = [np.sum(undefined & targets.has_weight(t)) for t in range(len(targets))]
        targets = targets.mask_pairs(undefined)
    return compare(similarities, targets, comparator, threads, metric), left_out


def order_by_importance(importance: Matrix, threads: int = 1) -> Indices:
    """Features in order of importance (..., d), most important first, ties by index.

    NaN (a feature without which a stimulus has no direction) comes first: nothing works without it.
    """
    rows = np.ascontiguousarray(importance).reshape(-1, importance.shape[-1])
    return _core.rank(rows, threads).reshape(importance.shape)


class Ranked(NamedTuple):
    """What the core's ranking gives for T targets; what was not asked for has no rows. ``length`` 0: none allowed."""

    baseline: Matrix
    importance: Matrix
    order: Indices
    curve: Matrix
    length: Indices
    alignment: Matrix
    support: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """Features, targets, metric, comparator and execution; its methods are the verbs.

    Attributes
    ----------
    features, targets : as they were read, in host memory or on a device
    metric, comparator : checked names
    execution : where the verbs run
    X, goals : copies on the device, once :meth:`load` has made them; the verbs run where these are
    """

    features: Features | DeviceFeatures
    targets: Targets | DeviceTargets
    metric: str
    comparator: str
    execution: Execution
    X: _core._Loaded | None = None
    goals: _core._LoadedTargets | None = None

    def load(self, *, targets: bool = True) -> Problem:
        """The same with X, and targets, on the execution's device, each brought there once.

        ``targets=False`` leaves those of the host on the host, which standardises them for the verbs of single steps.
        """
        memory, X, goals = self.execution.memory, self.X, self.goals
        if memory is None:
            return self
        if X is None:
            X = _core.cuda_load(memory, self.features.values, self.execution.precision)
        if goals is None and isinstance(self.targets, DeviceTargets):
            goals = _core.cuda_load_targets(
                memory, self.targets.values, None, None, self.targets.n, self.targets.negated
            )
        elif goals is None and targets and isinstance(self.targets, Targets):
            goals = _core.cuda_load_targets(memory, *self.targets.rows, self.targets.n, False)
        return replace(self, X=X, goals=goals)

    # Other problems made of this one

    @property
    def host(self) -> tuple[Features, Targets]:
        """Both in host memory: read back from the device where that is where they came."""
        features, targets = self.features, self.targets
        if isinstance(features, DeviceFeatures):
            assert self.X is not None
            features = Features(_core.cuda_fetch(self.X))
        if isinstance(targets, DeviceTargets):
            assert self.goals is not None
            single = len(targets.values.shape) == 1
            targets = Targets(_core.cuda_fetch(self.goals), None, None, targets.n, single, kind=targets.kind)
        return features, targets

    def among(self, stimuli: Indices | None) -> Problem:
        """These stimuli alone, in this order, or all, in host memory."""
        features, targets = self.host
        if stimuli is None:
            return self.over(features, targets)
        return self.over(features.among(stimuli), targets.among(stimuli))

    def over(self, features: Features, targets: Targets) -> Problem:
        """The same comparison of others."""
        return replace(self, features=features, targets=targets, X=None, goals=None)

    def against(self, targets: Targets) -> Problem:
        """The same features, which stay where they lie, with other targets, which go where these were."""
        other = replace(self, targets=targets, goals=None)
        return other if self.goals is None else other.load()

    def on_one_thread(self) -> Problem:
        """The same, for calls that are over before a team of threads has met."""
        return replace(self, execution=replace(self.execution, threads=1))

    # Verbs

    @property
    def _sides(self) -> tuple[Any, Any, Matrix | None, Indices | None]:
        """X, targets and their weights, each as it lies."""
        X: Any = self.X
        if X is None:
            assert isinstance(self.features, Features)
            X = np.ascontiguousarray(self.features.values)
        if self.goals is not None:
            return X, self.goals, None, None
        assert isinstance(self.targets, Targets)
        return X, *self.targets.rows

    def similarities(self, subset: Indices | None = None, threads: int | None = None) -> Matrix:
        """Similarities (P,) over all features, or some."""
        columns = np.arange(self.features.d, dtype=np.int64) if subset is None else subset
        return _core.similarity(self._sides[0], self.metric, columns, threads or self.execution.threads)

    def compare(self, similarities: Matrix, threads: int | None = None) -> Matrix:
        """Alignment (T,) of given similarities (P,) of this metric; NaN where a pair that counts is undefined."""
        assert isinstance(self.targets, Targets)
        return compare(similarities, self.targets, self.comparator, threads or self.execution.threads, self.metric)

    def leave_one_out(self, subset: Indices) -> Matrix:
        """Alignment (T, d) with each feature taken from a subset."""
        return _core.leave_one_out(*self._sides, self.metric, self.comparator, subset, self.execution.threads)

    def add_one(self, subset: Indices) -> Matrix:
        """Alignment (T, d) with each feature added to a subset."""
        return _core.add_one(*self._sides, self.metric, self.comparator, subset, self.execution.threads)

    def insertion_curve(self, order: Indices) -> Matrix:
        """Alignment (T, m) of each prefix of an order: (1, m) for all targets, or (T, m)."""
        return _core.insertion_curve(*self._sides, self.metric, self.comparator, order, self.execution.threads)

    def ranking(self, stimuli: Indices | None, least: int, most: int, tie: float, detail: str) -> Ranked | None:
        """Rank by leaving each out, insert, take the best prefix, among some stimuli; None: rounding alone varies."""
        found = _core.ranking(
            *self._sides, self.metric, self.comparator, stimuli, least, most, tie, detail, self.execution.threads
        )
        return None if found is None else Ranked(*found)

    def held_out_alignment(self, stimuli: Indices | None, kept: Any = None) -> tuple[Matrix, Indices]:
        """Alignment (T,) among test stimuli over the pairs that are defined, and how many with weight were not (T,).

        ``kept``: of each target its own features, (T, d) bool; one set for all of them, (d,) bool, which is one space;
        or None, all features.
        """
        if kept is None or np.ndim(kept) == 2:
            masks = None if kept is None else np.ascontiguousarray(kept)
            return _core.held_out_alignment(
                *self._sides, self.metric, self.comparator, stimuli, masks, self.execution.threads
            )
        features, targets = self.host if stimuli is None else self.among(stimuli).host
        threads = self.execution.threads
        similarities = similarities_of(features.values, self.metric, np.flatnonzero(kept), threads)
        return compare_where_defined(similarities, targets, self.comparator, threads, self.metric)
