"""Fine-tuning beside pruning: pictures and tables of the training and of explainable variance, and a results folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import xarray

from ..comparison import comparison_table
from ..measures import label_of
from . import drawing
from .dictionary import DICTIONARY
from .drawing import Figure, signed
from .folder import write_folder
from .formats import SETTINGS, plain_value, save_figure, write_netcdf, write_settings, write_table
from .held_out_scores import comparison
from .tables import comparison_markdown, number_words, pipe_table

if TYPE_CHECKING:
    from ..finetuning import DissimilarityTrainer

__all__ = ["explained_markdown", "explained_variance", "first_table", "outcome", "training", "write_finetuning"]

PICTURES = {
    "comparison": "held-out alignment of untouched, pruned and fine-tuned features",
    "training": "loss and held-out alignment by epoch and layer",
    "explained": "percent of explainable variance",
}
CONTENTS = {
    "network.pt": "the fine-tuned weights, for networks.load(..., weights=)",
    "history.csv": "loss and held-out alignment of every epoch and layer",
    "comparison.nc": "scores of every method and fold (netCDF)",
    "summary.md": "which served better, as tables to read",
    **{f"{name}.{kind}": what for name, what in PICTURES.items() for kind in ("png", "svg")},
    DICTIONARY: "what every file and column holds",
    SETTINGS: "command, versions, seeds, hashes of the input",
}
COLOURS = {
    "full": drawing.FULL,
    "pruned": drawing.PRUNED,
    "fine-tuned": drawing.OKABE_ITO[2],
    "tuned + pruned": drawing.OKABE_ITO[3],
}


def explained_variance(scores: xarray.Dataset) -> Figure:
    """Percent of explainable variance: a bar per model, a point per subject, the ceiling as a band.

    Parameters
    ----------
    scores : xarray.Dataset
        From :func:`secateur.noise_normalised_r2` or :func:`secateur.comparison.explained_variance`.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Cichy et al. (2019), The Algonauts Project.

    Examples
    --------
    >>> import secateur as sc
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=45)
    >>> explained_variance(sc.noise_normalised_r2(truth, truth + rng.normal(size=(6, 45)))).axes[0].get_ylabel()
    'explainable variance explained (%)'
    """
    names = [str(name) for name in scores["model"].values]
    wide = max(2.4, 0.95 * len(names))
    figure = drawing.blank_figure(wide + 0.95, 3.45)
    axes = drawing.axes_at(figure, 0.7, 1.0, wide, 2.05)
    each = scores["explained_by_subject"].values
    axes.axhspan(float(scores["explained_lower"]), 100, color="#EAEAEA", linewidth=0, zorder=0)
    for m, name in enumerate(names):
        mean = float(scores["explained"].values[m])
        if np.isnan(mean):
            drawing.say_none(axes, m)
        axes.bar(m, mean, width=0.66, color=COLOURS.get(name, drawing.OTHER), alpha=0.85, zorder=2)
        drawing.draw_points(axes, m, each[m], 0.2, zorder=3)
    axes.set_ylim(min(0.0, 1.06 * float(np.nanmin(each, initial=0.0))), 1.06 * np.nanmax(each, initial=100.0))
    axes.axhline(0, color="#404040", linewidth=0.6, zorder=1)
    shares = zip(names, scores["explained"].values, strict=True)
    drawing.name_bars(
        axes,
        [f"{drawing.drawn_name(name, 16)}\n{'–' if np.isnan(share) else f'{share:.0f} %'}" for name, share in shares],
    )
    drawing.dress(axes, "", "explainable variance explained (%)")
    drawing.heading(axes, "Explainable variance of single subjects", 10)
    unit = label_of(str(scores.attrs.get("comparator", "spearman")))
    folds = f", mean of {scores.attrs['folds']} folds' test stimuli" if "folds" in scores.attrs else ""
    words = (
        f"Bars: mean squared {unit} with each subject (points), chance taken off,\n"
        f"over that of the subjects' mean (100 %){folds}.\nBand: from the mean of the other subjects to 100 %."
    )
    drawing.write_note(figure, 0.1, 0.08, words)
    return figure


def training(history: xarray.Dataset, *, most: int = 6) -> Figure:
    """Loss by epoch, and the held-out alignment of the layers that reach most.

    Parameters
    ----------
    history : xarray.Dataset
        ``history_`` of a :class:`secateur.finetuning.DissimilarityTrainer`.
    most : int
        The most layers to draw in colour; the others are faint.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Agrawal (2019), Results: layer and epoch.

    Examples
    --------
    >>> import xarray
    >>> values = {"loss": ("epoch", [np.nan, 0.2, 0.1]), "alignment": (("epoch", "layer"), [[0.1], [0.2], [0.3]])}
    >>> attrs = {"best_layer": "fc7", "best_epoch": 2, "comparator": "pearson", "loss": "mse", "layer": "fc7"}
    >>> history = xarray.Dataset(values, {"epoch": [0, 1, 2], "layer": ["fc7"]}, attrs)
    >>> len(training(history).axes)
    2
    """
    attrs, epochs = history.attrs, history["epoch"].values
    figure = drawing.blank_figure(7.6, 2.85)
    losses, scores = drawing.axes_at(figure, 0.65, 0.6, 2.2, 1.85), drawing.axes_at(figure, 3.65, 0.6, 2.5, 1.85)
    losses.plot(epochs, history["loss"].values, "-o", color="black", markersize=2.5, linewidth=1)
    loss = "mean squared difference" if attrs["loss"] == "mse" else "1 − Pearson r"
    drawing.dress(losses, "epoch", loss)
    losses.set_ylim(bottom=0)
    drawing.heading(losses, f"Training loss at {drawing.drawn_name(str(attrs['layer']), 18)}", 8)
    values = history["alignment"].values
    if np.isfinite(values).any():
        reached = np.where(np.isfinite(values), values, -np.inf).max(axis=0)
        order = [int(k) for k in np.argsort(-reached, kind="stable") if np.isfinite(reached[k])]
        for k in order[most:]:
            label = "others" if k == order[-1] else None
            scores.plot(epochs, values[:, k], color=drawing.FAINT, linewidth=0.6, alpha=0.6, label=label, zorder=1)
        for rank, k in enumerate(order[:most]):
            name = drawing.drawn_name(str(history["layer"].values[k]), 18)
            scores.plot(epochs, values[:, k], "-", color=drawing.OKABE_ITO[rank], linewidth=1.2, label=name, zorder=2)
        best = int(attrs["best_epoch"])
        height = float(history["alignment"].sel(epoch=best, layer=attrs["best_layer"]))
        scores.plot([best], [height], "*", color="black", markersize=9, zorder=3, label=f"kept: epoch {best}")
        scores.legend(
            loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=drawing.SMALL, handlelength=1.4,
            title="layer", title_fontsize=drawing.SMALL,
        )  # fmt: skip
    else:
        scores.text(0.5, 0.5, "nothing was held out", ha="center", transform=scores.transAxes, fontsize=drawing.NORMAL)
    drawing.from_zero(scores, values)
    unit = label_of(str(attrs["comparator"]))
    drawing.dress(scores, "epoch (0: untouched)", f"held-out alignment ({unit})")
    for axes in (losses, scores):
        axes.set_xlim(-0.03 * max(len(epochs) - 1, 1), 1.03 * max(len(epochs) - 1, 1))
        axes.locator_params(axis="x", integer=True)
    drawing.heading(scores, f"{attrs.get('held_out_images', 0)} held-out images", 8)
    return figure


def explained_markdown(scores: xarray.Dataset) -> str:
    """Percent of explainable variance as a Markdown table, one row per model.

    Parameters
    ----------
    scores : xarray.Dataset
        As for :func:`explained_variance`.

    Returns
    -------
    str
        Mean correlation and mean of its squares over subjects, what chance gives of these, percent of explainable
        variance beyond chance, and the ceilings.

    Examples
    --------
    >>> import secateur as sc
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=45)
    >>> print(explained_markdown(sc.noise_normalised_r2(truth, truth + rng.normal(size=(6, 45)))).splitlines()[0])
    | model | mean ρ | mean ρ² | ρ² by chance | % of explainable variance | subjects (%) |
    """
    short = label_of(str(scores.attrs["comparator"])).split()[-1]
    heads = ["model", f"mean {short}", f"mean {short}²", f"{short}² by chance", "% of explainable variance"]
    rows = [[*heads, "subjects (%)"]]
    upper, floor = float(scores["upper"]), float(scores["upper_chance"])
    for name in scores["model"].values:
        one = scores.sel(model=name)
        each = one["explained_by_subject"].values
        means = [number_words(float(one[key].mean()), ".3f") for key in ("correlation", "mean_r2", "chance")]
        explained = number_words(float(one["explained"]), ".1f")
        rows.append([str(name), *means, explained, f"{each.min():.1f} to {each.max():.1f}"])
    lower = float(scores["lower"])
    notes = [
        f"100 %: the mean of all {scores.sizes['subject']} subjects' matrices in the model's place, {short}² = "
        f"{upper:.3f} ({floor:.3f} by chance). The mean of the other subjects reaches {short}² = {lower:.3f}, "
        f"{float(scores['explained_lower']):.1f} %.",
        f"By chance: the mean of {scores.attrs['n']} relabellings of the subjects' stimuli. It is taken off, so that a "
        "model that knows nothing explains 0 % on average, and may explain less.",
    ]
    if "folds" in scores.attrs:
        notes.append(f"Among the test stimuli of {scores.attrs['folds']} folds, averaged before the ratio.")
    return pipe_table(rows) + "\n\n" + "\n".join(f"- {note}" for note in notes) + "\n"


def first_table(result: xarray.Dataset) -> pandas.DataFrame:
    """The comparison's table for its first target, a row per method."""
    table = comparison_table(result).reset_index()
    first: pandas.DataFrame = table.loc[table["target"] == table["target"].iloc[0]]
    return first.set_index("approach")


def outcome(result: xarray.Dataset, training: Mapping[str, Any]) -> list[str]:
    """Whether fine-tuning helped, and whether it or pruning served better: a sentence for each.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.compare`, with methods ``full``, ``pruned`` and ``fine-tuned``.
    training : mapping
        Of the training on all images, ``best_epoch``.

    Returns
    -------
    list of str
        Differences of held-out alignment with their corrected p, where relabellings were drawn.
    """
    table, unit = first_table(result), label_of(str(result.attrs["comparator"]))
    test = {str(name): float(value) for name, value in table["test"].items()}
    n, folds = result.sizes["stimulus"], result.sizes["fold"]
    if not {"full", "pruned", "fine-tuned"} <= set(test):
        best = max(test, key=lambda name: -np.inf if np.isnan(test[name]) else test[name])
        return [
            f"Of {len(test)} methods {best} has the highest held-out alignment: {unit} = {test[best]:.3f} "
            f"(n = {n} images, {folds} folds)."
        ]

    def p_of(method: str, reference: str) -> float:
        return float(table[f"p_holm_{reference}"].get(method, np.nan)) if f"p_holm_{reference}" in table else np.nan

    def p_said(method: str, reference: str) -> str:
        p = p_of(method, reference)
        return "" if np.isnan(p) else f", p = {p:.2g}"

    gain = test["fine-tuned"] - test["full"]
    words = "left" if abs(gain) < 0.0005 else "raised" if gain > 0 else "lowered"
    change = f"unchanged at {unit} = {test['full']:.3f}"
    if words != "left":
        change = f"from {unit} = {test['full']:.3f} to {test['fine-tuned']:.3f}"
    if int(training.get("best_epoch", 1)) == 0:
        helped = "did not help: trained on all images, the network was best before it (epoch 0). In the folds it"
    elif words != "raised":
        helped = "did not help: it"
    else:
        helped = "may have helped, but chance can do as much: it" if p_of("fine-tuned", "full") > 0.05 else "helped: it"
    first = (
        f"Fine-tuning {helped} {words} the held-out alignment {change} ({signed(gain)}{p_said('fine-tuned', 'full')}), "
        f"and pruning the untouched network gave {test['pruned']:.3f} "
        f"({signed(test['pruned'] - test['full'])}{p_said('pruned', 'full')})."
    )
    apart = test["fine-tuned"] - test["pruned"]
    better = "fine-tuning" if apart > 0 else "pruning"
    of = f"{abs(apart):.3f}{p_said('fine-tuned', 'pruned')}, n = {n} images in {folds} folds"
    if p_of("fine-tuned", "pruned") > 0.05:
        return [first, f"Neither served clearly better: the difference, in favour of {better}, is {of}."]
    return [first, f"So {better} served better, by {of}."]


def write_finetuning(
    folder: str | os.PathLike[str],
    trainer: DissimilarityTrainer,
    result: xarray.Dataset,
    scores: xarray.Dataset | None = None,
    *,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a results folder of a fine-tuning, whole or not at all, as :func:`secateur.report.write` does.

    Parameters
    ----------
    folder : path
        A new or empty folder; its parents are made.
    trainer : DissimilarityTrainer
        Fitted, usually on all images.
    result : xarray.Dataset
        From :func:`secateur.compare`: what fine-tuning and pruning reach in folds.
    scores : xarray.Dataset, optional
        From :func:`secateur.comparison.explained_variance`, where there are several subjects.
    title : str, optional
        Heading of the tables.
    settings : mapping, optional
        What else ``settings.json`` should hold.
    overwrite : bool
        Whether an earlier result may be replaced.

    Returns
    -------
    list of Path
        ``network.pt``, ``history.csv``, ``comparison.nc``, ``summary.md``, the pictures as PNG and SVG,
        ``settings.json``.

    Raises
    ------
    FileExistsError
        Where something is there that may not be replaced.
    OSError
        Where the disk refuses.

    Examples
    --------
    >>> import tempfile, secateur as sc
    >>> from secateur.networks import embed, load
    >>> from secateur.finetuning import DissimilarityTrainer
    >>> rng = np.random.default_rng(0)
    >>> photographs, rdm = rng.integers(0, 256, (9, 32, 32, 3), dtype=np.uint8), rng.random(36)
    >>> net = load("squeezenet1_1", weights=None)
    >>> trainer = DissimilarityTrainer(net, freeze="up to features.11", epochs=1, validation=3, size=32)
    >>> result = sc.compare(embed(net, photographs), rdm, ["full", "pruned"], cv=2, kind="dissimilarity")
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     files = write_finetuning(Path(parent) / "out", trainer.fit(photographs, rdm), result)
    >>> files[0].name
    'network.pt'
    """

    def fill(draft: Path) -> None:
        trainer.save(draft / "network.pt")
        table = trainer.history_["alignment"].to_dataset("layer").to_dataframe()
        table.insert(0, "loss", trainer.history_["loss"].values)
        write_table(draft / "history.csv", table, index=True)
        write_netcdf(draft / "comparison.nc", result)
        verdict = " ".join(outcome(result, trainer.history_.attrs))
        chosen = f"Kept of all images' training: layer {trainer.layer_}, epoch {trainer.epoch_}."
        parts = [comparison_markdown(result, title=title), *([] if scores is None else [explained_markdown(scores)])]
        (draft / "summary.md").write_text("\n".join([verdict + "\n", *parts, f"{chosen}\n"]), encoding="utf-8")
        pictures = {"comparison": comparison(result), "training": training(trainer.history_)}
        if scores is not None:
            pictures["explained"] = explained_variance(scores)
        for name, figure in pictures.items():
            save_figure(figure, draft / name)
        trained = {name: plain_value(value) for name, value in trainer.history_.attrs.items()}
        network = dict(trainer.network_.provenance)
        write_settings(draft, result.attrs, {"training": trained, "network": network, **(settings or {})})

    return write_folder(folder, fill, CONTENTS, overwrite, "finetuning")
