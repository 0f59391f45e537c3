"""Every refusal names the argument, the rule and the value received, in one sentence."""

from __future__ import annotations

import re
from contextlib import contextmanager

import numpy as np
import pytest

import reference
import secateur as sc
from secateur import _core

N, D, P = 6, 9, 15
ORDER = np.arange(D)
SAID = {"kind": "similarity"}


@contextmanager
def refused(error, *words):
    """The error is raised, its message is one line and has a match of every pattern."""
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    assert message
    assert "\n" not in message
    for word in words:
        assert re.search(word, message), f"{word!r} is not in: {message}"


def embedding():
    return np.random.default_rng(0).normal(size=(N, D))


def target():
    return np.random.default_rng(1).normal(size=P)


def symmetric(diagonal=1.0):
    matrix = reference.square(target(), N)
    np.fill_diagonal(matrix, diagonal)
    return matrix


VERBS = {
    "alignment": lambda X, h, **more: sc.alignment(X, h, **(SAID | more)),
    "leave_one_out": lambda X, h, **more: sc.leave_one_out(X, h, **(SAID | more)),
    "add_one": lambda X, h, **more: sc.add_one(X, h, more.pop("subset", [0, 1]), **(SAID | more)),
    "insertion_curve": lambda X, h, **more: sc.insertion_curve(X, h, ORDER, **(SAID | more)),
}
every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
with_similarity = pytest.mark.parametrize(
    "verb",
    [*VERBS.values(), lambda X, h, **more: sc.similarity(X, **more)],
    ids=[*VERBS.keys(), "similarity"],
)
with_subset = pytest.mark.parametrize(
    "verb",
    [
        VERBS["alignment"],
        VERBS["leave_one_out"],
        VERBS["add_one"],
        lambda X, h, **more: sc.similarity(X, **more),
    ],
    ids=["alignment", "leave_one_out", "add_one", "similarity"],
)


@with_similarity
@pytest.mark.parametrize("shape", [(N,), (N, D, 2), ()])
def test_X_of_other_dimensions(verb, shape):
    with refused(ValueError, r"\bX\b", re.escape(str(shape)) if shape else r"\(\)|0-|scalar|float"):
        verb(np.zeros(shape), target())


@with_similarity
@pytest.mark.parametrize(
    ("X", "name"),
    [
        (embedding().astype(object), "object"),
        (embedding().astype(str), r"<U|str"),
        (embedding().astype(complex), "complex"),
        (embedding().astype("datetime64[s]"), "datetime"),
    ],
    ids=["object", "str", "complex", "datetime"],
)
def test_X_of_other_types(verb, X, name):
    with refused(TypeError, r"\bX\b", name):
        verb(X, target())


@with_similarity
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_X_not_finite(verb, value):
    X = embedding()
    X[2, 7] = X[4, 1] = value
    with refused(ValueError, r"\bX\b", "(?i)-inf" if value == -np.inf else f"(?i){value}", r"\b2\b.*\b7\b"):
        verb(X, target())


@with_similarity
@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_stimuli(verb, n):
    with refused(ValueError, r"\bX\b", "3|three", rf"\b{n}\b"):
        verb(embedding()[:n], target()[: n * (n - 1) // 2])


@every_verb
@pytest.mark.parametrize("shape", [(P + 1,), (2, P - 1), (N + 1, N + 1), (2, N - 1, N - 1), (2, 2, 2, 2)])
def test_target_of_another_size(verb, shape):
    h = np.ones(shape)
    with refused(ValueError, "target", re.escape(str(shape)) + rf"|\b{shape[-1]}\b"):
        verb(embedding(), h)


@every_verb
@pytest.mark.parametrize("h", [target().astype(complex), target().astype(str), target().astype(object)], ids=str)
def test_target_of_other_types(verb, h):
    with refused(TypeError, "target"):
        verb(embedding(), h)


@every_verb
def test_square_target_not_symmetric(verb):
    h = symmetric()
    h[1, 4] += 0.5
    with refused(ValueError, "target", "symmetric", r"\b1\b.*\b4\b|\b4\b.*\b1\b"):
        verb(embedding(), h)
    h = symmetric()
    h[1, 4] = np.nan
    with refused(ValueError, "target", "symmetric"):
        verb(embedding(), h)
    with refused(ValueError, "target", "symmetric"):
        verb(embedding(), np.stack([symmetric(), h]))


@every_verb
def test_a_dissimilarity_taken_for_a_similarity(verb):
    with refused(ValueError, "target|kind", "diagonal", "dissimilarity"):
        verb(embedding(), symmetric(0.0))
    with refused(ValueError, "target|kind", "diagonal", "dissimilarity"):
        verb(embedding(), np.stack([symmetric(0.0)] * 2))
    verb(embedding(), symmetric(0.0), kind="dissimilarity")
    verb(embedding(), symmetric(1.0))


@every_verb
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_target_not_finite(verb, value):
    h = target()
    h[4] = value
    with refused(ValueError, "target", "(?i)inf"):
        verb(embedding(), h)
    with refused(ValueError, "target", "(?i)inf"):
        verb(embedding(), np.stack([target(), h]))


@with_similarity
def test_unknown_metric(verb):
    with refused(ValueError, "metric", "manhattan", *reference.METRICS):
        verb(embedding(), target(), metric="manhattan")


@every_verb
def test_unknown_comparator(verb):
    with refused(ValueError, "comparator", "gamma", *reference.COMPARATORS):
        verb(embedding(), target(), comparator="gamma")


@every_verb
def test_unknown_kind(verb):
    with refused(ValueError, "kind", "distance", r"\bsimilarity", "dissimilarity"):
        verb(embedding(), target(), kind="distance")


@every_verb
def test_unknown_device(verb):
    with refused(ValueError, "device", "gpu", "auto", "cpu", "cuda"):
        verb(embedding(), target(), device="gpu")


@every_verb
def test_no_cuda_device(verb):
    import secateur.device

    usable, reason = secateur.device.available("cuda")
    if usable:
        pytest.skip("a CUDA device is present")
    assert reason
    with refused(RuntimeError, "device='cpu'"):
        verb(embedding(), target(), device="cuda")


@with_subset
@pytest.mark.parametrize("k", [D, D + 100, -D - 1])
def test_subset_out_of_range(verb, k):
    with refused(ValueError, "subset", rf"(^|[^\d]){k}\b", rf"\b{D}\b|\b{D - 1}\b"):
        verb(embedding(), target(), subset=[0, k, 2])


@with_subset
def test_subset_with_repeats(verb):
    with refused(ValueError, "subset", r"\b4\b"):
        verb(embedding(), target(), subset=[1, 4, 5, 4])


@with_subset
@pytest.mark.parametrize("size", [D - 1, D + 1])
def test_mask_of_another_length(verb, size):
    with refused(ValueError, "subset", rf"\b{size}\b", rf"\b{D}\b"):
        verb(embedding(), target(), subset=np.ones(size, bool))


@with_subset
def test_subset_that_is_no_list_of_integers(verb):
    with refused((TypeError, ValueError), "subset"):
        verb(embedding(), target(), subset=np.array([0.5, 2.0]))
    with refused((TypeError, ValueError), "subset"):
        verb(embedding(), target(), subset=np.zeros((2, 2), int))
    with refused((TypeError, ValueError), "subset"):
        verb(embedding(), target(), subset=np.array(["a", "b"]))


@pytest.mark.parametrize("verb", [VERBS["alignment"], VERBS["leave_one_out"]], ids=["alignment", "leave_one_out"])
@pytest.mark.parametrize("empty", [[], np.zeros(D, bool), np.array([], int)], ids=["list", "mask", "indices"])
def test_empty_subset(verb, empty):
    with refused(ValueError, "subset", "empty|no feature|at least one"):
        verb(embedding(), target(), subset=empty)


def test_order_with_repeats():
    with refused(ValueError, "order", r"\b3\b"):
        sc.insertion_curve(embedding(), target(), [0, 3, 5, 3], **SAID)
    with refused(ValueError, "order", r"\b3\b"):
        sc.insertion_curve(embedding(), np.stack([target()] * 2), [[0, 3, 5], [3, 5, 3]], **SAID)


@pytest.mark.parametrize("k", [D, -D - 1])
def test_order_out_of_range(k):
    with refused(ValueError, "order", rf"(^|[^\d]){k}\b"):
        sc.insertion_curve(embedding(), target(), [0, k, 5], **SAID)


def test_order_of_another_shape():
    orders = np.stack([ORDER] * 3)
    with refused(ValueError, "order", r"\b3\b"):
        sc.insertion_curve(embedding(), np.stack([target()] * 2), orders, **SAID)
    with refused(ValueError, "order"):
        sc.insertion_curve(embedding(), np.stack([target()] * 2), orders[None], **SAID)
    with refused((TypeError, ValueError), "order"):
        sc.insertion_curve(embedding(), target(), ORDER + 0.5, **SAID)


@with_similarity
@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads(verb, threads):
    with refused(ValueError, "threads", rf"(^|[^\d]){threads}\b"):
        verb(embedding(), target(), threads=threads)


@with_similarity
def test_threads_is_an_integer(verb):
    with refused((TypeError, ValueError), "threads", r"1\.5|float"):
        verb(embedding(), target(), threads=1.5)


@every_verb
def test_weights(verb):
    w = np.ones(P)
    w[3] = -0.25
    with refused(ValueError, "weights", r"-0\.25|negative"):
        verb(embedding(), target(), weights=w)
    w[3] = np.nan
    with refused(ValueError, "weights", "(?i)nan"):
        verb(embedding(), target(), weights=w)
    w[3] = np.inf
    with refused(ValueError, "weights", "(?i)inf"):
        verb(embedding(), target(), weights=w)


@every_verb
@pytest.mark.parametrize("shape", [(P - 1,), (3, P), (2, P + 1), ()])
def test_weights_of_another_shape(verb, shape):
    wrong = {(P - 1,): rf"\b{P - 1}\b", (3, P): r"\b3\b", (2, P + 1): rf"\b{P + 1}\b", (): r"\(\)|0-|scalar|float"}[
        shape
    ]
    with refused(ValueError, "weights", wrong):
        verb(embedding(), np.stack([target()] * 2), weights=np.ones(shape))


@every_verb
@pytest.mark.parametrize("comparator", reference.RANK_COMPARATORS)
def test_weights_of_ranks_are_0_or_1(verb, comparator):
    w = np.ones(P)
    w[3] = 0.5
    with refused(ValueError, "weights", f"{comparator}|rank", r"0\.5"):
        verb(embedding(), target(), comparator=comparator, weights=w)
    w[3] = 0
    verb(embedding(), target(), comparator=comparator, weights=w)


def test_pruner_refuses_the_same():
    with refused(ValueError, "metric", "manhattan"):
        sc.Pruner(metric="manhattan").fit(embedding(), target())
    with refused(ValueError, "search", "simulated", "ranking"):
        sc.Pruner(search="simulated").fit(embedding(), target())
    with refused(ValueError, "target"):
        sc.Pruner().fit(embedding(), target()[1:])
    with refused(ValueError, "threads", "0"):
        sc.Pruner(threads=0).fit(embedding(), target())


# Arrays that are not what they look like


@with_similarity
def test_masked_features_are_refused(verb):
    X = np.ma.array(embedding(), mask=np.eye(N, D, dtype=bool))
    for masked in (X, list(X)):
        with refused(ValueError, "X must not be masked, got 6 masked entries", r"filled\(value\)"):
            verb(masked, target()) if verb in VERBS.values() else verb(masked, None)
    unmasked = np.ma.array(embedding(), mask=False)
    assert np.isfinite(verb(unmasked, target())).any() if verb in VERBS.values() else True


def test_masked_weights_subsets_and_labels_are_refused():
    mask = np.arange(P) < 2
    with refused(ValueError, "weights must not be masked, got 2 masked entries", "filled"):
        sc.alignment(embedding(), target(), weights=np.ma.array(np.ones(P), mask=mask), **SAID)
    chosen = np.ma.array([1, 2, 3], mask=[False, True, False])
    with refused(ValueError, "subset must not be masked, got 1 masked", "filled"):
        sc.alignment(embedding(), target(), subset=chosen, **SAID)
    with refused(ValueError, "order must not be masked", "filled"):
        sc.insertion_curve(embedding(), target(), chosen, **SAID)
    groups = np.ma.array([0, 0, 0, 1, 1, 1], mask=np.arange(N) == 0)
    with refused(ValueError, "groups must not be masked", "filled"):
        sc.cross_validate(embedding(), target(), cv=2, groups=groups, **SAID)


@every_verb
def test_tensors_that_numpy_does_not_take(verb):
    torch = pytest.importorskip("torch")
    X, h = torch.tensor(embedding()), torch.tensor(target())
    with refused(TypeError, "X must be detached, got a tensor that requires grad", r"pass X\.detach\(\)"):
        verb(X.clone().requires_grad_(), h)
    with refused(TypeError, "target must be detached", r"pass target\.detach\(\)"):
        verb(X, h.clone().requires_grad_())
    with refused(TypeError, r"got torch\.bfloat16", r"pass X\.float\(\)"):
        verb(X.bfloat16(), h)
    with refused(TypeError, "X must be an array that numpy can take, got a list: "):
        verb([row.clone().requires_grad_() for row in X], h)
    np.testing.assert_array_equal(verb(X, h), verb(X.numpy(), h.numpy()))


def test_arrays_elsewhere_are_told_by_dlpack():
    """In a CUDA device's memory, in the host's, or nowhere."""

    class Lent:
        def __init__(self, device, shape=(5, 4)):
            self.device, self.shape = device, shape

        def __dlpack__(self, *, stream=None):
            raise AssertionError("it was to be refused unread")

        def __dlpack_device__(self):
            if self.device is None:
                raise BufferError("it lies nowhere")
            return (self.device, 0)

    for device in (2, 13):
        with pytest.raises(TypeError, match=r"^X must lie in host memory here, got a CUDA array: pass X.cpu\(\)$"):
            sc.similarity(Lent(device))
        with pytest.raises(ValueError, match="X must lie in host memory for device='cpu', got a CUDA array"):
            sc.leave_one_out(Lent(device), np.arange(10.0), device="cpu", kind="similarity")
    for device in (1, None):
        assert not sc.features.is_device_array(Lent(device))


def test_a_dataset_is_no_array():
    import xarray

    whole = xarray.Dataset({"fc7": (("stimulus", "feature"), embedding())})
    with refused(TypeError, "X must be a DataArray, got an xarray Dataset", r"X\['fc7'\]"):
        sc.alignment(whole, target(), **SAID)
    with refused(TypeError, "target must be a DataArray, got an xarray Dataset"):
        sc.alignment(embedding(), whole, **SAID)
    with refused(TypeError, "movies must be a DataArray, got an xarray Dataset"):
        sc.timecourse.prune(embedding(), whole)


def test_features_of_one_name():
    import pandas

    X = pandas.DataFrame(embedding(), columns=list("abcdefgha"))
    with refused(ValueError, "X must name each feature once, got 'a' more than once"):
        sc.Pruner(**SAID).fit(X, target())
    with refused(ValueError, "X must name each feature once, got 'a' more than once"):
        sc.cross_validate(X, target(), cv=2, **SAID)


def test_no_target():
    for call in (sc.alignment, sc.leave_one_out, sc.cross_validate, sc.reweighting.Ridge().fit):
        with refused(TypeError, "target must be given, got None"):
            call(embedding(), None)
    with refused(ValueError, "target must be given: .* the target y is None"):
        sc.Pruner().fit(embedding(), None)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"seed": 2**32}, "seed must be an integer from 0 to 4294967295, got 4294967296"),
        ({"seed": 2**32 - 1, "repeats": 2}, "seed must be an integer from 0 to 4294967294, got 4294967295"),
        ({"cv": 50}, "cv must be at most the 6 stimuli, got 50"),
        ({"cv": 3, "groups": [0, 0, 0, 1, 1, 1]}, "cv must be at most the 2 groups, got 3"),
        ({"groups": [0, 0, 0, "b", "b", "b"]}, "groups must hold labels of one type.*got int and str"),
        ({"groups": np.array([0, 0, 0, "b", "b", "b"], object)}, "groups must hold labels of one type.*int and str"),
        ({"groups": np.array([None] * 3 + ["b"] * 3, object)}, "groups must hold labels of one type.*NoneType and str"),
        ({"groups": [0, 0, np.nan, 1, 1, 1]}, "groups must not have missing labels, got nan"),
        ({"groups": [(0, 1), (0, 1), 0, 1, 1, 1]}, "groups must have rows of one length"),
    ],
)
def test_folds_that_cannot_be(more, words):
    with refused((TypeError, ValueError), words):
        sc.cross_validate(embedding(), target(), **({"cv": 2} | SAID | more))
    if "groups" not in more:
        with refused(ValueError, words):
            sc.noise_ceiling(np.stack([target(), target() ** 2]), **({"cv": 2} | more))
    if set(more) == {"seed"}:
        with refused(ValueError, words):
            sc.reweighting.Ridge(**SAID, **more).fit(embedding(), target())
        with refused(ValueError, words):
            sc.Pruner(search="parsimonious", **SAID, **more).fit(embedding(), target())


# Magnitudes


@with_similarity
@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-500, 2.0**500, 2.0**1000])
def test_values_whose_products_are_lost(verb, metric, scale):
    with refused(ValueError, "X must have a largest magnitude from 1e-50 to 1e\\+50, got .*: change the unit"):
        verb(embedding() * scale, target(), metric=metric) if verb in VERBS.values() else verb(
            embedding() * scale, None, metric=metric
        )


@every_verb
@pytest.mark.parametrize("comparator", reference.COMPARATORS)
@pytest.mark.parametrize("metric", reference.METRICS)
def test_the_magnitudes_that_are_taken_lose_nothing(verb, metric, comparator):
    """Powers of two up to the limits change no digit of an alignment: every product stays a normal number."""
    X, h, w = embedding(), target(), np.arange(P) % 2.0
    expected = verb(X, h, metric=metric, comparator=comparator, weights=w)
    for of_x, of_h in ((2.0**-160, 2.0**160), (2.0**160, 2.0**-160)):
        for weights in (w,) if comparator in reference.RANK_COMPARATORS else (w * 2.0**190, w * 2.0**-190):
            values = verb(X * of_x, h * of_h, metric=metric, comparator=comparator, weights=weights)
            np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [2.0**-500, 2.0**500])
def test_other_magnitudes(scale):
    with refused(ValueError, "target must have a largest magnitude from"):
        sc.alignment(embedding(), target() * scale, **SAID)
    with refused(ValueError, "weights must have a largest magnitude from"):
        sc.alignment(embedding(), target(), weights=np.full(P, scale), **SAID)
    with refused(ValueError, "rdms must have a largest magnitude from"):
        sc.targets.average(np.stack([target()] * 2) * scale)
    with refused(ValueError, "target must have a largest magnitude from"):
        sc.noise_ceiling(np.stack([target()] * 2) * scale)


def test_what_is_left_of_a_stimulus_keeps_its_digits():
    """Without its one large feature a stimulus has the direction of the small ones, however small they are."""
    X, h = embedding(), target()
    expected = sc.alignment(X, h, subset=[2, 3], **SAID)
    X[2, 1:] *= 2.0**-460  # some 1e-139
    X[2, 0] = 1
    assert sc.leave_one_out(X, h, subset=[0, 2, 3], **SAID)[0] == pytest.approx(expected, abs=1e-12)
    X[2, 1:] *= 2.0**-60
    with refused(ValueError, "X must hold zeros and magnitudes of at least 1e-140", "at stimulus 2, feature 1"):
        sc.leave_one_out(X, h, **SAID)
    X[2, 1:] = 0
    assert np.isnan(sc.leave_one_out(X, h, **SAID)[0])


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [(0, 0), (3, 16), (8, 40)])
def test_the_core_finds_what_is_not_finite_in_its_sums(metric, value, at):
    """Where all features are summed up, their sums say whether X is finite, whatever the weights are."""
    n, d = 9, 41
    X, h = np.random.default_rng(0).normal(size=(n, d)), np.arange(n * (n - 1) / 2)[None]
    weights = np.array([[float(at[0] not in pair) for pair in zip(*np.triu_indices(n, 1), strict=True)]])
    X[at] = value
    measures = _core.Measures(metric, "pearson")
    targets = [_core.Targets(h), _core.Targets(h, weights, np.zeros(1, np.int64))]
    message = f"^X must be finite, got {value} at stimulus {at[0]}, feature {at[1]}$"
    for chosen in (np.arange(d), np.arange(2)):
        with refused(ValueError, message):
            _core.similarity(X, metric, chosen, 1)
        for target in targets:
            for verb in (_core.leave_one_out, _core.add_one):
                with refused(ValueError, message):
                    verb(X, target, measures, chosen, 1)
        with refused(ValueError, message):
            _core.insertion_curve(X, targets[0], measures, chosen[None], 1)
    with refused(ValueError, message):
        _core.Features(X)


def test_the_core_takes_what_is_finite_and_overflows():
    X = np.random.default_rng(0).normal(size=(9, 41))
    X[2, 3] = 1e200
    found = _core.similarity(X, "cosine", np.arange(41), 1)
    assert np.isfinite(found).sum() >= 28  # the pairs of the others


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 70])
def test_magnitudes(count, dtype):
    x = np.random.default_rng(count).normal(size=(1, count)).astype(dtype)
    assert _core.magnitudes(x[:0]) == (0, np.inf)
    assert _core.magnitudes(x) == (np.abs(x).max(), np.abs(x).min())
    x[0, count // 2] = 0
    some = np.abs(x[x != 0])
    assert _core.magnitudes(x) == (some.max(initial=0), some.min(initial=np.inf))
    for value in (np.nan, np.inf, -np.inf):
        for at in {0, count // 3, count - 1}:
            y = x.copy()
            y[0, at] = value
            assert np.isnan(_core.magnitudes(y)[0])


def test_the_core_takes_x_in_single_precision():
    X = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    subset = np.arange(5)
    loaded = _core.Features(X)
    for x in (X, loaded, loaded):
        np.testing.assert_array_equal(
            _core.similarity(x, "cosine", subset, 1), _core.similarity(X.astype(float), "cosine", subset, 1)
        )
    with pytest.raises(ValueError, match="C-contiguous"):
        _core.Features(X[:, ::2])
    with pytest.raises(ValueError, match="at least 3 stimuli"):
        _core.Features(X[:2])
    X[8, 4] = np.nan
    with pytest.raises(ValueError, match="X must be finite, got nan at stimulus 8, feature 4"):
        _core.Features(X)
