"""Bars with the time left, on stderr, once a run has taken two seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["bar", "say", "with_progress"]


def with_progress(steps: Iterable[Any], total: int, what: str, shown: bool) -> Iterator[Any]:
    """The steps, each counted as it is done."""
    with bar(total, what, shown) as counted:
        for step in steps:
            yield step
            counted.update()


@contextmanager
def bar(total: int, what: str, shown: bool, done: int = 0) -> Iterator[Any]:
    """A bar that its user moves: ``update()``, and ``set_postfix_str`` for words beside it."""
    from tqdm.auto import tqdm

    with tqdm(total=total, initial=done, desc=what, delay=2, disable=not shown, leave=False) as made:
        yield made


def say(line: str) -> None:
    """One line on stderr, beside the bars that are there."""
    from tqdm.auto import tqdm

    tqdm.write(line, file=sys.stderr)
