"""Metrics, comparators and searches by name, with a row for each: what Python knows of them stands here alone.

The compiled core lists its own metrics and comparators, and what a CUDA device takes of them; a test holds the two
lists together. A new one is a word of its ``Literal`` and a row of its table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast, get_args

from . import _core

__all__ = [
    "ALIASES", "COMPARATORS", "COMPARATOR_TABLE", "CUDA_COMPARATORS", "CUDA_STIMULI", "JOINTS", "METRICS",
    "METRIC_TABLE", "SEARCHES", "SEARCH_TABLE", "Comparator", "ComparatorOrAlias", "ComparatorRow", "Joint", "Metric",
    "MetricRow", "Search", "SearchRow", "check_comparator", "check_joint", "check_metric", "check_search",
    "comparator_row", "enumerated", "label_of", "metric_row", "search_row",
]  # fmt: skip

Metric = Literal["cosine", "correlation", "dot", "sqeuclidean", "euclidean", "cityblock"]
Comparator = Literal["pearson", "cosine", "corr_cov", "cosine_cov", "spearman", "rho-a", "tau-a", "tau-b"]
ComparatorOrAlias = Literal[Comparator, "corr", "kendall"]
Search = Literal["ranking", "parsimonious", "stable", "forward", "backward", "floating", "floating-backward"]
Joint = Literal["each", "mean", "min"]  # whether targets share a set of features, and what of their alignments counts

METRICS: tuple[Metric, ...] = get_args(Metric)
COMPARATORS: tuple[Comparator, ...] = get_args(Comparator)
SEARCHES: tuple[Search, ...] = get_args(Search)
JOINTS: tuple[Joint, ...] = get_args(Joint)


@dataclass(frozen=True)
class MetricRow:
    """A similarity of two stimuli.

    Attributes
    ----------
    label : what a picture calls the similarities.
    unit : and the dissimilarities that stand for them.
    adds : what a feature adds to a pair: a product of its two values, the square of their difference, or its absolute
        value. Of differences it is a distance, which enters negated.
    power : to which such an absolute value is raised.
    angular : whether a stimulus needs a direction; 1 - s is then the dissimilarity.
    centred : whether the mean over features is taken from each stimulus first.
    rooted : whether the sum's root is taken.
    """

    label: str
    unit: str
    adds: Literal["product", "square", "absolute"]
    angular: bool = False
    centred: bool = False
    rooted: bool = False
    power: int = 1

    @property
    def is_distance(self) -> bool:
        return self.adds != "product"


METRIC_TABLE: dict[Metric, MetricRow] = {
    "cosine": MetricRow("cosine similarity", "1 − cosine", "product", angular=True),
    "correlation": MetricRow("correlation similarity", "1 − r", "product", angular=True, centred=True),
    "dot": MetricRow("dot product", "distance", "product"),
    "sqeuclidean": MetricRow("− squared distance", "squared distance", "square"),
    "euclidean": MetricRow("− distance", "distance", "square", rooted=True),
    "cityblock": MetricRow("− city-block distance", "city-block distance", "absolute"),
}


@dataclass(frozen=True)
class ComparatorRow:
    """An alignment of two similarity spaces.

    Attributes
    ----------
    label : what a picture calls it.
    centred : whether each space's mean over pairs is taken away.
    whitened : whether the noise that pairs share is allowed for, which needs all pairs of a set of stimuli.
    rank : whether it is of the order of similarities alone.
    is_r : whether its square is a share of variance.
    alias : rsatoolbox's name, where that is another.
    """

    label: str
    centred: bool = False
    whitened: bool = False
    rank: bool = False
    is_r: bool = False
    alias: str = ""

    @property
    def takes_constants(self) -> bool:
        """Whether a target that is the same for every pair has an alignment."""
        return not (self.centred or self.rank)


COMPARATOR_TABLE: dict[Comparator, ComparatorRow] = {
    "pearson": ComparatorRow("Pearson r", centred=True, is_r=True, alias="corr"),
    "cosine": ComparatorRow("cosine"),
    "corr_cov": ComparatorRow("whitened r", centred=True, whitened=True),
    "cosine_cov": ComparatorRow("whitened cosine", whitened=True),
    "spearman": ComparatorRow("Spearman ρ", rank=True, is_r=True),
    "rho-a": ComparatorRow("rho-a", rank=True),
    "tau-a": ComparatorRow("Kendall tau-a", rank=True),
    "tau-b": ComparatorRow("Kendall tau-b", rank=True, alias="kendall"),
}
# rsatoolbox's other words, each with the name that results record.
ALIASES: dict[str, Comparator] = {row.alias: name for name, row in COMPARATOR_TABLE.items() if row.alias}

# What the kernels of a CUDA device take, as the core says.
CUDA_COMPARATORS = tuple(_core.cuda_comparators())
CUDA_STIMULI = _core.cuda_most_stimuli()


@dataclass(frozen=True)
class SearchRow:
    """A way to find the features to keep.

    Attributes
    ----------
    found_in : its module and class in :mod:`secateur.pruning`.
    ranks : whether it keeps a prefix of a ranking; else it goes step by step.
    whole_on_device : whether all of it runs where X lies; others come back to the host at each step.
    inner_folds : whether stimuli are held out inside it.
    half_samples : whether it learns from random halves of the stimuli.
    backward : whether it starts from all features.
    floating : whether it goes back on its steps.
    """

    found_in: str
    ranks: bool = False
    whole_on_device: bool = False
    inner_folds: bool = False
    half_samples: bool = False
    backward: bool = False
    floating: bool = False

    @property
    def draws_stimuli(self) -> bool:
        """Whether it divides the stimuli by chance, so that groups of them matter."""
        return self.inner_folds or self.half_samples


SEARCH_TABLE: dict[Search, SearchRow] = {
    "ranking": SearchRow("ranking.Ranking", ranks=True, whole_on_device=True),
    "parsimonious": SearchRow("ranking.Parsimonious", ranks=True, inner_folds=True),
    "stable": SearchRow("stable.Stable", ranks=True, half_samples=True),
    "forward": SearchRow("sequential.Sequential"),
    "backward": SearchRow("sequential.Sequential", backward=True),
    "floating": SearchRow("sequential.Sequential", floating=True),
    "floating-backward": SearchRow("sequential.Sequential", backward=True, floating=True),
}


def check_metric(metric: str, allowed: Iterable[str] = METRICS) -> Metric:
    """The metric, if it is one (of those ``allowed``)."""
    return cast(Metric, _check_name("metric", metric, allowed))


def check_comparator(comparator: str) -> Comparator:
    """The comparator's own name, also of one that goes by an alias."""
    for alias, name in ALIASES.items():
        if comparator == alias:
            return name
    if comparator not in COMPARATORS:
        allowed = f"{', '.join(map(repr, COMPARATORS))} or {', '.join(map(repr, ALIASES))}"
        raise ValueError(f"comparator must be one of {allowed}; got {comparator!r}")
    return comparator


def check_search(search: str) -> Search:
    """The search, if it is one."""
    return cast(Search, _check_name("search", search, SEARCHES))


def check_joint(joint: str) -> Joint:
    """The way that targets share a set of features, if it is one."""
    return cast(Joint, _check_name("joint", joint, JOINTS))


def metric_row(metric: str) -> MetricRow:
    """What is known of a metric; what is none is refused."""
    return METRIC_TABLE[check_metric(metric)]


def comparator_row(comparator: str) -> ComparatorRow:
    """What is known of a comparator, also of one that goes by an alias; what is none is refused."""
    return COMPARATOR_TABLE[check_comparator(comparator)]


def search_row(search: str) -> SearchRow:
    """What is known of a search; what is none is refused."""
    return SEARCH_TABLE[check_search(search)]


def _check_name(argument: str, name: str, allowed: Iterable[str]) -> str:
    names = tuple(allowed)
    if name not in names:
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, names))}; got {name!r}")
    return name


def label_of(comparator: str) -> str:
    """What a picture calls a comparator, also one that goes by an alias; an unknown one by its name."""
    row = COMPARATOR_TABLE.get(ALIASES.get(comparator, cast(Comparator, comparator)))
    return comparator if row is None else row.label


def enumerated(names: Iterable[str]) -> str:
    """``a, b or c``, for help and messages."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
