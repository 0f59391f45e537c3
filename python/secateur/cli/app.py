"""What all commands share: the application, its words on stderr, how bad input ends."""

from __future__ import annotations

import io
import math
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._command import leave_early
from ..provenance import own_version
from .options import DEFAULTS, Command, Folds, Overwrite, Pruning, Repeats, flag, with_pruning

__all__ = [
    "DEFAULTS", "Command", "Commands", "Folds", "Overwrite", "Pruning", "Repeats", "Terminated", "app",
    "checked_destination", "exit_with_message", "log", "main", "print_files", "print_text", "refuse_bad_input",
    "with_pruning",
]  # fmt: skip

# Arguments of the library that options are, by the names that the library gives them.
OPTIONS = {
    **{name: f"--{name}" for name in ("cv", "repeats", "kind", "metric", "comparator", "search", "device", "threads")},
    **{name: f"--{name}" for name in ("seed", "joint", "groups", "batch", "layer", "pool", "pattern", "picks")},
    "store": "--store",
    "max_features": "--max-features", "fixed_features": "--fixed",
}  # fmt: skip

# Commands in the order in which a reader meets them.
ORDER = ("demo", "prune", "timecourse", "embed", "maps", "heatmap", "finetune", "study", "report")
MOST = 300  # characters of a command's first sentence


class Commands(TyperGroup):
    """Commands in the order of use, each with its whole first sentence."""

    def list_commands(self, context: Any) -> list[str]:
        return sorted(super().list_commands(context), key=lambda name: (*ORDER, name).index(name))

    def format_commands(self, context: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._first_sentence(context, name)) for name in self.list_commands(context)])

    def _first_sentence(self, context: Any, name: str) -> str:
        command = self.get_command(context, name)
        return "" if command is None else command.get_short_help_str(MOST)


app = typer.Typer(
    name="secateur", help="Prune deep-network features until their similarity space fits human or neural similarity.",
    no_args_is_help=True, cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # of every command, which inherit it
)  # fmt: skip


def log(words: str) -> None:
    """A line on stderr."""
    typer.echo(words, err=True)


def print_text(text: str) -> None:
    """Text on stdout."""
    typer.echo(text)
    sys.stdout.flush()


class Terminated(KeyboardInterrupt):
    """A signal that asks the process to end: SIGTERM (a scheduler) or SIGHUP (a closed terminal)."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def _end_as_interrupted() -> None:
    """Let signals that ask this process to end clear up as Ctrl-C does."""
    own = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != own:  # a forked child
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        signal.signal(number, signal.SIG_IGN)  # asked again, it goes on clearing up
        raise Terminated(number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP, and so it stays
            signal.signal(number, end)


class _Lasting(io.FileIO):
    """A stream that outlasts its reader: what can't be written to it is lost, and ends no run."""

    def write(self, words: Any, /) -> int:
        try:
            return super().write(words)
        except OSError:
            return len(words)


def _outlast_readers() -> None:
    """Whoever reads our words may go (``| head``), or the terminal may; results are written all the same."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        buffer = getattr(stream, "buffer", None)  # of python -u it is the file itself
        if not isinstance(getattr(buffer, "raw", buffer), io.FileIO):  # Windows' console, or what a host program has
            continue
        stream.flush()
        lasting = _Lasting(stream.fileno(), "w", closefd=False)
        kept = {"encoding": stream.encoding, "line_buffering": stream.line_buffering, "errors": "replace"}
        if hasattr(buffer, "raw"):
            setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(lasting), **kept))
        else:
            setattr(sys, name, io.TextIOWrapper(lasting, write_through=True, **kept))


def print_files(out: Path, files: Iterable[Path], contents: Mapping[str, str]) -> None:
    """What a results folder holds, file by file; files that each target has, on one line."""
    from ..report.contents import described
    from ..report.dictionary import one_of_many

    alike: dict[str, list[str]] = {}
    for file in files:
        alike.setdefault(one_of_many(file.name), []).append(file.name)
    names = {name: own[0] if len(own) == 1 else f"{own[0]} … {len(own)}" for name, own in alike.items()}
    width = max(map(len, names.values()))
    lines = [f"  {shown:<{width}}  {described(name, contents)}" for name, shown in names.items()]
    print_text("\n".join([f"Written to {out}:", *lines]))


def _sentence(error: BaseException, options: bool = True) -> str:
    """What an error says, in one line; ``options``: arguments of the library are options of the command."""
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror + (f": {error.filename!r}" if error.filename else "")
    else:
        words = str(error)
    words = re.sub(r"\b(kind|device)='(\w+)'", r"--\1 \2", words)  # what to pass, as the command line spells it
    words = words.split(": rows alone were split")[0]  # what a grid search is told
    if options:
        words = re.sub(rf"^({'|'.join(OPTIONS)}) must\b", lambda found: f"{OPTIONS[found[1]]} must", words)
    words = re.sub(r"(?<!\bat )\((\w+(?:, \w+)*),?\)(?= |,|$|;|:)", _shape_words, words)
    words = re.sub(r"\bdtype (<U\d+|str\d*)", "text", re.sub(r"\bdtype object", "values of several types", words))
    words = re.sub(r"\bgot None\b", "got none", words)
    return " ".join(words.split()).rstrip(".") or type(error).__name__


def _shape_words(found: re.Match[str]) -> str:
    """A tuple of sizes as a reader who writes no Python would say it: 40 × 30; other brackets stay."""
    sizes = found[1].split(", ")
    if not all(re.fullmatch(r"\d+|[TPnm]", size) for size in sizes) or (len(sizes) == 1 and "," not in found[0]):
        return found[0]
    return " × ".join(sizes) if len(sizes) > 1 else f"{sizes[0]} values"


def _ended(error: KeyboardInterrupt) -> str:
    return f"ended by {error}" if isinstance(error, Terminated) else "interrupted"


def _code(error: KeyboardInterrupt) -> int:
    return error.code if isinstance(error, Terminated) else 130


@contextmanager
def exit_with_message(left: str = "nothing was written") -> Iterator[None]:
    """Ctrl-C, SIGTERM and full disks end in a sentence, with what a run leaves behind."""
    if signal.getsignal(signal.SIGINT) is leave_early:
        _end_as_interrupted()
    try:
        yield
    except KeyboardInterrupt as error:
        log(f"secateur: {_ended(error)}, {left}.")
        raise typer.Exit(_code(error)) from None
    except FileExistsError as error:
        log(f"secateur: {_sentence(error)}.")
        raise typer.Exit(2) from None
    except (OSError, MemoryError) as error:
        log(f"secateur: {_sentence(error)}; {left}.")
        raise typer.Exit(1) from None


@contextmanager
def refuse_bad_input(what: str = "", *, options: bool = True) -> Iterator[None]:
    """Bad input ends in one sentence and exit code 2; what the library warns of is said in one line."""
    from ..similarity import OpposedWarning, UndefinedPairsWarning
    from ..validation import SmallFoldsWarning

    categories = (UndefinedPairsWarning, OpposedWarning, SmallFoldsWarning)
    with warnings.catch_warnings(record=True) as caught:
        for category in categories:
            warnings.simplefilter("always", category)
        try:
            yield
        except typer.Exit:
            raise
        except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
            log(f"secateur: {what + ': ' if what else ''}{_sentence(error, options)}.")
            raise typer.Exit(2) from None
    for warning in caught:
        if issubclass(warning.category, categories):
            log(f"warning: {what + ': ' if what else ''}{_sentence(warning.message, options)}.")  # type: ignore[arg-type]
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"secateur {own_version()}")
        raise typer.Exit()


@app.callback()
def _about(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    any_size: Annotated[
        bool, flag("--any-size", "Read arrays and images of any size; by default at most half of the memory.")
    ] = False,
) -> None:
    if any_size:
        from ..reading import limits

        context.with_resource(limits(size=math.inf, pixels=math.inf))


def checked_destination(out: Path, overwrite: bool) -> None:
    from ..atomic import clear_leftovers
    from ..report.folder import check_destination

    with refuse_bad_input():
        clear_leftovers(out)
        check_destination(out, overwrite)


def main() -> None:
    """The entry point ``secateur``."""
    signal.signal(signal.SIGINT, leave_early)  # until a command begins; typer would end without a word
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an old terminal shows ? for ±, not a traceback
    _outlast_readers()
    app(prog_name="secateur")
