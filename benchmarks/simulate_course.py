"""How often the two tests along time find what isn't there, and what is: simulated recordings.

python benchmarks/simulate_course.py                  # the table of benchmarks/README.md; five minutes on one core
python benchmarks/simulate_course.py --quick          # a few data sets a case, in seconds; Ctrl-C ends any run

Cases: X has nothing to do with anything (plain null); subjects share structure of the stimuli that X has no part in
(shared structure); ten of X's features drive the patterns (planted). A find is a cluster with p <= 0.05 anywhere, or
p_max <= 0.05 at any time. Every data set has a seed of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import xarray

from secateur import Pruner, timecourse

TIMES = np.round(np.arange(-4, 16) * 0.03, 2)  # 20 times
SUBJECTS, STIMULI, FEATURES, SENSORS = 8, 24, 40, 30
PRUNER = Pruner(threads=1)
Data = tuple[np.ndarray, xarray.DataArray]


def plain(seed: int) -> Data:
    """Noise of its own in every subject."""
    X = np.random.default_rng([seed, 1]).normal(size=(STIMULI, FEATURES))
    return X, recording(seed, noise=1e6)


def shared(seed: int) -> Data:
    """The same 10 unknown features drive every subject; X is drawn beside them."""
    X = np.random.default_rng([seed, 1]).normal(size=(STIMULI, FEATURES))
    return X, recording(seed, noise=1.0)


def planted(seed: int) -> Data:
    """Ten of X's own features drive every subject."""
    patterns, truth = timecourse.simulate(
        STIMULI, subjects=SUBJECTS, sensors=SENSORS, times=TIMES, window=(0.05, 0.4), noise=1.0, seed=seed
    )
    return truth.X, patterns


def recording(seed: int, noise: float) -> xarray.DataArray:
    return timecourse.simulate(
        STIMULI, subjects=SUBJECTS, sensors=SENSORS, times=TIMES, window=(0.05, 0.4), noise=noise, seed=seed
    )[0]


CASES: dict[str, Callable[[int], Data]] = {"plain null": plain, "shared structure": shared, "planted": planted}


def finds(data: Data, n: int, seed: int) -> Iterator[tuple[str, bool]]:
    """What each test finds in one data set."""
    X, patterns = data
    movies = timecourse.rdm_movies(patterns, threads=1)
    terms = {"pruner": PRUNER, "cv": 3, "seed": seed, "progress": False}
    over_subjects = timecourse.group_test(timecourse.prune(X, movies, **terms), n=n, seed=seed, against_zero=True)
    relabelled = timecourse.permutation_test(X, movies, n, **terms)
    for score in ("full", "pruned", "gain"):
        prefix = "" if score == "gain" else f"{score}_"
        yield f"{score}: group_test, clusters", any_below(over_subjects[f"{prefix}cluster_p"])
        yield f"{score}: permutation_test, clusters", any_below(relabelled[f"cluster_p_{score}"])
        yield f"{score}: permutation_test, largest", any_below(relabelled[f"p_max_{score}"])


def any_below(p: xarray.DataArray) -> bool:
    return bool((p <= 0.05).any())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few data sets")
    parser.add_argument("--sets", type=int, help="data sets a case")
    parser.add_argument("--n", type=int, help="relabellings and flips")
    parser.add_argument("--seed", type=int, default=0, help="of the first data set; the others follow")
    given = parser.parse_args()
    sets, n = given.sets or (5 if given.quick else 200), given.n or (19 if given.quick else 39)
    start, done = time.perf_counter(), 0
    found: dict[str, dict[str, int]] = {}
    try:
        for seed in range(given.seed, given.seed + sets):
            hits = {case: list(finds(make(seed), n, seed)) for case, make in CASES.items()}
            for case, told in hits.items():
                for test, hit in told:
                    found.setdefault(test, dict.fromkeys(CASES, 0))[case] += hit
            done += 1
    except KeyboardInterrupt:
        sets = done
    print(
        f"{sets} data sets a case (seeds {given.seed} to {given.seed + sets - 1}), {n} relabellings and flips; "
        f"{SUBJECTS} subjects, {STIMULI} stimuli, {FEATURES} features, {len(TIMES)} times, 3 folds; share of data sets "
        f"with a find at 0.05, ± Monte Carlo standard error; {time.perf_counter() - start:.0f} s\n"
    )
    print(f"| score: test | {' | '.join(CASES)} |")
    print(f"| --- |{' --- |' * len(CASES)}")
    for test, counts in found.items():
        shares = np.array(list(counts.values())) / sets
        cells = [f"{share:.1%} ± {np.sqrt(share * (1 - share) / sets):.1%}" for share in shares]
        print(f"| {test} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
