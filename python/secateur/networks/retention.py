"""What a pruned network still knows: its classification, how far folds agree on it, and where its errors go.

All of it works from the activations of the penultimate layer, computed once: they are masked or multiplied, and the
classifier is run on them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import is_integer
from ..features import Indices, Matrix, as_float64
from .network import Network, import_torch, running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .._typing import HostEmbeddingLike, NamesLike, SubsetLike

__all__ = ["accuracy", "class_indices", "confidence", "correspondence", "error_shift"]

_ROWS: Final = 256  # images at a time


def class_indices(names: NamesLike, classes: Sequence[str], mapping: Mapping[str, Any] | None = None) -> Indices:
    """Which class each name is.

    Parameters
    ----------
    names : sequence of str, length n
        Such as ``embedding.category.values``, the sub-folders that images came from.
    classes : sequence of str
        The network's, ``net.classes``: the index is the position. Capitals, dashes and underscores don't matter.
    mapping : mapping from names to classes or indices, optional
        For folders that are called otherwise, such as WordNet ids. What it doesn't name is looked up in ``classes``.

    Returns
    -------
    (n,) ndarray of int64

    Raises
    ------
    ValueError
        Where a name is no class, or stands for two of them (ImageNet has two cranes and two maillots).

    Examples
    --------
    >>> class_indices(["Great_Dane", "n02123045"], ["tabby", "Great Dane"], {"n02123045": "tabby"})
    array([1, 0])
    """

    def plain(name: Any) -> str:
        return str(name).lower().replace("_", " ").replace("-", " ").strip()

    where: dict[str, list[int]] = {}
    for i, one in enumerate(classes):
        where.setdefault(plain(one), []).append(i)
    indices = []
    for name in map(str, names):
        given = name if mapping is None else mapping.get(name, name)
        if is_integer(given):
            if not 0 <= given < len(classes):
                raise ValueError(f"mapping must hold classes from 0 to {len(classes) - 1}, got {given} for {name!r}")
            indices.append(int(given))
            continue
        found = where.get(plain(given), [])
        if len(found) != 1:
            what = "none" if not found else f"{len(found)} classes, {found}"
            raise ValueError(f"names must each be one class, got {given!r}, which is {what}: pass it in mapping")
        indices.append(found[0])
    return np.array(indices, dtype=np.int64)


def accuracy(
    net: Network,
    embedding: HostEmbeddingLike,
    truth: ArrayLike | Mapping[str, str | int] | None = None,
    versions: SubsetLike | Mapping[str, SubsetLike] | None = None,
) -> xarray.Dataset:
    """Classification by the full, the pruned and the reweighted network, without any training.

    Parameters
    ----------
    net : Network
        With a classifier.
    embedding : (n, d) DataArray or array
        Its penultimate activations, from :func:`secateur.networks.embed`.
    truth : (n,) int array, or mapping of folder names to classes, optional
        The class of each image; by default it is found from the embedding's ``category`` by :func:`class_indices`.
    versions : mapping of names to masks or weights, or masks alone, optional
        What features are kept (bool) or multiplied by (float): (d,), or (F, d) for F folds, such as
        ``result.kept[0]`` of :func:`secateur.cross_validate`. Masks alone are called "pruned". "full" is always there.
        Or an embedding (DataArray with a dim ``stimulus``) of the same images by a network whose parts were pruned
        (:func:`secateur.networks.pruned.apply`), which ``net``'s classifier reads as it reads its own.

    Returns
    -------
    xarray.Dataset, dims (version, fold[, stimulus])
        ``top1``, ``top5``: share of images whose true class is first, or among the first five. ``rank`` (stimulus): how
        many classes are before the true one; equal logits go by the class's index. ``predicted`` (stimulus): the first.

    Raises
    ------
    ValueError
        Where net has no classifier, shapes don't fit, or an image has no class.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), Figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> from secateur.networks import load
    >>> net = load("resnet18", weights=None)
    >>> embedding = np.random.default_rng(0).random((8, 512))
    >>> kept = np.arange(512) < 256
    >>> accuracy(net, embedding, np.arange(8), {"pruned": kept}).top5.dims
    ('version', 'fold')
    """
    values, names = _activations(net, embedding)
    others = _embeddings(versions, values, names)
    masks = (
        {name: one for name, one in versions.items() if name not in others} if isinstance(versions, Mapping) else None
    )
    factors = _factors(versions if masks is None else masks, values.shape[1])
    factors |= {name: np.ones((1, values.shape[1])) for name in others}
    folds = max(len(factor) for factor in factors.values())
    known, shape = None, (len(factors), folds, len(values))
    rank, predicted = np.empty(shape, np.int64), np.empty(shape, np.int64)
    for v, (name, factor) in enumerate(factors.items()):
        for f in range(folds):
            if f and len(factor) == 1:
                rank[v, f], predicted[v, f] = rank[v, 0], predicted[v, 0]
                continue
            logits = logits_of(net, others.get(name, values) * factor[f])
            known = _truth(truth, embedding, net, len(values), logits.shape[1]) if known is None else known
            rank[v, f], predicted[v, f] = rank_of_truth(logits, known), logits.argmax(1)
    variables = {
        "top1": (("version", "fold"), (rank < 1).mean(-1)),
        "top5": (("version", "fold"), (rank < 5).mean(-1)),
        "rank": (("version", "fold", "stimulus"), rank),
        "predicted": (("version", "fold", "stimulus"), predicted),
        "truth": ("stimulus", known),
    }
    coords = {"version": list(factors), "fold": np.arange(folds), **_stimuli(names)}
    return xarray.Dataset(variables, coords, {"network": net.name, **net.provenance})


def confidence(net: Network, embedding: HostEmbeddingLike, index: int) -> Matrix:
    """How sure a network is that images are of a class: its softmax probability.

    Parameters
    ----------
    net : Network
        With a classifier.
    embedding : (n, d) DataArray or array
        Its penultimate activations.
    index : int
        The class.

    Returns
    -------
    (n,) ndarray of float64
        The largest is the class's best exemplar.

    Raises
    ------
    ValueError
        Where net has no classifier, or shapes don't fit, or there is no such class.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), section 2.4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from secateur.networks import load
    >>> confidence(load("resnet18", weights=None), np.random.default_rng(0).random((4, 512)), 3).shape
    (4,)
    """
    p = _softmax(logits_of(net, _activations(net, embedding)[0]))
    if not 0 <= index < p.shape[1]:
        raise ValueError(f"index must be a class from 0 to {p.shape[1] - 1}, got {index!r}")
    return np.asarray(p[:, index])


def correspondence(net: Network, embedding: HostEmbeddingLike, supports: Mapping[str, SubsetLike]) -> xarray.Dataset:
    """How alike the class probabilities are that differently pruned networks give to the same image.

    Parameters
    ----------
    net : Network
        With a classifier.
    embedding : (n, d) DataArray or array
        Its penultimate activations.
    supports : (F, d) array of bool or float
        Masks or weights of at least two folds.

    Returns
    -------
    xarray.Dataset, dims (pair, stimulus)
        ``correlation``: Pearson between the softmax vectors of two folds, for each image; ``minimum``, ``maximum``
        and ``mean`` over pairs and images. Coordinates ``fold_a`` and ``fold_b`` (pair).

    Raises
    ------
    ValueError
        Where net has no classifier, or shapes don't fit.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), correspondence of folds.

    Examples
    --------
    >>> import numpy as np
    >>> from secateur.networks import load
    >>> rng = np.random.default_rng(0)
    >>> result = correspondence(load("resnet18", weights=None), rng.random((4, 512)), rng.random((3, 512)) < 0.5)
    >>> result.sizes["pair"]
    3
    """
    values, names = _activations(net, embedding)
    factors = _factors({"pruned": supports}, values.shape[1])["pruned"]
    if len(factors) < 2:
        raise ValueError(f"supports must hold at least two folds, got {len(factors)}")
    standard = []
    for factor in factors:
        p = _softmax(logits_of(net, values * factor))
        p -= p.mean(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):  # all classes alike: no correlation
            standard.append(p / np.sqrt((p * p).sum(axis=1, keepdims=True)))
    pairs = list(combinations(range(len(factors)), 2))
    r = np.array([(standard[a] * standard[b]).sum(axis=1) for a, b in pairs])
    variables = {"correlation": (("pair", "stimulus"), r), "minimum": r.min(), "maximum": r.max(), "mean": r.mean()}
    coords = {"fold_a": ("pair", [a for a, _ in pairs]), "fold_b": ("pair", [b for _, b in pairs]), **_stimuli(names)}
    return xarray.Dataset(variables, coords, {"network": net.name, **net.provenance})


def error_shift(
    net: Network,
    embedding: HostEmbeddingLike,
    category: NamesLike,
    truth: ArrayLike | Mapping[str, str | int] | None = None,
    versions: SubsetLike | Mapping[str, SubsetLike] | None = None,
) -> xarray.Dataset:
    """Whether substantial errors move into the category whose similarities supervised the pruning.

    An error is substantial where the true class is not among the first five.

    Parameters
    ----------
    net : Network
        With a classifier.
    embedding : (n, d) DataArray or array
        Its penultimate activations.
    category : bool mask over classes, or indices of classes
        The supervised category, such as ImageNet's animals: ``range(398)``.
    truth, versions
        As for :func:`accuracy`.

    Returns
    -------
    xarray.Dataset, dims (version, fold, place)
        ``place``: images "in" the category, by their true class, and "out" of it. ``images`` (place): how many;
        ``errors``: substantial ones; ``landed``: those whose first class is in the category; ``share``: landed /
        errors, NaN where there are none.

    Raises
    ------
    ValueError
        Where net has no classifier, shapes don't fit, or the category has no class or one that there is not.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), errors of pruned networks.

    Examples
    --------
    >>> import numpy as np
    >>> from secateur.networks import load
    >>> rng = np.random.default_rng(0)
    >>> net = load("resnet18", weights=None)
    >>> shift = error_shift(net, rng.random((20, 512)), range(398), rng.integers(1000, size=20), rng.random(512) < 0.5)
    >>> shift.share.dims, shift.share.shape
    (('version', 'fold', 'place'), (2, 1, 2))
    """
    scored = accuracy(net, embedding, truth, versions)
    count = logits_of(net, _activations(net, embedding)[0][:1]).shape[1]
    inside = np.zeros(count, dtype=bool)
    given = np.asarray(category if hasattr(category, "__array__") else list(category))
    right = given.dtype == np.bool_ and given.shape == (count,)
    if not right and not (
        given.dtype.kind in "iu" and given.ndim == 1 and given.size and 0 <= given.min() <= given.max() < count
    ):
        raise ValueError(f"category must be a mask of {count} classes, or some of their indices, got {category!r}")
    inside[given] = True
    wrong = scored["rank"].values >= 5
    landed = wrong & inside[scored["predicted"].values]
    own = inside[scored["truth"].values]
    places = np.stack([own, ~own])
    errors, lands = (np.stack([(what & place).sum(-1) for place in places], axis=-1) for what in (wrong, landed))
    share = np.divide(lands, errors, out=np.full(errors.shape, np.nan), where=errors > 0)
    dims = ("version", "fold", "place")
    variables = {
        "images": ("place", places.sum(-1)),
        "errors": (dims, errors),
        "landed": (dims, lands),
        "share": (dims, share),
    }
    coords = {"version": scored.version, "fold": scored.fold, "place": ["in", "out"]}
    return xarray.Dataset(variables, coords, scored.attrs)


def _activations(net: Network, embedding: HostEmbeddingLike) -> tuple[Matrix, tuple[str, ...] | None]:
    """Values (n, d) and names of the images."""
    if not isinstance(net, Network):
        raise TypeError(f"net must be a secateur.networks.Network, got {type(net).__name__}")
    net.part("classifier")
    values = as_float64(embedding, "embedding")
    if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"embedding must be finite, of shape (images, features), got shape {values.shape}")
    names = (
        embedding.coords["stimulus"].values if hasattr(embedding, "coords") and "stimulus" in embedding.coords else None
    )
    return values, None if names is None else tuple(map(str, names))


def _stimuli(names: tuple[str, ...] | None) -> dict[str, list[str]]:
    return {} if names is None else {"stimulus": list(names)}


def _embeddings(versions: Any, values: Matrix, names: tuple[str, ...] | None) -> dict[str, Matrix]:
    """Versions that are embeddings of the same images by other networks."""
    found: dict[str, Matrix] = {}
    for name, one in versions.items() if isinstance(versions, Mapping) else ():
        if "stimulus" not in getattr(one, "dims", ()):
            continue
        own = as_float64(one, f"versions[{name!r}]")
        if own.shape != values.shape or not np.isfinite(own).all():
            raise ValueError(f"versions[{name!r}] must be finite, of shape {values.shape}, got shape {own.shape}")
        if names is not None and "stimulus" in one.coords and tuple(map(str, one["stimulus"].values)) != names:
            raise ValueError(f"versions[{name!r}] must be of the embedding's images, in their order, got others")
        found[str(name)] = own
    return found


def _factors(versions: Any, d: int) -> dict[str, Matrix]:
    """Multipliers (F, d) of each version, as many folds in all or one."""
    named = versions if isinstance(versions, Mapping) else {} if versions is None else {"pruned": versions}
    factors = {"full": np.ones((1, d))}
    for name, version in named.items():
        factor = np.atleast_2d(as_float64(version, f"versions[{name!r}]"))
        if factor.ndim != 2 or factor.shape[1] != d or not len(factor) or not np.isfinite(factor).all():
            raise ValueError(
                f"versions[{name!r}] must be finite, of shape ({d},) or (folds, {d}), got shape {np.shape(version)}"
            )
        factors[str(name)] = factor
    folds = {len(factor) for factor in factors.values()} - {1}
    if len(folds) > 1:
        raise ValueError(f"versions must have as many folds each, or one, got {sorted(folds)}")
    return factors


def logits_of(net: Network, values: Matrix) -> Matrix:
    torch = import_torch()
    rows = []
    with running():
        for start in range(0, len(values), _ROWS):
            batch = torch.from_numpy(np.asarray(values[start : start + _ROWS], dtype=np.float32)).to(net.device)
            try:
                rows.append(net.classifier(batch).double().cpu().numpy())
            except RuntimeError as error:
                if "shape" not in str(error) and "size" not in str(error):
                    raise
                raise ValueError(
                    f"embedding must be the penultimate layer of {net.name}, got {values.shape[1]} features, which its "
                    "classifier does not take"
                ) from error
    return np.concatenate(rows)


def _softmax(logits: Matrix) -> Matrix:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def rank_of_truth(logits: Matrix, truth: Indices) -> npt.NDArray[np.int64]:
    """How many classes come before the true one; of equal ones those of a smaller index."""
    own = logits[np.arange(len(logits)), truth][:, None]
    earlier = np.arange(logits.shape[1]) < truth[:, None]
    return np.asarray(((logits > own) | ((logits == own) & earlier)).sum(axis=1))


def _truth(
    truth: ArrayLike | Mapping[str, str | int] | None, embedding: HostEmbeddingLike, net: Network, n: int, count: int
) -> Indices:
    if truth is None or isinstance(truth, Mapping):
        if not hasattr(embedding, "coords") or "category" not in embedding.coords:
            raise ValueError(
                "truth must be given where the embedding has no category, got none: images from sub-folders do"
            )
        classes = net.classes if net.classes is not None else [str(i) for i in range(count)]
        return class_indices(embedding.coords["category"].values, classes, truth)
    indices = np.asarray(truth)
    if indices.dtype.kind not in "iu" or indices.shape != (n,) or not (0 <= indices.min() <= indices.max() < count):
        raise ValueError(f"truth must be {n} classes from 0 to {count - 1}, got {truth!r}"[:200])
    return indices.astype(np.int64)
