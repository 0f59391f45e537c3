"""How to prune, checked once a call: a search with its limits, and the whole of what a Pruner was told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_integer, check_seed, check_share, is_number, quoted
from ..cost import Cost, by_moments
from ..execution import WORTH_CUDA, Execution, check_device, multiply_adds, thread_count
from ..features import DeviceFeatures, Features, Indices, Matrix, as_array, read_features, read_order
from ..measures import Joint, SearchRow, check_comparator, check_joint, check_metric, search_row
from ..problem import Problem, device_array
from ..progress import Report, bar, part_of
from ..targets import DeviceTargets, Targets, read_target
from .groups import Groups, read_groups
from .result import Detail, Mask, Pruned
from .scorer import Scorer, explained_baseline

if TYPE_CHECKING:
    from .._typing import ControlLike, EmbeddingLike, LabelsLike, TargetLike, WeightsLike
    from ..execution import Device, Precision
    from ..measures import ComparatorOrAlias, Metric
    from ..measures import Search as SearchName
    from ..targets import Kind

__all__ = ["Search", "Settings"]


@dataclass(frozen=True)
class Search:
    """A search and its limits, as :class:`secateur.Pruner` takes them; :meth:`check` refuses what can't be.

    What is one's own is :meth:`choose`, and of a search that the core does as a whole :meth:`run_whole`; its row in
    :mod:`secateur.measures` says what it is like and where it is.
    """

    name: SearchName = "ranking"
    max_features: int | None = None
    min_features: int = 1
    tol: float | None = None
    patience: int | None = None
    feature_groups: Any = None
    inner_cv: int = 5
    seed: int = 0
    joint: Joint = "each"
    fixed_features: Any = None
    half_samples: int = 100
    threshold: float = 0.75
    max_false: float = 1.0

    def check(self) -> Search:
        check_joint(self.joint)
        check_integer("half_samples", self.half_samples, 2)
        if check_share("threshold", self.threshold, one=True) <= 0.5:
            raise ValueError(f"threshold must be above 0.5 and at most 1, got {self.threshold!r}")
        if not is_number(self.max_false) or not 0 < self.max_false < np.inf:
            raise ValueError(f"max_false must be a finite number above 0, got {self.max_false!r}")
        check_integer("max_features", self.max_features, 1, optional=True)
        check_integer("min_features", self.min_features, 1)
        check_integer("patience", self.patience, 1, optional=True)
        check_integer("inner_cv", self.inner_cv, 2)
        check_seed(self.seed)
        if self.tol is not None and not (is_number(self.tol) and np.isfinite(self.tol)):
            raise ValueError(f"tol must be a finite number or None, got {self.tol!r}")
        if self.max_features is not None and self.max_features < self.min_features:
            raise ValueError(
                f"max_features must not be below min_features ({self.min_features}), got {self.max_features}"
            )
        return self

    @property
    def row(self) -> SearchRow:
        return search_row(self.name)

    @property
    def runs_on_device(self) -> bool:
        """Whether all of it runs where X lies, on a device say; other searches come back to the host at each step."""
        plain = self.feature_groups is None and self.fixed_features is None
        return self.row.whole_on_device and plain and self.joint == "each"

    def refuse_joint(self, where: str) -> None:
        """Refuse a set of features that targets share, where there is none."""
        if self.joint != "each":
            raise ValueError(f"joint must be 'each' in {where}, got {self.joint!r}")

    def fixed(self, features: Features, groups: Groups) -> Mask:
        """The groups (G,) of the features that always stay, which are given by index, as a mask, or by name."""
        given, d = self.fixed_features, features.d
        inside = np.zeros(len(groups), dtype=bool)
        if given is None:
            return inside
        array = as_array(given, "fixed_features")
        if array.dtype.kind in "OUS" and array.ndim == 1 and array.size:
            places = {name: k for k, name in enumerate(features.names or ())}
            unknown = [str(name) for name in array if str(name) not in places]
            if unknown:
                raise ValueError(f"fixed_features must name features of X, got {quoted(unknown)}")
            array = np.array([places[str(name)] for name in array])
        inside[groups.of[read_order(array, d, "fixed_features", empty=True)]] = True
        most, count = self.most(d), int(groups.sizes[inside].sum())
        if count > most:
            raise ValueError(f"max_features must be at least the {count} fixed features, got {most}")
        return inside

    def check_sizes(self, n: int, groups: LabelsLike | None) -> None:
        """Refuse to learn from so many stimuli, of these groups, where the search divides them and they are too few."""

    def cost(self, stimuli: int, features: int, targets: int, runs: int = 1) -> float:
        """About how many multiply-adds so many searches take; those that rank on parts of the stimuli not included."""
        return multiply_adds(stimuli, features, targets, runs) * (1 if self.row.ranks else features)

    def most(self, d: int) -> int:
        """The largest number of features that may be kept, of d."""
        for name in ("max_features", "min_features"):
            value = getattr(self, name)
            if value is not None and value > d:
                raise ValueError(f"{name} must be at most the {d} features of X, got {value}")
        return d if self.max_features is None else int(self.max_features)

    @classmethod
    def named(cls, name: str, **limits: Any) -> Search:
        """The search of this name, checked."""
        module, found = search_row(name).found_in.split(".")
        search: Search = getattr(import_module(f".{module}", __package__), found)(name, **limits)
        return search.check()

    def run(
        self, problem: Problem, *, stimuli: Indices | None = None, detail: Detail = "path", groups: LabelsLike | None =
        None, progress: bool = False, keep_interrupted: bool = False, report: Report | None = None,
    ) -> Pruned:  # fmt: skip
        """Find the features to keep, for each target by itself or for all of them (``joint``).

        Parameters
        ----------
        problem : Problem
            What is aligned with what, and where.
        stimuli : (m,) int64, optional
            Those to learn from; all by default.
        detail : {"support", "importance", "path"}
            How much of what is found is to be brought along; each holds what stands before it.
        groups : array (n,), optional
            Stimuli of one group stay on one side of inner folds.
        progress : bool
            Whether a bar of its own may show, on stderr, once the search has taken two seconds.
        keep_interrupted : bool
            Whether Ctrl-C in a sequential search ends it with the best set seen (``Pruned.interrupted``); else, or
            where no set with a defined alignment has been seen, the KeyboardInterrupt goes on. One target only.
        report : callable, optional
            Told now and then what share is done, by a search that the core does as a whole.

        Returns
        -------
        Pruned
        """
        n, d = problem.features.n, problem.features.d
        most = self.most(d)
        if groups is not None and np.shape(groups) != (n,):
            raise ValueError(f"groups must have one entry for each of {n} stimuli, got shape {np.shape(groups)}")
        if self.runs_on_device and problem.targets.controls is None:
            # Little work takes no two seconds, with any comparator, and loads no bars.
            if not progress or self.cost(n, d, len(problem.targets)) < WORTH_CUDA:
                return self.run_whole(problem, most, stimuli, detail, report)
            with bar(1, self.name, True) as shown:
                return self.run_whole(problem, most, stimuli, detail, part_of(shown))
        if groups is not None and stimuli is not None:
            groups = np.asarray(groups)[stimuli]
        known = problem.among(stimuli, loaded=True)
        together = read_groups(self.feature_groups, d)
        scorer = Scorer.of(known, together, self.joint, self.fixed(known.host[0], together))
        by_target = explained_baseline(scorer.problem)
        baseline = scorer.joined(by_target)
        importance = baseline[:, None] - scorer.after_each(np.ones(len(scorer.groups), dtype=bool), adding=False)
        found = self.choose(
            scorer, baseline, importance, most, groups, progress=progress, keep_interrupted=keep_interrupted
        )
        return found if self.joint == "each" else scorer.for_each_target(found, by_target)

    def run_for_others(
        self, problem: Problem, whose: Indices, *, stimuli: Indices | None = None, groups: LabelsLike | None = None
    ) -> Pruned:
        """For each subject the set of features that all other subjects' targets share (``joint``).

        Parameters
        ----------
        problem, stimuli, groups
            As in :meth:`run`.
        whose : (T,) int64
            The subject of each target, from 0.

        Returns
        -------
        Pruned
            A row for each target: its subject's. Alignments are the joint ones of the others.
        """
        if self.joint == "each":
            raise ValueError("joint must be 'mean' or 'min' where features are chosen on other subjects, got 'each'")
        if groups is not None and stimuli is not None:
            groups = np.asarray(groups)[stimuli]
        known, d = problem.among(stimuli), problem.features.d
        together, most = read_groups(self.feature_groups, d), self.most(d)
        fixed = self.fixed(known.host[0], together)
        by_target = explained_baseline(known)
        everything = np.ones(len(together), dtype=bool)
        without = Scorer.of(known, together).after_each(everything, adding=False)  # of all targets at once
        targets, found = known.host[1], []
        for s in range(int(whose.max()) + 1):
            others = np.flatnonzero(whose != s)
            scorer = Scorer.of(known.against(targets.select(others)), together, self.joint, fixed)
            baseline = scorer.joined(by_target[others])
            importance = baseline[:, None] - scorer.joined(without[others])
            how = {"progress": False, "keep_interrupted": False}
            found.append(self.choose(scorer, baseline, importance, most, groups, **how))
        names = ("baseline", "importance", "order", "curve", "support", "alignment")
        rows: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in found])[whose] for name in names}
        return Pruned(**rows, walked=tuple(found[s].paths[0] for s in whose))

    def run_whole(
        self, problem: Problem, most: int, stimuli: Indices | None, detail: Detail, report: Report | None
    ) -> Pruned:
        """The search in the compiled core, where X lies; of a search whose row says ``whole_on_device``."""
        raise NotImplementedError(f"search {self.name!r} is done whole by the core, and must say how")

    def choose(
        self, scorer: Scorer, baseline: Matrix, importance: Matrix, most: int, stimulus_groups: LabelsLike | None,
        *, progress: bool, keep_interrupted: bool,
    ) -> Pruned:  # fmt: skip
        """From the alignment (R,) of all groups of features, and what each takes with it (R, G): one row a target, or
        one for all."""
        raise NotImplementedError(f"search {self.name!r} goes on from a first ranking, and must say how")

    def refuse_limits(self) -> ValueError:
        return ValueError(
            f"max_features and min_features must allow a set of features in which the alignment is defined, got "
            f"{self.max_features!r} and {self.min_features!r}, which allow none that the search has seen"
        )


@dataclass(frozen=True)
class Settings:
    """What a :class:`secateur.Pruner` was told, checked once a call; what it makes of X and target is a Problem."""

    metric: Metric = "cosine"
    comparator: ComparatorOrAlias = "pearson"
    kind: Kind | None = None
    search: Search = field(default_factory=lambda: Search.named("ranking"))
    device: Device = "auto"
    threads: int | None = None
    precision: Precision = "double"

    def checked(self) -> Settings:
        """With the names that stand for others resolved; refused is what can't be, or a device that can't be had."""
        check_device(self.device)
        terms = check_metric(self.metric), check_comparator(self.comparator)
        return replace(self, metric=terms[0], comparator=terms[1], threads=thread_count(self.threads))

    def read(
        self,
        X: EmbeddingLike,
        target: TargetLike,
        weights: WeightsLike | None = None,
        control: ControlLike | None = None,
    ) -> tuple[Features | DeviceFeatures, Targets | DeviceTargets]:
        """X and target in any form; arrays on a device where the search runs there, and X of float32 as it is."""
        features = self.read_features(X)
        return features, read_target(
            target,
            features.n,
            self.kind,
            weights,
            features.stimuli,
            control=control,
            device_arrays=self.search.runs_on_device,
        )

    def read_features(self, X: EmbeddingLike) -> Features | DeviceFeatures:
        """X in any form: as it lies where the core does the whole search."""
        whole = self.search.runs_on_device
        return read_features(X, device_arrays=whole, single=whole)

    def problem(
        self, features: Features | DeviceFeatures, targets: Targets | DeviceTargets,
        folds: Sequence[tuple[Indices, Indices]] | None = None, runs: int | None = None,
    ) -> Problem:  # fmt: skip
        """Loaded where the searches of all folds run, ``runs`` times (None: more often than can be said)."""
        stimuli = features.n if folds is None else max(len(train) for train, _ in folds)
        work = math.inf
        if runs is not None:
            count = 1 if folds is None else len(folds)
            work = self.search.cost(stimuli, features.d, len(targets) * runs, count)
        execution = Execution.resolved(
            self.device, self.threads, self.precision, comparator=self.comparator, stimuli=stimuli,
            device_array=device_array(features, targets), work=work,
        )  # fmt: skip
        return Problem(features, targets, self.metric, self.comparator, execution).load()

    def cost(
        self, problem: Problem, folds: Sequence[tuple[Indices, Indices]] | None = None, runs: int = 1, together: int = 1
    ) -> Cost:
        """What the searches of all folds take, ``runs`` times, ``together`` of them in a call."""
        n, d, targets, search = problem.features.n, problem.features.d, len(problem.targets), self.search
        rows, q = targets, 0
        if problem.targets.controls is not None:
            if by_moments(problem) and problem.execution.device == "cpu":
                q = len(problem.targets.controls)  # one more sum beside the five of a target
            else:
                rows += problem.targets.control_rows
        effort = search.cost(n, d, rows) / multiply_adds(n, d, targets) * (5 + q) / 5
        if search.row.inner_folds:
            effort *= 1 + search.inner_cv
        if search.row.half_samples:
            effort *= 1 + search.half_samples / 8  # a quarter of the pairs, of the half of a search that ranks
        training = [n] if folds is None else [len(train) for train, _ in folds]
        return Cost(problem, training, runs, together, effort, not search.row.ranks, folds is not None)

    def scoring(self, features: Features, targets: Targets) -> Problem:
        """For single spaces, which are scored on the processor."""
        assert self.threads is not None
        return Problem(features, targets, self.metric, self.comparator, Execution(threads=self.threads))
