"""How a notebook shows an object: a small table of what it is."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

__all__ = ["as_table"]


def as_table(title: str, rows: Mapping[str, object]) -> str:
    """A heading and a row per fact, as HTML; facts that are None are left out."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
        if value is not None
    )
    return f"<table><caption style='text-align:left'><b>{escape(title)}</b></caption>{cells}</table>"
