"""Time courses: from MEG/EEG recordings to movies of dissimilarity matrices.

    movies     the matrix at every time point, or in windows
    planted    a synthetic recording whose truth is known
"""

from .movies import rdm_movie
from .planted import PlantedTimecourse, simulate

__all__ = ["PlantedTimecourse", "rdm_movie", "simulate"]
