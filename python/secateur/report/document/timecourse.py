"""Reports of ``secateur timecourse``: pruning at every time of a MEG or EEG recording."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas

from ...measures import label_of
from .. import interactive
from ..courses import flips_words
from ..drawing import signed
from ..folder import COURSE_CONTENTS, PICTURES
from . import cautions, methods
from .parts import Block, Chart, Code, Download, Tab, Words, table_of
from .references import cited
from .section import Section

__all__ = ["CourseReport"]

MOST_FEATURES = 50


class CourseReport(Section):
    """Every time of every subject, in folds of stimuli, with tests over subjects."""

    commands: ClassVar[tuple[str, ...]] = ("timecourse",)
    marks: ClassVar[tuple[str, ...]] = ("course.nc", "summary.csv")

    @classmethod
    def contents(cls) -> Mapping[str, str]:
        return COURSE_CONTENTS

    @cached_property
    def table(self) -> pandas.DataFrame:
        table = self.run.table("summary.csv")
        assert table is not None  # one of its marks
        return table

    @cached_property
    def unit(self) -> str:
        return str(self.table.columns[0]).removeprefix("time_")

    @cached_property
    def times(self) -> Any:
        return self.table.iloc[:, 0].to_numpy(dtype=float)

    @property
    def subjects(self) -> int:
        """How many the test is over; 1 where there is no such test."""
        return int(self.table["subjects"].max()) if "subjects" in self.table else 1

    @property
    def over(self) -> str:
        """What was left out of the choice of features."""
        return str(self.settings.get("over") or "stimuli")

    def facts(self) -> list[str]:
        count = self.subjects
        of = f"{count} subject{'s' if count > 1 else ''}"
        held = {
            "stimuli": f"{self.settings['cv']} folds of stimuli",
            "subjects": "each subject left out in turn",
            "both": f"each subject left out in turn, {self.settings['cv']} folds of stimuli",
        }
        return [of, f"{len(self.times)} times", held[self.over], *super().facts()]

    def verdict(self) -> list[str]:
        table, label = self.table, label_of(str(self.settings["comparator"]))
        gain = table["gain"].to_numpy(dtype=float)
        if not np.isfinite(gain).any():
            return ["The held-out alignment is undefined at every time, so nothing can be said of pruning."]
        best = int(np.nanargmax(gain))
        row = table.iloc[best]
        kept = f"{row['n_kept']:.1f} features kept on average"
        least = f"; t({int(row['df'])}) = {row['t']:.2f}" if "significant" in table else ""
        least += f", p = {row['p']:.2g} uncorrected" if least and np.isfinite(row["p"]) else ""
        where = {"subjects": " in the subject left out", "both": " on the stimuli and in the subject left out"}
        at = (
            f"The mean {'held-out ' if self.over == 'stimuli' else ''}gain of pruning{where.get(self.over, '')} is "
            f"largest at {self.times[best]:g} {self.unit}: {label} = {row['pruned']:.3f} for the kept features against "
            f"{row['full']:.3f} for all, a gain of {signed(float(gain[best]))} ({kept}{least}); this time was looked "
            "for, so it is no estimate."
        )
        return [" ".join(self._evidence()), at]

    def _evidence(self) -> list[str]:
        """Whether any gain is more than chance, in the words of every test that was made."""
        found = []
        if "significant" in self.table:
            alpha, count = float(self.settings.get("alpha", 0.05)), self.subjects
            sure = self.table["significant"].to_numpy(dtype=bool)
            test = f"paired one-sided t over n = {count} subjects, false discovery rate over times"
            clusters, runs = self._clusters()
            if not sure.any() and runs:
                found.append(
                    f"Pruning helps in a run of times (cluster-based permutation test, p = {runs:.2g}), though no "
                    f"single time has q ≤ {alpha:g} ({test})."
                )
                clusters = []
            elif sure.any():
                many = f"{int(sure.sum())} of {len(sure)} times have"
                found.append(f"Pruning helps: {many} a gain with q ≤ {alpha:g} ({test}).")
            else:
                q = self.table["q"].to_numpy(dtype=float)
                least = f"; least q = {np.nanmin(q):.2g}" if np.isfinite(q).any() else ""
                found.append(f"No gain is shown at any single time: none has q ≤ {alpha:g} ({test}{least}).")
            found += clusters
        if "permutation_p_max_gain" in self.table:
            p = float(self.table["permutation_p_max_gain"].min())
            drawn = str(self.settings.get("permutations") or "all")
            found.append(
                f"Over {drawn} relabellings of the stimuli the least p of the gain is {p:.2g}, one-sided and corrected "
                "over times."
            )
        return found or [
            "Whether any gain is more than chance was not tested: there is one subject and no null was computed; "
            "--permutations N tests whether these features fit better than if they were dealt to other stimuli."
        ]

    def _clusters(self) -> tuple[list[str], float | None]:
        """What the cluster test says, and the least p where it is significant."""
        if "cluster_p" not in self.table:
            return [], None
        found = self.table[self.table["cluster"] > 0]
        if found.empty:
            return ["No run of times passes the threshold of the cluster test."], None
        group = self.run.dataset("group.nc")
        few = "" if group is None else flips_words(group).partition(",")[2].strip()
        p = float(found["cluster_p"].min())
        words = f"The least p of a cluster of times is {p:.2g}{f' ({few})' if few else ''}."
        return [words], p if p <= float(self.settings.get("alpha", 0.05)) else None

    def warnings(self) -> list[str]:
        found = super().warnings()
        if "Synthetic recording" in self.run.text("summary.md") or (
            "--demo" in map(str, self.settings.get("command", ())) and not self.settings.get("inputs")
        ):
            found.append("The recording is synthetic: this is an example, not a finding.")
        full = float(np.nanmean(self.table["full"])) if self.table["full"].notna().any() else float("nan")
        found += cautions.below_zero([full], [float("nan")], str(self.settings["kind"]), ["the recording"])
        if "significant" in self.table:
            found += cautions.baseline(self.times, self.table["significant"], self.unit)
            if self.subjects < 5:
                found.append(
                    f"The test is over {self.subjects} subjects: it has little power, and says little of others."
                )
        if self.over == "subjects":
            found.append(cautions.SAME_STIMULI)
        lost = [line for line in self.run.text("summary.md").splitlines() if "are undefined and left out" in line]
        found += [line.lstrip("- ") for line in lost]
        drawn = int(self.settings.get("permutations", 0))
        return found + (cautions.coarse_null(drawn) if drawn else [])

    def results(self) -> tuple[list[Block], list[Tab]]:
        blocks, _ = self.tables_to_read()
        tabs = []
        titles = {"alignment": "Alignment", "kept": "Features kept", "selection": "Which features",
                  "generalisation": "Across times", "course": "One page"}  # fmt: skip
        for stem, title in titles.items():
            words = PICTURES[stem]
            own: list[Block] = [*self.run.picture(stem, self._alt(stem), f"{words[0].upper()}{words[1:]}")]
            if own:
                tabs.append(Tab(title, own))
        return blocks, tabs

    def charts(self) -> list[Chart]:
        drawn = interactive.course(self.table, self.unit, label_of(str(self.settings["comparator"])))
        return [Chart(drawn, "Held-out alignment over time: all features, kept ones, the gain")]

    def _alt(self, stem: str) -> str:
        gain = self.table["gain"].to_numpy(dtype=float)
        words = PICTURES[stem]
        if stem != "alignment" or not np.isfinite(gain).any():
            return f"{words[0].upper()}{words[1:]}, {self.times[0]:g} to {self.times[-1]:g} {self.unit}"
        best = int(np.nanargmax(gain))
        where = f"the largest gain, {gain[best]:.3f}, is at {self.times[best]:g} {self.unit}"
        return f"Alignment over time, all and kept features; {where}"

    def held_out(self) -> list[Block]:
        shown = self.table.rename(columns={self.table.columns[0]: f"time ({self.unit})"})
        what = "Alignment of each subject left out" if self.over == "subjects" else "Held-out alignment"
        blocks: list[Block] = [table_of(f"{what}, at every time: means, tests over subjects, noise ceiling.", shown)]
        if "ceiling_lower" not in self.table:
            blocks.append(Words("No noise ceiling: it needs 2 subjects or more."))
        return blocks

    def features(self) -> tuple[list[Block], list[Tab]]:
        table = self.run.table("kept_features.csv")
        if table is None:
            return super().features()
        names = [str(name) for name in table["feature"][table["mean_share"] >= 0.5]]
        sets = {
            "stimuli": "Each time, subject and fold",
            "subjects": "Each time and each subject left out",
            "both": "Each time, subject left out and fold",
        }
        blocks: list[Block] = [
            Words(f"{sets[self.over]} has a set of its own. The share says how often a feature is in it.")
        ]
        if names:
            blocks.append(Code("Features in at least half of all sets", ", ".join(names), "wrap"))
            blocks.append(Download("kept_features.txt", "\n".join(names) + "\n", f"Download the list ({len(names)})"))
        more = "" if len(table) <= MOST_FEATURES else f", the first {MOST_FEATURES} of {len(table)}"
        caption = f"How often each feature is kept, and when most{more}; all are in kept_features.csv."
        return [*blocks, table_of(caption, table.head(MOST_FEATURES))], []

    def methods(self) -> list[str]:
        settings, count = self.settings, self.subjects
        of = f"{count} subjects" if count > 1 else "one subject"
        measured = f"{methods.recorded(settings)}{methods.measured(settings)}"
        first = (
            f"Features were pruned to representational dissimilarity matrices (RDMs) of {of} at each of "
            f"{len(self.times)} times {cited('tarigopula2023')}. {measured} "
            f"{methods.aligned(settings)} {methods.searched(settings)}"
        )
        second = methods.folded(settings)
        if "significant" in self.table:
            second += (
                " The gain of pruning was tested over subjects with a paired, one-sided t-test of Fisher's z at each "
                f"time, with the false discovery rate over times {cited('benjamini1995')} and with a cluster-based "
                f"permutation test of {self._flips()} {cited('maris2007')}."
            )
        if "ceiling_lower" in self.table:
            second += f" The noise ceiling was computed over subjects {cited('nili2014')}."
        if int(settings.get("permutations", 0)):
            second += (
                f" In {settings['permutations']} permutations the stimuli were relabelled alike for all subjects and "
                "times, the selection was run again, and the largest value over times was kept."
            )
        return [first, second, methods.software(settings), " ".join(self.verdict())]

    def _flips(self) -> str:
        group = self.run.dataset("group.nc")
        return f"{self.settings['flips']} sign flips" if group is None else flips_words(group).split(",")[0]

    def headline(self) -> list[dict[str, Any]]:
        gain = self.table["gain"].to_numpy(dtype=float)
        row: dict[str, Any] = {"subjects": self.subjects, "times": len(self.times)}
        if np.isfinite(gain).any():
            best = int(np.nanargmax(gain))
            row |= {
                "target": f"at {self.times[best]:g} {self.unit}",
                "unit": label_of(str(self.settings["comparator"])),
            }
            row |= {"full, held out": float(self.table["full"].iloc[best])}
            row |= {"pruned, held out": float(self.table["pruned"].iloc[best]), "gain": float(gain[best])}
            row["kept"] = float(self.table["n_kept"].iloc[best])
        return [row]
