"""Matrices of regions from single trials: against sums by hand, planted noise, and files of other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import secateur as sc
from secateur.regions import rdm_from_betas

SPACE, N, REPEATS = (4, 5, 3), 6, 4
SHOWN = np.array([f"s{k}" for k in np.random.default_rng(3).permutation(np.repeat(range(N), REPEATS))])
RUNS = np.array([int((SHOWN[:t] == word).sum()) for t, word in enumerate(SHOWN)])  # each stimulus once per run
FIRST, SECOND = np.triu_indices(N, 1)


@pytest.fixture(scope="module")
def betas() -> Any:
    return np.random.default_rng(0).normal(size=(*SPACE, len(SHOWN)))


@pytest.fixture(scope="module")
def masks() -> Any:
    atlas = np.random.default_rng(1).integers(0, 3, size=SPACE)
    return {"V1": atlas == 1, "V4": atlas == 2}


def by_stimulus(values: Any) -> Any:
    """(splits, stimuli, voxels)"""
    return np.array([[values[:, (f"s{k}" == SHOWN) & (r == RUNS)][:, 0] for k in range(N)] for r in range(REPEATS)])


def test_correlations_of_the_means_are_a_target(betas: Any, masks: Any) -> None:
    rdms = rdm_from_betas(betas, masks, SHOWN)
    for name, mask in masks.items():
        means = by_stimulus(betas[mask]).mean(axis=0)
        np.testing.assert_allclose(rdms.sel(region=name), 1 - np.corrcoef(means)[FIRST, SECOND], rtol=1e-10)
    assert rdms.voxels.values.tolist() == [mask.sum() for mask in masks.values()]
    assert rdms.attrs["trials"] == [REPEATS] * N
    X = np.random.default_rng(2).normal(size=(N, 8))
    one = [
        float(sc.alignment(X, 1 - np.corrcoef(by_stimulus(betas[m]).mean(0)), kind="dissimilarity"))
        for m in masks.values()
    ]
    np.testing.assert_allclose(sc.alignment(X, rdms), one, rtol=1e-9)


def test_crossnobis_is_the_product_of_different_runs(betas: Any, masks: Any) -> None:
    rng = np.random.default_rng(5)
    noise = {}
    for name, mask in masks.items():
        root = rng.normal(size=(mask.sum(), mask.sum()))
        noise[name] = root @ root.T + np.eye(mask.sum())
    rdms = rdm_from_betas(betas, masks, SHOWN, "crossnobis", splits=RUNS, noise=noise)
    for name, mask in masks.items():
        runs = by_stimulus(betas[mask])
        gaps = runs[:, FIRST] - runs[:, SECOND]
        pairs = [(a, b) for a in range(REPEATS) for b in range(REPEATS) if a != b]
        want = np.mean([np.einsum("pv,vw,pw->p", gaps[a], noise[name], gaps[b]) for a, b in pairs], axis=0) / mask.sum()
        np.testing.assert_allclose(rdms.sel(region=name), want, rtol=1e-8, atol=1e-10)


def test_noise_alone_has_no_distance_across_splits() -> None:
    """Stimuli that share one pattern, 100 times: crossnobis is 0 on average (4 standard errors), Euclid is not; as
    precision taken from the trials themselves, within splits."""
    rng = np.random.default_rng(6)
    shown, runs = np.tile(np.arange(5), 8), np.repeat(np.arange(4), 10)
    mixing = rng.normal(size=(12, 12)) / 3

    def means(metric: str, **how: Any) -> Any:
        drawn = (rng.normal(size=(12, 1)) + mixing @ rng.normal(size=(12, 40)) for _ in range(100))
        return np.array([float(rdm_from_betas(one, None, shown, metric, threads=1, **how).mean()) for one in drawn])

    plain = means("euclidean").mean()
    for how in ({"splits": runs, "noise": {"all": np.eye(12)}}, {"splits": runs, "noise": "residuals"}):
        crossed = means("crossnobis", **how)
        assert abs(crossed.mean()) < 4 * crossed.std() / 10
    assert plain > 10 * means("crossnobis", splits=4).std() / 10
    assert abs(means("crossnobis", splits=4, noise="residuals").mean()) < 4 * crossed.std() / 10
    with pytest.raises(ValueError, match="noise='residuals' must have a stimulus with 2 trials in one split, got none"):
        means("crossnobis", splits=8, noise="residuals")


def test_residuals_whiten_the_noise() -> None:
    """With many trials the precision is the inverse of the planted covariance, and so are the distances."""
    rng = np.random.default_rng(7)
    root = rng.normal(size=(5, 5))
    shown = np.repeat(np.arange(3), 4000)
    patterns = rng.normal(size=(5, 3))
    values = patterns[:, shown] + root @ rng.normal(size=(5, len(shown)))
    got = rdm_from_betas(values, None, shown, "mahalanobis", noise="residuals")[0]
    gaps = (values[:, shown == 0].mean(1), values[:, shown == 1].mean(1), values[:, shown == 2].mean(1))
    precision = np.linalg.inv(root @ root.T)
    want = [(gaps[i] - gaps[j]) @ precision @ (gaps[i] - gaps[j]) / 5 for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(
        got, want, rtol=0.1
    )  # a covariance of 12 000 trials: errors of 1 to 2 %, small eigenvalues more


def test_files_of_nsd_and_numpy(betas: Any, masks: Any, tmp_path: Path) -> None:
    """Sessions behind each other; trials last, or first with space reversed, as HDF5 gives what MATLAB wrote."""
    want = rdm_from_betas(betas, masks, SHOWN)
    half = len(SHOWN) // 2
    for name, part in (("one", betas[..., :half]), ("two", betas[..., half:])):
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file["betas"] = part.T if name == "one" else part
    got = rdm_from_betas([tmp_path / "one.hdf5", tmp_path / "two.hdf5"], masks, SHOWN)
    np.testing.assert_array_equal(got, want)
    np.save(tmp_path / "b.npy", betas)
    atlas = masks["V1"] + 2 * masks["V4"]
    got = rdm_from_betas(tmp_path / "b.npy", atlas, SHOWN)
    assert got.region.values.tolist() == ["1", "2"]
    np.testing.assert_array_equal(got, want)


def test_nifti(betas: Any, masks: Any, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel", reason="NIfTI is read by nibabel")
    affine = np.diag([2.0, 2, 2, 1])
    images = {name: nibabel.Nifti1Image(mask.astype(np.uint8), affine) for name, mask in masks.items()}
    nibabel.save(nibabel.Nifti1Image(betas, affine), tmp_path / "b.nii.gz")
    nibabel.save(images["V4"], tmp_path / "v4.nii")
    want = rdm_from_betas(betas, masks, SHOWN)
    got = rdm_from_betas(tmp_path / "b.nii.gz", {**images, "V4": tmp_path / "v4.nii"}, SHOWN)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    trials = [nibabel.Nifti1Image(betas[..., t], affine) for t in range(len(SHOWN))]
    np.testing.assert_allclose(rdm_from_betas(trials, images, SHOWN), want, rtol=1e-12)
    moved = nibabel.Nifti1Image(betas, np.diag([3.0, 3, 3, 1]))
    with pytest.raises(ValueError, match="betas must lie on the grid of the masks, got another affine"):
        rdm_from_betas(moved, images, SHOWN)


def test_order_and_missing_voxels(betas: Any, masks: Any) -> None:
    holed = betas.copy()
    x, y, z = np.argwhere(masks["V1"])[0]
    holed[x, y, z, 3] = np.nan
    with pytest.raises(ValueError, match=r"1 of \d+ voxels with NaN or infinity in region 'V1': drop_missing=True"):
        rdm_from_betas(holed, masks, SHOWN)
    smaller = masks["V1"].copy()
    smaller[x, y, z] = False
    got = rdm_from_betas(holed, masks, SHOWN, drop_missing=True, order=["s4", "s0", "s2"])
    want = rdm_from_betas(betas, {"V1": smaller, "V4": masks["V4"]}, SHOWN, order=["s4", "s0", "s2"])
    np.testing.assert_array_equal(got, want)
    assert got.attrs["stimuli"] == ["s4", "s0", "s2"]
    assert got.voxels.values.tolist() == want.voxels.values.tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stimuli": SHOWN[:-1]}, "stimuli must have one name for each of 24 trials, got 23"),
        ({"masks": {"V1": np.zeros(SPACE, dtype=bool)}}, "2 voxels or more in each region, got fewer in 'V1'"),
        ({"masks": {"V1": np.full(SPACE, 0.5)}}, "mask 'V1' must be True and False, or 1 and 0"),
        ({"masks": {"V1": np.ones((3, 3, 3), dtype=bool)}}, r"betas must have the shape \(3, 3, 3\) of the masks"),
        ({"metric": "crossnobis"}, "splits must say which trials are independent for metric 'crossnobis'"),
        ({"order": ["s0", "cat"]}, "order must name stimuli of trials, each once, got 'cat'"),
        ({"metric": "mahalanobis", "noise": "all"}, "noise must be 'residuals' or precision matrices by region"),
        ({"betas": "none.nii"}, "betas must be a file, got 'none.nii', which does not exist"),
    ],
)  # fmt: skip
def test_refusals(betas: Any, masks: Any, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rdm_from_betas(**{"betas": betas, "masks": masks, "stimuli": SHOWN} | change)


def test_files_that_can_not_be_read(masks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "glm.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(
        ValueError, match=r"betas must be a \.npy file of numbers, got glm\.npy: it holds Python objects"
    ):
        rdm_from_betas(tmp_path / "glm.npy", masks, SHOWN)
    (tmp_path / "bad.hdf5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.hdf5 must be an HDF5 file"):
        rdm_from_betas(tmp_path / "bad.hdf5", masks, SHOWN)
    (tmp_path / "b.nii").write_bytes(b"nothing")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r"NIfTI needs nibabel, .* pip install 'secateur\[fmri\]'"):
        rdm_from_betas(tmp_path / "b.nii", masks, SHOWN)
