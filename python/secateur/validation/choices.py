"""Choices without leaks: layer, metric, comparator, search and size chosen on inner folds of the training stimuli."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from ..arguments import check_integer
from ..cost import announce_together
from ..features import Features, Indices, Matrix, check_same_stimuli, read_features
from ..problem import Problem
from ..progress import with_progress
from ..pruning import Pruner
from ..pruning.ranking import SMALLEST_FOLD
from ..pruning.result import TIE, Mask
from ..pruning.settings import Settings
from ..relabelling import chance_scores, equal_groups, relabellings
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import mean_of_defined, permutation_p
from ..targets import Targets, read_target
from .cross_validation import pruner_of
from .folds import Fold, split, warn_of_small_folds
from .scores import attributes, names_or_numbers

if TYPE_CHECKING:
    import pandas
    import xarray

    from .._typing import ControlLike, HostEmbeddingLike, HostTargetLike, LabelsLike, Splits, WeightsLike
    from ..measures import ComparatorOrAlias, Metric, Search
    from ..targets import Kind

__all__ = ["nested", "nested_table"]


@dataclass(frozen=True)
class _Candidate:
    """One way to prune one layer, and the problem in which all candidates of its metric are scored alike."""

    layer: str
    pruner: Pruner
    settings: Settings
    problem: Problem
    scoring: Problem

    def support(self, stimuli: Any, groups: LabelsLike | None) -> Mask:
        return self.settings.search.run(self.problem, stimuli=stimuli, detail="support", groups=groups).support

    def score(self, fold: Fold, groups: LabelsLike | None) -> tuple[Matrix, Matrix, Mask]:
        """Pruned on training stimuli, scored on test stimuli: alignment (T,), undefined pairs (T,), the kept (T, d)."""
        kept = self.support(fold[0], groups)
        scores, undefined = self.scoring.held_out_alignment(fold[1], kept)
        return scores, np.asarray(undefined), kept


@dataclass(frozen=True)
class Plan:
    """What :func:`nested` will compute, read and checked; the inner folds are those of each outer one."""

    targets: Targets
    stimuli: tuple[str, ...] | None
    folds: list[Fold]
    repeat: Indices
    inner_folds: list[list[Fold]]
    candidates: list[_Candidate]


def plan_nested(
    X: HostEmbeddingLike | Mapping[str, HostEmbeddingLike],
    target: HostTargetLike,
    lists: Mapping[str, Sequence[Any] | None],
    cv: Splits,
    repeats: int,
    seed: int,
    groups: LabelsLike | None,
    *,
    pruner: Pruner,
    inner_cv: int,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    permutations: int = 0,
) -> Plan:
    """Read and check everything that :func:`nested` is given, sizes too; nothing is learnt.

    ``lists``: by the name of a Pruner's parameter what to choose among.
    """
    check_integer("inner_cv", inner_cv, 2)
    check_integer("permutations", permutations, 0)
    layers = _read_layers(X)
    first = next(iter(layers.values()))
    stimuli = next((layer.stimuli for layer in layers.values() if layer.stimuli), None)
    targets = read_target(target, first.n, pruner.kind, weights, stimuli, control=control)
    folds, repeat = split(first.n, cv, repeats, seed, groups)
    if permutations:
        equal_groups(groups, first.n)
    candidates = _candidates(layers, targets, pruner, pruner.settings(), lists, folds)
    labels = None if groups is None else np.asarray(groups)
    inner_folds = []
    for train, _ in folds:
        own = None if labels is None else labels[train]
        of = f"{len(train)} training stimuli" + ("" if own is None else f" in {len(np.unique(own))} groups")
        try:
            inner_folds.append(split(len(train), inner_cv, 1, seed, own)[0])
        except ValueError as error:
            raise ValueError(
                f"inner_cv must divide the {of} into folds of at least {SMALLEST_FOLD}, got {inner_cv}"
            ) from error
        _check_searches(candidates, train, inner_folds[-1], labels)
    return Plan(targets, stimuli, folds, repeat, inner_folds, candidates)


def _check_searches(candidates: Sequence[_Candidate], train: Indices, inner_folds: Sequence[Fold], labels: Any) -> None:
    """Refuse a search that divides the stimuli it learns from further, where these are too few."""
    for search in {str(one.pruner.search): one.settings.search for one in candidates}.values():
        for learnt in (train, *(train[side] for side, _ in inner_folds)):
            try:
                search.check_sizes(len(learnt), None if labels is None else labels[learnt])
            except ValueError as error:
                raise ValueError(
                    f"searches must find features on {len(learnt)} stimuli, the least that an inner fold learns from, "
                    f"but {search.name!r} divides these further: {error}"
                ) from error


def nested(
    X: HostEmbeddingLike | Mapping[str, HostEmbeddingLike],
    target: HostTargetLike,
    *,
    metrics: Sequence[Metric] | None = None,
    comparators: Sequence[ComparatorOrAlias] | None = None,
    searches: Sequence[Search] | None = None,
    sizes: Sequence[int | None] | None = None,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    inner_cv: int = 4,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    permutations: int = 0,
    progress: bool = True,
) -> xarray.Dataset:
    """Choose how to prune on inner folds of the training stimuli, and score the choice on stimuli that made none of it.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray; or a mapping of names to such
        One embedding, or several to choose among: layers, networks. Rows are the same stimuli in all of them.
    target : array, rsatoolbox RDMs, or xarray DataArray
        One or T targets, in any form that :func:`secateur.alignment` takes.
    metrics, comparators, searches : sequence of names, optional
        What to choose among; by default the pruner's own alone. Comparators are those that features are found by:
        every candidate is scored by the pruner's own, so that scores can be compared.
    sizes : sequence of int or None, optional
        Values of ``max_features`` to choose among (None: no limit). One above the number of a layer's features is no
        candidate of that layer.
    pruner : Pruner, optional
        The rest of what candidates are; ``Pruner()`` by default. Where its ``joint`` is not ``"each"``, one candidate
        is chosen for all targets together.
    cv, repeats, seed, groups, kind, weights, control
        As in :func:`secateur.cross_validate`: the outer folds.
    inner_cv : int
        Folds of the training stimuli of each outer fold, each of at least 3 stimuli; they keep ``groups`` whole.
    permutations : int
        Relabellings of the stimuli for the null. With ``control`` what controls say of the target stays where it is.
    progress : bool
        Whether a progress bar may show, once two seconds have passed, on stderr, and before a run of more than a
        minute a line with the time and memory that it will take (``secateur.cost``).

    Returns
    -------
    xarray.Dataset, dims (target, fold[, candidate])
        ``pruned_test``: the held-out alignment of what was chosen; ``full_test``: of all features of the chosen layer
        under the chosen metric; ``chosen`` (the candidate's number), ``n_kept``, ``undefined_pairs``; ``inner_score``
        (candidate): means over inner folds, by which the choice is made, ties to the first; ``candidate_test``
        (candidate): what each would have scored on the test stimuli, of which the best is the number that leaks;
        ``test`` (fold, stimulus). Coordinates of candidates: ``layer``, ``metric``, ``prunes_by`` (comparator),
        ``search``, ``max_features`` (NaN: no limit). With ``permutations`` also ``null_pruned_test`` (target,
        permutation) and ``p_pruned_test`` (target).

    Raises
    ------
    TypeError, ValueError
        As :func:`secateur.cross_validate`, in any fold of any candidate; where there is no candidate, or none has an
        inner score.

    Warns
    -----
    UndefinedPairsWarning, OpposedWarning, SmallFoldsWarning
        As :func:`secateur.cross_validate`.

    Notes
    -----
    The largest of many held-out scores is above what its candidate is worth: chosen by it, the candidate is scored on
    the stimuli that chose it. Here test stimuli choose nothing. The null keeps what was learnt in each fold and
    relabels the target, as that of :func:`secateur.compare` does.

    References
    ----------
    Varma & Simon (2006, BMC Bioinformatics 7): nested cross-validation, and what leaks without it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layers = {"early": rng.normal(size=(40, 20)), "late": rng.normal(size=(40, 20))}
    >>> target = layers["late"][:, :5] @ layers["late"][:, :5].T
    >>> result = nested(layers, target, metrics=["cosine", "dot"], cv=3, inner_cv=3)
    >>> sorted(set(result.layer.values[result.chosen.values[0]].tolist()))
    ['late']
    """
    import xarray

    pruner = pruner_of(pruner, kind)
    shared = pruner.settings()
    lists = {"metric": metrics, "comparator": comparators, "search": searches, "max_features": sizes}
    plan = plan_nested(
        X, target, lists, cv, repeats, seed, groups, pruner=pruner, inner_cv=inner_cv, weights=weights, control=control,
        permutations=permutations,
    )  # fmt: skip
    targets, folds, repeat, candidates = plan.targets, plan.folds, plan.repeat, plan.candidates
    inner_folds, stimuli, n = plan.inner_folds, plan.stimuli, targets.n
    warn_of_small_folds(folds)
    searched = [*folds, *(side for sides in inner_folds for side in sides)]
    costs = [one.settings.cost(one.problem, searched) for one in candidates]
    inside = f"{len(candidates)} candidates, {len(folds)} folds with {inner_cv} inner ones each"
    announce_together(costs, inside, progress)
    T, shape = len(targets), (len(targets), len(folds))
    inner, outer = np.full((2, *shape, len(candidates)), np.nan)
    full, pruned = np.full((2, *shape), np.nan)
    chosen, n_kept, undefined = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    predicted: list[Matrix] = []
    steps = [(f, c) for f in range(len(folds)) for c in range(len(candidates))]
    kept: list[tuple[Matrix, Mask]] = []
    for f, c in with_progress(steps, len(steps), "candidates", progress):
        train, test = folds[f]
        if c == 0:
            kept = []
        scores = [candidates[c].score((train[a], train[b]), groups)[0] for a, b in inner_folds[f]]
        inner[:, f, c] = mean_of_defined(np.stack(scores))
        outer[:, f, c], left_out, mask = candidates[c].score(folds[f], groups)
        kept.append((left_out, mask))
        if c < len(candidates) - 1:
            continue
        chosen[:, f] = _best(inner[:, f], shared.search.joint)
        similarities = []
        for t, best in enumerate(map(int, chosen[:, f])):
            tested, (left_out, mask) = candidates[best].scoring.among(test), kept[best]
            alone = tested.against(tested.host[1].select(slice(t, t + 1)))
            everything = np.ones(mask.shape[1], dtype=bool)
            full[t, f] = alone.held_out_alignment(None, everything)[0][0]
            pruned[t, f], undefined[t, f], n_kept[t, f] = outer[t, f, best], left_out[t], mask[t].sum()
            similarities.append(tested.similarities(np.flatnonzero(mask[t])))
        predicted.append(np.stack(similarities)[None])
    warn_of_undefined_pairs(int(undefined.sum()))
    warn_of_opposition(mean_of_defined(full.T), targets.kind)
    test_of = np.zeros((len(folds), n), dtype=bool)
    for f, (_, test) in enumerate(folds):
        test_of[f, test] = True
    by_fold, by_candidate = ("target", "fold"), ("target", "fold", "candidate")
    variables: dict[str, Any] = {
        "pruned_test": (by_fold, pruned), "full_test": (by_fold, full), "chosen": (by_fold, chosen),
        "n_kept": (by_fold, n_kept), "undefined_pairs": (by_fold, undefined),
        "inner_score": (by_candidate, inner), "candidate_test": (by_candidate, outer),
        "test": (("fold", "stimulus"), test_of),
    }  # fmt: skip
    coords: dict[str, Any] = {
        "target": names_or_numbers(targets.labels, T), "fold": np.arange(len(folds)), "repeat": ("fold", repeat),
        "stimulus": names_or_numbers(stimuli or targets.stimuli, n), "candidate": np.arange(len(candidates)),
        **_named(candidates),
    }  # fmt: skip
    if permutations:
        orders = relabellings(n, permutations, seed, groups)
        tests = [test for _, test in folds]
        null = chance_scores(predicted, targets, tests, orders, shared.comparator, shared.threads or 1)[0]
        observed = mean_of_defined(pruned.T)
        variables["null_pruned_test"] = (("target", "permutation"), null)
        variables["p_pruned_test"] = (("target",), permutation_p(observed, null))
        coords["permutation"] = np.arange(permutations)
    attrs = attributes(pruner, targets.kind, cv, repeats, seed, targets.controls)
    own = {name: attrs.pop(name) for name in ("metric", "search", "max_features") if name in attrs}
    known = {f"pruner_{name}": value for name, value in own.items()}
    return xarray.Dataset(variables, coords, {**attrs, **known, "nested_cv": int(inner_cv)})


def nested_table(result: xarray.Dataset) -> pandas.DataFrame:
    """The candidates of a nested choice, with what they scored, and the choice itself.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.nested`.

    Returns
    -------
    pandas.DataFrame
        For each target a row for each candidate, and a last one, ``"chosen inside"``. Columns ``target``, ``layer``,
        ``metric``, ``prunes_by``, ``search``, ``max_features``, ``inner_score`` and ``test`` (means over outer folds;
        of the last row the honest number), ``folds_chosen``, ``folds``; with permutations also ``p``, of the last row.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 20))
    >>> table = nested_table(nested(X, X[:, :5] @ X[:, :5].T, metrics=["cosine", "dot"], cv=3, inner_cv=3))
    >>> table.shape, int(table.folds_chosen[:2].sum())
    ((3, 10), 3)
    """
    import pandas

    names = ("layer", "metric", "prunes_by", "search", "max_features")
    rows: list[dict[str, Any]] = []
    for t, name in enumerate(result["target"].values):
        one = result.isel(target=t)
        for c in range(result.sizes["candidate"]):
            known = {what: result[what].values[c] for what in names}
            scores = {"inner_score": one["inner_score"].values[:, c], "test": one["candidate_test"].values[:, c]}
            means = {what: float(mean_of_defined(values[:, None])[0]) for what, values in scores.items()}
            times = int((one["chosen"].values == c).sum())
            rows.append({"target": name, **known, **means, "folds_chosen": times, "folds": result.sizes["fold"]})
        best = np.take_along_axis(one["inner_score"].values, one["chosen"].values[:, None], axis=1)
        rows.append({
            "target": name, "layer": "chosen inside", "inner_score": float(mean_of_defined(best)[0]),
            "test": float(mean_of_defined(one["pruned_test"].values[:, None])[0]),
            "folds_chosen": result.sizes["fold"], "folds": result.sizes["fold"],
        })  # fmt: skip
        if "p_pruned_test" in result:
            rows[-1]["p"] = float(one["p_pruned_test"])
    more = ("p",) if "p_pruned_test" in result else ()
    return pandas.DataFrame(rows, columns=["target", *names, "inner_score", "test", "folds_chosen", "folds", *more])


def _read_layers(X: Any) -> dict[str, Features]:
    """Embeddings of the same stimuli, by name."""
    several = isinstance(X, Mapping)
    given: dict[str, Any] = {str(name): one for name, one in X.items()} if several else {"X": X}
    if not given:
        raise ValueError("X must hold at least one embedding, got none")
    layers = {name: read_features(one) for name, one in given.items()}
    check_same_stimuli("X", {name: (one.n, one.stimuli) for name, one in layers.items()})
    return layers


def _candidates(
    layers: Mapping[str, Features], targets: Targets, pruner: Pruner, shared: Settings, choices: Mapping[str, Any],
    folds: Sequence[Fold],
) -> list[_Candidate]:  # fmt: skip
    """All that can be chosen, layer by layer."""
    lists: dict[str, list[Any]] = {}
    for argument, name in (
        ("metrics", "metric"),
        ("comparators", "comparator"),
        ("searches", "search"),
        ("sizes", "max_features"),
    ):
        given = choices[name]
        if given is not None and (isinstance(given, str) or not isinstance(given, Sequence) or not len(given)):
            raise TypeError(f"{argument} must be a sequence of at least one value, got {given!r}")
        lists[name] = [getattr(pruner, name)] if given is None else list(given)
    found = []
    for layer, features in layers.items():
        for metric in lists["metric"]:
            for comparator in lists["comparator"]:
                for search in lists["search"]:
                    for size in lists["max_features"]:
                        how = {"metric": metric, "comparator": comparator, "search": search, "max_features": size}
                        one = clone(pruner).set_params(**how)
                        settings = one.settings()
                        if size is not None and size > features.d:
                            continue
                        problem = settings.problem(features, targets, folds)
                        scoring = replace(settings, comparator=shared.comparator).scoring(features, targets)
                        found.append(_Candidate(layer, one, settings, problem, scoring))
    if not found:
        raise ValueError(f"sizes must leave a candidate in one of the layers, got {lists['max_features']!r}")
    return found


def _named(candidates: Sequence[_Candidate]) -> dict[str, Any]:
    """What candidates are, as coordinates."""
    size = [np.nan if one.pruner.max_features is None else float(one.pruner.max_features) for one in candidates]
    return {
        "layer": ("candidate", [one.layer for one in candidates]),
        "metric": ("candidate", [str(one.settings.metric) for one in candidates]),
        "prunes_by": ("candidate", [str(one.settings.comparator) for one in candidates]),
        "search": ("candidate", [str(one.pruner.search) for one in candidates]),
        "max_features": ("candidate", size),
    }


def _best(scores: Matrix, joint: str) -> Any:
    """The candidate (T,) of the highest inner score (T, C), ties to the first; one for all where it is joint."""
    if joint != "each":
        scores = np.broadcast_to((np.mean if joint == "mean" else np.min)(scores, axis=0), scores.shape)
    if np.isnan(scores).all(axis=1).any():
        raise ValueError("X must give one candidate an inner score for every target, got none for one")
    finite = np.where(np.isnan(scores), -np.inf, scores)
    return np.argmax(finite >= finite.max(axis=1, keepdims=True) - TIE, axis=1)
