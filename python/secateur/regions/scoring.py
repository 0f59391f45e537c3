"""Regions of the brain: the four tests of pruning over regions, subjects, two image sets and a network's layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..features import Features, Indices, Matrix, read_features
from ..progress import with_progress
from ..pruning import Pruner
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import benjamini_hochberg, fisher_z, mean_of_defined, paired_t
from ..targets import Targets, read_target
from ..validation import Fold, _settings, pruner_of, split, warn_of_small_folds

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["four_tests", "nodes", "paired_tests", "scores"]

TESTS = ("behaviour", "within", "across", "upper_bound")
ALL = "all regions"
Names = tuple[str, ...]
Mask = npt.NDArray[np.bool_]


def four_tests(
    X: Any,
    regions: Any,
    behaviour: Any = None,
    pruner: Pruner | None = None,
    cv: Any = 5,
    repeats: int = 1,
    seed: int = 0,
    *,
    supervise: Literal["subject", "mean"] = "mean",
    kind: str | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Prune to regions of the brain, and score the pruned space on them, in four ways.

    1. ``"behaviour"``: prune to the mean behavioural matrix of an image set, score on each region, same images.
    2. ``"within"``: folds of the images of a set; prune to a region on the training images, score on the test images.
    3. ``"across"``: prune to a region on one image set, score on the same region on the other set, both ways.
    4. ``"upper_bound"``: prune to a region and score on it, same images: no validation, what the layer could fit.

    Parameters
    ----------
    X : mapping of layers to two embeddings, or two embeddings
        ``{"penultimate": (X1, X2), "final": (F1, F2)}``: for each image set an array (n stimuli, d features). A
        mapping instead of the two names the sets.
    regions : two sets of matrices, in the order of the image sets (or a mapping with their names)
        Each a DataArray with dims (region, [subject,] pair), or a mapping of regions to (P,), (S, P), (n, n) or
        (S, n, n) arrays or rsatoolbox RDMs: one matrix a subject, or the mean. Subjects are matched by name between
        sets, by position where they have none. A matrix that is NaN throughout is a region that a subject lacks.
    behaviour : two behavioural targets, optional
        Any form that :func:`secateur.alignment` takes; several matrices (subjects) are averaged. Without it the
        first test is left out.
    pruner : Pruner, optional
        ``Pruner()`` by default. It is not fitted or changed.
    cv, repeats, seed
        Folds of the second test, as in :func:`secateur.cross_validate`.
    supervise : {"mean", "subject"}
        What tests 2 to 4 prune to: the mean of all subjects' matrices of that set, as in the paper (pairs that some
        lack: the mean of the others), or each subject's own. Scores are each subject's in both cases.
    kind : {"similarity", "dissimilarity"}, optional
        What regions and behaviour hold where they don't say so themselves; overrides the pruner's.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (test, layer, set, region, subject)
        ``full``, ``pruned``: alignments on image set ``set`` (means over folds in test 2), NaN where a subject has no
        such matrix; ``n_kept``: features that were scored (mean over folds), ``undefined_pairs``: pairs that they leave
        undefined, not scored. ``full_fold``, ``pruned_fold``, ``n_kept_fold`` (layer, set, region, subject, fold): test
        2 by fold. ``kept_LAYER`` (set, region, [subject,] feature_LAYER): what test 4 keeps on each set. It can be
        saved with ``to_netcdf``.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above; the message names it.

    Warns
    -----
    UndefinedPairsWarning
        Once, where scores left pairs out.
    OpposedWarning
        Once, where the full space's alignment, mean over sets and subjects, is below zero for a layer and region: its
        matrices may be of the other kind.
    SmallFoldsWarning
        Once, where test folds of the second test have fewer than 30 pairs.

    Notes
    -----
    All regions and subjects of a set are pruned as one batch of targets. In tests 1 and 4 the images that are scored
    were also pruned on; a gain in test 4 is no evidence, since a best prefix fits noise too.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §3.1, Tables 3 and 4, Figures 3 to 5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> regions = [{"A": x[:, :5] @ x[:, :5].T, "B": x[:, 5:10] @ x[:, 5:10].T} for x in X]
    >>> result = four_tests(X, regions)
    >>> bool((result.pruned > result.full).sel(test="across").all())
    True
    """
    plan = prepare(X, regions, behaviour, pruner, cv, repeats, seed, supervise=supervise, kind=kind)
    warn_of_small_folds(fold for folds in plan.folds for fold in folds)
    tests = TESTS if plan.minds else TESTS[1:]
    names, people = plan.names, plan.people
    board = _Board(tests, tuple(plan.layers), plan.sets, names, people, len(plan.folds[0]))
    kept: dict[str, list[Mask]] = {layer: [] for layer in plan.layers}
    steps = [(layer, a) for layer in plan.layers for a in (0, 1)]
    for layer, a in with_progress(steps, len(steps), "layers and sets", progress):
        pruner, spaces, brain = plan.pruner, plan.layers[layer], plan.brains[a]
        space, other = spaces[a], plan.brains[1 - a]
        place = (list(plan.layers).index(layer), a)
        if plan.minds:
            support = pruner.prune(space, plan.minds[a]).support
            every = np.zeros(len(brain.goals), dtype=np.int64)
            board.fill("behaviour", place, brain, _score(space, brain.goals, support, every, pruner))
        for f, (train, test) in enumerate(plan.folds[a]):
            support = pruner.prune(space.among(train), brain.sources.among(train)).support
            scored = _score(space.among(test), brain.goals.among(test), support, brain.source, pruner)
            board.fill_fold(f, place, brain, scored)
        support = pruner.prune(space, brain.sources).support
        kept[layer].append(support)
        board.fill("upper_bound", place, brain, _score(space, brain.goals, support, brain.source, pruner))
        scored = _score(spaces[1 - a], other.goals, support, plan.partners[a], pruner)
        board.fill("across", (place[0], 1 - a), other, scored)
    board.average_folds()
    warn_of_undefined_pairs(board.left_out)
    warn_of_opposition(board.full_means(), plan.brains[0].goals.kind)
    attrs = _settings(plan.pruner, plan.brains[0].goals, cv, repeats, seed)
    sizes = [space.n for space in next(iter(plan.layers.values()))]
    return board.dataset(kept, plan.brains, plan.layers, attrs | {"supervise": supervise, "n_stimuli": sizes})


@dataclass(frozen=True)
class Plan:
    """Everything that the four tests compute from, read and checked.

    Attributes
    ----------
    layers : for each layer the embedding of each of the two ``sets``.
    brains : of each set, what is pruned to and scored on.
    minds : of each set the mean behaviour, or None.
    partners : for set a, which of its sources each goal of the other set is pruned to; -1: none.
    folds : of each set, (train, test).
    names, people : regions and subjects.
    """

    pruner: Pruner
    sets: Names
    layers: dict[str, list[Features]]
    names: Names
    people: Names
    brains: list[_Brain]
    minds: list[Targets] | None
    partners: list[Indices]
    folds: list[list[Fold]]


def prepare(
    X: Any,
    regions: Any,
    behaviour: Any = None,
    pruner: Pruner | None = None,
    cv: Any = 5,
    repeats: int = 1,
    seed: int = 0,
    *,
    supervise: str = "mean",
    kind: str | None = None,
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
    people = tuple(dict.fromkeys(subject for one in read for subject in one.subjects))
    brains = [_Brain.of(one, names, people, supervise) for one in read]
    minds = None
    if behaviours is not None:
        minds = [
            _mean(_read_target(given, space, pruner.kind, f"behaviour of set {name!r}"))
            for given, space, name in zip(behaviours, first, sets)
        ]
    partners = [brains[a].among_sources_of(brains[1 - a]) for a in (0, 1)]
    if not any((partner >= 0).any() for partner in partners):
        raise ValueError(
            "regions must share a subject between the two sets while supervise is 'subject', got none: pass "
            "supervise='mean' to prune to the mean of each set's subjects"
        )
    folds = [split(space.n, cv, repeats, seed)[0] for space in first]
    if len(folds[0]) != len(folds[1]):
        raise ValueError(f"cv must give both image sets equally many folds, got {len(folds[0])} and {len(folds[1])}")
    return Plan(pruner, sets, layers, names, people, brains, minds, partners, folds)


# Reading --------------------------------------------------------------------------------------------------------


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
    kind: str
    stimuli: Names | None
    n: int


def _oriented(targets: Targets) -> Matrix:
    """(T, P) values with NaN where a pair is missing."""
    there = np.stack([targets.counts(t) for t in range(len(targets))])
    return np.where(there, targets.values, np.nan)


def _read_target(given: Any, space: Features, kind: str | None, where: str) -> Targets:
    """Targets over the stimuli of an embedding; what is wrong is said with where."""
    try:
        return read_target(given, space.n, kind, None, space.stimuli)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from error


def _read_regions(given: Any, space: Features, kind: str | None, where: str) -> _Regions:
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


def _averaged(values: Matrix) -> Matrix:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean(targets: Targets) -> Targets:
    """The mean of T targets as one."""
    mean = read_target(_averaged(_oriented(targets)), targets.n, "similarity")
    return replace(mean, stimuli=targets.stimuli, kind=targets.kind)


@dataclass(frozen=True)
class _Brain:
    """What one image set is pruned to and scored on.

    Attributes
    ----------
    goals : the matrices (region × subject) that exist, and ``at``, their places in (region, subject).
    sources : what is pruned to, and ``source``, the one of each goal.
    """

    goals: Targets
    at: Indices
    sources: Targets
    source: Indices
    own: bool

    @staticmethod
    def of(one: _Regions, regions: Names, people: Names, supervise: str) -> _Brain:
        """Goals and sources with regions in this order and subjects at their places among all people."""
        values = one.values[[one.regions.index(region) for region in regions]]
        there: Mask = np.asarray(~np.isnan(values).all(axis=-1))
        r, s = np.nonzero(there)
        lacking = np.flatnonzero(there.sum(axis=1) == 0)
        if lacking.size:
            empty = regions[int(lacking[0])]
            raise ValueError(f"regions must have a subject with values in every region, got none in {empty!r}")
        labels = tuple(f"{regions[i]} {one.subjects[j]}" for i, j in zip(r, s))
        goals = _as_targets(values[r, s], one, labels)
        at = np.stack([r, np.array([people.index(subject) for subject in one.subjects])[s]], axis=1)
        if supervise == "subject":
            return _Brain(goals, at, goals, np.arange(len(goals), dtype=np.int64), own=True)
        means = np.stack([_averaged(region[here]) for region, here in zip(values, there)])
        return _Brain(goals, at, _as_targets(means, one, regions), r.astype(np.int64), own=False)

    def among_sources_of(self, other: _Brain) -> Indices:
        """For each goal of the other set, which of these sources is of the same region (and subject); -1: none."""
        if not self.own:
            return np.asarray(other.at[:, 0], dtype=np.int64)
        known = {tuple(place): i for i, place in enumerate(self.at.tolist())}
        return np.array([known.get(tuple(place), -1) for place in other.at.tolist()], dtype=np.int64)


# Scoring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scored:
    """Of T goals: alignment of all and of the kept features, their number, and the pairs left out."""

    full: Matrix
    pruned: Matrix
    n_kept: Matrix
    undefined_pairs: Matrix


def _score(held: Features, goals: Targets, support: Mask, source: Indices, pruner: Pruner) -> _Scored:
    """Score every goal with the features of its source; NaN where it has none (-1)."""
    tested = pruner.settings().scoring(held, goals)
    full, _ = tested.held_out_alignment(None, np.ones(held.d, dtype=bool))
    scored = _Scored(full, *(np.full(len(goals), np.nan) for _ in range(3)))
    scored.full[source < 0] = np.nan
    for u in np.unique(source[source >= 0]):
        which = np.flatnonzero(source == u)
        found = tested.against(goals.only(which)).held_out_alignment(None, support[u])
        scored.pruned[which], scored.undefined_pairs[which] = found
        scored.n_kept[which] = support[u].sum()
    return scored


class _Board:
    """The results as they come in."""

    def __init__(self, tests: Names, layers: Names, sets: Names, regions: Names, people: Names, folds: int) -> None:
        self.coords = {"test": tests, "layer": layers, "set": sets, "region": regions, "subject": people}
        shape = tuple(len(names) for names in self.coords.values())
        self.whole = {name: np.full(shape, np.nan) for name in ("full", "pruned", "n_kept", "undefined_pairs")}
        self.by_fold = {name: np.full((*shape[1:], folds), np.nan) for name in self.whole}

    def fill(self, test: str, place: tuple[int, int], brain: _Brain, scored: _Scored) -> None:
        t = self.coords["test"].index(test)
        for name, values in self.whole.items():
            values[(t, *place)][tuple(brain.at.T)] = getattr(scored, name)

    def fill_fold(self, f: int, place: tuple[int, int], brain: _Brain, scored: _Scored) -> None:
        for name, values in self.by_fold.items():
            values[place][(*brain.at.T, f)] = getattr(scored, name)

    def average_folds(self) -> None:
        t = self.coords["test"].index("within")
        for name, values in self.by_fold.items():
            mean = mean_of_defined(np.moveaxis(values, -1, 0))
            self.whole[name][t] = mean * values.shape[-1] if name == "undefined_pairs" else mean

    def full_means(self) -> Matrix:
        """Mean alignments of all features with all images of a set, over sets and subjects: of layers and regions."""
        full = self.whole["full"][self.coords["test"].index("upper_bound")]  # (layer, set, region, subject)
        return mean_of_defined(np.moveaxis(full, 2, 1).reshape(-1, full.shape[1] * full.shape[3]).T)

    @property
    def left_out(self) -> int:
        return int(np.nansum(self.whole["undefined_pairs"]))

    def dataset(
        self, kept: dict[str, list[Mask]], brains: list[_Brain], layers: dict[str, list[Features]], attrs: Any
    ) -> xarray.Dataset:
        import xarray

        dims = tuple(self.coords)
        variables: dict[str, Any] = {name: (dims, values) for name, values in self.whole.items()}
        for name in ("full", "pruned", "n_kept"):
            variables[f"{name}_fold"] = ((*dims[1:], "fold"), self.by_fold[name])
        coords: dict[str, Any] = {dim: np.array(names, dtype=object).astype(str) for dim, names in self.coords.items()}
        coords["fold"] = np.arange(self.by_fold["full"].shape[-1])
        regions, people = len(self.coords["region"]), len(self.coords["subject"])
        for layer, supports in kept.items():
            feature, d = f"feature_{layer}", layers[layer][0].d
            labels = layers[layer][0].names or layers[layer][1].names
            coords[feature] = np.arange(d) if labels is None else np.array(labels)
            if not brains[0].own:
                variables[f"kept_{layer}"] = (("set", "region", feature), np.stack(supports))
                continue
            of_subject = np.zeros((2, regions, people, d), dtype=bool)
            for a, support in enumerate(supports):
                of_subject[(a, *brains[a].at.T)] = support
            variables[f"kept_{layer}"] = (("set", "region", "subject", feature), of_subject)
        return xarray.Dataset(variables, coords, attrs)


# Tables ---------------------------------------------------------------------------------------------------------


def _check(result: xarray.Dataset, test: str | None = None, layer: str | None = None) -> None:
    for dim, value in (("test", test), ("layer", layer)):
        known = [str(name) for name in result[dim].values]
        if value is not None and value not in known:
            raise ValueError(f"{dim} must be one of {', '.join(map(repr, known))}; got {value!r}")


def scores(result: xarray.Dataset, test: str = "behaviour", layer: str | None = None) -> pandas.DataFrame:
    """Alignment of the full and the pruned space with every region, in the layout of the paper's Table 3.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`four_tests`.
    test : {"behaviour", "within", "across", "upper_bound"}
        Which of the four.
    layer : str, optional
        The first by default.

    Returns
    -------
    pandas.DataFrame
        Rows ``Set 1``, ``Set 1 pruned``, ``Set 2``, ``Set 2 pruned``: the set that is scored. A column a region: means
        over subjects, in the comparator's units.

    Raises
    ------
    ValueError
        Where the result has no such test or layer.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 3; Figures 3 to 5 show the other tests.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> result = four_tests(X, [{"A": x[:, :5] @ x[:, :5].T} for x in X])
    >>> scores(result, "across").index.tolist()
    ['Set 1', 'Set 1 pruned', 'Set 2', 'Set 2 pruned']
    """
    import pandas

    layer = str(result["layer"].values[0]) if layer is None else layer
    _check(result, test, layer)
    one = result.sel(test=test, layer=layer)
    rows = {}
    for name in map(str, one["set"].values):
        for space, suffix in (("full", ""), ("pruned", " pruned")):
            rows[f"Set {name}{suffix}"] = mean_of_defined(one[space].sel(set=name).values.T)
    return pandas.DataFrame.from_dict(rows, orient="index", columns=[str(r) for r in result["region"].values])


def nodes(result: xarray.Dataset, layer: str | None = None, test: str = "upper_bound") -> pandas.DataFrame:
    """How many features pruning to each region keeps, in the layout of the paper's Table 4.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`four_tests`.
    layer : str, optional
        The last by default, as in the paper.
    test : {"behaviour", "within", "across", "upper_bound"}
        The paper's table is of ``"upper_bound"``: all images of a set.

    Returns
    -------
    pandas.DataFrame
        Rows ``Set 1``, ``Set 2``; a column a region: means over subjects (and folds).

    Raises
    ------
    ValueError
        Where the result has no such test or layer.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 4.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> nodes(four_tests(X, [{"A": x[:, :5] @ x[:, :5].T} for x in X]))["A"].tolist()
    [5.0, 5.0]
    """
    import pandas

    layer = str(result["layer"].values[-1]) if layer is None else layer
    _check(result, test, layer)
    one = result["n_kept"].sel(test=test, layer=layer)
    rows = {f"Set {name}": mean_of_defined(one.sel(set=name).values.T) for name in one["set"].values}
    return pandas.DataFrame.from_dict(rows, orient="index", columns=[str(r) for r in result["region"].values])


def paired_tests(result: xarray.Dataset, over: Literal["regions", "subjects"] = "regions") -> pandas.DataFrame:
    """Pruned against full, a paired one-sided t-test of Fisher's z, for each test and layer.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`four_tests`.
    over : {"regions", "subjects"}
        What is counted as a measurement. ``"regions"``: every region of every set, z averaged over subjects, as in the
        paper (8 regions × 2 sets: t(15)). ``"subjects"``: every subject, z averaged over sets; a row a region, and one
        of their mean where there are several.

    Returns
    -------
    pandas.DataFrame
        A row a ``test`` and ``layer`` (and ``region``). ``full``, ``pruned``: mean alignments; ``below_zero``: whether
        the pruned one is, so that a gain is no evidence of a fit; ``improved`` of ``n`` measurements; ``t``, ``df``,
        ``p`` (one-sided: pruned > full), ``d`` (Cohen's, of the paired differences of z). Over subjects also ``p_fdr``,
        Benjamini-Hochberg over the regions of a test and layer. NaN where fewer than two measurements are left.

    Notes
    -----
    Regions of one brain are not independent, nor are the two sets of one network: the test over regions is
    descriptive. Values of other comparators than correlations are put through the same transform.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §3.1.2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> result = four_tests(X, [{"A": x[:, :5] @ x[:, :5].T, "B": x[:, 5:10] @ x[:, 5:10].T} for x in X])
    >>> paired_tests(result).set_index("test").loc["within", ["improved", "n"]].tolist()
    [4, 4]
    """
    import pandas

    if over not in ("regions", "subjects"):
        raise ValueError(f"over must be 'regions' or 'subjects', got {over!r}")
    rows = []
    for test in map(str, result["test"].values):
        for layer in map(str, result["layer"].values):
            one = result.sel(test=test, layer=layer)
            r = [one[space].values for space in ("full", "pruned")]  # (set, region, subject)
            if over == "regions":
                measured = [[mean_of_defined(np.moveaxis(v, -1, 0)).ravel() for v in (x, fisher_z(x))] for x in r]
                rows.append({"test": test, "layer": layer, **_tested(*measured)})
                continue
            by_region = [[mean_of_defined(v) for v in (x, fisher_z(x))] for x in r]  # (region, subject)
            found = [
                {"region": str(name), **_tested(*([v[i] for v in pair] for pair in by_region))}
                for i, name in enumerate(result["region"].values)
            ]
            adjusted = benjamini_hochberg([row["p"] for row in found]).adjusted
            for row, p in zip(found, adjusted):
                row["p_fdr"] = float(p)
            if len(found) > 1:
                means = ([mean_of_defined(v) for v in pair] for pair in by_region)
                found.append({"region": ALL, **_tested(*means)})
            rows += [{"test": test, "layer": layer, **row} for row in found]
    return pandas.DataFrame(rows)


def _tested(full: list[Matrix], pruned: list[Matrix]) -> dict[str, Any]:
    """Means of r, and the test of z, each given as [r, z] by measurement."""
    there = np.isfinite(full[1]) & np.isfinite(pruned[1])
    test = paired_t(pruned[1][there], full[1][there], "greater")
    r = [float(v[0][there].mean()) if there.any() else float("nan") for v in (full, pruned)]
    improved = int((pruned[0][there] > full[0][there]).sum())
    return {
        "full": r[0], "pruned": r[1], "below_zero": r[1] < 0, "improved": improved, "n": int(there.sum()),
        "t": test.t, "df": test.df, "p": test.p, "d": test.d,
    }  # fmt: skip
