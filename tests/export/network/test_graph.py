"""From PyTorch to a graph: what stays as it is, and what is refused with its cause."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402 - after the check that torch is there

from dtool.export.network import graph  # noqa: E402

pytest.importorskip("onnxruntime")
from tests.support.graphs import proto  # noqa: E402 - after the check that onnx is there

PLAIN = NetworkSpec(shape=(2, 3), schedule="linear")


class IgnoresTime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(3, 3), nn.Dropout(0.5)

    def forward(self, x, _t):
        return self.drop(self.layer(x))


def test_an_input_that_is_not_used_stays_and_the_module_is_left_alone(tmp_path, capfd):
    module = IgnoresTime().double().train()
    report = dtool.export((module, PLAIN), tmp_path / "net.onnx", steps=3)
    assert module.training
    assert next(module.parameters()).dtype == torch.float64
    assert next(module.parameters()).requires_grad
    assert report.comparisons[-1].what == "4 images, 3 steps of DDIM"
    assert [i.name for i in onnx.load(report.path).graph.input] == ["x", "t"]
    assert capfd.readouterr() == ("", "")


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
