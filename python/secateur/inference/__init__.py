"""How sure a held-out score is: the permutation null, the bootstrap, the noise ceiling, stability, transfer."""

from .resampling import (
    _explained as _explained,
)
from .resampling import (
    _family_wise_p as _family_wise_p,
)
from .resampling import (
    _in_percent as _in_percent,
)
from .resampling import (
    _interval as _interval,
)
from .resampling import (
    _read_subjects as _read_subjects,
)
from .resampling import (
    bootstrap,
    noise_ceiling,
    noise_normalised_r2,
    permutation_test,
    stability,
    transfer,
)

__all__ = ["bootstrap", "noise_ceiling", "noise_normalised_r2", "permutation_test", "stability", "transfer"]
