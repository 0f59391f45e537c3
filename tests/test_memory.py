"""How much memory the verbs take beyond X and the target: some numbers a pair, and some a stimulus."""

from __future__ import annotations

import subprocess
import sys

import pytest

CALL = """
import re
import numpy as np
from secateur import _core
def peak():  # of this program alone: what getrusage tells begins with that of the program which started this one
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
n, d, threads = {n}, {d}, {threads}
rng = np.random.default_rng(0)
X, h, order = rng.random((n, d)), rng.random((1, n * (n - 1) // 2)), np.arange(d)
measures, few = _core.Measures("cosine", "pearson"), _core.Targets(np.ascontiguousarray(h[:, :36]))
target = _core.Targets(h)
_core.leave_one_out(X[:9], few, measures, order, threads)
before = peak()
{call}
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told in other units, or not at all")
@pytest.mark.parametrize(
    ("call", "each_pair"),
    [
        ("_core.similarity(X, 'cosine', order, threads)", 2),  # sums, similarities
        ("_core.leave_one_out(X, target, measures, order, threads)", 4),  # the target too, both as tiles go
        ("_core.insertion_curve(X, target, measures, order[None], threads)", 3),  # standardised; sums, target by blocks
    ],
)
def test_a_verb_takes_some_numbers_a_pair(call, each_pair):
    n, d, threads = 3000, 40, 2
    program = CALL.format(n=n, d=d, threads=threads, call=call)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pairs, kilobyte = n * (n - 1) // 2, 1024
    # by stimulus: three kilobytes a thread for factors, two for a panel of X, X packed; the rest is the allocator
    most = 8 * each_pair * pairs + (3 * threads + 2) * kilobyte * n + 8 * d * n + 16 * kilobyte**2
    assert int(done.stdout) < most
    assert int(done.stdout) > 4 * each_pair * pairs  # or something else was measured
