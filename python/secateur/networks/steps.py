"""A network as a line of modules: their names, which of them learn, and what comes out of each."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..features import Indices, Matrix
from .extraction import _flat
from .images import Images
from .network import Network, import_torch
from .network import steps as steps_in

if TYPE_CHECKING:
    import torch

__all__ = ["Steps", "Undefined", "correlations", "directions"]

_ROLES: Final = ("last_conv", "penultimate", "final")
_BATCH: Final = 32  # images at a time where nothing is learnt
_COLUMNS: Final = 1 << 17  # features at a time of an inner product in double precision


class Undefined(ValueError):
    """A layer answers to an image with the same value everywhere: there is no correlation."""


class Steps:
    """The modules of a network's parts in the order in which they run.

    Attributes
    ----------
    modules : list of torch.nn.Module
        Sequences are taken apart; a part that is none, such as those of timm's networks, is one step.
    names : list of str or None
        ``last_conv``, ``penultimate`` and ``final`` at the ends of trunk, neck and classifier; otherwise the name in
        ``net.module``. None where there is no name, or the step runs again later under it.
    """

    def __init__(self, net: Network) -> None:
        parts = [net.part("trunk"), net.part("neck"), net.classifier]
        own = {id(module): name for name, module in net.module.named_modules() if name}
        self.net = net
        self.modules: list[Any] = []
        self.names: list[str | None] = []
        for role, part in zip(_ROLES, parts):
            if part is not None:
                found = list(steps_in(part))
                self.modules += found
                self.names += [own.get(id(module)) for module in found]
                self.names[-1] = role
        last = {name: i for i, name in enumerate(self.names)}
        self._by_module = {own[id(m)]: i for i, m in enumerate(self.modules) if id(m) in own}
        self.names = [name if name is not None and last[name] == i else None for i, name in enumerate(self.names)]
        self.called = _called_in_papers(net, self.modules)

    def find(self, layer: str) -> int:
        """Which step's output a layer is, by a name of ``names``, of ``net.module``, or of the papers ("conv5_2")."""
        for table in ({name: i for i, name in enumerate(self.names)}, self.called, self._by_module):
            if layer in table:
                return int(table[layer])
        if self.net.layers.get(layer) in self._by_module:
            return self._by_module[self.net.layers[layer]]
        raise ValueError(self._unknown("layer", layer))

    def span(self, name: str) -> tuple[int, int]:
        """First and last step of a module, such as ``layer3``, whose children are steps."""
        inside = [i for own, i in self._by_module.items() if own.startswith(f"{name}.")]
        return (min(inside), max(inside)) if inside and name not in self.called else (self.find(name),) * 2

    def _unknown(self, what: str, name: Any) -> str:
        known = [*(name for name in self.names if name), *self.called, *self._by_module]
        near = difflib.get_close_matches(str(name), known, 3, 0.5)
        words = f"near are {', '.join(near)}" if near else f"there are {', '.join(known[:5])}, …"
        return f"{what} must be a step of {self.net.name}, got {name!r}: {words}"

    def frozen(self, freeze: str | Sequence[str] | None) -> list[Any]:
        """The parameters that are not to learn.

        ``"from X"``: those of step X and all later ones; ``"up to X"``: X and all earlier ones; names of modules:
        those inside them; None: none.
        """
        if freeze is None:
            return []
        if isinstance(freeze, str) and freeze.startswith(("from ", "up to ")):
            first, last = self.span(freeze.removeprefix("from ").removeprefix("up to ").strip())
            chosen = self.modules[first:] if freeze.startswith("from ") else self.modules[: last + 1]
            return [p for module in chosen for p in module.parameters()]
        found = []
        inside = dict(self.net.module.named_modules())
        for name in [freeze] if isinstance(freeze, str) else freeze:
            module = inside.get(name)
            found += list((self.modules[self.find(name)] if module is None else module).parameters())
        return found

    def scored(self, first: int, layers: Sequence[str] | None) -> dict[str, int]:
        """The layers to score: those asked for, or all that have a name and features of their own."""
        if layers is not None:
            chosen = {str(layer): self.find(layer) for layer in layers}
            early = next((name for name, i in chosen.items() if i < first), None)
            if early is not None:
                raise ValueError(f"layers must come after something that learns, got {early!r}, which does not")
            return chosen
        nn = import_torch().nn
        same = (nn.Dropout, nn.Identity, nn.Flatten)
        found: dict[str, int] = {}
        for i, name in enumerate(self.names):
            if i < first or name is None:
                continue
            if isinstance(self.modules[i], same):  # the features of the step before
                if name not in _ROLES:
                    continue
                if found and next(reversed(found.values())) == i - 1:
                    found.popitem()
            found[name] = i
        return found

    def start(self, images: Images, cut: int, shown: torch.Tensor = iter) -> torch.Tensor:
        """What the first ``cut`` steps answer to all images, (n, …) on the CPU, computed once."""
        torch = import_torch()
        answers: Any = None
        with torch.no_grad():
            for at in shown(range(0, len(images), _BATCH)):
                pixels = [self.net.preprocessing(images[i]) for i in range(at, min(at + _BATCH, len(images)))]
                for one in pixels:
                    if one.shape != pixels[0].shape or (
                        answers is not None and not cut and one.shape != answers[0].shape
                    ):
                        raise ValueError(
                            "images must be of one size where the preprocessing crops none, got "
                            f"{tuple(one.shape[1:])} and {tuple(pixels[0].shape[1:])}: pass size="
                        )
                x = torch.stack(pixels).to(self.net.device)
                for module in self.modules[:cut]:
                    x = module(x)
                answers = torch.empty((len(images), *x.shape[1:])) if answers is None else answers
                answers[at : at + len(x)] = x.cpu()
        return answers

    def run(self, x: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Features (m, d) of step ``last``, from the answers of the steps before ``first``."""
        for module in self.modules[first : last + 1]:
            x = module(x)
        return self.flat(x, last)

    def flat(self, x: torch.Tensor, at: int) -> torch.Tensor:
        name = self.names[at] or "a step"
        return _flat(x, name, "flatten")

    def walk(
        self, start: torch.Tensor, stimuli: Indices, first: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, list[Any]]]:
        """The features of some stimuli at each wanted step, in pieces; one step's answers in memory at a time."""
        torch = import_torch()
        with torch.no_grad():
            pieces = [start[stimuli[i : i + _BATCH]].to(self.net.device) for i in range(0, len(stimuli), _BATCH)]
            for at in range(first, max(wanted) + 1):
                pieces = [self.modules[at](piece) for piece in pieces]
                if at in wanted:
                    yield at, [self.flat(piece, at) for piece in pieces]


def correlations(pieces: Sequence[Any]) -> Matrix:
    """Pearson r (P,) of every two rows, in double precision; NaN where a row is constant."""
    torch = import_torch()
    x = torch.cat(list(pieces)).float()
    m, d = x.shape
    mean = x.double().mean(1, keepdim=True)
    gram = torch.zeros(m, m, dtype=torch.float64, device=x.device)
    for c in range(0, d, _COLUMNS):
        centred = x[:, c : c + _COLUMNS].double() - mean
        gram += centred @ centred.T
    found = gram.cpu().numpy()
    norm = np.sqrt(np.diagonal(found))
    flat = ~(norm > 1e-6 * np.sqrt(d) * np.abs(mean[:, 0].cpu().numpy()) + 1e-30)
    norm = np.where(flat, np.nan, norm)
    rows, columns = np.triu_indices(m, 1)
    return np.asarray((found / (norm[:, None] * norm))[rows, columns])


def directions(features: torch.Tensor, names: Sequence[str], layer: str) -> torch.Tensor:
    """Rows centred and of length 1, whose inner products are Pearson's r; with gradients."""
    torch = import_torch()
    features = features.float()
    mean = features.mean(1, keepdim=True)
    centred = features - mean
    norm = centred.norm(dim=1, keepdim=True)
    if not torch.isfinite(norm).all():  # nor are the features, or their squares
        raise FloatingPointError(f"features of layer {layer!r} must stay finite, got some that are too large: lower lr")
    flat = norm[:, 0] <= 1e-6 * features.shape[1] ** 0.5 * mean[:, 0].abs() + 1e-30
    if flat.any():
        which = names[int(flat.nonzero()[0])]
        raise Undefined(f"layer {layer!r} must vary over features to be correlated, got a constant for image {which!r}")
    return centred / norm


def _called_in_papers(net: Network, modules: Sequence[Any]) -> dict[str, int]:
    """``conv5_2``, ``relu4``, ``fc7``, … -> step, in AlexNet and the VGGs."""
    family = next((name for name in ("alexnet", "vgg") if net.name.startswith(name)), None)
    if family is None:
        return {}
    nn = import_torch().nn
    called: dict[str, int] = {}
    count: Counter[str] = Counter(block=1)
    own = ""
    for i, module in enumerate(modules):
        if isinstance(module, nn.Conv2d):
            count["conv"] += 1
            own = f"{count['conv']}" if family == "alexnet" else f"{count['block']}_{count['conv']}"
            called[f"conv{own}"] = i
        elif isinstance(module, nn.Linear):
            own = str(6 + count["fc"])
            count["fc"] += 1
            called[f"fc{own}"] = i
        elif isinstance(module, nn.ReLU):
            called[f"relu{own}"] = i
        elif isinstance(module, nn.MaxPool2d):
            called[f"pool{own.split('_')[0]}"] = i
            if family == "vgg":
                count["block"] += 1
                count["conv"] = 0
    return called
