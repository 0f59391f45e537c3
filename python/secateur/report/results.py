"""What the pictures ask of a result: its target, its words, how it was made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import check_integer
from ..measures import search_row
from ..statistics import mean_of_defined
from ..targets import Targets, read_target
from . import drawing

if TYPE_CHECKING:
    from .._typing import HostTargetLike
    from ..features import Features
    from ..targets import Kind

__all__ = [
    "by_importance", "check_null", "checked_target", "consensus", "held_by", "result_facts", "result_first",
    "run_facts", "search_of", "target_name", "targets_of", "things_of", "title_end", "what_targets_are",
]  # fmt: skip


Given = ParamSpec("Given")
Made = TypeVar("Made")


def result_first(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """A function whose first argument is the result, which may still come where it was before version 0.2."""

    @wraps(function)
    def call(*given: Given.args, **named: Given.kwargs) -> Made:
        later = next((i for i, one in enumerate(given) if i and isinstance(one, xarray.Dataset)), 0)
        if not given or isinstance(given[0], xarray.Dataset) or not (later or "result" in named):
            return function(*given, **named)
        words = f"report.{function.__name__} takes the result as its first argument; another order goes in version 0.4"
        warnings.warn(words, DeprecationWarning, stacklevel=2)
        moved: Any = function
        if "result" in named:
            return cast("Made", moved(named.pop("result"), *given, **named))
        return cast("Made", moved(given[later], *given[:later], *given[later + 1 :], **named))

    return call


def search_of(result: xarray.Dataset) -> str:
    return str(result.attrs.get("search", "ranking"))


def by_importance(result: xarray.Dataset) -> bool:
    """Whether curves are insertions in order of importance; else they are a search's best sets by size."""
    return search_row(search_of(result)).ranks


def what_targets_are(result: xarray.Dataset) -> str:
    """What several targets are called: subjects or regions, where the result says so."""
    return str(result.attrs.get("targets", "targets"))


def things_of(result: xarray.Dataset) -> str:
    """What was kept or not: features, unless the result says otherwise."""
    return str(result.attrs.get("features", "features")).split(", masked by")[0]  # parts of a transformer say by what


def consensus(result: xarray.Dataset, target: int = 0) -> npt.NDArray[np.bool_]:
    """The features kept in at least half of the folds; where none is, those kept in any fold.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    target : int
        Position of the target.

    Returns
    -------
    ndarray of bool, shape (d,)

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> consensus(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3)).shape
    (20,)
    """
    kept = result["kept"].values[checked_target(result, target)]
    often: npt.NDArray[np.bool_] = kept.mean(axis=0) >= 0.5
    return often if often.any() else kept.any(axis=0)


def checked_target(result: xarray.Dataset, target: int) -> int:
    """The position of a target that the result has."""
    return check_integer("target", target, 0, result.sizes["target"] - 1)


def targets_of(target: HostTargetLike, features: Features, result: xarray.Dataset) -> Targets:
    """The target that a result was made with, in the order of the features' stimuli."""
    targets = read_target(target, features.n, cast("Kind", str(result.attrs["kind"])), stimuli=features.stimuli)
    if len(targets) != result.sizes["target"]:
        raise ValueError(f"target must hold the {result.sizes['target']} targets of the result, got {len(targets)}")
    return targets


def check_null(result: xarray.Dataset, permutations: xarray.Dataset | None) -> None:
    """Refuse a null of other targets or another run: it observed what the result holds."""
    if permutations is None:
        return
    count, own = result.sizes["target"], permutations.sizes["target"]
    if own != count:
        raise ValueError(f"permutations must be of the result's {count} targets, got {own}")
    if "observed_pruned_test" not in permutations:
        return
    held, observed = mean_of_defined(result["pruned_test"].values.T), permutations["observed_pruned_test"].values
    # two runs of one plan differ by the order of sums at most
    if not np.allclose(held, observed, rtol=0, atol=1e-6, equal_nan=True):
        t = int(np.argmin(np.isclose(held, observed, rtol=0, atol=1e-6, equal_nan=True)))
        raise ValueError(
            f"permutations must be of the result's run (X, target, pruner, cv, repeats and seed), got a null that "
            f"observed {observed[t]:.3f} where the result has {held[t]:.3f} (pruned, held out, target {t})"
        )


def target_name(result: xarray.Dataset, target: int) -> str:
    """The target's label, where it has one that is more than its position."""
    name = str(result["target"].values[target])
    return "" if name == str(target) else drawing.shortened(name, 40)


def title_end(result: xarray.Dataset, target: int) -> str:
    name = target_name(result, target)
    if name:
        return f": {drawing.drawn_name(name, 20)}"
    return f": target {target}" if result.sizes["target"] > 1 else ""


def result_facts(result: xarray.Dataset, n: int, d: int, t: int) -> list[str]:
    """How a result was made, in a line."""
    attrs = result.attrs
    name, count = target_name(result, t), result.sizes["target"]
    which = f"target {t + 1} of {count}" if count > 1 else "target" if name else ""
    of_target = [f"{which}: {name}" if name else which] if which else []
    unit = drawing.unit_of(result)
    what = [f"{n} stimuli", f"{d} features", f"{attrs['metric']} similarity", f"alignment in {unit}"]
    return [*of_target, *what, *run_facts(result)]


def held_by(attrs: Mapping[str, Any]) -> str:
    """What a result's target held: choices of odd ones out, or its kind."""
    return str(attrs.get("target_holds", attrs["kind"]))


def run_facts(result: xarray.Dataset) -> list[str]:
    """The folds, the seed and the version of a result."""
    folds, repeats = f"{result.sizes['fold']} folds of stimuli", int(result.attrs["repeats"])
    folds += f" ({repeats} repeats)" if repeats > 1 else ""
    over = str(result.attrs.get("over", "stimuli"))
    if over != "stimuli" and "joint" in result.attrs:
        left_out = f"each subject left out of a choice by the {result.attrs['joint']}"
        folds = left_out if over == "subjects" else f"{left_out}, {folds}"
    return [folds, f"seed {result.attrs['seed']}", f"Secateur {result.attrs['secateur_version']}"]
