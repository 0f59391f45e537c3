"""Time courses: from MEG/EEG recordings to movies of dissimilarity matrices, and pruning along them.

    movies     the matrix at every time point, or in windows
    planted    a synthetic recording whose truth is known
    subjects   several subjects' movies, in any form
    cluster    calls in turn, or spread over workers
    store      results kept chunk by chunk
    pruning    every time point of every subject, out of sample

Imports run downwards in this list.
"""

from .movies import rdm_movie
from .planted import PlantedTimecourse, simulate
from .pruning import prune
from .store import open_store

__all__ = ["PlantedTimecourse", "open_store", "prune", "rdm_movie", "simulate"]
