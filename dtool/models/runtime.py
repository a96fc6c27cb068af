"""Where a network runs, and how: what `dtool.load` and the command line are asked for besides the network itself."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypedDict

from dtool.errors import UsageError
from dtool.util.arguments import check_arguments


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where a network runs, and how.

    device: auto, cpu, cuda or cuda:1. backend: "torch" or "onnxruntime", to insist on one.
    provider: an execution provider of ONNX Runtime, with options, instead of a device: "OpenVINO:device_type=GPU".
    time_limit: seconds after which a call of an ONNX file is stopped; 0: never [default: 120, and 1200 for a file that
    holds a whole sampler].
    compile: of a network on PyTorch, through `torch.compile`: CUDA graphs on CUDA, kernels of its own on the CPU.
    cuda_graph: of an ONNX file on CUDA, with PyTorch beside it: the network's calls as one CUDA graph.
    text_encoder: the folder, or the installed package, of the sentence encoder that a network trained with words needs,
    where it is not where the checkpoint says.
    Raises UsageError for a value of another type, and for a backend that there is not.
    """

    device: str = "auto"
    backend: str | None = None
    provider: str | None = None
    time_limit: float | None = None
    compile: bool = False
    cuda_graph: bool = False
    text_encoder: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in (None, "torch", "onnxruntime"):
            raise UsageError(f"there is no backend {self.backend!r}", "use torch or onnxruntime")

    def changes(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as keyword arguments of `dtool.load`."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


Runtime.__init__ = check_arguments(Runtime.__init__)  # type: ignore[method-assign]
ANYWHERE = Runtime()


class RuntimeOptions(TypedDict, total=False):
    """The fields of `Runtime` besides the device, for the signatures of functions that take them by keyword."""

    backend: str | None
    provider: str | None
    time_limit: float | None
    compile: bool
    cuda_graph: bool
    text_encoder: str | None
