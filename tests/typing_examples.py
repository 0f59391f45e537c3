"""What users write, and what a type checker is to refuse: read by mypy, never run.

A line that is refused has ``type: ignore``; where it is not refused any more, mypy says that the comment is unused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from numpy.random import default_rng

import secateur as sc

if TYPE_CHECKING:
    from typing_extensions import assert_type

    from secateur.features import CudaArray
    from secateur.measures import Metric

Floats = npt.NDArray[np.float64]
X: Floats = default_rng(0).normal(size=(20, 6))
singles = X.astype(np.float32)
lists = [[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]
frame = pd.DataFrame(X)
labelled = xr.DataArray(X, dims=("stimulus", "feature"))
target: Floats = X @ X.T
mask = np.ones(6, dtype=bool)
names = [f"stimulus {i}" for i in range(20)]


# An embedding, features, a target ----------------------------------------------------------------------------------


def embeddings(on_device: CudaArray) -> None:
    for embedding in (X, singles, frame, labelled, lists, tuple(lists), np.ma.masked_invalid(X)):
        sc.similarity(embedding)
    assert_type(sc.similarity(X), Floats)
    sc.leave_one_out(on_device, on_device, kind="similarity", device="cuda")
    sc.similarity(on_device)  # type: ignore[arg-type]
    sc.similarity(None)  # type: ignore[arg-type]
    sc.similarity({"a": [1.0]})  # type: ignore[arg-type]


def subsets() -> None:
    for subset in (None, mask, [0, 2, 3], np.arange(3), [True] * 6, pd.Series(mask), range(3)):
        sc.similarity(X, subset=subset)
    sc.similarity(X, subset={1, 2})  # type: ignore[arg-type]


def targets() -> None:
    one: float = sc.alignment(lists, [0.1, 0.2, 0.3], kind="dissimilarity")
    assert_type(sc.alignment(X, target), float | Floats)
    for given in (target, pd.DataFrame(target, names, names), xr.DataArray(target), np.stack([target, target])):
        sc.alignment(X, given, "cosine", "tau-a", weights=np.ones(190))
    sc.Pruner().fit(frame, target, weights=target, groups=names).transform(frame)
    sc.alignment(X, None)  # type: ignore[call-overload]
    round(one, 3)


# Names -------------------------------------------------------------------------------------------------------------


def measures(metric: Metric, any_text: str) -> None:
    sc.Pruner(metric, "kendall", "similarity", "forward", "cpu", precision="double")
    sc.similarity(X, "cityblock")
    sc.similarity(X, metric)
    sc.similarity(X, "manhattan")  # type: ignore[arg-type]
    sc.similarity(X, any_text)  # type: ignore[arg-type]
    sc.alignment(X, target, "cosine", "tau")  # type: ignore[call-overload]
    sc.alignment(X, target, kind="distance")  # type: ignore[call-overload]
    sc.leave_one_out(X, target, device="gpu")  # type: ignore[arg-type]
    sc.leave_one_out(X, target, precision="half")  # type: ignore[arg-type]
    sc.Pruner(search="best")  # type: ignore[arg-type]
    sc.search.find(X, target, "floating-backward", max_features=3)
    sc.timecourse.rdm_movie(X[:, :, None], "crossnobis")
    sc.timecourse.rdm_movie(X[:, :, None], "cosine")  # type: ignore[arg-type]


# Folds -------------------------------------------------------------------------------------------------------------


class Halves:
    """A splitter as scikit-learn's are."""

    def split(self, X: object, y: object = None, groups: object = None) -> zip[tuple[Floats, Floats]]:
        return zip([np.arange(10.0)], [np.arange(10.0)], strict=True)


def folds() -> None:
    from sklearn.model_selection import GroupKFold

    halves = [(np.arange(10), np.arange(10, 20)), (np.arange(10, 20), np.arange(10))]
    masks = [(np.arange(20) < 10, np.arange(20) >= 10)]
    for cv in (5, np.int64(3), GroupKFold(4), Halves(), halves, masks, [([0, 1, 2], [3, 4, 5])], iter(halves)):
        sc.cross_validate(X, target, cv=cv, groups=names)
    sc.cross_validate(X, target, cv="leave-one-out")  # type: ignore[arg-type]
    sc.cross_validate(X, target, cv=0.2)  # type: ignore[arg-type]
    sc.permutation_test(X, target, n=100, groups=np.arange(20) // 4)


class Mean:
    """A method of one's own."""

    def fit(self, X: Floats, y: Floats) -> Mean:
        return self

    def predict(self, X: Floats) -> Floats:
        return sc.similarity(X)


def methods() -> None:
    sc.compare(X, target, ["full", "ridge"])
    sc.compare(X, target, {"pruned": sc.Pruner(), "mean": Mean(), "ridge": sc.reweighting.Ridge()})
    sc.compare(X, target, {"none": 3})  # type: ignore[dict-item]


# Time, regions, images ---------------------------------------------------------------------------------------------


def movies(one: xr.DataArray, several: Sequence[Floats]) -> None:
    for given in (one, several, [one, one], {"01": one, "02": one}, np.ones((5, 190))):
        sc.timecourse.prune(X, given, cv=3, times=[0.1, 0.2], subjects=["01", "02"])
    sc.timecourse.prune(X, one, client="localhost")  # type: ignore[arg-type]
    sc.timecourse.rdm_movie(one, windows=["150-300ms"], picks="mag", smoothing="20ms")
    sc.timecourse.rdm_movie(one, windows=[(0.1, 0.2)])
    sc.timecourse.rdm_movie(one, windows=0.1)  # type: ignore[arg-type]


def regions(first: xr.DataArray) -> None:
    sc.regions.four_tests((X, X), [{"V1": target}, {"V1": target}])
    sc.regions.four_tests({"fc": (X, X)}, {"1": first, "2": first}, (target, target))
    sc.regions.four_tests((X, X), None)  # type: ignore[arg-type]


def images(net: sc.networks.Network) -> None:
    for given in ("photographs", ["a.png", "b.png"], np.zeros((3, 8, 8, 3), np.uint8)):
        sc.networks.embed(net, given)
    sc.networks.embed(net, 3)  # type: ignore[arg-type]
    sc.networks.embed("vgg16", "photographs")  # type: ignore[arg-type]
