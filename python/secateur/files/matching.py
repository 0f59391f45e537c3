"""Stimuli matched by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
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

__all__ = [
    "ENDING",
    "FEATURES",
    "STIMULI",
    "TARGETS",
    "check_names",
    "left_out",
    "match",
    "order_by_name",
    "order_taken",
    "places_among",
    "stated_kind",
    "swapped_words",
]
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
    cut = _alike(target.stimuli, features.stimuli)[2]
    ends = f"names of {target.path.name} and {features.path.name} were matched without {cut}" if cut else None
    if (order == np.arange(len(order))).all():
        return target.values, ends
    note = (
        f"the stimuli of {target.path.name} were reordered by name to the order of {features.path.name}: "
        f"{_first(features.stimuli)} where they were {_first(target.stimuli)}" + (f"; {ends}" if ends else "")
    )
    values, n = target.values, len(order)
    if values.ndim >= 2 and values.shape[-2:] == (n, n):
        return values[..., order[:, None], order], note
    return values[..., pair_positions(order, n)], note


def swapped_words(features: Array, target: Array) -> str:
    """What to say where features and target look as if they were given the other way round; empty where not."""
    n = len(features)
    square = features.shape == (n, n) and np.allclose(features, features.T, equal_nan=True)
    table = target.ndim == 2 and len(target) == n != target.shape[1]
    return "are FEATURES and TARGET given the other way round?" if square and table else ""


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


ENDING = re.compile(r"\.(png|jpe?g|bmp|gif|tiff?|webp|ppm|pgm)$", re.IGNORECASE)


# Photographs are often named with the extension in one file and without in another, or with the folder of a class.
CUTS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", str),
    ("the extensions of files", lambda name: ENDING.sub("", name)),
    ("the folders and extensions of files", lambda name: ENDING.sub("", re.split(r"[\\/]", name)[-1])),
)


def places_among(stimuli: Names | None, names: Names, here: str, there: str, count: int) -> tuple[Indices, str | None]:
    """Where the photographs of the stimuli are among all of a folder, and a sentence on what was done.

    Parameters
    ----------
    stimuli : tuple of str, or None
        Names of the stimuli; without names there have to be as many photographs, in the same order.
    names : tuple of str
        Of the photographs, of which there may be more.
    here, there : str
        What the folder and the file of the stimuli are called.
    count : int
        How many stimuli there are.

    Raises
    ------
    FileError
        Where a stimulus has no photograph, or nothing names the stimuli and there are more or fewer photographs.
    """
    if stimuli is None:
        if len(names) != count:
            raise FileError(
                f"{here} must hold a photograph for each of the {count} stimuli, which {there} does not name, "
                f"got {len(names)}"
            )
        return np.arange(count, dtype=np.int64), order_taken(there, here, names)
    missing = list(stimuli)
    for cut, shorter in CUTS:
        at = {shorter(name): i for i, name in enumerate(names)}
        if len(at) < len(names):  # two photographs would have one name
            continue
        if all(shorter(name) in at for name in stimuli):
            note = f"photographs of {here} were matched to the stimuli of {there} without {cut}" if cut else None
            return np.array([at[shorter(name)] for name in stimuli], dtype=np.int64), note
        missing = min(missing, [name for name in stimuli if shorter(name) not in at], key=len)
    raise FileError(f"{here} must hold a photograph for each stimulus of {there}, but it lacks {quoted(missing)}")


def _alike(names: Names, stimuli: Names) -> tuple[Names, Names, str]:
    """The names cut until both are the same set, if that can be, and what was cut off."""
    for cut, shorter in CUTS:
        short, known = (tuple(shorter(name) for name in listed) for listed in (names, stimuli))
        if set(short) == set(known) and len(set(short)) == len(short) == len(known):
            return short, known, cut
    return names, stimuli, ""


def _most_alike(names: Names, stimuli: Names) -> Callable[[str], str]:
    """The cut after which most names are in both: the least one of several that do, and none that makes two alike."""
    best, most = CUTS[0][1], -1
    for _, shorter in CUTS:
        short, known = ({shorter(name) for name in listed} for listed in (names, stimuli))
        if len(short & known) > most and len(short) == len(set(names)) and len(known) == len(set(stimuli)):
            best, most = shorter, len(short & known)
    return best


def left_out(
    target: Loaded, features: Loaded, exclude: Sequence[str], drop_missing: bool
) -> tuple[Loaded, Indices | None, list[str]]:
    """The target without stimuli that are not to be used, which of the features' stimuli stay, and what was done.

    Parameters
    ----------
    target : Loaded
        From :func:`read_target_file`.
    features : Loaded
        From :func:`read_features_file`.
    exclude : sequence of str
        Names of stimuli; where nothing names them, their positions, counted from 0.
    drop_missing : bool
        Whether to leave out stimuli that one of the two lacks by name, and those that have no pair in some target.

    Returns
    -------
    target : Loaded
    keep : (m,) int64 or None
        Positions among the features' stimuli; None: all.
    notes : list of str
        How many were left out, and why.

    Raises
    ------
    FileError
        Where there is no such stimulus, or fewer than 3 are left.
    """
    from ..pairs import stimulus_count

    square = target.values.ndim >= 2 and target.values.shape[-1] == target.values.shape[-2]
    n = int(target.values.shape[-1]) if square else stimulus_count(int(target.values.shape[-1])) or 0
    count, notes = len(features.values), list[str]()
    own = list(target.stimuli) if target.stimuli else None
    known = list(features.stimuli) if features.stimuli else None
    of_target = own or known or [str(i) for i in range(n)]
    of_features = known or own or [str(i) for i in range(count)]
    if len(of_target) != n or len(of_features) != count:
        return target, None, notes  # of other sizes, which is refused in its own words
    shorter = _most_alike(tuple(of_target), tuple(of_features))
    said = {*of_target, *of_features}
    of_target, of_features = ([shorter(name) for name in listed] for listed in (of_target, of_features))
    unknown = [name for name in exclude if name not in {*said, *of_target, *of_features}]
    gone = {shorter(name) for name in exclude}
    if unknown:
        raise FileError(
            f"--exclude must name stimuli of {target.path.name} or {features.path.name}, got {quoted(unknown)}"
        )
    if gone:
        notes.append(f"{len(gone)} stimuli were left out as asked: {_first(sorted(gone))}")
    if drop_missing and own and known:
        sides = (of_target, target.path.name), (of_features, features.path.name)
        for (listed, here), (other, there) in (sides, sides[::-1]):
            lacking = [name for name in listed if name not in set(other) and name not in gone]
            if lacking:
                notes.append(f"{len(lacking)} stimuli of {here} that {there} lacks were left out: {_first(lacking)}")
            gone |= set(lacking)
    if drop_missing:
        empty = [of_target[i] for i in _without_pairs(target.values, n, square) if of_target[i] not in gone]
        if empty:
            notes.append(f"{len(empty)} stimuli without any pair in some target were left out: {_first(empty)}")
        gone |= set(empty)
    if not gone:
        return target, None, notes
    stay = np.array([i for i, name in enumerate(of_target) if name not in gone], dtype=np.int64)
    keep = np.array([i for i, name in enumerate(of_features) if name not in gone], dtype=np.int64)
    if min(len(stay), len(keep)) < 3:
        raise FileError(
            f"at least 3 stimuli must be left of {target.path.name} and {features.path.name}, got {len(stay)}"
        )
    values = target.values[..., stay[:, None], stay] if square else target.values[..., pair_positions(stay, n)]
    names = None if own is None else tuple(own[i] for i in stay)
    return replace(target, values=values, stimuli=names), keep, notes


def _without_pairs(values: Array, n: int, square: bool) -> list[int]:
    """Stimuli whose every pair is missing in one target or more."""
    from ..pairs import unpack

    rows = np.asarray(values, dtype=np.float64)
    rows = (
        rows.reshape(-1, *rows.shape[-2:])
        if square
        else np.stack([unpack(row, n, np.nan) for row in np.atleast_2d(rows)])
    )
    known = np.isfinite(rows) & ~np.eye(n, dtype=bool)
    return [int(i) for i in np.flatnonzero(~known.any(axis=2).all(axis=0))]


def order_by_name(names: Names, stimuli: Names, here: str, there: str) -> Indices:
    """Where the name of each of these stimuli is among names; both must be the same set."""
    for listed, file in ((names, here), (stimuli, there)):
        seen: set[str] = set()
        for name in listed:
            if name in seen:
                raise FileError(f"{file} must name each stimulus once to be matched by name, got {name!r} twice")
            seen.add(name)
    names, stimuli, _ = _alike(names, stimuli)
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
