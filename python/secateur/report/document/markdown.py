"""The Markdown that this library writes (headings, tables, lists, bold words), as blocks of a report."""

from __future__ import annotations

import re

from .parts import Block, Bullets, Cell, Tab, Table, Words

__all__ = ["blocks_of", "heading_of"]


def heading_of(text: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def blocks_of(text: str) -> tuple[list[Block], list[Tab]]:
    """What stands before the second-level headings, and a tab for each of these."""
    head: list[Block] = []
    tabs: list[Tab] = []
    here, caption = head, heading_of(text)
    for chunk in re.split(r"\n\s*\n", text.strip()):
        lines = [line for line in chunk.splitlines() if line.strip()]
        while lines and lines[0].startswith("#"):
            marks, _, words = lines.pop(0).partition(" ")
            if marks == "##":
                here, caption = [], words
                tabs.append(Tab(words, here))
            elif marks == "#" and words != heading_of(text):
                caption = words
        if not lines:
            continue
        if lines[0].startswith("|"):
            table, rest = [line for line in lines if line.startswith("|")], lines
            here.append(_table(table, caption))
            lines = [line for line in rest if not line.startswith("|")]
        if lines and all(line.startswith(("- ", "  ")) for line in lines):
            items = re.split(r"\n- ", "\n" + "\n".join(lines))
            here.append(Bullets([" ".join(item.split()) for item in items if item.strip()]))
        elif lines:
            words = " ".join(line.strip() for line in lines)
            if words.startswith("**") and words.endswith("**"):
                caption = _bare(words)
            else:
                here.append(Words(_bare(words)))
    return head, [tab for tab in tabs if tab.blocks]


def _bare(words: str) -> str:
    return words.replace("**", "")


def _table(lines: list[str], caption: str) -> Table:
    rows = [[_bare(cell.strip()).replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rule = rows[1]
    first = next((i for i, cell in enumerate(rule) if cell.endswith(":")), len(rule))
    body: list[list[Cell]] = [list(row) for row in rows[2:]]
    return Table(caption, rows[0], body, max(first, 1))
