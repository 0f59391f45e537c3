"""Reports of ``secateur finetune``: a fine-tuned network beside the pruned one, on the same folds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import pandas
import xarray

from ...measures import label_of
from ..finetuning import CONTENTS, first_table, outcome
from . import cautions, methods
from .parts import Block, Cell, Tab, Table, Words, table_of
from .references import cited
from .section import Section

__all__ = ["FinetuneReport"]


class FinetuneReport(Section):
    """Whether training or pruning serves better."""

    commands: ClassVar[tuple[str, ...]] = ("finetune",)
    marks: ClassVar[tuple[str, ...]] = ("comparison.nc", "history.csv")

    @classmethod
    def contents(cls) -> Mapping[str, str]:
        return CONTENTS

    @cached_property
    def result(self) -> xarray.Dataset:
        result = self.run.dataset("comparison.nc")
        assert result is not None  # one of its marks
        return result

    @cached_property
    def table(self) -> pandas.DataFrame:
        return first_table(self.result)

    @property
    def training(self) -> Mapping[str, Any]:
        return dict(self.settings.get("training", {}))

    @property
    def unit(self) -> str:
        return label_of(str(self.settings["comparator"]))

    def facts(self) -> list[str]:
        n, folds = self.result.sizes["stimulus"], self.result.sizes["fold"]
        network = str(self.training.get("network", "a network"))
        return [network, f"{n} images", f"{folds} folds", f"loss: {self.training.get('loss', '?')}", *super().facts()]

    def verdict(self) -> list[str]:
        return outcome(self.result, self.training)

    def warnings(self) -> list[str]:
        found = [*super().warnings(), *cautions.first_epoch(self.training)]
        test = self.table["test"]
        if "full" in test:
            kind = str(self.settings["kind"])
            found += cautions.below_zero([float(test["full"])], [float("nan")], kind, ["the target"])
        low = [str(name) for name, value in test.items() if name != "full" and value < 0]
        if low:
            found.append(
                f"The held-out alignment of {', '.join(low)} is below zero: a gain there is no evidence of fit."
            )
        found += cautions.few_pairs(self.result)
        found += cautions.undefined(int(self.result["undefined_pairs"].sum()), "pairs of held-out images")
        drawn = self.result.sizes.get("permutation", 0)
        return found if drawn else [*found, "No relabellings were drawn, so there is no p-value."]

    def results(self) -> tuple[list[Block], list[Tab]]:
        names = (
            "test",
            "test_sd",
            "train",
            "nodes",
            "p_test",
            "gain_full",
            "p_holm_full",
            "gain_pruned",
            "p_holm_pruned",
        )
        words = {"test": "held out", "test_sd": "SD over folds", "train": "training (in-sample)", "nodes": "nodes",
                 "p_test": "p", "gain_full": "minus full", "p_holm_full": "p (minus full)",
                 "gain_pruned": "minus pruned", "p_holm_pruned": "p (minus pruned)"}  # fmt: skip
        shown = self.table.reset_index()[["approach", *(name for name in names if name in self.table)]]
        overview = table_of(f"Every method: alignment in {self.unit}, p of differences corrected (Holm).",
                            shown.rename(columns=words))  # fmt: skip
        tabs = []
        for stem, title, alt in (
            ("comparison", "Methods", "Held-out alignment of every method: " + self._means()),
            ("training", "Training", "Loss and held-out alignment over epochs of the training on all images"),
            ("explained", "Explained variance", "Explainable variance by method, in percent"),
        ):
            own: list[Block] = [*self.run.picture(stem, alt)]
            if stem == "training":
                table = self.run.table("history.csv")
                own += [] if table is None else [table_of("Every epoch of the training on all images", table)]
            if own:
                tabs.append(Tab(title, own))
        return [overview, *[block for block in self.tables_to_read()[0] if isinstance(block, Table)][1:]], tabs

    def _means(self) -> str:
        return ", ".join(f"{name} {value:.3f}" for name, value in self.table["test"].items())

    def held_out(self) -> list[Block]:
        result, rows = self.result, []
        for name in map(str, result["approach"].values):
            one = result.isel(target=0).sel(approach=name)
            for f in range(result.sizes["fold"]):
                row: list[Cell] = [
                    name,
                    f + 1,
                    *(float(one[of][f]) for of in ("test_alignment", "train_alignment", "nodes")),
                ]
                rows.append(row)
        head = ["method", "fold", "held out", "training", "nodes"]
        blocks: list[Block] = [
            Table(f"Every fold: alignment in {self.unit}, the same folds for all methods.", head, rows)
        ]
        drawn = result.sizes.get("permutation", 0)
        if drawn:
            blocks.append(Words(f"p: {drawn} relabellings of the target's images, what was learnt staying as it is."))
        return blocks

    def features(self) -> tuple[list[Block], list[Tab]]:
        kept = self.table["nodes"].get("pruned", float("nan"))
        words = f"Pruning keeps {kept:.1f} features on average; which of them differs from fold to fold."
        layer, epoch = self.training.get("best_layer"), self.training.get("best_epoch")
        made = f"network.pt is the network trained on all images: layer {layer}, epoch {epoch}."
        return [Words(words), Words(made)], []

    def methods(self) -> list[str]:
        settings, training = self.settings, self.training
        first = (
            f"The network {training.get('network')} was fine-tuned to a dissimilarity matrix of "
            f"{self.result.sizes['stimulus']} images by dissimilarity learning {cited('agrawal2019')}: the predicted "
            "dissimilarity of two images is 1 − Pearson's correlation of their features (layer "
            f"{training.get('layer')}), the loss is {training.get('loss')}, the learning rate {training.get('lr')}, "
            f"the batch {training.get('batch')}, the seed {training.get('seed')}; "
            f"{'no layer was frozen' if not training.get('freeze') else 'frozen: ' + str(training.get('freeze'))}. The "
            f"epoch was chosen on {training.get('held_out_images')} images held out of the training images."
        )
        second = (
            f"It was compared with the untouched and with the pruned network {cited('tarigopula2023')} on the same "
            f"folds. {methods.measured(settings)} {methods.aligned(settings)} {methods.searched(settings)} "
            f"{methods.folded(settings, 'images')}"
        )
        drawn = self.result.sizes.get("permutation", 0)
        if drawn:
            second += (
                f" p-values come from {drawn} relabellings of the target's images, what was learnt staying as it is; "
                "those of differences are two-sided and corrected for the number of methods (Holm)."
            )
        return [first, " ".join(second.split()), methods.software(settings), " ".join(self.verdict())]

    def headline(self) -> list[dict[str, Any]]:
        full = float(self.table["test"].get("full", float("nan")))
        row = {"stimuli": self.result.sizes["stimulus"], "full, held out": full, "unit": self.unit}
        return [
            {"target": str(name), **row, "pruned, held out": float(value), "gain": float(value) - full,
             "p": float(self.table["p_holm_full"].get(name, float("nan"))) if "p_holm_full" in self.table else None}
            for name, value in self.table["test"].items() if name != "full"
        ]  # fmt: skip
