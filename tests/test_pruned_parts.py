"""Transformers without some of their parts: masks against masking by hand, smaller layers against masks."""

from __future__ import annotations

import numpy as np
import pytest

import vision_models
from secateur import feature_maps, networks
from secateur.networks import parts, pruned, retention
from secateur.networks.extraction import fingerprint
from test_parts import copied, embedded, inputs_of, without

torch = vision_models.torch
N = 4
SMALLER = (
    "vit",
    "dinov2",
    "clip",
    "swin",
    "transformers-vit",
    "transformers-clip",
    "transformers-dinov2",
    "transformers-swin",
)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(
        0, 256, size=(N, vision_models.SIDE, vision_models.SIDE, 3), dtype=np.uint8
    )


def masked_by_hand(net, part, kept, blocks=None):
    """The network with weights set to zero, one part at a time."""
    made, places = copied(net), [(b, i) for b, count in surgery_counts(net, part, blocks) for i in range(count)]
    for (block, index), keep in zip(places, kept, strict=True):
        made = made if keep else without(made, part, block, index)
    return made


def surgery_counts(net, part, blocks):
    from secateur.networks.surgery import counts_of

    return counts_of(net, part, blocks)


def keep(net, part, blocks=None, share=0.6):
    """A random mask, other in each block, with at least one kept of each; of blocks, all but the first."""
    rng = np.random.default_rng(5)
    counts = surgery_counts(net, part, blocks)
    if part == "blocks":
        return np.arange(len(counts)) > 0
    masks = [rng.random(count) < share for _, count in counts]
    for mask in masks:
        mask[0] = True
    return np.concatenate(masks)


@pytest.mark.parametrize("name", ["vit", "swin", "convnext", "open_clip", "transformers-clip", "transformers-swin"])
@pytest.mark.parametrize("part", ["channels", "neurons", "heads", "blocks"])
def test_masks_are_masking_by_hand(name, part, images):
    if (name, part) == ("convnext", "heads"):
        return
    net = vision_models.make(name)
    own, kept = fingerprint(net), keep(net, part)
    small = pruned.apply(net, kept, part)
    pixels = inputs_of(net, images)
    expected = embedded(masked_by_hand(net, part, kept), pixels)
    np.testing.assert_allclose(embedded(small, pixels), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - embedded(net, pixels)).max() > 1e-3
    assert fingerprint(net) == own != fingerprint(small)
    np.testing.assert_array_equal(small.support, kept)
    assert small.provenance["pruned"] == f"{part}, zero, {kept.sum()} of {len(kept)} kept"
    X = networks.embed(small, images, progress=False)
    np.testing.assert_allclose(X, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALLER)
def test_smaller_heads_give_the_same(name, images):
    check_smaller(name, "heads", images)


@pytest.mark.parametrize("name", [*SMALLER, "siglip", "convnext", "open_clip", "transformers-convnext"])
def test_smaller_mlps_give_the_same(name, images):
    check_smaller(name, "neurons", images)


def check_smaller(name, part, images):
    net = vision_models.make(name)
    blocks = range(len(parts.blocks_of(net.module)))
    kept = keep(net, part, blocks)
    mask, small = (pruned.apply(net, kept, part, how, blocks=blocks) for how in ("zero", "remove"))
    pixels = inputs_of(net, images)
    np.testing.assert_allclose(embedded(small, pixels), embedded(mask, pixels), rtol=1e-4, atol=1e-5)
    count, fewer = (sum(p.numel() for p in one.module.parameters()) for one in (net, small))
    dropped = int((~kept).sum())
    assert count - fewer >= dropped * 16  # at least a row and a column of the narrowest
    again = [(b, n) for b, n in surgery_counts(small, part, blocks)]
    assert sum(n for _, n in again) == kept.sum()  # its parts are still parts
    # pruned again
    less = np.ones(int(kept.sum()), dtype=bool)
    less[0] = False
    twice = kept.copy()
    twice[np.flatnonzero(kept)[0]] = False
    a, b = pruned.apply(small, less, part, blocks=blocks), pruned.apply(net, twice, part, blocks=blocks)
    np.testing.assert_allclose(embedded(a, pixels), embedded(b, pixels), rtol=1e-4, atol=1e-5)


def test_a_block_without_any_head_or_neuron(images):
    for name in ("vit", "transformers-vit", "swin"):
        net = vision_models.make(name)
        pixels = inputs_of(net, images)
        for part in ("heads", "neurons"):
            (_, first), (_, second) = surgery_counts(net, part, [0, 1])
            kept = np.arange(first + second) > first
            mask, small = (pruned.apply(net, kept, part, how, blocks=[0, 1]) for how in ("zero", "remove"))
            np.testing.assert_allclose(embedded(small, pixels), embedded(mask, pixels), rtol=1e-4, atol=1e-5)


def test_saved_and_read(tmp_path, images):
    net = vision_models.make("vit")
    pixels = inputs_of(net, images)
    for part in ("channels", "neurons", "heads", "blocks"):
        small = pruned.apply(net, keep(net, part), part, "zero" if part == "channels" else "remove")
        small.save(tmp_path / "pruned.pt")
        read = pruned.load(tmp_path / "pruned.pt", vision_models.make("vit"))
        np.testing.assert_array_equal(embedded(read, pixels), embedded(small, pixels))
        assert (read.layer, read.blocks) == (part, small.blocks)


def test_what_importance_says_is_what_removal_costs(images):
    """A head's importance is the alignment lost by the network that is smaller by it."""
    import reference

    net, target = vision_models.make("vit"), np.random.default_rng(1).normal(size=N * (N - 1) // 2)
    scores = feature_maps.alignment_importance(
        net, images, target, parts="heads", comparator="pearson", kind="similarity", progress=False
    )
    for k in (0, 5):
        small = pruned.apply(net, np.arange(8) != k, "heads", "remove")
        X = networks.embed(small, images, progress=False).values.astype(float)
        lost = float(scores.baseline) - reference.alignment(X, target, "cosine", "pearson")
        assert float(scores.importance[k]) == pytest.approx(lost, abs=5e-6)


def test_retention_of_parts(images):
    net = vision_models.make("vit")
    X = networks.embed(net, images, progress=False)
    kept = keep(net, "heads")
    small = pruned.apply(net, kept, "heads", "remove")
    versions = {"heads": networks.embed(small, images, progress=False), "features": np.arange(32) < 16}
    truth = np.arange(N)
    table = retention.accuracy(net, X, truth, versions)
    assert sorted(table.version.values) == ["features", "full", "heads"]
    with torch.inference_mode():
        logits = small.module(inputs_of(net, images)).numpy()
    np.testing.assert_array_equal(table.predicted.sel(version="heads", fold=0), logits.argmax(1))
    shift = retention.error_shift(net, X, range(2), truth, versions)
    assert shift.share.dims == ("version", "fold", "place")
    with pytest.raises(ValueError, match=r"versions\['heads'\] must be finite, of shape \(4, 32\)"):
        retention.accuracy(net, X, truth, {"heads": versions["heads"][:, :3]})


def test_refusals(images):
    net = vision_models.make("vit")
    for ask, words in (
        (("channels", "remove"), "how must be 'zero' for channels"),
        (("tokens", "zero"), "layer must be one of 'penultimate', 'last_conv', 'channels'"),
    ):
        with pytest.raises(ValueError, match=words):
            pruned.apply(net, [0], *ask)
    with pytest.raises(ValueError, match="weights must be left out for heads"):
        pruned.apply(net, [0], "heads", weights=np.ones(8))
    with pytest.raises(ValueError, match="blocks must be left out for layer 'penultimate'"):
        pruned.apply(net, [0], blocks=1)
    with pytest.raises(ValueError, match="how must be 'zero' for heads of torch's own attention"):
        pruned.apply(vision_models.make("open_clip"), [0], "heads", "remove")
    with pytest.raises(ValueError, match="support"):
        pruned.apply(net, [8], "heads")
    with pytest.raises(ValueError, match="how must be 'zero' for heads of 'swinv2', got 'remove'"):
        pruned.apply(vision_models.make("swinv2"), [0, 2], "heads", "remove")
