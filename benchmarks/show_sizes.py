"""Time against the number of stimuli: ours, closed-form numpy, and the arithmetic floor; peak memory beside it.

    python benchmarks/show_sizes.py [--most N] [--limit SECONDS] [--out sizes.png]   # also writes sizes.json
    python benchmarks/show_sizes.py --draw sizes.json [--out sizes.png]              # the picture again

Leave-one-out and insertion of 768 features, cosine and Pearson, one target, 96 to 10 000 stimuli. Every row is a
process of its own. A contender is left out where the size before says that a call would take more than the limit.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import turns

import cases
import machine
import numpy as np

STIMULI = (96, 200, 398, 800, 1854, 4000, 10_000)
FEATURES = 768
VERBS = {
    "leave_one_out": f"Leave-one-out: the alignment without each of {FEATURES} features",
    "insertion_curve": f"Insertion: the alignment of the first 1, 2, … {FEATURES} features",
}
# what the picture calls them, and their colours
CONTENDERS = {
    "numpy closed form": ("numpy, 1 thread", "#b5532a"),
    "ours": ("secateur, 1 thread", "#1f5a94"),
    "ours, 2 threads": ("secateur, 2 threads", "#5fa3d9"),
}
FLOOR = ("floor, 1 thread: 5 multiply-adds\nfor each pair and feature", "#6b6b6b")
WARM = 2.0  # seconds of a call below which it is timed again, warm


def measure(verb: str, contender: str, n: int, rounds: int) -> dict[str, Any]:
    """Seconds, bytes of memory beyond the inputs, and how many multiply-adds a second the machine did then at best."""
    case = cases.Case("", n, FEATURES)
    group = cases.sized(verb, case, "pearson")
    with turns.Worker() as worker:
        seconds, held = worker.ask("memory", group, contender)
        if seconds < WARM:
            seconds = float(np.median([worker.ask("seconds", group, contender) for _ in range(rounds)]))
        threads, peak = worker.ask("peak", group, contender)
    return {
        "verb": verb, "contender": contender, "n": n, "seconds": seconds, "threads": threads, "peak": peak,
        "multiply-adds": 5 * case.pairs * FEATURES, "memory": held, "inputs": 8 * (n * FEATURES + case.pairs),
    }  # fmt: skip


def measured(most: int, limit: float, rounds: int) -> list[dict[str, Any]]:
    rows = []
    for verb, contender in itertools.product(VERBS, CONTENDERS):
        foreseen = 0.0
        for n, following in itertools.pairwise([n for n in STIMULI if n <= most] + [most]):
            if foreseen > limit:
                print(f"{verb}, {contender}, {n} stimuli: some {foreseen:.0f} s, not run", file=sys.stderr)
                break
            rows.append(measure(verb, contender, n, rounds))
            seconds = rows[-1]["seconds"]
            foreseen = seconds * (following / n) ** 2
            print(f"{verb}, {contender}, {n} stimuli: {seconds:.4f} s", file=sys.stderr)
    for row in rows:  # a busy moment's peak is no floor
        best = max(other["peak"] for other in rows if other["threads"] == row["threads"])
        row["floor"] = row["multiply-adds"] / best
    return rows


def table(rows: list[dict[str, Any]]) -> None:
    print("| | n | seconds | of the floor | peak memory beyond inputs, MiB | inputs, MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        share = f"{row['floor'] / row['seconds']:.0%}" if row["contender"].startswith("ours") else ""
        sizes = f"{row['memory'] / 2**20:.0f} | {row['inputs'] / 2**20:.0f}"
        print(f"| {row['verb']}: {row['contender']} | {row['n']} | {row['seconds']:.4f} | {share} | {sizes} |")


def in_words(seconds: float, _: object = None) -> str:
    return f"{1e3 * seconds:g} ms" if seconds < 0.999 else f"{seconds:g} s"


def draw(rows: list[dict[str, Any]], facts: dict[str, Any], out: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure, panels = plt.subplots(1, 2, figsize=(12.4, 4.8), sharey=True, layout="constrained")
    stimuli = sorted({row["n"] for row in rows})
    for panel, (verb, title) in zip(panels, VERBS.items(), strict=True):
        of_verb = [row for row in rows if row["verb"] == verb]
        one_thread = {row["n"]: row["floor"] for row in of_verb if row["contender"] == "ours"}
        lines = [(FLOOR, one_thread, {"linestyle": (0, (4, 3)), "linewidth": 1.6})]
        for contender, words in CONTENDERS.items():
            times = {row["n"]: row["seconds"] for row in of_verb if row["contender"] == contender}
            lines.append((words, times, {"marker": "o", "markersize": 4.5, "linewidth": 2.0}))
        for (label, colour), line, look in lines:
            if line:
                panel.plot(list(line), list(line.values()), color=colour, label=label.replace("\n", " "), **look)
        panel.set(xscale="log", yscale="log", xlabel="stimuli")
        panel.set_title(title, loc="left", fontsize=11)
        panel.xaxis.set_major_locator(FixedLocator(stimuli))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}".replace(",", " ")))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(FuncFormatter(in_words))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.tick_params(labelleft=True)
        panel.grid(color="#e4e4e4", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlim(stimuli[0] / 1.1, stimuli[-1] * 1.1)
    panels[0].set_ylabel("time of one call")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"One target, cosine and Pearson. {facts['processor']}, {facts['simd']}, numpy {facts['numpy']}",
        x=0.008, ha="left", fontsize=9.5, color="#555555",
    )  # fmt: skip
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=STIMULI[-1], help="stimuli, at most")
    parser.add_argument("--limit", type=float, default=600, help="seconds of one call, at most; 600 by default")
    parser.add_argument("--rounds", type=int, default=5, help="calls of less than two seconds: medians of so many")
    parser.add_argument("--out", default=str(Path(__file__).with_name("sizes.png")))
    parser.add_argument("--draw", metavar="JSON", help="draw what was measured before")
    asked = parser.parse_args()
    if asked.draw:
        kept = json.loads(Path(asked.draw).read_text(encoding="utf-8"))
    else:
        kept = {"facts": machine.facts(), "rows": measured(asked.most, asked.limit, asked.rounds)}
        Path(asked.out).with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    table(kept["rows"])
    draw(kept["rows"], kept["facts"], asked.out)


if __name__ == "__main__":
    main()
