"""Tables of a results folder as DataFrames."""

from __future__ import annotations

from typing import Any

import pandas
import xarray

from ..statistics import holm
from ..timecourse.group import by_subject, mean_sem
from ..validation import summary

__all__ = ["course_features", "course_table", "tabled"]


def course_table(
    course: xarray.Dataset,
    test: xarray.Dataset | None = None,
    ceiling: xarray.Dataset | None = None,
    permutations: xarray.Dataset | None = None,
) -> pandas.DataFrame:
    """One row a time: the group test, or the one subject's means over folds, with the noise ceiling beside it.

    Columns of times end in their unit: ``time_s``.
    """
    time = course["time"]
    unit = _time_unit(course)
    columns: dict[str, Any] = {f"time_{unit}": time.values}
    windows = [name for name in ("window_start", "window_stop") if name in course.coords]
    columns |= {f"{name}_{unit}": course[name].values for name in windows}
    if test is None:
        full, pruned, kept = (mean_sem(values)[0] for values in by_subject(course))
        columns |= {"full": full, "pruned": pruned, "gain": pruned - full, "n_kept": kept}
    else:
        columns |= {str(name): values.values for name, values in test.data_vars.items()}
    if ceiling is not None:
        columns |= {f"ceiling_{name}": ceiling[name].values for name in ("lower", "upper")}
    if permutations is not None:
        own = [str(name) for name, values in permutations.data_vars.items() if values.dims == ("time",)]
        columns |= {f"permutation_{name}": permutations[name].values for name in own}
    return pandas.DataFrame(columns)


def _time_unit(course: xarray.Dataset) -> str:
    """What columns of times end in: s, or what the movies say."""
    unit = str(course["time"].attrs.get("units", "s"))
    return "s" if unit in ("sec", "second", "seconds") else unit


def course_features(course: xarray.Dataset) -> pandas.DataFrame:
    """How often each feature is kept over folds, subjects and times, and at what time most; most often kept first."""
    share = course["selection"].transpose("subject", "time", "feature").mean("subject").values.astype(float)
    best = share.argmax(axis=0)
    table = pandas.DataFrame(
        {
            "feature": course["feature"].values,
            "mean_share": share.mean(axis=0),
            f"most_at_{_time_unit(course)}": course["time"].values[best],
            "share_then": share.max(axis=0),
        }
    )
    return table.sort_values("mean_share", ascending=False, kind="stable").reset_index(drop=True)


def tabled(
    result: xarray.Dataset, permutations: xarray.Dataset | None = None, intervals: xarray.Dataset | None = None
) -> pandas.DataFrame:
    """:func:`secateur.summary` with the permutation p-values and bootstrap intervals beside it."""
    table = summary(result)
    if permutations is not None:
        for name in ("p_pruned_test", "p_gain"):
            table[name.replace("p_", "p_permutation_", 1)] = permutations[name].values
        if result.attrs.get("targets") == "regions":
            table["p_permutation_gain_holm"] = holm(permutations["p_gain"].values)
        table["permutations"] = permutations.sizes["permutation"]
    if intervals is not None:
        for name in ("full_test", "pruned_test", "gain"):
            for b, end in enumerate(("lower", "upper")):
                table[f"{name}_{end}"] = intervals[f"interval_{name}"].values[:, b]
    return table
