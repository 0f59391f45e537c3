"""Heatmaps of transformers: channels on the patches' grid, attention rollout and Grad-CAM against slow definitions."""

from __future__ import annotations

import numpy as np
import pytest

import vision_models
from secateur import feature_maps, heatmaps
from secateur.networks import attributions, parts

torch = vision_models.torch
nn = torch.nn

N, SIDE = 5, vision_models.SIDE


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, size=(N, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def target():
    return np.random.default_rng(1).normal(size=N * (N - 1) // 2)


def pixels_of(net, images):
    from PIL import Image

    return torch.stack([net.preprocessing(Image.fromarray(image)) for image in images])


def behind(net, images, block):
    """What a block gives (n, tokens, channels), or maps."""
    seen = []
    module = net.module.get_submodule(parts.blocks_of(net.module)[block].name)
    hook = module.register_forward_hook(lambda _m, _a, out: seen.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        net.trunk(pixels_of(net, images))
    hook.remove()
    return seen[0].double().numpy()


def large(small):
    return nn.functional.interpolate(torch.from_numpy(small)[:, None], size=(SIDE, SIDE), mode="bilinear")[:, 0].numpy()


@pytest.mark.parametrize("fill", ["mean", "zero"])
@pytest.mark.parametrize(
    ("name", "block"), [("vit", -1), ("dinov2", 0), ("open_clip", -1), ("swin", -1), ("convnext", -1)]
)
def test_channels_are_drawn_by_how_far_they_are_from_what_masks_them(name, block, fill, images, target):
    net = vision_models.make(name)
    scores = feature_maps.alignment_importance(
        net, images, target, parts="channels", blocks=block, fill=fill, kind="similarity", comparator="pearson",
        per_image=True, progress=False,
    )  # fmt: skip
    heat = heatmaps.heatmap(net, images, scores, batch=2, progress=False)
    out = behind(net, images, block)
    if name == "convnext":
        maps = out
    elif name == "swin":
        maps = np.moveaxis(out, -1, 1)
    else:
        maps = np.moveaxis(out[:, -16:], -1, 1).reshape(N, -1, 4, 4)
    weights = np.maximum(scores.image_importance.values, 0)
    weights /= weights.sum(1, keepdims=True)
    away = np.abs(maps - (maps.mean(0) if fill == "mean" else 0))
    small = np.einsum("nk,nkyx->nyx", weights, away)
    np.testing.assert_allclose(heat.values, large(small), rtol=1e-4, atol=1e-6 * np.abs(small).max())
    assert heat.attrs["long_name"] == "mean of residual channels weighted by alignment importance"
    alone = heatmaps.heatmap(net, images, scores.image_importance.values, parts="channels", progress=False)
    if fill == "mean" and block == -1:
        np.testing.assert_allclose(alone, heat, rtol=1e-5)


def test_parts_that_lie_on_no_grid_are_not_drawn(images, target):
    net = vision_models.make("vit")
    scores = feature_maps.alignment_importance(net, images, target, parts="heads", kind="similarity", progress=False)
    with pytest.raises(ValueError, match="importance must be of maps or channels to be drawn, got 'heads'"):
        heatmaps.heatmap(net, images, scores)


def attention_by_hand(net, images):
    """Weights (n, heads, T, T) of each block of timm's ViT or open_clip's, from its own matrices."""
    found = []
    for block in (b.name for b in parts.blocks_of(net.module)):
        module = net.module.get_submodule(block)
        seen = []
        hook = module.attn.register_forward_pre_hook(lambda _m, args, seen=seen: seen.append(args[0]))
        with torch.no_grad():
            net.trunk(pixels_of(net, images))
        hook.remove()
        weight, bias = (
            (module.attn.in_proj_weight, module.attn.in_proj_bias)
            if isinstance(module.attn, nn.MultiheadAttention)
            else (module.attn.qkv.weight, module.attn.qkv.bias)
        )
        q, k, _ = (seen[0] @ weight.T + bias).chunk(3, -1)
        q, k = (x.unflatten(-1, (module.attn.num_heads, -1)).transpose(1, 2).double().numpy() for x in (q, k))
        scores = np.einsum("nhqd,nhkd->nhqk", q, k) / np.sqrt(q.shape[-1])
        e = np.exp(scores - scores.max(-1, keepdims=True))
        found.append(e / e.sum(-1, keepdims=True))
    return found


@pytest.mark.parametrize("name", ["vit", "open_clip", "siglip"])
def test_rollout_by_hand(name, images):
    net = vision_models.make(name)
    heat = attributions.rollout(net, images, batch=2, progress=False)
    before = 0 if name == "siglip" else 1
    small = np.empty((N, 4, 4))
    weights = attention_by_hand(net, images)
    for i in range(N):
        total = np.eye(weights[0].shape[-1])
        for block in weights:
            total = 0.5 * (block[i].mean(0) + np.eye(len(total))) @ total
        small[i] = (total[0, 1:] if before else total.mean(0)).reshape(4, 4)
    np.testing.assert_allclose(heat.values, large(small), rtol=1e-4)
    assert (heat.values >= 0).all()
    assert not net.module._forward_hooks


def test_rollout_of_attention_that_is_not_fused(images):
    net = vision_models.make("vit")
    fused = attributions.rollout(net, images, progress=False)
    for block in net.module.blocks:
        block.attn.fused_attn = False
    np.testing.assert_allclose(attributions.rollout(net, images, progress=False), fused, rtol=1e-4)


def test_rollout_refuses(images):
    with pytest.raises(ValueError, match="net must attend over all tokens at once, got 'swin'"):
        attributions.rollout(vision_models.make("swin"), images, progress=False)
    with pytest.raises(ValueError, match="net must attend in each block, got 'convnext'"):
        attributions.rollout(vision_models.make("convnext"), images, progress=False)


def row_alignment(net, tokens_of, change, images, target, i):
    """Pearson of image i's cosines with the others and its row, its maps moved by ``change``: in double precision."""
    double = net.neck.double(), net.trunk.double()
    try:
        with torch.no_grad():
            X = net.neck(net.trunk(pixels_of(net, images).double())).flatten(1).numpy()
            hook = tokens_of.register_forward_hook(lambda _m, _a, out: out + change)
            own = net.neck(net.trunk(pixels_of(net, images[i : i + 1]).double())).flatten(1).numpy()[0]
            hook.remove()
    finally:
        for part in double:
            part.float()
    square = np.zeros((N, N))
    square[np.triu_indices(N, 1)] = target
    square += square.T
    others = np.arange(N) != i
    cosines = X[others] @ own / np.linalg.norm(X[others], axis=1) / np.linalg.norm(own)
    return np.corrcoef(cosines, square[i, others])[0, 1]


def test_grad_cam_of_an_alignment_by_differences(images, target):
    """The gradient over the patches is what small steps of each channel say."""
    net = vision_models.make("vit")
    heat = attributions.grad_cam(net, images, target, kind="similarity", batch=2, progress=False)
    block, i, step = net.module.blocks[0], 3, 1e-4
    tokens = behind(net, images, 0)[i, 1:]
    slope = np.empty(32)
    for k in range(32):
        change = torch.zeros(17, 32, dtype=torch.float64)
        change[1:, k] = step / 16  # the mean over patches of the gradient
        up, down = (row_alignment(net, block, sign * change, images, target, i) for sign in (1, -1))
        slope[k] = (up - down) / (2 * step)
    small = np.maximum(tokens @ slope, 0).reshape(4, 4)
    assert small.max() > 0
    np.testing.assert_allclose(heat.values[i], large(small[None])[0], rtol=2e-3, atol=2e-3 * small.max())


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_grad_cam_of_the_largest_logit_is_captums(name, images):
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    net = vision_models.make(name)
    heat = attributions.grad_cam(net, images, progress=False)
    block = net.module.get_submodule(parts.blocks_of(net.module)[-2].name)
    pixels = pixels_of(net, images).requires_grad_()
    largest = net.module(pixels).argmax(1)
    if name == "vit":  # captum's own mean is over all tokens: gradients are taken from it, weights by hand
        maps = captum.LayerActivation(net.module, block).attribute(pixels).detach()[:, 1:]
        gradients = captum.LayerGradientXActivation(net.module, block, multiply_by_inputs=False)
        slopes = gradients.attribute(pixels, target=largest).detach()[:, 1:]
        small = (slopes.mean(1, keepdim=True) * maps).sum(-1).relu().unflatten(1, (4, 4))
    else:
        maps = captum.LayerActivation(net.module, block).attribute(pixels).detach()
        gradients = captum.LayerGradientXActivation(net.module, block, multiply_by_inputs=False)
        slopes = gradients.attribute(pixels, target=largest).detach()
        small = (slopes.mean((1, 2), keepdim=True) * maps).sum(-1).relu()
    np.testing.assert_allclose(heat.values, large(small.double().numpy()), rtol=1e-3, atol=1e-5 * float(small.max()))


def test_grad_cam_of_a_convolution_and_refusals(images, target):
    net = vision_models.make("convnext")
    heat = attributions.grad_cam(net, images, target, kind="similarity", progress=False)
    assert heat.shape == (N, SIDE, SIDE)
    clip = vision_models.make("open_clip")
    with pytest.raises(ValueError, match="net must have a classifier"):
        attributions.grad_cam(clip, images)
    with pytest.raises(ValueError, match="target must be one target, got 2"):
        attributions.grad_cam(clip, images, np.stack([target, target]), kind="similarity")
    assert not any(parameter.requires_grad for parameter in net.module.parameters())


def test_heat_lies_where_the_planted_patch_is():
    """Images that differ in one patch alone are told apart there."""
    net = vision_models.make("siglip")
    grey = np.full((6, SIDE, SIDE, 3), 127, np.uint8)
    grey[:, 8:16, 16:24] = np.random.default_rng(3).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    target = np.random.default_rng(4).normal(size=15)
    scores = feature_maps.alignment_importance(
        net, grey, target, parts="channels", blocks=0, kind="similarity", per_image=True, progress=False
    )
    heat = heatmaps.heatmap(net, grey, scores, progress=False)
    inside = heat.values[:, 8:16, 16:24].mean((1, 2))
    outside = (heat.values.sum((1, 2)) - inside * 64) / (SIDE**2 - 64)
    assert (inside > outside)[~heat["empty"].values].all()
