"""The noise ceiling, and what models explain of what could be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_integer
from ..features import Matrix
from ..measures import check_comparator
from ..pairs import stimulus_count
from ..problem import compare_where_defined
from ..provenance import own_version
from ..relabelling import relabelled, relabellings
from ..statistics import mean_of_defined
from ..targets import Targets, read_target
from ..validation import bounds, cv_name, names_or_numbers, split, subjects_of

if TYPE_CHECKING:
    import xarray

    from .._typing import ControlLike, LabelsLike, MatricesLike, NamesLike, Splits, WeightsLike
    from ..measures import ComparatorOrAlias
    from ..targets import Kind

__all__ = ["explained_by", "in_percent", "noise_ceiling", "noise_normalised_r2", "read_subjects"]


def noise_ceiling(
    rdms: MatricesLike,
    comparator: ComparatorOrAlias = "pearson",
    *,
    subjects: NamesLike | None = None,
    cv: Splits | None = None,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    kind: Kind = "dissimilarity",
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
) -> xarray.Dataset:
    """How well any model could align with single subjects, given how these differ: lower and upper bound.

    Parameters
    ----------
    rdms : (T, P) | (T, n, n) array, rsatoolbox RDMs, or xarray DataArray
        One matrix a subject, two at least. NaN: the subject has no such pair.
    comparator : Comparator
        What models are scored by, as in :func:`secateur.alignment`.
    subjects : array (T,), optional
        Whose each matrix is, where a subject has several (sessions); these are left out together.
    cv, repeats, seed, groups
        As in :func:`secateur.cross_validate`. Where ``cv`` is given, alignments are taken among the test stimuli of
        each fold and averaged, as held-out scores are; among all stimuli by default.
    kind : {"similarity", "dissimilarity"}
        What the matrices hold.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.
    control : matrices, optional
        As in :func:`secateur.alignment`: the bounds are of partial alignments, given these.

    Returns
    -------
    xarray.Dataset
        ``lower``, ``upper``: means over subjects of ``lower_by_subject`` and ``upper_by_subject`` (subject), in the
        comparator's units.

    Raises
    ------
    TypeError, ValueError
        Where shapes don't fit, subjects or comparator is none of these, there are fewer than two subjects, or a matrix
        doesn't vary.

    Notes
    -----
    The upper bound aligns each subject with the mean of all, itself included; the lower bound with the mean of the
    others. Matrices are brought to one scale before the mean: z-scored for pearson, divided by their root mean square
    for cosine, by their whitened length for cosine_cov and (centred) corr_cov, ranked (relative to the number of pairs)
    for spearman, rho-a, tau-a and tau-b; for the taus the mean of ranks need not be the best matrix: the upper bound is
    approximate. A subject enters the mean, and is aligned, in the pairs that it has; a pair that no other subject has
    is left out of the lower bound. Where subjects miss different pairs the upper bound is approximate too.

    With ``cv`` the means are of whole matrices, compared among the test stimuli, as in rsatoolbox's
    ``cv_noise_ceiling``: a model that knew those alone could lie a little above the upper bound.

    The bounds are of alignments with *single* subjects, averaged: a score against the mean of subjects is another
    quantity, and may well lie above them.

    References
    ----------
    Nili et al. (2014, PLoS Comput Biol 10), "Noise ceiling"; the means are those of rsatoolbox's ``pool_rdm``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bounds = noise_ceiling(rng.normal(size=45) + rng.normal(size=(8, 45)))
    >>> bool(bounds.lower < bounds.upper)
    True
    """
    import xarray

    comparator = check_comparator(comparator)
    n = _stimulus_count(rdms)
    targets = read_target(rdms, n, kind, weights, control=control)
    own, whose = subjects_of(targets, subjects, "rdms")
    everyone = np.arange(n, dtype=np.int64)
    tests = [everyone] if cv is None else [test for _, test in split(n, cv, repeats, seed, groups)[0]]
    lower, upper = bounds(targets, comparator, whose, tests)
    variables: dict[str, Any] = {}
    for name, scores in (("lower", lower), ("upper", upper)):
        each = mean_of_defined(scores)
        by_subject = np.array([mean_of_defined(each[whose == s][:, None])[0] for s in range(len(own))])
        variables[f"{name}_by_subject"] = (("subject",), by_subject)
        variables[name] = ((), float(mean_of_defined(by_subject[:, None])[0]))
    attrs: dict[str, Any] = {"comparator": comparator, "kind": targets.kind, "secateur_version": own_version()}
    if targets.controls is not None:
        attrs["controls"] = len(targets.controls)
    if cv is not None:
        attrs |= {"cv": cv_name(cv), "repeats": int(repeats), "seed": int(seed)}
    return xarray.Dataset(variables, {"subject": own}, attrs)


def noise_normalised_r2(
    models: MatricesLike | Mapping[str, MatricesLike],
    rdms: MatricesLike,
    comparator: ComparatorOrAlias = "spearman",
    n: int = 200,
    seed: int = 0,
) -> xarray.Dataset:
    """How much of what any model could explain of the subjects' matrices models do explain, in percent.

    Parameters
    ----------
    models : (P,) or (n, n) array, or a mapping of names to such
        Dissimilarities by models. NaN leaves a pair out for all of them and for the ceiling.
    rdms : (T, P) | (T, n, n) array, rsatoolbox RDMs, or xarray DataArray
        Dissimilarities, a matrix a subject, two at least. NaN: the subject has no such pair.
    comparator : Comparator
        What is squared, as in :func:`secateur.alignment`; the challenge took Spearman's.
    n : int
        Relabellings of the subjects' stimuli, alike in all subjects, whose mean r² is what chance gives.
    seed : int
        Of the relabellings.

    Returns
    -------
    xarray.Dataset, dims (model, subject)
        ``correlation`` and its square ``r2``, whose mean over subjects is ``mean_r2`` (model). ``upper`` and ``lower``:
        the same with the mean of all subjects' matrices, and with that of the other subjects, in the model's place, and
        both by subject. ``chance`` (model, subject), ``upper_chance`` and ``lower_chance``: their means over
        relabellings. ``explained`` (model): percent of explainable variance beyond chance, 100 (``mean_r2`` - mean
        ``chance``) / (``upper`` - ``upper_chance``); ``explained_by_subject`` (model, subject) and ``explained_lower``
        (of the lower bound) are in the same percent, NaN where the upper bound is not above chance.

    Raises
    ------
    ValueError
        Where there are fewer than two subjects, or shapes don't fit.

    Notes
    -----
    A square hides the sign: a model that is aligned the wrong way round explains variance all the same, so look at
    ``correlation`` too. Squares are above zero by chance, the more so the fewer the stimuli; with what chance gives
    taken off, a model that knows nothing explains 0 percent on average, and may explain less. The challenge's own
    percentage is 100 ``mean_r2`` / ``upper``. :func:`noise_ceiling` gives bounds of the alignment itself, from means of
    ranks.

    References
    ----------
    Cichy et al. (2019), The Algonauts Project; Agrawal (2019), Results.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=45)
    >>> scores = noise_normalised_r2({"truth": truth, "noise": rng.normal(size=45)}, truth + rng.normal(size=(6, 45)))
    >>> bool(scores.explained.sel(model="truth") > scores.explained.sel(model="noise"))
    True
    """
    stimuli = _stimulus_count(rdms)
    targets = read_subjects(rdms, stimuli)
    named: dict[str, Any] = dict(models) if isinstance(models, Mapping) else {"model": models}
    if not named:
        raise ValueError("models must hold at least one model, got none")
    for name, model in named.items():
        if np.shape(model) not in ((stimuli, stimuli), (stimuli * (stimuli - 1) // 2,)):
            raise ValueError(
                f"models must be one matrix of {stimuli} stimuli each, got shape {np.shape(model)} for {name!r}"
            )
    read = {name: read_target(one, stimuli, "dissimilarity") for name, one in named.items()}
    values = {name: np.where(one.has_weight(0), one.values[0], np.nan) for name, one in read.items()}
    return in_percent(explained_by(values, targets, comparator, n, seed))


def read_subjects(rdms: MatricesLike, n: int) -> Targets:
    """Dissimilarities of two subjects or more."""
    targets = read_target(rdms, n, "dissimilarity")
    if len(targets) < 2:
        raise ValueError(f"rdms must be of at least 2 subjects, got {len(targets)}")
    return targets


def explained_by(
    models: Mapping[str, Matrix], targets: Targets, comparator: ComparatorOrAlias, n: int, seed: int
) -> xarray.Dataset:
    """Squares by model (similarities, NaN where there is none) and subject, what chance gives, and the ceilings."""
    import xarray

    n = check_integer("n", n, 1)
    check_comparator(comparator)
    people = len(targets)
    left_out = np.asarray(np.isnan(list(models.values())).any(axis=0))
    as_given = targets.mask_pairs(left_out) if left_out.any() else targets
    present = np.array([as_given.has_weight(t) for t in range(people)])

    def mean_of(chosen: Any) -> Matrix:
        count = present[chosen].sum(axis=0)
        total = np.where(present[chosen], targets.values[chosen], 0).sum(axis=0)
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))

    everyone = np.arange(people)
    guesses = [*models.values(), mean_of(everyone)]
    others = [mean_of(everyone != t) for t in everyone]
    orders = np.vstack([np.arange(targets.n), relabellings(targets.n, n, seed)])
    at_once = max(1, (32 << 20) // targets.values.nbytes)
    parts = []
    for first in range(0, n + 1, at_once):  # the first order is the stimuli as they are
        moved = relabelled(targets, orders[first : first + at_once])
        if left_out.any():
            moved = moved.mask_pairs(left_out)
        scores = [compare_where_defined(np.ascontiguousarray(one), moved, comparator, 1)[0] for one in guesses]
        own = [moved.select(np.arange(t, len(moved), people)) for t in everyone]
        rest = [compare_where_defined(one, one_own, comparator, 1)[0] for one, one_own in zip(others, own, strict=True)]
        parts.append(np.stack([*(one.reshape(-1, people) for one in scores), np.stack(rest, axis=1)], axis=1))
    found = np.moveaxis(np.concatenate(parts), 0, 1)  # (model ... upper, lower; order; subject)
    model, upper, lower = found[:-2], found[-2] ** 2, found[-1] ** 2
    variables = {
        "correlation": (("model", "subject"), model[:, 0]),
        "r2": (("model", "subject"), model[:, 0] ** 2),
        "mean_r2": ("model", (model[:, 0] ** 2).mean(axis=1)),
        "chance": (("model", "subject"), (model[:, 1:] ** 2).mean(axis=1)),
        "upper_by_subject": ("subject", upper[0]),
        "lower_by_subject": ("subject", lower[0]),
        "upper": ((), upper[0].mean()),
        "lower": ((), lower[0].mean()),
        "upper_chance": ((), upper[1:].mean()),
        "lower_chance": ((), lower[1:].mean()),
    }
    coords = {"model": list(models), "subject": names_or_numbers(targets.labels, people)}
    attrs = {"comparator": check_comparator(comparator), "n": n, "seed": int(seed)}
    return xarray.Dataset(variables, coords, {**attrs, "secateur_version": own_version()})


def in_percent(scores: xarray.Dataset) -> xarray.Dataset:
    """With what models and the lower bound explain beyond chance, in percent of what the upper bound does."""
    possible = (scores["upper"] - scores["upper_chance"]).where(lambda room: room > 0)
    each = 100 * (scores["r2"] - scores["chance"]) / possible
    lower = 100 * (scores["lower"] - scores["lower_chance"]) / possible
    return scores.assign(explained=each.mean("subject"), explained_by_subject=each, explained_lower=lower)


def _stimulus_count(rdms: Any) -> int:
    """Number of stimuli of a stack of matrices, square or packed."""
    if hasattr(rdms, "dissimilarities") and hasattr(rdms, "n_cond"):
        return int(rdms.n_cond)
    shape = np.shape(rdms)
    packed = len(shape) == 2 if not hasattr(rdms, "dims") else tuple(rdms.dims[-1:]) == ("pair",)
    if len(shape) < 2 or (not packed and len(shape) < 3):
        raise ValueError(f"rdms must be a stack of matrices, of shape (T, P) or (T, n, n), got shape {shape}")
    n = stimulus_count(shape[-1]) if packed else int(shape[-1])
    if n is None:
        raise ValueError(f"rdms must hold n(n-1)/2 pairs a row, got {shape[-1]}")
    return n
