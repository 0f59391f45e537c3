"""Siamese dissimilarity learning: a network is fine-tuned until 1 - Pearson of its features is an observed RDM.

The line of modules (:mod:`secateur.networks.steps`) is cut before the first one that learns: what comes before is
computed once for all images. Batch normalisation and dropout are in evaluation mode throughout, unless ``train_mode``
is set.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import xarray

from ..arguments import check_integer
from ..atomic import whole_file
from ..features import Matrix
from ..measures import check_comparator
from ..networks import architectures
from ..networks.extraction import embed, fingerprint
from ..networks.network import Network, import_torch
from ..networks.steps import Steps, correlations
from ..problem import compare_where_defined
from ..progress import bar, with_progress
from ..provenance import digest
from ..similarity import similarity
from .batches import Task, image_batches, joined, pair_loss, read_sets, task_of
from .checkpoint import Checkpoint, Progress
from .trainable import TrainableNetwork, TrainingError, with_size, within_memory

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike

    from .._typing import ImagesLike, MatricesLike
    from ..measures import ComparatorOrAlias

__all__ = ["PRESETS", "DissimilarityTrainer"]

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "meg_early": {"net": "alexnet", "layer": "relu4", "freeze": "from conv5", "batch": 16, "epochs": 164},
        "meg_late": {"net": "vgg16", "layer": "fc7", "freeze": None, "batch": 16, "epochs": 13},
        "fmri_early": {"net": "alexnet", "layer": "relu3", "freeze": "from conv5", "batch": 32, "epochs": 250},
        "fmri_late": {"net": "vgg16", "layer": "fc7", "freeze": "up to conv5_2", "batch": 32, "epochs": 116},
    }
)
"""The four networks of Agrawal (2019). Its Methods give the network, what is frozen, and the pairs in a batch (learning
rate 0.005); its Results the layers by MatConvNet's numbers, AlexNet's 12 and 10 and VGG-16's 34, which are relu4, relu3
and fc7 (before its ReLU), and the epochs that matched best, which are the last here."""


class DissimilarityTrainer:
    """Fine-tunes a network so that 1 - Pearson of two images' features is their observed dissimilarity.

    Parameters
    ----------
    net : Network
        From :func:`secateur.networks.load` or :func:`secateur.networks.wrap`, with trunk and neck. It is copied, not
        changed.
    layer : str
        Whose features are correlated in training: ``"penultimate"``, ``"last_conv"``, ``"final"``, a module's name
        that is a step of the network, or in AlexNet and VGGs the papers' names, such as ``"conv5_2"`` or ``"fc7"``.
    freeze : str, sequence of str, or None
        What does not learn: ``"from conv5"`` (it and what comes after), ``"up to conv5_2"`` (what comes before, and
        it), or names of modules. Steps before the first that learns are computed once.
    lr, momentum : float
        Of stochastic gradient descent.
    batch : int
        Pairs in a step: drawn as they are, or those among as many images as give that number in expectation.
    epochs : int
        As many steps each as there are batches in the training pairs.
    form : {"images", "pairs"}
        Batches of images with all their pairs, or the paper's batches of pairs.
    loss : {"mse", "correlation"}
        Mean squared difference of dissimilarities, or 1 - Pearson's r over the pairs of a batch (no matter of scale).
    validation : int, list of indices, or None
        What :meth:`fit` holds out to choose layer and epoch: one of so many folds of each set's images; the held-out
        images of each set (of one set: its indices); or nothing, so that the last epoch is kept.
    layers : sequence of str, optional
        The layers that are scored on the held-out pairs after every epoch; by default all from the first that learns.
    comparator : Comparator
        Of scores, as in :func:`secateur.alignment`.
    patience : int, optional
        Stop after so many epochs without a better score.
    size : int, optional
        Side in pixels to which images are stretched, nothing cut off; by default as the network's preprocessing says.
    train_mode : bool
        Whether what learns is in training mode: batch normalisation by the batch, dropout. Scores are always taken in
        evaluation mode.
    precision : {"float32", "bfloat16"}
        Of the forward passes in training (automatic mixed precision); correlations stay in float32.
    device : str
        ``"cpu"``, ``"cuda"``, ``"auto"``; where the network is, by default.
    seed : int
        Of batches and of the held-out fold.

    Attributes
    ----------
    network_ : Network
        With the weights of the best epoch.
    layer_, epoch_ : str, int
        The best by held-out alignment (epoch 0 is the network as it came); without validation, ``layer`` and the last.
    history_ : xarray.Dataset
        ``loss`` (epoch), ``alignment`` and ``undefined_pairs`` (epoch, layer), means and sums over sets.

    References
    ----------
    Agrawal (2019), Dissimilarity learning via Siamese network predicts brain imaging data.

    Examples
    --------
    >>> from secateur.networks import load
    >>> rng = np.random.default_rng(0)
    >>> photographs = rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    >>> net = load("squeezenet1_1", weights=None)
    >>> trainer = DissimilarityTrainer(net, freeze="up to features.11", epochs=2, validation=3, size=32)
    >>> trainer.fit(photographs, rng.random(66)).history_.sizes["epoch"]
    3
    >>> trainer.rdm(photographs).shape
    (66,)
    """

    network_: Network
    layer_: str
    epoch_: int
    history_: xarray.Dataset

    def __init__(
        self,
        net: Network,
        layer: str = "penultimate",
        *,
        freeze: str | Sequence[str] | None = None,
        lr: float = 0.005,
        momentum: float = 0.0,
        batch: int = 32,
        epochs: int = 20,
        form: str = "images",
        loss: str = "mse",
        validation: int | ArrayLike | Sequence[ArrayLike] | None = 5,
        layers: Sequence[str] | None = None,
        comparator: ComparatorOrAlias = "pearson",
        patience: int | None = None,
        size: int | None = None,
        train_mode: bool = False,
        precision: Literal["float32", "bfloat16"] = "float32",
        device: str | torch.device | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net must be a secateur.networks.Network, got {type(net).__name__}")
        for name, value, known in (
            ("form", form, ("images", "pairs")),
            ("loss", loss, ("mse", "correlation")),
            ("precision", precision, ("float32", "bfloat16")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be {known[0]!r} or {known[1]!r}, got {value!r}")
        check_integer("batch", batch, 3 if loss == "correlation" else 1)
        check_integer("epochs", epochs, 1)
        check_integer("patience", patience, 1, optional=True)
        check_integer("size", size, 1, optional=True)
        check_integer("seed", seed, 0)
        if not lr > 0 or not np.isfinite(lr) or not 0 <= momentum < 1:
            raise ValueError(f"lr must be positive and momentum from 0 to below 1, got {lr} and {momentum}")
        self.net, self.layer, self.freeze, self.lr, self.momentum = net, layer, freeze, float(lr), float(momentum)
        self.batch, self.epochs, self.form, self.loss = int(batch), int(epochs), form, loss
        self.validation, self.layers, self.comparator = validation, layers, check_comparator(comparator)
        self.patience, self.size, self.train_mode, self.precision = patience, size, bool(train_mode), precision
        self.device, self.seed = device, int(seed)
        TrainableNetwork(self, copied=False)  # names are checked before anything is computed

    @classmethod
    def preset(cls, name: str, net: Network | None = None, **changes: Any) -> DissimilarityTrainer:
        """A trainer as the paper had it.

        Parameters
        ----------
        name : {"meg_early", "meg_late", "fmri_early", "fmri_late"}
            A row of ``PRESETS``: AlexNet for early responses, VGG-16 for late ones; batches of pairs; targets by
            :func:`secateur.targets.average` (MEG: as it is by default; fMRI: ``rescale=None``).
        net : Network, optional
            That architecture with other weights than the published ones, which are loaded by default.
        **changes
            Of any parameter, such as ``form="images"``.

        Returns
        -------
        DissimilarityTrainer

        Raises
        ------
        ValueError
            Where there is no such preset, or ``net`` is of another architecture.
        """
        if name not in PRESETS:
            raise ValueError(f"name must be one of {', '.join(PRESETS)}, got {name!r}")
        settings = dict(PRESETS[name])
        wanted = settings.pop("net")
        net = architectures.load(wanted) if net is None else net
        if not net.name.startswith(wanted):
            raise ValueError(f"net must be {wanted} for {name}, got {net.name!r}")
        return cls(net, **{"form": "pairs", "lr": 0.005, **settings, **changes})

    def fit(
        self,
        images: ImagesLike | Sequence[ImagesLike],
        rdms: MatricesLike | Sequence[MatricesLike],
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> DissimilarityTrainer:
        """Train, and keep the epoch whose held-out alignment is best.

        Parameters
        ----------
        images : folder, paths, PIL images, arrays or Images; or a list of such sets
            Anything that :func:`secateur.networks.read_images` takes.
        rdms : (n, n) or (P,) array, DataArray or rsatoolbox RDMs; or a list of such, one a set
            Dissimilarities, one matrix a set; NaN: the pair is not used. Pairs never cross sets. With the loss
            ``"mse"`` they should lie in the range of 1 - r, 0 to 2: see :func:`secateur.targets.average`.
        checkpoint : path, optional
            A file that is written after every epoch, whole or not at all. Where it is there already, the training goes
            on from it, on the CPU to the same bits; one of another training is refused.
        progress : bool
            Whether a progress bar may show, once two seconds have passed.

        Returns
        -------
        DissimilarityTrainer
            Itself.

        Raises
        ------
        ValueError
            Where matrices don't fit the images, or the checkpoint is of another training.
        TrainingError
            Where the loss is no number, features of an image are constant, or memory is short. What was best until
            then is in ``network_`` and in the checkpoint.
        """
        line = TrainableNetwork(self)
        sets = read_sets(images, rdms)
        together = joined([one for one, _ in sets])
        task = task_of(sets, self.validation, self.seed)
        with within_memory(self.batch):
            start = line.steps.start(
                together, line.cut, lambda them: with_progress(them, len(them), "images", progress)
            )
        recipe = together.digest_of_all()
        file = None if checkpoint is None else Checkpoint(Path(checkpoint), f"{self._recipe(task)} {recipe}")
        return self.train(line, start, task, file, progress)

    def _recipe(self, task: Task) -> str:
        """All that a training depends on but images and the number of epochs."""
        terms = ["layer", "freeze", "lr", "momentum", "batch", "form", "loss", "layers", "comparator", "size"]
        terms += ["train_mode", "precision", "seed"]
        message = json.dumps({name: getattr(self, name) for name in terms}, sort_keys=True, default=list)
        return digest(f"{message} {fingerprint(self.net)} {task.digest()}")

    def train(
        self, line: TrainableNetwork, start: torch.Tensor, task: Task, file: Checkpoint | None, progress: bool
    ) -> DissimilarityTrainer:
        """The training itself, of what :meth:`fit` has prepared.

        Parameters
        ----------
        line : TrainableNetwork
            The copy that learns.
        start : tensor
            The answers to all images of what comes before it.
        task : Task
            What is learnt.
        file : Checkpoint or None
            Where the training is kept.
        progress : bool
            Whether a progress bar may show.

        Returns
        -------
        DissimilarityTrainer
            Itself.
        """
        torch = import_torch()
        optimiser = torch.optim.SGD(line.learning, lr=self.lr, momentum=self.momentum)
        rng = np.random.default_rng(self.seed)
        at = Progress()
        if file is not None and file.path.exists():
            at = file.read(line, optimiser, rng)
        if not at.alignment:
            with within_memory(self.batch):
                self._score(line, start, task, at)
        try:
            with bar(self.epochs, "epochs", progress, at.epoch) as shown:
                while at.epoch < self.epochs and not self._stale(at):
                    with within_memory(self.batch):
                        at.loss.append(self._epoch(line, start, task, optimiser, rng))
                        at.epoch += 1
                        self._score(line, start, task, at)
                    if file is not None:
                        file.write(line, optimiser, rng, at)
                    shown.set_postfix_str(_told(at), refresh=False)
                    shown.update()
        except TrainingError as error:
            self._finish(line, task, at)
            raise TrainingError(f"{error}; the network of epoch {self.epoch_} is kept") from error
        return self._finish(line, task, at)

    def _stale(self, at: Progress) -> bool:
        return self.patience is not None and at.best is not None and at.epoch - at.best[0] >= self.patience

    def _epoch(
        self,
        line: TrainableNetwork,
        start: torch.Tensor,
        task: Task,
        optimiser: torch.optim.Optimizer,
        rng: np.random.Generator,
    ) -> float:
        """One epoch's steps; the mean of their losses."""
        torch = import_torch()
        n, place = len(task.train), line.steps.net.device
        pairs = np.stack(np.triu_indices(n, 1))
        weight = task.w[task.train[pairs[0]], task.train[pairs[1]]]
        pairs, weight = task.train[pairs[:, weight > 0]], weight[weight > 0]
        steps = -(-len(weight) // self.batch)
        drawn = image_batches(task.train, len(weight), self.batch, rng)
        order = rng.permutation(len(weight))
        seed = int(rng.integers(2**63))
        total = 0.0
        devices = [place] if place.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), line.training(self.train_mode):
            torch.manual_seed(seed)
            for step in range(steps):
                if self.form == "images":
                    chosen = next(drawn)
                    m = len(chosen)
                    a, b = np.triu_indices(m, 1)
                    share = m * (m - 1) / (n * (n - 1))
                    first, second = chosen[a], chosen[b]
                else:
                    at = order[step * self.batch : (step + 1) * self.batch]
                    first, second = pairs[:, at]
                    chosen = np.concatenate([first, second])
                    a, b = np.arange(len(at)), np.arange(len(at)) + len(at)
                    share = len(at) / len(weight)
                w = task.w[first, second]
                if not w.any():
                    continue
                target, w = (torch.from_numpy(v).float().to(place) for v in (task.d[first, second], w))
                with torch.autocast(place.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                    features = line.steps.run(start[chosen].to(place), line.cut, line.last)
                rows = line.rows(features, [task.names[i] for i in chosen])
                r = rows @ rows.T if self.form == "images" else (rows[a] * rows[b]).sum(1)
                r = r[a, b] if self.form == "images" else r
                loss = pair_loss(self.loss, r, target, w, share * float(weight.sum()))
                if loss is None:
                    continue
                if not torch.isfinite(loss):
                    raise TrainingError(f"loss must stay a number, got {loss.item()}: lower lr ({self.lr})")
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += float(loss.detach()) / steps
        return total

    def _score(self, line: TrainableNetwork, start: torch.Tensor, task: Task, at: Progress) -> None:
        """Held-out alignment of every layer; what is best is kept."""
        scores, undefined = np.full((2, max(len(task.held), 1), len(line.scored)), np.nan)
        wanted = list(line.scored.values())
        for s, (stimuli, target) in enumerate(task.held):
            for step, pieces in line.steps.walk(start, stimuli, line.cut, wanted):
                space = correlations(pieces)
                found, left_out = compare_where_defined(space, target, self.comparator, 1, "correlation")
                for k, where in enumerate(wanted):
                    if where == step:
                        scores[s, k], undefined[s, k] = found[0], left_out[0]
        mean = scores.mean(axis=0)
        at.alignment.append(mean.tolist())
        at.undefined.append(np.nan_to_num(undefined.sum(axis=0)).astype(int).tolist())
        if not task.held:
            at.kept, at.best = line.state(), None
        elif not np.isnan(mean).all():
            k = int(np.nanargmax(mean))
            if at.best is None or mean[k] > at.alignment[at.best[0]][at.best[1]]:
                at.best, at.kept = (at.epoch, k), line.state()
        if not at.kept:  # no score is defined yet
            at.kept = line.state()

    def _finish(self, line: TrainableNetwork, task: Task, at: Progress) -> DissimilarityTrainer:
        names = list(line.scored)
        self.epoch_, self.layer_ = (at.epoch, self.layer) if at.best is None else (at.best[0], names[at.best[1]])
        line.restore(at.kept)
        message = (
            f"{self.layer_}, epoch {self.epoch_} of {at.epoch}, {self.loss}, lr {self.lr}, {len(task.train)} images"
        )
        provenance = {**self.net.provenance, "fine-tuned": message}
        self.network_ = replace(line.steps.net, provenance=provenance)
        count = int((task.w[np.ix_(task.train, task.train)] > 0).sum()) // 2
        variables = {
            "loss": ("epoch", [np.nan, *at.loss[: len(at.alignment) - 1]]),
            "alignment": (("epoch", "layer"), np.array(at.alignment)),
            "undefined_pairs": (("epoch", "layer"), np.array(at.undefined)),
        }
        coords = {"epoch": np.arange(len(at.alignment)), "layer": names}
        attrs = {
            "network": self.net.name, "layer": self.layer, "best_layer": self.layer_, "best_epoch": self.epoch_,
            "comparator": self.comparator, "freeze": self.freeze or "", "loss": self.loss, "lr": self.lr,
            "momentum": self.momentum, "batch": self.batch, "form": self.form,
            "training_images": len(task.train), "training_pairs": count, "seed": self.seed,
            "held_out_images": sum(len(one) for one, _ in task.held),
        }  # fmt: skip
        self.history_ = xarray.Dataset(variables, coords, attrs)
        return self

    def features(
        self, images: ImagesLike, layer: str | None = None, size: int | None = None, *, progress: bool = True
    ) -> xarray.DataArray:
        """What the fine-tuned network answers to images; before :meth:`fit`, the network as it came.

        Parameters
        ----------
        images : as for :meth:`fit`
            One set.
        layer : str, optional
            ``layer_`` by default; before :meth:`fit`, ``layer``.
        size : int, optional
            Side in pixels, such as the paper's 300 for test images; by default as in training.
        progress : bool
            Whether a progress bar may show, once two seconds have passed.

        Returns
        -------
        xarray.DataArray, dims (stimulus, feature)
            As :func:`secateur.networks.embed` gives it, so that it can be pruned.
        """
        net = getattr(self, "network_", None) or with_size(self.net, self.size)
        steps = Steps(net)
        name = steps.names[steps.find(str(layer or getattr(self, "layer_", self.layer)))]
        return embed(with_size(net, size), images, str(name), device=self.device, progress=progress)

    def rdm(self, images: ImagesLike, layer: str | None = None, size: int | None = None) -> Matrix:
        """1 - Pearson of every two images' features.

        Parameters
        ----------
        images, layer, size
            As for :meth:`features`.

        Returns
        -------
        (P,) float64
            In ``numpy.triu_indices`` order; NaN for an image with constant features.
        """
        return np.asarray(1 - similarity(self.features(images, layer, size).values, "correlation"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fine-tuned weights, whole or not at all.

        Parameters
        ----------
        path : str or path
            Usually ``.pt``. :func:`secateur.networks.load` takes it as ``weights=``.
        """
        if not hasattr(self, "network_"):
            raise ValueError("the trainer must be fitted before its network is saved: call fit(images, rdms)")
        content = {"state_dict": self.network_.module.state_dict(), "layer": self.layer_, "size": self.size}
        with whole_file(Path(path)) as draft:
            import_torch().save({**content, "provenance": dict(self.network_.provenance)}, draft)


def _told(at: Progress) -> str:
    """Loss and best held-out alignment of the last epoch, for the bar."""
    last = [value for value in at.alignment[-1] if not np.isnan(value)]
    return f"loss {at.loss[-1]:.4f}" + (f", held out {max(last):.3f}" if last else "")
