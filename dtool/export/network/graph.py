"""From a PyTorch network to an ONNX graph: the exporter, and what is refused of what it makes."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from dtool.errors import DtoolError
from dtool.export.network.attention import fuse_attention
from dtool.export.network.inputs import ByPosition, list_inputs, make_example_inputs, name_dynamic_axes
from dtool.export.network.opset_numbers import OPSET
from dtool.export.size_limit import graph_size, is_large, require_exportable
from dtool.models.spec import NetworkSpec
from dtool.version import __version__

IR_VERSION = 10
OUTPUT = "output"
RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def to_onnx(module: nn.Module, spec: NetworkSpec, large: bool = False) -> onnx.ModelProto:
    """The graph of `F(x, t[, label][, conditions])` with a dynamic batch, and nothing about where it was made.

    The inputs are called x, t, label, and as the conditions are; a length that varies is dynamic, too.
    module: on the CPU, float32, in eval mode, called as in `dtool.run.torch_backend.TorchNetwork`.
    large: whether it may have more than 2 GB of weights. Raises DtoolError if the network is not one of `spec`'s,
    cannot be exported, or makes a graph that could not be trusted (see `examine`).
    """
    arguments = make_example_inputs(spec, batch=3)
    if spec.conditions:
        module = ByPosition(module, spec).eval()
    _require_network(module, arguments, spec)
    axes = name_dynamic_axes(spec)
    shapes = (axes[0], axes[1], tuple(axes[2:])) if isinstance(module, ByPosition) else tuple(axes)
    proto = run_exporter(module, arguments, shapes, list_inputs(spec), (OUTPUT,), large=large)
    clean(proto)
    examine(proto)
    fuse_attention(proto)
    return proto


def _require_network(module: nn.Module, arguments: tuple[Tensor, ...], spec: NetworkSpec) -> None:
    for name, weight in (*module.named_parameters(), *module.named_buffers()):
        if not torch.isfinite(weight).all():
            raise DtoolError(f"the weights hold NaN or infinity (in {name})", "export an earlier checkpoint")
    call = f"F({', '.join(list_inputs(spec))})"
    try:
        with torch.no_grad():
            output = module(*arguments)
    except DtoolError:  # what it returns is no tensor
        raise
    except Exception as error:
        cause = f"the network cannot be called as {call} with samples of shape {spec.shape} ({_first_line(error)})"
        hint = "give a spec that fits it, or wrap it in a module that does"
        if spec.guidable:
            hint += f"; null_class=False in the spec if label {spec.classes}, which means no class, is not one it knows"
        raise DtoolError(cause, hint) from error
    if not isinstance(output, Tensor):
        raise DtoolError(
            f"{call} returns a {type(output).__name__}, not a tensor",
            "wrap it in a module that returns the tensor alone",
        )
    if output.shape != (len(output), *spec.output_shape):
        raise DtoolError(
            f"{call} returns shape {tuple(output.shape)} for x of shape {tuple(arguments[0].shape)}",
            "the output has one number for each number of x, or two with learned_variance=True in the spec",
        )


def run_exporter(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    shapes: tuple[Any, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    large: bool = False,
) -> onnx.ModelProto:
    """The graph of a module, as PyTorch's exporter makes it; shapes: the axes of each input that vary, by name.
    large: whether it may have more weights than a file holds.

    Raises DtoolError that says in a line why it cannot be exported.
    """
    try:
        with _silence_exporter():
            program = torch.onnx.export(
                module,
                arguments,
                dynamo=True,
                opset_version=OPSET,
                input_names=inputs,
                output_names=outputs,
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
            )
            assert program is not None, "the exporter that writes no file returns a program"
            proto = program.model_proto
            if not (large and is_large(proto)):  # else its file is checked, in the end
                require_exportable(graph_size(proto), "the graph")
                onnx.checker.check_model(proto, full_check=True)
    except DtoolError:
        raise
    except Exception as error:
        raise _refusal_error(error) from error
    return proto


@contextlib.contextmanager
def _silence_exporter() -> Iterator[None]:
    """The exporter prints its progress, warns and logs; its errors are ours to tell."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _refusal_error(error: BaseException) -> DtoolError:
    """What the exporter's chain of errors comes down to."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    text = "\n".join(str(e) for e in chain)
    line = re.search(r"The following call raised this error:\n.*\n\s*(\S.*)", text)
    where = f", at `{line.group(1).strip()}`" if line else ""
    operator = re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", text)
    if operator:
        name = operator.group(1)
        return DtoolError(
            f"the network uses {name}, which ONNX does not have", "write it with other PyTorch operations"
        )
    if "DataDependent" in "".join(type(e).__name__ for e in chain):
        return DtoolError(
            f"the network decides by the values it is given, which no graph can{where}",
            "use torch.where instead of if, and a fixed number of rounds instead of while",
        )
    if "static shape" in text:
        return DtoolError(
            "the network works for one batch size only",
            "let its forward take the batch from x.shape[0]: no fixed number",
        )
    return DtoolError(
        f"PyTorch cannot export this network ({_first_line(chain[-1])}){where}",
        "try torch.export.export on it, which shows where; DTOOL_DEBUG=1 shows the whole traceback",
    )


def clean(proto: onnx.ModelProto) -> None:
    """Remove what the exporter says of its making: source lines, class names, paths; and shapes that follow anyway."""
    for message in list(walk(proto)):
        for name in ("metadata_props", "doc_string"):
            if name in message.DESCRIPTOR.fields_by_name:
                message.ClearField(name)
    del proto.graph.value_info[:]
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version = "dtool", __version__
    proto.graph.name = "network"


def examine(proto: onnx.ModelProto) -> None:
    """Refuse random nodes, foreign operators, data in other files, NaN or infinity in the weights, a fixed batch.

    Raises DtoolError.
    """
    for message in walk(proto):
        if isinstance(message, onnx.NodeProto):
            _examine_node(message)
        elif isinstance(message, onnx.TensorProto) and message.data_location == onnx.TensorProto.EXTERNAL:
            raise DtoolError(
                f"{message.name} is stored in another file", "export the network as one file of at most 2 GB"
            )
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DtoolError(f"the weights hold NaN or infinity (in {tensor.name})", "export an earlier checkpoint")
    for value in (*proto.graph.input, *proto.graph.output):
        first = value.type.tensor_type.shape.dim[:1]
        if not first or not first[0].dim_param:
            raise DtoolError(f"the batch of {value.name} is fixed", "let the network take the batch from x.shape[0]")


def _examine_node(node: onnx.NodeProto) -> None:
    if node.op_type in RANDOM:
        raise DtoolError(
            f"the network draws random numbers ({node.op_type}), so no two calls agree",
            "take the noise out of its forward; samplers add their own",
        )
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        raise DtoolError("the network drops out at random (Dropout in training mode)", "export it in eval mode")
    if node.domain not in ("", "ai.onnx"):
        raise DtoolError(
            f"the graph uses {node.op_type} of {node.domain}, which other programs may lack",
            "write it with PyTorch's own operations",
        )


def walk(message: Any) -> Iterator[Any]:
    """Every protobuf message inside this one, itself first: graphs inside nodes, functions and tensors too."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for child in [value] if hasattr(value, "ListFields") else value:
                yield from walk(child)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:160]}" if text else type(error).__name__
