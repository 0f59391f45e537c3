"""What all commands share: the application, its words on stderr, how bad input ends."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..similarity import COMPARATORS, METRICS

if TYPE_CHECKING:
    from ..pruning import Pruner

app = typer.Typer(
    name="secateur",
    help="Prune deep-network features until their similarity space fits a mind's.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Metric = Annotated[
    str,
    typer.Option(
        metavar="METRIC", help=f"Similarity of two stimuli: {', '.join(METRICS[:-1])} or {METRICS[-1]}."
    ),
]
Comparator = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Alignment of two similarity spaces: {', '.join(COMPARATORS[:-1])} or {COMPARATORS[-1]}.",
    ),
]
Search = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How features are found: ranking, parsimonious, forward, backward, floating or floating-backward.",
    ),
]
Folds = Annotated[int, typer.Option(metavar="N", min=2, help="Folds of stimuli.")]
Repeats = Annotated[int, typer.Option(metavar="N", min=1, help="How often the folds are drawn anew.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Processors to use; all by default.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result in this folder.")]


def _say(words: str) -> None:
    """A line on stderr."""
    typer.echo(words, err=True)


def show(text: str) -> None:
    """Text on stdout. That its reader has gone, as behind ``| head``, ends no run that has yet to write its results."""
    try:
        typer.echo(text)
        sys.stdout.flush()
    except BrokenPipeError:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def show_files(out: Path, files: Iterable[Path], contents: Mapping[str, str]) -> None:
    """What a results folder holds, file by file."""
    names = [file.name for file in files]
    lines = [f"  {name:<{max(map(len, names))}}  {contents[name]}" for name in names]
    show("\n".join([f"Written to {out}:", *lines]))


def _sentence(error: BaseException) -> str:
    """What an error says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror + (f": {error.filename!r}" if error.filename else "")
    else:
        words = str(error)
    words = re.sub(r"\b(kind|device)='(\w+)'", r"--\1 \2", words)  # what to pass, as the command line spells it
    return " ".join(words.split()).rstrip(".") or type(error).__name__


@contextmanager
def spoken(left: str = "nothing was written") -> Iterator[None]:
    """Ctrl-C and full disks end in a sentence, with what a run leaves behind."""
    try:
        yield
    except KeyboardInterrupt:
        _say(f"secateur: interrupted, {left}.")
        raise typer.Exit(130) from None
    except FileExistsError as error:
        _say(f"secateur: {_sentence(error)}.")
        raise typer.Exit(2) from None
    except BrokenPipeError:
        raise
    except (OSError, MemoryError) as error:
        _say(f"secateur: {_sentence(error)}; {left}.")
        raise typer.Exit(1) from None


@contextmanager
def _input(what: str = "") -> Iterator[None]:
    """Bad input ends in one sentence and exit code 2; what the library warns of is said in one line."""
    from ..similarity import OpposedWarning, UndefinedPairsWarning
    from ..validation import SmallFoldsWarning

    told = (UndefinedPairsWarning, OpposedWarning, SmallFoldsWarning)
    with warnings.catch_warnings(record=True) as caught:
        for category in told:
            warnings.simplefilter("always", category)
        try:
            yield
        except typer.Exit:
            raise
        except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
            _say(f"secateur: {what + ': ' if what else ''}{_sentence(error)}.")
            raise typer.Exit(2) from None
    for warning in caught:
        if issubclass(warning.category, told):
            _say(f"warning: {what + ': ' if what else ''}{_sentence(warning.message)}.")  # type: ignore[arg-type]
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"secateur {version('secateur')}")
        raise typer.Exit()


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def check_terms(pruner: Pruner) -> None:
    """Metric, comparator, kind and device, before any file is read."""
    pruner._terms()
    if pruner.kind not in (None, "similarity", "dissimilarity"):
        raise ValueError(f"kind must be 'similarity' or 'dissimilarity', got {pruner.kind!r}")


def checked_destination(out: Path, overwrite: bool) -> None:
    from ..report.folder import check_destination

    with _input():
        check_destination(out, overwrite)


def main() -> None:
    """The entry point ``secateur``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an old terminal shows ? for ±, not a traceback
    try:
        app(prog_name="secateur")
    except KeyboardInterrupt:
        _say("secateur: interrupted, nothing was written.")
        sys.exit(130)
