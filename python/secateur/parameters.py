"""The parameters of pruning that a study file and the command line offer: one record, from which both make a Pruner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from .execution import Device
from .measures import COMPARATORS, METRICS, SEARCHES, ComparatorOrAlias, Metric, Search, enumerated

if TYPE_CHECKING:
    from .pruning import Pruner
    from .targets import Kind

__all__ = ["Pruning"]


def _option(metavar: str, help: str, **limits: int) -> dict[str, Any]:
    """What the command line says of a parameter, and its limits there."""
    return {"metavar": metavar, "help": help, **limits}


@dataclass(frozen=True)
class Pruning:
    """How features are found; parameters of :class:`secateur.Pruner`, by their names."""

    metric: Metric = field(
        default="cosine",
        metadata=_option("METRIC", f"Similarity of two stimuli by their features: {enumerated(METRICS)}."),
    )
    comparator: ComparatorOrAlias = field(
        default="pearson",
        metadata=_option("NAME", f"Alignment (RSA) of features and target over pairs: {enumerated(COMPARATORS)}."),
    )
    search: Search = field(
        default="ranking", metadata=_option("NAME", f"How features are found: {enumerated(SEARCHES)}.")
    )
    max_features: int | None = field(
        default=None, metadata=_option("N", "Most features to keep; by default as many as fit best.", min=1)
    )
    device: Device = field(
        default="auto", metadata=_option("DEVICE", "Where to compute: auto (a GPU where that is faster), cpu or cuda.")
    )
    threads: int | None = field(default=None, metadata=_option("N", "Processor cores to use; all by default.", min=1))

    def pruner(self, kind: str | None) -> Pruner:
        """As a Pruner of targets of this kind, its parameters checked."""
        from .pruning import Pruner

        if kind not in (None, "similarity", "dissimilarity"):
            raise ValueError(f"kind must be 'similarity' or 'dissimilarity', got {kind!r}")
        pruner = Pruner(kind=cast("Kind | None", kind), **vars(self))
        pruner.settings()
        return pruner
