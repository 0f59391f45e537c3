"""Options that commands share, how a command says what its arguments are, and what is kept of a run."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_origin, get_type_hints

import typer

from ..measures import JOINTS, enumerated
from ..parameters import Pruning

if TYPE_CHECKING:
    from ..features import Features
    from ..files import Loaded
    from ..pruning import Pruner
    from ..targets import Targets

__all__ = [
    "DEFAULTS", "Command", "Control", "Fixed", "Folds", "Joint", "Kind", "LeftOut", "Overwrite", "Pruning", "Repeats",
    "Weights", "argument", "check_left_out", "check_other_controls", "check_store", "fixed_features", "flag",
    "kind_option", "matched_controls", "named_weights", "option", "run_settings", "with_pruning",
]  # fmt: skip

Command = TypeVar("Command", bound=Callable[..., None])


def option(metavar: str, words: str, min: int | None = None) -> Any:
    """An option of a command: what stands for its value, what it is, its least value."""
    return typer.Option(metavar=metavar, help=words, min=min)


def flag(name: str, words: str) -> Any:
    """An option without a value."""
    return typer.Option(name, help=words)


def argument(metavar: str, words: str) -> Any:
    """An argument of a command."""
    return typer.Argument(metavar=metavar, help=words)


def named_weights(words: str) -> str | None:
    """What ``--weights`` means to :func:`secateur.networks.load`: None, random weights, by any of its names."""
    return None if words in ("none", "None", "random") else words


DEFAULTS = Pruning()
Weights = Annotated[str, option("FILE", "A file of weights; default: the published ones; none: random weights.")]
Control = Annotated[
    list[str] | None,
    option(
        "FILE",
        "RDM or RSM over the same stimuli whose share is taken from features and target: alignments are then partial "
        "correlations. Give the option once per matrix.",
    ),
]
Fixed = Annotated[
    list[str] | None,
    typer.Option(
        "--fixed", "--fixed-features", metavar="FEATURE",
        help="Name or index (from 0) of a feature that always stays. Give the option once per feature.",
    ),
]  # fmt: skip
Joint = Annotated[
    str,
    option(
        "HOW",
        f"How features are chosen for several targets: {enumerated(JOINTS)}. each: a set per target; mean or min: one "
        f"set for all, by the mean or the smallest of their alignments.",
    ),
]
LeftOut = Annotated[
    str,
    option(
        "WHAT",
        "What cross-validation holds out: stimuli; subjects (features are chosen on all other targets, as --joint "
        "says); or both.",
    ),
]
OVERS = ("stimuli", "subjects", "both")
KINDS = {"rdm": "dissimilarity", "distance": "dissimilarity", "rsm": "similarity"}


def kind_meant(kind: str | None) -> str | None:
    """A kind by its name or another word for it."""
    return None if kind is None else KINDS.get(kind.lower(), kind)


def kind_option(more: str = "") -> Any:
    """What matrices hold, by name or another word for it; and what else an argument may hold."""
    words = "What TARGET holds: similarity (or rsm), or dissimilarity (or rdm, distance). Needed unless its diagonal"
    return typer.Option(metavar="KIND", callback=kind_meant, help=f"{words} shows it. {more}".strip())


Kind = Annotated[str | None, kind_option()]
Folds = Annotated[int, option("N", "Folds of the cross-validation over stimuli.", min=2)]
Repeats = Annotated[int, option("N", "How often the cross-validation is repeated, on folds drawn anew.", min=1)]
Overwrite = Annotated[bool, flag("--overwrite", "Replace an earlier result in the folder --out.")]


def with_pruning(*names: str) -> Callable[[Command], Command]:
    """In place of a command's argument ``pruning``: an option for each of these parameters of pruning, or for all."""

    def wrap(command: Command) -> Command:
        # Not get_type_hints: before Python 3.11 it hides Annotated in an Optional where the default is None.
        signature, own = inspect.signature(command, eval_str=True), get_type_hints(Pruning)
        default = signature.parameters["pruning"].default
        offered = [one for one in fields(Pruning) if not names or one.name in names]

        @wraps(command)
        def run(**given: Any) -> None:
            chosen = {one.name: given.pop(one.name) for one in offered}
            command(**given, pruning=replace(default, **chosen))

        parameters: list[inspect.Parameter] = []
        for name, parameter in signature.parameters.items():
            if name != "pruning":
                parameters.append(parameter)
                continue
            for one in offered:
                hint = str if get_origin(own[one.name]) is Literal else own[one.name]
                own_option = Annotated[hint, typer.Option(**one.metadata)]  # type: ignore[valid-type]
                value = getattr(default, one.name)
                parameters.append(parameter.replace(name=one.name, annotation=own_option, default=value))
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
        del run.__wrapped__  # typer would read its signature
        return cast(Command, run)

    return wrap


def check_left_out(over: str, joint: str) -> None:
    """Refuse what can't be left out, and subjects that are left out of no joint choice."""
    if over not in OVERS:
        raise ValueError(f"--over must be {enumerated(OVERS)}, got {over!r}")
    if over != "stimuli" and joint == "each":
        raise ValueError(f"--joint must be mean or min where --over is {over}, got each")


def matched_controls(files: Sequence[Loaded], features: Loaded) -> list[tuple[Any, str | None]]:
    """Controls in the order of the features' stimuli, each with a note; one of another shape is refused by its name."""
    from ..files import match
    from ..targets import read_controls

    found = []
    for held in files:
        found.append(match(held, features))
        try:
            read_controls(found[-1][0], len(features.values))
        except (TypeError, ValueError) as error:
            raise ValueError(f"--control {held.path.name}: {error}") from error
    return found


def check_other_controls(controls: Sequence[tuple[Any, Any]], files: Sequence[Loaded], targets: Targets) -> None:
    """Refuse a control that is a target over again, by the name of its file."""
    from ..controls import check_other
    from ..targets import read_controls

    for (matrix, _), held in zip(controls, files, strict=True):
        rows = read_controls(matrix, targets.n)
        check_other(targets, rows, [held.path.name] * len(rows))


def check_store(store: Path | None, out: Path) -> None:
    """Refuse a store in the results folder, or the other way round: neither may hold what is not its own."""
    if store is None:
        return
    a, b = store.resolve(), out.resolve()
    if a == b or a in b.parents or b in a.parents:
        raise ValueError(f"--store must be outside the results folder --out, got {str(store)!r} with {str(out)!r}")


def fixed_features(given: list[str], features: Features, pruner: Pruner) -> Pruner:
    """The pruner with features that always stay, by name where X has these names, else by index; checked."""
    from ..pruning.groups import read_groups

    by_index = all(word.isdigit() for word in given) and not set(given) <= set(features.names or ())
    pruner.set_params(fixed_features=[int(word) for word in given] if by_index else given)
    pruner.settings().search.fixed(features, read_groups(None, features.d))
    return pruner


def run_settings(inputs: Sequence[Mapping[str, Any]], notes: Iterable[str], **more: Any) -> dict[str, Any]:
    """What settings.json says of a run: the command, what it read, notes on that, and more."""
    return {"command": ["secateur", *sys.argv[1:]], "inputs": list(inputs), "notes": list(notes), **more}
