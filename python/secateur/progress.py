"""How far a run is, on stderr: bars in a terminal or a notebook, a plain line a minute where it is kept as a log."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

__all__ = ["Report", "bar", "duration", "in_log", "part_of", "say", "with_parts", "with_progress"]

Report = Callable[[float], None]  # told now and then what share of a step is done

DELAY = 2.0  # seconds without a word: before a bar shows, before the time is estimated in a log
EVERY = 60.0  # seconds from one line of a log to the next; what is over sooner has none


def with_progress(
    steps: Iterable[Any], total: int, what: str, shown: bool, sizes: Sequence[float] | None = None, done: int = 0
) -> Iterator[Any]:
    """The steps, each counted as it is done."""
    for step, _ in with_parts(steps, total, what, shown, sizes, done):
        yield step


def with_parts(
    steps: Iterable[Any], total: int, what: str, shown: bool, sizes: Sequence[float] | None = None, done: int = 0
) -> Iterator[tuple[Any, Report]]:
    """The steps, each with what is to be told how much of it is done, and counted whole afterwards.

    ``sizes``: what the steps add to the count, by comparison with each other, where what is counted is not steps;
    the count is then of what is whole. ``done``: how many of the first steps an earlier run did; they take no time.
    """
    ends = None if sizes is None else [0.0, *accumulate(total * size / sum(sizes) for size in sizes)]
    with bar(total, what, shown, done if ends is None else int(ends[done] + 1e-6)) as counted:
        for i, step in enumerate(steps):
            if i < done:
                yield step, _unheard
                continue
            report = part_of(counted) if ends is None else _part_between(counted, ends[i], ends[i + 1])
            yield step, report
            report(1.0)


def part_of(shown: Any) -> Report:
    """What moves a bar through its next step."""
    begun = shown.n

    def report(share: float) -> None:
        shown.update(max(0, begun + (1 if share >= 1 else round(share, 2)) - shown.n))

    return report


def _unheard(share: float) -> None:
    """For a step that was counted before."""


def _tqdm() -> Any:
    """The bars of this place: a notebook without ipywidgets has those of a terminal, and needs no warning for it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        from tqdm.auto import tqdm
    return tqdm


def _part_between(shown: Any, begin: float, end: float) -> Report:
    """What moves a bar to what is whole between two counts."""

    def report(share: float) -> None:
        reached = begin + (end - begin) * min(share, 1.0)
        shown.update(max(0, int(reached + 1e-6) - shown.n))  # sums of sizes are a rounding off

    return report


@contextmanager
def bar(total: int, what: str, shown: bool, done: int = 0) -> Iterator[Any]:
    """A bar that its user moves: ``update()``, and ``set_postfix_str`` for words beside it."""
    if shown and in_log():
        yield _Lines(total, what, done)
        return
    form = "{l_bar}{bar}| {n:.10g}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"  # steps may be in parts
    with _tqdm()(
        total=total, initial=done, desc=what, delay=DELAY, disable=not shown, leave=False, bar_format=form
    ) as made:
        yield made


class _Lines:
    """In place of a bar, in a log: a line as soon as over a minute is expected, then one a minute, and a last one."""

    def __init__(self, total: int, what: str, done: int = 0) -> None:
        self.total, self.what, self.n = total, what, float(done)
        self.words = ""
        self._before, self._start, self._said = float(done), time.monotonic(), -1.0

    def update(self, count: float = 1) -> None:
        """So much more is done."""
        self.n += count
        now = time.monotonic()
        spent = now - self._start
        done, over = self.n - self._before, self.n >= self.total
        left = spent * (self.total - self.n) / done if done > 0 else 0.0
        first = self._said < 0 and spent >= DELAY and spent + left > EVERY and not over
        if first or (self._said >= 0 and (over or now - self._said >= EVERY)):
            self._said = now
            ahead = f", about {duration(left)} left" if left > 0 else ""
            say(f"{self.what}: {self.n:.10g} of {self.total} in {duration(spent)}{ahead}{self.words}")

    def set_postfix_str(self, words: str, refresh: bool = True) -> None:
        """Words for the next line."""
        self.words = f", {words}" if words else ""


def in_log() -> bool:
    """Whether stderr is neither a terminal nor a notebook's, but kept or read by a program."""
    if "ipykernel" in sys.modules or "pyodide" in sys.modules:
        return False
    return sys.stderr is None or not sys.stderr.isatty()


def say(line: str) -> None:
    """One line on stderr, beside the bars that are there."""
    _tqdm().write(line, file=sys.stderr)


def duration(seconds: float) -> str:
    """Two digits are more than an estimate has."""
    for unit, length, most in (("s", 1, 99), ("min", 60, 99), ("h", 3600, 48)):
        if seconds <= most * length:
            return f"{seconds / length:.0f} {unit}" if seconds >= 10 * length else f"{seconds / length:.1g} {unit}"
    return f"{seconds / 86400:.0f} days"
