"""Other libraries, imported when they are needed."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import warnings
from typing import Any

from dtool.errors import UsageError
from dtool.plan.foreign import require_installed
from dtool.util.text import format_exception


def import_library(name: str, module: str) -> Any:
    """A library's module; raises UsageError if it cannot be imported."""
    require_installed(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except Exception as error:
        raise UsageError(
            f"{name} cannot be imported: {format_exception(error)}", f"mend its installation: pip install -U {name}"
        ) from error


def get_version(package: str) -> str:
    """The version of an installed package, "" if it does not say one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def silence(name: str) -> None:
    """Keep a library from writing its own remarks: what matters is raised."""
    logging.getLogger(name).setLevel(logging.ERROR)


def find_package_version(function: Any) -> str:
    """The package that a function is of, with its version; its module where there is no package."""
    module = str(getattr(function, "__module__", "") or "")
    package = module.partition(".")[0]
    names = importlib.metadata.packages_distributions().get(package, [package])
    version = get_version(names[0])
    return f"{names[0]} {version}".strip() if version else module
