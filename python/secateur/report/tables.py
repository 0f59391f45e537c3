"""Tables: full against pruned, in and out of sample, as plain text or Markdown."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
import xarray

from ..comparison import comparison_table
from ..features import Matrix
from ..measures import comparator_row
from ..similarity import NO_SIMILARITY, mark, mark_words, opposition
from ..statistics import paired_t, signed_square
from ..timecourse.group import by_subject, mean_sem
from ..validation import tested_once
from . import courses
from .drawing import mean_sd, plus_minus, shortened, unit_of
from .overview import over_targets_words
from .results import held_by, result_facts, target_name, what_targets_are

__all__ = [
    "WIDTH", "Rows", "comparison_markdown", "course_markdown", "course_text", "final_text", "markdown", "number_words",
    "pipe_table", "plus_minus_words", "text",
]  # fmt: skip

WIDTH = 80
MEANS = (("pruned", "pruned_test"), ("gain", "gain"))


def text(
    result: xarray.Dataset, permutations: xarray.Dataset | None = None, *, most: int = 20,
    intervals: xarray.Dataset | None = None,
) -> str:  # fmt: skip
    """The result as plain text, at most 80 columns wide but for long target names.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    permutations : xarray.Dataset, optional
        From :func:`secateur.permutation_test`, of the same targets.
    most : int
        Targets beyond this number are counted, not shown.
    intervals : xarray.Dataset, optional
        From :func:`secateur.bootstrap` over stimuli, of the same targets.

    Returns
    -------
    str
        Means and SD over folds of train and test alignment, full and pruned, the squares of these means (with their
        signs, for correlations), features kept; the gain on test stimuli with its paired t over folds, and the
        permutation p.

    Raises
    ------
    ValueError
        Where the permutations are of other targets.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 1.

    Examples
    --------
    >>> import numpy as np, secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> text(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3, progress=False)).split("\\n")[0]
    '30 stimuli · 20 features · cosine similarity · alignment in Pearson r'
    """
    scores, tests, notes, left = _content(result, permutations, most, intervals)
    lines = [] if not left else [f"… and {left} more targets."]
    wrapped = [line for note in [*lines, *notes] for line in wrap(note, WIDTH, subsequent_indent="  ")]
    parts = [_facts_lines(result), _plain(scores), _plain(tests), "\n".join(wrapped)]
    return "\n\n".join(parts) + "\n"


def markdown(
    result: xarray.Dataset,
    permutations: xarray.Dataset | None = None,
    *,
    title: str | None = None,
    most: int = 200,
    intervals: xarray.Dataset | None = None,
) -> str:
    """The result as Markdown: the same as :func:`text`, as two tables and their notes.

    Parameters
    ----------
    result, permutations, most, intervals
        As in :func:`text`.
    title : str, optional
        A heading.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np, secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> markdown(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3), title="A").splitlines()[0]
    '# A'
    """
    scores, tests, notes, left = _content(result, permutations, most, intervals)
    lines = [] if not left else [f"… and {left} more targets."]
    heading = [f"# {title}"] if title else []
    body = [
        *heading, _facts_lines(result).replace("\n", " · "), pipe_table(scores), pipe_table(tests),
        "\n".join(f"- {n}" for n in [*lines, *notes]),
    ]  # fmt: skip
    return "\n\n".join(body) + "\n"


def final_text(final: xarray.Dataset) -> str:
    """How many features the final set has, as plain text.

    Parameters
    ----------
    final : xarray.Dataset
        From :func:`secateur.final_set`.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np, secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> final_text(sc.final_set(X, X[:, :4] @ X[:, :4].T)).split(":")[0]
    'The final set, chosen on all stimuli'
    """
    counts = final["n_kept"].values
    low, high = int(counts.min()), int(counts.max())
    count = f"{low}" if low == high else f"{low} to {high}, by target,"
    words = f"The final set, chosen on all stimuli: {count} of {final.sizes['feature']} features. Folds choose theirs "
    return "\n".join(wrap(words + "only to be scored: see kept_features.csv.", WIDTH)) + "\n"


def course_text(
    course: xarray.Dataset, test: xarray.Dataset | None = None, permutations: xarray.Dataset | None = None
) -> str:
    """Where pruning helps along a time course, as plain text.

    Parameters
    ----------
    course : xarray.Dataset
        From :func:`secateur.timecourse.prune`.
    test : xarray.Dataset, optional
        From :func:`secateur.timecourse.group_test`.
    permutations : xarray.Dataset, optional
        From :func:`secateur.timecourse.permutation_test`.

    Returns
    -------
    str
        One row a window; for a course one row for each cluster of times, at its largest mean gain; where there is no
        test, the time of the largest gain.

    Examples
    --------
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=1, sensors=20, times=[0.1, 0.25, 0.3])
    >>> course_text(prune(truth.X, rdm_movies(patterns), cv=3)).split(" · ")[1]
    '3 time points'
    """
    rows, notes = _course_content(course, test)
    notes += _permutation_notes(permutations, test)
    facts = wrap(" · ".join(courses.facts(course)), WIDTH)
    lines = [line for note in notes for line in wrap(note, WIDTH, subsequent_indent="  ")]
    return "\n\n".join(["\n".join(facts), *([_plain(rows)] if rows[1:] else []), "\n".join(lines)]) + "\n"


def course_markdown(
    course: xarray.Dataset,
    test: xarray.Dataset | None = None,
    permutations: xarray.Dataset | None = None,
    *,
    title: str | None = None,
) -> str:
    """The same as :func:`course_text`, as Markdown.

    Parameters
    ----------
    course, test, permutations
        As in :func:`course_text`.
    title : str, optional
        A heading.

    Returns
    -------
    str

    Examples
    --------
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=1, sensors=20, times=[0.1, 0.25, 0.3])
    >>> course_markdown(prune(truth.X, rdm_movies(patterns), cv=3), title="A").splitlines()[0]
    '# A'
    """
    rows, notes = _course_content(course, test)
    notes += _permutation_notes(permutations, test)
    parts = [f"# {courses.synthetic_title(course, title)}"] if title else []
    parts += [" · ".join(courses.facts(course)), *([pipe_table(rows)] if rows[1:] else [])]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes)]) + "\n"


def _course_content(course: xarray.Dataset, test: xarray.Dataset | None) -> tuple[Rows, list[str]]:
    """Rows (header first) and notes."""
    clock = courses.clock_of(course)
    unit, short = unit_of(course), clock.unit
    full, pruned, kept = (mean_sem(values)[0] for values in by_subject(course))
    gain = pruned - full
    whole, kind = np.nanmean(full) if np.isfinite(full).any() else np.nan, str(course.attrs["kind"])
    notes = [f"Held-out alignment in {unit}, {courses.subjects_words(course)}."]
    missing = np.isnan(course["full_test"].values + course["pruned_test"].values)
    if missing.any():
        notes.append(
            f"{missing.sum()} of {missing.size} held-out scores are undefined and left out: similarities that do not "
            "vary among a fold's test stimuli, as where one feature is kept."
        )

    def scores(t: int) -> list[str]:
        beyond = number_words(gain[t], "+.3f") + mark(gain[t], pruned[t])
        return [number_words(full[t], ".3f"), number_words(pruned[t], ".3f"), beyond, number_words(kept[t], ".1f")]

    heads = ["full", "pruned", "gain", "kept"]
    if clock.windows:
        rows = [[f"window ({short})", *heads, *(["t", "p", "q", "d"] if test is not None else [])]]
        for t, name in enumerate(clock.names):
            lines = [] if test is None else [number_words(float(test[what][t]), ".2g") for what in ("t", "p", "q", "d")]
            rows.append([name, *scores(t), *lines])
        return rows, [*notes, courses.test_words(course, test), *_opposition_notes(rows, whole, kind)]
    if test is None:
        rows = [[f"time ({short})", *heads]]
        if np.isfinite(gain).any():
            best = int(np.nanargmax(gain))
            rows.append([f"{clock.at[best]:g}", *scores(best)])
            notes.append("The time of the largest gain, of all in summary.csv; looked for, so it is no estimate.")
        return rows, notes + _opposition_notes(rows, whole, kind)
    rows = [[f"cluster ({short})", "mass", "p", f"at ({short})", *heads]]
    labels = test["cluster"].values
    for k in range(1, int(labels.max(initial=0)) + 1):
        span = np.flatnonzero(labels == k)
        best = int(span[np.argmax(np.abs(gain[span]))])
        where = f"{clock.at[span[0]]:g}–{clock.at[span[-1]]:g}" if len(span) > 1 else f"{clock.at[best]:g}"
        mass, p = (float(test[name].values[best]) for name in ("cluster_mass", "cluster_p"))
        rows.append([where, number_words(mass, ".1f"), number_words(p, ".2g"), f"{clock.at[best]:g}", *scores(best)])
    if not rows[1:]:
        notes.append("No run of times passes the threshold of the cluster test.")
    else:
        notes.append("Scores are those at the time of the largest mean gain in the cluster.")
    sure = test["significant"].values
    notes.append(
        f"{int(sure.sum())} of {len(sure)} times have q ≤ {float(test.attrs['alpha']):g} (paired t over subjects, "
        "false discovery rate over times): see summary.csv."
    )
    over = f"over {test.attrs['subjects']} subjects"
    notes.append(f"p: cluster-based permutation test {over}, {courses.flips_words(test)}.")
    return rows, notes + _opposition_notes(rows, whole, kind)


def _permutation_notes(permutations: xarray.Dataset | None, test: xarray.Dataset | None) -> list[str]:
    """Where the gain stands out from that of relabelled stimuli, and what that says."""
    if permutations is None:
        return []
    clock = courses.clock_of(permutations)
    unit, alpha = clock.unit, float(permutations.attrs["alpha"])
    found = []
    for name in ("full", "pruned", "gain"):
        spans = courses.spans_of(permutations, f"_{name}")
        said = [f"{clock.at[s[0]]:g}–{clock.at[s[-1]]:g} {unit} (p = {p:.2g})" for s, p in spans]
        least = permutations[f"p_max_{name}"].values
        lowest = f"least p over time {np.nanmin(least):.2g}" if np.isfinite(least).any() else "undefined"
        found.append(f"{name} {', '.join(said) if said else f'no cluster with p ≤ {alpha:g}'}; {lowest}")
    return [
        f"Stimuli relabelled alike for all subjects, {int(permutations.attrs['n'])} times: {'. '.join(found)}.",
        "Relabelling asks whether these features fit better than if dealt to other stimuli"
        + ("." if test is None else "; the test over subjects, whether other people would show the gain."),
    ]


def _facts_lines(result: xarray.Dataset) -> str:
    """How the result was made, in two lines."""
    d = result.sizes["feature"] if "feature" in result.sizes else int(result.attrs["n_features"])
    facts = result_facts(result, result.sizes["stimulus"], d, 0)
    if result.sizes["target"] > 1:
        facts[0] = f"{result.sizes['target']} targets"
    lines = [""]
    for fact in facts:
        if len(lines[-1]) + len(fact) + 3 > WIDTH:
            lines.append("")
        lines[-1] += (" · " if lines[-1] else "") + fact
    return "\n".join(lines)


def comparison_markdown(result: xarray.Dataset, *, title: str | None = None) -> str:
    """A comparison of methods as Markdown: one table a target, its rows the methods, and notes.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.compare`.
    title : str, optional
        A heading.

    Returns
    -------
    str
        Held-out alignment (mean ± SD over folds) and the square of its mean, training alignment, nodes, and the
        differences from ``full`` and ``pruned``, where they are there; with their permutation p, corrected for their
        number, where the comparison had permutations.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 1.

    Examples
    --------
    >>> import numpy as np, secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> result = sc.compare(X, X[:, :4] @ X[:, :4].T, methods=["full", "pruned"], cv=3)
    >>> print(comparison_markdown(result).splitlines()[2][:24])
    | method | test r | test
    """
    short = unit_of(result).split()[-1]
    squared = comparator_row(str(result.attrs["comparator"])).is_r
    table = comparison_table(result)
    references = [name.removeprefix("gain_") for name in table.columns if name.startswith("gain_")]
    tested = "p_test" in table.columns
    parts = [f"# {title}"] if title else []
    parts.append(_facts_lines(result).replace("\n", " · "))
    cut: Rows = []
    for t, target in enumerate(result["target"].values):
        head = ["method", f"test {short}", *([f"test {short}²"] if squared else []), f"train {short}", "nodes"]
        if tested:
            head.insert(2, "p")
        rows: Rows = [head + [f"− {name} (p)" if tested else f"− {name}" for name in references]]
        for name in map(str, result["approach"].values):
            row = table.loc[(target, name)]
            one = result.isel(target=t).sel(approach=name)
            test = one.test_alignment.values
            cells = [name, plus_minus_words(test, 3), *([number_words(signed_square(test), ".3f")] if squared else [])]
            if tested:
                cells.insert(2, number_words(float(row["p_test"]), ".2g"))
            cells.append(plus_minus_words(one.train_alignment.values, 3))
            cells.append(plus_minus_words(one.nodes.values, 0).removesuffix(" ± 0"))
            for reference in references:
                gain = float(row[f"gain_{reference}"])
                cell = number_words(gain, "+.3f") + mark(gain, float(row["test"]))
                if tested:
                    cell += f" ({number_words(float(row[f'p_holm_{reference}']), '.2g')})"
                cells.append("" if name == reference else cell)
            rows.append(cells)
        if result.sizes["target"] > 1:
            parts.append(f"**{target_name(result, t) or f'target {t}'}**")
        parts.append(pipe_table(rows))
        cut += rows
    notes = [
        f"Mean ± SD over {result.sizes['fold']} folds of stimuli, in {unit_of(result)}; train values are in-sample.",
        "nodes: features with a weight other than zero.",
    ]
    if references:
        notes.append(f"− {', − '.join(references)}: mean difference on test stimuli.")
    if tested:
        n = result.sizes["permutation"]
        notes.append(
            f"p: from {n} relabellings of the target's stimuli, what was learnt staying as it is: of the test "
            f"alignment one-sided; (p) of a difference two-sided, corrected (Holm) for the methods of the column. The "
            f"least possible is {1 / (1 + n):.2g}. Null: a target that has nothing to do with the features."
        )
    elif references:
        notes.append("No relabellings were drawn, so there is no p: folds share stimuli and are no sample to test.")
    full = result["test_alignment"].sel(approach=result["approach"].values == "full").mean("fold").values
    notes += _opposition_notes(cut, full, str(result.attrs["kind"]), "method's")
    undefined = int(result["undefined_pairs"].sum())
    if undefined:
        notes.append(f"{undefined} pairs of held-out stimuli {NO_SIMILARITY} and were left out.")
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


Rows = list[list[str]]


def _content(
    result: xarray.Dataset, permutations: courses.Given, most: int, intervals: courses.Given = None
) -> tuple[Rows, Rows, list[str], int]:
    """The table of scores, the table of tests (header first), the notes, and how many targets were left out."""
    count, d, folds = result.sizes["target"], result.sizes["feature"], result.sizes["fold"]
    if permutations is not None and permutations.sizes["target"] != count:
        raise ValueError(
            f"permutations must cover the {count} targets of the result, got {permutations.sizes['target']}"
        )
    unit = unit_of(result)
    short = unit.split()[-1]
    squared = comparator_row(str(result.attrs["comparator"])).is_r
    named = count > 1
    scores: Rows = [["features", "kept", f"train {short}", f"test {short}"]]
    if squared:
        scores[0] += [f"train {short}²", f"test {short}²"]
    once = tested_once(result)
    tests: Rows = [
        ["test gain", *([f"t({folds - 1})"] if folds > 1 else []), *(["p (t)"] if once and folds > 1 else [])]
    ]
    if intervals is not None:
        tests[0].insert(1, f"{100 * float(intervals.attrs['confidence']):g} % interval")
    chance = result if permutations is None and "p_gain" in result else permutations
    if chance is not None:
        tests[0] += ["p (pruned)", "p (gain)"]
    others = "over" in result.attrs  # features that others chose
    ceiling = [name for name in ("ceiling_lower", "ceiling_upper") if name in result and others]
    tests[0] += [name.replace("_", " ") for name in ceiling]
    if named:
        scores[0].insert(0, "target")
        tests[0].insert(0, "target")
    for t in range(min(count, most)):
        names = ("full_train", "full_test", "pruned_train", "pruned_test", "n_kept")
        one = {name: result[name].values[t].astype(float) for name in names}
        name = shortened(target_name(result, t) or str(t), 24)
        for space in ("full", "pruned"):
            kept = str(d) if space == "full" else plus_minus_words(one["n_kept"], 1)
            row = [space, kept, plus_minus_words(one[f"{space}_train"], 3), plus_minus_words(one[f"{space}_test"], 3)]
            if squared:
                row += [number_words(signed_square(one[f"{space}_{side}"]), ".3f") for side in ("train", "test")]
            scores.append(([name if space == "full" else ""] if named else []) + row)
        test = paired_t(one["pruned_test"], one["full_test"])
        vain = mark(test.difference, mean_sd(one["pruned_test"])[0])
        row = [number_words(test.difference, "+.3f") + vain]
        row += [number_words(test.t, ".2f")] if folds > 1 else []
        row += [number_words(test.p, ".2g")] if once and folds > 1 else []
        if intervals is not None:
            row.insert(1, " to ".join(number_words(float(end), "+.3f") for end in intervals["interval_gain"].values[t]))
        if chance is not None:
            row += [number_words(float(chance[f"p_{what}"].values[t]), ".2g") for what in ("pruned_test", "gain")]
        row += [number_words(float(np.mean(result[name_of].values[t])), ".3f") for name_of in ceiling]
        tests.append(([name] if named else []) + row)
    undefined = int(result["undefined_pairs"].sum())
    notes = [f"Mean ± SD over {folds} folds of stimuli, in {unit}; train values are in-sample."]
    if str(result.attrs.get("over")) == "subjects":
        notes = [f"Each subject with features that all others chose, on all stimuli, in {unit}; train: of the others."]
    if squared:
        notes.append(f"{short}²: the square of the mean over folds, with its sign.")
    if folds > 1:
        notes.append(
            "p (t): paired, over folds, two-sided; folds share stimuli, so it is descriptive."
            if once
            else "t: paired, over folds, which share test stimuli: it describes them, and no p of it holds."
        )
    if ceiling:
        notes.append(
            "Features are those that the other targets share. Ceiling: the alignment of the mean of the other targets "
            "(lower), and of all (upper), with each, on the same test stimuli."
        )
    if count > 1 and "targets" in result.attrs:
        notes.append(over_targets_words(result))
        if "ceiling_lower" in result and not others:
            lower, upper = (float(np.nanmean(result[f"ceiling_{end}"].values)) for end in ("lower", "upper"))
            notes.append(
                f"Noise ceiling: {lower:.3f} to {upper:.3f}, the alignment of the mean of the other subjects, and of "
                "all, with each, on the same test stimuli."
            )
    if intervals is not None:
        notes.append(
            f"Interval: of the gain, over stimuli, {intervals.sizes['resample']} draws; what the gain would be with "
            "other stimuli. It is no test of the gain."
        )
    if permutations is not None and "p_mean_gain" in permutations:
        means = [f"{what} {float(permutations[f'p_mean_{of}']):.2g}" for what, of in MEANS]
        notes.append(f"p of the mean over targets: {', '.join(means)}.")
    if chance is not None:
        n = chance.sizes["permutation"]
        how = "what was learnt staying as it is" if permutations is None else "the pruning rerun each time"
        notes.append(
            f"p (pruned), p (gain): one-sided, from {n} relabellings of the target's stimuli, {how}; the least "
            f"possible is {1 / (1 + n):.2g}."
        )
        if count > 1 and what_targets_are(result) == "regions":
            notes.append("summary.csv also has p (gain) corrected for the number of regions (Holm).")
    else:
        notes.append("No permutation null was computed.")
    notes += _opposition_notes(tests, result["full_test"].mean("fold"), held_by(result.attrs))
    if undefined:
        notes.append(f"{undefined} pairs of held-out stimuli {NO_SIMILARITY} and were left out.")
    return scores, tests, notes, max(count - most, 0)


def _opposition_notes(rows: Rows, full: Any, kind: str, of: str = "pruned") -> list[str]:
    """What marks in a table mean, and what mean alignments (T,) of all features below zero do."""
    words = opposition(full, kind)
    notes = [mark_words(of)] if any("†" in cell for row in rows for cell in row) else []
    return notes + ([f"{words[0].upper()}{words[1:]}."] if words else [])


def number_words(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)


def plus_minus_words(values: Matrix, digits: int) -> str:
    return "–" if np.isnan(mean_sd(values)[0]) else plus_minus(values, digits)


def _plain(rows: Rows) -> str:
    """Columns two blanks apart, words to the left, numbers to the right."""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    words = 1 + (rows[0][0] == "target" and rows[0][1] == "features") if rows[0][0] in ("target", "features") else 0
    lines = []
    for row in rows:
        aligned = [cell.ljust(w) for cell, w in zip(row[:words], widths)]
        aligned += [cell.rjust(w) for cell, w in zip(row[words:], widths[words:], strict=True)]
        lines.append("  ".join(aligned).rstrip())
    lines.insert(1, "─" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(lines)


def pipe_table(rows: Rows) -> str:
    words = {"target", "features", "method"}
    safe = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    rule = ["---" if head in words else "---:" for head in rows[0]]
    return "\n".join("| " + " | ".join(row) + " |" for row in [safe[0], rule, *safe[1:]])
