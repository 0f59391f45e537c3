"""Pruning: which features to keep so that the similarity space fits a target."""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..features import DeviceFeatures, Features, Indices, Matrix, read_features
from ..similarity import warn_of_undefined_pairs
from ..targets import DeviceTargets, Targets, read_target
from .result import Detail, Pruned, SearchInterrupted
from .settings import Search, Settings

if TYPE_CHECKING:
    from .._typing import (
        ControlLike,
        EmbeddingLike,
        HostEmbeddingLike,
        HostTargetLike,
        LabelsLike,
        SubsetLike,
        TargetLike,
        WeightsLike,
    )
    from ..execution import Device, Precision
    from ..measures import ComparatorOrAlias, Joint, Metric
    from ..measures import Search as SearchName
    from ..targets import Kind

__all__ = ["Pruned", "Pruner"]


def _joined(alignments: Matrix, joint: Joint) -> float:
    """One number for the targets (T,) that share a set of features."""
    return float(alignments.min() if joint == "min" else alignments.mean())


class Pruner(SelectorMixin, BaseEstimator):  # type: ignore[misc]
    """Select the features whose similarity space fits a target: a scikit-learn selector.

    Parameters
    ----------
    metric : Metric
        Similarity of two stimuli, as in :func:`secateur.similarity`; distances enter negated.
    comparator : Comparator
        Alignment of two similarity spaces, as in :func:`secateur.alignment`.
    kind : {"similarity", "dissimilarity"}, optional
        What targets hold, where they don't say so themselves: as in :func:`secateur.alignment`.
    search : {"ranking", "parsimonious", "stable", "forward", "backward", "floating", "floating-backward"}
        ``"ranking"``: features ranked by leaving each out, inserted in that order, the shortest prefix that
        reaches the maximum kept (the papers' method). ``"parsimonious"``: of the same order, the shortest prefix
        whose held-out alignment, averaged over inner folds of the stimuli, is within one standard error of the
        best. ``"stable"``: the features that are among the most important ones in most of many random halves of the
        stimuli (see ``half_samples``). ``"forward"``: from none, add the feature that gives the highest alignment
        beside those that are in, again and again. ``"backward"``: from all, remove the one without which it is highest.
        ``"floating"``: forward, and after each addition remove features while that gives a better set than any seen of
        its size; ``"floating-backward"`` is its mirror image. Of all sets that these four pass through, the best is
        kept, the smallest of equals. Every step is exact; ties go to the lower index.
    device : {"auto", "cpu", "cuda"}
        Where leave-one-out, add-one and insertion run, as in :func:`secateur.alignment`.
    threads : int, optional
        All available processors by default; results don't depend on it.
    max_features, min_features : int
        How many features may be kept; None: all. Forward searches end at the one, backward searches at the other.
    tol : float, optional
        A sequential search ends before an onward step (an addition of a forward search, a removal of a backward
        one) whose gain in alignment is below this; negative values allow for losses. None: no step is too small.
        Not used by the searches by ranking.
    patience : int, optional
        A sequential search ends after so many onward steps in a row without a new best set; of a floating search
        only those to a size not reached before count. None: it goes all the way. Not used by the searches by
        ranking. Neither ``tol`` nor ``patience`` ends a search before it has reached ``min_features`` (forward) or
        ``max_features`` (backward).
    feature_groups : array (d,) of int or str, optional
        Features of one label come and go together; every one by itself by default. Groups of several features
        take about a space of similarities each and step, which is slower than single features.
    inner_cv, seed : int
        Inner folds of ``"parsimonious"``, each of at least 3 stimuli, and the seed of their shuffle, and of the halves
        of ``"stable"``; they keep the ``groups`` given to ``fit`` or :func:`secateur.cross_validate` whole. Not used by
        the others, which have no chance in them.
    progress : bool
        Whether a bar may show in ``fit``, on stderr, once two seconds have passed, and before a fit of more than a
        minute a line with the time and memory that it will take (``secateur.cost``).
    precision : {"double", "single"}
        ``"single"``: the fast form of CUDA devices (see :func:`secateur.leave_one_out`).
    joint : {"each", "mean", "min"}
        What several targets (subjects, regions, times) make of one set of features. ``"mean"``, ``"min"``: one set for
        all of them; wherever a search looks at an alignment, in ranking, insertion and every step, that is the mean, or
        the smallest, of the targets' alignments. ``"each"``: every target has its own set, and ``fit`` takes one.
    fixed_features : array of names or indices, or bool mask (d,); optional
        Features that always stay: every set that the search sees holds them, and with each its whole
        ``feature_groups``. They come first in an order, and forward searches begin with them.
    half_samples : int
        Of ``"stable"``: how many halves of the stimuli, in pairs that have none in common.
    threshold : float
        Of ``"stable"``: the share of the halves, above 0.5, in which a feature has to be selected to be kept. Where
        that leaves none, or fewer than ``min_features``, those of the highest shares are kept.
    max_false : float
        Of ``"stable"``: how many features without merit may be expected among those above the threshold. Each half
        selects the q most important features, where q² <= ``max_false`` (2 ``threshold`` - 1) d, and at least one.

    Attributes
    ----------
    support_ : (d,) bool
        The kept features.
    importance_ : (d,) float64
        Alignment of all features minus the alignment without each (or without its group); NaN where a stimulus
        has no direction without the feature. ``"forward"`` and ``"floating"``: what the feature's last entry added
        to the alignment; 0 where it never came in, NaN where the set before or after had no alignment. ``"stable"``:
        the share of halves in which it was selected; 1 of fixed features.
    order_ : (d,) int64
        Features, the kept ones first. Searches by ranking: most important first, ties by index, NaN importances
        first (``"stable"``: by share, ties by importance). ``"forward"``: as they came in. ``"backward"``: in reverse
        as they went. Floating: likewise, first the kept ones, then the others. Where neither says it (a search that
        ended early): by the ranking.
    curve_ : (d,) float64
        Training alignment of the best set of 1, 2, ..., d features that the search passed through, which is
        the prefix of ``order_`` but for floating searches. NaN where a set is undefined or there was none of that
        size, as of sets that lack a fixed feature.
    path_ : structured array (steps,)
        The steps: ``feature`` (of a group, its first; -1 for none), ``action`` (``"add"``, ``"remove"``, ``"start"``
        from all features, ``"return"`` to the best set of this size seen before), ``alignment`` and ``count``
        (features) after the step. :func:`secateur.search.subset_at` gives the set.
    interrupted_ : bool
        Whether Ctrl-C ended the search.
    baseline_, alignment_ : float
        Training alignment of all and of the kept features. Both are in-sample: for an honest number use
        :func:`secateur.cross_validate`.
    baselines_, alignments_ : (T,) float64
        The same of each target, where ``joint`` is not ``"each"``; ``baseline_``, ``alignment_`` and ``curve_`` are
        then the mean, or the smallest.
    false_bound_ : float
        Of ``"stable"``: q² / ((2 ``threshold`` - 1) d), which bounds how many features without merit are expected above
        the threshold, where none of these is likelier to be selected than another, nor than one with merit
        (Meinshausen & Buehlmann 2010, theorem 1).
    n_features_ : int
        Number of kept features.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    A target is pairwise, so scikit-learn's ``cross_val_score`` and ``GridSearchCV``, which split rows only,
    would pair training rows with a target of another size. :func:`secateur.cross_validate` splits stimuli on
    both sides.

    Ctrl-C in the ``fit`` of a sequential search keeps what has been done: the attributes are those of the best set
    seen so far, ``interrupted_`` is True, and a :class:`secateur.SearchInterrupted` warning says so. Where no set has
    had an alignment yet, and in searches by ranking, in :func:`secateur.cross_validate` and in
    :func:`secateur.permutation_test`, which would otherwise mix whole and half searches, the KeyboardInterrupt goes on.

    A forward search begins with sets in which stimuli have no direction (one feature under correlation; sparse
    features), so that no addition has an alignment. Then the feature is added that leaves the fewest pairs of the
    target undefined, ties by the ranking. A backward search ends where every removal leaves a pair undefined.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2 (``"ranking"``, a variant of sequential selection). Breiman, Friedman,
    Olshen & Stone (1984), §3.4.3 (one standard error). Whitney (1971), IEEE Trans. Comput. C-20, 1100-1103
    (``"forward"``). Marill & Green (1963), IEEE Trans. Inf. Theory 9, 11-17 (``"backward"``). Pudil, Novovičová &
    Kittler (1994), Pattern Recognition Letters 15, 1119-1125 (floating); Somol, Pudil, Novovičová & Paclík (1999),
    Pattern Recognition Letters 20, 1157-1163 (its bookkeeping). Meinshausen & Buehlmann (2010), J. R. Stat. Soc. B 72,
    417-473 (``"stable"``); Shah & Samworth (2013), J. R. Stat. Soc. B 75, 55-80 (its halves in pairs).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20, 30))
    >>> target = X[:, :5] @ X[:, :5].T
    >>> pruner = Pruner().fit(X, target)
    >>> pruner.alignment_ > pruner.baseline_
    True
    >>> pruner.transform(X).shape == (20, pruner.n_features_)
    True

    One set for two subjects, which holds feature 7:

    >>> subjects = [target + rng.normal(size=(20, 20)) for _ in range(2)]
    >>> subjects = np.stack([one + one.T for one in subjects])
    >>> pruner = Pruner(joint="mean", fixed_features=[7], kind="similarity").fit(X, subjects)
    >>> pruner.alignments_.shape, bool(pruner.support_[7])
    ((2,), True)
    """

    def __init__(
        self,
        metric: Metric = "cosine",
        comparator: ComparatorOrAlias = "pearson",
        kind: Kind | None = None,
        search: SearchName = "ranking",
        device: Device = "auto",
        threads: int | None = None,
        max_features: int | None = None,
        min_features: int = 1,
        tol: float | None = None,
        patience: int | None = None,
        feature_groups: LabelsLike | None = None,
        inner_cv: int = 5,
        seed: int = 0,
        progress: bool = True,
        precision: Precision = "double",
        joint: Joint = "each",
        fixed_features: SubsetLike | None = None,
        half_samples: int = 100,
        threshold: float = 0.75,
        max_false: float = 1.0,
    ) -> None:
        self.metric = metric
        self.comparator = comparator
        self.kind = kind
        self.search = search
        self.device = device
        self.threads = threads
        self.max_features = max_features
        self.min_features = min_features
        self.tol = tol
        self.patience = patience
        self.feature_groups = feature_groups
        self.inner_cv = inner_cv
        self.seed = seed
        self.progress = progress
        self.precision = precision
        self.joint = joint
        self.fixed_features = fixed_features
        self.half_samples = half_samples
        self.threshold = threshold
        self.max_false = max_false

    def settings(self) -> Settings:
        """The parameters as one record, read and checked: made once a call.

        Returns
        -------
        Settings
            Frozen; refused is what can't be, or a device that can't be had.
        """
        names = [one.name for one in fields(Search) if one.name != "name"]
        search = Search.named(self.search, **{name: getattr(self, name) for name in names})
        terms = self.metric, self.comparator, self.kind, search, self.device, self.threads, self.precision
        return Settings(*terms).checked()

    def prune(
        self, features: Features, targets: Targets, *, stimuli: Indices | None = None, detail: Detail = "path",
        groups: LabelsLike | None = None,
    ) -> Pruned:  # fmt: skip
        """Prune to each of T targets, or to all together (``joint``). The estimator itself is not changed.

        Ctrl-C goes on to the caller.

        ``stimuli``: those to learn from. ``detail``: "support", "importance" or "path" (see
        :class:`secateur.search.Pruned`). ``groups`` (n,): stimuli of one group stay on one side of inner folds.
        """
        settings = self.settings()
        folds = None if stimuli is None else [(stimuli, stimuli)]
        problem = settings.problem(features, targets, folds)
        return settings.search.run(problem, stimuli=stimuli, detail=detail, groups=groups)

    def fit(
        self,
        X: EmbeddingLike,
        target: TargetLike,
        *,
        weights: WeightsLike | None = None,
        control: ControlLike | None = None,
        groups: LabelsLike | None = None,
    ) -> Pruner:
        """Learn which features to keep.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            Finite; computed with in float64, of which float32 takes a copy here: all stimuli are in use
            (:func:`secateur.cross_validate` and :func:`secateur.permutation_test` copy those of one fold at a time).
            With ``search="ranking"`` X, target and weights may lie on a CUDA device, as in
            :func:`secateur.leave_one_out`.
        target : array, rsatoolbox RDMs, or xarray DataArray
            One target, or several where ``joint`` is not ``"each"``, in any form that :func:`secateur.alignment` takes.
        weights : array shaped like a target, optional
            Weight of each pair; 0 or 1 for rank comparators.
        control : matrices, optional
            What the fit must not rest on, as in :func:`secateur.alignment`: alignments are partial.
        groups : array (n,), optional
            Stimuli of one group stay on one side of the inner folds of ``"parsimonious"``, and in one half of
            ``"stable"``; other searches have none.

        Returns
        -------
        Pruner
            Itself, fitted.

        Raises
        ------
        TypeError, ValueError
            Where X, target or weights can't be read or don't fit each other; where a parameter is none of those
            above; where several targets are given and ``joint`` is ``"each"`` (use
            :func:`secateur.cross_validate`, or fit one Pruner each); where a stimulus has no direction; where
            no set that the limits allow has an alignment.

        Warns
        -----
        SearchInterrupted
            Where Ctrl-C ended a sequential search: the best set until then is kept (see Notes above).
        """
        settings = self.settings()
        if target is None:
            raise ValueError("target must be given: fit requires y to be passed, but the target y is None")
        there = settings.search.runs_on_device
        features = read_features(X, device_arrays=there)
        targets = self._read_targets(target, features, weights, control, there)
        if isinstance(features, DeviceFeatures):
            validate_data(self, X, "no_validation", skip_check_array=True)
        else:
            validate_data(self, X, "no_validation", dtype=None, ensure_min_samples=3)
        problem = settings.problem(features, targets, runs=1)
        settings.cost(problem).announce(bool(self.progress))
        pruned = settings.search.run(problem, groups=groups, progress=bool(self.progress), keep_interrupted=True)
        self.support_ = pruned.support[0]
        self.importance_ = pruned.importance[0]
        self.order_ = pruned.order[0]
        self.curve_ = pruned.curve[0]
        self.n_features_ = int(self.support_.sum())
        self.baseline_ = _joined(pruned.baseline, self.joint)
        self.alignment_ = float(pruned.alignment[0])
        if self.joint != "each":
            self.baselines_, self.alignments_ = pruned.baseline, pruned.alignment
            self.alignment_ = float(self.curve_[self.n_features_ - 1])
        if pruned.false_bound is not None:
            self.false_bound_ = float(pruned.false_bound[0])
        self.path_ = pruned.paths[0]
        self.interrupted_ = pruned.interrupted
        if pruned.interrupted:
            warnings.warn(
                f"the {self.search} search was interrupted after {len(self.path_)} steps: the best set until then is "
                f"kept, {self.n_features_} features",
                SearchInterrupted,
                stacklevel=2,
            )
        return self

    def score(
        self,
        X: HostEmbeddingLike,
        target: HostTargetLike,
        *,
        weights: WeightsLike | None = None,
        control: ControlLike | None = None,
    ) -> float:
        """Alignment of the kept features with a target over the same or other stimuli.

        Pairs that are undefined in the kept features are left out, with one warning.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            The features that were there in the fit, kept or not.
        target : array, rsatoolbox RDMs, or xarray DataArray
            One target over these stimuli, or several where ``joint`` is not ``"each"``: of their alignments the mean,
            or the smallest.
        weights : array shaped like a target, optional
            Weight of each pair; 0 or 1 for rank comparators.
        control : matrices, optional
            As in :meth:`fit`; the score is then partial.

        Returns
        -------
        float
            NaN where similarities or target are constant.

        Warns
        -----
        UndefinedPairsWarning
            Once, where pairs were left out.
        """
        check_is_fitted(self, "support_")
        settings = self.settings()
        features = read_features(X)
        validate_data(self, X, dtype=None, reset=False)
        problem = settings.scoring(features, self._read_targets(target, features, weights, control))
        scores, undefined = problem.held_out_alignment(None, self.support_)
        warn_of_undefined_pairs(int(undefined.sum()))
        return _joined(scores, self.joint)

    @overload
    def _read_targets(
        self, target: TargetLike, features: Features, weights: WeightsLike | None, control: ControlLike | None
    ) -> Targets: ...
    @overload
    def _read_targets(
        self, target: TargetLike, features: Features | DeviceFeatures, weights: WeightsLike | None, control:
        ControlLike | None, device_arrays: bool,
    ) -> Targets | DeviceTargets: ...  # fmt: skip
    def _read_targets(
        self, target: TargetLike, features: Features | DeviceFeatures, weights: WeightsLike | None, control:
        ControlLike | None, device_arrays: bool = False,
    ) -> Targets | DeviceTargets:  # fmt: skip
        targets = read_target(
            target, features.n, self.kind, weights, features.stimuli, control=control, device_arrays=device_arrays
        )
        if len(targets) != 1 and self.joint == "each":
            raise ValueError(
                f"target must be one target, got {len(targets)}: fit a Pruner for each, or with joint='mean'"
            )
        return targets

    def _get_support_mask(self) -> npt.NDArray[np.bool_]:
        check_is_fitted(self, "support_")
        support: npt.NDArray[np.bool_] = self.support_
        return support

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
