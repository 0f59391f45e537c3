"""Reports: pictures, tables, and the results folder.

figures   matplotlib Figure objects, without pyplot
tables    full against pruned, for a terminal or a Markdown page
regions   the four tests over regions of the brain
folder    all of it in one folder, whole or not at all
"""

from .figures import consensus, embedding, held_out, insertion_curves, matrices, mds, null, page
from .folder import write
from .regions import kept_by_region, regions
from .tables import markdown, text

__all__ = [
    "consensus",
    "embedding",
    "held_out",
    "insertion_curves",
    "kept_by_region",
    "markdown",
    "matrices",
    "mds",
    "null",
    "page",
    "regions",
    "text",
    "write",
]
