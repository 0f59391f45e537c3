"""Reports: pictures, tables, and the results folder.

figures   matplotlib Figure objects, without pyplot
maps      the same of feature maps' importance
tables    full against pruned, for a terminal or a Markdown page
folder    all of it in one folder, whole or not at all
"""

from .figures import consensus, embedding, held_out, insertion_curves, matrices, mds, null, page
from .folder import write
from .maps import importance_histograms
from .tables import markdown, text

__all__ = [
    "consensus",
    "embedding",
    "held_out",
    "importance_histograms",
    "insertion_curves",
    "markdown",
    "matrices",
    "mds",
    "null",
    "page",
    "text",
    "write",
]
