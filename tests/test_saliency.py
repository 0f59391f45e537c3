"""Heatmaps against saliency: precision, recall and relative risk by scikit-learn and counting; maps from files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.ndimage
from sklearn.metrics import precision_score, recall_score

from secateur import heatmaps, saliency

RNG = np.random.default_rng(3)


def make_heat(count=3, size=(24, 20), **how):
    return heatmaps.of_maps(RNG.random((count, 4, 6, 5)), RNG.random((count, 4)), size, **how)


def smooth(shape):
    return scipy.ndimage.gaussian_filter(RNG.random(shape), (0, 2, 2))


# The comparisons


def test_precision_and_recall_are_scikit_learns():
    heat = make_heat()
    salient = smooth(heat.shape)
    curves = saliency.precision_recall(heat, salient)
    assert curves.sizes == {"image": 3, "heat_percentile": 4, "saliency_percentile": 50}
    assert curves["saliency_percentile"].values.tolist() == list(range(1, 100, 2))
    for i in range(3):
        for cut in (60, 90):
            truth = (heat.values[i] > np.percentile(heat.values[i].astype(float), cut)).ravel()
            for level in (1, 51, 99):
                predicted = (salient[i] > np.percentile(salient[i], level)).ravel()
                point = curves.isel(image=i).sel(heat_percentile=cut, saliency_percentile=level)
                assert float(point["precision"]) == pytest.approx(precision_score(truth, predicted), abs=1e-12)
                assert float(point["recall"]) == pytest.approx(recall_score(truth, predicted), abs=1e-12)


def test_relative_risk_by_counting():
    heat = make_heat()
    salient = smooth(heat.shape)
    risk = saliency.relative_risk(heat, salient)
    for i in range(3):
        for share in (5, 10, 15):
            relevant = heat.values[i] > np.percentile(heat.values[i].astype(float), 100 - share)
            seen = salient[i] > np.percentile(salient[i], 100 - share)
            inside = [r for r, s in zip(relevant.flat, seen.flat, strict=True) if s]
            outside = [r for r, s in zip(relevant.flat, seen.flat, strict=True) if not s]
            found = risk.isel(image=i).sel(top=share)
            assert float(found["given_salient"]) == pytest.approx(np.mean(inside))
            assert float(found["given_not"]) == pytest.approx(np.mean(outside))
            assert float(found["relative_risk"]) == pytest.approx(np.mean(inside) / np.mean(outside))


def test_chance_and_identity():
    heat = make_heat(count=40, size=(60, 60))
    risk = saliency.table(saliency.relative_risk(heat, RNG.random(heat.shape)))
    assert np.allclose(risk["mean"], 1.0, atol=0.1)
    same = saliency.table(saliency.relative_risk(heat, heat.values))
    assert same["infinite"].tolist() == [40] * 3
    assert np.isnan(same["mean"]).all()
    assert np.isinf(same["median"]).all()


def test_ties_and_flat_maps():
    plateau = np.repeat([0.0, 1.0], [70, 30])
    assert saliency.top_of(plateau, 60).sum() == 30
    assert saliency.top_of(plateau, 90).sum() == 30  # the percentile is the plateau itself
    mostly = np.repeat([0.0, 1.0], [95, 5])
    assert saliency.top_of(mostly, 60).sum() == 5
    assert saliency.top_of(np.ones(100), 60).sum() == 0
    heat = heatmaps.of_maps(RNG.random((3, 2, 4, 4)), [[1.0, 0.0], [-1.0, -1.0], [1.0, 1.0]], (8, 8))
    salient = RNG.random((3, 8, 8))
    salient[2] = 0.5
    curves, risk = saliency.precision_recall(heat, salient), saliency.relative_risk(heat, salient)
    assert curves.attrs["left_out"] == 2
    assert np.isnan(curves["recall"].values).all(axis=(1, 2)).tolist() == [False, True, True]
    assert np.isnan(risk["relative_risk"].values).all(axis=1).tolist() == [False, True, True]
    assert saliency.table(risk)["undefined"].tolist() == [2] * 3


def test_the_table_is_mean_and_sd_of_the_finite():
    heat = make_heat(count=6)
    risk = saliency.relative_risk(heat, smooth(heat.shape), top=[10])
    risk["relative_risk"][0, 0] = np.inf
    rows = saliency.table(risk, list("aabbbb")).set_index("group")
    values = risk["relative_risk"].values[:, 0]
    assert rows.loc["a", "mean"] == pytest.approx(values[1])
    assert np.isnan(rows.loc["a", "sd"])
    assert rows.loc["b", "sd"] == pytest.approx(values[2:].std(ddof=1))
    assert rows.loc["all", ["images", "infinite", "undefined"]].tolist() == [6, 1, 0]
    assert rows.loc["all", "above_one"] == pytest.approx(np.mean(values > 1))


def test_refusals():
    heat = make_heat()
    with pytest.raises(ValueError, match=r"salient must have the heatmaps' shape \(3, 24, 20\), got \(3, 5, 5\)"):
        saliency.precision_recall(heat, np.ones((3, 5, 5)))
    with pytest.raises(ValueError, match="salient must be finite, got nan"):
        saliency.relative_risk(heat, np.full(heat.shape, np.nan))
    with pytest.raises(ValueError, match="top must hold percents above 0 and below 100, got 0"):
        saliency.relative_risk(heat, smooth(heat.shape), top=[0])
    with pytest.raises(ValueError, match="heat_percentiles must lie between 0 and 100, got 101"):
        saliency.precision_recall(heat, smooth(heat.shape), heat_percentiles=[101])
    with pytest.raises(ValueError, match="salient must name the heatmaps' images"):
        saliency.relative_risk(heat, heat.assign_coords(image=["b", "1", "2"]))
    with pytest.raises(ValueError, match="groups must have one entry for each of 3 images, got 2"):
        saliency.table(saliency.relative_risk(heat, smooth(heat.shape)), ["a", "b"])


# Maps from files


def cropped_heat(names=("cats/one.jpg", "two.png")):
    """Views of the middle 40 × 40 of images of 60 × 40, at 20 × 20."""
    original = [(60, 40)] * len(names)
    return make_heat(len(names), (20, 20), names=names, crop=[(10, 0, 50, 40)] * len(names), original=original)


def test_maps_are_cropped_as_the_network_saw(tmp_path):
    from PIL import Image

    ramp = np.tile(np.arange(60.0), (40, 1))  # a pixel's value is its column in the original
    wanted = np.tile(10 + np.arange(20) * 2 + 0.5, (20, 1))
    (tmp_path / "cats").mkdir()
    np.save(tmp_path / "cats" / "one.npy", ramp)
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "two.png")
    heat = cropped_heat()
    salient = saliency.read(tmp_path, heat)
    assert salient["image"].values.tolist() == ["cats/one.jpg", "two.png"]
    for one in salient.values:
        np.testing.assert_allclose(one, wanted, atol=1e-9)
    np.save(tmp_path / "all.npy", np.stack([ramp, ramp]))
    np.testing.assert_allclose(saliency.read(tmp_path / "all.npy", heat).values, salient.values, atol=1e-9)
    half = ramp[::2, ::2] + 0.5  # maps may be smaller than their images
    np.testing.assert_allclose(saliency.read([half, half], heat).values[:, :, 1:-1], salient.values[:, :, 1:-1])


def test_refuses_files(tmp_path):
    from PIL import Image

    heat = cropped_heat()
    with pytest.raises(FileNotFoundError, match=r"got no file for 'cats/one\.jpg'"):
        saliency.read(tmp_path, heat)
    with pytest.raises(FileNotFoundError, match=r"source must be a folder or a \.npy file"):
        saliency.read(tmp_path / "none", heat)
    coloured = np.zeros((40, 60, 3), np.uint8)
    coloured[..., 0] = 200
    Image.fromarray(coloured).save(tmp_path / "one.png")
    with pytest.raises(ValueError, match="source must hold grey maps, got colours"):
        saliency.read(tmp_path, heat)
    with pytest.raises(ValueError, match="source must hold a map for each of 2 images, got 1"):
        saliency.read(np.ones((1, 40, 60)), heat)
    with pytest.raises(ValueError, match="source must hold maps of the images' own shape, got 40 × 60"):
        saliency.read(np.ones((2, 60, 40)), heat)
    with pytest.raises(ValueError, match="source must hold finite maps, got nan"):
        saliency.read(np.full((2, 40, 60), np.nan), heat)
    with pytest.raises(TypeError, match="heat must be a DataArray"):
        saliency.read(np.ones((2, 40, 60)), np.ones((2, 20, 20)))


# Spectral residual


def test_the_odd_one_out_is_salient():
    pytest.importorskip("cv2")
    stripes = np.tile(np.array([[60, 180] * 56], np.uint8), (112, 1))
    pixels = np.repeat(stripes[None, :, :, None], 3, axis=3)
    pixels[0, 20:34, 70:84] = (230, 40, 40)
    salient = saliency.spectral_residual(heatmaps.as_pictures(pixels, names=["a"]))
    assert salient.dims == ("image", "y", "x")
    y, x = np.unravel_index(salient.values[0].argmax(), salient.shape[1:])
    assert 15 <= y <= 39
    assert 65 <= x <= 89


def test_without_opencv_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"pip install 'secateur\[saliency\]'"):
        saliency.spectral_residual(heatmaps.as_pictures(np.zeros((1, 8, 8, 3), np.uint8)))
    with pytest.raises(ValueError, match="pictures must be the uint8 DataArray"):
        saliency.spectral_residual(np.zeros((1, 8, 8, 3)))
