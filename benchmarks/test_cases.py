"""Every contender of every group, timed: ``python -m pytest benchmarks``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cases
import machine

HERE = Path(__file__).parent


def test_scripts_find_what_they_import() -> None:
    names = sorted(path.stem for pattern in ("bench_*.py", "show_*.py", "simulate_*.py") for path in HERE.glob(pattern))
    subprocess.run([sys.executable, "-c", f"import {', '.join(names)}"], cwd=HERE, check=True)


def test_contender(benchmark: Any, group: cases.Group, contender: str, pytestconfig: pytest.Config) -> None:
    way, inputs = group.contenders[contender], group.inputs
    result = benchmark(way.run, inputs)
    told = benchmark.extra_info
    told |= machine.facts() | {"threads": way.threads}
    if benchmark.enabled and group.work:
        floor = group.work.floor(way.threads)
        if floor:
            share = floor[0] / benchmark.stats.stats.median
            told |= {"floor_seconds": floor[0], "floor_binds": floor[1], "share_of_floor": share}
    if pytestconfig.getoption("small"):
        first = next(iter(group.contenders.values()))
        expected = np.asarray(first.run(inputs))
        assert np.isfinite(expected).any()
        off = 1e-5 if expected.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(np.reshape(result, expected.shape), expected, rtol=off, atol=off)
