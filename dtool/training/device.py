"""Where training runs: accelerate chooses and moves, but never silently somewhere else than was asked for."""

from __future__ import annotations

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from dtool.errors import DtoolError, UsageError


def make_accelerator(device: str, mixed_precision: str) -> Accelerator:
    """An Accelerator on `auto`, `cpu` or `cuda`; raises `DtoolError` where that device or precision can't be had."""
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device}: no such device", "one of auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        raise DtoolError(
            "--device cuda: " + ("PyTorch sees no CUDA device" if built else "this PyTorch is built without CUDA"),
            "check the NVIDIA driver with nvidia-smi"
            if built
            else "install a CUDA build: https://pytorch.org/get-started",
        )
    # accelerate keeps the first choice for the whole process; a second run in it may choose differently
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        accelerator = Accelerator(cpu=device == "cpu", mixed_precision=mixed_precision)
    except ValueError as error:
        raise UsageError(f"--mixed-precision {mixed_precision}: {error}", "use --mixed-precision no") from error
    if accelerator.num_processes > 1:
        raise UsageError("training runs in one process", "start it without `accelerate launch`")
    if mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise UsageError("--mixed-precision fp16 needs a GPU", "use bf16 or no on the CPU")
    return accelerator
