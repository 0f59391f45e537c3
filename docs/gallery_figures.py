"""How pictures come into the gallery: the reports' figures are made without pyplot, where sphinx-gallery looks for them.

In conf.py, with this folder on ``sys.path``::

    sphinx_gallery_conf = {
        "image_scrapers": ("gallery_figures.figures",),
        "ignore_repr_types": r"matplotlib\\.figure",
    }
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

__all__ = ["figures"]

SHOWN = "shown in the gallery"


def figures(_block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any], **_: Any) -> str:
    """Save the figure that the last line of a block gave, and return the reStructuredText that shows it."""
    last = block_vars["example_globals"].get("___")  # kept while later blocks end without a value
    if not isinstance(last, Figure) or last.get_label() == SHOWN:
        return ""
    last.set_label(SHOWN)
    path = next(block_vars["image_path_iterator"])
    last.savefig(path, dpi=110)
    title = block_vars["src_file"].rsplit("plot_", 1)[-1].removesuffix(".py").replace("_", " ")
    return str(figure_rst([path], gallery_conf["src_dir"], f"Picture: {title}"))
