"""F(x) and the trace of its Jacobian: exact, or estimated with probes; by differentiation, or by differences."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.likelihood.network_calls import Caller
from dtool.models.micro_batch import pad_calls, split_evenly
from dtool.models.network import Network
from dtool.util.arrays import Array

Jacobian = Literal["products", "differences"]
FINE, COARSE = 1e-4, 1e-2  # of the noise level: the step of a difference in float64 and in float32


class TraceFunction(Protocol):
    """x `(B, *shape)`, times `(B,)`, scale `(B,)`, probes `(P, B, *shape)` or None, places ↦ (F, tr ∂F/∂x `(B,)`).

    scale: over which F changes. None: the exact trace, from all d unit vectors.
    """

    def __call__(
        self, x: Array, time: Array, scale: Array, probes: Array | None, place: NDArray[np.intp]
    ) -> tuple[Array, Array]:
        """F(x) and the trace of its Jacobian."""


def choose_trace(network: Network, caller: Caller, wanted: Jacobian | None) -> tuple[Jacobian, TraceFunction]:
    """How the trace is computed: by differentiation if the network is on PyTorch and can be differentiated."""
    if wanted not in (None, "products", "differences"):
        raise UsageError(f"there is no jacobian {wanted!r}", "use products or differences")
    products: TraceFunction | None = None
    if network.backend == "torch" and wanted != "differences":
        from dtool.likelihood import autograd

        products = autograd.make_autograd_trace(network, caller)
    if wanted == "products" and products is None:
        raise UsageError(f"this network cannot be differentiated on {network.backend}", "use differences")
    if products is not None:
        return "products", products
    return "differences", make_difference_trace(caller, network.shape[0], network.micro_batch)


def make_difference_trace(caller: Caller, channels: int, chunk: int) -> TraceFunction:
    """The trace by central differences: 2d calls per image, or 2 per probe.

    Their error is of order h², h = 10⁻⁴ of the noise level in float64 and 10⁻² in float32, with the network's rounding
    error divided by h: about 10⁻⁹ and 10⁻⁵ of each element, where F changes over the scale of the noise.
    """
    small = FINE if caller.dtype == np.float64 else COARSE

    def call(x: Array, time: Array, place: NDArray[np.intp]) -> Array:
        """F at many points, so many at a time that no point's bits depend on the others'."""
        parts = []
        for index, real in pad_calls(len(x), split_evenly(len(x), chunk)):
            parts.append(caller(x[index], time[index], place[index])[:real, :channels])
        return np.concatenate(parts)

    def trace_batch(
        x: Array, time: Array, scale: Array, probes: Array | None, place: NDArray[np.intp]
    ) -> tuple[Array, Array]:
        size, flat, n = x[0].size, x.reshape(len(x), -1), len(x)
        vectors = np.eye(size)[:, None] if probes is None else probes.reshape(len(probes), n, size)
        total, group = np.zeros(n), max(1, chunk // (2 * n))  # as many vectors at once as fill one call
        for first in range(0, len(vectors), group):
            v = np.broadcast_to(vectors[first : first + group], (min(group, len(vectors) - first), n, size))
            step = small * scale[:, None] * v
            # The network's input is rounded, so the difference is divided by the step that was really taken.
            ends = np.stack([(flat + side * step).astype(caller.dtype).astype(np.float64) for side in (1, -1)])
            index = np.tile(np.arange(n), 2 * len(v))
            values = call(ends.reshape(-1, *x.shape[1:]), time[index], place[index]).reshape(ends.shape)
            distance = ((ends[0] - ends[1]) * v).sum(axis=-1) / np.square(v).sum(axis=-1)
            total += (((values[0] - values[1]) * v).sum(axis=-1) / distance).sum(axis=0)
        return call(x, time, place), total / (1 if probes is None else len(probes))

    return trace_batch
