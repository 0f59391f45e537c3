"""Heatmaps that others draw, as baselines beside :func:`secateur.heatmaps.heatmap`: attention rollout, Grad-CAM."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from ..features import Matrix
from ..targets import read_target
from .heatmaps import View, batches_of, coordinates_of, onto
from .images import read_images
from .network import Network, import_torch, placed
from .parts import as_maps, first_tensor, grid_of, numbered_blocks

if TYPE_CHECKING:
    import torch

    from .._typing import HostTargetLike, ImagesLike, NamesLike
    from ..targets import Kind

__all__ = ["grad_cam", "rollout"]


def _drawn(
    small: Matrix, names: NamesLike, views: list[View], net: Network, words: str, units: str
) -> xarray.DataArray:
    """Maps (images, h, w) in the size of the network's input, as heatmaps are."""
    coordinates = coordinates_of(names, views)
    coordinates["empty"] = ("image", ~small.any(axis=(1, 2)))
    whole = (0.0, 0.0, float(small.shape[2]), float(small.shape[1]))
    attrs = {
        "long_name": words, "units": units, "upsampling": "bilinear", "network": net.name,
        "maps": f"{small.shape[1]} × {small.shape[2]}",
    }  # fmt: skip
    large = onto(small, whole, views[0].size).astype(np.float32)
    return xarray.DataArray(large, coordinates, ("image", "y", "x"), "heatmap", attrs)


# Attention rollout ------------------------------------------------------------------------------------------------


def _watching(keep: Callable[[Any], None]) -> Any:
    """While it is entered, attention weights (B, heads, T, T) are handed on as they are computed."""
    torch = import_torch()
    base: Any = torch.overrides.TorchFunctionMode
    functional = torch.nn.functional
    softmaxes = (functional.softmax, torch.softmax, torch.Tensor.softmax)

    class Watching(base):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function is functional.scaled_dot_product_attention:
                keep(_weights(*args, **kwargs))
            out = function(*args, **kwargs)
            if function in softmaxes and out.ndim == 4:
                keep(out)
            return out

    return Watching()


def _weights(
    q: Any, k: Any, v: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, scale: Any = None,
    **more: Any,
) -> Any:  # fmt: skip
    """What scaled_dot_product_attention multiplies its values by."""
    torch = import_torch()
    scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return scores.softmax(-1)


def _own_weights(module: Any, args: Any, kwargs: Any) -> Any:
    """Attention weights of torch's own module, whose compiled path shows none."""
    torch = import_torch()
    x = args[0] if args else kwargs["query"]
    if not module.batch_first:
        x = x.transpose(0, 1)
    q, k, _ = torch.nn.functional.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
    q, k = (y.unflatten(-1, (module.num_heads, -1)).transpose(1, 2) for y in (q, k))
    return _weights(q, k, None)


def rollout(
    net: Network,
    images: ImagesLike,
    *,
    batch: int = 16,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> xarray.DataArray:
    """Attention rollout: how much of each patch reaches the class token, if attention were all that moves it.

    Weights are averaged over heads, half of each token is taken to stay where it is, and the blocks are multiplied. It
    knows no target: the same map whatever people judge. Where there is no class token, the mean over the patches.

    Parameters
    ----------
    net : Network
        Of blocks that all attend over all tokens, such as ViT, DeiT, DINOv2, CLIP and SigLIP; not Swin.
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes.
    batch : int
        Images at a time.
    device : str, optional
        Where to compute: as in :func:`secateur.networks.embed`.
    progress : bool
        A bar on stderr for runs of more than two seconds.

    Returns
    -------
    xarray.DataArray (image, y, x), float32
        Shares of the patches (they sum to at most 1 over the grid), as :func:`secateur.heatmaps.heatmap` lays them out.

    Raises
    ------
    ValueError
        Where a block has no attention, or one over windows; where ``batch`` is not positive, or torch does not see the
        device.

    References
    ----------
    Abnar & Zuidema (2020), Quantifying attention flow in transformers.

    Examples
    --------
    >>> from secateur import networks
    >>> net = networks.load("timm:vit_tiny_patch16_224", weights=None)              # doctest: +SKIP
    >>> heat = networks.attributions.rollout(net, "photographs/")                   # doctest: +SKIP
    """
    torch, pictures = import_torch(), read_images(images)
    blocks = numbered_blocks(net)
    views: list[View] = []
    found: list[Matrix] = []
    for b, block in enumerate(blocks):
        if block.attention is None:
            raise ValueError(f"net must attend in each block, got {net.name!r}, block {b}, which doesn't")
    with placed(net, device):
        for run in batches_of(net, pictures, batch, "rollout", progress):
            seen: list[list[Any]] = [[] for _ in blocks]
            _watch(net, run.pixels, seen)
            total: Any = None
            for b, weights in enumerate(seen):
                if len(weights) != 1 or weights[0].shape[0] != len(run.views):
                    raise ValueError(f"net must attend over all tokens at once, got {net.name!r}, block {b}")
                step = weights[0].double().mean(1)
                step = (step + torch.eye(step.shape[-1], dtype=step.dtype, device=step.device)) / 2
                total = step if total is None else step @ total
            height, width = run.views[0].size
            before, grid = grid_of(net, total, (height, width))
            rows = total[:, 0] if before and getattr(net.module, "has_class_token", True) else total[:, before:].mean(1)
            found.append(rows[:, before:].unflatten(-1, grid).cpu().numpy())
            views += run.views
    return _drawn(np.concatenate(found), list(pictures.names), views, net, "attention rollout", "share")


def _watch(net: Network, pixels: torch.Tensor, seen: list[list[Any]]) -> None:
    """The images through the network, each block's attention weights kept."""
    torch = import_torch()
    now: list[int | None] = [None]

    def keep(weights: Any) -> None:
        if now[0] is not None and weights.shape[-1] == weights.shape[-2]:
            seen[now[0]].append(weights)

    with ExitStack() as stack:

        def watch(b: int, module: Any) -> None:
            def begin(_module: Any, args: Any, kwargs: Any) -> None:
                if isinstance(module, torch.nn.MultiheadAttention):
                    seen[b].append(_own_weights(module, args, kwargs))
                else:
                    now[0] = b

            def end(_module: Any, _args: Any, _out: Any) -> None:
                now[0] = None

            stack.callback(module.register_forward_pre_hook(begin, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(end).remove)

        for b, block in enumerate(numbered_blocks(net)):
            if block.attention is not None:
                watch(b, net.module.get_submodule(block.attention.name))
        stack.enter_context(_watching(keep))
        net.part("trunk")(pixels)


# Grad-CAM -----------------------------------------------------------------------------------------------------------


def grad_cam(
    net: Network,
    images: ImagesLike,
    target: HostTargetLike | None = None,
    *,
    kind: Kind | None = None,
    block: int = -2,
    batch: int = 16,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> xarray.DataArray:
    """Grad-CAM: maps weighted by the mean of a score's gradient over each, what is negative cut off.

    Of a transformer the maps are what enters its last block, on the patches' grid: behind it, where a class token is
    read, nothing depends on the patches any more. Of any other network they are the last convolution's.

    Parameters
    ----------
    net : Network
        With trunk and neck; and a classifier, where no target is given.
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes: n images.
    target : any one target that :func:`secateur.alignment` takes, optional
        The score of an image is then the alignment of its row: Pearson's r of its cosine similarities with all other
        images, which are held fixed, and the target's. Without a target it is the largest logit.
    kind : {"similarity", "dissimilarity"}, optional
        What the target holds.
    block : int
        Behind which block the maps are taken, counted from 0, or from the end by negative numbers.
    batch : int
        Images at a time; their gradients take some times the memory of :func:`secateur.networks.embed`.
    device : str, optional
        Where to compute: as in :func:`secateur.networks.embed`.
    progress : bool
        A bar on stderr for runs of more than two seconds.

    Returns
    -------
    xarray.DataArray (image, y, x), float32
        As :func:`secateur.heatmaps.heatmap` lays it out, ``empty`` where nothing is positive.

    Raises
    ------
    TypeError, ValueError
        Where images, target and network do not fit one another; where the network has no classifier and no target is
        given; where ``batch`` is not positive, or torch does not see the device.

    References
    ----------
    Selvaraju et al. (2017), Grad-CAM. For transformers: Gildenblat's pytorch-grad-cam takes the last block's input too.

    Examples
    --------
    >>> from secateur import networks
    >>> net = networks.load("resnet18", weights=None)
    >>> pixels = np.random.default_rng(0).integers(0, 255, (2, 230, 230, 3)).astype(np.uint8)
    >>> networks.attributions.grad_cam(net, pixels).shape
    (2, 224, 224)
    """
    torch, pictures = import_torch(), read_images(images)
    n, names = len(pictures), list(pictures.names)
    layer = _layer_of(net, block)
    rows = None
    if target is None:
        net.part("classifier")
    else:
        targets = read_target(target, n, kind, None, tuple(map(str, names)) if pictures.named else None)
        if len(targets) != 1:
            raise ValueError(f"target must be one target, got {len(targets)}: draw each in turn")
        rows = _rows(targets.values[0], n)
        if not np.isfinite(rows).all():
            raise ValueError("target must be finite where gradients are taken of its rows, got NaN")
    found: list[Matrix] = []
    views: list[View] = []
    with placed(net, device):
        others = None
        if rows is not None:
            runs = batches_of(net, pictures, batch, "embedding", progress)
            others = torch.cat([_embedded(net, run.pixels) for run in runs]).clone()
        for run in batches_of(net, pictures, batch, "gradients", progress, gradients=True):
            maps, embedding = layer(run.pixels)
            if rows is None or others is None:
                score = net.part("classifier")(embedding).max(1).values
            else:
                at = range(len(views), len(views) + len(run.views))
                score = _row_alignment(embedding, others, rows, at)
            (gradient,) = torch.autograd.grad(score.sum(), maps[0])
            as_grid = maps[1]
            cam = (as_grid(gradient).mean((2, 3), keepdim=True) * as_grid(maps[0])).sum(1).relu()
            found.append(cam.detach().double().cpu().numpy())
            views += run.views
    what = "largest logit" if rows is None else "alignment of the image's row"
    return _drawn(np.concatenate(found), names, views, net, f"Grad-CAM of the {what}", "")


def _rows(values: Any, n: int) -> Matrix:
    """(n, n - 1): each stimulus' pairs with the others."""
    square = np.zeros((n, n))
    square[np.triu_indices(n, 1)] = values
    square += square.T
    return square[~np.eye(n, dtype=bool)].reshape(n, n - 1)


def _embedded(net: Network, pixels: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = net.part("neck")(net.part("trunk")(pixels)).float().flatten(1)
    return out


def _row_alignment(embedding: torch.Tensor, others: torch.Tensor, rows: Matrix, at: range) -> torch.Tensor:
    """Pearson's r of the similarities of some images with all others and their rows of the target."""
    torch = import_torch()
    cosines = torch.nn.functional.normalize(embedding, dim=1) @ torch.nn.functional.normalize(others, dim=1).T
    own = torch.zeros(cosines.shape, dtype=torch.bool)
    own[range(len(at)), list(at)] = True
    similarities = cosines[~own.to(cosines.device)].unflatten(0, (len(at), -1)).double()
    goal = torch.from_numpy(rows[at.start : at.stop]).to(similarities)
    a, b = (torch.nn.functional.normalize(x - x.mean(1, keepdim=True), dim=1) for x in (similarities, goal))
    return (a * b).sum(1)


def _layer_of(net: Network, block: int) -> Callable[[torch.Tensor], tuple[Any, torch.Tensor]]:
    """From images to (a layer's output, how it becomes maps) and the embedding that depends on it."""
    net.part("neck")

    def convolution(pixels: torch.Tensor) -> tuple[Any, torch.Tensor]:
        maps = net.part("trunk")(pixels).detach().requires_grad_()
        return (maps, lambda out: out), net.part("neck")(maps).float().flatten(1)

    try:
        blocks = numbered_blocks(net)
    except ValueError:
        return convolution
    if not any(one.attention for one in blocks):
        return convolution
    if not -len(blocks) <= block < len(blocks):
        raise ValueError(f"block must be one of {len(blocks)}, got {block}")
    own = blocks[block]

    def tokens(pixels: torch.Tensor) -> tuple[Any, torch.Tensor]:
        seen: list[Any] = []

        def keep(_module: Any, _args: Any, out: Any) -> Any:
            seen.append(first_tensor(out).detach().requires_grad_())
            return (seen[0], *out[1:]) if isinstance(out, (tuple, list)) else seen[0]

        handle = net.module.get_submodule(own.name).register_forward_hook(keep)
        try:
            embedding = _embedded(net, pixels)
        finally:
            handle.remove()
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        return (seen[0], lambda out: as_maps(net, own, out, size)), embedding

    return tokens
