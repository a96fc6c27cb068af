"""`dtool env`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

from dtool.cli.show.output import AsJson, Quiet, say, say_json
from dtool.errors import DtoolError
from dtool.measure.machine import list_gpus
from dtool.onnx.installation import explain_breakage, find_conflict, list_installed
from dtool.plugins.registry import get_registry
from dtool.version import __version__

PACKAGES = (
    "numpy", "pillow", "pydantic", "pluggy", "typer", "rich", "onnxruntime", "onnxruntime-gpu", "torch", "onnx",
    "onnxscript", "safetensors", "accelerate", "scikit-learn",
)  # fmt: skip

EXAMPLES = ("dtool env", "dtool env --json")


def env(as_json: AsJson = False, quiet: Quiet = False) -> None:  # noqa: ARG001 - it acts when it is read
    """Print versions and devices, for a bug report."""
    environment = collect_environment()
    if as_json:
        say_json(environment)
        return
    lines = {"dtool": environment["dtool"], "python": environment["python"], "platform": environment["platform"]}
    lines |= {name: version or "-" for name, version in environment["packages"].items()}
    lines["providers"] = ", ".join(environment["onnxruntime_providers"]) or "-"
    lines |= {"CPU cores": str(environment["cores"]), "GPU": "; ".join(environment["gpus"]) or "none found"}
    if "CUDAExecutionProvider" in environment["onnxruntime_providers"] and not environment["packages"].get("torch"):
        lines["GPU loop"] = "from the host; for runs that stay on the GPU, pip install torch for the same CUDA"
    lines["plugins"] = (
        ", ".join(f"{p['name']} {p['version']} ({p['status']})" for p in environment["plugins"]) or "none"
    )
    width = max(len(name) for name in lines)
    for name, value in lines.items():
        say(f"{name.ljust(width)}  {value}")
    for problem in environment["problems"]:
        say(f"{'problem'.ljust(width)}  {problem['cause']}")
        say(f"{'remedy'.ljust(width)}  {problem['remedy']}")


def collect_environment() -> dict[str, Any]:
    """What a bug report needs. torch is not imported for it: its version is read from its metadata."""
    get_registry().load_installed()
    providers, problems = _inspect_onnxruntime()
    return {
        "dtool": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "packages": {name: _find_version(name) for name in PACKAGES} | list_installed(),
        "onnxruntime_providers": providers,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": list(list_gpus()),
        "plugins": [
            {"name": p.name, "version": p.version, "status": p.status, "error": p.error}
            for p in get_registry().plugins
            if p.name != "dtool"
        ],
        "problems": [{"cause": cause, "remedy": remedy} for cause, remedy in problems],
        "executable": sys.executable,
    }


def _find_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _inspect_onnxruntime() -> tuple[list[str], list[tuple[str, str]]]:
    """ONNX Runtime's execution providers, its import is light; and what is wrong with it, each with its remedy."""
    clash = find_conflict()
    try:
        from dtool.onnx.session import list_providers

        return list_providers(), [clash] if clash else []
    except ImportError as error:
        return [], [explain_breakage(str(error))] if list_installed() else []
    except DtoolError as error:
        return [], [(str(error), error.hint)]
