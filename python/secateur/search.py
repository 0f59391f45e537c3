"""The searches as functions: how the features to keep are found, from one ranking to floating sequential selection."""

from .pruning.sequential import (
    SEARCHES,
    STEP,
    TIE,
    Pruned,
    SearchInterrupted,
    backward,
    find,
    floating,
    forward,
    parsimonious,
    ranking,
    subset_at,
)

__all__ = [
    "SEARCHES",
    "STEP",
    "TIE",
    "Pruned",
    "SearchInterrupted",
    "backward",
    "find",
    "floating",
    "forward",
    "parsimonious",
    "ranking",
    "subset_at",
]
