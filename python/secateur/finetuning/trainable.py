"""A copy of a network of which a part learns."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..networks.network import Network, find_device, import_torch
from ..networks.steps import Steps, Undefined, directions

if TYPE_CHECKING:
    import torch

    from .trainer import DissimilarityTrainer

__all__ = ["TrainableNetwork", "TrainingError", "with_size", "within_memory"]


class TrainingError(RuntimeError):
    """A training that can't go on: its loss, a feature, or memory. The best network so far is kept."""


class TrainableNetwork:
    """A copy of the network in a line, with what learns in it."""

    def __init__(self, trainer: DissimilarityTrainer, copied: bool = True) -> None:
        torch = import_torch()
        net = trainer.net
        net.part("trunk"), net.part("neck")
        place = net.device if trainer.device is None else find_device(trainer.device)
        if copied:
            module, trunk, neck, classifier = copy.deepcopy((net.module, net.trunk, net.neck, net.classifier))
            net = replace(net, module=module, trunk=trunk, neck=neck, classifier=classifier)
            for part in (module, trunk, neck, classifier):
                if part is not None:
                    part.to(place)
        self.steps = Steps(with_size(net, trainer.size))
        self.layer, self.last = trainer.layer, self.steps.find(trainer.layer)
        frozen = {id(p) for p in self.steps.frozen(trainer.freeze)}
        before = [list(module.parameters()) for module in self.steps.modules[: self.last + 1]]
        free = [i for i, own in enumerate(before) if any(id(p) not in frozen for p in own)]
        if not free:
            raise ValueError(
                f"freeze must leave something to learn up to layer {trainer.layer!r}, got {trainer.freeze!r}"
            )
        self.cut = free[0]
        unique = {id(p): p for own in before for p in own if id(p) not in frozen}
        self.learning = list(unique.values())
        self.scored = self.steps.scored(self.cut, trainer.layers)
        self._all = torch.nn.ModuleList(self.steps.modules)
        self._free = set(unique)
        self._with_buffers = trainer.train_mode

    @contextmanager
    def training(self, train_mode: bool) -> Iterator[None]:
        """What learns has gradients, and is in training mode where that is wanted."""
        for p in self.learning:
            p.requires_grad_(True)
        for module in self.steps.modules[self.cut : self.last + 1] if train_mode else ():
            module.train()
        try:
            yield
        finally:
            for p in self.learning:
                p.requires_grad_(False)
            self._all.eval()

    def rows(self, features: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        try:
            return directions(features, names, self.layer)
        except (Undefined, FloatingPointError) as error:
            raise TrainingError(str(error)) from error

    def state(self) -> dict[str, Any]:
        """Copies of what learns."""
        found = {name: p for name, p in self._all.named_parameters() if id(p) in self._free}
        if self._with_buffers:
            found |= dict(self._all.named_buffers())
        return {name: value.detach().clone() for name, value in found.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put copies back."""
        torch = import_torch()
        own = {**dict(self._all.named_parameters()), **dict(self._all.named_buffers())}
        with torch.no_grad():
            for name, value in state.items():
                own[name].copy_(value)


def with_size(net: Network, size: int | None) -> Network:
    """The network with another size of its input."""
    if size is None:
        return net
    return replace(net, preprocessing=replace(net.preprocessing, resize=(int(size), int(size)), crop=None))


@contextmanager
def within_memory(batch: int) -> Iterator[None]:
    """A sentence where memory is short."""
    torch = import_torch()
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        short = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)
        if not short:
            raise
        raise TrainingError(
            f"batch must fit the memory, got {batch} pairs, which do not: lower batch or size"
        ) from error
