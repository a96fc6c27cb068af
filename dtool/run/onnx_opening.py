"""Opening an ONNX file where it runs best: on a GPU the whole run stays there, if PyTorch is installed for it."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

from dtool.errors import DtoolError, UsageError
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.network import Network
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.models.spec import NetworkSpec
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.session import offers_cuda
from dtool.run import onnxruntime_opening
from dtool.run.sampler_form import read_plan_and_form

TORCH = "pip install torch, built for the CUDA that ONNX Runtime uses"


def open_onnx(path: Path, description: NetworkSpec | Description = UNDESCRIBED, runtime: Runtime = ANYWHERE) -> Network:
    """What the file holds, ready to be sampled from.

    On CUDA a network's arrays stay on the device (`dtool.run.onnxruntime_device`), if PyTorch is there for it; if not,
    or with a provider of the user's choice, the host's loop sends them there and back at every call.
    Raises DtoolError if the file must not or cannot be run, UsageError for a CUDA graph that cannot be had.
    """
    device = runtime.device
    cuda = runtime.provider is None and (device.startswith("cuda") or (device == "auto" and offers_cuda()))
    why = find_gpu_obstacle() if cuda else "it runs on CUDA alone, and by --device"
    if runtime.cuda_graph and why:
        raise UsageError(f"there is no CUDA graph here: {why}", TORCH if cuda else "leave out --cuda-graph")
    if not why:
        file = read_checked_file(path)
        if read_plan_and_form(file.graph.metadata, file.source) is None:
            from dtool.run.onnxruntime_device import DeviceNetwork

            try:
                on = "cuda" if device == "auto" else device
                return DeviceNetwork(file, description, replace(runtime, device=on))
            except DtoolError:
                if device != "auto" or runtime.cuda_graph:
                    raise
        elif runtime.cuda_graph:
            raise UsageError(
                f"{path} holds a whole sampler, and ONNX Runtime makes no CUDA graph of a loop",
                "give the network's own file",
            )
    return onnxruntime_opening.open_onnx(path, description, runtime)


def find_gpu_obstacle() -> str:
    """Why a run cannot stay on the GPU; empty if it can. Imports PyTorch, if it is installed."""
    if importlib.util.find_spec("torch") is None:
        return "it needs PyTorch, which is not installed"
    from dtool.run.torch_backend import sees_cuda

    return "" if sees_cuda() else "PyTorch sees no CUDA device"
