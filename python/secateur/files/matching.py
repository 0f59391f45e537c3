"""Stimuli matched by their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..arguments import quoted
from ..features import Indices
from ..pairs import pair_positions
from ..reading import can_be_stored
from .entries import Array, FileError, Loaded, Names, place_words

if TYPE_CHECKING:
    from ..targets import Kind

__all__ = ["FEATURES", "STIMULI", "TARGETS", "check_names", "match", "order_by_name", "order_taken", "stated_kind"]
STIMULI = ("labels", "stimuli", "stimulus", "items", "conditions", "conds")
TARGETS = {
    **dict.fromkeys(("targets", "target"), None),
    **dict.fromkeys(("subjects", "subject", "participants", "participant"), "subjects"),
    **dict.fromkeys(("regions", "region", "rois", "roi", "areas", "area"), "regions"),
}  # what several targets are called, and are
FEATURES = ("feature", "feature_names", "nodes")


def stated_kind(target: Loaded, kind: str | None) -> Kind | None:
    """What a target holds: what its file says, or what is said here; None where neither tells.

    Parameters
    ----------
    target : Loaded
        From :func:`read_target_file`.
    kind : {"similarity", "dissimilarity"}, optional
        What is said here.

    Raises
    ------
    FileError
        Where the two say different things.
    """
    if None not in (kind, target.kind) and kind != target.kind:
        claim = "holds rsatoolbox RDMs, which are" if target.key == "dissimilarities" else "says that it holds"
        held = {"similarity": "similarities", "dissimilarity": "dissimilarities"}[str(target.kind)]
        raise FileError(
            f"{place_words(target.path, target.key)} {claim} {held}: pass kind={target.kind!r}, got {kind!r}"
        )
    return cast("Kind | None", target.kind or kind)


def match(target: Loaded, features: Loaded) -> tuple[Array, str | None]:
    """The target's values in the order of the features' stimuli.

    Parameters
    ----------
    target : Loaded
        From :func:`read_target_file`.
    features : Loaded
        From :func:`read_features_file`.

    Returns
    -------
    values : ndarray
        Reordered by name where both files name their stimuli in different orders.
    note : str or None
        A sentence on what was done or taken for granted.

    Raises
    ------
    FileError
        Where both files name their stimuli and the names differ, or one comes twice.
    """
    if target.stimuli is None and features.stimuli is None:
        return target.values, order_taken(features.path.name, target.path.name, None)
    if target.stimuli is None or features.stimuli is None:
        silent, named = (target, features) if target.stimuli is None else (features, target)
        return target.values, order_taken(silent.path.name, named.path.name, named.stimuli)
    order = order_by_name(target.stimuli, features.stimuli, target.path.name, features.path.name)
    if (order == np.arange(len(order))).all():
        return target.values, None
    note = (
        f"the stimuli of {target.path.name} were reordered by name to the order of {features.path.name}: "
        f"{_first(features.stimuli)} where they were {_first(target.stimuli)}"
    )
    values, n = target.values, len(order)
    if values.ndim >= 2 and values.shape[-2:] == (n, n):
        return values[..., order[:, None], order], note
    return values[..., pair_positions(order, n)], note


def order_taken(silent: str, other: str, names: Sequence[str] | None) -> str:
    """What is said where stimuli can't be matched by name: the greatest risk of a run, since nothing can notice.

    Parameters
    ----------
    silent, other : str
        What has no names, and what it is laid against.
    names : sequence of str or None
        Those of the other, if it has any.
    """
    if names is None:
        return f"neither {silent} nor {other} names stimuli: their order is taken to be the same"
    return f"{silent} names no stimuli: its order is taken to be that of {other}: {_first(names)}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(str, names[:3])) + (", …" if len(names) > 3 else "")


def order_by_name(names: Names, stimuli: Names, here: str, there: str) -> Indices:
    """Where the name of each of these stimuli is among names; both must be the same set."""
    for listed, file in ((names, here), (stimuli, there)):
        seen: set[str] = set()
        for name in listed:
            if name in seen:
                raise FileError(f"{file} must name each stimulus once to be matched by name, got {name!r} twice")
            seen.add(name)
    missing = [name for name in stimuli if name not in set(names)]
    extra = [name for name in names if name not in set(stimuli)]
    if missing or extra:
        lacks = f"lacks {quoted(missing)}" if missing else ""
        adds = f"has {quoted(extra)} beside them" if extra else ""
        raise FileError(f"{here} must name the stimuli of {there}, but it {' and '.join(filter(None, (lacks, adds)))}")
    at = {name: i for i, name in enumerate(names)}
    return np.array([at[name] for name in stimuli], dtype=np.int64)


def check_names(names: Iterable[str], path: Path) -> None:
    """Refuse names that no results file can hold, before any work."""
    for name in names:
        if not can_be_stored(name):
            raise FileError(f"{path.name} must hold names that can be stored, without NUL and in Unicode, got {name!r}")
