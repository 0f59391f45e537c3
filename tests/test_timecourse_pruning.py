"""Pruning along time courses against cross_validate; a planted course is found where it was planted."""

from __future__ import annotations

import numpy as np
import pytest
import xarray

import secateur as sc
from secateur import timecourse

SCORES = ("full_train", "full_test", "pruned_train", "pruned_test", "n_kept", "undefined_pairs")
TIMES = np.round(0.05 * np.arange(7), 2)
PATTERNS, TRUTH = timecourse.simulate(18, subjects=2, sensors=20, times=TIMES, window=(0.05, 0.25), seed=1)
MOVIES = {f"s{s}": timecourse.rdm_movie(PATTERNS.sel(subject=s), threads=1) for s in (0, 1)}
X = xarray.DataArray(TRUTH.X, dims=("stimulus", "feature"), coords={"stimulus": PATTERNS["stimulus"].values})


def stacked(movies=MOVIES):
    whole = xarray.concat([movie.expand_dims(subject=[name]) for name, movie in movies.items()], "subject")
    return whole.transpose("subject", "time", "pair")


# Values


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
@pytest.mark.parametrize("missing", [False, True])
def test_equals_cross_validate(comparator, missing):
    movies = {name: movie.copy() for name, movie in MOVIES.items()}
    if missing:
        movies["s0"][:, [3, 40]] = np.nan
        movies["s1"][2:4, 7:30] = np.nan
    pruner = sc.Pruner(metric="correlation", comparator=comparator)
    course = timecourse.prune(X, movies, pruner, cv=3, repeats=2, seed=4, chunk=3)
    for name, movie in movies.items():
        one = sc.cross_validate(X, movie, pruner, cv=3, repeats=2, seed=4)
        for score in SCORES:
            np.testing.assert_array_equal(course[score].sel(subject=name), one[score], err_msg=score)
        np.testing.assert_array_equal(
            course.selection.sel(subject=name), one.kept.values.mean(axis=1).astype(np.float32)
        )
        alone = sc.cross_validate(X, movie[5], pruner, cv=3, repeats=2, seed=4)
        for score in SCORES:
            np.testing.assert_array_equal(course[score].sel(subject=name)[5], alone[score][0], err_msg=score)
    np.testing.assert_array_equal(course.test, one.test)
    np.testing.assert_array_equal(course.repeat, one.repeat)
    assert {name: course.attrs[name] for name in one.attrs} == one.attrs
