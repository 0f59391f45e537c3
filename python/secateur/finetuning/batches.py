"""What is learnt, in batches: images or pairs, their dissimilarities, and the loss of a batch.

A pair of images goes through one network twice, so the pair's loss needs the features of both. A batch of m images
gives m (m - 1) / 2 pairs from m forward passes; a batch of as many pairs, as the paper draws them, needs m (m - 1)
passes for the same gradient in expectation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import is_integer
from ..features import Indices, Matrix
from ..networks.images import Images, read_images
from ..pairs import pair_count
from ..provenance import digest
from ..targets import Targets, read_target
from ..validation import split

if TYPE_CHECKING:
    import torch


__all__ = ["Task", "image_batches", "joined", "pair_loss", "read_sets", "task_of"]


@dataclass(frozen=True)
class Task:
    """What is to be learnt: all images in a row, and the dissimilarities of pairs that may be used.

    Attributes
    ----------
    d, w : (N, N) float64
        Dissimilarities, and weights: 0 across sets, for missing pairs and where an image is held out.
    train : (n,) int64
        Images that are trained on.
    held : list of (images, Targets)
        Held-out images of each set.
    """

    names: tuple[str, ...]
    d: Matrix
    w: Matrix
    train: Indices
    held: tuple[tuple[Indices, Targets], ...]

    def digest(self) -> str:
        return digest(self.d, self.w, self.train, *(part for at, target in self.held for part in (at, target.values)))


def pair_loss(kind: str, r: torch.Tensor, target: torch.Tensor, w: torch.Tensor, total: float) -> torch.Tensor:
    """Loss of a batch of pairs; None where it says nothing.

    ``total`` is the weight that a batch of this size has in expectation, so that the mean squared difference is
    unbiased: its expectation is that of all pairs, also where batches hold different numbers of pairs that count.
    """
    if kind == "mse":
        return (w * (1 - r - target) ** 2).sum() / total
    used = w > 0
    r, target, w = r[used], target[used], w[used]
    d = (1 - r) - (w * (1 - r)).sum() / w.sum()
    target = target - (w * target).sum() / w.sum()
    scale = (w * target**2).sum()
    if len(target) < 3 or not scale > 0:
        return None
    return 1 - (w * d * target).sum() / ((w * d**2).sum() * scale).sqrt().clamp_min(1e-12)


def image_batches(train: Indices, pairs: int, batch: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Batches of images that hold as many pairs as asked for, in expectation; the images in a new order each round."""
    n = len(train)
    expected = batch * n * (n - 1) / max(pairs, 1)
    m = int(np.clip(round((1 + (1 + 4 * expected) ** 0.5) / 2), 2, n))
    while True:
        yield from np.array_split(rng.permutation(train), max(n // m, 1))


def read_sets(images: Any, rdms: Any) -> list[tuple[Images, Targets]]:
    """Image sets and their matrices."""
    several = isinstance(rdms, (list, tuple)) and all(hasattr(r, "__array__") or hasattr(r, "n_cond") for r in rdms)
    if several and (not isinstance(images, (list, tuple)) or len(images) != len(rdms)):
        count = len(images) if isinstance(images, (list, tuple)) else 1
        raise ValueError(f"images must be a list of as many sets as rdms, got {count} sets and {len(rdms)} matrices")
    sets = []
    for one, rdm in zip(images, rdms, strict=True) if several else [(images, rdms)]:
        shown = read_images(one)
        n = len(shown)
        shape = np.shape(getattr(rdm, "dissimilarities", rdm))
        target = None
        if shape in ((n, n), (pair_count(n),), (1, n, n), (1, pair_count(n))):
            names = shown.names if shown.named else None
            target = read_target(rdm, n, "dissimilarity", stimuli=names)
        if target is None:
            raise ValueError(
                f"rdms must be of shape ({n}, {n}) or ({pair_count(n)},) for {n} images, got {shape}: several matrices "
                "are averaged by secateur.targets.average"
            )
        if target.kind != "dissimilarity":
            raise ValueError("rdms must be dissimilarities, got similarities: pass 1 - similarity")
        sets.append((shown, target))
    return sets


def joined(sets: Sequence[Images]) -> Images:
    """All sets as one."""
    if len(sets) == 1:
        return sets[0]
    names = tuple(f"set {s}: {name}" for s, one in enumerate(sets) for name in one.names)
    return Images(names, None, (), tuple(source for one in sets for source in one.sources))


def task_of(sets: Sequence[tuple[Any, Targets]], validation: Any, seed: int) -> Task:
    """What is trained on and what is held out; ``sets`` are images, or their names, with a matrix each."""
    sizes = [target.n for _, target in sets]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    d, w = np.zeros((2, starts[-1], starts[-1]))
    names = [name for one, _ in sets for name in getattr(one, "names", one)]
    train, held = [], []
    for s, (_, target) in enumerate(sets):
        at, n = starts[s], target.n
        learnt, apart = _held_out(validation, s, n, len(sets), seed)
        rows, columns = at + np.stack(np.triu_indices(n, 1))
        weight = (
            np.ones(len(rows))
            if target.weights is None or target.weight_of is None
            else target.weights[target.weight_of[0]]
        )
        d[rows, columns] = d[columns, rows] = -target.values[0]
        w[rows, columns] = w[columns, rows] = weight
        train.append(at + learnt)
        if len(apart):
            held.append((at + apart, target.among(apart)))
    learnt = np.concatenate(train)
    if not w[np.ix_(learnt, learnt)].any():
        raise ValueError("rdms must have pairs among the training images, got none")
    return Task(tuple(map(str, names)), d, w, learnt, tuple(held))


def _held_out(validation: Any, s: int, n: int, sets: int, seed: int) -> tuple[Indices, Indices]:
    """Training and held-out images of one set."""
    everyone = np.arange(n, dtype=np.int64)
    if validation is None:
        return everyone, everyone[:0]
    if is_integer(validation):
        if validation < 2 or n < 3 * validation:
            raise ValueError(
                f"validation must be from 2 to {n // 3} folds of {n} images, so that each has 3, or None, "
                f"got {validation}"
            )
        return split(n, int(validation), seed=seed)[0][0]
    given = validation if sets > 1 else [validation]
    if len(given) != sets:
        raise ValueError(f"validation must list the held-out images of each of {sets} sets, got {len(given)}")
    chosen = np.asarray(given[s])
    apart = np.isin(everyone, np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen)
    return split(n, [(~apart, apart)])[0][0]
