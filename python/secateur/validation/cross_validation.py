"""Out of sample: cross-validation over stimuli, and its tables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import check_integer, check_seed, is_integer
from ..features import Indices, Matrix, read_features, read_labels
from ..measures import check_comparator, metric_row, search_row
from ..pairs import pair_count
from ..problem import Problem
from ..progress import with_progress
from ..provenance import own_version
from ..pruning import Pruned, Pruner
from ..pruning.ranking import SMALLEST_FOLD, shuffled_folds
from ..pruning.result import Wanted
from ..pruning.settings import Search
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import paired_t, signed_square
from ..targets import DeviceTargets, Targets

if TYPE_CHECKING:
    import pandas
    import xarray

Fold = tuple[Indices, Indices]
FEW_PAIRS = 30


class SmallFoldsWarning(UserWarning):
    """Test folds have so few pairs of stimuli that their scores say little singly."""


def warn_of_small_folds(folds: Iterable[Fold]) -> None:
    """Say once per call that test folds have fewer than 30 pairs."""
    pairs = [pair_count(len(test)) for _, test in folds]
    few = [count for count in pairs if count < FEW_PAIRS]
    if few:
        warnings.warn(
            f"test folds should have {FEW_PAIRS} pairs of stimuli or more, as scores of fewer are mostly noise: got "
            f"{min(few)} in {'the smallest of ' if len(few) > 1 else ''}{len(few)} of {len(pairs)} folds",
            SmallFoldsWarning,
            stacklevel=3,
        )


def split(n: int, cv: Any = 5, repeats: int = 1, seed: int = 0, groups: Any = None) -> tuple[list[Fold], Indices]:
    """Folds over n stimuli.

    Parameters
    ----------
    n : int
        Number of stimuli.
    cv : int, scikit-learn splitter, or iterable of (train, test) indices or masks
        An integer shuffles: ``KFold``, or ``GroupKFold`` where groups are given.
    repeats : int
        How often an integer ``cv`` is drawn anew; repeat r uses ``seed + r``.
    seed : int
        Of the shuffles.
    groups : array (n,), optional
        Stimuli of one group are never on both sides.

    Returns
    -------
    folds : list of (train, test) int64 indices
    repeat : (folds,) int64

    Raises
    ------
    TypeError
        Where ``cv`` is none of these, or a fold no pair of indices or masks.
    ValueError
        Where there are more folds than stimuli or groups, a side of a fold has fewer than 3 stimuli, sides share a
        stimulus or a group, labels of groups are of mixed types or missing, or an index is out of range.

    Examples
    --------
    >>> folds, repeat = split(12, cv=3, repeats=2)
    >>> len(folds), repeat.tolist()
    (6, [0, 0, 0, 1, 1, 1])
    """
    check_integer("repeats", repeats, 1)
    seed = check_seed(seed, repeats)
    if groups is not None:
        groups = read_labels(groups, n, "groups", "stimuli")
    whole = is_integer(cv)
    if not whole and (isinstance(cv, (str, type)) or not (hasattr(cv, "split") or isinstance(cv, Iterable))):
        raise TypeError(f"cv must be an integer, a scikit-learn splitter, or (train, test) folds, got {cv!r}")
    if not whole and repeats > 1:
        raise ValueError(f"repeats must be 1 unless cv is an integer, got {repeats}")
    if whole and cv < 2:
        raise ValueError(f"cv must be at least 2, got {cv}")
    most = n if groups is None else len(np.unique(groups))
    if whole and cv > most:
        raise ValueError(f"cv must be at most the {most} {'stimuli' if groups is None else 'groups'}, got {cv}")
    folds: list[Fold] = []
    repeat: list[int] = []
    for r in range(repeats):
        if whole:
            drawn = shuffled_folds(n, int(cv), int(seed) + r, groups)
        elif hasattr(cv, "split"):
            drawn = cv.split(np.zeros(n), groups if groups is None else np.asarray(groups), groups)
        else:
            drawn = iter(cv)
        for fold in drawn:
            folds.append(_read_fold(fold, n, len(folds), groups))
            repeat.append(r)
    if not folds:
        raise ValueError("cv must give at least one fold, got none")
    return folds, np.array(repeat, dtype=np.int64)


def _read_fold(fold: Any, n: int, f: int, groups: Any) -> Fold:
    """Training and test stimuli of fold f, checked."""
    if not isinstance(fold, (tuple, list)) or len(fold) != 2:
        raise TypeError(f"cv must hold (train, test) pairs, got {fold!r} for fold {f}")
    train, test = _read_side(fold[0], n, f, "training"), _read_side(fold[1], n, f, "test")
    shared = np.intersect1d(train, test)
    if shared.size:
        raise ValueError(
            f"cv must keep training and test stimuli apart, got stimulus {shared[0]} on both sides of fold {f}"
        )
    if groups is not None:
        straddling = np.intersect1d(np.asarray(groups)[train], np.asarray(groups)[test])
        if straddling.size:
            raise ValueError(f"cv must keep groups apart, got group {straddling[0]} on both sides of fold {f}")
    return train, test


def _read_side(side: Any, n: int, f: int, name: str) -> Indices:
    """Distinct stimuli from indices or from a mask (n,)."""
    values = np.asarray(side)
    if values.ndim != 1:
        raise ValueError(f"cv must hold one-dimensional {name} indices or masks, got shape {values.shape} in fold {f}")
    if values.dtype == np.bool_:
        if len(values) != n:
            raise ValueError(f"cv must hold masks of {n} entries, one a stimulus, got {len(values)} in fold {f}")
        values = np.flatnonzero(values)
    if values.size and values.dtype.kind not in "iu":
        raise TypeError(f"cv must hold {name} indices or masks, got dtype {values.dtype} in fold {f}")
    if len(values) < SMALLEST_FOLD:
        raise ValueError(f"cv must leave at least {SMALLEST_FOLD} {name} stimuli, got {len(values)} in fold {f}")
    outside = values[(values < 0) | (values >= n)]
    if outside.size:
        raise ValueError(f"cv must hold stimuli from 0 to {n - 1}, got {outside[0]} in fold {f}")
    if len(np.unique(values)) < len(values):
        raise ValueError(f"cv must name each {name} stimulus once in a fold, got repeats in fold {f}")
    return values.astype(np.int64)


@dataclass(frozen=True)
class FoldScores:
    """Alignments of T targets in one fold, before and after pruning, in and out of sample."""

    full_train: Matrix
    full_test: Matrix
    pruned_train: Matrix
    pruned_test: Matrix
    undefined: Indices
    pruned: Pruned


def score_fold(
    problem: Problem, fold: Fold, search: Search, *, wanted: Wanted = "support", groups: Any = None
) -> FoldScores:
    """Prune on the training stimuli's pairs, score on the test stimuli's. Nothing else crosses.

    ``groups`` (n,) are kept whole in the inner folds of a search that has some.
    """
    train, test = fold
    pruned = search.run(problem, stimuli=train, wanted=wanted, groups=groups)
    full, _ = problem.held_out_alignment(test)
    scores, undefined = problem.held_out_alignment(test, pruned.support)
    return FoldScores(pruned.baseline, full, pruned.alignment, scores, undefined, pruned)


def pruner_of(pruner: Pruner | None, kind: str | None) -> Pruner:
    pruner = Pruner() if pruner is None else pruner
    if not isinstance(pruner, Pruner):
        raise TypeError(f"pruner must be a secateur.Pruner, got {type(pruner).__name__}")
    if kind is not None:
        from sklearn.base import clone

        pruner = clone(pruner).set_params(kind=kind)
    return pruner


def _settings(pruner: Pruner, targets: Targets | DeviceTargets, cv: Any, repeats: int, seed: int) -> dict[str, Any]:
    """What a result records of how it was made."""
    limits = {name: getattr(pruner, name) for name in ("max_features", "tol", "patience")}
    if pruner.min_features > 1:
        limits["min_features"] = pruner.min_features
    if pruner.precision != "double":
        limits["precision"] = pruner.precision
    if search_row(pruner.search).inner_folds:
        limits |= {"inner_cv": pruner.inner_cv, "search_seed": pruner.seed}
    return {
        "metric": pruner.metric, "comparator": check_comparator(pruner.comparator), "kind": targets.kind,
        "search": pruner.search,
        **{name: value for name, value in limits.items() if value is not None},
        "cv": _cv_name(cv),
        "repeats": int(repeats), "seed": int(seed), "secateur_version": own_version(),
    }  # fmt: skip


def _cv_name(cv: Any) -> str:
    """What a result calls its folds: the same in every process, so without the addresses that some reprs hold."""
    named = isinstance(cv, (int, np.integer)) or hasattr(cv, "split")
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(cv)) if named else "given folds"


def _names(given: tuple[str, ...] | None, count: int) -> npt.NDArray[Any]:
    return np.arange(count) if given is None else np.asarray(given, dtype=object).astype(str)


def collect(
    scores: Iterable[FoldScores], folds: list[Fold], repeat: Indices, targets: Targets | DeviceTargets,
    names: tuple[npt.NDArray[Any], npt.NDArray[Any]], settings: dict[str, Any], *, curves: bool = True,
) -> xarray.Dataset:  # fmt: skip
    """All folds' scores, as :func:`cross_validate` returns them; ``names`` are those of features and of stimuli."""
    import xarray

    d, n = map(len, names)
    shape = (len(targets), len(folds))
    scalars = {name: np.empty(shape) for name in ("full_train", "full_test", "pruned_train", "pruned_test")}
    undefined = np.zeros(shape, dtype=np.int64)
    kept = np.zeros((*shape, d), dtype=bool)
    importance = np.empty((*shape, d))
    curve = np.empty((*shape, d)) if curves else None
    test = np.zeros((len(folds), n), dtype=bool)
    for f, one in enumerate(scores):
        for name, values in scalars.items():
            values[:, f] = getattr(one, name)
        undefined[:, f] = one.undefined
        kept[:, f] = one.pruned.support
        importance[:, f] = one.pruned.importance
        if curve is not None:
            curve[:, f] = one.pruned.curve
        test[f, folds[f][1]] = True
    variables: dict[str, Any] = {name: (("target", "fold"), values) for name, values in scalars.items()}
    variables |= {
        "n_kept": (("target", "fold"), kept.sum(axis=-1)),
        "undefined_pairs": (("target", "fold"), undefined),
        "kept": (("target", "fold", "feature"), kept),
        "importance": (("target", "fold", "feature"), importance),
        "test": (("fold", "stimulus"), test),
    }
    if curve is not None:
        variables["curve"] = (("target", "fold", "step"), curve)
    coords = {
        "target": _names(targets.labels, len(targets)),
        "fold": np.arange(len(folds)),
        "repeat": ("fold", repeat),
        "feature": names[0],
        "stimulus": names[1],
    }
    if curve is not None:
        coords["step"] = np.arange(1, d + 1)
    return xarray.Dataset(variables, coords, settings)


def cross_validate(
    X: Any,
    target: Any,
    pruner: Pruner | None = None,
    cv: Any = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: Any = None,
    *,
    kind: str | None = None,
    weights: Any = None,
    curves: bool = True,
    progress: bool = True,
) -> xarray.Dataset:
    """Prune on some stimuli, score on others.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Finite; converted to float64.
    target : array, rsatoolbox RDMs, or xarray DataArray
        One or T targets, in any form that :func:`secateur.alignment` takes.
    pruner : Pruner, optional
        ``Pruner()`` by default. It is not fitted or changed.
    cv : int, scikit-learn splitter, or iterable of (train, test) indices or masks
        Splits are over stimuli: training sees the pairs among training stimuli, the score is the alignment
        among the test stimuli. Each side needs at least 3.
    repeats : int
        Redraws of an integer ``cv``; repeat r uses ``seed + r``.
    seed : int
        Of the shuffles of an integer ``cv``.
    groups : array (n,), optional
        Stimuli of one group stay on one side, in the inner folds of ``search="parsimonious"`` too.
    kind : {"similarity", "dissimilarity"}, optional
        What the target holds, where neither it nor the pruner says so; overrides the pruner's.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.
    curves : bool
        Whether the insertion curves (target, fold, step) are returned.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (target, fold[, feature])
        ``full_train``, ``full_test``, ``pruned_train``, ``pruned_test``: alignments, correlation units.
        ``n_kept``, ``kept`` (feature), ``importance`` (feature), ``curve`` (step), ``undefined_pairs``: held-out
        pairs that the kept features leave undefined (not scored), and ``test`` (fold, stimulus). It can be
        saved with ``to_netcdf`` and read back whole.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above; the message names it.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Where the mean held-out alignment of all features is below zero: the target may be of the other kind.
    SmallFoldsWarning
        Once, where test folds have fewer than 30 pairs.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, "Out-of-sample generalization".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 40))
    >>> result = cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3)
    >>> dict(result.sizes)["fold"]
    3
    """
    pruner = pruner_of(pruner, kind)
    settings = pruner.settings()
    features, targets = settings.read(X, target, weights)
    folds, repeat = split(features.n, cv, repeats, seed, groups)
    warn_of_small_folds(folds)
    problem = settings.problem(features, targets, folds, runs=1)
    shown = with_progress(folds, len(folds), "folds", progress)
    wanted: Wanted = "path" if curves else "importance"
    scores = (score_fold(problem, fold, settings.search, wanted=wanted, groups=groups) for fold in shown)
    names = _names(features.names, features.d), _names(features.stimuli or targets.stimuli, features.n)
    attrs = _settings(pruner, targets, cv, repeats, seed)
    result = collect(scores, folds, repeat, targets, names, attrs, curves=curves)
    warn_of_undefined_pairs(int(result["undefined_pairs"].sum()))
    warn_of_opposition(result["full_test"].mean("fold"), targets.kind)
    return result


def tested_once(result: xarray.Dataset) -> bool:
    """Whether no stimulus is a test stimulus of two folds of a result: else t over folds has no p worth its name."""
    if "test" in result:
        return bool((result["test"].values.sum(axis=0) <= 1).all())
    return bool((result["repeat"].values == 0).all())


def summary(result: xarray.Dataset) -> pandas.DataFrame:
    """Full against pruned, one row a target: means and SD over folds, features kept, the paired test.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.

    Returns
    -------
    pandas.DataFrame
        Index: target. Columns ``full_train``, ``full_train_sd``, … in correlation units, ``full_test_r2`` and
        ``pruned_test_r2`` (the square of the mean over folds, with its sign), ``n_kept``, ``n_kept_sd``,
        ``n_features``, ``gain``, ``t``, ``df``, ``p`` (of t, two-sided, over folds, which share training stimuli:
        descriptive; NaN where folds share test stimuli too, as those of repeats do), ``p_gain`` (from relabellings,
        where the result has it), ``undefined_pairs``, ``below_zero``: whether the pruned alignment ends below zero, so
        that no gain is evidence of a fit. Folds without a score (NaN) are left out; the SD of one fold is NaN.

    Notes
    -----
    Folds are no independent measurements. :func:`secateur.permutation_test` has the p to report. The papers' means of
    r² over folds are well above zero by chance alone where folds have few pairs.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 1; Nadeau & Bengio (2003, Machine Learning 52): t over folds.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 40))
    >>> table = summary(cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3))
    >>> bool(table.loc[0, "pruned_test"] > table.loc[0, "full_test"])
    True
    """
    import pandas

    rows, once = [], tested_once(result)
    for t in range(result.sizes["target"]):
        one = result.isel(target=t)
        row: dict[str, Any] = {"target": one.target.item()}
        for name in ("full_train", "pruned_train", "full_test", "pruned_test", "n_kept"):
            scores = pandas.Series(one[name].values)
            row[name], row[f"{name}_sd"] = float(scores.mean()), float(scores.std())
        for name in ("full_test", "pruned_test"):
            row[f"{name}_r2"] = signed_square(one[name].values)
        row["n_features"] = result.sizes["feature"]
        test = paired_t(one.pruned_test, one.full_test)
        row |= {"gain": test.difference, "t": test.t, "df": test.df, "p": test.p if once else float("nan")}
        if "p_gain" in result:
            row["p_gain"] = float(one["p_gain"])
        row["undefined_pairs"] = int(one.undefined_pairs.sum())
        row["below_zero"] = row["pruned_test"] < 0
        rows.append(row)
    return pandas.DataFrame(rows).set_index("target")


def kept_features(result: xarray.Dataset) -> pandas.DataFrame:
    """How often each feature was kept over folds, and its mean importance: one row a target and feature.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.

    Returns
    -------
    pandas.DataFrame
        Columns ``target``, ``feature``, ``folds_kept``, ``folds``, ``frequency``, ``mean_importance`` (NaN where the
        feature was indispensable in a fold); most often kept first, then most important, NaN before all.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 40))
    >>> table = kept_features(cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3))
    >>> bool((table.feature[:5] < 8).all())
    True
    """
    import pandas

    targets, features = result.target.values, result.feature.values
    count = result.kept.values.sum(axis=1)
    importance = result.importance.values.mean(axis=1)
    table = pandas.DataFrame(
        {
            "target": np.repeat(targets, len(features)),
            "feature": np.tile(features, len(targets)),
            "folds_kept": count.ravel(),
            "folds": result.sizes["fold"],
            "frequency": count.ravel() / result.sizes["fold"],
            "mean_importance": importance.ravel(),
        }
    )
    table["position"] = np.repeat(np.arange(len(targets)), len(features))
    keys = ["position", "folds_kept", "mean_importance"]
    table = table.sort_values(keys, ascending=[True, False, False], kind="stable", na_position="first")
    return table.drop(columns="position").reset_index(drop=True)


def to_rsatoolbox(X: Any, support: Any = None, metric: str = "cosine", *, name: str = "pruned") -> Any:
    """The RDM of the kept features as rsatoolbox ``RDMs``.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Its stimulus labels become the pattern descriptor ``conds``.
    support : bool mask (d,), indices, or (T, d) masks; optional
        One RDM each; all features by default.
    metric : str
        Dissimilarity is 1 - similarity for cosine and correlation, minus the similarity otherwise.
    name : str
        The RDMs' descriptor.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM, or T; NaN for pairs of a stimulus without direction in the kept features.

    Raises
    ------
    ImportError
        Where rsatoolbox is not installed (extra ``interop``).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(10, 4))
    >>> to_rsatoolbox(X, support=[0, 2]).dissimilarities.shape
    (1, 45)
    """
    try:
        from rsatoolbox.rdm.rdms import RDMs
    except ImportError as error:
        raise ImportError("to_rsatoolbox needs rsatoolbox: pip install 'secateur[interop]'") from error
    from ..similarity import similarity

    features = read_features(X)
    masks = np.asarray(support) if support is not None else None
    supports = [support] if masks is None or masks.ndim < 2 else list(masks)
    rows = np.stack([-similarity(features.values, metric, subset=s) for s in supports])
    if metric_row(metric).angular:
        rows += 1
    labels = list(features.stimuli) if features.stimuli else [str(i) for i in range(features.n)]
    make: Any = RDMs
    return make(
        rows,
        dissimilarity_measure=metric,
        descriptors={"name": name},
        pattern_descriptors={"conds": labels},
        rdm_descriptors={"support": list(range(len(rows)))},
    )
