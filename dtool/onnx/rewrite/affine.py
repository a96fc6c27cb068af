"""What several rewritings look for: γ·n + β with one number a channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtool.onnx.rewrite.graph import Graph


@dataclass(frozen=True)
class Affine:
    """scale·source + shift, both `(C,)` in float64, of a source `(B, C, H, W)`."""

    source: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def find_affine(graph: Graph, name: str) -> Affine | None:
    """The scale and shift by constants that make a value; None if it is made otherwise, or used twice."""
    add = graph.get_only_maker(name, "Add")
    added = graph.split_constant(add) if add is not None else None
    product = graph.get_only_maker(added[0], "Mul") if added else None
    scaled = graph.split_constant(product) if product is not None else None
    if added is None or scaled is None:
        return None
    shape = graph.get_shape(scaled[0])
    if shape is None or len(shape) != 4 or not isinstance(shape[1], int):
        return None
    scale, shift = (_take_per_channel(numbers, shape[1]) for numbers in (scaled[1], added[1]))
    return None if scale is None or shift is None else Affine(scaled[0], scale, shift)


def _take_per_channel(numbers: NDArray[np.float32], channels: int) -> NDArray[np.float64] | None:
    """`(C,)` of numbers that are told as `(C, 1, 1)` or `(1, C, 1, 1)`."""
    return numbers.reshape(-1).astype(np.float64) if numbers.shape[-3:] == (channels, 1, 1) else None
