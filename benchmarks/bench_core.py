"""One fold of one target: leave-one-out and insertion against numpy, one thread and two, and the floor.

    python benchmarks/bench_core.py
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import cases
import numpy as np

import secateur as sc


def main(rounds: int = 15) -> None:
    case = cases.PAPER
    X, targets = case.make()
    h = targets[0]
    order = np.argsort(sc.leave_one_out(X, h, threads=1), kind="stable")
    slow = ("leave-one-out, rank-one numpy", "insertion, rank-one numpy")
    contenders = {
        "leave-one-out": lambda: sc.leave_one_out(X, h, threads=1),
        "leave-one-out, 2 threads": lambda: sc.leave_one_out(X, h, threads=2),
        "leave-one-out, closed-form numpy": lambda: cases.closed_form_leave_one_out(X, h),
        "leave-one-out, rank-one numpy": lambda: cases.rank_one_leave_one_out(X, h),
        "insertion": lambda: sc.insertion_curve(X, h, order, threads=1),
        "insertion, 2 threads": lambda: sc.insertion_curve(X, h, order, threads=2),
        "insertion, rank-one numpy": lambda: cases.rank_one_insertion(X, h, order),
    }
    agreement = {
        "leave-one-out, closed-form numpy": np.abs(contenders["leave-one-out"]() - contenders["leave-one-out, closed-form numpy"]()).max(),
        "leave-one-out, rank-one numpy": np.abs(contenders["leave-one-out"]() - contenders["leave-one-out, rank-one numpy"]()).max(),
        "insertion, rank-one numpy": np.nanmax(np.abs(contenders["insertion"]() - contenders["insertion, rank-one numpy"]())),
    }
    peak = cases.fma_peak()
    floor = 5 * case.pairs * case.d / peak
    took = cases.medians(contenders, rounds, slow, slow_rounds=15 if rounds >= 15 else rounds)
    print(f"{case.name}: n = {case.n}, d = {case.d}, cosine, pearson; medians of {rounds} rounds, one thread unless said")
    print(f"FMA peak of one core {peak / 1e9:.1f} G/s; floor (5 FMA a pair and feature) {1e3 * floor:.2f} ms\n")
    print(f"{'':36}{'ms':>9}{'times ours':>12}{'of the floor':>14}{'max difference':>16}")
    for name, seconds in took.items():
        ours = took[name.split(",")[0]]
        share = f"{floor / seconds:.0%}" if "numpy" not in name and "threads" not in name else ""
        difference = f"{agreement[name]:.1e}" if name in agreement else ""
        print(f"{name:36}{1e3 * seconds:9.2f}{seconds / ours:12.2f}{share:>14}{difference:>16}")


if __name__ == "__main__":
    main()
