"""Small networks, exported, with their half-precision and eight-bit versions; and what tests of them need."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import dtool
from dtool.models.description import UNDESCRIBED
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from onnx import TensorProto, helper  # noqa: E402 - after the check that onnx is there
from torch import nn  # noqa: E402

from dtool.export.metadata import describe  # noqa: E402
from dtool.export.network.graph import to_onnx  # noqa: E402
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info  # noqa: E402
from dtool.export.smaller.half import convert_to_half  # noqa: E402
from dtool.export.smaller.int8 import collect_calibration, quantise_to_int8  # noqa: E402
from dtool.models.unet import UNet, UNetConfig  # noqa: E402
from dtool.run.onnxruntime_backend import OnnxNetwork  # noqa: E402
from dtool.util.files import write_scratch_file  # noqa: E402

HALF, FLOAT, INT8 = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.INT8


class Fourier(nn.Module):
    """Times the network has learned to tell apart: a product of matrices comes before the sines."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.waves = nn.Linear(1, 16)
        self.layers = nn.Sequential(nn.Linear(size + 32, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.last = nn.Linear(64, size)

    def forward(self, x, t):
        angles = 2 * self.waves(t[:, None])
        return self.last(self.layers(torch.cat([x, angles.sin(), angles.cos()], dim=1)))


class Normed(nn.Module):
    """The mean of squares of numbers in the hundreds."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(size + 1, 64), nn.RMSNorm(64), nn.Linear(64, size)
        self.middle = nn.Linear(64, 64)

    def forward(self, x, t):
        large = 900 * self.first(torch.cat([x, t[:, None] / 1000], dim=1))
        return self.last(torch.tanh(self.middle(self.norm(large))))


def randomise(module: nn.Module, seed: int) -> nn.Module:
    """The layers that training begins at zero, at random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) / math.sqrt(weight[0].numel()))
    return module.eval().requires_grad_(False)


NETWORKS = {
    "u-net": (
        lambda: UNet(UNetConfig.for_shape((3, 16, 16), classes=3)),
        NetworkSpec(shape=(3, 16, 16), schedule="cosine", classes=3, guidance=1.5, clip=True),
    ),
    "narrow": (
        lambda: UNet(UNetConfig(channels=2, width=8, multipliers=(1, 4), blocks=1)),
        NetworkSpec(shape=(2, 9, 14), schedule="linear", prediction="v"),
    ),
    "vectors": (lambda: Fourier(8), NetworkSpec(shape=(8,), schedule="linear", prediction="v")),
    "normed": (lambda: Normed(5), NetworkSpec(shape=(5,), schedule="linear", prediction="x0")),
}


class Small:
    """An exported network, and all that is made of it."""

    def __init__(self, name: str) -> None:
        make, self.spec = NETWORKS[name]
        torch.manual_seed(0)
        self.proto = to_onnx(randomise(make(), 1), self.spec)
        describe(self.proto, self.spec)
        self.network = load_proto(self.proto)
        self.plan = dtool.plan("dpmpp-2m/karras", steps=5, network=self.network)
        self.half = convert_to_half(self.proto)
        self.int8 = quantise_to_int8(self.proto, self.spec, collect_calibration(self.network, self.plan, images=4))


make_small = functools.cache(Small)


def load_proto(proto, spec=UNDESCRIBED) -> OnnxNetwork:
    with write_scratch_file(".onnx", proto.SerializeToString()) as path:
        return OnnxNetwork(path, spec, Runtime(device="cpu"))


def draw_inputs(spec: NetworkSpec, batch: int, seed: int, times=(0, 999)):
    random = np.random.default_rng(seed)
    x = random.standard_normal((batch, *spec.shape), dtype=np.float32)
    t = random.uniform(*times, batch).astype(np.float32)
    return (x, t, random.integers(0, spec.classes + 1, batch)) if spec.classes else (x, t)


def measure_error(one, other, given) -> float:
    wanted, got = one.predict(*given), other.predict(*given)
    assert np.isfinite(got).all()
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def list_kinds(proto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in proto.graph.initializer}


def count_weights(proto, kind) -> int:
    return sum(math.prod(t.dims) for t in proto.graph.initializer if t.data_type == kind)


def draw_feeds(spec: NetworkSpec, batch: int, seed: int = 0):
    return dict(zip(("x", "t", "label"), draw_inputs(spec, batch, seed), strict=False))


def make_model(graph: GraphBuilder, spec: NetworkSpec, **changes):
    """A network's model out of a graph that computes `output` of x and t."""
    batch = ["batch", *spec.shape]
    made = graph.build(
        [make_value_info("x", np.float32, batch), make_value_info("t", np.float32, ["batch"])],
        [make_value_info("output", np.float32, batch)],
    )
    opsets = [helper.make_opsetid("", 20), *(helper.make_opsetid(f.domain, 1) for f in changes.get("functions", []))]
    proto = helper.make_model(made, opset_imports=opsets, ir_version=10, **changes)
    onnx.checker.check_model(proto, full_check=True)
    return proto


PLAIN = NetworkSpec(shape=(4,), schedule="linear")


def overflowing():
    graph = GraphBuilder("overflow")
    hundreds = graph.constant(np.full(4, 300), np.float32)
    squares = graph("Mul", graph("Mul", "x", hundreds), hundreds)
    graph("Mul", squares, graph.constant(np.full(4, 1e-4), np.float32), name="output")
    return make_model(graph, PLAIN)
