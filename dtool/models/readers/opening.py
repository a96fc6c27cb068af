"""What readers of other libraries' formats have in common: the user's words, packages, and the network itself."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from dtool.errors import DtoolError, UsageError, format_value
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.requirements import refuse_onnx_options
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.run.backend_modules import import_torch_backend
from dtool.util import bounded_reading
from dtool.util.options import describe_mistake


def read_words(source: object, description: NetworkSpec | Description, allowed: Collection[str]) -> dict[str, Any]:
    """What the user says of a source that says the rest itself; raises UsageError for a field not in `allowed`."""
    if isinstance(description, NetworkSpec):
        raise UsageError(
            f"{name_source(source)} says itself what it is", "give single fields that it does not say, spec={…}, if any"
        )
    said = description.to_fields()
    for field in said:
        if field not in allowed:
            flag = "num-classes" if field == "classes" else field.replace("_", "-")
            raise UsageError(f"{name_source(source)} says its {field} itself", f"leave out --{flag} (spec=)")
    return said


def name_source(source: object) -> str:
    """A source as errors name it."""
    return str(source) if isinstance(source, (str, Path)) else f"the {type(source).__name__}"


def import_package(module: str, package: str, purpose: str) -> ModuleType:
    """A module of another package; raises DtoolError if it, or something that it imports, is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or package
        raise DtoolError(f"{missing} is needed to {purpose}", f"pip install {package}") from error
    except Exception as error:  # an installation that does not fit together raises anything
        reason = (str(error).strip().splitlines() or [""])[0][:120]
        raise DtoolError(
            f"{package} cannot be imported ({type(error).__name__}: {reason})",
            "install releases of it, torch and torchvision that fit together",
        ) from error


def build_spec(source: object, **fields: Any) -> NetworkSpec:
    """The spec of these fields; raises UsageError that names the one that is refused."""
    try:
        return NetworkSpec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str((first["loc"] or ("it",))[0])
        value = f"{name}={format_value(fields.get(name))}"
        raise UsageError(f"{name_source(source)}: {value} is refused", describe_mistake(first)) from error


def open_module(source: object, module: Any, spec: NetworkSpec, runtime: Runtime, origin: Origin) -> Network:
    """A module on PyTorch as a network; raises UsageError for what only another backend does."""
    if runtime.backend not in (None, "torch"):
        raise UsageError(f"{name_source(source)} runs on torch, not on {runtime.backend}", "leave --backend out")
    refuse_onnx_options(name_source(source), "torch", runtime)
    network: Network = import_torch_backend().TorchNetwork(module, spec, runtime.device)
    network.origin = origin
    return network


def read_settings(path: Path) -> dict[str, Any]:
    """A JSON object in a file; raises DtoolError for anything else."""
    try:
        settings = bounded_reading.read_json(path)
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        raise DtoolError(f"{path} is no JSON: {bounded_reading.explain_read_error(error)}", "mend the file") from error
    if not isinstance(settings, dict):
        raise DtoolError(f"{path} is no JSON object", 'write {"name": value, …}')
    return settings


def find_settings(path: Path) -> Path | None:
    """The JSON beside a file of weights: `weights.pt.json`, `weights.json`, or `config.json`; None if there is none."""
    candidates = (path.with_name(path.name + ".json"), path.with_suffix(".json"), path.with_name("config.json"))
    return next((each for each in candidates if each.is_file()), None)
