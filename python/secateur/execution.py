"""Where and how wide a call runs: the device, the number of threads, the precision; resolved once a call."""

from __future__ import annotations

import math
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from . import _core
from .arguments import check_integer
from .measures import CUDA_COMPARATORS, CUDA_STIMULI, enumerated

if TYPE_CHECKING:
    from .measures import ComparatorOrAlias

__all__ = [
    "WORTH_CUDA", "Device", "Execution", "ForkWarning", "Precision", "available", "check_device", "describe",
    "multiply_adds", "processors", "resolve", "thread_count",
]  # fmt: skip

Device = Literal["auto", "cpu", "cuda"]
Result = TypeVar("Result")
Precision = Literal["double", "single"]


def available(device: Literal["cpu", "cuda"]) -> tuple[bool, str]:
    """Whether a device can be used, and if not, why.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        The device asked about.

    Returns
    -------
    available : bool
    reason : str
        Empty where the device is available.

    Examples
    --------
    >>> available("cpu")
    (True, '')
    """
    if device == "cpu":
        return True, ""
    if device == "cuda":
        return _core.cuda_available()
    raise ValueError(f"device must be 'cpu' or 'cuda', got {device!r}")


def resolve(device: Device) -> Literal["cpu", "cuda"]:
    """The device that a call runs on. ``"cuda"`` never falls back; only ``"auto"`` does."""
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu' or 'cuda', got {device!r}")
    if device == "cpu":
        return "cpu"
    usable, reason = available("cuda")
    if usable:
        return "cuda"
    if device == "cuda":
        raise RuntimeError(f"device='cuda' cannot be used, {reason}: use device='cpu'")
    return "cpu"


def check_device(device: Device) -> Device:
    """``device``, if it is the name of one that can be had; ``"auto"`` does not initialise the driver.

    ``SECATEUR_SIMD`` is held against the levels that can be had too, before any work is done.
    """
    _core.simd_level()
    if device != "auto":
        resolve(device)
    return device


# Multiply-adds that one core does in some 20 ms: for less, "auto" neither initialises a device nor feeds it.
WORTH_CUDA = 1e9


def multiply_adds(stimuli: int, features: int, targets: int, runs: int = 1) -> float:
    """About what so many runs of leave-one-out and insertion take."""
    return runs * (stimuli * (stimuli - 1) / 2) * features * (5 + 6 * targets)


def describe(device: Literal["cpu", "cuda"]) -> str:
    """A device in words; an emulated one (a build for tests, no GPU) says so.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        The device asked about.

    Returns
    -------
    str
        Of the processor: the instruction level in use (the environment variable ``SECATEUR_SIMD`` names another, read
        once). Of a CUDA device: name, compute capability, memory.

    Raises
    ------
    RuntimeError
        Where the device cannot be used.
    ValueError
        Where ``SECATEUR_SIMD`` names a level that this build or this processor does not have.

    Examples
    --------
    >>> describe("cpu").endswith("at a time")
    True
    """
    if device == "cpu":
        return f"processor, instruction level {_core.simd_level()}, {_core.simd_lanes()} doubles at a time"
    resolve(device)
    return _core.cuda_device()


@dataclass(frozen=True)
class Execution:
    """Where calls run. Those that share one on a CUDA device share its streams and leave memory to one another.

    Attributes
    ----------
    device : what "auto" came to
    threads : of the processor's part
    precision : "double", or "single" on a CUDA device
    memory : the open device; None on the processor
    """

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    precision: Precision = "double"
    memory: _core.Device | None = None

    @classmethod
    def resolved(
        cls, device: Device, threads: int | None = None, precision: Precision = "double", *, comparator:
        ComparatorOrAlias = "pearson", stimuli: int = 0, device_array: str = "", work: float = math.inf,
    ) -> Execution:  # fmt: skip
        """Where a call of this comparator, this many stimuli and so much work (multiply-adds) runs.

        A ``device_array``, "X" or "target", is not brought elsewhere. ``"auto"`` leaves little work to the processor.

        Raises
        ------
        ValueError
            Where a CUDA device is asked for what it does not do, or the processor for single precision.
        RuntimeError
            Where a CUDA device is asked for and none can be used.
        """
        if precision not in ("double", "single"):
            raise ValueError(f"precision must be 'double' or 'single', got {precision!r}")
        count = thread_count(threads)
        if device_array and device == "cpu":
            raise ValueError(
                f"{device_array} must lie in host memory for device='cpu', got a CUDA array: "
                f"pass {device_array}.cpu() or device='cuda'"
            )
        refusal = ""
        if comparator not in CUDA_COMPARATORS:
            taken = enumerated(map(repr, CUDA_COMPARATORS))
            refusal = f"comparator must be {taken} on a CUDA device, got {comparator!r}: use device='cpu'"
        elif stimuli > CUDA_STIMULI:
            refusal = f"X must have at most {CUDA_STIMULI} stimuli on a CUDA device, got {stimuli}: use device='cpu'"
        # A call that a device does not take does not initialise the driver: it takes long, and does not survive a fork.
        asked = "cuda" if device_array and device == "auto" else device
        little = work < WORTH_CUDA and precision == "double"
        runs_on = "cpu" if asked == "auto" and (refusal or little) else resolve(asked)
        if runs_on == "cuda" and refusal:
            raise ValueError(refusal)
        if runs_on == "cpu" and precision == "single":
            raise ValueError(
                "precision must be 'double' on the processor, got 'single': it is the fast form of CUDA devices "
                "alone (device='cuda')"
            )
        return cls(runs_on, count, precision, _core.cuda_open() if runs_on == "cuda" else None)

    def in_turns(self, jobs: Iterable[Callable[[], Result]], *, short: bool) -> Iterator[Result]:
        """What jobs give, in their order: one after the other, or (``short`` ones) two at a time on a CUDA device.

        There each has a stream of its own: where one leaves the device idle (small kernels, transfers, what the host
        says in between) the other runs. Results are the same bits. Where the memory is too little for two, one follows
        the other. Ctrl-C ends the call at once; the device then finishes the jobs that it was given, unseen.
        """
        if self.memory is None or not short:
            yield from (job() for job in jobs)
            return
        running: deque[tuple[Callable[[], Result], Future[Result]]] = deque()

        def first() -> Result:
            job, future = running.popleft()
            try:
                return future.result()
            except MemoryError:
                wait([other for _, other in running])
                return job()

        pool, interrupted = ThreadPoolExecutor(self.memory.streams), False
        try:
            for job in jobs:
                running.append((job, pool.submit(job)))
                if len(running) == self.memory.streams:
                    yield first()
            while running:
                yield first()
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            pool.shutdown(wait=not interrupted, cancel_futures=True)


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def thread_count(threads: int | None) -> int:
    """``threads``, or where None: ``OMP_NUM_THREADS``, else all processors. No more than there are processors.

    One in a child of :func:`os.fork`, where OpenMP would wait for ever for threads that stayed with the parent; results
    are the same bits for any number.

    Raises
    ------
    ValueError
        Where ``threads`` is neither an integer of at least 1 nor None.

    Warns
    -----
    ForkWarning
        Once in a process, where it would have had more than one.
    """
    threads = check_integer("threads", threads, 1, optional=True)
    if threads is None:
        limit = os.environ.get("OMP_NUM_THREADS", "")
        asked = int(limit) if limit.isdecimal() and int(limit) > 0 else processors()
    else:
        asked = threads
    count = min(asked, processors())
    if count > 1 and _ancestry.forked:
        if not _ancestry.warned:
            _ancestry.warned = True
            warnings.warn(
                f"threads is 1, not {count}, in this process: it was made by os.fork(), which OpenMP's threads don't "
                "survive; start processes by 'spawn', 'forkserver' or loky, or pass threads=1",
                ForkWarning,
                stacklevel=2,
            )
        return 1
    return count


class ForkWarning(RuntimeWarning):
    """A forked process computes on one thread."""


@dataclass
class _Ancestry:
    """Whether this process was forked from one that had this module loaded, and whether that was said."""

    forked: bool = False
    warned: bool = False

    def fork(self) -> None:
        self.forked, self.warned = True, False


_ancestry = _Ancestry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ancestry.fork)
