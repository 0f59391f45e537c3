"""Pictures of a pruning: matplotlib ``Figure`` objects, made without pyplot and without a change to rcParams.

Every function draws one figure; :func:`page` puts them all on one A4 page. Save with ``figure.savefig``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..arguments import check_integer
from ..features import Matrix, read_features
from ..measures import metric_row, search_row
from ..pairs import unpack
from ..similarity import similarity
from ..statistics import paired_t
from ..targets import Targets, read_target
from .drawing import (
    A4,
    FAINT,
    FULL,
    GAIN,
    LARGE,
    NORMAL,
    OTHER,
    PRUNED,
    SMALL,
    Groups,
    axes_at,
    blank_figure,
    draw_bar,
    draw_groups,
    drawn_name,
    dress,
    from_zero,
    heading,
    legend_above,
    legend_height,
    mean_sd,
    p_words,
    plus_minus,
    read_groups,
    shortened,
    signed,
    trimmed,
    unit_of,
    write_words,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "RANK_LABEL",
    "comparison",
    "consensus",
    "dendrograms",
    "embedding",
    "held_out",
    "insertion_curves",
    "matrices",
    "mds",
    "null",
    "page",
    "target_name",
]


def _search(result: xarray.Dataset) -> str:
    return str(result.attrs.get("search", "ranking"))


def _by_importance(result: xarray.Dataset) -> bool:
    """Whether curves are insertions in order of importance; else they are a search's best sets by size."""
    return search_row(_search(result)).ranks


def _things(result: xarray.Dataset) -> str:
    """What was kept or not: features, unless the result says otherwise."""
    return str(result.attrs.get("features", "features"))


def _curves_title(result: xarray.Dataset) -> str:
    if _by_importance(result):
        return f"Inserting {_things(result)} by importance"
    return f"Best sets of the {_search(result)} search"


# What the pictures show -----------------------------------------------------------------------------------------


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
    kept = result["kept"].values[_checked(result, target)]
    often: npt.NDArray[np.bool_] = kept.mean(axis=0) >= 0.5
    return often if often.any() else kept.any(axis=0)


def mds(
    X: Any,
    support: Any = None,
    metric: str = "cosine",
    *,
    seed: int = 0,
    initialisations: int = 4,
    max_iter: int | None = None,
) -> tuple[Matrix, float]:
    """Two-dimensional metric scaling (MDS) of a similarity space.

    Dissimilarities are 1 - s for cosine and correlation, the distance itself for distances, and the Euclidean distance
    for dot.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    support : bool mask (d,) or indices, optional
        The features that are present; all by default.
    metric : {"cosine", "correlation", "dot", "sqeuclidean", "euclidean", "cityblock"}
        Similarity of two stimuli.
    seed : int
        Of the random initialisations.
    initialisations : int
        The one of least stress is returned.
    max_iter : int, optional
        Steps of each run. By default 300 up to 500 stimuli, then fewer, as 1/n², but at least 60: about a second
        for 398 stimuli, where 300 steps come within 2 % of the stress that 1000 reach.

    Returns
    -------
    places : ndarray (n, 2)
        In units of the dissimilarity, centred; NaN for a stimulus without a direction in these features.
    stress : float
        Kruskal's stress-1 of the solution.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Figure 1 (scikit-learn's MDS, 4 initialisations).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(8, 5))
    >>> places, stress = mds(X)
    >>> places.shape, stress < 1
    ((8, 2), True)
    """
    import inspect

    from scipy.spatial.distance import pdist, squareform
    from sklearn.manifold import MDS

    values = read_features(X).values
    apart = squareform(_dissimilarities(values, support, metric), checks=False)
    there = ~np.isnan(apart).all(axis=1, where=~np.eye(len(apart), dtype=bool))
    places = np.full((len(values), 2), np.nan)
    apart = apart[np.ix_(there, there)]
    if len(apart) < 3 or apart.max() < 1e-12:
        places[there] = 0.0
        return places, 0.0
    if max_iter is None:
        max_iter = int(np.clip(300 * (500 / len(apart)) ** 2, 60, 300))
    terms: dict[str, Any] = {
        "n_components": 2,
        "n_init": initialisations,
        "max_iter": max_iter,
        "eps": 1e-6,
        "random_state": seed,
    }
    if "metric_mds" in inspect.signature(MDS).parameters:  # scikit-learn 1.8 renamed the arguments
        terms |= {"metric_mds": True, "metric": "precomputed", "init": "random"}
    else:
        terms |= {"metric": True, "dissimilarity": "precomputed"}
    # In units of the largest dissimilarity, so that the stopping rule means the same for every metric.
    unit = apart.max()
    found = unit * MDS(**terms).fit_transform(apart / unit)
    drawn = pdist(found)
    goal = squareform(apart, checks=False)
    stress = float(np.sqrt(((drawn - goal) ** 2).sum() / (drawn**2).sum()))
    places[there] = found - found.mean(axis=0)
    return places, stress


def _dissimilarities(values: Matrix, support: Any, metric: str) -> Matrix:
    """(P,) dissimilarities, not negative; NaN where undefined."""
    row = metric_row(metric)
    by = metric if row.angular or row.is_distance else "euclidean"
    s = similarity(values, by, subset=support)
    return np.maximum(1 - s if row.angular else -s, 0.0)


def _aligned(moving: Matrix, fixed: Matrix) -> tuple[Matrix, Matrix]:
    """Both maps turned: ``fixed`` to its principal axes, ``moving`` onto it (or mirrored, but not scaled)."""
    from scipy.linalg import orthogonal_procrustes

    seen = np.isfinite(fixed).all(axis=1)
    fixed = fixed - fixed[seen].mean(axis=0) if seen.any() else fixed
    if seen.sum() >= 2:
        _, _, axes = np.linalg.svd(fixed[seen], full_matrices=False)
        fixed = fixed @ axes.T
    both = seen & np.isfinite(moving).all(axis=1)
    if not both.any():
        return moving, fixed
    centre, onto = moving[both].mean(axis=0), fixed[both].mean(axis=0)
    turn, _ = orthogonal_procrustes(moving[both] - centre, fixed[both] - onto)
    return (moving - centre) @ turn + onto, fixed


def _checked(result: xarray.Dataset, target: int) -> int:
    """The position of a target that the result has."""
    return check_integer("target", target, 0, result.sizes["target"] - 1)


def _targets(target: Any, n: int, result: xarray.Dataset) -> Targets:
    """The target that a result was made with."""
    targets = read_target(target, n, str(result.attrs["kind"]))
    if len(targets) != result.sizes["target"]:
        raise ValueError(f"target must hold the {result.sizes['target']} targets of the result, got {len(targets)}")
    return targets


def target_name(result: xarray.Dataset, target: int) -> str:
    """The target's label, where it has one that is more than its position."""
    name = str(result["target"].values[target])
    return "" if name == str(target) else shortened(name, 40)


# Ink ------------------------------------------------------------------------------------------------------------


def _draw_curves(axes: Axes, result: xarray.Dataset, t: int, x: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    unit, d = unit_of(result), result.sizes["feature"]
    logarithmic = d >= 100 if x == "auto" else x == "log"
    full, best, kept = (result[name].values[t] for name in ("full_train", "pruned_train", "n_kept"))
    folds = result.sizes["fold"]
    if "curve" in result:
        steps = np.arange(1, result.sizes["step"] + 1)
        for f in range(folds):
            axes.plot(
                steps, result["curve"].values[t, f], color=FULL, linewidth=0.9, alpha=max(0.15, min(0.7, 4 / folds)),
                label="one fold" if f == 0 else None,
            )  # fmt: skip
    else:
        axes.text(
            0.5, 0.5, "the curves were not kept (curves=False)", transform=axes.transAxes, ha="center", fontsize=SMALL
        )
    axes.plot(
        kept,
        best,
        "o",
        color=PRUNED,
        markersize=4,
        markeredgecolor="white",
        markeredgewidth=0.5,
        label="the kept set" if search_row(_search(result)).inner_folds else "maximum: the kept set",
    )
    every = f"all {_things(result)} (mean)"
    axes.axhline(float(np.nanmean(full)), color="black", linestyle="--", linewidth=0.8, label=every)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(axis="x", integer=True)
    axes.set_xlim(0.9 if logarithmic else 0, d * (1.1 if logarithmic else 1.02))
    scale = ", log scale" if logarithmic else ""
    order = ", most important first" if _by_importance(result) else ""
    dress(axes, f"{_things(result)} kept{order} (of {d}{scale})", f"training alignment ({unit})")
    legend_above(axes, 3)


def _draw_held_out(axes: Axes, result: xarray.Dataset, t: int) -> None:
    full, pruned = result["full_test"].values[t], result["pruned_test"].values[t]
    folds = len(full)
    for f in range(folds):
        axes.plot(
            [0, 1], [full[f], pruned[f]], "-o", color=FAINT, linewidth=0.8, markersize=2.5,
            alpha=max(0.3, min(1, 6 / folds)), label="one fold" if f == 0 else None,
        )  # fmt: skip
    for x, scores, colour in ((-0.16, full, FULL), (1.16, pruned, PRUNED)):
        mean, sd = mean_sd(scores)
        axes.errorbar(
            x, mean, yerr=None if np.isnan(sd) else sd, fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.4,
            label=None,
        )  # fmt: skip
    axes.errorbar([], [], yerr=[], fmt="o", color="black", markersize=4, capsize=2, linewidth=1, label="mean ± SD")
    from_zero(axes, np.concatenate([full, pruned]))
    axes.set_xlim(-0.5, 1.5)
    axes.set_xticks([0, 1])
    axes.set_xticklabels(
        [
            f"full\n{result.sizes['feature']} {_things(result)}\n{plus_minus(full, 3)}",
            f"pruned\n{plus_minus(result['n_kept'].values[t], 0)} kept\n{plus_minus(pruned, 3)}",
        ]
    )
    dress(axes, "", f"held-out alignment ({unit_of(result)})")
    legend_above(axes, 2)


def _draw_many(axes: Axes, result: xarray.Dataset) -> None:
    names = [target_name(result, t) or str(t) for t in range(result.sizes["target"])]
    at = np.arange(len(names))
    for name, colour, label, shift in (("full_test", FULL, "full", -0.12), ("pruned_test", PRUNED, "pruned", 0.12)):
        pairs = [mean_sd(row) for row in result[name].values]
        mean, sd = np.array([p[0] for p in pairs]), np.nan_to_num([p[1] for p in pairs])
        if len(names) <= 20:
            axes.errorbar(
                at + shift, mean, yerr=sd, fmt="o", color=colour, markersize=4, capsize=2, linewidth=1, label=label
            )
        else:
            axes.plot(at, mean, color=colour, linewidth=1.2, label=label)
            axes.fill_between(at, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
    from_zero(axes, np.concatenate([result["full_test"].values.ravel(), result["pruned_test"].values.ravel()]))
    if len(names) <= 20:
        axes.set_xticks(at)
        long = max(map(len, names)) > 4
        axes.set_xticklabels(
            [drawn_name(n, 18) for n in names], rotation=35 if long else 0, ha="right" if long else "center"
        )
    dress(
        axes,
        "target" + ("" if len(names) <= 20 else " (position)"),
        f"held-out alignment ({unit_of(result)})",
    )
    legend_above(axes, 2)


def _draw_null(upper: Axes, lower: Axes, permutations: xarray.Dataset, t: int) -> None:
    unit, n = unit_of(permutations), int(permutations.sizes["permutation"])
    for axes, name, what, colour in (
        (upper, "pruned_test", "pruned, held out", PRUNED),
        (lower, "gain", "gain: pruned − full, held out", GAIN),
    ):
        drawn = permutations[name].values[t]
        seen, p = float(permutations[f"observed_{name}"].values[t]), float(permutations[f"p_{name}"].values[t])
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size:
            axes.hist(drawn, bins=int(np.clip(drawn.size // 5, 8, 30)), color="#BDBDBD", label="relabelled")
        axes.axvline(seen, color=colour, linewidth=1.8, label="observed")
        axes.margins(x=0.06)
        words = "undefined" if np.isnan(seen) else f"{seen:.3f}".replace("-", "−")
        axes.text(
            1.0,
            1.04,
            f"observed {words}, {p_words(p, n)}",
            transform=axes.transAxes,
            ha="right",
            fontsize=SMALL,
            color=colour,
        )
        dress(axes, f"{what} ({unit})", "relabellings")
        axes.yaxis.label.set_fontsize(SMALL)
        axes.locator_params(axis="y", nbins=4, integer=True)


def _ranked(packed: Matrix) -> Matrix:
    """Ranks from 0 to 1 of what is not NaN."""
    from scipy.stats import rankdata

    ranks = np.full(packed.shape, np.nan)
    seen = ~np.isnan(packed)
    if seen.any():
        ranks[seen] = (rankdata(packed[seen]) - 1) / max(int(seen.sum()) - 1, 1)
    return ranks


@dataclass(frozen=True)
class _Space:
    """One similarity space to draw."""

    title: str
    packed: Matrix


def _spaces(
    X: Matrix, result: xarray.Dataset, targets: Targets, t: int, support: npt.NDArray[np.bool_]
) -> list[_Space]:
    """The full, the pruned and the target's space, pairs oriented as similarities."""
    from ..similarity import alignment

    metric, comparator = str(result.attrs["metric"]), str(result.attrs["comparator"])
    one = targets.only(slice(t, t + 1))
    values = one.values[0].copy()
    if one.weights is not None and one.weight_of is not None:
        values[one.weights[one.weight_of[0]] == 0] = np.nan
    spaces = []
    for name, subset, note in (("full", None, ""), ("pruned", support, ", in-sample")):
        kept = X.shape[1] if subset is None else int(subset.sum())
        score = float(np.ravel(alignment(X, one, metric, comparator, subset=subset))[0])
        told = "undefined" if np.isnan(score) else f"{score:.2f}"
        spaces.append(
            _Space(f"{name}: {kept} features\n{unit_of(result)} {told}{note}", similarity(X, metric, subset=subset))
        )
    negated = "(dissimilarities, negated)" if result.attrs["kind"] == "dissimilarity" else "(similarities)"
    name = target_name(result, t)
    spaces.append(_Space(f"target{': ' if name else ''}{drawn_name(name, 22)}\n{negated}", values))
    return spaces


def _draw_matrix(axes: Axes, space: _Space, groups: Groups | None, n: int, scale: str) -> Any:
    """One matrix, with a strip of group colours on its left; returns what a colour bar needs."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    square = unpack(_ranked(space.packed) if scale == "rank" else space.packed, n, np.nan)
    if groups is not None:
        square = square[np.ix_(groups.order, groups.order)]
    finite = square[np.isfinite(square)]
    low, high = (0.0, 1.0) if scale == "rank" or not finite.size else (float(finite.min()), float(finite.max()))
    image = axes.imshow(
        square, cmap=matplotlib.colormaps["viridis"].with_extremes(bad="#D9D9D9"), vmin=low, vmax=high,
        interpolation="antialiased", rasterized=True,
    )  # fmt: skip
    axes.set_title(space.title, fontsize=NORMAL, loc="left", pad=4)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if groups is not None:
        strip = axes.inset_axes((-0.045, 0.0, 0.03, 1.0))
        strip.imshow(
            groups.of[groups.order][:, None], cmap=ListedColormap(list(groups.colours)), aspect="auto",
            vmin=-0.5, vmax=len(groups.colours) - 0.5, interpolation="nearest",
        )  # fmt: skip
        strip.set_axis_off()
        strip.set_xticks([])
        strip.set_yticks([])
        for edge in np.flatnonzero(np.diff(groups.of[groups.order])) + 0.5:
            axes.axhline(edge, color="white", linewidth=0.6)
            axes.axvline(edge, color="white", linewidth=0.6)
    return image


RANK_LABEL = "rank of the pair within its matrix (0 least, 1 most alike)"


def _draw_places(axes: Axes, places: Matrix, groups: Groups | None, reach: float, title: str, unit: str) -> None:
    n = len(places)
    size = float(np.clip(2500 / n, 5, 30))
    colours = [FULL] * n if groups is None else [groups.colours[g] for g in groups.of]
    # In one scatter in a mixed order, so that no group lies on top of all others.
    mixed = np.random.default_rng(0).permutation(n)
    axes.scatter(
        places[mixed, 0],
        places[mixed, 1],
        s=size,
        c=[colours[i] for i in mixed],
        linewidths=0.3,
        edgecolors="white",
        alpha=0.9,
    )
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=NORMAL, loc="left", pad=4)
    dress(axes, f"MDS 1 ({unit})", f"MDS 2 ({unit})")
    axes.locator_params(nbins=4)
    axes.xaxis.labelpad = 1
    axes.yaxis.labelpad = 0


def _place_both(X: Matrix, support: Any, metric: str, seed: int) -> tuple[list[tuple[Matrix, str]], float, str]:
    """Places and titles of the full and the pruned space, the reach of shared axes, and their unit."""
    from ..features import read_subset

    full, full_stress = mds(X, None, metric, seed=seed)
    pruned, pruned_stress = mds(X, support, metric, seed=seed)
    pruned, full = _aligned(pruned, full)
    panels = []
    for name, places, stress, kept in (
        ("full", full, full_stress, X.shape[1]),
        ("pruned", pruned, pruned_stress, len(read_subset(support, X.shape[1]))),
    ):
        lost = int(np.isnan(places[:, 0]).sum())
        note = f"\nstress-1 {stress:.2f}" + (f", {lost} without a direction left out" if lost else "")
        panels.append((places, f"{name}: {kept} features{note}"))
    far = max((float(np.nanmax(np.abs(p))) for p, _ in panels if np.isfinite(p).any()), default=1.0)
    unit = metric_row(metric).unit
    return panels, 1.06 * far or 1.0, unit


# The face -------------------------------------------------------------------------------------------------------


def insertion_curves(
    result: xarray.Dataset, target: int = 0, *, x: Literal["auto", "linear", "log"] = "auto"
) -> Figure:
    """Training alignment against the number of features kept, one line a fold, its maximum marked.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`, with its curves.
    target : int
        Position of the target.
    x : {"auto", "linear", "log"}
        Scale of the number of features; ``"auto"`` is log from 100 features on.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2 (selection to criterion). The alignment shown is in-sample: its
    maximum is chosen on the pairs that it is measured on.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> figure = insertion_curves(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3))
    >>> figure.axes[0].get_ylabel()
    'training alignment (Pearson r)'
    """
    if x not in ("auto", "linear", "log"):
        raise ValueError(f"x must be 'auto', 'linear' or 'log', got {x!r}")
    figure = blank_figure(5.2, 3.5)
    axes = axes_at(figure, 0.65, 0.5, 4.35, 2.4)
    _draw_curves(axes, result, _checked(result, target), x)
    heading(axes, _curves_title(result) + _of(result, target), 20)
    return figure


def _of(result: xarray.Dataset, target: int) -> str:
    name = target_name(result, target)
    if name:
        return f": {drawn_name(name, 20)}"
    return f": target {target}" if result.sizes["target"] > 1 else ""


def held_out(result: xarray.Dataset, target: int | None = None) -> Figure:
    """Full against pruned on test stimuli: paired points of folds, means with SD.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    target : int, optional
        Position of the target. By default the only one, or all of them side by side as means with SD over folds.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, Table 1.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> held_out(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3)).axes[0].get_ylabel()
    'held-out alignment (Pearson r)'
    """
    if target is None and result.sizes["target"] > 1:
        figure = blank_figure(max(4.0, min(9.0, 1.6 + 0.4 * result.sizes["target"])), 3.8)
        axes = axes_at(figure, 0.7, 0.95, figure.get_size_inches()[0] - 0.9, 2.3)
        _draw_many(axes, result)
        heading(axes, "On test stimuli, mean ± SD over folds", 20)
        return figure
    t = _checked(result, target or 0)
    figure = blank_figure(3.6, 3.6)
    axes = axes_at(figure, 0.7, 0.7, 2.7, 2.3)
    _draw_held_out(axes, result, t)
    heading(axes, "On test stimuli" + _of(result, t), 20)
    return figure


def matrices(
    X: Any,
    result: xarray.Dataset,
    target: Any,
    *,
    groups: Any = None,
    which: int = 0,
    scale: Literal["rank", "value"] = "rank",
) -> Figure:
    """Similarity matrices before and after pruning, and the target's, stimuli in one order.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    result : xarray.Dataset
        From :func:`secateur.cross_validate` of ``X`` and ``target``. The pruned matrix is that of
        :func:`consensus`, the features kept in at least half of the folds.
    target : any form that :func:`secateur.alignment` takes
        What the result was made with.
    groups : array (n,), optional
        Stimuli are sorted by group, groups in order of appearance.
    which : int
        Position of the target.
    scale : {"rank", "value"}
        ``"rank"``: every matrix in ranks of its own pairs, from 0 (least alike) to 1 (most alike), so that one
        colour bar serves all. ``"value"``: every matrix in its own values, with its own colour bar. Undefined and
        missing pairs, and the diagonal, are grey.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Ranked and scaled to [0, 1] as in Kriegeskorte, Mur & Bandettini (2008), Figure 10.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> target = X[:, :4] @ X[:, :4].T
    >>> len(matrices(X, sc.cross_validate(X, target, cv=3), target).axes)
    4
    """
    if scale not in ("rank", "value"):
        raise ValueError(f"scale must be 'rank' or 'value', got {scale!r}")
    values = read_features(X).values
    t, targets, coloured = (
        _checked(result, which),
        _targets(target, len(values), result),
        read_groups(groups, len(values)),
    )
    width, legend = 9.6, legend_height(read_groups(groups, len(values)), 9.6)
    figure = blank_figure(width, 4.3 + legend)
    spaces = _spaces(values, result, targets, t, consensus(result, t))
    for column, space in enumerate(spaces):
        axes = axes_at(figure, 0.35 + 3.1 * column, 0.75 + legend, 2.85, 2.85)
        image = _draw_matrix(axes, space, coloured, len(values), scale)
        if scale == "value":
            bar = axes_at(figure, 0.35 + 3.1 * column + 0.4, 0.55 + legend, 2.05, 0.08)
            draw_bar(figure, bar, image, "target, as similarity" if column == 2 else _value_label(result))
    if scale == "rank":
        draw_bar(figure, axes_at(figure, 3.3, 0.55 + legend, 3.0, 0.08), image, RANK_LABEL)
    write_words(figure, 0.35, 4.05 + legend, "Similarity matrices" + _sorted_words(coloured), LARGE, fontweight="bold")
    if coloured is not None:
        draw_groups(figure, coloured, legend + 0.02)
    return figure


def _value_label(result: xarray.Dataset) -> str:
    return metric_row(str(result.attrs["metric"])).label


def _sorted_words(groups: Groups | None) -> str:
    return "" if groups is None else ", stimuli sorted by group"


def embedding(
    X: Any, support: Any, groups: Any = None, *, metric: str = "cosine", seed: int = 0, title: str | None = None
) -> Figure:
    """The full and the pruned similarity space as two maps of the stimuli (MDS), side by side.

    The pruned map is turned or mirrored, not scaled, so that it fits the full one best (Procrustes); both share
    their axes.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    support : bool mask (d,) or indices
        The kept features, as from :func:`consensus` or a Pruner's ``support_``.
    groups : array (n,), optional
        Colours. Beyond eight groups the smaller ones share one grey.
    metric : {"cosine", "correlation", "dot", "sqeuclidean", "euclidean", "cityblock"}
        Similarity of two stimuli.
    seed : int
        Of the initialisations; see :func:`mds` for their number and the number of steps.
    title : str, optional
        A heading.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Figure 1.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(12, 6))
    >>> len(embedding(X, [0, 1, 4]).axes)
    2
    """
    values = read_features(X).values
    coloured = read_groups(groups, len(values))
    panels, reach, unit = _place_both(values, support, metric, seed)
    legend = legend_height(coloured, 8.0)
    figure = blank_figure(8.0, 4.5 + legend)
    for column, (places, told) in enumerate(panels):
        axes = axes_at(figure, 0.7 + 3.8 * column, 0.55 + legend, 3.3, 3.3)
        _draw_places(axes, places, coloured, reach, told, unit)
    write_words(figure, 0.7, 4.28 + legend, title or "Maps of the stimuli (MDS)", LARGE, fontweight="bold")
    if coloured is not None:
        draw_groups(figure, coloured, legend + 0.02)
    return figure


def comparison(result: xarray.Dataset) -> Figure:
    """Held-out alignment of several methods on the same folds: bars of means with SD, a point a fold; a panel a target.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.compare`.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 1.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> comparison(sc.compare(X, X[:, :4] @ X[:, :4].T, ["full", "pruned"], cv=3)).axes[0].get_ylabel()
    'held-out alignment (Pearson r)'
    """
    names, panels = [str(name) for name in result["approach"].values], result.sizes["target"]
    across = min(panels, 3)
    down = -(-panels // across)
    wide = max(2.2, (0.72 if max(map(len, names)) < 12 else 0.86) * len(names))
    figure = blank_figure(0.4 + across * (wide + 0.55), 0.3 + 3.1 * down)
    scores = result["test_alignment"].values
    colours = {"full": FULL, "pruned": PRUNED}
    for t in range(panels):
        row, column = divmod(t, across)
        axes = axes_at(figure, 0.6 + column * (wide + 0.55), 1.05 + 3.1 * (down - 1 - row), wide, 2.0)
        for m, name in enumerate(names):
            folds = scores[m, t]
            mean, sd = mean_sd(folds)
            colour = colours.get(name, OTHER)
            axes.bar(m, mean, width=0.66, color=colour, alpha=0.85)
            spots = m + np.linspace(-0.2, 0.2, len(folds)) if len(folds) > 1 else np.array([m])
            axes.plot(spots, folds, "o", color="white", markeredgecolor="#404040", markersize=3, markeredgewidth=0.6)
            if not np.isnan(sd):
                axes.errorbar(m, mean, yerr=sd, color="black", capsize=3, linewidth=1.1)
        from_zero(axes, scores[:, t])
        axes.set_xticks(range(len(names)))
        nodes = result["nodes"].values[:, t]
        told = [plus_minus(row, 0).removesuffix(" ± 0") if np.isfinite(row).any() else "–" for row in nodes]
        axes.set_xticklabels(
            [
                f"{drawn_name(name, 14)}\n{words}\n{plus_minus(score, 2)}"
                for name, words, score in zip(names, told, scores[:, t], strict=True)
            ]
        )
        label = "" if column else f"held-out alignment ({unit_of(result)})"
        dress(axes, "method, nodes used, held-out alignment", label)
        axes.set_xlim(-0.6, len(names) - 0.4)
        heading(axes, "On test stimuli" + _of(result, t), 8)
    words = f"Bars: mean ± SD over {result.sizes['fold']} folds of stimuli,\nthe same for all methods; points: folds."
    write_words(figure, 0.1, 0.1, words, SMALL, color="#404040")
    return figure


def dendrograms(
    X: Any, support: Any, groups: Any = None, *, metric: str = "cosine", clusters: int | None = None
) -> Figure:
    """The full and the pruned similarity space as trees (complete linkage), one above the other.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    support : bool mask (d,) or indices
        The kept features.
    groups : array (n,), optional
        Colours of the strip below each tree: a stroke a stimulus. Beyond eight groups the smaller ones share one grey.
    metric : {"cosine", "correlation", "dot", "sqeuclidean", "euclidean", "cityblock"}
        Similarity of two stimuli.
    clusters : int, optional
        Where to cut: at a dashed line, the branches below it coloured.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), section 2.4.1. The leaves of each branch are sorted by distance, ascending.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(12, 6))
    >>> len(dendrograms(X, [0, 1, 4], clusters=3).axes)
    2
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap
    from scipy.cluster.hierarchy import dendrogram

    from ..features import read_subset
    from ..taxonomy import linkage

    values = read_features(X).values
    n, d = values.shape
    if clusters is not None and not 2 <= clusters <= n:
        raise ValueError(f"clusters must be from 2 to {n}, got {clusters!r}")
    coloured = read_groups(groups, n)
    legend = legend_height(coloured, 8.0)
    figure = blank_figure(8.0, 5.2 + legend)
    unit = metric_row(metric).unit if metric_row(metric).angular else "similarity below the largest"
    for row, (name, subset) in enumerate((("full", None), ("pruned", support))):
        tree = linkage(values, metric, subset=subset)
        drawn = dendrogram(tree, no_plot=True, distance_sort="ascending")
        axes = axes_at(figure, 0.75, 0.35 + legend + 2.45 * (1 - row), 7.0, 1.8)
        lines = [np.column_stack(sides) for sides in zip(drawn["icoord"], drawn["dcoord"], strict=True)]
        height = float(tree[:, 2].max())
        cut = None if clusters is None else float(tree[-clusters : n - clusters + 1, 2].mean())
        colours = ["#404040" if cut is None or line[1, 1] > cut else (FULL, PRUNED)[row] for line in lines]
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.6))
        if cut is not None:
            axes.axhline(cut, color="black", linestyle="--", linewidth=0.8)
            words = f"dashed: cut into {clusters} clusters"
            axes.text(1, 1.02, words, fontsize=SMALL, va="bottom", ha="right", transform=axes.transAxes)
        axes.set_xlim(0, 10 * n)
        axes.set_ylim(0, 1.04 * height)
        axes.set_xticks([])
        dress(axes, "", f"distance ({unit})")
        axes.spines["bottom"].set_visible(False)
        kept = len(read_subset(subset, d))
        axes.set_title(f"{name}: {kept} features", fontsize=NORMAL, loc="left", pad=4)
        if coloured is not None:
            strip = axes.inset_axes((0.0, -0.09, 1.0, 0.07))
            strip.imshow(
                coloured.of[drawn["leaves"]][None], cmap=ListedColormap(list(coloured.colours)), aspect="auto",
                vmin=-0.5, vmax=len(coloured.colours) - 0.5, interpolation="nearest",
            )  # fmt: skip
            strip.set_axis_off()
    write_words(figure, 0.75, 4.95 + legend, f"Trees of {n} stimuli (complete linkage)", LARGE, fontweight="bold")
    if coloured is not None:
        draw_groups(figure, coloured, legend + 0.02)
    return figure


def null(permutations: xarray.Dataset, target: int = 0) -> Figure:
    """The permutation null of the held-out alignment and of the gain, with the observed values and p.

    Parameters
    ----------
    permutations : xarray.Dataset
        From :func:`secateur.permutation_test`.
    target : int
        Position of the target.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(20, 10))
    >>> figure = null(sc.permutation_test(X, X[:, :3] @ X[:, :3].T, n=9, cv=3))
    >>> figure.axes[0].get_xlabel()
    'pruned, held out (Pearson r)'
    """
    t = _checked(permutations, target)
    figure = blank_figure(4.2, 3.8)
    upper, lower = axes_at(figure, 0.6, 2.2, 3.4, 0.95), axes_at(figure, 0.6, 0.5, 3.4, 0.95)
    _draw_null(upper, lower, permutations, t)
    heading(upper, f"{permutations.sizes['permutation']} relabellings of the stimuli", 20)
    return figure


def page(
    X: Any,
    target: Any,
    result: xarray.Dataset,
    permutations: xarray.Dataset | None = None,
    groups: Any = None,
    *,
    which: int = 0,
    title: str | None = None,
    seed: int = 0,
) -> Figure:
    """All pictures of one target on one A4 page in landscape.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    target : any form that :func:`secateur.alignment` takes
        What the result was made with.
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    permutations : xarray.Dataset, optional
        From :func:`secateur.permutation_test`.
    groups : array (n,), optional
        Order of the matrices and colours of the maps.
    which : int
        Position of the target.
    title : str, optional
        The page's heading.
    seed : int
        Of the maps.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> target = X[:, :4] @ X[:, :4].T
    >>> figure = page(X, target, sc.cross_validate(X, target, cv=3))
    >>> figure.get_size_inches().tolist()
    [11.69, 8.27]
    """
    values = read_features(X).values
    n, d = values.shape
    t, targets, coloured = _checked(result, which), _targets(target, n, result), read_groups(groups, n)
    if permutations is not None and permutations.sizes["target"] != result.sizes["target"]:
        raise ValueError(
            f"permutations must be of the result's {result.sizes['target']} targets, got {permutations.sizes['target']}"
        )
    figure = blank_figure(*A4)
    left = 0.45
    write_words(figure, left, 7.83, trimmed(title or "Pruning to a similarity space", 90), 13, fontweight="bold")
    write_words(figure, left, 7.59, " · ".join(_facts(result, n, d, t)), NORMAL, color="#404040")

    def head(at: float, bottom: float, letter: str, words: str) -> None:
        write_words(figure, at, bottom, f"{letter}   {words}", LARGE, fontweight="bold")

    bottom, height, letters = 4.6, 2.3, iter("ABCDE")
    spare = 0.0 if permutations is not None else 1.6
    top = bottom + height + 0.27
    curves = axes_at(figure, 1.0, bottom, 4.05 + spare, height)
    _draw_curves(curves, result, t, "auto")
    head(left, top, next(letters), _curves_title(result))
    scores = axes_at(figure, 5.9 + spare, bottom, 2.0 + spare, height)
    _draw_held_out(scores, result, t)
    gain = paired_t(result["pruned_test"].values[t], result["full_test"].values[t]).difference
    head(5.35 + spare, top, next(letters), "On test stimuli" + ("" if np.isnan(gain) else f": gain {signed(gain)}"))
    if permutations is not None:
        upper, lower = axes_at(figure, 8.7, bottom + 1.42, 2.65, 0.88), axes_at(figure, 8.7, bottom, 2.65, 0.85)
        _draw_null(upper, lower, permutations, t)
        head(8.2, top, next(letters), f"{permutations.sizes['permutation']} relabellings of the stimuli")

    side, low = 1.93, 1.2
    above = low + side + 0.42
    support = consensus(result, t)
    head(left, above, next(letters), f"Similarity matrices{_sorted_words(coloured)}")
    for column, space in enumerate(_spaces(values, result, targets, t, support)):
        axes = axes_at(figure, 0.55 + (side + 0.17) * column, low, side, side)
        image = _draw_matrix(axes, space, coloured, n, "rank")
    draw_bar(figure, axes_at(figure, 2.1, low - 0.14, 3.0, 0.07), image, RANK_LABEL)
    panels, reach, unit = _place_both(values, support, str(result.attrs["metric"]), seed)
    head(6.95, above, next(letters), "Maps of the stimuli (MDS, one scale)")
    for column, (places, words) in enumerate(panels):
        axes = axes_at(figure, 7.35 + (side + 0.17) * column, low, side, side)
        _draw_places(axes, places, coloured, reach, words, unit)
        if column:
            axes.set_ylabel("")
            axes.set_yticklabels([])
    write_words(
        figure,
        left,
        0.12,
        _footnote(result.sizes["fold"], "DE" if permutations is not None else "CD"),
        SMALL,
        color="#404040",
    )
    if coloured is not None:
        draw_groups(figure, coloured, 0.64)
    return figure


def _footnote(folds: int, letters: str) -> str:
    return (
        f"Held out: the pairs among the test stimuli of {folds} folds. “Pruned” in {letters[0]} and {letters[1]}: "
        "the features kept in at least half of the folds, shown for all stimuli."
    )


def _facts(result: xarray.Dataset, n: int, d: int, t: int) -> list[str]:
    """How a result was made, in a line."""
    attrs = result.attrs
    name, count = target_name(result, t), result.sizes["target"]
    told = (
        [f"target {t + 1} of {count}" + (f": {name}" if name else "")]
        if count > 1
        else [f"target: {name}"]
        if name
        else []
    )
    repeats = int(attrs["repeats"])
    return [
        *told,
        f"{n} stimuli",
        f"{d} features",
        f"{attrs['metric']} similarity",
        f"alignment in {unit_of(result)}",
        f"{result.sizes['fold']} folds of stimuli" + (f" ({repeats} repeats)" if repeats > 1 else ""),
        f"seed {attrs['seed']}",
        f"Secateur {attrs['secateur_version']}",
    ]
