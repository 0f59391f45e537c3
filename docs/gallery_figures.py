"""How pictures come into the gallery: figures of the reports, made without pyplot, where sphinx-gallery looks for them.

In conf.py, with this folder on ``sys.path``::

    sphinx_gallery_conf = {
        "image_scrapers": ("gallery_figures.figures",),
        "within_subsection_order": "gallery_figures.InOrder",
    }
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

__all__ = ["ORDER", "InOrder", "figures"]

ORDER = (
    *("page", "curves", "null", "spaces", "stimulus_maps", "trees", "subjects", "regions", "odd_one_out"),
    *("timecourse", "generalisation", "comparison", "models", "nested"),
    *("heatmaps", "saliency", "occlusion", "importance", "drivers", "retention", "finetuning"),
)


def figures(_block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any], **_: Any) -> str:
    """Save the figure that the last line of a block gave, and return the reStructuredText that shows it."""
    values = block_vars["example_globals"]
    last = values.get("___")
    if not isinstance(last, Figure):
        return ""
    values["___"] = None  # so that it is told neither in words nor again behind a block that ends without a value
    path = next(block_vars["image_path_iterator"])
    last.savefig(path, dpi=110)
    title = block_vars["src_file"].rsplit("plot_", 1)[-1].removesuffix(".py").replace("_", " ")
    return str(figure_rst([path], gallery_conf["src_dir"], f"Picture: {title}"))


class InOrder:
    """Where a script stands among its folder's: the everyday ones first."""

    def __init__(self, _folder: str) -> None:
        pass

    def __call__(self, script: str) -> int:
        return ORDER.index(script.removeprefix("plot_").removesuffix(".py"))

    def __repr__(self) -> str:
        return "<InOrder>"  # always the same, as Sphinx compares settings by it
