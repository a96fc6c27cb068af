"""Files whose operators were fused for CUDA, which no CPU runs."""

from __future__ import annotations

from dtool.errors import DtoolError
from dtool.models.runtime import Runtime
from dtool.onnx.checked_file import CheckedFile
from dtool.onnx.session import offers_cuda

CUDA_OPERATORS = frozenset({"NhwcConv", "GroupNorm", "SkipGroupNorm"})  # of com.microsoft; no CPU has them


def require_cuda(file: CheckedFile, runtime: Runtime) -> None:
    """Raise DtoolError for a file that was fused for CUDA where there is none."""
    fused = sorted(name for domain, name in file.graph.operators if domain and name in CUDA_OPERATORS)
    on_cpu = runtime.device == "cpu" or (runtime.device == "auto" and not offers_cuda())
    if fused and runtime.provider is None and on_cpu:
        raise DtoolError(
            f"{file.source} was fused for CUDA ({', '.join(fused)}): it runs on no CPU",
            "load the network that it was made of, or use --device cuda",
        )
