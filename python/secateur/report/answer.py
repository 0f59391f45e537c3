"""The answer as files: the final set, its values and dissimilarities, and the folds that say how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas
import xarray

from ..features import Features, Matrix
from ..measures import metric_row
from ..validation import dissimilarity, kept_features
from .formats import write_netcdf, write_table

if TYPE_CHECKING:
    from ..measures import Metric

__all__ = ["MOST_CELLS", "MOST_SETS", "curve_table", "dissimilarities", "folds_table", "stimulus_table", "write_answer"]

MOST_CELLS = 4_000_000  # of a table: some 80 MB
MOST_SETS = 100  # that are written out, stimulus by stimulus


def folds_table(result: xarray.Dataset) -> pandas.DataFrame:
    """Scores, features kept and stimuli, one row per target and fold."""
    shape = result["full_test"].shape
    test = result["test"].values.sum(axis=1)
    train = result["test"].shape[1] - test if "over" not in result.attrs or result.attrs["over"] == "both" else test
    columns: dict[str, Any] = {
        "target": np.repeat(result["target"].values, shape[1]),
        "fold": np.tile(result["fold"].values, shape[0]),
        "repeat": np.tile(result["repeat"].values, shape[0]),
        "n_train": np.tile(train, shape[0]),
        "n_test": np.tile(test, shape[0]),
    }
    for name in ("full_train", "full_test", "pruned_train", "pruned_test"):
        columns[name] = result[name].values.ravel()
    columns["gain"] = columns["pruned_test"] - columns["full_test"]
    bounds = [name for name in ("ceiling_lower", "ceiling_upper") if name in result]
    columns |= {name: result[name].values.ravel() for name in ("n_kept", "undefined_pairs", *bounds)}
    return pandas.DataFrame(columns)


def curve_table(result: xarray.Dataset, final: xarray.Dataset) -> pandas.DataFrame:
    """Training alignment against the number of features: of the folds, mean and SD, and of the fit on all stimuli."""
    targets, steps = final["target"].values, final["step"].values
    columns: dict[str, Any] = {
        "target": np.repeat(targets, len(steps)),
        "n_features": np.tile(steps, len(targets)),
        "all_stimuli": final["curve"].values.ravel(),
    }
    if "curve" in result:
        curve = result["curve"]
        columns |= {"fold_mean": curve.mean("fold").values.ravel()}
        if curve.sizes["fold"] > 1:
            columns |= {"fold_sd": curve.std("fold", ddof=1).values.ravel()}
    return pandas.DataFrame(columns)


def stimulus_table(result: xarray.Dataset, groups: Any = None) -> pandas.DataFrame:
    """In which fold each stimulus is held out, round by round."""
    names = result["stimulus"].values
    columns: dict[str, Any] = {"stimulus": names, "index_from_0": np.arange(len(names))}
    if groups is not None:
        columns["group"] = np.asarray(groups).ravel()
    test, repeat = result["test"].values, result["repeat"].values
    for r in np.unique(repeat):
        folds = np.flatnonzero(repeat == r)
        held_out = pandas.array([pandas.NA] * len(names), dtype="Int64")
        for f in folds:
            held_out[test[f]] = int(f)
        columns[f"fold_of_repeat_{r}"] = held_out
    return pandas.DataFrame(columns)


def dissimilarities(values: Matrix, kept: Any, metric: Metric) -> Matrix:
    """The RDM (n, n) of some features: 1 - similarity of angles, minus the similarity otherwise (distances)."""
    n, row = len(values), metric_row(metric)
    rdm = np.zeros((n, n))
    rdm[np.triu_indices(n, 1)] = dissimilarity(values, metric, np.flatnonzero(kept))
    rdm += rdm.T
    if not (row.is_distance or row.angular):
        np.fill_diagonal(rdm, -(values[:, kept] ** 2).sum(axis=1))
    return rdm


def write_answer(
    draft: Path, features: Features, result: xarray.Dataset, final: xarray.Dataset, groups: Any = None
) -> None:
    """Write the tables of the final set and of the folds into a folder."""
    write_table(draft / "kept_features.csv", kept_features(result, final))
    write_table(draft / "folds.csv", folds_table(result))
    write_table(draft / "test_folds.csv", stimulus_table(result, groups))
    write_table(draft / "curve.csv", curve_table(result, final))
    write_netcdf(draft / "final_set.nc", final)
    kept = final["kept"].values
    metric = cast("Metric", str(final.attrs["metric"]))
    if (kept == kept[0]).all():
        _write_set(draft, "", features, kept[0], metric)
        return
    for t, own in enumerate(kept[:MOST_SETS]):
        _write_set(draft, f"_{t + 1:0{len(str(len(kept[:MOST_SETS])))}d}", features, own, metric)


def _write_set(draft: Path, number: str, features: Features, kept: Any, metric: Metric) -> None:
    """Values and dissimilarities of one set; tables that no program would open are written as arrays alone."""
    values = np.asarray(features.values)
    stimuli = pandas.Index(features.stimuli or range(features.n), name="stimulus")
    names = features.names or tuple(map(str, range(features.d)))
    chosen = values[:, kept]
    np.save(draft / f"features_pruned{number}.npy", chosen)
    if chosen.size <= MOST_CELLS:
        table = pandas.DataFrame(chosen, stimuli, [names[k] for k in np.flatnonzero(kept)])
        write_table(draft / f"features_pruned{number}.csv", table, index=True)
    rdm = dissimilarities(np.asarray(values, dtype=np.float64), kept, metric)
    if rdm.size <= MOST_CELLS:
        write_table(draft / f"rdm_pruned{number}.csv", pandas.DataFrame(rdm, stimuli, list(stimuli)), index=True)
    else:
        np.save(draft / f"rdm_pruned{number}.npy", rdm)
