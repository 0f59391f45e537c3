"""How sure a held-out score is: the permutation null, the bootstrap, the noise ceiling, stability, transfer.

Modules are not called like their functions, which would hide them.
"""

from .across_targets import transfer
from .agreement import stability
from .ceiling import explained_by, in_percent, noise_ceiling, noise_normalised_r2, read_subjects
from .permutation import family_wise_p, permutation_test
from .resampling import bootstrap, fewest_of_half, interval_of, joined_error, variance_over_stimuli

__all__ = [
    "bootstrap", "explained_by", "family_wise_p", "fewest_of_half", "in_percent", "interval_of", "joined_error",
    "noise_ceiling", "noise_normalised_r2", "permutation_test", "read_subjects", "stability", "transfer",
    "variance_over_stimuli",
]  # fmt: skip
