"""Alignment importance of feature maps and of parts of transformers: what a space loses with each (Truong 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import xarray

from ..arguments import check_integer
from ..contributions import leave_one_out
from ..execution import Execution
from ..features import Features, Indices, Matrix
from ..measures import check_comparator, check_metric, comparator_row, metric_row
from ..pairs import pair_positions, pair_table
from ..problem import Problem, compare_rows, order_by_importance, similarities_in_each
from ..progress import with_progress
from ..provenance import own_version
from ..pruning import Pruner
from ..pruning.result import Pruned
from ..pruning.scorer import best_prefix, explained_baseline
from ..relabelling import chance_scores, relabellings
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import permutation_p
from ..targets import Targets, read_target
from ..validation import (
    Fold,
    FoldScores,
    attributes,
    collect,
    cross_validate,
    names_or_numbers,
    split,
    warn_of_small_folds,
)
from .images import read_images
from .necks import Embeddings, Masking, PooledNeck, Singles, neck_of
from .network import execution_on, placed
from .parts import PARTS, PartsNeck

if TYPE_CHECKING:
    import torch

    from .._typing import HostTargetLike, ImagesLike, LabelsLike, Splits, WeightsLike
    from ..execution import Device
    from ..measures import Comparator, ComparatorOrAlias, Metric
    from ..targets import Kind
    from .network import Network
    from .parts import Fill, Part

    Blocks = int | Sequence[int] | None

__all__ = ["alignment_importance", "compare_networks", "correlations", "select", "spread"]


# Alignments -----------------------------------------------------------------------------------------------------


def _directed(X: Singles | Matrix, metric: Metric) -> Matrix:
    """Rows that similarities are taken of: of length 1 for angular metrics, NaN where there is no direction."""
    Z = X.astype(np.float64)
    row = metric_row(metric)
    if row.centred:
        Z = np.where(np.ptp(Z, axis=1, keepdims=True) > 0, Z - Z.mean(axis=1, keepdims=True), 0)
    if row.angular:
        length = np.sqrt(np.einsum("if,if->i", Z, Z))
        Z /= np.where(length > 0, length, np.nan)[:, None]
    return Z


def _similarities_between(X: Matrix, Y: Matrix, metric: Metric) -> Matrix:
    """Similarities of the rows of X with those of Y, both as :func:`_directed` leaves them."""
    row = metric_row(metric)
    if row.adds == "product":
        return np.asarray(X @ Y.T)
    if row.adds == "square":
        x, y = (np.einsum("if,if->i", Z, Z) for Z in (X, Y))
        distances = np.maximum(x[:, None] + y - 2 * (X @ Y.T), 0)
    elif row.adds == "absolute":
        from scipy.spatial.distance import cdist

        distances = cdist(X, Y, "minkowski", p=row.power) ** row.power
    else:  # a new metric's, until it is written here
        raise NotImplementedError(f"metric {metric!r} adds {row.adds!r}, of which single images have no similarities")
    return np.asarray(-np.sqrt(distances) if row.rooted else -distances)


def _rows_of(targets: Targets) -> list[Targets]:
    """For each stimulus: the targets over its n - 1 pairs with the others, in their order: not all pairs of any n."""
    pair = pair_table(targets.n)
    rows = []
    for i in range(targets.n):
        at = np.delete(pair[i], i)
        weights = None if targets.weights is None else np.ascontiguousarray(targets.weights[:, at])
        rows.append(replace(targets, values=np.ascontiguousarray(targets.values[:, at]), weights=weights, n=0))
    return rows


@dataclass(frozen=True)
class Asked:
    """What a call asks, checked: the images behind their neck, the targets, and how they are compared."""

    neck: Masking
    targets: Targets
    stimuli: tuple[str, ...] | None
    metric: Metric
    comparator: Comparator
    execution: Execution

    @property
    def threads(self) -> int:
        return self.execution.threads

    @property
    def removes_on(self) -> Device:
        """The device that removals of features are asked for: on a CUDA device there, else as it suits them."""
        return "cuda" if self.neck.on_device else "auto"

    @property
    def features(self) -> Features:
        return Features(self.neck.embedding.astype(np.float64), self.stimuli)

    @property
    def is_removal(self) -> bool:
        """Whether masking a map is removing a feature: it is not for a mean over features.

        What a CUDA device does not remove features for, it masks.
        """
        if not isinstance(self.neck, PooledNeck) or metric_row(self.metric).centred:
            return False
        if not self.neck.on_device:
            return True
        return Execution.resolved("auto", comparator=self.comparator, stimuli=self.neck.n).device == "cuda"

    @property
    def blocks(self) -> list[Indices]:
        """The maps, as many at a time as memory allows."""
        step = self.neck.block
        return [np.arange(start, min(start + step, self.neck.count)) for start in range(0, self.neck.count, step)]

    def similarities(self, embeddings: Embeddings) -> Matrix:
        """Similarities (rows, P) in each of some embeddings (rows, n, d)."""
        return similarities_in_each(embeddings, self.metric, self.execution)

    def similarities_with(self, embeddings: Embeddings, unmasked: Matrix) -> Matrix:
        """Similarities (rows, n, n) of the images in each of some embeddings with those of the whole one.

        ``unmasked``: the whole one, as :func:`_directed` leaves it.
        """
        if self.neck.on_device:
            return similarities_in_each(embeddings, self.metric, self.execution, self.neck.embedding)
        directed = (_directed(one, self.metric) for one in np.asarray(embeddings))
        return np.stack([_similarities_between(one, unmasked, self.metric) for one in directed])

    def aligned(self, similarities: Matrix, targets: Targets) -> Matrix:
        """Alignments (rows, T) of similarities (rows, P)."""
        return compare_rows(similarities, targets, self.comparator, self.threads, self.metric)

    @property
    def problem(self) -> Problem:
        """The embedding with all maps beside the targets."""
        return Problem(self.features, self.targets, self.metric, self.comparator, Execution(threads=self.threads))

    def baseline(self, stimuli: Indices) -> Matrix:
        """Alignments (T,) among these stimuli with all maps; refused where there is none."""
        return explained_baseline(self.problem.among(stimuli))


def _ask(
    net: Network, images: ImagesLike, target: HostTargetLike, kind: Kind | None, weights: WeightsLike | None, metric:
    Metric, comparator: ComparatorOrAlias, batch: int | None, memory: int | None, execution: Execution, parts:
    tuple[Part, Blocks, Fill | None] = ("maps", None, None),
) -> Asked:  # fmt: skip
    part, blocks, fill = parts
    if part not in PARTS:
        raise ValueError(f"parts must be one of {', '.join(map(repr, PARTS))}, got {part!r}")
    if part == "maps" and (blocks is not None or fill not in (None, "zero")):
        raise ValueError("blocks and fill must be left out for parts 'maps', which are masked by zero, got them")
    metric, comparator = check_metric(metric), check_comparator(comparator)
    check_integer("batch", batch, 1, optional=True)
    check_integer("memory", memory, 1, optional=True)
    pictures = read_images(images)
    n = len(pictures)
    if n < 3:
        raise ValueError(f"images must be at least 3, got {n}")
    own = pictures.names if pictures.named else None
    targets = read_target(target, n, kind, weights, own)
    names = targets.stimuli or own
    neck: Masking
    if part == "maps":
        neck = neck_of(net, pictures, batch or 32, memory, execution)
    else:
        neck = PartsNeck(net, pictures, part, blocks, fill, batch, memory, execution)
    return Asked(neck, targets, names, metric, comparator, execution)


# The face -------------------------------------------------------------------------------------------------------


def alignment_importance(
    net: Network,
    images: ImagesLike,
    target: HostTargetLike,
    *,
    parts: Part = "maps",
    blocks: Blocks = None,
    fill: Fill | None = None,
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "spearman",
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    per_image: bool = False,
    batch: int | None = None,
    memory: int | None = None,
    device: str | torch.device | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Alignment importance scores (AIS) of the maps of a network's last convolution, or of a transformer's parts.

    AIS = alignment of the embedding - alignment of the embedding with that map or part masked and propagated with the
    trained weights. A positive score means that it helps.

    Parameters
    ----------
    net : Network
        From :func:`secateur.networks.load` or :func:`secateur.networks.wrap`.
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes: n images.
    target : (n, n) | (P,) | (T, P) | (T, n, n) array, rsatoolbox RDMs, or xarray DataArray
        As in :func:`secateur.alignment`, in the order of the images. Where it names its stimuli, the names are held
        against the images'.
    parts : {"maps", "channels", "neurons", "heads", "blocks"}
        What is scored: maps of the last convolution; or of a network of blocks (ViT, DeiT, DINOv2, CLIP, SigLIP, Swin,
        ConvNeXt; of timm, open_clip or transformers) channels of the residual stream, neurons of the MLP, attention
        heads, or whole blocks. The table in ``secateur.networks.parts`` says what is masked, and what is run again.
    blocks : int or sequence of int, optional
        Of which blocks, counted from 0, or from the end by negative numbers. By default the last one's channels (behind
        that block) and neurons, all heads, all blocks.
    fill : {"mean", "zero"}, optional
        What a masked part is replaced by: its mean over these images, at each token, or zero. The mean by default for
        channels, which are never near zero; zero for all others, which add to a sum. Maps are masked by zero.
    metric : Metric
        Similarity of two embeddings, as in :func:`secateur.similarity`. A masked map leaves a zero in a pooled
        embedding; a correlation's mean counts it.
    comparator : Comparator
        How similarities are compared with the target's, as in :func:`secateur.alignment`.
    kind : {"similarity", "dissimilarity"}, optional
        What the target holds, where it doesn't say so itself: as in :func:`secateur.alignment`.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.
    per_image : bool
        Whether each image is scored too: the map is masked in that image alone, and its n - 1 similarities to the
        others, unmasked, are compared with its row of the target. Not for the whitened comparators.
    batch : int, optional
        Images that go through the network at once; 32 by default.
    memory : int, optional
        Bytes that masked embeddings and their similarities may take at a time; 512 MiB by default, on a CUDA device
        4 GiB, or a quarter of what is free there.
    device : str, optional
        Where to compute: as in :func:`secateur.networks.embed`. On a CUDA device maps and masked embeddings stay there,
        and similarities come back once, to be compared on the processor.
    threads : int, optional
        All available processors by default. PyTorch keeps its own number.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset
        ``baseline`` () and ``importance`` (map,); with ``per_image`` also ``image_baseline`` (stimulus,) and
        ``image_importance`` (stimulus, map), all in correlation units; with several targets a leading dim ``target``.
        NaN where masking leaves a stimulus without direction. Of parts, the dim is ``part``, with coordinates ``block``
        and ``index`` (the head, neuron or channel in it); ``attrs`` say what was masked, and by what.

    Raises
    ------
    TypeError, ValueError
        Where images, target and network do not fit one another; where a measure, kind or number is not one of those
        allowed; where torch does not see the device, or the compiled core works on another.
    RuntimeError
        Where a CUDA device is asked for and the compiled core has none.

    Notes
    -----
    Embeddings are in single precision, like the network; what is made of them is in double. Masked embeddings differ
    from those of PyTorch by its own rounding, about 1e-6 of their size. Of each chosen block, what all images put in
    and the part's inputs are held in memory (n × tokens × width floats, two or three times): choose ``blocks`` where
    that is much.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.2 (Eq. 1) and §2.3. Masking heads: Michel, Levy & Neubig (2019).

    Examples
    --------
    >>> import secateur as sc
    >>> images = np.random.default_rng(0).integers(0, 256, size=(6, 64, 64, 3), dtype=np.uint8)
    >>> net = sc.networks.load("squeezenet1_1", weights=None)
    >>> result = alignment_importance(net, images, np.random.default_rng(1).normal(size=15), kind="similarity")
    >>> dict(result.importance.sizes)
    {'map': 512}
    """
    with placed(net, device) as place:
        execution = execution_on(place, device, threads)
        asked = _ask(
            net, images, target, kind, weights, metric, comparator, batch, memory, execution, (parts, blocks, fill)
        )
        scores = _importance(asked, per_image, progress)
    settings = {
        "network": net.name, "metric": asked.metric, "comparator": asked.comparator, "kind": asked.targets.kind,
        "parts": parts, "fill": asked.neck.fill, "features": asked.neck.features, "secateur_version": own_version(),
    }  # fmt: skip
    result = xarray.Dataset(*scores, settings)
    return result.isel(target=0, drop=True) if asked.targets.single else result


def _importance(asked: Asked, per_image: bool, progress: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores of all maps, and of them for each image: variables and coordinates."""
    neck, targets = asked.neck, asked.targets
    if per_image and comparator_row(asked.comparator).whitened:
        raise ValueError(f"comparator must not be whitened where single images are scored, got {asked.comparator!r}")
    everyone, others = np.arange(neck.n), ~np.eye(neck.n, dtype=bool)
    baseline = asked.baseline(everyone)
    masked = np.empty((len(targets), neck.count))
    if asked.is_removal:
        terms = (asked.metric, asked.comparator)
        where: Any = {"device": asked.removes_on, "threads": asked.threads}
        masked[:] = np.atleast_2d(leave_one_out(asked.features, targets, *terms, **where))
    rows = _rows_of(targets) if per_image else []
    unmasked = _directed(neck.embedding, asked.metric) if per_image else np.empty((0, 0))
    of_images = np.empty((len(targets), len(rows), neck.count))
    blocks = asked.blocks if per_image or not asked.is_removal else []
    for maps in with_progress(blocks, len(blocks), "maps", progress):
        embeddings = neck.without_each(maps)
        if not asked.is_removal:
            masked[:, maps] = asked.aligned(asked.similarities(embeddings), targets).T
        if per_image:
            between = asked.similarities_with(embeddings, unmasked)
            for i, row in enumerate(rows):
                of_images[:, i, maps] = asked.aligned(between[:, i, others[i]], row).T
    variables: dict[str, Any] = {
        "baseline": (("target",), baseline),
        "importance": (("target", neck.dim), baseline[:, None] - masked),
    }
    coords: dict[str, Any] = {"target": names_or_numbers(targets.labels, len(targets)), **neck.coords}
    if per_image:
        whole = _similarities_between(unmasked, unmasked, asked.metric)
        own = np.stack([asked.aligned(whole[i : i + 1, others[i]], row)[0] for i, row in enumerate(rows)], axis=1)
        variables["image_baseline"] = (("target", "stimulus"), own)
        variables["image_importance"] = (("target", "stimulus", neck.dim), own[..., None] - of_images)
        coords["stimulus"] = names_or_numbers(asked.stimuli, neck.n)
    return variables, coords


def select(
    net: Network,
    images: ImagesLike,
    target: HostTargetLike,
    *,
    parts: Part = "maps",
    blocks: Blocks = None,
    fill: Fill | None = None,
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "spearman",
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    cv: Splits = 5,
    repeats: int = 8,
    seed: int = 0,
    groups: LabelsLike | None = None,
    permutations: int = 1000,
    batch: int | None = None,
    memory: int | None = None,
    device: str | torch.device | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Select feature maps, or parts of a transformer, on some images, score the selection on others.

    On the training images maps are inserted in order of their alignment importance, each time propagated to the
    embedding with the trained weights, and the shortest prefix that reaches the maximum is kept. The test images are
    then embedded with those maps alone.

    Parameters
    ----------
    net, images, target, metric, comparator, kind, weights, batch, memory, device, threads, progress
        As in :func:`alignment_importance`.
    parts, blocks, fill
        As in :func:`alignment_importance`. Parts of one block are added one by one to what was computed; parts of
        several blocks are masked in all of them for each step of the insertion, which takes a run of the network from
        the first such block on, for each part, fold and target: choose ``blocks``, or few folds. Means that stand in
        for parts are of all the images given, test images among them; no value of the target enters them.
    cv, repeats, seed, groups
        As in :func:`secateur.cross_validate`. By default five folds, eight times: the paper's 40 pairs of scores.
    permutations : int
        Relabellings of the target's stimuli for p; 0 for none. The maps that were selected stay, and their held-out
        scores are taken anew. Where groups are given whole groups change places, and must be of equal size.

    Returns
    -------
    xarray.Dataset, dims (target, fold, feature)
        What :func:`secateur.cross_validate` returns, a feature being a map: ``full_test``, ``pruned_test``, ``n_kept``,
        ``kept``, ``importance`` (AIS), ``curve``, …. With ``permutations`` also ``chance_pruned_test`` and
        ``chance_gain`` (target, permutation): means over folds with the relabelled target, and ``p_pruned_test``,
        ``p_gain`` (target), one-sided. :func:`secateur.summary` tables them, :func:`secateur.report.held_out` and
        :func:`secateur.report.insertion_curves` draw it.

    Raises
    ------
    TypeError, ValueError
        Where images, target and network do not fit one another; where a measure, kind, fold or number is not one of
        those allowed; where torch does not see the device, or the compiled core works on another.
    RuntimeError
        Where a CUDA device is asked for and the compiled core has none.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    SmallFoldsWarning
        Once, where test folds have fewer than 30 pairs.

    Notes
    -----
    The paper's paired t-test over its 40 pairs of scores takes repeats of the same images for new ones, and calls far
    too much significant (``benchmarks/README.md``): no p of it is given. Splits are over images, where the paper splits
    the entries of the similarity matrix: an entry of the test set then has no image in common with one that was trained
    on.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.2.

    Examples
    --------
    >>> import secateur as sc
    >>> images = np.random.default_rng(0).integers(0, 256, size=(9, 64, 64, 3), dtype=np.uint8)
    >>> net = sc.networks.load("squeezenet1_1", weights=None)
    >>> target = np.random.default_rng(1).normal(size=36)
    >>> result = select(net, images, target, kind="similarity", cv=3, repeats=1)
    >>> dict(result.kept.sizes)
    {'target': 1, 'fold': 3, 'feature': 512}
    """
    with placed(net, device) as place:
        execution = execution_on(place, device, threads)
        asked = _ask(
            net, images, target, kind, weights, metric, comparator, batch, memory, execution, (parts, blocks, fill)
        )
        result = _select(asked, (cv, repeats, seed, groups), permutations, progress)
    more = {name: ("feature", of[1]) for name, of in asked.neck.coords.items() if name != asked.neck.dim}
    return result.assign_coords(more).assign_attrs(
        network=net.name, parts=parts, fill=asked.neck.fill, features=asked.neck.features
    )


def _select(
    asked: Asked, splits: tuple[Splits, int, int, LabelsLike | None], permutations: int, progress: bool
) -> xarray.Dataset:
    """Scores of every fold, and what chance gives. ``splits``: cv, repeats, seed and groups."""
    cv, repeats, seed, groups = splits
    pruner = Pruner(asked.metric, asked.comparator, device=asked.removes_on, threads=asked.threads)
    folds, repeat = split(asked.neck.n, cv, repeats, seed, groups)
    count = check_integer("permutations", permutations, 0)
    orders = relabellings(asked.neck.n, count, seed, groups) if count else None
    if asked.is_removal:
        result = cross_validate(asked.features, asked.targets, pruner, cv, repeats, seed, groups, progress=progress)
    else:
        warn_of_small_folds(folds)
        masked = _masked_by_fold(asked, folds, progress)
        shown = with_progress(zip(folds, masked), len(folds), "folds", progress)
        result = collect(
            (_score_fold(asked, fold, without) for fold, without in shown), folds, repeat, asked.targets,
            (asked.neck.coords[asked.neck.dim], names_or_numbers(asked.stimuli, asked.neck.n)),
            attributes(pruner, asked.targets.kind, cv, repeats, seed),
        )  # fmt: skip
        warn_of_undefined_pairs(int(result["undefined_pairs"].sum()))
        warn_of_opposition(result["full_test"].mean("fold"), asked.targets.kind)
    if orders is not None:
        result = result.assign(_chance(asked, result, folds, orders))
    return result


def _chance(asked: Asked, result: xarray.Dataset, folds: list[Fold], orders: Indices) -> dict[str, Any]:
    """What all maps and the selected ones score on test images with relabelled targets, and p."""
    predicted = []
    for f, (_, test) in enumerate(folds):
        embeddings = [asked.neck.embedding[test]]
        embeddings += [asked.neck.keeping(test, kept) for kept in result["kept"].values[:, f]]
        full, *pruned = (asked.similarities(one[None])[0] for one in embeddings)
        predicted.append(np.stack([np.broadcast_to(full, (len(pruned), len(full))), np.stack(pruned)]))
    tests = [test for _, test in folds]
    full, pruned = chance_scores(predicted, asked.targets, tests, orders, asked.comparator, asked.threads)
    observed = result["pruned_test"].mean("fold").values
    gain = (result["pruned_test"] - result["full_test"]).mean("fold").values
    return {
        "chance_pruned_test": (("target", "permutation"), pruned),
        "chance_gain": (("target", "permutation"), pruned - full),
        "p_pruned_test": ("target", permutation_p(observed, pruned)),
        "p_gain": ("target", permutation_p(gain, pruned - full)),
    }


def _masked_by_fold(asked: Asked, folds: list[Fold], progress: bool) -> list[Matrix]:
    """Alignments (T, M) among the training images of each fold with each map masked: one pass over the maps."""
    learnt = [asked.targets.among(train) for train, _ in folds]
    pairs = [pair_positions(train, asked.neck.n) for train, _ in folds]
    masked = [np.empty((len(asked.targets), asked.neck.count)) for _ in folds]
    blocks = asked.blocks
    for maps in with_progress(blocks, len(blocks), "maps", progress):
        similarities = asked.similarities(asked.neck.without_each(maps))
        for of_fold, targets, at in zip(masked, learnt, pairs):
            of_fold[:, maps] = asked.aligned(similarities[:, at], targets).T
    return masked


def _score_fold(asked: Asked, fold: Fold, masked: Matrix) -> FoldScores:
    """Select on the training images, score on the test images."""
    train, test = fold
    targets, tested = asked.targets.among(train), asked.problem.among(test)
    held, all_features = tested.host[1], np.ones(tested.features.d, dtype=bool)
    full, _ = tested.held_out_alignment(None, all_features)
    baseline = asked.baseline(train)
    importance = baseline[:, None] - masked
    order = order_by_importance(importance)
    curve = np.empty_like(importance)
    support = np.zeros(importance.shape, dtype=bool)
    scores = np.empty(len(targets))
    undefined = np.zeros(len(targets), dtype=np.int64)
    for t in range(len(targets)):
        at = slice(t, t + 1)
        rows = [
            asked.aligned(asked.similarities(embeddings), targets.select(at))[:, 0]
            for embeddings in asked.neck.inserted(train, order[t])
        ]
        curve[t] = np.concatenate(rows)
        support[t, order[t, : best_prefix(curve[t])]] = True
        pruned = Features(asked.neck.keeping(test, support[t]).astype(np.float64))
        scores[at], undefined[at] = tested.over(pruned, held.select(at)).held_out_alignment(None, all_features)
    alignment = np.take_along_axis(curve, best_prefix(curve)[:, None] - 1, axis=1)[:, 0]
    return FoldScores(
        baseline, full, alignment, scores, undefined, Pruned(baseline, importance, order, curve, support, alignment, ())
    )


# Over images, networks and categories ---------------------------------------------------------------------------


def spread(result: xarray.Dataset) -> xarray.Dataset:
    """How the importance of single images is spread over maps and images.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`alignment_importance` with ``per_image=True``.

    Returns
    -------
    xarray.Dataset
        ``mean`` (map,): mean AIS over images; ``deviation_of_maps`` (map,) and ``deviation_of_images`` (stimulus,):
        mean absolute deviation of a map's AIS over images, of an image's over maps. NaN is left out.

    Raises
    ------
    ValueError
        Where the result has no scores of single images.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §2.3, Figure 3.

    Examples
    --------
    >>> import xarray
    >>> scores = xarray.Dataset({"image_importance": (("stimulus", "map"), [[0.0, 1.0], [0.0, 3.0]])})
    >>> spread(scores).deviation_of_maps.values.tolist()
    [0.0, 1.0]
    """
    if "image_importance" not in result:
        raise ValueError("result must have scores of single images, got none: pass per_image=True")
    scores = result["image_importance"]
    parts = next(str(dim) for dim in scores.dims if dim not in ("target", "stimulus"))
    variables = {"mean": scores.mean("stimulus")}
    for name, over in (("deviation_of_maps", "stimulus"), ("deviation_of_images", parts)):
        variables[name] = abs(scores - scores.mean(over)).mean(over)
    return xarray.Dataset(variables, attrs=result.attrs)


def compare_networks(first: xarray.Dataset, second: xarray.Dataset) -> pandas.DataFrame:
    """Whether the scores of two networks are spread alike: two-sample Kolmogorov-Smirnov tests.

    Parameters
    ----------
    first, second : xarray.Dataset
        From :func:`alignment_importance` with ``per_image=True``, for one target; maps and images may be of other
        numbers.

    Returns
    -------
    pandas.DataFrame
        Index: ``mean``, ``deviation_of_maps``, ``deviation_of_images`` (see :func:`spread`). Columns:
        ``median_first``, ``median_second`` (correlation units), ``ks`` (the largest distance between the two
        cumulative distributions), ``p`` (two-sided).

    Raises
    ------
    ValueError
        Where a result has no scores of single images, or several targets.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §3.2, Figure 3; Hodges (1958).

    Examples
    --------
    >>> import xarray
    >>> rng = np.random.default_rng(0)
    >>> one, other = (
    ...     xarray.Dataset({"image_importance": (("stimulus", "map"), size * rng.normal(size=(30, 50)))})
    ...     for size in (1, 2)
    ... )
    >>> bool(compare_networks(one, other).loc["deviation_of_maps", "p"] < 0.001)
    True
    """
    from scipy.stats import ks_2samp

    rows = {}
    spreads = [_of_one_target(spread(result)) for result in (first, second)]
    for name in ("mean", "deviation_of_maps", "deviation_of_images"):
        a, b = (one[name].values[~np.isnan(one[name].values)] for one in spreads)
        test = ks_2samp(a, b)
        rows[name] = {
            "median_first": float(np.median(a)), "median_second": float(np.median(b)),
            "ks": float(test.statistic), "p": float(test.pvalue),
        }  # fmt: skip
    return pandas.DataFrame.from_dict(rows, orient="index")


def _of_one_target(result: xarray.Dataset) -> xarray.Dataset:
    if result.sizes.get("target", 1) > 1:
        raise ValueError(f"result must be of one target, got {result.sizes['target']}: choose one with isel(target=…)")
    return result.squeeze("target", drop=True) if "target" in result.dims else result


def correlations(results: Mapping[str, xarray.Dataset]) -> pandas.DataFrame:
    """Whether the same maps matter in several sets of images: Pearson correlations of their importance.

    Parameters
    ----------
    results : mapping of names to xarray.Dataset
        From :func:`alignment_importance` with one network, for one target each.

    Returns
    -------
    pandas.DataFrame
        Symmetric, names by names; maps without a score (NaN) in one of the two are left out.

    Raises
    ------
    ValueError
        Where a result is of other maps than the first, or of several targets.

    References
    ----------
    Truong, Pesenti & Hasson (2024), §3.1.

    Examples
    --------
    >>> import xarray
    >>> one, other = (xarray.Dataset({"importance": ("map", [0.1, 0.2, x])}) for x in (0.3, 0.4))
    >>> correlations({"fruits": one, "vegetables": other}).round(3).loc["fruits", "vegetables"].item()
    0.982
    """
    table = {name: _of_one_target(result)["importance"].values for name, result in results.items()}
    counts = {name: len(values) for name, values in table.items()}
    for name, count in counts.items():
        if count != next(iter(counts.values())):
            raise ValueError(f"results must be of the same maps, got {count} for {name!r}, {counts} in all")
    return pandas.DataFrame(table).corr()
