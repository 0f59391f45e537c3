"""Tables of the four tests, in the layout of the paper's, and paired t-tests."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas
import xarray

from ..features import Matrix
from ..statistics import benjamini_hochberg, fisher_z, mean_of_defined, paired_t

__all__ = ["ALL", "check_selection", "nodes", "paired_tests", "scores"]
ALL = "all regions"


def check_selection(result: xarray.Dataset, test: str | None = None, layer: str | None = None) -> None:
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
    >>> from secateur.regions import four_tests
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> result = four_tests(X, [{"A": x[:, :5] @ x[:, :5].T} for x in X])
    >>> scores(result, "across").index.tolist()
    ['Set 1', 'Set 1 pruned', 'Set 2', 'Set 2 pruned']
    """
    layer = str(result["layer"].values[0]) if layer is None else layer
    check_selection(result, test, layer)
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
    >>> from secateur.regions import four_tests
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> nodes(four_tests(X, [{"A": x[:, :5] @ x[:, :5].T} for x in X]))["A"].tolist()
    [5.0, 5.0]
    """
    layer = str(result["layer"].values[-1]) if layer is None else layer
    check_selection(result, test, layer)
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
        paper (8 regions × 2 sets: t(15)). ``"subjects"``: every subject, z averaged over sets; a row per region, and
        one of their mean where there are several.

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
    >>> from secateur.regions import four_tests
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> result = four_tests(X, [{"A": x[:, :5] @ x[:, :5].T, "B": x[:, 5:10] @ x[:, 5:10].T} for x in X])
    >>> paired_tests(result).set_index("test").loc["within", ["improved", "n"]].tolist()
    [4, 4]
    """
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
