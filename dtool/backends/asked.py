"""What is asked of a network that it cannot have, refused before or after it is opened: another place, another spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dtool.errors import UsageError
from dtool.networks.network import Network


def require_sense(source: Any, compile: bool, cuda_graph: bool) -> None:  # noqa: A002 - as above
    """Refuse what the backend of this network does not have."""
    onnx_file = isinstance(source, (str, Path)) and str(source).lower().endswith(".onnx")
    if compile and onnx_file:
        raise UsageError(
            f"{source} runs on ONNX Runtime, and only PyTorch compiles",
            "give the checkpoint, or leave out --compile (compile=True)",
        )
    if cuda_graph and not onnx_file:
        raise UsageError(
            "cuda_graph is for ONNX files: on PyTorch, CUDA graphs come with compiling",
            "use --compile (compile=True), or export the network first",
        )


def refuse_said(name: str, spec: Any) -> None:
    """Refuse a spec from outside, of a network that has one: a checkpoint of dtool's, or what a factory returns."""
    if spec is not None:
        raise UsageError(
            f"{name} says itself what it was trained for",
            "leave out --schedule, --prediction and the like (spec=); another schedule to sample with is --scheduler",
        )


def refuse_for_onnx(name: str, backend: str, provider: str | None, time_limit: float | None) -> None:
    """Refuse what only an ONNX file has a use for, of another network."""
    if provider is not None:
        if backend == "onnxruntime":  # what a factory opened
            raise UsageError(f"{name} has chosen its provider itself", "leave out --provider (provider=)")
        raise UsageError(f"{name} runs on {backend}, which has no execution providers", "export it first: dtool export")
    if time_limit is not None:
        raise UsageError(
            f"{name} runs on {backend}: only an ONNX file's calls can be stopped",
            "leave out --time-limit (time_limit=)",
        )


def require_place(name: str, made: Network, device: str, backend: str | None) -> None:
    """Refuse another device or backend than the one that a factory has chosen for its network."""
    if backend not in (None, made.backend):
        raise UsageError(f"{name} runs on {made.backend}, not on {backend}", "leave out --backend (backend=)")
    if device not in ("auto", made.device, made.device.partition(":")[0]):
        hint = "leave out --device (device=), or let the factory return (module, NetworkSpec(…))"
        raise UsageError(f"{name} runs on {made.device}, where its factory put it, not on {device}", hint)
