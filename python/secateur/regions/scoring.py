"""The four tests of pruning over regions, subjects, two image sets and a network's layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray

from ..features import Features, Indices, Matrix
from ..progress import with_progress
from ..pruning import Pruner
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import mean_of_defined
from ..targets import Targets
from ..validation import attributes, warn_of_small_folds
from .plan import Mask, Names, RegionTargets, prepare

if TYPE_CHECKING:
    from .._typing import HostTargetLike, LayersLike, OfTwoSets, RegionsLike, Splits
    from ..targets import Kind

__all__ = ["TESTS", "four_tests"]

TESTS = ("behaviour", "within", "across", "upper_bound")


def four_tests(
    X: LayersLike,
    regions: RegionsLike,
    behaviour: OfTwoSets[HostTargetLike] | None = None,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    *,
    supervise: Literal["subject", "mean"] = "mean",
    kind: Kind | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Prune to regions of the brain, and score the pruned space on them, in four ways.

    1. ``"behaviour"``: prune to the mean behavioural matrix of an image set, score on each region, same images.
    2. ``"within"``: folds of the images of a set; prune to a region on the training images, score on the test images.
    3. ``"across"``: prune to a region on one image set, score on the same region on the other set, both ways.
    4. ``"upper_bound"``: prune to a region and score on it, same images: no validation, what the layer could fit.

    Parameters
    ----------
    X : mapping of layers to two embeddings, or two embeddings
        ``{"penultimate": (X1, X2), "final": (F1, F2)}``: for each image set an array (n stimuli, d features). A
        mapping instead of the two names the sets.
    regions : two sets of matrices, in the order of the image sets (or a mapping with their names)
        Each a DataArray with dims (region, [subject,] pair), or a mapping of regions to (P,), (S, P), (n, n) or
        (S, n, n) arrays or rsatoolbox RDMs: one matrix per subject, or the mean. Subjects are matched by name between
        sets, by position where they have none. A matrix that is NaN throughout is a region that a subject lacks.
    behaviour : two behavioural targets, optional
        Any form that :func:`secateur.alignment` takes; several matrices (subjects) are averaged. Without it the
        first test is left out.
    pruner : Pruner, optional
        ``Pruner()`` by default. It is not fitted or changed.
    cv, repeats, seed
        Folds of the second test, as in :func:`secateur.cross_validate`.
    supervise : {"mean", "subject"}
        What tests 2 to 4 prune to: the mean of all subjects' matrices of that set, as in the paper (pairs that some
        lack: the mean of the others), or each subject's own. Scores are each subject's in both cases.
    kind : {"similarity", "dissimilarity"}, optional
        What regions and behaviour hold where they don't say so themselves; overrides the pruner's.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.Dataset, dims (test, layer, set, region, subject)
        ``full``, ``pruned``: alignments on image set ``set`` (means over folds in test 2), NaN where a subject has no
        such matrix; ``n_kept``: features that were scored (mean over folds), ``undefined_pairs``: pairs that they leave
        undefined, not scored. ``full_fold``, ``pruned_fold``, ``n_kept_fold`` (layer, set, region, subject, fold): test
        2 by fold. ``kept_LAYER`` (set, region, [subject,] feature_LAYER): what test 4 keeps on each set. It can be
        saved with ``to_netcdf``.

    Raises
    ------
    TypeError, ValueError
        Where image sets, layers, regions, subjects or stimuli do not fit one another; where a name comes twice; where
        a measure, kind, fold or ``supervise`` is not one of those allowed.

    Warns
    -----
    UndefinedPairsWarning
        Once, where scores left pairs out.
    OpposedWarning
        Once, where the full space's alignment, mean over sets and subjects, is below zero for a layer and region: its
        matrices may be of the other kind.
    SmallFoldsWarning
        Once, where test folds of the second test have fewer than 30 pairs.

    Notes
    -----
    All regions and subjects of a set are pruned as one batch of targets. In tests 1 and 4 the images that are scored
    were also pruned on; a gain in test 4 is no evidence, since a best prefix fits noise too.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §3.1, Tables 3 and 4, Figures 3 to 5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
    >>> regions = [{"A": x[:, :5] @ x[:, :5].T, "B": x[:, 5:10] @ x[:, 5:10].T} for x in X]
    >>> result = four_tests(X, regions)
    >>> bool((result.pruned > result.full).sel(test="across").all())
    True
    """
    plan = prepare(X, regions, behaviour, pruner, cv, repeats, seed, supervise=supervise, kind=kind)
    warn_of_small_folds(fold for folds in plan.folds for fold in folds)
    tests = TESTS if plan.behaviours else TESTS[1:]
    names, subjects = plan.names, plan.subjects
    board = _Board(tests, tuple(plan.layers), plan.sets, names, subjects, len(plan.folds[0]))
    kept: dict[str, list[Mask]] = {layer: [] for layer in plan.layers}
    steps = [(layer, a) for layer in plan.layers for a in (0, 1)]
    for layer, a in with_progress(steps, len(steps), "layers and sets", progress):
        pruner, spaces, regional = plan.pruner, plan.layers[layer], plan.region_targets[a]
        space, other = spaces[a], plan.region_targets[1 - a]
        place = (list(plan.layers).index(layer), a)
        if plan.behaviours:
            support = pruner.prune(space, plan.behaviours[a]).support
            every = np.zeros(len(regional.targets), dtype=np.int64)
            board.fill("behaviour", place, regional, _score(space, regional.targets, support, every, pruner))
        for f, (train, test) in enumerate(plan.folds[a]):
            support = pruner.prune(space.among(train), regional.sources.among(train)).support
            scored = _score(space.among(test), regional.targets.among(test), support, regional.source, pruner)
            board.fill_fold(f, place, regional, scored)
        support = pruner.prune(space, regional.sources).support
        kept[layer].append(support)
        board.fill("upper_bound", place, regional, _score(space, regional.targets, support, regional.source, pruner))
        scored = _score(spaces[1 - a], other.targets, support, plan.partners[a], pruner)
        board.fill("across", (place[0], 1 - a), other, scored)
    board.average_folds()
    warn_of_undefined_pairs(board.left_out)
    warn_of_opposition(board.full_means(), plan.region_targets[0].targets.kind)
    attrs = attributes(plan.pruner, plan.region_targets[0].targets.kind, cv, repeats, seed)
    sizes = [space.n for space in next(iter(plan.layers.values()))]
    return board.dataset(kept, plan.region_targets, plan.layers, attrs | {"supervise": supervise, "n_stimuli": sizes})


@dataclass(frozen=True)
class _Scored:
    """Of T targets: alignment of all and of the kept features, their number, and the pairs left out."""

    full: Matrix
    pruned: Matrix
    n_kept: Matrix
    undefined_pairs: Matrix


def _score(space: Features, targets: Targets, support: Mask, source: Indices, pruner: Pruner) -> _Scored:
    """Score every target with the features of its source; NaN where it has none (-1)."""
    tested = pruner.settings().scoring(space, targets)
    full, _ = tested.held_out_alignment(None, np.ones(space.d, dtype=bool))
    scored = _Scored(full, *(np.full(len(targets), np.nan) for _ in range(3)))
    scored.full[source < 0] = np.nan
    for u in np.unique(source[source >= 0]):
        which = np.flatnonzero(source == u)
        found = tested.against(targets.select(which)).held_out_alignment(None, support[u])
        scored.pruned[which], scored.undefined_pairs[which] = found
        scored.n_kept[which] = support[u].sum()
    return scored


class _Board:
    """The results as they come in."""

    def __init__(self, tests: Names, layers: Names, sets: Names, regions: Names, subjects: Names, folds: int) -> None:
        self.coords = {"test": tests, "layer": layers, "set": sets, "region": regions, "subject": subjects}
        shape = tuple(len(names) for names in self.coords.values())
        self.whole = {name: np.full(shape, np.nan) for name in ("full", "pruned", "n_kept", "undefined_pairs")}
        self.by_fold = {name: np.full((*shape[1:], folds), np.nan) for name in self.whole}

    def fill(self, test: str, place: tuple[int, int], regional: RegionTargets, scored: _Scored) -> None:
        t = self.coords["test"].index(test)
        for name, values in self.whole.items():
            values[(t, *place)][tuple(regional.at.T)] = getattr(scored, name)

    def fill_fold(self, f: int, place: tuple[int, int], regional: RegionTargets, scored: _Scored) -> None:
        for name, values in self.by_fold.items():
            values[place][(*regional.at.T, f)] = getattr(scored, name)

    def average_folds(self) -> None:
        t = self.coords["test"].index("within")
        for name, values in self.by_fold.items():
            mean = mean_of_defined(np.moveaxis(values, -1, 0))
            self.whole[name][t] = mean * values.shape[-1] if name == "undefined_pairs" else mean

    def full_means(self) -> Matrix:
        """Mean alignments of all features with all images of a set, over sets and subjects: of layers and regions."""
        full = self.whole["full"][self.coords["test"].index("upper_bound")]  # (layer, set, region, subject)
        return mean_of_defined(np.moveaxis(full, 2, 1).reshape(-1, full.shape[1] * full.shape[3]).T)

    @property
    def left_out(self) -> int:
        return int(np.nansum(self.whole["undefined_pairs"]))

    def dataset(
        self,
        kept: dict[str, list[Mask]],
        region_targets: list[RegionTargets],
        layers: dict[str, list[Features]],
        attrs: Any,
    ) -> xarray.Dataset:
        dims = tuple(self.coords)
        variables: dict[str, Any] = {name: (dims, values) for name, values in self.whole.items()}
        for name in ("full", "pruned", "n_kept"):
            variables[f"{name}_fold"] = ((*dims[1:], "fold"), self.by_fold[name])
        coords: dict[str, Any] = {dim: np.array(names, dtype=object).astype(str) for dim, names in self.coords.items()}
        coords["fold"] = np.arange(self.by_fold["full"].shape[-1])
        regions, subjects = len(self.coords["region"]), len(self.coords["subject"])
        for layer, supports in kept.items():
            feature, d = f"feature_{layer}", layers[layer][0].d
            labels = layers[layer][0].names or layers[layer][1].names
            coords[feature] = np.arange(d) if labels is None else np.array(labels)
            if not region_targets[0].own:
                variables[f"kept_{layer}"] = (("set", "region", feature), np.stack(supports))
                continue
            of_subject = np.zeros((2, regions, subjects, d), dtype=bool)
            for a, support in enumerate(supports):
                of_subject[(a, *region_targets[a].at.T)] = support
            variables[f"kept_{layer}"] = (("set", "region", "subject", feature), of_subject)
        return xarray.Dataset(variables, coords, attrs)
