"""The trace of a Jacobian by automatic differentiation, for networks on PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dtool.likelihood.network_calls import Caller, require_finite_output
from dtool.models.conditions import split_label
from dtool.models.micro_batch import pad_calls, split_evenly
from dtool.models.network import Network
from dtool.run.torch_backend import extract_tensor
from dtool.util.arrays import Array


def make_autograd_trace(network: Network, caller: Caller) -> Any:
    """`dtool.likelihood.jacobian.TraceFunction` by products vᵀJ, one backward pass each.

    None if the network cannot be differentiated.

    Images are run a micro-batch at a time, padded, so that no image's bits depend on the others'.
    """
    module: Any = getattr(network, "module", None)
    if module is None or not _is_differentiable(network, caller, module):
        return None

    def trace_batch(
        x: Array,
        time: Array,
        scale: Array,  # noqa: ARG001 - a derivative needs no step
        probes: Array | None,
        place: NDArray[np.intp],
    ) -> tuple[Array, Array]:
        outputs, traces = [], []
        for index, real in pad_calls(len(x), split_evenly(len(x), network.micro_batch)):
            arguments = caller.arguments(x[index], time[index], place[index])
            vectors = None if probes is None else network.array(probes[:, index].astype(caller.dtype))
            output, trace = _trace_micro_batch(module, arguments, vectors, network.shape[0])
            outputs.append(require_finite_output(network.numpy(output).astype(np.float64))[:real])
            traces.append(network.numpy(trace).astype(np.float64)[:real])
        return np.concatenate(outputs), np.concatenate(traces)

    return trace_batch


def _trace_micro_batch(module: Any, arguments: tuple[Any, ...], probes: Any, channels: int) -> tuple[Any, Any]:
    """(F, trace) of one micro-batch."""
    x = arguments[0].clone().requires_grad_(True)
    with torch.enable_grad():
        output = _call_module(module, x, arguments)[:, :channels]
    size, trace = x[0].numel(), torch.zeros(len(x), dtype=torch.float64, device=x.device)
    flat = output.flatten(1)
    count = size if probes is None else len(probes)
    for i in range(count):
        along = flat[:, i].sum() if probes is None else (output * probes[i]).sum()
        (row,) = torch.autograd.grad(along, x, retain_graph=i < count - 1)
        trace += (row.flatten(1)[:, i] if probes is None else (row * probes[i]).flatten(1).sum(1)).double()
    return output.detach(), trace if probes is None else trace / count


def _is_differentiable(network: Network, caller: Caller, module: Any) -> bool:
    """Whether the output can be differentiated with respect to x."""
    one = np.zeros(1, np.intp)
    arguments = caller.arguments(np.zeros((1, *network.shape)), np.zeros(1), one)
    x = arguments[0].requires_grad_(True)
    with torch.enable_grad():
        return bool(_call_module(module, x, arguments).requires_grad)


def _call_module(module: Any, x: Any, arguments: tuple[Any, ...]) -> Any:
    """The module's output for x, with the times and conditions of `Caller.arguments`, called as `TorchNetwork` does."""
    label, others = split_label(arguments[2] if len(arguments) > 2 else None)
    return extract_tensor(module(x, arguments[1], *label, **others), x)
