"""Parts of transformers: importance equal to masking by hand, whatever package the model comes from; selection."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

import reference
import secateur as sc
import vision_models
from secateur import feature_maps
from secateur.networks import parts
from secateur.report.results import things_of

torch = vision_models.torch
nn = torch.nn

N = 8
PARTS_OF = ("module", "trunk", "neck", "classifier")
PAIRS = N * (N - 1) // 2


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(
        0, 256, size=(N, vision_models.SIDE, vision_models.SIDE, 3), dtype=np.uint8
    )


@pytest.fixture(scope="module")
def target():
    return np.random.default_rng(1).normal(size=PAIRS)


def inputs_of(net, images):
    from PIL import Image

    return torch.stack([net.preprocessing(Image.fromarray(image)) for image in images])


def embedded(net, pixels):
    """Embeddings (n, d), all of the network from the images on."""
    with torch.no_grad():
        return net.neck(net.trunk(pixels)).flatten(1).double().numpy()


def first(out):
    return out[0] if isinstance(out, tuple) else out


def swapped(out, new):
    return (new, *out[1:]) if isinstance(out, tuple) else new


def channels_last(out, width):
    return out.movedim(1, -1) if out.ndim == 4 and out.shape[1] == width else out


def copied(net):
    return replace(net, **dict(zip(PARTS_OF, copy.deepcopy([getattr(net, name) for name in PARTS_OF]))))


def without(net, part, block, index, fill=None):
    """The network without a part: weights set to zero, or for ``fill`` (the pixels of all) by hooks."""
    names = parts.blocks_of(net.module)[block]
    module = net.module.get_submodule(names.name)
    part_of = {"heads": names.attention, "neurons": names.mlp}.get(part)
    if part_of is not None:
        layer = net.module.get_submodule(part_of.linear)
        at = slice(index * part_of.size, (index + 1) * part_of.size)
        if fill is None:
            with torch.no_grad():
                layer.weight[:, at] = 0
            return net
        seen = []
        hook = layer.register_forward_pre_hook(lambda _m, args: seen.append(args[0].clone()))
        embedded(net, fill)
        hook.remove()
        mean = seen[0].reshape(N, -1, *seen[0].shape[1:]).mean(0)[..., at]

        def edit(_module, args):
            changed = args[0].clone()
            rows = changed.reshape(-1, *mean.shape[:-1], changed.shape[-1])
            rows[..., at] = mean
            return (rows.reshape(changed.shape),)

        layer.register_forward_pre_hook(edit)
        return net
    width = net.module.get_submodule(names.mlp.linear).weight.shape[0]
    seen = []
    if fill is not None:
        hook = module.register_forward_hook(lambda _m, args, out: seen.append((args[0].clone(), first(out).clone())))
        embedded(net, fill)
        hook.remove()

    def change(_module, args, out):
        new = first(out).clone()
        if part == "channels":
            changed = channels_last(new, width)
            changed[..., index] = 0 if fill is None else channels_last(seen[0][1], width).mean(0)[..., index]
        else:
            new = args[0] if fill is None else args[0] + (seen[0][1] - seen[0][0]).mean(0)
        return swapped(out, new)

    module.register_forward_hook(change)
    return net


def expected(net, pixels, target, scores, fill=None, some=None):
    """Importance of a few parts by hand."""
    baseline = reference.alignment(embedded(net, pixels), target, "cosine", "pearson")
    found = []
    for k in range(scores.sizes["part"])[slice(None) if some is None else some]:
        block, index = int(scores.block[k]), int(scores["index"][k])
        masked = embedded(without(copied(net), scores.attrs["parts"], block, index, fill), pixels)
        found.append(baseline - reference.alignment(masked, target, "cosine", "pearson"))
    return np.array(found)


ASK = {"comparator": "pearson", "kind": "similarity", "progress": False}


@pytest.mark.parametrize("fill", ["zero", "mean"])
@pytest.mark.parametrize("part", ["channels", "neurons", "heads", "blocks"])
def test_importance_is_what_masking_takes(part, fill, images, target, monkeypatch):
    monkeypatch.setattr(parts, "_FLOATS", 1)  # three at a time, wherever they come from
    net = vision_models.make("vit")
    where = {} if part in ("heads", "blocks") else {"blocks": 0}
    scores = feature_maps.alignment_importance(
        net, images, target, parts=part, fill=fill, batch=3, memory=40_000, per_image=True, **where, **ASK
    )
    some = slice(None) if part in ("heads", "blocks") else slice(0, 8)
    pixels = inputs_of(net, images)
    by_hand = expected(net, pixels, target, scores, None if fill == "zero" else pixels, some)
    assert np.abs(by_hand).max() > 1e-3
    np.testing.assert_allclose(scores.importance[some], by_hand, rtol=0, atol=2e-6)
    assert scores.importance.dims == ("part",)
    assert scores.image_importance.dims == ("stimulus", "part")
    assert scores.attrs["features"].startswith(part)
    assert feature_maps.spread(scores)["mean"].dims == ("part",)


@pytest.mark.parametrize("name", vision_models.MODELS)
def test_every_family_gives_what_masking_by_hand_gives(name, images, target):
    net = vision_models.make(name)
    pixels = inputs_of(net, images)
    for part in ("channels", "neurons", "heads", "blocks"):
        if part == "heads" and "convnext" in name:
            with pytest.raises(ValueError, match="net must have heads to mask them"):
                feature_maps.alignment_importance(net, images, target, parts=part, **ASK)
            continue
        scores = feature_maps.alignment_importance(net, images, target, parts=part, fill="zero", **ASK)
        some = slice(0, scores.sizes["part"], max(1, scores.sizes["part"] // 3))
        by_hand = expected(net, pixels, target, scores, some=some)
        assert np.abs(scores.importance.values).max() > 1e-4, part
        np.testing.assert_allclose(scores.importance[some], by_hand, rtol=0, atol=5e-6, err_msg=part)


def test_the_mean_of_heads_of_torchs_own_attention(images, target):
    """Its projection is no call that a hook could see: what comes into it is computed here from its weights."""
    net = vision_models.make("open_clip")
    scores = feature_maps.alignment_importance(net, images, target, parts="heads", fill="mean", **ASK)
    pixels = inputs_of(net, images)
    whole = reference.alignment(embedded(net, pixels), target, "cosine", "pearson")
    for k in (1, 6):
        block = net.module.transformer.resblocks[int(scores.block[k])]
        attention, head = block.attn, int(scores["index"][k])

        def heads(x, attention=attention):
            q, k, v = nn.functional.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
            q, k, v = (y.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for y in (q, k, v))
            weights = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1)
            return (weights @ v).transpose(1, 2).flatten(2)

        def change(module, args, out, head=head, heads=heads):
            z = heads(args[0]).unflatten(-1, (module.num_heads, -1))
            moved = (z[:, :, head] - z[:, :, head].mean(0)) @ module.out_proj.weight.unflatten(
                1, (module.num_heads, -1)
            )[:, head].T
            return (out[0] - moved, *out[1:])

        hook = attention.register_forward_hook(change)
        masked = embedded(net, pixels)
        hook.remove()
        by_hand = whole - reference.alignment(masked, target, "cosine", "pearson")
        assert float(scores.importance[k]) == pytest.approx(by_hand, abs=5e-6)


def test_nothing_before_the_part_runs_twice(images, target):
    """Modules before the masked block run once an image; those behind it again for each part."""
    net = vision_models.make("vit")
    calls = {}
    with ExitStack() as stack:
        for name, module in net.module.named_modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.LayerNorm)):
                own = type(module).forward

                def counted(x, module=module, name=name, own=own):
                    calls[name] = calls.get(name, 0) + len(x)
                    return own(module, x)

                stack.callback(delattr, module, "forward")
                module.forward = counted
        feature_maps.alignment_importance(net, images, target, parts="heads", blocks=1, **ASK)
    trial = 1  # the first image goes through alone, to see what runs when
    for name in ("patch_embed.proj", "blocks.0.attn.qkv", "blocks.0.mlp.fc1", "blocks.1.norm1", "blocks.1.attn.qkv"):
        assert calls[name] == N + trial, name
    assert calls["blocks.1.mlp.fc1"] >= N * (1 + 4)
    assert not [module for module in net.module.modules() if "forward" in vars(module)]
    assert not [module for module in net.module.modules() if module._forward_hooks or module._forward_pre_hooks]


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("vit", {"parts": "channels"}),
        ("clip", {"parts": "channels", "fill": "zero"}),
        ("vit", {"parts": "neurons", "blocks": 0}),
        ("vit", {"parts": "neurons", "fill": "mean"}),
        ("siglip", {"parts": "heads", "blocks": -1}),
        ("vit", {"parts": "heads"}),
        ("vit", {"parts": "blocks", "fill": "mean"}),
        ("swin", {"parts": "heads"}),
        ("vit", {"parts": "heads", "fill": "mean"}),
        ("swin", {"parts": "blocks"}),
        ("open_clip", {"parts": "heads"}),
        ("convnext", {"parts": "channels", "fill": "zero"}),
    ],
)
def test_selection_inserts_parts_one_by_one(name, ask, images, target):
    """The curve is that of the parts inserted by hand, and held-out scores are those of the parts that were kept."""
    net = vision_models.make(name)
    result = feature_maps.select(net, images, target, cv=2, repeats=1, permutations=0, **ask, **ASK)
    pixels = inputs_of(net, images)
    assert result.attrs["parts"] == ask["parts"]
    fold = result.isel(fold=0, target=0)
    order = np.argsort(-fold.importance.values, kind="stable")
    train, test = ~fold.test.values, fold.test.values
    steps = np.linspace(1, len(order), 4).astype(int)
    square = reference.square(target, N)

    def scored(kept, stimuli):
        changed = copied(net)
        for k in np.flatnonzero(~kept):
            changed = without(changed, ask["parts"], int(result.block[k]), int(result["index"][k]))
        own = square[np.ix_(stimuli, stimuli)][np.triu_indices(stimuli.sum(), 1)]
        return reference.alignment(embedded(changed, pixels)[stimuli], own, "cosine", "pearson")

    assert things_of(result) == ask["parts"]
    if "zero" in result.attrs["features"]:
        for step in steps:
            kept = np.isin(np.arange(len(order)), order[:step])
            assert float(fold.curve[step - 1]) == pytest.approx(scored(kept, train), abs=1e-5)
        assert float(fold.pruned_test) == pytest.approx(scored(fold.kept.values, test), abs=1e-5)
    everything = np.ones(len(order), dtype=bool)
    assert float(fold.curve[-1]) == pytest.approx(scored(everything, train), abs=1e-5)
    assert result.sizes["feature"] == len(order)
    assert str(result.feature.values[0]).startswith("block ")
    assert sc.kept_features(result)["feature"].iloc[0] in result.feature.values


def test_refusals(images, target):
    net = vision_models.make("vit")
    for ask, words in (
        ({"parts": "tokens"}, "parts must be one of 'maps', 'channels', 'neurons', 'heads', 'blocks', got 'tokens'"),
        ({"parts": "heads", "fill": "noise"}, "fill must be 'mean' or 'zero', got 'noise'"),
        ({"parts": "heads", "blocks": 2}, "blocks must be"),
        ({"parts": "channels", "blocks": [0, 1]}, r"blocks must be one, got \[0, 1\]"),
        ({"parts": "heads", "blocks": [0, 0]}, "blocks must be some, each once"),
        ({"fill": "mean"}, "blocks and fill must be left out for parts 'maps'"),
        ({}, "pass parts='channels'"),
    ):
        with pytest.raises(ValueError, match=words):
            feature_maps.alignment_importance(net, images, target, **ask, **ASK)
    plain = sc.networks.wrap(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), trunk=["0"], neck=["1", "2"], size=32,
        preprocessing=sc.networks.Preprocessing(None, 32),
    )  # fmt: skip
    with pytest.raises(ValueError, match="net must have blocks with attention or an MLP"):
        feature_maps.alignment_importance(plain, images, target, parts="heads", **ASK)


def test_a_block_that_something_passes_by_is_refused(images, target):
    class Skips(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.blocks = inner.blocks

        def forward(self, x):
            tokens = self.inner.patch_embed(x)
            return (self.blocks[1](self.blocks[0](tokens)) + tokens).mean(1)

    inner = vision_models.make("vit").module
    module = Skips(inner)
    trunk = type("Trunk", (nn.Module,), {"forward": lambda self, x: self.owner(x)[:, None]})()
    trunk.owner = module
    net = sc.networks.wrap(
        module, trunk=trunk, neck=nn.Flatten(1), size=32, preprocessing=sc.networks.Preprocessing(None, 32)
    )
    with pytest.raises(ValueError, match="does something pass that block by"):
        feature_maps.alignment_importance(net, images, target, parts="channels", **ASK)
