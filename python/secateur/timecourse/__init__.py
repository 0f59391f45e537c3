"""Time courses: from MEG/EEG recordings to movies of dissimilarity matrices.

    recordings  patterns from files: MNE, FieldTrip, NumPy, netCDF, Zarr
    movies     the matrix at every time point, or in windows
    planted    a synthetic recording whose truth is known
"""

from .movies import rdm_movie
from .planted import PlantedTimecourse, simulate
from .recordings import read_recording, read_recordings

__all__ = ["PlantedTimecourse", "rdm_movie", "read_recording", "read_recordings", "simulate"]
