"""The noise source of `dtool.run.noise` as ONNX nodes: the same bits, from products, sums and quotients alone.

Shifts and exclusive-or have no kernels on CUDA in ONNX Runtime; the generator of arXiv:2004.06278 needs neither.
"""

from __future__ import annotations

from math import prod

import numpy as np

from dtool.export.sampler.graph_builder import GraphBuilder
from dtool.run.noise import SEED_KEYS

_HALF = 2**32


def squares(graph: GraphBuilder, counters: str, key: str) -> str:
    """32 random bits, in the low half of uint64, for counters that were multiplied by the key."""
    half = graph.constant(_HALF, np.uint64)
    shifted = graph("Add", counters, key)
    x = counters
    for add in (counters, shifted, counters):
        x = graph("Add", graph("Mul", x, x), add)
        x = graph("Add", graph("Div", x, half), graph("Mul", x, half))
    return graph("Div", graph("Add", graph("Mul", x, x), shifted), half)


def seed_key(graph: GraphBuilder, seed: str) -> str:
    """`dtool.run.noise.derive_key` of a seed, a uint64 scalar."""
    half = graph.constant(_HALF, np.uint64)
    high = graph("Div", seed, half)
    words = []
    for part, fixed in zip((high, graph("Sub", seed, graph("Mul", high, half))), SEED_KEYS, strict=True):
        first = graph("Mul", part, graph.constant(32, np.uint64))
        counters = graph("Add", first, graph.constant(np.arange(32), np.uint64))
        key = graph.constant(fixed, np.uint64)
        words.append(squares(graph, graph("Mul", counters, key), key))
    ranks = graph.cast(graph("Add", *words), np.int64)
    halves = [_digits(graph, graph("Slice", ranks, graph.ints(at), graph.ints(at + 15))) for at in (0, 16)]
    value = graph("Add", graph("Mul", halves[0], graph.constant(_HALF, np.int64)), halves[1])
    return graph.cast(value, np.uint64)


def _digits(graph: GraphBuilder, ranks: str) -> str:
    """Half a key, an int64 scalar: the best odd digit of 1 … 15 last, before it the next seven as they come."""
    digit = np.arange(15)  # digit - 1; of two with equal ranks the lower one is the better
    order = graph("Add", graph("Mul", ranks, graph.constant(16, np.int64)), graph.constant(15 - digit, np.int64))
    odd = graph("Mul", order, graph.constant(digit % 2 == 0, np.int64))
    last = graph.add_node("TopK", odd, graph.ints(1), outputs=2)[1]
    isnt = graph.cast(graph("Not", graph("Equal", graph.constant(digit, np.int64), last)), np.int64)
    rest = graph.add_node("TopK", graph("Mul", order, isnt), graph.ints(7), outputs=2)[1]
    digits = graph("Add", graph("Concat", last, rest, axis=0), graph.constant(1, np.int64))
    return graph("ReduceSum", graph("Mul", digits, graph.constant(16 ** np.arange(8), np.int64)), keepdims=0)


def first_counters(graph: GraphBuilder, ids: str, key: str, shape: tuple[int, ...]) -> str:
    """The counters of draw 0 of images `ids` `(B,)`, times the key: the even ones, then the odd, `(B, 2, width/2)`."""
    high = graph("Unsqueeze", graph("Mul", ids, graph.constant(_HALF, np.uint64)), graph.ints(1, 2))
    low = graph.constant(np.arange(width(shape)).reshape(-1, 2).T, np.uint64)
    return graph("Mul", graph("Add", high, low), key)


def normals(graph: GraphBuilder, counters: str, draw: str, key: str, shape: tuple[int, ...]) -> str:
    """Draw `draw`, a uint64 scalar, of the images of `first_counters`: standard normal `(B, *shape)` float32."""
    start = graph("Mul", graph("Mul", draw, graph.constant(width(shape), np.uint64)), key)
    bits = squares(graph, graph("Add", counters, start), key)
    centred = graph("Add", graph.cast(bits, np.float64), graph.constant(0.5, np.float64))
    one, other = graph.add_node("Split", centred, outputs=2, axis=1, num_outputs=2)
    uniform = graph("Mul", one, graph.constant(2.0**-32, np.float64))
    radius = graph("Sqrt", graph("Mul", graph("Log", uniform), graph.constant(-2.0, np.float64)))
    angle = graph("Mul", other, graph.constant(2 * np.pi * 2.0**-32, np.float64))
    # ONNX Runtime before 1.29 has no float64 Cos on the CPU
    quarter = graph("Add", angle, graph.constant(np.pi / 2, np.float64))
    both = [graph("Mul", radius, graph("Sin", at)) for at in (quarter, angle)]
    values = graph("Transpose", graph.cast(graph("Concat", *both, axis=1), np.float32), perm=[0, 2, 1])  # in pairs
    if width(shape) != prod(shape):
        values = graph("Reshape", values, graph.ints(0, -1))
        values = graph("Slice", values, graph.ints(0), graph.ints(prod(shape)), graph.ints(1))
    return graph("Reshape", values, graph.ints(0, *shape))


def width(shape: tuple[int, ...]) -> int:
    """How many counters one draw takes: the elements of an image, rounded up to even."""
    return prod(shape) + prod(shape) % 2
