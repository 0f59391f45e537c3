"""A run's report as one HTML page, and the files that go with it."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...atomic import whole_file
from ..contents import REPORT, described
from ..interactive import embedded, require_bokeh
from .parts import Block, Chart, Code, Part, Table, Words
from .references import REFERENCES, bibtex, listed
from .run import Run, read_run
from .sections import section_of

if TYPE_CHECKING:
    from jinja2 import Template

    from .section import Section

__all__ = ["Page", "report_of", "side_by_side", "write_report"]

SCRIPT = 1_000_000  # bytes of pictures that a page with Bokeh's script does without

NAMES = {
    "verdict": "Verdict",
    "inputs": "Inputs",
    "results": "Results",
    "held-out": "Held out",
    "features": "Which features",
    "explore": "Explore",
    "methods": "Methods and references",
    "reproduce": "Reproduce",
}


@dataclass(frozen=True)
class Page:
    """A report: ``text`` is the whole page, which needs no other file; a notebook shows it.

    Attributes
    ----------
    text : str
        The page as HTML.
    methods : str
        The paragraph for a paper, as Markdown.
    references : str
        What it cites, as BibTeX.
    """

    text: str = field(repr=False)
    title: str
    methods: str = field(repr=False, default="")
    references: str = field(repr=False, default="")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, whole or not at all.

        Parameters
        ----------
        path : path
            Where; an earlier file is replaced.

        Returns
        -------
        Path
        """
        place = Path(path)
        with whole_file(place) as draft:
            draft.write_text(self.text, encoding="utf-8", newline="\n")
        return place

    def _repr_html_(self) -> str:
        inside = html.escape(self.text, quote=True)
        return (
            f'<iframe srcdoc="{inside}" title="{html.escape(self.title, quote=True)}" width="100%" height="720" '
            'style="border:1px solid #8888;border-radius:6px"></iframe>'
        )


@cache
def _template() -> Template:
    import jinja2

    made = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
    )  # fmt: skip
    return made.get_template("report.html.jinja")


def report_of(run: Run, *, links: bool = True, interactive: bool = False) -> Page:
    """The report of a run.

    Parameters
    ----------
    run : Run
        From :func:`secateur.report.document.run.read_run`.
    links : bool
        Whether the files of the folder are listed, with links to them.
    interactive : bool
        Whether charts whose values show under the pointer are added (with Bokeh, a megabyte more).

    Returns
    -------
    Page

    Raises
    ------
    ImportError
        Where interactive and Bokeh is not installed.
    """
    if interactive:
        require_bokeh()
        run.left -= SCRIPT
    section = section_of(run)
    text, keys = _methods(section)
    results, result_tabs = section.results()
    chosen, chosen_tabs = section.features()
    parts = [
        Part("inputs", NAMES["inputs"], section.inputs() or [Words("The inputs were not recorded.")]),
        Part("results", NAMES["results"], results, result_tabs),
        Part("held-out", NAMES["held-out"], section.held_out()),
        Part("features", NAMES["features"], chosen, chosen_tabs),
        *([Part("explore", NAMES["explore"], _charts(section))] if interactive else []),
        Part("methods", NAMES["methods"], [Code("Methods, ready for a paper", text, "prose")]),
        Part("reproduce", NAMES["reproduce"], [*section.reproduce(), *([_files(run, section)] if links else [])]),
    ]
    return _page(
        section.title(), section.facts(), section.verdict(), section.warnings(), parts, text, bibtex(keys),
        [REFERENCES[key].line() for key in keys], links=links,
    )  # fmt: skip


def _page(
    title: str,
    facts: Sequence[str],
    verdict: Sequence[str],
    warnings: Sequence[str],
    parts: Sequence[Part],
    methods: str = "",
    references: str = "",
    lines: Sequence[str] = (),
    *,
    links: bool = True,
) -> Page:
    names = {"verdict": NAMES["verdict"], **{part.key: part.title for part in parts}}
    charts = [block.figure for part in parts for block in part.blocks if isinstance(block, Chart)]
    script, places = embedded(charts) if charts else ("", [])
    text = _template().render(
        title=title, facts=facts, verdict=verdict, warnings=warnings, parts=parts, names=names, references=references,
        lines=lines, links=links, script=script, places=dict(zip((chart.id for chart in charts), places)),
    )  # fmt: skip
    return Page(text, title, methods, references)


def _charts(section: Section) -> list[Block]:
    charts: list[Block] = list(section.charts())
    return charts or [Words("This command's results have no interactive charts: their pictures are above.")]


def _methods(section: Section) -> tuple[str, list[str]]:
    text = "\n\n".join(section.methods()) + "\n"
    return text, listed(text)


def _files(run: Run, section: Section) -> Table:
    names = sorted({*run.names, *REPORT} - {"report.html"})
    rows = [[name, described(name, section.holding()) or "–"] for name in names]
    return Table("Files in this folder", ["file", "what it holds"], rows, 2, linked=True)


def write_report(folder: Path, *, ours: bool = False, interactive: bool = False) -> list[str]:
    """Write ``report.html``, ``methods.md`` and ``references.bib`` into a results folder; the names of these.

    Parameters
    ----------
    folder : Path
        It holds all else that the run writes.
    ours : bool
        Whether this process has just written it.
    interactive : bool
        As in :func:`report_of`.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        Where it is no results folder of this library.
    ImportError
        Where interactive and Bokeh is not installed.
    """
    page = report_of(read_run(folder, ours=ours), interactive=interactive)
    for name, text in zip(REPORT, (page.text, page.methods, page.references)):
        with whole_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8", newline="\n")
    return list(REPORT)


def side_by_side(folders: Sequence[str | os.PathLike[str]], beside: Path) -> Page:
    """Several runs on one page: what each found, what differs in how they were made, and each one's verdict.

    Parameters
    ----------
    folders : sequence of paths
        Results folders.
    beside : Path
        The folder that the page will lie in, from which it links to each run's report.

    Returns
    -------
    Page
    """
    runs = [read_run(folder) for folder in folders]
    sections = [section_of(run) for run in runs]
    names = _distinct([Path(folder).resolve() for folder in folders])
    found = [(name, row) for name, section in zip(names, sections) for row in section.headline()]
    heads = list(dict.fromkeys(key for _, row in found for key in row))
    overview = Table(
        "What each run found. Compare values of the same unit, over the same stimuli, alone.",
        ["run", *heads], [[name, *(row.get(key) for key in heads)] for name, row in found],
    )  # fmt: skip
    made = [_made(section) for section in sections]
    keys = list(dict.fromkeys(key for one in made for key in one))
    rows = [
        [key, "yes" if len({str(one.get(key)) for one in made}) > 1 else "", *(one.get(key) for one in made)]
        for key in keys
    ]
    rows.sort(key=lambda row: row[1] != "yes")
    settings = Table("How they were made; what differs comes first.", ["setting", "differs", *names], rows, 2)
    parts = [Part("results", "All runs", [overview]), Part("settings", "Settings", [settings])]
    for i, (name, run, section) in enumerate(zip(names, runs, sections)):
        link = os.path.relpath(run.folder.resolve() / "report.html", beside)
        blocks: list[Block] = [Words(" ".join(section.verdict()) or section.title())]
        blocks += [Words(f"Warning: {words}") for words in section.warnings()]
        blocks.append(Words(Path(link).as_posix(), kind="link"))
        parts.append(Part(f"run-{i + 1}", name, blocks))
    return _page(f"{len(runs)} runs of Secateur", names, [], [], parts)


def _made(section: Section) -> dict[str, Any]:
    (table,) = (block for block in section.reproduce() if isinstance(block, Table) and block.head[0] == "setting")
    made: dict[str, Any] = {str(row[0]): str(row[1]) for row in table.rows}
    for one in section.settings.get("inputs", ()):
        place, digest = str(one.get("file", one.get("folder", ""))), str(one.get("sha256", ""))[:8]
        made[str(one.get("role"))] = f"{Path(place).name} {digest}".strip()
    return {**made, "Secateur": section.settings["versions"]["secateur"]}


def _distinct(places: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart."""
    for depth in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [f"{i + 1}: {place.name}" for i, place in enumerate(places)]
