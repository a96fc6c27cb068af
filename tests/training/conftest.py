"""Data that several files of this room train on."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes: dark and bright images of 8x6 pixels."""
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 2
    x = np.where(labels == 1, 200, 60)[:, None, None] + rng.integers(-40, 40, (64, 8, 6))
    path = tmp_path_factory.mktemp("data") / "two.npz"
    np.savez(path, x=x.astype(np.uint8), y=labels)
    return path
