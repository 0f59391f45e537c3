"""What this machine can do, what it is, and how seconds and memory are taken."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")
PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class Work:
    """What cannot be left out: double-precision multiply-adds, and bytes that go between memory and processor."""

    fma: float
    bytes: float = 0

    def floor(self, threads: int = 1) -> tuple[float, str] | None:
        """Seconds that this takes at the machine's measured rates, and which of them binds; None without a compiler."""
        if shutil.which("c++") is None:
            return None
        sides = {"arithmetic": self.fma / fma_peak(threads), "memory": self.bytes / bandwidth(threads)}
        binds = max(sides, key=sides.__getitem__)
        return sides[binds], binds


@lru_cache
def _library(march: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library, source = Path(folder) / "peak.so", Path(__file__).with_name("peak.cpp")
        subprocess.run(["c++", "-O3", f"-march={march}", "-shared", "-fPIC", "-o", library, source], check=True)
        loaded = ctypes.CDLL(str(library))
    for function in (loaded.fma_per_second, loaded.bytes_per_second):
        function.restype = ctypes.c_double
    return loaded


def _best(name: str, threads: int, march: str, rounds: int) -> float:
    """The best of some runs, of all threads together."""
    run: Callable[[], float] = getattr(_library(march), name)
    with ThreadPoolExecutor(threads) as pool:
        return max(sum(pool.map(lambda _: run(), range(threads))) for _ in range(rounds))


@lru_cache
def fma_peak(threads: int = 1) -> float:
    """Double-precision multiply-adds a second, measured with vectors as wide as those that the kernels use now."""
    marches = {2: "x86-64", 4: "x86-64-v3", 8: "x86-64-v4"} if platform.machine() == "x86_64" else {}
    return _best("fma_per_second", threads, marches.get(simd()[1], "native"), 41)


@lru_cache
def bandwidth(threads: int = 1) -> float:
    """Bytes a second that are read from memory, measured."""
    return _best("bytes_per_second", threads, "native", 7)


def simd() -> tuple[str, int, list[str]]:
    """The core's instruction level, its doubles a vector, and all levels that it can be forced to here."""
    from secateur import _core

    return _core.simd_level(), _core.simd_lanes(), _core.simd_levels()


def processor() -> str:
    """The processor by name, and by family and model where the name says little."""
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    known = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", said, re.MULTILINE))
    if "model name" not in known:
        return platform.machine()
    return f"{known['model name']} (family {known.get('cpu family')}, model {known.get('model')})"


def place() -> dict[str, Any]:
    """Where times can be held together: what software does not change."""
    system = f"{platform.system()} {platform.machine()}"
    return {"processor": processor(), "processors": os.cpu_count(), "system": system}


def facts() -> dict[str, Any]:
    """What a time depends on; nothing that changes from run to run."""
    level, lanes, _ = simd()
    found = place() | {
        "simd": level,
        "doubles a vector": lanes,
        "python": platform.python_version(),
    }
    for name in ("secateur", "numpy", "scipy", "scikit-learn", "rsatoolbox", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of one call, and what it gives."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def times(run: Callable[[], object], rounds: int, warm: bool = False) -> list[float]:
    """Seconds of some calls, after one that is not counted if asked."""
    return [timed(run)[0] for _ in range(rounds + warm)][warm:]


def best(run: Callable[[], object], rounds: int) -> float:
    """Least seconds of a few calls."""
    return min(times(run, rounds))


def median(run: Callable[[], object], rounds: int = 7) -> float:
    """Median seconds of a few calls after a first one."""
    return float(np.median(times(run, rounds, warm=True)))


def peak_memory() -> int:
    """The most bytes that this process has held since :func:`forget_peak`. Linux; a parent's are not counted."""
    return _status("VmHWM")


def forget_peak() -> int:
    """Count the peak from now on; the bytes held now."""
    (PROCESS / "clear_refs").write_text("5", encoding="utf-8")
    return _status("VmRSS")


def _status(line: str) -> int:
    return int((PROCESS / "status").read_text(encoding="utf-8").split(f"{line}:")[1].split()[0]) * 1024
