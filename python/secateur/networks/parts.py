"""Parts of transformers: residual channels, MLP neurons, attention heads, blocks; embeddings with some of them masked.

=============  ============================================  ==================  ===========================
parts          what is masked                                by default, by      what is computed again
=============  ============================================  ==================  ===========================
``channels``   a channel of the residual stream behind a     its mean over       what comes after that block
               block, the last one by default, in all        images, at each
               tokens                                        token
``neurons``    an input of the second layer of a block's     zero                that layer's output, and
               MLP, the last block's by default                                  what comes after it
``heads``      an attention head's input to the projection   zero                the projection's output, and
               behind it, in all blocks by default                               what comes after it
``blocks``     what a block adds to the residual stream      zero                what comes after that block
=============  ============================================  ==================  ===========================

A residual stream is never near zero: few channels are large in every image, and the normalisation that follows divides
by the length of all. A channel set to zero moves all the others in every image; one set to its mean over images loses
what it says about them, and no more. Heads, neurons and blocks add to the stream: without one (zero), it is as if the
network did not have it, which is what :func:`secateur.networks.pruned.apply` removes.

The network's own code runs, so that any of timm's, open_clip's and transformers' may come. What ended before the masked
part began is not run again: its modules answer with what they gave to one image, and the block that holds the part gets
what it got before. Before anything is masked, the embeddings of two images must come out of that as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..arguments import check_integer
from ..features import Indices
from .necks import Embeddings, Mask, Masking, Singles, as_given, inputs_of
from .network import Network, import_torch, running

if TYPE_CHECKING:
    import torch

    from ..execution import Execution
    from .images import Images

__all__ = [
    "PARTS", "Block", "Fill", "Part", "PartsNeck", "Sum", "as_maps", "blocks_of", "channels_axis", "chosen_blocks",
    "copy_of", "edited", "first_tensor", "grid_of", "numbered_blocks", "patch_maps",
]  # fmt: skip

Part = Literal["maps", "channels", "neurons", "heads", "blocks"]
Fill = Literal["mean", "zero"]
PARTS: Final[Mapping[Part, Fill]] = {
    "maps": "zero", "channels": "mean", "neurons": "zero", "heads": "zero", "blocks": "zero",
}  # fmt: skip

# What blocks call the module that attends or the MLP, and in it the layer whose inputs are heads or neurons.
_ATTENTIONS: Final = tuple(
    (name, inner)
    for name in ("attn", "self_attn", "attention", "self_attention")
    for inner in ("proj", "out_proj", "o_proj", "output.dense")
)
_MLPS: Final = (
    ("mlp", "fc2"), ("mlp", "c_proj"), ("mlp", "w3"), ("mlp", "weights_out"), ("mlp", "down_proj"), ("mlp", "2"),
    ("", "pwconv2"),
)  # fmt: skip
_FLOATS = (
    1 << 22
)  # of tokens that go through the end of a network at a time: more images than a batch where few are left


# What a network is made of ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sum:
    """A linear layer that adds up what parts of a block say: heads or neurons.

    Attributes
    ----------
    name : str
        The module of ``net.module`` that gives the sum: the MLP or the attention as a whole.
    linear : str
        The linear layer in it.
    count, size : int
        Parts; inputs of the layer that each has.
    """

    name: str
    linear: str
    count: int
    size: int


@dataclass(frozen=True)
class Block:
    """A block by its name in ``net.module``, and the sums in it that were found."""

    name: str
    attention: Sum | None
    mlp: Sum | None

    def sum_of(self, part: str) -> Sum | None:
        """The sum that heads or neurons are added up by; none for channels and blocks."""
        return {"heads": self.attention, "neurons": self.mlp}.get(part)


def _sum(module: Any, block: str, names: Sequence[tuple[str, str]]) -> Sum | None:
    """The first of these names that a block has."""
    nn = import_torch().nn
    for outer, inner in names:
        name = ".".join(filter(None, (block, outer)))
        linear = f"{name}.{inner}"
        try:
            layer = module.get_submodule(linear)
        except AttributeError:
            continue
        if not isinstance(layer, nn.Linear):
            continue
        count = layer.in_features
        if names is _ATTENTIONS:
            owner = module.get_submodule(name)
            own = [getattr(owner, key, None) for key in ("num_heads", "num_attention_heads", "n_heads")]
            count = next((int(number) for number in own if isinstance(number, int)), 0)
            if not count or layer.in_features % count:
                continue
        return Sum(name if outer else linear, linear, count, layer.in_features // count)
    return None


def blocks_of(module: torch.nn.Module) -> list[Block]:
    """The blocks of a network, in the order in which they are kept: numbered modules with an attention or an MLP."""
    found: list[Block] = []
    for name, _ in module.named_modules():
        if not name.rpartition(".")[2].isdigit() or (found and name.startswith(found[-1].name + ".")):
            continue
        block = Block(name, _sum(module, name, _ATTENTIONS), _sum(module, name, _MLPS))
        if block.attention or block.mlp:
            found.append(block)
    return found


def numbered_blocks(net: Network) -> list[Block]:
    """The blocks of a network; refused where it has none."""
    found = blocks_of(net.module)
    if not found:
        raise ValueError(f"net must have blocks with attention or an MLP, got {net.name!r}, in which none was found")
    return found


def chosen_blocks(net: Network, part: str, blocks: int | Sequence[int] | None) -> list[int]:
    """Positions of the blocks whose parts are asked for, in order; see :class:`PartsNeck`."""
    every = numbered_blocks(net)
    count, summed = len(every), part in ("heads", "neurons")
    if blocks is None:
        own = [b for b in range(count) if not summed or every[b].sum_of(part)]
        blocks = own if part in ("heads", "blocks") else own[-1:]
        if not blocks:
            raise ValueError(f"net must have {part} to mask them, got {net.name!r}, in which none was found")
    given = [blocks] if isinstance(blocks, (int, np.integer)) else list(blocks)
    chosen = sorted({check_integer("blocks", b, -count, count - 1) % count for b in given})
    if not chosen or len(chosen) < len(given) or (part == "channels" and len(chosen) > 1):
        raise ValueError(f"blocks must be {'one' if part == 'channels' else 'some, each once'}, got {blocks!r}")
    for b in chosen:
        if summed and every[b].sum_of(part) is None:
            raise ValueError(f"blocks must have {part}, got {b}, in which none were found ({every[b].name})")
    return chosen


def first_tensor(out: Any) -> Any:
    """What a module gave, or the first of it."""
    return out[0] if isinstance(out, (tuple, list)) else out


def grid_of(net: Network, tokens: torch.Tensor, size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """How many tokens (B, T, D) precede those of the patches, and the height and width of the patches' grid.

    From the stride of the first convolution; of networks that merge patches, the grid that is left.
    """
    nn = import_torch().nn
    stem = next((module for module in net.module.modules() if isinstance(module, nn.Conv2d)), None)
    count = int(tokens.shape[1])
    if stem is not None:
        grid = size[0] // stem.stride[0], size[1] // stem.stride[1]
        while prod(grid) > count:
            grid = grid[0] // 2, grid[1] // 2
        if prod(grid) and count - prod(grid) < min(prod(grid), 16) + 1:
            return count - prod(grid), grid
    raise ValueError(f"net must give a token for each patch, got {count} tokens from {net.name!r} for {size} pixels")


def channels_axis(module: torch.nn.Module, layer: str, out: torch.Tensor) -> int:
    """Which axis of a layer's output has the channels: the last of tokens, and of a block's maps if it is so there."""
    if out.ndim != 4:
        return -1
    own = next((block for block in blocks_of(module) if block.name == layer), None)
    if own is None or own.mlp is None:
        return 1
    width = module.get_submodule(own.mlp.linear).weight.shape[0]
    return 1 if out.shape[1] == width else -1


def as_maps(net: Network, block: Block, out: Any, size: tuple[int, int]) -> torch.Tensor:
    """Maps (B, channels, h, w) on the patches' grid of what a block gave to images of this height and width."""
    tokens: torch.Tensor = first_tensor(out)
    if tokens.ndim == 4:
        return tokens.movedim(channels_axis(net.module, block.name, tokens), 1)
    before, grid = grid_of(net, tokens, size)
    return tokens[:, before:].movedim(-1, 1).unflatten(-1, grid)


def patch_maps(net: Network, pixels: torch.Tensor, block: int = -1) -> torch.Tensor:
    """Channels of the residual stream behind a block, as maps (B, channels, h, w) on the patches' grid."""
    own, seen = numbered_blocks(net)[block], []
    module = net.module.get_submodule(own.name)
    handle = module.register_forward_hook(lambda _module, _args, out: seen.append(first_tensor(out).clone()))
    try:
        net.part("trunk")(pixels.to(net.device))
    finally:
        handle.remove()
    return as_maps(net, own, seen[-1], (int(pixels.shape[-2]), int(pixels.shape[-1])))


# A network's modules for a while ------------------------------------------------------------------------------------


@contextmanager
def _answering(module: torch.nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """A module that answers by a function for a while."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


@contextmanager
def _given(module: torch.nn.Module, value: Any) -> Iterator[None]:
    """A module whose first argument is this one."""

    def put(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (value, *args[1:]), kwargs
        return args, {**kwargs, next(iter(kwargs)): value}

    handle = module.register_forward_pre_hook(put, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def edited(module: torch.nn.Module, part: Sum, edit: Callable[[Any], Any]) -> Iterator[None]:
    """What a linear layer takes goes through a function first.

    torch's own attention does not call its projection: there it is left out (a product with ones on the diagonal), and
    made up for.
    """
    torch = import_torch()
    layer, owner = module.get_submodule(part.linear), module.get_submodule(part.name)
    if not isinstance(owner, torch.nn.MultiheadAttention):
        handle = layer.register_forward_pre_hook(lambda _module, args: (edit(args[0]), *args[1:]))
        try:
            yield
        finally:
            handle.remove()
        return
    weight, bias = layer.weight, layer.bias
    ones = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    identity, nothing = (torch.nn.Parameter(x, requires_grad=False) for x in (ones, torch.zeros_like(ones[0])))

    def forward(*args: Any, **kwargs: Any) -> Any:
        layer.weight, layer.bias = identity, None if bias is None else nothing
        try:
            heads, *rest = type(owner).forward(owner, *args, **kwargs)
        finally:
            layer.weight, layer.bias = weight, bias
        return torch.nn.functional.linear(edit(heads), weight, bias), *rest

    with _answering(owner, forward):
        yield


def copy_of(out: Any) -> Any:
    """An answer that the network may write on."""
    if isinstance(out, (tuple, list)):
        return type(out)(copy_of(one) for one in out)
    return out.clone() if hasattr(out, "clone") else out


# Embeddings without parts -------------------------------------------------------------------------------------------


class _State:
    """What went through a block with all images.

    Attributes
    ----------
    before : list of str
        Modules that had ended when the block began; in ``inside`` those of the block that matter to the part alone.
    entered : tensor
        The block's input, as it was.
    sums : tensor (n, P, D)
        What a part is taken from: the sum's output or the block's, at P positions.
    inputs : tensor (n, P, H)
        The parts: inputs of the linear layer, channels, or what the block adds.
    attended : tensor
        What the block's attention gave, as it was, where that is before the part.
    fill : tensor (P, H)
        What stands in place of masked parts.
    """

    def __init__(self, before: list[str], inside: list[str]) -> None:
        self.before, self.inside = before, inside
        self.kept: dict[str, list[Any]] = {}
        self.entered: Any = None
        self.sums: Any = None
        self.inputs: Any = None
        self.attended: Any = None
        self.fill: Any = None

    def keep(self, name: str, value: Any) -> None:
        self.kept.setdefault(name, []).append(value.clone())


class PartsNeck(Masking):
    """Images through a network some of whose parts are masked; see this module's description.

    Parameters
    ----------
    net, images, batch, memory, execution
        As for :func:`secateur.networks.necks.neck_of`.
    part : {"channels", "neurons", "heads", "blocks"}
        What is masked.
    blocks : int, sequence of int, or None
        Of which blocks, counted from 0, or from the end by negative numbers; None: the last for channels and neurons,
        all for heads and blocks.
    fill : {"mean", "zero"} or None
        What a masked part is replaced by; None: as the table says.
    """

    dim = "part"

    def __init__(
        self, net: Network, images: Images, part: Part, blocks: int | Sequence[int] | None, fill: Fill | None, batch:
        int | None, memory: int | None, execution: Execution,
    ) -> None:  # fmt: skip
        torch = import_torch()
        if fill not in (None, "mean", "zero"):
            raise ValueError(f"fill must be 'mean' or 'zero', got {fill!r}")
        self.net, self.module, self.n = net, net.module, len(images)
        self.part, self.fill = part, fill or PARTS[part]
        self.all = numbered_blocks(net)
        self.chosen = chosen_blocks(net, part, blocks)
        with running():
            self._try_one(net.preprocessing(images[0])[None].to(net.device))
            self.states = [_State(*self._early(b)) for b in self.chosen]
            batches = inputs_of(net, images, batch or 32)
            self.whole = torch.cat([self._kept(pixels.to(net.device)) for pixels in batches])
            for b, state in zip(self.chosen, self.states):
                self._settle(b, state)
        widths = [
            self._size(b) if part == "blocks" else int(s.inputs.shape[2]) for b, s in zip(self.chosen, self.states)
        ]
        counts = [width // self._size(b) for b, width in zip(self.chosen, widths)]
        self.place_of = np.repeat(np.arange(len(counts)), counts)
        self.index = np.concatenate([np.arange(count) for count in counts])
        self.count = len(self.index)
        self.tokens: int | None = None
        with running():
            for place in range(len(self.chosen)):
                self._check(place)
            self._shorten()
        last = self.states[-1].sums
        self.sequences = max(batch or 32, _FLOATS // ((self.tokens or last.shape[1]) * last.shape[2]))
        super().__init__(net, net.device, batch or 32, memory, execution)

    def _sum(self, b: int) -> Sum | None:
        return self.all[b].sum_of(self.part)

    def _size(self, b: int) -> int:
        part = self._sum(b)
        return 1 if part is None else part.size

    @property
    def features(self) -> str:  # type: ignore[override]
        return f"{self.part}, masked by {'their mean over images' if self.fill == 'mean' else 'zero'}"

    @property
    def coords(self) -> dict[str, Any]:
        of = np.asarray(self.chosen)[self.place_of]
        word = self.part.removesuffix("s")
        names = [f"block {b}" if self.part == "blocks" else f"block {b} {word} {i}" for b, i in zip(of, self.index)]
        return {"part": np.asarray(names), "block": ("part", of), "index": ("part", self.index)}

    # What is kept

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, d), by the network's own code."""
        out: torch.Tensor = self.net.part("neck")(self.net.part("trunk")(pixels)).float().flatten(1)
        return out

    def _try_one(self, pixels: torch.Tensor) -> None:
        """One image through the network: when each module began and ended, how often, and what it gave."""
        self.pixels = pixels
        self.began: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self.gave: dict[str, Any] = {}
        calls: dict[str, int] = {}
        clock = iter(range(1 << 62))

        def watch(name: str, module: Any) -> list[Any]:
            def begin(_module: Any, _args: Any) -> None:
                calls[name] = calls.get(name, 0) + 1
                self.began.setdefault(name, next(clock))

            def end(_module: Any, _args: Any, out: Any) -> None:
                self.ended[name], self.gave[name] = next(clock), copy_of(out)

            return [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]

        handles = [handle for name, module in self.module.named_modules() for handle in watch(name, module)]
        try:
            self._embed(pixels)
        finally:
            for handle in handles:
                handle.remove()
        self.once = [name for name, count in calls.items() if count == 1 and name in self.ended]

    def _early(self, b: int) -> tuple[list[str], list[str]]:
        """Modules that need not run again: before the block, and in it before the part."""
        block, part, attention = self.all[b].name, self._sum(b), self.all[b].attention
        if block not in self.once:
            raise ValueError(f"net must run each of its blocks once, got {self.net.name!r}, {block!r}")
        before = _outermost([name for name in self.once if self.ended[name] < self.began[block]])
        if part is None:
            return before, []
        own = {part.name, attention.name if attention else part.name}
        early = [
            name
            for name in self.once
            if name.startswith(f"{block}.") and self.ended[name] < self.began[part.name]
            and not any(name == one or name.startswith(f"{one}.") for one in own)
        ]  # fmt: skip
        # The scale of a residual branch acts on what is put in its place.
        scales = ("Scale", "DropPath", "Identity", "Dropout")
        kind = {name: type(self.module.get_submodule(name)).__name__ for name in early}
        return before, [name for name in _outermost(early) if not any(word in kind[name] for word in scales)]

    def _kept(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, d); what goes through the chosen blocks is kept."""
        with ExitStack() as stack:
            for b, state in zip(self.chosen, self.states):
                block, part, attention = self.all[b], self._sum(b), self.all[b].attention

                def entered(_module: Any, args: Any, kwargs: Any, state: _State = state) -> None:
                    state.keep("entered", first_tensor(args or list(kwargs.values())))

                def gave(name: str, of: str, state: _State = state) -> None:
                    module = self.module.get_submodule(of)
                    hook = module.register_forward_hook(lambda _module, _args, out: state.keep(name, first_tensor(out)))
                    stack.callback(hook.remove)

                def came(inputs: Any, state: _State = state) -> Any:
                    state.keep("inputs", inputs)
                    return inputs

                hook = self.module.get_submodule(block.name).register_forward_pre_hook(entered, with_kwargs=True)
                stack.callback(hook.remove)
                gave("sums", block.name if part is None else part.name)
                if part is not None:
                    stack.enter_context(edited(self.module, part, came))
                if self.part == "neurons" and attention is not None:
                    gave("attended", attention.name)
            return self._embed(pixels)

    def _settle(self, b: int, state: _State) -> None:
        """What was kept batch by batch, as it is used."""
        torch, part = import_torch(), self._sum(b)
        found = {name: torch.cat(values) for name, values in state.kept.items()}
        state.kept = {}
        state.entered = found["entered"]
        state.sums = self._folded(found["sums"], -1 if part is not None else self._axis(b))
        if "attended" in found:
            state.attended = self._folded(found["attended"])
        if part is not None:
            state.inputs = found["inputs"].reshape(self.n, -1, found["inputs"].shape[-1])
            made = torch.nn.functional.linear(state.inputs[:1], *self._layer(part))
            if made.shape != state.sums[:1].shape or not _close(made, state.sums[:1]):
                raise ValueError(
                    f"net must give what its layer {part.linear!r} gives from {part.name!r}, got otherwise"
                )
        else:
            state.inputs = state.sums
            if self.part == "blocks":
                entered = self._folded(state.entered, self._axis(b))
                if entered.shape != state.sums.shape:
                    raise ValueError(f"blocks must add to what they get, got another shape from {self.all[b].name!r}")
                state.inputs = state.sums - entered
        state.fill = state.inputs.mean(0) if self.fill == "mean" else torch.zeros_like(state.inputs[0])

    def _layer(self, part: Sum) -> tuple[Any, Any]:
        layer = self.module.get_submodule(part.linear)
        return layer.weight, layer.bias

    def _axis(self, b: int) -> int:
        """Which axis of a block's output has the channels."""
        name = self.all[b].name
        return channels_axis(self.module, name, first_tensor(self.gave[name]))

    def _folded(self, out: torch.Tensor, axis: int = -1) -> torch.Tensor:
        """(n, positions, channels) of what a module gave, which may be windows or maps."""
        moved = out.movedim(axis, -1)
        return moved.reshape(self.n, -1, moved.shape[-1])

    def _unfolded(self, values: torch.Tensor, name: str, axis: int = -1) -> Any:
        """(B, positions, channels) as the module gives it, with what else it gives."""
        gave = self.gave[name]
        shape = first_tensor(gave).movedim(axis, -1).shape
        whole = values.shape[1] == shape[:-1].numel()
        out = (values.reshape(-1, *shape[1:]) if whole else values).movedim(-1, axis)
        return (out, *gave[1:]) if isinstance(gave, (tuple, list)) else out

    # What is run again

    @contextmanager
    def _without_earlier(self, place: int, images: torch.Tensor, sums: torch.Tensor) -> Iterator[None]:
        """The network begins with these sums (B, positions, channels) of a block, of these images."""
        b, state = self.chosen[place], self.states[place]
        block, part, tokens = self.all[b], self._sum(b), slice(0, sums.shape[1])
        with ExitStack() as stack:

            def answer(name: str, out: Any) -> None:
                stack.enter_context(_answering(self.module.get_submodule(name), lambda *_args, **_more: copy_of(out)))

            for name in (*state.before, *state.inside):
                answer(name, self.gave[name])
            if part is None:
                answer(block.name, self._unfolded(sums, block.name, self._axis(b)))
            else:
                entered = state.entered[images]
                entered = entered[:, tokens] if entered.ndim == 3 else entered
                stack.enter_context(_given(self.module.get_submodule(block.name), entered))
                answer(part.name, self._unfolded(sums, part.name))
                if state.attended is not None and block.attention is not None:
                    attended = state.attended[images][:, tokens]
                    answer(block.attention.name, self._unfolded(attended, block.attention.name))
            yield

    def _end(self, place: int, images: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, d) of images with these sums in a block: what comes after it is run."""
        with self._without_earlier(place, images, sums):
            return self._embed(self.pixels)

    def _check(self, place: int) -> None:
        """Refuse a network whose images don't come out as they were."""
        state, two = self.states[place], import_torch().arange(2)
        for inside in (state.inside, []):
            state.inside = inside
            try:
                if _close(self._end(place, two, state.sums[:2]), self.whole[:2]):
                    return
            except (RuntimeError, IndexError, TypeError):  # what it does with one image's answers, it can't with two
                continue
        raise ValueError(
            f"net must give the same from its block {self.chosen[place]} on as from the images, got otherwise from "
            f"{self.net.name!r}: does something pass that block by?"
        )

    def _shorten(self) -> None:
        """Where the embedding is made from the first token alone, the others need not go through the end."""
        state, two, last = self.states[-1], import_torch().arange(2), len(self.states) - 1
        if self.chosen[-1] < len(self.all) - 1 or first_tensor(self.gave[self.all[-1].name]).ndim != 3:
            return
        try:
            if _close(self._end(last, two, state.sums[:2, :1]), self.whole[:2]):
                self.tokens = 1
        except (RuntimeError, IndexError, TypeError):  # it needs them all
            return

    def _whole(self) -> torch.Tensor:
        return self.whole.to(self.home)

    def _tokens(self, place: int) -> slice:
        """The positions that go through the end from a block on."""
        return slice(0, self.tokens if place == len(self.states) - 1 else None)

    def _shares(self, place: int, images: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        """What each of some parts gives to the sums of one image each, less what stands in its place: (B, P, D)."""
        torch, b, state, at = import_torch(), self.chosen[place], self.states[place], self._tokens(place)
        part = self._sum(b)
        if part is None:
            raise AssertionError("channels and blocks are no sums")
        inputs = state.inputs[:, at].unflatten(-1, (-1, part.size))[images, :, parts]  # (B, P, size)
        fill = state.fill[at].unflatten(-1, (-1, part.size))[:, parts].movedim(1, 0)
        weights = self._layer(part)[0].unflatten(1, (-1, part.size))[:, parts].permute(1, 2, 0)
        return torch.bmm(inputs - fill, weights)

    def _changed(self, place: int, images: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        """Sums (B, P, D) of some images, one part of each masked."""
        torch, state, at = import_torch(), self.states[place], self._tokens(place)
        sums = state.sums[images][:, at]
        if self.part == "blocks":
            return sums - state.inputs[images][:, at] + state.fill[at]
        if self.part == "channels":
            sums[torch.arange(len(sums)), :, parts] = state.fill[at][:, parts].T
            return sums
        return sums - self._shares(place, images, parts)

    def without_each(self, maps: Indices) -> Embeddings:
        torch = import_torch()
        out = torch.empty((len(maps), *self.embedding.shape), device=self.home)
        with running():
            for place in np.unique(self.place_of[maps]).tolist():
                rows = np.flatnonzero(self.place_of[maps] == place)
                row, image = (np.ravel(x) for x in np.meshgrid(rows, np.arange(self.n), indexing="ij"))
                parts = torch.from_numpy(self.index[maps[row]])
                for at in torch.arange(len(row)).split(self.sequences):
                    images = torch.from_numpy(image)[at]
                    found = self._end(place, images, self._changed(place, images, parts[at]))
                    out[torch.from_numpy(row)[at], images] = found.to(self.home)
        return as_given(out)

    def inserted(self, images: Indices, order: Indices) -> Iterator[Embeddings]:
        torch = import_torch()
        if len(self.states) > 1 or self.part == "blocks":
            for start in range(0, len(order), self.block):
                rows = []
                for stop in range(start + 1, min(start + self.block, len(order)) + 1):
                    kept = np.zeros(self.count, dtype=bool)
                    kept[order[:stop]] = True
                    rows.append(self._masked(images, kept))
                yield as_given(torch.stack(rows).to(self.home))
            return
        chosen, at, state = torch.from_numpy(images), self._tokens(0), self.states[0]
        own, step = state.sums[chosen][:, at], max(1, self.sequences // len(images))
        with running():
            present = self._dropped(0, chosen, np.ones(self.count, dtype=bool))
        for start in range(0, len(order), self.block):
            rows = []
            for first in range(start, min(start + self.block, len(order)), step):
                parts = torch.from_numpy(self.index[order[first : min(first + step, start + self.block)]])
                with running():
                    if self.part == "channels":
                        sums = present.repeat(len(parts), 1, 1, 1)
                        for row, k in enumerate(parts.tolist()):
                            sums[row:, :, :, k] = own[:, :, k]
                    else:
                        each = torch.arange(len(images)).repeat(len(parts))
                        shares = self._shares(0, chosen[each], parts.repeat_interleave(len(images)))
                        sums = present + shares.unflatten(0, (len(parts), -1)).cumsum(0)
                    present = sums[-1].clone()
                    found = self._end(0, chosen.repeat(len(parts)), sums.flatten(0, 1))
                rows.append(found.unflatten(0, (len(parts), -1)).to(self.home))
            yield as_given(torch.cat(rows))

    def keeping(self, images: Indices, kept: Mask) -> Singles:
        return np.asarray(self._masked(images, kept).cpu().numpy())

    def _dropped(self, place: int, images: torch.Tensor, drop: Mask) -> torch.Tensor:
        """Sums (B, P, D) of a block with some of its own parts masked."""
        torch, b, state, at = import_torch(), self.chosen[place], self.states[place], self._tokens(place)
        part, sums, inputs = self._sum(b), state.sums[images][:, at], state.inputs[images][:, at]
        if self.part == "blocks":
            return sums - inputs + state.fill[at]
        mask = torch.from_numpy(np.repeat(drop, self._size(b))).to(sums.device)
        if part is None:
            return torch.where(mask, state.fill[at], sums)
        return sums - torch.nn.functional.linear((inputs - state.fill[at]) * mask, self._layer(part)[0])

    @contextmanager
    def _later(self, place: int, drop: Mask) -> Iterator[None]:
        """A block that runs, with some of its own parts masked."""
        torch, b, state = import_torch(), self.chosen[place], self.states[place]
        part = self._sum(b)
        if part is None:
            name = self.all[b].name
            fill = first_tensor(self._unfolded(state.fill[None], name, self._axis(b)))
            gave = self.gave[name]

            def passed(*args: Any, **kwargs: Any) -> Any:
                out = first_tensor(args or list(kwargs.values())) + fill
                return (out, *gave[1:]) if isinstance(gave, (tuple, list)) else out

            with _answering(self.module.get_submodule(name), passed):
                yield
            return
        mask = torch.from_numpy(np.repeat(drop, part.size)).to(state.fill.device)

        def edit(inputs: Any) -> Any:
            rows = inputs.reshape(-1, *state.fill.shape)
            return torch.where(mask, state.fill, rows).reshape(inputs.shape)

        with edited(self.module, part, edit):
            yield

    def _masked(self, images: Indices, kept: Mask) -> torch.Tensor:
        """Embeddings (images, d) with these parts alone."""
        torch = import_torch()
        drops = [~kept[self.place_of == place] for place in range(len(self.states))]
        masked = [place for place, drop in enumerate(drops) if drop.any()]
        if not masked:
            return self.whole[torch.from_numpy(images)]
        first, *later = masked
        with running(), ExitStack() as stack:
            for place in later:
                stack.enter_context(self._later(place, drops[place]))
            return torch.cat(
                [
                    self._end(first, some, self._dropped(first, some, drops[first]))
                    for some in torch.from_numpy(images).split(self.sequences)
                ]
            )


def _outermost(names: list[str]) -> list[str]:
    """Modules that are in none of the others."""
    within = set(names)
    return [
        name for name in names if name and not any(name[:i] in within for i, letter in enumerate(name) if letter == ".")
    ]


def _close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(a.shape == b.shape and import_torch().allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max())))
