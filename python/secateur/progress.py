"""Bars with the time left, on stderr, once a run has taken two seconds."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Report", "bar", "part_of", "say", "with_parts", "with_progress"]

Report = Callable[[float], None]  # told now and then what share of a step is done


def with_progress(steps: Iterable[Any], total: int, what: str, shown: bool) -> Iterator[Any]:
    """The steps, each counted as it is done."""
    for step, _ in with_parts(steps, total, what, shown):
        yield step


def with_parts(steps: Iterable[Any], total: int, what: str, shown: bool) -> Iterator[tuple[Any, Report]]:
    """The steps, each with what is to be told how much of it is done, and counted whole afterwards."""
    with bar(total, what, shown) as counted:
        for step in steps:
            report = part_of(counted)
            yield step, report
            report(1.0)


def part_of(shown: Any) -> Report:
    """What moves a bar through its next step."""
    begun = shown.n

    def report(share: float) -> None:
        shown.update(max(0, begun + (1 if share >= 1 else round(share, 2)) - shown.n))

    return report


def _tqdm() -> Any:
    """The bars of this place: a notebook without ipywidgets has those of a terminal, and needs no warning for it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        from tqdm.auto import tqdm
    return tqdm


@contextmanager
def bar(total: int, what: str, shown: bool, done: int = 0) -> Iterator[Any]:
    """A bar that its user moves: ``update()``, and ``set_postfix_str`` for words beside it."""
    form = "{l_bar}{bar}| {n:.10g}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"  # steps may be in parts
    with _tqdm()(
        total=total, initial=done, desc=what, delay=2, disable=not shown, leave=False, bar_format=form
    ) as made:
        yield made


def say(line: str) -> None:
    """One line on stderr, beside the bars that are there."""
    _tqdm().write(line, file=sys.stderr)
