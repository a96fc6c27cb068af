"""What is asked of a network that it cannot have, refused before or after it is opened: another place, another spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dtool.errors import UsageError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec


def check_backend_options(source: Any, runtime: Runtime) -> None:
    """Raise UsageError for an option that the backend of this network does not have."""
    onnx_file = isinstance(source, (str, Path)) and str(source).lower().endswith(".onnx")
    if runtime.compile and onnx_file:
        raise UsageError(
            f"{source} runs on ONNX Runtime, and only PyTorch compiles",
            "give the checkpoint, or leave out --compile (compile=True)",
        )
    if runtime.cuda_graph and not onnx_file:
        raise UsageError(
            "cuda_graph is for ONNX files: on PyTorch, CUDA graphs come with compiling",
            "use --compile (compile=True), or export the network first",
        )


def refuse_torch(name: str, runtime: Runtime) -> None:
    """Raise UsageError for PyTorch, and what only PyTorch does, for a network that runs on ONNX Runtime."""
    if runtime.backend == "torch":
        raise UsageError(f"{name} runs on onnxruntime, not on torch", "leave --backend out (backend=)")
    if runtime.compile:
        raise UsageError(f"{name} runs on onnxruntime, and only PyTorch compiles", "leave out --compile (compile=True)")


def refuse_spec(name: str, description: NetworkSpec | Description) -> None:
    """Raise UsageError for what is said of a network that says it itself: a checkpoint, or what a factory returns."""
    if isinstance(description, NetworkSpec) or not description.is_empty:
        raise UsageError(
            f"{name} says itself what it was trained for",
            "leave out --schedule, --prediction and the like (spec=); another schedule to sample with is --scheduler",
        )


def refuse_onnx_options(name: str, backend: str, runtime: Runtime) -> None:
    """Raise UsageError for what only an ONNX file has a use for, where the network is none."""
    if runtime.provider is not None:
        if backend == "onnxruntime":  # what a factory opened
            raise UsageError(f"{name} has chosen its provider itself", "leave out --provider (provider=)")
        raise UsageError(f"{name} runs on {backend}, which has no execution providers", "export it first: dtool export")
    if runtime.time_limit is not None:
        raise UsageError(
            f"{name} runs on {backend}: only an ONNX file's calls can be stopped",
            "leave out --time-limit (time_limit=)",
        )


def check_placement(name: str, network: Network, runtime: Runtime) -> None:
    """Raise UsageError for another device or backend than the one that a factory has chosen for its network."""
    if runtime.backend not in (None, network.backend):
        raise UsageError(
            f"{name} runs on {network.backend}, not on {runtime.backend}", "leave out --backend (backend=)"
        )
    if runtime.device not in ("auto", network.device, network.device.partition(":")[0]):
        hint = "leave out --device (device=), or let the factory return (module, NetworkSpec(…))"
        raise UsageError(f"{name} runs on {network.device}, where its factory put it, not on {runtime.device}", hint)
