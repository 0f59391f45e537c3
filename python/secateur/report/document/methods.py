"""Sentences of a methods section that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...measures import Comparator, Metric, Search, comparator_row, metric_row
from .references import cited

__all__ = [
    "COMPARATOR_WORDS", "METRIC_WORDS", "SEARCH_WORDS", "aligned", "folded", "measured", "permuted", "recorded",
    "searched", "software",
]  # fmt: skip

METRIC_WORDS: dict[Metric, str] = {
    "cosine": "the cosine of their feature vectors",
    "correlation": "Pearson's correlation of their feature vectors",
    "dot": "the inner product of their feature vectors",
    "sqeuclidean": "the negative squared Euclidean distance of their feature vectors",
    "euclidean": "the negative Euclidean distance of their feature vectors",
    "cityblock": "the negative city-block distance of their feature vectors",
}
COMPARATOR_WORDS: dict[Comparator, str] = {
    "pearson": "Pearson's correlation",
    "cosine": "the cosine",
    "corr_cov": f"the whitened correlation {cited('diedrichsen2021')}",
    "cosine_cov": f"the whitened cosine {cited('diedrichsen2021')}",
    "spearman": "Spearman's rank correlation",
    "rho-a": "the rank correlation rho-a",
    "tau-a": f"Kendall's tau-a {cited('nili2014')}",
    "tau-b": "Kendall's tau-b",
}
SEARCH_WORDS: dict[Search, str] = {
    "ranking": "Features were ranked by how much the alignment fell when each alone was left out, and inserted in that "
    f"order; the shortest prefix with the highest alignment was kept {cited('tarigopula2023')}.",
    "parsimonious": "Features were ranked by how much the alignment fell when each alone was left out; the shortest "
    "prefix of that order was kept whose held-out alignment, averaged over inner folds of the training stimuli, was "
    "within one standard error of the best.",
    "stable": "Features were kept that were among the most important ones in most of many random halves of the "
    f"training stimuli (stability selection; {cited('meinshausen2010', 'shah2013')[1:]}.",
    "forward": "Features were chosen by forward selection: beginning with none, the feature that gave the highest "
    "alignment was added at each step, and the best set on the way was kept.",
    "backward": "Features were chosen by backward elimination: beginning with all, the feature without which the "
    "alignment was highest was removed at each step, and the best set on the way was kept.",
    "floating": "Features were chosen by floating forward selection: after each addition, features were removed while "
    f"that gave a better set of its size, and the best set on the way was kept {cited('pudil1994')}.",
    "floating-backward": "Features were chosen by floating backward elimination: after each removal, features were "
    f"added while that gave a better set of its size, and the best set on the way was kept {cited('pudil1994')}.",
}

SENSOR_WORDS = {
    "correlation": "1 − Pearson's correlation",
    "euclidean": "the squared Euclidean distance, divided by the number of sensors,",
}


def measured(settings: Mapping[str, Any]) -> str:
    """How two stimuli and two spaces are compared."""
    metric, comparator = str(settings["metric"]), comparator_row(str(settings["comparator"]))
    metric_row(metric)
    words = next(word for name, word in COMPARATOR_WORDS.items() if comparator_row(name) is comparator)
    return (
        f"The similarity of two stimuli was {METRIC_WORDS[metric]}. "  # type: ignore[index]
        f"The alignment of the features' similarity space with a target was {words} over all pairs of stimuli "
        f"(representational similarity analysis; {cited('kriegeskorte2008')[1:]}."
    )


def recorded(settings: Mapping[str, Any]) -> str:
    """How the patterns of a recording became matrices; empty where they came as matrices."""
    how = settings.get("recording")
    if not isinstance(how, Mapping):
        return ""
    read = [one for one in settings.get("inputs", ()) if one.get("role") == "recording" and "sensors" in one]
    counts = sorted({int(one["sensors"]) for one in read})
    many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0]) if counts else ""
    kind = {"mag": "magnetometers", "grad": "gradiometers", "meg": "MEG sensors", "eeg": "EEG electrodes"}.get(
        str(how.get("picks") or "").lower(), f"sensors ({how['picks']})" if how.get("picks") else "sensors"
    )
    words = f"The dissimilarity of two stimuli was {SENSOR_WORDS[str(how['dissimilarity'])]} of their patterns over "
    words += f"{many} {kind}".strip()
    bad = {str(one.get("subject", "")): one["bad_channels"] for one in read if one.get("bad_channels")}
    if bad:
        named = "; ".join(f"{subject}: {', '.join(names)}" for subject, names in bad.items())
        words += f", without the channels marked as bad ({named})"
    words += ", at each time point"
    if how.get("windows"):
        spans = [f"{1000 * start:g} to {1000 * stop:g} ms" for start, stop in how["windows"]]
        words += f", and the matrices were averaged within windows ({', '.join(spans)})"
    else:
        words += f" from {1000 * how['first_time']:g} to {1000 * how['last_time']:g} ms"
    if how.get("smoothing"):
        words += f"; the matrices were smoothed with a running mean {1000 * how['smoothing']:g} ms wide"
    return f"{words}. "


def aligned(settings: Mapping[str, Any]) -> str:
    """What is said of the sign of targets that hold dissimilarities, and of what was taken from both sides."""
    found = []
    if settings.get("kind") == "dissimilarity":
        found.append("Target dissimilarities (RDMs) entered negated, so that larger values mean more alike.")
    files = [str(one.get("file")) for one in settings.get("inputs", ()) if one.get("role") == "control"]
    if settings.get("controls") or files:
        count = int(settings.get("controls") or len(files))
        named = f" ({', '.join(files)})" if files else ""
        what = "one control matrix" if count == 1 else f"{count} control matrices"
        found.append(
            f"All alignments are partial correlations: what {what}{named} say{'s' if count == 1 else ''} of the "
            "features' similarities and of the target was taken from both."
        )
    return " ".join(found)


def searched(settings: Mapping[str, Any]) -> str:
    """How features were found."""
    search = str(settings.get("search", "ranking"))
    return SEARCH_WORDS[search]  # type: ignore[index]


def folded(settings: Mapping[str, Any], what: str = "stimuli") -> str:
    """How stimuli were held out."""
    joint = {"mean": "the mean", "min": "the smallest"}.get(str(settings.get("joint", "each")), "")
    over = str(settings.get("over") or "stimuli")
    others = f"the targets of all other subjects together ({joint} of their alignments counted)"
    if over == "subjects":
        return (
            f"For each subject, features were chosen on {others}, and the alignment of all features and of those kept "
            "was computed with that subject's own target. All stimuli took part in both: none were held out."
        )
    cv, repeats, seed = str(settings["cv"]), int(settings["repeats"]), settings["seed"]
    drawn = f"{cv} folds" if cv.isdigit() else f"folds ({cv})"
    if repeats > 1:
        drawn += f", drawn {repeats} times"
    by, whose = "", ""
    if over == "both":
        by, whose = f" of each subject on {others},", " with the left-out subject's target"
    elif joint:
        by = f" for all targets together ({joint} of their alignments counted),"
    return (
        f"The {what} were divided into {drawn} (seed {seed}). Features were chosen{by} from the pairs among the "
        f"training {what} of a fold alone, and the alignment of all features and of those kept was computed{whose} "
        f"over the pairs among its held-out {what}; values are means over folds."
    )


def permuted(n: int) -> str:
    """The permutation test."""
    return (
        f"Significance was tested by permutation: the target's stimuli were relabelled {n} times, the whole selection "
        "was run again each time, and p is (1 + the number of relabellings that reached the observed value) divided by "
        f"(1 + {n}), one-sided {cited('phipson2010')}."
    )


def software(settings: Mapping[str, Any]) -> str:
    """What computed it."""
    versions = settings["versions"]
    known = {"numpy": ("NumPy", "harris2020"), "scipy": ("SciPy", "virtanen2020")}
    known["scikit-learn"] = ("scikit-learn", "pedregosa2011")
    stood = [f"{name} {versions[key]} {cited(source)}" for key, (name, source) in known.items() if key in versions]
    return (
        f"All analyses were done with Secateur {versions['secateur']} under Python {settings['python']}, with "
        f"{', '.join(stood[:-1])} and {stood[-1]}."
    )
