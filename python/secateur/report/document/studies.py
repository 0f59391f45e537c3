"""Reports of ``secateur study``: similarity, taxonomy, retention, fmri, models and nested."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas

from ...measures import label_of
from ...similarity import NO_SIMILARITY
from ..drawing import signed
from . import cautions, methods
from .parts import Block, Tab, Words, table_of
from .prune import feature_blocks
from .references import cited
from .section import Section, target_tabs

__all__ = [
    "CompareReport", "FmriReport", "ModelsReport", "NestedReport", "RetentionReport", "SimilarityReport",
    "TaxonomyReport",
]  # fmt: skip


class _Study(Section):
    """What the reports of studies share."""

    main: ClassVar[str] = ""

    @cached_property
    def table(self) -> pandas.DataFrame:
        table = self.run.table(self.main)
        assert table is not None  # every study writes its own
        return table

    @property
    def own(self) -> dict[str, Any]:
        """The study's settings."""
        return dict(self.settings["settings"])

    @property
    def unit(self) -> str:
        return label_of(str(self.pruning()["comparator"]))

    def facts(self) -> list[str]:
        folds = self.own["folds"]
        repeats = f", {folds['repeats']} times" if int(folds["repeats"]) > 1 else ""
        of = [f"study: {self.study}"] if self.study else []
        return [*of, f"{folds['cv']} folds{repeats}", *super().facts()]

    def tabs_with(self, stems: dict[str, str]) -> tuple[list[Block], list[Tab]]:
        """Tables to read, and pictures in the tab that is named, or in one of their own."""
        blocks, tabs = self.tables_to_read()
        for stem, title in stems.items():
            words = self.what(stem)
            for picture in self.run.picture(stem, f"{words[0].upper()}{words[1:]}"):
                for i, tab in enumerate(tabs):
                    if tab.title == title:
                        tabs[i] = Tab(title, [*tab.blocks, picture])
                        break
                else:
                    tabs.append(Tab(title, [picture]))
        return blocks, tabs

    def what(self, stem: str) -> str:
        """What a picture shows."""
        from ..contents import described

        return described(f"{stem}.png", self.contents()) or stem

    def selected(self) -> tuple[list[Block], list[Tab]]:
        """The features that each target's pruning kept."""
        table = self.run.table("kept_features.csv")
        if table is None:
            return [Words("Which features were kept is in result.nc.")], []
        parts = [(str(name), feature_blocks(one, "features")) for name, one in table.groupby("target", sort=False)]
        return target_tabs([name for name, _ in parts][:12], [blocks for _, blocks in parts][:12])

    def features(self) -> tuple[list[Block], list[Tab]]:
        return self.selected()

    def pruning(self) -> dict[str, Any]:
        found = super().pruning()
        if found["kind"] is None and isinstance(self.own.get("target"), Mapping):
            inputs = [one for one in self.settings.get("inputs", ()) if isinstance(one, Mapping)]
            # as the file held it: what the study was computed with are similarities
            found["kind"] = next((one["kind"] for one in inputs if one.get("role") == "target" and "kind" in one), None)
        return found

    def shared_methods(self) -> str:
        """How similarity and alignment are computed, and folds drawn."""
        pruning = {**self.pruning(), "inputs": self.settings.get("inputs", ())}
        return " ".join(
            f"{methods.measured(pruning)} {methods.aligned(pruning)} {methods.searched(pruning)} "
            f"{methods.folded(pruning)}".split()
        )


class SimilarityReport(_Study):
    """Pruning beside reweightings, on the same folds."""

    commands: ClassVar[tuple[str, ...]] = ("study similarity",)
    study: ClassVar[str] = "similarity"
    main: ClassVar[str] = "comparison.csv"

    def verdict(self) -> list[str]:
        table = self.table
        wide = table.pivot(index="target", columns="approach", values="test")
        best = wide.idxmax(axis=1).value_counts()
        winner, count = str(best.index[0]), int(best.iloc[0])
        first = (
            f"On held-out stimuli {winner} has the highest alignment with {count} of {len(wide)} targets "
            f"(mean {self.unit} over targets {np.nanmean(wide[winner]):.3f})."
        )
        if not {"full", "pruned"} <= set(wide.columns):
            return [first]
        gain = (wide["pruned"] - wide["full"]).to_numpy(dtype=float)
        second = (
            f"Pruning raises it over all features with {int((gain > 0).sum())} of {len(gain)} targets, on average from "
            f"{np.nanmean(wide['full']):.3f} to {np.nanmean(wide['pruned']):.3f} ({signed(float(np.nanmean(gain)))})"
        )
        if "p_holm_full" in table:
            ps = table.loc[table["approach"] == "pruned", "p_holm_full"]
            second += (
                f"; p ≤ 0.05 for {int((ps <= 0.05).sum())} of {len(ps)} ({self.own['permutations']} relabellings, "
                "corrected for the number of methods, not of targets)"
            )
        return [first, second + "."]

    def warnings(self) -> list[str]:
        wide = self.table.pivot(index="target", columns="approach", values="test")
        found = super().warnings()
        if "full" in wide:
            names = [str(name) for name in wide.index]
            pruned = wide["pruned"] if "pruned" in wide else np.full(len(wide), np.nan)
            found += cautions.below_zero(wide["full"], pruned, "similarity", names)
        found += cautions.coarse_null(int(self.own["permutations"])) if self.own["permutations"] else []
        return found

    def results(self) -> tuple[list[Block], list[Tab]]:
        blocks, tabs = self.tabs_with({"comparison": "All methods"})
        names = list(dict.fromkeys(str(name) for name in self.table["target"]))
        for k, name in enumerate(names):
            own: list[Block] = [
                *self.run.picture(f"maps_{k + 1}", f"The stimuli before and after pruning to {name} (MDS)")
            ]
            table = self.table[self.table["target"].astype(str) == name].drop(columns="target")
            tabs.append(Tab(name, [table_of(f"Every method, {name}", table), *own]))
        return blocks, tabs

    def held_out(self) -> list[Block]:
        words = (
            "test: mean alignment among the held-out stimuli of all folds, the same folds for all methods; test_sd: "
            "SD over folds; p_test: from relabellings; p_holm: of differences, corrected for the number of methods."
        )
        return [Words(words), table_of(f"Every method and target, alignment in {self.unit}", self.table, 2)]

    def methods(self) -> list[str]:
        names = ", ".join(self.own["methods"])
        first = (
            f"Pruning {cited('tarigopula2023')} was compared with other ways to fit the features of a network to "
            f"similarity data, on the same folds ({names}; ridge: {cited('peterson2018')[1:-1]}; sim-dr: "
            f"{cited('jha2023')[1:-1]}). {self.shared_methods()}"
        )
        if self.own["permutations"]:
            first += (
                f" p-values come from {self.own['permutations']} relabellings of the target's stimuli, what was learnt "
                "staying as it is; those of differences are two-sided and corrected for the number of methods (Holm)."
            )
        return [first, methods.software(self.settings), " ".join(self.verdict())]

    def headline(self) -> list[dict[str, Any]]:
        rows = []
        for name, one in self.table.groupby("target", sort=False):
            test = one.set_index("approach")["test"]
            row: dict[str, Any] = {"target": str(name), "unit": self.unit}
            if {"full", "pruned"} <= set(test.index):
                row |= {"full, held out": float(test["full"]), "pruned, held out": float(test["pruned"])}
                row["gain"] = row["pruned, held out"] - row["full, held out"]
                if "p_holm_full" in one:
                    row["p"] = float(one.set_index("approach")["p_holm_full"]["pruned"])
                row["kept"] = float(one.set_index("approach")["nodes"]["pruned"])
            rows.append(row)
        return rows


class CompareReport(SimilarityReport):
    """A comparison of methods that no study made."""

    commands: ClassVar[tuple[str, ...]] = ()
    study: ClassVar[str] = ""
    marks: ClassVar[tuple[str, ...]] = ("comparison.csv",)


class TaxonomyReport(_Study):
    """Clusters held against WordNet."""

    commands: ClassVar[tuple[str, ...]] = ("study taxonomy",)
    study: ClassVar[str] = "taxonomy"
    main: ClassVar[str] = "concordance.csv"

    def verdict(self) -> list[str]:
        table = self.table
        up = int((table["difference"] > 0).sum())
        one = table.iloc[int(np.nanargmax(table["beyond"]))] if table["beyond"].notna().any() else table.iloc[0]
        sure = int((table["lower"] > 0).sum())
        return [
            f"Clusters of the pruned features agree better with WordNet than those of all features at {up} of "
            f"{len(table)} cuts: mean Jaccard index {table['pruned'].mean():.3f} against {table['full'].mean():.3f}.",
            f"Beyond what the sizes of clusters give, the largest difference is {signed(float(one['beyond']))} at "
            f"{int(one['cut'])} clusters (95 % interval {signed(float(one['lower']))} to "
            f"{signed(float(one['upper']))}, n = {int(one['categories'])} categories in {int(one['groups'])} groups); "
            f"the interval is above zero at {sure} of {len(table)} cuts, not corrected for their number.",
        ]

    def results(self) -> tuple[list[Block], list[Tab]]:
        return self.tabs_with({"dendrograms": "Trees", "maps": "Maps"})

    def held_out(self) -> list[Block]:
        words = (
            "Each category is scored with features that were kept where it was held out. The interval takes the "
            "categories under one ancestor as one observation."
        )
        blocks: list[Block] = [Words(words), table_of("Every cut", self.table)]
        categories = self.run.table("categories.csv")
        if categories is not None:
            scored = categories[categories["scored"] == "scored"]
            caption = (
                f"The {len(scored)} categories that are scored, of {len(categories)}; mean Jaccard index over cuts"
            )
            shown = scored[["label", "group", "neighbours", "full", "pruned"]].head(400)
            blocks.append(table_of(caption, shown, 2))
        return blocks

    def methods(self) -> list[str]:
        own = self.own
        cuts = ", ".join(map(str, own["cuts"]))
        first = (
            f"The features were pruned to similarities of {own['similarity']} in WordNet "
            f"{cited('miller1995', 'wu1994')}, and clusters before and after were held against WordNet "
            f"{cited('tarigopula2023')}: complete linkage, cut at {cuts} clusters; the Jaccard index of a category's "
            f"cluster with its neighbours in WordNet (the leaves under the first hypernym, {own['levels']} levels up; "
            f"{own['sizes'][0]} to {own['sizes'][1]} of them). {self.shared_methods()}"
        )
        return [first, methods.software(self.settings), " ".join(self.verdict())]

    def headline(self) -> list[dict[str, Any]]:
        return [
            {"target": f"{int(row['cut'])} clusters", "full, held out": row["full"], "pruned, held out": row["pruned"],
             "gain": row["difference"], "unit": "Jaccard index"}
            for row in self.table.to_dict("records")
        ]  # fmt: skip


class RetentionReport(_Study):
    """What a pruned network still classifies."""

    commands: ClassVar[tuple[str, ...]] = ("study retention",)
    study: ClassVar[str] = "retention"
    main: ClassVar[str] = "accuracy.csv"

    @cached_property
    def means(self) -> pandas.DataFrame:
        """Top-1 and top-5 in percent, means over folds, by target and version."""
        means = 100 * self.table.groupby(["target", "version"], sort=False)[["top1", "top5"]].mean()
        return means.reset_index()

    def verdict(self) -> list[str]:
        by = self.means.groupby("version", sort=False)[["top1", "top5"]].mean()
        folds, targets = self.table["fold"].nunique(), self.table["target"].nunique()
        over = f"means over {targets} target{'s' if targets > 1 else ''} and {folds} folds"
        top1, top5 = ({str(name): float(value) for name, value in by[of].items()} for of in ("top1", "top5"))
        others = [name for name in top1 if name != "full"]
        words = ", ".join(f"{name} {top1[name]:.1f} %" for name in others)
        first = f"Without any training, top-1 accuracy is {words}"
        first += f", where the untouched network has {top1['full']:.1f} %" if "full" in top1 else ""
        best = max(others, key=lambda name: top5[name]) if others else "full"
        second = f"In top-5 accuracy {best} keeps most, {top5[best]:.1f} %"
        second += f" of images (full: {top5['full']:.1f} %)" if "full" in top5 else " of images"
        return [f"{first} ({over}).", f"{second}; no test over folds was made, since folds share images."]

    def results(self) -> tuple[list[Block], list[Tab]]:
        stems = {"classification": "Classification, in percent"}
        blocks, tabs = self.tabs_with({**stems, "consistency": "Agreement of the folds' pruned networks"})
        names = {"top1": "top-1 (%)", "top5": "top-5 (%)"}
        overview = table_of("Accuracy, means over folds", self.means.rename(columns=names), 2)
        return [overview, *blocks], tabs

    def held_out(self) -> list[Block]:
        words = (
            "Each fold's network is pruned to the training stimuli of that fold; the test images took no part in it."
        )
        blocks: list[Block] = [Words(words), table_of("Every fold", self.table.head(300), 2)]
        for name, caption in (("correspondence.csv", "How alike two folds' class probabilities are"),
                              ("errors.csv", "Where substantial errors land")):  # fmt: skip
            table = self.run.table(name)
            if table is not None:
                blocks.append(table_of(caption, table.head(300), 2))
        return blocks

    def features(self) -> tuple[list[Block], list[Tab]]:
        return [Words("How many features are kept is under Results; multipliers of every fold are in result.nc.")], []

    def methods(self) -> list[str]:
        network = self.own.get("network") or {}
        first = (
            f"Features of {network.get('name', 'the network')} were pruned, in each fold, to every target, the other "
            f"features were set to zero, and the network classified the test images without any training "
            f"{cited('tarigopula2023')}. {self.shared_methods()}"
        )
        return [first, methods.software(self.settings), " ".join(self.verdict())]

    def headline(self) -> list[dict[str, Any]]:
        rows = []
        for target, one in self.means.groupby("target", sort=False):
            top = one.set_index("version")["top1"]
            row: dict[str, Any] = {"target": str(target), "unit": "top-1 (%)"}
            row |= {"full, held out": top.get("full"), "pruned, held out": top.get("pruned")}
            rows.append(row)
        return rows


class FmriReport(_Study):
    """Four tests over regions of the brain."""

    commands: ClassVar[tuple[str, ...]] = ("study fmri",)
    study: ClassVar[str] = "fmri"
    main: ClassVar[str] = "tests_over_regions.csv"
    words: ClassVar[dict[str, str]] = {
        "behaviour": "pruned to behaviour, scored on regions", "within": "within image sets, in folds",
        "across": "from one image set to the other", "upper_bound": "no validation (upper bound)",
    }  # fmt: skip

    def verdict(self) -> list[str]:
        fair = self.table[self.table["test"] != "upper_bound"]
        found = []
        for test in ("across", "within"):
            one = fair[fair["test"] == test]
            if one.empty:
                continue
            row = one.iloc[int(np.nanargmax(one["pruned"] - one["full"]))]
            gain = float(row["pruned"] - row["full"])
            words = (
                f"{self.words[test][0].upper()}{self.words[test][1:]}, the kept features of layer {row['layer']} align "
                f"with the regions at {self.unit} = {row['pruned']:.3f} against {row['full']:.3f} for all "
                f"({signed(gain)})"
            )
            if pandas.notna(row["t"]):
                words += (
                    f": {int(row['improved'])} of {int(row['n'])} region × set values improve, t({int(row['df'])}) = "
                    f"{row['t']:.2f}, p = {row['p']:.2g} over regions and sets, which are not independent"
                )
            found.append(f"{words}.")
        return found or ["No validated test was run."]

    def warnings(self) -> list[str]:
        found = super().warnings()
        low = self.table[self.table["below_zero"].astype(bool)]
        if not low.empty:
            names = ", ".join(f"{row['test']} ({row['layer']})" for row in low.to_dict("records"))
            found.append(f"The pruned alignment is below zero in {names}: a gain there is no evidence of fit.")
        lost = [line for line in self.run.text("summary.md").splitlines() if NO_SIMILARITY in line]
        found += [line.lstrip("- ") for line in lost]
        return [*found, "The upper bound is in-sample: a best set gains on noise too."]

    def results(self) -> tuple[list[Block], list[Tab]]:
        blocks, tabs = self.tables_to_read()
        stems = {"behaviour": "behaviour", "within": "image sets, in folds", "across": "other set",
                 "upper_bound": "Upper bound", "nodes": "Features kept"}  # fmt: skip
        for stem, part in stems.items():
            words = self.what(stem)
            for picture in self.run.picture(stem, f"{words[0].upper()}{words[1:]}"):
                found = next((i for i, tab in enumerate(tabs) if part in tab.title), None)
                if found is None:
                    tabs.append(Tab(words, [picture]))
                else:
                    tabs[found] = Tab(tabs[found].title, [*tabs[found].blocks, picture])
        overview = table_of("All tests, paired over regions and sets", self.table, 2)
        return [overview, *blocks], tabs

    def held_out(self) -> list[Block]:
        table = self.run.table("tests_over_subjects.csv")
        words = "within: folds of one image set; across: features chosen on one image set, scored on the other."
        blocks: list[Block] = [Words(words)]
        if table is not None and len(table):
            blocks.append(table_of("Paired over subjects, by region; p_fdr is corrected over regions", table, 3))
        else:
            blocks.append(Words("There is one matrix per region, so there is no test over subjects."))
        scores = self.run.table("scores.csv")
        return blocks if scores is None else [*blocks, table_of(f"Alignment in {self.unit} by region", scores, 3)]

    def features(self) -> tuple[list[Block], list[Tab]]:
        table = self.run.table("nodes.csv")
        words = Words("Which features each region keeps is in result.nc.")
        return ([words] if table is None else [words, table_of("How many features each region keeps", table, 2)]), []

    def methods(self) -> list[str]:
        own = self.own
        whose = "each subject's matrix" if own["supervise"] == "subject" else "the mean matrix over subjects"
        king = f" Data: {cited('king2019')[1:-1]}." if any(
            str(one.get("role")) == "king2019" for one in self.settings.get("inputs", ())
        ) else ""  # fmt: skip
        first = (
            f"Features were pruned to {whose} of each region of the brain, in four tests over two image sets "
            f"{cited('tarigopula2023')}: chosen by behaviour and scored on regions, in folds within an image set, "
            f"chosen on one set and scored on the other, and without validation.{king} {self.shared_methods()} Gains "
            "were tested by paired, one-sided t-tests of Fisher's z, with Cohen's d of the paired differences, and "
            f"the false discovery rate over regions {cited('benjamini1995')} in the tests over subjects."
        )
        return [first, methods.software(self.settings), " ".join(self.verdict())]

    def headline(self) -> list[dict[str, Any]]:
        return [
            {"target": f"{row['test']}, {row['layer']}", "full, held out": row["full"],
             "pruned, held out": row["pruned"], "gain": row["pruned"] - row["full"], "p": row["p"], "unit": self.unit}
            for row in self.table.to_dict("records")
        ]  # fmt: skip


class ModelsReport(_Study):
    """Networks and layers side by side."""

    def subjects(self) -> str:
        """Several targets in a sentence, where there are some."""
        result = self.run.dataset("result.nc")
        count = 1 if result is None else result.sizes["target"]
        return "" if count == 1 else f"Each of {count} subjects was learnt and scored by itself. "

    commands: ClassVar[tuple[str, ...]] = ("study models",)
    study: ClassVar[str] = "models"
    main: ClassVar[str] = "scores.csv"

    @cached_property
    def differences(self) -> pandas.DataFrame:
        table = self.run.table("differences.csv")
        assert table is not None
        return table

    def verdict(self) -> list[str]:
        best = self.table.sort_values("score", ascending=False, kind="stable").iloc[0]
        first = (
            f"On held-out stimuli {best['model']}, {best['space']}, has the highest alignment of "
            f"{self.table['model'].nunique()} models in {self.table['space'].nunique()} spaces ({self.unit} = "
            f"{best['score']:.3f}, 95 % interval {best['lower']:.3f} to {best['upper']:.3f})."
        )
        if self.differences.empty:
            return [first, "There is one model in one space: nothing is compared."]
        sure = self.differences[self.differences["p_holm"] <= 0.05]
        second = (
            f"Of {len(self.differences)} differences between models or spaces {len(sure)} "
            f"{'is' if len(sure) == 1 else 'are'} beyond chance (p ≤ 0.05, two-sided, Holm within each family)"
        )
        if len(sure):
            most = sure.sort_values("difference", key=abs, ascending=False, kind="stable").iloc[0]
            second += (
                f"; the largest is {most['pair']}: {signed(float(most['difference']))} "
                f"({signed(float(most['lower']))} to {signed(float(most['upper']))}, p = {most['p_holm']:.2g})"
            )
        return [first, f"{second}."]

    def results(self) -> tuple[list[Block], list[Tab]]:
        return self.tabs_with({"models": "Bars", "recovery": "Would the model that made a target be found?"})

    def held_out(self) -> list[Block]:
        words = "All models and spaces are learnt and scored on the same folds of the stimuli; lower, upper: interval."
        blocks: list[Block] = [Words(words), table_of(f"Alignment in {self.unit}", self.table, 2)]
        blocks.append(table_of("Every tested difference, corrected within its family", self.differences, 2))
        recovery = self.run.table("recovery.csv")
        return blocks if recovery is None else [*blocks, table_of("Simulated targets", recovery.head(300), 2)]

    def features(self) -> tuple[list[Block], list[Tab]]:
        return [Words("How many features each model keeps (nodes) is under Held out.")], []

    def methods(self) -> list[str]:
        first = (
            f"{self.table['model'].nunique()} models were compared on the same folds of the stimuli, in the spaces "
            f"{', '.join(self.table['space'].unique())} {cited('tarigopula2023', 'kaniuth2022')}. "
            f"{self.shared_methods()} {self.subjects()}Differences were tested two-sided by t and corrected for the "
            f"number of pairs (Holm) {cited('schutt2023')}."
        )
        if self.own.get("over") != "subjects":
            first += f" Standard errors over stimuli come from {self.own['n']} random divisions of the stimuli."
        if self.run.table("recovery.csv") is not None:
            first += (
                f" In a simulation, {self.own['recovery']['n']} targets were made from each model at each level of "
                "noise, and the share was counted in which the model that made a target had the highest alignment."
            )
        return [first, methods.software(self.settings), " ".join(self.verdict())]

    def headline(self) -> list[dict[str, Any]]:
        rows = []
        for model, one in self.table.groupby("model", sort=False):
            score = one.set_index("space")["score"]
            row: dict[str, Any] = {"target": str(model), "unit": self.unit}
            row |= {"full, held out": score.get("full"), "pruned, held out": score.get("pruned")}
            rows.append(row)
        return rows


class NestedReport(_Study):
    """Choices made on inner folds."""

    commands: ClassVar[tuple[str, ...]] = ("study nested",)
    study: ClassVar[str] = "nested"
    main: ClassVar[str] = "choices.csv"

    @cached_property
    def candidates(self) -> pandas.DataFrame:
        table = self.run.table("candidates.csv")
        assert table is not None
        return table

    @property
    def choice(self) -> pandas.DataFrame:
        """One row per target: the choice itself."""
        return self.candidates[self.candidates["metric"].isna()]

    def verdict(self) -> list[str]:
        chosen, scores = self.table, self.choice["test"].to_numpy(dtype=float)
        first = (
            f"With all choices made on inner folds, the held-out alignment is {self.unit} = {np.nanmean(scores):.3f}"
            + (f" on average over {len(scores)} targets" if len(scores) > 1 else "")
        )
        if "p" in self.choice:
            ps = self.choice["p"].to_numpy(dtype=float)
            words = f"p = {ps[0]:.2g}" if len(ps) == 1 else f"p ≤ 0.05 for {int((ps <= 0.05).sum())} of {len(ps)}"
            first += f" ({words}, {self.own['permutations']} relabellings)"
        layers = chosen["layer"].value_counts()
        second = f"Layer {layers.index[0]} was chosen in {int(layers.iloc[0])} of {len(chosen)} outer folds"
        full = float(np.nanmean(chosen["full_test"]))
        return [f"{first}.", f"{second}; all features of the chosen layers reach {full:.3f}."]

    def warnings(self) -> list[str]:
        more = cautions.coarse_null(int(self.own["permutations"])) if self.own["permutations"] else []
        return [*super().warnings(), *more]

    def results(self) -> tuple[list[Block], list[Tab]]:
        blocks, tabs = self.tables_to_read()
        for k, name in enumerate(dict.fromkeys(str(one) for one in self.table["target"])):
            pictures = self.run.picture(f"choices_{k + 1}", f"Candidates and choices, {name}")
            tabs = [Tab(tab.title, [*tab.blocks, *pictures]) if tab.title == name else tab for tab in tabs]
        return blocks, tabs

    def held_out(self) -> list[Block]:
        words = (
            "What each outer fold chose on inner folds of its training stimuli, and what that scored on its test "
            "stimuli. The best candidate's held-out score is too high, since it was picked by looking at it."
        )
        return [Words(words), table_of(f"Choices, alignment in {self.unit}", self.table.head(300), 2)]

    def shared_methods(self) -> str:
        words, chosen = super().shared_methods(), self.own["choose"]
        if chosen["metrics"]:
            first = methods.measured(self.pruning()).split(". ")[0]
            words = words.replace(f"{first}.", "The similarity of two stimuli was the chosen metric.", 1)
        if chosen["searches"]:
            words = words.replace(methods.searched(self.pruning()), "Features were found by the chosen search.", 1)
        return words

    def features(self) -> tuple[list[Block], list[Tab]]:
        return [Words("How many features each choice keeps (n_kept) is under Held out.")], []

    def methods(self) -> list[str]:
        own = self.own
        words = {"sizes": "most features", "comparators": "comparators to prune by"}
        lists = [
            f"{words.get(name, name)}: {', '.join('no limit' if one == 0 else str(one) for one in given)}"
            for name, given in own["choose"].items()
            if given
        ]
        layers = self.candidates.loc[self.candidates["metric"].notna(), "layer"].unique()
        what = "; ".join([f"layers: {', '.join(map(str, layers))}", *lists])
        first = (
            f"How to prune was chosen in {own['inner_cv']} inner folds of the training stimuli of each outer fold "
            f"({what}), by the mean alignment among inner test stimuli {cited('varma2006')}. What was not chosen among "
            f"was as follows. {self.shared_methods()}"
        )
        if own["permutations"]:
            first += f" p-values come from {own['permutations']} relabellings, what was learnt staying as it is."
        return [first, methods.software(self.settings), " ".join(self.verdict())]

    def headline(self) -> list[dict[str, Any]]:
        full = self.table.groupby("target", sort=False)["full_test"].mean()
        return [
            {"target": str(row["target"]), "full, held out": float(full[row["target"]]),
             "pruned, held out": row["test"], "gain": row["test"] - float(full[row["target"]]), "p": row.get("p"),
             "unit": self.unit}
            for row in self.choice.to_dict("records")
        ]  # fmt: skip
