"""A codec's decoder as an ONNX graph: from latents `(batch, *latent_shape)` to pictures, cut off at -1 and 1."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import torch
from onnx import compose, helper, numpy_helper

from dtool.errors import DtoolError, UsageError
from dtool.export.network.attention import fuse_attention
from dtool.export.network.graph import clean, examine, run_exporter
from dtool.export.network.inputs import BATCH
from dtool.export.network.opset import load_at_opset
from dtool.export.network.opset_numbers import OPSET
from dtool.export.size_limit import module_size, require_exportable
from dtool.models.codec import Codec
from dtool.models.readers.onnx_parts import OnnxCodec as OnnxParts
from dtool.run.load_codec import OnnxCodec

LATENTS, PICTURES = "latents", "pictures"
INNER = "inner/"


def export_decoder(codec: Codec) -> onnx.ModelProto:
    """The graph, its input called LATENTS and its output PICTURES.

    Raises UsageError for a codec that cannot be exported, DtoolError for a decoder that cannot.
    """
    return _read_decoder(codec) if isinstance(codec, (OnnxCodec, OnnxParts)) else _export_module(codec)


class _Clipped(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        pictures: torch.Tensor = self.inner(latents)
        return pictures.clamp(-1, 1)


def _export_module(codec: Codec) -> onnx.ModelProto:
    module = codec.to_module()
    require_exportable(module_size(module), "the decoder")
    module = _Clipped(copy.deepcopy(module)).to("cpu").float().eval()
    example = torch.randn((2, *codec.latent_shape), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        shape = tuple(module(example).shape)
    if shape != (2, *codec.picture_shape):
        raise DtoolError(f"the decoder makes {shape} of two latents", f"it must make {(2, *codec.picture_shape)}")
    proto = run_exporter(module, (example,), ({0: BATCH},), (LATENTS,), (PICTURES,))
    clean(proto)
    examine(proto)
    fuse_attention(proto)
    return proto


def _read_decoder(codec: OnnxCodec | OnnxParts) -> onnx.ModelProto:
    """A decoder from a file, with the scale and shift of the latents before it."""
    proto = load_at_opset(codec.path)
    opset = next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))
    several = "has several outputs" if len(proto.graph.output) != 1 else ""
    other = f"is of opset {opset}, and a network's file of {OPSET}" if opset != OPSET else several
    if other:
        raise UsageError(
            f"{codec.path} {other}", "export it again so, or leave it out, with decode=False (--no-decode)"
        )
    clean(proto)
    examine(proto)
    compose.add_prefix_graph(proto.graph, INNER, inplace=True)
    graph = proto.graph
    weights = {tensor.name for tensor in graph.initializer}
    [source] = [value for value in graph.input if value.name not in weights]
    [result] = graph.output
    floats = onnx.TensorProto.FLOAT
    if any(value.type.tensor_type.elem_type != floats for value in (source, result)):
        raise UsageError(f"{codec.path} is not of float32", "export it so, or leave it out, with decode=False")
    constants = {"scale": codec.scale, "shift": codec.shift, "low": -1.0, "high": 1.0}
    graph.initializer.extend(numpy_helper.from_array(np.array(v, np.float32), name) for name, v in constants.items())
    nodes = [
        helper.make_node("Div", [LATENTS, "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], [source.name]),
        *graph.node,
        helper.make_node("Clip", [result.name, "low", "high"], [PICTURES]),
    ]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info(LATENTS, floats, [BATCH, *codec.latent_shape]))
    graph.output.append(helper.make_tensor_value_info(PICTURES, floats, [BATCH, *codec.picture_shape]))
    return proto
