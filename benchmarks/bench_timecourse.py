"""RDM movies against rsatoolbox's calc_rdm_movie: 120 stimuli, 306 sensors, 200 times.

python benchmarks/bench_timecourse.py

rsatoolbox is timed on one pattern a stimulus as it comes, and with descriptor="stimulus", by which it averages and
sorts, as its guide has it and crossnobis needs; numpy's products have all threads.
"""

from __future__ import annotations

import os

PROCESSORS = os.cpu_count() or 1
os.environ.setdefault("OPENBLAS_NUM_THREADS", str(PROCESSORS))

import cases
import machine
import numpy as np


def main(stimuli: int = 120, sensors: int = 306, points: int = 200) -> None:
    said = machine.facts()
    print(f"{stimuli} stimuli, {sensors} sensors, {points} times; crossnobis: 4 splits; ", end="")
    print(f"{said['processor']}, {PROCESSORS} processors\n")
    print("| measure | rsatoolbox, s | by stimulus, s | ours, 1 thread | ours, 2 threads | times ours (2) | off by |")
    print("| --- |" + " ---: |" * 6)
    for metric in ("correlation", "euclidean", "mahalanobis", "crossnobis"):
        group = cases.rdm_movie(stimuli, sensors, points, metric)
        took, results = {}, {}
        for name, way in group.contenders.items():
            took[name] = machine.best(lambda way=way, group=group: way.run(group.inputs), 5 if way.ours else 2)
            results[name] = group.run(name)
        theirs = [took.get("rsatoolbox"), took["rsatoolbox by stimulus"]]
        ratios = ", ".join(f"{seconds / took['ours, 2 threads']:.0f}" for seconds in theirs if seconds)
        cells = [f"{seconds:.3f}" if seconds else "" for seconds in (*theirs, took["ours"], took["ours, 2 threads"])]
        off = np.abs(results["rsatoolbox by stimulus"] - results["ours"]).max()
        print(f"| {' | '.join([metric, *cells, ratios])} | {off:.0e} |", flush=True)


if __name__ == "__main__":
    main()
