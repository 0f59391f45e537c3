"""Features, targets, what compares them, and where: loaded once, and asked by the verbs of the compiled core.

No other room asks the core for a similarity or an alignment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from . import _core
from .controls import Freed, Partial
from .execution import Execution
from .features import CudaArray, DeviceFeatures, Features, Indices, Matrix
from .measures import check_comparator, comparator_row
from .targets import DeviceTargets, Targets

if TYPE_CHECKING:
    import numpy.typing as npt

    from .measures import ComparatorOrAlias, Metric
    from .progress import Report

__all__ = [
    "Problem", "choices_by_prefix", "choices_without", "compare", "compare_rows", "compare_where_defined",
    "device_array", "order_by_importance", "similarities_in_each", "similarities_of",
]  # fmt: skip


def device_array(features: Features | DeviceFeatures, targets: Targets | DeviceTargets) -> str:
    """What of the two came as an array on a CUDA device; empty where neither did."""
    return "X" if isinstance(features, DeviceFeatures) else "target" if isinstance(targets, DeviceTargets) else ""


def similarities_of(values: Matrix, metric: Metric, subset: Indices | None = None, threads: int = 1) -> Matrix:
    """Similarities (P,) of the rows of an array over all columns, or some."""
    columns = np.arange(values.shape[1], dtype=np.int64) if subset is None else subset
    return _core.similarity(values, metric, columns, threads)


def similarities_in_each(
    embeddings: npt.NDArray[np.float32] | CudaArray,
    metric: Metric,
    execution: Execution,
    beside: npt.NDArray[np.float32] | CudaArray | None = None,
) -> Matrix:
    """Similarities (rows, P) in each of some embeddings (rows, n, d) of single precision, which may lie on the device.

    With ``beside`` (m, d), on a CUDA device alone: (rows, n, m), of the stimuli of each with those of that one.
    """
    if execution.memory is not None:
        return _core.cuda_similarities(execution.memory, embeddings, beside, metric)
    each = (one.astype(np.float64) for one in np.asarray(embeddings))
    return np.stack([similarities_of(one, metric, threads=execution.threads) for one in each])


def compare_rows(
    similarities: Matrix, targets: Targets, comparator: ComparatorOrAlias, threads: int, metric: Metric | None = None
) -> Matrix:
    """Alignments (R, T) of given similarities (R, P) with every target; NaN where a pair that counts is undefined.

    ``metric``: what the similarities are, where that is known; ties among them go by its scale.
    """
    if targets.controls is None:
        given = _core.Targets(*targets.rows)
    elif comparator_row(comparator).rank:
        partial = Partial.of(targets, comparator)
        return partial.of_correlations(compare_rows(similarities, partial.rows, comparator, threads, metric).T).T
    else:
        given = _core.Targets(*Freed.of(targets, comparator).rows)
    rows = np.ascontiguousarray(similarities)
    return _core.compare(rows, targets.n, given, check_comparator(comparator), threads, metric)


def compare(
    similarities: Matrix, targets: Targets, comparator: ComparatorOrAlias, threads: int, metric: Metric | None = None
) -> Matrix:
    """As :func:`compare_rows`, of one space: (P,) -> (T,)."""
    return np.asarray(compare_rows(similarities[None], targets, comparator, threads, metric)[0])


def compare_where_defined(
    similarities: Matrix, targets: Targets, comparator: ComparatorOrAlias, threads: int, metric: Metric | None = None
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


def choices_without(values: Matrix, triplets: Indices, metric: Metric, subset: Indices, threads: int) -> Matrix:
    """Share (d,) of the choices (m, 3) that are the most similar pair with each feature of a subset removed."""
    return _core.choices_leave_one_out(values, triplets, metric, subset, threads)


def choices_by_prefix(values: Matrix, triplets: Indices, metric: Metric, order: Indices, threads: int) -> Matrix:
    """Share (steps,) of the choices (m, 3) that are the most similar pair over each prefix of an order."""
    return _core.choices_insertion_curve(values, triplets, metric, order, threads)


def order_by_importance(importance: Matrix, threads: int = 1) -> Indices:
    """Features in order of importance (..., d), most important first, ties by index.

    NaN (a feature without which a stimulus has no direction) comes first: nothing works without it.
    """
    rows = np.ascontiguousarray(importance).reshape(-1, importance.shape[-1])
    return _core.order_by_importance(rows, threads).reshape(importance.shape)


def _as_double(features: Features | DeviceFeatures) -> Matrix | CudaArray:
    values = features.values
    return np.asarray(values, dtype=np.float64) if isinstance(features, Features) else values


@dataclass(frozen=True)
class Problem:
    """Features, targets, metric, comparator and execution; its methods are the verbs.

    Attributes
    ----------
    features, targets : as they were read, in host memory or on a device
    metric, comparator : checked names
    execution : where the verbs run
    loaded_X, loaded_targets : copies on the device, once :meth:`load` has made them; the verbs run where these are
    """

    features: Features | DeviceFeatures
    targets: Targets | DeviceTargets
    metric: Metric
    comparator: ComparatorOrAlias
    execution: Execution
    loaded_X: _core.Features | None = None
    loaded_targets: _core.Targets | None = None

    def load(self, *, targets: bool = True) -> Problem:
        """The same with X, and targets, on the execution's device, each brought there once.

        ``targets=False`` leaves those of the host on the host.
        """
        memory, X, loaded = self.execution.memory, self.loaded_X, self.loaded_targets
        if memory is None:
            return self
        if X is None:
            X = _core.cuda_load(memory, _as_double(self.features), self.execution.precision)
        of = self.targets
        if loaded is None and isinstance(of, DeviceTargets):
            if of.loose_weights is not None:
                given = _core.cuda_load_targets(memory, of.loose_weights, None, None, of.n, False, "weights")
                of = of.with_weights(_core.cuda_fetch(given))
            loaded = _core.cuda_load_targets(memory, of.values, of.weights, of.weight_of, of.n, of.negated)
        elif loaded is None and targets and isinstance(of, Targets) and of.controls is None:
            loaded = _core.cuda_load_targets(memory, *of.rows, of.n, False)
        return replace(self, targets=of, loaded_X=X, loaded_targets=loaded)

    # Other problems made of this one

    @property
    def host(self) -> tuple[Features, Targets]:
        """Both in host memory: read back from the device where that is where they came."""
        features, targets = self.features, self.targets
        if isinstance(features, DeviceFeatures):
            assert self.loaded_X is not None
            features = Features(_core.cuda_fetch(self.loaded_X))
        if isinstance(targets, DeviceTargets):
            assert self.loaded_targets is not None
            values, weights = _core.cuda_fetch(self.loaded_targets), (targets.weights, targets.weight_of)
            values[np.isnan(values)] = 0  # they have no weight
            targets = Targets(values, *weights, targets.n, targets.single, kind=targets.kind)
        return features, targets

    def among(self, stimuli: Indices | None, *, loaded: bool = False) -> Problem:
        """These stimuli alone, in this order, or all, in host memory.

        ``loaded``: what of the problem lies on the device is taken there too, and not brought again.
        """
        features, targets = self.host
        if stimuli is None:
            return replace(self, features=features, targets=targets) if loaded else self.over(features, targets)
        chosen = targets.among(stimuli)
        part = self.over(features.among(stimuli), chosen)
        if not loaded:
            return part
        X, h = self.loaded_X, self.loaded_targets
        if X is not None:
            X = _core.cuda_among(X, stimuli)
        if h is not None:
            h = _core.cuda_targets_among(h, *chosen.rows[1:], targets.n, stimuli)
        return replace(part, loaded_X=X, loaded_targets=h)

    def over(self, features: Features, targets: Targets) -> Problem:
        """The same comparison of others."""
        return replace(self, features=features, targets=targets, loaded_X=None, loaded_targets=None)

    def against(self, targets: Targets) -> Problem:
        """The same features, which stay where they lie, with other targets, which go where these were."""
        other = replace(self, targets=targets, loaded_targets=None)
        return other if self.loaded_targets is None else other.load()

    def on_one_thread(self) -> Problem:
        """The same, for calls that are over before a team of threads has met."""
        return replace(self, execution=replace(self.execution, threads=1))

    # Verbs

    @property
    def _X(self) -> Matrix | _core.Features:
        """X as it lies."""
        if self.loaded_X is not None:
            return self.loaded_X
        assert isinstance(self.features, Features)
        return np.ascontiguousarray(self.features.values)

    @property
    def _sides(self) -> tuple[Matrix | _core.Features, _core.Targets, _core.Measures]:
        """X and targets as they lie, and what compares them."""
        targets = self.loaded_targets
        if targets is None:
            assert isinstance(self.targets, Targets)
            targets = _core.Targets(*(self.targets if self._freed is None else self._freed).rows)
        return self._X, targets, _core.Measures(self.metric, self.comparator)

    @property
    def _controlled(self) -> bool:
        return isinstance(self.targets, Targets) and self.targets.controls is not None

    @cached_property
    def _freed(self) -> Freed | None:
        """Targets freed of their controls, where the core takes both: sums over pairs, on the processor."""
        if not self._controlled or self.loaded_X is not None or comparator_row(self.comparator).rank:
            return None
        assert isinstance(self.targets, Targets)
        return Freed.of(self.targets, self.comparator)

    @cached_property
    def _partial(self) -> Partial | None:
        """What makes alignments with targets and with controls partial ones, where the core doesn't."""
        if not self._controlled or self._freed is not None:
            return None
        assert isinstance(self.targets, Targets)
        return Partial.of(self.targets, self.comparator)

    def _of_candidates(self, verb: Callable[..., Matrix], features: Indices) -> Matrix:
        """A verb's alignments of many spaces with each target; what is shared with controls taken away."""
        if self._partial is None:
            return verb(*self._sides, features, self.execution.threads)
        rows, measures = _core.Targets(*self._partial.rows.rows), _core.Measures(self.metric, self.comparator)
        return self._partial.of_correlations(verb(self._X, rows, measures, features, self.execution.threads))

    def similarities(self, subset: Indices | None = None, threads: int | None = None) -> Matrix:
        """Similarities (P,) over all features, or some."""
        columns = np.arange(self.features.d, dtype=np.int64) if subset is None else subset
        return _core.similarity(self._X, self.metric, columns, threads or self.execution.threads)

    def compare(self, similarities: Matrix, threads: int | None = None) -> Matrix:
        """Alignment (T,) of given similarities (P,) of this metric; NaN where a pair that counts is undefined."""
        assert isinstance(self.targets, Targets)
        return compare(similarities, self.targets, self.comparator, threads or self.execution.threads, self.metric)

    def leave_one_out(self, subset: Indices) -> Matrix:
        """Alignment (T, d) with each feature taken from a subset."""
        return self._of_candidates(_core.leave_one_out, subset)

    def add_one(self, subset: Indices) -> Matrix:
        """Alignment (T, d) with each feature added to a subset."""
        return self._of_candidates(_core.add_one, subset)

    def insertion_curve(self, order: Indices) -> Matrix:
        """Alignment (T, m) of each prefix of an order: (1, m) for all targets, or (T, m)."""
        if self._partial is None or len(order) == 1:
            return self._of_candidates(_core.insertion_curve, order)
        targets = self.host[1]  # those that share an order share its spaces: a target and its controls
        alone = [replace(self, targets=targets.select(slice(t, t + 1))) for t in range(len(targets))]
        return np.concatenate([one.insertion_curve(order[t : t + 1]) for t, one in enumerate(alone)])

    def ranking(
        self, stimuli: Indices | None, least: int, most: int, tie: float, detail: str, report: Report | None = None
    ) -> _core.Ranking | None:
        """Rank by leaving each out, insert, take the best prefix, among some stimuli; None: rounding alone varies."""
        rule = _core.PrefixRule(least, most, tie)
        return _core.ranking(*self._sides, stimuli, rule, detail, self.execution.threads, report)

    def held_out_alignment(
        self, stimuli: Indices | None, kept: npt.NDArray[np.bool_] | None = None
    ) -> tuple[Matrix, Indices]:
        """Alignment (T,) among test stimuli over the pairs that are defined, and how many with weight were not (T,).

        ``kept``: of each target its own features, (T, d) bool; one set for all of them, (d,) bool, which is one space;
        or None, all features.
        """
        if self._controlled and kept is not None and kept.ndim == 2:
            one_by_one = self.among(stimuli)
            targets = one_by_one.host[1]
            scored = [
                one_by_one.against(targets.select(slice(t, t + 1))).held_out_alignment(None, mask)
                for t, mask in enumerate(kept)
            ]
            alignments, undefined = zip(*scored, strict=True)
            return np.concatenate(alignments), np.concatenate(undefined)
        if self._controlled and kept is None:
            kept = np.ones(self.features.d, dtype=bool)
        if kept is None or np.ndim(kept) == 2:
            masks = None if kept is None else np.ascontiguousarray(kept)
            return _core.held_out_alignment(*self._sides, stimuli, masks, self.execution.threads)
        features, targets = self.host if stimuli is None else self.among(stimuli).host
        threads = self.execution.threads
        similarities = similarities_of(features.values, self.metric, np.flatnonzero(kept), threads)
        return compare_where_defined(similarities, targets, self.comparator, threads, self.metric)
