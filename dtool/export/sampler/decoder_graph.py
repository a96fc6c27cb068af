"""The decoder behind a sampler's loop: one sample after another becomes a picture, so that memory is bounded."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import compose, helper

from dtool.errors import DtoolError
from dtool.export.sampler.graph_builder import GraphBuilder, make_value_info

DECODER = "decoder/"
LOOP = "decoding"


def add_decoder(graph: GraphBuilder, decoder: onnx.ModelProto, picture_shape: tuple[int, ...]) -> None:
    """images `(batch, *picture_shape)` of latents `(batch, *shape)`."""
    count = graph("Reshape", graph("Shape", "latents", start=0, end=1), graph.ints())
    body = _build_body(decoder.graph, picture_shape)
    graph.nodes.append(
        helper.make_node("Loop", [count, graph.constant(True, np.bool_)], ["images"], name=LOOP, body=body)
    )


def _build_body(decoder: onnx.GraphProto, picture_shape: tuple[int, ...]) -> onnx.GraphProto:
    """The loop's body: one latent to one picture; the decoder's weights lie in it."""
    graph = GraphBuilder("picture")
    inside = onnx.GraphProto()
    inside.CopyFrom(decoder)
    weights = {tensor.name: DECODER + tensor.name for tensor in decoder.initializer}
    compose.add_prefix_graph(inside, DECODER, inplace=True, name_map=weights)
    stored = {tensor.name for tensor in inside.initializer}
    [source] = [value.name for value in inside.input if value.name not in stored]
    place = graph("Reshape", "sample", graph.ints(1))
    graph("Gather", "latents", place, axis=0, name=source)
    graph.nodes.extend(inside.node)
    graph.initializers.extend(inside.initializer)
    graph("Squeeze", inside.output[0].name, graph.ints(0), name="picture_of_sample")
    graph("Identity", "go_on_decoding", name="going_on_decoding")
    inputs = [make_value_info("sample", np.int64, []), make_value_info("go_on_decoding", np.bool_, [])]
    outputs = [
        make_value_info("going_on_decoding", np.bool_, []),
        make_value_info("picture_of_sample", np.float32, picture_shape),
    ]
    return graph.build(inputs, outputs)


def merge_functions(network: onnx.ModelProto, *others: onnx.ModelProto | None) -> list[onnx.FunctionProto]:
    """The functions of all; raises DtoolError for two of one name that are not the same."""
    functions = {(f.domain, f.name): f for f in network.functions}
    for function in (function for other in others if other for function in other.functions):
        if functions.setdefault((function.domain, function.name), function) != function:
            raise DtoolError(
                f"two of the parts have each a function {function.name}",
                "leave the decoder, or the weaker network, out",
            )
    return list(functions.values())


def merge_opsets(network: onnx.ModelProto, *others: onnx.ModelProto | None) -> list[onnx.OperatorSetIdProto]:
    """The versions of the operators that the network uses, and of what the others use beside them."""
    versions: dict[str, int] = {}
    for part in (network, *(other for other in others if other)):
        for opset in part.opset_import:
            versions.setdefault("" if opset.domain == "ai.onnx" else opset.domain, opset.version)
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]


def extract_decoder(model: onnx.ModelProto) -> onnx.ModelProto:
    """The decoder's graph, taken out of the file again."""
    loop = next(node for node in model.graph.node if node.name == LOOP)
    body: onnx.GraphProto = helper.get_node_attr_value(loop, "body")
    own = [node for node in body.node if node.name.startswith("picture/")]
    source = next(name for node in own for name in node.output if name.startswith(DECODER))
    result = next(name for node in own if node.op_type == "Squeeze" for name in node.input[:1])
    floats, picture = onnx.TensorProto.FLOAT, body.output[1].type.tensor_type.shape.dim
    latents = next(value for value in model.graph.output if value.name == "latents")
    shape = ["batch", *(d.dim_value for d in latents.type.tensor_type.shape.dim[1:])]
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["latents"], [source]),
            *(node for node in body.node if node not in own),
            helper.make_node("Identity", [result], ["pictures"]),
        ],
        "decoder",
        [helper.make_tensor_value_info("latents", floats, shape)],
        [helper.make_tensor_value_info("pictures", floats, ["batch", *(d.dim_value for d in picture)])],
        [tensor for tensor in body.initializer if tensor.name.startswith(DECODER)],
    )
    decoder: onnx.ModelProto = helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )
    return decoder
