"""Which reader knows a file, a folder or an object."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.reader import Reader
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.plugins.isolation import ARITHMETIC_SECONDS, guard_code
from dtool.plugins.loader import PluginWarning
from dtool.plugins.registry import get_registry

OWN_SUFFIXES = (".onnx",)  # of files that no reader is asked about


def find_reader(source: Any) -> Reader | None:
    """The first reader that recognises `source`, dtool's own before other packages'; None if there is none.

    Other packages are looked at only where no built-in knows; one that cannot tell costs a warning alone.
    """
    if isinstance(source, Path) and source.suffix.lower() in OWN_SUFFIXES and source.is_file():
        return None
    for entry in get_registry().readers.iterate_by_need():
        try:
            reader: Reader = entry.load()
            with guard_code(entry.origin, "cannot tell whether it knows a model", seconds=ARITHMETIC_SECONDS):
                if reader.recognises(source):
                    return reader
        except DtoolError as error:
            if entry.origin.is_builtin:
                raise
            warnings.warn(f"{error}: it is left out", PluginWarning, stacklevel=3)
    return None


def open_with(reader: Reader, source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """What the reader makes of `source`; of another package's reader, its errors name the package."""
    if reader.origin is None or reader.origin.is_builtin:
        return reader.open(source, description, runtime)
    with guard_code(reader.origin, f"cannot open {source if isinstance(source, Path) else 'this object'}"):
        network = reader.open(source, description, runtime)
    if not isinstance(network, Network):
        raise DtoolError(f"{reader.origin} returned a {type(network).__name__}, no network", reader.origin.remedy)
    return network
