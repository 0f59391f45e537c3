"""What comes after the last convolution: embeddings of images with some of their feature maps masked.

Everything before is computed once. What is computed again depends on the network's neck:

pooled     a global average pool: a map is a feature, and masking it sets that feature to zero
rectified  per-map pooling, then Linear, ReLU, Linear, ReLU (VGG, AlexNet): the compiled core
any other  the neck itself, on masked maps in batches
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ..features import Indices
from .network import maps_of, running

if TYPE_CHECKING:
    import torch

    from .images import Images
    from .network import Network

__all__ = ["Mask", "Neck", "PooledNeck", "RectifiedLayers", "RectifiedNeck", "Singles", "neck_of", "rectified_layers"]

Singles = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class Neck:
    """A network's neck on the maps of some images, run as it is.

    Attributes
    ----------
    maps : tensor (n, M, h, w)
        Of the last convolution, after its ReLU.
    embedding : (n, d) float32
        With all maps.
    """

    def __init__(self, net: Network, maps: torch.Tensor, batch: int, memory: int) -> None:
        self.net, self.maps, self.batch = net, maps, batch
        self.n, self.count = int(maps.shape[0]), int(maps.shape[1])
        self.embedding: Singles = self._run(maps)
        # The similarities of each masked embedding, n × n in double, are held with it.
        self.block = int(np.clip(memory // (self.floats_each() * 4 * self.n + 8 * self.n**2), 1, self.count))

    def floats_each(self) -> int:
        """Floats that a masked embedding of an image takes while it is made."""
        return int(self.embedding.shape[1])

    def _run(self, maps: Any) -> Singles:
        import torch

        with running():
            parts = [self.net.neck(part.clone()).float().flatten(1).cpu() for part in maps.split(self.batch)]
        return np.asarray(torch.cat(parts).numpy())

    def without_each(self, maps: Indices) -> Singles:
        """Embeddings (rows, n, d) of all images, each row with one of these maps masked."""
        out = np.empty((len(maps), *self.embedding.shape), np.float32)
        masked = self.maps.clone()
        for row, k in enumerate(maps.tolist()):
            masked[:, k] = 0
            out[row] = self._run(masked)
            masked[:, k] = self.maps[:, k]
        return out

    def inserted(self, images: Indices, order: Indices) -> Iterator[Singles]:
        """Embeddings (rows, images, d) with the first 1, 2, … maps of an order alone, some rows at a time."""
        import torch

        maps = self.maps[torch.from_numpy(images)]
        present = torch.zeros_like(maps)
        for start in range(0, len(order), self.block):
            rows = []
            for k in order[start : start + self.block].tolist():
                present[:, k] = maps[:, k]
                rows.append(self._run(present))
            yield np.stack(rows)

    def keeping(self, images: Indices, kept: Mask) -> Singles:
        """Embeddings (images, d) with these maps alone."""
        import torch

        mask = torch.from_numpy(kept.astype(np.float32)).to(self.maps)
        return self._run(self.maps[torch.from_numpy(images)] * mask[:, None, None])


class PooledNeck(Neck):
    """A global average pool: the embedding is the pooled maps."""

    def without_each(self, maps: Indices) -> Singles:
        out = np.repeat(self.embedding[None], len(maps), axis=0)
        out[np.arange(len(maps)), :, maps] = 0
        return out

    def inserted(self, images: Indices, order: Indices) -> Iterator[Singles]:
        step = np.empty(self.count, dtype=np.int64)
        step[order] = np.arange(self.count)
        for start in range(0, len(order), self.block):
            rows = np.arange(start, min(start + self.block, len(order)))
            yield np.where(step <= rows[:, None, None], self.embedding[images], np.float32(0))

    def keeping(self, images: Indices, kept: Mask) -> Singles:
        return np.where(kept, self.embedding[images], np.float32(0))


class RectifiedNeck(Neck):
    """Pools that take each map by itself, then Linear, ReLU, Linear, ReLU: pooled maps (n, M, p), units (n, u), d.

    A map's share of the first layer is a product with its own p inputs. It is taken from the layer's stored
    pre-activation, and of the second layer only what the change moves is multiplied.
    """

    def __init__(
        self, net: Network, maps: torch.Tensor, batch: int, memory: int, layers: RectifiedLayers, threads: int
    ) -> None:
        import torch

        with torch.inference_mode():
            self.pooled = torch.cat([layers.pool(part).flatten(2) for part in maps.split(batch)]).float().cpu()
            weights, self.bias, second, bias = (
                part.detach().float().cpu()
                for layer in (layers.first, layers.second)
                for part in (layer.weight, layer.bias)
            )
            self.first = weights.unflatten(1, (maps.shape[1], -1))  # (u, M, p)
            self.units = torch.addmm(self.bias, self.pooled.flatten(1), self.first.flatten(1).T)
            self.second = second.contiguous()
            self.outputs = torch.addmm(bias, self.units.relu(), self.second.T)
        self.threads = threads
        super().__init__(net, maps, batch, memory)

    def floats_each(self) -> int:
        return int(self.second.shape[0] + self.second.shape[1])

    def _run(self, maps: Any) -> Singles:
        """The neck on all the maps: what both layers have computed."""
        return np.asarray(self.outputs.relu().numpy())

    def _shares(self, images: Any, maps: Indices) -> Any:
        """What each of some maps gives to the units: (rows, images, u)."""
        import torch

        out = torch.empty(len(maps), len(images), self.units.shape[1])
        for row, k in enumerate(maps.tolist()):
            torch.mm(self.pooled[images, k], self.first[:, k].contiguous().T, out=out[row])
        return out

    def _embed(self, images: Any, removed: Any) -> Singles:
        """Embeddings (rows, images, d) when this (rows, images, u) is taken from the units."""
        units, outputs = (part[images].numpy() for part in (self.units, self.outputs))
        return _core.masked_embeddings(units, removed.numpy(), self.second.numpy(), outputs, self.threads)

    def without_each(self, maps: Indices) -> Singles:
        import torch

        everyone = torch.arange(self.n)
        with torch.inference_mode():
            return self._embed(everyone, self._shares(everyone, maps))

    def inserted(self, images: Indices, order: Indices) -> Iterator[Singles]:
        import torch

        chosen = torch.from_numpy(images)
        so_far = self.bias.expand(len(images), -1)
        for start in range(0, len(order), self.block):
            with torch.inference_mode():
                units = self._shares(chosen, order[start : start + self.block])
                units[0] += so_far
                torch.cumsum(units, 0, out=units)
                so_far = units[-1].clone()
                removed = torch.sub(self.units[chosen], units, out=units)
            yield self._embed(chosen, removed)

    def keeping(self, images: Indices, kept: Mask) -> Singles:
        import torch

        chosen = torch.from_numpy(images)
        with torch.inference_mode():
            pooled = self.pooled[chosen] * torch.from_numpy(kept.astype(np.float32))[:, None]
            units = torch.addmm(self.bias, pooled.flatten(1), self.first.flatten(1).T)
            return np.asarray(self._embed(chosen, (self.units[chosen] - units)[None])[0])


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


def neck_of(net: Network, images: Images, batch: int, memory: int, threads: int) -> Neck:
    """The network's neck, on the maps of all images."""
    import torch

    parts = []
    with running():
        for start in range(0, len(images), batch):
            stop = min(start + batch, len(images))
            pixels = torch.stack([net.preprocessing(images[i]) for i in range(start, stop)])
            parts.append(maps_of(net, pixels))
    maps, neck = torch.cat(parts), net.part("neck")
    if net.pooled:
        return PooledNeck(net, maps, batch, memory)
    layers = rectified_layers(neck)
    if layers is None:
        return Neck(net, maps, batch, memory)
    return RectifiedNeck(net, maps, batch, memory, layers, threads)
