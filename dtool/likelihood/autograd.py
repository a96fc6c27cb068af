"""The trace of a Jacobian by automatic differentiation, for networks on PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dtool.backends.torch_backend import tensor_in
from dtool.likelihood.calls import Caller, finite
from dtool.networks.network import Network
from dtool.schedulers.schedule import Array


def differentiated(network: Network, caller: Caller) -> Any:
    """`dtool.likelihood.jacobian.Traced` by products vᵀJ, one backward pass each; None if it cannot be differentiated.

    Images are run a micro-batch at a time, padded, so that no image's bits depend on the others'.
    """
    module: Any = getattr(network, "module", None)
    if module is None or not _depends(network, caller, module):
        return None

    def traced(
        x: Array,
        time: Array,
        scale: Array,  # noqa: ARG001 - a derivative needs no step
        probes: Array | None,
        place: NDArray[np.intp],
    ) -> tuple[Array, Array]:
        outputs, traces, chunk = [], [], network.micro_batch
        for first in range(0, len(x), chunk):
            index = np.minimum(np.arange(first, first + chunk), len(x) - 1)
            arguments = caller.arguments(x[index], time[index], place[index])
            vectors = None if probes is None else network.array(probes[:, index].astype(caller.dtype))
            output, trace = _one(module, arguments, vectors, network.shape[0])
            real = min(chunk, len(x) - first)
            outputs.append(finite(network.numpy(output).astype(np.float64))[:real])
            traces.append(network.numpy(trace).astype(np.float64)[:real])
        return np.concatenate(outputs), np.concatenate(traces)

    return traced


def _one(module: Any, arguments: tuple[Any, ...], probes: Any, channels: int) -> tuple[Any, Any]:
    """(F, trace) of one micro-batch."""
    x = arguments[0].clone().requires_grad_(True)
    with torch.enable_grad():
        output = tensor_in(module(x, *arguments[1:]), x)[:, :channels]
    size, trace = x[0].numel(), torch.zeros(len(x), dtype=torch.float64, device=x.device)
    flat = output.flatten(1)
    count = size if probes is None else len(probes)
    for i in range(count):
        along = flat[:, i].sum() if probes is None else (output * probes[i]).sum()
        (row,) = torch.autograd.grad(along, x, retain_graph=i < count - 1)
        trace += (row.flatten(1)[:, i] if probes is None else (row * probes[i]).flatten(1).sum(1)).double()
    return output.detach(), trace if probes is None else trace / count


def _depends(network: Network, caller: Caller, module: Any) -> bool:
    """Whether a derivative of the output with respect to x is to be had."""
    one = np.zeros(1, np.intp)
    arguments = caller.arguments(np.zeros((1, *network.shape)), np.zeros(1), one)
    x = arguments[0].requires_grad_(True)
    with torch.enable_grad():
        return bool(tensor_in(module(x, *arguments[1:]), x).requires_grad)
