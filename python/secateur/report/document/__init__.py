"""One report per run: a page that answers what was found, how, and whether to trust it.

run          a results folder as a report reads it
parts        what a page is made of: words, tables, pictures, tabs
markdown     the tables to read (summary.md) as such parts
section      what the reports of all commands share
prune, ...   a command's own report
sections     which of them makes whose report: the one place to add a command's
cautions     warnings
methods      sentences of a methods section; references: what they cite
from_results the same of results in memory, for a notebook
page         the page itself, from report.html.jinja; files beside it; several runs side by side
"""

from .from_results import html
from .page import Page, side_by_side, write_report

__all__ = ["Page", "html", "side_by_side", "write_report"]
