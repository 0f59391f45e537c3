"""Pruning beside other ways to fit a similarity space, all on the same folds of the stimuli."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas
import xarray
from sklearn.base import clone

from .arguments import check_integer
from .cost import announce_together
from .features import Features, Indices, Matrix, read_features
from .inference import explained_by, in_percent, read_subjects
from .measures import enumerated
from .pairs import pair_count, pair_positions
from .problem import Problem, compare_where_defined
from .progress import with_progress
from .pruning import Pruner
from .pruning.label_free import BASELINES, of_equal_size
from .pruning.settings import Search
from .relabelling import chance_scores, relabellings
from .reweighting import Lasso, LinearTransform, PrunedRidge, Reweighting, Ridge, SimDR
from .similarity import warn_of_opposition, warn_of_undefined_pairs
from .statistics import holm, mean_of_defined, paired_t, permutation_p, signed_square
from .targets import Targets, read_target
from .validation import Fold, attributes, names_or_numbers, pruner_of, score_fold, split, warn_of_small_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._typing import ControlLike, HostEmbeddingLike, HostTargetLike, LabelsLike, MatricesLike, Splits, WeightsLike
    from .measures import ComparatorOrAlias
    from .targets import Kind

__all__ = ["METHODS", "NAMED", "FoldMethod", "Method", "compare", "comparison_table", "explained_variance"]

REWEIGHTING: dict[str, Reweighting] = {
    "ridge": Ridge(),
    "frrsa": Ridge("correlation", standardize=True),
    "lasso": Lasso(),
    "sim-dr": SimDR(),
    "pruned+frrsa": PrunedRidge(),
}
METHODS = ("full", "pruned", "ridge", "frrsa", "lasso", "sim-dr")
NAMED = ("full", "pruned", *REWEIGHTING, *BASELINES)
SCORES = ("train", "test", "nodes", "penalty", "dimensions", "undefined")
VARIABLES = {"train": "train_alignment", "test": "test_alignment"}


class Method(Protocol):
    """What :func:`~secateur.compare` asks of a method that learns from features: in each fold a fit, then predictions.

    ``fit`` must forget the fit before. Where pair weights other than 0 and 1 were given, it gets them as ``weights=``
    (P,) too. An attribute ``n_features_`` is reported as nodes.
    """

    def fit(self, X: Matrix, target: Matrix, /) -> object:
        """Learn from the training stimuli.

        Parameters
        ----------
        X : (n, d) float64
            Their features.
        target : (P,) float64
            Their similarities, ``numpy.triu_indices`` order, larger more alike; NaN where a pair has none.

        Returns
        -------
        Anything; it is not used.
        """

    def predict(self, X: Matrix, /) -> Matrix:
        """Similarities of these or other stimuli.

        Parameters
        ----------
        X : (n, d) float64
            Their features.

        Returns
        -------
        (P,) float64
            Larger is more alike; NaN where a pair has none.
        """


class FoldMethod(Protocol):
    """The same for a method that has its own view of the stimuli, such as their images: it gets their positions."""

    def fit_stimuli(self, stimuli: Indices, target: Matrix, /) -> object:
        """Learn from the training stimuli.

        Parameters
        ----------
        stimuli : (n,) int64
            Their positions in what :func:`~secateur.compare` was given.
        target : (P,) float64
            As for :class:`Method`.

        Returns
        -------
        Anything; it is not used.
        """

    def predict_stimuli(self, stimuli: Indices, /) -> Matrix:
        """Similarities of these stimuli.

        Parameters
        ----------
        stimuli : (n,) int64
            Their positions.

        Returns
        -------
        (P,) float64
            As for :class:`Method`.
        """


def read_methods(methods: Any, pruner: Pruner) -> dict[str, Any]:
    """Name -> "full", a Pruner, a reweighting or a foreign method."""
    if isinstance(methods, str) or not isinstance(methods, (Mapping, Iterable)):
        raise TypeError(f"methods must be names or a mapping of names to methods, got {methods!r}")
    given = dict(methods) if isinstance(methods, Mapping) else {name: name for name in methods}
    if not given:
        raise ValueError("methods must hold at least one method, got none")
    read: dict[str, Any] = {}
    for name, method in given.items():
        if not isinstance(name, str):
            raise TypeError(f"methods must be named by text, got {name!r}")
        if isinstance(method, os.PathLike) or (isinstance(method, str) and method.endswith(".npz")):
            read[name] = LinearTransform.load(method, metric=pruner.metric)
            continue
        if isinstance(method, str):
            if method not in NAMED:
                raise ValueError(f"methods must be among {', '.join(map(repr, NAMED))} or objects; got {method!r}")
            if method in REWEIGHTING:
                method = clone(REWEIGHTING[method]).set_params(comparator=pruner.comparator)
                if isinstance(method, PrunedRidge):
                    method.set_params(space=pruner.metric)
            elif method == "pruned":
                method = pruner
        elif isinstance(method, type) or not (
            isinstance(method, Pruner)
            or any(
                all(callable(getattr(method, verb, None)) for verb in verbs)
                for verbs in (("fit", "predict"), ("fit_stimuli", "predict_stimuli"))
            )
        ):
            raise TypeError(
                f"methods must be names, Pruners, or objects with fit and predict or with fit_stimuli and "
                f"predict_stimuli, got {method!r} for {name!r}"
            )
        if isinstance(method, Pruner) and method.comparator != pruner.comparator:
            raise ValueError(
                f"methods must be scored by one comparator, {pruner.comparator!r}, got {method.comparator!r} for "
                f"{name!r}"
            )
        read[name] = method
    return read


def score_method(
    method: Any,
    problem: Problem,
    fold: Fold,
    search: Search | None,
    groups: LabelsLike | None,
    name: str,
    seed: int = 0,
) -> dict[str, npt.NDArray[Any]]:
    """What a method reaches in one fold, for each of T targets; it learns from the training stimuli alone.

    ``search``: a Pruner's, whose own problem this is; of other methods its comparator counts. ``seed``: of the random
    baseline's draw.
    """
    if search is not None and isinstance(method, str):  # a baseline
        support = of_equal_size(method, problem, fold[0], search, groups, seed)
        learnt, tested = (problem.among(stimuli) for stimuli in fold)
        (train, _), (test, undefined) = (side.held_out_alignment(None, support) for side in (learnt, tested))
        return {
            "train": train, "test": test, "nodes": support.sum(axis=1), "undefined": undefined,
            "predicted": np.stack([tested.similarities(np.flatnonzero(kept)) for kept in support]),
        }  # fmt: skip
    if search is not None:
        found = score_fold(problem, fold, search, groups=groups)
        tested, support = problem.among(fold[1]), found.pruned.support
        return {
            "train": found.pruned_train, "test": found.pruned_test, "nodes": support.sum(axis=1),
            "undefined": found.undefined,
            "predicted": np.stack([tested.similarities(np.flatnonzero(kept)) for kept in support]),
        }  # fmt: skip
    parts, count = [problem.among(stimuli) for stimuli in fold], len(problem.targets)
    comparator, threads = problem.comparator, problem.execution.threads
    if isinstance(method, str):  # the full space
        d = problem.features.d
        all_features = np.ones(d, dtype=bool)
        (train, _), (test, undefined) = (part.held_out_alignment(None, all_features) for part in parts)
        similarities = parts[1].similarities()
        return {
            "train": train, "test": test, "nodes": np.full(count, d), "undefined": undefined,
            "predicted": np.broadcast_to(similarities, (count, len(similarities))),
        }  # fmt: skip
    sides = [part.host for part in parts]
    if isinstance(method, Reweighting):
        answers, known = _fit_reweighting(method, sides, None if groups is None else np.asarray(groups)[fold[0]])
    else:
        answers, known = _fit_foreign(method, sides, fold, name)
    scores = np.empty((2, count))
    undefined = np.zeros(count, dtype=np.int64)
    for side, (_, targets) in enumerate(sides):
        for t in range(count):
            one = targets.select(slice(t, t + 1))
            aligned, left_out = compare_where_defined(answers[side][t], one, comparator, threads)
            scores[side, t] = aligned[0]
            undefined[t] = left_out[0]  # in the end that of the test side
    return {"train": scores[0], "test": scores[1], "undefined": undefined, "predicted": answers[1], **known}


Sides = list[tuple[Features, Targets]]
Predicted = tuple[list[Matrix], dict[str, npt.NDArray[Any]]]


def _fit_reweighting(method: Reweighting, sides: Sides, groups: LabelsLike | None) -> Predicted:
    """All targets at once: (T, P) similarities of the training and of the test stimuli, and what was chosen."""
    (train, targets), (test, _) = sides
    fitted: Any = clone(method).fit(train.values, targets, groups=groups)
    known = {"nodes": fitted.n_features_, "penalty": fitted.penalty_}
    if hasattr(fitted, "n_dimensions_"):
        known["dimensions"] = fitted.n_dimensions_
    predicted = [np.atleast_2d(fitted.predict(one.values)) for one in (train, test)]
    return predicted, {key: np.broadcast_to(value, len(targets)) for key, value in known.items()}


def _fit_foreign(method: Any, sides: Sides, fold: Fold, name: str) -> Predicted:
    """Target by target, in plain arrays."""
    targets = sides[0][1]
    predicted = [np.empty((len(targets), pair_count(one.n))) for one, _ in sides]
    nodes = np.full(len(targets), np.nan)
    for t in range(len(targets)):
        values, extra = np.where(targets.has_weight(t), targets.values[t], np.nan), {}
        weights = (
            None if targets.weights is None or targets.weight_of is None else targets.weights[targets.weight_of[t]]
        )
        if weights is not None and not np.isin(weights, (0, 1)).all():
            extra["weights"] = weights.copy()
        if hasattr(method, "fit_stimuli"):
            method.fit_stimuli(fold[0].copy(), values, **extra)
        else:
            method.fit(sides[0][0].values.copy(), values, **extra)
        for out, (one, _), stimuli in zip(predicted, sides, fold, strict=True):
            by_position = hasattr(method, "predict_stimuli")
            found = method.predict_stimuli(stimuli.copy()) if by_position else method.predict(one.values.copy())
            if np.shape(found) != out[t].shape:
                raise ValueError(
                    f"methods must predict {out.shape[1]} similarities of the pairs of {one.n} stimuli, got shape "
                    f"{np.shape(found)} from {name!r}"
                )
            out[t] = found
        nodes[t] = getattr(method, "n_features_", np.nan)
    return predicted, {"nodes": nodes}


def compare(
    X: HostEmbeddingLike,
    target: HostTargetLike,
    methods: Sequence[str]
    | Mapping[str, str | os.PathLike[str] | Pruner | Reweighting | Method | FoldMethod] = METHODS,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    pruner: Pruner | None = None,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    predictions: bool = False,
    permutations: int = 0,
    progress: bool = True,
) -> xarray.Dataset:
    """Pruning beside the full space, reweighting and any other method, on the same folds of the stimuli.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Finite; converted to float64.
    target : array, rsatoolbox RDMs, or xarray DataArray
        One or T targets, in any form that :func:`secateur.alignment` takes.
    methods : names, or a mapping of names to methods
        Names: ``"full"`` (all features), ``"pruned"``, ``"ridge"`` (PAG18), ``"frrsa"`` (ridge of rows centred and
        scaled, their products standardised), ``"lasso"`` (weights not negative), ``"sim-dr"``, ``"pruned+frrsa"``
        (:class:`secateur.reweighting.PrunedRidge`, features ranked by the pruner's metric). What the target's labels
        buy is seen beside as many features as ``"pruned"`` keeps in the fold, chosen without them: ``"variance"`` (of
        the largest variance over training stimuli), ``"zeros"`` (zero for the fewest of them), ``"random"`` (drawn by
        ``seed``, anew in each fold); ``"reversed"`` takes the least important ones. In a mapping also a
        :class:`secateur.Pruner`, one of :mod:`secateur.reweighting`, or an own object: with ``fit(X, target)`` and
        ``predict(X)`` (:class:`secateur.comparison.Method`), or, where it has its own view of the stimuli such as
        images, with ``fit_stimuli(positions, target)`` and ``predict_stimuli(positions)``
        (:class:`secateur.comparison.FoldMethod`). Each learns from training stimuli alone. A path of a .npz file is a
        fixed linear map of the features that was learnt elsewhere, such as gLocal's, compared by the pruner's metric
        (:class:`secateur.reweighting.LinearTransform`).
    cv, repeats, seed, groups
        As in :func:`secateur.cross_validate`, whose folds these are: with the same arguments ``"full"`` and
        ``"pruned"`` are its numbers. Groups hold in the inner folds of the reweightings too.
    pruner : Pruner, optional
        What ``"pruned"`` is; its metric is the full space's too, and its comparator scores all methods and chooses
        the penalties of the named ones. ``Pruner()`` by default.
    kind : {"similarity", "dissimilarity"}, optional
        What the target holds, where neither it nor the pruner says so; overrides the pruner's.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.
    control : matrices, optional
        What neither a method nor its score may rest on, as in :func:`secateur.alignment`: all alignments are partial.
        Methods are then ``"full"``, those that prune, and the choices of features without labels; what reweights
        would fit what the controls say, and is refused. Relabelled is what the controls leave of the target.
    predictions : bool
        Whether the similarities that each method gives to held-out pairs are returned too.
    permutations : int
        Relabellings of the target's stimuli for :func:`comparison_table`'s p; 0 for none. What was learnt stays, and
        its held-out scores are taken anew, so that 1000 cost little whatever the methods. Drawn by ``seed``; where
        groups are given whole groups change places, and must be of equal size.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (approach, target, fold)
        The methods are along ``approach`` (xarray's ``sel`` keeps the word ``method`` for itself).
        ``train_alignment``, ``test_alignment``: among the training and among the test stimuli. ``nodes``: features
        used (with a weight other than zero; NaN where a method doesn't say). ``penalty``, ``dimensions``: chosen within
        the training stimuli, NaN where there is none. ``undefined_pairs``: held-out pairs that were left out.
        ``test`` (fold, stimulus). With ``predictions`` also ``predicted`` (approach, target, fold, pair): similarities,
        larger more alike, ``numpy.triu_indices`` order, NaN but for the pairs among the fold's test stimuli. With
        ``permutations`` also ``chance`` (approach, target, permutation): means over folds of the test alignment with
        the relabelled target.

    Raises
    ------
    TypeError, ValueError
        Where X, a target or weights are not finite, of another form or of other stimuli; where a method is unknown or
        its name comes twice; where a measure, kind, fold or number is not one of those allowed.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Once, where ``"full"`` is among the methods and its mean test alignment is below zero for a target: it may be of
        the other kind.
    SmallFoldsWarning
        Once, where test folds have fewer than 30 pairs.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.3 and Table 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 40))
    >>> result = compare(X, X[:, :8] @ X[:, :8].T, methods=["full", "pruned", "ridge"], cv=3)
    >>> means = result.test_alignment.mean("fold").isel(target=0)
    >>> bool(means.sel(approach="pruned") > means.sel(approach="full"))
    True
    """
    features = read_features(X)
    pruner = pruner_of(pruner, kind)
    settings = pruner.settings()
    read = read_methods(methods, pruner)
    for name, method in read.items():
        chooses = isinstance(method, Pruner) or (isinstance(method, str) and method in ("full", *BASELINES))
        if control is not None and not chooses:
            raise ValueError(
                f"methods must be {enumerated(('full', 'pruned', *BASELINES))}, or Pruners, where control is given, "
                f"got {name!r}"
            )
    targets = read_target(target, features.n, pruner.kind, weights, features.stimuli, control=control)
    folds, repeat = split(features.n, cv, repeats, seed, groups)
    warn_of_small_folds(folds)
    count = check_integer("permutations", permutations, 0)
    orders = relabellings(features.n, count, seed, groups) if count else None
    scoring = settings.scoring(features, targets), None
    problems = [
        (own.problem(features, targets, folds), own.search) if own else scoring
        for own in (
            method.settings()
            if isinstance(method, Pruner)
            else settings
            if isinstance(method, str) and method in BASELINES
            else None
            for method in read.values()
        )
    ]
    prunes = [(one, own) for one, (own, _) in zip(read.values(), problems, strict=True) if isinstance(one, Pruner)]
    costs = [one.settings().cost(own, folds) for one, own in prunes]
    announce_together(costs, f"{len(folds)} folds, the pruning of {len(costs)} of {len(read)} methods", progress)
    scores = {name: np.full((len(read), len(targets), len(folds)), np.nan) for name in SCORES}
    similarities: list[list[Matrix]] = [[] for _ in folds]
    test = np.zeros((len(folds), features.n), dtype=bool)
    predicted = None
    if predictions:
        predicted = np.full((len(read), len(targets), len(folds), pair_count(features.n)), np.nan)
    steps = [(f, m) for f in range(len(folds)) for m in range(len(read))]
    for f, m in with_progress(steps, len(steps), "methods x folds", progress):
        name, method = list(read.items())[m]
        problem, search = problems[m]
        found = score_method(method, problem, folds[f], search, groups, name, seed + f)
        held_out = found.pop("predicted")
        if orders is not None:
            similarities[f].append(held_out)
        if predicted is not None:
            predicted[m, :, f, pair_positions(folds[f][1], features.n)] = held_out.T
        for key, values in found.items():
            scores[key][m, :, f] = values
        test[f, folds[f][1]] = True
    undefined = scores.pop("undefined").astype(np.int64)
    warn_of_undefined_pairs(int(undefined.sum()))
    if "full" in read:
        warn_of_opposition(scores["test"][list(read).index("full")].mean(axis=-1), targets.kind)
    dims = ("approach", "target", "fold")
    variables: dict[str, Any] = {VARIABLES.get(name, name): (dims, values) for name, values in scores.items()}
    variables |= {"undefined_pairs": (dims, undefined), "test": (("fold", "stimulus"), test)}
    if predicted is not None:
        variables["predicted"] = ((*dims, "pair"), predicted)
    if orders is not None:
        predicted_by_fold, tests = [np.stack(one) for one in similarities], [test for _, test in folds]
        threads = scoring[0].execution.threads
        chance = chance_scores(predicted_by_fold, targets, tests, orders, settings.comparator, threads)
        variables["chance"] = (("approach", "target", "permutation"), chance)
    coords = {
        "approach": list(read),
        "target": names_or_numbers(targets.labels, len(targets)),
        "fold": np.arange(len(folds)),
        "repeat": ("fold", repeat),
        "stimulus": names_or_numbers(features.stimuli or targets.stimuli, features.n),
    }
    attrs = attributes(pruner, targets.kind, cv, repeats, seed, targets.controls) | {"n_features": features.d}
    return xarray.Dataset(variables, coords, attrs)


def explained_variance(
    result: xarray.Dataset, rdms: MatricesLike, comparator: ComparatorOrAlias = "spearman", n: int = 200, seed: int = 0
) -> xarray.Dataset:
    """Percent of the explainable variance of single subjects that each method explains on test stimuli.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`~secateur.compare` with ``predictions=True`` and one target, such as the subjects' mean.
    rdms : (T, P) | (T, n, n) array, rsatoolbox RDMs, or xarray DataArray
        Dissimilarities of the same stimuli, a matrix per subject.
    comparator, n, seed
        As in :func:`secateur.noise_normalised_r2`; the n relabellings are of each fold's test stimuli.

    Returns
    -------
    xarray.Dataset, dims (model, subject)
        As :func:`secateur.noise_normalised_r2` gives it, what chance gives and ceilings too taken among the test
        stimuli of each fold, and averaged over folds before the ratio. ``model`` are the methods.

    Raises
    ------
    ValueError
        Where the result has no predictions, or several targets.

    Notes
    -----
    Folds are small, and a correlation of few pairs has a square well above zero by chance. That floor is taken off:
    a method that knows nothing has 0 percent on average, and may have less than 0. Folds without a score (NaN) are left
    out.

    References
    ----------
    Cichy et al. (2019), The Algonauts Project.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 40))
    >>> truth = 1 - np.corrcoef(X[:, :8])[np.triu_indices(30, 1)]
    >>> rdms = truth + 0.2 * rng.normal(size=(4, 435))
    >>> terms = {"kind": "dissimilarity", "predictions": True}
    >>> result = compare(X, rdms.mean(axis=0), ["full", "pruned"], cv=3, **terms)
    >>> bool(np.diff(explained_variance(result, rdms).explained)[0] > 0)
    True
    """
    if "predicted" not in result or result.sizes["target"] != 1:
        raise ValueError(
            "result must be of compare(..., predictions=True) and one target, got "
            f"{result.sizes.get('target')} targets and {'' if 'predicted' in result else 'no '}predictions"
        )
    predicted = result["predicted"].values[:, 0]
    names = [str(name) for name in result["approach"].values]
    subjects = read_subjects(rdms, result.sizes["stimulus"])
    scores = []
    for f, mask in enumerate(result["test"].values.astype(bool)):
        test = np.flatnonzero(mask)
        among = predicted[:, f, pair_positions(test, len(mask))]
        scores.append(explained_by(dict(zip(names, among, strict=True)), subjects.among(test), comparator, n, seed + f))
    stacked = xarray.concat(scores, "fold")
    scored = stacked["r2"].notnull() & stacked["chance"].notnull()  # none where predictions of a fold don't vary
    for name in ("correlation", "r2", "chance"):
        stacked[name] = stacked[name].where(scored)
    mean = stacked.mean("fold")
    mean["mean_r2"] = mean["r2"].mean("subject")
    mean.attrs = {**scores[0].attrs, "seed": int(seed), "folds": len(scores)}
    return in_percent(mean)


def comparison_table(result: xarray.Dataset, against: Iterable[str] = ("full", "pruned")) -> pandas.DataFrame:
    """The methods in a table, one row per target and method: means and SD over folds, nodes, paired tests.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`~secateur.compare`.
    against : names of methods
        What the others are tested against; those that the result doesn't hold are passed over.

    Returns
    -------
    pandas.DataFrame
        Index: target, approach. Columns ``train``, ``test``, ``nodes``, each with ``_sd`` (over folds); ``test_r2``,
        the square of ``test`` with its sign (:func:`secateur.statistics.signed_square`); ``below_zero``: whether
        ``test`` is, so that a gain is no evidence of a fit; and for each method ``m`` of
        ``against``: ``gain_m`` (difference on test stimuli) and ``t_m`` (paired over folds, a description: folds share
        stimuli, and no p of it holds). Where :func:`~secateur.compare` had ``permutations`` also ``p_test`` (one-sided:
        the test alignment is above chance), ``p_m`` (two-sided: the difference is larger than chance's) and
        ``p_holm_m`` (corrected for the number of methods that this target's table sets against ``m``).

    Notes
    -----
    p are of relabelled targets, which have nothing to do with X. Of two methods that both fit the target, a small
    ``p_m`` says that they differ by more than two do that fit nothing; it doesn't say that other stimuli would show it
    again, which is a question for an interval over stimuli (:func:`secateur.bootstrap`).

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 1. Holm (1979), Scandinavian Journal of Statistics 6. The paper's means
    of r² over folds, and its t-tests over them, say too much by chance alone: see ``benchmarks/README.md``.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> result = compare(X, X[:, :4] @ X[:, :4].T, methods=["full", "pruned"], cv=3, permutations=99)
    >>> comparison_table(result).loc[(0, "pruned"), ["p_test", "p_full"]].tolist()
    [0.01, 0.01]
    """
    names = [str(name) for name in result["approach"].values]
    references = [name for name in ([against] if isinstance(against, str) else against) if name in names]
    rows = []
    for target in result["target"].values:
        scores = {name: result["test_alignment"].sel(approach=name, target=target).values for name in names}
        tests = {
            reference: {name: paired_t(scores[name], scores[reference]) for name in names if name != reference}
            for reference in references
        }
        p = _chance_p(result, target, names, references)
        corrected = {
            reference: dict(zip(tests[reference], holm([p[name, reference] for name in tests[reference]]), strict=True))
            for reference in (references if p else [])
        }
        for name in names:
            one = result.sel(approach=name, target=target)
            row: dict[str, Any] = {"target": target, "approach": name}
            for column in ("train", "test", "nodes"):
                series = pandas.Series(one[VARIABLES.get(column, column)].values)
                row[column], row[f"{column}_sd"] = float(series.mean()), float(series.std())
            row["test_r2"] = signed_square(scores[name])
            row["below_zero"] = row["test"] < 0
            if p:
                row["p_test"] = p[name, ""]
            for reference, of in tests.items():
                test = of.get(name)
                row[f"gain_{reference}"] = test.difference if test else 0.0
                row[f"t_{reference}"] = test.t if test else np.nan
                if p:
                    row[f"p_{reference}"] = p.get((name, reference), np.nan)
                    row[f"p_holm_{reference}"] = corrected[reference].get(name, np.nan)
            rows.append(row)
    return pandas.DataFrame(rows).set_index(["target", "approach"])


def _chance_p(
    result: xarray.Dataset, target: HostTargetLike, names: list[str], references: list[str]
) -> dict[Any, float]:
    """p of each method's score, (name, ""), and of its difference from each reference; nothing without relabellings."""
    if "chance" not in result:
        return {}
    null = {name: result["chance"].sel(approach=name, target=target).values for name in names}
    scores = {name: result["test_alignment"].sel(approach=name, target=target).values for name in names}
    found: dict[Any, float] = {(name, ""): float(permutation_p(_mean(scores[name]), null[name])) for name in names}
    for reference in references:
        for name in names:
            if name != reference:
                gain = _mean(scores[name]) - _mean(scores[reference])
                found[name, reference] = float(permutation_p(abs(gain), np.abs(null[name] - null[reference])))
    return found


def _mean(scores: Matrix) -> float:
    return float(mean_of_defined(scores[:, None])[0])
