"""The grid of samples that is looked at during training."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.training.preview import tile_images  # noqa: E402


def test_grid_goes_row_by_row() -> None:
    images = np.stack([np.full((1, 2, 2), value, np.float32) for value in (-1.0, -0.5, 0.0, 0.5, 1.0, 7.0)])
    picture = tile_images(images, 3)
    assert picture.shape == (4, 6, 1)
    assert picture[::2, ::2, 0].tolist() == [[0, 64, 128], [191, 255, 255]]
