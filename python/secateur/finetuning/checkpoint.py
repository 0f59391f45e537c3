"""Where a training stands, and its file, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..atomic import whole_file
from ..networks.network import import_torch
from ..networks.weights import saved_by_torch

if TYPE_CHECKING:
    import torch

    from .trainable import TrainableNetwork

__all__ = ["Checkpoint", "Progress"]

_FORMAT: Final = "secateur fine-tuning 1"


@dataclass
class Progress:
    """Where a training stands; all of it is in a checkpoint."""

    epoch: int = 0
    loss: list[float] = field(default_factory=list)
    alignment: list[list[float]] = field(default_factory=list)
    undefined: list[list[int]] = field(default_factory=list)
    best: tuple[int, int] | None = None
    """Epoch and layer, by position."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What learns, as it was at the best epoch."""


@dataclass(frozen=True)
class Checkpoint:
    """A training in a file."""

    path: Path
    recipe: str

    def write(
        self, line: TrainableNetwork, optimiser: torch.optim.Optimizer, rng: np.random.Generator, at: Progress
    ) -> None:
        stored = json.dumps({
            "rng": rng.bit_generator.state, "epoch": at.epoch, "loss": at.loss, "alignment": at.alignment,
            "undefined": at.undefined, "best": at.best,
        })  # fmt: skip
        content = {"format": _FORMAT, "recipe": self.recipe, "progress": stored, "state": line.state(), "best": at.kept}
        with whole_file(self.path) as draft:
            import_torch().save({**content, "optimiser": optimiser.state_dict()}, draft)

    def read(self, line: TrainableNetwork, optimiser: torch.optim.Optimizer, rng: np.random.Generator) -> Progress:
        content = saved_by_torch(self.path)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f"checkpoint must be a training that was saved here, got {self.path.name}")
        if content["recipe"] != self.recipe:
            raise ValueError(
                f"checkpoint must be of the same images, matrices, network and settings, got {self.path.name} of "
                "others: name another file"
            )
        line.restore(content["state"])
        optimiser.load_state_dict(content["optimiser"])
        stored = json.loads(content["progress"])
        rng.bit_generator.state = stored["rng"]
        best = None if stored["best"] is None else (int(stored["best"][0]), int(stored["best"][1]))
        return Progress(
            stored["epoch"], stored["loss"], stored["alignment"], stored["undefined"], best, content["best"]
        )
