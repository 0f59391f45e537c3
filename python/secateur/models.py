"""Models side by side: which fits better, full, pruned or reweighted; can that be told; what does each say alone?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import xarray

from .arguments import check_integer, check_share, is_number
from .comparison import read_methods, score_method
from .cost import announce_measured
from .features import Features, Indices, Matrix, check_same_stimuli, read_features
from .inference import fewest_of_half, joined_error, noise_ceiling, variance_over_stimuli
from .measures import comparator_row
from .pairs import pair_count, pair_positions
from .problem import Problem
from .progress import with_progress
from .pruning import Pruner
from .pruning.label_free import BASELINES
from .pruning.ranking import SMALLEST_FOLD
from .pruning.settings import Search
from .relabelling import equal_groups, relabellings
from .reweighting import Reweighting
from .similarity import similarity, warn_of_undefined_pairs
from .statistics import benjamini_hochberg, holm, mean_of_defined, permutation_p
from .targets import Targets, read_controls, read_target
from .validation import Fold, attributes, names_or_numbers, pruner_of, split, warn_of_small_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._typing import ControlLike, HostEmbeddingLike, HostTargetLike, LabelsLike, Splits, WeightsLike
    from .comparison import FoldMethod, Method
    from .targets import Kind

__all__ = ["SPACES", "compare_models", "differences_table", "model_recovery", "unique_variance"]

SPACES = ("full", "pruned", "reweighted")
REWEIGHTED = "frrsa"  # what "reweighted" is
MOST_SPACES = 4  # of which commonality analysis makes 15 parts


@dataclass(frozen=True)
class _Entry:
    """A model in one of its spaces: what learns it, and from what."""

    model: str
    space: str
    method: Any
    problem: Problem
    search: Search | None

    def scores(self, folds: list[Fold], groups: LabelsLike | None, seed: int) -> list[dict[str, Any]]:
        """What it reaches in each fold: see :func:`secateur.comparison.score_method`."""
        name = f"{self.model}, {self.space}"
        return [
            score_method(self.method, self.problem, fold, self.search, groups, name, seed + f)
            for f, fold in enumerate(folds)
        ]

    @property
    def inner_cv(self) -> int | None:
        """How many inner folds it makes of training stimuli, where it makes some."""
        if isinstance(self.method, Reweighting):
            return self.method.inner_cv
        return self.search.inner_cv if self.search is not None and self.search.row.inner_folds else None

    def check_sizes(self, folds: list[Fold], groups: LabelsLike | None) -> None:
        """Refuse folds whose training stimuli are too few for what it divides them into."""
        learner = self.method if isinstance(self.method, Reweighting) else self.search
        if learner is None:
            return
        for f, (train, _) in enumerate(folds):
            try:
                learner.check_sizes(len(train), None if groups is None else np.asarray(groups)[train])
            except ValueError as error:
                raise ValueError(
                    f"spaces must be learnt from enough stimuli, but {self.space!r} has too few in fold {f}: {error}"
                ) from error


def _read_models(models: Mapping[str, Any]) -> dict[str, Features]:
    """Name -> features, all over the same stimuli."""
    if not isinstance(models, Mapping):
        raise TypeError(f"models must be a mapping of names to features, got {type(models).__name__}")
    if not models:
        raise ValueError("models must hold at least one model, got none")
    read = {}
    for name, X in models.items():
        if not isinstance(name, str):
            raise TypeError(f"models must be named by text, got {name!r}")
        read[name] = read_features(X)
    check_same_stimuli("models", {name: (one.n, one.stimuli) for name, one in read.items()})
    return read


def _entries(
    models: dict[str, Features], spaces: Any, targets: Targets, pruner: Pruner, folds: list[Fold]
) -> list[_Entry]:
    """Every model in every space, model by model."""
    if isinstance(spaces, (list, tuple)):
        spaces = {name: REWEIGHTED if name == SPACES[2] else name for name in spaces}
    read = read_methods(spaces, pruner)
    entries = []
    for model, features in models.items():
        for space, method in read.items():
            own = method if isinstance(method, Pruner) else pruner
            settings = own.settings()
            if isinstance(method, Pruner) or (isinstance(method, str) and method in BASELINES):
                problem, search = settings.problem(features, targets, folds), settings.search
                entries.append(_Entry(model, space, method, problem, search))
            else:
                entries.append(_Entry(model, space, method, settings.scoring(features, targets), None))
    return entries


def _pairs_of(entries: list[_Entry]) -> tuple[Indices, list[str]]:
    """Pairs (K, 2) of entries that differ in the model or in the space alone, and the family that each is tested in."""
    found: dict[str, list[tuple[int, int]]] = {f"models, {one.space}": [] for one in entries}
    found |= {f"spaces, {one.model}": [] for one in entries}
    for a, b in combinations(range(len(entries)), 2):
        one, other = entries[a], entries[b]
        if one.space == other.space:
            found[f"models, {one.space}"].append((a, b))
        elif one.model == other.model:
            found[f"spaces, {one.model}"].append((a, b))
    pairs = [pair for family in found.values() for pair in family]
    families = [name for name, family in found.items() for _ in family]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), families


@dataclass(frozen=True)
class Plan:
    """What :func:`compare_models` will compute, read and checked."""

    targets: Targets
    folds: list[Fold]
    repeat: Indices
    entries: list[_Entry]
    over: str


def plan_models(
    models: Mapping[str, HostEmbeddingLike],
    target: HostTargetLike,
    spaces: Sequence[str] | Mapping[str, str | Pruner | Reweighting | Method | FoldMethod],
    cv: Splits,
    repeats: int,
    seed: int,
    groups: LabelsLike | None,
    *,
    pruner: Pruner,
    weights: WeightsLike | None = None,
    over: str | None = None,
    n: int = 20,
) -> Plan:
    """Read and check everything that :func:`compare_models` is given, sizes too; nothing is learnt."""
    read = _read_models(models)
    first = next(iter(read.values()))
    check_integer("n", n, 1)
    targets = read_target(target, first.n, pruner.kind, weights, first.stimuli)
    T = len(targets)
    over = ("both" if T > 1 else "stimuli") if over is None else over
    if over not in ("both", "stimuli", "subjects"):
        raise ValueError(f"over must be one of 'both', 'stimuli', 'subjects'; got {over!r}")
    if over != "stimuli" and T < 2:
        raise ValueError(f"target must be a stack of at least 2 subjects where over is {over!r}, got {T}")
    folds, repeat = split(first.n, cv, repeats, seed, groups)
    entries = _entries(read, spaces, targets, pruner, folds)
    if over != "subjects":
        _check_halves(entries, folds, equal_groups(groups, first.n), "" if T < 2 else ", or pass over='subjects'")
    return Plan(targets, folds, repeat, entries, over)


def _check_halves(entries: list[_Entry], folds: list[Fold], members: Indices, otherwise: str) -> None:
    """Refuse inner folds that are too large for half the training stimuli, which intervals over stimuli learn from."""
    least, size = fewest_of_half(folds, members), members.shape[1]
    for entry in entries:
        inner = entry.inner_cv
        if inner is not None and least // size // inner * size < SMALLEST_FOLD:
            raise ValueError(
                "spaces must be learnt from half the training stimuli too, for intervals over stimuli, but "
                f"{entry.space!r} makes {inner} inner folds (inner_cv) of at least {SMALLEST_FOLD} stimuli, and half "
                f"may hold as few as {least}: take more folds (cv), whose training sets are larger, leave "
                f"{entry.space!r} out{otherwise}"
            )


def compare_models(
    models: Mapping[str, HostEmbeddingLike],
    target: HostTargetLike,
    spaces: Sequence[str] | Mapping[str, str | Pruner | Reweighting | Method | FoldMethod] = SPACES,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    pruner: Pruner | None = None,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    over: str | None = None,
    n: int = 20,
    confidence: float = 0.95,
    progress: bool = True,
) -> xarray.Dataset:
    """Which model fits better: networks or layers, each full, pruned and reweighted, on the same folds of the stimuli.

    Parameters
    ----------
    models : mapping of names to arrays (n stimuli, d features)
        Over the same stimuli in one order; each with its own features.
    target : any form that :func:`secateur.alignment` takes
        One matrix, or one per subject: each subject is learnt and scored by itself, and scores are means over subjects.
    spaces : names, or a mapping of names to methods
        What is done to each model: ``"full"``, ``"pruned"``, ``"reweighted"`` (frrsa), or any method that
        :func:`secateur.compare` takes, by name or in a mapping.
    cv, repeats, seed, groups, pruner, kind, weights
        As in :func:`secateur.compare`.
    over : {"both", "stimuli", "subjects"}, optional
        What intervals and p generalise to. By default both, where there are several targets; else stimuli.
    n : int
        Random divisions of the stimuli for the standard error over stimuli; each learns every model and space three
        times in every fold.
    confidence : float
        Coverage of the intervals.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (model, space) and (pair)
        ``test_alignment`` (model, space, target, fold), ``nodes`` alike, ``undefined_pairs``. ``score`` (model, space):
        mean over folds and targets, with ``error_score`` and ``interval_score`` (…, bound). Of every two models in the
        same space, and every two spaces of the same model, along ``pair``: ``difference`` (first minus second),
        ``error_difference``, ``interval_difference``, ``t``, ``df``, ``p`` (two-sided), ``p_holm`` (the chance of any
        false find) and ``q`` (false discovery rate), both corrected within ``family``: all pairs of models in a space,
        or all pairs of spaces of a model; and ``model_a``, ``space_a``, ``model_b``, ``space_b``. ``ceiling`` (bound):
        of :func:`secateur.noise_ceiling` on the same folds, where there are several targets.

    Raises
    ------
    TypeError, ValueError
        As :func:`secateur.compare`; where models differ in their stimuli, ``over`` is none of these or asks for
        subjects where there is one target, or inner folds have too few stimuli in halves of the training stimuli.

    Notes
    -----
    Over stimuli the standard error is that of :func:`secateur.bootstrap` with ``method="t"``, of differences as of
    scores: both models meet the same folds, so that what makes an image hard for both cancels. Over subjects it is
    SD / sqrt(subjects), as each subject is learnt by itself; over both, the variances are added, with Satterthwaite's
    degrees of freedom. ``benchmarks/README.md`` has the rates of false finds.

    A difference between pruned or reweighted models is one of how well they can be fitted, with the features and the
    stimuli that there are: :func:`model_recovery` asks whether the model that made a target would win.

    References
    ----------
    Schütt et al. (2023, eLife 12): tests of models over stimuli and subjects. Holm (1979); Benjamini & Hochberg (1995).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> models = {"a": rng.normal(size=(40, 30)), "b": rng.normal(size=(40, 30))}
    >>> target = models["a"][:, :6] @ models["a"][:, :6].T
    >>> result = compare_models(models, target, ["full", "pruned"], cv=3, n=5)
    >>> bool(differences_table(result).loc[["a - b, pruned"], ["p_holm"]].iloc[0, 0] < 0.05)
    True
    """
    confidence = check_share("confidence", confidence)
    pruner = pruner_of(pruner, kind)
    plan = plan_models(
        models, target, spaces, cv, repeats, seed, groups, pruner=pruner, weights=weights, over=over, n=n
    )
    targets, folds, repeat, entries, over = plan.targets, plan.folds, plan.repeat, plan.entries, plan.over
    warn_of_small_folds(folds)
    T, (pairs, families) = len(targets), _pairs_of(entries)
    E = len(entries)
    test, nodes = np.empty((2, E, T, len(folds)))
    undefined = np.zeros((E, T, len(folds)), dtype=np.int64)
    start = time.perf_counter()
    for e, entry in enumerate(with_progress(entries, E, "models x spaces", progress)):
        for f, found in enumerate(entry.scores(folds, groups, seed)):
            test[e, :, f], nodes[e, :, f], undefined[e, :, f] = found["test"], found["nodes"], found["undefined"]
    warn_of_undefined_pairs(int(undefined.sum()))

    def with_differences(scores: Matrix) -> Matrix:
        """(E, ...) scores of entries, and behind them those of pairs."""
        return np.concatenate([scores, scores[pairs[:, 0]] - scores[pairs[:, 1]]])

    by_subject = with_differences(mean_of_defined(np.moveaxis(test, -1, 0)))
    observed = mean_of_defined(by_subject.T)
    parts: list[tuple[Matrix, int]] = []
    if over != "subjects":

        def by_fold(drawn: list[Fold]) -> Matrix:
            scores = [[one["test"] for one in entry.scores(drawn, groups, seed)] for entry in entries]
            means = mean_of_defined(np.moveaxis(np.array(scores), -1, 0))  # (E, F), over targets
            return with_differences(means).T

        members, rng = equal_groups(groups, targets.n), np.random.default_rng(seed)
        what = f"{n} divisions of the stimuli, each with {len(folds)} folds of {E} models in their spaces"
        # twice on half the training stimuli, which have a quarter of the pairs
        announce_measured(1.5 * n * (time.perf_counter() - start), what, progress)
        _, variance = variance_over_stimuli(by_fold, folds, members, n, rng, None, progress)
        parts.append((variance, len(members) - 1))
    if over != "stimuli":
        there = (~np.isnan(by_subject)).sum(axis=1)
        parts.append((np.nanvar(by_subject, axis=1, ddof=1) / there, T - 1))
    error, df = joined_error(parts)
    return _result(entries, targets, folds, repeat, (test, nodes, undefined), (observed, error, df), pairs, families,
                   confidence).assign_attrs(
        {**attributes(pruner, targets.kind, cv, repeats, seed), "over": over, "n": int(n), "confidence": confidence}
    )  # fmt: skip


def _result(
    entries: list[_Entry], targets: Targets, folds: list[Fold], repeat: Indices, each: tuple[Matrix, Matrix, Indices],
    found: tuple[Matrix, Matrix, Matrix], pairs: Indices, families: list[str], confidence: float,
) -> xarray.Dataset:  # fmt: skip
    """What is known of entries and of pairs, with names."""
    from scipy.stats import t as student

    observed, error, df = found
    half = student.ppf((1 + confidence) / 2, df) * error
    bounds = np.stack([observed - half, observed + half], axis=-1)
    models, spaces = (list(dict.fromkeys(getattr(one, name) for one in entries)) for name in ("model", "space"))
    E, shape = len(entries), (len(models), len(spaces))
    variables: dict[str, Any] = {
        name: (("model", "space", "target", "fold"), values.reshape(*shape, *values.shape[1:]))
        for name, values in zip(("test_alignment", "nodes", "undefined_pairs"), each, strict=True)
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 0, observed / error, np.nan)[E:]
    p = 2 * student.sf(np.abs(t), df[E:])
    p_holm, q = np.full((2, len(p)), np.nan)
    for family in dict.fromkeys(families):
        own = np.flatnonzero([one == family for one in families])
        p_holm[own], q[own] = holm(p[own]), benjamini_hochberg(p[own]).adjusted
    for name, values in (("score", observed), ("error_score", error), ("interval_score", bounds)):
        dims = ("model", "space", "bound")[: 1 + values.ndim]
        variables[name] = (dims, values[:E].reshape(*shape, *values.shape[1:]))
    of_pairs = {"difference": observed[E:], "error_difference": error[E:], "t": t, "df": df[E:], "p": p,
                "p_holm": p_holm, "q": q}  # fmt: skip
    variables |= {name: ("pair", values) for name, values in of_pairs.items()}
    variables["interval_difference"] = (("pair", "bound"), bounds[E:])
    coords: dict[str, Any] = {
        "model": models, "space": spaces, "target": names_or_numbers(targets.labels, len(targets)),
        "fold": np.arange(len(folds)), "repeat": ("fold", repeat), "bound": ["lower", "upper"],
        "family": ("pair", np.array(families, dtype=object).astype(str)),
    }  # fmt: skip
    for side, at in (("a", 0), ("b", 1)):
        for name in ("model", "space"):
            named = [getattr(entries[pair[at]], name) for pair in pairs]
            coords[f"{name}_{side}"] = ("pair", np.array(named, dtype=object).astype(str))
    if len(targets) > 1:
        variables["ceiling"] = ("bound", _ceiling(targets, entries[0].problem.comparator, folds))
    return xarray.Dataset(variables, coords)


def _ceiling(targets: Targets, comparator: Any, folds: list[Fold]) -> Matrix:
    """Lower and upper bound among the test stimuli of these folds."""
    rows = np.stack([np.where(targets.has_weight(t), targets.values[t], np.nan) for t in range(len(targets))])
    weights = None
    if targets.weights is not None and targets.weight_of is not None and not np.isin(targets.weights, (0, 1)).all():
        weights = targets.weights[targets.weight_of]
    bounds = noise_ceiling(rows, comparator, cv=folds, kind="similarity", weights=weights)
    return np.array([float(bounds.lower), float(bounds.upper)])


def differences_table(result: xarray.Dataset) -> pandas.DataFrame:
    """The tested pairs of a comparison of models, one row each.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`~secateur.compare_models`.

    Returns
    -------
    pandas.DataFrame
        Index ``pair`` ("fc6 - fc7, pruned" or "pruned - full, fc7"). Columns ``family``, ``a`` and ``b`` (the scores),
        ``difference``, ``lower``, ``upper``, ``t``, ``df``, ``p``, ``p_holm``, ``q``.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 12))
    >>> result = compare_models({"a": X, "b": X[:, :6]}, X[:, :4] @ X[:, :4].T, ["full", "pruned"], cv=3, n=2)
    >>> differences_table(result).index.tolist()
    ['a - b, full', 'a - b, pruned', 'full - pruned, a', 'full - pruned, b']
    """
    rows = []
    for k in range(result.sizes["pair"]):
        one = result.isel(pair=k)
        a, b = ({"model": str(one[f"model_{side}"].values), "space": str(one[f"space_{side}"].values)} for side in "ab")
        alike, other = ("space", "model") if a["space"] == b["space"] else ("model", "space")
        lower, upper = one["interval_difference"].values
        rows.append(
            {
                "pair": f"{a[other]} - {b[other]}, {a[alike]}", "family": str(one["family"].values),
                "a": float(result["score"].sel(a)), "b": float(result["score"].sel(b)),
                "difference": float(one["difference"]), "lower": lower, "upper": upper,
                **{name: float(one[name]) for name in ("t", "df", "p", "p_holm", "q")},
            }
        )  # fmt: skip
    columns = ["family", "a", "b", "difference", "lower", "upper", "t", "df", "p", "p_holm", "q"]
    return pandas.DataFrame(rows, columns=["pair", *columns]).set_index("pair")


def check_recovery(n: int, noise: float | Sequence[float], subjects: int, share: float) -> Matrix:
    """The levels of noise of :func:`model_recovery`, whose numbers are refused where they are out of range."""
    check_integer("n", n, 1)
    check_integer("subjects", subjects, 2)
    check_share("share", share, one=True)
    levels = np.atleast_1d(np.asarray(noise, dtype=np.float64)) if np.ndim(noise) or is_number(noise) else np.empty(0)
    if levels.ndim != 1 or not levels.size or not (np.isfinite(levels) & (levels > 0)).all():
        raise ValueError(f"noise must be positive numbers, got {noise!r}")
    return levels


def model_recovery(
    models: Mapping[str, HostEmbeddingLike],
    n: int = 20,
    noise: float | Sequence[float] = (0.5, 1.0, 2.0),
    subjects: int = 8,
    share: float = 0.1,
    spaces: Sequence[str] | Mapping[str, str | Pruner | Reweighting | Method | FoldMethod] = ("full", "pruned"),
    cv: Splits = 5,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    pruner: Pruner | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Would the model that made a target be found again? Simulated targets of each model, fitted by all of them.

    A share of a model's features, drawn at random, makes similarities; noise of single pairs makes subjects of them;
    and every model is scored as :func:`~secateur.compare_models` scores it. Models that are fitted flexibly fit
    what others made.

    Parameters
    ----------
    models, spaces, cv, groups, pruner
        As in :func:`~secateur.compare_models`.
    n : int
        Simulated targets of each model and noise.
    noise : float or several
        SD of a subject's noise, by the SD over pairs of the similarities that it is added to.
    subjects : int
        How many share the similarities of a simulated target.
    share : float
        Of the model's features that make the target, above 0; 1: all.
    seed : int
        Of the draws and of the folds.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (space, noise, made_by, model)
        ``chosen``: share of the targets made by a model for which ``model`` has the highest score. ``accuracy`` (space,
        noise): share that the model that made them wins; chance is 1 / models; with its standard error
        ``accuracy_error``. ``score`` (space, noise, made_by, model): mean held-out alignment. ``ceiling`` (noise,
        bound): mean of the noise ceilings, to find the noise that is like a data set's.

    Raises
    ------
    TypeError, ValueError
        As :func:`~secateur.compare_models`; where there are fewer than two models, or a number is out of its range.

    References
    ----------
    Avitan & Golan (2025), arXiv 2510.23321: after linear alignment the model that made the data wins in fewer than
    80 % of cases.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> models = {"a": rng.normal(size=(30, 20)), "b": rng.normal(size=(30, 20))}
    >>> found = model_recovery(models, n=2, noise=0.2, subjects=2, share=0.5, cv=3)
    >>> found.accuracy.values.tolist()
    [[1.0], [1.0]]
    """
    read = _read_models(models)
    if len(read) < 2:
        raise ValueError(f"models must hold at least two models, got {len(read)}")
    levels = check_recovery(n, noise, subjects, share)
    pruner = pruner_of(pruner, "similarity")
    settings = pruner.settings()
    names, count = list(read), next(iter(read.values())).n
    folds, _ = split(count, cv, 1, seed, groups)
    warn_of_small_folds(folds)
    M = len(names)
    steps = [(level, made, i) for level in range(len(levels)) for made in range(M) for i in range(n)]
    scores = ceilings = labels = None
    for level, made, i in with_progress(steps, len(steps), "simulated targets", progress):
        rng = np.random.default_rng([seed, made, i])  # the same features at every noise
        X = read[names[made]].values
        drawn = rng.permutation(X.shape[1])[: max(2, round(share * X.shape[1]))]
        truth = similarity(X, settings.metric, subset=np.sort(drawn), threads=1)
        rows = truth + levels[level] * np.nanstd(truth) * rng.normal(size=(subjects, pair_count(count)))
        targets = read_target(rows, count, "similarity")
        entries = _entries(read, spaces, targets, pruner, folds)
        if scores is None or ceilings is None:
            labels = list(dict.fromkeys(one.space for one in entries))
            scores, ceilings = np.empty((len(levels), M, n, len(entries))), np.empty((len(levels), M, n, 2))
        scores[level, made, i] = [
            np.nanmean([one["test"] for one in entry.scores(folds, groups, seed)]) for entry in entries
        ]
        ceilings[level, made, i] = _ceiling(targets, settings.comparator, folds)
    assert scores is not None
    assert ceilings is not None
    assert labels is not None
    by_model = np.moveaxis(scores.reshape(*scores.shape[:3], M, len(labels)), -1, 0)  # (space, noise, made, i, model)
    winner = by_model.argmax(axis=-1)
    chosen = (winner[..., None] == np.arange(M)).mean(axis=-2)
    accuracy = np.einsum("slmm->sl", chosen) / M
    variables = {
        "chosen": (("space", "noise", "made_by", "model"), chosen),
        "score": (("space", "noise", "made_by", "model"), by_model.mean(axis=-2)),
        "accuracy": (("space", "noise"), accuracy),
        "accuracy_error": (("space", "noise"), np.sqrt(accuracy * (1 - accuracy) / (n * M))),
        "ceiling": (("noise", "bound"), ceilings.mean(axis=(1, 2))),
    }
    coords = {"space": labels, "noise": levels, "made_by": names, "model": names, "bound": ["lower", "upper"]}
    attrs = attributes(pruner, "similarity", cv, 1, seed) | {"n": int(n), "subjects": int(subjects), "share": share}
    return xarray.Dataset(variables, coords, attrs)


# Commonality


def unique_variance(
    models: HostEmbeddingLike | Mapping[str, HostEmbeddingLike],
    target: HostTargetLike,
    controls: ControlLike | Mapping[str, ControlLike] | None = None,
    spaces: Sequence[str] | Mapping[str, str | Pruner | Reweighting | Method | FoldMethod] = ("full", "pruned"),
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    pruner: Pruner | None = None,
    kind: Kind | None = None,
    n: int = 200,
    progress: bool = True,
) -> xarray.Dataset:
    """What two to four spaces say of a target alone and together: commonality analysis, on test stimuli.

    In every fold spaces are learnt from the training stimuli. Among the test stimuli the target's pairs are regressed
    on every subset of the spaces, and explained variance is divided into what each says alone and what they share.

    Parameters
    ----------
    models : array (n stimuli, d features), or a mapping of names to such
        One model, or several over the same stimuli.
    target : any form that :func:`secateur.alignment` takes
        One or T targets.
    controls : matrices, or a mapping of names to matrices, optional
        Matrices of any form that a target has, of either kind: together one space, ``"control"``; in a mapping one
        each.
    spaces : names, or a mapping of names to methods
        Of each model, as in :func:`~secateur.compare_models`.
    cv, repeats, seed, groups, pruner, kind
        As in :func:`secateur.compare`. The comparator is Pearson's or Spearman's, of ranks among test stimuli.
    n : int
        Relabellings of each fold's test stimuli, for what chance explains and for p.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (target, subset | part | regressor)
        ``r2`` (target, subset): explained variance beyond chance of each set of spaces, named as ``"full+control"``.
        ``variance`` (target, part): of each part, named by the spaces that share it; a single name is what that space
        says alone. The parts sum to ``r2`` of all. ``p_unique`` (target, regressor): one-sided, that a space says
        something that the others don't. ``p_unique_mean`` (regressor): the same of the mean over targets, where there
        are several. ``chance`` (target, subset): what relabelled targets give, taken off ``r2``.

    Raises
    ------
    TypeError, ValueError
        As :func:`secateur.compare`; where spaces and controls are not two to four in all, two have one name, or the
        comparator is no correlation.

    Notes
    -----
    A regression explains variance by chance, the more so the fewer the test stimuli: with c the mean of relabelled
    targets, r² becomes (r² - c) / (1 - c), which is the adjusted r² where pairs are independent, and 0 on average where
    nothing is shared. Means are over folds. A shared part can be below zero: where one space hides what another says
    (suppression). p relabels what the other spaces leave of the target (Freedman & Lane 1983), alike in all targets.
    Coefficients are of the test pairs: full and pruned are weighed there, not on the pairs that pruning has seen; they
    may be negative, and the square hides it: :func:`secateur.cross_validate` with ``control`` has the sign.
    Pairs that are missing or undefined are left out; under a relabelling they count as the mean.

    References
    ----------
    Seibold & McPhee (1979), Human Communication Research 5 (commonality analysis); Nimon & Reio (2011).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 12))
    >>> pixels = np.corrcoef(rng.normal(size=(60, 8)))
    >>> found = unique_variance(X, X[:, :4] @ X[:, :4].T / 4 + pixels, pixels, cv=3, n=50)
    >>> bool(found.p_unique.sel(regressor=["pruned", "control"]).max() < 0.05)
    True
    >>> bool(abs(found.variance.sum() - found.r2.sel(subset="full+pruned+control").item()) < 1e-12)
    True
    """
    given = models if isinstance(models, Mapping) else {"": models}
    read = _read_models(given)
    first = next(iter(read.values()))
    check_integer("n", n, 1)
    pruner = pruner_of(pruner, kind)
    row = comparator_row(pruner.comparator)
    if not row.is_r:
        raise ValueError(f"comparator must be 'pearson' or 'spearman' for a regression, got {pruner.comparator!r}")
    targets = read_target(target, first.n, pruner.kind, None, first.stimuli)
    folds, _ = split(first.n, cv, repeats, seed, groups)
    warn_of_small_folds(folds)
    entries = _entries(read, spaces, targets, pruner, folds)
    named = [one.space if len(read) == 1 else f"{one.model} {one.space}" for one in entries]
    behind: dict[str, Any] = {}
    if controls is not None:
        behind = dict(controls) if isinstance(controls, Mapping) else {"control": controls}
    known = {name: read_controls(one, first.n, first.stimuli) for name, one in behind.items()}
    names = [*named, *known]
    if not 2 <= len(names) <= MOST_SPACES:
        raise ValueError(f"spaces and controls must be 2 to {MOST_SPACES} in all, got {len(names)}")
    if len(set(names)) < len(names):
        raise ValueError(f"spaces and controls must have names of their own, got {', '.join(names)}")
    subsets = [one for size in range(1, len(names) + 1) for one in combinations(range(len(names)), size)]
    T, F, K = len(targets), len(folds), len(names)
    r2, chance = np.full((2, F, T, len(subsets)), np.nan)
    gains = np.full((F, T, K, 1 + n), np.nan)
    for f, fold in enumerate(with_progress(folds, F, "folds", progress)):
        test = fold[1]
        predicted = [entry.scores([fold], groups, seed + f)[0]["predicted"] for entry in entries]
        fixed = [Targets(one, None, None, first.n).among(test).values for one in known.values()]
        held = targets.among(test)
        moved = pair_positions(relabellings(len(test), n, seed + f), len(test))
        for t in range(T):
            y = np.where(held.has_weight(t), held.values[t], np.nan)
            columns = [one[t][None] for one in predicted] + fixed
            r2[f, t], chance[f, t], gains[f, t] = _explained(y, columns, subsets, moved, row.rank)
    mean_chance = mean_of_defined(chance.reshape(F, -1)).reshape(T, -1)
    found = mean_of_defined(((r2 - chance) / (1 - chance)).reshape(F, -1)).reshape(T, -1)
    statistic = mean_of_defined(gains.reshape(F, -1)).reshape(T, K, 1 + n)
    labels = ["+".join(names[k] for k in subset) for subset in subsets]
    at = {frozenset(subset): s for s, subset in enumerate(subsets)}
    parts = np.zeros((T, len(subsets)))
    for s, subset in enumerate(subsets):
        rest = frozenset(range(K)) - set(subset)
        for size in range(len(subset) + 1):
            for inside in combinations(subset, size):
                which = rest | set(inside)
                if which:
                    parts[:, s] += (-1) ** (size + 1) * found[:, at[which]]
    variables: dict[str, Any] = {
        "r2": (("target", "subset"), found),
        "variance": (("target", "part"), parts),
        "chance": (("target", "subset"), mean_chance),
        "p_unique": (("target", "regressor"), permutation_p(statistic[..., 0], statistic[..., 1:])),
    }
    if T > 1:
        whole = mean_of_defined(statistic)
        variables["p_unique_mean"] = (("regressor",), permutation_p(whole[:, 0], whole[:, 1:]))
    coords = {
        "target": names_or_numbers(targets.labels, T), "subset": labels, "part": labels, "regressor": names,
    }  # fmt: skip
    return xarray.Dataset(variables, coords, attributes(pruner, targets.kind, cv, repeats, seed) | {"n": int(n)})


def _explained(
    y: Matrix, columns: list[Matrix], subsets: list[tuple[int, ...]], moved: Indices, ranked: bool
) -> tuple[Matrix, Matrix, Matrix]:
    """r² (S,) of a target's pairs on each subset of regressors, its mean over relabellings (S,), and what each adds.

    The last is (K, 1 + B), beyond all others: first as it is, then with what the others leave relabelled. ``moved``
    (B, P): where the pairs lie in each order of the stimuli.
    """
    there = ~np.isnan(y)
    for one in columns:
        there &= ~np.isnan(one).any(axis=0)
    K, B = len(columns), len(moved)
    if there.sum() < 3:
        return np.full(len(subsets), np.nan), np.full(len(subsets), np.nan), np.full((K, 1 + B), np.nan)

    def centred(values: Matrix) -> Matrix:
        values = values[there]
        if ranked:
            from scipy.stats import rankdata

            values = rankdata(values)
        whole = np.zeros(len(there))
        whole[there] = values - values.mean()
        return whole

    target = centred(y)
    design = [np.stack([centred(row) for row in one], axis=1) for one in columns]

    def basis(chosen: tuple[int, ...]) -> Matrix:
        """Orthonormal columns of some regressors; what others of them say too is left out."""
        if not chosen:
            return np.zeros((len(there), 0))
        stacked = np.concatenate([design[k] for k in chosen], axis=1)
        size = np.linalg.norm(stacked, axis=0)
        left, sizes, _ = np.linalg.svd(stacked / np.where(size > 0, size, 1), full_matrices=False)
        return np.asarray(left[:, sizes > 1e-10])

    def relabelled(values: Matrix) -> Matrix:
        """(1 + B, P): as they are, and with the stimuli in each order."""
        return np.vstack([values, values[moved]])

    total = float(target @ target)
    if total == 0:
        return np.full(len(subsets), np.nan), np.full(len(subsets), np.nan), np.full((K, 1 + B), np.nan)
    every = relabelled(target)
    found = np.stack([((every @ basis(one)) ** 2).sum(axis=1) for one in subsets]) / total  # (S, 1 + B)
    gains = np.empty((K, 1 + B))
    whole = basis(tuple(range(K)))
    for k in range(K):
        others = basis(tuple(j for j in range(K) if j != k))
        stays = others @ (others.T @ target)
        drawn = stays + relabelled(target - stays)
        drawn -= drawn[:, there].mean(axis=1, keepdims=True) * there
        squares = (drawn**2).sum(axis=1)
        gains[k] = (((drawn @ whole) ** 2).sum(axis=1) - ((drawn @ others) ** 2).sum(axis=1)) / squares
    return found[:, 0], found[:, 1:].mean(axis=1), gains
