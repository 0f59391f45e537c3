"""Named cases, and the contenders that do each: this build, the slow ways it is compared with, other packages.

A :class:`Group` is one piece of work at one size; its contenders give the same numbers. ``python -m pytest benchmarks``
times all of them, the scripts beside this file make tables and pictures of some.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import secateur as sc
import ways
from machine import Work
from secateur.execution import Execution


@dataclass(frozen=True)
class Case:
    """An embedding like a penultimate layer's (rectified, sparse) and a target that some of its features drive."""

    name: str
    n: int
    d: int
    targets: int = 1

    @property
    def pairs(self) -> int:
        return self.n * (self.n - 1) // 2

    def make(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """X (n, d) and targets (T, P)."""
        rng = np.random.default_rng(seed)
        X = np.maximum(rng.normal(size=(self.n, self.d)) + 0.3 * rng.normal(size=(self.n, 1)), 0)
        planted = np.stack(
            [ways.cosine(X[:, rng.choice(self.d, max(3, self.d // 20), replace=False)]) for _ in range(self.targets)]
        )
        return X, planted + 0.05 * rng.normal(size=planted.shape)


PAPER = Case("one fold of the paper", 96, 4096)
HUNDRED = Case("a hundred targets", 96, 4096, 100)
SET144 = Case("an image set of the fMRI study, two hundred targets", 144, 4096, 200)
STUDY = Case("a participant of the MEG study", 120, 4096, 200)


@dataclass(frozen=True)
class Contender:
    """One way to do a group's work: a call of the group's inputs, and how many threads it may use."""

    run: Callable[[Any], Any]
    threads: int = 1
    ours: bool = False


@dataclass(frozen=True)
class Group:
    """One piece of work, and the contenders that do it; the first is ours, on one thread.

    Attributes
    ----------
    make : makes the inputs that all contenders take.
    work : what cannot be left out, for the floor; None where no bound is known that is worth the name.
    large : takes minutes or gigabytes, and runs when asked alone.
    rounds : how often ours is timed at least; the others once, where they take long.
    """

    name: str
    make: Callable[[], Any]
    contenders: dict[str, Contender]
    work: Work | None = None
    large: bool = False
    rounds: int = 5

    @property
    def inputs(self) -> Any:
        return _made(self)

    def run(self, name: str) -> Any:
        return self.contenders[name].run(self.inputs)


_KEPT: list[tuple[str, Any]] = []  # the inputs that were used last, which may be large


def _made(group: Group) -> Any:
    if not _KEPT or _KEPT[0][0] != group.name:
        _KEPT.clear()
        _KEPT.append((group.name, group.make()))
    return _KEPT[0][1]


def _ours(call: Callable[..., Any], threads: tuple[int, ...] = (1, 2)) -> dict[str, Contender]:
    """A call that takes inputs and ``threads``, on one thread and on two."""
    return {
        "ours" if count == 1 else f"ours, {count} threads": Contender(partial(call, threads=count), count, True)
        for count in threads
    }


def _numpy(**calls: Callable[[Any], Any]) -> dict[str, Contender]:
    """Contenders of one thread each, by their names with _ for a blank."""
    return {name.replace("_", " "): Contender(call) for name, call in calls.items()}


@dataclass(frozen=True)
class Fold:
    """What one pruning takes: an embedding, its targets, an order for each, and the features of a subset."""

    X: np.ndarray
    targets: np.ndarray
    orders: np.ndarray
    inside: np.ndarray


def fold(case: Case) -> Fold:
    X, targets = case.make()
    rng = np.random.default_rng(1)
    orders = np.stack([rng.permutation(case.d) for _ in targets])
    return Fold(X, targets, orders, np.arange(0, case.d, 2))


def sized(verb: str, case: Case, terms: str = "") -> str:
    return " ".join(filter(None, (verb, f"{case.n}x{case.d}" + f"x{case.targets}" * (case.targets > 1), terms)))


COSINE: dict[str, Any] = {"kind": "similarity", "device": "cpu"}
RANKS = ("spearman", "tau-a", "tau-b")


def _pruner(threads: int, comparator: str = "pearson") -> sc.Pruner:
    return sc.Pruner(**COSINE, threads=threads, comparator=comparator)


def _work(fma: float, comparator: str = "pearson", bytes: float = 0) -> Work | None:
    """Multiply-adds bound what takes moments; no bound is known of ranks that is worth the name."""
    return Work(fma, bytes) if comparator == "pearson" else None


def leave_one_out(case: Case, comparator: str = "pearson", rank_one: bool = False, **how: Any) -> Group:
    def ours(i: Fold, threads: int) -> Any:
        return sc.leave_one_out(i.X, i.targets, comparator=comparator, threads=threads, **COSINE)

    numpy = {}
    if comparator == "pearson":
        numpy = _numpy(numpy_closed_form=lambda i: ways.closed_form_leave_one_out(i.X, i.targets))
    if rank_one:
        numpy |= _numpy(
            numpy_rank_one=lambda i: ways.rank_one_leave_one_out(i.X, i.targets[0]),
            numpy_rank_one_trimmed=lambda i: ways.trimmed_rank_one_leave_one_out(i.X, i.targets[0]),
        )
    work = _work((5 + case.targets * (case.targets > 1)) * case.pairs * case.d, comparator)
    return Group(sized("leave_one_out", case, comparator), partial(fold, case), _ours(ours) | numpy, work, **how)


def add_one(case: Case, **how: Any) -> Group:
    def ours(i: Fold, threads: int) -> Any:
        return sc.add_one(i.X, i.targets, i.inside, threads=threads, **COSINE)

    work = _work(5 * case.pairs * (case.d - case.d // 2))
    contenders = _ours(ours) | _numpy(numpy_rank_one=lambda i: ways.rank_one_add_one(i.X, i.targets[0], i.inside))
    return Group(sized("add_one", case), partial(fold, case), contenders, work, **how)


def insertion_curve(case: Case, comparator: str = "pearson", rank_one: bool = False, **how: Any) -> Group:
    def ours(i: Fold, threads: int) -> Any:
        return sc.insertion_curve(i.X, i.targets, i.orders, comparator=comparator, threads=threads, **COSINE)

    numpy = {}
    if comparator == "pearson" and case.targets == 1:
        numpy = _numpy(numpy_closed_form=lambda i: ways.closed_form_insertion(i.X, i.targets[0], i.orders[0]))
    if rank_one:
        numpy |= _numpy(
            numpy_rank_one=lambda i: ways.rank_one_insertion(i.X, i.targets[0], i.orders[0]),
            numpy_rank_one_trimmed=lambda i: ways.trimmed_rank_one_insertion(i.X, i.targets[0], i.orders[0]),
        )
    work = _work(5 * case.targets * case.pairs * case.d, comparator)
    return Group(sized("insertion_curve", case, comparator), partial(fold, case), _ours(ours) | numpy, work, **how)


def controlled(verb: str, case: Case, controls: int, **how: Any) -> Group:
    """Leave-one-out or insertion of one target, freed of some control matrices."""

    def make() -> tuple[Fold, np.ndarray]:
        made, rng = fold(case), np.random.default_rng(2)
        similar = [ways.cosine(made.X[:, k :: 3 * controls]) for k in range(controls)]
        return made, np.stack(similar) + 0.1 * rng.normal(size=(controls, case.pairs))

    def ours(i: tuple[Fold, np.ndarray], threads: int) -> Any:
        given: dict[str, Any] = {"control": i[1], "threads": threads, **COSINE}
        if verb == "leave_one_out":
            return sc.leave_one_out(i[0].X, i[0].targets, **given)
        return sc.insertion_curve(i[0].X, i[0].targets, i[0].orders, **given)

    def by_numpy(i: tuple[Fold, np.ndarray]) -> Any:
        rows = np.vstack([i[0].targets, i[1]])
        if verb == "leave_one_out":
            return ways.partial(ways.closed_form_leave_one_out(i[0].X, rows), rows)
        return ways.partial(np.stack([ways.closed_form_insertion(i[0].X, row, i[0].orders[0]) for row in rows]), rows)

    work = _work((5 + controls) * case.pairs * case.d)
    name = sized(verb, case, f"pearson {controls} controls")
    return Group(name, make, _ours(ours) | _numpy(numpy_closed_form=by_numpy), work, **how)


def similarity(case: Case, metric: str, **how: Any) -> Group:
    """The Gram and its norms."""

    def by_scipy(i: Fold) -> Any:
        from scipy.spatial.distance import pdist

        return 1 - pdist(i.X, metric)

    def by_sklearn(i: Fold) -> Any:
        from sklearn.metrics.pairwise import cosine_similarity

        return cosine_similarity(i.X)[np.triu_indices(len(i.X), 1)]

    def by_rsatoolbox(i: Fold) -> Any:
        from rsatoolbox.data import Dataset
        from rsatoolbox.rdm import calc_rdm

        return 1 - calc_rdm(Dataset(i.X), method="correlation").dissimilarities[0]

    ours = _ours(lambda i, threads: sc.similarity(i.X, metric, threads=threads))
    if metric == "cosine":
        others = _numpy(numpy_closed_form=lambda i: ways.cosine(i.X), scipy=by_scipy, sklearn=by_sklearn)
    else:
        others = _numpy(
            numpy_corrcoef=lambda i: np.corrcoef(i.X)[np.triu_indices(len(i.X), 1)],
            scipy=by_scipy,
            rsatoolbox=by_rsatoolbox,
        )
    if case.n > 1000:  # both of these go pair by pair
        others = {name: other for name, other in others.items() if name not in ("scipy", "rsatoolbox")}
    work = _work(case.pairs * case.d, bytes=8 * (case.n * case.d + case.pairs))
    return Group(sized("similarity", case, metric), partial(fold, case), ours | others, work, **how)


def ranking(case: Case, comparator: str = "pearson", **how: Any) -> Group:
    """A whole pruning: leave-one-out, the order, the insertion, the best prefix."""

    def ours(i: Fold, threads: int) -> Any:
        return _pruner(threads, comparator).fit(i.X, i.targets[0]).support_

    def by_numpy(i: Fold) -> Any:
        return ways.closed_form_support(i.X, i.targets[0])

    others = _numpy(numpy_closed_form=by_numpy) if comparator == "pearson" else {}
    work = _work(10 * case.pairs * case.d, comparator)
    return Group(sized("ranking", case, comparator), partial(fold, case), _ours(ours) | others, work, **how)


def held_out_alignment(case: Case, comparator: str, **how: Any) -> Group:
    """The alignment of a space with each target, as held-out stimuli are scored."""
    method = {"pearson": "corr", "tau-b": "kendall"}.get(comparator, comparator)

    def ours(i: Fold, threads: int) -> Any:
        return np.atleast_1d(sc.alignment(i.X, i.targets, comparator=comparator, threads=threads, **COSINE))

    def by_numpy(i: Fold) -> Any:
        s, h = (x - x.mean(axis=-1, keepdims=True) for x in (ways.cosine(i.X), i.targets))
        return h @ s / np.sqrt((h * h).sum(axis=1) * (s @ s))

    def by_scipy(i: Fold) -> Any:
        from scipy import stats

        measure = {"spearman": stats.spearmanr, "tau-b": stats.kendalltau}[comparator]
        s = ways.cosine(i.X)
        return np.array([measure(s, h).statistic for h in i.targets])

    others = _numpy(rsatoolbox=lambda i: ways.rsatoolbox_compare(i.X, i.targets, method))
    if comparator == "pearson":
        others |= _numpy(numpy_closed_form=by_numpy)
    if comparator in ("spearman", "tau-b"):
        others |= _numpy(scipy=by_scipy)
    if case.pairs * case.targets > 10**7:
        others.pop("rsatoolbox")
        others.pop("scipy", None)
    work = _work(case.pairs * (case.d + case.targets), comparator, 8 * case.pairs * case.targets)
    name = sized("held_out_alignment", case, comparator)
    return Group(name, partial(fold, case), _ours(ours) | others, work, **how)


def _training_pairs(n: int, folds: int = 5) -> int:
    inside = n - n // folds
    return inside * (inside - 1) // 2


def cross_validate(case: Case, comparator: str = "pearson", **how: Any) -> Group:
    def make() -> Any:
        from sklearn.model_selection import KFold

        made = fold(case)
        return made, list(KFold(5, shuffle=True, random_state=0).split(made.X))

    def ours(i: Any, threads: int) -> Any:
        pruner = _pruner(threads, comparator)
        scores = sc.cross_validate(i[0].X, i[0].targets, pruner, cv=i[1], curves=False, progress=False)
        return scores.pruned_test.values

    others = {}
    if comparator == "pearson" and case.targets == 1:
        others = _numpy(numpy_closed_form=lambda i: ways.closed_form_cross_validate(i[0].X, i[0].targets[0], i[1]))
    of_targets = 10 if case.targets == 1 else 5 + 6 * case.targets
    work = _work(5 * _training_pairs(case.n) * case.d * of_targets, comparator)
    return Group(sized("cross_validate", case, comparator), make, _ours(ours) | others, work, **how)


def permutation_test(case: Case, permutations: int, comparator: str = "pearson", **how: Any) -> Group:
    def ours(i: Fold, threads: int) -> Any:
        pruner = _pruner(threads, comparator)
        return sc.permutation_test(i.X, i.targets[0], permutations, pruner, progress=False).p_pruned_test.values

    work = _work(5 * _training_pairs(case.n) * case.d * (5 + 6 * (permutations + 1)), comparator)
    name = sized("permutation_test", case, f"{permutations} {comparator}")
    return Group(name, partial(fold, case), _ours(ours), work, **how)


@dataclass(frozen=True)
class Recording:
    """Patterns (splits, stimuli, sensors, times), and the precision of their noise."""

    runs: np.ndarray
    precision: np.ndarray


def recording(stimuli: int, sensors: int, points: int, splits: int = 4) -> Recording:
    rng = np.random.default_rng(0)
    runs = rng.normal(size=(splits, stimuli, sensors, points))
    root = rng.normal(size=(sensors, sensors)) / np.sqrt(sensors)
    return Recording(runs, root @ root.T + np.eye(sensors))


def rdm_movie(stimuli: int, sensors: int, points: int, metric: str, **how: Any) -> Group:
    """rsatoolbox as it comes, and by stimulus: it then averages and sorts, as its guide has it and crossnobis needs."""
    crossed, whitened = metric == "crossnobis", metric in ("crossnobis", "mahalanobis")

    def given(i: Recording) -> tuple[np.ndarray, np.ndarray | None]:
        return i.runs if crossed else i.runs[0], i.precision if whitened else None

    def ours(i: Recording, threads: int) -> Any:
        patterns, noise = given(i)
        return sc.timecourse.rdm_movie(patterns, metric, noise=noise, threads=threads).values

    def by_rsatoolbox(i: Recording, **named: Any) -> Any:
        from rsatoolbox.data import TemporalDataset
        from rsatoolbox.rdm import calc_rdm_movie

        patterns, noise = given(i)
        splits = len(i.runs) if crossed else 1
        labels = {"stimulus": np.tile(np.arange(stimuli), splits)}
        labels |= {"run": np.repeat(np.arange(splits), stimuli)} if crossed else {}
        rows = patterns.reshape(-1, sensors, points)
        data = TemporalDataset(rows, obs_descriptors=labels, time_descriptors={"time": np.arange(points)})
        return calc_rdm_movie(data, method=metric, noise=noise, **named).dissimilarities

    named = {"descriptor": "stimulus", "cv_descriptor": "run" if crossed else None}
    others = _numpy(rsatoolbox_by_stimulus=partial(by_rsatoolbox, **named))
    if not crossed:
        others |= _numpy(rsatoolbox=by_rsatoolbox)
    splits = 4 if crossed else 1
    pairs, values = stimuli * (stimuli - 1) // 2, splits * stimuli * sensors * points
    # whitening is triangular; splits are crossed in one product with the sum of the others
    fma = splits * pairs * sensors * points + (values * (sensors + 1) / 2 if whitened else 0)
    name = f"rdm_movie {stimuli}x{sensors}x{points} {metric}"
    work = Work(fma, 8 * (values + pairs * points))
    return Group(name, partial(recording, stimuli, sensors, points), _ours(ours) | others, work, **how)


@dataclass(frozen=True)
class Head:
    """A network's head behind its last convolution's maps (n, M, side, side)."""

    net: Any
    maps: Any

    def masked(self, k: int) -> np.ndarray:
        """The head run again on all images, without map k."""
        import torch

        with torch.inference_mode():
            maps = self.maps.clone()
            maps[:, k] = 0
            return np.asarray(self.net.neck(maps).numpy())

    def rectified(self, execution: Execution, place: str = "cpu") -> Any:
        """What makes masked embeddings, its tables made; of maps that lie on a torch device."""
        from secateur.networks import necks

        layers = necks.rectified_layers(self.net.neck)
        return necks.RectifiedNeck(self.net, self.maps.to(place), 32, None, layers, execution)


def head(stimuli: int, maps: int, side: int, units: int, active: float) -> Head:
    """As VGG-16's, with random weights; this share of the first layer's units is active. Images are their numbers."""
    import torch
    from secateur.networks import Network

    rng = np.random.default_rng(0)
    given = rng.standard_normal((stimuli, maps, side, side), dtype=np.float32)
    stored = torch.from_numpy(np.maximum(given - 1, 0))
    pooled = side // 2

    class Stored(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return stored[x.long()]

    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        layers = [torch.nn.Linear(maps * pooled**2, units), torch.nn.Linear(units, units)]
    for layer in layers:
        layer.to_empty(device="cpu").requires_grad_(False)
        layer.weight.normal_(0, 0.01, generator=generator)
        layer.bias.zero_()
    first, second = layers
    pool = torch.nn.Sequential(torch.nn.MaxPool2d(2), torch.nn.AdaptiveAvgPool2d(pooled), torch.nn.Flatten(1))
    first.bias.fill_(-float(first(pool(stored)).flatten()[::7].quantile(1 - active)))
    relu, drop = torch.nn.ReLU(), torch.nn.Dropout()
    neck = torch.nn.Sequential(*pool, first, relu, drop, second, relu)
    trunk = Stored()

    def number(image: Any) -> torch.Tensor:
        return torch.tensor(image.getpixel((0, 0))[0])

    net = Network("vgg16's head", torch.nn.Sequential(trunk, neck), preprocessing=number, trunk=trunk, neck=neck)
    return Head(net, stored)


def without_each(neck: Any) -> Iterator[np.ndarray]:
    """Embeddings with each map masked, as many maps at once as memory allows."""
    for start in range(0, neck.count, neck.block):
        yield neck.without_each(np.arange(start, min(start + neck.block, neck.count)))


def masked_embeddings(stimuli: int, maps: int, side: int, units: int, **how: Any) -> Group:
    """Embeddings of all images with each map masked: ours, and the head run again."""

    def by_torch(i: Head) -> Any:
        return np.stack([i.masked(k) for k in range(maps)])

    def ours(i: Head, threads: int) -> Any:
        return np.concatenate(list(without_each(i.rectified(Execution(threads=threads)))))

    name = f"masked_embeddings {stimuli}x{maps}x{units}"
    return Group(name, partial(head, stimuli, maps, side, units, 0.2), _ours(ours) | _numpy(torch=by_torch), **how)


def time_course(case: Case, **how: Any) -> Group:
    """A participant's pruning at every time, out of sample; targets are the times."""

    def ours(i: Fold, threads: int) -> Any:
        course = sc.timecourse.prune(i.X, i.targets, _pruner(1), threads=threads, progress=False)
        return course.pruned_test.values

    work = _work(5 * _training_pairs(case.n) * case.d * (5 + 6 * case.targets))
    return Group(sized("time_course", case), partial(fold, case), _ours(ours), work, **how)


def suite(small: bool = False) -> dict[str, Group]:
    """All groups by name; ``small``: the same verbs at sizes of a moment, so that none rots."""

    def at(n: int, d: int, targets: int = 1) -> Case:
        return Case("a small one", 20, 400, min(targets, 3)) if small else Case("", n, d, targets)

    paper, hundred, study = (at(case.n, case.d, case.targets) for case in (PAPER, HUNDRED, STUDY))
    animals, things, most = at(398, 1280), at(1854, 768), at(10_000, 768)
    groups = []
    for verb in (leave_one_out, insertion_curve):
        groups += [verb(paper, rank_one=True), verb(hundred), verb(animals), verb(things)]
        groups += [verb(paper, comparator) for comparator in RANKS]
        groups += [verb(things, "spearman", large=True), verb(most, large=True, rounds=1)]
    groups += [add_one(paper), add_one(animals)]
    groups += [controlled(verb, paper, q) for verb in ("leave_one_out", "insertion_curve") for q in (1, 3)]
    groups += [similarity(case, metric) for case in (paper, animals, things) for metric in ("cosine", "correlation")]
    groups += [similarity(most, "cosine", large=True, rounds=1)]
    groups += [ranking(paper), ranking(animals), ranking(things), ranking(paper, "spearman")]
    for targets, n, comparator in product((1, 100), (96, 398, 1854), ("pearson", *RANKS)):
        large = n * targets > 100_000
        slow = comparator in RANKS and n * targets > 1000
        groups.append(held_out_alignment(at(n, 512, targets), comparator, large=large, rounds=1 if slow else 5))
    groups += [cross_validate(at(96, 1280)), cross_validate(things, rounds=2), cross_validate(study, rounds=2)]
    groups += [cross_validate(at(96, 1280), "spearman")]
    groups += [permutation_test(at(96, 1280), 3 if small else 20, comparator) for comparator in ("pearson", "spearman")]
    movie = (6, 8, 5) if small else (120, 306, 200)
    metrics = ("correlation", "euclidean", "mahalanobis", "crossnobis")
    groups += [rdm_movie(*movie, metric) for metric in metrics]
    groups += [masked_embeddings(*((4, 6, 4, 12) if small else (24, 64, 14, 1024)))]
    groups += [time_course(at(96, 4096, 20))]
    return {group.name: group for group in groups}


@cache
def _suite() -> dict[str, Group]:
    return suite()


def named(name: str) -> Group:
    """A group of the suite, or one of the verbs that scripts ask for at another size or by another comparator."""
    if name in _suite():
        return _suite()[name]
    verb, size, comparator = name.split()
    case = Case("", *map(int, size.split("x")))
    if verb == "cross_validate":
        return cross_validate(case, comparator)
    one = comparator == "pearson" and case.targets == 1
    return {"leave_one_out": leave_one_out, "insertion_curve": insertion_curve}[verb](case, comparator, rank_one=one)


def images_of_92() -> tuple[Any, np.ndarray] | None:
    """The 92 images and EfficientNet-lite0's pooled maps of them; None, and why, without SECATEUR_DATA."""
    folder = photographs()
    if folder is None:
        return None
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    import lite0

    data = sc.datasets.fetch_kriegeskorte92(folder)
    return data, lite0.pooled_maps(np.asarray(data.images))


def photographs() -> Path | None:
    """The folder of the 92 images; None, and why, without SECATEUR_DATA."""
    folder = Path(os.environ.get("SECATEUR_DATA", ""))
    if (folder / "kriegeskorte92.npz").is_file():
        return folder
    print("\nThe 92 images are skipped: SECATEUR_DATA names no folder with kriegeskorte92.npz.")
    return None
