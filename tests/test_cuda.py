"""The CUDA side: what it shares with the processor, its fast form, its errors, arrays that lie on the device.

Where no GPU is at hand, a build with ``CUDA=EMULATED`` runs the kernels' own code on the host (``tests/cuda_on_host``),
with faults to order; elsewhere these tests skip.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import signal
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import squareform

import cases
import reference
import secateur as sc
import secateur.device
import secateur.pairs
from secateur import _core, execution
from secateur.execution import Execution, multiply_adds
from secateur.measures import COMPARATOR_TABLE
from secateur.similarity import UndefinedPairsWarning

MOMENTS = ("pearson", "cosine")
VERBS = ("leave_one_out", "add_one", "insertion_curve")
OUT_OF_MEMORY = r"^out of device memory: .* (needed|asked for) \(.*\), .* are free: use device='cpu'"


@pytest.fixture(autouse=True)
def cuda(monkeypatch):
    monkeypatch.setenv("SECATEUR_EMULATED_CUDA", "1")
    usable, reason = secateur.device.available("cuda")
    if not usable:
        pytest.skip(reason)


@pytest.fixture
def emulated():
    if "emulated" not in secateur.device.describe("cuda"):
        pytest.skip("faults are ordered of the emulator alone")


def call(verb, X, h, *terms, device="cuda", **options):
    """A verb with the argument that it needs: half of the features, or an order of all, one a target."""
    d, rng, options = X.shape[1], np.random.default_rng(5), {"kind": "similarity", **options}
    if verb == "insertion_curve":
        orders = np.stack([rng.permutation(d) for _ in range(len(np.atleast_2d(h)))])
        return sc.insertion_curve(X, h, orders[0] if h.ndim == 1 else orders, *terms, device=device, **options)
    if verb == "add_one":
        return sc.add_one(X, h, rng.permutation(d)[: d // 2], *terms, device=device, **options)
    return sc.leave_one_out(X, h, *terms, device=device, **options)


def both(verb, X, h, *terms, **options):
    return call(verb, X, h, *terms, **options), call(verb, X, h, *terms, device="cpu", **options)


# The same numbers


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])  # with every metric: the tests of seams
@pytest.mark.parametrize(
    ("n", "d", "targets"),
    [(100, 6, None), (98, 5, 3), (16, 300, None), (9, 40, 70), (12, 7, 300), (33, 70, 9)],
    ids=[
        "several blocks a target",
        "a last block in part",
        "several windows",
        "wide",
        "several tiles of targets",
        "few and one",
    ],
)
def test_sizes_beyond_one_tile(verb, metric, n, d, targets):
    actual, expected = both(verb, cases.embedding(n, d), cases.target(n, targets), metric)
    cases.close(actual, expected, 1e-12)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("comparator", MOMENTS)
def test_weights_of_many_targets(verb, comparator):
    for missing, form in itertools.product(("same", "different"), ("shared", "own")):
        X, h = cases.embedding(11, 40), cases.target(11, 20, missing)
        w = cases.weights(h.shape, form, comparator)
        for metric in ("cosine", "euclidean"):
            cases.close(*both(verb, X, h, metric, comparator, weights=w), 1e-12)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("targets", [None, 13])
def test_the_order_of_threads_changes_no_bit(verb, precision, targets, emulated, monkeypatch):
    """A barrier that is missing shows where threads of a block run in another order."""
    X, h = cases.embedding(33, 40), cases.target(33, targets)
    seen = []
    for order in ("forward", "reverse", "1", "2"):
        monkeypatch.setenv("SECATEUR_EMULATED_ORDER", order)
        seen.append(call(verb, X, h, "correlation", precision=precision))
    for other in seen[1:]:
        np.testing.assert_array_equal(other, seen[0])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("precision", ["double", "single"])
def test_little_memory_changes_no_bit(verb, precision, emulated, monkeypatch):
    """What does not fit at once is done in parts."""
    X, h = cases.embedding(17, 300), cases.target(17, 40, "different")
    whole = call(verb, X, h, precision=precision)
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", str(1 << 20))
    np.testing.assert_array_equal(call(verb, X, h, precision=precision), whole)


def pruned(X, h, device="cuda", cv=3, **options):
    """Whole folds: what of a cross-validation is numbers, one array after the other."""
    found = sc.cross_validate(X, h, sc.Pruner(device=device, kind="similarity", **options), cv=cv, progress=False)
    return [np.asarray(found[name], float) for name in found.data_vars]


@pytest.mark.parametrize(("precision", "targets"), [("double", None), ("double", 13), ("single", 9)])
def test_the_order_of_threads_changes_no_bit_of_a_fold(precision, targets, emulated, monkeypatch):
    X, h = cases.embedding(15, 40), cases.target(15, targets)
    seen = []
    for order in ("forward", "reverse", "1"):
        monkeypatch.setenv("SECATEUR_EMULATED_ORDER", order)
        seen.append(pruned(X, h, precision=precision))
    for other in seen[1:]:
        for ours, theirs in zip(seen[0], other):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("precision", "missing"), [("double", "different"), ("single", "none")])
def test_little_memory_changes_no_bit_of_a_fold(precision, missing, emulated, monkeypatch):
    X, h = cases.embedding(18, 30), cases.target(18, 12, missing)
    X[3] /= 100
    X[3, 5] = 1  # some is recomputed on the host
    whole = pruned(X, h, precision=precision)
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "200000")
    for ours, theirs in zip(pruned(X, h, precision=precision), whole):
        np.testing.assert_array_equal(ours, theirs)


def test_what_lies_on_the_device_is_counted(emulated, monkeypatch):
    """Weights of each target once; and what comparing spaces takes that are made anew, here of each feature alone."""
    X, h = cases.embedding(30, 3), cases.target(30, 20, "different")
    gc.collect()  # what others loaded is no longer on the device
    expected = call("leave_one_out", X, h)
    with monkeypatch.context() as little:
        little.setenv("SECATEUR_EMULATED_MEMORY", "360000")
        np.testing.assert_array_equal(call("leave_one_out", X, h), expected)
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "45000")
    none = np.array([], int)
    few = sc.add_one(cases.embedding(5, 8), cases.target(5, 60), none, "correlation", device="cuda", kind="similarity")
    assert np.isnan(few).all()


def maps_case(rows, n, units, outputs, seed=0):
    """Some units never move, some rows move nothing."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(n, units)).astype(np.float32)
    removed = (rng.normal(size=(rows, n, units)) * (rng.random((rows, n, 1)) < 0.8)).astype(np.float32)
    removed[:, :, ::3] = np.minimum(removed[:, :, ::3], 0) * (before[:, ::3] > 0)  # silent ones stay so
    weights = rng.normal(size=(outputs, units)).astype(np.float32)
    after = (np.maximum(before, 0) @ weights.T + rng.normal(size=outputs)).astype(np.float32)
    return before, removed, weights, after


def test_masked_embeddings_keep_their_bits(emulated, monkeypatch):
    """In any order of threads, and in parts where memory is short."""
    before, removed, weights, after = maps_case(150, 3, 70, 60)
    seen = []
    for order in ("forward", "reverse", "1", "2"):
        monkeypatch.setenv("SECATEUR_EMULATED_ORDER", order)
        layer = _core.cuda_load_layer(_core.cuda_open(), weights)
        seen.append(_core.masked_embeddings(before, removed, layer, after, 1))
    monkeypatch.setenv("SECATEUR_EMULATED_ORDER", "forward")
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "450000")
    del layer
    device = _core.cuda_open()
    layer = _core.cuda_load_layer(device, weights)
    seen.append(_core.masked_embeddings(before, removed, layer, after, 1))
    for other in seen[1:]:
        np.testing.assert_array_equal(other, seen[0])
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "150000")
    del layer, device
    layer = _core.cuda_load_layer(_core.cuda_open(), weights)
    with pytest.raises(MemoryError, match=r"^out of device memory: .* were asked for \(.*\)"):
        _core.masked_embeddings(before, removed, layer, after, 1)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_folds_that_are_recomputed_in_part(metric):
    """Features that outweigh all others, and first steps that are constant."""
    X, h = np.abs(cases.embedding(24, 30)), cases.target(24, 5, "different")
    X[:, 7] *= 100
    X[4] /= 100
    X[4, 3] = 1
    for ours, theirs in zip(pruned(X, h, metric=metric), pruned(X, h, "cpu", metric=metric)):
        cases.close(ours, theirs, 1e-9)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("n", "d", "targets", "metric"),
    [(600, 3, None, "cosine"), (1030, 2, 2, "euclidean"), (603, 3, 3, "correlation")],
    ids=["gathered sums", "two targets", "the last tile in part"],
)
def test_more_stimuli_than_a_block_holds(verb, n, d, targets, metric):
    """A block has the stimuli of its own pairs alone, and sums of many warps are gathered first."""
    X, h = cases.embedding(n, d) + (0.2 if metric != "euclidean" else 0), cases.target(n, targets)
    cases.close(*both(verb, X, h, metric), 1e-11)


def test_single_precision_of_many_stimuli():
    X, h = cases.embedding(530, 4), cases.target(530, 2)
    cases.close(call("leave_one_out", X, h, precision="single"), call("leave_one_out", X, h, device="cpu"), 1e-6)


def test_a_search_of_many_stimuli():
    X, h = cases.embedding(601, 3), cases.target(601, 2)
    folds = [(np.arange(f, f + 550), np.arange(551, 601)) for f in (0, 1)]
    for ours, theirs in zip(*(pruned(X, h, device, cv=folds) for device in ("cuda", "cpu"))):
        cases.close(ours, theirs, 1e-9)


def test_more_features_than_sixteen_bits_count():
    X, h = cases.embedding(4, 65_600), cases.target(4)
    cases.close(*both("leave_one_out", X, h), 1e-11)
    order = np.array([65_599, 3, 65_536, 7, 65_535])
    found = [sc.insertion_curve(X, h, order, device=device, kind="similarity") for device in ("cuda", "cpu")]
    cases.close(*found, 1e-11)


def test_a_failed_launch_in_a_fold_gives_no_numbers(emulated, monkeypatch):
    X, h = cases.embedding(15, 20), cases.target(15, 3, "different")
    expected = pruned(X, h)
    said, actual = [], []
    while not actual:
        monkeypatch.setenv("SECATEUR_EMULATED_FAILURE", str(7 * len(said)))
        try:
            actual = pruned(X, h)
        except RuntimeError as error:
            said.append(str(error))
    assert len(said) >= 5
    assert all(message.startswith("CUDA failed while") for message in said)
    for ours, theirs in zip(actual, expected):
        np.testing.assert_array_equal(ours, theirs)


def test_a_fold_without_memory_leaves_the_processor_usable(emulated, monkeypatch):
    X, h = cases.embedding(24, 50), cases.target(24, 6)
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "60000")
    with pytest.raises(MemoryError, match=OUT_OF_MEMORY):
        pruned(X, h)
    there = pruned(X, h, "cpu")
    monkeypatch.delenv("SECATEUR_EMULATED_MEMORY")
    for ours, theirs in zip(pruned(X, h), there):
        cases.close(ours, theirs, 1e-9)


def test_targets_and_x_lie_in_the_same_place():
    X, h = cases.embedding(8, 5), cases.target(8)[None]
    device, by = _core.cuda_open(), _core.Measures("cosine", "pearson")

    def goals(h=h, n=8, weights=None, device=device):
        return _core.cuda_load_targets(device, h, weights, None if weights is None else np.zeros(1, np.int64), n, False)

    loaded, half = _core.cuda_load(device, X, "double"), np.full((1, 28), 0.5)
    for target, message in (
        (_core.Targets(h), "target must lie on the CUDA device that X lies on, got it in host memory"),
        (goals(cases.target(7)[None], 7), "target must have 28 pairs, those of the 8 stimuli of X, got 21"),
        (goals(device=_core.cuda_open()), "target must lie where X lies, got one loaded on another Device"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.held_out_alignment(loaded, target, by, None, None, 1)
    with pytest.raises(ValueError, match="X must lie on the CUDA device that target lies on, got it in host memory"):
        _core.held_out_alignment(X, goals(), by, None, None, 1)
    halved = _core.leave_one_out(loaded, goals(weights=half), by, np.arange(5), 1)
    cases.close(halved, _core.leave_one_out(loaded, goals(), by, np.arange(5), 1), 1e-12)
    for weights in (half, np.arange(28.0)[None]):
        given = _core.Targets(h, weights, np.zeros(1, np.int64))
        cases.close(
            _core.leave_one_out(loaded, goals(weights=weights), by, np.arange(5), 1),
            _core.leave_one_out(X, given, by, np.arange(5), 1),
            1e-12,
        )
    some = np.array([6, 1, 4, 2])
    pairs = sc.pairs.pair_positions(some, 8)
    np.testing.assert_array_equal(_core.cuda_fetch(_core.cuda_among(loaded, some)), X[some])
    np.testing.assert_array_equal(_core.cuda_fetch(_core.cuda_targets_among(goals(), None, None, 8, some)), h[:, pairs])
    for missing in (
        lambda: _core.cuda_among(loaded, None),
        lambda: _core.cuda_targets_among(goals(), None, None, 8, None),
    ):
        with pytest.raises(TypeError, match="stimuli must be a numpy array, got NoneType"):
            missing()
    for wrong, all_stimuli, message in (
        (goals(), 9, "loaded must be targets on a CUDA device, of 9 stimuli"),
        (_core.Targets(h), 8, "loaded must be targets on a CUDA device"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.cuda_targets_among(wrong, None, None, all_stimuli, some)
    np.testing.assert_array_equal(_core.cuda_fetch(loaded), X)
    np.testing.assert_array_equal(_core.cuda_fetch(goals()), h)
    negated = _core.cuda_load_targets(device, h, None, None, 8, True)
    np.testing.assert_array_equal(_core.cuda_fetch(negated), -h)
    cases.close(
        _core.leave_one_out(loaded, negated, by, np.arange(5), 1),
        -_core.leave_one_out(X, _core.Targets(h), by, np.arange(5), 1),
        1e-12,
    )


@pytest.mark.parametrize("procedure", ["cross_validate", "transfer", "permutation_test", "bootstrap"])
def test_x_goes_to_the_device_once(procedure, monkeypatch):
    X, h, loads = cases.embedding(18, 9), cases.target(18, 2), []
    monkeypatch.setattr(_core, "cuda_load", lambda *given, load=_core.cuda_load: loads.append(1) or load(*given))
    more = {"bootstrap": (5,), "permutation_test": (5,)}.get(procedure, ())
    getattr(sc, procedure)(X, h, *more, pruner=sc.Pruner(device="cuda", kind="similarity"), cv=3, progress=False)
    assert len(loads) == 1


@pytest.mark.parametrize("search", ["forward", "backward", "floating", "parsimonious"])
@pytest.mark.parametrize("missing", ["none", "different"])
def test_searches_step_by_step_keep_their_state_there(search, missing, monkeypatch):
    """X goes there once a study, the targets once (and one by one where each has a search of its own); not a space."""
    n = 36 if search == "parsimonious" else 18
    X, h = np.abs(cases.embedding(n, 9)), cases.target(n, 2, missing)
    X[:, 4] *= 100  # some is made anew
    X[2] /= 100
    X[2, 3] = 1
    went = {"cuda_load": 0, "cuda_load_targets": 0}

    def count(name, load, *given):
        went[name] += 1
        return load(*given)

    for name in went:
        monkeypatch.setattr(_core, name, partial(count, name, getattr(_core, name)))
    options = {"search": search, "max_features": 5, **({"inner_cv": 3} if search == "parsimonious" else {})}
    ours, theirs = pruned(X, h, cv=2, **options), pruned(X, h, "cpu", cv=2, **options)
    for one, other in zip(ours, theirs):
        cases.close(one, other, 1e-9)
    assert went == {"cuda_load": 1, "cuda_load_targets": 1 if search == "parsimonious" else 5}


@pytest.mark.parametrize("comparator", ["spearman", "tau-b", "corr_cov"])
@pytest.mark.parametrize("search", ["forward", "parsimonious"])
def test_steps_of_whole_vectors(comparator, search):
    """Ranks and whitened products are taken of spaces that are made there and stay there."""
    X, h = np.abs(cases.embedding(24, 5)), cases.target(24, 2, "none" if comparator == "corr_cov" else "different")
    options = {"comparator": comparator, "search": search, "max_features": 3}
    options |= {"inner_cv": 3} if search == "parsimonious" else {}
    for one, other in zip(pruned(X, h, cv=2, **options), pruned(X, h, "cpu", cv=2, **options)):
        cases.close(one, other, 1e-9)


@pytest.mark.parametrize("comparator", ["spearman", "cosine_cov"])
def test_whole_vectors_of_many_stimuli(comparator):
    X, h = cases.embedding(520, 2), cases.target(520)
    cases.close(*both("insertion_curve", X, h, "euclidean", comparator), 1e-9)


@pytest.mark.parametrize("search", ["ranking", "forward"])
@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_controls_beside_a_device(search, comparator):
    """X lies there; targets that are freed of controls are the host's."""
    X, h, control = cases.embedding(24, 6), cases.target(24, 2), cases.target(24, 4)[3]
    found = [
        sc.cross_validate(
            X,
            h,
            sc.Pruner(search=search, comparator=comparator, device=device, kind="similarity"),
            cv=2,
            control=control,
            progress=False,
        )
        for device in ("cuda", "cpu")
    ]
    for name in ("pruned_test", "full_test", "n_kept"):
        cases.close(found[0][name].values.astype(float), found[1][name].values, 1e-9)
    cases.close(
        *(
            sc.leave_one_out(X, h, comparator=comparator, control=control, kind="similarity", device=device)
            for device in ("cuda", "cpu")
        ),
        1e-9,
    )


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_from_any_subset(metric, weighted):
    """From none, one, some and all features; candidates that can't be trusted, and stimuli without direction."""
    X, h = cases.embedding(11, 7, "sparse"), cases.target(11, 3, "different" if weighted else "none")
    X[:, 2] *= 1e3
    X[4, :3] = 0
    for verb, subsets in (
        ("add_one", ([], [5], [0, 3, 6], [0, 1, 2])),
        ("leave_one_out", ([5], [1, 2], [0, 3, 6], None)),
    ):
        for subset in subsets:
            found = [
                getattr(sc, verb)(X, h, metric=metric, subset=subset, kind="similarity", device=device)
                for device in ("cuda", "cpu")
            ]
            cases.close(*found, 1e-10)


@pytest.mark.parametrize("without", ["POOLS", "PINNED"])
def test_devices_without_pools_or_pinned_memory(without, emulated, monkeypatch):
    X, h = cases.embedding(15, 20), cases.target(15, 3, "different")
    expected = pruned(X, h), call("leave_one_out", X, h)
    monkeypatch.setenv(f"SECATEUR_EMULATED_{without}", "0")
    for ours, theirs in zip(pruned(X, h), expected[0]):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(call("leave_one_out", X, h), expected[1])
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "20000")
    with pytest.raises(MemoryError, match=OUT_OF_MEMORY):
        call("leave_one_out", cases.embedding(20, 50), cases.target(20, 3))


@pytest.mark.parametrize("pinned", ["1", "0"])
def test_large_copies_go_in_parts(pinned, emulated, monkeypatch):
    """More than both parts of the staging memory, there and back; and rows that lie apart where they go."""
    monkeypatch.setenv("SECATEUR_EMULATED_PINNED", pinned)
    X = cases.embedding(9, 180_000)
    loaded = _core.cuda_load(_core.cuda_open(), X, "double")
    some = np.arange(8, -1, -1)
    np.testing.assert_array_equal(_core.cuda_fetch(_core.cuda_among(loaded, some)), X[some])


def test_one_row_is_longer_than_a_pitch_may_be(emulated, monkeypatch):
    monkeypatch.setenv("SECATEUR_EMULATED_PINNED", "0")
    monkeypatch.setenv("SECATEUR_EMULATED_PITCH", "1000")
    X, h = cases.embedding(9, 40), cases.target(9, 2)
    loaded = _core.cuda_load(_core.cuda_open(), X, "double")
    np.testing.assert_array_equal(_core.cuda_fetch(_core.cuda_among(loaded, np.arange(3, 8))), X[3:8])
    cases.close(*both("leave_one_out", X, h), 1e-12)


def test_a_search_on_the_device_tells_what_share_is_done(emulated):
    """And takes no other call of the same thread meanwhile, which would wait for itself."""
    h, device, by = cases.target(20, 3), _core.cuda_open(), _core.Measures("cosine", "pearson")
    targets = _core.cuda_load_targets(device, h, None, None, 20, False)
    shares, said = [], []

    def tell(share):
        shares.append(share)
        with pytest.raises(RuntimeError) as error:
            _core.cuda_fetch(targets)
        said.append(str(error.value))
        if 0.5 < share < 1:
            raise StopIteration  # seen: the call may end

    for d in (300, 3000, 30_000):  # until a call is long enough for the first question
        loaded = _core.cuda_load(device, cases.embedding(20, d), "double")
        with contextlib.suppress(StopIteration):
            _core.ranking(loaded, targets, by, None, _core.PrefixRule(1, d, 0.0), "path", 1, tell)
        if shares and shares[-1] > 0.5:
            break
    assert 0.5 < shares[-1] < 1
    assert len(said) == len(shares)
    assert set(said) == {"a call on this CUDA device is under way in this thread: end it first"}


def test_folds_overlap_and_keep_their_bits(monkeypatch):
    X, h = cases.embedding(18, 12), cases.target(18, 2)
    together = pruned(X, h)
    monkeypatch.setattr(Execution, "in_turns", lambda self, jobs, short: (job() for job in jobs))
    for ours, theirs in zip(together, pruned(X, h)):
        np.testing.assert_array_equal(ours, theirs)


def test_jobs_in_turns():
    """Two at a time, in their order; what fails for want of memory is done again alone, other failures end all."""
    execution = Execution.resolved("cuda", 1)
    meeting, tried = threading.Barrier(2, timeout=20), []

    def meet(value):
        meeting.wait()
        return value

    assert list(execution.in_turns([lambda v=v: meet(v) for v in range(4)], short=True)) == [0, 1, 2, 3]

    def scarce():
        tried.append(1)
        if len(tried) == 1:
            raise MemoryError("only once")
        return "had"

    assert list(execution.in_turns([scarce, lambda: "other"], short=True)) == ["had", "other"]
    with pytest.raises(ZeroDivisionError):
        list(execution.in_turns([lambda: 1 // 0, lambda: 2], short=True))
    mine = threading.get_ident()
    assert list(execution.in_turns([threading.get_ident] * 2, short=False)) == [mine, mine]


def test_what_was_done_is_timed():
    X, h = cases.embedding(15, 20), cases.target(15, 3)
    execution = Execution.resolved("cuda", 1)
    before = execution.memory.seconds
    features, targets = sc.features.Features(X), sc.targets.read_target(h, 15, "similarity")
    sc.problem.Problem(features, targets, "cosine", "pearson", execution).load()
    assert 0 < execution.memory.seconds - before < 60


def test_pruning_is_the_same_on_both_devices():
    X, h = cases.embedding(30, 24), cases.target(30, 3)
    results = []
    for device in ("cpu", "cuda"):
        pruner = sc.Pruner(device=device, kind="similarity")
        results.append(
            (
                sc.cross_validate(X, h, pruner, cv=3, progress=False),
                sc.permutation_test(X, h, 3, pruner, 3, progress=False),
            )
        )
    for ours, theirs in zip(*results):
        for name in ours.data_vars:
            cases.close(np.asarray(ours[name], float), theirs[name], 1e-9)
    forward = [
        sc.Pruner(search="forward", device=device, progress=False, kind="similarity").fit(X[:12], h[0, :66])
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_array_equal(forward[0].order_, forward[1].order_)


# Comparators that take more than sums over pairs

VECTORS = tuple(name for name in COMPARATOR_TABLE if name not in MOMENTS)


def of_ranks(comparator):
    return COMPARATOR_TABLE[comparator].rank


def pruned_on(device, X, h, comparator, metric="cosine", **options):
    """Everything that a search finds, and what it scores held out."""
    pruner = sc.Pruner(metric, comparator, device=device, kind="similarity")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedPairsWarning)
        found = sc.cross_validate(X, h, pruner, progress=False, **options)
    return {name: np.asarray(found[name], float) for name in found.data_vars}


def hostile(n, d, kind):
    """Features as they come: after a ReLU, small whole numbers, some constant, one that outweighs all."""
    X = cases.embedding(n, d, kind)
    X[:, 1] = 0
    X[:, 2] = 3
    X[:, 3] *= 1e4
    return X


@pytest.mark.parametrize("verb", [*VERBS, "cross_validate"])
@pytest.mark.parametrize("comparator", list(COMPARATOR_TABLE))
def test_every_verb_and_comparator_is_the_processors(verb, comparator, monkeypatch):
    """The table of what runs where. A comparator that is added without kernels has to say so in a refusal."""
    form = "sparse" if verb in VERBS else "normal"
    X, h = hostile(14, 9, form), cases.target(14, 3, "different" if of_ranks(comparator) else "none", ties=True)
    if comparator not in execution.CUDA_COMPARATORS:
        with pytest.raises(ValueError, match="on a CUDA device"):
            call(
                *(
                    (verb, X, h, "cosine", comparator)
                    if verb in VERBS
                    else ("leave_one_out", X, h, "cosine", comparator)
                )
            )
        return
    for metric in ("cosine", "euclidean"):
        if verb in VERBS:
            cases.close(*both(verb, X, h, metric, comparator), 1e-9)
            continue
        folds = [pruned_on(device, X, h[:2], comparator, metric, cv=2) for device in ("cuda", "cpu")]
        for name, expected in folds[1].items():
            cases.close(folds[0][name], expected, 1e-9)


@pytest.mark.parametrize("comparator", [name for name in VECTORS if of_ranks(name)])
@pytest.mark.parametrize(("n", "low"), [(8, 0), (21, -1), (40, -3), (98, 0), (141, -40)])
def test_the_same_similarities_have_the_same_ranks(n, low, comparator):
    """Whole numbers, whose products are the same doubles everywhere: the ranks are scipy's, and no bit is another.

    From 97 stimuli on pairs are more than a block sorts at once.
    """
    rng = np.random.default_rng(n)
    X, h = rng.integers(low, 4, (n, 3)).astype(float), np.round(rng.normal(size=n * (n - 1) // 2), 1)
    ours, theirs = both("insertion_curve", X, h, "dot", comparator)
    np.testing.assert_array_equal(ours, theirs)
    order = np.random.default_rng(5).permutation(3)
    s = (X[:, order] @ X[:, order].T)[np.triu_indices(n, 1)]
    if comparator in ("spearman", "tau-b"):
        expected = (stats.spearmanr if comparator == "spearman" else stats.kendalltau)(s, h)[0]
        assert ours[-1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("comparator", VECTORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_vectors_by_every_metric(metric, comparator):
    """Against the definition, with one order for all targets and with one each."""
    X, h = cases.embedding(11, 6, "sparse"), cases.target(11, 3, "same" if of_ranks(comparator) else "none")
    order = np.random.default_rng(2).permutation(6)
    shared = sc.insertion_curve(X, h, order, metric, comparator, device="cuda", kind="similarity")
    own = sc.insertion_curve(X, h, np.stack([order] * 3), metric, comparator, device="cuda", kind="similarity")
    np.testing.assert_array_equal(shared, own)
    cases.agree(shared, cases.prefixes(X, metric, order), h, None, comparator, 1e-9)
    removed = call("leave_one_out", X, h, metric, comparator)
    cases.close(removed, reference.leave_one_out(X, h, metric, comparator), 1e-9)


@pytest.mark.parametrize("comparator", ["spearman", "tau-b", "corr_cov"])
def test_many_targets_are_compared_as_few(comparator):
    """Products of many with many go by tiles."""
    X, h = cases.embedding(9, 70), cases.target(9, 70)
    many = call("leave_one_out", X, h, "cosine", comparator)
    few = np.stack([call("leave_one_out", X, one, "cosine", comparator) for one in h[[0, 7, 69]]])
    cases.close(many[[0, 7, 69]], few, 0 if of_ranks(comparator) else 1e-12)


@pytest.mark.parametrize("comparator", ["rho-a", "tau-a", "cosine_cov"])
def test_the_order_of_threads_and_little_memory_change_no_bit_of_vectors(comparator, emulated, monkeypatch):
    X, h = cases.embedding(14, 20, "sparse"), cases.target(14, 10, "different" if of_ranks(comparator) else "none")
    gc.collect()  # what others loaded is no longer on the device
    whole = [call(verb, X, h, "cosine", comparator) for verb in VERBS]
    for setting, value in (("ORDER", "reverse"), ("ORDER", "1"), ("MEMORY", "200000")):
        with monkeypatch.context() as other:
            other.setenv(f"SECATEUR_EMULATED_{setting}", value)
            for verb, expected in zip(VERBS, whole):
                np.testing.assert_array_equal(call(verb, X, h, "cosine", comparator), expected)


@pytest.mark.parametrize(
    ("comparator", "some", "few"), [("spearman", 400_000, 225_000), ("corr_cov", 200_000, 150_000)]
)
def test_targets_of_whole_vectors_go_in_parts(comparator, some, few, emulated, monkeypatch):
    """Where not all have room: with the same bits. Where not one has, the call says so beforehand."""
    X, h = cases.embedding(30, 3), cases.target(30, 20, "different" if of_ranks(comparator) else "none")
    options = {"metric": "cosine", "comparator": comparator, "kind": "similarity", "device": "cuda"}
    orders = np.stack([np.roll([2, 0, 1], t) for t in range(20)])
    verbs = [partial(sc.insertion_curve, X, h, order) for order in (orders, orders[0])] + [
        partial(sc.leave_one_out, X, h)
    ]
    gc.collect()  # what others loaded is no longer on the device
    whole = [verb(**options) for verb in verbs]
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", str(some))
    for verb, expected in zip(verbs, whole):
        np.testing.assert_array_equal(verb(**options), expected)
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", str(few))
    for verb in verbs[:2]:
        with pytest.raises(MemoryError, match=r"at least .* are needed \(comparing similarities, one target and one"):
            verb(**options)


@pytest.mark.parametrize("comparator", ["spearman", "tau-b"])
def test_ranks_leave_undefined_test_pairs_out(comparator):
    """Among test stimuli: counted, as on the processor; to whitened comparators they are refused."""
    X, h = cases.embedding(16, 12, "sparse"), cases.target(16, 2, "different")
    X[13] = 0
    X[13, 5] = 1e-3  # of no use, and of this stimulus all
    halves = [(np.arange(10), np.arange(10, 16))]
    ours, theirs = (pruned_on(device, X, h, comparator, cv=halves) for device in ("cuda", "cpu"))
    assert theirs["undefined_pairs"].sum() > 0
    for name, expected in theirs.items():
        cases.close(ours[name], expected, 1e-9)


def test_whitened_comparators_refuse_undefined_test_pairs():
    X, h = cases.embedding(16, 12, "sparse"), cases.target(16, 2)
    X[13] = 0
    for device in ("cuda", "cpu"):
        with pytest.raises(ValueError, match="X must give every stimulus a direction for a whitened comparator"):
            pruned_on(device, X, h, "corr_cov", cv=[(np.arange(10), np.arange(10, 16))])


@pytest.mark.parametrize("comparator", VECTORS)
def test_constant_targets_and_features_on_the_device(comparator):
    X, h = np.ones((8, 3)), cases.target(8, 2)
    h[1] = 4
    ours, theirs = both("insertion_curve", X, h, "sqeuclidean", comparator)
    cases.close(ours, theirs)
    cases.close(*both("leave_one_out", cases.embedding(8, 4), h, "cosine", comparator), 1e-12)
    if COMPARATOR_TABLE[comparator].takes_constants:
        return
    with pytest.raises(ValueError, match=r"target must vary over the pairs, got a constant one \(target 1\)"):
        sc.search.find(cases.embedding(8, 4), h, comparator=comparator, device="cuda", kind="similarity")


# Single precision


@pytest.mark.parametrize("verb", ["leave_one_out", "add_one"])
@pytest.mark.parametrize("targets", [None, 12])
@pytest.mark.parametrize(("metric", "comparator"), list(itertools.product(reference.METRICS, MOMENTS)))
def test_single_errs_by_a_share_of_the_change(verb, targets, metric, comparator):
    X, h = cases.embedding(20, 64), cases.target(20, targets, "different" if targets else "none")
    full = call(verb, X, h, metric, comparator)
    single = call(verb, X, h, metric, comparator, precision="single")
    assert (single != full).any(), "this was double"
    inside = None if verb == "leave_one_out" else np.random.default_rng(5).permutation(64)[:32]
    base = sc.alignment(X, h, metric, comparator, subset=inside, kind="similarity")
    change = np.abs(full - np.asarray(base)[..., None]).max()
    assert np.abs(single - full).max() <= 2e-6 * change


@pytest.mark.parametrize("metric", reference.METRICS)
def test_single_keeps_the_order_that_float32_loses(metric):
    rng = np.random.default_rng(3)
    X = np.maximum(rng.normal(size=(30, 1500)) + 0.3 * rng.normal(size=(30, 1)), 0)
    h = sc.similarity(X[:, :80]) + 0.05 * rng.normal(size=435)
    values = sc.leave_one_out(X, h, metric, device="cpu", kind="similarity")
    exact = np.argsort(values, kind="stable")
    single = np.argsort(
        sc.leave_one_out(X, h, metric, device="cuda", precision="single", kind="similarity"), kind="stable"
    )
    plain = np.argsort(values.astype(np.float32), kind="stable")
    assert np.mean(single == exact) >= 0.99
    if metric in ("cosine", "correlation"):
        assert np.mean(plain == exact) < np.mean(single == exact)


@pytest.mark.parametrize("size", [1e-30, 1e30])
@pytest.mark.parametrize("metric", reference.METRICS)
def test_single_at_any_scale(metric, size):
    X, h = cases.embedding(12, 40), cases.target(12)
    expected = sc.leave_one_out(X, h, metric, device="cpu", kind="similarity")
    cases.close(
        sc.leave_one_out(X * size, h, metric, device="cuda", precision="single", kind="similarity"), expected, 1e-6
    )


@pytest.mark.parametrize("metric", reference.METRICS)
def test_single_recomputes_what_cancels(metric):
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    X[:, 7] *= 1e6
    X[4, 3] = 1e7
    actual = sc.leave_one_out(X, h, metric, device="cuda", precision="single", kind="similarity")
    cases.close(actual[:, 7], sc.leave_one_out(X, h, metric, device="cpu", kind="similarity")[:, 7], 1e-7)


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("size", [1e2, 1e4, 1e8])
def test_single_adds_a_feature_that_outweighs_all(metric, size):
    X, h = cases.embedding(9, 25), cases.target(9, 2)
    X[:, 7] *= size
    actual, expected = (
        sc.add_one(X, h, [0, 1], metric, device="cuda", precision=p, kind="similarity") for p in ("single", "double")
    )
    cases.close(actual, expected, 1e-6)


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("targets", [None, 12])
@pytest.mark.parametrize("distance", [10, 1e3])
def test_single_far_from_the_origin(metric, targets, distance):
    """Where only differences count, what all stimuli share costs no digits; what hardly varies is left to double."""
    X, h = cases.embedding(20, 64) + distance, cases.target(20, targets)
    for verb in ("leave_one_out", "add_one"):
        full = call(verb, X, h, metric)
        inside = None if verb == "leave_one_out" else np.random.default_rng(5).permutation(64)[:32]
        change = np.abs(
            full - np.asarray(sc.alignment(X, h, metric, subset=inside, kind="similarity"))[..., None]
        ).max()
        share = 1e-5 if metric in ("cosine", "dot") else 2e-6
        assert np.abs(call(verb, X, h, metric, precision="single") - full).max() <= share * change


@pytest.mark.parametrize("size", [1e-52, 1e-30, 1e52])
@pytest.mark.parametrize("targets", [None, 12])
def test_single_with_weights_of_any_size(size, targets):
    """Inverse variances, of squared femtotesla say."""
    X, h = cases.embedding(12, 30), cases.target(12, targets)
    w = cases.weights(h.shape, "own", "pearson")
    for verb in ("leave_one_out", "add_one"):
        expected = call(verb, X, h, weights=w, device="cpu")
        cases.close(call(verb, X, h, weights=w * size, precision="single"), expected, 1e-6)


def test_single_with_stimuli_without_direction():
    X, h = cases.embedding(9, 12, "sparse"), cases.target(9, 3)
    X[3] = 0
    X[3, 5] = 1
    i, j = np.triu_indices(9, 1)
    h[1, (i == 3) | (j == 3)] = np.nan
    for terms in ((sc.leave_one_out, {}), (sc.add_one, {"subset": [0, 1, 2]})):
        verb, options = terms
        actual = verb(X, h, kind="similarity", device="cuda", precision="single", **options)
        cases.close(actual, verb(X, h, kind="similarity", device="cpu", **options), 1e-6)


def test_an_insertion_runs_in_double():
    X, h = cases.embedding(9, 12), cases.target(9)
    np.testing.assert_array_equal(*(call("insertion_curve", X, h, precision=p) for p in ("double", "single")))


# What is refused


@pytest.mark.parametrize("verb", VERBS)
def test_what_the_device_does_not_do(verb, monkeypatch):
    X, h = cases.embedding(8, 5), cases.target(8)
    with monkeypatch.context() as fewer:  # as if one that is added had no kernels
        fewer.setattr(execution, "CUDA_COMPARATORS", MOMENTS)
        with pytest.raises(ValueError, match=r"^comparator must be 'pearson' or 'cosine' .*got 'tau-a'"):
            call(verb, X, h, "cosine", "tau-a")
        cases.close(
            call(verb, X, h, "cosine", "tau-a", device="auto"), call(verb, X, h, "cosine", "tau-a", device="cpu")
        )
        with pytest.raises(ValueError, match=r"^precision must be 'double' on the processor, got 'single'"):
            call(verb, X, h, comparator="spearman", device="auto", precision="single")


def test_the_core_refuses_on_its_own():
    X = cases.embedding(8, 5)
    loaded = _core.cuda_load(_core.cuda_open(), X, "double")
    two, whitened = np.full((1, 28), 2.0), _core.Measures("cosine", "corr_cov")
    for by, message in (
        (_core.Measures("cosine", "tau-b"), "0 or 1 for a rank comparator"),
        (whitened, "1, and no pair"),
    ):
        with pytest.raises(ValueError, match=f"weights must be {message}"):
            _core.leave_one_out(
                loaded, _core.Targets(cases.target(8)[None], two, np.zeros(1, int)), by, np.arange(5), 1
            )
    with pytest.raises(ValueError, match="X must have at most 65535 stimuli on a CUDA device, got 65536"):
        _core.cuda_load(_core.cuda_open(), np.zeros((65536, 1)), "double")
    with pytest.raises(ValueError, match="X must have at most 65535 stimuli on a CUDA device, got 65536"):
        Execution.resolved("cuda", stimuli=65536)
    assert Execution.resolved("auto", stimuli=65536).device == "cpu"
    with pytest.raises(ValueError, match=r"precision must be one of 'double', 'single'; got 'half'"):
        _core.cuda_load(_core.cuda_open(), X, "half")


# Faults


@pytest.mark.parametrize("verb", VERBS)
def test_out_of_memory(verb, emulated, monkeypatch):
    X, h = cases.embedding(20, 50), cases.target(20, 3)
    expected = call(verb, X, h, device="cpu")
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "20000")
    with pytest.raises(MemoryError, match=OUT_OF_MEMORY):
        call(verb, X, h)
    cases.close(call(verb, X, h, device="cpu"), expected)
    monkeypatch.delenv("SECATEUR_EMULATED_MEMORY")
    cases.close(call(verb, X, h), expected)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("targets", [None, 12])
def test_a_failed_launch_gives_no_numbers(verb, targets, emulated, monkeypatch):
    X, h = cases.embedding(9, 20), cases.target(9, targets)
    said = []
    for launch in range(40):
        monkeypatch.setenv("SECATEUR_EMULATED_FAILURE", str(launch))
        try:
            actual = call(verb, X, h, precision="single")
        except RuntimeError as error:
            said.append(str(error))
        else:
            cases.close(actual, call(verb, X, h, device="cpu"), 1e-6)
            break
        finally:
            monkeypatch.delenv("SECATEUR_EMULATED_FAILURE")
    assert len(said) == launch >= 5
    assert all(message.startswith("CUDA failed while") for message in said)
    cases.close(*both(verb, X, h))


def test_no_room_for_a_stream(emulated, monkeypatch):
    monkeypatch.setenv("SECATEUR_EMULATED_MEMORY", "0")
    with pytest.raises(MemoryError, match=r"^out of device memory while making a stream: use device='cpu'"):
        sc.leave_one_out(cases.embedding(8, 5), cases.target(8), device="cuda", kind="similarity")


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("DRIVER", "12040", r"the driver is for CUDA 12\.4, older than this build's 13\.0"),
        ("DRIVER", "0", "no CUDA device is visible"),
        ("DRIVER", "forked", r"CUDA does not start, as in a process forked from one .* \(use .* 'spawn'\)"),
        ("CAPABILITY", "61", r"the device has compute capability 6\.1 and this build starts at 7\.5"),
    ],
)
def test_a_device_that_cannot_be_used(setting, value, reason, emulated, monkeypatch):
    X, h = cases.embedding(8, 5), cases.target(8)
    monkeypatch.setenv(f"SECATEUR_EMULATED_{setting}", value)
    with pytest.raises(RuntimeError, match=f"^device='cuda' cannot be used, {reason}: use device='cpu'$"):
        sc.leave_one_out(X, h, device="cuda", kind="similarity")
    np.testing.assert_array_equal(
        sc.leave_one_out(X, h, device="auto", kind="similarity"),
        sc.leave_one_out(X, h, device="cpu", kind="similarity"),
    )


def test_auto_leaves_the_driver_asleep_where_the_device_has_no_part(monkeypatch):
    def wake():
        raise AssertionError("the driver was asked")

    monkeypatch.setattr(_core, "cuda_available", wake)
    monkeypatch.setattr(execution, "CUDA_COMPARATORS", MOMENTS)
    sc.leave_one_out(cases.embedding(8, 5), cases.target(8), comparator="spearman", device="auto", kind="similarity")
    assert Execution.resolved("auto", stimuli=65536).device == "cpu"


def test_auto_weighs_the_work(monkeypatch):
    """A little is not worth a device; X that lies there, or single precision, is."""

    def where(*size, **more):
        return Execution.resolved("auto", work=multiply_adds(*size), **more).device

    assert where(96, 4096, 1) == "cpu"
    assert where(96, 4096, 1, precision="single") == where(96, 4096, 1, device_array="X") == "cuda"
    assert where(96, 4096, 200) == where(96, 4096, 1, 1000) == Execution.resolved("auto").device == "cuda"
    assert Execution.resolved("cuda", work=1).device == "cuda"
    X, h = cases.embedding(12, 6), cases.target(12)
    woken = []
    monkeypatch.setattr(_core, "cuda_available", lambda: woken.append(1) or (False, "not now"))
    sc.leave_one_out(X, h, kind="similarity")
    sc.Pruner(kind="similarity").fit(X, h)
    with pytest.raises(ValueError, match="precision must be 'double'"):
        sc.leave_one_out(X, h, precision="single", kind="similarity")
    assert len(woken) == 1


def test_embeddings_may_go_while_another_call_runs(emulated):
    """The running call asks Python for signals in its turn on the device; whoever lets one go holds Python."""
    script = """
import threading, time
import numpy as np
from secateur import _core
X, h = np.random.default_rng(0).normal(size=(33, 8000)), np.random.default_rng(1).normal(size=(1, 528))
device = _core.cuda_open()
used, other = (_core.cuda_load(device, X, "double") for _ in range(2))
order = np.arange(8000)[None]
given = _core.Targets(h), _core.Measures("cosine", "pearson")
running = threading.Thread(target=_core.insertion_curve, args=(used, *given, order, 1))
running.start()
time.sleep(0.02)
del other
assert running.is_alive(), "the other call was over too soon to tell"
running.join()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_ctrl_c(emulated):
    """Noticed between launches, long before the call would end."""
    X, h = cases.embedding(33, 12000), cases.target(33)

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            sc.insertion_curve(X, h, np.arange(12000), device="cuda", kind="similarity")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    cases.close(*both("insertion_curve", X[:, :20], h))


# Arrays on the device


class OnDevice:
    """Memory of the emulated device, as another library would lend it."""

    def __init__(self, array, typestr=None, strides=None):
        lend = ctypes.CDLL(_core.__file__).emulated_cuda_memory
        lend.restype = ctypes.c_void_p
        lend.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self.shape = array.shape
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": typestr or array.dtype.str,
            "data": (lend(array.tobytes(), array.nbytes), False),
            "strides": strides,
            "version": 3,
        }


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_an_array_on_the_device(verb, device, emulated):
    X, h = cases.embedding(9, 20), cases.target(9, 2)
    X[:, 7] *= 1e7  # so that some is recomputed on the host
    for metric in reference.METRICS:
        np.testing.assert_array_equal(call(verb, OnDevice(X), h, metric, device=device), call(verb, X, h, metric))
        cases.close(
            sc.alignment(OnDevice(X), h, metric, "spearman", device=device, kind="similarity"),
            sc.alignment(X, h, metric, "spearman", kind="similarity"),
        )


def test_arrays_on_the_device_that_are_refused(emulated):
    X, h = cases.embedding(9, 20), cases.target(9)
    with pytest.raises(
        ValueError, match=r"X must lie in host memory for device='cpu', got a CUDA array: pass X.cpu\(\)"
    ):
        sc.leave_one_out(OnDevice(X), h, device="cpu", kind="similarity")
    for wrong in (
        sc.similarity,
        lambda X: sc.Pruner(search="forward", kind="similarity").fit(X, h),
        lambda X: sc.Pruner(kind="similarity").fit(X, h).score(X, h),
        lambda X: sc.cross_validate(X, h, sc.Pruner(search="forward", kind="similarity")),
    ):
        with pytest.raises(TypeError, match=r"X must lie in host memory here, got a CUDA array: pass X.cpu\(\)"):
            wrong(OnDevice(X))
    with pytest.raises(TypeError, match="X must have dtype float64 on a CUDA device, got '<f4'"):
        sc.leave_one_out(OnDevice(X.astype(np.float32)), h, kind="similarity")
    with pytest.raises(ValueError, match="X must be C-contiguous on a CUDA device"):
        sc.leave_one_out(OnDevice(X, strides=(8, 72)), h, kind="similarity")
    X[4, 7] = np.nan
    with pytest.raises(ValueError, match="X must be finite, got nan at stimulus 4, feature 7"):
        sc.leave_one_out(OnDevice(X), h, kind="similarity")
    elsewhere = OnDevice(X)
    elsewhere.__cuda_array_interface__["data"] = (X.ctypes.data, False)
    with pytest.raises(ValueError, match="X must lie in a CUDA device's memory"):
        sc.leave_one_out(elsewhere, h, kind="similarity")


@pytest.mark.parametrize("comparator", MOMENTS)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("targets", [None, 3, 12])
def test_a_target_on_the_device(metric, comparator, targets, emulated):
    X, h = np.abs(cases.embedding(9, 20)), cases.target(9, targets)
    X[:, 7] *= 1e3
    X[4] /= 100
    X[4, 3] = 1  # so that some is recomputed on the host
    for verb, kind in itertools.product(VERBS, ("similarity", "dissimilarity")):
        expected = call(verb, X, h, metric, comparator, kind=kind, device="cpu")
        for x in (X, OnDevice(X)):
            if verb == "insertion_curve":  # it reads how many targets there are
                order = np.random.default_rng(5).permutation(20)
                expected = sc.insertion_curve(X, h, order, metric, comparator, kind=kind, device="cpu")
                actual = sc.insertion_curve(x, OnDevice(h), order, metric, comparator, kind=kind)
            else:
                inside = {} if verb == "leave_one_out" else {"subset": np.random.default_rng(5).permutation(20)[:10]}
                actual = getattr(sc, verb)(x, OnDevice(h), metric=metric, comparator=comparator, kind=kind, **inside)
            cases.close(actual, expected, 1e-9)


@pytest.mark.parametrize("kind", ["similarity", "dissimilarity"])
def test_folds_of_arrays_on_the_device(kind, emulated):
    X, h = cases.embedding(24, 20), cases.target(24, 3)
    X[4] /= 100
    X[4, 3] = 1
    expected = sc.cross_validate(X, h, sc.Pruner(device="cuda", kind="similarity"), cv=3, kind=kind, progress=False)
    for x, target in ((OnDevice(X), OnDevice(h)), (X, OnDevice(h)), (OnDevice(X), h)):
        found = sc.cross_validate(x, target, cv=3, kind=kind, progress=False)  # "auto", wherever one of them lies
        for name in expected.data_vars:
            np.testing.assert_array_equal(found[name], expected[name])
    with pytest.raises(ValueError, match="target must lie in host memory for device='cpu', got a CUDA array"):
        sc.cross_validate(X, OnDevice(h), sc.Pruner(device="cpu", kind="similarity"))
    null = [
        sc.permutation_test(x, h, 3, sc.Pruner(device="cuda", kind="similarity"), cv=3, progress=False)
        for x in (X, OnDevice(X))
    ]
    for name in null[0].data_vars:
        cases.close(np.asarray(null[0][name], float), null[1][name], 1e-9)
    found = [sc.search.find(x, h, kind=kind, device="cuda") for x in (X, OnDevice(X))]
    np.testing.assert_array_equal(found[0].order, found[1].order)


@pytest.mark.parametrize("comparator", ["pearson", "cosine_cov", "spearman", "tau-b"])
@pytest.mark.parametrize("kind", ["similarity", "dissimilarity"])
def test_matrices_on_the_device(comparator, kind, emulated):
    """Square targets are read as packed ones are, one or several."""
    X, h = cases.embedding(9, 7), cases.target(9, 2)
    squares = np.stack([squareform(one) + (kind == "similarity") * 5 * np.eye(9) for one in h])
    for ours, theirs in ((squares, h), (squares[0], h[0])):
        for verb in VERBS:
            expected, more = call(verb, X, theirs, "cosine", comparator, kind=kind), {}
            if verb == "insertion_curve" and ours.ndim == 3:
                more = {"order": np.stack([np.random.default_rng(5).permutation(7)] * 2)}
                expected = sc.insertion_curve(X, theirs, **more, comparator=comparator, kind=kind, device="cuda")
            elif verb == "insertion_curve":
                more = {"order": np.random.default_rng(5).permutation(7)}
            elif verb == "add_one":
                more = {"subset": np.random.default_rng(5).permutation(7)[:3]}
            actual = getattr(sc, verb)(X, OnDevice(ours), **more, comparator=comparator, kind=kind)
            cases.close(actual, expected, 1e-12)


@pytest.mark.parametrize("comparator", ["pearson", "cosine", "rho-a", "tau-a"])
def test_weights_beside_a_target_on_the_device(comparator, emulated):
    """In host memory or there, packed or square; a pair of no weight may be missing."""
    X, h = cases.embedding(9, 7), cases.target(9, 2)
    w = cases.weights(h.shape, "own", comparator)
    expected = call("leave_one_out", X, h, "cosine", comparator, weights=w, device="cpu")
    squares, holes = np.stack([squareform(one) for one in w]), np.where(w > 0, h, np.nan)
    for target, weights in (
        (OnDevice(h), w),
        (OnDevice(h), OnDevice(w)),
        (OnDevice(holes), OnDevice(squares)),
        (h, w),
    ):
        actual = sc.leave_one_out(X, target, "cosine", comparator, weights=weights, kind="similarity", device="cuda")
        cases.close(actual, expected, 1e-9)
    folds = [
        sc.search.find(X, target, weights=weights, comparator=comparator, kind="similarity", device="cuda")
        for target, weights in ((h, w), (OnDevice(holes), OnDevice(w)))
    ]
    np.testing.assert_array_equal(folds[0].order, folds[1].order)


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_a_pruner_fits_arrays_on_the_device(comparator, emulated):
    X, h = cases.embedding(12, 9), cases.target(12)
    square, w = squareform(h), cases.weights(h.shape, "shared", comparator)
    pruner = sc.Pruner(comparator=comparator, kind="dissimilarity", device="cuda")
    expected = pruner.fit(X, h, weights=w)
    found = sc.Pruner(comparator=comparator, kind="dissimilarity").fit(
        OnDevice(X), OnDevice(square), weights=OnDevice(w)
    )
    for name in ("support_", "order_", "curve_", "importance_", "alignment_", "baseline_"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.n_features_in_ == 9
    np.testing.assert_array_equal(found.transform(X), X[:, found.support_])
    with pytest.raises(ValueError, match="target must be one target, got 2"):
        sc.Pruner(kind="similarity").fit(OnDevice(X), OnDevice(np.stack([h, h])))


def test_what_cannot_be_learnt_from_is_named_on_the_device_too(emulated):
    X, h = cases.embedding(12, 6), cases.target(12, 2)
    same = h.copy()
    same[1] = 3
    for x, target in ((X, same), (OnDevice(X), OnDevice(same))):
        with pytest.raises(ValueError, match=r"target must vary over the pairs, got a constant one \(target 1\)"):
            sc.search.find(x, target, device="cuda", kind="similarity")
    X[5] = 0
    for x, target in ((X, h), (OnDevice(X), OnDevice(h))):
        with pytest.raises(ValueError, match="X must give every stimulus a direction, got stimulus 5"):
            sc.search.find(x, target, device="cuda", kind="similarity")


def test_targets_on_the_device_that_are_refused(emulated):
    X, h = cases.embedding(9, 6), cases.target(9, 2)
    square = squareform(h[0])
    alike, lopsided = square + 9 * np.eye(9), square.copy()
    lopsided[5, 2] = 7
    for wrong in (
        lambda h: sc.alignment(X, h, kind="similarity"),
        lambda h: sc.permutation_test(X, h, kind="similarity"),
        lambda h: sc.Pruner(search="forward", kind="similarity").fit(X, h),
    ):
        with pytest.raises(TypeError, match=r"target must lie in host memory here, got a CUDA array: pass target.cpu"):
            wrong(OnDevice(h))
    for target, options, message in (
        (OnDevice(h[:, :35]), {}, r"target must have shape \(9, 9\), \(36,\), .* on a CUDA device .* got \(2, 35\)"),
        (OnDevice(np.zeros((8, 8))), {}, r"target must have shape .* got \(8, 8\)"),
        (OnDevice(h), {"kind": None}, "kind must be said for a target on a CUDA device"),
        (OnDevice(lopsided), {}, r"target must be symmetric, got .* at \(2, 5\) and 7 at \(5, 2\)"),
        (OnDevice(np.abs(square)), {}, "target must not have an all-zero diagonal while kind is 'similarity'"),
        (
            OnDevice(alike),
            {"kind": "dissimilarity"},
            "target must have a zero diagonal while kind is 'dissimilarity', got 9",
        ),
        (OnDevice(h), {"weights": -np.ones(36)}, "weights must be finite and not negative, got -1.0 at pair 0"),
        (
            OnDevice(h),
            {"weights": OnDevice(-np.ones(36))},
            "weights must be finite and not negative, got -1.0 at pair 0",
        ),
        (OnDevice(h), {"weights": OnDevice(np.ones(35))}, r"weights must have shape .* got \(35,\)"),
        (
            OnDevice(h),
            {"weights": OnDevice(np.ones((3, 36)))},
            "weights must be one pattern or one for each of 2 targets, got 3",
        ),
        (
            OnDevice(h),
            {"weights": OnDevice(np.full(36, np.nan))},
            "weights must be finite on a CUDA device .*, got nan",
        ),
        (OnDevice(h, strides=(8, 16)), {}, "target must be C-contiguous on a CUDA device"),
        (OnDevice(np.where(h == h[1, 7], np.nan, h)), {}, "target must be finite .* got nan at target 1, pair 7"),
        (OnDevice(h), {"device": "cpu"}, "target must lie in host memory for device='cpu', got a CUDA array"),
    ):
        with pytest.raises(ValueError, match=message):
            sc.leave_one_out(X, target, **{"kind": "similarity", **options})
    with pytest.raises(TypeError, match="target must have dtype float64 on a CUDA device, got '<f4'"):
        sc.leave_one_out(X, OnDevice(h.astype(np.float32)), kind="similarity")


def test_a_torch_tensor_on_the_device():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    X, h = cases.embedding(17, 33), cases.target(17, 3)
    x, target = torch.from_numpy(X).cuda(), torch.from_numpy(h).cuda()
    for goal in (h, target):
        cases.close(
            sc.leave_one_out(x, goal, kind="similarity"), sc.leave_one_out(X, h, device="cpu", kind="similarity"), 1e-9
        )
    folds = [
        sc.cross_validate(*given, cv=3, kind="similarity", progress=False).pruned_test
        for given in ((x, target), (X, h))
    ]
    cases.close(folds[0], folds[1], 1e-9)


# DLPack


class Tensor(ctypes.Structure):
    """What a capsule of DLPack holds: DLManagedTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("dimensions", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    ]  # fmt: skip


class ByDLPack:
    """Memory of the emulated device, as a library lends it that has DLPack alone."""

    def __init__(self, array, strides=None, device=2, name=b"dltensor", pad=0):
        self.shape, self.device, self.name, self.gone = array.shape, device, name, 0
        whole = np.concatenate([np.zeros(pad, array.dtype), array.ravel()])
        self.lent = OnDevice(whole).__cuda_array_interface__["data"][0]
        places = ctypes.c_int64 * array.ndim
        strides = None if strides is None else places(*strides)
        self.tensor = Tensor(
            self.lent, device, 0, array.ndim, "iuf".index(array.dtype.kind), 8 * array.itemsize, 1,
            places(*array.shape), strides, pad * array.itemsize,
        )  # fmt: skip

        def let_go(_):
            self.gone += 1

        self.destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(let_go)

    def __dlpack_device__(self):
        return (self.device, 0)

    def __dlpack__(self, *, stream=None):
        assert stream == 1
        make = ctypes.pythonapi.PyCapsule_New
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return make(ctypes.addressof(self.tensor), self.name, ctypes.cast(self.destructor, ctypes.c_void_p))


@pytest.mark.parametrize("kind", ["similarity", "dissimilarity"])
def test_arrays_by_dlpack(kind, emulated):
    X, h = cases.embedding(12, 8), cases.target(12, 3)
    x, target = ByDLPack(X, strides=(8, 1)), ByDLPack(h, pad=7)
    for given in ((x, h), (X, target), (x, target), (OnDevice(X), target)):
        expected = sc.leave_one_out(OnDevice(X), h if given[1] is h else OnDevice(h), kind=kind)
        np.testing.assert_array_equal(sc.leave_one_out(*given, kind=kind), expected)
    if kind == "dissimilarity":
        folds = [sc.cross_validate(*on, cv=3, kind=kind, progress=False) for on in ((x, target), (X, OnDevice(h)))]
        for name in folds[1].data_vars:
            np.testing.assert_array_equal(folds[0][name], folds[1][name])
    managed = ByDLPack(X, device=13)  # memory that the device shares with the host
    np.testing.assert_array_equal(sc.leave_one_out(managed, h, kind=kind), sc.leave_one_out(x, h, kind=kind))
    column = ByDLPack(h[:1], strides=(1, 1))  # along an axis of one place nobody steps
    np.testing.assert_array_equal(
        sc.leave_one_out(X, column, kind=kind), sc.leave_one_out(X, OnDevice(h[:1]), kind=kind)
    )
    assert sc.alignment(x, h, kind=kind).shape == (3,)
    gc.collect()
    assert x.gone > 2
    assert target.gone > 2


def test_what_is_lent_by_dlpack_stays_while_it_is_used(emulated):
    x = ByDLPack(cases.embedding(9, 20))
    loaded = _core.cuda_load(_core.cuda_open(), x, "double")
    gc.collect()
    assert x.gone == 0
    del loaded
    gc.collect()
    assert x.gone == 1


def test_arrays_by_dlpack_that_are_refused(emulated):
    X, h = cases.embedding(9, 20), cases.target(9)
    for x, error, message in (
        (ByDLPack(X.astype(np.float32)), TypeError, "X must have dtype float64 on a CUDA device, got '<f4'"),
        (ByDLPack(X.astype(np.int64)), TypeError, "X must have dtype float64 on a CUDA device, got '<i8'"),
        (ByDLPack(X, strides=(1, 9)), ValueError, "X must be C-contiguous on a CUDA device"),
        (ByDLPack(X[0]), ValueError, r"X must have shape \(stimuli, features\), got shape \(20,\)"),
        (ByDLPack(X, name=b"other"), TypeError, "X must give a capsule named 'dltensor' by __dlpack__"),
        (ByDLPack(np.where(X[4, 7] == X, np.nan, X)), ValueError, "X must be finite, got nan at stimulus 4, feature 7"),
    ):
        with pytest.raises(error, match=message):
            sc.leave_one_out(x, h, kind="similarity")
    elsewhere = ByDLPack(X)
    elsewhere.tensor.data = X.ctypes.data
    with pytest.raises(ValueError, match="X must lie in a CUDA device's memory, got a pointer to other memory"):
        sc.leave_one_out(elsewhere, h, kind="similarity")
    vectors = ByDLPack(X)
    vectors.tensor.bits, vectors.tensor.lanes = 16, 4
    with pytest.raises(TypeError, match="X must have dtype float64 on a CUDA device, got '4 of <f2'"):
        sc.leave_one_out(vectors, h, kind="similarity")
    said = ByDLPack(X)
    said.tensor.device_type = 10  # it says another thing than its tensor
    with pytest.raises(ValueError, match="X must lie in a CUDA device's memory, got DLPack's device type 10"):
        sc.leave_one_out(said, h, kind="similarity")
    for wrong in (sc.similarity, lambda x: sc.Pruner(search="forward", kind="similarity").fit(x, h)):
        with pytest.raises(TypeError, match=r"X must lie in host memory here, got a CUDA array: pass X.cpu\(\)"):
            wrong(ByDLPack(X))
    with pytest.raises(ValueError, match=r"target must have shape .* got \(2, 35\)"):
        sc.leave_one_out(X, ByDLPack(cases.target(9, 2)[:, :35]), kind="similarity")
    assert not sc.features.is_device_array(ByDLPack(X, device=1))  # in host memory


# Feature maps


def masked_by_definition(before, removed, weights, after):
    """In double, and what single precision may be off by: a rounding for each sum, of terms each rounded thrice."""
    own, gone, W, whole = (part.astype(float) for part in (before, removed, weights, after))
    change = np.maximum(own - gone, 0) - np.maximum(own, 0)
    size = (np.abs(own) + np.abs(gone)) @ np.abs(W).T
    bound = 2.0**-24 * ((own.shape[1] + 2) * np.abs(change) @ np.abs(W).T + 4 * size + 2 * np.abs(whole))
    return np.maximum(whole + change @ W.T, 0), 1.01 * bound


@pytest.mark.parametrize(
    ("rows", "n", "units", "outputs"),
    [(29, 5, 75, 70), (140, 2, 33, 132), (1, 3, 1, 1), (128, 1, 300, 4), (3, 2, 16, 260)],
    ids=["parts of tiles", "rows beyond a tile", "one of each", "whole rows", "outputs beyond two tiles"],
)
def test_masked_embeddings(rows, n, units, outputs, emulated):
    """By definition, and as the processor has them; from the host and as they lie; left there or brought back."""
    before, removed, weights, after = maps_case(rows, n, units, outputs)
    device = _core.cuda_open()
    layer = _core.cuda_load_layer(device, weights)
    found = _core.masked_embeddings(before, removed, layer, after, 1)
    expected, bound = masked_by_definition(before, removed, weights, after)
    assert found.dtype == np.float32
    assert (np.abs(found - expected) <= bound).all()
    there = _core.masked_embeddings(before, removed, weights, after, 1)
    assert (np.abs(found - there) <= 2 * bound).all()
    for lend in (OnDevice, ByDLPack):
        given = (lend(before), lend(removed), _core.cuda_load_layer(device, lend(weights)), lend(after), 1)
        np.testing.assert_array_equal(_core.masked_embeddings(*given), found)
        out = OnDevice(np.full_like(found, np.nan))
        assert _core.masked_embeddings(*given, out) is out
        at = out.__cuda_array_interface__["data"][0]  # emulated: the host can read it
        written = np.frombuffer(ctypes.string_at(at, found.nbytes), np.float32)
        np.testing.assert_array_equal(written.reshape(found.shape), found)


def test_masked_embeddings_that_are_refused(emulated):
    before, removed, weights, after = maps_case(4, 3, 20, 10)
    device = _core.cuda_open()
    layer = _core.cuda_load_layer(device, weights)
    out = np.zeros((4, 3, 10), np.float32)
    read_only, masked, bare = OnDevice(out), OnDevice(before), OnDevice(removed[:0])
    read_only.__cuda_array_interface__["data"] = (read_only.__cuda_array_interface__["data"][0], True)
    masked.__cuda_array_interface__["mask"] = OnDevice(before)
    del bare.shape  # nothing but the interface
    for given, error, message in (
        ((before.astype(float), removed, layer, after, 1), TypeError, "before must have dtype float32, got float64"),
        (
            (OnDevice(before.astype(float)), removed, layer, after, 1),
            TypeError,
            "before must have dtype float32 on a CUDA",
        ),
        (
            (before, removed[..., :9].copy(), layer, after, 1),
            ValueError,
            "removed must have 20 units, as weights has in",
        ),
        ((before, OnDevice(removed[0]), layer, after, 1), ValueError, r"removed must have 3 dimension\(s\), got shape"),
        (
            (before, removed, layer, after[:, :9].copy(), 1),
            ValueError,
            "after must have 10 units, as weights has outputs",
        ),
        ((before[:2], removed, layer, after, 1), ValueError, "before must have 3 images, as removed has"),
        ((before, removed[:0], layer, after, 1), ValueError, "removed must have a row and an image"),
        ((OnDevice(before), removed, weights, after, 1), ValueError, "weights must be loaded on the CUDA device"),
        ((before, removed, layer, after, 1, out), ValueError, "out must lie on the CUDA device"),
        ((before, removed, weights, after, 1, OnDevice(out)), ValueError, "out must lie on the CUDA device"),
        ((before, removed, layer, after, 1, OnDevice(out[:3])), ValueError, r"out must have shape .* got \(3, 3, 10\)"),
        ((before, removed, layer, after, 1, read_only), ValueError, "out must be writable, got a read-only array"),
        (
            (before, removed, layer, after, 1, ByDLPack(out)),
            TypeError,
            "out must have __cuda_array_interface__, which says",
        ),
        ((masked, removed, layer, after, 1), ValueError, "before must have no mask on a CUDA device, got one"),
        ((before, bare, layer, after, 1), ValueError, r"removed must have a row and an image, got shape \(0, 3, 20\)"),
    ):
        with pytest.raises(error, match=message):
            _core.masked_embeddings(*given)
    for embeddings, beside, error, message in (
        (out[0], None, ValueError, r"embeddings must have 3 dimension\(s\)"),
        (out.astype(float), None, TypeError, "embeddings must have dtype float32"),
        (out[:, :1].copy(), None, ValueError, "embeddings must have a row, 2 stimuli and a feature or more"),
        (out, out[0, :, :9].copy(), ValueError, "beside must have 10 features, as embeddings have"),
        (out, out[0, :0], ValueError, r"beside must have a stimulus or more, got shape \(0, 10\)"),
    ):
        with pytest.raises(error, match=message):
            _core.cuda_similarities(device, embeddings, beside, "cosine")
    with pytest.raises(ValueError, match=r"weights must have at least 1 output and 1 input, got shape \(0, 20\)"):
        _core.cuda_load_layer(device, weights[:0])


def test_a_failed_launch_gives_no_embeddings(emulated, monkeypatch):
    before, removed, weights, after = maps_case(4, 3, 20, 10)
    said, found = [], None
    while found is None:
        monkeypatch.setenv("SECATEUR_EMULATED_FAILURE", str(len(said)))
        try:
            device = _core.cuda_open()
            embeddings = _core.masked_embeddings(before, removed, _core.cuda_load_layer(device, weights), after, 1)
            found = _core.cuda_similarities(device, embeddings, embeddings[0], "correlation")
        except RuntimeError as error:
            said.append(str(error))
    assert len(said) == 6
    assert all(message.startswith("CUDA failed while") for message in said)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_similarities_in_each(metric, emulated, monkeypatch):
    """Of single values in double: by definition, also with the images of another embedding."""
    rng = np.random.default_rng(2)
    X = np.maximum(rng.normal(size=(3, 67, 19)), 0).astype(np.float32)
    X[1, 4], X[2, 5] = 0, 3  # no direction, and none once centred
    device = _core.cuda_open()
    found = _core.cuda_similarities(device, X, None, metric)
    with np.errstate(invalid="ignore", divide="ignore"):
        cases.close(found, np.stack([reference.similarity(x.astype(float), metric) for x in X]), 1e-12)
        between = _core.cuda_similarities(device, OnDevice(X), ByDLPack(X[0, :5]), metric)
        assert between.shape == (3, 67, 5)
        i, j = np.triu_indices(67, 1)
        own = np.full((67, 67), np.nan)
        own[i, j] = own[j, i] = reference.similarity(X[0].astype(float), metric)
        off = ~np.eye(67, 5, dtype=bool)
        cases.close(between[0][off], own[:, :5][off], 1e-12)
        one = np.concatenate([X[2], X[0, :5]]).astype(float)
        whole = np.full((72, 72), np.nan)
        whole[np.triu_indices(72, 1)] = reference.similarity(one, metric)
        cases.close(between[2], whole[:67, 67:], 1e-12)
    monkeypatch.setenv("SECATEUR_EMULATED_ORDER", "reverse")
    np.testing.assert_array_equal(_core.cuda_similarities(device, X, None, metric), found)


@pytest.fixture
def beside_the_device(monkeypatch):
    """Networks run on the processor, and on the device what is made of their maps: calls of it are noted."""
    pytest.importorskip("torch", reason="networks need PyTorch")
    from secateur.networks import occlusion

    made = []

    def execution_on(place, device, threads):
        return Execution("cuda", 1, "double", _core.cuda_open())

    def similarities(*given, take=_core.cuda_similarities):
        made.append(given)
        return take(*given)

    def on():
        for room in (sc.feature_maps, occlusion):
            monkeypatch.setattr(room, "execution_on", execution_on)
        monkeypatch.setattr(_core, "cuda_similarities", similarities)

    return on, made


def photographs(n=9, side=6):
    """Images (n, side, side, 3), and a target of them."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, size=(n, side, side, 3), dtype=np.uint8), rng.normal(size=n * (n - 1) // 2)


@pytest.mark.parametrize(("metric", "comparator"), [("cosine", "spearman"), ("correlation", "pearson")])
@pytest.mark.parametrize("kind", ["pooled", "rectified", "other"])
def test_importance_of_maps(kind, metric, comparator, beside_the_device, emulated):
    """As on the processor, up to what single precision rounds."""
    from test_feature_maps import make

    turn_on, made = beside_the_device
    images, target = photographs()
    terms = {"metric": metric, "comparator": comparator, "kind": "similarity", "progress": False}
    ask = partial(
        sc.feature_maps.alignment_importance, make(kind), images, target, per_image=True, memory=5000, **terms
    )
    expected = ask()
    assert not made
    turn_on()
    found = ask()
    assert len(made) > 2  # in blocks
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=2e-6)
    assert np.abs(expected.image_importance).max() > 0.01


@pytest.mark.parametrize("kind", ["pooled", "rectified", "other"])
def test_selection_of_maps(kind, beside_the_device, emulated):
    from test_feature_maps import make

    turn_on, made = beside_the_device
    images, target = photographs(12)
    how = {"cv": 2, "repeats": 1, "permutations": 3, "kind": "similarity", "progress": False}
    ask = partial(sc.feature_maps.select, make(kind), images, np.stack([target, target[::-1]]), **how)
    expected = ask()
    turn_on()
    found = ask()
    assert made
    np.testing.assert_array_equal(found.kept, expected.kept)
    for name in ("importance", "curve", "full_test", "pruned_test", "chance_gain"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=2e-6)


def test_occlusion_beside_the_device(beside_the_device, emulated):
    from test_feature_maps import make

    turn_on, made = beside_the_device
    images, target = photographs(5)
    support = np.arange(21) % 3 > 0
    how = {"only": [0, 3], "sizes": [3], "stride": 3, "support": support, "kind": "similarity", "progress": False}
    ask = partial(sc.occlusion.occlude, make("other"), images, target, **how)
    expected = ask()
    turn_on()
    found = ask()
    assert len(made) == 2
    for name in ("drop", "baseline"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=2e-6)


def test_masked_maps_fill_tiles(emulated):
    """Blocks of rows that the device multiplies together are whole, where memory has room for one."""
    torch = pytest.importorskip("torch")
    from secateur.networks import necks
    from test_feature_maps import make

    on_device = Execution("cuda", 1, "double", _core.cuda_open())
    net, maps = make("other", maps=300), torch.zeros(4, 300, 6, 6)
    for memory, block in ((1, 1), (130 * 464, 128), (127 * 464, 127), (290 * 464, 256), (1 << 30, 300)):
        assert necks.Neck(net, maps, 4, memory, on_device).block == block  # 4 x 21 floats, 4 x 4 doubles
    assert necks.Neck(net, maps, 4, 130 * 464, Execution()).block == 130


def test_means_of_maps_where_they_lie():
    torch = pytest.importorskip("torch")
    from secateur.networks import heatmaps

    rng = np.random.default_rng(0)
    maps, weights = rng.random((3, 5, 4, 4), dtype=np.float32), rng.random((3, 5))
    there = heatmaps._mean_there(torch.from_numpy(maps), weights)
    np.testing.assert_allclose(there, heatmaps._mean(maps.astype(float), weights), rtol=1e-14, atol=0)
    maps[1, 2, 3, 0] = np.inf
    with pytest.raises(ValueError, match="maps must be finite, got inf"):
        heatmaps._mean_there(torch.from_numpy(maps), weights)


def test_one_device_for_network_and_core(monkeypatch):
    """Where it can't be had: one sentence, the same wherever it is asked for."""
    torch = pytest.importorskip("torch")
    from secateur.networks.network import execution_on
    from test_feature_maps import make

    net, (images, target) = make("other"), photographs(5)
    if not torch.cuda.is_available():
        for call in (
            partial(sc.feature_maps.alignment_importance, net, images, target, kind="similarity"),
            partial(sc.feature_maps.select, net, images, target, kind="similarity"),
            partial(sc.heatmaps.heatmap, net, images, np.ones(10)),
            partial(sc.heatmaps.entropy, replace(net, classes=tuple("abc"))),
            partial(sc.occlusion.occlude, net, images, target, sizes=[3], stride=3, kind="similarity"),
            partial(sc.networks.embed, net),
        ):
            with pytest.raises(
                ValueError, match=r"^device must be one of the 0 CUDA devices that torch sees here, got"
            ):
                call(*([images] if len(call.args) == 1 else []), device="cuda")
    there, here = torch.device("cuda", 0), torch.device("cpu")
    for asked in ("cpu", None, "auto"):
        assert execution_on(here, asked, 3) == Execution(threads=3)
    for asked in ("cuda", None, "auto"):
        assert execution_on(there, asked, 1).device == "cuda"
    with pytest.raises(ValueError, match=r"device must be 'cuda' or 'cuda:0' .* got 'cuda:2': start with CUDA_VIS"):
        execution_on(torch.device("cuda", 2), "cuda:2", 1)
    assert execution_on(torch.device("cuda", 2), None, 1).device == "cpu"  # as the network alone is there
    monkeypatch.setattr(_core, "cuda_available", lambda: (False, "this copy of Secateur was built without CUDA"))
    with pytest.raises(RuntimeError, match=r"device='cuda' cannot be used, this copy .* built without CUDA: use"):
        execution_on(there, "cuda", 1)
    assert execution_on(there, None, 1).device == execution_on(there, "auto", 1).device == "cpu"


@pytest.mark.parametrize("kind", ["pooled", "rectified", "other"])
def test_maps_of_tensors_on_the_device(kind):
    """The network there, and all that is made of its maps."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    from test_feature_maps import make

    net, (images, target) = make(kind), photographs(12)
    terms = {"kind": "similarity", "progress": False}
    asked = (
        partial(sc.feature_maps.alignment_importance, net, images, target, per_image=True, **terms),
        partial(sc.feature_maps.select, net, images, target, cv=3, repeats=1, **terms),
        partial(sc.occlusion.occlude, net, images, target, sizes=[3], stride=3, **terms),
    )
    for ask in asked:
        there, here = ask(device="cuda"), ask(device="cpu")
        for name in here.data_vars:
            np.testing.assert_allclose(there[name].astype(float), here[name].astype(float), rtol=0, atol=1e-4)
    assert net.device.type == "cpu"  # it went back
    heat = [sc.heatmaps.heatmap(net, images, np.ones(10), device=device, progress=False) for device in ("cuda", "cpu")]
    np.testing.assert_allclose(*heat, rtol=1e-4, atol=1e-5)


# The emulator


def test_an_emulated_device_says_so_and_waits_to_be_asked_for(emulated, monkeypatch):
    assert "CUDA: emulated" in _core.__doc__
    assert "no GPU" in secateur.device.describe("cuda")
    monkeypatch.delenv("SECATEUR_EMULATED_CUDA")
    assert secateur.device.available("cuda") == (False, "no CUDA device is visible")
    with pytest.raises(RuntimeError, match="no CUDA device is visible: use device='cpu'"):
        sc.leave_one_out(cases.embedding(8, 5), cases.target(8), device="cuda", kind="similarity")
