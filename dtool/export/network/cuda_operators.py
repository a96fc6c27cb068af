"""A network's graph with ONNX Runtime's fused operators for U-Nets, which only its CUDA provider has.

Its optimiser for Stable Diffusion's U-Net (`onnxruntime.transformers`, model type "unet") fuses any group normalisation
that was exported below opset 21, with the SiLU and the sum before it, and lays convolutions out with the channels last.
Its other fusions look for attention of Stable Diffusion's own shape. The result is in float32: its half precision
does not load after the optimiser, and `dtool.export.smaller.half` does not know these operators' types.
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
from onnx.inliner import inline_local_functions

from dtool.errors import DtoolError, UsageError
from dtool.export.metadata import KEY, describe
from dtool.export.network.sources import require_packages, resolve_source
from dtool.export.report import TOLERANCE, ExportReport, ParityCheck
from dtool.export.sampler.graph_builder import GraphBuilder
from dtool.models.spec import NetworkSpec
from dtool.onnx.fused_for_cuda import CUDA_OPERATORS
from dtool.util.files import require_distinct_files, require_writable, write_atomically, write_scratch_file
from dtool.util.text import get_first_line

DOMAIN = "com.microsoft"
LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # where the channels go


def export_for_cuda(net: Any, out: Path | str, *, steps: int = 50, check: bool = True) -> ExportReport:
    """Write a network alone, as `dtool.export` does, fused for CUDA; no CPU runs the file.

    check: what the optimiser made, written out in standard operators, is compared with PyTorch on the CPU. The CUDA
    kernels themselves are not tried. Raises what `dtool.export` and `fuse_for_cuda` raise, and writes nothing then.
    """
    started, path = time.perf_counter(), Path(out)
    require_distinct_files([path], [net if isinstance(net, (str, Path)) else None])
    require_writable(path)
    require_packages("onnx", "onnxruntime")
    source = resolve_source(net)
    if source.module is None:
        raise UsageError(f"{net} is an ONNX file already", "give the checkpoint that it was made of")
    proto, _ = fuse_for_cuda(source.proto, source.spec)
    comparisons: tuple[ParityCheck, ...] = ()
    if check:
        from dtool.export.network.parity import check_parity

        with write_scratch_file(".onnx", expand_fused_operators(proto).SerializeToString(), str(path)) as file:
            comparisons = check_parity(file, source.module, source.spec, steps)
    content: bytes = proto.SerializeToString(deterministic=True)
    document = json.loads(next(entry.value for entry in proto.metadata_props if entry.key == KEY))
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    seconds = time.perf_counter() - started
    opset, digest = document["opset"], document["weights_sha256"]
    return ExportReport(
        path=path,
        size=len(content),
        opset=opset,
        weights_sha256=digest,
        comparisons=comparisons,
        seconds=seconds,
        recipe=None,
        loss=None,
        allowed=TOLERANCE,
    )


def fuse_for_cuda(proto: onnx.ModelProto, spec: NetworkSpec) -> tuple[onnx.ModelProto, dict[str, int]]:
    """`proto`, a network `F(x, t[, label])`, fused for CUDA, and how often each fused operator is in it.

    Its metadata say "variant": "cuda". Raises DtoolError if there is nothing to fuse, the optimiser is not there or
    fails, or a group has an odd number of channels, which the CUDA kernel reads in pairs.
    """
    fused = _optimise(proto)
    counts = Counter(node.op_type for node in fused.graph.node if node.domain == DOMAIN)
    if not counts["GroupNorm"] + counts["SkipGroupNorm"]:
        raise DtoolError("no group normalisation was found to fuse", "export the network without it")
    _require_even_groups(fused)
    known = {opset.domain for opset in fused.opset_import}
    if DOMAIN not in known:  # the optimiser forgets it, and ONNX Runtime asks for it
        fused.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    fused.producer_name, fused.producer_version = proto.producer_name, proto.producer_version
    document = describe(fused, spec) | {"variant": "cuda", "fused": dict(counts)}
    for entry in fused.metadata_props:
        if entry.key == KEY:
            entry.value = json.dumps(document)
    return fused, dict(counts)


def expand_fused_operators(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A graph of `fuse_for_cuda` in standard operators again, node by node, as ONNX Runtime documents the fused ones.

    So it runs on a CPU, and can be compared there with what it was made of: that shows what the optimiser did to be
    right, and leaves the CUDA kernels to be believed, or tried on a GPU.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(proto)
    graph = GraphBuilder("written")
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.domain != DOMAIN:
            graph.nodes.append(node)
        elif node.op_type == "NhwcConv":
            _expand_convolution(graph, node, attributes, weights)
        elif node.op_type in ("GroupNorm", "SkipGroupNorm"):
            _expand_normalisation(graph, node, attributes)
        else:
            raise DtoolError(f"{node.op_type} has no standard form here", "export the network without --fuse-cuda")
    del plain.graph.node[:], plain.opset_import[1:]
    plain.graph.node.extend(graph.nodes)
    plain.graph.initializer.extend(graph.initializers)
    return plain


def _expand_convolution(
    graph: GraphBuilder, node: onnx.NodeProto, attributes: dict[str, Any], weights: dict[str, NDArray[Any]]
) -> None:
    x, w, *bias = node.input
    weight = graph.constant(weights[w].transpose(FIRST), weights[w].dtype)
    first = graph("Conv", graph("Transpose", x, perm=FIRST), weight, *bias, **attributes)
    graph("Transpose", first, perm=LAST, name=node.output[0])


def _expand_normalisation(graph: GraphBuilder, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
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


def _optimise(proto: onnx.ModelProto) -> onnx.ModelProto:
    original = inline_local_functions(proto)  # the optimiser takes functions for operators that it does not know
    original.producer_name = "pytorch"  # or it complains
    try:
        optimizer = importlib.import_module("onnxruntime.transformers.optimizer")
    except ImportError as error:
        raise DtoolError(f"ONNX Runtime's optimiser is not there ({error})", "pip install onnxruntime sympy") from error
    try:
        with _silence_optimiser():
            optimised: onnx.ModelProto = optimizer.optimize_model(
                original, model_type="unet", num_heads=0, hidden_size=0, opt_level=0, use_gpu=True
            ).model
    except Exception as error:
        line = get_first_line(error)
        raise DtoolError(f"ONNX Runtime's optimiser fails on this network ({line})", "leave out --fuse-cuda") from error
    return optimised


@contextlib.contextmanager
def _silence_optimiser() -> Iterator[None]:
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
