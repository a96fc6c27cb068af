"""The decoder's graph in a sampler's file, and out of it again."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402

from dtool.errors import DtoolError  # noqa: E402
from dtool.export.sampler.decoder_graph import add_decoder, extract_decoder, merge_functions  # noqa: E402
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info  # noqa: E402


def make_decoder():
    """Twice the latent, in the shape of a picture."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["latents", "two"], ["doubled"]),
            helper.make_node("Reshape", ["doubled", "shape"], ["pictures"]),
        ],
        "decoder",
        [make_value_info("latents", np.float32, ["batch", 4])],
        [make_value_info("pictures", np.float32, ["batch", 1, 2, 2])],
        [
            numpy_helper.from_array(np.float32(2).reshape(()), "two"),
            numpy_helper.from_array(np.array([-1, 1, 2, 2]), "shape"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_each_latent_becomes_a_picture_and_the_decoder_is_found_again():
    builder = GraphBuilder("sampler")
    builder("Identity", "x", name="latents")
    add_decoder(builder, make_decoder(), (1, 2, 2))
    outputs = [
        make_value_info("images", np.float32, ["batch", 1, 2, 2]),
        make_value_info("latents", np.float32, ["batch", 4]),
    ]
    graph = builder.build([make_value_info("x", np.float32, ["batch", 4])], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    [images] = ort.InferenceSession(model.SerializeToString()).run(["images"], {"x": x})
    assert np.array_equal(images, 2 * x.reshape(3, 1, 2, 2))
    again = extract_decoder(model)
    onnx.checker.check_model(again, full_check=True)
    [pictures] = ort.InferenceSession(again.SerializeToString()).run(None, {"latents": x})
    assert np.array_equal(pictures, images)


def test_two_functions_of_one_name():
    def with_function(op):
        made = make_decoder()
        node = helper.make_node(op, ["a"], ["b"])
        made.functions.append(helper.make_function("own", "f", ["a"], ["b"], [node], [helper.make_opsetid("", 20)]))
        return made

    assert len(merge_functions(with_function("Neg"), with_function("Neg"))) == 1
    assert merge_functions(make_decoder(), None) == []
    with pytest.raises(DtoolError, match="two of the parts have each a function f"):
        merge_functions(with_function("Neg"), with_function("Abs"))
