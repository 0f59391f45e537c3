"""Where and how wide a call runs: ``"auto" | "cpu" | "cuda"``, and the number of threads."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Literal

from . import _core

Device = Literal["auto", "cpu", "cuda"]


def available(device: str) -> tuple[bool, str]:
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


def resolve(device: str) -> Literal["cpu", "cuda"]:
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


def thread_count(threads: int | None) -> int:
    """``threads``, or where None: ``OMP_NUM_THREADS``, else the processors this process may use."""
    if threads is None:
        limit = os.environ.get("OMP_NUM_THREADS", "")
        if limit.isdecimal() and int(limit) > 0:
            return int(limit)
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, Integral) or threads < 1:
        raise ValueError(f"threads must be a positive integer or None, got {threads!r}")
    return int(threads)
