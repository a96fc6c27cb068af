"""Attention as one node: the same numbers, by ONNX Runtime's kernel and by the function in the file."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import helper
from torch import nn

import dtool
from dtool.errors import DtoolError
from dtool.export.network.attention import DOMAIN, NAME, fuse_attention
from dtool.export.network.graph import OPSET, clean, run_exporter

LENGTH, HEADS = 12, 3


class Attending(nn.Module):
    """Self-attention and cross-attention, and one with what `odd` says."""

    def __init__(self, width: int, odd: str = "") -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(width, 3 * width), nn.Linear(width, width), nn.Linear(5, 2 * width)])
        self.odd = odd

    def attend(self, q, k, v, mask=None):
        q, k, v = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in (q, k, v))
        made = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return made.transpose(1, 2).flatten(2)

    def forward(self, x, text):
        x = x + self.attend(*self.parts[0](x).chunk(3, -1))
        if self.odd == "mask":
            return x + self.attend(x, x, x, torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril())
        if self.odd == "scores":
            return x + torch.softmax(x @ x.transpose(1, 2), -1) @ x
        return x + self.attend(self.parts[1](x), *self.parts[2](text).chunk(2, -1))


def export(width: int, odd: str = "") -> tuple[onnx.ModelProto, nn.Module, list[np.ndarray]]:
    torch.manual_seed(1)
    module = Attending(width, odd).eval()
    arguments = torch.randn(4, LENGTH, width), torch.randn(4, 7, 5)
    batch = torch.export.Dim("batch")
    proto = run_exporter(module, arguments, ({0: batch}, {0: batch}), ("x", "text"), ("output",))
    clean(proto)
    return proto, module, [each.numpy() for each in arguments]


def run(proto: onnx.ModelProto, arrays: list[np.ndarray]) -> np.ndarray:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip((value.name for value in session.get_inputs()), arrays, strict=True)))[0]


def count_nodes(proto: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in proto.graph.node)


@pytest.mark.parametrize("width", [6, 48])
def test_the_numbers_are_those_of_the_module(width):
    proto, module, arrays = export(width)
    assert fuse_attention(proto) == 2
    counts = count_nodes(proto)
    assert (counts[NAME], counts["Softmax"], counts["Shape"]) == (2, 0, 0)
    onnx.checker.check_model(proto, full_check=True)
    expected = module(*map(torch.from_numpy, arrays)).detach().numpy()
    np.testing.assert_allclose(run(proto, arrays), expected, atol=2e-6)
    alone = run(proto, [each[2:3] for each in arrays])
    np.testing.assert_allclose(alone, expected[2:3], atol=2e-6)


@pytest.mark.parametrize("width", [6, 48])
def test_a_runtime_without_the_operator_runs_the_function(width):
    proto, _, arrays = export(width)
    plain = onnx.ModelProto()
    plain.CopyFrom(proto)
    fuse_attention(proto)
    for node in (*proto.graph.node, *proto.opset_import, *proto.functions):
        node.domain = node.domain.replace(DOMAIN, "elsewhere")  # where ONNX Runtime has no operator of this name
    np.testing.assert_allclose(run(proto, arrays), run(plain, arrays), atol=2e-6)
    reference = onnx.reference.ReferenceEvaluator(proto).run(None, dict(zip(("x", "text"), arrays, strict=True)))[0]
    np.testing.assert_allclose(reference, run(plain, arrays), atol=2e-6)


@pytest.mark.parametrize("odd", ["mask", "scores"])
def test_what_is_of_another_form_stays(odd):
    proto, _, arrays = export(6, odd)
    before = run(proto, arrays)
    assert fuse_attention(proto) == 1
    assert count_nodes(proto)["Softmax"] == 1
    np.testing.assert_allclose(run(proto, arrays), before, atol=2e-6)


def test_without_attention_nothing_changes():
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "g", [x], [x])
    graph.output[0].name = "y"
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    before = proto.SerializeToString()
    assert fuse_attention(proto) == 0
    assert proto.SerializeToString() == before


class Network(nn.Module):
    """F(x, t) with attention in it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Attending(6, "none")
        self.inner.parts[2] = nn.Linear(6, 12)

    def forward(self, x, t):
        return self.inner(x * torch.cos(t)[:, None, None], x)


def test_an_exported_network_becomes_a_sampler_and_is_read_back(tmp_path):
    torch.manual_seed(0)
    spec = dtool.NetworkSpec(shape=(LENGTH, 6), schedule="linear")
    report = dtool.export((Network().eval(), spec), tmp_path / "network.onnx", steps=3)
    assert report.comparisons
    assert count_nodes(onnx.load(tmp_path / "network.onnx"))[NAME] == 2
    dtool.export(tmp_path / "network.onnx", tmp_path / "sampler.onnx", plan="ddim", steps=3)
    drawn = dtool.sample(dtool.load(tmp_path / "sampler.onnx"), n=2, seed=1)
    expected = dtool.sample(dtool.load(tmp_path / "network.onnx"), "ddim", steps=3, n=2, seed=1)
    np.testing.assert_allclose(drawn.x0, expected.x0, atol=1e-5)


def test_an_operator_that_the_file_does_not_define_is_refused(tmp_path):
    torch.manual_seed(0)
    spec = dtool.NetworkSpec(shape=(LENGTH, 6), schedule="linear")
    dtool.export((Network().eval(), spec), tmp_path / "network.onnx", check=False)
    proto = onnx.load(tmp_path / "network.onnx")
    del proto.functions[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    with pytest.raises(DtoolError, match=f"uses {NAME} of {DOMAIN}, which other programs may lack"):
        dtool.export(tmp_path / "foreign.onnx", tmp_path / "sampler.onnx", plan="ddim", steps=3)
