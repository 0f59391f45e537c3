"""Models side by side: bars with intervals, the noise ceiling, which differ beyond chance; would they be told apart?"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray

from ..arguments import check_share
from . import drawing
from .drawing import Axes, Figure

__all__ = ["models", "recovery"]

STEP = 0.055  # of the axis, from one line of significance to the next


def models(
    result: xarray.Dataset, by: Literal["space", "model"] = "space", *, alpha: float = 0.05,
    correction: Literal["p_holm", "q"] = "p_holm",
) -> Figure:  # fmt: skip
    """Held-out alignment of models: a bar each with its interval, the noise ceiling, and lines over pairs that differ.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.compare_models`.
    by : {"space", "model"}
        A panel per space with the models in it, or a panel per model with its spaces.
    alpha : float
        A pair is joined by a line where its corrected p is at most this; between 0 and 1.
    correction : {"p_holm", "q"}
        Which: of the chance of any false find, or of the false discovery rate.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        Where an argument is none of these.

    References
    ----------
    Nili et al. (2014, PLoS Comput Biol 10), Figure 4; rsatoolbox's ``plot_model_comparison``.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 12))
    >>> result = sc.compare_models({"a": X, "b": X[:, :6]}, X[:, :4] @ X[:, :4].T, ["full", "pruned"], cv=3, n=2)
    >>> [axes.get_title(loc="left") for axes in models(result).axes]
    ['full', 'pruned']
    """
    if by not in ("space", "model"):
        raise ValueError(f"by must be 'space' or 'model', got {by!r}")
    if correction not in ("p_holm", "q"):
        raise ValueError(f"correction must be 'p_holm' or 'q', got {correction!r}")
    alpha = check_share("alpha", alpha)
    other = "model" if by == "space" else "space"
    panels, bars = ([str(name) for name in result[of].values] for of in (by, other))
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    wide = max(1.6, 0.62 * len(bars))
    figure = drawing.blank_figure(max(4.2, 0.75 + across * (wide + 0.5)), 0.55 + 3.2 * down)
    reach = max(_draw(None, result, by, other, panel, bars, alpha, correction) for panel in panels)
    low = min(0.0, float(np.nanmin([*np.ravel(result["interval_score"]), *np.ravel(result["score"]), 0.0])))
    room = 0.05 * (reach - low)  # for the caps
    for k, panel in enumerate(panels):
        row, column = divmod(k, across)
        axes = drawing.axes_at(figure, 0.65 + column * (wide + 0.5), 1.15 + 3.2 * (down - 1 - row), wide, 2.1)
        _draw(axes, result, by, other, panel, bars, alpha, correction)
        axes.set_ylim(low - room if low < 0 else 0.0, reach + room)
        if low < 0:
            axes.axhline(0, color="black", linewidth=0.5)
        label = "" if column else f"held-out alignment ({drawing.unit_of(result)})"
        drawing.dress(axes, "", label)
        axes.tick_params(axis="x", rotation=30)
        drawing.heading(axes, panel, 6)
    over = {"both": "stimuli and subjects"}.get(str(result.attrs["over"]), str(result.attrs["over"]))
    corrected = {"p_holm": "any false find, Holm", "q": "false discovery rate"}[correction]
    words = f"Bars: means, {100 * float(result.attrs['confidence']):g} % intervals over {over}. Lines: p ≤ {alpha:g}"
    words += f"\n({corrected}, all pairs of a panel)."
    words += " Grey: noise ceiling." if "ceiling" in result else ""
    drawing.write_note(figure, 0.1, 0.1, words)
    return figure


def _draw(
    axes: Axes | None, result: xarray.Dataset, by: str, other: str, panel: str, bars: list[str], alpha: float,
    correction: str,
) -> float:  # fmt: skip
    """One panel; how high it reaches, also where it is not drawn."""
    one = result.sel({by: panel})
    scores, bounds = one["score"].values, one["interval_score"].values
    tops = [np.nanmax([*np.ravel(bounds), *scores, 0.0])]
    if "ceiling" in result:
        tops.append(float(result["ceiling"].max()))
    top = float(max(tops)) or 1.0
    if axes is not None:
        colours = {"full": drawing.FULL, "pruned": drawing.PRUNED}
        for m, name in enumerate(bars):
            colour = colours.get(panel if by == "space" else name, drawing.OTHER)
            if np.isnan(scores[m]):
                drawing.say_none(axes, m)
            axes.bar(m, scores[m], width=0.66, color=colour, alpha=0.85)
            if np.isfinite(bounds[m]).all():
                error = np.abs(bounds[m] - scores[m])[:, None]
                axes.errorbar(m, scores[m], yerr=error, color="black", capsize=3, linewidth=1.1)
        if "ceiling" in result:
            axes.axhspan(*result["ceiling"].values, color="#C8C8C8", alpha=0.6, linewidth=0, zorder=0)
        drawing.name_bars(axes, [drawing.drawn_name(name, 14) for name in bars])
    level = top
    for k in range(result.sizes["pair"]):
        sides = [{of: str(result[f"{of}_{side}"].values[k]) for of in ("model", "space")} for side in "ab"]
        if any(side[by] != panel for side in sides) or not float(result[correction][k]) <= alpha:
            continue
        level += STEP * top
        if axes is not None:
            ends = [bars.index(side[other]) for side in sides]
            axes.plot(ends, [level, level], color="black", linewidth=0.9, marker="|", markersize=4)
    return level


def recovery(result: xarray.Dataset) -> Figure:
    """How often the model that made a simulated target wins, by the noise ceiling of what was simulated.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.model_recovery`.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Avitan & Golan (2025), arXiv 2510.23321.

    Examples
    --------
    >>> import secateur as sc
    >>> rng = np.random.default_rng(0)
    >>> models = {"a": rng.normal(size=(30, 20)), "b": rng.normal(size=(30, 20))}
    >>> result = sc.model_recovery(models, n=2, noise=[0.2, 1], subjects=2, share=0.5, cv=3)
    >>> recovery(result).axes[0].get_xlabel()
    'noise ceiling, lower bound (Pearson r)'
    """
    figure = drawing.blank_figure(4.6, 3.6)
    axes = drawing.axes_at(figure, 0.65, 0.95, 3.75, 2.0)
    ceiling = result["ceiling"].sel(bound="lower").values
    order = np.argsort(ceiling, kind="stable")
    colours = {"full": drawing.FULL, "pruned": drawing.PRUNED}
    others = [one for one in drawing.OKABE_ITO if one not in colours.values()]
    spread = 0.012 * (np.ptp(ceiling) or 1.0)
    for s, name in enumerate(map(str, result["space"].values)):
        share, error = (result[of].values[s] for of in ("accuracy", "accuracy_error"))
        at = ceiling + spread * (s - (result.sizes["space"] - 1) / 2)
        colour = colours.get(name) or others[s % len(others)]
        axes.errorbar(
            at[order], 100 * share[order], 100 * error[order], fmt="-o", color=colour, markersize=4, capsize=2,
            linewidth=1.2, label=drawing.drawn_name(name, 14),
        )  # fmt: skip
    chance = 100 / result.sizes["model"]
    axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance")
    axes.set_ylim(0, 104)
    drawing.dress(axes, f"noise ceiling, lower bound ({drawing.unit_of(result)})", "the maker wins (%)")
    drawing.legend_above(axes, 4)
    words = f"{result.attrs['n']} simulated targets of each of {result.sizes['model']} models and noise, "
    words += f"{result.attrs['subjects']} subjects;\na share of {float(result.attrs['share']):g} of a model's features"
    words += " makes them; ± standard error."
    drawing.write_note(figure, 0.1, 0.1, words)
    return figure
