"""Reports of ``secateur demo`` and ``secateur prune``: a network's features to one target or several."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas
import xarray

from ...measures import metric_row
from ...pairs import pair_count
from ...scaling import mds
from .. import interactive
from ..curves import insertion_curves
from ..drawing import mean_sd, plus_minus, shortened, signed, unit_of
from ..folder import CONTENTS
from ..held_out_scores import held_out
from ..nulls import null
from ..results import held_by, things_of
from . import cautions, methods
from .parts import Block, Cell, Chart, Code, Download, Tab, Table, Words, table_of
from .references import cited
from .section import Section, target_tabs

__all__ = ["PruneReport", "feature_blocks"]

MOST_TABS = 12
MOST_CHARTS = 4
MOST_ROWS = 300
MOST_FEATURES = 50


class PruneReport(Section):
    """One target or several, in folds of stimuli."""

    commands: ClassVar[tuple[str, ...]] = ("demo", "prune")
    marks: ClassVar[tuple[str, ...]] = ("result.nc", "kept_features.csv", "summary.csv")
    file: ClassVar[str] = "result.nc"
    sheet: ClassVar[str] = "Photographs of the stimuli"

    @classmethod
    def contents(cls) -> Mapping[str, str]:
        return CONTENTS

    @cached_property
    def result(self) -> xarray.Dataset:
        result = self.run.dataset(self.file)
        assert result is not None  # one of its marks
        return result

    @cached_property
    def null(self) -> xarray.Dataset | None:
        return self.run.dataset("permutations.nc")

    @cached_property
    def chance(self) -> tuple[Any, int] | None:
        """p of the gain (target,), and of how many relabellings; None where there are none."""
        if self.null is not None:
            return self.null["p_gain"].values, int(self.null.sizes["permutation"])
        if "p_gain" in self.result:
            return self.result["p_gain"].values, int(self.result.sizes["permutation"])
        return None

    @cached_property
    def table(self) -> pandas.DataFrame:
        table = self.run.table("summary.csv")
        assert table is not None
        return table

    @cached_property
    def names(self) -> list[str]:
        names = [str(name) for name in self.result["target"].values]
        return ["the target"] if names == ["0"] else names

    def facts(self) -> list[str]:
        result = self.result
        count = result.sizes["target"]
        found = [f"{count} targets"] if count > 1 else []
        found += [f"{result.sizes['stimulus']} stimuli", f"{result.sizes['feature']} {things_of(result)}"]
        found += [f"{result.sizes['fold']} folds", f"{result.attrs['metric']} similarity"]
        return [*found, f"alignment in {unit_of(result)}", f"Secateur {result.attrs['secateur_version']}"]

    # The verdict

    def verdict(self) -> list[str]:
        return [self._effect(), self._evidence()]

    @property
    def held(self) -> str:
        """What no choice of features saw."""
        over = str(self.result.attrs.get("over", "stimuli"))
        return {"both": "stimuli and subjects"}.get(over, over)

    def _effect(self) -> str:
        result, table, unit = self.result, self.table, unit_of(self.result)
        things = things_of(result)
        full, pruned, gain = (table[name].to_numpy(dtype=float) for name in ("full_test", "pruned_test", "gain"))
        if len(table) > 1:
            better = int((gain > 0).sum())
            return (
                f"On held-out {self.held} the kept {things} align better than all {things} do with {better} of "
                f"{len(gain)} targets: mean {unit} over targets {np.nanmean(pruned):.3f} against "
                f"{np.nanmean(full):.3f}, a mean gain of {signed(float(np.nanmean(gain)))}."
            )
        if np.isnan(gain[0]):
            return f"The held-out alignment of {self.names[0]} is undefined, so nothing can be said of pruning."
        kept = plus_minus(result["n_kept"].values[0].astype(float), 1)
        comparison = "better than" if gain[0] > 0 else "worse than" if gain[0] < 0 else "as well as"
        return (
            f"On held-out {self.held} the {things} that pruning keeps ({kept} of {result.sizes['feature']}) align "
            f"{comparison} all of them with {self.names[0]}: {unit} = {pruned[0]:.3f} against {full[0]:.3f}, a gain of "
            f"{signed(gain[0])}{self._interval()}."
        )

    def _interval(self) -> str:
        row = self.table.iloc[0]
        if "gain_lower" not in row or pandas.isna(row["gain_lower"]):
            return ""
        return f" (bootstrap interval {signed(float(row['gain_lower']))} to {signed(float(row['gain_upper']))})"

    def _evidence(self) -> str:
        n, folds = self.result.sizes["stimulus"], self.result.sizes["fold"]
        of = f"n = {n} stimuli, {folds} folds" if folds > 1 else f"n = {n} stimuli"
        if self._over_targets():
            return self._over_targets()
        if self.chance is None:
            return (
                f"No permutation null was computed, so there is no p-value and chance can't be excluded ({of}); "
                "run it again with --permutations 1000."
            )
        ps, drawn = self.chance
        if self.result.sizes["target"] > 1:
            if self.null is not None and "p_mean_gain" in self.null:
                p = float(self.null["p_mean_gain"])
                return f"The mean gain over targets has p = {p:.2g} (one-sided, {drawn} relabellings; {of})."
            if "p_permutation_gain_holm" in self.table:
                small = int((self.table["p_permutation_gain_holm"] <= 0.05).sum())
                return (
                    f"The gain has p ≤ 0.05 for {small} of {len(self.names)} targets, corrected for their number "
                    f"(Holm; one-sided, {drawn} relabellings; {of})."
                )
            small = int((ps <= 0.05).sum())
            return (
                f"The gain has p ≤ 0.05 for {small} of {len(self.names)} targets, not corrected for their number "
                f"(one-sided, {drawn} relabellings; {of})."
            )
        p = float(ps[0])
        if np.isnan(p):
            return f"The p-value of the gain is undefined ({of})."
        reached = round(p * (1 + drawn)) - 1
        rarely = "none" if reached == 0 else str(reached)
        return (
            f"Of {drawn} relabellings of the stimuli, {self._again()}, {rarely} "
            f"gave a gain as large: p = {p:.2g} (one-sided; {of})."
        )

    def _over_targets(self) -> str:
        """The test over subjects, in the words of the tables."""
        lines = self.run.text("summary.md").splitlines()
        return next((line[2:] for line in lines if line.startswith("- Mean over ") and " t(" in line), "")

    def _again(self) -> str:
        """What a relabelling repeats."""
        return "with the whole selection run again" if self.null is not None else "what was learnt staying as it is"

    def warnings(self) -> list[str]:
        result = self.result
        full = result["full_test"].mean("fold").values
        found = super().warnings()
        found += cautions.below_zero(full, self.table["pruned_test"], held_by(result.attrs), self.names)
        found += cautions.few_pairs(result)
        found += cautions.undefined(int(result["undefined_pairs"].sum()))
        if self.held != "stimuli" and result.sizes["target"] < 5:
            count = result.sizes["target"]
            found.append(f"The test is over {count} subjects: it has little power, and says little of others.")
        if self.held == "subjects":
            found.append(cautions.SAME_STIMULI)
        return found + ([] if self.chance is None else cautions.coarse_null(self.chance[1]))

    def choices(self) -> str:
        """What is known of choices of odd ones out, where they are the target."""
        one = self.settings.get("odd_one_out")
        if not one:
            return ""
        words = f"The target is {one['choices']} choices of odd ones out"
        if "pruned_test" in one:
            words += (
                f"; of {one['test_choices']} choices wholly among the test stimuli of a fold, all features make "
                f"{one['full_test']:.3f} as people did and the kept ones {one['pruned_test']:.3f} (chance 0.333)"
            )
        if "ceiling_lower" in one:
            words += f"; noise ceiling {one['ceiling_lower']:.3f} to {one['ceiling_upper']:.3f}"
        return f"{words}."

    # The parts

    def results(self) -> tuple[list[Block], list[Tab]]:
        result, unit = self.result, unit_of(self.result)
        head = ["target", "full, held out", "pruned, held out", "gain", "kept", "of", "full, training",
                "pruned, training"]  # fmt: skip
        names = ("full_test", "pruned_test", "gain", "n_kept", "n_features", "full_train", "pruned_train")
        rows: list[list[Cell]] = [
            [name, *(float(row[column]) for column in names)]
            for name, row in zip(self.names, self.table.to_dict("records"))
        ]
        if self.chance is not None:
            head.append("p of the gain")
            for row, p in zip(rows, self.chance[0]):
                row.append(float(p))
        overview: list[Block] = [
            Table(f"Alignment in {unit}, means over {result.sizes['fold']} folds. Training values are in-sample.",
                  head, rows)
        ]  # fmt: skip
        if self.choices():
            overview.insert(0, Words(self.choices()))
        if len(self.names) > 1 and {"overview.png", "overview.svg"} & set(self.run.names):
            overview += self.run.picture(
                "overview", f"All {len(self.names)} targets, full against pruned, and their mean"
            )
        elif len(self.names) > 1:
            overview += self.run.drawn(
                held_out(result), f"Held-out alignment of all {len(self.names)} targets, full and pruned",
                "Full against pruned on held-out stimuli, mean ± SD over folds",
            )  # fmt: skip
        shown = self.names[:MOST_TABS]
        pages = [self._of_target(t, name) for t, name in enumerate(shown)]
        if len(shown) < len(self.names):
            overview.append(Words(f"The first {len(shown)} of {len(self.names)} targets have a tab."))
        own, tabs = target_tabs(shown, pages)
        return [*overview, *own], tabs

    def _of_target(self, t: int, name: str) -> list[Block]:
        blocks: list[Block] = []
        if "curve" in self.result and (t or "curves.png" not in self.run.names):
            at = ", ".join(
                f"{float(one):.3f}" for one in self.result["pruned_train"].values[t][:10] if np.isfinite(one)
            )
            blocks += self.run.drawn(
                insertion_curves(self.result, t),
                f"Training alignment with {name} against the number of features; the best values by fold are {at}",
                "Alignment on the training stimuli against the number of features kept, one line per fold",
            )
        if t == 0:
            blocks += self.run.picture(
                "curves", f"Alignment against the number of {things_of(self.result)} kept, {name}"
            )
            blocks += self.run.picture(
                "figures", f"All pictures of {name} on one page: curves, held-out scores, matrices and maps of stimuli",
                "One page of pictures: curves, held-out scores, similarity matrices, maps of the stimuli (MDS)",
            )  # fmt: skip
            blocks += self.run.picture(
                "maps", f"Maps of the stimuli (MDS) by their photographs, before and after pruning to {name}"
            )
        return blocks

    def held_out(self) -> list[Block]:
        result, unit = self.result, unit_of(self.result)
        names = ("full_test", "pruned_test", "n_kept", "undefined_pairs")
        pairs = [pair_count(int(one)) for one in result["test"].values.sum(axis=-1)] if _one_test(result) else None
        rows: list[list[Cell]] = []
        for t, name in enumerate(self.names):
            for f in range(result.sizes["fold"]):
                full, pruned, kept, lost = (result[one].values[t, f].item() for one in names)
                row: list[Cell] = [name, f + 1, full, pruned, pruned - full, kept, lost]
                rows.append([*row, pairs[f]] if pairs else row)
        head = [
            "target",
            "fold",
            "full",
            "pruned",
            "gain",
            "kept",
            "undefined pairs",
            *(["test pairs"] if pairs else []),
        ]
        cut = "" if len(rows) <= MOST_ROWS else f" The first {MOST_ROWS} of {len(rows)} rows; all are in {self.file}."
        what = f"Each fold: alignment of all and of the kept features among held-out stimuli, in {unit}.{cut}"
        blocks: list[Block] = [Table(what, head, rows[:MOST_ROWS])]
        if len(self.names) == 1 and "held_out.png" in self.run.names:
            blocks += self.run.picture("held_out", "Full against pruned on held-out stimuli, a line for each fold")
        elif len(self.names) == 1:
            full, pruned = (mean_sd(result[one].values[0])[0] for one in ("full_test", "pruned_test"))
            blocks += self.run.drawn(
                held_out(result), f"Full ({full:.3f}) against pruned ({pruned:.3f}) on held-out stimuli",
                "Full against pruned, one line per fold, bars: mean ± SD",
            )  # fmt: skip
        return [*blocks, *self._null(), *self._bounds()]

    def _null(self) -> list[Block]:
        if self.chance is None:
            return [Words("No null was computed: --permutations N gives one.")]
        if self.null is None:
            return [Words(f"p: one-sided, from {self.chance[1]} relabellings, what was learnt staying as it is.")]
        drawn, blocks = self.null.sizes["permutation"], []
        for t, name in enumerate(self.names[:1]):
            p = float(self.null["p_gain"].values[t])
            blocks += self.run.drawn(
                null(self.null, t), f"Null of {drawn} relabellings for {name}; p of the gain is {p:.2g}",
                f"What {drawn} relabellings of the stimuli give ({shortened(name, 40)}), and the observed values",
            )  # fmt: skip
        least = 1 / (1 + drawn)
        words = f"p is one-sided; the smallest that {drawn} relabellings can give is {least:.2g}."
        return [*blocks, Words(words)]

    def _bounds(self) -> list[Block]:
        blocks: list[Block] = []
        ceiling = [name for name in ("ceiling_lower", "ceiling_upper") if name in self.table]
        if ceiling:
            shown = self.table[["target", "full_test", "pruned_test", *ceiling]]
            blocks.append(table_of("Noise ceiling: alignment of the mean of the other targets (lower) and of all "
                                   "(upper) with each, on the same test stimuli.", shown))  # fmt: skip
        else:
            blocks.append(Words("No noise ceiling: it needs several subjects as targets."))
        names = [str(name) for name in self.table if not str(name).startswith("ceiling")]
        bounds = [name for name in names if name.endswith(("_lower", "_upper"))]
        if bounds:
            blocks.append(table_of("Bootstrap intervals of the held-out scores.", self.table[["target", *bounds]]))
        else:
            blocks.append(Words("No interval was computed."))
        return blocks

    def features(self) -> tuple[list[Block], list[Tab]]:
        table = self.run.table("kept_features.csv")
        if table is None:
            return super().features()
        tabs = [feature_blocks(own, things_of(self.result)) for _, own in table.groupby("target", sort=False)]
        return target_tabs(self.names[:MOST_TABS], tabs[:MOST_TABS])

    def charts(self) -> list[Chart]:
        result, found = self.result, []
        for t, name in enumerate(self.names[:MOST_CHARTS]):
            if "curve" in result:
                words = f"Training alignment against the number of {things_of(result)} kept, {name}"
                found.append(Chart(interactive.curves(result, t), words))
        table = self.run.table("kept_features.csv")
        if table is not None and {"frequency", "mean_importance"} <= set(table.columns):
            own = table[table["target"] == table["target"].iloc[0]] if "target" in table else table
            own = own.iloc[:2000]  # the most often kept
            words = f"How often each of the {things_of(result)} was kept, and how much it matters, {self.names[0]}"
            found.append(Chart(interactive.features(own, things_of(result)), words))
        return found + self._map()

    def _map(self) -> list[Chart]:
        kept = self.run.table("features_pruned.csv")
        if kept is None or kept.shape[1] < 2:
            return []
        metric = self.settings["metric"]
        places, stress = mds(kept.iloc[:, 1:].to_numpy(dtype=float), metric=metric)
        words = f"The stimuli in the space of the kept {things_of(self.result)} (MDS, stress-1 {stress:.2f})"
        return [Chart(interactive.stimuli(places, list(map(str, kept.iloc[:, 0])), metric_row(metric).unit), words)]

    def methods(self) -> list[str]:
        result, attrs = self.result, dict(self.result.attrs)
        count = result.sizes["target"]
        of = f"{count} targets" if count > 1 else self.names[0]
        first = (
            f"The {result.sizes['feature']} {things_of(result)} of an embedding of {result.sizes['stimulus']} stimuli "
            f"were pruned to {of} {cited('tarigopula2023')}. {methods.measured(attrs)} "
            f"{methods.aligned({**self.settings, **attrs})} {methods.searched(attrs)}"
        )
        if self.choices():
            first += (
                f" {self.choices()} The similarity of two stimuli was the share of the choices showing both in which "
                "they were kept together; pairs that were never shown together did not count."
            )
        second = methods.folded({**self.settings, **attrs})
        features = self.run.table("kept_features.csv")
        if features is not None and "final" in features:
            second += (
                " The features that are reported are those that the same selection keeps when it is fitted once to all "
                "stimuli; the held-out alignment says how well the procedure does."
            )
        if "gain_lower" in self.table:
            second += (
                f" Intervals of the held-out values come from {self.settings.get('bootstrap', '')} bootstrap "
                "draws of the stimuli."
            )
        if self.null is not None:
            second += " " + methods.permuted(self.null.sizes["permutation"])
        if any(str(name).startswith("ceiling") for name in self.table):
            second += f" The noise ceiling was that of {cited('nili2014')[1:-1]}, on the stimuli that are scored."
        found = [self._effect(), self._evidence() if self.chance is not None or self._over_targets() else ""]
        return [_tidy(words) for words in (first, second, methods.software(self.settings), *found) if words]

    def headline(self) -> list[dict[str, Any]]:
        ps = [None] * len(self.names) if self.chance is None else [float(p) for p in self.chance[0]]
        return [
            {
                "target": name, "stimuli": self.result.sizes["stimulus"], "full, held out": float(row["full_test"]),
                "pruned, held out": float(row["pruned_test"]), "gain": float(row["gain"]), "p": p,
                "kept": float(row["n_kept"]), "of": int(row["n_features"]), "unit": unit_of(self.result),
            }
            for name, row, p in zip(self.names, self.table.to_dict("records"), ps)
        ]  # fmt: skip


def _one_test(result: xarray.Dataset) -> bool:
    return "test" in result and result["test"].dims == ("fold", "stimulus")


def _tidy(words: str) -> str:
    return " ".join(words.split())


def feature_blocks(table: pandas.DataFrame, things: str) -> list[Block]:
    """The set of one target, to copy and to download, and the table of its best features."""
    final = "final" in table
    chosen = table[table["final"].astype(bool)] if final else table[table["frequency"] >= 0.5]
    names = [str(name) for name in chosen["feature"]]
    if final:
        which = f"The set: the {len(names)} {things} that pruning keeps when it is fitted to all stimuli."
    else:
        which = f"The {len(names)} {things} that at least half of the folds kept; no single fold's set is the result."
    numbers = all(name.isdigit() for name in names)
    counted = " They are numbered from 0." if numbers else ""
    blocks: list[Block] = [Words(which + counted)]
    if names:
        blocks.append(Code(f"The kept {things}", ", ".join(names), "wrap"))
        blocks.append(Download("kept_features.txt", "\n".join(names) + "\n", f"Download the list ({len(names)} names)"))
    shown = table.drop(columns=["target"], errors="ignore").head(MOST_FEATURES)
    more = "" if len(table) <= MOST_FEATURES else f", the first {MOST_FEATURES} of {len(table)}"
    blocks.append(table_of(f"How often each was kept, most often first{more}; all are in kept_features.csv.", shown))
    return blocks
