"""Named cases, the slow ways they are compared with, and how a time is taken."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


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
            [cosine(X[:, rng.choice(self.d, max(3, self.d // 20), replace=False)]) for _ in range(self.targets)]
        )
        return X, planted + 0.05 * rng.normal(size=planted.shape)


PAPER = Case("one fold of the paper", 96, 4096)
HUNDRED = Case("a hundred targets", 96, 4096, 100)
SET144 = Case("an image set of the fMRI study, two hundred targets", 144, 4096, 200)
STUDY = Case("a participant of the MEG study", 120, 4096, 200)


def cosine(X: np.ndarray) -> np.ndarray:
    r = 1 / np.sqrt((X * X).sum(axis=1))
    return ((X @ X.T) * np.outer(r, r))[np.triu_indices(len(X), 1)]


def closed_form_leave_one_out(X: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Cosine and Pearson by (n x n)(n x d) products, three for all targets and two for each: a careful user's numpy."""
    n = len(X)
    rows, columns = np.triu_indices(n, 1)
    D = X @ X.T
    own = np.diag(D).copy()
    np.fill_diagonal(D, 0)
    R = 1 / np.sqrt(own[:, None] - X * X)
    G = X * R
    R2, G2, GR = R * R, G * G, G * R
    first = (R * (D @ R)).sum(axis=0) - (G.sum(axis=0) ** 2 - G2.sum(axis=0))
    second = (
        (R2 * ((D * D) @ R2)).sum(axis=0)
        - 2 * (GR * (D @ GR)).sum(axis=0)
        + G2.sum(axis=0) ** 2
        - (G2 * G2).sum(axis=0)
    )
    spread = np.sqrt(second / 2 - (first / 2) ** 2 / len(rows))
    out = np.empty((len(targets), X.shape[1]))
    for t, h in enumerate(targets):
        h = h - h.mean()
        H = np.zeros((n, n))
        H[rows, columns] = H[columns, rows] = h / np.sqrt(h @ h)
        out[t] = ((R * ((H * D) @ R)).sum(axis=0) - (G * (H @ G)).sum(axis=0)) / 2 / spread
    return out


def rank_one_leave_one_out(X: np.ndarray, h: np.ndarray) -> np.ndarray:
    """One rank-one update of the inner products a feature, as one writes it."""
    pairs = np.triu_indices(len(X), 1)
    D, own = X @ X.T, (X * X).sum(axis=1)
    out = np.empty(X.shape[1])
    for k in range(X.shape[1]):
        x = X[:, k]
        rest = own - x**2
        s = (D - np.outer(x, x)) / np.sqrt(np.outer(rest, rest))
        out[k] = np.corrcoef(s[pairs], h)[0, 1]
    return out


def rank_one_insertion(X: np.ndarray, h: np.ndarray, order: np.ndarray) -> np.ndarray:
    """One rank-one update of the inner products a step, as one writes it."""
    pairs = np.triu_indices(len(X), 1)
    D, own = np.zeros((len(X), len(X))), np.zeros(len(X))
    out = np.empty(len(order))
    with np.errstate(invalid="ignore", divide="ignore"):
        for step, k in enumerate(order):
            x = X[:, k]
            D += np.outer(x, x)
            own += x**2
            out[step] = np.corrcoef((D / np.sqrt(np.outer(own, own)))[pairs], h)[0, 1]
    return out


def trimmed_rank_one_leave_one_out(X: np.ndarray, h: np.ndarray) -> np.ndarray:
    """The same with everything trimmed that numpy lets one trim: contiguous columns, no corrcoef, no n x n roots."""
    pairs = np.triu_indices(len(X), 1)
    h = h - h.mean()
    h = h / np.sqrt(h @ h)
    D, own = X @ X.T, (X * X).sum(axis=1)
    out = np.empty(X.shape[1])
    for k, x in enumerate(np.ascontiguousarray(X.T)):
        r = 1 / np.sqrt(own - x * x)
        s = ((D - np.outer(x, x)) * np.outer(r, r))[pairs]
        s -= s.mean()
        out[k] = (s @ h) / np.sqrt(s @ s)
    return out


def trimmed_rank_one_insertion(X: np.ndarray, h: np.ndarray, order: np.ndarray) -> np.ndarray:
    """As the trimmed leave-one-out."""
    pairs = np.triu_indices(len(X), 1)
    h = h - h.mean()
    h = h / np.sqrt(h @ h)
    D, own = np.zeros((len(X), len(X))), np.zeros(len(X))
    out = np.empty(len(order))
    with np.errstate(invalid="ignore", divide="ignore"):
        for step, x in enumerate(np.ascontiguousarray(X.T[order])):
            D += np.outer(x, x)
            own += x * x
            r = 1 / np.sqrt(own)
            s = (D * np.outer(r, r))[pairs]
            s -= s.mean()
            out[step] = (s @ h) / np.sqrt(s @ s)
    return out


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, taken in turns so that a noisy machine is noisy for all; each turn warms up first."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            run()
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


def fma_peak() -> float:
    """Double-precision FMA per second of one core, measured: the floor's denominator."""
    source = Path(__file__).with_name("peak.cpp")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        subprocess.run(["c++", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source], check=True)
        peak = ctypes.CDLL(str(library)).fma_per_second
        peak.restype = ctypes.c_double
        return float(max(peak() for _ in range(7)))
