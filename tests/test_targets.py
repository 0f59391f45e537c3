"""Every form of a target and of weights is read as the same numbers; what is no target is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.spatial.distance import pdist, squareform

import secateur as sc
from secateur.pairs import pack, pair_count, pair_positions, stimulus_count, unpack
from secateur.targets import ReorderedWarning, Targets, read_target

N = 7
P = N * (N - 1) // 2
UPPER = np.triu_indices(N, 1)


def squares(count, seed=0, diagonal=1.0):
    """(count, N, N) symmetric matrices."""
    noise = np.random.default_rng(seed).normal(size=(count, N, N))
    matrices = (noise + noise.swapaxes(1, 2)) / 2
    matrices[:, np.arange(N), np.arange(N)] = diagonal
    return matrices


def packed(matrices):
    """Square matrices to pairs, one by one."""
    return np.array([[m[i, j] for i in range(N) for j in range(i + 1, N)] for m in matrices])


@pytest.fixture
def X():
    return np.random.default_rng(1).normal(size=(N, 5))


# Order of pairs


@pytest.mark.parametrize("n", [3, 4, 7, 20])
def test_pairs_are_in_the_order_of_squareform(n):
    noise = np.random.default_rng(n).normal(size=(n, n))
    matrix = noise + noise.T
    np.fill_diagonal(matrix, 0)
    np.testing.assert_array_equal(pack(matrix), squareform(matrix, checks=False))
    np.testing.assert_array_equal(pack(matrix), matrix[np.triu_indices(n, 1)])
    read = read_target(matrix, n, "dissimilarity")
    np.testing.assert_array_equal(-read.values[0], squareform(matrix, checks=False))
    assert pair_count(n) == n * (n - 1) // 2 == read.values.shape[1]


def test_pair_positions():
    index = np.zeros((N, N), dtype=int)
    index[UPPER] = np.arange(P)
    index += index.T
    rng = np.random.default_rng(0)
    for m in range(2, N + 1):
        stimuli = rng.permutation(N)[:m]
        expected = index[np.ix_(stimuli, stimuli)][np.triu_indices(m, 1)]
        np.testing.assert_array_equal(pair_positions(stimuli, N), expected)
    assert pair_positions(np.array([3]), N).shape == (0,)


# Accepted forms


def test_one_target():
    matrix = squares(1)[0]
    values = packed([matrix])[0]
    squares_ = (matrix, matrix.tolist(), np.asfortranarray(matrix), pd.DataFrame(matrix))
    for form in (*squares_, values, list(values), pd.Series(values)):
        read = read_target(form, N, kind="similarity")
        np.testing.assert_array_equal(read.values, values[None])
        assert read.values.dtype == np.float64
        assert read.values.flags.c_contiguous
        assert (read.single, len(read), read.n, read.kind) == (True, 1, N, "similarity")
        assert read.weights is read.weight_of is read.labels is read.stimuli is None


@pytest.mark.parametrize("count", [1, 2, N, P])
def test_several_targets(count):
    matrices = squares(count)
    values = packed(matrices)
    for form in (matrices, list(matrices), values, values[:, ::-1][:, ::-1], values.tolist()):
        read = read_target(form, N, kind="similarity")
        np.testing.assert_array_equal(read.values, values)
        assert (read.single, len(read)) == (False, count)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint16, np.int64, bool])
def test_numbers_of_other_types(dtype):
    values = (np.arange(P) % 5).astype(dtype)
    np.testing.assert_array_equal(read_target(values, N, kind="similarity").values[0], values.astype(float))
    # unsigned integers and booleans must not wrap around when they are negated
    np.testing.assert_array_equal(read_target(values, N, "dissimilarity").values[0], -values.astype(float))


def test_a_matrix_needs_no_exact_symmetry():
    matrix = squares(1)[0]
    nearly = matrix.astype(np.float32).astype(float)
    nearly[2, 5] *= 1 + 1e-7
    read = read_target(nearly, N, kind="similarity")
    np.testing.assert_array_equal(read.values, packed([nearly]))


def test_three_stimuli_and_three_targets():
    """With n = 3, P = 3: a plain (3, 3) array is one matrix; dims tell it from three targets."""
    rows = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    with pytest.raises(ValueError, match="target must be symmetric"):
        read_target(rows, 3)
    read = read_target(xr.DataArray(rows, dims=("subject", "pair")), 3, kind="similarity")
    np.testing.assert_array_equal(read.values, rows)
    assert (read.single, len(read)) == (False, 3)


def test_what_was_read_is_passed_through():
    read = read_target(squares(2), N, kind="similarity")
    assert read_target(read, N) is read
    with pytest.raises(ValueError, match="target must cover the 8 stimuli of X, got 7"):
        read_target(read, 8)


# rsatoolbox


def test_rsatoolbox_rdms():
    from rsatoolbox.rdm import RDMs

    values = np.abs(packed(squares(3)))
    for kind in ("similarity", "dissimilarity"):  # they are dissimilarities, whatever is said
        read = read_target(RDMs(values), N, kind)
        np.testing.assert_array_equal(read.values, -values)
        assert (read.single, len(read), read.kind) == (False, 3, "dissimilarity")
    values[1, 4] = np.nan
    read = read_target(RDMs(values), N)
    np.testing.assert_array_equal(read.weights[read.weight_of], np.where(np.isnan(values), 0.0, 1.0))
    with pytest.raises(ValueError, match=r"target must cover the 8 stimuli of X, got rsatoolbox RDMs over 7"):
        read_target(RDMs(values), 8)
    with pytest.raises(ValueError, match="kind must be"):
        read_target(RDMs(values), N, "distance")


def test_rsatoolbox_agrees(X):
    from rsatoolbox.rdm import RDMs, compare

    values = np.abs(packed(squares(3)))
    for comparator in ("corr", "cosine", "spearman", "rho-a", "tau-a", "tau-b", "kendall"):
        theirs = compare(RDMs(1 - sc.similarity(X)[None]), RDMs(values), method=comparator)[0]
        if comparator != "cosine":  # not centred: 1 - s and -s part
            np.testing.assert_allclose(sc.alignment(X, RDMs(values), comparator=comparator), theirs, atol=1e-10)
        theirs = compare(RDMs(-sc.similarity(X, "euclidean")[None]), RDMs(values), method=comparator)[0]
        np.testing.assert_allclose(sc.alignment(X, RDMs(values), "euclidean", comparator), theirs, atol=1e-10)


# xarray


def test_dataarray_of_one_target():
    matrix = squares(1)[0]
    names = [f"image {i}" for i in range(N)]
    plain = xr.DataArray(matrix, dims=("stimulus", "stimulus2"))
    read = read_target(plain, N, kind="similarity")
    np.testing.assert_array_equal(read.values, packed([matrix]))
    assert read.single
    assert read.labels is read.stimuli is None
    for dims in (["stimulus"], ["stimulus2"], ["stimulus", "stimulus2"]):
        read = read_target(plain.assign_coords({dim: names for dim in dims}), N, kind="similarity")
        assert read.stimuli == tuple(names)
    read = read_target(xr.DataArray(packed([matrix])[0], dims="pair"), N, kind="similarity")
    np.testing.assert_array_equal(read.values, packed([matrix]))
    assert read.single
    assert read.stimuli is None


def test_dataarray_of_several_targets():
    matrices = squares(6)
    values = packed(matrices)
    square = xr.DataArray(
        matrices.reshape(2, 3, N, N),
        dims=("subject", "time", "stimulus", "stimulus2"),
        coords={"subject": ["anna", "ben"], "time": [0.1, 0.2, 0.3], "stimulus2": list("abcdefg")},
    )
    labels = ("anna 0.1", "anna 0.2", "anna 0.3", "ben 0.1", "ben 0.2", "ben 0.3")
    read = read_target(square, N, kind="similarity")
    np.testing.assert_array_equal(read.values, values)
    assert (read.labels, read.stimuli, read.single) == (labels, tuple("abcdefg"), False)
    pairs = xr.DataArray(values.reshape(2, 3, P), dims=("subject", "time", "pair"), coords={"subject": ["anna", "ben"]})
    read = read_target(pairs, N, kind="similarity")
    np.testing.assert_array_equal(read.values, values)
    assert read.labels == ("anna 0", "anna 1", "anna 2", "ben 0", "ben 1", "ben 2")
    assert read.stimuli is None
    one = read_target(pairs.isel(subject=[0], time=[1]), N, kind="similarity")
    assert (one.labels, one.single, len(one)) == (("anna 0",), False, 1)


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((), ()),
        ((P,), ("x",)),
        ((4, P), ("subject", "pairs")),
        ((P, 4), ("pair", "subject")),
        ((4, P - 1), ("subject", "pair")),
        ((N, N, 4), ("stimulus", "stimulus2", "time")),
        ((4, N, N + 1), ("time", "stimulus", "stimulus2")),
        ((0, P), ("subject", "pair")),
        ((0, N, N), ("subject", "stimulus", "stimulus2")),
    ],
)
def test_dataarrays_of_other_dims_are_refused(shape, dims):
    message = r"target must have dims \(\.\.\., pair\) with 21 pairs or .* with 7 stimuli each, got dims \(.*\) of"
    with pytest.raises(ValueError, match=message):
        read_target(xr.DataArray(np.zeros(shape), dims=dims), N)


def test_dataarrays_are_held_to_the_same_rules():
    dims = ("stimulus", "stimulus2")
    square = xr.DataArray(squares(1, diagonal=0.0)[0], dims=dims)
    with pytest.raises(ValueError, match="all-zero diagonal"):
        read_target(square, N, kind="similarity")
    with pytest.raises(ValueError, match="symmetric"):
        read_target(square + xr.DataArray(np.eye(N, k=1), dims=dims), N, "dissimilarity")
    with pytest.raises(TypeError, match="target must hold real numbers, got dtype complex128"):
        read_target(square.astype(complex), N)


def test_names_of_stimuli_must_agree(X):
    names, matrix = list("abcdefg"), squares(1)[0]
    target = xr.DataArray(matrix, dims=("stimulus", "stimulus2"), coords={"stimulus": names, "stimulus2": names})
    frame = pd.DataFrame(X, index=names)
    whole = sc.alignment(X, matrix, kind="similarity")
    assert (
        whole
        == sc.alignment(frame, target, kind="similarity")
        == sc.alignment(X, target, kind="similarity")
        == sc.alignment(frame, matrix, kind="similarity")
    )
    message = r"target must name the stimuli of X in the same order, got 'z' where X has 'a' \(stimulus 0\)"
    turned = frame.iloc[::-1].set_axis(["z", *"bcdefg"])
    target = target.assign_coords(stimulus=["z", *"bcdefg"], stimulus2=["z", *"bcdefg"])
    for call in (
        lambda: sc.alignment(frame, target, kind="similarity"),
        lambda: sc.leave_one_out(frame, target, kind="similarity"),
        lambda: sc.add_one(frame, target, [0], kind="similarity"),
        lambda: sc.insertion_curve(frame, target, [0, 1], kind="similarity"),
        lambda: sc.Pruner(kind="similarity").fit(frame, target),
        lambda: sc.Pruner(kind="similarity").fit(X, target).score(frame, target),
        lambda: sc.cross_validate(frame, target, cv=2, kind="similarity"),
        lambda: sc.permutation_test(frame, target, cv=2, n=1, kind="similarity"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    sc.alignment(turned, target, kind="similarity")
    crooked = target.assign_coords(stimulus2=names)
    with pytest.raises(ValueError, match="target must name the same stimuli along dims stimulus and stimulus2"):
        sc.alignment(X, crooked, kind="similarity")


# Missing pairs


def test_missing_pairs_have_no_weight():
    values = packed(squares(4))
    values[0, [2, 5]] = np.nan
    values[1, 7] = np.nan
    values[3, [2, 5]] = np.nan
    read = read_target(values, N, kind="similarity")
    seen = ~np.isnan(values)
    assert read.weights.shape == (3, P)  # targets 0 and 3 share a pattern
    np.testing.assert_array_equal(read.weights[read.weight_of], seen.astype(float))
    np.testing.assert_array_equal(read.weight_of, [0, 1, 2, 0])
    assert read.weight_of.dtype == np.int64
    np.testing.assert_array_equal(read.values, np.where(seen, values, 0.0))
    for t in range(4):
        np.testing.assert_array_equal(read.has_weight(t), seen[t])


def test_missing_pairs_of_a_matrix():
    matrix = squares(1)[0]
    matrix[2, 4] = matrix[4, 2] = np.nan
    read = read_target(matrix, N, kind="similarity")
    np.testing.assert_array_equal(read.weights[0], ~np.isnan(packed([matrix])[0]))
    np.fill_diagonal(matrix, np.nan)  # the diagonal is not looked at
    np.testing.assert_array_equal(read_target(matrix, N, kind="similarity").values, read.values)
    np.testing.assert_array_equal(read_target(matrix, N, "dissimilarity").values, -read.values)
    matrix[2, 4] = 0.3
    with pytest.raises(ValueError, match=r"target must be symmetric, got 0\.3 at \(2, 4\) and nan at \(4, 2\)"):
        read_target(matrix, N)


def test_missing_pairs_in_one_target_leave_the_others_alone(X):
    values = packed(squares(3))
    whole = sc.alignment(X, values, kind="similarity")
    values[1, :4] = np.nan
    holed = sc.alignment(X, values, kind="similarity")
    np.testing.assert_array_equal(np.delete(holed, 1), np.delete(whole, 1))
    assert holed[1] != whole[1]
    assert holed[1] == pytest.approx(np.corrcoef(sc.similarity(X)[4:], values[1, 4:])[0, 1], abs=1e-12)


# Weights


def test_weights_of_every_form():
    values = packed(squares(3))
    matrices = np.abs(squares(3, seed=1))
    rows = packed(matrices)
    for form in (rows[0], rows[:1], matrices[0], matrices[:1], list(rows[0])):
        read = read_target(values, N, weights=form, kind="similarity")
        np.testing.assert_array_equal(read.weights, rows[:1])
        np.testing.assert_array_equal(read.weight_of, [0, 0, 0])
    for form in (rows, matrices):
        read = read_target(values, N, weights=form, kind="similarity")
        np.testing.assert_array_equal(read.weights[read.weight_of], rows)
    read = read_target(values[0], N, weights=rows[0], kind="similarity")
    assert read.single
    np.testing.assert_array_equal(read.weights, rows[:1])


def test_weights_and_missing_pairs():
    values, w = packed(squares(2)), np.abs(packed(squares(2, seed=1)))
    values[0, 3] = np.nan
    w[1, 5] = 0
    read = read_target(values, N, weights=w, kind="similarity")
    np.testing.assert_array_equal(read.weights[read.weight_of], np.where(np.isnan(values), 0, w))


def test_weights_of_a_dissimilarity_are_not_negated():
    values, w = np.abs(packed(squares(1))[0]), np.abs(packed(squares(1, seed=1))[0])
    read = read_target(values, N, "dissimilarity", w)
    np.testing.assert_array_equal(read.values[0], -values)
    np.testing.assert_array_equal(read.weights[0], w)
    # a matrix of weights may have any diagonal: it is no target
    matrix = squareform(w)
    for kind in ("similarity", "dissimilarity"):
        for diagonal in (0.0, 9.0):
            np.fill_diagonal(matrix, diagonal)
            np.testing.assert_array_equal(read_target(values, N, kind, matrix).weights[0], w)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((2, P)), "weights must be one pattern or one for each of 3 targets, got 2"),
        (np.ones(P - 1), r"weights must have shape .* got \(20,\)"),
        (np.arange(P) - 1.0, "weights must be finite and not negative, got -1.0 at pair 0"),
        (np.where(np.arange(P) == 4, np.nan, 1), "weights must be finite and not negative, got nan at pair 4"),
        (np.where(np.arange(P) == 4, np.inf, 1), "weights must be finite and not negative, got inf at pair 4"),
        (np.arange(N * N).reshape(N, N), r"weights must be symmetric, got 1\.0 at \(0, 1\) and 7\.0 at \(1, 0\)"),
    ],
)
def test_weights_that_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        read_target(packed(squares(3)), N, weights=weights, kind="similarity")


# Kind


def test_dissimilarities_enter_negated(X):
    values = packed(squares(2))
    np.testing.assert_array_equal(read_target(values, N, "dissimilarity").values, -values)
    np.testing.assert_array_equal(
        sc.alignment(X, values, kind="dissimilarity"), sc.alignment(X, -values, kind="similarity")
    )


def test_a_dissimilarity_said_to_be_a_similarity(X):
    matrices = squares(3, diagonal=0.0)
    message = r"target must not have an all-zero diagonal while kind is 'similarity'.*pass kind='dissimilarity'"
    one_of_three = squares(3)
    one_of_three[1] = matrices[1]
    for target in (matrices[0], matrices, one_of_three, matrices.astype(int) + np.eye(N, k=1) + np.eye(N, k=-1)):
        with pytest.raises(ValueError, match=message):
            read_target(target, N, kind="similarity")
    holed = matrices[0].copy()
    holed[2, 3] = holed[3, 2] = np.nan
    with pytest.raises(ValueError, match=message):
        read_target(holed, N, kind="similarity")
    for target in (matrices[0], matrices):
        read_target(target, N, "dissimilarity")
    read_target(packed(matrices), N, kind="similarity")  # pairs have no diagonal
    partly = squares(1)[0]
    partly[0, 0] = 0
    read_target(partly, N, kind="similarity")


def test_a_similarity_said_to_be_a_dissimilarity():
    matrix = np.clip(squares(1)[0], -1, 1)
    message = r"target must have a zero diagonal while kind is 'dissimilarity', got 1\.0 .*pass kind='similarity'"
    with pytest.raises(ValueError, match=message):
        read_target(matrix, N, "dissimilarity")
    with pytest.raises(ValueError, match=message):
        read_target(np.stack([squareform(np.abs(packed([matrix])[0])), matrix]), N, "dissimilarity")
    matrix[1, 2] = matrix[2, 1] = 1.5  # not the largest: some other convention
    read_target(matrix, N, "dissimilarity")
    np.fill_diagonal(matrix, np.nan)
    read_target(matrix, N, "dissimilarity")


@pytest.mark.parametrize("kind", ["distance", "Similarity", 1])
def test_unknown_kinds(kind):
    with pytest.raises(ValueError, match="kind must be 'similarity' or 'dissimilarity', got"):
        read_target(squares(1)[0], N, kind)


def test_what_a_matrix_tells_by_its_diagonal():
    """Similarities are highest with oneself, distances lowest; rounding of equal values is no matter."""
    rng = np.random.default_rng(4)
    points = rng.normal(size=(N, 5))
    points[2] = points[5] / 3 * 3  # two stimuli that are alike in all
    gram, correlations = points @ points.T, np.corrcoef(points)
    distances = squareform(pdist(points))
    for matrix, kind in (
        (gram, "similarity"), (correlations, "similarity"), (gram - 1000, "similarity"), (np.eye(N), "similarity"),
        (distances, "dissimilarity"), (1 - correlations, "dissimilarity"), (distances + 1, "dissimilarity"),
    ):  # fmt: skip
        for form in (matrix, np.stack([matrix, 2 * matrix]), pd.DataFrame(matrix), xr.DataArray(matrix)):
            read = read_target(form, N)
            assert read.kind == kind
            np.testing.assert_array_equal(read.values, read_target(form, N, kind).values)
    holed = distances.copy()
    holed[1, 4] = holed[4, 1] = np.nan
    missing = np.full((N, N), np.nan)
    assert read_target(np.stack([holed, missing]), N).kind == "dissimilarity"  # one subject lacks the region


def test_what_tells_no_kind_has_to_be_said():
    rng = np.random.default_rng(5)
    distances = squareform(rng.uniform(1, 2, P))
    pairs = packed([distances])
    centred = squareform(pairs[0] - pairs[0].mean())  # zeros within
    undiagonal = distances.copy()
    np.fill_diagonal(undiagonal, np.nan)
    silent = [pairs, pairs[0], xr.DataArray(pairs, dims=("time", "pair")), centred, undiagonal, -distances]
    silent += [np.stack([distances, 3 - distances]), np.ones((N, N))]
    for target in silent:
        message = r"^kind must be said for .*: pass kind='similarity' or kind='dissimilarity'$"
        with pytest.raises(ValueError, match=message):
            read_target(target, N)
    X = rng.normal(size=(N, 4))
    for call in (
        sc.alignment, sc.leave_one_out, sc.search.forward, sc.Pruner().fit, sc.reweighting.Ridge().fit,
        lambda X, h: sc.add_one(X, h, [0]), lambda X, h: sc.insertion_curve(X, h, [0, 1]),
        lambda X, h: sc.cross_validate(X, h, cv=2), lambda X, h: sc.permutation_test(X, h, 2, cv=2),
        lambda X, h: sc.compare(X, h, ["full"], cv=2), lambda X, h: sc.timecourse.prune(X, h[None], cv=2),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="kind must be said for packed pairs"):
            call(X, pairs[0])
    assert sc.Pruner(kind="dissimilarity").fit(X, pairs[0]).n_features_ >= 1


def test_a_masked_pair_is_a_missing_pair(X):
    rng = np.random.default_rng(6)
    whole = rng.integers(1, 9, (2, P))
    mask = rng.random((2, P)) < 0.2
    holed = np.where(mask, np.nan, whole)
    square = np.ma.array(squareform(whole[0]), mask=squareform(mask[0]))
    for masked, expected in (
        (np.ma.array(whole, mask=mask), holed), (np.ma.array(whole[0], mask=mask[0]), holed[0]),
        (list(np.ma.array(whole, mask=mask)), holed), (square, holed[0]),
    ):  # fmt: skip
        read, plain = read_target(masked, N, "dissimilarity"), read_target(expected, N, "dissimilarity")
        np.testing.assert_array_equal(read.values, plain.values)
        np.testing.assert_array_equal(read.weights, plain.weights)
    np.testing.assert_array_equal(sc.targets.average(np.ma.array(whole, mask=mask)), sc.targets.average(holed))
    assert read_target(np.ma.array(whole, mask=False), N, "similarity").weights is None


# Refusals


@pytest.mark.parametrize(
    "shape", [(), (0,), (N,), (P - 1,), (P, N), (0, P), (0, N, N), (2, N, N + 1), (2, 2, P), (1, 1, N, N)]
)
def test_other_shapes(shape):
    with pytest.raises(ValueError, match=r"target must have shape \(7, 7\), \(21,\), \(T, 21\) or \(T, 7, 7\) for 7"):
        read_target(np.zeros(shape), N)


@pytest.mark.parametrize(
    "values", [np.zeros(P, complex), np.array(["a"] * P), np.zeros(P, object), np.zeros(P, "datetime64[s]")]
)
def test_other_types(values):
    with pytest.raises(TypeError, match="target must hold real numbers, got dtype"):
        read_target(values, N)


def test_ragged_rows():
    with pytest.raises(ValueError, match="target must have rows of one length, got rows of several"):
        read_target([[1.0, 2.0], [3.0]], N)
    with pytest.raises(ValueError, match="weights must have rows of one length, got rows of several"):
        read_target(squares(1)[0], N, weights=[[1.0, 2.0], [3.0]], kind="similarity")
    with pytest.raises(ValueError, match="X must have rows of one length, got rows of several"):
        sc.similarity([[1.0, 2.0], [3.0], [4.0]])


def test_infinite_values():
    values = packed(squares(2))
    values[1, 3] = -np.inf
    with pytest.raises(ValueError, match="target must not be infinite, got -inf at target 1, pair 3"):
        read_target(values, N)
    matrix = squares(1)[0]
    matrix[0, 1] = matrix[1, 0] = np.inf
    for kind in ("similarity", "dissimilarity"):
        with pytest.raises(ValueError, match="target must not be infinite, got inf at target 0, pair 0"):
            read_target(matrix, N, kind)


def test_matrices_that_are_not_symmetric():
    matrices = squares(3)
    matrices[2, 1, 4] = 8.5
    with pytest.raises(ValueError, match=r"target must be symmetric, got 8\.5 at \(1, 4\) and .* at \(4, 1\)"):
        read_target(matrices, N)


# Parts of targets


def labelled(count=4, **more):
    values = packed(squares(count))
    values[0, 3] = np.nan
    array = xr.DataArray(
        squares(count),
        dims=("subject", "stimulus", "stimulus2"),
        coords={"subject": [f"s{t}" for t in range(count)], "stimulus2": list("abcdefg")},
    )
    read = read_target(array, N, **more, kind="similarity")
    holed = read_target(values, N, **more, kind="similarity")
    return Targets(holed.values, holed.weights, holed.weight_of, N, False, read.labels, read.stimuli)


@pytest.mark.parametrize("stimuli", [[0, 1, 2], [6, 0, 3], [5, 2, 4, 0], list(range(N)), list(range(N))[::-1]])
def test_among(stimuli):
    """Equals S[np.ix_(stimuli, stimuli)], for stimuli in any order."""
    stimuli = np.array(stimuli)
    targets = labelled(weights=np.abs(packed(squares(4, seed=1))))
    part = targets.among(stimuli)
    m = len(stimuli)
    upper = np.triu_indices(m, 1)
    assert part.values.shape == (4, m * (m - 1) // 2)
    for t in range(4):
        np.testing.assert_array_equal(part.values[t], squareform(targets.values[t])[np.ix_(stimuli, stimuli)][upper])
        whole, own = targets.weights[targets.weight_of[t]], part.weights[part.weight_of[t]]
        np.testing.assert_array_equal(own, squareform(whole)[np.ix_(stimuli, stimuli)][upper])
    assert part.n == m
    assert part.stimuli == tuple("abcdefg"[i] for i in stimuli)
    assert part.labels == targets.labels
    assert part.values.flags.c_contiguous
    assert part.weights.flags.c_contiguous


def test_among_agrees_with_the_embedding(X):
    targets = read_target(sc.similarity(X), N, kind="similarity")
    order = np.array([4, 0, 6, 2])
    off = 2 * (X.shape[1] + 4) * np.finfo(float).eps  # each a cosine: products over d features, two norms, a quotient
    np.testing.assert_allclose(targets.among(order).values[0], sc.similarity(X[order]), rtol=0, atol=off)


def test_only():
    targets = labelled()
    for chosen in (slice(1, 3), np.array([3, 0])):
        part = targets.select(chosen)
        rows = np.arange(4)[chosen]
        np.testing.assert_array_equal(part.values, targets.values[rows])
        assert part.labels == tuple(f"s{t}" for t in rows)
        assert not part.single
        for t, row in enumerate(rows):
            np.testing.assert_array_equal(part.has_weight(t), targets.has_weight(row))
    assert not read_target(squares(1)[0], N, kind="similarity").select(slice(0, 1)).single


def test_without():
    pairs = np.zeros(P, bool)
    pairs[[1, 5]] = True
    targets = labelled()
    part = targets.mask_pairs(pairs)
    for t in range(4):
        np.testing.assert_array_equal(part.has_weight(t), targets.has_weight(t) & ~pairs)
    assert targets.has_weight(1).all()  # the original is as it was
    plain = read_target(packed(squares(2)), N, kind="similarity")
    np.testing.assert_array_equal(plain.mask_pairs(pairs).weights, ~pairs[None])
    np.testing.assert_array_equal(plain.mask_pairs(pairs).weight_of, [0, 0])
    assert plain.weights is None


def test_one_target_in_no_leading_axis_out(X):
    matrix = squares(1)[0]
    values = packed([matrix])
    for target in (matrix, values[0], xr.DataArray(values[0], dims="pair")):
        assert type(sc.alignment(X, target, kind="similarity")) is float
        assert sc.leave_one_out(X, target, kind="similarity").shape == (5,)
    for target in (matrix[None], values, xr.DataArray(values, dims=("subject", "pair"))):
        assert sc.alignment(X, target, kind="similarity").shape == (1,)
        assert sc.leave_one_out(X, target, kind="similarity").shape == (1, 5)


def test_a_dataframe_names_its_stimuli() -> None:
    names = list("abcdef")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 9)), index=names)
    S = pd.DataFrame(np.random.default_rng(1).normal(size=(6, 6)), index=names, columns=names)
    S = (S + S.T) / 2
    assert sc.alignment(X, S, kind="similarity") == sc.alignment(X.to_numpy(), S.to_numpy(), kind="similarity")
    with pytest.warns(
        ReorderedWarning, match="reordered by name to the order of X: a, b, c, … where they were b, a, c"
    ):
        turned = sc.alignment(X, S.loc[[*"bacdef"], [*"bacdef"]], kind="similarity")
    assert turned == sc.alignment(X, S, kind="similarity")
    with pytest.raises(ValueError, match=r"same order, got 'f' where X has 'a' \(stimulus 0\): it has no 'c'$"):
        sc.alignment(X, S.set_axis([*"fezdba"], axis=0).set_axis([*"fezdba"], axis=1), kind="similarity")
    with pytest.raises(ValueError, match=r"same order, got 'z' where X has 'a' \(stimulus 0\)"):
        sc.alignment(X, S.set_axis([*"zbcdef"], axis=0).set_axis([*"zbcdef"], axis=1), kind="similarity")
    with pytest.raises(ValueError, match=r"same order, got 'b' where X has 'a' \(stimulus 0\)"):
        sc.alignment(X, S.loc[[*"bacdef"], [*"bacdef"]], kind="similarity", weights=np.ones(15))
    with pytest.warns(ReorderedWarning, match="the stimuli of control were reordered by name"):
        partial = sc.alignment(X, S, kind="similarity", control=S.loc[[*"bacdef"], [*"bacdef"]] ** 2)
    assert partial == sc.alignment(X, S, kind="similarity", control=S**2)
    with pytest.raises(ValueError, match="along rows and columns"):
        sc.alignment(X, S[[*"bacdef"]])


def test_rsatoolbox_descriptors_name_the_stimuli() -> None:
    rdm = pytest.importorskip("rsatoolbox.rdm")
    names = list("abcdef")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 9)), index=names)
    rdms = rdm.RDMs(np.random.default_rng(1).random((2, 15)), pattern_descriptors={"conds": names})
    assert sc.alignment(X, rdms).shape == (2,)
    other = rdm.RDMs(np.random.default_rng(1).random((2, 15)), pattern_descriptors={"conds": names[::-1]})
    with pytest.warns(ReorderedWarning):
        found = sc.alignment(X, other)
    order = np.arange(6)[::-1]
    squares = other.get_matrices()[:, order][:, :, order]
    np.testing.assert_array_equal(found, sc.alignment(X, squares, kind="dissimilarity"))


def test_a_dataarray_says_its_kind_and_names_its_stimuli() -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 9)), index=list("abcdef"))
    values = np.random.default_rng(1).random((3, 15))
    movie = xr.DataArray(values, dims=("time", "pair"), attrs={"kind": "dissimilarity", "stimuli": list("abcdef")})
    np.testing.assert_array_equal(sc.alignment(X, movie), sc.alignment(X, values, kind="dissimilarity"))
    with pytest.raises(ValueError, match="same order, got 'z' where X has 'a'"):
        sc.alignment(X, movie.assign_attrs(stimuli=list("zbcdef")))
    with pytest.raises(ValueError, match="attribute stimuli must name the 6 stimuli of X, got 5"):
        sc.alignment(X, movie.assign_attrs(stimuli=list("abcde")))
    with pytest.raises(ValueError, match="attribute kind must be 'similarity' or 'dissimilarity', got 'distance'"):
        sc.alignment(X, movie.assign_attrs(kind="distance"))


def test_a_movie_of_a_recording_is_a_target() -> None:
    """From patterns to held-out scores without a word about signs: the planted features are what aligns."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(24, 12))
    patterns = np.einsum("nk,ks,t->nst", X[:, :4], rng.normal(size=(4, 40)), [0.0, 1.0]) + rng.normal(size=(24, 40, 2))
    movie = sc.timecourse.rdm_movie(patterns, times=[0.0, 0.1])
    result = sc.cross_validate(X, movie, sc.Pruner(metric="correlation"), cv=4, progress=False)
    assert result.attrs["kind"] == "dissimilarity"
    assert float(result.pruned_test.mean("fold")[1]) > 0.5 > float(result.pruned_test.mean("fold")[0])


def test_stimuli_of_a_number_of_pairs():
    for n in (1, 2, 3, 92, 94_906_267):  # of the last, floats of 53 bits miss the square root
        assert stimulus_count(pair_count(n)) == n
        assert n < 3 or stimulus_count(pair_count(n) - 1) is None


def test_unpack_is_packs_inverse():
    packed = np.arange(10.0)
    square = unpack(packed, 5, np.nan)
    np.testing.assert_array_equal(pack(square), packed)
    np.testing.assert_array_equal(pack(square.T), packed)
    assert np.isnan(np.diagonal(square)).all()
