"""A nested choice: what each outer fold chose among the candidates, and what that scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from ..statistics import mean_of_defined
from . import drawing
from .drawing import Figure
from .results import checked_target, title_end

__all__ = ["nested"]

MOST = 40  # candidates that are drawn: the best of more, by their inner score
PARTS = {"layer": "{}", "metric": "{}", "prunes_by": "by {}", "search": "{}", "max_features": "{}"}


def nested(result: xarray.Dataset, target: int | None = None) -> Figure:
    """Candidates of a nested choice: their inner scores in every outer fold, the choice, and held-out scores beside it.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.nested`.
    target : int, optional
        Position of the target; the first by default.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Varma & Simon (2006, BMC Bioinformatics 7).

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(40, 20))
    >>> result = sc.nested(X, X[:, :5] @ X[:, :5].T, metrics=["cosine", "dot"], cv=3, inner_cv=3)
    >>> [text.get_text() for text in nested(result).axes[0].get_yticklabels()]
    ['cosine', 'dot']
    """
    t = checked_target(result, target or 0)
    one = result.isel(target=t)
    inner, chosen = one["inner_score"].values, one["chosen"].values  # (fold, candidate), (fold,)
    tests = mean_of_defined(one["candidate_test"].values)
    shown = np.arange(len(tests))
    if len(shown) > MOST:
        means = np.nan_to_num(mean_of_defined(inner), nan=-np.inf)
        kept = set(np.argsort(-means, kind="stable")[:MOST].tolist()) | set(chosen.tolist())
        shown = np.array(sorted(kept))
    names = [drawing.drawn_name(name, 44) for name in _names(result, shown)]
    row, folds = 0.2, len(chosen)
    left, high = 0.35 + 0.062 * max(map(len, names)), row * len(shown)
    wide = min(max(0.9, 0.28 * folds), 4.0)
    figure = drawing.blank_figure(left + wide + 4.1, high + 1.45)
    axes = drawing.axes_at(figure, left, 1.05, wide, high)
    image = axes.imshow(inner[:, shown].T, aspect="auto", cmap="viridis", interpolation="nearest")
    places = {int(c): k for k, c in enumerate(shown)}
    ink: dict[str, Any] = {"color": "white", "markeredgecolor": "black", "markersize": 6, "markeredgewidth": 0.8}
    axes.plot(np.arange(folds), [places[int(c)] for c in chosen], "o", clip_on=False, **ink)
    axes.set_yticks(np.arange(len(shown)), names)
    axes.set_xticks(np.arange(folds) if folds <= 12 else np.arange(0, folds, -(-folds // 8)))
    drawing.dress(axes, "outer fold", "")
    drawing.heading(axes, "Inner scores" + title_end(result, t), 6)
    bar = drawing.axes_at(figure, left + wide + 0.12, 1.05, 0.1, high)
    drawing.draw_bar(figure, bar, image, "", "vertical")

    beside = drawing.axes_at(figure, left + wide + 1.0, 1.05, 2.9, high)
    at = np.arange(len(shown))
    beside.barh(at, tests[shown], height=0.7, color=drawing.OTHER, label="each candidate")
    score = float(mean_of_defined(one["pruned_test"].values[:, None])[0])
    full = float(mean_of_defined(one["full_test"].values[:, None])[0])
    beside.axvline(full, color=drawing.FULL, linewidth=1.4, label=f"all features {full:.3f}")
    beside.axvline(score, color=drawing.PRUNED, linewidth=1.8, label=f"chosen inside {score:.3f}")
    if "null_pruned_test" in result:
        bound = float(np.nanquantile(one["null_pruned_test"].values, 0.95))
        beside.axvline(bound, color="black", linestyle=":", linewidth=1.2, label=f"95 % of the null {bound:.3f}")
    beside.axvline(0, color="black", linewidth=0.5)
    beside.set_ylim(len(shown) - 0.5, -0.5)
    beside.set_yticks([])
    drawing.dress(beside, f"held-out alignment ({drawing.unit_of(result)})", "")
    drawing.heading(beside, "On test stimuli", 6)
    beside.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.42 / high), ncols=2, frameon=False, fontsize=drawing.SMALL
    )
    words = "Circles: the choice of each outer fold."
    if len(shown) < len(tests):
        words += f" {len(shown)} of {len(tests)} candidates."
    drawing.write_note(figure, 0.1, 0.1, words)
    return figure


def _names(result: xarray.Dataset, shown: np.ndarray) -> list[str]:
    """What tells the candidates from each other; what all have in common is left out."""
    words: dict[str, list[str]] = {}
    for name, form in PARTS.items():
        values = result[name].values[shown]
        if name == "max_features":
            given = ["no limit" if np.isnan(value) else f"{value:.0f} at most" for value in values]
        else:
            given = [form.format(value) for value in values]
        if len(set(given)) > 1:
            words[name] = given
    if not words:
        return [str(value) for value in result["layer"].values[shown]]
    return [", ".join(parts) for parts in zip(*words.values(), strict=True)]
