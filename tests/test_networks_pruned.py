"""Pruned networks against masking by hand: zeroed or removed, weighted, saved and read."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from secateur import networks  # noqa: E402
from secateur.finetuning import DissimilarityTrainer  # noqa: E402
from secateur.finetuning.trainable import with_size  # noqa: E402
from secateur.networks import pruned  # noqa: E402
from secateur.networks.extraction import fingerprint  # noqa: E402
from secateur.networks.network import Preprocessing, function_module  # noqa: E402

RNG = np.random.default_rng(0)
KEPT = RNG.permutation(512)[:200]  # indices in no order
MASK = np.isin(np.arange(512), KEPT)
WEIGHTS = RNG.uniform(-0.5, 2, 512)


@pytest.fixture(scope="module")
def pixels():
    return torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, 64, 64), dtype=np.float32))


@pytest.fixture(scope="module")
def resnet():
    return networks.load("resnet18", weights=None)


def vgg_like(seed=0):
    """As VGG ends, in small: a ReLU and dropout between two linear layers."""
    nn = torch.nn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(32, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 9),
        )  # fmt: skip
    return networks.wrap(
        module, trunk=["0", "1"], neck=["2", "3", "4", "5", "6", "7", "8"], classifier=["9", "10"],
        preprocessing=Preprocessing(None, 64), name="vgg-like",
    )  # fmt: skip


@pytest.fixture(scope="module", params=["resnet18", "vgg-like"])
def net(request, resnet):
    return resnet if request.param == "resnet18" else vgg_like()


def by_hand(net, x, factor):
    """Logits with the last linear layer applied in float64 to the penultimate layer times a factor."""
    embedding = net.neck(net.trunk(x)).double().numpy() * factor
    last = [module for module in net.classifier.modules() if isinstance(module, torch.nn.Linear)][-1]
    return embedding, embedding @ last.weight.double().numpy().T + last.bias.double().numpy()


def close(a, b):
    np.testing.assert_allclose(a.double().numpy(), b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("how", ["zero", "remove"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("support", [MASK, KEPT, list(map(int, KEPT)), None])
def test_by_hand(net, pixels, how, weights, support):
    own = fingerprint(net)
    small = pruned.apply(net, support, how=how, weights=weights)
    mask = np.ones(512, bool) if support is None else MASK
    embedding, logits = by_hand(net, pixels, mask * (1 if weights is None else weights))
    with torch.inference_mode():
        got = small.neck(small.trunk(pixels))
        close(got, embedding if how == "zero" else embedding[:, mask])
        close(small.classifier(got), logits)
        close(small.module(pixels), logits)
        close(small.module.get_submodule(small.layers["penultimate"])(small.trunk(pixels)), got.double().numpy())
    np.testing.assert_array_equal(small.support, mask)
    assert not small.pooled
    assert small.preprocessing == net.preprocessing
    assert small.provenance["pruned"] == f"penultimate, {how}, {mask.sum()} of 512 kept"
    assert fingerprint(net) == own  # the network that it is made from is as it was
    if mask.sum() < 512 or weights is not None:
        assert fingerprint(small) != own


def test_removing_makes_layers_smaller():
    net = vgg_like()
    small = pruned.apply(net, MASK, how="remove")
    shapes = [tuple(m.weight.shape) for m in small.module.modules() if isinstance(m, torch.nn.Linear)]
    assert shapes == [(64, 32), (200, 64), (9, 200)]
    count = sum(p.numel() for p in net.module.parameters())
    assert sum(p.numel() for p in small.module.parameters()) == count - 312 * (64 + 1 + 9)
    assert all(p.untyped_storage().nbytes() == 4 * p.numel() for p in small.classifier.parameters())


def test_maps_of_the_last_convolution(resnet, pixels):
    small = pruned.apply(resnet, MASK, layer="last_conv", weights=WEIGHTS)
    with torch.inference_mode():
        maps = resnet.trunk(pixels).double().numpy() * (MASK * WEIGHTS)[:, None, None]
        close(small.trunk(pixels), maps)
        close(small.neck(small.trunk(pixels)), maps.mean((2, 3)))
    assert small.pooled
    other = pruned.apply(vgg_like(), np.arange(8) < 3, layer="last_conv")
    with torch.inference_mode():
        assert (other.trunk(pixels)[:, 3:] == 0).all()
        assert (other.trunk(pixels)[:, :3] > 0).any()


def test_without_a_classifier(pixels):
    net = networks.load("squeezenet1_1", weights=None)
    small = pruned.apply(net, MASK, how="remove")
    assert small.classifier is None
    with torch.inference_mode():
        close(small.module(pixels), net.neck(net.trunk(pixels)).double().numpy()[:, MASK])


def test_embeddings_and_pruning_again(resnet):
    photographs = RNG.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    full = networks.embed(resnet, photographs, progress=False)
    small = pruned.apply(resnet, MASK, how="remove")
    np.testing.assert_array_equal(networks.embed(small, photographs, progress=False).values, full.values[:, MASK])
    smaller = pruned.apply(small, np.arange(200) % 2 == 0, how="remove")
    X = networks.embed(smaller, photographs, progress=False)
    np.testing.assert_array_equal(X.values, full.values[:, MASK][:, ::2])
    assert X.attrs["pruned"] == "penultimate, remove, 100 of 200 kept"


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("resnet18", "zero"),
        ("densenet161", "remove"),
        ("efficientnet-lite0", "remove"),
        ("timm:resnet10t", "zero"),
        ("vgg-like", "zero"),
        ("vgg-like", "remove"),
    ],
)
def test_saved_and_read(name, how, tmp_path, pixels):
    if name == "timm:resnet10t":
        pytest.importorskip("timm", reason="timm is not installed")
    if name == "efficientnet-lite0":
        pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    net = vgg_like() if name == "vgg-like" else networks.load(name, weights=None, seed=1)
    d = net.classifier[-1].in_features if hasattr(net.classifier, "__len__") else net.classifier.in_features
    weights = np.linspace(0.5, 1.5, d)
    small = pruned.apply(net, np.arange(d) % 3 == 0, how=how, weights=weights)
    small.save(tmp_path / "small.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["small.pt"]
    other = vgg_like(seed=5) if name == "vgg-like" else None
    before = None if other is None else fingerprint(other)
    again = pruned.load(tmp_path / "small.pt", other)
    with torch.inference_mode():
        assert torch.equal(again.module(pixels), small.module(pixels))
        assert torch.equal(again.classifier(again.neck(again.trunk(pixels))), small.module(pixels))
    np.testing.assert_array_equal(again.support, small.support)
    np.testing.assert_array_equal(again.weights, weights)
    for field in ("name", "layers", "preprocessing", "classes", "provenance", "how", "layer", "pooled"):
        assert getattr(again, field) == getattr(small, field)
    assert not any(p.requires_grad for p in again.module.parameters())
    if other is not None:
        assert fingerprint(other) == before


def test_refusals(resnet, tmp_path, monkeypatch):
    for given, words in [
        (
            {"support": MASK, "layer": "fc"},
            "layer must be one of 'penultimate', 'last_conv', 'channels', 'neurons', 'heads', 'blocks', got 'fc'",
        ),
        ({"support": MASK, "how": "drop"}, "how must be 'zero' or 'remove', got 'drop'"),
        ({"support": MASK, "layer": "last_conv", "how": "remove"}, "got 'remove': maps can only be zeroed"),
        ({"support": MASK[:7]}, "support as a mask must have 512 entries, one a feature, got 7"),
        ({"support": [600]}, "support must hold feature indices from 0 to 511, got 600"),
        ({"support": []}, "support must hold at least one feature, got none"),
        ({"support": MASK, "weights": [1.0, 2]}, r"must be 512 finite numbers, one a feature, got shape \(2,\)"),
        ({"support": MASK, "weights": np.full(512, np.nan)}, "weights must be 512 finite numbers"),
    ]:
        with pytest.raises(ValueError, match=words):
            pruned.apply(resnet, **given)
    with pytest.raises(ValueError, match="net must have a trunk, got 'own'"):
        pruned.apply(networks.wrap(resnet.module), MASK)
    with pytest.raises(FileNotFoundError, match=r"path must be a file, got 'no\.pt'"):
        pruned.load("no.pt")
    torch.save(resnet.module.state_dict(), tmp_path / "plain.pt")
    with pytest.raises(ValueError, match=r"must be a pruned network that was saved here, got plain\.pt"):
        pruned.load(tmp_path / "plain.pt")
    (tmp_path / "plain.pt").unlink()
    pruned.apply(vgg_like(), MASK).save(tmp_path / "own.pt")
    with pytest.raises(ValueError, match="net must be passed for a network of your own, got None for 'vgg-like'"):
        pruned.load(tmp_path / "own.pt")
    with pytest.raises(ValueError, match="net must be of the architecture that was saved, got another than 'vgg-like'"):
        pruned.load(tmp_path / "own.pt", resnet)
    (tmp_path / "own.pt").unlink()

    def full(content, path):
        path.write_bytes(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        pruned.apply(resnet, MASK).save(tmp_path / "half.pt")
    assert list(tmp_path.iterdir()) == []


def _stem(own, x):
    return own[:2](x)


def _mean(own, maps):
    return own[2:4](maps)


def held_twice():
    """A network whose trunk and neck each hold all of it, the classifier too, as those of timm's models do."""
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 50))
    return networks.wrap(
        module, trunk=function_module(_stem, module), neck=function_module(_mean, module), classifier=module[4],
        preprocessing=Preprocessing(None, 16), name="held-twice",
    )  # fmt: skip


@pytest.mark.parametrize(("layer", "how"), [("penultimate", "zero"), ("penultimate", "remove"), ("last_conv", "zero")])
def test_they_are_modules_like_others(layer, how, tmp_path):
    small = pruned.apply(held_twice(), range(3), layer, how, weights=np.linspace(1, 2, 8))
    x = torch.from_numpy(np.random.default_rng(2).standard_normal((1, 3, 16, 16), dtype=np.float32))
    with torch.inference_mode():
        logits = small.module(x)
    torch.save(small.module, tmp_path / "module.pt")
    again = pickle.loads(pickle.dumps(small))
    assert dict(again.provenance) == dict(small.provenance)
    assert again.support.tolist() == small.support.tolist()
    modules = [again.module, copy.deepcopy(small).module, torch.load(tmp_path / "module.pt", weights_only=False)]
    modules.append(torch.export.export(small.module, (x,)).module())
    for module in modules:
        with torch.no_grad():
            assert torch.equal(module(x), logits)


@pytest.mark.parametrize(("layer", "how"), [("penultimate", "remove"), ("last_conv", "zero")])
def test_they_go_to_onnx(layer, how, tmp_path):
    """What another program reads has the same logits: by the reference evaluator of ONNX, for any number of images."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript, with which torch writes ONNX, is not installed")
    from onnx.reference import ReferenceEvaluator

    small = pruned.apply(held_twice(), range(3), layer, how, weights=np.linspace(1, 2, 8))
    x = torch.from_numpy(np.random.default_rng(2).standard_normal((3, 3, 16, 16), dtype=np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, on what it deprecates of itself
        torch.onnx.export(
            small.module, (x[:2],), tmp_path / "small.onnx", dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("images")},),
        )  # fmt: skip
    read = ReferenceEvaluator(onnx.load(tmp_path / "small.onnx"))
    (logits,) = read.run(None, {read.input_names[0]: x.numpy()})
    with torch.inference_mode():
        # single precision, sums of up to 8 * 9 products in another order
        np.testing.assert_allclose(logits, small.module(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kept", [range(3), range(7), None])
def test_removing_never_adds_parameters(kept):
    net = held_twice()
    small = pruned.apply(net, kept, how="remove")
    before, after = (sum(p.numel() for p in one.module.parameters()) for one in (net, small))
    assert before - after == 50 * (8 - small.support.sum())
    with torch.inference_mode():
        x = torch.ones(1, 3, 16, 16)
        np.testing.assert_array_equal(small.neck(small.trunk(x)), net.neck(net.trunk(x))[:, small.support])
    assert isinstance(net.module[4], torch.nn.Linear)


def test_a_file_that_was_written_with_the_whole_classifier(tmp_path):
    net = held_twice()
    small = pruned.apply(net, range(3), how="remove")
    small.save(tmp_path / "small.pt")
    content = torch.load(tmp_path / "small.pt")
    for of in ("trunk.owner.4", "neck.0.owner.4"):
        content["state"] |= {f"{of}.{key}": value for key, value in net.classifier.state_dict().items()}
    torch.save(content, tmp_path / "old.pt")
    assert fingerprint(pruned.load(tmp_path / "old.pt", net)) == fingerprint(small)


def test_what_was_written_is_known_by_its_path(tmp_path, monkeypatch):
    small = pruned.apply(networks.load("squeezenet1_1", weights=None), range(7), how="remove")
    small.save(tmp_path / "small.pt")
    for path in (tmp_path / "small.pt", str(tmp_path / "small.pt")):
        again = networks.load(path)
        assert isinstance(again, pruned.PrunedNetwork)
        assert fingerprint(again) == fingerprint(small)
    with pytest.raises(
        ValueError, match=r"a secateur pruned network 1 in small\.pt: load it by its path alone, as name"
    ):
        networks.load("squeezenet1_1", tmp_path / "small.pt")
    with pytest.raises(ValueError, match="weights must be left out where name is a file, which has them, got None"):
        networks.load(tmp_path / "small.pt", None)
    torch.save({"a": torch.ones(2)}, tmp_path / "plain.pt")
    with pytest.raises(ValueError, match=r"got plain\.pt: pass a file of weights as weights"):
        networks.load(tmp_path / "plain.pt")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squeezenet1_1").write_bytes(b"a file of a known name is not read")
    assert networks.load("squeezenet1_1", None).name == "squeezenet1_1"


@pytest.mark.parametrize("size", [None, 32])
def test_a_fine_tuned_network_is_known_by_its_path(size, tmp_path):
    net = networks.load("squeezenet1_1", weights=None)
    trainer = DissimilarityTrainer(net, freeze="up to features.11", epochs=1, validation=None, size=size)
    trainer.network_, trainer.layer_ = with_size(networks.load("squeezenet1_1", None, seed=1), size), "penultimate"
    trainer.save(tmp_path / "network.pt")
    again = networks.load(tmp_path / "network.pt")
    assert fingerprint(again) == fingerprint(trainer.network_)
    assert again.preprocessing == trainer.network_.preprocessing
    assert again.provenance == trainer.network_.provenance
