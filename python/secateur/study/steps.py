"""What all studies share: a file read, a computation, a results folder, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas

from ..provenance import versions
from ..report.folder import check_destination, write_folder
from ..report.formats import SETTINGS, keep_notes, write_table
from ..report.tables import Rows, pipe_table
from .config import plain, read_config

if TYPE_CHECKING:
    from .._typing import Splits

__all__ = ["COPY", "Steps", "described", "folds_line", "folds_words", "pipes", "pruning_line", "write_tables"]

COPY = "study.toml"


@dataclass(frozen=True)
class Steps:
    """A kind of study, step by step.

    Attributes
    ----------
    name : str
        As the command line calls it.
    schema : dataclass
        The keys of its file.
    contents : mapping of file names to what they hold
        Of the results folder.
    load : function of the study
        To its inputs, read and checked, with ``records`` and ``notes``; nothing is computed, and in a ``dry`` run
        nothing is downloaded.
    describe : function of the study and the inputs
        What would run, in a few lines.
    compute : function of the study and the inputs, and ``progress``
        To the result.
    fill : function of a folder, the study, the inputs and the result
        Writes all but the study file and the settings.
    markdown : function of the study, the inputs and the result
        All tables as a page.
    page : str
        The words of its module, which hold an example.
    """

    name: str
    schema: Any
    contents: Mapping[str, str]
    load: Callable[..., Any]
    describe: Callable[[Any, Any], str]
    compute: Callable[..., Any]
    fill: Callable[[Path, Any, Any, Any], None]
    markdown: Callable[[Any, Any, Any], str]
    page: str = field(repr=False)

    def run(
        self,
        config: str | os.PathLike[str],
        out: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: bool = True,
    ) -> list[Path]:
        """Read a study file, compute, write the results folder, whole or not at all.

        Parameters
        ----------
        config : path
            The study file.
        out : path
            A new or empty folder.
        overwrite : bool
            Whether an earlier result of such a study there may be replaced.
        progress : bool
            Whether a progress bar may show, once two seconds have passed.

        Returns
        -------
        list of Path
            The files, as ``contents`` names them. The same study file, inputs and versions give the same bytes.

        Raises
        ------
        ConfigError, FileError, TypeError, ValueError
            Where the study file or an input is not as it should be; nothing is written.
        FileExistsError
            Where something is in ``out`` that may not be replaced.
        """
        study = read_config(config, self.schema)
        check_destination(out, overwrite, self.contents)
        inputs, source = self.load(study), Path(config).read_bytes()
        return self.write(
            out, study, inputs, self.compute(study, inputs, progress=progress), source, overwrite=overwrite
        )

    def write(
        self,
        out: str | os.PathLike[str],
        study: Any,
        inputs: Any,
        result: Any,
        source: bytes,
        *,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write the results folder with the study file as it was read; see :meth:`run`."""

        def whole(draft: Path) -> None:
            self.fill(draft, study, inputs, result)
            keep_notes(draft, inputs.notes)
            (draft / COPY).write_bytes(source)
            made = {name: value for name, value in versions().items() if name != "written"}
            content = {
                **made, "study": self.name, "settings": plain(study), "inputs": inputs.records, "notes": inputs.notes,
            }  # fmt: skip
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (draft / SETTINGS).write_text(text, encoding="utf-8", newline="\n")

        return write_folder(out, whole, self.contents, overwrite, self.name)

    def example(self) -> str:
        """A study file to start from, with comments."""
        (block, *_) = re.findall(r"::\n\n((?: {4}.*\n|\n)+)", self.page)
        return textwrap.dedent(block).strip() + "\n"


def write_tables(draft: Path, tables: Mapping[str, pandas.DataFrame], page: str) -> None:
    """Tables as CSV, and ``summary.md``."""
    for name, table in tables.items():
        write_table(draft / name, table)
    (draft / "summary.md").write_text(page, encoding="utf-8", newline="\n")


def described(study: Any, lines: list[str], notes: Sequence[str]) -> str:
    """What a study would run, under its title, and what is to be known of its inputs."""
    return "\n".join([study.title, "", *lines, *(f"note: {note}" for note in notes)]) + "\n"


def pruning_line(study: Any) -> str:
    return f"pruning: {study.pruning.metric}, {study.pruning.comparator}, {study.pruning.search}"


def folds_line(study: Any) -> str:
    return f"folds: {folds_words(study.folds.cv, study.folds.repeats)}, seed {study.folds.seed}"


def folds_words(cv: Splits, repeats: int) -> str:
    """How many folds, and how often."""
    return f"{repeats} × {cv}" if int(repeats) > 1 else str(cv)


def pipes(rows: Rows, columns: int = 1) -> str:
    """A Markdown table with its first columns to the left."""
    lines = pipe_table(rows).split("\n")
    lines[1] = "| " + " | ".join(["---"] * columns + ["---:"] * (len(rows[0]) - columns)) + " |"
    return "\n".join(lines)
