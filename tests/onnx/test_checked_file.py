"""A checked file: its message without its large weights, how large both are, and what is refused before a run."""

from __future__ import annotations

import numpy as np
import pytest

from dtool.errors import DtoolError
from dtool.onnx import large_weights
from dtool.onnx.checked_file import read_checked_file

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402

SLOPE = np.linspace(0.25, 1, 16, dtype=np.float32).reshape(1, 4, 4)


@pytest.fixture
def path(tmp_path):
    proto = make.of_nodes([helper.make_node("Mul", ["x", "slope"], ["y"])], [numpy_helper.from_array(SLOPE, "slope")])
    return make.saved(proto, tmp_path, "net.onnx")


def test_a_small_file_is_read_whole(path):
    checked = read_checked_file(path)
    assert (checked.data, checked.weights, checked.size) == (path.read_bytes(), None, path.stat().st_size)


@pytest.mark.parametrize("beside", [False, True])
def test_its_size_counts_the_weights_wherever_they_lie(beside, path, monkeypatch):
    monkeypatch.setattr(large_weights, "LARGE_FILE", 0)
    monkeypatch.setattr(large_weights, "LARGE_WEIGHT", 64)
    if beside:
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.data", size_threshold=0)
    checked = read_checked_file(path)
    assert checked.weights is not None
    assert SLOPE.tobytes() not in checked.data
    assert checked.size == len(checked.data) + SLOPE.nbytes
    [tensor] = checked.weights.tensors
    assert checked.weights.read(tensor) == SLOPE.tobytes()


def test_what_must_not_be_run_is_refused(tmp_path):
    proto = make.of_nodes([helper.make_node("RandomNormalLike", ["x"], ["y"])])
    with pytest.raises(DtoolError, match="draws random numbers of its own"):
        read_checked_file(make.saved(proto, tmp_path, "net.onnx"))
    with pytest.raises(DtoolError, match="there is no file"):
        read_checked_file(tmp_path / "none.onnx")
