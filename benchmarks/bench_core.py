"""One fold of one target: leave-one-out and insertion against numpy, one thread and two, and the arithmetic floor.

python benchmarks/bench_core.py
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cases
import numpy as np

import secateur as sc


def main(rounds: int = 15) -> None:
    case = cases.PAPER
    X, targets = case.make()
    h = targets[0]
    order = np.argsort(sc.leave_one_out(X, h, kind="similarity", threads=1), kind="stable")
    contenders = {
        "leave-one-out": lambda: sc.leave_one_out(X, h, kind="similarity", threads=1),
        "leave-one-out, 2 threads": lambda: sc.leave_one_out(X, h, kind="similarity", threads=2),
        "leave-one-out, closed-form numpy": lambda: cases.closed_form_leave_one_out(X, targets),
        "leave-one-out, rank-one numpy": lambda: cases.rank_one_leave_one_out(X, h),
        "leave-one-out, trimmed rank-one numpy": lambda: cases.trimmed_rank_one_leave_one_out(X, h),
        "insertion": lambda: sc.insertion_curve(X, h, order, kind="similarity", threads=1),
        "insertion, 2 threads": lambda: sc.insertion_curve(X, h, order, kind="similarity", threads=2),
        "insertion, rank-one numpy": lambda: cases.rank_one_insertion(X, h, order),
        "insertion, trimmed rank-one numpy": lambda: cases.trimmed_rank_one_insertion(X, h, order),
    }
    peak = cases.fma_peak()
    floor = 5 * case.pairs * case.d / peak
    took = cases.medians(contenders, rounds)
    results = {name: np.ravel(run()) for name, run in contenders.items()}
    print(
        f"{case.name}: n = {case.n}, d = {case.d}, cosine, pearson; medians of {rounds} rounds, one thread unless said"
    )
    print(f"FMA peak of one core {peak / 1e9:.1f} G/s; floor (5 FMA a pair and feature) {1e3 * floor:.2f} ms\n")
    print(f"| {'':37} | {'ms':>7} | {'times ours':>10} | {'of the floor':>12} | {'max difference':>14} |")
    print(f"| {'-' * 37} | ------: | ---------: | -----------: | -------------: |")
    for name, seconds in took.items():
        ours = name.split(",")[0]
        share = f"{floor / seconds:.0%}" if name == ours else ""
        difference = f"{np.nanmax(np.abs(results[name] - results[ours])):.1e}" if name != ours else ""
        print(f"| {name:37} | {1e3 * seconds:7.2f} | {seconds / took[ours]:10.2f} | {share:>12} | {difference:>14} |")


if __name__ == "__main__":
    main()
