"""What the benchmarks share: measuring in turns, and saying on which machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def header(packages: Sequence[str]) -> str:
    """Date, machine, its load, and versions. A figure measured on a busy machine is no figure: this says so."""
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lines = [
        f"date      {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        f"machine   {_processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}",
        f"versions  {', '.join(f'{name} {_version(name)}' for name in packages)}",
        f"load      {load:.1f}"
        + (" - BUSY: others are computing here, these figures are not final" if load > 0.5 else ""),
    ]
    return "\n".join(lines)


def in_turns(functions: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of each function in each round, `[function][round]`; one warm-up; the order is reversed every round."""
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    for i in range(rounds):
        order = range(len(functions)) if i % 2 == 0 else reversed(range(len(functions)))
        for k in order:
            started = time.perf_counter()
            functions[k]()
            times[k].append(time.perf_counter() - started)
    return times


def spread(values: Sequence[float], unit: str = "ms", scale: float = 1e3) -> str:
    """`median unit (lower quartile … upper quartile)`."""
    low, middle, high = quartiles(values)
    return f"{middle * scale:.4g} {unit} ({low * scale:.4g} … {high * scale:.4g})"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
