"""An ONNX file as a function of one array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dtool.run.onnx_function import OnnxFunction
from tests.support.told_networks import LATENT, write_decoder


def test_it_says_which_batches_and_shapes_it_takes(folder: Path) -> None:
    pytest.importorskip("onnx")
    write_decoder(folder / "any.onnx")
    write_decoder(folder / "two.onnx", batch=2)
    free, fixed = OnnxFunction(folder / "any.onnx"), OnnxFunction(folder / "two.onnx")
    assert (free.batch, fixed.batch, fixed.dims) == (None, 2, LATENT)
    assert free(np.ones((3, *LATENT), dtype=np.float32)).shape == (3, 3, 6, 6)
