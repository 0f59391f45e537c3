"""Every contender of every group, timed: ``python -m pytest benchmarks``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cases
import machine

HERE = Path(__file__).parent


# What the scripts do, at sizes of a moment; those of searches, real data and whole studies are imported alone.
SCRIPTS = """
import sys, cases
import {imported}
cases.PAPER, cases.HUNDRED, cases.SET144, cases.STUDY = (cases.Case("small", 16, 200, t) for t in (1, 2, 3, 4))
sys.argv = ["script", "--rounds", "1"]
bench_throughput.main()
sys.argv += ["--level", "baseline"]
bench_core.main()
bench_timecourse.main(6, 8, 5)
bench_inference.times(20, 40, 10)
bench_feature_maps.MAPS, bench_feature_maps.UNITS = 16, 64
bench_feature_maps.times(6)
sys.argv = ["script", "--rounds", "1", "--most", "96", "--out", sys.stdin.read()]
show_sizes.CONTENDERS = {{"ours": show_sizes.CONTENDERS["ours"]}}
show_sizes.main()
"""


def test_scripts_run(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    if not pytestconfig.getoption("small"):
        pytest.skip("with --small alone")
    patterns = ("bench_*.py", "show_*.py", "simulate_*.py")
    imported = ", ".join(sorted(path.stem for pattern in patterns for path in HERE.glob(pattern)))
    terms = {"cwd": HERE, "env": os.environ | {"OMP_NUM_THREADS": "1"}, "capture_output": True, "text": True}
    command = [sys.executable, "-c", SCRIPTS.format(imported=imported)]
    done = subprocess.run(command, input=str(tmp_path / "sizes.png"), check=False, **terms)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sizes.png").stat().st_size > 0


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
