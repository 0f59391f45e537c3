"""``secateur report``: the report of a results folder made anew, and several runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .app import app, exit_with_message, print_text, refuse_bad_input
from .options import argument, flag, option

__all__ = ["report"]


@app.command()
def report(
    folders: Annotated[list[Path], argument("FOLDER...", "Results folders of this program.")],
    out: Annotated[
        Path, option("FILE", "Where several runs are put side by side; one run's page goes into its folder.")
    ] = Path("secateur-runs.html"),
    interactive: Annotated[
        bool, flag("--interactive", "Add charts whose values show under the pointer (extra: interactive).")
    ] = False,
    overwrite: Annotated[bool, flag("--overwrite", "Replace an earlier page of several runs.")] = False,
) -> None:
    """Make report.html, methods.md and references.bib of results folders anew; put several runs side by side.

    All of it is made from the files in the folders; nothing is computed again.
    """
    with exit_with_message():
        from ..report.document import side_by_side, write_report
        from ..report.document.run import read_run

        several = len(folders) > 1
        with refuse_bad_input():
            if several and out.exists() and not overwrite:
                raise FileExistsError(f"--out must be a new file unless --overwrite is given, got {str(out)!r}")
            for folder in folders:
                read_run(folder)
        for folder in folders:
            with refuse_bad_input(str(folder)):
                write_report(folder, interactive=interactive)
            print_text(f"Written: {folder / 'report.html'}")
        if several:
            with refuse_bad_input():
                page = side_by_side(folders, out.resolve().parent)
            print_text(f"Written: {page.save(out)}")
