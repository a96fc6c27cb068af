"""Eight bits: which layers, which ranges, and how near."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from onnx import numpy_helper  # noqa: E402 - after the check that onnx is there

from dtool.export.sampler.graph_builder import GraphBuilder  # noqa: E402
from dtool.export.smaller.int8 import collect_calibration, quantise_to_int8  # noqa: E402
from tests.support.small_exports import (  # noqa: E402
    INT8,
    PLAIN,
    draw_feeds,
    load_proto,
    make_model,
    measure_error,
    overflowing,
)


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


def test_every_channel_of_a_layer_has_a_scale_of_its_own(small):
    scales = {t.name: numpy_helper.to_array(t) for t in small.int8.graph.initializer if t.name.endswith("_scale")}
    stored = {t.name: t.dims for t in small.int8.graph.initializer if t.data_type == INT8 and len(t.dims) > 1}
    assert stored
    for name in stored:
        scale = scales[name.removesuffix("_quantized") + "_scale"]
        assert scale.size > 1
        assert scale.size in stored[name]


@pytest.mark.parametrize("seed", range(2))
def test_eight_bits_are_near_where_they_were_calibrated(small, seed):
    network = load_proto(small.int8)
    runs = list(collect_calibration(small.network, small.plan, images=2, seed=seed + 10))
    off = [measure_error(small.network, network, tuple(feed.values())) for feed in runs]
    assert 0 < max(off) < 0.15


def test_eight_bits_mean_what_the_standard_says(unet):
    from onnx.reference import ReferenceEvaluator

    given = draw_feeds(unet.spec, 2, seed=4)
    wanted = ReferenceEvaluator(unet.int8).run(None, given)[0]
    got = load_proto(unet.int8).predict(*given.values())
    assert np.linalg.norm(got - wanted) < 0.02 * np.linalg.norm(wanted)


def test_ranges_are_those_of_all_times():
    """Activations that grow with t: calibrated at the last time only, the first is cut off."""
    graph, random = GraphBuilder("grows"), np.random.default_rng(0)
    scale = graph("Mul", graph("Add", "t", graph.constant(10, np.float32)), graph.constant(1e-3, np.float32))
    name = graph("Mul", "x", graph("Unsqueeze", scale, graph.ints(1)))
    for i in range(3):
        last = {"name": "output"} if i == 2 else {}
        name = graph("MatMul", name, graph.constant(random.standard_normal((4, 4)) / 2, np.float32), **last)
    spec = NetworkSpec(shape=(4,), schedule="linear", prediction="v")
    proto = make_model(graph, spec)
    network = load_proto(proto, spec)
    plan = dtool.plan("ddim", steps=8, network=network)
    runs = list(collect_calibration(network, plan, images=4))
    early = tuple(runs[0].values())
    assert early[1][0] == plan.time.max()
    good = measure_error(network, load_proto(quantise_to_int8(proto, spec, runs), spec), early)
    poor = measure_error(network, load_proto(quantise_to_int8(proto, spec, runs[-1:]), spec), early)
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
        quantise_to_int8(overflowing(), PLAIN, batches)


def test_a_network_without_products_is_refused():
    with pytest.raises(DtoolError, match="no convolution or product with weights"):
        quantise_to_int8(overflowing(), PLAIN, [draw_feeds(PLAIN, 2)])


def test_nothing_calibrates_nothing(unet):
    with pytest.raises(UsageError, match="0 images"):
        next(collect_calibration(unet.network, unet.plan, images=0))
