"""What a run will take: the formula and what is measured, and when it is said."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import secateur as sc
from secateur import cost
from secateur.execution import Execution
from secateur.features import Features
from secateur.problem import Problem
from secateur.targets import Targets

GIB = 2**30


def problem_of(n=30, d=20, targets=1, comparator="pearson", threads=1):
    rng = np.random.default_rng(0)
    goal = Targets(rng.normal(size=(targets, n * (n - 1) // 2)), None, None, n)
    return Problem(Features(rng.normal(size=(n, d))), goal, "cosine", comparator, Execution(threads=threads))


def test_memory_grows_with_pairs_and_with_x():
    pairs, once = 16_000 * 15_999 / 2, cost.memory(20_000, 20_000, 1, 16_000)
    assert cost.memory(20_000, 40_000, 1, 16_000) - once == 8 * 20_000 * (20_000 + 16_000)  # X and that of the fold
    assert cost.memory(40_000, 20_000, 1, 32_000) == pytest.approx(4 * once, rel=0.25)  # pairs rule, X grows twice
    per_target = cost.memory(20_000, 768, 30, 16_000) - cost.memory(20_000, 768, 29, 16_000)
    assert per_target == 8 * (20_000 * 19_999 // 2) + 16 * int(pairs)  # as given, of the fold, standardised
    assert cost.memory(4000, 64, 1, 4000, patterns=1) > cost.memory(4000, 64, 1, 4000)
    ranks = [cost.memory(4000, 64, 1, 4000, moments=False, threads=t) for t in (1, 2, 3)]
    assert ranks[0] < ranks[1]
    assert ranks[2] - ranks[1] == ranks[1] - ranks[0]


PEAK = """
import re
import numpy as np
import secateur as sc
def peak():  # of this program alone: what getrusage tells begins with that of the program which started this one
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
rng = np.random.default_rng(0)
sc.Pruner(**{pruner}, kind="similarity", threads={threads}).fit(rng.normal(size=(9, 4)), rng.normal(size=36))
before = peak()
X = rng.normal(size=({n}, {d}))
h = rng.normal(size=({targets}, {n} * ({n} - 1) // 2))
pruner = sc.Pruner(**{pruner}, kind="similarity", threads={threads})
folds = [(np.arange({train}), np.arange({train}, {n}))]
sc.cross_validate(X, h, pruner, cv=folds, progress=False)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is told by /proc")
@pytest.mark.parametrize(
    ("pruner", "n", "d", "targets", "threads"),
    [
        ({}, 4000, 8, 1, 2),
        ({"metric": "correlation"}, 1000, 24, 20, 2),
        ({"comparator": "spearman"}, 1000, 8, 2, 2),
    ],
)
def test_a_run_takes_no_more_memory_than_was_said(pruner, n, d, targets, threads):
    train = n * 4 // 5
    code = PEAK.format(pruner=pruner, n=n, d=d, targets=targets, threads=threads, train=train)
    taken = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    said = cost.memory(n, d, targets, train, moments="comparator" not in pruner, threads=threads)
    assert taken < said + 2**25, "and what threads and modules loaded later take"
    assert taken > said / 3


SINGLE = """
import re
import numpy as np
import secateur as sc
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
rng = np.random.default_rng(0)
h = rng.normal(size=400 * 399 // 2)
call = lambda X: {call}
call(rng.normal(size=(400, 9)).astype(np.float32))
X = rng.random(size=(400, 50_000), dtype=np.float32)
before = peak()
call(X)
print((peak() - before) / X.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is told by /proc")
@pytest.mark.parametrize(
    "call",
    [
        "sc.cross_validate(X, h, sc.Pruner(kind='similarity', threads=1), cv=[(a[:50], a[50:60])], progress=False)",
        "sc.permutation_test(X, h, n=1, pruner=sc.Pruner(kind='similarity', threads=1), cv=[(a[:50], a[50:60])], "
        "progress=False)",
    ],
)
def test_single_precision_is_not_doubled_as_a_whole(call):
    """What is taken beside X, of X's size: 1.25 by checks (magnitudes, marks), and little for a fold of an eighth of X.

    A copy in double precision would be 2 alone, and its checks 2 more."""
    code = SINGLE.format(call=call.replace("a[", "np.arange(400)["))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 1.9


def test_a_run_of_twice_the_work_is_said_to_take_twice_the_time(monkeypatch):
    monkeypatch.setattr(cost, "LONG", 0.0)
    monkeypatch.setattr(cost, "rate", lambda problem, targets, stimuli: 1e9)
    problem = problem_of(n=41, d=20)
    whole = cost.Cost(problem, [41], folds=False).seconds()
    assert whole == pytest.approx(41 * 40 / 2 * 20 * 11 / 1e9)
    assert cost.Cost(problem, [41, 41]).seconds() == pytest.approx(2 * whole)
    assert cost.Cost(problem, [41], effort=7.0).seconds() == pytest.approx(7 * whole)
    assert cost.Cost(problem_of(n=41, d=40), [41]).seconds() == pytest.approx(2 * whole)
    ten = cost.Cost(problem, [41], runs=10, together=5)
    assert ten.seconds() == pytest.approx(41 * 40 / 2 * 20 * 65 / 1e9)
    assert ten.bytes == cost.memory(41, 20, 5, 41)


@pytest.mark.parametrize(("comparator", "times"), [("pearson", 7 / 5), ("spearman", (5 + 6 * 3) / (5 + 6))])
def test_controls_count(comparator, times):
    """Each is one sum more beside the five of a target, or, where ranks are compared, one target more."""
    rng, settings = np.random.default_rng(0), sc.Pruner(comparator=comparator, kind="similarity", threads=1).settings()
    X, rows = rng.normal(size=(12, 5)), rng.normal(size=(3, 66))
    plain, controlled = (
        settings.cost(settings.problem(*settings.read(X, rows[0], control=control))) for control in (None, rows[1:])
    )
    assert controlled.multiply_adds == pytest.approx(plain.multiply_adds * times)
    assert controlled.bytes == cost.memory(12, 5, 3, 12, moments=comparator == "pearson")


@pytest.mark.parametrize("comparator", ["pearson", "corr_cov", "spearman", "tau-a"])
def test_a_rate_is_measured_of_each_comparator(comparator):
    assert 1e5 < cost.rate(problem_of(comparator=comparator), 3, 60) < 1e12


def test_little_work_is_not_measured(monkeypatch):
    def never(problem, targets, stimuli):
        raise AssertionError("measured")

    monkeypatch.setattr(cost, "rate", never)
    assert cost.Cost(problem_of(), [30]).seconds() == 0
    X = problem_of().features.values
    sc.cross_validate(X, X @ X.T, cv=3)


def call_of(name, **options):
    X = np.random.default_rng(1).normal(size=(30, 12))
    if name == "fit":
        return sc.Pruner(search=options.get("search", "ranking"), progress=options["progress"]).fit(X, X @ X.T)
    if name == "permutation_test":
        return sc.permutation_test(X, X @ X.T, 9, cv=3, progress=options["progress"])
    if name == "bootstrap":
        how = {"over": options.get("over", "stimuli"), "progress": options["progress"]}
        return sc.bootstrap(X, np.stack([X @ X.T] * 2), 4, cv=3, **how)
    if name == "compare":
        return sc.compare(X, X @ X.T, ["full", "pruned", "ridge"], cv=3, progress=options["progress"])
    if name == "compare_models":
        return sc.compare_models(
            {"a": X, "b": X[:, :6]}, X @ X.T, ["full", "pruned"], cv=3, n=4, progress=options["progress"]
        )
    if name.startswith("timecourse"):
        call = sc.timecourse.prune if name == "timecourse" else sc.timecourse.permutation_test
        more = {} if name == "timecourse" else {"n": 4}
        movies = np.random.default_rng(2).normal(size=(2, 5, 435))
        return call(X, movies, cv=3, kind="similarity", progress=options["progress"], **more)
    return sc.cross_validate(X, np.stack([X @ X.T] * 2), cv=3, progress=options["progress"])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cross_validate", {}, "3 folds of 30 stimuli x 12 features, 2 targets"),
        ("permutation_test", {}, "10 runs of 3 folds of 30 stimuli x 12 features, 1 target"),
        ("fit", {}, "30 stimuli x 12 features, 1 target"),
        ("fit", {"search": "forward"}, "30 stimuli x 12 features, 1 target"),
        ("bootstrap", {}, "4 draws, each with 3 folds of 30 stimuli x 12 features"),
        ("bootstrap", {"over": "both"}, "4 draws, each with 3 folds of 30 stimuli x 12 features"),
        ("compare", {}, "3 folds, the pruning of 1 of 3 methods, 30 stimuli x 12 features, 1 target"),
        (
            "compare_models",
            {},
            "4 divisions of the stimuli, each with 3 folds of 4 models in their spaces",
        ),
        ("timecourse", {}, "10 runs of 3 folds of 30 stimuli x 12 features, 1 target"),
        ("timecourse permuted", {}, "50 runs of 3 folds of 30 stimuli x 12 features, 1 target"),
    ],
)
def test_a_long_run_is_announced_on_stderr(monkeypatch, capsys, name, options, words):
    monkeypatch.setattr(cost, "LONG", 0.0)
    monkeypatch.setattr(cost, "rate", lambda problem, targets, stimuli: 100.0)
    call_of(name, progress=False, **options)
    assert capsys.readouterr() == ("", "")
    call_of(name, progress=True, **options)
    out, err = capsys.readouterr()
    (line,) = (line for line in err.splitlines() if line.startswith(("about ", "at most about ")))
    assert line.endswith(words if "each with" in words else f" MiB: {words}")
    assert not out
    assert line.startswith("at most") == ("search" in options)
    monkeypatch.setattr(cost, "LONG", 1e9)
    call_of(name, progress=True, **options)
    assert "about" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(61, "61 s"), (99, "99 s"), (240, "4 min"), (5000, "83 min"), (9000, "2 h"), (1e5, "28 h"), (1e6, "12 days")],
)
def testdurations(seconds, words):
    assert f"about {words}, 1 MiB: " in cost.Cost(problem_of(), [30]).line(seconds)
    assert cost.memory(20_000, 20_000, 1, 16_000) < 24 * GIB


def test_ranks_of_many_pairs_are_measured(monkeypatch):
    """1854 stimuli x 768 features in five folds: minutes."""
    monkeypatch.setattr(cost, "rate", lambda problem, targets, stimuli: 1e8)
    problem = problem_of(comparator="spearman", d=768)
    assert cost.Cost(problem, [1483] * 5).seconds() > 60
