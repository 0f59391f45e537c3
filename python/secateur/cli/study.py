"""``secateur study``: whole studies from one TOML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import Overwrite, _input, _say, _spoken, app

study = typer.Typer(help="Whole studies from one TOML file.", no_args_is_help=True)
app.add_typer(study, name="study")

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The study file, TOML.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the results; needed unless --dry-run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check the inputs, say what would run, and stop.")]


@study.command()
def fmri(config: Config, out: Out = None, dry_run: DryRun = False, overwrite: Overwrite = False) -> None:
    """Prune to regions of the brain: four tests over two image sets and a network's layers.

    By behaviour, within a set in folds, from one set to the other, and without validation. CONFIG names the files;
    the page of secateur.study.fmri shows one.
    """
    with _spoken():
        from ..report.folder import check_destination
        from ..study import fmri as steps
        from ..study import read_config

        with _input():
            asked = read_config(config, steps.FmriStudy)
            if out is None and not dry_run:
                raise ValueError("--out DIR must be given unless --dry-run is, got none")
            if out is not None:
                check_destination(out, overwrite, steps.CONTENTS)
            inputs, source = steps.load(asked), config.read_bytes()
        if dry_run or out is None:
            typer.echo(steps.describe(asked, inputs), nl=False)
            return
        for note in inputs.notes:
            _say(f"note: {note}.")
        with _input():
            result = steps.compute(asked, inputs, progress=sys.stderr.isatty())
        typer.echo(steps.markdown(result, asked.title))
        files = steps.write(out, asked, inputs, result, source, overwrite=overwrite)
        typer.echo(f"Written to {out}:")
        for file in files:
            typer.echo(f"  {file.name:<24} {steps.CONTENTS[file.name]}")
