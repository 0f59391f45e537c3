"""Which class makes the report of which command: the one place to add a command's."""

from __future__ import annotations

from .finetune import FinetuneReport
from .networks import EmbedReport, HeatmapReport, MapsReport
from .prune import PruneReport
from .run import Run
from .section import Section
from .studies import (
    CompareReport,
    FmriReport,
    ModelsReport,
    NestedReport,
    RetentionReport,
    SimilarityReport,
    TaxonomyReport,
)
from .timecourse import CourseReport

__all__ = ["SECTIONS", "section_of"]

SECTIONS: tuple[type[Section], ...] = (
    PruneReport, CourseReport, MapsReport, HeatmapReport, EmbedReport, FinetuneReport, SimilarityReport, TaxonomyReport,
    RetentionReport, FmriReport, ModelsReport, NestedReport, CompareReport,
)  # fmt: skip


def section_of(run: Run) -> Section:
    """The report of the command that wrote a folder; where none fits, of the tables that it holds."""
    return next((kind for kind in SECTIONS if kind.holds(run)), Section)(run)
