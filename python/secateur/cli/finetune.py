"""``secateur finetune``: a network fine-tuned to a dissimilarity matrix, beside the pruned one on the same folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from .app import app, exit_with_message, log, print_files, print_text, refuse_bad_input
from .options import (
    Folds,
    Overwrite,
    Pruning,
    Repeats,
    Weights,
    argument,
    flag,
    named_weights,
    option,
    run_settings,
    with_pruning,
)  # fmt: skip

if TYPE_CHECKING:
    from ..comparison import FoldMethod

__all__ = ["DEFAULTS", "finetune"]

DEFAULTS = Pruning(metric="correlation")  # as networks are trained


@app.command()
@with_pruning("metric", "comparator", "search")
def finetune(
    images: Annotated[Path, argument("IMAGES", "Folder of images, in the order of the matrix.")],
    rdm: Annotated[str, argument("RDM", "Dissimilarities of the images, one matrix or one per subject: FILE[:KEY].")],
    out: Annotated[Path, option("DIR", "Folder for the results.")],
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            "--net",
            metavar="NAME",
            help="The network: vgg16, …, timm:NAME, or a file of one that is fine-tuned.",
        ),
    ] = None,
    weights: Weights = "default",
    preset: Annotated[
        str | None, option("NAME", "As the paper had it: meg_early, meg_late, fmri_early or fmri_late.")
    ] = None,
    layer: Annotated[
        str | None, option("NAME", "Layer whose features are trained: penultimate, fc7, or any module.")
    ] = None,
    freeze: Annotated[
        str | None, option("WHAT", "Modules that do not learn: 'from conv5', 'up to conv5_2', or names: a,b.")
    ] = None,
    every_layer: Annotated[
        bool, flag("--every-layer", "Choose among all layers that learn, not the epoch alone.")
    ] = False,
    lr: Annotated[float | None, option("RATE", "Learning rate; 0.005 by default.")] = None,
    momentum: Annotated[float | None, option("M", "Momentum of gradient descent; 0 by default.")] = None,
    batch: Annotated[int | None, option("N", "Pairs of images per step; 32 by default.", min=1)] = None,
    epochs: Annotated[int | None, option("N", "Most epochs; 20 by default.", min=1)] = None,
    patience: Annotated[
        int | None, option("N", "Stop after this many epochs without gain; by default train all.", min=1)
    ] = None,
    form: Annotated[
        str | None, option("FORM", "What a batch holds: images (all their pairs) or pairs (as in the paper).")
    ] = None,
    loss: Annotated[
        str, option("NAME", "What is minimised between the network and the RDM: mse or correlation (1 - r).")
    ] = "mse",
    validation: Annotated[
        int, option("N", "Split the training images into this many folds: one of them chooses the epoch.", min=2)
    ] = 5,
    size: Annotated[int | None, option("PIXELS", "Stretch images to a square with this side.", min=1)] = None,
    precision: Annotated[
        str, option("NAME", "Arithmetic of the network: float32 or bfloat16 (faster on recent GPUs, less exact).")
    ] = "float32",
    pruning: Pruning = DEFAULTS,
    cv: Folds = 5,
    repeats: Repeats = 1,
    permutations: Annotated[
        int, option("N", "Permutations of the images for p, without training again; 0 for none.", min=0)
    ] = 1000,
    seed: Annotated[
        int, option("N", "Random seed of folds and batches: the same seed gives the same folds.", min=0)
    ] = 0,
    checkpoint: Annotated[
        Path | None, option("FILE", "Keep the final training, on all images, here: a killed run goes on from there.")
    ] = None,
    device: Annotated[
        str, option("DEVICE", "Where the network is trained: auto (a GPU where there is one), cpu or cuda.")
    ] = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune a network to a dissimilarity matrix, and say whether that or pruning serves better.

    In each fold of the images the network is fine-tuned, pruned, and fine-tuned then pruned, on the training images
    alone. What is written as network.pt is then trained on all of them.
    """
    with exit_with_message():
        from ..comparison import compare, explained_variance
        from ..files import Loaded, match, read_target_file, stated_kind
        from ..finetuning import PRESETS, DissimilarityTrainer, FineTuned
        from ..networks import load, read_images
        from ..pairs import pair_count
        from ..report import comparison_markdown, explained_markdown, finetuning
        from ..report.folder import check_destination
        from ..targets import average

        with refuse_bad_input():
            pruner = pruning.pruner("dissimilarity")
            if (network is None) == (preset is None):
                raise ValueError("--network NAME or --preset NAME must be given, got both or neither")
            if preset is not None and preset not in PRESETS:
                raise ValueError(f"--preset must be one of {', '.join(PRESETS)}, got {preset!r}")
            check_destination(out, overwrite, finetuning.CONTENTS)
            shown, loaded_target = read_images(images), read_target_file(rdm)
            stated_kind(loaded_target, "dissimilarity")
            n = len(shown)
            values, note = match(loaded_target, Loaded(np.empty(0), shown.names, None, images))
            if values.shape[-1] != n and values.shape[-1] != pair_count(n):
                raise ValueError(f"RDM must cover the {n} images of {images.name}, got shape {values.shape}")
            several = values.ndim == 3 or (values.ndim == 2 and values.shape != (n, n))
            matrix = average(values)
        notes = [sentence for sentence in (*shown.notes, *loaded_target.notes, note) if sentence]
        for sentence in notes:
            log(f"note: {sentence}.")
        with refuse_bad_input():
            name = network if network is not None else str(PRESETS[str(preset)]["net"])
            net = load(name, named_weights(weights), seed=seed)
            if named_weights(weights) is None:
                log(f"note: {name} has random weights: what it sees means nothing.")
            given: dict[str, Any] = {
                "layer": layer, "freeze": freeze, "lr": lr, "momentum": momentum, "batch": batch, "epochs": epochs,
                "form": form,
            }  # fmt: skip
            terms = {key: value for key, value in given.items() if value is not None}
            if freeze is not None and not freeze.startswith(("from ", "up to ")):
                terms["freeze"] = [part.strip() for part in freeze.split(",")]
            terms |= {"loss": loss, "validation": validation, "patience": patience, "size": size, "device": device}
            terms |= {"precision": precision, "comparator": pruning.comparator, "seed": seed}
            at = layer or (PRESETS[preset]["layer"] if preset else "penultimate")
            terms["layers"] = None if every_layer else [at]
            trainer = (
                DissimilarityTrainer(net, **terms)
                if preset is None
                else DissimilarityTrainer.preset(preset, net, **terms)
            )
            log(f"Fine-tuning {name} in {cv * repeats} folds of {n} images, beside pruning.")
            untouched = trainer.features(shown)
            tuned = FineTuned(trainer, shown)
            methods: dict[str, str | FoldMethod]
            methods = {"full": "full", "pruned": "pruned", "fine-tuned": tuned, "tuned + pruned": tuned.then(pruner)}
            how: dict[str, Any] = {"predictions": True, "permutations": permutations}
            result = compare(untouched.values, matrix, methods, cv, repeats, seed, pruner=pruner, **how)
            scores = None
            if several and len(values) > 1:
                scores = explained_variance(result, values)
        log(f"Fine-tuning {name} on all {n} images.")
        with refuse_bad_input():
            trainer.fit(shown, matrix, checkpoint=checkpoint)
        title = f"{name} fine-tuned and pruned to {loaded_target.path.stem}"
        print_text(" ".join(finetuning.outcome(result, trainer.history_.attrs)) + "\n")
        print_text(comparison_markdown(result, title=title))
        if scores is not None:
            print_text(explained_markdown(scores))
        log("Drawing and writing.")
        inputs = [{"role": "images", "folder": str(images), "images": n}, {"role": "target", **loaded_target.record()}]
        settings = run_settings(inputs, notes, device=device)
        files = finetuning.write_finetuning(
            out, trainer, result, scores, title=title, settings=settings, overwrite=overwrite
        )
        print_files(out, files, finetuning.CONTENTS)
