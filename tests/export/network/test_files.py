"""A network of more weights than a file holds: they lie beside it, and both files are there or neither."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from dtool.export import size_limit  # noqa: E402
from tests.support.attending_networks import TEXT, make_attending  # noqa: E402


@pytest.fixture
def small_limit(monkeypatch):
    """Files that hold hardly anything, so that a small network is a large one."""
    monkeypatch.setattr(size_limit, "MAX_BYTES", 1000)


def test_the_weights_lie_beside_the_file(small_limit, tmp_path):
    module, spec = make_attending(TEXT)
    torch.nn.init.normal_(module.words.weight)
    report = dtool.export((module, spec), tmp_path / "net.onnx", steps=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data"]
    assert report.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert report.largest < 1e-5
    file = dtool.load(tmp_path / "net.onnx", device="cpu")
    told = {"text": np.ones((2, 4, 8), np.float32)}
    one, other = (dtool.sample(net, "ddim", steps=3, n=2, conditions=told).x0
                  for net in (file, dtool.load(module, spec=spec, device="cpu")))  # fmt: skip
    assert np.abs(one - other).max() < 1e-4 * np.abs(one).max()


def test_a_sampler_is_refused_with_what_to_do(small_limit, tmp_path):
    with pytest.raises(DtoolError, match="holds at most 2") as error:
        dtool.export(make_attending(TEXT), tmp_path / "app.onnx", plan="ddim", steps=2)
    assert "export the network alone" in error.value.hint
    with pytest.raises(DtoolError, match="read as one file"):
        dtool.export(make_attending(TEXT), tmp_path / "net.onnx", steps=2, half=True, check=False)
    assert not list(tmp_path.iterdir())


def test_neither_file_is_left_where_one_cannot_be_written(small_limit, tmp_path):
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(DtoolError):
        dtool.export(make_attending(TEXT), tmp_path / "net.onnx", steps=2, check=False)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
