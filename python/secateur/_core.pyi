"""The compiled module. Arrays are borrowed as they lie (C-contiguous, of the dtype said): nothing is converted."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

class _Device:
    @property
    def seconds(self) -> float: ...

class _Loaded: ...
class _LoadedTargets: ...

def similarity(X: Floats | _Loaded, metric: str, subset: Integers, threads: int) -> Floats: ...
def compare(
    similarities: Floats,
    stimuli: int,
    target: Floats,
    weights: Floats | None,
    weight_of: Integers | None,
    comparator: str,
    threads: int,
    metric: str | None = None,
) -> Floats: ...
def leave_one_out(
    X: Floats | _Loaded,
    target: Floats | _LoadedTargets,
    weights: Floats | None,
    weight_of: Integers | None,
    metric: str,
    comparator: str,
    subset: Integers,
    threads: int,
) -> Floats: ...
def add_one(
    X: Floats | _Loaded,
    target: Floats | _LoadedTargets,
    weights: Floats | None,
    weight_of: Integers | None,
    metric: str,
    comparator: str,
    subset: Integers,
    threads: int,
) -> Floats: ...
def insertion_curve(
    X: Floats | _Loaded,
    target: Floats | _LoadedTargets,
    weights: Floats | None,
    weight_of: Integers | None,
    metric: str,
    comparator: str,
    order: Integers,
    threads: int,
) -> Floats: ...
def ranking(
    X: Floats | _Loaded,
    target: Floats | _LoadedTargets,
    weights: Floats | None,
    weight_of: Integers | None,
    metric: str,
    comparator: str,
    stimuli: Integers | None,
    least: int,
    most: int,
    tie: float,
    wanted: str,
    threads: int,
) -> tuple[Floats, Floats, Integers, Floats, Integers, Floats, Booleans] | None: ...
def held_out_alignment(
    X: Floats | _Loaded,
    target: Floats | _LoadedTargets,
    weights: Floats | None,
    weight_of: Integers | None,
    metric: str,
    comparator: str,
    stimuli: Integers | None,
    kept: Booleans | None,
    threads: int,
) -> tuple[Floats, Integers]: ...
def rdm_movie(
    patterns: npt.NDArray[np.float64] | npt.NDArray[np.float32],
    metric: str,
    whitening: Floats | None,
    times: Integers,
    threads: int,
) -> tuple[bool, Floats]: ...
def masked_embeddings(before: Singles, removed: Singles, weights: Singles, after: Singles, threads: int) -> Singles: ...
def rank(values: Floats, threads: int) -> Integers: ...
def cuda_available() -> tuple[bool, str]: ...
def cuda_device() -> str: ...
def cuda_open() -> _Device: ...
def cuda_load(device: _Device, X: object, precision: str) -> _Loaded: ...
def cuda_load_targets(
    device: _Device,
    target: object,
    weights: Floats | None,
    weight_of: Integers | None,
    stimuli: int,
    turned: bool,
) -> _LoadedTargets: ...
def cuda_fetch(loaded: _Loaded | _LoadedTargets) -> Floats: ...
def simd_level() -> str: ...
def simd_levels() -> list[str]: ...
def metrics() -> list[str]: ...
def comparators() -> list[str]: ...
def cuda_comparators() -> list[str]: ...
def cuda_most_stimuli() -> int: ...
def simd_lanes() -> int: ...
