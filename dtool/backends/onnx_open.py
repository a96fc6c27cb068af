"""Opening an ONNX file where it runs best: on a GPU the whole run stays there, if PyTorch is installed for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtool.backends import fused_file
from dtool.backends.fused import held
from dtool.backends.onnxruntime_backend import checked
from dtool.backends.onnxruntime_session import offers_cuda
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec

TORCH = "pip install torch, built for the CUDA that ONNX Runtime uses"


def open_onnx(
    path: Path,
    spec: NetworkSpec | Mapping[str, Any] | None = None,
    device: str = "auto",
    provider: str | None = None,
    time_limit: float | None = None,
    cuda_graph: bool = False,
) -> Network:
    """What the file holds, ready to be sampled from; for the arguments see `dtool.load`.

    On CUDA a network's arrays stay on the device (`dtool.backends.onnx_device`), if PyTorch is there for it; if not, or
    with a provider of the user's choice, the host's loop sends them there and back at every call.
    Raises DtoolError if the file must not or cannot be run, UsageError for a CUDA graph that cannot be had.
    """
    cuda = provider is None and (device.startswith("cuda") or (device == "auto" and offers_cuda()))
    why = lacking() if cuda else "it runs on CUDA alone, and by --device"
    if cuda_graph and why:
        raise UsageError(f"there is no CUDA graph here: {why}", TORCH if cuda else "leave out --cuda-graph")
    if not why:
        file = checked(path)
        if held(file.found.metadata, file.source) is None:
            from dtool.backends.onnx_device import DeviceNetwork

            try:
                on = "cuda" if device == "auto" else device
                return DeviceNetwork(file, spec, on, time_limit=time_limit, graph=cuda_graph)
            except DtoolError:
                if device != "auto" or cuda_graph:
                    raise
        elif cuda_graph:
            raise UsageError(
                f"{path} holds a whole sampler, and ONNX Runtime makes no CUDA graph of a loop",
                "give the network's own file",
            )
    return fused_file.open_onnx(path, spec, device, provider, time_limit)


def lacking() -> str:
    """Why a run cannot stay on the GPU; empty if it can. Imports PyTorch, if it is installed."""
    if importlib.util.find_spec("torch") is None:
        return "it needs PyTorch, which is not installed"
    from dtool.backends.torch_backend import sees_cuda

    return "" if sees_cuda() else "PyTorch sees no CUDA device"
