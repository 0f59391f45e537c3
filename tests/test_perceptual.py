"""LPIPS of every pair: the package's own values, weights from a file, what is said without the package."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import secateur
from secateur import networks
from secateur.networks.network import import_torchvision, quiet

RNG = np.random.default_rng(2)


@pytest.fixture(scope="module")
def pixels():
    pytest.importorskip("torch")
    return RNG.integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def lpips():
    import_torchvision()
    return pytest.importorskip("lpips")


def packaged(lpips, net, module, pixels):
    """The package's own value for every pair, with the features of a torchvision module."""
    import torch

    with quiet(), torch.random.fork_rng():
        model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    for part in model.net.children():
        for number, layer in part.named_children():
            layer.load_state_dict(module.features[int(number)].state_dict())
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    rows, columns = np.triu_indices(len(pixels), 1)
    with torch.no_grad():
        return model(images[rows], images[columns]).ravel().numpy()


@pytest.mark.parametrize(("net", "name"), [("alex", "alexnet"), ("squeeze", "squeezenet1_1"), ("vgg", "vgg16")])
def test_equals_the_package(lpips, pixels, net, name):
    rdm = networks.lpips_rdm(pixels, net, weights=None, seed=4, size=64, batch=2, progress=False)
    assert rdm.dims == ("pair",)
    assert rdm.attrs["kind"] == "dissimilarity"
    assert rdm.attrs["weights"] == "random, seed 4"
    wanted = packaged(lpips, net, networks.load(name, None, seed=4).module, pixels)
    assert wanted.min() > 1e-3
    np.testing.assert_allclose(rdm.values, wanted, rtol=1e-4)


def test_it_is_a_target(lpips, pixels):
    rdm = networks.lpips_rdm(pixels, weights=None, size=32, progress=False)
    X = RNG.normal(size=(5, 4))
    found = secateur.alignment(X, rdm, comparator="spearman")
    assert found == pytest.approx(secateur.alignment(X, rdm.values, comparator="spearman", kind="dissimilarity"))
    assert found == pytest.approx(-secateur.alignment(X, rdm.values, comparator="spearman", kind="similarity"))


def test_the_seed_is_all_that_is_random(lpips, pixels):
    import torch

    state = torch.random.get_rng_state()
    a, b, c = (networks.lpips_rdm(pixels, weights=None, size=32, seed=s, progress=False).values for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 1e-6
    assert torch.equal(torch.random.get_rng_state(), state)


def test_weights_from_a_file(lpips, pixels, tmp_path):
    import torch

    torch.manual_seed(9)
    module = import_torchvision().models.squeezenet1_1()
    torch.save(module.state_dict(), tmp_path / "squeeze.pth")
    rdm = networks.lpips_rdm(pixels, "squeeze", weights=tmp_path / "squeeze.pth", size=64, progress=False)
    np.testing.assert_allclose(rdm.values, packaged(lpips, "squeeze", module, pixels), rtol=1e-4)
    with pytest.raises(ValueError, match="weights must fit alexnet"):
        networks.lpips_rdm(pixels, "alex", weights=tmp_path / "squeeze.pth", size=64, progress=False)


def test_refusals(pixels, monkeypatch):
    with pytest.raises(ValueError, match="net must be one of 'alex', 'vgg', 'squeeze', got 'resnet'"):
        networks.lpips_rdm(pixels, "resnet")
    with pytest.raises(ValueError, match="size must be an integer of at least 32, got 8"):
        networks.lpips_rdm(pixels, size=8)
    with pytest.raises(ValueError, match="images must be at least 3, got 2"):
        networks.lpips_rdm(pixels[:2])
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ImportError, match=r"pip install 'secateur\[lpips\]'"):
        networks.lpips_rdm(pixels, weights=None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'secateur\[lpips\]'"):
        networks.lpips_rdm(pixels, weights=None)
