"""Instruction levels by name, how many threads a call takes, and what a forked process does."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import cases
import secateur as sc
from secateur import _core, device, execution

LEVELS = _core.simd_levels()


PATHS = os.pathsep.join(filter(None, [os.path.dirname(__file__), os.environ.get("PYTHONPATH")]))


def run(code, text=True, **environment):
    environment = {**os.environ, "PYTHONPATH": PATHS, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=text, timeout=120, env=environment)


# Levels

EVERY_VERB = """
import sys
import numpy as np
import cases
import secateur as sc
print(sc.device.describe("cpu"))
X, h = cases.embedding(19, 37), cases.target(19, 3)
order = np.random.default_rng(0).permutation(37)
found = [sc.similarity(X, "correlation")]
for metric in ("cosine", "correlation", "euclidean"):
    for target in (h[0], h):
        terms, how = (X, target), {"metric": metric, "kind": "similarity"}
        found += [f(*terms, **how) for f in (sc.alignment, sc.leave_one_out)]
        found += [f(*terms, order, **how) for f in (sc.insertion_curve,)]
        found += [sc.add_one(*terms, order[:9], **how)]
found += [sc.timecourse.rdm_movie(np.random.default_rng(1).normal(size=(19, 11, 5)), times=np.arange(5.0)).values]
sys.stdout.flush()
sys.stdout.buffer.write(np.concatenate([np.ravel(f) for f in found]).tobytes())
"""


def test_levels_are_in_order_and_the_one_in_use_is_said():
    assert [name for name in ("baseline", "x86-64-v3", "x86-64-v4") if name in LEVELS] == LEVELS
    assert _core.simd_level() in LEVELS
    assert f"instruction level {_core.simd_level()}, {_core.simd_lanes()} doubles" in device.describe("cpu")


def test_every_level_can_be_forced_and_they_agree():
    results, widths = {}, set()
    for level in LEVELS:
        child = run(EVERY_VERB, text=False, SECATEUR_SIMD=level)
        assert child.returncode == 0, child.stderr.decode()
        said, _, values = child.stdout.partition(b"\n")
        assert f"instruction level {level}," in said.decode()
        results[level] = np.frombuffer(values)
        widths.add(said.split()[-5])
    for values in results.values():
        np.testing.assert_allclose(values, results["baseline"], rtol=0, atol=1e-10)
    assert results["baseline"].size > 1000
    bits = {values.tobytes() for values in results.values()}
    assert len(bits) >= len(widths), "levels of different width gave the same bits: they ran the same code"


REFUSED = """
import numpy as np
import secateur as sc
X = np.eye(6) + 0.1
calls = (lambda: sc.similarity(X), lambda: sc.Pruner().fit(X, X @ X.T), lambda: sc.device.describe("cpu"))
for call in calls:
    try:
        call()
    except ValueError as error:
        print(error)
"""


def test_a_level_that_cannot_be_had_is_refused():
    child = run(REFUSED, SECATEUR_SIMD="avx9")
    assert child.returncode == 0, child.stderr
    names = ", ".join(f"'{level}'" for level in LEVELS)
    expected = (
        "SECATEUR_SIMD must name an instruction level that this build has and this processor runs "
        f"({names}), got 'avx9'"
    )
    assert child.stdout.splitlines() == [expected] * 3


def test_the_level_is_read_once():
    code = (
        "import os\nfrom secateur import _core\nfirst = _core.simd_level()\n"
        "os.environ['SECATEUR_SIMD'] = 'nonsense'\nassert _core.simd_level() == first == 'baseline'"
    )
    child = run(code, SECATEUR_SIMD="baseline")
    assert child.returncode == 0, child.stderr


def test_the_command_line_refuses_it_before_any_file_is_read(tmp_path):
    child = run(
        "import sys; sys.argv[1:] = ['prune', 'none.npy', 'none.npy', '--out', 'out']\n"
        "from secateur.cli import main\nmain()",
        SECATEUR_SIMD="avx9",
    )
    assert child.returncode == 2
    assert child.stderr.startswith("secateur: SECATEUR_SIMD must name an instruction level")
    assert len(child.stderr.splitlines()) == 1


# Threads


def test_no_more_threads_than_processors(monkeypatch):
    monkeypatch.setattr(execution, "processors", lambda: 3)
    assert [execution.thread_count(n) for n in (1, 2, 3, 4, 10**9)] == [1, 2, 3, 3, 3]
    for limit, count in (("2", 2), ("1000000", 3), ("", 3), ("many", 3), ("0", 3)):
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
        assert execution.thread_count(None) == count


FORKED = """
import os, signal, sys, warnings
import numpy as np
import cases, secateur as sc
sc.execution.processors = lambda: 4
X, h = cases.embedding(60, 900), cases.target(60)
def importance(threads):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = sc.leave_one_out(X, h, threads=threads, kind="similarity")
    return found, [w for w in caught if issubclass(w.category, sc.device.ForkWarning)]
expected, said = importance(4)  # OpenMP's threads start here
assert not said
def check(first, second):
    for asked, times in ((1, 0), (4, first), (4, second)):
        found, said = importance(asked)
        assert np.array_equal(found, expected)
        assert len(said) == times, said
    if said:
        assert "threads is 1, not 4" in str(said[0].message)
def in_child(work):
    child = os.fork()
    if not child:
        signal.alarm(50)  # one that hangs ends all the same
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
def of_the_child():
    check(1, 0)
    in_child(lambda: check(1, 0))
in_child(of_the_child)
check(0, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes_on_one_thread_and_says_so_once():
    child = run(FORKED, OMP_NUM_THREADS="4")
    assert child.returncode == 0, child.stderr


def test_uncountable_stimuli_are_refused():
    X, h = cases.embedding(5, 7), cases.target(5)
    similarities = sc.similarity(X)[None]
    for stimuli in (2**40, 2**32, 2**63 - 1, -4, 1):
        with pytest.raises(ValueError, match=rf"^stimuli must be from 2 to 2147483648, got {stimuli}$"):
            _core.compare(similarities, stimuli, _core.Targets(h[None]), "pearson", 1)
