"""Reports: pictures, tables, and the results folder.

Pictures are matplotlib Figure objects, made without pyplot and without a change to rcParams.

drawing          what the pictures share
results          what they ask of a result: its target, its words, how it was made
curves           alignment against the number of features kept
overview         several targets in one picture, with the test over them
held_out_scores  full against pruned, and other methods, on test stimuli
nulls            permutation nulls
spaces           similarity matrices
stimulus_maps    maps of the stimuli (MDS)
trees            the same as trees
pages            all of these on one page
courses          along a time course
regions          the four tests over regions of the brain
model_scores     networks and layers side by side, with the ceiling and what differs; would they be told apart
choices          a nested choice: candidates, what each fold chose
maps             feature maps' importance
drivers          the images that drive features or feature maps
heatmaps         overlays on images, contact sheets, curves against saliency
retention        what pruned networks still classify
finetuning       fine-tuning beside pruning: training, explainable variance, its folder
tables           full against pruned, for a terminal or a Markdown page
frames           the same as DataFrames
dictionary       what the files of a results folder hold, their columns and variables
columns          the words for these
answer           the final set as files
formats          netCDF, CSV, settings, pictures as files
contents         what each file of a folder holds, in a line
document         one report per run: report.html, the paragraph for a paper, its references
folder           all of it in one folder, whole or not at all
"""

from ..scaling import mds
from . import figures as figures
from .choices import nested
from .courses import alignment_over_time, course_page, generalisation, kept_over_time, selection_over_time
from .curves import insertion_curves
from .document import html
from .finetuning import explained_markdown, explained_variance, training, write_finetuning
from .folder import write, write_course, write_network
from .heatmaps import agreement, contact_sheet, contours, overlays, precision_recall
from .held_out_scores import comparison, held_out
from .maps import importance_histograms
from .model_scores import models, recovery
from .nulls import null
from .overview import overview
from .pages import page
from .regions import kept_by_region, regions
from .results import consensus
from .retention import classification, consistency
from .spaces import matrices
from .stimulus_maps import embedding
from .tables import comparison_markdown, course_markdown, course_text, markdown, text
from .trees import dendrograms

__all__ = [
    "agreement", "alignment_over_time", "classification", "comparison", "comparison_markdown", "consensus",
    "consistency", "contact_sheet", "contours", "course_markdown", "course_page", "course_text", "dendrograms",
    "embedding", "explained_markdown", "explained_variance", "generalisation", "held_out", "html",
    "importance_histograms", "insertion_curves", "kept_by_region", "kept_over_time", "markdown", "matrices", "mds",
    "models", "nested", "null", "overlays", "overview", "page", "precision_recall", "recovery", "regions",
    "selection_over_time", "text",
    "training", "write", "write_course", "write_finetuning", "write_network",
]  # fmt: skip
