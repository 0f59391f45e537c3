"""Torch modules that networks here are made of beside their own, by names of their own, so that they pickle.

Their classes are made when one is first asked for: importing this module loads no torch.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from .network import import_torch
from .parts import first_tensor

if TYPE_CHECKING:
    import torch

__all__ = ["answering", "make", "masked"]

NAMES = ("Called", "Constant", "Passing", "Scale", "Select")


def make(name: str, *given: Any) -> torch.nn.Module:
    """One of ``NAMES``, of what its class takes."""
    return _classes()[name](*given)


def masked(axis: int, module: Any, _args: Any, out: Any) -> Any:
    """A hook: channels of what a module gives, along this axis, times its buffer ``kept_channels``."""
    new = first_tensor(out) * module.kept_channels.reshape(-1, *([1, 1] if axis == 1 else []))
    return (new, *out[1:]) if isinstance(out, tuple) else new


def answering(x: Any, more: int | None) -> Any:
    """A tensor in the form of an answer: alone, or first of a tuple, with as many more that are None."""
    return x if more is None else (x, *(None for _ in range(more)))


@cache
def _classes() -> dict[str, Any]:
    torch = import_torch()
    base: Any = torch.nn.Module

    class Called(base):  # type: ignore[misc]
        """A function of another module, whose weights it shares: ``function(owner, x)``."""

        def __init__(self, function: Any, owner: Any) -> None:
            super().__init__()
            self.function, self.owner = function, owner

        def forward(self, x: Any) -> Any:
            return self.function(self.owner, x)

    class Constant(base):  # type: ignore[misc]
        """The bias alone, whatever comes in."""

        def __init__(self, bias: Any, more: int | None) -> None:
            super().__init__()
            self.bias, self.more = bias, more

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            x = first_tensor(args or list(kwargs.values()))
            return answering(self.bias.expand(*x.shape[:-1], -1), self.more)

    class Passing(base):  # type: ignore[misc]
        """What comes in."""

        def __init__(self, more: int | None) -> None:
            super().__init__()
            self.more = more

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return answering(first_tensor(args or list(kwargs.values())), self.more)

    class Scale(base):  # type: ignore[misc]
        """What comes in, times a factor."""

        def __init__(self, factor: Any) -> None:
            super().__init__()
            self.register_buffer("factor", factor)

        def forward(self, x: Any) -> Any:
            return x * self.factor

    class Select(base):  # type: ignore[misc]
        """Some features."""

        def __init__(self, index: Any) -> None:
            super().__init__()
            self.register_buffer("index", index)

        def forward(self, x: Any) -> Any:
            return x.index_select(1, self.index)

    made = (Called, Constant, Passing, Scale, Select)
    for one in made:
        one.__qualname__ = one.__name__  # where pickle looks for it: in this module
    return {one.__name__: one for one in made}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> type:
        if name not in NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _classes()[name]
