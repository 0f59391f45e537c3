"""Reports of ``secateur embed``, ``maps`` and ``heatmap``: photographs through a network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray

from ..contents import of_parts
from ..folder import NETWORK_CONTENTS
from . import methods
from .parts import Block, Cell, Picture, Tab, Table, Words, table_of
from .prune import PruneReport
from .references import cited
from .section import Section

__all__ = ["EmbedReport", "HeatmapReport", "MapsReport"]

MOST_MAPS, MOST_IMAGES = 30, 5


class _Network(Section):
    """What the reports on a network share."""

    @classmethod
    def contents(cls) -> Mapping[str, str]:
        return NETWORK_CONTENTS

    def holding(self) -> Mapping[str, str]:
        return of_parts(self.contents(), str(self.settings.get("parts", "maps")))

    @property
    def network(self) -> str:
        return str(self.settings.get("network", "a network"))

    @property
    def images(self) -> int:
        """How many images there are."""
        return next((int(one["images"]) for one in self.settings.get("inputs", ()) if "images" in one), 0)

    def facts(self) -> list[str]:
        weights = str(self.settings.get("weights", ""))
        return [f"{self.images} images", self.network, *([f"weights: {weights}"] if weights else []), *self._layer(),
                f"Secateur {self.settings['versions']['secateur']}"]  # fmt: skip

    def _layer(self) -> list[str]:
        return [f"layer {self.settings['layer']}"] if "layer" in self.settings else []

    def best(self) -> list[Picture]:
        """The images that drive the best features or maps."""
        return self.run.picture(
            "best_images", "The images with the largest values of the best features or maps, a row for each of these",
            "The images that drive the best features or maps, a row for each; names and values above the images",
        )  # fmt: skip

    def seen(self) -> str:
        """The network, as a methods section has it."""
        weights, torch = str(self.settings.get("weights", "")), str(self.settings.get("torch", ""))
        words = f"{self.images} images were passed through {self.network}"
        words += f" (weights: {weights})" if weights else ""
        return words + (f" in PyTorch {torch}" if torch else "")


def _masked(attrs: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What was masked: one of them, several, the word for one, and how."""
    parts = str(attrs.get("parts", "maps"))
    by = "replaced by its mean over the images" if attrs.get("fill") == "mean" else "set to zero"
    if parts == "maps":
        return "feature map of the last convolution", "feature maps", "map", by
    what = parts.removesuffix("s")
    return f"{what} of the transformer{'' if parts == 'blocks' else chr(39) + 's blocks'}", parts, what, by


class EmbedReport(_Network):
    """Activations of a layer."""

    commands: ClassVar[tuple[str, ...]] = ("embed",)
    marks: ClassVar[tuple[str, ...]] = ("embedding.nc",)

    @cached_property
    def embedding(self) -> xarray.DataArray:
        held = self.run.dataset("embedding.nc")
        assert held is not None  # its mark
        return held["embedding"]

    def title(self) -> str:
        return f"Features of {self.images} images: {self.network}, {' '.join(self._layer())}".rstrip(", ")

    def verdict(self) -> list[str]:
        n, d = self.embedding.shape
        zeros = float((self.embedding.values == 0).mean())
        silent = int((self.embedding.values == 0).all(axis=0).sum())
        return [
            f"{n} images were turned into {d} features each, ready for secateur prune and secateur timecourse.",
            f"{100 * zeros:.0f} % of all values are zero, and {silent} features are zero for every image.",
        ]

    def results(self) -> tuple[list[Block], list[Tab]]:
        values = self.embedding.values
        rows: list[list[Cell]] = [
            ["images", values.shape[0]], ["features", values.shape[1]], ["least value", float(values.min())],
            ["mean", float(values.mean())], ["largest value", float(values.max())],
            ["share of zeros", float((values == 0).mean())],
            ["features that are zero for every image", int((values == 0).all(axis=0).sum())],
        ]  # fmt: skip
        return [Table("The embedding", ["what", "value"], rows)], []

    def features(self) -> tuple[list[Block], list[Tab]]:
        """The images that drive the features that vary most."""
        values, names = self.embedding.values, [str(name) for name in self.embedding["stimulus"].values]
        feature = [str(name) for name in self.embedding["feature"].values]
        spread = values.std(axis=0)
        rows: list[list[Cell]] = []
        for k in np.argsort(-spread, kind="stable")[:MOST_MAPS]:
            best = np.argsort(-values[:, k], kind="stable")[:MOST_IMAGES]
            rows.append([feature[k], float(spread[k]), ", ".join(names[i] for i in best)])
        words = "No features were selected: all are in embedding.nc."
        caption = f"The {len(rows)} features that vary most over the images, and the images where each is largest"
        table = Table(caption, ["feature", "SD over images", "largest for"], rows)
        return [Words(words), *self.best(), table], []

    def methods(self) -> list[str]:
        layer, pool = self.settings.get("layer", ""), self.settings.get("pool", "")
        how = ", maps averaged over places" if pool == "mean" else ""
        return [f"{self.seen()}; the activations of the layer {layer} were taken as features{how}.",
                methods.software(self.settings)]  # fmt: skip

    def headline(self) -> list[dict[str, Any]]:
        return [{"stimuli": self.embedding.shape[0], "of": self.embedding.shape[1], "target": self.network}]


class MapsReport(PruneReport, _Network):
    """Feature maps of the last convolution, selected in folds of images."""

    commands: ClassVar[tuple[str, ...]] = ("maps",)
    marks: ClassVar[tuple[str, ...]] = ("selection.nc", "summary.csv")
    file: ClassVar[str] = "selection.nc"

    @classmethod
    def contents(cls) -> Mapping[str, str]:
        return NETWORK_CONTENTS

    def facts(self) -> list[str]:
        return [self.network, *PruneReport.facts(self)]

    def features(self) -> tuple[list[Block], list[Tab]]:
        blocks, tabs = PruneReport.features(self)
        return [*blocks, *self.best()], tabs

    def methods(self) -> list[str]:
        attrs = dict(self.result.attrs)
        one, several, _, by = _masked(attrs)
        first = (
            f"{self.seen()}. Each {one} was scored by its alignment importance: the fall in alignment when it is {by} "
            "for all images and what follows is computed with the trained weights "
            f"{cited('truong2024')}. {methods.measured(attrs)} {methods.aligned(attrs)} The {several} were inserted in "
            "order of importance, and the shortest prefix with the highest alignment was kept."
        )
        second = methods.folded({**self.settings, **attrs}, "images")
        if self.chance is not None:
            second += (
                f" p is one-sided, from {self.chance[1]} relabellings of the target's images, what was learnt staying "
                "as it is."
            )
        return [" ".join(words.split()) for words in (first, second, methods.software(self.settings), self._effect())]


class HeatmapReport(_Network):
    """Which parts of each image matter."""

    commands: ClassVar[tuple[str, ...]] = ("heatmap",)
    marks: ClassVar[tuple[str, ...]] = ("heatmaps.nc", "importance.nc")

    @cached_property
    def scores(self) -> xarray.Dataset:
        held = self.run.dataset("importance.nc")
        assert held is not None  # one of its marks
        return held

    def title(self) -> str:
        target = next(
            (str(one.get("file", "")) for one in self.settings.get("inputs", ()) if one.get("role") == "target"), ""
        )
        stem = target.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        return f"Alignment importance: {self.network}" + (f", {stem}" if stem else "")

    def _importance(self) -> tuple[Any, list[str], list[str]]:
        """Scores (image, map), names of images and of maps."""
        own = self.scores["image_importance"]
        dim = next(str(name) for name in own.dims if name != "stimulus")
        own = own.transpose("stimulus", dim)
        return own.values, [str(v) for v in own["stimulus"].values], [str(v) for v in own[dim].values]

    def verdict(self) -> list[str]:
        values, images, maps = self._importance()
        positive = (values > 0).any(axis=1)
        share, (_, several, word, _) = float((values > 0).mean()), _masked(self.scores.attrs)
        return [
            f"For {int(positive.sum())} of {len(images)} images at least one of {len(maps)} {several} supports the "
            "alignment with the target, and these have a heatmap.",
            f"{100 * share:.0f} % of all scores (image × {word}) are positive; nothing was held out, so there is no "
            "interval and no p-value: heatmaps describe these images.",
        ]

    def warnings(self) -> list[str]:
        values, images, _ = self._importance()
        word = _masked(self.scores.attrs)[2]
        empty = [name for name, row in zip(images, values) if not (row > 0).any()]
        found = super().warnings()
        if empty:
            few = ", ".join(empty[:5]) + (", …" if len(empty) > 5 else "")
            found.append(
                f"{len(empty)} of {len(images)} images have no {word} of positive score and an empty heatmap: {few}."
            )
        return found

    def results(self) -> tuple[list[Block], list[Tab]]:
        tabs = []
        for stem, title in (("heatmaps", "Heatmaps"), ("contours", "Contours"), ("precision_recall", "Saliency")):
            words = NETWORK_CONTENTS[f"{stem}.png"]
            own: list[Block] = [*self.run.picture(stem, f"{words[0].upper()}{words[1:]}")]
            if stem == "precision_recall" and own:
                table = self.run.table("saliency.csv")
                if table is not None:
                    own.append(table_of("Relative risk of heat where it is salient, over images", table))
            if own:
                tabs.append(Tab(title, own))
        return [], tabs

    def features(self) -> tuple[list[Block], list[Tab]]:
        """The maps with the highest mean score, and the images that they matter most for."""
        values, images, maps = self._importance()
        means = np.nan_to_num(values, nan=-np.inf).mean(axis=0)
        rows: list[list[Cell]] = []
        for k in np.argsort(-means, kind="stable")[:MOST_MAPS]:
            best = [i for i in np.argsort(-values[:, k], kind="stable")[:MOST_IMAGES] if values[i, k] > 0]
            rows.append(
                [maps[k], float(means[k]), float((values[:, k] > 0).mean()), ", ".join(images[i] for i in best)]
            )
        _, several, word, _ = _masked(self.scores.attrs)
        caption = (
            f"The {len(rows)} {several} with the highest mean importance, and the images that each matters most for"
        )
        table = Table(
            caption,
            [
                word,
                "mean importance",
                "share of images above zero",
                "highest for",
            ],
            rows,
        )
        return [*self.best(), table], []

    def methods(self) -> list[str]:
        attrs = {**self.scores.attrs}
        measured = methods.measured(attrs) if {"metric", "comparator"} <= set(attrs) else ""
        one, several, _, by = _masked(attrs)
        first = (
            f"{self.seen()}. For each image, each {one} was {by} for that image alone, and its alignment "
            "importance is the fall in the alignment of its similarities to all other images with the target's "
            f"{cited('truong2024')}. {measured} A heatmap is the mean of the image's {several}, "
            "weighted by their positive scores and brought to the size of the image."
        )
        return [" ".join(first.split()), methods.software(self.settings)]

    def headline(self) -> list[dict[str, Any]]:
        _, images, maps = self._importance()
        return [{"target": self.network, "stimuli": len(images), "of": len(maps)}]
