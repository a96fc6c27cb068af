"""A smaller network in the place of the larger one: what stays as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from onnx import TensorProto  # noqa: E402 - after the check that onnx is there

from dtool.export.network.graph import walk  # noqa: E402
from dtool.export.smaller.emulated_half import emulate_half  # noqa: E402
from dtool.export.smaller.half import convert_to_half  # noqa: E402
from dtool.export.smaller.int8 import quantise_to_int8  # noqa: E402
from dtool.export.smaller.loss import measure_loss  # noqa: E402
from tests.support.small_exports import (  # noqa: E402
    draw_feeds,
    draw_inputs,
    load_proto,
)


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
    network = load_proto(made)
    assert network.spec == small.spec
    for batch in (1, 2, 5):
        given = draw_inputs(small.spec, batch, seed=batch)
        alone = network.predict(*(part[-1:] for part in given))
        assert np.allclose(network.predict(*given)[-1:], alone, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("which", ["half", "int8"])
def test_the_original_is_not_changed(unet, which):
    before = unet.proto.SerializeToString(deterministic=True)
    again = (
        convert_to_half(unet.proto)
        if which == "half"
        else quantise_to_int8(unet.proto, unet.spec, [draw_feeds(unet.spec, 3)])
    )
    assert unet.proto.SerializeToString(deterministic=True) == before
    assert again.SerializeToString() != before


@pytest.mark.parametrize("kind", ["half", "int8"])
def test_a_whole_comparison(small, kind):
    made = getattr(small, kind)
    sizes = len(small.proto.SerializeToString()), len(made.SerializeToString())
    emulation = load_proto(emulate_half(made)) if kind == "half" else None
    found = measure_loss(
        small.network,
        load_proto(made),
        small.plan,
        kind=kind,
        sizes=sizes,
        n=4,
        emulation=emulation,
        repeats=3,
        batch=2,
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
