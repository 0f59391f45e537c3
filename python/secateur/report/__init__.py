"""Reports: pictures, tables, and the results folder.

figures   matplotlib Figure objects, without pyplot
tables    full against pruned, for a terminal or a Markdown page
folder    all of it in one folder, whole or not at all
"""

from .figures import (
    comparison,
    consensus,
    dendrograms,
    embedding,
    held_out,
    insertion_curves,
    matrices,
    mds,
    null,
    page,
)
from .folder import write
from .tables import comparison_markdown, markdown, text

__all__ = [
    "comparison",
    "comparison_markdown",
    "consensus",
    "dendrograms",
    "embedding",
    "held_out",
    "insertion_curves",
    "markdown",
    "matrices",
    "mds",
    "null",
    "page",
    "text",
    "write",
]
