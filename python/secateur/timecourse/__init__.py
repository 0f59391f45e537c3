"""Time courses: from MEG/EEG recordings to movies of dissimilarity matrices, and pruning along them.

    movies      the matrix at every time point, or in windows
    planted     a synthetic recording whose truth is known
    codecs      what a Zarr store may be packed with
    recordings  patterns from files: MNE, FieldTrip, EEGLAB, NumPy, netCDF, Zarr; all subjects' movies
    subjects    several subjects' movies, in any form
    cluster     calls in turn, or spread over workers
    store       results kept chunk by chunk
    pruning     every time point of every subject, out of sample
    group       tests over subjects, the noise ceiling, the paper's windows
    permutation tests over features: stimuli relabelled alike for all subjects

Imports run downwards in this list.
"""

from .group import group_test, noise_ceiling, paper_windows
from .movies import rdm_movie
from .permutation import permutation_test
from .planted import PlantedTimecourse, simulate
from .pruning import prune
from .recordings import rdm_movies, read_recording, read_recordings
from .store import open_store

__all__ = [
    "PlantedTimecourse", "group_test", "noise_ceiling", "open_store", "paper_windows", "permutation_test", "prune",
    "rdm_movie", "rdm_movies", "read_recording", "read_recordings", "simulate",
]  # fmt: skip
