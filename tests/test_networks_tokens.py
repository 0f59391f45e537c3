"""Embeddings of transformers: the model's own, its tokens, its blocks; preprocessing that comes with a model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import vision_models
from secateur import networks
from secateur.networks.families import read_preprocessing

torch = vision_models.torch

# Of each: features of its own embedding, patches of the last block, tokens before them, channels there.
SHAPES = {
    "vit": (32, 16, 1, 32),
    "deit": (32, 16, 1, 32),
    "dinov2": (32, 16, 5, 32),
    "clip": (32, 16, 1, 32),
    "siglip": (32, 16, 0, 32),
    "dinov3": (32, 16, 5, 32),
    "swin": (32, 64, None, 32),
    "swinv2": (32, 64, None, 32),
    "convnext": (16, 1, None, 16),
    "open_clip": (16, 16, 1, 32),
    "transformers-vit": (32, 16, 1, 32),
    "transformers-classifier": (32, 16, 1, 32),
    "transformers-clip": (16, 16, 1, 32),
    "transformers-siglip": (32, 16, 0, 32),
    "transformers-dinov2": (32, 16, 1, 32),
    "transformers-swin": (32, 16, 0, 32),
    "transformers-convnext": (16, 16, None, 16),
}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(
        0, 256, size=(3, vision_models.SIDE, vision_models.SIDE, 3), dtype=np.uint8
    )


def embed(net, images, *args, **options):
    return networks.embed(net, images, *args, progress=False, **options)


def test_every_model_is_here():
    assert SHAPES.keys() == vision_models.MODELS.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_what_tokens_are(name, images):
    """The penultimate layer is what the model's own code gives; tokens are those of its trunk, by hand."""
    net = vision_models.make(name)
    d, patches, before, channels = SHAPES[name]
    own = embed(net, images)
    assert own.shape == (3, d)
    from PIL import Image

    pixels = torch.stack([net.preprocessing(Image.fromarray(image)) for image in images])
    with torch.inference_mode():
        given = net.module(pixels)
        for key in ("image_embeds", "pooler_output"):
            given = getattr(given, key, given)
        if isinstance(given, torch.Tensor) and net.classifier is None:
            np.testing.assert_allclose(own, given.flatten(1), rtol=1e-4, atol=1e-5)
        tokens = net.trunk(pixels).numpy()
    if net.classifier is not None:
        logits = net.module(pixels)
        np.testing.assert_allclose(
            net.classifier(torch.from_numpy(own.values)), getattr(logits, "logits", logits), rtol=1e-4, atol=1e-4
        )
    flat = tokens.reshape(3, channels, -1).swapaxes(1, 2) if tokens.ndim == 4 else tokens
    assert flat.shape == (3, patches + (before or 0), channels)
    mean = flat[:, before or 0 :].mean(1)
    np.testing.assert_allclose(embed(net, images, tokens="mean"), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(embed(net, images, tokens="all"), tokens.reshape(3, -1), rtol=1e-4, atol=1e-5)
    if before:
        np.testing.assert_allclose(embed(net, images, tokens="cls"), flat[:, 0], rtol=1e-4, atol=1e-5)
        both = embed(net, images, tokens="cls+mean")
        np.testing.assert_allclose(both, np.concatenate([flat[:, 0], mean], 1), rtol=1e-4, atol=1e-5)
        assert both.attrs["tokens"] == "cls+mean"
    else:
        with pytest.raises(ValueError, match="tokens must be 'mean' or 'all' where there is no class token"):
            embed(net, images, tokens="cls")
    # by block, by number
    last = embed(net, images, -1, tokens="mean")
    assert last.shape == (3, channels)
    from secateur.networks import parts

    block = parts.blocks_of(net.module)[-1].name
    np.testing.assert_array_equal(embed(net, images, block, tokens="mean"), last)
    assert embed(net, images, 0).shape[0] == 3


def test_a_block_by_hand(images):
    net = vision_models.make("vit")
    seen = []
    hook = net.module.blocks[0].register_forward_hook(lambda _m, _a, out: seen.append(out.clone()))
    embed(net, images)
    hook.remove()
    tokens = torch.cat(seen).numpy()
    np.testing.assert_array_equal(embed(net, images, 0, tokens="all"), tokens.reshape(3, -1))
    np.testing.assert_array_equal(embed(net, images, -2, tokens="cls"), tokens[:, 0])
    np.testing.assert_allclose(embed(net, images, 0, tokens="mean"), tokens[:, 1:].mean(1), rtol=1e-5, atol=1e-6)


def test_refusals_and_the_cache(images, tmp_path):
    net = vision_models.make("vit")
    for ask, words in (
        ({"tokens": "first"}, "tokens must be 'cls', 'mean', 'cls\\+mean' or 'all'"),
        ({"tokens": "cls", "pool": "mean"}, "pool left as it is"),
        ({"layer": 2}, "layer must be"),
        ({"layer": "final", "tokens": "cls"}, "layer must give tokens or maps"),
    ):
        with pytest.raises(ValueError, match=words):
            embed(net, images, **ask)
    kept = [embed(net, images, tokens=tokens, cache=tmp_path) for tokens in (None, "cls", "mean", None, "cls")]
    assert len(list(tmp_path.iterdir())) == 3
    np.testing.assert_array_equal(kept[1], kept[4])
    assert not np.array_equal(kept[1], kept[2])


def test_preprocessing_of_other_packages():
    """An image processor and transforms are read by their fields, which is all that they have."""
    clip = SimpleNamespace(
        image_mean=[0.1, 0.2, 0.3], image_std=[1.0, 2.0, 3.0], size={"shortest_edge": 224}, do_center_crop=True,
        crop_size={"height": 224, "width": 224}, resample=3,
    )  # fmt: skip
    read = read_preprocessing(clip)
    assert (read.resize, read.crop, read.mean, read.interpolation) == (224, 224, (0.1, 0.2, 0.3), "bicubic")
    siglip = SimpleNamespace(image_mean=[0.5] * 3, image_std=[0.5] * 3, size={"height": 256, "width": 256}, resample=2)
    read = read_preprocessing(siglip)
    assert (read.resize, read.crop, read.interpolation) == ((256, 256), None, "bilinear")
    convnext = SimpleNamespace(image_mean=[0.5] * 3, image_std=[0.5] * 3, size={"shortest_edge": 224}, crop_pct=0.875)
    assert (read_preprocessing(convnext).resize, read_preprocessing(convnext).crop) == (256, 224)
    with pytest.raises(TypeError, match="preprocessing must be a Preprocessing, an image processor"):
        read_preprocessing(3)
    with pytest.raises(ValueError, match="preprocessing must crop a square"):
        read_preprocessing(SimpleNamespace(**{**vars(clip), "crop_size": {"height": 2, "width": 3}}))


def test_preprocessing_comes_with_a_model():
    for name, mean in (("open_clip", 0.48145466), ("transformers-clip", 0.48145466), ("transformers-siglip", 0.5)):
        net = networks.wrap(vision_models.MODELS[name]())
        assert net.preprocessing.crop == vision_models.SIDE
        assert net.preprocessing.mean[0] == mean
        assert net.trunk is not None
    net = networks.wrap(vision_models.MODELS["vit"](), name="mine")
    assert (net.name, net.preprocessing.mean[0], net.preprocessing.crop) == ("mine", 0.5, vision_models.SIDE)


def test_transforms_of_torchvision():
    vision_models.MODELS["vit"]()  # skips where there is no torchvision
    from torchvision import transforms

    made = transforms.Compose([
        transforms.Resize(40, interpolation=transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(32),
        transforms.ToTensor(), transforms.Normalize((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
    ])  # fmt: skip
    read = read_preprocessing(made)
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8))
    np.testing.assert_allclose(read(image), made(image), atol=1e-5)
