"""Occlusion: a planted patch, and the slow definition, one mask and one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr, spearmanr

from secateur import networks, occlusion
from secateur.networks.occlusion import _starts

SIDE = 24
RNG = np.random.default_rng(5)


class Cells(torch.nn.Module):
    """A net whose map k answers to brightness in channel k: pooled over the whole image."""

    def __init__(self):
        super().__init__()
        self.trunk = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.ReLU())
        self.neck = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())

    def forward(self, x):
        return self.neck(self.trunk(x))


@pytest.fixture(scope="module")
def net():
    plain = networks.Preprocessing(None, None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return networks.wrap(Cells(), trunk=["trunk"], neck=["neck"], preprocessing=plain, size=SIDE)


@pytest.fixture(scope="module")
def pixels():
    colours = RNG.uniform(0.1, 1, (7, 1, 1, 3))
    return (RNG.integers(0, 256, (7, SIDE, SIDE, 3)) * colours).astype(np.uint8)


def embedded(pixels):
    cells = pixels.reshape(-1, SIDE // 4, 4, SIDE // 4, 4, 3).mean(axis=(2, 4)) / 255
    return cells.mean(axis=(1, 2))


def slow(pixels, H, i, sizes, stride, level, metric="cosine", comparator=pearsonr, support=(0, 1, 2)):
    """Drop of image i: each mask made, embedded, compared; each pixel averaged by itself."""
    support = list(support)
    others = [j for j in range(len(pixels)) if j != i]
    X = embedded(pixels)[:, support]

    def aligned(image):
        z = embedded(image[None])[:, support]
        return comparator(1 - cdist(z, X[others], metric)[0], H[i, others])[0]

    whole = pixels[i].astype(float)
    baseline = aligned(whole)
    means = []
    for size in sizes:
        fall, count = np.zeros((2, SIDE, SIDE))
        for y in range(0, SIDE - size + 1):
            for x in range(0, SIDE - size + 1):
                if (y % stride == 0 or y == SIDE - size) and (x % stride == 0 or x == SIDE - size):
                    masked = whole.copy()
                    masked[y : y + size, x : x + size] = whole.mean(axis=(0, 1)) if level is None else 255 * level
                    fall[y : y + size, x : x + size] += baseline - aligned(masked)
                    count[y : y + size, x : x + size] += 1
        means.append(fall / count)
    return np.mean(means, axis=0), baseline


@pytest.mark.parametrize(("metric", "comparator", "plain"), [
    ("cosine", "pearson", pearsonr), ("cosine", "spearman", spearmanr), ("correlation", "pearson", pearsonr),
])  # fmt: skip
def test_equals_the_slow_definition(net, pixels, metric, comparator, plain):
    H = np.corrcoef(RNG.normal(size=(7, 4)))
    found = occlusion.occlude(
        net, pixels, H, sizes=(8, 10), stride=5, metric=metric, comparator=comparator, batch=7, progress=False
    )
    assert found["drop"].shape == (7, SIDE, SIDE)
    for i in (0, 6):
        wanted, baseline = slow(pixels, H, i, (8, 10), 5, None, metric, plain)
        # The network is in single precision.
        np.testing.assert_allclose(found["drop"].values[i], wanted, atol=2e-5)
        assert float(found["baseline"][i]) == pytest.approx(baseline, abs=2e-5)
    assert found.attrs["strides"] == [5, 5]
    assert found["left"].values.tolist() == [0] * 7
    assert found["right"].values.tolist() == [SIDE] * 7


@pytest.mark.parametrize(("fill", "level"), [("grey", 0.5), (0.0, 0.0), (1, 1.0)])
def test_fills_and_support(net, pixels, fill, level):
    H = np.corrcoef(RNG.normal(size=(7, 4)))
    found = occlusion.occlude(
        net, pixels, H, sizes=(9,), stride=(6,), fill=fill, support=[0, 2], only=[3], progress=False
    )
    wanted, _ = slow(pixels, H, 3, (9,), 6, level, support=(0, 2))
    np.testing.assert_allclose(found["drop"].values[0], wanted, atol=2e-5)
    assert found["image"].values.tolist() == ["3"]
    assert found.attrs["features"] == 2


def test_a_dissimilarity_is_its_negation(net, pixels):
    H = np.corrcoef(RNG.normal(size=(7, 4)))
    how = {"sizes": (12,), "stride": 6, "only": [1], "progress": False}
    a = occlusion.occlude(net, pixels, H, **how)
    b = occlusion.occlude(net, pixels, 1 - H, kind="dissimilarity", **how)
    np.testing.assert_allclose(a["drop"].values, b["drop"].values, atol=1e-6)


def test_covering_the_planted_patch_hurts_most(net):
    """The others lie along red against green; image 0 is red by one patch alone, and the target knows it as red."""
    pixels = np.zeros((9, SIDE, SIDE, 3), np.uint8)
    pixels[..., 2] = 40
    angle = np.linspace(0.05, np.pi / 2 - 0.05, 8)
    pixels[1:, :, :, 0] = (150 * np.cos(angle))[:, None, None]
    pixels[1:, :, :, 1] = (150 * np.sin(angle))[:, None, None]
    pixels[0, :, :, :2] = 20
    pixels[0, 4:12, 14:22, 0] = 255
    target = embedded(pixels) @ embedded(pixels).T
    target /= np.sqrt(np.outer(np.diag(target), np.diag(target)))
    found = occlusion.occlude(net, pixels, target, sizes=(6, 8), stride=2, fill=0.08, only=[0], progress=False)
    drop = found["drop"].values[0]
    y, x = np.unravel_index(drop.argmax(), drop.shape)
    assert 4 <= y < 12
    assert 14 <= x < 22
    outside = np.ones_like(drop, dtype=bool)
    outside[:20, 6:] = False
    assert np.abs(drop[outside]).max() < 0.1 * drop.max()


def test_pixels_without_a_defined_alignment_are_nan(net):
    """Image 0 is black but for a patch: a black mask over it leaves no direction."""
    pixels = RNG.integers(50, 200, (6, SIDE, SIDE, 3)).astype(np.uint8)
    pixels[0] = 0
    pixels[0, :4, :4] = [200, 100, 50]
    H = np.corrcoef(RNG.normal(size=(6, 4)))
    found = occlusion.occlude(net, pixels, H, sizes=(8,), stride=8, fill=0.0, only=[0], progress=False)
    assert np.isnan(found["drop"].values[0, :8, :8]).all()
    assert not np.isnan(found["drop"].values[0, 8:]).any()
    assert found["undefined_masks"].values.tolist() == [1]


def test_masks_cover_every_pixel():
    for length in range(5, 40):
        for size in range(1, length + 1):
            for stride in range(1, size + 1):
                covered = np.zeros(length, dtype=bool)
                for start in _starts(length, size, stride):
                    assert start + size <= length
                    covered[start : start + size] = True
                assert covered.all()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"sizes": (25,)}, "sizes must fit the network's input of 24 × 24 pixels, got 25"),
        ({"sizes": (0,)}, "each of sizes must be an integer of at least 1, got 0"),
        ({"sizes": (8,), "stride": 9}, "stride must not exceed the mask's size, 8"),
        ({"sizes": (8, 9), "stride": (4,)}, "stride must be one integer or one for each of 2 sizes"),
        ({"sizes": (8,), "fill": 2}, "fill must be 'mean', 'grey' or a level from 0 to 1, got 2"),
        ({"sizes": (8,), "fill": "black"}, "fill must be 'mean', 'grey' or a level from 0 to 1, got 'black'"),
        ({"sizes": (8,), "only": [7]}, "each of only must be an integer from 0 to 6, got 7"),
        ({"sizes": (8,), "only": []}, "only must hold at least one image and each once"),
        ({"sizes": (8,), "comparator": "corr_cov"}, "comparator must be one that a row of the target serves"),
        ({"sizes": (8,), "batch": 0}, "batch must be an integer of at least 1, got 0"),
    ],
)
def test_refusals(net, pixels, how, words):
    with pytest.raises(ValueError, match=words):
        occlusion.occlude(net, pixels, np.eye(7), **({"stride": 4} | how), progress=False)


def test_refuses_several_targets(net, pixels):
    with pytest.raises(ValueError, match="target must be one target, got 2"):
        occlusion.occlude(net, pixels, np.ones((2, 21)), sizes=(8,), stride=4, progress=False, kind="similarity")
