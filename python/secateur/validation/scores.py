"""One fold pruned and scored, and the folds of all targets collected."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..features import Indices, Matrix
from ..measures import check_comparator, search_row
from ..problem import Problem
from ..progress import Report
from ..provenance import own_version
from ..pruning import Pruned, Pruner
from ..pruning.result import Detail
from ..pruning.settings import Search
from ..resuming import Arrays
from ..targets import DeviceTargets, Targets

if TYPE_CHECKING:
    import xarray

    from .._typing import LabelsLike, Splits
    from ..targets import Kind
from .folds import Fold

__all__ = [
    "FoldScores", "arrays_of", "attributes", "collect", "cv_name", "names_or_numbers", "pruned_of", "score_fold",
]  # fmt: skip

PRUNED = ("baseline", "importance", "order", "curve", "support", "alignment")


@dataclass(frozen=True)
class FoldScores:
    """Alignments of T targets in one fold, before and after pruning, in and out of sample."""

    full_train: Matrix
    full_test: Matrix
    pruned_train: Matrix
    pruned_test: Matrix
    undefined: Indices
    pruned: Pruned

    def arrays(self) -> Arrays:
        """As a store keeps them."""
        return {"full_test": self.full_test, "pruned_test": self.pruned_test, "undefined": self.undefined} | arrays_of(
            self.pruned
        )

    @classmethod
    def of(cls, arrays: Arrays) -> FoldScores:
        """As a store had them."""
        pruned = pruned_of(arrays)
        test = arrays["full_test"], pruned.alignment, arrays["pruned_test"], arrays["undefined"]
        return cls(pruned.baseline, *test, pruned)


def arrays_of(pruned: Pruned) -> Arrays:
    """What a store keeps of a pruning."""
    return {name: getattr(pruned, name) for name in PRUNED}


def pruned_of(arrays: Arrays) -> Pruned:
    """A pruning as a store had it, without the steps to its sets."""
    baseline, importance, order, curve, support, alignment = (arrays[name] for name in PRUNED)
    return Pruned(baseline, importance, order, curve, support, alignment, walked=())


def score_fold(
    problem: Problem, fold: Fold, search: Search, *, detail: Detail = "support", groups: LabelsLike | None = None,
    report: Report | None = None, whose: Indices | None = None,
) -> FoldScores:  # fmt: skip
    """Prune on the training stimuli's pairs, score on the test stimuli's. Nothing else crosses.

    ``groups`` (n,) are kept whole in the inner folds of a search that has some. ``report`` is told how far it is.
    ``whose`` (T,): features are chosen on the targets of all other subjects than the one that is scored.
    """
    train, test = fold
    if whose is None:
        pruned = search.run(problem, stimuli=train, detail=detail, groups=groups, report=report)
    else:
        pruned = search.run_for_others(problem, whose, stimuli=train, groups=groups)
    full, _ = problem.held_out_alignment(test)
    scores, undefined = problem.held_out_alignment(test, pruned.support)
    return FoldScores(pruned.baseline, full, pruned.alignment, scores, undefined, pruned)


def attributes(
    pruner: Pruner, kind: Kind, cv: Splits, repeats: int, seed: int, controls: Matrix | None = None
) -> dict[str, Any]:
    """What a result records of how it was made."""
    limits = {name: getattr(pruner, name) for name in ("max_features", "tol", "patience")}
    if pruner.min_features > 1:
        limits["min_features"] = pruner.min_features
    if pruner.precision != "double":
        limits["precision"] = pruner.precision
    row = search_row(pruner.search)
    if row.inner_folds:
        limits |= {"inner_cv": pruner.inner_cv}
    if row.half_samples:
        limits |= {name: getattr(pruner, name) for name in ("half_samples", "threshold", "max_false")}
    if row.draws_stimuli:
        limits |= {"search_seed": pruner.seed}
    if pruner.joint != "each":
        limits |= {"joint": pruner.joint}
    if pruner.fixed_features is not None:
        given = np.asarray(pruner.fixed_features)
        chosen = np.flatnonzero(given) if given.dtype == np.bool_ else given
        limits |= {"fixed_features": ", ".join(map(str, chosen))}
    return {
        "metric": pruner.metric, "comparator": check_comparator(pruner.comparator), "kind": kind,
        "search": pruner.search,
        **{name: value for name, value in limits.items() if value is not None},
        **({} if controls is None else {"controls": len(controls)}),
        "cv": cv_name(cv),
        "repeats": int(repeats), "seed": int(seed), "secateur_version": own_version(),
    }  # fmt: skip


def cv_name(cv: Splits) -> str:
    """What a result calls its folds: the same in every process, so without the addresses that some reprs hold."""
    named = isinstance(cv, (int, np.integer)) or hasattr(cv, "split")
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(cv)) if named else "given folds"


def names_or_numbers(given: tuple[str, ...] | None, count: int) -> npt.NDArray[Any]:
    return np.arange(count) if given is None else np.asarray(given, dtype=object).astype(str)


def collect(
    scores: Iterable[FoldScores], folds: list[Fold], repeat: Indices, targets: Targets | DeviceTargets,
    names: tuple[npt.NDArray[Any], npt.NDArray[Any]], settings: dict[str, Any], *, curves: bool = True,
    ceiling: tuple[Matrix, Matrix] | None = None,
) -> xarray.Dataset:  # fmt: skip
    """All folds' scores, as :func:`cross_validate` returns them; ``names`` are those of features and of stimuli.

    ``ceiling``: lower and upper bound (fold, target).
    """
    import xarray

    d, n = map(len, names)
    shape = (len(targets), len(folds))
    scalars = {name: np.empty(shape) for name in ("full_train", "full_test", "pruned_train", "pruned_test")}
    undefined = np.zeros(shape, dtype=np.int64)
    kept = np.zeros((*shape, d), dtype=bool)
    importance = np.empty((*shape, d))
    curve = np.empty((*shape, d)) if curves else None
    test = np.zeros((len(folds), n), dtype=bool)
    for f, one in enumerate(scores):
        for name, values in scalars.items():
            values[:, f] = getattr(one, name)
        undefined[:, f] = one.undefined
        kept[:, f] = one.pruned.support
        importance[:, f] = one.pruned.importance
        if curve is not None:
            curve[:, f] = one.pruned.curve
        test[f, folds[f][1]] = True
    variables: dict[str, Any] = {name: (("target", "fold"), values) for name, values in scalars.items()}
    variables |= {
        "n_kept": (("target", "fold"), kept.sum(axis=-1)),
        "undefined_pairs": (("target", "fold"), undefined),
        "kept": (("target", "fold", "feature"), kept),
        "importance": (("target", "fold", "feature"), importance),
        "test": (("fold", "stimulus"), test),
    }
    if ceiling is not None:
        variables |= {f"ceiling_{which}": (("target", "fold"), of.T) for which, of in zip(("lower", "upper"), ceiling)}
    if curve is not None:
        variables["curve"] = (("target", "fold", "step"), curve)
    coords = {
        "target": names_or_numbers(targets.labels, len(targets)),
        "fold": np.arange(len(folds)),
        "repeat": ("fold", repeat),
        "feature": names[0],
        "stimulus": names[1],
    }
    if curve is not None:
        coords["step"] = np.arange(1, d + 1)
    return xarray.Dataset(variables, coords, settings)
