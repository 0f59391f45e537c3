"""Contenders of :mod:`cases` by turns, each build of the core in a process of its own, so that noise is noise for all.

A build is a package and an instruction level. ``--against FOLDER`` of the scripts names another build's package: the
folder that holds ``secateur``, compiled. Its times stand beside this one's, taken in the same turns.
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import contextlib
import json
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
BRIEF = 0.02  # seconds of one turn, of calls that take less


class Worker:
    """A process with one build, which does what it is asked line by line."""

    def __init__(self, package: str | None = None, level: str | None = None) -> None:
        environment = os.environ | ({"SECATEUR_SIMD": level} if level else {})
        command = [sys.executable, str(HERE / "turns.py"), package or ""]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what: str, group: str = "", contender: str = "") -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([what, group, contender]) + "\n")
            self.process.stdin.flush()
        reply = self.process.stdout.readline()
        if not reply:
            raise SystemExit(f"{group}, {contender}: the process that ran it has ended, see above")
        return json.loads(reply)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def take(package: str) -> Path:
    """Import secateur from this folder, or the one that is installed where none is named; where it lies."""
    if package:
        sys.path.insert(0, str(Path(package).resolve()))
    import secateur

    place = Path(secateur.__file__).parent
    if package and place.parent != Path(package).resolve():
        sys.exit(f"--against must name the folder that holds another build's package secateur, got {package}")
    return place


def serve(package: str) -> None:
    """A worker's own side. What libraries print goes to stderr; replies alone to stdout."""
    place = take(package)
    import cases
    import machine

    replies, sys.stdout = sys.stdout, sys.stderr

    def answered(what: str, name: str, contender: str) -> Any:
        if what == "facts":
            return machine.facts() | {"fma": machine.fma_peak(), "package": str(place)}
        group = cases.named(name)
        way, inputs = group.contenders[contender], group.inputs
        if what == "floor":
            return group.work.floor(way.threads) if group.work else None
        if what == "peak":
            return way.threads, machine.fma_peak(way.threads)
        if what == "result":
            return np.ravel(way.run(inputs)).astype(float).tolist()
        held = machine.forget_peak() if what == "memory" else 0
        seconds, _ = machine.timed(lambda: way.run(inputs))
        if what == "memory":  # beyond what inputs take
            return seconds, machine.peak_memory() - held
        return float(np.median(machine.times(lambda: way.run(inputs), max(1, int(BRIEF / seconds)))))

    for line in sys.stdin:
        print(json.dumps(answered(*json.loads(line))), file=replies, flush=True)


def package(folder: str) -> str:
    """A folder that holds a compiled secateur."""
    if not any(Path(folder, "secateur", f"_core{suffix}").is_file() for suffix in EXTENSION_SUFFIXES):
        raise argparse.ArgumentTypeError(f"must be a folder that holds a compiled package secateur, got {folder}")
    return folder


def options(about: str, rounds: int) -> argparse.ArgumentParser:
    """What the scripts of tables share."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"turns of each, {rounds} by default")
    parser.add_argument("--against", metavar="FOLDER", type=package, help="holds another build of secateur, compiled")
    return parser


One = tuple[str, str]  # a group and a contender, by their names


def by_turns(builds: dict[str, Worker], chosen: list[One], rounds: int) -> dict[str, dict[One, list[float]]]:
    """Seconds by build and contender. Which build goes first alternates; other builds run only what is ours."""
    taken: dict[str, dict[One, list[float]]] = {build: {one: [] for one in chosen} for build in builds}
    for group in dict.fromkeys(group for group, _ in chosen):  # a worker holds the inputs of one group at a time
        for turn in range(rounds):
            for one in (one for one in chosen if one[0] == group):
                for build in list(builds)[:: -1 if turn % 2 else 1]:
                    if build == "now" or one[1].startswith("ours"):
                        taken[build][one].append(builds[build].ask("seconds", *one))
    return taken


def table(chosen: list[One], rounds: int, against: str | None = None, level: str | None = None) -> dict[One, float]:
    """Print a row for each: medians, the share of the floor, the other build; return the medians, seconds."""
    with contextlib.ExitStack() as stack:
        folders = {"now": None} | ({"before": against} if against else {})
        builds = {name: stack.enter_context(Worker(folder, level)) for name, folder in folders.items()}
        for name, worker in builds.items():
            facts = worker.ask("facts")
            print(f"{name}: {facts['package']}, secateur {facts['secateur']}, level {facts['simd']}")
        print(f"{facts['processor']}; FMA peak of one core {facts['fma'] / 1e9:.1f} G/s; ", end="")
        print(f"medians of {rounds} turns, one thread unless said\n")
        taken = by_turns(builds, chosen, rounds)
        medians = {one: float(np.median(seconds)) for one, seconds in taken["now"].items()}
        heads = ["", "ms", "times ours", "of the floor", "max difference"]
        heads += ["before, ms", "now / before"] if against else []
        print(f"| {' | '.join(heads)} |\n| --- |{' ---: |' * (len(heads) - 1)}")
        for one, seconds in medians.items():
            group, contender = one
            ours = group, "ours"
            cells = [f"{group}: {contender}", f"{1e3 * seconds:.2f}"]
            cells += [f"{seconds / medians[ours]:.2f}" if ours in medians else ""]
            floor = builds["now"].ask("floor", *one) if contender.startswith("ours") else None
            cells += [f"{floor[0] / seconds:.0%}" if floor else ""]
            if one != ours and ours in medians:
                results = [builds["now"].ask("result", *other) for other in (one, ours)]
                cells += [f"{np.nanmax(np.abs(np.subtract(*results))):.1e}"]
            else:
                cells += [""]
            if against and taken["before"][one]:
                now, before = np.array(taken["now"][one]), np.array(taken["before"][one])
                # the median of ratios of neighbours in time: what else runs slows both
                cells += [f"{1e3 * np.median(before):.2f}", f"{np.median(now / before):.3f}"]
            cells += [""] * (len(heads) - len(cells))
            print(f"| {' | '.join(cells)} |", flush=True)
    return medians


if __name__ == "__main__":
    serve(sys.argv[1])
