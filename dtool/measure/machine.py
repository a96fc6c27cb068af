"""The machine, the date and the versions, without which a figure means nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("dtool-diffusion", "numpy", "onnxruntime", "onnxruntime-gpu", "onnx", "torch", "diffusers")
BUSY_LOAD = 0.5


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was measured on. `gpus`: name, memory and driver of NVIDIA's; `load`: processes running before we began."""

    date: str
    processor: str
    cores: int
    system: str
    python: str
    gpus: tuple[str, ...]
    versions: dict[str, str | None]
    load: float | None

    @property
    def busy(self) -> bool:
        """Whether other processes were computing, which makes timings unreliable."""
        return self.load is not None and self.load > BUSY_LOAD

    def lines(self) -> list[tuple[str, str]]:
        """(name, text) of everything, for a header."""
        versions = ", ".join(f"{name} {number or 'absent'}" for name, number in self.versions.items())
        rows = [
            ("date", self.date),
            ("machine", f"{self.processor}, {self.cores} cores, {self.system}, Python {self.python}"),
            *(("GPU", gpu) for gpu in self.gpus),
            ("versions", versions),
        ]
        if self.load is not None:
            warning = " - BUSY: other processes are running, these figures are not final" if self.busy else ""
            rows.append(("load", f"{self.load:.1f}{warning}"))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return asdict(self) | {"gpus": list(self.gpus), "busy": self.busy}


def detect_machine(packages: Sequence[str] | None = None, *, gpu: bool = False) -> Machine:
    """This machine now. packages: whose versions are listed; by default those that matter and are installed.

    gpu: whether to name its GPUs: figures that were not measured on a GPU should not carry its name.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = {name: _get_version(name) for name in packages or PACKAGES}
    if packages is None:
        versions = {name: number for name, number in versions.items() if number is not None}
    return Machine(
        date=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        processor=_detect_processor(),
        cores=cores,
        system=platform.system(),
        python=platform.python_version(),
        gpus=list_gpus() if gpu else (),
        versions=versions,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def format_header(packages: Sequence[str]) -> str:
    """Date, machine, versions and load, one line each."""
    return "\n".join(f"{what:9} {text}" for what, text in detect_machine(packages).lines())


def list_gpus() -> tuple[str, ...]:
    """Name, memory and driver of each of NVIDIA's devices, from nvidia-smi; none if it is not installed."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = [[part.strip() for part in line.split(",")] for line in answer.stdout.splitlines() if line.strip()]
    return tuple(f"{', '.join(parts[:-1])}, driver {parts[-1]}" for parts in lines)


def _get_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _detect_processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
