"""The verbs on a CUDA device: parity with the processor by metric and by comparator, times, the share of the
arithmetic floor, a whole MEG study, searches step by step, a permutation test, VGG-16's feature maps masked one by one.

python benchmarks/bench_cuda.py            # on a machine with a GPU; without one it says so and ends
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import cases
import machine
import numpy as np

import secateur as sc
import secateur.device
from secateur.execution import Execution
from secateur.features import read_features
from secateur.measures import COMPARATORS, METRICS
from secateur.problem import similarities_in_each
from secateur.targets import read_target
from secateur.validation import score_fold, split


def peak(tensor: int = 4096) -> tuple[float, float] | None:
    """Multiply-adds a second in double and single, by torch's matrix product, where torch sees the device."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = False
    rates = []
    for kind in (torch.float64, torch.float32):
        a = torch.ones((tensor, tensor), dtype=kind, device="cuda")

        def multiply(a: torch.Tensor = a) -> None:
            a @ a
            torch.cuda.synchronize()

        rates.append(tensor**3 / machine.median(multiply))
    return rates[0], rates[1]


def parity() -> None:
    """Largest difference from the processor, and the share of positions of the ranking that agree."""
    case = cases.PAPER
    X, targets = case.make()
    h = targets[0]
    print("| metric | leave-one-out | add-one | insertion | order kept, double | order kept, single |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    inside = np.arange(0, case.d, 2)
    order = np.random.default_rng(0).permutation(case.d)
    for metric in METRICS:
        run = {
            "cpu": dict(device="cpu"),
            "cuda": dict(device="cuda"),
            "single": dict(device="cuda", precision="single"),
        }
        loo = {name: sc.leave_one_out(X, h, metric, kind="similarity", **where) for name, where in run.items()}
        ranks = {name: np.argsort(values, kind="stable") for name, values in loo.items()}
        gaps = [np.nanmax(np.abs(loo["cuda"] - loo["cpu"]))]
        for verb, argument in ((sc.add_one, inside), (sc.insertion_curve, order)):
            ours, theirs = (
                verb(X, h, argument, metric, kind="similarity", device=device) for device in ("cuda", "cpu")
            )
            gaps.append(np.nanmax(np.abs(ours - theirs)))
        kept = [f"{np.mean(ranks[name] == ranks['cpu']):.2%}" for name in ("cuda", "single")]
        print(f"| {metric} | " + " | ".join([*(f"{gap:.1e}" for gap in gaps), *kept]) + " |")


def comparators() -> None:
    """Every comparator: largest difference from the processor, and times beside it."""
    case = cases.PAPER
    X, targets = case.make()
    h, order = targets[0], np.random.default_rng(0).permutation(case.d)
    print(
        "| comparator | leave-one-out | insertion | leave-one-out, ms | insertion, ms | processor, ms | processor, ms |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for comparator in COMPARATORS:
        runs = [
            [partial(verb, X, h, comparator=comparator, kind="similarity", device=device, **argument)
             for verb, argument in ((sc.leave_one_out, {}), (sc.insertion_curve, {"order": order}))]
            for device in ("cuda", "cpu")
        ]  # fmt: skip
        gaps = [np.nanmax(np.abs(ours() - theirs())) for ours, theirs in zip(*runs)]
        took = [1e3 * machine.median(run, 3) for device in runs for run in device]
        print(
            f"| {comparator} | " + " | ".join([*(f"{gap:.1e}" for gap in gaps), *(f"{ms:.2f}" for ms in took)]) + " |"
        )


def verbs(rates: tuple[float, float] | None) -> None:
    """Times of single calls, host to host, beside the arithmetic floor at the device's measured rate."""
    print("| case | verb | precision | ms | of the floor | processor, ms |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    many = cases.Case("many stimuli", 512, 4096, 20), cases.Case("the objects of THINGS", 1854, 4096, 4)
    for case in (cases.PAPER, cases.HUNDRED, cases.SET144, cases.STUDY, *many):
        X, targets = case.make()
        T = len(targets)
        orders = np.stack([np.random.default_rng(t).permutation(case.d) for t in range(T)])
        for precision in ("double", "single"):
            for verb, argument, work in (
                (sc.leave_one_out, None, 5.0 + T),
                (sc.insertion_curve, orders, 5.0 * T),
            ):
                if verb is sc.insertion_curve and precision == "single":
                    continue  # its sums run in double either way
                run = partial(verb, X, targets, kind="similarity", **({} if argument is None else {"order": argument}))
                took = machine.median(partial(run, device="cuda", precision=precision))
                beside = f"{1e3 * machine.median(partial(run, device='cpu'), 3):.1f}" if precision == "double" else ""
                share = f"{case.pairs * case.d * work / rates[precision == 'single'] / took:.0%}" if rates else ""
                row = f"{case.name}: n = {case.n}, d = {case.d}, T = {T}", verb.__name__, precision
                print(f"| {' | '.join(row)} | {1e3 * took:.2f} | {share} | {beside} |")


def study(participants: int = 20) -> None:
    """Every time point of every participant, five folds: 20 x 200 x 5 prunings, each with its held-out scores.

    The device's seconds are those between events at the beginning and the end of each call, transfers included; of
    folds that overlap each counts.
    """
    X, targets = cases.STUDY.make()
    print("| study | precision | folds | seconds | of the device | processor, seconds (of one, scaled) |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    one = machine.median(
        lambda: sc.cross_validate(X, targets, sc.Pruner(kind="similarity", device="cpu"), cv=5, progress=False), 1
    )
    folds, _ = split(len(X), 5)
    for precision, overlap in product(("double", "single"), (True, False)):
        pruner = sc.Pruner(kind="similarity", device="cuda", precision=precision)
        settings = pruner.settings()
        first = settings.problem(read_features(X), read_target(targets, len(X), "similarity"), folds, runs=1)
        for participant in range(-1, participants):  # the first is not counted
            if participant == 0:
                start, busy = time.perf_counter(), first.execution.memory.seconds
            problem = first.over(read_features(X), read_target(targets, len(X), "similarity")).load()
            jobs = (partial(score_fold, problem, fold, settings.search) for fold in folds)
            for _ in problem.execution.in_turns(jobs, short=overlap):
                pass
        took, busy = time.perf_counter() - start, first.execution.memory.seconds - busy
        row = (
            f"{participants} participants x {len(targets)} times x 5 folds",
            precision,
            "by twos" if overlap else "singly",
        )
        print(f"| {' | '.join(row)} | {took:.2f} | {busy:.2f} | {participants * one:.1f} |")


def steps(features: int = 20) -> None:
    """Greedy searches, whose space and candidates stay on the device from X on."""
    X, targets = cases.PAPER.make()
    print("| search | features | seconds | processor, seconds |")
    print("| --- | ---: | ---: | ---: |")
    for search, limits in (("forward", {"max_features": features}), ("parsimonious", {})):
        options = {"kind": "similarity", "search": search, "progress": False, **limits}
        took = [
            machine.median(partial(sc.Pruner(device=device, **options).fit, X, targets[0]), 1)
            for device in ("cuda", "cpu")
        ]
        print(f"| {search} | {limits.get('max_features', len(X[0]))} | {took[0]:.2f} | {took[1]:.2f} |")


def null(permutations: int = 1000) -> None:
    """A whole permutation test of one target."""
    X, targets = cases.PAPER.make()
    print("| permutation test | seconds | processor, seconds |")
    print("| --- | ---: | ---: |")
    took = [
        machine.median(
            partial(
                sc.permutation_test,
                X,
                targets[0],
                permutations,
                sc.Pruner(kind="similarity", device=device),
                progress=False,
            ),
            1,
        )
        for device in ("cuda", "cpu")
    ]
    print(f"| {permutations} x 5 folds, n = {len(X)}, d = {X.shape[1]} | {took[0]:.2f} | {took[1]:.2f} |")


def feature_maps(
    rates: tuple[float, float] | None,
    n: int = 120,
    maps: int = 512,
    side: int = 14,
    units: int = 4096,
    place: str = "cuda",
) -> None:
    """All n x maps masked embeddings behind a head like VGG-16's, from maps that lie there, and their similarities.

    The floor is the multiply-adds of the units that a tile of rows moves, at torch's rate in single precision.
    """
    import torch

    from secateur.networks.necks import TILE

    print(f"{n} images, {maps} maps of {side} x {side} -> {units} -> {units}; random weights\n")
    print(
        "| active units | moved | tables, ms | masked embeddings, ms | of the floor | with similarities, ms | "
        "largest difference | processor, s |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for active in (0.5, 0.2):
        head = cases.head(n, maps, side, units, active)
        execution = Execution.resolved("cuda")
        load = partial(head.rectified, execution, place)
        neck, here = load(), head.rectified(execution_here := Execution(threads=execution.threads))

        def embed(neck: Any = neck) -> None:
            for _ in cases.without_each(neck):
                pass
            if place == "cuda":
                torch.cuda.synchronize()

        def compare(neck: Any = neck, execution: Execution = execution) -> None:
            for embeddings in cases.without_each(neck):
                similarities_in_each(embeddings, "cosine", execution)

        chosen = np.arange(0, maps, max(1, maps // 8))
        ours, theirs = (np.asarray(torch.as_tensor(one.without_each(chosen)).cpu()) for one in (neck, here))
        gap = np.abs(ours - theirs).max() / np.abs(theirs).max()
        with torch.inference_mode():
            shares = neck._shares(torch.arange(n), np.arange(min(TILE, maps)))
            moved = float(((neck.units - shares).relu() != neck.units.relu()).any(0).float().mean())
        took, both = machine.median(embed), machine.median(compare)
        beside = machine.median(lambda here=here: [None for _ in cases.without_each(here)], 1)
        share = f"{n * maps * moved * units**2 / rates[1] / took:.0%}" if rates else ""
        print(
            f"| {float((neck.units > 0).float().mean()):.0%} | {moved:.0%} | {1e3 * machine.median(load, 3):.0f} | "
            f"{1e3 * took:.1f} | {share} | {1e3 * both:.1f} | {gap:.1e} of the largest | "
            f"{beside:.2f} ({execution_here.threads} threads) |"
        )


def main() -> None:
    usable, reason = secateur.device.available("cuda")
    if not usable:
        sys.exit(f"device='cuda' cannot be used, {reason}: nothing was measured")
    name = secateur.device.describe("cuda")
    if "emulated" in name:
        sys.exit("this build emulates CUDA on the host for tests: nothing was measured")
    rates = peak()
    print(f"{name}; {secateur.device.describe('cpu')}; {datetime.date.today()}")
    if rates:
        print(
            f"multiply-adds a second (torch's product): {rates[0] / 1e12:.2f} T double, {rates[1] / 1e12:.2f} T single"
        )
    parts: list[Callable[[], None]] = [parity, comparators, partial(verbs, rates), study, steps, null]
    if rates:  # torch sees the device
        parts.append(partial(feature_maps, rates))
    for part in parts:
        print()
        part()


if __name__ == "__main__":
    main()
