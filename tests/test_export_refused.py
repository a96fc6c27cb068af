"""What export refuses: each cause is named, and the file that was there stays."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.networks.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from graphs import proto  # noqa: E402 - after the check that onnx is there
from torch import nn  # noqa: E402

from dtool.export import graph, size  # noqa: E402

PLAIN = NetworkSpec(shape=(2, 3), schedule="linear")


class Noisy(nn.Module):
    def forward(self, x, _t):
        return x + 0.1 * torch.randn_like(x)


class Decides(nn.Module):
    def forward(self, x, t):
        if t.sum() > 3:
            return x
        return 2 * x


class OneBatch(nn.Module):
    def forward(self, x, _t):
        return x.reshape(3, 2, 3) * 2


class Other(nn.Module):
    """Behaves differently while it is being exported."""

    def forward(self, x, _t):
        return 1.01 * x if torch.compiler.is_compiling() else x


class Operator(nn.Module):
    def forward(self, x, _t):
        return torch.ops.dtool_tests.twice(x)


@torch.library.custom_op("dtool_tests::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


@twice.register_fake
def _(x):
    return torch.empty_like(x)


class Several(nn.Module):
    def forward(self, x, _t):
        return {"sample": x}


class Doubled(nn.Module):
    def forward(self, x, _t):
        return torch.cat([x, x], dim=1)


class NoTime(nn.Module):
    def forward(self, x):
        return x


class Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, float("nan")]))

    def forward(self, x, _t):
        return self.scale[0] * x


class BrokenBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.0, float("inf"), 1.0]))

    def forward(self, x, _t):
        return x - self.mean


@pytest.mark.parametrize(
    ("network", "cause"),
    [
        (Noisy, "draws random numbers (RandomNormalLike)"),
        (Decides, "decides by the values it is given, which no graph can, at `if t.sum() > 3:`"),
        (OneBatch, "works for one batch size only"),
        (Other, "from PyTorch ("),
        (Operator, "uses dtool_tests.twice, which ONNX does not have"),
        (Several, "F(x, t) returns a dict, not a tensor"),
        (Doubled, "returns shape (3, 4, 3) for x of shape (3, 2, 3)"),
        (NoTime, "cannot be called as F(x, t) with samples of shape (2, 3) (TypeError"),
        (Broken, "the weights hold NaN or infinity (in scale)"),
        (BrokenBuffer, "the weights hold NaN or infinity (in mean)"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_cannot_be_exported(network, cause, tmp_path):
    target = tmp_path / "net.onnx"
    target.write_bytes(b"the old file")
    with pytest.raises(DtoolError) as caught:
        dtool.export((network(), PLAIN), target)
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert target.read_bytes() == b"the old file"


def _inside_if(node):
    output = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 3])]
    branch = onnx.helper.make_graph([node], "branch", [], output)
    return onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)


def test_examine_looks_everywhere():
    make = onnx.helper.make_node
    graph.examine(proto(make("Tanh", ["x"], ["y"])))
    outside = onnx.numpy_helper.from_array(np.ones(3, np.float32), "w")
    onnx.external_data_helper.set_external_data(outside, location="w.data")
    outside.data_location = onnx.TensorProto.EXTERNAL
    broken = onnx.numpy_helper.from_array(np.array([1, np.nan, 1], np.float32), "w")
    refused = {
        "the weights hold NaN or infinity (in w)": proto(make("Add", ["x", "w"], ["y"]), initializer=[broken]),
        "RandomUniformLike": proto(_inside_if(make("RandomUniformLike", ["x"], ["y"]))),
        "Fancy of com.example": proto(make("Fancy", ["x"], ["y"], domain="com.example")),
        "w is stored in another file": proto(make("Add", ["x", "w"], ["y"]), initializer=[outside]),
        "the batch of x is fixed": proto(make("Tanh", ["x"], ["y"]), batch=4),
    }
    for cause, model in refused.items():
        with pytest.raises(DtoolError) as caught:
            graph.examine(model)
        assert cause in str(caught.value)


class Wide(nn.Module):
    """A network with 2.4 GB of weights, and no memory for them: it cannot even be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(600_000_000, device="meta", dtype=torch.float16))
        self.register_buffer("table", torch.empty(10, device="meta"))


def test_a_network_larger_than_protobuf_is_refused_before_it_is_copied(tmp_path):
    with pytest.raises(DtoolError, match=r"the network has 2\.40 GB of weights in float32") as caught:
        dtool.export((Wide(), PLAIN), tmp_path / "net.onnx")
    assert "sample from PyTorch" in caught.value.hint
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
    monkeypatch.setattr(size, "LARGEST", 20)
    with pytest.raises(DtoolError, match="the graph has"):
        dtool.export((Constant(), PLAIN), tmp_path / "other.onnx", check=False)
    with pytest.raises(DtoolError, match=r"net\.onnx has"):
        dtool.export(tmp_path / "net.onnx", tmp_path / "other.onnx", plan="ddim", check=False)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
