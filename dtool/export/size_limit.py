"""How large a network may be: protobuf, which ONNX files are written in, ends at 2 GB."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from dtool.errors import DtoolError

if TYPE_CHECKING:
    import onnx
    from torch import nn

MAX_BYTES = 2**31 - 2**24  # bytes of weights; what is left is for the graph, the plan and the metadata


def is_large(proto: onnx.ModelProto) -> bool:
    """Whether a graph's weights need a second file."""
    return graph_size(proto) > MAX_BYTES


def is_exportable(size: int) -> bool:
    """Whether weights of `size` bytes fit into an ONNX file."""
    return size <= MAX_BYTES


def require_exportable(size: int, what: str) -> None:
    """Raise DtoolError if weights of `size` bytes do not fit into an ONNX file."""
    if size > MAX_BYTES:
        raise DtoolError(
            f"{what} has {size / 1e9:.2f} GB of weights in float32, and an ONNX file holds at most 2",
            "export the network alone, without --recipe (plan=): its weights then lie in a second file, and dtool "
            "sample runs both",
        )


def module_size(module: nn.Module) -> int:
    """Bytes of a module's weights once they are float32; shared ones count once."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(t.numel() * (4 if t.is_floating_point() else t.element_size()) for t in tensors)


def graph_size(proto: onnx.ModelProto) -> int:
    """Bytes of a graph's initializers."""
    from onnx import helper

    return sum(prod(t.dims) * helper.tensor_dtype_to_np_dtype(t.data_type).itemsize for t in proto.graph.initializer)
