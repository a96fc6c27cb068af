"""Matrices in eight bits: what they lose is small and told, and other inputs and outputs stay as they are."""

import numpy as np
import pytest

for package in ("torch", "onnx", "onnxscript", "onnxruntime", "tokenizers"):
    pytest.importorskip(package)
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from dtool.export.network.text_parts import TextGraph  # noqa: E402
from dtool.export.smaller.text_weights import shrink_text  # noqa: E402
from dtool.models.token_ids import encode_empty, encode_prompts  # noqa: E402
from tests.support.tiny_sentences import make_tokenizer  # noqa: E402

WIDTH = 128


def make_text(outlier: float = 1.0) -> TextGraph:
    """A table, a product with columns of many sizes and a row that is `outlier` times larger, and a Gemm of W^T."""
    rng = np.random.default_rng(0)
    arrays = {
        "table": rng.standard_normal((64, WIDTH)),
        "product": rng.standard_normal((WIDTH, WIDTH)) * np.logspace(-2, 1, WIDTH) / WIDTH**0.5,
        "gemm": rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5,
        "small": rng.standard_normal((WIDTH, 4)),
    }
    arrays["product"][3] *= outlier
    arrays["product"][:, 5] = 0
    arrays["gemm"] /= np.concatenate([np.logspace(-2, 1, WIDTH)])
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("ReduceMean", ["words", "one"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "product"], ["mixed"]),
        helper.make_node("Gemm", ["mixed", "gemm"], ["text"], transB=1),
        helper.make_node("MatMul", ["text", "small"], ["unused"]),
    ]
    weights = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(
        nodes, "text", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", 6])],
        [helper.make_tensor_value_info("text", TensorProto.FLOAT, ["batch", WIDTH])],
        [*weights, numpy_helper.from_array(np.array([1]), "one")],
    )  # fmt: skip
    tokenizer = make_tokenizer()
    tokenizer.enable_truncation(6)
    tokenizer.enable_padding(length=6)
    document = tokenizer.to_str()
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return TextGraph(proto, ("input_ids",), (document,), (encode_empty(document, 6),))


@pytest.mark.parametrize("outlier", [1.0, 100.0])
def test_what_is_made_stays_near_and_the_loss_says_how_near(outlier):
    text = make_text(outlier)
    before = text.proto.SerializeToString()
    small, loss = shrink_text(text)
    assert text.proto.SerializeToString() == before
    kinds = {one.name: one.data_type for one in small.proto.graph.initializer}
    assert kinds["small"] == TensorProto.FLOAT
    assert [name for name, kind in kinds.items() if kind == TensorProto.INT8] == [
        "table/int8", "product/int8", "gemm/int8",
    ]  # fmt: skip
    ids = encode_prompts(text.tokenizers[0], ["a red square", "a dark picture of a square"])
    one, other = (
        onnxruntime.InferenceSession(each.proto.SerializeToString()).run(["text"], {"input_ids": ids})[0]
        for each in (text, small)
    )
    assert 0 < np.linalg.norm(one - other) / np.linalg.norm(one) < 0.02
    assert 0.9995 < loss.cosine < 1
    assert (loss.before, loss.after) == (len(before), small.proto.ByteSize())
    assert loss.after < 0.32 * loss.before
    assert f"{loss.cosine:.5f}" in str(loss)
