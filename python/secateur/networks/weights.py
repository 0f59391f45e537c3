"""Files of weights: tensors by name, and into a module. No code in a file is run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .network import import_torch, quiet

if TYPE_CHECKING:
    import torch

__all__ = ["WeightsNotHere", "existing_file", "fill", "read_weights", "saved_by_torch", "tensors_of"]


class WeightsNotHere(ConnectionError):
    """Published weights are not on this machine, and may not be downloaded."""


def existing_file(weights: Any) -> Path:
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(f"weights must be 'default', a path or None, got {type(weights).__name__}")
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weights must be 'default', None or the path of a file, got {str(path)!r}")
    return path


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name from a file; whatever else is in it stays there, and no code in it runs."""
    own = path.name.lower().endswith(".safetensors")
    return tensors_of(_safetensors(path) if own else saved_by_torch(path), path.name)


def saved_by_torch(path: Path) -> Any:
    """What torch saved in a file, tensors and plain containers alone."""
    torch = import_torch()
    try:
        with quiet():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error):
            raise ValueError(
                f"weights must hold tensors alone, got Python objects in {path.name}, which are not loaded for safety: "
                "save the module's state_dict() instead"
            ) from error
        raise ValueError(f"weights must be a file of weights saved by torch, got {path.name}") from error
    except Exception as error:  # torch's reader trips over a damaged file in a dozen ways, asserts among them
        raise ValueError(f"weights must be a whole file of weights saved by torch, got {path.name}") from error


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise ImportError("a .safetensors file needs its package: pip install safetensors") from error
    try:
        loaded: dict[str, torch.Tensor] = load_file(path)
        return loaded
    except SafetensorError as error:
        raise ValueError(f"weights must be a whole .safetensors file, got {path.name}") from error


def tensors_of(content: Any, source: str = "the download") -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, without the wrappers and prefixes of training scripts."""
    torch = import_torch()
    if isinstance(content, Mapping) and str(content.get("format", "")).startswith("secateur "):
        known = "pruned" in content["format"]
        cure = "load it by its path alone, as name" if known else "it is a checkpoint, which fine-tuning goes on from"
        raise ValueError(
            f"weights must hold tensors by name (a state_dict), got a {content['format']} in {source}: {cure}"
        )
    while isinstance(content, Mapping):
        inner = next((key for key in ("state_dict", "model_state_dict", "model") if key in content), None)
        if inner is None or not isinstance(content[inner], Mapping):
            break
        content = content[inner]
    if not isinstance(content, Mapping):
        raise ValueError(
            f"weights must hold tensors by name (a state_dict), got a {type(content).__name__} in {source}"
        )
    state = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if not state:
        raise ValueError(f"weights must hold tensors by name (a state_dict), got none in {source}")
    for prefix in ("module.", "_orig_mod.", "model."):
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def fill(module: torch.nn.Module, state: Mapping[str, Any], name: str, source: str) -> None:
    """Put weights into a module without any, or say which do not fit."""
    own = module.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    misshapen = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    faults = [("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen)]
    words = [
        f"{len(keys)} {fault} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})" for fault, keys in faults if keys
    ]
    if words:
        raise ValueError(f"weights must fit {name}, got {'; '.join(words)} in {Path(source).name}")
    torch = import_torch()
    counters = {key: torch.zeros(v.shape, dtype=v.dtype) for key, v in own.items() if key not in state}
    module.load_state_dict({**state, **counters}, assign=True)
