"""Siamese dissimilarity learning: a network is fine-tuned until 1 - Pearson of its features is an observed RDM.

A pair of images goes through one network twice, so the pair's loss needs the features of both. A batch of m images
gives m (m - 1) / 2 pairs from m forward passes; a batch of as many pairs, as the paper draws them, needs m (m - 1)
passes for the same gradient in expectation.

The line of modules (:mod:`secateur.networks.steps`) is cut before the first one that learns: what comes before is
computed once for all images. Batch normalisation and dropout are in evaluation mode throughout, unless ``train_mode``
is set.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..arguments import check_integer, is_integer
from ..atomic import whole_file
from ..features import Indices, Matrix
from ..measures import check_comparator
from ..networks import architectures
from ..networks.extraction import embed, fingerprint
from ..networks.images import Images, read_images
from ..networks.network import Network, find_device, import_torch
from ..networks.steps import Steps, Undefined, correlations, directions
from ..pairs import pair_count
from ..problem import compare_where_defined
from ..progress import bar, with_progress
from ..provenance import digest
from ..pruning import Pruner
from ..similarity import similarity
from ..targets import Targets, average, read_target
from ..validation import split

if TYPE_CHECKING:
    import xarray

__all__ = ["PRESETS", "DissimilarityTrainer", "FineTuned", "TrainingError"]

_FORMAT: Final = "secateur fine-tuning 1"

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


class TrainingError(RuntimeError):
    """A training that can't go on: its loss, a feature, or memory. The best network so far is kept."""


@dataclass(frozen=True)
class _Task:
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
        return digest(self.d, self.w, self.train, *(part for at, goal in self.held for part in (at, goal.values)))


@dataclass
class _Progress:
    """Where a training stands; all of it is in a checkpoint."""

    epoch: int = 0
    loss: list[float] = field(default_factory=list)
    alignment: list[list[float]] = field(default_factory=list)
    undefined: list[list[int]] = field(default_factory=list)
    best: tuple[int, int] | None = None
    """Epoch and layer, by position."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What learns, as it was at the best epoch."""


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
    comparator : str
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
        validation: Any = 5,
        layers: Sequence[str] | None = None,
        comparator: str = "pearson",
        patience: int | None = None,
        size: int | None = None,
        train_mode: bool = False,
        precision: str = "float32",
        device: Any = None,
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
        _Line(self, copied=False)  # names are checked before anything is computed

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
        images: Any,
        rdms: Any,
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
        line = _Line(self)
        sets = _read_sets(images, rdms)
        together = _joined([one for one, _ in sets])
        task = _task(sets, self.validation, self.seed)
        with _memory(self.batch):
            start = line.steps.start(
                together, line.cut, lambda them: with_progress(them, len(them), "images", progress)
            )
        recipe = together.digest_of_all()
        file = None if checkpoint is None else _Checkpoint(Path(checkpoint), f"{self._recipe(task)} {recipe}")
        return self._train(line, start, task, file, progress)

    def _recipe(self, task: _Task) -> str:
        """All that a training depends on but images and the number of epochs."""
        terms = ["layer", "freeze", "lr", "momentum", "batch", "form", "loss", "layers", "comparator", "size"]
        terms += ["train_mode", "precision", "seed"]
        told = json.dumps({name: getattr(self, name) for name in terms}, sort_keys=True, default=list)
        return digest(f"{told} {fingerprint(self.net)} {task.digest()}")

    def _train(
        self, line: _Line, start: Any, task: _Task, file: _Checkpoint | None, progress: bool
    ) -> DissimilarityTrainer:
        torch = import_torch()
        optimiser = torch.optim.SGD(line.learning, lr=self.lr, momentum=self.momentum)
        rng = np.random.default_rng(self.seed)
        at = _Progress()
        if file is not None and file.path.exists():
            at = file.read(line, optimiser, rng)
        if not at.alignment:
            with _memory(self.batch):
                self._score(line, start, task, at)
        try:
            with bar(self.epochs, "epochs", progress, at.epoch) as shown:
                while at.epoch < self.epochs and not self._stale(at):
                    with _memory(self.batch):
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

    def _stale(self, at: _Progress) -> bool:
        return self.patience is not None and at.best is not None and at.epoch - at.best[0] >= self.patience

    def _epoch(self, line: _Line, start: Any, task: _Task, optimiser: Any, rng: np.random.Generator) -> float:
        """One epoch's steps; the mean of their losses."""
        torch = import_torch()
        n, place = len(task.train), line.steps.net.device
        pairs = np.stack(np.triu_indices(n, 1))
        weight = task.w[task.train[pairs[0]], task.train[pairs[1]]]
        pairs, weight = task.train[pairs[:, weight > 0]], weight[weight > 0]
        steps = -(-len(weight) // self.batch)
        drawn = _image_batches(task.train, len(weight), self.batch, rng)
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
                goal, w = (torch.from_numpy(v).float().to(place) for v in (task.d[first, second], w))
                with torch.autocast(place.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                    features = line.steps.run(start[chosen].to(place), line.cut, line.last)
                rows = line.rows(features, [task.names[i] for i in chosen])
                r = rows @ rows.T if self.form == "images" else (rows[a] * rows[b]).sum(1)
                r = r[a, b] if self.form == "images" else r
                loss = pair_loss(self.loss, r, goal, w, share * float(weight.sum()))
                if loss is None:
                    continue
                if not torch.isfinite(loss):
                    raise TrainingError(f"loss must stay a number, got {loss.item()}: lower lr ({self.lr})")
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += float(loss.detach()) / steps
        return total

    def _score(self, line: _Line, start: Any, task: _Task, at: _Progress) -> None:
        """Held-out alignment of every layer; what is best is kept."""
        scores, undefined = np.full((2, max(len(task.held), 1), len(line.scored)), np.nan)
        wanted = list(line.scored.values())
        for s, (stimuli, goal) in enumerate(task.held):
            for step, pieces in line.steps.walk(start, stimuli, line.cut, wanted):
                space = correlations(pieces)
                found, left_out = compare_where_defined(space, goal, self.comparator, 1, "correlation")
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

    def _finish(self, line: _Line, task: _Task, at: _Progress) -> DissimilarityTrainer:
        import xarray

        names = list(line.scored)
        self.epoch_, self.layer_ = (at.epoch, self.layer) if at.best is None else (at.best[0], names[at.best[1]])
        line.restore(at.kept)
        told = f"{self.layer_}, epoch {self.epoch_} of {at.epoch}, {self.loss}, lr {self.lr}, {len(task.train)} images"
        provenance = {**self.net.provenance, "fine-tuned": told}
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
        self, images: Any, layer: str | None = None, size: int | None = None, *, progress: bool = True
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
        net = getattr(self, "network_", None) or _sized(self.net, self.size)
        steps = Steps(net)
        name = steps.names[steps.find(str(layer or getattr(self, "layer_", self.layer)))]
        return embed(_sized(net, size), images, str(name), device=self.device, progress=progress)

    def rdm(self, images: Any, layer: str | None = None, size: int | None = None) -> Matrix:
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


class _Line:
    """A copy of the network in a line, with what learns in it."""

    def __init__(self, trainer: DissimilarityTrainer, copied: bool = True) -> None:
        torch = import_torch()
        net = trainer.net
        net.part("trunk"), net.part("neck")
        place = net.device if trainer.device is None else find_device(trainer.device)
        if copied:
            module, trunk, neck, classifier = copy.deepcopy((net.module, net.trunk, net.neck, net.classifier))
            net = replace(net, module=module, trunk=trunk, neck=neck, classifier=classifier)
            for part in (module, trunk, neck, classifier):
                if part is not None:
                    part.to(place)
        self.steps = Steps(_sized(net, trainer.size))
        self.layer, self.last = trainer.layer, self.steps.find(trainer.layer)
        frozen = {id(p) for p in self.steps.frozen(trainer.freeze)}
        before = [list(module.parameters()) for module in self.steps.modules[: self.last + 1]]
        free = [i for i, own in enumerate(before) if any(id(p) not in frozen for p in own)]
        if not free:
            raise ValueError(
                f"freeze must leave something to learn up to layer {trainer.layer!r}, got {trainer.freeze!r}"
            )
        self.cut = free[0]
        unique = {id(p): p for own in before for p in own if id(p) not in frozen}
        self.learning = list(unique.values())
        self.scored = self.steps.scored(self.cut, trainer.layers)
        self._all = torch.nn.ModuleList(self.steps.modules)
        self._free = set(unique)
        self._with_buffers = trainer.train_mode

    @contextmanager
    def training(self, train_mode: bool) -> Iterator[None]:
        """What learns has gradients, and is in training mode where that is wanted."""
        for p in self.learning:
            p.requires_grad_(True)
        for module in self.steps.modules[self.cut : self.last + 1] if train_mode else ():
            module.train()
        try:
            yield
        finally:
            for p in self.learning:
                p.requires_grad_(False)
            self._all.eval()

    def rows(self, features: Any, names: Sequence[str]) -> Any:
        try:
            return directions(features, names, self.layer)
        except (Undefined, FloatingPointError) as error:
            raise TrainingError(str(error)) from error

    def state(self) -> dict[str, Any]:
        """Copies of what learns."""
        found = {name: p for name, p in self._all.named_parameters() if id(p) in self._free}
        if self._with_buffers:
            found |= dict(self._all.named_buffers())
        return {name: value.detach().clone() for name, value in found.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put copies back."""
        torch = import_torch()
        own = {**dict(self._all.named_parameters()), **dict(self._all.named_buffers())}
        with torch.no_grad():
            for name, value in state.items():
                own[name].copy_(value)


@dataclass(frozen=True)
class _Checkpoint:
    """A training in a file."""

    path: Path
    recipe: str

    def write(self, line: _Line, optimiser: Any, rng: np.random.Generator, at: _Progress) -> None:
        told = json.dumps({
            "rng": rng.bit_generator.state, "epoch": at.epoch, "loss": at.loss, "alignment": at.alignment,
            "undefined": at.undefined, "best": at.best,
        })  # fmt: skip
        content = {"format": _FORMAT, "recipe": self.recipe, "progress": told, "state": line.state(), "best": at.kept}
        with whole_file(self.path) as draft:
            import_torch().save({**content, "optimiser": optimiser.state_dict()}, draft)

    def read(self, line: _Line, optimiser: Any, rng: np.random.Generator) -> _Progress:
        content = architectures.saved_by_torch(self.path)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f"checkpoint must be a training that was saved here, got {self.path.name}")
        if content["recipe"] != self.recipe:
            raise ValueError(
                f"checkpoint must be of the same images, matrices, network and settings, got {self.path.name} of "
                "others: name another file"
            )
        line.restore(content["state"])
        optimiser.load_state_dict(content["optimiser"])
        told = json.loads(content["progress"])
        rng.bit_generator.state = told["rng"]
        best = None if told["best"] is None else (int(told["best"][0]), int(told["best"][1]))
        return _Progress(told["epoch"], told["loss"], told["alignment"], told["undefined"], best, content["best"])


class FineTuned:
    """Fine-tuning as a method of :func:`secateur.compare`: in each fold a network is trained on its training images.

    Parameters
    ----------
    trainer : DissimilarityTrainer
        How; it is not fitted. Its validation is drawn among the training images of the fold (an integer, or None).
    images : as for :meth:`DissimilarityTrainer.fit`
        One set, in the order of the stimuli that are compared.
    pruner : Pruner, optional
        Prune the fine-tuned features on the training images, too; the similarity is then the pruner's.
    rescale : bool
        Whether the training target is z-scored and brought to the range of 1 - r first, as
        :func:`secateur.targets.average` does; alignments do not depend on its scale, the loss "mse" does.
    progress : bool
        Whether a progress bar may show.

    Attributes
    ----------
    n_features_ : int
        Of the last fit: features of the layer, or those kept.
    trainer_ : DissimilarityTrainer
        The last that was trained.

    Examples
    --------
    >>> import secateur as sc
    >>> from secateur.networks import embed, load
    >>> rng = np.random.default_rng(0)
    >>> photographs = rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    >>> net = load("squeezenet1_1", weights=None)
    >>> trainer = DissimilarityTrainer(net, freeze="up to features.11", epochs=1, validation=None, size=32)
    >>> tuned = FineTuned(trainer, photographs)
    >>> methods = {"full": "full", "tuned": tuned, "tuned + pruned": tuned.then(sc.Pruner("correlation"))}
    >>> X = embed(net, photographs)
    >>> sc.compare(X, rng.random(66), methods, cv=2, kind="dissimilarity").sizes["approach"]
    3
    """

    n_features_: int
    trainer_: DissimilarityTrainer

    def __init__(
        self,
        trainer: DissimilarityTrainer,
        images: Any,
        pruner: Pruner | None = None,
        *,
        rescale: bool = True,
        progress: bool = True,
    ) -> None:
        if not (trainer.validation is None or isinstance(trainer.validation, (int, np.integer))):
            raise ValueError(
                f"trainer must have a whole number of folds or None as validation, got {trainer.validation!r}"
            )
        self.trainer, self.images, self.pruner = trainer, read_images(images), pruner
        self.rescale, self.progress = rescale, progress
        self._shared = _Shared()

    def then(self, pruner: Pruner) -> FineTuned:
        """The same fine-tuning, pruned afterwards; networks that either has trained serve both.

        Parameters
        ----------
        pruner : Pruner
            What prunes the fine-tuned features.

        Returns
        -------
        FineTuned
        """
        other = copy.copy(self)
        other.pruner = pruner
        return other

    def fit_stimuli(self, stimuli: Indices, target: Matrix, weights: Matrix | None = None) -> FineTuned:
        """Train on these images.

        Parameters
        ----------
        stimuli : (n,) int64
            Their positions.
        target : (P,) float64
            Their similarities; NaN where a pair has none.
        weights : (P,) float64, optional
            Weight of each pair.

        Returns
        -------
        FineTuned
            Itself.
        """
        if stimuli.max(initial=0) >= len(self.images):
            raise ValueError(
                "images must be as many as the stimuli that are compared, got "
                f"{len(self.images)} images and stimulus {stimuli.max()}"
            )
        goal = np.asarray(target, dtype=np.float64)
        key = digest(*(part for part in (stimuli, goal, weights) if part is not None))
        self._features, self.trainer_ = self._shared.get(key, stimuli, lambda: self._train(stimuli, goal, weights))
        self._support = None
        if self.pruner is not None:
            fitted = copy.deepcopy(self.pruner).set_params(kind="similarity")
            fitted.fit(self._features[stimuli].astype(np.float64), goal)
            self._support = fitted.support_
        self.n_features_ = self._features.shape[1] if self._support is None else int(self._support.sum())
        return self

    def _train(self, stimuli: Indices, target: Matrix, weights: Matrix | None) -> tuple[Any, DissimilarityTrainer]:
        """Features of all images by the network trained on some, and its trainer."""
        trainer = copy.copy(self.trainer)
        line = _Line(trainer)
        if self._shared.start is None:
            with _memory(trainer.batch):
                self._shared.start = line.steps.start(
                    self.images, line.cut, lambda them: with_progress(them, len(them), "images", self.progress)
                )
        rdm = average(-target[None]) if self.rescale else -target
        names = tuple(self.images.names[i] for i in stimuli)
        task = _task(
            [(names, read_target(rdm, len(stimuli), "dissimilarity", weights))], trainer.validation, trainer.seed
        )
        trainer._train(line, self._shared.start[stimuli], task, None, self.progress)
        everyone = np.arange(len(self.images), dtype=np.int64)
        at = line.steps.find(trainer.layer_)
        (_, pieces), *_ = line.steps.walk(self._shared.start, everyone, line.cut, [at])
        return np.concatenate([piece.float().cpu().numpy() for piece in pieces]), trainer

    def predict_stimuli(self, stimuli: Indices) -> Matrix:
        """Similarities of these images.

        Parameters
        ----------
        stimuli : (n,) int64
            Their positions.

        Returns
        -------
        (P,) float64
            Pearson of their features, or the pruner's similarity; NaN for an image without direction.
        """
        metric = "correlation" if self.pruner is None else self.pruner.metric
        return similarity(self._features[stimuli], metric, subset=self._support)


class _Shared:
    """What the methods of one fine-tuning have in common: frozen answers, and a fold's trained features."""

    def __init__(self) -> None:
        self.start: Any = None
        self._stimuli: bytes = b""
        self._trained: dict[str, tuple[Any, DissimilarityTrainer]] = {}

    def get(self, key: str, stimuli: Indices, train: Any) -> tuple[Any, DissimilarityTrainer]:
        if self._stimuli != stimuli.tobytes():  # another fold: features of the last are not asked for again
            self._trained.clear()
            self._stimuli = stimuli.tobytes()
        if key not in self._trained:
            self._trained[key] = train()
        return self._trained[key]


def pair_loss(kind: str, r: Any, goal: Any, w: Any, total: float) -> Any:
    """Loss of a batch of pairs; None where it says nothing.

    ``total`` is the weight that a batch of this size has in expectation, so that the mean squared difference is
    unbiased: its expectation is that of all pairs, also where batches hold different numbers of pairs that count.
    """
    if kind == "mse":
        return (w * (1 - r - goal) ** 2).sum() / total
    used = w > 0
    r, goal, w = r[used], goal[used], w[used]
    d = (1 - r) - (w * (1 - r)).sum() / w.sum()
    goal = goal - (w * goal).sum() / w.sum()
    scale = (w * goal**2).sum()
    if len(goal) < 3 or not scale > 0:
        return None
    return 1 - (w * d * goal).sum() / ((w * d**2).sum() * scale).sqrt().clamp_min(1e-12)


def _image_batches(train: Indices, pairs: int, batch: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Batches of images that hold as many pairs as asked for, in expectation; the images in a new order each round."""
    n = len(train)
    wanted = batch * n * (n - 1) / max(pairs, 1)
    m = int(np.clip(round((1 + (1 + 4 * wanted) ** 0.5) / 2), 2, n))
    while True:
        yield from np.array_split(rng.permutation(train), max(n // m, 1))


def _read_sets(images: Any, rdms: Any) -> list[tuple[Images, Targets]]:
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
        goal = None
        if shape in ((n, n), (pair_count(n),), (1, n, n), (1, pair_count(n))):
            names = shown.names if shown.named else None
            goal = read_target(rdm, n, "dissimilarity", stimuli=names)
        if goal is None:
            raise ValueError(
                f"rdms must be of shape ({n}, {n}) or ({pair_count(n)},) for {n} images, got {shape}: several matrices "
                "are averaged by secateur.targets.average"
            )
        if goal.kind != "dissimilarity":
            raise ValueError("rdms must be dissimilarities, got similarities: pass 1 - similarity")
        sets.append((shown, goal))
    return sets


def _joined(sets: Sequence[Images]) -> Images:
    """All sets as one."""
    if len(sets) == 1:
        return sets[0]
    names = tuple(f"set {s}: {name}" for s, one in enumerate(sets) for name in one.names)
    return Images(names, None, (), tuple(source for one in sets for source in one.sources))


def _task(sets: Sequence[tuple[Any, Targets]], validation: Any, seed: int) -> _Task:
    """What is trained on and what is held out; ``sets`` are images, or their names, with a matrix each."""
    sizes = [goal.n for _, goal in sets]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    d, w = np.zeros((2, starts[-1], starts[-1]))
    names = [name for one, _ in sets for name in getattr(one, "names", one)]
    train, held = [], []
    for s, (_, goal) in enumerate(sets):
        at, n = starts[s], goal.n
        learnt, apart = _held_out(validation, s, n, len(sets), seed)
        rows, columns = at + np.stack(np.triu_indices(n, 1))
        weight = (
            np.ones(len(rows)) if goal.weights is None or goal.weight_of is None else goal.weights[goal.weight_of[0]]
        )
        d[rows, columns] = d[columns, rows] = -goal.values[0]
        w[rows, columns] = w[columns, rows] = weight
        train.append(at + learnt)
        if len(apart):
            held.append((at + apart, goal.among(apart)))
    learnt = np.concatenate(train)
    if not w[np.ix_(learnt, learnt)].any():
        raise ValueError("rdms must have pairs among the training images, got none")
    return _Task(tuple(map(str, names)), d, w, learnt, tuple(held))


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


def _sized(net: Network, size: int | None) -> Network:
    """The network with another size of its input."""
    if size is None:
        return net
    return replace(net, preprocessing=replace(net.preprocessing, resize=(int(size), int(size)), crop=None))


def _told(at: _Progress) -> str:
    """Loss and best held-out alignment of the last epoch, for the bar."""
    last = [value for value in at.alignment[-1] if not np.isnan(value)]
    return f"loss {at.loss[-1]:.4f}" + (f", held out {max(last):.3f}" if last else "")


@contextmanager
def _memory(batch: int) -> Iterator[None]:
    """A sentence where memory is short."""
    torch = import_torch()
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        short = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)
        if not short:
            raise
        raise TrainingError(
            f"batch must fit the memory, got {batch} pairs, which do not: lower batch or size"
        ) from error
