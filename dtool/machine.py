"""On which machine, when, and with which versions: without that a figure says nothing."""

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
BUSY = 0.5


@dataclass(frozen=True)
class Machine:
    """What was measured on. `gpus`: name, memory and driver of NVIDIA's; `load`: processes that ran before we began."""

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
        """Whether others were computing: a figure measured on a busy machine is no figure."""
        return self.load is not None and self.load > BUSY

    def lines(self) -> list[tuple[str, str]]:
        """(what, text) of everything, for a header."""
        known = ", ".join(f"{name} {number or 'absent'}" for name, number in self.versions.items())
        found = [
            ("date", self.date),
            ("machine", f"{self.processor}, {self.cores} cores, {self.system}, Python {self.python}"),
            *(("GPU", gpu) for gpu in self.gpus),
            ("versions", known),
        ]
        if self.load is not None:
            warning = " - BUSY: others are computing here, these figures are not final" if self.busy else ""
            found.append(("load", f"{self.load:.1f}{warning}"))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return asdict(self) | {"gpus": list(self.gpus), "busy": self.busy}


def machine(packages: Sequence[str] | None = None, *, gpu: bool = False) -> Machine:
    """This machine now. packages: whose versions are told; by default those that matter and are installed.

    gpu: whether its GPUs are named: only figures that were measured on one may stand under its name.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = {name: _version(name) for name in packages or PACKAGES}
    if packages is None:
        versions = {name: number for name, number in versions.items() if number is not None}
    return Machine(
        date=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        processor=_processor(),
        cores=cores,
        system=platform.system(),
        python=platform.python_version(),
        gpus=gpus() if gpu else (),
        versions=versions,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def header(packages: Sequence[str]) -> str:
    """Date, machine, versions and load, a line each."""
    return "\n".join(f"{what:9} {text}" for what, text in machine(packages).lines())


def gpus() -> tuple[str, ...]:
    """Name, memory and driver of each of NVIDIA's devices, as their own tool gives them; none if it is not there."""
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


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
