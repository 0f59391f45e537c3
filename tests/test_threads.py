"""The same bits for any number of threads, from several Python threads at once; Ctrl-C ends a long call."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cases
import reference
import secateur as sc

SHAPES = ((9, 25), (40, 150))


def calls(n, d, metric, comparator, targets, missing):
    """Every verb as a function of the number of threads."""
    X, h = cases.embedding(n, d, "sparse"), cases.target(n, targets, missing, ties=True)
    rng = np.random.default_rng(d)
    common, subset = rng.permutation(d), rng.permutation(d)[: d // 2]
    own = common if targets is None else np.stack([rng.permutation(d) for _ in range(targets)])
    pair = {"metric": metric, "comparator": comparator}
    return {
        "similarity": lambda threads: sc.similarity(X, metric, threads=threads),
        "alignment": lambda threads: sc.alignment(X, h, **pair, threads=threads, kind="similarity"),
        "leave_one_out": lambda threads: sc.leave_one_out(X, h, **pair, threads=threads, kind="similarity"),
        "leave_one_out of a subset": lambda threads: sc.leave_one_out(
            X, h, **pair, subset=subset, threads=threads, kind="similarity"
        ),
        "add_one": lambda threads: sc.add_one(X, h, subset, **pair, threads=threads, kind="similarity"),
        "insertion_curve": lambda threads: sc.insertion_curve(X, h, common, **pair, threads=threads, kind="similarity"),
        "insertion_curve, own orders": lambda threads: sc.insertion_curve(
            X, h, own, **pair, threads=threads, kind="similarity"
        ),
    }


@pytest.mark.parametrize("missing", ["none", "different"])
@pytest.mark.parametrize("targets", [None, 3, 21])
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", ["cosine", "correlation", "euclidean"])
def test_the_same_bits_for_any_number_of_threads(metric, comparator, targets, missing):
    shape = SHAPES[comparator not in reference.RANK_COMPARATORS]
    for name, call in calls(*shape, metric, comparator, targets, missing).items():
        one = np.asarray(call(1))
        for threads in (2, 7, None):
            np.testing.assert_array_equal(np.asarray(call(threads)), one, f"{name}, threads={threads}")


def test_pruner_has_the_same_bits_for_any_number_of_threads():
    X, h = cases.embedding(33, 130), cases.target(33)
    one = sc.Pruner(threads=1, kind="similarity").fit(X, h)
    for threads in (2, 7):
        many = sc.Pruner(threads=threads, kind="similarity").fit(X, h)
        np.testing.assert_array_equal(many.order_, one.order_)
        np.testing.assert_array_equal(many.importance_, one.importance_)
        np.testing.assert_array_equal(many.curve_, one.curve_)


def test_a_second_call_has_the_same_bits():
    for call in calls(40, 150, "cosine", "pearson", 3, "different").values():
        np.testing.assert_array_equal(np.asarray(call(2)), np.asarray(call(2)))


def test_from_several_python_threads_at_once():
    work = []
    for metric, comparator, targets in itertools.product(("cosine", "correlation"), ("pearson", "spearman"), (None, 3)):
        work += calls(17, 65, metric, comparator, targets, "different").values()
    alone = [np.asarray(call(1)) for call in work]
    with ThreadPoolExecutor(4) as pool:
        for threads in (1, 2):
            together = list(pool.map(lambda call, t=threads: np.asarray(call(t)), work * 2))
            for expected, actual in zip(alone * 2, together, strict=True):
                np.testing.assert_array_equal(actual, expected)


LONG_CALL = """
import signal
import warnings
import numpy as np
import secateur as sc

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with SIGINT ignored
rng = np.random.default_rng(0)
X = rng.normal(size=({n}, {d}))
h = rng.normal(size=({n} * ({n} - 1) // 2,))
order = rng.permutation({d})
orders = np.stack([order, order[::-1]])
with warnings.catch_warnings():  # others do not take being interrupted while they load
    warnings.simplefilter("ignore")
    sc.cross_validate(X[:12, :5], h[:66], sc.Pruner(kind='similarity'), cv=3, progress=False)
for attempt in range(3):
    try:
        print("started", flush=True)
        {call}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    else:
        print("ran to its end", flush=True)
small = sc.leave_one_out(X[:9, :25], h[:36], kind='similarity', threads=2)
print("and computes on" if np.isfinite(small).all() else "and is broken", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to a child on Windows")
@pytest.mark.parametrize(
    ("n", "d", "call"),
    [
        (500, 8000, "sc.leave_one_out(X, h, comparator='tau-a', kind='similarity', threads=2)"),
        (500, 8000, "sc.add_one(X, h, [0, 1, 2], comparator='spearman', kind='similarity', threads=1)"),
        (500, 8000, "sc.insertion_curve(X, h, order, comparator='tau-a', kind='similarity', threads=4)"),
        (
            500,
            8000,
            "sc.insertion_curve(X, np.stack([h, -h]), orders, comparator='spearman', kind='similarity', threads=2)",
        ),
        (
            2000,
            2000,
            "sc.insertion_curve(X, np.stack([h, -h, h]), order, comparator='tau-a', kind='similarity', threads=2)",
        ),
        (
            1000,
            9000,
            "sc.cross_validate(X, h, sc.Pruner(comparator='spearman', kind='similarity', threads=2), progress=False)",
        ),
        (2000, 2000, "sc.Pruner(comparator='spearman', kind='similarity', threads=2, progress=False).fit(X, h)"),
        (4000, 2000, "sc.cross_validate(X, np.stack([h, -h, h]), sc.Pruner(kind='similarity', threads=2), cv=5)"),
        (4000, 2000, "sc.insertion_curve(X, np.stack([h] * 9), order, kind='similarity', threads=1)"),
    ],
)
def test_ctrl_c_ends_a_long_call(n, d, call):
    """A call of a minute or more ends soon after SIGINT; ten seconds are for a slow or busy machine.

    Three times, as it may hang on which thread got the work."""
    program = LONG_CALL.format(n=n, d=d, call=call)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    impatience = threading.Timer(10, child.kill)
    try:
        assert child.stdout is not None
        for _ in range(3):
            assert child.stdout.readline() == "started\n", child.communicate()[1]
            time.sleep(0.7)
            assert child.poll() is None, "the call was over before it could be interrupted"
            impatience = threading.Timer(10, child.kill)
            impatience.start()
            child.send_signal(signal.SIGINT)
            answer = child.stdout.readline()
            impatience.cancel()
            assert answer == "interrupted\n", answer or "SIGINT was not noticed within ten seconds"
        out = child.stdout.read()  # not communicate(): it overlooks what readline() has read ahead
        child.wait(30)
        err = child.stderr.read() if child.stderr else ""
    finally:
        impatience.cancel()
        child.kill()
        child.communicate()
    assert out == "and computes on\n", out + err
    assert child.returncode == 0, err
