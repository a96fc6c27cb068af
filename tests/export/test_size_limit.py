"""A sampler of a network too large for one file is refused before any work."""

from __future__ import annotations

import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402

from dtool.export import size_limit  # noqa: E402

PLAIN = NetworkSpec(shape=(2, 3), schedule="linear")


class Wide(nn.Module):
    """A network with 2.4 GB of weights, and no memory for them: it cannot even be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(600_000_000, device="meta", dtype=torch.float16))
        self.register_buffer("table", torch.empty(10, device="meta"))


def test_a_network_larger_than_protobuf_is_refused_before_it_is_copied(tmp_path):
    with pytest.raises(DtoolError, match=r"the network has 2\.40 GB of weights in float32") as caught:
        dtool.export((Wide(), PLAIN), tmp_path / "net.onnx", plan="ddim")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


class Constant(nn.Module):
    """Its weights are in no state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.tensor = torch.ones(2, 3) * torch.arange(3)

    def forward(self, x, t):
        return x * self.tensor + t[:, None, None]


def test_constants_count_too(tmp_path, monkeypatch):
    dtool.export((Constant(), PLAIN), tmp_path / "net.onnx", check=False)
    monkeypatch.setattr(size_limit, "MAX_BYTES", 20)
    with pytest.raises(DtoolError, match="the graph has"):
        dtool.export((Constant(), PLAIN), tmp_path / "other.onnx", plan="ddim", check=False)
    with pytest.raises(DtoolError, match=r"net\.onnx has"):
        dtool.export(tmp_path / "net.onnx", tmp_path / "other.onnx", plan="ddim", check=False)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
