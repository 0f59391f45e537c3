"""The MEG study in full: 8 participants x 200 times x 5 folds, n = 96, d = 4096; a kill and a resume; a dask cluster.

python benchmarks/bench_course.py
python benchmarks/bench_course.py --against FOLDER [--rounds N]   # the run in memory alone, two builds by turns

The study is planted: 8 recordings of 306 sensors, simulated one by one, in which 32 of the 4096 features drive the
patterns from 150 to 400 ms. Every run is a process of its own. PICTURE=page.png keeps the page of pictures. Linux.
"""

from __future__ import annotations

import os

import turns

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if len(sys.argv) == 6:  # a child of this script, which may be another build's
    turns.take(sys.argv[5])

import machine
import numpy as np
import xarray

import secateur as sc

SUBJECTS, N, D, PLANTED, SENSORS = 8, 96, 4096, 32, 306
TIMES = np.round(np.arange(-20, 180) * 0.005, 3)
MOVIES = "movies.zarr"
PICTURE = "PICTURE"


def embedding() -> np.ndarray:
    """Rectified, as a penultimate layer's activations are."""
    return np.maximum(np.random.default_rng(0).normal(size=(N, D)), 0)


def record(folder: Path) -> None:
    """Make the study's movies, one participant at a time, in a Zarr store."""
    X = embedding()
    movies = []
    for subject in range(SUBJECTS):
        planted: dict[str, Any] = {"X": X, "features": np.arange(PLANTED), "window": (0.15, 0.4), "noise": 0.6}
        patterns, _ = sc.timecourse.simulate(N, sensors=SENSORS, times=TIMES, seed=subject, **planted)
        movies.append(sc.timecourse.rdm_movie(patterns[0]).expand_dims(subject=[f"participant {subject + 1}"]))
    whole = xarray.concat(movies, "subject").chunk(subject=1, time=50)
    whole.to_dataset(name="dissimilarity").to_zarr(folder / MOVIES, zarr_format=2)


def run(folder: Path, how: str, store: str, out: str) -> None:
    """One run of the study, in a process of its own; seconds and memory as JSON."""
    if how == "record":
        record(folder)
        Path(out).write_text("{}", encoding="utf-8")
        return
    X = embedding()
    movies = xarray.open_zarr(folder / MOVIES)["dissimilarity"]
    asked: dict[str, Any] = {"store": store or None, "progress": False}
    if "memory" in how:
        movies = movies.load()
    if "subject" in how:
        movies = movies[:1]
    before = machine.peak_memory()
    if "cluster" in how:
        from distributed import Client, LocalCluster

        workers = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        with workers, Client(workers) as client:
            start = time.perf_counter()
            course = sc.timecourse.prune(X, movies, client=client, **asked)
            took = time.perf_counter() - start
    else:
        start = time.perf_counter()
        course = sc.timecourse.prune(X, movies, generalise="generalise" in how, **asked)
        took = time.perf_counter() - start
    inside = (course["time"] > 0.2) & (course["time"] < 0.35)
    outside = (course["time"] <= 0.15) | (course["time"] >= 0.4)
    mean = course[["full_test", "pruned_test", "n_kept"]].mean(["subject", "fold"])
    said = {
        "seconds": took,
        "before": before / 2**20,
        "peak": machine.peak_memory() / 2**20,
        "inside": [float(mean[name][inside].mean()) for name in mean],
        "outside": [float(mean[name][outside].mean()) for name in mean],
        "planted": [float(course.selection[:, inside, part].mean()) for part in (slice(PLANTED), slice(PLANTED, None))],
    }
    if how == "memory":
        said["clusters"] = clusters(course)
        if PICTURE in os.environ:
            sc.report.course_page(course, title="A planted study").savefig(os.environ[PICTURE], dpi=150)
    np.savez(Path(out).with_suffix(".npz"), **{name: course[name].values for name in course.data_vars})
    Path(out).write_text(json.dumps(said), encoding="utf-8")


def clusters(course: xarray.Dataset) -> list[str]:
    """Where the test over subjects finds that pruning helps: milliseconds, mean gain, p."""
    test = sc.timecourse.group_test(course)
    found = []
    for label in range(1, int(test["cluster"].max()) + 1):
        inside = test.isel(time=(test["cluster"] == label).values)
        times, p = 1e3 * inside["time"].values, float(inside["cluster_p"][0])
        if p <= 0.05:
            gain = float(inside["gain"].mean())
            found.append(f"{times[0]:.0f} to {times[-1]:.0f} ms, gain {gain:+.3f}, p = {p:.4f}")
    return found


def child(folder: Path, how: str, store: str = "", package: str = "") -> tuple[subprocess.Popen[bytes], Path]:
    out = folder / f"{how.replace(' ', '-')}.json"
    return subprocess.Popen([sys.executable, __file__, str(folder), how, store, str(out), package]), out


def finished(folder: Path, how: str, store: str = "", package: str = "") -> dict[str, Any]:
    process, out = child(folder, how, store, package)
    if process.wait():
        raise SystemExit(f"{how}: the run failed")
    said: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return said


def same(folder: Path, one: str, other: str) -> bool:
    """Whether two runs gave the same bits."""
    a, b = (np.load(folder / f"{how.replace(' ', '-')}.npz") for how in (one, other))
    return sorted(a) == sorted(b) and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def row(name: str, said: dict[str, Any], note: str) -> None:
    print(f"| {name:46} | {said['seconds']:7.1f} | {said['peak']:6.0f} | {said['before']:6.0f} | {note} |", flush=True)


def compare(against: str, rounds: int) -> None:
    """Two builds by turns: medians, and the median of the ratios of neighbours in time."""
    taken: dict[str, list[float]] = {"now": [], "before": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        finished(folder, "record")
        for turn in range(rounds):
            for build in list(taken)[:: -1 if turn % 2 else 1]:
                said = finished(folder, f"memory {build}", package="" if build == "now" else against)
                taken[build].append(said["seconds"])
        bits = same(folder, "memory now", "memory before")
    now, before = np.array(taken["now"]), np.array(taken["before"])
    print(f"in memory, {rounds} turns: now {np.median(now):.1f} s, before {np.median(before):.1f} s, ", end="")
    print(f"now / before {np.median(now / before):.3f}; same bits: {bits}")


def main() -> None:
    asked = turns.options(__doc__.splitlines()[0], rounds=3).parse_args()
    if asked.against:
        compare(asked.against, asked.rounds)
        return
    prunings = SUBJECTS * len(TIMES) * 5
    print(f"{SUBJECTS} participants x {len(TIMES)} times x 5 folds = {prunings} prunings; n = {N}, d = {D}; ", end="")
    print(f"{os.cpu_count()} processors\n")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        start = time.perf_counter()
        finished(folder, "record")
        made = time.perf_counter() - start
        print(f"| {'':46} | seconds | peak MiB | MiB before | |")
        print("| --- | ---: | ---: | ---: | --- |")
        memory = finished(folder, "memory")
        row("in memory", memory, f"{1e3 * memory['seconds'] / prunings:.2f} ms a pruning")
        lazy = finished(folder, "store", str(folder / "whole.zarr"))
        row("movies read from Zarr, results to Zarr", lazy, f"same bits: {same(folder, 'memory', 'store')}")

        store = folder / "killed.zarr"
        process, _ = child(folder, "killed", str(store))
        marks = store / "test" / ".secateur" / "done"
        while process.poll() is None and (not marks.is_dir() or len(list(marks.glob("*.json"))) < 16):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = len(list(marks.glob("*.json")))
        resumed = finished(folder, "resumed", str(store))
        note = f"same bits: {same(folder, 'memory', 'resumed')}"
        row(f"killed after {done} of 32 chunks, resumed: the rest", resumed, note)

        cluster = finished(folder, "cluster", str(folder / "cluster.zarr"))
        note = f"same bits: {same(folder, 'memory', 'cluster')}; memory of the caller alone"
        row("dask, two worker processes", cluster, note)
        subject = finished(folder, "memory subject generalise")
        row("one participant, every time to every time", subject, f"{len(TIMES) ** 2 * 5} scores of pruned features")
        print(f"\nsimulating and rdm_movie: {made:.0f} s")
        names = ("full_test", "pruned_test", "n_kept")
        for where in ("inside", "outside"):
            values = ", ".join(f"{name} {value:.3f}" for name, value in zip(names, memory[where], strict=True))
            print(f"{where} the planted window: {values}")
        one, other = memory["planted"]
        print("clusters in which pruning helps: " + ("; ".join(memory["clusters"]) or "none"))
        print(f"share of folds inside that keep a planted feature: {one:.2f}; another: {other:.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 6:  # a child of this script
        run(Path(sys.argv[1]), *sys.argv[2:5])
    else:
        main()
