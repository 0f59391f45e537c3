"""A fixed linear map beside pruning and reweighting, from arrays and from files."""

from __future__ import annotations

import numpy as np
import pytest

import reference
import secateur as sc
from secateur.reweighting import LinearTransform

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6))
W = RNG.normal(size=(6, 3))
TARGET = RNG.normal(size=276)


def test_by_hand():
    made = LinearTransform(W, bias=[1.0, 2.0, 3.0], mean=X.mean(0), std=X.std(0), metric="correlation")
    expected = (X - X.mean(0)) / X.std(0) @ W + [1, 2, 3]
    np.testing.assert_allclose(made.transform(X), expected, atol=1e-12)
    np.testing.assert_allclose(
        made.fit(X, TARGET).predict(X), reference.similarity(expected, "correlation"), atol=1e-12
    )
    assert LinearTransform(W * (np.arange(6) < 4)[:, None]).n_features_ == 4


@pytest.mark.parametrize("name", ["weights", "W", "projection", "weight"])
def test_a_file_in_the_same_table(name, tmp_path):
    """The map that makes the target wins on every fold; its scores are those of the mapped features, by hand."""
    target = reference.similarity(X @ W + 1, "cosine")
    np.savez(tmp_path / "map.npz", **{name: W.T if name == "weight" else W}, bias=np.ones(3))
    methods = {"full": "full", "map": str(tmp_path / "map.npz"), "by path": tmp_path / "map.npz", "ridge": "ridge"}
    with pytest.warns(sc.SmallFoldsWarning):
        result = sc.compare(X, target, methods, cv=3, kind="similarity", progress=False, predictions=True)
    scores = result.test_alignment.isel(target=0)
    np.testing.assert_allclose(scores.sel(approach="map"), 1, atol=1e-9)
    np.testing.assert_array_equal(scores.sel(approach="by path"), scores.sel(approach="map"))
    assert (scores.sel(approach="full") < 0.999).all()
    assert (result.nodes.sel(approach="map") == 6).all()
    table = sc.comparison_table(result)
    assert "map" in table.reset_index().to_string()
    pairs = ~np.isnan(result.predicted.sel(approach="map").isel(target=0, fold=0).values)
    np.testing.assert_allclose(result.predicted.sel(approach="map").isel(target=0, fold=0).values[pairs], target[pairs])


def test_refusals(tmp_path):
    np.savez(tmp_path / "two.npz", weights=W, W=W)
    np.savez(tmp_path / "none.npz", other=W)
    np.savez(tmp_path / "pickled.npz", weights=np.array([{}], dtype=object))
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    for file in ("two", "none"):
        with pytest.raises(ValueError, match="path must hold one of weights, W, projection or weight"):
            LinearTransform.load(tmp_path / f"{file}.npz")
    for file in ("pickled", "torn"):
        with pytest.raises((ValueError, TypeError)):
            LinearTransform.load(tmp_path / f"{file}.npz")
    with pytest.raises(FileNotFoundError, match="path must be a file"):
        sc.compare(X, TARGET, {"map": "nowhere.npz"}, kind="similarity")
    with pytest.raises(ValueError, match=r"X must have shape \(n, 6\), as the map has rows, got \(24, 5\)"):
        LinearTransform(W).predict(X[:, :5])
    for ask, words in (
        ({"weights": W[0]}, r"weights must have shape \(features, dimensions\), got \(3,\)"),
        ({"weights": W * np.nan}, "weights must be finite, got nan"),
        ({"weights": W, "bias": np.ones(4)}, r"bias must be finite, one number or 3, got shape \(4,\)"),
        ({"weights": W, "std": 0.0}, "std must be positive, got 0.0"),
        ({"weights": W, "metric": "angle"}, "metric"),
    ):
        with pytest.raises(ValueError, match=words):
            LinearTransform(**ask)
