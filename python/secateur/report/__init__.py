"""Reports: pictures, tables, and the results folder.

drawing     what the pictures share
figures     matplotlib Figure objects, without pyplot
courses     the same along a time course
regions     the four tests over regions of the brain
maps        the same of feature maps' importance
heatmaps    overlays on images, contact sheets, curves against saliency
retention   what pruned networks still classify
finetuning  fine-tuning beside pruning: training, explainable variance, its folder
tables      full against pruned, for a terminal or a Markdown page
folder      all of it in one folder, whole or not at all
"""

from .courses import alignment_over_time, course_page, generalisation, kept_over_time, selection_over_time
from .finetuning import explained_markdown, explained_variance, training, write_finetuning
from .folder import write, write_course, write_network
from .heatmaps import agreement, contact_sheet, contours, overlays, precision_recall
from .maps import importance_histograms
from .regions import kept_by_region, regions
from .retention import classification, consistency
from .spaces import (
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
from .tables import comparison_markdown, course_markdown, course_text, markdown, text

__all__ = [
    "agreement",
    "alignment_over_time",
    "classification",
    "comparison",
    "comparison_markdown",
    "consensus",
    "consistency",
    "contact_sheet",
    "contours",
    "course_markdown",
    "course_page",
    "course_text",
    "dendrograms",
    "embedding",
    "explained_markdown",
    "explained_variance",
    "generalisation",
    "held_out",
    "importance_histograms",
    "insertion_curves",
    "kept_by_region",
    "kept_over_time",
    "markdown",
    "matrices",
    "mds",
    "null",
    "overlays",
    "page",
    "precision_recall",
    "regions",
    "selection_over_time",
    "text",
    "training",
    "write",
    "write_course",
    "write_finetuning",
    "write_network",
]
