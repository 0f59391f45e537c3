"""What a command says of its runs: the seven parts, each with what most commands have in common."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ...measures import label_of
from ..contents import described
from . import cautions, methods
from .markdown import blocks_of, heading_of
from .parts import Block, Bullets, Chart, Code, Tab, Table, Words
from .run import Run

__all__ = ["Section", "target_tabs"]


class Section:
    """A command's report. A new command has a class of its own, named in :data:`secateur.report.document.SECTIONS`.

    Attributes
    ----------
    commands : as the command line calls them
    study : the name in ``settings.json`` where it is a study, else empty
    sheet : what ``images.png`` shows
    marks : files that together show whose folder it is
    contents : what its files hold, where that is more than :data:`secateur.report.contents.FILES` says
    """

    commands: ClassVar[tuple[str, ...]] = ()
    study: ClassVar[str] = ""
    sheet: ClassVar[str] = "Contact sheet of the images as the network saw them"
    marks: ClassVar[tuple[str, ...]] = ()

    def __init__(self, run: Run) -> None:
        self.run, self.settings = run, run.settings

    @classmethod
    def contents(cls) -> Mapping[str, str]:
        """What its files hold."""
        return {}

    @classmethod
    def holds(cls, run: Run) -> bool:
        """Whether a folder is of this command."""
        study = str(run.settings.get("study", ""))
        if cls.study or study:
            return cls.study == study
        return bool(cls.marks) and set(cls.marks) <= set(run.names)

    def holding(self) -> Mapping[str, str]:
        """What the files of this run hold."""
        return self.contents()

    def title(self) -> str:
        """The page's heading: that of the tables, where there is one."""
        return heading_of(self.run.text("summary.md")) or "Results of Secateur"

    def facts(self) -> list[str]:
        """How it was made, in a line."""
        pruning = self.pruning()
        found = [f"{pruning['metric']} similarity"] if "metric" in pruning else []
        found += [f"alignment in {label_of(str(pruning['comparator']))}"] if "comparator" in pruning else []
        found += [f"search: {pruning['search']}"] if "search" in pruning else []
        return [*found, f"Secateur {self.settings['versions']['secateur']}"]

    def pruning(self) -> dict[str, Any]:
        """Metric, comparator, search, folds, seed, kind: from a study's settings or a command's."""
        own = self.settings.get("settings")
        if not isinstance(own, Mapping):
            return dict(self.settings)
        return {**own.get("pruning", {}), **own.get("folds", {}), **{"kind": own.get("kind")}}

    def verdict(self) -> list[str]:
        """What was found, in two sentences."""
        return []

    def charts(self) -> list[Chart]:
        """Charts whose values show under the pointer, where the command's results have some."""
        return []

    def warnings(self) -> list[str]:
        """What to know before trusting it."""
        return [*cautions.by_position(self.settings), *cautions.random_weights(self.settings)]

    def inputs(self) -> list[Block]:
        """Files, shapes, hashes, how stimuli were matched, the first of each, thumbnails."""
        read = [one for one in self.settings.get("inputs", ()) if isinstance(one, Mapping)]
        blocks: list[Block] = []
        if read:
            rows = []
            for one in read:
                place = next(
                    (str(one[key]) for key in ("file", "folder", "dataset", "name", "network") if one.get(key)), ""
                )
                role = str(one.get("role", ""))
                shape = one.get("shape")
                size = " × ".join(map(str, shape)) if shape else ""
                size = size or (f"{one['images']} images" if "images" in one else "")
                first = ", ".join(map(str, one.get("first_stimuli") or ()))
                rows.append(
                    [
                        f"{role} {one['subject']}" if "subject" in one else role,
                        place + (f":{one['key']}" if one.get("key") else ""), size or None, first or None,
                        str(one.get("sha256", ""))[:16] or None,
                    ]
                )  # fmt: skip
            head = ["what", "file", "shape", "first stimuli", "SHA-256 (first 16)"]
            blocks.append(Table("What was read. Whole hashes are in settings.json.", head, rows, 5))
        kind = self.pruning().get("kind")
        if kind:
            held = {"similarity": "similarities", "dissimilarity": "dissimilarities (RDMs)"}.get(str(kind), str(kind))
            blocks.append(Words(f"Targets were read as {held}."))
        notes = [str(note) for note in self.settings.get("notes", ())]
        if notes:
            blocks.append(Words("How the inputs were read and matched:"))
            blocks.append(Bullets([note if note.endswith("…") else f"{note}." for note in notes]))
        else:
            named = [one for one in read if one.get("first_stimuli")]
            if len(named) > 1:
                blocks.append(Words("All files that name their stimuli name them in the same order."))
        return [*blocks, *self.run.picture("images", self.sheet)]

    def results(self) -> tuple[list[Block], list[Tab]]:
        """An overview of all, and a tab for each target or test; by default the tables to read and all pictures."""
        blocks, tabs = self.tables_to_read()
        stems = dict.fromkeys(Path(name).stem for name in self.run.names if name.endswith((".png", ".svg")))
        for stem in stems:
            if stem not in ("images", "best_images"):
                words = described(f"{stem}.png", self.holding()) or stem
                blocks += self.run.picture(stem, f"{words[0].upper()}{words[1:]}")
        return blocks, tabs

    def held_out(self) -> list[Block]:
        """Folds, null, noise ceiling, intervals."""
        return [Words("Nothing was held out: this command fits no features to a target.")]

    def features(self) -> tuple[list[Block], list[Tab]]:
        """Which features were kept."""
        return [Words("No features were selected.")], []

    def methods(self) -> list[str]:
        """Paragraphs for a paper."""
        return [methods.software(self.settings)]

    def reproduce(self) -> list[Block]:
        """Command, versions, seeds."""
        blocks: list[Block] = []
        command = self.settings.get("command")
        if command:
            blocks.append(Code("The command", shlex.join(map(str, command)), "wrap"))
        elif self.study:
            blocks.append(Code("The command", f"secateur study {self.study} study.toml --out DIR", "wrap"))
        study = self.run.text("study.toml")
        if study:
            blocks.append(Code("study.toml", study))
        pruning = self.pruning()
        names = ("metric", "comparator", "kind", "search", "max_features", "cv", "repeats", "seed", "permutations",
                 "flips", "alpha", "over", "device", "group_folds", "network", "layer", "pool", "weights",
                 "saliency")  # fmt: skip
        rows = []
        for name in names:
            value = pruning.get(name, self.settings.get(name))
            if isinstance(value, (str, int, float)):
                rows.append([name.replace("_", " "), value])
        blocks.append(Table("Settings and seeds", ["setting", "value"], rows, 2))
        made = [[name, str(version)] for name, version in self.settings.get("versions", {}).items()]
        made += [["Python", str(self.settings["python"])], ["platform", str(self.settings["platform"])]]
        made += [["written", str(self.settings["written"])]] if "written" in self.settings else []
        return [*blocks, Table("Programs", ["program", "version"], made, 2)]

    def headline(self) -> list[dict[str, Any]]:
        """What stands in a table of several runs, a row for each target."""
        return [{}]

    def tables_to_read(self) -> tuple[list[Block], list[Tab]]:
        """What ``summary.md`` holds: its head as blocks, and a tab for each heading."""
        blocks, tabs = blocks_of(self.run.text("summary.md"))
        blocks = [block for block in blocks if not (isinstance(block, Words) and " · Secateur " in block.text)]
        return blocks, [tab for tab in tabs if tab.title != "Inputs"]


def target_tabs(names: Sequence[str], blocks: Sequence[Sequence[Block]]) -> tuple[list[Block], list[Tab]]:
    """A tab for each target; of one target its blocks alone."""
    if len(names) == 1:
        return list(blocks[0]), []
    return [], [Tab(name, list(own)) for name, own in zip(names, blocks)]
