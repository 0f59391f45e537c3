"""Arrays from files: .npy, .npz, .csv, .tsv, .mat, .h5, .hdf5, .nc, with the names of their stimuli.

``features.npz:X`` names one array of a file that holds several; fields of MATLAB structs and HDF5 groups have slashes,
``FMRI.mat:FMRI/vTC/set1/pairwisedistances``. Pickles are never loaded.

entries     what a file held, which arrays there are, and which is meant
matching    stimuli matched by their names
numpy       .npy, .npz
hdf5        .mat, .h5, .hdf5, .nc, in a process of their own
folders     features in thingsvision's folders
long        dissimilarities with a line per pair
text        .csv, .tsv; triplets from .txt, too
triplets    choices of odd ones out by name, and what looks like them
arrays      embeddings, targets and groups by file and key
"""

from .arrays import (
    FORMATS,
    read_arrays,
    read_features_file,
    read_groups_file,
    read_target_file,
    read_triplets_file,
    stimuli_of_target,
)
from .entries import Array, FileError, Loaded, Names, broken_files_refused
from .matching import FEATURES, STIMULI, left_out, match, order_taken, stated_kind, swapped_words
from .triplets import choices_words, match_triplets

__all__ = [
    "FEATURES", "FORMATS", "STIMULI", "Array", "FileError", "Loaded", "Names", "broken_files_refused",
    "choices_words", "left_out", "match", "match_triplets", "order_taken", "read_arrays", "read_features_file",
    "read_groups_file", "read_target_file", "read_triplets_file", "stated_kind", "stimuli_of_target", "swapped_words",
]  # fmt: skip
