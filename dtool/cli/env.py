"""`dtool env`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

from dtool.backends.installation import breakage, conflict, installed
from dtool.cli.output import AsJson, Quiet, say, say_json
from dtool.errors import DtoolError
from dtool.machine import gpus
from dtool.plugins.registry import registry
from dtool.version import __version__

PACKAGES = (
    "numpy", "pillow", "pydantic", "pluggy", "typer", "rich", "onnxruntime", "onnxruntime-gpu", "torch", "onnx",
    "onnxscript", "safetensors", "accelerate", "scikit-learn",
)  # fmt: skip

EXAMPLES = ("dtool env", "dtool env --json")


def env(as_json: AsJson = False, quiet: Quiet = False) -> None:  # noqa: ARG001 - it acts when it is read
    """Print versions and devices, for a bug report."""
    found = environment()
    if as_json:
        say_json(found)
        return
    lines = {"dtool": found["dtool"], "python": found["python"], "platform": found["platform"]}
    lines |= {name: version or "-" for name, version in found["packages"].items()}
    lines["providers"] = ", ".join(found["onnxruntime_providers"]) or "-"
    lines |= {"CPU cores": str(found["cores"]), "GPU": "; ".join(found["gpus"]) or "none found"}
    if "CUDAExecutionProvider" in found["onnxruntime_providers"] and not found["packages"].get("torch"):
        lines["GPU loop"] = "from the host; for runs that stay on the GPU, pip install torch for the same CUDA"
    lines["plugins"] = ", ".join(f"{p['name']} {p['version']} ({p['status']})" for p in found["plugins"]) or "none"
    width = max(len(name) for name in lines)
    for name, value in lines.items():
        say(f"{name.ljust(width)}  {value}")
    for problem in found["problems"]:
        say(f"{'problem'.ljust(width)}  {problem['cause']}")
        say(f"{'remedy'.ljust(width)}  {problem['remedy']}")


def environment() -> dict[str, Any]:
    """What a bug report needs. torch is not imported for it: its version is read from its metadata."""
    registry().load_installed()
    providers, problems = _onnxruntime()
    return {
        "dtool": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES} | installed(),
        "onnxruntime_providers": providers,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": list(gpus()),
        "plugins": [
            {"name": p.name, "version": p.version, "status": p.status, "error": p.error}
            for p in registry().plugins
            if p.name != "dtool"
        ],
        "problems": [{"cause": cause, "remedy": remedy} for cause, remedy in problems],
        "executable": sys.executable,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _onnxruntime() -> tuple[list[str], list[tuple[str, str]]]:
    """ONNX Runtime's execution providers, its import is light; and what is wrong with it, each with its remedy."""
    clash = conflict()
    try:
        from dtool.backends.onnxruntime_session import providers

        return providers(), [clash] if clash else []
    except ImportError as error:
        return [], [breakage(str(error))] if installed() else []
    except DtoolError as error:
        return [], [(str(error), error.hint)]
