"""Half precision and eight bits: what stays as it was, what is lost, and what is refused."""

from __future__ import annotations

import functools
import json
import math
import re

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, GateError, UsageError
from dtool.networks.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - after the check that onnx is there
from torch import nn  # noqa: E402

from dtool.backends.onnxruntime_backend import OnnxNetwork  # noqa: E402
from dtool.backends.sampling import sample  # noqa: E402
from dtool.compare.frechet import distance  # noqa: E402
from dtool.data.pooled import statistics  # noqa: E402
from dtool.export import loss as losses  # noqa: E402
from dtool.export.builder import Graph, value  # noqa: E402
from dtool.export.graph import to_onnx, walk  # noqa: E402
from dtool.export.half import half  # noqa: E402
from dtool.export.int8 import calibration, int8  # noqa: E402
from dtool.export.loss import Loss, measure, require  # noqa: E402
from dtool.export.metadata import describe  # noqa: E402
from dtool.export.rounded import rounded  # noqa: E402
from dtool.files import scratch_file  # noqa: E402
from dtool.networks.unet import UNet, UNetConfig  # noqa: E402

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


def awake(module: nn.Module, seed: int) -> nn.Module:
    """The layers that training begins at zero, at random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) / math.sqrt(weight[0].numel()))
    return module.eval().requires_grad_(False)


MADE = {
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
        make, self.spec = MADE[name]
        torch.manual_seed(0)
        self.proto = to_onnx(awake(make(), 1), self.spec)
        describe(self.proto, self.spec)
        self.network = load(self.proto)
        self.plan = dtool.plan("dpmpp-2m/karras", steps=5, network=self.network)
        self.half = half(self.proto)
        self.int8 = int8(self.proto, self.spec, calibration(self.network, self.plan, images=4))


made = functools.cache(Small)


@pytest.fixture(scope="module", params=MADE)
def small(request) -> Small:
    return made(request.param)


@pytest.fixture(scope="module")
def unet() -> Small:
    return made("narrow")


def load(proto, spec=None) -> OnnxNetwork:
    with scratch_file(".onnx", proto.SerializeToString()) as path:
        return OnnxNetwork(path, spec, "cpu")


def inputs(spec: NetworkSpec, batch: int, seed: int, times=(0, 999)):
    random = np.random.default_rng(seed)
    x = random.standard_normal((batch, *spec.shape), dtype=np.float32)
    t = random.uniform(*times, batch).astype(np.float32)
    return (x, t, random.integers(0, spec.classes + 1, batch)) if spec.classes else (x, t)


def error(one, other, given) -> float:
    wanted, got = one.predict(*given), other.predict(*given)
    assert np.isfinite(got).all()
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def kinds(proto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in proto.graph.initializer}


def weights(proto, kind) -> int:
    return sum(math.prod(t.dims) for t in proto.graph.initializer if t.data_type == kind)


# What both keep


@pytest.mark.parametrize("which", ["half", "int8"])
def test_a_small_network_is_called_like_the_large_one(small, which):
    made, proto = getattr(small, which), small.proto
    onnx.checker.check_model(made, full_check=True)
    assert made.graph.input == proto.graph.input
    assert made.graph.output == proto.graph.output  # float32, the batch dynamic
    assert made.metadata_props == proto.metadata_props
    assert made.opset_import == proto.opset_import
    assert (made.ir_version, made.producer_name) == (proto.ir_version, "dtool")
    assert {node.domain for node in made.graph.node} == {""}
    assert all(m.data_location == m.DEFAULT for m in walk(made) if isinstance(m, TensorProto))
    network = load(made)
    assert network.spec == small.spec
    for batch in (1, 2, 5):
        given = inputs(small.spec, batch, seed=batch)
        alone = network.predict(*(part[-1:] for part in given))
        assert np.allclose(network.predict(*given)[-1:], alone, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("which", ["half", "int8"])
def test_the_original_is_not_changed(unet, which):
    before = unet.proto.SerializeToString(deterministic=True)
    again = half(unet.proto) if which == "half" else int8(unet.proto, unet.spec, [feeds(unet.spec, 3)])
    assert unet.proto.SerializeToString(deterministic=True) == before
    assert again.SerializeToString() != before


def feeds(spec: NetworkSpec, batch: int, seed: int = 0):
    return dict(zip(("x", "t", "label"), inputs(spec, batch, seed), strict=False))


# Half precision


@pytest.mark.parametrize("seed", range(3))
def test_half_precision_is_near(small, seed):
    given = inputs(small.spec, 4, seed)
    assert error(small.network, load(small.half), given) < 3e-3
    assert error(small.network, load(rounded(small.half)), given) < 6e-3


def test_half_precision_is_half_the_size(small):
    in_half, in_float = weights(small.half, HALF), weights(small.half, FLOAT)
    assert in_half + in_float == weights(small.proto, FLOAT)
    assert in_float <= 40  # what the sines of the time are of
    arithmetic = {"Conv", "MatMul", "Gemm"} & {node.op_type for node in small.half.graph.node}
    typed = onnx.shape_inference.infer_shapes(small.half, strict_mode=True).graph
    values = {v.name: v.type.tensor_type.elem_type for v in typed.value_info}
    products = [node for node in typed.node if node.op_type in arithmetic]
    inner = [values[node.output[0]] for node in products if node.output[0] in values]
    assert inner.count(HALF) >= len(products) - 1  # all but the one before the sines
    assert "output" in {node.output[0] for node in typed.node if node.op_type == "Cast"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("product", [False, True], ids=["times", "product"])
def test_sines_of_large_fractional_times_lose_no_digits(seed, product):
    graph = Graph("waves")
    time = graph("Unsqueeze", "t", graph.ints(1))
    wave = graph.constant(np.random.default_rng(seed).uniform(0.5, 2, (1, 6)), np.float32)
    angle = graph("MatMul" if product else "Mul", time, wave)
    graph("Mul", "x", graph("Add", graph("Cos", angle), graph("Sin", angle)), name="output")
    spec = NetworkSpec(shape=(6,), schedule="linear")
    proto = one(graph, spec)
    given = inputs(spec, 64, seed, times=(900, 999))
    made = half(proto)
    assert error(load(proto, spec), load(rounded(made), spec), given) < 1e-3
    x, t = given
    coarse = x, t.astype(np.float16).astype(np.float32)  # what is left of t in fp16
    off = load(proto, spec).predict(*coarse) - load(proto, spec).predict(*given)
    assert np.abs(off).max() > 0.1


def one(graph: Graph, spec: NetworkSpec, **changes):
    """A network's model out of a graph that computes `output` of x and t."""
    batch = ["batch", *spec.shape]
    made = graph.made(
        [value("x", np.float32, batch), value("t", np.float32, ["batch"])], [value("output", np.float32, batch)]
    )
    opsets = [helper.make_opsetid("", 20), *(helper.make_opsetid(f.domain, 1) for f in changes.get("functions", []))]
    proto = helper.make_model(made, opset_imports=opsets, ir_version=10, **changes)
    onnx.checker.check_model(proto, full_check=True)
    return proto


PLAIN = NetworkSpec(shape=(4,), schedule="linear")


def test_weights_beyond_half_precision_are_refused():
    for largest, refused in ((65504.0, False), (65519.0, True), (-7e4, True), (np.nan, True)):
        graph = Graph("large")
        graph("Mul", "x", graph.constant([1, 2, largest, 3], np.float32), name="output")
        if refused:
            with pytest.raises(DtoolError, match=r"the weights .* reach .*, and half precision ends at 65504"):
                half(one(graph, PLAIN))
        else:
            assert weights(half(one(graph, PLAIN)), HALF) == 4


def overflowing():
    graph = Graph("overflow")
    hundreds = graph.constant(np.full(4, 300), np.float32)
    squares = graph("Mul", graph("Mul", "x", hundreds), hundreds)
    graph("Mul", squares, graph.constant(np.full(4, 1e-4), np.float32), name="output")
    return one(graph, PLAIN)


def test_overflow_is_seen_on_a_machine_without_half_precision():
    made, x = half(overflowing()), np.array([[0.1, 1, -1, 0.5]], np.float32)
    t = np.zeros(1, np.float32)
    got = load(rounded(made), PLAIN).predict(x, t)
    with np.errstate(over="ignore"):
        wanted = x.astype(np.float16) * np.float16(300) * np.float16(300) * np.float16(1e-4)
    assert np.isinf(wanted[0, 1])
    assert np.array_equal(got, wanted.astype(np.float32))
    assert np.isfinite(load(made, PLAIN).predict(x, t)).all()  # the CPU provider hides it: why `rounded` is there


@pytest.mark.parametrize("seed", range(4))
def test_rounded_is_half_precision_bit_for_bit(seed):
    random = np.random.default_rng(seed)
    graph, steps, name = Graph("chain"), [], "x"
    for _ in range(8):
        op, number = random.choice(["Mul", "Add", "Sub"]), random.uniform(0.5, 1.5, 4)
        name = graph(op, name, graph.constant(number, np.float32))
        steps.append((op, number.astype(np.float32).astype(np.float16)))
    graph("Neg", name, name="output")
    x = random.standard_normal((5, 4)).astype(np.float32)
    wanted = x.astype(np.float16)
    for op, number in steps:
        wanted = {"Mul": np.multiply, "Add": np.add, "Sub": np.subtract}[op](wanted, number)
    got = load(rounded(half(one(graph, PLAIN))), PLAIN).predict(x, np.zeros(5, np.float32))
    assert np.array_equal(got, -wanted.astype(np.float32))


def test_graphs_in_nodes_stay_in_float32_and_read_what_they_read():
    graph = Graph("outer")
    scale = graph.constant([1.5, 2.5, 3.5, 4.5], np.float32)
    scaled = graph("Mul", "x", scale)  # fp16, and read by the branches in float32
    branches = []
    for name, op in (("yes", "Add"), ("no", "Sub")):
        inner = Graph(name)
        out = inner(op, inner("Mul", scaled, scale), "x")
        branches.append(inner.made([], [value(out, np.float32, None)]))
    late = graph("Greater", graph("ReduceMax", "t", keepdims=0), graph.constant(500, np.float32))
    chosen = graph("If", late, then_branch=branches[0], else_branch=branches[1])
    graph("Add", graph("Mul", chosen, scale), scaled, name="output")
    proto = one(graph, PLAIN)
    made = half(proto)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    for time in (0, 999):
        assert error(load(proto, PLAIN), load(made, PLAIN), (x, np.full(3, time, np.float32))) < 2e-3
    assert sorted(kinds(made).values()) == [FLOAT, FLOAT, HALF]  # 500, and the scale twice


def test_resized_constants_and_functions():
    spec = NetworkSpec(shape=(1, 4, 4), schedule="linear")
    graph = Graph("various")
    doubled = graph("Resize", "x", "", graph.constant([1, 1, 2, 2], np.float32), mode="nearest")
    factor = graph("Constant", value=numpy_helper.from_array(np.array(0.3, np.float32)))
    other = graph("Constant", value_float=2.0)
    pooled = graph("AveragePool", graph("Mul", doubled, factor), kernel_shape=[2, 2], strides=[2, 2])
    graph("Square", graph("Mul", pooled, other), name="output", domain="local")
    nodes = [helper.make_node("Mul", ["a", "a"], ["b"])]
    square = helper.make_function("local", "Square", ["a"], ["b"], nodes, [helper.make_opsetid("", 20)])
    proto = one(graph, spec, functions=[square])
    made = half(proto)
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    got = load(made, spec).predict(x, np.zeros(2, np.float32))
    assert np.allclose(got, (0.6 * x) ** 2, rtol=5e-3, atol=1e-4)
    assert not made.functions


def test_an_output_that_is_read_inside_too():
    graph = Graph("twice")
    first = graph("Mul", "x", graph.constant([1, 2, 3, 4], np.float32), name="output")
    graph("Add", first, first, name="unused")
    made = half(one(graph, PLAIN))
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    assert np.allclose(load(made, PLAIN).predict(x, np.zeros(2, np.float32)), x * [1, 2, 3, 4], rtol=2e-3)


# Eight bits


def test_only_the_coarse_inner_layers_are_in_eight_bits(small):
    stored = {t.name: numpy_helper.to_array(t) for t in small.int8.graph.initializer if t.data_type == INT8}
    layers = {name: w for name, w in stored.items() if name.endswith("_quantized") and w.ndim > 1}
    assert layers
    assert max(np.abs(w.astype(int)).max() for w in layers.values()) <= 64  # seven bits: no sum of two saturates
    names = {name.removesuffix("_quantized") for name in layers}
    assert not names & {"first.weight", "last.weight", "time.0.weight", "time.2.weight", "waves.weight"}
    assert not [name for name in names if "modulate" in name]  # they never see x
    if len(small.spec.shape) > 1:
        assert not [name for name in names if name.startswith(("down.0", "up.0", "shrink.0", "grow.0"))]
        size = [len(p.SerializeToString()) for p in (small.int8, small.proto)]
        assert size[0] < 0.75 * size[1]


@pytest.mark.parametrize("seed", range(2))
def test_eight_bits_are_near_where_they_were_calibrated(small, seed):
    network = load(small.int8)
    runs = list(calibration(small.network, small.plan, images=2, seed=seed + 10))
    off = [error(small.network, network, tuple(feed.values())) for feed in runs]
    assert 0 < max(off) < 0.15


def test_eight_bits_mean_what_the_standard_says(unet):
    from onnx.reference import ReferenceEvaluator

    given = feeds(unet.spec, 2, seed=4)
    wanted = ReferenceEvaluator(unet.int8).run(None, given)[0]
    got = load(unet.int8).predict(*given.values())
    assert np.linalg.norm(got - wanted) < 0.02 * np.linalg.norm(wanted)


def test_ranges_are_those_of_all_times():
    """Activations that grow with t: calibrated at the last time only, the first is cut off."""
    graph, random = Graph("grows"), np.random.default_rng(0)
    scale = graph("Mul", graph("Add", "t", graph.constant(10, np.float32)), graph.constant(1e-3, np.float32))
    name = graph("Mul", "x", graph("Unsqueeze", scale, graph.ints(1)))
    for i in range(3):
        last = {"name": "output"} if i == 2 else {}
        name = graph("MatMul", name, graph.constant(random.standard_normal((4, 4)) / 2, np.float32), **last)
    spec = NetworkSpec(shape=(4,), schedule="linear", prediction="v")
    proto = one(graph, spec)
    network = load(proto, spec)
    plan = dtool.plan("ddim", steps=8, network=network)
    runs = list(calibration(network, plan, images=4))
    early = tuple(runs[0].values())
    assert early[1][0] == plan.time.max()
    good = error(network, load(int8(proto, spec, runs), spec), early)
    poor = error(network, load(int8(proto, spec, runs[-1:]), spec), early)
    assert good < 0.05
    assert poor > 5 * good


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "nothing to calibrate with"),
        ([{"x": np.zeros((2, 5), np.float32), "t": np.zeros(2)}], r"x of shape \(2, 5\)"),
        ([{"t": np.zeros(2)}], "holds t, no x; it takes x, t"),
        ([{"x": np.full((1, 4), np.nan, np.float32), "t": np.zeros(1)}], "to calibrate with"),
    ],
)
def test_bad_batches_are_refused(batches, message):
    with pytest.raises(UsageError, match=message):
        int8(overflowing(), PLAIN, batches)


def test_a_network_without_products_is_refused():
    with pytest.raises(DtoolError, match="no convolution or product with weights"):
        int8(overflowing(), PLAIN, [feeds(PLAIN, 2)])


# Calibration


@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m/karras", "heun", "ddpm"])
def test_calibration_is_what_the_network_is_given(unet, recipe):
    plan = dtool.plan(recipe, steps=4, network=unet.network)
    runs = list(calibration(unet.network, plan, images=3, seed=7))
    assert [float(feed["t"][0]) for feed in runs] == plan.time.astype(np.float32).tolist()
    assert all(feed["x"].shape == (3, *unet.spec.shape) and feed.keys() == {"x", "t"} for feed in runs)
    trace = sample(unet.network, plan, n=3, seed=7, trace=True).trace
    starts = np.flatnonzero(np.r_[True, plan.step_end[:-1]])
    for step, row in enumerate(starts):
        expected = trace.x[step] * plan.c_in[row]
        assert np.allclose(runs[row]["x"], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_guidance_calibrates_both_halves():
    seen = []

    def network(x, t, label):
        seen.append(label.copy())
        return 0.1 * x

    net = dtool.network(network, shape=(2,), classes=3)
    plan = dtool.plan("ddim", steps=3, network=net)
    for labels, guidance, wanted in ((None, 2.0, [3, 3, 0, 1]), ([2, -1], 2.0, [3, 3, 2, 3]), (1, 1.0, [1, 1])):
        seen.clear()
        runs = list(calibration(net, plan, images=2, labels=labels, guidance=guidance))
        assert [feed["label"].tolist() for feed in runs] == [wanted] * 3 == [label.tolist() for label in seen]


@pytest.mark.parametrize("room", [1, 100, 400, 1000])
def test_a_limit_of_memory_changes_nothing_that_is_seen(room):
    net = dtool.network(lambda x, t: np.tanh(x) * t[:, None] / 1000, shape=(3,))
    plan = dtool.plan("ddpm", steps=6, network=net)

    def rows(**limit):
        runs = calibration(net, plan, images=5, seed=2, **limit)
        return sorted((float(t), *x.tolist()) for feed in runs for x, t in zip(feed["x"], feed["t"], strict=True))

    assert rows(room=room) == rows()
    assert len(rows()) == 30
    largest = max(sum(v.nbytes for v in feed.values()) for feed in calibration(net, plan, images=5, room=room))
    assert largest <= max(room, 28)


def test_nothing_calibrates_nothing(unet):
    with pytest.raises(UsageError, match="0 images"):
        next(calibration(unet.network, unet.plan, images=0))


# What is lost


def by(function, **fields):
    """A network that predicts the image: what a run ends with is its last answer."""
    return dtool.network(function, prediction="x0", **{"shape": (4,), **fields})


def compare(one, other, **options) -> Loss:
    plan = dtool.plan("ddim", steps=4, network=one)
    return measure(one, other, plan, **{"kind": "half", "sizes": (100, 50), "repeats": 0, **options})


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_loss_is_what_it_is_by_hand(unit):
    """The last answer is off by 0.1 of a unit everywhere; in other units of the data, the same part is lost."""
    one = by(lambda x, t: np.clip(unit * np.tanh(5 * x), -unit, unit))
    other = by(lambda x, t: np.clip(unit * np.tanh(5 * x), -unit, unit) + np.float32(0.1 * unit))
    plan = dtool.plan("ddim", steps=1, network=one)
    found = measure(one, other, plan, kind="int8", sizes=(100, 50), n=200, repeats=0)
    images = sample(one, plan, n=200, seed=1).x0
    low, high = np.quantile(images, [0.005, 0.995])
    assert found.span == pytest.approx(high - low, rel=1e-6)
    for figure in (found.rmse, found.median, found.worst, found.largest):
        assert figure == pytest.approx(0.1 * unit, rel=1e-4)
    assert found.relative == pytest.approx(0.1 * unit / (high - low), rel=1e-4)
    assert found.psnr == pytest.approx(-20 * np.log10(found.relative))
    wanted = 0.1 * unit * np.sqrt(images.size) / np.linalg.norm(images)
    assert found.call == pytest.approx(wanted, rel=1e-4)
    assert found.worst_time == plan.time[0]


def test_the_worst_call_and_its_time():
    def off(x, t):
        return np.tanh(x) * np.where(t > 700, 1.5, 1.01)[:, None].astype(np.float32)

    one = by(lambda x, t: np.tanh(x))
    found = compare(one, by(off))
    times = dtool.plan("ddim", steps=4, network=one).time
    assert found.worst_time in times[times > 700]
    assert found.worst_call == pytest.approx(0.5, rel=1e-4)
    assert found.call == pytest.approx(np.where(times > 700, 0.5, 0.01).mean(), rel=1e-4)


def test_nothing_lost():
    one = by(lambda x, t: np.tanh(x), shape=(1, 4, 4))
    found = compare(one, one)
    assert (found.rmse, found.relative, found.call, found.worst_call) == (0, 0, 0, 0)
    assert found.psnr == math.inf
    assert found.quality is None
    assert json.loads(json.dumps(found.to_dict()))["psnr"] is None
    require(found, 0.0)


def test_quality_is_the_distance_of_each():
    random = np.random.default_rng(0)
    known = statistics(random.uniform(-1, 1, (50, 1, 6, 6)), (3, 3))
    one, other = (by(lambda x, t, a=a: np.tanh(a * x), shape=(1, 6, 6)) for a in (3, 1))
    one.spec = one.spec.model_copy(update={"statistics": known})
    found = compare(one, other, n=20)
    plan = dtool.plan("ddim", steps=4, network=one)
    for network, got in ((one, found.quality.original), (other, found.quality.small)):
        assert got == pytest.approx(distance(sample(network, plan, n=20, seed=1).x0, known), rel=1e-6)
    assert found.quality.small != found.quality.original
    assert "Fréchet" in str(found)


def test_a_loss_above_the_threshold_is_refused():
    one, other = by(lambda x, t: np.tanh(x)), by(lambda x, t: np.tanh(x) * np.float32(1.2))
    found = compare(one, other)
    assert found.relative > losses.ALLOWED
    figure = re.escape(f"{found.relative:.2%}")
    with pytest.raises(GateError, match=rf"half moves the images by {figure} .* allowed are 3.00%") as caught:
        require(found)
    assert "--allow-loss" in caught.value.hint
    require(found, found.relative)
    require(found, math.inf)
    with pytest.raises(DtoolError):
        require(found, found.relative * 0.999)


def test_what_is_not_finite_is_refused():
    made = half(overflowing())
    net, emulation = load(overflowing(), PLAIN), load(rounded(made), PLAIN)
    plan = dtool.plan("ddim", steps=3, network=net)
    sizes = {"kind": "half", "sizes": (2, 1), "repeats": 0}
    with pytest.raises(DtoolError, match=r"not finite, at t = ") as caught:
        measure(net, load(made, PLAIN), plan, emulation=emulation, **sizes)
    assert "half" in caught.value.hint


@pytest.mark.parametrize("kind", ["half", "int8"])
def test_a_whole_comparison(small, kind):
    made = getattr(small, kind)
    sizes = len(small.proto.SerializeToString()), len(made.SerializeToString())
    emulation = load(rounded(made)) if kind == "half" else None
    found = measure(
        small.network, load(made), small.plan, kind=kind, sizes=sizes, n=4, emulation=emulation, repeats=3, batch=2
    )
    assert 0 < found.call <= found.worst_call < (0.01 if kind == "half" else 0.15)
    assert 0 < found.median <= found.worst <= found.largest
    assert found.median <= 2 * found.rmse
    text = str(found)
    assert f"{sizes[0] / 1e6:.2f} MB, now {sizes[1] / 1e6:.2f} MB" in text
    assert f"{found.relative:.2%} of their span ({found.psnr:.1f} dB)" in text
    assert "(batch 2, cpu" in text
    assert ("no word on GPUs" in text) == ("fp16 emulated" in text) == (kind == "half")
    assert min(found.milliseconds) > 0
    assert json.loads(json.dumps(found.to_dict()))["relative"] == found.relative
