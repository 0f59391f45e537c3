"""What a reader must know before trusting a result, each a sentence; none where nothing is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray

from ...pairs import pair_count
from ...similarity import NO_SIMILARITY, opposition
from ...validation.folds import FEW_PAIRS

__all__ = [
    "SAME_STIMULI", "baseline", "below_zero", "by_position", "coarse_null", "few_pairs", "first_epoch",
    "random_weights", "undefined",
]  # fmt: skip

SAME_STIMULI = (
    "Features were chosen and scored on the same stimuli (of other subjects): nothing here says that they fit other "
    "stimuli. --over both leaves stimuli out too."
)


def by_position(settings: Mapping[str, Any]) -> list[str]:
    """Inputs that were matched by their order alone."""
    taken = [str(note).rstrip("… ,") for note in settings.get("notes", ()) if "order is taken to be" in str(note)]
    if not taken:
        return []
    return [
        f"Stimuli were matched by position, not by name: {'; '.join(taken)}. Nothing can notice if the orders differ; "
        "compare the first stimuli under Inputs with your files."
    ]


def below_zero(full: Any, pruned: Any, kind: str, names: list[str]) -> list[str]:
    """Mean alignments (T,) below zero."""
    words, found = opposition(full, kind), []
    if words:
        found.append(f"{words[0].upper()}{words[1:]}.")
    vain = [name for name, score in zip(names, np.atleast_1d(pruned)) if score < 0]
    if vain:
        of = "" if len(names) == 1 else f" for {len(vain)} of {len(names)} targets ({_few(vain)})"
        found.append(f"The pruned alignment on held-out stimuli is below zero{of}: a gain there is no evidence of fit.")
    return found


def few_pairs(result: xarray.Dataset) -> list[str]:
    """Folds whose scores are mostly noise."""
    if "test" not in result:
        return []
    counts = [pair_count(int(one)) for one in result["test"].values.sum(axis=-1).ravel()]
    few = [count for count in counts if count < FEW_PAIRS]
    if not few:
        return []
    return [
        f"Few test pairs: {len(few)} of {len(counts)} folds have fewer than {FEW_PAIRS} pairs of held-out stimuli "
        f"({min(few)} in the smallest), and such scores are mostly noise."
    ]


def undefined(count: int, of: str = "pairs of held-out stimuli") -> list[str]:
    """Pairs that no alignment could use."""
    return [f"{count} {of} {NO_SIMILARITY} and were left out."] if count else []


def coarse_null(n: int) -> list[str]:
    """A null with too few relabellings to say much."""
    least = 1 / (1 + n)
    return (
        [
            f"Few relabellings: with {n} the smallest possible p is {least:.2g}. Take 1000 or more for a result to be "
            "reported."
        ]
        if least > 0.005
        else []
    )


def first_epoch(training: Mapping[str, Any]) -> list[str]:
    """Training that did not help."""
    if int(training.get("best_epoch", 1)) != 0:
        return []
    return ["Training did not help: on the images that chose the epoch, the network was best before it (epoch 0)."]


def random_weights(settings: Mapping[str, Any]) -> list[str]:
    """A network that has learnt nothing."""
    places = [settings, settings.get("network"), *settings.get("inputs", ())]
    said = [str(one.get("weights") or "") for one in places if isinstance(one, Mapping)]
    if not any(words.startswith("random") for words in said):
        return []
    return ["The network has random weights: what it sees means nothing."]


def baseline(times: Any, significant: Any, unit: str) -> list[str]:
    """Effects before the stimulus was shown."""
    early = np.asarray(times, dtype=float)[(np.asarray(times, dtype=float) < 0) & np.asarray(significant, dtype=bool)]
    if not early.size:
        return []
    return [
        f"Effects in the baseline: the gain is significant at {early.size} time{'s' if early.size > 1 else ''} before "
        f"0 {unit} ({early.min():g} to {early.max():g} {unit}), where the stimulus was not there yet."
    ]


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
