"""RDM movies against rsatoolbox's calc_rdm_movie: 120 stimuli, 306 sensors, 200 times.

python benchmarks/bench_timecourse.py

rsatoolbox is timed on one pattern a stimulus as it comes, and with descriptor="stimulus", by which it averages and
sorts, as its guide has it and crossnobis needs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", str(os.cpu_count() or 1))

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from secateur import timecourse

WIDTHS = (12, 14, 15, 12, 12, 8, 12, 10)


def best(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least seconds of a few runs, and what the last gave."""
    took, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        took.append(time.perf_counter() - start)
    return min(took), result


def compare(n: int = 120, sensors: int = 306, points: int = 200, splits: int = 4) -> None:
    """Seconds of each measure, ours with 1 thread and with all."""
    from rsatoolbox.data import TemporalDataset
    from rsatoolbox.rdm import calc_rdm_movie

    rng = np.random.default_rng(0)
    runs = rng.normal(size=(splits, n, sensors, points))
    root = rng.normal(size=(sensors, sensors)) / np.sqrt(sensors)
    precision = root @ root.T + np.eye(sensors)
    names = np.arange(n)
    processors = os.cpu_count() or 1
    print(f"{n} stimuli, {sensors} sensors, {points} times; crossnobis: {splits} splits; {processors} processors\n")
    heads = zip(("", "rsatoolbox s", "by stimulus s", "1 thread s", "ratios", "all s", "ratios", "off by"), WIDTHS)
    print("".join(f"{head:>{width}}" for head, width in heads))
    for metric in ("correlation", "euclidean", "mahalanobis", "crossnobis"):
        noise = precision if metric in ("mahalanobis", "crossnobis") else None
        crossed = metric == "crossnobis"
        patterns = runs if crossed else runs[0]
        labels = {"stimulus": np.tile(names, splits if crossed else 1)}
        labels |= {"run": np.repeat(np.arange(splits), n)} if crossed else {}
        rows = patterns.reshape(-1, sensors, points)
        data = TemporalDataset(rows, obs_descriptors=labels, time_descriptors={"time": np.arange(points)})
        theirs = partial(calc_rdm_movie, data, method=metric, noise=noise)
        named = {"descriptor": "stimulus", "cv_descriptor": "run" if crossed else None}
        grouped, movie = best(partial(theirs, **named), 1 if crossed else 2)
        bare = float("nan") if crossed else best(theirs, 3)[0]
        mine = partial(timecourse.rdm_movie, patterns, metric, noise=noise)
        one, result = best(partial(mine, threads=1), 5)
        every, _ = best(partial(mine, threads=processors), 5)
        off = np.abs(movie.dissimilarities - result.values).max()
        ratios = [f"{bare / t:.0f}, {grouped / t:.0f}".replace("nan, ", "") for t in (one, every)]
        print(f"{metric:12}{bare:14.3f}{grouped:15.2f}{one:12.3f}{ratios[0]:>12}{every:8.3f}{ratios[1]:>12}{off:10.0e}")


if __name__ == "__main__":
    compare()
