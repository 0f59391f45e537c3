"""``secateur study``: whole studies from one TOML file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import Commands, app, exit_with_message, log, print_files, print_text, refuse_bad_input
from .options import Overwrite, argument, flag, option

if TYPE_CHECKING:
    from ..study.steps import Steps

__all__ = [
    "Config", "DryRun", "Name", "Out", "example", "fmri", "models", "nested", "retention", "similarity", "study",
    "taxonomy",
]  # fmt: skip

study = typer.Typer(help="Whole studies from one TOML file.", no_args_is_help=True, cls=Commands)
app.add_typer(study, name="study")

Config = Annotated[Path, argument("CONFIG", "The study file, TOML.")]
Out = Annotated[Path | None, option("DIR", "Folder for the results; must be given unless --dry-run is.")]
DryRun = Annotated[bool, flag("--dry-run", "Read and check the inputs, say what would run, and stop.")]


class Name(str, Enum):
    """The studies."""

    similarity = "similarity"
    taxonomy = "taxonomy"
    retention = "retention"
    fmri = "fmri"
    models = "models"
    nested = "nested"


def _steps(name: str) -> Steps:
    from importlib import import_module

    steps: Steps = import_module(f"secateur.study.{name}").STEPS
    return steps


def _run(name: str, config: Path, out: Path | None, dry_run: bool, overwrite: bool) -> None:
    """Read, check, compute, tell and write."""
    with exit_with_message():
        from ..report.folder import check_destination
        from ..study import read_config

        steps = _steps(name)
        with refuse_bad_input(options=False):  # keys of the file
            asked = read_config(config, steps.schema)
            if out is None and not dry_run:
                raise ValueError("--out DIR must be given unless --dry-run is, got none")
            if out is not None:
                check_destination(out, overwrite, steps.contents)
            inputs, source = steps.load(asked, dry=dry_run), config.read_bytes()
        if dry_run or out is None:
            typer.echo(steps.describe(asked, inputs), nl=False)
            return
        for note in inputs.notes:
            log(f"note: {note}.")
        with refuse_bad_input(options=False):  # keys of the file
            result = steps.compute(asked, inputs)
        print_text(steps.markdown(asked, inputs, result))
        files = steps.write(out, asked, inputs, result, source, overwrite=overwrite)
        print_files(out, files, steps.contents)


@study.command()
def similarity(config: Config, out: Out = None, dry_run: DryRun = False, overwrite: Overwrite = False) -> None:
    """Prune to similarity judgments, beside the reweightings, on the same folds of the stimuli.

    One target or several, over the same stimuli or each over its own: held-out alignment, nodes, paired tests, and
    maps of the stimuli before and after.
    """
    _run("similarity", config, out, dry_run, overwrite)


@study.command()
def taxonomy(config: Config, out: Out = None, dry_run: DryRun = False, overwrite: Overwrite = False) -> None:
    """Hold clusters of animals against WordNet, before and after pruning to WordNet's similarities.

    Each category is scored with features that were kept where it was held out. Without features of your own, those of
    the 398 animals that come with the program.
    """
    _run("taxonomy", config, out, dry_run, overwrite)


@study.command()
def retention(config: Config, out: Out = None, dry_run: DryRun = False, overwrite: Overwrite = False) -> None:
    """Ask what a network still classifies after pruning to a target or reweighting, without any training.

    Top-1 and top-5 of a labelled folder of photographs, agreement of the folds' networks, and where errors go.
    """
    _run("retention", config, out, dry_run, overwrite)


@study.command()
def fmri(config: Config, out: Out = None, dry_run: DryRun = False, overwrite: Overwrite = False) -> None:
    """Prune to regions of the brain: four tests over two image sets and a network's layers.

    By behaviour, within a set in folds, from one set to the other, and without validation.
    """
    _run("fmri", config, out, dry_run, overwrite)


@study.command()
def models(config: Config, out: Out = None, dry_run: DryRun = False, overwrite: Overwrite = False) -> None:
    """Hold networks and layers side by side: full, pruned and reweighted, on the same folds of the stimuli.

    Intervals over stimuli and subjects, differences corrected over pairs, the noise ceiling; and, where asked for, a
    simulation: would the model that made a target be found?
    """
    _run("models", config, out, dry_run, overwrite)


@study.command()
def nested(config: Config, out: Out = None, dry_run: DryRun = False, overwrite: Overwrite = False) -> None:
    """Choose layer, metric, comparator, search and size on inner folds, and score the choice on stimuli that made none.

    What each outer fold chose, what every candidate would have scored, and the p of the choice.
    """
    _run("nested", config, out, dry_run, overwrite)


@study.command()
def example(name: Annotated[Name, typer.Argument(help="Study whose file is printed.")]) -> None:
    """Print a study file to start from, with comments."""
    with exit_with_message():
        typer.echo(_steps(name.value).example(), nl=False)
