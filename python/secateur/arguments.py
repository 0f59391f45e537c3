"""Checks of single arguments: numbers in their range. Each rule has one wording: the argument, the rule, the value."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TypeGuard, overload

__all__ = ["LARGEST_SEED", "check_integer", "check_seed", "check_share", "is_integer", "is_number", "quoted"]

LARGEST_SEED = 2**32 - 1  # of numpy's and scikit-learn's shuffles


def is_integer(value: object) -> TypeGuard[int]:
    """Whether this is an integer, numpy's too; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a real number, numpy's too; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


@overload
def check_integer(name: str, value: object, least: int, most: int | None = None) -> int: ...
@overload
def check_integer(name: str, value: object, least: int, most: int | None = None, *, optional: bool) -> int | None: ...
def check_integer(
    name: str, value: object, least: int, most: int | None = None, *, optional: bool = False
) -> int | None:
    """An integer from ``least`` (to ``most``), or None where that is allowed."""
    if optional and value is None:
        return None
    if not is_integer(value) or value < least or (most is not None and value > most):
        rule = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be an integer {rule}{' or None' if optional else ''}, got {value!r}")
    return int(value)


def check_share(name: str, value: object, *, one: bool = False) -> float:
    """A share between 0 and 1, both excluded but for 1 where it is allowed."""
    if not is_number(value) or not (0 < value < 1 or (one and value == 1)):
        raise ValueError(f"{name} must be above 0 and {'at most' if one else 'below'} 1, got {value!r}")
    return float(value)


def check_seed(seed: object, redraws: int = 1) -> int:
    """A seed of numpy's and scikit-learn's shuffles, from which so many are counted on."""
    return check_integer("seed", seed, 0, LARGEST_SEED + 1 - redraws)


def quoted(names: Sequence[str]) -> str:
    """The first three names for a message, and how many more there are.

    Examples
    --------
    >>> quoted(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
