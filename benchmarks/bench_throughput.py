"""Many targets at once: leave-one-out, insertion, rank comparators, memory, and a tenth of the MEG study.

python benchmarks/bench_throughput.py [--rounds N] [--against FOLDER]
"""

from __future__ import annotations

import turns

import cases

WAYS = ("ours", "ours, 2 threads")


def memory(against: str | None) -> None:
    """A process for each: the peak of one call, and what was held before it."""
    print("\n| leave-one-out and insertion of 200 targets, one call, 2 threads | s | peak memory above inputs, MiB |")
    print("| --- | ---: | ---: |")
    for verb in ("leave_one_out", "insertion_curve"):
        group = cases.sized(verb, cases.SET144, "pearson")
        for build, package in (("now", None), ("before", against)):
            if build == "now" or package:
                with turns.Worker(package) as worker:
                    seconds, held = worker.ask("memory", group, WAYS[1])
                print(f"| {group}{', before' * (build == 'before')} | {seconds:.3f} | {held / 2**20:.0f} |")


def main(participants: int = 20) -> None:
    asked = turns.options(__doc__.splitlines()[0], rounds=5).parse_args()
    many, one, study = cases.HUNDRED, cases.PAPER, cases.STUDY
    chosen = [(cases.sized("leave_one_out", many, "pearson"), name) for name in (*WAYS, "numpy closed form")]
    chosen += [(cases.sized("insertion_curve", many, "pearson"), name) for name in WAYS]
    for comparator in ("spearman", "rho-a", "tau-a", "tau-b"):
        verbs = ("leave_one_out", "insertion_curve")
        chosen += [(cases.sized(verb, one, comparator), name) for verb in verbs for name in WAYS]
    participant = (cases.sized("cross_validate", study, "pearson"), WAYS[1])
    took = turns.table([*chosen, participant], asked.rounds, asked.against)
    memory(asked.against)
    prunings = participants * study.targets * 5
    print(
        f"\nMEG study, {participants} participants x {study.targets} times x 5 folds, {prunings} prunings, 2 threads: ",
        end="",
    )
    print(f"{participants * took[participant]:.0f} s (one participant, times {participants})")


if __name__ == "__main__":
    main()
