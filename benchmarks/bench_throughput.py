"""Many targets at once: leave-one-out, insertion, rank comparators, memory, and a tenth of the MEG study.

python benchmarks/bench_throughput.py
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import resource
import time

import cases
import numpy as np

import secateur as sc


def row(name: str, seconds: float, note: str) -> None:
    print(f"| {name:58} | {seconds:9.3f} | {note} |")


def engine(peak: float) -> None:
    case = cases.HUNDRED
    X, targets = case.make()
    orders = np.argsort(sc.leave_one_out(X, targets, kind="similarity", threads=1), axis=1, kind="stable")
    took = cases.medians(
        {
            "ours": lambda: sc.leave_one_out(X, targets, kind="similarity", threads=1),
            "numpy": lambda: cases.closed_form_leave_one_out(X, targets),
            "insertion": lambda: sc.insertion_curve(X, targets, orders, kind="similarity", threads=1),
        },
        rounds=5,
    )
    floor = (5 + case.targets) * case.pairs * case.d / peak
    row(
        "leave-one-out, 100 targets, 1 thread",
        took["ours"],
        f"{floor / took['ours']:.0%} of the floor (5 + T FMA a pair and feature)",
    )
    row(
        "leave-one-out, 100 targets, closed-form numpy, 1 thread",
        took["numpy"],
        f"{took['numpy'] / took['ours']:.1f} times ours",
    )
    each = took["insertion"] / case.targets
    share = 5 * case.pairs * case.d / peak / each
    row(
        "insertion, 100 targets and orders, 1 thread",
        took["insertion"],
        f"{1e3 * each:.2f} ms a target, {share:.0%} of the floor",
    )


def ranks() -> None:
    case = cases.PAPER
    X, targets = case.make()
    h = targets[0]
    order = np.argsort(sc.leave_one_out(X, h, kind="similarity"), kind="stable")
    for comparator in ("spearman", "rho-a", "tau-a"):
        took = cases.medians(
            {
                "leave-one-out": lambda c=comparator: sc.leave_one_out(
                    X, h, kind="similarity", comparator=c, threads=2
                ),
                "insertion": lambda c=comparator: sc.insertion_curve(
                    X, h, order, kind="similarity", comparator=c, threads=2
                ),
            },
            rounds=3,
        )
        for name, seconds in took.items():
            row(f"{name}, {comparator}, one target, 2 threads", seconds, "")


def memory() -> None:
    case = cases.SET144
    X, targets = case.make()
    for name, call in {
        "leave-one-out": lambda: sc.leave_one_out(X, targets, kind="similarity", threads=2),
        "insertion": lambda: sc.insertion_curve(X, targets, np.arange(case.d), kind="similarity", threads=2),
    }.items():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        out = call()
        seconds = time.perf_counter() - start
        extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 - out.nbytes / 2**20
        row(
            f"{name}, n = 144, T = 200, 2 threads",
            seconds,
            f"peak memory {max(extra, 0):.0f} MiB above inputs and output ({out.nbytes >> 20} MiB)",
        )


def study(participants: int = 2) -> None:
    case = cases.STUDY
    start = time.perf_counter()
    for participant in range(participants):
        X, movie = case.make(participant)
        made = time.perf_counter()
        sc.cross_validate(X, movie, cv=5, seed=0, kind="similarity", curves=False, progress=False)
        start += made - start if participant == 0 else 0
    seconds = time.perf_counter() - start
    prunings = participants * case.targets * 5
    note = f"{prunings} prunings; 20 participants (20 000): {20 / participants * seconds:.0f} s"
    row(f"MEG study, {participants} of 20 participants x 200 times x 5 folds", seconds, note)


def main() -> None:
    peak = cases.fma_peak()
    print(f"n = 96, d = 4096, cosine and pearson unless said; medians; FMA peak of one core {peak / 1e9:.1f} G/s\n")
    print(f"| {'':58} | {'seconds':>9} | |\n| {'-' * 58} | --------: | --- |")
    memory()
    engine(peak)
    ranks()
    study()


if __name__ == "__main__":
    main()
