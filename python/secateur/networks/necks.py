"""What comes after the last convolution: embeddings of images with some of their feature maps masked.

Everything before is computed once. What is computed again depends on the network's neck:

pooled     a global average pool: a map is a feature, and masking it sets that feature to zero
rectified  per-map pooling, then Linear, ReLU, Linear, ReLU (VGG, AlexNet): the compiled core
any other  the neck itself, on masked maps in batches

On a CUDA device all of it stays there: maps, shares and weights are torch's tensors, the core reads and writes them as
they lie, and masked embeddings are left there for whoever takes similarities of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import _core
from ..execution import Execution
from ..features import CudaArray, Indices
from .network import maps_of, running

if TYPE_CHECKING:
    import torch

    from .images import Images
    from .network import Network

__all__ = [
    "Embeddings", "Mask", "Masking", "Neck", "PooledNeck", "RectifiedLayers", "RectifiedNeck", "Singles", "as_given",
    "inputs_of", "neck_of", "rectified_layers",
]  # fmt: skip

Singles = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
# (rows, n, d): an array, or a tensor on the CUDA device that the core works on.
Embeddings: TypeAlias = "Singles | CudaArray"

MEMORY = 1 << 29  # bytes of masked embeddings and their similarities at a time
DEVICE_MEMORY = 1 << 32  # the same on a CUDA device, where a quarter of what is free is no less
TILE = 128  # rows that the device multiplies together


def as_given(tensor: torch.Tensor) -> Embeddings:
    """A tensor as the core takes it: as it lies on a device, or as a numpy array."""
    given: Embeddings = tensor if tensor.is_cuda else tensor.numpy()
    return given


class Masking(ABC):
    """Images through a network with some of its parts masked, everything before them computed once.

    Attributes
    ----------
    n, count : int
        Images; parts that can be masked.
    embedding : (n, d) float32
        With all parts.
    execution : where the core works
        On a CUDA device what is made of the parts stays there; else it is brought to host memory.
    block : int
        Parts at a time.
    dim, coords : str, mapping
        What results call the parts.
    features, fill : str
        What they are, in words, and what a masked one is replaced by.
    """

    dim, features, fill = "map", "feature maps", "zero"

    def __init__(self, net: Network, place: torch.device, batch: int, memory: int | None, execution: Execution) -> None:
        self.net, self.place, self.batch, self.execution = net, place, batch, execution
        self.on_device = execution.memory is not None
        self.home = place if self.on_device else "cpu"
        self.embedding: Singles = np.asarray(self._whole().cpu().numpy())
        # The similarities of each masked embedding, n × n in double, are held with it.
        most = (memory or self._memory()) // (self.floats_each() * 4 * self.n + 8 * self.n**2)
        if self.on_device and most > TILE:
            most -= most % TILE
        self.block = int(np.clip(most, 1, self.count))

    n: int
    count: int

    @property
    def coords(self) -> dict[str, Any]:
        return {self.dim: np.arange(self.count)}

    def _memory(self) -> int:
        import torch

        if self.place.type != "cuda" or not self.on_device:
            return MEMORY
        return int(min(DEVICE_MEMORY, torch.cuda.mem_get_info(self.place)[0] // 4))

    def floats_each(self) -> int:
        """Floats that a masked embedding of an image takes while it is made."""
        return int(self.embedding.shape[1])

    @abstractmethod
    def _whole(self) -> torch.Tensor:
        """Embeddings (n, d) with all parts."""

    @abstractmethod
    def without_each(self, maps: Indices) -> Embeddings:
        """Embeddings (rows, n, d) of all images, each row with one of these parts masked."""

    @abstractmethod
    def inserted(self, images: Indices, order: Indices) -> Iterator[Embeddings]:
        """Embeddings (rows, images, d) with the first 1, 2, … parts of an order alone, some rows at a time."""

    @abstractmethod
    def keeping(self, images: Indices, kept: Mask) -> Singles:
        """Embeddings (images, d) with these parts alone, in host memory."""


class Neck(Masking):
    """A network's neck on the maps of some images, run as it is; a masked map is zero.

    Attributes
    ----------
    maps : tensor (n, M, h, w)
        Of the last convolution, after its ReLU.
    """

    def __init__(self, net: Network, maps: torch.Tensor, batch: int, memory: int | None, execution: Execution) -> None:
        self.maps = maps
        self.n, self.count = int(maps.shape[0]), int(maps.shape[1])
        super().__init__(net, maps.device, batch, memory, execution)

    def _whole(self) -> torch.Tensor:
        return self._run(self.maps)

    def _run(self, maps: torch.Tensor) -> torch.Tensor:
        """Embeddings (images, d)."""
        import torch

        with running():
            return torch.cat(
                [self.net.neck(part.clone()).float().flatten(1).to(self.home) for part in maps.split(self.batch)]
            )

    def without_each(self, maps: Indices) -> Embeddings:
        import torch

        out = torch.empty((len(maps), *self.embedding.shape), device=self.home)
        masked = self.maps.clone()
        for row, k in enumerate(maps.tolist()):
            masked[:, k] = 0
            out[row] = self._run(masked)
            masked[:, k] = self.maps[:, k]
        return as_given(out)

    def inserted(self, images: Indices, order: Indices) -> Iterator[Embeddings]:
        import torch

        maps = self.maps[torch.from_numpy(images)]
        present = torch.zeros_like(maps)
        for start in range(0, len(order), self.block):
            rows = []
            for k in order[start : start + self.block].tolist():
                present[:, k] = maps[:, k]
                rows.append(self._run(present))
            yield as_given(torch.stack(rows))

    def keeping(self, images: Indices, kept: Mask) -> Singles:
        import torch

        mask = torch.from_numpy(kept.astype(np.float32)).to(self.maps)
        embeddings = self._run(self.maps[torch.from_numpy(images)] * mask[:, None, None])
        return np.asarray(embeddings.cpu().numpy())


class PooledNeck(Neck):
    """A global average pool: the embedding is the pooled maps."""

    def _there(self, images: Indices | slice = slice(None)) -> torch.Tensor:
        """The embedding (images, d) where masked ones are made."""
        import torch

        return torch.from_numpy(self.embedding[images]).to(self.home)

    def without_each(self, maps: Indices) -> Embeddings:
        import torch

        out = self._there().repeat(len(maps), 1, 1)
        out[torch.arange(len(maps)), :, torch.from_numpy(maps)] = 0
        return as_given(out)

    def inserted(self, images: Indices, order: Indices) -> Iterator[Embeddings]:
        import torch

        embedding = self._there(images)
        step = torch.empty(self.count, dtype=torch.int64)
        step[torch.from_numpy(order)] = torch.arange(self.count)
        for start in range(0, len(order), self.block):
            rows = torch.arange(start, min(start + self.block, len(order)))
            present = (step <= rows[:, None, None]).to(self.home)
            yield as_given(torch.where(present, embedding, torch.zeros((), device=self.home)))

    def keeping(self, images: Indices, kept: Mask) -> Singles:
        return np.where(kept, self.embedding[images], np.float32(0))


class RectifiedNeck(Neck):
    """Pools that take each map by itself, then Linear, ReLU, Linear, ReLU: pooled maps (n, M, p), units (n, u), d.

    A map's share of the first layer is a product with its own p inputs. It is taken from the layer's stored
    pre-activation, and of the second layer only what the change moves is multiplied.
    """

    def __init__(
        self, net: Network, maps: torch.Tensor, batch: int, memory: int | None, layers: RectifiedLayers, execution:
        Execution,
    ) -> None:  # fmt: skip
        import torch

        home = maps.device if execution.memory is not None else "cpu"
        with running():
            self.pooled = torch.cat([layers.pool(part).flatten(2) for part in maps.split(batch)]).float().to(home)
            weights, self.bias, second, bias = (
                part.detach().float().to(home)
                for layer in (layers.first, layers.second)
                for part in (layer.weight, layer.bias)
            )
            self.first = weights.unflatten(1, (maps.shape[1], -1))  # (u, M, p)
            self.units = torch.addmm(self.bias, self.pooled.flatten(1), self.first.flatten(1).T)
            self.second = second.contiguous()
            self.outputs = torch.addmm(bias, self.units.relu(), self.second.T)
        if execution.memory is not None:  # a map's weights lie together
            self.first = self.first.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        layer = None if execution.memory is None else _core.cuda_load_layer(execution.memory, as_given(self.second))
        self.weights: Singles | _core.Layer = layer or np.asarray(as_given(self.second))
        super().__init__(net, maps, batch, memory, execution)

    def floats_each(self) -> int:
        return int(self.second.shape[0] + self.second.shape[1])

    def _run(self, maps: torch.Tensor) -> torch.Tensor:
        """The neck on all the maps: what both layers have computed."""
        return self.outputs.relu()

    def _shares(self, images: Any, maps: Indices) -> Any:
        """What each of some maps gives to the units: (rows, images, u)."""
        import torch

        if self.on_device:  # one product of all: small ones would wait for their launches
            chosen = torch.from_numpy(maps)
            return torch.bmm(self.pooled[images].transpose(0, 1)[chosen], self.first.permute(1, 2, 0)[chosen])
        out = torch.empty(len(maps), len(images), self.units.shape[1])
        for row, k in enumerate(maps.tolist()):
            torch.mm(self.pooled[images, k], self.first[:, k].contiguous().T, out=out[row])
        return out

    def _embed(self, images: Any, removed: torch.Tensor) -> Embeddings:
        """Embeddings (rows, images, d) when this (rows, images, u) is taken from the units."""
        import torch

        out = torch.empty((*removed.shape[:2], self.second.shape[0]), device=self.home) if removed.is_cuda else None
        units, outputs = (as_given(part[images]) for part in (self.units, self.outputs))
        return _core.masked_embeddings(units, as_given(removed), self.weights, outputs, self.execution.threads, out)

    def without_each(self, maps: Indices) -> Embeddings:
        import torch

        everyone = torch.arange(self.n)
        with running():
            return self._embed(everyone, self._shares(everyone, maps))

    def inserted(self, images: Indices, order: Indices) -> Iterator[Embeddings]:
        import torch

        chosen = torch.from_numpy(images)
        so_far = self.bias.expand(len(images), -1)
        for start in range(0, len(order), self.block):
            with running():
                units = self._shares(chosen, order[start : start + self.block])
                units[0] += so_far
                units.cumsum_(0)
                so_far = units[-1].clone()
                removed = torch.sub(self.units[chosen], units, out=units)
                embeddings = self._embed(chosen, removed)
            yield embeddings

    def keeping(self, images: Indices, kept: Mask) -> Singles:
        import torch

        chosen = torch.from_numpy(images)
        with running():
            mask = torch.from_numpy(kept.astype(np.float32)).to(self.home)
            pooled = self.pooled[chosen] * mask[:, None]
            units = torch.addmm(self.bias, pooled.flatten(1), self.first.flatten(1).T)
            embeddings: Any = self._embed(chosen, (self.units[chosen] - units)[None])
            return np.asarray(embeddings[0].cpu().numpy() if self.maps.is_cuda and self.on_device else embeddings[0])


@dataclass(frozen=True)
class RectifiedLayers:
    """The parts of a neck that the compiled core can take over."""

    pool: Any
    first: Any
    second: Any


def rectified_layers(neck: torch.nn.Module) -> RectifiedLayers | None:
    """The parts of a neck, if it is pools that take each map by itself, then Linear, ReLU, Linear, ReLU."""
    from torch import nn

    layers, waiting = [], [neck]
    while waiting:
        layer = waiting.pop(0)
        if type(layer) is nn.Sequential:
            waiting[:0] = list(layer)
        elif not isinstance(layer, (nn.Dropout, nn.Dropout2d, nn.Identity)):
            layers.append(layer)
    pools = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    kinds = (nn.Flatten, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU)
    before, after = layers[: -len(kinds)], layers[-len(kinds) :]
    if [type(layer) for layer in after] != list(kinds) or not all(type(layer) in pools for layer in before):
        return None
    flatten, first, _, second, _ = after
    if flatten.start_dim != 1 or flatten.end_dim != -1 or first.bias is None or second.bias is None:
        return None
    return RectifiedLayers(nn.Sequential(*before), first, second)


def inputs_of(net: Network, images: Images, batch: int) -> Iterator[torch.Tensor]:
    """The images as the network takes them (B, 3, H, W), some at a time."""
    import torch

    for start in range(0, len(images), batch):
        stop = min(start + batch, len(images))
        yield torch.stack([net.preprocessing(images[i]) for i in range(start, stop)])


def neck_of(net: Network, images: Images, batch: int, memory: int | None, execution: Execution) -> Neck:
    """The network's neck, on the maps of all images."""
    import torch

    with running():
        parts = [maps_of(net, pixels) for pixels in inputs_of(net, images, batch)]
    maps, neck = torch.cat(parts), net.part("neck")
    if net.pooled:
        return PooledNeck(net, maps, batch, memory, execution)
    layers = rectified_layers(neck)
    if layers is None:
        return Neck(net, maps, batch, memory, execution)
    return RectifiedNeck(net, maps, batch, memory, layers, execution)
