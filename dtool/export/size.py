"""How large a network may be: protobuf, which ONNX files are written in, ends at 2 GB."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from dtool.errors import DtoolError

if TYPE_CHECKING:
    import onnx
    from torch import nn

LARGEST = 2**31 - 2**24  # bytes of weights; what is left is for the graph, the plan and the metadata


def require_small(size: int, what: str) -> None:
    """Raise DtoolError if weights of `size` bytes do not fit into an ONNX file."""
    if size > LARGEST:
        raise DtoolError(
            f"{what} has {size / 1e9:.2f} GB of weights in float32, and an ONNX file holds at most 2",
            "sample from PyTorch: dtool sample on the checkpoint; or export only what its forward uses",
        )


def module_size(module: nn.Module) -> int:
    """Bytes of a module's weights once they are float32; shared ones count once."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(t.numel() * (4 if t.is_floating_point() else t.element_size()) for t in tensors)


def graph_size(proto: onnx.ModelProto) -> int:
    """Bytes of a graph's initializers."""
    from onnx import helper

    return sum(prod(t.dims) * helper.tensor_dtype_to_np_dtype(t.data_type).itemsize for t in proto.graph.initializer)
