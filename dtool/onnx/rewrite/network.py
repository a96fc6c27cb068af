"""All rewritings of a network's graph, one after another until none finds anything more.

Each leaves the numbers as they are to rounding, and none makes an image depend on its batch. The nodes are ONNX's own;
a graph of an operator set before 13 is left as it is. Constants that are kept in other files stay there; those whose
numbers a rewriting needs are read, if the caller says how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import onnx

from dtool.onnx.rewrite import (
    constant_shapes,
    equal_nodes,
    merged_layers,
    modulation,
    narrow_conv,
    normalised_conv,
    resize_scales,
    stacked_parts,
    transposes,
    upsampled_conv,
)
from dtool.onnx.rewrite.graph import Graph, Read

OLDEST_OPSET = 13  # from which on axes are inputs of Squeeze, Split and Unsqueeze
MOST_ROUNDS = 8
Rewriting = Callable[[Graph], int]
REWRITINGS: Mapping[str, Rewriting] = MappingProxyType(
    {
        module.__name__.rpartition(".")[2]: module.rewrite
        for module in (
            constant_shapes,
            equal_nodes,
            resize_scales,
            upsampled_conv,
            narrow_conv,
            transposes,
            stacked_parts,
            modulation,
            normalised_conv,
            merged_layers,
        )
    }
)


def rewrite_network(model: onnx.ModelProto, read: Read | None = None) -> tuple[onnx.ModelProto, dict[str, int]]:
    """The graph rewritten, and how often each rewriting was made; the model itself, and nothing, where none was.

    The model is not changed. Takes about its size in memory besides. read: see `Graph`.
    """
    if not _is_standard_enough(model):
        return model, {}
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    counts = apply_rewritings(Graph(rewritten, read), REWRITINGS)
    return (rewritten, counts) if counts else (model, {})


def apply_rewritings(graph: Graph, rewritings: Mapping[str, Rewriting]) -> dict[str, int]:
    """Make rewritings, by their names, until none finds anything; how often each was made."""
    counts: dict[str, int] = {}
    for _ in range(MOST_ROUNDS):
        before = sum(counts.values())
        if before:
            graph.infer_shapes()  # more may follow from what was rewritten
        for name, rewrite in rewritings.items():
            made = rewrite(graph)
            if made:
                graph.finish()
                counts[name] = counts.get(name, 0) + made
        if sum(counts.values()) == before:
            break
    return counts


def _is_standard_enough(model: onnx.ModelProto) -> bool:
    """Whether the operators are those that the rewritings know, in a graph that can be changed."""
    versions = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    return bool(versions) and min(versions) >= OLDEST_OPSET and not model.graph.sparse_initializer
