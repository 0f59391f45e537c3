"""What the four tests compute from: embeddings, matrices and folds of two image sets, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..features import Features, Indices, Matrix, read_features
from ..pruning import Pruner
from ..statistics import mean_of_defined
from ..targets import Targets, read_target
from ..validation import Fold, pruner_of, split

if TYPE_CHECKING:
    from .._typing import HostTargetLike, LayersLike, OfTwoSets, RegionsLike, Splits
    from ..targets import Kind

__all__ = ["Mask", "Names", "Plan", "RegionTargets", "prepare"]
Names = tuple[str, ...]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """Everything that the four tests compute from, read and checked.

    Attributes
    ----------
    layers : for each layer the embedding of each of the two ``sets``.
    region_targets : of each set, what is pruned to and scored on.
    behaviours : of each set the mean behaviour, or None.
    partners : for set a, which of its sources each target of the other set is pruned to; -1: none.
    folds : of each set, (train, test).
    names, subjects : of the regions, and of whom they are.
    """

    pruner: Pruner
    sets: Names
    layers: dict[str, list[Features]]
    names: Names
    subjects: Names
    region_targets: list[RegionTargets]
    behaviours: list[Targets] | None
    partners: list[Indices]
    folds: list[list[Fold]]


def prepare(
    X: LayersLike,
    regions: RegionsLike,
    behaviour: OfTwoSets[HostTargetLike] | None = None,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    *,
    supervise: str = "mean",
    kind: Kind | None = None,
) -> Plan:
    """Read and check what :func:`four_tests` takes; nothing is pruned."""
    pruner = pruner_of(pruner, kind)
    pruner.settings()
    if supervise not in ("subject", "mean"):
        raise ValueError(f"supervise must be 'subject' or 'mean', got {supervise!r}")
    sets, layers = _read_layers(X)
    behaviours = None if behaviour is None else _of_sets(behaviour, sets, "behaviour")
    first = next(iter(layers.values()))
    read = [
        _read_regions(given, space, pruner.kind, f"regions of set {name!r}")
        for given, space, name in zip(_of_sets(regions, sets, "regions"), first, sets)
    ]
    names = _same_regions(read, sets)
    subjects = tuple(dict.fromkeys(subject for one in read for subject in one.subjects))
    region_targets = [RegionTargets.of(one, names, subjects, supervise) for one in read]
    means = None
    if behaviours is not None:
        means = [
            _mean(_read_target(given, space, pruner.kind, f"behaviour of set {name!r}"))
            for given, space, name in zip(behaviours, first, sets)
        ]
    partners = [region_targets[a].among_sources_of(region_targets[1 - a]) for a in (0, 1)]
    if not any((partner >= 0).any() for partner in partners):
        raise ValueError(
            "regions must share a subject between the two sets while supervise is 'subject', got none: pass "
            "supervise='mean' to prune to the mean of each set's subjects"
        )
    folds = [split(space.n, cv, repeats, seed)[0] for space in first]
    if len(folds[0]) != len(folds[1]):
        raise ValueError(f"cv must give both image sets equally many folds, got {len(folds[0])} and {len(folds[1])}")
    return Plan(pruner, sets, layers, names, subjects, region_targets, means, partners, folds)


def _of_sets(given: Any, sets: Names, what: str) -> list[Any]:
    """One entry for each of the two image sets, from a sequence or from a mapping with their names."""
    if isinstance(given, Mapping):
        if set(map(str, given)) != set(sets):
            raise ValueError(f"{what} must have an entry for each image set, {sets}, got {tuple(map(str, given))}")
        by_name = {str(name): value for name, value in given.items()}
        return [by_name[name] for name in sets]
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        got = f"{len(given)}" if isinstance(given, Sequence) else type(given).__name__
        raise ValueError(f"{what} must have one entry for each of the two image sets, got {got}")
    return list(given)


def _read_layers(X: Any) -> tuple[Names, dict[str, list[Features]]]:
    """Names of the two sets; for each layer the embedding of each set."""
    nested = isinstance(X, Mapping) and bool(X) and all(isinstance(v, (Mapping, list, tuple)) for v in X.values())
    given = {str(name): value for name, value in X.items()} if nested else {"features": X}
    one = next(iter(given.values()))
    sets = tuple(map(str, one)) if isinstance(one, Mapping) else ("1", "2")
    if len(sets) != 2:
        raise ValueError(f"X must have embeddings of two image sets, got {len(sets)}: {sets}")
    layers = {}
    for name, value in given.items():
        if "/" in name or not name:
            raise ValueError(f"X must name its layers without a slash, got {name!r}")
        spaces = [read_features(x) for x in _of_sets(value, sets, f"X of layer {name!r}")]
        d, odd = (spaces[0].d, spaces[1].d), _first_odd(spaces[0].names, spaces[1].names)
        if d[0] != d[1] or odd:
            got = "{} and {}".format(*(odd or d))
            raise ValueError(f"X must have the same features on both image sets, got {got} in layer {name!r}")
        layers[name] = spaces
    first, *rest = layers.items()
    for name, spaces in rest:
        for a, space in enumerate(spaces):
            n, odd = (first[1][a].n, space.n), _first_odd(first[1][a].stimuli, space.stimuli)
            if n[0] != n[1] or odd:
                got = " and ".join(f"{one} in layer {layer!r}" for one, layer in zip(odd or n, (first[0], name)))
                raise ValueError(f"X must hold the same stimuli in every layer, got {got} of set {sets[a]!r}")
    return sets, layers


def _first_odd(mine: Names | None, others: Names | None) -> tuple[str, str] | None:
    """The first two names that differ, quoted, where both sides have names."""
    for one, other in zip(mine or (), others or ()):
        if one != other:
            return repr(one), repr(other)
    return None


@dataclass(frozen=True)
class _Regions:
    """Regions and subjects of one image set: values (region, subject, pair) oriented as similarities, NaN: missing."""

    values: Matrix
    regions: Names
    subjects: Names
    kind: Kind
    stimuli: Names | None
    n: int


def _oriented(targets: Targets) -> Matrix:
    """(T, P) values with NaN where a pair is missing."""
    there = np.stack([targets.has_weight(t) for t in range(len(targets))])
    return np.where(there, targets.values, np.nan)


def _read_target(given: Any, space: Features, kind: Kind | None, where: str) -> Targets:
    """Targets over the stimuli of an embedding; what is wrong is said with where."""
    try:
        return read_target(given, space.n, kind, None, space.stimuli)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from error


def _read_regions(given: Any, space: Features, kind: Kind | None, where: str) -> _Regions:
    """One image set's regions, from a DataArray or a mapping."""
    n = space.n
    if isinstance(given, Mapping) and given:
        each = {}
        for name, value in given.items():
            each[str(name)] = _read_target(value, space, kind, f"{where}, {name!r}")
        counts = {name: len(targets) for name, targets in each.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"{where} must have as many subjects in every region (a matrix of NaN for one that lacks it), got "
                f"{counts}"
            )
        one = next(iter(each.values()))
        labels = one.labels if one.labels and len(set(one.labels)) == len(one) else None
        values, subjects = np.stack([_oriented(targets) for targets in each.values()]), labels
        return _Regions(values, tuple(each), subjects or _numbered(len(one)), one.kind, one.stimuli, n)
    if not (hasattr(given, "dims") and "region" in given.dims):
        got = f"dims {given.dims}" if hasattr(given, "dims") else type(given).__name__
        raise TypeError(f"{where} must be a mapping or a DataArray with dims (region, [subject,] pair), got {got}")
    if "subject" not in given.dims:
        given = given.expand_dims("subject", axis=1)
    given = given.transpose("region", "subject", ...)
    rest = given.dims[2:]
    if len(rest) != 1 + (rest[-1:] != ("pair",)):
        raise ValueError(f"{where} must have dims (region, [subject,] pair) or (…, stimulus, stimulus2), got {rest}")
    targets = _read_target(given, space, kind, where)
    shape = (given.sizes["region"], given.sizes["subject"])
    regions = tuple(map(str, given["region"].values)) if "region" in given.coords else _numbered(shape[0])
    subjects = tuple(map(str, given["subject"].values)) if "subject" in given.coords else _numbered(shape[1])
    for what, names in (("region", regions), ("subject", subjects)):
        again = [name for name in names if names.count(name) > 1]
        if again:
            raise ValueError(f"{where} must name each {what} once, got {again[0]!r} more than once")
    return _Regions(_oriented(targets).reshape(*shape, -1), regions, subjects, targets.kind, targets.stimuli, n)


def _numbered(count: int) -> Names:
    return ("group",) if count == 1 else tuple(str(i + 1) for i in range(count))


def _same_regions(read: list[_Regions], sets: Names) -> Names:
    """The regions, in the order of the first set; the second must have the same."""
    for mine, other, name in ((read[0], read[1], sets[1]), (read[1], read[0], sets[0])):
        missing = [region for region in mine.regions if region not in other.regions]
        if missing:
            raise ValueError(f"regions must be the same in both image sets, got no {missing[0]!r} in set {name!r}")
    return read[0].regions


def _as_targets(values: Matrix, one: _Regions, labels: Names) -> Targets:
    targets = read_target(values, one.n, "similarity")
    return replace(targets, labels=labels, stimuli=one.stimuli, kind=one.kind)


def _mean(targets: Targets) -> Targets:
    """The mean of T targets as one."""
    mean = read_target(mean_of_defined(_oriented(targets)), targets.n, "similarity")
    return replace(mean, stimuli=targets.stimuli, kind=targets.kind)


@dataclass(frozen=True)
class RegionTargets:
    """What one image set is pruned to and scored on.

    Attributes
    ----------
    targets : the matrices (region × subject) that exist, and ``at``, their places in (region, subject).
    sources : what is pruned to, and ``source``, the one of each target.
    """

    targets: Targets
    at: Indices
    sources: Targets
    source: Indices
    own: bool

    @staticmethod
    def of(one: _Regions, regions: Names, subjects: Names, supervise: str) -> RegionTargets:
        """Targets and sources with regions in this order and subjects at their places among all subjects."""
        values = one.values[[one.regions.index(region) for region in regions]]
        there: Mask = np.asarray(~np.isnan(values).all(axis=-1))
        r, s = np.nonzero(there)
        lacking = np.flatnonzero(there.sum(axis=1) == 0)
        if lacking.size:
            empty = regions[int(lacking[0])]
            raise ValueError(f"regions must have a subject with values in every region, got none in {empty!r}")
        labels = tuple(f"{regions[i]} {one.subjects[j]}" for i, j in zip(r, s))
        targets = _as_targets(values[r, s], one, labels)
        at = np.stack([r, np.array([subjects.index(subject) for subject in one.subjects])[s]], axis=1)
        if supervise == "subject":
            return RegionTargets(targets, at, targets, np.arange(len(targets), dtype=np.int64), own=True)
        means = np.stack([mean_of_defined(region[here]) for region, here in zip(values, there)])
        return RegionTargets(targets, at, _as_targets(means, one, regions), r.astype(np.int64), own=False)

    def among_sources_of(self, other: RegionTargets) -> Indices:
        """For each target of the other set, which of these sources is of the same region (and subject); -1: none."""
        if not self.own:
            return np.asarray(other.at[:, 0], dtype=np.int64)
        known = {tuple(place): i for i, place in enumerate(self.at.tolist())}
        return np.array([known.get(tuple(place), -1) for place in other.at.tolist()], dtype=np.int64)
