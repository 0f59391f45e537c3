"""Tables of a cross-validation, and its spaces for rsatoolbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..features import Matrix, read_features
from ..measures import metric_row
from ..statistics import fisher_z, mean_of_defined, paired_t, signed_square

if TYPE_CHECKING:
    import pandas
    import xarray
    from rsatoolbox.rdm.rdms import RDMs

    from .._typing import HostEmbeddingLike, SubsetLike
    from ..measures import Metric
    from ..pruning import Pruner

__all__ = ["dissimilarity", "kept_features", "over_targets", "summary", "tested_once", "to_rsatoolbox"]


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
    >>> from secateur import cross_validate
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
        for name in ("ceiling_lower", "ceiling_upper"):
            if name in result:
                row[name] = float(np.mean(one[name].values))
        row["undefined_pairs"] = int(one.undefined_pairs.sum())
        row["below_zero"] = row["pruned_test"] < 0
        rows.append(row)
    return pandas.DataFrame(rows).set_index("target")


def over_targets(result: xarray.Dataset) -> pandas.DataFrame:
    """Full, pruned and their difference over targets that are a sample, as subjects are: means, intervals, the test.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`, of at least 2 targets. Where its attribute ``targets`` is ``"subjects"``,
        targets of one name are sessions of one subject, and averaged first.

    Returns
    -------
    pandas.DataFrame
        Index: ``full``, ``pruned``, ``gain``. Columns ``n`` (targets with a score), ``mean``, ``sd``, ``lower`` and
        ``upper`` (95 % interval, Student's t), in correlation units, of the targets' means over folds; of the gain also
        ``t``, ``df``, ``p`` (one-sided: pruned above full) and ``d`` (Cohen's) of Fisher's z, paired over targets.

    Raises
    ------
    ValueError
        Where there are fewer than 2 targets.

    Notes
    -----
    It generalises to other subjects with these features and stimuli. Structure that subjects share aligns with any X by
    chance, in all of them: whether it is these features and not just any is what :func:`secateur.permutation_test`
    asks. Regions or time points are no sample of any population: no test over them holds.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §3.2.1: Fisher's z, paired one-sided t over participants.

    Examples
    --------
    >>> from secateur import cross_validate, similarity
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20))
    >>> subjects = similarity(X[:, :4]) + 0.3 * rng.normal(size=(5, 435))
    >>> table = over_targets(cross_validate(X, subjects, cv=3, kind="similarity"))
    >>> bool(table.loc["gain", "p"] < 0.05), int(table.loc["gain", "df"])
    (True, 4)
    """
    import pandas
    from scipy.stats import t as student

    if result.sizes["target"] < 2:
        raise ValueError(f"result must be of at least 2 targets, got {result.sizes['target']}")
    full, pruned = (mean_of_defined(result[name].values.T) for name in ("full_test", "pruned_test"))
    names = result["target"].values
    if result.attrs.get("targets") == "subjects" and len(set(names)) < len(names):  # sessions of one are averaged first
        whose = [np.flatnonzero(names == name) for name in dict.fromkeys(names)]
        full, pruned = (np.array([mean_of_defined(values[own, None])[0] for own in whose]) for values in (full, pruned))
    there = ~(np.isnan(full) | np.isnan(pruned))
    full, pruned = full[there], pruned[there]
    rows: dict[str, dict[str, float]] = {}
    for name, values in (("full", full), ("pruned", pruned), ("gain", pruned - full)):
        count = len(values)
        mean = float(values.mean()) if count else float("nan")
        sd = float(values.std(ddof=1)) if count > 1 else float("nan")
        half = float(student.ppf(0.975, max(count - 1, 1))) * sd / np.sqrt(max(count, 1))
        rows[name] = {"n": count, "mean": mean, "sd": sd, "lower": mean - half, "upper": mean + half}
    a, b = (fisher_z(np.clip(values, -1 + 1e-12, 1 - 1e-12)) for values in (pruned, full))
    test = paired_t(a, b, "greater")
    rows["gain"] |= {"t": test.t, "df": test.df, "p": test.p, "d": test.d}
    return pandas.DataFrame.from_dict(rows, orient="index")


def kept_features(result: xarray.Dataset, final: xarray.Dataset | None = None) -> pandas.DataFrame:
    """Which features are kept, in how many folds, and how important they are: one row per target and feature.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    final : xarray.Dataset, optional
        From :func:`secateur.final_set`, with the same targets and features: *the* set to use.

    Returns
    -------
    pandas.DataFrame
        Columns ``target``, ``feature``, ``folds_kept``, ``folds``, ``frequency``, ``mean_importance`` (NaN where the
        feature was indispensable in a fold); most often kept first, then most important, NaN before all. With ``final``
        also ``index_from_0`` and ``index_from_1`` (the feature's column in X), ``final`` (whether it is in the set
        chosen on all stimuli), ``rank`` (from 1) and ``importance`` there, ``majority`` (kept in at least half of the
        folds); by rank then, so that the final set comes first.

    Raises
    ------
    ValueError
        Where ``final`` is of other targets or features.

    Examples
    --------
    >>> from secateur import cross_validate
    >>> X = np.random.default_rng(0).normal(size=(30, 40))
    >>> table = kept_features(cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3))
    >>> bool((table.feature[:5] < 8).all())
    True
    """
    import pandas

    targets, features = result.target.values, result.feature.values
    if final is not None and final["kept"].shape != (len(targets), len(features)):
        raise ValueError(
            f"final must be of the result's {len(targets)} targets and {len(features)} features, got "
            f"{final['kept'].shape}"
        )
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
    keys, ascending = ["position", "folds_kept", "mean_importance"], [True, False, False]
    if final is not None:
        index = np.tile(np.arange(len(features)), len(targets))
        own = {"final": "kept", "rank": "rank", "importance": "importance"}
        chosen = {name: final[variable].values.ravel() for name, variable in own.items()}
        more: dict[str, Any] = {
            "index_from_0": index,
            "index_from_1": index + 1,
            **chosen,
            "majority": table["frequency"] >= 0.5,
        }
        for place, (name, values) in enumerate(more.items(), 2):
            table.insert(place, name, values)
        keys, ascending = ["position", "rank"], [True, True]
    table = table.sort_values(keys, ascending=ascending, kind="stable", na_position="first")
    return table.drop(columns="position").reset_index(drop=True)


def dissimilarity(values: Matrix, metric: Metric, subset: SubsetLike | None = None) -> Matrix:
    """Dissimilarities (P,): 1 - similarity of angles, minus the similarity otherwise, which of distances is these."""
    from ..similarity import similarity

    return float(metric_row(metric).angular) - similarity(values, metric, subset=subset)


def to_rsatoolbox(
    X: HostEmbeddingLike, support: SubsetLike | Pruner | None = None, metric: Metric | None = None, *,
    name: str = "pruned",
) -> RDMs:  # fmt: skip
    """The RDM of the kept features as rsatoolbox ``RDMs``.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Its stimulus labels become the pattern descriptor ``conds``.
    support : fitted Pruner, bool mask (d,), indices, or (T, d) masks; optional
        One RDM each; all features by default.
    metric : Metric, optional
        As in :func:`secateur.similarity`: that of the Pruner, or cosine, by default. Dissimilarity is 1 - similarity
        for cosine and correlation, minus the similarity otherwise.
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
    TypeError
        Where X and support are given the other way round, or a result in their place.

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
    if hasattr(X, "data_vars") or hasattr(support, "data_vars"):
        raise TypeError(
            "X must be an embedding and support a fitted Pruner, a mask or indices, got a Dataset: of a result pass "
            "its masks, to_rsatoolbox(X, final.kept.values)"
        )
    if hasattr(X, "get_support") or (np.ndim(cast("Any", X)) == 1 and np.ndim(cast("Any", support)) == 2):
        raise TypeError(
            "X must come before support, got them the other way round: to_rsatoolbox(X, support), where support is a "
            "fitted Pruner, a mask or indices"
        )
    features = read_features(X)
    if hasattr(support, "get_support"):
        fitted: Any = support
        metric, support = metric or fitted.metric, fitted.get_support()
    metric = metric or "cosine"
    masks = np.asarray(support) if support is not None else None
    supports = [support] if masks is None or masks.ndim < 2 else list(masks)
    rows = np.stack([dissimilarity(features.values, metric, s) for s in supports])
    labels = list(features.stimuli) if features.stimuli else [str(i) for i in range(features.n)]
    make: Any = RDMs
    made: RDMs = make(
        rows,
        dissimilarity_measure=metric,
        descriptors={"name": name},
        pattern_descriptors={"conds": labels},
        rdm_descriptors={"support": list(range(len(rows)))},
    )
    return made
