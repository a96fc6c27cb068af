"""Where training runs: accelerate chooses and moves, but never silently somewhere else than was asked for.

Several processes, as torchrun or `accelerate launch` start them, each compute a part of every batch.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Sequence

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from dtool.errors import DtoolError, UsageError
from dtool.training.config import TrainConfig

SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # of torchrun, and of MPI
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def make_accelerator(device: str, mixed_precision: str, *, several: bool = False) -> Accelerator:
    """An Accelerator on `auto`, `cpu` or `cuda`; raises `DtoolError` where that device or precision can't be had.

    several: whether the run can be one of several processes; where there are such and it cannot, it is refused.
    """
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
    started = _read_number(SIZES, 1)
    if started > 1 and not several:
        raise UsageError("this training runs in one process", "start it without torchrun or accelerate launch")
    if started == 1 and several and "MASTER_ADDR" in os.environ and "ACCELERATE_USE_CPU" in os.environ:
        warnings.warn(
            "accelerate launch has started one process alone, as it does on a CPU without MPI: "
            "torchrun --nproc-per-node 2 -m dtool train … starts several",
            stacklevel=2,
        )
    # accelerate keeps the first choice for the whole process; a second run in it may choose differently
    AcceleratorState._reset_state(reset_partial_state=True)
    on_cpu = device == "cpu" or (started > 1 and not torch.cuda.is_available())  # each alone, unless it is told so
    try:
        accelerator = Accelerator(cpu=on_cpu, mixed_precision=mixed_precision)
    except ValueError as error:
        raise UsageError(f"--mixed-precision {mixed_precision}: {error}", "use --mixed-precision no") from error
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        atexit.unregister(_leave_group)
        atexit.register(_leave_group)
    if mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise UsageError("--mixed-precision fp16 needs a GPU", "use bf16 or no on the CPU")
    if mixed_precision == "bf16" and accelerator.device.type == "cpu" and not computes_in_bf16():
        warnings.warn(
            "this processor has no instructions for bfloat16, with which a step may take ten times as long here: "
            "--mixed-precision no is faster",
            stacklevel=2,
        )
    return accelerator


def _leave_group() -> None:
    """Leave the group of processes while Python still runs: at its end gloo's threads abort a process now and then."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def computes_in_bf16() -> bool:
    """Whether PyTorch's kernels for this processor compute in bfloat16, and do not emulate it."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def is_first_process() -> bool:
    """Whether this is the process that writes files and speaks: the only one, or the first of several."""
    return _read_number(RANKS, 0) == 0


def _read_number(names: Sequence[str], default: int) -> int:
    """The first of these variables of the environment that is set, as a number."""
    return next((int(os.environ[name]) for name in names if name in os.environ), default)


def require_shares(config: TrainConfig, processes: int) -> None:
    """Raise UsageError unless each of so many processes gets images of every batch, in the parts that are asked for."""
    if processes == 1:
        return
    if config.replicas > 1:
        raise UsageError(
            f"--replicas {config.replicas} in {processes} processes: gradients are added between processes, or between "
            "threads of one",
            "leave --replicas out, and start more processes",
        )
    if config.accumulate * processes > config.batch_size:
        raise UsageError(
            f"--batch-size {config.batch_size} is all {processes} processes' together, --accumulate "
            f"{config.accumulate} parts each",
            f"give at least {config.accumulate * processes}",
        )
