"""How Sphinx builds these pages: python -m sphinx -W --keep-going -b html docs FOLDER."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

import secateur

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata
    from sphinx.writers.html5 import HTML5Translator

sys.path.insert(0, str(Path(__file__).parent))  # gallery_figures

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

project = "Secateur"
author = "The Secateur developers"
copyright = author
version = release = secateur.__version__.split("+")[0]

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "auto_gallery/*.ipynb"]
templates_path = ["_templates"]
nitpicky = True  # every name that a docstring links has a page, but for those of other libraries
nitpick_ignore_regex = [("py:.*", r"(pathlib|scipy|sklearn)\..*")]

# Pages

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "auto"  # notebooks are kept without their outputs: building runs them, and fails where one does
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True  # what a notebook writes stays out of the source
nb_output_stderr = "remove"  # progress bars
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing is fetched from the net

# The programming interface

autosummary_generate = True
autosummary_ignore_module_all = False
suppress_warnings = ["autosummary.import_cycle"]  # tables give whole names, as one writes them
autodoc_typehints = "none"  # the docstrings say types and shapes in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
add_module_names = True

# What a click copies of an example: no prompts, and no outputs

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The gallery

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"[\\/]plot_",
    "image_scrapers": ("gallery_figures.figures",),  # figures of the reports, which pyplot doesn't know
    "ignore_repr_types": r"matplotlib\.figure",
    "within_subsection_order": "gallery_figures.InOrder",
    "doc_module": ("secateur",),
    "reference_url": {"secateur": None},
    "backreferences_dir": "api/backreferences",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 5,
    "write_computation_times": False,  # its table takes scripts from the net
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
}

# What is built

html_theme = "pydata_sphinx_theme"
html_title = "Secateur"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["search_in_files.js"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_depth": 3,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "start": [], "how_it_computes": [], "coming_from": [], "developer": [], "changelog": []}


def mathml(translator: HTML5Translator, node: nodes.math | nodes.math_block, block: bool) -> None:
    """TeX as MathML, which browsers draw without a script; what docutils can't read is a warning."""
    try:
        formula = latex2mathml.tex2mathml(node.astext(), as_block=block)
    except (MathError, AttributeError) as error:
        logging.getLogger(__name__).warning("the formula can't be drawn (%s): %s", error, node.astext(), location=node)
        formula = translator.encode(node.astext())
    number = f'<span class="eqno">({node["number"]})</span>' if block and node.get("number") else ""
    anchor = f' id="{node["ids"][0]}"' if block and node.get("ids") else ""
    translator.body.append(f'<div class="formula"{anchor}>{number}{formula}</div>' if block else formula)
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_html_math_renderer(
        "mathml",
        (lambda translator, node: mathml(translator, node, block=False), None),
        (lambda translator, node: mathml(translator, node, block=True), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
