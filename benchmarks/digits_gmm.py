"""Fit the mixture that `digits-gmm` is: three clusters a digit, each a Gaussian of ten axes and a rest (PPCA).

python benchmarks/digits_gmm.py [OUT.npz] needs scikit-learn, whose digits (1,797 of 8×8, 0 … 16) it is fitted to.
The clusters are k-means', and each is given its likeliest Gaussian (Tipping and Bishop, 1999, eq. 7 and 8).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

CLUSTERS, AXES = 3, 10
HERE = Path(__file__).parent.parent / "dtool" / "targets" / "digits_gmm.npz"


def fitted(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """(mean (64,), axes (AXES, 64), variance along each, variance across them) of images (n, 64)."""
    mean = images.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(images, rowvar=False))
    values, vectors = values[::-1], vectors[:, ::-1]
    return mean, vectors[:, :AXES].T, values[:AXES], float(values[AXES:].mean())


def main() -> None:
    """Fit, and write `weights (30,), means, axes, spread, rest, of_class`."""
    images, labels = load_digits(return_X_y=True)
    images = images / 8 - 1
    parts, weights, classes = [], [], []
    for digit in range(10):
        own = images[labels == digit]
        which = KMeans(CLUSTERS, n_init=20, random_state=0).fit_predict(own)
        for cluster in range(CLUSTERS):
            parts.append(fitted(own[which == cluster]))
            weights.append(float((which == cluster).sum()))
            classes.append(digit)
    means, axes, spread, rest = (np.array(column, dtype=np.float32) for column in zip(*parts, strict=True))
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    np.savez_compressed(
        out, weights=np.array(weights, np.float32), means=means, axes=axes.astype(np.float16), spread=spread,
        rest=rest, of_class=np.array(classes, np.int8),
    )  # fmt: skip
    print(f"{out.name}: {out.stat().st_size} bytes, components of {min(weights):.0f} to {max(weights):.0f} images")


if __name__ == "__main__":
    main()
