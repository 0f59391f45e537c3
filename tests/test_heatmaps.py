"""Heatmaps: weighted maps against slow definitions, geometry against torch, agreement of two networks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
import xarray

from secateur import feature_maps, heatmaps, networks
from secateur.networks.heatmaps import EDGES, crops, onto

RNG = np.random.default_rng(7)


def slow_heatmap(maps, importance):
    """The paper's words, one image and one map at a time."""
    heat = np.zeros((maps.shape[0], *maps.shape[2:]))
    for i in range(maps.shape[0]):
        scores = [max(score, 0.0) for score in importance[i]]
        for k, score in enumerate(scores):
            heat[i] += score / sum(scores) * maps[i, k]
    return heat


def with_crop(heat, crop, original):
    named = dict(zip((*EDGES, "width", "height"), (*crop, *original), strict=True))
    return heat.assign_coords({name: ("image", np.full(heat.sizes["image"], float(v))) for name, v in named.items()})


# Maps and weights


def test_equals_the_slow_definition_and_torch():
    maps, importance = RNG.random((5, 7, 6, 4)), RNG.normal(size=(5, 7))
    heat = heatmaps.of_maps(maps, importance, (33, 20), names=list("abcde"))
    small = torch.from_numpy(slow_heatmap(maps, importance))[:, None]
    large = torch.nn.functional.interpolate(small, size=(33, 20), mode="bilinear", align_corners=False)[:, 0]
    np.testing.assert_allclose(heat.values, large.numpy(), rtol=1e-6)
    assert heat.dims == ("image", "y", "x")
    assert heat["image"].values.tolist() == list("abcde")
    assert heat.attrs["upsampling"] == "bilinear"
    np.testing.assert_array_equal(crops(heat), [[0, 0, 20, 33]] * 5)
    assert not heat["empty"].values.any()


def test_scale_of_the_importances_does_not_matter():
    maps, importance = RNG.random((3, 4, 5, 5)), RNG.normal(size=(3, 4))
    heat = heatmaps.of_maps(maps, importance, (10, 10))
    for factor in (1e-300, 1e300, 3.0):
        np.testing.assert_allclose(heatmaps.of_maps(maps, importance * factor, (10, 10)).values, heat.values, rtol=1e-6)


def test_an_image_without_a_positive_importance_is_empty_and_says_so():
    importance = np.array([[-1.0, 0.0, -0.5], [-1.0, 0.2, np.nan], [np.nan] * 3])
    heat = heatmaps.of_maps(np.ones((3, 3, 2, 2)), importance, (4, 4))
    assert heat["empty"].values.tolist() == [True, False, True]
    assert heat["undefined_maps"].values.tolist() == [0, 1, 3]
    assert not heat.values[0].any()
    np.testing.assert_allclose(heat.values[1], 1.0)


def test_one_importance_for_all_images_and_a_dataset():
    maps, importance = RNG.random((3, 4, 5, 5)), RNG.random(4)
    heat = heatmaps.of_maps(maps, importance, (9, 9))
    rows = xarray.Dataset({"importance": (("image", "map"), np.tile(importance, (3, 1)))})
    np.testing.assert_array_equal(heatmaps.of_maps(maps, rows, (9, 9)).values, heat.values)
    rows["image_importance"] = rows["importance"][::-1, ::-1]  # goes before that of the set
    wanted = heatmaps.of_maps(maps, rows["image_importance"].values, (9, 9))
    np.testing.assert_array_equal(heatmaps.of_maps(maps, rows, (9, 9)).values, wanted.values)


@pytest.mark.parametrize(
    ("importance", "words"),
    [
        (np.ones((3, 4)), r"importance must have shape \(2, 4\), images × maps, or \(4,\), got \(3, 4\)"),
        (np.ones(5), r"got \(5,\)"),
        (np.full((2, 4), np.inf), "importance must not be infinite, got inf at image 0, map 0"),
    ],
)
def test_refuses_importances(importance, words):
    with pytest.raises(ValueError, match=words):
        heatmaps.of_maps(np.ones((2, 4, 3, 3)), importance, (6, 6))


def test_refuses_maps():
    with pytest.raises(ValueError, match="maps must have shape"):
        heatmaps.of_maps(np.ones((2, 4, 3)), np.ones(4), (6, 6))
    with pytest.raises(ValueError, match="maps must be finite, got nan"):
        heatmaps.of_maps(np.full((2, 4, 3, 3), np.nan), np.ones(4), (6, 6))


def test_netcdf_keeps_heatmaps(tmp_path):
    heat = heatmaps.of_maps(RNG.random((2, 3, 4, 4)), RNG.normal(size=(2, 3)), (8, 8), names=["a", "b"])
    heat.to_netcdf(tmp_path / "heat.nc", engine="h5netcdf")
    with xarray.open_dataarray(tmp_path / "heat.nc", engine="h5netcdf") as read:
        xarray.testing.assert_equal(read.load(), heat)


# Geometry


@pytest.mark.parametrize("size", [(30, 41), (12, 9), (5, 3), (12, 40)])
def test_resizing_is_torchs(size):
    maps = RNG.random((2, 12, 9))
    found = onto(maps, (0, 0, 9, 12), size)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[None], size=size, mode="bilinear", align_corners=False, antialias=True
    )[0]
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-12)


def test_a_crop_is_what_slicing_gives():
    maps = RNG.random((20, 30))
    np.testing.assert_allclose(onto(maps, (4, 2, 24, 18), (16, 20)), maps[2:18, 4:24], atol=1e-12)


# Agreement


def test_match_is_pearson_over_pixels():
    a, b = (heatmaps.of_maps(RNG.random((4, 3, 5, 5)), RNG.random((4, 3)), (10, 10)) for _ in range(2))
    entropies = RNG.random((2, 4))
    result = heatmaps.agreement(a, b, entropies)
    wanted = [scipy.stats.pearsonr(a.values[i].ravel(), b.values[i].ravel()).statistic for i in range(4)]
    np.testing.assert_allclose(result["match"].values, wanted, atol=1e-6)
    np.testing.assert_array_equal(result["max_entropy"].values, entropies.max(axis=0))
    slow = scipy.stats.pearsonr(wanted, entropies.max(axis=0))
    assert result.attrs["r"] == pytest.approx(slow.statistic, abs=1e-6)
    assert result.attrs["p"] == pytest.approx(slow.pvalue, abs=1e-6)
    assert result.attrs["median"] == pytest.approx(np.median(wanted), abs=1e-6)


def test_an_empty_heatmap_matches_nothing():
    maps = RNG.random((3, 2, 5, 5))
    a = heatmaps.of_maps(maps, [[1.0, 0.0], [-1.0, -1.0], [0.0, 1.0]], (8, 8))
    result = heatmaps.agreement(a, heatmaps.of_maps(maps, [1.0, 0.0], (8, 8)), [[1.0, 2, 3], [3.0, 2, 1]])
    assert result["match"].values[0] == pytest.approx(1.0)
    assert np.isnan(result["match"].values[1])
    assert result.attrs["images"] == 2
    assert np.isnan(result.attrs["r"])  # two images are left


def test_views_of_other_crops_meet_where_both_saw():
    """One scene, seen whole by one network and its middle, larger, by the other."""
    y, x = np.mgrid[0:64, 0:64] + 0.5
    scene = np.exp(-((x - 24) ** 2 + (y - 40) ** 2) / 200)
    whole = with_crop(heatmaps.of_maps(scene[None, None], [1.0], (64, 64)), (0, 0, 64, 64), (64, 64))
    middle = scene[16:48, 16:48][None, None]
    close = with_crop(heatmaps.of_maps(middle, [1.0], (96, 96)), (16, 16, 48, 48), (64, 64))
    assert heatmaps.agreement(whole, close)["match"].values[0] > 0.999
    mirrored = with_crop(heatmaps.of_maps(middle[..., ::-1], [1.0], (96, 96)), (16, 16, 48, 48), (64, 64))
    assert heatmaps.agreement(whole, mirrored)["match"].values[0] < 0.9


def test_agreement_refuses_others():
    a = heatmaps.of_maps(RNG.random((2, 3, 4, 4)), RNG.random(3), (8, 8), names=["a", "b"])
    with pytest.raises(ValueError, match="second must hold the images of first"):
        heatmaps.agreement(a, a.assign_coords(image=["b", "a"]))
    with pytest.raises(ValueError, match="second must hold the images of first, got image 'a' of 9 × 8"):
        heatmaps.agreement(a, with_crop(a, (0, 0, 8, 8), (9, 8)))
    with pytest.raises(ValueError, match="entropies must be a pair"):
        heatmaps.agreement(a, a, [[1.0, 2.0]])
    with pytest.raises(TypeError, match="first must be a DataArray"):
        heatmaps.agreement(a.values, a)
    apart = with_crop(a, (0, 0, 8, 8), (20, 8)), with_crop(a, (10, 0, 18, 8), (20, 8))
    with pytest.raises(ValueError, match="second must show a part of what first shows"):
        heatmaps.agreement(*apart)


# With a network


class Spots(torch.nn.Module):
    """Map k is channel k of the image, in cells of 8 pixels."""

    def __init__(self):
        super().__init__()
        self.trunk = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.ReLU())
        self.neck = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        self.classifier = torch.nn.Linear(3, 5)

    def forward(self, x):
        return self.classifier(self.neck(self.trunk(x)))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    parts = {"trunk": ["trunk"], "neck": ["neck"], "classifier": ["classifier"]}
    preprocessing = networks.Preprocessing(32, 32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return networks.wrap(Spots(), **parts, preprocessing=preprocessing)


def spotted():
    """Images of 96 × 64: a red spot on the left of the middle, a green one on its right, blue beyond the crop."""
    pixels = np.zeros((3, 64, 96, 3), np.uint8)
    pixels[:, 16:32, 16:32, 0] = 255
    pixels[:, 32:48, 64:80, 1] = 255
    pixels[:, :, :16, 2] = 255
    return pixels


def test_the_heatmap_peaks_where_the_important_map_fires(net):
    importance = [[0.3, -0.5, 0.0], [-0.1, 0.2, 0.0], [-1.0, -1.0, 0.0]]
    heat = heatmaps.heatmap(net, spotted(), importance, batch=2, progress=False)
    assert heat.shape == (3, 32, 32)
    # 96 × 64 becomes 48 × 32, of which the middle 32 × 32 is taken: 16 to 80 across, in the original.
    assert crops(heat).tolist() == [[16, 0, 80, 64]] * 3
    assert heat["width"].values.tolist() == [96] * 3
    for i, (y, x) in enumerate([(slice(8, 16), slice(0, 8)), (slice(16, 24), slice(24, 32))]):
        inside = np.zeros((32, 32), dtype=bool)
        inside[y, x] = True
        assert inside[np.unravel_index(heat.values[i].argmax(), (32, 32))]
        assert heat.values[i][inside].mean() > 5 * heat.values[i][~inside].mean()
    assert heat["empty"].values.tolist() == [False, False, True]
    assert heat.attrs["network"] == "own"


def test_heatmap_is_of_maps(net):
    pixels = RNG.integers(0, 256, (5, 40, 40, 3)).astype(np.uint8)
    importance = RNG.normal(size=(5, 3))
    inputs = torch.stack([net.preprocessing(networks.read_images(pixels)[i]) for i in range(5)])
    wanted = heatmaps.of_maps(net.trunk(inputs).numpy(), importance, (32, 32))
    found = heatmaps.heatmap(net, pixels, importance, batch=3, progress=False)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-6)


def test_pictures_are_what_the_network_saw(net):
    pictures = heatmaps.seen(net, spotted())
    assert pictures.shape == (3, 32, 32, 3)
    assert pictures.dtype == np.uint8
    assert pictures.values[0, 12, 4].tolist() == [255, 0, 0]
    assert pictures.values[0, 20, 28].tolist() == [0, 255, 0]
    assert pictures.values[:, :, 1:, 2].max() == 0  # the blue lies outside
    assert crops(pictures).tolist() == [[16, 0, 80, 64]] * 3


def test_entropy_is_that_of_the_softmax(net):
    pixels = RNG.integers(0, 256, (4, 40, 40, 3)).astype(np.uint8)
    inputs = torch.stack([net.preprocessing(networks.read_images(pixels)[i]) for i in range(4)])
    wanted = scipy.stats.entropy(net.module(inputs).softmax(1).numpy(), axis=1)
    found = heatmaps.entropy(net, pixels, batch=3, progress=False)
    np.testing.assert_allclose(found.values, wanted, rtol=1e-5)
    assert found.attrs["classes"] == 5
    assert heatmaps.entropy(networks.load("squeezenet1_1", None), [pixels[0].repeat(6, 0).repeat(6, 1)]).shape == (1,)


def test_refuses_networks_and_inputs(net):
    headless = networks.wrap(Spots(), trunk=["trunk"], neck=["neck"], preprocessing=net.preprocessing)
    with pytest.raises(ValueError, match="net must have a classifier"):
        heatmaps.entropy(headless, spotted())
    with pytest.raises(ValueError, match=r"importance must have shape \(3, 3\)"):
        heatmaps.heatmap(net, spotted(), np.ones((3, 4)), progress=False)
    with pytest.raises(ValueError, match="batch must be an integer of at least 1, got 0"):
        heatmaps.heatmap(net, spotted(), np.ones(3), batch=0, progress=False)
    uncropped = networks.wrap(Spots(), trunk=["trunk"], neck=["neck"], preprocessing=networks.Preprocessing(None, None))
    others = xarray.DataArray(np.ones((3, 3)), {"stimulus": ["0", "2", "1"]}, ("stimulus", "map"))
    with pytest.raises(ValueError, match="importance must be of these 3 images, in their order, got others"):
        heatmaps.heatmap(net, spotted(), others, progress=False)
    sizes = [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 40, 3), np.uint8)]
    with pytest.raises(ValueError, match="images must come to the network in one size"):
        heatmaps.heatmap(uncropped, sizes, np.ones(3), progress=False)


def test_the_scores_of_each_image_make_its_heatmap(net):
    """From importance to heatmap: each image's own scores, not the set's."""
    pixels = (RNG.random((6, 40, 40, 3)) * RNG.uniform(0.2, 1, (6, 1, 1, 3)) * 255).astype(np.uint8)
    target = np.corrcoef(RNG.normal(size=(6, 4)))
    scores = feature_maps.alignment_importance(net, pixels, target, per_image=True, progress=False)
    found = heatmaps.heatmap(net, pixels, scores, progress=False)
    wanted = heatmaps.heatmap(net, pixels, scores["image_importance"].values, progress=False)
    np.testing.assert_array_equal(found.values, wanted.values)
    of_set = heatmaps.heatmap(net, pixels, scores["importance"].values, progress=False)
    assert np.abs(found.values - of_set.values).max() > 0.01
