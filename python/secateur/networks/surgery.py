"""Transformers without some of their heads, neurons, channels or blocks: weights set to zero, or smaller layers."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .modules import make, masked
from .necks import Mask
from .network import Network, import_torch, noise, running, same
from .parts import Block, Sum, channels_axis, chosen_blocks, first_tensor, numbered_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

__all__ = ["counts_of", "shared_copy", "without_classifier", "without_parts"]


def shared_copy(net: Network) -> Network:
    """A network of new modules that share all weights with another's."""
    own = (net.module, net.trunk, net.neck, net.classifier)
    tensors = [t for part in own if part is not None for t in (*part.parameters(), *part.buffers())]
    module, trunk, neck, classifier = copy.deepcopy(own, {id(tensor): tensor for tensor in tensors})
    return replace(net, module=module, trunk=trunk, neck=neck, classifier=classifier)


def without_classifier(net: Network) -> Network:
    """A network whose trunk and neck no longer hold the classifier, where they did so without a use for it."""
    torch, bare = import_torch(), shared_copy(net)
    classifier, spare = bare.part("classifier"), 0
    for part in (bare.part("trunk"), bare.part("neck")):
        for name, module in list(part.named_modules()):
            if name and module is classifier:
                _put(part, name, torch.nn.Identity())
                spare += 1
    return bare if spare and _agree(bare, net) else net


def counts_of(net: Network, part: str, blocks: int | Sequence[int] | None) -> list[tuple[int, int]]:
    """(block, parts in it) of the blocks that are asked for, as alignment importance counts them."""
    every, found = numbered_blocks(net), []
    for b in chosen_blocks(net, part, blocks):
        own = every[b].sum_of(part)
        found.append((b, 1 if part == "blocks" else own.count if own else _output(net, every[b])[1]))
    return found


def _answer(net: Network, name: str) -> Any:
    """What a module gives to one image of noise."""
    seen: list[Any] = []
    hook = net.module.get_submodule(name).register_forward_hook(lambda _module, _args, out: seen.append(out))
    try:
        with running():
            net.part("trunk")(noise(net.preprocessing.crop or 224).to(net.device))
    finally:
        hook.remove()
    return seen[-1]


def _output(net: Network, block: Block) -> tuple[int, int]:
    """Which axis of a block's output has the channels, and how many there are."""
    out = first_tensor(_answer(net, block.name))
    axis = channels_axis(net.module, block.name, out)
    return axis, int(out.shape[axis])


def without_parts(net: Network, part: str, blocks: int | Sequence[int] | None, kept: Mask, how: str) -> Network:
    """A network with some parts alone.

    Parameters
    ----------
    net, part, blocks
        As in :func:`secateur.feature_maps.alignment_importance`.
    kept : (count,) bool
        Of all those parts, in their order.
    how : {"zero", "remove"}
        Whether the others' weights are set to zero, or layers get smaller.

    Returns
    -------
    Network
        It shares the weights of all other layers.

    Raises
    ------
    ValueError
        Where the parts of a block can't be removed.
    """
    torch, made, start = import_torch(), shared_copy(net), 0
    every = numbered_blocks(net)
    zero = made if how == "zero" else without_parts(net, part, blocks, kept, "zero")
    for b, count in counts_of(net, part, blocks):
        own, sums = kept[start : start + count], every[b].sum_of(part)
        start += count
        if own.all():
            continue
        if sums is None and part == "blocks":
            _put(made.module, every[b].name, _passing(net, every[b]))
        elif sums is None:
            if how == "remove":
                raise ValueError("how must be 'zero' for channels, got 'remove': the norm behind them counts them all")
            _mask_output(made, every[b], own)
        elif how == "zero":
            layer = made.module.get_submodule(sums.linear)
            weight = layer.weight.detach().clone()
            weight[:, torch.from_numpy(np.repeat(~own, sums.size)).to(weight.device)] = 0
            layer.weight = torch.nn.Parameter(weight, requires_grad=False)
        else:
            _shrink(made, net, every[b], sums, own)
    if how == "remove" and not _agree(made, zero):
        raise ValueError(
            f"how must be 'zero' for {part} of {net.name!r}, got 'remove': without them its layers give something else"
        )
    return made


def _agree(one: Network, other: Network) -> bool:
    """Whether two networks give the same embedding of one image of noise."""
    x = noise(one.preprocessing.crop or 224).to(one.device)
    with running():
        try:
            a, b = (net.part("neck")(net.part("trunk")(x)) for net in (one, other))
        except (RuntimeError, IndexError, TypeError):  # the smaller layers don't fit one another
            return False
    return same(a, b)


def _put(module: torch.nn.Module, name: str, new: torch.nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(module.get_submodule(parent) if parent else module, own, new)


def _passing(net: Network, block: Block) -> torch.nn.Module:
    """A block that adds nothing, in the form in which the other answers."""
    return make("Passing", _more(_answer(net, block.name)))


def _more(gave: Any) -> int | None:
    """How many values came after the first; None: it was no tuple."""
    return len(gave) - 1 if isinstance(gave, tuple) else None


def _mask_output(net: Network, block: Block, own: Mask) -> None:
    """Channels of what a block gives are set to zero, by a hook that copies keep."""
    torch = import_torch()
    axis, _ = _output(net, block)
    module = net.module.get_submodule(block.name)
    module.register_buffer("kept_channels", torch.from_numpy(own.astype(np.float32)).to(net.device))
    module.register_forward_hook(partial(masked, axis))


def _rows(layer: Any, rows: Any) -> Any:
    """A linear layer with some of its outputs."""
    torch = import_torch()
    new = torch.nn.Linear(layer.in_features, len(rows), bias=layer.bias is not None, device="meta")
    new.weight = torch.nn.Parameter(layer.weight[rows].detach().clone(), requires_grad=False)
    if layer.bias is not None:
        new.bias = torch.nn.Parameter(layer.bias[rows].detach().clone(), requires_grad=False)
    return new


def _columns(layer: Any, columns: Any) -> Any:
    """A linear layer with some of its inputs."""
    torch = import_torch()
    new = torch.nn.Linear(len(columns), layer.out_features, bias=layer.bias is not None, device="meta")
    new.weight = torch.nn.Parameter(layer.weight[:, columns].detach().clone(), requires_grad=False)
    if layer.bias is not None:
        new.bias = layer.bias
    return new


def _shrink(net: Network, origin: Network, block: Block, sums: Sum, own: Mask) -> None:
    """The layers around some parts of a block, without those that are not kept."""
    torch, module = import_torch(), net.module
    old = module.get_submodule(sums.linear)
    inputs = torch.from_numpy(np.flatnonzero(np.repeat(own, sums.size))).to(old.weight.device)
    owner = module.get_submodule(sums.name if sums.name != sums.linear else block.name)
    if isinstance(owner, torch.nn.MultiheadAttention):
        raise ValueError(
            "how must be 'zero' for heads of torch's own attention, got 'remove': its width is that of its input"
        )
    if not own.any():
        _put(module, sums.name, _constant(old, _answer(origin, sums.name)))
        return
    width, made = old.in_features, 0
    for name, layer in list(owner.named_modules()):
        if not isinstance(layer, torch.nn.Linear) or layer is old or layer.out_features % width:
            continue
        copies = torch.arange(layer.out_features // width, device=inputs.device)[:, None] * width
        _put(owner, name, _rows(layer, (copies + inputs).flatten()))
        made += 1
    if not made:
        raise ValueError(f"how must be 'zero' for {sums.name!r}, got 'remove': no layer was found that makes its parts")
    _put(module, sums.linear, _columns(old, inputs))
    if sums is block.attention:
        left, heads = int(own.sum()), torch.from_numpy(np.flatnonzero(own)).to(inputs.device)
        numbers = {"num_heads": left, "num_attention_heads": left, "attn_dim": left * sums.size}
        for inner in owner.modules():
            for name, value in numbers.items():
                if isinstance(vars(inner).get(name), int):
                    setattr(inner, name, value)
            table = getattr(inner, "relative_position_bias_table", None)  # Swin's: a column for each head
            if table is not None:
                inner.relative_position_bias_table = torch.nn.Parameter(table[:, heads].detach().clone(), False)


def _constant(layer: Any, gave: Any) -> torch.nn.Module:
    """What is left where no part is: the bias."""
    torch = import_torch()
    bias = layer.bias if layer.bias is not None else torch.nn.Parameter(layer.weight[:, 0] * 0, False)
    return make("Constant", bias, _more(gave))
