"""The slow ways that ours are compared with: numpy as one writes it and as one trims it, and rsatoolbox."""

from __future__ import annotations

import numpy as np


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


def partial(found: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Partial correlations (...) with a target, of those (1 + q, ...) of spaces with it and with q controls."""
    r = np.corrcoef(rows)
    among, own = r[1:, 1:], r[0, 1:]
    weights = np.linalg.solve(among, found[1:])
    left = (1 - (weights * found[1:]).sum(axis=0)) * (1 - own @ np.linalg.solve(among, own))
    return (found[0] - own @ weights) / np.sqrt(left)


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


def rank_one_add_one(X: np.ndarray, h: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """One rank-one update of the inner products a feature, as one writes it."""
    pairs = np.triu_indices(len(X), 1)
    D, own = X[:, inside] @ X[:, inside].T, (X[:, inside] ** 2).sum(axis=1)
    out = np.full(X.shape[1], np.corrcoef(cosine(X[:, inside]), h)[0, 1])
    for k in np.setdiff1d(np.arange(X.shape[1]), inside):
        x = X[:, k]
        more = own + x**2
        out[k] = np.corrcoef(((D + np.outer(x, x)) / np.sqrt(np.outer(more, more)))[pairs], h)[0, 1]
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


def closed_form_insertion(X: np.ndarray, h: np.ndarray, order: np.ndarray, block: int = 4) -> np.ndarray:
    """Cosine and Pearson: inner products once every few steps, the steps between by their own products with them."""
    n, pairs = len(X), len(h)
    h = h - h.mean()
    H = np.zeros((n, n))
    rows, columns = np.triu_indices(n, 1)
    H[rows, columns] = H[columns, rows] = h / np.sqrt(h @ h)
    D, own = np.zeros((n, n)), np.zeros((n, 1))
    out = np.empty(len(order))
    for start in range(0, len(order), block):
        Z = X[:, order[start : start + block]]
        # step s has D before the block and the block's features k <= s: a column of G for each such s and k
        steps, terms = np.tril_indices(Z.shape[1])
        squares = np.cumsum(Z * Z, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            R = 1 / np.sqrt(own + squares)
            G = R[:, steps] * Z[:, terms]
            R2, RG = R * R, R[:, steps] * G

            def added(columns: np.ndarray, steps: np.ndarray = steps) -> np.ndarray:
                return np.bincount(steps, columns)

            first = (R * (D @ R)).sum(axis=0) + added(G.sum(axis=0) ** 2 - (G * G).sum(axis=0))
            second = (R2 * ((D * D) @ R2)).sum(axis=0) + 2 * added((RG * (D @ RG)).sum(axis=0))
            for s in range(Z.shape[1]):
                among = (Z[:, : s + 1] * R2[:, [s]]).T @ Z[:, : s + 1]
                second[s] += (among * among).sum() - ((R2[:, s] * squares[:, s]) ** 2).sum()
            with_target = (R * ((H * D) @ R)).sum(axis=0) + added((G * (H @ G)).sum(axis=0))
            out[start : start + block] = with_target / 2 / np.sqrt(second / 2 - (first / 2) ** 2 / pairs)
        D += Z @ Z.T
        np.fill_diagonal(D, 0)
        own += squares[:, -1:]
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


def closed_form_support(X: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Which features the pruning by ranking keeps, of the closed forms above."""
    order = np.argsort(closed_form_leave_one_out(X, h[None])[0], kind="stable")
    kept = np.zeros(len(order), dtype=bool)
    kept[order[: np.nanargmax(closed_form_insertion(X, h, order)) + 1]] = True
    return kept


def closed_form_cross_validate(X: np.ndarray, h: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The pruning of each fold and its held-out Pearson, of the closed forms above."""
    square = np.zeros((len(X), len(X)))
    square[np.triu_indices(len(X), 1)] = h
    square += square.T
    scores = []
    for train, test in folds:
        inside, outside = (square[np.ix_(side, side)][np.triu_indices(len(side), 1)] for side in (train, test))
        kept = closed_form_support(X[train], inside)
        scores.append(np.corrcoef(cosine(X[test][:, kept]), outside)[0, 1])
    return np.array(scores)


def rsatoolbox_compare(X: np.ndarray, targets: np.ndarray, method: str) -> np.ndarray:
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm.compare import compare

    return compare(RDMs(1 - cosine(X)[None]), RDMs(1 - targets), method)[0]
