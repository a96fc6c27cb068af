"""A network's graph with ONNX Runtime's fused operators for U-Nets, which only its CUDA provider has.

Its optimiser for Stable Diffusion's U-Net (`onnxruntime.transformers`, model type "unet") fuses any group normalisation
that was exported below opset 21, with the SiLU and the sum before it, and lays convolutions out with the channels last.
Its other fusions look for attention of Stable Diffusion's own shape. The result is in float32: its half precision
does not load after the optimiser, and `dtool.export.half` does not know these operators' types.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from dtool.backends.onnxruntime_backend import CUDA_OPERATORS
from dtool.errors import DtoolError, UsageError
from dtool.export.builder import Graph
from dtool.export.metadata import KEY, describe
from dtool.export.report import TOLERANCE, Comparison, ExportReport
from dtool.export.sources import require_packages, source
from dtool.files import require_apart, require_writable, scratch_file, write_atomically
from dtool.networks.spec import NetworkSpec

DOMAIN = "com.microsoft"
LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # where the channels go


def export_for_cuda(net: Any, out: Path | str, *, steps: int = 50, check: bool = True) -> ExportReport:
    """Write a network alone, as `dtool.export` does, fused for CUDA; no CPU runs the file.

    check: what the optimiser made, written out in standard operators, is compared with PyTorch on the CPU. The CUDA
    kernels themselves are not tried. Raises what `dtool.export` and `for_cuda` raise, and writes nothing then.
    """
    started, path = time.perf_counter(), Path(out)
    require_apart([path], [net if isinstance(net, (str, Path)) else None])
    require_writable(path)
    require_packages("onnx", "onnxruntime")
    found = source(net)
    if found.module is None:
        raise UsageError(f"{net} is an ONNX file already", "give the checkpoint that it was made of")
    proto, _ = for_cuda(found.proto, found.spec)
    comparisons: tuple[Comparison, ...] = ()
    if check:
        from dtool.export.parity import compared

        with scratch_file(".onnx", written_out(proto).SerializeToString(), str(path)) as file:
            comparisons = compared(file, found.module, found.spec, steps)
    content: bytes = proto.SerializeToString(deterministic=True)
    document = json.loads(next(entry.value for entry in proto.metadata_props if entry.key == KEY))
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    seconds = time.perf_counter() - started
    opset, digest = document["opset"], document["weights_sha256"]
    return ExportReport(path, len(content), opset, digest, comparisons, seconds, None, None, TOLERANCE)


def for_cuda(proto: onnx.ModelProto, spec: NetworkSpec) -> tuple[onnx.ModelProto, dict[str, int]]:
    """`proto`, a network `F(x, t[, label])`, fused for CUDA, and how often each fused operator is in it.

    Its metadata say "variant": "cuda". Raises DtoolError if there is nothing to fuse, the optimiser is not there or
    fails, or a group has an odd number of channels, which the CUDA kernel reads in pairs.
    """
    made = _optimised(proto)
    counts = Counter(node.op_type for node in made.graph.node if node.domain == DOMAIN)
    if not counts["GroupNorm"] + counts["SkipGroupNorm"]:
        raise DtoolError("no group normalisation was found to fuse", "export the network without it")
    _require_even_groups(made)
    known = {opset.domain for opset in made.opset_import}
    if DOMAIN not in known:  # the optimiser forgets it, and ONNX Runtime asks for it
        made.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    made.producer_name, made.producer_version = proto.producer_name, proto.producer_version
    document = describe(made, spec) | {"variant": "cuda", "fused": dict(counts)}
    for entry in made.metadata_props:
        if entry.key == KEY:
            entry.value = json.dumps(document)
    return made, dict(counts)


def written_out(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A graph of `for_cuda` in standard operators again, node by node, as ONNX Runtime documents the fused ones.

    So it runs on a CPU, and can be compared there with what it was made of: that shows what the optimiser did to be
    right, and leaves the CUDA kernels to be believed, or tried on a GPU.
    """
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    graph = Graph("written")
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.domain != DOMAIN:
            graph.nodes.append(node)
        elif node.op_type == "NhwcConv":
            _convolution(graph, node, attributes, weights)
        elif node.op_type in ("GroupNorm", "SkipGroupNorm"):
            _normalisation(graph, node, attributes)
        else:
            raise DtoolError(f"{node.op_type} has no standard form here", "export the network without --fuse-cuda")
    del made.graph.node[:], made.opset_import[1:]
    made.graph.node.extend(graph.nodes)
    made.graph.initializer.extend(graph.initializers)
    return made


def _convolution(
    graph: Graph, node: onnx.NodeProto, attributes: dict[str, Any], weights: dict[str, NDArray[Any]]
) -> None:
    x, w, *bias = node.input
    weight = graph.constant(weights[w].transpose(FIRST), weights[w].dtype)
    first = graph("Conv", graph("Transpose", x, perm=FIRST), weight, *bias, **attributes)
    graph("Transpose", first, perm=LAST, name=node.output[0])


def _normalisation(graph: Graph, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
    x, gamma, beta, *rest = node.input
    if node.op_type == "SkipGroupNorm":
        x = graph.total(x, *rest)
        if len(node.output) > 1 and node.output[1]:
            graph("Identity", x, name=node.output[1])
    groups = attributes["groups"]
    first = graph("Transpose", x, perm=FIRST)
    flat = graph("Reshape", first, graph.ints(0, groups, -1))
    ones, zeros = graph.constant(np.ones(groups), np.float32), graph.constant(np.zeros(groups), np.float32)
    normal = graph("InstanceNormalization", flat, ones, zeros, epsilon=attributes["epsilon"])
    last = graph("Transpose", graph("Reshape", normal, graph("Shape", first)), perm=LAST)
    scaled = graph("Add", graph("Mul", last, gamma), beta)
    if attributes["activation"]:
        graph("Mul", scaled, graph("Sigmoid", scaled), name=node.output[0])
    else:
        graph("Identity", scaled, name=node.output[0])


def _optimised(proto: onnx.ModelProto) -> onnx.ModelProto:
    given = onnx.ModelProto()
    given.CopyFrom(proto)
    given.producer_name = "pytorch"  # or it complains
    try:
        optimizer = importlib.import_module("onnxruntime.transformers.optimizer")
    except ImportError as error:
        raise DtoolError(f"ONNX Runtime's optimiser is not there ({error})", "pip install onnxruntime sympy") from error
    try:
        with _quiet():
            made: onnx.ModelProto = optimizer.optimize_model(
                given, model_type="unet", num_heads=0, hidden_size=0, opt_level=0, use_gpu=True
            ).model
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise DtoolError(f"ONNX Runtime's optimiser fails on this network ({line})", "leave out --fuse-cuda") from error
    return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The optimiser logs, and draws a bar."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _require_even_groups(proto: onnx.ModelProto) -> None:
    sizes = {tensor.name: tensor.dims[0] for tensor in proto.graph.initializer if len(tensor.dims) == 1}
    for node in proto.graph.node:
        if node.op_type in CUDA_OPERATORS - {"NhwcConv"} and node.domain == DOMAIN:
            groups = next(a.i for a in node.attribute if a.name == "groups")
            channels = sizes[node.input[1]]
            if channels // groups % 2:
                raise DtoolError(
                    f"{channels} channels are normalised in {groups} groups, and CUDA's kernel reads them in pairs",
                    "leave out --fuse-cuda, or train with another number of groups",
                )
