"""How to prune, checked once a call: a search with its limits, and the whole of what a Pruner was told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_integer, check_seed, is_number
from ..cost import Cost
from ..execution import WORTH_CUDA, Execution, check_device, multiply_adds, thread_count
from ..features import DeviceFeatures, Features, Indices, Matrix, read_features
from ..measures import SearchRow, check_comparator, check_metric, search_row
from ..problem import Problem, device_array
from ..progress import Report, bar, part_of
from ..targets import DeviceTargets, Targets, read_target
from .groups import read_groups
from .result import Detail, Pruned
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

    def check(self) -> Search:
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
        return self.row.whole_on_device and self.feature_groups is None

    def cost(self, stimuli: int, features: int, targets: int, runs: int = 1) -> float:
        """About how many multiply-adds so many searches take."""
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
        """Find the features to keep, for each target by itself.

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
        scorer = Scorer.of(problem.among(stimuli), read_groups(self.feature_groups, d))
        baseline = explained_baseline(scorer.problem)
        importance = baseline[:, None] - scorer.after_each(np.ones(len(scorer.groups), dtype=bool), adding=False)
        return self.choose(
            scorer, baseline, importance, most, groups, progress=progress, keep_interrupted=keep_interrupted
        )

    def run_whole(
        self, problem: Problem, most: int, stimuli: Indices | None, detail: Detail, report: Report | None
    ) -> Pruned:
        """The search in the compiled core, where X lies; of a search whose row says ``whole_on_device``."""
        raise NotImplementedError(f"search {self.name!r} is done whole by the core, and must say how")

    def choose(
        self, scorer: Scorer, baseline: Matrix, importance: Matrix, most: int, stimulus_groups: LabelsLike | None,
        *, progress: bool, keep_interrupted: bool,
    ) -> Pruned:  # fmt: skip
        """From the alignment (T,) of all groups of features, and what each takes with it (T, G)."""
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
        """Loaded where the searches of all folds run, ``runs`` times (None: more often than can be said).

        A search that comes back to the host at each step brings its part of X to a device by itself.
        """
        stimuli = features.n if folds is None else max(len(train) for train, _ in folds)
        work = math.inf
        if runs is not None:
            count = 1 if folds is None else len(folds)
            work = self.search.cost(stimuli, features.d, len(targets) * runs, count)
        execution = Execution.resolved(
            self.device, self.threads, self.precision, comparator=self.comparator, stimuli=stimuli,
            device_array=device_array(features, targets), work=work,
        )  # fmt: skip
        problem = Problem(features, targets, self.metric, self.comparator, execution)
        return problem.load() if self.search.runs_on_device else problem

    def cost(
        self, problem: Problem, folds: Sequence[tuple[Indices, Indices]] | None = None, runs: int = 1, together: int = 1
    ) -> Cost:
        """What the searches of all folds take, ``runs`` times, ``together`` of them in a call."""
        n, d, targets, search = problem.features.n, problem.features.d, len(problem.targets), self.search
        effort = search.cost(n, d, targets) / multiply_adds(n, d, targets)
        if search.row.inner_folds:
            effort *= 1 + search.inner_cv
        training = [n] if folds is None else [len(train) for train, _ in folds]
        return Cost(problem, training, runs, together, effort, not search.row.ranks, folds is not None)

    def scoring(self, features: Features, targets: Targets) -> Problem:
        """For single spaces, which are scored on the processor."""
        assert self.threads is not None
        return Problem(features, targets, self.metric, self.comparator, Execution(threads=self.threads))
